//! What to try after a failure: which of the hints of `explain/texts/hints.txt` fits. May touch: types, the recorder to read
//! of a call.

use crate::explain;
use crate::outcome::{Check, Trouble};
use crate::packed::packed;
use crate::plan::op::{Cgroup, Mounts, Namespaces, Network, Op, Rootfs, Source, Terminal, Users};
use syscalls::record::{self, Record};
use syscalls::{Bpf, Call, CloneFlags, Errno, Failed, Ioctl, MountFlags, OpenFlags, Prctl};

// Names of hints that belong to no call.
pub const NO_MOUNT_THERE: &str = "nothing mounted there";
pub const LOG_DAEMON: &str = "log daemon";
pub const MAPPING_HELPERS: &str = "mapping helpers";
pub const PROGRAM_PATH: &str = "program in PATH";
pub const PROGRAM_MISSING: &str = "program file";
pub const PROGRAM_DENIED: &str = "program denied";
/// For a device of config.json that has to be the host's own node.
pub const NO_HOST_NODE: &str = "no host node";
const HOOK: &str = "hook program";

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
    let record = record::find(failed.at).filter(|record| record.call == failed.call);
    advice(failed.call.name(), failed.errno, record.map_or("", |record| asked(&record)), op)
}

/// The name of the hint for a program that cannot be executed. `is_path`: it is not looked for in the directories of PATH.
pub fn program(errno: Errno, is_path: bool) -> &'static str {
    match errno {
        Errno::EACCES => PROGRAM_DENIED,
        _ if is_path => PROGRAM_MISSING,
        _ => PROGRAM_PATH,
    }
}

fn advice(call: &str, errno: Errno, asked: &str, op: Option<&Op>) -> &'static str {
    let (errno, known) = (errno.name(), op.map_or(&[][..], words));
    let fits = |name: &str| {
        let of_call = name.strip_prefix(call).and_then(|rest| rest.strip_prefix(' '));
        let mut words = of_call.unwrap_or(name).split(' ');
        words.next() == Some(errno) && words.next().is_none_or(|word| word == asked || known.contains(&word))
    };
    explain::hints().find(|(name, _)| fits(name)).map_or("", |(_, hint)| hint)
}

fn refusals() -> &'static str {
    packed!("say/refused.txt")
}

/// What to do about a property with this problem. Empty: it is not known.
pub fn refused(problem: &str) -> &'static str {
    let mut lines = refusals().lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let found = lines.by_ref().find(|words| !words.starts_with(' ') && problem.contains(words));
    found.and_then(|_| lines.next()?.strip_prefix("  ")).unwrap_or_default()
}

/// Advice of this name.
pub fn named(name: &str) -> &'static str {
    explain::hint(name)
}

/// Advice for a hook that failed.
pub fn hook(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Call(f) if f.call == Call::EXECVE && f.errno == Errno::ENOENT => named(HOOK),
        Trouble::Call(failed) => hint(failed, None),
        _ => "",
    }
}

/// Advice for what this program itself has found.
pub fn check(check: Check) -> &'static str {
    named(match check {
        Check::CwdOutside => "cwd outside",
        Check::NotTheNullDevice => "not the null device",
        Check::OtherDevice => "other device",
        Check::DataTooLong => "mount data too long",
        Check::TooLong => "path too long",
        Check::ProgramNotFound => PROGRAM_PATH,
        Check::NoCgroup2 => "no cgroup2",
        Check::InitVanished => "init vanished",
        Check::OutOfMemory => "out of memory",
        Check::NameTaken => "name taken",
        Check::TooDeep => "directories too deep",
        Check::NoSelinux => "no SELinux",
        Check::NoApparmor => "no AppArmor",
        Check::NoResctrl => "no resctrl",
        Check::NoDevpts => "no devpts",
        Check::OwnNamespace => "own namespace",
        Check::Systemd => "systemd refuses",
        Check::NobodyTook => "listener not taken",
        Check::CgroupFrozen => "frozen cgroup",
        Check::Interrupted => "interrupted",
        Check::CgroupPopulated => "populated cgroup",
        Check::LinkInTheWay => "link in the way",
        Check::WatcherVanished => "watcher vanished",
        Check::StepEnded => "step ended",
        Check::StepperVanished => "stepper vanished",
    })
}

#[cfg(test)]
#[path = "../../tests/unit/cures.rs"]
mod cures;

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

    /// A hint with an unknown call or errno in its name could never be given.
    #[test]
    fn each_hint_is_given() {
        let named = [NO_MOUNT_THERE, LOG_DAEMON, MAPPING_HELPERS, PROGRAM_PATH, PROGRAM_MISSING, PROGRAM_DENIED];
        let named = named.into_iter().chain([NO_HOST_NODE, HOOK]).map(super::named);
        let given: Vec<&str> = named.chain(Check::ALL.map(|(check, _)| super::check(check))).collect();
        assert!(given.iter().all(|hint| !hint.is_empty()));
        let book = explain::Book::read();
        let errno = |word: &str| (1..200).any(|number| Errno(number).name() == word);
        for (name, hint) in explain::hints() {
            assert!(!hint.ends_with('.'), "{name}: {hint}");
            let mut words = name.split(' ');
            let first = words.next().unwrap_or("");
            let call = book.of_kind("call").any(|entry| entry.name() == first);
            let of_errno = errno(first) || call && words.next().is_some_and(errno);
            assert!(of_errno || given.contains(&hint), "{name}");
        }
        assert!(explain::hints().count() > 100);
    }
}
