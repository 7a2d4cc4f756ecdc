//! User namespaces and their mappings, namespaces that are joined, and the bridge (user_namespaces(7),
//! time_namespaces(7)). May touch: plan types, system calls.

use super::files::open_trusted;
use super::hooks::{self, decimal};
use super::{Lanes, process, sync};
use crate::outcome::Lane;
use crate::outcome::{Check, Done, Stopped, Trouble};
use crate::plan::{Hook, Slot};
use alloc::ffi::CString;
use alloc::vec::Vec;
use core::ffi::CStr;
use syscalls::{At, Cloned, Errno, Fd, Why};

/// A file below /proc/PID: `PID/name`.
fn of_process(pid: i32, name: &str) -> CString {
    CString::new(alloc::format!("{pid}/{name}")).unwrap_or_default()
}

/// Writes a file of a procfs that was checked, in one go, as its files want it.
pub fn write_proc(base: At, path: &CStr, text: &[u8], why: Why) -> Done {
    let file = open_trusted(base, path, libc::O_WRONLY as u32, "file of procfs", why)?;
    syscalls::write(file.at(), text, why)?;
    file.leak(); // execve closes it
    Ok(())
}

/// The bridge: a child that walks its lines and makes init.
pub fn clone_bridge(lanes: &mut Lanes, flags: u64, why: Why) -> Done {
    lanes.cloned[0] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    match syscalls::clone3_helper(flags, Lane::Bridge as u8, why)? {
        Cloned::Child => {
            syscalls::freeze();
            process::walk_bridge(lanes)
        }
        Cloned::Parent { pid, pidfd } => {
            lanes.pid = pid;
            lanes.put(Slot::BRIDGE, pidfd);
        }
    }
    lanes.close_init_end()
}

/// Host: learns which process init is. It is our own child, so its number stays its own until we wait for it.
pub fn await_init(lanes: &mut Lanes, why: Why) -> Done<Option<Stopped>> {
    let pid = match sync::await_init(lanes, why)? {
        Ok(pid) => pid,
        Err(stopped) => return Ok(Some(stopped)),
    };
    lanes.cloned[1] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    lanes.pid = pid;
    syscalls::record::set_cloned(pid);
    match syscalls::pidfd_open(pid, Why("a handle on init, as clone3 would have given")) {
        Ok(init) => lanes.put(Slot::INIT, init),
        Err(failed) => {
            let why = Why("without a handle it could not be ended later");
            let _ = syscalls::kill(pid, libc::SIGKILL, why);
            let _ = syscalls::waitid_pid(pid, why);
            return Err(failed.into());
        }
    }
    if let Some(bridge) = lanes.take(Slot::BRIDGE) {
        syscalls::waitid_pidfd(bridge.at(), 0, Why("the bridge has done its part"))?;
    }
    Ok(None)
}

/// The mappings of the process that was just made, which waits for them.
pub fn map_ids(lanes: &mut Lanes, uids: &[u8], gids: &[u8], deny: bool, helpers: Option<&[Hook; 2]>, why: Why) -> Done {
    let (base, pid) = (lanes.at(Slot::HOST_PROC), lanes.pid);
    if let Some(helpers) = helpers {
        for helper in helpers {
            let mut helper = helper.clone();
            let mut digits = [0; 12];
            let pid = CString::new(decimal(pid, &mut digits)).unwrap_or_default();
            helper.argv.insert(1, pid);
            let mut room = hooks::Room::of(core::iter::once(&helper));
            let given = hooks::Given { pid: lanes.pid, output: lanes.at(Slot::HOOK_OUTPUT), home: None };
            hooks::run(&helper, given, &mut room, Lane::Hook, why)?;
        }
        return Ok(());
    }
    map(base, pid, uids, gids, deny, why)
}

fn map(base: At, pid: i32, uids: &[u8], gids: &[u8], deny: bool, why: Why) -> Done {
    if deny {
        let why = Why("a group that denies something could be dropped otherwise (CVE-2014-8989)");
        write_proc(base, &of_process(pid, "setgroups"), b"deny", why)?;
    }
    write_proc(base, &of_process(pid, "uid_map"), uids, why)?;
    write_proc(base, &of_process(pid, "gid_map"), gids, why)
}

/// A user namespace with a mapping, kept by its descriptor alone: the process that is needed to make it ends at once.
pub fn mapping(base: At, uids: &[u8], gids: &[u8], why: Why) -> Done<Fd> {
    let (mine, theirs) = syscalls::socketpair(Why("the holder of the namespace ends at a word"))?;
    let flags = libc::CLONE_NEWUSER as u64;
    let (pid, pidfd) = match syscalls::clone3_helper(flags, Lane::Holder as u8, why)? {
        Cloned::Child => hold(mine, &theirs),
        Cloned::Parent { pid, pidfd } => (pid, pidfd),
    };
    let opened = map(base, pid, uids, gids, false, why).and_then(|()| {
        let name = of_process(pid, "ns/user");
        let why = Why("the namespace lives on as long as somebody has it open");
        Ok(syscalls::openat(base, &name, 0, "mapping", why)?)
    });
    drop(mine);
    syscalls::waitid_pidfd(pidfd.at(), 0, Why("nobody needs to live in that namespace"))?;
    opened
}

/// A process that does nothing, for what begins with one: it ends at a word to the first of both, or when all copies of
/// that are closed, also by our end.
pub fn holder(why: Why) -> Done<([Fd; 2], i32)> {
    let (mine, theirs) = syscalls::socketpair(Why("the holder ends at a word, or with us"))?;
    match syscalls::clone3_helper(0, Lane::Holder as u8, why)? {
        Cloned::Child => hold(mine, &theirs),
        Cloned::Parent { pid, pidfd } => Ok(([mine, pidfd], pid)),
    }
}

/// The process that a user namespace begins with.
fn hold(theirs: Fd, mine: &Fd) -> ! {
    syscalls::freeze();
    drop(theirs);
    let mut word = [0];
    let _ = syscalls::read(mine.at(), &mut word, Why("until the namespace is open elsewhere"));
    syscalls::exit_group(0, Why("the namespace is held by its descriptor now"))
}

/// Opens a namespace. `changed`: the runtime's own is refused, because the host would be changed.
pub fn open(path: &CStr, kind: &str, changed: bool, why: Why) -> Done<Fd> {
    let namespace = syscalls::openat(At::CWD, path, libc::O_NONBLOCK as u32, "namespace", why)?;
    if changed {
        let own = match kind {
            "network" => c"/proc/self/ns/net",
            "ipc" => c"/proc/self/ns/ipc",
            "mount" => c"/proc/self/ns/mnt",
            _ => c"/proc/self/ns/uts",
        };
        let why = Why("names, settings and mounts are for the container's namespaces, not for the host's");
        let (joined, own) = (syscalls::fstat(namespace.at(), why)?, syscalls::newfstatat(At::CWD, own, 0, why)?);
        if (joined.st_dev, joined.st_ino) == (own.st_dev, own.st_ino) {
            return Err(Trouble::Check(Check::OwnNamespace));
        }
    }
    Ok(namespace)
}

/// setns(2) also makes sure that it is one of that kind.
pub fn join(lanes: &Lanes, slot: Slot, flags: u32, why: Why) -> Done {
    Ok(syscalls::setns(lanes.at(slot), flags, why)?)
}

/// From an id of the host's, or of nobody, to the namespace's first user.
pub fn root_inside(uid: u32, gid: u32, why: Why) -> Done {
    syscalls::setresgid(gid, why)?;
    Ok(syscalls::setresuid(uid, why)?)
}

/// A procfs of the container's pid namespace, mounted nowhere.
pub fn private_proc(lanes: &mut Lanes, why: Why) -> Done {
    let fs = syscalls::fsopen(c"proc", "new procfs", why)?;
    syscalls::fsconfig_create(fs.at(), why)?;
    let mounted = syscalls::fsmount(fs.at(), 0, "procfs", why)?;
    lanes.put(Slot::PRIVATE_PROC, mounted);
    fs.leak();
    Ok(())
}

/// Whether the kernel has the security module that a label is for.
pub fn security_module(selinux: bool, why: Why) -> Done {
    if selinux {
        const SELINUX_MAGIC: i64 = 0xf97c_ff8c;
        let flags = (libc::O_PATH | libc::O_DIRECTORY) as u32;
        let Ok(dir) = syscalls::openat(At::CWD, c"/sys/fs/selinux", flags, "selinuxfs", why) else {
            return Err(Trouble::Check(Check::NoSelinux));
        };
        let found = syscalls::fstatfs(dir.at(), why)?;
        return match found.f_type as i64 {
            SELINUX_MAGIC => Ok(()),
            _ => Err(Trouble::Check(Check::NoSelinux)),
        };
    }
    let path = c"/sys/module/apparmor/parameters/enabled";
    let Ok(file) = syscalls::openat(At::CWD, path, 0, "apparmor", why) else {
        return Err(Trouble::Check(Check::NoApparmor));
    };
    let mut answer = [0];
    syscalls::read(file.at(), &mut answer, why)?;
    match answer {
        [b'Y'] => Ok(()),
        _ => Err(Trouble::Check(Check::NoApparmor)),
    }
}

/// resctrl's root, checked to be that (resctrl(7)).
fn resctrl_root() -> Done<Fd> {
    const RDTGROUP_SUPER_MAGIC: i64 = 0x0765_5821;
    let why = Why("shares of cache and memory bandwidth are given there");
    let flags = (libc::O_PATH | libc::O_DIRECTORY) as u32;
    let root = match syscalls::openat(At::CWD, c"/sys/fs/resctrl", flags, "resctrl", why) {
        Err(failed) if failed.errno == Errno::ENOENT => {
            return Err(Trouble::Check(Check::NoResctrl));
        }
        root => root?,
    };
    let found = syscalls::fstatfs(root.at(), Why("any file system could be mounted there"))?;
    match found.f_type as i64 {
        RDTGROUP_SUPER_MAGIC => Ok(root),
        _ => Err(Trouble::Check(Check::NoResctrl)),
    }
}

/// The group, made if it is missing. `own`: it will be removed with the container, so one that is there is an error.
/// An empty name is the root group.
pub fn resctrl(group: &CStr, own: bool, why: Why) -> Done<Fd> {
    let root = resctrl_root()?;
    if own {
        syscalls::mkdirat(root.at(), group, 0o755, why)?;
    }
    let dir = resctrl_group(&root, group, !own, why)?;
    Ok(dir.unwrap_or(root))
}

/// The shares of a group, and its monitor.
pub fn resctrl_share(dir: &Fd, schemata: &[u8], monitor: Option<&CStr>, why: Why) -> Done {
    let dir = dir.at();
    if !schemata.is_empty() {
        let flags = (libc::O_WRONLY | libc::O_TRUNC) as u32;
        let file = open_trusted(dir, c"schemata", flags, "schemata", why)?;
        syscalls::write(file.at(), schemata, why)?;
    }
    match monitor {
        Some(name) => made(syscalls::mkdirat(dir, name, 0o755, why)),
        None => Ok(()),
    }
}

fn made(result: syscalls::Result<()>) -> Done {
    match result {
        Err(failed) if failed.errno == Errno::EEXIST => Ok(()),
        other => Ok(other?),
    }
}

fn resctrl_group(root: &Fd, group: &CStr, make: bool, why: Why) -> Done<Option<Fd>> {
    if group.is_empty() {
        return Ok(None);
    }
    if make {
        made(syscalls::mkdirat(root.at(), group, 0o755, why))?;
    }
    let flags = (libc::O_PATH | libc::O_DIRECTORY) as u32;
    Ok(Some(open_trusted(root.at(), group, flags, "resctrl group", why)?))
}

/// Puts init into the group, and into its monitor.
pub fn resctrl_join(pid: i32, group: &CStr, monitor: Option<&CStr>, why: Why) -> Done {
    let root = resctrl_root()?;
    let dir = resctrl_group(&root, group, false, why)?;
    let dir = dir.as_ref().unwrap_or(&root).at();
    let mut digits = [0; 12];
    let digits = decimal(pid, &mut digits);
    let mut places: Vec<CString> = alloc::vec![c"tasks".into()];
    if let Some(name) = monitor {
        let tasks = alloc::format!("{}/tasks", name.to_string_lossy());
        places.push(CString::new(tasks).unwrap_or_default());
    }
    for place in places {
        let file = open_trusted(dir, &place, libc::O_WRONLY as u32, "tasks", why)?;
        syscalls::write(file.at(), digits, why)?;
    }
    Ok(())
}

/// Removes a group that the container owned, if it is there.
pub fn resctrl_remove(group: &CStr) {
    let why = Why("nothing of the container stays behind");
    if let Ok(root) = resctrl_root() {
        let _ = syscalls::unlinkat(root.at(), group, libc::AT_REMOVEDIR as u32, why);
    }
}
