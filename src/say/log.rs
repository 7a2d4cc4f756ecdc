//! The log: warnings, and more by level. Engines parse the lines, so they have the shape of runc's (logrus). They go to standard
//! error, or only to where `--log` says: engines read standard error together with a command's output. May touch: system
//! calls.

use crate::cli::{Globals, Level, LogFormat, LogTo, PROGRAM};
use crate::host::{patience, time};
use crate::outcome::Error;
use crate::perform::files::write_all;
use crate::say::error::{at_hint, one_line};
use crate::say::hints;
use crate::say::out::{append, stderr};
use core::ffi::CStr;
use syscalls::{Fd, Why};

/// Where systemd's journal takes entries (systemd.io, "Native Journal Protocol"), and any syslog daemon (syslog(3)).
const JOURNAL: &CStr = c"/run/systemd/journal/socket";
const SYSLOG: &CStr = c"/dev/log";

/// How long a line waits for a daemon that does not read, in milliseconds. Then it is lost: a container must not wait for its
/// log.
const PATIENCE: u64 = 1000;

pub struct Log {
    to: To,
    format: LogFormat,
    level: Level,
    /// The name that lines for a daemon have.
    name: String,
    /// The container that the command is about; empty: none, or several.
    id: String,
}

enum To {
    Stderr,
    File(Fd),
    Journald(Fd),
    Syslog(Fd),
}

impl Log {
    /// Opens what `--log` names. A file is made even if no line follows, since clients expect it. `id`: the container that the
    /// command is about.
    pub fn open(globals: &Globals, id: Option<&str>, uid: u32) -> Result<Log, Error> {
        let mut name = String::new();
        let to = match &globals.log {
            None => To::Stderr,
            Some(LogTo::File(path)) => {
                let why = Why("clients expect the log from the beginning; several commands append to it");
                To::File(append(path, "log", 0o644, uid, why)?)
            }
            Some(LogTo::Journald(as_whom)) => {
                name.clone_from(as_whom);
                To::Journald(connect(JOURNAL, "systemd's journal")?)
            }
            Some(LogTo::Syslog(as_whom)) => {
                name.clone_from(as_whom);
                To::Syslog(connect(SYSLOG, "syslog")?)
            }
        };
        if name.is_empty() {
            name = id.unwrap_or(PROGRAM).into();
        }
        Ok(Log {
            to,
            format: globals.log_format,
            level: if globals.quiet { Level::Error } else { globals.log_level },
            name: one_line(&name),
            id: one_line(id.unwrap_or("")),
        })
    }

    /// Whether lines of this level are written. Some take long to compose.
    pub fn wants(&self, level: Level) -> bool {
        level >= self.level
    }

    /// Writes one line. `main` tells errors on standard error itself.
    pub fn say(&self, level: Level, message: &str) {
        if !self.wants(level) {
            return;
        }
        let message = &one_line(message);
        let file = match &self.to {
            To::Stderr if level == Level::Error => return,
            To::Stderr => return stderr(&self.line(level, message)),
            To::File(file) => file,
            To::Journald(socket) => return send(socket, &self.entry(level, message)),
            To::Syslog(socket) => return send(socket, &self.datagram(level, message)),
        };
        let line = self.line(level, message);
        let _ = write_all(file.at(), line.as_bytes(), Why("this line belongs into the log"));
    }

    /// A line as logrus has it.
    fn line(&self, level: Level, message: &str) -> String {
        let now = time::rfc3339(syscalls::clock_ns(libc::CLOCK_REALTIME));
        let (word, _) = names(level);
        let quoted = serde_json::to_string(message).unwrap_or_default();
        match self.format {
            LogFormat::Json => format!("{{\"level\":\"{word}\",\"msg\":{quoted},\"time\":\"{now}\"}}\n"),
            // Go and JSON quote a text without control characters in the same way.
            LogFormat::Text => format!("time=\"{now}\" level={word} msg={quoted}\n"),
        }
    }

    /// The message for a daemon, which adds time and level itself. With `--log-format json` it is the whole line, as crun has it.
    fn message(&self, level: Level, message: &str) -> String {
        match self.format {
            LogFormat::Json => self.line(level, message).trim_end().into(),
            LogFormat::Text => message.into(),
        }
    }

    /// An entry for the journal: no value has a line break, so each is `NAME=value`.
    fn entry(&self, level: Level, message: &str) -> String {
        let ((_, priority), name) = (names(level), &self.name);
        let message = self.message(level, message);
        let id = match self.id.as_str() {
            "" => String::new(),
            id => format!("ID={id}\n"),
        };
        format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER={name}\n{id}MESSAGE={message}\n")
    }

    /// A line for syslog, without a time: each daemon adds its own (RFC 3164, section 4.3).
    fn datagram(&self, level: Level, message: &str) -> String {
        let priority = libc::LOG_USER as u32 | names(level).1;
        format!("<{priority}>{}: {}", self.name, self.message(level, message))
    }
}

/// A level as logrus and as syslog(3) have it.
fn names(level: Level) -> (&'static str, u32) {
    match level {
        Level::Debug => ("debug", 7),
        Level::Info => ("info", 6),
        Level::Warn => ("warning", 4),
        Level::Error => ("error", 3),
    }
}

fn connect(path: &CStr, what: &str) -> Result<Fd, Error> {
    let why = Why("--log says that lines go to this daemon");
    let failed = |failed| {
        let path = path.to_string_lossy();
        let doing = format!("connect --log to {what} at {path}");
        at_hint(doing, failed, hints::named(hints::LOG_DAEMON))
    };
    let socket = syscalls::socket_datagram(why).map_err(failed)?;
    syscalls::connect_unix(socket.at(), path, why).map_err(failed)?;
    Ok(socket)
}

fn send(socket: &Fd, line: &str) {
    let wait = Why("the daemon's queue is full, and it may read a line in a moment");
    let why = Why("this line belongs into the log");
    let send = || syscalls::send(socket.at(), line.as_bytes(), why);
    let _ = patience::send(socket.at(), PATIENCE, wait, send);
}
