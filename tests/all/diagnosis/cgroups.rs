//! Cgroups that cannot be made, entered or limited: which of them, and what stops it.

use super::says;
use crate::bundle::{Bundle, tool};
use crate::cgroup::limits::needs_controllers;
use crate::cgroup::shared::{Theirs, freeze};
use crate::users::{USER, as_user_command, of_user};
use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::chown;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "diagnosis_cgroups",
        &[
            ("a_frozen_one_is_named", frozen),
            ("one_above_that_is_frozen_later", frozen_later),
            ("processes_of_others_are_named", populated),
            ("processes_that_came_later_are_named", left),
            ("a_limit_on_cgroups_below", full),
            ("a_controller_that_cannot_be_had", controller),
            ("a_hierarchy_that_is_read_only", readonly),
            ("nothing_is_delegated", delegated),
        ],
    );
    all.extend(needs_controllers(
        "diagnosis_limits",
        &[
            ("values_that_a_file_does_not_take", values),
            ("what_a_limit_comes_to_is_seen_beforehand", beforehand),
            ("one_above_has_all_its_processes", no_more),
            ("one_that_hands_controllers_down", hands_down),
            ("one_that_this_user_may_not_enter", not_entered),
            ("too_little_memory_to_be_built", too_little),
        ],
    ));
    all
}

/// A container in a cgroup below one of the host's.
fn below(name: &str) -> Result<(Bundle, Theirs, String), Failed> {
    let mut bundle = Bundle::plain()?;
    let above = format!("of-{}", bundle.id);
    let theirs = Theirs::make(&above)?;
    bundle.set("/linux/cgroupsPath", json!(format!("/{above}{name}")))?;
    Ok((bundle, theirs, above))
}

fn frozen() -> Outcome {
    for name in ["", "/a/b"] {
        let (bundle, theirs, above) = below(name)?;
        freeze(&theirs.path)?;
        let cause = format!("the cgroup /{above} is frozen, so nothing would run in the container's");
        says(&bundle, &cause, &format!("echo 0 > /sys/fs/cgroup/{above}/cgroup.freeze"))?;
        drop(theirs);
        bundle.clean()?;
    }
    Ok(())
}

/// `start`, `exec` and `resume` name the cgroup that is frozen, and not the container's.
fn frozen_later() -> Outcome {
    let mut bundle = Bundle::shell("sleep 1000")?;
    let above = format!("of-{}", bundle.id);
    let theirs = Theirs::make(&above)?;
    bundle.set("/linux/cgroupsPath", json!(format!("/{above}/a")))?;
    bundle.bundled(&["create"])?.ok()?;
    let cause = format!("nk-runtime: the cgroup /{above} is frozen, so nothing would run in the container's");
    let frozen = |words: &[&str]| -> Outcome {
        let done = bundle.call(words)?;
        ensure!(done.err.starts_with(&cause) && done.err.contains("cgroup.freeze"), "{words:?}: {done:?}");
        Ok(())
    };
    freeze(&theirs.path)?;
    frozen(&["start", &bundle.id])?;
    fs::write(theirs.path.join("cgroup.freeze"), "0")?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    freeze(&theirs.path)?;
    frozen(&["resume", &bundle.id])?;
    frozen(&["exec", &bundle.id, "true"])?;
    fs::write(theirs.path.join("cgroup.freeze"), "0")?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    drop(theirs);
    bundle.clean()
}

fn populated() -> Outcome {
    let (bundle, mut theirs, above) = below("")?;
    theirs.enter()?;
    let pid = fs::read_to_string(theirs.path.join("cgroup.procs"))?;
    let cause = format!("processes of others run in the cgroup /{above}: {} (sleep)", pid.trim());
    says(&bundle, &cause, "try: another linux.cgroupsPath")?;
    drop(theirs);
    bundle.clean()
}

/// `delete` cannot remove a cgroup with a process that another program has put there.
fn left() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let above = format!("of-{}", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(format!("/{above}")))?;
    bundle.bundled(&["create"])?.ok()?;
    let mut theirs = Theirs::make(&above)?;
    theirs.enter()?;
    let pid = fs::read_to_string(theirs.path.join("cgroup.procs"))?;
    let pid = pid.lines().last().unwrap_or_default();
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    let done = bundle.call(&["delete", &bundle.id])?;
    let cause = format!("nk-runtime: the cgroup /{above} cannot be removed: processes are left in it: {pid} (sleep)");
    ensure!(done.err.starts_with(&cause) && done.err.contains("cgroup.kill"), "{cause}: {done:?}");
    drop(theirs);
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn full() -> Outcome {
    let (bundle, theirs, above) = below("/a")?;
    fs::write(theirs.path.join("cgroup.max.descendants"), "0")?;
    says(&bundle, &format!("the cgroup /{above} may have 0 cgroups below it"), "cgroup.max.descendants")?;
    fs::write(theirs.path.join("cgroup.max.descendants"), "max")?;
    fs::write(theirs.path.join("cgroup.max.depth"), "0")?;
    says(&bundle, &format!("below the cgroup /{above} there may be 0 levels"), "cgroup.max.depth")?;
    drop(theirs);
    bundle.clean()
}

/// The hierarchy has the controller, or version 1 has it.
fn controller() -> Outcome {
    let (mut bundle, mut theirs, above) = below("/a")?;
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}))?;
    theirs.enter()?;
    let pid = fs::read_to_string(theirs.path.join("cgroup.procs"))?;
    let has_memory = fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?.contains("memory");
    let all = fs::read_to_string("/proc/cgroups")?;
    let off = all.lines().any(|line| line.starts_with("memory\t") && line.ends_with("\t0"));
    let cause = match (has_memory, off) {
        (true, _) => {
            format!("processes run in the cgroup /{above} itself, so it hands no memory down: {} (sleep)", pid.trim())
        }
        (_, true) => "the cgroup controller memory was switched off when this kernel started".into(),
        _ => "on this machine the cgroup controller memory belongs to cgroup version 1".into(),
    };
    says(&bundle, &cause, "try: ")?;
    bundle.set("/linux/resources/memory", json!({}))?;
    if fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?.contains("hugetlb") {
        bundle.set("/linux/resources/hugepageLimits", json!([{"pageSize": "2MB", "limit": 2 << 20}]))?;
        let cause =
            format!("processes run in the cgroup /{above} itself, so it hands no hugetlb down: {} (sleep)", pid.trim());
        says(&bundle, &cause, "echo PID > cgroup.procs")?;
        bundle.set("/linux/resources/hugepageLimits", json!([]))?;
    }
    bundle.set("/linux/resources/unified", json!({"nosuch.max": "1"}))?;
    says(
        &bundle,
        "this kernel has no cgroup controller nosuch (config.json /linux/resources/unified/nosuch.max)",
        "try: ",
    )?;
    drop(theirs);
    bundle.clean()
}

fn readonly() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = bundle.path("");
    bundle.write_config()?;
    let inner = bundle.command(&["run", "--bundle", &here.to_string_lossy(), &bundle.id])?;
    let mut outer = Command::new(tool("unshare")?);
    outer.args(["--mount", "sh", "-c", "mount -o remount,bind,ro /sys/fs/cgroup && exec \"$@\"", "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args());
    let done = bundle.finish(outer)?;
    let cause = "nk-runtime: the cgroup hierarchy is mounted read-only here, so /nano-sandbox/";
    ensure!(done.err.starts_with(cause) && done.err.contains("--cgroup-manager disabled"), "{done:?}");
    bundle.clean()
}

fn delegated() -> Outcome {
    let mut bundle = of_user(Bundle::plain()?)?;
    bundle.set("/linux/cgroupsPath", json!(format!("/of-{}", bundle.id)))?;
    bundle.set("/linux/resources", json!({"pids": {"limit": 9}}))?;
    let here = bundle.path("");
    let done = bundle.finish(as_user_command(&bundle, &["run", "--bundle", &here.to_string_lossy(), &bundle.id])?)?;
    let cause = format!("nk-runtime: the cgroup / belongs to user 0: nothing is delegated to user {USER}");
    ensure!(done.err.starts_with(&cause) && done.err.contains("Delegate=yes"), "{done:?}");
    bundle.clean()
}

fn values() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (file, value, cause) in [
        ("cpu.weight", "0", "cpu.weight does not take 0: it takes a number from 1 to 10000"),
        ("cpu.max", "10 100000", "cpu.max does not take 10 100000: it takes a quota of at least 1000"),
        ("memory.max", "many", "memory.max does not take many: it takes a number of bytes"),
        ("pids.max", "-5", "pids.max does not take -5: it takes a number from 0"),
        ("cpuset.cpus", "4000", "cpuset.cpus cannot be 4000: the cgroup /"),
        ("io.max", "251:251 rbps=1", "this machine has no block device 251:251 to which io.max could apply"),
        ("memory.nosuch", "1", "the container's cgroup has no file memory.nosuch"),
    ] {
        bundle.set("/linux/resources/unified", json!({file: value}))?;
        says(&bundle, cause, "try: ")?;
        // Which files a controller has, the cgroup itself tells.
        if file != "memory.nosuch" {
            let (verdict, what) = row(&bundle, &format!("/linux/resources/unified/{file}"))?;
            ensure!(verdict == "fails" && what.starts_with(cause), "{file}: {cause}: {verdict}: {what}");
        }
    }
    bundle.set("/linux/resources/unified", json!({"cpu.idle": "1", "cpu.weight": "50"}))?;
    says(&bundle, "cpu.weight cannot be set: the cgroup has cpu.idle", "set cpu.idle to 0 with it")?;
    bundle.clean()
}

/// What `check` says of a place.
fn row(bundle: &Bundle, place: &str) -> Result<(String, String), Failed> {
    let done = bundle.bundled(&["check", "--format", "json"])?;
    let document: Value = serde_json::from_str(&done.out)?;
    let row = document["checks"].as_array().into_iter().flatten().find(|row| row["place"] == place);
    let row = row.ok_or_else(|| format!("no row for {place}: {}", done.out))?;
    let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
    Ok((text("verdict"), text("what")))
}

/// Limits that can be written, and come to something else than the configuration says.
fn beforehand() -> Outcome {
    let (mut bundle, theirs, above) = below("/a")?;
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+cpu +cpuset +memory +pids")?;
    for (file, value) in [("memory.max", "33554432"), ("pids.max", "10")] {
        fs::write(theirs.path.join(file), value)?;
    }
    let less = |file: &str, value: &str, has: &str| {
        format!("{file} may be {value}, but the cgroup /{above} above has {has}: the container gets no more than that")
    };
    for (pointer, value, verdict, what) in [
        ("memory/limit", json!(64 << 20), "unsure", less("memory.max", "67108864", "33554432")),
        ("memory/limit", json!(16 << 20), "ok", "the cgroup can have memory".into()),
        ("memory/limit", json!(16384), "unsure", "16384 bytes may be too few to build the container".into()),
        ("pids/limit", json!(11), "unsure", less("pids.max", "11", "10")),
        ("pids/limit", json!(-1), "unsure", less("pids.max", "max", "10")),
        ("pids/limit", json!(10), "ok", "the cgroup can have pids".into()),
        ("pids/limit", json!(0), "unsure", "with 0 the program can make no process and no thread".into()),
        ("cpu/cpus", json!("0-4000"), "fails", format!("cpuset.cpus cannot be 0-4000: the cgroup /{above} has 0")),
        ("cpu/mems", json!("7"), "fails", format!("cpuset.mems cannot be 7: the cgroup /{above} has 0")),
        ("cpu/cpus", json!("0"), "ok", "the cgroup can have cpuset".into()),
        ("cpu/shares", json!(512), "ok", "the cgroup can have cpu".into()),
    ] {
        let (controller, key) = pointer.split_once('/').ok_or("no key")?;
        bundle.set("/linux/resources", json!({controller: {key: value}}))?;
        let (is, said) = row(&bundle, &format!("/linux/resources/{pointer}"))?;
        ensure!(is == verdict && said.starts_with(&what), "{pointer} {value}: {is}: {said}, wanted {verdict}: {what}");
    }
    // Processors that another cgroup keeps from it.
    fs::write(theirs.path.join("cpuset.cpus"), "0")?;
    bundle.set("/linux/resources", json!({"cpu": {"cpus": "0-1"}}))?;
    let (is, said) = row(&bundle, "/linux/resources/cpu/cpus")?;
    ensure!(is == "unsure" && said.starts_with(&less("cpuset.cpus", "0-1", "0")), "{is}: {said}");
    drop(theirs);
    bundle.clean()
}

fn no_more() -> Outcome {
    let (bundle, theirs, above) = below("/a")?;
    fs::write(theirs.path.join("pids.max"), "0")?;
    let cause = format!("the cgroup /{above} may have 0 processes, and has them (pids.max)");
    says(&bundle, &cause, &format!("a higher number in /sys/fs/cgroup/{above}/pids.max"))?;
    drop(theirs);
    bundle.clean()
}

fn hands_down() -> Outcome {
    let (bundle, theirs, above) = below("")?;
    fs::write("/sys/fs/cgroup/cgroup.subtree_control", "+memory")?;
    fs::write(theirs.path.join("cgroup.subtree_control"), "+memory")?;
    let cause = format!("the cgroup /{above} hands controllers down (memory), and so takes no process itself");
    says(&bundle, &cause, "such as one below it")?;
    drop(theirs);
    bundle.clean()
}

/// It belongs to this user, and the way from the user's own does not.
fn not_entered() -> Outcome {
    let mut bundle = of_user(Bundle::plain()?)?;
    let above = format!("of-{}", bundle.id);
    let theirs = Theirs::make(&above)?;
    for file in ["", "cgroup.procs", "cgroup.subtree_control"] {
        chown(theirs.path.join(file), Some(USER), Some(USER))?;
    }
    bundle.set("/linux/cgroupsPath", json!(format!("/{above}/a")))?;
    let here = bundle.path("");
    let done = bundle.finish(as_user_command(&bundle, &["run", "--bundle", &here.to_string_lossy(), &bundle.id])?)?;
    let cause = "nk-runtime: a process cannot go from the cgroup /";
    ensure!(done.err.starts_with(cause) && done.err.contains("cgroup.procs of /, owner 0"), "{done:?}");
    ensure!(done.err.contains(&format!(" to /{above}/a:")) && done.err.contains("Delegate=yes"), "{done:?}");
    drop(theirs);
    bundle.clean()
}

fn too_little() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/resources/memory", json!({"limit": 16384, "swap": 16384}))?;
    let cause = "a memory limit of 16384 bytes is too low to build the container: it took ";
    says(&bundle, cause, "half a megabyte is enough to start")?;
    bundle.clean()
}
