//! Ops for hooks: programs that are run at points of the container's life. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, INIT, say};
use super::words::s;
use alloc::ffi::CString;
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hooks {
    Output,
    // In the init lane it runs in the container's namespaces.
    Run { hook: Box<Hook> },
}

impl Hooks {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Output => (HOST, say!(to, "make the file for the output of hooks")),
            Self::Run { hook } => (HOST | INIT, say!(to, "run the hook {}", s(&hook.path))),
        }
    }
}

/// One program (config.md, "POSIX-platform Hooks").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    pub path: CString,
    pub argv: Vec<CString>,
    /// None: the environment of this command's caller.
    pub envp: Option<Vec<CString>>,
    /// The container's HOME is added, if it was looked up.
    pub home: bool,
    /// Where it begins, if it is not where its parent is.
    pub cwd: Option<CString>,
    /// Seconds that it may take.
    pub timeout: Option<u64>,
    /// The state document that it reads, before and after the process id.
    pub state: [Vec<u8>; 2],
}
