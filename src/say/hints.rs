//! What to try, by what failed: data, and the only place for it. May touch: types.

use crate::outcome::{Check, Trouble};
use crate::plan::op::{Cgroup, Devices, Mounts, Namespaces, Network, Op, Process, Rootfs, Terminal, Users};
use syscalls::Call;
use syscalls::Errno;

pub const NO_MOUNT_THERE: &str =
    "nothing is mounted at that name itself; /proc/PID/mountinfo of the container lists its mounts";
pub const LOG_DAEMON: &str = "start that daemon, or name a file: --log file:PATH";
pub const MAPPING_HELPERS: &str = "a line in /etc/subuid and in /etc/subgid that gives the caller these ids";
pub const PROGRAM_PATH: &str = "look at PATH in process.env and at the rootfs's directories that it names";
pub const PROGRAM_MISSING: &str = "put the program into the rootfs, or name another in process.args";
pub const PROGRAM_DENIED: &str = "give the file its x bits, or run it as a user that may execute it";

/// A device of config.json where only the host's node can be bound.
pub const NO_HOST_NODE: &str = "in a user namespace no device can be made, and the host has no node there to bind: make it on the host (mknod), or leave the device out";

const NO_DEVPTS: &str = "a mount of type devpts at /dev/pts, as `nk-runtime spec` has it, or process.terminal false";

/// One row: a call, an errno, an op to narrow it (or any), and the advice. The first that fits counts.
struct Row(Option<Call>, Errno, fn(Option<&Op>) -> bool, &'static str);

fn any(_: Option<&Op>) -> bool {
    true
}

const ROWS: &[Row] = &[
    Row(
        Some(Call::named("execve")),
        Errno::ENOENT,
        any,
        "the file is there, so its interpreter is not: the loader of a dynamic program, or what its first line `#!` names (a line that ends in CR names nothing)",
    ),
    Row(
        Some(Call::named("execve")),
        Errno::ENOEXEC,
        any,
        "a program for this machine, or a script that begins with `#!`",
    ),
    Row(
        Some(Call::named("execve")),
        Errno::EACCES,
        any,
        "look for a missing x bit, or a noexec mount on the way to it",
    ),
    Row(Some(Call::named("execve")), Errno::E2BIG, any, "fewer or shorter process.args and process.env"),
    Row(
        None,
        Errno::EINVAL,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::NeedController { .. }))),
        "this kernel knows no such controller: /sys/fs/cgroup/cgroup.controllers lists those it has",
    ),
    Row(
        None,
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::NeedController { .. }))),
        "the cgroup above, or this kernel, has no such controller: cgroup.controllers of the cgroups on the way lists those there are; one that a version 1 hierarchy holds is not among them",
    ),
    Row(
        None,
        Errno::EBUSY,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::NeedController { .. }))),
        "a cgroup on the way holds processes itself, and a cgroup has processes or hands controllers down: another cgroupsPath",
    ),
    Row(
        None,
        Errno::EACCES,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::NeedController { .. }) | Op::Cgroup(Cgroup::Make { .. }))),
        "nothing is delegated to this user there: run it in a cgroup that is, such as `systemd-run --user --scope -p Delegate=yes` makes, or leave the limits out",
    ),
    Row(
        None,
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::Set { .. }))),
        "this kernel's controller has no such file: look at the cgroup's directory for those there are",
    ),
    Row(
        None,
        Errno::ENODEV,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::Set { .. }))),
        "there is no block device of that number: lsblk shows them",
    ),
    Row(
        None,
        Errno::EOPNOTSUPP,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::Set { .. }))),
        "a device has a weight of its own under the scheduler bfq, or when io.cost.qos is enabled for it",
    ),
    Row(
        None,
        Errno::EINVAL,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::Set { setting })) if setting.file.as_c_str() == c"cpu.weight"),
        "a cgroup with cpu.idle has no weight: set cpu.idle to 0 with it",
    ),
    Row(
        None,
        Errno::EINVAL,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::Set { .. }))),
        "the kernel does not take this value for this file: the least and the greatest stand in its cgroup-v2 documentation",
    ),
    Row(
        None,
        Errno::ERANGE,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::Set { .. }))),
        "the value is out of range for this file: the least and the greatest stand in its cgroup-v2 documentation",
    ),
    Row(None, Errno::ENOENT, |op| matches!(op, Some(Op::Terminal(Terminal::Open { .. }))), NO_DEVPTS),
    Row(
        Some(Call::named("connect")),
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Terminal(_) | Op::Callers(_))),
        "whoever calls makes that socket, and listens there, before",
    ),
    Row(
        Some(Call::named("connect")),
        Errno::ECONNREFUSED,
        |op| matches!(op, Some(Op::Terminal(_) | Op::Callers(_))),
        "nobody listens at that socket any more",
    ),
    Row(
        Some(Call::named("open_tree")),
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Rootfs(Rootfs::Open { .. }))),
        "make that directory, or correct root.path: it is relative to the bundle",
    ),
    Row(
        Some(Call::named("openat2")),
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Mounts(Mounts::OpenSource { .. }))),
        "make the source, in the rootfs or by an earlier mount, or correct the mount's `source`",
    ),
    Row(
        Some(Call::named("open_tree")),
        Errno::ENOENT,
        any,
        "make the source, or correct the mount's `source`: it is relative to the bundle",
    ),
    Row(Some(Call::named("open_tree")), Errno::EPERM, any, "mounts need root, or CAP_SYS_ADMIN: run this as root"),
    Row(
        Some(Call::named("move_mount")),
        Errno::ENOTDIR,
        any,
        "source and destination must both be directories, or both be files",
    ),
    Row(
        Some(Call::named("move_mount")),
        Errno::EINVAL,
        |op| matches!(op, Some(Op::Mounts(Mounts::Attach { .. }))),
        "source and destination must both be directories, or both be files",
    ),
    Row(
        Some(Call::named("mount")),
        Errno::EINVAL,
        any,
        "one of its options is unknown to this file system, or its value is wrong: `dmesg` may name it",
    ),
    Row(
        Some(Call::named("mount")),
        Errno::ENODEV,
        any,
        "this kernel has no such file system: look at `type`, or load its module",
    ),
    Row(
        Some(Call::named("mount")),
        Errno::EPERM,
        any,
        "an outer container or a user namespace hides part of what this would show; or this is not root",
    ),
    Row(
        Some(Call::named("clone3")),
        Errno::EPERM,
        |op| matches!(op, Some(Op::Namespaces(Namespaces::Clone { flags, .. }) | Op::Namespaces(Namespaces::CloneBridge { flags })) if flags & libc::CLONE_NEWUSER as u64 != 0),
        "user namespaces are switched off for this user: look at /proc/sys/user/max_user_namespaces, kernel.unprivileged_userns_clone and kernel.apparmor_restrict_unprivileged_userns",
    ),
    Row(Some(Call::named("clone3")), Errno::EPERM, any, "new namespaces need root, or CAP_SYS_ADMIN: run this as root"),
    Row(Some(Call::named("clone3")), Errno::ENOSPC, any, "a limit of /proc/sys/user/max_*_namespaces is reached"),
    Row(
        Some(Call::named("clone3")),
        Errno::EAGAIN,
        any,
        "a limit on processes is reached: pids.max of a cgroup above, or RLIMIT_NPROC",
    ),
    Row(
        None,
        Errno::EOPNOTSUPP,
        |op| matches!(op, Some(Op::Cgroup(Cgroup::NeedController { .. }))),
        "a cgroup on the way is threaded, or holds processes and hands controllers down (cgroup.type): below it memory, io and hugetlb cannot be limited; another cgroupsPath, or another cgroup parent of the engine",
    ),
    Row(
        Some(Call::named("clone3")),
        Errno::EOPNOTSUPP,
        any,
        "the cgroup takes no process, since one above it is threaded and one between them is not (cgroup.type): another cgroupsPath",
    ),
    Row(
        Some(Call::named("clone3")),
        Errno::EBUSY,
        any,
        "the cgroup has controllers enabled for its children, and so takes no process itself: another cgroupsPath",
    ),
    Row(
        Some(Call::named("mkdirat")),
        Errno::EROFS,
        any,
        "that file system is read-only: make the directory beforehand, or use --root DIR for state",
    ),
    Row(Some(Call::named("mkdirat")), Errno::EACCES, any, "run this as root, or use --root DIR for state"),
    Row(Some(Call::named("mkdirat")), Errno::ENOSPC, any, "that file system is full"),
    Row(
        Some(Call::named("prlimit64")),
        Errno::EPERM,
        any,
        "raising a hard limit needs CAP_SYS_RESOURCE: ask for no more than this process has",
    ),
    Row(
        Some(Call::named("capset")),
        Errno::EPERM,
        any,
        "a capability is asked for that this process does not have itself",
    ),
    Row(
        Some(Call::named("prctl")),
        Errno::EPERM,
        |op| matches!(op, Some(Op::Process(Process::Capabilities { .. }))),
        "an ambient capability must be in permitted and inheritable too",
    ),
    Row(Some(Call::named("sethostname")), Errno::EPERM, any, "add a `uts` namespace to linux.namespaces"),
    Row(
        Some(Call::named("mknodat")),
        Errno::EPERM,
        |op| matches!(op, Some(Op::Devices(Devices::Node { .. }))),
        "making devices needs CAP_MKNOD, and a cgroup that allows it",
    ),
    Row(
        Some(Call::named("bpf")),
        Errno::EPERM,
        any,
        "device rules need root, or CAP_BPF and CAP_NET_ADMIN, in the first user namespace",
    ),
    Row(Some(Call::named("ioctl")), Errno::ENODEV, any, "`ip link` lists the interfaces that are there"),
    Row(Some(Call::named("seccomp")), Errno::EACCES, any, "a filter needs noNewPrivileges, or CAP_SYS_ADMIN"),
    Row(
        Some(Call::named("seccomp")),
        Errno::EINVAL,
        any,
        "this kernel does not know one of the flags or actions: WAIT_KILLABLE_RECV came with Linux 5.19",
    ),
    Row(Some(Call::named("connect")), Errno::ECONNREFUSED, any, "nobody listens at linux.seccomp.listenerPath"),
    Row(Some(Call::named("connect")), Errno::ENOENT, any, "start whoever listens at linux.seccomp.listenerPath first"),
    Row(Some(Call::named("execve")), Errno::ENOSYS, any, "the seccomp profile answers execve with ENOSYS: allow it"),
    Row(
        Some(Call::named("execve")),
        Errno::EPERM,
        any,
        "the seccomp profile may refuse execve: allow it; or SELinux a new label under noNewPrivileges, unless its policy allows nnp_transition",
    ),
    Row(
        Some(Call::named("setns")),
        Errno::EINVAL,
        any,
        "that file is a namespace of another kind, or none at all: look at it with `readlink`",
    ),
    Row(
        Some(Call::named("setns")),
        Errno::EPERM,
        any,
        "that namespace belongs to another user namespace: join that one as well",
    ),
    Row(
        Some(Call::named("openat2")),
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Namespaces(Namespaces::WriteProc { .. }))),
        "this kernel has no such setting: a module may have to be loaded first",
    ),
    Row(
        Some(Call::named("write")),
        Errno::EINVAL,
        |op| matches!(op, Some(Op::Network(Network::Move { .. }))),
        "another device: lo, bridges and others are bound to their network namespace",
    ),
    Row(
        Some(Call::named("write")),
        Errno::EINVAL,
        |op| matches!(op, Some(Op::Namespaces(Namespaces::WriteProc { .. }))),
        "the kernel does not take that value: look at what the file holds now",
    ),
    Row(
        Some(Call::named("write")),
        Errno::ERANGE,
        |op| matches!(op, Some(Op::Namespaces(Namespaces::WriteProc { .. }))),
        "an offset with which the clock runs from 0 on, and for less than 146 years (time_namespaces(7))",
    ),
    Row(
        Some(Call::named("write")),
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Namespaces(Namespaces::WriteProc { .. }))),
        "load the profile first: apparmor_parser(8) does; aa-status(8) lists those there are",
    ),
    Row(
        Some(Call::named("write")),
        Errno::EACCES,
        |op| matches!(op, Some(Op::Namespaces(Namespaces::WriteProc { .. }))),
        "that needs a privilege of the machine, such as CAP_SYS_RESOURCE for a lower oomScoreAdj",
    ),
    Row(
        Some(Call::named("write")),
        Errno::EPERM,
        |op| matches!(op, Some(Op::Users(Users::MapIds { .. }))),
        "without root only one's own user and group can be mapped; more need newuidmap and a line in /etc/subuid",
    ),
    Row(
        Some(Call::named("mount_setattr")),
        Errno::EINVAL,
        |op| matches!(op, Some(Op::Mounts(Mounts::OpenSource { idmap: Some(_), .. }))),
        "this file system cannot map ids on this kernel, or a mount below it cannot (ridmap), or it is mapped already",
    ),
    Row(
        Some(Call::named("sched_setattr")),
        Errno::EPERM,
        any,
        "real-time policies and a nice below 0 need CAP_SYS_NICE",
    ),
    Row(
        Some(Call::named("openat")),
        Errno::ENOENT,
        |op| matches!(op, Some(Op::Namespaces(Namespaces::Open { .. }))),
        "is the process whose namespace this is still there?",
    ),
    Row(
        Some(Call::named("openat")),
        Errno::ENOENT,
        any,
        "look whether the path is right; `nk-runtime spec` writes a config.json to begin with",
    ),
    Row(None, Errno::ENOSYS, any, "this kernel is too old: 5.12 or later is needed"),
    Row(None, Errno::EMFILE, any, "raise the limit on open files (ulimit -n)"),
    Row(
        None,
        Errno::ENOMEM,
        any,
        "a limit on memory is too low for this: memory.max of a cgroup above, or that on addresses (ulimit -v) or data (ulimit -d)",
    ),
    Row(None, Errno::EFBIG, any, "raise the limit on the size of files (ulimit -f)"),
    // ppoll(2): more descriptors than RLIMIT_NOFILE allows are asked about.
    Row(Some(Call::named("ppoll")), Errno::EINVAL, any, "raise the limit on open files (ulimit -n)"),
    Row(None, Errno::EDQUOT, any, "a quota on that file system is used up"),
    Row(None, Errno::EACCES, any, "run this as root, or as a user that may do this"),
    Row(
        None,
        Errno::EPERM,
        any,
        "run this as root; without root, a `user` namespace is needed: `nk-runtime spec --rootless` writes one",
    ),
    Row(None, Errno::ELOOP, any, "a symbolic link stands in the way"),
    Row(None, Errno::EROFS, any, "that file system is read-only"),
    Row(None, Errno::ENOSPC, any, "that file system is full"),
];

/// Advice for a call that failed with an errno while carrying out an op. Empty: none is known.
pub fn hint(call: Call, errno: Errno, op: Option<&Op>) -> &'static str {
    let fits = |row: &&Row| row.0.is_none_or(|c| c == call) && row.1 == errno && row.2(op);
    ROWS.iter().find(fits).map_or("", |row| row.3)
}

/// Advice for a hook that failed.
pub fn hook(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Call(f) if f.call == Call::named("execve") && f.errno == Errno::ENOENT => {
            "is the hook installed where `path` says, in the namespace that it is run in?"
        }
        Trouble::Call(f) => hint(f.call, f.errno, None),
        _ => "",
    }
}

/// Advice for a finding that is no errno.
pub fn check(check: Check) -> &'static str {
    match check {
        Check::CwdOutside => "a process.cwd that is a real path inside the rootfs, not one through /proc",
        Check::NotTheNullDevice => {
            "remove /dev/null from the image, or mount a tmpfs on /dev as `nk-runtime spec` does"
        }
        Check::OtherDevice => "remove that file from the image, or mount a tmpfs on /dev as `nk-runtime spec` does",
        Check::DataTooLong => "shorter options",
        Check::TooLong => "a shorter path, or links with shorter texts",
        Check::ProgramNotFound => PROGRAM_PATH,
        Check::NoCgroup2 => "mount -t cgroup2 none /sys/fs/cgroup, or --cgroup-manager disabled",
        Check::InitVanished => "look in the kernel's log: out of memory, or a signal from outside",
        Check::OutOfMemory => "a higher limit: half a megabyte is enough to start, and the program needs its own",
        Check::NameTaken => "choose another `name`, or one with `%d`, of which the kernel makes a free one",
        Check::TooDeep => "an image with less deep directories below this tmpfs, or no tmpcopyup",
        Check::NoSelinux => "leave process.selinuxLabel and linux.mountLabel out on this machine",
        Check::NoApparmor => "leave process.apparmorProfile out on this machine",
        Check::NoResctrl => {
            "mount -t resctrl resctrl /sys/fs/resctrl, if this processor has it; or leave linux.intelRdt out"
        }
        Check::NoDevpts => NO_DEVPTS,
        Check::OwnNamespace => "no `path` there, for a new namespace; or nothing to set in it",
        Check::Systemd => {
            "systemctl status tells what it knows of the unit; without a systemd, leave --systemd-cgroup out"
        }
        Check::NobodyTook => "was the runtime stopped while it started the container? start it anew",
        Check::CgroupFrozen => "resume what was paused there: cgroup.freeze of it or of one above it says 1",
        Check::Interrupted => "look what the other process was doing, and call again",
        Check::CgroupPopulated => "another linux.cgroupsPath, or end what runs there",
        Check::LinkInTheWay => "an image whose /proc and /sys are plain directories",
    }
}
