//! Why a cgroup could not be made, limited or entered (the kernel's admin-guide/cgroup-v2.rst). May touch: system calls, the
//! cgroup hierarchy, procfs.

use super::{Found, Scene, facts, path};
use crate::host::cgroup::{self, Setting};
use crate::host::input::c;
use crate::host::mountinfo::below;
use crate::host::procfs;
use crate::outcome::{Check, Trouble};
use crate::plan::Slot;
use crate::plan::op::{Cgroup, Op};
use syscalls::{AccessFlags, AccessMode, At, AtFlags, Errno, Stat, Why};

const LOOK: Why = Why("the cause of the failure is looked for in the cgroups above");

pub fn of(scene: &Scene) -> Option<Found> {
    let Op::Cgroup(op) = &scene.line?.op else {
        return None;
    };
    if scene.trouble == Trouble::Check(Check::Systemd) {
        return Some(systemd(scene.said));
    }
    if scene.failed().is_some_and(|failed| failed.call.name() == "connect") {
        return Some(Found::new("no systemd", &[]));
    }
    let root = cgroup::open_root().ok()??;
    let (root, path) = (root.at(), path_of(scene)?);
    match (op, scene.trouble) {
        (_, Trouble::Check(Check::CgroupFrozen)) => frozen(root, &path),
        (_, Trouble::Check(Check::CgroupPopulated)) => populated(root, &path),
        (Cgroup::Set { setting }, Trouble::Check(Check::OutOfMemory)) => Some(out_of_memory(root, &path, setting)),
        (Cgroup::Make { .. }, Trouble::Call(failed)) => not_made(root, &path, failed.errno),
        (Cgroup::EnableControllers { needed, .. }, Trouble::Call(failed)) => {
            needed.iter().find_map(|name| controller(root, &path, name, failed.errno))
        }
        (Cgroup::NeedController { name, .. }, Trouble::Call(failed)) => controller(root, &path, name, failed.errno),
        (Cgroup::Set { setting }, Trouble::Call(failed)) => limit(root, &path, setting, failed.errno),
        _ => None,
    }
}

/// Which cgroup lets no process of this container run.
pub fn not_running(scene: &Scene) -> Option<Found> {
    let root = cgroup::open_root().ok()?.filter(|_| scene.trouble == Trouble::Check(Check::CgroupFrozen))?;
    frozen(root.at(), &path_of(scene)?)
}

/// The container's cgroup, from the root of the hierarchy.
fn path_of(scene: &Scene) -> Option<String> {
    let of_line = |op: &Op| match op {
        Op::Cgroup(Cgroup::Make { path, .. } | Cgroup::StartScope { path, .. }) => {
            Some(path.to_string_lossy().into_owned())
        }
        _ => None,
    };
    let own = scene.line.and_then(|line| of_line(&line.op));
    own.or_else(|| scene.lanes?.plan.lines().find_map(|line| of_line(&line.op))).or_else(|| open_path(scene))
}

/// The path of the cgroup that the lanes have open, where no line makes it.
fn open_path(scene: &Scene) -> Option<String> {
    let lanes = scene.lanes.filter(|lanes| lanes.has(Slot::CGROUP))?;
    path_in(cgroup::open_root().ok()??.at(), lanes.at(Slot::CGROUP))
}

/// The path of an open cgroup from the root of the hierarchy.
fn path_in(root: At, group: At) -> Option<String> {
    let (root, path) = (path::name_of(root)?, path::name_of(group)?);
    Some(path.strip_prefix(&root)?.trim_matches('/').into())
}

/// Which cgroup is frozen: this one, or one above it.
pub fn stopped(group: At) -> Option<Found> {
    let root = cgroup::open_root().ok()??;
    frozen(root.at(), &path_in(root.at(), group)?)
}

/// A cgroup and those above it, up to the root, which is `.`.
fn upward(path: &str) -> impl Iterator<Item = &str> {
    cgroup::upward(path).chain(core::iter::once("."))
}

/// A file of a cgroup. `None`: it has no such file.
fn text(root: At, group: &str, file: &str) -> Option<String> {
    let text = cgroup::read(root, &c(&format!("{group}/{file}")).ok()?, LOOK).ok()?;
    Some(text.trim_end().into())
}

fn has_word(text: &str, word: &str) -> bool {
    text.split_whitespace().any(|one| one == word)
}

/// The name of a cgroup in a message: from the root of the hierarchy.
fn shown(group: &str) -> String {
    format!("/{}", group.trim_start_matches(['.', '/']))
}

/// Its directory, as this process sees it.
fn directory(root: At, group: &str) -> String {
    path::name_of(root).unwrap_or_default() + &shown(group)
}

fn stat(root: At, path: &str) -> Option<Stat> {
    syscalls::newfstatat(root, &c(path).ok()?, AtFlags::NONE, LOOK).ok()
}

/// Why a cgroup could not be made.
pub fn not_made(root: At, path: &str, errno: Errno) -> Option<Found> {
    let above = upward(path).skip(1).find(|group| stat(root, group).is_some())?;
    match errno {
        Errno::EROFS => Some(Found::new("cgroups read-only", &[&shown(path)])),
        Errno::EACCES | Errno::EPERM => not_delegated(root, above),
        Errno::EINVAL if path.contains('\n') => Some(Found::new("line break", &[&shown(path)])),
        Errno::EAGAIN => upward(above).find_map(|group| full(root, group, path)),
        _ => None,
    }
}

/// What will stop a cgroup at this path, and these controllers for it, before anything is made.
pub fn planned(path: &str, needed: &[String]) -> Option<Found> {
    let root = cgroup::open_root().ok()??;
    let root = root.at();
    let above = upward(path).skip(1).find(|group| stat(root, group).is_some())?;
    let wanted =
        |why| syscalls::faccessat2(root, &c(above).ok()?, AccessMode::W_OK, AccessFlags::AT_EACCESS, why).err();
    let refused = wanted(Why("the container's cgroup will be made there"));
    let stopped = refused.and_then(|failed| not_made(root, path, failed.errno));
    let stopped =
        stopped.or_else(|| frozen(root, path)).or_else(|| upward(above).find_map(|group| full(root, group, path)));
    stopped.or_else(|| needed.iter().find_map(|name| controller_planned(root, path, name)))
}

fn controller_planned(root: At, path: &str, name: &str) -> Option<Found> {
    if !has_word(&text(root, ".", "cgroup.controllers")?, name) {
        return Some(no_controller(name));
    }
    let group = upward(path).skip(1).filter(|group| *group != ".").find(|group| {
        let hands_down = text(root, group, "cgroup.subtree_control").is_some_and(|all| has_word(&all, name));
        !hands_down && text(root, group, "cgroup.procs").is_some_and(|pids| !pids.is_empty())
    })?;
    Some(inner_processes(root, group, name))
}

fn inner_processes(root: At, group: &str, name: &str) -> Found {
    let pids = text(root, group, "cgroup.procs").unwrap_or_default();
    let pids: Vec<i32> = pids.lines().filter_map(|line| line.parse().ok()).collect();
    Found::new("inner processes", &[&shown(group), name, &procfs::named(&pids)])
}

/// The cgroup belongs to another user.
pub fn not_delegated(root: At, group: &str) -> Option<Found> {
    let (owner, own) = (stat(root, group)?.st_uid, syscalls::auxv(libc::AT_EUID));
    (u64::from(owner) != own)
        .then(|| Found::new("not delegated", &[&shown(group), &owner.to_string(), &own.to_string()]))
}

/// A limit on the number of cgroups below this one, or on their depth, for one at `path`.
fn full(root: At, group: &str, path: &str) -> Option<Found> {
    let limit = |file| text(root, group, file)?.parse::<u64>().ok();
    let levels = |path: &str| path.split('/').filter(|name| !matches!(*name, "" | ".")).count() as u64;
    let count = cgroup::keyed(&text(root, group, "cgroup.stat")?, "nr_descendants ");
    if let Some(most) = limit("cgroup.max.descendants").filter(|most| count >= *most) {
        return Some(Found::new("too many cgroups", &[&shown(group), &most.to_string(), &directory(root, group)]));
    }
    let most = limit("cgroup.max.depth").filter(|most| levels(path).saturating_sub(levels(group)) > *most)?;
    Some(Found::new("cgroups too deep", &[&shown(group), &most.to_string(), &directory(root, group)]))
}

/// Which cgroup is frozen.
pub fn frozen(root: At, path: &str) -> Option<Found> {
    let is_frozen = |group: &&str| text(root, group, "cgroup.freeze").as_deref() == Some("1");
    let group = upward(path).find(is_frozen)?;
    Some(Found::new("frozen", &[&shown(group), &directory(root, group)]))
}

/// Which processes are in a cgroup.
pub fn populated(root: At, path: &str) -> Option<Found> {
    let group = cgroup::open(root, &c(path).ok()?, LOOK).ok()??;
    let pids = cgroup::processes(group.at(), LOOK).ok()?;
    Some(Found::new("populated", &[&shown(path), &procfs::named(&pids)]))
}

/// Which processes keep a cgroup from being removed.
pub fn left(root: At, path: &str) -> Option<Found> {
    let group = cgroup::open(root, &c(path).ok()?, LOOK).ok()??;
    let pids = cgroup::processes(group.at(), LOOK).ok().filter(|pids| !pids.is_empty())?;
    Some(Found::new("left in the cgroup", &[&shown(path), &procfs::named(&pids), &directory(root, path)]))
}

/// Which cgroup does not hand a controller down, and why.
pub fn controller(root: At, path: &str, name: &str, errno: Errno) -> Option<Found> {
    if !has_word(&text(root, ".", "cgroup.controllers")?, name) {
        return Some(no_controller(name));
    }
    let mut above: Vec<&str> = upward(path).skip(1).collect();
    above.reverse();
    let hands_down = |group: &&str| text(root, group, "cgroup.subtree_control").is_some_and(|all| has_word(&all, name));
    let group = above.into_iter().find(|group| !hands_down(group))?;
    let at = shown(group);
    match errno {
        Errno::EBUSY => Some(inner_processes(root, group, name)),
        Errno::EACCES | Errno::EPERM => not_delegated(root, group),
        Errno::EOPNOTSUPP => Some(Found::new("threaded above", &[&at, name])),
        Errno::EROFS => Some(Found::new("cgroups read-only", &[&shown(path)])),
        _ => None,
    }
}

/// A controller that the hierarchy does not have: version 1 has it, or the kernel was started without it, or built without.
pub fn no_controller(name: &str) -> Found {
    // subsys_name, hierarchy, num_cgroups, enabled; the version 2 hierarchy has the number 0.
    let text = path::host().and_then(|host| path::text(host.at(), "proc/cgroups")).unwrap_or_default();
    let line =
        text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|line| line.first() == Some(&name));
    match line.as_deref() {
        Some([_, _, _, "0"]) => Found::new("controller switched off", &[name]),
        Some([_, number, ..]) if *number != "0" => Found::new("controller of version 1", &[name]),
        _ => Found::new("no controller", &[name]),
    }
}

/// A value that a file of the cgroup does not take.
pub fn limit(root: At, path: &str, setting: &Setting, errno: Errno) -> Option<Found> {
    let (file, value) = (setting.file.to_string_lossy(), String::from_utf8_lossy(&setting.value));
    let device = value.split([' ', '=']).next().filter(|_| value.contains(':'));
    match (errno, device) {
        (Errno::ENOENT, _) => Some(Found::new("no such limit", &[&file])),
        (Errno::ENODEV | Errno::ENXIO, Some(device)) => Some(Found::new("no such block device", &[device, &file])),
        (Errno::EACCES | Errno::EPERM, _) => not_delegated(root, &format!("{path}/{file}")),
        (Errno::EINVAL | Errno::ERANGE | Errno::ENOSPC, _) if file.starts_with("cpuset.") => {
            let (above, has) = effective(root, path, &file)?;
            Some(Found::new("cpuset", &[&file, &value, &above, &has]))
        }
        (Errno::EBUSY, _) if file.starts_with("memory.") => {
            let used = text(root, path, "memory.current")?;
            Some(Found::new("memory in use", &[&file, &value, &used]))
        }
        (Errno::EINVAL, _) if file.starts_with("cpu.weight") && text(root, path, "cpu.idle")? == "1" => {
            Some(Found::new("idle", &[&file]))
        }
        (Errno::EINVAL | Errno::ERANGE | Errno::ENOSPC, _) => Some(match facts::since("bounds", &file) {
            Some(bounds) => Found::new("out of bounds", &[&file, &value, bounds]),
            None => Found::new("value refused", &[&file, &value, &text(root, path, &file).unwrap_or_default()]),
        }),
        _ => None,
    }
}

/// A value that a file will not take, before there is a cgroup at this path.
pub fn limit_planned(path: &str, setting: &Setting) -> Option<Found> {
    let root = cgroup::open_root().ok()??;
    let (root, file) = (root.at(), setting.file.to_string_lossy());
    let value = String::from_utf8_lossy(&setting.value);
    if let Some((device, _)) = value.split_once([' ', '=']).filter(|(device, _)| device.contains(':')) {
        let there = path::exists_at(At::CWD, &format!("/sys/dev/block/{device}"));
        return (!there).then(|| Found::new("no such block device", &[device, &file]));
    }
    if let Some((wanted, there)) = lists(&file, &value) {
        let (above, has) = effective(root, path, &file)?;
        return (!within(&wanted, &there)).then(|| Found::new("cpuset", &[&file, &value, &above, &has]));
    }
    let bounds = facts::since("bounds", &file)?;
    (!facts::is_within(bounds, &value)).then(|| Found::new("out of bounds", &[&file, &value, bounds]))
}

/// A cgroup above with a lower limit: its name, and what it has.
pub fn lower_above(path: &str, setting: &Setting) -> Option<(String, String)> {
    let root = cgroup::open_root().ok()??;
    let (root, file) = (root.at(), setting.file.to_string_lossy());
    let value = String::from_utf8_lossy(&setting.value);
    if let Some((wanted, _)) = lists(&file, &value) {
        let (above, has) = effective(root, path, &file)?;
        return (!within(&wanted, &numbers(&has)?)).then_some((above, has));
    }
    if !matches!(&*file, "memory.max" | "memory.high" | "memory.swap.max" | "pids.max") {
        return None;
    }
    let wanted = value.parse().unwrap_or(u64::MAX);
    upward(path).skip(1).find_map(|group| {
        let has = text(root, group, &file)?;
        (has.parse::<u64>().ok()? < wanted).then(|| (shown(group), has))
    })
}

/// What the next cgroup above has of processors or memory nodes: its name, and the list.
fn effective(root: At, path: &str, file: &str) -> Option<(String, String)> {
    let has = |group| Some((shown(group), text(root, group, &format!("{file}.effective"))?));
    upward(path).skip(1).find_map(has)
}

/// The processors or memory nodes of a value, and those of this machine.
fn lists(file: &str, value: &str) -> Option<(Ranges, Ranges)> {
    let possible = match file {
        "cpuset.cpus" => "/sys/devices/system/cpu/possible",
        "cpuset.mems" => "/sys/devices/system/node/possible",
        _ => return None,
    };
    Some((numbers(value)?, numbers(&path::text(At::CWD, possible)?)?))
}

type Ranges = Vec<(u32, u32)>;

/// `0-3,7`, as the kernel writes a list.
fn numbers(list: &str) -> Option<Ranges> {
    let range = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        Some((first.trim().parse().ok()?, last.trim().parse().ok()?))
    };
    list.trim().split(',').map(range).collect()
}

fn within(wanted: &Ranges, there: &Ranges) -> bool {
    wanted.iter().all(|(first, last)| there.iter().any(|(from, to)| from <= first && last <= to))
}

/// The limit was too low to build the container.
fn out_of_memory(root: At, path: &str, setting: &Setting) -> Found {
    let peak = text(root, path, "memory.peak").unwrap_or_else(|| "more".into());
    Found::new("memory too low", &[&String::from_utf8_lossy(&setting.value), &peak])
}

/// An answer of systemd's, and what helps.
pub fn systemd(said: &str) -> Found {
    let has = |words: &str| said.contains(words);
    let name = match () {
        _ if has("systemd listens") => "no systemd",
        _ if has("already exists") || has("already loaded") => "unit exists",
        _ if has("authentication required") || has("Access denied") || has("Permission denied") => "systemd denies",
        _ if has("nknown property") || has("Cannot set property") => "systemd too old",
        _ => "systemd refuses",
    };
    Found::new(name, &[said])
}

/// Why a process could not begin in the container's cgroup: clone3 with CLONE_INTO_CGROUP.
pub fn not_entered(scene: &Scene) -> Option<Found> {
    let errno = scene.failed()?.errno;
    let root = cgroup::open_root().ok()??;
    let (root, path) = (root.at(), path_of(scene)?);
    match errno {
        Errno::EOPNOTSUPP => {
            let threaded =
                |group: &&str| text(root, group, "cgroup.type").is_some_and(|kind| kind.contains("threaded"));
            Some(Found::new(
                "threaded",
                &[&shown(&path), &shown(upward(&path).find(threaded)?), &directory(root, &path)],
            ))
        }
        Errno::EBUSY => {
            let controllers = text(root, &path, "cgroup.subtree_control").filter(|all| !all.is_empty())?;
            Some(Found::new("hands down", &[&shown(&path), &controllers]))
        }
        Errno::EACCES => {
            let own = procfs::cgroup_of(syscalls::record::own_pid()).ok()?;
            let common = upward(&path).find(|group| *group == "." || below(own.trim_matches('/'), group).is_some())?;
            let owner = stat(root, &format!("{common}/cgroup.procs"))?.st_uid.to_string();
            Some(Found::new("no way between cgroups", &[&own, &shown(&path), &shown(common), &owner]))
        }
        _ => None,
    }
}

/// The container's cgroup, this process's, or one above has as many processes as it may have.
pub fn processes(scene: &Scene) -> Option<Found> {
    let root = cgroup::open_root().ok()??;
    let own = procfs::cgroup_of(syscalls::record::own_pid()).unwrap_or_default();
    let container = path_of(scene).unwrap_or_default();
    let full = |group: &&str| {
        let number = |file| text(root.at(), group, file)?.parse::<u64>().ok();
        number("pids.max").zip(number("pids.current")).is_some_and(|(most, count)| count >= most)
    };
    let group = upward(&container).chain(upward(&own)).find(full)?;
    let most = text(root.at(), group, "pids.max")?;
    Some(Found::new("pids.max reached", &[&shown(group), &most, &directory(root.at(), group)]))
}
