//! Trees of mounts that nobody can see yet: opened on the host's side, altered, and lent to the container. May touch: plan
//! types, system calls.

use super::{Lanes, files};
use crate::outcome::Done;
use crate::plan::mounts::options::attr;
use crate::plan::op::Attributes;
use crate::plan::op::{Mounts, Op, Rootfs};
use crate::plan::{Line, Slot};
use core::ffi::CStr;
use linux_raw_sys_fs as fs;
use syscalls::{At, Fd, Why};

/// Flags of the new mount calls, from linux/mount.h and linux/fcntl.h.
pub mod linux_raw_sys_fs {
    pub const OPEN_TREE_CLONE: u32 = 1;
    pub const AT_EMPTY_PATH: u32 = 0x1000;
    pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
    pub const AT_RECURSIVE: u32 = 0x8000;
    pub const MOVE_MOUNT_F_EMPTY_PATH: u32 = 4;
    pub const MOVE_MOUNT_T_EMPTY_PATH: u32 = 0x40;
}

/// Lets a detached tree show its files with the ids of a user namespace's mapping (mount_setattr(2), "ID-mapped
/// mounts").
fn map_tree(tree: At, namespace: At, recursive: bool) -> syscalls::Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x10_0000;
    let attr = syscalls::mount_attr {
        attr_set: MOUNT_ATTR_IDMAP,
        attr_clr: 0,
        propagation: 0,
        userns_fd: namespace.raw() as u64,
    };
    let recursive = if recursive { fs::AT_RECURSIVE } else { 0 };
    let why = Why("its files appear as those of other users, and nothing on disk changes");
    syscalls::mount_setattr(tree, c"", fs::AT_EMPTY_PATH | recursive, &attr, why)
}

/// What of the host is lent to the container, as trees that nobody can see yet.
pub fn open(lanes: &mut Lanes, line: &Line) -> Done {
    let why = line.why;
    match &line.op {
        Op::Rootfs(Rootfs::Open { path }) => {
            let tree = open_tree(path, true, false, "rootfs", why)?;
            let slave = Attributes { propagation: libc::MS_SLAVE, recursive: true, ..Attributes::default() };
            set_attributes(
                tree.at(),
                &slave,
                Why("pivot_root refuses a shared mount, and nothing mounted in it may reach the host"),
            )?;
            lanes.put(Slot::ROOTFS, tree);
        }
        Op::Mounts(Mounts::OpenSource { path, in_rootfs, recursive, link, idmap, attributes, tree }) => {
            let source = match in_rootfs {
                true => tree_inside(lanes.at(Slot::ROOTFS), path, *recursive, *link, why)?,
                false => open_tree(path, *recursive, *link, "mount source", why)?,
            };
            if let Some((namespace, recursive)) = idmap {
                map_tree(source.at(), lanes.at(*namespace), *recursive)?;
            }
            set_attributes(source.at(), attributes, Why("its properties are set while nobody can see it yet"))?;
            lanes.put(*tree, source);
        }
        _ => {}
    }
    Ok(())
}

/// A copy of the host's mount at a path for a container that is there, with the properties of the mount itself, and of all
/// mounts of its tree.
pub fn lend(path: &CStr, recursive: bool, attributes: &[Attributes; 2]) -> syscalls::Result<Fd> {
    let why = Why("a copy that is attached nowhere can go to another mount namespace");
    let tree = open_tree(path, recursive, false, "mount source", why)?;
    let why = Why("its properties are set while no other process can see it");
    let [own, all] = attributes;
    set_attributes(tree.at(), own, why)?;
    if all.set | all.clear != 0 {
        set_attributes(tree.at(), all, why)?;
    }
    Ok(tree)
}

/// What a cgroup mount shows where there is no cgroup namespace: the container's cgroup. A container that had to do without one
/// (`Op::Cgroup(Cgroup::Make)`) sees the hierarchy that the caller sees, and cannot write there, as with runc.
pub fn cgroups(group: Option<At>, attributes: &Attributes, why: Why) -> syscalls::Result<Fd> {
    let all = why;
    let why = Why("its properties are set while nobody can see it yet");
    if let Some(group) = group {
        let flags = fs::OPEN_TREE_CLONE | fs::AT_EMPTY_PATH;
        let copy = syscalls::open_tree(group, c"", flags, "cgroup tree", all)?;
        set_attributes(copy.at(), attributes, why)?;
        return Ok(copy);
    }
    let copy = open_tree(c"/sys/fs/cgroup", true, false, "cgroup tree", all)?;
    // A user namespace may add to the flags of mounts that it was lent, and take none away (mount_namespaces(7)).
    let safe = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let spread = Attributes { propagation: libc::MS_PRIVATE, recursive: true, ..Attributes::default() };
    set_attributes(copy.at(), &spread, why)?;
    let all_of_it = Attributes { set: attributes.set & safe | attr::RDONLY, recursive: true, ..Attributes::default() };
    set_attributes(copy.at(), &all_of_it, why)?;
    Ok(copy)
}

/// A detached copy of the mount at a host path.
fn open_tree(path: &CStr, recursive: bool, link: bool, name: &'static str, why: Why) -> syscalls::Result<Fd> {
    let recursive = if recursive { fs::AT_RECURSIVE } else { 0 };
    let link = if link { fs::AT_SYMLINK_NOFOLLOW } else { 0 };
    let flags = fs::OPEN_TREE_CLONE | recursive | link;
    syscalls::open_tree(At::CWD, path, flags, name, why)
}

/// The same of a place in the rootfs, with the mounts that were made there. Its links are taken as the container takes
/// them.
fn tree_inside(root: At, path: &CStr, recursive: bool, link: bool, why: Why) -> syscalls::Result<Fd> {
    let nofollow = if link { libc::O_NOFOLLOW as u32 } else { 0 };
    let place = files::resolve(root, path, nofollow, true, why)?;
    let recursive = if recursive { fs::AT_RECURSIVE } else { 0 };
    let flags = fs::OPEN_TREE_CLONE | fs::AT_EMPTY_PATH | recursive;
    let why = Why("a copy of what the mounts before this one have put there");
    syscalls::open_tree(place.at(), c"", flags, "mount source", why)
}

/// Changes the properties of a mount by its descriptor. Flags may be given to the top mount alone while propagation
/// goes to the whole tree, so there can be two calls.
pub fn set_attributes(tree: At, a: &Attributes, why: Why) -> syscalls::Result<()> {
    set_attributes_at(tree, c"", fs::AT_EMPTY_PATH, a, why)
}

/// The same below a directory.
pub fn set_attributes_at(dir: At, path: &CStr, flags: u32, a: &Attributes, why: Why) -> syscalls::Result<()> {
    let recursive = if a.recursive { fs::AT_RECURSIVE } else { 0 };
    let attr = syscalls::mount_attr { attr_set: a.set, attr_clr: a.clear, propagation: a.propagation, userns_fd: 0 };
    if recursive == 0 || a.propagation == 0 || (a.set == 0 && a.clear == 0) {
        return syscalls::mount_setattr(dir, path, flags | recursive, &attr, why);
    }
    let spread = syscalls::mount_attr { attr_set: 0, attr_clr: 0, ..attr };
    syscalls::mount_setattr(dir, path, flags | recursive, &spread, why)?;
    syscalls::mount_setattr(dir, path, flags, &syscalls::mount_attr { propagation: 0, ..attr }, why)
}
