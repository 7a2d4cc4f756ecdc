//! The file system's own words about a mount that was refused: mount(2) gives an errno alone. The same file system is begun
//! again by fsopen(2), with the same options, and its messages are read into the record. It is mounted nowhere. Nothing here
//! allocates. May touch: system calls.

use core::ffi::CStr;
use syscalls::{At, Errno, Failed, Why};

/// Bytes that mount(2) takes as data.
pub const DATA: usize = 4096;
/// How many messages are read. The kernel keeps eight (fs_context.h, struct fc_log).
const MESSAGES: usize = 8;
/// Bytes of a message that are read.
pub const MESSAGE: usize = 256;

const WHY: Why = Why("the file system says in words what it refuses");

/// Has the kernel say what it did not like. Errors are of no account here: then there are no words.
pub fn ask(source: &CStr, kind: &CStr, data: Option<&CStr>, refused: Failed) {
    // These are about rights and the place of the mount. A file system has no words for them.
    if [Errno::EPERM, Errno::EBUSY, Errno::ENODEV].contains(&refused.errno) {
        return;
    }
    // A quoted value can have commas in it.
    if data.is_some_and(|data| data.to_bytes().contains(&b'"')) {
        return;
    }
    let Ok(fs) = syscalls::fsopen(kind, WHY) else {
        return;
    };
    if configure(fs.at(), source, data).is_ok() {
        let _ = syscalls::fsconfig_create(fs.at(), WHY);
    }
    let mut message = [0; MESSAGE];
    for _ in 0..MESSAGES {
        if syscalls::read_fs_message(fs.at(), &mut message, WHY).is_err() {
            break;
        }
    }
    let _ = fs.close(WHY);
}

/// What a file system says of its options before there is a mount. Nothing is made. Returns how long the message is.
pub fn options(kind: &CStr, data: &CStr, message: &mut [u8; MESSAGE]) -> Option<usize> {
    let fs = syscalls::fsopen(kind, WHY).ok()?;
    configure(fs.at(), c"none", Some(data)).err()?;
    syscalls::read_fs_message(fs.at(), message, WHY).ok()
}

/// Sets the source and each option, as the kernel itself takes them apart: at commas, and at the first `=` of each.
fn configure(fs: At, source: &CStr, data: Option<&CStr>) -> syscalls::Result<()> {
    syscalls::fsconfig_set(fs, c"source", Some(source), WHY)?;
    let mut room = [0; DATA];
    for option in data.map_or(&[][..], CStr::to_bytes).split(|byte| *byte == b',') {
        // The kernel takes no more data than this, with a NUL.
        let Some(place) = room.get_mut(..option.len() + 1).filter(|_| !option.is_empty()) else {
            continue;
        };
        let (text, end) = place.split_at_mut(option.len());
        text.copy_from_slice(option);
        end.fill(0);
        let equals = option.iter().position(|byte| *byte == b'=');
        if let Some(equals) = equals {
            place[equals] = 0;
        }
        let (key, value) = place.split_at(equals.map_or(0, |equals| equals + 1));
        let text = |bytes| CStr::from_bytes_until_nul(bytes).unwrap_or(c"");
        match equals {
            Some(_) => syscalls::fsconfig_set(fs, text(key), Some(text(value)), WHY)?,
            None => syscalls::fsconfig_set(fs, text(value), None, WHY)?,
        }
    }
    Ok(())
}
