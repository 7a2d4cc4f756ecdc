//! Ops that begin the watch over the program's calls. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, say};
use crate::cli::Watched;
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Watch {
    Clone { what: Watched },
    // The watcher traces init, from its execve on.
    Begin,
}

impl Watch {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        let words = match self {
            Self::Clone { what: Watched::Refused } => "clone the watcher, for calls that the container refuses",
            Self::Clone { what: Watched::All } => "clone the watcher, for all calls of the program",
            Self::Begin => "let the watcher trace the new process",
        };
        (HOST, say!(to, "{words}"))
    }
}
