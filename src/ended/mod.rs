//! Why a program ended: what the kernel, the cgroup, the trace and the configuration tell of it afterwards. Each look only reads,
//! and what it cannot read it leaves out. May touch: everything from `cause` down.
//!
//! ```text
//!   over      the program that is over
//!   group     what the cgroup has counted
//!   log       what the kernel has written down
//!   profile   which calls the seccomp profile answers with a signal
//!   sender    which process sent a signal
//! ```

mod group;
mod log;
mod over;
mod profile;
mod sender;

use crate::cause::{Found, program};
use crate::host::cgroup;
use crate::host::input::c;
use crate::perform::files::PLACE;
use crate::plan::cgroup::limits::limits;
use crate::spec::Rlimit;
use group::{Counted, Limit};
use log::Log;
pub use over::Over;
use syscalls::flags::signal_name;
use syscalls::{At, Ended, Fd, Why};

/// Milliseconds that the kernel's thread for audit takes at most to write a line down.
const MOMENT: u64 = 10;

/// What is known of the end.
#[derive(Default)]
pub struct End {
    pub ended: Option<Ended>,
    /// The cause, if there is one beside the program's own will.
    pub found: Option<Found>,
    /// What says so, and what else the kernel has counted.
    pub known: Vec<String>,
    /// The kernel ended it, or a limit was reached: the caller's reader does not know that yet.
    pub by_kernel: bool,
}

/// Looks why a program ended.
pub fn of(over: &Over) -> End {
    if over.ended == Some(Ended::Exited(0)) {
        return End { ended: over.ended, ..End::default() };
    }
    let opened = over.hierarchy.is_none().then(|| cgroup::open_root().ok().flatten()).flatten();
    let root = over.hierarchy.or(opened.as_ref().map(Fd::at));
    let mut look = Look { over, root, counted: counted(over, root), log: None, known: Vec::new() };
    let (found, by_kernel) = match over.ended {
        Some(Ended::Killed { signal, .. }) => look.killed(signal),
        Some(Ended::Exited(status)) => look.exited(status),
        None => (look.remains(), true),
    };
    look.limits();
    End { ended: over.ended, by_kernel: by_kernel && found.is_some(), found, known: look.known }
}

/// What the container's cgroup has counted. A cgroup that is older than the container has counted for others, too.
fn counted(over: &Over, root: Option<At>) -> Counted {
    let (path, made) = (&over.saved.cgroup_path, over.saved.made());
    let own = root.filter(|_| !path.is_empty() && made > 0);
    own.map_or_else(Counted::default, |root| group::counted(root, path, made))
}

/// A look, and what it has found so far.
struct Look<'a> {
    over: &'a Over<'a>,
    /// The cgroup hierarchy.
    root: Option<At>,
    counted: Counted,
    /// The kernel's log, once it was read.
    log: Option<Option<Log>>,
    known: Vec<String>,
}

impl Look<'_> {
    /// The cause of an end by a signal; and whether the kernel sent it.
    fn killed(&mut self, signal: i32) -> (Option<Found>, bool) {
        let found = match signal {
            libc::SIGSYS => self.forbidden(),
            libc::SIGKILL => self.starved(true).or_else(|| self.cpu_time(true)),
            libc::SIGXCPU => self.cpu_time(false),
            libc::SIGXFSZ => self.file_size(),
            signal if sender::FAULTS.contains(&signal) => self.fault(signal),
            _ => None,
        };
        match found {
            Some(found) => (Some(found), true),
            None => self.sent(signal),
        }
    }

    /// The cause of an end with an exit status, and whether the kernel or a limit has to do with it.
    fn exited(&mut self, status: i32) -> (Option<Found>, bool) {
        if let Some(found) = self.starved(false).or_else(|| self.crowded()) {
            return (Some(found), true);
        }
        let found = match status {
            126 => Found::new("end 126", &[]),
            127 => Found::new("end 127", &[]),
            159 => match self.child_forbidden() {
                Some(found) => return (Some(found), true),
                None => Found::new("end of a child", &["159", "SIGSYS"]),
            },
            129..=192 => Found::new("end of a child", &[&status.to_string(), &signal_name(status - 128).to_string()]),
            _ => return (None, false),
        };
        (Some(found), false)
    }

    /// The cause of an end, where its status is not known.
    fn remains(&mut self) -> Option<Found> {
        let found = self.starved(false).or_else(|| self.crowded());
        found.or_else(|| {
            let (found, known) = sender::killed(self.over)?;
            self.known.push(known);
            Some(found)
        })
    }

    fn log(&mut self) -> Option<&Log> {
        self.log.get_or_insert_with(Log::read).as_ref()
    }

    /// The pointer of the setting that this file of the cgroup has.
    fn setting(&self, file: &str) -> Option<String> {
        let all = self.over.spec.map(|spec| limits(&spec.linux.resources, "/linux/resources"))?.ok()?;
        all.iter().rev().find(|setting| setting.file.to_bytes() == file.as_bytes()).map(|setting| setting.from.clone())
    }

    /// A cause at the property that the limit comes from, or at the cgroup that has it.
    fn at_limit(&self, found: Found, limit: &Limit) -> Found {
        match self.setting(&limit.file).filter(|_| limit.own) {
            Some(pointer) => found.at(pointer),
            None => found.of(format!("/{}/{}", limit.path, limit.file)),
        }
    }

    /// Want of memory. `itself`: the program was killed, and not only a process that it had started.
    fn starved(&mut self, itself: bool) -> Option<Found> {
        let kills = self.counted.kills;
        if kills > 0 {
            self.known.push(format!("memory.events of /{}: oom_kill {kills}", self.over.saved.cgroup_path));
        }
        // A cgroup that counts no kill had none, and the log need not be read.
        let counts = self.counted.memory.is_some() || kills > 0;
        let logged = if counts || itself && !self.counted.counts_memory { self.logged_kill() } else { None };
        if kills == 0 && logged.is_none() {
            if itself {
                self.no_kill();
            }
            return None;
        }
        let limit = match logged {
            Some(limit) => limit,
            None => self.counted.memory.clone(),
        };
        let who = match (itself, kills) {
            (true, _) => "the program".into(),
            (false, 0 | 1) => "a process of the container".into(),
            (false, many) => format!("{many} processes of the container"),
        };
        let Some(limit) = limit else {
            return Some(Found::new("end by memory of the machine", &[&who]));
        };
        let name = if limit.own { "end by memory" } else { "end by memory above" };
        let words = limit.words();
        let of = if words.is_empty() { words } else { format!(" of {words}") };
        let found = Found::new(name, &[&who, &of, &limit.path]);
        Some(self.at_limit(found, &limit))
    }

    /// What says that it was no want of memory.
    fn no_kill(&mut self) {
        let path = &self.over.saved.cgroup_path;
        if self.counted.counts_memory {
            self.known.push(format!("memory.events of /{path}: oom_kill 0"));
        } else if self.log().is_some() {
            self.known.push(format!("kernel log: no kill of process {} for want of memory", self.over.pid));
        }
    }

    /// What the kernel's log has of a kill: the limit that was reached; none for the machine's memory. The outer `None`: the log
    /// has no such kill.
    fn logged_kill(&mut self) -> Option<Option<Limit>> {
        let (pid, path) = (self.over.pid, &self.over.saved.cgroup_path);
        let group = Some(path.as_str()).filter(|path| !path.is_empty());
        let root = self.root;
        let found = self.log()?.starved(pid, group)?;
        let limit = found.limit.map(|limit| group::named(root, limit, path));
        let line = log::quoted(found.line);
        self.known.push(line);
        Some(limit)
    }

    /// A limit on processor time: the soft one sends SIGXCPU, the hard one SIGKILL.
    fn cpu_time(&mut self, hard: bool) -> Option<Found> {
        let (at, limit) = self.rlimit("RLIMIT_CPU")?;
        let (seconds, used) = (if hard { limit.hard } else { limit.soft }, self.counted.used);
        // The count has microseconds, and is of all processes of the container. The limit is checked by ticks of the clock, which
        // count more than was used where many processes share a processor.
        if hard && used < seconds.saturating_mul(500_000) {
            return None;
        }
        if used > 0 {
            self.known.push(format!("cpu.stat of /{}: usage_usec {used}", self.over.saved.cgroup_path));
        }
        let kind = if hard { "hard" } else { "soft" };
        Some(Found::new("end by processor time", &[&seconds.to_string(), kind]).at(at))
    }

    fn file_size(&self) -> Option<Found> {
        let (at, limit) = self.rlimit("RLIMIT_FSIZE")?;
        Some(Found::new("end by file size", &[&cgroup::size(limit.soft)]).at(at))
    }

    /// A limit of the configuration, and its pointer.
    fn rlimit(&self, kind: &str) -> Option<(String, &Rlimit)> {
        let all = &self.over.spec?.process.rlimits;
        let at = all.iter().position(|limit| limit.kind == kind)?;
        Some((format!("/process/rlimits/{at}"), all.get(at)?))
    }

    /// A fault of the program's code.
    fn fault(&mut self, signal: i32) -> Option<Found> {
        let name = signal_name(signal).to_string();
        let pid = self.over.pid;
        let crashes = || {
            let root = c(&self.over.saved.rootfs).ok()?;
            let why = Why("a program that is not whole crashes at its start");
            let root = syscalls::openat(At::CWD, &root, PLACE, why).ok()?;
            program::crashes(root.at(), self.over.spec?)
        };
        if let Some(found) = crashes() {
            return Some(found);
        }
        let first = self.over.is_protected();
        let since = self.over.since_boot();
        let line = self.log()?.fault(pid, since)?;
        let words = log::fault_words(line);
        let (full, abort) = (log::is_full_stack(line), first && log::is_forbidden(line));
        let line = log::quoted(line);
        self.known.push(line);
        let cause = match (full, abort) {
            (true, _) => "end by a full stack",
            (_, true) => "end by abort of the first process",
            _ => "end by a fault",
        };
        let found = Found::new(cause, &[&words, &name]);
        Some(match self.rlimit("RLIMIT_STACK").filter(|_| full) {
            Some((at, _)) => found.at(at),
            None => found,
        })
    }

    /// Processes that could not be made.
    fn crowded(&mut self) -> Option<Found> {
        let limit = self.counted.pids.clone()?;
        let refused = self.counted.refused;
        self.known.push(format!("pids.events of /{}: max {refused}", limit.path));
        let name = if limit.own { "end by processes" } else { "end by processes above" };
        let found = Found::new(name, &[&refused.to_string(), &limit.value, &limit.path]);
        Some(self.at_limit(found, &limit))
    }

    /// A signal that a process sent, and whether the caller should be told.
    fn sent(&mut self, signal: i32) -> (Option<Found>, bool) {
        let sender::Sent { found, known, news } = sender::of(self.over, signal);
        self.known.extend(known);
        (Some(found), news)
    }

    /// The profile ended the program.
    fn forbidden(&mut self) -> Option<Found> {
        let profile = self.over.spec?.linux.seccomp.as_ref()?;
        let (pid, since) = (self.over.pid, self.over.since());
        for attempt in 0..2 {
            if let Some(found) = self.log().and_then(|log| log.forbidden(pid, since)) {
                let (cause, line) = (profile::at_call(profile, &found, "the program"), log::quoted(found.line));
                self.known.push(line);
                return Some(cause);
            }
            if attempt == 0 && self.log().is_some() {
                let why = Why("the kernel writes the line down a moment after the end of the process");
                let _ = syscalls::ppoll(&mut [], Some(MOMENT), why);
                self.log = None;
            }
        }
        self.known.push("SIGSYS is the signal with which a seccomp filter ends a program".into());
        Some(profile::among(profile))
    }

    /// The profile ended a process that the program had started.
    fn child_forbidden(&mut self) -> Option<Found> {
        let profile = self.over.spec?.linux.seccomp.as_ref()?;
        let since = self.over.since();
        let found = self.log()?.only_forbidden(since)?;
        let program = log::field(found.line, "comm=").unwrap_or("").trim_matches('"').to_string();
        let cause = profile::at_call(profile, &found, &format!("`{program}`"));
        let line = log::quoted(found.line);
        self.known.push("exit status 159 is how a shell tells of an end by SIGSYS: 128 and 31".into());
        self.known.push(format!("{line}: the only such line since the container began"));
        Some(cause)
    }

    /// What else the kernel has counted that bears on an end.
    fn limits(&mut self) {
        let [throttled, periods] = self.counted.throttled;
        if throttled > 0 {
            self.known.push(format!("cpu.stat: held back in {throttled} of {periods} periods by cpu.max"));
        }
        if self.counted.frozen {
            self.known.push("cgroup.events: frozen 1".into());
        }
    }
}
