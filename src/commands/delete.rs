//! `delete`: what `create` has made is removed. May touch: everything below.

use super::context::{Context, step, systemd_failed};
use super::several::{self, Among};
use super::{hooks, ours};
use crate::cause;
use crate::cli::{self, Level};
use crate::host::input::c;
use crate::host::{cgroup, procfs, systemd};
use crate::outcome::{Error, at};
use crate::perform::rdt;
use crate::plan::Step;
use crate::plan::cgroup::limits::above;
use crate::say::error::found;
use crate::say::tell;
use crate::state::{self, Status};
use syscalls::{At, Errno, Fd, PollFd, Why};

/// `delete`.
#[inline(never)]
pub fn delete(context: &mut Context, options: &cli::Delete) -> Result<i32, Error> {
    let among = if options.force { Among::All } else { Among::Listed };
    several::each(context, &options.which, among, |context, id| one(context, id, options.force))
}

fn one(context: &mut Context, id: &str, force: bool) -> Result<i32, Error> {
    // Another process may finish making the container meanwhile. Then there is a whole container to delete.
    for _ in 0..3 {
        if let Some(status) = attempt(context, id, force)? {
            return Ok(status);
        }
    }
    Err(state::strangers(id))
}

/// `None`: another process has just finished making the container.
fn attempt(context: &mut Context, id: &str, force: bool) -> Result<Option<i32>, Error> {
    step(Step::Delete);
    state::check_id(id)?;
    let root = context.open_root()?;
    let found = state::look_up(root.as_ref(), id)?;
    let (Some(root), Some(dir)) = (root, found) else {
        return match force {
            // Engines clean up twice.
            true => Ok(Some(0)),
            false => Err(state::missing(id)),
        };
    };
    let dir = context.recording.join(dir);
    let (saved, unfinished) = known_of(dir, id, force)?;
    saved.as_ref().map_or(Ok(()), Context::may_run_hooks)?;
    let ended = match &saved {
        Some(saved) => end_first(context, &root, dir, saved, force)?,
        None => false,
    };
    let known = match &saved {
        Some(saved) => saved.clone(),
        None => state::begun(dir, id)?.unwrap_or_else(|| state::unknown(id)),
    };
    // In a pid namespace of the container's own, the end of the first process ends all others.
    let ended = saved.as_ref().is_some_and(|saved| saved.own_pids) || ended;
    if force && !known.cgroup_path.is_empty() && !ended {
        remains(context, &root, &known)?;
    }
    tell::words("remove", &[id]);
    remove_around(&known, None)?;
    if !unfinished {
        state::remove(root.at(), dir, id, true)?;
    } else if !state::remove_unfinished(root.at(), dir, id)? {
        return Ok(None);
    }
    match &saved {
        Some(saved) => after(context, saved),
        None => born_meanwhile(context, &root, &known)?,
    }
    context.log.say(Level::Info, &format!("container {id}: deleted"));
    Ok(Some(0))
}

/// Ends the processes of a container, if it may be deleted. True: its first process lived, and all of them are ended.
fn end_first(context: &Context, root: &Fd, dir: At, saved: &state::Saved, force: bool) -> Result<bool, Error> {
    let id = &saved.id;
    let now = match force {
        true => state::now(dir, saved)?,
        false => state::look(dir, saved)?,
    };
    if !force && !matches!(now.status, Status::Stopped | Status::Created) {
        let word = now.status.word();
        return Err(Error::State(format!("cannot delete container {id} that is not stopped: {word}")));
    }
    let Some(init) = now.init else {
        if !force {
            refuse_left(context, root, saved)?;
        }
        return Ok(false);
    };
    if !saved.own_pids && saved.made() == 0 {
        end_own(saved)?;
    }
    end(&init, id)?;
    end_left(context, root, saved)?;
    Ok(true)
}

/// The container's document; and whether it has none yet. With `--force` a damaged document is none.
fn known_of(dir: At, id: &str, force: bool) -> Result<(Option<state::Saved>, bool), Error> {
    if !force {
        return Ok((Some(state::load(dir, id)?), false));
    }
    Ok(match state::document_of(dir, id)? {
        state::Document::Whole(saved) => (Some(*saved), false),
        state::Document::Damaged(_) => (None, false),
        state::Document::Missing => (None, true),
    })
}

/// Ends what another process has started that was making the container meanwhile. The directory is gone, so that process can
/// write no document any more.
fn born_meanwhile(context: &Context, root: &Fd, known: &state::Saved) -> Result<(), Error> {
    if known.cgroup_path.is_empty() || known.scope.is_some() || known.made() == 0 {
        return Ok(());
    }
    remains(context, root, known)?;
    remove_cgroup(known, None)
}

/// What comes last, when the container is gone: its own group of resctrl is removed, and `poststop` hooks run.
pub fn after(context: &mut Context, saved: &state::Saved) {
    if let Some(group) = saved.resctrl.as_deref().and_then(|group| c(group).ok()) {
        rdt::remove(&group);
    }
    if let Some(list) = &saved.hooks {
        hooks::poststop(saved, list, &mut context.log);
    }
}

/// Ends what a container has left in its cgroup after the end of its first process. In a pid namespace of the container's own
/// the kernel has done so.
pub fn end_left(context: &Context, root: &Fd, saved: &state::Saved) -> Result<(), Error> {
    if saved.own_pids || saved.cgroup_path.is_empty() {
        return Ok(());
    }
    remains(context, root, saved)
}

/// Refuses to delete a container if its first process has ended and other processes still run.
fn refuse_left(context: &Context, root: &Fd, saved: &state::Saved) -> Result<(), Error> {
    let (id, path) = (&saved.id, &saved.cgroup_path);
    if saved.own_pids || path.is_empty() {
        return Ok(());
    }
    if saved.made() == 0 {
        return remains(context, root, saved);
    }
    let failed = |failed| at(format!("look what is left of {id}"), failed);
    let Some((hierarchy, _)) = cgroup::open_pair(path).map_err(failed)? else {
        return Ok(());
    };
    let others = ours::others(root, saved)?;
    let left = ours::lasting(|| ours::all_but(hierarchy.at(), path, &others)).map_err(failed)?;
    match left.as_slice() {
        [] => Ok(()),
        left => Err(Error::State(format!(
            "cannot delete container {id}: its first process has ended, and others are left in its cgroup /{path}: {}; delete --force {id} ends them",
            procfs::named(left)
        ))),
    }
}

/// Ends and removes a container after a failure.
pub fn destroy(context: &mut Context, root: &Fd, saved: &state::Saved, init: Option<&Fd>) -> Result<(), Error> {
    step(Step::Delete);
    if let Some(init) = init {
        end(init, &saved.id)?;
    }
    end_left(context, root, saved)?;
    remove(root, &saved.id, saved, None, None)?;
    after(context, saved);
    Ok(())
}

/// Ends the container's own processes in a cgroup that is older than the container. Only their namespaces tell them from
/// others, and only while the container's first process lives.
fn end_own(saved: &state::Saved) -> Result<(), Error> {
    let failed = |failed| at(format!("end the processes of {}", saved.id), failed);
    if saved.cgroup_path.is_empty() {
        return Ok(());
    }
    let Some((_, group)) = cgroup::open_pair(&saved.cgroup_path).map_err(failed)? else {
        return Ok(());
    };
    let mark = ours::mark(saved).map_err(failed)?;
    ours::end_all(|| ours::alike(group.at(), saved, mark)).map_err(failed)
}

/// Kills all processes that are left in a cgroup that was made for the container, but for those of other containers.
fn remains(context: &Context, root: &Fd, known: &state::Saved) -> Result<(), Error> {
    let id = &known.id;
    let failed = |failed| at(format!("kill what is left of {id}"), failed);
    let Some((hierarchy, group)) = cgroup::open_pair(&known.cgroup_path).map_err(failed)? else {
        return Ok(());
    };
    if known.made() == 0 {
        let why = Why("a cgroup that is older than the container can hold processes of others, which stay");
        let left = ours::lasting(|| cgroup::processes(group.at(), why)).map_err(failed)?;
        if !left.is_empty() {
            let text = format!(
                "processes are left in the cgroup /{}, which was there before container {id}, and are not known to be its own: {}",
                known.cgroup_path,
                procfs::named(&left)
            );
            context.log.say(Level::Warn, &text);
        }
        return Ok(());
    }
    let others = ours::others(root, known)?;
    // Before Linux 5.14, and in a threaded cgroup, the kernel cannot end all at once.
    if others.is_empty() && cgroup::kill(hierarchy.at(), &c(&known.cgroup_path)?).is_ok() {
        return Ok(());
    }
    ours::end_all(|| ours::all_but(hierarchy.at(), &known.cgroup_path, &others)).map_err(failed)
}

/// Kills a process and waits until it has ended. With a pidfd that needs no child of this process.
fn end(init: &Fd, id: &str) -> Result<(), Error> {
    let failed = |failed| at(format!("kill {id}"), failed);
    tell::words("end", &[id]);
    match syscalls::pidfd_send_signal(init.at(), libc::SIGKILL, Why("delete ends what has not ended")) {
        Err(f) if f.errno == Errno::ESRCH => return Ok(()),
        other => other.map_err(failed)?,
    }
    let mut fds = [PollFd { fd: init.at().raw(), events: libc::POLLIN, revents: 0 }];
    let ready = syscalls::ppoll(&mut fds, Some(10_000), Why("the kernel takes a moment to end it")).map_err(failed)?;
    if ready == 0 {
        return Err(Error::State(format!(
            "container {id} does not end although it was killed: it waits for something in the kernel"
        )));
    }
    Ok(())
}

/// Removes cgroup and state of a container after its processes have ended. `dir`: its directory, if it is open.
pub fn remove(root: &Fd, id: &str, saved: &state::Saved, hierarchy: Option<Fd>, dir: Option<Fd>) -> Result<(), Error> {
    remove_around(saved, hierarchy)?;
    match dir.map_or_else(|| state::look_up(Some(root), id), |dir| Ok(Some(dir)))? {
        Some(dir) => state::remove(root.at(), dir.at(), id, false),
        // `run` and `delete --force` came to this at the same time, and the other command was faster.
        None => Ok(()),
    }
}

/// Removes what the container has besides its state: its cgroup, or the scope that systemd has made.
fn remove_around(saved: &state::Saved, hierarchy: Option<Fd>) -> Result<(), Error> {
    let id = &saved.id;
    match &saved.scope {
        Some((unit, sockets)) => {
            systemd::stop(unit, sockets).map_err(|trouble| systemd_failed(format!("stop {unit} of {id}"), trouble))
        }
        None if saved.cgroup_path.is_empty() => Ok(()),
        None if saved.made() == 0 => thaw(saved),
        None => remove_cgroup(saved, hierarchy),
    }
}

/// Thaws a cgroup that is older than the container, if no process is in it. It was not frozen when the container began.
fn thaw(saved: &state::Saved) -> Result<(), Error> {
    let failed = |failed| at(format!("thaw the cgroup of {}", saved.id), failed);
    let Some((_, group)) = cgroup::open_pair(&saved.cgroup_path).map_err(failed)? else {
        return Ok(());
    };
    let why = Why("a paused container that ended has left its cgroup frozen");
    let frozen = cgroup::read(group.at(), c"cgroup.freeze", why);
    if frozen.is_ok_and(|text| text.trim() == "1") && cgroup::processes(group.at(), why).is_ok_and(|all| all.is_empty())
    {
        cgroup::write(group.at(), c"cgroup.freeze", b"0", why).map_err(failed)?;
    }
    Ok(())
}

/// Removes the cgroup that was made for a container, and those of its parents that were made for it. `run` has the
/// `hierarchy` open, and leaves the empty parent of all containers to the next run: to remove and make it takes a twentieth
/// of a run's time.
fn remove_cgroup(saved: &state::Saved, hierarchy: Option<Fd>) -> Result<(), Error> {
    let (id, path) = (&saved.id, &saved.cgroup_path);
    let failed = |failed| at(format!("remove the cgroup of {id}"), failed);
    let leave_parent = hierarchy.is_some();
    let open = hierarchy.map_or_else(cgroup::open_root, |open| Ok(Some(open)));
    let Some(hierarchy) = open.map_err(failed)? else {
        return Ok(());
    };
    let usual = *path == state::usual_cgroup(id);
    let above = if usual { Vec::new() } else { above(path).unwrap_or_default() };
    let kept = above.len().saturating_sub(saved.made() - 1).max(1);
    let parents = above.get(kept..).unwrap_or_default();
    let removed = cgroup::remove(hierarchy.at(), parents, &c(path)?);
    if usual && !leave_parent && removed.is_ok() {
        // It stays if another container needs it, or it belongs to another user.
        let _ = cgroup::remove_if_unused(hierarchy.at(), c"nano-sandbox");
    }
    match removed {
        Err(busy) if busy.errno == Errno::EBUSY => Err(match cause::cgroup::left(hierarchy.at(), path) {
            Some(left) => found(left, Some(busy)),
            None => failed(busy),
        }),
        removed => removed.map_err(failed),
    }
}
