//! How the two lanes talk. May touch: plan types, system calls.
//!
//! ```text
//!   run:      host  clone3 .. limits, state ── go ──────────► read .. EOF: execve succeeded
//!             init  ........ mounts, pivot ........ read(go) ─ execve     or a report: it did not
//!
//!   create:   host  clone3 .. limits .. read(ready) ─ state ─ go, exit
//!             init  ........ mounts ..... ready ──────── read(go), read(start fifo) ─ execve
//!   network devices, in either, before all that:
//!             host  clone3 .. read(ready) ─ moves them ─ go ...
//!             init  ........ mounts .. ready ─────────── read(go), sets them up ...
//!
//!   start:                                   start  write(start fifo) .. read(report fifo) .. EOF, or a report
//! ```
//! Every end that init holds is close-on-exec, so the end of file at the other side means that execve succeeded,
//! or that init is dead: the slate that both have tells which (`syscalls::room`).

use super::Lanes;
use super::host::stopped;
use crate::host::patience;
use crate::outcome::Lane;
use crate::outcome::{Check, Done, Stopped, Trouble};
use crate::plan::Slot;
use core::ffi::CStr;
use syscalls::table::Call;
use syscalls::{At, Errno, Failed, Why, record};

/// The fifos in the state directory.
pub const START: &CStr = c"start.fifo";
pub const REPORT: &CStr = c"report.fifo";
/// What `state` tells of a container while the hooks of its `create` run.
pub const CREATING: &CStr = c"creating.json";
/// What hooks said.
pub const OUTPUT: &CStr = c"hooks.out";

/// What init sends when it stops.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Report {
    pub line: u16,
    pub trouble: Trouble,
}

const RESET: Errno = Errno(libc::ECONNRESET as u16);

const READY: u8 = 0;
const CALL: u8 = 1;
const CHECK: u8 = 2;
const HOOK: u8 = 3;
const INIT: u8 = 4;

/// A message's fixed part. In a report two parts follow: the pointer and the path of a hook that failed, with a NUL after
/// each; and the record of the call that failed, so that the reader needs no recorder.
const FIXED: usize = 16;
/// A fifo takes no more in one piece (pipe(7), PIPE_BUF).
pub const LONGEST: usize = 4096;

impl Report {
    /// Writes the message. `hook`: the pointer and the path, where a hook failed.
    pub fn encode(self, hook: Option<(&[u8], &[u8])>, to: &mut [u8; LONGEST]) -> usize {
        to[2..4].copy_from_slice(&self.line.to_ne_bytes());
        let words = FIXED + put_words(hook, &mut to[FIXED..]);
        to[12..14].copy_from_slice(&((words - FIXED) as u16).to_ne_bytes());
        match self.trouble {
            Trouble::Call(failed) => {
                to[0] = CALL;
                to[4..6].copy_from_slice(&failed.errno.0.to_ne_bytes());
                to[6..8].copy_from_slice(&failed.call.0.to_ne_bytes());
                return words + record::carry(failed.at, &mut to[words..]);
            }
            Trouble::Check(check) => {
                to[0] = CHECK;
                to[1] = check as u8;
            }
            Trouble::Hook(code) => {
                to[0] = HOOK;
                to[4..8].copy_from_slice(&code.to_ne_bytes());
            }
        }
        words
    }

    /// `None`: it is no report.
    fn decode(bytes: &[u8]) -> Option<Report> {
        let fixed: &[u8; FIXED] = bytes.get(..FIXED)?.try_into().ok()?;
        let two = |i: usize| u16::from_ne_bytes([fixed[i], fixed[i + 1]]);
        let trouble = match fixed[0] {
            CALL => Trouble::Call(Failed {
                errno: Errno(two(4)),
                call: Call(two(6)),
                at: record::accept(bytes.get(FIXED + usize::from(two(12))..)?),
            }),
            CHECK => Trouble::Check(Check::ALL.iter().find(|(c, _)| *c as u8 == fixed[1])?.0),
            HOOK => Trouble::Hook(i32::from_ne_bytes([fixed[4], fixed[5], fixed[6], fixed[7]])),
            _ => return None,
        };
        Some(Report { line: two(2), trouble })
    }
}

/// Both words, if there is room for them; how long they are.
fn put_words(words: Option<(&[u8], &[u8])>, to: &mut [u8]) -> usize {
    let Some((first, second)) = words else {
        return 0;
    };
    // The record begins at a multiple of 8 bytes.
    let len = (first.len() + second.len() + 2).next_multiple_of(8);
    let Some(to) = to.get_mut(..len) else {
        return 0;
    };
    to.fill(0);
    to[..first.len()].copy_from_slice(first);
    to[first.len() + 1..first.len() + 1 + second.len()].copy_from_slice(second);
    len
}

/// One message of the channel or the report fifo; an empty one is its end.
#[derive(Clone, Copy)]
pub struct Word {
    bytes: [u8; LONGEST],
    len: usize,
}

impl Word {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// What init told, if it is that.
    pub fn report(&self) -> Option<Report> {
        Report::decode(self.bytes())
    }

    /// The pointer and the path of the hook that failed.
    pub fn hook(&self) -> Option<(&str, &str)> {
        let len = u16::from_ne_bytes([self.bytes[12], self.bytes[13]]);
        let words = self.bytes().get(FIXED..FIXED + usize::from(len))?;
        let mut words = words.split(|byte| *byte == 0);
        let mut next = || words.next().and_then(|word| core::str::from_utf8(word).ok());
        Some((next().filter(|pointer| !pointer.is_empty())?, next()?))
    }
}

/// Reads one message.
fn message(from: At, why: Why) -> syscalls::Result<Word> {
    read_message(from, LONGEST, why)
}

fn read_message(from: At, most: usize, why: Why) -> syscalls::Result<Word> {
    let mut bytes = [0; LONGEST];
    loop {
        match syscalls::read(from, &mut bytes[..most], why) {
            Ok(len) => {
                return Ok(Word { bytes, len: len.min(most) });
            }
            // Whoever ends with our word unread resets the channel; what it said before that is read next.
            Err(failed) if failed.errno == RESET => {}
            Err(failed) => return Err(failed),
        }
    }
}

/// Host: the next word of init's, which may have come while the host waited for the bridge's.
fn hear(lanes: &mut Lanes, why: Why) -> Done<Word> {
    match lanes.heard.take() {
        Some(word) => Ok(word),
        None => channel(lanes, why),
    }
}

/// Host: the next word that comes through the channel.
fn channel(lanes: &Lanes, why: Why) -> Done<Word> {
    await_channel(lanes, why)?;
    Ok(message(lanes.at(Slot::CHANNEL), why)?)
}

/// Host: waits until the channel has a word, or has ended. In a frozen cgroup neither would ever come.
fn await_channel(lanes: &Lanes, why: Why) -> Done {
    let from = lanes.at(Slot::CHANNEL);
    let group = lanes.at(Slot::CGROUP);
    // One that is there already may be paused and go on later.
    let new = lanes.cgroup_root.is_some() && lanes.has(Slot::CGROUP);
    let look = || match new && crate::host::cgroup::is_frozen(group) {
        true => Err(Trouble::Check(Check::CgroupFrozen)),
        false => Ok(()),
    };
    patience::readable([from, patience::NONE], None, why, look)?;
    Ok(())
}

/// Host: waits until init has done all its lines but the last ones.
pub fn await_ready(lanes: &mut Lanes, why: Why) -> Done<Option<Stopped>> {
    let word = hear(lanes, why)?;
    match word.bytes() {
        [READY] => Ok(None),
        _ => match word.report() {
            Some(report) => Ok(Some(stopped(report))),
            None => Err(Trouble::Check(Check::InitVanished)),
        },
    }
}

/// Host: the bridge says which process init is, or why there is none. Init runs as soon as it is cloned: what it says
/// before the bridge does is kept.
pub fn await_init(lanes: &mut Lanes, why: Why) -> Done<Result<i32, Stopped>> {
    let bridge_ends = (lanes.plan.host.len() + lanes.plan.bridge.len()) as u16;
    loop {
        let word = channel(lanes, why)?;
        match *word.bytes() {
            [INIT, _, _, _, a, b, c, d] => return Ok(Ok(i32::from_ne_bytes([a, b, c, d]))),
            [READY] => lanes.heard = Some(word),
            _ => match word.report() {
                Some(report) if report.line > bridge_ends => lanes.heard = Some(word),
                Some(report) => return Ok(Err(stopped(report))),
                None => return Err(Trouble::Check(Check::InitVanished)),
            },
        }
    }
}

/// Bridge: the number of the process that it has made, in its own namespace, which is the host's.
pub fn tell_init(lanes: &Lanes, why: Why) -> Done {
    let [a, b, c, d] = lanes.pid.to_ne_bytes();
    let word = [INIT, 0, 0, 0, a, b, c, d];
    Ok(syscalls::write(lanes.at(Slot::INIT_END), &word, why).map(drop)?)
}

/// Host: the word for which init waits.
pub fn tell(lanes: &Lanes, why: Why) -> Done {
    match syscalls::write(lanes.at(Slot::CHANNEL), &[READY], why) {
        // Init has stopped already; its report waits in the channel and is read next.
        Err(failed) if [Errno::EPIPE, RESET].contains(&failed.errno) => Ok(()),
        other => Ok(other.map(drop)?),
    }
}

/// Host: reads the channel to its end.
pub fn await_exec(lanes: &mut Lanes, why: Why) -> Done<Option<Stopped>> {
    if lanes.heard.is_none() {
        await_channel(lanes, why)?;
    }
    // Init says on the slate that its execve failed before it says so here: with that call on its way this is the end.
    let end = match lanes.heard.is_none() && syscalls::execve_of(Lane::Init as u8) == Some(Ok(())) {
        true => Ok(None),
        false => hear(lanes, why).map(ended)?,
    };
    // The end of the process closes it as well; while the program runs nothing comes this way any more.
    if let Some(fd) = lanes.take(Slot::CHANNEL) {
        fd.close(Why("nothing more comes through the channel"))?;
    }
    end
}

/// The last word in the report fifo: a report, or its end. `init`: a handle on its process.
pub fn last_word(report: At, init: At, why: Why) -> Done<Word> {
    patience::readable([report, init], None, why, patience::nothing)?;
    word_of_fifo(report, LONGEST, why)
}

/// A word in a fifo that does not wait: if there is none, init has ended and said nothing.
fn word_of_fifo(fifo: At, most: usize, why: Why) -> Done<Word> {
    match read_message(fifo, most, why) {
        Err(failed) if failed.errno == Errno::EAGAIN => Ok(Word { bytes: [0; LONGEST], len: 0 }),
        word => Ok(word?),
    }
}

fn ended(last: Word) -> Done<Option<Stopped>> {
    if let Some(report) = last.report() {
        return Ok(Some(stopped(report)));
    }
    // Both ends look alike from here; but a process that is killed before execve has made none.
    match syscalls::execve_of(Lane::Init as u8) {
        Some(Ok(())) => {}
        // It failed, and a filter kept init from saying so.
        Some(Err(errno)) => {
            let at = record::newest_execve();
            return Err(Trouble::Call(Failed { errno, call: Call::Execve, at }));
        }
        None => return Err(Trouble::Check(Check::InitVanished)),
    }
    Ok(None)
}

/// Init: waits for the host's word.
pub fn await_go(lanes: &Lanes, why: Why) -> Done {
    if message(lanes.at(Slot::INIT_END), why)?.bytes().is_empty() {
        // The host side is gone, and nobody is left to tell.
        syscalls::exit_group(1, Why("the runtime that made this process has ended"));
    }
    Ok(())
}

/// Init: says that all is made.
pub fn tell_ready(lanes: &Lanes, why: Why) -> Done {
    Ok(syscalls::write(lanes.at(Slot::INIT_END), &[READY], why).map(drop)?)
}

/// Init: waits for `start`.
pub fn await_start(lanes: &Lanes, why: Why) -> Done {
    Ok(message(lanes.at(Slot::START), why).map(drop)?)
}
