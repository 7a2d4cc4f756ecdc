//! Ops for the program that called: its pid file, and sockets that it listens at. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, say};
use super::words::s;
use alloc::ffi::CString;
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Callers {
    // The process id, in a file beside the one that is wanted.
    PidFile { path: CString },
    PlacePidFile { path: CString },
    // `--pidfd-socket`.
    ConnectPidfd { path: CString },
    // `name`: runc's word for the message.
    SendPidfd { name: &'static str },
    // `NOTIFY_SOCKET` of the caller's environment (sd_notify(3)).
    ConnectNotify { path: CString },
    // For the program's socket, in the directory of the container's state.
    NotifyDirectory,
    Listen,
}

impl Callers {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::PidFile { path } => (HOST, say!(to, "write the process id beside {}", s(path))),
            Self::PlacePidFile { path } => (HOST, say!(to, "put the process id in its place, {}", s(path))),
            Self::ConnectPidfd { path } => (HOST, say!(to, "connect to the pidfd socket {}", s(path))),
            Self::SendPidfd { .. } => (HOST, say!(to, "send a handle on the new process")),
            Self::ConnectNotify { path } => (HOST, say!(to, "connect to NOTIFY_SOCKET, {}", s(path))),
            Self::NotifyDirectory => (HOST, say!(to, "make the directory of the program's NOTIFY_SOCKET")),
            Self::Listen => (HOST, say!(to, "listen at the program's NOTIFY_SOCKET")),
        }
    }
}
