//! The devices of a container: the nodes in its /dev, and which devices it may use. May touch: system calls, types.

use super::mounts::{Mount, covering};
use super::notes::note;
use super::proc::Proc;
use crate::host::input;
use crate::plan::clean;
use crate::plan::devices::DEVICES;
use crate::sorted;
use crate::spec::{DeviceRule, Spec};
use alloc::ffi::CString;
use core::ffi::CStr;
use serde::Serialize;
use syscalls::{At, AtFlags, OpenFlags, Result, Why};

/// Numbers of /dev/ptmx, and of the container's own terminals (admin-guide/devices.txt).
const PTMX: (u32, u32) = (5, 2);
const PTS: u32 = 136;

#[derive(Serialize, Default)]
#[serde(rename_all = "camelCase")]
pub struct Devices {
    pub nodes: Vec<Node>,
    /// Why the nodes were not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<&'static str>,
    /// The configuration's, the last of those that fit decides.
    pub rules: Vec<Rule>,
    /// Whether the kernel asks a program for each use of a device; none: this user may not ask that.
    pub decided: Option<bool>,
    /// Any device may be used for which there is a node.
    pub all_allowed: bool,
}

#[derive(Serialize, Debug)]
pub struct Node {
    pub path: String,
    /// `c` or `b`.
    #[serde(rename = "type")]
    pub kind: char,
    pub major: u32,
    pub minor: u32,
    /// Octal digits.
    pub mode: String,
    pub uid: u32,
    pub gid: u32,
    pub pointer: Option<String>,
}

impl Node {
    /// It holds nothing of the host's: a device that every container gets, or a terminal of its own.
    pub fn is_harmless(&self) -> bool {
        let numbers = (self.major, self.minor);
        let default = DEVICES.iter().any(|(_, major, minor)| (*major, *minor) == numbers);
        self.kind == 'c' && (default || numbers == PTMX || self.major == PTS)
    }
}

#[derive(Serialize)]
pub struct Rule {
    pub pointer: String,
    pub allow: bool,
    /// `c 1:3`, `b 8:*`, `a *:*`.
    pub device: String,
    pub access: String,
}

/// A file system that a program serves: a look at it can wait for that program without end.
fn is_served(mount: &Mount) -> bool {
    mount.kind.starts_with("fuse")
}

/// The devices that there are in /dev, and those that the configuration puts elsewhere.
pub fn nodes(proc: &Proc, mounts: &[Mount], spec: Option<&Spec>) -> Result<Devices> {
    let mut devices = Devices::default();
    if covering(mounts, "/dev").is_some_and(is_served) {
        devices.unseen = Some(note("served"));
        return Ok(devices);
    }
    let Some(root) = proc.root()? else {
        return Ok(devices);
    };
    let why = Why("a device that has a node there can be opened");
    if let Some(dev) = proc.inside(root.at(), "/dev", OpenFlags::O_DIRECTORY, why)? {
        let mut names = input::names(dev.at(), why)?;
        sorted::sort(&mut names);
        for name in names {
            let path = format!("/dev/{}", name.to_string_lossy());
            if !mounts.iter().any(|mount| mount.target == path && is_served(mount)) {
                devices.nodes.extend(node(proc, dev.at(), &name, path)?);
            }
        }
    }
    let configured = spec.map_or(&[][..], |spec| &spec.linux.devices);
    for path in configured.iter().map(|device| clean(&device.path)) {
        let (above, name) = path.rsplit_once('/').unwrap_or(("", &path));
        let served = covering(mounts, &path).is_some_and(is_served);
        if served || devices.nodes.iter().any(|node| node.path == path) {
            continue;
        }
        let flags = OpenFlags::O_PATH | OpenFlags::O_DIRECTORY;
        if let Some(dir) = proc.inside(root.at(), &format!("{above}/."), flags, why)? {
            let name = CString::new(name).unwrap_or_default();
            devices.nodes.extend(node(proc, dir.at(), &name, path)?);
        }
    }
    for node in &mut devices.nodes {
        let at = configured.iter().position(|device| clean(&device.path) == node.path);
        node.pointer = at.map(|at| format!("/linux/devices/{at}"));
    }
    Ok(devices)
}

/// A name, if it is that of a device.
fn node(proc: &Proc, dir: At, name: &CStr, path: String) -> Result<Option<Node>> {
    let why = Why("the numbers of a device say what it is, whatever its name is");
    let looked = syscalls::newfstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW, why);
    let Some(stat) = proc.known(&path, looked)? else {
        return Ok(None);
    };
    let kind = match stat.st_mode & libc::S_IFMT {
        libc::S_IFCHR => 'c',
        libc::S_IFBLK => 'b',
        _ => return Ok(None),
    };
    Ok(Some(Node {
        path,
        kind,
        major: libc::major(stat.st_rdev),
        minor: libc::minor(stat.st_rdev),
        mode: format!("{:04o}", stat.st_mode & 0o7777),
        uid: stat.st_uid,
        gid: stat.st_gid,
        pointer: None,
    }))
}

/// What the configuration says of the use of devices. `decided`: whether the kernel asks a program.
pub fn rules(devices: &mut Devices, given: &[DeviceRule], decided: Option<bool>) {
    let number = |number: Option<i64>| match number {
        Some(number @ 0..) => number.to_string(),
        _ => "*".into(),
    };
    let rule = |(i, rule): (usize, &DeviceRule)| Rule {
        pointer: format!("/linux/resources/devices/{i}"),
        allow: rule.allow,
        device: format!(
            "{} {}:{}",
            if rule.kind.is_empty() { "a" } else { &rule.kind },
            number(rule.major),
            number(rule.minor)
        ),
        access: if rule.access.is_empty() { "rwm".into() } else { rule.access.clone() },
    };
    devices.rules = given.iter().enumerate().map(rule).collect();
    devices.decided = decided;
    let for_all = |rule: &&Rule| rule.device == "a *:*" && rule.access.contains(['r', 'w']);
    let last = devices.rules.iter().rev().find(for_all);
    devices.all_allowed = decided == Some(false) || last.is_some_and(|rule| rule.allow);
}
