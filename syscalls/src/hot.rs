//! All state that this crate changes, on one page. After clone3 the kernel copies a page when one side first writes to it:
//! for this state it copies only one. A child that shares our memory has a page of its own.

use crate::twin;
use core::ops::Deref;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed};

/// What a process writes to at every call. All of it is private to the process, and copied by clone3.
#[repr(C, align(4096))]
pub(crate) struct Hot {
    /// The language's thread-local variables, and before or after them what the thread's pointer points to: see `start`.
    pub thread: [AtomicUsize; THREAD_POINTER + 8],
    /// Where the recorder begins, 0 for the early buffer, and how long it may become; 0: it has no record yet.
    pub base: AtomicUsize,
    pub limit: AtomicUsize,
    /// What the next records say of their lane, line, step and stage: see [`Place`].
    pub place: AtomicU64,
    /// What the first record of a new line has to keep: bytes of the pointer, and the mark in the upper half.
    pub asked: AtomicU32,
    pub pointer: [AtomicU64; POINTER_WORDS],
    pub pid: AtomicI32,
    /// Calls so far that belong to the same line.
    pub stretch: AtomicU32,
    /// The end of the newest record, in case the recorder's head is lost.
    pub used_once: AtomicU32,
    /// The slate that both sides of the clone share, and the shared memory of the recorder; 0: none yet (see `room`).
    pub slate: AtomicUsize,
    pub laid: AtomicUsize,
    pub laid_len: AtomicUsize,
    /// The calls of this process are counted, and get no records: it records those of others.
    pub apart: AtomicBool,
    /// A part of the recorder's file was lost.
    pub lost: AtomicBool,
    /// The place of the newest record; 0: there is none.
    pub last: AtomicU32,
    /// The process may not allocate any more.
    pub frozen: AtomicBool,
    /// The arena: the next free byte and the end of the current piece. Memory of that piece up to `used` was given out at
    /// some time; what follows is still the kernel's zeros.
    pub next: AtomicUsize,
    pub end: AtomicUsize,
    pub used: AtomicUsize,
    /// Where the piece begins.
    pub begin: AtomicUsize,
    /// The place to which the arena may go back (0: none), the end of its piece, and how much of what was given out from there on
    /// was not given back yet.
    pub mark: AtomicUsize,
    pub mark_end: AtomicUsize,
    pub alive: AtomicUsize,
    /// A piece that was given back, and its end: what a list had before it grew. Smaller pieces are cut from it, since
    /// its pages are there already.
    pub hole: AtomicUsize,
    pub hole_end: AtomicUsize,
    /// Where the vDSO reads the clock: see `vdso`.
    pub clock: AtomicUsize,
    /// Whys that were written already: the text's address, and where its blob is.
    pub whys: [(AtomicUsize, AtomicU32); 64],
    /// The same for the names of source files.
    pub files: [(AtomicUsize, AtomicU32); 32],
}

const _: () = assert!(size_of::<Hot>() == 4096);

/// What a record belongs to, in one word: that of [`Entry`](crate::record::Entry) with the call's number in it.
#[derive(Clone, Copy)]
pub(crate) struct Place(pub u64);

impl Place {
    #[inline(always)]
    pub fn now() -> Place {
        Place(HOT.place.load(Relaxed))
    }

    pub fn set(self) {
        HOT.place.store(self.0, Relaxed);
    }

    pub const fn of(lane: u8, line: u16, step: u16, stage: u8) -> Place {
        Place((line as u64) << 16 | (lane as u64) << 32 | (step as u8 as u64) << 48 | (stage as u64) << 56)
    }

    pub fn line(self) -> u16 {
        (self.0 >> 16) as u16
    }

    pub fn lane(self) -> u8 {
        (self.0 >> 32) as u8
    }

    pub fn step(self) -> u8 {
        (self.0 >> 48) as u8
    }

    pub fn stage(self) -> u8 {
        (self.0 >> 56) as u8
    }

    /// The whole word of a record.
    #[inline(always)]
    pub fn of_call(self, call: u16, argc: usize) -> [u8; 8] {
        (self.0 | u64::from(call) | (argc as u64) << 40).to_le_bytes()
    }
}

/// Words for the JSON pointer of a line; one that is longer is cut.
pub(crate) const POINTER_WORDS: usize = 32;

/// Words for thread-local variables: std has a dozen.
pub(crate) const THREAD_POINTER: usize = 64;

/// The state of this process.
pub(crate) struct Own;

pub(crate) static HOT: Own = Own;

impl Deref for Own {
    type Target = Hot;

    #[inline(always)]
    fn deref(&self) -> &'static Hot {
        &STATES[usize::from(twin::is_child())]
    }
}

/// Copies the state of this process for a child that is about to be made.
pub(crate) fn copy_for_child() {
    let [process, child] = &STATES;
    twin::copy_state(process, child);
}

/// The state of a process, and that of a child that shares its memory. All begins as zeros, which take no place in the file.
static STATES: [Hot; 2] = {
    // SAFETY: a Hot is all atomics, for which zeros are values.
    unsafe { core::mem::zeroed() }
};
