//! Processes begin, go into other namespaces, become other programs and end. May touch: the state.

use super::change::{Change, Kind};
use super::deed::Deed;
use super::groups;
use super::mounts::Place;
use super::process::{CGROUP, FLAGS, KINDS, MNT, Object, PID, Process, Space, Standing, TIME, USER};
use super::rights::{OVERFLOW, UNKNOWN};
use super::state::World;
use super::words::{list, member, number, parts, text};
use crate::sorted::Table;
use alloc::rc::Rc;

/// Takes a call by which a process begins, moves, becomes another program or ends. Whether it is one.
pub fn take(world: &mut World, deed: &Deed, out: &mut Vec<Change>) -> bool {
    match deed.name {
        "clone" | "clone3" | "fork" | "vfork" => cloned(world, deed, out),
        "unshare" => unshared(world, deed, out),
        "setns" => joined(world, deed, out),
        "execve" | "execveat" => executed(world, deed, out),
        "exit" | "exit_group" => ended(world, deed, out),
        _ => return false,
    }
    true
}

fn cloned(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let (pid, child) = (deed.pid, deed.result as i32);
    let Some(parent) = world.process(pid).cloned() else { return };
    let has = |word: &str| deed.has(word);
    let mut process = Process { maker: pid, leader: 0, ended: String::new(), ..parent.clone() };
    if has("CLONE_THREAD") {
        process.leader = if parent.leader == 0 { pid } else { parent.leader };
    }
    if !has("CLONE_FILES") {
        let files = world.files(pid).cloned().unwrap_or_default();
        let files = if world.may_copy(files.len()) { files } else { Default::default() };
        process.files = world.add_files(files);
    }
    if !has("CLONE_FS")
        && let Some(standing) = world.standing(pid).cloned()
    {
        process.places = world.add_standing(standing);
    }
    process.spaces[PID] = parent.for_children[0];
    process.spaces[TIME] = parent.for_children[1];
    // Before the namespaces: this cgroup is the root of a new cgroup namespace.
    if let Some(fd) = member(deed.arg(0), "cgroup").and_then(number).filter(|_| has("CLONE_INTO_CGROUP"))
        && let Some(object) = world.file(pid, fd as i32)
    {
        process.cgroup = groups::path(&object.name).into();
    }
    for (kind, _) in FLAGS.split(' ').enumerate().filter(|(_, flag)| has(flag)) {
        enter_new(world, &mut process, child, kind);
    }
    process.for_children = [process.spaces[PID], process.spaces[TIME]];
    // The kernel answers with the number that the caller's own pid namespace has.
    match parent.spaces[PID] == PID as u32 + 1 {
        true => world.born(child, process, out),
        false => world.unclaimed.push((child, process)),
    }
    let pidfd = member(deed.out(0), "pidfd").map(list).and_then(|list| list.first()?.parse().ok());
    if let Some(fd) = pidfd {
        let object = Object { process: child, ..Object::named(&format!("process {child}")) };
        world.open(pid, fd, (true, Rc::new(object)), out);
    }
}

/// Puts a process into a new namespace of a kind.
fn enter_new(world: &mut World, process: &mut Process, maker: i32, kind: usize) {
    let before = process.spaces[kind];
    let settings = match kind {
        USER => Default::default(),
        _ => world.space(before).map_or_else(Default::default, |space| space.settings.clone()),
    };
    let number = world.add_space(Space { kind, maker, settings, ..Space::default() });
    process.spaces[kind] = number;
    match kind {
        MNT => copy_mounts(world, process, before, number),
        USER => {
            let known = |[real, effective, _]: [u32; 3]| if effective == UNKNOWN { real } else { effective };
            let (uid, gid) = (known(process.rights.uids), known(process.rights.gids));
            process.rights.enter_user_namespace();
            (process.rights.uids, process.rights.gids) = ([OVERFLOW; 3], [OVERFLOW; 3]);
            if let Some(space) = world.space_mut(number) {
                space.settings.insert("outside".into(), format!("{uid} {gid}"));
            }
        }
        CGROUP => {
            let cgroup = process.cgroup.clone();
            if let Some(space) = world.space_mut(number) {
                space.settings.insert("root".into(), cgroup);
            }
        }
        _ => {}
    }
}

/// A new mount namespace begins as a copy. The process stands at the copies of what it stood at.
fn copy_mounts(world: &mut World, process: &mut Process, before: u32, number: u32) {
    let root = world.space(before).map_or(0, |space| space.root);
    let many = world.forest.subtree(root).len();
    let mut copies = Table::default();
    match world.may_copy(many) {
        true => copies = world.forest.copy_space(root, number),
        false => copies.insert(root, world.hosts_root(number)),
    }
    if let Some(space) = world.space_mut(number) {
        space.root = copies.get(&root).copied().unwrap_or(0);
    }
    let Some(standing) = world.standing.get(&process.places).cloned() else { return };
    let moved = |place: Place| match copies.get(&place.mount) {
        Some(copy) => Place { mount: *copy, ..place },
        None => place,
    };
    process.places = world.add_standing(Standing { cwd: moved(standing.cwd), root: moved(standing.root) });
}

fn unshared(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let Some(mut process) = world.processes.remove(&pid) else { return };
    let before = process.clone();
    if deed.has("CLONE_FILES") {
        let files = world.files.get(&process.files).cloned().unwrap_or_default();
        process.files = world.add_files(files);
    }
    if deed.has("CLONE_FS")
        && let Some(standing) = world.standing.get(&process.places).cloned()
    {
        process.places = world.add_standing(standing);
    }
    for (kind, _) in FLAGS.split(' ').enumerate().filter(|(_, flag)| deed.has(flag)) {
        let own = process.spaces[kind];
        enter_new(world, &mut process, pid, kind);
        // Children are born into them; the process itself stays.
        if let Some(place) = [PID, TIME].iter().position(|of_children| *of_children == kind) {
            process.for_children[place] = process.spaces[kind];
            process.spaces[kind] = own;
        }
    }
    moved(world, pid, process, &before, out);
}

fn joined(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let (pid, fd) = (deed.pid, deed.fd(0));
    let Some(object) = world.file(pid, fd).cloned() else { return };
    let Some(mut process) = world.processes.remove(&pid) else { return };
    let before = process.clone();
    let named = object.name.rsplit('/').next().unwrap_or("");
    for (kind, (word, flag)) in KINDS.split(' ').zip(FLAGS.split(' ')).enumerate() {
        let any_kind = deed.arg(1) == "0";
        if !(deed.has(flag) || any_kind && named == word) {
            continue;
        }
        let number = joined_space(world, &object, kind);
        match [PID, TIME].iter().position(|of_children| *of_children == kind) {
            Some(place) => process.for_children[place] = number,
            None => process.spaces[kind] = number,
        }
        if kind == MNT {
            let root = Place::root(world.space(number).map_or(0, |space| space.root));
            process.places = world.add_standing(Standing { cwd: root.clone(), root });
        }
        if kind == USER {
            process.rights.enter_user_namespace();
        }
    }
    moved(world, pid, process, &before, out);
}

/// The namespace that a descriptor leads to. If no known process is in it, only its file is known.
fn joined_space(world: &mut World, object: &Object, kind: usize) -> u32 {
    if world.space(object.space).is_some_and(|space| space.kind == kind) {
        return object.space;
    }
    if let Some(process) = world.process(object.process) {
        return process.spaces[kind];
    }
    let known = world.spaces.iter().position(|space| space.kind == kind && space.file == *object.name);
    if let Some(place) = known {
        return place as u32 + 1;
    }
    let number = world.add_space(Space { kind, file: object.name.to_string(), ..Space::default() });
    if kind == MNT {
        let root = world.hosts_root(number);
        if let Some(space) = world.space_mut(number) {
            space.root = root;
        }
    }
    number
}

/// A process has moved to other namespaces: puts it back, and tells it.
fn moved(world: &mut World, pid: i32, process: Process, before: &Process, out: &mut Vec<Change>) {
    let (spaces, children) = (process.spaces, process.for_children);
    let copied = spaces[MNT] != before.spaces[MNT];
    out.extend(process.rights.changes(&before.rights, pid));
    world.processes.insert(pid, process);
    for (kind, word) in KINDS.split(' ').enumerate().filter(|(kind, _)| spaces[*kind] != before.spaces[*kind]) {
        world.tell_space(pid, kind, word, out);
    }
    for (place, kind) in [PID, TIME].into_iter().enumerate().filter(|(i, _)| children[*i] != before.for_children[*i]) {
        let word = KINDS.split(' ').nth(kind).unwrap_or("");
        let change = Change::new(Kind::Namespace, pid, format!("{word} of children"), Some("a new one".into()));
        out.push(Change { space: children[place], ..change });
    }
    if copied {
        world.tell_mounts(pid, spaces[MNT], out);
    }
}

fn executed(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let path = if deed.name == "execve" { deed.text(0) } else { deed.text(1) };
    let argument = |i: usize| text(parts(deed.arg(i).trim_start_matches('[')).first()?);
    let named = path.filter(|path| !path.is_empty()).or_else(|| argument(2));
    let shares =
        |process: &Process| world.processes.iter().filter(|(_, other)| other.files == process.files).count() > 1;
    let apart = world.process(pid).is_some_and(shares);
    if apart {
        let files = world.files(pid).cloned().unwrap_or_default();
        let table = world.add_files(files);
        if let Some(process) = world.processes.get_mut(&pid) {
            process.files = table;
        }
    }
    let closed: Vec<i32> = world
        .files(pid)
        .map_or(Vec::new(), |files| files.iter().filter(|(_, (closes, _))| *closes).map(|(fd, _)| *fd).collect());
    if let Some(files) = world.files_mut(pid) {
        files.retain(|(_, (closes, _))| !closes);
    }
    map_by_helper(world, deed, named.as_deref().unwrap_or(""), out);
    let Some(process) = world.processes.get_mut(&pid) else { return };
    process.program = named.unwrap_or_default();
    let before = process.rights.clone();
    process.rights.execute();
    // A process that has other threads goes on alone.
    process.leader = 0;
    out.push(Change::new(Kind::Program, pid, "", Some(process.program.clone())));
    out.extend(process.rights.changes(&before, pid));
    for fd in closed {
        world.tell_file(pid, fd, out);
    }
}

/// newuidmap and newgidmap write the mapping that their words tell: a process, and three numbers a row.
fn map_by_helper(world: &mut World, deed: &Deed, program: &str, out: &mut Vec<Change>) {
    let file = match program.rsplit('/').next() {
        Some("newuidmap") => "uid_map",
        Some("newgidmap") => "gid_map",
        _ => return,
    };
    let list = deed.arg(if deed.name == "execve" { 1 } else { 2 });
    let words: Vec<String> = parts(list.trim_start_matches('[')).into_iter().filter_map(text).skip(1).collect();
    let Some((of, rows)) = words.split_first() else { return };
    if let Some(of) = of.parse().ok().and_then(|number| world.numbered(deed.pid, number)) {
        let rows: Vec<String> = rows.chunks(3).map(|row| row.join(" ")).collect();
        groups::mapped(world, of, file, &rows.join("\n"), out);
    }
}

fn ended(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let Some(process) = world.processes.get_mut(&deed.pid) else { return };
    process.ended = format!("{} {}", deed.name, deed.arg(0));
    let (files, places, leader) = (process.files, process.places, process.leader);
    if leader == 0 || deed.name == "exit_group" {
        out.push(Change::new(Kind::Ended, deed.pid, "", Some(deed.arg(0).into())));
    }
    let shared = |world: &World, is: &dyn Fn(&Process) -> bool| {
        world.processes.iter().any(|(_, process)| process.ended.is_empty() && is(process))
    };
    if !shared(world, &|process| process.files == files) {
        world.files.remove(&files);
    }
    if !shared(world, &|process| process.places == places) {
        world.standing.remove(&places);
    }
}
