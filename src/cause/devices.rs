//! Why a device could not be made in the container. May touch: system calls, types.

use super::{Found, Scene, path, rights, rootfs};
use crate::outcome::{Check, Trouble};
use crate::plan::op::Devices;
use crate::plan::text;
use syscalls::{At, Call, Errno};

pub fn of(scene: &Scene, op: &Devices) -> Option<Found> {
    match op {
        Devices::Program { .. } if !scene.said.is_empty() => Some(Found::new("device rules", &[scene.said])),
        Devices::OpenDirectory { path, .. } => {
            rootfs::not_made(scene, "directory on read-only", &path.to_string_lossy())
        }
        Devices::Node { name, .. } | Devices::Link { name, .. } | Devices::Bound { name, .. } => {
            node(scene, op, &name.to_string_lossy())
        }
        _ => None,
    }
}

fn node(scene: &Scene, op: &Devices, name: &str) -> Option<Found> {
    let place = place(scene).unwrap_or_else(|| format!("/dev/{name}"));
    if scene.trouble == Trouble::Check(Check::OtherDevice) {
        let (_, _, stat) = path::find(scene.root()?.at(), &place)?;
        return Some(Found::new("other file", &[&place, path::kind(&stat)]));
    }
    match (op, scene.failed()?.errno) {
        (_, Errno::EROFS) => Some(Found::new("device on read-only", &[&place])),
        (_, Errno::ENOSPC) => Some(Found::new("no room for a device", &[&place])),
        (Devices::Node { major, minor, .. }, Errno::EPERM) => {
            let known = rights::lacking(scene.pid, "mknodat", "CAP_MKNOD");
            let filtered = || rights::filtered(scene.pid, "mknodat", Call::named("mknodat"), Errno::EPERM);
            let device = || Found::new("mknod refused", &[&place, &format!("{major}:{minor}")]);
            known.or_else(filtered).or_else(|| Some(device()))
        }
        _ => None,
    }
}

/// A file that is there in place of a device, and is none.
pub fn other_file(root: At, place: &str) -> Option<Found> {
    let (_, _, stat) = path::find(root, place)?;
    let is_device = matches!(stat.st_mode & libc::S_IFMT, libc::S_IFCHR | libc::S_IFBLK);
    (!is_device).then(|| Found::new("other file", &[place, path::kind(&stat)]))
}

/// The path of a device that config.json names.
fn place(scene: &Scene) -> Option<String> {
    let number = text::number_in("/linux/devices/", &scene.line?.from)?;
    Some(scene.spec?.linux.devices.get(number)?.path.clone())
}
