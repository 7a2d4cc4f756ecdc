//! Why a limit, a name, a socket, a file or an interface that the caller asked for could not be had. May touch: system calls,
//! procfs.

use super::{Found, Scene, missing, path, sysctl, users};
use crate::plan::Slot;
use crate::plan::op::{Callers, Namespaces, Network, Op, Process, Terminal};
use crate::spec::{NamespaceKind, RLIMITS, namespace};
use syscalls::{Errno, Why};

/// The state of a container cannot be saved.
pub fn state(scene: &Scene) -> Option<Found> {
    let full = [Errno::ENOSPC, Errno::EDQUOT, Errno::EROFS];
    let directory = path::name_of(scene.lanes?.at(Slot::STATE))?;
    if let Some(gone) = directory.strip_suffix(" (deleted)") {
        return Some(Found::new("state gone", &[gone]).of("--root"));
    }
    let errno = scene.failed().map(|failed| failed.errno).filter(|errno| full.contains(errno))?;
    file("state root", &(directory + "/state.json"), errno).map(|found| found.of("--root"))
}

pub fn of(scene: &Scene) -> Option<Found> {
    match &scene.line?.op {
        Op::Process(Process::RaiseLimit { resource, hard } | Process::Limit { resource, hard, .. }) => {
            rlimit(*resource, *hard, scene.failed()?.errno != Errno::EPERM)
        }
        Op::Namespaces(Namespaces::Hostname { name }) => machine_name(scene, "hostname", name.len()),
        Op::Namespaces(Namespaces::Domainname { name }) => machine_name(scene, "domainname", name.len()),
        Op::Terminal(Terminal::Connect { path }) => {
            socket("console socket", &path.to_string_lossy(), scene.failed()?.errno)
        }
        Op::Callers(op) => callers(op, scene.failed()?.errno),
        Op::Network(op) => network(op, scene.failed()?.errno),
        _ => None,
    }
}

/// A resource limit that is higher than this process may ask for. `may_raise`: it has the right to raise hard limits.
pub fn rlimit(resource: u32, hard: u64, may_raise: bool) -> Option<Found> {
    let why = Why("a limit can be lowered by any process, and raised by few");
    let name = *RLIMITS.get(resource as usize)?;
    if resource == libc::RLIMIT_NOFILE {
        let most = path::text(path::host()?.at(), "proc/sys/fs/nr_open")?;
        if most.trim().parse::<u64>().is_ok_and(|most| hard > most) {
            return Some(Found::new("above nr_open", &[&shown(hard), most.trim()]));
        }
    }
    let (_, now) = syscalls::prlimit64_ask(resource, why).ok()?;
    (hard > now && !may_raise).then(|| Found::new("hard limit", &[name, &shown(hard), &shown(now)]))
}

/// A score by which the kernel would take the container later than its caller, if the memory of the machine is used up.
pub fn oom_score(scene: &Scene) -> Option<Found> {
    let refused = scene.line?.from == "/process/oomScoreAdj" && scene.failed()?.errno == Errno::EACCES;
    let (wanted, now) = (scene.spec?.process.oom_score_adj?, users::of_process(0, "oom_score_adj")?);
    refused.then(|| Found::new("oom score", &[&format!("{wanted}"), now.trim()]))
}

fn shown(limit: u64) -> String {
    if limit == u64::MAX { Found::new("no limit", &[]).cause } else { limit.to_string() }
}

fn machine_name(scene: &Scene, key: &str, len: usize) -> Option<Found> {
    const MOST: usize = 64;
    let uts = namespace(&scene.spec?.linux, &NamespaceKind::Uts);
    match scene.failed()?.errno {
        Errno::EPERM if uts.is_none() => Some(Found::new("no uts namespace", &[key])),
        Errno::EPERM if uts.is_some_and(|uts| uts.joined().is_some()) => {
            Some(Found::new("uts namespace of others", &[key]))
        }
        Errno::EINVAL if len > MOST => Some(Found::new("name too long", &[key, &len.to_string()])),
        _ => None,
    }
}

fn callers(op: &Callers, errno: Errno) -> Option<Found> {
    match op {
        Callers::PidFile { path } | Callers::PlacePidFile { path } => file("pid file", &path.to_string_lossy(), errno),
        Callers::ConnectPidfd { path } => socket("pidfd socket", &path.to_string_lossy(), errno),
        Callers::ConnectNotify { path } => socket("notify socket", &path.to_string_lossy(), errno),
        Callers::SendPidfd { .. } | Callers::NotifyDirectory | Callers::Listen => None,
    }
}

/// A socket at which another program listens. `what`: the entry of texts.txt that says what it is.
pub fn socket(what: &str, path: &str, errno: Errno) -> Option<Found> {
    let noun = Found::new(what, &[path]);
    let walk = path::walk(path::host()?.at(), path).filter(|_| path.starts_with('/'))?;
    let path::End::There { stat, .. } = &walk.end else {
        return missing::found(what, path, &walk);
    };
    let name = match stat.st_mode & libc::S_IFMT {
        libc::S_IFSOCK => match errno {
            Errno::ECONNREFUSED => "deaf socket",
            Errno::EACCES => "socket of others",
            _ if errno.0 == libc::EPROTOTYPE as u16 => "other kind of socket",
            _ => return None,
        },
        _ => return Some(Found { cure: noun.cure, ..Found::new("no socket", &[&noun.cause, path, path::kind(stat)]) }),
    };
    Some(Found::new(name, &[&noun.cause, path]))
}

/// A file that is to be made. `what`: the entry of texts.txt that says what it is.
pub fn file(what: &str, path: &str, errno: Errno) -> Option<Found> {
    let noun = Found::new(what, &[path]).cause;
    let above = path.rsplit_once('/').map_or(".", |(above, _)| if above.is_empty() { "/" } else { above });
    match errno {
        Errno::EROFS => return Some(Found::new("place read-only", &[&noun, above])),
        Errno::ENOSPC | Errno::EDQUOT => return Some(Found::new("place full", &[&noun, above])),
        _ => {}
    }
    let walk = path::walk(path::host()?.at(), above).filter(|_| path.starts_with('/'))?;
    match &walk.end {
        path::End::There { stat, .. } if !path::is_dir(stat) => {
            Some(Found::new("place no directory", &[&noun, above, path::kind(stat)]))
        }
        path::End::There { .. } if errno == Errno::ENOENT => {
            let whole = path::walk(path::host()?.at(), path)?;
            let link = if whole.links.is_empty() { None } else { missing::found(what, path, &whole) };
            link.or_else(|| Some(Found::new("place of the kernel", &[&noun, above])))
        }
        path::End::There { .. } | path::End::Missing { .. } if errno == Errno::EACCES || errno == Errno::EPERM => {
            let path::Dir { path: above, stat } = walk.dirs.last()?;
            if syscalls::auxv(libc::AT_EUID) == 0 {
                return Some(Found::new("place of the kernel", &[&noun, above]));
            }
            let (owner, mode) = (stat.st_uid.to_string(), format!("{:04o}", stat.st_mode & 0o7777));
            Some(Found::new("place of others", &[&noun, above, &owner, &mode]))
        }
        _ => missing::found(what, above, &walk),
    }
}

fn network(op: &Network, errno: Errno) -> Option<Found> {
    let Network::Read { device, .. } = op else {
        return None;
    };
    no_interface(device).filter(|_| errno == Errno::ENODEV)
}

/// A network interface that the host does not have.
pub fn no_interface(device: &str) -> Option<Found> {
    let all = sysctl::interfaces(syscalls::record::own_pid());
    let there = all.iter().any(|name| name == device);
    (!there).then(|| Found::new("no such interface", &[device, &all.join(", ")]))
}
