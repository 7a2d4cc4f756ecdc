//! Requests to the kernel's network configuration, and its answers: rtnetlink(7). May touch: system calls.
//!
//! A request is in the caller's byte order, and everything begins at a multiple of four bytes:
//! ```text
//!    0 length u32, 4 type u16, 6 flags u16, 8 sequence u32, 12 sender u32        netlink(7)
//!   16 family u8, u8, type u16, 20 index i32, 24 flags u32, 28 which flags u32   RTM_NEWLINK
//!   16 family u8, prefix u8, flags u8, scope u8, 20 index u32                    RTM_NEWADDR
//!   16 family u8, to u8, from u8, tos u8, 20 table u8, protocol u8, scope u8,    RTM_NEWROUTE
//!      type u8, 24 flags u32
//!   after each: attributes, each its length u16, type u16, value
//! ```

use core::net::IpAddr;
use syscalls::abi::IfReq;
use syscalls::{At, Call, Errno, Failed, Ioctl, Result, Why};

/// Where a request has the index of its interface.
pub const INDEX: usize = 20;

/// Bytes of a message; those beyond its end are 0.
pub fn bytes<const N: usize>(message: &[u8], at: usize) -> [u8; N] {
    let part = message.get(at..at + N).and_then(|part| part.try_into().ok());
    part.unwrap_or([0; N])
}

pub fn u16_at(message: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes(message, at))
}

pub fn put(message: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = message.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// The places of the messages that follow one another, and their ends.
pub fn messages(all: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    core::iter::from_fn(move || {
        let at = next;
        let end = at + u32::from_ne_bytes(bytes(all, at)) as usize;
        next = end.next_multiple_of(4);
        (at + 16 <= end && end <= all.len()).then_some((at, end))
    })
}

/// The start of a request: its length, type and flags.
pub fn header(len: u32, kind: u16, flags: i32) -> Vec<u8> {
    let mut request = Vec::with_capacity(64);
    request.extend_from_slice(&len.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&(flags as u16).to_ne_bytes());
    request.resize(len as usize, 0);
    request
}

/// RTM_NEWLINK: gives an interface a name, and these flags besides those that it has.
/// `len`: with what the caller adds to the 52 bytes of that.
pub fn change_link(len: u32, index: u32, name: &str, flags: u32) -> Vec<u8> {
    let mut request = header(len, libc::RTM_NEWLINK, libc::NLM_F_REQUEST);
    put(&mut request, INDEX, &index.to_ne_bytes());
    put(&mut request, 24, &flags.to_ne_bytes());
    put(&mut request, 28, &flags.to_ne_bytes());
    put(&mut request, 32, &20u16.to_ne_bytes());
    put(&mut request, 34, &libc::IFLA_IFNAME.to_ne_bytes());
    put(&mut request, 36, &IfReq::new(name.as_bytes()).name);
    request
}

/// Asks for an answer to a request, even if all is well.
pub fn acknowledged(request: &mut [u8], at: usize) {
    let flags = u16_at(request, at + 6) | libc::NLM_F_ACK as u16;
    put(request, at + 6, &flags.to_ne_bytes());
}

/// The number of an interface. Any socket will do for that (netdevice(7)).
#[track_caller]
pub fn find(socket: At, name: &str, why: Why) -> Result<u32> {
    let mut request = IfReq::new(name.as_bytes());
    syscalls::ioctl_ifreq(socket, Ioctl::SIOCGIFINDEX, &mut request, why)?;
    Ok(request.index())
}

/// Sends requests. The last one asks for an answer: what comes first is that answer or a refusal.
#[track_caller]
pub fn ask(socket: At, requests: &[u8], why: Why) -> Result<()> {
    syscalls::write(socket, requests, why)?;
    let asked = syscalls::record::last();
    let mut answer = [0; 64];
    let len =
        syscalls::read(socket, &mut answer, Why("a refusal comes as an answer, not as the errno of the request"))?;
    verdict(answer.get(..len).unwrap_or(&answer), asked)
}

/// What NLMSG_ERROR and NLMSG_DONE say: 0, or an errno below it. `asked`: the record of the request.
pub fn verdict(answer: &[u8], asked: u32) -> Result<()> {
    match i32::from_ne_bytes(bytes(answer, 16)) {
        0 => Ok(()),
        code => Err(Failed { errno: Errno(code.unsigned_abs() as u16), call: Call::named("write"), at: asked }),
    }
}

/// An attribute of a request; its value is at most a few bytes.
fn attribute(request: &mut Vec<u8>, kind: u16, value: &[u8]) {
    request.extend_from_slice(&(value.len() as u16 + 4).to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(value);
    let len = request.len() as u32;
    put(request, 0, &len.to_ne_bytes());
}

/// The family of an address, and its bytes.
fn parts(address: &IpAddr) -> (i32, Vec<u8>) {
    match address {
        IpAddr::V4(four) => (libc::AF_INET, four.octets().to_vec()),
        IpAddr::V6(six) => (libc::AF_INET6, six.octets().to_vec()),
    }
}

/// The flags of a request that makes something, or puts it in the place of what is there.
const MAKE: i32 = libc::NLM_F_REQUEST | libc::NLM_F_ACK | libc::NLM_F_CREATE | libc::NLM_F_REPLACE;

/// RTM_NEWADDR: an address for an interface. An IPv6 address is in use at once: the kernel would ask the network for a
/// second or more whether another machine has it.
pub fn add_address(index: u32, address: &IpAddr, prefix: u8) -> Vec<u8> {
    let (family, value) = parts(address);
    let mut request = header(24, libc::RTM_NEWADDR, MAKE);
    let flags = if family == libc::AF_INET6 { libc::IFA_F_NODAD as u8 } else { 0 };
    put(&mut request, 16, &[family as u8, prefix, flags, libc::RT_SCOPE_UNIVERSE]);
    put(&mut request, INDEX, &index.to_ne_bytes());
    attribute(&mut request, libc::IFA_LOCAL, &value);
    attribute(&mut request, libc::IFA_ADDRESS, &value);
    request
}

/// RTM_NEWROUTE: all that has no other route goes to this gateway.
pub fn add_default_route(index: u32, gateway: &IpAddr) -> Vec<u8> {
    let (family, value) = parts(gateway);
    let mut request = header(28, libc::RTM_NEWROUTE, MAKE);
    put(&mut request, 16, &[family as u8]);
    put(&mut request, 20, &[libc::RT_TABLE_MAIN, libc::RTPROT_STATIC, libc::RT_SCOPE_UNIVERSE, libc::RTN_UNICAST]);
    attribute(&mut request, libc::RTA_GATEWAY, &value);
    attribute(&mut request, libc::RTA_OIF, &index.to_ne_bytes());
    request
}

/// Brings `lo` up. The socket stays open until execve.
#[track_caller]
pub fn loopback_up(why: Why) -> Result<()> {
    let socket = syscalls::socket_inet(Why("network interfaces are asked through a socket (netdevice(7))"))?;
    let mut lo = IfReq::new(b"lo");
    lo.flags = libc::IFF_UP as i16;
    syscalls::ioctl_ifreq(socket.at(), Ioctl::SIOCSIFFLAGS, &mut lo, why)?;
    socket.leak();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `strace -x ip address add 10.0.2.15/24 dev ...` sends this, with an index of 2.
    #[test]
    fn an_address_as_ip_sends_it() {
        let request = add_address(2, &IpAddr::from([10, 0, 2, 15]), 24);
        assert_eq!(&request[..4], 40u32.to_ne_bytes());
        assert_eq!(&request[16..], [2, 24, 0, 0, 2, 0, 0, 0, 8, 0, 2, 0, 10, 0, 2, 15, 8, 0, 1, 0, 10, 0, 2, 15]);
        let six = add_address(2, &IpAddr::from([0xfec0, 0, 0, 0, 0, 0, 0, 2]), 64);
        assert_eq!(&six[16..20], [10, 64, 2, 0]);
        assert_eq!(six.len(), 24 + 20 + 20);
    }

    #[test]
    fn a_default_route_as_ip_sends_it() {
        let request = add_default_route(2, &IpAddr::from([10, 0, 2, 2]));
        assert_eq!(&request[16..28], [2, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0]);
        assert_eq!(&request[28..], [8, 0, 5, 0, 10, 0, 2, 2, 8, 0, 4, 0, 2, 0, 0, 0]);
    }
}
