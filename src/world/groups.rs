//! Writes that change the world: into files of cgroups, mappings of ids, settings below /proc/sys; the names of a host. May
//! touch: the state.

use super::change::{Change, Kind};
use super::deed::Deed;
use super::mounts::Place;
use super::process::{USER, UTS};
use super::rights::{OVERFLOW, UNKNOWN};
use super::state::{How, World};
use crate::sorted::Table;

/// Where cgroups lie.
const TOP: &str = "/sys/fs/cgroup";

/// Takes a call that writes a setting. Whether it is one.
pub fn take(world: &mut World, deed: &Deed, out: &mut Vec<Change>) -> bool {
    match deed.name {
        "write" | "pwrite64" => written(world, deed, out),
        "sethostname" | "setdomainname" => {
            let key = if deed.name == "sethostname" { "hostname" } else { "domainname" };
            set(world, deed.pid, UTS, key, deed.text(0).unwrap_or_default(), out);
        }
        "bpf" if deed.arg(0) == "BPF_PROG_ATTACH" => {
            let fd = super::words::member(deed.arg(1), "target_fd").and_then(super::words::number).unwrap_or(-1);
            let name = world.file(deed.pid, fd as i32).map(|object| object.name.to_string());
            if let Some(name) = name {
                let path = path(&name).to_string();
                put(world, deed.pid, &path, "devices", "a program decides", out);
            }
        }
        "rmdir" | "unlinkat" if deed.name == "rmdir" || deed.has("AT_REMOVEDIR") => removed(world, deed, out),
        _ => return false,
    }
    true
}

/// A cgroup by the path of its directory.
pub fn path(name: &str) -> &str {
    let inner = name.strip_prefix(TOP).unwrap_or(name);
    let inner = inner.strip_prefix("/unified").unwrap_or(inner);
    if inner.is_empty() { "/" } else { inner }
}

/// Whether a place lies in a file system of cgroups.
pub fn is_group(world: &World, place: &Place, name: &str) -> bool {
    world.mount(place.mount).is_some_and(|mount| mount.kind.starts_with("cgroup")) || super::mounts::within(name, TOP)
}

/// A cgroup is there.
pub fn made(world: &mut World, pid: i32, name: &str, out: &mut Vec<Change>) {
    let path = path(name).to_string();
    if world.cgroups.get(&path).is_none() {
        world.cgroups.insert(path.clone(), Table::default());
    }
    out.push(Change::new(Kind::Cgroup, pid, path, Some("made".into())));
}

fn removed(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let (from, path) = match deed.name {
        "rmdir" => (libc::AT_FDCWD, deed.text(0)),
        _ => (deed.fd(0), deed.text(1)),
    };
    let Some(place) = world.locate(deed.pid, from, &path.unwrap_or_default(), How::PLAIN) else { return };
    let name = world.name(deed.pid, &place);
    let group = self::path(&name).to_string();
    if is_group(world, &place, &name) && world.cgroups.remove(&group).is_some() {
        out.push(Change::new(Kind::Cgroup, deed.pid, group, None));
    }
}

/// Sets what belongs to a namespace.
fn set(world: &mut World, pid: i32, kind: usize, key: &str, value: String, out: &mut Vec<Change>) {
    let Some(number) = world.process(pid).map(|process| process.spaces[kind]) else { return };
    let Some(space) = world.space_mut(number) else { return };
    space.settings.insert(key.into(), value.clone());
    out.push(Change { space: number, ..Change::new(Kind::Setting, pid, key, Some(value)) });
}

/// Writes into a file of a cgroup.
fn put(world: &mut World, pid: i32, group: &str, file: &str, value: &str, out: &mut Vec<Change>) {
    match world.cgroups.get_mut(group) {
        Some(files) => files.insert(file.into(), value.into()),
        // One that was there before.
        None => {
            let mut files = Table::default();
            files.insert(file.into(), value.into());
            world.cgroups.insert(group.into(), files);
        }
    }
    let key = format!("{}/{file}", group.trim_end_matches('/'));
    out.push(Change::new(Kind::Cgroup, pid, key, Some(value.into())));
}

fn written(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let Some(object) = world.file(deed.pid, deed.fd(0)) else { return };
    let (Some(place), name) = (object.place.clone(), object.name.to_string()) else { return };
    let Some(text) = deed.text(1) else { return };
    let value = text.trim_end_matches(['\n', ' ', '\0']);
    if is_group(world, &place, &name) {
        let (folder, file) = name.rsplit_once('/').unwrap_or(("", &name));
        let group = path(folder).to_string();
        match (file, value.parse::<i32>()) {
            ("cgroup.procs" | "tasks" | "cgroup.threads", Ok(number)) => member(world, deed.pid, number, group, out),
            _ => put(world, deed.pid, &group, file, value, out),
        }
        return;
    }
    let Some((of, rest)) = world.proc_file(deed.pid, &place) else {
        if let Some(setting) = below_sys(&world.forest.inner(&place), &name) {
            out.push(Change::new(Kind::Setting, deed.pid, setting.replace('/', "."), Some(value.into())));
        }
        return;
    };
    match rest.as_str() {
        "uid_map" | "gid_map" => mapped(world, of, &rest, value, out),
        "setgroups" | "timens_offsets" => out.push(Change::new(Kind::Setting, of, rest, Some(value.into()))),
        "oom_score_adj" => out.push(Change::new(Kind::Right, of, rest, Some(value.into()))),
        _ => {}
    }
}

/// The name of a setting, by its path.
fn below_sys<'a>(inner: &'a str, name: &'a str) -> Option<&'a str> {
    name.strip_prefix("/proc/sys/").or_else(|| inner.strip_prefix("/proc/sys/")).or_else(|| inner.strip_prefix("/sys/"))
}

/// Puts a process into a cgroup. 0: the one that writes.
fn member(world: &mut World, pid: i32, number: i32, group: String, out: &mut Vec<Change>) {
    let who = if number == 0 { Some(pid) } else { world.numbered(pid, number) };
    let Some(who) = who else { return };
    if let Some(process) = world.processes.get_mut(&who) {
        process.cgroup = group.clone();
    }
    out.push(Change::new(Kind::Member, who, "", Some(group)));
}

/// A user namespace has got a mapping of ids: its processes have other ids from now on.
pub fn mapped(world: &mut World, pid: i32, file: &str, value: &str, out: &mut Vec<Change>) {
    let Some(number) = world.process(pid).map(|process| process.spaces[USER]) else { return };
    let Some(space) = world.space_mut(number) else { return };
    space.settings.insert(file.into(), value.into());
    let outside = space.settings.get("outside").cloned().unwrap_or_default();
    let (uid, gid) = outside.split_once(' ').unwrap_or(("", ""));
    let outer = if file == "uid_map" { uid } else { gid };
    // Of a caller that no call has told of it is taken that it is the first one that is mapped.
    let first = || value.split_whitespace().nth(1).and_then(|id| id.parse().ok());
    let outer = outer.parse().ok().filter(|id| *id != UNKNOWN).or_else(first);
    let inner = inside(value, outer.unwrap_or(0));
    out.push(Change { space: number, ..Change::new(Kind::Setting, pid, file, Some(value.into())) });
    let all: Vec<i32> =
        world.processes.iter().filter(|(_, process)| process.spaces[USER] == number).map(|(pid, _)| *pid).collect();
    for pid in all {
        let Some(process) = world.processes.get_mut(&pid) else { continue };
        let before = process.rights.clone();
        let ids = if file == "uid_map" { &mut process.rights.uids } else { &mut process.rights.gids };
        ids.iter_mut().filter(|id| **id == OVERFLOW).for_each(|id| *id = inner);
        let now = process.rights.clone();
        out.extend(now.changes(&before, pid));
    }
}

/// What an id of the host is inside.
fn inside(map: &str, outer: u32) -> u32 {
    let rows =
        map.split('\n').map(|line| line.split_whitespace().filter_map(|word| word.parse::<u32>().ok()).collect());
    for row in rows.collect::<Vec<Vec<u32>>>() {
        if let [first, of, count] = row.as_slice()
            && outer.checked_sub(*of).is_some_and(|distance| distance < *count)
        {
            return first.saturating_add(outer - of);
        }
    }
    OVERFLOW
}
