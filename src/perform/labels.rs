//! Labels of security modules: whether this kernel has the module. May touch: plan types, system calls.

use super::files::PLACE;
use crate::outcome::{Check, Done, Trouble};
use crate::plan::op::Labels;
use syscalls::{At, OpenFlags, Why};

pub fn perform(op: &Labels, why: Why) -> Done {
    match op {
        Labels::SecurityModule { selinux: true } if !selinux(why)? => Err(Trouble::Check(Check::NoSelinux)),
        Labels::SecurityModule { selinux: false } if !apparmor(why)? => Err(Trouble::Check(Check::NoApparmor)),
        Labels::SecurityModule { .. } => Ok(()),
    }
}

pub fn selinux(why: Why) -> Done<bool> {
    let Ok(dir) = syscalls::openat(At::CWD, c"/sys/fs/selinux", PLACE, why) else {
        return Ok(false);
    };
    Ok(syscalls::fstatfs(dir.at(), why)?.f_type as i64 == libc::SELINUX_MAGIC)
}

pub fn apparmor(why: Why) -> Done<bool> {
    let path = c"/sys/module/apparmor/parameters/enabled";
    let Ok(file) = syscalls::openat(At::CWD, path, OpenFlags::NONE, why) else {
        return Ok(false);
    };
    let mut answer = [0];
    syscalls::read(file.at(), &mut answer, why)?;
    Ok(answer == *b"Y")
}
