//! Mounts: new file systems, and trees of the host that are bound into the container. A target in the rootfs is
//! resolved once to a descriptor, and mounted onto through that: standing in it, its name is `.`, and no exchange of
//! directories can make that another place. May touch: plan types, system calls.

mod beside;
mod copyup;
pub mod later;
pub mod words;

use super::files::{self, directory, kind};
use super::{Lanes, trees};
use crate::outcome::{Check, Done, Trouble};
use crate::plan::mounts::options::attr;
use crate::plan::op::{Attributes, FileSystem, Kind, Mounts, Op, Rootfs, Source};
use crate::plan::{Place, Slot};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, MountAttr, MountFlags, OpenFlags, UmountFlags, Why};
use words::DATA;

pub fn perform(lanes: &mut Lanes, op: &Mounts, why: Why) -> Done {
    let root = lanes.at(Slot::ROOTFS);
    match op {
        Mounts::OpenSource(source) => open_source(lanes, source, why),
        Mounts::OpenCgroup { attributes, tree } => {
            let group = lanes.has(Slot::CGROUP).then(|| lanes.at(Slot::CGROUP));
            lanes.put(*tree, cgroups(group, attributes, why)?);
            Ok(())
        }
        Mounts::StandBeside { path } => beside::stand(lanes, path, why),
        Mounts::BindBeside { source, path, name, recursive } => {
            beside::bind(lanes, source, path, *name, *recursive, why)
        }
        Mounts::LeaveBeside => beside::leave(lanes, why),
        Mounts::Enter { base } => Ok(syscalls::fchdir(lanes.at(*base), why)?),
        Mounts::Mount(wanted) => mount(lanes, wanted, why),
        Mounts::Attach { at, tree, kind, open } => attach(lanes, at, *tree, *kind, *open, why),
        Mounts::Remount { at: Place::Under { path, .. }, flags, data } => {
            Ok(syscalls::remount(path, *flags, data.as_deref(), why)?)
        }
        Mounts::Remount { at: Place::Rootfs { path, links }, flags, data } => {
            // `.` would be what lies below the mount: the mount's own root is reached by its descriptor.
            let place = files::resolve(root, path, OpenFlags::O_DIRECTORY, *links, why)?;
            syscalls::fchdir(place.at(), Why("standing in the mount, its name is `.`"))?;
            Ok(syscalls::remount(c".", *flags, data.as_deref(), why)?)
        }
        Mounts::Alter { at: Place::Under { base, path }, attributes } => {
            Ok(trees::set_attributes_at(lanes.at(*base), path, AtFlags::NONE, attributes, why)?)
        }
        Mounts::Alter { at: Place::Rootfs { path, links }, attributes } => {
            let place = files::resolve(root, path, OpenFlags::NONE, *links, why)?;
            Ok(trees::set_attributes(place.at(), attributes, why)?)
        }
    }
}

/// A copy of the tree that the container gets. Without privileges init makes it, where paths are still the host's.
fn open_source(lanes: &mut Lanes, source: &Source, why: Why) -> Done {
    let tree = match source.in_rootfs {
        true => {
            let nofollow = if source.link { OpenFlags::O_NOFOLLOW } else { OpenFlags::NONE };
            let place = files::resolve(lanes.at(Slot::ROOTFS), &source.path, nofollow, true, why)?;
            let why = Why("a copy of what the mounts before this one have put there");
            trees::copy(place.at(), source.recursive, why)?
        }
        false => trees::copy_path(&source.path, source.recursive, source.link, why)?,
    };
    if let Some((namespace, recursive)) = source.idmap {
        trees::map_ids(tree.at(), lanes.at(namespace), recursive)?;
    }
    let why = Why("its properties are set before any other process can see it");
    trees::set_attributes(tree.at(), &source.attributes, why)?;
    lanes.put(source.tree, tree);
    Ok(())
}

/// What a cgroup mount shows where there is no cgroup namespace: the container's cgroup. A container that had to do
/// without one (`Cgroup::Make`) sees the hierarchy that the caller sees, and cannot write there, as with runc.
fn cgroups(group: Option<At>, attributes: &Attributes, why: Why) -> syscalls::Result<Fd> {
    let set = Why("its properties are set before any other process can see it");
    if let Some(group) = group {
        let copy = trees::copy(group, false, why)?;
        trees::set_attributes(copy.at(), attributes, set)?;
        return Ok(copy);
    }
    let copy = trees::copy_path(c"/sys/fs/cgroup", true, false, why)?;
    // A user namespace may add flags to mounts that it got from another, and take none away (mount_namespaces(7)).
    let safe = attr::RDONLY | attr::NOSUID | attr::NODEV | attr::NOEXEC;
    let spread = Attributes { propagation: MountFlags::MS_PRIVATE, recursive: true, ..Attributes::default() };
    trees::set_attributes(copy.at(), &spread, set)?;
    let all = Attributes { set: attributes.set & safe | attr::RDONLY, recursive: true, ..Attributes::default() };
    trees::set_attributes(copy.at(), &all, set)?;
    Ok(copy)
}

/// A new file system, mounted by one call.
fn mount(lanes: &mut Lanes, wanted: &FileSystem, why: Why) -> Done {
    let FileSystem { at, data, open, copy_up, keep_mode, .. } = wanted;
    let Target { name, place, made } = stand(lanes.at(Slot::ROOTFS), at, why)?;
    let below = match copy_up {
        true => Some(look_below(name, why)?),
        false => None,
    };
    match *keep_mode && !made {
        true => mount_with_mode(wanted, name, place.as_ref(), why)?,
        false => mount_there(wanted, name, data.as_deref(), why)?,
    }
    if let Some(below) = below {
        let above = match (&place, at) {
            (Some(place), _) => trees::step_up(place)?,
            (None, Place::Under { base, path }) => {
                files::open_below(lanes.at(*base), path, OpenFlags::O_DIRECTORY, why)?
            }
            (None, Place::Rootfs { .. }) => return Ok(()),
        };
        let above = syscalls::openat(above.at(), c".", OpenFlags::O_DIRECTORY, why)?;
        copyup::copy(below.at(), above.at(), why)?;
    }
    if let (Some(place), Some(slot)) = (place, open) {
        open_slot(lanes, &place, *slot)?;
        // At most three stay open until all descriptors are closed.
        place.leak();
    }
    Ok(())
}

/// Where something is to be mounted: its name from where the lane stands, what keeps the place open, and whether it was
/// made.
struct Target<'a> {
    name: &'a CStr,
    place: Option<Fd>,
    made: bool,
}

/// Enters the target, if it is in the rootfs.
fn stand<'a>(root: At, at: &'a Place, why: Why) -> Done<Target<'a>> {
    let (path, links) = match at {
        // The lane stands in `base` already: a line before this one saw to it.
        Place::Under { path, .. } => return Ok(Target { name: path, place: None, made: false }),
        Place::Rootfs { path, links } => (path, *links),
    };
    let (place, made) = match files::resolve(root, path, OpenFlags::O_DIRECTORY, links, why) {
        Err(f) if f.errno == Errno::ENOENT => (files::resolve_or_make(root, path, directory, links, why)?, true),
        Err(f) if f.errno == Errno::ELOOP && !links => return Err(Trouble::Check(Check::LinkInTheWay)),
        place => (place?, false),
    };
    syscalls::fchdir(place.at(), Why("standing in the target, its name is `.` and cannot be exchanged"))?;
    Ok(Target { name: c".", place: Some(place), made })
}

fn mount_there(wanted: &FileSystem, name: &CStr, data: Option<&CStr>, why: Why) -> Done {
    let FileSystem { source, kind, flags, .. } = wanted;
    match syscalls::mount(source, name, kind, *flags, data, why) {
        // mount(2) refuses what is mounted there already, though it shows another part of the file system.
        Err(failed) if failed.errno == Errno::EBUSY => mount_over(name, kind, *flags, why),
        Err(failed) => {
            words::ask(source, kind, data, failed);
            Err(failed.into())
        }
        Ok(()) => Ok(()),
    }
}

#[inline(never)] // its stack would be that of every line
fn mount_with_mode(wanted: &FileSystem, name: &CStr, place: Option<&Fd>, why: Why) -> Done {
    let mut room = [0; DATA];
    let data = with_mode(name, place, wanted.data.as_deref(), &mut room)?;
    mount_there(wanted, name, data, why)
}

/// The data of a tmpfs with the mode of the directory that it covers: without one all could write into its root.
fn with_mode<'a>(
    target: &CStr,
    place: Option<&Fd>,
    data: Option<&CStr>,
    room: &'a mut [u8; DATA],
) -> Done<Option<&'a CStr>> {
    let why = Why("the new file system's root gets the mode of the directory that it covers");
    let stat = match place {
        Some(place) => syscalls::fstat(place.at(), why)?,
        None => syscalls::newfstatat(At::CWD, target, AtFlags::AT_SYMLINK_NOFOLLOW, why)?,
    };
    let mode = stat.st_mode & 0o7777;
    room[..5].copy_from_slice(b"mode=");
    for (i, digit) in room[5..9].iter_mut().enumerate() {
        *digit = b'0' + (mode >> (9 - 3 * i) & 7) as u8;
    }
    if let Some(data) = data {
        let data = data.to_bytes();
        room[9] = b',';
        let Some(rest) = room[10..DATA - 1].get_mut(..data.len()) else {
            return Err(Trouble::Check(Check::DataTooLong));
        };
        rest.copy_from_slice(data);
    }
    Ok(CStr::from_bytes_until_nul(room).ok())
}

/// Mounts by the newer calls, which accept that the same file system is mounted there already.
fn mount_over(target: &CStr, kind: &CStr, flags: MountFlags, why: Why) -> Done {
    let fs = syscalls::fsopen(kind, why)?;
    syscalls::fsconfig_create(fs.at(), why)?;
    // The first four flags are the same to both calls (linux/mount.h).
    let made = syscalls::fsmount(fs.at(), MountAttr::from_bits(flags.bits() & 0xf), why)?;
    Ok(trees::attach_at(made.at(), At::CWD, target, why)?)
}

/// The directory that a mount is about to cover.
fn look_below(target: &CStr, why: Why) -> syscalls::Result<Fd> {
    let flags = OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW;
    syscalls::openat(At::CWD, target, flags, why)
}

/// Opens what was just mounted for later lines. What is mounted on the root becomes the root.
fn open_slot(lanes: &mut Lanes, place: &Fd, slot: Slot) -> Done {
    let top = trees::step_up(place)?;
    if slot != Slot::ROOTFS {
        lanes.put(slot, top);
        return Ok(());
    }
    let why = Why("a copy replaces the root below it, to which no path leads any more");
    let tree = trees::copy(top.at(), true, why)?;
    syscalls::fchdir(place.at(), Why("standing here, `.` names the mount on top"))?;
    let why = Why("first the mount on the old root, then the old root: pivot_root wants a single root");
    syscalls::umount2(c".", UmountFlags::MNT_DETACH, why)?;
    syscalls::umount2(c".", UmountFlags::MNT_DETACH, why)?;
    let attached = lanes.plan.init.iter().find_map(|line| match &line.op {
        Op::Rootfs(Rootfs::Attach { path }) => path.as_deref(),
        _ => None,
    });
    trees::attach_at(tree.at(), At::CWD, attached.unwrap_or(c"/"), Why("the copy goes where the old root was"))?;
    lanes.put(Slot::ROOTFS, tree);
    Ok(())
}

/// Attaches a tree of the host's, or the cgroup's, that was opened before.
fn attach(lanes: &mut Lanes, at: &Place, tree: Slot, how: Kind, open: Option<Slot>, why: Why) -> Done {
    let Some(source) = lanes.take(tree) else {
        return Ok(());
    };
    let (base, path, links) = match at {
        Place::Rootfs { path, links } => (lanes.at(Slot::ROOTFS), path, *links),
        Place::Under { base, path } => (lanes.at(*base), path, true),
    };
    let target = match how {
        Kind::Copy => copy_link(base, path, &source, why)?,
        _ => None,
    };
    let target = match target {
        Some(link) => link,
        None => trees::attach_made(base, path, links, source, how, why)?,
    };
    match open {
        Some(slot) => open_slot(lanes, &target, slot),
        None => Ok(()),
    }
}

/// `copy-symlink`: a link with the same text at the place, if the source is a link. Returns the directory that it is
/// in.
#[inline(never)] // its stack would be that of every line
fn copy_link(base: At, path: &CStr, tree: &Fd, why: Why) -> Done<Option<Fd>> {
    let stat = syscalls::fstat(tree.at(), Why("only a link is made again, and not mounted"))?;
    if kind(&stat) != libc::S_IFLNK {
        return Ok(None);
    }
    let (mut text, mut there) = ([0; DATA], [0; DATA]);
    let why_read = Why("the text of the link, for the new one");
    let len = syscalls::readlinkat(tree.at(), c"", &mut text[..DATA - 1], why_read)?.len();
    let text = CStr::from_bytes_until_nul(&text[..len + 1]).unwrap_or(c"");
    let (parent, name) = files::resolve_or_make_parent(base, path, why)?;
    match syscalls::symlinkat(text, parent.at(), name, why) {
        Err(failed) if failed.errno == Errno::EEXIST => {
            let why = Why("a link that says the same may stay");
            match syscalls::readlinkat(parent.at(), name, &mut there, why) {
                Ok(says) if says == text.to_bytes() => {}
                _ => return Err(failed.into()),
            }
        }
        made => made?,
    }
    Ok(Some(parent))
}
