//! The view of a trace for people: a head, and the life of the container in order, each lane's stretch under a heading of plain
//! words. May touch: the recorder.

use super::brief::day;
use super::call;
use super::expected::{Verdict, verdict};
use super::fold::{Group, folded, unfolded};
use super::life::{Entry, made};
use super::page::{Paint, Row, Screen, fit_with};
use super::piece::Piece;
use super::words::{self, has};
use crate::cli::TraceCmd;
use crate::host::time;
use crate::outcome::{OF_MACHINE, visible};
use crate::plan::Step;
use crate::plan::show::lane_name;

const HEADINGS: &str = include_str!("headings.txt");

/// A call is said to be slow from here on, in nanoseconds.
const SLOW: u64 = 20_000_000;

/// The text while it is written.
pub struct Text<'a> {
    screen: Screen,
    look: &'a TraceCmd,
    /// What is added to the monotonic clock to get the time of day.
    epoch: u64,
    /// The newest heading, while records are shown as they come.
    heading: &'static str,
    /// When the call before was made, or 0.
    before: u64,
}

impl<'a> Text<'a> {
    pub fn new(screen: Screen, look: &'a TraceCmd, epoch: u64) -> Text<'a> {
        Text { screen, look, epoch, heading: "", before: 0 }
    }

    /// The first rows: what this is, when, how long, how many calls.
    pub fn head(&self, title: &str, entries: &[Entry], took: u64, out: &mut String) {
        let calls = made(entries);
        let first = entries.iter().map(|entry| entry.r.start_ns).min().unwrap_or(0);
        let when = day(self.epoch.wrapping_add(first));
        let plural = if calls == 1 { "" } else { "s" };
        let head = format!("{title}, {when}: {calls} call{plural}, {}{}", duration(took), refusals(entries));
        self.screen.line(&head, Paint::Plain, out);
        if !self.look.all {
            let hint = "+3: the row stands for three more calls. --all shows every call.";
            self.screen.line(hint, Paint::Aside, out);
        }
    }

    /// How many calls the watcher made for the others.
    pub fn watched(&self, own: u32, out: &mut String) {
        if own > 0 {
            let text =
                format!("The watcher made {own} calls to see those of the program: they are counted, not listed.");
            self.screen.line(&text, Paint::Aside, out);
        }
    }

    /// How many calls of `--step` are not shown.
    pub fn added(&self, calls: usize, out: &mut String) {
        if calls > 0 {
            let text =
                format!("--step made {calls} calls more: --lane stepper shows those of the stepper, --all shows all.");
            self.screen.line(&text, Paint::Aside, out);
        }
    }

    /// What commands have found out and no call says, as why a program ended.
    pub fn remarks(&self, pieces: &[Piece], out: &mut String) {
        for remark in pieces.iter().flat_map(Piece::remarks) {
            // At 80 columns that is a whole first line of a message (src/say/shape.rs).
            self.screen.lines(&visible(remark), 4, Paint::Fatal, out);
        }
    }

    /// All stretches.
    pub fn stretches(&mut self, entries: &[Entry], out: &mut String) {
        let mut rest = entries;
        while let Some(first) = rest.first() {
            let heading = heading(first);
            let goes_on =
                |entry: &&Entry| entry.r.lane == first.r.lane && (entry.is_aside() || heading == self::heading(entry));
            let len = rest.iter().take_while(goes_on).count().max(1);
            let (stretch, after) = rest.split_at(len);
            self.stretch(heading, stretch, out);
            rest = after;
        }
    }

    fn stretch(&mut self, heading: &str, stretch: &[Entry], out: &mut String) {
        let from = stretch.iter().map(|entry| entry.r.start_ns).min().unwrap_or(0);
        let to = stretch.iter().map(Entry::returned).max().unwrap_or(0);
        if let Some(first) = stretch.first() {
            let text = format!("{}, {}", titled(heading, first), duration(to.saturating_sub(from)));
            self.screen.heading(&text, first.r.lane, out);
        }
        let calls: Vec<&Entry> = stretch.iter().collect();
        for group in if self.look.all { unfolded(&calls) } else { folded(&calls) } {
            self.group(&group, out);
        }
    }

    /// Writes one record as it comes.
    pub fn live(&mut self, entry: &Entry, out: &mut String) {
        let heading = heading(entry);
        if heading != self.heading && !entry.is_aside() {
            self.heading = heading;
            self.screen.heading(&titled(heading, entry), entry.r.lane, out);
        }
        for group in unfolded(&[entry]) {
            self.group(&group, out);
        }
    }

    fn group(&mut self, group: &Group, out: &mut String) {
        let Some(first) = group.first.first() else { return };
        self.missing(group.calls.iter().map(|entry| entry.missing[0]).sum(), out);
        let margin = self.margin(first);
        let left = self.left(group, first, margin.chars().count());
        let (right, paint) = self.right(group, first);
        let lane = Paint::of_lane(first.r.lane);
        let important = self.look.all || has(words::IMPORTANT, first.r.call.name());
        let paint = [if paint == Paint::Plain { lane } else { paint }, paint];
        self.screen.row(&Row { margin, left: &left, right: &right, important, paint }, out);
        self.more_of(first, out);
        for entry in &group.calls {
            self.missing(entry.missing[1], out);
        }
    }

    fn missing(&self, calls: u32, out: &mut String) {
        if calls > 0 {
            self.screen.line(&missing(calls), Paint::Aside, out);
        }
    }

    /// The time that was asked for, and the number of the plan's line.
    fn margin(&mut self, entry: &Entry) -> String {
        let start = entry.r.start_ns;
        let clock = clock(start, self.look, self.epoch, core::mem::replace(&mut self.before, start));
        clock + &if entry.r.line == 0 { "    ".into() } else { format!("{:>3} ", entry.r.line) }
    }

    /// The call, or what several calls do. `margin`: the width of what stands before it.
    fn left(&self, group: &Group, first: &Entry, margin: usize) -> String {
        let mut tail = String::new();
        if group.said().is_none() {
            tail.push_str(&call::result(first));
        }
        if group.more() > 0 {
            tail.push_str(&format!(" +{}", group.more()));
        }
        let took: u64 = group.calls.iter().map(|entry| entry.r.duration_ns).sum();
        if self.look.duration || took >= SLOW && group.calls.len() == 1 {
            tail.push_str(&format!(" <{}>", duration(took)));
        }
        let one_row = self.screen.is_tight() && !self.look.all && !has(words::IMPORTANT, first.r.call.name());
        let (width, rows) = (self.screen.left(margin), if one_row { 1 } else { 2 });
        let text = match (group.said(), self.look.all) {
            (Some(said), _) => said.words,
            _ if first.is_event() => call::shown(&first.r, 0),
            (None, true) => call::whole(first),
            (None, false) if one_row => call::short_within(first, width.saturating_sub(tail.len())),
            (None, false) => call::short(first),
        };
        fit_with(&text, &tail, width, rows)
    }

    /// Why the calls were made, and what became of those that were refused.
    fn right(&self, group: &Group, first: &Entry) -> (String, Paint) {
        let why = group.said().and_then(|said| said.why).unwrap_or(first.r.why());
        let refused: Vec<Verdict> =
            group.calls.iter().map(|entry| verdict(entry)).filter(|v| *v != Verdict::Done).collect();
        let worst = refused.iter().copied().max_by_key(|verdict| match verdict {
            Verdict::Done => 0,
            Verdict::Expected(_) => 1,
            Verdict::WentOn => 2,
            Verdict::Ended => 3,
        });
        let alone = group.calls.len() == 1 || group.said().is_none() && verdict(first) != Verdict::Done;
        match worst {
            None | Some(Verdict::Done) => (why.into(), Paint::Plain),
            Some(Verdict::WentOn) if first.is_programs() => (why.into(), Paint::Odd),
            Some(Verdict::Ended) => (format!("this ended the command: {why}"), Paint::Fatal),
            Some(Verdict::WentOn) => (format!("refused, and the command went on: {why}"), Paint::Odd),
            Some(Verdict::Expected(reason)) if alone => (format!("expected: {reason}; {why}"), Paint::Expected),
            Some(Verdict::Expected(reason)) if group.repeats() => {
                (format!("{} refused, expected: {reason}; {why}", refused.len()), Paint::Plain)
            }
            Some(Verdict::Expected(reason)) => {
                (format!("{why}; {} refused, expected: {reason}", refused.len()), Paint::Plain)
            }
        }
    }

    /// The second row of a call: what asked for it, and where in the source it was made.
    fn more_of(&self, entry: &Entry, out: &mut String) {
        let pointer = entry.piece.pointer(&entry.r);
        let mut parts = Vec::new();
        if self.look.config && !pointer.is_empty() {
            parts.push(format!("config.json {}", visible(pointer)));
        }
        if self.look.source && !entry.r.source().file.is_empty() {
            let source = entry.r.source();
            parts.push(format!("{}{source}", source.folder()));
        }
        if !parts.is_empty() {
            self.screen.line(&format!("      {}", parts.join("  ")), Paint::Aside, out);
        }
    }
}

/// Says how many calls have no record: the recorder was full, or they repeat the calls before them.
pub fn missing(calls: u32) -> String {
    format!("+++ {calls} calls are not on record here +++")
}

/// The times that were asked for: that of day, and that since the call before.
pub fn clock(start: u64, look: &TraceCmd, epoch: u64, before: u64) -> String {
    let mut text = String::new();
    if look.time > 0 {
        let day = time::rfc3339(epoch.wrapping_add(start));
        let end = if look.time > 1 { 26 } else { 19 };
        text.push_str(day.get(11..end).unwrap_or(""));
        text.push(' ');
    }
    if look.relative {
        let since = if before == 0 { 0 } else { start.saturating_sub(before) } / 1000;
        text.push_str(&format!("{:>3}.{:06} ", since / 1_000_000, since % 1_000_000));
    }
    text
}

/// How many calls were refused, and how many of them as expected.
fn refusals(entries: &[Entry]) -> String {
    let all: Vec<Verdict> = entries.iter().map(verdict).filter(|verdict| *verdict != Verdict::Done).collect();
    let expected = all.iter().filter(|verdict| matches!(verdict, Verdict::Expected(_))).count();
    match (all.len(), expected) {
        (0, _) => ", none refused".into(),
        (all, expected) if all == expected => format!(", {all} refused as expected"),
        (all, expected) => format!(", {all} refused, {expected} as expected"),
    }
}

/// The words above a record: those of its stage, of its step, or of its lane.
fn heading(entry: &Entry) -> &'static str {
    let lane = lane_name(entry.r.lane & !OF_MACHINE);
    let rows = HEADINGS.lines().filter_map(|line| line.strip_prefix(lane)?.strip_prefix(' ')?.split_once(": "));
    let of = |place: &str| rows.clone().find(|(known, _)| has(known, place)).map(|(_, words)| words);
    // All lines of `exec` are of one step.
    let found = match entry.stage.is_empty() || Step::of(entry.r.step) == Step::Exec {
        true => of(entry.step()),
        false => of(&format!("@{}", entry.stage)),
    };
    found.or_else(|| of("*")).unwrap_or("")
}

/// The words, and what part of OCI's lifecycle it is: the row says it, or the step of the first record.
fn titled(heading: &str, first: &Entry) -> String {
    let step = Step::of(first.r.step).text().1;
    let (words, part) = heading.split_once(" | ").unwrap_or((heading, step.split(": ").next().unwrap_or(step)));
    match first.is_machines() {
        true => format!("In the machine: {words} ({part})"),
        false => format!("{words} ({part})"),
    }
}

/// A time in three digits or so: `731 µs`, `1.2 ms`, `3.4 s`.
pub fn duration(ns: u64) -> String {
    match ns {
        0..1_000_000 => format!("{} µs", ns / 1000),
        1_000_000..1_000_000_000 => format!("{}.{} ms", ns / 1_000_000, ns / 100_000 % 10),
        _ => format!("{}.{} s", ns / 1_000_000_000, ns / 100_000_000 % 10),
    }
}
