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
//! or that init is dead: the recorder tells which.

use super::host::stopped;
use super::{Check, Done, Lanes, Stopped, Trouble, patience};
use crate::plan::{Lane, Slot};
use core::ffi::CStr;
use syscalls::table::{Call, TABLE};
use syscalls::{At, Errno, Failed, Why};

/// The fifos in the state directory.
pub const START: &CStr = c"start.fifo";
pub const REPORT: &CStr = c"report.fifo";
/// What hooks said.
pub const OUTPUT: &CStr = c"hooks.out";

/// What init sends when it stops: 16 bytes.
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
const LEFT_OUT: u8 = 5;

impl Report {
    pub fn encode(self) -> [u8; 16] {
        let mut bytes = [0; 16];
        bytes[2..4].copy_from_slice(&self.line.to_ne_bytes());
        match self.trouble {
            Trouble::Call(failed) => {
                bytes[0] = CALL;
                bytes[4..6].copy_from_slice(&failed.errno.0.to_ne_bytes());
                bytes[6..8].copy_from_slice(&(failed.call as u16).to_ne_bytes());
                bytes[8..12].copy_from_slice(&failed.at.to_ne_bytes());
            }
            Trouble::Check(check) => {
                bytes[0] = CHECK;
                bytes[1] = check as u8;
            }
            Trouble::Hook(code) => {
                bytes[0] = HOOK;
                bytes[4..8].copy_from_slice(&code.to_ne_bytes());
            }
        }
        bytes
    }

    /// `None`: it is no report.
    pub fn decode(bytes: &[u8]) -> Option<Report> {
        let bytes: &[u8; 16] = bytes.try_into().ok()?;
        let two = |i: usize| u16::from_ne_bytes([bytes[i], bytes[i + 1]]);
        let trouble = match bytes[0] {
            CALL if usize::from(two(6)) < TABLE.len() => {
                let at = u32::from_ne_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]);
                Trouble::Call(Failed {
                    errno: Errno(two(4)),
                    call: Call::from_number(two(6))?,
                    at,
                })
            }
            CHECK => Trouble::Check(Check::ALL.iter().find(|(c, _)| *c as u8 == bytes[1])?.0),
            HOOK => Trouble::Hook(i32::from_ne_bytes([bytes[4], bytes[5], bytes[6], bytes[7]])),
            _ => return None,
        };
        Some(Report {
            line: two(2),
            trouble,
        })
    }
}

/// One message of the channel or the report fifo; an empty one is its end.
#[derive(Clone, Copy)]
pub struct Word {
    bytes: [u8; 16],
    len: usize,
}

impl Word {
    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// Reads one message.
fn message(from: At, why: Why) -> syscalls::Result<Word> {
    let mut bytes = [0; 16];
    loop {
        match syscalls::read(from, &mut bytes, why) {
            Ok(len) => {
                return Ok(Word {
                    bytes,
                    len: len.min(16),
                });
            }
            // Whoever ends with our word unread resets the channel; what it said before that is read next.
            Err(failed) if failed.errno == RESET => {}
            Err(failed) => return Err(failed),
        }
    }
}

/// Host: the next word of init's, which may have come while the host waited for the bridge's.
fn hear(lanes: &mut Lanes, why: Why) -> Done<Word> {
    loop {
        let word = match lanes.heard.take() {
            Some(word) => word,
            None => channel(lanes, why)?,
        };
        match left_out(word) {
            Some(set) => lanes.left_out |= set,
            None => return Ok(word),
        }
    }
}

/// Host: the next word that comes through the channel. In a frozen cgroup none would ever come.
fn channel(lanes: &Lanes, why: Why) -> Done<Word> {
    let from = lanes.at(Slot::CHANNEL);
    let group = lanes.at(Slot::CGROUP);
    // One that is there already may be paused and go on later.
    let new = lanes.cgroup_root.is_some() && lanes.has(Slot::CGROUP);
    let look = || match new && crate::cgroup::is_frozen(group) {
        true => Err(Trouble::Check(Check::CgroupFrozen)),
        false => Ok(()),
    };
    patience::readable([from, patience::NONE], None, why, look)?;
    Ok(message(from, why)?)
}

/// The capabilities that init says it could not give.
fn left_out(word: Word) -> Option<u64> {
    match *word.bytes() {
        [LEFT_OUT, _, _, _, _, _, _, _, a, b, c, d, e, f, g, h] => {
            Some(u64::from_ne_bytes([a, b, c, d, e, f, g, h]))
        }
        _ => None,
    }
}

/// Init: the capabilities that it could not give.
pub fn tell_left_out(lanes: &Lanes, set: u64, why: Why) -> Done {
    let mut word = [0; 16];
    word[0] = LEFT_OUT;
    word[8..].copy_from_slice(&set.to_ne_bytes());
    Ok(syscalls::write(lanes.at(Slot::INIT_END), &word, why).map(drop)?)
}

/// Host: waits until init has done all its lines but the last ones.
pub fn await_ready(lanes: &mut Lanes, why: Why) -> Done<Option<Stopped>> {
    match hear(lanes, why)?.bytes() {
        [READY] => Ok(None),
        bytes => match Report::decode(bytes) {
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
            [LEFT_OUT, ..] => lanes.left_out |= left_out(word).unwrap_or(0),
            _ => match Report::decode(word.bytes()) {
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
    let end = ended(hear(lanes, why)?);
    // The end of the process closes it as well; while the program runs nothing comes this way any more.
    if let Some(fd) = lanes.take(Slot::CHANNEL) {
        fd.close(Why("nothing more comes through the channel"))?;
    }
    end
}

/// Reads a fifo of init's, which does not wait, to its end: `None` if execve succeeded.
pub fn exec_end(from: At, init: At, why: Why) -> Done<Option<Stopped>> {
    patience::readable([from, init], None, why, patience::nothing)?;
    match message(from, why) {
        // Init has ended, and said nothing.
        Err(failed) if failed.errno == Errno::EAGAIN => ended(Word {
            bytes: [0; 16],
            len: 0,
        }),
        word => ended(word?),
    }
}

fn ended(last: Word) -> Done<Option<Stopped>> {
    if let Some(report) = Report::decode(last.bytes()) {
        return Ok(Some(stopped(report)));
    }
    // Both ends look alike from here; but who is killed before execve has no such call on its way.
    if !syscalls::execve_succeeded(Lane::Init as u8) {
        // It failed, and a filter kept init from saying so.
        if let Some(failed) = syscalls::execve_failed(Lane::Init as u8) {
            return Err(Trouble::Call(failed));
        }
        return Err(Trouble::Check(Check::InitVanished));
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
