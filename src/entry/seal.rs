//! The program protects its own file. A process in a container can open the file of this program through `/proc/PID/exe`, and
//! so change the program that root of the host executes next (CVE-2019-5736). There are two defences:
//!
//! - In a pid namespace of its own, the container's first process is alone until its execve. Then only this program itself
//!   could open the file, if the container's image has it executed by that link. As process 1 it looks whether it was executed
//!   by its name, and ends before it does anything if it was not: [`called_by_name`].
//! - In a shared pid namespace, or with hooks inside, other processes can look at init. So this program becomes one that
//!   cannot be written to: [`seal`], [`seal_here`].
//!
//! ```text
//!   open_tree(/proc/self/exe, CLONE) ─ mount_setattr(RDONLY) ─┬─ mmap.. ─ prctl(PR_SET_MM)    `exec`: it goes on
//!                                                             └─ execveat                     it begins again
//!   memfd_create ─ sendfile ─ seals ─ execveat                where this user may not mount; three times as long
//! ```
//! The records from before execveat are passed on in the environment, so that the trace is whole. May touch: the recorder,
//! system calls.

use crate::outcome::{Error, at};
use alloc::ffi::CString;
use core::ffi::{CStr, c_char};
use syscalls::{
    AccessFlags, AccessMode, At, AtFlags, Errno, Failed, Fd, MemFd, OpenFlags, OpenTree, Resolve, Seals, Vector, Why,
    record,
};

/// The variable for these records: the address of the environment that execveat got, and the recorder, in hexadecimal.
const CARRIED: &str = "NK_SEALED";
const ITSELF: &CStr = c"/proc/self/exe";
const BECOME: Why = Why("no process of a container may get a path by which it could write to this program's file");

/// Takes over the records from before execveat, if this process is sealed. It must come before the first record.
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

/// The environment of this command's caller, without the variable for the records.
pub fn environment() -> impl Iterator<Item = &'static CStr> {
    syscalls::environment().filter(|entry| !entry.to_bytes().starts_with(CARRIED.as_bytes()))
}

/// The descriptor that execveat named: the kernel calls a program without a path /dev/fd/N.
fn executed_through() -> Option<i32> {
    let path = syscalls::executed_as().to_str().ok()?;
    path.strip_prefix("/dev/fd/")?.parse().ok()
}

/// What this process was called with, if it is not sealed yet.
pub struct Own {
    pub argv: *const *const c_char,
    /// The file of that name, by which this program's could be written to.
    pub named: Option<At>,
}

/// Refuses to go on if a container had the kernel execute this program by a link of procfs. Then the file belongs to the host,
/// and what this program would run in the container could open it. Returns the file of its name, which stays open.
///
/// Such a program is the first process of its pid namespace, so the others need not look. What joins a container is sealed.
pub fn called_by_name() -> Result<Option<At>, Error> {
    if record::own_pid() != 1 {
        return Ok(None);
    }
    let failed = |failed| at("look at this program", failed);
    let elsewhere = || {
        let word = "this program was not executed by its name but through a link such as /proc/self/exe, and could be another's file: execute it by its path";
        match unwritable().map_err(failed)? {
            true => Ok(None),
            false => Err(Error::State(word.into())),
        }
    };
    // The kernel gives this name to what was executed by its descriptor, as `seal` does.
    if executed_through().is_some() {
        return elsewhere();
    }
    let why = Why("a container may have executed this program by a link to the host's file (CVE-2019-5736)");
    let mine = match syscalls::newfstatat(At::CWD, ITSELF, AtFlags::NONE, why) {
        // Without procfs there are no such links.
        Err(f) if f.errno == Errno::ENOENT => return Ok(None),
        mine => mine.map_err(failed)?,
    };
    let (name, flags) = (syscalls::executed_as(), OpenFlags::O_PATH);
    let missing = [Errno::ELOOP, Errno::ENOENT, Errno::ENOTDIR, Errno::EACCES];
    match syscalls::openat2(At::CWD, name, flags, Resolve::RESOLVE_NO_MAGICLINKS, why) {
        Ok(named) => {
            let other = syscalls::fstat(named.at(), why).map_err(failed)?;
            let named = At::from_raw(named.leak()); // execve closes it, or `seal_here`
            if (mine.st_dev, mine.st_ino) == (other.st_dev, other.st_ino) {
                return Ok(Some(named));
            }
        }
        Err(f) if !missing.contains(&f.errno) => return Err(failed(f)),
        Err(_) => {}
    }
    elsewhere()
}

/// Whether /proc/self/exe gives no way to write to this program's file: its mount is read-only, or it is a sealed copy.
fn unwritable() -> Result<bool, Failed> {
    const ST_RDONLY: i64 = 1;
    let why = Why("the descriptor tells whether its mount is read-only, or its file sealed");
    let file = syscalls::openat(At::CWD, ITSELF, OpenFlags::NONE, why)?;
    let readonly = syscalls::fstatfs(file.at(), why)?.f_flags as i64 & ST_RDONLY != 0;
    let sealed = |seals: Seals| seals.has(Seals::F_SEAL_WRITE);
    let safe = readonly || syscalls::fcntl_get_seals(file.at(), why).is_ok_and(sealed);
    file.leak();
    Ok(safe)
}

fn failed(failed: Failed) -> Error {
    at("seal this program", failed)
}

/// Executes this program again from a file that cannot be written. It returns if that is not necessary, or fails.
pub fn seal(argv: *const *const c_char, uid: u32) -> Result<(), Error> {
    match open(uid).map_err(failed)? {
        Some(Safe::Mount(file) | Safe::Copy(file)) => Err(execute(&file, argv)),
        None => Ok(()),
    }
}

/// The same, and as a rule it goes on as it is: what the kernel has mapped from its file is mapped anew from the read-only
/// mount, and that is where /proc/PID/exe leads from then on. Descriptors that the caller left open are closed already: they
/// would not be in a program that is executed again.
pub fn seal_here(own: &Own, uid: u32) -> Result<(), Error> {
    let tree = match open(uid).map_err(failed)? {
        None => return Ok(()),
        Some(Safe::Copy(file)) => return Err(execute(&file, own.argv)),
        Some(Safe::Mount(tree)) => tree,
    };
    let path = CString::new(format!("/proc/self/fd/{}", tree.at().raw())).unwrap_or_default();
    let exchanged = syscalls::openat(At::CWD, &path, OpenFlags::NONE, BECOME)
        .and_then(|file| syscalls::exchange(file.at(), own.argv, BECOME));
    if !matches!(exchanged, Ok(true)) {
        return Err(execute(&tree, own.argv));
    }
    if let Some(named) = own.named {
        drop(Fd::from_raw(named.raw()));
    }
    Ok(())
}

/// Executes this program again from this file. It returns only when it failed.
fn execute(file: &Fd, argv: *const *const c_char) -> Error {
    let mut args = vec![core::ptr::null(); syscalls::args(argv).count() + 1];
    let mut envs = vec![core::ptr::null(); environment().count() + 2];
    let carried = format!("{CARRIED}={:x}:{}", envs.as_ptr() as usize, hexadecimal(record::bytes()));
    let carried = CString::new(carried).unwrap_or_default();
    let argv = Vector::new(syscalls::args(argv), &mut args);
    let mut all: Vec<&CStr> = environment().collect();
    all.push(&carried);
    let envp = Vector::new(all.into_iter(), &mut envs);
    failed(syscalls::execveat(file.at(), &argv, &envp, BECOME))
}

/// This program as a file that cannot be written.
enum Safe {
    /// Its own file, on a mount that is read-only.
    Mount(Fd),
    /// A copy in memory that is sealed.
    Copy(Fd),
}

/// Opens this program as a file that cannot be written. `None`: this user may not write to its file anyway, so no process in its
/// containers may.
fn open(uid: u32) -> Result<Option<Safe>, Failed> {
    if uid != 0 {
        let why = Why("a file that this user may not write, no process in its containers may write");
        let own = syscalls::faccessat2(At::CWD, ITSELF, AccessMode::W_OK, AccessFlags::AT_EACCESS, why);
        return match own {
            Err(f) if [Errno::EACCES, Errno::EROFS, Errno::ENOENT].contains(&f.errno) => Ok(None),
            Err(f) if f.errno != Errno::ETXTBSY => Err(f),
            _ => copy().map(Some),
        };
    }
    let path = match syscalls::open_tree(At::CWD, ITSELF, OpenTree::OPEN_TREE_CLONE, BECOME) {
        // Without procfs, as in an initramfs, there is the path that the program was executed by.
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
    let why = Why("the program's file must be read-only for all processes that come to it by this mount");
    match syscalls::mount_setattr(tree.at(), c"", AtFlags::AT_EMPTY_PATH, &readonly, why) {
        Ok(()) => Ok(Some(Safe::Mount(tree))),
        Err(_) => copy().map(Some),
    }
}

/// A copy of this program in memory that cannot be changed.
fn copy() -> Result<Safe, Failed> {
    let from = syscalls::openat(At::CWD, ITSELF, OpenFlags::NONE, BECOME)?;
    let copy = syscalls::memfd_create(c"nk-runtime", MemFd::MFD_ALLOW_SEALING, BECOME)?;
    while syscalls::sendfile(copy.at(), from.at(), 1 << 30, BECOME)? > 0 {}
    let seals = Seals::F_SEAL_SEAL | Seals::F_SEAL_SHRINK | Seals::F_SEAL_GROW | Seals::F_SEAL_WRITE;
    syscalls::fcntl_add_seals(copy.at(), seals, Why("from now on no process can change it"))?;
    Ok(Safe::Copy(copy))
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
