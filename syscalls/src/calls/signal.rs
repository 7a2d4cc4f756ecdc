//! Signals: blocked, and then taken one by one, so that none interrupts a call and none is lost.

use crate::arg::{Kind, address, fd, input, named, null, output, plain, pointing, signal, uint};
use crate::call::{Result, Why};
use crate::fd::{At, Fd};
use crate::flags::{SigHow, SignalFd};
use crate::gate::gate;
use linux_raw_sys::general as nr;
use linux_raw_sys::general::{__kernel_sighandler_t, kernel_sigaction};

plain! {
    SigSet: SigSet;
}

/// A set of signals: bit n-1 is signal n.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub struct SigSet(pub u64);

impl SigSet {
    pub const EMPTY: SigSet = SigSet(0);
    pub const ALL: SigSet = SigSet(u64::MAX);
    /// All signals that may be blocked. SIGBUS must reach its handler (see `fault`): if it were blocked, a page that cannot
    /// be had would end the process (sigprocmask(2)).
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

/// Bytes of a set: the kernel takes this size only.
const SET: usize = size_of::<SigSet>();

/// rt_sigprocmask(2) with SIG_SETMASK. Returns the mask that was in force.
#[track_caller]
pub fn rt_sigprocmask(set: SigSet, why: Why) -> Result<SigSet> {
    let mut old = SigSet::EMPTY;
    let args = [named(SigHow::SIG_SETMASK), input(&set), output(&mut old), uint(SET)];
    gate(nr::__NR_rt_sigprocmask, &args, why)?;
    Ok(old)
}

/// rt_sigaction(2).
#[track_caller]
pub fn rt_sigaction(number: i32, disposition: Disposition, why: Why) -> Result<()> {
    // SAFETY: the kernel knows 0 and 1 as SIG_DFL and SIG_IGN, and never calls them.
    unsafe { sigaction(number, disposition as usize, 0, why) }
}

/// rt_sigaction(2) with any handler.
///
/// # Safety
/// With these flags the kernel may call `handler` at any time.
#[track_caller]
pub(crate) unsafe fn sigaction(number: i32, handler: usize, flags: u32, why: Why) -> Result<()> {
    // SAFETY: kernel_sigaction is numbers and optional function pointers, for which all zeros is a value.
    let mut action: kernel_sigaction = unsafe { core::mem::zeroed() };
    // SAFETY: the type is an optional function pointer, which is never called from here.
    action.sa_handler_kernel = unsafe { core::mem::transmute::<usize, __kernel_sighandler_t>(handler) };
    if flags != 0 {
        action.sa_flags = u64::from(flags);
        crate::arch::returns_to(&mut action);
    }
    // SAFETY: as the caller vouches.
    let given = unsafe { pointing(&action, size_of::<kernel_sigaction>(), Kind::SigAction) };
    gate(nr::__NR_rt_sigaction, &[signal(number), given, null(), uint(SET)], why).map(drop)
}

/// rt_sigtimedwait(2) without a timeout: takes one of the signals of `set`, which must be blocked.
#[track_caller]
pub fn rt_sigwait(set: SigSet, why: Why) -> Result<Taken> {
    // SAFETY: siginfo_t is plain numbers, for which all zeros is a value.
    let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
    let args = [input(&set), output(&mut info), null(), uint(SET)];
    let signal = gate(nr::__NR_rt_sigtimedwait, &args, why)? as i32;
    // SAFETY: the kernel filled the structure, and these members are numbers at a fixed place.
    let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
    Ok(Taken { signal, sender: by_process(info.si_code).then_some((pid, uid)) })
}

/// A signal that was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Taken {
    pub signal: i32,
    /// The process that sent it, and the user of that process. None: the kernel did.
    pub sender: Option<(i32, u32)>,
}

impl Taken {
    /// What a read of a signalfd gives.
    pub fn of(info: &[u8; 128]) -> Taken {
        let number = |at: usize| i32::from_ne_bytes([info[at], info[at + 1], info[at + 2], info[at + 3]]);
        // signalfd_siginfo (linux/signalfd.h): ssi_signo, ssi_errno, ssi_code, ssi_pid, ssi_uid.
        Taken { signal: number(0), sender: by_process(number(8)).then(|| (number(12), number(16) as u32)) }
    }
}

/// Whether kill(2), tgkill(2) or sigqueue(3) sent it.
fn by_process(code: i32) -> bool {
    [libc::SI_USER, libc::SI_TKILL, libc::SI_QUEUE].contains(&code)
}

/// signalfd4(2): a descriptor from which signals of `set`, which must be blocked, are read: 128 bytes each, the number
/// first.
#[track_caller]
pub fn signalfd4(set: SigSet, why: Why) -> Result<Fd> {
    let args = [fd(At(-1)), input(&set), uint(SET), named(SignalFd::SFD_CLOEXEC)];
    gate(nr::__NR_signalfd4, &args, why).map(Fd::new)
}

/// setitimer(2) with ITIMER_REAL: SIGALRM comes after so many seconds; 0: it does not come.
#[track_caller]
pub fn setitimer_real(seconds: u64, why: Why) -> Result<()> {
    // struct itimerval: the interval, and the time from now; each has seconds and microseconds.
    let timer = [0, 0, seconds, 0];
    // SAFETY: the kernel reads these four numbers.
    let timer = unsafe { address(&raw const timer as usize) };
    gate(nr::__NR_setitimer, &[uint(0), timer, null()], why).map(drop)
}
