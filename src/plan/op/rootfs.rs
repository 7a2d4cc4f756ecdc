//! Ops for the root file system: opened, attached, made `/`, and what of it is hidden or read-only. May touch: types.

use super::lanes::{HOST, INIT, say};
use super::words::{flags, s};
use super::{LaneSet, Place, Slot};
use alloc::ffi::CString;
use core::fmt::{self, Write};
use syscalls::MountFlags;

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rootfs {
    Open { path: CString },
    // Without privileges the rootfs can only be looked at from outside.
    Look { path: CString },
    // `exec`: the container's root, in its procfs directory, for a look. `enter`: it becomes the root of the new
    // process, so it has to be that of a process that still lives.
    LookInside { path: CString, enter: bool },
    // `uid`'s home directory goes into the environment: config.json names none.
    LookUpHome { uid: u32 },
    // Of all mounts in the new mount namespace.
    Propagation { flags: MountFlags },
    // `path`: where hooks look for it, if there are any; else over `/`.
    Attach { path: Option<CString> },
    MakeCwd { path: CString },
    // `aside`: the rootfs's own directory. If `/` is a ramfs, what lies on `/` has to go there for a moment.
    Pivot { aside: Option<CString> },
    // Without a mount namespace of its own.
    Chroot,
    // `attached`: the rootfs is not on `/` yet, but in its own directory.
    Move { attached: bool },
    RootPropagation { flags: MountFlags },
    // `check`: unless this plan has made the device itself, in a tmpfs of its own.
    OpenNull { check: bool },
    // The mount at `base` is read-only while its parts are bound: a bind has the options of the mount that it shows.
    Hold { base: Slot, readonly: bool },
    // `directory`: what the path is expected to be. `by_proc`: init stands in its procfs, and that leads there.
    Mask { at: Place, directory: bool, by_proc: bool },
    // `held`: the mount is read-only already, and so is the bind.
    ReadonlyPath { at: Place, held: bool },
    Readonly,
    Cwd { path: CString },
}

/// Bytes of the longest path that is reached by the name of a descriptor in procfs.
pub const MOST_BY_PROC: usize = 200;

impl Rootfs {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Open { path } => (HOST | INIT, say!(to, "open the rootfs {}", s(path))),
            Self::Look { path } => (HOST, say!(to, "look at the rootfs {}", s(path))),
            Self::LookInside { .. } => (HOST, say!(to, "open the container's root for a look")),
            Self::LookUpHome { uid } => {
                (HOST, say!(to, "look up the home directory of user {uid} in /etc/passwd of the rootfs"))
            }
            Self::Propagation { flags: f } => (INIT, say!(to, "make every mount {}", flags(*f))),
            Self::Attach { path } => (INIT, say!(to, "attach the rootfs over {}", s(path.as_deref().unwrap_or(c"/")))),
            Self::MakeCwd { path } => (INIT, say!(to, "make the working directory /{} if it is missing", s(path))),
            Self::Pivot { .. } => (INIT, say!(to, "switch the root, unmount the host's")),
            Self::Chroot => (INIT, say!(to, "change the root to the rootfs")),
            Self::Move { .. } => (INIT, say!(to, "unmount the host's mounts, chroot into the rootfs that lies over /")),
            Self::RootPropagation { flags: f } => (INIT, say!(to, "make / {}", flags(*f))),
            Self::OpenNull { check: true } => (INIT, say!(to, "open /dev/null and check that it is the null device")),
            Self::OpenNull { check: false } => (INIT, say!(to, "open the /dev/null that was made")),
            Self::Hold { base, readonly: true } => (INIT, say!(to, "hold {base} read-only for the next binds")),
            Self::Hold { base, readonly: false } => (INIT, say!(to, "let {base} be written to again")),
            Self::Mask { at, directory, by_proc } => {
                let by_name = *by_proc || *directory && matches!(at, Place::Under { .. });
                (INIT, say!(to, "mask {at}{}", if by_name { "" } else { ", by a descriptor" }))
            }
            Self::ReadonlyPath { at, .. } => (INIT, say!(to, "make {at} read-only")),
            Self::Readonly => (INIT, say!(to, "make / read-only")),
            Self::Cwd { path } => (INIT, say!(to, "change the working directory to {}", s(path))),
        }
    }
}
