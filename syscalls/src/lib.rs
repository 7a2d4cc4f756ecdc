//! Linux system calls by hand: one wrapper a call under the kernel's own name, one gate that they all pass, and a flight
//! recorder, in which the gate writes each of them down. The crate is `no_std`, allocates nothing, and is the only place
//! with `unsafe`.
//!
//! Every wrapper takes a [`Why`]: the purpose of the call, which stands in the record beside its arguments and its
//! result. Wrappers return [`Result`]; a [`Failed`] names the errno and the record.
#![no_std]

pub mod abi;
mod alone;
mod arch;
mod arena;
mod arg;
mod call;
mod calls;
mod entry;
pub mod errno;
mod exchange;
mod fault;
mod fd;
pub mod flags;
pub mod foreign;
mod gate;
mod hot;
pub mod names;
pub mod record;
pub mod room;
pub mod show;
pub mod start;
mod twin;
mod vdso;

pub use alone::Alone;
pub use arch::{AUDIT_ARCH, COLUMN, MACHINE};
pub use arena::{Arena, Mark, freeze, mark};
pub use call::{Call, Failed, Result, Why};
pub use calls::*;
pub use entry::{args, auxv, environment, executed_as, variable};
pub use errno::Errno;
pub use exchange::exchange;
pub use fault::{end_by, survive_closed_readers, survive_file_limit, survive_lost_pages};
pub use fd::{At, Fd};
pub use flags::{
    AccessFlags, AccessMode, Ambient, AtFlags, Bpf, CloneFlags, Ioctl, MemFd, MemoryPolicy, ModuleInit, MountAttr,
    MountFlags, MoveMount, OpenFlags, OpenTree, Persona, Prctl, PtraceOptions, Reboot, Resolve, Seals, SeccompFlags,
    UmountFlags, WaitFlags,
};
pub use linux_raw_sys::general::{RAMFS_MAGIC, mount_attr, stat as Stat};
pub use linux_raw_sys::ptrace::{
    AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, AUDIT_ARCH_I386, AUDIT_ARCH_RISCV64, AUDIT_ARCH_X86_64,
};
pub use vdso::{clock_ns, counter_khz};
