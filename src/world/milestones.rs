//! The milestones on the way to a container, found in the calls of any runtime: by what the calls have changed, not by who makes
//! them. May touch: the state.

use super::World;
use super::change::{Change, Kind};
use super::deed::Deed;
use super::mounts::within;
use super::process::{MNT, Process, USER};
use crate::packed::packed;
use crate::sorted::{self, Table};

/// A milestone that the calls have reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Milestone {
    pub name: &'static str,
    /// The calls that belong to it, by their places in the list.
    pub deeds: Vec<usize>,
}

/// What is told of a milestone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    pub name: &'static str,
    /// `The cgroup is made`.
    pub title: &'static str,
    /// Why a runtime does it, and what would go wrong without it.
    pub why: &'static str,
}

/// All milestones that there are, in the order in which most runtimes reach them.
pub fn all() -> impl Iterator<Item = Told> {
    let entries = packed!("world/milestones.txt").split("\n\n");
    entries.filter_map(|entry| {
        let (head, why) = entry.trim().split_once('\n')?;
        let (name, title) = head.split_once(": ")?;
        Some(Told { name, title, why })
    })
}

/// What is told of the milestone with this name.
pub fn told(name: &str) -> Option<Told> {
    all().find(|told| told.name == name)
}

/// What one call has done.
struct Step {
    deed: usize,
    pid: i32,
    call: String,
    /// The flags of `mount`.
    flags: String,
    /// It opens a file, and not to write it.
    reads: bool,
    changes: Vec<Change>,
    /// The mounts that it has changed, and whether each is read-only now.
    mounts: Vec<(u32, bool)>,
}

/// The container's first process when it executes its program.
#[derive(Default)]
struct Born {
    pid: i32,
    /// The place of its last call that counts.
    deed: usize,
    process: Process,
    /// Its mounts, and the milestone of each.
    mounts: Table<u32, &'static str>,
    /// The mount at its root.
    root: u32,
    /// The cgroups that it and its line were put into: with cgroup v1 each controller has its own.
    groups: Vec<String>,
    /// The processes that it comes from, itself included.
    line: Vec<i32>,
    /// Those of them that are in its mount namespace.
    kin: Vec<i32>,
}

/// The milestones that these calls reach, in the order of their first calls.
pub fn milestones(deeds: &[Deed]) -> Vec<Milestone> {
    let mut world = World::default();
    let mut steps = Vec::new();
    // The processes that have got another root.
    let mut rooted: Vec<i32> = Vec::new();
    let mut born: Option<Born> = None;
    for (place, deed) in deeds.iter().enumerate() {
        let executes = ["execve", "execveat"].contains(&deed.name) && deed.failed.is_none();
        let parent = world.process(deed.pid).map_or(0, |process| process.maker);
        let own = rooted.contains(&deed.pid);
        if executes
            && (own || rooted.contains(&parent))
            && born.as_ref().is_none_or(|born| own && !rooted.contains(&born.pid))
        {
            born = Some(snapshot(&world, deed.pid, place));
        }
        let changes = world.take(deed);
        if ["pivot_root", "chroot"].contains(&deed.name) && deed.failed.is_none() {
            rooted.push(deed.pid);
        }
        // One that hangs nowhere yet is no step on the way.
        let kept = |change: &Change| change.kind == Kind::Mount && change.space > 0;
        let number = |change: &Change| change.key.parse().ok();
        let read_only = |id: u32| (id, world.mount(id).is_some_and(|mount| mount.flags.contains(&"ro")));
        let mounts = changes.iter().filter(|change| kept(change)).filter_map(number).map(read_only).collect();
        if deed.failed.is_none() {
            let flags = if deed.name == "mount" { deed.arg(3).into() } else { String::new() };
            let reads =
                deed.name.starts_with("open") && !["O_WRONLY", "O_CREAT", "O_PATH"].iter().any(|flag| deed.has(flag));
            steps.push(Step { deed: place, pid: deed.pid, call: deed.name.into(), flags, reads, changes, mounts });
        }
    }
    // Without a program: as far as it has come.
    let last = || rooted.first().map(|pid| snapshot(&world, *pid, deeds.len()));
    match born.or_else(last) {
        Some(born) => found(&steps, &Born { groups: groups(&steps, &born), ..born }),
        None => found(&steps, &Born { deed: deeds.len(), ..Born::default() }),
    }
}

/// The cgroups that the line of the first process was put into. All are below the root of the hierarchy.
fn groups(steps: &[Step], born: &Born) -> Vec<String> {
    let changes = steps.iter().filter(|step| step.deed <= born.deed).flat_map(|step| &step.changes);
    let put = changes.filter(|change| change.kind == Kind::Member && born.line.contains(&change.pid));
    let put = put.filter_map(|change| change.now.clone()).chain([born.process.cgroup.clone()]);
    let mut all: Vec<String> = put.filter(|group| !["", "/"].contains(&group.as_str())).collect();
    sorted::sort(&mut all);
    all.dedup();
    all
}

fn snapshot(world: &World, pid: i32, deed: usize) -> Born {
    let mut line = Vec::new();
    let mut next = pid;
    while let Some(process) = world.process(next).filter(|_| !line.contains(&next)) {
        line.push(next);
        next = process.maker;
    }
    let space = |pid: &i32| world.process(*pid).map(|process| process.spaces[MNT]);
    let kin = line.iter().copied().filter(|other| space(other) == space(&pid)).collect();
    let mut mounts = Table::default();
    for branch in world.branches(pid) {
        if let Some(mount) = world.mount(branch.id) {
            mounts.insert(branch.id, of_mount(&branch.path, &mount.kind, &mount.root));
        }
    }
    Born {
        pid,
        deed,
        process: world.process(pid).cloned().unwrap_or_default(),
        mounts,
        root: world.standing(pid).map_or(0, |standing| standing.root.mount),
        groups: Vec::new(),
        line,
        kin,
    }
}

/// The milestone that a mount of the finished container belongs to.
fn of_mount(path: &str, kind: &str, root: &str) -> &'static str {
    let below = |top: &str| path != top && within(path, top);
    match (path, kind) {
        ("/", _) => "rootfs",
        ("/proc", _) => "proc",
        ("/sys", _) => "sysfs",
        ("/dev", _) => "dev",
        (_, "devpts") => "devpts",
        (_, "cgroup2" | "cgroup") => "cgroupfs",
        ("/sys/fs/cgroup", _) => "cgroupfs",
        _ if below("/proc") || below("/sys") => match kind {
            "proc" | "sysfs" => "readonly",
            "tmpfs" if root == "/" => "masks",
            _ if root.ends_with("/null") => "masks",
            _ => "mounts",
        },
        _ if below("/dev") && ["", "devtmpfs"].contains(&kind) => "devices",
        _ => "mounts",
    }
}

fn found(steps: &[Step], born: &Born) -> Vec<Milestone> {
    let mut all: Vec<Milestone> = Vec::new();
    for step in steps.iter().filter(|step| step.deed <= born.deed) {
        for name in names(step, born) {
            match all.iter_mut().find(|found| found.name == name) {
                // An id is taken when it is set for the last time, and the root is that which is set last.
                Some(found) if ["ids", "root", "old-root"].contains(&name) => found.deeds = vec![step.deed],
                Some(found) if found.deeds.last() == Some(&step.deed) => {}
                Some(found) => found.deeds.push(step.deed),
                None => all.push(Milestone { name, deeds: vec![step.deed] }),
            }
        }
    }
    sorted::by(&mut all, |a, b| (a.deeds.first(), a.name) < (b.deeds.first(), b.name));
    all
}

/// The milestones that one call belongs to.
fn names(step: &Step, born: &Born) -> Vec<&'static str> {
    let mut all = Vec::new();
    let ours = born.kin.contains(&step.pid);
    for change in &step.changes {
        all.extend(of_change(step, change, born));
    }
    // A new namespace copies mounts, and makes none.
    let mounts = step.call.contains("mount") || step.call == "pivot_root";
    for (id, read_only) in step.mounts.iter().filter(|_| mounts && !spreads(&step.flags)) {
        match born.mounts.get(id) {
            Some(&"rootfs") if step.call == "pivot_root" => continue,
            Some(&"rootfs") if *read_only => all.push("readonly-root"),
            Some(&"readonly") if !read_only => continue,
            Some(name) => all.push(name),
            None => continue,
        };
    }
    match step.call.as_str() {
        "setresuid" | "setreuid" | "setuid" | "setgroups" | "setresgid" | "setregid" | "setgid" if ours => {
            all.push("ids");
        }
        "capset" if ours => all.push("capabilities"),
        "keyctl" if born.line.contains(&step.pid) => all.push("keyring"),
        "execve" | "execveat" if step.deed == born.deed => all.push("program"),
        _ => {}
    }
    all
}

/// The milestone that a change belongs to.
fn of_change(step: &Step, change: &Change, born: &Born) -> Option<&'static str> {
    let now = change.now.as_deref().unwrap_or("");
    let (ours, in_line) = (born.kin.contains(&change.pid), born.line.contains(&change.pid));
    match change.kind {
        Kind::Descriptor if step.reads && now.ends_with("/config.json") => Some("config"),
        Kind::Cgroup if now == "made" => {
            let holds = |group: &String| within(group, &change.key);
            (born.groups.is_empty() || born.groups.iter().any(holds)).then_some("cgroup")
        }
        Kind::Cgroup => of_limit(&change.key, &born.groups),
        Kind::Member if in_line && !now.is_empty() => Some("joined-cgroup"),
        Kind::Namespace if change.space > 8 && born.process.spaces.contains(&change.space) => match now {
            _ if now.starts_with("joined") => Some("joined-namespaces"),
            _ => Some("namespaces"),
        },
        Kind::Setting if ["uid_map", "gid_map"].contains(&change.key.as_str()) => {
            (change.space == 0 || change.space == born.process.spaces[USER]).then_some("mappings")
        }
        Kind::Setting if change.key == "hostname" && in_line => Some("hostname"),
        Kind::Setting if change.key.contains('.') => Some("sysctl"),
        Kind::Mount if change.path == "/" && spreads(&step.flags) && in_line => {
            let own = change.key.parse().is_ok_and(|id: u32| id == born.root);
            (!own).then_some("propagation")
        }
        Kind::Mount if change.now.is_none() && ours && born.root != 0 => Some("old-root"),
        Kind::File if now.contains("device") => Some("devices"),
        Kind::Place if change.key == "root" && ours && change.parent == born.root => Some("root"),
        Kind::Right if ours && ["bounding", "effective", "permitted", "ambient"].contains(&change.key.as_str()) => {
            (step.call == "prctl").then_some("capabilities")
        }
        Kind::Right if change.key == "no_new_privs" && in_line => Some("no-new-privs"),
        Kind::Right if change.key == "seccomp filters" && in_line => Some("seccomp"),
        // A runtime can raise its own limits meanwhile: those that the program has count.
        Kind::Right if change.key.starts_with("RLIMIT_") && in_line => {
            let now = born.process.rights.limits.get(&change.key);
            (now.map(String::as_str) == change.now.as_deref()).then_some("rlimits")
        }
        _ => None,
    }
}

/// The milestone that a write into a file of a cgroup belongs to.
fn of_limit(key: &str, groups: &[String]) -> Option<&'static str> {
    let (group, file) = key.rsplit_once('/')?;
    if !groups.iter().any(|own| within(group, own)) {
        return None;
    }
    match file {
        "devices" | "devices.allow" | "devices.deny" => Some("device-limits"),
        "freezer.state" => None,
        // Below /cpuset, with cgroup v1, the parent's are copied: no process can join before.
        "cpuset.cpus" | "cpuset.mems" if within(group, "/cpuset") => None,
        _ if file.starts_with("cgroup.") => None,
        _ => Some("limits"),
    }
}

/// Whether flags of `mount` say how mounts spread.
fn spreads(flags: &str) -> bool {
    flags.split('|').any(|flag| ["MS_SLAVE", "MS_PRIVATE", "MS_SHARED", "MS_UNBINDABLE"].contains(&flag))
}
