//! Devices: nodes, links and binds in directories that the plan opened, and the program that decides who may open
//! which. May touch: plan types, system calls.

use super::files::{self, directory, kind};
use super::{Lanes, trees};
use crate::host::cgroup;
use crate::outcome::{Check, Done, Trouble};
use crate::plan::Slot;
use crate::plan::op::Devices;
use core::ffi::CStr;
use syscalls::abi::BpfInsn;
use syscalls::{At, AtFlags, Errno, OpenFlags, Why};

pub fn perform(lanes: &mut Lanes, op: &Devices, why: Why) -> Done {
    match op {
        Devices::Program { program } => attach(lanes, program, why),
        Devices::OpenDirectory { path, slot, own: false } => {
            let place = files::resolve_or_make(lanes.at(Slot::ROOTFS), path, directory, true, why)?;
            lanes.put(*slot, place);
            Ok(())
        }
        Devices::OpenDirectory { path, slot, own: true } => open_own(lanes, path, *slot, why),
        Devices::Directory { base, name, mode } => Ok(syscalls::mkdirat(lanes.at(*base), name, *mode, why)?),
        Devices::Node { base, .. } | Devices::Link { base, .. } | Devices::Bound { base, .. }
            if !lanes.makes_in(*base) =>
        {
            Ok(())
        }
        Devices::Node { base, name, mode, major, minor, uid, gid } => {
            let device = Node { mode: *mode, number: [*major, *minor], owner: (*uid, *gid) };
            node(lanes.at(*base), name, device, why)
        }
        Devices::Link { base, name, target, replace } => link(lanes.at(*base), name, target, *replace, why),
        Devices::Bound { base, name, tree } => match lanes.take(*tree) {
            Some(source) => trees::bind_on_file(source, lanes.at(*base), name, true, why),
            None => Ok(()),
        },
    }
}

fn attach(lanes: &mut Lanes, program: &[BpfInsn], why: Why) -> Done {
    let loaded = cgroup::load_decider(program, why).map_err(|refused| {
        lanes.said = refused.said;
        refused.failed
    })?;
    let why = Why("it decides for this cgroup and all below it; programs of the cgroups above decide as well");
    syscalls::bpf_prog_attach_device(lanes.at(Slot::CGROUP), loaded.at(), None, why)?;
    lanes.put(Slot::PROGRAM, loaded);
    Ok(())
}

/// A directory on the mount of the rootfs itself, made if it is missing. Others may use what lies on
/// another mount, so nothing is made there, and of such a /dev only the null device is used.
fn open_own(lanes: &mut Lanes, path: &CStr, slot: Slot, why: Why) -> Done {
    let root = lanes.at(Slot::ROOTFS);
    match files::resolve_or_make_own(root, path, directory, why) {
        Ok(fd) => lanes.put(slot, fd),
        Err(Trouble::Call(failed)) if failed.errno == Errno::EXDEV && slot == Slot::DEV => {
            let fd = files::resolve(root, path, OpenFlags::O_DIRECTORY, true, why)?;
            lanes.dev_is_lent = true;
            lanes.put(slot, fd);
        }
        Err(Trouble::Call(failed)) if failed.errno == Errno::EXDEV => {}
        Err(trouble) => return Err(trouble),
    }
    Ok(())
}

struct Node {
    mode: u32,
    number: [u32; 2],
    owner: (u32, u32),
}

fn node(dir: At, name: &CStr, device: Node, why: Why) -> Done {
    let Node { mode, number: [major, minor], owner } = device;
    let fifo = mode & libc::S_IFMT == libc::S_IFIFO;
    let made = match fifo {
        true => syscalls::mknodat(dir, name, mode, why),
        false => syscalls::mknodat_device(dir, name, mode, major, minor, why),
    };
    match made {
        Ok(()) if owner == (0, 0) => Ok(()),
        Ok(()) => {
            let why = Why("the configuration gives the device to this user");
            Ok(syscalls::fchownat(dir, name, owner.0, owner.1, AtFlags::AT_SYMLINK_NOFOLLOW, why)?)
        }
        // What an image or a mount put there may stay if it is what was asked for (config-linux.md, "Devices").
        Err(failed) if failed.errno == Errno::EEXIST => {
            let why = Why("the file that stands there may stay if it is the same device");
            let found = syscalls::newfstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW, why)?;
            let same_kind = kind(&found) == mode & libc::S_IFMT;
            let same = same_kind && (fifo || found.st_rdev == libc::makedev(major, minor));
            if same { Ok(()) } else { Err(Trouble::Check(Check::OtherDevice)) }
        }
        Err(failed) => Err(failed.into()),
    }
}

fn link(dir: At, name: &CStr, target: &CStr, replace: bool, why: Why) -> Done {
    match syscalls::symlinkat(target, dir, name, why) {
        Err(failed) if failed.errno == Errno::EEXIST && replace => {}
        Err(failed) if failed.errno == Errno::EEXIST => return Ok(()),
        other => return Ok(other?),
    }
    match syscalls::unlinkat(dir, name, AtFlags::NONE, Why("what the image has there must give way")) {
        // A mount stands there that the configuration asked for.
        Err(failed) if failed.errno == Errno::EBUSY => return Ok(()),
        removed => removed?,
    }
    Ok(syscalls::symlinkat(target, dir, name, why)?)
}
