//! What a command that fails leaves beside its trace, so that it can be repeated: the words of the command, the bundle, and the
//! configuration. May touch: system calls.

use super::directory::{check_id, look_up};
use super::document::load_whole;
use super::traces::{self, CONFIG};
use crate::host::input;
use crate::outcome::{Doing, Error};
use crate::perform::files::write_pieces;
use alloc::borrow::Cow;
use core::ffi::CStr;
use serde::{Deserialize, Serialize};
use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// In its file the first line is all but the configuration, which follows as it was.
#[derive(Serialize, Deserialize, Default)]
pub struct Attempt {
    pub bundle: String,
    /// The command line, without the program's name. None: it is not known.
    pub words: Vec<String>,
    #[serde(skip)]
    pub config: Cow<'static, [u8]>,
}

/// Keeps it in the container's directory, in place of an older one. What cannot be kept, or read again, is not.
pub fn note(dir: At, attempt: &Attempt) {
    let mut head = serde_json::to_vec(attempt).unwrap_or_default();
    head.push(b'\n');
    if traces::limit() == 0 || head.len() + attempt.config.len() > input::LONGEST {
        return;
    }
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC | OpenFlags::O_NOFOLLOW;
    let why = Why("a command that failed can be repeated with the same configuration");
    if let Ok(file) = syscalls::openat_create(dir, CONFIG, flags, 0o600, why) {
        let _ = write_pieces(file.at(), &[&head, &attempt.config], why);
    }
}

/// What the trace of a container has of this. `run`: which of the traces of this id, counted from the newest.
pub fn find(root: Option<&Fd>, id: &str, run: usize) -> Result<Attempt, Error> {
    check_id(id)?;
    let root = root.ok_or_else(|| super::missing(id))?;
    let there = look_up(Some(root), id)?;
    match (there, run) {
        (Some(dir), 1) => match read(dir.at(), CONFIG, id)? {
            Some(attempt) => Ok(attempt),
            None => {
                let whole = load_whole(dir.at(), id)?;
                let config = whole.configuration()?.to_vec().into();
                Ok(Attempt { bundle: whole.saved.bundle_path, words: Vec::new(), config })
            }
        },
        (there, run) => {
            let (kept, name) = traces::config_of(root, id, run - usize::from(there.is_some()))?;
            read(kept.at(), &name, id)?.ok_or_else(|| {
                Error::State(format!(
                    "the trace of {id} has no config.json: only a command that failed leaves one, and a container that is there has one; give the bundle or the file of the configuration"
                ))
            })
        }
    }
}

fn read(dir: At, name: &CStr, id: &str) -> Result<Option<Attempt>, Error> {
    let flags = OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK;
    let why = Why("it is the configuration of the command that failed");
    let doing = format_args!("read the configuration in the trace of {id}");
    let file = match syscalls::openat(dir, name, flags, why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(None),
        opened => opened.doing(doing)?,
    };
    let owner = syscalls::fstat(file.at(), Why("what another user wrote is not run")).doing(doing)?.st_uid;
    if owner != 0 && owner != syscalls::auxv(libc::AT_EUID) as u32 {
        return Err(Error::State(format!(
            "the configuration in the trace of {id} belongs to user {owner}, and is not used"
        )));
    }
    let text = input::read_all(file.at(), why).doing(format_args!("read the configuration in the trace of {id}"))?;
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    let (head, config) = text.split_at(end);
    let damaged = |_| Error::State(format!("the configuration in the trace of {id} is damaged"));
    let attempt: Attempt = serde_json::from_slice(head).map_err(damaged)?;
    Ok(Some(Attempt { config: config.trim_ascii().to_vec().into(), ..attempt }))
}
