//! The root file system: opened, attached, made `/`; its propagation; the working directory in it. May touch: plan
//! types, system calls.

pub mod home;
mod masks;
mod old_root;
mod ramfs;

use super::files::{self, PLACE, directory};
use super::{Lanes, trees};
use crate::outcome::{Check, Done, Trouble};
use crate::plan::Slot;
use crate::plan::op::{Attributes, Rootfs};
use core::ffi::CStr;
use syscalls::{At, Errno, MountFlags, UmountFlags, Why};

pub fn perform<'a>(lanes: &mut Lanes<'a>, op: &'a Rootfs, why: Why) -> Done {
    let root = lanes.at(Slot::ROOTFS);
    match op {
        Rootfs::Open { path } => open(lanes, path, why)?,
        Rootfs::Look { path } => lanes.put(Slot::ROOTFS, syscalls::openat(At::CWD, path, PLACE, why)?),
        Rootfs::LookInside { path, enter } => look_inside(lanes, path, *enter, why)?,
        Rootfs::LookUpHome { uid } => lanes.home = Some(home::look_up(root, *uid, why)?),
        Rootfs::Propagation { flags } => syscalls::mount_none(None, c"/", *flags, why)?,
        Rootfs::Attach { path } => trees::attach_at(root, At::CWD, path.as_deref().unwrap_or(c"/"), why)?,
        Rootfs::MakeCwd { path } => drop(files::resolve_or_make(root, path, directory, true, why)?),
        Rootfs::Pivot { aside } => pivot(root, aside.as_deref(), why)?,
        Rootfs::Chroot => {
            syscalls::fchdir(root, Why("standing in the rootfs, its name is `.`"))?;
            syscalls::chroot(c".", why)?;
        }
        Rootfs::Move { attached } => {
            if *attached {
                trees::attach_at(root, At::CWD, c"/", why)?;
            }
            old_root::clear()?;
            syscalls::fchdir(root, Why("the new root was mounted over the old one, where only its descriptor leads"))?;
            syscalls::chroot(c".", why)?;
        }
        Rootfs::RootPropagation { flags } => {
            let attributes = Attributes {
                propagation: flags.without(MountFlags::MS_REC),
                recursive: flags.has(MountFlags::MS_REC),
                ..Attributes::default()
            };
            trees::set_attributes(root, &attributes, why)?
        }
        Rootfs::OpenNull { check } => masks::open_null(lanes, *check, why)?,
        Rootfs::Hold { base, readonly } => masks::hold(lanes.at(*base), *readonly, why)?,
        Rootfs::Mask { at, directory, by_proc } => masks::mask(lanes, at, *directory, *by_proc, why)?,
        Rootfs::ReadonlyPath { at, held } => masks::readonly(lanes, at, *held, why)?,
        Rootfs::Readonly => {
            trees::set_attributes(root, &Attributes { recursive: false, ..masks::READONLY }, why)?;
        }
        Rootfs::Cwd { path } => cwd(path, why)?,
    }
    Ok(())
}

/// A copy of its mount, with all below it.
fn open(lanes: &mut Lanes, path: &CStr, why: Why) -> Done {
    let tree = trees::copy_path(path, true, false, why)?;
    let slave = Attributes { propagation: MountFlags::MS_SLAVE, recursive: true, ..Attributes::default() };
    let why = Why("pivot_root refuses a shared mount, and nothing mounted in it may reach the host");
    trees::set_attributes(tree.at(), &slave, why)?;
    lanes.put(Slot::ROOTFS, tree);
    Ok(())
}

fn look_inside(lanes: &mut Lanes, path: &CStr, enter: bool, why: Why) -> Done {
    let dir = syscalls::openat(lanes.at(Slot::HOST_PROC), path, PLACE, why)?;
    lanes.put(Slot::ROOTFS, dir);
    if enter {
        let why = Why("the process lives, so its number in /proc was still its own");
        syscalls::pidfd_send_signal(lanes.at(Slot::CONTAINER), 0, why)?;
    }
    Ok(())
}

fn pivot(root: At, aside: Option<&CStr>, why: Why) -> Done {
    syscalls::fchdir(root, Why("pivot_root takes `.` for both: no directory for the old root is needed"))?;
    match syscalls::pivot_root(c".", c".", why) {
        Err(refused) if refused.errno == Errno::EINVAL => ramfs::pivot(root, aside, refused, why)?,
        done => done?,
    }
    let why = Why("the host's tree lies over the new root now; detached, it is gone from this namespace");
    Ok(syscalls::umount2(c".", UmountFlags::MNT_DETACH, why)?)
}

/// A current directory outside the root would be a way back to the host, however the path came to lead there
/// (CVE-2024-21626): getcwd says `(unreachable)` then, which is no absolute path. `/` is the root itself.
fn cwd(path: &CStr, why: Why) -> Done {
    syscalls::chdir(path, why)?;
    if path == c"/" { Ok(()) } else { is_inside() }
}

#[inline(never)] // its stack would be that of every line
fn is_inside() -> Done {
    let mut buffer = [0u8; 4096];
    let here = syscalls::getcwd(&mut buffer, Why("a directory outside the root has no absolute path"))?;
    if here.first() == Some(&b'/') { Ok(()) } else { Err(Trouble::Check(Check::CwdOutside)) }
}
