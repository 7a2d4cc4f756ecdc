//! Groups of resctrl(7): shares of cache and memory bandwidth. May touch: plan types, system calls.

use super::Lanes;
use super::files::{PLACE, decimal, despite, open_trusted};
use crate::outcome::{Check, Done, Trouble};
use crate::plan::op::Rdt;
use crate::plan::{Line, OWN_RESCTRL};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why};

pub fn perform(lanes: &mut Lanes, op: &Rdt, line: &Line) -> Done {
    match op {
        Rdt::Make { group, schemata, monitor } => {
            let own = line.from == OWN_RESCTRL;
            let dir = make(group, own, line.why)?;
            lanes.resctrl = own;
            share(&dir, schemata, monitor.as_deref(), line.why)
        }
        Rdt::Join { group, monitor } => join(lanes.pid, group, monitor.as_deref(), line.why),
    }
}

/// resctrl's root, checked to be that.
fn root() -> Done<Fd> {
    let why = Why("shares of cache and memory bandwidth are given there");
    let root = match syscalls::openat(At::CWD, c"/sys/fs/resctrl", PLACE, why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Err(Trouble::Check(Check::NoResctrl)),
        root => root?,
    };
    let found = syscalls::fstatfs(root.at(), Why("another file system could be mounted there"))?;
    match found.f_type as i64 {
        libc::RDTGROUP_SUPER_MAGIC => Ok(root),
        _ => Err(Trouble::Check(Check::NoResctrl)),
    }
}

/// A group that is there. An empty name is the root group.
fn open(root: Fd, group: &CStr, why: Why) -> Done<Fd> {
    match group.is_empty() {
        true => Ok(root),
        false => Ok(open_trusted(root.at(), group, PLACE, why)?),
    }
}

/// The group, made if it is missing. `own`: it will be removed with the container, so one that is there is an error.
pub fn make(group: &CStr, own: bool, why: Why) -> Done<Fd> {
    let root = root()?;
    if own {
        syscalls::mkdirat(root.at(), group, 0o755, why)?;
    } else if !group.is_empty() {
        despite(&[Errno::EEXIST], syscalls::mkdirat(root.at(), group, 0o755, why))?;
    }
    open(root, group, why)
}

/// The shares of a group, and its monitor.
pub fn share(dir: &Fd, schemata: &[u8], monitor: Option<&CStr>, why: Why) -> Done {
    let dir = dir.at();
    if !schemata.is_empty() {
        let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC;
        let file = open_trusted(dir, c"schemata", flags, why)?;
        syscalls::write(file.at(), schemata, why)?;
    }
    match monitor {
        Some(name) => despite(&[Errno::EEXIST], syscalls::mkdirat(dir, name, 0o755, why)),
        None => Ok(()),
    }
}

/// Puts init into the group, and into its monitor.
fn join(pid: i32, group: &CStr, monitor: Option<&CStr>, why: Why) -> Done {
    let dir = open(root()?, group, why)?;
    let mut digits = [0; 12];
    let digits = decimal(pid, &mut digits);
    let monitor = monitor.map(|name| CString::new(format!("{}/tasks", name.to_string_lossy())).unwrap_or_default());
    for tasks in [Some(CString::from(c"tasks")), monitor].into_iter().flatten() {
        let file = open_trusted(dir.at(), &tasks, OpenFlags::O_WRONLY, why)?;
        syscalls::write(file.at(), digits, why)?;
    }
    Ok(())
}

/// Removes a group that the container owned, if it is there.
pub fn remove(group: &CStr) {
    let why = Why("no group of the container is left after it");
    if let Ok(root) = root() {
        let _ = syscalls::unlinkat(root.at(), group, AtFlags::AT_REMOVEDIR, why);
    }
}
