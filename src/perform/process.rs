//! The init lane: from the first instruction after clone3 to execve. It walks prepared lines; nothing in here
//! allocates, parses or decides what could have been decided before. May touch: plan types, system calls.

use super::files;
use super::sync::{self, Report};
use super::{Lanes, hooks, mounts, namespaces, net_devices, terminal};
use crate::outcome::Lane;
use crate::outcome::{Check, Done, Trouble};
use crate::plan::op::{Born, Devices, Hooks, Mounts, Namespaces, Network, Op, Process, Rootfs, Seccomp, Sync, Users};
use crate::plan::{Line, Slot};
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::abi::{IfReq, SockFilter};
use syscalls::{At, CapabilitySets, Disposition, Errno, SigSet, Vector, Why};

/// Walks init's lines; the last one does not return.
pub fn walk(lanes: &mut Lanes) -> ! {
    let plan = lanes.plan;
    let first = (plan.host.len() + plan.bridge.len()) as u16 + 1;
    let mut init = Init { found: None, started: false };
    for (i, line) in plan.init.iter().enumerate() {
        let number = first + i as u16;
        syscalls::record::at(Lane::Init as u8, number, line.step as u16);
        if let Err(trouble) = perform(lanes, &mut init, line) {
            let report = Report { line: number, trouble };
            stop(lanes, init.started, report);
        }
    }
    syscalls::exit_group(1, Why("a plan ends with execve"))
}

/// Walks the bridge's lines. It makes init and ends.
pub fn walk_bridge(lanes: &mut Lanes) -> ! {
    let plan = lanes.plan;
    let first = plan.host.len() as u16 + 1;
    let mut none = Init { found: None, started: false };
    for (i, line) in plan.bridge.iter().enumerate() {
        let number = first + i as u16;
        syscalls::record::at(Lane::Bridge as u8, number, line.step as u16);
        let done = match &line.op {
            Op::Namespaces(Namespaces::Clone { flags, born }) => {
                make_init(lanes, *flags, *born != Born::Outside, line.why)
            }
            _ => perform(lanes, &mut none, line),
        };
        if let Err(trouble) = done {
            let report = Report { line: number, trouble };
            stop(lanes, false, report);
        }
    }
    syscalls::exit_group(0, Why("init is there: nobody needs a bridge any more"))
}

/// Bridge: init, as a child of the host's.
fn make_init(lanes: &mut Lanes, flags: u64, cgroup: bool, why: Why) -> Done {
    let into = (cgroup && lanes.has(Slot::CGROUP)).then(|| lanes.at(Slot::CGROUP));
    match clone_into(lanes, flags, into, why)? {
        syscalls::Cloned::Child => walk(lanes),
        syscalls::Cloned::Parent { pid, pidfd } => {
            lanes.pid = pid;
            pidfd.leak(); // the end of this process closes it
            Ok(())
        }
    }
}

/// clone3 into a cgroup. Below a threaded cgroup a new one holds no process until it is threaded, too (cgroup-v2.rst,
/// "Threads").
pub fn clone_into(lanes: &Lanes, flags: u64, into: Option<At>, why: Why) -> syscalls::Result<syscalls::Cloned> {
    let first = syscalls::clone3(flags, into, Lane::Init as u8, why);
    let (Err(failed), Some(group)) = (&first, into) else {
        return first;
    };
    if failed.errno != Errno::EOPNOTSUPP || crate::host::cgroup::make_threaded(group, lanes.cgroup_made).is_err() {
        return first;
    }
    syscalls::clone3(flags, into, Lane::Init as u8, why)
}

/// Whether others of this user may look into the process, and whose its files in /proc are (proc(5)).
pub fn dumpable(dumpable: bool, why: Why) -> Done {
    syscalls::prctl(libc::PR_SET_DUMPABLE as u32, dumpable as usize, why)?;
    Ok(())
}

/// What init keeps between its lines.
struct Init<'a> {
    found: Option<&'a CStr>,
    /// `start` has given its word.
    started: bool,
}

/// Tells whoever waits, and ends.
fn stop(lanes: &Lanes, started: bool, report: Report) -> ! {
    // After the start byte the one who waits reads the report fifo; before, and in `run`, the channel.
    let to = lanes.at(if started { Slot::REPORT } else { Slot::INIT_END });
    let mut message = [0; sync::LONGEST];
    let hook = lanes.plan.line(report.line).and_then(|line| match &line.op {
        Op::Hooks(Hooks::Run { hook }) => Some((line.from.as_bytes(), hook.path.to_bytes())),
        _ => None,
    });
    let len = report.encode(hook, &mut message);
    let why = Why("the runtime that waits learns which call failed");
    let _ = syscalls::write(to, &message[..len], why);
    syscalls::exit_group(1, Why("a container that cannot be made whole must not run"))
}

fn perform<'a>(lanes: &mut Lanes<'a>, init: &mut Init<'a>, line: &'a Line) -> Done {
    let why = line.why;
    match &line.op {
        Op::Process(Process::ClearUmask) => drop(syscalls::umask(0, why)),
        Op::Process(Process::ReleaseSignals) => release_signals(lanes.ignored, why)?,
        Op::Process(Process::EndBySignals) => {
            use libc::{SIGABRT, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
            syscalls::end_by(&[SIGHUP, SIGINT, SIGQUIT, SIGABRT, SIGTERM], why)?
        }
        Op::Sync(Sync::CloseHostEnd) => {
            if let Some(end) = lanes.take(Slot::CHANNEL) {
                end.close(why)?;
            }
        }
        Op::Process(Process::Limit { resource, soft, hard }) => syscalls::prlimit64(0, *resource, *soft, *hard, why)?,
        Op::Sync(Sync::TellInit) => sync::tell_init(lanes, why)?,
        Op::Process(Process::Affinity { cpus }) => syscalls::sched_setaffinity(cpus, why)?,
        Op::Namespaces(Namespaces::JoinContainer { flags }) => namespaces::join(lanes, Slot::CONTAINER, *flags, why)?,
        Op::Namespaces(Namespaces::Join { slot, flags, .. }) => namespaces::join(lanes, *slot, *flags, why)?,
        Op::Users(Users::Dumpable { dumpable: to }) => dumpable(*to, why)?,
        Op::Users(Users::RootInside { uid, gid }) => namespaces::root_inside(*uid, *gid, why)?,
        Op::Sync(Sync::TellMounted) => sync::tell_ready(lanes, why)?,
        Op::Sync(Sync::AwaitMapped) | Op::Sync(Sync::AwaitPlaced) | Op::Sync(Sync::AwaitHooked) => {
            sync::await_go(lanes, why)?
        }
        Op::Hooks(Hooks::Run { hook }) => {
            let pid = syscalls::getpid(Why("the state tells the hook this process's number inside"));
            let given = hooks::Given { pid, output: lanes.at(Slot::HOOK_OUTPUT), home: lanes.home.as_deref() };
            hooks::run(hook, given, &mut lanes.hook_room, Lane::InnerHook, why)?
        }
        Op::Namespaces(Namespaces::PrivateProc) => namespaces::private_proc(lanes, why)?,
        Op::Namespaces(Namespaces::WriteProc { base, path, text }) => {
            namespaces::write_proc(lanes.at(*base), path, text, why)?
        }
        Op::Process(Process::Scheduler { attr }) => syscalls::sched_setattr(0, attr, why)?,
        Op::Process(Process::IoPriority { value }) => syscalls::ioprio_set(0, *value, why)?,
        Op::Process(Process::MemoryPolicy { mode, nodes }) => syscalls::set_mempolicy(*mode, nodes, why)?,
        Op::Process(Process::Personality { persona }) => syscalls::personality(*persona, why)?,
        Op::Process(Process::AnyProcessor) => any_processor(why)?,
        Op::Process(Process::Session) => syscalls::setsid(why)?,
        Op::Process(Process::Keyring { name }) => keyring(name, why)?,
        Op::Namespaces(Namespaces::Unshare { flags }) => syscalls::unshare(*flags, why)?,
        Op::Mounts(Mounts::Enter { base }) => syscalls::fchdir(lanes.at(*base), why)?,
        Op::Rootfs(Rootfs::MakeCwd { path }) => {
            files::resolve_or_make(lanes.at(Slot::ROOTFS), path, || Ok(files::Leaf::Directory), true, why)?;
        }
        Op::Devices(Devices::OpenDirectory { path, slot, own }) => open_directory(lanes, path, *slot, *own, why)?,
        Op::Devices(Devices::Directory { base, name, mode }) => syscalls::mkdirat(lanes.at(*base), name, *mode, why)?,
        Op::Devices(Devices::Node { base, .. }) if lanes.makes_in(*base) => device(lanes, line)?,
        Op::Devices(Devices::Link { base, name, target, replace }) if lanes.makes_in(*base) => {
            link(lanes.at(*base), name, target, *replace, why)?
        }
        Op::Namespaces(Namespaces::Hostname { name }) => syscalls::sethostname(name, why)?,
        Op::Namespaces(Namespaces::Domainname { name }) => syscalls::setdomainname(name, why)?,
        Op::Network(Network::LoopbackUp) => loopback_up(why)?,
        Op::Process(Process::CloseDescriptors { first }) => close_descriptors(lanes, *first, why)?,
        Op::Network(Network::Socket) => lanes.put(Slot::ROUTE, syscalls::socket_route(why)?),
        Op::Network(Network::FreeName { name }) => net_devices::must_be_free(lanes.at(Slot::ROUTE), name, why)?,
        Op::Sync(Sync::AskNetDevices) => {
            sync::tell_ready(lanes, why)?;
            sync::await_go(lanes, Why("the host moves them"))?;
        }
        Op::Network(Network::SetUp { number, .. }) => net_devices::set_up(lanes, *number, why)?,
        Op::Terminal(op) => terminal::perform(lanes, op, why)?,
        Op::Rootfs(Rootfs::Cwd { path }) => cwd(path, why)?,
        Op::Process(Process::DropBounding { drop }) => drop_bounding(*drop, why)?,
        Op::Users(Users::Groups { gids, if_allowed }) => match syscalls::setgroups(gids, why) {
            Err(failed) if *if_allowed && failed.errno == Errno::EPERM => {}
            set => set?,
        },
        Op::Users(Users::Ids { uid, gid }) => ids(*uid, *gid, why)?,
        Op::Process(Process::Capabilities { sets, ambient }) => capabilities(sets, *ambient, why)?,
        Op::Process(Process::NoNewPrivileges) => drop(syscalls::prctl(libc::PR_SET_NO_NEW_PRIVS as u32, 1, why)?),
        Op::Seccomp(Seccomp::Load { filter, flags, listener }) => seccomp(filter, *flags, *listener, why)?,
        Op::Process(Process::Umask { mask }) => drop(syscalls::umask(*mask, why)),
        Op::Process(Process::Find { candidates, look, .. }) => init.found = Some(find_program(candidates, *look, why)?),
        Op::Sync(Sync::AwaitGo) => sync::await_go(lanes, why)?,
        Op::Sync(Sync::TellReady) => sync::tell_ready(lanes, why)?,
        Op::Sync(Sync::AwaitStart) => {
            sync::await_start(lanes, why)?;
            init.started = true;
        }
        Op::Process(Process::Execve { argv, envp }) => {
            let program = init.found.ok_or(Trouble::Check(Check::ProgramNotFound))?;
            return Err(Trouble::Call(execve(lanes, program, argv, envp, why)));
        }
        _ => mounts::perform(lanes, line)?,
    }
    Ok(())
}

fn release_signals(ignored: SigSet, why: Why) -> Done {
    for signal in (1..=64).filter(|n| ignored.0 & 1 << (n - 1) != 0) {
        let why = Why("a signal that the caller ignores, the program must not have to ignore");
        syscalls::rt_sigaction(signal, Disposition::Default, why)?;
    }
    syscalls::rt_sigprocmask(SigSet::EMPTY, why)?;
    Ok(())
}

/// As many bits as runc sets: the kernel leaves out what is not there, and what the cgroup's cpuset does not allow. Where a
/// filter around us refuses the call, the caller's affinity stays.
fn any_processor(why: Why) -> Done {
    match syscalls::sched_setaffinity(&[u64::MAX; 16], why) {
        Err(failed) if [Errno::EPERM, Errno::ENOSYS].contains(&failed.errno) => Ok(()),
        set => Ok(set?),
    }
}

/// A kernel without keyrings, or an engine's filter around us, leaves nothing to join: then nothing is shared either.
fn keyring(name: &CStr, why: Why) -> Done {
    match syscalls::keyctl_join_session_keyring(name, why) {
        Err(f) if f.errno == Errno::ENOSYS || f.errno == Errno::EDQUOT || f.errno == Errno::EPERM => Ok(()),
        other => Ok(other?),
    }
}

/// A directory for devices, made if it is missing. `own`: what lies on another mount is not the container's alone, so
/// nothing is made there (and of /dev, which has the null device, only that is used).
fn open_directory(lanes: &mut Lanes, path: &CStr, slot: Slot, own: bool, why: Why) -> Done {
    let (root, directory) = (lanes.at(Slot::ROOTFS), || Ok(files::Leaf::Directory));
    if !own {
        let fd = files::resolve_or_make(root, path, directory, true, why)?;
        lanes.put(slot, fd);
        return Ok(());
    }
    match files::resolve_or_make_own(root, path, directory, why) {
        Ok(fd) => lanes.put(slot, fd),
        Err(Trouble::Call(failed)) if failed.errno == Errno::EXDEV && slot == Slot::DEV => {
            let fd = files::resolve(root, path, files::O_DIRECTORY, true, why)?;
            lanes.dev_is_lent = true;
            lanes.put(slot, fd);
        }
        Err(Trouble::Call(failed)) if failed.errno == Errno::EXDEV => {}
        Err(trouble) => return Err(trouble),
    }
    Ok(())
}

fn device(lanes: &Lanes, line: &Line) -> Done {
    let Op::Devices(Devices::Node { base, name, mode, major, minor, uid, gid }) = &line.op else {
        return Ok(());
    };
    let dir = lanes.at(*base);
    let fifo = mode & libc::S_IFMT == libc::S_IFIFO;
    let made = match fifo {
        true => syscalls::mknodat(dir, name, *mode, line.why),
        false => syscalls::mknodat_device(dir, name, *mode, *major, *minor, line.why),
    };
    if let Err(failed) = made {
        if failed.errno != Errno::EEXIST {
            return Err(failed.into());
        }
        // What an image or a mount put there may stay if it is what was asked for (config-linux.md, "Devices").
        let why = Why("what stands there may stay if it is the same device");
        let found = syscalls::newfstatat(dir, name, libc::AT_SYMLINK_NOFOLLOW as u32, why)?;
        let same_kind = found.st_mode & libc::S_IFMT == mode & libc::S_IFMT;
        let same = same_kind && (fifo || found.st_rdev == libc::makedev(*major, *minor));
        return if same { Ok(()) } else { Err(Trouble::Check(Check::OtherDevice)) };
    }
    if (*uid, *gid) != (0, 0) {
        let why = Why("the configuration gives the device to this user");
        syscalls::fchownat(dir, name, *uid, *gid, libc::AT_SYMLINK_NOFOLLOW as u32, why)?;
    }
    Ok(())
}

fn link(dir: At, name: &CStr, target: &CStr, replace: bool, why: Why) -> Done {
    match syscalls::symlinkat(target, dir, name, why) {
        Err(failed) if failed.errno == Errno::EEXIST && replace => {}
        Err(failed) if failed.errno == Errno::EEXIST => return Ok(()),
        other => return Ok(other?),
    }
    match syscalls::unlinkat(dir, name, 0, Why("the image's own must give way")) {
        // A mount stands there that the configuration asked for.
        Err(failed) if failed.errno == Errno::EBUSY => return Ok(()),
        removed => removed?,
    }
    Ok(syscalls::symlinkat(target, dir, name, why)?)
}

fn loopback_up(why: Why) -> Done {
    let socket = syscalls::socket_inet(Why("network interfaces are asked through a socket (netdevice(7))"))?;
    let mut lo = IfReq::new(b"lo");
    lo.flags = libc::IFF_UP as i16;
    syscalls::ioctl_ifreq(socket.at(), libc::SIOCSIFFLAGS as u32, &mut lo, why)?;
    socket.leak(); // execve closes it
    Ok(())
}

/// Close-on-exec would be too late: execve looks up the program, and the interpreter that the program names, while
/// all descriptors are still open. What is kept is a socket and two fifos, through which no path leads anywhere.
fn close_descriptors(lanes: &Lanes, first: u32, why: Why) -> Done {
    let kept = [Slot::INIT_END, Slot::START, Slot::REPORT, Slot::HOOK_OUTPUT];
    let mut kept = kept.map(|slot| lanes.at(slot).raw());
    kept.sort_unstable();
    let mut from = first;
    for fd in kept.iter().filter_map(|fd| u32::try_from(*fd).ok()) {
        if from < fd {
            syscalls::close_range(from, fd - 1, why)?;
        }
        from = from.max(fd + 1);
    }
    Ok(syscalls::close_range(from, u32::MAX, why)?)
}

/// A current directory outside the root would be a way back to the host, however the path came to lead there
/// (CVE-2024-21626): getcwd says `(unreachable)` then, which is no absolute path. `/` is the root itself.
fn cwd(path: &CStr, why: Why) -> Done {
    syscalls::chdir(path, why)?;
    if path == c"/" {
        return Ok(());
    }
    let mut buffer = [0u8; 4096];
    let here = syscalls::getcwd(&mut buffer, Why("a directory outside the root has no absolute path"))?;
    if here.first() == Some(&b'/') { Ok(()) } else { Err(Trouble::Check(Check::CwdOutside)) }
}

/// The last call of ours that nobody filters, or nearly so.
fn seccomp(filter: &[SockFilter], flags: u32, listener: bool, why: Why) -> Done {
    const TSYNC: u32 = 1;
    const NEW_LISTENER: u32 = 8;
    // Its result says one thing: the descriptor, so that a thread that is out of step has to be an errno (seccomp(2)).
    const TSYNC_ESRCH: u32 = 0x10;
    let flags = match listener {
        true if flags & TSYNC != 0 => flags | NEW_LISTENER | TSYNC_ESRCH,
        true => flags | NEW_LISTENER,
        false => flags,
    };
    let descriptor = syscalls::seccomp_set_mode_filter(filter, flags, why)?;
    match listener {
        true => super::listener::offer(descriptor),
        false => Ok(()),
    }
}

fn drop_bounding(drop: u64, why: Why) -> Done {
    for capability in (0..64).filter(|n| drop & (1 << n) != 0) {
        match syscalls::prctl(libc::PR_CAPBSET_DROP as u32, capability, why) {
            // This kernel knows no capability of that number, nor any above it.
            Err(failed) if failed.errno == Errno::EINVAL => break,
            other => other.map(core::mem::drop)?,
        }
    }
    Ok(())
}

/// A change from user 0 to another clears the permitted set unless told otherwise (capabilities(7), "Effect of user
/// ID changes on capabilities"); what the program shall have is set right after.
fn ids(uid: u32, gid: u32, why: Why) -> Done {
    syscalls::setresgid(gid, why)?;
    if uid != 0 {
        syscalls::prctl(libc::PR_SET_KEEPCAPS as u32, 1, Why("the capabilities are chosen after the change of user"))?;
    }
    Ok(syscalls::setresuid(uid, why)?)
}

/// Shrinking the inheritable set empties the ambient one, so what the caller had there is gone.
fn capabilities(sets: &CapabilitySets, ambient: u64, why: Why) -> Done {
    let mut ambient = ambient;
    match syscalls::capset(sets, why) {
        // Of what this process does not have itself nothing can be given: that is a warning, and no error (config.md,
        // "Linux Process").
        Err(failed) if failed.errno == Errno::EPERM => {
            let held = syscalls::capget(why)?.permitted;
            let rest = CapabilitySets {
                effective: sets.effective & held,
                permitted: sets.permitted & held,
                inheritable: sets.inheritable & held,
            };
            if rest == *sets {
                return Err(failed.into());
            }
            ambient &= held;
            syscalls::capset(&rest, why)?;
            let wanted = sets.effective | sets.permitted | sets.inheritable;
            let left_out = &syscalls::room::slate().left_out;
            left_out.fetch_or(wanted & !held, core::sync::atomic::Ordering::Release);
        }
        set => set?,
    }
    for capability in (0..64u32).filter(|n| ambient & (1 << n) != 0) {
        let why = Why("an ambient capability survives execve of a program without file capabilities");
        syscalls::prctl_ambient(libc::PR_CAP_AMBIENT_RAISE as u32, capability, why)?;
    }
    Ok(())
}

/// The first candidate that is a file which this user may execute. Errors are execvp's: not found anywhere, or found
/// and not permitted.
fn find_program(candidates: &[CString], look: bool, why: Why) -> Done<&CStr> {
    let mut refused = None;
    for path in candidates {
        let access = libc::AT_EACCESS as u32;
        match syscalls::faccessat2(At::CWD, path, libc::X_OK as u32, access, why) {
            Ok(()) if !look => return Ok(path),
            Ok(()) => {}
            // Of X_OK the kernel says neither: an engine's filter around us does not know the call. execve will tell.
            Err(failed) if [Errno::ENOSYS, Errno::EPERM].contains(&failed.errno) => {}
            Err(failed) if candidates.len() == 1 => return Err(failed.into()),
            Err(failed) if [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno) => continue,
            Err(failed) => {
                refused.get_or_insert(failed);
                continue;
            }
        }
        let why = Why("a directory can be searched, but not executed");
        match syscalls::newfstatat(At::CWD, path, 0, why) {
            Ok(stat) if stat.st_mode & libc::S_IFMT == libc::S_IFREG => return Ok(path),
            Ok(_) => {}
            Err(failed) if candidates.len() == 1 => return Err(failed.into()),
            Err(failed) => {
                let gone = [Errno::ENOENT, Errno::ENOTDIR].contains(&failed.errno);
                (!gone).then(|| refused.get_or_insert(failed));
            }
        }
    }
    match refused {
        Some(failed) => Err(failed.into()),
        None => Err(Trouble::Check(Check::ProgramNotFound)),
    }
}

/// The vectors of pointers were allocated before the clone; here they are filled.
fn execve(lanes: &mut Lanes, program: &CStr, argv: &[CString], envp: &[CString], why: Why) -> syscalls::Failed {
    let argv = Vector::new(argv.iter().map(CString::as_c_str), &mut lanes.argv);
    let home = lanes.home.as_deref();
    let envp = Vector::new(envp.iter().map(CString::as_c_str).chain(home), &mut lanes.envp);
    syscalls::execve(program, &argv, &envp, why)
}
