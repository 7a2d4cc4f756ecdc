//! What strace wrote, read back: processes, calls, arguments, results, times. Lines of a call that others have interrupted are
//! joined. Every line is kept with its number; one that cannot be read is kept as it is, with the reason. May touch: lists.

mod line;
mod parts;

pub use line::{Clock, What};
pub use parts::parts;

use crate::sorted;
use alloc::borrow::Cow;
use line::{End, Says, Written};

/// All that strace wrote.
#[derive(Default, Debug)]
pub struct Listing<'a> {
    pub lines: Vec<Line<'a>>,
    /// In the order in which they were begun.
    pub calls: Vec<Call<'a>>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line<'a> {
    /// Which of the texts it stands in, and its number there, from 1 on.
    pub file: usize,
    pub number: usize,
    pub pid: i32,
    pub text: &'a str,
    pub what: What,
}

/// One call of one process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Call<'a> {
    /// The line in which it begins, by its place among all lines.
    pub line: usize,
    pub pid: i32,
    pub name: &'a str,
    /// When it was begun, in nanoseconds, if the listing has times: since midnight, since 1970, or since the first line.
    pub at: Option<u64>,
    /// The arguments, the bracket and the result.
    text: Cow<'a, str>,
    end: End,
}

impl Call<'_> {
    /// The arguments, as they were written.
    pub fn inner(&self) -> &str {
        let inner = &self.text[..self.end.inner];
        line::without_open(inner).unwrap_or(inner).trim_end().trim_end_matches(',')
    }

    /// The arguments, one by one. Of a call that has not returned: those that were known.
    pub fn args(&self) -> Vec<&str> {
        match self.inner().trim() {
            "" => Vec::new(),
            inner => parts(inner),
        }
    }

    /// What it returned, with the words after it: `-1 ENOENT (No such file or directory)`. `?`: it has not returned.
    pub fn result(&self) -> &str {
        let [begin, end] = self.end.result;
        if begin == end { "?" } else { &self.text[begin..end] }
    }

    /// The number that it returned. None: it has not returned, or was refused.
    pub fn number(&self) -> Option<i64> {
        let word = self.result().split([' ', '<']).next()?;
        match word.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok().map(|number| number as i64),
            None => word.parse().ok().filter(|_| self.errno().is_none()),
        }
    }

    /// The name of the error by which it was refused.
    pub fn errno(&self) -> Option<&str> {
        let word = self.result().strip_prefix("-1 ")?.split(' ').next()?;
        word.starts_with('E').then_some(word)
    }

    /// Whether it has returned.
    pub fn is_done(&self) -> bool {
        !self.result().starts_with('?')
    }

    /// `-T`: how long it took, in nanoseconds.
    pub fn took(&self) -> Option<u64> {
        self.end.took
    }

    /// `mount("proc", "/proc", "proc", 0, NULL)`.
    pub fn shown(&self) -> String {
        format!("{}({})", self.name, self.inner())
    }
}

impl<'a> Listing<'a> {
    /// Reads what `strace -o FILE` wrote, or what it wrote to standard error: one text, with the number 0. What `strace -ff` wrote
    /// is a text for each process, with its number.
    pub fn of(texts: &[(i32, &'a str)]) -> Listing<'a> {
        let mut reader = Reader::default();
        for (file, (pid, text)) in texts.iter().enumerate() {
            reader.text(file, *pid, text);
        }
        let mut all = reader.listing;
        if texts.len() > 1 {
            all.put_in_order();
        }
        all
    }

    /// The lines that could not be read, and why.
    pub fn unread(&self) -> impl Iterator<Item = (&Line<'a>, &'static str)> {
        self.lines.iter().filter_map(|line| match line.what {
            What::Unread(why) => Some((line, why)),
            _ => None,
        })
    }

    /// The processes, in the order of their first calls.
    pub fn pids(&self) -> Vec<i32> {
        let mut all = Vec::new();
        for call in &self.calls {
            if !all.contains(&call.pid) {
                all.push(call.pid);
            }
        }
        all
    }

    /// Puts the calls of several texts into one order: by their times; without times, what a process does stands after the call
    /// that has made it.
    fn put_in_order(&mut self) {
        let mut order: Vec<usize> = (0..self.calls.len()).collect();
        match self.calls.iter().all(|call| call.at.is_some()) {
            true => sorted::by(&mut order, |a, b| (self.calls[*a].at, a) < (self.calls[*b].at, b)),
            false => order = self.by_birth(),
        }
        let mut places = vec![0; order.len()];
        order.iter().enumerate().for_each(|(place, old)| places[*old] = place);
        for line in &mut self.lines {
            match &mut line.what {
                What::Call(call) | What::Rest(call) => *call = places[*call],
                _ => {}
            }
        }
        let mut calls: Vec<(usize, Call)> = places.into_iter().zip(core::mem::take(&mut self.calls)).collect();
        sorted::by(&mut calls, |a, b| a.0 < b.0);
        self.calls = calls.into_iter().map(|(_, call)| call).collect();
    }

    fn by_birth(&self) -> Vec<usize> {
        let of = |pid: i32| self.calls.iter().enumerate().filter(move |(_, call)| call.pid == pid).map(|(at, _)| at);
        let pids = self.pids();
        let mut order: Vec<usize> = Vec::new();
        let mut begun: Vec<i32> = Vec::new();
        let is_child = |pid: i32| self.calls.iter().any(|call| call.pid != pid && call.makes() == Some(pid));
        for first in pids.iter().filter(|pid| !is_child(**pid)).chain(&pids) {
            if begun.contains(first) {
                continue;
            }
            begun.push(*first);
            let mut open: Vec<usize> = of(*first).collect();
            open.reverse();
            while let Some(at) = open.pop() {
                order.push(at);
                if let Some(child) = self.calls[at].makes().filter(|child| !begun.contains(child)) {
                    begun.push(child);
                    let from = open.len();
                    open.extend(of(child));
                    open[from..].reverse();
                }
            }
        }
        order
    }
}

impl Call<'_> {
    /// The process that it has made, by the number that the caller knows.
    pub fn makes(&self) -> Option<i32> {
        let makes = ["clone", "clone2", "clone3", "fork", "vfork"].contains(&self.name);
        self.number().filter(|pid| makes && *pid > 0).and_then(|pid| pid.try_into().ok())
    }
}

/// The way through a text.
#[derive(Default)]
struct Reader<'a> {
    listing: Listing<'a>,
    /// The calls that have not returned: process, place of the call.
    open: Vec<(i32, usize)>,
    /// The line before breaks off in this call.
    broken: Option<usize>,
    /// The time of the newest line, and what is added to a time of day: the days before.
    now: Option<u64>,
    days: u64,
}

const DAY: u64 = 86_400_000_000_000;

impl<'a> Reader<'a> {
    fn text(&mut self, file: usize, of: i32, text: &'a str) {
        self.open.clear();
        (self.now, self.days) = (None, 0);
        let written: Vec<(&str, Written)> = text.lines().map(|line| (line, line::written(line))).collect();
        // On a terminal, strace leaves out the number of the only process that there is.
        let mut alone = if of > 0 { of } else { first(&written) };
        let mut alive: Vec<i32> = vec![alone];
        for (at, (line, written)) in written.iter().enumerate() {
            let pid = written.pid.unwrap_or(alone);
            let clock = self.clock(written.clock);
            let what = match self.broken.take() {
                Some(place) => self.go_on(place, line),
                None => self.take(pid, clock, &written.says),
            };
            let pid = match what {
                What::Rest(place) => self.listing.calls[place].pid,
                _ => pid,
            };
            if !alive.contains(&pid) {
                alive.push(pid);
            }
            if what == What::Ended {
                alive.retain(|other| *other != pid);
                alone = alive.first().copied().unwrap_or(alone);
            }
            self.listing.lines.push(Line { file, number: at + 1, pid, text: line, what });
        }
    }

    fn clock(&mut self, clock: Clock) -> Option<u64> {
        let before = self.now.unwrap_or(0);
        self.now = match (clock.at, clock.since) {
            (Some(at), _) => {
                if at + self.days + DAY / 2 < before {
                    self.days += DAY;
                }
                Some(at + self.days)
            }
            (None, Some(since)) => Some(before.saturating_add(since)),
            (None, None) => return None,
        };
        self.now
    }

    fn take(&mut self, pid: i32, at: Option<u64>, says: &Says<'a>) -> What {
        let line = self.listing.lines.len();
        let place = self.listing.calls.len();
        match *says {
            Says::Call { name, text, end } => {
                self.listing.calls.push(Call { line, pid, name, at, text: Cow::Borrowed(text), end });
                What::Call(place)
            }
            Says::Begun { name, text } | Says::Broken { name, text } => {
                self.broken = matches!(says, Says::Broken { .. }).then_some(place);
                let end = End { inner: text.len(), ..End::default() };
                self.listing.calls.push(Call { line, pid, name, at, text: Cow::Borrowed(text), end });
                self.open.retain(|(other, _)| *other != pid);
                self.open.push((pid, place));
                What::Call(place)
            }
            Says::Resumed { name, text } => self.rest(pid, name, text),
            Says::Other(what) => what,
        }
    }

    /// The line after one that breaks off.
    fn go_on(&mut self, place: usize, line: &'a str) -> What {
        let call = &mut self.listing.calls[place];
        if let Some(more) = line::without_open(line) {
            call.text = Cow::Owned(format!("{}{more}", call.text));
            call.end.inner = call.text.len();
            return What::Rest(place);
        }
        let (pid, name) = (call.pid, call.name);
        self.rest(pid, name, line)
    }

    fn rest(&mut self, pid: i32, name: &'a str, text: &'a str) -> What {
        // A thread that executes a program goes on as the first thread of its process.
        let own = |(of, _): &(i32, usize)| *of == pid;
        let became = |(_, place): &(i32, usize)| name.starts_with("execve") && self.listing.calls[*place].name == name;
        let Some(at) = self.open.iter().position(own).or_else(|| self.open.iter().position(became)) else {
            return What::Unread("no line has begun its call");
        };
        let (_, place) = self.open[at];
        let call = &mut self.listing.calls[place];
        match (call.name, name) {
            ("????", _) => call.name = name,
            (_, "????") => {}
            (open, name) if open == name => {}
            _ => return What::Unread("another call is open"),
        }
        let whole = format!("{}{text}", call.text);
        match (line::end(&whole), line::without_open(&whole)) {
            (Some(end), _) => call.end = end,
            (None, Some(inner)) => call.end.inner = inner.len(),
            (None, None) => return What::Unread("its call has no end"),
        }
        call.text = Cow::Owned(whole);
        call.pid = pid;
        self.open.remove(at);
        What::Rest(place)
    }
}

/// The process of lines that name none: the first that no line tells the birth of.
fn first(written: &[(&str, Written)]) -> i32 {
    let mut named: Vec<i32> = Vec::new();
    for pid in written.iter().filter_map(|(_, written)| written.pid.filter(|_| written.bracketed)) {
        if !named.contains(&pid) {
            named.push(pid);
        }
    }
    let born = |pid: i32| {
        let attached = format!("Process {pid} attached");
        written.iter().any(|(line, _)| line.ends_with(&attached))
    };
    named.into_iter().find(|pid| !born(*pid)).unwrap_or(0)
}
