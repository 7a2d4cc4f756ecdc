//! Reading what strace wrote, and comparing it call for call with what `nk-runtime` says of itself.
//!
//! ```text
//!   strace -f -o FILE ...          1234  read(3,  <unfinished ...>         one call, two lines
//!                                  1235  close(4) = 0
//!                                  1234  <... read resumed>"x", 1) = 1
//!   nk-runtime --trace=strace      1234  read(3, "x", 1) = 1               always one
//! ```
//! Compared are, per process and in order, name, arguments and result. Taken out of strace's side, and nothing else:
//! - of the first process, the execve that made it: no libc starts it, so its first own call is ours already;
//! - what a process does after a successful execve: that is the container's program;
//! - the calls at the end that put the trace itself on display, asserted to be nothing but that: see [`Lane::tail`];
//! - a call that the kernel began anew after a signal: to the process, it was made once.

use crate::bundle::tool;
use crate::{Failed, Outcome, ensure};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// A command under strace, which lists the calls of all processes. `-a 1`: one space before the result. Signals are no
/// calls. `options`: what strace shall inject.
pub fn traced<O: AsRef<std::ffi::OsStr>>(
    inner: &Command,
    listing: &Path,
    options: impl IntoIterator<Item = O>,
) -> Result<Command, Failed> {
    let mut command = Command::new(tool("strace")?);
    command
        .args(["-f", "-a", "1", "--signal=none", "--quiet=attach", "-o"])
        .arg(listing)
        .args(options)
        .arg(inner.get_program())
        .args(inner.get_args())
        .current_dir("/")
        .stdin(Stdio::null());
    Ok(command)
}

/// The same with an end to its time: a hang is a failure of its call, and not of the whole case.
pub fn traced_in_time<O: AsRef<std::ffi::OsStr>>(
    inner: &Command,
    listing: &Path,
    options: impl IntoIterator<Item = O>,
) -> Result<Command, Failed> {
    let strace = traced(inner, listing, options)?;
    let mut command = Command::new(tool("timeout")?);
    command
        .args(["-s", "KILL", "30"])
        .arg(strace.get_program())
        .args(strace.get_args())
        .current_dir("/")
        .stdin(Stdio::null());
    Ok(command)
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub pid: i32,
    pub name: String,
    pub args: String,
    /// `?` if it never returned.
    pub result: String,
}

impl Call {
    pub fn show(&self) -> String {
        format!("{}({}) = {}", self.name, self.args, self.result)
    }

    /// `ours` says the same. Of a call that never returned strace has shown the arguments that were known by then.
    fn agrees(&self, ours: &Call) -> bool {
        if self.name != ours.name {
            return false;
        }
        if self.result != "?" {
            return self.args == ours.args && (self.result == ours.result || interrupted(self, ours));
        }
        let known = self.args.trim_end_matches([',', ' ']);
        ours.result == "?" && ours.args.trim_end_matches([',', ' ']).starts_with(known)
    }
}

/// strace sees the kernel's own number for "begin anew unless a handler ran", the process sees EINTR.
fn interrupted(strace: &Call, ours: &Call) -> bool {
    strace.result.starts_with("? ERESTART") && ours.result.starts_with("-1 EINTR")
}

/// Reads a listing of either side into calls, in the order in which they were begun.
pub fn parse(text: &str) -> Result<Vec<Call>, Failed> {
    let mut calls: Vec<Call> = Vec::new();
    // For each process the index of its call that has not returned, and that call's text so far.
    let mut open: BTreeMap<i32, (usize, String)> = BTreeMap::new();
    for line in text.lines() {
        let make_sense = || Failed::from(format!("no line of a trace: {line}"));
        let (pid, rest) = line.split_once(' ').ok_or_else(make_sense)?;
        let pid: i32 = pid.parse().map_err(|_| make_sense())?;
        let rest = rest.trim_start();
        if rest.starts_with("+++") || rest.starts_with("---") {
            continue;
        }
        if let Some(resumed) = rest.strip_prefix("<... ") {
            let (_, end) = resumed.split_once(" resumed>").ok_or_else(make_sense)?;
            let (index, begin) = open.remove(&pid).ok_or_else(make_sense)?;
            calls[index] = match end.trim_start().strip_prefix("<unfinished ...>") {
                Some(_) => unfinished(pid, &begin).ok_or_else(make_sense)?,
                None => whole(pid, &format!("{begin}{end}")).ok_or_else(make_sense)?,
            };
            continue;
        }
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            open.insert(pid, (calls.len(), begin.into()));
            calls.push(unfinished(pid, begin).ok_or_else(make_sense)?);
            continue;
        }
        calls.push(whole(pid, rest).ok_or_else(make_sense)?);
    }
    Ok(begun_once(calls))
}

/// `name(args) = result`. Results hold no ` = `, so the last one parts them.
fn whole(pid: i32, text: &str) -> Option<Call> {
    let (left, result) = text.rsplit_once(" = ")?;
    let (name, args) = left.trim_end().strip_suffix(')')?.split_once('(')?;
    let args = args.trim_end_matches(" <unfinished ...>");
    // Newer versions of strace show the likeliest name of a request alone.
    let args = args.replace("SNDCTL_TMR_START or TCSETS", "TCSETS");
    Some(Call { pid, name: name.into(), args, result: result.into() })
}

fn unfinished(pid: i32, begin: &str) -> Option<Call> {
    let (name, args) = begin.split_once('(')?;
    Some(Call { pid, name: name.into(), args: args.into(), result: "?".into() })
}

/// Takes out calls that a signal interrupted and that the kernel then began anew with the same arguments.
fn begun_once(calls: Vec<Call>) -> Vec<Call> {
    let again = |index: usize, call: &Call| {
        let next = calls.iter().skip(index + 1).find(|next| next.pid == call.pid);
        next.is_some_and(|next| next.name == call.name && anew(&call.args, &next.args))
    };
    let stays = |(index, call): &(usize, &Call)| !(call.result.starts_with("? ERESTART") && again(*index, call));
    calls.iter().enumerate().filter(stays).map(|(_, call)| call.clone()).collect()
}

/// Whether these arguments are those of the interrupted call. Of what the kernel had not filled in by then strace shows
/// the address alone.
fn anew(interrupted: &str, next: &str) -> bool {
    let known = interrupted.split(", 0x").next();
    interrupted == next || known.is_some_and(|known| next.starts_with(&format!("{known}, ")))
}

/// One process's calls as far as they are the runtime's own.
#[derive(Debug, Default)]
pub struct Lane {
    pub calls: Vec<Call>,
    /// Which of all its process's calls each of them is.
    pub places: Vec<usize>,
    /// From the opening of the trace file to the end: putting the trace on display. Our listing was made before, or
    /// while, these were: it may have the first of them.
    pub tail: Vec<Call>,
}

/// The runtime's own lanes out of a strace listing, the process that was called first. A process has the number by which
/// its parent knows it: that of a hook which init runs is of the container's pid namespace.
pub fn lanes(calls: &[Call], trace_file: &str) -> Result<Vec<(i32, Lane)>, Failed> {
    let first = calls.first().ok_or("strace saw no call")?.pid;
    let mut waiting = vec![(first, first)];
    let mut found = Vec::new();
    let mut claimed = vec![first];
    let mut inner = Vec::new(); // children that their parent knows by a number of its own namespace
    loop {
        let (pid, name) = match (waiting.pop(), inner.is_empty()) {
            (Some(next), _) => next,
            (None, true) => break,
            (None, false) => {
                let number: i32 = inner.remove(0);
                let next = calls.iter().map(|call| call.pid).find(|pid| !claimed.contains(pid));
                let next = next.ok_or("strace saw no process for a clone")?;
                claimed.push(next);
                (next, number)
            }
        };
        let all: Vec<&Call> = calls.iter().filter(|call| call.pid == pid).collect();
        let skip = if pid == first { start_up(&all)? } else { 0 };
        let mut lane = Lane::default();
        let mut showing = None;
        let mut rest = &all[skip..];
        while let Some((call, behind)) = rest.split_first() {
            rest = behind;
            if call.name == "openat" && call.args.contains(trace_file) {
                showing = Some(call.result.clone());
            }
            if let Some(fd) = &showing {
                displays(call, fd)?;
                lane.tail.push((*call).clone());
                continue;
            }
            lane.calls.push((*call).clone());
            lane.places.push(all.len() - behind.len() - 1);
            if call.name.starts_with("clone") && call.result.parse::<i32>().is_ok_and(|child| child > 0) {
                let child = call.result.parse()?;
                match calls.iter().any(|call| call.pid == child) {
                    true => {
                        claimed.push(child);
                        waiting.push((child, child));
                    }
                    false => inner.push(child),
                }
            }
            if call.name == "execve" && call.result == "0" {
                break;
            }
        }
        found.push((name, lane));
    }
    Ok(found)
}

/// How many calls made the process what it is: execve, and on a processor that is too old for the other way (see
/// `set_thread_pointer`) one more.
fn start_up(calls: &[&Call]) -> Result<usize, Failed> {
    let name = |at: usize| calls.get(at).map_or("nothing", |call| call.name.as_str());
    match (name(0), name(1)) {
        ("execve", "arch_prctl") => Ok(2),
        ("execve", _) => Ok(1),
        (first, _) => Err(format!("the first process begins with {first}, not with execve").into()),
    }
}

/// Fails unless the call does nothing but put the trace on display, or ends the process.
fn displays(call: &Call, fd: &str) -> Outcome {
    let on_file = call.args == fd || call.args.starts_with(&format!("{fd}, "));
    let fits = match call.name.as_str() {
        "openat" => call.result == fd,
        "fstat" | "write" | "close" => on_file,
        name => name == "exit_group",
    };
    ensure!(fits, "after the trace was made, its display is all that may happen, not: {}", call.show());
    Ok(())
}

/// What a listing of ours may lack.
#[derive(Clone, Copy, PartialEq)]
pub enum Reach {
    /// It was made when all lanes had come to their end.
    Complete,
    /// The container's lane was killed: between the record of a call and the call, or the call's end and its record.
    Killed,
    /// It was made while the container's lane went on: of that lane it may show the beginning.
    StillRunning,
}

/// Fails with a readable difference unless `ours` tells of each lane what strace saw.
pub fn compare(strace: &[(i32, Lane)], ours: &[Call], reach: Reach) -> Outcome {
    let mut report = Vec::new();
    for (number, (pid, lane)) in strace.iter().enumerate() {
        let mut mine: Vec<Call> = ours.iter().filter(|call| call.pid == *pid).cloned().collect();
        let mut theirs = lane.calls.clone();
        if number > 0 && reach == Reach::Killed {
            level_last(&mut theirs, &mut mine);
        }
        let shown = mine.len().saturating_sub(theirs.len());
        theirs.extend(lane.tail.iter().take(shown).cloned());
        // A hook may be run later still; init is there.
        if reach == Reach::StillRunning && (number > 1 || number == 1 && !mine.is_empty()) {
            theirs.truncate(mine.len());
            // Ours was asked while this call was on its way; strace saw it return.
            if let (Some(last), Some(end)) = (theirs.last_mut(), mine.last())
                && end.result == "?"
            {
                last.result = "?".into();
                last.args = end.args.clone();
            }
        }
        report.extend(difference(*pid, &theirs, &mine));
    }
    let strangers = ours.iter().filter(|call| strace.iter().all(|(pid, _)| call.pid != *pid));
    report.extend(strangers.map(|call| format!("of no process that strace saw: {} {}", call.pid, call.show())));
    ensure!(report.is_empty(), "strace (-) and our trace (+) differ:\n{}", first(&report));
    Ok(())
}

/// The last call of a process that SIGKILL ended: either side may have been too late for its end, and of one that was
/// dead already strace 6.1 prints whatever call it had read last, of any process.
fn level_last(theirs: &mut [Call], mine: &mut Vec<Call>) {
    if mine.last().is_none_or(|last| last.result != "?") {
        return;
    }
    if mine.len() == theirs.len() + 1 {
        mine.pop();
    } else if let (Some(their), Some(own)) = (theirs.last_mut(), mine.last())
        && (their.name == own.name || their.result == "?")
    {
        *their = own.clone();
    }
}

fn first(report: &[String]) -> String {
    let mut text = report.iter().take(24).cloned().collect::<Vec<_>>().join("\n");
    if report.len() > 24 {
        text += &format!("\n... and {} lines more", report.len() - 24);
    }
    text
}

/// The shortest list of lines to take away and to add, with the line before each as a place to look.
pub fn difference(pid: i32, theirs: &[Call], mine: &[Call]) -> Vec<String> {
    let (rows, columns) = (theirs.len(), mine.len());
    // common[i][j]: the length of the longest common sequence of theirs[i..] and mine[j..].
    let mut common = vec![vec![0u32; columns + 1]; rows + 1];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            let (down, right) = (common[i + 1][j], common[i][j + 1]);
            common[i][j] = if theirs[i].agrees(&mine[j]) { common[i + 1][j + 1] + 1 } else { down.max(right) };
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut lines = Vec::new();
    let mut said_where = usize::MAX;
    while i < rows || j < columns {
        if i < rows && j < columns && theirs[i].agrees(&mine[j]) {
            (i, j) = (i + 1, j + 1);
            continue;
        }
        if said_where != i.wrapping_sub(1) && i > 0 {
            lines.push(format!("{pid} call {i}:   {}", theirs[i - 1].show()));
        }
        if i < rows && (j == columns || common[i + 1][j] >= common[i][j + 1]) {
            lines.push(format!("{pid} call {}: - {}", i + 1, theirs[i].show()));
            said_where = i;
            i += 1;
        } else {
            lines.push(format!("{pid}         + {}", mine[j].show()));
            said_where = i.wrapping_sub(1);
            j += 1;
        }
    }
    lines
}
