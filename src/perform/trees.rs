//! Trees of mounts, by descriptor: copied where no other process can see them yet, altered, and attached where they
//! belong. May touch: system calls.

use super::files::{self, Leaf, despite, kind};
use crate::outcome::Done;
use crate::plan::op::{Attributes, Kind};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, MoveMount, OpenFlags, OpenTree, Why};

fn cloned(recursive: bool) -> OpenTree {
    let all = if recursive { OpenTree::AT_RECURSIVE } else { OpenTree::NONE };
    OpenTree::OPEN_TREE_CLONE | all
}

/// A detached copy of the mount at a path of the host's.
pub fn copy_path(path: &CStr, recursive: bool, link: bool, why: Why) -> syscalls::Result<Fd> {
    let link = if link { OpenTree::AT_SYMLINK_NOFOLLOW } else { OpenTree::NONE };
    syscalls::open_tree(At::CWD, path, cloned(recursive) | link, why)
}

/// A detached copy of what is mounted at an open place.
pub fn copy(place: At, recursive: bool, why: Why) -> syscalls::Result<Fd> {
    syscalls::open_tree(place, c"", cloned(recursive) | OpenTree::AT_EMPTY_PATH, why)
}

/// The same below a directory, in a mount that no other process can reach.
pub fn copy_at(dir: At, path: &CStr, recursive: bool, why: Why) -> syscalls::Result<Fd> {
    syscalls::open_tree(dir, path, cloned(recursive), why)
}

/// Attaches a tree at an open place.
pub fn attach(tree: At, place: At, why: Why) -> syscalls::Result<()> {
    let flags = MoveMount::MOVE_MOUNT_F_EMPTY_PATH | MoveMount::MOVE_MOUNT_T_EMPTY_PATH;
    syscalls::move_mount(tree, c"", place, c"", flags, why)
}

/// Attaches a tree where a path leads, from a directory on.
pub fn attach_at(tree: At, dir: At, path: &CStr, why: Why) -> syscalls::Result<()> {
    syscalls::move_mount(tree, c"", dir, path, MoveMount::MOVE_MOUNT_F_EMPTY_PATH, why)
}

/// Attaches a tree in the rootfs; what is missing of the path is made. Returns the place below it.
pub fn attach_made(base: At, path: &CStr, links: bool, tree: Fd, how: Kind, why: Why) -> Done<Fd> {
    let leaf = || {
        if how == Kind::Directory {
            return Ok(Leaf::Directory);
        }
        let why = Why("a directory needs a directory to stand on, a file needs a file");
        let source = syscalls::fstat(tree.at(), why)?;
        Ok(if kind(&source) == libc::S_IFDIR { Leaf::Directory } else { Leaf::File })
    };
    let place = match how {
        Kind::AsSourceHere => files::resolve_or_make_last(base, path, leaf, why)?,
        _ => files::resolve_or_make(base, path, leaf, links, why)?,
    };
    attach(tree.at(), place.at(), why)?;
    Ok(place)
}

/// Attaches a mount of one file to a file. `make`: the file is made if it is missing; otherwise nothing is done then.
pub fn bind_on_file(source: Fd, dir: At, name: &CStr, make: bool, why: Why) -> Done {
    if make {
        despite(&[Errno::EEXIST], syscalls::mknodat(dir, name, libc::S_IFREG | 0o644, why))?;
    }
    match files::open_below(dir, name, OpenFlags::NONE, why) {
        Err(failed) if failed.errno == Errno::ENOENT && !make => Ok(()),
        place => Ok(attach(source.at(), place?.at(), why)?),
    }
}

/// The root of what was just mounted on a place. Not by its name, which may stand for another directory by now. `..` of
/// a root is that root itself, and leads to what is mounted on it.
pub fn step_up(place: &Fd) -> syscalls::Result<Fd> {
    let why = Why("later lines work below the mount that is there now");
    files::resolve(place.at(), c"..", OpenFlags::O_DIRECTORY, true, why)
}

/// Changes the properties of a mount by its descriptor. Flags may be given to the top mount alone while propagation
/// goes to the whole tree, so there can be two calls.
pub fn set_attributes(tree: At, a: &Attributes, why: Why) -> syscalls::Result<()> {
    set_attributes_at(tree, c"", AtFlags::AT_EMPTY_PATH, a, why)
}

/// The same below a directory.
pub fn set_attributes_at(dir: At, path: &CStr, flags: AtFlags, a: &Attributes, why: Why) -> syscalls::Result<()> {
    let all = if a.recursive { flags | AtFlags::AT_RECURSIVE } else { flags };
    let propagation = a.propagation.bits();
    let attr = syscalls::mount_attr { attr_set: a.set, attr_clr: a.clear, propagation, userns_fd: 0 };
    if !a.recursive || propagation == 0 || (a.set == 0 && a.clear == 0) {
        return syscalls::mount_setattr(dir, path, all, &attr, why);
    }
    let spread = syscalls::mount_attr { attr_set: 0, attr_clr: 0, ..attr };
    syscalls::mount_setattr(dir, path, all, &spread, why)?;
    syscalls::mount_setattr(dir, path, flags, &syscalls::mount_attr { propagation: 0, ..attr }, why)
}

/// Lets a detached tree show its files with the ids of a user namespace's mapping (mount_setattr(2), "ID-mapped
/// mounts").
pub fn map_ids(tree: At, namespace: At, recursive: bool) -> syscalls::Result<()> {
    let attr = syscalls::mount_attr {
        attr_set: libc::MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: namespace.raw() as u64,
    };
    let why = Why("its files appear as those of other users, and nothing on disk changes");
    let all = if recursive { AtFlags::AT_RECURSIVE } else { AtFlags::NONE };
    syscalls::mount_setattr(tree, c"", AtFlags::AT_EMPTY_PATH | all, &attr, why)
}
