//! Signals to a container that waits for `start`, what others hear of one that is being deleted, and the status of `exec`
//! when it is called wrongly.

use crate::bundle::{Bundle, Done, patiently};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::sync::atomic::{AtomicBool, Ordering};

pub fn cases() -> Vec<Trial> {
    area(
        "signals",
        &[
            ("what_asks_a_created_one_to_end_ends_it", ends),
            ("others_leave_a_created_one_alone", others),
            ("a_created_one_that_was_asked_to_end_never_starts", pending),
            ("asked_during_delete_nobody_hears_creating", during_delete),
            ("asked_during_delete_of_one_that_was_being_made", during_undo),
            ("exec_called_wrongly_ends_with_255", usage),
        ],
    )
}

/// A created container, whose program would leave a file; with a pid namespace of its own, or without.
fn created(own_pids: bool) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell("echo > /tmp/ran; sleep 1000")?;
    bundle.set("/root/readonly", json!(false))?;
    if !own_pids {
        let list = bundle.config.pointer_mut("/linux/namespaces");
        let list = list.and_then(|list| list.as_array_mut());
        list.ok_or("no namespaces")?.retain(|n| n["type"] != "pid");
    }
    bundle.bundled(&["create"])?.ok()?;
    same("status", bundle.status()?.as_str(), "created")?;
    Ok(bundle)
}

const ENDS: [&str; 5] = ["TERM", "INT", "HUP", "QUIT", "ABRT"];

fn ends() -> Outcome {
    for own_pids in [true, false] {
        for signal in ENDS {
            let bundle = created(own_pids)?;
            bundle.call(&["kill", &bundle.id, signal])?.ok()?;
            bundle.until("stopped")?;
            bundle.call(&["start", &bundle.id])?.refused("cannot start a container that is stopped")?;
            bundle.call(&["delete", &bundle.id])?.ok()?;
            bundle.clean()?;
        }
    }
    // The same of kill(2), by its number on the host.
    let bundle = created(true)?;
    let pid = bundle.state()?["pid"].as_i64().unwrap_or(0) as i32;
    ensure!(pid > 1, "pid {pid}");
    kill(Pid::from_raw(pid), Signal::SIGTERM)?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn others() -> Outcome {
    let bundle = created(true)?;
    for signal in ["USR1", "USR2", "WINCH", "CONT", "CHLD", "ALRM", "PIPE"] {
        bundle.call(&["kill", &bundle.id, signal])?.ok()?;
    }
    same("status", bundle.status()?.as_str(), "created")?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    patiently("the program", || Ok(bundle.rootfs("tmp/ran").exists()))?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// `start` comes right after the signal.
fn pending() -> Outcome {
    for own_pids in [true, false] {
        for _ in 0..10 {
            let bundle = created(own_pids)?;
            bundle.call(&["kill", &bundle.id, "TERM"])?.ok()?;
            let start = bundle.call(&["start", &bundle.id])?;
            ensure!(start.status == 1, "{start:?}");
            bundle.until("stopped")?;
            ensure!(!bundle.rootfs("tmp/ran").exists(), "the program ran");
            bundle.call(&["delete", &bundle.id])?.ok()?;
            bundle.clean()?;
        }
    }
    Ok(())
}

/// Fails if a command says that the container is being made.
fn heard(words: &[&str], done: &Done) -> Outcome {
    let all = format!("{}{}", done.out, done.err);
    let creating = all.contains("\"creating\"") || all.contains(" creating ");
    ensure!(!creating && !all.contains("is being created"), "{words:?}: {done:?}");
    Ok(())
}

/// Asks as long as `delete --force` is on its way.
fn ask_while_deleting(bundle: &Bundle) -> Outcome {
    let id = bundle.id.as_str();
    let over = AtomicBool::new(false);
    let mut delete = bundle.start(bundle.command(&["delete", "--force", id])?)?;
    let mut asked = 0;
    while !over.load(Ordering::Relaxed) {
        over.store(delete.child.try_wait()?.is_some(), Ordering::Relaxed);
        for words in [&["state", id][..], &["list"], &["exec", id, "true"], &["kill", id, "USR1"], &["ps", id]] {
            let done = bundle.call(words)?;
            if asked > 0 {
                heard(words, &done)?;
            }
        }
        asked += 1;
    }
    bundle.wait(delete)?.ok()?;
    Ok(())
}

fn during_delete() -> Outcome {
    for from in ["created", "running"] {
        for _ in 0..5 {
            let bundle = created(true)?;
            if from == "running" {
                bundle.call(&["start", &bundle.id])?.ok()?;
            }
            ask_while_deleting(&bundle)?;
            bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
            bundle.clean()?;
        }
    }
    Ok(())
}

/// A `run` whose last hook does not end: until `delete` ends it, it is being made.
fn during_undo() -> Outcome {
    for _ in 0..3 {
        let mut bundle = Bundle::shell("true")?;
        let hook = json!({"path": "/bin/sleep", "args": ["sleep", "1000"]});
        bundle.set("/hooks", json!({"startContainer": [hook]}))?;
        bundle.write_config()?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let run = bundle.start(bundle.command(&["run", "--bundle", &here, &bundle.id])?)?;
        let state = bundle.state_root().join(&bundle.id).join("state.json");
        patiently("the state", || Ok(state.exists()))?;
        bundle.until("creating")?;
        ask_while_deleting(&bundle)?;
        let done = bundle.wait(run)?;
        ensure!(done.status != 0, "{done:?}");
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

fn usage() -> Outcome {
    let bundle = Bundle::shell("sleep 1000")?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let id = bundle.id.as_str();
    for words in [
        &["exec"][..],
        &["exec", "--nosuch", id, "true"],
        &["exec", "--user", "nosuch", id, "true"],
        &["exec", "--user"],
        &["exec", "--cap", "nosuch", id, "true"],
        &["exec", "--exec", "true", id, "true"],
        &["exec", "--process", "/nosuch", id],
        &["exec", "--process", "/nosuch", id, "true"],
        &["exec", "--preserve-fds", "many", id, "true"],
        &["exec", "--preserve-fds", "9", id, "true"],
        &["exec", "--cgroup", "nosuch", id, "true"],
        &["exec", "--console-socket", "/nosuch", id, "true"],
        &["exec", "--console-socket", "/nosuch", "-t", "-d", id, "true"],
        &["exec", "--pidfd-socket", "/nosuch", id, "true"],
        &["exec", "--pid-file", "/nosuch/file", id, "true"],
        &["exec", "-g", "x", id, "true"],
        &["exec", id, "nosuch"],
        &["exec", "nosuch", "true"],
        &["exec", "a/b", "true"],
        &["--log-level", "nosuch", "exec", id, "true"],
        &["--nosuch", "exec", id, "true"],
        &["--root", "/etc/passwd", "exec", id, "true"],
        &["--log", "/nosuch/log", "exec", id, "true"],
    ] {
        let done = bundle.call(words)?;
        ensure!(done.status == 255, "{words:?}: {done:?}");
        ensure!(done.messages() <= 1, "{words:?}: {done:?}");
    }
    // Only exec's failures have it.
    for words in [&["kill"][..], &["state", "nosuch"], &["start", "--nosuch", "exec"]] {
        same("status", bundle.call(words)?.status, 1)?;
    }
    bundle.call(&["delete", "--force", id])?.ok()?;
    bundle.clean()
}
