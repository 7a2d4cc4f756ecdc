//! What init says to the host where both talk by words of the memory that they share: how far it is, or that it has stopped, with
//! its report beside the word. May touch: system calls.

use super::report::{self, LONGEST, Word};
use core::sync::atomic::AtomicU64;
use syscalls::{Alone, Why, futex};

/// What init's word is when all is made.
pub const READY: u32 = futex::BEGUN + 1;
/// What it is when init has stopped, and its report is there.
const STOPPED: u32 = READY + 1;

/// The signals that the caller ignores, once the host has looked: a bit for each.
pub static IGNORED: AtomicU64 = AtomicU64::new(0);

/// The report, and how long it is.
static REPORT: Alone<([u8; LONGEST], usize)> = Alone::new(([0; LONGEST], 0));

/// Init: leaves its report, and says so.
pub fn stop(message: &[u8], why: Why) -> syscalls::Result<()> {
    REPORT.with(|(bytes, len)| {
        bytes[..message.len()].copy_from_slice(message);
        *len = message.len();
    });
    futex::say(STOPPED, why)
}

/// Host: the message that init's word stands for, after it has changed from this.
pub fn heard(from: &mut u32) -> Word {
    *from = futex::said();
    match *from {
        READY => Word(vec![report::READY]),
        STOPPED => REPORT.with(|(bytes, len)| Word(bytes[..*len].to_vec())).unwrap_or(Word::EMPTY),
        _ => Word::EMPTY,
    }
}
