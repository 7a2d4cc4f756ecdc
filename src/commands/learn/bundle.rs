//! The learner's copy of a lesson's bundle: config.json, which stays as the learner has left it, and a rootfs with this
//! program in it. May touch: everything below.

use crate::commands::context::{Context, open_ourselves};
use crate::host::input::c;
use crate::learn::{Lesson, rootless};
use crate::outcome::{Doing, Error};
use crate::perform::files::{PLACE, replace};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why};

/// The places for mounts in each rootfs.
const PLACES: [&CStr; 8] = [c"proc", c"sys", c"dev", c"data", c"a", c"b", c"cgroup", c"tmp"];

/// Where a file is written before it gets its name.
const NEW: &CStr = c".new";

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

/// Makes the bundle, or brings it up to date. True: its configuration is new.
pub fn make(context: &Context, lesson: &Lesson, path: &str) -> Result<bool, Error> {
    let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]).filter(|i| *i > 0);
    for end in ends {
        let made = syscalls::mkdirat(At::CWD, &c(&path[..end])?, 0o755, Why("the learner gets a bundle to change"));
        unless_there(made).doing(format_args!("make {path}: --dir names another place"))?;
    }
    let dir = open(context, path)?;
    let new = write_new(&dir, c"config.json", &configuration(context, lesson)?)
        .doing(format_args!("write {path}/config.json"))?;
    for (name, text) in lesson.files {
        if let Some((folder, _)) = name.split_once('/') {
            let made = syscalls::mkdirat(dir.at(), &c(folder)?, 0o755, Why("a file of the lesson lies there"));
            unless_there(made).doing(format_args!("make {path}/{folder}"))?;
        }
        write_new(&dir, &c(name)?, text).doing(format_args!("write {path}/{name}"))?;
    }
    rootfs(&dir, path)?;
    Ok(new)
}

/// Brings the rootfs of a bundle up to date that `learn` has made before.
pub fn renew(context: &Context, lesson: &Lesson, path: &str) -> Result<(), Error> {
    let why = Why("the learner's configuration is what shall be checked");
    let config = c(&format!("{path}/config.json"))?;
    match syscalls::newfstatat(At::CWD, &config, AtFlags::NONE, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Err(Error::State(format!(
            "{path}/config.json: no such file: `nk-runtime learn {}` writes it, here or in --dir",
            lesson.name
        ))),
        found => {
            found.doing(format_args!("look at {path}/config.json"))?;
            rootfs(&open(context, path)?, path)
        }
    }
}

/// Writes the solution beside the file that it is for.
pub fn write_solution(context: &Context, path: &str, text: &str) -> Result<(), Error> {
    let dir = open(context, path)?;
    let why = Why("the learner can compare it, or copy it");
    replace(dir.at(), c"solution.json", NEW, text.as_bytes(), 0o644, why)
        .doing(format_args!("write {path}/solution.json"))
}

/// Opens the bundle's directory. In one that belongs to another user, that user could change what is run here.
fn open(context: &Context, path: &str) -> Result<Fd, Error> {
    let why = Why("all files of the bundle lie there");
    let dir = syscalls::openat(At::CWD, &c(path)?, PLACE, why).doing(format_args!("open {path}"))?;
    let owner = syscalls::fstat(dir.at(), Why("another user could change what is run there"));
    let owner = owner.doing(format_args!("look at {path}"))?.st_uid;
    match owner == context.host.uid {
        true => Ok(dir),
        false => Err(Error::State(format!("{path} belongs to user {owner}: --dir names another place"))),
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
    replace(dir.at(), name, NEW, text.as_bytes(), 0o644, Why("the lesson's bundle")).map(|()| true)
}

/// A rootfs with places for mounts and this program: a copy, so that no container has the file that the host runs.
fn rootfs(dir: &Fd, path: &str) -> Result<(), Error> {
    let program = open_ourselves()?;
    let made = || {
        let why = Why("the rootfs: places for mounts, and one program");
        unless_there(syscalls::mkdirat(dir.at(), c"rootfs", 0o755, why))?;
        let rootfs = syscalls::openat(dir.at(), c"rootfs", PLACE | OpenFlags::O_NOFOLLOW, why)?;
        for place in PLACES {
            unless_there(syscalls::mkdirat(rootfs.at(), place, 0o755, why))?;
        }
        copy(&rootfs, &program).inspect_err(|_| {
            let why = Why("a part of a program is no program");
            let _ = syscalls::unlinkat(rootfs.at(), NEW, AtFlags::NONE, why);
        })
    };
    made().doing(format_args!("make {path}/rootfs"))
}

/// Under another name first: a program that runs cannot be written to (execve(2), ETXTBSY).
fn copy(rootfs: &Fd, program: &Fd) -> syscalls::Result<()> {
    let why = Why("the program of the lesson is this one");
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC | OpenFlags::O_NOFOLLOW;
    let file = syscalls::openat_create(rootfs.at(), NEW, flags, 0o755, why)?;
    while syscalls::sendfile(file.at(), program.at(), 1 << 24, why)? > 0 {}
    file.close(Why("a file that is open for writing cannot be executed (execve(2), ETXTBSY)"))?;
    syscalls::renameat(rootfs.at(), NEW, rootfs.at(), c"nk-runtime", why)
}
