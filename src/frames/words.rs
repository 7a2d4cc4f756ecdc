//! What frames say. Each side writes its own kinds and reads the other's; a payload that does not fit its kind is damage. May
//! touch: nothing.

use super::wire::{Damage, Frame, LONGEST, Outgoing, number};

pub const VERSION: u32 = 1;
/// The session of the machine itself.
pub const MACHINE: u32 = 0;

/// The two streams of output.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stream {
    Out = 1,
    Err = 2,
}

/// The first words of both sides. A host may say it again at any time: the answer tells how the clocks stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hello {
    pub version: u32,
    /// CLOCK_MONOTONIC of the side that speaks, in nanoseconds.
    pub clock: u64,
}

/// What a session begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begin<'a> {
    /// The rows and columns, if there is a terminal.
    pub terminal: Option<[u16; 2]>,
    pub words: Words<'a>,
}

/// Words of a command line, each ended by NUL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words<'a>(&'a [u8]);

impl<'a> Words<'a> {
    pub fn iter(self) -> impl Iterator<Item = &'a [u8]> {
        self.0.strip_suffix(b"\0").into_iter().flat_map(|words| words.split(|byte| *byte == 0))
    }
}

/// What the host says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ToGuest<'a> {
    Hello(Hello),
    Begin(Begin<'a>),
    /// Empty: the input has ended.
    Input(&'a [u8]),
    /// Rows and columns.
    Size([u16; 2]),
    Signal(i32),
    Credit(Stream, u32),
    /// The machine ends when all sessions have been hung up.
    End(u32),
    Hangup,
    Put {
        name: &'a [u8],
        bytes: &'a [u8],
    },
    /// A path.
    Fetch(&'a [u8]),
    /// No one reads this stream any more.
    Close(Stream),
}

/// What the machine says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ToHost<'a> {
    /// With the clock of the HELLO that it answers.
    Hello(Hello, u64),
    /// Empty: the stream is closed.
    Output(Stream, &'a [u8]),
    /// The exit status, or 128 and the number of the signal.
    Exit(i32),
    Credit(u32),
    Note(&'a [u8]),
}

const HELLO: u32 = 1;
const BEGIN: u32 = 2;
const INPUT: u32 = 3;
const SIZE: u32 = 4;
const SIGNAL: u32 = 5;
const CREDIT: u32 = 6;
const END: u32 = 7;
const HANGUP: u32 = 8;
const PUT: u32 = 9;
const FETCH: u32 = 10;
const CLOSE: u32 = 11;
const GUEST_HELLO: u32 = 101;
const OUTPUT: u32 = 102;
const ERROR: u32 = 103;
const EXIT: u32 = 104;
const GUEST_CREDIT: u32 = 105;
const NOTE: u32 = 106;
/// The flag of BEGIN: a terminal.
const TERMINAL: u32 = 1;

fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_le_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

fn short(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

fn hello(payload: &[u8]) -> Option<Hello> {
    Some(Hello { version: number(payload, 0)?, clock: long(payload, 4)? })
}

/// The bytes up to the first NUL, and those after it.
fn name(payload: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = payload.iter().position(|byte| *byte == 0)?;
    Some((payload.get(..end)?, payload.get(end + 1..)?)).filter(|(name, _)| !name.is_empty())
}

/// Kinds of the machine's own session. The others are of a session.
fn fits(kind: u32, session: u32) -> bool {
    match kind {
        HELLO | END | GUEST_HELLO | NOTE => session == MACHINE,
        _ => session != MACHINE,
    }
}

/// The payload's length, if its kind always has the same.
fn length(kind: u32) -> Option<usize> {
    match kind {
        HELLO => Some(12),
        SIZE | SIGNAL | END | CLOSE | EXIT | GUEST_CREDIT => Some(4),
        CREDIT => Some(8),
        HANGUP => Some(0),
        GUEST_HELLO => Some(20),
        _ => None,
    }
}

fn checked<T>(frame: &Frame, read: impl FnOnce() -> Option<T>) -> Result<T, Damage> {
    let wrong = length(frame.kind).is_some_and(|length| length != frame.payload.len());
    match read().filter(|_| !wrong) {
        None => Err(Damage::Payload(frame.kind)),
        Some(_) if !fits(frame.kind, frame.session) => Err(Damage::Session(frame.session)),
        Some(said) => Ok(said),
    }
}

impl<'a> ToGuest<'a> {
    /// Reads what the host says.
    pub fn read(frame: Frame<'a>) -> Result<ToGuest<'a>, Damage> {
        let p = frame.payload;
        if !(HELLO..=CLOSE).contains(&frame.kind) {
            return Err(Damage::Kind(frame.kind));
        }
        checked(&frame, || match frame.kind {
            HELLO => hello(p).map(ToGuest::Hello),
            BEGIN => begin(p).map(ToGuest::Begin),
            INPUT => Some(ToGuest::Input(p)),
            SIZE => Some(ToGuest::Size([short(p, 0)?, short(p, 2)?])),
            SIGNAL => Some(ToGuest::Signal(number(p, 0)? as i32)),
            CREDIT => Some(ToGuest::Credit(stream(p)?, number(p, 4)?)),
            CLOSE => stream(p).map(ToGuest::Close),
            END => number(p, 0).map(ToGuest::End),
            HANGUP => Some(ToGuest::Hangup),
            PUT => name(p).map(|(name, bytes)| ToGuest::Put { name, bytes }),
            _ => name(p).filter(|(_, rest)| rest.is_empty()).map(|(path, _)| ToGuest::Fetch(path)),
        })
    }

    /// Appends it to what is to be written. The caller has kept payloads within the limit.
    pub fn put(self, session: u32, out: &mut Outgoing) {
        match self {
            ToGuest::Hello(Hello { version, clock }) => {
                out.put(session, HELLO, &[&version.to_le_bytes(), &clock.to_le_bytes()]);
            }
            ToGuest::Begin(Begin { terminal, words }) => {
                let flags = if terminal.is_some() { TERMINAL } else { 0 };
                let [rows, columns] = terminal.unwrap_or([0; 2]).map(u16::to_le_bytes);
                out.put(session, BEGIN, &[&flags.to_le_bytes(), &rows, &columns, words.0]);
            }
            ToGuest::Input(bytes) => out.put(session, INPUT, &[bytes]),
            ToGuest::Size([rows, columns]) => {
                out.put(session, SIZE, &[&rows.to_le_bytes(), &columns.to_le_bytes()]);
            }
            ToGuest::Signal(signal) => out.put(session, SIGNAL, &[&signal.to_le_bytes()]),
            ToGuest::Credit(stream, bytes) => {
                out.put(session, CREDIT, &[&stream.number(), &bytes.to_le_bytes()]);
            }
            ToGuest::End(how) => out.put(session, END, &[&how.to_le_bytes()]),
            ToGuest::Hangup => out.put(session, HANGUP, &[]),
            ToGuest::Put { name, bytes } => out.put(session, PUT, &[name, b"\0", bytes]),
            ToGuest::Fetch(path) => out.put(session, FETCH, &[path, b"\0"]),
            ToGuest::Close(stream) => out.put(session, CLOSE, &[&stream.number()]),
        }
    }
}

fn stream(payload: &[u8]) -> Option<Stream> {
    match number(payload, 0)? {
        1 => Some(Stream::Out),
        2 => Some(Stream::Err),
        _ => None,
    }
}

impl Stream {
    fn number(self) -> [u8; 4] {
        (self as u32).to_le_bytes()
    }
}

fn begin(payload: &[u8]) -> Option<Begin<'_>> {
    let size = [short(payload, 4)?, short(payload, 6)?];
    let words = payload.get(8..)?;
    let terminal = match number(payload, 0)? {
        0 => None,
        TERMINAL => Some(size),
        _ => return None,
    };
    words.ends_with(b"\0").then_some(Begin { terminal, words: Words(words) })
}

impl<'a> Begin<'a> {
    /// Of words that were put one after the other, each ended by NUL. None: there are none, or they are too long for a frame.
    pub fn new(terminal: Option<[u16; 2]>, words: &'a [u8]) -> Option<Begin<'a>> {
        let fits = words.ends_with(b"\0") && words.len() + 8 <= LONGEST;
        fits.then_some(Begin { terminal, words: Words(words) })
    }
}

impl<'a> ToHost<'a> {
    /// Reads what the machine says.
    pub fn read(frame: Frame<'a>) -> Result<ToHost<'a>, Damage> {
        let p = frame.payload;
        if !(GUEST_HELLO..=NOTE).contains(&frame.kind) {
            return Err(Damage::Kind(frame.kind));
        }
        checked(&frame, || match frame.kind {
            GUEST_HELLO => Some(ToHost::Hello(hello(p)?, long(p, 12)?)),
            OUTPUT => Some(ToHost::Output(Stream::Out, p)),
            ERROR => Some(ToHost::Output(Stream::Err, p)),
            EXIT => number(p, 0).map(|code| ToHost::Exit(code as i32)),
            GUEST_CREDIT => number(p, 0).map(ToHost::Credit),
            _ => Some(ToHost::Note(p)),
        })
    }

    /// Appends it to what is to be written. The caller has kept payloads within the limit.
    pub fn put(self, session: u32, out: &mut Outgoing) {
        match self {
            ToHost::Hello(Hello { version, clock }, host) => {
                let parts: [&[u8]; 3] = [&version.to_le_bytes(), &clock.to_le_bytes(), &host.to_le_bytes()];
                out.put(session, GUEST_HELLO, &parts);
            }
            ToHost::Output(Stream::Out, bytes) => out.put(session, OUTPUT, &[bytes]),
            ToHost::Output(Stream::Err, bytes) => out.put(session, ERROR, &[bytes]),
            ToHost::Exit(code) => out.put(session, EXIT, &[&code.to_le_bytes()]),
            ToHost::Credit(bytes) => out.put(session, GUEST_CREDIT, &[&bytes.to_le_bytes()]),
            ToHost::Note(text) => out.put(session, NOTE, &[text]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::Incoming;
    use super::*;

    fn read(out: &Outgoing, check: impl FnOnce(Frame)) {
        let mut incoming = Incoming::new();
        incoming.room()[..out.rest().len()].copy_from_slice(out.rest());
        incoming.filled(out.rest().len());
        check(incoming.next().expect("a frame").expect("a whole one"));
    }

    #[test]
    fn what_is_said_is_what_is_heard() {
        let hello = Hello { version: 1, clock: u64::MAX - 5 };
        let words = Begin::new(Some([24, 80]), b"run\0--\0\0x\0").expect("words");
        assert_eq!(words.words.iter().collect::<Vec<_>>(), [&b"run"[..], b"--", b"", b"x"]);
        let to_guest = [
            (0, ToGuest::Hello(hello)),
            (1, ToGuest::Begin(words)),
            (1, ToGuest::Begin(Begin::new(None, b"ps\0").expect("words"))),
            (1, ToGuest::Input(b"")),
            (9, ToGuest::Input(b"\0x")),
            (2, ToGuest::Size([1, 65535])),
            (2, ToGuest::Signal(-1)),
            (2, ToGuest::Credit(Stream::Out, 7)),
            (2, ToGuest::Credit(Stream::Err, u32::MAX)),
            (0, ToGuest::End(0)),
            (u32::MAX, ToGuest::Hangup),
            (3, ToGuest::Put { name: b"process.json", bytes: b"" }),
            (3, ToGuest::Put { name: b"a", bytes: b"{\0}" }),
            (3, ToGuest::Fetch(b"/run/x")),
            (3, ToGuest::Close(Stream::Err)),
        ];
        for (session, said) in to_guest {
            let mut out = Outgoing::new();
            said.put(session, &mut out);
            read(&out, |frame| {
                assert_eq!((frame.session, ToGuest::read(frame)), (session, Ok(said)));
                assert_eq!(ToHost::read(frame), Err(Damage::Kind(frame.kind)));
            });
        }
        let to_host = [
            (0, ToHost::Hello(hello, 3)),
            (1, ToHost::Output(Stream::Out, b"")),
            (1, ToHost::Output(Stream::Err, b"abc")),
            (2, ToHost::Exit(-7)),
            (2, ToHost::Credit(1)),
            (0, ToHost::Note(b"words")),
        ];
        for (session, said) in to_host {
            let mut out = Outgoing::new();
            said.put(session, &mut out);
            read(&out, |frame| {
                assert_eq!((frame.session, ToHost::read(frame)), (session, Ok(said)));
                assert_eq!(ToGuest::read(frame), Err(Damage::Kind(frame.kind)));
            });
        }
    }

    #[test]
    fn payloads_that_do_not_fit_are_damage() {
        let frame = |session, kind, payload| Frame { session, kind, payload };
        for (kind, payload) in [
            (HELLO, &b"short"[..]),
            (BEGIN, b"\0\0\0\0\0\0\0\0"),
            (BEGIN, b"\0\0\0\0\0\0\0\0word"),
            (BEGIN, b"\x02\0\0\0\0\0\0\0word\0"),
            (BEGIN, b"\0\0\0"),
            (SIZE, b"\0\0\0"),
            (SIGNAL, b"\0\0\0\0\0"),
            (CREDIT, b"\x03\0\0\0\0\0\0\0"),
            (CREDIT, b"\0"),
            (HANGUP, b"x"),
            (CLOSE, b"\0\0\0\0"),
            (PUT, b"no end"),
            (PUT, b"\0bytes"),
            (FETCH, b"/a\0b"),
            (FETCH, b"/a"),
        ] {
            assert_eq!(ToGuest::read(frame(1, kind, payload)), Err(Damage::Payload(kind)), "{kind} {payload:?}");
        }
        for (kind, payload) in [(GUEST_HELLO, &b"x"[..]), (EXIT, b""), (EXIT, b"12345"), (GUEST_CREDIT, b"1")] {
            assert_eq!(ToHost::read(frame(1, kind, payload)), Err(Damage::Payload(kind)), "{kind} {payload:?}");
        }
        assert_eq!(ToGuest::read(frame(1, END, b"\0\0\0\0")), Err(Damage::Session(1)));
        assert_eq!(ToGuest::read(frame(0, INPUT, b"x")), Err(Damage::Session(0)));
        assert_eq!(ToHost::read(frame(0, OUTPUT, b"x")), Err(Damage::Session(0)));
        assert_eq!(ToHost::read(frame(1, NOTE, b"x")), Err(Damage::Session(1)));
        assert_eq!(ToHost::read(frame(1, 0, b"")), Err(Damage::Kind(0)));
        assert_eq!(ToGuest::read(frame(1, u32::MAX, b"")), Err(Damage::Kind(u32::MAX)));
    }

    #[test]
    fn any_bytes_are_read_without_a_fault() {
        let mut seed = 17u32;
        let mut bytes = [0u8; 4000];
        for byte in &mut bytes {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Small numbers come often, so that lengths and kinds are hit.
            *byte = if seed >> 30 == 0 { (seed >> 8) as u8 } else { (seed >> 8) as u8 & 1 };
        }
        for start in 0..bytes.len() - 200 {
            let mut incoming = Incoming::new();
            incoming.room()[..200].copy_from_slice(&bytes[start..start + 200]);
            incoming.filled(200);
            while let Ok(Some(frame)) = incoming.next() {
                let _ = (ToGuest::read(frame), ToHost::read(frame));
            }
        }
    }
}
