//! The values that options take, and the sentences said when a word is none of them.
//!
//! May touch: strings, and libc's signal numbers.

use crate::spec;
use alloc::{format, string::String, vec::Vec};

/// How a trace is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Text,
    Strace,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    Text,
    Json,
}

/// What becomes of a container's mounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MountsAction {
    Add,
    Remove,
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTo {
    File(String),
    /// With this identifier; empty: the container's id.
    Journald(String),
    Syslog(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupManager {
    Cgroupfs,
    Systemd,
    Disabled,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListFormat {
    Table,
    Json,
}

/// Where a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Container,
    Vm,
}

/// Who carries out a machine's instructions: the processor, or QEMU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accel {
    Kvm,
    Tcg,
}

/// Stands in front of our sentence inside argh's, which repeats the raw word before it. No word
/// can forge it in the sentence proper: `quoted` lets no control character through.
const MARK: char = '\u{1}';

/// Our own sentence out of argh's error.
pub fn sentence(output: &str) -> String {
    let ours = output.rsplit(MARK).next().unwrap_or(output).trim_end();
    ours.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Makes a sentence one that `sentence` finds again.
pub fn marked(problem: &str) -> String {
    format!("{MARK}{problem}")
}

/// A word as error texts show it: on one line, whatever it holds.
pub fn quoted(word: &str) -> String {
    let mut text = String::from("`");
    for c in word.chars() {
        if c.is_control() {
            text.extend(c.escape_default());
        } else {
            text.push(c);
        }
    }
    text.push('`');
    text
}

fn choose<T: Copy>(what: &str, choices: &[(&str, T)], word: &str) -> Result<T, String> {
    if let Some((_, value)) = choices.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)) {
        return Ok(*value);
    }
    let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
    let names = names.join(", ");
    let names = match names.rsplit_once(", ") {
        Some((others, last)) => format!("{others} or {last}"),
        None => names,
    };
    let word = quoted(word);
    Err(marked(&format!("{word} is no {what}; write {names}")))
}

pub fn format(word: &str) -> Result<Format, String> {
    let choices = [("text", Format::Text), ("strace", Format::Strace), ("json", Format::Json)];
    choose("trace format", &choices, word)
}

pub fn list_format(word: &str) -> Result<ListFormat, String> {
    choose("list format", &[("table", ListFormat::Table), ("json", ListFormat::Json)], word)
}

pub fn mounts_action(word: &str) -> Result<MountsAction, String> {
    let choices = [("add", MountsAction::Add), ("remove", MountsAction::Remove)];
    choose("action", &choices, word)
}

/// crun's words, `BACKEND:WHERE`. Any other word is a path, whatever colons are in it: engines name the log by a container's
/// directory.
pub fn log(word: &str) -> Result<LogTo, String> {
    Ok(match word.split_once(':') {
        Some(("journald", name)) => LogTo::Journald(name.into()),
        Some(("syslog", name)) => LogTo::Syslog(name.into()),
        Some(("file", path)) => LogTo::File(path.into()),
        _ => LogTo::File(word.into()),
    })
}

pub fn log_format(word: &str) -> Result<LogFormat, String> {
    choose("log format", &[("text", LogFormat::Text), ("json", LogFormat::Json)], word)
}

pub fn level(word: &str) -> Result<Level, String> {
    if word.eq_ignore_ascii_case("warning") {
        return Ok(Level::Warn);
    }
    let choices = [("debug", Level::Debug), ("info", Level::Info), ("warn", Level::Warn), ("error", Level::Error)];
    choose("log level", &choices, word)
}

pub fn cgroup_manager(word: &str) -> Result<CgroupManager, String> {
    let choices = [
        ("cgroupfs", CgroupManager::Cgroupfs),
        ("systemd", CgroupManager::Systemd),
        ("disabled", CgroupManager::Disabled),
    ];
    choose("cgroup manager", &choices, word)
}

pub fn mode(word: &str) -> Result<Mode, String> {
    choose("mode", &[("container", Mode::Container), ("vm", Mode::Vm)], word)
}

pub fn accel(word: &str) -> Result<Accel, String> {
    choose("accelerator", &[("kvm", Accel::Kvm), ("tcg", Accel::Tcg)], word)
}

/// The path of a unix socket that can be reached.
pub fn socket(word: &str) -> Result<String, String> {
    match spec::socket_fits(word) {
        true => Ok(word.into()),
        false => Err(marked(&format!("the path of the socket {}", spec::SOCKET_TOO_LONG))),
    }
}

/// runc's words: `auto` leaves it to who the caller is.
pub fn rootless(word: &str) -> Result<Option<bool>, String> {
    let choices = [("auto", None), ("false", Some(false)), ("true", Some(true))];
    choose("value of --rootless", &choices, word)
}

/// A number that may be -1.
pub fn whole(word: &str) -> Result<i64, String> {
    word.parse().map_err(|_| marked(&format!("{} is no whole number", quoted(word))))
}

/// Bytes: a number, with k, m, g or t for powers of 1024 behind it.
pub fn bytes(word: &str) -> Result<i64, String> {
    let lower = word.to_ascii_lowercase();
    let number = lower.trim_end_matches("ib").trim_end_matches('b');
    let units = [("k", 10), ("m", 20), ("g", 30), ("t", 40)];
    let unit = units.iter().find_map(|(unit, shift)| Some((number.strip_suffix(unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((number, 0));
    let bytes = digits.parse::<i64>().ok();
    bytes.and_then(|bytes| bytes.checked_mul(1 << shift)).ok_or_else(|| {
        let word = quoted(word);
        marked(&format!("{word} is no number of bytes; write 536870912, 512m or 1g"))
    })
}

/// What all kept traces together may take, unless told otherwise.
pub const TRACE_LIMIT: u64 = 64 << 20;

/// The same, as it is written.
pub fn trace_limit(word: &str) -> Result<u64, String> {
    let limit = bytes(word)?;
    u64::try_from(limit).map_err(|_| marked("a limit is not negative; write 64m, or 0 to keep no traces"))
}

/// Milliseconds, from a time as Go writes it: 500ms, 5s, 1m30s.
pub fn duration(word: &str) -> Result<u64, String> {
    let problem = || {
        let word = quoted(word);
        marked(&format!("{word} is no time; write 500ms, 5s or 1m30s"))
    };
    let (mut rest, mut total) = (word, 0u64);
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(problem)?;
        let number: u64 = rest[..digits].parse().map_err(|_| problem())?;
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
        let unit = units.iter().find_map(|(unit, ms)| Some((rest[digits..].strip_prefix(unit)?, *ms)));
        let (behind, ms) = unit.ok_or_else(problem)?;
        let part = number.checked_mul(ms).ok_or_else(problem)?;
        total = total.checked_add(part).ok_or_else(problem)?;
        rest = behind;
    }
    match total {
        0 => Err(marked("a time of 0 would print without end")),
        total => Ok(total),
    }
}

pub fn descriptors(word: &str) -> Result<u32, String> {
    let problem = |_| marked(&format!("--preserve-fds takes a number, not {}", quoted(word)));
    word.parse().map_err(problem)
}

/// An id of a user or group: digits alone, so that a name can never be taken for root; the last number means none.
pub fn number(word: &str) -> Result<u32, String> {
    let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match word.parse::<u32>() {
        Ok(id) if digits && id != u32::MAX => Ok(id),
        _ => Err(marked(&format!("{} is no id: write a number, below {}", quoted(word), u32::MAX))),
    }
}

/// UID or UID:GID.
pub fn user(word: &str) -> Result<(u32, Option<u32>), String> {
    match word.split_once(':') {
        Some((uid, gid)) => Ok((number(uid)?, Some(number(gid)?))),
        None => Ok((number(word)?, None)),
    }
}

/// The name of a capability, as config.json has it.
pub fn capability(word: &str) -> Result<String, String> {
    match crate::spec::capability_number(word) {
        Some(_) => Ok(word.into()),
        None => Err(marked(&format!(
            "{} is no capability; their names are like CAP_NET_ADMIN (capabilities(7))",
            quoted(word)
        ))),
    }
}

/// glibc keeps 32 and 33 for itself, so RTMIN is 34 to everyone who writes the name.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

const SIGNALS: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGIOT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGPOLL),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// A number, or a name with or without SIG, in any case. 0 asks whether the container is there.
pub fn signal(word: &str) -> Result<i32, String> {
    let problem = || {
        let word = quoted(word);
        marked(&format!("{word} is no signal; write a number up to {RTMAX}, TERM or RTMIN+3"))
    };
    if word.starts_with(|c: char| c.is_ascii_digit()) {
        let number = word.parse().map_err(|_| problem())?;
        return if number <= RTMAX { Ok(number) } else { Err(problem()) };
    }
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Some((_, number)) = SIGNALS.iter().find(|(known, _)| *known == name) {
        return Ok(*number);
    }
    realtime(name).ok_or_else(problem)
}

/// `RTMIN`, `RTMIN+3`, `RTMAX`, `RTMAX-1`: systemd images name their stop signal so.
fn realtime(name: &str) -> Option<i32> {
    if name == "RTMIN" {
        return Some(RTMIN);
    }
    if name == "RTMAX" {
        return Some(RTMAX);
    }
    let distance = |digits: &str| {
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|&n: &i32| plain && n <= RTMAX - RTMIN)
    };
    if let Some(digits) = name.strip_prefix("RTMIN+") {
        return Some(RTMIN + distance(digits)?);
    }
    Some(RTMAX - distance(name.strip_prefix("RTMAX-")?)?)
}
