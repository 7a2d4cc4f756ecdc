//! The host's mounts, where the old root cannot be put away: `--no-pivot`, and the way round pivot_root in an
//! initramfs. No path of the container leads there. But the kernel lets a user namespace mount a new procfs or sysfs,
//! without any of the container's masks, as long as there is a whole one somewhere in its mount namespace
//! (mount_namespaces(7)). So all that is mounted below the old root is unmounted. A procfs or sysfs that cannot be (in
//! a user namespace the host's mounts are locked) is covered.
//!
//! The new root lies over the old one by now, so a path means what the host has there, and never what the container
//! has: lines of the list that are about the container's mounts name nothing, or something of the host's. Nothing here
//! allocates. May touch: system calls.

use crate::outcome::Done;
use core::ffi::CStr;
use syscalls::{At, MountFlags, OpenFlags, UmountFlags, Why};

/// statfs(2)'s f_type of procfs and sysfs (linux/magic.h).
const WHOLE: [i64; 2] = [libc::PROC_SUPER_MAGIC, libc::SYSFS_MAGIC];
/// Mounts can hide mounts: at most so many layers are unmounted.
const LAYERS: u32 = 1000;

/// Bytes of a path, of a line of the list, and of what is read of it at once.
const PATH: usize = 4096;
const LINE: usize = 8192;
const PIECE: usize = 2048;

/// Unmounts the host's mounts, layer by layer, and then covers what is left.
pub fn clear() -> Done {
    let procfs = crate::host::procfs::open()?;
    for _ in 0..LAYERS {
        if !each(procfs.at(), |mount| unmount(mount.path))? {
            break;
        }
    }
    each(procfs.at(), |mount| if mount.whole { cover(mount.path) } else { Ok(false) })?;
    procfs.leak(); // execve closes it
    Ok(())
}

/// Calls `change` for each mount of the list. Returns whether any call changed something.
fn each(procfs: At, change: impl Fn(Mount) -> Done<bool>) -> Done<bool> {
    let why = Why("the mounts of the host that are left");
    let list = syscalls::openat(procfs, c"self/mountinfo", OpenFlags::NONE, why)?;
    let (mut buffer, mut path) = ([0u8; LINE + PIECE], [0u8; PATH]);
    let (mut len, mut changed) = (0, false);
    loop {
        let read = syscalls::read(list.at(), &mut buffer[len..len + PIECE], why)?;
        if read == 0 {
            break;
        }
        len += read;
        while let Some(end) = buffer[..len].iter().position(|byte| *byte == b'\n') {
            if let Some(mount) = Mount::of(&buffer[..end], &mut path) {
                changed |= change(mount)?;
            }
            buffer.copy_within(end + 1..len, 0);
            len -= end + 1;
        }
        // Of a longer line the beginning stays, where the path is.
        len = len.min(LINE);
    }
    list.leak(); // execve closes it
    Ok(changed)
}

/// Unmounts what is on a path, with all below it. Not what is locked, or no mount at all.
fn unmount(path: &CStr) -> Done<bool> {
    let why =
        Why("a whole procfs in this namespace, even where no path leads, would let a program mount one without masks");
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

/// A line of mountinfo (proc_pid_mountinfo(5)): `ID PARENT DEVICE ROOT PATH OPTIONS TAGS - TYPE ...`.
struct Mount<'a> {
    /// Where it is mounted.
    path: &'a CStr,
    /// It shows all of a procfs or sysfs, the kinds that the kernel looks for.
    whole: bool,
}

impl Mount<'_> {
    /// None for the root, and for what no call can name.
    fn of<'a>(line: &[u8], room: &'a mut [u8; PATH]) -> Option<Mount<'a>> {
        let mut fields = line.split(|byte| *byte == b' ');
        let root = fields.nth(3)?;
        let path = plain(fields.next()?, room)?;
        let kind = fields.skip_while(|field| *field != b"-").nth(1)?;
        let whole = root == b"/" && [&b"proc"[..], b"sysfs"].contains(&kind);
        (path != c"/").then_some(Mount { path, whole })
    }
}

/// A path of the list without its `\040` and the like.
fn plain<'a>(path: &[u8], room: &'a mut [u8; PATH]) -> Option<&'a CStr> {
    let (mut from, mut len) = (0, 0);
    while from < path.len() {
        let (byte, next) = match &path[from..] {
            [b'\\', a, b, c, ..] => (a.wrapping_sub(b'0') << 6 | (b & 7) << 3 | c & 7, from + 4),
            [byte, ..] => (*byte, from + 1),
            [] => break,
        };
        *room.get_mut(len)? = byte;
        (from, len) = (next, len + 1);
    }
    *room.get_mut(len)? = 0;
    CStr::from_bytes_until_nul(room).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_mountinfo() {
        let mut room = [0; PATH];
        for (text, path, whole) in [
            ("24 1 0:22 / /proc rw,nosuid shared:3 - proc proc rw", Some(c"/proc"), true),
            ("24 1 0:22 / /sys rw - sysfs sys rw", Some(c"/sys"), true),
            ("24 1 0:22 /sys /a\\040b\\134 rw - proc proc rw", Some(c"/a b\\"), false),
            ("24 1 0:22 / /- rw master:1 shared:2 - procs x rw", Some(c"/-"), false),
            ("24 1 0:22 / / rw - ext4 /dev/root rw", None, false),
            ("", None, false),
        ] {
            let mount = Mount::of(text.as_bytes(), &mut room);
            assert_eq!(mount.map(|mount| (mount.path, mount.whole)), path.map(|path| (path, whole)), "{text}");
        }
        let long = format!("1 1 0:1 / /{} rw - proc proc rw", "x".repeat(5000));
        assert!(Mount::of(long.as_bytes(), &mut room).is_none());
    }
}
