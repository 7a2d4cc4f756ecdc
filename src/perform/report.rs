//! The messages that init and the bridge send, as bytes: how far they are, or at which line they stopped and why.
//! Nothing here allocates. May touch: types, the recorder.

use crate::outcome::{Check, Trouble};
use syscalls::{Call, Errno, Failed, record};

/// What init sends when it stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    pub line: u16,
    pub trouble: Trouble,
}

pub const READY: u8 = 0;
const CALL: u8 = 1;
const CHECK: u8 = 2;
const HOOK: u8 = 3;
pub const INIT: u8 = 4;

/// A message's fixed part. In a report the record of the call that failed follows, so that the reader needs no
/// recorder.
const FIXED: usize = 16;
/// The version of the layout below, in the last two bytes: a container can be started by another version of this program
/// than the one that created it, and that one's reports mean something else.
const LAYOUT: u16 = 2;
/// A fifo takes no more in one piece (pipe(7), PIPE_BUF).
pub const LONGEST: usize = 4096;

impl Report {
    /// Writes the message. `rest`: how many lines the plan has after this one.
    pub fn encode(self, rest: u16, to: &mut [u8; LONGEST]) -> usize {
        to[2..4].copy_from_slice(&self.line.to_ne_bytes());
        to[12..14].copy_from_slice(&rest.to_ne_bytes());
        to[14..16].copy_from_slice(&LAYOUT.to_ne_bytes());
        match self.trouble {
            Trouble::Call(failed) => {
                to[0] = CALL;
                to[4..6].copy_from_slice(&failed.errno.0.to_ne_bytes());
                to[6..8].copy_from_slice(&failed.call.0.to_ne_bytes());
                return FIXED + record::carry(failed.at, &mut to[FIXED..]);
            }
            Trouble::Check(check) => {
                to[0] = CHECK;
                to[1] = check as u8;
            }
            Trouble::Hook(code) => {
                to[0] = HOOK;
                to[4..8].copy_from_slice(&code.to_ne_bytes());
            }
        }
        FIXED
    }

    /// `None`: it is no report.
    fn decode(bytes: &[u8]) -> Option<Report> {
        let fixed: &[u8; FIXED] = bytes.get(..FIXED)?.try_into().ok()?;
        let two = |i: usize| u16::from_ne_bytes([fixed[i], fixed[i + 1]]);
        let trouble = match fixed[0] {
            _ if two(14) != LAYOUT => return None,
            CALL => Trouble::Call(Failed {
                errno: Errno(two(4)),
                call: Call(two(6)),
                at: record::accept(bytes.get(FIXED..)?),
            }),
            CHECK => Trouble::Check(Check::ALL.iter().find(|(c, _)| *c as u8 == fixed[1])?.0),
            HOOK => Trouble::Hook(i32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
            _ => return None,
        };
        Some(Report { line: two(2), trouble })
    }
}

/// One message of the channel or the report fifo; an empty one is its end.
pub struct Word(pub Vec<u8>);

impl Word {
    pub const EMPTY: Word = Word(Vec::new());

    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// The report, if it is one.
    pub fn report(&self) -> Option<Report> {
        Report::decode(self.bytes())
    }

    /// How many lines the plan has after the one that a report is about. `start` has another plan at hand than
    /// `create`: only from the end on their lines are the same.
    pub fn rest(&self) -> usize {
        self.0.get(12..14).map_or(0, |rest| u16::from_ne_bytes([rest[0], rest[1]]).into())
    }
}
