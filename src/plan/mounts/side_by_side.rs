//! Many directories of the host's on names that lie beside each other, as volumes do. Alone, a bind is six system
//! calls: its source is copied before the clone, its target found by descriptor. Side by side they are one each, and no
//! less safe: the lane stands in the directory, and the kernel follows no links of the rootfs meanwhile
//! (`nosymfollow`), so a name without a slash can only mean what lies there. May touch: types.

use super::sources::inside;
use crate::plan::builder::Builder;
use crate::plan::hooks::any_before_pivot;
use crate::plan::op::{Mounts, Place};
use crate::plan::order::Init;
use crate::plan::text::{below, c, entry};
use crate::plan::tree::Covered;
use crate::spec::{Mount, NamespaceKind, Problem, Text};

/// So many mounts are worth the four calls that begin and end this.
const FEW: usize = 8;

/// Whether a mount is nothing but a bind. Options and mappings have to be set before another process can reach the
/// mount, so a mount that has them is made alone.
fn plain(mount: &Mount) -> bool {
    let bind = |option: &Text| matches!(option.as_str(), "bind" | "rbind");
    let source = mount.source.as_deref().unwrap_or("");
    // What /proc shows depends on the process that looks.
    let fixed = source.starts_with('/') && !source.starts_with("/proc/");
    let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    // The whole root would hold the rootfs, which lies over it by then.
    let fixed = fixed && source != "/";
    fixed && !mapped && !mount.options.is_empty() && mount.options.iter().all(bind)
}

fn clear(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
}

/// The directory of a mount's target, with its slash.
fn directory<'a>(mount: &'a Mount) -> Option<&'a str> {
    let path = mount.destination.as_str();
    let (parent, _) = path.strip_prefix('/')?.rsplit_once('/')?;
    let clear = parent.split('/').all(clear);
    clear.then(|| &path[..parent.len() + 2])
}

/// How many mounts from here on are of this kind, all in one directory. 0: too few, or they have to be made one by one.
pub fn count(b: &Builder, mounts: &[Mount]) -> usize {
    let Some(directory) = mounts.first().and_then(directory) else {
        return 0;
    };
    // A mount over /dev, or over part of one that later lines use, has to be noted in the tree.
    let near = b.tree.covered.iter().any(|m| m.path.starts_with(directory));
    let known = |path: &str| {
        let hides = |m: &Covered| m.path == path || below(&m.path, path).is_some();
        path == "/dev" || near && b.tree.covered.iter().any(hides)
    };
    let beside = |mount: &&Mount| {
        let name = mount.destination.strip_prefix(directory);
        let clear = |name: &str| clear(name) && name.bytes().all(|b| b != b'/');
        let source = mount.source.as_deref().unwrap_or("");
        let host = inside(b, source).is_none();
        plain(mount) && host && name.is_some_and(clear) && !known(&mount.destination)
    };
    let count = mounts.iter().take_while(beside).count();
    // The sources are found from inside the new mount namespace, which has the host's paths until the pivot.
    let copied = b.new_namespace(NamespaceKind::Mount);
    let reachable = copied && !b.users.foreign() && !any_before_pivot(b.spec);
    let slaves = !b.spec.linux.rootfs_propagation.ends_with("shared");
    let in_rootfs = |path: &str| matches!(b.tree.place("", path, true), Ok(Place::Rootfs { .. }));
    match count >= FEW && reachable && slaves && in_rootfs(&mounts[0].destination) {
        true => count,
        false => 0,
    }
}

/// So many of them, from the mount number `first` on.
pub fn plan(b: &mut Builder, first: usize, mounts: &[Mount]) -> Result<(), Problem> {
    let directory = mounts.first().and_then(directory).unwrap_or_default();
    b.tree.mounted = true;
    let at = entry("/mounts", first);
    let path = c(&at, directory.trim_matches('/'))?;
    let why = "the next mounts lie side by side: without links a name in here means what lies here";
    b.init(Init::Mounts, &at, Mounts::StandBeside { path }, why);
    for (i, mount) in mounts.iter().enumerate() {
        let from = entry("/mounts", first + i);
        let op = Mounts::BindBeside {
            source: c(&from, mount.source.as_deref().unwrap_or(""))?,
            path: c(&from, &mount.destination[1..])?,
            name: directory.len() - 1,
            recursive: mount.options.iter().any(|option| option == "rbind"),
        };
        b.init_of(Init::Mounts, from, op.into(), "the configuration shows this part of the host to the container");
    }
    let why = "from here on links are followed again: the program needs them";
    b.init(Init::Mounts, &at, Mounts::LeaveBeside, why);
    b.stands_nowhere();
    Ok(())
}
