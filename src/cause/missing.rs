//! A path that leads nowhere, as a cause: which of its names stops it, and why. May touch: types, system calls.

use super::Found;
use super::path::{self, End, Walk, kind};
use super::rights::{self, Person, READ};
use crate::plan;
use syscalls::record;
use syscalls::{Errno, Failed};

/// The cause that a path leads nowhere. `what`: the entry of texts.txt that says what the path is of, and what to do. `None`: it
/// leads to a file.
pub fn found(what: &str, path: &str, walk: &Walk) -> Option<Found> {
    // A slash at its end is what asks for a directory.
    let clean = plan::clean(path) + if path.len() > 1 && path.ends_with('/') { "/" } else { "" };
    let path = if path.starts_with('/') { &clean } else { path };
    let own = Found::new(what, &[path]);
    let noun = own.cause.as_str();
    let above = walk.dirs.last();
    let mut found = match &walk.end {
        End::There { .. } => return None,
        End::Missing { path: missing } => match walk.links.last() {
            Some(link) => Found::new("dangling", &[noun, path, &link.path, &link.to]),
            None if missing.trim_matches('/') == path.trim_matches('/') => Found::new("missing", &[noun, path]),
            None => Found::new("missing above", &[noun, path, missing]),
        },
        End::NotDirectory { path: file, stat } => Found::new("not a directory", &[noun, path, file, kind(stat)]),
        End::Loop { path: link, to, again } => {
            let name = if *again { "loop" } else { "many links" };
            return Some(Found::new(name, &[noun, path, link, to]));
        }
        End::TooLong { part } => return Some(Found::new("too long", &[noun, &part.len().to_string()])),
        End::Refused => {
            let dir = above?;
            let (owner, mode) = (dir.stat.st_uid.to_string(), format!("{:04o}", dir.stat.st_mode & 0o7777));
            return Some(Found::new("not searchable", &[noun, path, &dir.path, &owner, &mode]));
        }
    };
    found.cure = own.cure;
    Some(found)
}

/// The cause that a call outside of any plan was refused a path of the host.
pub fn outside(failed: Failed) -> Option<Found> {
    let known = [Errno::EACCES, Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP, Errno::ENAMETOOLONG];
    if !known.contains(&failed.errno) {
        return None;
    }
    let record = record::find(failed.at).filter(|record| record.args[0] as i32 == libc::AT_FDCWD)?;
    let path = String::from_utf8_lossy(record.blob(1)?.bytes).into_owned();
    let walk = path::walk(path::host()?.at(), &path).filter(|_| path.starts_with('/'))?;
    match (&walk.end, failed.errno) {
        (End::There { stat, .. }, Errno::ENOTDIR) => Some(Found::new("no directory", &[&path, kind(stat)])),
        (End::There { stat, .. }, Errno::EACCES) => {
            let person = Person::of(0).filter(|person| !person.may(READ, stat))?;
            let (mode, owners) = (rights::mode(stat), person.owners(stat));
            Some(Found::new("unreadable", &[&person.user(), &path, &mode, &owners]))
        }
        // That the file itself is not there is said already.
        (End::Missing { path: part }, _) if *part == path => None,
        _ => found("path", &path, &walk),
    }
}
