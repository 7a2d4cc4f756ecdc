//! The switch of root where `/` is the kernel's first root file system: a ramfs, or a tmpfs, that an initramfs was
//! unpacked into. Nothing lies below it, so pivot_root(2) has no place to put it and refuses (EINVAL). A copy of it,
//! mounted over itself, can be put away like any other mount:
//!
//! ```text
//!   /  ramfs                /  ramfs              /  ramfs               /  ramfs
//!      └ rootfs on /           ├ rootfs, aside       └ copy on /            └ rootfs on /
//!                              └ copy on /              └ rootfs on /          └ copy on /: unmounted
//!   as it was               made room             chroot into the copy   pivot_root
//! ```
//! By then `/` is known to be the root of a mount, and no directory that an earlier chroot chose: its propagation was
//! changed, which the kernel refuses elsewhere (mount(2)). To know beforehand would cost every other host a call. So
//! pivot_root is tried, and only where it is refused, and `/` turns out to be such a file system, this way is taken. It
//! ends as the ordinary one does: the container's root is the root of its mount namespace. What the initramfs had
//! mounted is unmounted on the way (`old_root`): below the root nothing is left but the initramfs itself. May touch:
//! system calls.

use super::old_root;
use crate::outcome::{Done, Trouble};
use crate::perform::files::PLACE;
use crate::perform::trees;
use core::ffi::CStr;
use syscalls::{At, Failed, Why};

/// `aside`: a directory to move the new root to while the copy is mounted; none if it is not on `/` anyway.
/// `refused`: pivot_root's failure, which stands if `/` is no such file system.
pub fn pivot(root: At, aside: Option<&CStr>, refused: Failed, why: Why) -> Done {
    let why_look = Why("pivot_root refuses an initramfs, and there is another way; other refusals are errors");
    let first = syscalls::openat(At::CWD, c"/", PLACE, why_look)?;
    let kind = syscalls::fstatfs(first.at(), why_look)?.f_type as i64;
    first.leak(); // execve closes it
    // The kernel unpacks an initramfs into either of these (its ramfs-rootfs-initramfs.rst).
    if kind != i64::from(syscalls::RAMFS_MAGIC) && kind != libc::TMPFS_MAGIC {
        return Err(Trouble::Call(refused));
    }
    if let Some(aside) = aside {
        // Before the copy is made: in it, this would lie over the place where the new root has to be.
        let why = Why("the copy of / needs the place: it may not cover the new root");
        trees::attach_at(root, At::CWD, aside, why)?;
    }
    let why_copy = Why(
        "pivot_root(2) cannot put away an initramfs, the kernel's first root, but it can put away a copy. The copy has all mounts: a user namespace may leave none off",
    );
    let copy = trees::copy_path(c"/", true, false, why_copy)?;
    let why_over = Why("the copy lies over the initramfs: unlike that, it is a root with something below it");
    trees::attach_at(copy.at(), At::CWD, c"/", why_over)?;
    let why_back = Why("pivot_root wants the new root below the old one, which is now the copy");
    trees::attach(root, copy.at(), why_back)?;
    // This process's root is still the initramfs, and so paths mean what lies there, not in its copy.
    old_root::clear()?;
    let why_root = Why("pivot_root swaps this process's root, so that has to be the copy");
    syscalls::fchdir(copy.at(), why_root)?;
    syscalls::chroot(c".", why_root)?;
    syscalls::fchdir(root, Why("pivot_root takes `.` for both: no directory for the old root is needed"))?;
    copy.leak(); // execve closes it
    Ok(syscalls::pivot_root(c".", c".", why)?)
}
