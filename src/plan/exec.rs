//! What `exec` does: one more process in a container that is there. The same lanes as `create`'s, and nothing is made but
//! the process. May touch: types and tables.
//!
//! ```text
//!   usually     host ── setns(pid) ── clone3(into the cgroup) ─► init ── setns(all others at once) ── execve
//!   no root     host ── clone3 ─► bridge ── setns(all at once) ── clone3(CLONE_PARENT, into the cgroup) ─► init
//! ```
//! The kernel puts only children into another pid namespace, so the host joins that one itself: it has just the one child.
//! Without root that takes the container's user namespace, which nobody comes back from: then a bridge does it.

use super::create::{has_home, home, pass_listener, path, pid_file, place_pid_file};
use super::op::{Born, Cgroup, Namespaces, Plan, Rootfs, Slot, Sync};
use super::{Builder, Step, Users, Wish, callers, cgroup::scope, namespaces, process, system, terminal, whole};
use crate::spec::{Problem, Spec};
use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

/// What there is to join.
pub struct Joined {
    /// The container's namespaces, in clone(2)'s flags.
    pub namespaces: u32,
    /// The scope that systemd has to move the process into; by itself it may not go there.
    pub scope: Option<scope::Scope>,
}

/// The plan of `exec`. `spec` is the container's, its process the one that is wanted.
pub fn exec(spec: &Spec, wish: &Wish, joined: Joined) -> Result<Plan, Problem> {
    let plan = Plan {
        slots: Slot::FIRST_FREE,
        host: Vec::with_capacity(16),
        bridge: Vec::new(),
        init: Vec::with_capacity(24),
    };
    let users = Users::of(spec, wish)?;
    let mut b = Builder::new(spec, wish, plan, users);
    system::modules(&mut b);
    before(&mut b)?;
    clone(&mut b, joined);
    if let Some(affinity) = &spec.process.exec_cpu_affinity
        && let Some(op) = system::affinity(&affinity.last)
    {
        b.from = "/process/execCPUAffinity/final".into();
        b.init(op, "in its cgroup it may use these processors, and no others");
    }
    process::begin(&mut b)?;
    terminal::open(&mut b, None)?;
    system::oom_score(&mut b);
    process::privileges(&mut b)?;
    process::program(&mut b)?;
    after(&mut b)?;
    let mut plan = b.done();
    // A life of its own, with a heading of its own.
    let lanes = [&mut plan.host, &mut plan.bridge, &mut plan.init];
    lanes.into_iter().flatten().for_each(|line| line.step = Step::Exec);
    whole(plan)
}

/// Host: what has to be known or held before the clone.
fn before(b: &mut Builder) -> Result<(), Problem> {
    let foreign = b.users.foreign();
    let score = b.spec.process.oom_score_adj.filter(|_| foreign);
    let labels = !b.spec.process.selinux_label.is_empty();
    let (look, enter) = (!has_home(b.spec), b.shares_mounts());
    if score.is_some() || look || enter || labels {
        namespaces::host_proc(b);
    }
    if let (Some(first), true) = (b.wish.joins, look || enter) {
        let path = path("", &format!("{first}/root"))?;
        let why = match enter {
            true => "without a mount namespace the container's root is that of its first process",
            false => "/etc/passwd is the container's, and lies there",
        };
        b.host(Step::Exec, Rootfs::LookInside { path, enter }, why);
    }
    if b.wish.joins.is_some() && look {
        home(b);
    }
    if let Some(affinity) = &b.spec.process.exec_cpu_affinity
        && let Some(op) = system::affinity(&affinity.initial)
    {
        b.from = "/process/execCPUAffinity/initial".into();
        b.host(Step::Exec, op, "so that the way into the cgroup disturbs no processor but these");
    }
    terminal::before(b, Step::Exec)?;
    callers::before(b, Step::Exec)?;
    namespaces::channel(b);
    if let Some(score) = score {
        namespaces::oom_score(b, score);
    }
    process::raise_limits(b)?;
    b.from = Default::default();
    namespaces::signals(b);
    Ok(())
}

/// All lanes: the way in.
fn clone(b: &mut Builder, joined: Joined) {
    b.step = Step::Exec;
    b.from = "/linux/namespaces".into();
    let [pid, cgroup_namespace] = [libc::CLONE_NEWPID, libc::CLONE_NEWCGROUP].map(|n| n as u32);
    let all = joined.namespaces;
    let cgroup = b.wish.cgroup && joined.scope.is_none();
    let bridge = b.users.inside && all & pid != 0;
    b.init(Sync::CloseHostEnd, "held here too, it would never end when the host does");
    let once = "one call, by the handle: all of them are the same process's, or none is joined";
    let (born, clone) = match cgroup {
        true => (Born::InCgroup, "the new process begins in the container's cgroup, and never is anywhere else"),
        false => (Born::Outside, "the process that becomes the program"),
    };
    let rest = match bridge {
        false => all & !pid,
        true => {
            b.init(Namespaces::JoinContainer { flags: all & !cgroup_namespace }, once);
            b.plan.bridge.append(&mut b.plan.init);
            let flags = libc::CLONE_PARENT as u64;
            b.bridge(Namespaces::Clone { flags, born }, clone);
            b.bridge(Sync::TellInit, "the host learns the number of its child, and this process has done its part");
            all & cgroup_namespace
        }
    };
    if rest != 0 {
        let why = match bridge {
            false => once,
            // The kernel lets nobody into a cgroup that lies outside of his cgroup namespace.
            true => "last, for from inside it nobody comes from one cgroup into another",
        };
        b.init(Namespaces::JoinContainer { flags: rest }, why);
    }
    if b.shares_mounts() {
        b.init(Rootfs::Chroot, "no namespace brings the container's root: it is entered by itself");
    }
    if b.users.new || b.users.joined {
        namespaces::root_inside(b);
    }
    b.from = "/linux/namespaces".into();
    if bridge {
        b.host(
            Step::Exec,
            Namespaces::CloneBridge { flags: 0 },
            "a stepping stone: whoever enters the user namespace cannot come back",
        );
        b.host(Step::Exec, Sync::AwaitInit, "the bridge makes init as a child of ours, and ends");
    } else {
        if all & pid != 0 {
            b.host(
                Step::Exec,
                Namespaces::JoinContainer { flags: pid },
                "not this process, but its children from now on are in it (setns(2))",
            );
        }
        b.host(Step::Exec, Namespaces::Clone { flags: 0, born }, clone);
    }
    if let Some(scope) = joined.scope {
        b.from = "/linux/cgroupsPath".into();
        b.host(
            Step::Exec,
            Cgroup::JoinScope(Box::new(scope)),
            "only systemd may move it from a session's cgroup into one of its own",
        );
    }
}

/// Host: what follows the clone.
fn after(b: &mut Builder) -> Result<(), Problem> {
    let last = process::filter_is_last(b.spec);
    if !last {
        pass_listener(b, "running")?;
    }
    b.from = Default::default();
    pid_file(b)?;
    terminal::after(b, Step::Exec);
    b.from = Default::default();
    callers::after(b, Step::Exec);
    b.plan.host.append(&mut b.before_go);
    b.host(Step::Exec, Sync::TellGo, "all is noted: from here on it may live without us");
    if last {
        pass_listener(b, "running")?;
    }
    b.from = Default::default();
    b.host(Step::Exec, Sync::AwaitExec, "the close-on-exec end of the channel closes when execve succeeds");
    place_pid_file(b)
}
