//! The sessions of the channel: command lines of this program that the host asks for, and files that it fetches. None waits for
//! another: bytes go on when their reader takes them. Sessions are kept in slots, which are used again, so that any number
//! of them one after another takes no more memory. May touch: everything below.

use super::child::{self, Child, Start};
use super::{files, pty};
use crate::frames::{Begin, Credit, Damage, Outgoing, Stream, ToHost, Window};
use syscalls::{At, Errno, Fd, WaitFlags, Why};

/// Bytes that are carried at once: a pipe that is ready takes so many without a wait (pipe(7), PIPE_BUF).
const PART: usize = 4096;
/// Bytes that are read at once.
const READ: usize = 32 << 10;
/// After the end of a session's child so many bytes are read at most: what it has left may hold the pipe, and write for ever.
const LAST: usize = 256 << 10;
/// Milliseconds between SIGHUP and SIGKILL for a session that the host has hung up.
const PATIENCE: u64 = 2000;
/// The end of the input is typed again at a terminal after so many milliseconds, then after twice as many, up to the most.
const AGAIN: u64 = 100;
const LONGEST: u64 = 60_000;

/// One direction out.
struct Out {
    from: Option<Fd>,
    credit: Credit,
    /// The host knows that it is closed, or never hears of it.
    closed: bool,
    /// Bytes that may still be read after the child's end.
    last: usize,
}

impl Out {
    fn new(from: Option<Fd>) -> Out {
        Out { from, credit: Credit::WHOLE, closed: false, last: LAST }
    }
}

/// How a session ends.
#[derive(Clone, Copy)]
enum End {
    /// Its child has not ended.
    Open,
    Status(i32),
}

struct Session {
    /// 0: the slot is free.
    number: u32,
    /// The host does not listen: its channel is closed, or it has hung up.
    gone: bool,
    mute: bool,
    /// Files have come, and no BEGIN.
    gathers: bool,
    /// Files lie in its directory.
    files: bool,
    /// Why a file could not be written.
    trouble: Option<Errno>,
    child: Option<Child>,
    end: End,
    terminal: bool,
    /// Where input goes; with a terminal, to the same descriptor as output comes from.
    input: Option<Fd>,
    waiting: Vec<u8>,
    from: usize,
    window: Window,
    input_ended: bool,
    /// The last input ended with a whole line.
    line_ended: bool,
    /// When the end of the input is typed again, and how long the wait before was.
    again: Option<(u64, u64)>,
    out: [Out; 2],
    /// When the child is killed.
    kill: Option<u64>,
}

/// A place of a session where bytes can go on.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    In,
    Out(Stream),
}

#[derive(Default)]
pub struct Sessions {
    slots: Vec<Session>,
    part: Vec<u8>,
    /// The machine ends: no more begin.
    over: bool,
}

fn place(stream: Stream) -> usize {
    match stream {
        Stream::Out => 0,
        Stream::Err => 1,
    }
}

const STREAMS: [Stream; 2] = [Stream::Out, Stream::Err];

impl Session {
    fn empty() -> Session {
        Session {
            number: 0,
            gone: false,
            mute: false,
            gathers: false,
            files: false,
            trouble: None,
            child: None,
            end: End::Open,
            terminal: false,
            input: None,
            waiting: Vec::new(),
            from: 0,
            window: Window::default(),
            input_ended: false,
            line_ended: true,
            again: None,
            out: [Out::new(None), Out::new(None)],
            kill: None,
        }
    }

    /// The slot is for a session of this number. Its memory stays.
    fn begin(&mut self, number: u32) {
        let mut waiting = core::mem::take(&mut self.waiting);
        waiting.clear();
        *self = Session { number, waiting, ..Session::empty() };
    }

    fn rest(&self) -> &[u8] {
        self.waiting.get(self.from..).unwrap_or(&[])
    }

    fn input_at(&self) -> Option<At> {
        match self.terminal {
            true => self.out[0].from.as_ref().map(Fd::at),
            false => self.input.as_ref().map(Fd::at),
        }
    }

    fn say(&self, said: ToHost, outgoing: &mut Outgoing) {
        if !self.mute {
            said.put(self.number, outgoing);
        }
    }

    /// Takes input, which is written when the child takes it.
    fn take(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        self.window.arrived(bytes.len())?;
        if bytes.is_empty() {
            self.input_ended = true;
        }
        if self.from == self.waiting.len() {
            self.waiting.clear();
            self.from = 0;
        } else if self.from > PART {
            self.waiting.drain(..self.from);
            self.from = 0;
        }
        self.waiting.extend_from_slice(bytes);
        Ok(())
    }

    /// Writes input, as much as the child takes.
    fn write(&mut self, time: u64, outgoing: &mut Outgoing) {
        let part = self.rest().len().min(PART);
        let wrote = match (self.input_at(), self.rest().get(..part)) {
            (Some(to), Some(bytes @ [_, ..])) => syscalls::write(to, bytes, Why("the session's input")),
            _ => Ok(0),
        };
        match wrote {
            Ok(len) => {
                if let Some(last) = self.rest().get(..len).and_then(<[u8]>::last) {
                    self.line_ended = *last == b'\n';
                }
                self.took(len, outgoing);
            }
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            // The child reads no more. What still comes is taken, so that the host's own writer goes on.
            Err(_) => self.drop_input(outgoing),
        }
        self.end_input(time);
    }

    fn took(&mut self, bytes: usize, outgoing: &mut Outgoing) {
        self.from += bytes;
        if let Some(credit) = self.window.took(bytes) {
            self.say(ToHost::Credit(credit), outgoing);
        }
    }

    fn drop_input(&mut self, outgoing: &mut Outgoing) {
        self.input = None;
        let left = self.rest().len();
        self.took(left, outgoing);
    }

    /// When all of the input is written, its end follows.
    fn end_input(&mut self, time: u64) {
        if !self.input_ended || !self.rest().is_empty() || matches!(self.end, End::Status(_)) {
            return;
        }
        if !self.terminal {
            self.input = None;
            return;
        }
        let due = self.again.is_none_or(|(when, _)| when <= time);
        if due && let Some(to) = self.input_at() {
            // In the middle of a line the first character only ends the line (termios(3), VEOF).
            let count = if self.line_ended || self.again.is_some() { 1 } else { 2 };
            let why = Why("the end of the input, as a person types it: a program may have discarded it before");
            let _ = syscalls::write(to, [pty::EOT; 2].get(..count).unwrap_or(&[]), why);
            let pause = self.again.map_or(AGAIN, |(_, pause)| (pause * 2).min(LONGEST));
            self.again = Some((time + pause, pause));
        }
    }

    /// Closes a stream, and says so.
    fn close(&mut self, stream: Stream, outgoing: &mut Outgoing) {
        let out = &mut self.out[place(stream)];
        out.from = None;
        let told = core::mem::replace(&mut out.closed, true) || self.terminal && stream == Stream::Err;
        if !told {
            self.say(ToHost::Output(stream, &[]), outgoing);
        }
    }

    /// Reads output, as much as the host has room for.
    fn read(&mut self, stream: Stream, part: &mut [u8], outgoing: &mut Outgoing) {
        let (gone, ended) = (self.gone, matches!(self.end, End::Status(_)) && self.child.is_some());
        let out = &mut self.out[place(stream)];
        let Some(from) = &out.from else { return };
        let room = if gone { READ } else { out.credit.left().min(READ) };
        let room = if ended { room.min(out.last) } else { room };
        let Some(part) = part.get_mut(..room) else { return };
        match syscalls::read(from.at(), part, Why("the session's output")) {
            Ok(0) => self.close(stream, outgoing),
            Ok(len) => {
                if ended {
                    out.last -= len;
                }
                if !gone {
                    out.credit.spend(len);
                    let bytes = part.get(..len).unwrap_or(&[]);
                    self.say(ToHost::Output(stream, bytes), outgoing);
                }
                if ended && self.out[place(stream)].last == 0 {
                    self.close(stream, outgoing);
                }
            }
            Err(failed) if failed.errno == Errno::EAGAIN => {}
            Err(failed) => {
                // At a terminal: no process has it open any more.
                if self.child.is_none() {
                    self.end = End::Status(failed.errno.0.into());
                }
                self.close(stream, outgoing);
            }
        }
    }

    /// The client is gone.
    fn hang_up(&mut self, time: u64, outgoing: &mut Outgoing) {
        if self.gone {
            return;
        }
        self.gone = true;
        self.drop_input(outgoing);
        match &self.child {
            None => STREAMS.into_iter().for_each(|stream| self.close(stream, outgoing)),
            Some(child) => {
                let _ = child.signal(libc::SIGHUP, Why("the one who asked for this session is gone"));
                self.kill = Some(time + PATIENCE);
            }
        }
    }

    /// Frees the slot when all is over.
    fn finish(&mut self, outgoing: &mut Outgoing) {
        let End::Status(status) = self.end else { return };
        if self.out.iter().all(|out| out.closed) {
            if self.files {
                files::remove(self.number);
            }
            self.say(ToHost::Exit(status), outgoing);
            self.begin(0);
        }
    }
}

impl Sessions {
    fn find(&mut self, number: u32) -> Option<&mut Session> {
        self.slots.iter_mut().find(|session| session.number == number && !session.mute)
    }

    /// A free slot for a session of this number.
    fn slot(&mut self, number: u32) -> Option<&mut Session> {
        let free = self.slots.iter().position(|session| session.number == 0);
        let free = free.unwrap_or_else(|| {
            self.slots.push(Session::empty());
            self.slots.len() - 1
        });
        let slot = self.slots.get_mut(free)?;
        slot.begin(number);
        Some(slot)
    }

    pub fn are_none(&self) -> bool {
        self.slots.iter().all(|session| session.number == 0)
    }

    /// PUT.
    pub fn put(&mut self, number: u32, name: &[u8], bytes: &[u8]) -> Result<(), Damage> {
        if self.find(number).is_none()
            && let Some(session) = self.slot(number)
        {
            session.gathers = true;
        }
        let session = self.find(number);
        let Some(session) = session.filter(|session| session.gathers) else {
            return Err(Damage::Session(number));
        };
        session.files = true;
        if let Err(errno) = files::put(number, name, bytes) {
            session.trouble.get_or_insert(errno);
        }
        Ok(())
    }

    /// BEGIN.
    pub fn begin(&mut self, number: u32, begin: Begin, outgoing: &mut Outgoing) -> Result<(), Damage> {
        let over = self.over;
        let session = match self.find(number) {
            None => self.slot(number),
            Some(session) if session.gathers => self.find(number),
            Some(_) => return Err(Damage::Session(number)),
        };
        let Some(session) = session else { return Ok(()) };
        session.gathers = false;
        let trouble = if over { Some(Errno::ECANCELED) } else { session.trouble };
        let begun = trouble.map_or(Ok(()), Err).and_then(|()| session.run(begin));
        if let Err(errno) = begun {
            let text = format!("nk-runtime: the machine cannot begin this command: {}\n", errno.text().to_lowercase());
            // A session with a terminal has one stream.
            session.terminal = begin.terminal.is_some();
            let stream = if session.terminal { Stream::Out } else { Stream::Err };
            session.out[place(stream)].credit.spend(text.len());
            session.say(ToHost::Output(stream, text.as_bytes()), outgoing);
            STREAMS.into_iter().for_each(|stream| session.close(stream, outgoing));
            session.end = End::Status(1);
        }
        Ok(())
    }

    /// FETCH.
    pub fn fetch(&mut self, number: u32, path: &[u8], outgoing: &mut Outgoing) -> Result<(), Damage> {
        if self.find(number).is_some() {
            return Err(Damage::Session(number));
        }
        let Some(session) = self.slot(number) else { return Ok(()) };
        session.out[1].closed = true;
        match files::fetch(path) {
            Ok(file) => {
                session.end = End::Status(0);
                session.out[0].from = Some(file);
            }
            Err(errno) => {
                session.end = End::Status(errno.0.into());
                session.close(Stream::Out, outgoing);
            }
        }
        Ok(())
    }

    /// INPUT.
    pub fn input(&mut self, number: u32, bytes: &[u8], time: u64, outgoing: &mut Outgoing) -> Result<(), Damage> {
        let Some(session) = self.find(number) else { return Ok(()) };
        if session.gathers {
            return Err(Damage::Session(number));
        }
        session.take(bytes)?;
        if session.input_at().is_none() || session.gone {
            session.drop_input(outgoing);
        }
        session.end_input(time);
        Ok(())
    }

    /// SIZE.
    pub fn size(&mut self, number: u32, size: [u16; 2]) {
        if let Some(session) = self.find(number).filter(|session| session.terminal)
            && let Some(master) = session.input_at()
        {
            pty::fit(master, size);
        }
    }

    /// SIGNAL. Returns why it could not be sent.
    pub fn signal(&mut self, number: u32, signal: i32) -> Option<String> {
        let child = self.find(number)?.child.as_ref()?;
        match child.signal(signal, Why("the host passes this signal on to the session")) {
            Err(failed) if failed.errno != Errno::ESRCH => {
                Some(format!("session {number}: cannot send signal {signal}: {}", failed.errno.text().to_lowercase()))
            }
            _ => None,
        }
    }

    /// CREDIT.
    pub fn credit(&mut self, number: u32, stream: Stream, bytes: u32) -> Result<(), Damage> {
        match self.find(number) {
            Some(session) => session.out[place(stream)].credit.answered(bytes),
            None => Ok(()),
        }
    }

    /// CLOSE.
    pub fn close(&mut self, number: u32, stream: Stream, outgoing: &mut Outgoing) {
        if let Some(session) = self.find(number).filter(|session| !session.terminal) {
            session.close(stream, outgoing);
        }
    }

    /// HANGUP.
    pub fn hang_up(&mut self, number: u32, time: u64, outgoing: &mut Outgoing) {
        let Some(session) = self.find(number) else { return };
        if session.gathers {
            files::remove(number);
            session.begin(0);
        } else {
            session.hang_up(time, outgoing);
        }
    }

    /// The machine ends; or the channel is closed (`mute`), and the next host has sessions of its own.
    pub fn hang_up_all(&mut self, mute: bool, time: u64, outgoing: &mut Outgoing) {
        self.over |= !mute;
        for session in self.slots.iter_mut().filter(|session| session.number != 0) {
            session.mute |= mute;
            if session.gathers {
                files::remove(session.number);
                session.begin(0);
            } else {
                session.hang_up(time, outgoing);
            }
        }
    }

    /// A child has ended: waits for it if it is a session's. False: it is none's.
    pub fn ended(&mut self, pid: i32) -> bool {
        // The number of one that has ended may be another's by now.
        let of = |session: &&mut Session| {
            matches!(session.end, End::Open) && session.child.as_ref().is_some_and(|child| child.pid == pid)
        };
        let Some(session) = self.slots.iter_mut().find(of) else {
            return false;
        };
        let Some(child) = &session.child else { return false };
        let why = Why("the status that the session's command ended with");
        if let Ok(Some(ended)) = syscalls::waitid_pidfd(child.process.at(), WaitFlags::WNOHANG, why) {
            session.end = End::Status(ended.status());
            (session.kill, session.again) = (None, None);
        }
        true
    }

    /// What can go on, with the events to wait for: `full`: no more output can be taken.
    pub fn gates(&self, full: bool, mut add: impl FnMut(usize, Gate, At, i16)) {
        for (slot, session) in self.slots.iter().enumerate().filter(|(_, session)| session.number != 0) {
            if let Some(to) = session.input_at().filter(|_| !session.rest().is_empty()) {
                add(slot, Gate::In, to, libc::POLLOUT);
            }
            for stream in STREAMS {
                let out = &session.out[place(stream)];
                let ready = session.gone || (!full && out.credit.left() > 0);
                if let Some(from) = out.from.as_ref().filter(|_| ready) {
                    add(slot, Gate::Out(stream), from.at(), libc::POLLIN);
                }
            }
        }
    }

    /// Whether one has output that is perhaps not read yet, and its child has ended: nothing may be waited for.
    pub fn hurry(&self, full: bool) -> bool {
        let ended = |session: &Session| session.child.is_some() && matches!(session.end, End::Status(_));
        let open =
            |session: &Session, out: &Out| out.from.is_some() && (session.gone || !full && out.credit.left() > 0);
        self.slots.iter().any(|session| ended(session) && session.out.iter().any(|out| open(session, out)))
    }

    /// Carries bytes at a gate. `events`: what ppoll(2) has told of it.
    pub fn carry(&mut self, slot: usize, gate: Gate, events: i16, time: u64, outgoing: &mut Outgoing) {
        if self.part.is_empty() {
            self.part = vec![0; READ];
        }
        let Some(session) = self.slots.get_mut(slot) else { return };
        match gate {
            Gate::In if events != 0 => session.write(time, outgoing),
            Gate::In => {}
            Gate::Out(stream) if events != 0 => session.read(stream, &mut self.part, outgoing),
            // The child has ended, and nothing is left in its pipe. Others may hold it open.
            Gate::Out(stream) if matches!(session.end, End::Status(_)) => session.close(stream, outgoing),
            Gate::Out(_) => {}
        }
    }

    /// What is due, and what is over. Returns the milliseconds until something is due.
    pub fn go_on(&mut self, time: u64, outgoing: &mut Outgoing) -> Option<u64> {
        let mut next: Option<u64> = None;
        for session in self.slots.iter_mut().filter(|session| session.number != 0) {
            if session.kill.is_some_and(|when| when <= time) {
                session.kill = None;
                if let Some(child) = &session.child {
                    let _ = child.signal(libc::SIGKILL, Why("it did not end after SIGHUP"));
                }
            }
            if session.again.is_some_and(|(when, _)| when <= time) {
                session.end_input(time);
            }
            for when in [session.kill, session.again.map(|(when, _)| when)].into_iter().flatten() {
                let left = when.saturating_sub(time).max(1);
                next = Some(next.map_or(left, |next| next.min(left)));
            }
            session.finish(outgoing);
        }
        next
    }
}

impl Session {
    /// Starts the child.
    fn run(&mut self, begin: Begin) -> Result<(), Errno> {
        let words = child::words(begin.words.iter()).ok_or(Errno::EINVAL)?;
        let directory = files::place(self.number);
        let place = self.files.then_some(directory.as_c_str());
        let program = child::itself();
        let start = |streams: [At; 3], terminal| {
            Child::start(&Start { program, words: &words, streams, terminal, root: None, place })
        };
        let failed = |failed: syscalls::Failed| failed.errno;
        if let Some(size) = begin.terminal {
            let (master, slave) = pty::open(size).map_err(failed)?;
            self.child = Some(start([slave.at(); 3], true).map_err(failed)?);
            (self.terminal, self.out[1].closed) = (true, true);
            self.out[0].from = Some(master);
            return Ok(());
        }
        let why = Why("the session's input, output and error go through the channel");
        let (input, to_input) = syscalls::pipe2(why).map_err(failed)?;
        let (from_output, output) = syscalls::pipe2(why).map_err(failed)?;
        let (from_error, error) = syscalls::pipe2(why).map_err(failed)?;
        self.child = Some(start([input.at(), output.at(), error.at()], false).map_err(failed)?);
        self.input = Some(to_input);
        self.out = [Out::new(Some(from_output)), Out::new(Some(from_error))];
        Ok(())
    }
}
