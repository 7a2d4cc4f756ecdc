//! How an op ends, in which lane it was, and the error type: what all rooms have in common. `say` puts it into words.
//! May touch: the recorder, to read the record of a call that failed.

use alloc::borrow::Cow;
use core::fmt::Display;
use syscalls::{Failed, record};

/// The processes that carry out lines of a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Lane {
    Host = 0,
    Init = 1,
    /// Between the two: it joins the namespaces into which init must be born, since no process can move itself there.
    Bridge = 2,
    // Helpers: a hook in the runtime's namespaces, a hook in the container's, the holder of a mapping.
    Hook = 3,
    InnerHook = 4,
    Holder = 5,
    /// A process beside the container's, which sees the calls of its program.
    Watcher = 6,
    /// The container's program, and all that it starts: not this program's own calls.
    Program = 7,
    /// `run --step`: a process that asks the person at the terminal.
    Stepper = 8,
}

/// Of the lane of a record: it is one in a machine of its own.
pub const OF_MACHINE: u8 = 0x40;

/// What [`Trouble::Hook`] holds in place of an exit status: this plus a signal, or this after a timeout.
pub const SIGNALLED: i32 = 256;
pub const TIMED_OUT: i32 = -1;

/// Findings that are no errno. The text is for the line that says what failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Check {
    CwdOutside,
    NotTheNullDevice,
    OtherDevice,
    TooLong,
    DataTooLong,
    ProgramNotFound,
    NoCgroup2,
    InitVanished,
    OutOfMemory,
    LinkInTheWay,
    TooDeep,
    NoSelinux,
    NoApparmor,
    NoResctrl,
    NobodyTook,
    NameTaken,
    NoDevpts,
    OwnNamespace,
    /// The lanes keep what systemd said.
    Systemd,
    CgroupFrozen,
    CgroupPopulated,
    Interrupted,
    WatcherVanished,
    StepEnded,
    StepperVanished,
}

impl Check {
    pub const ALL: [(Check, &'static str); 25] = [
        (Check::CwdOutside, "the current directory lies outside the root of the container"),
        (Check::NotTheNullDevice, "/dev/null of the rootfs is not the null device (character device 1:3)"),
        (Check::OtherDevice, "another file stands there already: not the device that was asked for"),
        (Check::TooLong, "the path has more than 4095 bytes once its links are followed"),
        (Check::DataTooLong, "the mount's data has more than the 4095 bytes that the kernel takes"),
        (Check::ProgramNotFound, "executable file not found in $PATH"),
        (
            Check::NoCgroup2,
            "no cgroup2 hierarchy is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified, and none can be mounted",
        ),
        (Check::InitVanished, "the container's first process was killed before it could say why"),
        (Check::OutOfMemory, "the kernel killed the container's first process: it had no more memory"),
        (Check::LinkInTheWay, "a symbolic link stands where a real directory is needed"),
        (Check::TooDeep, "directories lie more than 64 deep in each other"),
        (Check::NoSelinux, "this kernel runs without SELinux"),
        (Check::NoApparmor, "this kernel runs without AppArmor"),
        (Check::NoResctrl, "no resctrl file system is mounted at /sys/fs/resctrl"),
        (Check::NobodyTook, "the runtime did not take the seccomp listener"),
        (Check::NameTaken, "the container's network namespace has an interface of that name already"),
        (Check::NoDevpts, "what is mounted at /dev/pts of the container is no devpts"),
        (Check::OwnNamespace, "it is the runtime's own namespace, and names, settings or mounts would change the host"),
        (Check::Systemd, "systemd did not do it"),
        (
            Check::CgroupFrozen,
            "container's cgroup unexpectedly frozen: by itself or by a cgroup above it, so that nothing would run there",
        ),
        (Check::CgroupPopulated, "container's cgroup is not empty: processes of others are in it or below it"),
        (Check::Interrupted, "a signal (TERM, INT or HUP) ended the wait for another process"),
        (Check::WatcherVanished, "the watcher was killed before it could trace the program"),
        (Check::StepEnded, "ended at the prompt of --step: nothing of the container is left"),
        (Check::StepperVanished, "the process that shows the prompt of --step was killed"),
    ];

    /// Whether its text says what could not be done.
    pub fn says_all(self) -> bool {
        matches!(
            self,
            Check::InitVanished
                | Check::OutOfMemory
                | Check::CgroupFrozen
                | Check::CgroupPopulated
                | Check::Interrupted
                | Check::NoSelinux
                | Check::NoApparmor
                | Check::NoResctrl
        )
    }

    pub fn text(self) -> &'static str {
        Check::ALL.iter().find(|(check, _)| *check == self).map_or("", |(_, text)| text)
    }
}

/// Why an op could not be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    Call(Failed),
    Check(Check),
    /// How a hook ended: an exit status, [`SIGNALLED`] plus a signal, or [`TIMED_OUT`].
    Hook(i32),
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Trouble {
        Trouble::Call(failed)
    }
}

/// A plan that could not be carried out to its end: at which line, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped {
    pub lane: Lane,
    pub line: u16,
    pub trouble: Trouble,
}

pub type Done<T = ()> = Result<T, Trouble>;

/// What is wrong with a configuration.
#[derive(PartialEq, Eq, Debug)]
pub struct Problem {
    /// A JSON pointer (RFC 6901); empty: the document as a whole.
    pub pointer: String,
    pub problem: String,
}

/// Why a command failed. It is made where something fails, and `main` tells it once.
#[derive(Debug)]
pub enum Error {
    /// The command line. After a `; ` stands what to do.
    Usage(String),
    /// The configuration: which file, where in it, and what.
    Spec { file: String, problem: Problem },
    /// A container is not what the command needs; clients of runc look for these words. After a `; ` stands what to do.
    State(String),
    /// A system call, a line of a plan, or a hook.
    Call(Box<Told>),
    /// A command that works on several containers: the first error, and for which others it failed.
    Several(Box<Error>, String),
    /// The reader of standard output has gone, as `head` does: it wants no more, so nothing is said.
    Unread,
}

/// A failure in words, made while the recorder still held the call.
#[derive(Debug)]
pub struct Told {
    /// Half a sentence: what could not be done, or what stands in the way.
    pub cause: String,
    /// Where that stands: a property, an option, a file, a fact of the host. Empty: it is not known.
    pub place: String,
    /// What could not be done, if a look has found the cause: clients look for these words.
    pub step: String,
    /// The call with its arguments and the errno, and the line of the plan.
    pub call: String,
    /// The purpose of the call.
    pub why: String,
    pub advice: Advice,
    /// The call and its errno, for `explain`.
    pub failed: Option<Failed>,
    /// The place of the call's record ([`Failed::at`]).
    pub at: u32,
}

/// What to try.
#[derive(Clone, Debug)]
pub enum Advice {
    /// What usually helps after such a failure.
    Usual(Failed),
    Text(&'static str),
    /// What helps against the cause that a look has found.
    Found(String),
}

impl Told {
    /// A failure without a call.
    pub fn of(cause: impl Into<String>, place: impl Into<String>, advice: Advice) -> Told {
        let (cause, place) = (cause.into(), place.into());
        let [step, call, why] = [const { String::new() }; 3];
        Told { cause, place, step, call, why, advice, failed: None, at: record::NOWHERE }
    }

    /// The same with the call that failed.
    pub fn by(self, failed: Failed) -> Told {
        let (call, why) = show(failed);
        let why = if why.is_empty() { self.why } else { why };
        Told { call, why, failed: Some(failed), at: failed.at, ..self }
    }
}

/// The error of a call that failed outside of any plan. `doing` says what it was part of.
pub fn at(doing: impl Display, failed: Failed) -> Error {
    Error::Call(Box::new(Told::of(cannot(doing, failed), "", Advice::Usual(failed)).by(failed)))
}

/// What could not be done, and the kernel's answer.
pub fn cannot(doing: impl Display, failed: Failed) -> String {
    format!("cannot {doing}: {}", failed.errno.text().to_lowercase())
}

impl Error {
    /// The same error, with the place of its cause: an option, a file, a fact of the host.
    pub fn placed(self, place: impl Into<String>) -> Error {
        match self {
            Error::Call(told) => Error::Call(Box::new(Told { place: place.into(), ..*told })),
            error => error,
        }
    }

    /// The same error, with this cure.
    pub fn cured(self, cure: &'static str) -> Error {
        match self {
            Error::Call(told) => Error::Call(Box::new(Told { advice: Advice::Text(cure), ..*told })),
            error => error,
        }
    }
}

/// The same for the result of a call.
pub trait Doing<T> {
    fn doing(self, what: impl Display) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, Failed> {
    fn doing(self, what: impl Display) -> Result<T, Error> {
        self.map_err(|failed| at(what, failed))
    }
}

/// The most bytes of a part of a message, if a document or a path decides its length.
pub const PART: usize = 512;

/// A text in at most about this many bytes. Its beginning and its end stay, since causes stand there.
pub fn bounded(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    // The words in between fit as well, so a text that was bounded once stays as it is.
    let room = most.saturating_sub(48);
    let (mut begin, mut end) = (room * 3 / 5, text.len() - room * 2 / 5);
    while !text.is_char_boundary(begin) {
        begin -= 1;
    }
    while !text.is_char_boundary(end) {
        end += 1;
    }
    let (left, begin, end) = (end - begin, &text[..begin], &text[end..]);
    Cow::Owned(format!("{begin} [{left} bytes left out] {end}"))
}

/// A text in at most so many characters: its beginning and its end.
pub fn middle(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.into();
    }
    let room = most.saturating_sub(3);
    let begin: String = text.chars().take(room / 2).collect();
    let end: String = text.chars().skip(count - (room - room / 2)).collect();
    format!("{begin}...{end}")
}

/// A text that forges no line: control characters, and those that change the direction of a line, are escaped.
pub fn visible(text: &str) -> Cow<'_, str> {
    let turns =
        |c| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let hides = |c: char| c.is_control() || turns(c);
    // Most texts are of letters without accents, of which a look at the bytes tells.
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) || !text.contains(hides) {
        return Cow::Borrowed(text);
    }
    let mut all = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        match hides(c) {
            true => all.extend(c.escape_default()),
            false => all.push(c),
        }
    }
    Cow::Owned(all)
}

/// A word of the command line, for one line of an error.
pub fn short(word: &str) -> String {
    word.chars().take(40).flat_map(char::escape_default).collect()
}

/// A call that failed, as the trace shows it; and its why.
pub fn show(failed: Failed) -> (String, String) {
    let end = format!(" = -1 {} ({})", failed.errno.name(), failed.errno.text());
    let Some(record) = record::find(failed.at).filter(|record| record.call == failed.call) else {
        return (format!("{}{end}", failed.call.name()), String::new());
    };
    let mut text = String::new();
    let _ = syscalls::show::call(&record, &mut text);
    if record.ret >= 0 {
        text.push_str(": the answer"); // netlink accepts a request, and refuses it in its answer
    }
    (bounded(&(text + &end), 2 * PART).into_owned(), record.why().to_string())
}

/// The call at a place of the recorder, with its result.
pub fn show_at(at: u32) -> Option<String> {
    let mut text = String::new();
    let _ = syscalls::show::whole(&record::find(at)?, &mut text);
    Some(bounded(&text, 2 * PART).into_owned())
}
