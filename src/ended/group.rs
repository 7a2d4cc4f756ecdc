//! What the container's cgroup has counted: kills for want of memory, processes that could not be made, time without a
//! processor; and the limit that was reached. May touch: system calls.

use crate::host::cgroup::{keyed, read, size, upward};
use alloc::ffi::CString;
use syscalls::{At, Why};

/// A limit that was reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Limit {
    /// The cgroup that has it, from the root of the hierarchy, without a slash before it.
    pub path: String,
    /// As the kernel shows it. Empty: it cannot be read.
    pub value: String,
    /// It is the container's own cgroup.
    pub own: bool,
    /// The file that holds it.
    pub file: String,
}

/// What was counted.
#[derive(Default)]
pub struct Counted {
    /// Processes that the kernel has killed for want of memory.
    pub kills: u64,
    /// It counts them: it has the memory controller.
    pub counts_memory: bool,
    pub memory: Option<Limit>,
    /// Processes that could not be made.
    pub refused: u64,
    pub pids: Option<Limit>,
    /// In so many periods the cgroup had no more processor time, and so many periods there were.
    pub throttled: [u64; 2],
    /// Microseconds of processor time.
    pub used: u64,
    pub frozen: bool,
}

const LOOK: Why = Why("the kernel has counted there what it did to the processes of the container");

/// Reads the files of a cgroup. `made`: so many levels were made for the container, counted from the last.
pub fn counted(root: At, path: &str, made: usize) -> Counted {
    let own = |name: &str| file(root, path, name);
    let events = own("memory.events");
    let kills = keyed(&events, "oom_kill ");
    let refused = keyed(&own("pids.events"), "max ");
    let stat = own("cpu.stat");
    let memory = (kills > 0).then(|| reached(root, path, usize::MAX, ["memory", "oom "])).flatten();
    // What a cgroup above has counted can be another container's.
    let levels = if refused > 0 { usize::MAX } else { made };
    let pids = reached(root, path, levels, ["pids", "max "]);
    Counted {
        kills,
        counts_memory: !events.is_empty(),
        memory,
        refused: refused.max(u64::from(pids.is_some())),
        pids,
        throttled: [keyed(&stat, "nr_throttled "), keyed(&stat, "nr_periods ")],
        used: keyed(&stat, "usage_usec "),
        frozen: own("cgroup.events").lines().any(|line| line == "frozen 1"),
    }
}

/// The limit that was reached. It belongs to the first cgroup upward that has counted something itself: `memory.events` counts for
/// the cgroups below, too, and `memory.events.local` does not (cgroup-v2.rst). Linux before 6.12 has no such file for pids, and
/// counts where the process was to be made: then the first cgroup that has a limit is meant.
fn reached(root: At, path: &str, levels: usize, [controller, key]: [&str; 2]) -> Option<Limit> {
    let name = format!("{controller}.max");
    let value = |path: &str| file(root, path, &name).trim().to_string();
    let limit = |at: &str| Limit { path: at.into(), value: value(at), own: at == path, file: name.clone() };
    let mut all = upward(path).take(levels);
    let local = |at: &&str| keyed(&file(root, at, &format!("{controller}.events.local")), key) > 0;
    if let Some(at) = all.find(local) {
        return Some(limit(at));
    }
    let old = file(root, path, &format!("{controller}.events.local")).is_empty();
    let counted = old && keyed(&file(root, path, &format!("{controller}.events")), key) > 0;
    let limited = |at: &&str| !matches!(value(at).as_str(), "" | "max");
    upward(path).find(limited).filter(|_| counted).map(limit)
}

/// The text of a file of a cgroup. Empty: it is not there.
pub fn file(root: At, path: &str, name: &str) -> String {
    let path = CString::new(format!("{path}/{name}")).unwrap_or_default();
    read(root, &path, LOOK).unwrap_or_default()
}

/// The limit of a cgroup that the kernel's log names. It is of version 2, or of the hierarchy for memory of version 1.
pub fn named(root: Option<At>, name: &str, own: &str) -> Limit {
    let path = name.trim_start_matches('/');
    let second = root.map(|root| file(root, path, SECOND)).unwrap_or_default();
    let first =
        if second.is_empty() { file(At::CWD, &format!("/sys/fs/cgroup/memory/{path}"), FIRST) } else { String::new() };
    let (value, name) = if first.is_empty() { (second, SECOND) } else { (first, FIRST) };
    Limit { path: path.into(), value: value.trim().into(), own: path == own, file: name.into() }
}

/// The file of a limit on memory, in cgroup version 1 and 2.
const FIRST: &str = "memory.limit_in_bytes";
const SECOND: &str = "memory.max";

impl Limit {
    /// The value in words.
    pub fn words(&self) -> String {
        self.value.parse().map_or_else(|_| self.value.clone(), size)
    }
}
