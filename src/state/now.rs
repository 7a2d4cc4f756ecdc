//! What the kernel says of a container now: whether its first process lives, has executed its program, is frozen. May touch:
//! system calls.

use super::document::{self, Document};
use super::saved::Saved;
use crate::host::cgroup;
use crate::host::input::c;
use crate::host::procfs::{self, Life};
use crate::outcome::{Doing, Error};
use crate::perform::sync;
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, Why};

/// The status of a container, as OCI has it; `paused` is runc's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    Creating,
    Created,
    Running,
    Paused,
    Stopped,
}

impl Status {
    pub fn word(self) -> &'static str {
        match self {
            Status::Creating => "creating",
            Status::Created => "created",
            Status::Running => "running",
            Status::Paused => "paused",
            Status::Stopped => "stopped",
        }
    }
}

/// A container as it is now.
pub struct Now {
    pub status: Status,
    /// A handle on its first process, while that lives.
    pub init: Option<Fd>,
    /// The procfs that tells it.
    pub procfs: Option<Fd>,
    /// The hierarchy, and the container's cgroup in it, if they were opened.
    pub cgroup: Option<(Fd, Fd)>,
}

/// Derives the status from the kernel: the process, identified by its start time; whether it has become its program; and
/// whether the fifo that `start` removes is still there.
pub fn now(dir: At, saved: &Saved) -> Result<Now, Error> {
    let now = |status, init| Now { status, init, procfs: None, cgroup: None };
    let why = Why("with a handle first, the number cannot come to mean another process during the look");
    let init = match syscalls::pidfd_open(saved.pid, why) {
        Err(failed) if [Errno::ESRCH, Errno::EINVAL].contains(&failed.errno) => return Ok(now(Status::Stopped, None)),
        opened => opened.doing(format_args!("look for process {}", saved.pid))?,
    };
    let procfs = procfs::open().doing(procfs::LOOK)?;
    match procfs::life_in(procfs.at(), saved.pid, saved.start_time)? {
        Life::Over => Ok(now(Status::Stopped, None)),
        life => Ok(Now { procfs: Some(procfs), ..now(reached(saved, life, || waits(dir, sync::START))?, Some(init)) }),
    }
}

/// The status of a container that has come so far in its life. `waits`: whether its program waits for `start`.
fn reached(saved: &Saved, life: Life, waits: impl FnOnce() -> Result<bool, Error>) -> Result<Status, Error> {
    Ok(match life {
        Life::Over | Life::Ending => Status::Stopped,
        Life::Executed => Status::Running,
        // `run`: its mounts are not all made yet.
        Life::Cloned if saved.state == "running" => Status::Creating,
        Life::Cloned if waits()? => Status::Created,
        Life::Cloned => Status::Running,
    })
}

/// The same, and whether a created or running container is paused: its own cgroup is frozen, by any process. A frozen cgroup
/// above does not count.
pub fn look(dir: At, saved: &Saved) -> Result<Now, Error> {
    let mut now = now(dir, saved)?;
    if !can_be_paused(now.status, saved) {
        return Ok(now);
    }
    now.cgroup = if_allowed(cgroup::open_pair(&saved.cgroup_path), saved)?;
    if let Some((_, group)) = &now.cgroup
        && is_frozen(group.at(), c"cgroup.freeze", saved)?
    {
        now.status = Status::Paused;
    }
    Ok(now)
}

/// Looks at many containers: /proc and the cgroup hierarchy are opened once, at the first look that needs them.
#[derive(Default)]
pub struct Looks {
    procfs: Option<Fd>,
    /// `Some(None)`: there is no hierarchy.
    hierarchy: Option<Option<Fd>>,
}

impl Looks {
    /// The status of one of them, as [`look`] has it. No handle is needed: one read gives the process's start and its state.
    /// `id`: its directory in the state root.
    pub fn status(&mut self, root: At, id: &str, saved: &Saved) -> Result<Status, Error> {
        let procfs = match self.procfs.take() {
            Some(procfs) => procfs,
            None => procfs::open().doing(procfs::LOOK)?,
        };
        let procfs = self.procfs.insert(procfs);
        let life = procfs::life_in(procfs.at(), saved.pid, saved.start_time)?;
        let fifo = || c(&[id, "/", &sync::START.to_string_lossy()].concat());
        let status = reached(saved, life, || waits(root, &fifo()?))?;
        if !can_be_paused(status, saved) {
            return Ok(status);
        }
        let hierarchy = match self.hierarchy.take() {
            Some(hierarchy) => hierarchy,
            None => if_allowed(cgroup::open_root(), saved)?,
        };
        let Some(root) = self.hierarchy.insert(hierarchy) else {
            return Ok(status);
        };
        let file = c(&[&saved.cgroup_path, "/cgroup.freeze"].concat())?;
        let frozen = is_frozen(root.at(), &file, saved)?;
        Ok(if frozen { Status::Paused } else { status })
    }
}

fn can_be_paused(status: Status, saved: &Saved) -> bool {
    matches!(status, Status::Created | Status::Running) && !saved.cgroup_path.is_empty()
}

/// What was opened of the hierarchy. None: none is mounted, and this user may not mount one, so this user has paused nothing.
fn if_allowed<T>(opened: syscalls::Result<Option<T>>, saved: &Saved) -> Result<Option<T>, Error> {
    match opened {
        Err(f) if f.errno == Errno::EPERM => Ok(None),
        opened => asked(opened, saved),
    }
}

fn is_frozen(at: At, file: &CStr, saved: &Saved) -> Result<bool, Error> {
    match cgroup::read(at, file, Why("a paused container is a running one in a frozen cgroup")) {
        // The cgroup is gone, or this kernel cannot freeze it.
        Err(f) if [Errno::ENOENT, Errno::ENODEV].contains(&f.errno) => Ok(false),
        read => Ok(asked(read, saved)?.trim() == "1"),
    }
}

fn asked<T>(answer: syscalls::Result<T>, saved: &Saved) -> Result<T, Error> {
    answer.doing(format_args!("ask whether {} is paused", saved.id))
}

/// The document of a container that is there, and its status. Hooks of `create` may ask for it: then there is a document under
/// another name.
pub fn load_now(dir: At, id: &str) -> Result<(Saved, Status), Error> {
    let document = document::document_of(dir, id)?;
    if let Document::Missing = document
        && let Document::Whole(saved) = document::read(dir, sync::CREATING, id)?
        && procfs::life(saved.pid, saved.start_time)? != Life::Over
    {
        return Ok((*saved, Status::Creating));
    }
    let saved = *document.there(id)?;
    let now = look(dir, &saved)?;
    Ok((saved, now.status))
}

/// Whether the container waits for `start`.
fn waits(dir: At, fifo: &CStr) -> Result<bool, Error> {
    let why = Why("`start` removes this name before the program begins");
    match syscalls::newfstatat(dir, fifo, AtFlags::AT_SYMLINK_NOFOLLOW, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Ok(false),
        found => found.map(|_| true).doing("look how far the container is"),
    }
}
