//! The states of cgroup.freeze: who may pause, what counts as paused, and what a paused container takes.

use crate::bundle::{Bundle, patiently};
use crate::cgroup::shared::freeze;
use crate::cgroup::{cgroup, end, ready, script, writable_cgroup};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::path::PathBuf;

pub fn cases() -> Vec<Trial> {
    area(
        "freezer",
        &[
            ("a_created_container_can_be_paused", created),
            ("frozen_by_another_is_paused", by_another),
            ("a_container_that_freezes_itself_is_paused", by_itself),
            ("a_frozen_cgroup_above_is_no_pause", above),
            ("start_below_a_frozen_cgroup_is_refused", start_above),
            ("a_cgroup_of_before_is_not_left_frozen", of_before),
        ],
    )
}

fn created() -> Outcome {
    let bundle = script("echo > /tmp/ready; sleep 1000")?;
    let id = bundle.id.as_str();
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["pause", id])?.ok()?;
    same("status", bundle.status()?.as_str(), "paused")?;
    let list = bundle.call(&["list"])?.ok()?.out;
    ensure!(list.contains("paused"), "{list}");
    bundle.call(&["start", id])?.refused("cannot start a container that is paused")?;
    let exec = bundle.call(&["exec", id, "true"])?;
    ensure!(exec.status == 255 && exec.err.contains("paused"), "{exec:?}");
    bundle.call(&["delete", id])?.refused("not stopped: paused")?;
    bundle.call(&["pause", id])?.refused("it is paused")?;
    bundle.call(&["resume", id])?.ok()?;
    same("status", bundle.status()?.as_str(), "created")?;
    bundle.call(&["start", id])?.ok()?;
    patiently("the program", || Ok(bundle.rootfs("tmp/ready").exists()))?;
    bundle.call(&["delete", "--force", id])?.ok()?;
    // One that is paused ends with KILL, and by force.
    for words in [&["kill", id, "KILL"][..], &["delete", "--force", id]] {
        bundle.bundled(&["create"])?.ok()?;
        bundle.call(&["pause", id])?.ok()?;
        bundle.call(words)?.ok()?;
        if words[0] == "kill" {
            bundle.until("stopped")?;
            bundle.call(&["delete", id])?.ok()?;
        }
    }
    bundle.clean()
}

fn by_another() -> Outcome {
    let bundle = script("echo > /tmp/ready; sleep 1000")?;
    ready(&bundle)?;
    let group = cgroup(&bundle)?;
    let file = group.join("cgroup.freeze");
    freeze(&group)?;
    same("status", bundle.status()?.as_str(), "paused")?;
    bundle.call(&["resume", &bundle.id])?.ok()?;
    same("file", fs::read_to_string(&file)?.trim(), "0")?;
    same("status", bundle.status()?.as_str(), "running")?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    fs::write(&file, "0")?;
    same("status", bundle.status()?.as_str(), "running")?;
    end(bundle)
}

fn by_itself() -> Outcome {
    let mut bundle = script("echo > /tmp/ready; echo 1 > /sys/fs/cgroup/cgroup.freeze; echo > /tmp/on; sleep 1000")?;
    writable_cgroup(&mut bundle)?;
    ready(&bundle)?;
    bundle.until("paused")?;
    ensure!(!bundle.rootfs("tmp/on").exists(), "it went on");
    bundle.call(&["resume", &bundle.id])?.ok()?;
    patiently("the program", || Ok(bundle.rootfs("tmp/on").exists()))?;
    same("status", bundle.status()?.as_str(), "running")?;
    end(bundle)
}

/// A container whose cgroup lies below this one.
fn below() -> Result<(Bundle, PathBuf), Failed> {
    let mut bundle = script("echo > /tmp/ready; sleep 1000")?;
    let path = format!("/of-{}/a", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))?;
    let above = PathBuf::from(format!("/sys/fs/cgroup/of-{}", bundle.id));
    Ok((bundle, above))
}

fn above() -> Outcome {
    let (bundle, above) = below()?;
    ready(&bundle)?;
    freeze(&above)?;
    same("status", bundle.status()?.as_str(), "running")?;
    bundle.call(&["resume", &bundle.id])?.refused("it is running")?;
    fs::write(above.join("cgroup.freeze"), "0")?;
    end(bundle)
}

fn start_above() -> Outcome {
    let (bundle, above) = below()?;
    bundle.bundled(&["create"])?.ok()?;
    freeze(&above)?;
    same("status", bundle.status()?.as_str(), "created")?;
    bundle.call(&["start", &bundle.id])?.refused(&format!("the cgroup /of-{} is frozen", bundle.id))?;
    fs::write(above.join("cgroup.freeze"), "0")?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    end(bundle)
}

/// Empty, it is as the container found it.
fn of_before() -> Outcome {
    let mut bundle = script("echo > /tmp/ready; sleep 1000")?;
    let path = format!("/of-{}", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))?;
    let group = PathBuf::from(format!("/sys/fs/cgroup{path}"));
    fs::create_dir(&group)?;
    for words in [&["kill"][..], &["delete", "--force"]] {
        let _ = fs::remove_file(bundle.rootfs("tmp/ready"));
        ready(&bundle)?;
        bundle.call(&["pause", &bundle.id])?.ok()?;
        if words[0] == "kill" {
            bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
            bundle.until("stopped")?;
            bundle.call(&["delete", &bundle.id])?.ok()?;
        } else {
            bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        }
        let frozen = fs::read_to_string(group.join("cgroup.freeze"))?;
        same("cgroup.freeze", frozen.trim(), "0")?;
    }
    fs::remove_dir(&group)?;
    bundle.clean()
}
