//! Limits. They need the controllers of a cgroup v2 host: scripts/lab boots one if this machine is none. Each case shows
//! that the cgroup's file holds the value, and that the kernel enforces it.

use crate::bundle::{Bundle, patiently};
use crate::cgroup::{cgroup, end, lines, read, ready, script, start};
use crate::{Case, Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::time::Instant;

const CASES: &[Case] = &[
    ("every_file_holds_its_value", values),
    ("controllers_are_enabled_for_whoever_asks_later", usual),
    ("memory_runs_out", memory),
    ("a_fork_bomb_stops", fork_bomb),
    ("no_process_more_than_the_first", no_fork),
    ("a_quota_throttles", quota),
    ("update_by_options", update_options),
    ("update_by_document", update_document),
    ("memory_and_swap_together", swap),
    ("what_is_idle_has_no_weight", idle),
    ("huge_pages_run_out", huge_pages),
    ("update_checks_before", update_checks),
    ("events_tell_what_is_used", events),
    ("too_little_memory_to_begin_with", too_little),
    ("a_create_at_the_edge_of_memory_can_be_deleted", edge),
    ("what_this_machine_has_not_is_named", not_there),
    ("block_devices_are_limited_one_by_one", block_devices),
    ("processors_are_those_of_the_list", processors),
];

pub fn cases() -> Vec<Trial> {
    needs_controllers("limits", CASES)
}

/// Cases that are listed as ignored, by name, where the kernel hands no controllers down.
pub fn needs_controllers(area: &str, cases: &[Case]) -> Vec<Trial> {
    let have = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").unwrap_or_default();
    let wanted = ["cpu", "memory", "pids"];
    let missing = !wanted.iter().all(|name| have.contains(name));
    let trial = |(what, case): &Case| Trial::test(format!("{area}::{what}"), *case).with_ignored_flag(missing);
    cases.iter().map(trial).collect()
}

const MIB: i64 = 1 << 20;

pub fn limited(text: &str, resources: Value) -> Result<Bundle, Failed> {
    let mut bundle = script(text)?;
    if let (Value::Object(all), Value::Object(mut more)) = (&mut bundle.config["linux"]["resources"], resources) {
        all.append(&mut more);
    }
    Ok(bundle)
}

pub const SLEEPER: &str = "echo > /tmp/ready; sleep 1000";

pub fn holds(bundle: &Bundle, wanted: &[(&str, &str)]) -> Outcome {
    for (file, value) in wanted {
        same(file, read(bundle, file)?.as_str(), value)?;
    }
    Ok(())
}

fn values() -> Outcome {
    let bundle = limited(
        SLEEPER,
        json!({
            "memory": {"limit": 64 * MIB, "swap": 96 * MIB, "reservation": 16 * MIB, "kernel": 0, "swappiness": null},
            "cpu": {"shares": 2048, "quota": 20000, "period": 50000, "burst": 1000, "cpus": "0", "mems": "0"},
            "pids": {"limit": 20},
            "blockIO": {"weight": 500},
            "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MIB}],
            "unified": {"memory.high": "60000000", "pids.max": "19", "cpu.weight": "50"},
        }),
    )?;
    ready(&bundle)?;
    holds(
        &bundle,
        &[
            ("memory.max", "67108864"),
            ("memory.swap.max", "33554432"),
            ("memory.low", "16777216"),
            // A multiple of the page's size.
            ("memory.high", "59998208"),
            ("cpu.weight", "50"),
            ("cpu.max", "20000 50000"),
            ("cpu.max.burst", "1000"),
            ("cpuset.cpus", "0"),
            ("cpuset.mems", "0"),
            ("pids.max", "19"),
            ("io.weight", "default 4950"),
            ("hugetlb.2MB.max", "4194304"),
            ("hugetlb.2MB.rsvd.max", "4194304"),
        ],
    )?;
    end(bundle)?;
    for (shares, weight) in [(2, "1"), (1024, "100"), (262_144, "10000")] {
        let bundle = limited(SLEEPER, json!({"cpu": {"shares": shares}}))?;
        start(&bundle)?;
        holds(&bundle, &[("cpu.weight", weight), ("cpu.max", "max 100000")])?;
        end(bundle)?;
    }
    let none = json!({"memory": {"limit": -1, "swap": -1}, "cpu": {"quota": -1, "idle": 1}, "pids": {"limit": -1}});
    let bundle = limited(SLEEPER, none)?;
    start(&bundle)?;
    holds(
        &bundle,
        &[
            ("memory.max", "max"),
            ("memory.swap.max", "max"),
            ("cpu.max", "max 100000"),
            ("cpu.idle", "1"),
            ("pids.max", "max"),
        ],
    )?;
    end(bundle)
}

fn usual() -> Outcome {
    let bundle = limited(SLEEPER, json!({}))?;
    start(&bundle)?;
    for file in ["memory.current", "pids.current", "cpu.max", "io.stat"] {
        read(&bundle, file)?;
    }
    end(bundle)
}

/// `tail /dev/zero` keeps what it reads, waiting for the end of a line.
fn memory() -> Outcome {
    let limit = json!({"memory": {"limit": 32 * MIB, "swap": 32 * MIB}});
    let bundle = limited(
        "while [ ! -e /tmp/go ]; do sleep 0.01; done; tail /dev/zero; echo $? > /tmp/ended; sleep 1000",
        limit,
    )?;
    std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/tail"))?;
    start(&bundle)?;
    let command = bundle.command(&["events", "--interval", "1h", &bundle.id])?;
    let running = bundle.start(command)?;
    patiently("the first line", || Ok(!lines(&running).is_empty()))?;
    fs::write(bundle.rootfs("tmp/go"), "")?;
    patiently("the end of the hog by KILL", || {
        let said = fs::read_to_string(bundle.rootfs("tmp/ended"));
        Ok(said.is_ok_and(|text| text.trim() == "137"))
    })?;
    patiently("the line that tells of it", || {
        Ok(lines(&running).iter().any(|line| line["type"] == "oom" && line["id"] == bundle.id.as_str()))
    })?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.wait(running)?.ok()?;
    end(bundle)?;

    let limit = json!({"memory": {"limit": 32 * MIB, "swap": 32 * MIB}});
    let mut bundle = limited("true", limit)?;
    std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/tail"))?;
    bundle.set("/process/args", json!(["tail", "/dev/zero"]))?;
    same("exit status", bundle.bundled(&["run"])?.status, 137)?;
    bundle.clean()
}

fn fork_bomb() -> Outcome {
    // A shell that cannot fork ends; the one outside needs no further process.
    let bomb = "sh -c 'i=0; while [ $i -lt 40 ]; do i=$((i+1)); sleep 1000 & done'; exec sleep 1000";
    let bundle = limited(bomb, json!({"pids": {"limit": 10}}))?;
    start(&bundle)?;
    patiently("the limit to bite", || Ok(!read(&bundle, "pids.events")?.starts_with("max 0")))?;
    let now: u32 = read(&bundle, "pids.current")?.parse()?;
    ensure!(now <= 10, "{now} processes where 10 are allowed");
    end(bundle)
}

fn no_fork() -> Outcome {
    let bundle = limited("echo here; ls; echo never", json!({"pids": {"limit": 0}}))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.out.contains("here") && !done.out.contains("never"), "{done:?}");
    bundle.clean()
}

fn quota() -> Outcome {
    let busy = "echo > /tmp/ready; while :; do :; done";
    let bundle = limited(busy, json!({"cpu": {"quota": 5000, "period": 100000}}))?;
    ready(&bundle)?;
    patiently("the quota to bite", || {
        let stat = read(&bundle, "cpu.stat")?;
        let throttled = stat.lines().find_map(|line| line.strip_prefix("nr_throttled "));
        Ok(throttled.is_some_and(|number| number != "0"))
    })?;
    end(bundle)
}

fn update(bundle: &Bundle, words: &[&str]) -> Outcome {
    let words = [&["update"], words, &[bundle.id.as_str()]].concat();
    bundle.call(&words)?.ok()?;
    Ok(())
}

fn update_options() -> Outcome {
    let first = json!({"memory": {"limit": 64 * MIB}, "cpu": {"quota": 20000, "period": 50000}});
    let bundle = limited(SLEEPER, first)?;
    ready(&bundle)?;
    let all = [
        ("--memory", "48m", "memory.max", "50331648"),
        ("--memory-reservation", "8m", "memory.low", "8388608"),
        ("--memory-swap", "64m", "memory.swap.max", "16777216"),
        ("--cpu-quota", "10000", "cpu.max", "10000 50000"),
        ("--cpu-period", "40000", "cpu.max", "10000 40000"),
        ("--cpu-burst", "500", "cpu.max.burst", "500"),
        ("--cpu-share", "512", "cpu.weight", "59"),
        ("--cpuset-cpus", "0", "cpuset.cpus", "0"),
        ("--cpuset-mems", "0", "cpuset.mems", "0"),
        ("--pids-limit", "33", "pids.max", "33"),
        ("--pids-limit", "-1", "pids.max", "max"),
        ("--cpu-quota", "-1", "cpu.max", "max 40000"),
        ("--memory", "-1", "memory.max", "max"),
        ("--cpu-idle", "1", "cpu.idle", "1"),
        ("--blkio-weight", "300", "io.weight", "default 2930"),
    ];
    for (option, value, file, wanted) in all {
        update(&bundle, &[option, value])?;
        holds(&bundle, &[(file, wanted)])?;
    }
    update(&bundle, &["--cpu-idle", "0", "--cpu-share", "1024", "--memory=40m", "--memory-swap=40m"])?;
    holds(&bundle, &[("cpu.weight", "100"), ("memory.max", "41943040"), ("memory.swap.max", "0")])?;
    end(bundle)
}

/// What dockerd sends: zeros leave things as they are.
fn update_document() -> Outcome {
    let first = json!({"memory": {"limit": 64 * MIB, "reservation": 4 * MIB}, "cpu": {"shares": 2048}});
    let bundle = limited(SLEEPER, first)?;
    ready(&bundle)?;
    let document = json!({
        "memory": {"limit": 209715200, "reservation": 0, "swap": 209715200, "kernel": 0},
        "cpu": {"shares": 0, "quota": 25000, "period": 100000}, "pids": {"limit": 55}, "blockIO": {"weight": 0},
    });
    fs::write(bundle.path("update.json"), document.to_string())?;
    let mut command = bundle.command(&["update", "--resources", "-", &bundle.id])?;
    command.stdin(fs::File::open(bundle.path("update.json"))?);
    bundle.finish(command)?.ok()?;
    holds(
        &bundle,
        &[
            ("memory.max", "209715200"),
            ("memory.swap.max", "0"),
            ("memory.low", "4194304"),
            ("cpu.weight", "174"),
            ("cpu.max", "25000 100000"),
            ("pids.max", "55"),
        ],
    )?;
    end(bundle)
}

/// memory.swap is both: what is not said stays as it is, also while it is paused.
fn swap() -> Outcome {
    let bundle = limited(SLEEPER, json!({"memory": {"limit": 64 * MIB}}))?;
    ready(&bundle)?;
    holds(&bundle, &[("memory.swap.max", "max")])?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    for (words, max, swap) in [
        (&["--memory-swap", "80m"][..], "67108864", "16777216"),
        (&["--memory", "32m"], "33554432", "16777216"),
        (&["--memory-swap", "-1"], "33554432", "max"),
        (&["--memory-swap", "32m"], "33554432", "0"),
        (&["--memory", "0", "--memory-swap", "0"], "33554432", "0"),
        (&["--memory", "-1"], "max", "max"),
    ] {
        update(&bundle, words)?;
        holds(&bundle, &[("memory.max", max), ("memory.swap.max", swap)])?;
    }
    bundle.call(&["update", "--memory-swap", "8m", &bundle.id])?.refused("it needs memory/limit beside it")?;
    bundle.call(&["update", "--memory", "9m", "--memory-swap", "8m", &bundle.id])?.refused("less than memory/limit")?;
    same("status", bundle.status()?.as_str(), "paused")?;
    end(bundle)
}

fn idle() -> Outcome {
    let bundle = limited(SLEEPER, json!({"cpu": {"idle": 1, "shares": 512}}))?;
    ready(&bundle)?;
    holds(&bundle, &[("cpu.idle", "1"), ("cpu.weight", "0")])?;
    bundle.call(&["update", "--cpu-share", "512", &bundle.id])?.refused("an idle cgroup has no weight")?;
    update(&bundle, &["--cpu-idle", "0", "--cpu-share", "512"])?;
    holds(&bundle, &[("cpu.idle", "0"), ("cpu.weight", "59")])?;
    end(bundle)
}

/// The second page is one too many.
fn huge_pages() -> Outcome {
    fs::write("/proc/sys/vm/nr_hugepages", "8")?;
    let text = "fallocate -l 2097152 /huge/one && echo one; fallocate -l 4194304 /huge/two || echo no more";
    let mut bundle = limited(text, json!({"hugepageLimits": [{"pageSize": "2MB", "limit": 2 * MIB}]}))?;
    std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/fallocate"))?;
    let mount = json!({"destination": "/huge", "type": "hugetlbfs", "source": "huge", "options": ["pagesize=2M"]});
    bundle.set("/mounts/-", mount)?;
    let done = bundle.bundled(&["run"])?;
    fs::write("/proc/sys/vm/nr_hugepages", "0")?;
    let said: Vec<&str> = done.out.lines().collect();
    ensure!(said == ["one", "no more"], "{done:?}");
    bundle.clean()
}

fn update_checks() -> Outcome {
    let hold = "dd if=/dev/zero of=/dev/shm/x bs=1M count=24; echo > /tmp/ready; sleep 1000";
    let bundle = limited(hold, json!({"memory": {"limit": 64 * MIB}}))?;
    ready(&bundle)?;
    let document = json!({"memory": {"limit": 8 * MIB, "checkBeforeUpdate": true}});
    fs::write(bundle.path("update.json"), document.to_string())?;
    let file = bundle.path("update.json");
    bundle.call(&["update", "-r", &file.to_string_lossy(), &bundle.id])?.refused("bytes are in use")?;
    holds(&bundle, &[("memory.max", "67108864")])?;
    end(bundle)
}

fn events() -> Outcome {
    let bundle = limited(SLEEPER, json!({"memory": {"limit": 64 * MIB}, "pids": {"limit": 20}}))?;
    ready(&bundle)?;
    let once = bundle.call(&["events", "--stats", &bundle.id])?.ok()?.out;
    let once: Value = serde_json::from_str(&once)?;
    let data = &once["data"];
    same("memory limit", &data["memory"]["usage"]["limit"], &json!(64 * MIB))?;
    same("pids limit", &data["pids"]["limit"], &json!(20))?;
    for used in [&data["memory"]["usage"]["usage"], &data["cpu"]["usage"]["total"], &data["memory"]["raw"]["anon"]] {
        ensure!(used.as_u64() > Some(0), "something is used: {once}");
    }
    end(bundle)
}

/// Init itself does not fit: that is said, and nothing is left.
fn too_little() -> Outcome {
    let bundle = limited("true", json!({"memory": {"limit": 16384, "swap": 16384}}))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status == 1 && done.err.contains("/linux/resources/memory/limit"), "{done:?}");
    let group = cgroup(&bundle);
    ensure!(group.is_err(), "there is still a container");
    bundle.clean()
}

/// The command itself is in a cgroup with little memory: it does its work, or the kernel ends it somewhere on the way.
fn edge() -> Outcome {
    let group = format!("/sys/fs/cgroup/nk-edge-{}", std::process::id());
    fs::create_dir(&group)?;
    let bundle = script(SLEEPER)?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let mut ends = std::collections::BTreeSet::new();
    for kib in (64..2048).step_by(96) {
        fs::write(format!("{group}/memory.max"), format!("{kib}k"))?;
        let inner = bundle.command(&["create", "--bundle", &here, &bundle.id])?;
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", "echo 0 > \"$0\"/cgroup.procs && exec \"$@\"", &group])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir("/");
        let done = bundle.finish(command)?;
        ensure!(
            matches!(done.status, 0 | 1 | -9),
            "{kib} KiB: neither done, nor named, nor ended by the kernel: {done:?}"
        );
        ends.insert(done.status);
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.nothing_left()?;
    }
    ensure!(ends.contains(&0), "no size was enough: {ends:?}");
    bundle.clean()?;
    Ok(fs::remove_dir(&group)?)
}

fn not_there() -> Outcome {
    for (group, value, place, words) in [
        ("rdma", json!({"mlx5_0": {"hcaHandles": 3}}), "rdma/mlx5_0", "rdma.max"),
        ("hugepageLimits", json!([{"pageSize": "128KB", "limit": 1}]), "hugepageLimits/0/limit", "hugetlb.128KB.max"),
        (
            "blockIO",
            json!({"throttleReadBpsDevice": [{"major": 99, "minor": 9, "rate": 1}]}),
            "blockIO/throttleReadBpsDevice/0",
            "this machine has no block device 99:9",
        ),
        (
            "unified",
            json!({"memory.frobnicate": "1"}),
            "unified/memory.frobnicate",
            "the container's cgroup has no file memory.frobnicate",
        ),
        ("cpu", json!({"quota": 1}), "cpu/quota", "EINVAL"),
        ("cpu", json!({"cpus": "511"}), "cpu/cpus", "cpuset.cpus"),
    ] {
        let bundle = limited("true", json!({group: value}))?;
        let done = bundle.bundled(&["run"])?;
        let pointer = format!("/linux/resources/{place})");
        let named = done.err.contains(&pointer) && done.says(words);
        ensure!(done.status == 1 && named, "{pointer} {words}: {done:?}");
        bundle.clean()?;
    }
    Ok(())
}

/// One processor of those that there are is left to the program.
fn processors() -> Outcome {
    let online = fs::read_to_string("/sys/devices/system/cpu/online")?;
    ensure!(online.trim() != "0", "the machine has one processor alone");
    let bundle = limited("grep allowed_list /proc/self/status", json!({"cpu": {"cpus": "1", "mems": "0"}}))?;
    std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/grep"))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let words: Vec<&str> = done.out.split_whitespace().collect();
    let wanted = ["Cpus_allowed_list:", "1", "Mems_allowed_list:", "0"];
    same("allowed", words, wanted.to_vec())?;
    bundle.clean()
}

/// On a loop device, which the lab has, with a model of its cost: then it has weights of its own.
fn block_devices() -> Outcome {
    let losetup = |words: &[&str]| {
        let done = Command::new("busybox").arg("losetup").args(words).output()?;
        ensure!(done.status.success(), "losetup {words:?}: {done:?}");
        Ok::<(), Failed>(())
    };
    let device = |more: Value| {
        let mut device = json!({"major": 7, "minor": 0});
        if let (Value::Object(all), Value::Object(mut more)) = (&mut device, more) {
            all.append(&mut more);
        }
        json!([device])
    };
    // Two MiB, past the cache, at one MiB a second.
    let read = "dd if=/dev/loop0 of=/dev/null bs=65536 count=32 iflag=direct; echo > /tmp/ready; sleep 1000";
    let mut bundle = limited(
        read,
        json!({"blockIO": {
            "throttleReadBpsDevice": device(json!({"rate": 1 << 20})),
            "throttleWriteBpsDevice": device(json!({"rate": 2 << 20})),
            "throttleReadIOPSDevice": device(json!({"rate": 100})),
            "throttleWriteIOPSDevice": device(json!({"rate": 200})),
            "weightDevice": device(json!({"weight": 500})),
        }}),
    )?;
    bundle.set("/linux/devices", json!([{"type": "b", "path": "/dev/loop0", "major": 7, "minor": 0}]))?;
    bundle.set(
        "/linux/resources/devices/-",
        json!({"allow": true, "type": "b", "major": 7, "minor": 0, "access": "r"}),
    )?;
    fs::write(bundle.path("disk"), vec![0; 4 << 20])?;
    losetup(&["/dev/loop0", &bundle.path("disk").to_string_lossy()])?;
    let begin = Instant::now();
    ready(&bundle)?;
    let took = begin.elapsed();
    ensure!(took.as_millis() > 1500, "two MiB in {took:?}");
    let wanted = "7:0 rbps=1048576 wbps=2097152 riops=100 wiops=200";
    let weights = "default 100\n7:0 4950";
    holds(&bundle, &[("io.max", wanted), ("io.weight", weights)])?;
    losetup(&["-d", "/dev/loop0"])?;
    end(bundle)
}
