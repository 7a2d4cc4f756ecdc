//! Copying for processors that have no instruction for it. Without the empty instruction in each loop the compiler would find
//! memcpy or memset in it, and call that.

use core::arch::asm;

type Word = usize;
const WORD: usize = size_of::<Word>();

/// Whether words may be read at one place and written at the other: both are aligned alike, or the processor does not mind.
/// (What riscv64 does not do itself, the firmware does for it, slowly.)
fn fits(to: usize, from: usize) -> bool {
    cfg!(target_arch = "aarch64") || (to | from) % WORD == 0
}

/// Copies upwards.
///
/// # Safety
/// Both places have `len` bytes, and the second does not begin inside the first.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    let mut at = 0;
    // SAFETY: as the caller vouches; words are read and written where `fits` allows that.
    unsafe {
        if fits(to as usize, from as usize) {
            while at + WORD <= len {
                *(to.add(at) as *mut Word) = *(from.add(at) as *const Word);
                at += WORD;
                asm!("");
            }
        }
        while at < len {
            *to.add(at) = *from.add(at);
            at += 1;
            asm!("");
        }
    }
}

/// Copies downwards, from the last byte to the first.
///
/// # Safety
/// Both places have `len` bytes.
#[inline(always)]
pub unsafe fn copy_back(to: *mut u8, from: *const u8, len: usize) {
    let mut left = len;
    // SAFETY: as the caller vouches; words are read and written where `fits` allows that.
    unsafe {
        if fits(to as usize + len, from as usize + len) {
            while left >= WORD {
                left -= WORD;
                *(to.add(left) as *mut Word) = *(from.add(left) as *const Word);
                asm!("");
            }
        }
        while left > 0 {
            left -= 1;
            *to.add(left) = *from.add(left);
            asm!("");
        }
    }
}

/// memset(3).
///
/// # Safety
/// The place has `len` bytes.
#[inline(always)]
pub unsafe fn set(to: *mut u8, byte: u8, len: usize) {
    let word = Word::from_ne_bytes([byte; WORD]);
    let mut at = 0;
    // SAFETY: as the caller vouches; words are written where `fits` allows that.
    unsafe {
        if fits(to as usize, 0) {
            while at + WORD <= len {
                *(to.add(at) as *mut Word) = word;
                at += WORD;
                asm!("");
            }
        }
        while at < len {
            *to.add(at) = byte;
            at += 1;
            asm!("");
        }
    }
}
