//! Changes of a JSON text by pointers (RFC 6901). All else of the text stays as it is, with its spaces and the order of its
//! keys, so that a learner finds the file again. The text is one that serde_json takes. May touch: text.

use core::ops::Range;

/// A change: a new value for what the pointer names; none: it is removed.
#[derive(Debug, PartialEq)]
pub struct Edit {
    pub pointer: String,
    pub value: Option<String>,
}

/// Reads changes, a line each. A line that begins with a space goes on with the line before.
pub fn read(text: &str) -> Vec<Edit> {
    let mut edits: Vec<Edit> = Vec::new();
    for line in text.lines() {
        let mut words = line.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("set"), Some(pointer), Some(value)) => {
                edits.push(Edit { pointer: pointer.into(), value: Some(value.into()) });
            }
            (Some("remove"), Some(pointer), None) => edits.push(Edit { pointer: pointer.into(), value: None }),
            _ => {
                if let Some(value) = edits.last_mut().and_then(|edit| edit.value.as_mut()) {
                    value.push(' ');
                    value.push_str(line.trim_start());
                }
            }
        }
    }
    edits
}

/// The text with all these changes. `None`: one of them has no place in it.
pub fn apply(text: &str, edits: &[Edit]) -> Option<String> {
    edits.iter().try_fold(String::from(text), |text, edit| match &edit.value {
        Some(value) => set(&text, &edit.pointer, value),
        None => remove(&text, &edit.pointer),
    })
}

/// The value that a pointer names, as it is written.
pub fn get<'a>(text: &'a str, pointer: &str) -> Option<&'a str> {
    text.get(place(text, pointer)?)
}

/// How many members an object has, or elements a list.
pub fn count(text: &str, pointer: &str) -> usize {
    place(text, pointer).and_then(|place| members(text, place.start)).map_or(0, |all| all.len())
}

/// Replaces a value, or adds it to its object, or with `-` to the end of its list.
pub fn set(text: &str, pointer: &str, value: &str) -> Option<String> {
    if let Some(place) = place(text, pointer) {
        return Some(format!("{}{value}{}", &text[..place.start], &text[place.end..]));
    }
    let (above, key) = pointer.rsplit_once('/')?;
    let above = place(text, above)?;
    let new = match text[above.start..].starts_with('{') {
        true => format!("\"{}\": {value}", unescaped(key)),
        false => value.into(),
    };
    let all = members(text, above.start)?;
    let Some(last) = all.last() else {
        let open = above.start + 1;
        return Some(format!("{}{new}{}", &text[..open], &text[above.end - 1..]));
    };
    // Members that have lines of their own keep to that.
    let before = &text[above.start..last.whole.start];
    let gap = match before.rsplit_once('\n') {
        Some((_, indent)) if indent.trim().is_empty() => format!("\n{indent}"),
        _ => " ".into(),
    };
    Some(format!("{},{gap}{new}{}", &text[..last.whole.end], &text[last.whole.end..]))
}

/// Removes a member or an element, and the comma that it leaves.
pub fn remove(text: &str, pointer: &str) -> Option<String> {
    let (above, key) = pointer.rsplit_once('/')?;
    let all = members(text, place(text, above)?.start)?;
    let i = find(text, &all, key)?;
    let cut = match (i, all.get(i + 1)) {
        (_, Some(next)) => all[i].whole.start..next.whole.start,
        (0, None) => all[i].whole.clone(),
        (i, None) => all[i - 1].whole.end..all[i].whole.end,
    };
    Some(format!("{}{}", &text[..cut.start], &text[cut.end..]))
}

/// A member of an object, or an element of a list: all of it, its key, its value.
struct Member {
    whole: Range<usize>,
    key: Option<Range<usize>>,
    value: Range<usize>,
}

/// Where the value lies that a pointer names.
fn place(text: &str, pointer: &str) -> Option<Range<usize>> {
    let start = blank(text, 0);
    let mut here = start..end(text, start)?;
    for part in pointer.split('/').skip(1) {
        let mut all = members(text, here.start)?;
        let i = find(text, &all, part)?;
        here = all.swap_remove(i).value;
    }
    Some(here)
}

/// The member that a part of a pointer names.
fn find(text: &str, all: &[Member], part: &str) -> Option<usize> {
    let part = unescaped(part);
    all.iter().enumerate().position(|(i, member)| match &member.key {
        Some(key) => text[key.clone()].trim_matches('"') == part,
        None => part.parse() == Ok(i),
    })
}

fn unescaped(part: &str) -> String {
    part.replace("~1", "/").replace("~0", "~")
}

/// The members of the object or list that begins here. `None`: it is neither.
fn members(text: &str, open: usize) -> Option<Vec<Member>> {
    let object = text[open..].starts_with('{');
    if !object && !text[open..].starts_with('[') {
        return None;
    }
    let mut all = Vec::new();
    let mut at = blank(text, open + 1);
    while !text.get(at..)?.starts_with(['}', ']']) {
        let start = at;
        let mut key = None;
        if object {
            key = Some(start..end(text, start)?);
            at = blank(text, end(text, start)?);
            at = blank(text, at + 1); // the colon
        }
        let value = at..end(text, at)?;
        all.push(Member { whole: start..value.end, key, value: value.clone() });
        at = blank(text, value.end);
        if text.get(at..)?.starts_with(',') {
            at = blank(text, at + 1);
        }
    }
    Some(all)
}

fn blank(text: &str, at: usize) -> usize {
    let rest = text.get(at..).unwrap_or("");
    at + (rest.len() - rest.trim_start().len())
}

/// Where the value ends that begins here. `None`: none begins, or it does not end.
fn end(text: &str, start: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut quoted, mut at) = (0u32, false, start);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' if quoted => at += 1,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' | b',' | b':' | b' ' | b'\n' | b'\t' | b'\r' if depth == 0 => {
                return (at > start).then_some(at);
            }
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
        let closed = matches!(byte, b'"' | b'}' | b']');
        if depth == 0 && !quoted && closed {
            return Some(at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "{\n  \"a\": [1, {\"b\": \"x,]\\\"\"}],\n  \"c\": {},\n  \"d/e\": null\n}\n";

    #[test]
    fn a_pointer_names_a_value() {
        for (pointer, value) in [
            ("/a/0", Some("1")),
            ("/a/1/b", Some("\"x,]\\\"\"")),
            ("/c", Some("{}")),
            ("/d~1e", Some("null")),
            ("/a/2", None),
            ("/a/0/0", None),
            ("/x", None),
        ] {
            assert_eq!(get(TEXT, pointer), value, "{pointer}");
        }
        assert_eq!((count(TEXT, "/a"), count(TEXT, "/c"), count(TEXT, "/x")), (2, 0, 0));
    }

    #[test]
    fn changes_leave_the_rest_as_it_is() {
        let is = |made: Option<String>, part: &str| {
            let made = made.unwrap_or_default();
            assert!(made.contains(part) && serde_json::from_str::<serde_json::Value>(&made).is_ok(), "{made}");
        };
        is(set(TEXT, "/a/0", "7"), "\"a\": [7, {");
        is(set(TEXT, "/a/-", "8"), "\"}, 8],");
        is(set(TEXT, "/c/new", "9"), "\"c\": {\"new\": 9},");
        is(set(TEXT, "/z", "true"), "null,\n  \"z\": true\n}");
        is(remove(TEXT, "/a/0"), "\"a\": [{");
        is(remove(TEXT, "/a/1"), "\"a\": [1],");
        is(remove(TEXT, "/d~1e"), "\"c\": {}\n}");
        is(remove(TEXT, "/a/1/b"), "[1, {}]");
        assert_eq!(set(TEXT, "/x/y", "1"), None);
        assert_eq!(remove(TEXT, "/x"), None);
    }

    #[test]
    fn a_text_that_does_not_end_has_no_places() {
        for text in ["", "{", "[1", "{\"a\"", "{\"a\":", "[\"", "[1,", "x"] {
            for pointer in ["/a", "/0", ""] {
                let _ = (get(text, pointer), set(text, pointer, "1"), remove(text, pointer), count(text, pointer));
            }
        }
    }

    #[test]
    fn changes_are_read_line_by_line() {
        let edits = read("set /a {\"b\":\n  1}\nremove /c\n");
        let wanted = [("/a", Some("{\"b\": 1}")), ("/c", None)];
        let wanted = wanted.map(|(pointer, value)| Edit { pointer: pointer.into(), value: value.map(String::from) });
        assert_eq!(edits, wanted);
    }
}
