//! The rows of the table, and their words (texts.txt). May touch: text.

use crate::cause::{Found, Place, holes};
use crate::packed::packed;
use serde::Serialize;

fn texts() -> &'static str {
    packed!("check/texts.txt")
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    #[serde(rename = "not needed")]
    NotNeeded,
    Ok,
    Unsure,
    Fails,
}

impl Verdict {
    pub fn word(self) -> &'static str {
        match self {
            Verdict::NotNeeded => "not needed",
            Verdict::Ok => "ok",
            Verdict::Unsure => "unsure",
            Verdict::Fails => "fails",
        }
    }
}

/// What was looked at, and how it is.
#[derive(Clone, Serialize, Debug)]
pub struct Row {
    pub verdict: Verdict,
    /// A pointer into config.json, an option, or `host` and a word for the part of this machine.
    pub place: String,
    /// The cause, where something would fail.
    pub what: String,
    /// What to try; empty: nothing needs to be done.
    #[serde(rename = "try", skip_serializing_if = "String::is_empty")]
    pub cure: String,
}

/// The rows so far: one a place, which has the worst that was seen there.
#[derive(Default)]
pub struct Rows(pub Vec<Row>);

impl Rows {
    fn add(&mut self, row: Row) {
        match self.0.iter_mut().find(|one| one.place == row.place && !row.place.is_empty()) {
            Some(one) if one.verdict >= row.verdict => {}
            Some(one) => *one = row,
            None => self.0.push(row),
        }
    }

    /// A row. Its words are one part of an entry of texts.txt: `ok`, `unsure`, or what would fail.
    pub fn say(&mut self, verdict: Verdict, place: &str, name: &str, part: &str, values: &[&str]) {
        let cure = if verdict == Verdict::Fails { text(name, "try", values) } else { String::new() };
        self.add(Row { verdict, place: place.into(), what: text(name, part, values), cure });
    }

    pub fn ok(&mut self, place: &str, name: &str, values: &[&str]) {
        self.say(Verdict::Ok, place, name, "ok", values);
    }

    pub fn fails(&mut self, place: &str, name: &str, values: &[&str]) {
        self.say(Verdict::Fails, place, name, "fails", values);
    }

    pub fn unsure(&mut self, place: &str, name: &str, values: &[&str]) {
        self.say(Verdict::Unsure, place, name, "unsure", values);
    }

    pub fn not_needed(&mut self, place: &str, name: &str, values: &[&str]) {
        self.say(Verdict::NotNeeded, place, name, "not needed", values);
    }

    /// What a look has found. It says itself where the cause stands, if that is another place.
    pub fn found(&mut self, place: &str, found: Found) {
        let place = match found.place {
            Some(Place::Property(pointer)) => pointer,
            Some(Place::Other(other)) => other,
            None => place.into(),
        };
        self.add(Row { verdict: Verdict::Fails, place, what: found.cause, cure: found.cure });
    }

    /// What reading or planning refuses. `cure`: what to try, if that is known.
    pub fn refused(&mut self, place: &str, what: String, cure: Option<String>, file: &str) {
        let cure = cure.unwrap_or_else(|| text("plan", "try", &[file, place]));
        self.add(Row { verdict: Verdict::Fails, place: place.into(), what, cure });
    }

    pub fn would_fail(&self) -> bool {
        self.0.iter().any(|row| row.verdict == Verdict::Fails)
    }
}

/// A text with its values.
fn text(name: &str, part: &str, values: &[&str]) -> String {
    let line = |line: &'static str| line.strip_prefix(name)?.strip_prefix(' ')?.strip_prefix(part)?.strip_prefix(": ");
    let values: Vec<String> = values.iter().map(|value| (*value).into()).collect();
    holes(texts().lines().find_map(line).unwrap_or(""), &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: [&str; 8] = [
        include_str!("host.rs"),
        include_str!("lines.rs"),
        include_str!("files.rs"),
        include_str!("program.rs"),
        include_str!("rights.rs"),
        include_str!("groups.rs"),
        include_str!("rows.rs"),
        include_str!("../commands/check.rs"),
    ];

    #[test]
    fn each_text_is_used_and_each_row_has_one() {
        let code: String = CODE.iter().filter_map(|code| code.split("#[cfg(test)]").next()).collect();
        for line in texts().lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (name, _) = line.split_once(' ').unwrap_or((line, ""));
            assert!(code.contains(&format!("\"{name}\"")), "{line} is not used");
            assert!(line.contains(": ") && !line.ends_with('.'), "{line}");
        }
        for (method, part) in [
            ("rows.ok(", "ok"),
            ("rows.fails(", "fails"),
            ("rows.unsure(", "unsure"),
            ("rows.not_needed(", "not needed"),
        ] {
            for call in code.split(method).skip(1) {
                let Some(name) = call.split(", ").nth(1).and_then(|word| word.strip_prefix('"')?.strip_suffix('"'))
                else {
                    continue;
                };
                assert!(!text(name, part, &[]).is_empty(), "{name} has no text for {part}");
            }
        }
    }
}
