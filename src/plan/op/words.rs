//! Words for numbers and names, in what an op says of itself. All are made only when they are written. May touch: types
//! and tables.

use super::{Place, Slot};
use crate::spec::CAPABILITIES;
use alloc::borrow::Cow;
use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};
use syscalls::{CloneFlags, MountFlags};

/// A path, a name or an argument.
pub fn s(text: &CStr) -> Cow<'_, str> {
    text.to_string_lossy()
}

impl Display for Place {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Place::Rootfs { path, .. } if path.as_bytes() == b"." => f.write_str("/"),
            Place::Rootfs { path, .. } => write!(f, "/{}", s(path)),
            Place::Under { base, path } => write!(f, "{base}/{}", s(path)),
        }
    }
}

impl Display for Slot {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        f.write_str(match *self {
            Slot::PROC => "/proc",
            Slot::DEV => "/dev",
            Slot::SYS => "/sys",
            Slot::ROOTFS => "/",
            _ => "that directory",
        })
    }
}

/// Words with something between them, and something before them if there are any.
struct List<'a, I>(&'a str, I, &'a str);

impl<'a, I: Iterator<Item = &'a str> + Clone> Display for List<'a, I> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let List(before, words, between) = self;
        words.clone().enumerate().try_for_each(|(i, word)| write!(f, "{}{word}", if i == 0 { before } else { between }))
    }
}

pub fn list<'a>(before: &'a str, words: impl Iterator<Item = &'a str> + Clone, between: &'a str) -> impl Display {
    List(before, words, between)
}

/// The flags of mount(2), and of propagation.
pub fn flags(all: MountFlags) -> impl Display {
    const WORDS: &[(MountFlags, &str)] = &[
        (MountFlags::MS_RDONLY, "ro"),
        (MountFlags::MS_NOSUID, "nosuid"),
        (MountFlags::MS_NODEV, "nodev"),
        (MountFlags::MS_NOEXEC, "noexec"),
        (MountFlags::MS_SYNCHRONOUS, "sync"),
        (MountFlags::MS_REMOUNT, "remount"),
        (MountFlags::MS_MANDLOCK, "mand"),
        (MountFlags::MS_DIRSYNC, "dirsync"),
        (MountFlags::MS_NOSYMFOLLOW, "nosymfollow"),
        (MountFlags::MS_NOATIME, "noatime"),
        (MountFlags::MS_NODIRATIME, "nodiratime"),
        (MountFlags::MS_BIND, "bind"),
        (MountFlags::MS_MOVE, "move"),
        (MountFlags::MS_REC, "rec"),
        (MountFlags::MS_SILENT, "silent"),
        (MountFlags::MS_UNBINDABLE, "unbindable"),
        (MountFlags::MS_PRIVATE, "private"),
        (MountFlags::MS_SLAVE, "slave"),
        (MountFlags::MS_SHARED, "shared"),
        (MountFlags::MS_RELATIME, "relatime"),
        (MountFlags::MS_I_VERSION, "iversion"),
        (MountFlags::MS_STRICTATIME, "strictatime"),
        (MountFlags::MS_LAZYTIME, "lazytime"),
    ];
    list("", WORDS.iter().filter(move |(flag, _)| all.has(*flag)).map(|(_, word)| *word), ",")
}

/// The kinds of namespaces in a set of clone(2)'s flags, after `before` if there are any.
pub fn kinds(before: &'static str, all: CloneFlags) -> impl Display {
    const WORDS: &[(CloneFlags, &str)] = &[
        (CloneFlags::CLONE_NEWNS, "mount"),
        (CloneFlags::CLONE_NEWCGROUP, "cgroup"),
        (CloneFlags::CLONE_NEWUTS, "uts"),
        (CloneFlags::CLONE_NEWIPC, "ipc"),
        (CloneFlags::CLONE_NEWUSER, "user"),
        (CloneFlags::CLONE_NEWPID, "pid"),
        (CloneFlags::CLONE_NEWNET, "network"),
        (CloneFlags::CLONE_NEWTIME, "time"),
    ];
    list(before, WORDS.iter().filter(move |(flag, _)| all.has(*flag)).map(|(_, word)| *word), " ")
}

/// A mount's options, with what its file system takes besides the flags.
pub struct Options<'a>(pub MountFlags, pub Option<&'a CStr>);

impl Display for Options<'_> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Options(MountFlags::NONE, None) => Ok(()),
            Options(all, None) => write!(f, " ({})", flags(*all)),
            Options(MountFlags::NONE, Some(data)) => write!(f, " ({})", s(data)),
            Options(all, Some(data)) => write!(f, " ({},{})", flags(*all), s(data)),
        }
    }
}

/// A set of capabilities.
pub struct Capabilities(pub u64);

impl Display for Capabilities {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        let names = |want: bool| {
            let named = move |(n, _): &(usize, _)| (self.0 & 1 << n != 0) == want;
            CAPABILITIES.iter().enumerate().filter(named).map(|(_, name)| *name)
        };
        match (names(true).count(), names(false).count()) {
            (0, _) => f.write_str("nothing"),
            (_, 0) => f.write_str("everything"),
            (with, without) if with > without => List("all but ", names(false), " ").fmt(f),
            _ => List("", names(true), " ").fmt(f),
        }
    }
}

/// A value of a resource limit (getrlimit(2)).
pub struct Limit(pub u64);

impl Display for Limit {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self.0 {
            u64::MAX => f.write_str("unlimited"),
            value => write!(f, "{value}"),
        }
    }
}
