//! Output: standard output, standard error, files that are appended to. May touch: system calls.

use crate::host::input::c;
use crate::outcome::{Doing, Error, at};
use crate::perform::files::write_all;
use syscalls::{At, AtFlags, Disposition, Errno, Fd, OpenFlags, Why};

/// Without std's own `main`, a write to a reader that has gone would kill this process.
pub fn ignore_sigpipe() {
    let why = Why("if the reader has closed its end, the write shall fail and not end this process");
    let _ = syscalls::rt_sigaction(libc::SIGPIPE, Disposition::Ignore, why);
}

/// Writes to standard output. If that fails the command fails, since its caller needs the text.
pub fn stdout(text: &str) -> Result<(), Error> {
    ignore_sigpipe();
    let why = Why("the caller asked for this text");
    match write_all(At::STDOUT, text.as_bytes(), why) {
        Err(failed) if failed.errno == Errno::EPIPE => Err(Error::Unread),
        written => written.doing("write to standard output"),
    }
}

/// Writes to standard error. A failure of that cannot be told anywhere.
pub fn stderr(text: &str) {
    ignore_sigpipe();
    let _ = write_all(At::STDERR, text.as_bytes(), Why("the caller learns what is wrong"));
}

/// The columns of standard output: those of the terminal, within these limits; where there is none, 80.
pub fn columns(least: usize, most: usize) -> usize {
    let size = syscalls::tiocgwinsz(At::STDOUT, Why("lines shall be as long as the terminal is wide"));
    size.map_or(80, |size| usize::from(size.columns).clamp(least, most))
}

/// A text in lines of at most so many characters. A word that is longer goes on in the next line, after a comma or a slash
/// where it has one.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split_whitespace() {
        let room = width.saturating_sub(line.chars().count() + usize::from(!line.is_empty()));
        let mut word = word;
        if word.chars().count() > room && !line.is_empty() {
            lines.push(core::mem::take(&mut line));
        }
        while word.chars().count() > width {
            let end = word.char_indices().nth(width).map_or(word.len(), |(at, _)| at);
            let cut = word[..end].rfind([',', '/', '|']).map(|at| at + 1).filter(|at| at * 2 > end).unwrap_or(end);
            lines.push(word[..cut].into());
            word = &word[cut..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Opens a file to append to, and makes it if it is missing. `uid`: this user. In a directory where all users may make files
/// (`/tmp`) it refuses another user's link or file: a link would lead this write elsewhere, and the owner of a file can read
/// it. The kernel has the same rule, but not on every machine (proc_sys_fs(5), protected_symlinks).
pub fn append(path: &str, what: &'static str, mode: u32, uid: u32, why: Why) -> Result<Fd, Error> {
    let name = c(path)?;
    let failed = |failed| at(format!("open the {what} {path}"), failed);
    let open = |more: OpenFlags| {
        let flags = OpenFlags::O_WRONLY | OpenFlags::O_APPEND | more;
        syscalls::openat_create(At::CWD, &name, flags, mode, why)
    };
    let look = Why("another user may have put it there");
    // O_NONBLOCK: without it, opening a fifo would wait for a reader.
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
        // Without O_NONBLOCK a write waits for a slow reader.
        _ => open(OpenFlags::O_NOFOLLOW).map_err(failed),
    }
}

/// The kernel's rule: a file of this user, or of the directory's owner, or in a directory where not all users may make files.
/// And one more: a file must have no second name, since another user may have made that link to a file of this user.
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
    let why = Why("the owner of the file matters only in a directory where all users may make files");
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
