//! Where the flight recorder is kept. `create` and `run` map a file of the container's as the recorder, so that their records
//! are there even if they are killed. A later command records in its own memory, and appends that to another file when it
//! ends. If there can be no such file the command goes on, and warns once that its trace is not kept. May touch: system calls.
//!
//! ```text
//!   trace            the container's creation, up to its program; with `run` also its end
//!   trace.later      the later commands, one piece each; trace.old: those before the newest 256 KiB
//!   trace.failed     the last later command that failed
//!   trace.machine    what was recorded in a machine of its own
//! ```

use super::directory::DIRECTORY;
use super::traces::{self, FAILED, LATER, MACHINE, OLD, TRACE, number};
use crate::host::input;
use crate::outcome::{Doing, Error, Lane, OF_MACHINE, at};
use crate::perform::{self, files::write_all};
use core::mem::offset_of;
use core::sync::atomic::Ordering::Relaxed;
use syscalls::record::{self, Entry, Head, Record};
use syscalls::{At, AtFlags, Call, Errno, Failed, Fd, OpenFlags, Why, room};

/// When `trace.later` is this long it takes the place of `trace.old`.
const GENERATION: usize = 256 << 10;
/// After each so many bytes of a container's trace, all traces of the state root are counted.
pub const STEP: usize = 64 << 10;

/// What becomes of this command's records when it ends.
#[derive(Default)]
pub struct Recording {
    /// The container's directory.
    dir: Option<Fd>,
    /// The file in it that they are appended to.
    file: Option<Fd>,
    /// How long that was when it was opened.
    long: Option<usize>,
    /// How many bytes of the recorder are in that file already.
    written: usize,
    /// Why they cannot be kept.
    trouble: Option<Error>,
    /// A file of the container is the recorder itself.
    laid: bool,
}

/// What is wrong with the trace of a command.
pub enum Amiss {
    /// Its file system has no room, or the file was cut off.
    PartLost,
    NotKept(Error),
}

/// Makes the recorder and the slate shared memory, for a command that clones a process.
pub fn share() -> Result<(), Error> {
    if !room::is_shared() {
        perform::share_slate().doing("set up the recorder")?;
        in_memory();
    }
    Ok(())
}

/// If there is no memory for it, each side of the clone records for itself.
fn in_memory() {
    let _ = room::lay(None, RECORDS);
}

const RECORDS: Why = Why("both sides of the clone write records here, without a system call");

impl Recording {
    /// For a new container: a file of its directory becomes the recorder.
    pub fn begin(&mut self, dir: At) -> Result<(), Error> {
        let why = Why("if the trace's file cannot get a page, memory replaces it");
        syscalls::survive_lost_pages(why).doing("set up the recorder")?;
        self.laid = traces::limit() > 0
            && self.lay(dir).unwrap_or_else(|failed| {
                self.trouble = Some(at("keep the trace", failed));
                false
            });
        if !self.laid {
            in_memory();
        }
        Ok(())
    }

    /// Whether a trace of the container will have the records.
    pub fn is_kept(&self) -> bool {
        self.laid || self.file.is_some()
    }

    /// Maps a file as the recorder. False: the file may not be so long, and gets the records when the command ends.
    fn lay(&mut self, dir: At) -> syscalls::Result<bool> {
        let flags = OpenFlags::O_RDWR | OpenFlags::O_EXCL | OpenFlags::O_NOFOLLOW | OpenFlags::O_APPEND;
        let why = Why("in this file the trace outlives the container");
        let file = syscalls::openat_create(dir, TRACE, flags, 0o600, why)?;
        let why = Why("room for the records; an empty part of the file takes none");
        let long = syscalls::ftruncate(file.at(), record::CAPACITY, why);
        if long.and_then(|()| room::lay(Some(file.at()), RECORDS)).is_ok() {
            file.leak(); // the mapping does not need it; execve closes it
            return Ok(true);
        }
        self.dir = Some(open_again(dir)?);
        self.file = Some(file);
        Ok(false)
    }

    /// For a container that is there: this command's records are appended to its trace when the command ends. Until then its
    /// directory stays open.
    pub fn join(&mut self, dir: Fd) -> At {
        let place = self.dir.insert(dir).at();
        if traces::limit() > 0 {
            match open_later(place) {
                Ok((file, long)) => (self.file, self.long) = (Some(file), Some(long)),
                Err(failed) => self.trouble = Some(at("keep the trace", failed)),
            }
        }
        place
    }

    /// Appends what was recorded since the last time. `root`: the state root's path.
    pub fn write(&mut self, root: &str) {
        let Some(file) = &self.file else { return };
        let why = Why("all traces are counted when the container's has grown by a step");
        let long = || syscalls::fstat(file.at(), why).map_or(0, |stat| stat.st_size as usize);
        let before = self.long.take().unwrap_or_else(long);
        let piece = piece(self.written);
        if before / STEP != (before + piece.len()) / STEP && !traces::make_room(root) {
            let limit = traces::limit();
            self.trouble = Some(Error::State(format!("those in {root} take {limit} bytes already")));
            self.file = None;
            return;
        }
        // One write, so that records of several commands at the same time do not mix.
        let why = Why("the records of this command belong to the container's trace");
        match write_all(file.at(), &piece, why) {
            Ok(()) => self.long = Some(before + piece.len()),
            Err(failed) => self.trouble = Some(at("keep the trace", failed)),
        }
        self.written = record::bytes().len();
        record::forget_texts();
    }

    /// The command ends. Returns what is wrong with its trace.
    pub fn end(&mut self, root: &str, failed: bool) -> Option<Amiss> {
        if let (true, Some(dir), Some(_)) = (failed, &self.dir, &self.file) {
            keep_failure(dir.at());
        }
        self.write(root);
        (self.dir, self.file) = (None, None);
        if room::was_lost() {
            return Some(Amiss::PartLost);
        }
        self.trouble.take().map(Amiss::NotKept)
    }
}

/// The directory, by a descriptor of its own.
fn open_again(dir: At) -> syscalls::Result<Fd> {
    let why = Why("if this command fails, its records are kept there apart from the others");
    syscalls::openat(dir, c".", DIRECTORY, why)
}

/// Opens the file for the records of later commands. A file of full length becomes the old one first. Returns also how long
/// it is.
fn open_later(dir: At) -> syscalls::Result<(Fd, usize)> {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_APPEND | OpenFlags::O_NOFOLLOW;
    let why = Why("the records of this command belong to the container's trace");
    let open = || syscalls::openat_create(dir, LATER, flags, 0o600, why);
    let file = open()?;
    let why = Why("a container's trace must not grow for ever");
    let stat = syscalls::fstat(file.at(), why)?;
    let long = stat.st_size as usize;
    if long < GENERATION {
        return Ok((file, long));
    }
    // Another command may have renamed it meanwhile.
    let named = syscalls::newfstatat(dir, LATER, AtFlags::AT_SYMLINK_NOFOLLOW, why)?;
    if named.st_ino == stat.st_ino {
        syscalls::renameat2(dir, LATER, dir, OLD, why)?;
    }
    Ok((open()?, 0))
}

/// Keeps all records of this command, in place of those of the last failure.
fn keep_failure(dir: At) {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC | OpenFlags::O_NOFOLLOW;
    let why = Why("the records of the last failure stay, also after many later commands");
    if let Ok(file) = syscalls::openat_create(dir, FAILED, flags, 0o600, why) {
        let _ = write_all(file.at(), &piece(0), why);
    }
}

/// The records from a place on, as a recorder of their own: with a head, with process ids in place of the numbers that stand for
/// them, and with each why where its record refers to.
fn piece(from: usize) -> Vec<u8> {
    let bytes = record::bytes();
    let from = from.max(size_of::<Head>());
    let mut piece = Vec::with_capacity(size_of::<Head>() + bytes.len().saturating_sub(from));
    piece.extend_from_slice(bytes.get(..size_of::<Head>()).unwrap_or(&[]));
    piece.extend_from_slice(bytes.get(from..).unwrap_or(&[]));
    let used = piece.len() as u32;
    put(&mut piece, offset_of!(Head, used), used);
    let moved = (from - size_of::<Head>()) as u32;
    let failed = number(&piece, offset_of!(Head, failed)).saturating_sub(moved);
    put(&mut piece, offset_of!(Head, failed), failed);
    let mut at = size_of::<Head>();
    let mut first = None;
    while at + size_of::<Entry>() <= piece.len() {
        // Where a part was lost, the next entry is found by its mark.
        let size = record::entry_size(&piece, at);
        let Some(entry) = piece.get_mut(at..).filter(|_| size.is_some()) else {
            at += 8;
            continue;
        };
        first = first.or(Some(number(entry, offset_of!(Entry, seq))));
        change(entry, offset_of!(Entry, pid), |pid| process(pid as i32) as u32);
        if moved > 0 {
            change(entry, offset_of!(Entry, why), |place| place.saturating_sub(moved));
            change(entry, offset_of!(Entry, source), |place| place.saturating_sub(moved << record::LINE_BITS));
        }
        at += size.unwrap_or(8);
    }
    if let Some(first) = first.filter(|_| moved > 0) {
        put(&mut piece, offset_of!(Head, first), first);
    }
    piece
}

/// Gives a number of an entry another value.
fn change(entry: &mut [u8], at: usize, to: impl Fn(u32) -> u32) {
    if let Some(word) = entry.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *word = to(u32::from_ne_bytes(*word)).to_ne_bytes();
    }
}

/// How many bytes of a recorder are in use, if these are the beginning of one.
pub fn used(bytes: &[u8]) -> Option<usize> {
    record::made_by(bytes).map(|_| number(bytes, offset_of!(Head, used)) as usize)
}

/// Makes records of a machine's such as the host's views show: by the host's clock, which that of the machine is `ahead` of, and
/// in lanes of the machine. What lies after the last of them goes.
pub fn of_machine(bytes: &mut Vec<u8>, ahead: i64) {
    if let Some(used) = used(bytes)
        && bytes.get(used..).is_some_and(|rest| rest.iter().all(|byte| *byte == 0))
    {
        bytes.truncate(used);
    }
    record::as_own(bytes);
    let lengths: Vec<usize> = traces::pieces(bytes).into_iter().map(<[u8]>::len).collect();
    let mut rest = bytes.as_mut_slice();
    for length in lengths {
        let Some((piece, later)) = rest.split_at_mut_checked(length) else {
            return;
        };
        let places: Vec<usize> = record::offsets(piece).map(|at| at as usize).collect();
        for at in places {
            let place = at + offset_of!(Entry, start_ns);
            if let Some(word) = piece.get_mut(place..place + 8) {
                let start = u64::from_ne_bytes(word.try_into().unwrap_or_default());
                word.copy_from_slice(&start.wrapping_sub(ahead as u64).to_ne_bytes());
            }
            if let Some(lane) = piece.get_mut(at + offset_of!(Entry, lane)) {
                *lane |= OF_MACHINE;
            }
        }
        rest = later;
    }
}

/// Keeps them in the container's directory.
pub fn keep_machines(dir: At, records: &[u8]) {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC | OpenFlags::O_NOFOLLOW;
    let why = Why("what happened in the machine belongs to the container's trace");
    if !records.is_empty()
        && let Ok(file) = syscalls::openat_create(dir, MACHINE, flags, 0o600, why)
    {
        let _ = write_all(file.at(), records, why);
    }
}

fn put(bytes: &mut [u8], at: usize, value: u32) {
    if let Some(place) = bytes.get_mut(at..at + 4) {
        place.copy_from_slice(&value.to_ne_bytes());
    }
}

/// The process id that a number in this recorder stands for.
fn process(number: i32) -> i32 {
    let head = record::head();
    match number {
        0 => head.child.load(Relaxed),
        helper @ ..0 => head.helpers.get((-1 - helper) as usize).map_or(0, |pid| pid.load(Relaxed)),
        pid => pid,
    }
}

/// What the trace says of the last execve of the container's first process.
pub enum LastExecve {
    None,
    OnItsWay,
    Failed(Failed),
    /// There is no trace, or not a whole one.
    Unknown,
}

/// Looks it up in the file of the container's creation: the first process records there until it executes its program.
pub fn last_execve(dir: At) -> LastExecve {
    let Some((file, bytes)) = read_creation(dir) else {
        return LastExecve::Unknown;
    };
    // A file of another length holds only what `create` wrote down when it ended.
    let whole = || {
        let why = Why("only a file that init records into tells all that init did");
        let long = syscalls::fstat(file.at(), why).is_ok_and(|stat| stat.st_size as usize == record::CAPACITY);
        long && record::offsets(&bytes).count() as u32 == number(&bytes, offset_of!(Head, count))
    };
    match newest_execve(&bytes) {
        Some((at, r)) if r.state == record::RETURNED && r.ret < 0 => {
            let size = number(&bytes, at) as usize;
            let mut entry = bytes[at..at + size].to_vec();
            // Its why is not part of the entry.
            put(&mut entry, offset_of!(Entry, why), u32::MAX);
            put(&mut entry, offset_of!(Entry, source), 0);
            LastExecve::Failed(Failed {
                errno: Errno(r.ret.unsigned_abs() as u16),
                call: Call::EXECVE,
                at: record::accept(&entry),
            })
        }
        Some(_) => LastExecve::OnItsWay,
        None if whole() => LastExecve::None,
        None => LastExecve::Unknown,
    }
}

/// Completes the record of an execve that succeeded: the process that made it has become another program. The recorder's head
/// says where it is.
pub fn execve_succeeded(dir: At) {
    let Some(file) = open_creation(dir) else {
        return;
    };
    let why = Why("init could not complete the record of its own execve");
    let read = |to: &mut [u8], at| syscalls::pread64(file.at(), to, at, why).is_ok_and(|len| len == to.len());
    let (mut head, mut entry) = ([0; size_of::<Head>()], [0; size_of::<Entry>()]);
    if read(&mut head, 0) && head.starts_with(&record::MAGIC.to_ne_bytes()) {
        let at = number(&head, offset_of!(Head, execve)) as usize;
        let lane = |entry: &[u8]| entry.get(offset_of!(Entry, lane)) == Some(&(Lane::Init as u8));
        if at >= head.len() && read(&mut entry, at) && lane(&entry) && is_on_its_way(&entry) {
            put(&mut entry, offset_of!(Entry, state), record::RETURNED);
            let start = offset_of!(Entry, start_ns);
            let start = entry.get(start..start + 8).and_then(|word| word.try_into().ok()).map_or(0, u64::from_ne_bytes);
            let duration = syscalls::clock_ns(libc::CLOCK_MONOTONIC).saturating_sub(start).to_ne_bytes();
            let place = offset_of!(Entry, duration_ns);
            entry[place..place + duration.len()].copy_from_slice(&duration);
            let _ = syscalls::pwrite64(file.at(), &entry, at, why);
        }
    }
    file.leak(); // the end of this process closes it
}

/// Whether an entry is that of an execve of which nothing is known yet.
fn is_on_its_way(entry: &[u8]) -> bool {
    let call = offset_of!(Entry, call);
    let call = entry.get(call..call + 2).and_then(|word| word.try_into().ok()).map(u16::from_ne_bytes);
    call == Some(Call::EXECVE.0) && number(entry, offset_of!(Entry, state)) == record::ENTERED
}

/// The file of the container's creation.
fn open_creation(dir: At) -> Option<Fd> {
    let flags = OpenFlags::O_RDWR | OpenFlags::O_NOFOLLOW;
    let why = Why("init has recorded there whether its execve succeeded");
    syscalls::openat(dir, TRACE, flags, why).ok()
}

/// The same, and its bytes in use.
fn read_creation(dir: At) -> Option<(Fd, Vec<u8>)> {
    let file = open_creation(dir)?;
    let bytes = input::read_recorder(file.at()).ok()?;
    bytes.starts_with(&record::MAGIC.to_ne_bytes()).then_some((file, bytes))
}

/// The same file, for a command that tells what init adds to it.
pub fn creation(dir: At) -> Option<Fd> {
    let why = Why("what init does from now on is told while this command waits for it");
    syscalls::openat(dir, TRACE, OpenFlags::O_NOFOLLOW, why).ok()
}

/// The newest execve of the init lane, and its place.
fn newest_execve(bytes: &[u8]) -> Option<(usize, Record<'_>)> {
    let all = record::offsets(bytes).filter_map(|at| Some((at as usize, Record::read(bytes, at)?)));
    all.filter(|(_, r)| r.lane == Lane::Init as u8 && r.call == Call::EXECVE).last()
}
