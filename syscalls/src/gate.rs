//! The gate. Every system call of the program, on both sides of clone3, goes through [`gate`]: it writes the record, enters
//! the kernel, completes the record. Three other `syscall` instructions are in use. Two are for machines that lack
//! something: the clock where there is no vDSO, the thread pointer on an old x86-64. The third is the end of a signal's
//! handler, rt_sigreturn(2), which [`announce`] puts on record.

use crate::arch;
use crate::arg::Arg;
use crate::call::{Call, Failed, Result, Why};
use crate::errno::Errno;
use crate::hot::{self, HOT, Place};
use crate::record::{self, ENTERED, FILE, Later, Missed, RETURNED, WHY, Writer};
use crate::room::{ON_ITS_WAY, slate};
use crate::twin::Begin;
use crate::vdso;
use core::panic::Location;
use core::sync::atomic::Ordering::*;
use linux_raw_sys::general as nr;

/// How often an interrupted call is made again. A file system in user space could report an interruption every time.
const AGAIN: u32 = 10_000;

/// Makes a system call and its record, for a wrapper. Each argument guarantees that the memory it points to is good. The
/// wrapper guarantees that these are the arguments of this call, and that each length is the length of its buffer.
///
/// The handlers of this program let calls go on (SA_RESTART). A call is still interrupted when the process is stopped and
/// resumed, or traced (signal(7)). Then it has done nothing, and is made again with a new record. Only close(2) has done its
/// work by then.
#[track_caller]
pub(crate) fn gate(number: u32, args: &[Arg], why: Why) -> Result<usize> {
    let (call, texts) = (Call(number as u16), Texts { why, caller: Location::caller() });
    // The short way is for calls of which the kernel fills in nothing but the result.
    let (mut filled, mut room, mut i) = (false, 0, 0);
    while i < args.len() {
        filled |= args[i].is_filled();
        room += args[i].given_room();
        i += 1;
    }
    if filled || HOT.apart.load(Relaxed) {
        return whole(call, args, &texts, None);
    }
    let known = Known::of(&texts);
    if !known.all() {
        room += known.room(&texts);
    }
    let begun = record::reserve(call, args, room, None);
    HOT.last.store(begun.unwrap_or(record::NOWHERE), Relaxed);
    if let Ok(at) = begun {
        let known = if room == 0 { known } else { write_given(at, args, &texts, known) };
        entered(at, texts.caller, known);
    }
    // SAFETY: as the wrapper vouches.
    let result = unsafe { enter(call, args) };
    match begun {
        Ok(at) => completed(at, result, |_| {}),
        Err(missed) if result >= 0 => missed.count(),
        Err(_) => {}
    }
    match Errno::of(result as i64) {
        None => Ok(result as usize),
        Some(errno) => match failure(call, args, &texts, (begun, result, errno)) {
            failed if failed.errno != Errno::EINTR => Err(failed),
            _ if number == nr::__NR_close => Ok(0),
            _ => whole(call, args, &texts, None),
        },
    }
}

/// The same for any call, which is made again where it was interrupted. `child`: the call is a clone3 of [`gate_child`].
#[inline(never)]
fn whole(call: Call, args: &[Arg], texts: &Texts, child: Option<&Begin>) -> Result<usize> {
    for _ in 0..AGAIN {
        match once(call, args, texts, child) {
            Err(failed) if failed.errno == Errno::EINTR && u32::from(call.0) == nr::__NR_close => return Ok(0),
            Err(failed) if failed.errno == Errno::EINTR => {}
            other => return other,
        }
    }
    once(call, args, texts, child)
}

/// The same for a clone3 of a child that shares this process's memory. The child does not return from here.
#[track_caller]
pub(crate) fn gate_child(args: &[Arg], begin: &Begin, why: Why) -> Result<usize> {
    let texts = Texts { why, caller: Location::caller() };
    whole(Call::CLONE3, args, &texts, Some(begin))
}

fn once(call: Call, args: &[Arg], texts: &Texts, child: Option<&Begin>) -> Result<usize> {
    if HOT.apart.load(Relaxed) && child.is_none() {
        return counted(call, args);
    }
    let mut later = [None; 6];
    let begun = begin(call, args, texts, None, &mut later);
    if call == Call::EXECVE {
        slate().execve(Place::now().lane()).store(ON_ITS_WAY, Release);
    }
    // SAFETY: gate() says who vouches for what.
    let result = unsafe {
        match child {
            None => enter(call, args),
            Some(begin) => {
                hot::copy_for_child();
                arch::clone_onto(call.0.into(), registers(args), begin.function as usize, begin.argument as usize)
            }
        }
    };
    if call == Call::CLONE3 && result == 0 {
        return Ok(0); // The child: the record belongs to the parent.
    }
    match begun {
        Ok(at) => complete(at, args, &later, result),
        Err(missed) if result >= 0 => missed.count(),
        Err(_) => {}
    }
    match Errno::of(result as i64) {
        None => Ok(result as usize),
        Some(errno) => Err(failure(call, args, texts, (begun, result, errno))),
    }
}

/// The error of a call.
#[cold]
fn failure(call: Call, args: &[Arg], texts: &Texts, (begun, result, errno): (Begun, isize, Errno)) -> Failed {
    if call == Call::EXECVE {
        slate().execve(Place::now().lane()).store(errno.0.into(), Release);
    }
    let at = begun.or_else(|missed| refused(call, args, texts, missed, result));
    Failed { errno, call, at: at.unwrap_or(record::NOWHERE) }
}

/// What a record says of a call in words: its purpose, and which line of our source made it.
struct Texts {
    why: Why,
    caller: &'static Location<'static>,
}

impl Texts {
    /// The caller's file, from the folder `src` on.
    fn file(&self) -> &'static str {
        let file = self.caller.file();
        file.strip_prefix("src/").unwrap_or(file)
    }
}

/// The place of a record, or that it has none.
type Begun = core::result::Result<u32, Missed>;

/// A call of a process that records those of others.
#[cold]
fn counted(call: Call, args: &[Arg]) -> Result<usize> {
    record::head().own.fetch_add(1, Relaxed);
    // SAFETY: gate() says who vouches for what.
    let result = unsafe { enter(call, args) };
    match Errno::of(result as i64) {
        Some(errno) => Err(Failed { errno, call, at: record::NOWHERE }),
        None => Ok(result as usize),
    }
}

/// The one instruction.
///
/// # Safety
/// The arguments are those of this call, and the memory that they point to is good for it.
#[inline(always)]
unsafe fn enter(call: Call, args: &[Arg]) -> isize {
    // SAFETY: as the caller vouches.
    unsafe { arch::syscall(call.0.into(), registers(args)) }
}

#[inline(always)]
fn registers(args: &[Arg]) -> [usize; 6] {
    let mut registers = [0; 6];
    let mut i = 0;
    while i < args.len() && i < 6 {
        registers[i] = args[i].value;
        i += 1;
    }
    registers
}

/// As [`gate`], but writes the record after the call and after `then`: before them no record can be written.
#[track_caller]
pub(crate) fn gate_late(number: u32, args: &[Arg], why: Why, then: impl FnOnce(isize)) -> Result<usize> {
    let call = Call(number as u16);
    // SAFETY: as in once().
    let result = unsafe { enter(call, args) };
    then(result);
    let mut later = [None; 6];
    let begun = begin(call, args, &Texts { why, caller: Location::caller() }, None, &mut later);
    if let Ok(at) = begun {
        complete(at, args, &later, result);
    }
    match Errno::of(result as i64) {
        Some(errno) => Err(Failed { errno, call, at: begun.unwrap_or(record::NOWHERE) }),
        None => Ok(result as usize),
    }
}

/// Writes the record of a call that other code makes next, and that does not return: rt_sigreturn(2).
#[track_caller]
pub(crate) fn announce(number: u32, why: Why) {
    let _ = begin(Call(number as u16), &[], &Texts { why, caller: Location::caller() }, None, &mut [None; 6]);
}

/// Writes the record of the execveat by which this process became this program: a successful one does not return.
#[track_caller]
pub(crate) fn past(number: u32, args: &[Arg], why: Why) {
    let texts = Texts { why, caller: Location::caller() };
    if let Ok(at) = begin(Call(number as u16), args, &texts, None, &mut [None; 6]) {
        // SAFETY: begin() gave this entry to us alone.
        unsafe { (*record::entry(at)).state.store(RETURNED, Release) };
    }
}

/// Writes the record of a call that got none and failed. The message about the failure is made out of a record, so the call
/// needs one, in the recorder or beside it.
fn refused(call: Call, args: &[Arg], texts: &Texts, missed: Missed, result: isize) -> Begun {
    let mut later = [None; 6];
    let begun = begin(call, args, texts, Some(missed), &mut later);
    let begun = begun.or_else(|missed| {
        missed.count();
        let room = 4 + texts.why.0.len() + args.iter().map(Arg::room).sum::<usize>();
        let at = record::carried_begin(call, args, missed.seq, room).ok_or(missed)?;
        let known = write_blobs(at, args, texts, Known::BESIDE, &mut [None; 6]);
        entered(at, texts.caller, known);
        Ok(at)
    });
    if let Ok(at) = begun {
        complete(at, args, &later, result);
    }
    begun
}

/// Completes the record of a call with its result. `then` adds what the kernel wrote.
#[inline(always)]
fn completed(at: u32, result: isize, then: impl FnOnce(usize)) {
    let entry = record::entry(at);
    let now = vdso::read(libc::CLOCK_MONOTONIC);
    // SAFETY: reserve() gave this entry to us alone.
    unsafe {
        (*entry).duration_ns = now.saturating_sub((*entry).start_ns);
        (*entry).ret = result as i64;
        if result >= 0 {
            then(result as usize);
        }
        (*entry).state.store(RETURNED, Release);
    }
}

/// Completes the record of any call.
fn complete(at: u32, args: &[Arg], later: &Laters, result: isize) {
    completed(at, result, |result| {
        for (arg, later) in args.iter().zip(later) {
            if let Some(later) = later {
                arg.fill(*later, result);
            }
        }
    });
}

/// The blobs of each argument to fill in after the call.
type Laters = [Option<Later>; 6];

/// Which texts of a record stand in others already; and what asked for the line, which the first record of the line keeps.
#[derive(Clone, Copy)]
struct Known {
    why: Option<u32>,
    file: Option<u32>,
    asked: u32,
}

impl Known {
    /// Of a record outside of the recorder: it has its why alone, and the texts of its line stay for the next record.
    const BESIDE: Known = Known { why: None, file: Some(0), asked: record::NOTHING };

    #[inline(always)]
    fn of(texts: &Texts) -> Known {
        let (why, file) = (record::known(&HOT.whys, texts.why.0), record::known(&HOT.files, texts.caller.file()));
        Known { why, file, asked: HOT.asked.load(Relaxed) }
    }

    /// Whether nothing has to be written.
    #[inline(always)]
    fn all(self) -> bool {
        self.why.is_some() && self.file.is_some() && self.asked == record::NOTHING
    }

    /// The bytes of what has to be written.
    fn room(self, texts: &Texts) -> usize {
        let why = if self.why.is_some() { 0 } else { 4 + texts.why.0.len() };
        let file = if self.file.is_some() { 0 } else { 4 + texts.file().len() };
        let asked = if self.asked == record::NOTHING { 0 } else { 4 + record::asked_len(self.asked) };
        why + file + asked
    }
}

/// Writes the record of a call that is about to be made. `failed`: it was made without a record, and failed. `later`: the blobs
/// to fill in after the call.
fn begin(call: Call, args: &[Arg], texts: &Texts, failed: Option<Missed>, later: &mut Laters) -> Begun {
    let known = Known::of(texts);
    let mut room = known.room(texts);
    for arg in args {
        room += arg.room();
    }
    let begun = record::reserve(call, args, room, failed);
    HOT.last.store(begun.unwrap_or(record::NOWHERE), Relaxed);
    let at = begun?;
    let known = write_blobs(at, args, texts, known, later);
    entered(at, texts.caller, known);
    if call == Call::EXECVE {
        record::head().execve.store(at, Release);
    }
    begun
}

/// Writes what is kept beside the numbers. All texts of the record are known then.
fn write_blobs(at: u32, args: &[Arg], texts: &Texts, known: Known, later: &mut Laters) -> Known {
    let mut writer = Writer::new(at);
    for (i, arg) in args.iter().enumerate() {
        later[i] = arg.capture(&mut writer, i as u8);
    }
    write_texts(at, &mut writer, texts, known)
}

/// The same for the short way.
fn write_given(at: u32, args: &[Arg], texts: &Texts, known: Known) -> Known {
    let mut writer = Writer::new(at);
    let mut i = 0;
    while i < args.len() {
        args[i].give(&mut writer, i as u8);
        i += 1;
    }
    if known.all() { known } else { write_texts(at, &mut writer, texts, known) }
}

/// Writes the texts that no record has yet.
#[inline(never)]
fn write_texts(at: u32, writer: &mut Writer, texts: &Texts, known: Known) -> Known {
    let why = known.why.unwrap_or_else(|| {
        let place = writer.put(WHY, texts.why.0.as_bytes(), false);
        if at != record::CARRIED {
            record::remember(&HOT.whys, texts.why.0, place);
        }
        place
    });
    let file = known.file.unwrap_or_else(|| {
        let place = writer.put(FILE, texts.file().as_bytes(), false);
        record::remember(&HOT.files, texts.caller.file(), place);
        place
    });
    if known.asked != record::NOTHING {
        writer.put_asked(known.asked);
        if Place::now().line() != 0 {
            HOT.asked.store(record::NOTHING, Relaxed);
        }
    }
    Known { why: Some(why), file: Some(file), ..known }
}

/// After this the record lacks only what the call will bring.
#[inline(always)]
fn entered(at: u32, caller: &Location, known: Known) {
    let entry = record::entry(at);
    // SAFETY: reserve() gave this entry to us alone; readers look at it only once its state says so.
    unsafe {
        (*entry).why = known.why.unwrap_or(0);
        (*entry).source = record::source(known.file.unwrap_or(0), caller.line());
        (*entry).start_ns = vdso::read(libc::CLOCK_MONOTONIC);
        (*entry).state.store(ENTERED, Release);
    }
}
