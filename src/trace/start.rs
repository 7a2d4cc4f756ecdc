//! The start in a trace: from the first call of its command to the `execve` of the container's program. Its critical path is what
//! it waited for at each moment. That is found backwards: from a call to the code before it, or to the call that ended its wait.
//! May touch: the recorder.

use super::life::{Entry, entries, heard};
use super::piece::Piece;
use super::words::{BLOCKING, has};
use crate::outcome::{Lane, OF_MACHINE};
use core::ops::Range;
use syscalls::record::RETURNED;

/// What a stretch of time went into.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The kernel carried out a call.
    Kernel,
    /// The code between two calls ran.
    Ours,
    /// A call waited for another process.
    Waiting,
}

impl Kind {
    pub fn word(self) -> &'static str {
        match self {
            Kind::Kernel => "kernel",
            Kind::Ours => "ours",
            Kind::Waiting => "waiting",
        }
    }
}

/// A stretch of time. The code between two calls belongs to the second: it prepares that call.
#[derive(Clone)]
pub struct Stretch {
    /// The place of its record.
    pub at: usize,
    pub kind: Kind,
    /// The call was in the kernel. If not: the code before it ran, or its process was still to begin.
    pub is_call: bool,
    pub time: Range<u64>,
}

impl Stretch {
    pub fn ns(&self) -> u64 {
        self.time.end.saturating_sub(self.time.start)
    }
}

/// A start.
pub struct Start<'a> {
    /// All records of the trace, also those from after the start.
    pub entries: Vec<Entry<'a>>,
    /// The critical path, in the order of time, without holes.
    pub path: Vec<Stretch>,
    /// From the first call to the end of `execve`.
    pub time: Range<u64>,
    /// The program has begun. If it has not, the start ends with its command.
    pub is_whole: bool,
    /// Between `create` and `start` no command runs: that time does not count.
    pauses: Vec<Range<u64>>,
    heard: Vec<Option<usize>>,
}

/// The places of the records of each process, in the order in which the processes begin.
pub fn by_process(entries: &[Entry]) -> Vec<Vec<usize>> {
    // A number can come to mean another process in the next command.
    let process = |entry: &Entry| (core::ptr::from_ref(entry.piece) as usize, entry.pid);
    let mut known: Vec<(usize, i32)> = Vec::new();
    let mut lanes: Vec<Vec<usize>> = Vec::new();
    for (at, entry) in entries.iter().enumerate() {
        let place = known.iter().rposition(|known| *known == process(entry)).unwrap_or(known.len());
        if place == known.len() {
            known.push(process(entry));
            lanes.push(Vec::new());
        }
        lanes[place].push(at);
    }
    lanes
}

impl<'a> Start<'a> {
    pub fn of(pieces: &'a [Piece<'a>]) -> Start<'a> {
        let mut entries = entries(pieces, false);
        entries.retain(|entry| !entry.is_event());
        // QEMU is no program of the container.
        let machines = entries.iter().any(|entry| entry.is_machines() && begins_program(entry));
        let program = entries.iter().position(|entry| begins_program(entry) && (!machines || entry.is_machines()));
        let last = program.or_else(|| last_of_command(&entries));
        let end = last.map_or(0, |last| entries[last].returned());
        let begin = entries.first().map_or(end, |first| first.r.start_ns);
        let heard = heard(&entries);
        let mut start = Start {
            entries,
            path: Vec::new(),
            time: begin.min(end)..end,
            is_whole: program.is_some(),
            pauses: Vec::new(),
            heard,
        };
        if let Some(last) = last {
            start.walk(last);
        }
        start
    }

    /// How long the start took.
    pub fn wall(&self) -> u64 {
        self.moment(self.time.end)
    }

    /// The time since the begin, without pauses.
    pub fn moment(&self, ns: u64) -> u64 {
        let ns = ns.clamp(self.time.start, self.time.end);
        let before = |pause: &Range<u64>| ns.min(pause.end).saturating_sub(pause.start);
        ns - self.time.start - self.pauses.iter().map(before).sum::<u64>()
    }

    /// How long the pauses were.
    pub fn paused(&self) -> u64 {
        self.time.end - self.time.start - self.wall()
    }

    /// For a record the one of another process that ended its wait.
    pub fn woken_by(&self, at: usize) -> Option<usize> {
        let other = self.heard[at]?;
        let (waits, speaks) = (&self.entries[at].r, &self.entries[other].r);
        (speaks.start_ns > waits.start_ns && speaks.call.name() != "clone3").then_some(other)
    }

    /// What the time of a call went into.
    pub fn kind(&self, at: usize) -> Kind {
        let entry = &self.entries[at];
        let silent = entry.named.wire > 0 && self.heard[at].is_none();
        let hears = ["read", "recvmsg"].contains(&entry.r.name());
        // The record of a hook's `execve` ends with the hook (src/perform/hooks.rs).
        let hook = entry.r.name() == "execve" && entry.r.lane & !OF_MACHINE != Lane::Init as u8;
        let slept = entry.waits_for_word() && entry.r.ret == 0;
        match self.woken_by(at).is_some() || has(BLOCKING, entry.r.name()) || silent && hears || hook || slept {
            true => Kind::Waiting,
            false => Kind::Kernel,
        }
    }

    /// The stretches of each process, in the order in which the processes begin.
    pub fn lanes(&self) -> Vec<Vec<Stretch>> {
        let mut lanes = by_process(&self.entries);
        lanes.iter_mut().for_each(|lane| lane.retain(|at| self.entries[*at].r.start_ns < self.time.end));
        lanes.retain(|lane| !lane.is_empty());
        lanes.iter().map(|lane| self.stretches(lane)).collect()
    }

    fn stretches(&self, lane: &[usize]) -> Vec<Stretch> {
        let mut all: Vec<Stretch> = Vec::new();
        for at in lane.iter().copied() {
            let entry = &self.entries[at];
            let begin = entry.r.start_ns;
            if let Some(before) = all.last().map(|before| before.time.end) {
                all.push(Stretch { at, kind: Kind::Ours, is_call: false, time: before.min(begin)..begin });
            }
            let time = begin..entry.returned().min(self.time.end);
            all.push(Stretch { at, kind: self.kind(at), is_call: true, time });
        }
        all
    }

    /// Follows the critical path from its last call to the first.
    fn walk(&mut self, last: usize) {
        let mut before = vec![None; self.entries.len()];
        for lane in by_process(&self.entries) {
            lane.windows(2).for_each(|pair| before[pair[1]] = Some(pair[0]));
        }
        let (mut at, mut to) = (last, self.time.end);
        // In a damaged trace lanes could wait for each other: then the path ends early.
        for _ in 0..4 * self.entries.len() {
            let begin = self.entries[at].r.start_ns.min(to);
            if let Some(other) = self.woken_by(at) {
                let spoken = self.entries[other].returned().min(to);
                self.went(at, Kind::Waiting, true, spoken..to);
                to = spoken;
                at = other;
                continue;
            }
            self.went(at, self.kind(at), true, begin..to);
            to = begin;
            let (kind, other) = match (before[at], self.heard[at]) {
                (Some(before), _) => (Kind::Ours, before),
                // The clone has returned, and its child has not run yet.
                (None, Some(maker)) => (Kind::Waiting, maker),
                (None, None) => {
                    let Some(before) = self.command_before(at, to) else { break };
                    let ended = self.entries[before].returned();
                    self.pauses.push(ended..to);
                    (at, to) = (before, ended);
                    continue;
                }
            };
            let ended = self.entries[other].returned().min(to);
            self.went(at, kind, false, ended..to);
            (at, to) = (other, ended);
        }
        self.time.start = to;
        self.path.reverse();
    }

    fn went(&mut self, at: usize, kind: Kind, is_call: bool, time: Range<u64>) {
        if !time.is_empty() {
            self.path.push(Stretch { at, kind, is_call, time });
        }
    }

    /// The last call of the command that ended before this one began.
    fn command_before(&self, at: usize, begun: u64) -> Option<usize> {
        let piece = self.entries[at].piece;
        let is_before = |other: &Entry| {
            other.r.lane == Lane::Host as u8 && !core::ptr::eq(other.piece, piece) && other.returned() <= begun
        };
        let all = self.entries.iter().enumerate().filter(|(_, other)| is_before(other));
        all.max_by_key(|(_, other)| other.returned()).map(|(at, _)| at)
    }
}

fn begins_program(entry: &Entry) -> bool {
    let executes = ["execve", "execveat"].contains(&entry.r.name());
    executes && entry.r.lane & !OF_MACHINE == Lane::Init as u8 && entry.r.state == RETURNED && entry.r.ret == 0
}

/// The call with which the first command of a trace ended.
fn last_of_command(entries: &[Entry]) -> Option<usize> {
    let own = by_process(entries).into_iter().next()?;
    own.into_iter().max_by_key(|at| entries[*at].returned())
}
