//! The log: warnings, and what else a level lets through. The lines are shaped as runc's (logrus writes those), since engines
//! take them apart. They go to standard error, or where `--log` says and nowhere else: engines read standard error together
//! with what a command prints. May touch: system calls.

use crate::cli::{Globals, Level, LogFormat, LogTo, PROGRAM};
use crate::host::patience;
use crate::host::time;
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

/// How long a daemon that does not read may keep a line back, in milliseconds: a container does not wait for its log.
const PATIENCE: u64 = 1000;

pub struct Log {
    to: To,
    format: LogFormat,
    level: Level,
    /// Whom the lines of a daemon's log name.
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
    /// Opens what `--log` names. A file is made even if nothing will be said: clients open it without asking. `id`: the
    /// container that the command is about.
    pub fn open(globals: &Globals, id: Option<&str>, uid: u32) -> Result<Log, Error> {
        let mut name = String::new();
        let to = match &globals.log {
            None => To::Stderr,
            Some(LogTo::File(path)) => {
                let why = Why("the log is there from the beginning, and never cut: several commands share it");
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
            // --quiet: errors only, whatever else asks for more.
            level: match globals.quiet {
                true => Level::Error,
                false => globals.log_level,
            },
            name: one_line(&name),
            id: one_line(id.unwrap_or("")),
        })
    }

    /// Whether a line of this level goes anywhere: some take long to put together.
    pub fn wants(&self, level: Level) -> bool {
        level >= self.level
    }

    /// One line. An error goes to standard error by another way, whether there is a log or not.
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
        let _ = write_all(file.at(), line.as_bytes(), Why("a line of the log"));
    }

    /// A line as logrus has it.
    fn line(&self, level: Level, message: &str) -> String {
        let now = time::rfc3339(syscalls::clock_ns(libc::CLOCK_REALTIME));
        let word = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warning",
            Level::Error => "error",
        };
        let quoted = serde_json::to_string(message).unwrap_or_default();
        match self.format {
            LogFormat::Json => {
                format!("{{\"level\":\"{word}\",\"msg\":{quoted},\"time\":\"{now}\"}}\n")
            }
            // Of a text without control characters Go's quotes and JSON's are the same.
            LogFormat::Text => format!("time=\"{now}\" level={word} msg={quoted}\n"),
        }
    }

    /// What a daemon has for a message: it knows time and level by itself. With `--log-format json` the whole line, as crun
    /// has it.
    fn message(&self, level: Level, message: &str) -> String {
        match self.format {
            LogFormat::Json => self.line(level, message).trim_end().into(),
            LogFormat::Text => message.into(),
        }
    }

    /// An entry for the journal: no value has a line break, so each is `NAME=value`.
    fn entry(&self, level: Level, message: &str) -> String {
        let (priority, name) = (priority(level), &self.name);
        let message = self.message(level, message);
        let id = match self.id.as_str() {
            "" => String::new(),
            id => format!("ID={id}\n"),
        };
        format!("PRIORITY={priority}\nSYSLOG_IDENTIFIER={name}\n{id}MESSAGE={message}\n")
    }

    /// A line for syslog, without a time: each daemon puts its own where there is none (RFC 3164, section 4.3).
    fn datagram(&self, level: Level, message: &str) -> String {
        let priority = libc::LOG_USER as u32 | priority(level);
        format!("<{priority}>{}: {}", self.name, self.message(level, message))
    }
}

/// syslog(3)'s levels.
fn priority(level: Level) -> u32 {
    match level {
        Level::Debug => 7,
        Level::Info => 6,
        Level::Warn => 4,
        Level::Error => 3,
    }
}

fn connect(path: &CStr, what: &str) -> Result<Fd, Error> {
    let why = Why("--log says that lines go to this daemon");
    let failed = |failed| {
        let path = path.to_string_lossy();
        let doing = format!("connect --log to {what} at {path}");
        at_hint(doing, failed, hints::LOG_DAEMON)
    };
    let socket = syscalls::socket_datagram(why).map_err(failed)?;
    syscalls::connect_unix(socket.at(), path, why).map_err(failed)?;
    Ok(socket)
}

fn send(socket: &Fd, line: &str) {
    let wait = Why("the daemon has more lines than it has read");
    let why = Why("a line of the log");
    let send = || syscalls::send(socket.at(), line.as_bytes(), why);
    let _ = patience::send(socket.at(), PATIENCE, wait, send);
}
