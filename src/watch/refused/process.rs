//! The process that is stopped after its call, as /proc shows it: its rights, its memory, its descriptors, its files. Each fact
//! is read when it is asked for, and once. What cannot be read is `None`: then no cause is named. May touch: system calls,
//! procfs.

use super::types::{Confinement, Foreign};
use crate::cause::users::{self, Range};
use crate::host::procfs::field;
use crate::look::mounts::{self, Mount};
use crate::look::{Namespace, Proc, namespaces_of};
use crate::plan::clean;
use alloc::ffi::CString;
use core::cell::OnceCell;
use syscalls::{At, Fd, OpenFlags, Resolve, Why, foreign};

/// The longest path that a call takes.
const PATH: usize = 4096;
/// Bytes of a socket's address (unix(7)).
const SOCKET: usize = 110;

/// The process after its call.
pub struct Stopped<'a> {
    pub confinement: &'a Confinement<'a>,
    pub call: &'a Foreign,
    pub name: &'static str,
    proc: OnceCell<Option<Proc>>,
    own: OnceCell<Option<Proc>>,
    status: OnceCell<String>,
    raw_mounts: OnceCell<Vec<Mount>>,
    mounts: OnceCell<Vec<Mount>>,
    namespaces: OnceCell<[Vec<Namespace>; 2]>,
}

/// By which ids and rights the kernel judges the process. The ids are those of the watcher's user namespace.
pub struct Rights {
    pub user: u32,
    pub group: u32,
    pub groups: Vec<u32>,
    pub effective: u64,
    pub permitted: u64,
    pub bounding: u64,
    pub no_new_privileges: bool,
}

impl Rights {
    pub fn has(&self, capability: u32) -> bool {
        self.effective & 1 << capability != 0
    }
}

impl<'a> Stopped<'a> {
    pub fn new(confinement: &'a Confinement<'a>, call: &'a Foreign, name: &'static str) -> Stopped<'a> {
        Stopped {
            confinement,
            call,
            name,
            proc: OnceCell::new(),
            own: OnceCell::new(),
            status: OnceCell::new(),
            raw_mounts: OnceCell::new(),
            mounts: OnceCell::new(),
            namespaces: OnceCell::new(),
        }
    }

    /// An argument.
    pub fn arg(&self, at: usize) -> u64 {
        self.call.args.get(at).copied().unwrap_or(0)
    }

    /// An argument that is an int.
    pub fn int(&self, at: usize) -> i32 {
        self.arg(at) as i32
    }

    /// Its directory in /proc.
    pub fn proc(&self) -> Option<&Proc> {
        self.proc.get_or_init(|| Proc::open(&format!("{}", self.call.tid), true).ok()).as_ref()
    }

    fn own(&self) -> Option<&Proc> {
        self.own.get_or_init(|| Proc::open("self", true).ok()).as_ref()
    }

    /// A small file of its directory.
    pub fn text(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        self.proc()?.text(&name, Why("it says what holds for the process that made the call")).ok()?
    }

    /// What a link of its directory names.
    pub fn link(&self, name: &str) -> Option<String> {
        let name = CString::new(name).ok()?;
        self.proc()?.link(&name, Why("it says what the process means by a number or a relative path")).ok()?
    }

    /// A line of its status.
    pub fn status(&self, key: &str) -> &str {
        field(self.status.get_or_init(|| self.text("status").unwrap_or_default()), key)
    }

    pub fn rights(&self) -> Option<Rights> {
        let set = |key: &str| u64::from_str_radix(self.status(key), 16).ok();
        // Real, effective, saved, and that for files.
        let last = |key: &str| self.status(key).split_whitespace().nth(3)?.parse().ok();
        Some(Rights {
            user: last("Uid")?,
            group: last("Gid")?,
            groups: self.status("Groups").split_whitespace().filter_map(|id| id.parse().ok()).collect(),
            effective: set("CapEff")?,
            permitted: set("CapPrm")?,
            bounding: set("CapBnd")?,
            no_new_privileges: self.status("NoNewPrivs") == "1",
        })
    }

    /// `uid_map` or `gid_map`, as the watcher sees it.
    pub fn map(&self, name: &str) -> Option<Vec<Range>> {
        self.text(name).map(|text| users::ranges(&text))
    }

    /// An id of the watcher's as the process sees it. `None`: it is not mapped there.
    pub fn inside(&self, map: &str, id: u32) -> Option<u32> {
        users::inside(&self.map(map)?, id)
    }

    /// A user as the process sees it, for a reader.
    pub fn user_name(&self, map: &str, id: u32) -> String {
        self.inside(map, id).map_or_else(|| "no id of the container".into(), |id| format!("{id}"))
    }

    /// Bytes of its memory. `None`: not all of them can be read.
    pub fn memory(&self, from: u64, len: usize) -> Option<Vec<u8>> {
        let mut room = vec![0; len];
        (foreign::read(self.call.tid, from, &mut room) == len).then_some(room)
    }

    /// A text that an argument points to.
    pub fn string(&self, at: usize) -> Option<String> {
        let mut room = [0; PATH];
        let bytes = foreign::string(self.call.tid, Some(self.arg(at)).filter(|at| *at != 0)?, &mut room)?;
        Some(String::from_utf8_lossy(bytes).into_owned())
    }

    /// A number of 64 bits that an argument points to.
    pub fn word(&self, at: usize) -> Option<u64> {
        let bytes = self.memory(Some(self.arg(at)).filter(|at| *at != 0)?, 8)?;
        Some(u64::from_le_bytes(bytes.get(..8)?.try_into().ok()?))
    }

    /// The path that two arguments name, from the root of the container. `dir`: the argument that holds a descriptor.
    pub fn path(&self, dir: Option<usize>, at: usize) -> Option<String> {
        let path = self.string(at)?;
        if path.starts_with('/') {
            return Some(clean(&path));
        }
        let base = match dir.map(|dir| self.int(dir)) {
            None | Some(libc::AT_FDCWD) => self.link("cwd")?,
            Some(number) => self.descriptor(number)?,
        };
        Some(clean(&format!("{base}/{path}")))
    }

    /// The path of a socket in the file system that an argument points to (unix(7)).
    pub fn socket(&self, at: usize) -> Option<String> {
        let len = (self.arg(at + 1) as usize).min(SOCKET);
        let bytes = self.memory(self.arg(at), len)?;
        let family = u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?);
        let name = bytes.get(2..)?.split(|byte| *byte == 0).next()?;
        if i32::from(family) != libc::AF_UNIX || name.is_empty() {
            return None;
        }
        let path = String::from_utf8_lossy(name);
        Some(clean(&if path.starts_with('/') { path.into_owned() } else { format!("{}/{path}", self.link("cwd")?) }))
    }

    /// The path of an open file.
    pub fn descriptor(&self, number: i32) -> Option<String> {
        self.link(&format!("fd/{number}")).filter(|path| path.starts_with('/'))
    }

    /// The root of its paths.
    pub fn root(&self) -> Option<Fd> {
        self.proc()?.root().ok()?
    }

    /// Opens a path below its root, only to look at it. `follow`: a link at the end as well.
    pub fn open(&self, path: &str, follow: bool) -> Option<Fd> {
        let flags = if follow { OpenFlags::O_PATH } else { OpenFlags::O_PATH | OpenFlags::O_NOFOLLOW };
        let mut resolve = Resolve::RESOLVE_IN_ROOT | Resolve::RESOLVE_NO_MAGICLINKS;
        let waits = self.raw_mounts().iter().any(is_served);
        if waits {
            resolve = resolve | Resolve::RESOLVE_CACHED;
        }
        let name = CString::new(path).ok()?;
        let file =
            syscalls::openat2(self.root()?.at(), &name, flags, resolve, Why("the file that the call named")).ok()?;
        let served = waits && self.raw_mounts().iter().any(|mount| is_served(mount) && self.lies_on(&file, mount));
        (!served).then_some(file)
    }

    fn lies_on(&self, file: &Fd, mount: &Mount) -> bool {
        self.mount_number(file.at()).is_none_or(|number| number == mount.id)
    }

    /// The path of a file that we hold, without links.
    pub fn real(&self, file: At) -> Option<String> {
        let name = CString::new(format!("fd/{}", file.raw())).ok()?;
        self.own()?.link(&name, Why("the kernel tells the path without links")).ok()?
    }

    /// The number of the mount that a file lies on, which we hold or the process does.
    pub fn mount_number(&self, file: At) -> Option<u32> {
        number(self.own()?, file.raw())
    }

    pub fn mount_of_descriptor(&self, descriptor: i32) -> Option<&Mount> {
        let id = number(self.proc()?, descriptor)?;
        self.mounts().iter().find(|mount| mount.id == id)
    }

    pub fn mount_of(&self, file: At) -> Option<&Mount> {
        let id = self.mount_number(file)?;
        self.mounts().iter().find(|mount| mount.id == id)
    }

    /// Its mounts as the kernel lists them.
    fn raw_mounts(&self) -> &[Mount] {
        self.raw_mounts.get_or_init(|| self.proc().and_then(|proc| mounts::of(proc).ok()).unwrap_or_default())
    }

    /// Its mounts, each with the line of the configuration that it comes from.
    pub fn mounts(&self) -> &[Mount] {
        self.mounts.get_or_init(|| {
            let host = self.own().and_then(|own| mounts::of(own).ok()).unwrap_or_default();
            let mut list = self.raw_mounts().to_vec();
            let resolve = |path: &str| Ok(self.open(path, true).and_then(|file| self.real(file.at())));
            let _ = mounts::judge(&mut list, &host, Some(self.confinement.spec), resolve);
            list
        })
    }

    /// Its namespaces, and those of the watcher.
    pub fn namespaces(&self) -> &[Vec<Namespace>; 2] {
        self.namespaces.get_or_init(|| {
            [self.proc(), self.own()].map(|proc| proc.and_then(|proc| namespaces_of(proc).ok()).unwrap_or_default())
        })
    }

    /// Whether it is in the same namespace of this kind as the watcher, which is in the host's.
    pub fn shares(&self, kind: &str) -> bool {
        let [its, own] = self.namespaces();
        crate::look::same(its, own, kind)
    }
}

/// Whether a process answers for the file system, which can be one of the container, stopped by the watcher: a look must not
/// wait for it.
fn is_served(mount: &Mount) -> bool {
    let kinds = ["fuse", "virtiofs", "9p", "nfs", "cifs", "smb", "autofs", "ceph", "afs"];
    kinds.iter().any(|kind| mount.kind.starts_with(kind))
}

fn number(proc: &Proc, descriptor: i32) -> Option<u32> {
    let name = CString::new(format!("fdinfo/{descriptor}")).ok()?;
    let text = proc.text(&name, Why("it names the mount that the file lies on")).ok()??;
    field(&text, "mnt_id").parse().ok()
}
