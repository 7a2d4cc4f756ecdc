//! Odd configurations that are valid, or nearly so: each does what it says or is refused by its place, and none does
//! nothing in silence.

use crate::bundle::Bundle;
use crate::lifecycle::without_namespace;
use crate::namespaces::in_user_namespace;
use crate::process::report;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

pub fn cases() -> Vec<Trial> {
    area(
        "corners",
        &[
            ("remount_of_the_root_itself", on_root),
            ("mask_of_the_root_itself", mask_root),
            ("read_only_path_that_is_the_root", readonly_root),
            ("masks_of_processes_and_of_files_after_them", mask_processes),
            ("masks_of_all_kinds_of_paths", mask_kinds),
            ("read_only_path_through_a_link", readonly_link),
            ("relative_destination_is_a_warning", relative),
            ("file_on_directory", kinds),
            ("overlay", overlay),
            ("cgroup_with_a_namespace", || cgroup("cgroup", true)),
            ("cgroup_without_a_namespace", || cgroup("cgroup", false)),
            ("cgroup2_with_a_namespace", || cgroup("cgroup2", true)),
            ("cgroup2_without_a_namespace", || cgroup("cgroup2", false)),
            ("devices_of_every_type", devices),
            ("device_that_stands_there_already", device_there),
            ("fifo_in_a_user_namespace", fifo),
            ("null_device_of_the_configurations", null),
            ("names_of_the_hosts_namespaces", own_namespaces),
            ("sysctl_without_the_namespace", sysctl),
            ("offsets_beyond_the_clock", offsets),
        ],
    )
}

fn on_root() -> Outcome {
    let mut bundle = Bundle::shell("echo x 2>&- > /new || echo read-only")?;
    bundle.set("/root/readonly", json!(false))?;
    for path in ["/", "//.", "/.."] {
        let mount = json!({"destination": path, "type": "none", "options": ["remount", "bind", "ro"]});
        bundle.set("/mounts/-", mount)?;
        let done = bundle.bundled(&["run"])?.ok()?;
        ensure!(done.out == "read-only\n", "{path}: {done:?}");
    }
    bundle.clean()
}

fn mask_root() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/maskedPaths", json!(["/proc/kcore", "/"]))?;
    bundle.bundled(&["run"])?.refused("/linux/maskedPaths/1: is the root itself")?;
    bundle.clean()
}

/// What leads to places by the name of a descriptor is masked itself.
fn mask_processes() -> Outcome {
    for first in ["/proc/self", "/proc/1", "/proc/thread-self", "/proc/1/fd", "/proc"] {
        let mut bundle = Bundle::shell("cat /proc/cpuinfo /secret 2>/dev/null; ls /sys/kernel /hidden; :")?;
        bundle.set("/root/readonly", json!(false))?;
        fs::write(bundle.rootfs("secret"), "secret\n")?;
        fs::create_dir(bundle.rootfs("hidden"))?;
        fs::write(bundle.rootfs("hidden/secret"), "")?;
        bundle.set("/linux/maskedPaths", json!([first, "/proc/cpuinfo", "/sys/kernel", "/secret", "/hidden"]))?;
        bundle.set("/linux/readonlyPaths", json!([]))?;
        let done = bundle.bundled(&["run"])?;
        // A runtime that finds no /proc may refuse. What it lets run sees nothing.
        ensure!(done.status != 0 || done.out == "/hidden:\n\n/sys/kernel:\n", "{first}: {done:?}");
        ensure!(done.status == 0 || first == "/proc", "{first}: {done:?}");
        bundle.nothing_left()?;
        bundle.clean()?;
    }
    Ok(())
}

/// Directories and files in turn, links to both, what is not there, and below a file; also without a procfs.
fn mask_kinds() -> Outcome {
    for procfs in [true, false] {
        let script = "cat /f1 /f2 /d1/x /d2/x /lf /ld/x /d3/x 2>/dev/null; ls /d1 /d2 /ld /d3; cat /open";
        let mut bundle = Bundle::shell(script)?;
        bundle.set("/root/readonly", json!(false))?;
        for file in ["f1", "f2", "f3", "open"] {
            fs::write(bundle.rootfs(file), format!("{file}\n"))?;
        }
        for directory in ["d1", "d2", "d3", "d4"] {
            fs::create_dir(bundle.rootfs(directory))?;
            fs::write(bundle.rootfs(directory).join("x"), "x\n")?;
        }
        symlink("f3", bundle.rootfs("lf"))?;
        symlink("/d4", bundle.rootfs("ld"))?;
        let paths = ["/d1", "/f1", "/absent", "/d2", "/f1/below", "/d9/x", "/lf", "/ld", "/d3", "/f2"];
        bundle.set("/linux/maskedPaths", json!(paths))?;
        bundle.set("/linux/readonlyPaths", json!([]))?;
        if !procfs {
            let mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
            let others: Vec<_> = mounts.into_iter().filter(|mount| mount["destination"] != "/proc").collect();
            bundle.set("/mounts", json!(others))?;
        }
        let done = bundle.bundled(&["run"])?.ok()?;
        same("what is seen", done.out.as_str(), "/d1:\n\n/d2:\n\n/d3:\n\n/ld:\nopen\n")?;
        bundle.clean()?;
    }
    Ok(())
}

fn readonly_root() -> Outcome {
    let mut bundle = Bundle::shell("echo > /made; echo > /tmp/made; echo > /dev/shm/made")?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/linux/readonlyPaths", json!(["/"]))?;
    let done = bundle.bundled(&["run"])?;
    same("status", done.status, 0)?;
    for name in ["made", "tmp/made"] {
        ensure!(!bundle.rootfs(name).exists(), "/{name} was written");
    }
    bundle.clean()
}

/// The link is followed, inside; one that leads to itself is an error.
fn readonly_link() -> Outcome {
    let mut bundle = Bundle::shell("cat /link/file; echo no > /link/file; cat /hidden")?;
    bundle.set("/root/readonly", json!(false))?;
    fs::create_dir(bundle.rootfs("real"))?;
    fs::write(bundle.rootfs("real/file"), "kept\n")?;
    fs::write(bundle.rootfs("real/secret"), "secret\n")?;
    for (target, name) in [("/real", "link"), ("link/secret", "hidden"), ("loop", "loop")] {
        std::os::unix::fs::symlink(target, bundle.rootfs(name))?;
    }
    bundle.set("/linux/readonlyPaths", json!(["/link"]))?;
    bundle.set("/linux/maskedPaths", json!(["/hidden"]))?;
    let done = bundle.bundled(&["run"])?;
    same("stdout", done.out.as_str(), "kept\n")?;
    let text = fs::read_to_string(bundle.rootfs("real/file"))?;
    same("the file", text.as_str(), "kept\n")?;
    bundle.set("/linux/maskedPaths", json!(["/loop"]))?;
    bundle.bundled(&["run"])?.refused("ELOOP")?.refused("/linux/maskedPaths/0")?;
    bundle.clean()
}

fn relative() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/mounts/-", json!({"destination": "tmp", "type": "tmpfs", "source": "tmpfs"}))?;
    let log = bundle.path("log").to_string_lossy().into_owned();
    let done = bundle.bundled(&["--log", &log, "--log-level", "warn", "run"])?.ok()?;
    let report: Value = serde_json::from_str(&done.out)?;
    let seen = report["mounts"].as_array().into_iter().flatten();
    ensure!(seen.clone().any(|m| m["point"] == "/tmp"), "no /tmp");
    let text = fs::read_to_string(&log)?;
    let said = text.matches("/mounts/7/destination: `tmp` is not absolute");
    same("warnings", said.count(), 1)?;
    bundle.clean()
}

fn kinds() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (source, destination) in [("/etc/passwd", "/tmp"), ("/tmp", "/etc/passwd")] {
        let mount = json!({"destination": destination, "type": "bind", "source": source, "options": ["bind"]});
        bundle.set("/mounts", json!([mount]))?;
        bundle
            .bundled(&["run"])?
            .refused("/mounts/0")?
            .refused("bind a file on a file and a directory on a directory")?;
    }
    bundle.clean()
}

fn overlay() -> Outcome {
    let mut bundle = Bundle::shell("cat /tmp/lower; echo changed > /tmp/lower; cat /tmp/lower")?;
    for name in ["lower", "upper", "work"] {
        fs::create_dir(bundle.path(name))?;
    }
    fs::write(bundle.path("lower/lower"), "lower\n")?;
    let at = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    let data = ["lower", "upper", "work"].map(|name| format!("{name}dir={}", at(name)));
    bundle.set("/mounts/-", json!({"destination": "/tmp", "type": "overlay", "source": "overlay", "options": data}))?;
    let done = bundle.bundled(&["run"])?;
    if done.err.contains("ENODEV") {
        return bundle.clean(); // a kernel without it, which says so
    }
    same("stdout", done.out.as_str(), "lower\nchanged\n")?;
    let text = fs::read_to_string(bundle.path("upper/lower"))?;
    same("the upper layer", text.as_str(), "changed\n")?;
    bundle.clean()
}

/// The container sees its own cgroup as the root, and no other, whatever the type is called; read-only where asked.
fn cgroup(kind: &str, namespace: bool) -> Outcome {
    for access in ["ro", "rw"] {
        let script =
            "cat /sys/fs/cgroup/cgroup.procs; mkdir /sys/fs/cgroup/below && echo made; rmdir /sys/fs/cgroup/below";
        let mut bundle = Bundle::shell(script)?;
        std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/rmdir"))?;
        if !namespace {
            without_namespace(&mut bundle, "cgroup");
        }
        let mounts = bundle.config["mounts"].as_array().cloned();
        let mut mounts = mounts.unwrap_or_default();
        mounts.retain(|m| m["type"] != "cgroup");
        mounts.push(json!({"destination": "/sys/fs/cgroup", "type": kind, "source": "cgroup", "options": ["nosuid", "nodev", "noexec", access]}));
        bundle.set("/mounts", json!(mounts))?;
        let done = bundle.bundled(&["run"])?;
        let made = if access == "rw" { "made\n" } else { "" };
        // Processes: the shell, and the program that looks.
        let numbers = done.out.lines().take_while(|line| *line != "made");
        same("processes seen there", numbers.count(), 2)?;
        ensure!(done.out.ends_with(made), "{access}: {done:?}");
        if access == "ro" {
            ensure!(done.err.contains("Read-only file system"), "{done:?}");
        }
        bundle.clean()?;
    }
    Ok(())
}

fn devices() -> Outcome {
    let list = json!([
        {"type": "p", "path": "/dev/fifo", "fileMode": 0o600, "uid": 3, "gid": 4},
        {"type": "u", "path": "/dev/unbuffered", "major": 1, "minor": 3},
        {"type": "b", "path": "/dev/block", "major": 7, "minor": 200, "fileMode": 0o640},
        {"type": "c", "path": "/dev/below/zero", "major": 1, "minor": 5, "fileMode": 0o100_444, "uid": 1, "gid": 2},
        {"type": "c", "path": "/opt/far/zero", "major": 1, "minor": 5},
    ]);
    let mut bundle = Bundle::shell(
        "umask; ls -ln /dev/fifo /dev/unbuffered /dev/block /dev/below/zero /opt/far/zero | while read mode links uid gid rest; do echo $mode $uid $gid ${rest%% [A-Z]*}; done",
    )?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o77}))?;
    bundle.set("/linux/devices", list)?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let wanted = "0077\ncr--r--r-- 1 2 1, 5\nbrw-r----- 0 0 7, 200\nprw------- 3 4 0\ncrw-rw-rw- 0 0 1, 3\ncrw-rw-rw- 0 0 1, 5\n";
    let squeezed = |text: &str| {
        let lines = text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>().join(" ") + "\n");
        lines.collect::<String>()
    };
    same("devices", squeezed(&done.out), wanted.into())?;
    bundle.clean()
}

/// What a mount has put there is kept if it is the device that is asked for, and refused otherwise.
fn device_there() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (source, ok) in [("/dev/zero", true), ("/dev/null", false)] {
        let mount = json!({"destination": "/dev/there", "type": "bind", "source": source, "options": ["bind"]});
        let mounts = bundle.config["mounts"].as_array().cloned();
        let mut mounts = mounts.unwrap_or_default();
        mounts.retain(|m| m["destination"] != "/dev/there");
        mounts.push(mount);
        bundle.set("/mounts", json!(mounts))?;
        bundle.set("/linux/devices", json!([{"type": "c", "path": "/dev/there", "major": 1, "minor": 5}]))?;
        let done = bundle.bundled(&["run"])?;
        match ok {
            true => done.ok()?,
            false => done.refused("/linux/devices/0")?.refused("not the device that was asked for")?,
        };
    }
    bundle.clean()
}

fn fifo() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::shell("ls -ln /dev/fifo")?)?;
    bundle.set("/linux/devices", json!([{"type": "p", "path": "/dev/fifo", "fileMode": 0o600, "uid": 3, "gid": 4}]))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    ensure!(done.out.starts_with("prw-------    1 3        4 "), "{done:?}");
    // The host's device of that name is lent, so that there has to be one.
    bundle.set("/linux/devices", json!([{"type": "c", "path": "/dev/no-such-device", "major": 1, "minor": 3}]))?;
    bundle.bundled(&["run"])?.refused("/linux/devices/0")?.refused("ENOENT")?;
    bundle.clean()
}

/// Masks of files are binds of /dev/null, which another device of that name would make readable, or worse.
fn null() -> Outcome {
    let mut bundle = Bundle::shell("cat /proc/keys")?;
    bundle.set("/linux/devices", json!([{"type": "c", "path": "/dev/null", "major": 1, "minor": 5}]))?;
    bundle.bundled(&["run"])?.refused("is not the null device")?;
    bundle.set(
        "/linux/devices",
        json!([{"type": "c", "path": "/dev/null", "major": 1, "minor": 3, "fileMode": 0o600}]),
    )?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("a masked file", done.out.as_str(), "")?;
    bundle.clean()
}

/// Joined by path, they would be renamed and set up as the container's.
fn own_namespaces() -> Outcome {
    let host = fs::read_to_string("/proc/sys/kernel/hostname")?;
    let rows: [(&str, &str, &str, Value); 5] = [
        // Its root would be switched, and all that is mounted in it would go.
        ("mount", "mnt", "/root/readonly", json!(true)),
        ("uts", "uts", "/hostname", json!("other")),
        ("uts", "uts", "/domainname", json!("other")),
        ("network", "net", "/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "63"})),
        ("ipc", "ipc", "/linux/sysctl", json!({"kernel.shmmni": "7"})),
    ];
    for (kind, link, pointer, value) in rows {
        let mut bundle = Bundle::plain()?;
        bundle.remove("/hostname")?;
        without_namespace(&mut bundle, kind);
        let path = format!("/proc/self/ns/{link}");
        bundle.set("/linux/namespaces/-", json!({"type": kind, "path": path}))?;
        // Nothing is set in it: it may be joined.
        if kind == "uts" {
            bundle.bundled(&["run"])?.ok()?;
        }
        bundle.set(pointer, value)?;
        bundle.bundled(&["run"])?.refused("the runtime's own namespace")?.refused("/path")?;
        bundle.clean()?;
    }
    same("the host's name", fs::read_to_string("/proc/sys/kernel/hostname")?, host)
}

fn sysctl() -> Outcome {
    for (kind, key) in [
        ("network", "net.ipv4.ip_forward"),
        ("ipc", "kernel.shmmni"),
        ("ipc", "fs.mqueue.msg_max"),
        ("uts", "kernel.domainname"),
    ] {
        let mut bundle = Bundle::plain()?;
        bundle.remove("/hostname")?;
        without_namespace(&mut bundle, kind);
        bundle.set("/linux/sysctl", json!({key: "1"}))?;
        bundle.bundled(&["run"])?.refused(&format!("/linux/sysctl/{key}: needs a `{kind}` namespace"))?;
        bundle.clean()?;
    }
    let words = ["--probe", "/proc/sys/fs/mqueue/msg_max"];
    let settings = json!({"fs.mqueue.msg_max": "11"});
    let (bundle, report) = report(&words, &[("/linux/sysctl", settings)])?;
    let read = &report["tried"]["probe"]["/proc/sys/fs/mqueue/msg_max"]["read"];
    same("msg_max", read.as_str().map(str::trim), Some("11"))?;
    bundle.clean()
}

fn offsets() -> Outcome {
    let uptime = || -> Result<f64, Failed> {
        let text = fs::read_to_string("/proc/uptime")?;
        Ok(text.split(' ').next().unwrap_or("").parse()?)
    };
    let mut bundle = Bundle::shell("cat /proc/uptime")?;
    bundle.set("/linux/namespaces/-", json!({"type": "time"}))?;
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": -4, "nanosecs": 5}}))?;
    let before = uptime()?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let inside: f64 = done.out.split(' ').next().unwrap_or("").parse()?;
    ensure!(inside >= before - 4.1 && inside < uptime()? - 3.8, "uptime outside {before}, inside {inside}");
    for secs in [-9_000_000_000_i64, 1 << 62] {
        bundle.set("/linux/timeOffsets/boottime/secs", json!(secs))?;
        bundle.bundled(&["run"])?.refused("ERANGE")?.refused("146 years")?;
    }
    bundle.clean()
}
