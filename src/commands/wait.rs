//! The wait for a program's end: signals, its terminal and its messages for a service manager, in one loop. May touch:
//! everything from `say` down.

use super::notify::Between;
use super::terminal::Relay;
use crate::outcome::{Doing, Error};
use crate::say::tell;
use syscalls::{At, Ended, Errno, Fd, PollFd, SigSet, Taken, WaitFlags, Why};

const DOING: &str = "wait for the program";

/// A program in the foreground.
pub struct Foreground<'a> {
    /// A handle on its process, and its number.
    pub process: &'a Fd,
    pub pid: i32,
    /// It is a child of this process, so SIGCHLD tells of its end. The handle tells of the end of any other process.
    pub child: bool,
    /// Where its messages for a service manager go.
    pub notify: Option<Between>,
    /// The other side of its terminal.
    pub master: Option<Fd>,
    /// The last signal that was handed on to it.
    pub handed: Option<Taken>,
}

/// What the wait for a program has brought.
pub struct Waited {
    pub ended: Ended,
    /// The last signal that was handed on to the program.
    pub handed: Option<Taken>,
}

/// The places in the table of ppoll(2).
const SIGNALS: usize = 0;
const END: usize = 1;
const WORDS: usize = 2;
const STDIN: usize = 3;
const MASTER: usize = 4;
const STDOUT: usize = 5;

/// A row of that table. The kernel skips a negative number.
fn row(fd: Option<At>, events: i16) -> PollFd {
    PollFd { fd: fd.map_or(-1, At::raw), events, revents: 0 }
}

impl Foreground<'_> {
    /// Waits for the program's end, and sends it all other signals.
    pub fn wait(mut self) -> Result<Waited, Error> {
        tell::words("runs", &[&self.pid.to_string()]);
        let ended = self.end()?;
        tell::words("ended", &[&ended.status().to_string()]);
        Ok(Waited { ended, handed: self.handed })
    }

    fn end(&mut self) -> Result<Ended, Error> {
        if self.child && self.notify.is_none() && self.master.is_none() {
            return self.signals_alone();
        }
        self.all()
    }

    /// The wait for signals, for words to a service manager, and for a terminal.
    #[inline(never)] // the buffers of a terminal lie on its stack
    fn all(&mut self) -> Result<Ended, Error> {
        let why = Why("one ppoll shall wait for signals together with the program's sockets and terminal");
        let signals = syscalls::signalfd4(SigSet::ALL, why).doing(DOING)?;
        let mut relay = self.master.take().map(Relay::begin);
        loop {
            let mut table = self.table(&signals, relay.as_ref());
            let limit = relay.as_ref().and_then(Relay::limit);
            let why = Why("the program's end, a signal to hand on, its messages, a key, or output to show");
            let passed = syscalls::ppoll(&mut table, limit, why).doing(DOING)? == 0;
            let ready = table.map(|row| row.revents);
            if ready[SIGNALS] | ready[WORDS] != 0
                && let Some(notify) = &self.notify
            {
                notify.carry();
            }
            if ready[SIGNALS] != 0 {
                match (next(&signals)?, &mut relay) {
                    (Taken { signal: libc::SIGWINCH, .. }, Some(relay)) => relay.fit(),
                    (taken, relay) => {
                        if let Some(ended) = self.signal(taken)? {
                            relay.as_mut().map_or(Ok(()), Relay::show_the_rest).doing("relay the terminal")?;
                            return Ok(ended);
                        }
                    }
                }
            } else if ready[END] != 0 {
                return told(self.process);
            }
            if let Some(relay) = &mut relay {
                relay.carry(passed, [ready[STDIN], ready[MASTER], ready[STDOUT]]).doing("relay the terminal")?;
            }
        }
    }

    fn table(&self, signals: &Fd, relay: Option<&Relay>) -> [PollFd; 6] {
        let mut table = [row(None, 0); 6];
        table[SIGNALS] = row(Some(signals.at()), libc::POLLIN);
        table[END] = row((!self.child).then(|| self.process.at()), libc::POLLIN);
        table[WORDS] = row(self.notify.as_ref().map(|notify| notify.program.at()), libc::POLLIN);
        if let Some(relay) = relay {
            for (place, (fd, events)) in [STDIN, MASTER, STDOUT].into_iter().zip(relay.wants()) {
                table[place] = row(Some(fd).filter(|_| events != 0), events);
            }
        }
        table
    }

    /// The wait if only signals can come: one call waits, and tells which signal it is.
    fn signals_alone(&mut self) -> Result<Ended, Error> {
        loop {
            let why = Why("the program's end, or a signal to hand on");
            let taken = syscalls::rt_sigwait(SigSet::ALL, why).doing(DOING)?;
            if let Some(ended) = self.signal(taken)? {
                return Ok(ended);
            }
        }
    }

    /// Acts on a signal. Returns the end, if the program has ended.
    fn signal(&mut self, taken: Taken) -> Result<Option<Ended>, Error> {
        match taken.signal {
            libc::SIGCHLD if self.child => return self.ended(),
            // The kernel sends these for what this process itself has done, as a write beyond the limit of ulimit -f.
            libc::SIGCHLD | libc::SIGURG | libc::SIGPIPE | libc::SIGXFSZ => {}
            signal => {
                tell::words("signal", &[&syscalls::flags::signal_name(signal).to_string()]);
                let why = Why("a signal for this command is meant for the program");
                if syscalls::pidfd_send_signal(self.process.at(), signal, why).is_ok() {
                    self.handed = Some(taken);
                }
            }
        }
        Ok(None)
    }

    /// A child has ended. Returns how, if it is the program.
    fn ended(&self) -> Result<Option<Ended>, Error> {
        let why = Why("the status that the program ended with");
        let ended = syscalls::waitid_pidfd(self.process.at(), WaitFlags::WNOHANG, why).doing(DOING)?;
        if ended.is_none() {
            self.reap();
        }
        Ok(ended)
    }

    /// Waits for other children that have ended: without a pid namespace, the kernel gives orphans of the container to this
    /// process. The program's own status stays for `ended`.
    fn reap(&self) {
        let why = Why("an orphan of the container that has ended would stay a zombie");
        while let Ok(Some(pid)) = syscalls::waitid_any_ended(why) {
            // The program has just ended, and the signal that tells of it is on its way.
            if pid == self.pid || syscalls::waitid_pid(pid, why).is_err() {
                return;
            }
        }
    }
}

/// Signals act on this process as before the wait for a program.
pub fn release(mask: Option<SigSet>) {
    if let Some(mask) = mask {
        let _ = syscalls::rt_sigprocmask(mask, Why("the wait is over: signals act on this process again"));
    }
}

/// The next signal of a signalfd.
fn next(signals: &Fd) -> Result<Taken, Error> {
    let mut info = [0u8; 128];
    syscalls::read(signals.at(), &mut info, Why("the signal decides what to do")).doing(DOING)?;
    Ok(Taken::of(&info))
}

/// The end of a process that is no child of this one.
fn told(process: &Fd) -> Result<Ended, Error> {
    match status(process, 50)? {
        Some(ended) => Ok(ended),
        None => Err(Error::State(
            "the program has ended, but this kernel does not tell its status to others than its parent (Linux 6.15 does)"
                .into(),
        )),
    }
}

/// The same, if the kernel tells it: after the parent has waited. `tries`: so many tenths of a second.
pub fn status(process: &Fd, tries: usize) -> Result<Option<Ended>, Error> {
    for _ in 0..tries {
        match syscalls::pidfd_exit(process.at(), Why("the status that the program ended with")) {
            Ok(Some(ended)) => return Ok(Some(ended)),
            Err(f) if f.errno != Errno::ESRCH => break,
            _ => {}
        }
        let mut fds = [row(Some(process.at()), 0)];
        let why = Why("its parent has to wait for it first");
        syscalls::ppoll(&mut fds, Some(100), why).doing(DOING)?;
    }
    Ok(None)
}
