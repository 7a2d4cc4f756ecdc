//! The recorder moves from one memory to another. The records made so far move too, and say which process made them.

use super::{CAPACITY, EARLY, Head, MAGIC, base, bytes, entry, head, offsets, set_pid};
use crate::hot::HOT;
use core::ptr;
use core::sync::atomic::Ordering::*;

/// Says which process this is, also to the records that it has made already.
pub fn set_own_pid(pid: i32) {
    set_pid(pid);
    for at in offsets(bytes()) {
        // SAFETY: offsets() yields places of whole entries, and all of them are this process's own.
        unsafe { (*entry(at)).pid = pid };
    }
}

/// Goes on with the records that this process made before it executed itself. False: they are of another layout, or
/// this process has made records already.
pub fn adopt(bytes: &[u8]) -> bool {
    let head = head();
    let mine = head.used.load(Relaxed) as usize == size_of::<Head>();
    let magic = bytes.get(..8) == Some(&MAGIC.to_ne_bytes()[..]);
    let whole = offsets(bytes).count() as u32;
    let at = core::mem::offset_of!(Head, used);
    let used = bytes.get(at..at + 4) == Some(&(bytes.len() as u32).to_ne_bytes()[..]);
    if !(mine && magic && used) || whole == 0 || bytes.len() > EARLY / 2 {
        return false;
    }
    // SAFETY: the early buffer is larger, no other process writes to it, and what is copied is a head with whole entries.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), base(), bytes.len()) };
    head.count.store(whole, Relaxed);
    true
}

/// Moves the recorder to `to`, which has [`CAPACITY`] zero bytes: what was recorded so far is copied, and all that follows
/// is written there. Entries keep their places.
///
/// # Safety
/// `to` is page-aligned, has CAPACITY bytes, and is never unmapped.
pub(crate) unsafe fn move_to(to: *mut u8) {
    let used = head().used.load(Relaxed) as usize;
    // SAFETY: both are at least EARLY bytes long, and they do not overlap.
    unsafe { ptr::copy_nonoverlapping(base(), to, used) };
    HOT.base.store(to as usize, Relaxed);
    HOT.limit.store(CAPACITY, Relaxed);
}
