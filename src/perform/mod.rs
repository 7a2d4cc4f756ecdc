//! A plan is carried out here: line by line, in the lanes that [`walk`] walks, one file a subject. Nothing here reads
//! the configuration: a fact that is needed is in the plan. May touch: plan types, system calls.

pub mod callers;
pub mod cgroup;
mod devices;
pub mod files;
pub mod hooks;
pub mod labels;
mod lanes;
pub mod mounts;
mod namespaces;
mod network;
mod process;
pub mod rdt;
mod report;
pub mod rootfs;
mod seccomp;
pub mod step;
pub mod sync;
pub mod terminal;
mod trees;
pub mod undo;
mod users;
mod vectors;
pub mod walk;
pub mod watch;
mod words;

pub use lanes::{Act, Lanes, Then};

/// Before a clone that copies this process's memory: both sides write to the slate.
pub fn share_slate() -> syscalls::Result<()> {
    syscalls::room::share(syscalls::Why("both sides of the clone tell each other there how far they are"))
}
