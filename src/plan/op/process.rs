//! Ops for the process that becomes the program: its limits, signals, session, scheduling, privileges, and execve. May
//! touch: types.

use super::LaneSet;
use super::lanes::{HOST, INIT, say};
use super::words::{self, s};
use crate::plan::text::Strings;
use crate::spec::{MEMORY_MODES, POLICIES, RLIMITS};
use alloc::ffi::CString;
use core::fmt::{self, Write};
use syscalls::abi::SchedAttr;
use syscalls::{CapabilitySets, MemoryPolicy, Persona};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Process {
    HoldSignals,
    LookAtSignals,
    ReleaseSignals,
    // TERM, INT and the like end this process, until its execve.
    EndBySignals,
    // One bit for each processor.
    Affinity { cpus: Vec<u64> },
    // All processors that the cgroup allows.
    AnyProcessor,
    // The host raises its own hard limit, and init inherits it: init itself may lack the right.
    RaiseLimit { resource: u32, hard: u64 },
    Limit { resource: u32, soft: u64, hard: u64 },
    ClearUmask,
    Umask { mask: u32 },
    Session,
    Keyring { name: CString },
    Scheduler { attr: SchedAttr },
    IoPriority { value: u32 },
    MemoryPolicy { mode: MemoryPolicy, nodes: Vec<u64> },
    Personality { persona: Persona },
    DropBounding { drop: u64 },
    Capabilities { sets: CapabilitySets, ambient: u64 },
    NoNewPrivileges,
    // Those by which init and the host talk stay open.
    CloseDescriptors { first: u32 },
    // `look`: checks also that it is a file. Otherwise execve finds out.
    Find { named: CString, candidates: Vec<CString>, look: bool },
    Execve { argv: Vec<CString>, envp: Strings },
}

impl Process {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::HoldSignals => (HOST, say!(to, "hold all signals back")),
            Self::LookAtSignals => (HOST, say!(to, "find out which signals the caller ignores")),
            Self::ReleaseSignals => (INIT, say!(to, "let all signals through, and ignore none")),
            Self::EndBySignals => (INIT, say!(to, "let signals that ask for an end take effect, until execve")),
            Self::Affinity { cpus } => (HOST | INIT, affinity(to, cpus)),
            Self::AnyProcessor => (INIT, say!(to, "run on every processor that the cgroup allows")),
            Self::RaiseLimit { resource, hard } => {
                let (name, most) = (limit(*resource), words::Limit(*hard));
                (HOST, say!(to, "raise the hard limit of {name} to {most}, unless it is as high already"))
            }
            Self::Limit { resource, soft, hard } => {
                let (name, soft, hard) = (limit(*resource), words::Limit(*soft), words::Limit(*hard));
                (INIT, say!(to, "set {name} to {soft}, at most {hard}"))
            }
            Self::ClearUmask => (INIT, say!(to, "clear the umask")),
            Self::Umask { mask } => (INIT, say!(to, "set the umask to {mask:04o}")),
            Self::Session => (INIT, say!(to, "begin a session")),
            Self::Keyring { name } => (INIT, say!(to, "join a new session keyring {}", s(name))),
            Self::Scheduler { attr } => {
                let policy = POLICIES.iter().find(|(_, number)| *number == attr.policy).map_or("", |(name, _)| name);
                (HOST | INIT, say!(to, "set the scheduling policy to {policy}"))
            }
            Self::IoPriority { value } => {
                (HOST | INIT, say!(to, "set the I/O priority to class {}, level {}", value >> 13, value & 7))
            }
            Self::MemoryPolicy { mode, .. } => {
                let mode = MEMORY_MODES.get((mode.bits() & 0xfff) as usize).unwrap_or(&"");
                (INIT, say!(to, "set the memory policy to {mode}"))
            }
            Self::Personality { persona: Persona::PER_LINUX } => (INIT, say!(to, "set Linux's own personality")),
            Self::Personality { .. } => (INIT, say!(to, "set the personality of a 32-bit system")),
            Self::DropBounding { drop } => {
                (INIT, say!(to, "drop from the bounding set {}", words::Capabilities(*drop)))
            }
            Self::Capabilities { sets, ambient } => (INIT, capabilities(to, sets, *ambient)),
            Self::NoNewPrivileges => (INIT, say!(to, "set no_new_privs")),
            Self::CloseDescriptors { first } => {
                (INIT, say!(to, "close all descriptors from {first} on, except those for talking with the host"))
            }
            Self::Find { named, candidates, .. } => {
                let path = if candidates.len() == 1 { "" } else { " in PATH" };
                (INIT, say!(to, "look for the program {}{path}", s(named)))
            }
            Self::Execve { argv, .. } => (INIT, say!(to, "execve {}", s(argv.first().map_or(c"", |first| first)))),
        }
    }
}

/// A resource's name (getrlimit(2)).
fn limit(resource: u32) -> &'static str {
    RLIMITS.get(resource as usize).unwrap_or(&"a limit")
}

fn affinity(to: Option<&mut dyn Write>, cpus: &[u64]) -> fmt::Result {
    let bit = |n: &usize| cpus.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 != 0);
    let all: Vec<usize> = (0..cpus.len() * 64).filter(bit).collect();
    say!(to, "run on the processors {all:?} only")
}

fn capabilities(to: Option<&mut dyn Write>, sets: &CapabilitySets, ambient: u64) -> fmt::Result {
    let [effective, permitted, inheritable, ambient] =
        [sets.effective, sets.permitted, sets.inheritable, ambient].map(words::Capabilities);
    say!(
        to,
        "set the capabilities: effective {effective}; permitted {permitted}; inheritable {inheritable}; ambient {ambient}"
    )
}
