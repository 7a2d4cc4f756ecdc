//! What one call has changed, as plain data: a page replays it without knowing any call. May touch: serde.

use serde::Serialize;

/// The five sets of capabilities, as /proc/PID/status orders them.
pub const SETS: &str = "inheritable permitted effective bounding ambient";

/// What a change is about.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A process begins as a copy of the process `key`, with all that it has; key 0: nothing is known of that one.
    Born,
    /// It executes a program.
    Program,
    /// It has ended.
    Ended,
    /// It is in the namespace with this number; `key` is the kind of namespace.
    Namespace,
    /// A mount, by its number: it is there, at `at` of the mount `parent`.
    Mount,
    /// A descriptor, by its number.
    Descriptor,
    /// `cwd` or `root`.
    Place,
    /// It is in this cgroup.
    Member,
    /// A cgroup, by its path, or a file of it.
    Cgroup,
    /// Ids, groups, capabilities, no_new_privs, filters, limits: what the process may do.
    Right,
    /// What belongs to a namespace: the host's name, mappings of ids, settings below /proc/sys.
    Setting,
    /// A device, a directory or a link that was made.
    File,
}

/// One thing that has appeared, changed or gone.
#[derive(Serialize, Clone, PartialEq, Eq, Debug)]
pub struct Change {
    pub kind: Kind,
    pub pid: i32,
    /// Which one of its kind.
    pub key: String,
    /// What it is now; none: it is gone.
    pub now: Option<String>,
    /// The number of the namespace that it belongs to; 0: it belongs to the process.
    #[serde(skip_serializing_if = "is_zero")]
    pub space: u32,
    /// Of a mount: the mount that it hangs in, and where.
    #[serde(skip_serializing_if = "is_zero")]
    pub parent: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub at: String,
    /// Of a mount: its path as its namespace has it.
    #[serde(skip)]
    pub path: String,
    /// Of a mount that is gone: what it showed, and where.
    #[serde(skip)]
    pub was: String,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

impl Change {
    pub fn new(kind: Kind, pid: i32, key: impl Into<String>, now: Option<String>) -> Change {
        let [at, path, was] = [const { String::new() }; 3];
        Change { kind, pid, key: key.into(), now, space: 0, parent: 0, at, path, was }
    }

    /// The change in a few words, for a list.
    pub fn words(&self) -> String {
        let (key, now) = (&self.key, self.now.as_deref().unwrap_or("gone"));
        match self.kind {
            Kind::Born if self.key == "0" => "the process is there".into(),
            Kind::Born => format!("the process begins as a copy of {key}"),
            Kind::Program => format!("the process executes {now}"),
            Kind::Ended => format!("the process ends: {now}"),
            Kind::Namespace => format!("{key} namespace: {now}"),
            Kind::Mount if self.now.is_none() => format!("the mount of {} is gone", self.was),
            Kind::Mount if self.space == 0 => format!("mount that hangs nowhere yet: {now}"),
            Kind::Mount => format!("mount on {}: {now}", self.path),
            Kind::Descriptor if self.now.is_none() => format!("descriptor {key} is closed"),
            Kind::Descriptor => format!("descriptor {key}: {now}"),
            Kind::Member => format!("cgroup: {now}"),
            Kind::Cgroup => format!("cgroup {key}: {now}"),
            Kind::Right if SETS.split(' ').any(|set| set == key) => format!("{key} capabilities: {now}"),
            Kind::Place | Kind::Right | Kind::Setting | Kind::File => format!("{key}: {now}"),
        }
    }
}
