//! A host that speaks frames with a machine (src/frames/CHANNEL.md), written from the page and not from the program's source.

use crate::bundle::{PATIENCE, patiently};
use crate::{Failed, Outcome, ensure};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

pub const BEGIN: u32 = 2;
pub const INPUT: u32 = 3;
pub const SIZE: u32 = 4;
pub const SIGNAL: u32 = 5;
pub const CREDIT: u32 = 6;
pub const END: u32 = 7;
pub const HANGUP: u32 = 8;
pub const PUT: u32 = 9;
pub const FETCH: u32 = 10;
pub const CLOSE: u32 = 11;
const HELLO: u32 = 1;
const ANSWER: u32 = 101;
const OUTPUT: u32 = 102;
const ERROR: u32 = 103;
const EXIT: u32 = 104;
const TAKEN: u32 = 105;
const NOTE: u32 = 106;

/// The bytes of a frame.
pub fn frame(session: u32, kind: u32, payload: &[u8]) -> Vec<u8> {
    let head = [session, kind, payload.len() as u32].map(u32::to_le_bytes).concat();
    [&head, payload].concat()
}

/// The payload of BEGIN.
pub fn begin(terminal: Option<(u16, u16)>, words: &[&str]) -> Vec<u8> {
    let (rows, columns) = terminal.unwrap_or((0, 0));
    let mut all = u32::from(terminal.is_some()).to_le_bytes().to_vec();
    all.extend([rows.to_le_bytes(), columns.to_le_bytes()].concat());
    words.iter().for_each(|word| all.extend([word.as_bytes(), b"\0"].concat()));
    all
}

/// The payload of HELLO.
pub fn hello(clock: u64) -> Vec<u8> {
    [&1u32.to_le_bytes()[..], &clock.to_le_bytes()].concat()
}

/// What has come of a session.
#[derive(Default, Debug)]
pub struct Heard {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub closed: [bool; 2],
    pub taken: u32,
    pub exit: Option<i32>,
}

impl Heard {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
}

pub struct Host {
    stream: UnixStream,
    bytes: Vec<u8>,
    pub heard: BTreeMap<u32, Heard>,
    pub notes: Vec<String>,
    pub answers: Vec<(u64, u64)>,
    /// Whether output is answered by CREDIT at once.
    pub generous: bool,
    pub ended: bool,
}

impl Host {
    /// Connects to QEMU's socket, and says HELLO.
    pub fn connect(socket: &Path) -> Result<Host, Failed> {
        let mut stream = None;
        patiently("QEMU's socket", || {
            stream = UnixStream::connect(socket).ok();
            Ok(stream.is_some())
        })?;
        let stream = stream.ok_or("no socket")?;
        stream.set_read_timeout(Some(Duration::from_millis(20)))?;
        let mut host = Host {
            stream,
            bytes: Vec::new(),
            heard: BTreeMap::new(),
            notes: Vec::new(),
            answers: Vec::new(),
            generous: true,
            ended: false,
        };
        host.say(0, HELLO, &hello(77))?;
        host.until("the answer to HELLO", |host| host.answers.len() == 1)?;
        ensure!(host.answers[0].0 == 77 && host.answers[0].1 > 0, "{:?}", host.answers);
        Ok(host)
    }

    pub fn say(&mut self, session: u32, kind: u32, payload: &[u8]) -> Outcome {
        self.raw(&frame(session, kind, payload))
    }

    pub fn raw(&mut self, bytes: &[u8]) -> Outcome {
        Ok(self.stream.write_all(bytes)?)
    }

    pub fn begin(&mut self, session: u32, terminal: Option<(u16, u16)>, words: &[&str]) -> Outcome {
        self.say(session, BEGIN, &begin(terminal, words))
    }

    pub fn of(&mut self, session: u32) -> &mut Heard {
        self.heard.entry(session).or_default()
    }

    /// Runs a command line to its end.
    pub fn run(&mut self, session: u32, words: &[&str]) -> Result<Heard, Failed> {
        self.begin(session, None, words)?;
        self.say(session, INPUT, b"")?;
        self.end_of(session)
    }

    /// Waits for EXIT.
    pub fn end_of(&mut self, session: u32) -> Result<Heard, Failed> {
        self.until(&format!("the end of session {session}"), |host| host.of(session).exit.is_some())?;
        self.heard.remove(&session).ok_or_else(|| "nothing".into())
    }

    /// Listens until the answer is yes.
    pub fn until(&mut self, what: &str, mut yes: impl FnMut(&mut Host) -> bool) -> Outcome {
        let end = Instant::now() + PATIENCE;
        while !yes(self) {
            ensure!(!self.ended, "the machine ended before {what}: {:?} {:?}", self.notes, self.heard);
            ensure!(Instant::now() < end, "waited in vain for {what}: {:?} {:?}", self.notes, self.heard);
            self.listen()?;
        }
        Ok(())
    }

    /// Listens for so long.
    pub fn listen_for(&mut self, time: Duration) -> Outcome {
        let end = Instant::now() + time;
        while Instant::now() < end && !self.ended {
            self.listen()?;
        }
        Ok(())
    }

    fn listen(&mut self) -> Outcome {
        let mut part = [0; 65536];
        match self.stream.read(&mut part) {
            Ok(0) => self.ended = true,
            Ok(len) => self.bytes.extend_from_slice(&part[..len]),
            Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN)) => {}
            Err(_) => self.ended = true,
        }
        while let Some((session, kind, payload)) = self.next() {
            self.take(session, kind, &payload)?;
        }
        Ok(())
    }

    fn next(&mut self) -> Option<(u32, u32, Vec<u8>)> {
        let number = |at: usize| Some(u32::from_le_bytes(self.bytes.get(at..at + 4)?.try_into().ok()?));
        let (session, kind, length) = (number(0)?, number(4)?, number(8)? as usize);
        let payload = self.bytes.get(12..12 + length)?.to_vec();
        self.bytes.drain(..12 + length);
        Some((session, kind, payload))
    }

    fn take(&mut self, session: u32, kind: u32, payload: &[u8]) -> Outcome {
        ensure!(payload.len() <= 65536, "a frame of {} bytes", payload.len());
        let long =
            |at: usize| payload.get(at..at + 8).map_or(0, |b| u64::from_le_bytes(b.try_into().unwrap_or_default()));
        let short = || payload.get(..4).map_or(0, |b| u32::from_le_bytes(b.try_into().unwrap_or_default()));
        let generous = self.generous;
        let heard = self.heard.entry(session).or_default();
        ensure!(heard.exit.is_none(), "session {session} has ended, and says {kind}: {heard:?}");
        match kind {
            ANSWER => self.answers.push((long(12), long(4))),
            OUTPUT | ERROR => {
                let place = (kind - OUTPUT) as usize;
                ensure!(!heard.closed[place], "output after its end: {heard:?}");
                heard.closed[place] = payload.is_empty();
                let to = if kind == OUTPUT { &mut heard.out } else { &mut heard.err };
                to.extend_from_slice(payload);
                if generous && !payload.is_empty() {
                    self.credit(session, kind - 101, payload.len() as u32)?;
                }
            }
            EXIT => heard.exit = Some(short() as i32),
            TAKEN => heard.taken += short(),
            NOTE => self.notes.push(String::from_utf8_lossy(payload).into_owned()),
            _ => return Err(format!("a frame of kind {kind}").into()),
        }
        Ok(())
    }

    pub fn credit(&mut self, session: u32, stream: u32, bytes: u32) -> Outcome {
        self.say(session, CREDIT, &[stream.to_le_bytes(), bytes.to_le_bytes()].concat())
    }
}
