//! The removal of a container's state. Its trace moves to the kept ones. May touch: system calls.

use super::document::{INTENDED, NEW};
use super::traces::{self, FAILED, Kept, LATER, MACHINE, OLD, TRACE};
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error};
use crate::perform::{callers, sync, watch};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why};

/// The socket at which `run` listens for other commands of a container in a machine of its own.
pub const CHANNEL: &CStr = c"channel";

/// The files that a container's directory may hold, besides its document.
const FILES: [&CStr; 13] = [
    NEW,
    INTENDED,
    sync::START,
    sync::REPORT,
    sync::OUTPUT,
    sync::CREATING,
    callers::SOCKET,
    TRACE,
    LATER,
    OLD,
    FAILED,
    MACHINE,
    CHANNEL,
];

/// Removes a container's state. `later`: later commands have recorded in the directory, so it is not empty.
pub fn remove(root: At, dir: At, id: &str, later: bool) -> Result<(), Error> {
    remove_document(dir, id)?;
    if remove_rest(root, dir, id, later)? { Ok(()) } else { Err(strangers(id)) }
}

fn remove_document(dir: At, id: &str) -> Result<(), Error> {
    remove_name(dir, c"state.json", AtFlags::NONE, Why("no command finds the container any more"))
        .doing(format_args!("remove the state of {id}"))
}

/// The error of a directory that cannot be removed.
pub fn strangers(id: &str) -> Error {
    Error::State(format!("remove the state of {id}: its directory holds files that are not the container's"))
}

/// Removes the state of a container without a document. False: the process that makes it has just written one, and the
/// directory stays. After true, that process finds no directory for the document, and so ends the container.
pub fn remove_unfinished(root: At, dir: At, id: &str) -> Result<bool, Error> {
    remove_rest(root, dir, id, true)
}

fn remove_rest(root: At, dir: At, id: &str, later: bool) -> Result<bool, Error> {
    let kept = traces::keep(root, dir, id);
    removed(root, kept, dir, &c(id)?, later).doing(format_args!("remove the state of {id}"))
}

/// Removes the state of a container that could not be made. `root`: if it cannot be opened, since this process may open no
/// more files, the directory goes by its path, and no trace is kept.
pub fn remove_failed(root: Result<Fd, Error>, path: &str, dir: Fd, id: &str) -> Result<(), Error> {
    if let Ok(root) = root {
        return remove(root.at(), dir.at(), id, false);
    }
    remove_document(dir.at(), id)?;
    let gone = removed(At::CWD, None, dir.at(), &c(&format!("{path}/{id}"))?, false);
    if gone.doing(format_args!("remove the state of {id}"))? { Ok(()) } else { Err(strangers(id)) }
}

fn removed(root: At, kept: Option<Kept>, dir: At, name: &CStr, later: bool) -> syscalls::Result<bool> {
    let free = || remove_name(root, name, AtFlags::AT_REMOVEDIR, Why("the id is free again"));
    let mut freed = if later { Ok(()) } else { free() };
    if later || is_full(&freed) {
        let mut names = names(dir).ok();
        if let (Some(kept), Some(names)) = (&kept, &mut names) {
            names.retain(|name| !kept.take_later(dir, name));
        }
        remove_files(dir, |name| names.as_ref().is_none_or(|all| all.iter().any(|one| one.as_c_str() == name)))?;
        freed = free();
    }
    if is_full(&freed) {
        if let Some(kept) = kept {
            kept.take_watched(dir);
            kept.take_config(dir);
        }
        remove_name(dir, traces::CONFIG, AtFlags::NONE, Why("the configuration goes with the container"))?;
        for file in watch::FILES {
            remove_name(dir, file, AtFlags::NONE, Why("the calls of its program go with the container"))?;
        }
        freed = free();
    }
    if is_full(&freed) {
        // Another command has made a file since the look at the names.
        remove_files(dir, |_| true)?;
        freed = free();
    }
    if is_full(&freed) { Ok(false) } else { freed.map(|()| true) }
}

/// The names in a container's directory: few of those that it may hold are there.
fn names(dir: At) -> syscalls::Result<Vec<CString>> {
    let why = Why("one look tells which files are to be removed: each would take a try");
    let dir = syscalls::openat(dir, c".", OpenFlags::O_DIRECTORY, why)?;
    input::names(dir.at(), why)
}

/// Removes the files that a container's directory may hold, of those that it has.
fn remove_files(dir: At, has: impl Fn(&CStr) -> bool) -> syscalls::Result<()> {
    let why = Why("nothing of the container may stay");
    let socket = has(callers::DIRECTORY);
    for file in FILES {
        if has(file) || socket && file == callers::SOCKET {
            remove_name(dir, file, AtFlags::NONE, why)?;
        }
    }
    match socket {
        true => remove_name(dir, callers::DIRECTORY, AtFlags::AT_REMOVEDIR, why),
        false => Ok(()),
    }
}

fn is_full(freed: &syscalls::Result<()>) -> bool {
    freed.is_err_and(|failed| failed.errno == Errno::ENOTEMPTY)
}

/// Removes a name, if it is there.
fn remove_name(dir: At, name: &CStr, flags: AtFlags, why: Why) -> syscalls::Result<()> {
    match syscalls::unlinkat(dir, name, flags, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Ok(()),
        done => done,
    }
}
