//! config.json's `linux.seccomp`: when the filter is loaded, and which process gets its listener (config-linux.md,
//! "Seccomp"; seccomp(2)). May touch: types.

pub mod code;
mod compile;
mod judge;

pub use compile::{NATIVE, compile, document, flags, listener, unknown, warnings};
pub use judge::{column, judge};

use super::builder::Builder;
use super::op;
use super::order::{Host, Init};
use super::text::c;
use crate::spec::{Problem, Seccomp, Spec, state_document};

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let Some(profile) = &b.spec.linux.seccomp else {
        return Ok(());
    };
    let (last, asks) = (is_last(b.spec), listener(profile));
    load(b, profile, last, asks)?;
    if asks {
        let stage = if last && !b.wish.wait_for_start { Host::LateListener } else { Host::Listener };
        pass_listener(b, profile, stage)?;
    }
    Ok(())
}

/// Whether the filter is loaded right before execve, so that it is asked about no other call of ours: a profile knows
/// the calls of programs, and need not know those of a runtime. With a listener it is so only where no right is missing
/// then.
fn is_last(spec: &Spec) -> bool {
    may_load(spec) || !spec.linux.seccomp.as_ref().is_some_and(listener)
}

/// A filter may be loaded with no_new_privs, or with CAP_SYS_ADMIN (seccomp(2)). Whether the program's own privileges
/// do.
fn may_load(spec: &Spec) -> bool {
    let sets = &spec.process.capabilities;
    let both = [&sets.effective, &sets.permitted].iter().all(|set| set.iter().any(|name| name == "CAP_SYS_ADMIN"));
    spec.process.no_new_privileges || both
}

/// Whether CAP_SYS_ADMIN is kept for loading the filter, though the program is not to have it. execve computes what is
/// permitted and effective from the inheritable, the bounding and the ambient set alone (capabilities(7)), and these
/// are the program's: it gets what it would have got.
pub fn keeps_right(spec: &Spec) -> bool {
    spec.linux.seccomp.is_some() && !may_load(spec) && is_last(spec)
}

fn load(b: &mut Builder, profile: &Seccomp, last: bool, listener: bool) -> Result<(), Problem> {
    if b.spec.fails_on_unknown_calls()
        && let Some((pointer, problem)) = unknown(profile)
    {
        return Err(Problem { pointer, problem });
    }
    let stage = match last {
        false => Init::Filter,
        // `create` passes the listener on, whatever the order: an agent waits for it before it says `start`.
        true if listener && b.wish.wait_for_start => Init::WaitingFilter,
        true => Init::LastFilter,
    };
    let op = op::Seccomp::Load { filter: compile(profile)?, flags: flags(profile), listener };
    b.init(stage, "/linux/seccomp", op, "from here on the kernel answers each system call as the profile says");
    Ok(())
}

/// The descriptor of a filter that asks goes to the agent that answers.
fn pass_listener(b: &mut Builder, profile: &Seccomp, stage: Host) -> Result<(), Problem> {
    let (spec, wish) = (b.spec, b.wish);
    let status = if b.is_exec() { "running" } else { "creating" };
    let state = state_document(&spec.oci_version, wish.id, wish.bundle, status, &spec.annotations.json());
    let at = "/linux/seccomp/listenerPath";
    let metadata = profile.listener_metadata.as_deref().unwrap_or("");
    let first = wish.joins.as_ref().map(|joined| joined.first);
    let op = op::Seccomp::PassListener {
        path: c(at, profile.listener_path.as_deref().unwrap_or(""))?,
        document: document(&spec.oci_version, metadata, state, first),
    };
    b.host(stage, at, op, "the listener answers for the system calls that the profile asks about");
    Ok(())
}
