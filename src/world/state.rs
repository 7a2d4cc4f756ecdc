//! All that the calls of a trace have made, and where to find it: processes, namespaces, mounts, open files, cgroups. May touch:
//! the collections.

use super::change::{Change, Kind};
use super::mounts::{Forest, Mount, Place};
use super::process::{Files, KINDS, MNT, Object, PID, Process, Space, Standing, TIME};
use crate::sorted::Table;
use alloc::rc::Rc;

/// Mounts and open files that were copied or told are together not more than this. What comes after that is not followed.
const MOST: usize = 1 << 18;

/// How a path is followed.
#[derive(Clone, Copy)]
pub(super) struct How {
    /// The directory that it begins at is the root, which it does not leave.
    pub inside: bool,
    /// A link at its end is followed.
    pub follows: bool,
}

impl How {
    pub const PLAIN: How = How { inside: false, follows: true };
}

pub struct World {
    pub(super) processes: Table<i32, Process>,
    /// Children of processes in other pid namespaces, which know them by another number than the trace: the number, and the
    /// process. The trace names them first when they make a call.
    pub(super) unclaimed: Vec<(i32, Process)>,
    /// The numbers are the places, counted from 1.
    pub(super) spaces: Vec<Space>,
    pub(super) forest: Forest,
    pub(super) files: Table<u32, Files>,
    pub(super) standing: Table<u32, Standing>,
    pub(super) wires: u32,
    /// Open files on their way with a message, by the pair that it goes through.
    pub(super) sent: Vec<(u32, Rc<Object>)>,
    /// Who waits for one: the pair, the process, the descriptor that it gets, and whether `execve` closes it.
    pub(super) waiting: Vec<(u32, i32, i32, bool)>,
    /// Symbolic links that calls have made or read, and where they lead.
    pub(super) links: Table<Place, String>,
    /// By path: the files that were written, and what.
    pub(super) cgroups: Table<String, Table<String, String>>,
    tables: u32,
    /// How many things were copied.
    copied: usize,
}

impl Default for World {
    /// The host: it has a namespace of each kind, and a root. No call has told more.
    fn default() -> World {
        let mut world = World {
            processes: Table::default(),
            unclaimed: Vec::new(),
            spaces: Vec::new(),
            forest: Forest::default(),
            files: Table::default(),
            standing: Table::default(),
            wires: 0,
            sent: Vec::new(),
            waiting: Vec::new(),
            links: Table::default(),
            cgroups: Table::default(),
            tables: 0,
            copied: 0,
        };
        for kind in 0..KINDS.split(' ').count() {
            world.spaces.push(Space { kind, ..Space::default() });
        }
        let root = world.hosts_root(MNT as u32 + 1);
        world.spaces[MNT].root = root;
        world
    }
}

impl World {
    /// A root that no call has told about.
    pub(super) fn hosts_root(&mut self, space: u32) -> u32 {
        self.forest.add(Mount { root: "/".into(), source: "/".into(), more: true, space, ..Mount::default() })
    }

    pub fn process(&self, pid: i32) -> Option<&Process> {
        self.processes.get(&pid)
    }

    /// All processes that the trace has named, in the order of their numbers.
    pub fn processes(&self) -> impl Iterator<Item = (i32, &Process)> {
        self.processes.iter().map(|(pid, process)| (*pid, process))
    }

    /// A namespace by its number.
    pub fn space(&self, number: u32) -> Option<&Space> {
        self.spaces.get((number as usize).checked_sub(1)?)
    }

    pub(super) fn space_mut(&mut self, number: u32) -> Option<&mut Space> {
        self.spaces.get_mut((number as usize).checked_sub(1)?)
    }

    /// A new namespace: its number.
    pub(super) fn add_space(&mut self, space: Space) -> u32 {
        self.spaces.push(space);
        self.spaces.len() as u32
    }

    /// A mount by its number.
    pub fn mount(&self, number: u32) -> Option<&Mount> {
        self.forest.get(number)
    }

    /// The open files of a process.
    pub fn files(&self, pid: i32) -> Option<&Files> {
        self.files.get(&self.processes.get(&pid)?.files)
    }

    pub fn standing(&self, pid: i32) -> Option<&Standing> {
        self.standing.get(&self.processes.get(&pid)?.places)
    }

    #[cfg(test)]
    pub fn cgroups(&self) -> impl Iterator<Item = (&str, &Table<String, String>)> {
        self.cgroups.iter().map(|(path, files)| (path.as_str(), files))
    }

    pub(super) fn files_mut(&mut self, pid: i32) -> Option<&mut Files> {
        self.files.get_mut(&self.processes.get(&pid)?.files)
    }

    pub(super) fn standing_mut(&mut self, pid: i32) -> Option<&mut Standing> {
        self.standing.get_mut(&self.processes.get(&pid)?.places)
    }

    pub fn file(&self, pid: i32, fd: i32) -> Option<&Rc<Object>> {
        self.files(pid)?.get(&fd).map(|(_, object)| object)
    }

    /// Takes a number of things for a copy. False: there are too many.
    pub(super) fn may_copy(&mut self, things: usize) -> bool {
        self.copied = self.copied.saturating_add(things);
        self.copied < MOST
    }

    /// Whether the calls have made more than is followed.
    pub fn is_full(&self) -> bool {
        self.copied >= MOST || self.forest.is_full()
    }

    pub(super) fn add_files(&mut self, files: Files) -> u32 {
        self.tables += 1;
        self.files.insert(self.tables, files);
        self.tables
    }

    pub(super) fn add_standing(&mut self, standing: Standing) -> u32 {
        self.tables += 1;
        self.standing.insert(self.tables, standing);
        self.tables
    }

    /// Makes sure that a process is there: the first call of a process that no clone has named by this number tells of it.
    pub(super) fn meet(&mut self, pid: i32, out: &mut Vec<Change>) {
        if self.processes.get(&pid).is_some() {
            return;
        }
        let place = self.unclaimed.iter().position(|(number, _)| *number == pid);
        if let Some(place) = place.or_else(|| (!self.unclaimed.is_empty()).then_some(0)) {
            let (_, process) = self.unclaimed.remove(place);
            self.born(pid, process, out);
            return;
        }
        let root = Place::root(self.spaces[MNT].root);
        let mut process = Process { spaces: core::array::from_fn(|kind| kind as u32 + 1), ..Process::default() };
        process.for_children = [process.spaces[PID], process.spaces[TIME]];
        let mut open = Files::default();
        for (fd, name) in ["standard input", "standard output", "standard error"].into_iter().enumerate() {
            open.insert(fd as i32, (false, Rc::new(Object::named(name))));
        }
        process.files = self.add_files(open);
        process.places = self.add_standing(Standing { cwd: root.clone(), root });
        out.push(Change::new(Kind::Born, pid, "0", Some(String::new())));
        self.processes.insert(pid, process);
        for (kind, word) in KINDS.split(' ').enumerate() {
            self.tell_space(pid, kind, word, out);
        }
        self.tell_mount(pid, self.spaces[MNT].root, out);
        for fd in 0..3 {
            self.tell_file(pid, fd, out);
        }
    }

    /// A child of a process is there: a copy of its parent, but for what is told here.
    pub(super) fn born(&mut self, pid: i32, process: Process, out: &mut Vec<Change>) {
        let parent = process.maker;
        let before = self.processes.get(&parent).cloned().unwrap_or_default();
        out.push(Change::new(Kind::Born, pid, parent.to_string(), Some(String::new())));
        let own = process.clone();
        self.processes.insert(pid, process);
        for (kind, word) in KINDS.split(' ').enumerate().filter(|(kind, _)| before.spaces[*kind] != own.spaces[*kind]) {
            self.tell_space(pid, kind, word, out);
        }
        if before.spaces[MNT] != own.spaces[MNT] {
            self.tell_mounts(pid, own.spaces[MNT], out);
        }
        if before.cgroup != own.cgroup {
            out.push(Change::new(Kind::Member, pid, "", Some(own.cgroup.clone())));
        }
        out.extend(own.rights.changes(&before.rights, pid));
        let empty = Files::default();
        let files = |table| self.files.get(table).unwrap_or(&empty);
        let (here, there) = (files(&own.files), files(&before.files));
        let name = |files: &Files, fd: &i32| files.get(fd).map(|(_, object)| object.name.clone());
        for (fd, _) in here.iter().filter(|(fd, _)| name(here, fd) != name(there, fd)) {
            self.tell_file(pid, *fd, out);
        }
        for (fd, _) in there.iter().filter(|(fd, _)| here.get(fd).is_none()) {
            self.tell_file(pid, *fd, out);
        }
    }

    /// Tells all mounts of a namespace.
    pub(super) fn tell_mounts(&mut self, pid: i32, space: u32, out: &mut Vec<Change>) {
        let root = self.space(space).map_or(0, |space| space.root);
        let all = self.forest.subtree(root);
        if self.may_copy(all.len()) {
            all.into_iter().for_each(|id| self.tell_mount(pid, id, out));
        }
    }

    /// Tells in which namespace of a kind a process is.
    pub(super) fn tell_space(&self, pid: i32, kind: usize, word: &str, out: &mut Vec<Change>) {
        let Some(number) = self.processes.get(&pid).map(|process| process.spaces[kind]) else { return };
        let Some(space) = self.space(number) else { return };
        let words = match (space.maker, space.file.as_str()) {
            (0, "") => "the host's".into(),
            (0, file) => format!("joined by {file}"),
            (maker, _) => format!("made by process {maker}"),
        };
        out.push(Change { space: number, ..Change::new(Kind::Namespace, pid, word, Some(words)) });
    }

    /// Tells what a mount is, and where it hangs.
    pub(super) fn tell_mount(&self, pid: i32, id: u32, out: &mut Vec<Change>) {
        let Some(mount) = self.forest.get(id) else { return };
        let change = Change::new(Kind::Mount, pid, id.to_string(), Some(mount.words()));
        let (space, parent, at) = (mount.space, mount.parent.unwrap_or(0), mount.at.clone());
        out.push(Change { space, parent, at, path: self.forest.whole_path(&Place::root(id)), ..change });
    }

    /// Tells what a descriptor leads to; or that it is closed.
    pub(super) fn tell_file(&self, pid: i32, fd: i32, out: &mut Vec<Change>) {
        let now = self.file(pid, fd).map(|object| String::from(&*object.name));
        let table = self.processes.get(&pid).map(|process| process.files);
        let sharing =
            self.processes.iter().filter(|(_, process)| Some(process.files) == table && process.ended.is_empty());
        out.extend(sharing.map(|(pid, _)| Change::new(Kind::Descriptor, *pid, fd.to_string(), now.clone())));
    }

    /// Opens a file of a process.
    pub(super) fn open(&mut self, pid: i32, fd: i32, (closes, object): (bool, Rc<Object>), out: &mut Vec<Change>) {
        if !self.may_copy(1) {
            return;
        }
        if let Some(files) = self.files_mut(pid) {
            files.insert(fd, (closes, object));
        }
        self.tell_file(pid, fd, out);
    }

    /// The place that a path leads to. `fd`: the directory that it begins at, or AT_FDCWD.
    pub(super) fn locate(&self, pid: i32, fd: i32, path: &str, how: How) -> Option<Place> {
        let standing = self.standing(pid)?;
        let from = match fd {
            libc::AT_FDCWD => standing.cwd.clone(),
            _ if path.starts_with('/') && !how.inside => standing.root.clone(),
            _ => self.file(pid, fd)?.place.clone()?,
        };
        let root = if how.inside { from.clone() } else { standing.root.clone() };
        let mut place = if path.starts_with('/') { root.clone() } else { from };
        let mut names: Vec<String> = path.split('/').rev().map(String::from).collect();
        let mut links = 0;
        while let Some(name) = names.pop() {
            let before = place.clone();
            place = self.forest.step(&name, &place, &root);
            let link = self.links.get(&place).filter(|_| !names.is_empty() || how.follows);
            // The kernel follows forty links in one path.
            if let Some(target) = link.filter(|_| links < 40) {
                links += 1;
                place = if target.starts_with('/') { root.clone() } else { before };
                names.extend(target.split('/').rev().map(String::from));
                continue;
            }
            place = self.magic(pid, &place).unwrap_or(place);
        }
        // A relative path can go deeper than any path that can be written. So deep the world follows no process.
        (place.path.len() < libc::PATH_MAX as usize).then_some(place)
    }

    /// What a path below /proc stands for: an open file, a root, a current directory.
    fn magic(&self, pid: i32, place: &Place) -> Option<Place> {
        let (pid, rest) = self.proc_file(pid, place)?;
        match rest.split_once('/').unwrap_or((&rest, "")) {
            ("fd", fd) => self.file(pid, fd.parse().ok()?)?.place.clone(),
            ("root", "") => self.standing(pid).map(|standing| standing.root.clone()),
            ("cwd", "") => self.standing(pid).map(|standing| standing.cwd.clone()),
            _ => None,
        }
    }

    /// Of a place below /proc/PID: the process, and the rest of the path.
    pub(super) fn proc_file(&self, pid: i32, place: &Place) -> Option<(i32, String)> {
        let mount = self.forest.get(place.mount)?;
        let inner = self.forest.inner(place);
        let path = match mount.kind.as_str() {
            "proc" => inner.as_str(),
            "" => inner.strip_prefix("/proc")?,
            _ => return None,
        };
        let (who, rest) = path.strip_prefix('/')?.split_once('/')?;
        let pid = match who {
            "self" | "thread-self" => pid,
            _ => self.numbered(pid, who.parse().ok()?)?,
        };
        Some((pid, rest.into()))
    }

    /// The process that another one knows by a number.
    pub(super) fn numbered(&self, pid: i32, number: i32) -> Option<i32> {
        let caller = self.processes.get(&pid)?;
        let is = |process: &Process| process.spaces[PID] == caller.spaces[PID];
        if self.processes.get(&number).is_some_and(is)
            || self.spaces.get(PID).is_some() && caller.spaces[PID] == PID as u32 + 1
        {
            return Some(number);
        }
        // The first process of its namespace.
        let mut inner = self.processes.iter().filter(|(_, process)| number == 1 && is(process));
        inner.next().map(|(pid, _)| *pid)
    }

    /// A file's name: its path as the process sees it.
    pub(super) fn name(&self, pid: i32, place: &Place) -> Rc<str> {
        let seen = self.standing(pid).and_then(|standing| self.forest.path(place, &standing.root));
        seen.unwrap_or_else(|| self.forest.whole_path(place)).into()
    }
}
