//! The sections of a comparison, in the order of sections.txt. A row is a title; then beginnings of pointers; then the steps of
//! lines that no pointer asks for. May touch: text.

use crate::packed::packed;

fn rows() -> impl Iterator<Item = (&'static str, &'static str)> {
    packed!("compare/sections.txt").lines().filter_map(|row| row.split_once(": "))
}

pub fn title(section: usize) -> &'static str {
    rows().nth(section).map_or("", |(title, _)| title)
}

/// The section of a line. `key`: what asks for it; `step`: the name of its step.
pub fn of(key: &str, step: &str) -> usize {
    let begins = |word: &str| key.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_of = |words: &str| match key {
        "" => words.split(' ').any(|word| word == step),
        _ => words.split(' ').any(|word| word.starts_with('/') && begins(word)),
    };
    rows().position(|(_, words)| is_of(words)).unwrap_or_else(|| rows().count().saturating_sub(1))
}
