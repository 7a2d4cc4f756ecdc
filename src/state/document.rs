//! `state.json` of a container: how it is read and written. Its last key is the configuration, which few commands need. May
//! touch: system calls.

use super::saved::{CONFIGURATION, Saved, Whole, usual_cgroup};
use crate::host::{cgroup, input};
use crate::outcome::{Doing, Error};
use crate::perform::{files, sync};
use crate::plan::cgroup::limits::above;
use crate::spec;
use alloc::ffi::CString;
use core::ffi::CStr;
use serde::Deserialize;
use syscalls::{At, AtFlags, Errno, OpenFlags, Why};

const NAME: &CStr = c"state.json";
/// The document is written under this name first.
pub const NEW: &CStr = c"state.json.new";
/// A document with what `create` is about to make outside of the directory. It has a file of its own: opening the document's
/// file for writing would cut it off.
pub const INTENDED: &CStr = c"intended.json";

/// What a container without a document is said to be. `state` in a machine says it, too, and the host looks for it.
pub const UNFINISHED: &str = "its state is unfinished";

/// The document of a container.
pub enum Document<T = Box<Saved>> {
    Whole(T),
    /// It was read, and is no such document.
    Damaged(Error),
    /// It is not there: the container is being made or removed.
    Missing,
}

impl<T> Document<T> {
    /// The document, for a caller that needs one: without it the container does not exist.
    pub fn there(self, id: &str) -> Result<T, Error> {
        match self {
            Document::Whole(document) => Ok(document),
            Document::Damaged(error) => Err(error),
            Document::Missing => Err(Error::State(format!(
                "container does not exist: {id}: {UNFINISHED}; it is being made or removed, or that was interrupted: then delete --force {id} removes what is left"
            ))),
        }
    }
}

/// Reads the document of a container that is there, without the configuration.
pub fn load(dir: At, id: &str) -> Result<Saved, Error> {
    document_of(dir, id)?.there(id).map(|saved| *saved)
}

/// Reads the document of a container, for a caller that can go on without one.
pub fn document_of(dir: At, id: &str) -> Result<Document, Error> {
    read(dir, NAME, id)
}

/// Reads the document in a directory that was listed in the state root. To most looks the directory itself is no use.
pub fn document_listed(root: At, id: &str) -> Result<Document, Error> {
    read(root, &listed(id)?, id)
}

/// The document's path from the state root.
fn listed(id: &str) -> Result<CString, Error> {
    input::c(&[id, "/state.json"].concat())
}

/// Whether a directory that was listed in the state root has a document, damaged or not.
pub fn is_there(root: At, id: &str) -> Result<bool, Error> {
    let why = Why("a container without a state is not made yet");
    let path = listed(id)?;
    match syscalls::newfstatat(root, &path, AtFlags::AT_SYMLINK_NOFOLLOW, why) {
        Err(failed) if [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno) => Ok(false),
        found => found.map(|_| true).doing(format_args!("look for state.json of {id}")),
    }
}

/// Reads the document of a container that is there, with the configuration.
pub fn load_whole(dir: At, id: &str) -> Result<Whole, Error> {
    let text = text(dir, NAME, id, |_| false)?.there(id)?;
    let short = place(&text).and_then(|at| short(&text, at));
    let is_last = short.is_some();
    let saved = checked(id, short.map_or_else(|| parse_whole(&text), Ok))?;
    let configuration = match is_last {
        true => cut(id, text, saved.configured)?,
        false => configuration(id, &text)?,
    };
    Ok(Whole { saved, configuration })
}

/// Replaces the document.
pub fn save(dir: At, document: &Whole) -> Result<(), Error> {
    let why = Why("later commands have to know the container's new state");
    let (begin, configuration, end) = document.pieces();
    files::replace(dir, NAME, NEW, &[&begin, configuration, end], 0o600, why).doing("save the state")
}

/// Reads the document of that name, without the configuration.
pub fn read(dir: At, name: &CStr, id: &str) -> Result<Document, Error> {
    let begin = text(dir, name, id, |begin| place(begin).is_some())?;
    if let Document::Whole(begin) = &begin
        && let Some(at) = place(begin)
    {
        return match checked(id, short(begin, at).map_or_else(|| parse_whole(begin), Ok)) {
            Ok(saved) => Ok(Document::Whole(Box::new(saved))),
            // A person has edited it, and the configuration is not the last key any more.
            Err(_) => Ok(understood(id, text(dir, name, id, |_| false)?)),
        };
    }
    Ok(understood(id, begin))
}

fn understood(id: &str, text: Document<Vec<u8>>) -> Document {
    match text {
        Document::Whole(text) => match understand(id, &text) {
            Ok(saved) => Document::Whole(Box::new(saved)),
            Err(error) => Document::Damaged(error),
        },
        Document::Damaged(error) => Document::Damaged(error),
        Document::Missing => Document::Missing,
    }
}

/// The text of a document, until `enough` says so.
fn text(dir: At, name: &CStr, id: &str, enough: fn(&[u8]) -> bool) -> Result<Document<Vec<u8>>, Error> {
    let why = Why("an earlier command has written the container's state there");
    // O_NONBLOCK: opening a fifo would wait for its other end.
    let flags = OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK;
    let file = match syscalls::openat(dir, name, flags, why) {
        Err(failed) if [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno) => return Ok(Document::Missing),
        Err(failed) if failed.errno == Errno::ELOOP => {
            return Ok(Document::Damaged(damaged(id, "a link is in its place")));
        }
        opened => opened.doing(format_args!("open state.json of {id}"))?,
    };
    let text = input::read_enough(file.at(), enough, why).doing(format_args!("read state.json of {id}"))?;
    Ok(Document::Whole(text))
}

/// Parses a document, with or without the configuration.
pub fn understand(id: &str, text: &[u8]) -> Result<Saved, Error> {
    let short = place(text).and_then(|at| short(text, at));
    checked(id, short.map_or_else(|| parse_whole(text), Ok))
}

fn checked(id: &str, parsed: Result<Saved, String>) -> Result<Saved, Error> {
    match parsed {
        Ok(saved) if is_cgroup(&saved.cgroup_path) => Ok(saved),
        Ok(_) => Err(damaged(id, "its cgroup lies outside the hierarchy")),
        Err(problem) => Err(damaged(id, &problem)),
    }
}

fn damaged(id: &str, what: &str) -> Error {
    Error::State(format!("state.json of {id} is damaged ({what}): delete --force {id} removes what is left"))
}

/// Whether this names a cgroup below the hierarchy's root, or none. `delete` kills all processes there.
fn is_cgroup(path: &str) -> bool {
    let odd = |part: &str| matches!(part, "" | "." | "..") || part.contains('\0');
    path.is_empty() || !path.split('/').any(odd)
}

/// Where the last key begins, if it is the configuration.
fn place(text: &[u8]) -> Option<usize> {
    input::find(text, CONFIGURATION)
}

/// Where the configuration begins that is the value of this key.
fn configured(place: usize) -> usize {
    place + CONFIGURATION.len() - 1
}

/// The document without the configuration, if that is the last key. `at`: where that key begins.
fn short(text: &[u8], at: usize) -> Option<Saved> {
    let mut before = Vec::with_capacity(at + 1);
    before.extend_from_slice(text.get(..at)?);
    before.push(b'}');
    parse(&before).ok().map(|saved: Saved| Saved { configured: configured(at), ..saved })
}

/// The document of which the configuration is not the last key: it has none, or a person has edited it.
fn parse_whole(text: &[u8]) -> Result<Saved, String> {
    parse(text).map(|saved: Saved| Saved { configured: place(text).map_or(0, configured), ..saved })
}

/// The configuration that a document ends with, from where it begins.
fn cut(id: &str, mut text: Vec<u8>, begin: usize) -> Result<Vec<u8>, Error> {
    while text.pop().is_some_and(|last| last != b'}') {}
    if text.len() < begin {
        return Err(damaged(id, "it ends within the configuration"));
    }
    text.copy_within(begin.., 0);
    text.truncate(text.len() - begin);
    Ok(text)
}

/// The configuration in any other document.
fn configuration(id: &str, text: &[u8]) -> Result<Vec<u8>, Error> {
    #[derive(Deserialize)]
    struct Only {
        configuration: Option<serde_json::Value>,
    }
    let only: Only = parse(text).map_err(|problem| damaged(id, &problem))?;
    let text = only.configuration.map(|value| serde_json::to_vec(&value));
    Ok(text.and_then(Result::ok).unwrap_or_default())
}

fn parse<'a, T: Deserialize<'a>>(text: &'a [u8]) -> Result<T, String> {
    let text = core::str::from_utf8(text).map_err(|_| String::from("it is not UTF-8"))?;
    spec::read(text).map_err(|p| match p.pointer.is_empty() {
        true => p.problem,
        false => format!("{}: {}", p.pointer, p.problem),
    })
}

/// The object with the annotations of a container, from its document `name`; empty: it has none. They can be long, and only
/// `state` shows them: no other command reads them.
pub fn annotations(dir: At, saved: &Saved) -> Result<String, Error> {
    let [begin, end] = saved.annotated.map(|place| place as usize);
    if end == 0 {
        return Ok(match saved.annotations.is_empty() {
            true => String::new(),
            false => serde_json::to_string(&saved.annotations).unwrap_or_default(),
        });
    }
    let why = Why("the annotations stand in the configuration, which the document ends with");
    let open = |name| syscalls::openat(dir, name, OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK, why);
    let doing = format_args!("read the annotations of {}", saved.id);
    // Hooks of `create` find the document under another name.
    let file = match open(NAME) {
        Err(failed) if failed.errno == Errno::ENOENT => open(sync::CREATING),
        opened => opened,
    };
    let file = file.doing(doing)?;
    let from = saved.configured.saturating_add(begin);
    let bytes = input::read_from(file.at(), from, end.saturating_sub(begin), why);
    let bytes = bytes.doing(format_args!("read the annotations of {}", saved.id))?;
    let object = String::from_utf8(bytes).ok();
    match object.filter(|text| spec::Annotations::of(text).is_whole(text)) {
        Some(object) => Ok(object),
        // A person has edited the document, or another command has written it meanwhile.
        None => {
            let whole = load_whole(dir, &saved.id)?;
            Ok(whole.spec()?.annotations.text().into())
        }
    }
}

/// What an interrupted `create` was about to make.
pub fn begun(dir: At, id: &str) -> Result<Option<Saved>, Error> {
    match read(dir, INTENDED, id)? {
        Document::Whole(saved) => Ok(Some(*saved)),
        // It was interrupted while it wrote this file, and had made nothing yet.
        Document::Damaged(_) | Document::Missing => Ok(None),
    }
}

/// Writes down what will be made outside of the directory, before it is made: a cgroup that is not the usual one, a scope, a
/// group of resctrl. If this process is killed, `delete --force` finds it by that.
pub fn intend(dir: At, saved: &Saved) -> Result<(), Error> {
    let elsewhere = saved.scope.is_some() || saved.resctrl.is_some();
    if !elsewhere && saved.cgroup_path == usual_cgroup(&saved.id) {
        return Ok(());
    }
    let saved = Saved { cgroup_made: Some(will_make(saved)?), ..saved.clone() };
    let text = serde_json::to_vec(&saved).unwrap_or_default();
    let why = Why("if this process is killed, delete --force finds there what it was about to make");
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_EXCL | OpenFlags::O_NOFOLLOW;
    syscalls::openat_create(dir, INTENDED, flags, 0o600, why)
        .and_then(|file| files::write_all(file.at(), &text, why))
        .doing("note what will be made")
}

/// How many cgroups will be made.
fn will_make(saved: &Saved) -> Result<usize, Error> {
    const LOOK: &str = "look which cgroups are there";
    if saved.scope.is_some() {
        return Ok(1);
    }
    let Some(root) = cgroup::open_root().doing(LOOK)? else {
        return Ok(0);
    };
    let above = above(&saved.cgroup_path).unwrap_or_default();
    let parents = above.get(1..).unwrap_or_default();
    cgroup::missing(root.at(), parents, &input::c(&saved.cgroup_path)?).doing(LOOK)
}
