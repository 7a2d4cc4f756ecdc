//! What to try after a failure: data, all of it in this file and in hints.txt. May touch: types, the recorder to read of a
//! call.

use crate::outcome::{Check, Trouble};
use crate::plan::op::{Cgroup, Mounts, Namespaces, Network, Op, Rootfs, Source, Terminal, Users};
use syscalls::record::{self, Record};
use syscalls::{Bpf, Call, CloneFlags, Errno, Failed, Ioctl, MountFlags, OpenFlags, Prctl};

pub const NO_MOUNT_THERE: &str =
    "nothing is mounted at that name itself; /proc/PID/mountinfo of the container lists its mounts";
pub const LOG_DAEMON: &str = "start that daemon, or name a file: --log file:PATH";
pub const MAPPING_HELPERS: &str = "a line in /etc/subuid and in /etc/subgid that gives the caller these ids";
pub const PROGRAM_PATH: &str = "look at PATH in process.env and at the rootfs's directories that it names";
pub const PROGRAM_MISSING: &str = "put the program into the rootfs, or name another in process.args";
pub const PROGRAM_DENIED: &str = "give the file its x bits, or run it as a user that may execute it";

/// For a device of config.json that has to be the host's own node.
pub const NO_HOST_NODE: &str = "in a user namespace no device can be made, and the host has no node there to bind: make it on the host (mknod), or leave the device out";

const NO_DEVPTS: &str = "a mount of type devpts at /dev/pts, as `nk-runtime spec` has it, or process.terminal false";

/// The table of advice by call, errno, and what the call was for.
const TABLE: &str = include_str!("hints.txt");

/// The words that the table has for an op.
fn words(op: &Op) -> &'static [&'static str] {
    match op {
        Op::Cgroup(Cgroup::NeedController { .. }) => &["controller", "delegation"],
        Op::Cgroup(Cgroup::Make { .. }) => &["delegation"],
        Op::Cgroup(Cgroup::Set { setting }) if setting.file.as_c_str() == c"cpu.weight" => &["weight", "limit"],
        Op::Cgroup(Cgroup::Set { .. }) => &["limit"],
        Op::Terminal(Terminal::Open { .. }) => &["terminal", "socket"],
        Op::Terminal(_) | Op::Callers(_) => &["socket"],
        Op::Rootfs(Rootfs::Open { .. }) => &["rootfs"],
        Op::Mounts(Mounts::OpenSource(Source { idmap: Some(_), .. })) => &["idmap", "source"],
        Op::Mounts(Mounts::OpenSource(_)) => &["source"],
        Op::Mounts(Mounts::Attach { .. }) => &["attach"],
        Op::Namespaces(Namespaces::Clone { flags, .. } | Namespaces::CloneBridge { flags })
            if flags.has(CloneFlags::CLONE_NEWUSER) =>
        {
            &["user"]
        }
        Op::Namespaces(Namespaces::WriteProc { .. }) => &["proc"],
        Op::Namespaces(Namespaces::Open { .. }) => &["namespace"],
        Op::Network(Network::Move { .. }) => &["move"],
        Op::Users(Users::MapIds { .. }) => &["map"],
        _ => &[],
    }
}

/// The word that the table has for what a call of several uses was asked to do.
fn asked(record: &Record) -> &'static str {
    let [first, second, third, fourth, ..] = record.args;
    let remounts = MountFlags::from_bits(fourth).has(MountFlags::MS_REMOUNT);
    let creates = OpenFlags::from_bits(third).has(OpenFlags::O_CREAT);
    match record.call.name() {
        "mount" if third != 0 || remounts => "filesystem",
        "openat" if !creates => "existing",
        "mknodat" if record.argc == 4 => "device",
        "bpf" if first == Bpf::BPF_PROG_LOAD.bits() => "load",
        "prctl" if first == Prctl::PR_CAP_AMBIENT.bits() => "ambient",
        "ioctl" => match Ioctl::from_bits(second) {
            Ioctl::SIOCGIFFLAGS | Ioctl::SIOCSIFFLAGS | Ioctl::SIOCGIFINDEX => "interface",
            _ => "",
        },
        _ => "",
    }
}

/// Advice for a call that failed, perhaps while carrying out an op. Empty: none is known.
pub fn hint(failed: Failed, op: Option<&Op>) -> &'static str {
    let (call, errno) = (failed.call.name(), failed.errno.name());
    let known = op.map_or(&[][..], words);
    let record = record::find(failed.at).filter(|record| record.call == failed.call);
    let asked = record.map_or("", |record| asked(&record));
    let fits = |head: &str| {
        let mut head = head.split(' ');
        head.next().is_some_and(|named| named == "*" || named == call)
            && head.next() == Some(errno)
            && head.next().is_none_or(|word| word == asked || known.contains(&word))
    };
    let mut rows = TABLE.lines().filter_map(|line| line.split_once(": "));
    rows.find(|(head, _)| fits(head)).map_or("", |(_, hint)| hint)
}

/// Advice for a hook that failed.
pub fn hook(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Call(f) if f.call == Call::EXECVE && f.errno == Errno::ENOENT => {
            "is the hook installed where `path` says, in the namespace that it is run in?"
        }
        Trouble::Call(failed) => hint(failed, None),
        _ => "",
    }
}

/// Advice for what this program itself has found.
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

#[cfg(test)]
mod tests {
    use super::*;
    use syscalls::{At, Fd, Why};

    /// openat(2) has one name for both uses: its record says which one failed.
    #[test]
    fn a_file_to_read_is_no_file_to_make() {
        let path = c"/nowhere/at/all";
        let of = |result: Result<Fd, Failed>| result.map_or_else(|failed| hint(failed, None), |_| "made");
        let read = of(syscalls::openat(At::CWD, path, OpenFlags::O_RDONLY, Why("a test")));
        let made = of(syscalls::openat_create(At::CWD, path, OpenFlags::O_WRONLY, 0o600, Why("a test")));
        assert!(read.contains("nk-runtime spec") && made.is_empty(), "{read}, {made}");
    }

    /// A row that names no call or no errno could never be found.
    #[test]
    fn each_row_can_be_found() {
        let rows: Vec<&str> = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        assert!(rows.len() > 60);
        for row in rows {
            let (head, hint) = row.split_once(": ").unwrap_or_else(|| panic!("{row}"));
            let mut head = head.split(' ');
            let (call, errno) = (head.next().unwrap_or(""), head.next().unwrap_or(""));
            assert!(call == "*" || Call::named(call).name() == call, "{row}");
            assert!((1..200).any(|number| Errno(number).name() == errno), "{row}");
            assert!(!hint.is_empty() && !hint.ends_with('.'), "{row}");
        }
    }
}
