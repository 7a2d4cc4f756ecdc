//! The container's cgroup: `linux.cgroupsPath`, and what `linux.resources` writes into its files (config-linux.md,
//! "Control groups"). systemd may make it instead, as a scope. May touch: types.

pub mod limits;
pub mod scope;
mod weight;

use super::builder::Builder;
use super::mark::Mark;
use super::op::{Born, Cgroup, Sync};
use super::order::{Host, Init};
use super::text::{c, clean, problem};
use super::wish::Wish;
use crate::spec::{IdMapping, Mount, NamespaceKind, Problem, Spec};
use alloc::ffi::CString;
use limits::Setting;
use scope::Scope;

const AT: &str = "/linux/cgroupsPath";
const RESOURCES: &str = "/linux/resources";

/// `create`: a cgroup of the container's own.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    let limits = limits::limits(&b.spec.linux.resources, RESOURCES)?;
    if !b.wish.cgroup {
        return match limits.first() {
            None => Ok(()),
            Some(limit) => Err(problem(&limit.from, "needs a cgroup, which --cgroup-manager disabled denies")),
        };
    }
    let path = cgroup_path(b.spec, b.wish)?;
    if path.is_empty() || path.split('/').any(|part| part == "..") {
        return Err(problem(AT, "must name a cgroup below the root of the hierarchy, without `..`"));
    }
    let above = limits::above(&path)?;
    let scope = make(b, &above, c(AT, &path)?, &limits)?;
    controllers(b, above, &limits);
    for limit in limits {
        set(b, scope.as_ref(), limit);
    }
    give(b);
    if let Some(scope) = scope {
        if b.wish.manager.is_some_and(|manager| manager.user) {
            b.marked(Mark::Systemd, |b| place(b, scope));
        }
        let why = "init is in the scope and keeps it alive: the process that held it may end";
        b.marked(Mark::Systemd, |b| b.host(Host::ReleaseScope, AT, Cgroup::ReleaseScope, why));
    }
    Ok(())
}

/// `exec`: the cgroup is there, and the new process begins in it or is moved.
pub fn join(b: &mut Builder) -> Result<(), Problem> {
    if let Some(scope) = b.wish.joins.as_ref().and_then(|joined| joined.scope.clone()) {
        let why = "only systemd may move a process from a session's cgroup into one of its own";
        b.marked(Mark::SessionScope, |b| b.host(Host::Placed, AT, Cgroup::JoinScope(Box::new(scope)), why));
    }
    Ok(())
}

/// The cgroup below the hierarchy's root: `cgroupsPath`, or `nano-sandbox/<id>`. The runtime may put a path that is not
/// absolute elsewhere (config-linux.md, "Cgroups Path"): below the wish's base. What systemd makes lies where its slice
/// does.
pub fn cgroup_path(spec: &Spec, wish: &Wish) -> Result<String, Problem> {
    let (id, base) = (wish.id, wish.cgroup_base);
    if let Some(manager) = wish.manager {
        let (slice, unit) = scope::names(spec, id, manager.user)?;
        return Ok(scope::cgroup(manager, &slice, &unit));
    }
    Ok(match spec.linux.cgroups_path.as_deref() {
        None | Some("") => format!("{base}nano-sandbox/{id}"),
        Some(path) if path.starts_with('/') => clean(path).trim_start_matches('/').into(),
        Some(path) => format!("{base}{}", clean(path).trim_start_matches('/')),
    })
}

/// Whether the container does without a cgroup that may not be made. Limits cannot be done without.
pub fn is_optional(b: &Builder) -> bool {
    let limits = || limits::limits(&b.spec.linux.resources, RESOURCES);
    b.wish.rootless.unwrap_or(b.users.limited) && limits().is_ok_and(|limits| limits.is_empty())
}

/// Where init begins.
pub fn born(b: &Builder) -> Born {
    let moved = match &b.wish.joins {
        Some(joined) => joined.scope.is_some(),
        None => b.wish.manager.is_some_and(|manager| manager.user),
    };
    match b.wish.cgroup && !moved {
        false => Born::Outside,
        true if !b.is_exec() && b.wish.manager.is_none() && is_optional(b) => Born::InCgroupIfAny,
        true => Born::InCgroup,
    }
}

/// Makes the cgroup, or has systemd make it.
fn make(b: &mut Builder, above: &[CString], path: CString, limits: &[Setting]) -> Result<Option<Scope>, Problem> {
    let from = if b.spec.linux.cgroups_path.is_some() { AT } else { "" };
    let Some(manager) = b.wish.manager else {
        let op = Cgroup::Make { parents: above.iter().skip(1).cloned().collect(), path, optional: is_optional(b) };
        let why = "it holds all processes of the container, so that they can be found, limited and ended";
        let mark = match b.wish.rootless {
            // Its path begins where the caller's own cgroup lies.
            _ if !b.wish.cgroup_base.is_empty() => Mark::NoRoot,
            _ if !is_optional(b) => Mark::None,
            Some(_) => Mark::Rootless,
            None => b.rights(),
        };
        b.marked(mark, |b| b.host(Host::Cgroup, from, op, why));
        return Ok(None);
    };
    let scope = scope::scope(b.spec, b.wish.id, manager, limits)?;
    let op = Cgroup::StartScope { scope: Box::new(scope.clone()), path };
    let why = "systemd makes the cgroup by which all processes of the container can be found, limited and ended";
    b.marked(Mark::Systemd, |b| b.host(Host::Cgroup, from, op, why));
    Ok(Some(scope))
}

/// The cgroups above hand down the controllers that the limits need.
fn controllers(b: &mut Builder, above: Vec<CString>, limits: &[Setting]) {
    let needed = limits::controllers(limits);
    let from = if b.spec.linux.cgroups_path.is_some() { AT } else { "" };
    let names = needed.iter().map(|limit| limit.controller().into()).collect();
    let why = "a cgroup has only the files of controllers that the cgroups above hand down";
    // Where there is no limit, they are for later questions, and init need not wait for them.
    let stage = if needed.is_empty() { Host::DeviceProgram } else { Host::Cgroup };
    b.host(stage, from, Cgroup::EnableControllers { needed: names, above: above.clone() }, why);
    for limit in needed {
        let op = Cgroup::NeedController { above: above.clone(), name: limit.controller().into() };
        b.host(Host::Cgroup, &limit.from, op, "without the controller there is no file for the limit");
    }
}

/// One limit. That of processes comes late: a cgroup that may hold no more processes could not take init.
fn set(b: &mut Builder, scope: Option<&Scope>, limit: Setting) {
    let from = limit.from.clone();
    let (stage, why) = match scope::late(&limit) {
        false => (Host::Cgroup, "the kernel holds all processes of the cgroup to this limit"),
        true => (Host::PidsLimit, "late, because the limit counts the runtime's own processes too"),
    };
    if let (Host::PidsLimit, Some(scope)) = (stage, scope) {
        let properties = scope::properties(core::slice::from_ref(&limit));
        let op = Cgroup::SetScope { unit: scope.unit.clone(), sockets: scope.sockets.clone(), properties };
        let why = "systemd writes its own limits again at any time: it has to know this one";
        b.marked(Mark::Systemd, |b| b.host(stage, &from, op, why));
    }
    b.host(stage, &from, Cgroup::Set { setting: Box::new(limit) }, why);
}

/// Root of a user namespace may make cgroups below its own, where that is the root that it sees, mounted for writing.
fn give(b: &mut Builder) {
    let rw = |m: &Mount| m.kind.starts_with("cgroup") && !m.options.iter().any(|option| option == "ro");
    let own = b.new_namespace(NamespaceKind::Cgroup) && b.new_namespace(NamespaceKind::User);
    if !own || b.users.limited || !b.spec.mounts.iter().any(rw) {
        return;
    }
    let root = |mappings: &[IdMapping]| mappings.iter().find(|m| m.container_id == 0).map(|m| m.host_id);
    if let (Some(uid), Some(gid)) = (root(&b.spec.linux.uid_mappings), root(&b.spec.linux.gid_mappings)) {
        let why = "root of the container may make cgroups below its own, and move its processes between them";
        b.host(Host::Cgroup, "/linux/uidMappings", Cgroup::Give { uid, gid }, why);
    }
}

/// A user's own systemd moves init into its scope: the user may not move a process out of a session's cgroup.
fn place(b: &mut Builder, scope: Scope) {
    let why = "only systemd may move a process from a session's cgroup into one of its own";
    b.host(Host::Placed, AT, Cgroup::JoinScope(Box::new(scope)), why);
    b.host(Host::Placed, AT, Sync::TellPlaced, "init may go on: it is in the scope, and held to its limits");
    let why = "if init made its cgroup namespace before the move, it would keep the old root (cgroup_namespaces(7))";
    b.init(Init::Placed, AT, Sync::AwaitPlaced, why);
}
