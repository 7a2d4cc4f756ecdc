//! Errors in words. `main` tells each once. May touch: types, the recorder.

use crate::outcome::{
    Advice, Check, Error, PART, Problem, SIGNALLED, Stopped, TIMED_OUT, Told, Trouble, bounded, show,
};
use crate::plan::op::{Hooks, Mounts, Process};
use crate::plan::{Line, Op, Plan};
use crate::say::hints;
use crate::state::recorder::Amiss;
use syscalls::{Errno, Failed};

/// Bytes that a line of a message has at most.
const MOST: usize = 2048;

/// A text as a message has it: one line, of a length that can be read. Engines take a line apart, and a document decides how
/// long what is quoted of it is.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    bounded(&line, MOST).into_owned()
}

/// Where each part of a configuration comes from: a file, and for some parts another file or an option.
#[derive(Default)]
pub struct Said {
    /// Its name in messages.
    pub file: String,
    others: Vec<(String, Who)>,
}

enum Who {
    /// A file that holds this part alone: a pointer into the file is what follows the part's own pointer.
    File(String),
    Option(String),
    /// The file that said everything else.
    Same,
}

impl Said {
    pub fn by(file: String) -> Said {
        Said { file, others: Vec::new() }
    }

    /// The part at `pointer` is what another file holds.
    pub fn file(&mut self, pointer: &str, path: &str) {
        self.others.push((pointer.into(), Who::File(path.into())));
    }

    /// The part at `pointer` was said by an option, or by words of the command line.
    pub fn option(&mut self, pointer: impl Into<String>, name: &str) {
        self.others.push((pointer.into(), Who::Option(name.into())));
    }

    /// The part at `pointer` is as the file has it, although the part around it is not.
    pub fn stays(&mut self, pointer: String) {
        self.others.push((pointer, Who::Same));
    }

    /// Who said what is at a pointer, and where.
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

    /// The error about a part that is not as it must be.
    pub fn refused(&self, problem: Problem) -> Error {
        let (file, pointer) = self.who(&problem.pointer);
        Error::Spec { file: file.into(), problem: Problem { pointer, ..problem } }
    }

    /// Where a line of the plan comes from, in parentheses; nothing where it comes from no property.
    fn place(&self, from: &str) -> String {
        let (file, pointer) = match from {
            "" => return String::new(),
            from => self.who(from),
        };
        let file = if pointer == from { "config.json" } else { file };
        let words = format!("{file} {pointer}");
        format!(" ({})", bounded(words.trim_end(), PART))
    }
}

/// A failing call outside of any plan, with what else was said of it.
pub fn at_with(doing: String, failed: Failed, said: &str) -> Error {
    let (call, why) = show(failed);
    Error::Call(Told { line: format!("{doing}: {call}{said}"), why, advice: Advice::Usual(failed) })
}

/// The same, where what to try is known.
pub fn at_hint(doing: String, failed: Failed, hint: &'static str) -> Error {
    let (call, why) = show(failed);
    Error::Call(Told { line: format!("{doing}: {call}"), why, advice: Advice::Text(hint) })
}

/// The same of a call that carries out what an op of a plan does: it has that one's hint.
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

/// A hook that failed, and the end of what it said.
pub fn hook(from: &str, path: &str, trouble: Trouble, said: &str) -> Error {
    let (how, why) = match trouble {
        Trouble::Hook(code) => (ended(code), String::new()),
        Trouble::Call(failed) => show(failed),
        Trouble::Check(check) => (check.text().into(), String::new()),
    };
    let said = match said.is_empty() {
        true => String::new(),
        false => format!(": {said:?}"),
    };
    let path = bounded(path, PART);
    Error::Call(Told {
        line: format!("hook {path} (config.json {from}): {how}{said}"),
        why,
        advice: Advice::Text(hints::hook(trouble)),
    })
}

/// How a hook ended, in words.
fn ended(code: i32) -> String {
    match code {
        TIMED_OUT => "ran past its timeout, and was ended with its process group".into(),
        code if code > SIGNALLED => {
            format!("ended by {}", syscalls::flags::signal_name(code - SIGNALLED))
        }
        code => format!("exit status {code}"),
    }
}

/// A plan that stopped. `who` said what is wanted; `said`: the end of what hooks said, or what systemd or the kernel's
/// verifier did.
pub fn stopped(plan: &Plan, who: &Said, stopped: Stopped, said: &str) -> Error {
    stopped_at(plan.line(stopped.line), who, stopped, said)
}

/// The same, where the line is known.
pub fn stopped_at(line: Option<&Line>, who: &Said, stopped: Stopped, said: &str) -> Error {
    let from = line.map_or("", |line| line.from.as_str());
    let what = line
        .map_or(String::from("an unknown line of the plan"), |line| bounded(&line.op.to_string(), PART).into_owned());
    let place = who.place(from);
    let number = stopped.line;
    let op = line.map(|line| &line.op);
    if let Some(Op::Process(Process::Find { named, .. })) = op {
        let why = line.map_or("", |line| line.why.0);
        return program(&named.to_string_lossy(), &place, why, stopped.trouble);
    }
    if let Some(Op::Hooks(Hooks::Run { hook: failed })) = op {
        return hook(from, &failed.path.to_string_lossy(), stopped.trouble, said);
    }
    match stopped.trouble {
        Trouble::Hook(code) => {
            let how = ended(code);
            let said = match said.is_empty() {
                true => String::new(),
                false => format!(": {said:?}"),
            };
            Error::Call(Told {
                line: format!("line {number}, {what}{place}: newuidmap or newgidmap: {how}{said}"),
                why: String::new(),
                advice: Advice::Text(hints::MAPPING_HELPERS),
            })
        }
        Trouble::Call(failed) => {
            let (call, why) = show(failed);
            let text = match op {
                Some(Op::Process(Process::Execve { argv, .. })) => {
                    let name = argv.first().map(|a| a.to_string_lossy());
                    let name = name.unwrap_or_default();
                    let name = bounded(&name, PART);
                    format!("exec: \"{name}\": {}{place}: {call}", failed.errno.text().to_lowercase())
                }
                _ => format!("line {number}, {what}{place}: {call}{said}"),
            };
            Error::Call(Told { line: text, why, advice: Advice::Text(advice_of(line, failed)) })
        }
        Trouble::Check(Check::Systemd) => Error::Call(Told {
            line: format!("line {number}, {what}{place}: {said}"),
            why: String::new(),
            advice: Advice::Text(hints::check(Check::Systemd)),
        }),
        Trouble::Check(check) => {
            let why = line.map_or("", |line| line.why.0).to_string();
            let text = format!("line {number}, {what}{place}: {}", check.text());
            Error::Call(Told { line: text, why, advice: Advice::Text(hints::check(check)) })
        }
    }
}

/// What to try when a call of a line has failed.
fn advice_of(line: Option<&Line>, failed: Failed) -> &'static str {
    let device = line.is_some_and(|line| line.from.starts_with("/linux/devices/"));
    match line.map(|line| &line.op) {
        Some(Op::Mounts(Mounts::OpenSource(_))) if device && failed.errno == Errno::ENOENT => hints::NO_HOST_NODE,
        op => hints::hint(failed, op),
    }
}

/// A program that cannot be executed, in the words that engines parse.
fn program(name: &str, place: &str, why: &str, trouble: Trouble) -> Error {
    let name = &bounded(name, PART / 2);
    let (line, hint) = match trouble {
        Trouble::Check(_) | Trouble::Hook(_) if name.contains('/') => {
            (format!("exec: \"{name}\": permission denied: it is no regular file"), hints::PROGRAM_DENIED)
        }
        Trouble::Check(_) | Trouble::Hook(_) => {
            (format!("exec: \"{name}\": {}", Check::ProgramNotFound.text()), hints::PROGRAM_PATH)
        }
        Trouble::Call(f) if f.errno == Errno::EACCES => {
            (format!("exec: \"{name}\": permission denied"), hints::PROGRAM_DENIED)
        }
        Trouble::Call(f) if !name.contains('/') => (
            format!("exec: \"{name}\": {}: {}", Check::ProgramNotFound.text(), f.errno.text().to_lowercase()),
            hints::PROGRAM_PATH,
        ),
        Trouble::Call(f) => {
            (format!("exec: \"{name}\": stat {name}: {}", f.errno.text().to_lowercase()), hints::PROGRAM_MISSING)
        }
    };
    let call = match trouble {
        Trouble::Call(failed) => format!(": {}", show(failed).0),
        _ => String::new(),
    };
    Error::Call(Told { line: format!("{line}{place}{call}"), why: why.into(), advice: Advice::Text(hint) })
}

/// An error in one line.
pub fn line(error: &Error) -> String {
    let line = match error {
        Error::Usage(text) | Error::State(text) => text.clone(),
        Error::Spec { file, problem } if problem.pointer.is_empty() => format!("{file}: {}", problem.problem),
        Error::Spec { file, problem } => format!("{file} {}: {}", problem.pointer, problem.problem),
        Error::Call(told) => match advice(told.advice) {
            "" => told.line.clone(),
            // What to try is never what is left out.
            hint => format!("{}; try: {hint}", bounded(&told.line, MOST.saturating_sub(hint.len() + 64))),
        },
    };
    one_line(&line)
}

fn advice(advice: Advice) -> &'static str {
    match advice {
        Advice::Usual(failed) => hints::hint(failed, None),
        Advice::Text(text) => text,
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
            assert_eq!(said.place(pointer), wanted, "{pointer}");
        }
    }
}
