//! The state root and the containers' directories in it. A command that makes a directory takes its id. May touch: system
//! calls.

use crate::host::input::{self, c};
use crate::outcome::{Doing, Error, at, short};
use crate::sorted;
use core::ffi::CStr;
use core::fmt::Display;
use syscalls::{At, AtFlags, Errno, Failed, Fd, OpenFlags, Why};

pub const DIRECTORY: OpenFlags = OpenFlags::O_PATH.or(OpenFlags::O_DIRECTORY).or(OpenFlags::O_NOFOLLOW);

/// Names of the state root that are no ids: kept traces lie there, and the progress of `learn`.
const OTHERS: [&str; 4] = [".", "..", ".traces", ".learn"];

/// Ids become names of directories and cgroups: letters, digits, `_ + - .`, not `.` or `..`, at most 1024 bytes.
pub fn check_id(id: &str) -> Result<(), Error> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    let problem = if id.is_empty() || id.len() > 1024 || !id.chars().all(allowed) || OTHERS.contains(&id) {
        format!("\"{}\": letters, digits, and _ + - . are allowed", short(id))
    } else if id.len() > 255 {
        format!("it has {} bytes, and a directory's name has at most 255", id.len())
    } else {
        return Ok(());
    };
    Err(Error::State(format!("invalid container ID format: {problem}")))
}

/// Opens the state root. `None`: it is not there.
pub fn open_root(path: &str) -> Result<Option<Fd>, Error> {
    let (flags, why) = (DIRECTORY.without(OpenFlags::O_NOFOLLOW), Why("the state of all containers lies there"));
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
    make_path(path, 0o711, format_args!("make the state root {path}"), Why("the first container needs a state root"))
        .map_err(|error| error.cured("use --root DIR for another place"))?;
    let gone = || format!("the state root {path} is a link that leads nowhere; try: --root DIR for another place");
    open_root(path)?.ok_or_else(|| Error::State(gone()))
}

/// Makes a directory, and those above it that are missing.
pub fn make_path(path: &str, mode: u32, doing: impl Display, why: Why) -> Result<(), Error> {
    let ends = path.match_indices('/').map(|(i, _)| i).chain([path.len()]).filter(|i| *i > 0);
    for end in ends {
        match syscalls::mkdirat(At::CWD, &c(&path[..end])?, mode, why) {
            Err(failed) if failed.errno == Errno::EEXIST => {}
            made => made.doing(&doing)?,
        }
    }
    Ok(())
}

/// Takes an id. Of several processes at once, exactly one gets it.
pub fn take(root: At, id: &str) -> Result<Fd, Error> {
    let name = c(id)?;
    mkdir(root, &name).map_err(|failed| refused(id, failed))?;
    open_taken(root, &name, id)
}

/// The same by the state root's path: as a rule it is there, and need not be open. `missing`: makes and opens it.
/// `told`: more about an error in the root.
pub fn take_in(
    path: &str,
    id: &str,
    missing: impl Fn() -> Result<Fd, Error>,
    told: impl Fn(Error) -> Error,
) -> Result<Fd, Error> {
    let name = c(&format!("{path}/{id}"))?;
    match mkdir(At::CWD, &name) {
        Ok(()) => open_taken(At::CWD, &name, id),
        Err(failed) if failed.errno == Errno::EEXIST => Err(refused(id, failed)),
        Err(failed) => {
            // What is wrong may be the root itself: then this says so.
            let root = missing()?;
            let taken = if failed.errno == Errno::ENOENT { take(root.at(), id) } else { Err(refused(id, failed)) };
            taken.map_err(told)
        }
    }
}

fn mkdir(root: At, name: &CStr) -> syscalls::Result<()> {
    syscalls::mkdirat(root, name, 0o711, Why("making the directory takes the id: only one command can"))
}

fn refused(id: &str, failed: Failed) -> Error {
    match failed.errno {
        Errno::EEXIST => Error::State(format!("container with given ID already exists: {id}")),
        _ => at(format_args!("take the id {id}"), failed),
    }
}

fn open_taken(root: At, name: &CStr, id: &str) -> Result<Fd, Error> {
    open(root, name).map_err(|failed| {
        let why = Why("no container was made, so the id is free again");
        let _ = syscalls::unlinkat(root, name, AtFlags::AT_REMOVEDIR, why);
        at(format_args!("open the state of {id}"), failed)
    })
}

/// What a container without a directory is said to be. `state` in a machine says it, too, and the host looks for it.
pub const ABSENT: &str = "container does not exist";

/// The error about an id that no container has.
pub fn missing(id: &str) -> Error {
    Error::State(format!("{ABSENT}: {id}"))
}

/// The ids of the containers in a state root, in order. A link is none.
pub fn ids(root: At, why: Why) -> syscalls::Result<Vec<String>> {
    let names = input::directories(root, why)?.into_iter().filter_map(|name| name.into_string().ok());
    let mut ids: Vec<String> = names.filter(|name| check_id(name).is_ok()).collect();
    sorted::sort(&mut ids);
    Ok(ids)
}

/// Opens the directory of an id that was listed. `None`: it was deleted meanwhile, or is a file and no container.
pub fn open_listed(root: At, id: &str) -> Result<Option<Fd>, Error> {
    match open(root, &c(id)?) {
        Err(f) if [Errno::ENOENT, Errno::ENOTDIR].contains(&f.errno) => Ok(None),
        opened => opened.map(Some).doing(format_args!("open the state of {id}")),
    }
}

/// Opens the state of a container. `None`: there is no container of that id.
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
    let why = Why("the state names processes to end and cgroups to remove: only this user or root may write it");
    let owner = syscalls::fstat(dir.at(), why).map_err(failed)?.st_uid;
    if owner != 0 && owner != syscalls::auxv(libc::AT_EUID) as u32 {
        return Err(Error::State(format!(
            "the state of {id} belongs to user {owner}: it could name any process and any cgroup, so only that user may use it"
        )));
    }
    Ok(Some(dir))
}

/// Whether a container's directory, which this process has made, is still that of its name. If another command has removed it,
/// the container is gone, and the name and the cgroup may be another container's by now.
pub fn is_still_there(dir: At) -> bool {
    let why = Why("a directory without a name was removed, and with it all of the container");
    syscalls::fstat(dir, why).map_or(true, |stat| stat.st_nlink > 0)
}

/// Opens a directory of the state root. A link is refused.
fn open(root: At, name: &CStr) -> syscalls::Result<Fd> {
    syscalls::openat(root, name, DIRECTORY, Why("all state of the container lies in this directory"))
}
