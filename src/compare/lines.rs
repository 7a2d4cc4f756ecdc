//! Plan against plan. A line is found again by what asks for it, not by its number: a mount that comes first here and last
//! there is one mount. May touch: types.

use super::config::{self, Change};
use super::pairs::{self, Kind, Pair, Rule};
use crate::plan::op::Mounts;
use crate::plan::{Line, Op, Plan, Step};
use crate::sorted;
use crate::spec::Value;

/// A line of one of the plans.
pub struct Item<'a> {
    pub number: u16,
    pub line: &'a Line,
    pub words: String,
    /// What asks for it, by the names of members.
    pub key: String,
    lane: u8,
}

pub struct Comparison<'a> {
    /// How many lines each plan has.
    pub sizes: [usize; 2],
    pub lines: [Vec<Item<'a>>; 2],
    pub pairs: Vec<Pair>,
    pub changes: Vec<Change>,
    /// Changes of the configuration that no line shows.
    pub loose: Vec<usize>,
}

/// Two plans, and the configurations that they were made of.
pub fn compared<'a>(plans: [&'a Plan; 2], configs: [&Value; 2]) -> Comparison<'a> {
    let changes = config::changes(configs);
    let lines = [0, 1].map(|side| {
        let item = |(number, line): (u16, &'a Line)| Item {
            number,
            line,
            words: line.words(),
            key: changes.key(side, &line.from),
            lane: u8::from(number as usize > plans[side].host.len()),
        };
        // Where a lane stands when it does the next line is a part of that line.
        let enters = |line: &Line| matches!(line.op, Op::Mounts(Mounts::Enter { .. }));
        (1..).zip(plans[side].lines()).filter(|(_, line)| !enters(line)).map(item).collect::<Vec<_>>()
    });
    let pairs = paired(&lines);
    let sizes = plans.map(|plan| plan.lines().count());
    let mut comparison = Comparison { sizes, lines, pairs, changes: changes.all, loose: Vec::new() };
    comparison.find_moved();
    comparison.find_causes();
    comparison
}

impl Comparison<'_> {
    pub fn is_same(&self) -> bool {
        self.loose.is_empty() && self.pairs.iter().all(|pair| pair.kind == Kind::Same)
    }

    /// The line of a pair on this side.
    pub fn item(&self, pair: &Pair, side: usize) -> Option<&Item<'_>> {
        pair.at[side].map(|at| &self.lines[side][at])
    }

    /// The line of a pair: the second plan's, where both have it.
    pub fn either(&self, pair: &Pair) -> Option<&Item<'_>> {
        self.item(pair, 1).or_else(|| self.item(pair, 0))
    }

    /// Lines that come later or earlier than others. That matters for mounts and hooks alone; all else is a set.
    fn find_moved(&mut self) {
        let ordered = |pair: &&mut Pair| {
            pair.at[0].is_some_and(|at| {
                let line = self.lines[0][at].line;
                [Step::Mounts, Step::Hooks].contains(&line.step) && is_act(&self.lines[0][at].words)
            }) && pair.at[1].is_some()
        };
        let mut both: Vec<&mut Pair> = self.pairs.iter_mut().filter(ordered).collect();
        sorted::by(&mut both, |a, b| a.at[0] < b.at[0]);
        let places: Vec<usize> = both.iter().filter_map(|pair| pair.at[1]).collect();
        let stays = longest_rise(&places);
        for (pair, stays) in both.into_iter().zip(stays) {
            if !stays && pair.kind == Kind::Same {
                pair.kind = Kind::Moved;
            }
        }
    }

    /// Gives each change of the configuration to the lines that it asks for.
    fn find_causes(&mut self) {
        let mut keys: Vec<(&str, usize)> = Vec::new();
        for (at, pair) in self.pairs.iter().enumerate() {
            let own = [0, 1].map(|side| pair.at[side].map_or("", |at| self.lines[side][at].key.as_str()));
            keys.extend(own.iter().filter(|key| !key.is_empty()).map(|key| (*key, at)));
        }
        sorted::sort(&mut keys);
        keys.dedup();
        let mut found: Vec<Vec<usize>> = Vec::new();
        for change in &self.changes {
            let mut key = change.key.as_str();
            let of = loop {
                let first = keys.partition_point(|(known, _)| *known < key);
                let of: Vec<usize> =
                    keys[first..].iter().take_while(|(known, _)| *known == key).map(|(_, at)| *at).collect();
                match key.rfind('/') {
                    Some(shorter) if of.is_empty() && shorter > 0 => key = &key[..shorter],
                    _ => break of,
                }
            };
            found.push(of);
        }
        for (change, of) in found.into_iter().enumerate() {
            let differs = |at: &&usize| ![Kind::Same, Kind::Moved].contains(&self.pairs[**at].kind);
            let Some(at) = of.iter().rfind(differs).or(of.last()) else {
                self.loose.push(change);
                continue;
            };
            let pair = &mut self.pairs[*at];
            pair.changes.push(change);
            if pair.kind == Kind::Same {
                pair.kind = Kind::Inside;
            }
        }
    }
}

/// Whether a line mounts or runs something: others of its step only make room for that.
fn is_act(words: &str) -> bool {
    ["mount ", "attach ", "bind ", "remount ", "run "].iter().any(|verb| words.starts_with(verb))
}

/// Finds each line of one plan in the other: first the same words for the same cause, then the same words, then the same
/// act for the same cause.
fn paired(lines: &[Vec<Item>; 2]) -> Vec<Pair> {
    let words_and_cause = |side: usize, at: usize| {
        let item = &lines[side][at];
        format!("{} {} {}", item.lane, item.key, item.words)
    };
    let words = |side: usize, at: usize| {
        let item = &lines[side][at];
        match item.line.step {
            Step::Sources => words_and_cause(side, at),
            _ => format!("{} {}", item.lane, item.words),
        }
    };
    let act_and_cause = |side: usize, at: usize| {
        let item = &lines[side][at];
        format!("{} {} {}", item.lane, item.key, act(item))
    };
    let rules: [Rule; 3] = [(Kind::Same, &words_and_cause), (Kind::Same, &words), (Kind::Changed, &act_and_cause)];
    pairs::paired([lines[0].len(), lines[1].len()], &rules)
}

/// What a line does, without the values: its first word where something asks for it, otherwise all up to the first path or
/// number.
fn act(item: &Item) -> String {
    let value = |word: &&str| !word.starts_with(|c: char| c == '/' || c.is_ascii_digit());
    let most = if item.key.is_empty() { usize::MAX } else { 1 };
    let words: Vec<&str> = item.words.split(' ').take_while(value).take(most).collect();
    format!("{} {}", item.line.step as u16, words.join(" "))
}

/// Which of the numbers belong to the longest list that rises.
fn longest_rise(numbers: &[usize]) -> Vec<bool> {
    // The place of the smallest number at which a list of each length can end, and for each place the one before it.
    let (mut ends, mut before): (Vec<usize>, Vec<Option<usize>>) = (Vec::new(), Vec::new());
    for (place, number) in numbers.iter().enumerate() {
        let length = ends.partition_point(|end| numbers[*end] < *number);
        before.push(length.checked_sub(1).map(|shorter| ends[shorter]));
        match ends.get_mut(length) {
            Some(end) => *end = place,
            None => ends.push(place),
        }
    }
    let mut of_it = vec![false; numbers.len()];
    let mut at = ends.last().copied();
    while let Some(place) = at {
        of_it[place] = true;
        at = before[place];
    }
    of_it
}
