//! Users and groups, and the mappings of their ids (user_namespaces(7)). May touch: plan types, system calls.

use super::files::{decimal, despite};
use super::vectors::Room;
use super::{Lanes, hooks, namespaces};
use crate::outcome::{Done, Lane};
use crate::plan::op::Users;
use crate::plan::{Hook, Slot};
use alloc::ffi::CString;
use syscalls::{At, CloneFlags, Errno, Fd, OpenFlags, Prctl, WaitFlags, Why};

pub fn perform(lanes: &mut Lanes, op: &Users, why: Why) -> Done {
    match op {
        Users::MappingNamespace { uids, gids, slot } => {
            let namespace = mapping(lanes.at(Slot::HOST_PROC), uids, gids, why)?;
            lanes.put(*slot, namespace);
        }
        Users::MapIds { uids, gids, deny_setgroups, helpers: None } => {
            map(lanes.at(Slot::HOST_PROC), lanes.pid, uids, gids, *deny_setgroups, why)?
        }
        Users::MapIds { helpers: Some(helpers), .. } => helpers.iter().try_for_each(|one| run(lanes, one, why))?,
        Users::Dumpable { dumpable } => {
            syscalls::prctl(Prctl::PR_SET_DUMPABLE, usize::from(*dumpable), why)?;
        }
        // From an id of the host's, or one without a mapping, to the namespace's first user.
        Users::RootInside { uid, gid } => {
            syscalls::setresgid(*gid, why)?;
            syscalls::setresuid(*uid, why)?;
        }
        Users::Groups { gids, if_allowed: true } => despite(&[Errno::EPERM], syscalls::setgroups(gids, why))?,
        Users::Groups { gids, if_allowed: false } => syscalls::setgroups(gids, why)?,
        Users::Ids { uid, gid } => ids(*uid, *gid, why)?,
    }
    Ok(())
}

/// A file below /proc/PID: `PID/name`.
fn of_process(pid: i32, name: &str) -> CString {
    CString::new(format!("{pid}/{name}")).unwrap_or_default()
}

/// The mappings of a process that was just made, which waits for them.
fn map(base: At, pid: i32, uids: &[u8], gids: &[u8], deny: bool, why: Why) -> Done {
    if deny {
        let why = Why("a group that denies something could be dropped otherwise (CVE-2014-8989)");
        namespaces::write_proc(base, &of_process(pid, "setgroups"), b"deny", why)?;
    }
    namespaces::write_proc(base, &of_process(pid, "uid_map"), uids, why)?;
    namespaces::write_proc(base, &of_process(pid, "gid_map"), gids, why)
}

/// newuidmap(1) or newgidmap(1), for the process that was just made.
fn run(lanes: &Lanes, helper: &Hook, why: Why) -> Done {
    let mut helper = helper.clone();
    let mut digits = [0; 12];
    let pid = CString::new(decimal(lanes.pid, &mut digits)).unwrap_or_default();
    helper.argv.insert(1, pid);
    let mut room = Room::of(core::iter::once(&helper));
    let given = hooks::Given { pid: lanes.pid, output: lanes.at(Slot::HOOK_OUTPUT), home: None };
    hooks::run(&helper, given, &mut room, Lane::Hook, why)
}

/// A user namespace with a mapping, kept by its descriptor alone: the process that is needed to make it ends at once.
fn mapping(base: At, uids: &[u8], gids: &[u8], why: Why) -> Done<Fd> {
    let ([end, holder], pid) = namespaces::holder(CloneFlags::CLONE_NEWUSER, why)?;
    let opened = map(base, pid, uids, gids, false, why).and_then(|()| {
        let why = Why("the namespace lives as long as a descriptor of it is open");
        Ok(syscalls::openat(base, &of_process(pid, "ns/user"), OpenFlags::NONE, why)?)
    });
    drop(end);
    syscalls::waitid_pidfd(
        holder.at(),
        WaitFlags::NONE,
        Why("the descriptor keeps the namespace: it needs no process"),
    )?;
    opened
}

/// A change from user 0 to another clears the permitted set unless told otherwise (capabilities(7), "Effect of user
/// ID changes on capabilities"); what the program shall have is set right after.
fn ids(uid: u32, gid: u32, why: Why) -> Done {
    syscalls::setresgid(gid, why)?;
    if uid != 0 {
        syscalls::prctl(Prctl::PR_SET_KEEPCAPS, 1, Why("the capabilities are chosen after the change of user"))?;
    }
    Ok(syscalls::setresuid(uid, why)?)
}
