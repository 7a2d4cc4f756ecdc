//! Who the container's users are: the mappings of a new user namespace, and the program's user and groups
//! (user_namespaces(7), credentials(7)). May touch: types.

use super::builder::Builder;
use super::hooks;
use super::mark::Mark;
use super::namespaces::pointer;
use super::op::{Hook, Hooks, Sync, Users};
use super::order::{Bridge, Host, Init};
use super::text::{c, mapping};
use crate::spec::{IdMapping, NamespaceKind, Problem};

const MAPPED: &str = "/linux/uidMappings";

/// `create`.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    if b.users.new {
        map(b)?;
        await_mapped(b);
    }
    join(b)
}

/// `exec`: the user namespace is there, if any.
pub fn join(b: &mut Builder) -> Result<(), Problem> {
    if b.users.new || b.users.joined {
        root_inside(b);
    }
    groups(b);
    let user = &b.spec.process.user;
    let why = "the program runs as this user; the kernel takes root's capabilities with root's id";
    b.init(Init::User, "/process/user", Users::Ids { uid: user.uid, gid: user.gid }, why);
    Ok(())
}

/// Whether the bridge is the first process of the new user namespace. Otherwise init is.
fn bridge_is_first(b: &Builder) -> bool {
    b.bridged && b.users.inside && !b.is_exec()
}

/// Host: the first process of the new user namespace waits for its ids.
fn map(b: &mut Builder) -> Result<(), Problem> {
    b.host_proc();
    if b.users.helpers && !hooks::any(b.spec) {
        let why = "what newuidmap or newgidmap prints is shown if it fails";
        b.marked(Mark::NoRoot, |b| b.host(Host::HelperOutput, MAPPED, Hooks::Output, why));
    }
    if b.users.inside {
        let why = "/proc/PID of a process that is not dumpable belongs to root: only root could map its ids";
        b.marked(Mark::NoRoot, |b| b.host(Host::Dumpable, "", Users::Dumpable { dumpable: true }, why));
    }
    let (uids, gids) = (&b.spec.linux.uid_mappings, &b.spec.linux.gid_mappings);
    let helpers = match b.users.helpers {
        true => Some(Box::new([helper("newuidmap", uids)?, helper("newgidmap", gids)?])),
        false => None,
    };
    let stage = if bridge_is_first(b) { Host::BridgeMapped } else { Host::Mapped };
    let op = Users::MapIds { uids: mapping(uids), gids: mapping(gids), deny_setgroups: b.users.no_groups, helpers };
    let why = "only a process outside may say which users of the host the users inside are (user_namespaces(7))";
    let mark = Mark::NoRoot.when(b.users.inside && (b.users.helpers || b.users.no_groups));
    b.marked(mark, |b| b.host(stage, MAPPED, op, why));
    b.host(stage, MAPPED, Sync::TellMapped, "the user namespace has its ids: the process in it may go on");
    Ok(())
}

/// newuidmap(1) and newgidmap(1): the process id, which is not known yet, then the mapping.
fn helper(name: &str, mappings: &[IdMapping]) -> Result<Hook, Problem> {
    let numbers = mappings.iter().flat_map(|m| [m.container_id, m.host_id, m.size]).map(|n| c(MAPPED, &format!("{n}")));
    Ok(Hook {
        path: c(MAPPED, &format!("/usr/bin/{name}"))?,
        argv: core::iter::once(c(MAPPED, name)).chain(numbers).collect::<Result<_, _>>()?,
        envp: Some(Vec::new()),
        home: false,
        cwd: None,
        timeout: None,
        state: Default::default(),
    })
}

fn await_mapped(b: &mut Builder) {
    let why = "until the ids are mapped, the process has no user id in the new user namespace";
    match bridge_is_first(b) {
        true => b.marked(Mark::NoRoot, |b| b.bridge(Bridge::Mapped, MAPPED, Sync::AwaitMapped, why)),
        false => b.init(Init::Mapped, MAPPED, Sync::AwaitMapped, why),
    }
    if b.users.inside {
        let op = Users::Dumpable { dumpable: false };
        let why = "the ids are mapped: from here on other processes of this user must not look into this one";
        b.marked(Mark::NoRoot, |b| match b.bridged {
            true => b.bridge(Bridge::Hide, "", op, why),
            false => b.init(Init::Mapped, "", op, why),
        });
    }
}

/// The process becomes the namespace's root, which then owns what is made.
fn root_inside(b: &mut Builder) {
    let from = pointer(b.spec, &NamespaceKind::User);
    // 0 wherever it is mapped.
    let first = |mappings: &[IdMapping]| mappings.iter().map(|m| m.container_id).min().unwrap_or(0);
    let (uid, gid) = match b.users.new {
        true => (first(&b.spec.linux.uid_mappings), first(&b.spec.linux.gid_mappings)),
        false => (0, 0),
    };
    let op = Users::RootInside { uid, gid };
    let why = "mounts and files that are made from here on belong to the user namespace's root";
    match b.users.new && bridge_is_first(b) {
        true => b.marked(Mark::NoRoot, |b| b.bridge(Bridge::Mapped, &from, op, why)),
        false => b.init(Init::Root, &from, op, why),
    }
}

fn groups(b: &mut Builder) {
    if b.users.no_groups || b.spec.keeps_groups() {
        return;
    }
    let gids = b.spec.process.user.additional_gids.clone();
    let if_allowed = b.users.limited && gids.is_empty();
    let why = "with the caller's groups the program could reach the files of those groups";
    let mark = if if_allowed { b.rights() } else { Mark::None };
    b.marked(mark, |b| b.init(Init::Groups, "/process/user", Users::Groups { gids, if_allowed }, why));
}
