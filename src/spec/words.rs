//! The specification's words, and the numbers that the kernel gives them. May touch: serde.

use alloc::format;
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
    CAPABILITIES.iter().position(|known| *known == name).map(|i| i as u32)
}

pub fn rlimit_number(name: &str) -> Option<u32> {
    RLIMITS.iter().position(|known| *known == name).map(|i| i as u32)
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
            kind => KINDS.iter().find(|(_, known)| known == kind).map_or("", |(word, _)| word),
        }
    }

    /// The same, for as long as the program runs; empty for one that is unknown.
    pub fn static_word(&self) -> &'static str {
        let known = KINDS.iter().find(|(_, known)| known == self);
        known.map_or("", |(word, _)| word)
    }

    /// Its bit for clone3, unshare and setns.
    pub fn flag(&self) -> u64 {
        let bit = match self {
            NamespaceKind::Pid => libc::CLONE_NEWPID,
            NamespaceKind::Network => libc::CLONE_NEWNET,
            NamespaceKind::Ipc => libc::CLONE_NEWIPC,
            NamespaceKind::Uts => libc::CLONE_NEWUTS,
            NamespaceKind::Mount => libc::CLONE_NEWNS,
            NamespaceKind::Cgroup => libc::CLONE_NEWCGROUP,
            NamespaceKind::User => libc::CLONE_NEWUSER,
            NamespaceKind::Time => 0x80,
            NamespaceKind::Unknown(_) => 0,
        };
        bit as u64
    }
}

/// The words of those that are supported, for the `features` document.
pub fn supported_namespaces() -> impl Iterator<Item = &'static str> {
    KINDS.into_iter().map(|(word, _)| word)
}

/// The scheduling policies (config.md, "scheduler"), with the kernel's numbers (linux/sched.h).
pub const POLICIES: [(&str, u32); 6] = [
    ("SCHED_OTHER", 0),
    ("SCHED_FIFO", 1),
    ("SCHED_RR", 2),
    ("SCHED_BATCH", 3),
    ("SCHED_IDLE", 5),
    ("SCHED_DEADLINE", 6),
];

/// Their flags: the index is the bit.
pub const SCHED_FLAGS: [&str; 7] = [
    "SCHED_FLAG_RESET_ON_FORK",
    "SCHED_FLAG_RECLAIM",
    "SCHED_FLAG_DL_OVERRUN",
    "SCHED_FLAG_KEEP_POLICY",
    "SCHED_FLAG_KEEP_PARAMS",
    "SCHED_FLAG_UTIL_CLAMP_MIN",
    "SCHED_FLAG_UTIL_CLAMP_MAX",
];

/// I/O priority classes: the index and one is the number (linux/ioprio.h).
pub const IO_CLASSES: [&str; 3] = ["IOPRIO_CLASS_RT", "IOPRIO_CLASS_BE", "IOPRIO_CLASS_IDLE"];

/// The greatest number of a processor that can be named.
pub const MOST_CPUS: u32 = 1023;

/// Memory policies: the index is the number (linux/mempolicy.h).
pub const MEMORY_MODES: [&str; 7] = [
    "MPOL_DEFAULT",
    "MPOL_PREFERRED",
    "MPOL_BIND",
    "MPOL_INTERLEAVE",
    "MPOL_LOCAL",
    "MPOL_PREFERRED_MANY",
    "MPOL_WEIGHTED_INTERLEAVE",
];

/// Their flags, with the kernel's bits.
pub const MEMORY_FLAGS: [(&str, u32); 3] =
    [("MPOL_F_NUMA_BALANCING", 1 << 13), ("MPOL_F_RELATIVE_NODES", 1 << 14), ("MPOL_F_STATIC_NODES", 1 << 15)];

/// What `spec --rootless` writes: the same in a user namespace whose root is this user, on the host's network, without
/// what needs root of the machine.
pub fn rootless_default(uid: u32, gid: u32) -> String {
    let mapping = |id: u32| {
        format!(
            "[\n\t\t\t{{\n\t\t\t\t\"containerID\": 0,\n\t\t\t\t\"hostID\": {id},\n\t\t\t\t\"size\": 1\n\t\t\t}}\n\t\t]"
        )
    };
    let mappings =
        format!("\"uidMappings\": {},\n\t\t\"gidMappings\": {},\n\t\t\"namespaces\"", mapping(uid), mapping(gid));
    let (before, rest) = DEFAULT.split_once("\"resources\"").unwrap_or((DEFAULT, ""));
    let (_, behind) = rest.split_once("\"namespaces\"").unwrap_or(("", rest));
    format!("{before}{mappings}{behind}").replace(",\n\t\t\t\t\"gid=5\"", "").replace("\"network\"", "\"user\"")
}

/// What `spec` writes.
pub const DEFAULT: &str = include_str!("default.json");

/// How long the last part of a socket's path may be where the whole has more than the 107 bytes that its address has room
/// for (unix(7)): then a descriptor of the directory stands for the rest.
const SOCKET_NAME: usize = 80;

pub const SOCKET_TOO_LONG: &str =
    "is longer than 107 bytes, which is what a socket's address has room for, and its last part longer than 80";

/// Whether there is a way to a socket at this path.
pub fn socket_fits(path: &str) -> bool {
    let name = path.rfind('/').map_or(path, |slash| &path[slash + 1..]);
    path.len() <= 107 || path.contains('/') && name.len() <= SOCKET_NAME
}
