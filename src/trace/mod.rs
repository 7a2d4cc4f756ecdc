//! Three views of the same records: for people, as strace writes them, and as JSON with one object a line. May touch: the
//! recorder.

mod json;
mod piece;

pub use piece::{Piece, numbered};

use crate::cli::Format;
use crate::plan::Step;
use crate::plan::show::lane_name;
use core::fmt::Write;
use json::json;
use piece::{Next, each};
use syscalls::record::{self, Record};

/// All records of a trace in the order of their calls, and how many calls between them have no record.
pub fn render(pieces: &[Vec<u8>], format: Format) -> String {
    let pieces: Vec<Piece> = pieces.iter().map(|bytes| Piece::new(bytes)).collect();
    show(&pieces, format)
}

/// The same of this process's own recorder.
pub fn own(format: Format) -> String {
    show(&[Piece::new(record::bytes())], format)
}

fn show(pieces: &[Piece], format: Format) -> String {
    let mut out = String::new();
    let mut view = View::new(format);
    each(pieces, |next| match next {
        Next::Missing(calls) => view.missing(calls, &mut out),
        Next::Record(piece, r) => view.show(piece, &r, &mut out),
    });
    out
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
            Format::Json => json(piece, r, out),
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
