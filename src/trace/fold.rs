//! Rows that stand for several calls: those of one line of the plan, those that repeat, and those that the runtime makes for
//! itself. The rules are data, in folds.txt. May touch: the recorder.

use super::call;
use super::life::Entry;
use super::words::{self, has};

const RULES: &str = include_str!("folds.txt");

/// The calls of one row.
pub struct Group<'a> {
    pub calls: Vec<&'a Entry<'a>>,
    /// The calls that the row is named after; the others help them.
    pub first: Vec<&'a Entry<'a>>,
    rule: Option<Rule>,
}

/// A line of folds.txt.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Own(&'static str),
    Same(&'static str),
}

/// What a row of several calls says, and why they were made, if the rule tells.
pub struct Said {
    pub words: String,
    pub why: Option<&'static str>,
}

/// Each call is a row of its own.
pub fn unfolded<'a>(calls: &[&'a Entry<'a>]) -> Vec<Group<'a>> {
    let alone = |entry: &&'a Entry<'a>| Group { calls: vec![*entry], first: vec![*entry], rule: None };
    calls.iter().map(alone).collect()
}

/// The rows of a stretch. The call that ended the command has a row of its own: no other call may hide it.
pub fn folded<'a>(calls: &[&'a Entry<'a>]) -> Vec<Group<'a>> {
    let Some(end) = calls.iter().position(|entry| entry.ended) else {
        return of_rules(calls);
    };
    let mut groups = of_rules(&calls[..end]);
    groups.extend(unfolded(&calls[end..=end]));
    groups.extend(of_rules(&calls[end + 1..]));
    groups
}

fn of_rules<'a>(calls: &[&'a Entry<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group> = Vec::new();
    for group in joined(lines(calls)) {
        match groups.last_mut() {
            Some(last) if last.rule.is_some() && last.rule == group.rule => {
                last.calls.extend(group.calls);
                last.first.extend(group.first);
            }
            _ => groups.push(group),
        }
    }
    groups
}

/// The calls of one line, and those of one rule, are together.
fn lines<'a>(calls: &[&'a Entry<'a>]) -> Vec<Group<'a>> {
    let mut groups: Vec<Group> = Vec::new();
    for &entry in calls {
        if let Some(last) = groups.last_mut().filter(|last| entry.is_aside() || last.is_of(entry)) {
            last.calls.push(entry);
            continue;
        }
        let own = own(entry);
        match groups.last_mut().filter(|last| own.is_some() && last.rule == own) {
            Some(last) => last.calls.push(entry),
            None => groups.push(Group { calls: vec![entry], first: vec![], rule: own }),
        }
    }
    groups.iter_mut().for_each(Group::name);
    groups
}

/// Calls that only help join what they help: the next line of the plan, or else what came before.
fn joined(groups: Vec<Group>) -> Vec<Group> {
    let mut joined: Vec<Group> = Vec::new();
    let mut waiting: Option<Group> = None;
    for mut group in groups {
        let of_plan = group.calls.iter().any(|entry| entry.r.line > 0);
        if let Some(mut before) = waiting.take() {
            let stage = |group: &Group| group.calls.first().map(|entry| entry.stage.clone());
            match group.rule.is_none() && stage(&group) == stage(&before) {
                true => {
                    before.calls.append(&mut group.calls);
                    group.calls = before.calls;
                }
                false => before.end(&mut joined),
            }
        }
        // In a mount's file system a directory is made only for the next mount.
        let least = |entry: &&Entry| if entry.stage == "mounts" { 1 } else { 0 };
        let helps = group.rule.is_none() && group.calls.iter().all(|entry| rank(entry) <= least(entry));
        match (helps, of_plan) {
            (true, true) => waiting = Some(group),
            (true, false) => group.end(&mut joined),
            (false, _) => {
                group.rule = group.rule.or_else(|| group.first.first().and_then(|first| same(first)));
                joined.push(group);
            }
        }
    }
    if let Some(group) = waiting {
        group.end(&mut joined);
    }
    joined
}

impl<'a> Group<'a> {
    /// Whether a call belongs to the same line of the plan, and may stand in one row with it.
    fn is_of(&self, entry: &Entry) -> bool {
        let last = self.calls.iter().rev().find(|last| !last.is_aside());
        let last = last.map(|last| (last.piece as *const _, last.r.line));
        let same = entry.r.line > 0 && last == Some((entry.piece as *const _, entry.r.line));
        same && !has(words::APART, entry.r.call.name())
    }

    /// Names the row after the call that counts most; if such a call repeats, after all of them.
    fn name(&mut self) {
        let most = self.calls.iter().map(|entry| rank(entry)).max();
        let Some(first) = self.calls.iter().find(|entry| Some(rank(entry)) == most) else { return };
        let rule = same(first);
        match rule.is_some() && self.rule.is_none() {
            true => self.first.extend(self.calls.iter().filter(|entry| same(entry) == rule)),
            false => self.first.push(first),
        }
    }

    /// These calls help no line that comes after them.
    fn end(mut self, groups: &mut Vec<Group<'a>>) {
        let closes = self.calls.iter().all(|entry| entry.r.call.name() == "close");
        match groups.last_mut() {
            Some(last) if closes || last.calls.last().is_some_and(|other| self.is_of(other)) => {
                last.calls.append(&mut self.calls);
            }
            _ => {
                self.rule = self.first.first().and_then(|first| same(first));
                groups.push(self);
            }
        }
    }

    /// What the row says, if it is not the call that it is named after.
    pub fn said(&self) -> Option<Said> {
        match self.rule? {
            Rule::Own(line) => {
                let text = line.split_once(": ").map(|(_, text)| text)?;
                let (words, why) = text.split_once(" | ").unwrap_or((text, ""));
                let count = self.calls.len();
                let why = Some(why).filter(|why| !why.is_empty());
                (count > 1).then(|| Said { words: format!("{words}: {count} calls"), why })
            }
            Rule::Same(line) => (self.first.len() > 1).then(|| Said { words: self.counted(line), why: None }),
        }
    }

    /// Whether its words stand for calls that repeat.
    pub fn repeats(&self) -> bool {
        matches!(self.rule, Some(Rule::Same(_))) && self.first.len() > 1
    }

    /// How many calls the row has beside those that its words count.
    pub fn more(&self) -> usize {
        match (self.rule, self.said()) {
            (Some(Rule::Own(_)), Some(_)) => 0,
            (_, Some(_)) => self.calls.len() - self.first.len(),
            (_, None) => self.calls.len() - 1,
        }
    }

    fn counted(&self, line: &str) -> String {
        let (head, words) = line.split_once(": ").unwrap_or((line, ""));
        let place = head.rsplit(' ').next().unwrap_or("");
        let whole = place.ends_with('/');
        let place: usize = place.trim_end_matches('/').parse().unwrap_or(0);
        let name = |entry: &&Entry| match entry.named.paths.get(place).and_then(Option::as_ref).filter(|_| whole) {
            Some(path) => path.to_string(),
            None => call::shown(&entry.r, place).trim_matches('"').to_string(),
        };
        let words = words.replace('#', &format!("{}", self.first.len()));
        match words.contains('@') {
            true => words.replace('@', &self.first.iter().map(name).collect::<Vec<_>>().join(", ")),
            false => words,
        }
    }
}

/// How much a call counts among those of its line.
fn rank(entry: &Entry) -> usize {
    let name = entry.r.call.name();
    match name {
        _ if has(words::FIRST, name) => 3,
        _ if has(words::HELPERS, name) => 0,
        _ if has(words::LAST, name) => 1,
        _ => 2,
    }
}

fn rules(kind: &'static str) -> impl Iterator<Item = &'static str> {
    RULES.lines().filter_map(move |line| line.strip_prefix(kind)?.strip_prefix(' '))
}

/// The rule for what the runtime does for itself.
fn own(entry: &Entry) -> Option<Rule> {
    let fits = |line: &&str| {
        let head = line.split(": ").next().unwrap_or("");
        head.split(' ').all(|places| places.split('|').any(|place| entry.is_at(place)))
    };
    rules("own").find(fits).map(Rule::Own)
}

/// The rule for a call that repeats.
fn same(entry: &Entry) -> Option<Rule> {
    let fits = |line: &&str| {
        let head = line.split(": ").next().unwrap_or("");
        let mut words = head.split(' ');
        words.next() == Some(entry.r.call.name()) && words.all(|word| asked(entry, word))
    };
    rules("same").find(fits).map(Rule::Same)
}

/// A word of a rule: a flag of the call, its place, or the number of an argument.
fn asked(entry: &Entry, word: &str) -> bool {
    match word.as_bytes() {
        [first, ..] if first.is_ascii_digit() => true,
        [first, ..] if first.is_ascii_uppercase() => {
            (0..entry.r.argc).any(|i| call::shown(&entry.r, i).split('|').any(|flag| flag == word))
        }
        _ => entry.is_at(word),
    }
}
