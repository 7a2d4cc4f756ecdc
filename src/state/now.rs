//! What the kernel says of a container now: whether its first process lives, has executed its program, is frozen. May touch:
//! system calls.

use super::document::{self, Document};
use super::saved::Saved;
use crate::host::cgroup;
use crate::host::procfs::{self, Life};
use crate::outcome::{Doing, Error, at};
use crate::perform::sync;
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
    /// The hierarchy, and the container's cgroup in it, if they were opened.
    pub cgroup: Option<(Fd, Fd)>,
}

/// Derives the status from the kernel: the process, identified by its start time; whether it has become its program; and
/// whether the fifo that `start` removes is still there.
pub fn now(dir: At, saved: &Saved) -> Result<Now, Error> {
    let now = |status, init| Now { status, init, cgroup: None };
    let why = Why("with a handle first, the number cannot come to mean another process during the look");
    let init = match syscalls::pidfd_open(saved.pid, why) {
        Err(failed) if [Errno::ESRCH, Errno::EINVAL].contains(&failed.errno) => return Ok(now(Status::Stopped, None)),
        opened => opened.doing(format_args!("look for process {}", saved.pid))?,
    };
    let status = match procfs::life(saved.pid, saved.start_time)? {
        Life::Over => return Ok(now(Status::Stopped, None)),
        Life::Ending => Status::Stopped,
        Life::Executed => Status::Running,
        // `run`: its mounts are not all made yet.
        Life::Cloned if saved.state == "running" => Status::Creating,
        Life::Cloned if waits(dir)? => Status::Created,
        Life::Cloned => Status::Running,
    };
    Ok(now(status, Some(init)))
}

/// The same, and whether a created or running container is paused: its own cgroup is frozen, by any process. A frozen cgroup
/// above does not count.
pub fn look(dir: At, saved: &Saved) -> Result<Now, Error> {
    let mut now = now(dir, saved)?;
    let lives = matches!(now.status, Status::Created | Status::Running);
    if !lives || saved.cgroup_path.is_empty() {
        return Ok(now);
    }
    let failed = |failed| at(format_args!("ask whether {} is paused", saved.id), failed);
    now.cgroup = match cgroup::open_pair(&saved.cgroup_path) {
        // No hierarchy is mounted, and this user may not mount one, so this user cannot have paused it.
        Err(f) if f.errno == Errno::EPERM => None,
        opened => opened.map_err(failed)?,
    };
    if let Some((_, group)) = &now.cgroup {
        let why = Why("a paused container is a running one in a frozen cgroup");
        let frozen = match cgroup::read(group.at(), c"cgroup.freeze", why) {
            // The cgroup is gone, or this kernel cannot freeze it.
            Err(f) if [Errno::ENOENT, Errno::ENODEV].contains(&f.errno) => false,
            read => read.map_err(failed)?.trim() == "1",
        };
        if frozen {
            now.status = Status::Paused;
        }
    }
    Ok(now)
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
fn waits(dir: At) -> Result<bool, Error> {
    let why = Why("`start` removes this name before the program begins");
    match syscalls::newfstatat(dir, sync::START, AtFlags::AT_SYMLINK_NOFOLLOW, why) {
        Err(failed) if failed.errno == Errno::ENOENT => Ok(false),
        found => found.map(|_| true).doing("look how far the container is"),
    }
}
