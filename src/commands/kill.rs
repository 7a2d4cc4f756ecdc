//! `kill`: a signal to the container's first process, or to all. May touch: everything below.

use super::{Context, step};
use crate::cli;
use crate::error::{Error, at};
use crate::plan::Step;
use crate::state::{self, Status};
use alloc::format;
use syscalls::{At, Errno, Why};

/// `kill`.
pub fn kill(context: &mut Context, options: &cli::Kill) -> Result<i32, Error> {
    step(Step::Stop);
    let id = &options.id;
    let root = context.open_root()?;
    let dir = state::find(root.as_ref(), id)?;
    crate::recorder::join(dir.at());
    let saved = state::load(dir.at(), id)?;
    let now = state::now(dir.at(), &saved)?;
    let failed = |failed| at(format!("kill {id}"), failed);
    super::vm::refuse_signal(&saved, options.signal)?;
    if options.all && !saved.cgroup_path.is_empty() {
        return all(&saved.cgroup_path, options.signal, now.status, id);
    }
    let Some(init) = now.init else {
        return Err(Error::State(format!(
            "container not running: {id} is {}",
            now.status.word()
        )));
    };
    match syscalls::pidfd_send_signal(
        init.at(),
        options.signal,
        Why("the signal that was asked for"),
    ) {
        Err(f) if f.errno == Errno::ESRCH => Err(Error::State(format!(
            "container not running: {id} has just ended"
        ))),
        other => other.map(|()| 0).map_err(failed),
    }
}

/// Every process of the cgroup, and of those that the container made in it.
fn all(path: &str, signal: i32, status: Status, id: &str) -> Result<i32, Error> {
    let failed = |failed| at(format!("kill {id}"), failed);
    let Some((root, group)) = crate::cgroup::open_pair(path).map_err(failed)? else {
        return Err(Error::State(format!(
            "container not running: {id} is {}",
            status.word()
        )));
    };
    // The kernel hits exactly the cgroup's own, also those that are just being made; from Linux 5.14 on.
    if signal == libc::SIGKILL && crate::cgroup::kill(root.at(), &state::c(path)?).is_ok() {
        return Ok(0);
    }
    let why = Why("the kernel lists the cgroup's processes there");
    for pid in crate::cgroup::processes(group.at(), why).map_err(failed)? {
        match send(pid, signal) {
            Err(f) if f.errno == Errno::ESRCH => {}
            other => other.map_err(failed)?,
        }
    }
    Ok(0)
}

fn send(pid: i32, signal: i32) -> syscalls::Result<()> {
    let process = syscalls::pidfd_open(pid, Why("a handle cannot come to mean another process"))?;
    let at: At = process.at();
    syscalls::pidfd_send_signal(at, signal, Why("--all: every process of the container"))
}
