//! The specification's words, and the numbers that the kernel gives them. May touch: serde.

use alloc::string::String;
use serde::Deserialize;

/// In the kernel's order (linux/capability.h): the index is the number.
pub const CAPABILITIES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// In the kernel's order (asm-generic/resource.h): the index is the number.
pub const RLIMITS: [&str; 16] = [
    "RLIMIT_CPU",
    "RLIMIT_FSIZE",
    "RLIMIT_DATA",
    "RLIMIT_STACK",
    "RLIMIT_CORE",
    "RLIMIT_RSS",
    "RLIMIT_NPROC",
    "RLIMIT_NOFILE",
    "RLIMIT_MEMLOCK",
    "RLIMIT_AS",
    "RLIMIT_LOCKS",
    "RLIMIT_SIGPENDING",
    "RLIMIT_MSGQUEUE",
    "RLIMIT_NICE",
    "RLIMIT_RTPRIO",
    "RLIMIT_RTTIME",
];

pub fn capability_number(name: &str) -> Option<u32> {
    CAPABILITIES
        .iter()
        .position(|known| *known == name)
        .map(|i| i as u32)
}

pub fn rlimit_number(name: &str) -> Option<u32> {
    RLIMITS
        .iter()
        .position(|known| *known == name)
        .map(|i| i as u32)
}

/// The kinds of namespaces (config-linux.md, "Namespaces").
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

impl Default for NamespaceKind {
    fn default() -> NamespaceKind {
        NamespaceKind::Unknown(String::new())
    }
}

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
    pub fn word(&self) -> &str {
        match self {
            NamespaceKind::Unknown(word) => word,
            kind => KINDS
                .iter()
                .find(|(_, known)| known == kind)
                .map_or("", |(word, _)| word),
        }
    }

    /// Whether a container can be put into a new one of this kind yet.
    pub fn supported(&self) -> bool {
        !matches!(
            self,
            NamespaceKind::User | NamespaceKind::Time | NamespaceKind::Unknown(_)
        )
    }
}

/// The words of those that are supported, for the `features` document.
pub fn supported_namespaces() -> impl Iterator<Item = &'static str> {
    KINDS
        .into_iter()
        .filter(|(_, kind)| kind.supported())
        .map(|(word, _)| word)
}

/// What `spec` writes.
pub const DEFAULT: &str = include_str!("default.json");
