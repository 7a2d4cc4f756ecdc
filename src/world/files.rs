//! Descriptors are opened, copied and closed; devices, directories and links are made. May touch: the state.

use super::change::{Change, Kind};
use super::deed::Deed;
use super::mounts::{Place, joined};
use super::process::{Context, KINDS, Object};
use super::state::{How, World};
use super::words::{list, number};
use alloc::rc::Rc;

/// Calls that return a new descriptor: the call, then what it is called; `=0` is the text of argument 0.
const MADE: &str = "socket socket
accept connection
accept4 connection
eventfd events
eventfd2 events
epoll_create epoll
epoll_create1 epoll
signalfd signals
signalfd4 signals
timerfd_create timer
inotify_init1 inotify
memfd_create =0
userfaultfd userfaultfd
io_uring_setup io_uring
fanotify_init fanotify
pidfd_getfd received";

/// Calls whose descriptors `execve` closes without being asked to.
const CLOSED: &str = "pidfd_open pidfd_getfd bpf seccomp";

/// Takes a call that is about descriptors and files. Whether it is one.
pub fn take(world: &mut World, deed: &Deed, out: &mut Vec<Change>) -> bool {
    let pid = deed.pid;
    match deed.name {
        "open" | "creat" => opened(world, deed, libc::AT_FDCWD, 0, out),
        "openat" | "openat2" => opened(world, deed, deed.fd(0), 1, out),
        "close" => close(world, pid, deed.fd(0), out),
        "close_range" => close_range(world, deed, out),
        "dup" | "dup2" | "dup3" => copied(world, deed, deed.result as i32, deed.has("O_CLOEXEC"), out),
        "fcntl" if deed.arg(1).starts_with("F_DUPFD") => {
            copied(world, deed, deed.result as i32, deed.arg(1) == "F_DUPFD_CLOEXEC", out);
        }
        "fcntl" if deed.arg(1) == "F_SETFD" => {
            if let Some((closes, _)) = world.files_mut(pid).and_then(|files| files.get_mut(&deed.fd(0))) {
                *closes = deed.has("FD_CLOEXEC");
            }
        }
        "pipe" | "pipe2" => pair(world, deed, 0, "pipe", out),
        "socketpair" => pair(world, deed, 3, "channel", out),
        "sendmsg" => sent(world, deed, out),
        "recvmsg" => received(world, deed, out),
        "pidfd_open" => {
            let process = deed.number(0).map_or(0, |pid| pid as i32);
            made(world, deed, Object { process, ..Object::named(&format!("process {process}")) }, out);
        }
        "bpf" if deed.arg(0) == "BPF_PROG_LOAD" => made(world, deed, Object::named("program"), out),
        "seccomp" if deed.result > 0 => made(world, deed, Object::named("listener"), out),
        "ioctl" if deed.arg(1) == "TIOCGPTPEER" => made(world, deed, Object::named("terminal"), out),
        "chdir" | "chroot" => stand(world, deed, out),
        "fchdir" => {
            if let Some(place) = world.file(pid, deed.fd(0)).and_then(|object| object.place.clone()) {
                stand_at(world, pid, "cwd", place, out);
            }
        }
        "readlink" | "readlinkat" => link_read(world, deed, out),
        "mkdir" | "mkdirat" | "mknod" | "mknodat" | "symlink" | "symlinkat" => file_made(world, deed, out),
        name => {
            let row = MADE.lines().filter_map(|line| line.split_once(' ')).find(|(call, _)| *call == name);
            let Some((_, what)) = row else { return false };
            let text = if what == "=0" { deed.text(0) } else { None };
            made(world, deed, Object::named(&text.unwrap_or_else(|| what.into())), out);
        }
    }
    true
}

/// The call has returned a descriptor of this object.
fn made(world: &mut World, deed: &Deed, object: Object, out: &mut Vec<Change>) {
    let closes = deed.args.iter().any(|arg| !arg.starts_with('"') && arg.contains("CLOEXEC"))
        || CLOSED.split(' ').any(|name| name == deed.name);
    world.open(deed.pid, deed.result as i32, (closes, Rc::new(object)), out);
}

fn opened(world: &mut World, deed: &Deed, from: i32, place: usize, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let path = deed.text(place).unwrap_or_default();
    let found = world.locate(pid, from, &path, how(deed));
    let name: Rc<str> = found.as_ref().map_or_else(|| path.as_str().into(), |place| world.name(pid, place));
    let space = found.as_ref().and_then(|place| namespace(world, pid, place)).unwrap_or(0);
    made(world, deed, Object { space, ..Object::at(name, found) }, out);
}

/// The namespace that a file below /proc/PID/ns stands for.
fn namespace(world: &World, pid: i32, place: &Place) -> Option<u32> {
    let (of, rest) = world.proc_file(pid, place)?;
    let process = world.process(of)?;
    match rest.strip_prefix("ns/")? {
        "pid_for_children" => Some(process.for_children[0]),
        "time_for_children" => Some(process.for_children[1]),
        word => Some(process.spaces[KINDS.split(' ').position(|known| known == word)?]),
    }
}

/// How a call follows its path.
fn how(deed: &Deed) -> How {
    let stays = ["O_NOFOLLOW", "AT_SYMLINK_NOFOLLOW", "RESOLVE_NO_SYMLINKS"].iter().any(|flag| deed.has(flag));
    How { inside: deed.has("RESOLVE_IN_ROOT"), follows: !stays }
}

/// A link was read: of one below /proc/self/fd the kernel tells the true path of the open file.
fn link_read(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let pid = deed.pid;
    let (from, at) = if deed.name == "readlink" { (libc::AT_FDCWD, 0) } else { (deed.fd(0), 1) };
    let (Some(path), Some(target)) = (deed.text(at), deed.text(at + 1)) else { return };
    // A text that ends with dots is cut.
    if deed.arg(at + 1).ends_with("...") {
        return;
    }
    let Some(place) = last(world, pid, from, &path) else { return };
    let Some((of, rest)) = world.proc_file(pid, &place) else {
        world.links.insert(place, target);
        return;
    };
    let Some(fd) = rest.strip_prefix("fd/").and_then(|fd| fd.parse().ok()).filter(|_| target.starts_with('/')) else {
        return;
    };
    let Some(known) = world.file(of, fd).filter(|object| *object.name != *target && object.place.is_some()) else {
        return;
    };
    let known = Object::clone(known);
    let closes = world.files(of).and_then(|files| files.get(&fd)).is_some_and(|(closes, _)| *closes);
    let place = world.locate(of, libc::AT_FDCWD, &target, How { follows: false, ..How::PLAIN });
    let object = Object { name: target.as_str().into(), place, ..known };
    world.open(of, fd, (closes, Rc::new(object)), out);
}

/// The place of a path whose last name is not followed.
fn last(world: &World, pid: i32, from: i32, path: &str) -> Option<Place> {
    let (folder, last) = path.trim_end_matches('/').rsplit_once('/').unwrap_or((".", path));
    let folder = if folder.is_empty() { "/" } else { folder };
    let folder = world.locate(pid, from, folder, How::PLAIN)?;
    Some(Place { mount: folder.mount, path: joined(&folder.path, last) })
}

fn close(world: &mut World, pid: i32, fd: i32, out: &mut Vec<Change>) {
    if world.files_mut(pid).is_some_and(|files| files.remove(&fd).is_some()) {
        world.tell_file(pid, fd, out);
    }
}

fn close_range(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let bound = |i| deed.number(i).map_or(i32::MAX, |fd| i32::try_from(fd).unwrap_or(i32::MAX));
    let (first, last) = (bound(0), bound(1));
    let Some(files) = world.files_mut(deed.pid) else { return };
    if deed.has("CLOSE_RANGE_CLOEXEC") {
        files.iter_mut().filter(|(fd, _)| (first..=last).contains(fd)).for_each(|(_, (closes, _))| *closes = true);
        return;
    }
    let closed: Vec<i32> = files.iter().map(|(fd, _)| *fd).filter(|fd| (first..=last).contains(fd)).collect();
    for fd in closed {
        close(world, deed.pid, fd, out);
    }
}

/// A copy of a descriptor with another number.
fn copied(world: &mut World, deed: &Deed, to: i32, closes: bool, out: &mut Vec<Change>) {
    if let Some(object) = world.file(deed.pid, deed.fd(0)).cloned() {
        world.open(deed.pid, to, (closes, object), out);
    }
}

/// Two descriptors, which argument `i` lists.
fn pair(world: &mut World, deed: &Deed, i: usize, name: &str, out: &mut Vec<Change>) {
    let shown = if deed.out(i).is_empty() { deed.arg(i) } else { deed.out(i) };
    let closes = deed.has("O_CLOEXEC") || deed.has("SOCK_CLOEXEC");
    world.wires += 1;
    let object = Rc::new(Object { wire: world.wires, ..Object::named(name) });
    for fd in list(shown).iter().filter_map(|fd| number(fd)) {
        world.open(deed.pid, fd as i32, (closes, object.clone()), out);
    }
}

/// The descriptors that a message carries.
fn carried(deed: &Deed) -> Vec<i32> {
    let Some((_, data)) = deed.arg(1).split_once("cmsg_type=SCM_RIGHTS, cmsg_data=") else { return Vec::new() };
    list(data).iter().filter_map(|fd| number(fd)).map(|fd| fd as i32).collect()
}

/// Descriptors go with a message. One who waits for it has begun to wait before it was sent.
fn sent(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let wire = world.file(deed.pid, deed.fd(0)).map_or(0, |object| object.wire);
    for fd in carried(deed) {
        let Some(object) = world.file(deed.pid, fd).cloned().filter(|_| wire > 0) else { continue };
        let waits = world.waiting.iter().position(|(of, ..)| *of == wire);
        match waits.map(|place| world.waiting.remove(place)) {
            Some((_, pid, fd, closes)) => world.open(pid, fd, (closes, object), out),
            None if world.may_copy(1) => world.sent.push((wire, object)),
            None => {}
        }
    }
}

/// Descriptors came with a message.
fn received(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let wire = world.file(deed.pid, deed.fd(0)).map_or(0, |object| object.wire);
    let closes = deed.has("MSG_CMSG_CLOEXEC");
    for fd in carried(deed) {
        let place = world.sent.iter().position(|(of, _)| *of == wire && wire > 0);
        let object = match place.map(|place| world.sent.remove(place)) {
            Some((_, object)) => object,
            None => {
                if world.may_copy(1) {
                    world.waiting.push((wire, deed.pid, fd, closes));
                }
                Rc::new(Object::named("received"))
            }
        };
        world.open(deed.pid, fd, (closes, object), out);
    }
}

fn stand(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let path = deed.text(0).unwrap_or_default();
    if let Some(place) = world.locate(deed.pid, libc::AT_FDCWD, &path, How::PLAIN) {
        stand_at(world, deed.pid, if deed.name == "chroot" { "root" } else { "cwd" }, place, out);
    }
}

/// Moves the current directory or the root of a process.
pub fn stand_at(world: &mut World, pid: i32, what: &str, place: Place, out: &mut Vec<Change>) {
    let name = match what {
        "root" => world.forest.whole_path(&place),
        _ => world.name(pid, &place).to_string(),
    };
    let Some(standing) = world.standing_mut(pid) else { return };
    let parent = place.mount;
    let at = place.path.clone();
    match what {
        "root" => standing.root = place,
        _ => standing.cwd = place,
    }
    out.push(Change { parent, at, ..Change::new(Kind::Place, pid, what, Some(name)) });
}

/// A device, a directory or a link is there.
fn file_made(world: &mut World, deed: &Deed, out: &mut Vec<Change>) {
    let (from, place, what) = match deed.name {
        "mkdir" => (libc::AT_FDCWD, 0, String::from("directory")),
        "mkdirat" => (deed.fd(0), 1, "directory".into()),
        "mknod" => (libc::AT_FDCWD, 0, node(deed.arg(1), deed.arg(2))),
        "mknodat" => (deed.fd(0), 1, node(deed.arg(2), deed.arg(3))),
        "symlink" => (libc::AT_FDCWD, 1, format!("link to {}", deed.text(0).unwrap_or_default())),
        _ => (deed.fd(1), 2, format!("link to {}", deed.text(0).unwrap_or_default())),
    };
    let path = deed.text(place).unwrap_or_default();
    let Some(place) = last(world, deed.pid, from, &path) else { return };
    if deed.name.starts_with("symlink") {
        world.links.insert(place.clone(), deed.text(0).unwrap_or_default());
    }
    let name = world.name(deed.pid, &place);
    if what == "directory" && super::groups::is_group(world, &place, &name) {
        super::groups::made(world, deed.pid, &name, out);
        return;
    }
    out.push(Change::new(Kind::File, deed.pid, &*name, Some(what)));
}

/// `device 1:3`, `fifo`, `file`.
fn node(mode: &str, device: &str) -> String {
    let kind = match mode.split('|').next().unwrap_or("") {
        "S_IFCHR" => "character device",
        "S_IFBLK" => "block device",
        "S_IFIFO" => return "fifo".into(),
        "S_IFSOCK" => return "socket".into(),
        _ => return "file".into(),
    };
    let numbers = device.trim_start_matches("makedev(").trim_end_matches(')').split(", ");
    let numbers: Vec<String> = numbers.filter_map(number).map(|number| number.to_string()).collect();
    format!("{kind} {}", numbers.join(":"))
}

/// A file system that is being configured.
pub fn context(deed: &Deed) -> Object {
    let kind = deed.text(0).unwrap_or_default();
    let name = format!("a new {kind}");
    Object { context: Some(Context { kind, ..Context::default() }), ..Object::named(&name) }
}
