//! `--watch`: a process beside the container sees the calls that its program makes. May touch: types.

use super::builder::Builder;
use super::mark::Mark;
use super::op::{Sync, Users, Watch};
use super::order::{Bridge, Host, Init};
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
        let begin = if b.is_exec() && b.bridged { Host::BridgeMapped } else { Host::Watch };
        b.host(begin, &from, Watch::Begin, why);
        if b.is_exec() && b.users.inside {
            b.marked(Mark::NoRoot, |b| seen_by_its_user(b, begin));
        }
    });
    Ok(())
}

/// Without root the kernel lets no process trace one that hides from its user. And one that is in the container must hide. The
/// bridge, which no process of the container sees, hides when it is traced; what it clones is traced from its birth. Where
/// there is none, init hides before it joins.
fn seen_by_its_user(b: &mut Builder, begin: Host) {
    let (shown, hidden) = (Users::Dumpable { dumpable: true }, Users::Dumpable { dumpable: false });
    b.host(Host::Dumpable, "", shown, "the kernel lets this user trace no process that hides from it");
    b.host(begin, "", Sync::TellTraced, "it is traced: it may hide again");
    let why = "in the container it must be hidden, and then it could not be traced any more";
    let hides = "it is traced: from here on other processes of this user must not look into this one";
    if b.bridged {
        b.bridge(Bridge::Hide, "", Sync::AwaitTraced, why);
        b.bridge(Bridge::Hide, "", hidden, hides);
    } else {
        b.init(Init::Mapped, "", Sync::AwaitTraced, why);
        b.init(Init::Mapped, "", hidden, hides);
    }
}
