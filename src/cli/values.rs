//! The values that options take, and the error for any other word.
//!
//! May touch: strings, and the names of signals.

use crate::spec;
use argh::EarlyExit;

/// An option that takes one of a few words: its type, and the function that reads the word.
macro_rules! choice {
    ($(#[$doc:meta])* $read:ident, $what:literal: enum $name:ident { $($(#[$of:meta])* $variant:ident = $word:literal),+ }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $name { $($(#[$of])* $variant),+ }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word),+];
        }

        pub fn $read(word: &str) -> Result<$name, String> {
            choose($what, &[$(($word, $name::$variant)),+], word)
        }
    };
}

choice! {
    /// How a trace is shown.
    #[derive(Default)]
    format, "trace format": enum Format { #[default] Text = "text", Strace = "strace", Json = "json" }
}
choice! {
    /// A trace as a picture.
    picture, "picture":
    enum Picture { Dot = "dot", Html = "html", Svg = "svg", Perfetto = "perfetto", Folded = "folded" }
}
choice! {
    /// Whether a view has colours.
    #[derive(Default)]
    color, "choice of colour": enum Color { #[default] Auto = "auto", Always = "always", Never = "never" }
}
choice! {
    /// Which calls of the container's program are recorded.
    watched, "choice of calls": enum Watched { Refused = "refused", All = "all" }
}
choice! {
    /// Before what `run --step` stops.
    steps, "kind of step": enum Steps { Lines = "lines", Sections = "sections" }
}
choice! { list_format, "list format": enum ListFormat { Table = "table", Json = "json" } }
choice! { inspect_format, "format": enum InspectFormat { Text = "text", Json = "json" } }
choice! { weight, "level": enum Weight { Low = "low", Medium = "medium", High = "high" } }
choice! { log_format, "log format": enum LogFormat { Text = "text", Json = "json" } }
choice! { log_level, "log level": enum Level { Debug = "debug", Info = "info", Warn = "warn", Error = "error" } }
choice! {
    /// What `mounts` does to a container's mounts.
    mounts_action, "action": enum MountsAction { Add = "add", Remove = "remove" }
}
choice! {
    cgroup_manager, "cgroup manager":
    enum CgroupManager { Cgroupfs = "cgroupfs", Systemd = "systemd", Disabled = "disabled" }
}
choice! { page, "man page": enum Page { Program = "program", Config = "config", Trace = "trace" } }
choice! { shell, "shell": enum Shell { Bash = "bash", Zsh = "zsh", Fish = "fish" } }
choice! {
    /// Where a container runs.
    mode, "mode": enum Mode { Container = "container", Vm = "vm" }
}
choice! {
    /// What carries out a machine's instructions: the processor, or QEMU.
    accel, "accelerator": enum Accel { Kvm = "kvm", Tcg = "tcg" }
}

choice! {
    /// How a machine gets the container's root.
    root_from, "kind of root":
    enum RootFrom {
        Initramfs = "initramfs", NineP = "9p", Virtiofs = "virtiofs", Erofs = "erofs", Squashfs = "squashfs", Ext4 = "ext4"
    }
}
choice! {
    /// A machine's network.
    #[derive(Default)]
    net, "network": enum Net { #[default] None = "none", User = "user" }
}

/// A port of the host that leads to one of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    pub host: u16,
    pub guest: u16,
    pub udp: bool,
}

/// HOST:GUEST, and `/udp` or `/tcp`.
pub fn publish(word: &str) -> Result<Publish, String> {
    let (ports, kind) = word.split_once('/').unwrap_or((word, "tcp"));
    let port = |text: &str| text.parse::<u16>().ok().filter(|port| *port > 0 && !text.starts_with('+'));
    let both = ports.split_once(':').and_then(|(host, guest)| Some((port(host)?, port(guest)?)));
    match (both, kind) {
        (Some((host, guest)), "tcp" | "udp") => Ok(Publish { host, guest, udp: kind == "udp" }),
        _ => no(word, "port to publish; write HOST:GUEST, as 8080:80, and /udp if it is for that"),
    }
}

/// A machine's memory.
pub fn mebibytes(word: &str) -> Result<u64, String> {
    match word.parse() {
        Ok(mib @ 16..=1_073_741_824) => Ok(mib),
        _ => no(word, "size of a memory; write a number of MiB, at least 16"),
    }
}

/// A machine's processors.
pub fn processors(word: &str) -> Result<u32, String> {
    match word.parse() {
        Ok(number @ 1..=255) => Ok(number),
        _ => no(word, "number of processors from 1 to 255"),
    }
}

/// What `trace` makes of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    View(Format),
    Picture(Picture),
}

impl Shown {
    pub const TEXT: Shown = Shown::View(Format::Text);
    pub const JSON: Shown = Shown::View(Format::Json);
}

impl Default for Shown {
    fn default() -> Shown {
        Shown::TEXT
    }
}

/// A view or a picture.
pub fn shown(word: &str) -> Result<Shown, String> {
    if let Ok(picture) = picture(word) {
        return Ok(Shown::Picture(picture));
    }
    let words = [Format::WORDS, Picture::WORDS].concat();
    format(word)
        .map(Shown::View)
        .map_err(|_| marked(&format!("{} is no trace format; write {}", quoted(word), either(&words))))
}

/// Where log lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTo {
    File(String),
    /// With this identifier; empty: the container's id.
    Journald(String),
    Syslog(String),
}

/// Marks where our sentence begins inside argh's, which repeats the raw word before it. A word cannot hold a second mark,
/// since `quoted` escapes control characters.
const MARK: char = '\u{1}';

/// Takes our own sentence out of argh's error.
pub fn sentence(output: &str) -> String {
    let ours = output.rsplit(MARK).next().unwrap_or(output).trim_end();
    ours.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Marks a sentence for `sentence` to find.
pub fn marked(problem: &str) -> String {
    format!("{MARK}{problem}")
}

/// The error of a check that follows argh's.
pub fn refuse<T>(problem: &str) -> Result<T, EarlyExit> {
    Err(marked(problem).into())
}

/// Refuses the first of these options that was given.
pub fn refuse_given(options: &[(&str, bool)], problem: impl Fn(&str) -> String) -> Result<(), EarlyExit> {
    match options.iter().find(|(_, given)| *given) {
        Some((name, _)) => refuse(&problem(name)),
        None => Ok(()),
    }
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
    no(word, &format!("{what}; write {}", either(&names)))
}

/// `a, b or c`.
fn either(words: &[&str]) -> String {
    match words {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => words.concat(),
    }
}

/// The word is not what the option takes.
fn no<T>(word: &str, what: &str) -> Result<T, String> {
    Err(marked(&format!("{} is no {what}", quoted(word))))
}

/// crun's words, `BACKEND:WHERE`. Any other word is a path, also one with colons: the directories in which
/// engines put the log can have colons in their names.
pub fn log(word: &str) -> Result<LogTo, String> {
    Ok(match word.split_once(':') {
        Some(("journald", name)) => LogTo::Journald(name.into()),
        Some(("syslog", name)) => LogTo::Syslog(name.into()),
        Some(("file", path)) => LogTo::File(path.into()),
        _ => LogTo::File(word.into()),
    })
}

/// Engines also write `warning`.
pub fn level(word: &str) -> Result<Level, String> {
    log_level(if word.eq_ignore_ascii_case("warning") { "warn" } else { word })
}

/// The path of a unix socket that can be reached.
pub fn socket(word: &str) -> Result<String, String> {
    match spec::socket_fits(word) {
        true => Ok(word.into()),
        false => Err(marked(&format!("the path of the socket {}", spec::SOCKET_TOO_LONG))),
    }
}

/// runc's words. With `auto` it depends on the caller.
pub fn rootless(word: &str) -> Result<Option<bool>, String> {
    let choices = [("auto", None), ("false", Some(false)), ("true", Some(true))];
    choose("value of --rootless", &choices, word)
}

/// A number that may be -1.
pub fn whole(word: &str) -> Result<i64, String> {
    word.parse().or_else(|_| no(word, "whole number"))
}

/// Bytes: a number, and after it k, m, g or t for powers of 1024.
pub fn bytes(word: &str) -> Result<i64, String> {
    let lower = word.to_ascii_lowercase();
    let number = lower.trim_end_matches("ib").trim_end_matches('b');
    let units = [("k", 10), ("m", 20), ("g", 30), ("t", 40)];
    let unit = units.iter().find_map(|(unit, shift)| Some((number.strip_suffix(unit)?, *shift)));
    let (digits, shift) = unit.unwrap_or((number, 0));
    let bytes = digits.parse::<i64>().ok();
    let bytes = bytes.and_then(|bytes| bytes.checked_mul(1 << shift));
    bytes.map_or_else(|| no(word, "number of bytes; write 536870912, 512m or 1g"), Ok)
}

/// How many bytes all kept traces together may take by default.
pub const TRACE_LIMIT: u64 = 64 << 20;

/// The limit as it is written.
pub fn trace_limit(word: &str) -> Result<u64, String> {
    let limit = bytes(word)?;
    u64::try_from(limit).map_err(|_| marked("a limit is not negative; write 64m, or 0 to keep no traces"))
}

/// Milliseconds, from a time as Go writes it: 500ms, 5s, 1m30s.
pub fn duration(word: &str) -> Result<u64, String> {
    let (mut rest, mut total) = (word, Some(0u64));
    while let (Some(sum), false) = (total, rest.is_empty()) {
        let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        let number: Option<u64> = rest[..rest.len() - after.len()].parse().ok();
        let units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000)];
        let unit = units.iter().find_map(|(unit, ms)| Some((after.strip_prefix(unit)?, *ms)));
        let (next, ms) = unit.unwrap_or(("", 0));
        total = number.filter(|_| ms > 0).and_then(|number| number.checked_mul(ms)?.checked_add(sum));
        rest = next;
    }
    match total {
        None => no(word, "time; write 500ms, 5s or 1m30s"),
        Some(0) => Err(marked("a time of 0 would print without end")),
        Some(total) => Ok(total),
    }
}

/// Which trace of an id, counted from the newest.
pub fn run(word: &str) -> Result<usize, String> {
    match word.parse() {
        Ok(run @ 1..=9999) => Ok(run),
        _ => no(word, "number of a trace; 1 is the newest of its ID, 2 the one before"),
    }
}

/// How often a bundle is run.
pub fn times(word: &str) -> Result<usize, String> {
    match word.parse() {
        Ok(times @ 2..=9999) => Ok(times),
        _ => no(word, "number of runs from 2 to 9999"),
    }
}

/// Lines of a plan: 41, or 36-46.
pub fn lines(word: &str) -> Result<(u16, u16), String> {
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    match (first.parse(), last.parse()) {
        (Ok(first @ 1..), Ok(last)) if first <= last => Ok((first, last)),
        _ => no(word, "line of a plan: 41, or lines, as 36-46"),
    }
}

pub fn descriptors(word: &str) -> Result<u32, String> {
    let problem = |_| marked(&format!("--preserve-fds takes a number, not {}", quoted(word)));
    word.parse().map_err(problem)
}

/// An id of a user or group: digits alone, so that a name can never be taken for root. The highest number is no id.
pub fn number(word: &str) -> Result<u32, String> {
    let digits = !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    match word.parse::<u32>() {
        Ok(id) if digits && id != u32::MAX => Ok(id),
        _ => no(word, &format!("id: write a number, below {}", u32::MAX)),
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
    match spec::capability_number(word) {
        Some(_) => Ok(word.into()),
        None => no(word, "capability; their names are like CAP_NET_ADMIN (capabilities(7))"),
    }
}

/// Second names of some signals.
const SYNONYMS: [(&str, i32); 3] = [("IOT", libc::SIGABRT), ("CLD", libc::SIGCHLD), ("POLL", libc::SIGIO)];
/// glibc keeps 32 and 33 for itself, so RTMIN means 34.
const RTMIN: i32 = 34;
const RTMAX: i32 = 64;

/// A number, or a name with or without SIG, in any case. 0 asks whether the container is there.
pub fn signal(word: &str) -> Result<i32, String> {
    let upper = word.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let number = match word.starts_with(|c: char| c.is_ascii_digit()) {
        true => word.parse().ok().filter(|number| *number <= RTMAX),
        false => named(name),
    };
    number.map_or_else(|| no(word, &format!("signal; write a number up to {RTMAX}, TERM or RTMIN+3")), Ok)
}

/// `RTMIN`, `RTMIN+3`, `RTMAX` and `RTMAX-1` are names too: systemd's images stop on one.
fn named(name: &str) -> Option<i32> {
    let synonym = || SYNONYMS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
    if let Some(number) = syscalls::flags::signal_number(name).or_else(synonym) {
        return Some(number);
    }
    let distance = |digits: &str, sign| {
        let digits = if digits.is_empty() { "0" } else { digits.strip_prefix(sign)? };
        let plain = digits.bytes().all(|b| b.is_ascii_digit());
        digits.parse().ok().filter(|&n: &i32| plain && n <= RTMAX - RTMIN)
    };
    match (name.strip_prefix("RTMIN"), name.strip_prefix("RTMAX")) {
        (Some(digits), _) => Some(RTMIN + distance(digits, '+')?),
        (_, Some(digits)) => Some(RTMAX - distance(digits, '-')?),
        _ => None,
    }
}
