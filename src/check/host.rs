//! What this machine has of all that containers need. May touch: system calls.

use super::rows::{Rows, Verdict};
use super::{Asker, read};
use crate::cause::{self, facts, users};
use crate::host::cgroup;
use crate::perform::files::PLACE;
use crate::perform::labels;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{AccessFlags, AccessMode, At, AtFlags, Errno, OpenFlags, OpenTree, Resolve, Why};

/// Settings that can forbid user namespaces: the value that does, and one that does not.
const SWITCHES: [(&str, &str, &str); 3] = [
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
];

pub fn look(asker: &Asker, rows: &mut Rows) {
    kernel(rows);
    procfs(rows);
    calls(asker, rows);
    rights(asker, rows);
    cgroups(asker, rows);
    user_namespaces(asker, rows);
    modules(rows);
    match read(c"/proc/sys/kernel/seccomp/actions_avail") {
        Some(actions) => rows.ok("host seccomp", "seccomp", &[actions.trim()]),
        None => rows.fails("host seccomp", "seccomp", &[]),
    }
    state(asker, rows);
}

fn kernel(rows: &mut Rows) {
    // Of what a start asks for first, kernels below the floor lack this one first. No descriptor has this number.
    let why = Why("a kernel below the floor refuses this flag: here it changes nothing");
    let lacking = syscalls::close_range_cloexec(u32::MAX, u32::MAX, why).err();
    match lacking.and_then(cause::too_old) {
        Some(found) => rows.found("host kernel", found),
        None if facts::older_than(facts::FLOOR) => rows.fails("host kernel", "kernel", &[&facts::release()]),
        None => rows.ok("host kernel", "kernel", &[&facts::release()]),
    }
}

fn procfs(rows: &mut Rows) {
    if let Some(found) = users::foreign_proc() {
        return rows.found("host proc", found);
    }
    match is_procfs() {
        Some(true) => rows.ok("host proc", "procfs", &[]),
        _ => rows.unsure("host proc", "procfs", &[]),
    }
}

fn is_procfs() -> Option<bool> {
    let why = Why("processes are looked at through it");
    let dir = syscalls::openat(At::CWD, c"/proc", PLACE, why).ok()?;
    let found = syscalls::fstatfs(dir.at(), why).ok()?;
    Some(found.f_type as i64 == libc::PROC_SUPER_MAGIC)
}

/// Calls that the filter of an older engine forbids. They are made so that they change nothing.
fn calls(asker: &Asker, rows: &mut Rows) {
    let why = Why("a filter around this process could forbid this call: here it changes nothing");
    let attr = syscalls::mount_attr { attr_set: 0, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let answers = [
        ("openat2", syscalls::openat2(At::CWD, c"/", PLACE, Resolve::NONE, why).map(drop)),
        ("open_tree", syscalls::open_tree(At::CWD, c"/", OpenTree::NONE, why).map(drop)),
        ("pidfd_open", syscalls::pidfd_open(asker.pid, why).map(drop)),
        ("mount_setattr", syscalls::mount_setattr(At::CWD, c"/", AtFlags::NONE, &attr, why)),
    ];
    // Without rights the kernel itself forbids the last one.
    let ours = |name: &str, errno: Errno| errno == Errno::EPERM && name == "mount_setattr" && !asker.can_mount;
    for (name, answer) in answers {
        match answer {
            Err(failed) if cause::too_old(failed).is_some() => return,
            Err(failed) if [Errno::ENOSYS, Errno::EPERM].contains(&failed.errno) && !ours(name, failed.errno) => {
                return rows.fails("host calls", "calls", &[name, failed.errno.name()]);
            }
            _ => {}
        }
    }
    rows.ok("host calls", "calls", &[]);
}

fn rights(asker: &Asker, rows: &mut Rows) {
    match (asker.uid, asker.can_mount, asker.new_users) {
        (0, true, _) => rows.ok("host rights", "rights", &[]),
        (0, false, false) => rows.fails("host rights", "rights", &[]),
        _ => rows.not_needed("host rights", "rights", &[&asker.uid.to_string()]),
    }
}

/// Where the cgroup2 hierarchy is mounted. (`cgroup::open_root` would mount one that is missing.)
pub fn hierarchy() -> Option<(&'static CStr, syscalls::Fd)> {
    [c"/sys/fs/cgroup", c"/sys/fs/cgroup/unified"].into_iter().find_map(|path| {
        let why = Why("the container's cgroup lies below the root of this hierarchy");
        let dir = syscalls::openat(At::CWD, path, OpenFlags::O_DIRECTORY, why).ok()?;
        let found = syscalls::fstatfs(dir.at(), Why("any file system could be mounted there")).ok()?;
        (found.f_type as i64 == libc::CGROUP2_SUPER_MAGIC).then_some((path, dir))
    })
}

fn cgroups(asker: &Asker, rows: &mut Rows) {
    if !asker.cgroup {
        return rows.not_needed("host cgroups", "cgroups", &[]);
    }
    let Some((path, root)) = hierarchy() else {
        return rows.unsure("host cgroups", "cgroups", &[]);
    };
    let why = Why("only these controllers can limit a container");
    let all = cgroup::read(root.at(), c"cgroup.controllers", why).unwrap_or_default();
    let (path, all) = (path.to_string_lossy(), all.split_whitespace().collect::<Vec<_>>().join(", "));
    match all.as_str() {
        "" => rows.say(Verdict::Unsure, "host cgroups", "cgroups", "without", &[&path]),
        all => rows.ok("host cgroups", "cgroups", &[&path, all]),
    }
    let base = asker.cgroup_base.trim_end_matches('/');
    if asker.uid == 0 || base.is_empty() {
        return;
    }
    let Ok(name) = CString::new(base) else { return };
    let look = Why("a user may make cgroups only in what is delegated");
    let may = syscalls::faccessat2(root.at(), &name, AccessMode::W_OK, AccessFlags::AT_EACCESS, look).is_ok();
    let owner = syscalls::newfstatat(root.at(), &name, AtFlags::NONE, look).map_or(0, |stat| stat.st_uid).to_string();
    let values: [&str; 3] = [base, &asker.uid.to_string(), &owner];
    let (verdict, part) = if may { (Verdict::Ok, "ok") } else { (Verdict::Unsure, "unsure") };
    rows.say(verdict, "host delegation", "delegation", part, &values);
}

fn user_namespaces(asker: &Asker, rows: &mut Rows) {
    if !asker.new_users && asker.has_bundle {
        return rows.not_needed("host users", "users", &[]);
    }
    for (key, off, on) in SWITCHES {
        // The last two bind ordinary users alone.
        if asker.uid == 0 && !key.starts_with("user.") {
            continue;
        }
        let path = CString::new(format!("/proc/sys/{}", key.replace('.', "/"))).unwrap_or_default();
        if read(&path).is_some_and(|value| value.trim() == off) {
            let verdict = if asker.new_users { Verdict::Fails } else { Verdict::Unsure };
            return rows.say(verdict, "host users", "users", "fails", &[key, off, on]);
        }
    }
    let most = read(c"/proc/sys/user/max_user_namespaces").unwrap_or_default();
    rows.ok("host users", "users", &[most.trim()]);
}

fn modules(rows: &mut Rows) {
    let why = Why("labels of a bundle need the security module that they are for");
    match (labels::apparmor(why) == Ok(true), labels::selinux(why) == Ok(true)) {
        (true, _) => rows.ok("host modules", "modules", &["AppArmor"]),
        (_, true) => rows.ok("host modules", "modules", &["SELinux"]),
        _ => rows.not_needed("host modules", "modules", &[]),
    }
}

/// The state root, or the first directory above it that is there.
fn state(asker: &Asker, rows: &mut Rows) {
    let why = Why("the state of a container is a directory there");
    let mut path = asker.root.trim_end_matches('/');
    loop {
        let Ok(name) = CString::new(if path.is_empty() { "/" } else { path }) else {
            return;
        };
        match syscalls::faccessat2(At::CWD, &name, AccessMode::W_OK, AccessFlags::AT_EACCESS, why) {
            Ok(()) => return rows.ok("host state", "state", &[&asker.root]),
            Err(failed) if failed.errno == Errno::ENOENT && !path.is_empty() => {
                path = path.rsplit_once('/').map_or("", |(above, _)| above);
            }
            Err(_) => return rows.fails("host state", "state", &[&asker.root, &name.to_string_lossy()]),
        }
    }
}
