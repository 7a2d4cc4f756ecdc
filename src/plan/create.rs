//! THE ORDER: what `create` and `run` do, from the first descriptor to execve, as one list. Nothing else decides
//! about order. The steps are those of the OCI runtime specification's lifecycle. May touch: types and tables.

use super::cgroup::{limits, scope};
use super::op::{Callers, Cgroup, Line, Namespaces, Plan, Rootfs, Seccomp, Slot, Sync};
use super::{Builder, Step, Wish, c, callers, devices, hooks, mounts, namespaces, network, rootfs, whole};
use super::{process, seccomp, system, terminal};
use crate::spec::{NamespaceKind, Problem, Spec};
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// The plan of `create`, or of `run`.
pub fn create(spec: &Spec, wish: &Wish) -> Result<Plan, Problem> {
    // Room for a usual plan: growing would copy it, and the arena keeps what it gave.
    let plan = Plan {
        slots: Slot::FIRST_FREE,
        host: Vec::with_capacity(24 + spec.mounts.len()),
        bridge: Vec::new(),
        init: Vec::with_capacity(96 + 2 * spec.mounts.len()),
    };
    let users = namespaces::Users::of(spec, wish)?;
    let mut b = Builder::new(spec, wish, plan, users);
    if b.shares_mounts() && b.users.foreign() {
        return Err(problem(
            "/linux/namespaces",
            "has no `mount` namespace, which the caller's user namespace needs: devices are binds of the host's there",
        ));
    }

    // Host: the rootfs. What mounts need follows, then the cgroup that init is born into.
    root(&mut b)?;
    namespaces::open_joined(&mut b)?;
    system::modules(&mut b);

    // Init: first what it is, then its mounts.
    namespaces::enter(&mut b);
    process::begin(&mut b)?;
    // Without a cgroup of its own the clone makes the namespace, rooted where the caller is.
    if b.new_namespace(NamespaceKind::Cgroup) && wish.cgroup {
        b.step = Step::Namespaces;
        b.from = namespaces::pointer(spec, &NamespaceKind::Cgroup);
        let flags = libc::CLONE_NEWCGROUP as u32;
        b.init(
            Namespaces::Unshare { flags },
            "now that this process is in its cgroup, that cgroup becomes the root it sees",
        );
    }
    attach_rootfs(&mut b)?;
    mounts::plan(&mut b, &spec.mounts)?;
    callers::notify(&mut b)?;
    match wish.cgroup {
        true => cgroup(&mut b)?,
        false => no_cgroup(&b)?,
    }
    b.plan.host.append(&mut b.after_cgroup);
    system::resctrl(&mut b)?;
    devices::plan(&mut b)?;
    terminal::open(&mut b, Some(Slot::ROOTFS))?;
    make_cwd(&mut b)?;
    hooks::before_pivot(&mut b)?;
    pivot(&mut b)?;
    system::settings(&mut b)?;
    rootfs::plan(&mut b)?;
    if spec.linux.rootfs_propagation.ends_with("unbindable") {
        rootfs::propagation(&mut b);
    }
    process::identity(&mut b);
    let moves = network::plan(&mut b);
    process::privileges(&mut b)?;
    process::program(&mut b)?;

    // Host: the clone, and what surrounds it.
    terminal::before(&mut b, Step::Process)?;
    callers::before(&mut b, Step::Process)?;
    namespaces::clone(&mut b)?;
    if b.scope.is_some() {
        b.from = "/linux/cgroupsPath".into();
        b.host(Step::Cgroup, Cgroup::ReleaseScope, "init is in the scope and holds it: nobody else has to");
    }
    finish_host(&mut b, moves)?;
    whole(b.done())
}

pub fn problem(pointer: &str, text: &str) -> Problem {
    Problem { pointer: pointer.into(), problem: text.into() }
}

/// `root.path` is absolute, or relative to the bundle (config.md, "Root").
pub fn rootfs_path(spec: &Spec, wish: &Wish) -> String {
    let path = &spec.root.path;
    if path.starts_with('/') { path.clone() } else { format!("{}/{path}", wish.bundle) }
}

fn root(b: &mut Builder) -> Result<(), Problem> {
    b.from = "/root/path".into();
    let whole = rootfs_path(b.spec, b.wish);
    // The `.` lets the kernel refuse what is no directory.
    let path = c(&format!("{}/.", whole.trim_end_matches('/'))).map_err(|p| problem("/root/path", p))?;
    if b.users.inside {
        let path = path.clone();
        b.host(
            Step::Sources,
            Rootfs::Look { path },
            "mounts may only be copied inside the new namespaces; this is for a look beforehand",
        );
    }
    match b.shares_mounts() {
        true => {
            b.host(Step::Sources, Rootfs::Look { path }, "without a mount namespace the directory itself will become /")
        }
        false => b.source(Rootfs::Open { path }, "a copy of its mount, apart from the host's, will become /"),
    }
    if !has_home(b.spec) {
        home(b);
    }
    Ok(())
}

/// Whether the configuration says where home is: an empty `HOME=` does not, as runc has it.
pub fn has_home(spec: &Spec) -> bool {
    let mut entries = spec.process.env.iter().rev();
    let home = entries.find_map(|entry| entry.strip_prefix("HOME="));
    home.is_some_and(|home| !home.is_empty())
}

/// Host: the home directory, out of the rootfs.
pub fn home(b: &mut Builder) {
    b.from = "/process/user/uid".into();
    let op = Rootfs::LookUpHome { uid: b.spec.process.user.uid };
    b.host(Step::Sources, op, "programs count on HOME, and the configuration does not set it");
}

fn attach_rootfs(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Root;
    if b.shares_mounts() {
        return Ok(());
    }
    b.from = namespaces::pointer(b.spec, &NamespaceKind::Mount);
    let flags = (libc::MS_REC | libc::MS_SLAVE) as u32;
    b.init(Rootfs::Propagation { flags }, "no mount made from here on may appear on the host");
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
    b.init(Rootfs::Attach { path }, why);
    Ok(())
}

fn make_cwd(b: &mut Builder) -> Result<(), Problem> {
    if b.spec.process.cwd == "/" {
        return Ok(());
    }
    b.step = Step::Root;
    b.from = "/process/cwd".into();
    let path = c(mounts::clean(&b.spec.process.cwd).trim_start_matches('/')).map_err(|p| problem("/process/cwd", p))?;
    b.init(Rootfs::MakeCwd { path }, "images count on their working directory being made");
    Ok(())
}

fn pivot(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Pivot;
    b.from = "/root".into();
    if b.shares_mounts() {
        b.init(Rootfs::Chroot, "the mounts are the host's, and stay: only this process gets another root");
        return Ok(());
    }
    let aside = match hooks::any_before_pivot(b.spec) {
        true => None, // it is attached there, and not on /
        false => Some(c(&rootfs_path(b.spec, b.wish)).map_err(|p| problem("/root/path", p))?),
    };
    if b.wish.no_pivot {
        b.init(
            Rootfs::Move { attached: hooks::any_before_pivot(b.spec) },
            "--no-pivot: the new root lies over the old one, of which nothing but the root itself stays",
        );
    } else {
        b.init(
            Rootfs::Pivot { aside },
            "the new root takes the place of the host's, which is then unmounted: no way back",
        );
    }
    // What cannot be bound cannot be bound read-only either: that comes later.
    if !b.spec.linux.rootfs_propagation.ends_with("unbindable") {
        rootfs::propagation(b);
    }
    Ok(())
}

/// The cgroup below the hierarchy's root: `cgroupsPath`, or `nano-sandbox/<id>`. What is not absolute may be put
/// elsewhere by the runtime (config-linux.md, "Cgroups Path"): below the wish's base. What systemd makes lies where its
/// slice does.
pub fn cgroup_path(spec: &Spec, wish: &Wish) -> Result<String, Problem> {
    let (id, base) = (wish.id, wish.cgroup_base);
    if let Some(manager) = wish.manager {
        let (slice, unit) = scope::names(spec, id, manager.user)?;
        return Ok(scope::cgroup(manager, &slice, &unit));
    }
    Ok(match spec.linux.cgroups_path.as_deref() {
        None | Some("") => format!("{base}nano-sandbox/{id}"),
        Some(path) if path.starts_with('/') => mounts::clean(path).trim_start_matches('/').into(),
        Some(path) => format!("{base}{}", mounts::clean(path).trim_start_matches('/')),
    })
}

fn cgroup(b: &mut Builder) -> Result<(), Problem> {
    let at = "/linux/cgroupsPath";
    b.from = if b.spec.linux.cgroups_path.is_some() { at.into() } else { String::new() };
    let path = cgroup_path(b.spec, b.wish)?;
    if path.is_empty() || path.split('/').any(|part| part == "..") {
        return Err(problem(at, "must name a cgroup below the root of the hierarchy, without `..`"));
    }
    let above = limits::above(&path).map_err(|p| problem(at, p))?;
    let parents: Vec<CString> = above.iter().skip(1).cloned().collect();
    let path = c(&path).map_err(|p| problem(at, p))?;
    let limits = limits::limits(&b.spec.linux.resources, "/linux/resources")?;
    // Limits cannot be done without: then the cgroup cannot, either.
    let optional = b.wish.rootless.unwrap_or(b.users.limited) && limits.is_empty();
    b.optional_cgroup = optional && b.wish.manager.is_none();
    match b.wish.manager {
        None => b.host(
            Step::Cgroup,
            Cgroup::Make { parents, path, optional },
            "all that the container ever starts can be found, limited and ended there",
        ),
        Some(manager) => {
            let scope = scope::scope(b.spec, b.wish.id, manager, &limits)?;
            b.scope = Some(scope.clone());
            let scope = Box::new(scope);
            b.host(
                Step::Cgroup,
                Cgroup::StartScope { scope, path },
                "systemd makes the cgroup that all of the container can be found, limited and ended in",
            );
        }
    }
    let needed = limits::controllers(&limits);
    let names = needed.iter().map(|limit| limit.controller().into());
    b.host(
        Step::Cgroup,
        Cgroup::EnableControllers { needed: names.collect(), above: above.clone() },
        "a cgroup has the files of those controllers only that the one above hands down",
    );
    for limit in needed {
        b.from = limit.from.clone();
        let (above, name) = (above.clone(), limit.controller().into());
        b.host(
            Step::Cgroup,
            Cgroup::NeedController { above, name },
            "without it there is no file to write the limit into",
        );
    }
    for limit in limits {
        b.from = limit.from.clone();
        // Born into a cgroup that may hold no more processes, init could not be.
        if limit.file.as_c_str() == c"pids.max" {
            if let Some(scope) = &b.scope {
                let properties = scope::properties(core::slice::from_ref(&limit));
                let (unit, sockets) = (scope.unit.clone(), scope.sockets.clone());
                let op = Cgroup::SetScope { unit, sockets, properties };
                b.pids.push(b.line_of(
                    Step::Cgroup,
                    op,
                    "systemd writes its limits again when it likes: it has to know ours",
                ));
            }
            b.pids.push(b.line_of(
                Step::Cgroup,
                Cgroup::Set { setting: Box::new(limit) },
                "from here on the kernel refuses what would be one process too many",
            ));
            continue;
        }
        b.host(
            Step::Cgroup,
            Cgroup::Set { setting: Box::new(limit) },
            "the kernel holds all that runs in the cgroup to it",
        );
    }
    give_cgroup(b);
    devices::rules(b, optional);
    Ok(())
}

/// `--cgroup-manager disabled`: what is asked of a cgroup cannot be had.
fn no_cgroup(b: &Builder) -> Result<(), Problem> {
    match limits::limits(&b.spec.linux.resources, "/linux/resources")?.first() {
        None => Ok(()),
        Some(limit) => Err(problem(&limit.from, "needs a cgroup, which --cgroup-manager disabled denies")),
    }
}

/// Root of a user namespace whose cgroup is the root that it sees, and mounted for writing, may make cgroups below it.
fn give_cgroup(b: &mut Builder) {
    let spec = b.spec;
    let rw = |m: &crate::spec::Mount| m.kind.starts_with("cgroup") && !m.options.iter().any(|option| option == "ro");
    let own = b.new_namespace(NamespaceKind::Cgroup) && b.new_namespace(NamespaceKind::User);
    if !own || b.users.limited || !spec.mounts.iter().any(rw) {
        return;
    }
    let root = |mappings: &[crate::spec::IdMapping]| mappings.iter().find(|m| m.container_id == 0).map(|m| m.host_id);
    let (uids, gids) = (&spec.linux.uid_mappings, &spec.linux.gid_mappings);
    if let (Some(uid), Some(gid)) = (root(uids), root(gids)) {
        b.from = "/linux/uidMappings".into();
        b.host(
            Step::Cgroup,
            Cgroup::Give { uid, gid },
            "its root may make cgroups of its own in there, and move its own processes",
        );
    }
}

/// What follows the clone.
fn finish_host(b: &mut Builder, mut moves: Vec<Line>) -> Result<(), Problem> {
    b.plan.host.append(&mut b.after_clone);
    hooks::host_before_pivot(b)?;
    b.plan.host.append(&mut moves);
    let last = process::filter_is_last(b.spec);
    if !last || b.wish.wait_for_start {
        pass_listener(b, "creating")?;
    }
    b.from = String::new();
    if b.wish.wait_for_start {
        b.host(Step::State, Sync::AwaitReady, "create returns when the container is whole, not before");
    }
    let parts = Box::new(b.wish.state.clone());
    b.host(
        Step::State,
        Sync::SaveState { parts, configuration: b.wish.text },
        "other commands find the container by this file",
    );
    pid_file(b)?;
    if !b.pids.is_empty() {
        let mut pids = core::mem::take(&mut b.pids);
        b.plan.host.append(&mut pids);
    }
    terminal::after(b, Step::Start);
    b.from = String::new();
    callers::after(b, Step::Start);
    b.plan.host.append(&mut b.before_go);
    b.host(Step::Start, Sync::TellGo, "the container is on record: from here on init may live without us");
    if !b.wish.wait_for_start {
        if last {
            pass_listener(b, "creating")?;
        }
        b.from = String::new();
        b.host(Step::Start, Sync::AwaitExec, "the close-on-exec end of the channel closes when execve succeeds");
    }
    place_pid_file(b)
}

/// Host: `--pid-file`, under a name beside its own: a directory that takes no file is found out before the program runs.
pub fn pid_file(b: &mut Builder) -> Result<(), Problem> {
    if let Some(file) = b.wish.pid_file {
        let path = path("", file)?;
        let why = "the caller wants to know the new process";
        b.host(Step::State, Callers::PidFile { path }, why);
    }
    Ok(())
}

/// Host: the same, when nothing can fail any more.
pub fn place_pid_file(b: &mut Builder) -> Result<(), Problem> {
    if let Some(file) = b.wish.pid_file {
        let path = path("", file)?;
        let why = "a command that fails leaves the file alone: it may name another container";
        b.host(Step::State, Callers::PlacePidFile { path }, why);
    }
    Ok(())
}

/// The descriptor of a filter that asks goes to whoever answers (config-linux.md, "Seccomp").
pub fn pass_listener(b: &mut Builder, status: &str) -> Result<(), Problem> {
    let Some(profile) = &b.spec.linux.seccomp else {
        return Ok(());
    };
    if !seccomp::listener(profile) {
        return Ok(());
    }
    let at = "/linux/seccomp/listenerPath";
    b.from = at.into();
    let (spec, wish) = (b.spec, b.wish);
    let state = crate::spec::state_document(&spec.oci_version, wish.id, wish.bundle, status, &spec.annotations);
    let metadata = profile.listener_metadata.as_deref().unwrap_or("");
    let op = Seccomp::PassListener {
        path: path(at, profile.listener_path.as_deref().unwrap_or(""))?,
        document: seccomp::document(&spec.oci_version, metadata, state, wish.joins),
    };
    b.host(Step::Start, op, "whoever listens there answers for the calls that the profile asks about");
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
