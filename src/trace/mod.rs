//! Three views of the same records: for people, as strace writes them, and as JSON with one object a line. May touch: the
//! recorder, the terminal.

mod bars;
mod brief;
mod call;
mod expected;
mod filter;
mod fold;
mod json;
mod life;
mod names;
mod page;
mod piece;
mod planned;
mod series;
mod start;
mod steady;
mod strace;
mod summary;
mod text;
pub mod timing;
pub mod words;

pub use bars::Ink;
pub use brief::{brief, day, took};
pub use call::{in_few_words, in_full, shown, whole};
pub use expected::{Verdict, verdict};
pub use filter::{Filter, help, is_added};
pub use life::{Entry, entries, heard, read_in_order};
pub use page::{Paint, Row, Screen, fit};
pub use piece::{Piece, numbered};
pub use planned::line_of;
pub use series::Series;
pub use start::{Kind, Start, Stretch, by_process};
pub use steady::{Own, Steady};
pub use text::duration;

use crate::cli::{Color, Format, TraceCmd};
use crate::host::environment;
use json::json;
use life::Reader;
use page::WIDE;
use syscalls::record::{self, Record};
use syscalls::{At, Why};
use text::{Text, missing};

/// What is added to the monotonic clock of records to get the time of day, as both clocks are now.
pub fn epoch() -> u64 {
    syscalls::clock_ns(libc::CLOCK_REALTIME).wrapping_sub(syscalls::clock_ns(libc::CLOCK_MONOTONIC))
}

/// The screen that a view is written to; none: a file.
pub fn screen(to: Option<At>, color: Color) -> Screen {
    let why = Why("the view is as wide as the terminal, and has colours there");
    let size = to.and_then(|to| syscalls::tiocgwinsz(to, why).ok());
    let columns = size.map(|size| size.columns.into()).filter(|columns| *columns > 0);
    let named = || environment("COLUMNS")?.parse().ok();
    let plain = environment("NO_COLOR").is_some_and(|word| !word.is_empty());
    Screen {
        width: columns.or_else(named).unwrap_or(WIDE),
        color: match color {
            Color::Auto => size.is_some() && !plain,
            Color::Always => true,
            Color::Never => false,
        },
    }
}

/// A view of a trace.
pub struct View<'a> {
    pub format: Format,
    pub look: &'a TraceCmd,
    pub filter: &'a Filter,
    pub screen: Screen,
    /// What is added to the clock of records to get the time of day.
    pub epoch: u64,
}

impl View<'_> {
    /// All records of a trace. `title`: what the text says that it is.
    pub fn render(&self, pieces: &[Piece], title: &str) -> String {
        let of_text = self.format == Format::Text && !self.look.summary;
        let mut all = entries(pieces, of_text);
        let took = brief::took(&all);
        let added = all.iter().filter(|entry| filter::is_added(entry) && !self.filter.shows(entry)).count();
        all.retain(|entry| self.filter.shows(entry));
        if self.look.summary {
            return summary::tables(&all, self.screen.width, Ink::of_environment());
        }
        let mut out = String::new();
        if of_text {
            // A row that stands for several calls would hide those that were asked for.
            let unfolded = TraceCmd { all: self.look.all || self.filter.is_any(), ..self.look.clone() };
            let mut text = Text::new(self.screen, &unfolded, self.epoch);
            text.head(title, &all, took, &mut out);
            text.remarks(pieces, &mut out);
            text.watched(pieces.iter().map(|piece| piece.own).sum(), &mut out);
            text.added(added, &mut out);
            text.stretches(&read_in_order(all), &mut out);
            return out;
        }
        let mut before = 0;
        for entry in &all {
            if self.format == Format::Json {
                let _ = json(entry, &mut out);
                continue;
            }
            not_on_record(entry.missing[0], &mut out);
            strace::line(entry, self.look, self.epoch, before, &mut out);
            not_on_record(entry.missing[1], &mut out);
            before = entry.r.start_ns;
        }
        if self.format == Format::Json {
            pieces.iter().flat_map(Piece::remarks).for_each(|remark| json::remark(remark, &mut out));
        }
        out
    }
}

fn not_on_record(calls: u32, out: &mut String) {
    if calls > 0 {
        out.push_str(&missing(calls));
        out.push('\n');
    }
}

/// A view of this process's own records. `to`: where it is written; none: a file.
pub fn own(format: Format, to: Option<At>) -> String {
    // Asking the terminal makes records, too: those are not part of what is shown.
    let pieces = [Piece::new(record::bytes())];
    let look = TraceCmd::default();
    let screen = match format {
        Format::Text => screen(to, Color::Auto),
        _ => Screen { width: WIDE, color: false },
    };
    View { format, look: &look, filter: &Filter::default(), screen, epoch: epoch() }.render(&pieces, "this command")
}

/// A view that grows with the trace.
pub struct Live<'a> {
    view: View<'a>,
    text: Text<'a>,
    reader: Reader,
    before: u64,
}

impl<'a> Live<'a> {
    pub fn new(view: View<'a>) -> Live<'a> {
        let text = Text::new(view.screen, view.look, view.epoch);
        Live { view, text, reader: Reader::default(), before: 0 }
    }

    /// Writes one record: the first word about it, if its call is still in the kernel, or the last one.
    pub fn show(&mut self, piece: &Piece, r: Record, out: &mut String) {
        let root = self.view.format == Format::Text;
        let entry = self.reader.entry(piece, r, root);
        if !self.view.filter.shows(&entry) {
            return;
        }
        match self.view.format {
            Format::Strace => strace::line(&entry, self.view.look, self.view.epoch, self.before, out),
            Format::Json => drop(json(&entry, out)),
            Format::Text => self.text.live(&entry, out),
        }
        self.before = r.start_ns;
    }
}
