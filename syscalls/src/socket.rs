//! Pipes, sockets, waiting for them, and asking devices.

use crate::abi::{IfReq, Message, SockAddr};
use crate::call::{Result, Why, gate};
use crate::fd::{At, Fd};
use crate::file::d;
use crate::table::Call;
use core::ffi::CStr;
use linux_raw_sys::general::__kernel_timespec;

/// socket(2): a datagram socket of the internet family, only to ask the network stack something.
pub fn socket_inet(why: Why) -> Result<Fd> {
    let kind = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC) as usize;
    Ok(Fd::new(gate(Call::Socket, [libc::AF_INET as usize, kind, 0, 0, 0, 0], why)?, "network"))
}

/// socket(2): a socket on which the kernel answers questions about interfaces and addresses, and changes them
/// (rtnetlink(7)). Read and written plainly it talks to the kernel alone (netlink(7)).
pub fn socket_route(why: Why) -> Result<Fd> {
    let kind = (libc::SOCK_RAW | libc::SOCK_CLOEXEC) as usize;
    let (family, protocol) = (libc::AF_NETLINK as usize, libc::NETLINK_ROUTE as usize);
    Ok(Fd::new(gate(Call::Socket, [family, kind, protocol, 0, 0, 0], why)?, "network configuration"))
}

/// socketpair(2): two ends that keep messages apart and see each other's end.
pub fn socketpair(why: Why) -> Result<(Fd, Fd)> {
    let kind = (libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC) as usize;
    let mut pair = [-1i32; 2];
    gate(Call::Socketpair, [libc::AF_UNIX as usize, kind, 0, &raw mut pair as usize, 0, 0], why)?;
    Ok((Fd::new(pair[0] as usize, "channel"), Fd::new(pair[1] as usize, "channel")))
}

/// ioctl(2) with SIOCGIFFLAGS, SIOCSIFFLAGS or SIOCGIFINDEX.
pub fn ioctl_ifreq(socket: At, request: u32, interface: &mut IfReq, why: Why) -> Result<()> {
    gate(Call::IoctlIfreq, [d(socket), request as usize, interface as *mut _ as usize, 0, 0, 0], why).map(drop)
}

/// A descriptor to wait for: `struct pollfd`.
pub use linux_raw_sys::general::pollfd as PollFd;

/// ppoll(2) with the signal mask left as it is. `timeout_ms` `None`: for ever. Returns how many are ready.
pub fn ppoll(fds: &mut [PollFd], timeout_ms: Option<u64>, why: Why) -> Result<usize> {
    // The kernel writes the time that is left into it (ppoll(2), "C library/kernel differences").
    let mut limit =
        timeout_ms.map(|ms| __kernel_timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000 * 1_000_000) as i64 });
    let limit = limit.as_mut().map_or(0, |l| &raw mut *l as usize);
    gate(Call::Ppoll, [fds.as_mut_ptr() as usize, fds.len(), limit, 0, 8, 0], why)
}

/// socket(2) of the unix family, for datagrams; nobody waits for one.
pub fn socket_datagram(why: Why) -> Result<Fd> {
    let kind = (libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as usize;
    let args = [libc::AF_UNIX as usize, kind, 0, 0, 0, 0];
    Ok(Fd::new(gate(Call::Socket, args, why)?, "socket"))
}

/// socket(2) of the unix family, for a stream; no call on it waits.
pub fn socket_unix(why: Why) -> Result<Fd> {
    let kind = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK) as usize;
    let args = [libc::AF_UNIX as usize, kind, 0, 0, 0, 0];
    Ok(Fd::new(gate(Call::Socket, args, why)?, "socket"))
}

/// connect(2) to a path of at most 107 bytes; a longer one is cut.
pub fn connect_unix(socket: At, path: &CStr, why: Why) -> Result<()> {
    address(Call::Connect, socket, path, why)
}

/// bind(2) to a path, which is made.
pub fn bind_unix(socket: At, path: &CStr, why: Why) -> Result<()> {
    address(Call::Bind, socket, path, why)
}

fn address(call: Call, socket: At, path: &CStr, why: Why) -> Result<()> {
    let mut to = SockAddr { family: libc::AF_UNIX as u16, path: [0; 108] };
    let bytes = path.to_bytes();
    let len = bytes.len().min(107);
    to.path[..len].copy_from_slice(&bytes[..len]);
    // The family, the path and its NUL.
    let mut whole = 2 + len + 1;
    if to.path[0] == b'@' {
        // As everybody writes it: a name without a file begins with a NUL, and its length is its end (unix(7)).
        to.path[0] = 0;
        whole -= 1;
    }
    let args = [d(socket), &raw const to as usize, whole, 0, 0, 0];
    gate(call, args, why).map(drop)
}

/// sendto(2) to whom a socket is connected to; if nobody is there any more, no signal tells of it.
pub fn send(socket: At, bytes: &[u8], why: Why) -> Result<usize> {
    let flags = libc::MSG_NOSIGNAL as usize;
    let args = [d(socket), bytes.as_ptr() as usize, bytes.len(), flags, 0, 0];
    gate(Call::Sendto, args, why)
}

/// sendmsg(2) of bytes together with a descriptor (unix(7), SCM_RIGHTS).
pub fn sendmsg_descriptor(socket: At, bytes: &[u8], descriptor: At, why: Why) -> Result<usize> {
    let mut message = Message::new(descriptor.0);
    message.part = [bytes.as_ptr() as usize, bytes.len()];
    let len = bytes.len().min(40);
    message.beginning[..len].copy_from_slice(&bytes[..len]);
    message.parts = &raw const message.part as usize;
    message.control = &raw const message.control_header as usize;
    let flags = libc::MSG_NOSIGNAL as usize;
    let args = [d(socket), &raw const message as usize, flags, 0, 0, 0];
    gate(Call::Sendmsg, args, why)
}
