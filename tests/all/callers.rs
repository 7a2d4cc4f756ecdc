//! What a caller brings along, on purpose or not: environment, descriptors, signals. Only what was asked for reaches the
//! program.

use crate::bundle::{Bundle, runtime};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "callers",
        &[
            ("default_state_root", default_root),
            ("caller_without_environment", no_environment),
            ("closed_descriptors_0_to_2", closed_descriptors),
            ("callers_descriptor_7_stays_outside", leaked_descriptor),
            ("preserve_fds_hands_on", preserve_fds),
            ("blocked_and_ignored_signals_stay_outside", clean_signals),
        ],
    )
}

/// Without --root: /run/nano-sandbox for root. The view's /run is the tests' own.
fn default_root() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bundle.write_config()?;
    let call = |words: &[&str]| {
        let mut command = Command::new(runtime());
        command.args(words).current_dir(bundle.path(""));
        // Podman's way to say that there is none.
        command.env_clear().env("XDG_RUNTIME_DIR", "");
        bundle.finish(command)
    };
    call(&["create", &bundle.id])?.ok()?;
    let state = format!("/run/nano-sandbox/{}/state.json", bundle.id);
    let document = fs::read_to_string(&state);
    call(&["delete", "--force", &bundle.id])?.ok()?;
    let document: Value =
        serde_json::from_str(&document.map_err(|error| format!("{state}: {error}"))?)?;
    let wanted = ["id", "bundle_path", "state", "mode", "pid"];
    ensure!(
        wanted.iter().all(|key| !document[key].is_null()),
        "{state} lacks one of {wanted:?}: {document}"
    );
    ensure!(
        !std::path::Path::new(&state).exists(),
        "{state} is still there"
    );
    bundle.clean()
}

fn no_environment() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    bundle.write_config()?;
    let mut command = bundle.command(&[
        "run",
        "--bundle",
        &bundle.path("").to_string_lossy(),
        &bundle.id,
    ])?;
    command.env_clear();
    let report: Value = serde_json::from_str(&bundle.finish(command)?.ok()?.out)?;
    ensure!(
        report["env"].to_string().contains("PATH="),
        "the program's environment: {}",
        report["env"]
    );
    bundle.clean()
}

/// Calls `run` through a shell that arranges descriptors; the report goes to a file in the rootfs.
fn report_with(redirections: &str, words: &[&str]) -> Result<(Bundle, Value), Failed> {
    let mut bundle = Bundle::reporter(&["--out", "/report"])?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.write_config()?;
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(format!("exec \"$@\" {redirections}"))
        .arg("sh")
        .arg(runtime());
    command
        .arg("--root")
        .arg(bundle.state_root())
        .arg("run")
        .args(words);
    command
        .arg("--bundle")
        .arg(bundle.path(""))
        .arg(&bundle.id)
        .current_dir("/");
    let done = bundle.finish(command)?;
    same("run's status", done.status, 0)?;
    let report = serde_json::from_str(&fs::read_to_string(bundle.rootfs("report"))?)?;
    Ok((bundle, report))
}

fn keys(map: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = map
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str())
        .collect();
    keys.sort();
    keys
}

fn closed_descriptors() -> Outcome {
    let (bundle, report) = report_with("0<&- 1>&- 2>&-", &[])?;
    same(
        "descriptors inside",
        keys(&report["fds"]),
        vec!["0", "1", "2"],
    )?;
    for (number, target) in report["fds"].as_object().into_iter().flatten() {
        same(
            &format!("descriptor {number}"),
            target.as_str(),
            Some("/dev/null"),
        )?;
    }
    bundle.clean()
}

fn leaked_descriptor() -> Outcome {
    let (bundle, report) = report_with("7</etc 9</etc/hostname 0</dev/null", &[])?;
    same(
        "descriptors inside",
        keys(&report["fds"]),
        vec!["0", "1", "2"],
    )?;
    bundle.clean()
}

fn preserve_fds() -> Outcome {
    let (bundle, report) = report_with(
        "3</dev/zero 4</dev/full 5</etc/hostname",
        &["--preserve-fds", "2"],
    )?;
    same(
        "descriptors inside",
        keys(&report["fds"]),
        vec!["0", "1", "2", "3", "4"],
    )?;
    let (three, four) = (&report["fds"]["3"], &report["fds"]["4"]);
    ensure!(
        three.to_string().contains("zero") && four.to_string().contains("full"),
        "3 is {three}, 4 is {four}"
    );
    bundle.clean()
}

fn clean_signals() -> Outcome {
    let mut bundle = Bundle::reporter(&["--out", "/report"])?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.write_config()?;
    // The shell ignores them; what is started inherits that.
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg("trap '' USR2 PIPE HUP; exec \"$@\"")
        .arg("sh")
        .arg(runtime());
    command.arg("--root").arg(bundle.state_root()).arg("run");
    command
        .arg("--bundle")
        .arg(bundle.path(""))
        .arg(&bundle.id)
        .current_dir("/");
    bundle.finish(command)?.ok()?;
    let report: Value = serde_json::from_str(&fs::read_to_string(bundle.rootfs("report"))?)?;
    let ignored =
        |key: &str| u64::from_str_radix(report["status"][key].as_str().unwrap_or("?"), 16);
    // The reporter's own libc ignores SIGPIPE (bit 12) and nothing else.
    same("ignored inside", ignored("SigIgn")? & !(1 << 12), 0)?;
    same("blocked inside", ignored("SigBlk")?, 0)?;
    bundle.clean()
}
