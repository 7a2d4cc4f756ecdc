//! One line of a listing: the process, the times, and what the line says. May touch: its neighbours.

use super::parts::closed;

/// A line before it is known what it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Written<'a> {
    /// The process that it names.
    pub pid: Option<i32>,
    /// It is written as in `[pid 7]`: lines without a number are of the process that strace has begun.
    pub bracketed: bool,
    pub clock: Clock,
    pub says: Says<'a>,
}

/// The time before a line, in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Clock {
    /// `-t`: since midnight; `-ttt`: since 1970.
    pub at: Option<u64>,
    /// `-r`: since the line before.
    pub since: Option<u64>,
}

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum What {
    /// A call, or its beginning: its place among the calls.
    Call(usize),
    /// The rest of a call.
    Rest(usize),
    /// A signal, or a stop.
    Signal,
    /// How a process has ended.
    Ended,
    /// What strace says for itself.
    Note,
    /// A place in the program that made the call before.
    Stack,
    Empty,
    /// It could not be read, and why.
    Unread(&'static str),
}

impl What {
    /// Whether it is no part of a call, and can be read.
    pub fn is_aside(self) -> bool {
        !matches!(self, What::Call(_) | What::Rest(_) | What::Unread(_))
    }
}

/// What a line says. `text`: what stands after the bracket that opens the arguments.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says<'a> {
    Call {
        name: &'a str,
        text: &'a str,
        end: End,
    },
    /// A call that goes on in a later line, or never does.
    Begun {
        name: &'a str,
        text: &'a str,
    },
    /// The same, where strace has said something for itself in the midst: the next line goes on with the call.
    Broken {
        name: &'a str,
        text: &'a str,
    },
    /// The rest of such a call.
    Resumed {
        name: &'a str,
        text: &'a str,
    },
    /// Anything else.
    Other(What),
}

/// Where the arguments of a text end, and where the result stands.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct End {
    pub inner: usize,
    pub result: [usize; 2],
    /// `-T`: how long the call took, in nanoseconds.
    pub took: Option<u64>,
}

/// Reads a line.
pub fn written(line: &str) -> Written<'_> {
    let blank = line.trim();
    let mut written = Written { pid: None, bracketed: false, clock: Clock::default(), says: Says::Other(What::Empty) };
    if blank.is_empty() {
        return written;
    }
    if is_stack(line) {
        return Written { says: Says::Other(What::Stack), ..written };
    }
    let mut rest = blank;
    if let Some((pid, after)) = pid(rest) {
        written.pid = Some(pid);
        written.bracketed = rest.starts_with('[');
        rest = after;
    }
    while let Some(after) = time(rest, &mut written.clock).or_else(|| register(rest)) {
        rest = after;
    }
    written.says = says(rest);
    written
}

/// A line of `-k`: ` > /lib/libc.so(write+0x10) [0xf7]`.
fn is_stack(line: &str) -> bool {
    line.starts_with(" > ") || line.starts_with(" \\ ")
}

/// `7 `, or `[pid     7] `.
fn pid(text: &str) -> Option<(i32, &str)> {
    if let Some(inner) = text.strip_prefix("[pid ") {
        let (number, rest) = inner.split_once(']')?;
        return Some((number.trim().parse().ok()?, rest.trim_start()));
    }
    let (number, rest) = text.split_once(' ')?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then_some(())?;
    Some((number.parse().ok()?, rest.trim_start()))
}

/// `12:34:56.000001 `, `1764444000.000001 `, `0.000031 ` or `(+     0.000031) `.
fn time<'a>(text: &'a str, clock: &mut Clock) -> Option<&'a str> {
    if let Some(inner) = text.strip_prefix("(+") {
        let (since, rest) = inner.split_once(')')?;
        clock.since = Some(seconds(since.trim())?);
        return Some(rest.trim_start());
    }
    let (word, rest) = text.split_once(' ')?;
    let mut fields = word.split(':');
    let at = match (fields.next()?, fields.next(), fields.next(), fields.next()) {
        (hours, Some(minutes), Some(rest), None) => {
            let whole = |word: &str| word.parse::<u64>().ok().filter(|number| *number < 60);
            (whole(hours)? * 3600 + whole(minutes)? * 60) * 1_000_000_000 + seconds(rest)?
        }
        (word, None, None, None) if word.contains('.') => seconds(word)?,
        _ => return None,
    };
    // No listing has a year between two calls.
    match word.contains(':') || at > 31_536_000_000_000_000 {
        true => clock.at = Some(at),
        false => clock.since = Some(at),
    }
    Some(rest.trim_start())
}

/// Seconds with up to nine digits after the point, in nanoseconds.
fn seconds(word: &str) -> Option<u64> {
    let (whole, part) = word.split_once('.').unwrap_or((word, ""));
    let digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || whole.len() > 10 || part.len() > 9 || !digits(whole) || !digits(part) {
        return None;
    }
    let scale = 10u64.pow(9 - part.len() as u32);
    let part: u64 = if part.is_empty() { 0 } else { part.parse().ok()? };
    Some(whole.parse::<u64>().ok()? * 1_000_000_000 + part * scale)
}

/// `-i`: the place in the program; `-n`: the number of the call.
fn register(text: &str) -> Option<&str> {
    let (inner, rest) = text.strip_prefix('[')?.split_once("] ")?;
    let number = |byte: u8| byte.is_ascii_hexdigit() || byte == b'?' || byte == b' ';
    inner.bytes().all(number).then(|| rest.trim_start())
}

fn says(text: &str) -> Says<'_> {
    let breaks = text.find("strace: Process ").filter(|at| *at > 0 && text.ends_with("tached"));
    if let Some((name, text)) = breaks.and_then(|at| text[..at].split_once('(')).filter(|(name, _)| is_name(name)) {
        return Says::Broken { name, text };
    }
    match text {
        _ if text.starts_with("--- ") => Says::Other(What::Signal),
        _ if text.starts_with("+++ ") => Says::Other(What::Ended),
        _ if text.starts_with("strace: ") || text.starts_with("[ Process PID=") => Says::Other(What::Note),
        _ if text.starts_with("Process ") && text.ends_with("tached") => Says::Other(What::Note),
        _ => match text.strip_prefix("<... ") {
            Some(rest) => resumed(rest),
            None => call(text),
        },
    }
}

/// What stands in place of a result where the call has not returned.
const OPEN: [&str; 2] = ["<unfinished ...>", "<detached ...>"];

/// A text without the words that say that the call has not returned, if it has them.
pub fn without_open(text: &str) -> Option<&str> {
    let text = OPEN.iter().find_map(|open| text.trim_end().strip_suffix(open))?;
    Some(text.strip_suffix(' ').unwrap_or(text))
}

/// Whether a call can have this name.
fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_?#".contains(&byte);
    !name.is_empty() && name.bytes().all(fits)
}

fn call(text: &str) -> Says<'_> {
    let Some((name, text)) = text.split_once('(') else { return Says::Other(What::Unread("it is no call")) };
    let name = name.trim_end();
    if !is_name(name) {
        return Says::Other(What::Unread("it is no call"));
    }
    match (end(text), without_open(text)) {
        (Some(end), _) => Says::Call { name, text, end },
        (None, Some(text)) => Says::Begun { name, text },
        (None, None) => Says::Other(What::Unread("its call has no end")),
    }
}

fn resumed(text: &str) -> Says<'_> {
    match text.split_once(" resumed>") {
        Some((name, text)) => Says::Resumed { name, text },
        None => Says::Other(What::Unread("it is no call")),
    }
}

/// Where the arguments end, and what the call has returned. None: the text does not say it.
pub fn end(text: &str) -> Option<End> {
    let is = |rest: &str| rest.trim_start().starts_with("= ");
    // Names that were cut can hide the bracket at the end: then the last result in the text counts.
    let (inner, rest) = closed(text).filter(|(_, rest)| is(rest)).or_else(|| {
        let before = |(at, _): (usize, &str)| text[..at].trim_end().strip_suffix(')').map(|inner| (inner, &text[at..]));
        text.rmatch_indices(" = ").find_map(before)
    })?;
    let result = rest.trim_start().strip_prefix("= ")?.trim();
    let begin = text.len() - rest.len() + rest.rfind(result)?;
    let timed = result.strip_suffix('>').and_then(|timed| timed.rsplit_once('<'));
    let (result, took) = match timed.map(|(result, took)| (result, seconds(took), took)) {
        Some((result, Some(took), _)) => (result.trim_end(), Some(took)),
        Some((result, None, "unavailable")) => (result.trim_end(), None),
        _ => (result, None),
    };
    (!result.is_empty()).then(|| End { inner: inner.len(), result: [begin, begin + result.len()], took })
}
