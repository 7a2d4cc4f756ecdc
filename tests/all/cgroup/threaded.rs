//! Containers below a threaded cgroup, as with OpenRC, which starts docker in the cgroup that docker gives its containers
//! (cgroup-v2.rst, "Threads"); and what else a cgroup tells or lends: pressure, devices of the host.

use crate::bundle::{Bundle, patiently};
use crate::cgroup::{ready, script};
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::path::PathBuf;

pub fn cases() -> Vec<Trial> {
    area(
        "threaded",
        &[
            ("a_container_below_is_made_threaded", below),
            ("its_processes_are_found_and_ended", found),
            ("parents_that_are_made_are_made_threaded", parents),
            ("a_parent_of_before_that_is_not_is_named", refused),
            ("memory_below_is_refused_by_its_cause", memory),
            ("events_tell_pressure", pressure),
            ("a_device_that_the_host_has_not_is_refused", device),
        ],
    )
}

/// A cgroup that is the root of threaded ones, with one in it.
struct Above(PathBuf);

impl Above {
    fn make(bundle: &mut Bundle, below: &str) -> Result<Above, Failed> {
        let above = Above(PathBuf::from(format!("/sys/fs/cgroup/of-{}", bundle.id)));
        fs::create_dir_all(above.0.join("threads"))?;
        fs::write(above.0.join("threads/cgroup.type"), "threaded")?;
        same("above", above.kind("")?.as_str(), "domain threaded")?;
        let path = format!("/of-{}/{below}", bundle.id);
        bundle.set("/linux/cgroupsPath", json!(path))?;
        Ok(above)
    }

    fn kind(&self, below: &str) -> Result<String, Failed> {
        let text = fs::read_to_string(self.0.join(below).join("cgroup.type"))?;
        Ok(text.trim().to_owned())
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        let _ = fs::remove_dir(self.0.join("threads"));
        let _ = fs::remove_dir(&self.0);
    }
}

fn below() -> Outcome {
    let mut bundle = Bundle::shell("exit 5")?;
    let above = Above::make(&mut bundle, "x")?;
    same("run", bundle.bundled(&["run"])?.status, 5)?;
    ensure!(!above.0.join("x").exists(), "the cgroup is left");
    // Where a bridge makes the first process.
    bundle.set("/linux/namespaces/-", json!({"type": "time"}))?;
    bundle.set("/linux/timeOffsets", json!({"monotonic": {"secs": 10, "nanosecs": 0}}))?;
    same("with a bridge", bundle.bundled(&["run"])?.status, 5)?;
    // One of before, in which nothing is.
    fs::create_dir(above.0.join("x"))?;
    same("of before", bundle.bundled(&["run"])?.status, 5)?;
    same("type", above.kind("x")?.as_str(), "threaded")?;
    fs::remove_dir(above.0.join("x"))?;
    drop(above);
    bundle.clean()
}

fn found() -> Outcome {
    for own_pids in [true, false] {
        let mut bundle = script("trap '' TERM; sleep 1000 & sleep 1001 & echo > /tmp/ready; wait; wait")?;
        let above = Above::make(&mut bundle, "x")?;
        if !own_pids {
            let list = bundle.config.pointer_mut("/linux/namespaces");
            let list = list.and_then(|list| list.as_array_mut());
            list.ok_or("no namespaces")?.retain(|n| n["type"] != "pid");
        }
        let id = bundle.id.clone();
        ready(&bundle)?;
        same("type", above.kind("x")?.as_str(), "threaded")?;
        bundle.call(&["exec", &id, "true"])?.ok()?;
        bundle.call(&["pause", &id])?.ok()?;
        bundle.call(&["resume", &id])?.ok()?;
        let listed = bundle.call(&["ps", "-f", "json", &id])?.ok()?.out;
        let listed: Vec<i64> = serde_json::from_str(&listed)?;
        ensure!(listed.len() == 3, "{listed:?}");
        bundle.call(&["kill", "--all", &id, "KILL"])?.ok()?;
        bundle.until("stopped")?;
        bundle.call(&["delete", &id])?.ok()?;
        let _ = fs::remove_file(bundle.rootfs("tmp/ready"));
        ready(&bundle)?;
        bundle.call(&["delete", "--force", &id])?.ok()?;
        patiently("the end of its processes", || Ok(crate::host::processes(&id).is_empty()))?;
        drop(above);
        bundle.clean()?;
    }
    Ok(())
}

fn parents() -> Outcome {
    let mut bundle = Bundle::shell("sleep 1000")?;
    let above = Above::make(&mut bundle, "a/b/c")?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    for path in ["a", "a/b", "a/b/c"] {
        same(path, above.kind(path)?.as_str(), "threaded")?;
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    ensure!(!above.0.join("a").exists(), "parents are left");
    drop(above);
    bundle.clean()
}

/// What was made by others stays as it is.
fn refused() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let above = Above::make(&mut bundle, "a/b")?;
    fs::create_dir(above.0.join("a"))?;
    same("before", above.kind("a")?.as_str(), "domain invalid")?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.messages() == 1, "{done:?}");
    done.refused("takes no process, since ")?;
    same("after", above.kind("a")?.as_str(), "domain invalid")?;
    ensure!(!above.0.join("a/b").exists(), "the cgroup is left");
    fs::remove_dir(above.0.join("a"))?;
    drop(above);
    bundle.clean()
}

fn memory() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let above = Above::make(&mut bundle, "x")?;
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.messages() == 1, "{done:?}");
    done.refused("is threaded")?;
    drop(above);
    bundle.clean()
}

/// As runc 1.2 and later tell it; where the kernel does not count, the key is not there.
fn pressure() -> Outcome {
    let bundle = script("echo > /tmp/ready; sleep 1000")?;
    ready(&bundle)?;
    let group = crate::cgroup::cgroup(&bundle)?;
    let line = bundle.call(&["events", "--stats", &bundle.id])?.ok()?.out;
    let stats: Value = serde_json::from_str(&line)?;
    for (place, file) in [("cpu", "cpu.pressure"), ("memory", "memory.pressure"), ("blkio", "io.pressure")] {
        let psi = &stats["data"][place]["psi"];
        if fs::read_to_string(group.join(file)).is_err() {
            ensure!(psi.is_null(), "{place}: {psi}");
            continue;
        }
        for kind in ["some", "full"] {
            for key in ["avg10", "avg60", "avg300"] {
                let value = psi[kind][key].as_f64().unwrap_or(-1.0);
                ensure!((0.0..=100.0).contains(&value), "{place} {kind} {key}: {psi}");
            }
            ensure!(psi[kind]["total"].is_u64(), "{place} {kind}: {psi}");
        }
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn device() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::plain()?)?;
    let path = format!("/dev/{}", bundle.id);
    let device = json!({"path": path, "type": "c", "major": 1, "minor": 3});
    bundle.set("/linux/devices", json!([device]))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.err.contains("/linux/devices/0"), "{done:?}");
    ensure!(done.messages() == 1, "{done:?}");
    done.refused("the host has no node there")?;
    bundle.clean()
}
