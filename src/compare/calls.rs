//! Trace against trace: which calls only one of them has, which ended otherwise, which had other values. A call is found again by
//! its process, its step and what it works on. May touch: the views of traces.

use super::pairs::{Kind, Pair, Rule, paired};
use crate::outcome::Lane;
use crate::plan::Step;
use crate::plan::show::lane_name;
use crate::sorted;
use crate::trace::{Entry, Own, Steady};
use syscalls::record::RETURNED;

/// Times are of one run each: what differs less is taken for noise.
const NOISE: u64 = 1_000_000;
/// The same for calls that wait.
const WAITED: u64 = 20_000_000;
/// So many times are told.
const TOLD: usize = 8;

/// Calls that take as long as another process lets them wait.
const WAITS: &str = "read recvmsg ppoll waitid rt_sigtimedwait";

/// A call of one of the traces.
pub struct Act<'a> {
    pub entry: &'a Entry<'a>,
    pub steady: Steady,
}

pub struct Calls<'a> {
    pub acts: [Vec<Act<'a>>; 2],
    pub pairs: Vec<Pair>,
    /// Pairs that took longer on one side, the largest difference first.
    pub slow: Vec<usize>,
}

/// The calls of two traces. `ids`: the names of their containers.
pub fn calls<'a>(entries: [&'a [Entry<'a>]; 2], ids: [&str; 2]) -> Calls<'a> {
    let acts = [0, 1].map(|side| {
        let own = Own::of(ids[side], entries[side]);
        let all: Vec<Act> = entries[side].iter().map(|entry| Act { entry, steady: own.steady(entry) }).collect();
        once(all)
    });
    let place = |act: &Act| format!("{} {} {}", act.entry.r.lane, act.entry.r.step, act.entry.is_event());
    let call = |side: usize, at: usize| {
        let act: &Act = &acts[side][at];
        format!("{} {}", place(act), act.steady.call)
    };
    let whole = |side: usize, at: usize| format!("{} {}", call(side, at), acts[side][at].steady.result);
    let subject = |side: usize, at: usize| {
        let act: &Act = &acts[side][at];
        let r = &act.entry.r;
        format!("{} {} {} {} {}", place(act), r.stage, r.name(), act.steady.subject, r.why())
    };
    let rules: [Rule; 3] = [(Kind::Same, &whole), (Kind::Changed, &call), (Kind::Changed, &subject)];
    let mut pairs = paired([acts[0].len(), acts[1].len()], &rules);
    let order = |pair: &Pair| {
        let side = usize::from(pair.at[1].is_some());
        let act = pair.at[side].map(|at| &acts[side][at].entry.r);
        act.map(|r| (r.lane, r.step, r.stage, pair.at[side], side))
    };
    sorted::by(&mut pairs, |a, b| order(a) < order(b));
    let mut calls = Calls { acts, pairs, slow: Vec::new() };
    calls.find_slow();
    calls
}

/// A program does the same thing as often as chance lets it: each of its calls counts once.
fn once(all: Vec<Act>) -> Vec<Act> {
    let mut order: Vec<usize> = (0..all.len()).filter(|at| all[*at].entry.is_programs()).collect();
    let name = |at: &usize| (&all[*at].steady.call, all[*at].steady.result, *at);
    sorted::by(&mut order, |a, b| name(a) < name(b));
    let mut again = vec![false; all.len()];
    for two in order.windows(2) {
        let [one, other] = [two[0], two[1]];
        again[other] =
            all[one].steady.call == all[other].steady.call && all[one].steady.result == all[other].steady.result;
    }
    all.into_iter().zip(again).filter(|(_, again)| !again).map(|(act, _)| act).collect()
}

impl<'a> Calls<'a> {
    pub fn is_same(&self) -> bool {
        self.pairs.iter().all(|pair| pair.kind == Kind::Same)
    }

    pub fn act(&self, pair: &Pair, side: usize) -> Option<&Act<'a>> {
        pair.at[side].map(|at| &self.acts[side][at])
    }

    /// The call of a pair: the second trace's, where both have it.
    pub fn either(&self, pair: &Pair) -> Option<&Act<'a>> {
        self.act(pair, 1).or_else(|| self.act(pair, 0))
    }

    /// How long the call of a pair took on both sides, if that is known.
    pub fn times(&self, pair: &Pair) -> Option<[u64; 2]> {
        let time = |side| {
            let entry = self.act(pair, side)?.entry;
            let counts = !entry.is_programs() && entry.r.lane != Lane::Watcher as u8 && entry.r.state == RETURNED;
            counts.then_some(entry.r.duration_ns)
        };
        Some([time(0)?, time(1)?])
    }

    fn find_slow(&mut self) {
        let more = |at: &usize| self.times(&self.pairs[*at]).map_or(0, |[one, other]| one.abs_diff(other));
        let tells = |at: &usize| {
            let twice = |[one, other]: [u64; 2]| one.max(other) > 2 * one.min(other);
            let waits = self
                .either(&self.pairs[*at])
                .is_some_and(|act| WAITS.split(' ').any(|name| name == act.entry.r.name()));
            more(at) > if waits { WAITED } else { NOISE } && self.times(&self.pairs[*at]).is_some_and(twice)
        };
        let mut slow: Vec<usize> = (0..self.pairs.len()).filter(tells).collect();
        sorted::by(&mut slow, |a, b| more(a) > more(b));
        slow.truncate(TOLD);
        self.slow = slow;
    }
}

/// The section of a call: its process and its step.
pub fn section(act: &Act) -> String {
    format!("{}: {}", lane_name(act.entry.r.lane), Step::of(act.entry.r.step).text().1)
}
