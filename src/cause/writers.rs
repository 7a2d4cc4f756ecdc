//! Which process has a program's file open for writing: the kernel executes no such file (ETXTBSY in execve(2)). May touch: system
//! calls.

use super::path;
use super::scene::Found;
use super::{sizes, users};
use crate::host::{input, procfs};
use alloc::ffi::CString;
use syscalls::{At, AtFlags, Fd, OpenFlags, Stat, Why};

/// No more descriptors than this are looked at.
const MOST: usize = 3000;

const LOOK: Why = Why("a process that has the file open for writing is looked for");

/// The process that has it open for writing.
pub fn of(root: At, path: &str) -> Option<Found> {
    let (name, _, stat) = path::find(root, path)?;
    let procfs = procfs::open().ok()?;
    let mut left = MOST;
    // Those that began last are the likelier ones.
    let writer = sizes::pids()?.into_iter().rev().find(|pid| writes(&procfs, *pid, &stat, &mut left));
    let Some(pid) = writer else {
        return Some(Found::new("busy file", &[&name]));
    };
    let comm = users::of_process(pid, "comm").unwrap_or_default();
    Some(Found::new("busy file of a process", &[&name, &format!("{pid}"), comm.trim()]))
}

fn writes(procfs: &Fd, pid: i32, wanted: &Stat, left: &mut usize) -> bool {
    let open = || {
        let dir = syscalls::openat(procfs.at(), &procfs::path(pid, "fd"), OpenFlags::O_DIRECTORY, LOOK).ok()?;
        let names = input::names(dir.at(), LOOK).ok()?;
        Some((dir, names))
    };
    let Some((dir, names)) = open() else {
        return false;
    };
    names.iter().filter(|name| name.as_c_str() != c"." && name.as_c_str() != c"..").any(|name| {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        is_file(&dir, name, wanted) && is_writing(pid, name)
    })
}

fn is_file(dir: &Fd, name: &CString, wanted: &Stat) -> bool {
    let stat = syscalls::newfstatat(dir.at(), name, AtFlags::NONE, LOOK);
    stat.is_ok_and(|stat| (stat.st_dev, stat.st_ino) == (wanted.st_dev, wanted.st_ino))
}

/// The line `flags:` has the flags of open(2), in octal digits.
fn is_writing(pid: i32, name: &CString) -> bool {
    let info = users::of_process(pid, &format!("fdinfo/{}", name.to_string_lossy())).unwrap_or_default();
    let flags = u32::from_str_radix(procfs::field(&info, "flags"), 8).unwrap_or(0);
    flags & libc::O_ACCMODE as u32 != libc::O_RDONLY as u32
}
