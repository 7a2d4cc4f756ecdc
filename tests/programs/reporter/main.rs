//! The witness: a static program that tests run as the container's program. It prints one JSON object of
//! what it sees from inside, and by its options does one thing and reports the errno, or ends in a given way.
//!
//! ```text
//!   reporter [--probe PATH] [--open PATH] [--write PATH] [--mknod PATH:MAJOR:MINOR] [--call NR:ARG..] [--out FILE]
//!            [--notify TEXT] [--call32 NR] [--key-label]
//!            [--exit N] [--sleep] [--on-term N] [--kill-self SIGNAL] [--quiet]
//! ```
//! A fact that cannot be had is an object {"error": ERRNO}, never left out.

mod calls;

use calls::{call, call32, key_label};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::{Pid, getgroups, getpid, getppid, getsid};
use serde_json::{Map, Value, json};
use std::fs;
use std::io::{Error, Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::Path;

/// What to do once the report is out.
enum Ending {
    Exit(i32),
    Sleep,
    OnTerm(i32),
    KillSelf(i32),
}

fn main() {
    let mut words = std::env::args().skip(1);
    let mut probes = Map::new();
    let mut ending = Ending::Exit(0);
    let mut out = None;
    let mut quiet = false;
    // Blocked before the report is written, so that who has read it may send the signal.
    let term = SigSet::from(Signal::SIGTERM);
    // Descriptors and limits first: what is tried below must not show in them.
    let mut report = facts();
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| usage(&word));
        match word.as_str() {
            "--probe" => keep(&mut probes, "probe", &value(), probe),
            "--open" => keep(&mut probes, "open", &value(), open),
            "--write" => keep(&mut probes, "write", &value(), write),
            "--mknod" => keep(&mut probes, "mknod", &value(), make_node),
            "--notify" => keep(&mut probes, "notify", &value(), notify),
            "--call" => keep(&mut probes, "call", &value(), call),
            "--key-label" => drop(probes.insert("key_label".into(), key_label())),
            "--call32" => keep(&mut probes, "call32", &value(), call32),
            "--out" => out = Some(value()),
            "--exit" => ending = Ending::Exit(number(&value())),
            "--kill-self" => ending = Ending::KillSelf(number(&value())),
            "--on-term" => ending = Ending::OnTerm(number(&value())),
            "--sleep" => ending = Ending::Sleep,
            "--quiet" => quiet = true,
            _ => usage(&word),
        }
    }
    report.insert("tried".into(), Value::Object(probes));
    if let Ending::OnTerm(_) = ending {
        let _ = term.thread_block();
    }
    let text = format!("{}\n", Value::Object(report));
    if let Some(path) = out {
        let _ = fs::write(path, &text);
    } else if !quiet {
        let _ = std::io::stdout().write_all(text.as_bytes());
        let _ = std::io::stdout().flush();
    }
    match ending {
        Ending::Exit(status) => std::process::exit(status),
        Ending::Sleep => loop {
            std::thread::park();
        },
        Ending::OnTerm(status) => {
            let _ = term.wait();
            std::process::exit(status);
        }
        Ending::KillSelf(signal) => {
            let _ = kill(getpid(), Signal::try_from(signal).ok());
            // The first process of a pid namespace survives its own signals, SIGKILL too.
            std::process::exit(97);
        }
    }
}

fn usage(word: &str) -> ! {
    eprintln!("reporter: {word}: no such option, or its value is missing");
    std::process::exit(96);
}

fn number(text: &str) -> i32 {
    text.parse().unwrap_or_else(|_| usage(text))
}

fn keep(to: &mut Map<String, Value>, what: &str, word: &str, ask: fn(&str) -> Value) {
    let answer = ask(word);
    if let Some(map) = to.entry(what).or_insert_with(|| json!({})).as_object_mut() {
        map.insert(word.into(), answer);
    }
}

/// The errno's name, as in `errno.h`.
fn name(error: &Error) -> Value {
    let code = error.raw_os_error().unwrap_or(0);
    json!(format!("{:?}", Errno::from_raw(code)))
}

fn or_errno<T: Into<Value>>(what: std::io::Result<T>) -> Value {
    match what {
        Ok(value) => value.into(),
        Err(error) => json!({ "error": name(&error) }),
    }
}

fn text(path: &str) -> Value {
    or_errno(fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).trim_end().to_owned()))
}

fn facts() -> Map<String, Value> {
    let status = status();
    let facts = json!({
        "pid": getpid().as_raw(),
        "ppid": getppid().as_raw(),
        "sid": getsid(None).map(Pid::as_raw).unwrap_or(-1),
        "uid": ids(&status, "Uid"),
        "gid": ids(&status, "Gid"),
        "groups": getgroups().map(|all| all.iter().map(|one| one.as_raw()).collect()).unwrap_or(vec![u32::MAX]),
        "cwd": or_errno(std::env::current_dir().map(|path| path.to_string_lossy().into_owned())),
        "hostname": node_name(),
        "domainname": text("/proc/sys/kernel/domainname"),
        "args": std::env::args().collect::<Vec<_>>(),
        "env": environment(),
        "fds": descriptors(),
        "mounts": mounts(),
        "namespaces": links("/proc/self/ns"),
        "dev": devices(),
        "rlimits": limits(),
        "lo": loopback(),
        "cgroup": text("/proc/self/cgroup"),
        "oom_score_adj": text("/proc/self/oom_score_adj"),
        "keys": text("/proc/keys"),
        "root": names("/"),
        "kernel": kernel(),
        "umask": status.get("Umask").cloned(),
        "status": status,
    });
    match facts {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// What differs from run to run, or only some containers set.
fn kernel() -> Value {
    json!({
        "uid_map": text("/proc/self/uid_map"),
        "gid_map": text("/proc/self/gid_map"),
        "setgroups": text("/proc/self/setgroups"),
        "stat": text("/proc/self/stat"),
        "personality": text("/proc/self/personality"),
        "numa": text("/proc/self/numa_maps"),
        "uptime": text("/proc/uptime"),
        "monotonic": monotonic(),
        "io_priority": io_priority(),
    })
}

/// Seconds of the clock that a time namespace may shift.
fn monotonic() -> Value {
    let now = nix::sys::time::TimeSpec::from(std::time::Duration::ZERO);
    let mut now = *now.as_ref();
    // SAFETY: `now` is a timespec that lives across the call.
    unsafe { nix::libc::clock_gettime(nix::libc::CLOCK_MONOTONIC, &mut now) };
    json!(now.tv_sec)
}

/// The class and the level (ioprio_get(2)).
fn io_priority() -> Value {
    // SAFETY: it takes numbers only: who (IOPRIO_WHO_PROCESS), and which (this one).
    let value = unsafe { nix::libc::syscall(nix::libc::SYS_ioprio_get, 1, 0) };
    json!([value >> 13, value & 7])
}

/// `/proc/self/status`, a key for each of its lines.
fn status() -> Map<String, Value> {
    let all = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = |line: &str| {
        let (key, value) = line.split_once(':')?;
        Some((key.to_owned(), json!(value.trim())))
    };
    all.lines().filter_map(line).collect()
}

fn ids(status: &Map<String, Value>, key: &str) -> Vec<i64> {
    let words = status.get(key).and_then(Value::as_str).unwrap_or("");
    words.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

fn node_name() -> String {
    match nix::sys::utsname::uname() {
        Ok(names) => names.nodename().to_string_lossy().into_owned(),
        Err(errno) => format!("{errno:?}"),
    }
}

/// As the kernel handed it over: repeated names and entries without `=` included.
fn environment() -> Vec<String> {
    let bytes = fs::read("/proc/self/environ").unwrap_or_default();
    let entries = bytes.split(|byte| *byte == 0).filter(|entry| !entry.is_empty());
    entries.map(|entry| String::from_utf8_lossy(entry).into_owned()).collect()
}

/// The links of a folder by name, without the descriptor that reads the folder.
fn links(folder: &str) -> Value {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return json!({ "error": name(&error) }),
    };
    let link = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        Some((entry.file_name().to_string_lossy().into_owned(), json!(target.to_string_lossy())))
    };
    Value::Object(entries.flatten().filter_map(link).collect())
}

fn descriptors() -> Value {
    let mut all = links("/proc/self/fd");
    let own = format!("/proc/{}/fd", getpid().as_raw());
    if let Some(map) = all.as_object_mut() {
        map.retain(|_, target| *target != own && *target != "/proc/self/fd");
    }
    all
}

fn mounts() -> Vec<Value> {
    let all = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    all.lines().filter_map(mount).collect()
}

/// One line of mountinfo: proc(5) has the fields.
fn mount(line: &str) -> Option<Value> {
    let (left, right) = line.split_once(" - ")?;
    let left: Vec<&str> = left.split(' ').collect();
    let right: Vec<&str> = right.split(' ').collect();
    Some(json!({
        "id": left.first()?,
        "parent": left.get(1)?,
        "root": left.get(3)?,
        "point": left.get(4)?,
        "options": left.get(5)?,
        "propagation": left.get(6..)?.join(" "),
        "fstype": right.first()?,
        "source": right.get(1)?,
        "super": right.get(2)?,
    }))
}

/// `/dev` and what is below it, but for the other file systems mounted there.
fn devices() -> Value {
    let mut all = Map::new();
    walk(Path::new("/dev"), &mut all);
    Value::Object(all)
}

fn walk(folder: &Path, all: &mut Map<String, Value>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let Ok(meta) = path.symlink_metadata() else {
            continue;
        };
        let kind = meta.file_type();
        let target = fs::read_link(&path).map(|to| to.to_string_lossy().into_owned()).ok();
        let letter = match () {
            _ if kind.is_symlink() => "l",
            _ if kind.is_dir() => "d",
            _ if kind.is_char_device() => "c",
            _ if kind.is_block_device() => "b",
            _ if kind.is_fifo() => "p",
            _ => "-",
        };
        let facts = json!({
            "type": letter,
            "major": nix::sys::stat::major(meta.rdev()),
            "minor": nix::sys::stat::minor(meta.rdev()),
            "mode": format!("{:04o}", meta.permissions().mode() & 0o7777),
            "uid": meta.uid(),
            "gid": meta.gid(),
            "target": target,
        });
        all.insert(path.to_string_lossy().into_owned(), facts);
        let other = ["/dev/shm", "/dev/mqueue", "/dev/pts"].iter().any(|at| Path::new(at) == path);
        if kind.is_dir() && !other {
            walk(&path, all);
        }
    }
}

fn limits() -> Value {
    let all = [
        ("RLIMIT_AS", Resource::RLIMIT_AS),
        ("RLIMIT_CORE", Resource::RLIMIT_CORE),
        ("RLIMIT_CPU", Resource::RLIMIT_CPU),
        ("RLIMIT_DATA", Resource::RLIMIT_DATA),
        ("RLIMIT_FSIZE", Resource::RLIMIT_FSIZE),
        ("RLIMIT_LOCKS", Resource::RLIMIT_LOCKS),
        ("RLIMIT_MEMLOCK", Resource::RLIMIT_MEMLOCK),
        ("RLIMIT_MSGQUEUE", Resource::RLIMIT_MSGQUEUE),
        ("RLIMIT_NICE", Resource::RLIMIT_NICE),
        ("RLIMIT_NOFILE", Resource::RLIMIT_NOFILE),
        ("RLIMIT_NPROC", Resource::RLIMIT_NPROC),
        ("RLIMIT_RSS", Resource::RLIMIT_RSS),
        ("RLIMIT_RTPRIO", Resource::RLIMIT_RTPRIO),
        ("RLIMIT_RTTIME", Resource::RLIMIT_RTTIME),
        ("RLIMIT_SIGPENDING", Resource::RLIMIT_SIGPENDING),
        ("RLIMIT_STACK", Resource::RLIMIT_STACK),
    ];
    let pair = |(name, which): (&str, Resource)| {
        let (soft, hard) = getrlimit(which).ok()?;
        Some((name.to_owned(), json!([soft, hard])))
    };
    Value::Object(all.into_iter().filter_map(pair).collect())
}

/// Flags of `lo` and every interface's name. IFF_UP is 1.
fn loopback() -> Value {
    let Ok(all) = nix::ifaddrs::getifaddrs() else {
        return json!(null);
    };
    let mut up = false;
    let mut known: Vec<String> = Vec::new();
    for one in all {
        if one.interface_name == "lo" {
            up |= one.flags.contains(nix::net::if_::InterfaceFlags::IFF_UP);
        }
        if !known.contains(&one.interface_name) {
            known.push(one.interface_name);
        }
    }
    json!({ "up": up, "interfaces": known })
}

fn names(folder: &str) -> Value {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return json!({ "error": name(&error) }),
    };
    let mut all: Vec<String> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    all.sort();
    json!(all)
}

/// A word to NOTIFY_SOCKET.
fn notify(text: &str) -> Value {
    let to = std::env::var_os("NOTIFY_SOCKET").unwrap_or_default();
    let socket = std::os::unix::net::UnixDatagram::unbound();
    or_errno(socket.and_then(|socket| socket.send_to(text.as_bytes(), to)))
}

/// Everything about a path: what it is, its content or entries, and whether it can be written.
fn probe(path: &str) -> Value {
    let meta = match fs::symlink_metadata(path) {
        Ok(meta) => meta,
        Err(error) => return json!({ "error": name(&error) }),
    };
    let mut facts = json!({
        "mode": format!("{:06o}", meta.mode()),
        "uid": meta.uid(),
        "gid": meta.gid(),
        "rdev": [nix::sys::stat::major(meta.rdev()), nix::sys::stat::minor(meta.rdev())],
    });
    if meta.is_dir() {
        facts["list"] = names(path);
        let inside = format!("{path}/.reporter");
        facts["create"] = or_errno(fs::File::create_new(&inside).map(|_| "ok"));
        let _ = fs::remove_file(inside);
        return facts;
    }
    if meta.is_symlink() {
        facts["target"] = or_errno(fs::read_link(path).map(|to| to.to_string_lossy().into_owned()));
    }
    facts["read"] = or_errno(head(path));
    facts["write"] = or_errno(fs::OpenOptions::new().append(true).open(path).map(|_| "ok"));
    facts
}

/// The first bytes only: some of what is probed never ends.
fn head(path: &str) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(4096).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn open(path: &str) -> Value {
    or_errno(fs::OpenOptions::new().read(true).write(true).open(path).map(|_| "ok"))
}

fn write(path: &str) -> Value {
    let file = fs::OpenOptions::new().append(true).open(path);
    or_errno(file.and_then(|mut file| file.write_all(b"x")).map(|()| "ok"))
}

/// PATH:MAJOR:MINOR: makes that character device there, then opens it.
fn make_node(word: &str) -> Value {
    let parts: Vec<&str> = word.split(':').collect();
    let [path, major, minor] = parts[..] else { usage(word) };
    let device = makedev(number(major) as u64, number(minor) as u64);
    match mknod(path, SFlag::S_IFCHR, Mode::from_bits_truncate(0o666), device) {
        Err(errno) => json!({ "made": format!("{errno:?}") }),
        Ok(()) => json!({ "made": "ok", "opened": open(path) }),
    }
}
