//! config.json's `mounts`: each mount into plan lines, in the order of the list (config.md, "Mounts").
//! May touch: types and tables.

pub mod options;
mod side_by_side;
mod sources;

use super::builder::Builder;
use super::labels;
use super::mark::Mark;
use super::op::{Attributes, Devices, FileSystem, Kind, Mounts, Place, Slot};
use super::order::{Host, Init};
use super::text::{MOST, c, clean, entry, problem, too_long};
use super::tree::{Covered, Covering, OWN, Propagated, covering};
use crate::spec::{self, IdMapping, NamespaceKind, Problem, namespace};
use alloc::ffi::CString;
use options::{Options, attr, understand};
use syscalls::MountFlags;

/// Every mount of the list.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let mounts = &b.spec.mounts;
    let mut i = 0;
    while let Some(mount) = mounts.get(i) {
        match side_by_side::count(b, &mounts[i..]) {
            0 => {
                one(b, mount, &entry("/mounts", i))?;
                i += 1;
            }
            beside => {
                side_by_side::plan(b, i, &mounts[i..i + beside])?;
                i += beside;
            }
        }
    }
    Ok(())
}

/// A mount, understood.
struct Wanted<'m> {
    /// Its JSON pointer; empty: the runtime's own.
    from: &'m str,
    path: String,
    at: Place,
    kind: &'m str,
    source: &'m str,
    options: Options,
    /// Where its descriptor is kept, if later lines work below it.
    open: Option<Slot>,
    /// What beside the configuration has decided about it.
    mark: Mark,
    why: &'static str,
}

/// One mount. `from`: its JSON pointer.
pub fn one(b: &mut Builder, mount: &spec::Mount, from: &str) -> Result<(), Problem> {
    let mut m = understood(b, mount, from)?;
    let made = stand(b, &m)?;
    if m.options.remount {
        return remount(b, m);
    }
    readonly_later(b, &mut m);
    if !m.options.bind && !mount.uid_mappings.is_empty() {
        let text = "is for a bind mount: a new file system belongs to the container as it is";
        return Err(problem(&format!("{from}/uidMappings"), text));
    }
    match m.kind {
        _ if m.options.bind => b.marked(m.mark, |b| bind(b, mount, &m))?,
        "cgroup" if !has_cgroup_namespace(b) => cgroup_tree(b, &m)?,
        _ => file_system(b, &m, made)?,
    }
    alter(b, &m);
    cover(b, m);
    Ok(())
}

fn has_cgroup_namespace(b: &Builder) -> bool {
    namespace(&b.spec.linux, &NamespaceKind::Cgroup).is_some()
}

fn understood<'m>(b: &Builder, mount: &'m spec::Mount, from: &'m str) -> Result<Wanted<'m>, Problem> {
    let mut options = understand(mount, from)?;
    let path = destination(&mount.destination);
    // Both names mean the container's own cgroup, which cgroup2 does to the kernel only in a cgroup namespace.
    let kind = match mount.kind.as_str() {
        "cgroup2" => "cgroup",
        kind => kind,
    };
    let mut source = mount.source.as_deref().unwrap_or("");
    let mut mark = Mark::None;
    if let Some((host, by)) = lent(b, kind).filter(|_| !options.bind && !options.remount) {
        (source, mark) = (host, by);
        (options.bind, options.recursive_bind) = (true, true);
        options.data.clear();
        options.recursive.set |= attr::RDONLY;
    }
    check_terminals(b, kind, &options.data, from)?;
    if !options.bind && !options.remount {
        labels::mount_label(b, kind, &mut options.data)?;
    }
    let open = match path.as_str() {
        "/proc" if kind == "proc" => Some(Slot::PROC),
        "/dev" => Some(Slot::DEV),
        "/sys" if kind == "sysfs" => Some(Slot::SYS),
        // What is mounted there is the root from then on.
        "/" => Some(Slot::ROOTFS),
        _ => None,
    };
    let links = !matches!(kind, "proc" | "sysfs");
    let at = b.tree.place(from, &path, links)?;
    let why = purpose(kind, &path, options.bind);
    Ok(Wanted { from, path, at, kind, source, options, open, mark, why })
}

/// A destination: `/` in all its spellings is one.
fn destination(path: &str) -> String {
    let path = clean(path);
    match path.split('/').all(|part| matches!(part, "" | "..")) {
        true => "/".into(),
        false => path,
    }
}

/// The host's mount that the container gets where the kernel makes no new one: sysfs shows the network, and so belongs
/// to the owner of the network namespace; a cgroup tree can be copied only by a process that may mount.
fn lent(b: &Builder, kind: &str) -> Option<(&'static str, Mark)> {
    match kind {
        "sysfs" if b.users.foreign() && !b.new_namespace(NamespaceKind::Network) => Some(("/sys", b.foreign())),
        "cgroup" if has_cgroup_namespace(b) => None,
        "cgroup" if b.users.inside || b.users.limited && !b.wish.cgroup => Some(("/sys/fs/cgroup", b.rights())),
        _ => None,
    }
}

/// devpts gives terminals to a group. If the group is not mapped, the kernel says EINVAL, and no more.
fn check_terminals(b: &Builder, kind: &str, data: &str, from: &str) -> Result<(), Problem> {
    let gid = data.split(',').find_map(|word| word.strip_prefix("gid="));
    let Some(gid) = gid.and_then(|gid| gid.parse::<u32>().ok()).filter(|_| kind == "devpts") else {
        return Ok(());
    };
    let inside = |m: &IdMapping| gid >= m.container_id && gid - m.container_id < m.size;
    if !b.users.new || b.spec.linux.gid_mappings.iter().any(inside) {
        return Ok(());
    }
    let text = format!("group {gid} is not mapped by /linux/gidMappings, so no terminal can belong to it");
    Err(problem(&format!("{from}/options"), text))
}

/// What a mount is for, by what it is.
fn purpose(kind: &str, path: &str, bind: bool) -> &'static str {
    match (kind, path) {
        _ if bind => "the configuration shows this part of the host to the container",
        ("proc", _) => "the container sees its own processes in it, and no others",
        ("sysfs", _) => "it shows devices and drivers; the network part is the container's own",
        ("tmpfs", "/dev") => "an empty directory for the few devices that the container gets",
        ("devpts", _) => "terminals of the container's own, numbered from 0, apart from the host's",
        ("tmpfs", "/dev/shm") => "POSIX shared memory lies here, and counts against the container alone",
        ("mqueue", _) => "POSIX message queues of the IPC namespace",
        ("cgroup", _) => "the container sees its limits and its use",
        ("tmpfs", _) => "scratch space in memory that ends with the container",
        _ => "the configuration asks for this file system",
    }
}

/// Lets init stand where the mount's name begins, with the directories for it. Says whether they were made.
fn stand(b: &mut Builder, m: &Wanted) -> Result<bool, Problem> {
    let Place::Under { base, path } = &m.at else {
        return Ok(false);
    };
    let (bind, remount, cgroup) = (m.options.bind, m.options.remount, m.kind == "cgroup");
    let parent = b.tree.covered.iter().rev().find(|covered| covered.slot == Some(*base));
    let made = parent.is_some_and(|covered| covered.empty) && !remount && !bind;
    if made {
        make_directories(b, m.from, *base, path)?;
    }
    if !bind && !cgroup || remount || cgroup && has_cgroup_namespace(b) {
        b.enter(Init::Mounts, m.from, *base);
    }
    Ok(made)
}

/// Directories below a tmpfs that this plan has just made: they are there only if the plan made them.
fn make_directories(b: &mut Builder, from: &str, base: Slot, path: &CString) -> Result<(), Problem> {
    let path = path.to_string_lossy();
    let ends = path.match_indices('/').map(|(at, _)| at).chain([path.len()]);
    for directory in ends.map(|end| &path[..end]) {
        if b.len() > MOST {
            return Err(too_long());
        }
        if !b.tree.made.iter().any(|(at, name)| *at == base && name == directory) {
            let op = Devices::Directory { base, name: c(from, directory)?, mode: 0o755 };
            b.init(Init::Mounts, from, op, "the new tmpfs is empty, and a mount needs a directory to lie on");
            b.tree.made.push((base, directory.into()));
        }
    }
    Ok(())
}

fn data(m: &Wanted) -> Result<Option<CString>, Problem> {
    match m.options.data.as_str() {
        "" => Ok(None),
        data => c(m.from, data).map(Some),
    }
}

/// A remount: of a file system that is the container's, or of the mount alone where others use that file system too.
/// One that makes /dev read-only waits until what belongs there is made.
fn remount(b: &mut Builder, m: Wanted) -> Result<(), Problem> {
    let alone = m.options.bind || covering(b.spec, &m.path) != Covering::Own;
    if alone && !m.options.data.is_empty() {
        let text = format!("`{}` would change a file system that others use too", m.options.data);
        return Err(problem(&format!("{}/options", m.from), text));
    }
    let bind = if alone { MountFlags::MS_BIND } else { MountFlags::NONE };
    let by_descriptor = matches!(m.at, Place::Rootfs { .. });
    let op = Mounts::Remount { data: data(&m)?, flags: m.options.flags | MountFlags::MS_REMOUNT | bind, at: m.at };
    if m.path == "/dev" && m.options.flags.has(MountFlags::MS_RDONLY) {
        b.init(Init::ReadonlyDev, m.from, op, m.why);
        return Ok(());
    }
    b.init(Init::Mounts, m.from, op, m.why);
    if by_descriptor {
        b.stands_nowhere();
    }
    Ok(())
}

/// A tmpfs is made writable, and its mount read-only afterwards, as with runc: others may be bound from it. /dev
/// becomes read-only when all is made in it.
fn readonly_later(b: &mut Builder, m: &mut Wanted) {
    let options = &mut m.options;
    if options.bind || !matches!(m.kind, "tmpfs" | "ramfs") {
        return;
    }
    if options.flags.has(MountFlags::MS_RDONLY) {
        options.flags = options.flags.without(MountFlags::MS_RDONLY);
        options.recursive.set |= attr::RDONLY;
    }
    if m.path == "/dev" && options.recursive.set & attr::RDONLY != 0 {
        options.recursive.set &= !attr::RDONLY;
        let at = Place::Under { base: Slot::DEV, path: c".".into() };
        let attributes = Attributes { set: attr::RDONLY, ..Attributes::default() };
        let why = "the option `ro`, late, because devices and links had to be made first";
        b.init(Init::ReadonlyDev, m.from, Mounts::Alter { at, attributes }, why);
    }
}

fn bind(b: &mut Builder, mount: &spec::Mount, m: &Wanted) -> Result<(), Problem> {
    let tree = b.slot();
    let mut attributes = m.options.attributes;
    // The copy of the source is a peer of the host's mount: unless it becomes a slave, what is mounted below it inside
    // appears on the host (mount_namespaces(7), "Shared subtrees"). Where the whole root is shared with the host, so is
    // this mount.
    let with_host = b.spec.linux.rootfs_propagation.ends_with("shared");
    let propagation = attributes.propagation;
    if propagation == MountFlags::NONE || propagation == MountFlags::MS_SHARED && !with_host {
        (attributes.propagation, attributes.recursive) = (MountFlags::MS_SLAVE, true);
    }
    let idmap = sources::idmap(b, mount, &m.options, m.from)?;
    let source = match m.source.starts_with('/') {
        true => m.source.into(),
        false => format!("{}/{}", b.wish.bundle, m.source),
    };
    sources::open(b, m.from, &source, &m.options, (idmap, attributes, tree))?;
    let kind = match (m.options.copy_link, m.options.target_as_it_is) {
        (true, _) => Kind::Copy,
        (_, true) => Kind::AsSourceHere,
        _ => Kind::AsSource,
    };
    b.init(Init::Mounts, m.from, Mounts::Attach { at: m.at.clone(), tree, kind, open: m.open }, m.why);
    Ok(())
}

/// Without a cgroup namespace the container sees its own cgroup as a piece of the host's tree.
fn cgroup_tree(b: &mut Builder, m: &Wanted) -> Result<(), Problem> {
    if !b.wish.cgroup {
        let text = "a cgroup mount needs a cgroup namespace, or a cgroup, which --cgroup-manager disabled denies";
        return Err(problem(&format!("{}/type", m.from), text));
    }
    let tree = b.slot();
    let attributes = Attributes { propagation: MountFlags::MS_PRIVATE, ..m.options.attributes };
    let why = "without a cgroup namespace a new mount would show the host's whole tree: this one shows the container's cgroup";
    b.host(Host::CgroupTree, m.from, Mounts::OpenCgroup { attributes, tree }, why);
    let op = Mounts::Attach { at: m.at.clone(), tree, kind: Kind::Directory, open: None };
    b.init(Init::Mounts, m.from, op, m.why);
    Ok(())
}

/// A new file system. `made`: its directory was made for it.
fn file_system(b: &mut Builder, m: &Wanted, made: bool) -> Result<(), Problem> {
    let kind = match m.kind {
        "" => return Err(problem(&format!("{}/type", m.from), "a mount that is no bind needs a type")),
        "cgroup" => "cgroup2",
        kind => kind,
    };
    let source = if m.source.is_empty() { kind } else { m.source };
    let has_mode = m.options.data.split(',').any(|word| word.starts_with("mode="));
    let op = Mounts::Mount(FileSystem {
        at: m.at.clone(),
        source: c(m.from, source)?,
        kind: c(m.from, kind)?,
        flags: m.options.flags,
        data: data(m)?,
        open: m.open,
        copy_up: m.options.copy_up,
        keep_mode: kind == "tmpfs" && !m.options.copy_up && !made && !has_mode,
    });
    b.init(Init::Mounts, m.from, op, m.why);
    if matches!(m.at, Place::Rootfs { .. }) {
        b.stands_nowhere();
    }
    Ok(())
}

/// What can be said only of the mount as it stands.
fn alter(b: &mut Builder, m: &Wanted) {
    let options = &m.options;
    // A bind is made a slave before it is shared inside: so its mounts do not reach the host.
    let propagation = match options.bind && options.attributes.propagation != MountFlags::MS_SHARED {
        true => MountFlags::NONE,
        false => options.attributes.propagation,
    };
    let below = options.recursive != Attributes::default();
    if propagation != MountFlags::NONE || below {
        let recursive = options.attributes.recursive || below;
        let attributes = Attributes { propagation, recursive, ..options.recursive };
        let why = "these options hold for the mount as it lies there, and for all mounts below it";
        b.init(Init::Mounts, m.from, Mounts::Alter { at: m.at.clone(), attributes }, why);
    }
}

/// Later lines find the mount in the tree.
fn cover(b: &mut Builder, m: Wanted) {
    let Wanted { from, path, at, kind, options, open, .. } = m;
    // With `tmpcopyup` the image decides what is in a tmpfs.
    let fresh = !options.bind && !options.copy_up && matches!(kind, "proc" | "sysfs" | "tmpfs");
    b.tree.cover(Covered {
        path: path.clone(),
        slot: open,
        fresh: fresh && open.is_some(),
        empty: fresh && kind == "tmpfs",
        lent: options.bind || !OWN.contains(&kind),
    });
    // `rootfsPropagation` with an `r` goes to all mounts: what one of them asks for itself is set again after it.
    let Attributes { propagation, recursive, .. } = options.attributes;
    if propagation != MountFlags::NONE && b.spec.linux.rootfs_propagation.starts_with('r') && path != "/" {
        let attributes = Attributes { propagation, recursive, ..Attributes::default() };
        b.tree.propagated.push(Propagated { path, from: from.into(), at, attributes });
    }
}
