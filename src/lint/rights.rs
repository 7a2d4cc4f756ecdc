//! What the program may ask the kernel for: its user, its capabilities, its seccomp profile, its label. May touch: types.

use super::namespaces::has_users;
use super::resources::all_devices;
use super::rules::Found;
use crate::spec::{self, NamespaceKind, Spec};

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
    let profile = spec.process.apparmor_profile.as_str();
    if module && spec.process.selinux_label.is_empty() && matches!(profile, "" | "unconfined") {
        found.add("unconfined", "/process/apparmorProfile", "");
    }
}

fn users(spec: &Spec, found: &mut Found) {
    let user = &spec.process.user;
    if has_users(spec) {
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
    let sets = &spec.process.capabilities;
    let all = [("bounding", &sets.bounding), ("permitted", &sets.permitted), ("effective", &sets.effective)];
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
            "CAP_NET_ADMIN" if own_network => {}
            "CAP_MKNOD" if all_devices(spec).is_none() => {}
            "CAP_SYS_ADMIN" if spec.linux.seccomp.is_none() => {
                found.add("CAP_SYS_ADMIN without seccomp", pointer, "");
            }
            // A name without a rule is no finding.
            name => found.add(name, pointer, ""),
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
