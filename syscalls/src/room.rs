//! Memory that both sides of clone3 have: a slate, on which they tell each other what needs no call, and after it the
//! recorder. A file can be laid under the recorder, so that the records outlive this process.
//!
//! ```text
//!   slate, one page | recorder, CAPACITY bytes: anonymous memory, or the container's file
//! ```
//! A page of the file that the file system has no room for, that cannot be read, or that was cut off, is a page that
//! cannot be touched: the kernel sends SIGBUS (mmap(2)). Then [`lost`] lays anonymous memory there, and all goes on. What was
//! to be kept there is not in the file; nothing else depends on it.

use crate::call::{Result, Why, gate, gate_late};
use crate::fd::At;
use crate::file::d;
use crate::hot::HOT;
use crate::record::{self, CAPACITY};
use crate::table::Call;
use core::sync::atomic::{AtomicU32, AtomicU64, Ordering::*};

const PAGE: usize = 4096;

/// What the sides tell each other without a call: once a filter is loaded, any call could be refused.
#[repr(C, align(4096))]
pub struct Slate {
    /// Per lane, how far its newest execve is: [`NONE`], [`ON_ITS_WAY`], or the errno with which it failed.
    execves: [AtomicU32; 8],
    /// The call for which a helper could not become its program ([`crate::Failed::packed`]); 0: there is none.
    pub helper_failure: AtomicU64,
    /// Capabilities that init could not give.
    pub left_out: AtomicU64,
    /// A descriptor of init's that the host is to take, and one more; 0: there is none.
    pub offered: AtomicU32,
}

/// No execve was made; it is in the kernel, or has succeeded.
pub const NONE: u32 = 0;
pub const ON_ITS_WAY: u32 = u32::MAX;

/// The slate of a process that shares none.
static ALONE: Slate = Slate {
    execves: [const { AtomicU32::new(NONE) }; 8],
    helper_failure: AtomicU64::new(0),
    left_out: AtomicU64::new(0),
    offered: AtomicU32::new(0),
};

/// The slate in use.
pub fn slate() -> &'static Slate {
    match HOT.room.load(Relaxed) {
        0 => &ALONE,
        // SAFETY: the room begins with a page that is a Slate, all atomics, and is never unmapped.
        at => unsafe { &*(at as *const Slate) },
    }
}

impl Slate {
    /// The newest execve of a lane.
    pub fn execve(&self, lane: u8) -> &AtomicU32 {
        &self.execves[usize::from(lane) % self.execves.len()]
    }
}

/// Whether there is a room.
pub fn is_shared() -> bool {
    HOT.room.load(Relaxed) != 0
}

/// Makes the room. The records of before come along with [`enter`].
pub fn share(why: Why) -> Result<()> {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as usize;
    let args = [0, PAGE + CAPACITY, prot, flags, usize::MAX, 0];
    HOT.room.store(gate(Call::Mmap, args, why)?, Relaxed);
    Ok(())
}

/// The slate alone, where memory is short: each side then records for itself.
pub fn share_slate(why: Why) -> Result<()> {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS) as usize;
    HOT.room.store(
        gate(Call::Mmap, [0, PAGE, prot, flags, usize::MAX, 0], why)?,
        Relaxed,
    );
    Ok(())
}

/// Lays a file of CAPACITY bytes under the recorder's part of the room.
pub fn keep_in(file: At, why: Why) -> Result<()> {
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_SHARED | libc::MAP_FIXED) as usize;
    let at = HOT.room.load(Relaxed) + PAGE;
    gate(Call::Mmap, [at, CAPACITY, prot, flags, d(file), 0], why)?;
    let used = record::head().used.load(Relaxed) as usize;
    touch(at, used + PAGE);
    Ok(())
}

/// Moves the recorder into the room.
pub fn enter() {
    // SAFETY: share() has mapped as much there, page-aligned, for the length of the process.
    unsafe { record::move_to((HOT.room.load(Relaxed) + PAGE) as *mut u8) }
}

/// Writes to each page of a piece of the room, and changes nothing: what can be lost is lost now.
fn touch(at: usize, len: usize) {
    for page in (at..at + len).step_by(PAGE) {
        // Of an `or` with 0 the compiler makes a load; an exchange is a write, whatever it finds.
        // SAFETY: the piece lies inside the room; other lanes may write there at the same time, so it is one atomic step.
        let _ = unsafe { &*(page as *const AtomicU32) }.compare_exchange(0, 0, Relaxed, Relaxed);
    }
}

/// Records to come within the next pages cannot be lost any more: a filter that is about to be loaded might not let
/// [`lost`] do its work.
pub(crate) fn settle() {
    let base = HOT.base.load(Relaxed);
    let used = record::head().used.load(Relaxed) as usize;
    if base != 0 && used + 3 * PAGE < CAPACITY {
        touch((base + used) & !(PAGE - 1), 3 * PAGE);
    }
}

/// The kernel could not give the page of this address. False: it is none of the recorder's.
pub(crate) fn lost(address: usize) -> bool {
    let start = HOT.room.load(Relaxed) + PAGE;
    let end = start + CAPACITY;
    if HOT.room.load(Relaxed) == 0 || !(start..end).contains(&address) {
        return false;
    }
    HOT.lost.store(true, Relaxed);
    let from = address & !(PAGE - 1);
    let prot = (libc::PROT_READ | libc::PROT_WRITE) as usize;
    let flags = (libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_FIXED) as usize;
    let args = [from, end - from, prot, flags, usize::MAX, 0];
    let why =
        Why("the file system has no room for this part of the trace, so memory takes its place");
    gate_late(Call::Mmap, args, why, |_| {
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
