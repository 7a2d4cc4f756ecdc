//! What can stand at the cursor of a command line, for the completion of shells. The options are argh's, so a new one is
//! completed at once; its words stand in `WORDS`.
//!
//! May touch: the tables of `verbs` and `words`.

use super::normalise::{Found, Words, so_far};
use super::values::{
    Accel, CgroupManager, Color, Format, InspectFormat, Level, ListFormat, LogFormat, Mode, MountsAction, Net, Page,
    Picture, RootFrom, Shell, Steps, Watched, Weight,
};
use super::verbs::{VERBS, Verb, internal};
use crate::spec;

/// What the cursor's word can become.
pub struct Answer<'a> {
    /// The beginning of the word that stays as it is: `--format=`.
    pub before: &'a str,
    /// The beginning of what is to be completed.
    pub begun: &'a str,
    pub wanted: Wanted<'a>,
}

pub enum Wanted<'a> {
    /// One of these, with what each means.
    Words(Vec<(&'static str, &'static str)>),
    /// The id of a container that is there.
    Container,
    /// An id with a trace: that of a container that is there, or was.
    Trace,
    /// A name that `explain` knows. The words before it may be its beginning: `pid namespace`.
    Explained(Vec<&'a str>),
    Signal,
    /// The name of a lesson of `learn`.
    Lesson,
    File,
    Folder,
    /// Only the caller knows.
    Free,
}

/// Options, and operands in capital letters, that take one of a few words. Those of all commands stand under no command.
const WORDS: &[(&str, &str, &[&str])] = &[
    ("", "--log-format", LogFormat::WORDS),
    ("", "--log-level", Level::WORDS),
    ("", "--cgroup-manager", CgroupManager::WORDS),
    ("", "--rootless", &["auto", "true", "false"]),
    ("", "--trace", Format::WORDS),
    ("create", "--watch", Watched::WORDS),
    ("start", "--watch", Watched::WORDS),
    ("run", "--watch", Watched::WORDS),
    ("run", "--step", Steps::WORDS),
    ("exec", "--watch", Watched::WORDS),
    ("trace", "--format", Format::WORDS),
    ("trace", "--format", Picture::WORDS),
    ("watch", "--format", Format::WORDS),
    ("trace", "--color", Color::WORDS),
    ("list", "--format", ListFormat::WORDS),
    ("inspect", "--format", InspectFormat::WORDS),
    ("check", "--format", ListFormat::WORDS),
    ("plan", "--format", InspectFormat::WORDS),
    ("plan", "--color", Color::WORDS),
    ("plan", "--level", Weight::WORDS),
    ("ps", "--format", ListFormat::WORDS),
    ("run", "--mode", Mode::WORDS),
    ("run", "--accel", Accel::WORDS),
    ("run", "--root-from", RootFrom::WORDS),
    ("run", "--net", Net::WORDS),
    ("exec", "--cap", &spec::CAPABILITIES),
    ("mounts", "action", MountsAction::WORDS),
    ("man", "page", Page::WORDS),
    ("completion", "shell", Shell::WORDS),
];

/// The words that an option or an operand takes, if they are few.
fn few(verb: &str, name: &str) -> Option<Vec<&'static str>> {
    let rows = WORDS.iter().filter(|(of, own, _)| *of == verb && *own == name);
    let words: Vec<&str> = rows.flat_map(|(.., words)| *words).copied().collect();
    if words.is_empty() { None } else { Some(words) }
}

fn one_of(words: Vec<&'static str>) -> Wanted<'static> {
    Wanted::Words(words.into_iter().map(|word| (word, "")).collect())
}

/// What can stand at the end of `words`, in the place of the last of them.
pub fn complete<'a>(words: &[&'a str]) -> Answer<'a> {
    let (cursor, before) = words.split_last().map_or(("", words), |(last, before)| (*last, before));
    let line = so_far(before);
    let answer = |wanted| Answer { before: "", begun: cursor, wanted };
    if let Some(option) = before.last().and_then(|last| line.pending(last)) {
        return answer(value(&line, &option));
    }
    if line.foreign_next && !line.operands.is_empty() {
        return answer(Wanted::Free);
    }
    if let Some((name, begun)) = cursor.split_once('=')
        && let Some(option) = line.options().iter().find(|option| option.long == name)
    {
        return Answer { before: &cursor[..=name.len()], begun, wanted: value(&line, option) };
    }
    if cursor.starts_with('-') {
        let options = line.options().iter().map(|option| (option.long, option.about)).collect();
        return answer(Wanted::Words(options));
    }
    answer(line.verb.map_or_else(commands, |verb| operand(verb, line.operands)))
}

fn commands<'a>() -> Wanted<'a> {
    let named = VERBS.iter().filter(|verb| !internal(verb));
    Wanted::Words(named.map(|verb| (verb.name, (verb.info)().description)).collect())
}

/// What an option's value can be.
fn value(line: &Words, option: &Found) -> Wanted<'static> {
    let verb = line.verb.filter(|_| !option.global).map_or("", |verb| verb.name);
    match (few(verb, option.long), option.value) {
        (Some(words), _) => one_of(words),
        (None, "file" | "socket") => Wanted::File,
        (None, "dir") => Wanted::Folder,
        _ => Wanted::Free,
    }
}

/// What the next operand can be.
fn operand<'a>(verb: &Verb, given: Vec<&'a str>) -> Wanted<'a> {
    let all = (verb.info)().positionals;
    let Some(next) = all.get(given.len()).or(all.last()).map(|next| next.name) else {
        return Wanted::Free;
    };
    if let Some(words) = few(verb.name, next) {
        return one_of(words);
    }
    match (verb.name, next) {
        ("create" | "run" | "plan", _) => Wanted::Free,
        ("trace", _) => Wanted::Trace,
        ("explain", _) => Wanted::Explained(given),
        ("learn", _) => Wanted::Lesson,
        ("kill", "signal") => Wanted::Signal,
        (_, "id") => Wanted::Container,
        (_, "file") => Wanted::File,
        _ => Wanted::Free,
    }
}

/// The ids to complete are those of the state root that the line names.
pub fn adopt_root(words: &mut Words) {
    if let Some(root) = so_far(&words.operands).globals.value("--root") {
        words.globals.set("--root", Some(root));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::values::sentence;
    use crate::cli::verbs::PROGRAM;

    /// Values that are no choice: the error for another word has examples.
    const EXAMPLES: [&str; 5] = ["512m", "5s", "8080:80", "TERM", "a number"];

    /// The error for a wrong word lists the right ones. They are the table's.
    #[test]
    fn words_of_options_are_those_that_the_option_takes() {
        let mut found = 0;
        for verb in VERBS {
            let line = Words { verb: Some(verb), ..Words::default() };
            for option in line.options().iter().filter(|option| !option.global && !option.value.is_empty()) {
                let Err(exit) = (verb.make)(&[PROGRAM, verb.name], &[option.long, "?", "--", "x", "y", "z"]) else {
                    continue;
                };
                let said = sentence(&exit.output);
                let Some((_, listed)) = said.split_once("; write ") else { continue };
                if said.contains("too many arguments") || EXAMPLES.iter().any(|example| listed.contains(example)) {
                    continue;
                }
                let listed: Vec<&str> = listed.split(", ").flat_map(|part| part.split(" or ")).collect();
                assert_eq!(few(verb.name, option.long), Some(listed), "{} {}", verb.name, option.long);
                found += 1;
            }
        }
        assert!(found > 4, "{found}");
    }

    /// A row of nothing would be of no use.
    #[test]
    fn each_row_is_of_an_option_or_an_operand() {
        for (name, word, _) in WORDS {
            let verb = VERBS.iter().find(|verb| verb.name == *name);
            let operand = verb.is_some_and(|verb| (verb.info)().positionals.iter().any(|one| one.name == *word));
            let options = Words { verb, ..Words::default() }.options();
            let option = options.iter().any(|option| option.long == *word && option.global == name.is_empty());
            assert!(operand || option, "{name} {word}");
        }
    }
}
