//! Records of calls that another process made. Their writer makes no other records, and is the only one in its recorder.

use super::{LAST, base, entry_size, head};
use crate::hot::HOT;
use core::sync::atomic::Ordering::*;

/// The largest such record.
pub(crate) const ROOM: usize = 16 << 10;

/// Adds a record that `write` puts into the bytes it is given. It returns how many it has used, a multiple of 8. Returns the
/// record's place; none: the recorder is full, and the call is counted as missing. `rare`: it may have the room that is kept
/// at the end.
pub(crate) fn add(rare: bool, write: impl FnOnce(&mut [u8]) -> usize) -> Option<u32> {
    let head = head();
    let at = head.used.fetch_add(ROOM as u32, Relaxed);
    let kept = if rare { 0 } else { LAST };
    if at as usize + ROOM + kept > HOT.limit.load(Relaxed) {
        head.used.fetch_sub(ROOM as u32, Relaxed);
        head.dropped.fetch_add(1, Relaxed);
        return None;
    }
    // SAFETY: [at, at+ROOM) lies inside the recorder, and fetch_add gave it to this caller alone.
    let bytes = unsafe { core::slice::from_raw_parts_mut(base().add(at as usize), ROOM) };
    let len = write(bytes).min(ROOM) as u32;
    HOT.used_once.store(at + len, Relaxed);
    // A record that the gate has made meanwhile lies after this one.
    let _ = head.used.compare_exchange(at + ROOM as u32, at + len, Release, Relaxed);
    Some(at)
}

/// Changes a record that [`add`] has made.
pub(crate) fn change(at: u32, write: impl FnOnce(&mut [u8])) {
    let used = (head().used.load(Relaxed) as usize).min(HOT.limit.load(Relaxed));
    // SAFETY: the recorder has `used` bytes.
    let size = entry_size(unsafe { core::slice::from_raw_parts(base(), used) }, at as usize);
    if let Some(size) = size {
        // SAFETY: a whole entry lies there, and its writer is this process.
        write(unsafe { core::slice::from_raw_parts_mut(base().add(at as usize), size) });
    }
}
