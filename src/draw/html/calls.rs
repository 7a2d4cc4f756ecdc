//! The calls of a trace as rows of numbers: times, texts by their numbers, the lane of each. May touch: the views of traces.

use super::lines::Lines;
use super::meanings::Meanings;
use super::replay;
use super::strings::Strings;
use super::traced::Page;
use crate::outcome::{Lane, OF_MACHINE};
use crate::plan::Step;
use crate::plan::show::{lane_name, lane_text};
use crate::trace::{self, Entry, Filter, Verdict};
use crate::world::Deed;
use crate::world::milestones::{self, Milestone};
use serde::Serialize;
use syscalls::record::RETURNED;
use syscalls::show;

/// So many rows of lanes are on the time axis at the most. Further processes share the last row of their kind.
const LANES: usize = 12;

/// The kinds of lanes from the upper edge of the page to the lower one.
const ORDER: [Lane; 9] = [
    Lane::Host,
    Lane::Hook,
    Lane::Bridge,
    Lane::Holder,
    Lane::Init,
    Lane::InnerHook,
    Lane::Program,
    Lane::Watcher,
    Lane::Stepper,
];

/// A call: its lane, number and line; the time since the call before, and how long it took (-1: it has not returned); its name,
/// arguments and result; its outcome, and the reason if that was expected; why, source, step; its process.
type Row = (usize, u32, usize, i64, i64, u32, Vec<u32>, u32, u8, u32, u32, u32, u32, i32);

/// A trace, as the script of the page reads it.
#[derive(Serialize)]
pub struct Told {
    name: u32,
    when: u32,
    took: u64,
    /// Calls that are not on record.
    missing: u32,
    remarks: Vec<u32>,
    /// How the program ended; empty where that is not known.
    end: u32,
    /// The name of a lane, its process (0: it has several), and what it is.
    lanes: Vec<(u32, i32, u32)>,
    lines: Vec<(u16, u32, u32, u32, u32, u8)>,
    config: Vec<(u32, u32)>,
    calls: Vec<Row>,
    /// A call that another one waited for, the other one, and 1 if it began that process.
    waits: Vec<(usize, usize, u8)>,
    /// Milestones: a call, its name, what it is.
    marks: Vec<(usize, u32, u32)>,
    /// What calls have changed: the call, what happens, the holder, section, key, value, parent, and the words for it.
    changes: Vec<replay::Row>,
    /// The calls that the command line asked for; none if it asked for all.
    asked: Vec<usize>,
    /// The cure of a call that ended a command, as the command told it.
    hints: Vec<(usize, u32)>,
}

/// All that the page has of a trace.
pub fn told(trace: &Page, filter: &Filter, strings: &mut Strings, meanings: &mut Meanings) -> Told {
    let entries = trace::entries(trace.pieces, false);
    let began = entries.iter().map(|entry| entry.r.start_ns).min().unwrap_or(0);
    let lanes = Lanes::of(&entries);
    let mut lines = Lines::new(trace);
    let mut before = entries.first().map_or(0, |first| first.r.start_ns);
    let mut calls = Vec::with_capacity(entries.len());
    for entry in &entries {
        let line = lines.of(entry, strings, meanings);
        let gap = entry.r.start_ns.wrapping_sub(core::mem::replace(&mut before, entry.r.start_ns)) as i64;
        calls.push(row(entry, (lanes.place(entry), line, gap), strings, meanings));
    }
    let ended = |entry: &&Entry| trace::verdict(entry) == Verdict::Ended;
    let hints = (0..).zip(&entries).filter(|(_, entry)| ended(entry));
    let hints = hints.map(|(i, entry)| (i, strings.number(entry.piece.cure()))).collect();
    let deeds: Vec<Deed> = entries.iter().map(|entry| Deed::of(entry.pid, &entry.r)).collect();
    Told {
        name: strings.number(trace.name),
        when: strings.number(&trace::day(trace.epoch.wrapping_add(began))),
        took: trace::took(&entries),
        // What is missing after the last record is not lost: a command makes it while its trace is read.
        missing: entries.iter().map(|entry| entry.missing[0]).sum(),
        remarks: trace.pieces.iter().flat_map(|piece| piece.remarks()).map(|text| strings.number(text)).collect(),
        end: strings.number(&trace::brief(trace.pieces).program.unwrap_or_default()),
        lanes: lanes.told(strings),
        lines: lines.rows,
        config: lines.config,
        calls,
        waits: waits(&entries),
        marks: marks(&deeds, strings),
        changes: replay::changes(&deeds, strings),
        asked: (0..entries.len()).filter(|i| filter.is_any() && filter.shows(&entries[*i])).collect(),
        hints,
    }
}

fn row(entry: &Entry, (lane, line, gap): (usize, usize, i64), strings: &mut Strings, meanings: &mut Meanings) -> Row {
    let r = &entry.r;
    let args = trace::in_full(entry);
    let mut result = String::new();
    let _ = show::result(r, &mut result);
    meanings.of_call(r.name(), &format!("{} {result}", args.join(" ")));
    let (outcome, reason) = outcome(entry);
    let took = if r.state == RETURNED { r.duration_ns as i64 } else { -1 };
    let source = r.source();
    let place = if source.file.is_empty() { String::new() } else { format!("{}{source}", source.folder()) };
    (
        lane,
        r.seq,
        line,
        gap,
        took,
        strings.number(r.name()),
        args.iter().map(|arg| strings.number(arg)).collect(),
        strings.number(&result),
        outcome,
        strings.number(reason),
        strings.number(r.why()),
        strings.number(&place),
        strings.number(Step::of(r.step).text().1),
        entry.pid,
    )
}

/// How a call ended, as the script counts the ways; and the reason of a refusal that was expected.
fn outcome(entry: &Entry) -> (u8, &'static str) {
    // This call never returns: its process has ended.
    let ends = entry.r.name() == "exit_group";
    match trace::verdict(entry) {
        Verdict::Done if entry.r.state != RETURNED && !ends => (4, ""),
        Verdict::Done if entry.refused().is_some() => (1, "what its program is refused is the program's own matter"),
        Verdict::Done => (0, ""),
        Verdict::Expected(reason) => (1, reason),
        Verdict::WentOn => (2, ""),
        Verdict::Ended => (3, ""),
    }
}

/// The calls that others waited for.
fn waits(entries: &[Entry]) -> Vec<(usize, usize, u8)> {
    let begins =
        |from: usize, to: usize| entries[from].r.name() == "clone3" && entries[from].r.ret as i32 == entries[to].pid;
    let heard = trace::heard(entries).into_iter().enumerate();
    heard.filter_map(|(to, from)| Some((from?, to, begins(from?, to).into()))).collect()
}

/// The first calls of milestones.
fn marks(deeds: &[Deed], strings: &mut Strings) -> Vec<(usize, u32, u32)> {
    let told = |mark: Milestone| {
        let told = milestones::told(mark.name)?;
        Some((*mark.deeds.first()?, strings.number(told.title), strings.number(told.why)))
    };
    milestones::milestones(deeds).into_iter().filter_map(told).collect()
}

/// The rows of the time axis: a kind of lane and a process each. All commands are one row.
struct Lanes(Vec<(u8, i32)>);

impl Lanes {
    fn of(entries: &[Entry]) -> Lanes {
        let mut all: Vec<(u8, i32)> = Vec::new();
        for entry in entries {
            let (lane, pid) = (entry.r.lane, process(entry));
            let known = all.contains(&(lane, pid));
            let shares = all.len() >= LANES && all.iter().any(|(other, _)| *other == lane);
            if !known && !shares {
                all.push((lane, pid));
            }
        }
        let of_kind = |kind: u8| all.iter().copied().filter(move |(lane, _)| *lane == kind);
        let kinds = [0, OF_MACHINE].into_iter().flat_map(|machine| ORDER.map(|kind| kind as u8 | machine));
        Lanes(kinds.flat_map(of_kind).collect())
    }

    fn place(&self, entry: &Entry) -> usize {
        let same = self.0.iter().position(|lane| *lane == (entry.r.lane, process(entry)));
        same.or_else(|| self.0.iter().rposition(|(lane, _)| *lane == entry.r.lane)).unwrap_or(0)
    }

    fn told(&self, strings: &mut Strings) -> Vec<(u32, i32, u32)> {
        let kind = |lane: u8| ORDER.into_iter().find(|kind| *kind as u8 == lane & !OF_MACHINE).unwrap_or(Lane::Host);
        let row =
            |(lane, pid): &(u8, i32)| (strings.number(lane_name(*lane)), *pid, strings.number(lane_text(kind(*lane))));
        self.0.iter().map(row).collect()
    }
}

/// The process that a row of the axis belongs to; 0: to all commands.
fn process(entry: &Entry) -> i32 {
    if entry.r.lane & !OF_MACHINE == Lane::Host as u8 { 0 } else { entry.pid }
}
