//! `linux.netDevices`: network devices of the host that move into the container (config-linux.md, "Network Devices").
//! Only the kernel can tell whether such a device exists, and whether its new name is free. May touch: serde.

use super::namespaces::{Namespace, NamespaceKind, find};
use super::schema::{At, Checked, schema};
use super::types::Entries;

schema! {
    NetDevice {
        /// Its name in the container, or a pattern with `%d`, from which the kernel makes a free name.
        "name" name: Option<String> => new_name;
    }
}

/// By their names on the host.
pub type NetDevices = Entries<NetDevice>;

/// Names that the kernel takes, and no two alike.
pub fn devices_fit(devices: &NetDevices, namespaces: &[Namespace], at: &At) -> Checked {
    let all = &devices.0;
    if !all.is_empty() && find(namespaces, &NamespaceKind::Network).is_none() {
        return at.no("needs a `network` namespace in linux.namespaces: without one there is nowhere to move them");
    }
    for (i, (host, device)) in all.iter().enumerate() {
        let place = at.key(host);
        valid(host, false, &place)?;
        let name = device.name.as_ref().unwrap_or(host);
        let same = |(host, other): &&(String, NetDevice)| other.name.as_ref().unwrap_or(host) == name;
        if !name.contains('%')
            && let Some((other, _)) = all[..i].iter().find(same)
        {
            return place.no(format!("gets the same name as {}: `{name}`", at.key(other).pointer()));
        }
    }
    Ok(())
}

fn new_name(name: &str, at: &At) -> Checked {
    valid(name, true, at)
}

/// What `dev_valid_name` of the kernel takes; a new name may have one `%d`.
fn valid(name: &str, pattern: bool, at: &At) -> Checked {
    // The kernel takes 0xa0 for a blank as well.
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
    at.no(format!("`{name}` {problem}"))
}
