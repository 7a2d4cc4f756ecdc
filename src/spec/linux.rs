//! `linux`: the properties of its subjects, and the rules between them. May touch: serde.

use super::cgroup::Resources;
use super::devices::{Device, paths_differ};
use super::namespaces::{Namespace, NamespaceKind, TimeOffsets, find, kinds_differ, offsets_fit, sysctl_fits};
use super::network::{NetDevices, devices_fit};
use super::process::{MemoryPolicy, Personality};
use super::rdt::IntelRdt;
use super::rootfs::{masked, propagation};
use super::rules::{LONGEST_LIST, absolute, path, text};
use super::schema::{At, Checked, schema};
use super::seccomp::Seccomp;
use super::types::Word;
use super::users::{IdMapping, User, check_mappings, ids_are_mapped};
use alloc::collections::BTreeMap;

schema! {
    Linux<'a>, then subjects_fit {
        "devices" devices: Vec<Device>, most LONGEST_LIST;
        "netDevices" net_devices: NetDevices;
        "uidMappings" uid_mappings: Vec<IdMapping>;
        "gidMappings" gid_mappings: Vec<IdMapping>;
        "namespaces" namespaces: Vec<Namespace>;
        "resources" resources: Resources;
        "cgroupsPath" cgroups_path: Option<String> => path;
        "rootfsPropagation" rootfs_propagation: Word => propagation;
        "seccomp" seccomp: Option<Seccomp<'a>>;
        "sysctl" sysctl: BTreeMap<String, String>;
        "maskedPaths" masked_paths: Vec<String>, most LONGEST_LIST => masked;
        "readonlyPaths" readonly_paths: Vec<String>, most LONGEST_LIST => absolute;
        "mountLabel" mount_label: Word => text;
        "intelRdt" intel_rdt: Option<IntelRdt>;
        "memoryPolicy" memory_policy: Option<MemoryPolicy>;
        "personality" personality: Option<Personality>;
        "timeOffsets" time_offsets: TimeOffsets;
    }
}

/// The namespace of that kind, if there is one.
pub fn namespace<'a>(linux: &'a Linux, kind: &NamespaceKind) -> Option<&'a Namespace> {
    find(&linux.namespaces, kind)
}

fn subjects_fit(linux: &Linux, at: &At) -> Checked {
    paths_differ(&linux.devices, &at.key("devices"))?;
    kinds_differ(&linux.namespaces, &at.key("namespaces"))?;
    devices_fit(&linux.net_devices, &linux.namespaces, &at.key("netDevices"))?;
    offsets_fit(&linux.time_offsets, &linux.namespaces, &at.key("timeOffsets"))?;
    check_mappings(&linux.uid_mappings, &linux.gid_mappings, at)?;
    let sysctl = at.key("sysctl");
    let mut all = linux.sysctl.iter();
    all.try_for_each(|(key, value)| sysctl_fits(key, value, &linux.namespaces, &sysctl.key(key)))
}

/// Mappings need a user namespace, and a new user namespace needs mappings.
pub fn users_fit(linux: &Linux, user: &User, root: &At) -> Checked {
    let (above, at) = (root.key("linux"), root.key("process"));
    let uids = above.key("uidMappings");
    match namespace(linux, &NamespaceKind::User) {
        None if linux.uid_mappings.is_empty() => Ok(()),
        None => uids.no("needs a `user` namespace in linux.namespaces"),
        Some(one) if one.joined().is_some() => Ok(()),
        Some(_) if linux.uid_mappings.is_empty() => uids.no("is missing: a new user namespace has no ids without it"),
        Some(_) => ids_are_mapped(user, &linux.uid_mappings, &linux.gid_mappings, &at.key("user")),
    }
}
