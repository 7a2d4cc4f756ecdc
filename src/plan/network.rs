//! `linux.netDevices`: interfaces of the host that go into the container's network namespace. May touch: types and
//! tables.
//!
//! A move takes an interface's addresses from it and sets it down, so the host lane reads the addresses before the
//! clone. It moves the interfaces late, when init has its mounts and asks for them: with its namespace a virtual
//! interface ends, so what fails before does not cost the host its interface. For the same reason init looks for the
//! new names before it asks: the kernel would move first, and refuse the name then.

use super::Builder;
use super::Step;
use super::op::{Line, Network, Sync};
use crate::spec::escaped;
use alloc::format;
use alloc::vec::Vec;

/// Both lanes' lines up to the clone, and init's behind it. Returns what the host lane does after the clone.
pub fn plan(b: &mut Builder) -> Vec<Line> {
    let (mut moves, mut set_ups) = (Vec::new(), Vec::new());
    let all = &b.spec.linux.net_devices.0;
    if all.is_empty() {
        return moves;
    }
    let root = "/linux/netDevices";
    b.step = Step::Identity;
    b.from = root.into();
    let why = "network interfaces are changed by messages to the kernel (rtnetlink(7))";
    b.host(b.step, Network::Socket, why);
    b.init(Network::Socket, why);
    let why = "should init fail before it is here, the host keeps its interfaces";
    moves.push(b.line(Sync::AwaitAsk, why));
    for (number, (device, one)) in all.iter().enumerate() {
        let number = number as u16;
        b.from = format!("{root}/{}", escaped(device));
        let name = one.name.as_ref().unwrap_or(device);
        // Of a pattern the kernel makes a name that is free.
        if !name.contains('%') {
            let op = Network::FreeName { name: name.clone() };
            b.init(op, "with a name that is taken it could come in, but not be used");
        }
        let op = Network::Move { device: device.clone(), number };
        let why = "an interface can be moved only from where it is";
        moves.push(b.line(op, why));
        let op = Network::SetUp { device: device.clone(), name: name.clone(), number };
        let why = "the program finds it as it was on the host, under the name that is wanted";
        set_ups.push(b.line(op, why));
        let why = "there must be such an interface, and the move takes its addresses from it";
        let op = Network::Read { device: device.clone(), name: name.clone() };
        b.host(b.step, op, why);
    }
    b.from = root.into();
    moves.push(b.line(Sync::TellMoved, "the rest has to be done from inside"));
    b.init(Sync::AskNetDevices, "what is most likely to fail is done: now the host may give them away");
    b.plan.init.append(&mut set_ups);
    moves
}
