//! Ops for the network: devices of the host that move into the container, and its loopback. May touch: types.

use super::LaneSet;
use super::lanes::{HOST, INIT, say};
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Network {
    // Each lane has one, in its own network namespace.
    Socket,
    // Keeps the name and addresses, which the device loses on its way, as requests to set them again.
    Read { device: String, name: String },
    // `number`: counted in the order in which they were read.
    Move { device: String, number: u16 },
    FreeName { name: String },
    SetUp { device: String, name: String, number: u16 },
    LoopbackUp,
}

impl Network {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        match self {
            Self::Socket => (HOST | INIT, say!(to, "open a socket to the kernel's network configuration")),
            Self::Read { device, .. } => (HOST, say!(to, "look up the network device {device} and its addresses")),
            Self::Move { device, .. } => {
                (HOST, say!(to, "move the network device {device} into the container's network namespace"))
            }
            Self::FreeName { name } => (INIT, say!(to, "check that the interface name {name} is free")),
            Self::SetUp { device, name, .. } => {
                (INIT, say!(to, "name the network device {device} {name}, bring it up, set its addresses"))
            }
            Self::LoopbackUp => (INIT, say!(to, "bring lo up")),
        }
    }
}
