//! The mount part of the init lane: new file systems, trees from the host, the switch of root, masks. A target in
//! the rootfs is resolved once to a descriptor, and mounted onto through that: standing in it, its name is `.`, and
//! no exchange of directories can make that another place. May touch: plan types, system calls.

use super::files::{self, Leaf, O_DIRECTORY};
use super::trees::linux_raw_sys_fs as fs;
use super::trees::{self, set_attributes, set_attributes_at};
use super::{Lanes, copyup, old_root, ramfs, side_by_side};
use crate::outcome::{Check, Done, Trouble};
use crate::plan::op::{Attributes, Kind};
use crate::plan::op::{Devices, Mounts, Op, Rootfs};
use crate::plan::{Line, Place, Slot};
use core::ffi::CStr;
use syscalls::{At, Errno, Fd, Why};

/// Read-only, in mount_setattr(2)'s words, for a mount and all below it.
const READONLY: Attributes = Attributes { set: 1, clear: 0, propagation: 0, recursive: true };

pub fn perform<'a>(lanes: &mut Lanes<'a>, line: &'a Line) -> Done {
    let why = line.why;
    let root = lanes.at(Slot::ROOTFS);
    match &line.op {
        Op::Rootfs(Rootfs::Propagation { flags }) => syscalls::mount_none(None, c"/", *flags, why)?,
        Op::Rootfs(Rootfs::Attach { path }) => {
            let path = path.as_deref().unwrap_or(c"/");
            syscalls::move_mount(root, c"", At::CWD, path, fs::MOVE_MOUNT_F_EMPTY_PATH, why)?
        }
        Op::Rootfs(Rootfs::Open { .. }) | Op::Mounts(Mounts::OpenSource { .. }) => open_inside(lanes, line)?,
        Op::Devices(Devices::Bound { base, name, tree }) if lanes.makes_in(*base) => {
            bound_device(lanes, *base, name, *tree, why)?
        }
        Op::Rootfs(Rootfs::RootPropagation { flags }) => {
            let attributes = Attributes {
                propagation: u64::from(*flags) & !libc::MS_REC,
                recursive: u64::from(*flags) & libc::MS_REC != 0,
                ..Attributes::default()
            };
            set_attributes(root, &attributes, why)?
        }
        Op::Mounts(Mounts::Mount { at, source, kind, flags, data, open, copy_up, keep_mode }) => {
            let (target, place, made) = stand(root, at, why)?;
            let mut room = [0; DATA];
            let data = match *keep_mode && !made {
                true => with_mode(target, place.as_ref(), data.as_deref(), &mut room)?,
                false => data.as_deref(),
            };
            let below = match copy_up {
                true => Some(look_below(target, why)?),
                false => None,
            };
            match syscalls::mount(source, target, kind, *flags, data, why) {
                // mount(2) refuses what is mounted there already, though it shows another part of the file system.
                Err(failed) if failed.errno == Errno::EBUSY => mount_over(target, kind, *flags, why)?,
                mounted => mounted?,
            }
            if let Some(below) = below {
                let above = match (&place, at) {
                    (None, Place::Under { base, path }) => files::open_below(lanes.at(*base), path, O_DIRECTORY, why)?,
                    (Some(place), _) => step_up(place)?,
                    _ => return Ok(()),
                };
                let above = syscalls::openat(above.at(), c".", O_DIRECTORY, "copy", why)?;
                copyup::copy(below.at(), above.at(), why)?;
            }
            if let (Some(place), Some(slot)) = (&place, open) {
                open_slot(lanes, place, *slot)?;
            }
            match (place, open) {
                // Three at the most: they are closed with the others.
                (Some(place), Some(_)) => drop(place.leak()),
                (place, _) => drop(place),
            }
        }
        Op::Mounts(Mounts::Attach { at, tree, kind, open }) => {
            let target = attach(lanes, at, *tree, *kind, why)?;
            if let (Some(target), Some(slot)) = (target, open) {
                open_slot(lanes, &target, *slot)?;
            }
        }
        Op::Mounts(Mounts::Remount { at, flags, data }) => remount(root, at, *flags, data.as_deref(), why)?,
        Op::Mounts(Mounts::Alter { at, attributes }) => match at {
            Place::Rootfs { path, links } => {
                let place = files::resolve(root, path, 0, *links, why)?;
                set_attributes(place.at(), attributes, why)?;
            }
            Place::Under { base, path } => set_attributes_at(lanes.at(*base), path, 0, attributes, why)?,
        },
        Op::Mounts(Mounts::StandBeside { path }) => side_by_side::stand(lanes, path, why)?,
        Op::Mounts(Mounts::BindBeside { source, path, name, recursive }) => {
            side_by_side::bind(lanes, source, path, *name, *recursive, why)?
        }
        Op::Mounts(Mounts::LeaveBeside) => side_by_side::leave(lanes, why)?,
        Op::Rootfs(Rootfs::OpenNull { check }) => open_null(lanes, *check, why)?,
        Op::Rootfs(Rootfs::Pivot { aside }) => pivot(root, aside.as_deref(), why)?,
        Op::Rootfs(Rootfs::Chroot) => {
            syscalls::fchdir(root, Why("standing in the rootfs, its name is `.`"))?;
            syscalls::chroot(c".", why)?;
        }
        Op::Rootfs(Rootfs::Move { attached }) => {
            if *attached {
                let flags = fs::MOVE_MOUNT_F_EMPTY_PATH;
                syscalls::move_mount(root, c"", At::CWD, c"/", flags, why)?;
            }
            old_root::clear()?;
            syscalls::fchdir(root, Why("the new root was mounted over the old one, where only its descriptor leads"))?;
            syscalls::chroot(c".", why)?;
        }
        Op::Rootfs(Rootfs::ReadonlyPath { at }) => readonly(lanes, at, why)?,
        Op::Rootfs(Rootfs::Mask { at, directory }) => mask(lanes, at, *directory, why)?,
        Op::Rootfs(Rootfs::Readonly) => set_attributes(root, &Attributes { recursive: false, ..READONLY }, why)?,
        // The other ops are the host lane's or were done before.
        _ => {}
    }
    Ok(())
}

fn pivot(root: At, aside: Option<&CStr>, why: Why) -> Done {
    syscalls::fchdir(root, Why("pivot_root takes `.` for both: no directory for the old root is needed"))?;
    match syscalls::pivot_root(c".", c".", why) {
        Err(refused) if refused.errno == Errno::EINVAL => ramfs::pivot(root, aside, refused, why)?,
        done => done?,
    }
    let why = Why("the host's tree lies over the new root now; detached, it is gone from this namespace");
    Ok(syscalls::umount2(c".", libc::MNT_DETACH as u32, why)?)
}

/// Bytes that mount(2) takes as data.
const DATA: usize = 4096;

/// The data of a tmpfs with the mode of the directory that it covers: without one its root would be everybody's.
fn with_mode<'a>(
    target: &CStr,
    place: Option<&Fd>,
    data: Option<&CStr>,
    room: &'a mut [u8; DATA],
) -> Done<Option<&'a CStr>> {
    let why = Why("the new file system's root gets the mode of the directory that it covers");
    let stat = match place {
        Some(place) => syscalls::fstat(place.at(), why)?,
        None => syscalls::newfstatat(At::CWD, target, libc::AT_SYMLINK_NOFOLLOW as u32, why)?,
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

/// Goes where something is to be mounted. Returns its name from there, what keeps the place open, and whether it was made.
fn stand(root: At, at: &Place, why: Why) -> Done<(&CStr, Option<Fd>, bool)> {
    match at {
        // The lane stands in `base` already: a line before this one saw to it.
        Place::Under { path, .. } => Ok((path, None, false)),
        Place::Rootfs { path, links } => {
            let mut made = false;
            let place = match files::resolve(root, path, O_DIRECTORY, *links, why) {
                Err(f) if f.errno == Errno::ENOENT => {
                    made = true;
                    files::resolve_or_make(root, path, || Ok(Leaf::Directory), *links, why)?
                }
                Err(f) if f.errno == Errno::ELOOP && !*links => {
                    return Err(Trouble::Check(Check::LinkInTheWay));
                }
                other => other?,
            };
            syscalls::fchdir(place.at(), Why("standing in the target, its name is `.` and cannot be exchanged"))?;
            Ok((c".", Some(place), made))
        }
    }
}

/// By the new calls, which do not mind the same file system below.
fn mount_over(target: &CStr, kind: &CStr, flags: u32, why: Why) -> Done {
    let fs = syscalls::fsopen(kind, "new file system", why)?;
    syscalls::fsconfig_create(fs.at(), why)?;
    // The first four flags are the same to both calls (linux/mount.h).
    let made = syscalls::fsmount(fs.at(), flags & 0xf, "new file system", why)?;
    let flags = fs::MOVE_MOUNT_F_EMPTY_PATH;
    Ok(syscalls::move_mount(made.at(), c"", At::CWD, target, flags, why)?)
}

/// The directory that a mount is about to cover.
fn look_below(target: &CStr, why: Why) -> syscalls::Result<Fd> {
    let flags = O_DIRECTORY | libc::O_NOFOLLOW as u32;
    syscalls::openat(At::CWD, target, flags, "what lies below", why)
}

/// Without privileges the trees are copied in here, where paths are still the host's.
fn open_inside(lanes: &mut Lanes, line: &Line) -> Done {
    trees::open(lanes, line)
}

/// A device of the host's, on a file made for it.
fn bound_device(lanes: &mut Lanes, base: Slot, name: &CStr, tree: Slot, why: Why) -> Done {
    let Some(source) = lanes.take(tree) else {
        return Ok(());
    };
    bind_on_file(source, lanes.at(base), name, true, why)
}

/// A mount of one file, on a file made for it, or on what is there already.
pub fn bind_on_file(source: Fd, dir: At, name: &CStr, make: bool, why: Why) -> Done {
    if make {
        match syscalls::mknodat(dir, name, libc::S_IFREG | 0o644, why) {
            Err(failed) if failed.errno == Errno::EEXIST => {}
            made => made?,
        }
    }
    let target = match files::open_below(dir, name, 0, why) {
        Err(failed) if failed.errno == Errno::ENOENT && !make => return Ok(()),
        opened => opened?,
    };
    let flags = fs::MOVE_MOUNT_F_EMPTY_PATH | fs::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(syscalls::move_mount(source.at(), c"", target.at(), c"", flags, why)?)
}

/// Opens the root of what was just mounted on a place, where later lines work below it. Not by its name, which may
/// stand for another directory by now: `..` of a root is that root itself, and what is mounted on it, on the way there.
fn step_up(place: &Fd) -> syscalls::Result<Fd> {
    let why = Why("what is mounted there now, for later lines");
    files::resolve(place.at(), c"..", O_DIRECTORY, true, why)
}

/// Opens what was just mounted for later lines. What is mounted on the root becomes the root.
fn open_slot(lanes: &mut Lanes, place: &Fd, slot: Slot) -> Done {
    let top = step_up(place)?;
    if slot != Slot::ROOTFS {
        lanes.put(slot, top);
        return Ok(());
    }
    let flags = fs::OPEN_TREE_CLONE | fs::AT_EMPTY_PATH | fs::AT_RECURSIVE;
    let why = Why("a copy takes the place of the root below it, which no path leads to any more");
    let tree = syscalls::open_tree(top.at(), c"", flags, "rootfs", why)?;
    syscalls::fchdir(place.at(), Why("from here, `.` is what lies on top"))?;
    let why = Why("the mount on the old root, then the old root: pivot_root wants one root alone");
    syscalls::umount2(c".", libc::MNT_DETACH as u32, why)?;
    syscalls::umount2(c".", libc::MNT_DETACH as u32, why)?;
    let attached = lanes.plan.init.iter().find_map(|line| match &line.op {
        Op::Rootfs(Rootfs::Attach { path }) => Some(path.as_deref().unwrap_or(c"/")),
        _ => None,
    });
    let why = Why("where the old root was");
    let flags = fs::MOVE_MOUNT_F_EMPTY_PATH;
    let path = attached.unwrap_or(c"/");
    syscalls::move_mount(tree.at(), c"", At::CWD, path, flags, why)?;
    lanes.put(Slot::ROOTFS, tree);
    Ok(())
}

/// Attaches a tree of the host's, or the cgroup's, that was opened before the clone.
fn attach(lanes: &mut Lanes, at: &Place, tree: Slot, kind: Kind, why: Why) -> Done<Option<Fd>> {
    let Some(source) = lanes.take(tree) else {
        return Ok(None);
    };
    let (base, path, links) = match at {
        Place::Rootfs { path, links } => (lanes.at(Slot::ROOTFS), path, *links),
        Place::Under { base, path } => (lanes.at(*base), path, true),
    };
    on_place(base, path, links, source, kind, why).map(Some)
}

/// Attaches a tree where a path leads; what is missing of it is made.
pub fn on_place(base: At, path: &CStr, links: bool, tree: Fd, kind: Kind, why: Why) -> Done<Fd> {
    let leaf = || match kind {
        Kind::Directory => Ok(Leaf::Directory),
        Kind::AsSource | Kind::AsSourceHere | Kind::Copy => {
            let stat =
                syscalls::fstat(tree.at(), Why("a directory needs a directory to stand on, a file needs a file"))?;
            Ok(if stat.st_mode & libc::S_IFMT == libc::S_IFDIR { Leaf::Directory } else { Leaf::File })
        }
    };
    if kind == Kind::Copy
        && let Some(copy) = copy_link(base, path, &tree, why)?
    {
        return Ok(copy);
    }
    let target = match kind {
        Kind::AsSourceHere => files::resolve_or_make_last(base, path, leaf, why)?,
        _ => files::resolve_or_make(base, path, leaf, links, why)?,
    };
    let flags = fs::MOVE_MOUNT_F_EMPTY_PATH | fs::MOVE_MOUNT_T_EMPTY_PATH;
    syscalls::move_mount(tree.at(), c"", target.at(), c"", flags, why)?;
    Ok(target)
}

/// `copy-symlink`: a link of that text at the place, if the source is a link. Returns the directory that it is in.
fn copy_link(base: At, path: &CStr, tree: &Fd, why: Why) -> Done<Option<Fd>> {
    let stat = syscalls::fstat(tree.at(), Why("only a link is made again, and not mounted"))?;
    if stat.st_mode & libc::S_IFMT != libc::S_IFLNK {
        return Ok(None);
    }
    let (mut text, mut there) = ([0; DATA], [0; DATA]);
    let why_read = Why("what the link says, to say it again");
    let len = syscalls::readlinkat(tree.at(), c"", &mut text[..DATA - 1], why_read)?.len();
    let text = CStr::from_bytes_until_nul(&text[..len + 1]).unwrap_or(c"");
    let (parent, name) = files::resolve_or_make_parent(base, path, why)?;
    match syscalls::symlinkat(text, parent.at(), name, why) {
        // The same link may stay.
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

/// Changes the flags of what is mounted at a place: of this mount alone, and of its file system where data is given.
fn remount(root: At, at: &Place, flags: u32, data: Option<&CStr>, why: Why) -> Done {
    let Place::Rootfs { path, links } = at else {
        let Place::Under { path, .. } = at else {
            return Ok(());
        };
        return Ok(syscalls::remount(path, flags, data, why)?);
    };
    // `.` would be what lies below the mount: the mount's own root is reached by its descriptor.
    let place = files::resolve(root, path, O_DIRECTORY, *links, why)?;
    syscalls::fchdir(place.at(), Why("standing in the mount, its name is `.`"))?;
    Ok(syscalls::remount(c".", flags, data, why)?)
}

/// `check`: unless this plan has made the device itself, in a tmpfs of its own.
fn open_null(lanes: &mut Lanes, check: bool, why: Why) -> Done {
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
        let flags = (libc::O_RDWR | libc::O_NOFOLLOW) as u32;
        if let Ok(both) = syscalls::openat(lanes.at(Slot::DEV), c"null", flags, "null device", why) {
            lanes.null_is_open = true;
            return Ok(both);
        }
    }
    let null = files::open_below(lanes.at(Slot::DEV), c"null", 0, why)?;
    if !check {
        return Ok(null);
    }
    let stat = syscalls::fstat(null.at(), Why("an image could have put anything there (CVE-2025-31133)"))?;
    match stat.st_mode & libc::S_IFMT == libc::S_IFCHR && stat.st_rdev == libc::makedev(1, 3) {
        true => Ok(null),
        false => Err(Trouble::Check(Check::NotTheNullDevice)),
    }
}

/// Whether the path is simply not there, which is no error for masks and read-only paths.
fn absent(errno: Errno) -> bool {
    errno == Errno::ENOENT || errno == Errno::ENOTDIR
}

fn readonly(lanes: &Lanes, at: &Place, why: Why) -> Done {
    match at {
        Place::Under { base, path } => {
            match syscalls::mount_none(Some(path), path, (libc::MS_BIND | libc::MS_REC) as u32, why) {
                Err(failed) if absent(failed.errno) => return Ok(()),
                other => other?,
            }
            let why = Why("the bind is a mount of its own, and can be read-only by itself");
            Ok(set_attributes_at(lanes.at(*base), path, 0, &READONLY, why)?)
        }
        Place::Rootfs { path, links } => {
            let place = match files::resolve(lanes.at(Slot::ROOTFS), path, 0, *links, why) {
                Err(failed) if absent(failed.errno) => return Ok(()),
                other => other?,
            };
            let flags = fs::OPEN_TREE_CLONE | fs::AT_EMPTY_PATH | fs::AT_RECURSIVE;
            let tree = syscalls::open_tree(place.at(), c"", flags, "read-only path", why)?;
            set_attributes(tree.at(), &READONLY, Why("read-only before anybody can reach it"))?;
            let flags = fs::MOVE_MOUNT_F_EMPTY_PATH | fs::MOVE_MOUNT_T_EMPTY_PATH;
            Ok(syscalls::move_mount(tree.at(), c"", place.at(), c"", flags, why)?)
        }
    }
}

/// Covers a file with the null device, a directory with an empty read-only tmpfs.
fn mask<'a>(lanes: &mut Lanes<'a>, at: &'a Place, directory: bool, why: Why) -> Done {
    match at {
        Place::Under { base, path } => mask_below(lanes, *base, path, directory, why),
        Place::Rootfs { path, links } => mask_resolved(lanes, path, *links, why),
    }
}

/// Below a mount that nobody else can reach, where the lane stands: it tries what the plan expects, and the other way
/// only if that was wrong. A mount of a file on a directory fails after a wait for all processors, so trying blindly
/// would be dear.
fn mask_below<'a>(lanes: &mut Lanes<'a>, base: Slot, path: &'a CStr, directory: bool, why: Why) -> Done {
    let mut cover = |directory: bool| match directory {
        true => mask_directory(lanes, base, path, why),
        // procfs itself leads to the checked device, by its descriptor.
        false if base == Slot::PROC && lanes.has(Slot::NULL) => {
            let mut buffer = [0; 24];
            syscalls::mount_none(
                Some(own_descriptor(lanes.at(Slot::NULL), &mut buffer)),
                path,
                libc::MS_BIND as u32,
                why,
            )
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

/// The first masked directory below a base gets the empty tmpfs, and the others below it show the same one.
fn mask_directory<'a>(lanes: &mut Lanes<'a>, base: Slot, path: &'a CStr, why: Why) -> syscalls::Result<()> {
    if let Some((_, first)) = lanes.masked.iter().flatten().find(|(b, _)| *b == base) {
        return syscalls::mount_none(Some(first), path, libc::MS_BIND as u32, why);
    }
    syscalls::mount(c"tmpfs", path, c"tmpfs", libc::MS_RDONLY as u32, None, why)?;
    if let Some(free) = lanes.masked.iter_mut().find(|m| m.is_none()) {
        *free = Some((base, path));
    }
    Ok(())
}

/// `self/fd/N`, as seen from the root of a procfs.
fn own_descriptor(fd: At, buffer: &mut [u8; 24]) -> &CStr {
    let prefix = b"self/fd/";
    buffer[..prefix.len()].copy_from_slice(prefix);
    let (mut number, mut digits) = (fd.raw().unsigned_abs(), 1);
    while number >= 10u32.pow(digits) && digits < 9 {
        digits += 1;
    }
    for i in (0..digits as usize).rev() {
        buffer[prefix.len() + i] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    CStr::from_bytes_until_nul(buffer).unwrap_or(c"")
}

/// In the rootfs it looks first, by descriptor.
fn mask_resolved(lanes: &mut Lanes, path: &CStr, links: bool, why: Why) -> Done {
    let place = match files::resolve(lanes.at(Slot::ROOTFS), path, 0, links, why) {
        Err(failed) if absent(failed.errno) => return Ok(()),
        other => other?,
    };
    let stat = syscalls::fstat(place.at(), Why("a file is covered by a file, a directory by a directory"))?;
    if stat.st_mode & libc::S_IFMT == libc::S_IFDIR {
        return mask_place(lanes, &place, why);
    }
    Ok(attach_null(lanes, place.at(), c"", why)?)
}

/// A directory of the rootfs: the first gets the empty tmpfs, later ones a copy of that mount.
fn mask_place(lanes: &mut Lanes, place: &Fd, why: Why) -> Done {
    if let Some(first) = &lanes.mask {
        let flags = fs::OPEN_TREE_CLONE | fs::AT_EMPTY_PATH;
        let why_copy = Why("one empty file system is enough for all masks");
        let tree = syscalls::open_tree(first.at(), c"", flags, "mask", why_copy)?;
        let flags = fs::MOVE_MOUNT_F_EMPTY_PATH | fs::MOVE_MOUNT_T_EMPTY_PATH;
        return Ok(syscalls::move_mount(tree.at(), c"", place.at(), c"", flags, why)?);
    }
    syscalls::fchdir(place.at(), Why("standing in the target, its name is `.`"))?;
    let flags = libc::MS_RDONLY as u32;
    syscalls::mount(c"tmpfs", c".", c"tmpfs", flags, None, why)?;
    lanes.mask = Some(step_up(place)?);
    Ok(())
}

/// A mount of the null device alone. The host's, where that has to do, is a mount already: the first place gets it, and
/// later ones a copy.
fn attach_null(lanes: &mut Lanes, dir: At, path: &CStr, why: Why) -> syscalls::Result<()> {
    let spare = match lanes.has(Slot::NULL) {
        true => None,
        false => lanes.take(Slot::SPARE_NULL),
    };
    let was_spare = spare.is_some();
    let null = match spare {
        Some(null) => null,
        None => {
            let flags = fs::OPEN_TREE_CLONE | fs::AT_EMPTY_PATH;
            let why = Why("reads of what it covers give nothing");
            syscalls::open_tree(lanes.at(Slot::NULL), c"", flags, "null device", why)?
        }
    };
    let onto = if path.is_empty() { fs::MOVE_MOUNT_T_EMPTY_PATH } else { 0 };
    let flags = fs::MOVE_MOUNT_F_EMPTY_PATH | onto;
    let attached = syscalls::move_mount(null.at(), c"", dir, path, flags, why);
    if was_spare {
        let slot = match attached {
            Ok(()) => Slot::NULL,
            Err(_) => Slot::SPARE_NULL,
        };
        lanes.put(slot, null);
    }
    attached
}
