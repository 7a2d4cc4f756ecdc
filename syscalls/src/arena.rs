//! Memory for a program's `alloc`: a static arena whose untouched pages cost nothing, grown by a recorded mmap.
//! Freed memory is used again in two places only: at the end of the arena, and in one hole. A runtime lives for
//! milliseconds, so the rest does not matter. A process that lives longer goes back to a [`mark`]. In a frozen arena a request
//! for memory ends the process: the child of clone3 must not allocate, and everything that it needs was prepared before.

use crate::call::Why;
use crate::calls::{exit_group, mmap, write};
use crate::fd::At;
use crate::flags::Map;
use crate::hot::HOT;
use core::alloc::{GlobalAlloc, Layout};
use core::ptr;
use core::sync::atomic::Ordering::Relaxed;

const FIRST: usize = 1 << 20;
/// The least that is mapped when the arena is used up.
const CHUNK: usize = 4 << 20;

#[repr(C, align(4096))]
struct Pages([u8; FIRST]);
static mut PAGES: Pages = Pages([0; FIRST]);

const NO_MEMORY: &[u8] = b"nk-runtime: out of memory: mmap gives no more of it\n";

/// The exit status of a process that asked a frozen arena for memory.
pub const FROZEN_STATUS: i32 = 121;

/// From now on this process may not allocate.
pub fn freeze() {
    HOT.frozen.store(true, Relaxed);
}

/// A place of the arena to which it can go back.
#[must_use]
pub struct Mark(usize);

/// From here on the arena counts what it gives out, so that all of it can be had again. One mark at a time counts.
pub fn mark() -> Mark {
    if HOT.end.load(Relaxed) == 0 || HOT.mark.load(Relaxed) != 0 {
        return Mark(0);
    }
    // One byte stays free: what was given out before does not end at the place, and so does not grow over it.
    let place = HOT.next.load(Relaxed) + 1;
    if place > HOT.end.load(Relaxed) {
        return Mark(0);
    }
    HOT.next.store(place, Relaxed);
    HOT.used.fetch_max(place, Relaxed);
    HOT.mark.store(place, Relaxed);
    HOT.mark_end.store(HOT.end.load(Relaxed), Relaxed);
    HOT.alive.store(0, Relaxed);
    Mark(place)
}

impl Mark {
    /// Goes back, if all that was given out since was given back.
    pub fn release(self) {
        if self.0 == 0 {
            return;
        }
        if HOT.alive.load(Relaxed) == 0 {
            // A hole that was made since lies in what is free again.
            if is_counted(HOT.hole.load(Relaxed)) || is_counted(HOT.hole_end.load(Relaxed).wrapping_sub(1)) {
                HOT.hole.store(0, Relaxed);
                HOT.hole_end.store(0, Relaxed);
            }
            let grown = HOT.end.load(Relaxed) != HOT.mark_end.load(Relaxed);
            HOT.next.store(if grown { HOT.begin.load(Relaxed) } else { self.0 - 1 }, Relaxed);
        }
        HOT.mark.store(0, Relaxed);
    }
}

/// Whether memory at this address was given out since the mark. Few processes have one.
#[inline(always)]
fn is_counted(at: usize) -> bool {
    HOT.mark.load(Relaxed) != 0 && is_newer(at)
}

#[cold]
fn is_newer(at: usize) -> bool {
    let (mark, mark_end, end) = (HOT.mark.load(Relaxed), HOT.mark_end.load(Relaxed), HOT.end.load(Relaxed));
    let newer = end != mark_end && (HOT.begin.load(Relaxed)..end).contains(&at);
    (mark..mark_end).contains(&at) || newer
}

/// Counts a piece that is given out.
#[inline(always)]
fn count(at: usize) {
    if is_counted(at) {
        HOT.alive.store(HOT.alive.load(Relaxed) + 1, Relaxed);
    }
}

/// The arena ends here for now. The process has one thread: no step has to be atomic.
#[inline(always)]
fn cut_to(end: usize) {
    HOT.next.store(end, Relaxed);
    if end > HOT.used.load(Relaxed) {
        HOT.used.store(end, Relaxed);
    }
}

/// A global allocator for a program of one thread.
pub struct Arena;

impl Arena {
    /// Makes room for `size` more bytes. False: the kernel has none.
    fn grow(size: usize) -> bool {
        let cut_from = |start: usize, len: usize| {
            HOT.begin.store(start, Relaxed);
            HOT.next.store(start, Relaxed);
            HOT.used.store(start, Relaxed);
            HOT.end.store(start + len, Relaxed);
        };
        if HOT.end.load(Relaxed) == 0 && size <= FIRST {
            cut_from(&raw mut PAGES as usize, FIRST);
            return true;
        }
        let Some(len) = size.checked_next_multiple_of(CHUNK) else {
            return false;
        };
        let Ok(map) = mmap(len, Map::MAP_PRIVATE, None, Why("the arena in .bss is used up")) else {
            let _ = write(At::STDERR, NO_MEMORY, Why("the program ends now, and has no memory to say more"));
            return false;
        };
        cut_from(map, len);
        true
    }
}

// SAFETY: pieces are cut one after the other from memory that has no other owner; the program has one thread.
unsafe impl GlobalAlloc for Arena {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if HOT.frozen.load(Relaxed) {
            exit_group(FROZEN_STATUS, Why("memory was asked for where nothing may be allocated any more"));
        }
        let hole = (HOT.hole.load(Relaxed) + layout.align() - 1) & !(layout.align() - 1);
        if hole + layout.size() <= HOT.hole_end.load(Relaxed) {
            HOT.hole.store(hole + layout.size(), Relaxed);
            count(hole);
            return hole as *mut u8;
        }
        loop {
            let at = (HOT.next.load(Relaxed) + layout.align() - 1) & !(layout.align() - 1);
            match at.checked_add(layout.size()) {
                Some(end) if end <= HOT.end.load(Relaxed) => {
                    cut_to(end);
                    count(at);
                    return at as *mut u8;
                }
                Some(_) if Arena::grow(layout.size() + layout.align()) => {}
                _ => return ptr::null_mut(),
            }
        }
    }

    /// Memory that was never given out is zero already: writing zeros would only touch its pages.
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let used = HOT.used.load(Relaxed);
        let hole = HOT.hole.load(Relaxed)..HOT.hole_end.load(Relaxed);
        // SAFETY: the caller's promise for alloc: the size is not 0. What is written lies inside the new piece.
        unsafe {
            let at = self.alloc(layout);
            let dirty = match hole.contains(&(at as usize)) {
                true => layout.size(),
                false => used.saturating_sub(at as usize).min(layout.size()),
            };
            if !at.is_null() {
                ptr::write_bytes(at, 0, dirty);
            }
            at
        }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        if is_counted(at as usize) {
            HOT.alive.store(HOT.alive.load(Relaxed).wrapping_sub(1), Relaxed);
        }
        if at as usize + layout.size() == HOT.next.load(Relaxed) {
            HOT.next.store(at as usize, Relaxed);
        } else if at as usize + layout.size() == HOT.hole.load(Relaxed) {
            HOT.hole.store(at as usize, Relaxed);
        } else if layout.size() > HOT.hole_end.load(Relaxed) - HOT.hole.load(Relaxed) {
            HOT.hole.store(at as usize, Relaxed);
            HOT.hole_end.store(at as usize + layout.size(), Relaxed);
        }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if at as usize + layout.size() == HOT.next.load(Relaxed)
            && at as usize + size <= HOT.end.load(Relaxed)
            && !HOT.frozen.load(Relaxed)
        {
            cut_to(at as usize + size);
            return at;
        }
        if at as usize + layout.size() == HOT.hole.load(Relaxed)
            && at as usize + size <= HOT.hole_end.load(Relaxed)
            && !HOT.frozen.load(Relaxed)
        {
            HOT.hole.store(at as usize + size, Relaxed);
            return at;
        }
        // SAFETY: the caller's promise for realloc: `layout` is what the piece was made with, the new size is not 0.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            if !new.is_null() {
                ptr::copy_nonoverlapping(at, new, layout.size().min(size));
                self.dealloc(at, layout);
            }
            new
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests have another allocator, so this one is this test's alone.
    #[test]
    fn what_was_given_back_since_the_mark_is_had_again() {
        let of = |size| Layout::from_size_align(size, 8).unwrap_or(Layout::new::<u64>());
        // SAFETY: each piece is given back with the layout that it was made with, and once.
        unsafe {
            let old = Arena.alloc(of(100));
            let before = HOT.next.load(Relaxed);
            for _ in 0..10_000 {
                let mark = mark();
                let (a, b) = (Arena.alloc(of(5_000)), Arena.alloc(of(300_000)));
                // Not in the order in which they are given back best.
                Arena.dealloc(a, of(5_000));
                let c = Arena.realloc(b, of(300_000), 400_000);
                Arena.dealloc(c, of(400_000));
                mark.release();
            }
            assert_eq!(HOT.next.load(Relaxed), before);
            // What is alive stays.
            let mark = mark();
            let kept = Arena.alloc(of(64));
            mark.release();
            assert_ne!(Arena.alloc(of(64)), kept);
            // A piece from before the mark may be given back after it.
            let mark = super::mark();
            Arena.dealloc(old, of(100));
            mark.release();
            assert!(HOT.next.load(Relaxed) > kept as usize);
        }
    }
}
