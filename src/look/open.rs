//! What of a container is not isolated, and what that means: the findings, in the order of texts/open.txt. May touch: types.

use super::cgroup::Group;
use super::devices::Node;
use super::mounts::{Mount, Origin, covering, peer_groups};
use super::namespaces::Sharing;
use super::process::{Descriptor, Facts};
use crate::packed::packed;
use crate::spec::Spec;
use serde::Serialize;

/// What each finding means.
fn texts() -> &'static str {
    packed!("look/texts/open.txt")
}

/// Names of sockets at which programs listen that make containers or rule the machine.
pub const SOCKETS: [&str; 10] = [
    "docker.sock",
    "dockershim.sock",
    "containerd.sock",
    "containerd.sock.ttrpc",
    "crio.sock",
    "podman.sock",
    "buildkitd.sock",
    "io.podman",
    "system_bus_socket",
    "kubelet.sock",
];

/// File systems that show the kernel, and no files: their findings are others than those of files of the host.
const KERNEL: [&str; 5] = ["sysfs", "cgroup2", "cgroup", "mqueue", "devpts"];

/// What has to be limited: a file of the cgroup, and the word for it.
const LIMITED: [(&str, &str); 3] = [("memory.max", "memory"), ("pids.max", "processes"), ("cpu.max", "processor time")];

/// A finding.
#[derive(Serialize, Debug)]
pub struct Open {
    /// Its name in texts/open.txt.
    pub name: &'static str,
    /// The mounts, devices and so on that it is about; empty: the container as a whole.
    pub what: Vec<String>,
    /// The lines of config.json, or the place where a line would change it.
    pub pointers: Vec<String>,
    pub means: String,
    /// What `nk-runtime explain` calls the subject.
    pub explain: &'static str,
}

/// An entry of the texts: its name, its keys and its text.
struct Entry {
    name: &'static str,
    at: &'static str,
    explain: &'static str,
    text: &'static str,
}

fn entries() -> impl Iterator<Item = Entry> {
    texts().split("\n== ").skip(1).filter_map(|entry| {
        let (name, mut text) = entry.split_once('\n')?;
        let mut key = |key: &str| match text.strip_prefix(key).and_then(|rest| rest.split_once('\n')) {
            Some((value, rest)) => {
                text = rest;
                value
            }
            None => "",
        };
        let (at, explain) = (key("at: "), key("explain: "));
        let explain = if explain.is_empty() { name } else { explain };
        Some(Entry { name, at, explain, text: text.trim() })
    })
}

/// What the finding of this name means; empty: there is none.
pub fn meaning(name: &str) -> String {
    entries().find(|entry| entry.name == name).map_or(String::new(), |entry| entry.text.replace('\n', " "))
}

/// The place of config.json, and what `explain` calls it, of each entry: for a test.
#[cfg(test)]
pub fn names() -> Vec<(&'static str, &'static str, &'static str)> {
    entries().map(|entry| (entry.name, entry.at, entry.explain)).collect()
}

/// What was found under a name: what it is about, and the lines of config.json.
type Found = (&'static str, Vec<String>, Vec<String>);

/// What is not isolated. `host`: the same facts of the process that looks. `spec`: the configuration, if it is known.
pub fn findings(facts: &Facts, host: &Facts, spec: Option<&Spec>) -> Vec<Open> {
    let mut found: Vec<Found> = Vec::new();
    namespaces(facts, &mut found);
    if owns(facts, "mount") {
        mounts(facts, host, &mut found);
    }
    // In a user namespace of its own, root has its powers only over what belongs to that namespace.
    if !owns(facts, "user") {
        let dangerous = facts.capabilities.permitted.iter().filter(|name| has_reach(facts, name));
        found.extend(dangerous.map(|name| (*name, Vec::new(), Vec::new())));
        kernel(facts, &mut found);
    }
    devices(facts, &mut found);
    program(facts, host, spec, &mut found);
    limits(&facts.cgroup, &mut found);
    let mut all = Vec::new();
    for entry in entries() {
        let of_this = found.iter_mut().find(|(name, ..)| *name == entry.name);
        let Some((_, what, pointers)) = of_this else { continue };
        let (what, mut pointers) = (core::mem::take(what), core::mem::take(pointers));
        if pointers.is_empty() {
            pointers.push(entry.at.into());
        }
        let means = entry.text.replace('\n', " ");
        all.push(Open { name: entry.name, what, pointers, means, explain: entry.explain });
    }
    all
}

/// Whether there is something of the host's that the capability opens.
fn has_reach(facts: &Facts, capability: &str) -> bool {
    match capability {
        "CAP_NET_ADMIN" => shares(facts, "network"),
        "CAP_MKNOD" => facts.devices.all_allowed,
        _ => true,
    }
}

fn sharing(facts: &Facts, kind: &str) -> Option<Sharing> {
    facts.namespaces.iter().find(|one| one.kind == kind)?.sharing
}

fn shares(facts: &Facts, kind: &str) -> bool {
    sharing(facts, kind) == Some(Sharing::Host)
}

/// Whether the container is in another namespace of this kind than the host.
fn owns(facts: &Facts, kind: &str) -> bool {
    sharing(facts, kind).is_some_and(|sharing| sharing != Sharing::Host)
}

fn namespaces(facts: &Facts, found: &mut Vec<Found>) {
    const SHARED: [(&str, &str); 8] = [
        ("user", "user namespace"),
        ("pid", "pid namespace"),
        ("network", "network namespace"),
        ("ipc", "ipc namespace"),
        ("mount", "mount namespace"),
        ("cgroup", "cgroup namespace"),
        ("uts", "uts namespace"),
        ("time", "time namespace"),
    ];
    let (mut with, mut joined) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for one in &facts.namespaces {
        let pointer = one.pointer.iter().cloned();
        match one.sharing {
            Some(Sharing::Host) => {
                let name = SHARED.iter().find(|(kind, _)| *kind == one.kind);
                found.extend(name.map(|(_, name)| (*name, Vec::new(), pointer.collect())));
            }
            Some(Sharing::Containers) => {
                with.0.push(format!("{} ({})", one.kind, one.with.join(", ")));
                with.1.extend(pointer);
            }
            Some(Sharing::Joined) => {
                joined.0.push(one.kind.into());
                joined.1.extend(pointer);
            }
            _ => {}
        }
    }
    for (name, (what, pointers)) in [("other containers", with), ("joined namespace", joined)] {
        if !what.is_empty() {
            found.push((name, what, pointers));
        }
    }
}

/// The last part of a path.
fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or("")
}

/// One more mount of which a finding holds.
fn add_mount(found: &mut Vec<Found>, name: &'static str, mount: &Mount, what: String) {
    let pointer = mount.pointer.clone();
    match found.iter_mut().find(|(known, ..)| *known == name) {
        None => found.push((name, Vec::from([what]), pointer.into_iter().collect())),
        Some((_, all, _)) if all.contains(&what) => {}
        Some((_, all, pointers)) => {
            all.push(what);
            pointers.extend(pointer.filter(|pointer| !pointers.contains(pointer)));
        }
    }
}

fn mounts(facts: &Facts, host: &Facts, found: &mut Vec<Found>) {
    let peers = peer_groups(&host.mounts);
    let mut add = |name, mount: &Mount, what| add_mount(found, name, mount, what);
    for mount in &facts.mounts {
        if mount.peers().is_some_and(|group| peers.contains(group)) {
            add("shared propagation", mount, mount.target.clone());
        }
        let asked = !matches!(mount.origin, Some(Origin::Device | Origin::Console));
        let Some(there) = mount.host.as_ref().filter(|_| asked && mount.target != "/") else {
            continue;
        };
        let both = format!("{} (the host's {there})", mount.target);
        if SOCKETS.contains(&last(there)) || SOCKETS.contains(&last(&mount.target)) {
            add("engine socket", mount, both);
        } else if there == "/" && !KERNEL.contains(&mount.kind.as_str()) {
            add("host root", mount, both);
        } else if mount.writable() && is_lent(mount) {
            add("writable host mount", mount, both);
        }
    }
}

/// Whether files of the host lie there, and not the kernel's, nor a mask out of the container's own /dev.
fn is_lent(mount: &Mount) -> bool {
    !mount.is_mask() && !KERNEL.contains(&mount.kind.as_str())
}

/// Settings of the kernel that root inside can change.
fn kernel(facts: &Facts, found: &mut Vec<Found>) {
    for (name, path, kind) in [("writable /proc/sys", "/proc/sys", "proc"), ("writable /sys", "/sys", "sysfs")] {
        let mount = covering(&facts.mounts, path).filter(|mount| mount.kind == kind && mount.writable());
        found.extend(mount.map(|_| (name, Vec::new(), Vec::new())));
    }
    for mount in facts.mounts.iter().filter(|mount| mount.kind == "cgroup2" && mount.writable()) {
        add_mount(found, "writable cgroups", mount, mount.target.clone());
    }
    let has_proc = facts.mounts.iter().any(|mount| mount.target == "/proc" && mount.kind == "proc");
    if has_proc && !facts.mounts.iter().any(Mount::is_mask) {
        found.push(("unmasked /proc", Vec::new(), Vec::new()));
    }
}

fn devices(facts: &Facts, found: &mut Vec<Found>) {
    let nodes = facts.devices.nodes.iter().filter(|node| !node.is_harmless());
    let words = |kind: char| if kind == 'b' { "block" } else { "character" };
    let name = |node: &Node| format!("{} ({} device {}:{})", node.path, words(node.kind), node.major, node.minor);
    let what: Vec<String> = nodes.clone().map(name).collect();
    if !what.is_empty() {
        found.push(("host devices", what, nodes.filter_map(|node| node.pointer.clone()).collect()));
    }
    // In a user namespace no node can be made, and the mounts' option nodev holds for those that are there.
    if facts.devices.all_allowed && !owns(facts, "user") {
        found.push(("all devices", Vec::new(), Vec::new()));
    }
}

fn program(facts: &Facts, host: &Facts, spec: Option<&Spec>, found: &mut Vec<Found>) {
    if facts.seccomp.mode == "none" {
        found.push(("no seccomp", Vec::new(), Vec::new()));
    }
    if !facts.no_new_privileges {
        found.push(("new privileges", Vec::new(), Vec::new()));
    }
    if !owns(facts, "mount") {
        return;
    }
    let leaked = facts.descriptors.iter().filter(|one| one.number > 2 && one.outside && !one.close_on_exec);
    let leaked: Vec<String> = leaked.map(|one| format!("{}: {}", one.number, one.target)).collect();
    if !leaked.is_empty() {
        found.push(("leaked descriptors", leaked, Vec::new()));
    }
    let terminal = spec.is_some_and(|spec| spec.process.terminal == Some(true));
    let given = |one: &&Descriptor| one.number < 3 && one.kind == "terminal" && one.outside;
    let held: Vec<String> = facts.descriptors.iter().filter(given).map(|one| one.target.clone()).collect();
    if let Some(first) = held.first().filter(|_| !terminal && !host.mounts.is_empty()) {
        found.push(("host terminal", Vec::from([first.clone()]), Vec::new()));
    }
}

fn limits(group: &Group, found: &mut Vec<Found>) {
    if group.limits.is_empty() && group.used.is_empty() {
        return found.push(("no cgroup", Vec::new(), Vec::new()));
    }
    if !group.own {
        found.push(("older cgroup", Vec::from([group.path.clone()]), Vec::new()));
    }
    let missing = |(file, _): &&(&str, &str)| group.limit(file).is_none_or(|value| value.starts_with("max"));
    let what: Vec<String> = LIMITED.iter().filter(missing).map(|(_, word)| String::from(*word)).collect();
    if !what.is_empty() {
        found.push(("no limits", what, Vec::new()));
    }
}
