//! A line of text in the recorder, between the records of calls: what a command has found out and no call says.

use super::{Missed, RETURNED, WHY, Writer, entry, head, reserve};
use crate::call::Call;
use crate::vdso::clock_ns;
use core::sync::atomic::Ordering::{Relaxed, Release};

/// The number of a record that is no call: its text is its why.
pub const REMARK: Call = Call(0xff02);
/// Bytes of a remark: a why has no more.
const MOST: usize = 1024;

/// Writes a remark, for the readers of the trace. If there is no room it is lost.
pub fn remark(text: &str) {
    let mut end = text.len().min(MOST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let text = &text.as_bytes()[..end];
    // It takes no sequence number: the next call has that.
    let next = Missed { seq: head().count.load(Relaxed), full: false };
    let Ok(at) = reserve(REMARK, &[], 4 + text.len(), Some(next)) else {
        return;
    };
    let place = Writer::new(at).put(WHY, text, false);
    // SAFETY: reserve() gave this entry to this caller alone.
    unsafe {
        let entry = entry(at);
        (*entry).why = place;
        (*entry).start_ns = clock_ns(libc::CLOCK_MONOTONIC);
        (*entry).state.store(RETURNED, Release);
    }
}
