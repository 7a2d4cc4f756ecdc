//! `inside`: the demo's program, pid 1 of its container, shows what it sees from there. May touch: system calls.

use crate::host::procfs::field;
use crate::host::{self, input};
use crate::look;
use crate::outcome::{Doing, Error};
use crate::say::out;
use crate::sorted;
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

/// A set of capabilities in words.
pub fn capabilities(hex: &str) -> String {
    match look::set_of(hex).join(" ").as_str() {
        "" => "none".into(),
        names => names.into(),
    }
}

/// The report: a key, and what is seen, in rows of 80 columns.
struct Report(String);

impl Report {
    fn line(&mut self, key: &str, words: &str) {
        const KEY: usize = 14;
        let below = format!("\n{:1$}", "", KEY + 2);
        self.0.push_str(&format!("  {key:<KEY$}{}\n", out::wrapped(words, 80 - KEY - 2).join(&below)));
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
#[inline(never)]
pub fn inside() -> Result<i32, Error> {
    let names = syscalls::uname(LOOK).doing("look around")?;
    let mut say = Report("\nInside the container:\n".into());
    let process = file(c"/proc/self/status");
    say.line("host name", &host::text(&names.nodename));
    let (pid, parent) = (syscalls::getpid(LOOK), syscalls::getppid(LOOK));
    say.line("process", &format!("pid {pid}, parent {parent}: no process is above"));
    let pids: Vec<String> = directory(c"/proc").into_iter().filter(|n| n.bytes().all(|b| b.is_ascii_digit())).collect();
    say.line("processes", &pids.join(" "));
    let uid = field(&process, "Uid").split_whitespace().next().unwrap_or("?");
    say.line("user", &format!("uid {uid}, groups [{}]", field(&process, "Groups")));
    say.line("capabilities", &capabilities(field(&process, "CapEff")));
    say.line("no new privs", field(&process, "NoNewPrivs"));
    say.namespaces();
    say.line("descriptors", &directory(c"/proc/self/fd").join(" "));
    say.line("/", &directory(c"/").join(" "));
    say.line("/dev", &directory(c"/dev").join(" "));
    say.line("interfaces", &directory(c"/sys/class/net").join(" "));
    say.mounts();
    out::stdout(&say.0).map(|()| 0)
}
