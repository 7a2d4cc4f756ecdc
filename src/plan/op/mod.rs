//! The instruction set of a plan: each [`Op`] is a verb of at most about six system calls with fixed control flow.
//! All that an op needs is in it, made before the clone: a lane only walks its lines. One file a subject, where each op
//! stands with its lanes and its words. May touch: types.

mod callers;
mod cgroup;
mod devices;
mod hooks;
mod labels;
mod lanes;
mod mounts;
mod namespaces;
mod network;
mod process;
mod rdt;
mod rootfs;
mod seccomp;
mod sync;
mod terminal;
mod users;
mod watch;
mod words;

pub use super::slot::Slot;
pub use callers::Callers;
pub use cgroup::Cgroup;
pub use devices::Devices;
pub use hooks::{Hook, Hooks};
pub use labels::Labels;
pub use lanes::{LaneSet, lane_name, misplaced};
pub use mounts::{Attributes, FileSystem, Kind, Mounts, Source};
pub use namespaces::{Born, Namespaces};
pub use network::Network;
pub use process::Process;
pub use rdt::Rdt;
pub use rootfs::{MOST_BY_PROC, Rootfs};
pub use seccomp::Seccomp;
pub use sync::Sync;
pub use terminal::Terminal;
pub use users::Users;
pub use watch::Watch;

use super::mark::Mark;
use super::step::Step;
use crate::outcome::{Lane, visible};
use alloc::ffi::CString;
use core::fmt::{self, Write};
use syscalls::Why;

macro_rules! subjects {
    ($($subject:ident)*) => {
        /// One instruction, under its subject. What few plans have and takes much room is boxed: each line is as long
        /// as the longest instruction.
        #[derive(Clone, PartialEq, Eq, Debug)]
        pub enum Op {
            $($subject($subject),)*
        }

        impl Op {
            /// The lanes that can perform it, and what the listing says of it, into `to` if that is there.
            fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
                match self {
                    $(Op::$subject(op) => op.about(to),)*
                }
            }
        }

        $(impl From<$subject> for Op {
            fn from(op: $subject) -> Op {
                Op::$subject(op)
            }
        })*
    };
}

subjects! {
    Callers Cgroup Devices Hooks Labels Mounts Namespaces Network Process Rdt Rootfs Seccomp Sync Terminal Users Watch
}

/// What it does, in words.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        self.about(Some(f)).1
    }
}

/// Where something is mounted or looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Below the rootfs, which is hostile: resolved with openat2 so that no link leads out, and used by descriptor.
    Rootfs { path: CString, links: bool },
    /// Below a file system that this plan has just made and that no other process can reach: a plain relative name will
    /// do, and the lane stands there already.
    Under { base: Slot, path: CString },
}

/// One line of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub op: Op,
    pub step: Step,
    /// The number of its stage in [`super::order`].
    pub stage: u8,
    /// A JSON pointer into config.json: what asked for this line. Empty: it is always there.
    pub from: String,
    /// What beside the configuration has decided about it.
    pub mark: Mark,
    pub why: Why,
}

impl Line {
    /// The op in words, on one line.
    pub fn words(&self) -> String {
        visible(&self.op.to_string()).into_owned()
    }
}

/// A plan of a thousand mounts has a line for each.
const _: () = assert!(size_of::<Line>() <= 136);

/// What will be done, in order. Lines are numbered from 1: the host's, the bridge's, init's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub host: Vec<Line>,
    /// Empty: there is none.
    pub bridge: Vec<Line>,
    pub init: Vec<Line>,
    /// How many descriptors have a numbered place.
    pub slots: u16,
}

impl Plan {
    /// The line with this number.
    pub fn line(&self, number: u16) -> Option<&Line> {
        let index = (number as usize).checked_sub(1)?;
        self.lines().nth(index)
    }

    /// All lines, in the order of their numbers.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.host.iter().chain(&self.bridge).chain(&self.init)
    }

    /// The lines of a lane, and the number of the first.
    pub fn lane(&self, lane: Lane) -> (&[Line], u16) {
        let (host, bridge) = (self.host.len(), self.bridge.len());
        match lane {
            Lane::Host => (&self.host, 1),
            Lane::Bridge => (&self.bridge, (1 + host) as u16),
            _ => (&self.init, (1 + host + bridge) as u16),
        }
    }
}
