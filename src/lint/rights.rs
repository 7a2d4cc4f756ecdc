//! What the program may ask the kernel for: its user, its capabilities, its seccomp profile, its label. May touch: types.

use super::namespaces::has_users;
use super::resources::all_devices;
use super::rules::{self, Found};
use crate::spec::{self, IdMapping, NamespaceKind, Spec};

/// What engines give every container, and what reaches nothing outside (Pod Security Standards, "Baseline").
const USUAL: [&str; 12] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_NET_BIND_SERVICE",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

pub fn look(spec: &Spec, module: bool, found: &mut Found) {
    users(spec, found);
    if !has_users(spec) {
        strong(spec, found);
    }
    let sets = &spec.process.capabilities;
    if !sets.inheritable.is_empty() {
        found.add("inheritable capabilities", "/process/capabilities/inheritable", sets.inheritable.join(", "));
    }
    // Others of the set are left out: the kernel takes none that is not in both other sets.
    let both = |name: &&String| sets.inheritable.contains(name) && sets.permitted.contains(name);
    let ambient: Vec<&str> = sets.ambient.iter().filter(both).map(String::as_str).collect();
    if !ambient.is_empty() {
        found.add("ambient capabilities", "/process/capabilities/ambient", ambient.join(", "));
    }
    seccomp(spec, found);
    if !spec.process.no_new_privileges {
        found.add("new privileges", "/process/noNewPrivileges", "");
    }
    let (profile, label) = (spec.process.apparmor_profile.as_str(), spec.process.selinux_label.as_str());
    // Types of SELinux that the usual policies let do everything.
    if label.split(':').any(|part| matches!(part, "spc_t" | "unconfined_t")) {
        found.add("unconfined", "/process/selinuxLabel", label);
    } else if module && label.is_empty() && matches!(profile, "" | "unconfined") {
        found.add("unconfined", "/process/apparmorProfile", "");
    }
}

fn users(spec: &Spec, found: &mut Found) {
    let user = &spec.process.user;
    if has_users(spec) {
        let root = |map: &IdMapping| map.host_id == 0 && map.size > 0;
        if let Some(i) = spec.linux.uid_mappings.iter().position(root) {
            let what = format!("user {} inside is user 0 outside", spec.linux.uid_mappings[i].container_id);
            found.add("root of the host", format!("/linux/uidMappings/{i}"), what);
        }
        return;
    }
    if user.uid == 0 {
        return found.add("root of the host", "/process/user/uid", "user 0, and no `user` namespace");
    }
    let of_root = user.additional_gids.iter().position(|gid| *gid == 0);
    match of_root {
        _ if user.gid == 0 => found.add("group of root", "/process/user/gid", ""),
        Some(i) => found.add("group of root", format!("/process/user/additionalGids/{i}"), ""),
        None => {}
    }
}

/// Capabilities that reach beyond the container, each once.
fn strong(spec: &Spec, found: &mut Found) {
    let (process, sets) = (&spec.process, &spec.process.capabilities);
    let all = [
        ("ambient", &sets.ambient),
        ("bounding", &sets.bounding),
        ("permitted", &sets.permitted),
        ("effective", &sets.effective),
    ];
    // execve leaves another user than root the ambient set alone, where no file gives it more.
    let all = if process.user.uid != 0 && process.no_new_privileges { &all[..1] } else { &all[1..] };
    for name in spec::CAPABILITIES {
        let place = |(set, names): &(&str, &Vec<String>)| {
            let at = names.iter().position(|one| one == name)?;
            Some(format!("/process/capabilities/{set}/{at}"))
        };
        let Some(pointer) = all.iter().find_map(place) else {
            continue;
        };
        let own_network = spec::namespace(&spec.linux, &NamespaceKind::Network).is_some();
        match name {
            "CAP_NET_ADMIN" if own_network => found.add("unusual capabilities", pointer, name),
            "CAP_MKNOD" if all_devices(spec).is_none() => {}
            "CAP_SYS_ADMIN" if spec.linux.seccomp.is_none() => {
                found.add("CAP_SYS_ADMIN without seccomp", pointer, "");
            }
            name if USUAL.contains(&name) => {}
            name if rules::is_known(name) => found.add(name, pointer, ""),
            name => found.add("unusual capabilities", pointer, name),
        }
    }
}

fn seccomp(spec: &Spec, found: &mut Found) {
    let Some(profile) = &spec.linux.seccomp else {
        return found.add("no seccomp", "/linux/seccomp", "");
    };
    match profile.default_action.as_str() {
        "SCMP_ACT_ALLOW" => found.add("seccomp allows by default", "/linux/seccomp/defaultAction", "SCMP_ACT_ALLOW"),
        "SCMP_ACT_LOG" => found.add("seccomp only logs", "/linux/seccomp/defaultAction", "SCMP_ACT_LOG"),
        _ => {}
    }
}
