//! Settings of the kernel for one container: scheduling, memory, personality, sysctl, labels, shares of caches. Each is
//! proved from inside, or refused by its place where this kernel lacks it.

use crate::bundle::Bundle;
use crate::process::report;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "settings",
        &[
            ("scheduler", scheduler),
            ("io_priority", io_priority),
            ("personality", personality),
            ("memory_policy", memory_policy),
            ("oom_score", oom_score),
            ("sysctl_both_spellings", sysctl),
            ("sysctl_that_is_not_there", sysctl_missing),
            ("sysctl_under_another_mount", sysctl_hidden),
            ("labels_without_a_module", labels),
            ("resctrl_that_is_not_mounted", resctrl),
            ("rootfs_propagation", propagation),
            ("real_time_without_the_right", refused_by_kernel),
        ],
    )
}

/// A field of /proc/self/stat, counted from 1 as proc(5) does.
fn stat(report: &Value, field: usize) -> i64 {
    let text = report["kernel"]["stat"].as_str().unwrap_or("");
    let rest = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let word = rest.split(' ').nth(field - 3).unwrap_or("");
    word.parse().unwrap_or(i64::MIN)
}

fn scheduler() -> Outcome {
    // Policy and its number, nice, real-time priority.
    let rows = [
        (json!({"policy": "SCHED_BATCH", "nice": 5}), 3, 5, 0),
        (json!({"policy": "SCHED_FIFO", "priority": 7}), 1, 0, 7),
        (json!({"policy": "SCHED_RR", "priority": 3, "flags": ["SCHED_FLAG_RESET_ON_FORK"]}), 2, 0, 3),
        (json!({"policy": "SCHED_IDLE"}), 5, 0, 0),
        (json!({"policy": "SCHED_OTHER", "nice": -3}), 0, -3, 0),
        (json!({"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 10000000, "period": 20000000}), 6, 0, 0),
        (
            json!({"policy": "SCHED_DEADLINE", "runtime": 1000000, "deadline": 10000000, "period": 20000000,
                "flags": ["SCHED_FLAG_RECLAIM", "SCHED_FLAG_DL_OVERRUN"]}),
            6,
            0,
            0,
        ),
        // Policy and priorities of the caller's: the flags say so.
        (json!({"policy": "SCHED_BATCH", "flags": ["SCHED_FLAG_KEEP_POLICY", "SCHED_FLAG_KEEP_PARAMS"]}), 0, 0, 0),
    ];
    for (value, policy, nice, priority) in rows {
        let says_nice = value.get("nice").is_some();
        let (bundle, report) = report(&[], &[("/process/scheduler", value)])?;
        same("policy", stat(&report, 41), policy)?;
        same("real-time priority", stat(&report, 40), priority)?;
        // Otherwise it is the caller's.
        if says_nice {
            same("nice", stat(&report, 19), nice)?;
        }
        bundle.clean()?;
    }
    // Clamps are for kernels that are built with them.
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_UTIL_CLAMP_MIN"]}))?;
    let done = bundle.bundled(&["run"])?;
    if done.status != 0 {
        done.refused("EOPNOTSUPP")?;
    }
    bundle.clean()
}

fn io_priority() -> Outcome {
    let rows = [
        ("IOPRIO_CLASS_BE", 6, json!([2, 6])),
        ("IOPRIO_CLASS_RT", 0, json!([1, 0])),
        ("IOPRIO_CLASS_IDLE", 0, json!([3, 0])),
    ];
    for (class, priority, wanted) in rows {
        let value = json!({"class": class, "priority": priority});
        let (bundle, report) = report(&[], &[("/process/ioPriority", value)])?;
        same("class and level", &report["kernel"]["io_priority"], &wanted)?;
        bundle.clean()?;
    }
    Ok(())
}

fn personality() -> Outcome {
    for (domain, wanted) in [("LINUX32", "00000008"), ("LINUX", "00000000")] {
        let (bundle, report) = report(&[], &[("/linux/personality", json!({"domain": domain}))])?;
        same("personality", report["kernel"]["personality"].as_str(), Some(wanted))?;
        bundle.clean()?;
    }
    Ok(())
}

fn memory_policy() -> Outcome {
    let rows = [
        (json!({"mode": "MPOL_BIND", "nodes": "0"}), "bind:0"),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0"}), "interleave:0"),
        (json!({"mode": "MPOL_PREFERRED", "nodes": "0"}), "prefer:0"),
        (json!({"mode": "MPOL_LOCAL"}), "local"),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_STATIC_NODES"]}), "bind=static:0"),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["MPOL_F_NUMA_BALANCING"]}), "bind=balancing:0"),
        (json!({"mode": "MPOL_INTERLEAVE", "nodes": "0", "flags": ["MPOL_F_RELATIVE_NODES"]}), "interleave=relative:0"),
        (json!({"mode": "MPOL_PREFERRED_MANY", "nodes": "0"}), "prefer (many):0"),
        (json!({"mode": "MPOL_DEFAULT"}), "default"),
    ];
    for (value, wanted) in rows {
        let (bundle, report) = report(&[], &[("/linux/memoryPolicy", value)])?;
        let numa = report["kernel"]["numa"].as_str().unwrap_or("");
        ensure!(numa.contains(wanted), "`{wanted}` should be in: {numa}");
        bundle.clean()?;
    }
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "900"}))?;
    bundle.bundled(&["run"])?.refused("set_mempolicy")?;
    bundle.clean()
}

/// Upwards, which needs no privilege; a mount below /proc does not lead the write astray.
fn oom_score() -> Outcome {
    let (bundle, report) = report(&[], &[("/process/oomScoreAdj", json!(321))])?;
    same("oom_score_adj", report["oom_score_adj"].as_str(), Some("321"))?;
    bundle.clean()
}

fn sysctl() -> Outcome {
    let settings = json!({
        "net.ipv4.ip_forward": "1",
        "net/ipv4/conf/lo/forwarding": "0",
        "kernel.shmmni": "777",
        "kernel.domainname": "from.sysctl",
    });
    let words = [
        "--probe",
        "/proc/sys/net/ipv4/ip_forward",
        "--probe",
        "/proc/sys/net/ipv4/conf/lo/forwarding",
        "--probe",
        "/proc/sys/kernel/shmmni",
    ];
    let (bundle, report) = report(&words, &[("/linux/sysctl", settings)])?;
    let read = |path: &str| report["tried"]["probe"][path]["read"].as_str().unwrap_or("").trim().to_owned();
    same("ip_forward", read("/proc/sys/net/ipv4/ip_forward"), "1".into())?;
    same("lo", read("/proc/sys/net/ipv4/conf/lo/forwarding"), "0".into())?;
    same("shmmni", read("/proc/sys/kernel/shmmni"), "777".into())?;
    same("domainname", report["domainname"].as_str(), Some("from.sysctl"))?;
    bundle.clean()
}

fn sysctl_missing() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/sysctl", json!({"net.ipv4.nosuchkey": "1"}))?;
    let done = bundle.bundled(&["run"])?.refused("/linux/sysctl/net.ipv4.nosuchkey")?;
    ensure!(done.err.contains("no such setting"), "{done:?}");
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "many"}))?;
    bundle.bundled(&["run"])?.refused("EINVAL")?;
    for (key, word) in [
        ("vm.swappiness", "no namespace"),
        ("kernel.hostname", "set by `hostname`"),
        ("net/../vm/swappiness", "no sysctl key"),
        ("net.ipv4..x", "no sysctl key"),
    ] {
        bundle.set("/linux/sysctl", json!({key: "1"}))?;
        bundle.bundled(&["run"])?.refused(word)?;
    }
    bundle.clean()
}

/// An image or a mount may cover parts of /proc: the setting still reaches the kernel, and nothing else.
fn sysctl_hidden() -> Outcome {
    let mut bundle =
        Bundle::shell("cat /proc/sys/net/ipv4/ip_forward; umount /proc/sys; cat /proc/sys/net/ipv4/ip_forward")?;
    fs::create_dir_all(bundle.path("fake/net/ipv4"))?;
    fs::write(bundle.path("fake/net/ipv4/ip_forward"), "fake\n")?;
    let source = bundle.path("fake").to_string_lossy().into_owned();
    bundle
        .set("/mounts/-", json!({"destination": "/proc/sys", "type": "bind", "source": source, "options": ["bind"]}))?;
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1"}))?;
    bundle.set("/linux/readonlyPaths", json!([]))?;
    bundle.set("/process/args", json!(["sh", "-c", "cat /proc/sys/net/ipv4/ip_forward"]))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("what lies over it", done.out.as_str(), "fake\n")?;
    same("the file of the mount", fs::read_to_string(bundle.path("fake/net/ipv4/ip_forward"))?, "fake\n".into())?;
    bundle.clean()
}

fn labels() -> Outcome {
    if fs::read_to_string("/sys/module/apparmor/parameters/enabled").is_ok_and(|y| y.starts_with('Y')) {
        return Err("this kernel has AppArmor: prove a profile here".into());
    }
    for (pointer, word) in [
        ("/process/apparmorProfile", "without AppArmor"),
        ("/process/selinuxLabel", "without SELinux"),
        ("/linux/mountLabel", "without SELinux"),
    ] {
        let mut bundle = Bundle::plain()?;
        bundle.set(pointer, json!("system_u:object_r:container_file_t:s0"))?;
        let done = bundle.bundled(&["run"])?.refused(word)?;
        ensure!(done.err.contains(pointer), "{done:?}");
        bundle.clean()?;
    }
    Ok(())
}

fn resctrl() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/intelRdt", json!({"closID": "group", "l3CacheSchema": "L3:0=f", "enableMonitoring": true}))?;
    let done = bundle.bundled(&["run"])?.refused("no resctrl file system is mounted")?;
    ensure!(done.err.contains("/linux/intelRdt"), "{done:?}");
    for (value, pointer) in [
        (json!({"closID": "a/b"}), "/linux/intelRdt/closID"),
        (json!({"closID": ".."}), "/linux/intelRdt/closID"),
        (json!({"l3CacheSchema": "L3:0=f\nMB:0=10"}), "/linux/intelRdt/l3CacheSchema"),
        (json!({"schemata": ["a\nb"]}), "/linux/intelRdt/schemata/0"),
    ] {
        bundle.set("/linux/intelRdt", value)?;
        bundle.bundled(&["run"])?.refused(pointer)?;
    }
    bundle.clean()
}

fn propagation() -> Outcome {
    for (word, wanted) in [
        ("shared", "shared:"),
        ("rslave", "master:"),
        ("private", ""),
        ("unbindable", "unbindable"),
        ("runbindable", "unbindable"),
    ] {
        let (bundle, report) = report(&[], &[("/linux/rootfsPropagation", json!(word))])?;
        let mounts = report["mounts"].as_array().cloned().unwrap_or_default();
        let root = mounts.iter().find(|m| m["point"] == "/");
        let seen = root.and_then(|m| m["propagation"].as_str()).unwrap_or("none");
        let fits = match word {
            "private" => seen.is_empty(),
            // On a host whose mounts are private there is no master.
            "rslave" => seen.is_empty() || seen.contains(wanted),
            _ => seen.contains(wanted),
        };
        ensure!(fits, "{word}: the root is `{seen}`");
        bundle.clean()?;
    }
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/rootfsPropagation", json!("wild"))?;
    bundle.bundled(&["run"])?.refused("/linux/rootfsPropagation")?;
    bundle.clean()
}

/// Rules of the kernel's, told before anything is made.
fn refused_by_kernel() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (pointer, value, word) in [
        ("/process/scheduler", json!({"policy": "SCHED_ISO"}), "/process/scheduler/policy"),
        ("/process/scheduler", json!({"policy": "SCHED_FIFO"}), "/process/scheduler/priority"),
        ("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 1, "nice": 2}), "/process/scheduler/nice"),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER", "runtime": 5}), "/process/scheduler/runtime"),
        ("/process/scheduler", json!({"policy": "SCHED_OTHER", "flags": ["X"]}), "/process/scheduler/flags/0"),
        ("/process/scheduler", json!({"policy": "SCHED_DEADLINE", "runtime": 9, "deadline": 5}), "/process/scheduler"),
    ] {
        bundle.set(pointer, value)?;
        bundle.bundled(&["run"])?.refused(word)?;
    }
    bundle.remove("/process/scheduler")?;
    for (pointer, value, word) in [
        ("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 9}), "/process/ioPriority/priority"),
        ("/process/ioPriority", json!({"class": "X", "priority": 1}), "/process/ioPriority/class"),
    ] {
        bundle.set(pointer, value)?;
        bundle.bundled(&["run"])?.refused(word)?;
    }
    bundle.remove("/process/ioPriority")?;
    bundle.set("/process/oomScoreAdj", json!(1001))?;
    bundle.bundled(&["run"])?.refused("/process/oomScoreAdj")?;
    bundle.remove("/process/oomScoreAdj")?;
    for (value, word) in [
        (json!({"domain": "LINUX64"}), "/linux/personality/domain"),
        (json!({"domain": "LINUX", "flags": ["ADDR"]}), "/linux/personality/flags/0"),
    ] {
        bundle.set("/linux/personality", value)?;
        bundle.bundled(&["run"])?.refused(word)?;
    }
    bundle.remove("/linux/personality")?;
    for (value, word) in [
        (json!({"mode": "MPOL_WILD"}), "/linux/memoryPolicy/mode"),
        (json!({"mode": "MPOL_BIND", "nodes": "x"}), "/linux/memoryPolicy/nodes"),
        (json!({"mode": "MPOL_BIND"}), "/linux/memoryPolicy/nodes"),
        (json!({"mode": "MPOL_LOCAL", "nodes": "0"}), "/linux/memoryPolicy/nodes"),
        (json!({"mode": "MPOL_BIND", "nodes": "0", "flags": ["F"]}), "/linux/memoryPolicy/flags/0"),
    ] {
        bundle.set("/linux/memoryPolicy", value)?;
        bundle.bundled(&["run"])?.refused(word)?;
    }
    bundle.remove("/linux/memoryPolicy")?;
    bundle.clean()
}
