//! The root file system: `root`, its propagation, the switch of root, home and working directory, and the paths that
//! are masked or read-only in it (config.md, "Root"; config-linux.md). May touch: types and tables.

use super::builder::{Builder, rootfs_path};
use super::hooks;
use super::mark::Mark;
use super::mounts::options;
use super::namespaces::pointer;
use super::op::{MOST_BY_PROC, Mounts, Place, Rootfs, Slot};
use super::order::{Host, Init};
use super::text::{c, clean, cleaned, entry};
use crate::spec::{Device, Mount, NamespaceKind, Problem, Spec};
use syscalls::MountFlags;

/// `create`: the rootfs becomes the root.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    open(b)?;
    attach(b)?;
    make_cwd(b)?;
    pivot(b)?;
    propagation(b);
    readonly_paths(b)?;
    masked_paths(b)?;
    readonly(b);
    cwd(b)
}

/// `exec`: the container's root is there.
pub fn join(b: &mut Builder) -> Result<(), Problem> {
    let (look, enter) = (!has_home(b.spec), b.shares_mounts());
    if let (Some(joined), true) = (&b.wish.joins, look || enter) {
        let path = c("", &format!("{}/root", joined.first))?;
        let why = match enter {
            true => "without a mount namespace the container's root is known only by its first process",
            false => "the home directory is in /etc/passwd of the container",
        };
        b.host_proc();
        b.host(Host::Container, "", Rootfs::LookInside { path, enter }, why);
    }
    if look {
        home(b, Host::Container);
    }
    if enter {
        let why = "without a mount namespace no namespace brings the container's root along";
        b.init(Init::JoinRoot, "/linux/namespaces", Rootfs::Chroot, why);
    }
    cwd(b)
}

fn open(b: &mut Builder) -> Result<(), Problem> {
    let at = "/root/path";
    // The `.` lets the kernel refuse what is no directory.
    let path = c(at, &format!("{}/.", rootfs_path(b.spec, b.wish).trim_end_matches('/')))?;
    if b.users.inside {
        let why =
            "only init may copy mounts, inside the new namespaces; a bad path is found here, before anything is made";
        b.marked(Mark::NoRoot, |b| b.host(Host::Rootfs, at, Rootfs::Look { path: path.clone() }, why));
    }
    match b.shares_mounts() {
        true => {
            let why = "without a mount namespace the directory itself becomes /";
            b.host(Host::Rootfs, at, Rootfs::Look { path }, why);
        }
        false => {
            let why = "a copy of its mount will become /: changes of it do not reach the host's mount";
            b.source(Host::Rootfs, at, Rootfs::Open { path }, why);
        }
    }
    if !has_home(b.spec) {
        home(b, Host::Rootfs);
    }
    Ok(())
}

/// Whether the configuration says where home is: an empty `HOME=` does not, as with runc.
fn has_home(spec: &Spec) -> bool {
    let mut entries = spec.process.env.iter().rev();
    let home = entries.find_map(|entry| entry.strip_prefix("HOME="));
    home.is_some_and(|home| !home.is_empty())
}

/// Host: the home directory, out of the rootfs.
fn home(b: &mut Builder, stage: Host) {
    let op = Rootfs::LookUpHome { uid: b.spec.process.user.uid };
    b.host(stage, "/process/user/uid", op, "programs expect HOME, and the configuration does not set it");
}

fn attach(b: &mut Builder) -> Result<(), Problem> {
    if b.shares_mounts() {
        return Ok(());
    }
    let from = pointer(b.spec, &NamespaceKind::Mount);
    let flags = MountFlags::MS_REC | MountFlags::MS_SLAVE;
    let why = "otherwise new mounts appear on the host";
    b.init(Init::Propagation, &from, Rootfs::Propagation { flags }, why);
    let at = "/root/path";
    let (path, why) = match hooks::any_before_pivot(b.spec) {
        true => (
            Some(c(at, &clean(&rootfs_path(b.spec, b.wish)))?),
            "pivot_root needs a mount of this namespace, and hooks look for it at its path",
        ),
        false => (None, "pivot_root needs a mount of this namespace"),
    };
    b.init(Init::Attach, at, Rootfs::Attach { path }, why);
    Ok(())
}

fn make_cwd(b: &mut Builder) -> Result<(), Problem> {
    let cwd = &b.spec.process.cwd;
    if cwd != "/" {
        let path = c("/process/cwd", clean(cwd).trim_start_matches('/'))?;
        let why = "images expect that their working directory is made";
        b.init(Init::MakeCwd, "/process/cwd", Rootfs::MakeCwd { path }, why);
    }
    Ok(())
}

fn cwd(b: &mut Builder) -> Result<(), Problem> {
    let cwd = &b.spec.process.cwd;
    let why = match cwd.as_str() {
        "/" => "the program begins there",
        _ => "the program begins there, and getcwd proves that it lies inside the root",
    };
    b.init(Init::Cwd, "/process/cwd", Rootfs::Cwd { path: c("/process/cwd", cwd)? }, why);
    Ok(())
}

fn pivot(b: &mut Builder) -> Result<(), Problem> {
    let attached = hooks::any_before_pivot(b.spec);
    if b.shares_mounts() {
        let why = "the mounts are the host's and stay as they are: only this process gets another root";
        b.init(Init::Pivot, "/root", Rootfs::Chroot, why);
    } else if b.wish.no_pivot {
        let why = "--no-pivot: the new root covers the old one, whose mounts are unmounted first";
        b.marked(Mark::NoPivot, |b| b.init(Init::Pivot, "/root", Rootfs::Move { attached }, why));
    } else {
        // Where it is attached to its own directory it does not lie on `/`.
        let aside = match attached {
            true => None,
            false => Some(c("/root/path", &rootfs_path(b.spec, b.wish))?),
        };
        let why = "the new root replaces the host's, which is then unmounted, so that no path leads back";
        b.init(Init::Pivot, "/root", Rootfs::Pivot { aside }, why);
    }
    Ok(())
}

/// How mounts of the root are passed on (mount_namespaces(7)).
fn propagation(b: &mut Builder) {
    let word = &b.spec.linux.rootfs_propagation;
    // What cannot be bound cannot be bound read-only either: that comes late.
    let stage = match word.ends_with("unbindable") {
        true => Init::Unbindable,
        false => Init::RootPropagation,
    };
    if word.is_empty() || stage == Init::RootPropagation && b.shares_mounts() {
        return;
    }
    let flags = options::propagation(word);
    let why = "the configuration says how later mounts of the root are passed on";
    b.init(stage, "/linux/rootfsPropagation", Rootfs::RootPropagation { flags }, why);
    for m in core::mem::take(&mut b.tree.propagated) {
        let why = "the propagation of the root has reached this mount too, which asks for another";
        b.init(stage, &m.from, Mounts::Alter { at: m.at, attributes: m.attributes }, why);
    }
}

/// For so many read-only paths below /proc it is worth two calls that each of them takes one call less.
const WORTH_IT: usize = 3;

/// Whether nothing lies over a part of /proc.
fn is_whole(b: &Builder) -> bool {
    !b.tree.covered.iter().any(|m| m.path.starts_with("/proc/"))
}

/// Whether /proc can be read-only for a moment, which makes its parts read-only by one call: it shows the container's
/// own procfs and nothing else, may be written to, and nothing holds a file open there that is written to.
fn can_hold(b: &Builder) -> bool {
    let spec = b.spec;
    let readonly =
        |m: &Mount| m.options.iter().any(|o| *o == "ro" || *o == "rro") && cleaned(&m.destination) == "/proc";
    let quiet = spec.linux.sysctl.is_empty() && spec.process.oom_score_adj.is_none() && !hooks::any_before_pivot(spec);
    let in_proc = |path: &&String| matches!(b.tree.under(&cleaned(path)), Some((Slot::PROC, _)));
    let many = spec.linux.readonly_paths.iter().filter(in_proc).count() >= WORTH_IT;
    quiet && many && is_whole(b) && !spec.mounts.iter().any(readonly)
}

fn readonly_paths(b: &mut Builder) -> Result<(), Problem> {
    let hold = can_hold(b);
    let mut held = false;
    for (i, path) in b.spec.linux.readonly_paths.iter().enumerate() {
        if cleaned(path) == "/" {
            continue; // with the root, at the end
        }
        let from = entry("/linux/readonlyPaths", i);
        let at = b.tree.place(&from, path, true)?;
        stand(b, &from, &at);
        let hold = hold && matches!(at, Place::Under { base: Slot::PROC, .. });
        if hold && !held {
            let why = "a bind has the options of the mount that it shows: so each part is read-only from its beginning";
            b.init(Init::Paths, &from, Rootfs::Hold { base: Slot::PROC, readonly: true }, why);
            held = true;
        }
        let why = "a write there would change the whole machine, and not only the container";
        b.init(Init::Paths, &from, Rootfs::ReadonlyPath { at, held: hold }, why);
    }
    if held {
        let why = "the parts stay read-only: each is a mount of its own";
        b.init(Init::Paths, "/linux/readonlyPaths", Rootfs::Hold { base: Slot::PROC, readonly: false }, why);
    }
    Ok(())
}

fn masked_paths(b: &mut Builder) -> Result<(), Problem> {
    let paths = &b.spec.linux.masked_paths;
    if paths.is_empty() {
        return Ok(());
    }
    // What this plan makes there is the device, unless the configuration asks for another one of that name.
    let other = |d: &Device| cleaned(&d.path) == "/dev/null";
    let own = b.tree.at("/dev").is_some_and(|m| m.empty) && !b.spec.linux.devices.iter().any(other);
    let why = "a mask of a file is a bind of this device: a false one would mask nothing";
    b.init(Init::Paths, "/linux/maskedPaths", Rootfs::OpenNull { check: !own }, why);
    let leads = is_whole(b) && !paths.iter().any(|path| of_processes(path));
    for (i, path) in paths.iter().enumerate() {
        let from = entry("/linux/maskedPaths", i);
        let at = b.tree.place(&from, path, true)?;
        let by_proc = leads && by_proc(b, &from, &at);
        if !by_proc {
            stand(b, &from, &at);
        }
        let nowhere = matches!(at, Place::Rootfs { .. });
        let why = "what lies there tells about the host, or gives a way to change it";
        b.init(Init::Paths, &from, Rootfs::Mask { at, directory: directory(&cleaned(path)), by_proc }, why);
        if nowhere {
            b.stands_nowhere();
        }
    }
    Ok(())
}

/// Lets init stand in the directory that the name of this place begins in.
fn stand(b: &mut Builder, from: &str, at: &Place) {
    if let Place::Under { base, .. } = at {
        b.enter(Init::Paths, from, *base);
    }
}

/// Whether init stands in the container's own procfs, all of it, through which a descriptor leads to any other place.
fn by_proc(b: &mut Builder, from: &str, at: &Place) -> bool {
    let enter = match at {
        Place::Under { base: Slot::PROC, .. } => true,
        Place::Under { path, .. } if path.as_bytes().len() > MOST_BY_PROC => false,
        Place::Under { .. } => b.stands_in(Init::Paths, Slot::PROC),
        Place::Rootfs { .. } => false,
    };
    if enter {
        b.enter(Init::Paths, from, Slot::PROC);
    }
    enter
}

/// Whether this path lies in what /proc has of processes: if that is masked, no descriptor leads anywhere.
fn of_processes(path: &str) -> bool {
    let path = cleaned(path);
    let Some(below) = path.strip_prefix("/proc") else { return false };
    let first = below.strip_prefix('/').unwrap_or(below).split('/').next().unwrap_or("");
    matches!(first, "" | "self" | "thread-self") || first.bytes().all(|byte| byte.is_ascii_digit())
}

/// Those of the paths which engines mask that are directories; the others are files.
const DIRECTORIES: [&str; 7] = [
    "/sys/dev/block",
    "/proc/acpi",
    "/proc/asound",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/fs/selinux",
];

/// Whether a path that engines mask is a directory. Newer engines mask one of each processor.
fn directory(path: &str) -> bool {
    DIRECTORIES.contains(&path) || path.ends_with("/thermal_throttle")
}

fn readonly(b: &mut Builder) {
    let named = b.spec.linux.readonly_paths.iter().position(|path| cleaned(path) == "/");
    let from = match named {
        _ if b.spec.root.readonly => String::from("/root/readonly"),
        Some(i) => entry("/linux/readonlyPaths", i),
        None => return,
    };
    b.init(Init::Paths, &from, Rootfs::Readonly, "last, after mount points were made in it");
}
