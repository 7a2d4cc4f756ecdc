//! Cgroups that cannot be made, entered or limited: which of them, and what stops it.

use super::says;
use crate::bundle::{Bundle, tool};
use crate::cgroup::limits::needs_controllers;
use crate::cgroup::shared::{Theirs, freeze};
use crate::users::{USER, as_user_command, of_user};
use crate::{Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "diagnosis_cgroups",
        &[
            ("a_frozen_one_is_named", frozen),
            ("processes_of_others_are_named", populated),
            ("a_limit_on_cgroups_below", full),
            ("a_controller_that_cannot_be_had", controller),
            ("a_hierarchy_that_is_read_only", readonly),
            ("nothing_is_delegated", delegated),
        ],
    );
    all.extend(needs_controllers("diagnosis_limits", &[("values_that_a_file_does_not_take", values)]));
    all
}

/// A container in a cgroup below one of the host's.
fn below(name: &str) -> Result<(Bundle, Theirs, String), libtest_mimic::Failed> {
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

fn populated() -> Outcome {
    let (bundle, mut theirs, above) = below("")?;
    theirs.enter()?;
    let pid = fs::read_to_string(theirs.path.join("cgroup.procs"))?;
    let cause = format!("processes of others run in the cgroup /{above}: {} (sleep)", pid.trim());
    says(&bundle, &cause, "try: another linux.cgroupsPath")?;
    drop(theirs);
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
    let cause = match fs::read_to_string("/sys/fs/cgroup/cgroup.controllers")?.contains("memory") {
        true => {
            format!("processes run in the cgroup /{above} itself, so it hands no memory down: {} (sleep)", pid.trim())
        }
        false => "on this machine the cgroup controller memory belongs to cgroup version 1".into(),
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
        ("cpuset.cpus", "4000", "cpuset.cpus cannot be 4000: the cgroup /nano-sandbox has "),
        ("io.max", "251:251 rbps=1", "this machine has no block device 251:251 to which io.max could apply"),
        ("memory.nosuch", "1", "the container's cgroup has no file memory.nosuch"),
    ] {
        bundle.set("/linux/resources/unified", json!({file: value}))?;
        says(&bundle, cause, "try: ")?;
    }
    bundle.clean()
}
