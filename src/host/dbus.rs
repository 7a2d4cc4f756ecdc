//! D-Bus: the few messages that systemd needs (D-Bus specification, "Message Protocol", "Marshaling", "Authentication
//! Protocol"). Numbers are little-endian. Each value begins at a multiple of its own size, counted from the message's
//! beginning. May touch: system calls.

use super::patience;
use crate::outcome;
use alloc::ffi::CString;
use syscalls::{Errno, Fd, Why};

/// A property's value, by its type on the bus: `s`, `b`, `i`, `u`, `x`, `t`, `ay`, `au`, `as`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Value {
    Text(String),
    Flag(bool),
    Int(i32),
    Uint(u32),
    Long(i64),
    Ulong(u64),
    Bytes(Vec<u8>),
    Uints(Vec<u32>),
    Texts(Vec<String>),
}

/// A message's body while it is written. The length of the head before it is a multiple of 8.
#[derive(Default)]
pub struct Body(Vec<u8>);

impl Body {
    fn align(&mut self, to: usize) {
        while !self.0.len().is_multiple_of(to) {
            self.0.push(0);
        }
    }

    fn byte(&mut self, byte: u8) -> &mut Body {
        self.0.push(byte);
        self
    }

    pub fn flag(&mut self, flag: bool) -> &mut Body {
        self.uint(flag.into())
    }

    pub fn uint(&mut self, number: u32) -> &mut Body {
        self.align(4);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    fn long(&mut self, number: u64) -> &mut Body {
        self.align(8);
        self.0.extend_from_slice(&number.to_le_bytes());
        self
    }

    /// Types `s` and `o`: length, text, a NUL byte that is not counted.
    pub fn text(&mut self, text: &str) -> &mut Body {
        self.uint(text.len() as u32);
        self.0.extend_from_slice(text.as_bytes());
        self.byte(0)
    }

    /// Type `g`, with a length of one byte.
    fn signature(&mut self, text: &str) -> &mut Body {
        self.byte(text.len() as u8);
        self.0.extend_from_slice(text.as_bytes());
        self.byte(0)
    }

    /// Type `a`: its length counts the bytes of the elements, without the padding before the first.
    pub fn array(&mut self, align: usize, elements: impl FnOnce(&mut Body)) -> &mut Body {
        self.uint(0);
        let at = self.0.len() - 4;
        self.align(align);
        let begin = self.0.len();
        elements(self);
        let len = (self.0.len() - begin) as u32;
        if let Some(place) = self.0.get_mut(at..at + 4) {
            place.copy_from_slice(&len.to_le_bytes());
        }
        self
    }

    /// Structures begin at a multiple of 8.
    fn structure(&mut self) -> &mut Body {
        self.align(8);
        self
    }

    /// Type `v`: the type, then the value.
    fn variant(&mut self, value: &Value) {
        match value {
            Value::Text(text) => self.signature("s").text(text),
            Value::Flag(flag) => self.signature("b").flag(*flag),
            Value::Int(number) => self.signature("i").uint(*number as u32),
            Value::Uint(number) => self.signature("u").uint(*number),
            Value::Long(number) => self.signature("x").long(*number as u64),
            Value::Ulong(number) => self.signature("t").long(*number),
            Value::Bytes(bytes) => self.signature("ay").array(1, |b| b.0.extend_from_slice(bytes)),
            Value::Uints(all) => self.signature("au").array(4, |b| {
                all.iter().fold(b, |b, number| b.uint(*number));
            }),
            Value::Texts(all) => self.signature("as").array(4, |b| {
                all.iter().fold(b, |b, text| b.text(text));
            }),
        };
    }

    /// Type `a(sv)`: properties of a unit.
    pub fn properties(&mut self, all: &[(String, Value)]) -> &mut Body {
        self.array(8, |b| {
            for (name, value) in all {
                b.structure().text(name).variant(value);
            }
        })
    }
}

/// The method that a call is for, and the signature of its arguments.
pub struct Method {
    pub service: &'static str,
    pub object: &'static str,
    pub interface: &'static str,
    pub name: &'static str,
    pub signature: &'static str,
}

/// Types of messages, and codes of header fields ("Message Types", "Header Fields").
const METHOD_CALL: u8 = 1;
const METHOD_RETURN: u8 = 2;
const ERROR: u8 = 3;
const SIGNAL: u8 = 4;
const PATH: u8 = 1;
const INTERFACE: u8 = 2;
const MEMBER: u8 = 3;
const ERROR_NAME: u8 = 4;
const REPLY_SERIAL: u8 = 5;
const DESTINATION: u8 = 6;
const SIGNATURE: u8 = 8;

/// A whole message: byte order, type, flags, version of the protocol, length of the body, serial, fields, body.
pub fn call(method: &Method, serial: u32, body: &Body) -> Vec<u8> {
    let mut head = Body::default();
    head.byte(b'l').byte(METHOD_CALL).byte(0).byte(1);
    head.uint(body.0.len() as u32).uint(serial);
    head.array(8, |b| {
        let mut field = |code: u8, kind: &str, text: &str| {
            b.structure().byte(code).signature(kind);
            match kind {
                "g" => b.signature(text),
                _ => b.text(text),
            };
        };
        field(PATH, "o", method.object);
        field(INTERFACE, "s", method.interface);
        field(MEMBER, "s", method.name);
        field(DESTINATION, "s", method.service);
        if !method.signature.is_empty() {
            field(SIGNATURE, "g", method.signature);
        }
    });
    head.align(8);
    head.0.extend_from_slice(&body.0);
    head.0
}

/// A message that came in.
#[derive(PartialEq, Eq, Debug)]
pub enum Message {
    /// The serial number of the call that it answers; and the text or object path that it begins with.
    Return(u32, String),
    /// The serial number of the call that it answers; the error's name and text.
    Error(u32, String, String),
    /// Its name; the texts that it begins with.
    Signal(String, Vec<String>),
    Other,
}

/// Reads values out of a message. A missing value is 0 or empty.
struct Reader<'a> {
    all: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn align(&mut self, to: usize) {
        self.at = self.at.next_multiple_of(to);
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let end = self.at.saturating_add(len);
        let part = self.all.get(self.at..end).unwrap_or_default();
        self.at = end.min(self.all.len());
        part
    }

    fn byte(&mut self) -> u8 {
        self.bytes(1).first().copied().unwrap_or(0)
    }

    fn uint(&mut self) -> u32 {
        self.align(4);
        self.bytes(4).try_into().map_or(0, u32::from_le_bytes)
    }

    fn text(&mut self) -> String {
        let len = self.uint() as usize;
        let text = String::from_utf8_lossy(self.bytes(len)).into_owned();
        self.byte();
        text
    }

    fn signature(&mut self) -> String {
        let len = self.byte().into();
        let text = String::from_utf8_lossy(self.bytes(len)).into_owned();
        self.byte();
        text
    }
}

/// The length of a message with these first 16 bytes. `None`: it is no message that this program understands, or too long.
fn length(head: &[u8; 16]) -> Option<usize> {
    let mut reader = Reader { all: head, at: 4 };
    let (body, _, fields) = (reader.uint(), reader.uint(), reader.uint());
    let len = 16 + (fields as usize).next_multiple_of(8) + body as usize;
    (head[0] == b'l' && len < LONGEST).then_some(len)
}

const LONGEST: usize = 1 << 20;

fn understand(message: &[u8]) -> Message {
    let mut head = Reader { all: message, at: 12 };
    let fields = 16 + head.uint() as usize;
    let (mut member, mut name, mut signature, mut answers) = Default::default();
    while head.at < fields.min(message.len()) {
        head.align(8);
        let code = head.byte();
        match (code, head.signature().as_str()) {
            (REPLY_SERIAL, "u") => answers = head.uint(),
            (MEMBER, "s") => member = head.text(),
            (ERROR_NAME, "s") => name = head.text(),
            (SIGNATURE, "g") => signature = head.signature(),
            (_, "g") => drop(head.signature()),
            (_, "s" | "o") => drop(head.text()),
            (_, "u") => drop(head.uint()),
            _ => return Message::Other,
        }
    }
    let mut body = Reader { all: message, at: fields.next_multiple_of(8) };
    let mut texts = Vec::new();
    for kind in signature.bytes() {
        match kind {
            b's' | b'o' => texts.push(body.text()),
            b'u' => drop(body.uint()),
            // A variant that holds a text.
            b'v' if body.signature() == "s" => texts.push(body.text()),
            _ => break,
        }
    }
    let first = texts.first().cloned().unwrap_or_default();
    match message.get(1) {
        Some(&METHOD_RETURN) => Message::Return(answers, first),
        Some(&ERROR) => Message::Error(answers, name, first),
        Some(&SIGNAL) => Message::Signal(member, texts),
        _ => Message::Other,
    }
}

/// A connection.
pub struct Bus {
    socket: Fd,
    serial: u32,
    /// Bytes that were read and are not understood yet.
    pending: Vec<u8>,
}

/// How long an answer may take. A manager under load starts a scope within seconds.
const PATIENCE_MS: u64 = 30_000;

/// Why there is no answer: a call failed, or the other side has refused.
pub enum Trouble {
    Call(syscalls::Failed),
    Said(String),
}

pub type Answer<T> = Result<T, Trouble>;

impl From<syscalls::Failed> for Trouble {
    fn from(failed: syscalls::Failed) -> Trouble {
        Trouble::Call(failed)
    }
}

impl Bus {
    /// Connects to a socket at a path. The other side asks the kernel for this user (EXTERNAL without a name): in a user
    /// namespace this process knows its user by another number.
    pub fn open(path: &str) -> Answer<Bus> {
        let why = Why("systemd listens there");
        let socket = syscalls::socket_unix(why)?;
        // A path from the environment holds no NUL byte.
        let path = CString::new(path).unwrap_or_default();
        patience::connect(socket.at(), &path, why)?;
        let mut bus = Bus { socket, serial: 0, pending: Vec::new() };
        // All of it in one write, and the first message after the answer: systemd would not handle a message that it reads
        // together with BEGIN.
        let why = Why("the authentication comes before any message; the kernel tells the other side this user");
        bus.send(b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n", why)?;
        loop {
            let line = bus.line()?;
            match line.split(' ').next() {
                Some("DATA") => {}
                Some("OK") => return Ok(bus),
                _ => return Err(Trouble::Said(format!("it does not let us in: {line}"))),
            }
        }
    }

    fn send(&self, bytes: &[u8], why: Why) -> Answer<()> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let sent = match syscalls::send(self.socket.at(), rest, why) {
                Err(failed) if failed.errno == Errno::EAGAIN => {
                    self.wait(libc::POLLOUT, Why("the queue is full: systemd has to read first"))?;
                    continue;
                }
                sent => sent?,
            };
            rest = rest.get(sent..).unwrap_or_default();
        }
        Ok(())
    }

    /// One line of the authentication.
    fn line(&mut self) -> Answer<String> {
        loop {
            if let Some(end) = self.pending.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8_lossy(&self.pending[..end]).into_owned();
                self.pending.drain(..end + 2);
                return Ok(line);
            }
            self.more()?;
        }
    }

    /// Waits for the other side.
    fn wait(&self, events: i16, why: Why) -> Answer<()> {
        let fds = [(self.socket.at(), events), (patience::NONE, 0)];
        match patience::wait(fds, Some(PATIENCE_MS), why, patience::nothing) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Trouble::Said(format!("it does not answer within {} seconds", PATIENCE_MS / 1000))),
            Err(outcome::Trouble::Call(failed)) => Err(Trouble::Call(failed)),
            Err(outcome::Trouble::Check(check)) => Err(Trouble::Said(check.text().into())),
            Err(outcome::Trouble::Hook(_)) => Err(Trouble::Said("it does not answer".into())),
        }
    }

    /// Waits for bytes, and reads them.
    fn more(&mut self) -> Answer<()> {
        self.wait(libc::POLLIN, Why("systemd's answer takes a moment"))?;
        let mut buffer = [0; 4096];
        match syscalls::read(self.socket.at(), &mut buffer, Why("systemd's answer"))? {
            0 => Err(Trouble::Said("it has closed the connection".into())),
            len => {
                self.pending.extend_from_slice(buffer.get(..len).unwrap_or_default());
                Ok(())
            }
        }
    }

    /// The next message.
    pub fn next(&mut self) -> Answer<Message> {
        loop {
            if let Some(head) = self.pending.first_chunk::<16>() {
                let Some(len) = length(head) else {
                    return Err(Trouble::Said("it sends what is no message".into()));
                };
                if len <= self.pending.len() {
                    let message = understand(&self.pending[..len]);
                    self.pending.drain(..len);
                    return Ok(message);
                }
            }
            self.more()?;
        }
    }

    /// Sends a call, and returns its serial number.
    pub fn call(&mut self, method: &Method, body: &Body, why: Why) -> Answer<u32> {
        self.serial += 1;
        self.send(&call(method, self.serial, body), why)?;
        Ok(self.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METHOD: Method = Method { service: "a.b", object: "/a", interface: "a.b", name: "C", signature: "sa(sv)" };

    /// The head of a call, byte by byte as the specification lays it out.
    #[test]
    fn a_call_is_laid_out_as_the_specification_says() {
        let mut body = Body::default();
        body.text("x").properties(&[("P".into(), Value::Ulong(7))]);
        let bytes = call(&METHOD, 3, &body);
        assert_eq!(&bytes[..4], &[b'l', 1, 0, 1]);
        let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let fields = (word(12) as usize).next_multiple_of(8);
        assert_eq!(word(8), 3);
        assert_eq!(bytes.len(), 16 + fields + word(4) as usize);
        assert_eq!(&bytes[16..24], &[PATH, 1, b'o', 0, 2, 0, 0, 0]);
        let wanted: &[u8] = &[
            1, 0, 0, 0, b'x', 0, 0, 0, // the text
            24, 0, 0, 0, 0, 0, 0, 0, // the array's length, and up to a multiple of 8
            1, 0, 0, 0, b'P', 0, 1, b't', 0, 0, 0, 0, 0, 0, 0, 0, // name, type
            7, 0, 0, 0, 0, 0, 0, 0,
        ];
        assert_eq!(&bytes[16 + fields..], wanted);
    }

    #[test]
    fn answers_are_understood_and_damaged_ones_break_nothing() {
        let mut body = Body::default();
        body.uint(1).text("/job/1").text("x.scope").text("done");
        let signal = Method { signature: "uoss", name: "JobRemoved", ..METHOD };
        let mut bytes = call(&signal, 9, &body);
        bytes[1] = SIGNAL;
        let texts = ["/job/1", "x.scope", "done"].map(String::from).to_vec();
        let wanted = Message::Signal("JobRemoved".into(), texts);
        assert_eq!(understand(&bytes), wanted);
        assert_eq!(length(bytes.first_chunk().unwrap_or(&[0; 16])), Some(bytes.len()));
        for at in 0..bytes.len() {
            for value in [0, 1, 0x7f, 0xff] {
                let mut other = bytes.clone();
                other[at] = value;
                understand(&other);
                understand(&other[..at]);
            }
        }
    }
}
