//! Calls that change mounts: the old ones, with all in one call, and the new ones, with a descriptor for a mount that hangs
//! nowhere yet. May touch: the state.

use super::change::{Change, Kind};
use super::deed::Deed;
use super::files::{self, stand_at};
use super::mounts::{Mount, Place, Propagation};
use super::process::{MNT, Object};
use super::state::{How, World};
use super::words::member;
use alloc::rc::Rc;

/// Takes a call that changes mounts. Whether it is one.
pub fn take(world: &mut World, deed: &Deed, out: &mut Vec<Change>) -> bool {
    match deed.name {
        "mount" => mount(world, deed, out),
        "umount" | "umount2" => unmount(world, deed, out),
        "pivot_root" => pivot(world, deed, out),
        "open_tree" => open_tree(world, deed, out),
        "move_mount" => move_mount(world, deed, out),
        "mount_setattr" => attributes(world, deed, out),
        "fsopen" => made(world, deed, files::context(deed), "FSOPEN_CLOEXEC", out),
        "fspick" => made(world, deed, Object::named("a mounted file system"), "FSPICK_CLOEXEC", out),
        "fsconfig" => configure(world, deed),
        "fsmount" => fsmount(world, deed, out),
        _ => return false,
    }
    true
}

fn made(world: &mut World, deed: &Deed, object: Object, flag: &str, out: &mut Vec<Change>) {
    world.open(deed.pid, deed.result as i32, (deed.has(flag), Rc::new(object)), out);
}

/// The words of mountinfo, and the flags of mount(2) and mount_setattr(2) that set them.
const FLAGS: &str = "ro MS_RDONLY MOUNT_ATTR_RDONLY
nosuid MS_NOSUID MOUNT_ATTR_NOSUID
nodev MS_NODEV MOUNT_ATTR_NODEV
noexec MS_NOEXEC MOUNT_ATTR_NOEXEC
noatime MS_NOATIME MOUNT_ATTR_NOATIME
nodiratime MS_NODIRATIME MOUNT_ATTR_NODIRATIME
nosymfollow MS_NOSYMFOLLOW MOUNT_ATTR_NOSYMFOLLOW
idmapped - MOUNT_ATTR_IDMAP";

/// The rows of [`FLAGS`].
fn flags() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    FLAGS.lines().filter_map(|line| {
        let mut words = line.split(' ');
        Some((words.next()?, words.next()?, words.next()?))
    })
}

/// Sets the flags of a mount as `mount` does: those that are absent are taken away.
fn set_flags(mount: &mut Mount, deed: &Deed, i: usize) {
    for (word, flag, _) in flags().filter(|(_, flag, _)| *flag != "-") {
        mount.set_flag(word, super::words::flag(deed.arg(i), flag));
    }
}

/// What a call says of propagation.
fn propagation(arg: &str) -> Option<Propagation> {
    let has = |word| super::words::flag(arg, word);
    match () {
        _ if has("MS_PRIVATE") => Some(Propagation::Private),
        _ if has("MS_SLAVE") => Some(Propagation::Slave),
        _ if has("MS_SHARED") => Some(Propagation::Shared),
        _ if has("MS_UNBINDABLE") => Some(Propagation::Unbindable),
        _ => None,
    }
}

fn mount(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    // To find a place among so many takes long.
    if world.is_full() {
        return;
    }
    let has = |word| super::words::flag(deed.arg(3), word);
    let target = deed.text(1).unwrap_or_default();
    let Some(place) = world.locate(pid, libc::AT_FDCWD, &target, How::PLAIN) else { return };
    if has("MS_REMOUNT") {
        change(world, pid, place.mount, false, out, &|mount| {
            set_flags(mount, deed, 3);
            if let Some(data) = deed.begin(4).filter(|data| !data.is_empty() && !has("MS_BIND")) {
                mount.data = data;
            }
        });
        return;
    }
    if let Some(propagation) = propagation(deed.arg(3)).filter(|_| !has("MS_BIND")) {
        change(world, pid, place.mount, has("MS_REC"), out, &|mount| mount.spread(propagation));
        return;
    }
    let source = deed.text(0).unwrap_or_default();
    let id = match has("MS_BIND") || has("MS_MOVE") {
        true => {
            let Some(from) = world.locate(pid, libc::AT_FDCWD, &source, How::PLAIN) else { return };
            match has("MS_MOVE") {
                true => from.mount,
                false => copy(world, &from, has("MS_REC")),
            }
        }
        false => {
            let (kind, data) = (deed.text(2).unwrap_or_default(), deed.begin(4).unwrap_or_default());
            let mut mount = Mount { kind, source, data, root: "/".into(), ..Mount::default() };
            set_flags(&mut mount, deed, 3);
            world.forest.add(mount)
        }
    };
    world.forest.attach(id, place);
    tell(world, pid, id, out);
}

/// A copy of what lies at a place; 0: there is too much of it.
fn copy(world: &mut World, from: &Place, recursive: bool) -> u32 {
    let many = if recursive { world.forest.subtree(from.mount).len() } else { 1 };
    if !world.may_copy(many) {
        return 0;
    }
    world.forest.copy(from, recursive).first().map_or(0, |(_, copy)| *copy)
}

/// Changes a mount, and those below it.
fn change(world: &mut World, pid: i32, id: u32, below: bool, out: &mut Vec<Change>, how: &dyn Fn(&mut Mount)) {
    let all = if below { world.forest.subtree(id) } else { vec![id] };
    if !world.may_copy(all.len()) {
        return;
    }
    for id in all {
        if let Some(mount) = world.forest.get_mut(id) {
            how(mount);
        }
        world.tell_mount(pid, id, out);
    }
}

/// Tells a mount and those below it.
fn tell(world: &mut World, pid: i32, id: u32, out: &mut Vec<Change>) {
    let all = world.forest.subtree(id);
    if world.may_copy(all.len()) {
        all.into_iter().for_each(|id| world.tell_mount(pid, id, out));
    }
}

fn unmount(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let path = deed.text(0).unwrap_or_default();
    let Some(place) = world.locate(deed.pid, libc::AT_FDCWD, &path, How::PLAIN) else { return };
    let id = world.forest.top(place).mount;
    // The root of a namespace stays: a wrong guess must not take all away.
    if world.forest.get(id).is_none_or(|mount| mount.parent.is_none()) {
        return;
    }
    for id in world.forest.subtree(id) {
        let was = world.forest.described(id);
        out.push(Change { was, ..Change::new(Kind::Mount, deed.pid, id.to_string(), None) });
    }
    world.forest.forget(id);
}

fn pivot(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let place = |i| world.locate(pid, libc::AT_FDCWD, &deed.text(i).unwrap_or_default(), How::PLAIN);
    let (Some(new), Some(old), Some(standing)) = (place(0), place(1), world.standing(pid).cloned()) else { return };
    let (new, root) = (new.mount, standing.root.mount);
    let space = world.process(pid).map_or(0, |process| process.spaces[MNT]);
    if new == root {
        return;
    }
    let outer = world.forest.get(root).and_then(|mount| Some(Place { mount: mount.parent?, path: mount.at.clone() }));
    world.forest.detach(new);
    world.forest.detach(root);
    match outer {
        Some(outer) => world.forest.hang(new, outer),
        None => {
            world.forest.set_space(new, space);
            if let Some(space) = world.space_mut(space) {
                space.root = new;
            }
        }
    }
    world.forest.attach(root, old);
    // The kernel moves all that stood at the old root.
    let (from, to) = (standing.root, Place::root(new));
    let members: Vec<i32> =
        world.processes.iter().filter(|(_, process)| process.spaces[MNT] == space).map(|(pid, _)| *pid).collect();
    world.tell_mount(pid, new, out);
    world.tell_mount(pid, root, out);
    for pid in members {
        let Some(standing) = world.standing(pid).cloned() else { continue };
        if standing.root == from {
            stand_at(world, pid, "root", to.clone(), out);
        }
        if standing.cwd == from {
            stand_at(world, pid, "cwd", to.clone(), out);
        }
    }
}

fn open_tree(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let path = deed.text(1).unwrap_or_default();
    let Some(place) = world.locate(pid, deed.fd(0), &path, How::PLAIN) else { return };
    let name = world.name(pid, &place);
    let place = match deed.has("OPEN_TREE_CLONE") {
        true => {
            let copy = copy(world, &place, deed.has("AT_RECURSIVE"));
            tell(world, pid, copy, out);
            Place::root(copy)
        }
        false => place,
    };
    made(world, deed, Object::at(name, Some(place)), "OPEN_TREE_CLOEXEC", out);
}

fn move_mount(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let place = |i: usize| world.locate(pid, deed.fd(i), &deed.text(i + 1).unwrap_or_default(), How::PLAIN);
    let (Some(from), Some(to)) = (place(0), place(2)) else { return };
    world.forest.attach(from.mount, to);
    tell(world, pid, from.mount, out);
}

fn attributes(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let Some(place) = world.locate(pid, deed.fd(0), &deed.text(1).unwrap_or_default(), How::PLAIN) else { return };
    let given = |name| member(deed.arg(3), name).unwrap_or("");
    let (set, cleared, propagation) = (given("attr_set"), given("attr_clr"), propagation(given("propagation")));
    change(world, pid, place.mount, deed.has("AT_RECURSIVE"), out, &|mount| {
        for (word, _, flag) in flags() {
            match () {
                _ if super::words::flag(set, flag) => mount.set_flag(word, true),
                _ if super::words::flag(cleared, flag) => mount.set_flag(word, false),
                _ => {}
            }
        }
        if let Some(propagation) = propagation {
            mount.spread(propagation);
        }
    });
}

fn configure(world: &mut World, deed: &Deed) {
    let fd = deed.fd(0);
    let Some((_, object)) = world.files_mut(deed.pid).and_then(|files| files.get_mut(&fd)) else { return };
    let Some(context) = &mut Rc::make_mut(object).context else { return };
    let (key, value) = (deed.text(2).unwrap_or_default(), deed.text(3));
    match (deed.arg(1), value) {
        ("FSCONFIG_SET_STRING", Some(value)) if key == "source" => context.source = value,
        ("FSCONFIG_SET_FLAG", _) => context.data.push(key),
        ("FSCONFIG_SET_STRING", Some(value)) => context.data.push(format!("{key}={value}")),
        ("FSCONFIG_SET_FD", _) => context.data.push(format!("{key}=descriptor {}", deed.arg(4))),
        _ => {}
    }
}

fn fsmount(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let Some(object) = world.file(deed.pid, deed.fd(0)) else { return };
    let context = object.context.clone().unwrap_or_default();
    let (kind, source, data) = (context.kind.clone(), context.source.clone(), context.data.join(","));
    let mut mount = Mount { kind, source, data, root: "/".into(), ..Mount::default() };
    for (word, _, flag) in flags().filter(|(.., flag)| super::words::flag(deed.arg(2), flag)) {
        let _ = flag;
        mount.set_flag(word, true);
    }
    let name = format!("{} that hangs nowhere", context.kind).into();
    let id = world.forest.add(mount);
    tell(world, deed.pid, id, out);
    let place = Some(Place::root(id));
    made(world, deed, Object::at(name, place), "FSMOUNT_CLOEXEC", out);
}
