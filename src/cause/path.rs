//! A path walked by hand, a component at a time, to see where it ends. The walk follows links below its root, as the kernel does
//! for a process that has this root: no link leads out of it. May touch: system calls.

use crate::host::procfs;
use alloc::ffi::CString;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Resolve, Stat, Why};

/// A path or a link's text has at most so many bytes, with the NUL (linux/limits.h, PATH_MAX).
const PATH: usize = 4096;
/// A component has at most so many (linux/limits.h, NAME_MAX).
const NAME: usize = 255;
/// The kernel follows so many links of one path (path_resolution(7)).
const LINKS: usize = 40;
/// More components than this are not looked at: an image can make a path of links as long as it likes.
const STEPS: usize = 400;

const LOOK: Why = Why("the walk finds the component at which the path ends");

/// How far a path leads.
pub struct Walk {
    /// The directories that lie on the way, from the root on. They are searched for the next component.
    pub dirs: Vec<Dir>,
    /// The links that were followed, in this order.
    pub links: Vec<Link>,
    pub end: End,
}

pub struct Dir {
    pub path: String,
    pub stat: Stat,
}

pub struct Link {
    pub path: String,
    pub to: String,
}

/// Where a path ends. Each `path` has no links in it.
pub enum End {
    /// It is there: the file is open as a place only.
    There { path: String, file: Fd, stat: Stat },
    /// This component is not there.
    Missing { path: String },
    /// More follows, but this is no directory.
    NotDirectory { path: String, stat: Stat },
    /// More links than the kernel follows. `again`: this one was followed before.
    Loop { path: String, to: String, again: bool },
    /// A component, or the whole, is longer than the kernel takes.
    TooLong { part: String },
    /// This process may not look there.
    Refused,
}

/// The root directory of this process, for paths of the host.
pub fn host() -> Option<Fd> {
    open(At::CWD, "/").ok()
}

/// Whether something is there, be it a link that leads nowhere.
pub fn exists(root: At, path: &str) -> bool {
    open_last(root, path.trim_start_matches('/')).is_ok()
}

/// Whether something is there, for paths of this process: links are followed.
pub fn exists_at(dir: At, path: &str) -> bool {
    let name = CString::new(path).unwrap_or_default();
    syscalls::newfstatat(dir, &name, AtFlags::AT_SYMLINK_NOFOLLOW, LOOK).is_ok()
}

/// The file of a path, if the path leads to one.
pub fn find(root: At, path: &str) -> Option<(String, Fd, Stat)> {
    match walk(root, path)?.end {
        End::There { path, file, stat } => Some((path, file, stat)),
        _ => None,
    }
}

/// Opens the regular file that was found, to be read. Anything else stays closed: to open a fifo can wait, a device can act.
pub fn open_file(root: At, path: &str, found: &Stat) -> Option<Fd> {
    const READ: Why = Why("what stands in the file decides what is wrong");
    let name = CString::new(path.trim_start_matches('/')).ok()?;
    let flags = OpenFlags::O_RDONLY | OpenFlags::O_NONBLOCK | OpenFlags::O_NOCTTY | OpenFlags::O_NOFOLLOW;
    let resolve = Resolve::RESOLVE_IN_ROOT | Resolve::RESOLVE_NO_MAGICLINKS;
    if found.st_mode & libc::S_IFMT != libc::S_IFREG {
        return None;
    }
    let file = syscalls::openat2(root, &name, flags, resolve, READ).ok()?;
    let stat = syscalls::fstat(file.at(), READ).ok()?;
    ((stat.st_dev, stat.st_ino) == (found.st_dev, found.st_ino)).then_some(file)
}

/// At most so many bytes of a file, from a place on. An error counts as its end.
pub fn read(file: At, from: usize, most: usize) -> Vec<u8> {
    const READ: Why = Why("what stands in the file decides what is wrong");
    let mut bytes = Vec::new();
    let mut piece = [0; PATH];
    while bytes.len() < most {
        let len = PATH.min(most - bytes.len());
        match syscalls::pread64(file, &mut piece[..len], from.saturating_add(bytes.len()), READ) {
            Ok(got) if got > 0 => bytes.extend_from_slice(&piece[..got]),
            _ => break,
        }
    }
    bytes
}

/// The text of a regular file of the host, or of /proc: as much of it as is looked at.
pub fn text(dir: At, path: &str) -> Option<String> {
    const READ: Why = Why("it tells which ids, rights and limits there are");
    const MOST: usize = 256 << 10;
    let name = CString::new(path).ok()?;
    let file = syscalls::openat(dir, &name, OpenFlags::O_NONBLOCK | OpenFlags::O_NOCTTY, READ).ok()?;
    let stat = syscalls::fstat(file.at(), READ).ok()?;
    let is_file = stat.st_mode & libc::S_IFMT == libc::S_IFREG;
    is_file.then(|| String::from_utf8_lossy(&read(file.at(), 0, MOST)).into_owned())
}

/// The path at which an open file lies for this process; for a namespace, its name.
pub fn name_of(file: At) -> Option<String> {
    let procfs = procfs::open().ok()?;
    link(procfs.at(), &format!("self/fd/{}", file.raw()))
}

/// What a link says.
pub fn link(dir: At, path: &str) -> Option<String> {
    let name = CString::new(path).ok()?;
    let mut room = [0; PATH];
    let text = syscalls::readlinkat(dir, &name, &mut room, LOOK).ok()?;
    Some(String::from_utf8_lossy(text).into_owned())
}

/// What kind of file it is, in words.
pub fn kind(stat: &Stat) -> &'static str {
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => "a directory",
        libc::S_IFREG => "a file",
        libc::S_IFLNK => "a symbolic link",
        libc::S_IFIFO => "a fifo",
        libc::S_IFSOCK => "a socket",
        libc::S_IFBLK => "a block device",
        libc::S_IFCHR => "a character device",
        _ => "a file of no known kind",
    }
}

pub fn is_dir(stat: &Stat) -> bool {
    stat.st_mode & libc::S_IFMT == libc::S_IFDIR
}

/// Walks a path below a root. `None`: the answer would be a guess, as in /proc, where links lead elsewhere than they say.
pub fn walk(root: At, path: &str) -> Option<Walk> {
    let mut walk = Walk { dirs: Vec::new(), links: Vec::new(), end: End::Refused };
    if path.len() >= PATH {
        walk.end = End::TooLong { part: path.into() };
        return Some(walk);
    }
    let stat = syscalls::fstat(root, LOOK).ok()?;
    walk.dirs.push(Dir { path: "/".into(), stat });
    let wants_directory = path.ends_with('/') || path.ends_with("/.");
    let mut todo: Vec<String> = parts(path);
    let mut here: Vec<String> = Vec::new();
    for _ in 0..STEPS {
        let Some(part) = todo.pop() else {
            let path = joined(&here);
            walk.end = match open_last(root, &path[1..]) {
                Ok((_, stat)) if wants_directory && !is_dir(&stat) => End::NotDirectory { path, stat },
                Ok((file, stat)) => End::There { path, file, stat },
                Err(Errno::EACCES) => End::Refused,
                Err(_) => return None,
            };
            return Some(walk);
        };
        if part == ".." {
            here.pop();
            continue;
        }
        here.push(part);
        if !step(root, &mut walk, &mut here, &mut todo)? {
            return Some(walk);
        }
    }
    None
}

/// Looks at the component that was added last. False: the path ends there.
fn step(root: At, walk: &mut Walk, here: &mut Vec<String>, todo: &mut Vec<String>) -> Option<bool> {
    let path = joined(here);
    if let Some(part) = here.last().filter(|part| part.len() > NAME) {
        walk.end = End::TooLong { part: part.clone() };
        return Some(false);
    }
    let (file, stat) = match open_last(root, &path[1..]) {
        Ok(found) => found,
        Err(Errno::ENOENT) => {
            walk.end = End::Missing { path };
            return Some(false);
        }
        Err(Errno::EACCES) => {
            walk.end = End::Refused;
            return Some(false);
        }
        // The look itself failed, as for want of descriptors or memory.
        Err(_) => return None,
    };
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFLNK => {
            let to = text_of(&file)?;
            if walk.links.len() >= LINKS {
                let again = walk.links.iter().any(|link| link.path == path);
                walk.end = End::Loop { path, to, again };
                return Some(false);
            }
            here.pop();
            if to.starts_with('/') {
                here.clear();
            }
            todo.extend(parts(&to));
            walk.links.push(Link { path, to });
        }
        libc::S_IFDIR => walk.dirs.push(Dir { path, stat }),
        _ if todo.is_empty() => {}
        _ => {
            walk.end = End::NotDirectory { path, stat };
            return Some(false);
        }
    }
    Some(true)
}

/// What a link says. In procfs most links are doors, and their text is only a name.
fn text_of(link: &Fd) -> Option<String> {
    let on = syscalls::fstatfs(link.at(), Why("links of procfs do not lead where they say")).ok()?;
    if on.f_type as i64 == libc::PROC_SUPER_MAGIC {
        return None;
    }
    self::link(link.at(), "")
}

/// The components of a path, the last one first.
fn parts(path: &str) -> Vec<String> {
    let mut all: Vec<String> = path.split('/').filter(|p| !p.is_empty() && *p != ".").map(String::from).collect();
    all.reverse();
    all
}

fn joined(parts: &[String]) -> String {
    format!("/{}", parts.join("/"))
}

fn open(dir: At, path: &str) -> Result<Fd, Errno> {
    let name = CString::new(path).map_err(|_| Errno::ENOENT)?;
    syscalls::openat(dir, &name, OpenFlags::O_PATH | OpenFlags::O_DIRECTORY, LOOK).map_err(|failed| failed.errno)
}

/// Opens the last component as a place, be it a link. The path is from the root, without its first slash.
fn open_last(root: At, path: &str) -> Result<(Fd, Stat), Errno> {
    let name = CString::new(if path.is_empty() { "." } else { path }).map_err(|_| Errno::ENOENT)?;
    let flags = OpenFlags::O_PATH | OpenFlags::O_NOFOLLOW;
    let resolve = Resolve::RESOLVE_IN_ROOT | Resolve::RESOLVE_NO_MAGICLINKS;
    let opened = syscalls::openat2(root, &name, flags, resolve, LOOK).map_err(|failed| failed.errno)?;
    let stat = syscalls::fstat(opened.at(), LOOK).map_err(|failed| failed.errno)?;
    Ok((opened, stat))
}

#[cfg(test)]
#[path = "../../tests/unit/cause_path.rs"]
mod tests;
