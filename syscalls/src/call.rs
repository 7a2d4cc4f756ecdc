//! What a call is known by: its number and its name, what it is for, and how it fails.

use crate::errno::Errno;
use crate::names::{NUMBERS, name};
use crate::record;

/// The column of [`NUMBERS`] that is this machine's.
const OWN: usize = if cfg!(target_arch = "x86_64") { 0 } else { 3 };

/// A system call, by the kernel's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Call(pub u16);

impl Call {
    pub const CLONE3: Call = Call::named("clone3");
    pub const EXECVE: Call = Call::named("execve");

    /// The call of this name, for constants: there a wrong name does not compile.
    pub const fn named(wanted: &str) -> Call {
        let mut row = 0;
        while row < NUMBERS.len() {
            if is_same(name(row), wanted.as_bytes()) {
                return Call(NUMBERS[row][OWN]);
            }
            row += 1;
        }
        panic!("there is no system call of this name")
    }

    /// The call of this name.
    pub fn find(wanted: &str) -> Option<Call> {
        let row = (0..NUMBERS.len()).find(|row| name(*row) == wanted.as_bytes())?;
        Some(Call(NUMBERS[row][OWN])).filter(|call| call.0 != crate::names::NONE)
    }

    /// `openat`. A damaged file may hold a number that no call has: that is `?`.
    pub fn name(self) -> &'static str {
        let row = NUMBERS.iter().position(|numbers| numbers[OWN] == self.0);
        row.and_then(|row| core::str::from_utf8(name(row)).ok()).unwrap_or("?")
    }
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

/// The purpose of a call, for the reader of a trace: not what it does but what for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Why(pub &'static str);

/// A call that the kernel refused: its errno, and where its record lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Failed {
    pub errno: Errno,
    pub call: Call,
    /// The place of the record, for [`record::find`]; [`record::NOWHERE`] where there is none.
    pub at: u32,
}

pub type Result<T> = core::result::Result<T, Failed>;

impl Failed {
    /// The failure in one word, for another process that shares the recorder.
    pub fn packed(self) -> u64 {
        u64::from(self.errno.0) << 48 | u64::from(self.call.0) << 32 | u64::from(record::shared(self.at))
    }

    /// The failure that such a word holds.
    pub fn unpacked(word: u64) -> Failed {
        Failed { errno: Errno((word >> 48) as u16), call: Call((word >> 32) as u16), at: word as u32 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_its_number() {
        for (name, number) in [("accept", libc::SYS_accept), ("openat", libc::SYS_openat), ("writev", libc::SYS_writev)]
        {
            let call = Call::named(name);
            assert_eq!((call.name(), i64::from(call.0)), (name, number));
        }
        assert_eq!(Call(60_000).name(), "?");
    }
}
