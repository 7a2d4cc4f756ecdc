//! What would fail, before it is tried: this machine and a bundle are looked at, and nothing is made. Each line of the plan is
//! looked at in its order, by the looks of room `cause` where a failed line would be looked at by them. May touch: everything
//! from `look` down.
//!
//! ```text
//!   rows     the rows of the table, and their words (texts.txt)
//!   host     this machine
//!   lines    the lines of the plan: which look each needs
//!   view     where the files of the container lie, before it has mounts
//!   files    rootfs, mounts, working directory, hooks
//!   program  the program
//!   rights   namespaces, ids, limits, settings, labels
//!   groups   the cgroup and its controllers
//! ```

mod files;
mod groups;
mod host;
mod lines;
mod program;
mod rights;
mod rows;
mod view;

pub use host::look as host;
pub use lines::look as lines;
pub use rows::{Row, Rows, Verdict};

use crate::host::cgroup;
use core::ffi::CStr;
use syscalls::{At, Why};

/// Who asks, and for what.
pub struct Asker {
    pub pid: i32,
    pub uid: u32,
    /// The caller has CAP_SYS_ADMIN and CAP_SYS_RESOURCE.
    pub can_mount: bool,
    pub can_raise: bool,
    /// False: `--cgroup-manager disabled`.
    pub cgroup: bool,
    pub cgroup_base: String,
    /// The state root.
    pub root: String,
    pub has_bundle: bool,
    /// Hooks run before the program begins: they may bring files into the container.
    pub hooked: bool,
    /// The bundle asks for a new user namespace.
    pub new_users: bool,
}

/// A short file of the kernel's, whole.
fn read(path: &CStr) -> Option<String> {
    cgroup::read(At::CWD, path, Why("the kernel tells there what it has")).ok()
}
