//! The program: whether it is there, and can be executed by its user. May touch: system calls.

use super::lines::Bundle;
use super::rows::{Rows, Verdict};
use super::view::Lies;
use crate::cause::{Found, missing, mounts, path};
use syscalls::At;

pub fn look(b: &Bundle, at: &str, rows: &mut Rows) {
    let (Some(root), Some(name)) = (&b.view.rootfs, b.spec.process.args.first()) else {
        return;
    };
    let user = b.spec.process.user.uid.to_string();
    let found = match b.view.lies(name) {
        // In a path that is relative, or to be looked for, no mount is told by its beginning.
        _ if !name.starts_with('/') => in_rootfs(root.at(), b),
        Lies::Host(_, mount) | Lies::New(_, mount) if mount.noexec => {
            return rows.say(Verdict::Fails, at, "program", "noexec", &[name, &mount.path, &mount.from]);
        }
        Lies::Host(there, _) => mounts::source_missing(&there),
        Lies::New(..) => return rows.unsure(at, "program", &[name]),
        Lies::Rootfs => in_rootfs(root.at(), b),
    };
    match (found, b.view.may_bring()) {
        (None, _) => rows.ok(at, "program", &[name, &user]),
        (Some(found), Some(mount)) => rows.say(Verdict::Unsure, at, "program", "brought", &[&found.cause, mount]),
        (Some(found), None) => rows.found(at, found),
    }
}

/// What stops the program in the rootfs, if no mount covers a part of its way.
fn in_rootfs(root: At, b: &Bundle) -> Option<Found> {
    let name = b.spec.process.args.first().filter(|name| name.starts_with('/'))?;
    missing::found("path in the rootfs", name, &path::walk(root, name)?)
}
