//! What a process has: namespaces, rights, descriptors, places. May touch: the collections.

use super::mounts::Place;
use super::rights::Rights;
use crate::sorted::Table;
use alloc::rc::Rc;

/// The kinds of namespaces, as /proc/PID/ns has them.
pub const KINDS: &str = "cgroup ipc mnt net pid time user uts";
/// The flags that make them, in the same order.
pub const FLAGS: &str =
    "CLONE_NEWCGROUP CLONE_NEWIPC CLONE_NEWNS CLONE_NEWNET CLONE_NEWPID CLONE_NEWTIME CLONE_NEWUSER CLONE_NEWUTS";

pub const CGROUP: usize = 0;
pub const MNT: usize = 2;
pub const PID: usize = 4;
pub const TIME: usize = 5;
pub const USER: usize = 6;
pub const UTS: usize = 7;

/// One namespace.
#[derive(Clone, Debug, Default)]
pub struct Space {
    /// The place of its word in [`KINDS`].
    pub kind: usize,
    /// The process that has made it; 0: it was there before.
    pub maker: i32,
    /// The file by which it was joined; empty: it is the host's, or a call has made it.
    pub file: String,
    /// Of a mount namespace: the mount at its root.
    pub root: u32,
    /// What belongs to it: a name, mappings, settings.
    pub settings: Table<String, String>,
}

impl Space {
    /// Whether it is that of the host, from which the first process comes.
    pub fn is_hosts(&self) -> bool {
        self.maker == 0 && self.file.is_empty()
    }
}

/// What a descriptor leads to.
#[derive(Clone, Debug, Default)]
pub struct Object {
    pub name: Rc<str>,
    /// Where the file lies, if it lies in the file system.
    pub place: Option<Place>,
    /// Of a process: its number.
    pub process: i32,
    /// Both ends of a pair have the same number; 0: it is no end of a pair.
    pub wire: u32,
    /// Of a namespace: its number.
    pub space: u32,
    /// Of a file system that is being configured: type, source and options.
    pub context: Option<Context>,
}

/// A file system before it is a mount.
#[derive(Clone, Debug, Default)]
pub struct Context {
    pub kind: String,
    pub source: String,
    pub data: Vec<String>,
}

/// A process, or a thread.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// The process that has cloned it; 0: none that is known.
    pub maker: i32,
    /// The process that it is a thread of; 0: it is no thread.
    pub leader: i32,
    /// What it executes; empty: no call has said it.
    pub program: String,
    /// How it has ended; empty: it is there.
    pub ended: String,
    /// The numbers of its namespaces, in the order of [`KINDS`].
    pub spaces: [u32; 8],
    /// The namespaces that its children are born into, where they differ: pid and time.
    pub for_children: [u32; 2],
    /// The cgroup that a call has put it into.
    pub cgroup: String,
    pub rights: Rights,
    /// Threads can share both: these are the numbers of the tables.
    pub(super) files: u32,
    pub(super) places: u32,
}

/// Where a process stands.
#[derive(Clone, Debug)]
pub struct Standing {
    pub cwd: Place,
    pub root: Place,
}

/// Open files by their numbers, and whether `execve` closes each.
pub type Files = Table<i32, (bool, Rc<Object>)>;

impl Object {
    /// A file that lies nowhere.
    pub fn named(name: &str) -> Object {
        Object { name: name.into(), ..Object::default() }
    }

    /// A file at a place.
    pub fn at(name: Rc<str>, place: Option<Place>) -> Object {
        Object { name, place, ..Object::default() }
    }
}
