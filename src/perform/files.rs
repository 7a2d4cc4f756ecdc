//! Files and directories, by descriptor. Inside a rootfs every path is resolved below its descriptor, since all that
//! lies there is hostile. Nothing here allocates. May touch: system calls.

use crate::outcome::{Check, Done, Trouble};
use core::ffi::CStr;
use syscalls::{At, Errno, Fd, OpenFlags, Resolve, Stat, Why};

/// A directory as a place: nothing of it is read.
pub const PLACE: OpenFlags = OpenFlags::O_PATH.or(OpenFlags::O_DIRECTORY);

/// The kind of a file: one of S_IFMT's.
pub fn kind(stat: &Stat) -> u32 {
    stat.st_mode & libc::S_IFMT
}

/// Whether it is the null device.
pub fn is_null(stat: &Stat) -> bool {
    kind(stat) == libc::S_IFCHR && stat.st_rdev == libc::makedev(1, 3)
}

/// The result of a call, where these errors count as success.
pub fn despite(errors: &[Errno], result: syscalls::Result<()>) -> Done {
    match result {
        Err(failed) if errors.contains(&failed.errno) => Ok(()),
        other => Ok(other?),
    }
}

/// A number that is not negative, in digits.
pub fn decimal(number: i32, room: &mut [u8; 12]) -> &[u8] {
    let (mut rest, mut at) = (number.unsigned_abs(), room.len());
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 || at == 0 {
            return &room[at..];
        }
    }
}

/// How often a path is resolved again if another process renames its parts meanwhile (openat2(2), EAGAIN).
const TRIES: u32 = 32;

/// Opens what `path` means inside `root`, as a place: nothing is read. Links are taken as the container would take
/// them, or refused.
#[track_caller]
pub fn resolve(root: At, path: &CStr, flags: OpenFlags, links: bool, why: Why) -> syscalls::Result<Fd> {
    resolve_by(root, path, flags, rules(links), why)
}

fn rules(links: bool) -> Resolve {
    let links = if links { Resolve::NONE } else { Resolve::RESOLVE_NO_SYMLINKS };
    Resolve::RESOLVE_IN_ROOT | Resolve::RESOLVE_NO_MAGICLINKS | links
}

#[track_caller]
fn resolve_by(root: At, path: &CStr, flags: OpenFlags, rules: Resolve, why: Why) -> syscalls::Result<Fd> {
    opened(root, path, OpenFlags::O_PATH | flags, rules, why)
}

#[track_caller]
fn opened(root: At, path: &CStr, flags: OpenFlags, rules: Resolve, why: Why) -> syscalls::Result<Fd> {
    let mut tries = 0;
    loop {
        match syscalls::openat2(root, path, flags, rules, why) {
            Err(failed) if failed.errno == Errno::EAGAIN && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

/// The same without any link and without leaving the mount of `root`.
#[track_caller]
pub fn on_one_mount(root: At, path: &CStr, flags: OpenFlags, why: Why) -> syscalls::Result<Fd> {
    let rules = Resolve::RESOLVE_BENEATH | Resolve::RESOLVE_NO_XDEV | Resolve::RESOLVE_NO_SYMLINKS;
    syscalls::openat2(root, path, OpenFlags::O_PATH | flags, rules, why)
}

/// Opens a file of the rootfs for reading, without a wait: it was looked at, but may be another by now, even a fifo.
#[track_caller]
pub fn reopen(root: At, path: &CStr, why: Why) -> syscalls::Result<Fd> {
    let flags = OpenFlags::O_RDONLY | OpenFlags::O_NONBLOCK | OpenFlags::O_NOCTTY;
    syscalls::openat2(root, path, flags, Resolve::RESOLVE_IN_ROOT | Resolve::RESOLVE_NO_MAGICLINKS, why)
}

/// Opens a file of a file system that was checked, and of no other: not through a mount over a part of it, nor a link
/// that leads out (CVE-2025-52881).
#[track_caller]
pub fn open_trusted(root: At, path: &CStr, flags: OpenFlags, why: Why) -> syscalls::Result<Fd> {
    let rules = Resolve::RESOLVE_BENEATH | Resolve::RESOLVE_NO_XDEV | Resolve::RESOLVE_NO_MAGICLINKS;
    syscalls::openat2(root, path, flags, rules, why)
}

/// What a missing last part of a path becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    Directory,
    File,
}

/// A directory, for what makes a path.
pub fn directory() -> Done<Leaf> {
    Ok(Leaf::Directory)
}

/// The longest path, with its NUL. The kernel takes none that is longer.
const PATH_MAX: usize = 4096;

/// Opens what `path` means inside `root`, and makes what is missing of it, one part at a time below what is there. A
/// link that dangles is followed: what it names is made, inside `root`. In the part that is missing, `..` cancels the
/// name before it.
pub fn resolve_or_make(root: At, path: &CStr, leaf: impl Fn() -> Done<Leaf>, links: bool, why: Why) -> Done<Fd> {
    resolve_or_make_by(root, path, leaf, (OpenFlags::NONE, rules(links)), why)
}

/// The same, but the last part of the path is taken as it is, also where it is a link.
pub fn resolve_or_make_last(root: At, path: &CStr, leaf: impl Fn() -> Done<Leaf>, why: Why) -> Done<Fd> {
    resolve_or_make_by(root, path, leaf, (OpenFlags::O_NOFOLLOW, rules(true)), why)
}

/// A path up to its last name, and that name. Of a name alone the first is empty.
pub fn parts(path: &CStr) -> (&[u8], &CStr) {
    let bytes = path.to_bytes_with_nul();
    let slash = bytes.iter().rposition(|b| *b == b'/');
    let name = bytes.get(slash.map_or(0, |at| at + 1)..).unwrap_or(b"\0");
    (&bytes[..slash.unwrap_or(0)], CStr::from_bytes_with_nul(name).unwrap_or(c""))
}

/// The directory of `path`, made where it is missing, and the name in it.
pub fn resolve_or_make_parent(root: At, path: &CStr, why: Why) -> Done<(Fd, &CStr)> {
    let (dir, name) = parts(path);
    let mut parent = Way::new();
    parent.push(dir)?;
    let parent = resolve_or_make(root, parent.text(), directory, true, why)?;
    Ok((parent, name))
}

/// Opens the directory of `path`.
#[inline(never)] // its stack would be that of every line
pub fn resolve_parent(root: At, path: &CStr, links: bool, why: Why) -> Done<Fd> {
    let mut parent = Way::new();
    parent.push(parts(path).0)?;
    Ok(resolve(root, parent.text(), OpenFlags::O_DIRECTORY, links, why)?)
}

/// The same on the mount of `root` alone: EXDEV if the path leads to another one.
pub fn resolve_or_make_own(root: At, path: &CStr, leaf: impl Fn() -> Done<Leaf>, why: Why) -> Done<Fd> {
    resolve_or_make_by(root, path, leaf, (OpenFlags::NONE, rules(true) | Resolve::RESOLVE_NO_XDEV), why)
}

/// As many links as the kernel follows in one path (path_resolution(7)).
const MOST_LINKS: u32 = 40;

/// `how`: flags and rules of openat2(2).
fn resolve_or_make_by(
    root: At,
    path: &CStr,
    leaf: impl Fn() -> Done<Leaf>,
    how: (OpenFlags, Resolve),
    why: Why,
) -> Done<Fd> {
    let (flags, rules) = how;
    match resolve_by(root, path, flags, rules, why) {
        Err(failed) if failed.errno == Errno::ENOENT => {}
        other => return Ok(other?),
    }
    let leaf = leaf()?;
    let mut way = Way::new();
    way.push(path.to_bytes())?;
    for _ in 0..MOST_LINKS {
        let (at, rest) = way.there(root, rules)?;
        let parent = at.as_ref().map_or(root, Fd::at);
        if !way.turn(parent, rest)? {
            return way.make(root, at, rest, leaf, why);
        }
        // The path has changed, and what it names may exist.
        match resolve_by(root, way.text(), flags, rules, why) {
            Err(failed) if failed.errno == Errno::ENOENT => {}
            other => return Ok(other?),
        }
    }
    Err(Trouble::Check(Check::LinkInTheWay))
}

/// A path that changes while it is walked: a link's text takes the place of the link's name.
struct Way {
    bytes: [u8; PATH_MAX],
    len: usize,
}

impl Way {
    fn new() -> Way {
        Way { bytes: [0; PATH_MAX], len: 0 }
    }

    /// Adds to the end; the last byte stays free for the NUL.
    fn push(&mut self, bytes: &[u8]) -> Done {
        let end = self.len + bytes.len();
        let room = self.bytes.get_mut(self.len..end);
        let Some(room) = room.filter(|_| end < PATH_MAX) else {
            return Err(Trouble::Check(Check::TooLong));
        };
        room.copy_from_slice(bytes);
        self.len = end;
        self.bytes[end] = 0;
        Ok(())
    }

    fn text(&self) -> &CStr {
        match CStr::from_bytes_until_nul(&self.bytes) {
            Ok(text) if !text.is_empty() => text,
            _ => c".",
        }
    }

    /// The longest part that is there, and where the rest begins.
    fn there(&mut self, root: At, rules: Resolve) -> Done<(Option<Fd>, usize)> {
        let mut len = self.len;
        loop {
            let slash = self.bytes[..len].iter().rposition(|b| *b == b'/');
            len = slash.unwrap_or(0);
            if len == 0 {
                return Ok((None, slash.map_or(0, |at| at + 1)));
            }
            self.bytes[len] = 0;
            let why = Why("the part of the path that exists already");
            let found = resolve_by(root, self.text(), OpenFlags::O_DIRECTORY, rules, why);
            self.bytes[len] = b'/';
            match found {
                Ok(fd) => return Ok((Some(fd), len + 1)),
                Err(failed) if failed.errno == Errno::ENOENT => {}
                Err(failed) => return Err(failed.into()),
            }
        }
    }

    /// The next name from a place on: where it begins and ends.
    fn next(&self, from: usize) -> Option<(usize, usize)> {
        let mut start = from;
        loop {
            let rest = self.bytes.get(start..self.len)?;
            let len = rest.iter().position(|b| *b == b'/').unwrap_or(rest.len());
            match &rest[..len] {
                b"" | b"." if start + len < self.len => start += len + 1,
                b"" | b"." => return None,
                _ => return Some((start, start + len)),
            }
        }
    }

    /// Replaces the first missing name by its text, if it is a link; otherwise cancels each `..` with the name before
    /// it. Returns whether the path changed.
    fn turn(&mut self, parent: At, rest: usize) -> Done<bool> {
        let Some((start, end)) = self.next(rest) else {
            return Ok(false);
        };
        let mut name = Way::new();
        name.push(&self.bytes[start..end])?;
        let mut target = [0u8; PATH_MAX];
        let why = Why("the link dangles: what it names has to be made");
        let mut other = Way::new();
        match syscalls::readlinkat(parent, name.text(), &mut target, why) {
            Ok(target) => {
                if !target.starts_with(b"/") {
                    other.push(&self.bytes[..rest])?;
                }
                other.push(target)?;
                other.push(&self.bytes[end..self.len])?;
            }
            // No link, or nothing at all.
            Err(failed) if [Errno::EINVAL, Errno::ENOENT].contains(&failed.errno) => {
                other.push(&self.bytes[..rest])?;
                if !self.without_dots(rest, &mut other)? {
                    return Ok(false);
                }
            }
            Err(failed) => return Err(failed.into()),
        }
        *self = other;
        Ok(true)
    }

    /// Adds the names from `rest` on to `other`, each `..` cancelled with the name before it. Returns whether there was
    /// any.
    fn without_dots(&self, rest: usize, other: &mut Way) -> Done<bool> {
        let (mut at, base, mut any) = (rest, other.len, false);
        while let Some((start, end)) = self.next(at) {
            let name = &self.bytes[start..end];
            let last =
                other.bytes[base..other.len].iter().rposition(|b| *b == b'/').map_or(base, |slash| base + slash + 1);
            let taken = other.len > base && &other.bytes[last..other.len] != b"..";
            any |= name == b"..";
            if name == b".." && taken {
                other.len = last.saturating_sub(1).max(base);
                other.bytes[other.len] = 0;
            } else {
                if other.len > base {
                    other.push(b"/")?;
                }
                other.push(name)?;
            }
            at = end;
        }
        Ok(any)
    }

    /// Makes the rest, part by part. Each new part is opened without following links.
    fn make(&self, root: At, at: Option<Fd>, rest: usize, leaf: Leaf, why: Why) -> Done<Fd> {
        let (mut at, mut from) = (at, rest);
        while let Some((start, end)) = self.next(from) {
            let mut name = Way::new();
            name.push(&self.bytes[start..end])?;
            let leaf = match self.next(end) {
                Some(_) => Leaf::Directory,
                None => leaf,
            };
            let parent = at.as_ref().map_or(root, Fd::at);
            at = Some(make(parent, name.text(), leaf, why)?);
            from = end;
        }
        match at {
            Some(at) => Ok(at),
            None => Ok(resolve_by(root, c".", OpenFlags::NONE, rules(true), why)?),
        }
    }
}

/// Makes one name in a directory and opens it as a place.
fn make(parent: At, name: &CStr, leaf: Leaf, why: Why) -> Done<Fd> {
    let made = match leaf {
        Leaf::Directory => syscalls::mkdirat(parent, name, 0o755, why),
        Leaf::File => syscalls::mknodat(parent, name, libc::S_IFREG | 0o644, why),
    };
    despite(&[Errno::EEXIST], made)?;
    let directory = if leaf == Leaf::Directory { OpenFlags::O_DIRECTORY } else { OpenFlags::NONE };
    let why = Why("the file that was just made, and no link that took its place");
    Ok(syscalls::openat(parent, name, OpenFlags::O_PATH | OpenFlags::O_NOFOLLOW | directory, why)?)
}

/// Opens a name in a directory that the caller trusts.
#[track_caller]
pub fn open_below(dir: At, name: &CStr, flags: OpenFlags, why: Why) -> syscalls::Result<Fd> {
    syscalls::openat(dir, name, OpenFlags::O_PATH | OpenFlags::O_NOFOLLOW | flags, why)
}

/// Writes a whole file under a temporary name and renames it over `name`: a reader never sees half of it.
pub fn replace(dir: At, name: &CStr, temporary: &CStr, pieces: &[&[u8]], mode: u32, why: Why) -> syscalls::Result<()> {
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC | OpenFlags::O_NOFOLLOW;
    let file = syscalls::openat_create(dir, temporary, flags, mode, why)?;
    write_pieces(file.at(), pieces, why)?;
    file.close(Why("all of it is written"))?;
    syscalls::renameat2(dir, temporary, dir, name, Why("a reader sees the old file or the new one, never a part"))
}

/// A text of at most so many bytes is one write: its pieces are put together before.
const ONE_WRITE: usize = 64 << 10;

/// Writes pieces one after the other. A long text is not copied for that.
#[track_caller]
pub fn write_pieces(fd: At, pieces: &[&[u8]], why: Why) -> syscalls::Result<()> {
    let len: usize = pieces.iter().map(|piece| piece.len()).sum();
    if len <= ONE_WRITE {
        return write_all(fd, &pieces.concat(), why);
    }
    let mut begin = Vec::new();
    for piece in pieces {
        if begin.len() + piece.len() <= ONE_WRITE {
            begin.extend_from_slice(piece);
            continue;
        }
        write_all(fd, &begin, why)?;
        begin.clear();
        write_all(fd, piece, why)?;
    }
    write_all(fd, &begin, why)
}

/// write(2) until all is written.
#[track_caller]
pub fn write_all(fd: At, mut bytes: &[u8], why: Why) -> syscalls::Result<()> {
    while !bytes.is_empty() {
        let len = syscalls::write(fd, bytes, why)?;
        bytes = bytes.get(len..).unwrap_or(&[]);
    }
    Ok(())
}
