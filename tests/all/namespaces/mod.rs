//! Namespaces of every kind: new ones, user and time among them, and those that are there and joined by path.

pub mod surroundings;

use crate::bundle::Bundle;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command};
use std::{fs, io};

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "namespaces",
        &[
            ("user_is_new", user),
            ("user_other_than_root", other_user),
            ("user_devices_are_the_hosts", devices),
            ("user_through_a_life", life),
            ("user_ids_that_are_not_mapped", not_mapped),
            ("user_terminal_group_that_is_not_mapped", terminal_group),
            ("user_without_a_network_of_its_own", no_network),
            ("time_is_shifted", time),
            ("time_and_user", time_and_user),
            ("joined_of_another_kind", wrong_kind),
            ("joined_pid_and_new_user", pid_and_user),
            ("joined_pid_where_init_is_the_first_to_speak", crowded),
        ],
    );
    for kind in ["pid", "network", "ipc", "uts", "mount", "cgroup", "user", "time"] {
        all.push(Trial::test(format!("namespaces::joined_{kind}"), move || joined(kind)));
    }
    all
}

/// Where the container's ids begin outside.
const FIRST: u32 = 100_000;

/// Gives a tree to a user, as engines do for a user namespace.
pub fn give(path: &Path, id: u32) -> io::Result<()> {
    std::os::unix::fs::lchown(path, Some(id), Some(id))?;
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), id)?;
        }
    }
    Ok(())
}

/// A bundle in a new user namespace whose ids are those from [`FIRST`] on.
pub fn in_user_namespace(mut bundle: Bundle) -> Result<Bundle, Failed> {
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    let map = json!([{"containerID": 0, "hostID": FIRST, "size": 65536}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    give(&bundle.rootfs(""), FIRST)?;
    Ok(bundle)
}

pub fn words(text: &Value) -> Vec<&str> {
    text.as_str().unwrap_or("").split_whitespace().collect()
}

/// The program is root of a user namespace with this mapping, and `/` is root's.
pub fn root_of(report: &Value, uid_map: [&str; 3], setgroups: &str) -> Outcome {
    let kernel = &report["kernel"];
    same("uid_map", words(&kernel["uid_map"]), uid_map.to_vec())?;
    same("setgroups", kernel["setgroups"].as_str(), Some(setgroups))?;
    same("uid", &report["uid"], &json!([0, 0, 0, 0]))?;
    let owner = &report["tried"]["probe"]["/"]["uid"];
    same("the owner of /", owner, &json!(0))
}

fn user() -> Outcome {
    let bundle = in_user_namespace(Bundle::reporter(&["--probe", "/"])?)?;
    let report = bundle.report()?;
    same("gid_map", words(&report["kernel"]["gid_map"]), vec!["0", "100000", "65536"])?;
    root_of(&report, ["0", "100000", "65536"], "allow")?;
    same("groups", &report["groups"], &json!([]))?;
    same("hostname", report["hostname"].as_str(), Some("runc"))?;
    same("lo is up", &report["lo"]["up"], &json!(true))?;
    bundle.clean()
}

fn other_user() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::reporter(&[])?)?;
    bundle.set("/process/user", json!({"uid": 7, "gid": 8, "additionalGids": [5, 60000]}))?;
    let report = bundle.report()?;
    same("uid", &report["uid"], &json!([7, 7, 7, 7]))?;
    same("gid", &report["gid"], &json!([8, 8, 8, 8]))?;
    same("groups", &report["groups"], &json!([5, 60000]))?;
    bundle.clean()
}

fn devices() -> Outcome {
    let words = ["--open", "/dev/null", "--open", "/dev/fuse2", "--probe", "/dev/zero"];
    let mut bundle = in_user_namespace(Bundle::reporter(&words)?)?;
    let device = json!({"type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11});
    bundle.set("/linux/devices", json!([device]))?;
    let report = bundle.report()?;
    same("/dev/null", &report["tried"]["open"]["/dev/null"], &json!("ok"))?;
    same("/dev/zero", &report["tried"]["probe"]["/dev/zero"]["rdev"], &json!([1, 5]))?;
    same("/dev/kmsg", &report["dev"]["/dev/kmsg"]["minor"], &json!(11))?;
    bundle.clean()
}

fn life() -> Outcome {
    let bundle = in_user_namespace(Bundle::reporter(&["--sleep", "--quiet"])?)?;
    bundle.bundled(&["create"])?.ok()?;
    same("status", bundle.status()?, "created".into())?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("running")?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn not_mapped() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::plain()?)?;
    bundle.set("/process/user", json!({"uid": 70000, "gid": 0}))?;
    bundle.bundled(&["run"])?.refused("/process/user/uid: 70000 is not mapped")?;
    bundle.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [1, 70000]}))?;
    bundle.bundled(&["run"])?.refused("/process/user/additionalGids/1")?;
    bundle.clean()
}

fn terminal_group() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::plain()?)?;
    let one = json!([{"containerID": 0, "hostID": FIRST, "size": 1}]);
    bundle.set("/linux/gidMappings", one)?;
    bundle.bundled(&["run"])?.refused("group 5 is not mapped by /linux/gidMappings")?;
    bundle.clean()
}

/// The kernel lets only the owner of the network namespace mount sysfs: the host's is lent, read-only.
fn no_network() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::reporter(&["--probe", "/sys/kernel"])?)?;
    let list = bundle.config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    let rest: Vec<&Value> = list.iter().filter(|n| n["type"] != "network").collect();
    let rest = json!(rest);
    bundle.set("/linux/namespaces", rest)?;
    let report = bundle.report()?;
    let sys = report["mounts"].as_array().into_iter().flatten().find(|m| m["point"] == "/sys");
    let options = sys.map(|m| m["options"].to_string()).unwrap_or_default();
    ensure!(options.contains("ro"), "/sys is not there read-only: {options}");
    bundle.clean()
}

fn uptime() -> Result<i64, Failed> {
    let text = fs::read_to_string("/proc/uptime")?;
    Ok(text.split('.').next().unwrap_or("").parse()?)
}

fn shifted(bundle: &Bundle) -> Outcome {
    let before = uptime()?;
    let report = bundle.report()?;
    let after = uptime()?;
    let boot: i64 = report["kernel"]["uptime"].as_str().unwrap_or("").split('.').next().unwrap_or("").parse()?;
    let shift = boot - 1_000_000;
    ensure!(shift >= before && shift <= after + 1, "boottime inside {boot}, outside {before} to {after}");
    let monotonic = report["kernel"]["monotonic"].as_i64().unwrap_or(0);
    ensure!(monotonic > 500_000 && monotonic < 1_000_000 + after, "monotonic inside: {monotonic}");
    Ok(())
}

const OFFSETS: &str = r#"{"monotonic": {"secs": 500000, "nanosecs": 1}, "boottime": {"secs": 1000000}}"#;

fn time() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/linux/namespaces/-", json!({"type": "time"}))?;
    bundle.set("/linux/timeOffsets", serde_json::from_str(OFFSETS)?)?;
    shifted(&bundle)?;
    bundle.clean()
}

fn time_and_user() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::reporter(&[])?)?;
    bundle.set("/linux/namespaces/-", json!({"type": "time"}))?;
    bundle.set("/linux/timeOffsets", serde_json::from_str(OFFSETS)?)?;
    shifted(&bundle)?;
    bundle.clean()
}

/// The place of a kind in the list, added if it is not there.
fn set_path(bundle: &mut Bundle, kind: &str, path: &str) -> Outcome {
    let list = bundle.config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    let at = list.iter().position(|n| n["type"] == kind);
    let at = at.map_or("-".into(), |at| at.to_string());
    bundle.set(&format!("/linux/namespaces/{at}"), json!({"type": kind, "path": path}))
}

/// The kernel's name of a kind.
fn link(kind: &str) -> &str {
    match kind {
        "network" => "net",
        "mount" => "mnt",
        other => other,
    }
}

fn joined(kind: &'static str) -> Outcome {
    let mut first = Bundle::reporter(&["--sleep", "--quiet"])?;
    if kind == "user" {
        first = in_user_namespace(first)?;
    }
    if kind == "time" {
        first.set("/linux/namespaces/-", json!({"type": "time"}))?;
    }
    first.bundled(&["run", "--detach"])?.ok()?;
    let pid = first.state()?["pid"].as_i64().unwrap_or(0);
    let path = format!("/proc/{pid}/ns/{}", link(kind));
    let wanted = fs::read_link(&path)?.to_string_lossy().into_owned();
    let mut second = Bundle::reporter(&[])?;
    give(&second.rootfs(""), if kind == "user" { FIRST } else { 0 })?;
    set_path(&mut second, kind, &path)?;
    if kind == "uts" {
        second.remove("/hostname")?;
    }
    let report = second.report()?;
    same(kind, report["namespaces"][link(kind)].as_str(), Some(wanted.as_str()))?;
    if kind == "pid" {
        ensure!(report["pid"].as_i64() > Some(1), "pid inside: {}", report["pid"]);
    }
    first.call(&["delete", "--force", &first.id])?.ok()?;
    second.clean()
}

fn wrong_kind() -> Outcome {
    let mut bundle = Bundle::plain()?;
    set_path(&mut bundle, "uts", "/proc/self/ns/ipc")?;
    bundle.remove("/hostname")?;
    let done = bundle.bundled(&["run"])?.refused("join the uts namespace")?;
    ensure!(done.err.contains("another kind"), "{done:?}");
    set_path(&mut bundle, "uts", "/proc/self/ns/nothing")?;
    bundle.bundled(&["run"])?.refused("/linux/namespaces/")?;
    bundle.clean()
}

/// What belongs to the host has to be joined before the user namespace is made.
fn pid_and_user() -> Outcome {
    let first = Bundle::reporter(&["--sleep", "--quiet"])?;
    first.bundled(&["run", "--detach"])?.ok()?;
    let pid = first.state()?["pid"].as_i64().unwrap_or(0);
    let mut second = in_user_namespace(Bundle::reporter(&[])?)?;
    set_path(&mut second, "ipc", &format!("/proc/{pid}/ns/ipc"))?;
    let mounts = second.config["mounts"].as_array().cloned().unwrap_or_default();
    // A message queue file system belongs to the owner of the namespace.
    let rest: Vec<&Value> = mounts.iter().filter(|m| m["type"] != "mqueue").collect();
    let rest = json!(rest);
    second.set("/mounts", rest)?;
    let report = second.report()?;
    let wanted = fs::read_link(format!("/proc/{pid}/ns/ipc"))?;
    same("ipc", report["namespaces"]["ipc"].as_str(), wanted.to_str())?;
    first.call(&["delete", "--force", &first.id])?.ok()?;
    second.clean()
}

/// Processes that keep a processor busy for as long as this lives.
struct Busy(Vec<Child>);

impl Drop for Busy {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// On one busy processor init often gets to its end before the bridge that made it can say its number.
fn crowded() -> Outcome {
    let first = Bundle::reporter(&["--sleep", "--quiet"])?;
    first.bundled(&["run", "--detach"])?.ok()?;
    let pid = first.state()?["pid"].as_i64().unwrap_or(0);
    let mut second = Bundle::plain()?;
    set_path(&mut second, "pid", &format!("/proc/{pid}/ns/pid"))?;
    let all = sched_getaffinity(Pid::from_raw(0))?;
    let mut one = CpuSet::new();
    let usable = (0..CpuSet::count()).find(|cpu| all.is_set(*cpu).unwrap_or(false));
    one.set(usable.unwrap_or(0))?;
    sched_setaffinity(Pid::from_raw(0), &one)?;
    let mut busy = Busy(Vec::new());
    for _ in 0..2 {
        let mut command = Command::new("sh");
        busy.0.push(command.args(["-c", "while :; do :; done"]).spawn()?);
    }
    for _ in 0..10 {
        second.bundled(&["create"])?.ok()?;
        second.call(&["delete", "--force", &second.id])?.ok()?;
    }
    drop(busy);
    sched_setaffinity(Pid::from_raw(0), &all)?;
    first.call(&["delete", "--force", &first.id])?.ok()?;
    second.clean()
}
