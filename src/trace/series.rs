//! Many starts of one bundle: of each time the median and the spread. May touch: the recorder.

use super::start::{Kind, Start};
use super::text::duration;
use super::timing::{Spent, calls, steps};
use crate::sorted;
use core::cmp::Reverse;

/// So many calls are shown.
const CALLS: usize = 10;
/// The columns: so many percent of the runs were at least as fast.
const HEADS: &str = "   median      p10      p90  fastest  slowest";
const PARTS: [usize; 5] = [50, 10, 90, 0, 100];

/// The times of one thing, a time for each run.
struct Times {
    name: String,
    ns: Vec<u64>,
}

/// The starts.
#[derive(Default)]
pub struct Series {
    starts: Vec<u64>,
    kinds: Vec<Times>,
    steps: Vec<Times>,
    calls: Vec<Times>,
}

impl Series {
    pub fn add(&mut self, start: &Start) {
        let run = self.starts.len();
        self.starts.push(start.wall());
        let all = Spent::of_all(&start.path);
        for (kind, name) in [(Kind::Kernel, "in the kernel"), (Kind::Ours, "between calls"), (Kind::Waiting, "waiting")]
        {
            note(&mut self.kinds, run, name, all.of(kind));
        }
        for (name, spent) in steps(start) {
            note(&mut self.steps, run, name, spent.all());
        }
        for (name, spent) in calls(start).into_iter().filter(|(_, spent)| spent.calls > 0) {
            note(&mut self.calls, run, name, spent.all());
        }
    }

    pub fn runs(&self) -> usize {
        self.starts.len()
    }

    /// The places of the fastest run and of the slowest.
    pub fn ends(&self) -> Option<(usize, usize)> {
        let all = self.starts.iter().enumerate();
        let fastest = all.clone().min_by_key(|(_, ns)| **ns)?.0;
        Some((fastest, all.max_by_key(|(_, ns)| **ns)?.0))
    }

    /// The tables, 72 columns wide.
    pub fn text(&self) -> String {
        let runs = self.runs();
        let mut text = format!("{:<27}{HEADS}\n", "");
        let start = Times { name: "start".into(), ns: self.starts.clone() };
        row("", &start, runs, &mut text);
        self.kinds.iter().for_each(|times| row("  ", times, runs, &mut text));
        text.push_str("step of the critical path\n");
        self.steps.iter().for_each(|times| row("  ", times, runs, &mut text));
        let median = |times: &Times| part(&times.ns, runs, 50);
        let mut dear: Vec<&Times> = self.calls.iter().collect();
        sorted::by(&mut dear, |a, b| (Reverse(median(a)), &a.name) < (Reverse(median(b)), &b.name));
        text.push_str("call of the critical path\n");
        dear.into_iter().take(CALLS).for_each(|times| row("  ", times, runs, &mut text));
        text
    }
}

/// Notes a time of a run. What a run has not done took it no time.
fn note(all: &mut Vec<Times>, run: usize, name: &str, ns: u64) {
    let place = all.iter().position(|times| times.name == name).unwrap_or(all.len());
    if place == all.len() {
        all.push(Times { name: name.into(), ns: Vec::new() });
    }
    all[place].ns.resize(run, 0);
    all[place].ns.push(ns);
}

fn row(indent: &str, times: &Times, runs: usize, text: &mut String) {
    let columns = PARTS.map(|percent| format!("{:>9}", duration(part(&times.ns, runs, percent))));
    text.push_str(&format!("{:<27}{}\n", format!("{indent}{}", times.name), columns.concat()));
}

/// The time that so many percent of the runs did not exceed.
fn part(ns: &[u64], runs: usize, percent: usize) -> u64 {
    let mut sorted = ns.to_vec();
    sorted.resize(runs, 0);
    sorted::sort(&mut sorted);
    let place = (runs * percent).div_ceil(100).max(1) - 1;
    sorted.get(place).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_runs() {
        let ns: Vec<u64> = (1..=50).rev().collect();
        assert_eq!(PARTS.map(|percent| part(&ns, 50, percent)), [25, 5, 45, 1, 50]);
        assert_eq!([part(&[], 0, 50), part(&[7], 1, 10), part(&[1, 9], 2, 50)], [0, 7, 1]);
    }

    #[test]
    fn what_a_run_has_not_done_took_it_no_time() {
        let mut all = Vec::new();
        note(&mut all, 0, "hooks", 4);
        note(&mut all, 2, "hooks", 6);
        assert_eq!(all[0].ns, [4, 0, 6]);
        assert_eq!([50, 100].map(|percent| part(&all[0].ns, 4, percent)), [0, 6]);
    }
}
