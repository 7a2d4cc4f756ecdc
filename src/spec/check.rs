//! Every MUST of the specification that can be tested without the kernel, for what is built; and the refusal, by
//! name, of what is not. Nothing was made yet when this speaks. May touch: types.

use super::unbuilt::Unbuilt;
use super::{
    Document, Linux, Mount, NamespaceKind, Problem, Process, Root, Spec, check_linux, check_process, net_devices,
    rlimit_number,
};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

pub(super) type Checked = Result<(), Problem>;

pub(super) fn no<T>(pointer: impl Into<String>, problem: impl Into<String>) -> Result<T, Problem> {
    Err(Problem { pointer: pointer.into(), problem: problem.into() })
}

/// The first of some properties that asks for what is not built.
fn unbuilt(pointer: &str, properties: &[(&str, &Unbuilt)]) -> Checked {
    for (name, property) in properties {
        if let Unbuilt(Some(tail)) = property {
            return no(format!("{pointer}/{name}{tail}"), "is not supported yet");
        }
    }
    Ok(())
}

/// A string that becomes a C string.
pub(super) fn no_nul(pointer: impl FnOnce() -> String, text: &str) -> Checked {
    if text.contains('\0') { no(pointer(), "holds a NUL byte") } else { Ok(()) }
}

/// The kernel takes no longer path (PATH_MAX, without its NUL).
const LONGEST_PATH: usize = 4095;

/// A string that becomes a path.
fn a_path(pointer: impl FnOnce() -> String, text: &str) -> Checked {
    if text.len() > LONGEST_PATH {
        let problem = format!("has {} bytes: the kernel takes at most {LONGEST_PATH}", text.len());
        return no(pointer(), problem);
    }
    no_nul(pointer, text)
}

/// Longer lists than anybody needs: some are looked through once for each entry, and the jumps of the device program
/// reach no further.
pub const LONGEST_LIST: usize = 2048;

fn not_endless<T>(pointer: &str, list: &[T]) -> Checked {
    match list.len() {
        0..=LONGEST_LIST => Ok(()),
        len => no(pointer, format!("has {len} entries: at most {LONGEST_LIST} are taken")),
    }
}

fn check_lists(process: &Process, linux: &Linux, mounts: &[Mount]) -> Checked {
    not_endless("/mounts", mounts)?;
    not_endless("/linux/devices", &linux.devices)?;
    not_endless("/linux/resources/devices", &linux.resources.devices)?;
    not_endless("/linux/maskedPaths", &linux.masked_paths)?;
    not_endless("/linux/readonlyPaths", &linux.readonly_paths)?;
    let sets = &process.capabilities;
    not_endless("/process/capabilities/bounding", &sets.bounding)?;
    not_endless("/process/capabilities/effective", &sets.effective)?;
    not_endless("/process/capabilities/permitted", &sets.permitted)?;
    not_endless("/process/capabilities/inheritable", &sets.inheritable)?;
    not_endless("/process/capabilities/ambient", &sets.ambient)
}

/// The document, as something that can be carried out.
pub fn check(document: Document) -> Result<Spec, Problem> {
    let Some(version) = document.oci_version else {
        return no("/ociVersion", "is missing: the specification requires it");
    };
    check_version(&version)?;
    unbuilt("", &[("vm", &document.vm)])?;
    check_process::check_hooks(&document.hooks)?;
    let Some(root) = document.root else {
        return no("/root", "is missing: a container needs a root file system");
    };
    let Some(process) = document.process else {
        return no("/process", "is missing: nothing says what to run");
    };
    let linux = document.linux.unwrap_or_default();
    let mounts = document.mounts.unwrap_or_default();
    let annotations = document.annotations.unwrap_or_default();
    check_lists(&process, &linux, &mounts)?;
    check_root(&root)?;
    check_process(&process)?;
    check_process::check(&process)?;
    check_linux(&linux)?;
    check_linux::check(&linux, &process)?;
    for (name, value) in [("hostname", &document.hostname), ("domainname", &document.domainname)] {
        check_name(name, value.as_deref(), &linux)?;
    }
    for (i, mount) in mounts.iter().enumerate() {
        check_mount(i, mount)?;
    }
    if check_linux::namespace(&linux, &NamespaceKind::Mount).is_none() {
        check_shared_mounts(&root, &process, &linux, &mounts)?;
    }
    if annotations.contains_key("") {
        return no("/annotations", "has an empty key");
    }
    let named = |name: Option<String>| name.filter(|name| !name.is_empty());
    let (hostname, domainname) = (named(document.hostname), named(document.domainname));
    let spec = Spec {
        oci_version: version,
        process,
        root,
        hostname,
        domainname,
        mounts,
        annotations,
        linux,
        hooks: document.hooks,
    };
    spec.check_annotations()?;
    Ok(spec)
}

/// Whether this is a version of semantic versioning 2.0.0 (semver.org): three numbers; after `-` what comes before that
/// release; after `+` the build.
fn is_version(version: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (version, build) = match version.split_once('+') {
        Some((version, build)) => (version, Some(build)),
        None => (version, None),
    };
    let (core, before) = match version.split_once('-') {
        Some((core, before)) => (core, Some(before)),
        None => (version, None),
    };
    core.split('.').count() == 3
        && core.split('.').all(number)
        && before.is_none_or(|b| b.split('.').all(|p| word(p) && (!digits(p) || number(p))))
        && build.is_none_or(|b| b.split('.').all(word))
}

/// Without a mount namespace the container has the host's mounts (config-linux.md, "Namespaces"), and its root by chroot.
/// What would be a mount is refused: it would be the host's, too. runc refuses masked and read-only paths there, and
/// mounts the rest on the host.
fn check_shared_mounts(root: &Root, process: &Process, linux: &Linux, mounts: &[Mount]) -> Checked {
    let paths = [
        ("/mounts/0", !mounts.is_empty()),
        ("/root/readonly", root.readonly),
        ("/linux/maskedPaths/0", !linux.masked_paths.is_empty()),
        ("/linux/readonlyPaths/0", !linux.readonly_paths.is_empty()),
        ("/linux/rootfsPropagation", !linux.rootfs_propagation.is_empty()),
        ("/linux/mountLabel", !linux.mount_label.is_empty()),
        ("/process/terminal", process.terminal == Some(true)),
    ];
    if let Some((pointer, _)) = paths.iter().find(|(_, asked)| *asked) {
        return no(
            *pointer,
            "needs a `mount` namespace in linux.namespaces: without one the mount would be the host's",
        );
    }
    let user = |n: &super::Namespace| n.kind == NamespaceKind::User;
    match linux.namespaces.iter().position(user) {
        Some(i) => no(
            format!("/linux/namespaces/{i}"),
            "needs a `mount` namespace beside it: in a user namespace devices are binds of the host's",
        ),
        None => Ok(()),
    }
}

/// Any 1.x, in which later ones only add.
fn check_version(version: &str) -> Checked {
    if !is_version(version) {
        return no("/ociVersion", format!("`{version}` is no version of SemVer 2.0.0: 1.2.0, for example, is one"));
    }
    if version.split('.').next() != Some("1") {
        return no("/ociVersion", format!("`{version}` is not supported: 1.0.0 to 1.3.0 are, and what follows in 1.x"));
    }
    Ok(())
}

fn check_root(root: &Root) -> Checked {
    if root.path.is_empty() {
        return no("/root/path", "is missing: it names the root file system's directory");
    }
    a_path(|| "/root/path".into(), &root.path)
}

fn check_process(process: &Process) -> Checked {
    if process.args.is_empty() {
        return no("/process/args", "is missing or empty: its first entry is the program");
    }
    if process.args.first().is_some_and(String::is_empty) {
        return no("/process/args/0", "is empty: it names the program");
    }
    if !process.cwd.starts_with('/') {
        return no("/process/cwd", format!("`{}` must be an absolute path", process.cwd));
    }
    a_path(|| "/process/cwd".into(), &process.cwd)?;
    for (name, list) in [("args", &process.args), ("env", &process.env)] {
        for (i, text) in list.iter().enumerate() {
            no_nul(|| format!("/process/{name}/{i}"), text)?;
        }
    }
    check_environment("/process/env", &process.env)?;
    let user = &process.user;
    for (name, id) in [("uid", user.uid), ("gid", user.gid)] {
        an_id(|| format!("/process/user/{name}"), Some(id))?;
    }
    for (i, gid) in user.additional_gids.iter().enumerate() {
        an_id(|| format!("/process/user/additionalGids/{i}"), Some(*gid))?;
    }
    if process.user.umask.is_some_and(|mask| mask > 0o777) {
        return no("/process/user/umask", "must be at most 511 (octal 777)");
    }
    for (i, limit) in process.rlimits.iter().enumerate() {
        let pointer = format!("/process/rlimits/{i}");
        if rlimit_number(&limit.kind).is_none() {
            return no(format!("{pointer}/type"), format!("`{}` is no resource limit of Linux", limit.kind));
        }
        if let Some(first) = process.rlimits[..i].iter().position(|other| other.kind == limit.kind) {
            return no(pointer, format!("repeats {} of /process/rlimits/{first}", limit.kind));
        }
        if limit.soft > limit.hard {
            return no(format!("{pointer}/soft"), format!("{} is above the hard limit {}", limit.soft, limit.hard));
        }
    }
    Ok(())
}

/// Entries are NAME=VALUE; an older habit is a NAME alone.
pub(super) fn check_environment(pointer: &str, env: &[String]) -> Checked {
    let nameless = |entry: &String| entry.is_empty() || entry.starts_with('=');
    match env.iter().position(nameless) {
        Some(i) => no(format!("{pointer}/{i}"), format!("`{}` has no name", env[i])),
        None => Ok(()),
    }
}

/// The highest number tells the kernel to leave an id as it is, which is root's (setresuid(2), chown(2)).
fn an_id(pointer: impl FnOnce() -> String, id: Option<u32>) -> Checked {
    match id {
        Some(u32::MAX) => no(pointer(), "4294967295 is nobody's id: it stands for no change"),
        _ => Ok(()),
    }
}

/// sethostname(2) takes 64 bytes, and would name the host itself without a namespace of its own.
fn check_name(property: &str, name: Option<&str>, linux: &Linux) -> Checked {
    let Some(name) = name.filter(|name| !name.is_empty()) else {
        return Ok(());
    };
    let pointer = format!("/{property}");
    if !linux.namespaces.iter().any(|n| n.kind == NamespaceKind::Uts) {
        return no(pointer, "needs a new `uts` namespace in linux.namespaces: without one it would be the host's");
    }
    if name.len() > 64 {
        return no(pointer, format!("has {} bytes: the kernel takes at most 64", name.len()));
    }
    no_nul(|| pointer, name)
}

/// `/`, in one of its spellings.
fn is_root(path: &str) -> bool {
    path.split('/').all(|part| matches!(part, "" | "." | ".."))
}

pub fn check_mount(number: usize, mount: &Mount) -> Checked {
    let pointer = |tail: &str| format!("/mounts/{number}{tail}");
    if !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty() {
        check_linux::check_mappings(&pointer(""), &mount.uid_mappings, &mount.gid_mappings)?;
    }
    if mount.destination.is_empty() {
        return no(pointer("/destination"), "is missing: it says where in the container the mount goes");
    }
    let source = mount.source.as_deref().unwrap_or("");
    let has = |words: [&str; 2]| mount.options.iter().any(|option| words.contains(&&**option));
    let bind = mount.kind == "bind" || has(["bind", "rbind"]);
    if bind && source.is_empty() && !has(["remount", "remount"]) {
        return no(pointer("/source"), "is missing or empty: it names what a bind mount shows");
    }
    for (name, text) in [("/destination", mount.destination.as_str()), ("/type", &mount.kind), ("/source", source)] {
        a_path(|| pointer(name), text)?;
    }
    for (i, option) in mount.options.iter().enumerate() {
        no_nul(|| pointer(&format!("/options/{i}")), option)?;
    }
    Ok(())
}

fn check_linux(linux: &Linux) -> Checked {
    check_device_rules(&linux.resources.devices, "/linux/resources/devices")?;
    for (i, namespace) in linux.namespaces.iter().enumerate() {
        let pointer = format!("/linux/namespaces/{i}");
        let word = namespace.kind.word();
        if let NamespaceKind::Unknown(_) = namespace.kind {
            return no(format!("{pointer}/type"), format!("`{word}` is no kind of namespace"));
        }
        if let Some(path) = namespace.path.as_deref().filter(|path| !path.is_empty()) {
            if !path.starts_with('/') {
                return no(format!("{pointer}/path"), format!("`{path}` must be an absolute path"));
            }
            no_nul(|| format!("{pointer}/path"), path)?;
        }
        if let Some(first) = linux.namespaces[..i].iter().position(|other| other.kind == namespace.kind) {
            return no(pointer, format!("repeats the `{word}` namespace of /linux/namespaces/{first}"));
        }
    }
    let cgroup = linux.cgroups_path.as_deref().unwrap_or("");
    a_path(|| "/linux/cgroupsPath".into(), cgroup)?;
    for (name, paths) in [("maskedPaths", &linux.masked_paths), ("readonlyPaths", &linux.readonly_paths)] {
        for (i, path) in paths.iter().enumerate() {
            if !path.starts_with('/') {
                return no(format!("/linux/{name}/{i}"), format!("`{path}` must be an absolute path"));
            }
            a_path(|| format!("/linux/{name}/{i}"), path)?;
            if name == "maskedPaths" && is_root(path) {
                return no(format!("/linux/{name}/{i}"), "is the root itself: nothing would be left of the container");
            }
        }
    }
    if let Some(seccomp) = &linux.seccomp {
        super::seccomp::check(seccomp)?;
    }
    net_devices::check(linux)?;
    check_devices(linux)
}

/// The device rules of `linux.resources`, which are at this pointer.
pub fn check_device_rules(rules: &[super::DeviceRule], at: &str) -> Checked {
    for (i, rule) in rules.iter().enumerate() {
        let pointer = format!("{at}/{i}");
        if !matches!(rule.kind.as_str(), "" | "a" | "b" | "c") {
            return no(format!("{pointer}/type"), format!("`{}` must be a, b or c", rule.kind));
        }
        if rule.access.chars().any(|letter| !"rwm".contains(letter)) {
            return no(format!("{pointer}/access"), format!("`{}` may hold only r, w and m", rule.access));
        }
        // What is absent never gives rights. The peers refuse it too.
        if rule.allow && rule.access.is_empty() {
            return no(
                format!("{pointer}/access"),
                "is missing: a rule that allows has to say what, with letters of rwm",
            );
        }
        for (name, number) in [("major", rule.major), ("minor", rule.minor)] {
            device_number(&format!("{pointer}/{name}"), number, -1)?;
        }
    }
    Ok(())
}

fn check_devices(linux: &Linux) -> Checked {
    let mut seen: Vec<&str> = Vec::new();
    for (i, device) in linux.devices.iter().enumerate() {
        let pointer = format!("/linux/devices/{i}");
        if !matches!(device.kind.as_str(), "b" | "c" | "u" | "p") {
            return no(format!("{pointer}/type"), format!("`{}` must be c, b, u or p", device.kind));
        }
        if !device.path.starts_with('/')
            || device.path.ends_with('/')
            || device.path.split('/').any(|part| part == "..")
        {
            return no(
                format!("{pointer}/path"),
                format!("`{}` must be an absolute path to a file, without `..`", device.path),
            );
        }
        a_path(|| format!("{pointer}/path"), &device.path)?;
        if seen.contains(&device.path.as_str()) {
            return no(format!("{pointer}/path"), format!("repeats {}", device.path));
        }
        seen.push(&device.path);
        for (name, id) in [("uid", device.uid), ("gid", device.gid)] {
            an_id(|| format!("{pointer}/{name}"), id)?;
        }
        for (name, number) in [("major", device.major), ("minor", device.minor)] {
            if device.kind != "p" && number.is_none() {
                return no(format!("{pointer}/{name}"), "is missing: only a fifo has no numbers");
            }
            device_number(&format!("{pointer}/{name}"), number, 0)?;
        }
    }
    Ok(())
}

/// Device numbers have 12 and 20 bits; 32 is what every interface takes.
fn device_number(pointer: &str, number: Option<i64>, least: i64) -> Checked {
    match number {
        Some(n) if n < least || n > i64::from(u32::MAX) => no(pointer, format!("{n} is no device number")),
        _ => Ok(()),
    }
}
