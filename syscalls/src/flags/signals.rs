//! Signals by name, as strace prints them.

use core::fmt::{Display, Formatter, Result};

/// Signals 1 to 31, without the SIG.
const SIGNALS: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP \
    TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";
/// The kernel's first real-time signal, and the number of signals.
const RTMIN: u32 = 32;
pub(crate) const NSIG: u32 = 64;

/// The number of one of signals 1 to 31, by its name without the SIG.
pub fn signal_number(name: &str) -> Option<i32> {
    SIGNALS.split(' ').position(|known| known == name).map(|place| place as i32 + 1)
}

/// A signal, printed with its SIG (`SIGTERM`, `SIGRT_3`) or without (`TERM`). Any other number is printed as it is.
#[derive(Clone, Copy)]
pub struct Signal {
    number: i32,
    sig: &'static str,
}

/// `SIGTERM`.
pub fn signal_name(number: i32) -> Signal {
    Signal { number, sig: "SIG" }
}

/// `TERM`, as it stands in a set.
pub(crate) fn signal_short(number: i32) -> Signal {
    Signal { number, sig: "" }
}

impl Display for Signal {
    fn fmt(&self, out: &mut Formatter) -> Result {
        let number = self.number as u32;
        match (SIGNALS.split(' ').nth(number.wrapping_sub(1) as usize), number) {
            (Some(name), _) => write!(out, "{}{name}", self.sig),
            (None, RTMIN) => write!(out, "{}RTMIN", self.sig),
            (None, number @ RTMIN..=NSIG) => write!(out, "{}RT_{}", self.sig, number - RTMIN),
            _ => write!(out, "{}", self.number),
        }
    }
}
