//! Values of a JSON document as they are written, in place: nothing is copied. The text is valid JSON. May touch: serde.

use alloc::borrow::Cow;
use serde_json::Value;

/// The entries of the object that a text begins with: each key and each value, as they are written.
pub fn entries(text: &str) -> impl Iterator<Item = (&str, &str)> {
    let mut rest = text;
    core::iter::from_fn(move || {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '{' | ','));
        let key = string(rest)?;
        rest = rest[key.len()..].trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ':');
        let value = value(rest);
        rest = &rest[value.len()..];
        Some((key, value))
    })
}

/// The value of a key of the object that a text begins with.
pub fn property<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    entries(text).find(|(written, _)| unescaped(written).is_some_and(|name| name == key)).map(|(_, value)| value)
}

/// A string without its quotes and escapes. `None`: it is no text, as half of a pair of UTF-16.
pub fn unescaped(written: &str) -> Option<Cow<'_, str>> {
    if !written.contains('\\') {
        return written.get(1..written.len().checked_sub(1)?).map(Cow::Borrowed);
    }
    match serde_json::from_slice(written.as_bytes()) {
        Ok(Value::String(text)) => Some(Cow::Owned(text)),
        _ => None,
    }
}

/// The string that a text begins with, with its quotes.
pub fn string(text: &str) -> Option<&str> {
    let mut bytes = text.strip_prefix('"')?.bytes().enumerate();
    loop {
        match bytes.next()? {
            (at, b'"') => return text.get(..at + 2),
            (_, b'\\') => drop(bytes.next()),
            _ => {}
        }
    }
}

/// The value that a text begins with.
pub fn value(text: &str) -> &str {
    let (mut at, mut depth) = (0, 0_usize);
    let bytes = text.as_bytes();
    loop {
        match bytes.get(at) {
            None => return text,
            Some(b'"') => at += text.get(at..).and_then(string).map_or(text.len(), str::len),
            Some(b'{' | b'[') => (at, depth) = (at + 1, depth + 1),
            Some(b'}' | b']') if depth > 0 => (at, depth) = (at + 1, depth - 1),
            Some(b',' | b'}' | b']') if depth == 0 => return text.get(..at).unwrap_or_default(),
            Some(_) => at += 1,
        }
        if depth == 0 && matches!(bytes.get(at.wrapping_sub(1)), Some(b'"' | b'}' | b']')) {
            return text.get(..at).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_end_where_they_do() {
        let text = r#" { "a\"}": [1, {"b": "]"}], "c" :"x\\", "d":-1.5e3 ,"e":{}, "\u0066":null }, "after" "#;
        let all: Vec<_> = entries(text).map(|(key, value)| (key, value.trim())).collect();
        let wanted = [
            (r#""a\"}""#, r#"[1, {"b": "]"}]"#),
            (r#""c""#, r#""x\\""#),
            (r#""d""#, "-1.5e3"),
            (r#""e""#, "{}"),
            (r#""\u0066""#, "null"),
        ];
        assert_eq!(all, wanted);
        assert_eq!(value(text.trim_start()), text.trim_end().trim_end_matches(", \"after\"").trim_start());
        assert_eq!(property(text, "f").map(str::trim), Some("null"));
        assert_eq!(property(text, "after"), None);
        for (text, whole) in [("\"a\",", "\"a\""), ("12]", "12"), ("", ""), ("\"", "\""), ("[[]", "[[]"), ("}", "")] {
            assert_eq!(value(text), whole);
        }
    }
}
