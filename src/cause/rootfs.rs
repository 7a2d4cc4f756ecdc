//! Why the root file system could not be opened, made `/`, or changed. May touch: system calls, procfs.

use super::path::{self, kind};
use super::rights::{self, EXECUTE, Person};
use super::{Found, Scene, missing};
use crate::host::mountinfo;
use crate::outcome::{Check, Trouble};
use crate::plan::op::Rootfs;
use crate::plan::{self, Place};
use syscalls::{Errno, Why};

pub fn of(scene: &Scene, op: &Rootfs) -> Option<Found> {
    match op {
        Rootfs::Open { path } | Rootfs::Look { path } => not_there(&path.to_string_lossy()),
        Rootfs::Pivot { .. } => not_pivoted(scene),
        Rootfs::MakeCwd { path } => not_made(scene, "cwd on read-only", &path.to_string_lossy()),
        Rootfs::OpenNull { .. } => null(scene),
        Rootfs::Mask { at, .. } | Rootfs::ReadonlyPath { at, .. } => {
            let (Place::Rootfs { path, .. } | Place::Under { path, .. }) = at;
            let path = path.to_string_lossy();
            missing::found("masked path", &path, &path::walk(scene.root()?.at(), &path)?)
        }
        _ => None,
    }
}

/// What stops the path of the rootfs.
pub fn not_there(path: &str) -> Option<Found> {
    let path = &plan::clean(path);
    let walk = path::walk(path::host()?.at(), path)?;
    match &walk.end {
        path::End::There { stat, .. } if !path::is_dir(stat) => {
            Some(Found::new("rootfs no directory", &[path, kind(stat)]))
        }
        path::End::There { stat, .. } => {
            let person = Person::of(0).filter(|person| !person.may(EXECUTE, stat))?;
            let (mode, owners) = (rights::mode(stat), person.owners(stat));
            Some(Found::new("closed rootfs", &[&person.user(), path, &mode, &owners]))
        }
        _ => missing::found("rootfs", path, &walk),
    }
}

/// pivot_root(2) wants a mount of its own as the new root, and no shared mount around it.
fn not_pivoted(scene: &Scene) -> Option<Found> {
    let failed = scene.failed().filter(|failed| failed.call.name() == "pivot_root")?;
    let mounts = mountinfo::of(scene.pid).ok()?;
    let shared = |mount: &&mountinfo::Mount| mount.propagation.iter().any(|word| word.starts_with("shared:"));
    match failed.errno {
        Errno::EBUSY => {
            let (path, host) = (&scene.spec?.root.path, path::host()?);
            let root = syscalls::fstat(host.at(), Why("the rootfs can be the root itself")).ok()?;
            let (.., stat) = path::find(host.at(), path)?;
            let same = (stat.st_dev, stat.st_ino) == (root.st_dev, root.st_ino);
            same.then(|| Found::new("root of the machine", &[path]))
        }
        Errno::EINVAL => mounts.iter().find(shared).map(|mount| Found::new("shared root", &[&mount.target])),
        _ => None,
    }
}

/// A directory that is missing on what is read-only. `name`: the entry of texts.txt.
pub fn not_made(scene: &Scene, name: &str, path: &str) -> Option<Found> {
    let path = &format!("/{}", path.trim_start_matches('/'));
    let walk = path::walk(scene.root()?.at(), path)?;
    match (&walk.end, scene.failed()?.errno) {
        (path::End::Missing { path: part }, Errno::EROFS) => Some(Found::new(name, &[path, part])),
        (path::End::Missing { .. }, _) => None,
        _ => missing::found("path in the rootfs", path, &walk),
    }
}

/// What stands in the place of the null device.
fn null(scene: &Scene) -> Option<Found> {
    if scene.trouble != Trouble::Check(Check::NotTheNullDevice) {
        return None;
    }
    let (_, _, stat) = path::find(scene.root()?.at(), "/dev/null")?;
    Some(Found::new("not the null device", &[kind(&stat)]))
}
