//! The network: devices of the host that move into the container, and its loopback. May touch: plan types, system
//! calls.
//!
//! ```text
//!   host  index, addresses .. clone3 ............... move, as nk-if7 ─ word
//!   init                             names free? ask ───────────────── index of nk-if7 ─ name, up, addresses
//! ```
//! The number and name of an interface inside are not known beforehand: its index may be in use there, and the kernel
//! completes a pattern like `eth%d`. So it travels under a name made of its index on the host, and gets the wanted name
//! inside. All requests (`netlink`) are made by the host lane; init only fills in the index.

use super::Lanes;
use super::lanes::NetDevice;
use crate::netlink::{
    INDEX, acknowledged, ask, bytes, change_link, find, header, loopback_up, messages, put, u16_at, verdict,
};
use crate::outcome::{Check, Done, Trouble};
use crate::plan::Slot;
use crate::plan::op::Network;
use syscalls::{At, Errno, Why};

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
                _ => return Ok(verdict(message, asked).map(|()| last)?),
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
    Ok(ask(lanes.at(Slot::ROUTE), &request, why)?)
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
    Ok(ask(socket, &device.requests, why)?)
}
