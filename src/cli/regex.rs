//! POSIX extended regular expressions (regex(7)), for `kill -r` and `delete -r`: parsed once, before anything is done, and
//! matched against ids. What is not of POSIX, or means nothing, is refused by name.
//!
//! May touch: strings. Matching keeps the set of all places where the rest of the pattern may begin, so no pattern makes it
//! try one way after another.

use super::values::quoted;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::{format, vec, vec::Vec};

/// How deep groups may lie in each other, and how often all repetitions together may demand their part: both bound the work.
const DEPTH: usize = 32;
const REPEATS: usize = 10_000;
/// RE_DUP_MAX of POSIX.
const MOST: usize = 255;

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
    Repeat(Box<Node>, usize, Option<usize>),
}

/// At which places of the text a part may begin or has ended.
type Places = Vec<bool>;

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern, String> {
        let characters = text.chars().collect();
        let mut parser = Parser { characters, at: 0, depth: 0 };
        let bad = |problem| {
            let text = quoted(text);
            format!("{text} is no POSIX extended regular expression: {problem}")
        };
        let node = parser.either().map_err(bad)?;
        if parser.peek().is_some() {
            return Err(bad("a `)` closes no group".into()));
        }
        match weight(&node) {
            0..=REPEATS => Ok(Pattern(node)),
            _ => Err(bad(format!("it repeats more than {REPEATS} times"))),
        }
    }

    /// Whether any part of the text is what the pattern says, as regexec(3) has it.
    pub fn matches(&self, text: &str) -> bool {
        let from = vec![true; text.len() + 1];
        after(&self.0, from, text.as_bytes()).contains(&true)
    }
}

/// How often a part may be looked for, at most, because of counts.
fn weight(node: &Node) -> usize {
    match node {
        Node::One(_) | Node::Begin | Node::End => 1,
        Node::Sequence(parts) | Node::Either(parts) => {
            let all = parts.iter().map(weight);
            all.fold(1, usize::saturating_add)
        }
        Node::Repeat(part, least, most) => weight(part).saturating_mul(most.unwrap_or(*least).max(1)),
    }
}

/// Where a part ends that begins at one of these places.
fn after(node: &Node, from: Places, text: &[u8]) -> Places {
    match node {
        Node::One(set) => {
            let fits = |i: &usize| from[*i] && set & bit(text[*i] as char) != 0;
            let mut to = vec![false; from.len()];
            for i in (0..text.len()).filter(fits) {
                to[i + 1] = true;
            }
            to
        }
        Node::Begin => only(from, 0),
        Node::End => only(from, text.len()),
        Node::Sequence(parts) => parts.iter().fold(from, |from, part| after(part, from, text)),
        Node::Either(parts) => {
            let mut to = vec![false; from.len()];
            for part in parts {
                join(&mut to, &after(part, from.clone(), text));
            }
            to
        }
        Node::Repeat(part, least, most) => repeat(part, *least, *most, from, text),
    }
}

fn repeat(part: &Node, least: usize, most: Option<usize>, from: Places, text: &[u8]) -> Places {
    let mut now = from;
    for _ in 0..least {
        now = after(part, now, text);
    }
    let mut all = now.clone();
    let mut left = most.map(|most| most - least);
    while left != Some(0) {
        now = after(part, now, text);
        // A place that was reached with fewer repetitions leads to all that this one leads to.
        for (new, known) in now.iter_mut().zip(&all) {
            *new &= !known;
        }
        if !now.contains(&true) {
            break;
        }
        join(&mut all, &now);
        left = left.map(|left| left - 1);
    }
    all
}

fn only(from: Places, place: usize) -> Places {
    let at = |(i, there)| i == place && there;
    from.into_iter().enumerate().map(at).collect()
}

fn join(to: &mut Places, more: &Places) {
    for (one, other) in to.iter_mut().zip(more) {
        *one |= other;
    }
}

fn bit(c: char) -> u128 {
    match c.is_ascii() {
        true => 1 << (c as u32),
        false => 0,
    }
}

struct Parser {
    characters: Vec<char>,
    at: usize,
    depth: usize,
}

impl Parser {
    fn peek(&self) -> Option<char> {
        self.characters.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek();
        self.at += 1;
        next
    }

    /// Takes a character if it comes next.
    fn take(&mut self, c: char) -> bool {
        let there = self.peek() == Some(c);
        self.at += usize::from(there);
        there
    }

    /// Branches with `|` between them.
    fn either(&mut self) -> Result<Node, String> {
        let mut branches = vec![self.branch()?];
        while self.take('|') {
            branches.push(self.branch()?);
        }
        Ok(match branches.len() {
            1 => branches.remove(0),
            _ => Node::Either(branches),
        })
    }

    fn branch(&mut self) -> Result<Node, String> {
        let mut parts = Vec::new();
        while !matches!(self.peek(), None | Some('|' | ')')) {
            let mut part = self.part()?;
            // One count a part: POSIX leaves it open what a second one means.
            if let Some((least, most)) = self.count()? {
                part = Node::Repeat(Box::new(part), least, most);
            }
            parts.push(part);
        }
        Ok(Node::Sequence(parts))
    }

    fn part(&mut self) -> Result<Node, String> {
        let Some(c) = self.next() else {
            return Ok(Node::Sequence(Vec::new()));
        };
        Ok(match c {
            '(' => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err(format!("more than {DEPTH} groups lie in each other"));
                }
                let inner = self.either()?;
                self.depth -= 1;
                match self.take(')') {
                    true => inner,
                    false => return Err("a `(` is not closed".into()),
                }
            }
            '[' => self.bracket()?,
            '.' => Node::One(u128::MAX),
            '^' => Node::Begin,
            '$' => Node::End,
            '*' | '+' | '?' | '{' => return Err(format!("`{c}` has nothing to repeat")),
            '\\' => match self.next() {
                None => return Err("a `\\` is its end".into()),
                Some(c) if c.is_ascii_alphanumeric() => {
                    return Err(format!("POSIX gives `\\{c}` no meaning"));
                }
                Some(c) => Node::One(bit(c)),
            },
            c => Node::One(bit(c)),
        })
    }

    /// How often the part before may stand there, if that is said.
    fn count(&mut self) -> Result<Option<(usize, Option<usize>)>, String> {
        let count = match self.peek() {
            Some('*') => (0, None),
            Some('+') => (1, None),
            Some('?') => (0, Some(1)),
            Some('{') => {
                self.at += 1;
                return self.interval().map(Some);
            }
            _ => return Ok(None),
        };
        self.at += 1;
        Ok(Some(count))
    }

    fn interval(&mut self) -> Result<(usize, Option<usize>), String> {
        let bad = || format!("a count is written `{{2}}`, `{{2,}}` or `{{2,5}}`, up to {MOST}");
        let least = self.number().ok_or_else(bad)?;
        let most = match self.take(',') {
            false => Some(least),
            true if self.peek() == Some('}') => None,
            true => Some(self.number().ok_or_else(bad)?),
        };
        match self.take('}') && most.is_none_or(|most| most >= least) {
            true => Ok((least, most)),
            false => Err(bad()),
        }
    }

    fn number(&mut self) -> Option<usize> {
        let from = self.at;
        while self.peek().is_some_and(|c| c.is_ascii_digit()) {
            self.at += 1;
        }
        let digits: String = self.characters[from..self.at].iter().collect();
        digits.parse().ok().filter(|number| *number <= MOST)
    }

    /// What stands between `[` and `]`.
    fn bracket(&mut self) -> Result<Node, String> {
        let not = self.take('^');
        let (mut set, first) = (0, self.at);
        loop {
            let c = self.next().ok_or("a `[` is not closed")?;
            match c {
                ']' if self.at - 1 > first => break,
                '[' if matches!(self.peek(), Some(':' | '.' | '=')) => set |= self.class()?,
                from => set |= self.range(from)?,
            }
        }
        Ok(Node::One(if not { !set } else { set }))
    }

    /// A character of a bracket, or a range that it begins.
    fn range(&mut self, from: char) -> Result<u128, String> {
        let range = self.peek() == Some('-') && self.characters.get(self.at + 1) != Some(&']');
        if !range {
            return Ok(bit(from));
        }
        self.at += 1;
        let to = self.next().ok_or("a `[` is not closed")?;
        if from > to || (to == '[' && matches!(self.peek(), Some(':' | '.' | '='))) {
            return Err(format!("`{from}-{to}` is no range"));
        }
        Ok((from..=to).take_while(char::is_ascii).map(bit).fold(0, |set, one| set | one))
    }

    /// `[:alpha:]` and the like.
    fn class(&mut self) -> Result<u128, String> {
        let rest: String = self.characters[self.at..].iter().collect();
        let name = rest.strip_prefix(':').and_then(|rest| rest.split_once(":]"));
        let known = name.and_then(|(name, _)| Some((name, holds(name)?)));
        let (name, holds) = known.ok_or("a class is written `[:alpha:]`, `[:digit:]`, ...")?;
        self.at += name.len() + 3;
        let all = (0..128u8).filter(holds).map(|c| bit(c as char));
        Ok(all.fold(0, |set, one| set | one))
    }
}

/// What a class holds, in the C locale.
fn holds(class: &str) -> Option<fn(&u8) -> bool> {
    Some(match class {
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

    /// Each row was put to `grep -E` too: the pattern, a text that it fits, and one that it does not.
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
