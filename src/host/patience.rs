//! Waiting for another process, which as a rule takes a moment. A wait that lasts longer also takes signals that ask this
//! program to end, and looks now and then whether it still makes sense. May touch: system calls.

use crate::outcome::{Check, Done, Trouble};
use core::ffi::CStr;
use syscalls::{Alone, At, Errno, Fd, PollFd, SigSet, WaitFlags, Why, futex};

/// How long a wait lasts before it takes signals, in milliseconds.
const MOMENT: u64 = 300;
/// The longest time between two looks.
const LONGEST: u64 = 60_000;

/// What is told while this process waits, if anything is (`-E`): what other processes have done meanwhile.
static TELL: Alone<Option<fn()>> = Alone::new(None);
/// The longest time between two looks at what others have done, in milliseconds. The first of a wait is a moment: as a rule init
/// has done much by then.
const GLANCE: u64 = 50;
/// Why a wait goes on after such a look.
pub const GOES_ON: Why =
    Why("the wait goes on: it is cut in pieces, so that this process can tell what others do meanwhile");

/// From now on `tell` is called while this process waits.
pub fn tell_meanwhile(tell: fn()) {
    TELL.with(|told| *told = Some(tell));
}

fn told() -> Option<fn()> {
    TELL.with(|tell| *tell).flatten()
}

/// Tells what has been done so far, if anything is told.
pub fn tell() {
    if let Some(tell) = told() {
        tell();
    }
}

/// Where something is told: waits a second at most until `done`, or until `fd` can be read. So what another process does
/// before it goes on is told before that process can print.
pub fn tell_until(fd: At, done: impl Fn() -> bool) -> syscalls::Result<()> {
    let mut fds = [PollFd { fd: fd.raw(), events: libc::POLLIN, revents: 0 }];
    tell_before(|| Ok(done() || syscalls::ppoll(&mut fds, Some(2), GOES_ON)? > 0))
}

/// The same, until init's word is another than this.
pub fn tell_until_another(word: u32, done: impl Fn() -> bool) -> syscalls::Result<()> {
    let changed = || futex::await_change(word, 2, GOES_ON).map(|()| futex::said() != word);
    tell_before(|| Ok(done() || changed()?))
}

fn tell_before(mut over: impl FnMut() -> syscalls::Result<bool>) -> syscalls::Result<()> {
    if told().is_none() {
        return Ok(());
    }
    for _ in 0..500 {
        if over()? {
            break;
        }
    }
    tell();
    Ok(())
}

/// ppoll(2), in pieces while something is told. True: one of the descriptors is ready.
fn in_pieces(fds: &mut [PollFd], limit: u64, why: Why) -> syscalls::Result<bool> {
    pieces(limit, why, |limit, why| syscalls::ppoll(fds, Some(limit), why).map(|ready| ready > 0))
}

/// A wait of so many milliseconds, in pieces while something is told. True: what `wait` waits for has come.
fn pieces(limit: u64, why: Why, mut wait: impl FnMut(u64, Why) -> syscalls::Result<bool>) -> syscalls::Result<bool> {
    if told().is_none() {
        return wait(limit, why);
    }
    let (mut left, mut longest, mut why) = (limit, 1, why);
    loop {
        tell();
        let piece = left.min(longest);
        let ready = wait(piece, why)?;
        left -= piece;
        if ready || left == 0 {
            return Ok(ready);
        }
        longest = (longest * 2).min(GLANCE);
        why = GOES_ON;
    }
}

/// The signals that ask this program to end.
const ENDS: SigSet = SigSet::EMPTY.with(libc::SIGTERM).with(libc::SIGINT).with(libc::SIGHUP);

/// Those signals, held back and readable, as long as a wait lasts.
struct Ear {
    signals: Fd,
    before: SigSet,
}

impl Ear {
    fn open() -> syscalls::Result<Ear> {
        let why = Why("a signal shall end this wait, so that this command can undo what it has made");
        let before = syscalls::rt_sigprocmask(SigSet::HELD, why)?;
        Ok(Ear { signals: syscalls::signalfd4(ENDS, why)?, before })
    }

    /// A signal has come: why the wait ends. Signals stay held: the command undoes what it has made, and a second signal must not
    /// stop that halfway.
    fn interrupted(self) -> syscalls::Result<Trouble> {
        let mut info = [0u8; 128];
        syscalls::read(self.signals.at(), &mut info, Why("the signal is taken: this command ends for it"))?;
        core::mem::forget(self);
        Ok(Trouble::Check(Check::Interrupted))
    }
}

impl Drop for Ear {
    fn drop(&mut self) {
        let why = Why("the wait is over: signals act on this process again");
        let _ = syscalls::rt_sigprocmask(self.before, why);
    }
}

/// Waits until one of the descriptors can be read. False: `limit` milliseconds were over first. `look` is called now and
/// then, and its error ends the wait.
pub fn readable(fds: [At; 2], limit: Option<u64>, why: Why, look: impl FnMut() -> Done) -> Done<bool> {
    wait(fds.map(|fd| (fd, libc::POLLIN)), limit, why, look)
}

/// No second descriptor.
pub const NONE: At = At::from_raw(-1);

/// Nothing to look at.
pub fn nothing() -> Done {
    Ok(())
}

/// Waits for any events of poll(2).
pub fn wait(events: [(At, i16); 2], limit: Option<u64>, why: Why, mut look: impl FnMut() -> Done) -> Done<bool> {
    let poll = |(fd, events): (At, i16)| PollFd { fd: fd.raw(), events, revents: 0 };
    let first = limit.unwrap_or(MOMENT).min(MOMENT);
    let mut fds = [poll(events[0]), poll(events[1])];
    if in_pieces(&mut fds, first, why)? {
        return Ok(true);
    }
    let ear = Ear::open()?;
    let (mut gone, mut step) = (first, MOMENT);
    loop {
        let left = limit.map_or(LONGEST, |limit| limit.saturating_sub(gone));
        if left == 0 {
            return Ok(false);
        }
        look()?;
        let mut fds = [poll(events[0]), poll(events[1]), poll((ear.signals.at(), libc::POLLIN))];
        let time = step.min(left);
        if in_pieces(&mut fds, time, why)? {
            if fds[0].revents | fds[1].revents != 0 {
                return Ok(true);
            }
            return Err(ear.interrupted()?);
        }
        gone = gone.saturating_add(time);
        step = (step * 2).min(LONGEST);
    }
}

/// Waits until init's word is another than this (`syscalls::futex`), as [`wait`] does. No call waits for a word and for signals,
/// so a wait that lasts longer looks for signals each second at least; and whether init has ended, since kernels before 5.17 do
/// not clear the word of a process that dumps core.
pub fn another(word: u32, init: At, why: Why, mut look: impl FnMut() -> Done) -> Done {
    const SECOND: u64 = 1000;
    let changed = |limit, why| {
        pieces(limit, why, |limit, why| futex::await_change(word, limit, why).map(|()| futex::said() != word))
    };
    if changed(MOMENT, why)? {
        return Ok(());
    }
    let ear = Ear::open()?;
    let mut step = MOMENT;
    loop {
        look()?;
        let poll = |fd: At| PollFd { fd: fd.raw(), events: libc::POLLIN, revents: 0 };
        let mut fds = [poll(ear.signals.at()), poll(init)];
        syscalls::ppoll(&mut fds, Some(0), why)?;
        if fds[0].revents != 0 {
            return Err(ear.interrupted()?);
        }
        if fds[1].revents != 0 || changed(step, why)? {
            return Ok(());
        }
        step = (step * 2).min(SECOND);
    }
}

/// Waits ten seconds at most for a child that was killed: it may wait in the kernel for what never comes. True: it has ended.
pub fn ended(process: &Fd) -> bool {
    const PATIENCE: u64 = 10_000;
    let mut fds = [PollFd { fd: process.at().raw(), events: libc::POLLIN, revents: 0 }];
    let why = Why("the kernel keeps a child that has ended until its parent waits for it");
    in_pieces(&mut fds, PATIENCE, why) == Ok(true) && syscalls::waitid_pidfd(process.at(), WaitFlags::NONE, why).is_ok()
}

/// Sends by `send` to a socket with O_NONBLOCK. If the reader's queue is full (unix(7): EAGAIN), it waits for room and tries
/// again, `limit` milliseconds at most.
pub fn send(socket: At, limit: u64, why: Why, send: impl Fn() -> syscalls::Result<usize>) -> syscalls::Result<usize> {
    const STEP: u64 = 100;
    for _ in 0..limit / STEP {
        match send() {
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            other => return other,
        }
        let mut room = [PollFd { fd: socket.raw(), events: libc::POLLOUT, revents: 0 }];
        syscalls::ppoll(&mut room, Some(STEP), why)?;
    }
    send()
}

/// connect(2) of a socket with O_NONBLOCK. If too many others wait to be accepted (EAGAIN), it tries again, for ten seconds.
pub fn connect(socket: At, path: &CStr, why: Why) -> syscalls::Result<()> {
    for _ in 0..200 {
        match syscalls::connect_unix(socket, path, why) {
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            other => return other,
        }
        let why = Why("the listener's queue is full, and it may accept in a moment");
        syscalls::ppoll(&mut [], Some(50), why)?;
    }
    syscalls::connect_unix(socket, path, why)
}
