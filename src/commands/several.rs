//! One command for several containers. May touch: everything below.

use super::context::Context;
use crate::cli::{Level, Which};
use crate::outcome::{Error, at};
use crate::say::error::trace_amiss;
use crate::state::{self, Document};
use syscalls::{Fd, OpenFlags, Why};

/// Which containers a pattern can mean.
#[derive(Clone, Copy, PartialEq)]
pub enum Among {
    /// Those that `list` shows.
    Listed,
    /// Also unfinished ones, and ones with a damaged document.
    All,
}

/// Does the same for each container, also after a failure. All failures are told in one line at the end.
pub fn each(
    context: &mut Context,
    which: &Which,
    among: Among,
    mut act: impl FnMut(&mut Context, &str) -> Result<i32, Error>,
) -> Result<i32, Error> {
    let found;
    let ids = match which {
        Which::Ids(ids) => ids,
        Which::Matching(patterns) => {
            found = matching(context, |id| patterns.iter().any(|pattern| pattern.matches(id)), among)?;
            &found
        }
    };
    let by_pattern = matches!(which, Which::Matching(_));
    if let ([id], false) = (&ids[..], by_pattern) {
        return act(context, id);
    }
    let (mut first, mut others) = (None, Vec::new());
    for id in ids {
        let result = act(context, id);
        end_recording(context, result.is_err());
        let Err(error) = result else { continue };
        // Another process has deleted it meanwhile: a pattern means the containers that are there.
        if by_pattern && is_gone(context, id)? {
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
            Err(Error::Several(Box::new(error), format!("it failed for {} more: {}", more.len(), more.join(", "))))
        }
    }
}

/// Ends the records of one container: what was done for the next belongs into that one's trace.
fn end_recording(context: &mut Context, failed: bool) {
    let amiss = context.recording.end(&context.root, failed);
    if let Some(amiss) = amiss.filter(|_| !failed) {
        context.log.say(Level::Warn, &trace_amiss(&amiss));
    }
}

fn is_gone(context: &Context, id: &str) -> Result<bool, Error> {
    let root = context.open_root()?;
    Ok(state::look_up(root.as_ref(), id)?.is_none())
}

/// The ids that fit, in order.
fn matching(context: &Context, fits: impl Fn(&str) -> bool, among: Among) -> Result<Vec<String>, Error> {
    let Some(root) = context.open_root()? else {
        return Ok(Vec::new());
    };
    let why = Why("each container is a directory in it");
    let failed = |failed| at(format!("list the state root {}", context.root), failed);
    let all = syscalls::openat(root.at(), c".", OpenFlags::O_DIRECTORY, why)
        .and_then(|dir| state::ids(dir.at(), why))
        .map_err(failed)?;
    let mut ids = Vec::new();
    for id in all {
        if fits(&id) && is_container(&root, &id, among)? {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn is_container(root: &Fd, id: &str, among: Among) -> Result<bool, Error> {
    let Some(dir) = state::open_listed(root.at(), id)? else {
        return Ok(false);
    };
    Ok(among == Among::All || !matches!(state::document_of(dir.at(), id)?, Document::Missing))
}
