//! The listing: a plan in words, one line a line, with the numbers that the trace shows. May touch: types.

use super::Step;
use super::op::{Born, Line, Op, Place, Plan};
use crate::outcome::Lane;
use alloc::ffi::CString;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

/// The whole listing. Steps head it, in the order in which they begin.
pub fn listing(plan: &Plan) -> String {
    let mut out = String::new();
    let lanes = [
        (Lane::Host, &plan.host, 1),
        (Lane::Bridge, &plan.bridge, plan.host.len() + 1),
        (Lane::Init, &plan.init, plan.host.len() + plan.bridge.len() + 1),
    ];
    for (lane, lines, first) in lanes.into_iter().filter(|(_, lines, _)| !lines.is_empty()) {
        let name = lane_name(lane as u8);
        let before = if out.is_empty() { "" } else { "\n" };
        out.push_str(&format!("{before}{name} lane: {}\n", lane_text(lane)));
        let mut step: Option<Step> = None;
        for (i, line) in lines.iter().enumerate() {
            if step != Some(line.step) {
                out.push_str(&format!("  {}\n", line.step.text().1));
                step = Some(line.step);
            }
            out.push_str(&show(first + i, line));
        }
    }
    out
}

/// A lane's name, as the trace has it.
pub fn lane_name(lane: u8) -> &'static str {
    match lane {
        0 => "host",
        1 => "init",
        2 => "bridge",
        5 => "holder",
        _ => "hook",
    }
}

fn lane_text(lane: Lane) -> &'static str {
    match lane {
        Lane::Host => "the runtime that was called",
        Lane::Bridge => "a stepping stone, where the kernel lets no process move itself",
        Lane::Init => "what becomes the container, from the clone on",
        Lane::Hook | Lane::InnerHook => "a hook",
        Lane::Holder => "what a user namespace begins with",
    }
}

fn show(number: usize, line: &Line) -> String {
    let from = if line.from.is_empty() { String::new() } else { format!("  [{}]", line.from) };
    format!("  {number:>3}  {}{from}\n         {}\n", describe(&line.op), line.why.0)
}

fn s(text: &CString) -> String {
    text.to_string_lossy().into_owned()
}

fn place(at: &Place) -> String {
    match at {
        Place::Rootfs { path, .. } if path.as_bytes() == b"." => "/".into(),
        Place::Rootfs { path, .. } => format!("/{}", s(path)),
        Place::Under { base, path } => format!("{}/{}", slot(*base), s(path)),
    }
}

fn slot(slot: super::Slot) -> &'static str {
    match slot {
        super::Slot::PROC => "/proc",
        super::Slot::DEV => "/dev",
        super::Slot::SYS => "/sys",
        super::Slot::ROOTFS => "/",
        _ => "that directory",
    }
}

/// The words of mount(2)'s flags, and of propagation.
fn flags(bits: u64) -> String {
    let words = [
        (libc::MS_RDONLY, "ro"),
        (libc::MS_NOSUID, "nosuid"),
        (libc::MS_NODEV, "nodev"),
        (libc::MS_NOEXEC, "noexec"),
        (libc::MS_SYNCHRONOUS, "sync"),
        (libc::MS_REMOUNT, "remount"),
        (libc::MS_MANDLOCK, "mand"),
        (libc::MS_DIRSYNC, "dirsync"),
        (256, "nosymfollow"),
        (libc::MS_NOATIME, "noatime"),
        (libc::MS_NODIRATIME, "nodiratime"),
        (libc::MS_BIND, "bind"),
        (libc::MS_MOVE, "move"),
        (libc::MS_REC, "rec"),
        (libc::MS_SILENT, "silent"),
        (libc::MS_UNBINDABLE, "unbindable"),
        (libc::MS_PRIVATE, "private"),
        (libc::MS_SLAVE, "slave"),
        (libc::MS_SHARED, "shared"),
        (libc::MS_RELATIME, "relatime"),
        (libc::MS_I_VERSION, "iversion"),
        (libc::MS_STRICTATIME, "strictatime"),
        (1 << 25, "lazytime"),
    ];
    let set: Vec<&str> = words.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, word)| *word).collect();
    set.join(",")
}

/// The names in a set of capabilities.
fn capabilities(set: u64) -> String {
    let all = crate::spec::CAPABILITIES;
    let names: Vec<&str> = all.iter().enumerate().filter(|(i, _)| set & 1 << i != 0).map(|(_, name)| *name).collect();
    match names.len() {
        0 => "nothing".into(),
        n if n == all.len() => "everything".into(),
        n if n > all.len() / 2 => {
            let others: Vec<&str> = all.iter().filter(|name| !names.contains(name)).copied().collect();
            format!("all but {}", others.join(" "))
        }
        _ => names.join(" "),
    }
}

/// What an op does, in words.
pub fn describe(op: &Op) -> String {
    match op {
        Op::OpenRootfs { path } => format!("open the rootfs {}", s(path)),
        Op::OpenSource { path, in_rootfs, recursive, .. } => format!(
            "open the mount source {}{}{}",
            if *in_rootfs { "of the rootfs /" } else { "" },
            s(path),
            if *recursive { " with all mounts below it" } else { "" }
        ),
        Op::MakeCgroup { path, optional, .. } => {
            format!("make the cgroup /{}{}", s(path), if *optional { ", if this user may" } else { "" })
        }
        Op::StartScope { scope, path } => {
            let all = scope.properties.iter().map(|(name, _)| name.as_str());
            let all: Vec<&str> = all.collect();
            format!("have systemd make the scope {}, cgroup /{}, with {}", scope.unit, s(path), all.join(", "))
        }
        Op::JoinScope(scope) => format!("have systemd move init into {}", scope.unit),
        Op::ReleaseScope => "end the process that held the scope".into(),
        Op::SetScope { unit, .. } => format!("tell systemd the limit of {unit}"),
        Op::EnableControllers { needed, .. } if needed.is_empty() => {
            "enable the usual controllers for the cgroup, as far as there are any".into()
        }
        Op::EnableControllers { needed, .. } => {
            format!("enable controllers for the cgroup: the usual ones, and {}", needed.join(", "))
        }
        Op::NeedController { name, .. } => {
            format!("unless that was done: enable the controller {name}")
        }
        Op::SetCgroup { setting } => {
            format!("set {} of the cgroup to {}", s(&setting.file), String::from_utf8_lossy(&setting.value))
        }
        Op::GiveCgroup { uid, gid } => format!("give the cgroup to user {uid}, group {gid}"),
        Op::DeviceProgram { program } => {
            format!("attach a device program of {} instructions to the cgroup", program.len())
        }
        Op::CloneCgroupTree { .. } => "copy the mount of the container's cgroup".into(),
        Op::Terminal(op) => op.describe(),
        Op::Caller(op) => op.describe(),
        Op::Channel => "make the channel between host and init".into(),
        Op::StartFifos => "make the fifos for `start`".into(),
        Op::HoldSignals => "hold all signals back".into(),
        Op::LookAtSignals => "look which signals the caller ignores".into(),
        Op::LookUpHome { uid } => {
            format!("look up the home directory of user {uid} in /etc/passwd of the rootfs")
        }
        Op::Clone { flags, born } => format!(
            "clone init{}{}",
            clone_words(*flags),
            match born {
                Born::Outside => "",
                Born::InCgroup => ", born inside the cgroup",
                Born::InCgroupIfAny => ", born inside the cgroup if there is one",
            }
        ),
        Op::Limit { resource, soft, hard } => format!(
            "set {} to {}, at most {}",
            crate::spec::RLIMITS.get(*resource as usize).unwrap_or(&"a limit"),
            limit(*soft),
            limit(*hard)
        ),
        Op::SaveState { .. } => "save state.json".into(),
        Op::AwaitReady => "wait until init is ready".into(),
        Op::PidFile { path } => format!("write the process id beside {}", s(path)),
        Op::PlacePidFile { path } => format!("put the process id in its place, {}", s(path)),
        Op::TellGo => "tell init to go on".into(),
        Op::AwaitExec => "wait for execve to succeed".into(),
        Op::RouteSocket => "open a socket to the kernel's network configuration".into(),
        Op::ReadNetDevice { device, .. } => {
            format!("look up the network device {device} and its addresses")
        }
        Op::AwaitAsk => "wait until init asks for the network devices".into(),
        Op::MoveNetDevice { device, .. } => {
            format!("move the network device {device} into the container's network namespace")
        }
        Op::TellMoved => "tell init that the network devices are there".into(),
        Op::FreeName { name } => format!("look whether the interface name {name} is free"),
        Op::AskNetDevices => "ask the host for the network devices".into(),
        Op::SetUpNetDevice { device, name, .. } => {
            format!("call the network device {device} {name}, set it up, give it its addresses")
        }
        Op::CloseHostEnd => "close the host's end of the channel".into(),
        Op::ClearUmask => "clear the umask".into(),
        Op::ReleaseSignals => "let all signals through, and ignore none".into(),
        Op::EndBySignals => "let the signals that ask for an end bring it, until execve".into(),
        Op::Session => "begin a session".into(),
        Op::Keyring { name } => format!("join a new session keyring {}", s(name)),
        Op::Unshare { flags } if *flags == libc::CLONE_NEWCGROUP as u32 => "enter a new cgroup namespace".into(),
        Op::Unshare { .. } => "make a new time namespace for its children".into(),
        Op::Propagation { flags: f } => format!("make every mount {}", flags(u64::from(*f))),
        Op::StandBeside { path } => format!("stand in /{}, and follow no links", s(path)),
        Op::BindBeside { source, path, .. } => format!("bind {} on /{}", s(source), s(path)),
        Op::LeaveBeside => "follow links again".into(),
        Op::AttachRootfs { path: None } => "attach the rootfs over /".into(),
        Op::AttachRootfs { path: Some(path) } => format!("attach the rootfs over {}", s(path)),
        Op::LookAtRootfs { path } => format!("look at the rootfs {}", s(path)),
        Op::OpenNamespace { path, kind, .. } => {
            format!("open the {kind} namespace {}", s(path))
        }
        Op::MappingNamespace { .. } => "make a user namespace that has this mapping".into(),
        Op::OpenHostProc => "open the host's procfs".into(),
        Op::SecurityModule { selinux: true } => "look whether SELinux is there".into(),
        Op::SecurityModule { selinux: false } => "look whether AppArmor is there".into(),
        Op::Resctrl { group, .. } => format!("make the resctrl group /{}", s(group)),
        Op::ResctrlJoin { group, .. } => format!("put init into the resctrl group /{}", s(group)),
        Op::HookOutput => "make the file for what hooks say".into(),
        Op::NoteCreating { .. } => "save creating.json".into(),
        Op::CloneBridge { flags } => format!("clone the bridge{}", clone_words(*flags)),
        Op::MapIds { helpers: None, .. } => "write the mappings of users and groups".into(),
        Op::MapIds { .. } => "have newuidmap and newgidmap write the mappings".into(),
        Op::TellMapped => "say that the ids are mapped".into(),
        Op::AwaitInit => "wait for the bridge to make init".into(),
        Op::AwaitMounted => "wait until all is mounted".into(),
        Op::TellPlaced => "say that init is in the scope".into(),
        Op::TellHooked => "say that the hooks have run".into(),
        Op::TellInit => "say which process init is".into(),
        Op::JoinNamespace { kind, .. } => format!("join the {kind} namespace"),
        Op::JoinContainer { flags } => {
            let kinds = namespaces(u64::from(*flags));
            format!("join the container's namespaces: {kinds}")
        }
        Op::Affinity { cpus } => {
            let bit = |n: &usize| cpus.get(n / 64).is_some_and(|word| word >> (n % 64) & 1 != 0);
            let all: Vec<usize> = (0..cpus.len() * 64).filter(bit).collect();
            format!("run on the processors {all:?} only")
        }
        Op::AnyProcessor => "run on every processor that the cgroup allows".into(),
        Op::RaiseLimit { resource, hard } => {
            let name = crate::spec::RLIMITS.get(*resource as usize);
            let (name, most) = (name.unwrap_or(&"a limit"), limit(*hard));
            format!("raise the hard limit of {name} to {most}, unless it is as high already")
        }
        Op::LookInside { .. } => "open the container's root for a look".into(),
        Op::Dumpable { dumpable: true } => "let the files in /proc be the user's".into(),
        Op::Dumpable { dumpable: false } => "let nobody look into this process".into(),
        Op::AwaitMapped => "wait until the ids are mapped".into(),
        Op::RootInside { uid, gid } => format!("become user {uid}, group {gid} inside"),
        Op::BoundDevice { base, name, .. } => {
            format!("bind the host's device on {}/{}", slot(*base), s(name))
        }
        Op::TellMounted => "say that all is mounted".into(),
        Op::AwaitPlaced => "wait until this process is in the scope".into(),
        Op::AwaitHooked => "wait until the hooks have run".into(),
        Op::Hook { hook } => format!("run the hook {}", s(&hook.path)),
        Op::PrivateProc => "make a procfs of its own".into(),
        Op::WriteProc { path, text, .. } => format!("write {:?} to /proc/{}", String::from_utf8_lossy(text), s(path)),
        Op::RootPropagation { flags: f } => format!("make / {}", flags(u64::from(*f))),
        Op::Scheduler { attr } => format!(
            "set the scheduling policy to {}",
            crate::spec::POLICIES.iter().find(|(_, number)| *number == attr.policy).map_or("", |(name, _)| name)
        ),
        Op::IoPriority { value } => format!("set the I/O priority to class {}, level {}", value >> 13, value & 7),
        Op::MemoryPolicy { mode, .. } => format!(
            "set the memory policy to {}",
            crate::spec::MEMORY_MODES.get((mode & 0xfff) as usize).unwrap_or(&"")
        ),
        Op::Personality { persona: 0 } => "take Linux's own personality".into(),
        Op::Personality { .. } => "take the personality of 32 bits".into(),
        Op::Enter { base } => format!("go to {}", slot(*base)),
        Op::Mount { at, kind, flags: f, data, .. } => {
            let mut options = flags(u64::from(*f));
            if let Some(data) = data {
                let comma = if options.is_empty() { "" } else { "," };
                options = format!("{options}{comma}{}", s(data));
            }
            let options = if options.is_empty() { options } else { format!(" ({options})") };
            format!("mount {} on {}{options}", s(kind), place(at))
        }
        Op::Attach { at, .. } => format!("attach the opened tree on {}", place(at)),
        Op::Remount { at, flags: f, .. } => {
            format!("remount {} ({})", place(at), flags(u64::from(*f)))
        }
        Op::Alter { at, .. } => format!("change the properties of the mount on {}", place(at)),
        Op::OpenDirectory { path, .. } => format!("open /{}, made if missing", s(path)),
        Op::Directory { base, name, mode } => {
            format!("make the directory {}/{} (mode {mode:04o})", slot(*base), s(name))
        }
        Op::Device { base, name, mode, major, minor, .. } => {
            let letter = match mode & libc::S_IFMT {
                libc::S_IFBLK => "b",
                libc::S_IFIFO => "p",
                _ => "c",
            };
            format!(
                "make the device {}/{} ({letter} {major}:{minor}, mode {:04o})",
                slot(*base),
                s(name),
                mode & 0o7777
            )
        }
        Op::Link { base, name, target, .. } => format!("link {}/{} to {}", slot(*base), s(name), s(target)),
        Op::OpenNull { check: true } => "open /dev/null and check that it is the null device".into(),
        Op::OpenNull { check: false } => "open the /dev/null that was made".into(),
        Op::MakeCwd { path } => format!("make the working directory /{} if it is missing", s(path)),
        Op::PivotRoot { .. } => "switch the root, unmount the host's".into(),
        Op::Chroot => "change the root to the rootfs".into(),
        Op::MoveRoot { .. } => "unmount the host's mounts, chroot into the rootfs that lies over /".into(),
        Op::Mask { at, .. } => format!("mask {}", place(at)),
        Op::ReadonlyPath { at } => format!("make {} read-only", place(at)),
        Op::ReadonlyRoot => "make / read-only".into(),
        Op::Hostname { name } => format!("set the host name to {}", String::from_utf8_lossy(name)),
        Op::Domainname { name } => {
            format!("set the domain name to {}", String::from_utf8_lossy(name))
        }
        Op::LoopbackUp => "bring lo up".into(),
        Op::Cwd { path } => format!("change the working directory to {}", s(path)),
        Op::DropBounding { drop } => format!("drop from the bounding set {}", capabilities(*drop)),
        Op::Groups { gids, .. } => format!("set the supplementary groups to {gids:?}"),
        Op::Ids { uid, gid } => format!("become user {uid}, group {gid}"),
        Op::Capabilities { sets, ambient } => format!(
            "set the capabilities: effective {}; permitted {}; inheritable {}; ambient {}",
            capabilities(sets.effective),
            capabilities(sets.permitted),
            capabilities(sets.inheritable),
            capabilities(*ambient)
        ),
        Op::Seccomp { filter, .. } => {
            format!("load a seccomp filter of {} instructions", filter.len())
        }
        Op::PassListener { path, .. } => format!("pass the seccomp listener to {}", s(path)),
        Op::NoNewPrivileges => "set no_new_privs".into(),
        Op::CloseDescriptors { first } => {
            format!("close all descriptors from {first} on, but the ones for talking with the host")
        }
        Op::Umask { mask } => format!("set the umask to {mask:04o}"),
        Op::FindProgram { named, candidates, .. } if candidates.len() == 1 => {
            format!("look for the program {}", s(named))
        }
        Op::FindProgram { named, .. } => format!("look for the program {} in PATH", s(named)),
        Op::AwaitGo => "wait for the host's word".into(),
        Op::TellReady => "say that all is made".into(),
        Op::AwaitStart => "wait for `start`".into(),
        Op::Execve { argv, .. } => format!("execve {}", argv.first().map_or(String::new(), s)),
    }
}

fn clone_words(flags: u64) -> String {
    match namespaces(flags) {
        words if words.is_empty() => words,
        words => format!(" in new namespaces: {words}"),
    }
}

/// The kinds of namespaces in a set of clone(2)'s flags.
fn namespaces(flags: u64) -> String {
    let words = [
        (libc::CLONE_NEWNS, "mount"),
        (libc::CLONE_NEWCGROUP, "cgroup"),
        (libc::CLONE_NEWUTS, "uts"),
        (libc::CLONE_NEWIPC, "ipc"),
        (libc::CLONE_NEWUSER, "user"),
        (libc::CLONE_NEWPID, "pid"),
        (libc::CLONE_NEWNET, "network"),
        (libc::CLONE_NEWTIME, "time"),
    ];
    let set: Vec<&str> = words.iter().filter(|(bit, _)| flags & *bit as u64 != 0).map(|(_, word)| *word).collect();
    set.join(" ")
}

fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".into() } else { value.to_string() }
}
