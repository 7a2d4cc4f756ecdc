//! A proc or sysfs that the kernel refuses, since the one that is there is not fully visible (mount_namespaces(7)). May touch:
//! types.

use super::{Found, facts};
use crate::host::mountinfo::{Mount, below};

/// Why a file system that is there is not fully visible.
pub enum Covered {
    /// None is there.
    Absent,
    /// It is mounted read-only at this path.
    ReadOnly(String),
    /// A mount lies over this path, and so many paths are hidden.
    By(String, usize),
}

/// What an outer container hides of the file system of this kind.
pub fn found(mounts: &[Mount], kind: &str) -> Option<Found> {
    Some(match covered(mounts, kind)? {
        Covered::Absent => Found::new("nothing visible", &[kind]),
        Covered::ReadOnly(path) => Found::new("read-only visible", &[kind, &path]),
        Covered::By(path, hidden) => Found::new("masked", &[kind, &path, &hidden.to_string()]),
    })
}

/// What is hidden of the file system of this kind.
pub fn covered(mounts: &[Mount], kind: &str) -> Option<Covered> {
    let whole: Vec<&Mount> = mounts.iter().filter(|mount| mount.kind == kind && mount.root == "/").collect();
    let Some(first) = whole.first() else {
        return ["proc", "sysfs"].contains(&kind).then_some(Covered::Absent);
    };
    if whole.iter().all(|mount| mount.has("ro")) {
        return Some(Covered::ReadOnly(first.target.clone()));
    }
    let hides = |over: &&Mount| !facts::holds("empty", &over.target);
    let over = |mount: &Mount, over: &&Mount| over.parent == mount.id && below(&over.target, &mount.target).is_some();
    let hidden: Vec<&Mount> = mounts.iter().filter(|one| over(first, one)).filter(hides).collect();
    let example = hidden.first()?;
    Some(Covered::By(example.target.clone(), hidden.len()))
}
