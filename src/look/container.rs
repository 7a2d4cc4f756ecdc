//! A container as it is now: its first process, its cgroup and its devices, beside its configuration. May touch: system
//! calls, procfs, the state.

use super::cgroup::{self, Group};
use super::devices;
use super::mounts;
use super::namespaces::{self, Namespace, same};
use super::open::{Open, findings};
use super::proc::Proc;
use super::process::{self, Facts};
use super::seccomp;
use crate::host::{cgroup as hierarchy, procfs};
use crate::outcome::{Doing, Error};
use crate::plan::cgroup::limits::limits;
use crate::spec::Spec;
use crate::state::{self, Document, Now, Saved, Status, Whole};
use alloc::ffi::CString;
use procfs::Life;
use serde::Serialize;
use syscalls::{At, Errno, Fd, OpenFlags, Result, Why};

/// What was found of a container.
pub enum Looked {
    Here(Box<Container>),
    /// Its first process has ended.
    Gone(Remains),
}

/// A container whose first process lives.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Container {
    pub id: String,
    pub status: &'static str,
    pub pid: i32,
    pub created: String,
    pub bundle: String,
    /// The file of the configuration.
    pub config: String,
    pub rootfs: String,
    /// `vm`: what stands here is the machine's process, not the program inside.
    pub mode: String,
    pub not_isolated: Vec<Open>,
    #[serde(flatten)]
    pub facts: Facts,
}

/// How long a process takes at most to end, in milliseconds, once it has no namespaces.
const MOMENT: u64 = 50;

/// What is left of a container that has ended.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Remains {
    pub id: String,
    pub status: &'static str,
    /// It ended while it was looked at.
    pub ended_meanwhile: bool,
    pub bundle: String,
    pub config: String,
    pub rootfs: String,
    /// Its cgroup, if that is still there, and the processes in it.
    pub cgroup: Option<String>,
    pub processes: Vec<i32>,
    /// `delete` will run so many hooks.
    pub poststop_hooks: usize,
}

/// The process that looks, with its devices: what a program would have without a configuration.
pub fn host(ordinary: bool) -> Result<Facts> {
    let proc = Proc::open("self", ordinary)?;
    let mut facts = process::facts(&proc)?;
    facts.devices = devices::nodes(&proc, &facts.mounts, None)?;
    Ok(facts)
}

/// A process that is becoming a container. `whole`: all that /proc says of it, which takes a hundred calls.
pub fn facts(pid: i32, whole: bool, ordinary: bool) -> Result<Facts> {
    let proc = Proc::open(&pid.to_string(), ordinary)?;
    if whole { process::facts(&proc) } else { process::brief(&proc) }
}

/// Looks at a container: `root` is the state root, `dir` its directory there. `host`: the facts of this process. `ordinary`:
/// this user is not root, and may be refused some of it.
pub fn look(root: &Fd, dir: At, id: &str, host: &Facts, ordinary: bool) -> core::result::Result<Looked, Error> {
    let whole = state::load_whole(dir, id)?;
    let now = state::look(dir, &whole.saved)?;
    if now.status == Status::Stopped {
        return remains(&whole.saved, false).map(Looked::Gone);
    }
    let others = others(root, id, ordinary)?;
    let found = here(&whole, &now, host, &others, ordinary);
    if found.is_err() {
        let why = Why("a process that ends loses its namespaces a moment before it counts as ended");
        let _ = syscalls::ppoll(&mut [], Some(MOMENT), why);
    }
    // What was read before the process ended is not all of it, and what failed may have failed for that.
    if procfs::life(whole.saved.pid, whole.saved.start_time)? == Life::Over {
        return remains(&whole.saved, true).map(Looked::Gone);
    }
    found.map(|container| Looked::Here(Box::new(container)))
}

fn here(
    whole: &Whole,
    now: &Now,
    host: &Facts,
    others: &[(String, Vec<Namespace>)],
    ordinary: bool,
) -> core::result::Result<Container, Error> {
    let saved = &whole.saved;
    let spec = match whole.configuration.is_empty() {
        true => None, // an older version of this program has made it
        false => Some(whole.spec()?),
    };
    let spec = spec.as_deref();
    let doing = format_args!("look at process {} of {}", saved.pid, saved.id);
    let proc = Proc::open(&saved.pid.to_string(), ordinary).doing(doing)?;
    let mut facts = process::facts(&proc).doing(doing)?;
    namespaces::judge(&mut facts.namespaces, &host.namespaces, others, spec);
    judge_mounts(&proc, &mut facts, host, spec).doing(doing)?;
    facts.devices = devices::nodes(&proc, &facts.mounts, spec).doing(doing)?;
    facts.seccomp.profile = spec.and_then(|spec| spec.linux.seccomp.as_ref()).map(seccomp::profile);
    for (i, asked) in spec.iter().flat_map(|spec| &spec.process.rlimits).enumerate() {
        let limit = facts.limits.iter_mut().find(|limit| limit.name == asked.kind);
        limit.into_iter().for_each(|limit| limit.pointer = Some(format!("/process/rlimits/{i}")));
    }
    group(saved, now, spec, &mut facts, ordinary)?;
    facts.hidden.extend(proc.hidden());
    Ok(Container {
        id: saved.id.clone(),
        status: now.status.word(),
        pid: saved.pid,
        created: saved.created.clone(),
        bundle: saved.bundle_path.clone(),
        config: saved.config_file(),
        rootfs: saved.rootfs.clone(),
        mode: saved.mode.clone(),
        not_isolated: findings(&facts, host, spec),
        facts,
    })
}

/// Says where the mounts come from. A place in the configuration can have links on its way.
fn judge_mounts(proc: &Proc, facts: &mut Facts, host: &Facts, spec: Option<&Spec>) -> Result<()> {
    // The host's mounts are no container's: no line of its configuration has made them.
    let spec = spec.filter(|_| !same(&facts.namespaces, &host.namespaces, "mount"));
    let resolve = |path: &str| {
        let Some(root) = proc.root()? else {
            return Ok(None);
        };
        let why = Why("the place of a mount in config.json may be a link inside");
        let Some(opened) = proc.inside(root.at(), path, OpenFlags::O_PATH, why)? else {
            return Ok(None);
        };
        let own = Proc::open("self", true)?;
        let name = CString::new(format!("fd/{}", opened.at().raw())).unwrap_or_default();
        own.link(&name, Why("the kernel tells the path without links"))
    };
    mounts::judge(&mut facts.mounts, &host.mounts, spec, resolve)
}

/// The cgroup, and the program that decides on devices there.
fn group(
    saved: &Saved,
    now: &Now,
    spec: Option<&Spec>,
    facts: &mut Facts,
    ordinary: bool,
) -> core::result::Result<(), Error> {
    let resources = spec.map(|spec| &spec.linux.resources);
    let rules = resources.map_or(&[][..], |resources| &resources.devices);
    let Some((_, group)) = &now.cgroup else {
        devices::rules(&mut facts.devices, rules, Some(false));
        return Ok(());
    };
    let settings = resources.map_or(Ok(Vec::new()), |resources| limits(resources, "/linux/resources"));
    let refused = |problem| Error::Spec { file: saved.config_file(), problem };
    let settings = settings.map_err(refused)?;
    let doing = format_args!("look at the cgroup of {}", saved.id);
    let (limits, used) = cgroup::look(group.at(), &settings).doing(doing)?;
    let mut ids = [0; 8];
    let why = Why("a program in the kernel decides which devices the container may use");
    let decided = match syscalls::bpf_prog_query_device(group.at(), &mut ids, why) {
        Err(failed) if failed.errno == Errno::ENOSPC => Some(true),
        // A kernel without such programs cannot tell, and an ordinary user may not ask.
        Err(failed) if ordinary || [Errno::EINVAL, Errno::ENOSYS].contains(&failed.errno) => None,
        count => Some(count.doing(doing)? > 0),
    };
    devices::rules(&mut facts.devices, rules, decided);
    facts.cgroup = Group { path: format!("/{}", saved.cgroup_path), own: saved.made() > 0, limits, used };
    Ok(())
}

/// The namespaces of the other containers of the state root whose first process lives.
fn others(root: &Fd, id: &str, ordinary: bool) -> core::result::Result<Vec<(String, Vec<Namespace>)>, Error> {
    let why = Why("another container may share a namespace with this one");
    let ids = syscalls::openat(root.at(), c".", OpenFlags::O_DIRECTORY, why)
        .and_then(|dir| state::ids(dir.at(), why))
        .doing("list the state root")?;
    let mut all = Vec::new();
    for other in ids.into_iter().filter(|other| other != id) {
        let Document::Whole(saved) = state::document_listed(root.at(), &other)? else {
            continue;
        };
        if procfs::life(saved.pid, saved.start_time)? == Life::Over {
            continue;
        }
        let looked = Proc::open(&saved.pid.to_string(), ordinary).and_then(|proc| namespaces::of(&proc));
        match looked {
            Ok(theirs) => all.push((other, theirs)),
            Err(f) if [Errno::ENOENT, Errno::ESRCH].contains(&f.errno) => {} // it has just ended
            Err(failed) => return Err(failed).doing(format_args!("look at container {other}")),
        }
    }
    Ok(all)
}

fn remains(saved: &Saved, ended_meanwhile: bool) -> core::result::Result<Remains, Error> {
    let group = match saved.cgroup_path.is_empty() {
        true => None,
        false => hierarchy::open_pair(&saved.cgroup_path).doing(format_args!("look for the cgroup of {}", saved.id))?,
    };
    let why = Why("processes may have stayed in the container's cgroup");
    let processes = match &group {
        Some((_, group)) => hierarchy::processes(group.at(), why).doing("list the processes of the cgroup")?,
        None => Vec::new(),
    };
    Ok(Remains {
        id: saved.id.clone(),
        status: Status::Stopped.word(),
        ended_meanwhile,
        bundle: saved.bundle_path.clone(),
        config: saved.config_file(),
        rootfs: saved.rootfs.clone(),
        cgroup: group.map(|_| format!("/{}", saved.cgroup_path)),
        processes,
        poststop_hooks: saved.hooks.as_ref().map_or(0, |hooks| hooks.poststop.len()),
    })
}
