//! `linux.namespaces`, and what belongs to a namespace: names of the machine, offsets of clocks, sysctl
//! (config-linux.md, "Namespaces", "Offset for Time Namespace", "Sysctl"). May touch: serde.

use super::rules::{absolute, text};
use super::schema::{At, Checked, Property, Row, leaves, schema};
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use serde::Deserialize;

schema! {
    Namespace {
        "type" kind: NamespaceKind => known_kind;
        /// Absent or empty: a new namespace.
        "path" path: Option<String> => absolute_or_empty;
    }

    /// What is added to a clock inside.
    #[derive(Clone, Copy)]
    TimeOffset {
        "secs" secs: i64;
        "nanosecs" nanosecs: u32 => below_a_second;
    }
}

impl Namespace {
    /// The path of the namespace to join; none for a new one.
    pub fn joined(&self) -> Option<&str> {
        self.path.as_deref().filter(|path| !path.is_empty())
    }
}

fn known_kind(kind: &NamespaceKind, at: &At) -> Checked {
    match kind {
        NamespaceKind::Unknown(word) => at.no(format!("`{word}` is no kind of namespace")),
        _ => Ok(()),
    }
}

fn absolute_or_empty(path: &str, at: &At) -> Checked {
    if path.is_empty() { Ok(()) } else { absolute(path, at) }
}

fn below_a_second(nanoseconds: &u32, at: &At) -> Checked {
    match *nanoseconds {
        0..=999_999_999 => Ok(()),
        more => at.no(format!("{more} is a second or more")),
    }
}

#[derive(Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(from = "String")]
pub enum NamespaceKind {
    Pid,
    Network,
    Ipc,
    Uts,
    Mount,
    Cgroup,
    User,
    Time,
    Unknown(String),
}

leaves! { NamespaceKind => NamespaceKind }

impl Default for NamespaceKind {
    fn default() -> NamespaceKind {
        NamespaceKind::Unknown(String::new())
    }
}

/// The word of each kind, and its bit for clone3, unshare and setns.
const KINDS: [(&str, NamespaceKind, u64); 8] = [
    ("cgroup", NamespaceKind::Cgroup, libc::CLONE_NEWCGROUP as u64),
    ("ipc", NamespaceKind::Ipc, libc::CLONE_NEWIPC as u64),
    ("mount", NamespaceKind::Mount, libc::CLONE_NEWNS as u64),
    ("network", NamespaceKind::Network, libc::CLONE_NEWNET as u64),
    ("pid", NamespaceKind::Pid, libc::CLONE_NEWPID as u64),
    ("time", NamespaceKind::Time, 0x80),
    ("user", NamespaceKind::User, libc::CLONE_NEWUSER as u64),
    ("uts", NamespaceKind::Uts, libc::CLONE_NEWUTS as u64),
];

impl From<String> for NamespaceKind {
    fn from(word: String) -> NamespaceKind {
        let known = KINDS.into_iter().find(|(name, ..)| *name == word);
        known.map_or(NamespaceKind::Unknown(word), |(_, kind, _)| kind)
    }
}

impl NamespaceKind {
    /// Empty for an unknown kind.
    pub fn word(&self) -> &'static str {
        KINDS.iter().find(|(_, known, _)| known == self).map_or("", |(word, ..)| word)
    }

    pub fn flag(&self) -> u64 {
        KINDS.iter().find(|(_, known, _)| known == self).map_or(0, |(.., flag)| *flag)
    }
}

/// The words of all kinds, for `features`.
pub fn supported_namespaces() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|(word, ..)| word)
}

/// The namespace of that kind, if there is one.
pub fn find<'a>(namespaces: &'a [Namespace], kind: &NamespaceKind) -> Option<&'a Namespace> {
    namespaces.iter().find(|n| n.kind == *kind)
}

/// A new namespace of that kind is among them.
fn is_new(namespaces: &[Namespace], kind: &NamespaceKind) -> bool {
    find(namespaces, kind).is_some_and(|n| n.joined().is_none())
}

/// No kind twice.
pub fn kinds_differ(namespaces: &[Namespace], at: &At) -> Checked {
    for (i, one) in namespaces.iter().enumerate() {
        if let Some(first) = namespaces[..i].iter().position(|other| other.kind == one.kind) {
            let (word, first) = (one.kind.word(), at.index(first).pointer());
            return at.index(i).no(format!("repeats the `{word}` namespace of {first}"));
        }
    }
    Ok(())
}

/// A name of the machine. sethostname(2) takes 64 bytes, and would name the host itself without a namespace.
pub fn name_fits(name: Option<&str>, namespaces: &[Namespace], at: &At) -> Checked {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    if find(namespaces, &NamespaceKind::Uts).is_none() {
        return at.no("needs a new `uts` namespace in linux.namespaces: without one it would be the host's");
    }
    if name.len() > 64 {
        return at.no(format!("has {} bytes: the kernel takes at most 64", name.len()));
    }
    text(name, at)
}

/// The offsets by clock.
#[derive(Deserialize, Default, Debug)]
#[serde(transparent)]
pub struct TimeOffsets(pub BTreeMap<String, TimeOffset>);

const CLOCKS: [&str; 2] = ["boottime", "monotonic"];

impl Property for TimeOffsets {
    const NULL: bool = true;
    const ROWS: &'static [Row] = &[Row::of::<TimeOffset>(CLOCKS[0]), Row::of::<TimeOffset>(CLOCKS[1])];
    type Leaf = TimeOffset;

    fn each(&self, at: &At, rule: &dyn Fn(&TimeOffset, &At) -> Checked) -> Checked {
        self.0.each(at, rule)
    }

    fn check(&self, at: &At) -> Checked {
        self.0.check(at)
    }
}

pub fn offsets_fit(offsets: &TimeOffsets, namespaces: &[Namespace], at: &At) -> Checked {
    if let Some(clock) = offsets.0.keys().find(|clock| !CLOCKS.contains(&clock.as_str())) {
        let at = at.key(clock);
        return at.no("is no clock of a time namespace: monotonic and boottime are (time_namespaces(7))");
    }
    match offsets.0.is_empty() || is_new(namespaces, &NamespaceKind::Time) {
        true => Ok(()),
        false => at.no("needs a new `time` namespace in linux.namespaces"),
    }
}

/// A key as a path below /proc/sys. As sysctl(8) has it: if the first separator is a slash, slashes part and dots are
/// part of names; otherwise the other way round.
pub fn sysctl_path(key: &str) -> String {
    let first = key.find(['.', '/']).map(|at| key.as_bytes()[at]);
    if first == Some(b'/') {
        return key.into();
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    key.chars().map(swap).collect()
}

/// The kind of namespace that a key belongs to.
pub fn sysctl_kind(key: &str) -> Option<NamespaceKind> {
    let path = sysctl_path(key);
    match path.strip_prefix("kernel/") {
        Some("msgmax" | "msgmnb" | "msgmni" | "sem" | "shmall" | "shmmax" | "shmmni") => Some(NamespaceKind::Ipc),
        Some("shm_rmid_forced" | "shm_next_id") => Some(NamespaceKind::Ipc),
        Some("domainname") => Some(NamespaceKind::Uts),
        Some(_) => None,
        None if path.starts_with("fs/mqueue/") => Some(NamespaceKind::Ipc),
        None if path.starts_with("net/") => Some(NamespaceKind::Network),
        None if path.starts_with("user/") => Some(NamespaceKind::User),
        None => None,
    }
}

/// Only what belongs to a namespace of the container's own may be set: the rest is the host's.
pub fn sysctl_fits(key: &str, value: &str, namespaces: &[Namespace], at: &At) -> Checked {
    text(key, at)?;
    text(value, at)?;
    if value.is_empty() {
        return at.no("is empty: nothing would be written");
    }
    let path = sysctl_path(key);
    if path.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return at.no("is no sysctl key");
    }
    match sysctl_kind(key) {
        None if path == "kernel/hostname" => at.no("is set by `hostname`"),
        None => at.no("belongs to no namespace: it would change the whole machine"),
        Some(kind) if find(namespaces, &kind).is_none() => at
            .no(format!("needs a `{}` namespace in linux.namespaces: without one it would be the host's", kind.word())),
        Some(_) => Ok(()),
    }
}
