//! Reading whole files, directories and recorders. May touch: system calls.

use alloc::ffi::CString;
use alloc::vec::Vec;
use syscalls::{At, Errno, Failed, Result, Why, record};

/// The longest file that is read whole: a configuration is some kilobytes, no program takes more than six megabytes of
/// arguments, and a document can take forty times its length of memory.
pub const LONGEST: usize = 8 << 20;

/// Reads a file to its end, in pieces that grow.
pub fn read_all(fd: At, why: Why) -> Result<Vec<u8>> {
    let mut bytes = alloc::vec![0; 16 << 10];
    let mut len = 0;
    loop {
        match syscalls::read(fd, &mut bytes[len..], why) {
            // A regular file gives less than was asked for only at its end (read(2)).
            Ok(got) if len + got < bytes.len() => {
                bytes.truncate(len + got);
                return Ok(bytes);
            }
            Ok(got) => len += got,
            Err(failed) if failed.errno == Errno::EINTR => {}
            Err(failed) => return Err(failed),
        }
        if len >= LONGEST {
            return Ok(bytes);
        }
        bytes.resize(bytes.len() * 2, 0);
    }
}

/// The names in a directory.
pub fn names(dir: At, why: Why) -> Result<Vec<CString>> {
    let mut names = Vec::new();
    let mut buffer = alloc::vec![0; 8 << 10];
    loop {
        match syscalls::getdents64(dir, &mut buffer, why)? {
            0 => return Ok(names),
            len => names
                .extend(syscalls::abi::names(buffer.get(..len).unwrap_or(&[])).map(CString::from)),
        }
    }
}

/// Reads what is in use of a recorder file. One of another layout reads as an empty one.
pub fn read_recorder(fd: At) -> core::result::Result<Vec<u8>, Failed> {
    let why = Why("what was recorded");
    let mut head = [0u8; size_of::<record::Head>()];
    let len = syscalls::pread64(fd, &mut head, 0, why)?;
    let magic = u64::from_ne_bytes([
        head[0], head[1], head[2], head[3], head[4], head[5], head[6], head[7],
    ]);
    if len < head.len() || magic != record::MAGIC {
        return Ok(Vec::new());
    }
    let at = core::mem::offset_of!(record::Head, used);
    let used = u32::from_ne_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]) as usize;
    let mut bytes = alloc::vec![0; used.min(record::CAPACITY)];
    let mut have = 0;
    while have < bytes.len() {
        match syscalls::pread64(fd, &mut bytes[have..], have, why)? {
            0 => break,
            got => have += got,
        }
    }
    bytes.truncate(have);
    Ok(bytes)
}
