//! Limits: of the process (setrlimit(2)), and of the cgroup and those above it. May touch: system calls, procfs, the spec.

use super::process::Stopped;
use super::texts::cause;
use super::types::{By, Cause};
use crate::cause::path;
use crate::host::{cgroup, procfs};
use crate::spec::{RLIMITS, rlimit_number};
use alloc::ffi::CString;
use syscalls::{At, Errno, Fd, OpenFlags, Why, foreign};

/// So many cgroups lie above each other at the most.
const DEPTH: usize = 32;

/// The operations of fcntl that duplicate a descriptor.
const DUPLICATE: [i32; 2] = [libc::F_DUPFD, libc::F_DUPFD_CLOEXEC];

/// The limit of the process that a call has reached.
pub fn rlimit(stopped: &Stopped, errno: Errno) -> Option<Cause> {
    let kinds: &[&str] = match (stopped.name, errno) {
        ("mq_open", Errno::EMFILE) if !reached(stopped, "RLIMIT_NOFILE") => &["RLIMIT_MSGQUEUE"],
        (_, Errno::EMFILE) => &["RLIMIT_NOFILE"],
        ("execve" | "execveat", Errno::E2BIG) => &["RLIMIT_STACK"],
        (_, Errno::EFBIG) => &["RLIMIT_FSIZE"],
        ("clone" | "clone3" | "fork" | "vfork" | "execve" | "setuid" | "setresuid", Errno::EAGAIN) => &["RLIMIT_NPROC"],
        ("timer_create" | "rt_sigqueueinfo" | "rt_tgsigqueueinfo", Errno::EAGAIN) => &["RLIMIT_SIGPENDING"],
        ("mlock" | "mlock2" | "mlockall" | "shmctl", Errno::ENOMEM | Errno::EPERM | Errno::EAGAIN) => {
            &["RLIMIT_MEMLOCK"]
        }
        ("mmap" | "mmap2" | "mremap", Errno::EAGAIN) => &["RLIMIT_MEMLOCK"],
        ("mmap" | "mmap2" | "mremap" | "shmat" | "execve" | "mprotect" | "brk", Errno::ENOMEM) => {
            &["RLIMIT_AS", "RLIMIT_DATA"]
        }
        ("setpriority", Errno::EACCES) | ("nice", Errno::EPERM) => &["RLIMIT_NICE"],
        ("sched_setscheduler" | "sched_setparam" | "sched_setattr", Errno::EPERM) => &["RLIMIT_RTPRIO"],
        ("dup2" | "dup3", Errno::EBADF) => &["RLIMIT_NOFILE"],
        ("fcntl", Errno::EBADF | Errno::EINVAL) if DUPLICATE.contains(&stopped.int(1)) => &["RLIMIT_NOFILE"],
        _ => return None,
    };
    let kind = kinds.iter().find(|kind| reached(stopped, kind))?;
    let [soft, hard] = limits(stopped, kind)?;
    Some(told(stopped, kind, &soft, &hard))
}

/// EPERM: a limit was to be raised above the hard one.
pub fn raised(stopped: &Stopped) -> Option<Cause> {
    let (number, at) = match stopped.name {
        "setrlimit" => (stopped.int(0), 1),
        "prlimit64" if stopped.arg(2) != 0 => (stopped.int(1), 2),
        _ => return None,
    };
    let kind = RLIMITS.get(usize::try_from(number).ok()?)?;
    let bytes = stopped.memory(stopped.arg(at), 16)?;
    let wanted = u64::from_le_bytes(bytes.get(8..16)?.try_into().ok()?);
    let [_, hard] = limits(stopped, kind)?;
    let above = hard.parse().is_ok_and(|hard: u64| wanted > hard);
    let wanted = if wanted == u64::MAX { "unlimited".into() } else { format!("{wanted}") };
    above.then(|| cause(By::Rlimit, "rlimit raised", place(stopped, kind), &[kind, &hard, &wanted]))
}

/// The line of the limit, or where one could be.
fn place(stopped: &Stopped, kind: &str) -> String {
    let lines = &stopped.confinement.spec.process.rlimits;
    lines
        .iter()
        .position(|line| line.kind == kind)
        .map_or("/process/rlimits".into(), |at| format!("/process/rlimits/{at}"))
}

fn told(stopped: &Stopped, kind: &str, soft: &str, hard: &str) -> Cause {
    let place = place(stopped, kind);
    let key = if place.ends_with("rlimits") { "rlimit inherited" } else { "rlimit" };
    cause(By::Rlimit, key, place.clone(), &[kind, soft, hard, &place])
}

/// The soft and the hard limit of the process, as the kernel writes them.
fn limits(stopped: &Stopped, kind: &str) -> Option<[String; 2]> {
    let text = stopped.text("limits")?;
    let line = text.lines().nth(1 + rlimit_number(kind)? as usize)?;
    let column = |begin, end| String::from(line.get(begin..end).unwrap_or("").trim());
    Some([column(26, 47), column(47, 68)])
}

/// Whether the process is at a limit, as far as that can be read.
fn reached(stopped: &Stopped, kind: &str) -> bool {
    let Some(soft) = limits(stopped, kind).and_then(|[soft, _]| soft.parse::<u64>().ok()) else {
        return false; // unlimited
    };
    let kib = |key: &str| stopped.status(key).split(' ').next().and_then(|n| n.parse::<u64>().ok()).unwrap_or(0) * 1024;
    let asked = match stopped.name {
        "mlock" | "mlock2" | "mmap" | "mmap2" => stopped.arg(1),
        "mremap" => stopped.arg(2).saturating_sub(stopped.arg(1)),
        _ => 0,
    };
    match kind {
        "RLIMIT_AS" => kib("VmSize").saturating_add(asked) > soft,
        "RLIMIT_DATA" => kib("VmData").saturating_add(asked) > soft,
        // What is locked of System V's shared memory is counted for the user.
        "RLIMIT_MEMLOCK" if stopped.name == "shmctl" => {
            stopped.int(1) == libc::SHM_LOCK && (soft == 0 || stopped.call.errno() == Some(Errno::ENOMEM))
        }
        "RLIMIT_MEMLOCK" if stopped.name == "mlockall" => kib("VmSize") > soft,
        "RLIMIT_MEMLOCK" => kib("VmLck").saturating_add(asked) > soft,
        "RLIMIT_NPROC" => !stopped.rights().is_some_and(|rights| rights.has(21) || rights.has(24) || rights.user == 0),
        "RLIMIT_STACK" => soft / 4 < ARGUMENTS && !is_too_long(stopped),
        "RLIMIT_NICE" => 20u64.saturating_sub(soft) > u64::from(wanted_nice(stopped)),
        "RLIMIT_NOFILE" if stopped.name == "fcntl" && stopped.call.errno() != Some(Errno::EMFILE) => {
            stopped.arg(2) >= soft
        }
        // So many descriptors have a place: a process at the limit has at least that many.
        "RLIMIT_NOFILE" if stopped.call.errno() == Some(Errno::EMFILE) => {
            stopped.status("FDSize").parse().is_ok_and(|places: u64| places >= soft)
        }
        "RLIMIT_NOFILE" if stopped.name.starts_with("dup") && stopped.name != "dup" => stopped.arg(1) >= soft,
        _ => true,
    }
}

/// Arguments and environment have a quarter of the stack's limit, and at most so many bytes; one of them has at most `STRING`
/// (execve(2), "Limits on size of arguments and environment").
const ARGUMENTS: u64 = 6 << 20;
const STRING: usize = 128 << 10;
/// So many of them are looked at.
const STRINGS: u64 = 1024;

/// One string is too long, whatever the limit is.
fn is_too_long(stopped: &Stopped) -> bool {
    let first = if stopped.name == "execveat" { 2 } else { 1 };
    let mut room = vec![0; STRING];
    let mut list = |at: usize| {
        let pointers = (0..STRINGS).map_while(|i| stopped.memory(stopped.arg(at).checked_add(i * 8)?, 8));
        let addresses = pointers.map_while(|bytes| Some(u64::from_le_bytes(bytes.try_into().ok()?)));
        let mut strings = addresses.take_while(|address| *address != 0);
        strings.any(|address| foreign::string(stopped.call.tid, address, &mut room).is_none())
    };
    list(first) || list(first + 1)
}

/// Limits of the machine, or of the IPC namespace: a call, its errno, and the sysctl.
const SETTINGS: &str = include_str!("settings.txt");

/// A limit that no line of the configuration has made, but a sysctl.
pub fn setting(stopped: &Stopped, errno: Errno) -> Option<Cause> {
    let fits = |line: &'static str| {
        line.strip_prefix(stopped.name)?.strip_prefix(' ')?.strip_prefix(errno.name())?.strip_prefix(' ')
    };
    let name = SETTINGS.lines().find_map(fits)?;
    match name.strip_prefix("ipc ") {
        Some(name) if !stopped.shares("ipc") => Some(cause(By::Setting, "setting", "/linux/sysctl", &[name])),
        other => Some(cause(By::Setting, "setting of the host", "", &[other.unwrap_or(name)])),
    }
}

/// The nice value that a call asks for, from 0, the most urgent: -20.
fn wanted_nice(stopped: &Stopped) -> u32 {
    let nice = if stopped.name == "nice" { stopped.int(0) } else { stopped.int(2) };
    (nice.clamp(-20, 19) + 20) as u32
}

/// The process's cgroup and those above it, from the lowest.
fn groups(stopped: &Stopped) -> Option<Vec<(String, Fd)>> {
    let root = cgroup::open_root().ok()??;
    let text = stopped.text("cgroup")?;
    let path = text.lines().find_map(|line| line.strip_prefix("0::"))?;
    let open = |path: &str| {
        let name = CString::new(path).ok()?;
        let why = Why("a limit of a cgroup above holds as well");
        let flags = OpenFlags::O_PATH | OpenFlags::O_DIRECTORY;
        Some((format!("/{path}"), syscalls::openat(root.at(), &name, flags, why).ok()?))
    };
    cgroup::upward(path).take(DEPTH).map(open).collect()
}

fn value(group: At, file: &str) -> Option<String> {
    let name = CString::new(file).ok()?;
    let text = cgroup::read(group, &name, Why("the limit and what is used of it stand in files of the cgroup")).ok()?;
    Some(text.trim().into())
}

/// A limit of a cgroup that a call has reached.
pub fn group(stopped: &Stopped, errno: Errno) -> Option<Cause> {
    let clones = matches!(stopped.name, "clone" | "clone3" | "fork" | "vfork");
    let (limit, used, property) = match errno {
        Errno::EAGAIN if clones => ("pids.max", "pids.current", "/linux/resources/pids/limit"),
        Errno::ENOMEM => ("memory.max", "memory.current", "/linux/resources/memory/limit"),
        _ => return None,
    };
    for (path, group) in groups(stopped)? {
        let Some(most) = value(group.at(), limit).and_then(|text| text.parse::<u64>().ok()) else {
            continue;
        };
        let now = value(group.at(), used).and_then(|text| text.parse().ok()).unwrap_or(0);
        // The kernel frees memory until it cannot: a page below the limit is the limit.
        let slack = if limit == "memory.max" { most / 64 } else { 0 };
        if now < most.saturating_sub(slack) {
            continue;
        }
        let own = path.trim_start_matches('/') == stopped.confinement.cgroup.trim_start_matches('/');
        let values = [limit, &format!("{most}"), &path, property];
        let key = if own { "cgroup" } else { "cgroup above" };
        return Some(cause(By::Cgroup, key, if own { property } else { "/linux/cgroupsPath" }, &values));
    }
    None
}

/// ENOSPC: so many namespaces of this kind may a user make (namespaces(7), "/proc/sys/user").
pub fn namespaces(stopped: &Stopped) -> Option<Cause> {
    if !matches!(stopped.name, "unshare" | "clone" | "clone3") {
        return None;
    }
    let flags = if stopped.name == "clone3" { stopped.word(0)? } else { stopped.arg(0) };
    let kinds = [
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWNS, "mnt"),
        (libc::CLONE_NEWNET, "net"),
        (libc::CLONE_NEWPID, "pid"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
    ];
    let (_, kind) = kinds.iter().find(|(flag, _)| flags & *flag as u64 != 0)?;
    Some(cause(By::Namespace, "namespaces limited", "/linux/namespaces", &[kind]))
}

/// EDQUOT: the user's quota of keys (keyrings(7), /proc/key-users: how many, and their bytes).
pub fn keys(stopped: &Stopped) -> Option<Cause> {
    let user = stopped.rights().filter(|_| matches!(stopped.name, "add_key" | "keyctl" | "request_key"))?.user;
    let all = procfs::open().ok().and_then(|procfs| path::text(procfs.at(), "key-users"))?;
    let of = |line: &str| Some(line.split_once(':')?.1.split_whitespace().map(String::from).collect::<Vec<_>>());
    let line = all.lines().find(|line| line.trim_start().starts_with(&format!("{user}:"))).and_then(of)?;
    let [_, _, keys, bytes] = &line[..] else { return None };
    Some(cause(By::User, "keys", "/process/user/uid", &[&stopped.user_name("uid_map", user), keys, bytes]))
}
