//! The life of a container as its callers see it: each command in each state, what it prints, what it returns. The
//! failures are in `lifecycle::errors`, what a caller brings along in `callers`.

pub mod errors;
pub mod kept;
pub mod memory;
pub mod random_ends;
pub mod same_as_runc;
pub mod signals;
pub mod states;

use crate::bundle::{Bundle, Done, patiently, runtime};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "lifecycle",
        &[
            ("create_start_kill_delete", whole_life),
            ("what_each_state_allows", matrix),
            ("state_document_is_that_of_runc", state_document),
            ("stopped_container_has_pid_0", stopped_pid),
            ("pid_file_holds_digits_only", pid_file),
            ("run_returns_0", || run_returns(&["--quiet"], 0)),
            ("run_returns_42", || run_returns(&["--quiet", "--exit", "42"], 42)),
            ("run_returns_137_when_the_program_is_killed", run_killed),
            ("run_returns_137_when_the_program_kills_itself", run_suicide),
            ("run_passes_sigterm_on", run_forwards),
            ("run_detach_leaves_it_running", run_detach),
            ("run_keep_leaves_it_stopped", run_keep),
            ("run_deletes", run_deletes),
            ("start_attach_returns_the_programs_status", start_attach),
            ("list_knows_all", list),
            ("kill_takes_names_and_numbers", kill_spellings),
            ("kill_all_reaches_every_process", kill_all),
            ("delete_of_a_created_container_ends_it", delete_created),
            ("delete_force_ends_what_runs", delete_force),
            ("delete_force_of_an_unknown_id_is_silent", delete_force_unknown),
            ("edits_after_create_have_no_effect", edits_after_create),
        ],
    )
}

fn whole_life() -> Outcome {
    let bundle = Bundle::reporter(&["--on-term", "7"])?;
    same("create's stdout", bundle.bundled(&["create"])?.ok()?.out, String::new())?;
    same("after create", bundle.status()?, "created".into())?;
    let pid = bundle.state()?["pid"].as_i64().unwrap_or(0);
    ensure!(pid > 1, "a created container has a pid: {pid}");
    bundle.call(&["start", &bundle.id])?.ok()?;
    same("after start", bundle.status()?, "running".into())?;
    same("start keeps the pid", bundle.state()?["pid"].as_i64().unwrap_or(0), pid)?;
    // The report is out once the handler's signal is blocked; before, SIGTERM would not be waited for.
    patiently("the report", || Ok(said(&bundle).contains("\"pid\":1")))?;
    bundle.call(&["kill", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.call(&["state", &bundle.id])?.refused("container does not exist")?;
    bundle.clean()
}

/// All that the commands and the container of this bundle have said so far.
fn said(bundle: &Bundle) -> String {
    let entries = fs::read_dir(bundle.path("said")).into_iter().flatten().flatten();
    entries.map(|entry| fs::read_to_string(entry.path()).unwrap_or_default()).collect()
}

/// For each state: which commands succeed, and what the refusals say.
fn matrix() -> Outcome {
    let table: [(&str, &[(&str, &str)]); 3] = [
        ("created", &[("create", "already exists")]),
        ("running", &[("create", "already exists"), ("start", ""), ("delete", "that is not stopped: running")]),
        ("stopped", &[("create", "already exists"), ("start", ""), ("kill", "container not running")]),
    ];
    for (state, refusals) in table {
        let bundle = Bundle::reporter(&["--sleep"])?;
        bring_to(&bundle, state)?;
        for (command, words) in refusals {
            let done = match *command {
                "create" => bundle.bundled(&["create"])?,
                command => bundle.call(&[command, &bundle.id])?,
            };
            done.refused(words).map_err(|failed| within(state, command, failed))?;
            same("a refused command changes nothing", bundle.status()?, state.into())?;
        }
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

fn within(state: &str, command: &str, failed: Failed) -> Failed {
    format!("{command} in the state {state}: {}", failed.message().unwrap_or("")).into()
}

pub fn bring_to(bundle: &Bundle, state: &str) -> Outcome {
    bundle.bundled(&["create"])?.ok()?;
    if state != "created" {
        bundle.call(&["start", &bundle.id])?.ok()?;
    }
    if state == "stopped" {
        bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    }
    bundle.until(state)
}

fn state_document() -> Outcome {
    let mut bundle = Bundle::reporter(&["--sleep"])?;
    bundle.set("/annotations", json!({ "org.example.key": "value" }))?;
    bring_to(&bundle, "running")?;
    let state = bundle.state()?;
    let text = |key: &str| state[key].as_str().unwrap_or("").to_owned();
    same("id", text("id"), bundle.id.clone())?;
    same("status", text("status"), "running".into())?;
    let folder = bundle.path("").canonicalize()?;
    same("bundle", text("bundle"), folder.to_string_lossy().into())?;
    same("rootfs", text("rootfs"), folder.join("rootfs").to_string_lossy().into())?;
    same("annotations", &state["annotations"], &json!({ "org.example.key": "value" }))?;
    ensure!(text("ociVersion").starts_with("1."), "ociVersion: {state}");
    ensure!(state["pid"].as_u64().is_some_and(|pid| pid > 1), "pid: {state}");
    ensure!(state["owner"].is_string(), "owner is a string: {state}");
    let created = text("created");
    ensure!(created.len() >= 20 && created.as_bytes()[10] == b'T' && created.ends_with('Z'), "created: {created}");
    let keys = ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner", "annotations"];
    // CRI-O reads these with types of its own.
    let others = ["exitCode", "oomKilled", "initPid", "finished"];
    ensure!(keys.iter().all(|key| !state[key].is_null()), "a key is missing: {state}");
    ensure!(others.iter().all(|key| state[key].is_null()), "a key that others use otherwise: {state}");
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn stopped_pid() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    same("pid", bundle.state()?["pid"].as_i64(), Some(0))?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn pid_file() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    let file = bundle.path("pid");
    bundle.bundled(&["create", "--pid-file", &file.to_string_lossy()])?.ok()?;
    let pid = bundle.state()?["pid"].as_u64().unwrap_or(0);
    same("the pid file", fs::read_to_string(&file)?, pid.to_string())?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn run_returns(words: &[&str], status: i32) -> Outcome {
    let bundle = Bundle::reporter(words)?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status == status && done.err.is_empty() && done.out.is_empty(), "status {status} wanted: {done:?}");
    bundle.clean()
}

fn run_killed() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    let running = run_until_report(&bundle, &[])?;
    bundle.call(&["kill", &bundle.id, "SIGKILL"])?.ok()?;
    let done = bundle.wait(running)?;
    same("the status", done.status, 137)?;
    bundle.clean()
}

/// Starts `run` and waits for the reporter's first words.
fn run_until_report(bundle: &Bundle, words: &[&str]) -> Result<crate::bundle::Running, Failed> {
    bundle.write_config()?;
    let here = bundle.path("");
    let here = here.to_string_lossy();
    let words = [&["run", "--bundle", &here], words, &[bundle.id.as_str()]].concat();
    let mut running = bundle.start(bundle.command(&words)?)?;
    patiently("the report", || {
        let (out, err) = running.said();
        if let Some(status) = running.child.try_wait()? {
            return Err(format!("run ended with {status} before the report: {err}").into());
        }
        Ok(out.ends_with('\n'))
    })?;
    Ok(running)
}

/// Without a pid namespace: pid 1 of one cannot kill itself.
fn run_suicide() -> Outcome {
    let mut bundle = Bundle::reporter(&["--quiet", "--kill-self", "9"])?;
    without_namespace(&mut bundle, "pid");
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status == 137 && done.err.is_empty(), "status 137 wanted: {done:?}");
    bundle.clean()
}

pub fn without_namespace(bundle: &mut Bundle, kind: &str) {
    if let Some(Value::Array(all)) = bundle.config.pointer_mut("/linux/namespaces") {
        all.retain(|one| one["type"] != kind);
    }
}

fn run_forwards() -> Outcome {
    let bundle = Bundle::reporter(&["--on-term", "33"])?;
    let running = run_until_report(&bundle, &[])?;
    kill(Pid::from_raw(running.child.id() as i32), Signal::SIGTERM)?;
    same("the status", bundle.wait(running)?.status, 33)?;
    bundle.clean()
}

fn run_detach() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    same("after run --detach", bundle.status()?, "running".into())?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn run_keep() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet", "--exit", "3"])?;
    let done = bundle.bundled(&["run", "--keep"])?;
    same("run's status", done.status, 3)?;
    same("after run --keep", bundle.status()?, "stopped".into())?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn run_deletes() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    for words in [&["run"][..], &["run", "--rm"][..]] {
        if words.contains(&"--rm") && !runtime().ends_with("nk-runtime") {
            continue; // runc's run knows no --rm
        }
        bundle.bundled(words)?.ok()?;
        bundle.call(&["state", &bundle.id])?.refused("container does not exist")?;
        bundle.nothing_left()?;
    }
    bundle.clean()
}

fn start_attach() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet", "--exit", "9"])?;
    bundle.bundled(&["create"])?.ok()?;
    let done = bundle.call(&["start", "--attach", &bundle.id])?;
    ensure!(done.status == 9 && done.err.is_empty(), "status 9 wanted: {done:?}");
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn list() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    let empty = bundle.call(&["list", "--format", "json"])?.ok()?;
    ensure!(["[]", "null"].contains(&empty.out.trim()), "no container, no entry: {empty:?}");
    bring_to(&bundle, "running")?;
    let json: Value = serde_json::from_str(&bundle.call(&["list", "--format", "json"])?.ok()?.out)?;
    same("the number of containers", json.as_array().map(Vec::len), Some(1))?;
    let (entry, state) = (&json[0], bundle.state()?);
    for key in ["ociVersion", "id", "pid", "status", "bundle", "rootfs", "created", "owner"] {
        same(key, &entry[key], &state[key])?;
    }
    let names = bundle.call(&["list", "--quiet"])?.ok()?;
    same("list --quiet", names.out.trim(), bundle.id.as_str())?;
    let table = bundle.call(&["list"])?.ok()?.out;
    let mut lines = table.lines();
    let head = lines.next().unwrap_or("");
    ensure!(["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"].iter().all(|word| head.contains(word)), "{head}");
    let row: Vec<&str> = lines.next().unwrap_or("").split_whitespace().collect();
    same("the row", row.get(..3).unwrap_or(&[]), &[bundle.id.as_str(), &state["pid"].to_string(), "running"][..])?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn kill_spellings() -> Outcome {
    for spelling in ["9", "KILL", "SIGKILL", "sigkill"] {
        let bundle = Bundle::reporter(&["--sleep"])?;
        bring_to(&bundle, "running")?;
        bundle.call(&["kill", &bundle.id, spelling])?.ok()?;
        bundle.until("stopped")?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "running")?;
    for wrong in ["NOSUCH", "-1", "4711"] {
        let done = bundle.call(&["kill", &bundle.id, wrong])?;
        ensure!(done.status != 0 && !done.err.is_empty(), "kill {wrong}: {done:?}");
    }
    same("after three wrong signals", bundle.status()?, "running".into())?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// In the host's pid namespace the kernel ends nobody for us.
fn kill_all() -> Outcome {
    let mut bundle = Bundle::shell("sleep 1000 & sleep 1000 & wait")?;
    without_namespace(&mut bundle, "pid");
    bring_to(&bundle, "running")?;
    patiently("three processes", || Ok(crate::host::processes(&bundle.id).len() == 3))?;
    bundle.call(&["kill", "--all", &bundle.id, "KILL"])?.ok()?;
    patiently("none of them", || Ok(crate::host::processes(&bundle.id).is_empty()))?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

/// As runc has it: nothing of the program ran yet that could be lost.
fn delete_created() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "created")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn delete_force() -> Outcome {
    for state in ["created", "running", "stopped"] {
        let bundle = Bundle::reporter(&["--sleep"])?;
        bring_to(&bundle, state)?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.call(&["state", &bundle.id])?.refused("container does not exist")?;
        bundle.clean()?;
    }
    Ok(())
}

fn delete_force_unknown() -> Outcome {
    let bundle = Bundle::plain()?;
    let Done { status, out, err } = bundle.call(&["delete", "--force", "nobody"])?;
    same("status, stdout, stderr", (status, out.as_str(), err.as_str()), (0, "", ""))?;
    bundle.clean()
}

fn edits_after_create() -> Outcome {
    let mut bundle = Bundle::reporter(&["--out", "/report", "--exit", "0"])?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.set("/process/args", json!(["/reporter", "--out", "/edited"]))?;
    bundle.set("/hostname", json!("edited"))?;
    bundle.write_config()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    let report: Value = serde_json::from_str(&fs::read_to_string(bundle.rootfs("report"))?)?;
    same("hostname", report["hostname"].as_str(), Some("runc"))?;
    ensure!(!bundle.rootfs("edited").exists(), "the edited arguments took effect");
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}
