//! `readonlyPaths`, `maskedPaths` and the read-only root (config-linux.md, config.md). May touch: types and tables.

use super::create::problem;
use super::mounts;
use super::op::{Op, Place};
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

/// After the switch of root.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Paths;
    for (i, path) in b.spec.linux.readonly_paths.iter().enumerate() {
        b.from = entry("/linux/readonlyPaths", i);
        let at = mounts::place(&b.covered, path, true).map_err(|p| problem(&b.from.clone(), p))?;
        if let Place::Under { base, .. } = at {
            b.enter(base);
        }
        b.init(
            Op::ReadonlyPath { at },
            "what lies there speaks for the whole machine: look, do not write",
        );
    }
    if !b.spec.linux.masked_paths.is_empty() {
        b.from = "/linux/maskedPaths".into();
        let dev = b.covered.iter().rev().find(|m| m.path == "/dev");
        let check = !dev.is_some_and(|m| m.empty);
        b.init(
            Op::OpenNull { check },
            "masks of files are binds of this device, which must be the real one",
        );
    }
    for (i, path) in b.spec.linux.masked_paths.iter().enumerate() {
        b.from = entry("/linux/maskedPaths", i);
        let at = mounts::place(&b.covered, path, true).map_err(|p| problem(&b.from.clone(), p))?;
        if let Place::Under { base, .. } = at {
            b.enter(base);
        }
        let directory = DIRECTORIES.contains(&mounts::clean(path).as_str());
        b.init(
            Op::Mask { at, directory },
            "what lies there tells about the host, or reaches into it",
        );
    }
    if b.spec.root.readonly {
        b.from = "/root/readonly".into();
        b.init(
            Op::ReadonlyRoot,
            "last of all mounts, since mount points had to be made before",
        );
    }
    Ok(())
}
