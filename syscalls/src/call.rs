//! What a call is known by: its number and its name, what it is for, and how it fails.

use crate::arch::COLUMN as OWN;
use crate::errno::Errno;
use crate::names::{NONE, NUMBERS, name};
use crate::record;
use linux_raw_sys::ptrace::{
    AUDIT_ARCH_AARCH64, AUDIT_ARCH_ARM, AUDIT_ARCH_I386, AUDIT_ARCH_RISCV64, AUDIT_ARCH_X86_64,
};

/// The bit in the number of every call of x32.
const X32: u64 = 0x4000_0000;
/// Added to the row of a call that this machine does not have: another architecture's.
const OTHER: u16 = 0x4000;

/// A system call, by the kernel's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct Call(pub u16);

impl Call {
    pub const CLONE3: Call = Call::named("clone3");
    pub const EXECVE: Call = Call::named("execve");
    /// No call: a note of why calls of the program were refused.
    pub const CAUSE: Call = Call(0xff03);
    /// No call: a signal that a process of the program got, or how it ended.
    pub const EVENT: Call = Call(0xff04);

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

    /// A call without a name: its record holds the number.
    pub(crate) const UNNAMED: Call = Call(0x3fff);

    /// A call of a process of any architecture that can run here. One that this machine has too is that call.
    pub(crate) fn foreign(arch: u32, number: u64) -> Option<Call> {
        let (column, number) = match arch {
            AUDIT_ARCH_X86_64 if number & X32 != 0 => (2, number & !X32),
            AUDIT_ARCH_X86_64 => (0, number),
            AUDIT_ARCH_I386 => (1, number),
            AUDIT_ARCH_AARCH64 => (3, number),
            AUDIT_ARCH_ARM => (4, number),
            AUDIT_ARCH_RISCV64 => (5, number),
            _ => return None,
        };
        let number = u16::try_from(number).ok()?;
        if column == OWN {
            return Some(Call(number)).filter(|call| number != NONE && call.row().is_some());
        }
        Call::of_column(column, number)
    }

    /// A call by its number in another column of the table.
    pub(crate) fn of_column(column: usize, number: u16) -> Option<Call> {
        let of = |numbers: &[u16; 6]| number != NONE && numbers.get(column) == Some(&number);
        let row = NUMBERS.iter().position(of)?;
        match NUMBERS[row][OWN] {
            NONE => Some(Call(OTHER + row as u16)),
            own => Some(Call(own)),
        }
    }

    fn row(self) -> Option<usize> {
        let other = self.0.checked_sub(OTHER).map(usize::from).filter(|row| *row < NUMBERS.len());
        other.or_else(|| NUMBERS.iter().position(|numbers| numbers[OWN] == self.0))
    }

    /// `openat`. A damaged file may hold a number that no call has: that is `?`.
    pub fn name(self) -> &'static str {
        self.row().and_then(|row| core::str::from_utf8(name(row)).ok()).unwrap_or("?")
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
