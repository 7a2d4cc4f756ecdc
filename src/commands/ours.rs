//! Which processes of a cgroup belong to the container, which to another container, and which to neither.
//! May touch: everything below.

use crate::host::{cgroup, procfs};
use crate::outcome::{Doing, Error};
use crate::state::{self, Document, Saved};
use alloc::ffi::CString;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why};

/// The processes in the container's cgroup that are known to be its own: all of them, if the cgroup was made for it. In an
/// older cgroup, those that share a namespace with the container's first process, while that lives.
pub fn own(group: At, saved: &Saved, init: Option<&Fd>) -> syscalls::Result<Vec<i32>> {
    if saved.made() > 0 {
        let why = Why("the kernel lists the cgroup's processes there");
        return cgroup::processes(group, why);
    }
    match init {
        Some(_) => alike(group, saved, mark(saved)?),
        None => Ok(Vec::new()),
    }
}

/// A pid namespace and a mount namespace, by device and inode: the container's processes are known by them.
pub type Mark = [(u64, u64); 2];

/// The namespaces of the container's first process, while that lives. A mount namespace that it shares with the host is left
/// out: all processes of the host are in it.
pub fn mark(saved: &Saved) -> syscalls::Result<Mark> {
    let procfs = procfs::open()?;
    let mut mark = namespaces(procfs.at(), saved.pid)?;
    let why = Why("a process in the host's mount namespace may be any process of the host");
    for host in [c"self/ns/mnt", c"1/ns/mnt"] {
        match syscalls::newfstatat(procfs.at(), host, AtFlags::NONE, why) {
            Ok(stat) if (stat.st_dev, stat.st_ino) == mark[1] => mark[1] = (0, 0),
            _ => {}
        }
    }
    Ok(mark)
}

/// The processes of a cgroup and below that are in one of these namespaces.
pub fn alike(group: At, saved: &Saved, first: Mark) -> syscalls::Result<Vec<i32>> {
    let why = Why("the kernel lists the cgroup's processes there");
    let mut all = cgroup::processes(group, why)?;
    let procfs = procfs::open()?;
    // Other processes are in a namespace that the container shares with them.
    let own = [saved.own_pids, saved.own_mounts];
    all.retain(|pid| {
        let theirs = namespaces(procfs.at(), *pid);
        let alike = |theirs: Mark| (0..2).any(|kind| own[kind] && theirs[kind] == first[kind]);
        *pid == saved.pid || theirs.is_ok_and(alike)
    });
    Ok(all)
}

/// The pid namespace and the mount namespace of a process.
fn namespaces(procfs: At, pid: i32) -> syscalls::Result<Mark> {
    let why = Why("a process of the container shares a namespace with its first one");
    let look = |name: &str| {
        let stat = syscalls::newfstatat(procfs, &procfs::path(pid, name), AtFlags::NONE, why)?;
        Ok((stat.st_dev, stat.st_ino))
    };
    Ok([look("ns/pid")?, look("ns/mnt")?])
}

/// Other containers of this state root with this container's cgroup or one below it: their ids and cgroups.
pub fn others(root: &Fd, saved: &Saved) -> Result<Vec<(String, String)>, Error> {
    let why = Why("another container may be in this cgroup, or below it");
    let ids = syscalls::openat(root.at(), c".", OpenFlags::O_DIRECTORY, why)
        .and_then(|dir| state::ids(dir.at(), why))
        .doing("list the state root")?;
    let mut others = Vec::new();
    for id in ids.into_iter().filter(|id| *id != saved.id) {
        let other = match state::document_listed(root.at(), &id)? {
            Document::Whole(other) => Some(*other),
            Document::Missing => match state::open_listed(root.at(), &id)? {
                Some(dir) => state::begun(dir.at(), &id)?,
                None => None,
            },
            Document::Damaged(_) => None,
        };
        let below = other.filter(|other| is_below(&other.cgroup_path, &saved.cgroup_path));
        others.extend(below.map(|other| (other.id, other.cgroup_path)));
    }
    Ok(others)
}

/// Whether a path is another one, or lies below it.
fn is_below(path: &str, other: &str) -> bool {
    let rest = path.strip_prefix(other);
    !other.is_empty() && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The processes of a cgroup and below, without those in cgroups of other containers.
pub fn all_but(hierarchy: At, path: &str, others: &[(String, String)]) -> syscalls::Result<Vec<i32>> {
    let why = Why("the processes in the cgroup of another container belong to that one");
    let members = |path: &str| {
        let path = CString::new(path).unwrap_or_default();
        match cgroup::open(hierarchy, &path, why)? {
            Some(group) => cgroup::processes(group.at(), why),
            None => Ok(Vec::new()),
        }
    };
    let mut all = members(path)?;
    for (_, other) in others {
        let spared = members(other)?;
        all.retain(|pid| !spared.contains(pid));
    }
    Ok(all)
}

/// The processes of a list that will not end by themselves, after a wait for those that are ending.
pub fn lasting(list: impl Fn() -> syscalls::Result<Vec<i32>>) -> syscalls::Result<Vec<i32>> {
    let procfs = procfs::open()?;
    for _ in 0..10 * ROUNDS {
        let mut left = list()?;
        if left.is_empty() {
            return Ok(left);
        }
        left.retain(|pid| !procfs::is_ending(procfs.at(), *pid));
        if !left.is_empty() {
            return Ok(left);
        }
        let why = Why("they were killed, and take a moment to end");
        syscalls::ppoll(&mut [], Some(10), why)?;
    }
    list()
}

/// How often a list is read again while its processes end and make others.
const ROUNDS: u32 = 100;

/// Ends the processes of a list, until it is empty.
pub fn end_all(list: impl Fn() -> syscalls::Result<Vec<i32>>) -> syscalls::Result<()> {
    for _ in 0..ROUNDS {
        if signal_each(&list, libc::SIGKILL)? == 0 {
            return Ok(());
        }
        let why = Why("they take a moment to end, and may have made others meanwhile");
        syscalls::ppoll(&mut [], Some(10), why)?;
    }
    Ok(())
}

/// Sends a signal to the processes of a list, and returns how many there were. It opens handles first and then reads the list
/// again: a number that is still listed means the process of that handle.
pub fn signal_each(list: impl Fn() -> syscalls::Result<Vec<i32>>, signal: i32) -> syscalls::Result<usize> {
    let mut handles = Vec::new();
    for pid in list()? {
        match syscalls::pidfd_open(pid, Why("a handle cannot come to mean another process")) {
            Ok(handle) => handles.push((pid, handle)),
            // The process has ended; or this is a thread in a cgroup of its own.
            Err(failed) if [Errno::ESRCH, Errno::EINVAL].contains(&failed.errno) => {}
            Err(failed) => return Err(failed),
        }
    }
    if handles.is_empty() {
        return Ok(0);
    }
    let still = list()?;
    for (_, handle) in handles.iter().filter(|(pid, _)| still.contains(pid)) {
        let why = Why("every process of the container gets it");
        match syscalls::pidfd_send_signal(handle.at(), signal, why) {
            Err(failed) if failed.errno == Errno::ESRCH => {}
            other => other?,
        }
    }
    Ok(handles.len())
}
