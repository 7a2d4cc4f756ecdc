//! The view of a trace as strace writes it, with the times and names that strace's own options add. May touch: the recorder.

use super::call;
use super::life::Entry;
use super::text::clock;
use crate::cli::TraceCmd;
use core::fmt::Write;
use syscalls::record::RETURNED;
use syscalls::show::{self, Sort, sort};

/// The column in which results begin (strace's `-a`).
const COLUMN: usize = 40;

/// One line. `before`: when the call before was made, or 0. Writing to a String cannot fail.
pub fn line(entry: &Entry, look: &TraceCmd, epoch: u64, before: u64, out: &mut String) {
    let r = &entry.r;
    if !look.names && !look.relative && !look.duration && look.time == 0 {
        let _ = show::strace_line(r, entry.pid, out);
        return;
    }
    let _ = write!(out, "{:<5} ", entry.pid);
    let mut line = clock(r.start_ns, look, epoch, before);
    if entry.is_event() {
        return out.push_str(&format!("{line}{}\n", call::shown(r, 0)));
    }
    let arg = |i: usize| match sort(r, i) {
        Sort::Descriptor if look.names => call::descriptor(entry, i, usize::MAX),
        _ => call::shown(r, i),
    };
    let args: Vec<String> = (0..r.argc).map(arg).collect();
    let _ = write!(line, "{}({}) ", r.name(), args.join(", "));
    let _ = write!(out, "{line:<width$}= ", width = COLUMN - 6);
    let _ = show::result(r, out);
    if let Some(name) = entry.named.opened.as_ref().filter(|_| look.names) {
        let _ = write!(out, "<{name}>");
    }
    if look.duration && r.state == RETURNED {
        let _ = write!(out, " <{}.{:06}>", r.duration_ns / 1_000_000_000, r.duration_ns / 1000 % 1_000_000);
    }
    out.push('\n');
}
