//! Files that go through the channel: those that a session of the host's brings with it, and traces that the host fetches. May
//! touch: everything below.

use crate::host::{STATE_ROOT, input};
use crate::state::make_path;
use alloc::ffi::CString;
use syscalls::{At, AtFlags, Errno, Fd, MemFd, OpenFlags, Resolve, Why};

/// Where the files of sessions lie, each in a directory of the session's number.
pub const PLACE: &str = "/run/nk";

/// The directory of a session.
pub fn place(session: u32) -> CString {
    CString::new(format!("{PLACE}/{session}")).unwrap_or_default()
}

/// Makes the directory of all of them.
pub fn prepare() -> Result<(), crate::outcome::Error> {
    let why = Why("files of sessions, and the word that a container is there, lie in it");
    make_path(PLACE, 0o700, format_args!("make {PLACE}"), why)
}

/// Appends to a file of a session.
pub fn put(session: u32, name: &[u8], bytes: &[u8]) -> Result<(), Errno> {
    let plain = !name.contains(&b'/') && ![&b"."[..], b".."].contains(&name);
    let (true, Ok(name)) = (plain, CString::new(name)) else {
        return Err(Errno::EINVAL);
    };
    let why = Why("a command of the host's brings this file with it");
    let place = place(session);
    match syscalls::mkdirat(At::CWD, &place, 0o700, why) {
        Err(failed) if failed.errno != Errno::EEXIST => return Err(failed.errno),
        _ => {}
    }
    let directory = syscalls::openat(At::CWD, &place, OpenFlags::O_DIRECTORY, why).map_err(|failed| failed.errno)?;
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_APPEND | OpenFlags::O_NOFOLLOW;
    let file = syscalls::openat_create(directory.at(), &name, flags, 0o600, why).map_err(|failed| failed.errno)?;
    crate::perform::files::write_all(file.at(), bytes, why).map_err(|failed| failed.errno)
}

/// Removes the files of a session.
pub fn remove(session: u32) {
    let why = Why("the session has ended, and its files with it");
    let place = place(session);
    let Ok(directory) = syscalls::openat(At::CWD, &place, OpenFlags::O_DIRECTORY, why) else {
        return;
    };
    for name in input::names(directory.at(), why).unwrap_or_default() {
        let _ = syscalls::unlinkat(directory.at(), &name, AtFlags::NONE, why);
    }
    let _ = syscalls::unlinkat(At::CWD, &place, AtFlags::AT_REMOVEDIR, why);
}

/// Opens what the host fetches: a file or the names of a directory below the state root.
pub fn fetch(path: &[u8]) -> Result<Fd, Errno> {
    let text = core::str::from_utf8(path).map_err(|_| Errno::EINVAL)?;
    let below = text.strip_prefix(STATE_ROOT).ok_or(Errno::EACCES)?;
    let below = below.trim_start_matches('/');
    let name = CString::new(if below.is_empty() { "." } else { below }).map_err(|_| Errno::EINVAL)?;
    let why = Why("the host fetches the trace of a container from there");
    let root = CString::new(STATE_ROOT).map_err(|_| Errno::EINVAL)?;
    let root = syscalls::openat(At::CWD, &root, OpenFlags::O_DIRECTORY, why).map_err(|failed| failed.errno)?;
    // No way leads out of it: not by a link, not by `..`.
    let walk = Resolve::RESOLVE_BENEATH | Resolve::RESOLVE_NO_SYMLINKS;
    let opened = syscalls::openat2(root.at(), &name, OpenFlags::O_NONBLOCK, walk, why);
    let opened = opened.map_err(|failed| failed.errno)?;
    match syscalls::fstat(opened.at(), why).map_err(|failed| failed.errno)?.st_mode & libc::S_IFMT {
        libc::S_IFREG => Ok(opened),
        libc::S_IFDIR => listed(&opened),
        // A fifo or a device has no end, or waits.
        _ => Err(Errno::EINVAL),
    }
}

/// The names of a directory, each ended by NUL, in a file of memory.
fn listed(directory: &Fd) -> Result<Fd, Errno> {
    let why = Why("the host asks which traces there are");
    let mut all = Vec::new();
    for name in input::names(directory.at(), why).map_err(|failed| failed.errno)? {
        all.extend_from_slice(name.to_bytes_with_nul());
    }
    let file = syscalls::memfd_create(c"names", MemFd::NONE, why).map_err(|failed| failed.errno)?;
    let mut written = 0;
    while let Some(rest) = all.get(written..).filter(|rest| !rest.is_empty()) {
        written += syscalls::pwrite64(file.at(), rest, written, why).map_err(|failed| failed.errno)?;
    }
    Ok(file)
}
