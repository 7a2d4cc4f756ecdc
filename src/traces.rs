//! Recorders of containers, there or gone: the last ones are kept in `.traces` of the state root, under the time of
//! their end and the container's id. May touch: system calls.

use crate::error::{Error, at};
use crate::recorder::TRACE;
use crate::state::{DIRECTORY, c, check_id};
use alloc::ffi::CString;
use alloc::format;
use alloc::vec::Vec;
use syscalls::{At, Errno, Fd, Why};

const TRACES: &core::ffi::CStr = c".traces";
/// At least so many recorders of containers that are gone can still be asked.
const KEPT: usize = 64;
/// With so many more the oldest go: not with every one, since listing them takes longer than all else at the end.
const SLACK: usize = 16;
/// The least that a name takes in what stat(2) says of a directory's size, on tmpfs; elsewhere it is more. So a
/// directory that is small enough holds few enough names.
const NAME: usize = 20;

/// Moves the recorder aside, and lets the oldest go when there are too many. Without a place for it, it is lost.
pub fn keep(root: At, dir: At, id: &str) {
    let why = Why("the dead can still be asked what was done for them");
    let open = || {
        syscalls::openat(
            root,
            TRACES,
            (libc::O_RDONLY | libc::O_DIRECTORY | libc::O_NOFOLLOW) as u32,
            "kept traces",
            why,
        )
    };
    let kept = match open() {
        Err(failed) if failed.errno == Errno::ENOENT => {
            let _ = syscalls::mkdirat(root, TRACES, 0o700, why);
            open()
        }
        other => other,
    };
    let Ok(kept) = kept else { return };
    let Ok(name) = CString::new(format!(
        "{:016x}-{id}",
        syscalls::clock_ns(libc::CLOCK_REALTIME)
    )) else {
        return;
    };
    if syscalls::renameat(dir, TRACE, kept.at(), &name, why).is_err() {
        return;
    }
    let size = match syscalls::fstat(kept.at(), Why("a small directory holds few names")) {
        Ok(stat) => stat.st_size as usize,
        Err(_) => usize::MAX,
    };
    if size <= (KEPT + SLACK) * NAME {
        return;
    }
    let mut names = crate::input::names(kept.at(), Why("how many there are")).unwrap_or_default();
    if names.len() <= KEPT + SLACK {
        return;
    }
    names.sort_unstable();
    for old in names.iter().take(names.len().saturating_sub(KEPT)) {
        let _ = syscalls::unlinkat(kept.at(), old, 0, Why("only the newest are kept"));
    }
}

/// The recorder's bytes of a container, there or gone: the newest of that id.
pub fn read(root: Option<&Fd>, id: &str) -> Result<Vec<u8>, Error> {
    check_id(id)?;
    let missing = || {
        Error::State(format!(
            "container does not exist: {id}, and no trace of it is kept"
        ))
    };
    let Some(root) = root else {
        return Err(missing());
    };
    let why = Why("what was recorded");
    let read_one = |dir: At, name: &core::ffi::CStr| -> Result<Option<Vec<u8>>, Error> {
        let file = match syscalls::openat(dir, name, libc::O_NOFOLLOW as u32, "recorder", why) {
            Err(failed) if failed.errno == Errno::ENOENT => return Ok(None),
            opened => opened.map_err(|failed| at(format!("open the trace of {id}"), failed))?,
        };
        crate::input::read_recorder(file.at())
            .map(Some)
            .map_err(|failed| at(format!("read the trace of {id}"), failed))
    };
    if let Ok(dir) = syscalls::openat(root.at(), &c(id)?, DIRECTORY, "state", why)
        && let Some(bytes) = read_one(dir.at(), TRACE)?
    {
        return Ok(bytes);
    }
    let Ok(kept) = syscalls::openat(
        root.at(),
        TRACES,
        (libc::O_DIRECTORY | libc::O_NOFOLLOW) as u32,
        "kept traces",
        why,
    ) else {
        return Err(missing());
    };
    let mut names = crate::input::names(kept.at(), why)
        .map_err(|failed| at("list the kept traces".into(), failed))?;
    names.sort_unstable();
    let newest = names
        .iter()
        .rev()
        .find(|name| name.to_str().is_ok_and(|n| n.get(17..) == Some(id)));
    match newest {
        Some(name) => read_one(kept.at(), name)?.ok_or_else(missing),
        None => Err(missing()),
    }
}
