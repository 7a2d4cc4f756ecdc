//! Processes: making them, becoming another program, ending, waiting.

use crate::call::{Result, Why, gate};
use crate::fd::{At, Fd};
use crate::file::{c, d};
use crate::record;
use crate::room::{self, slate};
use crate::table::Call;
use crate::vdso::clock_ns;
use core::ffi::{CStr, c_char};
use core::sync::atomic::Ordering::Acquire;
use linux_raw_sys::general::clone_args;

/// Which side of clone3 the caller is on.
pub enum Cloned {
    /// The caller: the child's process id as seen from here, and a handle on it.
    Parent {
        pid: i32,
        pidfd: Fd,
    },
    Child,
}

/// clone3(2) without shared memory, with CLONE_PIDFD added: a copy of the caller, in the new namespaces that `flags` asks
/// for, born into `cgroup` if one is given. SIGCHLD tells the parent of its end. The copy has the handlers of `fault`, too,
/// up to its execve.
///
/// The child records as lane `lane`, into the same recorder.
/// With CLONE_PARENT the child becomes the caller's sibling, and the signal is the one that the caller's own end sends.
pub fn clone3(flags: u64, cgroup: Option<At>, lane: u8, why: Why) -> Result<Cloned> {
    let cloned = clone(flags, cgroup, lane, 0, why)?;
    if let Cloned::Parent { pid, .. } = &cloned {
        record::set_cloned(*pid);
    }
    Ok(cloned)
}

/// clone3(2) of a helper: a process beside the container's first one. Its records say which helper they are of, and
/// [`record::Head::helpers`] which process that is.
pub fn clone3_helper(flags: u64, lane: u8, why: Why) -> Result<Cloned> {
    let helper = record::next_helper();
    let cloned = clone(flags, None, lane, helper, why)?;
    if let Cloned::Parent { pid, .. } = &cloned {
        record::set_helper(helper, *pid);
    }
    Ok(cloned)
}

/// `own`: what the child's records have in place of its process id.
fn clone(flags: u64, cgroup: Option<At>, lane: u8, own: i32, why: Why) -> Result<Cloned> {
    let mut pidfd: i32 = -1;
    let always = u64::from(linux_raw_sys::general::CLONE_PIDFD);
    let into = if cgroup.is_some() { linux_raw_sys::general::CLONE_INTO_CGROUP } else { 0 };
    let args = clone_args {
        flags: flags | always | into,
        pidfd: &raw mut pidfd as u64,
        // clone(2): with CLONE_PARENT none may be given, the caller's is taken.
        exit_signal: if flags & libc::CLONE_PARENT as u64 == 0 { libc::SIGCHLD as u64 } else { 0 },
        cgroup: cgroup.map_or(0, |at| at.0 as u64),
        child_tid: 0,
        parent_tid: 0,
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
    };
    let pid = gate(Call::Clone3, [&raw const args as usize, size_of::<clone_args>(), 0, 0, 0, 0], why)?;
    if pid == 0 {
        record::set_pid(own);
        record::at(lane, 0, 0);
        return Ok(Cloned::Child);
    }
    // SAFETY: the kernel wrote the descriptor's number through the pointer in `args`.
    let pidfd = unsafe { (&raw const pidfd).read_volatile() };
    Ok(Cloned::Parent { pid: pid as i32, pidfd: Fd::new(pidfd as usize, "child") })
}

/// execve(2). It returns only when it failed.
pub fn execve(path: &CStr, argv: &Vector, envp: &Vector, why: Why) -> crate::Failed {
    match gate(Call::Execve, [c(path), argv.as_ptr() as usize, envp.as_ptr() as usize, 0, 0, 0], why) {
        Err(failed) => failed,
        // A successful execve has no caller to return to.
        Ok(_) => exit_group(127, Why("execve returned without an error, which the kernel never does")),
    }
}

/// execveat(2) of an open file. It returns only when it failed.
pub fn execveat(file: At, argv: &Vector, envp: &Vector, why: Why) -> crate::Failed {
    let flags = libc::AT_EMPTY_PATH as usize;
    let (argv, envp) = (argv.as_ptr() as usize, envp.as_ptr() as usize);
    match gate(Call::Execveat, [d(file), c(c""), argv, envp, flags, 0], why) {
        Err(failed) => failed,
        Ok(_) => exit_group(127, Why("execve returned without an error, which the kernel never does")),
    }
}

/// Puts the execveat(2) that made this process what it is on record. `envp`: where its environment was then.
pub fn execveat_succeeded(file: i32, argv: *const *const c_char, envp: usize, why: Why) {
    let flags = libc::AT_EMPTY_PATH as usize;
    let here = crate::entry::environment_at() as usize;
    let args = [file as usize, c(c""), argv as usize, here, flags, 0];
    if let Some(at) = crate::call::past(Call::Execveat, args, why) {
        record::set_arg(at, 3, envp);
    }
}

/// A NULL-terminated vector of C strings, made before clone3 out of memory that the caller keeps.
pub struct Vector<'a> {
    pointers: &'a [*const c_char],
}

impl<'a> Vector<'a> {
    /// The longest prefix of `strings` that fits in `room` with a NULL behind it; `room` must be one longer.
    pub fn new<'b: 'a>(strings: impl Iterator<Item = &'b CStr>, room: &'a mut [*const c_char]) -> Vector<'a> {
        let last = room.len().saturating_sub(1);
        let mut len = 0;
        for (slot, string) in room[..last].iter_mut().zip(strings) {
            *slot = string.as_ptr();
            len += 1;
        }
        if let Some(end) = room.get_mut(len) {
            *end = core::ptr::null();
        }
        Vector { pointers: room }
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

/// exit_group(2).
pub fn exit_group(status: i32, why: Why) -> ! {
    let _ = gate(Call::ExitGroup, [status as usize, 0, 0, 0, 0, 0], why);
    // A filter has refused it, and there is nothing left that it could not refuse as well.
    crate::arch::trap()
}

/// What became of a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    Exited(i32),
    Killed(i32),
}

impl Ended {
    /// The exit status that a shell would show: 128+n for a signal.
    pub fn status(self) -> i32 {
        match self {
            Ended::Exited(status) => status,
            Ended::Killed(signal) => 128 + signal,
        }
    }
}

/// waitid(2) on a process handle, for its end. `options`: 0 or WNOHANG; `None`: it has not ended.
pub fn waitid_pidfd(pidfd: At, options: u32, why: Why) -> Result<Option<Ended>> {
    Ok(wait(libc::P_PIDFD, d(pidfd), options, why)?.map(|(_, ended)| ended))
}

/// waitid(2) on a child by its number, for its end.
pub fn waitid_pid(pid: i32, why: Why) -> Result<()> {
    wait(libc::P_PID, pid as usize, 0, why).map(drop)
}

/// waitid(2) on any child that has ended, without taking its status: which it is.
pub fn waitid_any_ended(why: Why) -> Result<Option<i32>> {
    let options = (libc::WNOHANG | libc::WNOWAIT) as u32;
    Ok(wait(libc::P_ALL, 0, options, why)?.map(|(pid, _)| pid))
}

fn wait(kind: libc::idtype_t, id: usize, options: u32, why: Why) -> Result<Option<(i32, Ended)>> {
    // SAFETY: siginfo_t is plain numbers, for which all zeros is a value.
    let mut info: libc::siginfo_t = unsafe { core::mem::zeroed() };
    let options = (options | libc::WEXITED as u32) as usize;
    gate(Call::Waitid, [kind as usize, id, &raw mut info as usize, options, 0, 0], why)?;
    // SAFETY: waitid filled the SIGCHLD members, or left them zero (WNOHANG).
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    Ok(match (pid, info.si_code) {
        (0, _) => None,
        (pid, libc::CLD_EXITED) => Some((pid, Ended::Exited(status))),
        (pid, _) => Some((pid, Ended::Killed(status))),
    })
}

/// PIDFD_GET_INFO of linux/pidfd.h, for a structure of 64 bytes; Linux 6.15 tells the exit status.
const PIDFD_GET_INFO: usize = 0xc040_ff0b;
const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// ioctl(2) with PIDFD_GET_INFO: what became of a process that somebody else has waited for. `None`: it has not come
/// to that yet, or the kernel does not tell.
pub fn pidfd_exit(pidfd: At, why: Why) -> Result<Option<Ended>> {
    let mut info = [0u64; 8];
    info[0] = PIDFD_INFO_EXIT;
    gate(Call::IoctlPidfd, [d(pidfd), PIDFD_GET_INFO, info.as_mut_ptr() as usize, 0, 0, 0], why)?;
    if info[0] & PIDFD_INFO_EXIT == 0 {
        return Ok(None);
    }
    // The last four bytes are the status as wait(2) has it.
    let status = (info[7] >> 32) as i32;
    let signal = status & 0x7f;
    Ok(Some(if signal == 0 { Ended::Exited(status >> 8 & 0xff) } else { Ended::Killed(signal) }))
}

/// getpid(2).
pub fn getpid(why: Why) -> i32 {
    gate(Call::Getpid, [0; 6], why).unwrap_or(0) as i32
}

/// getppid(2).
pub fn getppid(why: Why) -> i32 {
    gate(Call::Getppid, [0; 6], why).unwrap_or(0) as i32
}

/// setsid(2).
pub fn setsid(why: Why) -> Result<()> {
    gate(Call::Setsid, [0; 6], why).map(drop)
}

/// unshare(2). `flags`: CLONE_NEW*.
pub fn unshare(flags: u32, why: Why) -> Result<()> {
    gate(Call::Unshare, [flags as usize, 0, 0, 0, 0, 0], why).map(drop)
}

/// setns(2). `flags`: the CLONE_NEW* that the namespace must be of.
pub fn setns(namespace: At, flags: u32, why: Why) -> Result<()> {
    gate(Call::Setns, [d(namespace), flags as usize, 0, 0, 0, 0], why).map(drop)
}

/// setpgid(2) of the caller, into a group of its own.
pub fn setpgid(why: Why) -> Result<()> {
    gate(Call::Setpgid, [0; 6], why).map(drop)
}

/// pidfd_getfd(2): another process's descriptor, as one of ours.
pub fn pidfd_getfd(pidfd: At, number: i32, name: &'static str, why: Why) -> Result<Fd> {
    let args = [d(pidfd), number as usize, 0, 0, 0, 0];
    Ok(Fd::new(gate(Call::PidfdGetfd, args, why)?, name))
}

/// pidfd_open(2).
pub fn pidfd_open(pid: i32, why: Why) -> Result<Fd> {
    Ok(Fd::new(gate(Call::PidfdOpen, [pid as usize, 0, 0, 0, 0, 0], why)?, "process"))
}

/// pidfd_send_signal(2).
pub fn pidfd_send_signal(pidfd: At, signal: i32, why: Why) -> Result<()> {
    gate(Call::PidfdSendSignal, [d(pidfd), signal as usize, 0, 0, 0, 0], why).map(drop)
}

/// kill(2).
pub fn kill(pid: i32, signal: i32, why: Why) -> Result<()> {
    gate(Call::Kill, [pid as isize as usize, signal as usize, 0, 0, 0, 0], why).map(drop)
}

/// The other lane's newest execve: `None`, there was none; else whether it succeeded, or the errno with which it failed. To
/// be asked when the other lane has ended, or has become its program.
pub fn execve_of(lane: u8) -> Option<core::result::Result<(), crate::Errno>> {
    match slate().execve(lane).load(Acquire) {
        room::NONE => None,
        room::ON_ITS_WAY => {
            record::complete_execve(lane, clock_ns(libc::CLOCK_MONOTONIC));
            Some(Ok(()))
        }
        errno => Some(Err(crate::Errno(errno as u16))),
    }
}
