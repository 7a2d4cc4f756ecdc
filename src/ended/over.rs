//! A program that is over, and what its runtime knows of it. May touch: types.

use crate::spec::Spec;
use crate::state::Saved;
use syscalls::{At, Ended, Taken};

/// A program that is over.
pub struct Over<'a> {
    /// The container's document.
    pub saved: &'a Saved,
    /// The configuration: for `exec`, with the process that it has run.
    pub spec: Option<&'a Spec<'a>>,
    /// The number that the process had, as this process counts them.
    pub pid: i32,
    /// It was the first process of a pid namespace of its own.
    pub first: bool,
    /// None: its parent has taken its status, and told no other process.
    pub ended: Option<Ended>,
    /// The last signal that this command has handed on to it.
    pub handed: Option<Taken>,
    /// The records of later commands about the container, if they are needed.
    pub later: &'a dyn Fn() -> Vec<Vec<u8>>,
    /// The open cgroup hierarchy, if this command has it.
    pub hierarchy: Option<At>,
}

impl Over<'_> {
    /// When the container's first process was made, in milliseconds since 1970.
    pub fn since(&self) -> u64 {
        let now = syscalls::clock_ns(libc::CLOCK_REALTIME);
        let age = syscalls::clock_ns(libc::CLOCK_BOOTTIME).saturating_sub(self.saved.start_time[0]);
        now.saturating_sub(age) / 1_000_000
    }
}
