//! `readonlyPaths`, `maskedPaths` and the read-only root (config-linux.md, config.md). May touch: types and tables.

use super::create::problem;
use super::mounts::{self, options};
use super::op::{Place, Rootfs};
use super::{Builder, Step, entry};
use crate::spec::Problem;

/// Those of the paths which engines mask that are directories; the others are files.
const DIRECTORIES: [&str; 7] = [
    "/sys/dev/block",
    "/proc/acpi",
    "/proc/asound",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/fs/selinux",
];

/// Whether a path that engines mask is a directory. One of each processor, in newer ones.
fn directory(path: &str) -> bool {
    DIRECTORIES.contains(&path) || path.ends_with("/thermal_throttle")
}

/// After the switch of root.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Paths;
    let mut late = core::mem::take(&mut b.late);
    b.plan.init.append(&mut late);
    b.stands_nowhere();
    for (i, path) in b.spec.linux.readonly_paths.iter().enumerate() {
        b.from = entry("/linux/readonlyPaths", i);
        if mounts::clean(path) == "/" {
            continue; // with the root, at the end
        }
        let at = mounts::place(&b.covered, path, true).map_err(|p| problem(&b.from.clone(), p))?;
        if let Place::Under { base, .. } = at {
            b.enter(base);
        }
        b.init(Rootfs::ReadonlyPath { at }, "what lies there speaks for the whole machine: look, do not write");
    }
    if !b.spec.linux.masked_paths.is_empty() {
        b.from = "/linux/maskedPaths".into();
        let dev = b.covered.iter().rev().find(|m| m.path == "/dev");
        // What this plan makes there is the device, unless the configuration asks for another one of that name.
        let other = |d: &crate::spec::Device| mounts::clean(&d.path) == "/dev/null";
        let check = !dev.is_some_and(|m| m.empty) || b.spec.linux.devices.iter().any(other);
        b.init(Rootfs::OpenNull { check }, "masks of files are binds of this device, which must be the real one");
    }
    for (i, path) in b.spec.linux.masked_paths.iter().enumerate() {
        b.from = entry("/linux/maskedPaths", i);
        let at = mounts::place(&b.covered, path, true).map_err(|p| problem(&b.from.clone(), p))?;
        if let Place::Under { base, .. } = at {
            b.enter(base);
        }
        let directory = directory(&mounts::clean(path));
        b.init(Rootfs::Mask { at, directory }, "what lies there tells about the host, or reaches into it");
    }
    let named = b.spec.linux.readonly_paths.iter();
    let named = named.enumerate().find(|(_, path)| mounts::clean(path) == "/");
    if b.spec.root.readonly || named.is_some() {
        b.from = match named {
            Some((i, _)) if !b.spec.root.readonly => format!("/linux/readonlyPaths/{i}"),
            _ => "/root/readonly".into(),
        };
        b.init(Rootfs::Readonly, "last of all mounts, since mount points had to be made before");
    }
    Ok(())
}

/// The root itself, to whom its mounts are passed on (mount_namespaces(7)).
pub fn propagation(b: &mut Builder) {
    if !b.spec.linux.rootfs_propagation.is_empty() {
        b.from = "/linux/rootfsPropagation".into();
        let flags = options::propagation(&b.spec.linux.rootfs_propagation) as u32;
        b.init(Rootfs::RootPropagation { flags }, "how mounts of the root are passed on from now on");
        for (_, line) in core::mem::take(&mut b.own_propagation) {
            b.plan.init.push(line);
        }
    }
}
