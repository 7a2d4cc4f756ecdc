//! Whether strace and our trace say the same of a call: word for word, or but for what is only shown in another way. May touch:
//! the recorder.

use crate::listing::Call;
use crate::trace::{Entry, shown};
use crate::world::words::{number, parts, text};
use syscalls::record::RETURNED;
use syscalls::show;

/// The lines of a text, which say what is known of both sides. A set of them is a number, with a bit for each line.
pub const KNOWN: &str = include_str!("known.txt");
pub const CUT: u16 = 1;
const ADDRESS: u16 = 1 << 1;
const TIME: u16 = 1 << 2;
pub const NAMES: u16 = 1 << 3;
const SPELLED: u16 = 1 << 4;
const INTERRUPTED: u16 = 1 << 5;
const OPEN: u16 = 1 << 6;
pub const BEGIN: u16 = 1 << 7;
pub const PROGRAM: u16 = 1 << 8;
pub const DISPLAY: u16 = 1 << 9;
pub const ANEW: u16 = 1 << 10;
pub const KILLED: u16 = 1 << 11;
pub const UNRECORDED: u16 = 1 << 12;

/// What both sides say of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// The same, but for what is known.
    Same(u16),
    Arguments,
    Result,
    Another,
}

/// A call of strace, with its arguments parted.
pub struct Written<'a> {
    pub call: &'a Call<'a>,
    args: Vec<&'a str>,
}

impl<'a> Written<'a> {
    pub fn of(call: &'a Call<'a>) -> Written<'a> {
        Written { call, args: call.args() }
    }
}

/// A call of our trace in strace's words.
pub struct Words<'a> {
    pub entry: &'a Entry<'a>,
    pub args: Vec<String>,
    pub result: String,
}

impl<'a> Words<'a> {
    pub fn of(entry: &'a Entry<'a>) -> Words<'a> {
        let mut result = String::new();
        let _ = show::result(&entry.r, &mut result);
        Words { entry, args: (0..entry.r.argc).map(|i| shown(&entry.r, i)).collect(), result }
    }

    pub fn is_done(&self) -> bool {
        self.entry.r.state == RETURNED
    }

    /// `close(3) = 0`.
    pub fn shown(&self) -> String {
        format!("{}({}) = {}", self.entry.r.name(), self.args.join(", "), self.result)
    }
}

/// `last`: it is the last call of its process, for strace and for us. `raw`: strace shows numbers in place of names (-X raw).
pub fn verdict(written: &Written, ours: &Words, last: [bool; 2], raw: bool) -> Verdict {
    let theirs = written.call;
    let resumes = theirs.name == "restart_syscall" && theirs.inner().contains(&format!(" {} ", ours.entry.r.name()));
    if theirs.name != ours.entry.r.name() && !resumes {
        return Verdict::Another;
    }
    let open = !theirs.is_done() && last[0] || !ours.is_done() && last[1];
    let args = if resumes { Some(ANEW) } else { arguments(&written.args, ours, open, raw) };
    match (args, result(theirs, ours, open, raw)) {
        (Some(args), Some(result)) => Verdict::Same(args | result),
        (None, _) => Verdict::Arguments,
        (_, None) => Verdict::Result,
    }
}

/// Of a call that is in the kernel, either side may know the first arguments alone.
fn arguments(all: &[&str], ours: &Words, open: bool, raw: bool) -> Option<u16> {
    if all.len() != ours.args.len() && !open {
        return None;
    }
    let mut known = 0;
    for (i, (theirs, ours_arg)) in all.iter().zip(&ours.args).enumerate() {
        known |= argument(theirs, ours_arg, ours.entry.r.args[i], raw)?;
    }
    Some(known)
}

fn argument(theirs: &str, ours: &str, value: u64, raw: bool) -> Option<u16> {
    // -X raw shows the number that the caller has passed.
    let is_number =
        |theirs: &str| number(theirs).is_some_and(|number| number as u64 == value || number as u32 as u64 == value);
    same(theirs, ours, raw).or_else(|| is_number(theirs).then_some(SPELLED)).or_else(|| members(theirs, ours))
}

/// A structure of which one side shows a few members: the other has them, too.
fn members(theirs: &str, ours: &str) -> Option<u16> {
    let [theirs, ours] = [theirs, ours].map(|text| text.strip_prefix('{')?.strip_suffix('}').map(parts));
    let (theirs, ours) = (theirs?, ours?);
    let (few, all) = if theirs.len() < ours.len() { (theirs, ours) } else { (ours, theirs) };
    let has = |member: &&str| *member == "..." || all.iter().any(|other| same(member, other, false).is_some());
    (few.contains(&"...") && few.iter().all(has)).then_some(CUT)
}

fn result(theirs: &Call, ours: &Words, open: bool, raw: bool) -> Option<u16> {
    let result = theirs.result();
    if open || !theirs.is_done() && !ours.is_done() {
        return Some(if theirs.is_done() == ours.is_done() { 0 } else { OPEN });
    }
    if result.starts_with("? ERESTART") && ours.result.starts_with("-1 EINTR") {
        return Some(INTERRUPTED);
    }
    same(result.strip_suffix(" (INJECTED)").unwrap_or(result), &ours.result, raw)
}

/// A piece of an argument.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Token<'a> {
    /// A string, and whether it was cut.
    Text(&'a str, bool),
    Word(&'a str),
    Comment(&'a str),
    /// The name of a descriptor.
    Name,
    /// The rest of a structure is left out.
    Dots,
    Sign(u8),
}

/// What both texts differ in, if it is known. None: they do not say the same.
fn same(theirs: &str, ours: &str, raw: bool) -> Option<u16> {
    let (mut a, mut b) = (theirs, ours);
    let (mut known, mut member) = (0, "");
    while a != b {
        let before = [a, b];
        let (mut first, mut second) = (token(&mut a), token(&mut b));
        if first == Some(Token::Name) {
            known |= NAMES;
            first = token(&mut a);
        }
        // A comment that one side has alone.
        if matches!((first, second), (Some(Token::Comment(_)), other) if !matches!(other, Some(Token::Comment(_)))) {
            first = token(&mut a);
        }
        if matches!((first, second), (other, Some(Token::Comment(_))) if !matches!(other, Some(Token::Comment(_)))) {
            second = token(&mut b);
        }
        match (first, second) {
            (Some(Token::Dots), _) | (_, Some(Token::Dots)) => {
                known |= CUT;
                [a, b] = before.map(after_structure);
            }
            (Some(Token::Text(theirs, cut)), Some(Token::Text(ours, also))) => known |= texts(theirs, cut, ours, also)?,
            (Some(Token::Word(theirs)), Some(Token::Word(ours))) => {
                known |= words(theirs, ours, member, raw).or_else(|| {
                    b = before[1];
                    spelled(&mut a, &mut b)
                })?;
                member = theirs;
                // KERNEL_VERSION(0, 0, 0) is a number, too.
                if raw && b.starts_with('(') && !a.starts_with('(') {
                    b = after_structure(&b[1..]).strip_prefix(')')?;
                }
            }
            // -v shows what lies at an address.
            (Some(Token::Sign(b'[')), Some(Token::Word(address))) if address.starts_with("0x") => {
                known |= CUT;
                a = after_structure(a).strip_prefix(']')?;
            }
            (one, other) if one == other => {}
            _ => return None,
        }
    }
    Some(known)
}

/// -X verbose: `0x1 /* O_WRONLY */`. `theirs` begins with the comment.
fn spelled(theirs: &mut &str, ours: &mut &str) -> Option<u16> {
    let Some(Token::Comment(words)) = token(theirs) else { return None };
    *ours = ours.trim_start().trim_start_matches('|').strip_prefix(words)?;
    Some(SPELLED)
}

fn words(theirs: &str, ours: &str, member: &str, raw: bool) -> Option<u16> {
    if theirs == ours {
        return Some(0);
    }
    let named = ours.starts_with(|first: char| first.is_ascii_uppercase() || first == '_') || ours.starts_with("1<<");
    if raw && named && theirs.starts_with(|first: char| first.is_ascii_digit()) {
        return Some(SPELLED);
    }
    let address = |word: &str| word.starts_with("0x") && word.len() > 6;
    let numbers = [number(theirs), number(ours)];
    match numbers {
        [Some(one), Some(other)] if one == other => Some(SPELLED),
        [Some(_), Some(_)] if address(theirs) && address(ours) => Some(ADDRESS),
        [Some(_), Some(_)] if TIMES.split(' ').any(|time| time == member) => Some(TIME),
        _ => None,
    }
}

/// The members that differ from run to run.
const TIMES: &str = "tv_sec tv_nsec tv_usec si_utime si_stime";

/// Two strings with their quotes.
fn texts(theirs: &str, cut: bool, ours: &str, also: bool) -> Option<u16> {
    if theirs == ours && cut == also {
        return Some(0);
    }
    let (theirs, ours) = (text(theirs)?, text(ours)?);
    // A cut can part a letter of several bytes.
    let whole = |text: &str, cut: bool| if cut { text.trim_end_matches('\u{fffd}').len() } else { text.len() };
    let (their, our) = (&theirs[..whole(&theirs, cut)], &ours[..whole(&ours, also)]);
    match (cut, also) {
        (false, false) => (their == our).then_some(SPELLED),
        (true, false) => our.starts_with(their).then_some(CUT),
        (false, true) => their.starts_with(our).then_some(CUT),
        (true, true) => (our.starts_with(their) || their.starts_with(our)).then_some(CUT),
    }
}

/// What stands from the bracket on that closes the structure in which the text begins.
fn after_structure(text: &str) -> &str {
    let (mut rest, mut depth) = (text, 0usize);
    loop {
        let before = rest;
        match token(&mut rest) {
            None => return "",
            Some(Token::Sign(b'{' | b'[' | b'(')) => depth += 1,
            Some(Token::Sign(b'}' | b']' | b')')) if depth == 0 => return before,
            Some(Token::Sign(b'}' | b']' | b')')) => depth -= 1,
            _ => {}
        }
    }
}

fn token<'a>(rest: &mut &'a str) -> Option<Token<'a>> {
    let text = rest.trim_start();
    let mut take = |end: usize| {
        *rest = &text[end..];
        &text[..end]
    };
    let dots = text.strip_prefix(',').map_or(text, str::trim_start);
    if dots.starts_with("...") {
        take(text.len() - dots.len() + 3);
        return Some(Token::Dots);
    }
    let until = |mark: &str| text.find(mark).map_or(text.len(), |at| at + mark.len());
    match *text.as_bytes().first()? {
        b'"' => {
            let mut escaped = false;
            let ends = |byte: u8| {
                let end = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                end
            };
            let end = text.bytes().skip(1).position({
                let mut ends = ends;
                move |byte| ends(byte)
            });
            let word = take(end.map_or(text.len(), |end| end + 2));
            let cut = rest.starts_with("...");
            *rest = rest.strip_prefix("...").unwrap_or(rest);
            Some(Token::Text(word, cut))
        }
        b'/' if text.starts_with("/*") => {
            let word = take(until("*/"));
            Some(Token::Comment(word.trim_start_matches("/*").trim_end_matches("*/").trim()))
        }
        b'<' => {
            take(name(text));
            Some(Token::Name)
        }
        sign if !in_word(sign) => {
            take(1);
            Some(Token::Sign(sign))
        }
        _ => {
            let bytes = text.as_bytes();
            let mut end = 1;
            while end < bytes.len()
                && (in_word(bytes[end]) || bytes[end..].starts_with(b"<<") || bytes[..end].ends_with(b"<"))
            {
                end += 1;
            }
            Some(Token::Word(take(end)))
        }
    }
}

fn in_word(byte: u8) -> bool {
    !byte.is_ascii_whitespace() && !b"\"{}[](),=<".contains(&byte)
}

/// The length of a descriptor's name with its angles.
fn name(text: &str) -> usize {
    let (mut depth, mut listed) = (0usize, false);
    let bytes = text.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            b'[' | b']' => listed = *byte == b'[',
            b'>' if listed && bytes[at - 1] == b'-' => {}
            b'>' if depth == 1 => return at + 1,
            b'>' => depth -= 1,
            _ => {}
        }
    }
    text.len()
}
