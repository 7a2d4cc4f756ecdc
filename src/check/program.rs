//! The program and its working directory: whether they are there, and let the user in. May touch: system calls.

use super::rows::{Rows, Verdict};
use super::view::{Bundle, Lies};
use crate::cause::access::Inside;
use crate::cause::rights::Person;
use crate::cause::{Found, mounts, path, program};
use core::ffi::CStr;
use syscalls::At;

fn inside<'a>(b: &'a Bundle, root: At, person: Option<&'a Person>) -> Inside<'a> {
    let cwd = &b.spec.process.cwd;
    Inside { root, rootfs: &b.view.rootfs_path, cwd, person, spec: Some(b.spec), pid: 0 }
}

pub fn look(b: &Bundle, at: &str, rows: &mut Rows) {
    let (Some(root), Some(name)) = (&b.view.rootfs, b.spec.process.args.first()) else {
        return;
    };
    let user = b.spec.process.user.uid.to_string();
    let person = Person::planned(b.spec);
    let planned = || program::planned(&inside(b, root.at(), person.as_ref()), b.spec);
    let found = match b.view.lies(name) {
        // In a path that is relative, or to be looked for, no mount is told by its beginning.
        _ if !name.starts_with('/') => planned(),
        Lies::Host(_, mount) | Lies::New(_, mount) if mount.noexec => {
            let found = Found::new("noexec mount", &[name, &mount.path, &mount.from]);
            return rows.found(at, found.at(format!("{}/options", mount.from)));
        }
        Lies::Host(there, _) => mounts::source_missing(&there),
        Lies::New(..) => return rows.unsure(at, "program", &[name]),
        Lies::Rootfs => planned(),
    };
    match (found, b.view.may_bring()) {
        (None, _) => rows.ok(at, "program", &[name, &user]),
        (Some(found), Some(mount)) => rows.say(Verdict::Unsure, at, "program", "brought", &[&found.cause, mount]),
        (Some(found), None) => rows.found(at, found),
    }
}

pub fn cwd(b: &Bundle, path: &CStr, rows: &mut Rows) {
    let (at, path) = ("/process/cwd", path.to_string_lossy());
    let Some(root) = b.view.rootfs.as_ref().filter(|_| matches!(b.view.lies(&path), Lies::Rootfs)) else {
        return;
    };
    let person = Person::planned(b.spec);
    match program::entered(&inside(b, root.at(), person.as_ref()), &path, None) {
        None => rows.ok(at, "cwd", &[&path]),
        // A line before makes it.
        Some(_) if b.makes_cwd && !path::exists(root.at(), &path) => {
            rows.say(Verdict::Ok, at, "cwd", "made", &[&path]);
        }
        Some(found) => rows.found(at, found),
    }
}
