//! The seccomp filter: it comes before all other checks of the kernel. May touch: the spec.

use super::process::Stopped;
use super::texts::cause;
use super::types::{By, Cause, KILLED};
use crate::plan::seccomp::judge;
use crate::spec::Seccomp;
use syscalls::{AUDIT_ARCH_ARM, AUDIT_ARCH_I386, Errno};

const PLACE: &str = "/linux/seccomp";
/// The part of a verdict that is its action.
const ACTION: u32 = libc::SECCOMP_RET_ACTION_FULL;

/// What the filter has refused.
pub fn refused(stopped: &Stopped) -> Option<Cause> {
    let profile = stopped.confinement.spec.linux.seccomp.as_ref()?;
    let call = stopped.call;
    let judged = judge(profile, call.arch, u32::try_from(call.number).unwrap_or(u32::MAX), &call.args);
    let data = judged.verdict & libc::SECCOMP_RET_DATA;
    let errno = Errno(data as u16);
    let kills = match judged.verdict & ACTION {
        libc::SECCOMP_RET_ERRNO if call.errno() == Some(errno) => false,
        // Without a tracer that has asked for the filter's events, the kernel answers so.
        libc::SECCOMP_RET_TRACE if call.errno() == Some(Errno::ENOSYS) => false,
        libc::SECCOMP_RET_KILL_PROCESS | libc::SECCOMP_RET_KILL_THREAD | libc::SECCOMP_RET_TRAP => {
            (call.result == KILLED).then_some(true)?
        }
        libc::SECCOMP_RET_USER_NOTIF if call.errno().is_some() => return Some(asked(stopped, &judged.pointer)),
        _ => return None,
    };
    let answer = match judged.verdict & ACTION {
        libc::SECCOMP_RET_TRAP => "SIGSYS",
        _ if kills => "the end of the process",
        _ => call.errno().unwrap_or(errno).name(),
    };
    Some(described(stopped, profile, judged.pointer, answer))
}

/// An agent decides.
fn asked(stopped: &Stopped, pointer: &str) -> Cause {
    let path = stopped.confinement.spec.linux.seccomp.as_ref().and_then(|profile| profile.listener_path.as_deref());
    cause(By::Seccomp, "seccomp agent", pointer, &[stopped.name, path.unwrap_or("")])
}

fn described(stopped: &Stopped, profile: &Seccomp, pointer: String, answer: &str) -> Cause {
    let name = stopped.name;
    if pointer.ends_with("/architectures") {
        let arch = match stopped.call.arch {
            AUDIT_ARCH_I386 => "SCMP_ARCH_X86",
            AUDIT_ARCH_ARM => "SCMP_ARCH_ARM",
            _ => "SCMP_ARCH_X32",
        };
        return cause(By::Seccomp, "seccomp architecture", pointer, &[name, arch, answer]);
    }
    if !pointer.ends_with("/defaultAction") {
        let conditions = profile.rules.get(last_number(&pointer)).is_some_and(|rule| !rule.args.is_empty());
        let key = if conditions { "seccomp conditions" } else { "seccomp rule" };
        return cause(By::Seccomp, key, pointer.clone(), &[name, answer, &pointer]);
    }
    // A rule that allows the call with other arguments.
    let names = |rule: &crate::spec::seccomp::Rule| rule.names.iter().any(|word| word.as_str() == name);
    if let Some(other) = profile.rules.iter().position(|rule| names(rule) && rule.action != profile.default_action) {
        return cause(
            By::Seccomp,
            "seccomp other arguments",
            pointer,
            &[name, answer, &format!("{PLACE}/syscalls/{other}")],
        );
    }
    let beyond = answer == "ENOSYS" && profile.default_errno_ret != Some(libc::ENOSYS as u32);
    let key = if beyond { "seccomp newer" } else { "seccomp default" };
    cause(By::Seccomp, key, pointer, &[name, answer, &profile.default_action])
}

fn last_number(pointer: &str) -> usize {
    pointer.rsplit('/').next().and_then(|number| number.parse().ok()).unwrap_or(usize::MAX)
}
