//! `--watch`: a process beside the container sees the calls that its program makes. May touch: types.

use super::builder::Builder;
use super::mark::Mark;
use super::op::Watch;
use super::order::Host;
use crate::spec::Problem;
use crate::spec::annotations::WATCH;

/// `create`, `run` and `exec`.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let Some(what) = b.wish.watch else {
        return Ok(());
    };
    // An engine has no option for that, and asks by an annotation.
    let (from, mark) = match b.spec.annotations.get(WATCH) {
        Some(_) => (format!("/annotations/{WATCH}"), Mark::None),
        None => (String::new(), Mark::Watch),
    };
    b.marked(mark, |b| {
        let why = "a process that does not belong to the container, so that the container cannot reach it";
        b.host(Host::Watcher, &from, Watch::Clone { what }, why);
        let why = "a program that is refused something cannot tell which line of config.json did that; the watcher can";
        b.host(Host::Watch, &from, Watch::Begin, why);
    });
    Ok(())
}
