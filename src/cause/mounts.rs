//! Why a mount failed: its source, its target, or the file system itself. May touch: system calls, procfs, types.

use super::path::{self, End};
use super::rights::FIRST;
use super::users::{self, Range};
use super::{Found, Scene, facts, masked, missing, overlay};
use crate::host::input::{self, c};
use crate::host::mountinfo::{self, Mount};
use crate::host::procfs;
use crate::outcome::{Check, Trouble};
use crate::perform::files::kind;
use crate::perform::mounts::words;
use crate::plan::op::{FileSystem, Mounts, Op, Source};
use crate::plan::{self, Place, text};
use crate::spec::{self, NamespaceKind, Spec, namespace};
use syscalls::record::{self, OUT, Record};
use syscalls::{At, Errno, OpenFlags, Why};

pub fn of(scene: &Scene) -> Option<Found> {
    let Op::Mounts(op) = &scene.line?.op else {
        return None;
    };
    match op {
        Mounts::OpenSource(source) => open_source(scene, source),
        Mounts::BindBeside { source, .. } => source_missing(&source.to_string_lossy()).or_else(|| target_of(scene)),
        Mounts::Mount(wanted) => file_system(scene, wanted),
        Mounts::Attach { .. } | Mounts::StandBeside { .. } => target_of(scene),
        Mounts::Remount { at, .. } | Mounts::Alter { at, .. } => changed(scene, at),
        Mounts::OpenCgroup { .. } | Mounts::LeaveBeside | Mounts::Enter { .. } => None,
    }
}

/// The mount of config.json that the line is about, and its number.
fn asked<'s>(scene: &Scene<'s>) -> Option<(&'s spec::Mount<'s>, usize)> {
    let number = text::number_in("/mounts/", &scene.line?.from)?;
    Some((scene.spec?.mounts.get(number)?, number))
}

fn open_source(scene: &Scene, source: &Source) -> Option<Found> {
    let (path, failed) = (source.path.to_string_lossy(), scene.failed()?);
    if source.in_rootfs {
        let path = plan::clean(&path);
        let walk = path::walk(scene.root()?.at(), &path)?;
        return missing::found("source in the rootfs", &path, &walk);
    }
    // Devices that each container has are asked for by no property.
    if !scene.line?.from.starts_with("/mounts") {
        let walk = path::walk(path::host()?.at(), &path)?;
        return missing::found("device of the host", &path, &walk);
    }
    let missing = source_missing(&path);
    if missing.is_some() || failed.call.name() != "mount_setattr" {
        return missing.or_else(|| unbindable(&path, failed.errno));
    }
    let mounts = mountinfo::of(syscalls::record::own_pid()).ok()?;
    match (source.idmap, failed.errno) {
        (Some((_, recursive)), Errno::EINVAL | Errno::EPERM) => idmap(&mounts, &path, recursive),
        (_, Errno::EPERM) => locked(&mounts, &path, source.attributes.clear),
        _ => None,
    }
}

/// What stops a bind's source on the host.
pub fn source_missing(path: &str) -> Option<Found> {
    missing::found("source", path, &path::walk(path::host()?.at(), path)?)
}

fn unbindable(path: &str, errno: Errno) -> Option<Found> {
    let mounts = mountinfo::of(syscalls::record::own_pid()).ok()?;
    let mount = mountinfo::covering(&mounts, |mount| &mount.target, path)?;
    let unbindable = errno == Errno::EINVAL && mount.propagation.iter().any(|word| word == "unbindable");
    unbindable.then(|| Found::new("unbindable", &[path, &mount.target]))
}

/// The tree at a path of the host cannot map ids, as far as that is known beforehand.
pub fn unmappable(path: &str, recursive: bool) -> Option<Found> {
    let mounts = mountinfo::of(syscalls::record::own_pid()).ok()?;
    let mount = mountinfo::covering(&mounts, |mount| &mount.target, path)?;
    let known =
        facts::since("idmap", &mount.kind).is_some() || ["proc", "sysfs", "devpts"].contains(&mount.kind.as_str());
    idmap(&mounts, path, recursive).filter(|_| known)
}

/// Which file system of a tree cannot map ids.
fn idmap(mounts: &[Mount], path: &str, recursive: bool) -> Option<Found> {
    let own = mountinfo::covering(mounts, |mount| &mount.target, path)?;
    let below = mounts.iter().filter(|mount| recursive && mountinfo::below(&mount.target, path).is_some());
    let mapped = |mount: &&Mount| mount.has("idmapped");
    let mut all = core::iter::once(own).chain(below);
    if let Some(mount) = all.clone().find(mapped) {
        return Some(Found::new("mapped already", &[&mount.target]));
    }
    let since = |mount: &Mount| facts::since("idmap", &mount.kind);
    let mount = all.find(|mount| since(mount).is_none_or(facts::older_than))?;
    Some(match since(mount) {
        Some(since) => Found::new("idmap since", &[&mount.kind, &mount.target, since, &facts::release()]),
        None => Found::new("no idmap", &[&mount.kind, &mount.target]),
    })
}

/// A property of a mount that a user namespace may not take away (mount_namespaces(7)).
fn locked(mounts: &[Mount], path: &str, clear: u64) -> Option<Found> {
    let mount = mountinfo::covering(mounts, |mount| &mount.target, path)?;
    let words = [("ro", 1), ("nosuid", 2), ("nodev", 4), ("noexec", 8)];
    let word = words.iter().find(|(word, bit)| clear & bit != 0 && mount.has(word))?.0;
    Some(Found::new("locked", &[&mount.target, word]))
}

/// What is wrong with a mount's place in the container.
fn target_of(scene: &Scene) -> Option<Found> {
    let (_, number) = asked(scene)?;
    let readonly = scene.failed().is_some_and(|failed| failed.errno == Errno::EROFS);
    let root = scene.root()?;
    target(root.at(), scene.spec?, number, readonly).or_else(|| never_made(root.at(), scene.spec?, number))
}

/// A mount point in the file system of an earlier mount. In that file system no process can make a directory, as in proc.
fn never_made(root: At, spec: &Spec, number: usize) -> Option<Found> {
    let place = plan::clean(&spec.mounts.get(number)?.destination);
    let End::Missing { .. } = path::walk(root, &place)?.end else {
        return None;
    };
    let (_, above) = mount_above(spec, number, &place)?;
    let fixed = matches!(above.kind.as_ref(), "proc" | "sysfs" | "mqueue" | "devpts");
    fixed.then(|| Found::new("target never made", &[&place, &above.kind, &above.destination]))
}

/// What is wrong with the place of a mount of config.json. `readonly`: what is missing there cannot be made.
pub fn target(root: At, spec: &Spec, number: usize, readonly: bool) -> Option<Found> {
    let mount = spec.mounts.get(number)?;
    let place = plan::clean(&mount.destination);
    let walk = path::walk(root, &place)?;
    match &walk.end {
        End::Missing { .. } if readonly => Some(match readonly_by(spec, number) {
            Some(by) => Found::new("target below read-only", &[&place]).at(by),
            None => Found::new("target on read-only", &[&place]),
        }),
        // It will be made.
        End::Missing { .. } => None,
        End::There { stat, .. } if !is_bind(mount) => {
            let found = || Found::new("no place of a file system", &[&place, path::kind(stat), &mount.kind]);
            (!path::is_dir(stat)).then(found)
        }
        End::There { stat, .. } => {
            let source = path::find(path::host()?.at(), mount.source.as_deref()?)?;
            let (is, wanted) = (path::is_dir(stat), path::is_dir(&source.2));
            let words = [&place, path::kind(stat), &source.0, path::kind(&source.2)];
            (is != wanted).then(|| Found::new("file and directory", &words))
        }
        _ => missing::found("target", &place, &walk),
    }
}

pub fn is_bind(mount: &spec::Mount) -> bool {
    let has = |wanted: &str| mount.options.iter().any(|word| word.as_str() == wanted);
    mount.kind == "bind" || has("bind") || has("rbind")
}

/// The last of the earlier mounts that a place lies in, and its number.
fn mount_above<'s>(spec: &'s Spec, number: usize, place: &str) -> Option<(usize, &'s spec::Mount<'s>)> {
    let over = |(_, mount): &(usize, &spec::Mount)| mountinfo::below(place, &plan::clean(&mount.destination)).is_some();
    spec.mounts.iter().enumerate().take(number).rev().find(over)
}

/// The earlier mount that makes a place read-only.
fn readonly_by(spec: &Spec, number: usize) -> Option<String> {
    let place = plan::clean(&spec.mounts.get(number)?.destination);
    let (i, mount) = mount_above(spec, number, &place)?;
    let ro = mount.options.iter().any(|word| matches!(word.as_str(), "ro" | "rro"));
    ro.then(|| format!("/mounts/{i}"))
}

/// A change of a mount that is not there, or that may not be changed so.
fn changed(scene: &Scene, at: &Place) -> Option<Found> {
    let path = match at {
        Place::Rootfs { path, .. } => plan::clean(&path.to_string_lossy()),
        Place::Under { .. } => plan::clean(&asked(scene)?.0.destination),
    };
    match scene.failed()?.errno {
        Errno::EINVAL => match is_mounted(scene.root()?.at(), &path)? {
            false => Some(Found::new("no mount", &[&path])),
            true => Some(Found::new("no such change", &[&path])),
        },
        Errno::EBUSY => Some(Found::new("busy", &[&path])),
        Errno::EPERM => Some(Found::new("remount locked", &[&path])),
        _ => target_of(scene),
    }
}

/// Whether a mount begins at this path: then it lies on another mount than the directory above it.
fn is_mounted(root: At, path: &str) -> Option<bool> {
    let procfs = procfs::open().ok()?;
    let mount = |path: &str| {
        let (_, place, _) = path::find(root, path)?;
        let text = path::text(procfs.at(), &format!("self/fdinfo/{}", place.at().raw()))?;
        text.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(|id| id.trim().to_string())
    };
    let above = path.rsplit_once('/').map_or("/", |(above, _)| above);
    Some(path == "/" || mount(path)? != mount(above)?)
}

/// A new file system.
fn file_system(scene: &Scene, wanted: &FileSystem) -> Option<Found> {
    if scene.trouble == Trouble::Check(Check::LinkInTheWay) {
        return link_in_the_way(scene);
    }
    let failed = scene.failed()?;
    if failed.call.name() != "mount" {
        return target_of(scene);
    }
    let name = wanted.kind.to_string_lossy();
    let data = wanted.data.as_deref().unwrap_or(c"").to_string_lossy();
    if name == "overlay"
        && let Some(found) = overlay::found(&data)
    {
        return Some(found);
    }
    match failed.errno {
        Errno::ENODEV => unknown_kind(&name),
        Errno::EPERM => refused(scene.spec?, &name),
        Errno::ENOSPC => too_many(),
        Errno::EINVAL => {
            unmapped(scene.spec?, &name, &data).or_else(|| page_size(&name, &data)).or_else(|| own_words(scene, &data))
        }
        Errno::ENOENT | Errno::ENOTBLK | Errno::EACCES => {
            device(&wanted.source.to_string_lossy(), &name).or_else(|| own_words(scene, &data))
        }
        _ => own_words(scene, &data),
    }
}

fn link_in_the_way(scene: &Scene) -> Option<Found> {
    link(scene.root()?.at(), asked(scene)?.0)
}

/// The first link on the way to the place of a mount.
pub fn link(root: At, mount: &spec::Mount) -> Option<Found> {
    let walk = path::walk(root, &mount.destination)?;
    let link = walk.links.first()?;
    Some(Found::new("link", &[&link.path, &link.to, &mount.kind]))
}

/// A file system that this kernel does not have.
pub fn unknown_kind(kind: &str) -> Option<Found> {
    let text = path::text(path::host()?.at(), "proc/filesystems")?;
    let known = text.lines().any(|line| line.split_whitespace().last() == Some(kind));
    (!known).then(|| Found::new("unknown file system", &[kind]))
}

/// A mount that the kernel refuses to this user namespace.
pub fn refused(spec: &Spec, kind: &str) -> Option<Found> {
    let user = namespace(&spec.linux, &NamespaceKind::User);
    let (needed, word) = match kind {
        "proc" => (NamespaceKind::Pid, "pid"),
        "sysfs" => (NamespaceKind::Network, "network"),
        "mqueue" => (NamespaceKind::Ipc, "ipc"),
        _ => {
            let foreign = user.is_some() && !facts::holds("user", kind);
            return foreign.then(|| Found::new("not in a user namespace", &[kind]));
        }
    };
    let of_host = || Found::new("namespace of the host", &[kind, word]);
    let shares = namespace(&spec.linux, &needed).is_none();
    if user.is_some() && shares {
        return Some(of_host());
    }
    // Of the other kinds the kernel does not ask what is visible.
    let hides = matches!(kind, "proc" | "sysfs");
    let mounts = mountinfo::of(syscalls::record::own_pid()).ok()?;
    let masked = hides.then(|| masked::found(&mounts, kind)).flatten();
    let inner = || users::link(0, "ns/user").is_some_and(|name| name != FIRST);
    masked.or_else(|| (shares && inner()).then(of_host))
}

fn too_many() -> Option<Found> {
    let most = path::text(path::host()?.at(), "proc/sys/fs/mount-max")?;
    let count = mountinfo::of(syscalls::record::own_pid()).ok()?.len();
    let reached = most.trim().parse::<usize>().is_ok_and(|most| count >= most);
    reached.then(|| Found::new("too many mounts", &[most.trim(), &count.to_string()]))
}

/// An option `uid=` or `gid=` with an id that the user namespace does not have.
pub fn unmapped(spec: &Spec, kind: &str, data: &str) -> Option<Found> {
    namespace(&spec.linux, &NamespaceKind::User)?;
    let maps = [("uid", &spec.linux.uid_mappings), ("gid", &spec.linux.gid_mappings)];
    maps.iter().find_map(|(key, map)| {
        let value = data.split(',').find_map(|option| option.strip_prefix(key)?.strip_prefix('='))?;
        let id: u32 = value.parse().ok()?;
        let mapped = map.iter().any(|m| users::outside(&[Range::of(m)], id).is_some());
        (!map.is_empty() && !mapped).then(|| Found::new("unmapped", &[key, value, kind]))
    })
}

/// A size of huge pages that this machine does not have.
pub fn page_size(kind: &str, data: &str) -> Option<Found> {
    let size = data.split(',').find_map(|option| option.strip_prefix("pagesize=")).filter(|_| kind == "hugetlbfs")?;
    let why = Why("a directory there is a size of huge pages");
    let dir = syscalls::openat(At::CWD, c"/sys/kernel/mm/hugepages", OpenFlags::O_DIRECTORY, why).ok()?;
    let names = input::names(dir.at(), why).ok()?;
    let names: Vec<String> = names.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let sizes: Vec<&str> = names.iter().filter_map(|name| name.strip_prefix("hugepages-")).collect();
    if sizes.iter().any(|known| kib(known) == kib(size)) {
        return None;
    }
    Some(Found::new("no such page size", &[size, &sizes.join(", ")]))
}

/// A size in KiB, as the kernel reads it: `2M`, `2048kB` (lib/cmdline.c, memparse).
fn kib(text: &str) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..end].parse().ok()?;
    match text[end..].bytes().next().map(|letter| letter.to_ascii_lowercase()) {
        Some(b'k') => Some(number),
        Some(b'm') => number.checked_mul(1 << 10),
        Some(b'g') => number.checked_mul(1 << 20),
        _ => Some(number >> 10),
    }
}

/// Whether file systems of this type lie on a device.
pub fn on_device(kind: &str) -> bool {
    let text = path::host().and_then(|host| path::text(host.at(), "proc/filesystems")).unwrap_or_default();
    text.lines().any(|line| line.strip_prefix('\t') == Some(kind))
}

/// A device that a file system lies on.
pub fn device(source: &str, name: &str) -> Option<Found> {
    if !source.starts_with('/') {
        return None;
    }
    let walk = path::walk(path::host()?.at(), source)?;
    match &walk.end {
        End::There { stat, .. } if kind(stat) != libc::S_IFBLK => {
            Some(Found::new("no block device", &[source, path::kind(stat), name]))
        }
        _ => missing::found("source", source, &walk),
    }
}

/// The file system's own words, which the lane has read after the mount was refused.
fn own_words(scene: &Scene, data: &str) -> Option<Found> {
    let failed = scene.record()?;
    let bytes = record::bytes();
    let after = record::offsets(bytes).filter_map(|at| Record::read(bytes, at));
    let mut after = after.filter(|r| r.lane == failed.lane && r.seq > failed.seq && r.call.name() == "read");
    let said = after.find_map(|r| r.blob(1 | OUT).filter(|blob| blob.bytes.starts_with(b"e ")))?.bytes;
    understood(&String::from_utf8_lossy(said.get(2..)?), data)
}

/// What a file system says of its options before there is a mount.
pub fn options(kind: &str, data: &str) -> Option<Found> {
    let mut message = [0; words::MESSAGE];
    let len = words::options(&c(kind).ok()?, &c(data).ok()?, &mut message)?;
    let said = message.get(..len)?.strip_prefix(b"e ")?;
    understood(&String::from_utf8_lossy(said), data)
}

/// A message of a file system, such as `tmpfs: Unknown parameter 'x'`.
fn understood(said: &str, data: &str) -> Option<Found> {
    let (kind, text) = said.trim_end().split_once(": ")?;
    let quoted = |before: &str| text.strip_prefix(before)?.strip_suffix('\'');
    if let Some(option) = quoted("Unknown parameter '") {
        return Some(unknown_option(kind, option));
    }
    let option =
        quoted("Bad value for '").and_then(|key| data.split(',').find(|option| option.split('=').next() == Some(key)));
    Some(match option {
        Some(option) => Found::new("value refused by the file system", &[kind, option]),
        None => Found::new("words", &[kind, text]),
    })
}

/// An option that the file system does not know, and since when it does elsewhere.
pub fn unknown_option(kind: &str, option: &str) -> Found {
    match facts::since("option", &format!("{kind} {option}")) {
        Some(since) if facts::older_than(since) => {
            Found::new("newer option", &[kind, option, since, &facts::release()])
        }
        _ => Found::new("unknown option", &[kind, option]),
    }
}

#[cfg(test)]
mod tests {
    use super::kib;

    #[test]
    fn a_size_is_read_as_the_kernel_does() {
        for text in ["2M", "2m", "2048kB", "2048K", "2097152"] {
            assert_eq!(kib(text), Some(2048), "{text}");
        }
        assert_eq!((kib("1G"), kib("1048576kB")), (Some(1 << 20), Some(1 << 20)));
        assert_eq!((kib("M"), kib(""), kib("99999999999999999999")), (None, None, None));
    }
}
