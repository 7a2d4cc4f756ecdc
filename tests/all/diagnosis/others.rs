//! Settings, devices, hooks, limits, names, sockets and files that fail.

use super::{says, says_to};
use crate::bundle::{Bundle, tool};
use crate::{Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "diagnosis_others",
        &[
            ("settings_of_the_kernel", settings),
            ("devices", devices),
            ("hooks_and_their_last_words", hooks),
            ("limits_that_are_too_high", limits),
            ("sockets_and_files_of_the_caller", callers),
            ("a_rootfs_that_is_not_there", roots),
            ("an_interface_that_is_not_there", interfaces),
        ],
    )
}

fn settings() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (key, cause, cure) in [
        (
            "net.ipv4.ip_forwrd",
            "this kernel has no such setting as net.ipv4.ip_forwrd: net.ipv4 has one named ip_forward",
            "net.ipv4.ip_forward",
        ),
        (
            "net.ipv4.frobnicates",
            "this kernel has no such setting as net.ipv4.frobnicates: net.ipv4 has no frobnicates",
            "sysctl -a",
        ),
        ("net.ipv4.conf.eth7.forwarding", "the container has no interface eth7: it has lo", "netDevices"),
        ("net.ipv4.conf.eth7.100.forwarding", "the container has no interface eth7.100: it has lo", "netDevices"),
    ] {
        bundle.set("/linux/sysctl", json!({key: "1"}))?;
        says(&bundle, cause, cure)?;
    }
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "maybe"}))?;
    says(&bundle, "net.ipv4.ip_forward does not take maybe", "try: a value of that form")?;
    let name = format!("nk{}.7", std::process::id() % 100_000);
    let space = format!("{}-net", bundle.id);
    // Each test has mounts of its own: those of its thread.
    let mounted = || fs::read_to_string("/proc/thread-self/mountinfo").map(|all| all.contains(" /run/netns "));
    let before = mounted()?;
    ip(&["netns", "add", &space])?;
    let said = dotted(&mut bundle, &space, &name);
    ip(&["netns", "delete", &space])?;
    // The first `ip netns add` mounts a place for all of them.
    if !before && mounted()? {
        Command::new(tool("umount")?).arg("/run/netns").status()?;
    }
    said?;
    bundle.clean()
}

/// An interface with dots in its name, on the host and then in the network namespace that the container joins.
fn dotted(bundle: &mut Bundle, space: &str, name: &str) -> Outcome {
    ip(&["link", "add", name, "type", "veth", "peer", "name", &format!("{name}p"), "netns", space])?;
    bundle.set("/linux/sysctl", json!({format!("net.ipv4.conf.{name}.forwarding"): "1"}))?;
    let later = format!("the interface {name} is not in the container yet when settings are written");
    says(bundle, &later, "try: write net.ipv4.conf.default.forwarding")?;
    ip(&["link", "set", name, "netns", space])?;
    let networks = bundle.config["linux"]["namespaces"].as_array_mut().ok_or("no namespaces")?;
    networks.retain(|one| one["type"] != "network");
    networks.push(json!({"type": "network", "path": format!("/run/netns/{space}")}));
    let dots = format!("the interface {name} has dots in its name");
    says(bundle, &dots, &format!("net/ipv4/conf/{name}/forwarding"))?;
    bundle.set("/linux/sysctl", json!({format!("net/ipv4/conf/{name}/forwarding"): "1"}))?;
    bundle.bundled(&["run"])?.ok()?;
    Ok(())
}

fn ip(words: &[&str]) -> Outcome {
    let done = Command::new(tool("ip")?).args(words).output()?;
    ensure!(done.status.success(), "{words:?}: {done:?}");
    Ok(())
}

fn devices() -> Outcome {
    let mut bundle = Bundle::plain()?;
    fs::write(bundle.rootfs("etc/thing"), "")?;
    bundle.set("/linux/devices", json!([{"path": "/etc/thing", "type": "c", "major": 1, "minor": 3}]))?;
    says(&bundle, "/etc/thing in the rootfs is a file already", "try: remove it from the image")?;
    bundle.set("/linux/devices", json!([]))?;
    bundle.clean()
}

fn hooks() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let script = bundle.path("hook");
    let path = script.to_string_lossy().into_owned();
    let hook = |timeout: Option<i64>| match timeout {
        Some(seconds) => json!([{"path": &path, "timeout": seconds}]),
        None => json!([{"path": &path}]),
    };
    for (text, timeout, cause) in [
        ("echo one; echo no such bridge >&2; exit 3", None, "ended with exit status 3: no such bridge (config.json"),
        ("kill -9 $$", None, "was killed by SIGKILL: it said nothing"),
        ("echo waiting; sleep 100", Some(1), "took longer than its timeout of 1 s, and was killed: waiting"),
    ] {
        fs::write(&script, format!("#!/bin/sh\n{text}\n"))?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
        bundle.set("/hooks", json!({"createRuntime": hook(timeout)}))?;
        says(&bundle, &format!("the hook {path} {cause}"), "try: ")?;
    }
    // A hook that takes the state away.
    let state = bundle.state_root().join(&bundle.id).to_string_lossy().into_owned();
    fs::write(&script, format!("#!/bin/sh\nrm -r {state}\n"))?;
    bundle.set("/hooks", json!({"createRuntime": hook(None)}))?;
    let done = bundle.bundled(&["run"])?;
    let first = done.err.lines().next().unwrap_or_default();
    ensure!(first.starts_with("nk-runtime: the directory of this container's state, "), "{done:?}");
    ensure!(first.ends_with(" was removed meanwhile (--root)"), "{done:?}");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o644))?;
    says(&bundle, &format!("the hook {path} is a file with mode 0644, and cannot be executed"), "chmod +x")?;
    fs::remove_file(&script)?;
    says(&bundle, &format!("the hook {path} does not exist (config.json /hooks/createRuntime/0)"), "install it there")?;
    bundle.clean()
}

fn limits() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let most: u64 = fs::read_to_string("/proc/sys/fs/nr_open")?.trim().parse()?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NOFILE", "hard": most + 1, "soft": 64}]))?;
    let cause = format!("RLIMIT_NOFILE of {} is higher than this kernel takes for any process: {most}", most + 1);
    says(&bundle, &cause, "sysctl -w fs.nr_open=")?;
    // Without the right to raise a limit.
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "hard": 8192, "soft": 64}]))?;
    bundle.write_config()?;
    let here = bundle.path("");
    let inner = bundle.command(&["run", "--bundle", &here.to_string_lossy(), &bundle.id])?;
    let mut outer = Command::new(tool("setpriv")?);
    outer.args(["--bounding-set", "-sys_resource", "sh", "-c", "ulimit -H -c 2 && exec \"$@\"", "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    let done = bundle.finish(outer)?;
    let cause = "nk-runtime: RLIMIT_CORE of 8192 is above the hard limit of the caller, 1024";
    ensure!(done.err.starts_with(cause) && done.err.contains("at most 1024"), "{done:?}");
    bundle.clean()
}

fn callers() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let here = bundle.path("");
    let here = here.to_string_lossy().trim_end_matches('/').to_owned();
    let pid = format!("{here}/no/pid");
    let cause = format!("the pid file's directory {here}/no does not exist (--pid-file)");
    says_to(&bundle, &["create", "--pid-file", &pid], &cause, "try: make it, or another")?;
    bundle.set("/process/terminal", json!(true))?;
    let socket = format!("{here}/socket");
    let create = ["create", "--console-socket", socket.as_str()];
    says_to(&bundle, &create, &format!("the console socket {socket} does not exist"), "try: start the program")?;
    drop(UnixListener::bind(&socket)?);
    says_to(&bundle, &create, &format!("no process listens at the console socket {socket}"), "try: start the program")?;
    fs::remove_file(&socket)?;
    fs::write(&socket, "")?;
    says_to(&bundle, &create, &format!("the console socket {socket} is a file, not a socket"), "try: ")?;
    bundle.clean()
}

fn roots() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let here = bundle.path("");
    let here = here.to_string_lossy().trim_end_matches('/').to_owned();
    for (path, cause) in [
        ("none", format!("the rootfs {here}/none does not exist (config.json /root/path)")),
        ("config.json", format!("the rootfs {here}/config.json is a file, not a directory")),
    ] {
        bundle.set("/root/path", json!(path))?;
        says(&bundle, &cause, "try: unpack ")?;
    }
    bundle.set("/root/path", json!("rootfs"))?;
    bundle.set("/root/readonly", json!(true))?;
    bundle.clean()
}

fn interfaces() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/netDevices", json!({"nk-none": {}}))?;
    says(&bundle, "the host has no network interface nk-none: it has lo", "ip link add")?;
    bundle.clean()
}
