//! A comparison of plans as a page. May touch: types.

use super::config::Change;
use super::lines::Comparison;
use super::page::{Page, pointers, several};
use super::pairs::{Kind, Pair};
use super::sections;
use super::words::merged;
use crate::outcome::visible;
use crate::sorted;
use crate::trace::Screen;

/// A line with longer words is shown by its beginning and by what differs.
const LONG: usize = 200;
const BEGINNING: usize = 60;
/// Why lines that have moved are told.
const ORDER: &str = "a mount covers what lies at its place and below it, and hooks see what those before have done";
/// Members that have changed alike are looked for among so many rows.
const KINDS: usize = 8;

/// One row of the comparison: a line, or a change that no line shows.
pub enum Row<'a> {
    Line(&'a Pair),
    Loose(&'a Change),
}

/// The rows of all sections: each with its section and its sign.
pub fn rows<'a>(all: &'a Comparison) -> Vec<(usize, Row<'a>)> {
    let mut rows: Vec<(usize, (bool, &str, u16), Row)> = Vec::new();
    for pair in all.pairs.iter().filter(|pair| pair.kind != Kind::Same) {
        if let Some(item) = all.either(pair) {
            let section = sections::of(&item.key, item.line.step.text().0);
            rows.push((section, (item.key.is_empty(), &item.key, item.number), Row::Line(pair)));
        }
    }
    for change in all.loose.iter().map(|at| &all.changes[*at]) {
        rows.push((sections::of(&change.key, ""), (false, &change.key, 0), Row::Loose(change)));
    }
    sorted::by(&mut rows, |a, b| (a.0, a.1) < (b.0, b.1));
    rows.into_iter().map(|(section, _, row)| (section, row)).collect()
}

/// The page. Nothing, where both are the same. `names`: what the caller calls the two.
pub fn page(all: &Comparison, names: [&str; 2], screen: Screen) -> String {
    let mut page = Page::new(screen);
    if all.is_same() {
        return page.out;
    }
    page.head([0, 1].map(|side| format!("{}: a plan of {} lines", visible(names[side]), all.sizes[side])));
    let rows = rows(all);
    let mut at = 0;
    while let Some((section, row)) = rows.get(at) {
        page.section(sections::title(*section));
        at += 1;
        match row {
            Row::Line(pair) => line(&mut page, all, pair),
            Row::Loose(change) => {
                // Members of one list that have changed alike make one row.
                let mut list = vec![*change];
                while let Some((_, Row::Loose(next))) = rows.get(at)
                    && list_of(next) == list_of(change)
                {
                    list.push(next);
                    at += 1;
                }
                for (sign, text) in grouped(&list, ["", ""]) {
                    page.row(sign, [0, 0], &text);
                }
            }
        }
    }
    page.end(&counts(all));
    page.out
}

/// The row of a line, what in the configuration makes the difference, and the reason.
fn line(page: &mut Page, all: &Comparison, pair: &Pair) {
    let items = [0, 1].map(|side| all.item(pair, side));
    let Some(item) = all.either(pair) else {
        return;
    };
    let words = items.map(|item| item.map_or("", |item| item.words.as_str()));
    let is_long = pair.kind == Kind::Changed && words.iter().any(|words| words.len() > LONG);
    let (sign, mut text) = match pair.kind {
        Kind::Removed => ('-', words[0].to_string()),
        Kind::Added => ('+', words[1].to_string()),
        Kind::Changed if is_long => ('~', beginning(words)),
        Kind::Changed => ('~', merged(words[0], words[1])),
        Kind::Moved => ('>', words[1].to_string()),
        Kind::Inside | Kind::Same => ('~', words[1].to_string()),
    };
    let from = items.map(|item| item.map_or("", |item| item.line.from.as_str()));
    for word in [pointers(from).as_str(), item.line.mark.text()].into_iter().filter(|word| !word.is_empty()) {
        text.push_str(&format!("  [{}]", visible(word)));
    }
    page.row(sign, items.map(|item| item.map_or(0, |item| item.number)), &text);
    let shows = |change: &&Change| match pair.kind {
        Kind::Inside => true,
        Kind::Changed => is_long || !is_in(change, words),
        _ => false,
    };
    let changes: Vec<&Change> = pair.changes.iter().map(|at| &all.changes[*at]).filter(shows).collect();
    for (sign, text) in grouped(&changes, from) {
        let (mark, code) = match sign {
            '~' => ("", ""),
            '-' => ("- ", "31"),
            _ => ("+ ", "32"),
        };
        page.below(&format!("{mark}{text}"), code);
    }
    if is_long && changes.is_empty() {
        page.both(words);
    }
    page.why(if pair.kind == Kind::Moved { ORDER } else { item.line.why.0 });
}

fn counts(all: &Comparison) -> String {
    let count = |kind: Kind| all.pairs.iter().filter(|pair| pair.kind == kind).count();
    let mut text = format!(
        "{} only in the first, {} only in the second, {} changed, {} the same",
        several(count(Kind::Removed), "line"),
        count(Kind::Added),
        count(Kind::Changed) + count(Kind::Inside),
        count(Kind::Same) + count(Kind::Moved),
    );
    if count(Kind::Moved) > 0 {
        text.push_str(&format!(" ({} in another order)", count(Kind::Moved)));
    }
    if !all.loose.is_empty() {
        text.push_str(&format!("; {} of config.json beside them", several(all.loose.len(), "place")));
    }
    text
}

/// The pointer of what has changed, without the number of a member.
fn list_of(change: &Change) -> &str {
    let at = change.at[0].as_deref().or(change.at[1].as_deref()).unwrap_or("");
    match change.member.is_empty() {
        true => at,
        false => at.rsplit_once('/').map_or("", |(list, _)| list),
    }
}

/// What two long texts begin with.
fn beginning(words: [&str; 2]) -> String {
    let same = words[0].char_indices().zip(words[1].chars()).take_while(|((_, a), b)| a == b);
    let end = same.map(|((at, _), _)| at).take_while(|at| *at < BEGINNING).last().unwrap_or(0);
    let end = words[0][..end].rfind(' ').unwrap_or(end);
    format!("{} ...", &words[0][..end])
}

/// Whether the words of both lines show a change already.
fn is_in(change: &Change, words: [&str; 2]) -> bool {
    (0..2).all(|side| match &change.values[side] {
        None => true,
        Some(value) if value.is_empty() => has_whole(words[side], &change.member),
        Some(value) => has_whole(words[side], value),
    })
}

/// Whether a text has this, and not as a part of a longer word or number.
fn has_whole(text: &str, part: &str) -> bool {
    let apart = |c: Option<char>| !c.is_some_and(char::is_alphanumeric);
    text.match_indices(part)
        .any(|(at, _)| apart(text[..at].chars().next_back()) && apart(text[at + part.len()..].chars().next()))
}

/// Changes in words, each with its sign. Members of a list that have changed alike make one row. `from`: the pointers that are
/// shown already.
fn grouped(changes: &[&Change], from: [&str; 2]) -> Vec<(char, String)> {
    let mut groups: Vec<(&Change, Vec<&str>)> = Vec::new();
    for change in changes {
        // More kinds of changes than a few are values that all differ.
        let alike = |(first, _): &&mut (&Change, Vec<&str>)| {
            !change.member.is_empty() && list_of(first) == list_of(change) && first.values == change.values
        };
        match groups.iter_mut().rev().take(KINDS).find(alike) {
            Some((_, names)) => names.push(&change.member),
            None => groups.push((change, vec![&change.member])),
        }
    }
    groups.iter().map(|(first, names)| row(first, names, from)).collect()
}

fn row(first: &Change, names: &[&str], from: [&str; 2]) -> (char, String) {
    let list = list_of(first);
    let (sign, value) = match &first.values {
        [Some(old), Some(new)] => ('~', format!("{old} -> {new}")),
        [Some(old), None] => ('-', old.clone()),
        [None, new] => ('+', new.clone().unwrap_or_default()),
    };
    let rest = from.iter().filter(|from| !from.is_empty()).find_map(|from| list.strip_prefix(*from));
    let label = match rest {
        None => list,
        // The pointer alone is shown: its last word is the name of the value.
        Some("") if first.member.is_empty() => list.rsplit('/').next().unwrap_or(""),
        Some(rest) => rest.trim_start_matches('/'),
    };
    let named = names.join(", ");
    let parts = if names.len() > 1 { [label, &value, &named] } else { [label, &named, &value] };
    let said: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    (sign, visible(&said.join(": ")).into_owned())
}
