//! `kill`: a signal to the container's first process, or to all. May touch: everything below.

use super::channel::client;
use super::context::{Context, step};
use super::ours;
use super::several::{self, Among};
use crate::cli::{self, Which};
use crate::host::cgroup;
use crate::host::input::c;
use crate::outcome::{Error, at};
use crate::plan::Step;
use crate::say::tell;
use crate::state::{self, Now, Saved};
use syscalls::flags::signal_name;
use syscalls::{Errno, Fd, Why};

/// `kill`.
#[inline(never)]
pub fn kill(context: &mut Context, options: &cli::Kill) -> Result<i32, Error> {
    several::each(context, &options.which, Among::Listed, |context, id| one(context, id, options))
}

fn one(context: &mut Context, id: &str, options: &cli::Kill) -> Result<i32, Error> {
    step(Step::Stop);
    let (root, dir) = context.container(id)?;
    let dir = context.recording.join(dir);
    let saved = state::load(dir, id)?;
    let now = state::now(dir, &saved)?;
    let failed = |failed| at(format!("kill {id}"), failed);
    if now.init.is_none() && matches!(options.which, Which::Matching(_)) {
        // The pattern also fits a container that has ended, which needs no signal.
        return Ok(0);
    }
    if saved.channel && now.status != state::Status::Stopped {
        return client::kill(context, &saved, dir, options.signal, options.all);
    }
    super::vm::refuse_signal(&saved, options.signal)?;
    if options.all && !saved.cgroup_path.is_empty() {
        return all(&root, &saved, options.signal, &now);
    }
    // Without a pid namespace of the container's own, its other processes outlive the first one.
    let lone = options.signal == libc::SIGKILL && !saved.own_pids && !saved.cgroup_path.is_empty();
    let reached = lone && left(&root, &saved, &now)?;
    let Some(init) = now.init.filter(|_| now.status != state::Status::Stopped) else {
        return match reached {
            true => Ok(0),
            false => Err(Error::State(format!("container not running: {id} is {}", now.status.word()))),
        };
    };
    tell::words("kill", &[&signal_name(options.signal).to_string(), &saved.pid.to_string()]);
    match syscalls::pidfd_send_signal(init.at(), options.signal, Why("the caller asked for this signal")) {
        Err(f) if f.errno == Errno::ESRCH && reached => Ok(0),
        Err(f) if f.errno == Errno::ESRCH => Err(Error::State(format!("container not running: {id} has just ended"))),
        other => other.map(|()| 0).map_err(failed),
    }
}

/// Kills all processes of a container without a pid namespace of its own. False: there are none.
fn left(state: &Fd, saved: &Saved, now: &Now) -> Result<bool, Error> {
    let failed = |failed| at(format!("kill {}", saved.id), failed);
    let Some((_, group)) = cgroup::open_pair(&saved.cgroup_path).map_err(failed)? else {
        return Ok(false);
    };
    // Those that are ending need no signal.
    let own = ours::lasting(|| ours::own(group.at(), saved, now.init.as_ref())).map_err(failed)?;
    if own.is_empty() {
        return Ok(false);
    }
    all(state, saved, libc::SIGKILL, now).map(|_| true)
}

/// Sends a signal to all processes of the container, in its cgroup and in those below.
fn all(state: &Fd, saved: &Saved, signal: i32, now: &Now) -> Result<i32, Error> {
    let (id, path) = (&saved.id, saved.cgroup_path.as_str());
    tell::words("kill-all", &[&signal_name(signal).to_string(), path]);
    let failed = |failed| at(format!("kill {id}"), failed);
    let Some((root, group)) = cgroup::open_pair(path).map_err(failed)? else {
        return Err(Error::State(format!("container not running: {id} is {}", now.status.word())));
    };
    if saved.made() == 0 {
        let list = || ours::own(group.at(), saved, now.init.as_ref());
        return ours::signal_each(list, signal).map(|_| 0).map_err(failed);
    }
    let others = ours::others(state, saved)?;
    // Since Linux 5.14 the kernel kills exactly the processes of a cgroup, also those that are being made.
    if others.is_empty() && signal == libc::SIGKILL && cgroup::kill(root.at(), &c(path)?).is_ok() {
        return Ok(0);
    }
    ours::signal_each(|| ours::all_but(root.at(), path, &others), signal).map_err(failed)?;
    Ok(0)
}
