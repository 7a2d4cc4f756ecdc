//! What a program does with namespaces and mounts of its own, where no capability helps. May touch: procfs, the spec.

use super::process::Stopped;
use super::texts::cause;
use super::types::{By, Cause};
use crate::cause::{facts, masked};
use crate::host::mountinfo;
use crate::plan::namespaces::pointer;
use crate::spec::{self, NamespaceKind};

const SYS_ADMIN: u32 = 21;

/// EPERM: a mount that the kernel refuses in a user namespace; or a user namespace, in a chroot.
pub fn refused(stopped: &Stopped) -> Option<Cause> {
    let flags = match stopped.name {
        "mount" => return mount(stopped),
        "unshare" | "clone" => stopped.arg(0),
        "clone3" => stopped.word(0)?,
        _ => return None,
    };
    let spec = stopped.confinement.spec;
    let user = flags & libc::CLONE_NEWUSER as u64 != 0;
    let chroot = user && spec::namespace(&spec.linux, &NamespaceKind::Mount).is_none();
    chroot.then(|| cause(By::Namespace, "user namespace in a chroot", "/linux/namespaces", &[]))
}

fn mount(stopped: &Stopped) -> Option<Cause> {
    const OTHERS: u64 =
        libc::MS_REMOUNT | libc::MS_BIND | libc::MS_MOVE | libc::MS_SHARED | libc::MS_PRIVATE | libc::MS_SLAVE;
    let spec = stopped.confinement.spec;
    if stopped.arg(3) & OTHERS != 0 || stopped.shares("user") || !stopped.rights()?.has(SYS_ADMIN) {
        return None;
    }
    let kind = stopped.string(2)?;
    if !facts::holds("user", &kind) {
        spec::namespace(&spec.linux, &NamespaceKind::User)?;
        let place = pointer(spec, &NamespaceKind::User);
        return Some(cause(
            By::Namespace,
            "machine",
            place,
            &["mount", &format!("CAP_SYS_ADMIN for a file system `{kind}`")],
        ));
    }
    let mounts = mountinfo::of(stopped.call.tid).ok()?;
    match masked::covered(&mounts, &kind)? {
        masked::Covered::By(path, count) => {
            let list = if spec.linux.masked_paths.is_empty() { "readonlyPaths" } else { "maskedPaths" };
            Some(cause(By::Mask, "covered", format!("/linux/{list}"), &[&kind, &path, &format!("{count}")]))
        }
        masked::Covered::ReadOnly(path) => {
            let whole = stopped.mounts().iter().find(|mount| mount.target == path)?;
            let pointer = whole.pointer.clone()?;
            Some(cause(By::Mount, "covered read-only", pointer.clone(), &[&kind, &path, &pointer]))
        }
        masked::Covered::Absent => None,
    }
}
