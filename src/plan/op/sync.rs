//! Ops for what the lanes say to each other, and for the files by which other commands find the container. May touch:
//! types.

use super::LaneSet;
use super::lanes::{BRIDGE, HOST, INIT};
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sync {
    Channel,
    CloseHostEnd,
    StartFifos,
    /// What `state` tells while the hooks run.
    NoteCreating {
        parts: Box<[Vec<u8>; 3]>,
    },
    /// The state document: text, the pid, text, the clone's time before and after, text, the configuration.
    SaveState {
        parts: Box<[Vec<u8>; 3]>,
        configuration: &'static [u8],
    },
    TellMapped,
    AwaitMapped,
    TellPlaced,
    AwaitPlaced,
    /// The bridge says which process init is, and ends.
    TellInit,
    AwaitInit,
    TellMounted,
    AwaitMounted,
    TellHooked,
    AwaitHooked,
    AskNetDevices,
    AwaitAsk,
    TellMoved,
    TellReady,
    AwaitReady,
    TellGo,
    AwaitGo,
    AwaitStart,
    AwaitExec,
}

impl Sync {
    pub(super) fn about(&self, to: &mut dyn Write) -> (LaneSet, fmt::Result) {
        let (lanes, words) = match self {
            Sync::Channel => (HOST, "make the channel between host and init"),
            Sync::CloseHostEnd => (BRIDGE | INIT, "close the host's end of the channel"),
            Sync::StartFifos => (HOST, "make the fifos for `start`"),
            Sync::NoteCreating { .. } => (HOST, "save creating.json"),
            Sync::SaveState { .. } => (HOST, "save state.json"),
            Sync::TellMapped => (HOST, "say that the ids are mapped"),
            Sync::AwaitMapped => (BRIDGE | INIT, "wait until the ids are mapped"),
            Sync::TellPlaced => (HOST, "say that init is in the scope"),
            Sync::AwaitPlaced => (INIT, "wait until this process is in the scope"),
            Sync::TellInit => (BRIDGE, "say which process init is"),
            Sync::AwaitInit => (HOST, "wait for the bridge to make init"),
            Sync::TellMounted => (INIT, "say that all is mounted"),
            Sync::AwaitMounted => (HOST, "wait until all is mounted"),
            Sync::TellHooked => (HOST, "say that the hooks have run"),
            Sync::AwaitHooked => (INIT, "wait until the hooks have run"),
            Sync::AskNetDevices => (INIT, "ask the host for the network devices"),
            Sync::AwaitAsk => (HOST, "wait until init asks for the network devices"),
            Sync::TellMoved => (HOST, "tell init that the network devices are there"),
            Sync::TellReady => (INIT, "say that all is made"),
            Sync::AwaitReady => (HOST, "wait until init is ready"),
            Sync::TellGo => (HOST, "tell init to go on"),
            Sync::AwaitGo => (INIT, "wait for the host's word"),
            Sync::AwaitStart => (INIT, "wait for `start`"),
            Sync::AwaitExec => (HOST, "wait for execve to succeed"),
        };
        (lanes, to.write_str(words))
    }
}
