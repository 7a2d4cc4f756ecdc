//! Many directories of the host's on names that lie beside each other, as volumes do. Alone, a bind is six system calls:
//! its source is copied before the clone, its target found by descriptor. Side by side they are one each, and no less
//! safe: the lane stands in the directory, and the kernel follows no links of the rootfs meanwhile (`nosymfollow`), so a
//! name without a slash can only mean what lies there. May touch: types.

use super::{below, inside, place};
use crate::plan::create::problem;
use crate::plan::hooks::any_before_pivot;
use crate::plan::op::{Line, Mounts, Place};
use crate::plan::{Builder, Covered, Problem, c, entry};
use crate::spec::{Mount, NamespaceKind, Text};
use syscalls::Why;

/// From so many on it is worth the four calls that begin and end it.
const FEW: usize = 8;

/// Whether a mount is nothing but a bind: what it has options or mappings for is set before anybody can reach it.
fn plain(mount: &Mount) -> bool {
    let bind = |option: &Text| matches!(option.as_str(), "bind" | "rbind");
    let source = mount.source.as_deref().unwrap_or("");
    // What /proc shows depends on who looks.
    let fixed = source.starts_with('/') && !source.starts_with("/proc/");
    let mapped = !mount.uid_mappings.is_empty() || !mount.gid_mappings.is_empty();
    // The whole root would hold the rootfs, which lies over it by then.
    let fixed = fixed && source != "/";
    fixed && !mapped && !mount.options.is_empty() && mount.options.iter().all(bind)
}

fn clear(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
}

/// The directory of a mount's target, with the slash behind it.
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
    // What lies over a mount that later lines use has to be known to them, and so has /dev.
    let known = |path: &str| {
        let hides = |m: &Covered| m.path == path || below(&m.path, path).is_some();
        path == "/dev" || b.covered.iter().any(hides)
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
    let in_rootfs = |destination: &str| {
        let place = place(&b.covered, destination, true);
        matches!(place, Ok(Place::Rootfs { .. }))
    };
    match count >= FEW && reachable && slaves && in_rootfs(&mounts[0].destination) {
        true => count,
        false => 0,
    }
}

/// Plans so many of them.
pub fn plan(b: &mut Builder, first: usize, mounts: &[Mount]) -> Result<(), Problem> {
    let directory = mounts.first().and_then(directory).unwrap_or_default();
    b.mounted = true;
    b.from = entry("/mounts", first);
    let path = c(directory.trim_matches('/')).map_err(|text| problem(&b.from, text))?;
    b.init(
        Mounts::StandBeside { path },
        "the next mounts lie beside each other: without links a name in here means what lies here",
    );
    for (i, mount) in mounts.iter().enumerate() {
        let from = entry("/mounts", first + i);
        let nul = |text: &str| problem(&from, text);
        let op = Mounts::BindBeside {
            source: c(mount.source.as_deref().unwrap_or("")).map_err(nul)?,
            path: c(&mount.destination[1..]).map_err(nul)?,
            name: directory.len() - 1,
            recursive: mount.options.iter().any(|option| option == "rbind"),
        };
        b.plan.init.push(Line {
            op: op.into(),
            step: b.step,
            from,
            why: Why("a piece of the host that the configuration lends to the container"),
        });
    }
    b.init(Mounts::LeaveBeside, "the program may follow links again, and so may the next lines");
    Ok(())
}
