//! Ids: those that the user namespace does not map, and groups that it forbids to set (user_namespaces(7)). May touch: procfs,
//! the spec.

use super::process::Stopped;
use super::texts::cause;
use super::types::{By, Cause};
use crate::cause::users;
use crate::explain;
use crate::plan::{namespaces, text};
use crate::spec::{self, NamespaceKind, Spec};

/// The arguments of a call that are users, and those that are groups.
fn arguments(name: &str) -> (&'static [usize], &'static [usize]) {
    match name {
        "setuid" | "setfsuid" => (&[0], &[]),
        "setreuid" => (&[0, 1], &[]),
        "setresuid" => (&[0, 1, 2], &[]),
        "setgid" | "setfsgid" => (&[], &[0]),
        "setregid" => (&[], &[0, 1]),
        "setresgid" => (&[], &[0, 1, 2]),
        "chown" | "lchown" | "fchown" => (&[1], &[2]),
        "fchownat" => (&[2], &[3]),
        _ => (&[], &[]),
    }
}

/// The line that a mapping has, or would have: without a user namespace of the container all ids are there.
fn place(spec: &Spec, list: &str) -> Option<String> {
    spec::namespace(&spec.linux, &NamespaceKind::User)?;
    let own = match list {
        "uidMappings" => &spec.linux.uid_mappings,
        _ => &spec.linux.gid_mappings,
    };
    let joined = || namespaces::pointer(spec, &NamespaceKind::User);
    Some(if own.is_empty() { joined() } else { format!("/linux/{list}") })
}

/// EINVAL: an id that is none of the user namespace's.
pub fn unmapped(stopped: &Stopped) -> Option<Cause> {
    let (users, groups) = arguments(stopped.name);
    for (arguments, map, list) in [(users, "uid_map", "uidMappings"), (groups, "gid_map", "gidMappings")] {
        let mut ids = arguments.iter().map(|at| stopped.arg(*at) as u32).filter(|id| *id != u32::MAX);
        if let Some(id) = ids.find(|id| !is_mapped(stopped, map, *id)) {
            return told(stopped, list, id);
        }
    }
    if stopped.name != "setgroups" {
        return None;
    }
    let count = (stopped.arg(0) as usize).min(MOST);
    let bytes = stopped.memory(stopped.arg(1), count * 4)?;
    let ids = bytes.chunks_exact(4).filter_map(|bytes| Some(u32::from_le_bytes(bytes.try_into().ok()?)));
    let id = { ids }.find(|id| !is_mapped(stopped, "gid_map", *id))?;
    told(stopped, "gidMappings", id)
}

/// So many groups are looked at, or bytes of a mapping.
const MOST: usize = 1024;

fn is_mapped(stopped: &Stopped, map: &str, id: u32) -> bool {
    stopped.map(map).is_none_or(|map| users::outside(&map, id).is_some())
}

fn told(stopped: &Stopped, list: &str, id: u32) -> Option<Cause> {
    let place = place(stopped.confinement.spec, list)?;
    let id = format!("{id}");
    let kind = if list == "uidMappings" { "user" } else { "group" };
    let outside = if stopped.status("Uid").starts_with('0') { "root" } else { "" };
    Some(cause(By::Mapping, "unmapped id", place, &[stopped.name, kind, &id, list, outside]))
}

/// EOVERFLOW at a new file: the user of the process is none that the mount maps.
pub fn overflow(stopped: &Stopped) -> Option<Cause> {
    let spec = stopped.confinement.spec;
    let targets = super::files::targets(stopped);
    let path = targets.iter().find_map(|target| target.path.as_deref())?;
    let parent = path.rsplit_once('/').map(|(parent, _)| if parent.is_empty() { "/" } else { parent })?;
    let file = stopped.open(parent, true)?;
    let pointer = stopped.mount_of(file.at())?.pointer.clone()?;
    let number = text::number_in("/mounts/", &pointer)?;
    let mapped = spec.mounts.get(number).is_some_and(|mount| !mount.uid_mappings.is_empty());
    let user = stopped.user_name("uid_map", stopped.rights()?.user);
    let pointer = format!("{pointer}/uidMappings");
    mapped.then(|| cause(By::Mapping, "unmapped on mount", pointer.clone(), &[&user, parent, &pointer]))
}

/// EPERM: a process maps user 0 of the container into a user namespace of its own, and the kernel lets it if it had CAP_SETFCAP
/// when it made the namespace (user_namespaces(7), "Defining user and group ID mappings").
pub fn root_map(stopped: &Stopped) -> Option<Cause> {
    const NEEDED: &str = "CAP_SETFCAP";
    let process = &stopped.confinement.spec.process;
    let given = process.capabilities.bounding.iter().any(|name| name == NEEDED);
    let is_map = stopped.name == "write" && stopped.link(&format!("fd/{}", stopped.int(0)))?.ends_with("/uid_map");
    if !is_map || given || process.user.uid != 0 {
        return None;
    }
    let text = stopped.memory(stopped.arg(1), (stopped.arg(2) as usize).min(MOST))?;
    let text = String::from_utf8_lossy(&text);
    text.lines().any(|line| line.split_whitespace().nth(1) == Some("0")).then_some(())?;
    let opens = explain::opens(NEEDED).unwrap_or_default();
    let values = [stopped.name, NEEDED, "bounding", "bounding, permitted, effective", &opens];
    Some(cause(By::Capability, "capability bounding", "/process/capabilities/bounding", &values))
}

/// EPERM: the namespace forbids to set groups, for an ordinary user has made it.
pub fn groups(stopped: &Stopped) -> Option<Cause> {
    if stopped.name != "setgroups" || stopped.text("setgroups")?.trim() != "deny" {
        return None;
    }
    let place = place(stopped.confinement.spec, "gidMappings")?;
    Some(cause(By::Groups, "groups", place, &[]))
}
