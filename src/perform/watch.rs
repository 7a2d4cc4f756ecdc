//! The watcher: a process beside the container's first one, which traces it (ptrace(2)) from its execve on. It leaves all that
//! the runtime has of its caller: terminal, standard streams, directory. It ends with the container's last process. May touch:
//! plan types, system calls.

use super::{Act, Lanes, share_slate};
use crate::outcome::{Check, Done, Lane, Trouble};
use crate::plan::Slot;
use crate::plan::op::Watch;
use core::ffi::CStr;
use core::sync::atomic::Ordering::*;
use syscalls::{
    At, CloneFlags, Cloned, Disposition, Errno, Failed, Fd, MemFd, OpenFlags, Prctl, PtraceOptions, SigSet, Why,
    record, room,
};

/// The files for the program's calls, in the container's directory: one a watcher.
pub const FILES: [&CStr; 4] = [c"trace.watch", c"trace.watch2", c"trace.watch3", c"trace.watch4"];

/// What the watcher says when it traces the process.
const TRACED: u8 = 1;
/// Where the watcher keeps its end of the channel, and its file.
const CHANNEL: i32 = 3;
const FILE: i32 = 4;

pub fn perform(lanes: &mut Lanes, op: &Watch, why: Why) -> Done {
    match op {
        Watch::Clone { .. } => {
            let Some(act) = &lanes.watcher else {
                return Ok(());
            };
            let Watcher { process, file, channel } = clone(lanes.at(Slot::STATE), act, true, why)?;
            lanes.put(Slot::WATCHER, process);
            lanes.put(Slot::WATCHED, file);
            lanes.put(Slot::TO_WATCHER, channel);
        }
        Watch::Begin => {
            if let Some(channel) = lanes.take(Slot::TO_WATCHER) {
                // The bridge makes init, and ends.
                begin(&channel, if lanes.has(Slot::BRIDGE) { -lanes.pid } else { lanes.pid }, why)?;
            }
        }
    }
    Ok(())
}

/// A watcher: a handle on it, the file for the calls that it sees, and the channel to it.
pub struct Watcher {
    pub process: Fd,
    pub file: Fd,
    pub channel: Fd,
}

/// Clones a watcher. `stays`: it outlives the command, and ends with the container's last process.
pub fn clone(dir: At, act: &Act, stays: bool, why: Why) -> Done<Watcher> {
    let file = file(dir)?;
    let (channel, end) = syscalls::socketpair(Why("the watcher learns there which process to trace"))?;
    share_slate()?;
    match syscalls::clone3_helper(CloneFlags::NONE, Lane::Watcher as u8, why)? {
        Cloned::Child => watch(end, file, act, stays),
        Cloned::Parent { pidfd, .. } => Ok(Watcher { process: pidfd, file, channel }),
    }
}

/// Lets the watcher trace a process. A negative number: what that process clones, too.
pub fn begin(channel: &Fd, pid: i32, why: Why) -> Done {
    room::slate().helper_failure.store(0, Relaxed);
    let mut word = [0; 1];
    let _ = syscalls::write(channel.at(), &pid.to_ne_bytes(), why);
    let why = Why("the program must not begin before it is traced");
    if syscalls::read(channel.at(), &mut word, why)? == 1 {
        return Ok(());
    }
    match room::slate().helper_failure.load(Acquire) {
        0 => Err(Trouble::Check(Check::WatcherVanished)),
        failure => Err(Trouble::Call(Failed::unpacked(failure))),
    }
}

/// The file for the program's calls: in the container's directory, or in memory where there is none.
fn file(dir: At) -> Done<Fd> {
    let flags = OpenFlags::O_RDWR | OpenFlags::O_EXCL | OpenFlags::O_NOFOLLOW;
    let why = Why("the program's calls have a file of their own, and a limit of their own");
    let free = FILES.iter().map(|name| syscalls::openat_create(dir, name, flags, 0o600, why));
    let file = match free.into_iter().find(|made| !matches!(made, Err(f) if f.errno == Errno::EEXIST)) {
        Some(Ok(file)) => file,
        _ => syscalls::memfd_create(c"watch", MemFd::NONE, why)?,
    };
    let why = Why("room for the calls; an empty part of the file takes none");
    syscalls::ftruncate(file.at(), record::WATCHED, why)?;
    Ok(file)
}

/// The watcher's process.
fn watch(channel: Fd, file: Fd, act: &Act, stays: bool) -> ! {
    match trace(channel.leak(), file.leak(), stays) {
        Ok(Some((pid, command))) => {
            act(pid, command);
            room::slate().watched.store(1, Release);
        }
        // The runtime has ended, and with it the container to be.
        Ok(None) => {}
        Err(failed) => {
            room::slate().helper_failure.store(failed.packed(), Release);
            syscalls::exit_group(1, Why("a watcher that cannot trace the program has nothing to do"));
        }
    }
    syscalls::exit_group(0, Why("no process is left to watch"))
}

/// Leaves the caller, traces the process that it is told, and says so.
fn trace(channel: i32, file: i32, stays: bool) -> syscalls::Result<Option<(i32, Option<i32>)>> {
    syscalls::setsid(Why("signals of the caller's terminal are not for the watcher"))?;
    let why = Why("the watcher ends by a signal as any process does, and the container goes on");
    syscalls::rt_sigprocmask(SigSet::EMPTY, why)?;
    let why = Why("SIGALRM ends a watcher that waits for the program it has stopped");
    syscalls::rt_sigaction(libc::SIGALRM, Disposition::Default, why)?;
    let why = Why("the container may see this process; it must not look into it");
    syscalls::prctl(Prctl::PR_SET_DUMPABLE, 0, why)?;
    let why = Why("an engine waits for the end of the container's streams, so the watcher keeps none of them open");
    let (channel, file) = keep_two(channel, file, why)?;
    syscalls::chdir(c"/", Why("the watcher must not keep the caller's directory from being unmounted"))?;
    let mut word = [0; 4];
    if syscalls::read(channel, &mut word, Why("the runtime tells which process is the container's first"))? != 4 {
        return Ok(None);
    }
    let word = i32::from_ne_bytes(word);
    let (pid, makes) = (word.abs(), if word < 0 { PtraceOptions::PTRACE_O_TRACECLONE } else { PtraceOptions::NONE });
    let why = Why("the process is seen from its execve on; its own calls before that are on record already");
    let events = PtraceOptions::PTRACE_O_TRACESYSGOOD | PtraceOptions::PTRACE_O_TRACEEXEC | makes;
    syscalls::ptrace_seize(pid, events, why)?;
    let why = Why("the program's calls are recorded there; the watcher's own are counted from here on");
    room::lay_apart(Some(file), why)?;
    syscalls::write(channel, &[TRACED], Why("the process is traced: it may go on"))?;
    let command = if stays { None } else { Some(hold(channel)?) };
    syscalls::close_range(CHANNEL as u32, u32::MAX, Why("the memory of the records does not need its file"))?;
    Ok(Some((pid, command)))
}

/// Makes a child that ends when the command does, or when that closes its end of the channel: the watcher waits for children
/// and for traced threads with one call.
fn hold(channel: At) -> syscalls::Result<i32> {
    let why = Why("its end tells the watcher that the command has ended");
    match syscalls::clone3_helper(CloneFlags::NONE, Lane::Watcher as u8, why)? {
        Cloned::Parent { pid, .. } => Ok(pid),
        Cloned::Child => {
            while syscalls::read(channel, &mut [0], Why("the command's end")).is_ok_and(|len| len > 0) {}
            syscalls::exit_group(0, Why("the command has ended"))
        }
    }
}

/// Closes all descriptors but two, and makes the null device of the standard ones.
fn keep_two(channel: i32, file: i32, why: Why) -> syscalls::Result<(At, At)> {
    // Both first go where nothing else is.
    let high = channel.max(file) + 1;
    syscalls::dup3_standard(At::from_raw(channel), high, why)?;
    syscalls::dup3_standard(At::from_raw(file), high + 1, why)?;
    syscalls::close_range(0, high as u32 - 1, why)?;
    for _ in 0..3 {
        syscalls::open_standard(c"/dev/null", why)?;
    }
    syscalls::dup3_standard(At::from_raw(high), CHANNEL, why)?;
    syscalls::dup3_standard(At::from_raw(high + 1), FILE, why)?;
    syscalls::close_range(FILE as u32 + 1, u32::MAX, why)?;
    Ok((At::from_raw(CHANNEL), At::from_raw(FILE)))
}
