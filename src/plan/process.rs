//! config.json's `process`, `hostname` and `domainname`: who the program is, and what it may do. May touch: types
//! and tables.

use super::create::problem;
use super::op::{Namespaces, Network, Process, Rootfs, Seccomp, Sync, Users};
use super::{Builder, Step, c, hooks, seccomp, system, terminal};
use crate::spec::{NamespaceKind, Problem, capability_number, rlimit_number};
use alloc::collections::BTreeSet;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use syscalls::CapabilitySets;

/// What a process is before it is anything in particular.
pub fn begin(b: &mut Builder) -> Result<(), Problem> {
    b.step = Step::Process;
    b.from = String::new();
    b.init(Process::ClearUmask, "modes of devices and directories are meant exactly");
    b.init(Process::ReleaseSignals, "the program must not inherit a mask that it did not ask for");
    if b.wish.wait_for_start {
        b.init(
            Process::EndBySignals,
            "the first process of a pid namespace would never see them, and `kill` ends a created container",
        );
    }
    b.init(Process::Session, "a session of its own: no terminal of the caller's can be reached (setsid(2))");
    if !b.wish.no_new_keyring {
        let name = c(&format!("_ses.{}", b.wish.id)).map_err(|p| problem("", p))?;
        system::key_label(b);
        b.init(Process::Keyring { name }, "the caller's session keyring stays the caller's");
    }
    let exec = b.spec.process.exec_cpu_affinity.as_ref();
    if b.wish.joins.is_none() || exec.is_none_or(|cpus| cpus.last.is_empty()) {
        b.init(Process::AnyProcessor, "since Linux 6.2 the caller's affinity would outlast the way into the cgroup");
    }
    Ok(())
}

/// Host, before the clone: limits that init could not raise, since a user namespace gives no right to that
/// (CAP_SYS_RESOURCE in capabilities(7)). Init lowers them to what is wanted, at its end.
pub fn raise_limits(b: &mut Builder) -> Result<(), Problem> {
    if !b.users.leaves_rights() {
        return Ok(());
    }
    let step = match b.wish.joins {
        Some(_) => Step::Exec,
        None => Step::Namespaces,
    };
    for (i, limit) in b.spec.process.rlimits.iter().enumerate() {
        b.from = format!("/process/rlimits/{i}");
        let Some(resource) = rlimit_number(&limit.kind) else {
            return Err(problem(&b.from, "is no resource limit"));
        };
        let hard = limit.hard;
        b.host(
            step,
            Process::RaiseLimit { resource, hard },
            "here, with the caller's rights: in its user namespace init may only lower a limit",
        );
    }
    Ok(())
}

/// Names and network.
pub fn identity(b: &mut Builder) {
    b.step = Step::Identity;
    if let Some(name) = &b.spec.hostname {
        b.from = "/hostname".into();
        b.init(
            Namespaces::Hostname { name: name.as_bytes().to_vec() },
            "the new UTS namespace begins with the host's name",
        );
    }
    if let Some(name) = &b.spec.domainname {
        b.from = "/domainname".into();
        b.init(
            Namespaces::Domainname { name: name.as_bytes().to_vec() },
            "the new UTS namespace begins with the host's domain",
        );
    }
    let network = b.spec.linux.namespaces.iter().position(|n| n.kind == NamespaceKind::Network);
    if let Some(i) = network
        && b.new_namespace(NamespaceKind::Network)
    {
        b.from = format!("/linux/namespaces/{i}");
        b.init(Network::LoopbackUp, "a new network namespace has only `lo`, and that is down");
    }
}

/// One bit a known capability. Names that the kernel does not know are left out (config.md: they SHOULD NOT fail).
fn bits(names: &[String]) -> u64 {
    names.iter().filter_map(|name| capability_number(name)).fold(0, |set, n| set | 1 << n)
}

/// Capabilities, ids, the program. The order is the kernel's: dropping from the bounding set needs CAP_SETPCAP,
/// setgroups needs CAP_SETGID, and a change of user id takes the rest (capabilities(7)).
pub fn privileges(b: &mut Builder) -> Result<(), Problem> {
    let process = &b.spec.process;
    let bad = |at: &str, problem: &str| Problem { pointer: at.into(), problem: problem.into() };
    b.step = Step::Privileges;
    for (i, limit) in process.rlimits.iter().enumerate() {
        b.from = format!("/process/rlimits/{i}");
        let Some(resource) = rlimit_number(&limit.kind) else {
            return Err(bad(&b.from, "is no resource limit"));
        };
        let (soft, hard) = (limit.soft, limit.hard);
        let why = "now: raising a limit is still allowed, and no more descriptors are needed";
        b.init(Process::Limit { resource, soft, hard }, why);
    }
    system::process(b)?;
    terminal::streams(b);
    b.from = String::new();
    b.init(
        Process::CloseDescriptors {
            first: 3 + b.wish.preserve_fds,
        },
        "from here on the image chooses paths, and /proc/self/fd would lead from any of them to the host (CVE-2024-21626)",
    );
    b.from = "/process/cwd".into();
    let path = c(&process.cwd).map_err(|p| bad("/process/cwd", p))?;
    let why = match process.cwd.as_str() {
        "/" => "the program begins there",
        _ => "the program begins there, and getcwd proves that there is inside the root",
    };
    b.init(Rootfs::Cwd { path }, why);
    let wanted = &process.capabilities;
    b.from = "/process/capabilities/bounding".into();
    let every = (1 << crate::spec::CAPABILITIES.len()) - 1;
    let drop = every & !bits(&wanted.bounding);
    b.init(Process::DropBounding { drop }, "what is not in the bounding set can never be gained again");
    b.from = "/process/user".into();
    let mut gids: Vec<u32> = Vec::new();
    gids.extend_from_slice(&process.user.additional_gids);
    let if_allowed = b.users.limited && gids.is_empty();
    if !b.users.no_groups && !b.spec.keeps_groups() {
        b.init(Users::Groups { gids, if_allowed }, "the caller's supplementary groups stay outside");
    }
    if !filter_is_last(b.spec) {
        filter(b)?;
    }
    b.from = "/process/user".into();
    b.init(Users::Ids { uid: process.user.uid, gid: process.user.gid }, "the user that the program runs as");
    b.from = "/process/capabilities".into();
    // The kernel refuses what is effective and not permitted, inheritable and not in the bounding set, and ambient and not
    // both permitted and inheritable (capabilities(7)); the specification wants a warning, `Spec::warnings`.
    let permitted = bits(&wanted.permitted);
    let mut sets = CapabilitySets {
        effective: bits(&wanted.effective) & permitted,
        permitted,
        inheritable: bits(&wanted.inheritable) & bits(&wanted.bounding),
    };
    let ambient = bits(&wanted.ambient) & sets.permitted & sets.inheritable;
    let mut why = "root inside is not root of the machine";
    if keeps_right(b.spec) {
        let right = bits(&["CAP_SYS_ADMIN".into()]);
        sets.effective |= right;
        sets.permitted |= right;
        why = "the program's, and the right to load the filter at the end: execve takes that away";
    }
    b.init(Process::Capabilities { sets, ambient }, why);
    if process.no_new_privileges {
        b.from = "/process/noNewPrivileges".into();
        b.init(Process::NoNewPrivileges, "no set-user-id program may win back what was given up");
    }
    let (from, why) = match process.user.umask {
        Some(_) => ("/process/user/umask", "the configuration asks for this mask"),
        None => ("", "as with runc and crun: the caller's mask does not reach the program"),
    };
    b.from = from.into();
    let mask = process.user.umask.unwrap_or(0o022);
    b.init(Process::Umask { mask }, why);
    Ok(())
}

/// Whether the filter is loaded right before execve, so that it is asked about no other call of ours: a profile knows the
/// calls of programs, and need not know those of a runtime. With a listener it is so only where no right is missing then.
pub fn filter_is_last(spec: &crate::spec::Spec) -> bool {
    let profile = spec.linux.seccomp.as_ref();
    may_load(spec) || !profile.is_some_and(seccomp::listener)
}

/// A filter may be loaded with no_new_privs, or with CAP_SYS_ADMIN (seccomp(2)). Whether the program's own privileges do.
fn may_load(spec: &crate::spec::Spec) -> bool {
    let process = &spec.process;
    let has = |set: &[String]| set.iter().any(|name| name == "CAP_SYS_ADMIN");
    let (effective, permitted) = (&process.capabilities.effective, &process.capabilities.permitted);
    process.no_new_privileges || has(effective) && has(permitted)
}

/// Whether CAP_SYS_ADMIN is kept for loading the filter, though the program is not to have it. execve computes what is
/// permitted and effective from the inheritable, the bounding and the ambient set alone (capabilities(7)), and these are
/// the program's: it gets what it would have got.
fn keeps_right(spec: &crate::spec::Spec) -> bool {
    spec.linux.seccomp.is_some() && !may_load(spec) && filter_is_last(spec)
}

/// linux.seccomp, compiled.
fn filter(b: &mut Builder) -> Result<(), Problem> {
    let Some(profile) = &b.spec.linux.seccomp else {
        return Ok(());
    };
    if b.spec.fails_on_unknown_calls()
        && let Some((pointer, problem)) = seccomp::unknown(profile)
    {
        return Err(Problem { pointer, problem });
    }
    b.from = "/linux/seccomp".into();
    let op = Seccomp::Load {
        filter: seccomp::compile(profile)?,
        flags: seccomp::flags(profile),
        listener: seccomp::listener(profile),
    };
    b.init(op, "from here on the kernel answers each call as the profile says");
    Ok(())
}

/// Finding the program, waiting, becoming it.
pub fn program(b: &mut Builder) -> Result<(), Problem> {
    let process = &b.spec.process;
    let bad = |at: &str, problem: &str| Problem { pointer: at.into(), problem: problem.into() };
    let name = process.args.first().map_or("", String::as_str);
    let mut candidates = Vec::new();
    if name.contains('/') {
        candidates.push(c(name).map_err(|p| bad("/process/args/0", p))?);
    } else {
        let path = process.env.iter().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("");
        for directory in path.split(':') {
            let directory = if directory.is_empty() { "." } else { directory };
            candidates.push(c(&format!("{directory}/{name}")).map_err(|p| bad("/process/args/0", p))?);
        }
    }
    b.from = "/process/args/0".into();
    let named = c(name).map_err(|p| bad("/process/args/0", p))?;
    let look = b.wish.wait_for_start || b.wish.joins.is_some() || candidates.len() > 1;
    b.init(
        Process::Find { named, candidates, look },
        match b.wish.joins {
            None => "a program that is not there is said now, by create, not by start",
            Some(_) => "whoever execs waits to hear whether the program is there",
        },
    );
    let last = filter_is_last(b.spec);
    let asks = b.spec.linux.seccomp.as_ref().is_some_and(seccomp::listener);
    // `create` passes the listener on, whatever the order: an agent waits for it before it says `start`.
    let before_start = last && asks && b.wish.wait_for_start;
    if before_start {
        b.step = Step::Privileges;
        filter(b)?;
    }
    b.step = Step::Start;
    b.from = String::new();
    if b.wish.wait_for_start {
        b.init(Sync::TellReady, "create may put the container on record");
        b.init(Sync::AwaitGo, "a container that never came on record must not stay");
        b.init(Sync::AwaitStart, "the container is created; the program runs when `start` says so");
    } else {
        b.init(Sync::AwaitGo, "the host side first puts the container on record");
    }
    b.step = Step::Hooks;
    hooks::start_container(b)?;
    if last && !before_start {
        b.step = Step::Privileges;
        filter(b)?;
    }
    b.step = Step::Program;
    b.from = "/process/args".into();
    let mut argv = Vec::new();
    for (i, arg) in process.args.iter().enumerate() {
        argv.push(c(arg).map_err(|p| bad(&format!("/process/args/{i}"), p))?);
    }
    let envp = environment(&process.env)?;
    b.init(Process::Execve { argv, envp }, "from here on it is the container's program, and no longer ours");
    Ok(())
}

/// The program's environment. getenv(3) finds the first entry of a name, and of `process.env` the last one counts: so one entry
/// a name is left. An empty `HOME` counts as none, and the user's takes its place (`Rootfs::LookUpHome`).
pub fn environment(entries: &[String]) -> Result<Vec<CString>, Problem> {
    let mut names = BTreeSet::new();
    let mut all = Vec::with_capacity(entries.len());
    for (i, entry) in entries.iter().enumerate().rev() {
        let name = entry.split('=').next().unwrap_or("");
        if names.insert(name) && entry != "HOME=" {
            all.push(c(entry).map_err(|p| problem(&format!("/process/env/{i}"), p))?);
        }
    }
    all.reverse();
    Ok(all)
}
