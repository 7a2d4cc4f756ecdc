//! Calls of other processes: a record of the same kind as our own, with what the arguments point to fetched from the other's
//! memory. Numbers, paths and bytes are kept as they are; a structure is kept as the text by which strace 6.1 shows it.
//!
//! [`enter`] makes the record while the process is about to enter the kernel, and [`leave`] completes it. Whatever the process
//! does to its memory meanwhile, a record is made. Where something cannot be read, its address is shown, as strace does.

mod arguments;
mod events;
mod memory;
mod messages;
mod results;
mod sheet;
mod special;
mod structs;
mod table;
mod times;
mod words;

pub use events::{event, signal};
pub use memory::{read, string};

use crate::arch::AUDIT_ARCH;
use crate::call::Call;
use crate::hot::Place;
use crate::record::{self, ENTERED, Entry, MARK, NAME, RETURNED};
use arguments::{Args, Look};
use core::fmt::Write;
use core::mem::offset_of;
use core::sync::atomic::Ordering::Relaxed;
use sheet::Sheet;

/// A call of another process, as PTRACE_GET_SYSCALL_INFO tells it.
#[derive(Clone, Copy, Debug)]
pub struct Foreign {
    /// What the record names as its process.
    pub pid: i32,
    /// The thread, as this process knows it: its memory is read by this number.
    pub tid: i32,
    /// AUDIT_ARCH_*
    pub arch: u32,
    pub number: u64,
    pub args: [u64; 6],
    /// The stack pointer; 0: it is not known.
    pub stack: u64,
}

/// The name of a call, if it has one.
pub fn name(arch: u32, number: u64) -> Option<&'static str> {
    Call::foreign(arch, number).map(Call::name)
}

/// Makes the record of a call that is about to be made. Returns its place; none: the recorder is full, and the call is
/// counted as missing. `rare`: it may have the last room there is.
pub fn enter(call: &Foreign, start_ns: u64, rare: bool) -> Option<u32> {
    let known = Call::foreign(call.arch, call.number);
    record::add(rare, |bytes| {
        let mut sheet = Sheet::new(bytes, size_of::<Entry>() + size_of_val(&call.args));
        let mut args = Args::default();
        arguments::show(&Look { call, known, result: None }, &mut args, &mut sheet);
        if known.is_none() {
            sheet.blob(NAME, |out| write!(out, "syscall_{:#x}", call.number).ok());
        }
        let end = sheet.at;
        close(call, known.unwrap_or(Call::UNNAMED), start_ns, &args, (bytes, end))
    })
}

/// Puts the facts before the blobs, which end at `end`, and room after them. Returns the record's length.
fn close(call: &Foreign, known: Call, start_ns: u64, args: &Args, (bytes, end): (&mut [u8], usize)) -> usize {
    let first = size_of::<Entry>() + size_of_val(&call.args);
    let start = size_of::<Entry>() + 8 * args.count;
    bytes.copy_within(first..end, start);
    let written = start + (end - first);
    let len = (written + args.room).next_multiple_of(8).min(bytes.len());
    bytes[written..len.max(end)].fill(0);
    for (value, to) in args.values.iter().take(args.count).zip(bytes[size_of::<Entry>()..].chunks_exact_mut(8)) {
        to.copy_from_slice(&value.to_ne_bytes());
    }
    bytes[..size_of::<Entry>()].fill(0);
    macro_rules! set {
        ($($member:ident: $value:expr;)*) => {
            $(put(bytes, offset_of!(Entry, $member), &$value.to_ne_bytes());)*
        };
    }
    set! {
        size: len as u32;
        state: if known == Call::EVENT { RETURNED } else { ENTERED };
        seq: record::head().count.fetch_add(u32::from(known != Call::EVENT), Relaxed);
        pid: call.pid;
        call: known.0;
        lane: Place::now().lane();
        step: Place::now().step();
        argc: args.count as u8;
        mark: MARK;
        start_ns: start_ns;
    }
    put(bytes, offset_of!(Entry, kinds), &args.kinds);
    len
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(to) = bytes.get_mut(at..at + value.len()) {
        to.copy_from_slice(value);
    }
}

/// Completes the record at a place that [`enter`] gave. `result`: as the kernel returns it, an errno as its negative. `why`:
/// where the blob with the reason is in the recorder; 0: there is none.
pub fn leave(place: u32, call: &Foreign, result: i64, why: u32, end_ns: u64) {
    let known = Call::foreign(call.arch, call.number);
    record::change(place, |bytes| {
        let look = Look { call, known, result: Some(result) };
        if let Some(end) = record::blobs_end(bytes) {
            let mut sheet = Sheet::new(bytes, end);
            let mut args = Args::default();
            arguments::show(&look, &mut args, &mut sheet);
        }
        let start = bytes.get(offset_of!(Entry, start_ns)..).and_then(|bytes| bytes.first_chunk());
        let start = start.map_or(end_ns, |bytes| u64::from_ne_bytes(*bytes));
        put(bytes, offset_of!(Entry, duration_ns), &end_ns.saturating_sub(start).to_ne_bytes());
        put(bytes, offset_of!(Entry, ret), &result.to_ne_bytes());
        put(bytes, offset_of!(Entry, why), &why.to_ne_bytes());
        put(bytes, offset_of!(Entry, state), &RETURNED.to_ne_bytes());
    });
}

/// The architecture of this machine's own calls.
pub(crate) fn is_own(arch: u32, number: u64) -> bool {
    arch == AUDIT_ARCH && number < 0x4000_0000
}
