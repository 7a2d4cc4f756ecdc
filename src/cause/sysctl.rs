//! Why a setting of the kernel could not be written: /proc/sys (proc_sys(5)). May touch: system calls, procfs.

use super::{Found, Scene, path};
use crate::cli;
use crate::host::{input, procfs};
use crate::plan::op::Namespaces;
use syscalls::{At, Errno, OpenFlags, Why};

const LOOK: Why = Why("the kernel's settings are files there");

/// Each has a directory for each network interface, under the interface's name.
const OF_INTERFACES: [&str; 4] = ["net/ipv4/conf", "net/ipv4/neigh", "net/ipv6/conf", "net/ipv6/neigh"];

pub fn of(scene: &Scene, op: &Namespaces) -> Option<Found> {
    let Namespaces::WriteProc { path, text, .. } = op else {
        return None;
    };
    let path = path.to_string_lossy();
    let key = path.strip_prefix("sys/")?;
    let value = String::from_utf8_lossy(text);
    match scene.failed()?.errno {
        Errno::ENOENT | Errno::ENOTDIR => {
            let mut outside = interfaces(syscalls::record::own_pid());
            let moved = scene.spec.map_or(&[][..], |spec| &spec.linux.net_devices.0);
            outside.extend(moved.iter().map(|(host, device)| device.name.as_ref().unwrap_or(host).clone()));
            missing(key, &interfaces(scene.pid), &outside)
        }
        Errno::EACCES | Errno::EPERM => Some(Found::new("sysctl denied", &[&dotted(key)])),
        Errno::EINVAL | Errno::ERANGE => Some(refused(key, &value, now(key).unwrap_or_default().trim())),
        _ => None,
    }
}

/// The value on the host. `key`: with slashes.
fn now(key: &str) -> Option<String> {
    path::text(path::host()?.at(), &format!("proc/sys/{key}"))
}

fn refused(key: &str, value: &str, now: &str) -> Found {
    Found::new("sysctl value", &[&dotted(key), value, now])
}

/// A word where the host has nothing but numbers, before it is written. Digits can be those of a mask.
pub fn no_number(key: &str, value: &str) -> Option<Found> {
    let now = now(key)?;
    let mut numbers = now.split_whitespace().peekable();
    numbers.peek()?;
    let word = |text: &str| text.chars().any(|c| !c.is_ascii_hexdigit() && !"-,xX \t\n".contains(c));
    let all = numbers.all(|number| number.parse::<i128>().is_ok());
    (all && word(value)).then(|| refused(key, value, now.trim()))
}

/// The network interfaces of a process.
pub fn interfaces(pid: i32) -> Vec<String> {
    let text = || {
        let procfs = procfs::open().ok()?;
        path::text(procfs.at(), &format!("{pid}/net/dev"))
    };
    let text = text().unwrap_or_default();
    let name = |line: &str| line.split_once(':').map(|(name, _)| name.trim().into());
    text.lines().filter_map(name).collect()
}

fn dotted(key: &str) -> String {
    let swap = |c| match c {
        '/' => '.',
        '.' => '/',
        other => other,
    };
    key.chars().map(swap).collect()
}

/// Why there is no such setting. `key`: with slashes. `inside`: the interfaces of the container. `outside`: others that may come
/// into it.
pub fn missing(key: &str, inside: &[String], outside: &[String]) -> Option<Found> {
    let of_interface =
        OF_INTERFACES.iter().find_map(|above| Some((*above, key.strip_prefix(above)?.strip_prefix('/')?)));
    if let Some((above, rest)) = of_interface
        && let Some(found) = interface(above, rest, inside, outside)
    {
        return Some(found);
    }
    let parts: Vec<&str> = key.split('/').collect();
    let there = |count: usize| names(&parts[..count]).is_some_and(|all| all.iter().any(|name| *name == parts[count]));
    let Some(at) = (0..parts.len()).find(|count| !there(*count)) else {
        // The host has it. What belongs to the first namespace alone is not in the container.
        return Some(Found::new("sysctl of the host", &[&dotted(key)]));
    };
    let (above, name) = (parts[..at].join("/"), parts[at]);
    let all = names(&parts[..at])?;
    let near = cli::nearest(name, &mut all.iter().map(String::as_str));
    Some(match near {
        Some(near) => Found::new("sysctl misspelt", &[&dotted(key), &dotted(&above), near]),
        None => Found::new("no sysctl", &[&dotted(key), &dotted(&above), name]),
    })
}

/// What is wrong with the name of an interface: it is not there, or not yet, or has dots, at which the key was taken apart.
fn interface(above: &str, rest: &str, inside: &[String], outside: &[String]) -> Option<Found> {
    // A setting is one file in the directory of its interface, so all before it is the name.
    let (name, setting) = rest.rsplit_once('/')?;
    let all = |name: &str| ["all", "default"].contains(&name);
    let joined = name.replace('/', ".");
    if all(&joined) || all(name.split('/').next()?) {
        return None;
    }
    match (inside.contains(&joined), outside.contains(&joined)) {
        (true, _) if !name.contains('/') => None,
        (true, _) => Some(Found::new("dots of an interface", &[&joined, &format!("{above}/{joined}/{setting}")])),
        (false, true) => {
            let key = dotted(&format!("{above}/default/{setting}"));
            Some(Found::new("interface comes later", &[&joined, &key]))
        }
        (false, false) => Some(Found::new("no interface", &[&joined, &inside.join(", ")])),
    }
}

/// The names in a directory of /proc/sys.
fn names(parts: &[&str]) -> Option<Vec<String>> {
    let path = input::c(&format!("/proc/sys/{}", parts.join("/"))).ok()?;
    let dir = syscalls::openat(At::CWD, &path, OpenFlags::O_DIRECTORY, LOOK).ok()?;
    let names = input::names(dir.at(), LOOK).ok()?;
    Some(names.iter().map(|name| name.to_string_lossy().into_owned()).collect())
}
