//! Memory for a program's `alloc`: a static arena whose untouched pages cost nothing, grown by a recorded mmap.
//! Freed memory is used again in two places only: at the end of the arena, and in one hole. A runtime lives for
//! milliseconds, so the rest does not matter. In a frozen arena a request for memory ends the process: the child of clone3
//! must not allocate, and everything that it needs was prepared before.

use crate::call::Why;
use crate::calls::{exit_group, mmap};
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

/// The exit status of a process that asked a frozen arena for memory.
pub const FROZEN_STATUS: i32 = 121;

/// From now on this process may not allocate.
pub fn freeze() {
    HOT.frozen.store(true, Relaxed);
}

/// A global allocator for a program of one thread.
pub struct Arena;

impl Arena {
    /// Makes room for `size` more bytes. False: the kernel has none.
    fn grow(size: usize) -> bool {
        let cut_from = |start: usize, len: usize| {
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
            return hole as *mut u8;
        }
        loop {
            let at = (HOT.next.load(Relaxed) + layout.align() - 1) & !(layout.align() - 1);
            match at.checked_add(layout.size()) {
                Some(end) if end <= HOT.end.load(Relaxed) => {
                    HOT.next.store(end, Relaxed);
                    HOT.used.fetch_max(end, Relaxed);
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
            HOT.next.store(at as usize + size, Relaxed);
            HOT.used.fetch_max(at as usize + size, Relaxed);
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
