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
use alloc::boxed::Box;

/// `create` and `run`.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let parts = Box::new(b.wish.state.clone());
    let op = Sync::SaveState { parts, configuration: b.wish.text };
    b.host(Host::State, "", op, "other commands find the container by this file");
    if !b.wish.wait_for_start {
        lanes(b, "the container is on record: from here on init may live without us");
        let why = "the host side first puts the container on record";
        b.init(Init::Go, "", Sync::AwaitGo, why);
        return Ok(());
    }
    let why = "init will wait on the one until `start` comes, and the other's end tells `start` of execve";
    b.host(Host::Fifos, "", Sync::StartFifos, why);
    b.host(Host::Ready, "", Sync::AwaitReady, "create returns when the container is whole, not before");
    lanes(b, "the container is on record: from here on init may live without us");
    b.init(Init::Go, "", Sync::TellReady, "create may put the container on record");
    b.init(Init::Go, "", Sync::AwaitGo, "a container that never came on record must not stay");
    b.init(Init::Go, "", Sync::AwaitStart, "the container is created; the program runs when `start` says so");
    Ok(())
}

/// `exec`.
pub fn join(b: &mut Builder) -> Result<(), Problem> {
    lanes(b, "all is noted: from here on it may live without us");
    b.init(Init::Go, "", Sync::AwaitGo, "the host side first puts the container on record");
    Ok(())
}

/// What every plan has.
fn lanes(b: &mut Builder, go: &'static str) {
    let why = "host and init tell each other how far they are; its end says that execve succeeded";
    b.host(Host::Channel, "", Sync::Channel, why);
    b.host(Host::Go, "", Sync::TellGo, go);
    if !b.wish.wait_for_start {
        let why = "the close-on-exec end of the channel closes when execve succeeds";
        b.host(Host::Exec, "", Sync::AwaitExec, why);
    }
    let why = "held here too, it would never end when the host does";
    if !b.bridged {
        b.init(Init::HostEnd, "", Sync::CloseHostEnd, why);
        return;
    }
    b.bridge(Bridge::HostEnd, "", Sync::CloseHostEnd, why);
    let why = "the host learns the number of its child, and this process has done its part";
    b.bridge(Bridge::Tell, "", Sync::TellInit, why);
    b.host(Host::AwaitInit, "", Sync::AwaitInit, "the bridge makes init as a child of ours, and ends");
}
