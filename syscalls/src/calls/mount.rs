//! Mounts, by the old call and by the new ones.

use crate::arg::{Arg, fd, input, int, named, null, path, plain, string, uint, words};
use crate::call::{Result, Why};
use crate::fd::{At, Fd};
use crate::flags::{
    AtFlags, FsConfig, FsMount, FsOpen, MountAttr, MountFlags, MountSetattr, MoveMount, OpenTree, UmountFlags,
};
use crate::gate::gate;
use core::ffi::CStr;
use linux_raw_sys::general as nr;
use linux_raw_sys::general::mount_attr;

plain! {
    MountAttr: mount_attr;
}

fn optional<'a>(text: Option<&'a CStr>, arg: fn(&'a CStr) -> Arg<'a>) -> Arg<'a> {
    text.map_or(null(), arg)
}

/// mount(2) of a new file system. `data`: the file system's own options.
#[track_caller]
pub fn mount(
    source: &CStr,
    target: &CStr,
    kind: &CStr,
    flags: MountFlags,
    data: Option<&CStr>,
    why: Why,
) -> Result<()> {
    let args = [path(source), path(target), string(kind), named(flags), optional(data, string)];
    gate(nr::__NR_mount, &args, why).map(drop)
}

/// mount(2) that makes no file system: MS_BIND, MS_MOVE, or a change of propagation.
#[track_caller]
pub fn mount_none(source: Option<&CStr>, target: &CStr, flags: MountFlags, why: Why) -> Result<()> {
    gate(nr::__NR_mount, &[optional(source, path), path(target), null(), named(flags), null()], why).map(drop)
}

/// mount(2) with MS_REMOUNT: changes the flags and options of the file system at `target`.
#[track_caller]
pub fn remount(target: &CStr, flags: MountFlags, data: Option<&CStr>, why: Why) -> Result<()> {
    gate(nr::__NR_mount, &[null(), path(target), null(), named(flags), optional(data, string)], why).map(drop)
}

/// umount2(2).
#[track_caller]
pub fn umount2(target: &CStr, flags: UmountFlags, why: Why) -> Result<()> {
    gate(nr::__NR_umount2, &[path(target), named(flags)], why).map(drop)
}

/// pivot_root(2).
#[track_caller]
pub fn pivot_root(new_root: &CStr, put_old: &CStr, why: Why) -> Result<()> {
    gate(nr::__NR_pivot_root, &[path(new_root), path(put_old)], why).map(drop)
}

/// chroot(2).
#[track_caller]
pub fn chroot(root: &CStr, why: Why) -> Result<()> {
    gate(nr::__NR_chroot, &[path(root)], why).map(drop)
}

/// open_tree(2), close-on-exec.
#[track_caller]
pub fn open_tree(dir: At, name: &CStr, flags: OpenTree, why: Why) -> Result<Fd> {
    gate(nr::__NR_open_tree, &[fd(dir), path(name), named(flags | OpenTree::OPEN_TREE_CLOEXEC)], why).map(Fd::new)
}

/// move_mount(2).
#[track_caller]
pub fn move_mount(from: At, from_path: &CStr, to: At, to_path: &CStr, flags: MoveMount, why: Why) -> Result<()> {
    gate(nr::__NR_move_mount, &[fd(from), path(from_path), fd(to), path(to_path), named(flags)], why).map(drop)
}

/// mount_setattr(2). `attr`: MOUNT_ATTR_* to set and clear, MS_* propagation.
#[track_caller]
pub fn mount_setattr(dir: At, name: &CStr, flags: AtFlags, attr: &mount_attr, why: Why) -> Result<()> {
    let flags = MountSetattr::from_bits(flags.bits());
    let args = [fd(dir), path(name), named(flags), input(attr), uint(size_of::<mount_attr>())];
    gate(nr::__NR_mount_setattr, &args, why).map(drop)
}

/// fsopen(2): begins a file system of this kind.
#[track_caller]
pub fn fsopen(kind: &CStr, why: Why) -> Result<Fd> {
    gate(nr::__NR_fsopen, &[string(kind), named(FsOpen::FSOPEN_CLOEXEC)], why).map(Fd::new)
}

/// fsconfig(2) with FSCONFIG_CMD_CREATE: makes the file system that was begun.
#[track_caller]
pub fn fsconfig_create(fs: At, why: Why) -> Result<()> {
    gate(nr::__NR_fsconfig, &[fd(fs), named(FsConfig::FSCONFIG_CMD_CREATE), null(), null(), int(0)], why).map(drop)
}

/// fsconfig(2) with an option of the file system: a key with a value, or a key alone.
#[track_caller]
pub fn fsconfig_set(fs: At, key: &CStr, value: Option<&CStr>, why: Why) -> Result<()> {
    let command = if value.is_some() { FsConfig::FSCONFIG_SET_STRING } else { FsConfig::FSCONFIG_SET_FLAG };
    gate(nr::__NR_fsconfig, &[fd(fs), named(command), string(key), optional(value, string), int(0)], why).map(drop)
}

/// read(2) of a message about a file system that was begun: `e ` and an error, `w ` and a warning.
#[track_caller]
pub fn read_fs_message(fs: At, to: &mut [u8], why: Why) -> Result<usize> {
    let len = to.len();
    gate(nr::__NR_read, &[fd(fs), words(to), uint(len)], why)
}

/// fsmount(2): a detached mount of the file system.
#[track_caller]
pub fn fsmount(fs: At, attr: MountAttr, why: Why) -> Result<Fd> {
    gate(nr::__NR_fsmount, &[fd(fs), named(FsMount::FSMOUNT_CLOEXEC), named(attr)], why).map(Fd::new)
}
