//! Containers without a pid namespace of their own: the end of the first process ends no other. What is left in the cgroup
//! that was made for the container is found, named and ended; what was not made for it is not.

use crate::bundle::{Bundle, Done, patiently, tool};
use crate::host::processes;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    area(
        "leftovers",
        &[
            ("run_returns_the_status_and_ends_them", run),
            ("run_of_a_failing_hook_ends_them", failing_hook),
            ("run_in_a_cgroup_of_before_names_them", run_before),
            ("run_below_another_container_ends_its_own", run_below),
            ("kill_with_kill_reaches_all", kill),
            ("kill_of_what_is_left_reaches_it", kill_left),
            ("kill_with_term_reaches_the_first_alone", kill_term),
            ("kill_in_a_cgroup_of_before_spares_others", kill_before),
            ("delete_names_them_and_force_ends_them", delete),
            ("delete_waits_for_what_is_ending", delete_ending),
            ("delete_of_a_created_one_ends_what_exec_left", delete_created),
            ("delete_in_a_cgroup_of_before_names_them", delete_before),
            ("a_joined_pid_namespace_is_not_its_own", joined),
        ],
    )
}

/// A container without a pid namespace that runs this script.
fn shell(script: &str) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell(script)?;
    without(&mut bundle, "pid")?;
    bundle.set("/root/readonly", json!(false))?;
    Ok(bundle)
}

fn without(bundle: &mut Bundle, kind: &str) -> Outcome {
    let list = bundle.config.pointer_mut("/linux/namespaces");
    let list = list.and_then(|list| list.as_array_mut());
    list.ok_or("no namespaces")?.retain(|n| n["type"] != kind);
    Ok(())
}

/// A created and started one whose first process has ended.
fn stopped(bundle: &Bundle) -> Outcome {
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    // The shell executes itself as `exe`, and takes the name of what it does a moment later.
    let name = |process: &str| {
        let pid = process.split(' ').next().unwrap_or("");
        fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default()
    };
    patiently("what it leaves", || Ok(processes(&bundle.id).iter().all(|one| name(one) == "sleep\n")))
}

/// Nothing of it is left, as far as it is not its mount namespace's: a thread of the tests has one at a time.
fn gone(bundle: &Bundle) -> Outcome {
    none_left(bundle)?;
    let state = bundle.state_root().join(&bundle.id);
    ensure!(!state.exists(), "the state is left");
    let path = format!("/sys/fs/cgroup/of-{}", bundle.id);
    ensure!(!std::path::Path::new(&path).exists(), "{path} is left");
    Ok(())
}

fn none_left(bundle: &Bundle) -> Outcome {
    patiently("the end of its processes", || Ok(processes(&bundle.id).is_empty()))
}

fn run() -> Outcome {
    for (script, status) in [
        ("sleep 97 & true", 0),
        ("sleep 97 & exit 7", 7),
        ("trap '' TERM HUP INT; (sleep 97; sleep 98) & kill -9 $$", 137),
    ] {
        for keeper in [&["run"][..], &["run", "--no-subreaper"]] {
            let bundle = shell(script)?;
            let done = bundle.bundled(keeper)?;
            same(script, (done.status, done.err.as_str()), (status, ""))?;
            none_left(&bundle)?;
            bundle.clean()?;
        }
    }
    Ok(())
}

fn failing_hook() -> Outcome {
    let mut bundle = shell("sleep 97 & sleep 98")?;
    bundle.set("/hooks", json!({"poststart": [{"path": "/bin/false"}]}))?;
    bundle.bundled(&["run"])?.refused("/hooks/poststart/0")?;
    none_left(&bundle)?;
    bundle.clean()
}

/// A cgroup that is there before the container, with nothing in it.
fn before(bundle: &mut Bundle) -> Result<std::path::PathBuf, Failed> {
    let path = format!("/of-{}", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))?;
    let group = std::path::PathBuf::from(format!("/sys/fs/cgroup{path}"));
    fs::create_dir(&group)?;
    Ok(group)
}

/// Ends what is in a cgroup, and removes it.
fn end(group: &std::path::Path) -> Outcome {
    patiently("the end of what is left", || {
        for pid in fs::read_to_string(group.join("cgroup.procs"))?.lines() {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse()?), nix::sys::signal::Signal::SIGKILL);
        }
        Ok(fs::remove_dir(group).is_ok())
    })
}

fn run_before() -> Outcome {
    let mut bundle = shell("sleep 97 & true")?;
    let group = before(&mut bundle)?;
    let done = bundle.bundled(&["run"])?;
    let left = processes(&bundle.id);
    let pid = left.first().and_then(|one| one.split(' ').next());
    let word = format!("its own: {} (", pid.unwrap_or("none"));
    ensure!(done.status == 0 && done.err.contains(&word), "{done:?}");
    same("left", processes(&bundle.id).len(), 1)?;
    end(&group)?;
    bundle.clean()
}

/// Another container of the state root is in a cgroup below.
fn run_below() -> Outcome {
    let mut outer = shell("while ! test -e /tmp/go; do sleep 0.01; done; sleep 97 & true")?;
    outer.set("/linux/cgroupsPath", json!(format!("/of-{}", outer.id)))?;
    let mut inner = Bundle::shell("sleep 1000")?;
    let path = format!("/of-{}/inner", outer.id);
    inner.set("/linux/cgroupsPath", json!(path))?;
    outer.write_config()?;
    let here = outer.path("").to_string_lossy().into_owned();
    let running = outer.start(outer.command(&["run", "--bundle", &here, &outer.id])?)?;
    patiently("the outer container", || {
        Ok(fs::read_to_string(outer.state_root().join(&outer.id).join("state.json")).is_ok())
    })?;
    outer.until("running")?;
    inner.write_config()?;
    let there = inner.path("").to_string_lossy().into_owned();
    outer.call(&["run", "--detach", "--bundle", &there, &inner.id])?.ok()?;
    fs::write(outer.rootfs("tmp/go"), "")?;
    outer.wait(running)?.refused("processes are left")?;
    none_left(&outer)?;
    let lives = outer.call(&["state", &inner.id])?.ok()?;
    ensure!(lives.out.contains("\"running\""), "{lives:?}");
    outer.call(&["delete", "--force", &inner.id])?.ok()?;
    outer.call(&["delete", "--force", &outer.id])?.ok()?;
    inner.clean()?;
    gone(&outer)
}

fn running(bundle: &Bundle) -> Outcome {
    let ready = bundle.rootfs("tmp/ready");
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    patiently("the program", || Ok(ready.exists()))
}

fn kill() -> Outcome {
    let bundle = shell("sleep 97 & sleep 98 & echo > /tmp/ready; wait")?;
    running(&bundle)?;
    bundle.call(&["exec", "-d", &bundle.id, "sleep", "99"])?.ok()?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    none_left(&bundle)?;
    bundle.until("stopped")?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.refused("container not running")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn kill_left() -> Outcome {
    let bundle = shell("sleep 97 & true")?;
    stopped(&bundle)?;
    bundle.call(&["kill", &bundle.id, "TERM"])?.refused("container not running")?;
    same("left", processes(&bundle.id).len(), 1)?;
    bundle.call(&["kill", &bundle.id, "9"])?.ok()?;
    none_left(&bundle)?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn kill_term() -> Outcome {
    let bundle = shell("sleep 97 & echo > /tmp/ready; exec sleep 98")?;
    running(&bundle)?;
    bundle.call(&["kill", &bundle.id, "TERM"])?.ok()?;
    bundle.until("stopped")?;
    same("left", processes(&bundle.id).len(), 1)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    none_left(&bundle)?;
    bundle.clean()
}

fn kill_before() -> Outcome {
    let mut bundle = shell("sleep 97 & echo > /tmp/ready; wait")?;
    let group = before(&mut bundle)?;
    running(&bundle)?;
    let mut theirs = Command::new(tool("sleep")?).arg("600").stdin(Stdio::null()).spawn()?;
    fs::write(group.join("cgroup.procs"), theirs.id().to_string())?;
    let done = bundle.call(&["kill", &bundle.id, "KILL"])?;
    let ended = none_left(&bundle);
    let lives = theirs.try_wait()?.is_none();
    theirs.kill()?;
    theirs.wait()?;
    done.ok()?;
    ended?;
    ensure!(lives, "another's process was ended");
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    end(&group)?;
    bundle.clean()
}

/// What `delete` says of what is left.
fn named(bundle: &Bundle, done: Done) -> Outcome {
    let all = processes(&bundle.id);
    ensure!(!all.is_empty(), "nothing is left");
    for process in all {
        let pid = process.split(' ').next().unwrap_or("");
        let word = format!("{pid} (sleep)");
        ensure!(done.err.contains(&word), "`{word}` is missing: {done:?}");
    }
    ensure!(done.messages() == 1, "one line: {done:?}");
    let force = format!("delete --force {} ends them", bundle.id);
    done.refused(&force)?;
    Ok(())
}

fn delete() -> Outcome {
    let bundle = shell("sleep 97 & sleep 98 & true")?;
    stopped(&bundle)?;
    for _ in 0..2 {
        named(&bundle, bundle.call(&["delete", &bundle.id])?)?;
        same("status", bundle.status()?.as_str(), "stopped")?;
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    none_left(&bundle)?;
    bundle.clean()
}

/// Engines kill, and delete at once.
fn delete_ending() -> Outcome {
    for words in [&["kill", "--all"][..], &["kill"]] {
        for _ in 0..5 {
            let bundle = shell("for i in 1 2 3 4 5 6 7 8; do sleep 97 & done; true")?;
            stopped(&bundle)?;
            bundle.call(&[words, &[&bundle.id, "KILL"]].concat())?.ok()?;
            bundle.call(&["delete", &bundle.id])?.ok()?;
            none_left(&bundle)?;
            bundle.clean()?;
        }
    }
    Ok(())
}

fn delete_created() -> Outcome {
    let bundle = shell("true")?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["exec", "-d", &bundle.id, "sleep", "97"])?.ok()?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    none_left(&bundle)?;
    bundle.clean()
}

fn delete_before() -> Outcome {
    for words in [&["delete"][..], &["delete", "--force"]] {
        let mut bundle = shell("sleep 97 & true")?;
        let group = before(&mut bundle)?;
        stopped(&bundle)?;
        let done = bundle.call(&[words, &[&bundle.id]].concat())?;
        let warned = done.err.contains("level=warning") && done.err.contains("(sleep)");
        ensure!(done.status == 0 && warned, "{words:?}: {done:?}");
        same("left", processes(&bundle.id).len(), 1)?;
        end(&group)?;
        bundle.clean()?;
    }
    Ok(())
}

/// In a pid namespace that another container has made, the first process is not its first.
fn joined() -> Outcome {
    let other = Bundle::shell("sleep 1000")?;
    other.bundled(&["run", "--detach"])?.ok()?;
    let first = other.state()?["pid"].as_i64().ok_or("no pid")?;
    let mut bundle = Bundle::shell("sleep 97 & exit 3")?;
    without(&mut bundle, "pid")?;
    let pids = json!({"type": "pid", "path": format!("/proc/{first}/ns/pid")});
    bundle.set("/linux/namespaces/-", pids)?;
    let done = bundle.bundled(&["run"])?;
    same("run", (done.status, done.err.as_str()), (3, ""))?;
    none_left(&bundle)?;
    other.until("running")?;
    other.call(&["delete", "--force", &other.id])?.ok()?;
    bundle.clean()?;
    gone(&other)
}
