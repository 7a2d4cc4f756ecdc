//! Where the flight recorder is kept: in a file of the container's, which every command about it goes on with, so that
//! its trace is one. May touch: system calls.

use crate::error::{Error, at};
use syscalls::{At, Fd, Why, record};

pub const TRACE: &core::ffi::CStr = c"trace";

/// Puts the recorder into a file of the container's, before anything is done that should be on record there.
pub fn begin(dir: At) -> Result<(), Error> {
    let flags = (libc::O_RDWR | libc::O_EXCL | libc::O_NOFOLLOW) as u32;
    let begin = || {
        let file = syscalls::openat_create(
            dir,
            TRACE,
            flags,
            0o600,
            "recorder",
            Why("the trace outlives the container in this file"),
        )?;
        share(file)
    };
    begin().map_err(|failed| at("set up the recorder".into(), failed))
}

/// Goes on in the recorder of a container that is there. One that is missing or of another version is passed over.
pub fn join(dir: At) {
    let flags = (libc::O_RDWR | libc::O_NOFOLLOW) as u32;
    let Ok(file) = syscalls::openat(
        dir,
        TRACE,
        flags,
        "recorder",
        Why("this command belongs to the container's trace"),
    ) else {
        return;
    };
    let Ok(stat) = syscalls::fstat(file.at(), Why("a short file must not be mapped")) else {
        return;
    };
    if stat.st_size as usize != record::CAPACITY {
        return;
    }
    if let Ok(map) = syscalls::mmap_shared(
        file.at(),
        record::CAPACITY,
        Why("records go straight into the container's file"),
    ) {
        record::append_to(map);
    }
}

/// Puts the recorder into memory that only this process and its children have: others may be making processes in the same
/// container at the same time, and a recorder tells of one clone at a time. [`join`] brings the records together.
pub fn apart() -> Result<(), Error> {
    let why = Why("both sides of the clone record in it, and nobody else does");
    let file = syscalls::memfd_create(c"trace", 0, "recorder", why);
    file.and_then(share)
        .map_err(|failed| at("set up the recorder".into(), failed))
}

/// Moves the recorder into an empty file.
fn share(file: Fd) -> syscalls::Result<()> {
    syscalls::ftruncate(
        file.at(),
        record::CAPACITY,
        Why("room for the records; what stays empty takes none"),
    )?;
    let map = syscalls::mmap_shared(
        file.at(),
        record::CAPACITY,
        Why("both sides of the clone write records here, without a system call"),
    )?;
    record::move_to(map);
    file.leak(); // the mapping needs it no more; execve closes it
    Ok(())
}
