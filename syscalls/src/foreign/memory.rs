//! The memory of another process. What cannot be read is left out: the process may have changed or ended meanwhile.

use crate::call::Why;
use crate::calls::process_vm_readv;

const PAGE: u64 = 4096;
const WHY: Why = Why("a call of the program points to this memory, and its record shows what is there");

/// Reads as many of the bytes as can be had from this address on. Returns how many.
pub fn read(tid: i32, at: u64, to: &mut [u8]) -> usize {
    if at == 0 || to.is_empty() {
        return 0;
    }
    process_vm_readv(tid, at, to, WHY).unwrap_or(0)
}

/// Reads a string that ends with a NUL. None: it cannot be read; the NUL is left out. A longer one fills all of `to`.
pub fn string(tid: i32, at: u64, to: &mut [u8]) -> Option<&[u8]> {
    let mut len = 0;
    while len < to.len() {
        let from = at.checked_add(len as u64)?;
        let most = (PAGE - from % PAGE).min(256) as usize;
        let end = to.len().min(len + most);
        let got = read(tid, from, &mut to[len..end]);
        if got == 0 {
            return None;
        }
        if let Some(nul) = to[len..len + got].iter().position(|byte| *byte == 0) {
            return to.get(..len + nul);
        }
        len += got;
    }
    Some(to)
}
