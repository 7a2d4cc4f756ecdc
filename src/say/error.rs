//! Errors in words. `main` tells each once. May touch: types, the recorder, the looks of `cause`.

use crate::cause::{self, Found, Place, Scene};
use crate::outcome::{
    Advice, Check, Error, PART, Problem, SIGNALLED, Stopped, TIMED_OUT, Told, Trouble, bounded, show, visible,
};
use crate::plan::op::{Hooks, Mounts, Process};
use crate::plan::{Line, Mark, Op};
use crate::say::hints;
use crate::state::recorder::Amiss;
use syscalls::record::{self, NOWHERE, Record};
use syscalls::{Errno, Failed};

/// Bytes that a line of a message has at most.
const MOST: usize = 2048;

/// A text as one line of bounded length, for a message: engines read line by line, and what a message quotes of a document can
/// have any length.
pub fn one_line(text: &str) -> String {
    bounded(&visible(text), MOST).into_owned()
}

/// Where each part of a configuration comes from: a file, and for some parts another file or an option.
#[derive(Default)]
pub struct Said {
    /// Its name in messages.
    pub file: String,
    others: Vec<(String, Who)>,
}

enum Who {
    /// A file that holds this part alone. A pointer into that file begins after the part's own pointer.
    File(String),
    Option(String),
    /// The file that has everything else.
    Same,
}

impl Said {
    pub fn by(file: String) -> Said {
        Said { file, others: Vec::new() }
    }

    /// The part at `pointer` comes from another file.
    pub fn file(&mut self, pointer: &str, path: &str) {
        self.others.push((pointer.into(), Who::File(path.into())));
    }

    /// The part at `pointer` comes from an option, or from words of the command line.
    pub fn option(&mut self, pointer: impl Into<String>, name: &str) {
        self.others.push((pointer.into(), Who::Option(name.into())));
    }

    /// The part at `pointer` is as the file has it, although the part around it is not.
    pub fn stays(&mut self, pointer: String) {
        self.others.push((pointer, Who::Same));
    }

    /// Where a part comes from: a file or an option, and the pointer in that file.
    fn who(&self, pointer: &str) -> (&str, String) {
        let holds = |part: &str| {
            let below = pointer.strip_prefix(part);
            below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
        };
        let others = self.others.iter().filter(|(part, _)| holds(part));
        match others.max_by_key(|(part, _)| part.len()) {
            Some((part, Who::File(path))) => (path, pointer[part.len()..].into()),
            Some((_, Who::Option(name))) => (name, String::new()),
            Some((_, Who::Same)) | None => (&self.file, pointer.into()),
        }
    }

    /// The error about a problem of the configuration.
    pub fn refused(&self, problem: Problem) -> Error {
        let (file, pointer) = self.who(&problem.pointer);
        Error::Spec { file: file.into(), problem: Problem { pointer, ..problem } }
    }

    /// Where a line of the plan comes from, in parentheses: a property, the host's state, an option. Empty: it is always
    /// there.
    fn place(&self, from: &str, mark: Mark) -> String {
        let property = match from {
            "" => String::new(),
            from => {
                let (file, pointer) = self.who(from);
                let file = if pointer == from { "config.json" } else { file };
                bounded(format!("{file} {pointer}").trim_end(), PART).into_owned()
            }
        };
        match (property.as_str(), mark.text()) {
            ("", "") => property,
            (words, "") | ("", words) => format!(" ({words})"),
            (property, words) => format!(" ({property}; {words})"),
        }
    }
}

fn told(line: String, why: impl Into<String>, hint: &'static str) -> Error {
    Error::Call(Told { line, why: why.into(), advice: Advice::Text(hint), at: NOWHERE })
}

/// The same error, with the record of the call that caused it.
fn by(trouble: Trouble, error: Error) -> Error {
    match (trouble, error) {
        (Trouble::Call(failed), Error::Call(told)) => Error::Call(Told { at: failed.at, ..told }),
        (_, error) => error,
    }
}

/// The place of the record of the call that caused an error.
pub fn place(error: &Error) -> u32 {
    if let Error::Call(told) = error { told.at } else { NOWHERE }
}

/// The error of a call outside of any plan, with what the kernel's verifier said.
pub fn at_with(doing: String, failed: Failed, said: &str) -> Error {
    let (call, why) = show(failed);
    Error::Call(Told { line: format!("{doing}: {call}{said}"), why, advice: Advice::Usual(failed), at: failed.at })
}

/// The error of a call outside of any plan, with advice.
pub fn at_hint(doing: String, failed: Failed, hint: &'static str) -> Error {
    let (call, why) = show(failed);
    by(Trouble::Call(failed), told(format!("{doing}: {call}"), why, hint))
}

/// The error of a call outside of any plan that does the same as an op: it gets the op's advice.
pub fn at_op(doing: String, failed: Failed, op: &Op) -> Error {
    at_hint(doing, failed, hints::hint(failed, Some(op)))
}

/// What is wrong with the trace of a command.
pub fn trace_amiss(amiss: &Amiss) -> String {
    match amiss {
        Amiss::PartLost => {
            "a part of the trace is not kept: its file system has no room, or the file was cut off".into()
        }
        Amiss::NotKept(error) => format!("the trace of this command is not kept: {}", line(error)),
    }
}

/// The error of a hook, with the end of its output.
pub fn hook(from: &str, path: &str, trouble: Trouble, said: &str) -> Error {
    let (how, why) = match trouble {
        Trouble::Hook(code) => (ended(code), String::new()),
        Trouble::Call(failed) => show(failed),
        Trouble::Check(check) => (check.text().into(), String::new()),
    };
    let line = format!("hook {} (config.json {from}): {how}{}", bounded(path, PART), quoted(said));
    by(trouble, told(line, why, hints::hook(trouble)))
}

/// The output of a program, after a colon.
fn quoted(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said:?}") }
}

/// How a hook ended, in words.
fn ended(code: i32) -> String {
    match code {
        TIMED_OUT => "ran past its timeout, and was ended with its process group".into(),
        code if code > SIGNALLED => format!("ended by {}", syscalls::flags::signal_name(code - SIGNALLED)),
        code => format!("exit status {code}"),
    }
}

/// The error of a plan that stopped, with the cause that a look finds. `who`: where the configuration comes from.
pub fn stopped(who: &Said, stopped: Stopped, scene: &Scene) -> Error {
    let error = in_words(scene.line, who, stopped, scene.said);
    let error = match (error, cause::of(scene)) {
        (Error::Call(told), Some(found)) => Error::Call(because(who, scene.line, found, told)),
        (error, _) => error,
    };
    match (stopped.trouble, error) {
        (Trouble::Check(_), Error::Call(told)) => Error::Call(Told { at: last_refused(stopped), ..told }),
        (trouble, error) => by(trouble, error),
    }
}

/// The call by which the runtime found out what a check says: the last of the line that the kernel refused.
fn last_refused(stopped: Stopped) -> u32 {
    let bytes = record::bytes();
    let is_of_line = |r: &Record| r.line == stopped.line && r.lane == stopped.lane as u8 && r.ret < 0;
    let refused = record::offsets(bytes).filter(|at| Record::read(bytes, *at).is_some_and(|r| is_of_line(&r)));
    refused.last().unwrap_or(NOWHERE)
}

/// The same failure, with a cause that was found.
fn because(who: &Said, line: Option<&Line>, found: Found, told: Told) -> Told {
    let place = match (&found.place, line) {
        (Some(Place::Property(pointer)), _) => who.place(pointer, Mark::None),
        (Some(Place::Other(words)), _) => format!(" ({words})"),
        (None, Some(line)) => who.place(&line.from, line.mark),
        (None, None) => String::new(),
    };
    Told { line: format!("{}{place}: {}", found.cause, told.line), advice: Advice::Found(found.cure), ..told }
}

fn in_words(line: Option<&Line>, who: &Said, stopped: Stopped, said: &str) -> Error {
    let (from, why) = line.map_or(("", ""), |line| (&line.from, line.why.0));
    let mark = line.map_or(Mark::None, |line| line.mark);
    let op = line.map(|line| &line.op);
    let what = op.map_or("an unknown line of the plan".into(), Op::to_string);
    let place = who.place(from, mark);
    let step = format!("line {}, {}{place}", stopped.line, bounded(&what, PART));
    match (op, stopped.trouble) {
        (Some(Op::Process(Process::Find { named, .. })), trouble) => {
            program(&named.to_string_lossy(), &place, why, trouble)
        }
        (Some(Op::Hooks(Hooks::Run { hook: failed })), trouble) => {
            hook(from, &failed.path.to_string_lossy(), trouble, said)
        }
        (_, Trouble::Hook(code)) => {
            let line = format!("{step}: newuidmap or newgidmap: {}{}", ended(code), quoted(said));
            told(line, "", hints::named(hints::MAPPING_HELPERS))
        }
        (Some(Op::Process(Process::Execve { argv, .. })), Trouble::Call(failed)) => {
            let (call, why) = show(failed);
            let name = argv.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            let (name, reason) = (bounded(&name, PART), failed.errno.text().to_lowercase());
            told(format!("exec: \"{name}\": {reason}{place}: {call}"), why, advice_of(line, failed))
        }
        (_, Trouble::Call(failed)) => {
            let (call, why) = show(failed);
            told(format!("{step}: {call}{said}"), why, advice_of(line, failed))
        }
        (_, Trouble::Check(Check::Systemd)) => told(format!("{step}: {said}"), "", hints::check(Check::Systemd)),
        (_, Trouble::Check(check)) => told(format!("{step}: {}", check.text()), why, hints::check(check)),
    }
}

/// What to try when a call of a line has failed.
fn advice_of(line: Option<&Line>, failed: Failed) -> &'static str {
    let device = line.is_some_and(|line| line.from.starts_with("/linux/devices/"));
    match line.map(|line| &line.op) {
        Some(Op::Mounts(Mounts::OpenSource(_))) if device && failed.errno == Errno::ENOENT => {
            hints::named(hints::NO_HOST_NODE)
        }
        op => hints::hint(failed, op),
    }
}

/// The error of a program that cannot be executed, in the words that engines parse.
fn program(name: &str, place: &str, why: &str, trouble: Trouble) -> Error {
    let name = &bounded(name, PART / 2);
    let (is_path, not_found) = (name.contains('/'), Check::ProgramNotFound.text());
    let (reason, hint, call) = match trouble {
        Trouble::Call(failed) => {
            let errno = failed.errno.text().to_lowercase();
            let (reason, hint) = match failed.errno {
                Errno::EACCES => ("permission denied".into(), hints::PROGRAM_DENIED),
                _ if is_path => (format!("stat {name}: {errno}"), hints::PROGRAM_MISSING),
                _ => (format!("{not_found}: {errno}"), hints::PROGRAM_PATH),
            };
            (reason, hint, format!(": {}", show(failed).0))
        }
        _ if is_path => ("permission denied: it is no regular file".into(), hints::PROGRAM_DENIED, String::new()),
        _ => (not_found.into(), hints::PROGRAM_PATH, String::new()),
    };
    told(format!("exec: \"{name}\": {reason}{place}{call}"), why, hints::named(hint))
}

/// An error in one line.
pub fn line(error: &Error) -> String {
    let line = match error {
        Error::Usage(text) | Error::State(text) => text.clone(),
        Error::Spec { file, problem } if problem.pointer.is_empty() => format!("{file}: {}", problem.problem),
        Error::Spec { file, problem } => format!("{file} {}: {}", problem.pointer, problem.problem),
        Error::Call(told) => match advice(&told.advice) {
            "" => told.line.clone(),
            // The line is shortened rather than the advice.
            hint => format!("{}; try: {hint}", bounded(&told.line, MOST.saturating_sub(hint.len() + 64))),
        },
        Error::Unread => "the reader of standard output has gone".into(),
    };
    one_line(&line)
}

fn advice(advice: &Advice) -> &str {
    match advice {
        Advice::Usual(failed) => hints::hint(*failed, None),
        Advice::Text(text) => text,
        Advice::Found(text) => text,
    }
}

/// The purpose of the call that failed.
pub fn why(error: &Error) -> Option<&str> {
    match error {
        Error::Call(told) => Some(told.why.as_str()).filter(|why| !why.is_empty()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_bounded_is_whole_characters_and_stays_as_it_is() {
        for text in ["", "short", &"a".repeat(4000), &"ä𝄞".repeat(3000), &"\n".repeat(3000)] {
            for most in [100, 513, MOST] {
                let once = bounded(text, most);
                assert!(once.len() <= most);
                assert_eq!(bounded(&once, most), once);
                assert_eq!(once.contains(" bytes left out] "), text.len() > most);
            }
            let line = one_line(text);
            assert!(!line.contains('\n') && line.len() <= MOST);
            assert_eq!(one_line(&line), line);
        }
    }

    #[test]
    fn who_said_it_is_named_by_the_longest_place() {
        let mut said = Said::by("/b/config.json".into());
        said.file("/process", "p.json");
        said.stays("/process/user".into());
        said.option("/process/env/1", "--env");
        for (pointer, wanted) in [
            ("/linux", " (config.json /linux)"),
            ("/process/cwd", " (p.json /cwd)"),
            ("/process", " (p.json)"),
            ("/processes", " (config.json /processes)"),
            ("/process/user/uid", " (config.json /process/user/uid)"),
            ("/process/env/1", " (--env)"),
            ("/process/env/10", " (p.json /env/10)"),
            ("", ""),
        ] {
            assert_eq!(said.place(pointer, Mark::None), wanted, "{pointer}");
        }
        assert_eq!(said.place("/root", Mark::NoPivot), " (config.json /root; --no-pivot)");
        assert_eq!(said.place("", Mark::NoRoot), " (host: the caller is not root)");
    }
}
