//! Ops for what the lanes say to each other, and for the files by which other commands find the container. May touch:
//! types.

use super::LaneSet;
use super::lanes::{BRIDGE, HOST, INIT, say};
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sync {
    Channel,
    // Words of the memory that init shares, in place of the channel.
    Words,
    CloseHostEnd,
    StartFifos,
    // `state` reads it while the hooks run.
    NoteCreating { parts: Box<[Vec<u8>; 3]>, configuration: &'static [u8] },
    // The state document: text, the pid, text, the clone's time before and after, text, the configuration.
    SaveState { parts: Box<[Vec<u8>; 3]>, configuration: &'static [u8] },
    TellMapped,
    AwaitMapped,
    TellPlaced,
    AwaitPlaced,
    TellTraced,
    AwaitTraced,
    // The bridge says which process init is, and ends.
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
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        let (lanes, words) = match self {
            Self::Channel => (HOST, "make the channel between host and init"),
            Self::Words => (HOST, "prepare the words between host and init"),
            Self::CloseHostEnd => (BRIDGE | INIT, "close the host's end of the channel"),
            Self::StartFifos => (HOST, "make the fifos for `start`"),
            Self::NoteCreating { .. } => (HOST, "save creating.json"),
            Self::SaveState { .. } => (HOST, "save state.json"),
            Self::TellMapped => (HOST, "say that the ids are mapped"),
            Self::AwaitMapped => (BRIDGE | INIT, "wait until the ids are mapped"),
            Self::TellPlaced => (HOST, "say that init is in the scope"),
            Self::AwaitPlaced => (INIT, "wait until this process is in the scope"),
            Self::TellTraced => (HOST, "say that the watcher traces this process"),
            Self::AwaitTraced => (BRIDGE | INIT, "wait until the watcher traces this process"),
            Self::TellInit => (BRIDGE, "tell the host which process init is"),
            Self::AwaitInit => (HOST, "wait for the bridge to make init"),
            Self::TellMounted => (INIT, "say that all is mounted"),
            Self::AwaitMounted => (HOST, "wait until all is mounted"),
            Self::TellHooked => (HOST, "say that the hooks have run"),
            Self::AwaitHooked => (INIT, "wait until the hooks have run"),
            Self::AskNetDevices => (INIT, "ask the host for the network devices"),
            Self::AwaitAsk => (HOST, "wait until init asks for the network devices"),
            Self::TellMoved => (HOST, "tell init that the network devices are there"),
            Self::TellReady => (INIT, "say that all is made"),
            Self::AwaitReady => (HOST, "wait until init is ready"),
            Self::TellGo => (HOST, "tell init to go on"),
            Self::AwaitGo => (INIT, "wait for the host's word"),
            Self::AwaitStart => (INIT, "wait for `start`"),
            Self::AwaitExec => (HOST, "wait for execve to succeed"),
        };
        (lanes, say!(to, "{words}"))
    }
}
