//! Running a hook: a program with the container's state as its input, its words kept in a file, and an end to its time
//! (config.md, "POSIX-platform Hooks"). Nothing here allocates: the init lane runs hooks too. May touch: plan types,
//! system calls.

pub use super::vectors::Room;

use super::files::decimal;
use super::sync::OUTPUT;
use super::{Lanes, share_slate};
use crate::entry::seal;
use crate::host::patience;
use crate::outcome::{Done, Lane, SIGNALLED, TIMED_OUT, Trouble};
use crate::plan::op::Hooks;
use crate::plan::{Hook, Slot, Step};
use alloc::ffi::CString;
use core::ffi::CStr;
use core::sync::atomic::Ordering::*;
use syscalls::{
    At, CloneFlags, Cloned, Ended, Errno, Failed, Fd, MemFd, OpenFlags, PollFd, SigSet, Vector, WaitFlags, Why, room,
};

pub fn perform(lanes: &mut Lanes, op: &Hooks, why: Why) -> Done {
    match op {
        Hooks::Output => {
            let flags = OpenFlags::O_WRONLY | OpenFlags::O_APPEND | OpenFlags::O_NOFOLLOW;
            let file = syscalls::openat_create(lanes.at(Slot::STATE), OUTPUT, flags, 0o600, why)?;
            lanes.put(Slot::HOOK_OUTPUT, file);
            Ok(())
        }
        Hooks::Run { hook } => {
            let (lane, pid) = match lanes.lane {
                Lane::Host => (Lane::Hook, lanes.pid),
                _ => {
                    let why = Why("the state tells the hook this process's number inside");
                    (Lane::InnerHook, syscalls::getpid(why))
                }
            };
            let given = Given { pid, output: lanes.at(Slot::HOOK_OUTPUT), home: lanes.home.as_deref() };
            run(hook, given, &mut lanes.hook_room, lane, why)
        }
    }
}

/// What a hook gets from the lane that runs it.
pub struct Given<'a> {
    /// The container's first process, as the hook's namespaces number it.
    pub pid: i32,
    pub output: At,
    /// `HOME=...` of the container.
    pub home: Option<&'a CStr>,
}

/// Runs a hook to its end.
pub fn run(hook: &Hook, given: Given, room: &mut Room, lane: Lane, why: Why) -> Done {
    let pid = given.pid;
    let input = input(&hook.state, pid)?;
    share_slate()?;
    let failure = &room::slate().helper_failure;
    failure.store(0, Relaxed);
    let (pid, pidfd) = match syscalls::clone3_helper(CloneFlags::NONE, lane as u8, why)? {
        Cloned::Child => child(hook, &input, given, room),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let waited = wait(&pidfd, hook.timeout, lane);
    let in_time = waited == Ok(true);
    if !in_time {
        let why = Why("its time is over, or this command was told to end: the hook ends, with its process group");
        match syscalls::kill(-pid, libc::SIGKILL, why) {
            // The hook has not made its group yet.
            Err(failed) if failed.errno == Errno::ESRCH => syscalls::pidfd_send_signal(pidfd.at(), libc::SIGKILL, why)?,
            other => other?,
        }
    }
    let ended = syscalls::waitid_pidfd(pidfd.at(), WaitFlags::NONE, Why("the hook's exit status"))?;
    waited?;
    let code = match ended {
        _ if !in_time => TIMED_OUT,
        Some(Ended::Exited(status)) => status,
        Some(Ended::Killed { signal, .. }) => SIGNALLED + signal,
        None => 0,
    };
    if failure.load(Acquire) == 0 {
        // execve succeeded, and the program has ended.
        syscalls::execve_of(lane as u8);
    }
    match (failure.load(Acquire), code) {
        (0, 0) => Ok(()),
        (0, code) => Err(Trouble::Hook(code)),
        (failure, _) => Err(Trouble::Call(Failed::unpacked(failure))),
    }
}

/// The state document in a file without a name: with a pipe, a hook that does not read could make the runtime wait.
fn input(state: &[Vec<u8>; 2], pid: i32) -> syscalls::Result<Fd> {
    let why = Why("the hook reads the container's state from its standard input");
    let file = syscalls::memfd_create(c"state", MemFd::NONE, why)?;
    let mut digits = [0u8; 12];
    let mut at = 0;
    // A hook has a state. This program, called again, has none.
    let number = if state[0].is_empty() { &[] } else { decimal(pid, &mut digits) };
    for part in [&state[0][..], number, &state[1][..]] {
        if !part.is_empty() {
            syscalls::pwrite64(file.at(), part, at, why)?;
        }
        at += part.len();
    }
    Ok(file)
}

/// The hook's process, up to its execve.
fn child(hook: &Hook, input: &Fd, given: Given, room: &mut Room) -> ! {
    syscalls::freeze();
    syscalls::record::in_step(Step::Hooks as u16);
    let home = given.home.filter(|_| hook.home);
    let (argv, envp) = match &hook.envp {
        Some(own) => room.fill(&hook.argv, own.iter().map(CString::as_c_str).chain(home)),
        None => room.fill(&hook.argv, seal::environment()),
    };
    if let Err(failed) = become_hook(hook, input, given.output, &argv, &envp) {
        room::slate().helper_failure.store(failed.packed(), Release);
    }
    syscalls::exit_group(127, Why("the hook could not be run"))
}

fn become_hook(hook: &Hook, input: &Fd, output: At, argv: &Vector, envp: &Vector) -> syscalls::Result<()> {
    syscalls::setpgid(Why("a group of its own: it can be ended with all that it starts"))?;
    syscalls::rt_sigprocmask(SigSet::EMPTY, Why("a hook takes signals as any program does"))?;
    syscalls::dup3_standard(input.at(), 0, Why("the state is its input"))?;
    let why = Why("its output is kept, and shown if the hook fails");
    syscalls::dup3_standard(output, 1, why)?;
    syscalls::dup3_standard(output, 2, why)?;
    if let Some(cwd) = &hook.cwd {
        // The engine may have removed the bundle before the container, or this user may not enter it. Then the hook
        // begins in this command's directory, as runc's late hooks do.
        match syscalls::chdir(cwd, Why("a hook begins in the bundle's directory")) {
            Err(f) if [Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES].contains(&f.errno) => {}
            entered => entered?,
        }
    }
    Err(syscalls::execve(&hook.path, argv, envp, Why("the hook's program")))
}

/// Whether it ended before its time was over. TERM, INT and HUP end the host's wait too. A hook of init's ends with
/// init.
fn wait(pidfd: &Fd, timeout: Option<u64>, lane: Lane) -> Done<bool> {
    let why = Why("the end of the hook, or of its time");
    if lane != Lane::InnerHook {
        let limit = timeout.map(|seconds| seconds.saturating_mul(1000));
        let fds = [pidfd.at(), patience::NONE];
        return patience::readable(fds, limit, why, patience::nothing);
    }
    let Some(seconds) = timeout else {
        return Ok(true); // the wait for its status takes as long as it takes
    };
    let mut fds = [PollFd { fd: pidfd.at().raw(), events: libc::POLLIN, revents: 0 }];
    let time = Some(seconds.saturating_mul(1000));
    Ok(syscalls::ppoll(&mut fds, time, why)? > 0)
}
