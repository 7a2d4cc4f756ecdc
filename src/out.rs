//! Words out: standard output, standard error, the log. All through the gate, and none before a command has done its
//! work, so that showing changes nothing. May touch: system calls.

use crate::cli::{Globals, Level, LogFormat};
use crate::error::{Error, at};
use crate::perform::files::write_all;
use crate::state::c;
use crate::time;
use alloc::format;
use alloc::string::String;
use syscalls::{At, Disposition, Fd, Why};

/// A reader that has gone away must not kill us: without std's own `main` nobody has seen to that.
fn ignore_sigpipe() {
    let _ = syscalls::rt_sigaction(
        libc::SIGPIPE,
        Disposition::Ignore,
        Why("the reader may have closed its end: then the write fails, and that is all"),
    );
}

/// Writes to standard output. A failure is one: somebody counts on these words.
pub fn stdout(text: &str) -> Result<(), Error> {
    ignore_sigpipe();
    let why = Why("this is what was asked for");
    write_all(At::STDOUT, text.as_bytes(), why)
        .map_err(|failed| at("write to standard output".into(), failed))
}

/// Writes to standard error; nobody can be told if that fails.
pub fn stderr(text: &str) {
    ignore_sigpipe();
    let _ = write_all(At::STDERR, text.as_bytes(), Why("somebody has to be told"));
}

/// The log, if there is one.
pub struct Log {
    file: Option<Fd>,
    format: LogFormat,
    level: Level,
    /// Whether a child exists: the seed's ROLE is HOST before that, PARENT after.
    pub parent: bool,
}

impl Log {
    /// Opens `--log`, and makes it even if nothing will be said: clients open it without asking.
    pub fn open(globals: &Globals) -> Result<Log, Error> {
        let mut log = Log {
            file: None,
            format: globals.log_format,
            // --quiet: errors only, whatever else asks for more.
            level: if globals.quiet {
                Level::Error
            } else {
                globals.log_level
            },
            parent: false,
        };
        if let Some(path) = &globals.log {
            let flags = (libc::O_WRONLY | libc::O_APPEND) as u32;
            let why = Why(
                "the log is there from the beginning, and never cut: several commands share it",
            );
            let file = syscalls::openat_create(At::CWD, &c(path)?, flags, 0o644, "log", why);
            log.file = Some(file.map_err(|failed| at(format!("open the log {path}"), failed))?);
        }
        Ok(log)
    }

    /// Whether a line of this level goes anywhere: some take long to put together.
    pub fn wants(&self, level: Level) -> bool {
        level >= self.level
    }

    /// One line. Without a file, levels below a warning go nowhere unless asked for.
    pub fn say(&self, level: Level, message: &str) {
        if !self.wants(level) {
            return;
        }
        let now = time::rfc3339(syscalls::clock_ns(libc::CLOCK_REALTIME));
        let (word, lower) = match level {
            Level::Debug => ("DEBUG", "debug"),
            Level::Info => ("INFO", "info"),
            Level::Warn => ("WARN", "warning"),
            Level::Error => ("ERROR", "error"),
        };
        let role = if self.parent { "PARENT" } else { "HOST" };
        let line = match self.format {
            LogFormat::Json => {
                let quoted = |text: &str| serde_json::to_string(text).unwrap_or_default();
                format!(
                    "{{\"level\":{},\"msg\":{},\"time\":{}}}\n",
                    quoted(lower),
                    quoted(message),
                    quoted(&now)
                )
            }
            LogFormat::Text => format!("[{now}] [{word}] [{role}] {message}\n"),
        };
        match &self.file {
            Some(file) => {
                let _ = write_all(file.at(), line.as_bytes(), Why("a line of the log"));
            }
            None if level < Level::Error => stderr(&line),
            None => {}
        }
    }
}

/// What a failing command says on standard error: one line, since engines look at one; for people at a terminal also
/// what the failing call was for.
pub fn failure(error: &Error) -> String {
    let mut text = format!("nk-runtime: {}\n", error.line());
    if let Some(why) = error.why()
        && syscalls::isatty(At::STDERR, Why("a person reads further than one line"))
    {
        text.push_str(&format!("  the call was made because: {why}\n"));
    }
    text
}
