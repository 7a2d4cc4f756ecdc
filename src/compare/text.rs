//! A comparison as a page: a sign, the number of the line in each plan, its words; what in the configuration differs; the
//! reason, once in each section. May touch: types.

use super::config::Change;
use super::lines::Comparison;
use super::pairs::{Kind, Pair};
use super::sections;
use super::words::merged;
use crate::outcome::visible;
use crate::say::out::wrapped;
use crate::sorted;
use crate::trace::Screen;

/// Before the words: the sign, and two numbers.
const MARGIN: usize = 12;
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

struct Page<'a> {
    all: &'a Comparison<'a>,
    screen: Screen,
    out: String,
}

/// The page. Nothing, where both are the same. `names`: what the caller calls the two.
pub fn page(all: &Comparison, names: [&str; 2], screen: Screen) -> String {
    let mut page = Page { all, screen, out: String::new() };
    if all.is_same() {
        return page.out;
    }
    for (sign, name, lines) in [("---", names[0], all.sizes[0]), ("+++", names[1], all.sizes[1])] {
        page.line(&format!("{sign} {}: a plan of {lines} lines", visible(name)), "1");
    }
    let rows = rows(all);
    let (mut section, mut said): (_, Vec<&'static str>) = (None, Vec::new());
    let mut at = 0;
    while at < rows.len() {
        let (of, row) = &rows[at];
        if section.replace(*of) != Some(*of) {
            page.out.push('\n');
            page.line(sections::title(*of), "1");
            said.clear();
        }
        at += 1;
        match row {
            Row::Line(pair) => page.pair(pair, &mut said),
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
                    page.words(sign, ["", ""], &text);
                }
            }
        }
    }
    page.end();
    page.out
}

/// The pointer of what has changed, without the number of a member.
fn list_of(change: &Change) -> &str {
    let at = change.at[0].as_deref().or(change.at[1].as_deref()).unwrap_or("");
    match change.member.is_empty() {
        true => at,
        false => at.rsplit_once('/').map_or("", |(list, _)| list),
    }
}

impl Page<'_> {
    fn line(&mut self, text: &str, code: &str) {
        match self.screen.color && !code.is_empty() {
            true => self.out.push_str(&format!("\x1b[{code}m{text}\x1b[0m\n")),
            false => self.out.push_str(&format!("{text}\n")),
        }
    }

    /// A row of words below each other, after a sign and numbers.
    fn words(&mut self, sign: char, numbers: [&str; 2], words: &str) {
        let code = match sign {
            '-' => "31",
            '+' => "32",
            _ => "",
        };
        let mut margin = format!("{sign} {:>4} {:>4}", numbers[0], numbers[1]);
        for row in wrapped(words, self.screen.width.saturating_sub(MARGIN).max(40)) {
            let row = format!("{margin:<MARGIN$}{row}");
            self.line(&if code.is_empty() { self.marked(&row) } else { row }, code);
            margin.clear();
        }
    }

    /// Marks of what has gone and come, in the colours of both.
    fn marked(&self, row: &str) -> String {
        match self.screen.color {
            true => row
                .replace("[-", "\x1b[31m[-")
                .replace("-]", "-]\x1b[0m")
                .replace("{+", "\x1b[32m{+")
                .replace("+}", "+}\x1b[0m"),
            false => row.into(),
        }
    }

    /// A text below a line.
    fn below(&mut self, text: &str, code: &str) {
        for (i, row) in wrapped(text, self.screen.width.saturating_sub(MARGIN + 4).max(40)).iter().enumerate() {
            let indent = if i == 0 { MARGIN + 2 } else { MARGIN + 4 };
            let row = format!("{:indent$}{row}", "");
            self.line(&if code.is_empty() { self.marked(&row) } else { row }, code);
        }
    }

    fn pair(&mut self, pair: &Pair, said: &mut Vec<&'static str>) {
        let items = [0, 1].map(|side| self.all.item(pair, side));
        let Some(item) = self.all.either(pair) else {
            return;
        };
        let numbers = items.map(|item| item.map_or(String::new(), |item| item.number.to_string()));
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
        self.words(sign, [&numbers[0], &numbers[1]], &text);
        let shows = |change: &&Change| match pair.kind {
            Kind::Inside => true,
            Kind::Changed => is_long || !is_in(change, words),
            _ => false,
        };
        let changes: Vec<&Change> = pair.changes.iter().map(|at| &self.all.changes[*at]).filter(shows).collect();
        for (sign, text) in grouped(&changes, from) {
            let (mark, code) = match sign {
                '~' => ("", ""),
                '-' => ("- ", "31"),
                _ => ("+ ", "32"),
            };
            self.below(&format!("{mark}{text}"), code);
        }
        if is_long && changes.is_empty() {
            self.below(&merged(words[0], words[1]), "");
        }
        let why = if pair.kind == Kind::Moved { ORDER } else { item.line.why.0 };
        if !said.contains(&why) {
            said.push(why);
            self.below(why, "2");
        }
    }

    fn end(&mut self) {
        let count = |kind: Kind| self.all.pairs.iter().filter(|pair| pair.kind == kind).count();
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
        if !self.all.loose.is_empty() {
            text.push_str(&format!("; {} of config.json beside them", several(self.all.loose.len(), "place")));
        }
        self.out.push('\n');
        for row in wrapped(&text, self.screen.width.max(40)) {
            self.line(&row, "2");
        }
    }
}

/// A number, and what is counted.
fn several(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// The pointers of both sides, or the one that they have in common.
pub fn pointers(from: [&str; 2]) -> String {
    match from {
        [one, other] if one == other || other.is_empty() => one.into(),
        ["", other] => other.into(),
        [one, other] => format!("{one}, {other}"),
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
        Some(value) if value.is_empty() => words[side].contains(&change.member),
        Some(value) => words[side].contains(value.as_str()),
    })
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
