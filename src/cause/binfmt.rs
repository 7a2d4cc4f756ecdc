//! Kinds of programs that the host runs by an interpreter, such as those of other machines by qemu (binfmt_misc, the kernel's
//! admin-guide/binfmt-misc.rst). The kernel asks for these kinds before its own. May touch: system calls.

use super::path;
use crate::host::input;
use syscalls::{At, OpenFlags, Why};

const KINDS: &core::ffi::CStr = c"/proc/sys/fs/binfmt_misc";
/// BINFMTFS_MAGIC (linux/magic.h).
const MAGIC: u64 = 0x4249_4e4d;
/// No more kinds than this are looked at.
const MOST: usize = 256;

/// What runs a file.
#[derive(PartialEq, Eq, Debug)]
pub struct Handler {
    pub interpreter: String,
    /// The host has opened it already, so that it needs not be in the rootfs.
    pub open: bool,
}

/// What the host runs a file by that begins so. `path`: as it is executed.
pub fn handler(begin: &[u8], path: &str) -> Option<Handler> {
    let why = Why("the host may run programs of other kinds by an interpreter");
    // Without O_DIRECTORY the kernel starts no automount, for which it would wait.
    let place = syscalls::openat(At::CWD, KINDS, OpenFlags::O_PATH, why).ok()?;
    if syscalls::fstatfs(place.at(), why).ok()?.f_type as u64 != MAGIC {
        return None;
    }
    let dir = syscalls::openat(place.at(), c".", OpenFlags::O_DIRECTORY, why).ok()?;
    if path::text(dir.at(), "status")?.trim() != "enabled" {
        return None;
    }
    let names = input::names(dir.at(), why).ok()?;
    let names =
        names.iter().map(|name| name.to_string_lossy()).filter(|name| !["register", "status"].contains(&&**name));
    names.take(MOST).find_map(|name| understood(&path::text(dir.at(), &name)?, begin, path))
}

/// A kind, if the file is of it.
fn understood(text: &str, begin: &[u8], path: &str) -> Option<Handler> {
    let line = |key: &str| text.lines().find_map(|line| line.strip_prefix(key));
    let fits = match line("extension .") {
        Some(extension) => path.rsplit_once('.').is_some_and(|(_, is)| is == extension),
        None => {
            let offset: usize = line("offset ")?.parse().ok()?;
            let (magic, mask) = (bytes(line("magic ")?)?, line("mask ").map_or(Some(Vec::new()), bytes)?);
            let same = |(i, wanted): (usize, &u8)| {
                let mask = mask.get(i).copied().unwrap_or(0xff);
                // Beyond its end the kernel sees zeros.
                begin.get(offset.saturating_add(i)).copied().unwrap_or(0) & mask == wanted & mask
            };
            magic.iter().enumerate().all(same)
        }
    };
    let open = line("flags: ").is_some_and(|flags| flags.contains('F'));
    (fits && text.starts_with("enabled")).then_some(Handler { interpreter: line("interpreter ")?.into(), open })
}

/// Bytes out of hexadecimal digits.
fn bytes(digits: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(core::str::from_utf8(pair).ok()?, 16).ok();
    digits.trim().as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_fit_by_magic_and_mask_or_by_the_end_of_the_name() {
        let magic = "enabled\ninterpreter /q\nflags: OCF\noffset 4\nmagic 0102ff\nmask ffff0f\n";
        let of = |text: &str, begin: &[u8], path: &str| understood(text, begin, path).map(|one| one.open);
        assert_eq!(of(magic, &[9, 9, 9, 9, 1, 2, 0x3f], "/x"), Some(true));
        assert_eq!(of(magic, &[9, 9, 9, 9, 1, 3, 0x3f], "/x"), None);
        assert_eq!(of(magic, &[], "/x"), None);
        assert_eq!(of(&magic.replace("enabled", "disabled"), &[0, 0, 0, 0, 1, 2, 0x3f], "/x"), None);
        let name = "enabled\ninterpreter /q\nflags: \nextension .jar\n";
        assert_eq!([of(name, &[], "/a.b.jar"), of(name, &[], "/jar")], [Some(false), None]);
        assert_eq!(of("enabled\noffset 18446744073709551615\nmagic 01\n", &[1], "/x"), None);
    }
}
