//! Ops for devices: nodes and links in /dev, and the program that decides who may open which. May touch: types.

use super::lanes::{HOST, INIT, say};
use super::words::s;
use super::{LaneSet, Slot};
use alloc::ffi::CString;
use core::fmt::{self, Write};
use syscalls::abi::BpfInsn;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Devices {
    Program { program: Vec<BpfInsn> },
    // `own`: only on the mount of the rootfs itself.
    OpenDirectory { path: CString, slot: Slot, own: bool },
    Directory { base: Slot, name: CString, mode: u32 },
    Node { base: Slot, name: CString, mode: u32, major: u32, minor: u32, uid: u32, gid: u32 },
    Link { base: Slot, name: CString, target: CString, replace: bool },
    // A file with the host's device bound on it: in a user namespace no device can be made.
    Bound { base: Slot, name: CString, tree: Slot },
}

impl Devices {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Program { program } => {
                (HOST, say!(to, "attach a device program of {} instructions to the cgroup", program.len()))
            }
            Self::OpenDirectory { path, .. } => (INIT, say!(to, "open /{}, made if missing", s(path))),
            Self::Directory { base, name, mode } => {
                (INIT, say!(to, "make the directory {base}/{} (mode {mode:04o})", s(name)))
            }
            Self::Node { base, name, mode, major, minor, .. } => {
                let letter = match mode & libc::S_IFMT {
                    libc::S_IFBLK => "b",
                    libc::S_IFIFO => "p",
                    _ => "c",
                };
                let (name, mode) = (s(name), mode & 0o7777);
                (INIT, say!(to, "make the device {base}/{name} ({letter} {major}:{minor}, mode {mode:04o})"))
            }
            Self::Link { base, name, target, .. } => (INIT, say!(to, "link {base}/{} to {}", s(name), s(target))),
            Self::Bound { base, name, .. } => (INIT, say!(to, "bind the host's device on {base}/{}", s(name))),
        }
    }
}
