//! The texts of causes: texts.txt, an entry a cause, with `{0}` for the first value. May touch: types.

use super::types::{By, Cause};
use crate::packed::packed;

pub fn texts() -> &'static str {
    packed!("watch/refused/texts.txt")
}

/// What a text may hold of a value, such as a path, in bytes.
const MOST: usize = 200;

/// A line of an entry. Empty: there is none.
fn line(key: &str, part: &str) -> &'static str {
    let mut lines = texts().lines().skip_while(|line| *line != key).skip(1);
    let lines = lines.by_ref().take_while(|line| line.starts_with("  "));
    lines.map(str::trim_start).find_map(|line| line.strip_prefix(part)?.strip_prefix(": ")).unwrap_or("")
}

/// A text with its values in place. A value can come from the container: it gets no control characters through, and no hole.
fn filled(text: &str, values: &[&str]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((hole, after)) = after.split_once('}') else {
            rest = after;
            continue;
        };
        let value = hole.parse().ok().and_then(|hole: usize| values.get(hole)).copied().unwrap_or("");
        out.extend(crate::outcome::bounded(value, MOST).chars().map(|c| if c.is_control() { '?' } else { c }));
        rest = after;
    }
    out + rest
}

/// The cause of an entry.
pub fn cause(by: By, key: &str, pointer: impl Into<String>, values: &[&str]) -> Cause {
    let part = |part: &str| filled(line(key, part), values);
    Cause { by, pointer: pointer.into(), what: part("what"), cure: part("try"), opens: part("opens") }
}

/// A single text: what a kind of cause is called, or words of the summary.
pub fn words(key: &str, values: &[&str]) -> String {
    filled(line(key, "what"), values)
}

#[cfg(test)]
#[path = "../../../tests/unit/refused.rs"]
mod tests;
