//! The cgroup v2 hierarchy: found, and a container's place in it made and removed. May touch: system calls.

use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, Errno, Fd, Result, Why};

/// statfs(2)'s f_type of cgroup2.
const CGROUP2_SUPER_MAGIC: i64 = 0x6367_7270;

/// Where distributions mount it: alone, or beside the version 1 hierarchies.
const MOUNTED_AT: [&CStr; 2] = [c"/sys/fs/cgroup", c"/sys/fs/cgroup/unified"];

const O_DIRECTORY: u32 = libc::O_DIRECTORY as u32;

/// Opens the hierarchy's root. Where nobody has mounted it, as in an initramfs, a mount that only we can see does:
/// where somebody has, ours would reset the options of theirs. `None`: there is none to be had.
pub fn open_root() -> Result<Option<Fd>> {
    for path in MOUNTED_AT {
        let why = Why("the cgroup hierarchy");
        let dir = match syscalls::openat(At::CWD, path, O_DIRECTORY, "cgroup hierarchy", why) {
            Ok(dir) => dir,
            Err(failed) if failed.errno == Errno::ENOENT || failed.errno == Errno::ENOTDIR => {
                continue;
            }
            Err(failed) => return Err(failed),
        };
        let found = syscalls::fstatfs(dir.at(), Why("any file system could be mounted there"))?;
        if found.f_type as i64 == CGROUP2_SUPER_MAGIC {
            return Ok(Some(dir));
        }
    }
    let why = Why("nobody has mounted the cgroup hierarchy here");
    let Ok(fs) = syscalls::fsopen(c"cgroup2", "new cgroup2", why) else {
        return Ok(None);
    };
    syscalls::fsconfig_create(fs.at(), why)?;
    syscalls::fsmount(
        fs.at(),
        0,
        "cgroup hierarchy",
        Why("a mount without a place: it ends with this process"),
    )
    .map(Some)
}

/// Makes a cgroup with its parents and opens it.
pub fn make(root: At, parents: &[CString], path: &CStr, why: Why) -> Result<Fd> {
    let mut tries = 0;
    loop {
        match syscalls::mkdirat(root, path, 0o755, why) {
            // No parent yet; or one that another container's end has just removed.
            Err(failed) if failed.errno == Errno::ENOENT && tries < 100 => tries += 1,
            other => break there(other)?,
        }
        for parent in parents {
            let why = Why("the cgroup's parent");
            there(syscalls::mkdirat(root, parent, 0o755, why))?;
        }
    }
    let flags = O_DIRECTORY | libc::O_NOFOLLOW as u32;
    syscalls::openat(
        root,
        path,
        flags,
        "cgroup",
        Why("clone3 takes the cgroup by descriptor"),
    )
}

/// Kills all processes of a cgroup and below (cgroup v2, "cgroup.kill"; Linux 5.14). No such cgroup: nothing to kill.
pub fn kill(root: At, path: &CStr) -> Result<()> {
    let why = Why("whatever is left in the cgroup ends now");
    let group = match syscalls::openat(root, path, O_DIRECTORY, "cgroup", why) {
        Err(failed) if failed.errno == Errno::ENOENT => return Ok(()),
        group => group?,
    };
    let kill = syscalls::openat(
        group.at(),
        c"cgroup.kill",
        libc::O_WRONLY as u32,
        "cgroup.kill",
        why,
    )?;
    syscalls::write(kill.at(), b"1", why).map(drop)
}

fn there(made: Result<()>) -> Result<()> {
    match made {
        Err(failed) if failed.errno == Errno::EEXIST => Ok(()),
        other => other,
    }
}

/// Removes a cgroup, and those of its parents that nothing else uses. What is gone already is no error.
pub fn remove(root: At, parents: &[CString], path: &CStr) -> Result<()> {
    let why = Why("nothing of the container stays behind");
    let mut tries = 0u32;
    loop {
        match syscalls::unlinkat(root, path, libc::AT_REMOVEDIR as u32, why) {
            // The last process has been waited for, but is still on its way out of the cgroup.
            Err(failed) if failed.errno == Errno::EBUSY && tries < 200 => {
                tries += 1;
                syscalls::ppoll(
                    &mut [],
                    Some(u64::from(tries.min(10))),
                    Why("the last process is leaving the cgroup"),
                )?;
            }
            Err(failed) if failed.errno == Errno::ENOENT => break,
            Err(failed) => return Err(failed),
            Ok(()) => break,
        }
    }
    for parent in parents.iter().rev() {
        let why = Why("an empty parent goes too; one that is in use stays");
        if syscalls::unlinkat(root, parent, libc::AT_REMOVEDIR as u32, why).is_err() {
            break;
        }
    }
    Ok(())
}
