//! Words for numbers and names, in what an op says of itself. All are made only when they are written. May touch: types
//! and tables.

use super::{Place, Slot};
use crate::spec::CAPABILITIES;
use alloc::borrow::Cow;
use core::ffi::CStr;
use core::fmt::{self, Display, Formatter};

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

/// The words of the bits that are set.
fn set<'a>(bits: u64, words: &'a [(u64, &'a str)]) -> impl Iterator<Item = &'a str> + Clone {
    words.iter().filter(move |(bit, _)| bits & bit != 0).map(|(_, word)| *word)
}

/// The flags of mount(2), and of propagation.
pub fn flags(bits: u32) -> impl Display {
    const WORDS: &[(u64, &str)] = &[
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
    list("", set(u64::from(bits), WORDS), ",")
}

/// The kinds of namespaces in a set of clone(2)'s flags, after `before` if there are any.
pub fn kinds(before: &'static str, bits: u64) -> impl Display {
    const WORDS: &[(u64, &str)] = &[
        (libc::CLONE_NEWNS as u64, "mount"),
        (libc::CLONE_NEWCGROUP as u64, "cgroup"),
        (libc::CLONE_NEWUTS as u64, "uts"),
        (libc::CLONE_NEWIPC as u64, "ipc"),
        (libc::CLONE_NEWUSER as u64, "user"),
        (libc::CLONE_NEWPID as u64, "pid"),
        (libc::CLONE_NEWNET as u64, "network"),
        (libc::CLONE_NEWTIME as u64, "time"),
    ];
    list(before, set(bits, WORDS), " ")
}

/// A mount's options, with what its file system takes besides the flags.
pub struct Options<'a>(pub u32, pub Option<&'a CStr>);

impl Display for Options<'_> {
    fn fmt(&self, f: &mut Formatter) -> fmt::Result {
        match self {
            Options(0, None) => Ok(()),
            Options(bits, None) => write!(f, " ({})", flags(*bits)),
            Options(0, Some(data)) => write!(f, " ({})", s(data)),
            Options(bits, Some(data)) => write!(f, " ({},{})", flags(*bits), s(data)),
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
