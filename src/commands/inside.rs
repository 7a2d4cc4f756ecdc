//! `inside`: the demo's program, pid 1 of its container, shows what it sees from there. May touch: system calls.

use crate::host::{self, input};
use crate::outcome::{Doing, Error};
use crate::say::out;
use crate::sorted;
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

pub fn file(path: &CStr) -> String {
    let Ok(file) = syscalls::openat(At::CWD, path, OpenFlags::NONE, LOOK) else {
        return String::new();
    };
    String::from_utf8_lossy(&input::read_all(file.at(), LOOK).unwrap_or_default()).into_owned()
}

pub fn directory(path: &CStr) -> Vec<String> {
    let Ok(dir) = syscalls::openat(At::CWD, path, OpenFlags::O_DIRECTORY, LOOK) else {
        return Vec::new();
    };
    let mut names: Vec<String> =
        input::names(dir.at(), LOOK).unwrap_or_default().iter().map(|n| n.to_string_lossy().into_owned()).collect();
    sorted::sort(&mut names);
    names
}

/// A line of /proc/self/status.
pub fn status<'a>(text: &'a str, key: &str) -> &'a str {
    text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap_or("?").trim()
}

pub fn capabilities(hex: &str) -> String {
    let set = u64::from_str_radix(hex, 16).unwrap_or(0);
    let names: Vec<&str> =
        spec::CAPABILITIES.iter().enumerate().filter(|(i, _)| set & 1 << i != 0).map(|(_, n)| *n).collect();
    if names.is_empty() { "none".into() } else { names.join(" ") }
}

/// The report: a key, and what is seen, in rows of 80 columns.
struct Report(String);

impl Report {
    fn line(&mut self, key: &str, words: &str) {
        const KEY: usize = 16;
        let mut row = format!("  {key:<13}");
        for word in words.split(' ') {
            if row.chars().count() + 1 + word.chars().count() > 80 && row.len() > KEY {
                self.0.push_str(&format!("{row}\n"));
                row = format!("{:1$}", "", KEY - 1);
            }
            row.push_str(&format!(" {word}"));
        }
        self.0.push_str(&format!("{row}\n"));
    }

    fn namespaces(&mut self) {
        let here = namespaces(At::CWD, c"/proc/self/ns/");
        let outside = syscalls::environment().find_map(|e| e.to_str().ok()?.strip_prefix("NK_OUTSIDE="));
        let Some(outside) = outside else {
            return self.line("namespaces", &here);
        };
        let (shared, own): (Vec<&str>, Vec<&str>) =
            here.split(' ').partition(|ns| outside.split(' ').any(|o| o == *ns));
        let names = |all: &[&str]| {
            let names: Vec<&str> = all.iter().map(|ns| ns.split(':').next().unwrap_or(ns)).collect();
            names.join(" ")
        };
        self.line("namespaces", &format!("its own: {}; shared with outside: {}", names(&own), names(&shared)));
    }

    /// The file systems, and what the runtime has laid over parts of /proc and /sys.
    fn mounts(&mut self) {
        let table = file(c"/proc/self/mounts");
        let mounts = table.lines().filter_map(|mount| {
            let fields: Vec<&str> = mount.split(' ').collect();
            let [_, target, kind, options, ..] = fields.as_slice() else { return None };
            Some((*target, *kind, options.split(',').any(|option| option == "ro")))
        });
        let over = |target: &str, kind: &str| {
            let below = target.starts_with("/proc/") || target.starts_with("/sys/");
            below && ["proc", "tmpfs", "sysfs", "devtmpfs"].contains(&kind)
        };
        let (covers, systems): (Vec<_>, Vec<_>) = mounts.partition(|(target, kind, _)| over(target, kind));
        let word = |(target, kind, read_only): &(&str, &str, bool)| {
            format!("{target} {kind}{}", if *read_only { " (ro)" } else { "" })
        };
        self.line("mounts", &systems.iter().map(word).collect::<Vec<_>>().join(", "));
        let targets = |wanted: bool| {
            let all = covers.iter().filter(|(_, kind, _)| (*kind == "tmpfs") == wanted);
            all.map(|(target, ..)| *target).collect::<Vec<_>>().join(" ")
        };
        self.line("read-only", &targets(false));
        self.line("masked", &targets(true));
        self.0.push('\n');
    }
}

/// `inside`.
pub fn inside() -> Result<i32, Error> {
    let names = syscalls::uname(LOOK).doing("look around")?;
    let mut say = Report("\nInside the container:\n".into());
    let process = file(c"/proc/self/status");
    say.line("host name", &host::text(&names.nodename));
    let (pid, parent) = (syscalls::getpid(LOOK), syscalls::getppid(LOOK));
    say.line("process", &format!("pid {pid}, parent {parent}: no process is above"));
    let pids: Vec<String> = directory(c"/proc").into_iter().filter(|n| n.bytes().all(|b| b.is_ascii_digit())).collect();
    say.line("processes", &pids.join(" "));
    let uid = status(&process, "Uid").split_whitespace().next().unwrap_or("?");
    say.line("user", &format!("uid {uid}, groups [{}]", status(&process, "Groups")));
    say.line("capabilities", &capabilities(status(&process, "CapEff")));
    say.line("no new privs", status(&process, "NoNewPrivs"));
    say.namespaces();
    say.line("descriptors", &directory(c"/proc/self/fd").join(" "));
    say.line("/", &directory(c"/").join(" "));
    say.line("/dev", &directory(c"/dev").join(" "));
    say.line("interfaces", &directory(c"/sys/class/net").join(" "));
    say.mounts();
    out::stdout(&say.0).map(|()| 0)
}
