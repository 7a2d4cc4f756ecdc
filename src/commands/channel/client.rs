//! What another command asks the machine of a container for: it runs there, as a child of the machine's init, and its input, output,
//! signals and status are this command's. May touch: everything below.

use super::super::context::{Context, Found};
use super::link::{Link, row};
use super::local::{self, Local, SESSION};
use super::returned::{self, Clocks};
use crate::cli::{self, Level};
use crate::frames::{Begin, Damage, Hello, LONGEST, MACHINE, Stream, ToGuest, ToHost, VERSION};
use crate::host::input;
use crate::host::patience;
use crate::outcome::{Doing, Error, at};
use crate::perform::callers;
use crate::state::document::UNFINISHED;
use crate::state::{self, Saved, Status, traces};
use serde_json::Value;
use syscalls::{At, Errno, Fd, SigSet, Taken, Why};

const DOING: &str = "speak with the container's machine";
/// So long the command that runs the machine may take for its first answer, in milliseconds.
const ANSWER: u64 = 20_000;

/// What is asked for.
enum Wish<'a> {
    Words { words: &'a [String], files: &'a [(&'a str, Vec<u8>)] },
    File(&'a str),
}

/// How this command takes part.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Its input, its signals, and a terminal perhaps.
    Attached { terminal: bool },
    /// Its output and error alone.
    Shown,
    /// Nothing: the output is for this command. `limit`: in milliseconds.
    Kept { limit: u64 },
}

/// Passes this command to the container's machine, if it has one that can be spoken with. Returns the status.
pub fn passed(context: &Context, found: &Found, file: Option<(&str, &str)>) -> Result<Option<i32>, Error> {
    if !found.saved.channel || found.now.status == Status::Stopped {
        return Ok(None);
    }
    command(context, &found.saved, found.dir, file).map(Some)
}

/// `file`: an option of this command, and the file of the host that it names; `-` is standard input.
pub fn command(context: &Context, saved: &Saved, dir: At, file: Option<(&str, &str)>) -> Result<i32, Error> {
    let files = match file {
        None => Vec::new(),
        Some((option, path)) => {
            let why = Why("the machine gets what is in this file");
            vec![(name_of(option), input::read_named(path, why)?)]
        }
    };
    let named: Vec<(&str, &str)> = file.iter().map(|(option, _)| (*option, name_of(option))).collect();
    let words = cli::command_words(&context.words, &named);
    let local = ask(saved, dir, &Wish::Words { words: &words, files: &files }, Part::Shown).map_err(Asked::error)?;
    logged(context, &local, &words);
    Ok(local.status()?.unwrap_or(1))
}

/// The file's name in the machine.
fn name_of(option: &str) -> &str {
    option.trim_start_matches('-')
}

/// The machine's command has told its failure to the caller; engines look for it in the log.
fn logged(context: &Context, local: &Local, words: &[String]) {
    if let (Some(status @ 1..), true) = (local.exit, context.globals.log.is_some()) {
        let verb = words.first().map_or("", String::as_str);
        context.log.say(Level::Error, &format!("{verb} in the container's machine failed: status {status}"));
    }
}

/// `kill`, for one container.
pub fn kill(context: &Context, saved: &Saved, dir: At, signal: i32, all: bool) -> Result<i32, Error> {
    let mut words = vec!["kill".to_string()];
    words.extend(all.then(|| "--all".into()));
    words.extend(["--".into(), saved.id.clone(), signal.to_string()]);
    let local = ask(saved, dir, &Wish::Words { words: &words, files: &[] }, Part::Shown).map_err(Asked::error)?;
    logged(context, &local, &words);
    Ok(local.status()?.unwrap_or(1))
}

/// `exec`.
pub fn exec(context: &Context, options: &cli::Exec, saved: &Saved, dir: At) -> Result<i32, Error> {
    let refused = [
        (
            "--detach",
            options.detach,
            "the program's output could not outlive this command: let your shell run it in the background",
        ),
        ("--pid-file", options.pid_file.is_some(), "the number would be the machine's own"),
        (
            "--console-socket",
            options.console_socket.is_some(),
            "no descriptor leaves a machine: --tty relays the terminal",
        ),
        ("--pidfd-socket", options.pidfd_socket.is_some(), "no descriptor leaves a machine"),
        ("--preserve-fds", options.preserve_fds > 0, "no descriptor enters a machine"),
    ];
    if let Some((option, _, why)) = refused.into_iter().find(|(_, given, _)| *given) {
        return Err(Error::Usage(format!("exec: {option}: container {} is in a machine of its own: {why}", saved.id)));
    }
    let mut terminal = options.tty;
    let mut files = Vec::new();
    if let Some(path) = &options.process {
        let why = Why("the machine gets what is in this file");
        let text = input::read_named(path, why)?;
        let process: Option<Value> = serde_json::from_slice(&text).ok();
        terminal |= process.is_some_and(|process| process["terminal"] == true);
        files.push(("process", text));
    }
    let words = cli::command_words(&context.words, &[("--process", "process")]);
    let local = ask(saved, dir, &Wish::Words { words: &words, files: &files }, Part::Attached { terminal })
        .map_err(Asked::error)?;
    Ok(local.status()?.unwrap_or(1))
}

/// The status of a container. `outside`: that of its process on the host, which for a machine is QEMU.
pub fn seen(saved: &Saved, dir: At, outside: Status) -> Status {
    let asks = saved.channel && outside == Status::Running;
    if asks { inside(saved, dir).unwrap_or(outside) } else { outside }
}

/// The same as its machine sees it. None: the machine does not say.
fn inside(saved: &Saved, dir: At) -> Option<Status> {
    let words = ["state".to_string(), "--".into(), saved.id.clone()];
    let local = match ask(saved, dir, &Wish::Words { words: &words, files: &[] }, Part::Kept { limit: 5_000 }) {
        Err(Asked::Boots) => return Some(Status::Creating),
        asked => asked.ok()?,
    };
    let said = |words: &str| local.output(Stream::Err).windows(words.len()).any(|part| part == words.as_bytes());
    if said(UNFINISHED) {
        return Some(Status::Creating);
    }
    if said(state::ABSENT) {
        // A container that is gone has left its records.
        let wish = Wish::File(returned::KEPT);
        let listing = ask(saved, dir, &wish, Part::Kept { limit: 5_000 }).ok()?;
        let gone = !returned::kept(listing.output(Stream::Out), &saved.id).is_empty();
        return (!gone).then_some(Status::Creating);
    }
    let document: Value = serde_json::from_slice(local.output(Stream::Out)).ok()?;
    let all = [Status::Creating, Status::Created, Status::Running, Status::Paused, Status::Stopped];
    all.into_iter().find(|status| document["status"] == status.word())
}

/// What the container's machine has recorded so far, if it has one that runs.
pub fn machines(root: Option<&Fd>, id: &str) -> Vec<Vec<u8>> {
    let dir = state::look_up(root, id).ok().flatten();
    let document = dir.and_then(|dir| state::load_now(dir.at(), id).ok().map(|(saved, status)| (dir, saved, status)));
    match document {
        Some((dir, saved, Status::Running)) if saved.channel => records(&saved, dir.at()),
        _ => Vec::new(),
    }
}

/// The records that the machine has of the container so far. What does not come is left out.
fn records(saved: &Saved, dir: At) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for path in returned::living(&saved.id) {
        let mut clocks = Clocks::default();
        let asked = speak(saved, dir, &Wish::File(&path), Part::Kept { limit: 5_000 }, &mut clocks);
        let Ok(local) = asked else {
            return all;
        };
        let bytes = returned::as_the_hosts(local.output(Stream::Out).to_vec(), clocks.ahead());
        all.extend(traces::pieces(&bytes).into_iter().map(Vec::from));
    }
    all
}

/// Why there is no answer.
enum Asked {
    /// The machine has not begun to speak.
    Boots,
    Failed(Error),
}

impl From<Error> for Asked {
    fn from(error: Error) -> Asked {
        Asked::Failed(error)
    }
}

fn ask(saved: &Saved, dir: At, wish: &Wish, part: Part) -> Result<Local, Asked> {
    speak(saved, dir, wish, part, &mut Clocks::default())
}

impl Asked {
    fn error(self) -> Error {
        match self {
            Asked::Failed(error) => error,
            Asked::Boots => Error::State("the container is being created: its machine boots".into()),
        }
    }
}

fn speak(saved: &Saved, dir: At, wish: &Wish, part: Part, clocks: &mut Clocks) -> Result<Local, Asked> {
    let mut link = Link::new(connect(saved, dir)?);
    let hello = Hello { version: VERSION, clock: syscalls::clock_ns(libc::CLOCK_MONOTONIC) };
    ToGuest::Hello(hello).put(MACHINE, &mut link.out);
    let terminal = part == Part::Attached { terminal: true };
    begin(wish, terminal.then(|| local::size().unwrap_or([0, 0])), &mut link)?;
    let local = match part {
        Part::Attached { terminal } => Local::standard(terminal),
        Part::Shown => Local::shown(),
        Part::Kept { .. } => Local::kept(),
    };
    let signals = match part {
        Part::Attached { .. } => {
            let why = Why("a signal that comes from now on is for the program");
            syscalls::rt_sigprocmask(SigSet::HELD, why).doing(DOING)?;
            let why = Why("one ppoll shall wait for signals together with the machine");
            Some(syscalls::signalfd4(SigSet::ALL, why).doing(DOING)?)
        }
        _ => {
            crate::say::out::ignore_sigpipe();
            None
        }
    };
    let limit = match part {
        Part::Kept { limit } => Some(limit),
        _ => None,
    };
    let mut session = Session { link, local, signals, id: &saved.id, note: String::new() };
    session.until_over(limit, clocks)?;
    Ok(session.local)
}

/// The frames that the session begins with.
fn begin(wish: &Wish, terminal: Option<[u16; 2]>, link: &mut Link) -> Result<(), Error> {
    match wish {
        Wish::File(path) => ToGuest::Fetch(path.as_bytes()).put(SESSION, &mut link.out),
        Wish::Words { words, files } => {
            for (name, text) in *files {
                // The first also makes an empty file.
                let mut parts = text.chunks(LONGEST / 2);
                let first = parts.next().unwrap_or(&[]);
                for bytes in core::iter::once(first).chain(parts) {
                    ToGuest::Put { name: name.as_bytes(), bytes }.put(SESSION, &mut link.out);
                }
            }
            let words: Vec<u8> = words.iter().flat_map(|word| word.bytes().chain([0])).collect();
            let long =
                || Error::Usage(format!("the words are too long for the machine: {LONGEST} bytes are the limit"));
            ToGuest::Begin(Begin::new(terminal, &words).ok_or_else(long)?).put(SESSION, &mut link.out);
        }
    }
    Ok(())
}

fn connect(saved: &Saved, dir: At) -> Result<Fd, Asked> {
    let why = Why("the command that runs the container's machine listens there");
    let socket = syscalls::socket_unix(why).doing(DOING)?;
    match patience::connect(socket.at(), &callers::below(dir, state::CHANNEL), why) {
        Ok(()) => Ok(socket),
        Err(failed) if failed.errno == Errno::ENOENT => Err(Asked::Boots),
        Err(failed) if failed.errno == Errno::ECONNREFUSED => Err(Asked::Failed(Error::State(format!(
            "container not running: {0}: the command that ran its machine has gone; delete --force {0} removes what is left",
            saved.id
        )))),
        Err(failed) => Err(Asked::Failed(at(format!("reach the machine of {}", saved.id), failed))),
    }
}

struct Session<'a> {
    link: Link,
    local: Local,
    signals: Option<Fd>,
    id: &'a str,
    /// Why the other side has refused this command.
    note: String,
}

impl Session<'_> {
    fn until_over(&mut self, limit: Option<u64>, clocks: &mut Clocks) -> Result<(), Error> {
        let now = || syscalls::clock_ns(libc::CLOCK_MONOTONIC);
        let begun = now();
        while !self.local.is_over() {
            if self.link.closed && !self.note.is_empty() {
                return Err(Error::State(format!("the machine of {}: {}", self.id, self.note)));
            }
            if self.link.closed && self.local.exit.is_none() {
                return Err(Error::State(format!("container not running: {}: its machine has just ended", self.id)));
            }
            let limit = if clocks.answers == 0 { Some(limit.unwrap_or(ANSWER)) } else { limit };
            let left = limit.map(|limit| limit.saturating_sub((now() - begun) / 1_000_000));
            if left == Some(0) {
                return Err(Error::State(format!(
                    "the machine of {0} does not answer: it may be stopped, or hang; delete --force {0} ends it",
                    self.id
                )));
            }
            self.turn(left, clocks)?;
        }
        Ok(())
    }

    fn turn(&mut self, left: Option<u64>, clocks: &mut Clocks) -> Result<(), Error> {
        let full = self.link.is_full();
        let [stdin, stdout, stderr] = self.local.rows(full);
        let signals = row(self.signals.as_ref().map(Fd::at), libc::POLLIN);
        let mut table = [signals, self.link.row(true), stdin, stdout, stderr];
        let why = Why("a signal, what the machine says, input, or room for output");
        syscalls::ppoll(&mut table, left, why).doing(DOING)?;
        let ready = table.map(|row| row.revents);
        if ready[0] != 0 {
            self.signal()?;
        }
        self.link.carry(ready[1]).doing(DOING)?;
        self.hear(clocks).map_err(|damage| Error::State(format!("the machine of {}: {}", self.id, damage.text())))?;
        self.local.carry([ready[2], ready[3], ready[4]], &mut self.link.out);
        Ok(())
    }

    fn hear(&mut self, clocks: &mut Clocks) -> Result<(), Damage> {
        let Link { incoming, out, .. } = &mut self.link;
        while let Some(frame) = incoming.next()? {
            match ToHost::read(frame)? {
                ToHost::Hello(hello, asked) => {
                    clocks.answered(hello, asked, syscalls::clock_ns(libc::CLOCK_MONOTONIC))?;
                }
                ToHost::Note(text) => self.note = String::from_utf8_lossy(text).into_owned(),
                said if frame.session == SESSION => self.local.take(said, out)?,
                _ => return Err(Damage::Session(frame.session)),
            }
        }
        Ok(())
    }

    fn signal(&mut self) -> Result<(), Error> {
        let Some(signals) = &self.signals else {
            return Ok(());
        };
        let mut info = [0u8; 128];
        syscalls::read(signals.at(), &mut info, Why("the signal decides what to do")).doing(DOING)?;
        match Taken::of(&info).signal {
            libc::SIGCHLD | libc::SIGURG | libc::SIGPIPE | libc::SIGXFSZ => {}
            libc::SIGWINCH if self.local.has_terminal() => {
                if let Some(size) = local::size() {
                    ToGuest::Size(size).put(SESSION, &mut self.link.out);
                }
            }
            signal => ToGuest::Signal(signal).put(SESSION, &mut self.link.out),
        }
        Ok(())
    }
}
