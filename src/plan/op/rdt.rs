//! Ops for Intel RDT: groups of resctrl(7), which share out cache and memory bandwidth. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, say};
use super::words::s;
use alloc::ffi::CString;
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rdt {
    // A group: its directory, lines for its schemata, and a group that only monitors.
    Make { group: CString, schemata: Vec<u8>, monitor: Option<CString> },
    Join { group: CString, monitor: Option<CString> },
}

impl Rdt {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Make { group, .. } => (HOST, say!(to, "make the resctrl group /{}", s(group))),
            Self::Join { group, .. } => (HOST, say!(to, "put init into the resctrl group /{}", s(group))),
        }
    }
}
