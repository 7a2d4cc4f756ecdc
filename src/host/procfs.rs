//! The host's /proc, checked to be procfs: which processes are there. May touch: system calls.

use crate::outcome::{Doing, Error};
use syscalls::{At, Errno, Fd, MountAttr, OpenFlags, Result, SigSet, Why};

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
    let why = Why("no procfs is mounted at /proc, so we make one that only we can see");
    let fs = syscalls::fsopen(c"proc", why)?;
    syscalls::fsconfig_create(fs.at(), why)?;
    syscalls::fsmount(fs.at(), MountAttr::NONE, why)
}

/// How far a process is that was started at a given time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It has ended, and its number may be another's.
    Over,
    /// It is still a copy of the process that cloned it.
    Cloned,
    /// The same, and it was killed, or has begun to end: it becomes no program any more.
    Ending,
    /// It has become a program by execve.
    Executed,
}

/// Looks at the process of that number, if it is the one that was started between these two times (CLOCK_BOOTTIME,
/// nanoseconds).
pub fn life(pid: i32, started: [u64; 2]) -> core::result::Result<Life, Error> {
    let procfs = open().doing("look at processes")?;
    let Ok(name) = alloc::ffi::CString::new(format!("{pid}/stat")) else {
        return Ok(Life::Over);
    };
    let why = Why("its start time tells it from a later process of the same number");
    let file = match syscalls::openat(procfs.at(), &name, OpenFlags::NONE, why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(Life::Over),
        opened => opened.doing(format_args!("look at process {pid}"))?,
    };
    let mut buffer = [0u8; 1024];
    let len = match syscalls::read(file.at(), &mut buffer, why) {
        Err(failed) if failed.errno == Errno::ESRCH => return Ok(Life::Over),
        read => read.doing(format_args!("look at process {pid}"))?,
    };
    Ok(understand(buffer.get(..len).unwrap_or(&[]), started))
}

/// The cgroup of a process in the version 2 hierarchy, from its root (cgroups(7), "/proc/PID/cgroup").
pub fn cgroup_of(pid: i32) -> Result<String> {
    let procfs = open()?;
    let name = alloc::ffi::CString::new(format!("{pid}/cgroup")).unwrap_or_default();
    let why = Why("which cgroup a process is in");
    let file = syscalls::openat(procfs.at(), &name, OpenFlags::NONE, why)?;
    let text = crate::host::input::read_all(file.at(), why)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(line.unwrap_or("").into())
}

/// The processes that these threads are of, each once (proc_pid_status(5), "Tgid").
pub fn leaders(threads: &[i32]) -> Result<Vec<i32>> {
    let procfs = open()?;
    let mut all = Vec::new();
    for thread in threads {
        let name = alloc::ffi::CString::new(format!("{thread}/status")).unwrap_or_default();
        let why = Why("which process a thread is of");
        let Ok(file) = syscalls::openat(procfs.at(), &name, OpenFlags::NONE, why) else {
            continue; // it has just ended
        };
        let mut buffer = [0u8; 1024];
        let len = syscalls::read(file.at(), &mut buffer, why).unwrap_or(0);
        let text = core::str::from_utf8(buffer.get(..len).unwrap_or(&[])).unwrap_or("");
        let line = text.lines().find_map(|line| line.strip_prefix("Tgid:"));
        all.extend(line.and_then(|number| number.trim().parse::<i32>().ok()));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}

/// Whether a process has ended, or was killed and is about to. Where that cannot be seen, it lasts.
pub fn is_ending(procfs: At, pid: i32) -> bool {
    let name = alloc::ffi::CString::new(format!("{pid}/stat")).unwrap_or_default();
    let why = Why("a process that was killed takes a moment to end");
    let file = match syscalls::openat(procfs, &name, OpenFlags::NONE, why) {
        Ok(file) => file,
        Err(failed) => return failed.errno == Errno::ENOENT,
    };
    let mut buffer = [0u8; 1024];
    match syscalls::read(file.at(), &mut buffer, why) {
        Ok(len) => ending(buffer.get(..len).unwrap_or(&[])),
        Err(failed) => failed.errno == Errno::ESRCH,
    }
}

/// The same of /proc/PID/stat: the flags are the 7th field after the name, the pending signals the 29th. The kernel makes
/// SIGKILL pending for each thread of a process that was killed.
fn ending(stat: &[u8]) -> bool {
    const PF_EXITING: u64 = 4;
    const KILLED: u64 = 1 << (libc::SIGKILL - 1);
    let text = core::str::from_utf8(stat).unwrap_or("");
    let Some((_, fields)) = text.rsplit_once(") ") else {
        return false;
    };
    let fields: Vec<&str> = fields.split(' ').collect();
    let has = |at: usize, bit: u64| {
        let number = fields.get(at).and_then(|field| field.parse::<u64>().ok());
        number.is_some_and(|number| number & bit != 0)
    };
    matches!(fields.first(), Some(&("Z" | "X" | "x"))) || has(6, PF_EXITING) || has(28, KILLED)
}

/// The kernel sets this flag of a process at its clone, and takes it away at its execve (linux/sched.h).
const PF_FORKNOEXEC: u64 = libc::PF_FORKNOEXEC as u64;

/// Reads /proc/PID/stat (proc_pid_stat(5)): the state is the first field after the name, the flags are the 7th, the start
/// time is the 20th.
pub fn understand(stat: &[u8], started: [u64; 2]) -> Life {
    let text = core::str::from_utf8(stat).unwrap_or("");
    let Some((_, fields)) = text.rsplit_once(") ") else {
        return Life::Over;
    };
    let mut fields = fields.split(' ');
    if matches!(fields.next(), None | Some("Z" | "X" | "x")) {
        return Life::Over;
    }
    let mut number = |skip| fields.nth(skip).and_then(|t| t.parse::<u64>().ok());
    let (Some(flags), Some(ticks)) = (number(5), number(12)) else {
        return Life::Over;
    };
    let start = ticks.saturating_mul(TICK);
    let same = start.saturating_add(2 * TICK) >= started[0] && start.saturating_sub(TICK) <= started[1];
    match same {
        false => Life::Over,
        true if flags & PF_FORKNOEXEC != 0 && ending(stat) => Life::Ending,
        true if flags & PF_FORKNOEXEC != 0 => Life::Cloned,
        true => Life::Executed,
    }
}

/// Which signals this process ignores. Where that cannot be seen, it may be any.
pub fn ignored_signals(why: Why) -> Result<SigSet> {
    let unknown = SigSet(!(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1)));
    let Ok(file) = syscalls::openat(At::CWD, c"/proc/self/status", OpenFlags::NONE, why) else {
        return Ok(unknown);
    };
    let mut buffer = [0u8; 2048];
    let len = syscalls::read(file.at(), &mut buffer, why)?;
    file.leak(); // execve closes it
    let text = core::str::from_utf8(buffer.get(..len).unwrap_or(&[])).unwrap_or("");
    let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    Ok(line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).map_or(unknown, SigSet))
}

#[cfg(test)]
mod tests {
    use super::Life;

    #[test]
    fn start_times_and_flags() {
        let stat = |state, flags, ticks, pending| {
            format!(
                "7 (a) b) {state} 1 7 7 0 -1 {flags} 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 0 0 0 0 0 0 0 0 {pending} 0\n"
            )
        };
        let started = [5_000_000_000, 5_030_000_000];
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
