//! Rules for one value that rows of several subjects name. May touch: types.

use super::schema::{At, Checked};
use core::fmt::Display;
use core::ops::RangeInclusive;

/// A string that becomes a C string.
pub fn text(text: &str, at: &At) -> Checked {
    at.without_nul(text)
}

/// The kernel takes no longer path (PATH_MAX, without its NUL).
const LONGEST_PATH: usize = 4095;

pub fn path(path: &str, at: &At) -> Checked {
    let len = path.len();
    at.refuse(len > LONGEST_PATH, || format!("has {len} bytes: the kernel takes at most {LONGEST_PATH}"))?;
    text(path, at)
}

pub fn absolute(text: &str, at: &At) -> Checked {
    at.refuse(!text.starts_with('/'), || format!("`{text}` must be an absolute path"))?;
    path(text, at)
}

/// The words that a property may hold: a list, or one with the kernel's numbers.
pub trait Words {
    fn have(&self, word: &str) -> bool;
}

impl<const N: usize> Words for [&str; N] {
    fn have(&self, word: &str) -> bool {
        self.contains(&word)
    }
}

impl<const N: usize> Words for [(&str, u32); N] {
    fn have(&self, word: &str) -> bool {
        self.iter().any(|(known, _)| *known == word)
    }
}

/// One of many words. `problem` says what any other word is not.
pub fn one_of(words: &impl Words, problem: &str) -> impl Fn(&str, &At) -> Checked {
    move |word, at| at.refuse(!words.have(word), || format!("`{word}` {problem}"))
}

/// One of few words: the problem names them all.
pub fn one_of_these(words: &[&str]) -> impl Fn(&str, &At) -> Checked {
    move |word, at| at.refuse(!words.contains(&word), || format!("`{word}` must be one of {}", words.join(", ")))
}

pub fn between<T: PartialOrd + Display>(range: RangeInclusive<T>) -> impl Fn(&T, &At) -> Checked {
    move |number, at| {
        at.refuse(!range.contains(number), || format!("{number} is not between {} and {}", range.start(), range.end()))
    }
}

/// Any value that passes the test.
pub fn fits<T: ?Sized>(test: impl Fn(&T) -> bool, problem: &str) -> impl Fn(&T, &At) -> Checked {
    move |value, at| at.refuse(!test(value), || problem)
}

/// The kernel takes the highest number as "leave the id as it is" (setresuid(2), chown(2)): the id would stay root's.
pub fn id(id: &u32, at: &At) -> Checked {
    at.refuse(*id == u32::MAX, || "4294967295 is no id: to the kernel it stands for no change")
}

/// No container needs a longer list. The plan compares some entries with each other, and a jump in the device program has
/// 15 bits for its distance.
pub const LONGEST_LIST: usize = 2048;

/// Entries are NAME=VALUE; an older habit is a NAME alone.
pub fn variable(entry: &str, at: &At) -> Checked {
    at.refuse(matches!(entry.as_bytes(), [] | [b'=', ..]), || format!("`{entry}` has no name"))?;
    text(entry, at)
}

/// A list of numbers, such as `0-3,7`. `None`: it is no list, or a number is above `most`.
pub fn list(text: &str, most: u32) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.trim().split(',').filter(|_| !text.trim().is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(from) || !digits(to) {
            return None;
        }
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        if from > to || to > most {
            return None;
        }
        all.extend(from..=to);
    }
    Some(all)
}
