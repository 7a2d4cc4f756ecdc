//! Why a security module does not take a label: a profile that is not loaded, or a context that the policy does not know
//! (apparmor(7), selinux(8)). May touch: plan types, system calls.

use super::path;
use super::scene::{Found, Scene};
use crate::plan::op::Namespaces;
use core::ffi::CStr;
use syscalls::{At, Errno};

const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";

/// The lines that write a label into /proc/thread-self/attr.
pub fn of(scene: &Scene, op: &Namespaces) -> Option<Found> {
    let Namespaces::WriteProc { path, .. } = op else {
        return None;
    };
    let (spec, errno) = (scene.spec?, scene.failed()?.errno);
    match path.as_c_str() {
        path if path == c"thread-self/attr/apparmor/exec" => apparmor(&spec.process.apparmor_profile, errno),
        path if is_selinux(path) => selinux(&spec.process.selinux_label, errno),
        _ => None,
    }
}

fn is_selinux(path: &CStr) -> bool {
    path == c"thread-self/attr/exec" || path == c"thread-self/attr/keycreate"
}

fn apparmor(profile: &str, errno: Errno) -> Option<Found> {
    match errno {
        Errno::ENOENT => Some(Found::new("profile not loaded", &[profile])),
        Errno::EACCES | Errno::EPERM => Some(Found::new("profile refused", &[profile])),
        Errno::EINVAL => Some(Found::new("no name of a profile", &[profile])),
        _ => None,
    }
}

fn selinux(label: &str, errno: Errno) -> Option<Found> {
    match errno {
        Errno::EINVAL => Some(Found::new("no context of the policy", &[label])),
        Errno::EACCES | Errno::EPERM => Some(Found::new("context refused", &[label])),
        _ => None,
    }
}

/// Whether an AppArmor profile is loaded, before anything is made. `None`: it is, or the list cannot be read.
pub fn loaded(profile: &str) -> Option<Found> {
    let list = path::text(At::CWD, PROFILES)?;
    let known = list.lines().any(|line| line.rsplit_once(" (").is_some_and(|(name, _)| name == profile));
    (!known && profile != "unconfined").then(|| Found::new("profile not loaded", &[profile]))
}
