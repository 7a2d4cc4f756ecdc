//! The gate. Every system call of the program, on both sides of clone3, goes through [`gate`]: it writes
//! the record, enters the kernel, completes the record. Three other `syscall` instructions are in use. Two are for
//! machines that lack something: the clock where there is no vDSO, the thread pointer on an old x86-64. The third is the
//! end of a signal's handler, rt_sigreturn(2), which [`announce`] puts on record.

use crate::arch;
use crate::errno::Errno;
use crate::hot::HOT;
use crate::record::{self, ENTERED, Later, Missed, OUT, RETURNED, WHY, Writer};
use crate::room::{ON_ITS_WAY, slate};
use crate::table::{Arg, Call, Shape};
use crate::vdso::clock_ns;
use core::sync::atomic::Ordering::*;

/// The purpose of a call, for whoever reads the trace: not what it does but what for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Why(pub &'static str);

/// A call that the kernel refused: its errno, and where its record lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C)]
pub struct Failed {
    pub errno: Errno,
    pub call: Call,
    /// The place of the record, for [`record::find`]; [`record::NOWHERE`] where there is none.
    pub at: u32,
}

impl Failed {
    /// In one word, for another process that shares the recorder.
    pub fn packed(self) -> u64 {
        let call = u64::from(self.call as u16);
        u64::from(self.errno.0) << 48 | call << 32 | u64::from(record::shared(self.at))
    }

    /// The same, out of that word.
    pub fn unpacked(word: u64) -> Failed {
        Failed {
            errno: Errno((word >> 48) as u16),
            call: Call::from_number((word >> 32) as u16).unwrap_or(Call::Execve),
            at: word as u32,
        }
    }
}

pub type Result<T> = core::result::Result<T, Failed>;

/// Longest path that is kept: PATH_MAX.
const PATH: usize = 4096;
/// Longest other string that is kept: strace's default limit.
const STRING: usize = 32;

/// How often a call is made again that was interrupted: a file system of another process could say so without an end.
const AGAIN: u32 = 10_000;

/// Makes a system call and its record. Only the wrappers of this crate call it: they vouch that every pointer among `args`
/// is good for that call, and for as many bytes as the table says.
///
/// No signal that this program handles interrupts a call (SA_RESTART). Still a call is interrupted when the process is
/// stopped and goes on, or is traced (signal(7)). It has done nothing then, and is made again, with a record of its own. Only
/// close(2) has done its part.
pub(crate) fn gate(call: Call, args: [usize; 6], why: Why) -> Result<usize> {
    for _ in 0..AGAIN {
        match once(call, args, why) {
            Err(failed) if failed.errno == Errno::EINTR && call == Call::Close => return Ok(0),
            Err(failed) if failed.errno == Errno::EINTR => {}
            other => return other,
        }
    }
    once(call, args, why)
}

fn once(call: Call, args: [usize; 6], why: Why) -> Result<usize> {
    let (begun, later) = begin(call, &args, why, None);
    if call == Call::Execve {
        slate().execve(HOT.lane.load(Relaxed) as u8).store(ON_ITS_WAY, Release);
    }
    // SAFETY: the wrapper that calls us built these arguments from live references and owned descriptors.
    let result = unsafe { arch::syscall(call.row().number as usize, args) };
    if call == Call::Clone3 && result == 0 {
        return Ok(0); // The other side: the record belongs to the one that called.
    }
    match begun {
        Ok(at) => complete(at, call, &args, &later, result),
        Err(missed) if result >= 0 => missed.count(),
        Err(_) => {}
    }
    let errno = match result {
        -4095..=-1 => Errno(-result as u16),
        value => return Ok(value as usize),
    };
    if call == Call::Execve {
        slate().execve(HOT.lane.load(Relaxed) as u8).store(errno.0.into(), Release);
    }
    let at = begun.or_else(|missed| refused(call, &args, why, missed, result));
    Err(Failed { errno, call, at: at.unwrap_or(record::NOWHERE) })
}

/// The same, with the record made only when the call has returned and `then` was done: before, no record can be made.
pub(crate) fn gate_late(call: Call, args: [usize; 6], why: Why, then: impl FnOnce(isize)) -> Result<usize> {
    // SAFETY: as in gate().
    let result = unsafe { arch::syscall(call.row().number as usize, args) };
    then(result);
    let (begun, later) = begin(call, &args, why, None);
    if let Ok(at) = begun {
        complete(at, call, &args, &later, result);
    }
    match result {
        -4095..=-1 => Err(Failed { errno: Errno(-result as u16), call, at: begun.unwrap_or(record::NOWHERE) }),
        value => Ok(value as usize),
    }
}

/// The record of a call that comes right after the words that make it, and does not return to us: rt_sigreturn(2).
pub(crate) fn announce(call: Call, args: [usize; 6], why: Why) {
    let _ = begin(call, &args, why, None);
}

/// The kernel refused a call that missed its record. The message about that is made out of a record: so the call gets one
/// all the same, in the recorder or beside it.
fn refused(
    call: Call,
    args: &[usize; 6],
    why: Why,
    missed: Missed,
    result: isize,
) -> core::result::Result<u32, Missed> {
    let (begun, later) = begin(call, args, why, Some(missed));
    let begun = begun.or_else(|missed| {
        missed.count();
        let room = 4 + why.0.len() + blobs_room(call, args);
        record::carried_begin(call, args, missed.seq, room).ok_or(missed)
    });
    if let Ok(at @ record::CARRIED) = begun {
        write_blobs(at, call, args, why);
    }
    if let Ok(at) = begun {
        complete(at, call, args, &later, result);
    }
    begun
}

/// Fills in what a call has brought.
fn complete(at: u32, call: Call, args: &[usize; 6], later: &[Option<Later>; 6], result: isize) {
    let entry = record::entry(at);
    // SAFETY: reserve() gave this entry to us alone.
    unsafe {
        (*entry).duration_ns = clock_ns(libc::CLOCK_MONOTONIC).saturating_sub((*entry).start_ns);
        (*entry).ret = result as i64;
        if result >= 0 {
            for (i, kind) in call.row().args.iter().enumerate() {
                if let Some(later) = later[i] {
                    fill(later, *kind, args, i, result as usize);
                }
            }
        }
        (*entry).state.store(RETURNED, Release);
    }
}

/// Writes the record of a call that is about to be made, or says that it missed its record. Then what has to be filled in
/// when it returns. `failed`: it was made, and missed its record before.
fn begin(
    call: Call,
    args: &[usize; 6],
    why: Why,
    failed: Option<Missed>,
) -> (core::result::Result<u32, Missed>, [Option<Later>; 6]) {
    let kinds = call.row().args;
    let known = record::known_why(why.0);
    let mut room = if known.is_some() { 0 } else { 4 + why.0.len() };
    let mut lens = [0; 6];
    for (i, kind) in kinds.iter().enumerate() {
        lens[i] = text_len(*kind, args[i]);
        room += blob_room(*kind, args, i, lens[i]);
    }
    let begun = record::reserve(call, args, room, failed);
    HOT.last.store(begun.unwrap_or(record::NOWHERE), Relaxed);
    let mut later: [Option<Later>; 6] = [None; 6];
    if let Ok(at) = begun {
        let mut writer = Writer::new(at);
        for (i, kind) in kinds.iter().enumerate() {
            later[i] = capture(&mut writer, *kind, args, i, lens[i]);
        }
        let place = known.unwrap_or_else(|| {
            let place = writer.put(WHY, why.0.as_bytes(), false);
            record::remember_why(why.0, place);
            place
        });
        entered(at, place);
        if call == Call::Execve {
            record::head().execve.store(at, Release);
        }
    }
    (begun, later)
}

/// Says that a record is whole up to what its call will bring.
fn entered(at: u32, why: u32) {
    let entry = record::entry(at);
    // SAFETY: reserve() gave this entry to us alone; readers look at it only once its state says so.
    unsafe {
        (*entry).why = why;
        (*entry).start_ns = clock_ns(libc::CLOCK_MONOTONIC);
        (*entry).state.store(ENTERED, Release);
    }
}

/// The blobs of a record that lies outside of the recorder. What the kernel would have filled in it did not: it refused.
fn write_blobs(at: u32, call: Call, args: &[usize; 6], why: Why) {
    let mut writer = Writer::new(at);
    for (i, kind) in call.row().args.iter().enumerate() {
        let _ = capture(&mut writer, *kind, args, i, text_len(*kind, args[i]));
    }
    let place = writer.put(WHY, why.0.as_bytes(), false);
    entered(at, place);
}

/// What all blobs of a call take at the most.
fn blobs_room(call: Call, args: &[usize; 6]) -> usize {
    let kinds = call.row().args.iter().enumerate();
    kinds.map(|(i, kind)| blob_room(*kind, args, i, text_len(*kind, args[i]))).sum()
}

/// The record of a call that was made by this process before it became what it is: a successful execveat does not return.
pub(crate) fn past(call: Call, args: [usize; 6], why: Why) -> Option<u32> {
    let at = begin(call, &args, why, None).0.ok()?;
    let entry = record::entry(at);
    // SAFETY: begin() gave this entry to us alone.
    unsafe { (*entry).state.store(RETURNED, Release) };
    Some(at)
}

/// Bytes of a structure.
fn size(shape: Shape, args: &[usize; 6]) -> usize {
    match shape {
        Shape::OpenHow => 24,
        Shape::MountAttr => 32,
        Shape::CloneArgs => 88,
        Shape::Stat => size_of::<linux_raw_sys::general::stat>(),
        Shape::StatFs => size_of::<linux_raw_sys::general::statfs64>(),
        Shape::SigInfo => 128,
        Shape::SigSet => 8,
        Shape::SigAction => size_of::<linux_raw_sys::general::kernel_sigaction>(),
        Shape::TimeSpec | Shape::RLimit => 16,
        Shape::PollFds(count) => 8 * args[count].min(8),
        Shape::FdPair => 8,
        Shape::CapHeader => 8,
        Shape::CapData => 24,
        Shape::Gids(count) => 4 * args[count].min(STRING + 1),
        Shape::IfReq => 40,
        Shape::BpfLoad => 128,
        Shape::BpfAttach => 24,
        Shape::BpfQuery => crate::abi::BPF_QUERY_SIZE,
        Shape::BpfById => 12,
        Shape::Utsname => 390,
        Shape::SchedAttr => size_of::<crate::abi::SchedAttr>(),
        Shape::Filter => 16,
        Shape::SockAddr(len) => args[len].min(110),
        Shape::Message | Shape::Received => size_of::<crate::abi::Message>(),
        Shape::Int => 4,
        Shape::Termios => size_of::<crate::abi::Termios>(),
        Shape::WinSize => size_of::<crate::abi::WinSize>(),
        Shape::Nodes(count) => args[count].saturating_sub(1).div_ceil(64) * 8,
        Shape::Cpus(len) => args[len].min(128),
    }
}

/// The length of a C string, looking at no more than `limit` bytes.
fn string_len(at: usize, limit: usize) -> usize {
    let mut len = 0;
    // SAFETY: the wrapper passed a C string: every byte up to its NUL may be read.
    while len < limit && unsafe { *((at + len) as *const u8) } != 0 {
        len += 1;
    }
    len
}

/// How much of a string is kept at most.
fn limit(kind: Arg) -> usize {
    match kind {
        Arg::Path => PATH,
        _ => STRING,
    }
}

/// The length of an argument that is a string; one more than the limit, if it is longer.
fn text_len(kind: Arg, at: usize) -> usize {
    match kind {
        Arg::Path | Arg::Str if at != 0 => string_len(at, limit(kind) + 1),
        _ => 0,
    }
}

/// Memory that an argument points to.
fn memory<'a>(at: usize, len: usize) -> &'a [u8] {
    // SAFETY: the wrapper passed a pointer to at least this many live bytes.
    unsafe { core::slice::from_raw_parts(at as *const u8, len) }
}

/// An upper bound of what [`capture`] writes for an argument.
fn blob_room(kind: Arg, args: &[usize; 6], i: usize, text: usize) -> usize {
    if args[i] == 0 {
        return 0;
    }
    match kind {
        Arg::Path | Arg::Str => 4 + text.min(limit(kind)),
        Arg::Bytes(len) => 4 + args[len].min(STRING),
        Arg::BytesOut => 4 + args[i + 1].min(STRING).next_multiple_of(8),
        Arg::PathOut => 4 + args[i + 1].min(496).next_multiple_of(8),
        Arg::Entries => 4 + 8,
        Arg::In(shape) => 4 + size(shape, args),
        Arg::Out(shape) => 4 + size(shape, args).next_multiple_of(8),
        Arg::InOut(shape) => 8 + 2 * size(shape, args).next_multiple_of(8),
        Arg::Argv => 4 + argv(args[i], |_| ()),
        Arg::Envp => 8,
        _ => 0,
    }
}

/// Copies what an argument points to, or takes room for what the kernel will write there.
fn capture(writer: &mut Writer, kind: Arg, args: &[usize; 6], i: usize, text: usize) -> Option<Later> {
    if args[i] == 0 {
        return None;
    }
    let tag = i as u8;
    match kind {
        Arg::Path | Arg::Str => {
            let kept = text.min(limit(kind));
            writer.put(tag, memory(args[i], kept), kept < text);
        }
        Arg::Bytes(len) => _ = writer.put(tag, memory(args[i], args[len].min(STRING)), args[len] > STRING),
        Arg::In(shape) => _ = writer.put(tag, memory(args[i], size(shape, args)), false),
        Arg::BytesOut => return writer.later(tag | OUT, args[i + 1].min(STRING)),
        Arg::PathOut => return writer.later(tag | OUT, args[i + 1].min(496)),
        Arg::Entries => return writer.later(tag | OUT, 4),
        Arg::Out(shape) => return writer.later(tag | OUT, size(shape, args)),
        Arg::InOut(shape) => {
            writer.put(tag, memory(args[i], size(shape, args)), false);
            return writer.later(tag | OUT, size(shape, args));
        }
        Arg::Argv => {
            let mut text = [0; ARGV_ROOM];
            let mut len = 0;
            argv(args[i], |string| {
                text[len..len + string.len()].copy_from_slice(string);
                len += string.len() + 1;
            });
            writer.put(tag, &text[..len], false);
        }
        Arg::Envp => {
            let count = pointers(args[i], usize::MAX).count() as u32;
            writer.put(tag, &count.to_ne_bytes(), false);
        }
        _ => {}
    }
    None
}

/// Copies what the kernel wrote.
fn fill(later: Later, kind: Arg, args: &[usize; 6], i: usize, result: usize) {
    match kind {
        Arg::BytesOut => later.fill(memory(args[i], result.min(STRING)), result > STRING),
        Arg::PathOut => later.fill(memory(args[i], result.min(496)), result > 496),
        Arg::Entries => later.fill(&entry_count(memory(args[i], result)).to_ne_bytes(), false),
        Arg::InOut(Shape::CloneArgs) => {
            let pidfd = u64::from_ne_bytes(memory(args[i] + 8, 8).try_into().unwrap_or_default());
            if pidfd != 0 {
                later.fill(memory(pidfd as usize, 4), false);
            }
        }
        Arg::Out(shape) | Arg::InOut(shape) => later.fill(memory(args[i], size(shape, args)), false),
        _ => {}
    }
}

/// How many entries getdents64 wrote: 16 bytes into each stands its length (getdents(2)).
fn entry_count(mut entries: &[u8]) -> u32 {
    let mut count = 0;
    while let Some(&[a, b]) = entries.get(16..18) {
        let len = usize::from(u16::from_ne_bytes([a, b])).max(1);
        entries = entries.get(len..).unwrap_or_default();
        count += 1;
    }
    count
}

/// Strings of an argument vector that are kept, and the most bytes they take.
const ARGV_STRINGS: usize = STRING + 1;
const ARGV_ROOM: usize = ARGV_STRINGS * (STRING + 2);

/// The pointers of a NULL-terminated vector.
fn pointers(at: usize, most: usize) -> impl Iterator<Item = usize> {
    // SAFETY: the wrapper passed a NULL-terminated vector of pointers; it is not read past its NULL.
    (0..most).map(move |i| unsafe { *((at + i * size_of::<usize>()) as *const usize) }).take_while(|p| *p != 0)
}

/// Gives each kept string of a vector, at most one byte more than is printed; returns the bytes with their NULs.
fn argv(at: usize, mut each: impl FnMut(&[u8])) -> usize {
    let mut total = 0;
    for string in pointers(at, ARGV_STRINGS) {
        let len = string_len(string, STRING + 1);
        each(memory(string, len));
        total += len + 1;
    }
    total
}
