//! A call in words, as strace shows it: from a record of ours, or from what strace wrote. May touch: the recorder.

use super::words::{flag, number, text};
use crate::listing::Call;
use alloc::borrow::Cow;
use syscalls::record::{RETURNED, Record};
use syscalls::{Errno, show};

/// One call of one process.
#[derive(Clone, Debug)]
pub struct Deed<'a> {
    pub pid: i32,
    pub name: &'a str,
    /// Each argument as strace shows it. What the kernel has written stands after ` => `.
    pub args: Vec<Cow<'a, str>>,
    /// What it returned; of a call that was refused, -1.
    pub result: i64,
    /// Why it was refused, or that it has not returned.
    pub failed: Option<Failure<'a>>,
}

/// Why a call has changed nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Failure<'a> {
    Refused(&'a str),
    /// It is still in the kernel, or its process has ended in it.
    Unfinished,
}

impl<'a> Deed<'a> {
    /// The call of a record.
    pub fn of(pid: i32, r: &'a Record) -> Deed<'a> {
        let shown = |i| {
            let mut text = String::new();
            let _ = show::arg(r, i, &mut text);
            Cow::Owned(text)
        };
        let failed = match (r.state, Errno::of(r.ret)) {
            (RETURNED, None) => None,
            (RETURNED, Some(errno)) => Some(Failure::Refused(errno.name())),
            _ => Some(Failure::Unfinished),
        };
        let result = if failed.is_some() { -1 } else { r.ret };
        Deed { pid, name: r.name(), args: (0..r.argc).map(shown).collect(), result, failed }
    }

    /// A call that strace wrote.
    pub fn listed(call: &'a Call<'a>) -> Deed<'a> {
        let args = call.args().into_iter().map(Cow::Borrowed).collect();
        let failed = match call.errno() {
            Some(errno) => Some(Failure::Refused(errno)),
            None => (!call.is_done()).then_some(Failure::Unfinished),
        };
        let result = call.number().filter(|_| failed.is_none()).unwrap_or(-1);
        Deed { pid: call.pid, name: call.name, args, result, failed }
    }
}

impl Deed<'_> {
    /// An argument as the caller has given it; empty: the call does not have it.
    pub fn arg(&self, i: usize) -> &str {
        self.both(i).0
    }

    /// What the kernel has written into an argument.
    pub fn out(&self, i: usize) -> &str {
        self.both(i).1
    }

    fn both(&self, i: usize) -> (&str, &str) {
        let arg = self.args.get(i).map_or("", |arg| &**arg);
        match arg.split_once(" => ") {
            Some(both) if !arg.starts_with('"') => both,
            _ => (arg, ""),
        }
    }

    pub fn number(&self, i: usize) -> Option<i64> {
        number(self.arg(i))
    }

    /// A descriptor among the arguments.
    pub fn fd(&self, i: usize) -> i32 {
        self.number(i).map_or(-1, |fd| fd as i32)
    }

    pub fn text(&self, i: usize) -> Option<String> {
        text(self.arg(i))
    }

    /// A text that strace shows up to a length: where it is longer, three dots stand at its end.
    pub fn begin(&self, i: usize) -> Option<String> {
        let more = if self.arg(i).ends_with("...") { "..." } else { "" };
        self.text(i).map(|text| text + more)
    }

    /// Whether one of the arguments has this flag. Texts have none.
    pub fn has(&self, word: &str) -> bool {
        self.args.iter().any(|arg| !arg.starts_with('"') && flag(arg, word))
    }
}
