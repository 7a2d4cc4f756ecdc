//! How a process is scheduled, where its memory lies, which system it believes to run on, and which calls it may make.

use crate::abi::{SchedAttr, SockFilter, SockProgram};
use crate::call::{Result, Why, gate};
use crate::table::Call;

/// personality(2): PER_LINUX or PER_LINUX32.
pub fn personality(persona: u32, why: Why) -> Result<()> {
    gate(Call::Personality, [persona as usize, 0, 0, 0, 0, 0], why).map(drop)
}

/// sched_setattr(2) of another process, or of the caller (`pid` 0).
pub fn sched_setattr(pid: i32, attr: &SchedAttr, why: Why) -> Result<()> {
    gate(Call::SchedSetattr, [pid as usize, attr as *const _ as usize, 0, 0, 0, 0], why).map(drop)
}

/// ioprio_set(2) of another process, or of the caller (`pid` 0). `priority`: the class in the bits from 13 on, the level below.
pub fn ioprio_set(pid: i32, priority: u32, why: Why) -> Result<()> {
    const IOPRIO_WHO_PROCESS: usize = 1;
    gate(Call::IoprioSet, [IOPRIO_WHO_PROCESS, pid as usize, priority as usize, 0, 0, 0], why).map(drop)
}

/// sched_setaffinity(2) of the caller. `cpus`: a bit a processor.
pub fn sched_setaffinity(cpus: &[u64], why: Why) -> Result<()> {
    let (len, at) = (size_of_val(cpus), cpus.as_ptr() as usize);
    gate(Call::SchedSetaffinity, [0, len, at, 0, 0, 0], why).map(drop)
}

/// set_mempolicy(2). `mode`: MPOL_* with its flags; `nodes`: a bit a node, none of them for a NULL.
pub fn set_mempolicy(mode: u32, nodes: &[u64], why: Why) -> Result<()> {
    // The kernel takes one bit less than it is told.
    let (at, bits) = match nodes.len() {
        0 => (0, 0),
        words => (nodes.as_ptr() as usize, words * 64 + 1),
    };
    gate(Call::SetMempolicy, [mode as usize, at, bits, 0, 0, 0], why).map(drop)
}

/// seccomp(2) with SECCOMP_SET_MODE_FILTER. `flags`: SECCOMP_FILTER_FLAG_*; with NEW_LISTENER the result is a descriptor,
/// which is close-on-exec.
pub fn seccomp_set_mode_filter(filter: &[SockFilter], flags: u32, why: Why) -> Result<usize> {
    const SECCOMP_SET_MODE_FILTER: usize = 1;
    let program = SockProgram { len: filter.len() as u16, filter: filter.as_ptr() };
    let args = [SECCOMP_SET_MODE_FILTER, flags as usize, &raw const program as usize, 0, 0, 0];
    crate::room::settle();
    gate(Call::Seccomp, args, why)
}
