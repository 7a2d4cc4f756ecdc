//! The program that called: its pid file, and the sockets at which it listens (`--console-socket`, `--pidfd-socket`,
//! `NOTIFY_SOCKET`, a seccomp listener's). May touch: plan types, system calls.

use super::Lanes;
use super::files::{PLACE, write_all};
use crate::host::patience;
use crate::outcome::Done;
use crate::plan::Slot;
use crate::plan::op::Callers;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, Why};

/// The bytes of a path that struct sockaddr_un has room for (unix(7)).
const ROOM: usize = 107;
/// Below the directory of the container's state: the directory for the program's NOTIFY_SOCKET, and the socket.
pub const DIRECTORY: &CStr = c"notify";
pub const SOCKET: &CStr = c"notify/notify.sock";

pub fn perform(lanes: &mut Lanes, op: &Callers, why: Why) -> Done {
    match op {
        Callers::PidFile { path } => write_pid(lanes, path, why)?,
        Callers::PlacePidFile { path } => {
            if let Some(name) = &lanes.pid_file {
                syscalls::renameat2(At::CWD, name, At::CWD, path, why)?;
                lanes.pid_file = None;
            }
        }
        Callers::ConnectPidfd { path } => lanes.put(Slot::PIDFD, connect(path, why)?),
        Callers::SendPidfd { name } => {
            let (socket, process) = (lanes.at(Slot::PIDFD), lanes.at(Slot::INIT));
            syscalls::sendmsg_descriptor(socket, name.as_bytes(), process, why)?;
        }
        Callers::ConnectNotify { path } => lanes.put(Slot::NOTIFIED, notified(path, why)?),
        Callers::NotifyDirectory => {
            let state = lanes.at(Slot::STATE);
            syscalls::mkdirat(state, DIRECTORY, 0o755, why)?;
            let why = Why("the program may run as any user, and the caller's umask may be any");
            syscalls::fchmodat(state, DIRECTORY, 0o755, why)?;
        }
        Callers::Listen => {
            let socket = listen(lanes.at(Slot::STATE), why)?;
            lanes.put(Slot::NOTIFY, socket);
        }
    }
    Ok(())
}

/// Writes the pid file under a name beside its own. In its directory every user may be allowed to make files (`/tmp`),
/// so no file that exists is written to. Digits and nothing else: a newline would stop containerd's shim.
fn write_pid(lanes: &mut Lanes, path: &CStr, why: Why) -> Done {
    let (file, name) = new_beside(path, why)?;
    lanes.pid_file = Some(name);
    write_all(file.at(), format!("{}", lanes.pid).as_bytes(), why)?;
    Ok(file.close(Why("all of it is written"))?)
}

/// A new file beside the one that is wanted. O_EXCL fails if anything has that name, even a link.
pub fn new_beside(path: &CStr, why: Why) -> syscalls::Result<(Fd, CString)> {
    // The first name may be taken by another user, or by what a killed command left.
    const NAMES: u32 = 16;
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_EXCL;
    let mut number = 0;
    loop {
        let mut name = path.to_bytes().to_vec();
        name.extend_from_slice(b".nk-new");
        if number > 0 {
            name.extend_from_slice(format!("{number}").as_bytes());
        }
        let name = CString::new(name).unwrap_or_default();
        match syscalls::openat_create(At::CWD, &name, flags, 0o644, why) {
            Err(failed) if failed.errno == Errno::EEXIST && number < NAMES => number += 1,
            made => return made.map(|file| (file, name)),
        }
    }
}

/// Removes a pid file that did not get its own name.
pub fn undo(lanes: &mut Lanes) {
    if let Some(name) = lanes.pid_file.take() {
        let why = Why("a command that fails leaves nothing");
        let _ = syscalls::unlinkat(At::CWD, &name, AtFlags::NONE, why);
    }
}

/// A stream to the program that listens at `path`.
pub fn connect(path: &CStr, why: Why) -> Done<Fd> {
    to(path, syscalls::socket_unix(why)?, why)
}

/// A socket for datagrams to that program.
pub fn notified(path: &CStr, why: Why) -> Done<Fd> {
    to(path, syscalls::socket_datagram(why)?, why)
}

/// Connects. Where the path is too long for the address, a descriptor of its directory makes it short.
fn to(path: &CStr, socket: Fd, why: Why) -> Done<Fd> {
    let bytes = path.to_bytes();
    match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(slash) if bytes.len() > ROOM => {
            let [dir, name] = [&bytes[..slash], &bytes[slash + 1..]].map(|part| CString::new(part).unwrap_or_default());
            let long = Why("the address of a socket has room for 107 bytes (unix(7))");
            let dir = syscalls::openat(At::CWD, &dir, PLACE, long)?;
            patience::connect(socket.at(), &below(dir.at(), &name), why)?;
        }
        _ => patience::connect(socket.at(), path, why)?,
    }
    Ok(socket)
}

/// The program's NOTIFY_SOCKET, bound and open to all. `state`: the directory of the container's state.
pub fn listen(state: At, why: Why) -> syscalls::Result<Fd> {
    let socket = syscalls::socket_datagram(why)?;
    syscalls::bind_unix(socket.at(), &below(state, SOCKET), why)?;
    let why = Why("the program may send, whichever user it runs as");
    syscalls::fchmodat(state, SOCKET, 0o777, why)?;
    Ok(socket)
}

/// A name in an open directory, as a path.
pub fn below(dir: At, name: &CStr) -> CString {
    let mut path = format!("/proc/self/fd/{}/", dir.raw()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    CString::new(path).unwrap_or_default()
}
