//! The cgroup v2 hierarchy (the kernel's admin-guide/cgroup-v2.rst): how it is found, and how a container's cgroup in it is
//! made, limited, frozen, emptied and removed. May touch: system calls, procfs.

use crate::host::input;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::abi::BpfInsn;
use syscalls::{AccessFlags, AccessMode, At, AtFlags, Errno, Failed, Fd, MountAttr, OpenFlags, PollFd, Result, Why};

/// Where distributions mount it: alone, or beside the version 1 hierarchies.
const MOUNTED_AT: [&CStr; 2] = [c"/sys/fs/cgroup", c"/sys/fs/cgroup/unified"];

/// A setting of a cgroup: what is written into which of its files.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Setting {
    pub file: CString,
    pub value: Vec<u8>,
    /// What is written instead if there is no such file.
    pub instead: Option<(CString, Vec<u8>)>,
    /// If there is no such file, that is no error.
    pub optional: bool,
    /// Its JSON pointer.
    pub from: String,
}

impl Setting {
    /// The controller that has the file.
    pub fn controller(&self) -> &str {
        let name = self.file.to_str().unwrap_or("");
        name.split('.').next().unwrap_or("")
    }
}

/// Opens the hierarchy's root. If it is mounted nowhere, as in an initramfs, this mounts it for this process alone; beside
/// another mount that would reset the mount options of the hierarchy. `None`: it cannot be mounted.
pub fn open_root() -> Result<Option<Fd>> {
    for path in MOUNTED_AT {
        let why = Why("the container's cgroup lies below the root of this hierarchy");
        let dir = match syscalls::openat(At::CWD, path, OpenFlags::O_DIRECTORY, why) {
            Ok(dir) => dir,
            Err(failed) if [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno) => continue,
            Err(failed) => return Err(failed),
        };
        let found = syscalls::fstatfs(dir.at(), Why("any file system could be mounted there"))?;
        if found.f_type as i64 == libc::CGROUP2_SUPER_MAGIC {
            return Ok(Some(dir));
        }
    }
    let why = Why("the cgroup hierarchy is not mounted here");
    let Ok(fs) = syscalls::fsopen(c"cgroup2", why) else {
        return Ok(None);
    };
    syscalls::fsconfig_create(fs.at(), why)?;
    syscalls::fsmount(fs.at(), MountAttr::NONE, Why("a mount without a place: it ends with this process")).map(Some)
}

/// The hierarchy, and the cgroup at a path below its root. `None`: one of them is not there.
pub fn open_pair(path: &str) -> Result<Option<(Fd, Fd)>> {
    let Some(root) = open_root()? else {
        return Ok(None);
    };
    // `state` accepts no path with a NUL byte.
    let path = CString::new(path).unwrap_or_default();
    let group = open(root.at(), &path, Why("the container's processes are in this cgroup"))?;
    Ok(group.map(|group| (root, group)))
}

/// Makes a cgroup with its parents and opens it. `made`: how many of them were not there before, counted from the last.
pub fn make(root: At, parents: &[CString], path: &CStr, made: &mut usize, why: Why) -> Result<Fd> {
    let mut tries = 0;
    loop {
        match syscalls::mkdirat(root, path, 0o755, why) {
            // There is no parent yet, or the end of another container has just removed it.
            Err(failed) if failed.errno == Errno::ENOENT && tries < 100 => tries += 1,
            other => {
                if is_new(other)? {
                    *made = (*made).max(1);
                }
                break;
            }
        }
        for (i, parent) in parents.iter().enumerate() {
            let why = Why("a cgroup needs its parent first");
            if is_new(syscalls::mkdirat(root, parent, 0o755, why))? {
                *made = (*made).max(parents.len() - i + 1);
            }
        }
    }
    let flags = OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW;
    syscalls::openat(root, path, flags, Why("clone3 takes the cgroup by descriptor"))
}

/// Makes a cgroup threaded, and before it those of its parents that were made for the container. `made`: how many with itself.
pub fn make_threaded(group: At, made: usize) -> Result<()> {
    const TYPES: [&CStr; 8] = [
        c"cgroup.type",
        c"../cgroup.type",
        c"../../cgroup.type",
        c"../../../cgroup.type",
        c"../../../../cgroup.type",
        c"../../../../../cgroup.type",
        c"../../../../../../cgroup.type",
        c"../../../../../../../cgroup.type",
    ];
    let why = Why("below a threaded cgroup only a threaded one holds processes");
    let count = made.clamp(1, TYPES.len());
    let mut own = TYPES[..count].iter().rev();
    own.try_for_each(|file| write(group, file, b"threaded", why))
}

/// Why a container cannot begin in a cgroup.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Obstacle {
    /// It is frozen, by itself or by a cgroup above it: a new process there does not run.
    Frozen,
    /// There are processes in it or below.
    Populated,
}

/// Why a container cannot begin in a cgroup, if so. The kernel tells both in one file, and takes the cgroups above and below
/// into account (cgroup-v2.rst, "cgroup.events").
pub fn obstacle(group: At) -> Result<Option<Obstacle>> {
    obstacle_in(group, c"cgroup.events")
}

/// The same, by the path of that file.
fn obstacle_in(at: At, events: &CStr) -> Result<Option<Obstacle>> {
    let why = Why("a frozen cgroup lets nothing run, and one with processes belongs to others");
    let text = read(at, events, why)?;
    let says = |line: &str| text.lines().any(|one| one == line);
    Ok(match (says("frozen 1"), says("populated 1")) {
        (true, _) => Some(Obstacle::Frozen),
        (_, true) => Some(Obstacle::Populated),
        _ => None,
    })
}

/// Whether a cgroup is frozen, by itself or by one above it. If the kernel does not tell, the answer is no.
pub fn is_frozen(group: At) -> bool {
    obstacle(group).is_ok_and(|found| found == Some(Obstacle::Frozen))
}

/// The same of the cgroup at a path.
pub fn is_frozen_at(root: At, path: &str) -> bool {
    let events = CString::new(format!("{path}/cgroup.events")).unwrap_or_default();
    obstacle_in(root, &events).is_ok_and(|found| found == Some(Obstacle::Frozen))
}

/// How many of a cgroup and its parents are missing, counted from the last.
pub fn missing(root: At, parents: &[CString], path: &CStr) -> Result<usize> {
    let why = Why("a cgroup that is there already was not made for the container, and will stay");
    let all = core::iter::once(path).chain(parents.iter().rev().map(|parent| parent.as_c_str()));
    let mut missing = 0;
    for path in all {
        if open(root, path, why)?.is_some() {
            break;
        }
        missing += 1;
    }
    Ok(missing)
}

/// The controllers that `events` and an engine's `stats` read, also without a limit.
const USUAL: [&str; 4] = ["cpu", "io", "memory", "pids"];

/// Has the cgroups above hand controllers down to `group`: the needed ones, and the usual ones as far as this kernel has them.
/// True: it has all of them.
pub fn enable(group: At, root: At, above: &[CString], needed: &[String], why: Why) -> Result<bool> {
    let mut wanted: Vec<&str> = USUAL.to_vec();
    wanted.extend(needed.iter().map(String::as_str).filter(|name| !USUAL.contains(name)));
    let line = |names: &[&str]| names.iter().map(|name| format!("+{name} ")).collect::<String>();
    // As a rule an earlier container has done so: one look, or one write, is enough.
    let done = match needed.is_empty() {
        true => syscalls::faccessat2(group, c"pids.max", AccessMode::NONE, AccessFlags::NONE, why).is_ok(),
        false => hand_down_all(root, above, &line(&wanted), why).is_ok(),
    };
    if done {
        return Ok(true);
    }
    // The kernel refuses the whole line for one controller that it does not have.
    let why = Why("only these controllers can be handed down");
    let list = syscalls::openat(root, c"cgroup.controllers", OpenFlags::O_NOFOLLOW, why)?;
    let there = input::read_all(list.at(), why)?;
    list.leak(); // this comes once: execve closes it, or the end of this process
    let there = String::from_utf8_lossy(&there);
    wanted.retain(|name| there.split_whitespace().any(|one| one == *name));
    // If this caller may not do it, a line of the plan that needs a controller will fail.
    if !wanted.is_empty() {
        let _ = hand_down_all(root, above, &line(&wanted), why);
    }
    Ok(false)
}

/// Has the cgroups above hand down this controller.
pub fn need(root: At, above: &[CString], name: &str, why: Why) -> Result<()> {
    hand_down_all(root, above, &format!("+{name}"), why)
}

/// As a rule an earlier container has done so, and one write is enough. If not (ENOENT), the next cgroup above has to hand them
/// down first. It goes up no further than necessary, since cgroups above may belong to another user.
fn hand_down_all(root: At, above: &[CString], words: &str, why: Why) -> Result<()> {
    let mut highest = above.len().saturating_sub(1);
    while let Some(group) = above.get(highest) {
        match hand_down(root, group, words, why) {
            Err(failed) if failed.errno == Errno::ENOENT && highest > 0 => highest -= 1,
            Err(failed) => return Err(failed),
            Ok(()) => break,
        }
    }
    let mut below = above.iter().skip(highest + 1);
    below.try_for_each(|group| hand_down(root, group, words, why))
}

fn hand_down(root: At, group: &CStr, words: &str, why: Why) -> Result<()> {
    let mut path = group.to_bytes().to_vec();
    path.extend_from_slice(b"/cgroup.subtree_control");
    // Neither part holds a NUL byte.
    let path = CString::new(path).unwrap_or_default();
    write(root, &path, words.as_bytes(), why)
}

/// Opens a file of a cgroup and writes into it: one value a write.
pub fn write(group: At, file: &CStr, value: &[u8], why: Why) -> Result<()> {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_NOFOLLOW;
    let file = syscalls::openat(group, file, flags, why)?;
    syscalls::write(file.at(), value, why).map(drop)
}

/// The text of a file, if the kernel gives it in one read: a page at most.
pub fn read(group: At, file: &CStr, why: Why) -> Result<String> {
    read_by(input::read_all, group, file, why)
}

fn read_by(how: fn(At, Why) -> Result<Vec<u8>>, group: At, file: &CStr, why: Why) -> Result<String> {
    let flags = OpenFlags::O_NOFOLLOW;
    let file = syscalls::openat(group, file, flags, why)?;
    let bytes = how(file.at(), why)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The number after a key, in a file with a key and a number on each line ("flat keyed").
pub fn keyed(text: &str, key: &str) -> u64 {
    let line = |line: &str| line.strip_prefix(key)?.trim().parse().ok();
    text.lines().find_map(line).unwrap_or(0)
}

/// A cgroup and those above it, without the root.
pub fn upward(path: &str) -> impl Iterator<Item = &str> {
    let path = path.trim_matches('/');
    let above = path.rmatch_indices('/').map(move |(at, _)| &path[..at]);
    core::iter::once(path).filter(|path| !path.is_empty()).chain(above)
}

/// Bytes in words.
pub fn size(number: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.iter().find(|(shift, _)| number >> shift > 0);
    match unit {
        Some((shift, unit)) if number & ((1 << shift) - 1) == 0 => format!("{} {unit}", number >> shift),
        Some((shift, unit)) => format!("{}.{} {unit}", number >> shift, (number >> (shift - 10) & 1023) * 10 / 1024),
        None => format!("{number} bytes"),
    }
}

/// How many processes the kernel has killed there for want of memory.
pub fn oom_kills(group: At) -> u64 {
    let why = Why("the kernel counts there the processes that it killed for want of memory");
    keyed(&read(group, c"memory.events", why).unwrap_or_default(), "oom_kill ")
}

/// Writes a setting of config.json or of `update`.
pub fn set(group: At, setting: &Setting, why: Why) -> Result<()> {
    let missing = match write(group, &setting.file, &setting.value, why) {
        Err(failed) if failed.errno == Errno::ENOENT => failed,
        other => return other,
    };
    match &setting.instead {
        Some((file, value)) => write(group, file, value, why),
        None if setting.optional => Ok(()),
        None => Err(missing),
    }
}

/// A device program that the kernel has refused: the call, and the verifier's words, if any.
#[derive(Debug)]
pub struct Refused {
    pub failed: Failed,
    pub said: String,
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Refused {
        Refused { failed, said: String::new() }
    }
}

/// Loads a program that decides on devices. The verifier is asked for its words only after it has refused one.
pub fn load_decider(program: &[BpfInsn], why: Why) -> core::result::Result<Fd, Refused> {
    // A pending signal, or a cgroup that is being frozen, interrupts the verifier. libbpf tries as often.
    const TRIES: usize = 5;
    let mut tries = 1;
    let failed = loop {
        match syscalls::bpf_prog_load_device(program, &mut [], why) {
            Ok(loaded) => return Ok(loaded),
            Err(failed) if failed.errno == Errno::EAGAIN && tries < TRIES => tries += 1,
            Err(failed) => break failed,
        }
    };
    if ![Errno::EINVAL, Errno::EACCES, Errno::E2BIG].contains(&failed.errno) {
        return Err(failed.into());
    }
    let mut log = vec![0; 4096];
    let why = Why("with a log the verifier tells why it refuses the program");
    match syscalls::bpf_prog_load_device(program, &mut log, why) {
        Ok(loaded) => Ok(loaded),
        Err(_) => Err(Refused { failed, said: words_of_verifier(&log) }),
    }
}

/// The verifier's words about a program, without its statistics, and cut to a line.
fn words_of_verifier(log: &[u8]) -> String {
    let log = log.split(|byte| *byte == 0).next().unwrap_or_default();
    let text = String::from_utf8_lossy(log);
    let counts = |line: &&str| line.starts_with("verification time") || line.starts_with("processed");
    let lines: Vec<&str> = text.lines().take_while(|line| !counts(line)).collect();
    let words: String = lines.join("; ").chars().take(300).collect();
    match words.is_empty() {
        true => words,
        false => format!(": the kernel's verifier says: {words}"),
    }
}

/// Replaces the program that decides on devices, in one step, or adds one where there is none. False: there are several, and the
/// kernel does not tell which of them is the container's.
pub fn decide_devices(group: At, program: &[BpfInsn]) -> core::result::Result<bool, Refused> {
    let why = Why("the new program has to replace the one that decides until now");
    let mut ids = [0; 2];
    let old = match syscalls::bpf_prog_query_device(group, &mut ids, why) {
        Ok(0) => None,
        Ok(1) => Some(syscalls::bpf_prog_get_fd_by_id(ids[0], why)?),
        Ok(_) => return Ok(false),
        Err(failed) if failed.errno == Errno::ENOSPC => return Ok(false),
        Err(failed) => return Err(failed.into()),
    };
    let new = load_decider(program, Why("the new device rules are a program"))?;
    let why = Why("replaced in one step, so that no rule is missing for a moment");
    let old = old.as_ref().map(|old| old.at());
    syscalls::bpf_prog_attach_device(group, new.at(), old, why)?;
    Ok(true)
}

/// Gives the cgroup to a user: the directory, and the files for making cgroups and moving processes in it.
pub fn give(group: At, uid: u32, gid: u32, why: Why) -> Result<()> {
    syscalls::fchown(group, uid, gid, why)?;
    for file in [c"cgroup.procs", c"cgroup.subtree_control", c"cgroup.threads"] {
        syscalls::fchownat(group, file, uid, gid, AtFlags::AT_SYMLINK_NOFOLLOW, why)?;
    }
    Ok(())
}

/// Opens a cgroup. `None`: it is gone.
pub fn open(root: At, path: &CStr, why: Why) -> Result<Option<Fd>> {
    match syscalls::openat(root, path, OpenFlags::O_DIRECTORY, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Ok(None),
        group => group.map(Some),
    }
}

/// How many levels of cgroups below the container's are looked at.
const DEEPEST: usize = 64;

/// The processes of a cgroup and of those below.
pub fn processes(group: At, why: Why) -> Result<Vec<i32>> {
    let mut all = Vec::new();
    match read_by(input::read_to_end, group, c"cgroup.procs", why) {
        // A threaded cgroup lists only its threads. They are the container's.
        Err(failed) if failed.errno == Errno::EOPNOTSUPP => {
            gather(group, c"cgroup.threads", DEEPEST, why, &mut all)?;
            crate::host::procfs::leaders(&all)
        }
        Err(failed) if failed.errno != Errno::ENODEV => Err(failed),
        text => {
            all.extend(numbers(&text.unwrap_or_default()));
            below(group, c"cgroup.procs", DEEPEST, why, &mut all)?;
            Ok(all)
        }
    }
}

fn numbers(text: &str) -> impl Iterator<Item = i32> {
    text.lines().filter_map(|line| line.parse::<i32>().ok())
}

fn gather(group: At, file: &CStr, depth: usize, why: Why, all: &mut Vec<i32>) -> Result<()> {
    // EOPNOTSUPP: a cgroup above lists the processes of a threaded one.
    match read_by(input::read_to_end, group, file, why) {
        Ok(text) => all.extend(numbers(&text)),
        Err(failed) if [Errno::EOPNOTSUPP, Errno::ENODEV].contains(&failed.errno) => {}
        Err(failed) => return Err(failed),
    }
    below(group, file, depth, why, all)
}

fn below(group: At, file: &CStr, depth: usize, why: Why, all: &mut Vec<i32>) -> Result<()> {
    let inner = Why("the container may have made cgroups of its own");
    for name in input::directories(group, inner)?.iter().filter(|_| depth > 0) {
        if let Some(inner) = open(group, name, why)? {
            gather(inner.at(), file, depth - 1, why, all)?;
        }
    }
    Ok(())
}

/// Freezes or thaws a cgroup with all below it, and waits for ten seconds until the kernel has done so. True: it has.
pub fn freeze(group: At, frozen: bool) -> Result<bool> {
    let (value, word, why) = match frozen {
        true => (&b"1"[..], "frozen 1", Why("every process stops where it is (cgroup.freeze)")),
        false => (&b"0"[..], "frozen 0", Why("every process goes on (cgroup.freeze)")),
    };
    write(group, c"cgroup.freeze", value, why)?;
    let why = Why("the kernel tells there when all processes have stopped, or go on");
    let events = syscalls::openat(group, c"cgroup.events", OpenFlags::NONE, why)?;
    for _ in 0..100 {
        if said(events.at(), word, why)? {
            return Ok(true);
        }
        let mut fds = [PollFd { fd: events.at().raw(), events: libc::POLLPRI, revents: 0 }];
        syscalls::ppoll(&mut fds, Some(100), why)?;
    }
    Ok(false)
}

/// Whether an open file of a cgroup has this line.
fn said(file: At, line: &str, why: Why) -> Result<bool> {
    let mut buffer = [0u8; 256];
    let len = syscalls::pread64(file, &mut buffer, 0, why)?;
    let text = core::str::from_utf8(buffer.get(..len).unwrap_or(&[])).unwrap_or("");
    Ok(text.lines().any(|one| one == line))
}

/// Kills all processes of a cgroup and below (cgroup-v2.rst, "cgroup.kill"; Linux 5.14). A missing cgroup is no error.
pub fn kill(root: At, path: &CStr) -> Result<()> {
    let why = Why("all processes that are left in the cgroup have to end");
    let Some(group) = open(root, path, why)? else {
        return Ok(());
    };
    match write(group.at(), c"cgroup.kill", b"1", why) {
        // systemd may remove an empty scope at any moment.
        Err(failed) if failed.errno == Errno::ENODEV => Ok(()),
        Err(failed) if failed.errno == Errno::ENOENT && open(root, path, why)?.is_none() => Ok(()),
        other => other,
    }
}

fn is_new(made: Result<()>) -> Result<bool> {
    match made {
        Err(failed) if failed.errno == Errno::EEXIST => Ok(false),
        other => other.map(|()| true),
    }
}

/// Removes a cgroup with those that the container has made in it, and those of its parents that are unused. A missing cgroup
/// is no error.
pub fn remove(root: At, parents: &[CString], path: &CStr) -> Result<()> {
    remove_tree(root, path, DEEPEST)?;
    for parent in parents.iter().rev() {
        let why = Why("an empty parent is removed, too; one in use stays");
        match syscalls::unlinkat(root, parent, AtFlags::AT_REMOVEDIR, why) {
            Err(failed) if failed.errno == Errno::ENOENT => {}
            Err(failed) if failed.errno == Errno::EBUSY => break,
            other => other?,
        }
    }
    Ok(())
}

/// Removes an empty cgroup.
pub fn remove_if_unused(root: At, path: &CStr) -> Result<()> {
    let why = Why("an empty parent is removed, too; one in use stays");
    syscalls::unlinkat(root, path, AtFlags::AT_REMOVEDIR, why)
}

fn remove_tree(above: At, path: &CStr, depth: usize) -> Result<()> {
    let why = Why("nothing of the container may stay");
    let mut tries = 0u32;
    loop {
        let busy = match syscalls::unlinkat(above, path, AtFlags::AT_REMOVEDIR, why) {
            Err(failed) if failed.errno == Errno::EBUSY && tries < 200 => failed,
            Err(failed) if failed.errno == Errno::ENOENT => return Ok(()),
            other => return other,
        };
        // As a rule the last process was waited for, and the kernel takes it out of the cgroup a moment later.
        if tries == 1 {
            let Some(group) = open(above, path, why)? else {
                return Ok(());
            };
            for name in input::directories(group.at(), why)? {
                if depth == 0 {
                    return Err(busy);
                }
                remove_tree(group.at(), &name, depth - 1)?;
            }
        }
        tries += 1;
        let why = Why("the last process is leaving the cgroup");
        syscalls::ppoll(&mut [], Some(u64::from(tries.min(10))), why)?;
    }
}
