//! A line of the log: its shapes, and the places that it goes to. May touch: system calls.
//!
//! ```text
//!   Logrus   time="2026-11-23T14:05:09.123456789Z" level=warning msg="..."           engines parse this, or JSON
//!   Told     [2026-11-23T14:05:09.123456Z] [INFO] [CHILD] ...                          -E, and the log of calls
//!   Brief    CHILD   ...                                                              the demo
//! ```

use crate::cli::{Level, LogFormat};
use crate::host::{patience, time};
use crate::perform::files::write_all;
use crate::say::out::wrapped;
use crate::say::shape::one_line;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use syscalls::{At, Why, record};

/// How long a line waits for a daemon that does not read, in milliseconds. Then it is lost: a container must not wait for its
/// log.
const PATIENCE: u64 = 1000;

/// The columns of a brief line, and where its text begins.
const WIDTH: usize = 80;
const INDENT: usize = 8;

/// Who has done what a line tells.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// This program, before it has a child.
    Host,
    /// This program, once it has one.
    Parent,
    /// Init, the bridge, or a hook.
    Child,
}

impl Role {
    /// Which of the two this process is now.
    pub fn own() -> Role {
        let head = record::head();
        match head.child.load(Relaxed) != 0 || head.helper_count.load(Relaxed) != 0 {
            true => Role::Parent,
            false => Role::Host,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Role::Host => "HOST",
            Role::Parent => "PARENT",
            Role::Child => "CHILD",
        }
    }
}

/// One line.
pub struct Line<'a> {
    /// Nanoseconds since 1970.
    pub time: u64,
    pub level: Level,
    pub role: Role,
    pub text: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    Logrus,
    Told,
    Brief,
}

/// The descriptors stay open as long as the log.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum To {
    Stderr,
    File(At),
    Journald(At),
    Syslog(At),
}

/// Where lines go, and how they look there.
#[derive(Clone)]
pub struct Voice {
    pub to: To,
    pub format: LogFormat,
    pub shape: Shape,
    /// The name that lines for a daemon have.
    pub name: String,
    /// The container that the command is about; empty: none, or several.
    pub id: String,
}

impl Voice {
    /// Adds a line to those that are written together. A daemon takes one at a time, and gets it now.
    pub fn add(&self, line: &Line, text: &mut String) {
        match self.to {
            To::Stderr | To::File(_) => text.push_str(&self.line(line)),
            To::Journald(socket) => send(socket, &self.entry(line)),
            To::Syslog(socket) => send(socket, &self.datagram(line)),
        }
    }

    /// Writes the lines that were added. What cannot be written is lost.
    pub fn write(&self, text: &str, why: Why) {
        let to = match self.to {
            To::Stderr => At::STDERR,
            To::File(file) => file,
            To::Journald(_) | To::Syslog(_) => return,
        };
        if !text.is_empty() {
            let _ = write_all(to, text.as_bytes(), why);
        }
    }

    fn line(&self, line: &Line) -> String {
        let (text, role) = (one_line(line.text), line.role.word());
        let now = time::rfc3339(line.time);
        let (word, upper, _) = names(line.level);
        let quoted = || serde_json::to_string(&text).unwrap_or_default();
        match (self.format, self.shape) {
            (LogFormat::Json, _) => {
                format!("{{\"level\":\"{word}\",\"msg\":{},\"role\":\"{role}\",\"time\":\"{now}\"}}\n", quoted())
            }
            // Go and JSON quote a text without control characters in the same way.
            (LogFormat::Text, Shape::Logrus) => format!("time=\"{now}\" level={word} msg={}\n", quoted()),
            (LogFormat::Text, Shape::Told) => {
                let microseconds = now.get(..26).unwrap_or_default();
                format!("[{microseconds}Z] [{upper}] [{role}] {text}\n")
            }
            (LogFormat::Text, Shape::Brief) => brief(role, &text),
        }
    }

    /// The message for a daemon, which adds time and level itself. With `--log-format json` it is the whole line, as crun has it.
    fn message(&self, line: &Line) -> String {
        match (self.format, self.shape) {
            (LogFormat::Json, _) => self.line(line).trim_end().into(),
            (LogFormat::Text, Shape::Logrus) => one_line(line.text),
            (LogFormat::Text, _) => format!("[{}] {}", line.role.word(), one_line(line.text)),
        }
    }

    /// An entry for the journal: no value has a line break, so each is `NAME=value`.
    fn entry(&self, line: &Line) -> String {
        let ((_, _, priority), name) = (names(line.level), &self.name);
        let message = self.message(line);
        let id = match self.id.as_str() {
            "" => String::new(),
            id => format!("ID={id}\n"),
        };
        format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER={name}\n{id}MESSAGE={message}\n")
    }

    /// A line for syslog, without a time: each daemon adds its own (RFC 3164, section 4.3).
    fn datagram(&self, line: &Line) -> String {
        let priority = libc::LOG_USER as u32 | names(line.level).2;
        format!("<{priority}>{}: {}", self.name, self.message(line))
    }
}

/// A level as logrus has it, in capitals, and as syslog(3) has it.
fn names(level: Level) -> (&'static str, &'static str, u32) {
    match level {
        Level::Debug => ("debug", "DEBUG", 7),
        Level::Info => ("info", "INFO", 6),
        Level::Warn => ("warning", "WARN", 4),
        Level::Error => ("error", "ERROR", 3),
    }
}

/// A text in a column of its own after the role.
fn brief(role: &str, text: &str) -> String {
    let below = format!("\n{:INDENT$}", "");
    format!("{role:<INDENT$}{}\n", wrapped(text, WIDTH - INDENT).join(&below))
}

/// Why a datagram is sent, and why it is waited for.
pub const DATAGRAM: [Why; 2] =
    [Why("this line belongs into the log"), Why("the daemon's queue is full, and it may read a line in a moment")];

/// The daemon has not taken the last line. Then the next ones do not wait for it.
static DEAF: AtomicBool = AtomicBool::new(false);

fn send(socket: At, line: &str) {
    let [why, wait] = DATAGRAM;
    let limit = if DEAF.load(Relaxed) { 0 } else { PATIENCE };
    let sent = patience::send(socket, limit, wait, || syscalls::send(socket, line.as_bytes(), why));
    DEAF.store(sent.is_err(), Relaxed);
}
