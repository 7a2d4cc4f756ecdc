//! Errors in words. `main` tells each once. May touch: types, the recorder, the looks of `cause`.

use crate::cause::{self, Found, Place, Scene};
use crate::outcome::{
    Advice, Check, Error, PART, Problem, SIGNALLED, Stopped, TIMED_OUT, Told, Trouble, bounded, cannot, show_at,
};
use crate::plan::op::{Hooks, Mounts, Process, lane_name};
use crate::plan::{Line, Mark, Op};
use crate::say::hints;
use crate::say::shape::Message;
use crate::state::recorder::Amiss;
use syscalls::record::{self, NOWHERE, Record};
use syscalls::{Errno, Failed};

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

    /// A property, with the file or the option that it comes from. The bundle's own file has its name alone.
    pub fn property(&self, pointer: &str) -> String {
        let (file, rest) = self.who(pointer);
        let own = file.is_empty() || file.ends_with("/config.json") && rest == pointer;
        let file = if own { "config.json" } else { file };
        bounded(format!("{file} {rest}").trim_end(), PART).into_owned()
    }

    /// A cure with the places that it names, where they come from another file or an option.
    fn cure(&self, cure: &str) -> String {
        let place = |word: &str| {
            let pointer = word.trim_matches(|c: char| "(),;`:".contains(c));
            let known = ["/process/", "/mounts/", "/linux/"].iter().any(|begin| pointer.starts_with(begin));
            let own = |place: &String| *place != format!("config.json {pointer}");
            Some(self.property(pointer)).filter(|place| known && own(place)).map(|place| word.replace(pointer, &place))
        };
        let words: Vec<String> = cure.split(' ').map(|word| place(word).unwrap_or_else(|| word.into())).collect();
        words.join(" ")
    }

    /// Where a line of the plan comes from: a property, the host's state, an option. Empty: it is always there.
    fn place(&self, from: &str, mark: Mark) -> String {
        let property = if from.is_empty() { String::new() } else { self.property(from) };
        match (property.as_str(), mark.text()) {
            (_, "") => property,
            ("", words) => words.into(),
            (property, words) => format!("{property}; {words}"),
        }
    }
}

/// The place of the record of the call that caused an error.
pub fn place(error: &Error) -> u32 {
    match error {
        Error::Call(told) => told.at,
        Error::Several(first, _) => place(first),
        _ => NOWHERE,
    }
}

/// The error of a call outside of any plan, with what the kernel's verifier said.
pub fn at_with(doing: String, failed: Failed, said: &str) -> Error {
    Error::Call(Box::new(Told::of(cannot(doing, failed) + said, "", Advice::Usual(failed)).by(failed)))
}

/// The error of a call outside of any plan, with advice.
pub fn at_hint(doing: String, failed: Failed, hint: &'static str) -> Error {
    Error::Call(Box::new(Told::of(cannot(doing, failed), "", Advice::Text(hint)).by(failed)))
}

/// The error of a call outside of any plan that does the same as an op: it gets the op's advice.
pub fn at_op(doing: String, failed: Failed, op: &Op) -> Error {
    at_hint(doing, failed, hints::hint(failed, Some(op)))
}

/// The error of a command outside of any plan, with the cause that a look has found.
pub fn found(found: Found, failed: Option<Failed>) -> Error {
    let place = match found.place {
        Some(Place::Property(pointer)) => format!("config.json {pointer}"),
        Some(Place::Other(words)) => words,
        None => String::new(),
    };
    let told = Told::of(found.cause, place, Advice::Found(found.cure));
    Error::Call(Box::new(match failed {
        Some(failed) => told.by(failed),
        None => told,
    }))
}

/// The same error, with a cause that a look has found.
pub fn better(error: Error, found: Option<Found>) -> Error {
    match (error, found) {
        (Error::Call(told), Some(found)) => Error::Call(Box::new(because(&Said::default(), found, *told))),
        (error, _) => error,
    }
}

/// The error of a call outside of any plan, with the cause if a look finds it.
pub fn looked(error: Error) -> Error {
    let failed = match &error {
        Error::Call(told) if matches!(told.advice, Advice::Usual(_)) => told.failed,
        _ => None,
    };
    let found = failed.and_then(cause::outside);
    better(error, found)
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

/// The error of a hook, with the end of its output. `who`: where the configuration comes from.
pub fn hook(who: &Said, from: &str, path: &str, trouble: Trouble, said: &str) -> Error {
    let how = match trouble {
        Trouble::Hook(code) => ended(code),
        Trouble::Call(failed) => failed.errno.text().to_lowercase(),
        Trouble::Check(check) => check.text().into(),
    };
    let cause = format!("hook {}: {how}{}", bounded(path, PART), quoted(said));
    let told = Told::of(cause, who.property(from), Advice::Text(hints::hook(trouble)));
    Error::Call(Box::new(match trouble {
        Trouble::Call(failed) => told.by(failed),
        _ => told,
    }))
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
    let line = scene.line;
    let by_person = stopped.trouble == Trouble::Check(Check::StepEnded);
    let place = line.filter(|_| !by_person).map_or(String::new(), |line| who.place(&line.from, line.mark));
    let (cause, advice) = in_words(line, stopped, scene.said);
    let told = Told { why: line.map_or("", |line| line.why.0).into(), ..Told::of(cause, place, advice) };
    let mut told = match stopped.trouble {
        Trouble::Call(failed) => told.by(failed),
        Trouble::Check(_) => Told { at: last_refused(stopped), ..told },
        Trouble::Hook(_) => told,
    };
    if let Some(call) = show_at(told.at).filter(|_| told.call.is_empty()) {
        told.call = call;
    }
    let lane = lane_name(stopped.lane as u8);
    let step = match (stopped.line, told.call.as_str()) {
        (0, call) => call.into(),
        (line, "") => format!("line {line} of the plan, {lane} lane"),
        (line, call) => format!("{call}, line {line} of the plan, {lane} lane"),
    };
    told.call = step;
    // Neither a line nor its purpose is why a person has ended it.
    if by_person {
        (told.call, told.why) = (String::new(), String::new());
    }
    // A person, a signal or a lost process has ended it: the line itself has not failed.
    let from_outside = [Check::StepEnded, Check::StepperVanished, Check::Interrupted].map(Trouble::Check);
    let found = (!from_outside.contains(&stopped.trouble)).then(|| cause::of(scene)).flatten();
    match found {
        Some(found) => Error::Call(Box::new(because(who, found, told))),
        None => Error::Call(Box::new(told)),
    }
}

/// The same failure, with a cause that was found.
fn because(who: &Said, found: Found, told: Told) -> Told {
    let place = match found.place {
        Some(Place::Property(pointer)) => who.place(&pointer, Mark::None),
        Some(Place::Other(words)) => words,
        None => told.place,
    };
    let cure = who.cure(&found.cure);
    Told { cause: found.cause, place, step: told.cause, advice: Advice::Found(cure), ..told }
}

/// The call by which the runtime found out what a check says: the last of the line that the kernel refused.
fn last_refused(stopped: Stopped) -> u32 {
    let bytes = record::bytes();
    let is_of_line = |r: &Record| r.line == stopped.line && r.lane == stopped.lane as u8 && r.ret < 0;
    let refused = record::offsets(bytes).filter(|at| Record::read(bytes, *at).is_some_and(|r| is_of_line(&r)));
    refused.last().unwrap_or(NOWHERE)
}

/// What could not be done, and what usually helps.
fn in_words(line: Option<&Line>, stopped: Stopped, said: &str) -> (String, Advice) {
    let op = line.map(|line| &line.op);
    match (op, stopped.trouble) {
        (_, Trouble::Check(check @ (Check::StepEnded | Check::StepperVanished))) => {
            (check.text().into(), Advice::Text(hints::check(check)))
        }
        (Some(Op::Process(Process::Find { named, .. })), trouble) => program(&named.to_string_lossy(), trouble),
        (Some(Op::Hooks(Hooks::Run { hook: failed })), trouble) => {
            let path = failed.path.to_string_lossy();
            match hook(&Said::default(), "", &path, trouble, said) {
                Error::Call(told) => (told.cause, told.advice),
                _ => (String::new(), Advice::Text("")),
            }
        }
        (_, Trouble::Hook(code)) => {
            let cause = format!("newuidmap or newgidmap: {}{}", ended(code), quoted(said));
            (cause, Advice::Text(hints::named(hints::MAPPING_HELPERS)))
        }
        (Some(Op::Process(Process::Execve { argv, .. })), Trouble::Call(failed)) => {
            let name = argv.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            let (name, reason) = (bounded(&name, PART), failed.errno.text().to_lowercase());
            (format!("exec: \"{name}\": {reason}"), Advice::Text(advice_of(line, failed)))
        }
        (_, Trouble::Call(failed)) => (cannot(step(op), failed) + said, Advice::Text(advice_of(line, failed))),
        (_, Trouble::Check(Check::Systemd)) => (format!("systemd: {said}"), Advice::Text(hints::check(Check::Systemd))),
        (_, Trouble::Check(check)) if check.says_all() => (check.text().into(), Advice::Text(hints::check(check))),
        (_, Trouble::Check(check)) => {
            (format!("cannot {}: {}", step(op), check.text()), Advice::Text(hints::check(check)))
        }
    }
}

/// What an op does, without its details.
fn step(op: Option<&Op>) -> String {
    let words = op.map_or("carry out a line of another plan".into(), Op::to_string);
    words.split(" (").next().unwrap_or_default().into()
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

/// What is wrong with a program that cannot be executed, in the words that engines parse.
fn program(name: &str, trouble: Trouble) -> (String, Advice) {
    let name = &bounded(name, PART / 2);
    let (is_path, not_found) = (name.contains('/'), Check::ProgramNotFound.text());
    let (reason, hint) = match trouble {
        Trouble::Call(failed) => {
            let errno = failed.errno.text().to_lowercase();
            let reason = match failed.errno {
                Errno::EACCES => "permission denied".into(),
                _ if is_path => format!("stat {name}: {errno}"),
                _ => format!("{not_found}: {errno}"),
            };
            (reason, hints::program(failed.errno, is_path))
        }
        _ if is_path => ("permission denied: it is no regular file".into(), hints::PROGRAM_DENIED),
        _ => (not_found.into(), hints::PROGRAM_PATH),
    };
    (format!("exec: \"{name}\": {reason}"), Advice::Text(hints::named(hint)))
}

/// An error as a message. `more`: a command that shows more of it.
pub fn message(error: &Error, more: &str) -> Message {
    match error {
        Error::Usage(text) | Error::State(text) => {
            let (cause, cure) = text.split_once("; ").unwrap_or((text, ""));
            let cure = cure.strip_prefix("try: ").unwrap_or(cure);
            let lines = Vec::from([("try", cure.into()), ("more", more.into())]);
            Message { cause: cause.into(), place: String::new(), lines }
        }
        Error::Spec { file, problem } => {
            let cause = refusal(file, problem);
            let known = file.ends_with("/config.json") && !problem.pointer.is_empty();
            let file = if known { "config.json" } else { file };
            let place = format!("{file} {}", problem.pointer).trim_end().into();
            let lines = Vec::from([("try", hints::refused(&problem.problem).into()), ("more", more.into())]);
            Message { cause, place, lines }
        }
        Error::Call(told) => {
            let explained = told.failed.map(|f| format!("nk-runtime explain {} {}", f.call.name(), f.errno.name()));
            let more: Vec<&str> =
                [more, explained.as_deref().unwrap_or("")].into_iter().filter(|one| !one.is_empty()).collect();
            let lines = Vec::from([
                ("step", told.step.clone()),
                ("call", told.call.clone()),
                ("why", told.why.clone()),
                ("try", advice(&told.advice).into()),
                ("more", more.join(", ")),
            ]);
            Message { cause: told.cause.clone(), place: told.place.clone(), lines }
        }
        Error::Several(first, others) => {
            let mut message = message(first, more);
            message.lines.push(("also", others.clone()));
            message
        }
        Error::Unread => {
            let cause = "the reader of standard output has gone".into();
            Message { cause, place: String::new(), lines: Vec::new() }
        }
    }
}

/// What is wrong with a property, as a sentence: many problems begin with their verb, and the subject is the property.
fn refusal(file: &str, problem: &Problem) -> String {
    const VERBS: &str = "asks belongs can cannot gets has holds is lies makes must needs overlaps repeats takes";
    let (pointer, text) = (&problem.pointer, &problem.problem);
    let first = text.split(' ').next().unwrap_or_default();
    // The key, or a list's key and the place in it.
    let list = |place: &str| place.bytes().all(|b| b.is_ascii_digit());
    let start = match pointer.rsplit_once('/') {
        Some((before, place)) if list(place) => before.rfind('/').map_or(0, |at| at + 1),
        Some((before, _)) => before.len() + 1,
        None => 0,
    };
    let subject = pointer.get(start..).filter(|subject| !subject.is_empty()).unwrap_or(file);
    match VERBS.split(' ').any(|verb| verb == first) {
        true => format!("{subject} {text}"),
        false => text.clone(),
    }
}

/// An error in one line, to stand in another message.
pub fn line(error: &Error) -> String {
    let mut message = message(error, "");
    message.lines.retain(|(label, _)| ["call", "try"].contains(label));
    message.one()
}

fn advice(advice: &Advice) -> &str {
    match advice {
        Advice::Usual(failed) => hints::hint(*failed, None),
        Advice::Text(text) => text,
        Advice::Found(text) => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_said_it_is_named_by_the_longest_place() {
        let mut said = Said::by("/b/config.json".into());
        said.file("/process", "p.json");
        said.stays("/process/user".into());
        said.option("/process/env/1", "--env");
        for (pointer, wanted) in [
            ("/linux", "config.json /linux"),
            ("/process/cwd", "p.json /cwd"),
            ("/process", "p.json"),
            ("/processes", "config.json /processes"),
            ("/process/user/uid", "config.json /process/user/uid"),
            ("/process/env/1", "--env"),
            ("/process/env/10", "p.json /env/10"),
            ("", ""),
        ] {
            assert_eq!(said.place(pointer, Mark::None), wanted, "{pointer}");
        }
        let cure = "correct /process/cwd, `/process/env/1` or /linux/sysctl (/process/user/uid)";
        let named = "correct p.json /cwd, `--env` or /linux/sysctl (/process/user/uid)";
        assert_eq!(said.cure(cure), named);
        assert_eq!(said.place("/root", Mark::NoPivot), "config.json /root; --no-pivot");
        assert_eq!(said.place("", Mark::NoRoot), "host: the caller is not root");
    }
}
