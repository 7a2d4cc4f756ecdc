//! The recorder on its way from one memory to another: what a process recorded so far comes along, and says whose it is.

use super::{CAPACITY, EARLY, Entry, Head, MAGIC, base, bytes, entry, head, offsets, set_pid};
use crate::file::SharedMap;
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

/// Puts process numbers where the records made so far have what stands for them: in another recorder it would stand for
/// other processes.
pub fn name_processes() {
    let head = head();
    for at in offsets(bytes()) {
        // SAFETY: offsets() yields places of whole entries, and those who made them are done.
        let pid = unsafe { &mut (*entry(at)).pid };
        *pid = match *pid {
            0 => head.child.load(Acquire),
            helper @ ..0 => {
                (head.helpers.get((-1 - helper) as usize)).map_or(0, |n| n.load(Acquire))
            }
            number => number,
        };
    }
    HOT.cloned.store(false, Relaxed);
}

/// Goes on with the records that this process made before it executed itself. False: they are none of ours, or this
/// process has made some already.
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
    // SAFETY: the early buffer is larger, nobody else writes to it, and what is copied is a head with whole entries.
    unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), base(), bytes.len()) };
    head.count.store(whole, Relaxed);
    true
}

/// Moves the recorder into `map`, a fresh shared mapping of [`CAPACITY`] zero bytes: what was recorded so far is
/// copied, and all that follows is written there. Entries keep their places.
pub fn move_to(map: SharedMap) {
    let map = map.0;
    let used = head().used.load(Relaxed) as usize;
    // SAFETY: both are at least EARLY bytes long, they do not overlap, and the map is given away for good.
    unsafe { ptr::copy_nonoverlapping(base(), map, used) };
    HOT.base.store(map as usize, Relaxed);
    HOT.limit.store(CAPACITY, Relaxed);
}

/// Goes on in `map`, a shared mapping of a recorder that another command began: what this one recorded so far is
/// appended. False: it is none of ours, or has another layout; nothing was changed.
pub fn append_to(map: SharedMap) -> bool {
    let map = map.0;
    // SAFETY: a SharedMap is page-aligned and never unmapped; the caller checked that the file has CAPACITY bytes.
    let theirs = unsafe { &*(map as *const Head) };
    let used = theirs.used.load(Acquire) as usize;
    let whole = (size_of::<Head>()..=CAPACITY).contains(&used) && used.is_multiple_of(8);
    if theirs.magic.load(Acquire) != MAGIC || !whole {
        return false;
    }
    HOT.first_helper
        .store(theirs.helper_count.load(Relaxed), Relaxed);
    let mine = head();
    let len = mine.used.load(Relaxed) as usize - size_of::<Head>();
    let at = theirs.used.fetch_add(len as u32, Relaxed) as usize;
    if at + len > CAPACITY {
        theirs.used.fetch_sub(len as u32, Relaxed);
        theirs.dropped.fetch_add(mine.count.load(Relaxed), Relaxed);
    } else {
        let first = theirs.count.fetch_add(mine.count.load(Relaxed), Relaxed);
        HOT.first.store(first, Relaxed);
        HOT.brought.store(first + mine.count.load(Relaxed), Relaxed);
        // SAFETY: [at, at+len) of the map was just taken; the source holds len bytes of whole entries.
        unsafe {
            ptr::copy_nonoverlapping(base().add(size_of::<Head>()), map.add(at), len);
            let mut next = at;
            while next < at + len {
                let entry = map.add(next) as *mut Entry;
                (*entry).seq = (*entry).seq.wrapping_add(first);
                (*entry).why += (at - size_of::<Head>()) as u32;
                next += (*entry).size.load(Relaxed) as usize;
            }
        }
    }
    // The places that were remembered are those of the old buffer.
    HOT.whys
        .iter()
        .for_each(|(known, _)| known.store(0, Relaxed));
    HOT.base.store(map as usize, Relaxed);
    HOT.limit.store(CAPACITY, Relaxed);
    true
}
