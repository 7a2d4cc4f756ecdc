//! A trace in one line: when it began, how long it took, how many calls there were, how it ended. May touch: the recorder.

use super::life::{Entry, entries, made};
use super::piece::Piece;
use crate::host::time;
use syscalls::flags::signal_name;
use syscalls::record::OUT;

/// What is known of a whole trace.
pub struct Brief {
    /// When it began, by the clock of its records, and when its last call ended.
    pub began: u64,
    pub ended: u64,
    /// When its file was moved to those of containers that are gone.
    pub kept: Option<u64>,
    /// How long its commands took, together.
    pub took: u64,
    pub calls: usize,
    pub refused: usize,
    /// The call that ended the last command with an error: its name and its errno.
    pub failed: Option<(&'static str, &'static str)>,
    /// How the program ended, if a command waited for it.
    pub program: Option<String>,
}

/// Reads a trace.
pub fn brief(pieces: &[Piece]) -> Brief {
    let all = entries(pieces, false);
    let last = all.last().map(|last| last.piece as *const Piece);
    let failed = all.iter().rev().find(|entry| entry.ended && Some(entry.piece as *const Piece) == last);
    Brief {
        began: all.iter().map(|entry| entry.r.start_ns).min().unwrap_or(0),
        ended: all.iter().map(Entry::returned).max().unwrap_or(0),
        kept: all.iter().find(|entry| moves(entry)).map(|entry| entry.r.start_ns),
        took: took(&all),
        calls: made(&all),
        refused: all.iter().filter(|entry| entry.refused().is_some()).count(),
        failed: failed.and_then(|entry| Some((entry.r.call.name(), entry.refused()?.name()))),
        program: all
            .iter()
            .rev()
            .filter(|entry| entry.is_machines())
            .find_map(ended)
            .or_else(|| all.iter().rev().find_map(ended)),
    }
}

fn moves(entry: &Entry) -> bool {
    !entry.is_machines() && entry.r.call.name() == "renameat2" && entry.r.source().file == "state/traces.rs"
}

/// How the program ended, if this record tells.
fn ended(entry: &Entry) -> Option<String> {
    let waits = entry.r.call.name() == "waitid" && entry.step() == "wait" && entry.r.ret == 0;
    let info = entry.r.blob(2 | OUT).filter(|_| waits)?;
    let number = |at: usize| Some(i32::from_ne_bytes(info.bytes.get(at..at + 4)?.try_into().ok()?));
    // siginfo_t of SIGCHLD (sigaction(2)): si_code and si_status.
    match (number(8)?, number(24)?) {
        (libc::CLD_EXITED, status) => Some(format!("exit status {status}")),
        (libc::CLD_KILLED | libc::CLD_DUMPED, signal) => Some(format!("{}", signal_name(signal))),
        _ => None,
    }
}

/// How long the commands of a trace took, together: the time between two commands does not count.
pub fn took(all: &[Entry]) -> u64 {
    let mut spans: Vec<(*const Piece, u64, u64)> = Vec::new();
    for entry in all {
        let (from, to) = (entry.r.start_ns, entry.returned());
        match spans.iter_mut().find(|(piece, _, _)| core::ptr::eq(*piece, entry.piece)) {
            Some((_, _, end)) => *end = to.max(*end),
            None => spans.push((entry.piece, from, to)),
        }
    }
    spans.iter().map(|(_, from, to)| to.saturating_sub(*from)).sum()
}

/// A time of day with its date, in UTC: `2026-11-29 10:30:48`.
pub fn day(ns: u64) -> String {
    time::rfc3339(ns).get(..19).unwrap_or("").replace('T', " ")
}
