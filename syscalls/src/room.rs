//! Memory that both sides of clone3 share: a slate, on which they tell each other what needs no call, a page of its own where
//! the clone copies all other memory; and the recorder, [`CAPACITY`] bytes of a file in the container's directory, or of no file where there is none.
//!
//! A page of the file can be lost: the file system has no room for it, it cannot be read, or it was cut off. The kernel sends
//! SIGBUS when the page is touched (mmap(2)). Then [`lost`] puts memory without a file there, and the process goes on. Only
//! the view of the trace lacks those records; no lane reads anything else out of the file.

use crate::arg::{address, int, named, offset, uint};
use crate::call::{Result, Why};
use crate::calls::mmap;
use crate::entry::page_size;
use crate::fd::At;
use crate::flags::{Map, Prot};
use crate::gate::gate_late;
use crate::hot::HOT;
use crate::record::{self, CAPACITY, WATCHED};
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

/// The size of the smallest page.
const PAGE: usize = 4096;

/// What the sides tell each other without a call: once a filter is loaded, the kernel may refuse any call.
pub struct Slate {
    /// Per lane, how far its newest execve is: [`NONE`], [`ON_ITS_WAY`], or the errno with which it failed.
    execves: [AtomicU32; 8],
    /// The call for which a helper could not become its program ([`crate::Failed::packed`]); 0: there is none.
    pub helper_failure: AtomicU64,
    /// Not 0: the watcher has seen the end of all that it traced.
    pub watched: AtomicU32,
    /// Capabilities that init could not give to the program.
    pub left_out: AtomicU64,
    /// One more than the number of a descriptor of init that the host is to take; 0: there is none.
    pub offered: AtomicU32,
    /// Not 0: a person goes through the plan line by line, so no lane's wait for another has a limit.
    pub stepping: AtomicU32,
    /// The line that init has come to and asks about without a call; 0: it may go on.
    pub asked: AtomicU32,
}

/// No execve was made; it is in the kernel, or has succeeded.
pub const NONE: u32 = 0;
pub const ON_ITS_WAY: u32 = u32::MAX;

/// The slate of a process that shares none, or all of its memory.
static ALONE: Slate = Slate {
    execves: [const { AtomicU32::new(NONE) }; 8],
    helper_failure: AtomicU64::new(0),
    watched: AtomicU32::new(0),
    left_out: AtomicU64::new(0),
    offered: AtomicU32::new(0),
    stepping: AtomicU32::new(0),
    asked: AtomicU32::new(0),
};

/// The slate in use.
pub fn slate() -> &'static Slate {
    match HOT.slate.load(Relaxed) {
        0 => &ALONE,
        // SAFETY: share() has mapped a page there, which is never unmapped; a Slate is all atomics, and zeros are one.
        at => unsafe { &*(at as *const Slate) },
    }
}

impl Slate {
    /// The newest execve of a lane.
    pub fn execve(&self, lane: u8) -> &AtomicU32 {
        &self.execves[usize::from(lane) % self.execves.len()]
    }
}

/// Whether the other side of a clone sees the slate.
pub fn is_shared() -> bool {
    HOT.slate.load(Relaxed) != 0
}

/// Makes a slate that the other side of a clone sees, if there is none yet. What stands on the other slate is lost.
#[track_caller]
pub fn share(why: Why) -> Result<()> {
    if !is_shared() {
        HOT.slate.store(mmap(PAGE, Map::MAP_SHARED, None, why)?, Relaxed);
    }
    Ok(())
}

/// Moves the recorder into a file of [`CAPACITY`] bytes, or into memory that the other side of a clone shares.
#[track_caller]
pub fn lay(file: Option<At>, why: Why) -> Result<()> {
    let at = mmap(CAPACITY, Map::MAP_SHARED, file, why)?;
    HOT.laid.store(at, Relaxed);
    HOT.laid_len.store(CAPACITY, Relaxed);
    touch(at, record::head().used.load(Relaxed) as usize + PAGE);
    // SAFETY: as many bytes have just been mapped there, page-aligned, for the length of the process.
    unsafe { record::move_to(at as *mut u8) };
    Ok(())
}

/// From now on this process writes the calls of other processes into a file of [`WATCHED`] bytes, or into memory. Its own
/// calls are counted there, and get no records.
#[track_caller]
pub fn lay_apart(file: Option<At>, why: Why) -> Result<()> {
    let at = mmap(WATCHED, Map::MAP_SHARED, file, why)?;
    HOT.laid.store(at, Relaxed);
    HOT.laid_len.store(WATCHED, Relaxed);
    touch(at, 2 * PAGE);
    record::begin_apart(at);
    Ok(())
}

/// Writes to each page of a piece of the recorder, and changes nothing. A page that cannot be had is lost now, not later.
fn touch(at: usize, len: usize) {
    for page in (at..at + len).step_by(PAGE) {
        // The compiler makes a load of an `or` with 0; an exchange always writes.
        // SAFETY: the piece lies inside the recorder; other lanes may write there at the same time, so it is one atomic step.
        let _ = unsafe { &*(page as *const AtomicU32) }.compare_exchange(0, 0, Relaxed, Relaxed);
    }
}

/// Makes sure that the next pages of records cannot be lost: a filter that is about to be loaded might forbid what [`lost`]
/// does.
pub(crate) fn settle() {
    let base = HOT.base.load(Relaxed);
    let used = record::head().used.load(Relaxed) as usize;
    if base != 0 && used + 3 * PAGE < HOT.laid_len.load(Relaxed) {
        touch((base + used) & !(PAGE - 1), 3 * PAGE);
    }
}

/// Puts memory in place of the recorder's file, from the page of this address on, which the kernel could not give. False:
/// the address is not in the recorder, or the kernel refuses.
pub(crate) fn lost(place: usize) -> bool {
    let start = HOT.laid.load(Relaxed);
    let end = start + HOT.laid_len.load(Relaxed);
    if start == 0 || !(start..end).contains(&place) {
        return false;
    }
    HOT.lost.store(true, Relaxed);
    let from = place & !(page_size() - 1);
    // SAFETY: what lies there is the recorder's alone, which is written as bytes.
    let first = unsafe { address(from) };
    let prot = named(Prot::PROT_READ | Prot::PROT_WRITE);
    let flags = named(Map::MAP_SHARED | Map::MAP_ANONYMOUS | Map::MAP_FIXED);
    let args = [first, uint(end - from), prot, flags, int(-1), offset(0)];
    let why = Why("this part of the trace's file cannot be had, so memory takes its place");
    gate_late(linux_raw_sys::general::__NR_mmap, &args, why, |_| {
        if from == start && HOT.base.load(Relaxed) == start {
            record::found_again(HOT.used_once.load(Relaxed));
        }
    })
    .is_ok()
}

/// Whether a part of the file was lost.
pub fn was_lost() -> bool {
    HOT.lost.load(Relaxed)
}
