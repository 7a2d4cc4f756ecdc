//! Which arguments a call has: `calls.txt`, a line a call. Only a process that looks at another's calls reads it.
//!
//! A word a parameter; those of an entry of `words.txt` follow its colon, with commas between:
//! ```text
//!   d u l n x o     a number: int, unsigned, long, unsigned long, hexadecimal, octal
//!   a f id sig      an address, a descriptor, a user or group, a signal
//!   p s b3          a path, a string, bytes (argument 3 says how many)
//!   r rh rp rl      bytes that the kernel fills in, as many as the result says; rh: in hexadecimal; rp, rl: a path
//!   +list?rest      one entry of a list or flags; its entry may say what follows, else `rest` does
//!   <name:3         a structure that the kernel reads (argument 3 says how many)
//!   >name &name     one that it fills in; one that it reads and changes
//!   =list           how the result is shown
//!   4@              before any of these: argument 4, not the next one
//! ```

use crate::call::Call;
use core::sync::atomic::{AtomicBool, AtomicU16, Ordering::Relaxed};

const CALLS: &str = include_str!("calls.txt");

/// For each number of this machine: one more than the place of its line; 0: it has none.
static LINES: [AtomicU16; 512] = [const { AtomicU16::new(0) }; 512];
static READ: AtomicBool = AtomicBool::new(false);

/// The parameters of a call; none: it is in no line.
pub(super) fn parameters(call: Call) -> Option<&'static str> {
    if !READ.swap(true, Relaxed) {
        read_all();
    }
    let line = match LINES.get(usize::from(call.0)) {
        Some(place) => CALLS.get(usize::from(place.load(Relaxed).checked_sub(1)?)..)?.lines().next()?,
        None => CALLS.lines().find(|line| line.split(' ').next() == Some(call.name()))?,
    };
    Some(line.split_once(' ').map_or("", |(_, parameters)| parameters))
}

fn read_all() {
    let mut at = 0;
    for line in CALLS.lines() {
        let call = line.split(' ').next().and_then(Call::find);
        if let Some(place) = call.and_then(|call| LINES.get(usize::from(call.0))) {
            place.store(at + 1, Relaxed);
        }
        at += line.len() as u16 + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::super::words;
    use super::*;
    use crate::names::{NUMBERS, name};

    /// The words of a line, and of what follows by a list's entries.
    fn lists(words: &str, found: &mut dyn FnMut(&str)) {
        for word in words.split([' ', ',']) {
            let word = word.split_once('@').map_or(word, |(_, word)| word);
            if let Some(list) = word.strip_prefix('+') {
                found(list.split('?').next().unwrap_or(list));
            }
        }
    }

    #[test]
    fn lines_name_calls_in_order() {
        let mut before = "";
        for line in CALLS.lines() {
            let call = line.split(' ').next().unwrap_or("");
            assert!((0..NUMBERS.len()).any(|row| name(row) == call.as_bytes()), "{call} is no system call");
            assert!(before < call, "{call} stands after {before}");
            before = call;
        }
    }

    #[test]
    fn each_list_is_there_and_each_call_finds_its_line() {
        for line in CALLS.lines() {
            let (call, rest) = line.split_once(' ').unwrap_or((line, ""));
            lists(rest, &mut |list| assert!(words::list(list).is_some(), "{call}: no list {list}"));
            if let Some(call) = Call::find(call) {
                assert_eq!(parameters(call), Some(rest));
            }
        }
        for entry in include_str!("words.txt").split_ascii_whitespace().filter_map(|word| word.split_once(':')) {
            lists(entry.1, &mut |list| assert!(words::list(list).is_some(), "{}: no list {list}", entry.0));
        }
    }
}
