//! One command for several containers. May touch: everything below.

use super::context::Context;
use crate::cli::{Level, Which};
use crate::host::input;
use crate::host::input::c;
use crate::outcome::{Error, at};
use crate::say::error::{line, trace_amiss};
use crate::state::{self, Document};
use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// Which containers a pattern can mean.
#[derive(Clone, Copy, PartialEq)]
pub enum Among {
    /// Those that `list` shows.
    Listed,
    /// Also what was never finished, or has a document that cannot be read.
    All,
}

/// Does the same for each container. One that fails does not keep the others from it; the failures are told in one line at
/// the end.
pub fn each(
    context: &mut Context,
    which: &Which,
    among: Among,
    mut act: impl FnMut(&mut Context, &str) -> Result<i32, Error>,
) -> Result<i32, Error> {
    let matching = match which {
        Which::Ids(ids) => match &ids[..] {
            [id] => return act(context, id),
            _ => None,
        },
        Which::Matching(_) => Some(matching(context, which, among)?),
    };
    let ids = match (&matching, which) {
        (Some(found), _) => found,
        (None, Which::Ids(ids)) => ids,
        (None, Which::Matching(_)) => return Ok(0),
    };
    let (mut first, mut others) = (None, Vec::new());
    for id in ids {
        let result = act(context, id);
        end_recording(context, result.is_err());
        let Err(error) = result else { continue };
        if matching.is_some() && is_gone(context, id)? {
            continue;
        }
        match first {
            None => first = Some(error),
            Some(_) => others.push(id.as_str()),
        }
    }
    match (first, &others[..]) {
        (None, _) => Ok(0),
        (Some(error), []) => Err(error),
        (Some(error), more) => {
            Err(Error::State(format!("{}; it failed for {} more: {}", line(&error), more.len(), more.join(", "))))
        }
    }
}

/// What was done for one container belongs into its own trace.
fn end_recording(context: &mut Context, failed: bool) {
    let amiss = context.recording.end(&context.root, failed);
    if let Some(amiss) = amiss.filter(|_| !failed) {
        context.log.say(Level::Warn, &trace_amiss(&amiss));
    }
}

/// Whether another process has deleted a container meanwhile: a pattern means those that are there.
fn is_gone(context: &Context, id: &str) -> Result<bool, Error> {
    let root = context.open_root()?;
    Ok(state::look_up(root.as_ref(), id)?.is_none())
}

/// The ids that a pattern fits, in order.
fn matching(context: &Context, which: &Which, among: Among) -> Result<Vec<String>, Error> {
    let (Which::Matching(patterns), Some(root)) = (which, context.open_root()?) else {
        return Ok(Vec::new());
    };
    let why = Why("each container is a directory in it");
    let failed = |failed| at(format!("list the state root {}", context.root), failed);
    let names = syscalls::openat(root.at(), c".", OpenFlags::O_DIRECTORY, why)
        .and_then(|dir| input::names(dir.at(), why))
        .map_err(failed)?;
    let mut ids = Vec::new();
    for name in names.iter().filter_map(|name| name.to_str().ok()) {
        let fits = patterns.iter().any(|pattern| pattern.matches(name));
        if fits && state::check_id(name).is_ok() && is_container(&root, name, among)? {
            ids.push(name.to_string());
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn is_container(root: &Fd, name: &str, among: Among) -> Result<bool, Error> {
    let dir = match state::open(root.at(), &c(name)?) {
        Ok(dir) => dir,
        Err(f) if f.errno == Errno::ENOENT || f.errno == Errno::ENOTDIR => return Ok(false),
        Err(failed) => return Err(at(format!("open the state of {name}"), failed)),
    };
    let listed = |dir: At| match state::document_of(dir, name) {
        Ok(Document::Missing) => Ok(false),
        other => other.map(|_| true),
    };
    match among {
        Among::All => Ok(true),
        Among::Listed => listed(dir.at()),
    }
}
