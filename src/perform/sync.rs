//! How the lanes talk, and what of the container is noted for other commands. May touch: plan types, system calls.
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
//! Where init shares the host's memory, and no other words are needed, both talk by words of that memory, in place of the
//! channel (`syscalls::futex`): the kernel clears init's word when execve succeeds, or init ends.
//! Every end that init holds is close-on-exec, so the end of file at the other side means that execve succeeded,
//! or that init is dead: the slate that both have tells which (`syscalls::room`).

pub use super::report::{Report, Word};

use super::files::{self, despite};
use super::report::{INIT, LONGEST, READY};
use super::{Lanes, Then, process, step, words};
use crate::host::{cgroup, patience};
use crate::outcome::{Check, Done, Lane, Stopped, Trouble};
use crate::plan::Slot;
use crate::plan::op::{Op, Sync};
use core::ffi::CStr;
use core::sync::atomic::Ordering::*;
use syscalls::futex;
use syscalls::record::{self, Record};
use syscalls::{At, Call, Errno, Failed, OpenFlags, SigSet, WaitFlags, Why};

/// The fifos in the state directory.
pub const START: &CStr = c"start.fifo";
pub const REPORT: &CStr = c"report.fifo";
/// What `state` tells of a container while the hooks of its `create` run.
pub const CREATING: &CStr = c"creating.json";
/// What hooks printed.
pub const OUTPUT: &CStr = c"hooks.out";

const RESET: Errno = Errno(libc::ECONNRESET as u16);

pub fn perform(lanes: &mut Lanes, op: &Sync, why: Why) -> Done<Then> {
    match op {
        Sync::Channel => {
            let (host, init) = syscalls::socketpair(why)?;
            lanes.put(Slot::CHANNEL, host);
            lanes.put(Slot::INIT_END, init);
        }
        Sync::Words => {
            futex::begin_words(why)?;
            lanes.words = Some(futex::BEGUN);
        }
        Sync::CloseHostEnd => {
            if let Some(end) = lanes.take(Slot::CHANNEL) {
                end.close(why)?;
            }
        }
        Sync::StartFifos => start_fifos(lanes, why)?,
        Sync::NoteCreating { parts, configuration } => save(lanes, CREATING, parts, configuration, why)?,
        Sync::SaveState { parts, configuration } => save(lanes, c"state.json", parts, configuration, why)?,
        Sync::TellMapped | Sync::TellPlaced | Sync::TellTraced | Sync::TellHooked | Sync::TellMoved => {
            tell(lanes, why)?
        }
        Sync::TellGo => {
            match lanes.words {
                Some(word) => patience::tell_until_another(word, || waits(lanes))?,
                None => patience::tell_until(lanes.at(Slot::CHANNEL), || waits(lanes))?,
            }
            tell(lanes, why)?;
        }
        Sync::TellInit => tell_init(lanes, why)?,
        Sync::TellMounted | Sync::TellReady => tell_ready(lanes, why)?,
        Sync::AskNetDevices => {
            tell_ready(lanes, why)?;
            await_go(lanes, Why("the host moves the devices meanwhile"))?;
        }
        Sync::AwaitMapped | Sync::AwaitPlaced | Sync::AwaitTraced | Sync::AwaitHooked | Sync::AwaitGo => {
            await_go(lanes, why)?
        }
        Sync::AwaitStart => {
            receive(lanes.at(Slot::START), &mut [0; 16], why)?;
            lanes.started = true;
        }
        Sync::AwaitMounted | Sync::AwaitAsk | Sync::AwaitReady => return await_ready(lanes, why),
        Sync::AwaitInit => return await_init(lanes, why),
        Sync::AwaitExec => return await_exec(lanes, why),
    }
    Ok(Then::Next)
}

fn start_fifos(lanes: &mut Lanes, why: Why) -> Done {
    let dir = lanes.at(Slot::STATE);
    for (slot, name) in [(Slot::START, START), (Slot::REPORT, REPORT)] {
        syscalls::mknodat(dir, name, libc::S_IFIFO | 0o600, why)?;
        let why = Why("opened for both directions, a fifo neither waits for a partner nor ends with one (fifo(7))");
        let flags = OpenFlags::O_RDWR | OpenFlags::O_NOFOLLOW;
        lanes.put(slot, syscalls::openat(dir, name, flags, why)?);
    }
    Ok(())
}

/// Writes a state document under a temporary name, then renames it: a reader sees the old one or the new one.
fn save(lanes: &Lanes, name: &CStr, parts: &[Vec<u8>; 3], configuration: &[u8], why: Why) -> Done {
    let [before, between, after] = parts;
    let times = format!("[{}, {}]", lanes.cloned[0], lanes.cloned[1]);
    let pid = format!("{}", lanes.pid);
    let made = format!(",\"cgroup_made\":{}", lanes.cgroup_made);
    let pieces = [before, pid.as_bytes(), between, times.as_bytes(), made.as_bytes(), after, configuration, b"}"];
    Ok(files::replace(lanes.at(Slot::STATE), name, c"state.json.new", &pieces, 0o600, why)?)
}

/// Host: sends the message that init waits for.
fn tell(lanes: &Lanes, why: Why) -> Done {
    if lanes.words.is_some() {
        return Ok(futex::tell(why)?);
    }
    // If init has stopped already, its report waits in the channel and is read next.
    despite(&[Errno::EPIPE, RESET], syscalls::write(lanes.at(Slot::CHANNEL), &[READY], why).map(drop))
}

/// Whether init has come as far as its wait for `go`.
fn waits(lanes: &Lanes) -> bool {
    let (lines, first) = lanes.plan.lane(Lane::Init);
    let Some(wait) = lines.iter().position(|line| matches!(line.op, Op::Sync(Sync::AwaitGo))) else { return true };
    let bytes = record::bytes();
    let at_it =
        |record: Record| record.lane == Lane::Init as u8 && usize::from(record.line) >= wait + usize::from(first);
    record::offsets(bytes).any(|place| Record::read(bytes, place).is_some_and(at_it))
}

/// Init: says that all is made so far.
fn tell_ready(lanes: &Lanes, why: Why) -> Done {
    if lanes.words.is_some() {
        return Ok(futex::say(words::READY, why)?);
    }
    Ok(syscalls::write(lanes.at(Slot::INIT_END), &[READY], why).map(drop)?)
}

/// Bridge: the number of the process that it has made, in its own namespace, which is the host's.
fn tell_init(lanes: &Lanes, why: Why) -> Done {
    let [a, b, c, d] = lanes.pid.to_ne_bytes();
    let word = [INIT, 0, 0, 0, a, b, c, d];
    Ok(syscalls::write(lanes.at(Slot::INIT_END), &word, why).map(drop)?)
}

/// Bridge, init: waits for the host's message.
fn await_go(lanes: &Lanes, why: Why) -> Done {
    let told = match lanes.words {
        Some(_) => futex::await_told(why)?,
        None => receive(lanes.at(Slot::INIT_END), &mut [0], why)? > 0,
    };
    if !told {
        // The host side is gone, and with it the reader of any report.
        syscalls::exit_group(1, Why("the runtime that made this process has ended"));
    }
    if lanes.words.is_some() {
        // What the host has found since the clone.
        process::heed_signals(SigSet(words::IGNORED.load(Relaxed) & !lanes.ignored.0))?;
    }
    Ok(())
}

/// Host: reads one message.
fn message(from: At, why: Why) -> syscalls::Result<Word> {
    let mut bytes = vec![0; LONGEST];
    let len = receive(from, &mut bytes, why)?;
    bytes.truncate(len);
    Ok(Word(bytes))
}

/// Reads one message, or as much of it as fits.
fn receive(from: At, to: &mut [u8], why: Why) -> syscalls::Result<usize> {
    loop {
        match syscalls::read(from, to, why) {
            // A process that ends before it has read our message resets the channel. What it sent before is read next.
            Err(failed) if failed.errno == RESET => {}
            other => return other,
        }
    }
}

/// Host: init's next message, which may have come while the host waited for the bridge's.
fn hear(lanes: &mut Lanes, why: Why) -> Done<Word> {
    match lanes.heard.take() {
        Some(word) => Ok(word),
        None => channel(lanes, why),
    }
}

/// Host: the next message that comes through the channel, or by init's word.
fn channel(lanes: &mut Lanes, why: Why) -> Done<Word> {
    await_channel(lanes, why)?;
    match &mut lanes.words {
        Some(word) => Ok(words::heard(word)),
        None => Ok(message(lanes.at(Slot::CHANNEL), why)?),
    }
}

/// Host: waits until the channel has a message, or has ended. In a frozen cgroup neither would ever come.
fn await_channel(lanes: &Lanes, why: Why) -> Done {
    // A cgroup that was there before may be paused and go on later.
    let new = lanes.cgroup_root.is_some() && lanes.has(Slot::CGROUP);
    let look = || match new && cgroup::is_frozen(lanes.at(Slot::CGROUP)) {
        true => Err(Trouble::Check(Check::CgroupFrozen)),
        false => Ok(()),
    };
    if let Some(word) = lanes.words {
        return patience::another(word, lanes.at(Slot::INIT), why, look);
    }
    let channel = lanes.at(Slot::CHANNEL);
    patience::readable([channel, step::process(lanes)], None, why, look)?;
    step::is_there(lanes, channel)
}

/// Host: waits until init has done its lines so far.
fn await_ready(lanes: &mut Lanes, why: Why) -> Done<Then> {
    let word = hear(lanes, why)?;
    match (word.bytes(), word.report()) {
        ([READY], _) => Ok(Then::Next),
        (_, Some(report)) => Ok(stopped(report)),
        (_, None) => Err(Trouble::Check(Check::InitVanished)),
    }
}

/// Host: the bridge says which process init is, or why there is none. Init runs as soon as it is cloned: what it says
/// before the bridge does is kept.
fn await_init(lanes: &mut Lanes, why: Why) -> Done<Then> {
    let (_, first) = lanes.plan.lane(Lane::Init);
    loop {
        let word = channel(lanes, why)?;
        match (word.bytes(), word.report()) {
            ([INIT, _, _, _, a, b, c, d], _) => {
                return found(lanes, i32::from_ne_bytes([*a, *b, *c, *d])).map(|()| Then::Next);
            }
            ([READY], _) => lanes.heard = Some(word),
            (_, Some(report)) if report.line >= first => lanes.heard = Some(word),
            (_, Some(report)) => return Ok(stopped(report)),
            (_, None) => return Err(Trouble::Check(Check::InitVanished)),
        }
    }
}

/// Host: init is this process. It is our own child, so its number stays its own until we wait for it.
fn found(lanes: &mut Lanes, pid: i32) -> Done {
    lanes.cloned[1] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    lanes.pid = pid;
    record::set_cloned(pid);
    match syscalls::pidfd_open(pid, Why("a handle on init, as clone3 would have given")) {
        Ok(init) => lanes.put(Slot::INIT, init),
        Err(failed) => {
            let why = Why("without a handle it could not be ended later");
            let _ = syscalls::kill(pid, libc::SIGKILL, why);
            let _ = syscalls::waitid_pid(pid, why);
            return Err(failed.into());
        }
    }
    if let Some(bridge) = lanes.take(Slot::BRIDGE) {
        syscalls::waitid_pidfd(bridge.at(), WaitFlags::NONE, Why("the bridge has done its part"))?;
    }
    Ok(())
}

/// Host: reads the channel to its end.
fn await_exec(lanes: &mut Lanes, why: Why) -> Done<Then> {
    if lanes.heard.is_none() {
        await_channel(lanes, why)?;
    }
    // If execve fails, init notes that on the slate before it sends a report. So while the slate has execve under way,
    // a channel that can be read has ended.
    let end = match lanes.heard.is_none() && syscalls::execve_of(Lane::Init as u8) == Some(Ok(())) {
        true => Then::Next,
        false => ended(hear(lanes, why)?)?,
    };
    // An init that has stopped waits for the end of the channel, and until then the runtime can look at it.
    if matches!(end, Then::Next)
        && let Some(fd) = lanes.take(Slot::CHANNEL)
    {
        fd.close(Why("nothing more comes through the channel"))?;
    }
    Ok(end)
}

fn ended(last: Word) -> Done<Then> {
    if let Some(report) = last.report() {
        return Ok(stopped(report));
    }
    // The channel ends in both cases, but a process that was killed before execve has not made that call.
    match syscalls::execve_of(Lane::Init as u8) {
        Some(Ok(())) => Ok(Then::Next),
        // It failed, and a seccomp filter forbade init's report.
        Some(Err(errno)) => Err(Trouble::Call(Failed { errno, call: Call::EXECVE, at: record::newest_execve() })),
        None => Err(Trouble::Check(Check::InitVanished)),
    }
}

/// Init's report, as a stop of its lane.
fn stopped(report: Report) -> Then {
    Then::Stopped(Stopped { lane: Lane::Init, line: report.line, trouble: report.trouble })
}

/// `start`: the last message in the report fifo: a report, or its end. `init`: a handle on its process.
pub fn last_word(report: At, init: At, why: Why) -> Done<Word> {
    patience::readable([report, init], None, why, patience::nothing)?;
    match message(report, why) {
        // The fifo is empty: init has ended without a report.
        Err(failed) if failed.errno == Errno::EAGAIN => Ok(Word::EMPTY),
        word => Ok(word?),
    }
}
