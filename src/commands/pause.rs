//! `pause` and `resume`: the kernel's freezer of a cgroup (cgroup-v2.rst, "cgroup.freeze"). May touch: everything below.

use super::channel::client;
use super::context::{Context, find, step};
use crate::cause;
use crate::host::cgroup;
use crate::outcome::{Error, at};
use crate::plan::Step;
use crate::say::error;
use crate::state::Status;

/// `pause`.
#[inline(never)]
pub fn pause(context: &mut Context, id: &str) -> Result<i32, Error> {
    change(context, id, true)
}

/// `resume`.
#[inline(never)]
pub fn resume(context: &mut Context, id: &str) -> Result<i32, Error> {
    change(context, id, false)
}

fn change(context: &mut Context, id: &str, frozen: bool) -> Result<i32, Error> {
    step(Step::Stop);
    let found = find(context, id)?;
    if let Some(status) = client::passed(context, &found, None)? {
        return Ok(status);
    }
    let group = found.group()?;
    let (verb, from) = match frozen {
        true => ("pause", &[Status::Created, Status::Running][..]),
        false => ("resume", &[Status::Paused][..]),
    };
    let status = found.now.status;
    if !from.contains(&status) {
        let word = status.word();
        return Err(Error::State(format!("cannot {verb} container {id}: it is {word}")));
    }
    if frozen {
        found.refuse_others_below(verb)?;
        found.alone(group, verb)?;
    }
    let failed = |failed| at(format!("{verb} {id}"), failed);
    match cgroup::freeze(group, frozen).map_err(failed)? {
        true => Ok(0),
        // A container that is frozen in part is thawed again.
        false if frozen => {
            cgroup::freeze(group, false).map_err(failed)?;
            Err(Error::State(format!(
                "cannot pause container {id}: one of its processes waits in the kernel and does not stop"
            )))
        }
        false => Err(match cause::cgroup::stopped(group) {
            Some(above) => error::found(above, None),
            None => Error::State(format!("cannot resume container {id}: a cgroup above it is frozen")),
        }),
    }
}
