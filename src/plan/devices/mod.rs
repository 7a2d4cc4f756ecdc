//! `/dev`: the default devices, `linux.devices`, and the links (config-linux.md, "Devices"); and which devices the
//! cgroup may use. May touch: types and tables.
//!
//! A /dev may be lent by the host: a bind, or a directory on another mount than the rootfs. Others use it too, so no
//! device, link or console is made in it, and nothing is removed, as with runc.

pub mod program;

use super::builder::Builder;
use super::cgroup;
use super::op::{Attributes, Devices, Mounts, Slot, Source};
use super::order::{Host, Init};
use super::text::{c, clean, cleaned, entry};
use super::tree::{Covered, Covering, covering};
use crate::spec::{Device, Problem, Spec};
use syscalls::MountFlags;

/// The default devices of config-linux.md: name, major, minor.
pub const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The links of runtime-linux.md, and ptmx.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    rules(b);
    if b.tree.at("/dev").is_none() {
        let op = Devices::OpenDirectory { path: c"dev".into(), slot: Slot::DEV, own: true };
        b.init(Init::Devices, "", op, "the default devices are made in this directory");
        b.tree.covered.push(Covered { path: "/dev".into(), slot: None, fresh: false, empty: false, lent: false });
    }
    if lent(b) {
        configured(b)?;
        return spare_null(b);
    }
    defaults(b)?;
    configured(b)?;
    links(b)
}

/// Whether others use what lies at /dev, too.
pub fn lent(b: &Builder) -> bool {
    b.tree.at("/dev").is_some_and(|m| m.lent)
}

/// The devices of `linux.devices` that are not made, because a mount of the list lends what they would be made in.
pub fn left_out<'a>(spec: &'a Spec) -> impl Iterator<Item = &'a str> {
    // Where a mount has the device's own path, the mount brings the device.
    let own = |path: &str| spec.mounts.iter().any(|m| cleaned(&m.destination) == path);
    let lent = move |path: &&str| covering(spec, path) == Covering::Lent && !own(&cleaned(path));
    spec.linux.devices.iter().map(|device| device.path.as_str()).filter(lent)
}

fn defaults(b: &mut Builder) -> Result<(), Problem> {
    for (name, major, minor) in DEVICES {
        let path = format!("/dev/{name}");
        if b.spec.linux.devices.iter().any(|d| cleaned(&d.path) == path) {
            continue;
        }
        if b.users.foreign() {
            b.marked(b.foreign(), |b| bound(b, "", &path, Slot::DEV, name))?;
            continue;
        }
        let mode = libc::S_IFCHR | 0o666;
        let op = Devices::Node { base: Slot::DEV, name: c("", name)?, mode, major, minor, uid: 0, gid: 0 };
        b.init(Init::Devices, "", op, "programs expect the default devices (config-linux.md, \"Default Devices\")");
    }
    Ok(())
}

/// `linux.devices`.
fn configured(b: &mut Builder) -> Result<(), Problem> {
    for (i, device) in b.spec.linux.devices.iter().enumerate() {
        let from = entry("/linux/devices", i);
        let path = clean(&device.path);
        let simple = path.strip_prefix("/dev/").filter(|n| !n.contains('/'));
        let over = match simple {
            Some(_) if lent(b) => Covering::Lent,
            Some(_) => Covering::Own,
            None => covering(b.spec, &path),
        };
        if over == Covering::Lent {
            continue;
        }
        let (base, name) = match simple {
            Some(name) => (Slot::DEV, name),
            None => directory_of(b, &from, &path, over == Covering::Rootfs)?,
        };
        match b.users.foreign() && device.kind != "p" {
            true => b.marked(b.foreign(), |b| bound(b, &from, &path, base, name))?,
            false => node(b, &from, device, base, name)?,
        }
    }
    Ok(())
}

fn node(b: &mut Builder, from: &str, device: &Device, base: Slot, name: &str) -> Result<(), Problem> {
    let kind = match device.kind.as_str() {
        "b" => libc::S_IFBLK,
        "p" => libc::S_IFIFO,
        _ => libc::S_IFCHR,
    };
    let op = Devices::Node {
        base,
        name: c(from, name)?,
        mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
        major: device.major.unwrap_or(0) as u32,
        minor: device.minor.unwrap_or(0) as u32,
        uid: device.uid.unwrap_or(0),
        gid: device.gid.unwrap_or(0),
    };
    b.init(Init::Devices, from, op, "the configuration asks for this device");
    Ok(())
}

/// The directory that a device goes into, and its name there.
fn directory_of<'p>(b: &mut Builder, from: &str, path: &'p str, own: bool) -> Result<(Slot, &'p str), Problem> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = match parent.trim_start_matches('/') {
        "" => ".",
        parent => parent,
    };
    let slot = b.slot();
    let op = Devices::OpenDirectory { path: c(from, parent)?, slot, own };
    b.init(Init::Devices, from, op, "the configuration asks for a device in this directory");
    Ok((slot, name))
}

fn links(b: &mut Builder) -> Result<(), Problem> {
    for (name, target) in LINKS {
        let replace = name == "ptmx";
        let why = match replace {
            true => "new terminals must come from the container's own devpts",
            false => "programs expect this link (runtime-linux.md)",
        };
        let (name, target) = (c("", name)?, c("", target)?);
        b.init(Init::Devices, "", Devices::Link { base: Slot::DEV, name, target, replace }, why);
    }
    Ok(())
}

/// A /dev of the host's may have no null device, and masks need one.
fn spare_null(b: &mut Builder) -> Result<(), Problem> {
    let at = "/linux/maskedPaths";
    if !b.spec.linux.masked_paths.is_empty() {
        let why =
            "a mask of a file is a bind of the null device, and the host's /dev, which is bound here, may have none";
        b.source(Host::Devices, at, host_device(at, "/dev/null", Slot::SPARE_NULL)?, why);
    }
    Ok(())
}

/// In a user namespace no process may make a device (mknod(2)): the host's is bound there.
fn bound(b: &mut Builder, from: &str, host: &str, base: Slot, name: &str) -> Result<(), Problem> {
    let tree = b.slot();
    let why = "in a user namespace no device can be made, so the host's is bound";
    b.source(Host::Devices, from, host_device(from, host, tree)?, why);
    let op = Devices::Bound { base, name: c(from, name)?, tree };
    b.init(Init::Devices, from, op, "a bind needs a file to lie on; the host's device is attached there");
    Ok(())
}

/// A device of the host's, as a mount of its own.
fn host_device(from: &str, path: &str, tree: Slot) -> Result<Mounts, Problem> {
    Ok(Mounts::OpenSource(Source {
        path: c(from, path)?,
        in_rootfs: false,
        recursive: false,
        link: false,
        idmap: None,
        attributes: Attributes { propagation: MountFlags::MS_SLAVE, ..Attributes::default() },
        tree,
    }))
}

/// Which devices the cgroup may use.
fn rules(b: &mut Builder) {
    let rules = &b.spec.linux.resources.devices;
    // A device program takes privileges over the machine; without them no device can be made either.
    if !b.wish.cgroup || b.users.limited || rules.is_empty() && cgroup::is_optional(b) {
        return;
    }
    let (from, why) = match rules.is_empty() {
        true => ("", "without a list only the default devices are allowed"),
        false => (
            "/linux/resources/devices",
            "it decides which devices may be opened: without it root of the container could open every one of the host",
        ),
    };
    b.host(Host::DeviceProgram, from, Devices::Program { program: program::compile(rules) }, why);
}
