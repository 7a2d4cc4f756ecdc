//! A container looked at from outside: what the kernel says of its first process, its mounts, its cgroup and its devices,
//! beside what the configuration asked for. Nothing here changes anything. May touch: everything from `state` down.
//!
//! ```text
//!   container    all of it put together, and what is left of a container that has ended
//!   open         what is not isolated, and what that means (texts/open.txt)
//!   rows         the same facts as lines, to compare two processes
//!   process      what /proc says of one process
//!   mounts       its mounts: where each comes from, and what of the host lies there
//!   namespaces   each its own, the host's, or shared
//!   devices      the nodes in /dev, and which devices may be used
//!   cgroup       limits and use
//!   seccomp      the profile of the configuration
//!   proc         the reading of /proc/PID
//!   notes        sentences beside the facts (texts/notes.txt)
//! ```

mod cgroup;
mod container;
mod devices;
pub mod mounts;
mod namespaces;
mod notes;
pub mod open;
mod proc;
mod process;
mod rows;
mod seccomp;

pub use cgroup::words;
pub use container::{Container, Looked, Remains, facts, host, look};
pub use devices::Node;
pub use mounts::{Mount, Origin};
pub use namespaces::{Namespace, Sharing, of as namespaces_of, same};
pub use notes::note;
pub use proc::Proc;
pub use process::{Facts, Users, set_of};
pub use rows::{Differs, differences};
