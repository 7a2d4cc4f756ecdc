//! THE ORDER: what `create` and `run` do, from the first descriptor to execve, as one list. Nothing else decides
//! about order. The steps are those of the OCI runtime specification's lifecycle. May touch: types and tables.

use super::mounts::{self, Covered};
use super::op::{Line, Op, Place, Plan, Slot, Step};
use super::{Builder, Wish, c, device_filter, net_devices, process};
use crate::spec::{NamespaceKind, Problem, Spec};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The default devices of config-linux.md: name, major, minor.
const DEVICES: [(&str, u32, u32); 6] = [
    ("null", 1, 3),
    ("zero", 1, 5),
    ("full", 1, 7),
    ("random", 1, 8),
    ("urandom", 1, 9),
    ("tty", 5, 0),
];

/// The links of runtime-linux.md, and ptmx.
const LINKS: [(&str, &str); 5] = [
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
];

/// Those of the paths which engines mask that are directories; the others are files.
const DIRECTORIES: [&str; 6] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
    "/sys/fs/selinux",
];

/// The plan of `create`, or of `run`.
pub fn create(spec: &Spec, wish: &Wish) -> Result<Plan, Problem> {
    // Room for a usual plan: growing would copy it, and the arena keeps what it gave.
    let plan = Plan {
        slots: Slot::FIRST_FREE,
        host: Vec::with_capacity(24),
        init: Vec::with_capacity(96),
    };
    let mut b = Builder {
        spec,
        wish,
        bundle: wish.bundle,
        plan,
        step: Step::Sources,
        from: String::new(),
        covered: Vec::new(),
        made: Vec::new(),
        after_cgroup: Vec::new(),
        here: None,
    };
    let has = |kind| spec.linux.namespaces.iter().any(|n| n.kind == kind);
    let cgroup_namespace = has(NamespaceKind::Cgroup);

    // Host: the rootfs. What mounts need follows, then the cgroup that init is born into.
    b.from = "/root/path".into();
    let rootfs = rootfs_path(spec, wish)?;
    b.host(
        Step::Sources,
        Op::OpenRootfs { path: rootfs },
        "a copy of its mount, apart from the host's, will become /",
    );
    if !spec
        .process
        .env
        .iter()
        .any(|entry| entry.starts_with("HOME="))
    {
        b.from = "/process/user/uid".into();
        let op = Op::LookUpHome {
            uid: spec.process.user.uid,
        };
        b.host(
            Step::Sources,
            op,
            "programs count on HOME, and the configuration does not set it",
        );
    }

    // Init: first what it is, then its mounts.
    b.step = Step::Process;
    b.from = String::new();
    b.init(
        Op::CloseHostEnd,
        "held here too, it would never end when the host does",
    );
    b.init(
        Op::ClearUmask,
        "modes of devices and directories are meant exactly",
    );
    b.init(
        Op::ReleaseSignals,
        "the program must not inherit a mask that it did not ask for",
    );
    b.init(
        Op::Session,
        "a session of its own: no terminal of the caller's can be reached (setsid(2))",
    );
    if !wish.no_new_keyring {
        let name = c(&format!("_ses.{}", wish.id)).map_err(|p| problem("", p))?;
        b.init(
            Op::Keyring { name },
            "the caller's session keyring stays the caller's",
        );
    }
    // Without a cgroup of its own the clone makes the namespace, rooted where the caller is.
    if cgroup_namespace && wish.cgroup {
        b.step = Step::Namespaces;
        b.from = namespace_pointer(spec, NamespaceKind::Cgroup);
        let flags = libc::CLONE_NEWCGROUP as u32;
        b.init(
            Op::Unshare { flags },
            "now that this process is in its cgroup, that cgroup becomes the root it sees",
        );
    }
    b.step = Step::Root;
    b.from = namespace_pointer(spec, NamespaceKind::Mount);
    let flags = (libc::MS_REC | libc::MS_SLAVE) as u32;
    b.init(
        Op::Propagation { flags },
        "no mount made from here on may appear on the host",
    );
    b.from = "/root/path".into();
    b.init(
        Op::AttachRootfs,
        "pivot_root wants the new root to be a mount of this namespace",
    );

    mounts::plan(&mut b, &spec.mounts, cgroup_namespace)?;
    if wish.cgroup {
        cgroup(&mut b)?;
    }
    b.plan.host.append(&mut b.after_cgroup);
    devices(&mut b)?;

    if spec.process.cwd != "/" {
        b.step = Step::Root;
        b.from = "/process/cwd".into();
        let path = c(mounts::clean(&spec.process.cwd).trim_start_matches('/'))
            .map_err(|p| problem("/process/cwd", p))?;
        b.init(
            Op::MakeCwd { path },
            "images count on their working directory being made",
        );
    }
    b.step = Step::Pivot;
    b.from = "/root".into();
    if wish.no_pivot {
        b.init(
            Op::MoveRoot,
            "--no-pivot: the new root lies over the old one, which stays mounted below it",
        );
    } else {
        b.init(
            Op::PivotRoot,
            "the new root takes the place of the host's, which is then unmounted: no way back",
        );
    }
    paths(&mut b)?;
    process::identity(&mut b);
    let moves = net_devices::plan(&mut b);
    process::privileges(&mut b)?;

    // Host: the clone, and what surrounds it.
    finish_host(&mut b, moves)?;
    Ok(b.plan)
}

fn problem(pointer: &str, text: &str) -> Problem {
    Problem {
        pointer: pointer.into(),
        problem: text.into(),
    }
}

/// Where config.json asks for a namespace.
fn namespace_pointer(spec: &Spec, kind: NamespaceKind) -> String {
    let at = spec.linux.namespaces.iter().position(|n| n.kind == kind);
    at.map_or(String::new(), |i| format!("/linux/namespaces/{i}"))
}

/// `root.path` is absolute, or relative to the bundle (config.md, "Root").
fn rootfs_path(spec: &Spec, wish: &Wish) -> Result<CString, Problem> {
    let path = &spec.root.path;
    let whole = if path.starts_with('/') {
        path.clone()
    } else {
        format!("{}/{path}", wish.bundle)
    };
    // The `.` lets the kernel refuse what is no directory.
    c(&format!("{}/.", whole.trim_end_matches('/'))).map_err(|p| problem("/root/path", p))
}

/// The cgroup below the hierarchy's root: `cgroupsPath`, or `/nano-sandbox/<id>`.
pub fn cgroup_path(spec: &Spec, id: &str) -> String {
    match spec.linux.cgroups_path.as_deref() {
        None | Some("") => format!("nano-sandbox/{id}"),
        Some(path) => mounts::clean(path).trim_start_matches('/').into(),
    }
}

fn cgroup(b: &mut Builder) -> Result<(), Problem> {
    let at = "/linux/cgroupsPath";
    b.from = if b.spec.linux.cgroups_path.is_some() {
        at.into()
    } else {
        String::new()
    };
    let path = cgroup_path(b.spec, b.wish.id);
    if path.is_empty() || path.split('/').any(|part| part == "..") {
        return Err(problem(
            at,
            "must name a cgroup below the root of the hierarchy, without `..`",
        ));
    }
    let mut parents = Vec::new();
    for (i, _) in path.match_indices('/') {
        parents.push(c(&path[..i]).map_err(|p| problem(at, p))?);
    }
    let path = c(&path).map_err(|p| problem(at, p))?;
    b.host(
        Step::Cgroup,
        Op::MakeCgroup { parents, path },
        "all that the container ever starts can be found, limited and ended there",
    );
    let rules = &b.spec.linux.resources.devices;
    if !rules.is_empty() {
        let program = device_filter::compile(rules);
        b.from = "/linux/resources/devices".into();
        b.host(
            Step::Cgroup,
            Op::DeviceProgram { program },
            "the kernel asks this program at every open and mknod of a device",
        );
    }
    Ok(())
}

/// `/dev`: the default devices, `linux.devices`, and the links.
fn devices(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Devices;
    b.from = String::new();
    if !b.covered.iter().any(|m| m.path == "/dev") {
        let slot = Slot::DEV;
        b.init(
            Op::OpenDirectory {
                path: c("dev").map_err(|p| problem("", p))?,
                slot,
            },
            "the default devices go there",
        );
        b.covered.push(Covered {
            path: "/dev".into(),
            slot: None,
            fresh: false,
            empty: false,
        });
    }
    let why = "every container has the default devices (config-linux.md, \"Default Devices\")";
    for (name, major, minor) in DEVICES {
        if b.spec
            .linux
            .devices
            .iter()
            .any(|d| mounts::clean(&d.path) == format!("/dev/{name}"))
        {
            continue;
        }
        let name = c(name).map_err(|p| problem("", p))?;
        let mode = libc::S_IFCHR | 0o666;
        b.init(
            Op::Device {
                base: Slot::DEV,
                name,
                mode,
                major,
                minor,
                uid: 0,
                gid: 0,
            },
            why,
        );
    }
    for (i, device) in b.spec.linux.devices.iter().enumerate() {
        let pointer = format!("/linux/devices/{i}");
        let path = mounts::clean(&device.path);
        let (base, relative) = match path.strip_prefix("/dev/") {
            Some(name) if !name.contains('/') => (Slot::DEV, String::from(name)),
            _ => {
                let (parent, name) = path.rsplit_once('/').unwrap_or(("", &path));
                let parent = if parent.is_empty() {
                    "."
                } else {
                    parent.trim_start_matches('/')
                };
                let slot = b.slot();
                b.from = pointer.clone();
                let op = Op::OpenDirectory {
                    path: c(parent).map_err(|p| problem(&pointer, p))?,
                    slot,
                };
                b.init(op, "the configuration wants a device there");
                (slot, name.into())
            }
        };
        let kind = match device.kind.as_str() {
            "b" => libc::S_IFBLK,
            "p" => libc::S_IFIFO,
            _ => libc::S_IFCHR,
        };
        b.from = pointer.clone();
        let op = Op::Device {
            base,
            name: c(&relative).map_err(|p| problem(&pointer, p))?,
            mode: kind | device.file_mode.unwrap_or(0o666) & 0o7777,
            major: device.major.unwrap_or(0) as u32,
            minor: device.minor.unwrap_or(0) as u32,
            uid: device.uid.unwrap_or(0),
            gid: device.gid.unwrap_or(0),
        };
        b.init(op, "the configuration asks for this device");
    }
    b.from = String::new();
    for (name, target) in LINKS {
        let replace = name == "ptmx";
        let why = if replace {
            "new terminals come from the container's own devpts"
        } else {
            "programs expect this link (runtime-linux.md)"
        };
        let (name, target) = (
            c(name).map_err(|p| problem("", p))?,
            c(target).map_err(|p| problem("", p))?,
        );
        b.init(
            Op::Link {
                base: Slot::DEV,
                name,
                target,
                replace,
            },
            why,
        );
    }
    Ok(())
}

/// `readonlyPaths`, `maskedPaths`, and the read-only root, after the switch of root.
fn paths(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Paths;
    for (i, path) in b.spec.linux.readonly_paths.iter().enumerate() {
        b.from = format!("/linux/readonlyPaths/{i}");
        let at = mounts::place(&b.covered, path, true).map_err(|p| problem(&b.from.clone(), p))?;
        if let Place::Under { base, .. } = at {
            b.enter(base);
        }
        b.init(
            Op::ReadonlyPath { at },
            "what lies there speaks for the whole machine: look, do not write",
        );
    }
    if !b.spec.linux.masked_paths.is_empty() {
        b.from = "/linux/maskedPaths".into();
        let check = !b.covered.iter().any(|m| m.path == "/dev" && m.empty);
        b.init(
            Op::OpenNull { check },
            "masks of files are binds of this device, which must be the real one",
        );
    }
    for (i, path) in b.spec.linux.masked_paths.iter().enumerate() {
        b.from = format!("/linux/maskedPaths/{i}");
        let at = mounts::place(&b.covered, path, true).map_err(|p| problem(&b.from.clone(), p))?;
        if let Place::Under { base, .. } = at {
            b.enter(base);
        }
        let directory = DIRECTORIES.contains(&mounts::clean(path).as_str());
        b.init(
            Op::Mask { at, directory },
            "what lies there tells about the host, or reaches into it",
        );
    }
    if b.spec.root.readonly {
        b.from = "/root/readonly".into();
        b.init(
            Op::ReadonlyRoot,
            "last of all mounts, since mount points had to be made before",
        );
    }
    Ok(())
}

/// The clone with all namespaces at once, and the host's part of what follows.
fn finish_host(b: &mut Builder, mut moves: Vec<Line>) -> Result<(), Problem> {
    b.from = String::new();
    b.host(
        Step::Namespaces,
        Op::Channel,
        "host and init tell each other how far they are; its end says that execve succeeded",
    );
    if b.wish.wait_for_start {
        b.host(Step::Namespaces, Op::StartFifos, "init will wait on the one until `start` comes, and the other's end tells `start` of execve");
    }
    if b.wish.attached {
        b.host(
            Step::Namespaces,
            Op::HoldSignals,
            "held back before the clone, no signal and no end of a child can be missed",
        );
    }
    b.host(
        Step::Namespaces,
        Op::LookAtSignals,
        "ignored signals stay ignored over execve, unlike handled ones (execve(2))",
    );
    b.from = "/linux/namespaces".into();
    let mut flags = 0;
    for namespace in &b.spec.linux.namespaces {
        flags |= match namespace.kind {
            NamespaceKind::Pid => libc::CLONE_NEWPID,
            NamespaceKind::Network => libc::CLONE_NEWNET,
            NamespaceKind::Ipc => libc::CLONE_NEWIPC,
            NamespaceKind::Uts => libc::CLONE_NEWUTS,
            NamespaceKind::Mount => libc::CLONE_NEWNS,
            NamespaceKind::Cgroup if !b.wish.cgroup => libc::CLONE_NEWCGROUP,
            _ => 0,
        };
    }
    let op = Op::Clone {
        flags: flags as u64,
        cgroup: b.wish.cgroup,
    };
    b.host(
        Step::Namespaces,
        op,
        "one call makes the process and every namespace that it is to live in",
    );
    b.plan.host.append(&mut moves);
    b.from = String::new();
    if b.wish.wait_for_start {
        b.host(
            Step::State,
            Op::AwaitReady,
            "create returns when the container is whole, not before",
        );
    }
    let parts = b.wish.state.clone();
    b.host(
        Step::State,
        Op::SaveState { parts },
        "other commands find the container by this file",
    );
    if let Some(path) = b.wish.pid_file {
        let bad = |p: &str| problem("", p);
        let (path, temporary) = (
            c(path).map_err(bad)?,
            c(&format!("{path}.nk-new")).map_err(bad)?,
        );
        b.host(
            Step::State,
            Op::PidFile { path, temporary },
            "whoever called wants to know the first process",
        );
    }
    b.host(
        Step::Start,
        Op::TellGo,
        "the container is on record: from here on init may live without us",
    );
    if !b.wish.wait_for_start {
        b.host(
            Step::Start,
            Op::AwaitExec,
            "the close-on-exec end of the channel closes when execve succeeds",
        );
    }
    Ok(())
}
