//! Traces of containers, there or gone. Those of the last containers that are gone are kept in `.traces` of the state root, under
//! the time of their end and the id. All traces of a state root together have a limit: the oldest kept ones are removed first.
//! May touch: system calls.

use super::directory::{DIRECTORY, check_id};
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error, at};
use crate::perform::watch;
use crate::sorted;
use alloc::ffi::CString;
use core::ffi::CStr;
use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
use syscalls::record::Head;
use syscalls::{At, AtFlags, Errno, Failed, Fd, OpenFlags, Why, record};

const TRACES: &CStr = c".traces";
/// The files of a container's trace, which `recorder` writes.
pub const TRACE: &CStr = c"trace";
pub const LATER: &CStr = c"trace.later";
pub const OLD: &CStr = c"trace.old";
pub const FAILED: &CStr = c"trace.failed";
/// What came out of a machine of its own, when that ended.
pub const MACHINE: &CStr = c"trace.machine";
/// The configuration of a command that failed (`attempts`), and how its name ends after the container is gone.
pub const CONFIG: &CStr = c"trace.config";
const CONFIG_END: &str = "~config";
/// At least so many traces of containers that are gone can still be asked for.
const KEPT: usize = 64;
/// With so many more, the oldest are removed: not with each one more, since it takes long to list them.
const SLACK: usize = 16;
/// Bytes that a name takes at least in a directory's size (stat(2)): so many on tmpfs, more on other file systems. A small
/// directory thus holds few names.
const NAME: usize = 20;
/// The files of one container's trace, and how their names end after it is gone. No id has a `~` in it.
const FILES: [(&CStr, &str); 5] = [(TRACE, ""), (FAILED, "~failed"), (OLD, "~1"), (LATER, "~2"), (MACHINE, "~machine")];
/// The same for the calls of its program: a file a watcher, and none after the first that is missing.
fn watched() -> impl Iterator<Item = (&'static CStr, String)> {
    watch::FILES.into_iter().zip(1..).map(|(name, number): (&CStr, u8)| (name, format!("~watch{number}")))
}
/// Digits of the time at which a trace was kept: its name begins with them and a dash, and the id follows.
const STAMP: usize = 16;
const OPEN: OpenFlags = OpenFlags::O_RDONLY.or(OpenFlags::O_DIRECTORY).or(OpenFlags::O_NOFOLLOW);

/// The limit for all traces of the state root together, in bytes. 0: none is kept.
static LIMIT: AtomicU64 = AtomicU64::new(0);

/// Sets the limit of `--trace-limit`.
pub fn set_limit(bytes: u64) {
    LIMIT.store(bytes, Relaxed);
}

pub fn limit() -> u64 {
    LIMIT.load(Relaxed)
}

/// The ids of containers that are gone and have a trace.
pub fn kept(root: At, why: Why) -> syscalls::Result<Vec<String>> {
    let place = match syscalls::openat(root, TRACES, OPEN, why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(Vec::new()),
        opened => opened?,
    };
    Ok(stems(place.at(), why)?.iter().filter_map(|stem| id_of(stem)).map(String::from).collect())
}

/// A trace on its way to the kept ones.
pub struct Kept {
    place: Fd,
    stem: String,
}

/// Moves the file of a container's creation to the kept ones, and removes the oldest if there are too many. `None`: there is no
/// place for it, and it is lost.
pub fn keep(root: At, dir: At, id: &str) -> Option<Kept> {
    if limit() == 0 {
        return None;
    }
    let why = Why("the trace of a container that is gone can still be asked for");
    let open = || syscalls::openat(root, TRACES, OPEN, why);
    let place = match open() {
        Err(failed) if failed.errno == Errno::ENOENT => {
            let _ = syscalls::mkdirat(root, TRACES, 0o700, why);
            open()
        }
        other => other,
    };
    let stem = format!("{:0STAMP$x}-{id}", syscalls::clock_ns(libc::CLOCK_REALTIME));
    let kept = Kept { place: place.ok()?, stem };
    let size = kept.take(dir, TRACE, "").map_or(0, |name| size(kept.place.at(), &name));
    let names = syscalls::fstat(kept.place.at(), Why("a small directory holds few names"));
    let names = names.map_or(usize::MAX, |stat| stat.st_size as usize);
    // As many traces of this size are within the limit.
    let small = size <= limit() / (KEPT + SLACK) as u64;
    if !small {
        prune(&kept.place, limit());
    } else if names > (KEPT + SLACK) * NAME {
        let sizes = |names: &[CString]| vec![0; names.len()];
        remove_oldest(&kept.place, sizes, 0);
    }
    Some(kept)
}

impl Kept {
    /// Moves a file of this name, if later commands record in such files. False: it stays.
    pub fn take_later(&self, dir: At, name: &CStr) -> bool {
        let mut later = FILES.iter().skip(1);
        later.find(|(file, _)| *file == name).is_some_and(|(_, end)| self.take(dir, name, end).is_some())
    }

    /// Moves what watchers have recorded.
    pub fn take_watched(&self, dir: At) {
        for (name, end) in watched() {
            if self.take(dir, name, &end).is_none() {
                break;
            }
        }
    }

    /// Moves the configuration of a command that failed.
    pub fn take_config(&self, dir: At) {
        self.take(dir, CONFIG, CONFIG_END);
    }

    /// Moves one file, if it is there. Returns its new name.
    fn take(&self, dir: At, name: &CStr, end: &str) -> Option<CString> {
        let why = Why("the trace of a container that is gone can still be asked for");
        let to = CString::new(format!("{}{end}", self.stem)).ok()?;
        syscalls::renameat2(dir, name, self.place.at(), &to, why).ok().map(|()| to)
    }
}

/// What a file takes on the disk.
fn size(dir: At, name: &CStr) -> u64 {
    let why = Why("all traces together have a limit");
    let stat = syscalls::newfstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW, why);
    stat.map_or(0, |stat| stat.st_blocks as u64 * 512)
}

/// Removes the oldest kept traces until all together take no more than `limit` bytes. Returns what they take.
fn prune(kept: &Fd, limit: u64) -> u64 {
    let sizes = |names: &[CString]| names.iter().map(|name| size(kept.at(), name)).collect();
    remove_oldest(kept, sizes, limit)
}

/// The same; and if there are more than `KEPT` and `SLACK`, until `KEPT` are left.
fn remove_oldest(kept: &Fd, sizes: impl Fn(&[CString]) -> Vec<u64>, limit: u64) -> u64 {
    let mut names = input::names(kept.at(), Why("kept traces have a limit in number, too")).unwrap_or_default();
    sorted::sort(&mut names);
    let sizes = sizes(&names);
    let mut total: u64 = sizes.iter().sum();
    let is_first = |name: &CString| !name.to_bytes().contains(&b'~');
    let mut traces = names.iter().filter(|name| is_first(name)).count();
    let most = if traces > KEPT + SLACK { KEPT } else { traces };
    for (name, size) in names.iter().zip(sizes) {
        // The files of one trace are removed together, up to the first of the next one.
        if total <= limit && traces <= most && is_first(name) {
            break;
        }
        let _ = syscalls::unlinkat(kept.at(), name, AtFlags::NONE, Why("the oldest trace makes room for newer ones"));
        total -= size;
        traces -= usize::from(is_first(name));
    }
    total
}

/// Counts what all traces of a state root take, and removes kept ones if that is too much. False: even without them it is more
/// than the limit.
pub fn make_room(root: &str) -> bool {
    let limit = limit();
    let why = Why("all traces together have a limit");
    let Ok(root) = c(root)
        .map_err(drop)
        .and_then(|root| syscalls::openat(At::CWD, &root, OPEN.without(OpenFlags::O_NOFOLLOW), why).map_err(drop))
    else {
        return true;
    };
    let names = input::names(root.at(), why).unwrap_or_default();
    let living = names.iter().filter(|name| name.as_c_str() != TRACES);
    let open = |name: &CString| syscalls::openat(root.at(), name, DIRECTORY, why).ok();
    let of_one = |dir: Fd| {
        let sizes = FILES.iter().map(|(name, _)| size(dir.at(), name));
        sizes.chain(watched().map(|(name, _)| size(dir.at(), name)).take_while(|size| *size > 0)).sum::<u64>()
    };
    let total: u64 = living.filter_map(open).map(of_one).sum();
    match syscalls::openat(root.at(), TRACES, OPEN, why) {
        Ok(kept) => total + prune(&kept, limit.saturating_sub(total)) <= limit,
        Err(_) => total <= limit,
    }
}

/// The trace of one container.
pub struct Trace {
    /// One recorder's bytes for its creation, and one for each later command.
    pub pieces: Vec<Vec<u8>>,
    /// When it ended, in nanoseconds since 1970. None: the container is there.
    pub ended: Option<u64>,
}

/// The records of a container, there or gone (then the newest of that id).
pub fn read(root: Option<&Fd>, id: &str) -> Result<Vec<Vec<u8>>, Error> {
    newest(root, id).map(|trace| trace.pieces)
}

/// The id, and which of its traces: `ID~2` is the one before the newest.
pub fn named(name: &str) -> Result<(&str, usize), Error> {
    let Some((id, number)) = name.split_once('~') else {
        return Ok((name, 1));
    };
    match number.parse() {
        Ok(run @ 1..) => Ok((id, run)),
        _ => Err(Error::Usage("ID~N: N is a number; 1 is the newest trace of the ID, 2 the one before".into())),
    }
}

/// The trace of an id that is so many runs old; 1 is the newest.
pub fn of(root: Option<&Fd>, id: &str, run: usize) -> Result<Trace, Error> {
    match run {
        1 => newest(root, id),
        run => older(root, id, run),
    }
}

/// The newest trace of an id.
pub fn newest(root: Option<&Fd>, id: &str) -> Result<Trace, Error> {
    check_id(id)?;
    let unknown = || {
        let known = format!("of containers that are gone, the newest {KEPT} are kept; `nk-runtime trace` lists them");
        Error::State(format!("container does not exist: {id}, and no trace of it is kept: {known}"))
    };
    let unreadable =
        || Error::State(format!("no trace of container {id} is kept, or it is of another version of this program"));
    let Some(root) = root else {
        return Err(unknown());
    };
    let why = Why("the records of the container lie there");
    let failed = |failed| at(format!("look for the trace of {id}"), failed);
    let absent = |f: &Failed| [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP].contains(&f.errno);
    let missing = match syscalls::openat(root.at(), &c(id)?, DIRECTORY, why) {
        Err(f) if absent(&f) => unknown(),
        dir => {
            let found = read_all(dir.map_err(failed)?.at(), id, |name, _| CString::from(name))?;
            if !found.is_empty() {
                return Ok(Trace { pieces: found, ended: None });
            }
            unreadable()
        }
    };
    let kept = match syscalls::openat(root.at(), TRACES, OPEN, why) {
        Err(f) if absent(&f) => return Err(missing),
        opened => opened.map_err(failed)?,
    };
    let stem = kept_of(&kept, id)?.into_iter().next().ok_or(missing)?;
    let trace = read_kept(&kept, id, &stem)?;
    if trace.pieces.is_empty() { Err(unreadable()) } else { Ok(trace) }
}

/// A trace that can be asked for.
pub struct Listed {
    pub id: String,
    /// Which one of its id it is, counted from the newest.
    pub run: usize,
    pub trace: Trace,
}

/// All traces: those of containers that are there, then the others, the newest first.
pub fn list(root: &Fd) -> Result<Vec<Listed>, Error> {
    let why = Why("each container, there or gone, has a trace under its id");
    let here = syscalls::openat(root.at(), c".", OPEN, why).doing("list the traces")?;
    let ids = super::directory::ids(here.at(), why).doing("list the traces")?;
    let mut all = Vec::new();
    for id in ids {
        if let Ok(dir) = syscalls::openat(root.at(), &c(&id)?, DIRECTORY, why) {
            let pieces = read_all(dir.at(), &id, |name, _| CString::from(name))?;
            all.push(Listed { id, run: 1, trace: Trace { pieces, ended: None } });
        }
    }
    let Ok(kept) = syscalls::openat(root.at(), TRACES, OPEN, why) else {
        return Ok(all);
    };
    for stem in stems(kept.at(), why).doing("list the kept traces")? {
        let Some(id) = id_of(&stem).map(String::from) else { continue };
        let run = 1 + all.iter().filter(|other| other.id == id).count();
        let trace = read_kept(&kept, &id, &stem)?;
        all.push(Listed { id, run, trace });
    }
    Ok(all)
}

/// Where the configuration of a kept trace is, whether or not it has one. `place`: which trace of the id, counted from the newest.
pub fn config_of(root: &Fd, id: &str, place: usize) -> Result<(Fd, CString), Error> {
    let none = || Error::State(format!("no trace of container {id} is kept; `nk-runtime trace` lists those there are"));
    let why = Why("the trace of a container that is gone lies there");
    let kept = syscalls::openat(root.at(), TRACES, OPEN, why).map_err(|_| none())?;
    let stem = kept_of(&kept, id)?.into_iter().nth(place.saturating_sub(1)).ok_or_else(none)?;
    Ok((kept, CString::new(format!("{stem}{CONFIG_END}")).unwrap_or_default()))
}

fn older(root: Option<&Fd>, id: &str, run: usize) -> Result<Trace, Error> {
    check_id(id)?;
    let why = Why("the records of the container lie there");
    let none = || Error::State(format!("no trace {id}~{run} is kept; `nk-runtime trace` lists those there are"));
    let root = root.ok_or_else(none)?;
    let there = syscalls::openat(root.at(), &c(id)?, DIRECTORY, why).is_ok();
    let Some(place) = run.checked_sub(1 + usize::from(there)) else {
        return newest(Some(root), id);
    };
    let kept = syscalls::openat(root.at(), TRACES, OPEN, why).map_err(|_| none())?;
    let stem = kept_of(&kept, id)?.into_iter().nth(place).ok_or_else(none)?;
    read_kept(&kept, id, &stem)
}

/// Removes the newest kept trace of an id.
pub fn forget(root: &Fd, id: &str) {
    let why = Why("a series keeps few traces, and leaves those of other containers their room");
    let Ok(kept) = syscalls::openat(root.at(), TRACES, OPEN, why) else {
        return;
    };
    let names = input::names(kept.at(), why).unwrap_or_default();
    let stem = |name: &CString| stem_of(name).filter(|stem| id_of(stem) == Some(id));
    let newest = names.iter().filter_map(stem).max();
    for name in names.iter().filter(|name| newest.is_some() && stem(name) == newest) {
        let _ = syscalls::unlinkat(kept.at(), name, AtFlags::NONE, why);
    }
}

/// The names of the kept traces, each without the end of its files' names, the newest first.
fn stems(kept: At, why: Why) -> syscalls::Result<Vec<String>> {
    let names = input::names(kept, why)?;
    let mut stems: Vec<String> = names.iter().filter_map(stem_of).filter(|stem| id_of(stem).is_some()).collect();
    sorted::sort(&mut stems);
    stems.dedup();
    stems.reverse();
    Ok(stems)
}

fn stem_of(name: &CString) -> Option<String> {
    Some(String::from(name.to_str().ok()?.split('~').next()?))
}

/// The id in such a name.
fn id_of(stem: &str) -> Option<&str> {
    stem.get(STAMP + 1..).filter(|id| !id.is_empty())
}

/// The names of the kept traces of one id.
fn kept_of(kept: &Fd, id: &str) -> Result<Vec<String>, Error> {
    let mut stems = stems(kept.at(), Why("each kept trace has files there")).doing("list the kept traces")?;
    stems.retain(|stem| id_of(stem) == Some(id));
    Ok(stems)
}

fn read_kept(kept: &Fd, id: &str, stem: &str) -> Result<Trace, Error> {
    let pieces = read_all(kept.at(), id, |_, end| CString::new(format!("{stem}{end}")).unwrap_or_default())?;
    let ended = stem.get(..STAMP).and_then(|stamp| u64::from_str_radix(stamp, 16).ok());
    Ok(Trace { pieces, ended })
}

/// Reads the files of one trace. The last failed command can be in two of them, and is returned once.
fn read_all(dir: At, id: &str, named: impl Fn(&CStr, &str) -> CString) -> Result<Vec<Vec<u8>>, Error> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let mut failure: Vec<Vec<u8>> = Vec::new();
    for (name, end) in FILES {
        let found = read_file(dir, id, &named(name, end))?;
        match name == FAILED {
            true => failure = found,
            false => all.extend(found),
        }
    }
    failure.retain(|piece| !all.iter().any(|other| begins_alike(piece, other)));
    let at = usize::from(!all.is_empty()).min(all.len());
    all.splice(at..at, failure);
    for (name, end) in watched() {
        let found = read_file(dir, id, &named(name, &end))?;
        if found.is_empty() {
            break;
        }
        all.extend(found);
    }
    Ok(all)
}

/// Whether two pieces are of the same command: its first call was made at the same time.
fn begins_alike(a: &[u8], b: &[u8]) -> bool {
    let first = |bytes: &[u8]| {
        let at = record::offsets(bytes).next()?;
        let first = record::Record::read(bytes, at)?;
        Some((first.start_ns, first.pid))
    };
    first(a) == first(b)
}

/// The records of later commands about a container that is there. Empty: there are none, or they cannot be read.
pub fn later(dir: At, id: &str) -> Vec<Vec<u8>> {
    read_file(dir, id, LATER).unwrap_or_default()
}

fn read_file(dir: At, id: &str, name: &CStr) -> Result<Vec<Vec<u8>>, Error> {
    let flags = OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK;
    let file = match syscalls::openat(dir, name, flags, Why("the records of the container lie in this file")) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(Vec::new()),
        opened => opened.doing(format_args!("open the trace of {id}"))?,
    };
    let failed = |failed| at(format!("read the trace of {id}"), failed);
    let bytes = input::read_recorder(file.at()).map_err(failed)?;
    Ok(pieces(&bytes).into_iter().map(Vec::from).collect())
}

/// The pieces of a file that commands have appended to: each begins with a head. If a full disk has cut one off, it ends where
/// the next begins.
pub fn pieces(bytes: &[u8]) -> Vec<&[u8]> {
    let magic = record::MAGIC.to_ne_bytes();
    let find = |bytes: &[u8]| bytes.windows(8).position(|word| word == magic);
    let mut pieces = Vec::new();
    let mut rest = bytes;
    while let Some(start) = find(rest) {
        rest = &rest[start..];
        let used = number(rest, offset_of!(Head, used)) as usize;
        let whole = rest.get(used..).is_some_and(|next| next.is_empty() || next.starts_with(&magic));
        let end = match whole && used >= size_of::<Head>() {
            true => used,
            false => find(&rest[8..]).map_or(rest.len(), |next| next + 8),
        };
        pieces.push(&rest[..end]);
        rest = &rest[end..];
    }
    pieces
}

/// A number of a head or of an entry.
pub fn number(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
    word.map_or(0, u32::from_ne_bytes)
}
