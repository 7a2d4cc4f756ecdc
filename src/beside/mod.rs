//! Two records of the same work side by side: our trace and what strace wrote of the same command; other runtimes at
//! their milestones. May touch: the views of traces, the world that calls make, listings of strace.

mod against;
mod agree;
mod align;
mod lanes;
mod page;
mod phase;
mod read;
mod table;
mod way;

pub use against::{Against, against, against_json};
pub use page::{page, summary};
pub use read::{read, read_json};
pub use table::table;
pub use way::Way;

use crate::listing::{Call, Listing, What};
use crate::outcome::Lane;
use crate::sorted;
use crate::trace::{Entry, Piece};
use agree::{ANEW, BEGIN, DISPLAY, KILLED, PROGRAM, UNRECORDED, Verdict, Words, Written, verdict};
use syscalls::record::Record;

/// The lane of the container's program.
const PROGRAMS: u8 = Lane::Program as u8;

/// A call of strace, of ours, or of both.
pub struct Row<'a> {
    pub theirs: Option<&'a Call<'a>>,
    pub ours: Option<Words<'a>>,
    pub lane: u8,
    pub found: Found,
}

/// What the two sides of a row say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// The same; the bits tell what they show in another way.
    Same(u16),
    /// One side alone has it, for this reason.
    Alone(u16),
    Arguments,
    Result,
    /// Our trace lacks it; strace's listing lacks it.
    NotOurs,
    NotTheirs,
}

impl Found {
    pub fn differs(self) -> bool {
        !matches!(self, Found::Same(_) | Found::Alone(_))
    }
}

/// Both sides, call by call, in the order of strace's lines.
pub struct Beside<'a> {
    pub listing: &'a Listing<'a>,
    pub rows: Vec<Row<'a>>,
    /// The processes that both sides have: strace's number and the lane.
    pub processes: Vec<(i32, u8)>,
    /// Whether a process has the same number on both sides.
    pub same_run: bool,
    /// The commands of the trace that strace has not seen.
    pub unseen: usize,
    /// How the listing tells that it is of another command.
    pub stranger: Option<String>,
}

/// Compares a listing with the trace of a container.
pub fn compare<'a>(listing: &'a Listing<'a>, entries: &'a [Entry<'a>], id: &str) -> Beside<'a> {
    let own: Vec<&Entry> = entries.iter().filter(|entry| !entry.is_event()).collect();
    let pairs = lanes::pairs(listing, &own);
    let by_strace = |pid: i32| pairs.iter().any(|pair| pair.ours == Some(pid) && pair.theirs.is_some());
    let seen: Vec<_> = own.iter().filter(|entry| by_strace(entry.pid)).collect();
    let is_seen = |entry: &&Entry| seen.iter().any(|other| core::ptr::eq(other.piece, entry.piece));
    let mut unseen: Vec<*const Piece> = Vec::new();
    for entry in own.iter().filter(|entry| !is_seen(entry)) {
        if !unseen.contains(&(entry.piece as *const _)) {
            unseen.push(entry.piece);
        }
    }
    let own: Vec<&Entry> = own.iter().copied().filter(is_seen).collect();

    let raw = listing.calls.iter().any(|call| call.args().contains(&"-100"));
    let mut missing: u32 = own.iter().map(|entry| entry.missing.iter().sum::<u32>()).sum();
    let mut rows: Vec<([usize; 2], Row)> = Vec::new();
    for pair in &pairs {
        let theirs: Vec<Written> =
            listing.calls.iter().filter(|call| Some(call.pid) == pair.theirs).map(Written::of).collect();
        // What strace lacks stands after what it has before.
        let mut line = theirs.first().map_or(listing.lines.len(), |first| first.call.line);
        let ours: Vec<Words> =
            own.iter().filter(|entry| Some(entry.pid) == pair.ours).map(|entry| Words::of(entry)).collect();
        let process = Process { listing, pair, raw, missing: &mut missing };
        for row in process.rows(theirs, ours) {
            line = row.theirs.map_or(line, |call| call.line);
            rows.push(([line, rows.len()], row));
        }
    }
    sorted::by(&mut rows, |a, b| a.0 < b.0);
    let both = pairs.iter().filter(|pair| pair.ours.is_some());
    let mut beside = Beside {
        listing,
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        processes: both.filter_map(|pair| Some((pair.theirs?, pair.lane))).collect(),
        same_run: pairs.iter().any(|pair| pair.theirs.is_some() && pair.theirs == pair.ours),
        unseen: unseen.len(),
        stranger: None,
    };
    beside.stranger = beside.stranger(id);
    beside
}

impl Beside<'_> {
    /// Whether a line of strace or a call of ours is without a counterpart, or cannot be read.
    pub fn differs(&self) -> bool {
        self.rows.iter().any(|row| row.found.differs()) || self.listing.unread().next().is_some()
    }
}

impl Beside<'_> {
    /// Whether the listing is of another program, or of another container than `id`.
    fn stranger(&self, id: &str) -> Option<String> {
        let done = |call: &&Call| call.name.starts_with("execve") && call.errno().is_none();
        let ours = |call: &&Call| {
            let path = call.args().into_iter().find_map(crate::world::words::text).unwrap_or_default();
            path.rsplit('/').next().is_some_and(|name| name.contains("nk-runtime"))
        };
        let executed: Vec<&Call> = self.listing.calls.iter().filter(done).collect();
        let own: Vec<&Call> = executed.iter().copied().filter(ours).collect();
        // The runtime can have another name: then most calls are the same.
        let same = self.rows.iter().filter(|row| matches!(row.found, Found::Same(_))).count();
        if own.is_empty() {
            return (!executed.is_empty() && same * 2 < self.rows.len())
                .then(|| "This file has no process that executes nk-runtime: it is of another command".into());
        }
        // Words that are cut or spelled in another way tell no id.
        let tells = |call: &Call| {
            call.shown().contains(&format!("\"{id}\"")) || call.shown().contains("...") || call.shown().contains("\\x")
        };
        (!self.same_run && !own.into_iter().any(tells))
            .then(|| format!("In this file nk-runtime is executed without the id {id}: it is of another container"))
    }
}

/// The calls of one process.
struct Process<'a, 'b> {
    listing: &'b Listing<'a>,
    pair: &'b lanes::Pair,
    /// strace shows numbers in place of names (-X raw).
    raw: bool,
    /// The calls of the trace that have no record and are not found yet.
    missing: &'b mut u32,
}

impl Process<'_, '_> {
    fn rows<'a>(self, theirs: Vec<Written<'a>>, ours: Vec<Words<'a>>) -> Vec<Row<'a>> {
        let ends = [theirs.len(), ours.len()].map(|count| count.wrapping_sub(1));
        let raw = self.raw;
        let said = |i: usize, j: usize| verdict(&theirs[i], &ours[j], [i == ends[0], j == ends[1]], raw);
        let same = |i: usize, j: usize| matches!(said(i, j), Verdict::Same(_));
        let alike = |i: usize, j: usize| said(i, j) != Verdict::Another;
        let pairs = align::pairs([theirs.len(), ours.len()], same, alike);
        let found = pairs.iter().map(|pair| match *pair {
            (Some(i), Some(j)) => match said(i, j) {
                Verdict::Same(known) => Found::Same(known),
                Verdict::Arguments | Verdict::Another => Found::Arguments,
                Verdict::Result => Found::Result,
            },
            (Some(_), None) => Found::NotOurs,
            _ => Found::NotTheirs,
        });
        let lane = self.pair.lane;
        let last = ours.last().map(|last| &last.entry.r);
        let found = self.explained(&theirs, &pairs, found.collect(), last);
        let mut ours: Vec<Option<Words>> = ours.into_iter().map(Some).collect();
        let row = |((i, j), found): (align::Pair, Found)| Row {
            theirs: i.map(|i| theirs[i].call),
            ours: j.and_then(|j| ours[j].take()),
            lane: if found == Found::Alone(PROGRAM) { PROGRAMS } else { lane },
            found,
        };
        pairs.into_iter().zip(found).map(row).collect()
    }

    /// What strace alone has, for a reason that is known. `end`: our last record.
    fn explained(
        self,
        theirs: &[Written],
        pairs: &[align::Pair],
        mut found: Vec<Found>,
        end: Option<&Record>,
    ) -> Vec<Found> {
        let executes = end.is_some_and(|end| end.name().starts_with("execve") && end.ret == 0);
        let first = found.iter().position(|found| *found != Found::NotOurs).unwrap_or(found.len());
        let last = pairs.iter().rposition(|pair| pair.1.is_some()).map_or(0, |last| last + 1);
        let tail = pairs[last..].iter().filter_map(|pair| pair.0);
        let goes_on = self.pair.is_first && end.is_some_and(|end| end.name() != "exit_group");
        let shows = goes_on && tail.into_iter().all(|i| displays(theirs[i].call));
        for (at, found) in found.iter_mut().enumerate() {
            let Some(call) = pairs[at].0.map(|i| theirs[i].call).filter(|_| *found == Found::NotOurs) else { continue };
            let begins = at < first && self.pair.is_first && ["execve", "arch_prctl"].contains(&call.name);
            let known = match () {
                () if self.pair.ours.is_none() && self.pair.lane == PROGRAMS => PROGRAM,
                () if executes && at >= last => PROGRAM,
                () if begins => BEGIN,
                () if call.result().starts_with("? ERESTART") => ANEW,
                () if shows && at >= last => DISPLAY,
                () if at + 1 == pairs.len() && self.was_killed(call.pid) => KILLED,
                () if self.pair.ours.is_some() && *self.missing > 0 => {
                    *self.missing -= 1;
                    UNRECORDED
                }
                () => continue,
            };
            *found = Found::Alone(known);
        }
        found
    }

    fn was_killed(&self, pid: i32) -> bool {
        let ends = |what: What| what == What::Ended;
        self.listing.lines.iter().any(|line| line.pid == pid && ends(line.what) && line.text.contains("+++ killed by"))
    }
}

/// Whether a call at the end does nothing but write or show the trace, or ends the process.
fn displays(call: &Call) -> bool {
    ["ioctl", "openat", "fstat", "write", "close", "exit_group"].contains(&call.name)
}
