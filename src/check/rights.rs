//! Namespaces to join, mappings of ids, limits, settings of the kernel, labels, network devices, the actions of a profile. May
//! touch: system calls.

use super::read;
use super::rows::Rows;
use super::view::Bundle;
use crate::cause::{Found, filter, ids, labels as profiles, limits, namespaces, path, sysctl};
use crate::perform::labels;
use crate::plan::text;
use crate::spec::{self, NamespaceKind};
use syscalls::{At, Why};

/// The new namespaces of the container.
pub fn namespaces(b: &Bundle, rows: &mut Rows) {
    match namespaces::planned(b.spec, b.asker.uid) {
        Some(found) => rows.found("/linux/namespaces", found),
        None => rows.ok("/linux/namespaces", "namespaces", &[]),
    }
}

/// A namespace to join. `at`: its place in the list.
pub fn joined(b: &Bundle, at: &str, rows: &mut Rows) {
    let number = text::number_in("/linux/namespaces/", at);
    let Some(one) = number.and_then(|number| b.spec.linux.namespaces.get(number)) else {
        return;
    };
    let path = one.joined().unwrap_or("");
    match namespaces::joinable(path, &one.kind) {
        Some(found) => rows.found(at, found),
        None => rows.ok(at, "namespace", &[path]),
    }
}

/// A hard limit.
pub fn limit(b: &Bundle, at: &str, resource: u32, hard: u64, rows: &mut Rows) {
    let name = spec::RLIMITS.get(resource as usize).copied().unwrap_or("a limit");
    match limits::rlimit(resource, hard, b.asker.can_raise) {
        Some(found) => rows.found(at, found),
        None => rows.ok(at, "rlimit", &[name]),
    }
}

/// A setting below /proc/sys, and its value where the kernel's own are numbers. A new network namespace has `lo` alone when
/// settings are written.
pub fn setting(b: &Bundle, at: &str, path: &str, value: &[u8], rows: &mut Rows) {
    let name = path.strip_prefix("sys/").unwrap_or(path);
    if path::host().is_some_and(|host| path::find(host.at(), &format!("/proc/{path}")).is_some()) {
        return match sysctl::no_number(name, &String::from_utf8_lossy(value)) {
            Some(found) => rows.found(at, found),
            None => rows.ok(at, "sysctl", &[name]),
        };
    }
    let own = spec::namespace(&b.spec.linux, &NamespaceKind::Network).is_some_and(|one| one.joined().is_none());
    let mut later = sysctl::interfaces(syscalls::record::own_pid());
    later.extend(b.spec.linux.net_devices.0.iter().map(|(name, _)| name.clone()));
    match sysctl::missing(name, &["lo".into()], &later) {
        Some(found) if own => rows.found(at, found),
        _ => rows.unsure(at, "sysctl", &[name]),
    }
}

/// The mapping of a new user namespace.
pub fn mapping(b: &Bundle, rows: &mut Rows) {
    match ids::planned(b.spec, b.asker.uid) {
        Some(found) => rows.found("/linux/uidMappings", found),
        None => rows.ok("/linux/uidMappings", "mapping", &[]),
    }
}

/// The program's user where the container has no user namespace of its own.
pub fn user(b: &Bundle, rows: &mut Rows) {
    if let Some(found) = ids::unmapped(b.spec) {
        rows.found("/process/user", found);
    }
}

pub fn label(b: &Bundle, at: &str, selinux: bool, rows: &mut Rows) {
    let why = Why("the kernel has one such security module at the most");
    let (name, has, keys) = match selinux {
        true => ("SELinux", labels::selinux(why), "process.selinuxLabel and linux.mountLabel"),
        false => ("AppArmor", labels::apparmor(why), "process.apparmorProfile"),
    };
    match has {
        Ok(true) => match unknown(b, at, selinux) {
            Some(found) => rows.found(at, found),
            None => rows.ok(at, "label", &[name]),
        },
        _ => rows.fails(at, "label", &[name, keys]),
    }
}

/// The label is one that the module does not know.
fn unknown(b: &Bundle, at: &str, selinux: bool) -> Option<Found> {
    match (selinux, at) {
        (false, _) => profiles::loaded(&b.spec.process.apparmor_profile),
        (true, "/linux/mountLabel") => profiles::known(&b.spec.linux.mount_label),
        (true, _) => profiles::known(&b.spec.process.selinux_label),
    }
}

pub fn device(at: &str, device: &str, rows: &mut Rows) {
    match limits::no_interface(device) {
        None => rows.ok(at, "device", &[device]),
        Some(found) => rows.found(at, found),
    }
}

/// The actions of the seccomp profile, and names of calls that no architecture here has.
pub fn profile(b: &Bundle, at: &str, rows: &mut Rows) {
    let Some(profile) = &b.spec.linux.seccomp else {
        return;
    };
    let Some(known) = read(c"/proc/sys/kernel/seccomp/actions_avail") else {
        return;
    };
    let used = core::iter::once(&profile.default_action).chain(profile.rules.iter().map(|rule| &rule.action));
    let name = |action: &str| match action.strip_prefix("SCMP_ACT_").unwrap_or("") {
        "KILL" => "kill_thread".into(),
        "NOTIFY" => "user_notif".into(),
        other => other.to_ascii_lowercase(),
    };
    let known: Vec<&str> = known.split_whitespace().collect();
    let mut unknown = used.filter(|action| !known.contains(&name(action).as_str()));
    if let Some(action) = unknown.next() {
        return rows.fails(at, "action", &[action]);
    }
    if let Some(found) = filter::planned(profile) {
        return rows.found(at, found);
    }
    match crate::plan::seccomp::warnings(profile).first() {
        Some(word) => rows.unsure(at, "warning", &[word]),
        None => rows.ok(at, "action", &[]),
    }
}

pub fn resctrl(at: &str, rows: &mut Rows) {
    match path::exists_at(At::CWD, "/sys/fs/resctrl/schemata") {
        true => rows.ok(at, "resctrl", &[]),
        false => rows.fails(at, "resctrl", &[]),
    }
}
