//! The rootfs, mounts with their sources and places, hooks: whether the files are there. May touch:
//! plan types, system calls.

use super::rows::{Rows, Verdict};
use super::view::{Brings, Bundle, Lies, Mount, Opened};
use crate::cause::access::Way;
use crate::cause::path;
use crate::cause::{Found, devices, hooks, missing, mounts, overlay, rootfs, sizes};
use crate::perform::files::PLACE;
use crate::plan::mounts::options::attr;
use crate::plan::op::{FileSystem, Source};
use crate::plan::{Place, Slot, text};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, Fd, MountFlags, Why};

pub fn rootfs(b: &mut Bundle, path: &CStr, rows: &mut Rows) {
    let name = path.to_string_lossy();
    match rootfs::not_there(&name) {
        Some(found) => rows.found("/root/path", found),
        None => {
            let why = Why("the container's files are below this directory");
            b.view.rootfs = syscalls::openat(At::CWD, path, PLACE, why).ok();
            b.view.rootfs_path = name.clone().into_owned();
            rows.ok("/root/path", "rootfs", &[name.strip_suffix("/.").unwrap_or(&name)]);
        }
    }
}

pub fn source(b: &mut Bundle, at: &str, source: &Source, rows: &mut Rows) {
    let path = source.path.to_string_lossy().into_owned();
    let has = |bit| source.attributes.set & bit != 0;
    let opened = Opened { path: path.clone(), readonly: has(attr::RDONLY), noexec: has(attr::NOEXEC) };
    if source.in_rootfs {
        return;
    }
    b.view.opened(source.tree, opened);
    let missing = match at.starts_with("/mounts") {
        true => mounts::source_missing(&path),
        false => device_missing(&path),
    };
    // A link that is bound itself may lead nowhere.
    let there = |host: Fd| path::exists(host.at(), &path);
    let missing = missing.filter(|_| !(source.link && path::host().is_some_and(there)));
    let recursive = source.idmap.as_ref().map(|(_, recursive)| *recursive);
    match missing.or_else(|| mounts::unmappable(&path, recursive?)) {
        Some(found) => rows.found(at, found),
        None => rows.ok(at, "source", &[&path]),
    }
}

/// A device of the host's that is to be bound.
fn device_missing(path: &str) -> Option<Found> {
    missing::found("device of the host", path, &path::walk(path::host()?.at(), path)?)
}

/// The rootfs has another file at the place of a device.
pub fn node(b: &Bundle, at: &str, rows: &mut Rows) {
    let device = text::number_in("/linux/devices/", at).and_then(|number| b.spec.linux.devices.get(number));
    let Some((device, root)) = device.zip(b.view.rootfs.as_ref()) else {
        return;
    };
    if device.kind != "p"
        && matches!(b.view.lies(&device.path), Lies::Rootfs)
        && let Some(found) = devices::other_file(root.at(), &device.path)
    {
        rows.found(at, found);
    }
}

/// A bind goes to its place.
pub fn attach(b: &mut Bundle, at: &str, target: &Place, tree: Slot, open: Option<Slot>, rows: &mut Rows) {
    let path = b.view.path(target);
    place(b, at, target, &path, rows);
    if let Some(Opened { path: source, readonly, noexec }) = b.view.source(tree).cloned() {
        let mount = Mount { path, brings: Brings::Host(source), readonly, noexec, from: at.into() };
        b.view.mount(mount, open);
    }
}

pub fn file_system(b: &mut Bundle, at: &str, wanted: &FileSystem, rows: &mut Rows) {
    let kind = wanted.kind.to_string_lossy().into_owned();
    let path = b.view.path(&wanted.at);
    place(b, at, &wanted.at, &path, rows);
    let data = wanted.data.as_deref().unwrap_or(c"").to_string_lossy();
    // What an outer container has hidden of these two, the kernel does not show anew to a user namespace.
    let hidden = matches!(kind.as_str(), "proc" | "sysfs") && b.asker.new_users;
    let nested = hidden.then(|| mounts::refused(b.spec, &kind)).flatten();
    let found = match kind.as_str() {
        "overlay" => overlay::found(&data),
        _ => nested
            .or_else(|| mounts::unmapped(b.spec, &kind, &data))
            .or_else(|| mounts::page_size(&kind, &data))
            .or_else(|| mounts::device(&wanted.source.to_string_lossy(), &kind).filter(|_| mounts::on_device(&kind)))
            .or_else(|| mounts::options(&kind, &data).filter(|_| b.asker.can_mount)),
    };
    match found.or_else(|| mounts::unknown_kind(&kind)) {
        // The kernel loads the module of one that it does not list. To ask for its options has made it look for one.
        Some(_) if mounts::unknown_kind(&kind).is_some() && !b.asker.can_mount => rows.unsure(at, "kind", &[&kind]),
        Some(found) => rows.found(at, found),
        None => {}
    }
    let has = |flag| wanted.flags.has(flag);
    let (readonly, noexec) = (has(MountFlags::MS_RDONLY), has(MountFlags::MS_NOEXEC));
    let brings = Brings::New(kind);
    b.view.mount(Mount { path, brings, readonly, noexec, from: at.into() }, wanted.open);
}

/// The place that a mount goes to.
fn place(b: &Bundle, at: &str, target: &Place, path: &str, rows: &mut Rows) {
    match b.view.lies(path) {
        Lies::New("tmpfs" | "ramfs", _) => rows.say(Verdict::Ok, at, "place", "made", &[path]),
        Lies::New(kind @ ("proc" | "sysfs"), mount) => {
            // What this machine's own has, a new one has too.
            let there = path::host().is_some_and(|host| path::find(host.at(), path).is_some());
            match there || kind == "sysfs" && path.starts_with("/sys/fs/") {
                true => rows.ok(at, "place", &[path]),
                // A process and a network interface have directories there, and the container gets others of both.
                false if path.starts_with("/sys/") && path.contains("/net/") => {
                    rows.unsure(at, "place", &[path, &mount.path])
                }
                false if is_of_process(path) => rows.unsure(at, "place", &[path, &mount.path]),
                false => rows.found(at, Found::new("target never made", &[path, kind, &mount.path])),
            }
        }
        Lies::New(_, mount) => rows.unsure(at, "place", &[path, &mount.path]),
        Lies::Host(there, mount) => match path::host().and_then(|host| path::find(host.at(), &there)) {
            Some(_) => rows.ok(at, "place", &[path]),
            None if mount.readonly => {
                rows.found(at, Found::new("target below read-only", &[path]).at(mount.from.clone()));
            }
            None => rows.say(Verdict::Ok, at, "place", "made", &[path]),
        },
        Lies::Rootfs => in_rootfs(b, at, target, path, rows),
    }
}

/// Whether a path of /proc is one of a process.
fn is_of_process(path: &str) -> bool {
    let part = path.strip_prefix("/proc/").and_then(|rest| rest.split('/').next());
    part.is_some_and(|part| part.starts_with(|first: char| first.is_ascii_digit()) || part.ends_with("self"))
}

fn in_rootfs(b: &Bundle, at: &str, target: &Place, path: &str, rows: &mut Rows) {
    let Some(root) = &b.view.rootfs else { return };
    let Some(number) = text::number_in("/mounts/", at) else {
        return;
    };
    if let Place::Rootfs { links: false, .. } = target
        && let Some(found) = b.spec.mounts.get(number).and_then(|mount| mounts::link(root.at(), mount))
    {
        return rows.found(at, found);
    }
    let why = Why("a place that is missing can be made only in a rootfs that can be written to");
    let on = syscalls::fstatfs(root.at(), why);
    let readonly = on.is_ok_and(|on| on.f_flags as u64 & libc::ST_RDONLY != 0);
    match mounts::target(root.at(), b.spec, number, readonly) {
        Some(found) => rows.found(at, found),
        None if path::find(root.at(), path).is_some() => rows.ok(at, "place", &[path]),
        None => rows.say(Verdict::Ok, at, "place", "made", &[path]),
    }
}

/// A hook in the runtime's namespaces is a file of the host's; one of the list startContainer comes with the image.
pub fn hook(b: &Bundle, at: &str, path: &CStr, strings: [&[CString]; 2], rows: &mut Rows) {
    let name = path.to_string_lossy();
    let inside = at.starts_with("/hooks/startContainer");
    let inner = b.view.rootfs.as_ref().filter(|_| inside).map(|root| (root.at(), 0));
    if inside && inner.is_none() {
        return;
    }
    let [argv, envp] = strings;
    match hooks::planned(inner, &name, None).or_else(|| sizes::string_too_long(argv, envp)) {
        None => rows.ok(at, "hook", &[&name]),
        Some(found) => match b.view.may_bring(&[Way { path: name.into(), missing: true }]).filter(|_| inside) {
            Some(mount) => rows.say(Verdict::Unsure, at, "program", "brought", &[&found.cause, mount]),
            None => rows.found(at, found),
        },
    }
}
