//! Why a seccomp filter cannot be loaded, and calls of the first process that the container's own filter refuses (seccomp(2)). May
//! touch: plan types, system calls.

use super::path;
use super::rights;
use super::scene::{Found, Scene};
use crate::plan::op::Seccomp;
use syscalls::{At, Errno, SeccompFlags};

/// The kernel takes so many instructions (linux/bpf_common.h, BPF_MAXINSNS).
const MOST: usize = 4096;

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
