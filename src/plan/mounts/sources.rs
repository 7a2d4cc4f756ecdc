//! What bind mounts show: their sources, and the mappings of ids that they show them with (mount_setattr(2), "ID-mapped
//! mounts"). May touch: types.

use super::options::Options;
use crate::plan::builder::Builder;
use crate::plan::op::{Attributes, Mounts, Slot, Source, Users};
use crate::plan::order::{Host, Init};
use crate::plan::text::{below, c, mapping, plain, problem};
use crate::spec::{Mount, NamespaceKind, Problem};

/// How many sources are held open at once: a caller may have no more than 1024 descriptors.
const MOST_HELD: usize = 128;

/// Opens a bind's source: in the host lane; or in init's, just before it is attached, if it lies in what earlier mounts
/// may have changed, or if many are held already.
pub fn open(
    b: &mut Builder,
    from: &str,
    source: &str,
    options: &Options,
    (idmap, attributes, tree): (Option<(Slot, bool)>, Attributes, Slot),
) -> Result<(), Problem> {
    let inside = inside(b, source).filter(|_| b.tree.mounted);
    let in_rootfs = inside.is_some();
    let op = Mounts::OpenSource(Source {
        path: c(from, inside.as_deref().unwrap_or(source))?,
        in_rootfs,
        recursive: options.recursive_bind,
        link: options.source_as_it_is || options.copy_link,
        idmap,
        attributes,
        tree,
    });
    if in_rootfs {
        let why = "the source lies in the rootfs, and earlier mounts may have changed what lies there";
        b.init(Init::Mounts, from, op, why);
    } else if b.tree.held >= MOST_HELD && reached_by_init(b, source, options) {
        let why = "many sources are open already, and a process may have only so many descriptors: so this one is opened late";
        b.init(Init::Mounts, from, op, why);
    } else {
        b.tree.held += 1;
        let why = "opened outside, since after the switch of root a path of the host means nothing";
        b.source(Host::Mounts, from, op, why);
    }
    Ok(())
}

/// Whether init, which sees the host's tree until the switch of root, finds the same source there as the host does.
fn reached_by_init(b: &Builder, source: &str, options: &Options) -> bool {
    let copied = b.new_namespace(NamespaceKind::Mount);
    let rights = b.users.inside || !(b.users.new || b.users.joined);
    let apart = !b.spec.linux.rootfs_propagation.ends_with("shared");
    // What /proc shows depends on the process that looks.
    let source = plain(source);
    let fixed = source != "/proc" && below(&source, "/proc").is_none();
    // The rootfs is attached by then, over `/` or where it lies: a tree that holds that place would hold it too.
    let above = source == "/" || source == b.rootfs || below(&b.rootfs, &source).is_some();
    copied && rights && apart && fixed && !(options.recursive_bind && above)
}

/// A source's path from the root of the container, if it lies in the rootfs. (Where that is the host's `/`, everything
/// does, and sources are the host's.)
pub fn inside(b: &Builder, source: &str) -> Option<String> {
    let source = plain(source);
    match source == b.rootfs {
        _ if b.rootfs == "/" => None,
        true => Some(".".into()),
        false => below(&source, &b.rootfs).map(String::from),
    }
}

/// The namespace that maps the ids of a bind mount, and whether it maps them below too. The mapping is the option's,
/// the mount's, or the container's.
pub fn idmap(b: &mut Builder, mount: &Mount, options: &Options, from: &str) -> Result<Option<(Slot, bool)>, Problem> {
    let linux = &b.spec.linux;
    let own = !mount.uid_mappings.is_empty();
    let (recursive, uids, gids) = match &options.idmap {
        Some((recursive, uids, gids)) if !uids.is_empty() => (*recursive, uids, gids),
        Some((recursive, ..)) if own => (*recursive, &mount.uid_mappings, &mount.gid_mappings),
        None if own => (false, &mount.uid_mappings, &mount.gid_mappings),
        None => return Ok(None),
        Some((recursive, ..)) if b.users.new => (*recursive, &linux.uid_mappings, &linux.gid_mappings),
        Some((recursive, ..)) if b.users.joined => {
            let user = |(i, _): &&(usize, Slot)| linux.namespaces[*i].kind == NamespaceKind::User;
            return Ok(b.joined.iter().find(user).map(|(_, slot)| (*slot, *recursive)));
        }
        Some(_) => {
            let text = "idmap needs uidMappings and gidMappings of the mount, or a user namespace";
            return Err(problem(&format!("{from}/options"), text));
        }
    };
    let (uids, gids) = (mapping(uids), mapping(gids));
    if let Some((.., slot)) = b.tree.mappings.iter().find(|(u, g, _)| *u == uids && *g == gids) {
        return Ok(Some((*slot, recursive)));
    }
    let slot = b.slot();
    b.host_proc_at(Host::Mounts);
    b.tree.mappings.push((uids.clone(), gids.clone(), slot));
    let why = "the kernel takes a mapping of ids only as a user namespace that has it";
    b.host(Host::Mounts, from, Users::MappingNamespace { uids, gids, slot }, why);
    Ok(Some((slot, recursive)))
}
