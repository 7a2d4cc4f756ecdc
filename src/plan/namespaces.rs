//! config.json's `linux.namespaces`, `uidMappings`, `gidMappings` and `timeOffsets`: what init is born into, and
//! which process has to make it (namespaces(7), user_namespaces(7), time_namespaces(7)). May touch: types and tables.
//!
//! ```text
//!   usually     host ── clone3(all new) ────────────────► init ── setns(what is joined)
//!   a bridge    host ── clone3 ─► bridge ── setns, unshare ── clone3(CLONE_PARENT) ─► init, the host's child
//!   new ids     host writes uid_map and gid_map of the first process that is in the new user namespace; that waits
//! ```
//! A bridge is needed where the kernel moves a process's children only, not itself: into a pid namespace that is
//! there, into a new time namespace; and to be in a user namespace before the others are made in it.

use super::create::{first_id, mapping, path, problem};
use super::op::{self, Born, Cgroup, Hook, Namespaces, Process, Slot, Sync};
use super::{Builder, Step, Wish, c, hooks, process};
use crate::spec::{IdMapping, NamespaceKind, Problem, Spec, namespace, sysctl_kind};
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// What the users of the container, and of the caller, mean for the plan.
#[derive(Clone, Copy, Default)]
pub struct Users {
    /// A user namespace is made, or one that is there is joined.
    pub new: bool,
    pub joined: bool,
    /// The caller has no privileges at all: what needs some is done inside the new user namespace.
    pub inside: bool,
    /// No privileges over the machine: no devices, no device program, and perhaps no cgroup.
    pub limited: bool,
    /// The kernel forbids setting groups, so none can be dropped (user_namespaces(7)).
    pub no_groups: bool,
    /// Only newuidmap(1) and newgidmap(1) may write the mapping.
    pub helpers: bool,
}

impl Users {
    pub fn of(spec: &Spec, wish: &Wish) -> Result<Users, Problem> {
        let user = namespace(&spec.linux, &NamespaceKind::User);
        let joined = user.is_some_and(|n| n.joined().is_some());
        let new = user.is_some() && !joined;
        let inside = wish.uid != 0;
        if inside && user.is_none() {
            return Err(problem(
                "/linux/namespaces",
                "has no `user` namespace, and the caller is not root: `nk-runtime spec --rootless` writes one",
            ));
        }
        let own = |mappings: &[IdMapping], id: u32| matches!(mappings, [m] if m.host_id == id && m.size == 1);
        let alone = own(&spec.linux.uid_mappings, wish.uid) && own(&spec.linux.gid_mappings, wish.gid);
        let no_groups = inside && new && alone;
        if no_groups && !spec.process.user.additional_gids.is_empty() {
            return Err(problem(
                "/process/user/additionalGids",
                "needs a mapping that newgidmap writes: with one group mapped the kernel forbids setting others",
            ));
        }
        Ok(Users {
            new,
            joined,
            inside,
            limited: inside || wish.nested,
            no_groups: no_groups || wish.no_groups,
            helpers: inside && new && !alone,
        })
    }

    /// The caller has rights over the machine, and init leaves them for those of a user namespace.
    pub fn leaves_rights(&self) -> bool {
        (self.new || self.joined) && !self.limited
    }

    /// A user namespace other than the host's, where devices cannot be made.
    pub fn foreign(&self) -> bool {
        self.new || self.joined || self.limited
    }
}

/// Where config.json asks for a namespace.
pub fn pointer(spec: &Spec, kind: &NamespaceKind) -> String {
    let at = spec.linux.namespaces.iter().position(|n| n.kind == *kind);
    at.map_or(String::new(), |i| format!("/linux/namespaces/{i}"))
}

/// Host: the namespaces that are joined, opened before anything is made.
pub fn open_joined(b: &mut Builder) -> Result<(), Problem> {
    for i in 0..b.spec.linux.namespaces.len() {
        let Some(n) = b.spec.linux.namespaces.get(i) else {
            break;
        };
        let Some(joined) = n.joined() else { continue };
        let at = format!("/linux/namespaces/{i}/path");
        b.from = at.clone();
        let slot = b.slot();
        let op =
            Namespaces::Open { path: path(&at, joined)?, kind: n.kind.word(), changed: changed(b.spec, &n.kind), slot };
        b.host(Step::Sources, op, "a namespace that is there is joined through its descriptor");
        b.joined.push((i, slot));
    }
    Ok(())
}

/// Whether something of that kind of namespace is changed: names, settings, or, always, its mounts and their root.
fn changed(spec: &Spec, kind: &NamespaceKind) -> bool {
    let named = spec.hostname.is_some() || spec.domainname.is_some();
    let mut set = spec.linux.sysctl.keys().map(|key| sysctl_kind(key));
    let always = *kind == NamespaceKind::Mount;
    always || set.any(|of| of.as_ref() == Some(kind)) || *kind == NamespaceKind::Uts && named
}

/// Whether a process in between has to make init.
fn bridged(b: &Builder) -> bool {
    let joins = |kind: &NamespaceKind| namespace(&b.spec.linux, kind).is_some_and(|n| n.joined().is_some());
    let time = b.new_namespace(NamespaceKind::Time);
    let others = !b.joined.is_empty();
    joins(&NamespaceKind::Pid) || b.users.joined || time || others && b.users.new
}

/// One line for each namespace that is joined: those of `user` or those of the others.
fn join(b: &mut Builder, user: bool) {
    for i in 0..b.joined.len() {
        let Some(&(at, slot)) = b.joined.get(i) else {
            break;
        };
        let Some(n) = b.spec.linux.namespaces.get(at) else {
            break;
        };
        if (n.kind == NamespaceKind::User) != user {
            continue;
        }
        b.from = format!("/linux/namespaces/{at}/path");
        let op = Namespaces::Join { slot, kind: n.kind.word(), flags: n.kind.flag() as u32 };
        b.init(op, "the container shares this namespace with others");
    }
}

/// What the first process in a new user namespace does before it is anybody there.
fn await_ids(b: &mut Builder) {
    b.from = "/linux/uidMappings".into();
    b.init(Sync::AwaitMapped, "until its ids are mapped, nobody can be anybody in the new user namespace");
}

/// Whether systemd moves init into its scope: only systemd may move a process of a user's from a session's cgroup into one
/// of that user's manager.
fn moved(b: &Builder) -> bool {
    b.wish.cgroup && b.wish.manager.is_some_and(|manager| manager.user)
}

/// What init sees of cgroups, and what it mounts of them, begins where it is.
fn await_place(b: &mut Builder) {
    if moved(b) {
        b.from = "/linux/cgroupsPath".into();
        b.init(
            Sync::AwaitPlaced,
            "a process that was moved still sees the root of the cgroup that it was in (cgroup_namespaces(7))",
        );
    }
}

/// Host: init is there, and waits.
fn place(b: &mut Builder) {
    if !moved(b) {
        return;
    }
    let Some(scope) = b.scope.clone() else {
        return;
    };
    b.from = "/linux/cgroupsPath".into();
    b.host(
        Step::Cgroup,
        Cgroup::JoinScope(Box::new(scope)),
        "only systemd may move it from a session's cgroup into one of its own",
    );
    b.host(Step::Cgroup, Sync::TellPlaced, "from here on it is held to the scope's limits");
}

/// What had to be this user's is written.
fn hide(b: &mut Builder) {
    if b.users.inside && b.users.new {
        b.from = String::new();
        b.init(
            op::Users::Dumpable { dumpable: false },
            "what had to be this user's is written: from now on nobody may look into this process",
        );
    }
}

/// To be its root, and the owner of what is made in it.
pub fn root_inside(b: &mut Builder) {
    b.from = pointer(b.spec, &NamespaceKind::User);
    let (uid, gid) = match b.users.new {
        true => (first_id(&b.spec.linux.uid_mappings), first_id(&b.spec.linux.gid_mappings)),
        false => (0, 0),
    };
    b.init(op::Users::RootInside { uid, gid }, "what is made from here on belongs to the user namespace's root");
}

/// The beginning of the bridge lane and of the init lane.
pub fn enter(b: &mut Builder) {
    b.step = Step::Namespaces;
    b.from = String::new();
    let first = "held here too, it would never end when the host does";
    if !bridged(b) {
        b.init(Sync::CloseHostEnd, first);
        await_place(b);
        if b.users.new {
            await_ids(b);
            hide(b);
            root_inside(b);
        }
        join(b, false);
        return;
    }
    // The lines are written as init's and then moved: the bridge is the first part of what init would be.
    b.init(Sync::CloseHostEnd, first);
    // Without privileges nothing can be joined before the user namespace is entered; with them, what belongs to the
    // host has to be joined while they last.
    if b.users.inside {
        if b.users.new {
            await_ids(b);
            root_inside(b);
        }
        join(b, true);
        join(b, false);
    } else {
        join(b, false);
        join(b, true);
    }
    time(b);
    hide(b);
    b.plan.bridge.append(&mut b.plan.init);
    await_place(b);
    if b.users.new && !b.users.inside {
        await_ids(b);
    }
    if b.users.joined || b.users.new && !b.users.inside {
        root_inside(b);
    }
}

/// A new time namespace: its clocks can be set until somebody lives in it.
fn time(b: &mut Builder) {
    if !b.new_namespace(NamespaceKind::Time) {
        return;
    }
    b.from = pointer(b.spec, &NamespaceKind::Time);
    let flags = NamespaceKind::Time.flag() as u32;
    b.init(Namespaces::Unshare { flags }, "the children of this process will be born into it (time_namespaces(7))");
    if b.spec.linux.time_offsets.0.is_empty() {
        return;
    }
    b.from = "/linux/timeOffsets".into();
    let mut text = String::new();
    for (clock, offset) in &b.spec.linux.time_offsets.0 {
        text.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    b.init(
        Namespaces::WriteProc { base: Slot::HOST_PROC, path: c"self/timens_offsets".into(), text: text.into_bytes() },
        "clocks can be set only while nobody lives in the namespace",
    );
}

/// Host and bridge: the clone with all namespaces at once, and the mapping of ids.
pub fn clone(b: &mut Builder) -> Result<(), Problem> {
    let bridge = !b.plan.bridge.is_empty();
    before(b)?;
    b.from = "/linux/namespaces".into();
    let mut flags = 0;
    for n in &b.spec.linux.namespaces {
        let elsewhere = match n.kind {
            NamespaceKind::Time => true,
            NamespaceKind::Cgroup => b.wish.cgroup,
            NamespaceKind::User => bridge && b.users.inside,
            _ => false,
        };
        if n.joined().is_none() && !elsewhere {
            flags |= n.kind.flag();
        }
    }
    let born = match b.wish.cgroup && !moved(b) {
        false => Born::Outside,
        true if b.optional_cgroup => Born::InCgroupIfAny,
        true => Born::InCgroup,
    };
    let why = "one call makes the process and every namespace that it is to live in";
    if !bridge {
        b.host(Step::Namespaces, Namespaces::Clone { flags, born }, why);
        place(b);
        return map(b);
    }
    flags |= libc::CLONE_PARENT as u64;
    b.bridge(Namespaces::Clone { flags, born }, why);
    b.from = String::new();
    b.bridge(Sync::TellInit, "the host learns the number of its child, and this process has done its part");
    let user = b.users.inside && b.users.new;
    let flags = if user { libc::CLONE_NEWUSER as u64 } else { 0 };
    b.host(
        Step::Namespaces,
        Namespaces::CloneBridge { flags },
        "a stepping stone: the kernel lets no process enter these namespaces itself",
    );
    if user {
        map(b)?;
    }
    b.from = String::new();
    b.host(Step::Namespaces, Sync::AwaitInit, "the bridge makes init as a child of ours, and ends");
    place(b);
    if user { Ok(()) } else { map(b) }
}

/// What both sides of the clone need beforehand.
fn before(b: &mut Builder) -> Result<(), Problem> {
    channel(b);
    let score = b.spec.process.oom_score_adj.filter(|_| b.users.foreign());
    let labels = !b.spec.process.selinux_label.is_empty();
    let shifted = !b.spec.linux.time_offsets.0.is_empty();
    let wanted = b.users.new || score.is_some() || shifted || labels;
    if wanted && b.mappings.is_empty() {
        host_proc(b);
    }
    if b.users.helpers {
        hooks::output(b);
    }
    if b.users.new && b.users.inside {
        b.host(
            Step::Namespaces,
            op::Users::Dumpable { dumpable: true },
            "the files of a process that is not dumpable belong to root, and root alone could map ids",
        );
    }
    if let Some(score) = score {
        oom_score(b, score);
    }
    process::raise_limits(b)?;
    if b.wish.wait_for_start {
        b.from = String::new();
        b.host(
            Step::Namespaces,
            Sync::StartFifos,
            "init will wait on the one until `start` comes, and the other's end tells `start` of execve",
        );
    }
    b.from = String::new();
    signals(b);
    Ok(())
}

pub fn channel(b: &mut Builder) {
    b.from = String::new();
    b.host(
        Step::Namespaces,
        Sync::Channel,
        "host and init tell each other how far they are; its end says that execve succeeded",
    );
}

pub fn host_proc(b: &mut Builder) {
    b.host(
        Step::Namespaces,
        Namespaces::OpenHostProc,
        "files of processes are used through a /proc that was checked to be procfs",
    );
}

/// What is done about the caller's signals.
pub fn signals(b: &mut Builder) {
    if b.wish.attached {
        b.host(
            Step::Namespaces,
            Process::HoldSignals,
            "held back before the clone, no signal and no end of a child can be missed",
        );
    }
    b.host(
        Step::Namespaces,
        Process::LookAtSignals,
        "ignored signals stay ignored over execve, unlike handled ones (execve(2))",
    );
}

/// The files in /proc of a process that is not dumpable belong to the machine's root, who is nobody in a user namespace:
/// so the score is this process's first, and init is born with it.
pub fn oom_score(b: &mut Builder, score: i64) {
    b.from = "/process/oomScoreAdj".into();
    let why = "whose the files in /proc are hangs on this";
    let unseen = b.users.limited && !b.users.new;
    if unseen {
        b.host(Step::Namespaces, op::Users::Dumpable { dumpable: true }, why);
    }
    let op = Namespaces::WriteProc {
        base: Slot::HOST_PROC,
        path: c"self/oom_score_adj".into(),
        text: format!("{score}").into_bytes(),
    };
    b.host(Step::Namespaces, op, "who is ended first when memory runs out; init is born with it");
    if unseen {
        b.host(Step::Namespaces, op::Users::Dumpable { dumpable: false }, why);
    }
}

fn map(b: &mut Builder) -> Result<(), Problem> {
    if !b.users.new {
        return Ok(());
    }
    b.from = "/linux/uidMappings".into();
    let (uids, gids) = (&b.spec.linux.uid_mappings, &b.spec.linux.gid_mappings);
    let helpers = match b.users.helpers {
        true => Some(Box::new([helper("newuidmap", uids)?, helper("newgidmap", gids)?])),
        false => None,
    };
    let op = op::Users::MapIds { uids: mapping(uids), gids: mapping(gids), deny_setgroups: b.users.no_groups, helpers };
    b.host(Step::Namespaces, op, "only a process outside may say who the users inside are (user_namespaces(7))");
    b.host(Step::Namespaces, Sync::TellMapped, "now there is a root in the new user namespace");
    Ok(())
}

/// newuidmap(1) and newgidmap(1): the process id, which is not known yet, then the mapping.
fn helper(name: &str, mappings: &[IdMapping]) -> Result<Hook, Problem> {
    let bad = |p: &str| problem("/linux/uidMappings", p);
    let mut argv: Vec<CString> = alloc::vec![c(name).map_err(bad)?];
    for m in mappings {
        for number in [m.container_id, m.host_id, m.size] {
            argv.push(c(&format!("{number}")).map_err(bad)?);
        }
    }
    Ok(Hook {
        path: c(&format!("/usr/bin/{name}")).map_err(bad)?,
        argv,
        envp: Some(Vec::new()),
        home: false,
        cwd: None,
        timeout: None,
        state: Default::default(),
    })
}
