//! A proc or sysfs that the kernel refuses, since the one that is there is not fully visible (mount_namespaces(7)). May touch:
//! types.

use super::{Found, facts};
use crate::host::mountinfo::{Mount, below};

/// What an outer container hides of the file system of this kind.
pub fn found(mounts: &[Mount], kind: &str) -> Option<Found> {
    let whole: Vec<&Mount> = mounts.iter().filter(|mount| mount.kind == kind && mount.root == "/").collect();
    let Some(first) = whole.first() else {
        return Some(Found::new("nothing visible", &[kind]));
    };
    if whole.iter().all(|mount| mount.has("ro")) {
        return Some(Found::new("read-only visible", &[kind, &first.target]));
    }
    let hides = |over: &&Mount| !facts::holds("empty", &over.target);
    let over = |mount: &Mount, over: &&Mount| over.parent == mount.id && below(&over.target, &mount.target).is_some();
    let hidden: Vec<&Mount> = mounts.iter().filter(|one| over(first, one)).filter(hides).collect();
    let example = hidden.first()?;
    Some(Found::new("masked", &[kind, &example.target, &hidden.len().to_string()]))
}
