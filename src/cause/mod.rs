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
mod facts;
pub mod masked;
mod missing;
pub mod mounts;
pub mod overlay;
mod path;
mod scene;
mod texts;

pub use scene::{Found, Place, Root, Scene};

use crate::plan::Op;
use crate::plan::op::Namespaces;

/// The one cause of a failure, if a look finds it.
pub fn of(scene: &Scene) -> Option<Found> {
    match &scene.line?.op {
        Op::Callers(_) => None,
        Op::Cgroup(_) => cgroup::of(scene),
        Op::Devices(_) => None,
        Op::Hooks(_) => None,
        Op::Labels(_) => None,
        Op::Mounts(_) => mounts::of(scene),
        Op::Namespaces(Namespaces::Clone { .. }) => cgroup::not_entered(scene),
        Op::Namespaces(_) => None,
        Op::Network(_) => None,
        Op::Process(_) => None,
        Op::Rdt(_) => None,
        Op::Rootfs(_) => None,
        Op::Seccomp(_) => None,
        Op::Sync(_) => None,
        Op::Terminal(_) => None,
        Op::Users(_) => None,
    }
}
