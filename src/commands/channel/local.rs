//! One session at this command's own standard input, output and error, byte for byte and with their ends; or its output kept for
//! the command. May touch: everything below.

use super::super::terminal::Raw;
use super::link::row;
use crate::frames::{Credit, Damage, LONGEST, Outgoing, Stream, ToGuest, ToHost, Window};
use crate::outcome::{Error, at};
use syscalls::{At, Errno, Failed, PollFd, Why};

/// The number of this command's own session.
pub const SESSION: u32 = 1;
/// Bytes that are written at once: a pipe that is ready takes so many without a wait (pipe(7), PIPE_BUF).
const PART: usize = 4096;
/// Output that is kept, at most.
const KEPT: usize = 16 << 20;

/// Where one stream of output goes.
struct Shown {
    stream: Stream,
    /// None: it is kept.
    to: Option<At>,
    waiting: Outgoing,
    window: Window,
    /// The machine has closed the stream.
    closed: bool,
    /// The reader here has gone.
    gone: bool,
    /// Output could not be written, for another reason.
    lost: Option<Failed>,
}

impl Shown {
    fn new(stream: Stream, to: Option<At>) -> Shown {
        Shown {
            stream,
            to,
            waiting: Outgoing::new(),
            window: Window::default(),
            closed: false,
            gone: false,
            lost: None,
        }
    }

    fn wants(&self) -> PollFd {
        row(self.to.filter(|_| !self.waiting.is_empty()), libc::POLLOUT)
    }

    fn take(&mut self, bytes: &[u8], out: &mut Outgoing) -> Result<(), Damage> {
        if self.closed {
            return Err(Damage::Session(SESSION));
        }
        if bytes.is_empty() {
            self.closed = true;
            return Ok(());
        }
        self.window.arrived(bytes.len())?;
        let keeps = self.to.is_none() && self.waiting.rest().len() + bytes.len() <= KEPT;
        match self.gone || self.to.is_none() {
            true => {
                if keeps {
                    self.waiting.append(bytes);
                }
                self.took(bytes.len(), out);
            }
            false => self.waiting.append(bytes),
        }
        Ok(())
    }

    fn took(&mut self, length: usize, out: &mut Outgoing) {
        if let Some(bytes) = self.window.took(length) {
            ToGuest::Credit(self.stream, bytes).put(SESSION, out);
        }
    }

    /// Writes a part. If the reader has gone, the program is told as a pipe would tell it.
    fn show(&mut self, out: &mut Outgoing) {
        let Some(to) = self.to else {
            return;
        };
        let rest = self.waiting.rest();
        let length = match syscalls::write(to, rest.get(..PART).unwrap_or(rest), Why("the program's output")) {
            Ok(length) => length,
            Err(failed) if failed.errno == Errno::EAGAIN => 0,
            Err(failed) => {
                self.gone = true;
                self.lost = Some(failed).filter(|failed| failed.errno != Errno::EPIPE);
                if !self.closed {
                    ToGuest::Close(self.stream).put(SESSION, out);
                }
                rest.len()
            }
        };
        self.waiting.taken(length);
        self.took(length, out);
    }

    fn is_over(&self) -> bool {
        self.to.is_none() || self.waiting.is_empty()
    }
}

/// A session at the standard descriptors of this command.
pub struct Local {
    shown: [Shown; 2],
    credit: Credit,
    /// Standard input is read, and has not ended.
    typing: bool,
    /// The caller's own terminal is raw meanwhile.
    raw: Option<Raw>,
    pub exit: Option<i32>,
}

impl Local {
    /// At this command's own standard descriptors.
    pub fn standard(terminal: bool) -> Local {
        let raw = terminal.then(Raw::begin);
        let shown = [Shown::new(Stream::Out, Some(At::STDOUT)), Shown::new(Stream::Err, Some(At::STDERR))];
        Local { shown, credit: Credit::WHOLE, typing: true, raw, exit: None }
    }

    /// Without input.
    pub fn shown() -> Local {
        Local { typing: false, ..Local::standard(false) }
    }

    /// Without input, and with the output kept.
    pub fn kept() -> Local {
        let shown = [Shown::new(Stream::Out, None), Shown::new(Stream::Err, None)];
        Local { shown, credit: Credit::WHOLE, typing: false, raw: None, exit: None }
    }

    pub fn has_terminal(&self) -> bool {
        self.raw.is_some()
    }

    /// What was kept of a stream.
    pub fn output(&self, stream: Stream) -> &[u8] {
        let all = self.shown.iter().find(|shown| shown.stream == stream && shown.to.is_none());
        all.map_or(&[], |shown| shown.waiting.rest())
    }

    /// The rows for ppoll(2): standard input, output and error.
    pub fn rows(&self, full: bool) -> [PollFd; 3] {
        let reads = self.typing && self.exit.is_none() && !full && self.credit.left() > 0;
        let [out, err] = &self.shown;
        [row(Some(At::STDIN).filter(|_| reads), libc::POLLIN), out.wants(), err.wants()]
    }

    /// Carries what can be carried.
    pub fn carry(&mut self, ready: [i16; 3], out: &mut Outgoing) {
        for (shown, ready) in self.shown.iter_mut().zip([ready[1], ready[2]]) {
            if ready != 0 {
                shown.show(out);
            }
        }
        if ready[0] != 0 {
            self.typed(out);
        }
    }

    fn typed(&mut self, out: &mut Outgoing) {
        let mut part = [0u8; 4 * PART];
        let most = self.credit.left().min(part.len()).min(LONGEST);
        let room = part.get_mut(..most).unwrap_or(&mut []);
        match syscalls::read(At::STDIN, room, Why("the program gets what comes here")) {
            Ok(length @ 1..) => {
                self.credit.spend(length);
                ToGuest::Input(part.get(..length).unwrap_or(&[])).put(SESSION, out);
            }
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            // A process in the background may not read its terminal (tty_ioctl(4)). That does not end the program's input.
            Err(_) if self.raw.is_some() => self.typing = false,
            _ => {
                self.typing = false;
                ToGuest::Input(&[]).put(SESSION, out);
            }
        }
    }

    /// Takes a frame of this session.
    pub fn take(&mut self, said: ToHost, out: &mut Outgoing) -> Result<(), Damage> {
        if self.exit.is_some() {
            return Err(Damage::Session(SESSION));
        }
        match said {
            ToHost::Output(stream, bytes) => {
                let place = usize::from(stream == Stream::Err);
                self.shown.get_mut(place).map_or(Ok(()), |shown| shown.take(bytes, out))
            }
            ToHost::Credit(bytes) => self.credit.answered(bytes),
            ToHost::Exit(status) => {
                self.exit = Some(status);
                Ok(())
            }
            ToHost::Hello(..) | ToHost::Note(_) => Err(Damage::Session(SESSION)),
        }
    }

    /// The status of a session that is over. An error: output was lost here, which the program could not see. A terminal that has
    /// hung up loses nothing that any reader waits for.
    pub fn status(&self) -> Result<Option<i32>, Error> {
        match self.shown.iter().find_map(|shown| shown.lost).filter(|_| self.raw.is_none()) {
            Some(lost) => Err(at("write the program's output", lost)),
            None => Ok(self.exit),
        }
    }

    /// The session has ended, and all of its output is written.
    pub fn is_over(&self) -> bool {
        self.exit.is_some() && self.shown.iter().all(Shown::is_over)
    }
}

/// The size of the caller's terminal, if there is one.
pub fn size() -> Option<[u16; 2]> {
    let why = Why("the program's terminal gets the size of the caller's");
    let mut all = [At::STDOUT, At::STDIN, At::STDERR].into_iter();
    all.find_map(|fd| syscalls::tiocgwinsz(fd, why).ok()).map(|size| [size.rows, size.columns])
}
