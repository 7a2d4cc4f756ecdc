//! Why a line of a plan failed: looks at this machine and at the container, after the failure, and what they find. Each look
//! only reads, reads a bounded number of bytes, and waits for nothing. What it cannot read it leaves out. May touch: everything
//! from `state` down.
//!
//! ```text
//!   scene       what failed, and where it can be looked at
//!   facts       what kernels can do, and since when: facts.txt
//!   missing     a path that leads nowhere
//!   path        a path walked by hand
//!   texts       the words for what a look has found: texts.txt
//!
//!   program     a program that cannot be executed
//!   access      a file that cannot be reached or executed: components, owners, modes, noexec
//!   binfmt      kinds of programs that the host runs by an interpreter
//!   elf         what kind of program a file is: kinds.txt
//!   sizes       arguments and processes that are too many
//!   writers     which process writes a program's file
//!   namespaces  a namespace that cannot be made or joined
//!   ids         ids that cannot be mapped or taken
//!   filter      a seccomp filter that cannot be loaded
//!   labels      a label that a security module does not take, and what it refuses
//!   rights      what a process may do: needs.txt
//!   users       ids inside and outside of a user namespace
//! ```
//! Each other file has the looks of its subject. A look takes plain facts, such as a root directory, a path and a user, so that
//! it can be called without a failure.

pub mod access;
mod binfmt;
pub mod cgroup;
pub mod devices;
pub mod elf;
pub mod facts;
pub mod filter;
pub mod hooks;
pub mod ids;
pub mod labels;
pub mod limits;
pub mod masked;
pub mod missing;
pub mod mounts;
pub mod namespaces;
pub mod overlay;
pub mod path;
pub mod program;
pub mod rights;
pub mod rootfs;
mod scene;
pub mod sizes;
pub mod sysctl;
mod texts;
pub mod users;
mod writers;

pub use rights::outside as by_filter;
pub use scene::{Found, Place, Root, Scene};
pub use texts::{holes, part};

use crate::outcome::Lane;
use crate::plan::op::{Namespaces, Process, Rootfs, Sync};
use crate::plan::{Op, Step};
use syscalls::{Errno, Failed, record};

/// The one cause of a failure, if a look finds it.
pub fn of(scene: &Scene) -> Option<Found> {
    // The caller has no descriptor left: a look would fail in the same way, and blame the path.
    if scene.failed().is_some_and(|failed| matches!(failed.errno, Errno::EMFILE | Errno::ENFILE)) {
        return None;
    }
    looking(|| {
        scene
            .failed()
            .and_then(too_old)
            .or_else(|| filter::refused(scene))
            .or_else(|| by_subject(scene))
            .or_else(|| namespaces::of_trees(scene))
            .or_else(|| rights::of(scene))
            .or_else(|| labels::refusing(scene))
    })
}

/// The one cause of the failure of a call outside of any plan.
pub fn outside(failed: Failed) -> Option<Found> {
    looking(|| too_old(failed).or_else(|| rights::outside(failed)).or_else(|| missing::outside(failed)))
}

/// The cause that this kernel is older than the floor: the call is the first that it lacks.
pub fn too_old(failed: Failed) -> Option<Found> {
    let call = match failed.errno {
        Errno::ENOSYS => failed.call.name(),
        // The call is older than its flag.
        Errno::EINVAL if failed.call.name() == "close_range" => "close_range with CLOSE_RANGE_CLOEXEC",
        _ => return None,
    };
    facts::older_than(facts::FLOOR).then(|| Found::new("kernel too old", &[&facts::release(), call]))
}

/// The calls of a look belong to no line of the plan: they are a step of their own.
pub fn looking<T>(look: impl FnOnce() -> T) -> T {
    record::aside(Lane::Host as u8, Step::Cause as u16, look)
}

fn by_subject(scene: &Scene) -> Option<Found> {
    match &scene.line?.op {
        Op::Callers(_) | Op::Network(_) | Op::Terminal(_) => limits::of(scene),
        Op::Cgroup(_) => cgroup::of(scene),
        Op::Devices(op) => devices::of(scene, op),
        Op::Hooks(op) => hooks::of(scene, op),
        Op::Labels(_) => None,
        Op::Mounts(_) => labels::of_mount(scene).or_else(|| mounts::of(scene)),
        Op::Namespaces(op) => by_namespaces(scene, op),
        Op::Process(Process::RaiseLimit { .. } | Process::Limit { .. }) => limits::of(scene),
        Op::Process(op) => program::of(scene, op),
        Op::Rdt(_) => None,
        Op::Rootfs(Rootfs::Cwd { path }) => program::cwd(scene, &path.to_string_lossy()),
        Op::Rootfs(op) => rootfs::of(scene, op),
        Op::Seccomp(op) => filter::of(scene, op),
        Op::Sync(Sync::SaveState { .. }) => limits::state(scene),
        Op::Sync(_) => cgroup::not_running(scene),
        Op::Users(op) => ids::of(scene, op),
        Op::Watch(_) => None,
    }
}

fn by_namespaces(scene: &Scene, op: &Namespaces) -> Option<Found> {
    match op {
        Namespaces::Hostname { .. } | Namespaces::Domainname { .. } => limits::of(scene),
        Namespaces::WriteProc { .. } if is_sysctl(scene) => sysctl::of(scene, op),
        Namespaces::WriteProc { .. } => labels::of(scene, op).or_else(|| limits::oom_score(scene)),
        Namespaces::Clone { .. } => cgroup::not_entered(scene).or_else(|| namespaces::of(scene, op)),
        _ => namespaces::of(scene, op),
    }
}

/// Whether the line writes a setting that config.json asks for.
fn is_sysctl(scene: &Scene) -> bool {
    scene.line.is_some_and(|line| line.from.starts_with("/linux/sysctl/"))
}
