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
    let otherwise = || one_of_names(theirs, ours).or_else(|| members(theirs, ours));
    same(theirs, ours, raw).or_else(|| is_number(theirs).then_some(SPELLED)).or_else(otherwise)
}

/// A number can have several names, as requests of ioctl(2) have: `SNDCTL_TMR_START or TCSETS`. Newer versions of strace show
/// the likeliest alone.
fn one_of_names(theirs: &str, ours: &str) -> Option<u16> {
    let theirs = theirs.split_once("/* ").map_or(theirs, |(_, comment)| comment.trim_end_matches(" */"));
    let is_among = |one: &str, all: &str| all.split(" or ").any(|name| name == one);
    (is_among(theirs, ours) || is_among(ours, theirs)).then_some(SPELLED)
}

/// Where one side shows a few members of a structure: the other has them, too.
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
        match [first, second].map(|token| matches!(token, Some(Token::Comment(_)))) {
            [true, false] => first = token(&mut a),
            [false, true] => second = token(&mut b),
            _ => {}
        }
        match (first, second) {
            (None, None) => break,
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
            let end = text.bytes().skip(1).position(|byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_in_another_way_is_the_same() {
        for (theirs, ours, known) in [
            ("3", "3", 0),
            ("3 ", "3", 0),
            ("3</a, b>", "3", NAMES),
            ("5<TCP:[1.2.3.4:5->6.7.8.9:10]>", "5", NAMES),
            ("\"ab\"...", "\"abc\"", CUT),
            ("\"abcd\"", "\"abc\"...", CUT),
            ("\"\\x61\"", "\"a\"", SPELLED),
            ("\"\\303\"...", "\"\\303\\244\"", CUT),
            ("{a=1, b=2, c=3}", "{a=1, ...}", CUT),
            ("{a=1, ...}", "{a=1, b=[2, {x=3}]}", CUT),
            ("0x7f0000001000", "0x7fffff002000", ADDRESS),
            ("{tv_sec=1, tv_nsec=7}", "{tv_sec=1, tv_nsec=9}", TIME),
            ("0x1 /* O_WRONLY */", "O_WRONLY", SPELLED),
            ("0x5 /* A */|0x80000 /* B */", "A|B", SPELLED),
            ("0 /* KERNEL_VERSION(0, 0, 0) */, 1", "KERNEL_VERSION(0, 0, 0), 1", SPELLED),
            ("[\"A=1\", \"B=2\"]", "0x7ffc00001000 /* 2 vars */", CUT),
            ("1 (flags FD_CLOEXEC)", "1 (flags FD_CLOEXEC)", 0),
        ] {
            assert_eq!(same(theirs, ours, false), Some(known), "{theirs} {ours}");
        }
        for (theirs, ours) in
            [("0x280000", "O_CLOEXEC|O_PATH"), ("{a=0x20}", "{a=1<<CAP_KILL}"), ("0", "KERNEL_VERSION(0, 0, 0)")]
        {
            assert_eq!((same(theirs, ours, true), same(theirs, ours, false)), (Some(SPELLED), None), "{theirs} {ours}");
        }
        assert_eq!(members("{z=0, a=1, b=2}", "{a=1, ...}"), Some(CUT));
        for theirs in ["TCSETS", "0x5402 /* TCSETS */", "0x5402 /* SNDCTL_TMR_START or TCSETS */"] {
            let [ours, other] = ["SNDCTL_TMR_START or TCSETS", "TCGETS"];
            let known = [argument(theirs, ours, 0x5402, false), argument(theirs, other, 0x5401, false)];
            assert_eq!(known, [Some(SPELLED), None], "{theirs}");
        }
    }

    #[test]
    fn what_is_another_is_another() {
        for (theirs, ours) in [
            ("3", "4"),
            ("3", ""),
            ("\"ab\"", "\"abc\""),
            ("\"xb\"...", "\"abc\""),
            ("{a=1, ...}", "{a=2, b=3}"),
            ("{size=5}", "{size=6}"),
            ("MS_BIND", "MS_BIND|MS_REC"),
            ("0x7f0000001000", "NULL"),
            ("3 /* 3 entries */", "3 /* 4 entries */"),
            ("-1 ENOENT (No such file or directory)", "-1 EPERM (Operation not permitted)"),
            ("[1, 2]", "[1, 3]"),
        ] {
            assert_eq!((same(theirs, ours, false), members(theirs, ours)), (None, None), "{theirs} {ours}");
        }
    }

    #[test]
    fn any_two_texts_are_compared_in_time() {
        const PIECES: &[&str] = &[
            "3", "a=", "\"x\"", "\"", "...", ", ...", "{", "}", "[", "]", "(", ")", "<", ">", "<<", "/* ", " */", " ",
            ",", "|", "0x12345", "ä",
        ];
        let mut state = 1u32;
        let mut text = || {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 8) as usize
            };
            (0..next() % 12).map(|_| PIECES[next() % PIECES.len()]).collect::<String>()
        };
        for _ in 0..100_000 {
            let (theirs, ours) = (text(), text());
            for raw in [false, true] {
                let _ = (same(&theirs, &ours, raw), members(&theirs, &ours));
            }
            assert_eq!(same(&theirs, &theirs, false), Some(0));
        }
    }
}
