//! A comparison as a document for programs. May touch: types.

use super::lines::Comparison;
use super::pairs::Kind;
use super::text::{Row, rows};
use super::{config, sections};
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    same: bool,
    differences: Vec<Difference<'a>>,
}

/// Lists of two have the first side's value, then the second's.
#[derive(Serialize)]
struct Difference<'a> {
    section: &'static str,
    kind: &'static str,
    line: [Option<u16>; 2],
    words: [Option<&'a str>; 2],
    pointer: [Option<&'a str>; 2],
    why: &'static str,
    config: Vec<Change<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    pointer: [Option<&'a str>; 2],
    member: &'a str,
    value: [Option<&'a str>; 2],
}

pub fn document(all: &Comparison) -> String {
    let mut differences = Vec::new();
    for (section, row) in rows(all) {
        let section = sections::title(section);
        differences.push(match row {
            Row::Line(pair) => {
                let items = [0, 1].map(|side| all.item(pair, side));
                Difference {
                    section,
                    kind: name(pair.kind),
                    line: items.map(|item| item.map(|item| item.number)),
                    words: items.map(|item| item.map(|item| item.words.as_str())),
                    pointer: items.map(|item| item.map(|item| item.line.from.as_str())),
                    why: all.either(pair).map_or("", |item| item.line.why.0),
                    config: pair.changes.iter().map(|at| change(&all.changes[*at])).collect(),
                }
            }
            Row::Loose(loose) => Difference {
                section,
                kind: name(Kind::Inside),
                line: [None; 2],
                words: [None; 2],
                pointer: [None; 2],
                why: "",
                config: vec![change(loose)],
            },
        });
    }
    let document = Document { same: all.is_same(), differences };
    serde_json::to_string_pretty(&document).unwrap_or_default() + "\n"
}

fn change(change: &config::Change) -> Change<'_> {
    Change {
        pointer: [change.at[0].as_deref(), change.at[1].as_deref()],
        member: &change.member,
        value: [change.values[0].as_deref(), change.values[1].as_deref()],
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Removed => "removed",
        Kind::Added => "added",
        Kind::Changed => "changed",
        Kind::Inside => "config",
        Kind::Moved => "moved",
        Kind::Same => "same",
    }
}
