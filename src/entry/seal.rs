//! The program protects its own file. What runs in a container can have the kernel execute `/proc/self/exe` there, and
//! then holds a path to the very file that root of the host runs next (CVE-2019-5736). Two defences:
//!
//! - In a pid namespace of its own the container's first process is alone until its execve, so the only one that could
//!   ever hold such a path is this program itself, executed by that link. It sees that it was not called by its name, and
//!   ends before it does anything: [`called_by_name`]. Three calls.
//! - Where others may be watching, in a pid namespace that is shared or where hooks run inside, it executes itself again,
//!   through a read-only mount: [`seal`]. That costs as much as starting a program does.
//!
//! ```text
//!   open_tree(/proc/self/exe, CLONE) ─ mount_setattr(RDONLY) ─ execveat      nothing is copied
//!   memfd_create ─ sendfile ─ seals ─ execveat                               where mounts may not be copied; thrice as dear
//! ```
//! What was recorded so far goes along in the environment, so that the trace is whole. May touch: the recorder, system
//! calls.

use crate::outcome::{Error, at};
use alloc::ffi::CString;
use core::ffi::{CStr, c_char};
use syscalls::{
    AccessFlags, AccessMode, At, AtFlags, Errno, Failed, Fd, MemFd, OpenFlags, OpenTree, Resolve, Seals, Vector, Why,
    record,
};

/// Where the records wait: the address of the environment that execveat got, and the recorder, in hexadecimal.
const CARRIED: &str = "NK_SEALED";
const ITSELF: &CStr = c"/proc/self/exe";
const BECOME: Why = Why("no container may hold a path by which this program's file could be written");

/// If this process is the sealed one, it goes on with the records of before. To be called before any record is made.
pub fn take_over(argv: *const *const c_char) -> bool {
    let Some(number) = executed_through() else {
        return false;
    };
    let carried = syscalls::variable(CARRIED).and_then(|text| text.to_str().ok());
    let Some((address, bytes)) = carried.and_then(|text| text.split_once(':')) else {
        return false;
    };
    let (Ok(address), Some(bytes)) = (usize::from_str_radix(address, 16), plain(bytes)) else {
        return false;
    };
    record::adopt(&bytes) && {
        syscalls::execveat_succeeded(number, argv, address, BECOME);
        true
    }
}

/// The environment of this command's caller, without what this program hands to itself.
pub fn environment() -> impl Iterator<Item = &'static CStr> {
    syscalls::environment().filter(|entry| !entry.to_bytes().starts_with(CARRIED.as_bytes()))
}

/// The descriptor that execveat named: the kernel calls a program without a path /dev/fd/N.
fn executed_through() -> Option<i32> {
    let path = syscalls::executed_as().to_str().ok()?;
    path.strip_prefix("/dev/fd/")?.parse().ok()
}

/// Refuses to go on in a container that had the kernel execute this program by a link of procfs: then its file is
/// another's, and what this program would run could get at it.
pub fn called_by_name() -> Result<(), Error> {
    let failed = |failed| at("look at this program", failed);
    let why = Why("a container may have executed this program by a link to the host's file (CVE-2019-5736)");
    let mine = match syscalls::newfstatat(At::CWD, ITSELF, AtFlags::NONE, why) {
        // Without procfs there are no such links.
        Err(f) if f.errno == Errno::ENOENT => return Ok(()),
        mine => mine.map_err(failed)?,
    };
    let (name, flags) = (syscalls::executed_as(), OpenFlags::O_PATH);
    let missing = [Errno::ELOOP, Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES];
    match syscalls::openat2(At::CWD, name, flags, Resolve::RESOLVE_NO_MAGICLINKS, why) {
        Ok(named) => {
            let other = syscalls::fstat(named.at(), why).map_err(failed)?;
            named.leak(); // execve closes it
            if (mine.st_dev, mine.st_ino) == (other.st_dev, other.st_ino) {
                return Ok(());
            }
        }
        Err(f) if !missing.contains(&f.errno) => return Err(failed(f)),
        Err(_) => {}
    }
    match unwritable().map_err(failed)? {
        true => Ok(()),
        false => Err(Error::State(
            "this program was not executed by its name but through a link such as /proc/self/exe, and could be another's file: execute it by its path".into(),
        )),
    }
}

/// Whether the path that this process holds gives no way to write to this program's file: by a read-only mount, or since it
/// is a sealed copy.
fn unwritable() -> Result<bool, Failed> {
    const ST_RDONLY: i64 = 1;
    let why = Why("by its descriptor its mount can be asked, or its seals");
    let file = syscalls::openat(At::CWD, ITSELF, OpenFlags::NONE, why)?;
    let readonly = syscalls::fstatfs(file.at(), why)?.f_flags as i64 & ST_RDONLY != 0;
    let sealed = |seals: Seals| seals.has(Seals::F_SEAL_WRITE);
    let safe = readonly || syscalls::fcntl_get_seals(file.at(), why).is_ok_and(sealed);
    file.leak();
    Ok(safe)
}

/// Executes this program again where it is not sealed. It returns only if there is no need to, or no way.
pub fn seal(argv: *const *const c_char, uid: u32) -> Result<(), Error> {
    let failed = |failed| at("seal this program", failed);
    let file = match open(uid).map_err(failed)? {
        Some(file) => file,
        None => return Ok(()),
    };
    let mut vectors: [Vec<*const c_char>; 2] =
        [vec![core::ptr::null(); syscalls::args(argv).count() + 1], vec![core::ptr::null(); environment().count() + 2]];
    let [args, envs] = &mut vectors;
    let carried = format!("{CARRIED}={:x}:{}", envs.as_ptr() as usize, hexadecimal(record::bytes()));
    let carried = CString::new(carried).unwrap_or_default();
    let argv = Vector::new(syscalls::args(argv), args);
    let mut all: Vec<&CStr> = environment().collect();
    all.push(&carried);
    let envp = Vector::new(all.into_iter(), envs);
    let refused = syscalls::execveat(file.at(), &argv, &envp, BECOME);
    Err(failed(refused))
}

/// The program in a form that cannot be written. `None`: no process in a container of this user could write to its file.
fn open(uid: u32) -> Result<Option<Fd>, Failed> {
    if uid != 0 {
        let why = Why("what this user may not write, no process in its containers may");
        let own = syscalls::faccessat2(At::CWD, ITSELF, AccessMode::W_OK, AccessFlags::AT_EACCESS, why);
        return match own {
            Err(f) if [Errno::EACCES, Errno::EROFS, Errno::ENOENT].contains(&f.errno) => Ok(None),
            Err(f) if f.errno != Errno::ETXTBSY => Err(f),
            _ => copy().map(Some),
        };
    }
    let path = match syscalls::open_tree(At::CWD, ITSELF, OpenTree::OPEN_TREE_CLONE, BECOME) {
        // No procfs, as in an initramfs: by the path that it was executed by.
        Err(f) if f.errno == Errno::ENOENT => {
            syscalls::open_tree(At::CWD, syscalls::executed_as(), OpenTree::OPEN_TREE_CLONE, BECOME)
        }
        opened => opened,
    };
    let Ok(tree) = path else {
        return copy().map(Some);
    };
    let readonly =
        syscalls::mount_attr { attr_set: libc::MOUNT_ATTR_RDONLY, attr_clr: 0, propagation: 0, userns_fd: 0 };
    let why = Why("a read-only mount of this program alone, which no other process has");
    match syscalls::mount_setattr(tree.at(), c"", AtFlags::AT_EMPTY_PATH, &readonly, why) {
        Ok(()) => Ok(Some(tree)),
        Err(_) => copy().map(Some),
    }
}

/// A copy in memory that cannot be changed any more.
fn copy() -> Result<Fd, Failed> {
    let from = syscalls::openat(At::CWD, ITSELF, OpenFlags::NONE, BECOME)?;
    let copy = syscalls::memfd_create(c"nk-runtime", MemFd::MFD_ALLOW_SEALING, BECOME)?;
    while syscalls::sendfile(copy.at(), from.at(), 1 << 30, BECOME)? > 0 {}
    let seals = Seals::F_SEAL_SEAL | Seals::F_SEAL_SHRINK | Seals::F_SEAL_GROW | Seals::F_SEAL_WRITE;
    syscalls::fcntl_add_seals(copy.at(), seals, Why("from now on no process can change it"))?;
    Ok(copy)
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |n: u8| char::from(if n < 10 { b'0' + n } else { b'a' + n - 10 });
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

fn plain(text: &str) -> Option<Vec<u8>> {
    let digit = |b: u8| match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| Some(digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?)).collect()
}
