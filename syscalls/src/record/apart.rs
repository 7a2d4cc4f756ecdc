//! The recorder of a process that records the calls of others: a watcher. What it writes down are whole records, and notes:
//! entries that are no call, and that records refer to.

use super::{Entry, Head, MAGIC, MARK, RETURNED, Writer, entry, head};
use crate::call::Call;
use crate::hot::HOT;
use core::ptr;
use core::sync::atomic::Ordering::*;

/// Bytes of the memory, and of the sparse file under it, that hold the calls of the container's program.
pub const WATCHED: usize = 16 << 20;

/// The recorder is the memory at `at`, which has [`WATCHED`] zero bytes.
pub(crate) fn begin_at(at: usize) {
    HOT.base.store(at, Relaxed);
    HOT.limit.store(WATCHED, Relaxed);
    HOT.apart.store(true, Relaxed);
    let head = head();
    head.used.store(size_of::<Head>() as u32, Relaxed);
    head.magic.store(MAGIC, Relaxed);
}

/// Takes `len` bytes, also of those that are kept.
fn take(len: usize) -> Option<u32> {
    let head = head();
    let at = head.used.load(Relaxed);
    if at as usize + len > WATCHED {
        return None;
    }
    head.used.store(at + len as u32, Release);
    HOT.used_once.store(at + len as u32, Relaxed);
    Some(at)
}

/// Says why a call of another process was refused: `why` is the place of a note's first text.
pub fn explain(record: u32, why: u32) {
    if HOT.apart.load(Relaxed) && record as usize + size_of::<Entry>() <= head().used.load(Relaxed) as usize {
        // SAFETY: the entry lies in the recorder. One process writes there, and it has one thread.
        unsafe { (*entry(record)).why = why };
    }
}

/// Writes a note of texts, each under its tag. Returns its place, and that of its first text.
pub fn note(call: Call, lane: u8, pid: i32, texts: &[(u8, &str)]) -> Option<(u32, u32)> {
    let len = |text: &str| 4 + text.len().min(super::REASON);
    let size = size_of::<Entry>() + texts.iter().map(|(_, text)| len(text)).sum::<usize>();
    let size = size.next_multiple_of(8);
    if !HOT.apart.load(Relaxed) {
        return None;
    }
    let at = take(size)?;
    // SAFETY: take() gave these bytes of the recorder to this caller; all zeros are an entry without arguments.
    unsafe {
        let to = entry(at);
        ptr::write_bytes(to as *mut u8, 0, size);
        (*to).size.store(size as u32, Relaxed);
        (*to).call = call;
        (*to).lane = lane;
        (*to).pid = pid;
        (*to).mark = MARK;
    }
    let mut writer = Writer::new(at);
    let mut first = 0;
    for (i, (tag, text)) in texts.iter().enumerate() {
        let place = writer.put(*tag, begin(text, super::REASON).as_bytes(), false);
        first = if i == 0 { place } else { first };
    }
    // SAFETY: as above.
    unsafe { (*entry(at)).state.store(RETURNED, Release) };
    Some((at, first))
}

/// As many bytes of a text as fit, without a part of a character.
fn begin(text: &str, most: usize) -> &str {
    let cut = (0..=text.len().min(most)).rev().find(|at| text.is_char_boundary(*at));
    &text[..cut.unwrap_or(0)]
}

/// Counts one more call that a note tells of: its result is their number.
pub fn count_up(note: u32) {
    if HOT.apart.load(Relaxed) && note as usize + size_of::<Entry>() <= head().used.load(Relaxed) as usize {
        // SAFETY: as in explain().
        unsafe { (*entry(note)).ret += 1 };
    }
}
