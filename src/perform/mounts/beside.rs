//! Binds side by side: see `plan::mounts::side_by_side`. The first one that the kernel refuses (no such name, a
//! link, a file on a directory) ends that: it and the others are made one by one. May touch: system calls.

use crate::outcome::Done;
use crate::perform::files;
use crate::perform::lanes::{Beside, Lanes};
use crate::perform::trees::{self, set_attributes};
use crate::plan::Slot;
use crate::plan::mounts::options::attr;
use crate::plan::op::{Attributes, Kind};
use core::ffi::CStr;
use syscalls::{Errno, MountFlags, OpenFlags, Why};

/// `nosymfollow`, as fstatfs(2) reports it (linux/statfs.h).
const ST_NOSYMFOLLOW: i64 = 0x2000;

pub fn stand(lanes: &mut Lanes, path: &CStr, why: Why) -> Done {
    let root = lanes.at(Slot::ROOTFS);
    let was = syscalls::fstatfs(root, Why("a rootfs that was mounted with nosymfollow keeps that"))?;
    let ours = was.f_flags as i64 & ST_NOSYMFOLLOW == 0;
    // On the mount of the rootfs itself, for that is the one whose links are not followed.
    let parent = match files::on_one_mount(root, path, OpenFlags::O_DIRECTORY, why) {
        Ok(parent) => parent,
        Err(f) if unlike(f.errno) => return Ok(()),
        Err(f) => return Err(f.into()),
    };
    let off = Attributes { set: attr::NOSYMFOLLOW, ..Attributes::default() };
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
        let flags = if recursive { MountFlags::MS_BIND | MountFlags::MS_REC } else { MountFlags::MS_BIND };
        match syscalls::mount_none(Some(source), name, flags, why) {
            Err(f) if unlike(f.errno) => leave(lanes, Why("this bind has to be made alone"))?,
            other => return Ok(other?),
        }
    }
    // In this namespace all mounts are slaves of the host's, and so is the copy.
    let tree = trees::copy_path(source, recursive, false, why)?;
    trees::attach_made(lanes.at(Slot::ROOTFS), path, true, tree, Kind::AsSource, why).map(drop)
}

pub fn leave(lanes: &mut Lanes, why: Why) -> Done {
    if let Beside::Yes { ours: true } = lanes.beside {
        let on = Attributes { clear: attr::NOSYMFOLLOW, ..Attributes::default() };
        set_attributes(lanes.at(Slot::ROOTFS), &on, why)?;
    }
    lanes.beside = Beside::No;
    Ok(())
}

/// What the kernel says of a name that is missing, a link, a file where a directory should be, or on another mount.
fn unlike(errno: Errno) -> bool {
    [Errno::ENOENT, Errno::ELOOP, Errno::ENOTDIR, Errno::EXDEV].contains(&errno)
}
