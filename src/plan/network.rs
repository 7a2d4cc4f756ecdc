//! The container's network: `lo`, and `linux.netDevices`, interfaces of the host that go into its network namespace
//! (config-linux.md, "Network Devices"). May touch: types.
//!
//! A move takes an interface's addresses from it and sets it down, so the host lane reads the addresses before the
//! clone. It moves the interfaces late, when init has its mounts and asks for them: with its namespace a virtual
//! interface ends, so what fails before does not cost the host its interface. For the same reason init looks for the
//! new names before it asks: the kernel would move first, and refuse the name then.

use super::builder::Builder;
use super::namespaces::pointer;
use super::op::{Network, Sync};
use super::order::{Host, Init};
use crate::spec::{NamespaceKind, Problem, escaped};

const AT: &str = "/linux/netDevices";

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    if b.new_namespace(NamespaceKind::Network) {
        let from = pointer(b.spec, &NamespaceKind::Network);
        let why = "a new network namespace has only `lo`, and until it is up 127.0.0.1 is unreachable";
        b.init(Init::Network, &from, Network::LoopbackUp, why);
    }
    let all = &b.spec.linux.net_devices.0;
    if all.is_empty() {
        return Ok(());
    }
    let why = "the kernel takes changes of network interfaces as messages (rtnetlink(7))";
    b.host(Host::Network, AT, Network::Socket, why);
    b.init(Init::Network, AT, Network::Socket, why);
    for (device, one) in all {
        let name = one.name.as_ref().unwrap_or(device);
        // Of a pattern the kernel makes a name that is free.
        if !name.contains('%') {
            let op = Network::FreeName { name: name.clone() };
            let why = "the kernel would move the interface first, and only then refuse a name that is taken";
            b.init(Init::Network, &pointer_of(device), op, why);
        }
    }
    let why = "late, since a failure after the move could cost the host its interfaces";
    b.init(Init::Network, AT, Sync::AskNetDevices, why);
    let why = "if init fails before this, the host keeps its interfaces";
    b.host(Host::MoveNetwork, AT, Sync::AwaitAsk, why);
    for ((device, one), number) in all.iter().zip(0..) {
        let (from, device, name) = (pointer_of(device), device.clone(), one.name.as_ref().unwrap_or(device).clone());
        let op = Network::Read { device: device.clone(), name: name.clone() };
        b.host(Host::Network, &from, op, "the interface must exist, and the move will take its addresses from it");
        let op = Network::Move { device: device.clone(), number };
        b.host(Host::MoveNetwork, &from, op, "only a process in the interface's own namespace can move it");
        let why =
            "the move took its addresses and set it down: the program finds both again, under the name that is wanted";
        b.init(Init::Network, &from, Network::SetUp { device, name, number }, why);
    }
    b.host(Host::MoveNetwork, AT, Sync::TellMoved, "only init, inside, can set the interfaces up again");
    Ok(())
}

fn pointer_of(device: &str) -> String {
    format!("{AT}/{}", escaped(device))
}
