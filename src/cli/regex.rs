//! POSIX extended regular expressions (regex(7)), for `kill -r` and `delete -r`. A pattern is parsed once, before anything
//! is done, and then matched against ids. What POSIX does not define is refused by name.
//!
//! May touch: strings. Matching keeps the set of all places where the rest of the pattern may begin. It never goes back, so
//! no pattern makes it slow.

use super::values::quoted;

/// How deep groups may be nested, and how often all repetitions together may ask for their part. Both bound the work.
const DEPTH: usize = 32;
const REPEATS: usize = 10_000;
/// RE_DUP_MAX of POSIX.
const MOST: usize = 255;
const ENDLESS: usize = usize::MAX;

#[derive(Debug, PartialEq)]
pub struct Pattern(Node);

#[derive(Debug, PartialEq)]
enum Node {
    /// One character: a bit for each of ASCII's. Ids hold no others.
    One(u128),
    Begin,
    End,
    Sequence(Vec<Node>),
    Either(Vec<Node>),
    /// A part, at least and at most so many times.
    Repeat(Box<Node>, usize, usize),
}

/// For each place of the text, whether a part may begin or has ended there.
type Places = Vec<bool>;

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let bad = |problem| format!("{} is no POSIX extended regular expression: {problem}", quoted(text));
        let mut parser = Parser { rest: text, depth: 0 };
        let node = parser.either().map_err(bad)?;
        if !parser.rest.is_empty() {
            return Err(bad("a `)` closes no group".into()));
        }
        match node.weight() {
            0..=REPEATS => Ok(Pattern(node)),
            _ => Err(bad(format!("it repeats more than {REPEATS} times"))),
        }
    }

    /// Whether the pattern fits any part of the text, as regexec(3) decides it.
    pub fn matches(&self, text: &str) -> bool {
        self.0.ends(vec![true; text.len() + 1], text.as_bytes()).contains(&true)
    }
}

impl Node {
    /// How often matching looks for a part, at most, because of counts.
    fn weight(&self) -> usize {
        match self {
            Node::One(_) | Node::Begin | Node::End => 1,
            Node::Sequence(parts) | Node::Either(parts) => {
                parts.iter().map(Node::weight).fold(1, usize::saturating_add)
            }
            Node::Repeat(part, least, ENDLESS) => part.weight().saturating_mul((*least).max(1)),
            Node::Repeat(part, _, most) => part.weight().saturating_mul((*most).max(1)),
        }
    }

    /// The places where this part ends if it begins at one of these.
    fn ends(&self, from: Places, text: &[u8]) -> Places {
        let only = |place: usize| from.iter().enumerate().map(|(i, there)| i == place && *there).collect();
        match self {
            Node::One(set) => {
                let fits = |(from, c): (&bool, &u8)| *from && set & bit(*c as char) != 0;
                core::iter::once(false).chain(from.iter().zip(text).map(fits)).collect()
            }
            Node::Begin => only(0),
            Node::End => only(text.len()),
            Node::Sequence(parts) => parts.iter().fold(from, |from, part| part.ends(from, text)),
            Node::Either(parts) => {
                let mut all = vec![false; from.len()];
                for part in parts {
                    join(&mut all, &mut part.ends(from.clone(), text));
                }
                all
            }
            Node::Repeat(part, least, most) => {
                let mut reached = (0..*least).fold(from, |from, _| part.ends(from, text));
                let mut all = reached.clone();
                for _ in *least..*most {
                    reached = part.ends(reached, text);
                    if !join(&mut all, &mut reached) {
                        break;
                    }
                }
                all
            }
        }
    }
}

/// Adds `more` to `all`, and leaves in `more` only the places that are new: all that can follow from a known place is found
/// already. Returns whether a place is new.
fn join(all: &mut Places, more: &mut Places) -> bool {
    for (known, one) in all.iter_mut().zip(more.iter_mut()) {
        *one &= !*known;
        *known |= *one;
    }
    more.contains(&true)
}

fn bit(c: char) -> u128 {
    if c.is_ascii() { 1 << (c as u32) } else { 0 }
}

struct Parser<'a> {
    rest: &'a str,
    depth: usize,
}

impl Parser<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    /// Takes a word if it comes next.
    fn take(&mut self, word: &str) -> bool {
        let after = self.rest.strip_prefix(word);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    /// Branches with `|` between them.
    fn either(&mut self) -> Result<Node, String> {
        let first = self.branch()?;
        if !self.rest.starts_with('|') {
            return Ok(first);
        }
        let mut branches = vec![first];
        while self.take("|") {
            branches.push(self.branch()?);
        }
        Ok(Node::Either(branches))
    }

    fn branch(&mut self) -> Result<Node, String> {
        let mut parts = Vec::new();
        while !self.rest.is_empty() && !self.rest.starts_with(['|', ')']) {
            let part = self.part()?;
            // One count for each part: POSIX does not define a second one.
            parts.push(match self.count()? {
                Some((least, most)) => Node::Repeat(Box::new(part), least, most),
                None => part,
            });
        }
        Ok(Node::Sequence(parts))
    }

    fn part(&mut self) -> Result<Node, String> {
        Ok(match self.next() {
            None => Node::Sequence(Vec::new()),
            Some('(') if self.depth == DEPTH => return Err(format!("more than {DEPTH} groups lie in each other")),
            Some('(') => {
                self.depth += 1;
                let inner = self.either()?;
                self.depth -= 1;
                if !self.take(")") {
                    return Err("a `(` is not closed".into());
                }
                inner
            }
            Some('[') => self.bracket()?,
            Some('.') => Node::One(u128::MAX),
            Some('^') => Node::Begin,
            Some('$') => Node::End,
            Some(c @ ('*' | '+' | '?' | '{')) => return Err(format!("`{c}` has nothing to repeat")),
            Some('\\') => match self.next() {
                None => return Err("a `\\` is its end".into()),
                Some(c) if c.is_ascii_alphanumeric() => return Err(format!("POSIX gives `\\{c}` no meaning")),
                Some(c) => Node::One(bit(c)),
            },
            Some(c) => Node::One(bit(c)),
        })
    }

    /// How often the part before may be repeated, if the pattern says so.
    fn count(&mut self) -> Result<Option<(usize, usize)>, String> {
        for (sign, least, most) in [("*", 0, ENDLESS), ("+", 1, ENDLESS), ("?", 0, 1)] {
            if self.take(sign) {
                return Ok(Some((least, most)));
            }
        }
        if !self.take("{") {
            return Ok(None);
        }
        let least = self.number();
        let most = match self.take(",") {
            false => least,
            true if self.rest.starts_with('}') => Some(ENDLESS),
            true => self.number(),
        };
        match (least, most, self.take("}")) {
            (Some(least), Some(most), true) if least <= most => Ok(Some((least, most))),
            _ => Err(format!("a count is written `{{2}}`, `{{2,}}` or `{{2,5}}`, up to {MOST}")),
        }
    }

    fn number(&mut self) -> Option<usize> {
        let after = self.rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let digits = &self.rest[..self.rest.len() - after.len()];
        self.rest = after;
        digits.parse().ok().filter(|number| *number <= MOST)
    }

    /// What stands between `[` and `]`. A `]` that comes first is one of the characters.
    fn bracket(&mut self) -> Result<Node, String> {
        let not = self.take("^");
        let mut set = self.member()?;
        while !self.take("]") {
            set |= self.member()?;
        }
        Ok(Node::One(if not { !set } else { set }))
    }

    fn class_next(&self) -> bool {
        ["[:", "[.", "[="].iter().any(|open| self.rest.starts_with(open))
    }

    /// A character of a bracket, a range, or a class such as `[:alpha:]`.
    fn member(&mut self) -> Result<u128, String> {
        if self.class_next() {
            let named = self.rest.strip_prefix("[:").and_then(|rest| rest.split_once(":]"));
            let known = named.and_then(|(name, rest)| Some((class(name)?, rest)));
            let (holds, rest) = known.ok_or("a class is written `[:alpha:]`, `[:digit:]`, ...")?;
            self.rest = rest;
            return Ok((0..128u8).filter(holds).fold(0, |set, c| set | bit(c as char)));
        }
        let open = "a `[` is not closed";
        let from = self.next().ok_or(open)?;
        if self.rest.starts_with("-]") || !self.take("-") {
            return Ok(bit(from));
        }
        let class = self.class_next();
        let to = self.next().ok_or(open)?;
        if from > to || class {
            return Err(format!("`{from}-{to}` is no range"));
        }
        Ok((from..=to).take_while(char::is_ascii).fold(0, |set, c| set | bit(c)))
    }
}

/// What a class holds, in the C locale.
fn class(name: &str) -> Option<fn(&u8) -> bool> {
    Some(match name {
        "alpha" => u8::is_ascii_alphabetic,
        "digit" => u8::is_ascii_digit,
        "alnum" => u8::is_ascii_alphanumeric,
        "upper" => u8::is_ascii_uppercase,
        "lower" => u8::is_ascii_lowercase,
        "punct" => u8::is_ascii_punctuation,
        "xdigit" => u8::is_ascii_hexdigit,
        "graph" => u8::is_ascii_graphic,
        "cntrl" => u8::is_ascii_control,
        "print" => |c| c.is_ascii_graphic() || *c == b' ',
        "blank" => |c| matches!(c, b' ' | b'\t'),
        "space" => |c| matches!(c, b' ' | 9..=13),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pattern, a text that it fits, and a text that it does not fit: `grep -E` agrees with each row.
    const ROWS: &[(&str, &str, &str)] = &[
        ("web", "my-web-1", "wob"),
        ("^web$", "web", "web1"),
        ("^web-[0-9]+$", "web-12", "web-"),
        ("^(a|b)c?$", "b", "cb"),
        ("^a{2,3}$", "aaa", "aaaa"),
        ("^a{2}$", "aa", "aaa"),
        ("^(ab){2,}$", "ababab", "ab"),
        ("^x(a*)*y$", "xaaay", "xby"),
        ("a\\.b", "a.b", "axb"),
        ("^[^a-c]+$", "xyz", "xay"),
        ("^[]x]$", "x", "y"),
        ("^[a-]$", "-", "b"),
        ("^[[:alpha:]_]+$", "a_b", "a1"),
        ("^(a|)b$", "b", "ab1"),
        ("", "anything", ""),
        ("a|^b", "xa", "xb"),
    ];

    #[test]
    fn patterns_fit_what_grep_has_them_fit() {
        for (pattern, yes, no) in ROWS {
            let read = Pattern::parse(pattern).expect(pattern);
            assert!(read.matches(yes), "{pattern} {yes}");
            assert!(no.is_empty() || !read.matches(no), "{pattern} {no}");
        }
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let deep = "(".repeat(10_000);
        let often = "((((a{255}){255}){255}){255}){255}";
        for pattern in [
            "(",
            ")",
            "[",
            "[a",
            "*a",
            "a{",
            "a{2",
            "a{3,2}",
            "a{256}",
            "a{,2}",
            "\\",
            "\\w",
            "(a)\\1",
            "a**",
            "[z-a]",
            "[[:frob:]]",
            "[[.a.]]",
            "[a-[:digit:]]",
            "{2}",
            &deep,
            often,
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn long_ids_and_nested_repetitions_come_to_an_end() {
        let id = "a".repeat(1024);
        for pattern in ["((a*)*)*b", "(a|a)*b", "(a{1,255}){1,39}b", "(((a+)+)+)+$"] {
            let read = Pattern::parse(pattern).expect(pattern);
            assert_eq!(read.matches(&id), !pattern.ends_with('b'), "{pattern}");
        }
    }
}
