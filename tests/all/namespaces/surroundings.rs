//! What is around the program: root, names, namespaces, network, hidden paths, devices, each proved by what the
//! reporter sees from inside.

use crate::bundle::Bundle;
use crate::lifecycle::without_namespace;
use crate::process::{report, report_of_caller};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "config",
        &[
            ("root_read_only", || root("EROFS", true)),
            ("root_writable", || root("ok", false)),
            ("hostname", || named("/hostname", "hostname")),
            ("domainname", || named("/domainname", "domainname")),
            ("namespaces_are_new", new_namespaces),
            ("namespaces_not_asked_for_are_the_hosts", inherited_namespaces),
            ("loopback_is_up", loopback),
            ("masked_paths", masked),
            ("proc_is_writable_beside_its_read_only_parts", proc_beside_its_parts),
            ("readonly_paths", readonly),
            ("default_devices_and_links", devices),
            ("device_modes_in_spite_of_the_callers_umask", devices_and_umask),
            ("device_rules_deny", devices_denied),
            ("device_rules_allow", devices_allowed),
            ("device_rules_the_last_one_wins", devices_last_rule),
        ],
    )
}

fn root(wanted: &str, readonly: bool) -> Outcome {
    let (bundle, report) = report(&["--probe", "/", "--probe", "/dev"], &[("/root/readonly", json!(readonly))])?;
    let probe = |path: &str| {
        let tried = &report["tried"]["probe"][path]["create"];
        tried.as_str().or(tried["error"].as_str()).unwrap_or("nothing").to_owned()
    };
    same("a new file in /", probe("/"), wanted.into())?;
    same("a new file in /dev", probe("/dev"), "ok".into())?;
    bundle.clean()
}

fn named(pointer: &str, key: &str) -> Outcome {
    let (bundle, report) = report(&[], &[(pointer, json!("a-Name.9"))])?;
    same(key, report[key].as_str(), Some("a-Name.9"))?;
    bundle.clean()
}

fn own_namespace(kind: &str) -> Result<String, Failed> {
    Ok(fs::read_link(format!("/proc/thread-self/ns/{kind}"))?.to_string_lossy().into_owned())
}

fn new_namespaces() -> Outcome {
    let (bundle, report) = report(&[], &[])?;
    for (kind, new) in
        [("pid", true), ("net", true), ("ipc", true), ("uts", true), ("mnt", true), ("cgroup", true), ("user", false)]
    {
        let inside = report["namespaces"][kind].as_str().unwrap_or("none");
        ensure!((inside != own_namespace(kind)?) == new, "{kind}: inside {inside}, outside {}", own_namespace(kind)?);
    }
    same("NSpid", report["status"]["NSpid"].as_str(), Some("1"))?;
    bundle.clean()
}

fn inherited_namespaces() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    for kind in ["network", "ipc", "uts", "cgroup"] {
        without_namespace(&mut bundle, kind);
    }
    bundle.remove("/hostname")?;
    if let Some(Value::Array(mounts)) = bundle.config.pointer_mut("/mounts") {
        mounts.retain(|mount| !["mqueue", "sysfs", "cgroup"].contains(&mount["type"].as_str().unwrap_or("")));
    }
    let report = bundle.report()?;
    for kind in ["net", "ipc", "uts", "cgroup", "user"] {
        same(kind, report["namespaces"][kind].as_str(), Some(own_namespace(kind)?.as_str()))?;
    }
    bundle.clean()
}

fn loopback() -> Outcome {
    let (bundle, report) = report(&[], &[])?;
    same("lo is up", &report["lo"]["up"], &json!(true))?;
    let own = report["lo"]["interfaces"].as_array().map_or(0, Vec::len);
    ensure!(own >= 1 && !report["lo"]["interfaces"].to_string().contains("eth"), "interfaces: {}", report["lo"]);
    bundle.clean()
}

fn masked() -> Outcome {
    let words = ["/etc/secret", "/etc/secrets", "/proc/kcore", "/proc/timer_list", "/sys/firmware", "/proc/acpi"];
    let flags: Vec<&str> = words.iter().flat_map(|path| ["--probe", path]).collect();
    let mut bundle = Bundle::reporter(&flags)?;
    fs::write(bundle.rootfs("etc/secret"), "secret")?;
    fs::create_dir_all(bundle.rootfs("etc/secrets/more"))?;
    for path in ["/etc/secret", "/etc/secrets", "/no/such/path"] {
        bundle.set("/linux/maskedPaths/-", json!(path))?;
    }
    let report = bundle.report()?;
    for path in words {
        let seen = &report["tried"]["probe"][path];
        // What this kernel does not have needs no mask.
        if !std::path::Path::new(path).exists() && seen["error"] == "ENOENT" {
            continue;
        }
        match seen["list"].is_null() {
            true => same(path, (&seen["read"], &seen["rdev"]), (&json!(""), &json!([1, 3])))?,
            false => {
                same(path, &seen["list"], &json!([]))?;
                same(path, &seen["create"], &json!({ "error": "EROFS" }))?;
            }
        }
    }
    let both = ["/etc/secret", "/etc/secrets"].map(|path| report["tried"]["probe"][path]["error"].is_null());
    same("the two of the rootfs are there", both, [true, true])?;
    bundle.clean()
}

/// The parts are read-only, and /proc is not: also where it was for a moment while they were bound, and where it could not
/// be, since init has a file open there.
fn proc_beside_its_parts() -> Outcome {
    const SCRIPT: &str = "grep -E ' /proc(/sys|/bus)? ' /proc/self/mountinfo | cut -d' ' -f5,6 | cut -d, -f1; \
                          echo 7 > /proc/self/oom_score_adj && cat /proc/self/oom_score_adj";
    for way in ["held", "sysctl"] {
        let mut bundle = Bundle::shell(SCRIPT)?;
        if way == "sysctl" {
            bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "0"}))?;
        }
        let done = bundle.bundled(&["run"])?.ok()?;
        same(way, done.out.as_str(), "/proc rw\n/proc/bus ro\n/proc/sys ro\n7\n")?;
        let plan = bundle.call(&["plan", "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?.ok()?.out;
        same(way, plan.contains("hold /proc read-only"), way == "held")?;
        bundle.clean()?;
    }
    Ok(())
}

fn readonly() -> Outcome {
    let words = [
        "--write",
        "/proc/sys/kernel/domainname",
        "--write",
        "/proc/sysrq-trigger",
        "--probe",
        "/etc/kept",
        "--probe",
        "/etc",
    ];
    let mut bundle = Bundle::reporter(&words)?;
    bundle.set("/root/readonly", json!(false))?;
    fs::write(bundle.rootfs("etc/kept"), "kept")?;
    for path in ["/etc/kept", "/no/such/path"] {
        bundle.set("/linux/readonlyPaths/-", json!(path))?;
    }
    let report = bundle.report()?;
    for path in ["/proc/sys/kernel/domainname", "/proc/sysrq-trigger"] {
        if !std::path::Path::new(path).exists() {
            continue; // a kernel without sysrq
        }
        same(path, &report["tried"]["write"][path], &json!({ "error": "EROFS" }))?;
    }
    let kept = &report["tried"]["probe"]["/etc/kept"];
    same("/etc/kept", (&kept["read"], &kept["write"]), (&json!("kept"), &json!({ "error": "EROFS" })))?;
    same("beside it", &report["tried"]["probe"]["/etc"]["create"], &json!("ok"))?;
    bundle.clean()
}

const NODES: [(&str, u32, u32); 6] =
    [("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0)];

fn check_devices(report: &Value) -> Outcome {
    for (name, major, minor) in NODES {
        let seen = &report["dev"][format!("/dev/{name}")];
        let facts = ["type", "major", "minor", "mode", "uid", "gid"].map(|key| seen[key].to_string()).join(" ");
        same(name, facts, format!("\"c\" {major} {minor} \"0666\" 0 0"))?;
    }
    let links = [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
        ("ptmx", "pts/ptmx"),
    ];
    for (name, target) in links {
        same(name, report["dev"][format!("/dev/{name}")]["target"].as_str(), Some(target))?;
    }
    Ok(())
}

fn devices() -> Outcome {
    let flags: Vec<String> =
        NODES.iter().take(5).flat_map(|(name, ..)| ["--open".into(), format!("/dev/{name}")]).collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).chain(["--open", "/dev/ptmx"]).collect();
    let (bundle, report) = report(&flags, &[])?;
    check_devices(&report)?;
    for (path, result) in report["tried"]["open"].as_object().into_iter().flatten() {
        same(path, result, &json!("ok"))?;
    }
    bundle.clean()
}

fn devices_and_umask() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    check_devices(&report_of_caller(&bundle, "umask 077")?)?;
    bundle.clean()
}

/// A report of making and opening character devices, with the capability for the first.
fn made_devices(rules: Value, nodes: &[&str]) -> Result<(Bundle, Value), Failed> {
    let flags: Vec<&str> = nodes.iter().flat_map(|node| ["--mknod", node]).collect();
    let mut bundle = Bundle::reporter(&flags)?;
    for set in ["bounding", "permitted", "effective"] {
        bundle.set(&format!("/process/capabilities/{set}/-"), json!("CAP_MKNOD"))?;
    }
    bundle.set("/linux/resources/devices", rules)?;
    let mut report = bundle.report()?;
    Ok((bundle, report["tried"]["mknod"].take()))
}

fn opened(made: &Value, node: &str) -> String {
    let opened = &made[node]["opened"];
    format!(
        "{} {}",
        made[node]["made"].as_str().unwrap_or("?"),
        opened["error"].as_str().or(opened.as_str()).unwrap_or("?")
    )
}

/// As in every peer, a node may be made; to open it is what the rule is about.
fn devices_denied() -> Outcome {
    let (bundle, made) = made_devices(
        json!([{"allow": false, "access": "rwm"}]),
        &["/dev/fuse:10:229", "/dev/kmsg:1:11", "/dev/null2:1:3"],
    )?;
    same("c 10:229", opened(&made, "/dev/fuse:10:229"), "ok EPERM".into())?;
    same("c 1:11", opened(&made, "/dev/kmsg:1:11"), "ok EPERM".into())?;
    same("c 1:3, a default device", opened(&made, "/dev/null2:1:3"), "ok ok".into())?;
    bundle.clean()
}

/// A kernel without the driver says ENXIO or ENODEV; the rule would say EPERM.
fn let_through(made: &Value, node: &str) -> Outcome {
    let result = opened(made, node);
    ensure!(["ok ok", "ok ENXIO", "ok ENODEV", "ok ENOENT"].contains(&result.as_str()), "{node}: {result}");
    Ok(())
}

fn devices_allowed() -> Outcome {
    let rules = json!([
        {"allow": false, "access": "rwm"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
    ]);
    let (bundle, made) = made_devices(rules, &["/dev/fuse:10:229", "/dev/other:10:228"])?;
    let_through(&made, "/dev/fuse:10:229")?;
    same("c 10:228", opened(&made, "/dev/other:10:228"), "ok EPERM".into())?;
    bundle.clean()
}

fn devices_last_rule() -> Outcome {
    let rules = json!([
        {"allow": true, "access": "rwm"},
        {"allow": false, "type": "c", "major": 10, "access": "rw"},
        {"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rw"},
        {"allow": true, "type": "c", "major": 10, "minor": 228, "access": "r"},
    ]);
    let (bundle, made) = made_devices(rules, &["/dev/fuse:10:229", "/dev/half:10:228", "/dev/none:10:227"])?;
    let_through(&made, "/dev/fuse:10:229")?;
    same("c 10:228, for reading alone", opened(&made, "/dev/half:10:228"), "ok EPERM".into())?;
    same("c 10:227", opened(&made, "/dev/none:10:227"), "ok EPERM".into())?;
    bundle.clean()
}
