//! The plan: a pure function of what is wanted, what is here, and the command's options. It makes no system call, so
//! the same configuration gives the same listing on any machine. May touch: types and tables.
//!
//! ```text
//!   create, exec     lists of subjects; each reads its part of config.json and puts lines into stages
//!   order            the stages of each lane: THE ORDER
//!   builder          sorts the lines by their stages into a plan
//!   op               the instruction set; show: the listing
//! ```

mod builder;
pub mod callers;
pub mod cgroup;
mod create;
pub mod devices;
mod exec;
mod hooks;
mod labels;
mod mark;
pub mod mounts;
pub mod namespaces;
mod network;
pub mod op;
mod order;
mod process;
mod rdt;
mod rootfs;
pub mod seccomp;
pub mod show;
mod slot;
mod step;
mod sync;
pub mod terminal;
pub mod text;
mod tree;
mod users;
mod watch;
mod wish;

pub use cgroup::cgroup_path;
pub use create::create;
pub use exec::exec;
pub use hooks::hook;
pub use mark::Mark;
pub use op::{Hook, Line, Op, Place, Plan};
pub use order::stage;
pub use rdt::OWN_RESCTRL;
pub use slot::Slot;
pub use step::Step;
pub use text::{Strings, clean};
pub use wish::{Joined, Notify, Wish};
