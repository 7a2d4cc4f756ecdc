//! The mounts of all namespaces as one forest, and the way of a path through it. A mount hangs at a place of another one; a
//! place is a mount and a path in it. May touch: the collections.

use crate::sorted::Table;

/// A point in the files: a mount, and the path below the mount's own root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Place {
    pub mount: u32,
    pub path: String,
}

impl Place {
    pub fn root(mount: u32) -> Place {
        Place { mount, path: "/".into() }
    }

    /// The place of a name in this directory.
    fn below(&self, name: &str) -> Place {
        Place { mount: self.mount, path: joined(&self.path, name) }
    }
}

/// `/a` and `b`: `/a/b`.
pub fn joined(path: &str, below: &str) -> String {
    match below.trim_matches('/') {
        "" => path.into(),
        below => format!("{}/{below}", path.trim_end_matches('/')),
    }
}

/// How mounts below a mount reach its copies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Propagation {
    /// No call has said it.
    #[default]
    Unknown,
    Private,
    Slave,
    Shared,
    Unbindable,
}

impl Propagation {
    pub fn word(self) -> &'static str {
        match self {
            Propagation::Unknown => "",
            Propagation::Private => "private",
            Propagation::Slave => "slave",
            Propagation::Shared => "shared",
            Propagation::Unbindable => "unbindable",
        }
    }
}

/// One mount.
#[derive(Clone, Debug, Default)]
pub struct Mount {
    /// The mount that it hangs in, and where; none: it is the root of a namespace, or hangs nowhere.
    pub parent: Option<u32>,
    pub at: String,
    /// The mount namespace; 0: it hangs in none.
    pub space: u32,
    /// The type of the file system; empty: it shows files of the host.
    pub kind: String,
    /// The device, or what was written in its place; of files of the host, their path there.
    pub source: String,
    /// What of the file system it shows.
    pub root: String,
    /// `ro nosuid`, as mountinfo has them; words that no call has set are absent.
    pub flags: Vec<&'static str>,
    /// The options of the file system.
    pub data: String,
    pub propagation: Propagation,
    /// Mounts of the host that hang below what it shows have come with it. No call names them.
    pub more: bool,
    /// Those that hang in it.
    pub(super) children: Vec<u32>,
}

impl Mount {
    /// Whether it shows files of the host.
    pub fn is_hosts(&self) -> bool {
        self.kind.is_empty()
    }

    /// Follows a call about propagation. A mount without peers has none to be a slave of.
    pub fn spread(&mut self, now: Propagation) {
        self.propagation = match (self.propagation, now) {
            (Propagation::Private, Propagation::Slave) => Propagation::Private,
            _ => now,
        };
    }

    /// What it shows: `tmpfs`, `/bus of proc`, `/srv of the host`.
    pub fn what(&self) -> String {
        match (self.is_hosts(), self.root.as_str()) {
            (true, "/") => "the host's root".into(),
            (true, _) => format!("{} of the host", self.source),
            (false, "/") => self.kind.clone(),
            (false, root) => format!("{root} of {}", self.kind),
        }
    }

    /// What it is, in a few words: `tmpfs nosuid, size=64k`, `/srv of the host ro`.
    pub fn words(&self) -> String {
        let mut text = self.what();
        for flag in &self.flags {
            text.push(' ');
            text.push_str(flag);
        }
        if self.propagation != Propagation::Private && !self.propagation.word().is_empty() {
            text.push(' ');
            text.push_str(self.propagation.word());
        }
        if !self.data.is_empty() {
            text.push_str(", ");
            text.push_str(&self.data);
        }
        if self.more && self.root != "/" {
            text.push_str(", rbind");
        }
        text
    }

    pub fn set_flag(&mut self, flag: &'static str, on: bool) {
        self.flags.retain(|known| *known != flag);
        if on {
            self.flags.push(flag);
        }
    }
}

/// So many mounts are followed.
const MOST: usize = 4096;

#[derive(Default)]
pub struct Forest {
    mounts: Table<u32, Mount>,
    newest: u32,
}

impl Forest {
    pub fn get(&self, id: u32) -> Option<&Mount> {
        self.mounts.get(&id)
    }

    pub fn get_mut(&mut self, id: u32) -> Option<&mut Mount> {
        self.mounts.get_mut(&id)
    }

    pub fn is_full(&self) -> bool {
        self.mounts.len() >= MOST
    }

    /// A mount that hangs nowhere yet; 0: there are too many.
    pub fn add(&mut self, mount: Mount) -> u32 {
        if self.is_full() {
            return 0;
        }
        self.newest += 1;
        self.mounts.insert(self.newest, mount);
        self.newest
    }

    /// The mount that hangs right at a place.
    fn at(&self, place: &Place) -> Option<u32> {
        let mount = self.mounts.get(&place.mount)?;
        mount.children.iter().rev().copied().find(|child| self.mounts.get(child).is_some_and(|m| m.at == place.path))
    }

    /// What a path that ends at a place reaches: the mount on top there.
    pub fn top(&self, place: Place) -> Place {
        let mut top = place;
        // Mounts hang in each other in no circle.
        while let Some(mount) = self.at(&top) {
            top = Place::root(mount);
        }
        top
    }

    /// Where a name leads from a place. `root`: the root that `..` does not leave.
    pub fn step(&self, name: &str, place: &Place, root: &Place) -> Place {
        match name {
            "" | "." => place.clone(),
            ".." => self.top(self.above(place, root)),
            _ => self.top(place.below(name)),
        }
    }

    /// The directory above a place.
    fn above(&self, place: &Place, root: &Place) -> Place {
        let mut place = place.clone();
        while place.path == "/" && place != *root {
            match self
                .mounts
                .get(&place.mount)
                .and_then(|mount| Some(Place { mount: mount.parent?, path: mount.at.clone() }))
            {
                Some(outer) => place = outer,
                None => return place,
            }
        }
        if place == *root {
            return place;
        }
        let end = place.path.rfind('/').unwrap_or(0).max(1);
        place.path.truncate(end);
        place
    }

    /// The path of a place as a process with this root sees it; none if it does not lie below.
    pub fn path(&self, place: &Place, root: &Place) -> Option<String> {
        let mut path = String::new();
        let mut place = place.clone();
        loop {
            if place.mount == root.mount && (root.path == "/" || within(&place.path, &root.path)) {
                let inner = place.path.strip_prefix(root.path.trim_end_matches('/')).unwrap_or(&place.path);
                return Some(joined(&format!("/{}", inner.trim_matches('/')), &path));
            }
            path = joined(&place.path, &path);
            let mount = self.mounts.get(&place.mount)?;
            place = Place { mount: mount.parent?, path: mount.at.clone() };
        }
    }

    /// The path as far up as the mounts go, for a place that a process no longer reaches.
    pub fn whole_path(&self, place: &Place) -> String {
        let mut top = place.mount;
        while let Some(parent) = self.mounts.get(&top).and_then(|mount| mount.parent) {
            top = parent;
        }
        self.path(place, &Place::root(top)).unwrap_or_else(|| place.path.clone())
    }

    /// What a place is in its file system: of the host's files their path there.
    pub fn inner(&self, place: &Place) -> String {
        self.mounts.get(&place.mount).map_or_else(|| place.path.clone(), |mount| joined(&mount.root, &place.path))
    }

    /// Hangs a mount at a place, on top of what hangs there.
    pub fn attach(&mut self, id: u32, place: Place) {
        let place = self.top(place);
        let outer = self.mounts.get(&place.mount).map(|mount| mount.propagation);
        self.hang(id, place);
        if let Some(mount) = self.mounts.get_mut(&id) {
            mount.propagation = match (outer, mount.propagation) {
                (Some(Propagation::Shared), _) => Propagation::Shared,
                (_, Propagation::Unknown) if !mount.is_hosts() && outer != Some(Propagation::Unknown) => {
                    Propagation::Private
                }
                (_, own) => own,
            };
        }
    }

    /// Hangs a mount right at a place. A place in the mount itself is none: mounts hang in no circle.
    pub fn hang(&mut self, id: u32, place: Place) {
        if self.get(id).is_none() || self.is_below(place.mount, id) {
            return;
        }
        self.detach(id);
        let space = self.mounts.get(&place.mount).map_or(0, |mount| mount.space);
        if let Some(outer) = self.mounts.get_mut(&place.mount) {
            outer.children.push(id);
        }
        if let Some(mount) = self.mounts.get_mut(&id) {
            mount.parent = Some(place.mount);
            mount.at = place.path;
        }
        self.set_space(id, space);
    }

    /// Takes a mount, and all that hangs in it, from its place.
    pub fn detach(&mut self, id: u32) {
        let parent = self.mounts.get_mut(&id).and_then(|mount| mount.parent.take());
        if let Some(parent) = parent.and_then(|parent| self.mounts.get_mut(&parent)) {
            parent.children.retain(|child| *child != id);
        }
        self.set_space(id, 0);
    }

    pub fn set_space(&mut self, id: u32, space: u32) {
        for id in self.subtree(id) {
            if let Some(mount) = self.mounts.get_mut(&id) {
                mount.space = space;
            }
        }
    }

    /// Whether a mount is another one, or hangs somewhere below it.
    fn is_below(&self, id: u32, top: u32) -> bool {
        let mut next = Some(id);
        while let Some(id) = next {
            if id == top {
                return true;
            }
            next = self.mounts.get(&id).and_then(|mount| mount.parent);
        }
        false
    }

    /// A mount and all that hangs below it, those that were made first coming first.
    pub fn subtree(&self, id: u32) -> Vec<u32> {
        let mut all = vec![id];
        let mut at = 0;
        while let Some(mount) = all.get(at).and_then(|id| self.mounts.get(id)) {
            all.extend(&mount.children);
            at += 1;
        }
        all
    }

    /// A copy of what lies at a place, which hangs nowhere. `recursive`: with all mounts that hang below it. Returns
    /// pairs: a mount, and its copy.
    pub fn copy(&mut self, place: &Place, recursive: bool) -> Vec<(u32, u32)> {
        let Some(original) = self.mounts.get(&place.mount).cloned() else { return Vec::new() };
        let hosts = original.is_hosts();
        let root = joined(&original.root, &place.path);
        let source = if hosts { root.clone() } else { original.source.clone() };
        let more = recursive && (hosts || original.more);
        let first =
            Mount { parent: None, at: String::new(), space: 0, root, source, more, children: Vec::new(), ..original };
        let first = self.add(first);
        let mut copies = vec![(place.mount, first)];
        let mut at = 0;
        while recursive && let Some((of, to)) = copies.get(at).copied() {
            at += 1;
            let children = self.mounts.get(&of).map_or(Vec::new(), |mount| mount.children.clone());
            for child in children {
                let Some(mount) = self.mounts.get(&child).cloned() else { continue };
                let inner = match of == place.mount {
                    true if !within(&mount.at, &place.path) => continue,
                    true => format!(
                        "/{}",
                        mount.at.strip_prefix(place.path.trim_end_matches('/')).unwrap_or(&mount.at).trim_matches('/')
                    ),
                    false => mount.at.clone(),
                };
                // The kernel leaves out what must not be bound.
                if mount.propagation == Propagation::Unbindable {
                    continue;
                }
                let copy = self.add(Mount { parent: None, children: Vec::new(), ..mount });
                self.hang(copy, Place { mount: to, path: inner });
                copies.push((child, copy));
            }
        }
        copies
    }

    /// A copy of a whole namespace: its mounts, with all that hangs in them.
    pub fn copy_space(&mut self, root: u32, space: u32) -> Table<u32, u32> {
        let mut copies = Table::default();
        for of in self.subtree(root) {
            let Some(mount) = self.mounts.get(&of).cloned() else { continue };
            let parent = mount.parent.and_then(|parent| copies.get(&parent).copied());
            let copy = self.add(Mount { parent: None, space, children: Vec::new(), ..mount.clone() });
            copies.insert(of, copy);
            if let Some(parent) = parent {
                self.hang(copy, Place { mount: parent, path: mount.at });
            }
        }
        copies
    }

    /// What a mount shows, and where it hangs: `the host's root`, `tmpfs on /dev`.
    pub fn described(&self, id: u32) -> String {
        let what = self.get(id).map_or(String::new(), Mount::what);
        match self.whole_path(&Place::root(id)).as_str() {
            "/" => what,
            path => format!("{what} on {path}"),
        }
    }

    /// Forgets a mount, and all that hangs in it.
    pub fn forget(&mut self, id: u32) {
        self.detach(id);
        for id in self.subtree(id) {
            self.mounts.remove(&id);
        }
    }
}

/// Whether a path is another one, or lies below it.
pub fn within(path: &str, above: &str) -> bool {
    match path.strip_prefix(above.trim_end_matches('/')) {
        Some(rest) => rest.is_empty() || rest.starts_with('/'),
        None => false,
    }
}
