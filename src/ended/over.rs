//! A program that is over, and what its runtime knows of it. May touch: types.

use crate::spec::Spec;
use crate::state::{Saved, traces};
use syscalls::{At, Ended, Taken};

/// A program that is over.
pub struct Over<'a> {
    /// The container's document.
    pub saved: &'a Saved,
    /// The configuration: for `exec`, with the process that it has run.
    pub spec: Option<&'a Spec<'a>>,
    /// The number that the process had, as this process counts them.
    pub pid: i32,
    /// It was the container's first process.
    pub first: bool,
    /// None: its parent has taken its status, and told no other process.
    pub ended: Option<Ended>,
    /// The last signal that this command has handed on to it.
    pub handed: Option<Taken>,
    /// The container's directory.
    pub dir: Option<At>,
    /// The open cgroup hierarchy, if this command has it.
    pub hierarchy: Option<At>,
}

impl Over<'_> {
    /// Whether it was the first process of a pid namespace of its own.
    pub fn is_protected(&self) -> bool {
        self.first && self.saved.own_pids
    }

    /// The records of later commands about the container.
    pub fn later(&self) -> Vec<Vec<u8>> {
        self.dir.map_or_else(Vec::new, |dir| traces::later(dir, &self.saved.id))
    }

    /// When the container's first process was made, in milliseconds since 1970. The kernel's log has the time of the last tick,
    /// which is 10 ms ago at the most (CLOCK_REALTIME_COARSE of clock_gettime(2)).
    pub fn since(&self) -> u64 {
        (self.begun(libc::CLOCK_REALTIME) / 1_000_000).saturating_sub(10)
    }

    /// The same, in seconds of the machine's life, without the times that it slept.
    pub fn since_boot(&self) -> u64 {
        self.begun(libc::CLOCK_MONOTONIC) / 1_000_000_000
    }

    fn begun(&self, clock: i32) -> u64 {
        let age = syscalls::clock_ns(libc::CLOCK_BOOTTIME).saturating_sub(self.saved.start_time[0]);
        syscalls::clock_ns(clock).saturating_sub(age)
    }
}
