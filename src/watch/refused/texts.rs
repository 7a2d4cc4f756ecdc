//! The texts of causes: texts.txt, an entry a cause, with `{0}` for the first value. May touch: types.

use super::types::{By, Cause};
use crate::cause;
use crate::outcome::{bounded, visible};
use crate::packed::packed;

pub fn texts() -> &'static str {
    packed!("watch/refused/texts.txt")
}

/// What a text may hold of a value, such as a path, in bytes.
const MOST: usize = 200;

/// A part of an entry with its values in place. A value can come from the container.
fn filled(key: &str, part: &str, values: &[&str]) -> String {
    let values: Vec<String> = values.iter().map(|value| bounded(&visible(value), MOST).into_owned()).collect();
    cause::holes(&cause::part(texts(), key, part), &values)
}

/// The cause of an entry.
pub fn cause(by: By, key: &str, pointer: impl Into<String>, values: &[&str]) -> Cause {
    let part = |part: &str| filled(key, part, values);
    Cause { by, pointer: pointer.into(), what: part("what"), cure: part("try"), opens: part("opens") }
}

/// A single text: what a kind of cause is called, or words of the summary.
pub fn words(key: &str, values: &[&str]) -> String {
    filled(key, "what", values)
}

#[cfg(test)]
#[path = "../../../tests/unit/refused.rs"]
mod tests;
