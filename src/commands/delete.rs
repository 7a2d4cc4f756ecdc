//! `delete`: what `create` made is taken away. May touch: everything below.

use super::context::{Context, step, systemd_failed};
use super::several::{self, Among};
use super::{hooks, ours};
use crate::cli::{self, Level};
use crate::host::input::c;
use crate::host::systemd;
use crate::outcome::{Error, at};
use crate::plan::Step;
use crate::state::{self, Status};
use alloc::ffi::CString;
use syscalls::{Fd, Why};

/// `delete`.
pub fn delete(context: &mut Context, options: &cli::Delete) -> Result<i32, Error> {
    let among = match options.force {
        true => Among::All,
        false => Among::Listed,
    };
    several::each(context, &options.which, among, |context, id| one(context, id, options.force))
}

fn one(context: &mut Context, id: &str, force: bool) -> Result<i32, Error> {
    // Another process may finish making the container meanwhile: then it is there to be deleted.
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
            false => Err(Error::State(format!("container does not exist: {id}"))),
        };
    };
    context.join_trace(dir.at())?;
    let (saved, unfinished) = known_of(&dir, id, force)?;
    let ended = match &saved {
        Some(saved) => end_first(context, &root, &dir, saved, force)?,
        None => false,
    };
    let begun = match saved {
        None => state::begun(dir.at(), id)?,
        Some(_) => None,
    };
    let usual = || state::unknown(id);
    let known = saved.clone().or(begun).unwrap_or_else(usual);
    // With the first process all others have ended, if that was known and had a pid namespace of its own.
    let ended = saved.as_ref().is_some_and(|saved| saved.own_pids) || ended;
    if force && !known.cgroup_path.is_empty() && !ended {
        remains(context, &root, &known)?;
    }
    match unfinished {
        false => {
            drop(dir);
            remove(&root, id, &known, None)?;
        }
        true => {
            remove_around(&known, None)?;
            if !state::remove_unfinished(root.at(), dir, id)? {
                return Ok(None);
            }
        }
    }
    match &saved {
        Some(saved) => after(context, saved),
        None => born_meanwhile(context, &root, &known)?,
    }
    context.log.say(Level::Info, &format!("container {id}: deleted"));
    Ok(Some(0))
}

/// Ends the first process of a container that may be deleted, and what goes with it. True: that was all of them.
fn end_first(context: &Context, root: &Fd, dir: &Fd, saved: &state::Saved, force: bool) -> Result<bool, Error> {
    let id = &saved.id;
    let now = match force {
        true => state::now(dir.at(), saved)?,
        false => state::look(dir.at(), saved)?,
    };
    if !force && !matches!(now.status, Status::Stopped | Status::Created) {
        let word = now.status.word();
        return Err(Error::State(format!("cannot delete container {id} that is not stopped: {word}")));
    }
    match now.init {
        Some(init) => {
            if !saved.own_pids && saved.made() == 0 {
                end_own(saved)?;
            }
            end(&init, id)?;
            end_left(context, root, saved)?;
            return Ok(true);
        }
        None if !force => refuse_left(context, root, saved)?,
        None => {}
    }
    Ok(false)
}

/// What its document says, and whether there is none yet.
fn known_of(dir: &Fd, id: &str, force: bool) -> Result<(Option<state::Saved>, bool), Error> {
    if !force {
        return Ok((Some(state::load(dir.at(), id)?), false));
    }
    Ok(match state::document_of(dir.at(), id)? {
        state::Document::Whole(saved) => (Some(*saved), false),
        state::Document::Damaged(_) => (None, false),
        state::Document::Missing => (None, true),
    })
}

/// Another process may have been making the container all this time. The directory is gone, so that process can put nothing
/// on record any more. What it had started is ended here.
fn born_meanwhile(context: &Context, root: &Fd, known: &state::Saved) -> Result<(), Error> {
    if known.cgroup_path.is_empty() || known.scope.is_some() || known.made() == 0 {
        return Ok(());
    }
    remains(context, root, known)?;
    remove_cgroup(known, None)
}

/// What is done when all else of the container is gone: its own share of caches, and its last hooks.
pub fn after(context: &mut Context, saved: &state::Saved) {
    if let Some(group) = saved.resctrl.as_deref().and_then(|group| c(group).ok()) {
        crate::perform::rdt::remove(&group);
    }
    if let Some(list) = &saved.hooks {
        hooks::poststop(saved, list, &mut context.log);
    }
}

/// Ends what a container without a pid namespace of its own has left in the cgroup that was made for it. With such a namespace
/// the kernel has done so.
pub fn end_left(context: &Context, root: &Fd, saved: &state::Saved) -> Result<(), Error> {
    match saved.own_pids || saved.cgroup_path.is_empty() {
        true => Ok(()),
        false => remains(context, root, saved),
    }
}

/// Refuses to forget a container whose first process has ended while its other processes run.
fn refuse_left(context: &Context, root: &Fd, saved: &state::Saved) -> Result<(), Error> {
    let (id, path) = (&saved.id, &saved.cgroup_path);
    if saved.own_pids || path.is_empty() {
        return Ok(());
    }
    if saved.made() == 0 {
        return remains(context, root, saved);
    }
    let failed = |failed| at(format!("look what is left of {id}"), failed);
    let Some((hierarchy, _)) = crate::host::cgroup::open_pair(path).map_err(failed)? else {
        return Ok(());
    };
    let others = ours::others(root, saved)?;
    let left = ours::lasting(|| ours::all_but(hierarchy.at(), path, &others)).map_err(failed)?;
    match left.as_slice() {
        [] => Ok(()),
        left => Err(Error::State(format!(
            "cannot delete container {id}: its first process has ended, and others are left in its cgroup /{path}: {}; delete --force {id} ends them",
            ours::named(left)
        ))),
    }
}

/// Ends and removes a container that must not go on.
pub fn destroy(context: &mut Context, root: &Fd, saved: &state::Saved, init: Option<&Fd>) -> Result<(), Error> {
    step(Step::Delete);
    if let Some(init) = init {
        end(init, &saved.id)?;
    }
    end_left(context, root, saved)?;
    remove(root, &saved.id, saved, None)?;
    after(context, saved);
    Ok(())
}

/// Ends the container's own processes in a cgroup that was there before it. They can be told from others only while the
/// container's first process lives.
fn end_own(saved: &state::Saved) -> Result<(), Error> {
    let failed = |failed| at(format!("end the processes of {}", saved.id), failed);
    if saved.cgroup_path.is_empty() {
        return Ok(());
    }
    let pair = crate::host::cgroup::open_pair(&saved.cgroup_path).map_err(failed)?;
    let Some((_, group)) = pair else {
        return Ok(());
    };
    let mark = ours::mark(saved).map_err(failed)?;
    ours::end_all(|| ours::alike(group.at(), saved, mark)).map_err(failed)
}

/// Kills what is left in a cgroup that was made for the container: everything, if its document is missing or damaged; else
/// what a program without a pid namespace has started and not ended.
fn remains(context: &Context, root: &Fd, known: &state::Saved) -> Result<(), Error> {
    let id = &known.id;
    let failed = |failed| at(format!("kill what is left of {id}"), failed);
    let Some((hierarchy, group)) = crate::host::cgroup::open_pair(&known.cgroup_path).map_err(failed)? else {
        return Ok(());
    };
    if known.made() == 0 {
        let why = Why("a cgroup that was there before the container can hold processes of others, which stay");
        let left = crate::host::cgroup::processes(group.at(), why).map_err(failed)?;
        if !left.is_empty() {
            let text = format!(
                "processes are left in the cgroup /{}, which was there before container {id}, and are not known to be its own: {}",
                known.cgroup_path,
                ours::named(&left)
            );
            context.log.say(Level::Warn, &text);
        }
        return Ok(());
    }
    let others = ours::others(root, known)?;
    // A kernel before 5.14, and a threaded cgroup, cannot end all at once.
    if others.is_empty() && crate::host::cgroup::kill(hierarchy.at(), &c(&known.cgroup_path)?).is_ok() {
        return Ok(());
    }
    ours::end_but(hierarchy.at(), &known.cgroup_path, &others).map_err(failed)
}

/// Kills a process and waits until it is gone. A pidfd works for any process, not for a child alone.
fn end(init: &Fd, id: &str) -> Result<(), Error> {
    let failed = |failed| at(format!("kill {id}"), failed);
    match syscalls::pidfd_send_signal(init.at(), libc::SIGKILL, Why("delete ends what has not ended")) {
        Err(f) if f.errno == syscalls::Errno::ESRCH => return Ok(()),
        other => other.map_err(failed)?,
    }
    let mut fds = [syscalls::PollFd { fd: init.at().raw(), events: libc::POLLIN, revents: 0 }];
    let ready = syscalls::ppoll(&mut fds, Some(10_000), Why("the kernel takes a moment to end it")).map_err(failed)?;
    match ready {
        0 => Err(Error::State(format!(
            "container {id} does not end although it was killed: it waits for something in the kernel"
        ))),
        _ => Ok(()),
    }
}

/// Removes cgroup and state of a container whose processes have ended: systemd's, where that made the cgroup.
pub fn remove(root: &Fd, id: &str, saved: &state::Saved, hierarchy: Option<Fd>) -> Result<(), Error> {
    remove_around(saved, hierarchy)?;
    match state::look_up(Some(root), id)? {
        Some(dir) => state::remove(root.at(), dir, id),
        // A `run` and a `delete --force` did this at the same time, and the other was faster.
        None => Ok(()),
    }
}

/// Removes what the container has besides its state: its cgroup. Where systemd made that, systemd removes it.
fn remove_around(saved: &state::Saved, hierarchy: Option<Fd>) -> Result<(), Error> {
    let id = &saved.id;
    match &saved.scope {
        Some((unit, sockets)) => {
            systemd::stop(unit, sockets).map_err(|trouble| systemd_failed(format!("stop {unit} of {id}"), trouble))?
        }
        None if saved.cgroup_path.is_empty() => {}
        None if saved.made() == 0 => thaw(saved)?,
        None => remove_cgroup(saved, hierarchy)?,
    }
    Ok(())
}

/// A cgroup that was there before the container, and was not frozen then, is not left frozen when it is empty.
fn thaw(saved: &state::Saved) -> Result<(), Error> {
    let failed = |failed| at(format!("thaw the cgroup of {}", saved.id), failed);
    let Some((_, group)) = crate::host::cgroup::open_pair(&saved.cgroup_path).map_err(failed)? else {
        return Ok(());
    };
    let why = Why("a container that was paused has left it frozen");
    let frozen = crate::host::cgroup::read(group.at(), c"cgroup.freeze", why);
    if frozen.is_ok_and(|text| text.trim() == "1")
        && crate::host::cgroup::processes(group.at(), why).is_ok_and(|all| all.is_empty())
    {
        crate::host::cgroup::write(group.at(), c"cgroup.freeze", b"0", why).map_err(failed)?;
    }
    Ok(())
}

/// Removes the cgroup that was made for a container, and the parents that were. `hierarchy`: the cgroup hierarchy, if the
/// caller has it open: then it is `run`, which leaves the empty parent of all containers to the next one, since making and
/// removing it is a twentieth of what a whole run costs.
fn remove_cgroup(saved: &state::Saved, hierarchy: Option<Fd>) -> Result<(), Error> {
    let (id, path) = (&saved.id, &saved.cgroup_path);
    let failed = |failed| at(format!("remove the cgroup of {id}"), failed);
    let leave_parent = hierarchy.is_some();
    let hierarchy = match hierarchy {
        Some(open) => Some(open),
        None => crate::host::cgroup::open_root().map_err(failed)?,
    };
    let Some(hierarchy) = hierarchy else {
        return Ok(());
    };
    let usual = *path == state::usual_cgroup(id);
    let parents: Vec<CString> = match usual {
        true => Vec::new(),
        false => {
            let above = crate::plan::cgroup::limits::above(path).unwrap_or_default();
            let kept = above.len().saturating_sub(saved.made() - 1).max(1);
            above.get(kept..).unwrap_or_default().to_vec()
        }
    };
    let removed = crate::host::cgroup::remove(hierarchy.at(), &parents, &c(path)?);
    if usual && !leave_parent && removed.is_ok() {
        // Another container may need it, or it may be another user's.
        let _ = crate::host::cgroup::remove_if_unused(hierarchy.at(), c"nano-sandbox");
    }
    match removed {
        Err(busy) if busy.errno == syscalls::Errno::EBUSY => {
            let why = Why("a cgroup cannot be removed while processes are in it");
            let left = crate::host::cgroup::open(hierarchy.at(), &c(path)?, why)
                .ok()
                .flatten()
                .and_then(|group| crate::host::cgroup::processes(group.at(), why).ok())
                .map_or(0, |left| left.len());
            Err(at(format!("remove the cgroup /{path} of {id}, in which {left} processes are left"), busy))
        }
        removed => removed.map_err(failed),
    }
}
