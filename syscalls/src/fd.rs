//! Descriptors. Their owners close them through the gate. All that are owned are close-on-exec.

use crate::call::{Result, Why};
use crate::calls::close;

/// A descriptor that this process owns. Dropping it closes it.
#[derive(Debug)]
pub struct Fd(i32);

/// A descriptor for use in calls, which another value owns; or `AT_FDCWD`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct At(pub(crate) i32);

impl At {
    /// Paths are taken from the current directory.
    pub const CWD: At = At(libc::AT_FDCWD);
    pub const STDIN: At = At(0);
    pub const STDOUT: At = At(1);
    pub const STDERR: At = At(2);

    /// The number, where it has to be written into a structure or a path.
    pub fn raw(self) -> i32 {
        self.0
    }

    /// A descriptor by its number. Its owner keeps it open.
    pub const fn from_raw(raw: i32) -> At {
        At(raw)
    }
}

impl Fd {
    /// The descriptor that a call has returned.
    pub(crate) fn new(result: usize) -> Fd {
        Fd(result as i32)
    }

    /// Takes over a descriptor by its number: one that another process left open for this one.
    pub fn from_raw(raw: i32) -> Fd {
        Fd(raw)
    }

    /// The same number in the table of a child, which is a copy of this process's.
    pub fn in_child(&self) -> Fd {
        Fd(self.0)
    }

    /// The descriptor for use in calls.
    pub fn at(&self) -> At {
        At(self.0)
    }

    /// Gives up the ownership: only execve or the end of the process closes it.
    pub fn leak(self) -> i32 {
        let raw = self.0;
        core::mem::forget(self);
        raw
    }

    /// Closes it, for a reason that its record shows.
    #[track_caller]
    pub fn close(self, why: Why) -> Result<()> {
        close(self.leak(), why)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // close() frees the number even when it reports an error (close(2), "Dealing with error returns").
        let _ = close(self.0, Why("nothing needs this descriptor any more"));
    }
}
