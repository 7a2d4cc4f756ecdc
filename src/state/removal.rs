//! The end of a container's state. Its trace goes to the kept ones. May touch: system calls.

use super::document::{INTENDED, NEW};
use super::traces::{self, FAILED, LATER, OLD, TRACE};
use crate::host::input::c;
use crate::outcome::{Doing, Error};
use crate::perform::{callers, sync};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, Why};

/// What a container's directory may hold, besides its document.
const FILES: [&CStr; 11] = [
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
];

/// Removes a container's state.
pub fn remove(root: At, dir: Fd, id: &str) -> Result<(), Error> {
    remove_name(dir.at(), c"state.json", AtFlags::NONE, Why("from here on there is no such container"))
        .doing(format_args!("remove the state of {id}"))?;
    match remove_unfinished(root, dir, id)? {
        true => Ok(()),
        false => Err(strangers(id)),
    }
}

/// The error of a directory that cannot be removed.
pub fn strangers(id: &str) -> Error {
    Error::State(format!("remove the state of {id}: its directory holds files that are not the container's"))
}

/// Removes the state of a container that has no document yet. False: the process that makes it has just written one, and the
/// directory stays. True: that process finds no directory for the document any more, and so ends the container.
pub fn remove_unfinished(root: At, dir: Fd, id: &str) -> Result<bool, Error> {
    let name = c(id)?;
    removed(root, dir, id, &name).doing(format_args!("remove the state of {id}"))
}

fn removed(root: At, dir: Fd, id: &str, name: &CStr) -> syscalls::Result<bool> {
    let kept = traces::keep(root, dir.at(), id);
    let free = || remove_name(root, name, AtFlags::AT_REMOVEDIR, Why("the id is free again"));
    let mut freed = free();
    if is_full(&freed) {
        if let Some(kept) = kept {
            kept.take_later(dir.at());
        }
        let why = Why("nothing of the container stays behind");
        for file in FILES {
            remove_name(dir.at(), file, AtFlags::NONE, why)?;
        }
        remove_name(dir.at(), callers::DIRECTORY, AtFlags::AT_REMOVEDIR, why)?;
        freed = free();
    }
    match is_full(&freed) {
        true => Ok(false),
        false => freed.map(|()| true),
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
