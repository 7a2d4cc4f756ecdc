//! The network: devices of the host that move into the container, and its loopback. May touch: plan types, system
//! calls.
//!
//! ```text
//!   host  index, addresses .. clone3 ............... move, as nk-if7 ─ word
//!   init                             names free? ask ───────────────── index of nk-if7 ─ name, up, addresses
//! ```
//! The number and name of an interface inside are not known beforehand: its index may be in use there, and the kernel
//! completes a pattern like `eth%d`. So it travels under a name made of its index on the host, and gets the wanted name
//! inside. All requests are made by the host lane; init only fills in the index.
//!
//! A request of rtnetlink(7), in the caller's byte order; everything begins at a multiple of four bytes:
//! ```text
//!    0 length u32, 4 type u16, 6 flags u16, 8 sequence u32, 12 sender u32        netlink(7)
//!   16 family u8, u8, type u16, 20 index i32, 24 flags u32, 28 which flags u32   RTM_NEWLINK
//!   16 family u8, prefix u8, flags u8, scope u8, 20 index u32                    RTM_NEWADDR
//!   after either: attributes, each its length u16, type u16, value
//! ```

use super::Lanes;
use super::lanes::NetDevice;
use crate::outcome::{Check, Done, Trouble};
use crate::plan::Slot;
use crate::plan::op::Network;
use syscalls::abi::IfReq;
use syscalls::{At, Call, Errno, Failed, Ioctl, Why};

/// Where a request has the index of its interface.
const INDEX: usize = 20;
/// Where the attributes of an address begin.
const ATTRIBUTES: usize = 24;
/// The kernel answers none of these requests by a longer message, and gives no more of a dump at a time.
const LONGEST: usize = 8192;

pub fn perform(lanes: &mut Lanes, op: &Network, why: Why) -> Done {
    match op {
        Network::Socket => lanes.put(Slot::ROUTE, syscalls::socket_route(why)?),
        Network::Read { device, name } => read(lanes, device, name, why)?,
        Network::Move { number, .. } => hand_over(lanes, *number, why)?,
        Network::FreeName { name } => must_be_free(lanes.at(Slot::ROUTE), name, why)?,
        Network::SetUp { number, .. } => set_up(lanes, *number, why)?,
        Network::LoopbackUp => loopback_up(why)?,
    }
    Ok(())
}

/// Bytes of a message; those beyond its end are 0.
fn bytes<const N: usize>(message: &[u8], at: usize) -> [u8; N] {
    let part = message.get(at..at + N).and_then(|part| part.try_into().ok());
    part.unwrap_or([0; N])
}

fn u16_at(message: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes(bytes(message, at))
}

fn put(message: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = message.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

/// The places of the messages that follow one another, and their ends.
fn messages(all: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let mut next = 0;
    core::iter::from_fn(move || {
        let at = next;
        let end = at + u32::from_ne_bytes(bytes(all, at)) as usize;
        next = end.next_multiple_of(4);
        (at + 16 <= end && end <= all.len()).then_some((at, end))
    })
}

/// The start of a request: its length, type and flags.
fn header(len: u32, kind: u16, flags: i32) -> Vec<u8> {
    let mut request = Vec::with_capacity(64);
    request.extend_from_slice(&len.to_ne_bytes());
    request.extend_from_slice(&kind.to_ne_bytes());
    request.extend_from_slice(&(flags as u16).to_ne_bytes());
    request.resize(len as usize, 0);
    request
}

/// RTM_NEWLINK: gives an interface a name, and these flags besides those that it has.
/// `len`: with what the caller adds to the 52 bytes of that.
fn change_link(len: u32, index: u32, name: &str, flags: u32) -> Vec<u8> {
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
fn acknowledged(request: &mut [u8], at: usize) {
    let flags = u16_at(request, at + 6) | libc::NLM_F_ACK as u16;
    put(request, at + 6, &flags.to_ne_bytes());
}

/// Host: finds the interface, and makes the requests that will give it its new name and its addresses inside.
fn read(lanes: &mut Lanes, device: &str, name: &str, why: Why) -> Done {
    let socket = lanes.at(Slot::ROUTE);
    let index = find(socket, device, why)?;
    // The name first: a new IPv4 address gets its interface's name as its label.
    let mut requests = change_link(52, 0, name, libc::IFF_UP as u32);
    let last = addresses(socket, index, &mut requests)?;
    acknowledged(&mut requests, last);
    let way = format!("nk-if{index}");
    lanes.net.push(NetDevice { index, way, requests });
    Ok(())
}

/// Appends a request for each address of an interface that is to be kept. Returns where the last request begins.
fn addresses(socket: At, index: u32, requests: &mut Vec<u8>) -> Done<usize> {
    let why = Why("the kernel lists the addresses of all devices at once");
    let dump = header(24, libc::RTM_GETADDR, libc::NLM_F_REQUEST | libc::NLM_F_DUMP);
    syscalls::write(socket, &dump, why)?;
    let asked = syscalls::record::last();
    let mut buffer = vec![0; LONGEST];
    let mut last = 0;
    loop {
        let len = syscalls::read(socket, &mut buffer, why)?;
        let told = buffer.get(..len).unwrap_or_default();
        for (at, end) in messages(told) {
            let message = &told[at..end];
            match u16_at(message, 4) {
                libc::RTM_NEWADDR if keeps(message, index) => {
                    last = requests.len();
                    // The kernel pads its attributes, the last one too, so the next request begins well.
                    requests.extend_from_slice(message);
                    again(&mut requests[last..]);
                }
                libc::RTM_NEWADDR => {}
                _ => return verdict(message, asked).map(|()| last),
            }
        }
    }
}

/// Permanent addresses of global scope. The interface or a router makes the others again.
fn keeps(message: &[u8], index: u32) -> bool {
    let [_, _, flags, scope] = bytes(message, 16);
    u32::from(flags) & libc::IFA_F_PERMANENT != 0
        && scope == libc::RT_SCOPE_UNIVERSE
        && bytes(message, INDEX) == index.to_ne_bytes()
}

/// Makes of what the kernel told of an address the request for the same one.
fn again(address: &mut [u8]) {
    let flags = libc::NLM_F_REQUEST | libc::NLM_F_CREATE | libc::NLM_F_EXCL;
    put(address, 6, &(flags as u16).to_ne_bytes());
    let mut at = ATTRIBUTES;
    while at < address.len() {
        // The label is the interface's old name. Attributes of type 0 are passed over.
        if u16_at(address, at + 2) == libc::IFA_LABEL {
            put(address, at + 2, &[0; 2]);
        }
        at += usize::from(u16_at(address, at).max(4)).next_multiple_of(4);
    }
}

/// Host: moves one into the network namespace of init.
fn hand_over(lanes: &mut Lanes, number: u16, why: Why) -> Done {
    let Some(device) = lanes.net.get(usize::from(number)) else {
        return Ok(());
    };
    let mut request = change_link(60, device.index, &device.way, 0);
    acknowledged(&mut request, 0);
    put(&mut request, 52, &8u16.to_ne_bytes());
    put(&mut request, 54, &libc::IFLA_NET_NS_PID.to_ne_bytes());
    put(&mut request, 56, &lanes.pid.to_ne_bytes());
    ask(lanes.at(Slot::ROUTE), &request, why)
}

/// Init: an interface of this name must not be there.
fn must_be_free(socket: At, name: &str, why: Why) -> Done {
    match find(socket, name, why) {
        Ok(_) => Err(Trouble::Check(Check::NameTaken)),
        Err(failed) if failed.errno == Errno::ENODEV => Ok(()),
        Err(failed) => Err(failed.into()),
    }
}

/// Init: finds the device that has come, and gives it its name and addresses.
fn set_up(lanes: &mut Lanes, number: u16, why: Why) -> Done {
    let socket = lanes.at(Slot::ROUTE);
    let Some(device) = lanes.net.get_mut(usize::from(number)) else {
        return Ok(());
    };
    let index = find(socket, &device.way, Why("the device may have another number here than on the host"))?;
    let mut at = 0;
    while at < device.requests.len() {
        put(&mut device.requests, at + INDEX, &index.to_ne_bytes());
        at += u32::from_ne_bytes(bytes(&device.requests, at)).next_multiple_of(4) as usize;
    }
    ask(socket, &device.requests, why)
}

/// The number of an interface. Any socket will do for that (netdevice(7)).
fn find(socket: At, name: &str, why: Why) -> syscalls::Result<u32> {
    let mut request = IfReq::new(name.as_bytes());
    syscalls::ioctl_ifreq(socket, Ioctl::SIOCGIFINDEX, &mut request, why)?;
    Ok(request.index())
}

/// Sends requests, of which the last wants an answer: the first answer is that one, or the first refusal.
fn ask(socket: At, requests: &[u8], why: Why) -> Done {
    syscalls::write(socket, requests, why)?;
    let asked = syscalls::record::last();
    let mut answer = [0; 64];
    let len =
        syscalls::read(socket, &mut answer, Why("a refusal comes as an answer, not as the errno of the request"))?;
    verdict(answer.get(..len).unwrap_or(&answer), asked)
}

/// What NLMSG_ERROR and NLMSG_DONE say: 0, or an errno below it. `asked`: the record of the request.
fn verdict(answer: &[u8], asked: u32) -> Done {
    match i32::from_ne_bytes(bytes(answer, 16)) {
        0 => Ok(()),
        code => Err(Trouble::Call(Failed {
            errno: Errno(code.unsigned_abs() as u16),
            call: Call::named("write"),
            at: asked,
        })),
    }
}

fn loopback_up(why: Why) -> Done {
    let socket = syscalls::socket_inet(Why("network interfaces are asked through a socket (netdevice(7))"))?;
    let mut lo = IfReq::new(b"lo");
    lo.flags = libc::IFF_UP as i16;
    syscalls::ioctl_ifreq(socket.at(), Ioctl::SIOCSIFFLAGS, &mut lo, why)?;
    socket.leak(); // execve closes it
    Ok(())
}
