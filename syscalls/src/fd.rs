//! Descriptors: owned, named, closed through the gate. Every one is opened close-on-exec.

use crate::call::{Result, Why, gate};
use crate::table::Call;

/// A descriptor that this process owns. Dropping it closes it.
#[derive(Debug)]
pub struct Fd {
    raw: i32,
    name: &'static str,
}

/// A descriptor lent for one call, or `AT_FDCWD`.
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

    /// A descriptor by its number, lent by whoever keeps it open.
    pub const fn from_raw(raw: i32) -> At {
        At(raw)
    }
}

impl Fd {
    pub(crate) fn new(raw: usize, name: &'static str) -> Fd {
        Fd { raw: raw as i32, name }
    }

    /// Takes over a descriptor by its number: one that another process left open for us.
    pub fn from_raw(raw: i32, name: &'static str) -> Fd {
        Fd { raw, name }
    }

    /// Lends it.
    pub fn at(&self) -> At {
        At(self.raw)
    }

    /// What it is, for people.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Gives the number away; nobody closes it any more but the end of the process or execve.
    pub fn leak(self) -> i32 {
        let raw = self.raw;
        core::mem::forget(self);
        raw
    }

    /// Closes it for a reason of its own.
    pub fn close(self, why: Why) -> Result<()> {
        gate(Call::Close, [self.leak() as usize, 0, 0, 0, 0, 0], why).map(drop)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        let why = Why("nothing needs this descriptor any more");
        // close() frees the number even when it reports an error (close(2), "Dealing with error returns").
        let _ = gate(Call::Close, [self.raw as usize, 0, 0, 0, 0, 0], why);
    }
}
