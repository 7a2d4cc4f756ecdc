//! `plan --lint`: each rule finds what it is about, at its place in config.json, and nothing else in `spec`'s own configuration.

use crate::bundle::Bundle;
use crate::{Failed, Outcome, area, ensure, real, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;

pub fn cases() -> Vec<Trial> {
    area(
        "lint",
        &[
            ("specs_own_configuration", own),
            ("each_rule_finds_its_line", rules),
            ("a_user_namespace_holds_root_back", users),
            ("what_opens_nothing_is_no_finding", nothing),
            ("the_level_decides_about_the_status", level),
            ("real_configurations", reals),
            ("fits_into_its_columns", columns),
        ],
    )
}

/// What is found in a configuration, from a level on: names and pointers.
fn found(bundle: &Bundle, more: &[&str]) -> Result<Vec<(String, String)>, Failed> {
    bundle.write_config()?;
    let config = bundle.path("config.json");
    let words = ["plan", "--lint", "--format", "json", "--config", &config.to_string_lossy()];
    let done = bundle.call(&[&words[..], more].concat())?;
    let document: Value = serde_json::from_str(&done.out)?;
    let list = document["findings"].as_array().ok_or("no list of findings")?;
    same("status", done.status, if list.is_empty() { 0 } else { 1 })?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let places = |one: &Value| one["pointers"].as_array().cloned().unwrap_or_default();
    Ok(list.iter().flat_map(|one| places(one).into_iter().map(|at| (text(&one["name"]), text(&at)))).collect())
}

/// The configuration that `spec` writes, in a bundle.
fn default() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    for (key, value) in real::config("default")?.as_object().ok_or("no object")? {
        bundle.set(&format!("/{key}"), value.clone())?;
    }
    bundle.set("/process/capabilities/ambient", json!([]))?;
    Ok(bundle)
}

/// Only what the writer of a configuration has to decide: a user, a profile, limits, and a label where the host has labels.
const OWN: [&str; 4] = ["root of the host", "no seccomp", "no limits", "unconfined"];

fn own() -> Outcome {
    let bundle = default()?;
    let names = found(&bundle, &[])?;
    ensure!(names.iter().all(|(name, _)| OWN.contains(&name.as_str())), "{names:?}");
    ensure!(names.len() >= 3, "{names:?}");
    same("high", found(&bundle, &["--level", "high"])?, Vec::new())?;
    bundle.clean()
}

/// A change of `spec`'s configuration: the pointer, the value (none: it is taken out), the rule, and the place that is named.
fn changes() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let without = |kind: &str| {
        let all = ["pid", "network", "ipc", "uts", "mount", "cgroup"];
        json!(all.iter().filter(|one| **one != kind).map(|one| json!({"type": one})).collect::<Vec<_>>())
    };
    let bind = |source: &str, target: &str, options: &[&str]| json!([{"destination": target, "type": "bind", "source": source, "options": options}]);
    let tmpfs = |options: &[&str]| json!([{"destination": "/t", "type": "tmpfs", "source": "t", "options": options}]);
    let (bounding, list) = ("/process/capabilities/bounding", "/linux/namespaces");
    let mut all = vec![
        ("/mounts", bind("/", "/host", &["rbind", "ro"]), "host root", "/mounts/0"),
        ("/mounts", bind("/run/docker.sock", "/d.sock", &["ro"]), "engine socket", "/mounts/0"),
        ("/mounts", bind("/etc/", "/e", &["rbind"]), "writable system directory", "/mounts/0"),
        ("/mounts", bind("/etc", "/e", &["rbind", "rro"]), "system directory", "/mounts/0"),
        ("/mounts", bind("/etc/shadow", "/s", &["bind"]), "writable system directory", "/mounts/0"),
        ("/mounts", bind("/etc/hosts", "/etc/hosts", &["bind"]), "writable system directory", "/mounts/0"),
        ("/mounts", bind("/srv/data", "/data", &["rbind"]), "writable host mount", "/mounts/0"),
        ("/mounts", bind("/srv", "/s", &["bind", "ro", "rshared"]), "shared propagation", "/mounts/0"),
        ("/mounts", tmpfs(&["nodev", "nosuid"]), "mount without noexec", "/mounts/0"),
        ("/mounts", json!([{"destination": "/sys", "type": "sysfs"}]), "writable /sys", "/mounts/0"),
        ("/mounts", json!([{"destination": "/c", "type": "cgroup"}]), "writable cgroups", "/mounts/0"),
        (
            bounding,
            json!(["CAP_CHOWN", "CAP_SYS_ADMIN"]),
            "CAP_SYS_ADMIN without seccomp",
            "/process/capabilities/bounding/1",
        ),
        (list, without("pid"), "pid namespace", list),
        (list, without("network"), "network namespace", list),
        (list, without("ipc"), "ipc namespace", list),
        (list, without("cgroup"), "cgroup namespace", list),
        ("/linux/namespaces/1/path", json!("/run/netns/a"), "joined namespace", "/linux/namespaces/1/path"),
        ("/linux/resources/devices", json!([]), "all devices", "/linux/resources/devices"),
        ("/linux/resources/devices/0/allow", json!(true), "all devices", "/linux/resources/devices/0"),
        (
            "/linux/devices",
            json!([{"type": "b", "path": "/dev/sda", "major": 8, "minor": 0}]),
            "host devices",
            "/linux/devices/0",
        ),
        (
            "/linux/devices",
            json!([{"type": "c", "path": "/dev/mem", "major": 1, "minor": 1}]),
            "host devices",
            "/linux/devices/0",
        ),
        (
            "/linux/devices",
            json!([{"type": "c", "path": "/dev/fuse", "major": 10, "minor": 229},
                   {"type": "c", "path": "/dev/kvm", "major": 10, "minor": 232}]),
            "other devices",
            "/linux/devices/1",
        ),
        (
            "/linux/resources/devices",
            json!([{"allow": false, "access": "rwm"}, {"allow": true, "type": "c", "access": "m"},
                   {"allow": true, "type": "b", "access": "rw"}]),
            "all devices",
            "/linux/resources/devices/2",
        ),
        ("/process/selinuxLabel", json!("system_u:system_r:spc_t:s0"), "unconfined", "/process/selinuxLabel"),
        (
            bounding,
            json!(["CAP_CHOWN", "CAP_SYS_RESOURCE"]),
            "unusual capabilities",
            "/process/capabilities/bounding/1",
        ),
        (bounding, json!(["CAP_NET_ADMIN"]), "unusual capabilities", "/process/capabilities/bounding/0"),
        ("/linux/rootfsPropagation", json!("rshared"), "shared propagation", "/linux/rootfsPropagation"),
        (
            "/linux/readonlyPaths",
            json!(["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sysrq-trigger"]),
            "writable /proc/sys",
            "/linux/readonlyPaths",
        ),
        ("/linux/readonlyPaths", json!(["/proc/sys"]), "path not read-only", "/linux/readonlyPaths"),
        ("/linux/maskedPaths", json!([]), "path not masked", "/linux/maskedPaths"),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_ALLOW"}),
            "seccomp allows by default",
            "/linux/seccomp/defaultAction",
        ),
        (
            "/linux/seccomp",
            json!({"defaultAction": "SCMP_ACT_LOG"}),
            "seccomp only logs",
            "/linux/seccomp/defaultAction",
        ),
        ("/process/noNewPrivileges", json!(false), "new privileges", "/process/noNewPrivileges"),
        (
            "/process/capabilities/inheritable",
            json!(["CAP_KILL"]),
            "inheritable capabilities",
            "/process/capabilities/inheritable",
        ),
        ("/process/oomScoreAdj", json!(-500), "spared by the OOM killer", "/process/oomScoreAdj"),
        (
            "/process/scheduler",
            json!({"policy": "SCHED_FIFO", "priority": 5}),
            "real-time scheduling",
            "/process/scheduler/policy",
        ),
        ("/process/user", json!({"uid": 1000, "gid": 0}), "group of root", "/process/user/gid"),
        (
            "/process/user",
            json!({"uid": 1000, "gid": 1000, "additionalGids": [4, 0]}),
            "group of root",
            "/process/user/additionalGids/1",
        ),
        ("/root/readonly", json!(false), "writable rootfs", "/root/readonly"),
    ];
    for name in [
        "SYS_MODULE",
        "SYS_RAWIO",
        "DAC_READ_SEARCH",
        "SYS_PTRACE",
        "BPF",
        "PERFMON",
        "SYS_BOOT",
        "SYS_TIME",
        "SYSLOG",
        "NET_RAW",
        "MAC_ADMIN",
        "MAC_OVERRIDE",
    ] {
        let name: &'static str = format!("CAP_{name}").leak();
        all.push((bounding, json!([name]), name, "/process/capabilities/bounding/0"));
    }
    all
}

fn rules() -> Outcome {
    let plain: BTreeSet<(String, String)> = found(&default()?, &[])?.into_iter().collect();
    for (pointer, value, rule, place) in changes() {
        let mut bundle = default()?;
        bundle.set(pointer, value)?;
        let all = found(&bundle, &[])?;
        let new: Vec<_> = all.iter().filter(|one| !plain.contains(one)).collect();
        ensure!(new.iter().any(|(name, at)| (name.as_str(), at.as_str()) == (rule, place)), "{pointer}: {new:?}");
        ensure!(new.len() == 1, "{pointer} finds more than {rule}: {new:?}");
        bundle.clean()?;
    }
    // These take two changes.
    let joined = json!([{"type": "network", "path": "/run/netns/a"}, {"type": "mount"}]);
    let profile = json!({"defaultAction": "SCMP_ACT_ERRNO"});
    for (changes, rule, place) in [
        (
            json!({"/process/capabilities/inheritable": ["CAP_KILL"], "/process/capabilities/ambient": ["CAP_KILL"]}),
            "ambient capabilities",
            "/process/capabilities/ambient",
        ),
        (json!({"/linux/namespaces": [{"type": "mount"}], "/hostname": ""}), "uts namespace", "/linux/namespaces"),
        (
            json!({
                "/linux/namespaces": [{"type": "uts"}], "/mounts": [], "/root/readonly": false, "/linux/maskedPaths": [],
                "/linux/readonlyPaths": [], "/process/terminal": false
            }),
            "mount namespace",
            "/linux/namespaces",
        ),
        (
            json!({"/hostname": "", "/linux/namespaces": joined, "/linux/sysctl": {"net.ipv4.ip_forward": "1"}}),
            "sysctl of a joined namespace",
            "/linux/sysctl/net.ipv4.ip_forward",
        ),
        (
            json!({"/linux/seccomp": profile, "/process/capabilities/effective": ["CAP_SYS_ADMIN"]}),
            "CAP_SYS_ADMIN",
            "/process/capabilities/effective/0",
        ),
        (
            json!({"/linux/resources/devices": [], "/process/capabilities/permitted": ["CAP_MKNOD"]}),
            "CAP_MKNOD",
            "/process/capabilities/permitted/0",
        ),
        (
            json!({"/linux/resources/devices": [], "/mounts/3/options": ["nosuid", "noexec"]}),
            "mount without nodev",
            "/mounts/3",
        ),
        (
            json!({"/process/noNewPrivileges": false, "/mounts/3/options": ["nodev", "noexec"]}),
            "mount without nosuid",
            "/mounts/3",
        ),
        (
            json!({"/linux/namespaces": [{"type": "mount"}], "/process/capabilities/bounding": ["CAP_NET_ADMIN"], "/hostname": ""}),
            "CAP_NET_ADMIN",
            "/process/capabilities/bounding/0",
        ),
    ] {
        let mut bundle = default()?;
        for (pointer, value) in changes.as_object().ok_or("no object")? {
            bundle.set(pointer, value.clone())?;
        }
        let all = found(&bundle, &[])?;
        ensure!(all.contains(&(rule.into(), place.into())), "{rule}: {all:?}");
        bundle.clean()?;
    }
    Ok(())
}

/// In a user namespace of its own, what root may do ends at what belongs to the namespace.
fn users() -> Outcome {
    let mut bundle = default()?;
    bundle.set("/process/capabilities/bounding", json!(["CAP_SYS_ADMIN", "CAP_SYS_MODULE"]))?;
    bundle.set("/linux/readonlyPaths", json!([]))?;
    bundle.set("/linux/resources/devices", json!([]))?;
    ensure!(found(&bundle, &["--level", "high"])?.len() == 4, "{:?}", found(&bundle, &["--level", "high"])?);
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    for kind in ["uidMappings", "gidMappings"] {
        bundle.set(&format!("/linux/{kind}"), json!([{"containerID": 0, "hostID": 100000, "size": 65536}]))?;
    }
    same("high", found(&bundle, &["--level", "high"])?, Vec::new())?;
    let root = |all: &[(String, String)]| all.iter().find(|(name, _)| name == "root of the host").cloned();
    same("root", root(&found(&bundle, &[])?), None)?;
    // A mapping to root outside makes it root there again.
    bundle.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}]))?;
    let place = root(&found(&bundle, &[])?).map(|(_, place)| place);
    same("root", place.as_deref(), Some("/linux/uidMappings/0"))?;
    bundle.clean()
}

/// Another user than root gets nothing of a set that is not ambient, and an engine makes some files for the container itself.
fn nothing() -> Outcome {
    let mut bundle = default()?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    bundle.set("/process/capabilities/bounding", json!(["CAP_SYS_MODULE"]))?;
    let made = |name: &str| json!({"destination": format!("/etc/{name}"), "type": "bind", "source": format!("/srv/c/{name}"), "options": ["rbind"]});
    bundle.set("/mounts", json!([made("hosts"), made("hostname"), made("resolv.conf")]))?;
    let names = found(&bundle, &[])?;
    ensure!(names.iter().all(|(name, _)| OWN.contains(&name.as_str())), "{names:?}");
    // A file with a setuid bit gives it the set.
    bundle.set("/process/noNewPrivileges", json!(false))?;
    ensure!(found(&bundle, &[])?.iter().any(|(name, _)| name == "CAP_SYS_MODULE"), "a setuid file gives it nothing");
    bundle.clean()
}

fn level() -> Outcome {
    let mut bundle = default()?;
    bundle.set("/root/readonly", json!(false))?;
    ensure!(found(&bundle, &["--level", "low"])?.iter().any(|(name, _)| name == "writable rootfs"), "low");
    ensure!(!found(&bundle, &["--level", "medium"])?.iter().any(|(name, _)| name == "writable rootfs"), "medium");
    let here = bundle.path("").to_string_lossy().into_owned();
    let done = bundle.call(&["plan", "--lint", "--level", "high", "--bundle", &here])?.ok()?;
    same("text", done.out.as_str(), "no finding is of the level high\n")?;
    bundle.call(&["plan", "--level", "high", "--bundle", &here])?.refused("--level is for --lint")?;
    bundle.clean()
}

/// What engines write by themselves opens nothing of the host; a privileged container does.
fn reals() -> Outcome {
    for (name, privileged) in [("docker-1", false), ("podman-1", false), ("systemd-podman-2", true)] {
        let mut bundle = Bundle::plain()?;
        for (key, value) in real::config(name)?.as_object().ok_or("no object")? {
            bundle.set(&format!("/{key}"), value.clone())?;
        }
        let high = found(&bundle, &["--level", "high"])?;
        ensure!(high.is_empty() != privileged, "{name}: {high:?}");
        bundle.clean()?;
    }
    Ok(())
}

fn columns() -> Outcome {
    let mut bundle = default()?;
    bundle.set("/process/capabilities/bounding", json!(["CAP_SYS_ADMIN", "CAP_SYS_MODULE"]))?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.write_config()?;
    let text = bundle.call(&["plan", "--lint", "--bundle", &bundle.path("").to_string_lossy()])?.out;
    ensure!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    ensure!(text.starts_with("high    CAP_SYS_ADMIN without seccomp\n        at:     /process/"), "{text}");
    ensure!(text.contains(" found: 2 high, "), "{text}");
    bundle.clean()
}
