//! Reading whole files, directories and recorders. May touch: system calls.

use crate::outcome::{Doing, Error};
use alloc::ffi::CString;
use syscalls::{At, OpenFlags, Result, Why, record};

/// The longest file that is read whole. A configuration has some kilobytes as a rule; engines put what they want to remember
/// into its annotations.
pub const LONGEST: usize = 64 << 20;

/// A text of the caller's as a C string.
pub fn c(text: &str) -> core::result::Result<CString, Error> {
    CString::new(text).map_err(|_| Error::Usage(format!("`{}` holds a NUL byte", text.escape_default())))
}

/// Reads what an option names: `-` is standard input, and a path can name a descriptor of the caller's.
#[track_caller]
pub fn read_named(file: &str, why: Why) -> core::result::Result<Vec<u8>, Error> {
    let read = match (file, descriptor(file)) {
        ("-", _) => read_to_end(At::STDIN, why),
        (_, Some(fd)) => read_descriptor(At::from_raw(fd), why),
        // O_NONBLOCK: opening a fifo would wait for its other end.
        (_, None) => syscalls::openat(At::CWD, &c(file)?, OpenFlags::O_NONBLOCK, why)
            .and_then(|opened| read_all(opened.at(), why)),
    };
    read.doing(format_args!("read {file}"))
}

/// Reads a regular file to its end, in pieces that grow. Only there a read gives less than was asked for (read(2)).
#[track_caller]
pub fn read_all(fd: At, why: Why) -> Result<Vec<u8>> {
    read_regular(fd, |_| false, LONGEST, why)
}

/// Reads a regular file until `enough` says so, or to its end.
#[track_caller]
pub fn read_enough(fd: At, enough: fn(&[u8]) -> bool, why: Why) -> Result<Vec<u8>> {
    // A state document holds a configuration, and parts of it a second time.
    read_regular(fd, enough, 4 * LONGEST, why)
}

/// Reads to the end what gives less in between: pipes, and files that the kernel writes while they are read.
#[track_caller]
pub fn read_to_end(fd: At, why: Why) -> Result<Vec<u8>> {
    let mut bytes = vec![0; FIRST];
    let mut len = 0;
    loop {
        let got = syscalls::read(fd, &mut bytes[len..], why)?;
        len += got;
        // One byte more than may be says that it is too long.
        if got == 0 || len > LONGEST {
            bytes.truncate(len);
            return Ok(bytes);
        }
        if len == bytes.len() {
            // Eight times as much costs little: the kernel gives no page before it is written to.
            grow(&mut bytes, (len * 8).min(LONGEST + 1));
        }
    }
}

/// Where a word begins in a text. It looks at the byte where the word would end. That byte tells how far the word is away at
/// the least, so most bytes of the text are passed over.
pub fn find(text: &[u8], word: &[u8]) -> Option<usize> {
    let (last, before) = word.split_last()?;
    let known = word.iter().fold(0u64, |known, byte| known | 1 << (byte & 63));
    let mut at = before.len();
    loop {
        let byte = text.get(at)?;
        if known >> (byte & 63) & 1 == 0 {
            at += word.len();
            continue;
        }
        if byte == last && text.get(at - before.len()..at)? == before {
            return Some(at - before.len());
        }
        at += before.iter().rev().position(|other| other == byte).unwrap_or(before.len()) + 1;
    }
}

/// The descriptor that a path names: a shell passes such paths for `<(...)`, and engines for files in memory.
pub fn descriptor(path: &str) -> Option<i32> {
    if path == "/dev/stdin" {
        return Some(0);
    }
    let directories = ["/dev/fd/", "/proc/self/fd/"];
    let number = directories.iter().find_map(|d| path.strip_prefix(d))?;
    let digits = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| number.parse().ok()).flatten()
}

/// Reads what a descriptor of the caller's holds: a file from its beginning, anything else to its end. An ordinary user may
/// not open its path: the links in /proc of a process that is not dumpable belong to root (proc(5)).
#[track_caller]
pub fn read_descriptor(fd: At, why: Why) -> Result<Vec<u8>> {
    let stat = syscalls::fstat(fd, why)?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return read_to_end(fd, why);
    }
    read_from_begin(fd, (stat.st_size as usize).min(LONGEST + 1), why)
}

/// The first `len` bytes of a file, or fewer if it is shorter.
#[track_caller]
fn read_from_begin(fd: At, len: usize, why: Why) -> Result<Vec<u8>> {
    read_from(fd, 0, len, why)
}

/// So many bytes of a file from a place on, or fewer if it ends before.
#[track_caller]
pub fn read_from(fd: At, from: usize, len: usize, why: Why) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len.min(4 * LONGEST)];
    let mut have = 0;
    while have < bytes.len() {
        match syscalls::pread64(fd, &mut bytes[have..], from.saturating_add(have), why)? {
            0 => break,
            got => have += got,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}

/// The first piece of a file has so many bytes.
const FIRST: usize = 16 << 10;

/// A file that is longer than the first piece says how long it is: its text is there once.
#[track_caller]
fn read_regular(fd: At, enough: fn(&[u8]) -> bool, longest: usize, why: Why) -> Result<Vec<u8>> {
    let mut bytes = vec![0; FIRST];
    let mut len = 0;
    loop {
        let room = bytes.len() - len;
        let got = syscalls::read(fd, &mut bytes[len..], why)?;
        len += got;
        if got < room || len > longest || enough(&bytes[..len]) {
            bytes.truncate(len);
            return Ok(bytes);
        }
        let size = syscalls::fstat(fd, Why("the rest of a long file is read at once, into as much memory"))?.st_size;
        // One byte more than there is, so that the next read finds the end.
        grow(&mut bytes, (size as usize).max(len * 2).min(longest) + 1);
    }
}

/// Makes a text longer. What follows it is zeros of the kernel's.
fn grow(bytes: &mut Vec<u8>, len: usize) {
    let mut more = vec![0; len.max(bytes.len())];
    more[..bytes.len()].copy_from_slice(bytes);
    *bytes = more;
}

/// The names in a directory.
#[track_caller]
pub fn names(dir: At, why: Why) -> Result<Vec<CString>> {
    entries(dir, |_| true, why)
}

/// The names of the directories in a directory, and on a file system that does not tell types (getdents64(2), d_type) all.
#[track_caller]
pub fn directories(dir: At, why: Why) -> Result<Vec<CString>> {
    entries(dir, |kind| [libc::DT_DIR, libc::DT_UNKNOWN].contains(&kind), why)
}

#[track_caller]
fn entries(dir: At, wanted: fn(u8) -> bool, why: Why) -> Result<Vec<CString>> {
    let mut names = Vec::new();
    let mut buffer = vec![0; 8 << 10];
    loop {
        let len = match syscalls::getdents64(dir, &mut buffer, why)? {
            0 => return Ok(names),
            len => len,
        };
        let all = syscalls::abi::entries(buffer.get(..len).unwrap_or(&[]));
        names.extend(all.filter(|(kind, _)| wanted(*kind)).map(|(_, name)| CString::from(name)));
    }
}

/// Reads a file of records. A file that is mapped as a recorder has the recorder's full length: of it, the part in use.
pub fn read_recorder(fd: At) -> Result<Vec<u8>> {
    let why = Why("the records lie in this file");
    let stat = syscalls::fstat(fd, why)?;
    let mut len = (stat.st_size as usize).min(record::WATCHED);
    if len >= record::CAPACITY {
        let mut head = [0u8; size_of::<record::Head>()];
        syscalls::pread64(fd, &mut head, 0, why)?;
        let at = core::mem::offset_of!(record::Head, used);
        let used = u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        len = len.min(used as usize);
    }
    read_from_begin(fd, len, why)
}
