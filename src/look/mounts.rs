//! The mounts of a process, out of /proc/PID/mountinfo: which line of the configuration each comes
//! from, and what of the host lies there. May touch: procfs, types.

use super::proc::Proc;
use crate::host::mountinfo;
pub use crate::host::mountinfo::below;
use crate::plan::clean;
use crate::plan::devices::DEVICES;
use crate::spec::{self, Spec};
use alloc::collections::BTreeSet;
use serde::Serialize;
use syscalls::{Result, Why};

#[derive(Serialize, Clone, Default, Debug)]
#[serde(rename_all = "camelCase")]
pub struct Mount {
    pub id: u32,
    pub parent: u32,
    pub target: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub source: String,
    /// What of the file system lies there: `/` is all of it.
    pub root: String,
    /// Major and minor number of the file system: mounts with the same ones show the same files.
    pub device: String,
    pub options: Vec<String>,
    pub filesystem_options: Vec<String>,
    /// `shared:N`, `master:N`, `unbindable`; empty: private.
    pub propagation: Vec<String>,
    pub origin: Option<Origin>,
    /// The line of config.json that the mount comes from.
    pub pointer: Option<String>,
    /// Where the host has the same files; none if it has no mount of that file system.
    pub host: Option<String>,
}

/// Why a mount is there.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// A line of config.json asks for it.
    Configuration,
    /// It lay below a directory of the host that was bound with all below it.
    Below,
    /// A device that every container gets, bound because it could not be made.
    Device,
    /// The container's terminal.
    Console,
    /// It was made later: by `mounts add`, or by a program of the container.
    Later,
}

impl Mount {
    pub fn writable(&self) -> bool {
        let is_ro = |options: &[String]| options.iter().any(|word| word == "ro");
        !is_ro(&self.options) && !is_ro(&self.filesystem_options)
    }

    /// It hides a path of /proc or /sys, as `linux.maskedPaths` asks.
    pub fn is_mask(&self) -> bool {
        self.pointer.as_ref().is_some_and(|pointer| pointer.starts_with("/linux/maskedPaths"))
    }

    /// The peer group that the mount passes mounts on to.
    pub fn peers(&self) -> Option<&str> {
        self.propagation.iter().find_map(|word| word.strip_prefix("shared:"))
    }
}

/// The mounts of a process, in the kernel's order.
pub fn of(proc: &Proc) -> Result<Vec<Mount>> {
    let why = Why("the kernel lists there all mounts that the process can reach");
    let text = proc.text(c"mountinfo", why)?.unwrap_or_default();
    Ok(text.lines().filter_map(understand).collect())
}

/// A line of the list. Its origin and its pointer are not known yet.
fn understand(line: &str) -> Option<Mount> {
    let mount = mountinfo::understand(line)?;
    Some(Mount {
        id: mount.id,
        parent: mount.parent,
        target: mount.target,
        kind: mount.kind,
        source: mount.source,
        root: mount.root,
        device: mount.device,
        options: mount.options,
        filesystem_options: mount.filesystem_options,
        propagation: mount.propagation,
        ..Mount::default()
    })
}

/// The mount that a path lies on.
pub fn covering<'m>(mounts: &'m [Mount], path: &str) -> Option<&'m Mount> {
    mountinfo::covering(mounts, |mount| &mount.target, path)
}

/// Where the host has the files of a mount.
fn on_host(mount: &Mount, host: &[Mount]) -> Option<String> {
    let same = host.iter().filter(|one| one.device == mount.device && below(&mount.root, &one.root).is_some());
    let nearest = same.max_by_key(|one| one.root.len())?;
    let rest = below(&mount.root, &nearest.root)?;
    Some(clean(&format!("{}{rest}", nearest.target)))
}

/// A mount that a configuration asks for: its place, why, and the line.
struct Asked {
    path: String,
    origin: Origin,
    pointer: Option<String>,
    found: bool,
}

fn asked(spec: &Spec) -> Vec<Asked> {
    let mut all = Vec::new();
    let mut ask = |path: &str, origin, pointer: Option<String>| {
        all.push(Asked { path: clean(path), origin, pointer, found: false });
    };
    ask("/", Origin::Configuration, Some("/root/path".into()));
    for (i, mount) in spec.mounts.iter().enumerate() {
        ask(&mount.destination, Origin::Configuration, Some(format!("/mounts/{i}")));
    }
    for (i, device) in spec.linux.devices.iter().enumerate() {
        ask(&device.path, Origin::Configuration, Some(format!("/linux/devices/{i}")));
    }
    // Where none of them can be made, the host's are bound.
    for (name, ..) in DEVICES {
        ask(&format!("/dev/{name}"), Origin::Device, None);
    }
    ask("/dev/console", Origin::Console, Some("/process/terminal".into()));
    let paths = [("readonlyPaths", &spec.linux.readonly_paths), ("maskedPaths", &spec.linux.masked_paths)];
    for (key, list) in paths {
        for (i, path) in list.iter().enumerate() {
            ask(path, Origin::Configuration, Some(format!("/linux/{key}/{i}")));
        }
    }
    all
}

/// Says of each mount where it comes from. `resolve`: a path with its links followed inside the container.
pub fn judge(
    mounts: &mut [Mount],
    host: &[Mount],
    spec: Option<&Spec>,
    resolve: impl Fn(&str) -> Result<Option<String>>,
) -> Result<()> {
    mounts.iter_mut().for_each(|mount| mount.host = on_host(mount, host));
    let Some(spec) = spec else {
        return Ok(());
    };
    let mut asked = asked(spec);
    let binds: Vec<(String, String)> = binds(spec).collect();
    covered(mounts, &asked, &binds);
    mounts.iter_mut().filter(|mount| mount.origin.is_none()).for_each(|mount| attribute(mount, &mut asked));
    if mounts.iter().any(|mount| mount.origin.is_none()) {
        for one in asked.iter_mut().filter(|one| !one.found && one.pointer.is_some()) {
            if let Some(path) = resolve(&one.path)? {
                one.path = path;
            }
        }
        mounts.iter_mut().filter(|mount| mount.origin.is_none()).for_each(|mount| attribute(mount, &mut asked));
    }
    for mount in mounts.iter_mut().filter(|mount| mount.origin.is_none()) {
        let nearest = bound(mount, &binds);
        mount.origin = Some(if nearest.is_some() { Origin::Below } else { Origin::Later });
        mount.pointer = nearest.map(|(_, pointer)| pointer.clone());
    }
    Ok(())
}

/// The bind that a mount came with.
fn bound<'b>(mount: &Mount, binds: &'b [(String, String)]) -> Option<&'b (String, String)> {
    let above = binds.iter().filter(|(path, _)| mount.host.is_some() && below(&mount.target, path).is_some());
    above.max_by_key(|(path, _)| path.len())
}

/// A bind of /sys brings the host's mounts below it along. A mount that the configuration asks for there covers one of them.
fn covered(mounts: &mut [Mount], asked: &[Asked], binds: &[(String, String)]) {
    for at in 0..mounts.len() {
        let mount = &mounts[at];
        let Some((_, pointer)) = bound(mount, binds).filter(|(path, _)| *path != mount.target) else { continue };
        let asks = asked.iter().filter(|one| one.path == mount.target).count();
        let there = mounts[at..].iter().filter(|other| other.target == mount.target).count();
        if asks > 0 && there > asks {
            let pointer = pointer.clone();
            (mounts[at].origin, mounts[at].pointer) = (Some(Origin::Below), Some(pointer));
        }
    }
}

fn attribute(mount: &mut Mount, asked: &mut [Asked]) {
    let here = asked.iter_mut().find(|one| !one.found && one.path == mount.target);
    if let Some(one) = here {
        one.found = true;
        (mount.origin, mount.pointer) = (Some(one.origin), one.pointer.clone());
    }
}

/// The places at which a directory of the host is bound.
fn binds<'s>(spec: &'s Spec) -> impl Iterator<Item = (String, String)> + 's {
    let is_bind = |mount: &spec::Mount| {
        mount.kind == "bind" || mount.options.iter().any(|word| matches!(word.as_str(), "bind" | "rbind"))
    };
    let binds = spec.mounts.iter().enumerate().filter(move |(_, mount)| is_bind(mount));
    binds.map(|(i, mount)| (clean(&mount.destination), format!("/mounts/{i}")))
}

/// The peer groups in which the host's mounts are.
pub fn peer_groups(host: &[Mount]) -> BTreeSet<&str> {
    let mut groups = BTreeSet::new();
    groups.extend(host.iter().filter_map(Mount::peers));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "\
36 35 98:0 / / rw,noatime - ext4 /dev/vda rw
37 36 0:21 /a\\040b /x\\012y ro,nosuid shared:7 master:1 - tmpfs t\\134 rw,size=1k
nonsense
38 36 98:0 /srv/data /data rw - ext4 /dev/vda rw
";

    fn mounts() -> Vec<Mount> {
        LINES.lines().filter_map(understand).collect()
    }

    #[test]
    fn lines_are_understood() {
        let all = mounts();
        assert_eq!(all.len(), 3);
        assert_eq!((all[1].root.as_str(), all[1].target.as_str(), all[1].source.as_str()), ("/a b", "/x\ny", "t\\"));
        assert_eq!((all[1].peers(), all[1].writable(), all[0].writable()), (Some("7"), false, true));
        assert!(understand("1 2 3:4 / /a rw").is_none());
    }

    #[test]
    fn the_host_has_the_same_files_at_another_place() {
        let (host, all) = (vec![mounts()[0].clone()], mounts());
        let places: Vec<Option<String>> = all.iter().map(|mount| on_host(mount, &host)).collect();
        assert_eq!(places, [Some("/".into()), None, Some("/srv/data".into())]);
    }

    #[test]
    fn a_path_lies_on_the_nearest_mount() {
        let all = mounts();
        let at = |path: &str| covering(&all, path).map(|mount| mount.id);
        assert_eq!([at("/data/x"), at("/database"), at("/")], [Some(38), Some(36), Some(36)]);
    }
}
