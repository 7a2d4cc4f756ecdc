//! What the mounts of a plan make of the container's tree: what lies where, and which of it only this plan can reach.
//! May touch: types.

use super::op::{Attributes, Place};
use super::slot::Slot;
use super::text::{below, c, cleaned, climbs};
use crate::spec::{Mount, Problem, Spec, Text};

/// A place in the container that a mount of this plan covers.
pub struct Covered {
    /// Absolute and clean: `/dev`.
    pub path: String,
    /// Where its descriptor is, if later lines work below it.
    pub slot: Option<Slot>,
    /// This plan made it and only this plan can reach it: names below it mean what they say.
    pub fresh: bool,
    /// An empty tmpfs: directories below it are there only if this plan made them.
    pub empty: bool,
    /// A file system that others use too: a bind, or one that lies on a disk. Devices and links are not made in it.
    pub lent: bool,
}

/// A mount with a propagation of its own, and where config.json asks for it.
pub struct Propagated {
    pub path: String,
    pub from: String,
    pub at: Place,
    pub attributes: Attributes,
}

/// The tree after the mounts so far.
#[derive(Default)]
pub struct Tree {
    pub covered: Vec<Covered>,
    pub propagated: Vec<Propagated>,
    /// Directories that the plan made below a tmpfs of its own.
    pub made: Vec<(Slot, String)>,
    /// Whether anything is mounted, and how many sources of mounts are open at once.
    pub mounted: bool,
    pub held: usize,
    /// User namespaces that stand for mappings, by the mappings.
    pub mappings: Vec<(Vec<u8>, Vec<u8>, Slot)>,
}

impl Tree {
    /// Adds a mount: it hides what was at its place and below it.
    pub fn cover(&mut self, new: Covered) {
        self.mounted = true;
        self.propagated.retain(|m| new.path != "/" && m.path != new.path && below(&m.path, &new.path).is_none());
        if let Some(slot) = new.slot {
            self.made.retain(|(base, _)| *base != slot);
        }
        if new.path == "/" {
            self.covered.clear();
            return;
        }
        self.covered.retain(|m| m.path != new.path && below(&m.path, &new.path).is_none());
        // A mount that is not fresh is remembered only if it hides part of a fresh one: so each of a thousand binds
        // looks through a short list.
        let hides = |m: &Covered| m.fresh && below(&new.path, &m.path).is_some();
        if new.fresh || new.path == "/dev" || self.covered.iter().any(hides) {
            self.covered.push(new);
        }
    }

    /// The mount at exactly this path.
    pub fn at(&self, path: &str) -> Option<&Covered> {
        self.covered.iter().rev().find(|m| m.path == path)
    }

    /// Where `path`, which config.json has at `at`, is after the mounts so far.
    pub fn place(&self, at: &str, path: &str, links: bool) -> Result<Place, Problem> {
        let path = cleaned(path);
        if let Some((base, name)) = self.under(&path) {
            return Ok(Place::Under { base, path: c(at, name)? });
        }
        let relative = if path == "/" { "." } else { &path[1..] };
        Ok(Place::Rootfs { path: c(at, relative)?, links })
    }

    /// The mount of this plan's own that a clean path lies below, and its name there.
    pub fn under<'p>(&self, path: &'p str) -> Option<(Slot, &'p str)> {
        let mut over: Option<(&Covered, &str)> = None;
        for m in &self.covered {
            if let Some(name) = below(path, &m.path)
                && over.is_none_or(|(last, _)| last.path.len() <= m.path.len())
            {
                over = Some((m, name));
            }
        }
        let (m, name) = over.filter(|(m, _)| m.fresh && !climbs(path))?;
        Some((m.slot?, name))
    }
}

/// File systems that begin with the container, or have an upper layer of the container's own.
pub const OWN: [&str; 3] = ["tmpfs", "ramfs", "overlay"];

/// What a path in the container lies in.
#[derive(PartialEq, Eq)]
pub enum Covering {
    Rootfs,
    /// A mount that is the container's alone.
    Own,
    Lent,
}

/// What a path lies in after all mounts: the last mount of the list on the path, or above it, is what is seen there.
pub fn covering(spec: &Spec, path: &str) -> Covering {
    let path = cleaned(path);
    let over = |m: &&Mount| {
        let at = cleaned(&m.destination);
        path == at || below(&path, &at).is_some()
    };
    let has = |m: &Mount, words: &[&str]| m.options.iter().any(|option: &Text| words.contains(&option.as_str()));
    let mut listed = spec.mounts.iter().rev().filter(|m| !has(m, &["remount"]));
    match listed.find(over) {
        None => Covering::Rootfs,
        Some(mount) if OWN.contains(&mount.kind.as_str()) && !has(mount, &["bind", "rbind"]) => Covering::Own,
        Some(_) => Covering::Lent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_mount_on_a_place_counts() {
        let dev = |fresh, slot| Covered { path: "/dev".into(), slot, fresh, empty: fresh, lent: !fresh };
        let mut tree = Tree::default();
        for (mount, fresh) in [(dev(true, Some(Slot::DEV)), true), (dev(false, Some(Slot::DEV)), false)] {
            tree.cover(mount);
            let at = tree.place("", "/dev/pts", true).unwrap_or_else(|p| panic!("{p:?}"));
            assert_eq!(matches!(at, Place::Under { .. }), fresh);
        }
    }
}
