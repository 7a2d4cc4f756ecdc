//! THE ORDER: what `create` and `run` do, from the first descriptor to execve, as one list. Nothing else decides
//! about order. The steps are those of the OCI runtime specification's lifecycle. May touch: types and tables.

use super::op::{Line, Op, Plan, Slot};
use super::{
    Builder, MOST, Step, Wish, c, device_filter, devices, hooks, mounts, namespaces, net_devices,
    paths, too_long,
};
use super::{process, seccomp, system};
use crate::spec::{NamespaceKind, Problem, Spec};
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The plan of `create`, or of `run`.
pub fn create(spec: &Spec, wish: &Wish) -> Result<Plan, Problem> {
    // Room for a usual plan: growing would copy it, and the arena keeps what it gave.
    let plan = Plan {
        slots: Slot::FIRST_FREE,
        host: Vec::with_capacity(24),
        bridge: Vec::new(),
        init: Vec::with_capacity(96),
    };
    let users = namespaces::Users::of(spec, wish)?;
    let mut b = Builder::new(spec, wish, plan, users);

    // Host: the rootfs. What mounts need follows, then the cgroup that init is born into.
    rootfs(&mut b)?;
    namespaces::open_joined(&mut b)?;
    system::modules(&mut b);

    // Init: first what it is, then its mounts.
    namespaces::enter(&mut b);
    b.step = Step::Process;
    b.from = String::new();
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
    if b.new_namespace(NamespaceKind::Cgroup) && wish.cgroup {
        b.step = Step::Namespaces;
        b.from = namespaces::pointer(spec, &NamespaceKind::Cgroup);
        let flags = libc::CLONE_NEWCGROUP as u32;
        b.init(
            Op::Unshare { flags },
            "now that this process is in its cgroup, that cgroup becomes the root it sees",
        );
    }
    attach_rootfs(&mut b)?;
    mounts::plan(&mut b, &spec.mounts)?;
    if wish.cgroup {
        cgroup(&mut b)?;
    }
    b.plan.host.append(&mut b.after_cgroup);
    system::resctrl(&mut b)?;
    devices::plan(&mut b)?;
    make_cwd(&mut b)?;
    hooks::before_pivot(&mut b)?;
    pivot(&mut b);
    system::settings(&mut b)?;
    paths::plan(&mut b)?;
    process::identity(&mut b);
    let moves = net_devices::plan(&mut b);
    process::privileges(&mut b)?;
    process::program(&mut b)?;

    // Host: the clone, and what surrounds it.
    namespaces::clone(&mut b)?;
    finish_host(&mut b, moves)?;
    let plan = b.done();
    match plan.lines().count() > MOST {
        true => Err(too_long()),
        false => Ok(plan),
    }
}

pub fn problem(pointer: &str, text: &str) -> Problem {
    Problem {
        pointer: pointer.into(),
        problem: text.into(),
    }
}

/// `root.path` is absolute, or relative to the bundle (config.md, "Root").
pub fn rootfs_path(spec: &Spec, wish: &Wish) -> String {
    let path = &spec.root.path;
    if path.starts_with('/') {
        path.clone()
    } else {
        format!("{}/{path}", wish.bundle)
    }
}

fn rootfs(b: &mut Builder) -> Result<(), Problem> {
    b.from = "/root/path".into();
    let whole = rootfs_path(b.spec, b.wish);
    // The `.` lets the kernel refuse what is no directory.
    let path =
        c(&format!("{}/.", whole.trim_end_matches('/'))).map_err(|p| problem("/root/path", p))?;
    if b.users.inside {
        let path = path.clone();
        b.host(
            Step::Sources,
            Op::LookAtRootfs { path },
            "mounts may only be copied inside the new namespaces; this is for a look beforehand",
        );
    }
    b.source(
        Op::OpenRootfs { path },
        "a copy of its mount, apart from the host's, will become /",
    );
    let has_home = |entry: &String| entry.starts_with("HOME=");
    if !b.spec.process.env.iter().any(has_home) {
        b.from = "/process/user/uid".into();
        let op = Op::LookUpHome {
            uid: b.spec.process.user.uid,
        };
        b.host(
            Step::Sources,
            op,
            "programs count on HOME, and the configuration does not set it",
        );
    }
    Ok(())
}

fn attach_rootfs(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Root;
    b.from = namespaces::pointer(b.spec, &NamespaceKind::Mount);
    let flags = (libc::MS_REC | libc::MS_SLAVE) as u32;
    b.init(
        Op::Propagation { flags },
        "no mount made from here on may appear on the host",
    );
    b.sources_at = b.plan.init.len();
    b.from = "/root/path".into();
    let path = match hooks::any_before_pivot(b.spec) {
        true => {
            let path = mounts::clean(&rootfs_path(b.spec, b.wish));
            Some(c(&path).map_err(|p| problem("/root/path", p))?)
        }
        false => None,
    };
    let why = match path {
        Some(_) => "pivot_root wants a mount of this namespace, and hooks look for it there",
        None => "pivot_root wants the new root to be a mount of this namespace",
    };
    b.init(Op::AttachRootfs { path }, why);
    Ok(())
}

fn make_cwd(b: &mut Builder) -> Result<(), Problem> {
    if b.spec.process.cwd == "/" {
        return Ok(());
    }
    b.step = Step::Root;
    b.from = "/process/cwd".into();
    let path = c(mounts::clean(&b.spec.process.cwd).trim_start_matches('/'))
        .map_err(|p| problem("/process/cwd", p))?;
    b.init(
        Op::MakeCwd { path },
        "images count on their working directory being made",
    );
    Ok(())
}

fn pivot(b: &mut Builder) {
    b.step = Step::Pivot;
    b.from = "/root".into();
    if b.wish.no_pivot {
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
    if !b.spec.linux.rootfs_propagation.is_empty() {
        b.from = "/linux/rootfsPropagation".into();
        let flags = super::options::propagation(&b.spec.linux.rootfs_propagation) as u32;
        b.init(
            Op::RootPropagation { flags },
            "how mounts of the root are passed on from now on",
        );
    }
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
    let optional = b.wish.rootless.unwrap_or(b.users.limited);
    b.host(
        Step::Cgroup,
        Op::MakeCgroup {
            parents,
            path,
            optional,
        },
        "all that the container ever starts can be found, limited and ended there",
    );
    let rules = &b.spec.linux.resources.devices;
    // A device program needs privileges over the machine; without them no device can be made either.
    if !rules.is_empty() && !b.users.limited {
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

/// What follows the clone.
fn finish_host(b: &mut Builder, mut moves: Vec<Line>) -> Result<(), Problem> {
    b.plan.host.append(&mut b.after_clone);
    hooks::host_before_pivot(b)?;
    b.plan.host.append(&mut moves);
    let last = process::filter_is_last(b.spec);
    if !last {
        pass_listener(b, "creating")?;
    }
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
        if last {
            pass_listener(b, "created")?;
        }
        b.from = String::new();
        b.host(
            Step::Start,
            Op::AwaitExec,
            "the close-on-exec end of the channel closes when execve succeeds",
        );
    }
    Ok(())
}

/// The descriptor of a filter that asks goes to whoever answers (config-linux.md, "Seccomp").
fn pass_listener(b: &mut Builder, status: &str) -> Result<(), Problem> {
    let Some(profile) = &b.spec.linux.seccomp else {
        return Ok(());
    };
    if !seccomp::listener(profile) {
        return Ok(());
    }
    let at = "/linux/seccomp/listenerPath";
    b.from = at.into();
    let (spec, wish) = (b.spec, b.wish);
    let state = crate::spec::state_document(
        &spec.oci_version,
        wish.id,
        wish.bundle,
        status,
        &spec.annotations,
    );
    let metadata = profile.listener_metadata.as_deref().unwrap_or("");
    let op = Op::PassListener {
        path: path(at, profile.listener_path.as_deref().unwrap_or(""))?,
        document: seccomp::document(&spec.oci_version, metadata, state),
    };
    b.host(
        Step::Start,
        op,
        "whoever listens there answers for the calls that the profile asks about",
    );
    Ok(())
}

/// The text of a mapping as the kernel reads it (user_namespaces(7)).
pub fn mapping(mappings: &[crate::spec::IdMapping]) -> Vec<u8> {
    let mut text = String::new();
    for m in mappings {
        text.push_str(&format!("{} {} {}\n", m.container_id, m.host_id, m.size));
    }
    text.into_bytes()
}

/// The first id inside: 0 wherever it is mapped.
pub fn first_id(mappings: &[crate::spec::IdMapping]) -> u32 {
    mappings.iter().map(|m| m.container_id).min().unwrap_or(0)
}

/// A C string of a path that a NUL byte was looked for in already.
pub fn path(pointer: &str, text: &str) -> Result<CString, Problem> {
    c(text).map_err(|p| problem(pointer, p))
}
