//! Ops for the program's terminal: init opens both sides, and one of them goes outside. May touch: types.

use super::lanes::{HOST, INIT, say};
use super::words::s;
use super::{LaneSet, Slot};
use alloc::ffi::CString;
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Terminal {
    // To the program that gets the other side.
    Connect { path: CString },
    // To the host itself.
    Pair,
    // The other side, out of the pair; its window is as large as the caller's.
    Take,
    // Both sides. `base`: what /dev/pts lies below; none: the current directory. `relayed`: the host will wait for it
    // and for others at once, and must not be held up in a call.
    Open { base: Option<Slot>, rows: u16, columns: u16, relayed: bool },
    // A mount of it on /dev/console. `make`: if that is missing, it is made.
    Console { name: CString, make: bool },
    Send,
    // It becomes the standard descriptors, the controlling terminal, and this user's.
    Use { uid: u32 },
    // Without a terminal: standard descriptors that are pipes are given to this user, and /dev/null becomes the
    // container's.
    Streams { uid: u32 },
}

impl Terminal {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Connect { path } => (HOST, say!(to, "connect to the console socket {}", s(path))),
            Self::Pair => (HOST, say!(to, "make the socket through which the terminal will come")),
            Self::Take => (HOST, say!(to, "receive the terminal's other side")),
            Self::Open { .. } => (INIT, say!(to, "open a new terminal of the container's /dev/pts")),
            Self::Console { .. } => (INIT, say!(to, "bind the terminal on /dev/console")),
            Self::Send => (INIT, say!(to, "send the terminal's other side")),
            Self::Use { .. } => (INIT, say!(to, "make the terminal the program's own")),
            Self::Streams { uid: 0 } => (INIT, say!(to, "open standard streams that are /dev/null inside")),
            Self::Streams { uid } => {
                (INIT, say!(to, "open standard streams that are /dev/null inside, give pipes to user {uid}"))
            }
        }
    }
}
