//! What the files of this room have in common: patience with devices, places, texts. May touch: system calls.

use crate::host::input::{self, c};
use crate::outcome::{Error, Trouble, at};
use crate::perform::files;
use core::fmt::Display;
use syscalls::{At, Errno, OpenFlags, Result, Why};

/// How long a device or a share may take to appear, in milliseconds.
const PATIENCE: u64 = 10_000;

/// Does what fails with one of these errors as long as a device is not there, again and again.
pub fn patiently<T>(missing: &[Errno], mut attempt: impl FnMut() -> Result<T>) -> Result<T> {
    let (mut waited, mut pause) = (0, 10);
    loop {
        match attempt() {
            Err(failed) if missing.contains(&failed.errno) && waited < PATIENCE => {
                syscalls::ppoll(&mut [], Some(pause), Why("a device may appear late: it is looked for again"))?;
                waited += pause;
                pause = (pause * 2).min(200);
            }
            other => return other,
        }
    }
}

/// Makes a directory of the machine, and those above it.
pub fn directory(path: &str) -> core::result::Result<(), Error> {
    let why = Why("the machine's file system need not have this place yet");
    let doing = format_args!("make the directory {path}");
    let root = syscalls::openat(At::CWD, c"/", files::PLACE, why).map_err(|failed| at(doing, failed))?;
    match files::resolve_or_make(root.at(), &c(path)?, files::directory, true, why) {
        Ok(_) => Ok(()),
        Err(Trouble::Call(failed)) => Err(at(doing, failed)),
        Err(Trouble::Check(check)) => Err(refused(format_args!("{path}: {}", check.text()))),
        Err(Trouble::Hook(_)) => Ok(()),
    }
}

/// A whole text file; none if there is no such file.
pub fn text(path: &str, why: Why) -> core::result::Result<Option<String>, Error> {
    let doing = format_args!("read {path}");
    let read =
        syscalls::openat(At::CWD, &c(path)?, OpenFlags::NONE, why).and_then(|file| input::read_to_end(file.at(), why));
    match read {
        Ok(text) => Ok(Some(String::from_utf8_lossy(&text).into_owned())),
        Err(failed) if failed.errno == Errno::ENOENT => Ok(None),
        Err(failed) => Err(at(doing, failed)),
    }
}

/// What the words ask for and this machine does not do.
pub fn refused(what: impl Display) -> Error {
    Error::State(what.to_string())
}
