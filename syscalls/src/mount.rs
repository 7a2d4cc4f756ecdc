//! Mounts, by the old call and by the new ones.

use crate::call::{Result, Why, gate};
use crate::fd::{At, Fd};
use crate::file::{c, d};
use crate::table::Call;
use core::ffi::CStr;
use linux_raw_sys::general::mount_attr;

fn optional(text: Option<&CStr>) -> usize {
    text.map_or(0, c)
}

/// mount(2) of a new file system. `flags`: MS_*; `data`: the file system's own options.
pub fn mount(source: &CStr, target: &CStr, kind: &CStr, flags: u32, data: Option<&CStr>, why: Why) -> Result<()> {
    gate(Call::Mount, [c(source), c(target), c(kind), flags as usize, optional(data), 0], why).map(drop)
}

/// mount(2) that makes no file system: MS_BIND, MS_MOVE, or a change of propagation.
pub fn mount_none(source: Option<&CStr>, target: &CStr, flags: u32, why: Why) -> Result<()> {
    gate(Call::MountNone, [optional(source), c(target), 0, flags as usize, 0, 0], why).map(drop)
}

/// mount(2) with MS_REMOUNT: changes the flags and options of the file system at `target`.
pub fn remount(target: &CStr, flags: u32, data: Option<&CStr>, why: Why) -> Result<()> {
    gate(Call::Mount, [0, c(target), 0, flags as usize, optional(data), 0], why).map(drop)
}

/// umount2(2). `flags`: MNT_DETACH, ...
pub fn umount2(target: &CStr, flags: u32, why: Why) -> Result<()> {
    gate(Call::Umount2, [c(target), flags as usize, 0, 0, 0, 0], why).map(drop)
}

/// pivot_root(2).
pub fn pivot_root(new_root: &CStr, put_old: &CStr, why: Why) -> Result<()> {
    gate(Call::PivotRoot, [c(new_root), c(put_old), 0, 0, 0, 0], why).map(drop)
}

/// chroot(2).
pub fn chroot(path: &CStr, why: Why) -> Result<()> {
    gate(Call::Chroot, [c(path), 0, 0, 0, 0, 0], why).map(drop)
}

/// open_tree(2). `flags`: OPEN_TREE_CLONE, AT_RECURSIVE, AT_EMPTY_PATH; close-on-exec is added.
pub fn open_tree(dir: At, path: &CStr, flags: u32, name: &'static str, why: Why) -> Result<Fd> {
    let flags = (flags | linux_raw_sys::general::OPEN_TREE_CLOEXEC) as usize;
    Ok(Fd::new(gate(Call::OpenTree, [d(dir), c(path), flags, 0, 0, 0], why)?, name))
}

/// move_mount(2). `flags`: MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH.
pub fn move_mount(from: At, from_path: &CStr, to: At, to_path: &CStr, flags: u32, why: Why) -> Result<()> {
    gate(Call::MoveMount, [d(from), c(from_path), d(to), c(to_path), flags as usize, 0], why).map(drop)
}

/// mount_setattr(2). `flags`: AT_EMPTY_PATH, AT_RECURSIVE; `attr`: MOUNT_ATTR_* to set and clear, MS_* propagation.
pub fn mount_setattr(dir: At, path: &CStr, flags: u32, attr: &mount_attr, why: Why) -> Result<()> {
    let args = [d(dir), c(path), flags as usize, attr as *const _ as usize, size_of::<mount_attr>(), 0];
    gate(Call::MountSetattr, args, why).map(drop)
}

/// fsopen(2): begins a file system of this kind.
pub fn fsopen(kind: &CStr, name: &'static str, why: Why) -> Result<Fd> {
    let flags = linux_raw_sys::general::FSOPEN_CLOEXEC as usize;
    Ok(Fd::new(gate(Call::Fsopen, [c(kind), flags, 0, 0, 0, 0], why)?, name))
}

/// fsconfig(2) with FSCONFIG_CMD_CREATE: makes the file system.
pub fn fsconfig_create(fs: At, why: Why) -> Result<()> {
    let create = linux_raw_sys::general::fsconfig_command::FSCONFIG_CMD_CREATE as usize;
    gate(Call::FsconfigCreate, [d(fs), create, 0, 0, 0, 0], why).map(drop)
}

/// fsconfig(2) with FSCONFIG_SET_STRING: an option with a value.
pub fn fsconfig_string(fs: At, key: &CStr, value: &CStr, why: Why) -> Result<()> {
    let set = linux_raw_sys::general::fsconfig_command::FSCONFIG_SET_STRING as usize;
    gate(Call::FsconfigString, [d(fs), set, c(key), c(value), 0, 0], why).map(drop)
}

/// fsconfig(2) with FSCONFIG_SET_FLAG: an option without a value.
pub fn fsconfig_flag(fs: At, key: &CStr, why: Why) -> Result<()> {
    let set = linux_raw_sys::general::fsconfig_command::FSCONFIG_SET_FLAG as usize;
    gate(Call::FsconfigFlag, [d(fs), set, c(key), 0, 0, 0], why).map(drop)
}

/// fsmount(2): a detached mount of the file system. `attr`: MOUNT_ATTR_*.
pub fn fsmount(fs: At, attr: u32, name: &'static str, why: Why) -> Result<Fd> {
    let flags = linux_raw_sys::general::FSMOUNT_CLOEXEC as usize;
    Ok(Fd::new(gate(Call::Fsmount, [d(fs), flags, attr as usize, 0, 0, 0], why)?, name))
}
