//! `run --step`: a stepper beside the walk through a plan. May touch: everything from `say` down, the stepper.

use super::context::Context;
use crate::cli;
use crate::outcome::{Check, Error, Lane, Stopped, Trouble};
use crate::perform::{Lanes, step, walk};
use crate::plan::Plan;
use crate::state::Saved;
use crate::stepper::{About, Stepper};
use syscalls::Why;

/// The stepper that is asked for. It is refused before anything is made.
#[inline(never)]
pub fn prepare<'a>(
    context: &Context,
    wish: Option<&cli::Stepping>,
    plan: &'a Plan,
    config: &'a [u8],
    saved: &Saved,
) -> Result<Option<Box<Stepper<'a>>>, Error> {
    let Some(wish) = wish else {
        return Ok(None);
    };
    let about = About {
        plan,
        config,
        state: format!("{}/{}", context.root, saved.id),
        cgroup: saved.cgroup_path.clone(),
        ordinary: context.host.uid != 0,
    };
    Stepper::new(wish, about).map(|stepper| Some(Box::new(stepper)))
}

/// Carries out the host lane. If there is a stepper, each lane asks it before each line.
#[inline(never)]
pub fn walk(lanes: &mut Lanes, stepper: Option<Box<Stepper>>) -> Result<(), Stopped> {
    let Some(mut stepper) = stepper else {
        return walk::host(lanes);
    };
    let begun = step::begin(lanes, |asked| stepper.run(asked));
    let begun = begun.map_err(|trouble| Stopped { lane: Lane::Host, line: 0, trouble });
    let walked = begun.and_then(|()| walk::host(lanes));
    let before = step::over(lanes);
    if let Err(Stopped { trouble: Trouble::Check(Check::StepperVanished), .. }) = walked {
        stepper.restore();
    }
    // What has failed is undone while signals are held back.
    if let (Ok(()), Some(before)) = (&walked, before) {
        match &mut lanes.signals {
            Some(signals) => *signals = before,
            None => {
                let why = Why("the wait for the person is over: signals act on this process again");
                let _ = syscalls::rt_sigprocmask(before, why);
            }
        }
    }
    walked
}
