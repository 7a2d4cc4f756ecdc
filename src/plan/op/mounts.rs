//! Ops for mounts: new file systems, and trees of the host that are bound into the container. May touch: types.

use super::lanes::{HOST, INIT, say};
use super::words::{Options, flags, s};
use super::{LaneSet, Place, Slot};
use alloc::ffi::CString;
use core::fmt::{self, Write};
use syscalls::MountFlags;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Mounts {
    OpenSource(Source),
    OpenCgroup { attributes: Attributes, tree: Slot },
    // The lane stands in a directory of the rootfs, and links of the rootfs are not followed.
    StandBeside { path: CString },
    // `name`: where in the path it begins.
    BindBeside { source: CString, path: CString, name: usize, recursive: bool },
    LeaveBeside,
    Enter { base: Slot },
    Mount(FileSystem),
    Attach { at: Place, tree: Slot, kind: Kind, open: Option<Slot> },
    Remount { at: Place, flags: MountFlags, data: Option<CString> },
    Alter { at: Place, attributes: Attributes },
}

/// What a bind mount shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Source {
    pub path: CString,
    /// The path lies in the rootfs, as the mounts so far have made that.
    pub in_rootfs: bool,
    pub recursive: bool,
    /// A link is opened itself.
    pub link: bool,
    /// The user namespace with the mapping of ids that the tree gets, and whether all mounts below get it.
    pub idmap: Option<(Slot, bool)>,
    pub attributes: Attributes,
    pub tree: Slot,
}

/// A new file system, and where it is mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FileSystem {
    pub at: Place,
    pub source: CString,
    pub kind: CString,
    pub flags: MountFlags,
    pub data: Option<CString>,
    pub open: Option<Slot>,
    /// The files that it covers are copied into it.
    pub copy_up: bool,
    /// Its root gets the mode of the directory that it covers.
    pub keep_mode: bool,
}

/// What has to exist at a mount's target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Directory,
    /// A directory or a file, as the source is: that is known only when it is open.
    AsSource,
    /// The same, and the target's last part is not followed if it is a link.
    AsSourceHere,
    /// A source that is a link is not mounted but made again.
    Copy,
}

/// Changes of a mount's properties, in mount_setattr(2)'s words.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Attributes {
    pub set: u64,
    pub clear: u64,
    pub propagation: MountFlags,
    pub recursive: bool,
}

impl Mounts {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::OpenSource(Source { path, in_rootfs, recursive, .. }) => {
                let inside = if *in_rootfs { "of the rootfs /" } else { "" };
                let all = if *recursive { " with all mounts below it" } else { "" };
                (HOST | INIT, say!(to, "open the mount source {inside}{}{all}", s(path)))
            }
            Self::OpenCgroup { .. } => (HOST, say!(to, "copy the mount of the container's cgroup")),
            Self::StandBeside { path } => (INIT, say!(to, "stand in /{}, and follow no links", s(path))),
            Self::BindBeside { source, path, .. } => (INIT, say!(to, "bind {} on /{}", s(source), s(path))),
            Self::LeaveBeside => (INIT, say!(to, "follow links again")),
            Self::Enter { base } => (INIT, say!(to, "go to {base}")),
            Self::Mount(FileSystem { at, kind, flags, data, .. }) => {
                (INIT, say!(to, "mount {} on {at}{}", s(kind), Options(*flags, data.as_deref())))
            }
            Self::Attach { at, .. } => (INIT, say!(to, "attach the opened tree on {at}")),
            Self::Remount { at, flags: f, .. } => (INIT, say!(to, "remount {at} ({})", flags(*f))),
            Self::Alter { at, .. } => (INIT, say!(to, "change the properties of the mount on {at}")),
        }
    }
}
