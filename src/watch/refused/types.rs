//! What the watcher gives, and what it gets: a call, and why it was refused. May touch: the spec.

use crate::spec::Spec;
use serde::{Deserialize, Serialize};
use syscalls::Errno;

/// The result of a call to which SIGSYS came in place of one: the filter ended the process or the thread, or sent the signal.
pub const KILLED: i64 = i64::MIN;

/// The container as the configuration describes it.
pub struct Confinement<'a> {
    /// Of a program that `exec` runs: with the `process` that `exec` was given.
    pub(super) spec: &'a Spec<'a>,
    /// The container's cgroup, from the root of the hierarchy; empty if the container has none of its own.
    pub(super) cgroup: String,
}

impl<'a> Confinement<'a> {
    pub fn new(spec: &'a Spec<'a>, cgroup: &str) -> Confinement<'a> {
        Confinement { spec, cgroup: cgroup.into() }
    }
}

/// A call of a program in the container, with its process stopped after it.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// The thread, as the watcher's own pid namespace numbers it.
    pub tid: i32,
    /// AUDIT_ARCH_*, as PTRACE_GET_SYSCALL_INFO tells it.
    pub arch: u32,
    pub number: u64,
    pub args: [u64; 6],
    /// As the kernel returned it: a negative errno, or what the call gave; or [`KILLED`].
    pub result: i64,
}

/// What of the container refused a call.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase")]
pub enum By {
    Seccomp,
    Capability,
    Mount,
    Mask,
    Device,
    NoNewPrivileges,
    /// Owner and mode of a file, against the user of `process.user`.
    User,
    /// An id that the user namespace does not map.
    Mapping,
    Groups,
    Rlimit,
    Cgroup,
    Namespace,
    /// A sysctl.
    Setting,
    Network,
    Terminal,
    /// A security module, as what remains.
    Module,
    /// A process has one tracer, and the watcher is that.
    Watcher,
}

/// Why a call was refused.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Cause {
    pub by: By,
    /// The place in config.json; empty where the configuration has no line for it.
    pub pointer: String,
    /// The rule that refused it.
    pub what: String,
    /// What to change.
    pub cure: String,
    /// What the change opens.
    pub opens: String,
}

/// A cause with its calls, for the summary.
#[derive(Serialize, Clone, Debug)]
pub struct Refusal {
    #[serde(flatten)]
    pub cause: Cause,
    pub count: u32,
    /// The first call, with its result, as the views of a trace show it.
    pub call: String,
    pub tid: i32,
    pub program: String,
}

impl Foreign {
    /// The errno with which the call failed.
    pub fn errno(&self) -> Option<Errno> {
        (-4095..0).contains(&self.result).then(|| Errno(self.result.unsigned_abs() as u16))
    }
}
