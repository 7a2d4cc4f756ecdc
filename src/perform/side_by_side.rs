//! Binds side by side: see `plan::mounts::side_by_side`. The first one that is not as it should be (no such name, a link, a file
//! on a directory) ends it: from there on each is made in the way of a single one. May touch: system calls.

use super::Lanes;
use super::files::{self, O_DIRECTORY};
use super::mounts::on_place;
use super::trees::{linux_raw_sys_fs as fs, set_attributes};
use crate::outcome::Done;
use crate::plan::Slot;
use crate::plan::op::{Attributes, Kind};
use core::ffi::CStr;
use syscalls::{At, Errno, Why};

/// mount_setattr(2), and how fstatfs(2) tells of it (linux/statfs.h).
const NOSYMFOLLOW: u64 = 0x20_0000;
const ST_NOSYMFOLLOW: i64 = 0x2000;

/// How the lane stands.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub enum Beside {
    #[default]
    No,
    /// In the directory. `ours`: links of the rootfs are followed again when it leaves.
    Yes { ours: bool },
}

pub fn stand(lanes: &mut Lanes, path: &CStr, why: Why) -> Done {
    let root = lanes.at(Slot::ROOTFS);
    let was = syscalls::fstatfs(root, Why("a rootfs whose links nobody follows stays so"))?;
    let ours = was.f_flags as i64 & ST_NOSYMFOLLOW == 0;
    // On the mount of the rootfs itself, for that is the one whose links are not followed.
    let parent = match files::on_one_mount(root, path, O_DIRECTORY, why) {
        Ok(parent) => parent,
        Err(f) if unlike(f.errno) => return Ok(()),
        Err(f) => return Err(f.into()),
    };
    let off = Attributes { set: NOSYMFOLLOW, ..Attributes::default() };
    match set_attributes(root, &off, why) {
        // Before 5.14 the kernel has no such property.
        Err(f) if f.errno == Errno::EINVAL => return Ok(()),
        other => other?,
    }
    lanes.beside = Beside::Yes { ours };
    syscalls::fchdir(parent.at(), Why("a name without a slash leads nowhere else from here"))?;
    Ok(())
}

pub fn bind(lanes: &mut Lanes, source: &CStr, path: &CStr, name: usize, recursive: bool, why: Why) -> Done {
    if lanes.beside != Beside::No {
        let name = path.to_bytes_with_nul().get(name..).unwrap_or(&[]);
        let name = CStr::from_bytes_with_nul(name).unwrap_or(c"");
        let flags = libc::MS_BIND | if recursive { libc::MS_REC } else { 0 };
        match syscalls::mount_none(Some(source), name, flags as u32, why) {
            Err(f) if unlike(f.errno) => leave(lanes, Why("this one has to be made as if alone"))?,
            other => return Ok(other?),
        }
    }
    // A copy of what is a slave of the host's already.
    let recursive = if recursive { fs::AT_RECURSIVE } else { 0 };
    let flags = fs::OPEN_TREE_CLONE | recursive;
    let tree = syscalls::open_tree(At::CWD, source, flags, "mount source", why)?;
    on_place(lanes.at(Slot::ROOTFS), path, true, tree, Kind::AsSource, why).map(drop)
}

pub fn leave(lanes: &mut Lanes, why: Why) -> Done {
    if let Beside::Yes { ours: true } = lanes.beside {
        let on = Attributes { clear: NOSYMFOLLOW, ..Attributes::default() };
        set_attributes(lanes.at(Slot::ROOTFS), &on, why)?;
    }
    lanes.beside = Beside::No;
    Ok(())
}

/// What the kernel says of a name that is missing, a link, a file where a directory should be, or on another mount.
fn unlike(errno: Errno) -> bool {
    [Errno::ENOENT, Errno::ELOOP, Errno::ENOTDIR, Errno::EXDEV].contains(&errno)
}
