//! `run --step`: before each of its lines a lane asks the stepper, a process that talks to the person at the terminal. May
//! touch: plan types, system calls.
//!
//! ```text
//!   lane     write(number of the line) .. read ───────────► GO: the line is carried out. Any other byte: the lane stops
//!   stepper  ................ read ─ a person reads, types ─ write(GO)
//! ```
//! Each lane has a channel of its own. Once the seccomp filter is loaded it could refuse these calls, or ask an agent about them.
//! So init then writes the number on the slate, and spins there. The stepper stops it by SIGSTOP while the person reads.

use super::lanes::Stepper;
use super::{Lanes, share_slate};
use crate::host::patience;
use crate::outcome::{Check, Done, Lane, Trouble};
use core::hint;
use core::sync::atomic::Ordering::*;
use syscalls::room::slate;
use syscalls::{At, CloneFlags, Cloned, Errno, Fd, PollFd, SigSet, Why, record};

/// The stepper's answers.
pub const GO: u8 = 1;
pub const END: u8 = 2;
/// On the slate, in place of a line's number: the lane stops.
pub const SLATE_END: u32 = u32::MAX;
/// What the host says in place of a line's number, when its lane has ended.
pub const OVER: u16 = 0;
/// The lanes that ask, in the order of their channels.
pub const LANES: [Lane; 3] = [Lane::Host, Lane::Bridge, Lane::Init];

/// Why a lane asks. A view of a trace leaves these calls out.
pub const ASK: Why = Why("--step: a person decides whether this line is carried out");

/// What the stepper's process has: its ends of the channels, and a handle on the runtime.
pub struct Asked {
    pub ends: [Fd; 3],
    pub runtime: Fd,
    pub runtime_pid: i32,
}

/// Clones the stepper. Signals are held back from here on: one that asks for an end is taken where the host lane waits, so that
/// what was made is undone.
pub fn begin(lanes: &mut Lanes, act: impl FnOnce(Asked)) -> Done {
    let why = Why("a signal shall end the wait for the person, so that what was made is undone");
    let before = syscalls::rt_sigprocmask(SigSet::HELD, why)?;
    let why = Why("a lane asks there before each of its lines");
    let pairs = [syscalls::socketpair(why)?, syscalls::socketpair(why)?, syscalls::socketpair(why)?];
    let [(host, of_host), (bridge, of_bridge), (init, of_init)] = pairs;
    let runtime_pid = record::own_pid();
    let runtime = syscalls::pidfd_open(runtime_pid, Why("the stepper ends if the runtime does"))?;
    share_slate()?;
    slate().stepping.store(1, Release);
    let why = Why("a process of its own talks to the terminal: the lanes may neither allocate nor wait for keys");
    match syscalls::clone3_helper(CloneFlags::NONE, Lane::Stepper as u8, why)? {
        Cloned::Child => {
            drop([host, bridge, init]);
            act(Asked { ends: [of_host, of_bridge, of_init], runtime, runtime_pid });
            syscalls::exit_group(0, Why("there is no line left to ask about"))
        }
        Cloned::Parent { pidfd, .. } => {
            lanes.stepper = Some(Stepper { ends: [host, bridge, init], process: pidfd, before });
            Ok(())
        }
    }
}

/// Whether waits for another lane have no limit: a person may be reading.
pub fn has_time() -> bool {
    slate().stepping.load(Acquire) != 0
}

/// This lane's end of its channel. Without `--step` it is a number that the kernel refuses.
pub fn end(lanes: &Lanes) -> At {
    let place = LANES.iter().position(|lane| *lane == lanes.lane).unwrap_or(0);
    lanes.stepper.as_ref().map_or(patience::NONE, |stepper| stepper.ends[place].at())
}

/// A handle on the stepper. Without `--step` it is a number that the kernel passes over.
pub fn process(lanes: &Lanes) -> At {
    lanes.stepper.as_ref().map_or(patience::NONE, |stepper| stepper.process.at())
}

/// Host, after a wait for init: an error if the stepper was killed. Init, which may ask on the slate, would never get an answer.
pub fn is_there(lanes: &Lanes, channel: At) -> Done {
    if lanes.stepper.is_none() {
        return Ok(());
    }
    let row = |fd: At| PollFd { fd: fd.raw(), events: libc::POLLIN, revents: 0 };
    let mut fds = [row(channel), row(process(lanes))];
    syscalls::ppoll(&mut fds, Some(0), ASK)?;
    match fds.map(|fd| fd.revents != 0) {
        [false, true] => Err(Trouble::Check(Check::StepperVanished)),
        _ => Ok(()),
    }
}

/// Asks whether a line may be carried out, and waits for the answer. An error: it may not.
pub fn ask(lanes: &Lanes, line: u16) -> Done {
    if lanes.stepper.is_none() || !has_time() {
        return Ok(());
    }
    if lanes.filtered {
        return ask_without_call(line);
    }
    let end = end(lanes);
    match syscalls::write(end, &line.to_ne_bytes(), ASK) {
        Err(failed) if failed.errno == Errno::EPIPE => return Err(Trouble::Check(Check::StepperVanished)),
        written => written?,
    };
    if lanes.lane == Lane::Host {
        patience::readable([end, patience::NONE], None, ASK, patience::nothing)?;
    }
    let mut answer = [0];
    match syscalls::read(end, &mut answer, ASK)? {
        0 => Err(Trouble::Check(Check::StepperVanished)),
        _ if answer == [GO] => Ok(()),
        _ => Err(Trouble::Check(Check::StepEnded)),
    }
}

fn ask_without_call(line: u16) -> Done {
    let asked = &slate().asked;
    // It fails where the stepper has ended this lane already.
    let _ = asked.compare_exchange(0, line.into(), AcqRel, Acquire);
    loop {
        match asked.load(Acquire) {
            0 => return Ok(()),
            SLATE_END => return Err(Trouble::Check(Check::StepEnded)),
            _ if !has_time() => return Ok(()),
            _ => hint::spin_loop(),
        }
    }
}

/// The host lane has ended: the stepper gives the terminal back and ends. The mask of signals that the caller had.
pub fn over(lanes: &mut Lanes) -> Option<SigSet> {
    let Stepper { ends, process, before } = lanes.stepper.take()?;
    slate().stepping.store(0, Release);
    let why = Why("the stepper gives the terminal back before anything else is shown there");
    let _ = syscalls::write(ends[0].at(), &OVER.to_ne_bytes(), why);
    patience::ended(&process);
    Some(before)
}
