//! Namespaces: those that are made by a clone, those that are joined, and what is set in them (namespaces(7)). May
//! touch: plan types, system calls.

use super::files::open_trusted;
use super::{Lanes, Then, share_slate};
use crate::host::{cgroup, procfs};
use crate::outcome::{Check, Done, Lane, Trouble};
use crate::plan::Slot;
use crate::plan::op::{Born, Namespaces, Op};
use core::ffi::CStr;
use syscalls::{At, AtFlags, CloneFlags, Cloned, Errno, Fd, MountAttr, OpenFlags, Why};

pub fn perform(lanes: &mut Lanes, op: &Namespaces, why: Why) -> Done<Then> {
    match op {
        Namespaces::Open { path, kind, changed, slot } => lanes.put(*slot, open(path, kind, *changed, why)?),
        Namespaces::Clone { flags, born } => {
            return clone(lanes, *flags, *born != Born::Outside, why);
        }
        Namespaces::CloneBridge { flags } => return clone_bridge(lanes, *flags, why),
        // setns(2) also makes sure that it is one of that kind.
        Namespaces::Join { slot, flags, .. } => syscalls::setns(lanes.at(*slot), *flags, why)?,
        Namespaces::JoinContainer { flags } => syscalls::setns(lanes.at(Slot::CONTAINER), *flags, why)?,
        Namespaces::Unshare { flags } => syscalls::unshare(*flags, why)?,
        Namespaces::OpenHostProc => lanes.put(Slot::HOST_PROC, procfs::open()?),
        Namespaces::PrivateProc => lanes.put(Slot::PRIVATE_PROC, private_proc(why)?),
        Namespaces::WriteProc { base, path, text } => write_proc(lanes.at(*base), path, text, why)?,
        Namespaces::Hostname { name } => syscalls::sethostname(name, why)?,
        Namespaces::Domainname { name } => syscalls::setdomainname(name, why)?,
    }
    Ok(Then::Next)
}

/// Opens a namespace. `changed`: the runtime's own is refused, because the host would be changed.
fn open(path: &CStr, kind: &str, changed: bool, why: Why) -> Done<Fd> {
    let namespace = syscalls::openat(At::CWD, path, OpenFlags::O_NONBLOCK, why)?;
    if changed {
        let own = match kind {
            "network" => c"/proc/self/ns/net",
            "ipc" => c"/proc/self/ns/ipc",
            "mount" => c"/proc/self/ns/mnt",
            _ => c"/proc/self/ns/uts",
        };
        let why = Why("names, settings and mounts are for the container's namespaces, not for the host's");
        let (joined, own) =
            (syscalls::fstat(namespace.at(), why)?, syscalls::newfstatat(At::CWD, own, AtFlags::NONE, why)?);
        if (joined.st_dev, joined.st_ino) == (own.st_dev, own.st_ino) {
            return Err(Trouble::Check(Check::OwnNamespace));
        }
    }
    Ok(namespace)
}

/// Init, as a child of the host's; also where the bridge makes it.
fn clone(lanes: &mut Lanes, flags: CloneFlags, cgroup: bool, why: Why) -> Done<Then> {
    let into = (cgroup && lanes.has(Slot::CGROUP)).then(|| lanes.at(Slot::CGROUP));
    lanes.cloned[0] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    match threaded_or_not(lanes, into, |lanes| make_init(lanes, flags, into, why))? {
        Cloned::Child => Ok(child(lanes, Lane::Init)),
        Cloned::Parent { pid, pidfd } => parent(lanes, pid, Slot::INIT, pidfd),
    }
}

fn make_init(lanes: &mut Lanes, flags: CloneFlags, into: Option<At>, why: Why) -> syscalls::Result<Cloned> {
    // A hook of the host's is a copy, too, and init has to write where the host looks.
    let shared = flags.has(CloneFlags::CLONE_VM);
    if !shared || lanes.plan.host.iter().any(|line| matches!(line.op, Op::Hooks(_))) {
        share_slate()?;
    }
    if !shared {
        return syscalls::clone3(flags, into, Lane::Init as u8, why);
    }
    // Init reads this and the plan until its execve. Neither is ever freed.
    let init = Box::leak(Box::new(lanes.for_init()));
    let (pid, pidfd) = syscalls::clone3_sharing(flags, into, init, why)?;
    Ok(Cloned::Parent { pid, pidfd })
}

/// Below a threaded cgroup a new one holds no process until it is threaded, too (cgroup-v2.rst, "Threads").
fn threaded_or_not(
    lanes: &mut Lanes,
    into: Option<At>,
    clone: impl Fn(&mut Lanes) -> syscalls::Result<Cloned>,
) -> syscalls::Result<Cloned> {
    let first = clone(lanes);
    let (Err(failed), Some(group)) = (&first, into) else {
        return first;
    };
    if failed.errno != Errno::EOPNOTSUPP || cgroup::make_threaded(group, lanes.cgroup_made).is_err() {
        return first;
    }
    clone(lanes)
}

/// The bridge: a child that walks its lines and makes init.
fn clone_bridge(lanes: &mut Lanes, flags: CloneFlags, why: Why) -> Done<Then> {
    share_slate()?;
    lanes.cloned[0] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
    match syscalls::clone3_helper(flags, Lane::Bridge as u8, why)? {
        Cloned::Child => Ok(child(lanes, Lane::Bridge)),
        Cloned::Parent { pid, pidfd } => parent(lanes, pid, Slot::BRIDGE, pidfd),
    }
}

fn child(lanes: &mut Lanes, lane: Lane) -> Then {
    syscalls::freeze();
    lanes.lane = lane;
    Then::Child
}

fn parent(lanes: &mut Lanes, pid: i32, slot: Slot, pidfd: Fd) -> Done<Then> {
    lanes.pid = pid;
    lanes.put(slot, pidfd);
    // The bridge still has a word to say through it.
    if lanes.lane == Lane::Host {
        lanes.cloned[1] = syscalls::clock_ns(libc::CLOCK_BOOTTIME);
        lanes.close_init_end()?;
    }
    Ok(Then::Next)
}

/// A process that does nothing: a scope and a user namespace begin with a process. The first descriptor is a socket: a
/// message through it ends the process, and so does the end of its last copy. The second is the handle.
pub fn holder(flags: CloneFlags, why: Why) -> Done<([Fd; 2], i32)> {
    let (mine, theirs) = syscalls::socketpair(Why("the holder ends at a word, or with us"))?;
    match syscalls::clone3_helper(flags, Lane::Holder as u8, why)? {
        Cloned::Child => hold(mine, &theirs),
        Cloned::Parent { pid, pidfd } => Ok(([mine, pidfd], pid)),
    }
}

fn hold(theirs: Fd, mine: &Fd) -> ! {
    syscalls::freeze();
    drop(theirs);
    let mut word = [0];
    let _ = syscalls::read(
        mine.at(),
        &mut word,
        Why("this process holds the namespace until it is open elsewhere, or the scope until init is in it"),
    );
    syscalls::exit_group(0, Why("the holder is needed no longer"))
}

/// A procfs of the container's pid namespace, mounted nowhere.
fn private_proc(why: Why) -> Done<Fd> {
    let fs = syscalls::fsopen(c"proc", why)?;
    syscalls::fsconfig_create(fs.at(), why)?;
    let mounted = syscalls::fsmount(fs.at(), MountAttr::NONE, why)?;
    fs.leak(); // execve closes it
    Ok(mounted)
}

/// Writes a file of a procfs that was checked, in one go, as its files want it.
pub fn write_proc(base: At, path: &CStr, text: &[u8], why: Why) -> Done {
    let file = open_trusted(base, path, OpenFlags::O_WRONLY, why)?;
    syscalls::write(file.at(), text, why)?;
    file.leak(); // execve closes it
    Ok(())
}
