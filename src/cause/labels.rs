//! Why a security module does not take a label: a profile that is not loaded, or a context that the policy does not know; and
//! what the module refuses a process that it confines (apparmor(7), selinux(8)). May touch: plan types, system calls.

use super::scene::{Found, Scene};
use super::{path, rights, users};
use crate::plan::op::Namespaces;
use core::ffi::CStr;
use syscalls::{At, Errno, OpenFlags, Why};

const PROFILES: &str = "/sys/kernel/security/apparmor/profiles";
const ENFORCED: &str = "/sys/fs/selinux/enforce";
/// Written to it, a context comes back, or EINVAL.
const CONTEXTS: &CStr = c"/sys/fs/selinux/context";
/// The profile of an ordinary user's namespaces, where AppArmor restricts them.
const RESTRICTED: &str = "unprivileged_userns";

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

/// Whether the SELinux policy knows a context. `None`: it does, or it cannot be asked.
pub fn known(context: &str) -> Option<Found> {
    let why = Why("the policy tells there whether it knows a context, and nothing changes by that");
    let file = syscalls::openat(At::CWD, CONTEXTS, OpenFlags::O_RDWR, why).ok()?;
    let failed = syscalls::write(file.at(), context.as_bytes(), why).err()?;
    (failed.errno == Errno::EINVAL).then(|| Found::new("no context of the policy", &[context]))
}

/// The label of the container's mounts.
pub fn of_mount(scene: &Scene) -> Option<Found> {
    let label = scene.spec.map_or("", |spec| &spec.linux.mount_label);
    let refused = scene.failed()?.errno == Errno::EINVAL && !label.is_empty();
    if refused { Some(known(label)?.at("/linux/mountLabel")) } else { None }
}

pub enum Module {
    Apparmor,
    Selinux,
}

/// The module that refuses something to a process with this label, as /proc/PID/attr/current has it, and the label's name.
/// `None`: nothing is refused under it.
pub fn confining(label: &str) -> Option<(Module, &str)> {
    let label = label.trim_matches(['\0', '\n', ' ']);
    if let Some((profile, mode)) = label.rsplit_once(" (") {
        return matches!(mode, "enforce)" | "kill)" | "mixed)").then_some((Module::Apparmor, profile));
    }
    let enforced = || path::text(At::CWD, ENFORCED).is_some_and(|answer| answer.trim() == "1");
    let is_context = label.split(':').count() > 2 && !label.contains("unconfined_t");
    (is_context && enforced()).then_some((Module::Selinux, label))
}

/// What remains where a process was refused what it has the right to: the module that confines it.
pub fn refusing(scene: &Scene) -> Option<Found> {
    let failed = scene.failed().filter(|failed| matches!(failed.errno, Errno::EACCES | Errno::EPERM))?;
    let call = failed.call.name();
    rights::needed(call)?;
    let label = users::of_process(rights::asking(scene)?, "attr/current")?;
    Some(match confining(&label)? {
        (Module::Apparmor, RESTRICTED) => Found::new("user namespaces by AppArmor", &[]),
        (Module::Apparmor, profile) => Found::new("confined by AppArmor", &[profile, call]),
        (Module::Selinux, context) => Found::new("confined by SELinux", &[context, call]),
    })
}
