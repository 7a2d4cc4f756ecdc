//! The log: warnings, and more by level. Engines parse the lines, so they have the shape of runc's (logrus). They go to standard
//! error, or only to where `--log` says: engines read standard error together with a command's output. With `-E`, and at level
//! debug, the lines are for people, and `tell` adds what is done as it happens. May touch: system calls.

use crate::cli::{Globals, Level, LogTo, PROGRAM};
use crate::outcome::Error;
use crate::say::error::at_hint;
use crate::say::hints;
use crate::say::out::{append, stderr};
use crate::say::shape::one_line;
use crate::say::tell;
use crate::say::tell_line::{DATAGRAM, Line, Role, Shape, To, Voice};
use core::ffi::CStr;
use syscalls::{Fd, Why};

/// Where systemd's journal takes entries (systemd.io, "Native Journal Protocol"), and any syslog daemon (syslog(3)).
const JOURNAL: &CStr = c"/run/systemd/journal/socket";
const SYSLOG: &CStr = c"/dev/log";

pub struct Log {
    voice: Voice,
    level: Level,
    /// What is open for it.
    _open: Option<Fd>,
}

impl Log {
    /// Opens what `--log` names. A file is made even if no line follows, since clients expect it. `id`: the container that the
    /// command is about.
    pub fn open(globals: &Globals, id: Option<&str>, uid: u32) -> Result<Log, Error> {
        let mut name = String::new();
        let (open, to): (Option<Fd>, fn(syscalls::At) -> To) = match &globals.log {
            None => (None, |_| To::Stderr),
            Some(LogTo::File(path)) => {
                let why = Why("clients expect the log from the beginning; several commands append to it");
                (Some(append(path, "log", 0o644, uid, why).map_err(|error| error.placed("--log"))?), To::File)
            }
            Some(LogTo::Journald(as_whom)) => {
                name.clone_from(as_whom);
                (Some(connect(JOURNAL, "systemd's journal")?), To::Journald)
            }
            Some(LogTo::Syslog(as_whom)) => {
                name.clone_from(as_whom);
                (Some(connect(SYSLOG, "syslog")?), To::Syslog)
            }
        };
        if name.is_empty() {
            name = id.unwrap_or(PROGRAM).into();
        }
        let voice = Voice {
            to: open.as_ref().map_or(To::Stderr, |open| to(open.at())),
            format: globals.log_format,
            shape: Shape::Logrus,
            name: one_line(&name),
            id: one_line(id.unwrap_or("")),
        };
        let mut log = Log { voice, level: if globals.quiet { Level::Error } else { globals.log_level }, _open: open };
        if log.level == Level::Debug || globals.educational && log.wants(Level::Info) {
            log.tell(globals.educational, Shape::Told);
        }
        Ok(log)
    }

    /// From now on the work is told in brief words as it happens. `demo` and `learn` ask for this themselves.
    pub fn educate(&mut self) {
        self.level = self.level.min(Level::Info);
        self.tell(true, Shape::Brief);
    }

    fn tell(&mut self, words: bool, shape: Shape) {
        self.voice.shape = shape;
        tell::begin(self.voice.clone(), words, self.level == Level::Debug);
    }

    /// Whether lines of this level are written. Some take long to compose.
    pub fn wants(&self, level: Level) -> bool {
        level >= self.level
    }

    /// Writes one line. `main` tells errors on standard error itself.
    pub fn say(&self, level: Level, message: &str) {
        if !self.wants(level) || tell::line(level, message) {
            return;
        }
        let time = syscalls::clock_ns(libc::CLOCK_REALTIME);
        let line = Line { time, level, role: Role::own(), text: message };
        let mut text = String::new();
        self.voice.add(&line, &mut text);
        match self.voice.to {
            To::Stderr if level == Level::Error => {}
            To::Stderr => stderr(&text),
            _ => self.voice.write(&text, DATAGRAM[0]),
        }
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
