//! The program and its working directory: whether they are there, and let the user in. May touch: system calls.

use super::rows::{Rows, Verdict};
use super::view::{Bundle, Lies, Mount};
use crate::cause::access::{self, Inside};
use crate::cause::rights::Person;
use crate::cause::{Found, path, program, sizes};
use crate::plan::text;
use alloc::ffi::CString;
use core::cell::RefCell;
use core::ffi::CStr;
use syscalls::At;

fn inside<'a>(b: &'a Bundle, root: At, person: Option<&'a Person>) -> Inside<'a> {
    let (cwd, ways) = (&b.spec.process.cwd, RefCell::default());
    Inside { root, rootfs: &b.view.rootfs_path, cwd, person, spec: Some(b.spec), pid: 0, ways }
}

pub fn look(b: &Bundle, at: &str, rows: &mut Rows) {
    let (Some(root), Some(name)) = (&b.view.rootfs, b.spec.process.args.first()) else {
        return;
    };
    let user = b.spec.process.user.uid.to_string();
    let person = Person::planned(b.spec);
    let inside = inside(b, root.at(), person.as_ref());
    let number = |mount: &Mount| text::number_in("/mounts/", &mount.from);
    let found = match b.view.lies(name) {
        // In a path that is relative, or to be looked for, no mount is told by its beginning.
        _ if !name.starts_with('/') => program::planned(&inside, b.spec),
        Lies::Host(_, mount) if mount.noexec => {
            let found = Found::new("noexec mount", &[name, &mount.path, &mount.from]);
            Some(found.at(format!("{}/options", mount.from)))
        }
        Lies::Host(there, mount) => number(mount).and_then(|at| program::brought(&inside, b.spec, &there, at)),
        Lies::New("tmpfs" | "ramfs", mount) if !is_filled(b, mount) => {
            number(mount).and_then(|at| access::not_in_mount(b.spec, at, name))
        }
        Lies::New(..) => return rows.unsure(at, "program", &[name]),
        Lies::Rootfs => program::planned(&inside, b.spec),
    };
    let ways = inside.ways.borrow();
    match (found, b.view.may_bring(&ways), b.asker.hooked) {
        (None, ..) => rows.ok(at, "program", &[name, &user]),
        (Some(found), Some(mount), _) => rows.say(Verdict::Unsure, at, "program", "brought", &[&found.cause, mount]),
        (Some(found), _, true) => rows.say(Verdict::Unsure, at, "program", "hooked", &[&found.cause]),
        (Some(found), ..) => rows.found(at, found),
    }
}

/// A new file system that gets the files of the image at its place.
fn is_filled(b: &Bundle, mount: &Mount) -> bool {
    let asked = text::number_in("/mounts/", &mount.from).and_then(|number| b.spec.mounts.get(number));
    asked.is_none_or(|asked| asked.options.iter().any(|option| option == "tmpcopyup"))
}

/// Whether arguments and environment are too long.
pub fn sizes(b: &Bundle, argv: &[CString], envp: &[CString], rows: &mut Rows) {
    if let Some(found) = sizes::too_big(b.spec, argv, envp, false) {
        rows.found("/process/args", found);
    }
}

/// The working directory, which the first process enters as root of the container.
pub fn cwd(b: &Bundle, path: &CStr, rows: &mut Rows) {
    let (at, path) = ("/process/cwd", path.to_string_lossy());
    let Some(root) = b.view.rootfs.as_ref().filter(|_| matches!(b.view.lies(&path), Lies::Rootfs)) else {
        return;
    };
    match program::entered(&inside(b, root.at(), None), &path, None) {
        None => rows.ok(at, "cwd", &[&path]),
        // A line before makes it.
        Some(_) if b.makes_cwd && !path::exists(root.at(), &path) => {
            rows.say(Verdict::Ok, at, "cwd", "made", &[&path]);
        }
        Some(found) => rows.found(at, found),
    }
}
