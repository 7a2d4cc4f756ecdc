//! `inside`: the demo's program, pid 1 of its container, shows what it sees from there. May touch: system calls.

use crate::host::{self, input};
use crate::outcome::{Doing, Error};
use crate::say::out;
use crate::spec;
use alloc::ffi::CString;
use core::ffi::CStr;
use syscalls::{At, OpenFlags, Why};

const LOOK: Why = Why("the demo shows what its program sees of the machine");

/// The eight namespaces of /proc/PID/ns.
const KINDS: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// `name:[inode]` of each namespace, separated by blanks.
pub fn namespaces(dir: At, prefix: &CStr) -> String {
    let mut all: Vec<String> = Vec::new();
    for kind in KINDS {
        let mut buffer = [0u8; 64];
        let path = CString::new(format!("{}{kind}", prefix.to_string_lossy())).unwrap_or_default();
        if let Ok(text) =
            syscalls::readlinkat(dir, &path, &mut buffer, Why("each link names a namespace of this process"))
        {
            all.push(String::from_utf8_lossy(text).into_owned());
        }
    }
    all.join(" ")
}

fn file(path: &CStr) -> String {
    let Ok(file) = syscalls::openat(At::CWD, path, OpenFlags::NONE, LOOK) else {
        return String::new();
    };
    String::from_utf8_lossy(&input::read_all(file.at(), LOOK).unwrap_or_default()).into_owned()
}

fn directory(path: &CStr) -> Vec<String> {
    let Ok(dir) = syscalls::openat(At::CWD, path, OpenFlags::O_DIRECTORY, LOOK) else {
        return Vec::new();
    };
    let mut names: Vec<String> =
        input::names(dir.at(), LOOK).unwrap_or_default().iter().map(|n| n.to_string_lossy().into_owned()).collect();
    names.sort_unstable();
    names
}

/// A line of /proc/self/status.
fn status<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or("?").trim()
}

fn capabilities(hex: &str) -> String {
    let set = u64::from_str_radix(hex, 16).unwrap_or(0);
    let names: Vec<&str> =
        spec::CAPABILITIES.iter().enumerate().filter(|(i, _)| set & 1 << i != 0).map(|(_, n)| *n).collect();
    if names.is_empty() { "none".into() } else { names.join(" ") }
}

/// `inside`.
pub fn inside() -> Result<i32, Error> {
    let names = syscalls::uname(LOOK).doing("look around")?;
    let mut say = String::from("Inside the container:\n");
    let mut line = |key: &str, value: &str| say.push_str(&format!("  {key:<13} {value}\n"));
    let process = file(c"/proc/self/status");
    line("host name", &host::text(&names.nodename));
    line(
        "process",
        &format!("pid {}, parent {}: no process is above", syscalls::getpid(LOOK), syscalls::getppid(LOOK)),
    );
    let pids: Vec<String> = directory(c"/proc").into_iter().filter(|n| n.bytes().all(|b| b.is_ascii_digit())).collect();
    line("processes", &pids.join(" "));
    line(
        "user",
        &format!(
            "uid {}, groups [{}]",
            status(&process, "Uid").split_whitespace().next().unwrap_or("?"),
            status(&process, "Groups")
        ),
    );
    line("capabilities", &capabilities(status(&process, "CapEff")));
    line("no new privs", status(&process, "NoNewPrivs"));
    let here = namespaces(At::CWD, c"/proc/self/ns/");
    let outside = syscalls::environment().find_map(|e| e.to_str().ok()?.strip_prefix("NK_OUTSIDE="));
    if let Some(outside) = outside {
        let (shared, own): (Vec<&str>, Vec<&str>) =
            here.split(' ').partition(|ns| outside.split(' ').any(|o| o == *ns));
        line("namespaces", &format!("its own: {}", own.join(" ")));
        line("", &format!("shared with outside: {}", shared.join(" ")));
    } else {
        line("namespaces", &here);
    }
    line("descriptors", &directory(c"/proc/self/fd").join(" "));
    line("/", &directory(c"/").join(" "));
    line("/dev", &directory(c"/dev").join(" "));
    line("interfaces", &directory(c"/sys/class/net").join(" "));
    let mounts = file(c"/proc/self/mounts");
    for (i, mount) in mounts.lines().enumerate() {
        let fields: Vec<&str> = mount.split(' ').collect();
        if let [source, target, kind, options, ..] = fields.as_slice() {
            line(if i == 0 { "mounts" } else { "" }, &format!("{target} {kind} ({source}; {options})"));
        }
    }
    out::stdout(&say).map(|()| 0)
}
