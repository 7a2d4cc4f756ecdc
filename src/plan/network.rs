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
use alloc::format;
use alloc::string::String;

const AT: &str = "/linux/netDevices";

pub fn plan(b: &mut Builder) -> Result<(), Problem> {
    if b.new_namespace(NamespaceKind::Network) {
        let from = pointer(b.spec, &NamespaceKind::Network);
        b.init(Init::Network, &from, Network::LoopbackUp, "a new network namespace has only `lo`, and that is down");
    }
    let all = &b.spec.linux.net_devices.0;
    if all.is_empty() {
        return Ok(());
    }
    let why = "network interfaces are changed by messages to the kernel (rtnetlink(7))";
    b.host(Host::Network, AT, Network::Socket, why);
    b.init(Init::Network, AT, Network::Socket, why);
    for (device, one) in all {
        let name = one.name.as_ref().unwrap_or(device);
        // Of a pattern the kernel makes a name that is free.
        if !name.contains('%') {
            let op = Network::FreeName { name: name.clone() };
            let why = "with a name that is taken it could come in, but not be used";
            b.init(Init::Network, &pointer_of(device), op, why);
        }
    }
    let why = "what is most likely to fail is done: now the host may give them away";
    b.init(Init::Network, AT, Sync::AskNetDevices, why);
    let why = "should init fail before it is here, the host keeps its interfaces";
    b.host(Host::MoveNetwork, AT, Sync::AwaitAsk, why);
    for ((device, one), number) in all.iter().zip(0..) {
        let (from, device, name) = (pointer_of(device), device.clone(), one.name.as_ref().unwrap_or(device).clone());
        let op = Network::Read { device: device.clone(), name: name.clone() };
        b.host(Host::Network, &from, op, "there must be such an interface, and the move takes its addresses from it");
        let op = Network::Move { device: device.clone(), number };
        b.host(Host::MoveNetwork, &from, op, "an interface can be moved only from where it is");
        let why = "the program finds it as it was on the host, under the name that is wanted";
        b.init(Init::Network, &from, Network::SetUp { device, name, number }, why);
    }
    b.host(Host::MoveNetwork, AT, Sync::TellMoved, "the rest has to be done from inside");
    Ok(())
}

fn pointer_of(device: &str) -> String {
    format!("{AT}/{}", escaped(device))
}
