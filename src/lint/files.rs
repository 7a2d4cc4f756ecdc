//! Which files of the host, and of the kernel, the program reaches. May touch: types and tables.

use super::namespaces::has_users;
use super::resources::all_devices;
use super::rules::Found;
use crate::look::open::SOCKETS;
use crate::plan::mounts::options::{self, Options, attr};
use crate::plan::{clean, text};
use crate::spec::{self, Mount, NamespaceKind, Spec};
use syscalls::MountFlags as Ms;

/// Directories of the host that rule how it works, or what it is.
const SYSTEM: [&str; 15] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/root", "/run", "/sbin", "/sys", "/usr", "/var",
    "/var/lib", "/var/run",
];

/// Below these lie accounts, programs and settings of the host: also one file of them rules it.
const RULING: [&str; 11] =
    ["/bin", "/boot", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr/bin", "/usr/lib", "/usr/sbin"];

/// What an engine makes for each container, and binds into it.
const MADE: [&str; 7] = [
    "/.dockerenv",
    "/dev/shm",
    "/dev/termination-log",
    "/etc/hostname",
    "/etc/hosts",
    "/etc/resolv.conf",
    "/run/.containerenv",
];

/// File systems that show the kernel, or hold nothing that was written as a file.
const KERNEL: [&str; 6] = ["proc", "sysfs", "cgroup", "cgroup2", "mqueue", "devpts"];

pub fn look(spec: &Spec, found: &mut Found) {
    if spec::namespace(&spec.linux, &NamespaceKind::Mount).is_none() {
        return;
    }
    if !spec.root.readonly {
        found.add("writable rootfs", "/root/readonly", "");
    }
    let word = spec.linux.rootfs_propagation.as_str();
    if matches!(word, "shared" | "rshared") {
        found.add("shared propagation", "/linux/rootfsPropagation", word);
    }
    for (i, one) in spec.mounts.iter().enumerate() {
        let at = format!("/mounts/{i}");
        if let Ok(options) = options::understand(one, &at) {
            mount(spec, one, &options, &at, found);
        }
    }
    kernel(spec, found);
}

fn mount(spec: &Spec, mount: &Mount, options: &Options, at: &str, found: &mut Found) {
    let target = clean(&mount.destination);
    if options.attributes.propagation == Ms::MS_SHARED {
        found.add("shared propagation", at, target.as_str());
    }
    let has = |flag: Ms, bit: u64| options.flags.has(flag) || options.recursive.set & bit != 0;
    let readonly = has(Ms::MS_RDONLY, attr::RDONLY);
    if options.bind {
        let source = mount.source.as_deref().unwrap_or("");
        if MADE.contains(&target.as_str()) && source != target {
            return;
        }
        lent(source, &target, readonly, at, found);
    } else if !readonly && !has_users(spec) {
        match &*mount.kind {
            "sysfs" => found.add("writable /sys", at, target.as_str()),
            "cgroup" | "cgroup2" => found.add("writable cgroups", at, target.as_str()),
            _ => {}
        }
    }
    // /dev holds devices, and a bind of one device is made to be opened.
    let of_devices = text::below(&target, "/dev").is_some() && target != "/dev/shm" || target == "/dev";
    let files = !KERNEL.contains(&&*mount.kind) && !of_devices && !readonly;
    for (name, flag, bit) in [
        ("mount without nosuid", Ms::MS_NOSUID, attr::NOSUID),
        ("mount without nodev", Ms::MS_NODEV, attr::NODEV),
        ("mount without noexec", Ms::MS_NOEXEC, attr::NOEXEC),
    ] {
        let matters = match flag {
            Ms::MS_NOSUID => !spec.process.no_new_privileges,
            Ms::MS_NODEV => !has_users(spec) && all_devices(spec).is_some(),
            // A bind often brings programs, and a new file system is empty.
            _ => mount.kind == "tmpfs",
        };
        if files && matters && !has(flag, bit) {
            found.add(name, at, target.as_str());
        }
    }
}

/// A bind of the host's.
fn lent(source: &str, target: &str, readonly: bool, at: &str, found: &mut Found) {
    let source = match source.starts_with('/') {
        true => clean(source),
        false => source.into(),
    };
    let both = format!("{target} (the host's {source})");
    let last = |path: &str| path.rsplit('/').next().is_some_and(|name| SOCKETS.contains(&name));
    let name = match source.as_str() {
        "/" => "host root",
        path if last(path) || last(target) => "engine socket",
        path if SYSTEM.contains(&path) && readonly => "system directory",
        path if !readonly && rules_host(path) => "writable system directory",
        _ if readonly => return,
        path if path.starts_with("/dev/") => return,
        _ => "writable host mount",
    };
    found.add(name, at, both);
}

/// Whether the host works by what lies at a path.
fn rules_host(path: &str) -> bool {
    let above = |dir: &&str| path == *dir || text::below(path, dir).is_some();
    SYSTEM.contains(&path) || RULING.iter().any(above)
}

/// Paths of /proc and /sys that are usually masked or read-only, which matters where such a file system is mounted.
fn kernel(spec: &Spec, found: &mut Found) {
    let Ok(usual) = spec::parse(spec::DEFAULT.as_bytes()) else {
        return;
    };
    let shown = |path: &str| {
        spec.mounts.iter().any(|mount| {
            let target = clean(&mount.destination);
            KERNEL[..2].contains(&&*mount.kind) && text::below(path, &target).is_some()
        })
    };
    let missing = |usual: &[String], given: &[String]| -> Vec<String> {
        let covered = |path: &str| given.iter().any(|one| one == path || text::below(path, one).is_some());
        usual.iter().filter(|path| shown(path) && !covered(path)).cloned().collect()
    };
    let masked = missing(&usual.linux.masked_paths, &spec.linux.masked_paths);
    if !masked.is_empty() {
        found.add("path not masked", "/linux/maskedPaths", masked.join(", "));
    }
    let mut given = spec.linux.readonly_paths.clone();
    given.extend(spec.linux.masked_paths.iter().cloned());
    let mut open = missing(&usual.linux.readonly_paths, &given);
    if has_users(spec) {
        return;
    }
    if let Some(at) = open.iter().position(|path| path == "/proc/sys") {
        open.remove(at);
        found.add("writable /proc/sys", "/linux/readonlyPaths", "");
    }
    if !open.is_empty() {
        found.add("path not read-only", "/linux/readonlyPaths", open.join(", "));
    }
}
