//! The flight recorder. The gate writes every system call down here, before it is made and again when it returns. The
//! recorder is memory, so a record costs no system call: first a static buffer, later memory that is mapped MAP_SHARED
//! before clone3, so that both sides of the clone write to one recorder. As a rule a file lies under that memory (see
//! `room`). A record never moves once it is written.
//!
//! ```text
//!   Head | Entry args blobs | Entry args blobs | ...   each 8-byte aligned, `size` bytes as a whole
//!   args = `argc` times u64
//!   blob = which argument (u8), flags (u8), length (u16), bytes
//! ```
//! A why is written once, as a blob of the first record that has it; later records say where it is. So is the name of the
//! source file that made the call. What asked for a line of the plan stands in the first record of that line.
//!
//! Not every call gets a record. One op may make thousands (it copies a tree), and they would push out all others:
//! after [`STRETCH`] calls in a row that belong to the same line, only the calls that fail are recorded. Every call takes a
//! sequence number, so a gap in the numbers tells a reader where calls are missing, and how many.

mod added;
mod apart;
mod blobs;
mod carried;
mod moves;
mod others;
mod remark;

pub(crate) use added::{add, change};
pub(crate) use apart::begin_at as begin_apart;
pub use apart::{WATCHED, count_up, explain, note};
pub(crate) use blobs::{Later, Writer, asked_len};
pub(crate) use carried::{PLACE as CARRIED, begin as carried_begin};
pub use carried::{accept, carry, find, shared};
pub(crate) use moves::move_to;
pub use moves::{adopt, set_own_pid};
pub use others::{as_own, made_by};
pub use remark::{REMARK, remark};

use crate::arg::Arg;
use crate::call::Call;
use crate::hot::{HOT, Place};
use core::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering::*};

/// Bytes of the memory, and of the file under it, that hold a container's recorder. The file is sparse: what is never
/// written costs nothing.
pub const CAPACITY: usize = 4 << 20;
/// Bytes at the end of a recorder that are kept for calls that fail, and for those by which a process begins and ends.
const LAST: usize = 64 << 10;
/// How many calls in a row of one line of the plan are recorded; after them, only as many again that fail.
const STRETCH: u32 = 1024;
/// Bytes that can be recorded before there is such a file.
pub(crate) const EARLY: usize = 256 << 10;
/// Tells a recorder file of this layout from any other: its last two bytes are the version. The byte before them names an
/// architecture: the records have the numbers of its calls.
pub const MAGIC: u64 = 0x6e6b_7472_6100_0204 | (crate::arch::COLUMN as u64) << 16;

/// The start of a recorder.
#[repr(C)]
pub struct Head {
    pub magic: AtomicU64,
    /// Bytes in use, this head included.
    pub used: AtomicU32,
    /// Calls so far, also those without a record: the next sequence number.
    pub count: AtomicU32,
    /// The sequence number of the first call, where a command writes its records down in pieces.
    pub first: AtomicU32,
    /// Calls without a record, for want of room.
    pub dropped: AtomicU32,
    /// Calls without a record, since so many before them belong to the same line.
    pub repeated: AtomicU32,
    /// The process id of the clone's other side, as the cloner sees it: it cannot know itself.
    pub child: AtomicI32,
    /// How many helpers were cloned so far.
    pub helper_count: AtomicU32,
    /// Their process ids, as their cloners see them; later ones are not kept.
    pub helpers: [AtomicI32; HELPERS],
    /// Calls of a process that records those of others. Its own have no records.
    pub own: AtomicU32,
    /// Where the record of the newest execve is.
    pub execve: AtomicU32,
    /// Where the record is of the call that ended the command with an error; 0: there is none.
    pub failed: AtomicU32,
}

/// Helpers whose process id is kept: bridges, hooks and the like.
pub const HELPERS: usize = 32;

/// One system call: this, then its arguments, then its blobs.
#[repr(C)]
pub struct Entry {
    pub size: AtomicU32,
    pub state: AtomicU32,
    pub seq: u32,
    pub pid: i32,
    /// The kernel's number.
    pub call: Call,
    pub line: u16,
    pub lane: u8,
    pub argc: u8,
    pub step: u8,
    /// The stage of the line, counted from 1; 0: the record belongs to no line.
    pub stage: u8,
    /// How each argument is shown.
    pub kinds: [u8; 6],
    /// [`MARK`]: where a piece of the file was lost, a reader finds the next entry by it.
    pub mark: u16,
    /// Where the why's blob is in the recorder.
    pub why: u32,
    /// Which line of our source made the call ([`source`]), and where the blob with its file's name is.
    pub source: u32,
    pub ret: i64,
    pub start_ns: u64,
    pub duration_ns: u64,
}

/// A trace has hundreds of them.
const _: () = assert!(size_of::<Entry>() == 64);

/// These fields are one word: [`Place`].
const _: () = assert!({
    use core::mem::offset_of;
    let (call, line, lane) = (offset_of!(Entry, call), offset_of!(Entry, line), offset_of!(Entry, lane));
    let (argc, step, stage) = (offset_of!(Entry, argc), offset_of!(Entry, step), offset_of!(Entry, stage));
    line == call + 2 && lane == call + 4 && argc == call + 5 && step == call + 6 && stage == call + 7
});

/// `Entry::state`: room taken, not yet written; the call is in the kernel; it returned.
pub const RESERVED: u32 = 0;
pub const ENTERED: u32 = 1;
pub const RETURNED: u32 = 2;

/// Blob tags beyond the argument's own number.
pub const OUT: u8 = 0x10;
pub const WHY: u8 = 0x20;
pub(crate) const FILE: u8 = 0x21;
pub const ASKED: u8 = 0x22;
/// Of another process's call: its name, where the table of names lacks it; its result, where a number does not tell all.
pub(crate) const NAME: u8 = 0x23;
pub(crate) const RESULT: u8 = 0x24;

/// No why is longer. In a damaged file many small entries could name the same long text.
const REASON: usize = 1024;

/// A call without a record has this place.
pub const NOWHERE: u32 = u32::MAX;

/// `Entry::mark`.
pub const MARK: u16 = 0x6e6b;

/// The bits of [`Entry::source`] that hold the line; those above hold the place of the file's name.
pub const LINE_BITS: u32 = 10;
const _: () = assert!(CAPACITY <= 1 << (32 - LINE_BITS));

#[repr(C, align(4096))]
struct Early([u8; EARLY]);
static mut EARLY_BUFFER: Early = Early([0; EARLY]);

/// The start of the recorder in use. It lives as long as the process.
#[inline(always)]
fn base() -> *mut u8 {
    match HOT.base.load(Relaxed) {
        0 => &raw mut EARLY_BUFFER as *mut u8,
        at => at as *mut u8,
    }
}

/// The head of the recorder in use.
#[inline(always)]
pub fn head() -> &'static Head {
    // SAFETY: base() is page-aligned memory of at least EARLY bytes that is never unmapped, and Head is all atomics.
    let head = unsafe { &*(base() as *const Head) };
    // To read the untouched page would be a page fault more.
    if HOT.limit.load(Relaxed) == 0 {
        HOT.limit.store(EARLY, Relaxed);
        begin_head(head);
    }
    head
}

#[cold]
fn begin_head(head: &Head) {
    head.used.store(size_of::<Head>() as u32, Relaxed);
    head.magic.store(MAGIC, Relaxed);
}

/// Writes the head again, after its page was lost. `used`: where the newest record of this process ended.
pub(crate) fn found_again(used: u32) {
    let head = head();
    if head.magic.load(Relaxed) == 0 {
        begin_head(head);
    }
    head.used.fetch_max(used, Relaxed);
}

/// Says what the records from now on belong to: the lane, the line of the plan (0 = none) and the step.
pub fn at(lane: u8, line: u16, step: u16) {
    belong(Place::of(lane, line, step, 0));
}

fn belong(place: Place) {
    HOT.stretch.store(0, Relaxed);
    place.set();
    HOT.asked.store(NOTHING, Relaxed);
}

/// Does something outside of any line of the plan, as a step of its own. Later records belong where those before it did.
pub fn aside<T>(lane: u8, step: u16, work: impl FnOnce() -> T) -> T {
    let before = Place::now();
    at(lane, 0, step);
    let done = work();
    HOT.stretch.store(0, Relaxed);
    before.set();
    done
}

/// The same for a line of the plan. `stage`: its stage, counted from 0. `pointer`: the JSON pointer of what asked for it, and
/// `mark`: what else decided about it. The next record keeps both.
pub fn at_line(lane: u8, line: u16, (step, stage): (u16, u8), (pointer, mark): (&str, u8)) {
    belong(Place::of(lane, line, step, stage + 1));
    asked_by(pointer, mark);
}

/// Says what asked for the next records. Those that belong to no line each keep it.
pub fn asked_by(pointer: &str, mark: u8) {
    HOT.asked.store(NOTHING, Relaxed);
    if pointer.is_empty() && mark == 0 {
        return;
    }
    let cut;
    let pointer = match pointer.len() {
        0..=POINTER => pointer.as_bytes(),
        _ => {
            cut = shortened(pointer);
            &cut
        }
    };
    // SAFETY: the words are one piece of memory of POINTER bytes, which may change, and which this thread alone uses.
    unsafe {
        core::ptr::copy_nonoverlapping(pointer.as_ptr(), &raw const HOT.pointer as *mut u8, pointer.len());
    }
    HOT.asked.store(pointer.len() as u32 | u32::from(mark) << 16, Relaxed);
}

/// The beginning of a long pointer, and `...`.
#[cold]
fn shortened(pointer: &str) -> [u8; POINTER] {
    let mut short = [b'.'; POINTER];
    let mut len = POINTER - 3;
    while !pointer.is_char_boundary(len) {
        len -= 1;
    }
    short[..len].copy_from_slice(&pointer.as_bytes()[..len]);
    short
}

/// [`Hot::asked`](crate::hot::Hot) where no line is new.
pub(crate) const NOTHING: u32 = 0;

/// Bytes of a JSON pointer that are kept.
pub(crate) const POINTER: usize = 8 * crate::hot::POINTER_WORDS;

/// The step of the next records. They belong to the same line as those before.
pub fn in_step(step: u16) {
    let now = Place::now();
    Place::of(now.lane(), now.line(), step, now.stage()).set();
}

/// The same for their lane.
pub(crate) fn in_lane(lane: u8) {
    let now = Place::now();
    Place::of(lane, now.line(), now.step().into(), now.stage()).set();
}

/// Says which call ended the command with an error: the one that a [`crate::Failed`] names. A record that another process has
/// carried here is looked up: both may share the recorder.
pub fn ended_by(at: u32) {
    let place = match at {
        NOWHERE => None,
        carried::PLACE => carried::origin(),
        at => Some(at),
    };
    head().failed.store(place.unwrap_or(0), Relaxed);
}

/// Says which process this is; 0 stands for the child that [`Head::child`] names.
pub fn set_pid(pid: i32) {
    HOT.pid.store(pid, Relaxed);
}

/// Which process this is, as [`set_pid`] or [`set_own_pid`] said last.
pub fn own_pid() -> i32 {
    HOT.pid.load(Relaxed)
}

/// Where the record of this process's newest call is: for a request that is refused by an answer, not by its result.
pub fn last() -> u32 {
    match HOT.last.load(Relaxed) {
        0 => NOWHERE,
        at => at,
    }
}

/// What the records of the next helper have in place of its process id: -1, -2, ...
pub(crate) fn next_helper() -> i32 {
    -1 - head().helper_count.fetch_add(1, Relaxed) as i32
}

pub(crate) fn set_helper(helper: i32, pid: i32) {
    if let Some(place) = head().helpers.get((-1 - helper) as usize) {
        place.store(pid, Release);
    }
}

/// Says which process the container's first one is. The process that clones it calls this, or the process that asked for
/// the clone.
pub fn set_cloned(pid: i32) {
    head().child.store(pid, Release);
}

/// Calls by which a process begins, becomes another program or ends: without them no trace can be read.
fn is_milestone(call: Call) -> bool {
    use linux_raw_sys::general as nr;
    matches!(call.0.into(), nr::__NR_clone3 | nr::__NR_execve | nr::__NR_execveat | nr::__NR_exit_group)
}

/// A call that got no record: its sequence number, and whether the recorder is full.
#[derive(Clone, Copy)]
pub(crate) struct Missed {
    pub seq: u32,
    pub full: bool,
}

impl Missed {
    /// Counts the call, once it is certain to get no record.
    pub(crate) fn count(self) {
        let head = head();
        let counter = if self.full { &head.dropped } else { &head.repeated };
        counter.fetch_add(1, Relaxed);
    }
}

/// Takes room for an entry with blobs of `len` bytes, and writes its facts. `failed`: the call was made without a record,
/// and failed.
#[inline(always)]
pub(crate) fn reserve(
    call: Call,
    args: &[Arg],
    len: usize,
    failed: Option<Missed>,
) -> core::result::Result<u32, Missed> {
    let head = head();
    let len = (size_of::<Entry>() + 8 * args.len() + len + 7) & !7;
    let seq = failed.map_or_else(|| head.count.fetch_add(1, Relaxed), |missed| missed.seq);
    let stretch = HOT.stretch.load(Relaxed);
    HOT.stretch.store(stretch.saturating_add(1), Relaxed);
    if stretch >= STRETCH && !is_milestone(call) && (failed.is_none() || stretch >= 2 * STRETCH) {
        return Err(Missed { seq, full: false });
    }
    let limit = HOT.limit.load(Relaxed);
    let at = head.used.fetch_add(len as u32, Relaxed);
    let end = at as usize + len;
    if end > limit - LAST && (end > limit || failed.is_none() && !is_milestone(call)) {
        head.used.fetch_sub(len as u32, Relaxed);
        return Err(Missed { seq, full: true });
    }
    HOT.used_once.store(at + len as u32, Relaxed);
    // SAFETY: [at, at+len) lies inside the recorder and fetch_add gave it to this caller alone; it is 8-byte aligned.
    unsafe { write_entry(base().add(at as usize) as *mut Entry, call, args, (len, seq)) };
    Ok(at)
}

/// Writes an entry's facts and its arguments.
///
/// # Safety
/// `entry` has `len` bytes, as many as the entry and its arguments take at the least, and is 8-byte aligned.
#[inline(always)]
unsafe fn write_entry(entry: *mut Entry, call: Call, args: &[Arg], (len, seq): (usize, u32)) {
    // SAFETY: as the caller vouches.
    unsafe {
        (*entry).size = AtomicU32::new(len as u32);
        (*entry).seq = seq;
        (*entry).pid = HOT.pid.load(Relaxed);
        (&raw mut (*entry).call as *mut [u8; 8]).write(Place::now().of_call(call.0, args.len()));
        (*entry).why = 0;
        (*entry).source = 0;
        (*entry).mark = MARK;
        (*entry).kinds = [0; 6];
        let (to, kinds) = (entry.add(1) as *mut u64, &raw mut (*entry).kinds as *mut u8);
        let mut i = 0;
        while i < args.len() {
            let arg = args.get_unchecked(i);
            *to.add(i) = arg.value as u64;
            *kinds.add(i) = arg.kind;
            i += 1;
        }
        (*entry).ret = 0;
        (*entry).duration_ns = 0;
    }
}

/// The entry at a place that [`reserve`] gave, or at [`carried::PLACE`].
#[inline(always)]
pub(crate) fn entry(at: u32) -> *mut Entry {
    match at {
        carried::PLACE => carried::memory() as *mut Entry,
        // SAFETY: the offset came from reserve, so it lies inside the recorder.
        at => unsafe { base().add(at as usize) as *mut Entry },
    }
}

/// Where the blob of this text is, if it was written already. `texts`: the table of whys, or that of the names of source files.
#[inline(always)]
pub(crate) fn known<const N: usize>(texts: &[(AtomicUsize, AtomicU32); N], text: &'static str) -> Option<u32> {
    let (address, place) = &texts[text.as_ptr() as usize / 8 % N];
    (address.load(Relaxed) == text.as_ptr() as usize).then(|| place.load(Relaxed))
}

/// Remembers where it was written.
pub(crate) fn remember<const N: usize>(texts: &[(AtomicUsize, AtomicU32); N], text: &'static str, at: u32) {
    let (address, place) = &texts[text.as_ptr() as usize / 8 % N];
    address.store(text.as_ptr() as usize, Relaxed);
    place.store(at, Relaxed);
}

/// A source of [`Entry::source`].
#[inline(always)]
pub(crate) fn source(file: u32, line: u32) -> u32 {
    match file {
        0 => 0,
        file => file << LINE_BITS | line.min((1 << LINE_BITS) - 1),
    }
}

/// Forgets where whys and the names of files were written: those of the records to come are written again.
pub fn forget_texts() {
    for (known, _) in HOT.whys.iter().chain(&HOT.files) {
        known.store(0, Relaxed);
    }
}

/// The bytes of the recorder in use, for the views. Another process that finds no room, or a damaged file, can say that
/// more is in use than there is.
pub fn bytes() -> &'static [u8] {
    let used = (head().used.load(Acquire) as usize).min(HOT.limit.load(Relaxed));
    // SAFETY: the recorder has `limit` bytes, and they are never unmapped.
    unsafe { core::slice::from_raw_parts(base(), used) }
}

/// Where the record of the newest execve is, if it has one.
pub fn newest_execve() -> u32 {
    match head().execve.load(Acquire) {
        0 => NOWHERE,
        at => at,
    }
}

/// Completes the record of another lane's newest execve, if it has not returned. A successful execve never returns: the
/// process that sees the close-on-exec channel closed says that it succeeded, at `now_ns`. True: there was one.
pub fn complete_execve(lane: u8, now_ns: u64) -> bool {
    let on_its_way = |at: &u32| {
        let entry = entry(*at);
        // SAFETY: it is the place of a whole entry in the recorder: offsets() gave it, or the process that made the record.
        unsafe { (*entry).lane == lane && (*entry).call == Call::EXECVE && (*entry).state.load(Acquire) == ENTERED }
    };
    // As a rule it is the newest execve of all. If that is another lane's, all records are searched.
    let newest = head().execve.load(Acquire);
    let inside = |at: &u32| {
        let place = size_of::<Head>()..bytes().len().saturating_sub(size_of::<Entry>());
        at.is_multiple_of(8) && place.contains(&(*at as usize))
    };
    let found = Some(newest).filter(inside).filter(on_its_way);
    let found = found.or_else(|| offsets(bytes()).filter(on_its_way).last());
    let Some(entry) = found.map(entry) else {
        return false;
    };
    // SAFETY: as above; its writer is gone, it became another program.
    unsafe {
        (*entry).duration_ns = now_ns.saturating_sub((*entry).start_ns);
        (*entry).state.store(RETURNED, Release);
    }
    true
}

/// The places of the entries in a recorder's bytes, in the order in which they were begun. A piece that was lost reads as
/// zeros: the walk goes on at the next entry after it. Any bytes are safe to walk.
pub fn offsets(bytes: &[u8]) -> impl Iterator<Item = u32> + '_ {
    let mut at = size_of::<Head>();
    core::iter::from_fn(move || {
        let mut size = entry_size(bytes, at);
        while size.is_none() {
            at += 8;
            if at + size_of::<Entry>() > bytes.len() {
                return None;
            }
            size = entry_size(bytes, at);
        }
        let here = at as u32;
        at += size?;
        Some(here)
    })
}

/// The size of the entry at this place, if one is there.
pub fn entry_size(bytes: &[u8], at: usize) -> Option<usize> {
    let u32_at = |i: usize| Some(u32::from_ne_bytes(bytes.get(i..i + 4)?.try_into().ok()?));
    let size = u32_at(at)? as usize;
    let whole = size >= size_of::<Entry>() && size.is_multiple_of(8) && at + size <= bytes.len();
    use core::mem::offset_of;
    let mark = bytes.get(at + offset_of!(Entry, mark)..)?.first_chunk().copied().map(u16::from_ne_bytes)?;
    let state = u32_at(at + offset_of!(Entry, state))?;
    let argc = *bytes.get(at + offset_of!(Entry, argc))?;
    (whole && mark == MARK && state <= RETURNED && argc <= 6).then_some(size)
}

/// A record, read out of a recorder's bytes.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    /// Its place in the recorder.
    pub at: u32,
    pub call: Call,
    pub state: u32,
    pub seq: u32,
    pub pid: i32,
    pub line: u16,
    pub lane: u8,
    pub step: u16,
    /// The stage of its line, counted from 1; 0: it belongs to no line.
    pub stage: u8,
    /// How many arguments it has.
    pub argc: usize,
    pub args: [u64; 6],
    pub(crate) kinds: [u8; 6],
    pub ret: i64,
    pub start_ns: u64,
    pub duration_ns: u64,
    blobs: &'a [u8],
    why: &'a [u8],
    file: &'a [u8],
    source_line: u32,
}

/// The place in our source that made a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Source<'a> {
    /// From the folder `src` on, or from `syscalls`. Empty: it is not known.
    pub file: &'a str,
    pub line: u32,
}

impl Source<'_> {
    /// The folder of the repository that the file's name begins in.
    pub fn folder(self) -> &'static str {
        if self.file.starts_with("syscalls/") { "" } else { "src/" }
    }
}

/// `perform/walk.rs:17`.
impl core::fmt::Display for Source<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        match self.file {
            "" => Ok(()),
            file => write!(f, "{file}:{}", self.line),
        }
    }
}

/// Bytes that were copied for an argument.
#[derive(Clone, Copy)]
pub struct Blob<'a> {
    pub bytes: &'a [u8],
    /// There was more than is kept.
    pub cut: bool,
}

impl<'a> Record<'a> {
    /// Reads the record at `at`, a place that [`offsets`] gave for these bytes.
    pub fn read(bytes: &'a [u8], at: u32) -> Option<Record<'a>> {
        let entry = bytes.get(at as usize..)?;
        let u32_at = |i: usize| Some(u32::from_ne_bytes(entry.get(i..i + 4)?.try_into().ok()?));
        let u64_at = |i: usize| Some(u64::from_ne_bytes(entry.get(i..i + 8)?.try_into().ok()?));
        let u16_at = |i: usize| Some(u16::from_ne_bytes(entry.get(i..i + 2)?.try_into().ok()?));
        use core::mem::offset_of;
        let size = u32_at(0)? as usize;
        let argc = usize::from(*entry.get(offset_of!(Entry, argc))?).min(6);
        let source = u32_at(offset_of!(Entry, source))?;
        let kinds = offset_of!(Entry, kinds);
        let mut args = [0; 6];
        for (i, arg) in args.iter_mut().take(argc).enumerate() {
            *arg = u64_at(size_of::<Entry>() + 8 * i)?;
        }
        Some(Record {
            at,
            call: Call(u16_at(offset_of!(Entry, call))?),
            state: u32_at(offset_of!(Entry, state))?,
            seq: u32_at(offset_of!(Entry, seq))?,
            pid: u32_at(offset_of!(Entry, pid))? as i32,
            line: u16_at(offset_of!(Entry, line))?,
            lane: *entry.get(offset_of!(Entry, lane))?,
            step: u16::from(*entry.get(offset_of!(Entry, step))?),
            stage: *entry.get(offset_of!(Entry, stage))?,
            argc,
            args,
            kinds: entry.get(kinds..kinds + 6)?.try_into().ok()?,
            ret: u64_at(offset_of!(Entry, ret))? as i64,
            start_ns: u64_at(offset_of!(Entry, start_ns))?,
            duration_ns: u64_at(offset_of!(Entry, duration_ns))?,
            blobs: entry.get(size_of::<Entry>() + 8 * argc..size)?,
            why: bytes.get(u32_at(offset_of!(Entry, why))? as usize..).unwrap_or(&[]),
            file: bytes.get((source >> LINE_BITS) as usize..).unwrap_or(&[]),
            source_line: source & ((1 << LINE_BITS) - 1),
        })
    }

    /// The bytes kept under a tag: an argument's number, with [`OUT`] for what the kernel wrote, or [`WHY`].
    pub fn blob(&self, tag: u8) -> Option<Blob<'a>> {
        Self::find(self.blobs, tag)
    }

    fn find(blobs: &'a [u8], tag: u8) -> Option<Blob<'a>> {
        let mut rest = blobs;
        while let [t, cut, a, b, tail @ ..] = rest {
            let len = u16::from_ne_bytes([*a, *b]) as usize;
            if *t == tag && (len > 0 || *cut & 2 != 0) {
                return Some(Blob { bytes: tail.get(..len)?, cut: *cut & 1 != 0 });
            }
            rest = tail.get(room(*cut, len)..)?;
        }
        None
    }

    /// The call's name.
    pub fn name(&self) -> &'a str {
        match self.blob(NAME).and_then(|blob| core::str::from_utf8(blob.bytes).ok()) {
            Some(name) if name.bytes().all(|byte| byte.is_ascii_graphic()) => name,
            _ => self.call.name(),
        }
    }

    /// Why the call was made.
    pub fn why(&self) -> &'a str {
        text_of(WHY, self.why)
    }

    /// Which line of our source made the call.
    pub fn source(&self) -> Source<'a> {
        Source { file: text_of(FILE, self.file), line: self.source_line }
    }

    /// The JSON pointer of what asked for the call, and a number for what else decided about it (0: nothing). The first record
    /// of a line has it for the whole line; of records that belong to no line, each has its own.
    pub fn asked(&self) -> Option<(&'a str, u8)> {
        Self::pointer(self.blob(ASKED)?)
    }

    /// The same of a record of another process's call: it stands after the text that says why the call was refused.
    pub fn noted(&self) -> Option<(&'a str, u8)> {
        if self.why().is_empty() || self.source_line != 0 {
            return None;
        }
        let [_, _, a, b, rest @ ..] = self.why else { return None };
        let next = rest.get(usize::from(u16::from_ne_bytes([*a, *b]))..)?;
        Self::pointer(Self::find(next.get(..next.len().min(5 + POINTER))?, ASKED)?)
    }

    fn pointer(blob: Blob<'a>) -> Option<(&'a str, u8)> {
        let (mark, pointer) = blob.bytes.split_first()?;
        let pointer = core::str::from_utf8(pointer).ok().filter(|pointer| pointer.len() <= POINTER)?;
        Some((pointer, *mark))
    }
}

/// The blobs in the bytes of an entry: where the last one ends. What follows is zeros.
pub(crate) fn blobs_end(entry: &[u8]) -> Option<usize> {
    let mut at = blobs_start(entry)?;
    while let Some([tag, flags, a, b]) = entry.get(at..at + 4) {
        if (*tag, *flags) == (0, 0) {
            break;
        }
        at += 4 + room(*flags, usize::from(u16::from_ne_bytes([*a, *b])));
    }
    (at <= entry.len()).then_some(at)
}

/// The bytes under a tag in an entry.
pub(crate) fn blob_of(entry: &[u8], tag: u8) -> Option<&[u8]> {
    Some(Record::find(entry.get(blobs_start(entry)?..)?, tag)?.bytes)
}

fn blobs_start(entry: &[u8]) -> Option<usize> {
    let argc = *entry.get(core::mem::offset_of!(Entry, argc))?;
    Some(size_of::<Entry>() + 8 * usize::from(argc).min(6))
}

/// A text that is kept once, where one record was; empty if it is lost.
fn text_of(tag: u8, blob: &[u8]) -> &str {
    let [found, _, a, b, text @ ..] = blob else {
        return "";
    };
    let len = u16::from_ne_bytes([*a, *b]) as usize;
    let text = text.get(..len).filter(|_| *found == tag && len <= REASON).unwrap_or(&[]);
    // Where a piece of the file was lost, zeros can be a part of it.
    let text = core::str::from_utf8(text).unwrap_or("");
    if text.contains('\0') { "" } else { text }
}

/// Bytes of payload after a blob's first four. For what the kernel writes, the room is fixed before the length is known: in
/// units of 8, in the upper bits of the flag byte.
fn room(flags: u8, len: usize) -> usize {
    match (flags >> 2) as usize * 8 {
        0 => len,
        room => room,
    }
}
