//! Descriptors by name, and the ways in which processes wait for each other: followed through the records alone. May touch:
//! the recorder.

use crate::outcome::visible;
use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::rc::Rc;
use syscalls::record::{OUT, RETURNED, Record};
use syscalls::show::{Sort, sort};

/// What a descriptor stands for.
#[derive(Clone)]
struct Object {
    name: Rc<str>,
    /// Processes can wait for each other at it: a socket or a fifo. Both ends have one number.
    wire: u32,
}

/// What one process holds, and where it stands.
#[derive(Clone, Default)]
struct Process {
    open: BTreeMap<i32, Object>,
    here: Rc<str>,
}

/// The descriptors of a call, by name.
#[derive(Clone, Default)]
pub struct Named {
    pub args: [Option<Rc<str>>; 6],
    /// Where a path of the call leads, by the directory that it begins at.
    pub paths: [Option<Rc<str>>; 6],
    /// The name of the descriptor that it returned.
    pub opened: Option<Rc<str>>,
    /// What the call waits at, or speaks through; 0: nothing.
    pub wire: u32,
}

/// All processes of a trace while its records are read in the order of their calls.
#[derive(Default)]
pub struct Names {
    processes: BTreeMap<i32, Process>,
    wires: u32,
    /// The wires of fifos, by their names.
    fifos: Vec<(Rc<str>, u32)>,
}

/// The name of the container's root before it is one.
pub const ROOTFS: &str = "rootfs";

impl Names {
    /// What the call's descriptors were when it was made; then what the call has changed. `root`: it opens the rootfs.
    pub fn follow(&mut self, pid: i32, r: &Record, root: bool) -> Named {
        let process = self.processes.entry(pid).or_default();
        let mut named = self::named(process, r);
        if r.state == RETURNED && r.ret >= 0 {
            named.opened = opened(r, &named).map(|name| if root { ROOTFS.into() } else { name });
            self.change(pid, r, &named);
        }
        named
    }

    fn change(&mut self, pid: i32, r: &Record, named: &Named) {
        let fd = r.ret as i32;
        match r.call.name() {
            "clone3" => return self.cloned(pid, r),
            "socketpair" => return self.pair(pid, r),
            _ => {}
        }
        let wire = match named.opened.as_deref() {
            Some(name) if name.ends_with(".fifo") => self.fifo(name),
            _ => 0,
        };
        let process = self.processes.entry(pid).or_default();
        let [first, second, ..] = r.args.map(|arg| arg as i32);
        match r.call.name() {
            "close" => drop(process.open.remove(&first)),
            "close_range" if r.args[2] == 0 => {
                let last = second as u32;
                process.open.retain(|fd, _| (*fd as u32) < first as u32 || *fd as u32 > last);
            }
            "dup3" => {
                if let Some(object) = process.open.get(&first).cloned() {
                    process.open.insert(second, object);
                }
            }
            "fchdir" => process.here = named.args[0].clone().unwrap_or_default(),
            "chdir" => process.here = named.paths[0].clone().unwrap_or_default(),
            "pivot_root" => process.here = "/".into(),
            "recvmsg" => {
                if let Some((fd, name)) = received(r) {
                    process.open.insert(fd, Object { name, wire: 0 });
                }
            }
            _ => {
                if let Some(name) = named.opened.clone() {
                    process.open.insert(fd, Object { name, wire });
                }
            }
        }
    }

    /// The child begins with a copy of all that its parent holds.
    fn cloned(&mut self, pid: i32, r: &Record) {
        let child = self.processes.get(&pid).cloned().unwrap_or_default();
        self.processes.insert(r.ret as i32, child);
        let pidfd = r.blob(OUT).and_then(|blob| i32_at(blob.bytes, 0));
        if let (Some(fd @ 1..), Some(process)) = (pidfd, self.processes.get_mut(&pid)) {
            process.open.insert(fd, Object { name: format!("process {}", r.ret).into(), wire: 0 });
        }
    }

    fn pair(&mut self, pid: i32, r: &Record) {
        let Some(blob) = r.blob(3 | OUT) else { return };
        self.wires += 1;
        let process = self.processes.entry(pid).or_default();
        for at in [0, 4] {
            if let Some(fd) = i32_at(blob.bytes, at) {
                process.open.insert(fd, Object { name: "channel".into(), wire: self.wires });
            }
        }
    }

    fn fifo(&mut self, name: &str) -> u32 {
        if let Some((_, wire)) = self.fifos.iter().find(|(known, _)| **known == *name) {
            return *wire;
        }
        self.wires += 1;
        self.fifos.push((name.into(), self.wires));
        self.wires
    }
}

fn named(process: &Process, r: &Record) -> Named {
    let mut named = Named::default();
    let mut from = process.here.clone();
    for i in 0..r.argc {
        let value = r.args[i] as i32;
        if sort(r, i) == Sort::Descriptor {
            let object = process.open.get(&value);
            named.args[i] = object.map(|object| object.name.clone());
            if i == 0 {
                named.wire = object.map_or(0, |object| object.wire);
            }
            from = match (value, object) {
                (libc::AT_FDCWD, _) => process.here.clone(),
                (_, Some(object)) => object.name.clone(),
                (_, None) => Rc::default(),
            };
        } else if let Some(path) = path(r, i) {
            named.paths[i] = joined(&from, &path);
        }
    }
    if r.call.name() == "ppoll" {
        let polled = r.blob(0).map_or(&[][..], |blob| blob.bytes);
        let fds = polled.chunks(8).filter_map(|one| i32_at(one, 0));
        named.wire = fds.filter_map(|fd| process.open.get(&fd)).map(|object| object.wire).max().unwrap_or(0);
    }
    named
}

/// A path argument that the record keeps.
fn path<'a>(r: &Record<'a>, i: usize) -> Option<Cow<'a, str>> {
    text(r, i).filter(|_| sort(r, i) == Sort::Path)
}

/// Where a path leads from a place. Below the rootfs, paths are those of the container.
fn joined(from: &str, path: &str) -> Option<Rc<str>> {
    if path.starts_with('/') {
        return Some(path.into());
    }
    match (from, path) {
        ("", _) => None,
        (_, "" | "." | "..") => Some(from.into()),
        (ROOTFS | "/", _) => Some(format!("/{path}").into()),
        _ => Some(format!("{from}/{path}").into()),
    }
}

/// The name of the descriptor that a call returns.
fn opened(r: &Record, named: &Named) -> Option<Rc<str>> {
    let whole = |place: usize| named.paths[place].clone().or_else(|| path(r, place).map(Rc::from));
    match r.call.name() {
        "openat" | "openat2" | "open_tree" if path(r, 1).as_deref() == Some("") => named.args[0].clone(),
        "openat" | "openat2" | "open_tree" => whole(1).map(|name| match name.strip_suffix("/.") {
            Some(shorter) => shorter.into(),
            None => name,
        }),
        "fsopen" => text(r, 0).map(Rc::from),
        "fsmount" => named.args[0].clone(),
        "memfd_create" => text(r, 0).map(Rc::from),
        "pidfd_open" => Some(format!("process {}", r.args[0]).into()),
        "socket" => Some("socket".into()),
        "signalfd4" => Some("signals".into()),
        "bpf" if r.args[0] == syscalls::Bpf::BPF_PROG_LOAD.bits() => Some("program".into()),
        "ioctl" if r.args[1] == syscalls::Ioctl::TIOCGPTPEER.bits() => Some("terminal".into()),
        "seccomp" if r.ret > 0 => Some("listener".into()),
        _ => None,
    }
}

/// A text argument that the record keeps. A container's configuration, and its files, can hold any name: no name may forge a line.
fn text<'a>(r: &Record<'a>, i: usize) -> Option<Cow<'a, str>> {
    core::str::from_utf8(r.blob(i as u8)?.bytes).ok().map(visible)
}

/// A descriptor that came with a message, and what was said with it.
fn received(r: &Record) -> Option<(i32, Rc<str>)> {
    let mut shown = String::new();
    syscalls::show::arg(r, 1, &mut shown).ok()?;
    let after = |word: &str| shown.split_once(word).map(|(_, rest)| rest);
    let fd = after("cmsg_data=[")?.split(']').next()?.parse().ok()?;
    let said = after("iov_base=\"").and_then(|rest| rest.split('"').next()).filter(|said| !said.is_empty());
    Some((fd, said.unwrap_or("received").into()))
}

fn i32_at(bytes: &[u8], at: usize) -> Option<i32> {
    Some(i32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}
