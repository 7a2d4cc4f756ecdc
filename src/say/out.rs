//! Words out: standard output, standard error, files that are appended to. All through the gate, and none before a command has done its
//! work, so that showing changes nothing. May touch: system calls.

use crate::host::input::c;
use crate::outcome::{Doing, Error, at};
use crate::perform::files::write_all;
use crate::say::error::{line, why};
use syscalls::{At, AtFlags, Disposition, Errno, Fd, OpenFlags, Why};

/// A reader that has gone away must not kill this process. std's own `main` would see to that.
fn ignore_sigpipe() {
    let _ = syscalls::rt_sigaction(
        libc::SIGPIPE,
        Disposition::Ignore,
        Why("the reader may have closed its end: then the write fails, and that is all"),
    );
}

/// Writes to standard output. If that fails the command fails: the caller counts on these words.
pub fn stdout(text: &str) -> Result<(), Error> {
    ignore_sigpipe();
    let why = Why("this is what was asked for");
    write_all(At::STDOUT, text.as_bytes(), why).doing("write to standard output")
}

/// Writes to standard error. If that fails there is no other way to tell.
pub fn stderr(text: &str) {
    ignore_sigpipe();
    let _ = write_all(At::STDERR, text.as_bytes(), Why("the caller learns what is wrong"));
}

/// Opens a file to append to, and makes it if it is missing. `uid`: this user. In a directory where all may make names
/// (`/tmp`) another user's link or file is refused: one that was put there beforehand would lead this write elsewhere, or
/// get to know it. The kernel has that rule too, but not everywhere (proc_sys_fs(5), protected_symlinks).
pub fn append(path: &str, what: &'static str, mode: u32, uid: u32, why: Why) -> Result<Fd, Error> {
    let name = c(path)?;
    let failed = |failed| at(format!("open the {what} {path}"), failed);
    let open = |more: OpenFlags| {
        let flags = OpenFlags::O_WRONLY | OpenFlags::O_APPEND | more;
        syscalls::openat_create(At::CWD, &name, flags, mode, why)
    };
    let look = Why("another user may have put it there");
    // O_NONBLOCK: a fifo is looked at before anything waits for its reader.
    let file = match open(OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK) {
        Err(f) if [Errno::ELOOP, Errno::ENXIO].contains(&f.errno) => {
            let nofollow = AtFlags::AT_SYMLINK_NOFOLLOW;
            let found = syscalls::newfstatat(At::CWD, &name, nofollow, look).map_err(failed)?;
            trusted(path, what, &found, uid)?;
            let link = found.st_mode & libc::S_IFMT == libc::S_IFLNK;
            return open(if link { OpenFlags::NONE } else { OpenFlags::O_NOFOLLOW }).map_err(failed);
        }
        opened => opened.map_err(failed)?,
    };
    let found = syscalls::fstat(file.at(), look).map_err(failed)?;
    trusted(path, what, &found, uid)?;
    match found.st_mode & libc::S_IFMT {
        libc::S_IFREG => Ok(file),
        // Its reader may be slow, and is waited for.
        _ => open(OpenFlags::O_NOFOLLOW).map_err(failed),
    }
}

/// The kernel's rule: what this user made, or the owner of the directory, or what lies where not all may make names. Also a
/// file that has another name: of this user's files, others may have made a link.
fn trusted(path: &str, what: &str, found: &syscalls::Stat, uid: u32) -> Result<(), Error> {
    let file = found.st_mode & libc::S_IFMT == libc::S_IFREG;
    let linked = file && found.st_nlink > 1;
    if found.st_uid == uid && !linked {
        return Ok(());
    }
    let above = match path.trim_end_matches('/').rsplit_once('/') {
        None => ".",
        Some(("", _)) => "/",
        Some((above, _)) => above,
    };
    let why = Why("who made this file matters only where all users may make names");
    let dir = syscalls::newfstatat(At::CWD, &c(above)?, AtFlags::NONE, why)
        .doing(format_args!("look at the directory of the {what} {path}"))?;
    const SHARED: u32 = libc::S_ISVTX | libc::S_IWOTH;
    if dir.st_mode & SHARED != SHARED || dir.st_uid == found.st_uid && !linked {
        return Ok(());
    }
    let fact = match linked {
        true => format!("has {} names", found.st_nlink),
        false => format!("belongs to user {}", found.st_uid),
    };
    Err(Error::State(format!(
        "the {what} {path} {fact}: another user may have put it there, since in {above} all users may make names; take another path, or remove it"
    )))
}

/// What a failing command says on standard error: one line, since engines look at one; for people at a terminal also
/// what the failing call was for.
pub fn failure(error: &Error) -> String {
    let mut text = format!("nk-runtime: {}\n", line(error));
    if let Some(why) = why(error)
        && syscalls::isatty(At::STDERR, Why("a person reads further than one line"))
    {
        text.push_str(&format!("  the call was made because: {why}\n"));
    }
    text
}
