//! Where the files of a container lie before it has mounts: below its rootfs, below the source of a bind, or in a file system that
//! is only made then. Links between these are not followed. May touch: system calls.

use super::Asker;
use crate::cause::access::Way;
use crate::plan::{Place, Slot, clean, text};
use crate::spec::Spec;
use syscalls::Fd;

/// A bundle with its plan.
pub struct Bundle<'a> {
    pub asker: &'a Asker,
    pub spec: &'a Spec<'a>,
    pub view: View,
    /// The path of its cgroup, if it is certain to have one.
    pub group: Option<String>,
    /// A line makes the working directory, if it is missing.
    pub makes_cwd: bool,
}

/// What a mount brings.
pub enum Brings {
    /// A tree of the host's: the path that it lies at.
    Host(String),
    /// A new file system of this type.
    New(String),
}

pub struct Mount {
    pub path: String,
    pub brings: Brings,
    pub readonly: bool,
    pub noexec: bool,
    /// The line of config.json.
    pub from: String,
}

/// The source of a bind: its path on the host, and how it is mounted.
#[derive(Clone)]
pub struct Opened {
    pub path: String,
    pub readonly: bool,
    pub noexec: bool,
}

#[derive(Default)]
pub struct View {
    pub rootfs: Option<Fd>,
    pub rootfs_path: String,
    mounts: Vec<Mount>,
    /// Directories that are open under a number, by their paths inside.
    open: Vec<(Slot, String)>,
    sources: Vec<(Slot, Opened)>,
}

/// Where a path of the container lies.
pub enum Lies<'v> {
    Rootfs,
    /// There on the host, since this mount brings it.
    Host(String, &'v Mount),
    /// In a file system of this type that is not there yet.
    New(&'v str, &'v Mount),
}

impl View {
    pub fn open(&mut self, slot: Slot, path: &str) {
        self.open.push((slot, clean(&format!("/{path}"))));
    }

    pub fn opened(&mut self, tree: Slot, source: Opened) {
        self.sources.push((tree, source));
    }

    pub fn source(&self, tree: Slot) -> Option<&Opened> {
        self.sources.iter().rev().find(|(slot, _)| *slot == tree).map(|(_, opened)| opened)
    }

    pub fn mount(&mut self, mount: Mount, open: Option<Slot>) {
        if let Some(slot) = open {
            self.open(slot, &mount.path);
        }
        self.mounts.push(mount);
    }

    /// The path inside of a plan's place.
    pub fn path(&self, place: &Place) -> String {
        match place {
            Place::Rootfs { path, .. } => clean(&format!("/{}", path.to_string_lossy())),
            Place::Under { base, path } => {
                let above = self.open.iter().rev().find(|(slot, _)| slot == base).map_or("", |(_, path)| path);
                clean(&format!("{above}/{}", path.to_string_lossy()))
            }
        }
    }

    /// Where a path lies: below the last mount that covers it. The mount itself stands on what lies above it.
    pub fn lies(&self, path: &str) -> Lies<'_> {
        let below = |mount: &Mount| match mount.path == path {
            true => Some(""),
            false => text::below(path, &mount.path),
        };
        let Some((mount, rest)) = self.mounts.iter().rev().find_map(|mount| Some((mount, below(mount)?))) else {
            return Lies::Rootfs;
        };
        match &mount.brings {
            Brings::Host(source) => Lies::Host(clean(&format!("{source}/{rest}")), mount),
            Brings::New(kind) => Lies::New(kind, mount),
        }
    }

    /// A mount that may lead to other files than the rootfs has on these ways.
    pub fn may_bring(&self, ways: &[Way]) -> Option<&str> {
        let on = |way: &Way, mount: &Mount| {
            way.path == mount.path
                || text::below(&way.path, &mount.path).is_some()
                || way.missing && text::below(&mount.path, &way.path).is_some()
        };
        let crossed = |mount: &&Mount| ways.iter().any(|way| on(way, mount));
        self.mounts.iter().find(crossed).map(|mount| mount.path.as_str())
    }
}
