//! The watcher's loop. Each thread of the container stops where a call begins and where it ends (ptrace(2)), and goes on at
//! once. What the watcher cannot do any more, since the thread was killed meanwhile, it leaves out. May touch: system calls.

use super::notes::{First, Notes};
use super::profile::{Files, Used};
use super::refused::{self, By, Confinement, Foreign, KILLED};
use super::threads::Threads;
use crate::cli::Watched;
use crate::host::{input, procfs};
use crate::outcome::Lane;
use crate::plan::Step;
use crate::spec::Spec;
use core::fmt::Display;
use syscalls::flags::signal_name;
use syscalls::foreign::{self, Foreign as Call};
use syscalls::record::{self, Record};
use syscalls::{ARGUMENTS_STAY, AUDIT_ARCH, AUDIT_ARCH_I386, AtCall, Onward, OpenFlags, PtraceOptions, WaitFlags, Why};

/// What a status of wait(2) says of a stopped thread, beside a signal.
const EVENT_FORK: i32 = 1;
const EVENT_VFORK: i32 = 2;
const EVENT_CLONE: i32 = 3;
const EVENT_EXEC: i32 = 4;
const EVENT_EXIT: i32 = 6;
const EVENT_STOP: i32 = 128;
/// A stop at a call is SIGTRAP and this bit (PTRACE_O_TRACESYSGOOD).
const CALL_STOP: i32 = libc::SIGTRAP | 0x80;
/// The signals of job control that stop a process.
const STOPS: [i32; 4] = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
/// `si_code` of a SIGSYS that a seccomp filter sends.
const SYS_SECCOMP: i32 = 1;
/// The signals by which the kernel answers an instruction that is at fault; then `si_code` is above 0.
const FAULTS: [i32; 6] = [libc::SIGILL, libc::SIGTRAP, libc::SIGBUS, libc::SIGFPE, libc::SIGSEGV, libc::SIGSYS];
/// Results by which the kernel tells itself to make a call again (linux/errno.h).
const RESTARTS: core::ops::RangeInclusive<i64> = -516..=-512;

/// Calls that can send a message to the kernel: what it refuses it tells in a message too.
const SENDS: [u64; 2] = [libc::SYS_sendto as u64, libc::SYS_sendmsg as u64];

/// Calls by which a program can come to serve memory or files itself.
const SERVES: [u64; 3] = [libc::SYS_userfaultfd as u64, libc::SYS_mount as u64, libc::SYS_fsmount as u64];
/// Calls that make a thread or a process. With CLONE_UNTRACED it is not traced from its beginning.
const CLONES: [u64; 2] = [libc::SYS_clone as u64, libc::SYS_clone3 as u64];
/// USERFAULTFD_IOC_NEW of /dev/userfaultfd.
const NEW_USERFAULTFD: u64 = 0xaa00;

const GO_ON: Why = Why("the thread goes on to its next call");
const LOOK: Why = Why("the thread has stopped, and tells what it does");

/// A look that takes longer waits for the program, which is stopped. In seconds.
const LONGEST: u64 = 5;

/// How often the list of processes is asked for.
const ROUNDS: usize = 100;

/// So many threads that have stopped are taken together, so that each has its turn: the kernel names the newest first.
const TOGETHER: usize = 64;
/// As long as one alone has stopped each time, others are asked for after so many.
const ALONE: usize = 8;

/// What is asked of each thread of the program.
fn options() -> PtraceOptions {
    PtraceOptions::PTRACE_O_TRACESYSGOOD
        | PtraceOptions::PTRACE_O_TRACEFORK
        | PtraceOptions::PTRACE_O_TRACEVFORK
        | PtraceOptions::PTRACE_O_TRACECLONE
        | PtraceOptions::PTRACE_O_TRACEEXEC
        | PtraceOptions::PTRACE_O_TRACEEXIT
}

pub struct Engine<'a> {
    what: Watched,
    confinement: Confinement<'a>,
    threads: Threads,
    notes: Notes,
    /// A child of the watcher, which ends when the watch shall end.
    command: Option<i32>,
    /// The watch ends: each thread that stops goes on without the watcher.
    ends: bool,
    /// The program runs: what begins from here on is its own.
    begun: bool,
    /// A thread that is stopped may have to answer before the memory of another one can be read.
    serves: bool,
    /// The profiles that are asked for, and what goes into them.
    profiles: Files,
    used: Used,
}

impl<'a> Engine<'a> {
    pub fn new(what: Watched, confinement: Confinement<'a>) -> Engine<'a> {
        let (threads, notes) = (Threads::default(), Notes::default());
        let (profiles, used) = (Files::default(), Used::default());
        Engine {
            what,
            confinement,
            threads,
            notes,
            command: None,
            ends: false,
            begun: false,
            serves: false,
            profiles,
            used,
        }
    }

    /// Watches until no thread is traced any more, and writes the profiles.
    pub fn profile(&mut self, profiles: &Files, spec: &Spec) -> syscalls::Result<()> {
        self.profiles = profiles.clone();
        self.run();
        self.used.write(profiles, spec)
    }

    /// Traces what runs already. `command`: the child that ends when the watch shall end. `list`: the processes as they are
    /// now. It is asked until it names no new one, since a process that is not traced yet can make others.
    pub fn attach(&mut self, command: Option<i32>, list: &dyn Fn() -> Vec<i32>) {
        self.command = command;
        (self.begun, self.serves) = (true, true);
        self.seize_all(list);
    }

    fn seize_all(&mut self, list: &dyn Fn() -> Vec<i32>) {
        // One that has ended, and that its parent has not waited for, cannot be traced.
        let mut tried: Vec<i32> = Vec::new();
        for _ in 0..ROUNDS {
            let is_new = |tid: &i32| !self.threads.has(*tid) && !tried.contains(tid);
            let new: Vec<i32> = list().into_iter().flat_map(threads_of).filter(is_new).collect();
            if new.is_empty() {
                break;
            }
            for tid in &new {
                self.seize(*tid);
            }
            tried.extend(new);
        }
    }

    /// Traces a thread. It is stopped for a moment: that is where its calls begin to be seen.
    fn seize(&mut self, tid: i32) {
        let why = Why("each thread of the container is seen");
        // The container's first process is traced already.
        let _ = syscalls::ptrace_seize(tid, options(), why);
        if syscalls::ptrace_interrupt(tid, why).is_ok() {
            self.threads.at(tid).attached = true;
        }
    }

    /// Watches until no thread is traced any more.
    pub fn run(&mut self) {
        record::at(Lane::Program as u8, 0, Step::Program as u16);
        let why = Why("the next thread that stops or ends");
        let mut turn = 0;
        while let Ok(Some(first)) = syscalls::wait_traced(WaitFlags::NONE, why) {
            let mut ready = [first; TOGETHER];
            let mut count = 1;
            while turn == 0 && count < TOGETHER && self.threads.are_several() {
                let Ok(Some(next)) = syscalls::wait_traced(WaitFlags::WNOHANG, why) else { break };
                ready[count] = next;
                count += 1;
            }
            turn = if count > 1 { 0 } else { (turn + 1) % ALONE };
            for (tid, status) in ready.into_iter().take(count) {
                // The watcher can live for days: what a stop has taken of memory is given back.
                let mark = syscalls::mark();
                if self.command == Some(tid) {
                    self.end();
                } else {
                    self.stopped(tid, status);
                }
                mark.release();
            }
            if self.command.is_some() && self.threads.is_empty() {
                return;
            }
        }
    }

    /// The watch ends: running threads stop once more.
    fn end(&mut self) {
        self.ends = true;
        for tid in self.threads.all() {
            let _ = syscalls::ptrace_interrupt(tid, Why("only a stopped thread can be let go"));
        }
    }

    /// Lets a stopped thread go.
    fn let_go(&mut self, tid: i32, signal: i32) {
        onward(tid, Onward::Alone, signal);
        self.threads.remove(tid);
    }

    fn stopped(&mut self, tid: i32, status: i32) {
        // As wait(2) has it: the low byte is 0x7f for a stop.
        if status & 0xff != 0x7f {
            self.ended(tid, status);
            return self.threads.remove(tid);
        }
        let (signal, event) = (status >> 8 & 0xff, status >> 16);
        if self.ends {
            return self.let_go(tid, if event == 0 && signal != CALL_STOP { signal } else { 0 });
        }
        match event {
            0 if signal == CALL_STOP => self.at_call(tid),
            0 => self.signalled(tid, signal),
            EVENT_STOP if STOPS.contains(&signal) => {
                self.happened(tid, format_args!("--- stopped by {} ---", signal_name(signal)));
                onward(tid, Onward::Stopped, 0);
            }
            EVENT_STOP => {
                self.threads.at(tid).begun |= self.begun;
                if core::mem::take(&mut self.threads.at(tid).attached) {
                    let _ = syscalls::ptrace_options(tid, options(), Why("what it makes is seen, too"));
                }
                self.go_on(tid, 0);
            }
            EVENT_FORK | EVENT_VFORK | EVENT_CLONE => self.forked(tid),
            EVENT_EXEC => self.executed(tid),
            EVENT_EXIT => self.exits(tid),
            _ => self.go_on(tid, 0),
        }
    }

    /// With `--watch=all` what strace shows beside calls is on record.
    fn happened(&mut self, tid: i32, line: impl Display) {
        if self.what == Watched::All && self.threads.at(tid).begun {
            foreign::event(tid, line);
        }
    }

    fn ended(&mut self, tid: i32, status: i32) {
        let (code, signal) = (status >> 8 & 0xff, status & 0x7f);
        let core = if status & 0x80 != 0 { " (core dumped)" } else { "" };
        match signal {
            0 => self.happened(tid, format_args!("+++ exited with {code} +++")),
            _ => self.happened(tid, format_args!("+++ killed by {}{core} +++", signal_name(signal))),
        }
    }

    fn go_on(&mut self, tid: i32, signal: i32) {
        let how = if self.threads.at(tid).begun { Onward::ToCall } else { Onward::ToEvent };
        onward(tid, how, signal);
    }

    fn at_call(&mut self, tid: i32) {
        let looks = self.what == Watched::All || !ARGUMENTS_STAY || self.profiles.are_wanted();
        let at = if looks { syscalls::ptrace_call(tid, LOOK).ok() } else { None };
        let thread = self.threads.at(tid);
        thread.told = false;
        thread.in_call = at.map_or(!thread.in_call, |at| at.op == AtCall::ENTRY);
        if thread.in_call {
            thread.start_ns = syscalls::clock_ns(libc::CLOCK_MONOTONIC);
            if let Some(at) = at {
                self.enters(tid, &at);
            }
        } else {
            self.leaves(tid, at);
            let thread = self.threads.at(tid);
            if !thread.in_call {
                (thread.quiet, thread.left) = (false, thread.entered.take());
            }
        }
        onward(tid, Onward::ToCall, 0);
    }

    /// Keeps what is known of a call before it is made.
    fn enters(&mut self, tid: i32, at: &AtCall) {
        let [number, args @ ..] = at.words;
        let mut call = Call { pid: tid, tid, arch: at.arch, number, args, stack: at.stack };
        let asks = number == libc::SYS_ioctl as u64 && args[1] == NEW_USERFAULTFD;
        self.serves |= asks || SERVES.contains(&number) || at.arch != AUDIT_ARCH;
        let serves = self.serves;
        let thread = self.threads.at(tid);
        let before = thread.before.replace(number);
        if number == libc::SYS_restart_syscall as u64 {
            // It has no arguments, and is shown with the call that it goes on with.
            call.args[0] = before.unwrap_or(u64::MAX);
        }
        thread.entered = Some(call);
        if self.what == Watched::All {
            let start_ns = thread.start_ns;
            thread.place = in_time_if(serves, || foreign::enter(&call, start_ns, false));
        }
    }

    /// Looks how a call has ended.
    fn leaves(&mut self, tid: i32, at: Option<AtCall>) {
        let thread = self.threads.at(tid);
        let quiet = thread.quiet;
        let (call, result) = match (thread.entered, at) {
            (Some(call), Some(at)) if at.op == AtCall::EXIT => (call, at.words[0] as i64),
            (Some(_), _) => return,
            (None, _) => {
                thread.place = None;
                match self.by_registers(tid) {
                    Some(found) => found,
                    None => return,
                }
            }
        };
        if quiet {
            return;
        }
        if result > 0 && call.arch == AUDIT_ARCH && CLONES.contains(&call.number) {
            self.cloned(tid, &call);
        }
        let failed = (-4095..0).contains(&result) && !RESTARTS.contains(&result);
        let answered = result > 0 && call.arch == AUDIT_ARCH && SENDS.contains(&call.number);
        let by = match failed || answered || self.what == Watched::All {
            true => in_time_if(self.serves || failed || answered, || self.tell(tid, &call, result, failed || answered)),
            false => None,
        };
        self.uses(tid, &call, result, by);
    }

    /// What was made with CLONE_UNTRACED is seen from now on.
    fn cloned(&mut self, tid: i32, call: &Call) {
        let mut flags = call.args[0].to_ne_bytes();
        if call.number == libc::SYS_clone3 as u64 {
            in_time(|| foreign::read(tid, call.args[0], &mut flags));
        }
        if u64::from_ne_bytes(flags) & libc::CLONE_UNTRACED as u64 != 0 {
            let pid = self.process(tid);
            self.seize_all(&|| [vec![pid], procfs::children(pid)].concat());
        }
    }

    /// A call belongs into the profiles that are asked for.
    fn uses(&mut self, tid: i32, call: &Call, result: i64, by: Option<By>) {
        if self.profiles.are_wanted() {
            let call = Foreign { tid, arch: call.arch, number: call.number, args: call.args, result };
            in_time(|| self.used.saw(&self.profiles, &self.confinement, &call, by));
        }
    }

    /// The call of a thread at its exit, out of the registers. `None`: it has not failed, and nothing more is asked for.
    fn by_registers(&mut self, tid: i32) -> Option<(Call, i64)> {
        let (registers, small) = syscalls::ptrace_registers(tid, LOOK).ok()?;
        let result = registers.result;
        if result > 0 && !small && [SENDS, CLONES].as_flattened().contains(&registers.number) {
            return Some((entered(tid, &registers, AUDIT_ARCH), result));
        }
        if !(-4095..0).contains(&result) || RESTARTS.contains(&result) {
            return None;
        }
        // At the entry of a call, too, its result is an error: ENOSYS, until it has another.
        let at = syscalls::ptrace_call(tid, LOOK).ok()?;
        if at.op == AtCall::ENTRY {
            self.threads.at(tid).in_call = true;
            return None;
        }
        Some((entered(tid, &registers, at.arch), result))
    }

    /// Writes down how a call has ended, and why it was refused. Returns what refused it.
    fn tell(&mut self, tid: i32, call: &Call, result: i64, failed: bool) -> Option<By> {
        let now = syscalls::clock_ns(libc::CLOCK_MONOTONIC);
        let (start_ns, place) = (self.threads.at(tid).start_ns, self.threads.at(tid).place);
        let returned = result != KILLED;
        if let Some(place) = place.filter(|_| returned) {
            foreign::leave(place, call, result, 0, now);
        }
        if !failed {
            return None;
        }
        let pid = self.process(tid);
        let refused = Foreign { tid, arch: call.arch, number: call.number, args: call.args, result };
        let cause = refused::cause(&self.confinement, &refused)?;
        let place = place.or_else(|| {
            let place = foreign::enter(call, start_ns, true);
            if let Some(place) = place.filter(|_| returned) {
                foreign::leave(place, call, result, 0, now);
            }
            place
        });
        let text = place.map_or_else(String::new, shown);
        let why = self.notes.count(&cause, First { tid, call: &text, program: &name(pid) });
        if let Some(place) = place {
            record::explain(place, why);
        }
        Some(cause.by)
    }

    /// The process of a thread.
    fn process(&mut self, tid: i32) -> i32 {
        let thread = self.threads.at(tid);
        if thread.pid == 0 {
            let leaders = procfs::leaders(&[tid]).unwrap_or_default();
            thread.pid = leaders.first().copied().unwrap_or(tid);
        }
        thread.pid
    }

    /// A signal is on its way to a thread, which gets it.
    fn signalled(&mut self, tid: i32, signal: i32) {
        let all = self.what == Watched::All;
        if (all || FAULTS.contains(&signal)) && self.threads.at(tid).begun {
            let info = syscalls::ptrace_siginfo(tid, LOOK).unwrap_or([0; 128]);
            self.happened(tid, foreign::signal(&info));
            let code = i32::from_ne_bytes([info[8], info[9], info[10], info[11]]);
            let filtered = signal == libc::SIGSYS && code == SYS_SECCOMP;
            if filtered {
                self.trapped(tid);
            }
            if FAULTS.contains(&signal) && code > 0 && outlives(tid, signal) {
                self.ended(tid, signal);
                let _ = syscalls::ptrace_again(tid, filtered, Why("the kernel ends it there if it has no tracer"));
                return self.let_go(tid, 0);
            }
        }
        self.go_on(tid, signal);
    }

    /// A seccomp filter has sent SIGSYS in place of a call, or has ended the thread.
    fn trapped(&mut self, tid: i32) {
        self.threads.at(tid).told = true;
        // The kernel can tell the exit of the call first, and registers do not tell the call on every machine.
        let thread = self.threads.at(tid);
        let call = match thread.entered.or(thread.left) {
            Some(call) => call,
            None => match (syscalls::ptrace_registers(tid, LOOK), syscalls::ptrace_call(tid, LOOK)) {
                (Ok((registers, _)), Ok(at)) => entered(tid, &registers, at.arch),
                _ => return,
            },
        };
        in_time(|| self.tell(tid, &call, KILLED, true));
    }

    /// A thread has made another one, or a process.
    fn forked(&mut self, tid: i32) {
        if let Ok(new) = syscalls::ptrace_message(tid, LOOK) {
            self.threads.at(new as i32).begun |= self.begun;
        }
        self.go_on(tid, 0);
    }

    /// A process has become another program: the first time, the container's.
    fn executed(&mut self, tid: i32) {
        let before = syscalls::ptrace_message(tid, LOOK).map_or(tid, |before| before as i32);
        if before != tid {
            self.happened(tid, format_args!("+++ superseded by execve in pid {before} +++"));
            self.threads.rename(before, tid);
        }
        let begun = self.threads.at(tid).begun;
        self.begun = true;
        if !begun {
            let _ = syscalls::ptrace_options(tid, options(), Why("from here on the program's calls are seen"));
        }
        let thread = self.threads.at(tid);
        // What follows is the exit of execve. Init has the first one on record itself.
        (thread.begun, thread.in_call, thread.pid, thread.quiet) = (true, true, tid, !begun);
        self.became(tid);
        self.go_on(tid, 0);
    }

    /// An execve that succeeds can have refused something all the same: the rights of a set-user-id program.
    fn became(&mut self, tid: i32) {
        let Ok((registers, small)) = syscalls::ptrace_registers(tid, LOOK) else { return };
        let mut call = entered(tid, &registers, if small { AUDIT_ARCH_I386 } else { AUDIT_ARCH });
        if !ARGUMENTS_STAY {
            let before = self.threads.at(tid).entered;
            (call.number, call.arch) =
                before.map_or((libc::SYS_execve as u64, AUDIT_ARCH), |one| (one.number, one.arch));
        }
        let refused = Foreign { tid, arch: call.arch, number: call.number, args: call.args, result: 0 };
        if let Some(cause) = in_time(|| refused::cause(&self.confinement, &refused)) {
            self.notes.count(&cause, First { tid, call: "execve(...) = 0", program: &name(tid) });
        }
    }

    /// A thread ends; of the call in which it does so it holds the registers still.
    fn exits(&mut self, tid: i32) {
        let status = syscalls::ptrace_message(tid, LOOK).unwrap_or(0) as i32;
        if status & 0x7f == libc::SIGSYS {
            if !self.threads.at(tid).told {
                self.trapped(tid);
            }
        } else if let Some(call) = self.threads.at(tid).entered {
            // A call that waited, or exit_group itself: it has no end of its own.
            self.uses(tid, &call, -i64::from(libc::EINTR), None);
        }
        onward(tid, Onward::ToEvent, 0);
    }
}

/// The call that registers tell of.
fn entered(tid: i32, registers: &syscalls::CallRegisters, arch: u32) -> Call {
    let args = registers.args(arch == AUDIT_ARCH_I386);
    Call { pid: tid, tid, arch, number: registers.number, args, stack: registers.stack }
}

/// Whether a fault does not end a thread as long as it is traced: it belongs to the first process of a pid namespace, which has
/// no handler for the signal (force_sig_info_to_task() in the kernel's signal.c).
fn outlives(tid: i32, signal: i32) -> bool {
    let status = procfs::text(tid, "status", Why("what a fault does to the process")).unwrap_or_default();
    let handled = u64::from_str_radix(procfs::field(&status, "SigCgt"), 16).unwrap_or(0);
    handled >> (signal - 1) & 1 == 0 && procfs::field(&status, "NStgid").split_whitespace().last() == Some("1")
}

/// A record as strace shows it.
fn shown(place: u32) -> String {
    let mut text = String::new();
    if let Some(r) = Record::read(record::bytes(), place) {
        let _ = syscalls::show::whole(&r, &mut text);
    }
    text
}

/// Looks into the program, or at its files. The answer can be a stopped thread's to give: it serves the page (userfaultfd(2)) or
/// the file system (FUSE). SIGALRM ends the watcher then, and the program goes on without it.
fn in_time<T>(look: impl FnOnce() -> T) -> T {
    let why = Why("a look that waits for a stopped thread would never end");
    let _ = syscalls::setitimer_real(LONGEST, why);
    let found = look();
    let _ = syscalls::setitimer_real(0, why);
    found
}

fn in_time_if<T>(waits: bool, look: impl FnOnce() -> T) -> T {
    if waits { in_time(look) } else { look() }
}

fn onward(tid: i32, how: Onward, signal: i32) {
    // It fails if the thread was killed meanwhile.
    let _ = syscalls::ptrace_onward(tid, how, signal, GO_ON);
}

/// The threads of a process (proc_pid_task(5)).
fn threads_of(pid: i32) -> Vec<i32> {
    let why = Why("each thread is traced by itself");
    let look = || {
        let procfs = procfs::open()?;
        let dir = syscalls::openat(procfs.at(), &procfs::path(pid, "task"), OpenFlags::O_DIRECTORY, why)?;
        input::names(dir.at(), why)
    };
    let names = look().unwrap_or_default();
    names.iter().filter_map(|name| name.to_str().ok()?.parse().ok()).collect()
}

/// The name of a process's program, as the kernel keeps it.
fn name(pid: i32) -> String {
    let text = procfs::text(pid, "comm", Why("the summary tells which program made the call"));
    text.unwrap_or_default().trim_end().into()
}
