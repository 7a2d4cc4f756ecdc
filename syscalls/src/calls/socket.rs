//! Sockets, waiting for them, and asking devices.

use crate::abi::{IfReq, Message, SockAddr};
use crate::arg::{
    Arg, Kind, bytes, fd, in_out, in_outs, inputs, int, named, null, output, plain, pointing, pointing_out, uint,
};
use crate::call::{Result, Why};
use crate::fd::{At, Fd};
use crate::flags::{Family, InternetProtocol, Ioctl, MsgFlags, NetlinkProtocol, SocketType};
use crate::gate::gate;
use core::ffi::CStr;
use linux_raw_sys::general as nr;
use linux_raw_sys::general::__kernel_timespec;

plain! {
    FdPair: [i32; 2];
    IfReq: IfReq;
    TimeSpec: __kernel_timespec;
}

#[track_caller]
fn socket(family: Family, kind: SocketType, protocol: Arg, why: Why) -> Result<Fd> {
    gate(nr::__NR_socket, &[named(family), named(kind | SocketType::SOCK_CLOEXEC), protocol], why).map(Fd::new)
}

/// socket(2): a datagram socket of the internet family, only to ask the network stack something.
#[track_caller]
pub fn socket_inet(why: Why) -> Result<Fd> {
    socket(Family::AF_INET, SocketType::SOCK_DGRAM, named(InternetProtocol::IPPROTO_IP), why)
}

/// socket(2): a socket on which the kernel answers questions about interfaces and addresses, and changes them
/// (rtnetlink(7)). Read and written plainly it talks to the kernel alone (netlink(7)).
#[track_caller]
pub fn socket_route(why: Why) -> Result<Fd> {
    socket(Family::AF_NETLINK, SocketType::SOCK_RAW, named(NetlinkProtocol::NETLINK_ROUTE), why)
}

/// socket(2) of the unix family, for datagrams; no call on it waits.
#[track_caller]
pub fn socket_datagram(why: Why) -> Result<Fd> {
    socket(Family::AF_UNIX, SocketType::SOCK_DGRAM | SocketType::SOCK_NONBLOCK, int(0), why)
}

/// socket(2) of the unix family, for a stream; no call on it waits.
#[track_caller]
pub fn socket_unix(why: Why) -> Result<Fd> {
    socket(Family::AF_UNIX, SocketType::SOCK_STREAM | SocketType::SOCK_NONBLOCK, int(0), why)
}

/// socket(2) between a machine and its host, for a stream (vsock(7)); no call on it waits.
#[track_caller]
pub fn socket_vsock(why: Why) -> Result<Fd> {
    socket(Family::AF_VSOCK, SocketType::SOCK_STREAM | SocketType::SOCK_NONBLOCK, int(0), why)
}

/// socketpair(2): two connected sockets that keep messages apart. Each notices when the other is closed.
#[track_caller]
pub fn socketpair(why: Why) -> Result<(Fd, Fd)> {
    pair(SocketType::SOCK_SEQPACKET, why)
}

/// socketpair(2): two connected sockets for a stream both ways; no call on them waits.
#[track_caller]
pub fn socketpair_stream(why: Why) -> Result<(Fd, Fd)> {
    pair(SocketType::SOCK_STREAM | SocketType::SOCK_NONBLOCK, why)
}

#[track_caller]
fn pair(kind: SocketType, why: Why) -> Result<(Fd, Fd)> {
    let kind = kind | SocketType::SOCK_CLOEXEC;
    let mut pair = [-1; 2];
    gate(nr::__NR_socketpair, &[named(Family::AF_UNIX), named(kind), int(0), output(&mut pair)], why)?;
    Ok((Fd::new(pair[0] as usize), Fd::new(pair[1] as usize)))
}

/// connect(2) to a path of at most 107 bytes; a longer one is cut.
#[track_caller]
pub fn connect_unix(socket: At, path: &CStr, why: Why) -> Result<()> {
    address(nr::__NR_connect, socket, path, why)
}

/// bind(2) to a path, which is made.
#[track_caller]
pub fn bind_unix(socket: At, path: &CStr, why: Why) -> Result<()> {
    address(nr::__NR_bind, socket, path, why)
}

/// bind(2) to a port of this machine, whichever number the machine has itself (vsock(7)).
#[track_caller]
pub fn bind_vsock(socket: At, port: u32, why: Why) -> Result<()> {
    // struct sockaddr_vm: the family, the port, VMADDR_CID_ANY.
    let mut to = [0; 16];
    to[..2].copy_from_slice(&(libc::AF_VSOCK as u16).to_ne_bytes());
    to[4..8].copy_from_slice(&port.to_ne_bytes());
    to[8..12].fill(0xff);
    gate(nr::__NR_bind, &[fd(socket), inputs(&to, to.len(), Kind::SockAddr), uint(to.len())], why).map(drop)
}

/// listen(2): so many connections may wait to be accepted.
#[track_caller]
pub fn listen(socket: At, backlog: usize, why: Why) -> Result<()> {
    gate(nr::__NR_listen, &[fd(socket), uint(backlog)], why).map(drop)
}

/// accept4(2): a connection on which no call waits.
#[track_caller]
pub fn accept4(socket: At, why: Why) -> Result<Fd> {
    let flags = SocketType::SOCK_CLOEXEC | SocketType::SOCK_NONBLOCK;
    gate(nr::__NR_accept4, &[fd(socket), null(), null(), named(flags)], why).map(Fd::new)
}

#[track_caller]
fn address(call: u32, socket: At, path: &CStr, why: Why) -> Result<()> {
    let mut to: SockAddr = [0; 110];
    let (family, place) = to.split_at_mut(2);
    family.copy_from_slice(&(libc::AF_UNIX as u16).to_ne_bytes());
    let len = path.count_bytes().min(107);
    place[..len].copy_from_slice(&path.to_bytes()[..len]);
    // The family, the path and its NUL.
    let mut whole = 2 + len + 1;
    if place[0] == b'@' {
        // People write `@` for the NUL that a name without a file begins with. Such a name ends by its length (unix(7)).
        place[0] = 0;
        whole -= 1;
    }
    gate(call, &[fd(socket), inputs(&to[..whole], whole, Kind::SockAddr), uint(whole)], why).map(drop)
}

/// sendto(2) to the socket that this one is connected to. If that is closed, the call fails and no SIGPIPE is sent.
#[track_caller]
pub fn send(socket: At, message: &[u8], why: Why) -> Result<usize> {
    let flags = named(MsgFlags::MSG_NOSIGNAL);
    gate(nr::__NR_sendto, &[fd(socket), bytes(message), uint(message.len()), flags, null(), int(0)], why)
}

/// sendmsg(2) of bytes together with a descriptor (unix(7), SCM_RIGHTS).
#[track_caller]
pub fn sendmsg_descriptor(socket: At, bytes: &[u8], descriptor: At, why: Why) -> Result<usize> {
    let mut message = Message::new(descriptor.0);
    message.part = [bytes.as_ptr() as usize, bytes.len()];
    let len = bytes.len().min(message.beginning.len());
    message.beginning[..len].copy_from_slice(&bytes[..len]);
    message.parts = &raw const message.part as usize;
    message.control = &raw const message.control_header as usize;
    // SAFETY: the bytes live across the call, and the other addresses are the structure's own.
    let given = unsafe { pointing(&message, size_of::<Message>(), Kind::Message) };
    gate(nr::__NR_sendmsg, &[fd(socket), given, named(MsgFlags::MSG_NOSIGNAL)], why)
}

/// recvmsg(2) of a message with one descriptor (unix(7), SCM_RIGHTS). `None`: all senders are gone, or it had none.
#[track_caller]
pub fn recvmsg_descriptor(socket: At, why: Why) -> Result<Option<Fd>> {
    let mut message = Message::new(-1);
    message.part = [&raw mut message.beginning as usize, message.beginning.len()];
    message.parts = &raw const message.part as usize;
    message.control = &raw const message.control_header as usize;
    // SAFETY: the addresses are the structure's own.
    let filled = unsafe { pointing_out(&mut message, size_of::<Message>(), Kind::Received) };
    let received = gate(nr::__NR_recvmsg, &[fd(socket), filled, named(MsgFlags::MSG_CMSG_CLOEXEC)], why)?;
    // The kernel says how many bytes beside the message it has written.
    let has = received > 0 && message.control_len > 16 && message.descriptor >= 0;
    Ok(has.then(|| Fd::new(message.descriptor as usize)))
}

/// ioctl(2) with SIOCGIFFLAGS, SIOCSIFFLAGS or SIOCGIFINDEX.
#[track_caller]
pub fn ioctl_ifreq(socket: At, request: Ioctl, interface: &mut IfReq, why: Why) -> Result<()> {
    gate(nr::__NR_ioctl, &[fd(socket), named(request), in_out(interface)], why).map(drop)
}

/// A descriptor to wait for: `struct pollfd`.
pub use linux_raw_sys::general::pollfd as PollFd;

/// So many milliseconds.
pub(crate) fn milliseconds(ms: u64) -> __kernel_timespec {
    __kernel_timespec { tv_sec: (ms / 1000) as i64, tv_nsec: (ms % 1000 * 1_000_000) as i64 }
}

/// Descriptors of a ppoll(2) that its record keeps.
const POLLED: usize = 8;

/// ppoll(2) with the signal mask left as it is. `timeout_ms` `None`: for ever. Returns how many are ready.
#[track_caller]
pub fn ppoll(fds: &mut [PollFd], timeout_ms: Option<u64>, why: Why) -> Result<usize> {
    // The kernel writes the time that is left into it (ppoll(2), "C library/kernel differences").
    let mut limit = timeout_ms.map(milliseconds);
    let limit = limit.as_mut().map_or(null(), in_out);
    let count = uint(fds.len());
    gate(nr::__NR_ppoll, &[in_outs(fds, POLLED, Kind::PollFds), count, limit, null(), uint(8)], why)
}
