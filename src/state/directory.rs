//! The state root and the containers' directories in it. Making a directory takes its id. May touch: system calls.

use crate::host::input::c;
use crate::outcome::{Doing, Error, at};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why};

pub const DIRECTORY: OpenFlags = OpenFlags::O_PATH.or(OpenFlags::O_DIRECTORY).or(OpenFlags::O_NOFOLLOW);

/// Ids become names of directories and cgroups: letters, digits, `_ + - .`, not `.` or `..`, at most 1024 bytes.
pub fn check_id(id: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    let problem =
        if id.is_empty() || id.len() > 1024 || !id.chars().all(allowed) || [".", "..", ".traces"].contains(&id) {
            let shown: String = id.chars().take(40).flat_map(char::escape_default).collect();
            format!("\"{shown}\": letters, digits, and _ + - . are allowed")
        } else if id.len() > 255 {
            format!("it has {} bytes, and a directory's name has at most 255", id.len())
        } else {
            return Ok(());
        };
    Err(Error::State(format!("invalid container ID format: {problem}")))
}

/// Opens the state root. `None`: it is not there.
pub fn open_root(path: &str) -> Result<Option<Fd>, Error> {
    let (flags, why) = (DIRECTORY.without(OpenFlags::O_NOFOLLOW), Why("where containers are remembered"));
    match syscalls::openat(At::CWD, &c(path)?, flags, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Ok(None),
        opened => opened.map(Some).doing(format_args!("open the state root {path}")),
    }
}

/// Opens the state root, and first makes it and its parents if it is not there.
pub fn make_root(path: &str) -> Result<Fd, Error> {
    if let Some(root) = open_root(path)? {
        return Ok(root);
    }
    let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]).filter(|i| *i > 0);
    for end in ends {
        let why = Why("the state root is made when the first container needs it");
        match syscalls::mkdirat(At::CWD, &c(&path[..end])?, 0o711, why) {
            Err(failed) if failed.errno == Errno::EEXIST => {}
            made => made.doing(format_args!("make the state root {path}: use --root DIR for another place"))?,
        }
    }
    open_root(path)?.ok_or_else(|| Error::State(format!("the state root {path} vanished")))
}

/// Takes an id. If several processes try at once, exactly one gets it.
pub fn take(root: At, id: &str) -> Result<Fd, Error> {
    let name = c(id)?;
    match syscalls::mkdirat(root, &name, 0o711, Why("making the directory takes the id: only one can")) {
        Err(failed) if failed.errno == Errno::EEXIST => {
            return Err(Error::State(format!("container with given ID already exists: {id}")));
        }
        made => made.doing(format_args!("take the id {id}"))?,
    }
    open(root, &name).map_err(|failed| {
        let why = Why("an id that could not be used is free again");
        let _ = syscalls::unlinkat(root, &name, AtFlags::AT_REMOVEDIR, why);
        at(format_args!("open the state of {id}"), failed)
    })
}

/// Opens the state of a container that is there.
pub fn find(root: Option<&Fd>, id: &str) -> Result<Fd, Error> {
    look_up(root, id)?.ok_or_else(|| Error::State(format!("container does not exist: {id}")))
}

/// The same. `None`: there is no container of that id.
pub fn look_up(root: Option<&Fd>, id: &str) -> Result<Option<Fd>, Error> {
    check_id(id)?;
    let Some(root) = root else {
        return Ok(None);
    };
    let failed = |failed| at(format_args!("open the state of {id}"), failed);
    let dir = match open(root.at(), &c(id)?) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    let why = Why("only this user, or root, may say what is ended or removed on their behalf");
    let owner = syscalls::fstat(dir.at(), why).map_err(failed)?.st_uid;
    if owner != 0 && owner != syscalls::auxv(libc::AT_EUID) as u32 {
        return Err(Error::State(format!(
            "the state of {id} belongs to user {owner}: it could name any process and any cgroup, so only that user may use it"
        )));
    }
    Ok(Some(dir))
}

/// Opens a directory of the state root. A link is not followed.
pub fn open(root: At, name: &CStr) -> syscalls::Result<Fd> {
    syscalls::openat(root, name, DIRECTORY, Why("all state of the container lies in it"))
}
