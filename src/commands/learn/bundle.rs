//! The learner's copy of a lesson's bundle: config.json, which stays as the learner has left it, and a rootfs with this
//! program in it. May touch: everything below.

use crate::commands::context::{Context, open_ourselves};
use crate::host::input::c;
use crate::learn::{Lesson, rootless};
use crate::outcome::{Doing, Error};
use crate::perform::files::{PLACE, replace};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why};

/// The places for mounts in each rootfs.
const PLACES: [&CStr; 8] = [c"proc", c"sys", c"dev", c"data", c"a", c"b", c"cgroup", c"tmp"];

/// The name that a file has until all of it is written: another one for each process, since two can be at work. No ID has
/// a `~` in it.
pub fn new_name() -> CString {
    let pid = syscalls::getpid(Why("two processes must not write to one file"));
    c(&format!(".new~{pid}")).unwrap_or_default()
}

/// A file of the bundle as the lesson begins with it, and its name: the one that the task changes.
pub fn begins_with(context: &Context, lesson: &Lesson) -> Result<(&'static str, String), Error> {
    let (name, text) = lesson.begins_with();
    Ok((name, if name == "config.json" { configuration(context, lesson)? } else { text.into() }))
}

/// The configuration that fits this user.
fn configuration(context: &Context, lesson: &Lesson) -> Result<String, Error> {
    if context.host.uid == 0 {
        return Ok(lesson.config.into());
    }
    let fault =
        || Error::State(format!("the configuration of the lesson {} has no place for a user namespace", lesson.name));
    rootless(lesson.config, context.host.uid, context.host.gid).ok_or_else(fault)
}

/// The bundle's directory, as a path.
#[derive(Clone, Copy)]
pub struct Place<'a> {
    pub path: &'a str,
    /// Links on the way are followed. Where the learner has named no directory, a link could lead anywhere, as into `/etc`.
    pub links: bool,
}

/// Makes the bundle, or brings it up to date. True: its configuration is new.
pub fn make(context: &Context, lesson: &Lesson, place: Place) -> Result<bool, Error> {
    let path = place.path;
    let dir = open(context, place, true)?;
    let new = write_new(&dir, c"config.json", &configuration(context, lesson)?)
        .doing(format_args!("write {path}/config.json"))?;
    for (name, text) in lesson.files {
        let written = match name.split_once('/') {
            None => write_new(&dir, &c(name)?, text),
            Some((folder, name)) => below(&dir, &c(folder)?, Why("a file of the lesson lies there"))
                .and_then(|dir| write_new(&dir, &c(name).unwrap_or_default(), text)),
        };
        written.doing(format_args!("write {path}/{name}"))?;
    }
    rootfs(&dir, path)?;
    Ok(new)
}

/// A directory of the bundle, made where it is missing. No link leads out of the bundle.
fn below(dir: &Fd, name: &CStr, why: Why) -> syscalls::Result<Fd> {
    unless_there(syscalls::mkdirat(dir.at(), name, 0o755, why))?;
    syscalls::openat(dir.at(), name, PLACE | OpenFlags::O_NOFOLLOW, why)
}

/// Brings the rootfs of a bundle up to date that `learn` has made before.
pub fn renew(context: &Context, lesson: &Lesson, place: Place) -> Result<(), Error> {
    let path = place.path;
    let why = Why("the learner's configuration is what shall be checked");
    let config = c(&format!("{path}/config.json"))?;
    match syscalls::newfstatat(At::CWD, &config, AtFlags::NONE, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Err(Error::State(format!(
            "{path}/config.json: no such file: `nk-runtime learn {}` writes it, here or in --dir",
            lesson.name
        ))),
        found => {
            found.doing(format_args!("look at {path}/config.json"))?;
            rootfs(&open(context, place, false)?, path)
        }
    }
}

/// Writes the solution beside the file that it is for.
pub fn write_solution(context: &Context, place: Place, text: &str) -> Result<(), Error> {
    let dir = open(context, place, false)?;
    write(&dir, c"solution.json", text, Why("the learner can compare it, or copy it"))
        .doing(format_args!("write {}/solution.json", place.path))
}

const OTHER: &str = "--dir names another place";

/// Opens the bundle's directory. In one that belongs to another user, that user could change what is run here. `make`:
/// what is missing of it is made.
fn open(context: &Context, place: Place, make: bool) -> Result<Fd, Error> {
    let (path, why) = (place.path, Why("all files of the bundle lie there"));
    let start = if path.starts_with('/') { c"/" } else { c"." };
    let links = if place.links { OpenFlags::NONE } else { OpenFlags::O_NOFOLLOW };
    let mut dir = syscalls::openat(At::CWD, start, PLACE, why).doing(format_args!("open {path}"))?;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let name = c(part)?;
        if make {
            let made = syscalls::mkdirat(dir.at(), &name, 0o755, Why("the learner gets a bundle to change"));
            unless_there(made).doing(format_args!("make {path}")).map_err(|error| error.cured(OTHER))?;
        }
        let next = syscalls::openat(dir.at(), &name, PLACE | links, why);
        let opened =
            next.doing(format_args!("open {path}{}", if place.links { "" } else { ", where no link is followed" }));
        dir = if place.links { opened? } else { opened.map_err(|error| error.cured(OTHER))? };
    }
    let owner = syscalls::fstat(dir.at(), Why("another user could change what is run there"));
    let owner = owner.doing(format_args!("look at {path}"))?.st_uid;
    match owner == context.host.uid {
        true => Ok(dir),
        false => Err(Error::State(format!("{path} belongs to user {owner}; {OTHER}"))),
    }
}

fn unless_there(made: syscalls::Result<()>) -> syscalls::Result<()> {
    match made {
        Err(failed) if failed.errno == Errno::EEXIST => Ok(()),
        made => made,
    }
}

/// Writes a file that is not there yet. False: it is there, and stays as it is.
fn write_new(dir: &Fd, name: &CStr, text: &str) -> syscalls::Result<bool> {
    match syscalls::newfstatat(dir.at(), name, AtFlags::AT_SYMLINK_NOFOLLOW, Why("what the learner has changed stays"))
    {
        Err(failed) if failed.errno == Errno::ENOENT => {}
        found => return found.map(|_| false),
    }
    write(dir, name, text, Why("the lesson's bundle")).map(|()| true)
}

fn write(dir: &Fd, name: &CStr, text: &str, why: Why) -> syscalls::Result<()> {
    let new = new_name();
    replace(dir.at(), name, &new, &[text.as_bytes()], 0o644, why).inspect_err(|_| remove(dir, &new))
}

fn remove(dir: &Fd, new: &CStr) {
    let _ = syscalls::unlinkat(dir.at(), new, AtFlags::NONE, Why("a part of a file is of no use"));
}

/// A rootfs with places for mounts and this program: a copy, so that no container has the file that the host runs.
fn rootfs(dir: &Fd, path: &str) -> Result<(), Error> {
    let program = open_ourselves()?;
    let made = || {
        let why = Why("the rootfs: places for mounts, and one program");
        let rootfs = below(dir, c"rootfs", why)?;
        for place in PLACES {
            unless_there(syscalls::mkdirat(rootfs.at(), place, 0o755, why))?;
        }
        let new = new_name();
        copy(&rootfs, &program, &new).inspect_err(|_| remove(&rootfs, &new))
    };
    made().doing(format_args!("make {path}/rootfs"))
}

/// Under another name first: a program that runs cannot be written to (execve(2), ETXTBSY).
fn copy(rootfs: &Fd, program: &Fd, new: &CStr) -> syscalls::Result<()> {
    let why = Why("the program of the lesson is this one");
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC | OpenFlags::O_NOFOLLOW;
    let file = syscalls::openat_create(rootfs.at(), new, flags, 0o755, why)?;
    while syscalls::sendfile(file.at(), program.at(), 1 << 24, why)? > 0 {}
    file.close(Why("a file that is open for writing cannot be executed (execve(2), ETXTBSY)"))?;
    syscalls::renameat2(rootfs.at(), new, rootfs.at(), c"nk-runtime", why)
}
