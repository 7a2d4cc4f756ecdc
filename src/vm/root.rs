//! How the machine gets the container's root: as a copy in its initramfs, as a shared directory, or as an image. By default a small
//! root is copied, and a larger one shared. May touch: spec, system calls.

use super::devices::{Disk, Share, Sharing};
use super::machine::Machine;
use super::needs::missing;
use crate::cli::{self, RootFrom};
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error, at};
use crate::spec::{FORMATS, Vm};
use syscalls::{At, AtFlags, Fd, OpenFlags, Why};

/// The largest root that is copied by default. A copy has to be read and unpacked at each start, and lies in memory.
const COPIED: u64 = 64 << 20;

pub enum Root {
    Copied,
    Shared(Share),
    Image(Disk),
}

/// Chooses. `rootfs`: the directory of the host.
pub fn choose(machine: &Machine, wanted: &cli::Vm, section: Option<&Vm>, rootfs: &str) -> Result<Root, Error> {
    let image = section.and_then(|vm| vm.image.as_ref());
    let named = |kind| disk(machine, wanted, section, kind).map(Root::Image);
    let share = |sharing: Sharing| -> Result<Root, Error> {
        let can = machine.can(sharing).and_then(|()| if wanted.writable { Ok(()) } else { machine.overlay() });
        can.map_err(|reason| missing(&format!("--root-from {}: {reason}", sharing.word())))?;
        shared(wanted, sharing, rootfs)
    };
    match wanted.root_from {
        Some(RootFrom::Initramfs) => Ok(Root::Copied),
        Some(RootFrom::NineP) => share(Sharing::NineP),
        Some(RootFrom::Virtiofs) => share(Sharing::Virtiofs),
        Some(RootFrom::Erofs) => named(Some("erofs")),
        Some(RootFrom::Squashfs) => named(Some("squashfs")),
        Some(RootFrom::Ext4) => named(Some("ext4")),
        None if wanted.image.is_some() || image.is_some() => named(None),
        None => match suits(machine, rootfs)? {
            Some(sharing) => shared(wanted, sharing, rootfs),
            None if wanted.writable => Err(missing(
                "--writable: the root is a copy in the machine's memory; --root-from 9p or virtiofs shares it, --image names one",
            )),
            None => Ok(Root::Copied),
        },
    }
}

/// What suits the root's size; none: a copy.
fn suits(machine: &Machine, rootfs: &str) -> Result<Option<Sharing>, Error> {
    if machine.overlay().is_err() || !larger(rootfs)? {
        return Ok(None);
    }
    Ok([Sharing::NineP, Sharing::Virtiofs].into_iter().find(|sharing| machine.can(*sharing).is_ok()))
}

/// Whether the files below a directory have more bytes than are copied. A file that has holes counts whole: so it would be
/// copied.
fn larger(rootfs: &str) -> Result<bool, Error> {
    let why = Why("a large root is shared with the machine, not copied");
    let open = |dir: At, name: &core::ffi::CStr, more| syscalls::openat(dir, name, OpenFlags::O_DIRECTORY | more, why);
    let first = open(At::CWD, &c(rootfs)?, OpenFlags::NONE).doing(format_args!("open the rootfs {rootfs}"))?;
    let (mut left, mut open_dirs) = (COPIED, vec![first]);
    while let Some(dir) = open_dirs.pop() {
        let names = input::names(dir.at(), why).doing(format_args!("read the rootfs {rootfs}"))?;
        for name in names {
            let Ok(stat) = syscalls::newfstatat(dir.at(), &name, AtFlags::AT_SYMLINK_NOFOLLOW, why) else {
                continue;
            };
            let size = match stat.st_mode & libc::S_IFMT {
                libc::S_IFREG => stat.st_size as u64,
                libc::S_IFDIR => {
                    // What cannot be read fails later, where it is copied.
                    open_dirs.extend(open(dir.at(), &name, OpenFlags::O_NOFOLLOW).ok());
                    0
                }
                _ => 0,
            };
            match left.checked_sub(size) {
                Some(rest) => left = rest,
                None => return Ok(true),
            }
        }
    }
    Ok(false)
}

fn shared(wanted: &cli::Vm, sharing: Sharing, rootfs: &str) -> Result<Root, Error> {
    let open = directory(rootfs).doing(format_args!("open the rootfs {rootfs}"))?;
    Ok(Root::Shared(Share {
        sharing,
        tag: "root".into(),
        path: rootfs.into(),
        open,
        writable: wanted.writable,
        place: None,
    }))
}

/// A directory that is to be shared.
pub fn directory(path: &str) -> syscalls::Result<Fd> {
    let why = Why("the machine sees this directory");
    let path = alloc::ffi::CString::new(path).unwrap_or_default();
    syscalls::openat(At::CWD, &path, OpenFlags::O_PATH | OpenFlags::O_DIRECTORY, why)
}

/// The image that options or config.json name. `kind`: the file system that the caller named.
fn disk(machine: &Machine, wanted: &cli::Vm, section: Option<&Vm>, kind: Option<&'static str>) -> Result<Disk, Error> {
    let image = section.and_then(|vm| vm.image.as_ref());
    let (path, format) = match (&wanted.image, image) {
        (Some(path), _) => (path, "raw"),
        (None, Some(image)) => (&image.path, image.format.as_deref().unwrap_or("raw")),
        (None, None) => {
            let kind = kind.unwrap_or("erofs");
            return Err(missing(&format!(
                "--root-from {kind} takes an image that was made before: `scripts/initramfs --image {kind} ROOTFS FILE`, then --image FILE"
            )));
        }
    };
    let why = Why("the machine's disk is this image");
    // What config.json names is told by its pointer.
    let from = if wanted.image.is_some() { "" } else { "/vm/image/path: " };
    let missing = |text: &str| missing(&format!("{from}{text}"));
    let file = syscalls::openat(At::CWD, &c(path)?, OpenFlags::O_NONBLOCK, why)
        .map_err(|failed| at(format!("open the image {from}{path}"), failed))?;
    let mut head = [0u8; 2048];
    let len = syscalls::pread64(file.at(), &mut head, 0, why)
        .map_err(|failed| at(format!("read the image {from}{path}"), failed))?;
    let found = if format == "raw" { file_system(head.get(..len).unwrap_or(&[])) } else { None };
    if let (Some(kind), "raw") = (kind, format)
        && found != Some(kind)
    {
        let is = found.map_or("none that is known here", |found| found);
        return Err(missing(&format!("{path} has not the file system {kind} that --root-from names: it has {is}")));
    }
    if format == "raw" && found.is_none() {
        return Err(missing(&format!("{path} is no image of erofs, squashfs or ext4")));
    }
    let kind = kind.or(found);
    if wanted.writable && matches!(kind, Some("erofs" | "squashfs")) {
        let kind = kind.unwrap_or("");
        return Err(missing(&format!("--writable: {path} is an image of {kind}, which can only be read")));
    }
    let format = FORMATS.iter().find(|(name, _)| *name == format).map_or("raw", |(_, qemu)| qemu);
    let path = match path.starts_with('/') {
        true => path.clone(),
        // QEMU would take what stands before a colon for a protocol.
        false => format!("./{path}"),
    };
    let disk = Disk { path, format, kind, writable: wanted.writable };
    machine.modules(&disk.modules()).map_err(|reason| missing(&format!("a root on a disk: {reason}")))?;
    if !disk.writable {
        machine.overlay().map_err(|reason| missing(&format!("a root on a disk that is not written to: {reason}")))?;
    }
    Ok(disk)
}

/// The file system of an image, by its magic number (magic.h of the kernel).
fn file_system(head: &[u8]) -> Option<&'static str> {
    let has = |place: usize, magic: &[u8]| head.get(place..place + magic.len()) == Some(magic);
    if has(1024, &0xe0f5_e1e2u32.to_le_bytes()) {
        return Some("erofs");
    }
    match has(0, b"hsqs") {
        true => Some("squashfs"),
        false => has(1024 + 56, &0xef53u16.to_le_bytes()).then_some("ext4"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_system_is_known_by_its_magic() {
        for (place, magic, name) in
            [(1024, &b"\xe2\xe1\xf5\xe0"[..], "erofs"), (0, b"hsqs", "squashfs"), (1080, b"\x53\xef", "ext4")]
        {
            let mut head = [0u8; 2048];
            head[place..place + magic.len()].copy_from_slice(magic);
            assert_eq!(file_system(&head), Some(name));
            assert_eq!(file_system(&head[..place]), None);
        }
    }
}
