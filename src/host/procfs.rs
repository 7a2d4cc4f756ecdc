//! The host's /proc, checked to be procfs: which processes are there. May touch: system calls.

use crate::host::input;
use crate::outcome::{Doing, Error};
use crate::sorted;
use alloc::ffi::CString;
use syscalls::{At, Ended, Errno, Failed, Fd, MountAttr, OpenFlags, Result, SigSet, Why};

/// Nanoseconds of a clock tick of /proc/PID/stat: USER_HZ is 100 on every architecture that we know.
const TICK: u64 = 10_000_000;

/// Opens procfs: the one at /proc, or one of our own where none is mounted.
pub fn open() -> Result<Fd> {
    let directory = OpenFlags::O_PATH | OpenFlags::O_DIRECTORY;
    if let Ok(dir) = syscalls::openat(At::CWD, c"/proc", directory, Why("processes are looked at through it")) {
        let found = syscalls::fstatfs(dir.at(), Why("any file system could be mounted there"))?;
        if found.f_type as i64 == libc::PROC_SUPER_MAGIC {
            return Ok(dir);
        }
    }
    let why = Why("no procfs is mounted at /proc: this one is seen by this process alone");
    let fs = syscalls::fsopen(c"proc", why)?;
    syscalls::fsconfig_create(fs.at(), why)?;
    syscalls::fsmount(fs.at(), MountAttr::NONE, why)
}

/// The path of a process's file, from the root of procfs.
pub fn path(pid: i32, name: &str) -> CString {
    CString::new(format!("{pid}/{name}")).unwrap_or_default()
}

/// The line of a file with a key, such as /proc/PID/status.
pub fn field<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or("").trim()
}

/// What one read of a process's file gives.
fn read(procfs: At, pid: i32, name: &str, why: Why) -> Result<Vec<u8>> {
    let file = syscalls::openat(procfs, &path(pid, name), OpenFlags::NONE, why)?;
    let mut buffer = [0u8; 1024];
    let len = syscalls::read(file.at(), &mut buffer, why)?;
    Ok(buffer.get(..len).unwrap_or(&[]).into())
}

/// The text of a process's file, whole.
pub fn text(pid: i32, name: &str, why: Why) -> Result<String> {
    let procfs = open()?;
    let file = syscalls::openat(procfs.at(), &path(pid, name), OpenFlags::NONE, why)?;
    Ok(String::from_utf8_lossy(&input::read_all(file.at(), why)?).into_owned())
}

/// How far a process is that was started at a given time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It has ended. Another process may have its number.
    Over,
    /// It is still a copy of the process that cloned it.
    Cloned,
    /// It is such a copy, and was killed or has begun to end: it will execute no program.
    Ending,
    /// It has become a program by execve.
    Executed,
}

/// How far the process of that number is, if it was started between these two times (CLOCK_BOOTTIME, nanoseconds).
pub fn life(pid: i32, started: [u64; 2]) -> core::result::Result<Life, Error> {
    life_in(open().doing(LOOK)?.at(), pid, started)
}

/// What the opening of procfs is for, as messages have it.
pub const LOOK: &str = "look at processes";

/// The same, in a procfs that is open.
pub fn life_in(procfs: At, pid: i32, started: [u64; 2]) -> core::result::Result<Life, Error> {
    let why = Why("its start time tells it from a later process of the same number");
    match read(procfs, pid, "stat", why) {
        Err(failed) if is_gone(&failed) => Ok(Life::Over),
        stat => Ok(understand(&stat.doing(format_args!("look at process {pid}"))?, started)),
    }
}

/// How a process of that number ended, if it was started between these two times and its parent has not taken its status.
pub fn zombie(pid: i32, started: [u64; 2]) -> Option<Ended> {
    let why = Why("the kernel keeps the status of a process there until its parent takes it");
    let text = read(open().ok()?.at(), pid, "stat", why).ok()?;
    let stat = Stat::of(text.trim_ascii_end());
    // The field exit_code of proc_pid_stat(5).
    let code = stat.number(49).filter(|_| stat.0.first() == Some(&b'Z') && stat.is_of(started))?;
    Some(Ended::of(code as i32))
}

/// Whether a look at a process failed since the process has ended.
fn is_gone(failed: &Failed) -> bool {
    [Errno::ENOENT, Errno::ESRCH].contains(&failed.errno)
}

/// The cgroup of a process in the version 2 hierarchy, from its root (cgroups(7), "/proc/PID/cgroup").
pub fn cgroup_of(pid: i32) -> Result<String> {
    let text = text(pid, "cgroup", Why("the kernel tells there which cgroup a process is in"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(line.unwrap_or("").into())
}

/// The processes that these threads belong to, each once (proc_pid_status(5), "Tgid").
pub fn leaders(threads: &[i32]) -> Result<Vec<i32>> {
    let procfs = open()?;
    let mut all = Vec::new();
    for thread in threads {
        let Ok(status) =
            read(procfs.at(), *thread, "status", Why("the kernel tells there which process a thread belongs to"))
        else {
            continue; // it has just ended
        };
        let status = String::from_utf8_lossy(&status);
        all.extend(field(&status, "Tgid").parse::<i32>().ok());
    }
    sorted::sort(&mut all);
    all.dedup();
    Ok(all)
}

/// Processes by number and name, as a message has them.
pub fn named(pids: &[i32]) -> String {
    const MOST: usize = 8;
    let procfs = open().ok();
    let name = |pid: &i32| read(procfs.as_ref()?.at(), *pid, "comm", Why("a name says more than a number")).ok();
    let word = |pid: &i32| match name(pid) {
        Some(name) => format!("{pid} ({})", String::from_utf8_lossy(&name).trim_end().escape_default()),
        None => format!("{pid}"),
    };
    let mut words: Vec<String> = pids.iter().take(MOST).map(word).collect();
    if let Some(more @ 1..) = pids.len().checked_sub(MOST) {
        words.push(format!("and {more} more"));
    }
    words.join(", ")
}

/// The children of a process's first thread (proc_pid_task(5)); none where the kernel does not tell.
pub fn children(pid: i32) -> Vec<i32> {
    let why = Why("what a process has begun belongs to the container, too");
    let text = text(pid, &format!("task/{pid}/children"), why).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Whether a process has ended, or was killed and is about to end. If /proc does not tell, the answer is no.
pub fn is_ending(procfs: At, pid: i32) -> bool {
    match read(procfs, pid, "stat", Why("a process that was killed takes a moment to end")) {
        Ok(stat) => Stat::of(&stat).is_ending(),
        Err(failed) => is_gone(&failed),
    }
}

/// /proc/PID/stat (proc_pid_stat(5)): its fields after the name. The name can hold any bytes.
struct Stat<'a>(&'a [u8]);

impl<'a> Stat<'a> {
    fn of(text: &'a [u8]) -> Stat<'a> {
        let name = text.iter().rposition(|byte| *byte == b')');
        Stat(name.and_then(|end| text.get(end + 2..)).unwrap_or_default())
    }

    fn number(&self, at: usize) -> Option<u64> {
        let field = self.0.split(|byte| *byte == b' ').nth(at)?;
        core::str::from_utf8(field).ok()?.parse().ok()
    }

    /// A field of flags, as linux/sched.h has them.
    fn flags(&self) -> Option<u64> {
        self.number(6)
    }

    fn start_ticks(&self) -> Option<u64> {
        self.number(19)
    }

    /// Whether it was started between these two times.
    fn is_of(&self, started: [u64; 2]) -> bool {
        self.start_ticks().is_some_and(|ticks| is_between(ticks, started))
    }

    fn has_ended(&self) -> bool {
        matches!(self.0.first(), Some(b'Z' | b'X' | b'x'))
    }

    /// The kernel makes SIGKILL pending for each thread of a process that was killed.
    fn is_ending(&self) -> bool {
        const PF_EXITING: u64 = 4;
        const KILLED: u64 = 1 << (libc::SIGKILL - 1);
        let has = |field: Option<u64>, bit: u64| field.is_some_and(|field| field & bit != 0);
        self.has_ended() || has(self.flags(), PF_EXITING) || has(self.number(28), KILLED)
    }
}

fn is_between(ticks: u64, started: [u64; 2]) -> bool {
    let start = ticks.saturating_mul(TICK);
    start.saturating_add(2 * TICK) >= started[0] && start.saturating_sub(TICK) <= started[1]
}

/// How far the process of that /proc/PID/stat is, if it was started between these two times.
pub fn understand(stat: &[u8], started: [u64; 2]) -> Life {
    // The kernel sets this flag of a process at its clone, and takes it away at its execve.
    const PF_FORKNOEXEC: u64 = libc::PF_FORKNOEXEC as u64;
    let stat = Stat::of(stat);
    let (Some(flags), Some(ticks), false) = (stat.flags(), stat.start_ticks(), stat.has_ended()) else {
        return Life::Over;
    };
    match is_between(ticks, started) {
        false => Life::Over,
        true if flags & PF_FORKNOEXEC == 0 => Life::Executed,
        true if stat.is_ending() => Life::Ending,
        true => Life::Cloned,
    }
}

/// The signals that this process ignores; all signals if /proc does not tell.
#[inline(never)] // its stack would be that of every line
pub fn ignored_signals(why: Why) -> Result<SigSet> {
    let unknown = SigSet(!(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1)));
    let Ok(file) = syscalls::openat(At::CWD, c"/proc/self/status", OpenFlags::NONE, why) else {
        return Ok(unknown);
    };
    let mut buffer = [0u8; 2048];
    let len = syscalls::read(file.at(), &mut buffer, why)?;
    file.leak(); // execve closes it
    let line = after(buffer.get(..len).unwrap_or(&[]), b"\nSigIgn:");
    let hex = line.and_then(|line| core::str::from_utf8(line).ok());
    Ok(hex.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).map_or(unknown, SigSet))
}

/// What follows a word up to the end of the line.
fn after<'t>(text: &'t [u8], word: &[u8]) -> Option<&'t [u8]> {
    let rest = text.get(input::find(text, word)? + word.len()..)?;
    rest.split(|byte| *byte == b'\n').next()
}

#[cfg(test)]
mod tests {
    use super::Life;

    #[test]
    fn a_line_is_found_by_its_word() {
        let text = b"Name:\tSigIgn:\nSigQ:\t1/2\nSigBlk:\t00\nSigIgn:\t0a\nSigCgt:\t07\n";
        assert_eq!(super::after(text, b"\nSigIgn:"), Some(&b"\t0a"[..]));
        for (word, want) in
            [(&b"\nSigCgt:"[..], Some(&b"\t07"[..])), (b"\nSigX:", None), (b"Name:", Some(b"\tSigIgn:"))]
        {
            assert_eq!(super::after(text, word), want);
        }
        for len in 0..text.len() {
            let found = super::after(&text[..len], b"\nSigIgn:");
            assert!(found.is_none() || len > 40);
        }
    }

    #[test]
    fn start_times_and_flags() {
        let stat = |state, flags, ticks, pending| {
            format!(
                "7 (a) b) {state} 1 7 7 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 0 0 0 0 0 0 0 0 {pending} 0\n"
            )
        };
        let started = [5_000_000_000, 5_030_000_000];
        // A program may give itself any name.
        let stat_of_odd_name = b"7 (\xff) S 1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 500 0";
        assert_eq!(super::understand(stat_of_odd_name, started), Life::Executed);
        for (state, flags, ticks, pending, want) in [
            ("S", 4194560, 500, 0, Life::Executed),
            ("S", 4194560, 500, 256, Life::Executed),
            ("R", 4194624, 502, 0, Life::Cloned),
            ("R", 4194624, 502, 256, Life::Ending),
            ("R", 4194628, 502, 0, Life::Ending),
            ("S", 4194560, 490, 0, Life::Over),
            ("S", 4194560, 600, 0, Life::Over),
            ("Z", 4194560, 500, 0, Life::Over),
        ] {
            assert_eq!(
                super::understand(stat(state, flags, ticks, pending).as_bytes(), started),
                want,
                "{state} {flags} {ticks} {pending}"
            );
        }
    }
}
