//! `linux.namespaces`, and what belongs to a namespace: names of the machine, offsets of clocks, sysctl
//! (config-linux.md, "Namespaces", "Offset for Time Namespace", "Sysctl"). May touch: serde.

use super::rules::{absolute, text};
use super::schema::{At, Checked, Property, Row, schema};
use super::types::leaves;
use alloc::collections::BTreeMap;
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
    at.refuse(*nanoseconds >= 1_000_000_000, || format!("{nanoseconds} is a second or more"))
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

/// The word of each kind.
const KINDS: [(&str, NamespaceKind); 8] = [
    ("cgroup", NamespaceKind::Cgroup),
    ("ipc", NamespaceKind::Ipc),
    ("mount", NamespaceKind::Mount),
    ("network", NamespaceKind::Network),
    ("pid", NamespaceKind::Pid),
    ("time", NamespaceKind::Time),
    ("user", NamespaceKind::User),
    ("uts", NamespaceKind::Uts),
];

impl From<String> for NamespaceKind {
    fn from(word: String) -> NamespaceKind {
        let known = KINDS.into_iter().find(|(name, _)| *name == word);
        known.map_or(NamespaceKind::Unknown(word), |(_, kind)| kind)
    }
}

impl NamespaceKind {
    /// Empty for an unknown kind.
    pub fn word(&self) -> &'static str {
        KINDS.iter().find(|(_, known)| known == self).map_or("", |(word, _)| word)
    }
}

/// The words of all kinds, for `features`.
pub fn supported_namespaces() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|(word, _)| word)
}

/// The namespace of that kind, if there is one.
pub fn find<'a>(namespaces: &'a [Namespace], kind: &NamespaceKind) -> Option<&'a Namespace> {
    namespaces.iter().find(|n| n.kind == *kind)
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

/// sethostname(2) takes 64 bytes, and without a uts namespace it would rename the host.
pub fn name_fits(name: Option<&str>, namespaces: &[Namespace], at: &At) -> Checked {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let own = find(namespaces, &NamespaceKind::Uts).is_some();
    at.refuse(!own, || "needs a new `uts` namespace in linux.namespaces: without one it would be the host's")?;
    at.refuse(name.len() > 64, || format!("has {} bytes: the kernel takes at most 64", name.len()))?;
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
    let new = find(namespaces, &NamespaceKind::Time).is_some_and(|n| n.joined().is_none());
    at.refuse(!offsets.0.is_empty() && !new, || "needs a new `time` namespace in linux.namespaces")
}

/// A key as a path below /proc/sys. sysctl(8) decides by the first separator: after a slash, slashes separate and dots
/// belong to names; after a dot it is the other way round.
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

/// A key must belong to a namespace of the container: any other would change the host.
pub fn sysctl_fits(key: &str, value: &str, namespaces: &[Namespace], at: &At) -> Checked {
    text(key, at)?;
    text(value, at)?;
    at.refuse(value.is_empty(), || "is empty: nothing would be written")?;
    let path = sysctl_path(key);
    let odd = path.split('/').any(|part| matches!(part, "" | "." | ".."));
    at.refuse(odd, || "is no sysctl key")?;
    let Some(kind) = sysctl_kind(key) else {
        at.refuse(path == "kernel/hostname", || "is set by `hostname`")?;
        return at.no("belongs to no namespace: it would change the whole machine");
    };
    let word = kind.word();
    let problem = || format!("needs a `{word}` namespace in linux.namespaces: without one it would be the host's");
    at.refuse(find(namespaces, &kind).is_none(), problem)
}
