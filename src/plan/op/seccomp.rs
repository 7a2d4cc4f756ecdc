//! Ops for the seccomp filter. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, INIT, say};
use super::words::s;
use alloc::ffi::CString;
use core::fmt::{self, Write};
use syscalls::SeccompFlags;
use syscalls::abi::SockFilter;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seccomp {
    // `listener`: the host takes the descriptor on which calls are asked about.
    Load { filter: Vec<SockFilter>, flags: SeccompFlags, listener: bool },
    // The descriptor goes to the agent that listens at the path, with a document about the container.
    PassListener { path: CString, document: Vec<Vec<u8>> },
}

impl Seccomp {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Load { filter, .. } => (INIT, say!(to, "load a seccomp filter of {} instructions", filter.len())),
            Self::PassListener { path, .. } => (HOST, say!(to, "pass the seccomp listener to {}", s(path))),
        }
    }
}
