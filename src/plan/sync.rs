//! What the lanes say to each other, and the container's state file: the words that keep host, bridge and init in step.
//! May touch: types.
//!
//! ```text
//!   host   Channel ── clone3 ────────────── Ready ◄─┐ ── state file ── Go ─┐ ──────────────── Exec ◄─┐
//!   init                └─► ... mounts ... pivot ... ┘                     └─► `start`, hooks, execve ┘
//! ```

use super::builder::Builder;
use super::op::Sync;
use super::order::{Bridge, Host, Init};
use crate::spec::Problem;

/// `create` and `run`.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let parts = Box::new(b.wish.state.clone());
    let op = Sync::SaveState { parts, configuration: b.wish.text };
    b.host(Host::State, "", op, "by this file other commands find the container");
    if !b.wish.wait_for_start {
        lanes(b, "the container is on record: from here on init may live without the runtime");
        let why = "the host is not done yet: a program that ran now could not be found or ended";
        b.init(Init::Go, "", Sync::AwaitGo, why);
        return Ok(());
    }
    let why = "init waits at one for `start`; the end of the other tells `start` that execve succeeded";
    b.host(Host::Fifos, "", Sync::StartFifos, why);
    b.host(Host::Ready, "", Sync::AwaitReady, "create must not return before the container is whole");
    lanes(b, "the container is on record: from here on init may live without the runtime");
    b.init(Init::Go, "", Sync::TellReady, "the host may put the container on record: all of it is made");
    b.init(Init::Go, "", Sync::AwaitGo, "if the host fails to put the container on record, init must end");
    b.init(Init::Go, "", Sync::AwaitStart, "the container is created; the program runs when `start` opens the fifo");
    Ok(())
}

/// `exec`.
pub fn join(b: &mut Builder) -> Result<(), Problem> {
    lanes(b, "from here on the process may live without the runtime");
    b.init(Init::Go, "", Sync::AwaitGo, "the host is not done yet: a program that ran now could not be found or ended");
    Ok(())
}

/// What every plan has.
fn lanes(b: &mut Builder, go: &'static str) {
    let (op, why, exec) = match b.words {
        false => (
            Sync::Channel,
            "by it host and init tell each other how far they are; its end tells that execve succeeded",
            "init's end of the channel closes when execve succeeds: if it brings words before, they tell the failure",
        ),
        true => (
            Sync::Words,
            "by two words of memory host and init tell each other how far they are; if we end, the kernel marks ours",
            "the kernel clears init's word when execve succeeds; before, init says there that it failed",
        ),
    };
    b.host(Host::Channel, "", op, why);
    b.host(Host::Go, "", Sync::TellGo, go);
    if !b.wish.wait_for_start {
        b.host(Host::Exec, "", Sync::AwaitExec, exec);
    }
    if b.words {
        return;
    }
    let why = "init must notice when the host ends: if it held the host's end too, it would never learn that";
    if !b.bridged {
        b.init(Init::HostEnd, "", Sync::CloseHostEnd, why);
        return;
    }
    b.bridge(Bridge::HostEnd, "", Sync::CloseHostEnd, why);
    let why = "the host has to know its child, and the bridge has no more to do";
    b.bridge(Bridge::Tell, "", Sync::TellInit, why);
    b.host(Host::AwaitInit, "", Sync::AwaitInit, "the bridge makes init as a child of the host, and ends");
}
