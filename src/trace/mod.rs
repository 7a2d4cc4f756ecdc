//! Three views of the same records: for people, as strace writes them, and as JSON with one object a line. May touch: the
//! recorder.

use crate::cli::Format;
use crate::plan::Step;
use crate::plan::show::lane_name;
use core::fmt::Write;
use syscalls::Errno;
use syscalls::record::{self, Record};

/// The recorder of one command, and what all its records share.
pub struct Piece<'a> {
    bytes: &'a [u8],
    /// The process id of the container's first process, and those of helpers.
    child: i32,
    helpers: [i32; record::HELPERS],
    /// The sequence number of its first call, and the one after its last.
    calls: core::ops::Range<u32>,
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
        }
    }

    /// Its records, in the order of their calls.
    pub fn records(&self) -> Vec<(u32, Record<'a>)> {
        let places = record::offsets(self.bytes);
        let mut all: Vec<_> = places.filter_map(|at| Some((at, Record::read(self.bytes, at)?))).collect();
        all.sort_by_key(|(_, record)| record.seq);
        all
    }

    /// A number that no other record of the trace has. `base`: the calls in the pieces before this one.
    fn number(&self, r: &Record, base: u32) -> u32 {
        r.seq.saturating_sub(self.calls.start).saturating_add(base)
    }

    fn pid(&self, r: &Record) -> i32 {
        match r.pid {
            0 => self.child,
            helper @ ..0 => self.helpers.get((-1 - helper) as usize).copied().unwrap_or(0),
            pid => pid,
        }
    }
}

/// All records of a trace in the order of their calls, and how many calls between them have no record.
pub fn render(pieces: &[Vec<u8>], format: Format) -> String {
    let pieces: Vec<Piece> = pieces.iter().map(|bytes| Piece::new(bytes)).collect();
    show(&pieces, format)
}

/// The records of each piece of a trace, with the number that `trace --format json` shows as `seq`.
pub fn numbered<'a>(pieces: &'a [Vec<u8>]) -> Vec<Vec<Record<'a>>> {
    let mut base = 0;
    let numbered = |bytes: &'a Vec<u8>| {
        let piece = Piece::new(bytes);
        let mut records: Vec<Record> = piece.records().into_iter().map(|(_, record)| record).collect();
        records.iter_mut().for_each(|r| r.seq = piece.number(r, base));
        base += piece.calls.end - piece.calls.start;
        records
    };
    pieces.iter().map(numbered).collect()
}

/// The same of this process's own recorder.
pub fn own(format: Format) -> String {
    show(&[Piece::new(record::bytes())], format)
}

fn show(pieces: &[Piece], format: Format) -> String {
    let mut out = String::new();
    let mut view = View::new(format);
    let mut base = 0;
    let mut open: Vec<Cursor> = Vec::new();
    for piece in pieces {
        open.push(Cursor { piece, records: piece.records(), at: 0, next: piece.calls.start, base });
        base += piece.calls.end - piece.calls.start;
    }
    while let Some(cursor) = first(&mut open) {
        let (_, mut r) = cursor.records[cursor.at];
        view.missing(r.seq.saturating_sub(cursor.next), &mut out);
        cursor.next = r.seq.saturating_add(1);
        r.seq = cursor.piece.number(&r, cursor.base);
        view.show(cursor.piece, &r, &mut out);
        cursor.at += 1;
        if cursor.at == cursor.records.len() {
            view.missing(cursor.piece.calls.end.saturating_sub(cursor.next), &mut out);
        }
    }
    out
}

/// The place in a piece up to which it is shown.
struct Cursor<'a> {
    piece: &'a Piece<'a>,
    records: Vec<(u32, Record<'a>)>,
    at: usize,
    /// The sequence number of the next record, if no call is missing.
    next: u32,
    /// How many calls the pieces before it have.
    base: u32,
}

/// The piece with the oldest of the next records.
fn first<'a, 'b>(open: &'a mut [Cursor<'b>]) -> Option<&'a mut Cursor<'b>> {
    let more = open.iter_mut().filter(|cursor| cursor.at < cursor.records.len());
    more.min_by_key(|cursor| cursor.records[cursor.at].1.start_ns)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|b| b.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}

/// A view while it is written.
pub struct View {
    format: Format,
    /// The step of the last heading.
    step: Option<u16>,
}

impl View {
    pub fn new(format: Format) -> View {
        View { format, step: None }
    }

    /// Writes one record. Writing to a String cannot fail.
    pub fn show(&mut self, piece: &Piece, r: &Record, out: &mut String) {
        let pid = piece.pid(r);
        let _ = match self.format {
            Format::Strace => syscalls::show::strace_line(r, pid, out),
            Format::Json => json(r, pid, out),
            Format::Text => self.text(r, out),
        };
    }

    /// Writes how many calls have no record here: the recorder was full, or they repeat the calls before them.
    fn missing(&self, calls: u32, out: &mut String) {
        if calls > 0 && self.format != Format::Json {
            let _ = writeln!(out, "+++ {calls} calls are not on record here +++");
        }
    }

    /// A heading for each step; then line of the plan, lane, call, result, time, why.
    fn text(&mut self, r: &Record, out: &mut String) -> core::fmt::Result {
        if self.step != Some(r.step) {
            let gap = if self.step.is_some() { "\n" } else { "" };
            writeln!(out, "{gap}{}", Step::of(r.step).text().1)?;
            self.step = Some(r.step);
        }
        let line = if r.line == 0 { String::from("   ") } else { format!("{:>3}", r.line) };
        write!(out, "{line} {}  ", lane_name(r.lane))?;
        let mut call = String::new();
        syscalls::show::call(r, &mut call)?;
        out.push_str(&shortened(call));
        out.push_str(" = ");
        syscalls::show::result(r, out)?;
        if r.state == record::RETURNED {
            write!(out, "  {}", microseconds(r.duration_ns))?;
        }
        writeln!(out, "  # {}", r.why())
    }
}

/// Shows a long list of numbers by its ends, as in `[0 1 2 ... 1023]`: a list of all processors has 4 KiB. strace prints
/// each of them.
fn shortened(call: String) -> String {
    let inner = |call: &str| -> Option<(usize, usize)> {
        let from = call.find('[')? + 1;
        Some((from, from + call[from..].find(']')?))
    };
    let Some((from, end)) = inner(&call) else {
        return call;
    };
    let numbers: Vec<&str> = call[from..end].split(' ').collect();
    let plain = |word: &&str| word.parse::<u32>().is_ok();
    match numbers.as_slice() {
        [first, second, third, .., last] if numbers.len() > 32 && numbers.iter().all(plain) => {
            let (before, after) = (&call[..from], &call[end..]);
            format!("{before}{first} {second} {third} ... {last}{after}")
        }
        _ => call,
    }
}

fn microseconds(ns: u64) -> String {
    format!("{}.{} µs", ns / 1000, ns % 1000 / 100)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

fn json(r: &Record, pid: i32, out: &mut String) -> core::fmt::Result {
    write!(out, "{{\"seq\":{},\"lane\":\"{}\",\"pid\":{pid},\"line\":{}", r.seq, lane_name(r.lane), r.line)?;
    write!(out, ",\"step\":\"{}\",\"call\":\"{}\",\"args\":[", Step::of(r.step).text().0, r.call.name())?;
    for i in 0..r.argc {
        let mut arg = String::new();
        syscalls::show::arg(r, i, &mut arg)?;
        write!(out, "{}{}", if i > 0 { "," } else { "" }, quoted(&arg))?;
    }
    out.push(']');
    let returned = r.state == record::RETURNED;
    match (returned, r.ret) {
        (false, _) => out.push_str(",\"ret\":null,\"errno\":null"),
        (true, error @ -4095..=-1) => write!(out, ",\"ret\":-1,\"errno\":\"{}\"", Errno(-error as u16).name())?,
        (true, ret) => write!(out, ",\"ret\":{ret},\"errno\":null")?,
    }
    write!(out, ",\"start_ns\":{}", r.start_ns)?;
    match returned {
        true => write!(out, ",\"duration_ns\":{}", r.duration_ns)?,
        false => out.push_str(",\"duration_ns\":null"),
    }
    writeln!(out, ",\"why\":{}}}", quoted(r.why()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_shown_by_its_ends() {
        let list = |n: usize| (0..n).map(|i| format!("{i}")).collect::<Vec<_>>().join(" ");
        let call = |n: usize| format!("sched_setaffinity(0, 128, [{}])", list(n));
        assert_eq!(shortened(call(32)), call(32));
        let short = "sched_setaffinity(0, 128, [0 1 2 ... 1023])";
        assert_eq!(shortened(call(1024)), short);
        for other in ["close(3)", "poll([", "a[b c]", "write(1, \"[\", 1)"] {
            assert_eq!(shortened(other.into()), other);
        }
    }
}
