//! `delete`: what `create` made is taken away. May touch: everything below.

use super::{Context, hooks, step, systemd_failed};
use crate::cli::{self, Level};
use crate::error::{Error, at};
use crate::plan::Step;
use crate::state::{self, Status};
use crate::systemd;
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use syscalls::{Fd, Why};

/// `delete`.
pub fn delete(context: &mut Context, options: &cli::Delete) -> Result<i32, Error> {
    step(Step::Delete);
    let id = &options.id;
    state::check_id(id)?;
    let root = context.open_root()?;
    let found = state::look_up(root.as_ref(), id)?;
    let (Some(root), Some(dir)) = (root, found) else {
        return match options.force {
            // Engines clean up twice.
            true => Ok(0),
            false => Err(Error::State(format!("container does not exist: {id}"))),
        };
    };
    crate::recorder::join(dir.at());
    let saved = match options.force {
        true => match state::document_of(dir.at(), id)? {
            state::Document::Whole(saved) => Some(saved),
            state::Document::Damaged(_) | state::Document::Missing => None,
        },
        false => Some(state::load(dir.at(), id)?),
    };
    if let Some(saved) = &saved {
        let now = state::look(dir.at(), saved)?;
        if !options.force && !matches!(now.status, Status::Stopped | Status::Created) {
            let word = now.status.word();
            return Err(Error::State(format!(
                "cannot delete container {id} that is not stopped: {word}"
            )));
        }
        if let Some(init) = now.init {
            end(&init, id)?;
        }
    }
    let begun = match saved {
        None => state::begun(dir.at(), id)?,
        Some(_) => None,
    };
    let known = saved.as_ref().or(begun.as_ref());
    let path = known.map_or_else(
        || state::usual_cgroup(id),
        |saved| saved.cgroup_path.clone(),
    );
    if options.force && !path.is_empty() {
        remains(id, &path)?;
    }
    drop(dir);
    match known {
        Some(known) => remove(&root, id, known, None)?,
        None => remove_all(&root, id, &path, None)?,
    }
    if let Some(saved) = &saved {
        after(context, saved);
    }
    context
        .log
        .say(Level::Info, &format!("container {id}: deleted"));
    Ok(0)
}

/// What is done when all else of the container is gone: its own share of caches, and its last hooks.
pub fn after(context: &mut Context, saved: &state::Saved) {
    if let Some(group) = saved
        .resctrl
        .as_deref()
        .and_then(|group| state::c(group).ok())
    {
        crate::perform::namespaces::resctrl_remove(&group);
    }
    if let Some(list) = &saved.hooks {
        hooks::poststop(saved, list, &mut context.log);
    }
}

/// Ends and removes a container that must not go on.
pub fn destroy(
    context: &mut Context,
    root: &Fd,
    saved: &state::Saved,
    init: Option<&Fd>,
) -> Result<(), Error> {
    step(Step::Delete);
    if let Some(init) = init {
        end(init, &saved.id)?;
    }
    remove(root, &saved.id, saved, None)?;
    after(context, saved);
    Ok(())
}

/// Kills what is left in the cgroup: of a container whose document names another process or none, and what a program
/// without a pid namespace leaves behind. Where the document was never written, or is damaged, it is the default cgroup.
fn remains(id: &str, path: &str) -> Result<(), Error> {
    let failed = |failed| at(format!("kill what is left of {id}"), failed);
    if let Some(hierarchy) = crate::cgroup::open_root().map_err(failed)? {
        crate::cgroup::kill(hierarchy.at(), &state::c(path)?).map_err(failed)?;
    }
    Ok(())
}

/// Kills a process and waits until it is gone; whose child it is does not matter to a pidfd.
fn end(init: &Fd, id: &str) -> Result<(), Error> {
    let failed = |failed| at(format!("kill {id}"), failed);
    match syscalls::pidfd_send_signal(
        init.at(),
        libc::SIGKILL,
        Why("delete ends what has not ended"),
    ) {
        Err(f) if f.errno == syscalls::Errno::ESRCH => return Ok(()),
        other => other.map_err(failed)?,
    }
    let mut fds = [syscalls::PollFd {
        fd: init.at().raw(),
        events: libc::POLLIN,
        revents: 0,
    }];
    let ready = syscalls::ppoll(
        &mut fds,
        Some(10_000),
        Why("the kernel takes a moment to end it"),
    )
    .map_err(failed)?;
    match ready {
        0 => Err(Error::State(format!(
            "container {id} does not end although it was killed: it waits for something in the kernel"
        ))),
        _ => Ok(()),
    }
}

/// Removes cgroup and state of a container whose processes have ended: systemd's, where that made the cgroup.
pub fn remove(
    root: &Fd,
    id: &str,
    saved: &state::Saved,
    hierarchy: Option<Fd>,
) -> Result<(), Error> {
    let Some((unit, sockets)) = &saved.scope else {
        return remove_all(root, id, &saved.cgroup_path, hierarchy);
    };
    systemd::stop(unit, sockets)
        .map_err(|trouble| systemd_failed(format!("stop {unit} of {id}"), trouble))?;
    remove_all(root, id, "", hierarchy)
}

/// Removes cgroup and state of a container whose processes have ended. `hierarchy`: the cgroup hierarchy, if the caller
/// has it open: then it is `run`, which leaves the empty parent to the next container, since making and removing it
/// is a twentieth of what a whole run costs.
fn remove_all(root: &Fd, id: &str, cgroup: &str, hierarchy: Option<Fd>) -> Result<(), Error> {
    if !cgroup.is_empty() {
        let failed = |failed| at(format!("remove the cgroup of {id}"), failed);
        let leave_parent = hierarchy.is_some();
        let hierarchy = match hierarchy {
            Some(open) => Some(open),
            None => crate::cgroup::open_root().map_err(failed)?,
        };
        if let Some(hierarchy) = hierarchy {
            // Parents that the configuration named are others' business.
            let own = !leave_parent
                && cgroup
                    .strip_prefix("nano-sandbox/")
                    .is_some_and(|rest| !rest.contains('/'));
            let parents: Vec<CString> = if own {
                alloc::vec![c"nano-sandbox".into()]
            } else {
                Vec::new()
            };
            crate::cgroup::remove(hierarchy.at(), &parents, &state::c(cgroup)?).map_err(failed)?;
        }
    }
    match state::look_up(Some(root), id)? {
        Some(dir) => state::remove(root.at(), dir, id),
        // A `run` and a `delete --force` come to this at once: the other was faster.
        None => Ok(()),
    }
}
