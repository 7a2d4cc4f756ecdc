//! The host lane: what the calling runtime does itself, on both sides of the clone. May touch: plan types, system
//! calls, the cgroup hierarchy.

use super::sync::{self, Report};
use super::{Lanes, caller, home, hooks, listener, namespaces, net_devices, pid_file, process, terminal, trees};
use crate::host::cgroup::{self, Obstacle};
use crate::host::patience;
use crate::host::{dbus, systemd};
use crate::outcome::Lane;
use crate::outcome::{Check, Done, Stopped, Trouble};
use crate::plan::cgroup::scope::Scope;
use crate::plan::op::{
    Born, Cgroup, Devices, Hooks, Labels, Mounts, Namespaces, Network, Op, Process, Rdt, Rootfs, Seccomp, Sync, Users,
};
use crate::plan::{Line, Slot};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, Cloned, Disposition, Errno, SigSet, Why};

/// Walks the host's lines. The init lane runs in the process that the plan's clone makes, and does not come back here.
pub fn walk(lanes: &mut Lanes) -> Result<(), Stopped> {
    let plan = lanes.plan;
    for (i, line) in plan.host.iter().enumerate() {
        let number = i as u16 + 1;
        syscalls::record::at(Lane::Host as u8, number, line.step as u16);
        match perform(lanes, line) {
            Ok(None) => {}
            Ok(Some(stopped)) => return Err(stopped),
            Err(trouble) => {
                return Err(Stopped { lane: Lane::Host, line: number, trouble });
            }
        }
    }
    syscalls::record::at(Lane::Host as u8, 0, 0);
    Ok(())
}

/// Where init was killed for want of memory, the limit is what stopped it.
pub fn blame_limit(lanes: &Lanes, stopped: Stopped) -> Stopped {
    let of_memory = |line: &Line| matches!(&line.op, Op::Cgroup(Cgroup::Set { setting }) if setting.file.as_c_str() == c"memory.max");
    let limit = lanes.plan.host.iter().position(of_memory);
    match (&stopped.trouble, limit) {
        (Trouble::Check(Check::InitVanished), Some(at)) if cgroup::oom_kills(lanes.at(Slot::CGROUP)) > 0 => {
            Stopped { lane: Lane::Host, line: at as u16 + 1, trouble: Trouble::Check(Check::OutOfMemory) }
        }
        _ => stopped,
    }
}

/// Carries out one line. `Some`: the init lane stopped, and said where.
fn perform(lanes: &mut Lanes, line: &Line) -> Done<Option<Stopped>> {
    let why = line.why;
    match &line.op {
        Op::Rootfs(Rootfs::Open { .. }) | Op::Mounts(Mounts::OpenSource { .. }) => trees::open(lanes, line)?,
        Op::Rootfs(Rootfs::Look { path }) => {
            let flags = (libc::O_PATH | libc::O_DIRECTORY) as u32;
            let dir = syscalls::openat(At::CWD, path, flags, "rootfs", why)?;
            lanes.put(Slot::ROOTFS, dir);
        }
        Op::Rootfs(Rootfs::LookInside { path, enter }) => {
            let flags = (libc::O_PATH | libc::O_DIRECTORY) as u32;
            let dir = syscalls::openat(lanes.at(Slot::HOST_PROC), path, flags, "rootfs", why)?;
            lanes.put(Slot::ROOTFS, dir);
            if *enter {
                let why = Why("it lives: the number that was looked up was still its own");
                syscalls::pidfd_send_signal(lanes.at(Slot::CONTAINER), 0, why)?;
            }
        }
        Op::Process(Process::Affinity { cpus }) => syscalls::sched_setaffinity(cpus, why)?,
        Op::Process(Process::RaiseLimit { resource, hard }) => raise_limit(*resource, *hard, why)?,
        Op::Process(Process::Scheduler { attr }) => syscalls::sched_setattr(lanes.pid, attr, why)?,
        Op::Process(Process::IoPriority { value }) => syscalls::ioprio_set(lanes.pid, *value, why)?,
        Op::Namespaces(Namespaces::JoinContainer { flags }) => namespaces::join(lanes, Slot::CONTAINER, *flags, why)?,
        Op::Namespaces(Namespaces::Open { path, kind, changed, slot }) => {
            lanes.put(*slot, namespaces::open(path, kind, *changed, why)?)
        }
        Op::Users(Users::MappingNamespace { uids, gids, slot }) => {
            let namespace = namespaces::mapping(lanes.at(Slot::HOST_PROC), uids, gids, why)?;
            lanes.put(*slot, namespace);
        }
        Op::Namespaces(Namespaces::OpenHostProc) => lanes.put(Slot::HOST_PROC, crate::host::procfs::open()?),
        Op::Labels(Labels::SecurityModule { selinux }) => namespaces::security_module(*selinux, why)?,
        Op::Rdt(Rdt::Make { group, schemata, monitor }) => {
            let own = line.from == crate::plan::OWN_RESCTRL;
            let dir = namespaces::resctrl(group, own, why)?;
            lanes.resctrl = own;
            namespaces::resctrl_share(&dir, schemata, monitor.as_deref(), why)?
        }
        Op::Rdt(Rdt::Join { group, monitor }) => namespaces::resctrl_join(lanes.pid, group, monitor.as_deref(), why)?,
        Op::Hooks(Hooks::Output) => {
            let dir = lanes.at(Slot::STATE);
            let flags = (libc::O_WRONLY | libc::O_APPEND | libc::O_NOFOLLOW) as u32;
            let file = syscalls::openat_create(dir, sync::OUTPUT, flags, 0o600, "hook output", why)?;
            lanes.put(Slot::HOOK_OUTPUT, file);
        }
        Op::Namespaces(Namespaces::CloneBridge { flags }) => namespaces::clone_bridge(lanes, *flags, why)?,
        Op::Users(Users::MapIds { uids, gids, deny_setgroups, helpers }) => {
            namespaces::map_ids(lanes, uids, gids, *deny_setgroups, helpers.as_deref(), why)?
        }
        Op::Sync(Sync::AwaitInit) => {
            if let Some(stopped) = namespaces::await_init(lanes, why)? {
                return Ok(Some(stopped));
            }
        }
        Op::Sync(Sync::TellMapped)
        | Op::Sync(Sync::TellPlaced)
        | Op::Sync(Sync::TellHooked)
        | Op::Sync(Sync::TellMoved)
        | Op::Sync(Sync::TellGo) => sync::tell(lanes, why)?,
        Op::Users(Users::Dumpable { dumpable }) => process::dumpable(*dumpable, why)?,
        Op::Namespaces(Namespaces::WriteProc { base, path, text }) => {
            namespaces::write_proc(lanes.at(*base), path, text, why)?
        }
        Op::Hooks(Hooks::Run { hook }) => {
            let given = hooks::Given { pid: lanes.pid, output: lanes.at(Slot::HOOK_OUTPUT), home: None };
            hooks::run(hook, given, &mut lanes.hook_room, Lane::Hook, why)?
        }
        Op::Cgroup(Cgroup::Make { parents, path, optional }) => match make_cgroup(lanes, line, parents, path) {
            Err(Trouble::Call(failed)) if *optional && not_ours(failed.errno) => {}
            Err(Trouble::Check(Check::NoCgroup2)) if *optional => {}
            made => made?,
        },
        Op::Cgroup(Cgroup::StartScope { scope, path }) => start_scope(lanes, scope, path, why)?,
        Op::Cgroup(Cgroup::JoinScope(scope)) => {
            let asked = systemd::attach(scope, lanes.pid);
            listen(lanes, asked)?
        }
        Op::Cgroup(Cgroup::ReleaseScope) => release(lanes, why)?,
        Op::Cgroup(Cgroup::SetScope { unit, sockets, properties }) => {
            let asked = systemd::set(unit, sockets, properties);
            listen(lanes, asked)?
        }
        Op::Cgroup(Cgroup::EnableControllers { above, needed }) => {
            // A container without limits may be without a cgroup.
            if let (Some(root), true) = (&lanes.cgroup_root, lanes.has(Slot::CGROUP)) {
                let group = lanes.at(Slot::CGROUP);
                lanes.controllers = cgroup::enable(group, root.at(), above, needed, why)?;
            }
        }
        Op::Cgroup(Cgroup::NeedController { above, name }) if !lanes.controllers => {
            if let Some(root) = &lanes.cgroup_root {
                cgroup::need(root.at(), above, name, why)?;
            }
        }
        Op::Cgroup(Cgroup::Set { setting }) => cgroup::set(lanes.at(Slot::CGROUP), setting, why)?,
        Op::Cgroup(Cgroup::Give { uid, gid }) if lanes.has(Slot::CGROUP) => {
            cgroup::give(lanes.at(Slot::CGROUP), *uid, *gid, why)?
        }
        Op::Devices(Devices::Program { program }) => {
            let loaded = cgroup::load_decider(program, why).map_err(|refused| {
                lanes.said = refused.said;
                refused.failed
            })?;
            let why = Why("it decides for this cgroup and all below it, beside what decides above");
            syscalls::bpf_prog_attach_device(lanes.at(Slot::CGROUP), loaded.at(), None, why)?;
            lanes.put(Slot::PROGRAM, loaded);
        }
        Op::Mounts(Mounts::OpenCgroup { attributes, tree }) => {
            let group = lanes.has(Slot::CGROUP).then(|| lanes.at(Slot::CGROUP));
            lanes.put(*tree, trees::cgroups(group, attributes, why)?);
        }
        Op::Sync(Sync::Channel) => {
            let (host, init) = syscalls::socketpair(why)?;
            lanes.put(Slot::CHANNEL, host);
            lanes.put(Slot::INIT_END, init);
        }
        Op::Sync(Sync::StartFifos) => {
            for (slot, name) in [(Slot::START, sync::START), (Slot::REPORT, sync::REPORT)] {
                syscalls::mknodat(lanes.at(Slot::STATE), name, libc::S_IFIFO | 0o600, why)?;
                let why =
                    Why("opened for both directions, a fifo neither waits for a partner nor ends with one (fifo(7))");
                let fifo = syscalls::openat(
                    lanes.at(Slot::STATE),
                    name,
                    (libc::O_RDWR | libc::O_NOFOLLOW) as u32,
                    "start fifo",
                    why,
                )?;
                lanes.put(slot, fifo);
            }
        }
        Op::Process(Process::HoldSignals) => {
            lanes.signals = Some(syscalls::rt_sigprocmask(SigSet::HELD, why)?);
        }
        Op::Process(Process::LookAtSignals) => {
            lanes.ignored = crate::host::procfs::ignored_signals(why)?;
            if lanes.signals.is_some() && lanes.ignored.has(libc::SIGCHLD) {
                let why = Why("an ignored SIGCHLD would let the kernel throw away the program's status (wait(2))");
                syscalls::rt_sigaction(libc::SIGCHLD, Disposition::Default, why)?;
            }
        }
        Op::Rootfs(Rootfs::LookUpHome { uid }) => lanes.home = Some(home::look_up(lanes.at(Slot::ROOTFS), *uid, why)?),
        Op::Namespaces(Namespaces::Clone { flags, born }) => clone(lanes, *flags, *born != Born::Outside, why)?,
        Op::Sync(Sync::SaveState { parts, configuration }) => {
            let name = [c"state.json", c"state.json.new"];
            save_state(lanes, name, parts, configuration, why)?
        }
        Op::Sync(Sync::NoteCreating { parts }) => {
            let name = [sync::CREATING, c"state.json.new"];
            save_state(lanes, name, parts, b"{}", why)?
        }
        Op::Sync(Sync::AwaitReady) | Op::Sync(Sync::AwaitMounted) | Op::Sync(Sync::AwaitAsk) => {
            if let Some(stopped) = sync::await_ready(lanes, why)? {
                return Ok(Some(stopped));
            }
        }
        Op::Seccomp(Seccomp::PassListener { path, document }) => {
            // Where init has stopped, the next line that waits for it says why.
            if let Some(number) = listener::offered(lanes.at(Slot::CHANNEL), why)? {
                let to = listener::To { path, document };
                listener::pass(lanes.at(Slot::INIT), number, to, lanes.pid, why)?;
            }
        }
        Op::Terminal(op) => terminal::perform(lanes, op, why)?,
        Op::Callers(op) => caller::perform(lanes, op, why)?,
        Op::Network(Network::Socket) => lanes.put(Slot::ROUTE, syscalls::socket_route(why)?),
        Op::Network(Network::Read { device, name }) => net_devices::read(lanes, device, name, why)?,
        Op::Network(Network::Move { number, .. }) => net_devices::hand_over(lanes, *number, why)?,
        Op::Sync(Sync::AwaitExec) => {
            if let Some(stopped) = sync::await_exec(lanes, why)? {
                return Ok(Some(stopped));
            }
        }
        // The other ops are the init lane's, and the planner puts none of them here.
        _ => {}
    }
    Ok(None)
}

fn make_cgroup(lanes: &mut Lanes, line: &Line, parents: &[CString], path: &CStr) -> Done {
    let root = cgroup::open_root()?.ok_or(Trouble::Check(Check::NoCgroup2))?;
    let named = !line.from.is_empty();
    let mut made = 0;
    let group = cgroup::make(root.at(), parents, path, &mut made, line.why);
    // Kept first: what was made before it failed has to be removed.
    lanes.cgroup_made = made;
    let root = lanes.cgroup_root.insert(root).at();
    let group = group?;
    if named || made == 0 {
        free(group.at())?;
    }
    lanes.put(Slot::CGROUP, group);
    if made == 0 && !named {
        // An empty one of a name that this program gives: its container is gone, and the state of that is lost.
        lanes.cgroup_made = 1;
        let why = Why("an empty cgroup that a lost container left has settings of that one");
        return renew(lanes, root, path, why);
    }
    Ok(())
}

/// Whether a container can begin in a cgroup.
fn free(group: At) -> Done {
    match cgroup::obstacle(group)? {
        None => Ok(()),
        Some(Obstacle::Frozen) => Err(Trouble::Check(Check::CgroupFrozen)),
        Some(Obstacle::Populated) => Err(Trouble::Check(Check::CgroupPopulated)),
    }
}

/// Makes a cgroup anew that nothing is in.
fn renew(lanes: &mut Lanes, root: At, path: &CStr, why: Why) -> Done {
    cgroup::remove(root, &[], path)?;
    let group = cgroup::make(root, &[], path, &mut lanes.cgroup_made, why)?;
    lanes.put(Slot::CGROUP, group);
    Ok(())
}

/// The scope, and its cgroup.
fn start_scope(lanes: &mut Lanes, scope: &Scope, path: &CStr, why: Why) -> Done {
    let root = cgroup::open_root()?.ok_or(Trouble::Check(Check::NoCgroup2))?;
    let (holder, pid) = namespaces::holder(Why("a scope begins with a process"))?;
    lanes.holder = Some(holder);
    let asked = systemd::start(scope, pid);
    listen(lanes, asked)?;
    lanes.scope = true;
    let flags = (libc::O_DIRECTORY | libc::O_NOFOLLOW) as u32;
    let group = syscalls::openat(root.at(), path, flags, "cgroup", why)?;
    // The holder is in it.
    if cgroup::obstacle(group.at())? == Some(Obstacle::Frozen) {
        return Err(Trouble::Check(Check::CgroupFrozen));
    }
    lanes.cgroup_made = 1;
    lanes.put(Slot::CGROUP, group);
    lanes.cgroup_root = Some(root);
    Ok(())
}

/// What systemd says instead of an answer is kept for who tells of it.
fn listen<T>(lanes: &mut Lanes, asked: Result<T, dbus::Trouble>) -> Done<T> {
    asked.map_err(|trouble| match trouble {
        dbus::Trouble::Call(failed) => Trouble::Call(failed),
        dbus::Trouble::Said(text) => {
            lanes.said = text;
            Trouble::Check(Check::Systemd)
        }
    })
}

/// The holder of the scope ends. At a word: init has a copy of this end, and may wait for us itself.
fn release(lanes: &mut Lanes, why: Why) -> Done {
    let Some([end, holder]) = &lanes.holder else {
        return Ok(());
    };
    syscalls::send(end.at(), &[0], why)?;
    let why = Why("it is gone when it has been waited for");
    syscalls::waitid_pidfd(holder.at(), 0, why)?;
    lanes.holder = None;
    Ok(())
}

/// Where this process may not raise it, init may not either, and its own line says so.
fn raise_limit(resource: u32, hard: u64, why: Why) -> Done {
    let look = Why("a hard limit that is high enough stays");
    let (soft, most) = syscalls::prlimit64_ask(resource, look)?;
    if most >= hard {
        return Ok(());
    }
    match syscalls::prlimit64(0, resource, soft, hard, why) {
        Err(failed) if failed.errno == Errno::EPERM => Ok(()),
        raised => Ok(raised?),
    }
}

/// What the kernel says of a hierarchy that was not given to this user.
fn not_ours(errno: Errno) -> bool {
    [Errno::EACCES, Errno::EPERM, Errno::EROFS, Errno::ENOENT].contains(&errno)
}

fn clone(lanes: &mut Lanes, flags: u64, cgroup: bool, why: Why) -> Done {
    let into = (cgroup && lanes.has(Slot::CGROUP)).then(|| lanes.at(Slot::CGROUP));
    lanes.cloned[0] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    match process::clone_into(lanes, flags, into, why)? {
        Cloned::Child => {
            syscalls::freeze();
            process::walk(lanes)
        }
        Cloned::Parent { pid, pidfd } => {
            lanes.cloned[1] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
            lanes.pid = pid;
            lanes.put(Slot::INIT, pidfd);
        }
    }
    lanes.close_init_end()
}

/// Writes the state document under a temporary name, then renames it: a reader sees the old one or the new one.
fn save_state(
    lanes: &Lanes,
    [name, before]: [&CStr; 2],
    parts: &[alloc::vec::Vec<u8>; 3],
    configuration: &[u8],
    why: Why,
) -> Done {
    let times = alloc::format!("[{}, {}]", lanes.cloned[0], lanes.cloned[1]);
    let pid = alloc::format!("{}", lanes.pid);
    let made = alloc::format!(",\"cgroup_made\":{}", lanes.cgroup_made);
    let pieces =
        [&parts[0], pid.as_bytes(), &parts[1], times.as_bytes(), made.as_bytes(), &parts[2], configuration, b"}"];
    // The text is one piece: so it is one write, and memory is asked for once.
    let text = pieces.concat();
    super::files::replace(lanes.at(Slot::STATE), name, before, &text, 0o600, why)?;
    Ok(())
}

/// Ends the processes that the lanes made, and takes away what names them.
pub fn end(lanes: &mut Lanes) {
    pid_file::undo(lanes);
    for slot in [Slot::BRIDGE, Slot::INIT] {
        let Some(init) = lanes.take(slot) else {
            continue;
        };
        let why = Why("what could not be created must not live on");
        let _ = syscalls::pidfd_send_signal(init.at(), libc::SIGKILL, why);
        patience::ended(&init);
    }
}

/// Ends a container that could not be made whole: its first process, its cgroup. What is not there is passed over.
pub fn undo(lanes: &mut Lanes) {
    syscalls::record::at(Lane::Host as u8, 0, crate::plan::Step::Delete as u16);
    end(lanes);
    // Init is gone: this is the last copy of the end.
    if let Some([end, holder]) = lanes.holder.take() {
        let _ = end.close(Why("the holder of the scope ends, too"));
        let why = Why("in a frozen cgroup it cannot see that the other end was closed");
        let _ = syscalls::pidfd_send_signal(holder.at(), libc::SIGKILL, why);
        patience::ended(&holder);
    }
    lanes.take(Slot::CGROUP);
    let root = lanes.cgroup_root.take();
    for line in &lanes.plan.host {
        match (&line.op, &root) {
            (Op::Cgroup(Cgroup::Make { parents, path, .. }), Some(root)) if lanes.cgroup_made > 0 => {
                let kept = parents.len().saturating_sub(lanes.cgroup_made - 1);
                let made = parents.get(kept..).unwrap_or_default();
                if cgroup::remove(root.at(), made, path).is_err() {
                    // Without a pid namespace, what init has started lives on.
                    let _ = cgroup::kill(root.at(), path);
                    let _ = cgroup::remove(root.at(), made, path);
                }
            }
            (Op::Cgroup(Cgroup::StartScope { scope, .. }), _) if lanes.scope => {
                let _ = systemd::stop(&scope.unit, &scope.sockets);
            }
            (Op::Rdt(Rdt::Make { group, .. }), _) if lanes.resctrl => {
                namespaces::resctrl_remove(group);
            }
            _ => {}
        }
    }
}

/// What init told, as a stop of its lane.
pub fn stopped(report: Report) -> Stopped {
    Stopped { lane: Lane::Init, line: report.line, trouble: report.trouble }
}
