//! How a process is scheduled, where its memory lies, which system it believes to run on, and which calls it may make.

use crate::abi::{SchedAttr, SockFilter, SockProgram};
use crate::arg::{Kind, hex, input, inputs, int, io_priority, named, null, plain, pointing, uint};
use crate::call::{Result, Why};
use crate::flags::{IoPriorityWho, MemoryPolicy, Persona, Seccomp, SeccompFlags};
use crate::gate::gate;
use linux_raw_sys::general as nr;

plain! {
    SchedAttr: SchedAttr;
}

/// personality(2).
#[track_caller]
pub fn personality(persona: Persona, why: Why) -> Result<()> {
    gate(nr::__NR_personality, &[named(persona)], why).map(drop)
}

/// sched_setattr(2) of another process, or of the caller (`pid` 0).
#[track_caller]
pub fn sched_setattr(pid: i32, attr: &SchedAttr, why: Why) -> Result<()> {
    gate(nr::__NR_sched_setattr, &[int(pid), input(attr), hex(0)], why).map(drop)
}

/// ioprio_set(2) of another process, or of the caller (`pid` 0). `priority`: the class in the bits from 13 on, the level below.
#[track_caller]
pub fn ioprio_set(pid: i32, priority: u32, why: Why) -> Result<()> {
    let args = [named(IoPriorityWho::IOPRIO_WHO_PROCESS), int(pid), io_priority(priority)];
    gate(nr::__NR_ioprio_set, &args, why).map(drop)
}

/// Words of a set of processors that are kept: 1024 of them.
const CPU_WORDS: usize = 16;

/// sched_setaffinity(2) of the caller. `cpus`: a bit a processor.
#[track_caller]
pub fn sched_setaffinity(cpus: &[u64], why: Why) -> Result<()> {
    let args = [int(0), uint(size_of_val(cpus)), inputs(cpus, CPU_WORDS, Kind::Cpus)];
    gate(nr::__NR_sched_setaffinity, &args, why).map(drop)
}

/// set_mempolicy(2). `nodes`: a bit a node; empty: the kernel gets NULL.
#[track_caller]
pub fn set_mempolicy(policy: MemoryPolicy, nodes: &[u64], why: Why) -> Result<()> {
    // The kernel takes one bit less than it is told.
    let (set, bits) = match nodes.len() {
        0 => (null(), 0),
        words => (inputs(nodes, words, Kind::Nodes), words * 64 + 1),
    };
    gate(nr::__NR_set_mempolicy, &[named(policy), set, uint(bits)], why).map(drop)
}

/// seccomp(2) with SECCOMP_SET_MODE_FILTER. With SECCOMP_FILTER_FLAG_NEW_LISTENER the result is a descriptor, which is
/// close-on-exec.
#[track_caller]
pub fn seccomp_set_mode_filter(filter: &[SockFilter], flags: SeccompFlags, why: Why) -> Result<usize> {
    let program = SockProgram { len: filter.len() as u16, filter: filter.as_ptr() };
    // SAFETY: the filter lives across the call, and has as many instructions as the structure says.
    let given = unsafe { pointing(&program, size_of::<SockProgram>(), Kind::Filter) };
    crate::room::settle();
    gate(nr::__NR_seccomp, &[named(Seccomp::SECCOMP_SET_MODE_FILTER), named(flags), given], why)
}
