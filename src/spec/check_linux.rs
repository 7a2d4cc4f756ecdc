//! The MUSTs of `linux` about ids, time, sysctl and the machine (config-linux.md). May touch: types.

use super::check::{Checked, no, no_nul};
use super::{
    IdMapping, IntelRdt, Linux, MEMORY_FLAGS, MEMORY_MODES, MemoryPolicy, NamespaceKind, Personality, Process,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// Lines that the kernel takes of a mapping (user_namespaces(7)).
const MOST_MAPPINGS: usize = 340;

pub fn check(linux: &Linux, process: &Process) -> Checked {
    check_user(linux, process)?;
    check_time(linux)?;
    for (key, value) in &linux.sysctl {
        check_sysctl(key, value, linux)?;
    }
    if !matches!(
        linux.rootfs_propagation.as_str(),
        "" | "shared" | "slave" | "private" | "unbindable" | "rshared" | "rslave" | "rprivate" | "runbindable"
    ) {
        return no(
            "/linux/rootfsPropagation",
            format!("`{}` must be shared, slave, private or unbindable", linux.rootfs_propagation),
        );
    }
    no_nul(|| "/linux/mountLabel".into(), &linux.mount_label)?;
    if let Some(personality) = &linux.personality {
        check_personality(personality)?;
    }
    if let Some(policy) = &linux.memory_policy {
        check_memory_policy(policy)?;
    }
    match &linux.intel_rdt {
        Some(rdt) => check_rdt(rdt),
        None => Ok(()),
    }
}

/// The namespace of that kind, if there is one.
pub fn namespace<'a>(linux: &'a Linux, kind: &NamespaceKind) -> Option<&'a super::Namespace> {
    linux.namespaces.iter().find(|n| n.kind == *kind)
}

/// Whether `id` has a number outside.
fn mapped(mappings: &[IdMapping], id: u32) -> bool {
    mappings.iter().any(|m| id >= m.container_id && id - m.container_id < m.size)
}

fn check_user(linux: &Linux, process: &Process) -> Checked {
    let user = namespace(linux, &NamespaceKind::User);
    check_mappings("/linux", &linux.uid_mappings, &linux.gid_mappings)?;
    let joined = user.is_some_and(|n| n.joined().is_some());
    let given = !linux.uid_mappings.is_empty();
    if given && user.is_none() {
        return no("/linux/uidMappings", "needs a `user` namespace in linux.namespaces");
    }
    if user.is_none() || joined {
        return Ok(());
    }
    if !given {
        return no("/linux/uidMappings", "is missing: a new user namespace has no ids without it");
    }
    let sides = [("uid", process.user.uid, &linux.uid_mappings), ("gid", process.user.gid, &linux.gid_mappings)];
    for (name, id, mappings) in sides {
        if !mapped(mappings, id) {
            return no(format!("/process/user/{name}"), format!("{id} is not mapped by /linux/{name}Mappings"));
        }
    }
    for (i, gid) in process.user.additional_gids.iter().enumerate() {
        if !mapped(&linux.gid_mappings, *gid) {
            return no(
                format!("/process/user/additionalGids/{i}"),
                format!("{gid} is not mapped by /linux/gidMappings"),
            );
        }
    }
    Ok(())
}

/// Mappings of both kinds or of none, none empty, and no id twice on either side.
pub fn check_mappings(at: &str, uids: &[IdMapping], gids: &[IdMapping]) -> Checked {
    if uids.is_empty() != gids.is_empty() {
        let missing = if uids.is_empty() { "uid" } else { "gid" };
        return no(format!("{at}/{missing}Mappings"), "is missing: users and groups are mapped together");
    }
    for (name, mappings) in [("uidMappings", uids), ("gidMappings", gids)] {
        let at = format!("{at}/{name}");
        if mappings.len() > MOST_MAPPINGS {
            return no(at, format!("has {} entries: the kernel takes at most {MOST_MAPPINGS}", mappings.len()));
        }
        for (i, m) in mappings.iter().enumerate() {
            if m.size == 0 {
                return no(format!("{at}/{i}/size"), "is 0: nothing would be mapped");
            }
            let sides = [("containerID", m.container_id), ("hostID", m.host_id)];
            for (side, first) in sides {
                if first.checked_add(m.size - 1).is_none() {
                    return no(
                        format!("{at}/{i}/{side}"),
                        format!("{first} and {} more go beyond the last id", m.size - 1),
                    );
                }
            }
            let overlap = |a: u32, b: u32, len: u32| a < b.saturating_add(len) && b < a.saturating_add(m.size);
            if let Some(j) = mappings[..i]
                .iter()
                .position(|o| overlap(m.container_id, o.container_id, o.size) || overlap(m.host_id, o.host_id, o.size))
            {
                return no(format!("{at}/{i}"), format!("overlaps {at}/{j}"));
            }
        }
    }
    Ok(())
}

fn check_time(linux: &Linux) -> Checked {
    if linux.time_offsets.is_empty() {
        return Ok(());
    }
    for (clock, offset) in &linux.time_offsets {
        let at = format!("/linux/timeOffsets/{clock}");
        if !matches!(clock.as_str(), "monotonic" | "boottime") {
            return no(at, "is no clock of a time namespace: monotonic and boottime are (time_namespaces(7))");
        }
        if offset.nanosecs > 999_999_999 {
            return no(format!("{at}/nanosecs"), format!("{} is a second or more", offset.nanosecs));
        }
    }
    match namespace(linux, &NamespaceKind::Time) {
        Some(n) if n.joined().is_none() => Ok(()),
        _ => no("/linux/timeOffsets", "needs a new `time` namespace in linux.namespaces"),
    }
}

/// A key as a path below /proc/sys. As sysctl(8) has it: if the first separator is a slash, slashes part and dots are
/// part of names; otherwise the other way round.
pub fn sysctl_path(key: &str) -> String {
    let first = key.find(['.', '/']).map(|at| key.as_bytes()[at]);
    if first == Some(b'/') {
        return key.into();
    }
    let swap = |c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    };
    key.chars().map(swap).collect()
}

/// The kind of namespace that a key belongs to.
pub fn sysctl_kind(key: &str) -> Option<NamespaceKind> {
    const IPC: [&str; 9] = [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
        "kernel/shm_next_id",
    ];
    match sysctl_path(key).as_str() {
        path if IPC.contains(&path) || path.starts_with("fs/mqueue/") => Some(NamespaceKind::Ipc),
        path if path.starts_with("net/") => Some(NamespaceKind::Network),
        path if path.starts_with("user/") => Some(NamespaceKind::User),
        "kernel/domainname" => Some(NamespaceKind::Uts),
        _ => None,
    }
}

/// Only what belongs to a namespace of the container's own may be set: the rest is the host's.
fn check_sysctl(key: &str, value: &str, linux: &Linux) -> Checked {
    let at = format!("/linux/sysctl/{}", key.replace('~', "~0").replace('/', "~1"));
    no_nul(|| at.clone(), key)?;
    no_nul(|| at.clone(), value)?;
    if value.is_empty() {
        return no(at, "is empty: nothing would be written");
    }
    let path = sysctl_path(key);
    let parts: Vec<&str> = path.split('/').collect();
    if parts.iter().any(|part| matches!(*part, "" | "." | "..")) {
        return no(at, "is no sysctl key");
    }
    let Some(kind) = sysctl_kind(key) else {
        return match path.as_str() {
            "kernel/hostname" => no(at, "is set by `hostname`"),
            _ => no(at, "belongs to no namespace: it would change the whole machine"),
        };
    };
    match namespace(linux, &kind) {
        Some(_) => Ok(()),
        None => no(
            at,
            format!("needs a `{}` namespace in linux.namespaces: without one it would be the host's", kind.word()),
        ),
    }
}

fn check_personality(p: &Personality) -> Checked {
    if !matches!(p.domain.as_str(), "LINUX" | "LINUX32") {
        return no("/linux/personality/domain", format!("`{}` must be LINUX or LINUX32", p.domain));
    }
    match p.flags.first() {
        Some(flag) => {
            no("/linux/personality/flags/0", format!("`{flag}` is not supported: the specification defines no flags"))
        }
        None => Ok(()),
    }
}

fn check_memory_policy(p: &MemoryPolicy) -> Checked {
    let at = "/linux/memoryPolicy";
    if !MEMORY_MODES.contains(&p.mode.as_str()) {
        return no(format!("{at}/mode"), format!("`{}` must be one of {}", p.mode, MEMORY_MODES.join(", ")));
    }
    for (i, flag) in p.flags.iter().enumerate() {
        if !MEMORY_FLAGS.iter().any(|(name, _)| name == flag) {
            return no(format!("{at}/flags/{i}"), format!("`{flag}` is no flag of set_mempolicy"));
        }
    }
    let Some(nodes) = list(&p.nodes, 1023) else {
        return no(format!("{at}/nodes"), format!("`{}` is no list of nodes: 0-3,7 is one", p.nodes));
    };
    let none = matches!(p.mode.as_str(), "MPOL_DEFAULT" | "MPOL_LOCAL");
    if none && !nodes.is_empty() {
        return no(format!("{at}/nodes"), format!("{} takes none", p.mode));
    }
    if nodes.is_empty() && !none && p.mode != "MPOL_PREFERRED" {
        return no(format!("{at}/nodes"), format!("{} needs some", p.mode));
    }
    Ok(())
}

/// A list of numbers as in `0-3,7`. `None`: it is none, or one is above `most`.
pub fn list(text: &str, most: u32) -> Option<Vec<u32>> {
    let mut all = Vec::new();
    for part in text.trim().split(',').filter(|_| !text.trim().is_empty()) {
        let (from, to) = part.split_once('-').unwrap_or((part, part));
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !digits(from) || !digits(to) {
            return None;
        }
        let (from, to): (u32, u32) = (from.parse().ok()?, to.parse().ok()?);
        if from > to || to > most {
            return None;
        }
        all.extend(from..=to);
    }
    Some(all)
}

/// resctrl's directories are named by closID (config-linux.md, "IntelRdt").
fn check_rdt(rdt: &IntelRdt) -> Checked {
    let at = "/linux/intelRdt";
    if let Some(id) = &rdt.clos_id
        && id != "/"
        && (id.is_empty() || id == "." || id == ".." || id.contains(['/', '\n', '\0']))
    {
        return no(format!("{at}/closID"), format!("`{}` is no name of a directory", id.escape_default()));
    }
    let named = [("l3CacheSchema", &rdt.l3_cache_schema), ("memBwSchema", &rdt.mem_bw_schema)];
    for (name, schema) in named {
        if let Some(schema) = schema {
            no_nul(|| format!("{at}/{name}"), schema)?;
        }
    }
    // Lines of one file: a schema that holds a line of the other would set it unseen.
    if rdt.l3_cache_schema.as_deref().is_some_and(|s| s.lines().any(|line| line.trim_start().starts_with("MB:"))) {
        return no(format!("{at}/l3CacheSchema"), "holds a line for MB: that belongs into memBwSchema");
    }
    for (i, line) in rdt.schemata.iter().enumerate() {
        if line.is_empty() || line.contains(['\n', '\0']) {
            return no(format!("{at}/schemata/{i}"), "must be one line");
        }
    }
    Ok(())
}
