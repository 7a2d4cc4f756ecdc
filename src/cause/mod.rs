//! Why a line of a plan failed: looks at this machine and at the container, after the failure, and what they find. Each look
//! only reads, reads a bounded number of bytes, and waits for nothing. What it cannot read it leaves out. May touch: everything
//! from `state` down.
//!
//! ```text
//!   scene   what failed, and where it can be looked at
//!   facts   what kernels can do, and since when: facts.txt
//!   missing a path that leads nowhere
//!   texts   the words for what a look has found: texts.txt
//! ```
//! Each other file has the looks of its subject. A look takes plain facts, such as a root directory, a path and a user, so that
//! it can be called without a failure.

pub mod cgroup;
pub mod devices;
mod facts;
pub mod hooks;
pub mod limits;
pub mod masked;
pub mod missing;
pub mod mounts;
pub mod overlay;
pub mod path;
pub mod rootfs;
mod scene;
pub mod sysctl;
mod texts;

pub use scene::{Found, Place, Root, Scene};
pub use texts::holes;

use crate::plan::Op;
use crate::plan::op::{Namespaces, Process};

/// The one cause of a failure, if a look finds it.
pub fn of(scene: &Scene) -> Option<Found> {
    match &scene.line?.op {
        Op::Callers(_) | Op::Network(_) | Op::Terminal(_) => limits::of(scene),
        Op::Cgroup(_) => cgroup::of(scene),
        Op::Devices(op) => devices::of(scene, op),
        Op::Hooks(op) => hooks::of(scene, op),
        Op::Labels(_) => None,
        Op::Mounts(_) => mounts::of(scene),
        Op::Namespaces(Namespaces::Clone { .. }) => cgroup::not_entered(scene),
        Op::Namespaces(Namespaces::Hostname { .. } | Namespaces::Domainname { .. }) => limits::of(scene),
        Op::Namespaces(op @ Namespaces::WriteProc { .. }) if is_sysctl(scene) => sysctl::of(scene, op),
        Op::Namespaces(_) => None,
        Op::Process(Process::RaiseLimit { .. } | Process::Limit { .. }) => limits::of(scene),
        Op::Process(_) => None,
        Op::Rdt(_) => None,
        Op::Rootfs(op) => rootfs::of(scene, op),
        Op::Seccomp(_) => None,
        Op::Sync(_) => cgroup::not_running(scene),
        Op::Users(_) => None,
        Op::Watch(_) => None,
    }
}

/// Whether the line writes a setting that config.json asks for.
fn is_sysctl(scene: &Scene) -> bool {
    scene.line.is_some_and(|line| line.from.starts_with("/linux/sysctl/"))
}
