//! What surrounds the container: its network, its processes, its terminal, the watcher itself, and a security module, as what
//! remains. May touch: procfs, the spec.

use super::process::Stopped;
use super::texts::cause;
use super::types::{By, Cause};
use super::{files, sets};
use crate::cause::labels::{self, Module};
use crate::host::{input, procfs};
use crate::plan::namespaces::pointer;
use crate::spec::{self, NamespaceKind};
use core::net::IpAddr;
use syscalls::{Errno, OpenFlags, Why};

/// A process has one tracer.
pub fn watched(stopped: &Stopped) -> Option<Cause> {
    const TRACEME: i32 = 0;
    const ATTACH: i32 = 16;
    const SEIZE: i32 = 0x4206;
    if stopped.name != "ptrace" {
        return None;
    }
    let traced = match stopped.int(0) {
        TRACEME => true,
        // Another process of the container has the same tracer. Whether it may be traced comes first.
        ATTACH | SEIZE => stopped.rights()?.has(19) || is_of_same_user(stopped),
        _ => false,
    };
    traced.then(|| cause(By::Watcher, "watcher", "", &[stopped.name]))
}

/// Whether the process that a call names belongs to the same user.
fn is_of_same_user(stopped: &Stopped) -> bool {
    let why = Why("which process the program means, and which user it belongs to");
    let names = || {
        let procfs = procfs::open()?;
        let dir = syscalls::openat(procfs.at(), c".", OpenFlags::O_DIRECTORY, why)?;
        input::names(dir.at(), why)
    };
    let names = names().unwrap_or_default();
    let all = names.iter().filter_map(|name| name.to_str().ok()?.parse().ok());
    let mut all = all.filter_map(|pid| procfs::text(pid, "status", why).ok());
    all.any(|status| {
        let same = |key| procfs::field(&status, key) == stopped.status(key);
        let number = procfs::field(&status, "NSpid").split_whitespace().last().and_then(|pid| pid.parse().ok());
        number == Some(stopped.int(1)) && same("TracerPid") && same("Uid")
    })
}

/// The port of an internet address that a socket is bound to.
fn bound(stopped: &Stopped) -> Option<u16> {
    let address = (stopped.name == "bind").then(|| stopped.memory(stopped.arg(1), 4))??;
    let family = u16::from_le_bytes(address.get(..2)?.try_into().ok()?);
    let port = u16::from_be_bytes(address.get(2..4)?.try_into().ok()?);
    matches!(i32::from(family), libc::AF_INET | libc::AF_INET6).then_some(port)
}

/// Whether a socket is bound to a port that takes a right: port 0 stands for any that takes none.
pub fn low_port(stopped: &Stopped) -> bool {
    let first = stopped.confinement.spec.linux.sysctl.get("net.ipv4.ip_unprivileged_port_start");
    let first = first.and_then(|first| first.parse().ok()).unwrap_or(1024);
    bound(stopped).is_some_and(|port| port != 0 && port < first)
}

/// EACCES at a port of the first 1024.
pub fn port(stopped: &Stopped) -> Option<Cause> {
    let port = bound(stopped)?;
    let rights = stopped.rights()?;
    let mut found = sets::missing(stopped, &rights, "CAP_NET_BIND_SERVICE")?;
    let own = spec::namespace(&stopped.confinement.spec.linux, &NamespaceKind::Network).is_some();
    let key = if own { "low port" } else { "low port of the host" };
    let more = cause(By::Capability, key, "", &[&format!("{port}"), &found.what, &found.cure]);
    (found.what, found.cure) = (more.what, more.cure);
    Some(found)
}

/// EACCES at a socket for ping(8): the setting of the network namespace lets no group do that (icmp(7)).
pub fn ping(stopped: &Stopped) -> Option<Cause> {
    let datagram = stopped.name == "socket" && stopped.int(1) & 0xf == libc::SOCK_DGRAM;
    if !datagram || ![libc::IPPROTO_ICMP, libc::IPPROTO_ICMPV6].contains(&stopped.int(2)) || stopped.shares("network") {
        return None;
    }
    let group = stopped.user_name("gid_map", stopped.rights()?.group);
    Some(cause(By::Setting, "ping", "/linux/sysctl", &[&group]))
}

/// Whether a message that is sent asks the kernel to change the network: a netlink message of rtnetlink or netfilter that only
/// asks changes nothing (rtnetlink(7)). `message`: its address; the socket is argument 0.
pub fn changes_network(stopped: &Stopped, message: u64) -> Option<bool> {
    const FIRST: u16 = 16;
    const ROUTE: &str = "0";
    const NETFILTER: &str = "12";
    const LONGEST: u32 = 1 << 20;
    let head = stopped.memory(message, 16)?;
    let len = u32::from_le_bytes(head.get(..4)?.try_into().ok()?);
    let kind = u16::from_le_bytes(head.get(4..6)?.try_into().ok()?);
    // What other sockets send has hardly such a head.
    if !(16..=LONGEST).contains(&len) || kind < FIRST {
        return Some(false);
    }
    let socket = stopped.link(&format!("fd/{}", stopped.int(0)))?;
    let number = socket.strip_prefix("socket:[")?.strip_suffix(']')?;
    let text = stopped.text("net/netlink")?;
    let line = text.lines().find(|line| line.split_whitespace().last() == Some(number))?;
    let protocol = line.split_whitespace().nth(1)?;
    // New, delete, get and set follow each other for each kind of object.
    Some(protocol == ROUTE && (kind - FIRST) % 4 != 2 || protocol == NETFILTER)
}

/// ENETUNREACH: the container's network namespace has no way there.
pub fn unreachable(stopped: &Stopped) -> Option<Cause> {
    let spec = stopped.confinement.spec;
    let namespace = spec::namespace(&spec.linux, &NamespaceKind::Network)?;
    if stopped.shares("network") || namespace.joined().is_some() {
        return None;
    }
    let routes = stopped.text("net/route")?;
    let routed = routes.lines().skip(1).any(|line| !line.starts_with("lo\t"));
    let place = pointer(spec, &NamespaceKind::Network);
    (!routed).then(|| cause(By::Network, "no route", place, &[stopped.name]))
}

/// EADDRNOTAVAIL: an address that no interface of the container has.
pub fn absent_address(stopped: &Stopped) -> Option<Cause> {
    let spec = stopped.confinement.spec;
    spec::namespace(&spec.linux, &NamespaceKind::Network)?;
    let bytes =
        (stopped.name == "bind" && !stopped.shares("network")).then(|| stopped.memory(stopped.arg(1), 16))??;
    let address = match i32::from(u16::from_le_bytes(bytes.get(..2)?.try_into().ok()?)) {
        libc::AF_INET => IpAddr::from(<[u8; 4]>::try_from(bytes.get(4..8)?).ok()?),
        libc::AF_INET6 => IpAddr::from(<[u8; 16]>::try_from(stopped.memory(stopped.arg(1), 24)?.get(8..24)?).ok()?),
        _ => return None,
    };
    let any = if address.is_ipv4() { "0.0.0.0" } else { "::" };
    let place = pointer(spec, &NamespaceKind::Network);
    Some(cause(By::Network, "no such address", place, &[&format!("{address}"), any]))
}

/// ENODEV: an interface that the host has, and the container has not.
pub fn absent_interface(stopped: &Stopped) -> Option<Cause> {
    let spec = stopped.confinement.spec;
    spec::namespace(&spec.linux, &NamespaceKind::Network)?;
    let asks = |first, last| (first..=last).contains(&stopped.int(1));
    let at = match stopped.name {
        "ioctl" if asks(0x8910, 0x89ff) => 2,
        "setsockopt" if asks(libc::SOL_SOCKET, libc::SOL_SOCKET) && stopped.int(2) == libc::SO_BINDTODEVICE => 3,
        _ => return None,
    };
    let bytes = stopped.memory(stopped.arg(at), if at == 2 { 16 } else { (stopped.arg(4) as usize).min(16) })?;
    let name = String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next()?).into_owned();
    let why = Why("whether the host has the interface that the program asked for");
    let host = files::host_file(procfs::open().ok()?.at(), "self/net/dev", why)?;
    let has = host.lines().any(|line| line.trim_start().strip_prefix(&name).is_some_and(|rest| rest.starts_with(':')));
    let place = pointer(spec, &NamespaceKind::Network);
    (has && !stopped.shares("network")).then(|| cause(By::Network, "no such interface", place, &[&name]))
}

/// ESRCH: the process lives, but in another pid namespace.
pub fn hidden_process(stopped: &Stopped) -> Option<Cause> {
    let spec = stopped.confinement.spec;
    spec::namespace(&spec.linux, &NamespaceKind::Pid)?;
    let names = ["kill", "tkill", "tgkill", "ptrace", "pidfd_open", "process_vm_readv", "process_vm_writev"];
    if !names.contains(&stopped.name) || stopped.shares("pid") {
        return None;
    }
    let pid = stopped.int(if stopped.name == "ptrace" { 1 } else { 0 }).checked_abs()?;
    // A number that the container's own processes have not come to yet is one of the host's.
    let host = procfs::open().ok()?;
    let why = Why("whether a process of the host has the number that the program asked for");
    files::host_file(host.at(), &format!("{pid}/comm"), why)?;
    let own: i32 = stopped.status("NSpid").split_whitespace().last()?.parse().ok()?;
    if pid <= own.saturating_add(FAR) {
        return None;
    }
    let place = pointer(spec, &NamespaceKind::Pid);
    Some(cause(By::Namespace, "hidden process", place, &[]))
}

/// A process of the container has hardly a number so far above that of another.
const FAR: i32 = 100;

/// ENXIO at /dev/tty.
pub fn no_terminal(stopped: &Stopped) -> Option<Cause> {
    let opened = files::targets(stopped);
    let tty = opened.iter().any(|target| target.path.as_deref() == Some("/dev/tty"));
    let without = stopped.confinement.spec.process.terminal != Some(true);
    (tty && without).then(|| cause(By::Terminal, "no terminal", "/process/terminal", &[]))
}

/// What remains, where a security module confines the process.
pub fn module(stopped: &Stopped, errno: Errno) -> Option<Cause> {
    let label = stopped.text("attr/current")?;
    let (module, label) = labels::confining(&label)?;
    let (key, place) = match module {
        Module::Apparmor => ("apparmor", "/process/apparmorProfile"),
        Module::Selinux => ("selinux", "/process/selinuxLabel"),
    };
    Some(cause(By::Module, key, place, &[stopped.name, errno.name(), label]))
}
