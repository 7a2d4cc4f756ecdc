//! Words of memory that two processes share (futex(2)): one sleeps until the other has changed a word. No descriptor is needed,
//! and the kernel tells by the words, too, that one of both is gone:
//!
//! ```text
//!   host   begin ── clone3 ───── tell ────────────── await_change .. 0
//!   init             └─► ......... await_told ── execve ┘ the kernel clears the word of init (CLONE_CHILD_CLEARTID),
//!                                                         at its end, too
//! ```
//! If the host ends, the kernel marks the host's word (set_robust_list(2)).

use crate::arg::{Arg, address, input, named, null, uint};
use crate::call::{Result, Why};
use crate::calls::socket::milliseconds;
use crate::errno::Errno;
use crate::flags::Futex;
use crate::gate::gate;
use crate::record;
use crate::vdso::clock_ns;
use core::mem::offset_of;
use core::ptr;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::*};
use linux_raw_sys::general as nr;

/// The words of a process that shares its memory with a child, and the kernel's list of those that it marks (robust_list_head,
/// with one robust_list in it).
#[repr(C)]
struct Words {
    first: AtomicUsize,
    /// From an entry of the list to its word.
    offset: usize,
    pending: usize,
    entry: AtomicUsize,
    host: AtomicU32,
    init: AtomicU32,
    /// The host's word before it has told: its process id, and that one may wait for it.
    untold: AtomicU32,
}

/// The size of robust_list_head.
const HEAD: usize = 24;

static WORDS: Words = Words {
    first: AtomicUsize::new(0),
    offset: offset_of!(Words, host) - offset_of!(Words, entry),
    pending: 0,
    entry: AtomicUsize::new(0),
    host: AtomicU32::new(0),
    init: AtomicU32::new(OVER),
    untold: AtomicU32::new(TOLD),
};

/// What init's word is after its execve, or its end.
pub const OVER: u32 = 0;
/// What it is from the clone on, until init says another.
pub const BEGUN: u32 = 1;
/// What the host's word is once the host has told init to go on.
const TOLD: u32 = 0;

/// set_robust_list(2): from now on the host's word names this process, and if it ends untold the kernel marks the word.
#[track_caller]
pub fn begin_words(why: Why) -> Result<()> {
    WORDS.first.store(ptr::from_ref(&WORDS.entry) as usize, Relaxed);
    WORDS.entry.store(ptr::from_ref(&WORDS.first) as usize, Relaxed);
    let untold = record::own_pid() as u32 | nr::FUTEX_WAITERS;
    WORDS.untold.store(untold, Relaxed);
    WORDS.host.store(untold, Relaxed);
    WORDS.init.store(BEGUN, Relaxed);
    // SAFETY: the kernel reads the list at the process's end and changes a word, all of it atomics that are never freed.
    let list = unsafe { address(ptr::from_ref(&WORDS) as usize) };
    gate(nr::__NR_set_robust_list, &[list, uint(HEAD)], why).map(drop)
}

/// The word that the kernel clears for the child.
pub(crate) fn init_word() -> u64 {
    ptr::from_ref(&WORDS.init) as u64
}

/// Host: tells init to go on.
#[track_caller]
pub fn tell(why: Why) -> Result<()> {
    WORDS.host.store(TOLD, Release);
    wake(&WORDS.host, why)
}

/// Init: waits until the host has told. False: the host has ended.
#[track_caller]
pub fn await_told(why: Why) -> Result<bool> {
    // It asks once in any case: the calls of a container do not depend on who was faster.
    let untold = WORDS.untold.load(Relaxed);
    loop {
        wait(&WORDS.host, untold, None, why)?;
        match WORDS.host.load(Acquire) {
            TOLD => return Ok(true),
            word if word != untold => return Ok(false),
            _ => {}
        }
    }
}

/// Init: waits until the host ends, or for as long as this. The end of a host that has told before is not noticed.
#[track_caller]
pub fn await_host(limit_ms: u64, why: Why) -> Result<()> {
    let now = || clock_ns(libc::CLOCK_MONOTONIC) / 1_000_000;
    let (end, mut left) = (now() + limit_ms, limit_ms);
    // What the host tells meanwhile ends a wait early.
    while left > 0 {
        let word = WORDS.host.load(Acquire);
        if word & nr::FUTEX_OWNER_DIED != 0 {
            break;
        }
        wait(&WORDS.host, word, Some(left), why)?;
        left = end.saturating_sub(now());
    }
    Ok(())
}

/// Init: says how far it is.
#[track_caller]
pub fn say(word: u32, why: Why) -> Result<()> {
    WORDS.init.store(word, Release);
    wake(&WORDS.init, why)
}

/// Host: what init has said last.
pub fn said() -> u32 {
    WORDS.init.load(Acquire)
}

/// Host: waits until init has said another word than this, for as long as `limit_ms`.
#[track_caller]
pub fn await_change(word: u32, limit_ms: u64, why: Why) -> Result<()> {
    wait(&WORDS.init, word, Some(limit_ms), why)
}

/// futex(2) with FUTEX_WAIT. It comes back early, too, for a signal and for no reason.
#[track_caller]
fn wait(word: &AtomicU32, value: u32, limit_ms: Option<u64>, why: Why) -> Result<()> {
    let limit = limit_ms.map(milliseconds);
    let limit = limit.as_ref().map_or(null(), input);
    let early = [Errno::EAGAIN, Errno::EINTR, Errno::ETIMEDOUT];
    match gate(nr::__NR_futex, &[place(word), named(Futex::FUTEX_WAIT), uint(value as usize), limit], why) {
        Err(failed) if !early.contains(&failed.errno) => Err(failed),
        _ => Ok(()),
    }
}

/// futex(2) with FUTEX_WAKE, for one process that waits.
#[track_caller]
fn wake(word: &AtomicU32, why: Why) -> Result<()> {
    gate(nr::__NR_futex, &[place(word), named(Futex::FUTEX_WAKE), uint(1)], why).map(drop)
}

fn place<'a>(word: &AtomicU32) -> Arg<'a> {
    // SAFETY: the kernel reads an atomic word.
    unsafe { address(ptr::from_ref(word) as usize) }
}
