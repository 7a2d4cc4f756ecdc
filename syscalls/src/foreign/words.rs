//! Lists of names for flags and choices: `words.txt`, a line a list. The lists of `flags` hold what this program itself asks
//! for; these hold what any program may ask for, as strace 6.1 names it and in its order.
//!
//! ```text
//!   name  one | bits | bits/MASK | type/MASK | ioctl | num | hex | says  PREFIX  NAME=value:parameters ...
//! ```
//! The prefix belongs to each name that has no `!` before it. A value that is not there follows from the one before: the next
//! number, or the next bit. A value without a name is a number in `num` and `hex`; `says` puts the name in a comment. The bits of a mask are one of a list, as in [`crate::flags`].

use crate::flags::{self, Words, hex};
use core::fmt::{Result, Write};
use core::sync::atomic::{AtomicU16, Ordering::Relaxed};

const WORDS: &str = include_str!("words.txt");

/// One more than the place of each line; 0: it was not looked for.
static LINES: [AtomicU16; 128] = [const { AtomicU16::new(0) }; 128];

/// A list of either kind.
#[derive(Clone, Copy)]
pub(super) enum List {
    /// A list of `flags`: its place there.
    Typed(u8, &'static Words),
    Line {
        style: &'static str,
        prefix: &'static str,
        words: &'static str,
    },
}

/// An entry of a list.
struct Word {
    value: u64,
    /// The list's prefix stands before the name.
    prefixed: bool,
    name: &'static str,
    parameters: Option<&'static str>,
}

/// The list of this name.
pub(super) fn list(name: &str) -> Option<List> {
    if let Some(place) = flags::place(name) {
        return flags::LISTS.get(usize::from(place)).map(|words| List::Typed(place, words));
    }
    let mut parts = line(name)?.splitn(4, ' ').skip(1);
    let (style, prefix) = (parts.next()?, parts.next()?);
    let prefix = if prefix == "-" { "" } else { prefix };
    Some(List::Line { style, prefix, words: parts.next().unwrap_or("") })
}

fn line(name: &str) -> Option<&'static str> {
    let is = |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(' '));
    let mut at = 0;
    for known in &LINES {
        match known.load(Relaxed) {
            0 => known.store(at + 1, Relaxed),
            place => at = place - 1,
        }
        let line = WORDS.get(usize::from(at)..)?.lines().next()?;
        if is(&line) {
            return Some(line);
        }
        at += line.len() as u16 + 1;
    }
    None
}

/// A number as the lists write it.
fn number(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

fn entries(style: &'static str, words: &'static str) -> impl Iterator<Item = Word> {
    let counts = !(style.starts_with("bits") || style.starts_with("type"));
    let mut next = if counts { 0 } else { 1 };
    words.split_ascii_whitespace().map(move |word| {
        let (word, parameters) = word.split_once(':').map_or((word, None), |(word, rest)| (word, Some(rest)));
        let (name, value) = word.split_once('=').map_or((word, None), |(name, value)| (name, number(value)));
        let value: u64 = value.unwrap_or(next);
        next = if counts { value.wrapping_add(1) } else { value.wrapping_shl(1).max(1) };
        let bare = name.strip_prefix('!');
        Word { value, prefixed: bare.is_none(), name: bare.unwrap_or(name), parameters }
    })
}

impl List {
    /// What the entry of this value says of the parameters that follow.
    pub fn parameters(self, value: u64) -> Option<&'static str> {
        let List::Line { style, words, .. } = self else {
            return None;
        };
        entries(style, words).find(|word| word.value == value)?.parameters
    }

    pub fn show(self, value: u64, out: &mut dyn Write) -> Result {
        let (style, prefix, words) = match self {
            List::Typed(_, words) => return write!(out, "{}", words.show(value)),
            List::Line { style, prefix, words } => (style, prefix, words),
        };
        let name = |word: &Word, out: &mut dyn Write| {
            out.write_str(if word.prefixed { prefix } else { "" })?;
            let mut parts = word.name.split('~');
            out.write_str(parts.next().unwrap_or(""))?;
            parts.try_for_each(|part| write!(out, " {part}"))
        };
        let one = |value: u64, out: &mut dyn Write| match entries(style, words).find(|word| word.value == value) {
            Some(word) if style == "says" => {
                write!(out, "{value} /* ")?;
                name(&word, out)?;
                out.write_str(" */")
            }
            Some(word) => name(&word, out),
            None if style == "ioctl" => flags::request(value, out),
            None if style == "num" => write!(out, "{}", value as i32),
            None if style == "hex" => write!(out, "{}", hex(value)),
            None => write!(out, "{} /* {prefix}??? */", hex(value)),
        };
        let Some((kind, mask)) = style.split_once('/') else {
            return if style == "bits" { self.bits(value, true, true, out) } else { one(value, out) };
        };
        let mask = number(mask).unwrap_or(0);
        let choice = entries(style, words).any(|word| word.value == value & mask);
        if kind == "type" && !choice {
            return self.bits(value, true, true, out);
        }
        one(value & mask, out)?;
        match value & !mask {
            0 => Ok(()),
            rest => self.bits(rest, false, kind == "type", out),
        }
    }

    /// Single flags. `first`: nothing stands before them; `comment`: the comment after unknown bits is wanted.
    fn bits(self, value: u64, mut first: bool, mut comment: bool, out: &mut dyn Write) -> Result {
        let List::Line { style, prefix, words } = self else {
            return Ok(());
        };
        let mask = style.split_once('/').and_then(|(_, mask)| number(mask)).unwrap_or(0);
        let mut rest = value;
        for word in entries(style, words).filter(|word| mask == 0 || word.value & !mask != 0) {
            let found = if word.value == 0 { value == 0 } else { rest & word.value == word.value };
            if found {
                out.write_str(if first { "" } else { "|" })?;
                write!(out, "{}{}", if word.prefixed { prefix } else { "" }, word.name)?;
                rest &= !word.value;
                (first, comment) = (false, false);
            }
        }
        match (rest, first) {
            (0, false) => Ok(()),
            (0, true) => out.write_char('0'),
            _ if comment => write!(out, "{}{} /* {prefix}??? */", if first { "" } else { "|" }, hex(rest)),
            _ => write!(out, "{}{}", if first { "" } else { "|" }, hex(rest)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The text of a value, in a buffer: this crate has no heap.
    struct Text([u8; 256], usize);

    impl Write for Text {
        fn write_str(&mut self, text: &str) -> Result {
            let to = self.0.get_mut(self.1..self.1 + text.len()).ok_or(core::fmt::Error)?;
            to.copy_from_slice(text.as_bytes());
            self.1 += text.len();
            Ok(())
        }
    }

    #[track_caller]
    fn shows(name: &str, value: u64, wanted: &str) {
        let mut text = Text([0; 256], 0);
        let list = list(name).expect("the list");
        list.show(value, &mut text).expect("room");
        assert_eq!(core::str::from_utf8(&text.0[..text.1]), Ok(wanted));
    }

    #[test]
    fn values_as_strace_shows_them() {
        shows("prot", 0, "PROT_NONE");
        shows("prot", 5, "PROT_READ|PROT_EXEC");
        shows("prot", 0x11, "PROT_READ|0x10");
        shows("prot", 0x10, "0x10 /* PROT_??? */");
        shows("map", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS");
        shows("map", 0x20, "MAP_FILE|MAP_ANONYMOUS");
        shows("sock", 0x80001, "SOCK_STREAM|SOCK_CLOEXEC");
        shows("sock", 99, "SOCK_RAW|0x60 /* SOCK_??? */");
        shows("sock", 15, "0xf /* SOCK_??? */");
        shows("wait", 0x4000_0001, "WNOHANG|__WALL");
        shows("madvise", 100, "MADV_HWPOISON");
        shows("futex", 393, "FUTEX_WAIT_BITSET_PRIVATE|FUTEX_CLOCK_REALTIME");
        shows("ioctl", 0x5402, "SNDCTL_TMR_START or TCSETS");
        shows("ioctl", 0x8004_7299, "_IOC(_IOC_READ, 0x72, 0x99, 0x4)");
        shows("serial", 0xffff_fffd, "KEY_SPEC_SESSION_KEYRING");
        shows("serial", 7, "7");
        shows("syslog", 10, "10 /* SYSLOG_ACTION_SIZE_BUFFER */");
        shows("OpenFlags", 0x8_0000, "O_RDONLY|O_CLOEXEC");
    }
}
