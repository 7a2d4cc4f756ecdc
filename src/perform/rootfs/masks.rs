//! Paths of the container that are masked or read-only, and the null device that masks files. May touch: plan types,
//! system calls.

use crate::outcome::{Check, Done, Trouble};
use crate::perform::files::{self, decimal, is_null, kind};
use crate::perform::{Lanes, trees};
use crate::plan::op::{Attributes, MOST_BY_PROC};
use crate::plan::{Place, Slot};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, MountFlags, OpenFlags, Why};

/// Read-only, in mount_setattr(2)'s words, for a mount and all below it.
pub const READONLY: Attributes = Attributes { set: 1, clear: 0, propagation: MountFlags::NONE, recursive: true };

/// `check`: the image or the host may have put another file there.
pub fn open_null(lanes: &mut Lanes, check: bool, why: Why) -> Done {
    match find_null(lanes, check, why) {
        Ok(null) => lanes.put(Slot::NULL, null),
        // The host's takes its place. (Another file of that name stays an error.)
        Err(Trouble::Call(failed)) if failed.errno == Errno::ENOENT && lanes.has(Slot::SPARE_NULL) => {}
        Err(trouble) => return Err(trouble),
    }
    Ok(())
}

fn find_null(lanes: &mut Lanes, check: bool, why: Why) -> Done<Fd> {
    if !check {
        // For the standard streams too, unless a rule or the mount's options forbid to open it.
        let flags = OpenFlags::O_RDWR | OpenFlags::O_NOFOLLOW;
        if let Ok(both) = syscalls::openat(lanes.at(Slot::DEV), c"null", flags, why) {
            lanes.null_is_open = true;
            return Ok(both);
        }
    }
    let null = files::open_below(lanes.at(Slot::DEV), c"null", OpenFlags::NONE, why)?;
    if !check {
        return Ok(null);
    }
    let stat = syscalls::fstat(null.at(), Why("an image could have put anything there (CVE-2025-31133)"))?;
    match is_null(&stat) {
        true => Ok(null),
        false => Err(Trouble::Check(Check::NotTheNullDevice)),
    }
}

/// Whether the path is simply not there, which is no error for masks and read-only paths.
fn absent(errno: Errno) -> bool {
    errno == Errno::ENOENT || errno == Errno::ENOTDIR
}

/// The options of the mount itself, and of none below it.
pub fn hold(mount: At, readonly: bool, why: Why) -> Done {
    let (set, clear) = if readonly { (READONLY.set, 0) } else { (0, READONLY.set) };
    Ok(trees::set_attributes(mount, &Attributes { set, clear, ..Attributes::default() }, why)?)
}

/// `held`: the mount that it lies in is read-only now, so the bind is, too (mount(2), "Creating a bind mount").
pub fn readonly(lanes: &Lanes, at: &Place, held: bool, why: Why) -> Done {
    match at {
        Place::Under { base, path } => {
            match syscalls::mount_none(Some(path), path, MountFlags::MS_BIND | MountFlags::MS_REC, why) {
                Err(failed) if absent(failed.errno) => return Ok(()),
                other => other?,
            }
            if held {
                return Ok(());
            }
            let why = Why("the bind is a mount of its own, and can be read-only by itself");
            Ok(trees::set_attributes_at(lanes.at(*base), path, AtFlags::NONE, &READONLY, why)?)
        }
        Place::Rootfs { path, links } => {
            let place = match files::resolve(lanes.at(Slot::ROOTFS), path, OpenFlags::NONE, *links, why) {
                Err(failed) if absent(failed.errno) => return Ok(()),
                other => other?,
            };
            let tree = trees::copy(place.at(), true, why)?;
            trees::set_attributes(tree.at(), &READONLY, Why("read-only before any process can reach it"))?;
            Ok(trees::attach(tree.at(), place.at(), why)?)
        }
    }
}

/// Covers a file with the null device, a directory with an empty read-only tmpfs.
pub fn mask<'a>(lanes: &mut Lanes<'a>, at: &'a Place, directory: bool, by_proc: bool, why: Why) -> Done {
    match at {
        Place::Under { base, path } => mask_below(lanes, (*base, path), directory, by_proc, why),
        Place::Rootfs { path, links } => mask_resolved(lanes, path, *links, directory, why),
    }
}

/// Below a mount that no other process can reach, where the lane stands: it tries what the plan expects, and the other
/// way only if that was wrong. A mount of a file on a directory fails after a wait for all processors: without the
/// plan's expectation every second try would cost that wait. `by_proc`: the lane stands in its procfs instead.
fn mask_below<'a>(lanes: &mut Lanes<'a>, at: (Slot, &'a CStr), directory: bool, by_proc: bool, why: Why) -> Done {
    let (base, path) = at;
    let mut cover = |directory: bool| match directory {
        true => mask_directory(lanes, at, by_proc, why),
        // procfs itself leads to the checked device, by its descriptor.
        false if by_proc && lanes.has(Slot::NULL) => {
            let (mut null, mut room) = ([0; BY_PROC], [0; BY_PROC]);
            let null = own_descriptor(lanes.at(Slot::NULL), c"", &mut null);
            syscalls::mount_none(Some(null), named(lanes, at, by_proc, &mut room), MountFlags::MS_BIND, why)
        }
        false => attach_null(lanes, lanes.at(base), path, why),
    };
    match cover(directory) {
        Err(failed) if failed.errno == Errno::ENOENT => Ok(()),
        // mount(2) says ENOTDIR of a file and a directory, move_mount(2) EINVAL.
        Err(failed) if [Errno::ENOTDIR, Errno::EINVAL].contains(&failed.errno) => {
            match cover(!directory) {
                // Neither file nor directory: some part of the path above is a file.
                Err(failed) if failed.errno == Errno::ENOTDIR => Ok(()),
                other => Ok(other?),
            }
        }
        other => Ok(other?),
    }
}

/// The first masked directory below a base gets the empty tmpfs, and the others below it show the same one. By procfs, which has
/// a name for each base, one is enough for all.
fn mask_directory<'a>(lanes: &mut Lanes<'a>, at: (Slot, &'a CStr), by_proc: bool, why: Why) -> syscalls::Result<()> {
    let (mut room, mut other) = ([0; BY_PROC], [0; BY_PROC]);
    let path = named(lanes, at, by_proc, &mut room);
    let fits = |(base, first): &(Slot, &CStr)| match by_proc {
        true => first.to_bytes().len() <= MOST_BY_PROC,
        false => *base == at.0,
    };
    if let Some(first) = lanes.masked.iter().flatten().find(|first| fits(first)) {
        let first = named(lanes, *first, by_proc, &mut other);
        return syscalls::mount_none(Some(first), path, MountFlags::MS_BIND, why);
    }
    syscalls::mount(c"tmpfs", path, c"tmpfs", MountFlags::MS_RDONLY, None, why)?;
    if let Some(free) = lanes.masked.iter_mut().find(|m| m.is_none()) {
        *free = Some(at);
    }
    Ok(())
}

/// Bytes of the name of a place by its descriptor.
const BY_PROC: usize = 24 + MOST_BY_PROC;

/// What a place below a mount is called where the lane stands: in that mount, or in its procfs.
fn named<'a>(lanes: &Lanes, (base, path): (Slot, &'a CStr), by_proc: bool, room: &'a mut [u8; BY_PROC]) -> &'a CStr {
    if by_proc && base != Slot::PROC { own_descriptor(lanes.at(base), path, room) } else { path }
}

/// `self/fd/N`, or `self/fd/N/path`, as seen from the root of a procfs.
fn own_descriptor<'a>(fd: At, path: &CStr, room: &'a mut [u8; BY_PROC]) -> &'a CStr {
    let mut number = [0; 12];
    let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
    let mut end = 0;
    for piece in [b"self/fd/", decimal(fd.raw(), &mut number), slash, path.to_bytes()] {
        if let Some(place) = room.get_mut(end..end + piece.len()) {
            place.copy_from_slice(piece);
        }
        end += piece.len();
    }
    CStr::from_bytes_until_nul(room).unwrap_or(c"")
}

/// The place of a path in the rootfs, and whether it is a directory.
fn find(lanes: &Lanes, path: &CStr, links: bool, directory: bool, why: Why) -> Done<(Fd, bool)> {
    let root = lanes.at(Slot::ROOTFS);
    if directory {
        match files::resolve(root, path, OpenFlags::O_DIRECTORY, links, why) {
            Err(failed) if failed.errno == Errno::ENOTDIR => {}
            opened => return Ok((opened?, true)),
        }
    }
    let place = files::resolve(root, path, OpenFlags::NONE, links, why)?;
    let stat = syscalls::fstat(place.at(), Why("a file is covered by a file, a directory by a directory"))?;
    let directory = kind(&stat) == libc::S_IFDIR;
    Ok((place, directory))
}

/// In the rootfs it looks first, by descriptor. To open a directory as such tells what it is: it is tried first where the path
/// before was one. (To name the place by its descriptor in procfs takes two calls less, and twice the time.)
fn mask_resolved<'a>(lanes: &mut Lanes<'a>, path: &'a CStr, links: bool, directory: bool, why: Why) -> Done {
    let likely = directory || lanes.masked_last.is_some();
    if mask_beside(lanes, path, links, why)? {
        return Ok(());
    }
    let (place, directory) = match find(lanes, path, links, likely, why) {
        Err(Trouble::Call(failed)) if absent(failed.errno) => return Ok(()),
        found => found?,
    };
    if !directory {
        return Ok(attach_null(lanes, place.at(), c"", why)?);
    }
    lanes.masked_last = Some((path, None));
    mask_place(lanes, &place, why)
}

/// A directory beside the one that was masked before it. The directory that holds both stays open, so the names of all that
/// follow are enough. move_mount(2) follows no link in the last part of a path, and puts no directory on a file or a link:
/// there it fails, and the path is looked at like any other. Returns whether the path is done.
fn mask_beside<'a>(lanes: &mut Lanes<'a>, path: &'a CStr, links: bool, why: Why) -> Done<bool> {
    let Some((last, dir)) = lanes.masked_last.take() else { return Ok(false) };
    let (parent, name) = files::parts(path);
    if parent != files::parts(last).0 {
        return Ok(false);
    }
    let dir = match dir {
        Some(dir) => dir,
        None => {
            let why = Why("the paths that follow are names in this directory");
            match files::resolve_parent(lanes.at(Slot::ROOTFS), path, links, why) {
                Err(Trouble::Call(failed)) if absent(failed.errno) => return Ok(false),
                dir => dir?,
            }
        }
    };
    let Some(tree) = another_mask(lanes)? else { return Ok(false) };
    match trees::attach_at(tree.at(), dir.at(), name, why) {
        Err(failed) if [Errno::ENOTDIR, Errno::EINVAL].contains(&failed.errno) => return Ok(false),
        Err(failed) if failed.errno != Errno::ENOENT => return Err(failed.into()),
        _ => {}
    }
    lanes.masked_last = Some((path, Some(dir)));
    Ok(true)
}

/// A copy of the mount that masks a directory already.
fn another_mask(lanes: &Lanes) -> Done<Option<Fd>> {
    let one = Why("one empty file system is enough for all masks");
    Ok(match (&lanes.mask, lanes.masked.iter().flatten().next()) {
        (Some(first), _) => Some(trees::copy(first.at(), false, one)?),
        (None, Some((base, first))) => Some(trees::copy_at(lanes.at(*base), first, false, one)?),
        (None, None) => None,
    })
}

/// A directory of the rootfs: it gets a copy of the mount that masks a directory already, or the first empty tmpfs.
fn mask_place(lanes: &mut Lanes, place: &Fd, why: Why) -> Done {
    if let Some(tree) = another_mask(lanes)? {
        return Ok(trees::attach(tree.at(), place.at(), why)?);
    }
    syscalls::fchdir(place.at(), Why("standing in the target, its name is `.`"))?;
    let flags = MountFlags::MS_RDONLY;
    syscalls::mount(c"tmpfs", c".", c"tmpfs", flags, None, why)?;
    lanes.mask = Some(trees::step_up(place)?);
    Ok(())
}

/// A mount of the null device alone. Where the host's null device is used, it is a mount already: the first place
/// gets that mount, and later ones a copy.
fn attach_null(lanes: &mut Lanes, dir: At, path: &CStr, why: Why) -> syscalls::Result<()> {
    let put = |null: &Fd| match path.is_empty() {
        true => trees::attach(null.at(), dir, why),
        false => trees::attach_at(null.at(), dir, path, why),
    };
    if !lanes.has(Slot::NULL)
        && let Some(spare) = lanes.take(Slot::SPARE_NULL)
    {
        let attached = put(&spare);
        lanes.put(if attached.is_ok() { Slot::NULL } else { Slot::SPARE_NULL }, spare);
        return attached;
    }
    let why = Why("a file that the null device covers reads as empty");
    put(&trees::copy(lanes.at(Slot::NULL), false, why)?)
}
