//! Signals: held back in a mask and taken one by one, so that none interrupts a call and none is lost.

use crate::call::{Result, Why, gate};
use crate::fd::Fd;
use crate::table::Call;
use linux_raw_sys::general::kernel_sigaction;

/// A set of signals: bit n-1 is signal n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct SigSet(pub u64);

impl SigSet {
    pub const EMPTY: SigSet = SigSet(0);
    pub const ALL: SigSet = SigSet(u64::MAX);
    /// All that may be held back. A page of memory that cannot be had ends a process that holds SIGBUS back (sigprocmask(2)),
    /// and its handler has to be called (see `fault`).
    pub const HELD: SigSet = SigSet::ALL.without(libc::SIGBUS);

    pub const fn has(self, signal: i32) -> bool {
        self.0 & 1 << (signal - 1) != 0
    }

    pub const fn with(self, signal: i32) -> SigSet {
        SigSet(self.0 | 1 << (signal - 1))
    }

    pub const fn without(self, signal: i32) -> SigSet {
        SigSet(self.0 & !(1 << (signal - 1)))
    }
}

/// What a signal does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Disposition {
    Default = 0,
    Ignore = 1,
}

/// rt_sigprocmask(2) with SIG_SETMASK. Returns the mask that was in force.
pub fn rt_sigprocmask(set: SigSet, why: Why) -> Result<SigSet> {
    let mut old = SigSet::EMPTY;
    let args = [libc::SIG_SETMASK as usize, &raw const set as usize, &raw mut old as usize, 8, 0, 0];
    gate(Call::RtSigprocmask, args, why)?;
    Ok(old)
}

/// rt_sigaction(2).
pub fn rt_sigaction(signal: i32, disposition: Disposition, why: Why) -> Result<()> {
    // SAFETY: kernel_sigaction is numbers and optional function pointers, for which all zeros is a value: SIG_DFL.
    let mut action: kernel_sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: the handler is an optional pointer, and the kernel knows 1 as SIG_IGN; it is never called.
    action.sa_handler_kernel =
        unsafe { core::mem::transmute::<usize, linux_raw_sys::general::__kernel_sighandler_t>(disposition as usize) };
    gate(Call::RtSigaction, [signal as usize, &raw const action as usize, 0, 8, 0, 0], why).map(drop)
}

/// rt_sigtimedwait(2) without a timeout: takes one of the signals of `set`, all of which are held back.
pub fn rt_sigwait(set: SigSet, why: Why) -> Result<i32> {
    // SAFETY: siginfo_t is plain numbers, for which all zeros is a value.
    let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
    let args = [&raw const set as usize, &raw mut info as usize, 0, 8, 0, 0];
    Ok(gate(Call::RtSigtimedwait, args, why)? as i32)
}

/// signalfd4(2): signals of `set`, all of which are held back, are read from the descriptor, 128 bytes each, the
/// number first.
pub fn signalfd4(set: SigSet, why: Why) -> Result<Fd> {
    let args = [usize::MAX, &raw const set as usize, 8, libc::SFD_CLOEXEC as usize, 0, 0];
    Ok(Fd::new(gate(Call::Signalfd4, args, why)?, "signals"))
}
