//! One function a system call, under the kernel's own name: its number, its arguments, and why it is made. A call that does
//! different things by an operation (bpf, prctl, ioctl) has a function for each that this program needs. A new call is one
//! function here; a new list of flags is one entry in `flags`, a new structure one kind in `arg` and its way to be shown.

pub(crate) mod bpf;
mod file;
pub mod futex;
mod ids;
mod mount;
mod process;
mod ptrace;
mod sched;
mod signal;
mod socket;
mod terminal;

pub use bpf::*;
pub use file::*;
pub use ids::*;
pub use mount::*;
pub use process::*;
pub use ptrace::*;
pub use sched::*;
pub use signal::*;
pub use socket::*;
pub use terminal::*;
