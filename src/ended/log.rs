//! The kernel's log: what the kernel itself has written down of processes that it ended. It counts processes as the machine's
//! first pid namespace does. May touch: system calls.

use crate::outcome::bounded;
use syscalls::{At, Why};

/// Bytes of the log that are read: the newest ones. The report of a kill for want of memory has some thousand.
const NEWEST: usize = 64 << 10;
/// What riscv64's kernel writes of a fault (arch/riscv/kernel/traps.c, do_trap), and bytes of the registers that follow.
const UNHANDLED: &str = ": unhandled signal ";
const REGISTERS: usize = 4096;
/// Bytes of a line that is quoted.
const QUOTED: usize = 240;
/// The name of the machine's first pid namespace, which has a fixed number (linux/proc_ns.h, PROC_PID_INIT_INO).
const FIRST: &[u8] = b"pid:[4026531836]";

/// The newest lines.
pub struct Log(String);

/// A call that a seccomp filter answered with a signal.
pub struct Forbidden<'a> {
    /// The kernel's word for the architecture (linux/audit.h), and the call's number there.
    pub arch: u32,
    pub number: u32,
    pub line: &'a str,
}

/// A kill for want of memory.
pub struct Starved<'a> {
    /// The cgroup that had reached its limit. None: the machine had no memory left.
    pub limit: Option<&'a str>,
    pub line: &'a str,
}

impl Log {
    /// None: this user may not read it, or this process counts processes otherwise.
    pub fn read() -> Option<Log> {
        let mut link = [0u8; 40];
        let why = Why("the kernel's log counts processes as the machine's first pid namespace does");
        if syscalls::readlinkat(At::CWD, c"/proc/self/ns/pid", &mut link, why) != Ok(FIRST) {
            return None;
        }
        let mut bytes = vec![0; NEWEST];
        let why = Why("the kernel writes there which process it ended, and what for");
        let len = syscalls::syslog_read_all(&mut bytes, why).ok()?;
        Some(Log(String::from_utf8_lossy(bytes.get(..len)?).into_owned()))
    }

    /// The lines, the newest first, each without its level and its time.
    fn lines(&self) -> impl Iterator<Item = &str> {
        self.timed().map(|(_, line)| line)
    }

    /// The same with their times, in seconds of the machine's life. Without a time (printk.time=0) a line counts as new.
    fn timed(&self) -> impl Iterator<Item = (u64, &str)> {
        self.0.lines().rev().map(|line| {
            let line = line.strip_prefix('<').and_then(|rest| rest.split_once('>')).map_or(line, |(_, rest)| rest);
            let timed = line.strip_prefix('[').and_then(|rest| rest.split_once("] "));
            let seconds = |time: &str| time.split('.').next().and_then(|seconds| seconds.trim().parse().ok());
            timed.map_or((u64::MAX, line), |(time, rest)| (seconds(time).unwrap_or(u64::MAX), rest))
        })
    }

    /// The call for which a filter ended this process (audit, type 1326). `since`: milliseconds since 1970.
    pub fn forbidden(&self, pid: i32, since: u64) -> Option<Forbidden<'_>> {
        self.lines().filter_map(forbidden).find(|(of, at, _)| *of == pid && *at >= since).map(|(_, _, found)| found)
    }

    /// The call of the only process that a filter has ended since then.
    pub fn only_forbidden(&self, since: u64) -> Option<Forbidden<'_>> {
        let mut all = self.lines().filter_map(forbidden).filter(|(_, at, _)| *at >= since);
        let (_, _, found) = all.next()?;
        all.next().is_none().then_some(found)
    }

    /// The fault for which the kernel ended this process. On riscv64 lines with its registers belong to it. `since`: seconds of the
    /// machine's life, before which the number was another process's.
    pub fn fault(&self, pid: i32, since: u64) -> Option<&str> {
        // The log's clock is another one than the machine's, and may be late by some milliseconds.
        let new = self.timed().filter(|(time, _)| time.saturating_add(1) >= since).map(|(_, line)| line);
        let name = format!("[{pid}]");
        let line = { new }.find(|line| {
            let rest = line.split_once(&name).map(|(_, rest)| rest);
            rest.is_some_and(|rest| {
                rest.starts_with(": segfault at ") || rest.starts_with(UNHANDLED) || line.starts_with("traps: ")
            })
        })?;
        if !line.contains(UNHANDLED) {
            return Some(line);
        }
        let from = (line.as_ptr() as usize).checked_sub(self.0.as_ptr() as usize)?;
        let rest = self.0.get(from..)?;
        let registers = rest.find(" cause: ").filter(|at| *at < REGISTERS);
        registers.and_then(|at| rest.get(..at + 24)).or(Some(line))
    }

    /// The kill of this process, or of the newest one in the cgroup of this path.
    pub fn starved(&self, pid: i32, group: Option<&str>) -> Option<Starved<'_>> {
        let is_of = |line: &&str| {
            let own = root(line, group).is_some() || number(line, "pid=") == Some(pid as u64);
            line.starts_with("oom-kill:") && own
        };
        let line = self.lines().find(is_of)?;
        let limited = field(line, "constraint=").is_some_and(|word| word.contains("MEMCG"));
        let limit = field(line, "oom_memcg=").filter(|_| limited);
        let below = |path| below(path, root(line, group).unwrap_or_default()).unwrap_or(path);
        let from = line.find("oom_memcg=").or_else(|| line.find("global_oom")).unwrap_or(0);
        Some(Starved { limit: limit.map(below), line: line.get(from..)? })
    }
}

/// The root of the cgroups that this runtime sees, in the names of a line.
fn root<'a>(line: &'a str, group: Option<&str>) -> Option<&'a str> {
    root_of(field(line, "task_memcg=")?, group?)
}

/// The kernel names a cgroup from the root of the whole hierarchy, and in a cgroup namespace this runtime sees a part of it: the
/// path of the root of that part. `group`: the container's cgroup, as it is named below that root. None: the task was elsewhere.
fn root_of<'a>(task: &'a str, group: &str) -> Option<&'a str> {
    let ends = |at: usize| task[..at].ends_with('/') && below(&task[at..], group).is_some();
    let (at, _) = task.match_indices(group).find(|(at, _)| ends(*at))?;
    Some(&task[..at - 1])
}

/// The path below another one: empty, or with a slash before it.
fn below<'a>(path: &'a str, above: &str) -> Option<&'a str> {
    path.strip_prefix(above).filter(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a line tells of a call that a filter answered with a signal: the process, when, and the call.
fn forbidden(line: &str) -> Option<(i32, u64, Forbidden<'_>)> {
    let rest = line.strip_prefix("audit: type=1326 audit(")?;
    let at = rest.split(':').next()?.replace('.', "").parse().ok()?;
    let sent = number(rest, "sig=").filter(|signal| *signal == libc::SIGSYS as u64);
    let arch = u32::from_str_radix(field(rest, "arch=")?, 16).ok()?;
    let call = number(rest, "syscall=")? as u32;
    sent?;
    // The rest of the line holds addresses.
    let line =
        rest.find(" pid=").zip(rest.find(" compat=")).and_then(|(from, to)| rest.get(from + 1..to)).unwrap_or(line);
    Some((number(rest, " pid=")? as i32, at, Forbidden { arch, number: call, line }))
}

/// What stands after a key, up to a blank or a comma.
pub fn field<'a>(line: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(key)?;
    rest.split([' ', ',', '\n']).next()
}

fn number(line: &str, key: &str) -> Option<u64> {
    field(line, key)?.parse().ok()
}

/// A line of the log, as it is quoted.
pub fn quoted(line: &str) -> String {
    let line = line.lines().next().unwrap_or(line);
    let line = line.split(" likely on CPU").next().unwrap_or(line);
    format!("kernel log: {}", bounded(line, QUOTED))
}

/// What a fault was, in words.
pub fn fault_words(line: &str) -> String {
    access_words(line).unwrap_or_else(|| {
        let words = match () {
            () if is_forbidden(line) => "did what only the kernel may",
            () if line.contains(" invalid opcode ") || line.contains(" unhandled signal 4 ") => {
                "executed what is no instruction of this processor"
            }
            () if line.contains(" int3 ") => "came to a breakpoint",
            () if line.contains(" divide error ") => "divided by zero",
            () => "did what the processor does not do",
        };
        words.into()
    })
}

/// The instruction was one that only the kernel may execute, or its address one that cannot be.
pub fn is_forbidden(line: &str) -> bool {
    line.contains(" general protection fault ")
}

/// A stack grows downward, and a fault just above or below its pointer is that of a stack which may not grow.
pub fn is_full_stack(line: &str) -> bool {
    const FRAME: i64 = 4096;
    const GAP: i64 = 64 << 10;
    let hex = |key: &str| i64::from_str_radix(field(line, key)?, 16).ok();
    let (address, pointer) = (hex(" segfault at ").or(hex(" badaddr: ")), hex(" sp ").or(hex(" sp : ")));
    let distance = address.zip(pointer).map(|(address, pointer)| address.wrapping_sub(pointer));
    distance.is_some_and(|distance| (-GAP..FRAME).contains(&distance))
}

/// A fault of an access: `read the address 0x0, where nothing is mapped`. The bits are those of the processor's error code
/// (x86: 1 is for a page that is there, 2 for a write, 16 for a fetch of code).
fn access_words(line: &str) -> Option<String> {
    let (address, bits) = match line.contains(" unhandled signal 11 ") {
        true => riscv_access(line)?,
        false => (field(line, " segfault at ")?, u32::from_str_radix(field(line, " error ")?, 16).ok()?),
    };
    let (verb, may) = match bits & 0x12 {
        0x02 => ("wrote to", "written to"),
        0x10 => ("executed", "executed"),
        _ => ("read", "read"),
    };
    let state = match bits & 1 {
        0 => "where nothing is mapped".into(),
        _ => format!("which may not be {may}"),
    };
    Some(format!("{verb} the address 0x{address}, {state}"))
}

/// The same as riscv64's kernel writes it: the code is that of the signal (sigaction(2): 2, SEGV_ACCERR), and the cause that of the
/// processor (12: code was fetched, 15: a write). Without a cause it is called a read.
fn riscv_access(line: &str) -> Option<(&str, u32)> {
    let address = field(line, " at 0x")?.trim_start_matches('0');
    let cause = field(line, " cause: ").and_then(|hex| u32::from_str_radix(hex, 16).ok());
    let bits = match cause {
        Some(12) => 0x10,
        Some(15) => 2,
        _ => 0,
    };
    let there = field(line, " code ")? == "0x2";
    Some((if address.is_empty() { "0" } else { address }, bits | u32::from(there)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: &str = "<6>[51180.237776] s[19567]: segfault at 8 ip 0000557739bb4132 sp 00007ffcbf42b720 error 6 in s[1132+1000]\n\
        <6>[51180.344871] oom-kill:constraint=CONSTRAINT_MEMCG,nodemask=(null),cpuset=/,mems_allowed=0,oom_memcg=/a,task_memcg=/a/b,task=m,pid=19582,uid=0\n\
        <4>[1.0] oom-kill:constraint=CONSTRAINT_NONE,nodemask=(null),cpuset=/,mems_allowed=0,global_oom,task_memcg=/c,task=m,pid=7,uid=0\n\
        <5>[51191.314701] audit: type=1326 audit(1795961613.803:538): auid=4294967295 uid=0 gid=0 ses=4294967295 pid=19838 comm=\"k\" exe=\"/k\" sig=31 arch=c000003e syscall=39 compat=0 ip=0x7ff6f4dca829 code=0x80000000\n\
        <5>[51191.5] audit: type=1326 audit(1795961614.803:539): auid=1 uid=0 gid=0 ses=1 pid=5 comm=\"k\" exe=\"/k\" sig=0 arch=c000003e syscall=1 compat=0 ip=0x0 code=0x7ffc0000\n\
        <6>[9.1] f[80]: unhandled signal 11 code 0x2 at 0x00000003ff2d1ff8 in f[10000+1000]\n\
        <4>[9.2] epc : 0000000000010120 ra : 0000000000010130 sp : 00000003ff2d2000\n\
        <4>[9.3] status: 0000000200004020 badaddr: 00000003ff2d1ff8 cause: 000000000000000f\n\
        <6>[9.4] g[81]: unhandled signal 11 code 0x1 at 0x0000000000000000\n\
        <4>[9.5] epc : 0000000000000000 ra : 0000000000010130 sp : 00000003ff2d2000\n\
        <4>[9.6] status: 0000000200004020 badaddr: 0000000000000000 cause: 000000000000000c\n";

    #[test]
    fn what_the_kernel_wrote_is_found() {
        let log = Log(LINES.into());
        let call = log.forbidden(19838, 1795961613803).map(|found| (found.arch, found.number));
        assert_eq!(call, Some((0xc000_003e, 39)));
        assert!(log.forbidden(19838, 1795961613804).is_none() && log.forbidden(5, 0).is_none());
        assert_eq!(log.only_forbidden(0).map(|found| found.number), Some(39));
        assert_eq!(log.fault(19567, 51182), None, "another process of that number");
        let line = log.fault(19567, 51181).unwrap_or("");
        assert_eq!(fault_words(line), "wrote to the address 0x8, where nothing is mapped");
        assert!(
            !is_full_stack(line) && is_full_stack("t[1]: segfault at 7ffd290292ec ip 40 sp 00007ffd290292e0 error 6")
        );
        assert_eq!(fault_words("traps: t[1] trap int3 ip:4 sp:7 error:0"), "came to a breakpoint");
        let traps = Log("<6>[5.0] traps: t[7] trap int3 ip:4 sp:7 error:0\n".into());
        assert!(traps.fault(7, 0).is_some() && traps.fault(8, 0).is_none());
        let line = log.fault(80, 0).unwrap_or("");
        assert_eq!(fault_words(line), "wrote to the address 0x3ff2d1ff8, which may not be written to");
        assert!(is_full_stack(line));
        assert_eq!(
            quoted(line),
            "kernel log: f[80]: unhandled signal 11 code 0x2 at 0x00000003ff2d1ff8 in f[10000+1000]"
        );
        let line = log.fault(81, 0).unwrap_or("");
        assert_eq!(fault_words(line), "executed the address 0x0, where nothing is mapped");
        assert!(!is_full_stack(line));
        assert_eq!(log.starved(19582, None).and_then(|kill| kill.limit), Some("/a"));
        assert_eq!(log.starved(1, Some("a/b")).and_then(|kill| kill.limit), Some("/a"));
        assert!(log.starved(1, Some("a/bc")).is_none() && log.starved(1, Some("a/")).is_none());
        // In a cgroup namespace at /a.
        assert_eq!(log.starved(1, Some("b")).and_then(|kill| kill.limit), Some(""));
        assert_eq!(root_of("/x/y/z", "y/z"), Some("/x"));
        assert_eq!(root_of("/x/ay/y/z", "y"), Some("/x/ay"));
        assert!(log.starved(7, None).is_some_and(|kill| kill.limit.is_none()));
    }
}
