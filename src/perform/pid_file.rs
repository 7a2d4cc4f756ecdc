//! `--pid-file`: the number of the new process, for the caller. Its directory may be one where all may make names
//! (`/tmp`), so what is there already is never written to: the file is made anew, and renamed over the old one.
//! May touch: system calls.

use super::Lanes;
use super::files::write_all;
use crate::outcome::Done;
use alloc::ffi::CString;
use alloc::format;
use core::ffi::CStr;
use syscalls::{At, Errno, Fd, Why};

/// So many names are tried: the first may be taken by another user, or by what a killed command left.
const NAMES: u32 = 16;

/// Writes the file, under a name beside its own. Digits and nothing else: a newline would stop containerd's shim.
pub fn write(lanes: &mut Lanes, path: &CStr, why: Why) -> Done {
    let (file, name) = make(path, why)?;
    lanes.pid_file = Some(name);
    write_all(file.at(), format!("{}", lanes.pid).as_bytes(), why)?;
    Ok(file.close(Why("all of it is written"))?)
}

/// Gives the file its own name: a reader sees the old file or all of the new one.
pub fn place(lanes: &mut Lanes, path: &CStr, why: Why) -> Done {
    if let Some(name) = &lanes.pid_file {
        syscalls::renameat(At::CWD, name, At::CWD, path, why)?;
        lanes.pid_file = None;
    }
    Ok(())
}

/// A new file beside the one that is wanted: O_EXCL takes nothing that is there, a link neither.
fn make(path: &CStr, why: Why) -> syscalls::Result<(Fd, CString)> {
    let flags = (libc::O_WRONLY | libc::O_EXCL) as u32;
    let mut number = 0;
    loop {
        let mut name = path.to_bytes().to_vec();
        name.extend_from_slice(b".nk-new");
        if number > 0 {
            name.extend_from_slice(format!("{number}").as_bytes());
        }
        let name = CString::new(name).unwrap_or_default();
        match syscalls::openat_create(At::CWD, &name, flags, 0o644, "new file", why) {
            Err(failed) if failed.errno == Errno::EEXIST && number < NAMES => number += 1,
            made => return made.map(|file| (file, name)),
        }
    }
}

/// Removes what did not get its own name.
pub fn undo(lanes: &mut Lanes) {
    if let Some(name) = lanes.pid_file.take() {
        let why = Why("a command that fails leaves nothing");
        let _ = syscalls::unlinkat(At::CWD, &name, 0, why);
    }
}
