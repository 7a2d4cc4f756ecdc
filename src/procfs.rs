//! The host's /proc, checked to be procfs: which processes are there. May touch: system calls.

use crate::error::{Error, at};
use alloc::format;
use alloc::string::String;
use syscalls::{At, Errno, Fd, Result, SigSet, Why};

/// statfs(2)'s f_type of procfs.
const PROC_SUPER_MAGIC: i64 = 0x9fa0;
/// Nanoseconds of a clock tick of /proc/PID/stat: USER_HZ is 100 on every architecture that we know.
const TICK: u64 = 10_000_000;

/// Opens procfs: the one at /proc, or one of our own where none is mounted.
pub fn open() -> Result<Fd> {
    let directory = (libc::O_PATH | libc::O_DIRECTORY) as u32;
    if let Ok(dir) = syscalls::openat(
        At::CWD,
        c"/proc",
        directory,
        "procfs",
        Why("processes are looked at through it"),
    ) {
        let found = syscalls::fstatfs(dir.at(), Why("any file system could be mounted there"))?;
        if found.f_type as i64 == PROC_SUPER_MAGIC {
            return Ok(dir);
        }
    }
    let why = Why("no procfs is mounted at /proc, so we make one that only we can see");
    let fs = syscalls::fsopen(c"proc", "new procfs", why)?;
    syscalls::fsconfig_create(fs.at(), why)?;
    syscalls::fsmount(fs.at(), 0, "procfs", why)
}

/// Whether the process of that number lives and is the one that was started between these two times
/// (CLOCK_BOOTTIME, nanoseconds).
pub fn alive(pid: i32, started: [u64; 2]) -> core::result::Result<bool, Error> {
    let procfs = open().map_err(|failed| at("look at processes".into(), failed))?;
    let Ok(name) = alloc::ffi::CString::new(format!("{pid}/stat")) else {
        return Ok(false);
    };
    let why = Why("its start time tells it from a later process of the same number");
    let file = match syscalls::openat(procfs.at(), &name, 0, "process", why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(false),
        opened => opened.map_err(|failed| at(format!("look at process {pid}"), failed))?,
    };
    let mut buffer = [0u8; 1024];
    let len = match syscalls::read(file.at(), &mut buffer, why) {
        Err(failed) if failed.errno == Errno::ESRCH => return Ok(false),
        read => read.map_err(|failed| at(format!("look at process {pid}"), failed))?,
    };
    Ok(matches(buffer.get(..len).unwrap_or(&[]), started))
}

/// The cgroup of a process in the version 2 hierarchy, from its root (cgroups(7), "/proc/PID/cgroup").
pub fn cgroup_of(pid: i32) -> Result<String> {
    let procfs = open()?;
    let name = alloc::ffi::CString::new(format!("{pid}/cgroup")).unwrap_or_default();
    let why = Why("which cgroup a process is in");
    let file = syscalls::openat(procfs.at(), &name, 0, "cgroup", why)?;
    let text = crate::input::read_all(file.at(), why)?;
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    Ok(line.unwrap_or("").into())
}

/// Reads /proc/PID/stat (proc(5)): the state is the first field behind the name, the start time the 20th.
pub fn matches(stat: &[u8], started: [u64; 2]) -> bool {
    let text = core::str::from_utf8(stat).unwrap_or("");
    let Some((_, fields)) = text.rsplit_once(") ") else {
        return false;
    };
    let mut fields = fields.split(' ');
    if matches!(fields.next(), None | Some("Z" | "X" | "x")) {
        return false;
    }
    let Some(ticks) = fields.nth(18).and_then(|t| t.parse::<u64>().ok()) else {
        return false;
    };
    let start = ticks.saturating_mul(TICK);
    start.saturating_add(2 * TICK) >= started[0] && start.saturating_sub(TICK) <= started[1]
}

/// Which signals this process ignores. Where that cannot be seen, it may be any.
pub fn ignored_signals(why: Why) -> Result<SigSet> {
    let unknown = SigSet(!(1 << (libc::SIGKILL - 1) | 1 << (libc::SIGSTOP - 1)));
    let Ok(file) = syscalls::openat(At::CWD, c"/proc/self/status", 0, "status", why) else {
        return Ok(unknown);
    };
    let mut buffer = [0u8; 2048];
    let len = syscalls::read(file.at(), &mut buffer, why)?;
    file.leak(); // execve closes it
    let text = core::str::from_utf8(buffer.get(..len).unwrap_or(&[])).unwrap_or("");
    let line = text.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    Ok(line
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .map_or(unknown, SigSet))
}

#[cfg(test)]
mod tests {
    #[test]
    fn start_times() {
        let stat = |state, ticks| {
            alloc::format!(
                "7 (a) b) {state} 1 7 7 0 -1 4194560 0 0 0 0 0 0 0 0 20 0 1 0 {ticks} 0 0\n"
            )
        };
        let started = [5_000_000_000, 5_030_000_000];
        for (state, ticks, want) in [
            ("S", 500, true),
            ("R", 502, true),
            ("S", 490, false),
            ("S", 600, false),
            ("Z", 500, false),
        ] {
            assert_eq!(
                super::matches(stat(state, ticks).as_bytes(), started),
                want,
                "{state} {ticks}"
            );
        }
    }
}
