//! The rules: what each finding opens and how to narrow it, as rules.txt has it. May touch: text.

use crate::cli::Weight;
use crate::look::open;
use crate::packed::packed;
use serde::Serialize;

/// How much a rule opens, as rules.txt has it.
fn weight(lines: &'static str) -> Weight {
    match value(lines, "level") {
        "high" => Weight::High,
        "medium" => Weight::Medium,
        _ => Weight::Low,
    }
}

#[derive(Serialize, Debug)]
pub struct Finding {
    pub name: &'static str,
    pub level: &'static str,
    /// The lines of config.json, or the places where a line would change it.
    pub pointers: Vec<String>,
    /// What of them, in words or values; empty: the finding says it all.
    pub what: Vec<String>,
    pub opens: String,
    pub narrow: &'static str,
}

/// What was found: the name of a rule, the pointer, and what of it.
#[derive(Default)]
pub struct Found(Vec<(&'static str, String, String)>);

impl Found {
    #[cfg(test)]
    pub fn of(name: &'static str) -> Found {
        Found(vec![(name, String::new(), String::new())])
    }

    pub fn add(&mut self, name: &'static str, pointer: impl Into<String>, what: impl Into<String>) {
        self.0.push((name, pointer.into(), what.into()));
    }

    /// All that was found under a name.
    fn of_rule(&self, name: &'static str, lines: &'static str) -> Option<Finding> {
        let all: Vec<_> = self.0.iter().filter(|(known, ..)| *known == name).collect();
        if all.is_empty() {
            return None;
        }
        let opens = match value(lines, "opens") {
            "" => open::meaning(name),
            own => own.into(),
        };
        let what = all.iter().map(|(.., what)| what).filter(|what| !what.is_empty());
        Some(Finding {
            name,
            level: value(lines, "level"),
            pointers: all.iter().map(|(_, pointer, _)| pointer.clone()).collect(),
            what: what.cloned().collect(),
            opens,
            narrow: value(lines, "narrow"),
        })
    }
}

/// A rule: its name, and its lines of keys.
fn rules() -> impl Iterator<Item = (&'static str, &'static str)> {
    packed!("lint/rules.txt").split("\n== ").skip(1).filter_map(|rule| rule.split_once('\n'))
}

fn value(lines: &'static str, key: &str) -> &'static str {
    lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).unwrap_or("")
}

/// Whether there is a rule of this name.
pub fn is_known(name: &str) -> bool {
    rules().any(|(known, _)| known == name)
}

#[cfg(test)]
pub fn names() -> Vec<&'static str> {
    rules().map(|(name, _)| name).collect()
}

/// What was found, with its rule, in the order of the rules within each weight.
pub fn explained(found: Found, least: Weight) -> Vec<Finding> {
    let mut all = Vec::new();
    for level in [Weight::High, Weight::Medium, Weight::Low].into_iter().filter(|level| *level >= least) {
        let rules = rules().filter(|(_, lines)| weight(lines) == level);
        all.extend(rules.filter_map(|(name, lines)| found.of_rule(name, lines)));
    }
    all
}
