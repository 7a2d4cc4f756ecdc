//! `exec`: one more process in a container that is there. May touch: everything below.

use super::channel::client;
use super::context::{Context, step};
use super::end;
use super::process;
use super::wait::{self, Foreground, Waited};
use super::watcher::{self, Watcher};
use crate::cause::{self, Root, Scene};
use crate::cli::{self, Level};
use crate::ended::Over;
use crate::host::cgroup::{self, Obstacle};
use crate::host::input::c;
use crate::host::procfs;
use crate::outcome::{Check, Doing, Error, Stopped, Trouble, at};
use crate::perform::{Lanes, undo, walk};
use crate::plan::cgroup::scope;
use crate::plan::{self, Joined, Plan, Slot, Step, Wish};
use crate::say::error::{Said, found, stopped};
use crate::say::tell;
use crate::spec::{NamespaceKind, Spec};
use crate::state::{self, Now, Saved, Status, Whole, recorder};
use syscalls::{At, AtFlags, CloneFlags, Fd, OpenFlags, Resolve, SigSet, Why};

/// `exec`.
#[inline(never)]
pub fn exec(context: &mut Context, options: &cli::Exec) -> Result<i32, Error> {
    step(Step::Command);
    // The container's processes can look at this one as soon as it has joined them.
    context.seal_here()?;
    step(Step::Exec);
    let (_root, dir) = context.container(&options.id)?;
    let whole = state::load_whole(dir.at(), &options.id)?;
    if whole.saved.channel {
        let dir = context.recording.join(dir);
        return client::exec(context, options, &whole.saved, dir);
    }
    let made = make(context, options, dir.at(), whole);
    let dir = context.recording.join(dir);
    let made = made?;
    // The wait for the program can last, and its records shall be there meanwhile.
    context.recording.write(&context.root);
    context.log.say(Level::Info, &format!("container {}: process {} runs", options.id, made.0.pid));
    if options.detach {
        tell::words("left", &[&made.0.pid.to_string()]);
        return Ok(0);
    }
    let (Made { process, pid, master, signals, watcher }, saved, spec) = made;
    let wait = Foreground { process: &process, pid, child: true, notify: None, master, handed: None };
    let Waited { ended, handed } = wait.wait()?;
    wait::release(signals);
    if ended.status() != 0 {
        let (spec, dir) = (Some(&*spec), Some(dir));
        let over = Over { saved: &saved, spec, pid, first: false, ended: Some(ended), handed, dir, hierarchy: None };
        end::tell(context, &over);
    }
    watcher.map_or(Ok(()), Watcher::tell)?;
    Ok(ended.status())
}

/// A process that was made.
struct Made {
    process: Fd,
    pid: i32,
    /// The other side of its terminal, if this command relays it.
    master: Option<Fd>,
    /// The signal mask from before the plan.
    signals: Option<SigSet>,
    watcher: Option<Watcher>,
}

/// Plans, and carries the plan out up to the end of its host lane. Returns also the container's document, and its configuration
/// with this process.
fn make(
    context: &mut Context,
    options: &cli::Exec,
    dir: At,
    mut whole: Whole,
) -> Result<(Made, Saved, Box<Spec<'static>>), Error> {
    let id = &options.id;
    let now = state::look(dir, &whole.saved)?;
    let (now, first) = joinable(options, &whole.saved, now)?;
    let (spec, said) = process::wanted(whole.take_configuration()?, whole.saved.config_file(), options)?;
    let saved = &whole.saved;
    // `create` has already warned of the container's own configuration.
    if let Some(file) = &options.process {
        context.say_all(file, spec.process.capabilities.warnings());
    }
    let group = group(options, saved, now)?;
    if let (Some(group), false) = (&group, options.ignore_paused) {
        let obstacle = cgroup::obstacle(group.at()).doing(format_args!("look at the cgroup of {id}"))?;
        if obstacle == Some(Obstacle::Frozen) {
            return Err(match cause::cgroup::stopped(group.at()) {
                Some(frozen) => found(frozen, None),
                None => Error::State(format!("the cgroup of {id} is frozen; thaw it, or use --ignore-paused")),
            });
        }
    }
    context.host.look();
    context.say_groups(&spec, &said);
    let limited = context.host.uid != 0 || context.host.nested;
    let scope = match &saved.scope {
        Some((unit, sockets)) if limited && options.cgroup.is_none() => {
            Some(scope::Scope { unit: unit.clone(), sockets: sockets.clone(), properties: Vec::new() })
        }
        _ => None,
    };
    let wish = Wish {
        pid_file: options.pid_file.as_deref(),
        console: options.console_socket.as_deref(),
        pidfd: options.pidfd_socket.as_deref(),
        joins: Some(Joined { first: saved.pid, namespaces: namespaces(&spec, saved.pid)?, scope }),
        attached: !options.detach,
        cgroup: group.is_some(),
        watch: options.watch,
        ..context.wish(id, &saved.bundle_path)
    };
    let plan = plan::exec(&spec, &wish).map_err(|problem| said.refused(problem))?;
    // Never freed: after the clone, writing to its pages would copy each of them.
    let plan: &'static Plan = Box::leak(Box::new(plan));
    tell::plan(plan);
    let mut lanes = Lanes::new(plan, None);
    lanes.endless = context.endless;
    lanes.put(Slot::CONTAINER, first);
    if let Some(what) = options.watch {
        lanes.watcher = Some(watcher::engine(what, &spec, &saved.cgroup_path));
        let why = Why("the calls of the program belong to the container's trace");
        lanes.put(Slot::STATE, syscalls::openat(dir, c".", OpenFlags::O_DIRECTORY, why).doing("open the container")?);
    }
    if let Some(group) = group {
        lanes.put(Slot::CGROUP, group);
    }
    let made = join(lanes, options, |lanes, stop| failed(lanes, stop, &said, &spec, saved.pid))?;
    context.say_left_out(&said);
    Ok((made, whole.saved, spec))
}

/// The error of a plan that stopped. `first`: the first process of the container. It has the container's root.
fn failed(lanes: &mut Lanes, stop: Stopped, who: &Said, spec: &Spec, first: i32) -> Error {
    let said = match stop.trouble {
        Trouble::Check(Check::Systemd) => core::mem::take(&mut lanes.said),
        _ => String::new(),
    };
    let scene = Scene { root: Root::Of(first), ..Scene::of(lanes, spec, stop, &said) };
    stopped(who, stop, &scene)
}

/// Carries the plan out.
fn join(
    mut lanes: Lanes,
    options: &cli::Exec,
    failed: impl FnOnce(&mut Lanes, Stopped) -> Error,
) -> Result<Made, Error> {
    recorder::share()?;
    if let Err(stop) = walk::host(&mut lanes) {
        let error = failed(&mut lanes, stop);
        undo::processes(&mut lanes);
        return Err(error);
    }
    step(Step::Exec);
    let gone = || Error::State(format!("container {} has just ended", options.id));
    Ok(Made {
        process: lanes.take(Slot::INIT).ok_or_else(gone)?,
        pid: lanes.pid,
        master: (!options.detach).then(|| lanes.take(Slot::MASTER)).flatten(),
        signals: lanes.signals,
        watcher: Watcher::of(&mut lanes),
    })
}

/// A handle on the first process of a container that can be joined.
fn joinable(options: &cli::Exec, saved: &Saved, mut now: Now) -> Result<(Now, Fd), Error> {
    let id = &options.id;
    if let Some(mode) = saved.own_mode() {
        return Err(Error::State(format!(
            "container {id} is a machine of its own ({mode}), which no process of this one can join"
        )));
    }
    match (now.status, now.init.take()) {
        (Status::Paused, Some(_)) if !options.ignore_paused => {
            Err(Error::State(format!("cannot exec in a paused container: {id}: `resume` it, or use --ignore-paused")))
        }
        (Status::Created | Status::Running | Status::Paused, Some(first)) => Ok((now, first)),
        (Status::Creating, _) => Err(Error::State(format!("container {id} is being created"))),
        _ => Err(Error::State(format!("cannot exec in a stopped container: {id}: container not running"))),
    }
}

/// The namespaces of the container that the process joins, in clone(2)'s flags.
fn namespaces(spec: &Spec, first: i32) -> Result<CloneFlags, Error> {
    let mut flags = CloneFlags::NONE;
    for n in &spec.linux.namespaces {
        // The kernel lets no process enter the user namespace that it is in already (setns(2)).
        let shared = n.kind == NamespaceKind::User && n.joined().is_some();
        if !(shared && same_users(first)?) {
            flags = flags | plan::namespaces::flag(&n.kind);
        }
    }
    Ok(flags)
}

/// Whether a process is in the user namespace of this one.
fn same_users(pid: i32) -> Result<bool, Error> {
    let why = Why("a user namespace that this process is in already cannot be joined");
    let look = || {
        let procfs = procfs::open()?;
        let ours = syscalls::newfstatat(procfs.at(), c"self/ns/user", AtFlags::NONE, why)?;
        let theirs = syscalls::newfstatat(procfs.at(), &procfs::path(pid, "ns/user"), AtFlags::NONE, why)?;
        Ok((ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino))
    };
    look().doing("look at the container's user namespace")
}

/// The cgroup that clone3 puts the process into, if the container has one.
fn group(options: &cli::Exec, saved: &Saved, now: Now) -> Result<Option<Fd>, Error> {
    let id = &options.id;
    let failed = |failed| at(format!("look for the cgroup of {id}"), failed);
    let pair = match now.cgroup {
        None if !saved.cgroup_path.is_empty() => cgroup::open_pair(&saved.cgroup_path).map_err(failed)?,
        pair => pair,
    };
    let below = options.cgroup.as_deref().map(|path| path.trim_matches('/'));
    let Some((root, group)) = pair else {
        return match below {
            None => Ok(None),
            Some(_) => Err(Error::State(format!(
                "container {id} has no cgroup of its own, so there is nothing for --cgroup below it"
            ))),
        };
    };
    match below {
        Some("") => return Ok(Some(group)),
        Some(path) => {
            let (flags, why) = (OpenFlags::O_DIRECTORY, Why("--cgroup names it"));
            let resolve = Resolve::RESOLVE_BENEATH | Resolve::RESOLVE_NO_SYMLINKS;
            let sub = syscalls::openat2(group.at(), &c(path)?, flags, resolve, why);
            return sub.map(Some).doing(format_args!("open the cgroup {path} below that of {id}"));
        }
        None => {}
    }
    // A cgroup that hands controllers down may hold no processes itself (cgroup-v2.rst, "No Internal Process Constraint").
    // Then a service manager in the container has moved all processes to cgroups below, its own too.
    let why = Why("a cgroup holds processes, or hands controllers down to those below it");
    let control = cgroup::read(group.at(), c"cgroup.subtree_control", why).map_err(failed)?;
    if control.trim().is_empty() {
        return Ok(Some(group));
    }
    let path = procfs::cgroup_of(saved.pid).map_err(failed)?;
    let path = path.trim_start_matches('/');
    let inside = path.strip_prefix(saved.cgroup_path.as_str());
    if inside.is_none_or(|rest| !rest.starts_with('/')) {
        return Ok(Some(group));
    }
    let why = Why("the cgroup of the container's first process can hold another process, too");
    let sub = cgroup::open(root.at(), &c(path)?, why).map_err(failed)?;
    Ok(sub.or(Some(group)))
}
