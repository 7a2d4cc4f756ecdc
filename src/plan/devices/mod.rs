//! `/dev`: the default devices, `linux.devices`, and the links (config-linux.md, "Devices"); and who may use which devices.
//! May touch: types and tables.
//!
//! A /dev that is lent (a bind of the host's, or what a path leads to that lies on another mount than the rootfs) is
//! others', too: no device, link or console is made in it, and nothing taken away, as runc has it.

pub mod program;

use super::create::problem;
use super::mounts::{self, Covered};
use super::op::{Attributes, Devices, Mounts, Slot};
use super::{Builder, Step, c};
use crate::spec::{Mount, Problem, Spec, Text};
use alloc::format;
use alloc::string::String;

/// The default devices of config-linux.md: name, major, minor.
const DEVICES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

/// The links of runtime-linux.md, and ptmx.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// `/dev`: the default devices, `linux.devices`, and the links. Where /dev is lent, it stays as it is.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Devices;
    b.from = String::new();
    if !b.covered.iter().any(|m| m.path == "/dev") {
        b.init(
            Devices::OpenDirectory { path: c("dev").map_err(|p| problem("", p))?, slot: Slot::DEV, own: true },
            "the default devices go there",
        );
        b.covered.push(Covered { path: "/dev".into(), slot: None, fresh: false, empty: false, lent: false });
    }
    if lent(b) {
        configured(b)?;
        return spare_null(b);
    }
    defaults(b)?;
    configured(b)?;
    links(b)
}

/// Whether what lies at /dev belongs to others too.
pub fn lent(b: &Builder) -> bool {
    let dev = b.covered.iter().rev().find(|m| m.path == "/dev");
    dev.is_some_and(|m| m.lent)
}

/// The devices of `linux.devices` that are not made, because a mount of the list lends what they would be made in.
pub fn left_out<'a>(spec: &'a Spec) -> impl Iterator<Item = &'a str> {
    // One that a mount of its own puts there is looked at, and is the one that was asked for.
    let own = |path: &str| spec.mounts.iter().any(|m| mounts::clean(&m.destination) == path);
    let lent = move |path: &&str| covering(spec, path) == Covering::Lent && !own(&mounts::clean(path));
    let devices = spec.linux.devices.iter();
    devices.map(|device| device.path.as_str()).filter(lent)
}

/// What a path in the container lies in.
#[derive(PartialEq, Eq)]
enum Covering {
    Rootfs,
    /// A mount that is the container's alone.
    Own,
    Lent,
}

/// The last mount of the list on the path, or above it, is what is seen there.
fn covering(spec: &Spec, path: &str) -> Covering {
    let path = mounts::clean(path);
    let over = |m: &&Mount| {
        let at = mounts::clean(&m.destination);
        path == at || mounts::below(&path, &at).is_some()
    };
    let remount = |m: &Mount| m.options.iter().any(|option| option == "remount");
    let mut listed = spec.mounts.iter().rev().filter(|m| !remount(m));
    let Some(mount) = listed.find(over) else {
        return Covering::Rootfs;
    };
    let bind = |option: &Text| matches!(option.as_str(), "bind" | "rbind");
    let own = mounts::OWN.contains(&mount.kind.as_str()) && !mount.options.iter().any(bind);
    if own { Covering::Own } else { Covering::Lent }
}

/// Whether what lies on a path is a file system of the container's alone.
pub fn is_own(spec: &Spec, path: &str) -> bool {
    covering(spec, path) == Covering::Own
}

fn defaults(b: &mut Builder) -> Result<(), Problem> {
    let why = "every container has the default devices (config-linux.md, \"Default Devices\")";
    for (name, major, minor) in DEVICES {
        if b.spec.linux.devices.iter().any(|d| mounts::clean(&d.path) == format!("/dev/{name}")) {
            continue;
        }
        if b.users.foreign() {
            bound(b, "", &format!("/dev/{name}"), Slot::DEV, name)?;
            continue;
        }
        let name = c(name).map_err(|p| problem("", p))?;
        let mode = libc::S_IFCHR | 0o666;
        b.init(Devices::Node { base: Slot::DEV, name, mode, major, minor, uid: 0, gid: 0 }, why);
    }
    Ok(())
}

/// `linux.devices`.
fn configured(b: &mut Builder) -> Result<(), Problem> {
    for (i, device) in b.spec.linux.devices.iter().enumerate() {
        let pointer = format!("/linux/devices/{i}");
        let path = mounts::clean(&device.path);
        let simple = path.strip_prefix("/dev/").filter(|n| !n.contains('/'));
        let over = match simple {
            Some(_) if lent(b) => Covering::Lent,
            Some(_) => Covering::Own,
            None => covering(b.spec, &path),
        };
        if over == Covering::Lent {
            continue;
        }
        b.from = pointer.clone();
        let (base, name) = match simple {
            Some(name) => (Slot::DEV, String::from(name)),
            None => directory_of(b, &pointer, &path, over == Covering::Rootfs)?,
        };
        let kind = match device.kind.as_str() {
            "b" => libc::S_IFBLK,
            "p" => libc::S_IFIFO,
            _ => libc::S_IFCHR,
        };
        if b.users.foreign() && device.kind != "p" {
            bound(b, &pointer, &path, base, &name)?;
            continue;
        }
        let op = Devices::Node {
            base,
            name: c(&name).map_err(|p| problem(&pointer, p))?,
            mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
            major: device.major.unwrap_or(0) as u32,
            minor: device.minor.unwrap_or(0) as u32,
            uid: device.uid.unwrap_or(0),
            gid: device.gid.unwrap_or(0),
        };
        b.init(op, "the configuration asks for this device");
    }
    Ok(())
}

/// The directory that a device goes into, and its name there.
fn directory_of(b: &mut Builder, pointer: &str, path: &str, own: bool) -> Result<(Slot, String), Problem> {
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let parent = match parent.trim_start_matches('/') {
        "" => ".",
        parent => parent,
    };
    let slot = b.slot();
    let path = c(parent).map_err(|p| problem(pointer, p))?;
    b.init(Devices::OpenDirectory { path, slot, own }, "the configuration wants a device there");
    Ok((slot, name.into()))
}

fn links(b: &mut Builder) -> Result<(), Problem> {
    b.from = String::new();
    for (name, target) in LINKS {
        let replace = name == "ptmx";
        let why = if replace {
            "new terminals come from the container's own devpts"
        } else {
            "programs expect this link (runtime-linux.md)"
        };
        let (name, target) = (c(name).map_err(|p| problem("", p))?, c(target).map_err(|p| problem("", p))?);
        b.init(Devices::Link { base: Slot::DEV, name, target, replace }, why);
    }
    Ok(())
}

/// A /dev that is lent may have no null device, and masks need one.
fn spare_null(b: &mut Builder) -> Result<(), Problem> {
    if b.spec.linux.masked_paths.is_empty() {
        return Ok(());
    }
    b.from = "/linux/maskedPaths".into();
    let op = host_device("/linux/maskedPaths", "/dev/null", Slot::SPARE_NULL)?;
    b.source(op, "masks of files are binds of the null device, and a /dev that is lent may have none");
    Ok(())
}

/// In a user namespace nobody may make a device (mknod(2)): the host's is bound there.
fn bound(b: &mut Builder, at: &str, host: &str, base: Slot, name: &str) -> Result<(), Problem> {
    let tree = b.slot();
    let op = host_device(at, host, tree)?;
    b.source(op, "in a user namespace no device can be made, so the host's is lent");
    let op = Devices::Bound { base, name: c(name).map_err(|p| problem(at, p))?, tree };
    b.init(op, "a file for the host's device to stand on, and the device");
    Ok(())
}

/// A device of the host's, as a mount of its own.
fn host_device(at: &str, path: &str, tree: Slot) -> Result<Mounts, Problem> {
    let attributes = Attributes { propagation: libc::MS_SLAVE, ..Attributes::default() };
    Ok(Mounts::OpenSource {
        path: c(path).map_err(|p| problem(at, p))?,
        in_rootfs: false,
        recursive: false,
        link: false,
        idmap: None,
        attributes,
        tree,
    })
}

/// Who may use which devices in the cgroup. `optional`: whether the cgroup may be missing.
pub fn rules(b: &mut Builder, optional: bool) {
    let rules = &b.spec.linux.resources.devices;
    // A device program needs privileges over the machine; without them no device can be made either.
    if b.users.limited || rules.is_empty() && optional {
        return;
    }
    let (from, why) = match rules.is_empty() {
        true => ("", "without a list the default devices alone are allowed: what is absent gives no rights"),
        false => ("/linux/resources/devices", "the kernel asks this program at every open and mknod of a device"),
    };
    b.from = from.into();
    let program = program::compile(rules);
    b.host(Step::Cgroup, Devices::Program { program }, why);
}
