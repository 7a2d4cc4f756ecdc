//! Arguments as strace writes them, parted: at each comma that stands in no bracket, string, comment or name of a descriptor.
//! May touch: nothing.

/// The members of a structure, or of a list, or the arguments of a call.
pub fn parts(inner: &str) -> Vec<&str> {
    walk(inner, false).0
}

/// The arguments up to the bracket that ends the call, and what stands after it.
pub fn closed(text: &str) -> Option<(&str, &str)> {
    let end = walk(text, true).1?;
    Some((&text[..end], &text[end + 1..]))
}

/// Names of descriptors can hold a bracket that is never closed: then angles count for nothing.
fn walk(text: &str, ends: bool) -> (Vec<&str>, Option<usize>) {
    let walked = |angles: bool| Walk { angles, ends, ..Walk::default() }.along(text);
    match walked(true) {
        Some((all, end)) if end.is_some() || !ends => (all, end),
        _ => walked(false).unwrap_or_default(),
    }
}

/// The way along a text.
#[derive(Default)]
struct Walk {
    /// Whether `<` begins a name.
    angles: bool,
    /// Whether a bracket that was not opened ends the walk.
    ends: bool,
    depth: usize,
    quoted: bool,
    /// The names that are open, and the brackets in them: in these, `->` stands between two addresses.
    names: usize,
    brackets: usize,
}

impl Walk {
    /// The parts, and where the bracket stands that ends them. None: a name does not end.
    fn along(mut self, text: &str) -> Option<(Vec<&str>, Option<usize>)> {
        let bytes = text.as_bytes();
        let (mut all, mut start, mut at) = (Vec::new(), 0, 0);
        while let Some(byte) = bytes.get(at) {
            let next = bytes.get(at + 1);
            match byte {
                b'\\' if self.quoted || self.names > 0 => at += 1,
                b'"' => self.quoted = !self.quoted,
                _ if self.quoted => {}
                b'/' if next == Some(&b'*') && self.names == 0 => at += text[at..].find("*/").map_or(0, |end| end + 1),
                // A shift, as in 1<<CAP_CHOWN.
                b'<' if next == Some(&b'<') && self.names == 0 => at += 1,
                b'<' if self.angles => self.names += 1,
                b'-' if next == Some(&b'>') && self.brackets > 0 => at += 1,
                b'>' if self.names > 0 => {
                    self.names -= 1;
                    self.brackets = 0;
                }
                b'[' if self.names > 0 => self.brackets += 1,
                b']' if self.names > 0 => self.brackets = self.brackets.saturating_sub(1),
                _ if self.names > 0 => {}
                b'{' | b'[' | b'(' => self.depth += 1,
                b')' if self.ends && self.depth == 0 => {
                    all.push(text[start..at].trim());
                    return Some((all, Some(at)));
                }
                b'}' | b']' | b')' => self.depth = self.depth.saturating_sub(1),
                b',' if self.depth == 0 => {
                    all.push(text[start..at].trim());
                    start = at + 1;
                }
                _ => {}
            }
            at += 1;
        }
        all.push(text[start..].trim());
        (self.names == 0).then_some((all, None))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_are_parted_as_they_were_written() {
        for (text, wanted) in [
            (r#"3, "a, \"b", {x=[1, 2], y="}"}, NULL"#, &["3", r#""a, \"b""#, r#"{x=[1, 2], y="}"}"#, "NULL"][..]),
            ("", &[""]),
            ("3</a, b>, 4", &["3</a, b>", "4"]),
            ("5<TCP:[1.2.3.4:80->5.6.7.8:9]>, \"x\"", &["5<TCP:[1.2.3.4:80->5.6.7.8:9]>", "\"x\""]),
            ("0</dev/tty<char 5:0>>, 1", &["0</dev/tty<char 5:0>>", "1"]),
            ("{effective=1<<CAP_CHOWN|1<<CAP_KILL}, 1<<21, 2", &["{effective=1<<CAP_CHOWN|1<<CAP_KILL}", "1<<21", "2"]),
            ("0x7f /* 3, (vars */, 4", &["0x7f /* 3, (vars */", "4"]),
            ("~[KILL STOP], [], 8", &["~[KILL STOP]", "[]", "8"]),
            ("3</a- , 4", &["3</a-", "4"]),
            ("@\"x,y\"..., 7", &["@\"x,y\"...", "7"]),
            ("\"ä, ö\", 7", &["\"ä, ö\"", "7"]),
            ("\"ends in a string, 7", &["\"ends in a string, 7"]),
            ("{a /* b, c", &["{a /* b, c"]),
        ] {
            assert_eq!(parts(text), wanted, "{text}");
        }
    }

    #[test]
    fn the_bracket_of_the_call_ends_its_arguments() {
        for (text, wanted) in [
            (r#"3, ")", (1)) = 0"#, Some((r#"3, ")", (1)"#, " = 0"))),
            (") = 5", Some(("", " = 5"))),
            ("3</a)>) = 0", Some(("3</a)>", " = 0"))),
            ("3</a- ) = 0", Some(("3</a- ", " = 0"))),
            ("0x7 /* :) */) = 1 (x)", Some(("0x7 /* :) */", " = 1 (x)"))),
            ("<... resuming interrupted read ...>) = 0", Some(("<... resuming interrupted read ...>", " = 0"))),
            ("3, \"a", None),
        ] {
            assert_eq!(closed(text), wanted, "{text}");
        }
    }
}
