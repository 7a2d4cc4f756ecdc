//! `tmpcopyup`: what lay below a new tmpfs is copied into it, file by file, by descriptor. The rootfs is hostile: no
//! link is followed, no fifo or device is opened, and the depth is bounded. Nothing here allocates. May touch: system
//! calls.

use crate::outcome::{Check, Done, Trouble};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why, abi};

/// Directories within directories. All together take less than half of the stack (`syscalls::start`): below its end lie
/// other data, and the kernel would report nothing.
const DEEPEST: u32 = 64;
/// Bytes of directory entries that are read at once.
const ENTRIES: usize = 1024;
/// Bytes that are copied at once; the kernel copies fewer where it must.
const CHUNK: usize = 1 << 30;

const NOFOLLOW: OpenFlags = OpenFlags::O_NOFOLLOW.or(OpenFlags::O_NONBLOCK).or(OpenFlags::O_NOCTTY);
const DIRECTORY: OpenFlags = OpenFlags::O_DIRECTORY;

/// Copies all that is in `from` into `to`: contents, modes, owners, links, devices.
pub fn copy(from: At, to: At, why: Why) -> Done {
    let stat = syscalls::fstat(from, why)?;
    syscalls::fchmod(to, stat.st_mode & 0o7777, why)?;
    syscalls::fchown(to, stat.st_uid, stat.st_gid, why)?;
    entries(from, to, 0, why)
}

fn entries(from: At, to: At, depth: u32, why: Why) -> Done {
    if depth == DEEPEST {
        return Err(Trouble::Check(Check::TooDeep));
    }
    let mut buffer = [0u8; ENTRIES];
    loop {
        let len = syscalls::getdents64(from, &mut buffer, why)?;
        if len == 0 {
            return Ok(());
        }
        for (_, name) in abi::entries(buffer.get(..len).unwrap_or(&[])) {
            entry(from, to, name, depth, why)?;
        }
    }
}

fn entry(from: At, to: At, name: &CStr, depth: u32, why: Why) -> Done {
    let nofollow = AtFlags::AT_SYMLINK_NOFOLLOW;
    let stat = match syscalls::newfstatat(from, name, nofollow, why) {
        // Another process removed it meanwhile.
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(()),
        stat => stat?,
    };
    let mode = stat.st_mode & 0o7777;
    match stat.st_mode & libc::S_IFMT {
        libc::S_IFDIR => {
            syscalls::mkdirat(to, name, 0o700, why)?;
            let inner = syscalls::openat(from, name, NOFOLLOW | DIRECTORY, why)?;
            let copy = syscalls::openat(to, name, NOFOLLOW | DIRECTORY, why)?;
            entries(inner.at(), copy.at(), depth + 1, why)?;
            return finish(&copy, &stat, why);
        }
        libc::S_IFREG => {
            let file = syscalls::openat(from, name, NOFOLLOW, why)?;
            let flags = NOFOLLOW | OpenFlags::O_WRONLY | OpenFlags::O_EXCL;
            let copy = syscalls::openat_create(to, name, flags, 0o600, why)?;
            while syscalls::sendfile(copy.at(), file.at(), CHUNK, why)? > 0 {}
            return finish(&copy, &stat, why);
        }
        libc::S_IFLNK => link(from, to, name, why)?,
        libc::S_IFCHR | libc::S_IFBLK => {
            let (major, minor) = (libc::major(stat.st_rdev), libc::minor(stat.st_rdev));
            syscalls::mknodat_device(to, name, stat.st_mode, major, minor, why)?;
        }
        libc::S_IFIFO => syscalls::mknodat(to, name, libc::S_IFIFO | mode, why)?,
        // A socket is of no use without the process that listens at it.
        _ => return Ok(()),
    }
    Ok(syscalls::fchownat(to, name, stat.st_uid, stat.st_gid, nofollow, why)?)
}

/// A function of its own, so that the room for the text is not part of the frame of each directory.
#[inline(never)]
fn link(from: At, to: At, name: &CStr, why: Why) -> Done {
    let mut text = [0u8; 4096];
    syscalls::readlinkat(from, name, &mut text[..4095], why)?;
    let text = CStr::from_bytes_until_nul(&text).unwrap_or(c".");
    Ok(syscalls::symlinkat(text, to, name, why)?)
}

/// Owner first: a change of owner takes set-user-id bits away (chown(2)).
fn finish(copy: &Fd, stat: &syscalls::Stat, why: Why) -> Done {
    syscalls::fchown(copy.at(), stat.st_uid, stat.st_gid, why)?;
    Ok(syscalls::fchmod(copy.at(), stat.st_mode & 0o7777, why)?)
}
