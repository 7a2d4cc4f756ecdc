//! Ops for the container's cgroup, and for the scope by which systemd makes it. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, say};
use super::words::{list, s};
use crate::plan::cgroup::limits::Setting;
use crate::plan::cgroup::scope::{Property, Scope, Sockets};
use alloc::ffi::CString;
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Cgroup {
    // `optional`: without privileges, and where no cgroup is delegated, the container does without.
    Make { parents: Vec<CString>, path: CString, optional: bool },
    // systemd makes it, as a scope: a process holds the scope until init is in it.
    StartScope { scope: Box<Scope>, path: CString },
    // Init was born outside: an ordinary user may not move it into the scope.
    JoinScope(Box<Scope>),
    ReleaseScope,
    // Tells systemd a limit that was set late.
    SetScope { unit: String, sockets: Sockets, properties: Vec<Property> },
    // The cgroups above hand controllers down: the usual ones, as far as there are any, and those that limits need.
    EnableControllers { above: Vec<CString>, needed: Vec<String> },
    // Where all controllers could not be enabled at once, each is tried alone: the failure names it.
    NeedController { above: Vec<CString>, name: String },
    // A file of the cgroup gets a value.
    Set { setting: Box<Setting> },
    // The cgroup is given to the root of the container's user namespace (cgroup-v2.rst, "Delegation").
    Give { uid: u32, gid: u32 },
}

impl Cgroup {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        let words = match self {
            Self::Make { path, optional, .. } => {
                let perhaps = if *optional { ", if this user may" } else { "" };
                say!(to, "make the cgroup /{}{perhaps}", s(path))
            }
            Self::StartScope { scope, path } => {
                let all = list("", scope.properties.iter().map(|(name, _)| name.as_str()), ", ");
                say!(to, "have systemd make the scope {}, cgroup /{}, with {all}", scope.unit, s(path))
            }
            Self::JoinScope(scope) => say!(to, "have systemd move init into {}", scope.unit),
            Self::ReleaseScope => say!(to, "end the process that held the scope"),
            Self::SetScope { unit, .. } => say!(to, "tell systemd the limit of {unit}"),
            Self::EnableControllers { needed, .. } if needed.is_empty() => {
                say!(to, "enable the usual controllers for the cgroup, as far as there are any")
            }
            Self::EnableControllers { needed, .. } => {
                let needed = list("", needed.iter().map(String::as_str), ", ");
                say!(to, "enable controllers for the cgroup: the usual ones, and {needed}")
            }
            Self::NeedController { name, .. } => say!(to, "enable the controller {name} (unless that was done)"),
            Self::Set { setting } => {
                say!(to, "set {} of the cgroup to {}", s(&setting.file), String::from_utf8_lossy(&setting.value))
            }
            Self::Give { uid, gid } => say!(to, "give the cgroup to user {uid}, group {gid}"),
        };
        (HOST, words)
    }
}
