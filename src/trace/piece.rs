//! The pieces of a trace: each is the recorder of one command. Here they are read, and their records are put into one order.
//! May touch: the recorder.

use crate::outcome::{Lane, OF_MACHINE};
use crate::plan::Mark;
use crate::sorted;
use alloc::collections::BTreeMap;
use syscalls::Call;
use syscalls::record::{self, Record};

/// The recorder of one command, and what all its records share.
pub struct Piece<'a> {
    bytes: &'a [u8],
    /// The process id of the container's first process, and those of helpers.
    child: i32,
    helpers: [i32; record::HELPERS],
    /// The sequence number of its first call, and the one after its last.
    calls: core::ops::Range<u32>,
    /// Of each line of the plan: the JSON pointer of what asked for it, and what else decided about it.
    asked: BTreeMap<u16, (&'a str, u8)>,
    failed: u32,
    /// Calls of the watcher that has recorded it; its own have no records.
    pub own: u32,
}

impl<'a> Piece<'a> {
    pub fn new(bytes: &'a [u8]) -> Piece<'a> {
        use core::mem::offset_of;
        let at = |i: usize| offset_of!(record::Head, helpers) + 4 * i;
        let count = u32_at(bytes, offset_of!(record::Head, count));
        Piece {
            bytes,
            child: u32_at(bytes, offset_of!(record::Head, child)) as i32,
            helpers: core::array::from_fn(|i| u32_at(bytes, at(i)) as i32),
            calls: u32_at(bytes, offset_of!(record::Head, first)).min(count)..count,
            asked: asked(bytes),
            failed: u32_at(bytes, offset_of!(record::Head, failed)),
            own: u32_at(bytes, offset_of!(record::Head, own)),
        }
    }

    /// The JSON pointer of what asked for a record, or for its line of the plan. Empty: nothing of the configuration did.
    pub fn pointer(&self, r: &Record<'a>) -> &'a str {
        let asked = self.asked.get(&r.line).copied().or_else(|| r.asked()).or_else(|| r.noted());
        asked.map_or("", |(pointer, _)| pointer)
    }

    /// What beside the configuration has decided about that line: the state of the host, or an option.
    pub fn decided(&self, r: &Record) -> Mark {
        self.asked.get(&r.line).map_or(Mark::None, |(_, mark)| Mark::of(*mark))
    }

    /// The place of the record that ended the command with an error, if there is one.
    pub fn ended_by(&self) -> Option<u32> {
        (self.failed > 0).then_some(self.failed)
    }

    /// Its records, in the order of their calls.
    pub fn records(&self) -> Vec<Record<'a>> {
        let mut all: Vec<Record> = records(self.bytes).collect();
        sorted::by(&mut all, |a, b| (a.seq, a.at) < (b.seq, b.at));
        if let Some(ahead) = all.iter().find_map(clock_ahead) {
            let inside = |r: &&mut Record| [Lane::Init as u8, Lane::InnerHook as u8].contains(&(r.lane & !OF_MACHINE));
            all.iter_mut().filter(inside).for_each(|r| r.start_ns = r.start_ns.wrapping_sub(ahead));
        }
        all
    }

    /// The path of the configuration that the command has read, if it read one by an absolute path; and when it opened the file.
    pub fn config_file(&self) -> Option<(&'a str, u64)> {
        let opens = |r: &Record| r.source().file == "commands/bundle.rs" && r.call.name() == "openat" && r.ret >= 0;
        let opened = records(self.bytes).find(opens)?;
        let path = opened.blob(1).filter(|path| !path.cut)?;
        let path = core::str::from_utf8(path.bytes).ok().filter(|path| path.starts_with('/'))?;
        Some((path, opened.start_ns))
    }

    /// What the command has found out and no call says.
    pub fn remarks(&self) -> impl Iterator<Item = &'a str> {
        self.told().map(|(cause, _)| cause)
    }

    /// The cure that the command has told its caller. Empty: none is known.
    pub fn cure(&self) -> &'a str {
        self.told().map(|(_, cure)| cure).find(|cure| !cure.is_empty()).unwrap_or("")
    }

    /// The first line of each remark, and the second.
    fn told(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let remarks = all(self.bytes).filter(|r| r.call == record::REMARK);
        remarks.map(|r| r.why().split_once('\n').unwrap_or((r.why(), "")))
    }

    /// A number that no other record of the trace has. `base`: the calls in the pieces before this one.
    pub fn number(&self, r: &Record, base: u32) -> u32 {
        r.seq.saturating_sub(self.calls.start).saturating_add(base)
    }

    pub fn pid(&self, r: &Record) -> i32 {
        match r.pid {
            0 => self.child,
            helper @ ..0 => self.helpers.get((-1 - helper) as usize).copied().unwrap_or(0),
            pid => pid,
        }
    }
}

/// If this call sets the offset of a time namespace: by how many nanoseconds the clock inside is ahead of the host's
/// (time_namespaces(7)). By that clock the container's lanes are recorded.
fn clock_ahead(r: &Record) -> Option<u64> {
    if r.call.name() != "write" || ![Lane::Host as u8, Lane::Bridge as u8].contains(&(r.lane & !OF_MACHINE)) {
        return None;
    }
    let written = core::str::from_utf8(r.blob(1)?.bytes).ok()?;
    let mut words = written.lines().find_map(|line| line.strip_prefix("monotonic "))?.split(' ');
    let mut number = || words.next()?.trim().parse::<i64>().ok();
    let (seconds, nanoseconds) = (number()?, number()?);
    Some(seconds.wrapping_mul(1_000_000_000).wrapping_add(nanoseconds) as u64)
}

/// The records in the order of their places.
fn records(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    all(bytes).filter(|r| ![Call::CAUSE, record::REMARK].contains(&r.call))
}

fn all(bytes: &[u8]) -> impl Iterator<Item = Record<'_>> {
    record::offsets(bytes).filter_map(|at| Record::read(bytes, at))
}

/// What asked for the lines of a plan: the first record of each line says it.
fn asked(bytes: &[u8]) -> BTreeMap<u16, (&str, u8)> {
    let mut asked = BTreeMap::new();
    asked.extend(records(bytes).filter_map(|r| Some((r.line, r.asked()?))).filter(|(line, _)| *line > 0));
    asked
}

/// The pieces of a trace and the records of each, with the number that `trace --format json` shows as `seq`.
pub fn numbered<'a>(pieces: &'a [Vec<u8>]) -> Vec<(Piece<'a>, Vec<Record<'a>>)> {
    let mut base = 0;
    let numbered = |bytes: &'a Vec<u8>| {
        let piece = Piece::new(bytes);
        let mut records = piece.records();
        records.retain(|r| r.call != Call::EVENT);
        records.iter_mut().for_each(|r| r.seq = piece.number(r, base));
        base += piece.calls.end - piece.calls.start;
        (piece, records)
    };
    pieces.iter().map(numbered).collect()
}

/// What stands next in a trace.
pub enum Next<'a> {
    Record(&'a Piece<'a>, Record<'a>),
    /// So many calls have no record here: the recorder was full, or they repeat the calls before them.
    Missing(u32),
}

/// Passes the records of all pieces to `show`, in the order of their calls, each with its number in the trace.
pub fn each<'a>(pieces: &'a [Piece<'a>], mut show: impl FnMut(Next<'a>)) {
    let mut base = 0;
    let mut open: Vec<Cursor> = Vec::new();
    for piece in pieces {
        open.push(Cursor { piece, records: piece.records(), at: 0, next: piece.calls.start, base });
        base += piece.calls.end - piece.calls.start;
    }
    while let Some(cursor) = first(&mut open) {
        let mut r = cursor.records[cursor.at];
        show(Next::Missing(r.seq.saturating_sub(cursor.next)));
        cursor.next = r.seq.saturating_add(1);
        r.seq = cursor.piece.number(&r, cursor.base);
        show(Next::Record(cursor.piece, r));
        cursor.at += 1;
        if cursor.at == cursor.records.len() {
            show(Next::Missing(cursor.piece.calls.end.saturating_sub(cursor.next)));
        }
    }
}

/// The place in a piece up to which it is shown.
struct Cursor<'a> {
    piece: &'a Piece<'a>,
    records: Vec<Record<'a>>,
    at: usize,
    /// The sequence number of the next record, if no call is missing.
    next: u32,
    /// How many calls the pieces before it have.
    base: u32,
}

/// The piece with the oldest of the next records.
fn first<'a, 'b>(open: &'a mut [Cursor<'b>]) -> Option<&'a mut Cursor<'b>> {
    let more = open.iter_mut().filter(|cursor| cursor.at < cursor.records.len());
    more.min_by_key(|cursor| cursor.records[cursor.at].start_ns)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}
