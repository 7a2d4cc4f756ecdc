//! The network of a machine: lo and eth0 up, with addresses and routes; the file of the name servers. No program asks the
//! network for these: the words name them. May touch: system calls.

use super::ways::{directory, patiently, refused, text};
use super::words::{Address, Wish};
use crate::netlink;
use crate::outcome::{Doing, Error, at};
use crate::perform::files::write_all;
use syscalls::{At, Errno, OpenFlags, Why};

const DEVICE: &str = "eth0";

/// Makes what nk.ip asks for.
pub fn up(wish: &Wish) -> Result<(), Error> {
    if !wish.addresses.is_empty() {
        interface(&wish.addresses)?;
    }
    let mut servers: Vec<String> =
        wish.addresses.iter().filter_map(|one| one.server).map(|server| server.to_string()).collect();
    if let Some(value) = &wish.kernel {
        servers.extend(of_the_kernel(value, wish.addresses.is_empty())?);
    }
    if servers.is_empty() {
        return Ok(());
    }
    directory("/run/nk")?;
    let lines: String = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
    let why = Why("a container that has this file as its /etc/resolv.conf finds names");
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_TRUNC;
    syscalls::openat_create(At::CWD, c"/run/nk/resolv.conf", flags, 0o644, why)
        .and_then(|file| write_all(file.at(), lines.as_bytes(), why))
        .doing("write /run/nk/resolv.conf")
}

fn interface(addresses: &[Address]) -> Result<(), Error> {
    let why = Why("nk.ip: programs of one machine talk to each other through it");
    netlink::loopback_up(why).doing("bring lo up")?;
    let why = Why("nk.ip asks for a network");
    let socket = syscalls::socket_route(why).doing("open a socket to the kernel's network configuration")?;
    let index = patiently(&[Errno::ENODEV], || netlink::find(socket.at(), DEVICE, why)).map_err(|failed| {
        at(format_args!("find {DEVICE}, which nk.ip is for"), failed).cured(
            "it did not appear within ten seconds: give the machine a network device, and put its driver's module into the image (virtio_net with virtio_mmio or virtio_pci)",
        )
    })?;
    // The addresses first: an interface without one that comes up makes an IPv6 address by itself and waits for it.
    for one in addresses {
        let request = netlink::add_address(index, &one.address, one.prefix);
        netlink::ask(socket.at(), &request, why)
            .doing(format_args!("give {DEVICE} the address {}/{}, which nk.ip names", one.address, one.prefix))?;
    }
    let mut request = netlink::change_link(52, index, DEVICE, libc::IFF_UP as u32);
    netlink::acknowledged(&mut request, 0);
    netlink::ask(socket.at(), &request, why).doing(format_args!("bring {DEVICE} up"))?;
    for gateway in addresses.iter().filter_map(|one| one.gateway) {
        let request = netlink::add_default_route(index, &gateway);
        netlink::ask(socket.at(), &request, why)
            .doing(format_args!("make {gateway} the gateway, as nk.ip asks"))
            .map_err(|error| error.cured("the gateway has to lie in the network of the address: ADDR/LEN"))?;
    }
    Ok(())
}

/// The name servers that the kernel's `ip=` brings (nfsroot.rst in its documentation). The kernel has done the rest of it.
fn of_the_kernel(value: &str, alone: bool) -> Result<Vec<String>, Error> {
    let named = named(value);
    if !named.is_empty() || ["", "off", "none"].contains(&value) {
        return Ok(named);
    }
    let why = Why("the kernel tells there what it has learned of the network");
    match text("/proc/net/pnp", why)? {
        Some(told) => Ok(learned(&told)),
        None if alone => Err(refused(
            "the kernel's command line: ip=: this kernel configures no network itself (CONFIG_IP_PNP): write nk.ip=ADDR/LEN,GATEWAY,DNS",
        )),
        None => Ok(named),
    }
}

/// The eighth and the ninth field.
fn named(value: &str) -> Vec<String> {
    value.split(':').skip(7).take(2).filter(|field| !field.is_empty()).map(String::from).collect()
}

fn learned(text: &str) -> Vec<String> {
    let servers = text.lines().filter_map(|line| line.strip_prefix("nameserver "));
    servers.map(|server| server.trim().into()).filter(|server| server != "0.0.0.0").collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_servers_of_the_kernel() {
        assert_eq!(named("10.0.2.15::10.0.2.2:255.255.255.0::eth0:off:10.0.2.3:1.1.1.1"), ["10.0.2.3", "1.1.1.1"]);
        assert_eq!(named("10.0.2.15::10.0.2.2:255.255.255.0::eth0:off"), [""; 0]);
        assert_eq!(named("dhcp"), [""; 0]);
        assert_eq!(
            learned("#PROTO: DHCP\nnameserver 10.0.2.3\nnameserver 0.0.0.0\nbootserver 0.0.0.0\n"),
            ["10.0.2.3"]
        );
    }
}
