//! config.json's `linux.namespaces`, `uidMappings`, `gidMappings` and `timeOffsets`: what init is born into, and
//! which process has to make it (namespaces(7), user_namespaces(7), time_namespaces(7)). May touch: types and tables.
//!
//! ```text
//!   usually     host ── clone3(all new) ────────────────► init ── setns(what is joined)
//!   a bridge    host ── clone3 ─► bridge ── setns, unshare ── clone3(CLONE_PARENT) ─► init, the host's child
//!   new ids     host writes uid_map and gid_map of the first process in the new user namespace, which waits
//! ```
//! A bridge is needed where the kernel moves a process's children only, not itself: into a pid namespace that is
//! there, into a new time namespace; and to be in a user namespace before the others are made in it.

use super::builder::Builder;
use super::cgroup;
use super::mark::Mark;
use super::op::{Born, Namespaces, Slot};
use super::order::{Bridge, Host, Init};
use super::text::c;
use crate::spec::{NamespaceKind, Problem, Spec, escaped, sysctl_kind, sysctl_path};
use syscalls::CloneFlags;

const AT: &str = "/linux/namespaces";

/// `create`: new namespaces are made, the others joined, and all get names and settings.
pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    open(b)?;
    // Without privileges the user namespace comes first: only inside it can others be joined. With privileges it comes
    // last: inside it, the host's namespaces can no longer be joined.
    let user_first = b.users.inside;
    join(b, user_first);
    join(b, !user_first);
    time(b);
    clone(b);
    cgroup_namespace(b);
    names(b);
    sysctl(b)
}

/// A kind's bit for clone3, unshare and setns.
pub fn flag(kind: &NamespaceKind) -> CloneFlags {
    match kind {
        NamespaceKind::Cgroup => CloneFlags::CLONE_NEWCGROUP,
        NamespaceKind::Ipc => CloneFlags::CLONE_NEWIPC,
        NamespaceKind::Mount => CloneFlags::CLONE_NEWNS,
        NamespaceKind::Network => CloneFlags::CLONE_NEWNET,
        NamespaceKind::Pid => CloneFlags::CLONE_NEWPID,
        NamespaceKind::Time => CloneFlags::CLONE_NEWTIME,
        NamespaceKind::User => CloneFlags::CLONE_NEWUSER,
        NamespaceKind::Uts => CloneFlags::CLONE_NEWUTS,
        NamespaceKind::Unknown(_) => CloneFlags::NONE,
    }
}

/// Where config.json asks for a namespace.
pub fn pointer(spec: &Spec, kind: &NamespaceKind) -> String {
    let at = spec.linux.namespaces.iter().position(|n| n.kind == *kind);
    at.map_or(String::new(), |i| format!("{AT}/{i}"))
}

/// Host: the namespaces that are joined, opened before anything is made.
fn open(b: &mut Builder) -> Result<(), Problem> {
    for (i, slot) in b.joined.clone() {
        let namespace = &b.spec.linux.namespaces[i];
        let from = format!("{AT}/{i}/path");
        let op = Namespaces::Open {
            path: c(&from, namespace.joined().unwrap_or(""))?,
            kind: namespace.kind.word(),
            changed: changed(b.spec, &namespace.kind),
            slot,
        };
        let why = "opened before anything is made: setns takes a descriptor, and a bad path is found early";
        b.host(Host::Joined, &from, op, why);
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

/// One line for each namespace that is joined: the user namespace, or all others.
fn join(b: &mut Builder, user: bool) {
    for (i, slot) in b.joined.clone() {
        let kind = &b.spec.linux.namespaces[i].kind;
        if (*kind == NamespaceKind::User) != user {
            continue;
        }
        let from = format!("{AT}/{i}/path");
        let op = Namespaces::Join { slot, kind: kind.word(), flags: flag(kind) };
        let why = "the configuration has the container share this namespace";
        match b.bridged {
            true => b.bridge(Bridge::Join, &from, op, why),
            false => b.init(Init::Join, &from, op, why),
        }
    }
}

/// A new time namespace: its clocks can be set until a process lives in it.
fn time(b: &mut Builder) {
    if !b.new_namespace(NamespaceKind::Time) {
        return;
    }
    let from = pointer(b.spec, &NamespaceKind::Time);
    let flags = CloneFlags::CLONE_NEWTIME;
    let why = "the kernel puts only the children of this process into it (time_namespaces(7))";
    b.bridge(Bridge::Time, &from, Namespaces::Unshare { flags }, why);
    let mut text = String::new();
    for (clock, offset) in &b.spec.linux.time_offsets.0 {
        text.push_str(&format!("{clock} {} {}\n", offset.secs, offset.nanosecs));
    }
    if text.is_empty() {
        return;
    }
    b.host_proc();
    let (path, text) = (c"self/timens_offsets".into(), text.into_bytes());
    let op = Namespaces::WriteProc { base: Slot::HOST_PROC, path, text };
    let why = "the kernel lets the clocks be set only while no process is in the namespace";
    b.bridge(Bridge::Time, "/linux/timeOffsets", op, why);
}

/// Whether the clone makes the cgroup namespace. Its root is the cgroup that the process is born into (the kernel's
/// cgroup_post_fork), or the caller's where the container has none. Into a scope init may be moved later.
fn cgroup_by_clone(b: &Builder) -> bool {
    !b.wish.cgroup || b.wish.manager.is_none() && cgroup::born(b) != Born::Outside
}

/// In a scope init makes the namespace itself: the cgroup where it is then becomes the root.
fn cgroup_namespace(b: &mut Builder) {
    if b.new_namespace(NamespaceKind::Cgroup) && !cgroup_by_clone(b) {
        let from = pointer(b.spec, &NamespaceKind::Cgroup);
        let op = Namespaces::Unshare { flags: CloneFlags::CLONE_NEWCGROUP };
        let why = "the scope becomes the root that it sees: a namespace made by the clone could begin elsewhere";
        b.init(Init::CgroupNamespace, &from, op, why);
    }
}

macro_rules! made {
    ($and:literal) => {
        concat!("one call makes the process and all its new namespaces; ", $and)
    };
}

/// Why init gets a copy of the runtime's memory, and does not share it until its execve. What ends or changes a process that
/// shares its memory can reach the other, and who can look into the one can change both.
fn copied(b: &Builder, flags: CloneFlags) -> Option<&'static str> {
    let (process, linux, hooks) = (&b.spec.process, &b.spec.linux, &b.spec.hooks);
    let joined = |kind: &NamespaceKind| b.joined.iter().any(|(i, _)| linux.namespaces[*i].kind == *kind);
    if b.wish.watch.is_some() || b.wish.stepped {
        return Some(made!("its memory is a copy, since a tracer or a person stops it"));
    }
    // A process that `exec` brings in early may trace init with this capability (ptrace(2), "access mode checking").
    let traces = |held: &[String]| held.iter().any(|name| name == "CAP_SYS_PTRACE");
    let held = &process.capabilities;
    let seen = !flags.has(CloneFlags::CLONE_NEWPID) || !flags.has(CloneFlags::CLONE_NEWNS);
    let seen = seen || traces(&held.bounding) || traces(&held.permitted);
    if seen || !hooks.create_container.is_empty() || !hooks.start_container.is_empty() {
        return Some(made!("its memory is a copy, since other processes of the container could look into it"));
    }
    // setns(2): "A multithreaded process may not change user namespace", nor the time namespace: the kernel counts what shares
    // the memory.
    if b.bridged || flags.has(CloneFlags::CLONE_NEWUSER) || joined(&NamespaceKind::User) || joined(&NamespaceKind::Time)
    {
        return Some(made!("its memory is a copy, since a user or time namespace is for one process"));
    }
    // With fs.suid_dumpable=1 they may, once it has their user (proc_sys_fs(5)).
    if process.user.uid != 0 {
        return Some(made!("its memory is a copy, since processes of the program's user could look into it"));
    }
    let limited =
        linux.resources.memory.limit.is_some() || linux.resources.unified.keys().any(|key| key.starts_with("memory."));
    let elsewhere = linux.cgroups_path.is_some() || b.wish.manager.is_some() || !b.wish.cgroup_base.is_empty();
    if b.wish.cgroup && (limited || elsewhere) {
        return Some(made!("its memory is a copy, since a kill for want of memory ends all that share it"));
    }
    // The kernel gives the score to all of them (proc_pid_oom_score_adj(5); its __set_oom_adj).
    if process.oom_score_adj.is_some() {
        return Some(made!("its memory is a copy, since an OOM score is for all that share it"));
    }
    None
}

/// Whether all that host and init say to each other is how far they are: words of the memory that they share tell it. What
/// moves devices, runs hooks or passes a listener meanwhile needs a channel, and a filter that is loaded before the last word
/// could refuse the wait for it.
fn few_words(b: &Builder) -> bool {
    let (process, linux, hooks) = (&b.spec.process, &b.spec.linux, &b.spec.hooks);
    let hooked = !hooks.prestart.is_empty() || !hooks.create_runtime.is_empty();
    let filtered = linux.seccomp.as_ref().is_some_and(|s| !process.no_new_privileges || s.listener_path.is_some());
    !hooked && !filtered && linux.net_devices.0.is_empty() && b.wish.manager.is_none()
}

/// The clone with all new namespaces at once.
fn clone(b: &mut Builder) {
    let user_outside = b.bridged && b.users.inside;
    let elsewhere = |kind: &NamespaceKind| match kind {
        NamespaceKind::Time => true,
        NamespaceKind::Cgroup => !cgroup_by_clone(b),
        NamespaceKind::User => user_outside,
        _ => false,
    };
    let new = b.spec.linux.namespaces.iter().filter(|n| n.joined().is_none() && !elsewhere(&n.kind));
    let flags = new.fold(CloneFlags::NONE, |flags, n| flags | flag(&n.kind));
    let born = cgroup::born(b);
    let (flags, why) = match copied(b, flags) {
        None => {
            b.words = few_words(b);
            let cleared = if b.words { CloneFlags::CLONE_CHILD_CLEARTID } else { CloneFlags::NONE };
            let shared = flags | CloneFlags::CLONE_VM | cleared;
            (shared, made!("until its execve it shares our memory: nothing is copied"))
        }
        Some(why) => (flags, why),
    };
    let mark = Mark::NoCgroup.when(flags.has(CloneFlags::CLONE_NEWCGROUP) && !b.wish.cgroup);
    if !b.bridged {
        b.marked(mark, |b| b.host(Host::Clone, AT, Namespaces::Clone { flags, born }, why));
        return;
    }
    let flags = flags | CloneFlags::CLONE_PARENT;
    b.marked(mark, |b| b.bridge(Bridge::Clone, AT, Namespaces::Clone { flags, born }, why));
    let flags = if b.users.inside && b.users.new { CloneFlags::CLONE_NEWUSER } else { CloneFlags::NONE };
    let why = "a bridge, since the kernel puts only the children of a process into these namespaces";
    let mark = Mark::NoRoot.when(flags != CloneFlags::NONE);
    b.marked(mark, |b| b.host(Host::Clone, AT, Namespaces::CloneBridge { flags }, why));
}

/// `exec`: the clone, and the way into the container's namespaces.
///
/// ```text
///   usually     host ── setns(pid) ── clone3(into the cgroup) ─► init ── setns(all others at once) ── execve
///   no root     host ── clone3 ─► bridge ── setns(all at once) ── clone3(CLONE_PARENT, into the cgroup) ─► init
/// ```
/// The kernel puts only children into another pid namespace, so the host joins that one itself: it has just the one
/// child. Without root that takes the container's user namespace, and no process comes back from there: then a bridge
/// does it.
pub fn join_container(b: &mut Builder) {
    let Some(all) = b.wish.joins.as_ref().map(|joined| joined.namespaces) else {
        return;
    };
    let [pid, cgroup] = [CloneFlags::CLONE_NEWPID, CloneFlags::CLONE_NEWCGROUP];
    let once = "one call on a handle: all namespaces are those of one process, or none is joined";
    let born = cgroup::born(b);
    let clone = match born {
        Born::Outside => "this process becomes the program",
        _ => "the new process begins in the container's cgroup, so that it is never outside the limits",
    };
    let (rest, why) = match b.bridged {
        false => (all.without(pid), once),
        // The kernel lets no process into a cgroup that lies outside of its cgroup namespace.
        true => (
            if all.has(cgroup) { cgroup } else { CloneFlags::NONE },
            "last, since once inside, the kernel allows no move between cgroups outside",
        ),
    };
    if rest != CloneFlags::NONE {
        b.init(Init::Join, AT, Namespaces::JoinContainer { flags: rest }, why);
    }
    if b.bridged {
        b.marked(Mark::NoRoot, |b| {
            b.bridge(Bridge::Join, AT, Namespaces::JoinContainer { flags: all.without(cgroup) }, once);
            b.bridge(Bridge::Clone, AT, Namespaces::Clone { flags: CloneFlags::CLONE_PARENT, born }, clone);
            let why = "a bridge, since a process that enters the user namespace cannot come back";
            b.host(Host::Clone, AT, Namespaces::CloneBridge { flags: CloneFlags::NONE }, why);
        });
        return;
    }
    if all.has(pid) {
        let why = "the kernel puts only the children of this process into it (setns(2))";
        b.host(Host::Clone, AT, Namespaces::JoinContainer { flags: pid }, why);
    }
    b.host(Host::Clone, AT, Namespaces::Clone { flags: CloneFlags::NONE, born }, clone);
}

fn names(b: &mut Builder) {
    if let Some(name) = &b.spec.hostname {
        let why = "a new UTS namespace has the host's name";
        b.init(Init::Names, "/hostname", Namespaces::Hostname { name: name.as_bytes().to_vec() }, why);
    }
    if let Some(name) = &b.spec.domainname {
        let why = "a new UTS namespace has the host's domain";
        b.init(Init::Names, "/domainname", Namespaces::Domainname { name: name.as_bytes().to_vec() }, why);
    }
}

fn sysctl(b: &mut Builder) -> Result<(), Problem> {
    for (key, value) in &b.spec.linux.sysctl {
        let from = format!("/linux/sysctl/{}", escaped(key));
        let base = b.procfs(Init::Settings);
        let path = c(&from, &format!("sys/{}", sysctl_path(key)))?;
        let op = Namespaces::WriteProc { base, path, text: value.as_bytes().to_vec() };
        b.init(Init::Settings, &from, op, "the configuration sets this for a namespace of the container's own");
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../tests/unit/shared_memory.rs"]
mod tests;
