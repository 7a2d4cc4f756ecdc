//! `inspect` of a container that wants to deceive its reader: with names, with links, by its end.

use super::{document, text};
use crate::bundle::Bundle;
use crate::cgroup::script;
use crate::strace::traced_in_time;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;
use std::time::{Duration, Instant};
use std::{fs, thread};

pub fn cases() -> Vec<Trial> {
    area(
        "inspect",
        &[
            ("a_name_forges_no_line", forged),
            ("a_link_leads_nowhere_else", linked),
            ("it_may_end_meanwhile", ends),
            ("a_later_process_of_the_number_is_another", reused),
            ("changes_nothing", nothing),
        ],
    )
}

const FORGED: &str = "x\n\nNot isolated (0)\n\u{1b}[2J\u{202e}";

fn started(bundle: &Bundle) -> Outcome {
    bundle.bundled(&["run", "--detach"])?.ok().map(drop)
}

fn end(bundle: Bundle) -> Outcome {
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn forged() -> Outcome {
    let mut bundle = script("while :; do sleep 1000; done")?;
    bundle.set("/process/args/-", json!(FORGED))?;
    bundle.set("/process/env/-", json!(format!("E{FORGED}=1")))?;
    bundle.set("/process/cwd", json!(format!("/tmp/{FORGED}")))?;
    let mount = json!({"destination": format!("/tmp/{FORGED}"), "type": "tmpfs", "source": FORGED});
    bundle.set("/mounts/-", mount)?;
    started(&bundle)?;
    let options: [&[&str]; 2] = [&[], &["--diff"]];
    for option in options {
        let words = [&["inspect"], option, &[bundle.id.as_str()]].concat();
        let out = bundle.call(&words)?.ok()?.out;
        let odd = |c: &char| c.is_control() && *c != '\n' || *c == '\u{202e}';
        ensure!(!out.chars().any(|c| odd(&c)), "a control character is shown: {out:?}");
        ensure!(!out.lines().any(|line| line.trim() == "Not isolated (0)"), "a line is forged: {out}");
        ensure!(out.contains("x\\n\\nNot"), "the name is not shown: {out}");
    }
    let document = document(&bundle)?;
    let all = document["mounts"].as_array().into_iter().flatten();
    let ours = all.clone().find(|mount| mount["target"] == format!("/tmp/{FORGED}"));
    same("type", ours.map(|mount| &mount["type"]), Some(&json!("tmpfs")))?;
    let end_of_args = document["process"]["arguments"].as_array().and_then(|all| all.last());
    same("argument", end_of_args, Some(&json!(FORGED)))?;
    end(bundle)
}

/// The container puts links to the host's files where `inspect` looks.
fn linked() -> Outcome {
    let mut bundle = script("exec sleep 1000")?;
    let mounts: Vec<Value> = bundle.config["mounts"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|mount| !mount["destination"].as_str().is_some_and(|place| place.starts_with("/dev")))
        .cloned()
        .collect();
    bundle.set("/mounts", json!(mounts))?;
    started(&bundle)?;
    let before = document(&bundle)?["devices"]["nodes"].to_string();
    ensure!(before.contains("/dev/null"), "{before}");
    fs::rename(bundle.rootfs("dev"), bundle.rootfs("old"))?;
    symlink("/proc/1/root/dev", bundle.rootfs("dev"))?;
    let after = document(&bundle)?["devices"]["nodes"].to_string();
    ensure!(!after.contains("tty1") && !after.contains("vda"), "the host's devices are told: {after}");
    fs::remove_file(bundle.rootfs("dev"))?;
    symlink("/old", bundle.rootfs("dev"))?;
    same("a link inside", document(&bundle)?["devices"]["nodes"].to_string(), before)?;
    end(bundle)
}

/// The container is killed while `inspect` waits in one of its calls.
fn ends() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    started(&bundle)?;
    let words = ["inspect", "--format", "json", &bundle.id];
    let inner = bundle.command(&words)?;
    let listing = bundle.path("strace");
    // It is at that call after as much time as the whole takes.
    let begun = Instant::now();
    bundle.finish(traced_in_time(&inner, &listing, None::<&str>)?)?.ok()?;
    let whole = begun.elapsed();
    let delay = format!("--inject=bpf:delay_enter={}", (2 * whole).as_micros() + 1_500_000);
    let running = bundle.start(traced_in_time(&inner, &listing, Some(&delay))?)?;
    thread::sleep(whole + Duration::from_millis(500));
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    let done = bundle.wait(running)?;
    let document: Value =
        serde_json::from_str(&done.out).map_err(|error| Failed::from(format!("{error}: {done:?}")))?;
    same("status", (&document["status"], &document["endedMeanwhile"]), (&json!("stopped"), &json!(true)))?;
    end(bundle)
}

/// The state document names a process that is another one now.
fn reused() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    started(&bundle)?;
    let path = bundle.state_root().join(&bundle.id).join("state.json");
    let whole = fs::read_to_string(&path)?;
    let pid = bundle.state()?["pid"].to_string();
    let other = std::process::id().to_string();
    fs::write(&path, whole.replacen(&format!("\"pid\":{pid}"), &format!("\"pid\":{other}"), 1))?;
    same("status", &document(&bundle)?["status"], &json!("stopped"))?;
    fs::write(&path, whole)?;
    end(bundle)
}

/// The container's state, its trace and its cgroup are as they were.
fn nothing() -> Outcome {
    let bundle = script("exec sleep 1000")?;
    started(&bundle)?;
    let look = || -> Result<String, Failed> {
        let mut all = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
        let pid = bundle.state()?["pid"].to_string();
        for name in ["mountinfo", "cgroup", "fdinfo/0", "limits", "oom_score_adj"] {
            all.push_str(&fs::read_to_string(format!("/proc/{pid}/{name}"))?);
        }
        all.push_str(&fs::read_to_string(bundle.state_root().join(&bundle.id).join("state.json"))?);
        Ok(all)
    };
    let before = look()?;
    text(&bundle)?;
    document(&bundle)?;
    bundle.call(&["inspect", "--diff", &bundle.id])?.ok()?;
    ensure!(look()? == before, "something of the container is not as it was");
    end(bundle)
}
