//! Bind mounts of a running container: a helper process joins the container's mount namespace, and makes or
//! removes them. This process never goes there: its own paths would mean something else. May touch: system calls.

use crate::outcome::{Check, Done, Lane, Trouble};
use crate::perform::files::{self, PLACE};
use crate::perform::trees;
use crate::plan::op::{Attributes, Kind};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, CloneFlags, Cloned, Failed, Fd, OpenFlags, UmountFlags, WaitFlags, Why};

/// One bind mount.
pub struct Bind {
    /// On the host; empty: what is mounted at the destination is taken away.
    pub source: CString,
    pub recursive: bool,
    /// Those of the mount itself, and those of all mounts of its tree.
    pub attributes: [Attributes; 2],
    /// The destination in the root: the directory above it, and its name there.
    pub above: CString,
    pub name: CString,
    /// Both together.
    pub path: CString,
    /// The source's copy, once it is open.
    pub tree: Option<Fd>,
}

/// What is done, and to which container.
pub struct Job {
    pub add: bool,
    pub binds: Vec<Bind>,
    /// The container's first process, and its root as procfs names that.
    pub init: Fd,
    pub procfs: Fd,
    pub root: CString,
    /// It has a user namespace of its own, whose first user makes what is missing of a path.
    pub user: bool,
    /// The caller may copy mounts in that user namespace alone.
    pub limited: bool,
}

/// Opens the sources. Each is a copy of the host's mount that is attached nowhere.
pub fn open(job: &mut Job) -> Result<(), (usize, Failed)> {
    for (i, bind) in job.binds.iter_mut().enumerate() {
        let tree = copy(&bind.source, bind.recursive, &bind.attributes);
        bind.tree = Some(tree.map_err(|failed| (i, failed))?);
    }
    Ok(())
}

/// A copy of the host's mount at a path, with the properties of the mount itself, and of all mounts of its tree.
fn copy(path: &CStr, recursive: bool, attributes: &[Attributes; 2]) -> syscalls::Result<Fd> {
    let why = Why("a copy that is attached nowhere can go to another mount namespace");
    let tree = trees::copy_path(path, recursive, false, why)?;
    let why = Why("its properties are set before any other process can see it");
    let [own, all] = attributes;
    trees::set_attributes(tree.at(), own, why)?;
    if all.set | all.clear != 0 {
        trees::set_attributes(tree.at(), all, why)?;
    }
    Ok(tree)
}

/// Carries out the job. A failure names the bind.
pub fn carry_out(job: &mut Job) -> Result<(), (usize, Trouble)> {
    let first = |failed: Failed| (0, Trouble::Call(failed));
    let why = Why("the helper reports there how it went");
    let (mine, theirs) = syscalls::socketpair(why).map_err(first)?;
    let why = Why("a process that is alone in the container's mount namespace");
    let pidfd = match syscalls::clone3_helper(CloneFlags::NONE, Lane::Holder as u8, why).map_err(first)? {
        Cloned::Child => helper(job, &theirs),
        Cloned::Parent { pidfd, .. } => pidfd,
    };
    drop(theirs);
    let why = Why("the helper has ended, and its report can be read");
    syscalls::waitid_pidfd(pidfd.at(), WaitFlags::NONE, why).map_err(first)?;
    let mut said = [0u8; REPORT];
    match syscalls::read(mine.at(), &mut said, why).map_err(first)? {
        REPORT => {}
        _ => return Err((0, Trouble::Check(Check::InitVanished))),
    }
    let number = |i: usize| {
        let bytes = said.get(8 * i..8 * i + 8).and_then(|eight| eight.try_into().ok());
        u64::from_ne_bytes(bytes.unwrap_or_default())
    };
    let at = number(0) as usize;
    match number(1) {
        WENT_WELL => Ok(()),
        CALL => Err((at, Trouble::Call(Failed::unpacked(number(2))))),
        _ => {
            let found = Check::ALL.iter().find(|(check, _)| *check as u64 == number(2));
            Err((at, Trouble::Check(found.map_or(Check::InitVanished, |(check, _)| *check))))
        }
    }
}

/// Three numbers: at which bind, how it went, and the call or the finding.
const REPORT: usize = 24;
const WENT_WELL: u64 = 0;
const CALL: u64 = 1;
const CHECK: u64 = 2;

fn helper(job: &mut Job, report: &Fd) -> ! {
    syscalls::freeze();
    let numbers = match inside(job) {
        Ok(()) => [0, WENT_WELL, 0],
        Err((i, Trouble::Call(failed))) => [i as u64, CALL, failed.packed()],
        Err((i, Trouble::Check(check))) => [i as u64, CHECK, check as u64],
        Err((i, Trouble::Hook(_))) => [i as u64, CHECK, Check::InitVanished as u64],
    };
    let mut said = [0u8; REPORT];
    for (eight, number) in said.chunks_exact_mut(8).zip(numbers) {
        eight.copy_from_slice(&number.to_ne_bytes());
    }
    let _ = syscalls::send(report.at(), &said, Why("the runtime learns how it went"));
    syscalls::exit_group(0, Why("the helper has done its part"))
}

fn inside(job: &mut Job) -> Result<(), (usize, Trouble)> {
    let root = enter(job)?;
    for i in 0..job.binds.len() {
        let bind = &mut job.binds[i];
        let why = Why("the mounts were asked for in this order");
        let done: Done = match bind.tree.take() {
            Some(tree) => trees::attach_made(root.at(), &bind.path, true, tree, Kind::AsSource, why).map(drop),
            None => detach(root.at(), bind).map_err(Trouble::Call),
        };
        if let Err(trouble) = done {
            for made in job.binds[..i].iter().rev().filter(|_| job.add) {
                let _ = detach(root.at(), made);
            }
            return Err((i, trouble));
        }
    }
    Ok(())
}

/// Joins the container. Returns its root.
fn enter(job: &mut Job) -> Result<Fd, (usize, Trouble)> {
    let first = |failed: Failed| (0, Trouble::Call(failed));
    if job.user {
        let why = Why("files that are made there belong to the container's users");
        syscalls::setns(job.init.at(), CloneFlags::CLONE_NEWUSER, why).map_err(first)?;
        syscalls::setresgid(0, why).map_err(first)?;
        syscalls::setresuid(0, why).map_err(first)?;
    }
    if job.user && job.limited && job.add {
        let why = Why("without root, mounts can be copied only in a mount namespace of one's own");
        syscalls::unshare(CloneFlags::CLONE_NEWNS, why).map_err(first)?;
        open(job).map_err(|(i, failed)| (i, Trouble::Call(failed)))?;
    }
    let why = Why("the root of the container's first process: targets are looked up below it");
    let root = syscalls::openat(job.procfs.at(), &job.root, PLACE, why).map_err(first)?;
    let why = Why("mounts can be attached only where this process is; it fails if that one has ended");
    syscalls::setns(job.init.at(), CloneFlags::CLONE_NEWNS, why).map_err(first)?;
    Ok(root)
}

/// Takes away what is mounted at a place. Its name is not followed if it is a link.
fn detach(root: At, bind: &Bind) -> syscalls::Result<()> {
    let why = Why("from the directory that holds it, its name cannot lead elsewhere");
    let above = files::resolve(root, &bind.above, OpenFlags::O_DIRECTORY, true, why)?;
    syscalls::fchdir(above.at(), why)?;
    let flags = UmountFlags::MNT_DETACH | UmountFlags::UMOUNT_NOFOLLOW;
    let why = Why("the mount has to go, even if it is in use");
    syscalls::umount2(&bind.name, flags, why)
}
