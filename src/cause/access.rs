//! Whether a process reaches a file of the rootfs and may execute it: the components of its path, owners and modes, and the mount
//! that it lies on. May touch: plan types, system calls.

use super::path::{self, End, Walk};
use super::rights::{self, EXECUTE, Person};
use super::scene::Found;
use super::{labels, users};
use crate::host::mountinfo::{self, Mount};
use crate::plan::mounts::options;
use crate::plan::{self, text};
use crate::spec::{self, Spec};
use core::cell::RefCell;
use syscalls::{At, Errno, Fd, Stat, Why};

/// A root directory, and who looks for files in it.
pub struct Inside<'a> {
    pub root: At,
    /// Where the host has the rootfs: a whole path.
    pub rootfs: &'a str,
    /// The working directory.
    pub cwd: &'a str,
    pub person: Option<&'a Person>,
    pub spec: Option<&'a Spec<'a>>,
    /// The root belongs to this process. 0: no process has it yet, and the rootfs lies on the host.
    pub pid: i32,
    /// The paths on the way to each file that was looked at: a mount there would have led elsewhere.
    pub ways: RefCell<Vec<Way>>,
}

/// A path that was looked at, and whether nothing is there.
pub struct Way {
    pub path: String,
    pub missing: bool,
}

/// A cause, and the errno with which the kernel would tell it.
pub struct Cause {
    pub errno: Errno,
    pub found: Found,
}

impl Cause {
    pub fn new(errno: Errno, name: &str, values: &[&str]) -> Cause {
        Cause { errno, found: Found::new(name, values) }
    }

    pub fn at(self, pointer: impl Into<String>) -> Cause {
        Cause { found: self.found.at(pointer), ..self }
    }
}

/// A file that is there.
pub struct Reached {
    pub path: String,
    pub file: Fd,
    pub stat: Stat,
}

impl Inside<'_> {
    /// A path from the root on.
    pub fn absolute(&self, path: &str) -> String {
        if path.starts_with('/') { path.into() } else { format!("{}/{path}", self.cwd) }
    }

    fn note(&self, walk: &Walk) {
        let (path, missing) = match &walk.end {
            End::There { path, .. } | End::NotDirectory { path, .. } => (path, false),
            End::Missing { path } => (path, true),
            _ => return,
        };
        let dirs = walk.dirs.iter().map(|dir| Way { path: dir.path.clone(), missing: false });
        self.ways.borrow_mut().extend(dirs.chain([Way { path: path.clone(), missing }]));
    }
}

/// The file that a path leads to, or what is in the way. `name`: what the file is, for the message. `None`: a look was not allowed.
pub fn reach(inside: &Inside, path: &str, name: &str) -> Option<Result<Reached, Cause>> {
    let walk = path::walk(inside.root, &inside.absolute(path))?;
    inside.note(&walk);
    if let Some(cause) = closed(inside, &walk) {
        return Some(Err(cause));
    }
    let cause = match walk.end {
        End::There { path, file, stat } => return Some(Ok(Reached { path, file, stat })),
        End::Missing { path } => match walk.links.last() {
            Some(link) => Cause::new(Errno::ENOENT, "link leads nowhere", &[name, &link.path, &link.to, &path]),
            None if let Some(cause) = hidden(inside, &path, name) => cause,
            None if path == plan::clean(&inside.absolute(name)) => Cause::new(Errno::ENOENT, "no such file", &[name]),
            None => Cause::new(Errno::ENOENT, "no such component", &[name, &path]),
        },
        End::NotDirectory { path, stat } => {
            Cause::new(Errno::ENOTDIR, "file in the way", &[name, &path, path::kind(&stat)])
        }
        End::Loop { path, to, again: true } => Cause::new(Errno::ELOOP, "links in a circle", &[name, &path, &to]),
        End::Loop { path, .. } => Cause::new(Errno::ELOOP, "too many links", &[name, &path]),
        End::TooLong { part } => {
            let len = format!("{}", part.len());
            Cause::new(Errno::ENAMETOOLONG, "component too long", &[&part, &len])
        }
        End::Refused => return None,
    };
    Some(Err(cause))
}

/// What is missing lies in a mount of the configuration: it would have to be there, and not in the rootfs.
fn hidden(inside: &Inside, path: &str, name: &str) -> Option<Cause> {
    let spec = inside.spec.filter(|_| inside.pid != 0)?;
    let above = |mount: &spec::Mount| text::below(path, &plan::clean(&mount.destination)).is_some();
    let number = spec.mounts.iter().rposition(above)?;
    let (found, errno) = (not_in_mount(spec, number, name)?, Errno::ENOENT);
    Some(Cause { errno, found })
}

/// A file that the mount of this number does not bring.
pub fn not_in_mount(spec: &Spec, number: usize, name: &str) -> Option<Found> {
    let (mount, pointer) = (spec.mounts.get(number)?, format!("/mounts/{number}"));
    let target = plan::clean(&mount.destination);
    let source = mount.source.as_deref().unwrap_or("");
    let (cause, from) = match options::understand(mount, &pointer) {
        Ok(options) if options.bind => ("not in the source", source),
        _ => ("not in the file system", mount.kind.as_ref()),
    };
    Some(Found::new(cause, &[name, &target, from, &pointer]).at(pointer))
}

/// The first directory on the way that is closed to the person.
fn closed(inside: &Inside, walk: &Walk) -> Option<Cause> {
    let person = inside.person?;
    let last = matches!(walk.end, End::There { .. }) && walk.dirs.last().is_some_and(|dir| is_end(walk, &dir.path));
    let searched = walk.dirs.len() - usize::from(last);
    let dir = walk.dirs.iter().take(searched).find(|dir| !person.may(EXECUTE, &dir.stat))?;
    let (user, mode, owners) = (person.user(), rights::mode(&dir.stat), person.owners(&dir.stat));
    let rootfs = inside.rootfs.trim_end_matches("/.");
    let (name, path) = match dir.path.as_str() {
        "/" if rootfs.len() > 1 => ("closed root", rootfs),
        path => ("closed directory", path),
    };
    Some(Cause::new(Errno::EACCES, name, &[&user, path, &mode, &owners]).at("/process/user"))
}

fn is_end(walk: &Walk, dir: &str) -> bool {
    matches!(&walk.end, End::There { path, .. } if path == dir)
}

/// Why a file that is there may not be executed, with the errno EACCES.
pub fn denied(inside: &Inside, reached: &Reached, name: &str) -> Option<Cause> {
    let Reached { path, file, stat } = reached;
    let mode = rights::mode(stat);
    let refused = |cause: &str, values: &[&str]| Some(Cause::new(Errno::EACCES, cause, values));
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return refused("no regular file", &[name, path::kind(stat)]);
    }
    if is_noexec(file) {
        return Some(noexec(inside, path, name));
    }
    if stat.st_mode & 0o111 == 0 {
        return refused("no x bit", &[name, path, &mode]);
    }
    let person = inside.person?;
    if !person.may(EXECUTE, stat) {
        let values = [&person.user(), name, path, &mode, &person.owners(stat)];
        return refused("not executable", &values).map(|cause| cause.at("/process/user"));
    }
    None
}

/// What remains of EACCES where owner, mode and mount allow it.
pub fn by_module(inside: &Inside, name: &str) -> Cause {
    // The module asks about the label that the program gets, too.
    let asked = inside.spec.map_or("", |spec| &spec.process.selinux_label);
    let label = users::of_process(inside.pid, "attr/current").unwrap_or_default();
    match labels::confining(if asked.is_empty() { &label } else { asked }) {
        None => Cause::new(Errno::EACCES, "refused by an ACL", &[name]),
        Some((_, label)) => Cause::new(Errno::EACCES, "refused by a module", &[name, label]),
    }
}

pub fn is_noexec(file: &Fd) -> bool {
    let why = Why("a mount can forbid to execute its files");
    let flags = syscalls::fstatfs(file.at(), why).map_or(0, |stat| stat.f_flags as u64);
    flags & libc::ST_NOEXEC != 0
}

/// Which mount forbids it, and which line of config.json asks for that.
fn noexec(inside: &Inside, path: &str, name: &str) -> Cause {
    let found = |cause: &str, values: &[&str]| Cause::new(Errno::EACCES, cause, values);
    let mounts = mounts(inside.pid);
    let covering = || mountinfo::covering(&mounts, |mount: &Mount| &mount.target, path).filter(|m| m.has("noexec"));
    let mount = if inside.pid == 0 { None } else { covering() };
    let Some(target) = mount.map(|mount| &mount.target).filter(|target| *target != "/") else {
        return noexec_rootfs(inside, path, name);
    };
    let Some((number, mount)) = inside.spec.and_then(|spec| asked(spec, target)) else {
        return found("noexec below", &[name, target]);
    };
    let pointer = format!("/mounts/{number}");
    let cause = match mount.options.iter().any(|option| option == "noexec") {
        true => "noexec mount",
        false => "noexec from the host",
    };
    found(cause, &[name, target, &pointer]).at(pointer.clone() + "/options")
}

/// The rootfs itself lies on a mount of the host's that forbids it.
fn noexec_rootfs(inside: &Inside, path: &str, name: &str) -> Cause {
    let rootfs = inside.rootfs;
    let host = mounts(0);
    let place = format!("{}{path}", rootfs.trim_end_matches('/'));
    let mount = mountinfo::covering(&host, |mount: &Mount| &mount.target, &place);
    let target = mount.map_or(rootfs, |mount| &mount.target);
    Cause::new(Errno::EACCES, "noexec rootfs", &[name, target]).at("/root/path")
}

/// The mounts of a process; `pid` 0 is this one.
fn mounts(pid: i32) -> Vec<Mount> {
    if pid != 0 {
        return mountinfo::of(pid).unwrap_or_default();
    }
    let text = users::of_process(0, "mountinfo").unwrap_or_default();
    text.lines().filter_map(mountinfo::understand).collect()
}

/// The line of config.json that asks for a mount there: of several the last covers the others.
fn asked<'s>(spec: &'s Spec, target: &str) -> Option<(usize, &'s crate::spec::Mount<'s>)> {
    let mut numbered = spec.mounts.iter().enumerate();
    numbered.rfind(|(_, mount)| plan::clean(&mount.destination) == target)
}

/// A file of the same name elsewhere in the rootfs, where programs lie.
pub fn elsewhere(root: At, name: &str) -> Option<String> {
    const PLACES: &str = "usr/local/bin usr/bin bin usr/local/sbin usr/sbin sbin opt/bin app";
    let name = name.rsplit('/').next()?;
    let is_file = |path: &String| path::find(root, path).is_some_and(|(.., stat)| !path::is_dir(&stat));
    PLACES.split(' ').map(|place| format!("/{place}/{name}")).find(is_file)
}
