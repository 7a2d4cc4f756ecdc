//! Ops for the labels of security modules. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, say};
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Labels {
    // Refuses a label for a security module that this kernel does not have.
    SecurityModule { selinux: bool },
}

impl Labels {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::SecurityModule { selinux: true } => (HOST, say!(to, "check that the kernel has SELinux")),
            Self::SecurityModule { selinux: false } => (HOST, say!(to, "check that the kernel has AppArmor")),
        }
    }
}
