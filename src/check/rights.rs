//! Namespaces to join, mappings of ids, limits, settings of the kernel, labels, network devices, the actions of a profile. May
//! touch: system calls.

use super::lines::Bundle;
use super::rows::{Rows, Verdict};
use super::{read, read_long};
use crate::cause::{limits, path, sysctl};
use crate::host::input::c;
use crate::perform::labels;
use crate::spec::{self, IdMapping, NamespaceKind};
use core::ffi::CStr;
use syscalls::{At, AtFlags, Why};

pub fn joined(at: &str, path: &CStr, kind: &str, rows: &mut Rows) {
    let name = path.to_string_lossy();
    let why = Why("a namespace is joined by a file that stands for it");
    match syscalls::newfstatat(At::CWD, path, AtFlags::NONE, why) {
        Ok(_) => rows.ok(at, "namespace", &[&name]),
        Err(_) => rows.fails(at, "namespace", &[&name, kind]),
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

/// A setting below /proc/sys. A new network namespace has `lo` alone when settings are written.
pub fn setting(b: &Bundle, at: &str, path: &str, rows: &mut Rows) {
    let name = path.strip_prefix("sys/").unwrap_or(path);
    if path::host().is_some_and(|host| path::find(host.at(), &format!("/proc/{path}")).is_some()) {
        return rows.ok(at, "sysctl", &[name]);
    }
    let own = spec::namespace(&b.spec.linux, &NamespaceKind::Network).is_some_and(|one| one.joined().is_none());
    let mut later = sysctl::interfaces(syscalls::record::own_pid());
    later.extend(b.spec.linux.net_devices.0.iter().map(|(name, _)| name.clone()));
    match sysctl::missing(name, &["lo".into()], &later) {
        Some(found) if own => rows.found(at, found),
        _ => rows.unsure(at, "sysctl", &[name]),
    }
}

/// The mapping of a new user namespace. `helpers`: only newuidmap and newgidmap may write it.
pub fn mapping(b: &Bundle, helpers: bool, rows: &mut Rows) {
    let linux = &b.spec.linux;
    let user = b.asker.uid.to_string();
    for (pointer, helper, file, mappings, own) in [
        ("/linux/uidMappings", "newuidmap", c"/etc/subuid", &linux.uid_mappings, b.asker.uid),
        ("/linux/gidMappings", "newgidmap", c"/etc/subgid", &linux.gid_mappings, b.asker.gid),
    ] {
        if !helpers {
            rows.ok(pointer, "mapping", &["the runtime"]);
            continue;
        }
        if !["/usr/bin", "/bin", "/usr/local/bin"].iter().any(|dir| is_there(&format!("{dir}/{helper}"))) {
            rows.fails(pointer, "mapping", &[helper, &user]);
            continue;
        }
        let text = read_long(file).unwrap_or_default();
        let lent = lent(&text, b.asker.uid);
        let file = file.to_string_lossy();
        let missing = mappings.iter().enumerate().find(|(_, map)| !is_lent(map, own, &lent));
        match missing {
            None => rows.ok(pointer, "subids", &[&file, &user]),
            Some((_, map)) => {
                let last = map.host_id.saturating_add(map.size.saturating_sub(1)).to_string();
                let values = [&*file, &user, &map.host_id.to_string(), &last, &map.size.to_string()];
                rows.say(Verdict::Fails, pointer, "subids", "fails", &values);
            }
        }
    }
}

fn is_there(name: &str) -> bool {
    let why = Why("an ordinary user's mapping is written by this program");
    c(name).is_ok_and(|name| syscalls::newfstatat(At::CWD, &name, AtFlags::NONE, why).is_ok())
}

/// The ranges that a file of subuid(5) gives a user, by number or by name.
fn lent(text: &str, uid: u32) -> Vec<(u32, u32)> {
    let passwd = read_long(c"/etc/passwd").unwrap_or_default();
    let number = uid.to_string();
    let name =
        passwd.lines().find(|line| line.split(':').nth(2) == Some(&number)).and_then(|line| line.split(':').next());
    let line = |line: &str| {
        let mut fields = line.split(':');
        let who = fields.next()?;
        let range = (fields.next()?.parse().ok()?, fields.next()?.trim().parse().ok()?);
        (who == number || Some(who) == name).then_some(range)
    };
    text.lines().filter_map(line).collect()
}

/// Whether one range holds the whole mapping, or the mapping is the caller's own id.
fn is_lent(map: &IdMapping, own: u32, lent: &[(u32, u32)]) -> bool {
    let end = u64::from(map.host_id) + u64::from(map.size);
    let holds = |(first, count): &(u32, u32)| *first <= map.host_id && end <= u64::from(*first) + u64::from(*count);
    map.size == 1 && map.host_id == own || lent.iter().any(holds)
}

pub fn label(at: &str, selinux: bool, rows: &mut Rows) {
    let why = Why("the kernel has one such security module at the most");
    let (name, has, boot) = match selinux {
        true => ("SELinux", labels::selinux(why), "security=selinux"),
        false => ("AppArmor", labels::apparmor(why), "apparmor=1 security=apparmor"),
    };
    match has {
        Ok(true) => rows.ok(at, "label", &[name]),
        _ => rows.fails(at, "label", &[name, boot]),
    }
}

pub fn device(at: &str, device: &str, rows: &mut Rows) {
    match is_there(&format!("/sys/class/net/{device}")) {
        true => rows.ok(at, "device", &[device]),
        false => rows.fails(at, "device", &[device]),
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
    match crate::plan::seccomp::warnings(profile).first() {
        Some(word) => rows.unsure(at, "warning", &[word]),
        None => rows.ok(at, "action", &[]),
    }
}

pub fn resctrl(at: &str, rows: &mut Rows) {
    match is_there("/sys/fs/resctrl/schemata") {
        true => rows.ok(at, "resctrl", &[]),
        false => rows.fails(at, "resctrl", &[]),
    }
}
