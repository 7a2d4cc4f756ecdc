//! Stacks for flame graphs, a line each: lane, step, call, and how many microseconds that took in all. The frame `between calls`
//! has the time before a call in which its process made none. May touch: the views of traces.

use crate::plan::show::lane_name;
use crate::trace::{self, Piece, by_process};

const BETWEEN: &str = "between calls";

/// The stacks of a trace, one process after the other.
pub fn stacks(pieces: &[Piece]) -> String {
    let mut entries = trace::entries(pieces, false);
    entries.retain(|entry| !entry.is_event());
    let mut stacks: Vec<([&str; 3], u64)> = Vec::new();
    for process in by_process(&entries) {
        let mut before = None;
        for entry in process.into_iter().map(|at| &entries[at]) {
            let (lane, step) = (lane_name(entry.r.lane), entry.step());
            if let Some(before) = before.replace(entry.returned()) {
                add(&mut stacks, [lane, step, BETWEEN], entry.r.start_ns.saturating_sub(before));
            }
            add(&mut stacks, [lane, step, entry.r.name()], entry.r.duration_ns);
        }
    }
    let mut text = String::new();
    for (stack, ns) in &stacks {
        // What rounds to nothing has no width.
        let us = ns.saturating_add(500) / 1000;
        if us > 0 {
            text.push_str(&format!("{} {us}\n", stack.join(";")));
        }
    }
    text
}

fn add<'e>(stacks: &mut Vec<([&'e str; 3], u64)>, stack: [&'e str; 3], ns: u64) {
    match stacks.iter_mut().find(|(known, _)| *known == stack) {
        Some((_, sum)) => *sum = sum.saturating_add(ns),
        None => stacks.push((stack, ns)),
    }
}
