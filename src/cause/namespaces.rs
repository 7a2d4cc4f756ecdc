//! Why a namespace cannot be made or joined: limits and switches of the kernel, rights, and files that are no namespace of that kind
//! (namespaces(7), user_namespaces(7)). May touch: plan types, system calls.

use super::path::{self, End};
use super::rights::{self, Person};
use super::scene::{Found, Scene};
use super::{cgroup, sizes, users};
use crate::host::mountinfo;
use crate::outcome::Lane;
use crate::plan::namespaces::flag;
use crate::plan::op::Namespaces;
use crate::spec::{NamespaceKind, Spec};
use syscalls::{At, Call, CloneFlags, Errno, OpenFlags, Why};

const PROCESSES: u32 = 6;
/// No more processes are asked for their namespaces.
const ASKED: usize = 4096;

/// In the order in which the kernel checks their limits: the first limit that is reached makes the call fail.
const KINDS: [NamespaceKind; 8] = [
    NamespaceKind::User,
    NamespaceKind::Mount,
    NamespaceKind::Uts,
    NamespaceKind::Ipc,
    NamespaceKind::Pid,
    NamespaceKind::Cgroup,
    NamespaceKind::Network,
    NamespaceKind::Time,
];

/// The lines that make, open and join namespaces.
pub fn of(scene: &Scene, op: &Namespaces) -> Option<Found> {
    let errno = scene.failed()?.errno;
    match op {
        Namespaces::Clone { flags, .. } | Namespaces::CloneBridge { flags } => cloned(scene, *flags, errno),
        Namespaces::Unshare { flags } => made(scene.spec, *flags, errno),
        Namespaces::Open { path, kind, .. } => not_opened(&path.to_string_lossy(), kind, errno),
        Namespaces::Join { slot, kind, flags } => {
            let file = scene.lanes.map(|lanes| lanes.at(*slot))?;
            not_joined(scene, file, kind, *flags, errno)
        }
        _ => None,
    }
}

/// A tree of mounts that is attached nowhere yet is in a mount namespace of its own, which counts.
pub fn of_trees(scene: &Scene) -> Option<Found> {
    let failed = scene.failed().filter(|failed| failed.errno == Errno::ENOSPC)?;
    let detached = ["open_tree", "fsmount"].contains(&failed.call.name());
    let made = || made(scene.spec, CloneFlags::CLONE_NEWNS, failed.errno);
    if detached && users::sysctl("user/max_mnt_namespaces") == Some(0) { made() } else { None }
}

/// A clone, with new namespaces or without.
fn cloned(scene: &Scene, flags: CloneFlags, errno: Errno) -> Option<Found> {
    if errno != Errno::EAGAIN {
        return made(scene.spec, flags, errno);
    }
    cgroup::processes(scene).or_else(many_processes)
}

/// The caller's user may not have one more process.
fn many_processes() -> Option<Found> {
    let (most, _) = syscalls::prlimit64_ask(PROCESSES, Why("the limit of processes may be reached")).ok()?;
    let person = Person::of(0)?;
    let now = sizes::processes_of(person.uid)?;
    let values = [person.user(), format!("{now}"), format!("{most}")];
    let found = || Found::new("caller's processes", &values.each_ref().map(String::as_str)).of("RLIMIT_NPROC");
    (now >= most).then(found)
}

/// Why new namespaces of these kinds are refused. `spec`: for the pointers.
pub fn made(spec: Option<&Spec>, flags: CloneFlags, errno: Errno) -> Option<Found> {
    let wanted = || KINDS.iter().filter(|kind| flags.has(flag(kind)) && flag(kind) != CloneFlags::NONE);
    let placed = |kind: &NamespaceKind, found: Found| match spec.and_then(|spec| position(spec, kind)) {
        Some(at) => found.at(format!("/linux/namespaces/{at}")),
        None => found,
    };
    match errno {
        Errno::EINVAL | Errno::ENOSYS => {
            // Without procfs nothing is known of namespaces.
            path::exists_at(At::CWD, "/proc/self/ns/mnt").then_some(())?;
            let absent = wanted().find(|kind| !path::exists_at(At::CWD, &format!("/proc/self/ns/{}", name(kind))))?;
            Some(placed(absent, Found::new("no such namespaces", &[absent.word()])))
        }
        Errno::ENOSPC | Errno::EUSERS => {
            let zero = |kind: &&NamespaceKind| users::sysctl(&setting(kind)) == Some(0);
            if let Some(kind) = wanted().find(zero) {
                let file = setting(kind).replace('/', ".");
                return Some(placed(kind, Found::new("namespaces forbidden", &[kind.word(), &file])));
            }
            wanted().find_map(|kind| reached(kind).map(|found| placed(kind, found))).or_else(|| outer(wanted().next()?))
        }
        Errno::EPERM | Errno::EACCES => refused(flags, errno),
        _ => None,
    }
}

/// Why the new namespaces of a configuration would be refused, before anything is made: a limit that is 0, a kernel without
/// them, or, for a caller that is not root, a switch. `None`: nothing is known against them.
pub fn planned(spec: &Spec, uid: u32) -> Option<Found> {
    let new = spec.linux.namespaces.iter().filter(|namespace| namespace.joined().is_none());
    let flags = new.fold(CloneFlags::NONE, |flags, namespace| flags | flag(&namespace.kind));
    let wanted = || KINDS.iter().filter(|kind| flags.has(flag(kind)));
    made(Some(spec), flags, Errno::EINVAL).or_else(|| {
        let zero = wanted().any(|kind| users::sysctl(&setting(kind)) == Some(0));
        match zero {
            true => made(Some(spec), flags, Errno::ENOSPC),
            false if uid != 0 && flags.has(CloneFlags::CLONE_NEWUSER) => switched_off(),
            false => None,
        }
    })
}

fn position(spec: &Spec, kind: &NamespaceKind) -> Option<usize> {
    spec.linux.namespaces.iter().position(|namespace| namespace.kind == *kind)
}

/// The kernel's short name, as in /proc/PID/ns.
fn name(kind: &NamespaceKind) -> &str {
    match kind {
        NamespaceKind::Mount => "mnt",
        NamespaceKind::Network => "net",
        other => other.word(),
    }
}

fn setting(kind: &NamespaceKind) -> String {
    format!("user/max_{}_namespaces", name(kind))
}

/// So many namespaces of the kind are there that the limit is reached.
fn reached(kind: &NamespaceKind) -> Option<Found> {
    let most = users::sysctl(&setting(kind))?;
    let now = count(name(kind))?;
    let file = setting(kind).replace('/', ".");
    let values = [&format!("{now}"), kind.word(), &file, &format!("{most}")];
    (now >= most).then(|| Found::new("namespaces at limit", &values))
}

/// How many namespaces of a kind processes are in.
fn count(kind: &str) -> Option<u64> {
    let all = sizes::pids()?;
    let mut found = alloc::collections::BTreeSet::new();
    found.extend(all.into_iter().take(ASKED).filter_map(|pid| users::link(pid, &format!("ns/{kind}"))));
    Some(found.len() as u64)
}

/// The limit that is reached is one of an outer user namespace, which cannot be read from here.
fn outer(kind: &NamespaceKind) -> Option<Found> {
    let nested = users::link(0, "ns/user")? != rights::FIRST;
    let file = setting(kind).replace('/', ".");
    let name = if nested { "namespaces at an outer limit" } else { "namespaces at a limit" };
    Some(Found::new(name, &[kind.word(), &file]))
}

/// No right to make namespaces, or a switch against user namespaces.
fn refused(flags: CloneFlags, errno: Errno) -> Option<Found> {
    let person = Person::of(0)?;
    let may = person.has(rights::SYS_ADMIN);
    let user = flags.has(CloneFlags::CLONE_NEWUSER);
    if !user && !may {
        return Some(rights::lacking(0, "making namespaces", "CAP_SYS_ADMIN")?.at("/linux/namespaces"));
    }
    let doing = if user { "new user namespaces" } else { "new namespaces" };
    let calls = [Call::CLONE3, Call::named("unshare")];
    let outer = calls.into_iter().find_map(|call| rights::filtered(0, doing, call, errno));
    if outer.is_some() || !user {
        return outer;
    }
    if let Some(found) = (!may).then(switched_off).flatten() {
        return Some(found);
    }
    if users::map_of(0, "uid_map").is_none_or(|map| users::outside(&map, person.uid).is_none()) {
        return Some(Found::new("caller without an id", &[]));
    }
    // A security module can refuse it as well. Where there is none, the kernel has one reason left. SELinux without a policy
    // calls each process `kernel`, and refuses nothing.
    let label = users::of_process(0, "attr/current").unwrap_or_default();
    let free = matches!(label.trim_matches(['\0', '\n', ' ']), "" | "unconfined" | "kernel");
    (errno == Errno::EPERM && free).then(|| Found::new("user namespaces in a chroot", &[]))
}

/// A switch against user namespaces of ordinary users.
fn switched_off() -> Option<Found> {
    if users::sysctl("kernel/unprivileged_userns_clone") == Some(0) {
        return Some(Found::new("user namespaces switched off", &["kernel.unprivileged_userns_clone", "1"]));
    }
    let restricted = users::sysctl("kernel/apparmor_restrict_unprivileged_userns") == Some(1);
    restricted.then(|| Found::new("user namespaces by AppArmor", &[]))
}

/// The file of a namespace to join.
fn not_opened(file: &str, kind: &str, errno: Errno) -> Option<Found> {
    let root = path::host()?;
    let pid = file.strip_prefix("/proc/").and_then(|rest| rest.split('/').next()?.parse::<u32>().ok());
    if let (Some(pid), Errno::ENOENT | Errno::ESRCH) = (pid, errno) {
        let pid = format!("{pid}");
        return match path::exists_at(At::CWD, &format!("/proc/{pid}/ns")) {
            false => Some(Found::new("process of a namespace is gone", &[kind, &pid])),
            true => Some(Found::new("no such file of a namespace", &[kind, file])),
        };
    }
    // Links of procfs, such as /proc/self, cannot be walked by hand.
    if file.starts_with("/proc/") && errno == Errno::ENOENT {
        return Some(Found::new("no such file of a namespace", &[kind, file]));
    }
    match (path::walk(root.at(), file)?.end, errno) {
        (End::Missing { path }, Errno::ENOENT) if path == file => {
            Some(Found::new("no such file of a namespace", &[kind, file]))
        }
        (End::Missing { path }, Errno::ENOENT) => Some(Found::new("no way to a namespace", &[kind, file, &path])),
        (_, Errno::EACCES | Errno::EPERM) => Some(Found::new("namespace not allowed", &[kind, file])),
        _ => None,
    }
}

/// setns(2) is refused.
fn not_joined(scene: &Scene, file: At, kind: &str, flags: CloneFlags, errno: Errno) -> Option<Found> {
    let name = name_of(file)?;
    let wanted = KINDS.iter().find(|kind| flag(kind) == flags).map(self::name)?;
    let path = asked(scene, kind);
    let is = name.split_once(":[").map(|(is, _)| is);
    match (errno, is) {
        (Errno::EINVAL, None) => Some(Found::new("no namespace", &[&path, kind])),
        (Errno::EINVAL, Some(is)) if is != wanted => Some(Found::new("other namespace", &[&path, is, wanted])),
        (Errno::EINVAL, Some("user")) => Some(Found::new("own user namespace", &[&path])),
        (Errno::EINVAL, Some("pid")) => Some(Found::new("pid namespace outside", &[&path])),
        (Errno::EPERM, Some(_)) => {
            let pid = if scene.lane == Lane::Host { 0 } else { scene.pid };
            let own = Person::of(pid).is_some_and(|person| !person.has(rights::SYS_ADMIN));
            match own {
                true => rights::lacking(pid, "joining a namespace", "CAP_SYS_ADMIN"),
                false => Some(Found::new("foreign namespace", &[&path, kind])),
            }
        }
        _ => None,
    }
}

/// The name of a namespace, such as `net:[4026531840]`. The link of an open file has the path of a bind mount of it in place of
/// its name, and the list of mounts has the name.
fn name_of(file: At) -> Option<String> {
    let name = path::name_of(file)?;
    if name.contains(":[") {
        return Some(name);
    }
    let mounts = mountinfo::of(syscalls::record::own_pid()).ok()?;
    let bound = mounts.into_iter().rfind(|mount| mount.kind == "nsfs" && mount.target == name);
    Some(bound.map_or(name, |mount| mount.root))
}

/// The path that config.json has for a namespace.
fn asked(scene: &Scene, kind: &str) -> String {
    let all = scene.spec.map_or(&[][..], |spec| &spec.linux.namespaces);
    let one = all.iter().find(|namespace| namespace.kind.word() == kind);
    one.and_then(|namespace| namespace.joined()).unwrap_or("the namespace").into()
}

/// Why a namespace that the configuration names cannot be joined, before anything is made.
pub fn joinable(file: &str, kind: &NamespaceKind) -> Option<Found> {
    let path = crate::host::input::c(file).ok()?;
    let why = Why("the kind of a namespace stands in its name");
    match syscalls::openat(At::CWD, &path, OpenFlags::O_NONBLOCK | OpenFlags::O_NOCTTY, why) {
        Err(failed) => not_opened(file, kind.word(), failed.errno),
        Ok(opened) => {
            let link = name_of(opened.at())?;
            match link.split_once(":[") {
                None => Some(Found::new("no namespace", &[file, kind.word()])),
                Some((is, _)) if is != name(kind) => Some(Found::new("other namespace", &[file, is, name(kind)])),
                Some(_) => None,
            }
        }
    }
}
