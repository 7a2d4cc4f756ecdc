//! A trace as Chromium's trace events, which ui.perfetto.dev and chrome://tracing show: a track for each process, on it steps,
//! stages and calls, and an arrow from each call to the one that waited for it. The format is that of "Trace Event Format" in
//! the documents of Chromium. May touch: the views of traces.

use crate::outcome::visible;
use crate::plan::Step;
use crate::plan::show::lane_name;
use crate::trace::{self, Entry, Piece, by_process};
use syscalls::record::RETURNED;
use syscalls::show;

/// The events while they are written. All processes are threads of one, so that they stand together.
struct Events {
    text: String,
    /// The number of that process, and the time of the first call.
    pid: i32,
    began: u64,
}

/// The events of a trace.
pub fn events(name: &str, pieces: &[Piece]) -> String {
    let entries = trace::entries(pieces, false);
    let first = entries.first();
    let mut events = Events {
        text: "{\"displayTimeUnit\":\"ns\",\"traceEvents\":[".into(),
        pid: first.map_or(0, |first| first.pid),
        began: first.map_or(0, |first| first.r.start_ns),
    };
    events.name("process_name", events.pid, name);
    for lane in by_process(&entries) {
        let lane: Vec<&Entry> = lane.into_iter().map(|at| &entries[at]).collect();
        events.name("thread_name", lane[0].pid, lane_name(lane[0].r.lane));
        // Of slices that begin together, the outer one has to come first.
        events.outer(&lane, false);
        events.outer(&lane, true);
    }
    entries.iter().for_each(|entry| events.call(entry));
    for (at, other) in trace::heard(&entries).into_iter().enumerate() {
        if let Some(other) = other {
            events.arrow(&entries[other], &entries[at], at);
        }
    }
    events.text.push_str("\n]}\n");
    events.text
}

impl Events {
    /// Writes an event: its phase, what it is of, and the rest of it.
    fn event(&mut self, phase: &str, tid: i32, rest: &str) {
        let comma = if self.text.ends_with('[') { "" } else { "," };
        let pid = self.pid;
        self.text.push_str(&format!("{comma}\n{{\"ph\":\"{phase}\",\"pid\":{pid},\"tid\":{tid},{rest}}}"));
    }

    fn name(&mut self, what: &str, tid: i32, name: &str) {
        self.event("M", tid, &format!("\"name\":\"{what}\",\"args\":{{\"name\":{}}}", quoted(name)));
    }

    /// `"ts":12.345`: microseconds since the first call.
    fn at(&self, ns: u64) -> String {
        format!("\"ts\":{}", us(ns.saturating_sub(self.began)))
    }

    /// A slice around the calls in a row that are of one step, or of one stage of it.
    fn outer(&mut self, lane: &[&Entry], stages: bool) {
        let same = |a: &&Entry, b: &&Entry| a.r.step == b.r.step && (!stages || a.stage == b.stage);
        for run in lane.chunk_by(same) {
            let first = run[0];
            let (name, about) = if stages { (first.stage.as_str(), "") } else { Step::of(first.r.step).text() };
            if name.is_empty() {
                continue;
            }
            let end = run.iter().map(|entry| entry.returned()).max().unwrap_or(0);
            let (at, took) = (self.at(first.r.start_ns), us(end.saturating_sub(first.r.start_ns)));
            let args = format!("\"args\":{{\"about\":{}}}", quoted(about));
            self.event("X", first.pid, &format!("\"name\":{},{at},\"dur\":{took},{args}", quoted(name)));
        }
    }

    fn call(&mut self, entry: &Entry) {
        let r = &entry.r;
        let (mut call, mut result) = (String::new(), String::new());
        // Writing to a String cannot fail.
        let _ = show::call(r, &mut call);
        let _ = show::result(r, &mut result);
        let pointer = entry.piece.pointer(r);
        let args = [
            ("call", &*call),
            ("result", result.trim()),
            ("why", r.why()),
            ("pointer", pointer),
            ("source", &r.source().to_string()),
        ];
        let args = args.into_iter().filter(|(_, value)| !value.is_empty());
        let mut args: Vec<String> = args.map(|(key, value)| format!("\"{key}\":{}", quoted(value))).collect();
        args.push(format!("\"line\":{}", r.line));
        let (name, at, args) = (quoted(r.name()), self.at(r.start_ns), args.join(","));
        // An instant, where no end is known.
        let (phase, more) = match r.state {
            RETURNED if !entry.is_event() => ("X", format!("\"dur\":{}", us(r.duration_ns))),
            _ => ("i", "\"s\":\"t\"".into()),
        };
        let rest = format!("\"name\":{name},\"cat\":\"{}\",{at},{more},\"args\":{{{args}}}", entry.step());
        self.event(phase, entry.pid, &rest);
    }

    /// An arrow from the call that another one waited for. It begins and ends inside of the slices of both.
    fn arrow(&mut self, from: &Entry, to: &Entry, number: usize) {
        // A call without an end is no slice: `exit_group`, which closes what another one waits at.
        if [from.r.state, to.r.state] != [RETURNED; 2] {
            return;
        }
        let (begin, born) = (from.r.start_ns, from.r.call.name() == "clone3");
        let end = if born { to.r.start_ns } else { to.returned().saturating_sub(1).max(to.r.start_ns) };
        let name = if born { "begins" } else { "wakes" };
        let rest = format!("\"name\":\"{name}\",\"cat\":\"lanes\",\"id\":{number}");
        self.event("s", from.pid, &format!("{rest},{}", self.at(begin)));
        self.event("f", to.pid, &format!("{rest},{},\"bp\":\"e\"", self.at(end.max(begin))));
    }
}

fn us(ns: u64) -> String {
    format!("{}.{:03}", ns / 1000, ns % 1000)
}

fn quoted(text: &str) -> String {
    serde_json::to_string(&visible(text)).unwrap_or_default()
}
