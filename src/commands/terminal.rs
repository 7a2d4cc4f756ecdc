//! The relay of a program's terminal: keys go to the program, and its output comes back, until it ends. The caller's own
//! terminal is raw meanwhile, so that the program gets each key; afterwards it is as before. May touch: everything below.

use crate::perform::terminal;
use syscalls::abi::Termios;
use syscalls::{At, Errno, Fd, PollFd, Result, Why};

/// Bytes that are carried at once: a pipe that is ready takes so many without a wait (pipe(7), PIPE_BUF).
const PART: usize = 4096;
/// The character that ends the input at a terminal with its first settings (termios(3), VEOF).
const EOT: u8 = 4;
/// A program that changes its terminal's settings may discard what was typed before. So the end of the input is typed again
/// after this many milliseconds, then after twice as many, up to a minute.
const ONCE_MORE: u64 = 100;
/// Milliseconds between two looks whether a process has opened the terminal again.
const AGAIN: u64 = 100;
/// So many bytes at most are shown after the program's end, since processes that it has left may write for ever. The kernel
/// keeps less of what was written and not read (12 KiB).
const SHOWN_LAST: usize = 64 << 10;

/// The caller's terminal, which is raw as long as this lives. None: standard input is no terminal.
pub struct Raw(Option<Termios>);

impl Raw {
    pub fn begin() -> Raw {
        Raw(raw())
    }

    /// Another process makes it raw, and may be killed.
    pub fn by_another() -> Raw {
        let why = Why("if standard input is a terminal, it gets its settings back");
        Raw(syscalls::tcgets(At::STDIN, why).ok())
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            let why = Why("the caller's terminal gets its settings back");
            let _ = syscalls::tcsets(At::STDIN, before, why);
        }
    }
}

/// Makes the caller's terminal raw, if standard input is one (termios(3), cfmakeraw). Returns its settings from before.
fn raw() -> Option<Termios> {
    let why = Why("if standard input is a terminal, the program gets its keys");
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
    let why = Why("the program's own terminal has to handle each key, Ctrl-C too");
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

    /// Reads what is there, and returns the number of bytes; 0 at the end.
    fn fill(&mut self, from: At, why: Why) -> Result<usize> {
        let len = syscalls::read(from, &mut self.bytes, why)?;
        (self.from, self.to) = (0, len);
        Ok(len)
    }

    /// Writes as much as `to` takes.
    fn drain(&mut self, to: At, why: Why) -> Result<()> {
        match syscalls::write(to, self.rest(), why) {
            Ok(len) => self.from += len,
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            Err(failed) => return Err(failed),
        }
        Ok(())
    }
}

/// A terminal that is relayed, in both directions.
pub struct Relay {
    master: Fd,
    /// The caller's own terminal is raw meanwhile.
    _raw: Raw,
    keys: Part,
    screen: Part,
    /// Standard input has not ended.
    typing: bool,
    /// The last input ended with a whole line.
    line_ended: bool,
    /// Standard input has ended: in so many milliseconds its end is typed again.
    again: Option<u64>,
    /// Standard output takes more.
    showing: bool,
    /// No process has the program's side open. One may open it again.
    left: bool,
}

impl Relay {
    pub fn begin(master: Fd) -> Relay {
        Relay {
            master,
            _raw: Raw::begin(),
            keys: Part::EMPTY,
            screen: Part::EMPTY,
            typing: true,
            line_ended: true,
            again: None,
            showing: true,
            left: false,
        }
    }

    /// How long the wait may last, in milliseconds.
    pub fn limit(&self) -> Option<u64> {
        if self.left { Some(AGAIN) } else { self.again }
    }

    /// The events to wait for at standard input, the terminal and standard output: none to read without room for the bytes.
    pub fn wants(&self) -> [(At, i16); 3] {
        let when = |wanted: bool, events: i16| if wanted { events } else { 0 };
        let screen = when(self.screen.is_empty(), libc::POLLIN);
        let keys = when(!self.keys.is_empty(), libc::POLLOUT);
        [
            (At::STDIN, when(self.typing && self.keys.is_empty(), libc::POLLIN)),
            (self.master.at(), when(!self.left, screen | keys)),
            (At::STDOUT, when(!self.screen.is_empty(), libc::POLLOUT)),
        ]
    }

    /// Carries what can be carried. `passed`: the time is over, and no event came.
    pub fn carry(&mut self, passed: bool, [stdin, master, stdout]: [i16; 3]) -> Result<()> {
        if passed && !self.left {
            self.end_of_input(1);
        }
        if stdout != 0 {
            self.show();
        }
        if master & libc::POLLOUT != 0 {
            self.keys.drain(self.master.at(), Why("the program gets what was typed"))?;
        }
        self.left = match master & libc::POLLIN != 0 && self.screen.is_empty() {
            true => !self.look()?,
            false => master & libc::POLLHUP != 0,
        };
        if stdin != 0 {
            self.typed();
        }
        Ok(())
    }

    /// Gives the program's terminal the size of the caller's.
    pub fn fit(&self) {
        let _ = terminal::fit(self.master.at());
    }

    /// Reads keys. When the input has ended, its end is typed at the program's terminal.
    fn typed(&mut self) {
        match self.keys.fill(At::STDIN, Why("the program gets what was typed")) {
            Ok(0) => {
                self.typing = false;
                // In the middle of a line the first character only ends the line (termios(3), VEOF).
                self.end_of_input(if self.line_ended { 1 } else { 2 });
            }
            Ok(_) => self.line_ended = self.keys.rest().last() == Some(&b'\n'),
            // A process in the background may not read its terminal (tty_ioctl(4)). That does not end the program's input.
            Err(_) => self.typing = false,
        }
    }

    /// Types the end of the input, so many times.
    fn end_of_input(&mut self, count: usize) {
        self.again = Some(self.again.map_or(ONCE_MORE, |before| (before * 2).min(60_000)));
        if self.keys.is_empty() {
            self.keys.bytes[..2].copy_from_slice(&[EOT; 2]);
            (self.keys.from, self.keys.to) = (0, count);
        }
    }

    /// Reads the program's output. False: no process has the program's side open any more.
    fn look(&mut self) -> Result<bool> {
        match self.screen.fill(self.master.at(), Why("the program's output")) {
            Err(f) if f.errno == Errno::EIO => Ok(false),
            Err(f) if f.errno != Errno::EAGAIN => Err(f),
            _ => Ok(true),
        }
    }

    /// Writes output to standard output. If its reader has gone, the program goes on.
    fn show(&mut self) {
        let why = Why("the program's output");
        self.showing = self.showing && self.screen.drain(At::STDOUT, why).is_ok();
        if !self.showing {
            self.screen = Part::EMPTY;
        }
    }

    /// Shows the rest of the output after the program's end.
    pub fn show_the_rest(&mut self) -> Result<()> {
        let fd = |fd: At, events| PollFd { fd: fd.raw(), events, revents: 0 };
        let mut shown = 0;
        loop {
            while !self.screen.is_empty() {
                let why = Why("standard output may take no more at this moment");
                syscalls::ppoll(&mut [fd(At::STDOUT, libc::POLLOUT)], None, why)?;
                self.show();
            }
            let mut fds = [fd(self.master.at(), libc::POLLIN)];
            let why = Why("the kernel may still keep output of the program");
            syscalls::ppoll(&mut fds, Some(0), why)?;
            let more = fds[0].revents & libc::POLLIN != 0 && shown < SHOWN_LAST;
            if !more || !self.look().unwrap_or(false) {
                return Ok(());
            }
            shown += self.screen.rest().len();
        }
    }
}
