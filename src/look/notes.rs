//! Sentences that stand beside the facts, by a key. May touch: text.

const NOTES: &str = include_str!("texts/notes.txt");

/// The sentence of a key. There is one for each key that the program asks for (test
/// `each_note_is_used_and_each_use_has_a_note`).
pub fn note(key: &str) -> &'static str {
    let line = |line: &'static str| line.split_once(": ").filter(|(known, _)| *known == key).map(|(_, text)| text);
    NOTES.lines().find_map(line).unwrap_or("")
}
