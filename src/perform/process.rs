//! The process that becomes the program: its signals, limits, scheduling, session and privileges, and its execve. May
//! touch: plan types, system calls.

use super::files::{despite, kind};
use super::{Lanes, step, words};
use crate::host::procfs;
use crate::outcome::{Check, Done, Trouble};
use crate::plan::op::Process;
use crate::plan::{Slot, Strings};
use crate::sorted;
use alloc::ffi::CString;
use core::ffi::CStr;
use core::sync::atomic::Ordering::*;
use libc::{SIGABRT, SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use syscalls::{AccessFlags, AccessMode, Ambient, At, AtFlags, CapabilitySets, Disposition, Errno, Prctl, SigSet, Why};

pub fn perform<'a>(lanes: &mut Lanes<'a>, op: &'a Process, why: Why) -> Done {
    match op {
        Process::HoldSignals => lanes.signals = Some(syscalls::rt_sigprocmask(SigSet::HELD, why)?),
        Process::LookAtSignals => look_at_signals(lanes, why)?,
        Process::ReleaseSignals => release_signals(lanes.ignored, why)?,
        Process::EndBySignals => syscalls::end_by(&[SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM], why)?,
        Process::Affinity { cpus } => syscalls::sched_setaffinity(cpus, why)?,
        Process::AnyProcessor => any_processor(why)?,
        Process::RaiseLimit { resource, hard } => raise_limit(*resource, *hard, why)?,
        Process::Limit { resource, soft, hard } => syscalls::prlimit64(0, *resource, *soft, *hard, why)?,
        Process::ClearUmask => drop(syscalls::umask(0, why)),
        Process::Umask { mask } => drop(syscalls::umask(*mask, why)),
        Process::Session => syscalls::setsid(why)?,
        Process::Keyring { name } => keyring(name, why)?,
        Process::Scheduler { attr } => syscalls::sched_setattr(lanes.process(), attr, why)?,
        Process::IoPriority { value } => syscalls::ioprio_set(lanes.process(), *value, why)?,
        Process::MemoryPolicy { mode, nodes } => syscalls::set_mempolicy(*mode, nodes, why)?,
        Process::Personality { persona } => syscalls::personality(*persona, why)?,
        Process::DropBounding { drop } => drop_bounding(*drop, why)?,
        Process::Capabilities { sets, ambient } => capabilities(sets, *ambient, why)?,
        Process::NoNewPrivileges => drop(syscalls::prctl(Prctl::PR_SET_NO_NEW_PRIVS, 1, why)?),
        Process::CloseDescriptors { first } => close_descriptors(lanes, *first, why)?,
        Process::Find { candidates, look, .. } => lanes.program = Some(find_program(candidates, *look, why)?),
        Process::Execve { argv, envp } => return execve(lanes, argv, envp, why),
    }
    Ok(())
}

fn look_at_signals(lanes: &mut Lanes, why: Why) -> Done {
    lanes.ignored = procfs::ignored_signals(why)?;
    words::IGNORED.store(lanes.ignored.0, Relaxed);
    if lanes.signals.is_some() && lanes.ignored.has(SIGCHLD) {
        let why = Why("an ignored SIGCHLD would let the kernel throw away the program's status (wait(2))");
        syscalls::rt_sigaction(SIGCHLD, Disposition::Default, why)?;
    }
    Ok(())
}

fn release_signals(ignored: SigSet, why: Why) -> Done {
    heed_signals(ignored)?;
    syscalls::rt_sigprocmask(SigSet::EMPTY, why)?;
    Ok(())
}

/// These signals get their usual meaning.
pub fn heed_signals(ignored: SigSet) -> Done {
    for signal in (1..=64).filter(|n| ignored.0 & 1 << (n - 1) != 0) {
        let why = Why("the program would inherit that the caller ignores this signal");
        syscalls::rt_sigaction(signal, Disposition::Default, why)?;
    }
    Ok(())
}

/// As many bits as runc sets: the kernel leaves out processors that do not exist or that the cpuset forbids. If an
/// engine's filter forbids the call, the caller's affinity stays.
fn any_processor(why: Why) -> Done {
    despite(&[Errno::EPERM, Errno::ENOSYS], syscalls::sched_setaffinity(&[u64::MAX; 16], why))
}

/// Without keyrings in the kernel, or with an engine's filter that forbids the call, there is none to join or to share.
fn keyring(name: &CStr, why: Why) -> Done {
    despite(&[Errno::ENOSYS, Errno::EDQUOT, Errno::EPERM], syscalls::keyctl_join_session_keyring(name, why))
}

/// If this process may not raise it, init may not either, and init's own line fails.
fn raise_limit(resource: u32, hard: u64, why: Why) -> Done {
    let look = Why("a hard limit that is high enough stays");
    let (soft, most) = syscalls::prlimit64_ask(resource, look)?;
    if most >= hard {
        return Ok(());
    }
    despite(&[Errno::EPERM], syscalls::prlimit64(0, resource, soft, hard, why))
}

/// Close-on-exec would be too late: execve looks up the program, and the interpreter that the program names, while
/// all descriptors are still open. Only a socket and two fifos are kept: no path leads through them.
fn close_descriptors(lanes: &mut Lanes, first: u32, why: Why) -> Done {
    // Where init has not closed it before, the host's end of the channel is among them.
    if let Some(end) = lanes.take(Slot::CHANNEL) {
        end.leak();
    }
    let [init, start, report, output] =
        [Slot::INIT_END, Slot::START, Slot::REPORT, Slot::HOOK_OUTPUT].map(|slot| lanes.at(slot).raw());
    let mut kept = [init, start, report, output, step::end(lanes).raw()];
    sorted::sort(&mut kept);
    let mut from = first;
    for fd in kept.iter().filter_map(|fd| u32::try_from(*fd).ok()) {
        if from < fd {
            syscalls::close_range(from, fd - 1, why)?;
        }
        from = from.max(fd + 1);
    }
    Ok(syscalls::close_range(from, u32::MAX, why)?)
}

fn drop_bounding(drop: u64, why: Why) -> Done {
    for capability in (0..64).filter(|n| drop & (1 << n) != 0) {
        match syscalls::prctl(Prctl::PR_CAPBSET_DROP, capability, why) {
            // The kernel knows no capability of this number or above.
            Err(failed) if failed.errno == Errno::EINVAL => break,
            other => other.map(core::mem::drop)?,
        }
    }
    Ok(())
}

/// Shrinking the inheritable set empties the ambient one, so what the caller had there is gone.
fn capabilities(sets: &CapabilitySets, ambient: u64, why: Why) -> Done {
    let mut ambient = ambient;
    match syscalls::capset(sets, why) {
        // A capability that this process lacks cannot be given: that is a warning, and no error (config.md, "Linux
        // Process").
        Err(failed) if failed.errno == Errno::EPERM => {
            let held = syscalls::capget(why)?.permitted;
            let rest = CapabilitySets {
                effective: sets.effective & held,
                permitted: sets.permitted & held,
                inheritable: sets.inheritable & held,
            };
            if rest == *sets {
                return Err(failed.into());
            }
            ambient &= held;
            syscalls::capset(&rest, why)?;
            let wanted = sets.effective | sets.permitted | sets.inheritable;
            let left_out = &syscalls::room::slate().left_out;
            left_out.fetch_or(wanted & !held, core::sync::atomic::Ordering::Release);
        }
        set => set?,
    }
    for capability in (0..64u32).filter(|n| ambient & (1 << n) != 0) {
        let why = Why("an ambient capability survives execve of a program without file capabilities");
        syscalls::prctl_ambient(Ambient::PR_CAP_AMBIENT_RAISE, capability, why)?;
    }
    Ok(())
}

/// The first candidate that is a file which this user may execute. Errors are execvp's: not found anywhere, or found
/// and not permitted.
fn find_program(candidates: &[CString], look: bool, why: Why) -> Done<&CStr> {
    let mut refused = None;
    for path in candidates {
        let access = AccessFlags::AT_EACCESS;
        match syscalls::faccessat2(At::CWD, path, AccessMode::X_OK, access, why) {
            Ok(()) if !look => return Ok(path),
            Ok(()) => {}
            // These are no answers about X_OK: an engine's filter does not know the call. execve will tell.
            Err(failed) if [Errno::ENOSYS, Errno::EPERM].contains(&failed.errno) => {}
            Err(failed) if candidates.len() == 1 => return Err(failed.into()),
            Err(failed) if [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno) => continue,
            Err(failed) => {
                refused.get_or_insert(failed);
                continue;
            }
        }
        let why = Why("a directory can be searched, but not executed");
        match syscalls::newfstatat(At::CWD, path, AtFlags::NONE, why) {
            Ok(stat) if kind(&stat) == libc::S_IFREG => return Ok(path),
            Ok(_) => {}
            Err(failed) if candidates.len() == 1 => return Err(failed.into()),
            Err(failed) => {
                let gone = [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno);
                (!gone).then(|| refused.get_or_insert(failed));
            }
        }
    }
    match refused {
        Some(failed) => Err(failed.into()),
        None => Err(Trouble::Check(Check::ProgramNotFound)),
    }
}

/// Only a failure comes back from it.
fn execve(lanes: &mut Lanes, argv: &[CString], envp: &Strings, why: Why) -> Done {
    let program = lanes.program.ok_or(Trouble::Check(Check::ProgramNotFound))?;
    let (argv, envp) = lanes.room.fill_block(argv, envp, lanes.home.as_deref());
    Err(Trouble::Call(syscalls::execve(program, &argv, &envp, why)))
}
