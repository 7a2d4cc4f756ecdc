//! What commands print that need no container: version, help, spec, features. Engines read the first and the last.

use crate::bundle::Bundle;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::Value;
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "words",
        &[
            ("version", version),
            ("help_of_all_and_of_each_command", help),
            ("checkpoint_help_is_refused", checkpoint),
            ("spec_is_a_bundle_that_runs", spec),
            ("spec_keeps_a_config_that_is_there", spec_keeps),
            ("features_is_the_oci_document", features),
            ("output_that_nobody_reads", closed_pipe),
        ],
    )
}

fn version() -> Outcome {
    let bundle = Bundle::plain()?;
    for word in ["--version", "-v"] {
        let out = bundle.call(&[word])?.ok()?.out;
        let mut lines = out.lines();
        ensure!(lines.next().is_some_and(|line| line.starts_with("nk-runtime version ")), "{out}");
        ensure!(out.contains("\ncommit: ") && out.contains("\nspec: 1."), "{out}");
    }
    bundle.clean()
}

fn help() -> Outcome {
    let bundle = Bundle::plain()?;
    let all = bundle.call(&["--help"])?.ok()?.out;
    for command in "create start run kill delete state list trace plan features demo spec".split(' ') {
        ensure!(all.contains(command), "--help does not name {command}");
        let one = bundle.call(&[command, "--help"])?.ok()?.out;
        ensure!(one.contains(command) && one.contains("--help"), "{command} --help: {one}");
    }
    bundle.clean()
}

/// Podman takes an exit status of 0 for the promise that checkpoints work.
fn checkpoint() -> Outcome {
    let bundle = Bundle::plain()?;
    let done = bundle.call(&["checkpoint", "--help"])?;
    ensure!(done.status == 1 && done.out.is_empty(), "{done:?}");
    bundle.clean()
}

fn spec() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.call(&["spec", "--bundle", &bundle.path("").to_string_lossy()])?.ok()?;
    let token = bundle.config["process"]["env"][2].take();
    bundle.config = serde_json::from_str(&fs::read_to_string(bundle.path("config.json"))?)?;
    bundle.set("/process/args", serde_json::json!(["hostname"]))?;
    bundle.set("/process/env/-", token)?;
    let wanted = bundle.config["hostname"].as_str().unwrap_or("none").to_owned();
    same("the program's output", bundle.bundled(&["run"])?.ok()?.out.trim(), &wanted)?;
    bundle.clean()
}

fn spec_keeps() -> Outcome {
    let bundle = Bundle::plain()?;
    fs::write(bundle.path("config.json"), "mine")?;
    bundle.call(&["spec", "--bundle", &bundle.path("").to_string_lossy()])?.refused("config.json")?;
    same("config.json", fs::read_to_string(bundle.path("config.json"))?, "mine".into())?;
    bundle.clean()
}

fn features() -> Outcome {
    let bundle = Bundle::plain()?;
    let document: Value = serde_json::from_str(&bundle.call(&["features"])?.ok()?.out)?;
    let texts = |pointer: &str| -> Vec<String> {
        let list = document.pointer(pointer).and_then(Value::as_array).into_iter().flatten();
        list.filter_map(Value::as_str).map(String::from).collect()
    };
    ensure!(document["ociVersionMin"].is_string() && document["ociVersionMax"].is_string(), "{document}");
    let namespaces = texts("/linux/namespaces");
    for kind in ["pid", "network", "ipc", "uts", "mount", "cgroup"] {
        ensure!(namespaces.iter().any(|one| one == kind), "/linux/namespaces lacks {kind}: {namespaces:?}");
    }
    let options = texts("/mountOptions");
    for option in ["ro", "nosuid", "rbind", "rro"] {
        ensure!(options.iter().any(|one| one == option), "/mountOptions lacks {option}: {options:?}");
    }
    ensure!(texts("/linux/capabilities").iter().any(|one| one == "CAP_KILL"), "/linux/capabilities lacks CAP_KILL");
    // Annotations of config.json that change what is done: systemd's and crun's, and no others.
    let unsafe_ones = texts("/potentiallyUnsafeConfigAnnotations");
    same("unsafe", unsafe_ones, vec!["org.systemd.property.".into(), "run.oci.".into()])?;
    for pointer in ["/linux/seccomp/enabled", "/linux/mountExtensions/idmap/enabled"] {
        // Without the second, containerd offers no user namespaces to pods.
        ensure!(document.pointer(pointer) == Some(&Value::Bool(true)), "{pointer} is not promised");
    }
    bundle.clean()
}

/// As after `trace ID | head`: the command ends as other tools do then, without a word.
fn closed_pipe() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    for words in [&["trace", &bundle.id][..], &["explain", "--book"], &["features"], &["list"], &["--help"]] {
        let (reader, writer) = std::io::pipe()?;
        drop(reader);
        let mut command = bundle.command(words)?;
        let done = command.stdout(writer).stderr(std::process::Stdio::piped()).spawn()?.wait_with_output()?;
        same(words[0], (done.status.code(), String::from_utf8(done.stderr)?.as_str()), (Some(141), ""))?;
    }
    bundle.clean()
}
