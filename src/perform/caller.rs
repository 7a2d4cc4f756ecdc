//! Whoever called, and listens at a socket: `--console-socket`, `--pidfd-socket`, `NOTIFY_SOCKET`, a seccomp listener's.
//! May touch: plan types, system calls.

use super::{Lanes, pid_file};
use crate::host::patience;
use crate::outcome::Done;
use crate::plan::Slot;
use crate::plan::op::Callers;
use alloc::ffi::CString;
use alloc::format;
use core::ffi::CStr;
use syscalls::{At, Fd, Why};

/// The bytes of a path that struct sockaddr_un has room for (unix(7)).
const ROOM: usize = 107;
/// In the directory of the container's state, and in the other one.
pub const DIRECTORY: &CStr = c"notify";
pub const SOCKET: &CStr = c"notify/notify.sock";

/// Carries out one line of the host lane.
pub fn perform(lanes: &mut Lanes, op: &Callers, why: Why) -> Done {
    match op {
        Callers::PidFile { path } => pid_file::write(lanes, path, why)?,
        Callers::PlacePidFile { path } => pid_file::place(lanes, path, why)?,
        Callers::ConnectPidfd { path } => lanes.put(Slot::PIDFD, connect(path, why)?),
        Callers::SendPidfd { name } => {
            let (socket, process) = (lanes.at(Slot::PIDFD), lanes.at(Slot::INIT));
            syscalls::sendmsg_descriptor(socket, name.as_bytes(), process, why)?;
        }
        Callers::ConnectNotify { path } => lanes.put(Slot::NOTIFIED, notified(path, why)?),
        Callers::NotifyDirectory => {
            let state = lanes.at(Slot::STATE);
            syscalls::mkdirat(state, DIRECTORY, 0o755, why)?;
            let why = Why("whoever the program is, and whatever the caller's umask");
            syscalls::fchmodat(state, DIRECTORY, 0o755, why)?;
        }
        Callers::Listen => {
            let socket = listen(lanes.at(Slot::STATE), why)?;
            lanes.put(Slot::NOTIFY, socket);
        }
    }
    Ok(())
}

/// A stream to who listens at `path`.
pub fn connect(path: &CStr, why: Why) -> Done<Fd> {
    to(path, syscalls::socket_unix(why)?, why)
}

/// The same, for datagrams.
pub fn notified(path: &CStr, why: Why) -> Done<Fd> {
    to(path, syscalls::socket_datagram(why)?, why)
}

/// A path that is too long goes by a descriptor of its directory.
fn to(path: &CStr, socket: Fd, why: Why) -> Done<Fd> {
    let bytes = path.to_bytes();
    match bytes.iter().rposition(|byte| *byte == b'/') {
        Some(slash) if bytes.len() > ROOM => {
            let [dir, name] = [&bytes[..slash], &bytes[slash + 1..]].map(|part| CString::new(part).unwrap_or_default());
            let flags = (libc::O_PATH | libc::O_DIRECTORY) as u32;
            let long = Why("the address of a socket has room for 107 bytes (unix(7))");
            let dir = syscalls::openat(At::CWD, &dir, flags, "socket's directory", long)?;
            patience::connect(socket.at(), &below(dir.at(), &name), why)?;
        }
        _ => patience::connect(socket.at(), path, why)?,
    }
    Ok(socket)
}

/// The socket that the program sends word of itself to. `state`: the directory of the container's state.
pub fn listen(state: At, why: Why) -> syscalls::Result<Fd> {
    let socket = syscalls::socket_datagram(why)?;
    syscalls::bind_unix(socket.at(), &below(state, SOCKET), why)?;
    let why = Why("whoever the program is, it may send");
    syscalls::fchmodat(state, SOCKET, 0o777, why)?;
    Ok(socket)
}

/// A name in an open directory, as a path.
fn below(dir: At, name: &CStr) -> CString {
    let mut path = format!("/proc/self/fd/{}/", dir.raw()).into_bytes();
    path.extend_from_slice(name.to_bytes());
    CString::new(path).unwrap_or_default()
}
