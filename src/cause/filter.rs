//! Why a seccomp filter cannot be loaded, and calls of the first process that the container's own filter refuses
//! (seccomp(2)). May touch: plan types, system calls.

use super::path;
use super::rights;
use super::scene::{Found, Scene};
use crate::outcome::Lane;
use crate::plan::op::{Op, Process, Seccomp};
use crate::plan::seccomp::judge;
use crate::spec;
use syscalls::{AUDIT_ARCH, At, Errno, SeccompFlags};

/// The kernel takes so many instructions (linux/bpf_common.h, BPF_MAXINSNS).
const MOST: usize = 4096;

/// The container's filter answers the call with this errno. An execve of init is told by the host, which waits for it.
pub fn refused(scene: &Scene) -> Option<Found> {
    let profile = scene.spec?.linux.seccomp.as_ref()?;
    let (failed, record) = (scene.failed()?, scene.record()?);
    let of_init = scene.lane == Lane::Init || failed.call.name() == "execve";
    if !of_init || !is_loaded(scene) {
        return None;
    }
    let judged = judge(profile, AUDIT_ARCH, record.call.0.into(), &record.args);
    let answer = libc::SECCOMP_RET_ERRNO | u32::from(failed.errno.0);
    let found = || Found::new("refused by the profile", &[failed.call.name(), failed.errno.name()]);
    (judged.verdict == answer).then(|| found().at(judged.pointer))
}

/// The filter does not let execve through, which is the first call of each program. Its arguments are not known beforehand, so a
/// rule that looks at them says nothing.
pub fn planned(profile: &spec::Seccomp) -> Option<Found> {
    let judged = judge(profile, AUDIT_ARCH, libc::SYS_execve as u32, &[0; 6]);
    let (answer, errno) = (judged.verdict & libc::SECCOMP_RET_ACTION_FULL, judged.verdict & libc::SECCOMP_RET_DATA);
    let mut asking = profile.rules.iter().filter(|rule| !rule.args.is_empty());
    if asking.any(|rule| rule.names.iter().any(|name| name == "execve")) {
        return None;
    }
    let found = match answer {
        libc::SECCOMP_RET_ERRNO => Found::new("refused by the profile", &["execve", Errno(errno as u16).name()]),
        libc::SECCOMP_RET_KILL_PROCESS | libc::SECCOMP_RET_KILL_THREAD | libc::SECCOMP_RET_TRAP => {
            let by_rule = judged.pointer.starts_with("/linux/seccomp/syscalls/");
            Found::new(if by_rule { "end by seccomp rule" } else { "end by seccomp" }, &["the program", "execve"])
        }
        _ => return None,
    };
    Some(found.at(judged.pointer))
}

/// Whether the lane has loaded the filter before the line that failed.
fn is_loaded(scene: &Scene) -> bool {
    let Some((lanes, line)) = scene.lanes.zip(scene.line) else {
        // The last thing before the program, which `start` knows alone.
        return scene.line.is_some_and(|line| matches!(line.op, Op::Process(Process::Execve { .. })));
    };
    let before = lanes.plan.init.iter().take_while(|one| !core::ptr::eq(*one, line));
    before.map(|one| &one.op).any(|op| matches!(op, Op::Seccomp(Seccomp::Load { .. })))
}

/// The line that loads the filter.
pub fn of(scene: &Scene, op: &Seccomp) -> Option<Found> {
    let Seccomp::Load { filter, flags, .. } = op else {
        return None;
    };
    match scene.failed()?.errno {
        Errno::EACCES => rights::lacking(scene.pid, "loading a filter without no_new_privs", "CAP_SYS_ADMIN"),
        Errno::EINVAL | Errno::ENOSYS if !path::exists_at(At::CWD, "/proc/sys/kernel/seccomp") => {
            Some(Found::new("no seccomp", &[]))
        }
        Errno::EINVAL if filter.len() > MOST => {
            Some(Found::new("filter too long", &[&format!("{}", filter.len())]).at("/linux/seccomp/syscalls"))
        }
        Errno::EINVAL if *flags != SeccompFlags::NONE => {
            let spec = scene.spec?.linux.seccomp.as_ref()?;
            let names = spec.flags.as_ref().map_or(String::new(), |flags| flags.join(", "));
            Some(Found::new("filter flags", &[&names]).at("/linux/seccomp/flags"))
        }
        Errno::EBUSY => Some(Found::new("second listener", &[]).at("/linux/seccomp/listenerPath")),
        _ => None,
    }
}
