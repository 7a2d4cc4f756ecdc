//! What a cgroup does without any controller: pause, resume, ps, kill --all, events; cgroups that the container makes
//! itself; limits that cannot be had are named.

pub mod crowds;
pub mod freezer;
pub mod leftovers;
pub mod limits;
pub mod shared;
pub mod systemd;
pub mod threaded;

use crate::bundle::{Bundle, Running, patiently};
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

pub fn cases() -> Vec<Trial> {
    area(
        "cgroups",
        &[
            ("its_own_is_the_root_that_it_sees", root_that_it_sees),
            ("pause_and_resume", pause_and_resume),
            ("a_paused_container_can_be_killed", killed_while_paused),
            ("what_else_a_paused_container_takes", while_paused),
            ("threads_in_cgroups_of_their_own", threaded),
            ("ps_shows_all_and_only_its_own", ps),
            ("kill_all_reaches_nested_cgroups", kill_all),
            ("delete_removes_nested_cgroups", nested),
            ("events_end_with_the_container", events),
            ("root_of_a_user_namespace_owns_its_cgroup", owned),
            ("a_missing_controller_is_named", missing),
            ("nonsense_is_refused_by_its_place", nonsense),
            ("update_says_what_it_will_not_do", update_refuses),
            ("update_replaces_device_rules", update_devices),
        ],
    )
}

/// The container's cgroup, as this machine's files.
pub fn cgroup(bundle: &Bundle) -> Result<PathBuf, Failed> {
    cgroup_of(bundle.state()?["pid"].as_i64().unwrap_or(0))
}

/// The cgroup that a process is in.
pub fn cgroup_of(pid: i64) -> Result<PathBuf, Failed> {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("0::"));
    let path = line.ok_or("no line 0:: in /proc/PID/cgroup")?;
    Ok(PathBuf::from(format!("/sys/fs/cgroup{path}")))
}

pub fn read(bundle: &Bundle, file: &str) -> Result<String, Failed> {
    let path = cgroup(bundle)?.join(file);
    let text = fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(text.trim_end().to_owned())
}

pub fn start(bundle: &Bundle) -> Outcome {
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    Ok(())
}

pub fn end(bundle: Bundle) -> Outcome {
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// A container whose script tells by a file `/tmp/ready` that it is where it wants to be.
pub fn ready(bundle: &Bundle) -> Outcome {
    start(bundle)?;
    patiently("the container's program", || Ok(bundle.rootfs("tmp/ready").exists()))
}

pub fn script(text: &str) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell(text)?;
    bundle.set("/root/readonly", json!(false))?;
    Ok(bundle)
}

fn pause_and_resume() -> Outcome {
    let bundle = script("echo > /tmp/count; echo > /tmp/ready; while :; do echo >> /tmp/count; done")?;
    ready(&bundle)?;
    bundle.call(&["resume", &bundle.id])?.refused("it is running")?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    same("status", bundle.status()?.as_str(), "paused")?;
    let rows: Value = serde_json::from_str(&bundle.call(&["list", "-f", "json"])?.ok()?.out)?;
    same("list", rows[0]["status"].as_str(), Some("paused"))?;
    let size = || fs::metadata(bundle.rootfs("tmp/count")).map(|m| m.len());
    let before = size()?;
    std::thread::sleep(std::time::Duration::from_millis(50));
    same("what it wrote while paused", size()?, before)?;
    bundle.call(&["pause", &bundle.id])?.refused("it is paused")?;
    bundle.call(&["delete", &bundle.id])?.refused("not stopped: paused")?;
    bundle.call(&["resume", &bundle.id])?.ok()?;
    same("status", bundle.status()?.as_str(), "running")?;
    patiently("the program to go on", || Ok(size()? > before))?;
    end(bundle)
}

fn killed_while_paused() -> Outcome {
    let bundle = script("echo > /tmp/ready; sleep 1000")?;
    ready(&bundle)?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["pause", &bundle.id])?.refused("container not running")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

/// A signal waits until it goes on; `delete --force` does not wait.
fn while_paused() -> Outcome {
    let bundle = script("trap 'exit 3' TERM; echo > /tmp/ready; while :; do sleep 0.1; done")?;
    ready(&bundle)?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    bundle.call(&["kill", &bundle.id, "TERM"])?.ok()?;
    same("status", bundle.status()?.as_str(), "paused")?;
    let listed = bundle.call(&["ps", "-f", "json", &bundle.id])?.ok()?;
    ensure!(!pids(&listed.out)?.is_empty(), "{listed:?}");
    bundle.call(&["resume", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;

    let _ = fs::remove_file(bundle.rootfs("tmp/ready"));
    ready(&bundle)?;
    let group = cgroup(&bundle)?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    ensure!(!group.exists(), "{} is still there", group.display());
    bundle.clean()
}

/// The container makes threaded cgroups, whose processes are listed above them alone (cgroup-v2.rst, "Threads").
fn threaded() -> Outcome {
    let mut bundle = script(
        "cd /sys/fs/cgroup; mkdir -p t/a; echo threaded > t/a/cgroup.type
        sleep 1000 & echo $! > t/cgroup.procs; echo $! > t/a/cgroup.threads; cat t/cgroup.type > /tmp/ready; wait; sleep 1000",
    )?;
    writable_cgroup(&mut bundle)?;
    ready(&bundle)?;
    patiently("the type", || Ok(fs::read_to_string(bundle.rootfs("tmp/ready"))?.trim() == "domain threaded"))?;
    let group = cgroup(&bundle)?;
    let inside = fs::read_to_string(group.join("t/a/cgroup.threads"))?;
    let sleeper: i64 = inside.trim().parse()?;
    let listed = pids(&bundle.call(&["ps", "-f", "json", &bundle.id])?.ok()?.out)?;
    ensure!(listed.len() == 2 && listed.contains(&sleeper), "{sleeper} in {listed:?}");
    bundle.call(&["pause", &bundle.id])?.ok()?;
    bundle.call(&["resume", &bundle.id])?.ok()?;
    bundle.call(&["kill", "--all", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    ensure!(!group.exists(), "{} is still there", group.display());
    bundle.clean()
}

fn pids(done: &str) -> Result<Vec<i64>, Failed> {
    Ok(serde_json::from_str(done)?)
}

fn ps() -> Outcome {
    let mut bundle = script(
        "mkdir /sys/fs/cgroup/inner; sleep 1001 & echo $! > /sys/fs/cgroup/inner/cgroup.procs; echo > /tmp/ready; wait",
    )?;
    writable_cgroup(&mut bundle)?;
    ready(&bundle)?;
    let init = bundle.state()?["pid"].as_i64().unwrap_or(0);
    let listed = pids(&bundle.call(&["ps", "--format", "json", &bundle.id])?.ok()?.out)?;
    ensure!(listed.len() == 2 && listed.contains(&init), "init {init} and what it started: {listed:?}");
    let table = bundle.call(&["ps", &bundle.id])?.ok()?.out;
    let lines: Vec<&str> = table.lines().collect();
    ensure!(lines.len() == 3 && lines[0].contains("PID") && table.contains("sleep 1001"), "{table}");
    let theirs = bundle.call(&["ps", &bundle.id, "-o", "pid,args"]);
    let theirs = theirs?.ok()?.out;
    ensure!(theirs.lines().count() == 3 && theirs.contains("sleep 1001"), "{theirs}");
    bundle.call(&["ps", &bundle.id, "--", "-o", "args"])?.refused("no column PID")?;
    bundle.call(&["ps", &bundle.id, "--", "--frobnicate"])?.refused("ps: ")?;
    end(bundle)
}

/// `/sys/fs/cgroup` inside can be written to.
pub fn writable_cgroup(bundle: &mut Bundle) -> Outcome {
    let mounts = bundle.config["mounts"].as_array_mut();
    let mount = mounts.and_then(|all| all.iter_mut().find(|m| m["type"] == "cgroup"));
    mount.ok_or("no cgroup mount")?["options"] = json!(["rw"]);
    Ok(())
}

/// Processes in cgroups of the container's own, which do not end by TERM's default: pid 1 has none.
const NESTED: &str = "cd /sys/fs/cgroup
for i in 1 2 3 4 5; do mkdir -p a$i/b/c; sleep 1000 & echo $! > a$i/b/c/cgroup.procs; done
echo > /tmp/ready
wait
sleep 1000";

fn nested() -> Outcome {
    let mut bundle = script(NESTED)?;
    writable_cgroup(&mut bundle)?;
    ready(&bundle)?;
    let group = cgroup(&bundle)?;
    ensure!(group.join("a5/b/c").exists(), "no cgroups were made");
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    ensure!(!group.exists(), "{} is still there", group.display());
    bundle.clean()
}

fn kill_all() -> Outcome {
    let mut bundle = script(NESTED)?;
    writable_cgroup(&mut bundle)?;
    ready(&bundle)?;
    let init = bundle.state()?["pid"].as_i64().unwrap_or(0);
    bundle.call(&["kill", "--all", &bundle.id, "TERM"])?.ok()?;
    // The shell goes on, since all that it had started has ended.
    patiently("the sleepers' end", || {
        let listed = pids(&bundle.call(&["ps", "-f", "json", &bundle.id])?.ok()?.out)?;
        Ok(listed.len() <= 2 && listed.contains(&init))
    })?;
    end(bundle)
}

/// What `events` has printed: one document a line.
pub fn lines(running: &Running) -> Vec<Value> {
    let (out, _) = running.said();
    out.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

fn events() -> Outcome {
    let bundle = script("echo > /tmp/ready; i=0; while [ $i -lt 2000 ]; do i=$((i+1)); done; sleep 1000")?;
    ready(&bundle)?;
    let once = bundle.call(&["events", "--stats", &bundle.id])?.ok()?.out;
    let once: Value = serde_json::from_str(&once)?;
    same("type", once["type"].as_str(), Some("stats"))?;
    same("id", once["id"].as_str(), Some(bundle.id.as_str()))?;
    ensure!(once["data"]["cpu"]["usage"]["total"].as_u64() > Some(0), "it has used time: {once}");
    let command = bundle.command(&["events", "--interval", "20ms", &bundle.id])?;
    let running = bundle.start(command)?;
    patiently("three lines", || Ok(lines(&running).len() >= 3))?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.wait(running)?.ok()?;
    bundle.call(&["events", "--stats", &bundle.id])?.refused("container not running")?;
    bundle.call(&["events", "--interval", "5", &bundle.id])?.refused("is no time\n  try: write 500ms, 5s or 1m30s")?;
    end(bundle)
}

fn owned() -> Outcome {
    let mut bundle = script("mkdir /sys/fs/cgroup/mine && echo 1 > /sys/fs/cgroup/mine/cgroup.procs && echo moved")?;
    writable_cgroup(&mut bundle)?;
    let bundle = in_user_namespace(bundle)?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("it said", done.out.trim(), "moved")?;
    bundle.clean()
}

/// The clone makes the cgroup namespace, and its root is the cgroup that init is born into: with and without a user
/// namespace, and where a bridge makes init.
fn root_that_it_sees() -> Outcome {
    const SCRIPT: &str = "grep ^0: /proc/self/cgroup; grep ' - cgroup2 ' /proc/self/mountinfo | cut -d' ' -f4,5";
    for way in ["plain", "user", "time"] {
        let mut bundle = Bundle::shell(SCRIPT)?;
        match way {
            "user" => bundle = in_user_namespace(bundle)?,
            "time" => bundle.set("/linux/namespaces/-", json!({"type": "time"}))?,
            _ => {}
        }
        let done = bundle.bundled(&["run"])?.ok()?;
        same("cgroup, and root of its mount", done.out.as_str(), "0::/\n/ /sys/fs/cgroup\n")?;
        let calls = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
        ensure!(way == "time" || !calls.contains("unshare"), "{way}: the clone has made the namespace");
        bundle.clean()?;
    }
    Ok(())
}

fn missing() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/resources/unified", json!({"frob.max": "1"}))?;
    let done = bundle.bundled(&["run"])?;
    let done = done.refused("/linux/resources/unified/frob.max")?;
    for word in ["enable the controller frob", "cgroup.controllers", "try: "] {
        ensure!(done.err.contains(word), "`{word}` should be in {}", done.err);
    }
    bundle.clean()
}

fn nonsense() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let good = bundle.config.clone();
    for (group, value, place, words) in [
        ("memory", json!({"limit": 100, "swap": 99}), "/memory/swap", "less than memory/limit"),
        ("memory", json!({"limit": "1g"}), "/memory/limit", "is a string, must be a number"),
        ("memory", json!({"disableOOMKiller": true}), "/memory/disableOOMKiller", "version 1"),
        ("memory", json!([]), "/memory", "is a list, must be an object"),
        ("cpu", json!({"cpus": "all"}), "/cpu/cpus", "`all`"),
        ("cpu", json!({"idle": 2}), "/cpu/idle", "0 or 1"),
        ("cpu", json!({"shares": -5}), "/cpu/shares", "more than 0"),
        ("blockIO", json!({"weight": 5}), "/blockIO/weight", "from 10 to 1000"),
        (
            "blockIO",
            json!({"throttleReadBpsDevice": [{"major": -1, "minor": 0, "rate": 1}]}),
            "/blockIO/throttleReadBpsDevice/0/major",
            "block device",
        ),
        ("hugepageLimits", json!([{"pageSize": "big", "limit": 1}]), "/hugepageLimits/0/pageSize", "`big`"),
        ("rdma", json!({"mlx5_0": {}}), "/rdma/mlx5_0", "hcaHandles"),
        ("unified", json!({"../memory.max": "1"}), "/unified/..~1memory.max", "file of a cgroup"),
        ("unified", json!({"cgroup.procs": "1"}), "/unified/cgroup.procs", "file of a cgroup"),
        ("unified", json!({"memory.max": 1}), "/unified/memory.max", "is a number, must be a string"),
    ] {
        bundle.config = good.clone();
        bundle.set(&format!("/linux/resources/{group}"), value)?;
        let done = bundle.bundled_plan()?;
        let wanted = format!("/linux/resources{place}: ");
        ensure!(done.status == 1 && done.says(&wanted) && done.err.contains(words), "{wanted}{words}: {done:?}");
    }
    bundle.clean()
}

fn update_refuses() -> Outcome {
    let bundle = script("echo > /tmp/ready; sleep 1000")?;
    ready(&bundle)?;
    let id = &bundle.id;
    bundle.call(&["update", id])?.refused("nothing to change is named")?;
    bundle.call(&["update", "--memory", "1x", id])?.refused("is no number of bytes")?;
    bundle.call(&["update", "--resources", "-", "--memory", "1g", id])?.refused("leave the other options out")?;
    bundle.call(&["update", "--cpu-rt-period", "1", id])?.refused("--cpu-rt-period")?;
    for (text, words) in [
        ("", "holds no JSON"),
        ("[]", "holds no JSON object"),
        ("{\"memory\": {\"limit\": true}}", "/memory/limit"),
        ("{\"devices\": [{\"allow\": true, \"access\": \"x\"}]}", "/devices/0/access"),
    ] {
        fs::write(bundle.path("update.json"), text)?;
        let file = bundle.path("update.json");
        bundle.call(&["update", "--resources", &file.to_string_lossy(), id])?.refused(words)?;
    }
    // The rules that it was made with change nothing.
    let same = json!({"devices": bundle.config["linux"]["resources"]["devices"]});
    fs::write(bundle.path("update.json"), same.to_string())?;
    let file = bundle.path("update.json");
    bundle.call(&["update", "--resources", &file.to_string_lossy(), id])?.ok()?;
    end(bundle)
}

/// The kernel's log may be opened, or not: the program that decides is another, and there is never a second one.
fn update_devices() -> Outcome {
    let mut bundle = script("echo > /tmp/ready; sleep 1000")?;
    let kmsg = json!([{"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11}]);
    bundle.set("/linux/devices", kmsg)?;
    let nothing = json!({"allow": false, "access": "rwm"});
    bundle.set("/linux/resources/devices", json!([nothing]))?;
    ready(&bundle)?;
    let opens = || -> Result<bool, Failed> {
        let words = ["exec", &bundle.id, "sh", "-c", ": > /dev/kmsg"];
        let done = bundle.call(&words)?;
        ensure!(done.status == 0 || done.err.contains("Operation not permitted"), "{done:?}");
        Ok(done.status == 0)
    };
    ensure!(!opens()?, "a denied device was opened");
    let log = |access| json!({"allow": true, "type": "c", "major": 1, "minor": 11, "access": access});
    for (rules, wanted) in [
        (json!([nothing, log("w")]), true),
        (json!([nothing, log("r")]), false),
        (json!([{"allow": true, "access": "rwm"}]), true),
        // No rules: those that there are stay.
        (json!([]), true),
        (json!([nothing]), false),
    ] {
        let document = json!({"devices": rules}).to_string();
        fs::write(bundle.path("update.json"), document)?;
        let file = bundle.path("update.json");
        let words = ["update", "--resources", &file.to_string_lossy(), &bundle.id];
        // What is so already changes nothing.
        for _ in 0..2 {
            bundle.call(&words)?.ok()?;
            same(&rules.to_string(), opens()?, wanted)?;
        }
    }
    end(bundle)
}
