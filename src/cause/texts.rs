//! The words for what a look has found. texts.txt says how its entries are written. May touch: text.

use crate::outcome::{middle, visible};
use crate::packed::packed;

fn texts() -> &'static str {
    packed!("cause/texts.txt")
}

/// Bytes of a value in a cause, which is the first line of a message. A cure has values whole, since people copy them.
const SHORT: usize = 72;

/// The cause and the cure of this name. Empty: there is none.
pub fn filled(name: &str, values: &[&str]) -> (String, String) {
    let values: Vec<String> = values.iter().map(|value| visible(value).into_owned()).collect();
    let short: Vec<String> = values.iter().map(|value| middle(value, SHORT)).collect();
    let (cause, cure) = (part(texts(), name, "cause"), part(texts(), name, "try"));
    (holes(&cause, &short), holes(&cure, &values))
}

/// One part of an entry of these texts, in one line. Empty: there is none.
pub fn part(texts: &str, name: &str, part: &str) -> String {
    let mut lines = texts.lines().skip_while(|line| *line != name).skip(1);
    let mut lines = lines.by_ref().take_while(|line| line.starts_with("  "));
    let first = lines.find_map(|line| line.trim_start().strip_prefix(part)?.strip_prefix(": ")).unwrap_or_default();
    let more = lines.map_while(|line| line.strip_prefix("    "));
    more.fold(first.into(), |text, more| text + " " + more)
}

/// A text with values in place of `{0}`, `{1}` ... What a value has in braces stays.
pub fn holes(text: &str, values: &[String]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let hole =
            after.split_once('}').and_then(|(number, after)| Some((values.get(number.parse::<usize>().ok()?)?, after)));
        match hole {
            Some((value, after)) => {
                out.push_str(value);
                rest = after;
            }
            None => {
                out.push('{');
                rest = after;
            }
        }
    }
    out + rest
}

#[cfg(test)]
#[path = "../../tests/unit/cause_texts.rs"]
mod tests;
