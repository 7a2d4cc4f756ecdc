//! Refusals: which of them are part of a command that succeeds, and why. The reasons are data, in expected.txt. May touch: the
//! recorder.

use super::life::Entry;
use syscalls::Errno;

const TABLE: &str = include_str!("expected.txt");

/// How a call ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    Done,
    /// It was refused, as was to be expected; and why.
    Expected(&'static str),
    /// It was refused, and the command went on.
    WentOn,
    /// It was refused, and that ended the command.
    Ended,
}

/// How the call of a record ended.
pub fn verdict(entry: &Entry) -> Verdict {
    match entry.refused() {
        None => Verdict::Done,
        Some(_) if entry.ended => Verdict::Ended,
        // What a program is refused, and not by the container, is its own matter.
        Some(_) if entry.is_programs() && entry.r.why().is_empty() => Verdict::Done,
        Some(errno) => reason(entry, errno).map_or(Verdict::WentOn, Verdict::Expected),
    }
}

fn reason(entry: &Entry, errno: Errno) -> Option<&'static str> {
    let lines = TABLE.lines().filter(|line| !line.starts_with('#'));
    let mut rows = lines.filter_map(|line| line.split_once(": "));
    rows.find(|(head, _)| fits(entry, errno, head)).map(|(_, reason)| reason)
}

fn fits(entry: &Entry, errno: Errno, head: &str) -> bool {
    let mut words = head.split(' ');
    let call = words.next().is_some_and(|call| call == "*" || call == entry.r.call.name());
    let errno = words.next().is_some_and(|word| word == "*" || word == errno.name());
    call && errno && words.all(|place| entry.is_at(place))
}
