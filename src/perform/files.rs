//! Files and directories, by descriptor. Inside a rootfs every path is resolved below its descriptor, since all that
//! lies there is hostile. Nothing here allocates. May touch: system calls.

use super::{Check, Done, Trouble};
use core::ffi::CStr;
use syscalls::{At, Errno, Fd, Why};

/// openat2(2)'s rules (linux/openat2.h).
const RESOLVE_NO_MAGICLINKS: u32 = 0x02;
const RESOLVE_NO_SYMLINKS: u32 = 0x04;
const RESOLVE_NO_XDEV: u32 = 0x01;
const RESOLVE_BENEATH: u32 = 0x08;
const RESOLVE_IN_ROOT: u32 = 0x10;
const O_PATH: u32 = libc::O_PATH as u32;
pub const O_DIRECTORY: u32 = libc::O_DIRECTORY as u32;
const O_NOFOLLOW: u32 = libc::O_NOFOLLOW as u32;

/// How often a path is walked again when somebody renames its parts meanwhile (openat2(2), EAGAIN).
const TRIES: u32 = 32;

/// Opens what `path` means inside `root`, as a place: nothing is read. Links are taken as the container would take
/// them, or refused.
pub fn resolve(root: At, path: &CStr, flags: u32, links: bool, why: Why) -> syscalls::Result<Fd> {
    resolve_by(root, path, flags, rules(links), why)
}

fn rules(links: bool) -> u32 {
    RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | if links { 0 } else { RESOLVE_NO_SYMLINKS }
}

fn resolve_by(root: At, path: &CStr, flags: u32, rules: u32, why: Why) -> syscalls::Result<Fd> {
    let mut tries = 0;
    loop {
        match syscalls::openat2(
            root,
            path,
            O_PATH | flags,
            rules,
            "place in the rootfs",
            why,
        ) {
            Err(failed) if failed.errno == Errno::EAGAIN && tries < TRIES => tries += 1,
            other => return other,
        }
    }
}

/// The same without any link and without leaving the mount of `root`.
pub fn on_one_mount(root: At, path: &CStr, flags: u32, why: Why) -> syscalls::Result<Fd> {
    let rules = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS;
    syscalls::openat2(
        root,
        path,
        O_PATH | flags,
        rules,
        "place in the rootfs",
        why,
    )
}

/// Opens a file of the rootfs for reading, without waiting for anybody: it was looked at, but may be another by now.
pub fn reopen(root: At, path: &CStr, why: Why) -> syscalls::Result<Fd> {
    let flags = (libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY) as u32;
    syscalls::openat2(
        root,
        path,
        flags,
        RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
        "file in the rootfs",
        why,
    )
}

/// Opens a file of a file system that was checked, and of no other: not through a mount over a part of it, nor a link
/// that leads out (CVE-2025-52881).
pub fn open_trusted(
    root: At,
    path: &CStr,
    flags: u32,
    name: &'static str,
    why: Why,
) -> syscalls::Result<Fd> {
    let rules = RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS;
    syscalls::openat2(root, path, flags, rules, name, why)
}

/// What a missing last part of a path becomes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Leaf {
    Directory,
    File,
}

/// Longest path that can be made; the kernel takes no longer one either.
const PATH_MAX: usize = 4096;

/// Opens what `path` means inside `root`, and makes what is missing of it, one part at a time below what is there.
pub fn resolve_or_make(
    root: At,
    path: &CStr,
    leaf: impl Fn() -> Done<Leaf>,
    links: bool,
    why: Why,
) -> Done<Fd> {
    resolve_or_make_by(root, path, leaf, rules(links), why)
}

/// The same on the mount of `root` alone: EXDEV if the path leads to another one.
pub fn resolve_or_make_own(
    root: At,
    path: &CStr,
    leaf: impl Fn() -> Done<Leaf>,
    why: Why,
) -> Done<Fd> {
    resolve_or_make_by(root, path, leaf, rules(true) | RESOLVE_NO_XDEV, why)
}

fn resolve_or_make_by(
    root: At,
    path: &CStr,
    leaf: impl Fn() -> Done<Leaf>,
    rules: u32,
    why: Why,
) -> Done<Fd> {
    match resolve_by(root, path, 0, rules, why) {
        Err(failed) if failed.errno == Errno::ENOENT => {}
        other => return Ok(other?),
    }
    let leaf = leaf()?;
    let bytes = path.to_bytes();
    let mut buffer = [0u8; PATH_MAX];
    let Some(copy) = buffer.get_mut(..bytes.len()) else {
        return Err(Trouble::Check(Check::DotDot));
    };
    copy.copy_from_slice(bytes);

    // The longest part that is there.
    let mut len = bytes.len();
    let mut at = loop {
        len = bytes[..len].iter().rposition(|b| *b == b'/').unwrap_or(0);
        if len == 0 {
            break None;
        }
        buffer[len] = 0;
        let prefix = CStr::from_bytes_until_nul(&buffer).unwrap_or(c".");
        let found = resolve_by(
            root,
            prefix,
            O_DIRECTORY,
            rules,
            Why("how much of the path is there already"),
        );
        buffer[len] = b'/';
        match found {
            Ok(fd) => break Some(fd),
            Err(failed) if failed.errno == Errno::ENOENT => {}
            Err(failed) => return Err(failed.into()),
        }
    };
    // The rest, part by part: what was just made is opened without following links.
    let mut start = if len == 0 { 0 } else { len + 1 };
    while start < bytes.len() {
        let end = bytes[start..]
            .iter()
            .position(|b| *b == b'/')
            .map_or(bytes.len(), |i| start + i);
        let mut part = [0u8; PATH_MAX];
        let name = &bytes[start..end];
        if name == b".." {
            return Err(Trouble::Check(Check::DotDot));
        }
        let Some(room) = part.get_mut(..name.len()) else {
            return Err(Trouble::Check(Check::DotDot));
        };
        room.copy_from_slice(name);
        let name = CStr::from_bytes_until_nul(&part).unwrap_or(c".");
        let parent = at.as_ref().map_or(root, Fd::at);
        let last = end == bytes.len();
        at = Some(make(
            parent,
            name,
            if last { leaf } else { Leaf::Directory },
            why,
        )?);
        start = end + 1;
    }
    at.ok_or(Trouble::Check(Check::DotDot))
}

/// Makes one name in a directory and opens it as a place.
fn make(parent: At, name: &CStr, leaf: Leaf, why: Why) -> syscalls::Result<Fd> {
    let made = match leaf {
        Leaf::Directory => syscalls::mkdirat(parent, name, 0o755, why),
        Leaf::File => syscalls::mknodat(parent, name, libc::S_IFREG | 0o644, why),
    };
    match made {
        Err(failed) if failed.errno != Errno::EEXIST => return Err(failed),
        _ => {}
    }
    let directory = if leaf == Leaf::Directory {
        O_DIRECTORY
    } else {
        0
    };
    syscalls::openat(
        parent,
        name,
        O_PATH | O_NOFOLLOW | directory,
        "place in the rootfs",
        Why("what was just made, and no link that took its place"),
    )
}

/// Opens a name in a directory that the caller trusts.
pub fn open_below(dir: At, name: &CStr, flags: u32, why: Why) -> syscalls::Result<Fd> {
    syscalls::openat(
        dir,
        name,
        O_PATH | O_NOFOLLOW | flags,
        "place below a fresh mount",
        why,
    )
}

/// Writes a whole file under a temporary name and renames it over `name`: nobody ever reads a half of it.
pub fn replace(
    dir: At,
    name: &CStr,
    temporary: &CStr,
    bytes: &[u8],
    mode: u32,
    why: Why,
) -> syscalls::Result<()> {
    let flags = (libc::O_WRONLY | libc::O_TRUNC | libc::O_NOFOLLOW) as u32;
    let file = syscalls::openat_create(dir, temporary, flags, mode, "new file", why)?;
    write_all(file.at(), bytes, why)?;
    file.close(Why("all of it is written"))?;
    syscalls::renameat(
        dir,
        temporary,
        dir,
        name,
        Why("a reader sees the old file or the new one, never a part"),
    )
}

/// write(2) until all is written.
pub fn write_all(fd: At, mut bytes: &[u8], why: Why) -> syscalls::Result<()> {
    while !bytes.is_empty() {
        match syscalls::write(fd, bytes, why) {
            Ok(len) => bytes = bytes.get(len..).unwrap_or(&[]),
            Err(failed) => return Err(failed),
        }
    }
    Ok(())
}
