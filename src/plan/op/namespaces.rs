//! Ops for namespaces: the clones that make them, those that are joined, and what is set in them, much of it through
//! procfs. May touch: types.

use super::lanes::{BRIDGE, HOST, INIT, say};
use super::words::{kinds, s};
use super::{LaneSet, Slot};
use alloc::ffi::CString;
use core::fmt::{self, Write};
use syscalls::CloneFlags;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Namespaces {
    // `changed`: something of it is changed, so it may not be the runtime's own.
    Open { path: CString, kind: &'static str, changed: bool, slot: Slot },
    Clone { flags: CloneFlags, born: Born },
    // A child in the same namespaces, or only in a new user namespace, which will make init.
    CloneBridge { flags: CloneFlags },
    Join { slot: Slot, kind: &'static str, flags: CloneFlags },
    // `exec`: several namespaces of the container at once, by a handle on its first process.
    JoinContainer { flags: CloneFlags },
    Unshare { flags: CloneFlags },
    OpenHostProc,
    // A procfs that no other process can reach, for writes.
    PrivateProc,
    // Into a file of a procfs that this plan made, or of the host's that was checked.
    WriteProc { base: Slot, path: CString, text: Vec<u8> },
    Hostname { name: Vec<u8> },
    Domainname { name: Vec<u8> },
}

/// Where a process begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Born {
    /// In the cgroup of the process that clones it.
    Outside,
    InCgroup,
    /// In the container's cgroup if that could be made.
    InCgroupIfAny,
}

impl Namespaces {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Open { path, kind, .. } => (HOST, say!(to, "open the {kind} namespace {}", s(path))),
            Self::Clone { flags, born } => {
                let born = match born {
                    Born::Outside => "",
                    Born::InCgroup => ", born inside the cgroup",
                    Born::InCgroupIfAny => ", born inside the cgroup if there is one",
                };
                (HOST | BRIDGE, say!(to, "clone init{}{born}", kinds(" in new namespaces: ", *flags)))
            }
            Self::CloneBridge { flags } => {
                (HOST, say!(to, "clone the bridge{}", kinds(" in new namespaces: ", *flags)))
            }
            Self::Join { kind, .. } => (BRIDGE | INIT, say!(to, "join the {kind} namespace")),
            Self::JoinContainer { flags } => {
                (HOST | BRIDGE | INIT, say!(to, "join the container's namespaces: {}", kinds("", *flags)))
            }
            Self::Unshare { flags: CloneFlags::CLONE_NEWCGROUP } => (INIT, say!(to, "enter a new cgroup namespace")),
            Self::Unshare { .. } => (BRIDGE, say!(to, "make a new time namespace for its children")),
            Self::OpenHostProc => (HOST, say!(to, "open the host's procfs")),
            Self::PrivateProc => (INIT, say!(to, "make a procfs of its own")),
            Self::WriteProc { path, text, .. } => {
                let text = String::from_utf8_lossy(text);
                (HOST | BRIDGE | INIT, say!(to, "write {text:?} to /proc/{}", s(path)))
            }
            Self::Hostname { name } => (INIT, say!(to, "set the host name to {}", String::from_utf8_lossy(name))),
            Self::Domainname { name } => (INIT, say!(to, "set the domain name to {}", String::from_utf8_lossy(name))),
        }
    }
}
