//! `/dev`: the default devices, `linux.devices`, and the links (config-linux.md, "Devices"). May touch: types and tables.

use super::create::problem;
use super::mounts::{self, Covered};
use super::op::{Attributes, Op, Slot};
use super::{Builder, Step, c};
use crate::spec::Problem;
use alloc::format;
use alloc::string::String;

/// The default devices of config-linux.md: name, major, minor.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links of runtime-linux.md, and ptmx.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// `/dev`: the default devices, `linux.devices`, and the links.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Devices;
    b.from = String::new();
    if !b.covered.iter().any(|m| m.path == "/dev") {
        let slot = Slot::DEV;
        b.init(
            Op::OpenDirectory {
                path: c("dev").map_err(|p| problem("", p))?,
                slot,
            },
            "the default devices go there",
        );
        b.covered.push(Covered {
            path: "/dev".into(),
            slot: None,
            fresh: false,
            empty: false,
        });
    }
    let why = "every container has the default devices (config-linux.md, \"Default Devices\")";
    for (name, major, minor) in DEVICES {
        if b.spec
            .linux
            .devices
            .iter()
            .any(|d| mounts::clean(&d.path) == format!("/dev/{name}"))
        {
            continue;
        }
        if b.users.foreign() {
            bound(b, "", &format!("/dev/{name}"), Slot::DEV, name)?;
            continue;
        }
        let name = c(name).map_err(|p| problem("", p))?;
        let mode = libc::S_IFCHR | 0o666;
        b.init(
            Op::Device {
                base: Slot::DEV,
                name,
                mode,
                major,
                minor,
                uid: 0,
                gid: 0,
            },
            why,
        );
    }
    for (i, device) in b.spec.linux.devices.iter().enumerate() {
        let pointer = format!("/linux/devices/{i}");
        let path = mounts::clean(&device.path);
        let (base, relative) = match path.strip_prefix("/dev/") {
            Some(name) if !name.contains('/') => (Slot::DEV, String::from(name)),
            _ => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
                let parent = if parent.is_empty() {
                    "."
                } else {
                    parent.trim_start_matches('/')
                };
                let slot = b.slot();
                b.from = pointer.clone();
                let op = Op::OpenDirectory {
                    path: c(parent).map_err(|p| problem(&pointer, p))?,
                    slot,
                };
                b.init(op, "the configuration wants a device there");
                (slot, name.into())
            }
        };
        let kind = match device.kind.as_str() {
            "b" => libc::S_IFBLK,
            "p" => libc::S_IFIFO,
            _ => libc::S_IFCHR,
        };
        b.from = pointer.clone();
        if b.users.foreign() && device.kind != "p" {
            bound(b, &pointer, &path, base, &relative)?;
            continue;
        }
        let op = Op::Device {
            base,
            name: c(&relative).map_err(|p| problem(&pointer, p))?,
            mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
            major: device.major.unwrap_or(0) as u32,
            minor: device.minor.unwrap_or(0) as u32,
            uid: device.uid.unwrap_or(0),
            gid: device.gid.unwrap_or(0),
        };
        b.init(op, "the configuration asks for this device");
    }
    b.from = String::new();
    for (name, target) in LINKS {
        let replace = name == "ptmx";
        let why = if replace {
            "new terminals come from the container's own devpts"
        } else {
            "programs expect this link (runtime-linux.md)"
        };
        let (name, target) = (
            c(name).map_err(|p| problem("", p))?,
            c(target).map_err(|p| problem("", p))?,
        );
        b.init(
            Op::Link {
                base: Slot::DEV,
                name,
                target,
                replace,
            },
            why,
        );
    }
    Ok(())
}

/// In a user namespace nobody may make a device (mknod(2)): the host's is bound there.
fn bound(b: &mut Builder, at: &str, host: &str, base: Slot, name: &str) -> Result<(), Problem> {
    let tree = b.slot();
    let attributes = Attributes {
        propagation: libc::MS_SLAVE,
        ..Attributes::default()
    };
    let op = Op::OpenSource {
        path: c(host).map_err(|p| problem(at, p))?,
        recursive: false,
        idmap: None,
        attributes,
        tree,
    };
    b.source(
        op,
        "in a user namespace no device can be made, so the host's is lent",
    );
    let op = Op::BoundDevice {
        base,
        name: c(name).map_err(|p| problem(at, p))?,
        tree,
    };
    b.init(
        op,
        "a file for the host's device to stand on, and the device",
    );
    Ok(())
}
