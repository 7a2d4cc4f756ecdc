//! The foreground of a program with a terminal: what is typed goes to it, what it shows comes back, until its end. The
//! caller's own terminal is raw meanwhile, so that each key is the program's, and is put back whatever happens. May touch:
//! everything below.

use super::create::{ended, hand_on, signal};
use super::notify::Between;
use crate::outcome::{Error, at};
use crate::perform::terminal;
use syscalls::abi::Termios;
use syscalls::{At, Errno, Fd, PollFd, SigSet, Why};

/// Bytes that are carried at once: a pipe that can take any takes as many without a wait (pipe(7), PIPE_BUF).
const PART: usize = 4096;
/// End of input at a terminal, as it is set up at first (termios(3), VEOF).
const EOT: u8 = 4;
/// A program that changes its terminal's settings may throw away what was typed before: the end of the input is typed
/// again, after this many milliseconds, then twice as many, up to a minute.
const ONCE_MORE: u64 = 100;
/// How long one waits before looking whether somebody has opened the terminal again, in milliseconds.
const AGAIN: u64 = 100;
/// More than the kernel keeps of what was shown and not read yet (12 KiB). Whoever the program left behind may show
/// something for ever, and is not waited for.
const SHOWN_LAST: usize = 64 << 10;

/// Relays until the program has ended; its status.
pub fn relay(master: Fd, notify: Option<Between>, process: &Fd, pid: i32) -> Result<i32, Error> {
    let failed = |failed| at("relay the terminal", failed);
    let why = Why("signals, keys and output are waited for together");
    let signals = syscalls::signalfd4(SigSet::ALL, why).map_err(failed)?;
    let before = raw();
    let status = Relay::new(master, notify).run(&signals, process, pid);
    if let Some(before) = before {
        let why = Why("the caller's terminal is as it was");
        let _ = syscalls::tcsets(At::STDIN, &before, why);
    }
    status
}

/// Makes the caller's terminal raw, if standard input is one (termios(3), cfmakeraw). What it was before.
fn raw() -> Option<Termios> {
    let why = Why("is there a terminal, whose keys the program shall get?");
    let before = syscalls::tcgets(At::STDIN, why).ok()?;
    let mut raw = before;
    raw.input &= !(libc::IGNBRK
        | libc::BRKINT
        | libc::PARMRK
        | libc::ISTRIP
        | libc::INLCR
        | libc::IGNCR
        | libc::ICRNL
        | libc::IXON);
    raw.output &= !libc::OPOST;
    raw.local &= !(libc::ECHO | libc::ECHONL | libc::ICANON | libc::ISIG | libc::IEXTEN);
    raw.control = raw.control & !(libc::CSIZE | libc::PARENB) | libc::CS8;
    raw.characters[libc::VMIN] = 1;
    raw.characters[libc::VTIME] = 0;
    let why = Why("each key, Ctrl-C too, is for the program's own terminal to understand");
    syscalls::tcsets(At::STDIN, &raw, why).ok()?;
    Some(before)
}

/// Bytes on their way.
struct Part {
    bytes: [u8; PART],
    from: usize,
    to: usize,
}

impl Part {
    const EMPTY: Part = Part { bytes: [0; PART], from: 0, to: 0 };

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.from..self.to).unwrap_or(&[])
    }

    fn is_empty(&self) -> bool {
        self.rest().is_empty()
    }

    /// Takes what can be had. The number of bytes; 0 at the end.
    fn fill(&mut self, from: At, why: Why) -> syscalls::Result<usize> {
        let len = syscalls::read(from, &mut self.bytes, why)?;
        (self.from, self.to) = (0, len);
        Ok(len)
    }

    /// Gives what can be taken.
    fn drain(&mut self, to: At, why: Why) -> syscalls::Result<()> {
        match syscalls::write(to, self.rest(), why) {
            Ok(len) => self.from += len,
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            Err(failed) => return Err(failed),
        }
        Ok(())
    }
}

struct Relay {
    master: Fd,
    /// The program says how it is.
    notify: Option<Between>,
    keys: Part,
    screen: Part,
    /// Standard input has more to say.
    typing: bool,
    /// What it said last was a whole line.
    line_ended: bool,
    /// It has ended: when that is said again.
    again: Option<u64>,
    /// Standard output takes more.
    showing: bool,
}

/// Which of the descriptors is which.
const STDIN: usize = 0;
const MASTER: usize = 1;
const STDOUT: usize = 2;
const SIGNALS: usize = 3;
const WORDS: usize = 4;

impl Relay {
    fn new(master: Fd, notify: Option<Between>) -> Relay {
        Relay {
            master,
            notify,
            keys: Part::EMPTY,
            screen: Part::EMPTY,
            typing: true,
            line_ended: true,
            again: None,
            showing: true,
        }
    }

    fn run(mut self, signals: &Fd, process: &Fd, pid: i32) -> Result<i32, Error> {
        let failed = |failed| at("relay the terminal", failed);
        // Nobody has the program's side open: that can change, and is looked at from time to time.
        let mut left = false;
        loop {
            let mut fds = self.interests(signals, left);
            let limit = if left { Some(AGAIN) } else { self.again };
            let why = Why("a key, something to show, or a signal");
            if syscalls::ppoll(&mut fds, limit, why).map_err(failed)? == 0 && !left {
                self.end_of_input(1);
            }
            let [stdin, master, stdout, signal, words] = fds.map(|fd| fd.revents);
            if let (true, Some(notify)) = (words | signal != 0, &self.notify) {
                notify.carry();
            }
            if signal != 0
                && let Some(status) = self.signal(signals, process, pid)?
            {
                self.rest_of_the_screen().map_err(failed)?;
                return Ok(status);
            }
            if stdout != 0 {
                self.show();
            }
            if master & libc::POLLOUT != 0 {
                self.keys.drain(self.master.at(), Why("what was typed")).map_err(failed)?;
            }
            if master & libc::POLLIN != 0 && self.screen.is_empty() {
                left = !self.look()?;
            } else {
                left = master & libc::POLLHUP != 0;
            }
            if stdin != 0 {
                self.typed();
            }
        }
    }

    /// What is waited for: nothing that there is no room for.
    fn interests(&self, signals: &Fd, left: bool) -> [PollFd; 5] {
        let fd = |fd: At, wanted: bool, events: i16| PollFd {
            fd: if wanted { fd.raw() } else { -1 }, // the kernel passes it over (poll(2))
            events,
            revents: 0,
        };
        let mut master = 0;
        if self.screen.is_empty() {
            master |= libc::POLLIN;
        }
        if !self.keys.is_empty() {
            master |= libc::POLLOUT;
        }
        let mut all = [fd(signals.at(), true, libc::POLLIN); 5];
        all[STDIN] = fd(At::STDIN, self.typing && self.keys.is_empty(), libc::POLLIN);
        all[MASTER] = fd(self.master.at(), master != 0 && !left, master);
        all[STDOUT] = fd(At::STDOUT, !self.screen.is_empty(), libc::POLLOUT);
        let words = self.notify.as_ref().map(|notify| notify.program.at());
        all[WORDS] = fd(words.unwrap_or(At::STDIN), words.is_some(), libc::POLLIN);
        all[SIGNALS] = fd(signals.at(), true, libc::POLLIN);
        all
    }

    /// Something was typed, or the input has ended: then the program's terminal says so, too.
    fn typed(&mut self) {
        match self.keys.fill(At::STDIN, Why("what was typed")) {
            Ok(0) => {
                self.typing = false;
                // In the middle of a line the first one only ends the line (termios(3), VEOF).
                self.end_of_input(if self.line_ended { 1 } else { 2 });
            }
            Ok(_) => self.line_ended = self.keys.rest().last() == Some(&b'\n'),
            // From the background nobody reads a terminal (tty_ioctl(4)): that is not the end of the program's input.
            Err(_) => self.typing = false,
        }
    }

    /// Types it, so many times.
    fn end_of_input(&mut self, count: usize) {
        self.again = Some(self.again.map_or(ONCE_MORE, |before| (before * 2).min(60_000)));
        if self.keys.is_empty() {
            self.keys.bytes[..2].copy_from_slice(&[EOT; 2]);
            (self.keys.from, self.keys.to) = (0, count);
        }
    }

    /// Something is to be shown. False: nobody has the program's side open any more.
    fn look(&mut self) -> Result<bool, Error> {
        match self.screen.fill(self.master.at(), Why("what the program shows")) {
            Ok(_) => Ok(true),
            Err(f) if f.errno == Errno::EAGAIN => Ok(true),
            Err(f) if f.errno == Errno::EIO => Ok(false),
            Err(f) => Err(at("relay the terminal", f)),
        }
    }

    /// Whoever no longer reads what the program shows does not end the program.
    fn show(&mut self) {
        let why = Why("what the program shows");
        self.showing = self.showing && self.screen.drain(At::STDOUT, why).is_ok();
        if !self.showing {
            self.screen = Part::EMPTY;
        }
    }

    /// What was shown before the end.
    fn rest_of_the_screen(&mut self) -> syscalls::Result<()> {
        let fd = |fd: At, events| PollFd { fd: fd.raw(), events, revents: 0 };
        let mut shown = 0;
        loop {
            while !self.screen.is_empty() {
                let why = Why("standard output may have to be waited for");
                syscalls::ppoll(&mut [fd(At::STDOUT, libc::POLLOUT)], None, why)?;
                self.show();
            }
            let mut fds = [fd(self.master.at(), libc::POLLIN)];
            let why = Why("what it showed last may still be on its way");
            syscalls::ppoll(&mut fds, Some(0), why)?;
            let more = fds[0].revents & libc::POLLIN != 0 && shown < SHOWN_LAST;
            if !more || !self.look().unwrap_or(false) {
                return Ok(());
            }
            shown += self.screen.rest().len();
        }
    }

    /// One signal. The program's status, if that is what it tells.
    fn signal(&self, signals: &Fd, process: &Fd, pid: i32) -> Result<Option<i32>, Error> {
        match signal(signals)? {
            libc::SIGCHLD => return ended(process, pid),
            libc::SIGWINCH => drop(terminal::fit(self.master.at())),
            signal => hand_on(process, signal),
        }
        Ok(None)
    }
}
