//! Disks and shares: nk.root with the overlay above it, nk.mount. May touch: spec, system calls.
//!
//! ```text
//!   /nk/low                 the disk or the share, read-only     ┐
//!   /nk/over/{upper,work}   a tmpfs: writes stay in memory       ├ overlay at the bundle's root, or at the bundle
//!   nk.overlay=no           the disk or the share itself, at the same place
//! ```
//! A disk that scripts/initramfs has made of a bundle holds a configuration and a rootfs. If the initramfs has a configuration
//! as well, that one counts, and only the rootfs of the disk is taken.

use super::ways::{directory, patiently, refused};
use super::words::{Kind, Overlay, Wish};
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error, at};
use crate::perform::files::PLACE;
use crate::spec;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{Alone, At, AtFlags, Errno, Failed, MountFlags, OpenFlags, UmountFlags, Why};

const LOW: &str = "/nk/low";
const OVER: &str = "/nk/over";

/// Where something is mounted that can be written, or that keeps such a thing mounted.
static WRITABLE: Alone<Vec<CString>> = Alone::new(Vec::new());

/// Mounts what the words name.
pub fn mount(wish: &Wish, bundle: &str) -> Result<(), Error> {
    if let Some(source) = &wish.root {
        root(wish, source, bundle)?;
    }
    for one in &wish.mounts {
        directory(&one.place)?;
        file_system(one.kind, &one.source, &one.place, one.readonly, false)
            .map_err(|error| error.placed("nk.mount"))?;
    }
    Ok(())
}

fn root(wish: &Wish, source: &str, bundle: &str) -> Result<(), Error> {
    let path = configured(bundle)?;
    let kind = match wish.kind {
        Some(kind) => kind,
        None => look(source)?,
    };
    let overlaid = wish.overlay != Some(Overlay::No);
    directory(LOW)?;
    file_system(kind, source, LOW, overlaid, overlaid).map_err(|error| error.placed("nk.root"))?;
    let place = match &path {
        None => bundle.into(),
        Some(path) if path.starts_with('/') => path.clone(),
        Some(path) => {
            only_rootfs(path)?;
            format!("{bundle}/{path}")
        }
    };
    directory(&place)?;
    if overlaid {
        return overlay(&place);
    }
    bind(LOW, &place, Why("nk.overlay=no: the disk or share itself is where the bundle needs it"))
}

fn bind(from: &str, to: &str, why: Why) -> Result<(), Error> {
    let place = c(to)?;
    syscalls::mount_none(Some(&c(from)?), &place, MountFlags::MS_BIND, why)
        .doing(format_args!("mount {from} of nk.root at {to}"))?;
    WRITABLE.with(|all| all.push(place));
    Ok(())
}

/// The path of the rootfs in the configuration that the initramfs has; none if it has no bundle.
fn configured(bundle: &str) -> Result<Option<String>, Error> {
    let file = format!("{bundle}/config.json");
    let why = Why("the configuration says where the rootfs belongs");
    let text = match syscalls::openat(At::CWD, &c(&file)?, OpenFlags::O_NONBLOCK, why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(None),
        opened => opened.and_then(|opened| input::read_all(opened.at(), why)).doing(format_args!("read {file}"))?,
    };
    match spec::parse(&text) {
        Ok(spec) => Ok(Some(spec.root.path.to_string())),
        Err(problem) => Err(Error::Spec { file, problem }),
    }
}

/// If what is mounted at LOW is a whole bundle: puts its rootfs there.
fn only_rootfs(path: &str) -> Result<(), Error> {
    let why = Why("a disk may hold a whole bundle, or its rootfs alone");
    let has = |name: &str| Ok(syscalls::newfstatat(At::CWD, &c(name)?, AtFlags::NONE, why).is_ok());
    let below = format!("{LOW}/{path}");
    let up = path.split('/').any(|part| part == "..");
    if up || !has("/nk/low/config.json")? || !has(&below)? {
        return Ok(());
    }
    bind(&below, LOW, Why("only the rootfs is wanted: the initramfs has the configuration"))
}

/// What file system a disk has: each has a number at a place of its own.
fn look(device: &str) -> Result<Kind, Error> {
    let why = Why("the first bytes of a disk say what file system it has");
    let file =
        patiently(&[Errno::ENOENT, Errno::ENXIO], || syscalls::openat(At::CWD, &c_str(device), OpenFlags::NONE, why))
            .map_err(|failed| no_device(device, failed))?;
    let mut head = [0; 1082];
    let len = syscalls::pread64(file.at(), &mut head, 0, why).doing(format_args!("read {device}"))?;
    kind(head.get(..len).unwrap_or(&[])).ok_or_else(|| {
        refused(format_args!("nk.root: {device} has no file system that is known here: erofs, squashfs or ext4"))
    })
}

fn kind(head: &[u8]) -> Option<Kind> {
    // linux/magic.h and the headers of the three, in the order of their bytes on a disk.
    [
        (1024, &[0xe2, 0xe1, 0xf5, 0xe0][..], Kind::Erofs),
        (0, b"hsqs", Kind::Squashfs),
        (1080, &[0x53, 0xef], Kind::Ext4),
    ]
    .into_iter()
    .find_map(|(at, magic, kind)| head.get(at..)?.starts_with(magic).then_some(kind))
}

/// A word as a C string. A word of the kernel's command line holds no NUL byte.
fn c_str(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

fn no_device(device: &str, failed: Failed) -> Error {
    at(format_args!("open the device {device}"), failed).cured(match failed.errno {
        Errno::ENOENT | Errno::ENXIO => {
            "it did not appear within ten seconds: give the machine such a disk, and put its driver's module into the image (virtio_blk with virtio_mmio or virtio_pci)"
        }
        _ => "write a disk's device, as /dev/vda",
    })
}

/// Mounts a file system as soon as its device or share is there. `still`: nothing changes it as long as it is mounted.
fn file_system(kind: Kind, source: &str, place: &str, readonly: bool, still: bool) -> Result<(), Error> {
    let why = Why("the machine's command line names this disk or share");
    if !kind.is_share() {
        patiently(&[Errno::ENOENT, Errno::ENXIO], || syscalls::openat(At::CWD, &c_str(source), OpenFlags::NONE, why))
            .map_err(|failed| no_device(source, failed))?;
    }
    let (target, name) = (c(place)?, kind.name());
    let options = match (kind, still) {
        // What is read once stays in memory: without that, each read of a file is a question to the host.
        (Kind::Plan9, true) => Some(c"trans=virtio,version=9p2000.L,msize=131072,cache=loose"),
        // Files can be mapped for writing; nothing else is kept.
        (Kind::Plan9, false) => Some(c"trans=virtio,version=9p2000.L,msize=131072,cache=mmap"),
        _ => None,
    };
    let flags = if readonly { MountFlags::MS_RDONLY } else { MountFlags::NONE };
    let mount = |flags| syscalls::mount(&c_str(source), &target, &c_str(name), flags, options, why);
    // What the two say of a tag that no device has.
    let missing: &[Errno] = match kind {
        Kind::Plan9 => &[Errno::ENOENT],
        Kind::Virtiofs => &[Errno::EINVAL],
        _ => &[],
    };
    let mounted = patiently(missing, || match mount(flags) {
        Err(failed) if !readonly && [Errno::EROFS, Errno::EACCES].contains(&failed.errno) => {
            mount(MountFlags::MS_RDONLY)
        }
        other => other,
    });
    mounted.map_err(|failed| told(kind, source, place, failed))?;
    if !readonly {
        WRITABLE.with(|all| all.push(target.clone()));
    }
    Ok(())
}

/// The error of a mount.
fn told(kind: Kind, source: &str, place: &str, failed: Failed) -> Error {
    let name = kind.name();
    match failed.errno {
        Errno::ENODEV => return lacks(name, failed),
        errno if kind.is_share() && [Errno::ENOENT, Errno::EINVAL].contains(&errno) => {
            let doing =
                format_args!("mount {source} at {place}: within ten seconds no {name} share with this tag appeared");
            return at(doing, failed).cured(match kind {
                Kind::Plan9 => "give the machine such a share, and put its modules into the image (9pnet_virtio with virtio_mmio or virtio_pci)",
                _ => "give the machine such a share, and put its modules into the image (virtiofs with virtio_mmio or virtio_pci)",
            });
        }
        _ => {}
    }
    let error = at(format_args!("mount {source} at {place} as {name}"), failed);
    match (failed.errno, kind) {
        (Errno::EINVAL, _) => error.cured(
            "the disk has no such file system, or a newer one than this kernel reads; the kernel's log says more",
        ),
        (Errno::EPROTONOSUPPORT, _) => {
            error.cured("put the module 9pnet_virtio into the image: it carries 9p to the host")
        }
        _ => error,
    }
}

/// The error where the kernel has no file system of this name.
fn lacks(name: &str, failed: Failed) -> Error {
    at(format_args!("mount: the kernel has no {name}"), failed)
        .cured("put its module into the image (scripts/initramfs --modules)")
}

/// Lays a tmpfs for writes over what is mounted at LOW.
fn overlay(place: &str) -> Result<(), Error> {
    directory(OVER)?;
    let why = Why("nk.root is not changed: what is written stays in memory");
    let failed = |failed: Failed| match failed.errno {
        Errno::ENODEV => lacks("overlay", failed),
        _ => at(format_args!("lay a tmpfs over nk.root at {place}"), failed),
    };
    syscalls::mount(c"tmpfs", c"/nk/over", c"tmpfs", MountFlags::NONE, Some(c"mode=0755"), why).map_err(failed)?;
    let made = || {
        for name in [c"/nk/over/upper", c"/nk/over/work"] {
            syscalls::mkdirat(At::CWD, name, 0o755, why)?;
        }
        let low = syscalls::openat(At::CWD, c"/nk/low", PLACE, why)?;
        let stat = syscalls::newfstatat(low.at(), c"", AtFlags::AT_EMPTY_PATH, why)?;
        let why = Why("the root directory's owner and mode are those of the upper directory");
        syscalls::fchownat(At::CWD, c"/nk/over/upper", stat.st_uid, stat.st_gid, AtFlags::NONE, why)?;
        syscalls::fchmodat(At::CWD, c"/nk/over/upper", stat.st_mode & 0o7777, why)?;
        let options: &CStr = c"lowerdir=/nk/low,upperdir=/nk/over/upper,workdir=/nk/over/work";
        syscalls::mount(c"overlay", &c_str(place), c"overlay", MountFlags::NONE, Some(options), why)
    };
    made().map_err(failed)
}

/// Unmounts what can be written, before the machine ends: its disks are whole afterwards, with nothing left to repair.
pub fn end() {
    let why = Why("the machine ends: what its disks hold must be complete");
    while let Some(place) = WRITABLE.with(Vec::pop).flatten() {
        if syscalls::umount2(&place, UmountFlags::NONE, why).is_err() {
            // A process may still use it: no more writes, at least.
            let _ = syscalls::remount(&place, MountFlags::MS_REMOUNT | MountFlags::MS_RDONLY, None, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn disks_say_what_they_have() {
        let mut head = [0u8; 1082];
        assert_eq!(kind(&head), None);
        assert_eq!(kind(&[]), None);
        head[1080..].copy_from_slice(&[0x53, 0xef]);
        assert_eq!(kind(&head), Some(Kind::Ext4));
        assert_eq!(kind(&head[..1081]), None);
        head[..4].copy_from_slice(b"hsqs");
        assert_eq!(kind(&head), Some(Kind::Squashfs));
        head[1024..1028].copy_from_slice(&0xe0f5_e1e2u32.to_le_bytes());
        assert_eq!(kind(&head), Some(Kind::Erofs));
    }
}
