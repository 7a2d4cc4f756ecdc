//! What a record keeps beside numbers. It follows the entry; for what the kernel will write, room is taken before the call.

use super::{ASKED, Entry, POINTER, base, carried, entry, room};
use crate::hot::HOT;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::*;

/// Writes blobs after an entry, in order. The sizes were counted before the room was taken.
pub(crate) struct Writer {
    at: *mut u8,
    end: *mut u8,
    /// From where the places of whys are counted.
    origin: *mut u8,
}

/// A blob's place, to fill in once the kernel has written.
#[derive(Clone, Copy)]
pub(crate) struct Later(NonNull<u8>);

impl Writer {
    pub(crate) fn new(at: u32) -> Writer {
        let origin = if at == carried::PLACE { carried::memory() } else { base() };
        let entry = entry(at);
        // SAFETY: reserve() gave `size` bytes at this place to this caller.
        unsafe {
            Writer {
                at: (entry as *mut u8).add(size_of::<Entry>() + 8 * (*entry).argc as usize),
                end: (entry as *mut u8).add((*entry).size.load(Relaxed) as usize),
                origin,
            }
        }
    }

    /// A whole blob, present even when empty. Returns its place in the recorder; 0 if it found no room.
    pub(crate) fn put(&mut self, tag: u8, bytes: &[u8], cut: bool) -> u32 {
        // SAFETY: the end of the reserved room is checked first.
        unsafe {
            if self.end.offset_from(self.at) < (4 + bytes.len()) as isize {
                return 0;
            }
            let place = self.at.offset_from(self.origin) as u32;
            let len = (bytes.len() as u16).to_ne_bytes();
            ptr::copy_nonoverlapping([tag, 2 | cut as u8, len[0], len[1]].as_ptr(), self.at, 4);
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.at.add(4), bytes.len());
            self.at = self.at.add(4 + bytes.len());
            place
        }
    }

    /// What asked for the line, as [`super::at_line`] left it: the mark, and the pointer.
    pub(crate) fn put_asked(&mut self, asked: u32) {
        // SAFETY: the words are one piece of memory, of which asked_len() takes no more than there is; this thread alone
        // writes to them.
        let pointer = unsafe { core::slice::from_raw_parts(&raw const HOT.pointer as *const u8, asked_len(asked) - 1) };
        let place = self.put(ASKED, &[(asked >> 16) as u8], false);
        if place != 0 {
            self.more(place, pointer);
        }
    }

    /// Adds to the blob at a place, the newest one.
    fn more(&mut self, place: u32, bytes: &[u8]) {
        // SAFETY: the end of the reserved room is checked first. The blob's length stands two bytes after its start.
        unsafe {
            if self.end.offset_from(self.at) < bytes.len() as isize {
                return;
            }
            ptr::copy_nonoverlapping(bytes.as_ptr(), self.at, bytes.len());
            self.at = self.at.add(bytes.len());
            let start = self.origin.add(place as usize);
            let len = self.at.offset_from(start) as u16 - 4;
            (start.add(2) as *mut [u8; 2]).write(len.to_ne_bytes());
        }
    }

    /// Room for `len` bytes that are not known yet.
    pub(crate) fn later(&mut self, tag: u8, len: usize) -> Option<Later> {
        let units = len.div_ceil(8);
        // SAFETY: as in put().
        unsafe {
            if self.end.offset_from(self.at) < (4 + units * 8) as isize {
                return None;
            }
            ptr::copy_nonoverlapping([tag, (units as u8) << 2, 0, 0].as_ptr(), self.at, 4);
            let later = Later(NonNull::new(self.at)?);
            self.at = self.at.add(4 + units * 8);
            Some(later)
        }
    }
}

/// The length of that blob, its first four bytes left out.
pub(crate) fn asked_len(asked: u32) -> usize {
    (1 + asked as u16 as usize).min(1 + POINTER)
}

impl Later {
    pub(crate) fn fill(self, bytes: &[u8], cut: bool) {
        // SAFETY: later() took room for as many bytes, and only this process writes there.
        unsafe {
            let at = self.0.as_ptr();
            let room = room(*at.add(1), 0);
            let bytes = &bytes[..bytes.len().min(room)];
            *at.add(1) |= 2 | cut as u8;
            ptr::copy_nonoverlapping((bytes.len() as u16).to_ne_bytes().as_ptr(), at.add(2), 2);
            ptr::copy_nonoverlapping(bytes.as_ptr(), at.add(4), bytes.len());
        }
    }
}
