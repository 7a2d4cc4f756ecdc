//! Linux system calls by hand: one wrapper a call under the kernel's own name, one gate that they all pass, and a
//! flight recorder behind it. The crate is `no_std`, allocates nothing, and is the only place with `unsafe`.
//!
//! Every wrapper takes a [`Why`]: the purpose of the call, which stands in the record beside its arguments and its
//! result. Wrappers return [`Result`]; a [`Failed`] names the errno and the record.
#![no_std]

pub mod abi;
mod arch;
mod arena;
mod call;
mod creds;
mod entry;
pub mod errno;
mod fault;
mod fd;
mod file;
pub mod flags;
mod hot;
mod mount;
mod process;
pub mod record;
pub mod room;
mod sched;
pub mod show;
mod signal;
mod socket;
#[cfg(target_arch = "x86_64")]
pub mod start;
pub mod table;
mod terminal;
mod vdso;

pub use arena::{Arena, freeze};
pub use call::{Failed, Result, Why};
pub use creds::*;
pub use entry::{args, auxv, environment, executed_as, variable};
pub use errno::Errno;
pub use fault::{end_by, survive_file_limit, survive_lost_pages};
pub use fd::{At, Fd};
pub use file::*;
pub use linux_raw_sys::general::{mount_attr, stat as Stat};
pub use mount::*;
pub use process::*;
pub use sched::*;
pub use signal::*;
pub use socket::*;
pub use terminal::*;
pub use vdso::clock_ns;
