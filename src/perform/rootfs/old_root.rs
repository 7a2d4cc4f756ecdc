//! The host's mounts, where the old root cannot be put away: `--no-pivot`, and the way round pivot_root in an initramfs.
//! No path of the container leads there. But the kernel lets a user namespace mount a new procfs or sysfs, without any of
//! the container's masks, as long as there is a whole one somewhere in its mount namespace (mount_namespaces(7)). So all
//! that is mounted below the old root is taken away. What may not be (in a user namespace the host's mounts are locked) is
//! covered, if it is a procfs or sysfs.
//!
//! The new root lies over the old one by now, so a path means what the host has there, and never what the container has:
//! lines of the list that are about the container's mounts name nothing, or something of the host's.
//! Nothing here allocates. May touch: system calls.

use crate::outcome::Done;
use core::ffi::CStr;
use syscalls::{At, MountFlags, OpenFlags, UmountFlags, Why};

/// statfs(2)'s f_type of procfs and sysfs (linux/magic.h).
const WHOLE: [i64; 2] = [0x9fa0, 0x6265_6572];
/// Mounts can hide mounts: so many layers are taken away.
const LAYERS: u32 = 1000;

/// Takes the host's mounts away, layer by layer, and then covers what is left.
pub fn clear() -> Done {
    let procfs = crate::host::procfs::open()?;
    let away = |line: &Line| line.path().map_or(Ok(false), unmount);
    for _ in 0..LAYERS {
        if !each(procfs.at(), away)? {
            break;
        }
    }
    let whole = |line: &Line| line.path().filter(|_| line.whole && line.kind()).map_or(Ok(false), cover);
    each(procfs.at(), whole)?;
    procfs.leak(); // execve closes it
    Ok(())
}

/// Does something about each mount of the list. Whether it changed anything.
fn each(procfs: At, change: impl Fn(&Line) -> Done<bool>) -> Done<bool> {
    let why = Why("each mount that is left of the host's");
    let list = syscalls::openat(procfs, c"self/mountinfo", OpenFlags::NONE, why)?;
    let (mut buffer, mut line, mut changed) = ([0u8; 2048], Line::new(), false);
    loop {
        let len = syscalls::read(list.at(), &mut buffer, why)?;
        if len == 0 {
            break;
        }
        for byte in buffer.get(..len).unwrap_or(&[]) {
            if *byte != b'\n' {
                line.take(*byte);
                continue;
            }
            changed |= change(&line)?;
            line = Line::new();
        }
    }
    list.leak(); // execve closes it
    Ok(changed)
}

/// Unmounts what is on a path, with all below it. Not what is locked, or no mount at all.
fn unmount(path: &CStr) -> Done<bool> {
    let why = Why("the kernel looks for a whole procfs in this namespace, also where no path leads");
    let flags = UmountFlags::MNT_DETACH | UmountFlags::UMOUNT_NOFOLLOW;
    Ok(syscalls::umount2(path, flags, why).is_ok())
}

/// Covers a procfs or sysfs that could not be unmounted.
fn cover(path: &CStr) -> Done<bool> {
    let why = Why("a mount that came with the namespace is locked there: it can only be covered");
    let flags = OpenFlags::O_PATH | OpenFlags::O_NOFOLLOW | OpenFlags::O_DIRECTORY;
    let Ok(place) = syscalls::openat(At::CWD, path, flags, why) else {
        return Ok(false);
    };
    let found = syscalls::fstatfs(place.at(), why)?;
    if !WHOLE.contains(&(found.f_type as i64)) {
        return Ok(false);
    }
    syscalls::fchdir(place.at(), why)?;
    syscalls::mount(c"tmpfs", c".", c"tmpfs", MountFlags::MS_RDONLY, None, why)?;
    Ok(true)
}

/// A line of mountinfo (proc_pid_mountinfo(5)), byte by byte: `ID PARENT DEVICE ROOT PATH OPTIONS TAGS - TYPE ...`.
struct Line {
    field: u32,
    /// Which field is the type: the one after the dash.
    kind_at: Option<u32>,
    /// The field so far: its length, and whether it is a lone dash.
    len: usize,
    dash: bool,
    /// The mount shows the root of its file system.
    whole: bool,
    path: [u8; 4096],
    path_len: usize,
    kind: [u8; 8],
    kind_len: usize,
    /// Of `\040` and the like.
    octal: Option<(u32, u32)>,
}

impl Line {
    fn new() -> Line {
        Line {
            field: 0,
            kind_at: None,
            len: 0,
            dash: false,
            whole: false,
            path: [0; 4096],
            path_len: 0,
            kind: [0; 8],
            kind_len: 0,
            octal: None,
        }
    }

    fn take(&mut self, byte: u8) {
        if byte == b' ' {
            if self.dash && self.len == 1 && self.field > 5 && self.kind_at.is_none() {
                self.kind_at = Some(self.field + 1);
            }
            (self.field, self.len, self.dash) = (self.field + 1, 0, false);
            return;
        }
        self.len += 1;
        self.dash = self.len == 1 && byte == b'-';
        match self.field {
            3 => self.whole = self.len == 1 && byte == b'/',
            4 => self.take_path(byte),
            field if self.kind_at == Some(field) => {
                if let Some(place) = self.kind.get_mut(self.kind_len) {
                    *place = byte;
                }
                self.kind_len += 1;
            }
            _ => {}
        }
    }

    fn take_path(&mut self, byte: u8) {
        let byte = match self.octal {
            None if byte == b'\\' => {
                self.octal = Some((0, 0));
                return;
            }
            None => byte,
            Some((digits, value)) => {
                let value = value * 8 + u32::from(byte.wrapping_sub(b'0') & 7);
                if digits < 2 {
                    self.octal = Some((digits + 1, value));
                    return;
                }
                self.octal = None;
                value as u8
            }
        };
        if let Some(place) = self.path.get_mut(self.path_len) {
            *place = byte;
        }
        self.path_len += 1;
    }

    /// Where it is mounted; none for the root, and for what no call can name.
    fn path(&self) -> Option<&CStr> {
        if self.path_len < 2 || self.path_len >= self.path.len() {
            return None;
        }
        CStr::from_bytes_until_nul(&self.path).ok()
    }

    /// Whether it is of the kinds that the kernel looks for.
    fn kind(&self) -> bool {
        [&b"proc"[..], b"sysfs"].contains(&self.kind.get(..self.kind_len).unwrap_or(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let mut line = Line::new();
        text.bytes().for_each(|byte| line.take(byte));
        line
    }

    #[test]
    fn lines_of_mountinfo() {
        for (text, path, whole, kind) in [
            ("24 1 0:22 / /proc rw,nosuid shared:3 - proc proc rw", Some(c"/proc"), true, true),
            ("24 1 0:22 / /sys rw - sysfs sys rw", Some(c"/sys"), true, true),
            ("24 1 0:22 /sys /a\\040b\\134 rw - proc proc rw", Some(c"/a b\\"), false, true),
            ("24 1 0:22 / /- rw master:1 shared:2 - procs x rw", Some(c"/-"), true, false),
            ("24 1 0:22 / / rw - ext4 /dev/root rw", None, true, false),
            ("", None, false, false),
        ] {
            let line = line(text);
            assert_eq!((line.path(), line.whole, line.kind()), (path, whole, kind), "{text}");
        }
        let long = format!("1 1 0:1 / /{} rw - proc proc rw", "x".repeat(5000));
        assert_eq!(line(&long).path(), None);
    }
}
