//! `linux.netDevices`: its types, and what of it can be checked without the kernel: names that the kernel would take,
//! and no two alike (config-linux.md, "Network Devices"). Whether there is such a device, and whether its new name is
//! free, is found out later. May touch: serde.

use super::check::{Checked, no};
use super::{Linux, NamespaceKind};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

/// The devices in the order in which they stand in the document.
#[derive(Default, Debug)]
pub struct NetDevices(pub Vec<NetDevice>);

/// A network device of the host.
#[derive(Debug)]
pub struct NetDevice {
    /// What it is called on the host: its key.
    pub device: String,
    wanted: Option<String>,
}

impl NetDevice {
    /// What it is called in the container: a name, or a pattern with `%d`.
    pub fn name(&self) -> &String {
        self.wanted.as_ref().unwrap_or(&self.device)
    }

    /// Of a pattern the kernel makes the first name that is free.
    pub fn is_pattern(&self) -> bool {
        self.name().contains('%')
    }

    /// Its place in config.json. A key may hold what has a meaning in a JSON pointer (RFC 6901).
    pub fn pointer(&self) -> String {
        format!("/linux/netDevices/{}", super::escaped(&self.device))
    }
}

// By hand: derived code would be larger, and would take a list for an object.
impl<'de> Deserialize<'de> for NetDevices {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<NetDevices, D::Error> {
        deserializer.deserialize_map(Devices)
    }
}

struct Devices;

impl<'de> Visitor<'de> for Devices {
    type Value = NetDevices;

    fn expecting(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<NetDevices, A::Error> {
        let mut all = Vec::new();
        while let Some(device) = map.next_key()? {
            let wanted = map.next_value_seed(Name)?;
            all.push(NetDevice { device, wanted });
        }
        Ok(NetDevices(all))
    }
}

/// Of a device's properties the name, if it has one.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Option<String>;

    fn expecting(&self, f: &mut core::fmt::Formatter) -> core::fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut name = None;
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "name" => name = map.next_value()?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(name)
    }
}

pub fn check(linux: &Linux) -> Checked {
    let all = &linux.net_devices.0;
    let network = linux.namespaces.iter().map(|n| &n.kind);
    if !all.is_empty() && !network.into_iter().any(|kind| *kind == NamespaceKind::Network) {
        return no(
            "/linux/netDevices",
            "needs a `network` namespace in linux.namespaces: without one there is nowhere to move them",
        );
    }
    for (i, one) in all.iter().enumerate() {
        let at = one.pointer();
        check_name(&at, &one.device, false)?;
        if let Some(name) = &one.wanted {
            check_name(&format!("{at}/name"), name, true)?;
        }
        let same = |other: &&NetDevice| other.name() == one.name() && !one.is_pattern();
        if let Some(other) = all[..i].iter().find(same) {
            let other = other.pointer();
            return no(at, format!("gets the same name as {other}: `{}`", one.name()));
        }
    }
    Ok(())
}

/// What `dev_valid_name` of the kernel takes; a new name may have one `%d`.
fn check_name(at: &str, name: &str, pattern: bool) -> Checked {
    // The last is a blank as well, to the kernel.
    let odd = |b: u8| b <= b' ' || b == 0x7f || b == b'/' || b == b':' || b == 0xa0;
    let percents = name.bytes().filter(|b| *b == b'%').count();
    let problem = if matches!(name, "" | "." | "..") {
        "is no name of a network interface"
    } else if name.len() > 15 {
        "is longer than the 15 bytes that the kernel takes"
    } else if name.bytes().any(odd) {
        "holds a blank, `/`, `:` or a control character"
    } else if percents > usize::from(pattern && name.contains("%d")) {
        "holds a `%` that is not the one `%d` of a new name"
    } else {
        return Ok(());
    };
    no(at, format!("`{name}` {problem}"))
}
