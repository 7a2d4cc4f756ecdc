//! config.json's `mounts`: option words into flags, and each mount into plan lines, in the order listed
//! (config.md, "Mounts"). May touch: types and tables.

pub mod options;
mod side_by_side;

use super::create::mapping;
use super::op::{self, Attributes, Kind, Mounts, Namespaces, Place, Slot, Users};
use super::{Builder, MOST, Problem, Step, c, devices, system, too_long};
use crate::spec::{self, IdMapping, NamespaceKind};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use libc::{MS_BIND, MS_PRIVATE, MS_RDONLY, MS_REMOUNT, MS_SHARED, MS_SLAVE};
use options::{attr, understand};

/// A place in the container that an earlier mount of this plan covers.
pub struct Covered {
    /// Absolute and clean: `/dev`.
    pub path: String,
    /// Open, if later lines work below it.
    pub slot: Option<Slot>,
    /// Made by this plan and reachable by nobody else: names below it mean what they say.
    pub fresh: bool,
    /// An empty tmpfs: directories below it are there only if this plan made them.
    pub empty: bool,
    /// A file system that others use too: a bind, or one that lies on a disk. Devices and links are not made in it.
    pub lent: bool,
}

/// File systems that begin with the container, or whose upper layer is the container's.
pub const OWN: [&str; 3] = ["tmpfs", "ramfs", "overlay"];

/// `path` without double slashes, `.` and trailing slashes. `..` cannot be taken out without looking at links.
pub fn clean(path: &str) -> String {
    let mut out = String::with_capacity(path.len() + 1);
    for part in path.split('/').filter(|p| !p.is_empty() && *p != ".") {
        out.push('/');
        out.push_str(part);
    }
    if out.is_empty() { String::from("/") } else { out }
}

/// The remainder of `path` below `base`, both clean.
pub fn below<'a>(path: &'a str, base: &str) -> Option<&'a str> {
    path.strip_prefix(base)?.strip_prefix('/')
}

/// A mount is made at `new`'s place: what was there, and below, is hidden from now on.
fn cover(covered: &mut Vec<Covered>, new: Covered) {
    if new.path == "/" {
        covered.clear();
        return;
    }
    covered.retain(|m| m.path != new.path && below(&m.path, &new.path).is_none());
    // Of what is not fresh only that counts which hides a part of something fresh: a thousand binds cost no search each.
    let hides = |m: &Covered| m.fresh && below(&new.path, &m.path).is_some();
    if new.fresh || new.path == "/dev" || covered.iter().any(hides) {
        covered.push(new);
    }
}

/// Where `path` is, as seen after the mounts so far.
pub fn place(covered: &[Covered], path: &str, links: bool) -> Result<Place, &'static str> {
    let path = clean(path);
    let over = covered.iter().filter(|m| below(&path, &m.path).is_some()).max_by_key(|m| m.path.len());
    let fresh = over.filter(|m| m.fresh && path.split('/').all(|part| part != ".."));
    if let Some(Covered { slot: Some(base), path: above, .. }) = fresh {
        let rest = below(&path, above).unwrap_or(".");
        return Ok(Place::Under { base: *base, path: c(rest)? });
    }
    let relative = if path == "/" { "." } else { &path[1..] };
    Ok(Place::Rootfs { path: c(relative)?, links })
}

/// Plans every mount. `sources` go to the host lane, the rest to the init lane.
pub fn plan(b: &mut Builder, mounts: &[spec::Mount]) -> Result<(), Problem> {
    let mut i = 0;
    while let Some(mount) = mounts.get(i) {
        b.step = Step::Mounts;
        match side_by_side::count(b, &mounts[i..]) {
            0 => {
                one(b, mount, super::entry("/mounts", i))?;
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

/// Plans one mount. `pointer`: its place in config.json.
pub fn one(b: &mut Builder, mount: &spec::Mount, pointer: String) -> Result<(), Problem> {
    let own_cgroup_namespace = spec::namespace(&b.spec.linux, &NamespaceKind::Cgroup).is_some();
    let nul = |problem: &str| Problem { pointer: format!("{pointer}/destination"), problem: problem.into() };
    let mut o = understand(mount, &pointer)?;
    let path = destination(&mount.destination);
    // Both names mean the container's own cgroup, which cgroup2 does to the kernel only in a cgroup namespace.
    let kind = match mount.kind.as_str() {
        "cgroup2" => "cgroup",
        kind => kind,
    };
    let mut source = mount.source.as_deref().unwrap_or("");
    if let Some(host) = lent(b, kind, own_cgroup_namespace).filter(|_| !o.bind && !o.remount) {
        source = host;
        (o.bind, o.recursive_bind) = (true, true);
        o.data.clear();
        o.recursive.set |= attr::RDONLY;
    }
    check_terminals(b, kind, &o.data, &pointer)?;
    let has_mode = o.data.split(',').any(|word| word.starts_with("mode="));
    if !o.bind && !o.remount {
        system::mount_label(b, kind, &mut o.data)?;
    }
    let trusted_kind = matches!(kind, "proc" | "sysfs");
    let at = place(&b.covered, &path, !trusted_kind).map_err(nul)?;
    let why = purpose(kind, &path, o.bind);
    b.step = Step::Mounts;
    b.from = pointer.clone();
    let mut made = false;
    if let Place::Under { base, path: name } = &at {
        let parent = b.covered.iter().rev().find(|m| m.slot == Some(*base));
        if parent.is_some_and(|m| m.empty) && !o.remount {
            made = !o.bind;
            make_directories(b, *base, name, o.bind)?;
        }
        if !o.bind && kind != "cgroup" || o.remount || kind == "cgroup" && own_cgroup_namespace {
            b.enter(*base);
        }
    }
    let standard = match path.as_str() {
        "/proc" if kind == "proc" => Some(Slot::PROC),
        "/dev" => Some(Slot::DEV),
        "/sys" if kind == "sysfs" => Some(Slot::SYS),
        // What is mounted there is the root from then on.
        "/" => Some(Slot::ROOTFS),
        _ => None,
    };
    let data = if o.data.is_empty() { None } else { Some(c(&o.data).map_err(nul)?) };
    if o.remount {
        return remount(b, at, &path, &o, data, why);
    }
    // A tmpfs is made writable, and its mount then read-only, as runc has it: others may be bound from it.
    let in_memory = matches!(kind, "tmpfs" | "ramfs") && !o.bind;
    if in_memory && o.flags & MS_RDONLY != 0 {
        o.flags &= !MS_RDONLY;
        o.recursive.set |= attr::RDONLY;
    }
    if in_memory && path == "/dev" && o.recursive.set & attr::RDONLY != 0 {
        o.recursive.set &= !attr::RDONLY;
        readonly_dev(b);
    }
    if !o.bind && !mount.uid_mappings.is_empty() {
        return Err(Problem {
            pointer: format!("{pointer}/uidMappings"),
            problem: "is for a bind mount: a new file system belongs to the container as it is".into(),
        });
    }
    let mut propagation = o.attributes.propagation;
    if o.bind {
        let tree = b.slot();
        let mut attributes = o.attributes;
        // The source's copy is a peer of the host's mount: without this, what is mounted below it inside
        // would appear on the host (mount_namespaces(7), "Shared subtrees").
        // But where the whole root is to be shared with the host, so is this (rootfsPropagation).
        let with_host = b.spec.linux.rootfs_propagation.ends_with("shared");
        if propagation == 0 || propagation == MS_SHARED && !with_host {
            (attributes.propagation, attributes.recursive) = (MS_SLAVE, true);
        }
        let idmap = idmap(b, mount, &o, &pointer)?;
        let source = if source.starts_with('/') { source.into() } else { format!("{}/{source}", b.bundle) };
        open_source(b, &source, &o, (idmap, attributes, tree)).map_err(nul)?;
        let kind = match (o.copy_link, o.target_as_it_is) {
            (true, _) => Kind::Copy,
            (_, true) => Kind::AsSourceHere,
            _ => Kind::AsSource,
        };
        b.init(Mounts::Attach { at: at.clone(), tree, kind, open: standard }, why);
        // A slave first, and only then shared with what is inside: so the host stays apart.
        if propagation != MS_SHARED {
            propagation = 0;
        }
    } else if kind == "cgroup" && !own_cgroup_namespace && !b.wish.cgroup {
        let problem =
            "a cgroup mount needs a cgroup namespace, or a cgroup, which --cgroup-manager disabled denies".into();
        return Err(Problem { pointer: format!("{pointer}/type"), problem });
    } else if kind == "cgroup" && !own_cgroup_namespace {
        let tree = b.slot();
        let attributes = Attributes { propagation: MS_PRIVATE, ..o.attributes };
        b.step = Step::Cgroup;
        let op = Mounts::OpenCgroup { attributes, tree };
        b.after_cgroup
            .push(b.line(op, "without a cgroup namespace the container sees its own cgroup, not the host's tree"));
        b.step = Step::Mounts;
        b.init(Mounts::Attach { at: at.clone(), tree, kind: Kind::Directory, open: None }, why);
    } else {
        let kind = if kind == "cgroup" { "cgroup2" } else { kind };
        if kind.is_empty() {
            return Err(Problem {
                pointer: format!("{pointer}/type"),
                problem: "a mount that is no bind needs a type".into(),
            });
        }
        let source = if source.is_empty() { kind } else { source };
        let op = Mounts::Mount {
            at: at.clone(),
            source: c(source).map_err(nul)?,
            kind: c(kind).map_err(nul)?,
            flags: o.flags as u32,
            data,
            open: standard,
            copy_up: o.copy_up,
            keep_mode: kind == "tmpfs" && !o.copy_up && !made && !has_mode,
        };
        b.init(op, why);
    }
    own_propagation(b, &path, &at, &o.attributes);
    if propagation != 0 || o.recursive != Attributes::default() {
        let attributes = Attributes { propagation, recursive: true, ..o.recursive };
        let recursive = o.attributes.recursive || o.recursive != Attributes::default();
        b.init(
            Mounts::Alter { at, attributes: Attributes { recursive, ..attributes } },
            "these options speak of the mount as it stands, with all below it",
        );
    }
    // What is copied into a tmpfs comes from the image.
    let fresh = !o.bind && !o.copy_up && matches!(kind, "proc" | "sysfs" | "tmpfs");
    let new = Covered {
        path,
        slot: standard,
        fresh: fresh && standard.is_some(),
        empty: fresh && kind == "tmpfs",
        lent: o.bind || !OWN.contains(&kind),
    };
    if let Some(slot) = standard {
        b.made.retain(|(base, _)| *base != slot);
    }
    b.mounted = true;
    cover(&mut b.covered, new);
    Ok(())
}

/// A destination: `/` in all its spellings is one.
fn destination(path: &str) -> String {
    let path = clean(path);
    match path.split('/').all(|part| matches!(part, "" | "..")) {
        true => "/".into(),
        false => path,
    }
}

/// A remount: of a file system that is the container's, or of the mount alone where others use that file system too. One
/// that makes /dev read-only waits until what belongs there is made.
fn remount(
    b: &mut Builder,
    at: Place,
    path: &str,
    o: &options::Options,
    data: Option<CString>,
    why: &'static str,
) -> Result<(), Problem> {
    let alone = o.bind || !devices::is_own(b.spec, path);
    if alone && let Some(data) = data {
        let text = data.to_string_lossy();
        return Err(Problem {
            pointer: format!("{}/options", b.from),
            problem: format!("`{text}` would change a file system that others use too"),
        });
    }
    let bind = if alone { MS_BIND } else { 0 };
    let flags = (o.flags | MS_REMOUNT | bind) as u32;
    let waits = path == "/dev" && o.flags & MS_RDONLY != 0;
    let op = Mounts::Remount { at, flags, data };
    match waits {
        true => {
            let line = b.line_of(Step::Paths, op, why);
            b.late.push(line);
        }
        false => b.init(op, why),
    }
    Ok(())
}

/// How many sources are held open at once: a caller may have no more than 1024 descriptors.
const MOST_HELD: usize = 128;

/// A bind's source: opened by the host; by init just before it is attached if it lies in what earlier mounts may have
/// changed, or if many are held already.
fn open_source(
    b: &mut Builder,
    source: &str,
    o: &options::Options,
    (idmap, attributes, tree): (Option<(Slot, bool)>, Attributes, Slot),
) -> Result<(), &'static str> {
    let inside = inside(b, source).filter(|_| b.mounted);
    let in_rootfs = inside.is_some();
    let op = Mounts::OpenSource {
        path: c(inside.as_deref().unwrap_or(source))?,
        in_rootfs,
        recursive: o.recursive_bind,
        link: o.source_as_it_is || o.copy_link,
        idmap,
        attributes,
        tree,
    };
    if in_rootfs {
        let why = "the source lies in the rootfs, where the mounts before this one count";
        b.init(op, why);
    } else if b.held >= MOST_HELD && reached_by_init(b, source, o) {
        let why = "many sources are open already: this one is opened just before it is attached";
        b.init(op, why);
    } else {
        b.held += 1;
        let why = "the source is opened here: inside, host paths mean nothing";
        b.source(op, why);
    }
    Ok(())
}

/// Whether init, which sees the host's tree until the switch of root, finds the same source there as the host does.
fn reached_by_init(b: &Builder, source: &str, o: &options::Options) -> bool {
    let copied = b.new_namespace(NamespaceKind::Mount);
    let rights = b.users.inside || !(b.users.new || b.users.joined);
    let apart = !b.spec.linux.rootfs_propagation.ends_with("shared");
    // What /proc shows depends on who looks.
    let source = plain_path(source);
    let fixed = source != "/proc" && below(&source, "/proc").is_none();
    // The rootfs is attached by then, over `/` or where it lies: a tree that holds that place would hold it too.
    let above = source == "/" || source == b.rootfs || below(&b.rootfs, &source).is_some();
    copied && rights && apart && fixed && !(o.recursive_bind && above)
}

/// A path without `.` and `..`, as if no part of it were a link.
pub fn plain_path(path: &str) -> String {
    let odd = path.contains("/.") || path.contains("//") || path.ends_with('/');
    if !odd {
        return path.into();
    }
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

/// A source's path from the root of the container, if it lies in the rootfs. (Where that is the host's `/`, all does, and
/// sources are the host's.)
pub fn inside(b: &Builder, source: &str) -> Option<String> {
    let source = plain_path(source);
    match source == b.rootfs {
        _ if b.rootfs == "/" => None,
        true => Some(".".into()),
        false => below(&source, &b.rootfs).map(String::from),
    }
}

/// `rootfsPropagation` with an `r` goes to all mounts: what one of them asks for itself is set again after it.
fn own_propagation(b: &mut Builder, path: &str, at: &Place, own: &Attributes) {
    b.own_propagation.retain(|(other, _)| other != path && path != "/" && below(other, path).is_none());
    if own.propagation == 0 || !b.spec.linux.rootfs_propagation.starts_with('r') || path == "/" {
        return;
    }
    let op = Mounts::Alter {
        at: at.clone(),
        attributes: Attributes { propagation: own.propagation, recursive: own.recursive, ..Attributes::default() },
    };
    let why = "the mount asks for a propagation of its own, which that of the root does not override";
    let line = b.line_of(Step::Pivot, op, why);
    b.own_propagation.push((path.into(), line));
}

/// When all is made in it, as runc has it.
fn readonly_dev(b: &mut Builder) {
    let op = Mounts::Alter {
        at: Place::Under { base: Slot::DEV, path: c".".into() },
        attributes: Attributes { set: attr::RDONLY, ..Attributes::default() },
    };
    let why = "the option `ro`, now that devices and links are made";
    b.late.push(b.line_of(Step::Paths, op, why));
}

/// What the host lends where the kernel makes no new one: sysfs shows the network, and so belongs to the owner of the
/// network namespace; a cgroup tree can be copied only by who may mount.
fn lent(b: &Builder, kind: &str, own_cgroup_namespace: bool) -> Option<&'static str> {
    match kind {
        "sysfs" if b.users.foreign() && !b.new_namespace(NamespaceKind::Network) => Some("/sys"),
        "cgroup" if own_cgroup_namespace => None,
        "cgroup" if b.users.inside || b.users.limited && !b.wish.cgroup => Some("/sys/fs/cgroup"),
        _ => None,
    }
}

/// devpts gives terminals to a group: one that nobody is inside is EINVAL, and says no more.
fn check_terminals(b: &Builder, kind: &str, data: &str, pointer: &str) -> Result<(), Problem> {
    let gid = data.split(',').find_map(|word| word.strip_prefix("gid="));
    let Some(gid) = gid.and_then(|gid| gid.parse::<u32>().ok()).filter(|_| kind == "devpts") else {
        return Ok(());
    };
    let inside = |m: &IdMapping| gid >= m.container_id && gid - m.container_id < m.size;
    if !b.users.new || b.spec.linux.gid_mappings.iter().any(inside) {
        return Ok(());
    }
    Err(Problem {
        pointer: format!("{pointer}/options"),
        problem: format!("group {gid} is not mapped by /linux/gidMappings, so no terminal can belong to it"),
    })
}

/// The namespace whose ids a bind mount is to show: made from the mount's own mappings, or the container's.
fn idmap(
    b: &mut Builder,
    mount: &spec::Mount,
    o: &options::Options,
    pointer: &str,
) -> Result<Option<(Slot, bool)>, Problem> {
    let own = !mount.uid_mappings.is_empty();
    let (recursive, uids, gids) = match &o.idmap {
        Some((recursive, uids, gids)) if !uids.is_empty() => (*recursive, uids, gids),
        Some((recursive, ..)) if own => (*recursive, &mount.uid_mappings, &mount.gid_mappings),
        None if own => (false, &mount.uid_mappings, &mount.gid_mappings),
        None => return Ok(None),
        Some((recursive, ..)) if b.users.new => (*recursive, &b.spec.linux.uid_mappings, &b.spec.linux.gid_mappings),
        Some((recursive, ..)) if b.users.joined => {
            let user = |(i, _): &&(usize, Slot)| {
                b.spec.linux.namespaces.get(*i).is_some_and(|n| n.kind == NamespaceKind::User)
            };
            return Ok(b.joined.iter().find(user).map(|(_, slot)| (*slot, *recursive)));
        }
        Some(_) => {
            return Err(Problem {
                pointer: format!("{pointer}/options"),
                problem: "idmap needs uidMappings and gidMappings of the mount, or a user namespace".into(),
            });
        }
    };
    let (uids, gids) = (mapping(uids), mapping(gids));
    if let Some((.., slot)) = b.mappings.iter().find(|(u, g, _)| *u == uids && *g == gids) {
        return Ok(Some((*slot, recursive)));
    }
    let slot = b.slot();
    if b.mappings.is_empty() {
        let from = core::mem::take(&mut b.from);
        b.host(
            Step::Sources,
            Namespaces::OpenHostProc,
            "mappings are written through a /proc that was checked to be procfs",
        );
        b.from = from;
    }
    b.mappings.push((uids.clone(), gids.clone(), slot));
    b.host(
        Step::Sources,
        Users::MappingNamespace { uids, gids, slot },
        "the kernel takes a mapping of ids in the form of a user namespace that has it",
    );
    Ok(Some((slot, recursive)))
}

/// Directories below a tmpfs that this plan has just made: they cannot be there unless the plan made them.
fn make_directories(b: &mut Builder, base: Slot, path: &CString, bind: bool) -> Result<(), Problem> {
    if bind {
        return Ok(());
    }
    let text = path.to_string_lossy().into_owned();
    let mut so_far = String::new();
    let parts: Vec<&str> = text.split('/').collect();
    for part in parts {
        if !so_far.is_empty() {
            so_far.push('/');
        }
        so_far.push_str(part);
        if b.plan.init.len() > MOST {
            return Err(too_long());
        }
        let known = (base, so_far.clone());
        if !b.made.contains(&known) {
            let name = c(&so_far).map_err(|p| Problem { pointer: b.from.clone(), problem: p.into() })?;
            b.init(
                op::Devices::Directory { base, name, mode: 0o755 },
                "the fresh tmpfs is empty, and a mount needs a directory to stand on",
            );
            b.made.push(known);
        }
    }
    Ok(())
}

/// What a mount is for, by what it is.
fn purpose(kind: &str, path: &str, bind: bool) -> &'static str {
    match (kind, path) {
        _ if bind => "a piece of the host that the configuration lends to the container",
        ("proc", _) => "the container's own processes, and no others, can be seen in it",
        ("sysfs", _) => "devices and drivers can be looked at; the network part is the container's own",
        ("tmpfs", "/dev") => "an empty place for the few devices that the container gets",
        ("devpts", _) => "terminals of its own, numbered from 0, apart from the host's",
        ("tmpfs", "/dev/shm") => "POSIX shared memory lives here, and counts against the container alone",
        ("mqueue", _) => "POSIX message queues of the new IPC namespace",
        ("cgroup", _) => "the container can see its own limits",
        ("tmpfs", _) => "scratch space in memory that ends with the container",
        _ => "the configuration asks for this file system",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_paths() {
        for (from, to) in [("/", "/"), ("", "/"), ("//a/./b//", "/a/b"), ("dev", "/dev")] {
            assert_eq!(clean(from), to);
        }
    }

    #[test]
    fn the_last_mount_on_a_place_counts() {
        let covered = |fresh, slot| Covered { path: "/dev".into(), slot, fresh, empty: fresh, lent: !fresh };
        let fresh = covered(true, Some(Slot::DEV));
        let over = covered(false, Some(Slot::DEV));
        let is_under = |all: &[Covered]| {
            let at = place(all, "/dev/pts", true).unwrap_or_else(|p| panic!("{p}"));
            matches!(at, Place::Under { .. })
        };
        let mut all = alloc::vec![fresh];
        assert!(is_under(&all));
        all.push(over);
        assert!(!is_under(&all));
        all.push(covered(true, Some(Slot::DEV)));
        assert!(is_under(&all));
    }
}
