//! One record outside of the recorder: that of the call that failed. The message about the failure is made out of it, so it
//! must be there even when the recorder is full, or when another process made it.

use super::{Entry, NOWHERE, Record, WHY, base, bytes, entry_size, offsets, write_entry};
use crate::arg::Arg;
use crate::call::Call;
use crate::hot::HOT;
use crate::twin;
use core::sync::atomic::Ordering::*;

/// The place that stands for this record.
pub(crate) const PLACE: u32 = u32::MAX - 1;

/// A record with the longest path that is kept, and its why.
const SIZE: usize = 12 << 10;

/// One for this process, and one for a child that shares its memory.
#[repr(C, align(8))]
struct Memory([[u8; SIZE]; 2]);
static mut MEMORY: Memory = Memory([[0; SIZE]; 2]);

pub(super) fn memory() -> *mut u8 {
    let first = &raw mut MEMORY as *mut u8;
    // SAFETY: there are two of them.
    unsafe { first.add(if twin::is_child() { SIZE } else { 0 }) }
}

/// Begins the record of a call that failed and found no place in the recorder. `len`: what the blobs take.
pub(crate) fn begin(call: Call, args: &[Arg], seq: u32, len: usize) -> Option<u32> {
    let len = (size_of::<Entry>() + 8 * args.len() + len + 7) & !7;
    if len > SIZE {
        return None;
    }
    // SAFETY: MEMORY has SIZE bytes, is aligned, and this process has one thread.
    unsafe { write_entry(memory() as *mut Entry, call, args, (len, seq)) };
    Some(PLACE)
}

/// The record at a place that a failed call names, if there is one.
pub fn find(at: u32) -> Option<Record<'static>> {
    match at {
        NOWHERE => None,
        PLACE => {
            // SAFETY: MEMORY has SIZE bytes, and one thread writes to it.
            let bytes = unsafe { core::slice::from_raw_parts(memory(), SIZE) };
            entry_size(bytes, 0).and_then(|_| Record::read(bytes, 0))
        }
        at => entry_size(bytes(), at as usize).and_then(|_| Record::read(bytes(), at)),
    }
}

/// The place, for another process that shares the recorder: it does not have this one record.
pub fn shared(at: u32) -> u32 {
    if at == PLACE { NOWHERE } else { at }
}

/// Where the record in this memory was in the recorder, if the process that made it shares that.
pub(super) fn origin() -> Option<u32> {
    let carried = find(PLACE)?;
    let is_same = |at: &u32| {
        let record = Record::read(bytes(), *at);
        record.is_some_and(|r| (r.seq, r.start_ns, r.call) == (carried.seq, carried.start_ns, carried.call))
    };
    offsets(bytes()).find(is_same)
}

/// Copies a record into a message, with its why, so that it can be read without the recorder. Returns its length; 0: there
/// is none, or it is longer than the message may be.
pub fn carry(at: u32, to: &mut [u8]) -> usize {
    let Some(record) = find(at) else {
        return 0;
    };
    let origin = match at {
        PLACE => memory(),
        // SAFETY: find() has seen a whole entry at this place.
        at => unsafe { base().add(at as usize) },
    };
    // SAFETY: as above; the first word of an entry is its size.
    let len = unsafe { *(origin as *const u32) } as usize;
    let why = record.why().as_bytes();
    let whole = (len + 4 + why.len() + 7) & !7;
    let Some(to) = to.get_mut(..whole) else {
        return 0;
    };
    to.fill(0);
    // SAFETY: as above.
    to[..len].copy_from_slice(unsafe { core::slice::from_raw_parts(origin, len) });
    let [a, b] = (why.len() as u16).to_ne_bytes();
    to[len..len + 4].copy_from_slice(&[WHY, 2, a, b]);
    to[len + 4..len + 4 + why.len()].copy_from_slice(why);
    let place = core::mem::offset_of!(Entry, why);
    to[place..place + 4].copy_from_slice(&(len as u32).to_ne_bytes());
    let place = core::mem::offset_of!(Entry, source);
    to[place..place + 4].fill(0);
    whole
}

/// Takes a record that another process has carried here. Returns its place.
pub fn accept(message: &[u8]) -> u32 {
    if message.len() > SIZE || entry_size(message, 0).is_none() {
        return NOWHERE;
    }
    // SAFETY: MEMORY has SIZE bytes, and this process has one thread.
    let memory = unsafe { core::slice::from_raw_parts_mut(memory(), SIZE) };
    memory[..message.len()].copy_from_slice(message);
    HOT.last.store(PLACE, Relaxed);
    PLACE
}
