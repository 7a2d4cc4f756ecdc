//! The arguments of one call, by the words of the table: each becomes a value, a kind by which it is shown, and a blob where
//! the kernel reads or fills in memory.

use super::words::{self, List};
use super::{Foreign, memory, results, sheet::Sheet, special, structs, table};
use crate::arg::{Kind, NAMED};
use crate::call::Call;
use crate::flags;
use crate::record::{self, OUT};
use linux_raw_sys::system::__NEW_UTS_LEN;

/// One look at a call: before it is made, or after it has returned.
pub(super) struct Look<'a> {
    pub call: &'a Foreign,
    /// None: the number has no name.
    pub known: Option<Call>,
    /// None: it has not returned.
    pub result: Option<i64>,
}

impl Look<'_> {
    pub fn has_entered(&self) -> bool {
        self.result.is_none()
    }

    /// The kernel has returned, and no error.
    pub fn has_succeeded(&self) -> bool {
        self.result.is_some_and(|result| !(-4095..0).contains(&result))
    }

    /// How many bytes the call has moved; before it returns, all of them will be.
    pub fn moved(&self) -> u64 {
        self.result.map_or(u64::MAX, |result| result as u64)
    }

    /// Argument `n`, counted from 1.
    pub fn argument(&self, n: usize) -> u64 {
        self.call.args.get(n.wrapping_sub(1)).copied().unwrap_or(0)
    }

    /// Pointers and long numbers are those of this machine.
    pub fn is_own(&self) -> bool {
        super::is_own(self.call.arch, self.call.number)
    }

    /// A structure at this address, whole.
    pub fn bytes<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (memory::read(self.call.tid, at, &mut bytes) == N).then_some(bytes)
    }

    pub fn u32(&self, at: u64) -> Option<u32> {
        self.bytes(at).map(u32::from_ne_bytes)
    }

    pub fn u64(&self, at: u64) -> Option<u64> {
        self.bytes(at).map(u64::from_ne_bytes)
    }
}

/// What is known of the arguments.
#[derive(Default)]
pub(super) struct Args {
    pub values: [u64; 6],
    pub kinds: [u8; 6],
    pub count: usize,
    /// Bytes to keep for what the kernel will fill in.
    pub room: usize,
    /// The next argument of the call, counted from 0.
    pub next: usize,
}

impl Args {
    /// Takes one more. Returns which one it is.
    pub fn push(&mut self, value: u64, kind: u8) -> u8 {
        let place = self.count.min(5);
        (self.values[place], self.kinds[place]) = (value, kind);
        self.count = place + 1;
        place as u8
    }

    /// An argument that a blob shows; without one, its address is shown.
    pub fn shown(&mut self, value: u64) -> u8 {
        self.push(value, Kind::Shown as u8)
    }
}

/// Longest path that is kept, and longest other string: those of `arg`.
const PATH: usize = libc::PATH_MAX as usize;
const STRING: usize = 32;
/// Bytes kept for a path that the kernel fills in.
const FILLED: usize = 512;

/// All arguments. After the call, `args` only counts, and what the kernel has filled in is added.
pub(super) fn show(look: &Look, args: &mut Args, out: &mut Sheet) {
    match look.known.and_then(table::parameters) {
        Some(parameters) => all(look, parameters.split(' '), args, out),
        None => look.call.args.iter().for_each(|value| _ = args.push(*value, Kind::Hex as u8)),
    }
}

pub(super) fn all<'a>(look: &Look, parameters: impl Iterator<Item = &'a str>, args: &mut Args, out: &mut Sheet) {
    for word in parameters.filter(|word| !word.is_empty()) {
        one(look, word, args, out);
    }
}

fn one(look: &Look, word: &str, args: &mut Args, out: &mut Sheet) {
    let word = match word.split_once('@') {
        Some((place, word)) => {
            args.next = place.parse::<usize>().unwrap_or(1).saturating_sub(1);
            word
        }
        None => word,
    };
    if let Some(style) = word.strip_prefix('=') {
        return results::show(look, style, args, out);
    }
    args.next += 1;
    let value = look.argument(args.next);
    match word.split_at_checked(1) {
        Some(("+", list)) => choice(look, value, list, args, out),
        Some((mark @ ("<" | ">" | "&"), name)) => structure(look, mark, name, args, out),
        _ if number(word, value, args) => {}
        _ if text(look, word, value, args, out) => {}
        _ => special::show(look, word, value, args, out),
    }
}

/// A plain number. False: it is none.
fn number(word: &str, value: u64, args: &mut Args) -> bool {
    let (value, kind) = match word {
        "d" => (value as i32 as i64 as u64, Kind::Int),
        "l" => (value, Kind::Int),
        "u" => (u64::from(value as u32), Kind::Uint),
        "n" => (value, Kind::Uint),
        "x" => (value, Kind::Hex),
        "o" => (value, Kind::Octal),
        "a" => (value, Kind::Address),
        "f" => (value as i32 as i64 as u64, Kind::Fd),
        "id" => (value, Kind::Id),
        "sig" => (value, Kind::Signal),
        "dev" => (value, Kind::Device),
        "ioprio" => (value, Kind::IoPriority),
        _ => return false,
    };
    args.push(value, kind as u8);
    true
}

/// An entry of a list, and what it says of the arguments that follow.
pub(super) fn choice(look: &Look, value: u64, list: &str, args: &mut Args, out: &mut Sheet) {
    let (name, rest) = list.split_once('?').unwrap_or((list, ""));
    let value = u64::from(value as u32);
    let found = words::list(name);
    match found {
        Some(List::Typed(place, _)) => _ = args.push(value, NAMED + place),
        _ => {
            let place = args.push(value, Kind::ShownFlags as u8);
            if look.has_entered() {
                out.blob(place, |out| found?.show(value, out).ok());
            }
        }
    }
    let rest = found.and_then(|list| list.parameters(value)).unwrap_or(rest);
    if !rest.is_empty() {
        all(look, rest.split(','), args, out);
    }
}

/// A path, a string or bytes. False: it is none.
fn text(look: &Look, word: &str, value: u64, args: &mut Args, out: &mut Sheet) -> bool {
    let tid = look.call.tid;
    let kind = match word {
        "p" | "rp" => Kind::Path,
        "e" => Kind::Entries,
        _ => Kind::Text,
    };
    match word {
        "p" | "s" => {
            let place = args.push(value, kind as u8);
            let most = if word == "p" { PATH } else { STRING + 1 };
            if look.has_entered() {
                out.blob(place, |out| string(tid, value, most, out));
            }
        }
        "h2" | "b2" | "b3" | "b4" | "b5" => {
            let place = args.push(value, kind as u8);
            let len = look.argument(usize::from(word.as_bytes()[1] - b'0'));
            // strace shows a name of this machine that is too long for the kernel as an address.
            if look.has_entered() && (word != "h2" || len <= __NEW_UTS_LEN.into()) {
                out.blob(place, |out| bytes(tid, value, len, STRING, out));
            }
        }
        "r" | "rp" | "rl" => {
            let place = args.push(value, kind as u8);
            let most = if word == "rp" { FILLED } else { STRING };
            args.room += 4 + most;
            let len = look.result.unwrap_or(0) as u64;
            if look.has_succeeded() {
                out.blob(place | OUT, |out| bytes(tid, value, len, most, out));
            }
        }
        "e" => {
            let place = args.push(value, kind as u8);
            args.room += 8;
            if look.has_succeeded() {
                out.blob(place | OUT, |out| entries(look, value, out));
            }
        }
        _ => return false,
    }
    true
}

/// A string as the other process has it.
pub(super) fn string(tid: i32, at: u64, most: usize, out: &mut Sheet) -> Option<()> {
    let mut whole = false;
    out.fill(most, |to| match memory::string(tid, at, to) {
        Some(text) => {
            whole = true;
            text.len()
        }
        None => 0,
    });
    whole.then_some(())
}

/// As many bytes as are kept of so many.
pub(super) fn bytes(tid: i32, at: u64, len: u64, most: usize, out: &mut Sheet) -> Option<()> {
    let kept = len.min(most as u64) as usize;
    let got = out.fill(kept, |to| memory::read(tid, at, to));
    out.cut = len > kept as u64;
    (got == kept && at != 0).then_some(())
}

/// How many directory entries the kernel wrote: each holds its length 16 bytes after its start (getdents(2)).
fn entries(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let (mut count, mut place) = (0u32, 0);
    let all = look.result? as u64;
    let mut chunk = [0; 4096];
    let (mut start, mut got) = (0, 0);
    while place < all {
        if place + 18 > start + got as u64 {
            start = place;
            got = memory::read(look.call.tid, at.checked_add(start)?, &mut chunk);
        }
        let here = (place - start) as usize;
        let [a, b] = *chunk.get(..got)?.get(here + 16..)?.first_chunk()?;
        place += u64::from(u16::from_ne_bytes([a, b])).max(19);
        count += 1;
    }
    out.put(&count.to_ne_bytes())
}

/// A structure behind a pointer. `mark`: who fills it in.
fn structure(look: &Look, mark: &str, name: &str, args: &mut Args, out: &mut Sheet) {
    let value = look.argument(args.next);
    let (name, size) = name.split_once(':').unwrap_or((name, ""));
    let size = look.argument(size.parse().unwrap_or(0));
    let place = args.shown(value);
    let known = look.is_own() || structs::is_the_same(name);
    if value == 0 || !known {
        return;
    }
    let whole = structs::Whole { name, at: value, size };
    if mark != ">" && look.has_entered() {
        out.blob(place, |out| structs::show(look, &whole, out));
    }
    if mark == "<" {
        return;
    }
    args.room += 4 + structs::room(look, &whole);
    let filled = if name == "left" { results::is_restarted(look) } else { look.has_succeeded() };
    if look.result.is_none() || !filled {
        return;
    }
    let mut before = [0; 640];
    let given = record::blob_of(out.bytes(), place).unwrap_or_default();
    let len = given.len().min(before.len());
    before[..len].copy_from_slice(&given[..len]);
    out.blob(place | OUT, |out| match mark {
        "&" => structs::changed(look, &whole, before.get(..len)?, out),
        _ => structs::show(look, &whole, out),
    });
}

/// The place of a typed list among the kinds.
pub(super) fn typed(name: &str) -> u8 {
    flags::place(name).map_or(Kind::Hex as u8, |place| NAMED + place)
}
