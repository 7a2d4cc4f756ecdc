//! The container's cgroup: made here or by systemd, and what is written into it. May touch: plan types, system calls,
//! the cgroup hierarchy.

use super::{Lanes, namespaces};
use crate::host::cgroup::{self, Obstacle};
use crate::host::{dbus, patience, systemd};
use crate::outcome::{Check, Done, Lane, Stopped, Trouble};
use crate::plan::cgroup::scope::Scope;
use crate::plan::op::{Cgroup, Op};
use crate::plan::{Line, Slot};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, CloneFlags, Errno, Fd, OpenFlags, WaitFlags, Why};

pub fn perform(lanes: &mut Lanes, op: &Cgroup, line: &Line) -> Done {
    let why = line.why;
    let group = lanes.has(Slot::CGROUP).then(|| lanes.at(Slot::CGROUP));
    match op {
        Cgroup::Make { parents, path, optional } => match make(lanes, line, parents, path) {
            Err(Trouble::Call(failed)) if *optional && not_ours(failed.errno) => {}
            Err(Trouble::Check(Check::NoCgroup2)) if *optional => {}
            made => made?,
        },
        Cgroup::StartScope { scope, path } => start_scope(lanes, scope, path, why)?,
        Cgroup::JoinScope(scope) => {
            let asked = systemd::attach(scope, lanes.pid);
            listen(lanes, asked)?
        }
        Cgroup::ReleaseScope => release(lanes, why)?,
        Cgroup::SetScope { unit, sockets, properties } => {
            let asked = systemd::set(unit, sockets, properties);
            listen(lanes, asked)?
        }
        Cgroup::EnableControllers { above, needed } => {
            // A container without limits may be without a cgroup.
            if let (Some(root), Some(group)) = (&lanes.cgroup_root, group) {
                lanes.controllers = cgroup::enable(group, root.at(), above, needed, why)?;
            }
        }
        Cgroup::NeedController { above, name } => {
            if let (Some(root), false) = (&lanes.cgroup_root, lanes.controllers) {
                cgroup::need(root.at(), above, name, why)?;
            }
        }
        Cgroup::Set { setting } => cgroup::set(lanes.at(Slot::CGROUP), setting, why)?,
        Cgroup::Give { uid, gid } => {
            if let Some(group) = group {
                cgroup::give(group, *uid, *gid, why)?;
            }
        }
    }
    Ok(())
}

fn make(lanes: &mut Lanes, line: &Line, parents: &[CString], path: &CStr) -> Done {
    let root = cgroup::open_root()?.ok_or(Trouble::Check(Check::NoCgroup2))?;
    let named = !line.from.is_empty();
    let mut made = 0;
    let group = cgroup::make(root.at(), parents, path, &mut made, line.why);
    // Noted before an error returns: the cgroups that were made have to be removed.
    lanes.cgroup_made = made;
    let root = lanes.cgroup_root.insert(root).at();
    let group = group?;
    if named || made == 0 {
        free(group.at())?;
    }
    lanes.put(Slot::CGROUP, group);
    if made == 0 && !named {
        // The cgroup is empty, and only this program gives such names: its container is gone, with its state.
        lanes.cgroup_made = 1;
        let why = Why("the empty cgroup has the settings of a container that is gone: they must not hold for this one");
        cgroup::remove(root, &[], path)?;
        let group = cgroup::make(root, &[], path, &mut lanes.cgroup_made, why)?;
        lanes.put(Slot::CGROUP, group);
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

/// The errors of a hierarchy that was not delegated to this user.
fn not_ours(errno: Errno) -> bool {
    [Errno::EACCES, Errno::EPERM, Errno::EROFS, Errno::ENOENT].contains(&errno)
}

/// Has systemd start the scope, and opens its cgroup.
fn start_scope(lanes: &mut Lanes, scope: &Scope, path: &CStr, why: Why) -> Done {
    let root = cgroup::open_root()?.ok_or(Trouble::Check(Check::NoCgroup2))?;
    let (holder, pid) = namespaces::holder(CloneFlags::NONE, Why("a scope begins with a process"))?;
    lanes.holder = Some(holder);
    let asked = systemd::start(scope, pid);
    listen(lanes, asked)?;
    lanes.scope = true;
    let flags = OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW;
    let group = syscalls::openat(root.at(), path, flags, why)?;
    // Only the holder is in it.
    if cgroup::obstacle(group.at())? == Some(Obstacle::Frozen) {
        return Err(Trouble::Check(Check::CgroupFrozen));
    }
    lanes.cgroup_made = 1;
    lanes.put(Slot::CGROUP, group);
    lanes.cgroup_root = Some(root);
    Ok(())
}

/// An error message of systemd is kept for the report.
fn listen<T>(lanes: &mut Lanes, asked: Result<T, dbus::Trouble>) -> Done<T> {
    asked.map_err(|trouble| match trouble {
        dbus::Trouble::Call(failed) => Trouble::Call(failed),
        dbus::Trouble::Said(text) => {
            lanes.said = text;
            Trouble::Check(Check::Systemd)
        }
    })
}

/// Ends the holder of the scope by a message. To close our end would not do: init has a copy of it, and may itself wait
/// for this process.
fn release(lanes: &mut Lanes, why: Why) -> Done {
    let Some([end, holder]) = &lanes.holder else {
        return Ok(());
    };
    syscalls::send(end.at(), &[0], why)?;
    let why = Why("a process is gone only after a wait for it");
    syscalls::waitid_pidfd(holder.at(), WaitFlags::NONE, why)?;
    lanes.holder = None;
    Ok(())
}

/// If the kernel killed init for its use of memory, the line that set the limit is what stopped it.
pub fn blame_limit(lanes: &Lanes, stopped: Stopped) -> Stopped {
    let of_memory = |line: &Line| match &line.op {
        Op::Cgroup(Cgroup::Set { setting }) => setting.file.as_c_str() == c"memory.max",
        _ => false,
    };
    let limit = lanes.plan.host.iter().position(of_memory);
    match (&stopped.trouble, limit) {
        (Trouble::Check(Check::InitVanished), Some(at)) if cgroup::oom_kills(lanes.at(Slot::CGROUP)) > 0 => {
            Stopped { lane: Lane::Host, line: at as u16 + 1, trouble: Trouble::Check(Check::OutOfMemory) }
        }
        _ => stopped,
    }
}

/// Ends the holder of a scope that was not released. Init is gone by now, so this is the last copy of the end.
pub fn end_holder(lanes: &mut Lanes) {
    if let Some([end, holder]) = lanes.holder.take() {
        let _ = end.close(Why("the holder of the scope ends when this end is closed"));
        let why = Why("in a frozen cgroup the holder cannot see that the other end was closed");
        let _ = syscalls::pidfd_send_signal(holder.at(), libc::SIGKILL, why);
        patience::ended(&holder);
    }
}

/// Removes what a line has made: the cgroup with its new parents, or the scope.
pub fn undo(lanes: &Lanes, op: &Cgroup, root: Option<&Fd>) {
    match (op, root) {
        (Cgroup::Make { parents, path, .. }, Some(root)) if lanes.cgroup_made > 0 => {
            let kept = parents.len().saturating_sub(lanes.cgroup_made - 1);
            let made = parents.get(kept..).unwrap_or_default();
            if cgroup::remove(root.at(), made, path).is_err() {
                // Without a pid namespace, what init has started lives on.
                let _ = cgroup::kill(root.at(), path);
                let _ = cgroup::remove(root.at(), made, path);
            }
        }
        (Cgroup::StartScope { scope, .. }, _) if lanes.scope => {
            let _ = systemd::stop(&scope.unit, &scope.sockets);
        }
        _ => {}
    }
}
