//! The recorder costs nobody anything: with its file full, cut off, gone, or limited, and with more calls than it holds, every
//! command does its work, and the trace says where calls are missing.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::exec::box_of_sleep;
use crate::lifecycle::bring_to;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "no_room",
        &[
            ("commands_on_a_full_state_root", || commands(256)),
            ("commands_where_the_trace_has_a_hole", || commands(40)),
            ("run_on_a_small_state_root", run_small),
            ("start_on_a_full_state_root", start_full),
            ("the_file_is_cut_off_before_start", || cut_off(b"")),
            ("the_file_is_another_versions", || cut_off(&[0xa5; 8192])),
            ("the_file_is_cut_off_while_run_records", cut_off_in_run),
            ("the_file_may_not_be_as_long", file_limit),
            ("many_commands_before_start", many),
            ("a_large_tree_is_copied", large_tree),
            ("health_checks_leave_creation_and_failure", health_checks),
            ("all_traces_together_are_bounded", bounded),
            ("no_trace_is_kept_where_none_is_wanted", none_wanted),
        ],
    )
}

/// A state root on a tmpfs of this size; nothing else shares its room.
struct Small {
    at: PathBuf,
}

impl Small {
    fn new(bundle: &Bundle, kib: usize) -> Result<Small, Failed> {
        let at = bundle.state_root();
        fs::create_dir_all(&at)?;
        let data = format!("size={kib}k");
        mount(Some("tmpfs"), &at, Some("tmpfs"), MsFlags::empty(), Some(data.as_str()))?;
        Ok(Small { at })
    }

    /// Takes all the room that is left.
    fn fill(&self) -> Outcome {
        let filled = fs::write(self.at.join("filler"), vec![1; 64 << 20]);
        ensure!(filled.is_err(), "a file of 64 MiB found room in {:?}", self.at);
        Ok(())
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
    }
}

fn ok(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    let done = bundle.call(words)?;
    ensure!(done.status == 0, "{words:?}: {done:?}");
    Ok(done)
}

/// What runc does on a full disk, for a container that runs.
fn commands(kib: usize) -> Outcome {
    let bundle = box_of_sleep()?;
    let small = Small::new(&bundle, kib)?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    small.fill()?;
    let id = bundle.id.clone();
    ok(&bundle, &["state", &id])?;
    ok(&bundle, &["exec", &id, "true"])?;
    same("the status of a program", bundle.call(&["exec", &id, "false"])?.status, 1)?;
    ok(&bundle, &["ps", &id])?;
    ok(&bundle, &["list"])?;
    ok(&bundle, &["events", "--stats", &id])?;
    ok(&bundle, &["pause", &id])?;
    same("after pause", bundle.status()?, "paused".into())?;
    ok(&bundle, &["resume", &id])?;
    fs::write(bundle.path("update.json"), json!({"unified": {"cgroup.max.depth": "5"}}).to_string())?;
    let file = bundle.path("update.json").to_string_lossy().into_owned();
    ok(&bundle, &["update", "--resources", &file, &id])?;
    ok(&bundle, &["trace", &id])?;
    ok(&bundle, &["kill", &id, "KILL"])?;
    bundle.until("stopped")?;
    ok(&bundle, &["delete", &id])?;
    // And a container that is ended by force.
    drop(small);
    let small = Small::new(&bundle, kib)?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    small.fill()?;
    ok(&bundle, &["delete", "--force", &id])?;
    drop(small);
    bundle.clean()
}

/// The work is done, or the one line names the state's document, for which there is no room; never a signal.
fn run_small() -> Outcome {
    for kib in (4..80).step_by(4) {
        let bundle = Bundle::shell("exit 7")?;
        let small = Small::new(&bundle, kib)?;
        let done = bundle.bundled(&["run"])?;
        match done.status {
            7 => {}
            1 => ensure!(done.err.contains("ENOSPC") && done.messages() == 1, "{kib} KiB: {done:?}"),
            _ => return Err(format!("{kib} KiB: {done:?}").into()),
        }
        ensure!(kib < 48 || done.status == 7, "{kib} KiB are room enough: {done:?}");
        let trace = bundle.call(&["trace", "--all", &bundle.id])?.ok()?.out;
        let kept = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out.lines().count();
        ensure!(kept > 10, "{kib} KiB: only {kept} calls are kept");
        ensure!(
            trace.contains("calls are not on record here") || trace.contains("execve("),
            "{kib} KiB: the trace does not say that calls are missing: {trace}"
        );
        drop(small);
        bundle.clean()?;
    }
    Ok(())
}

/// Nothing can be written, and the container runs all the same.
fn start_full() -> Outcome {
    let bundle = box_of_sleep()?;
    let small = Small::new(&bundle, 64)?;
    bring_to(&bundle, "created")?;
    small.fill()?;
    ok(&bundle, &["kill", &bundle.id, "0"])?;
    ok(&bundle, &["start", &bundle.id])?;
    same("after start", bundle.status()?, "running".into())?;
    ok(&bundle, &["delete", "--force", &bundle.id])?;
    drop(small);
    bundle.clean()
}

/// Somebody overwrites the trace of a created container, whose first process has it mapped.
fn cut_off(bytes: &[u8]) -> Outcome {
    let bundle = box_of_sleep()?;
    bring_to(&bundle, "created")?;
    fs::write(bundle.state_root().join(&bundle.id).join("trace"), bytes)?;
    same("before start", bundle.status()?, "created".into())?;
    ok(&bundle, &["start", &bundle.id])?;
    same("after start", bundle.status()?, "running".into())?;
    ok(&bundle, &["exec", &bundle.id, "true"])?;
    let done = bundle.call(&["delete", &bundle.id])?;
    ensure!(done.status == 1, "delete of a running container: {done:?}");
    ok(&bundle, &["delete", "--force", &bundle.id])?;
    bundle.clean()
}

/// A hook empties it: what comes next in both lanes finds no page.
fn cut_off_in_run() -> Outcome {
    for hook in ["createRuntime", "createContainer", "startContainer", "poststart"] {
        let mut bundle = Bundle::shell("exit 7")?;
        let trace = bundle.state_root().join(&bundle.id).join("trace");
        let empty = format!("p=/proc/1/root; : > {}", trace.display());
        // In the container's mount namespace the file has no path: there the hook only takes its time.
        let script = match hook {
            "createRuntime" | "poststart" => empty,
            _ => "true".into(),
        };
        let one = match hook {
            "startContainer" => json!({"path": "/bin/sh", "args": ["sh", "-c", "true"]}),
            _ => json!({"path": "/bin/sh", "args": ["sh", "-c", script]}),
        };
        bundle.set("/hooks", json!({hook: [one]}))?;
        let done = bundle.bundled(&["run"])?;
        same(&format!("{hook}: {done:?}"), done.status, 7)?;
        bundle.clean()?;
    }
    Ok(())
}

/// RLIMIT_FSIZE: the kernel would send SIGXFSZ (setrlimit(2)).
fn file_limit() -> Outcome {
    for limit in ["1024000", "65536", "4096", "0"] {
        let bundle = Bundle::shell("exit 7")?;
        bundle.write_config()?;
        let mut command = Command::new(tool("prlimit")?);
        command.arg(format!("--fsize={limit}")).arg(runtime()).arg("--root").arg(bundle.state_root()).args([
            "run",
            "--bundle",
            &bundle.path("").to_string_lossy(),
            &bundle.id,
        ]);
        let done = bundle.finish(command)?;
        match limit {
            // Standard error is a file here, too.
            "0" => same(&format!("a limit of {limit}: {done:?}"), done.status, 1)?,
            _ => same(&format!("a limit of {limit}: {done:?}"), done.status, 7)?,
        }
        if limit == "1024000" {
            let trace = bundle.call(&["trace", &bundle.id])?.ok()?.out;
            ensure!(trace.contains("pivot_root"), "written when the command ended: {trace}");
        }
        bundle.clean()?;
    }
    Ok(())
}

/// More records than there is room for.
fn many() -> Outcome {
    let bundle = box_of_sleep()?;
    bring_to(&bundle, "created")?;
    for _ in 0..300 {
        ok(&bundle, &["kill", &bundle.id, "0"])?;
    }
    ok(&bundle, &["start", &bundle.id])?;
    same("after start", bundle.status()?, "running".into())?;
    let trace = ok(&bundle, &["trace", &bundle.id])?.out;
    ensure!(trace.contains("pivot_root") && trace.contains("execve("), "the container's creation is still on record");
    ok(&bundle, &["delete", "--force", &bundle.id])?;
    bundle.clean()
}

/// `tmpcopyup` makes a dozen calls a file: they do not push out what comes after.
fn large_tree() -> Outcome {
    let mut bundle = Bundle::shell("exit 7")?;
    fs::create_dir_all(bundle.rootfs("tree"))?;
    for number in 0..9000 {
        fs::write(bundle.rootfs(&format!("tree/{number}")), "x")?;
    }
    bundle.set(
        "/mounts/-",
        json!({"destination": "/tree", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}),
    )?;
    let done = bundle.bundled(&["run"])?;
    same(&format!("{done:?}"), done.status, 7)?;
    let trace = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    ensure!(
        trace.contains("calls are not on record here") && trace.contains("execve("),
        "the trace names what is missing, and has the end"
    );
    bring_to(&bundle, "created")?;
    ok(&bundle, &["start", &bundle.id])?;
    bundle.until("stopped")?;
    ok(&bundle, &["delete", &bundle.id])?;
    bundle.clean()
}

fn health_checks() -> Outcome {
    let bundle = box_of_sleep()?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    let failing = bundle.call(&["exec", &bundle.id, "nosuch"])?;
    same("the status of a program that is not there", failing.status, 255)?;
    for _ in 0..60 {
        ok(&bundle, &["exec", &bundle.id, "true"])?;
    }
    let trace = ok(&bundle, &["trace", &bundle.id])?.out;
    for word in ["pivot_root", "nosuch"] {
        ensure!(trace.contains(word), "{word} is not on record any more");
    }
    let dir = bundle.state_root().join(&bundle.id);
    let taken = size_of_all(&dir)?;
    ensure!(taken < 700 << 10, "60 commands and the creation take {taken} bytes");
    let text = ok(&bundle, &["trace", "--format", "json", &bundle.id])?.out;
    let mut numbers = std::collections::BTreeSet::new();
    for line in text.lines() {
        let record: serde_json::Value = serde_json::from_str(line)?;
        ensure!(numbers.insert(record["seq"].as_u64()), "a number twice: {line}");
    }
    ok(&bundle, &["delete", "--force", &bundle.id])?;
    let trace = ok(&bundle, &["trace", &bundle.id])?.out;
    for word in ["pivot_root", "nosuch", "SIGKILL"] {
        ensure!(trace.contains(word), "{word} is not on record after delete");
    }
    bundle.clean()
}

/// What the files below a directory take on the disk.
fn size_of_all(dir: &Path) -> Result<u64, Failed> {
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        total += match entry.file_type()?.is_dir() {
            true => size_of_all(&entry.path())?,
            false => entry.metadata()?.blocks() * 512,
        };
    }
    Ok(total)
}

fn bounded() -> Outcome {
    let bundle = box_of_sleep()?;
    let mut short = bundle.config.clone();
    short["process"]["args"] = json!(["true"]);
    fs::write(bundle.path("short.json"), short.to_string())?;
    let file = bundle.path("short.json").to_string_lossy().into_owned();
    let here = bundle.path("").to_string_lossy().into_owned();
    for number in 0..20 {
        let id = format!("{}-{number}", bundle.id);
        let words = ["run", "--bundle", &here, "--config", &file, &id];
        ok(&bundle, &[&["--trace-limit", "256k"], &words[..]].concat())?;
    }
    let taken = size_of_all(&bundle.state_root())?;
    ensure!(taken <= 256 << 10, "20 traces take {taken} bytes");
    ok(&bundle, &["trace", &format!("{}-19", bundle.id)])?;
    bundle.call(&["trace", &format!("{}-0", bundle.id)])?.refused("")?;
    // Traces of containers that run count, too, and those that are gone make room for them.
    bundle.bundled(&["run", "-d"])?.ok()?;
    for _ in 0..40 {
        ok(&bundle, &["--trace-limit", "256k", "exec", &bundle.id, "true"])?;
    }
    let taken = size_of_all(&bundle.state_root())?;
    ensure!(taken <= 384 << 10, "with a container that runs: {taken} bytes");
    ok(&bundle, &["delete", "--force", &bundle.id])?;
    bundle.clean()
}

fn none_wanted() -> Outcome {
    let bundle = box_of_sleep()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let call = |words: &[&str]| -> Result<Done, Failed> {
        let mut command = bundle.command(words)?;
        command.env("NK_TRACE_LIMIT", "0");
        let done = bundle.finish(command)?;
        ensure!(done.status == 0, "{words:?}: {done:?}");
        Ok(done)
    };
    call(&["create", "--bundle", &here, &bundle.id])?;
    call(&["start", &bundle.id])?;
    let shown = call(&["--trace", "exec", &bundle.id, "true"])?;
    ensure!(shown.err.contains("setns("), "a trace is shown all the same: {shown:?}");
    let dir = bundle.state_root().join(&bundle.id);
    for entry in fs::read_dir(&dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ensure!(!name.starts_with("trace"), "{name} is kept");
    }
    call(&["delete", "--force", &bundle.id])?;
    bundle.call(&["trace", &bundle.id])?.refused("no trace of it is kept")?;
    bundle.clean()
}
