//! Texts in markup, as HTML and XML have it. May touch: text.

use crate::outcome::visible;

/// A text between two tags, or in an attribute. Of names any character can come.
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in visible(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no such characters.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// The text with these words in the places of their names. What stands in a word is no name.
pub fn with_words(text: &str, words: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, from) = rest.split_at(at);
        let named = words.iter().find(|(name, _)| from.starts_with(name));
        let (name, word) = named.copied().unwrap_or(("{", "{"));
        out.push_str(before);
        out.push_str(word);
        rest = &from[name.len()..];
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_put_in_once() {
        assert_eq!(with_words("a {X} {y} {X}{", &[("{X}", "{Y}"), ("{Y}", "no")]), "a {Y} {y} {Y}{");
    }
}
