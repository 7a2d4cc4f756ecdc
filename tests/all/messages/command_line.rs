//! Words that callers of runc and crun write: patterns, several containers at once, and what engines ask of a runtime.

use crate::bundle::{Bundle, Done};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "command_line",
        &[
            ("kill_and_delete_take_patterns", patterns),
            ("kill_and_delete_take_several_ids", several),
            ("patterns_mean_what_is_there", nothing_fits),
            ("spec_writes_the_file_that_is_named", spec),
            ("create_takes_no_subreaper", no_subreaper),
            ("version_is_what_clients_parse", version),
            ("features_says_what_config_may_hold", features),
            ("update_takes_shares_of_cache_and_bandwidth", shares),
        ],
    )
}

/// Three containers that wait, and their ids.
fn three() -> Result<(Bundle, [String; 3]), Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.write_config()?;
    let ids = ["web1", "web2", "db"].map(|name| format!("{}{name}", bundle.id));
    for id in &ids {
        let here = bundle.path("").to_string_lossy().into_owned();
        bundle.call(&["run", "--detach", "--bundle", &here, id])?.ok()?;
    }
    Ok((bundle, ids))
}

fn status(bundle: &Bundle, id: &str) -> Result<String, Failed> {
    let done = bundle.call(&["state", id])?;
    match serde_json::from_str::<Value>(&done.out) {
        Ok(state) => Ok(state["status"].as_str().unwrap_or("").into()),
        Err(_) => Ok("gone".into()),
    }
}

/// A signal takes a moment.
fn stops(bundle: &Bundle, id: &str) -> Outcome {
    crate::bundle::patiently(&format!("the end of {id}"), || Ok(status(bundle, id)? == "stopped"))
}

fn list(bundle: &Bundle) -> Result<Vec<String>, Failed> {
    let done = bundle.call(&["list", "--quiet"])?.ok()?;
    Ok(done.out.lines().map(String::from).collect())
}

fn patterns() -> Outcome {
    let (bundle, ids) = three()?;
    bundle.call(&["kill", "-r", "web[0-9]$", "KILL"])?.ok()?;
    stops(&bundle, &ids[0])?;
    stops(&bundle, &ids[1])?;
    same("the third", status(&bundle, &ids[2])?.as_str(), "running")?;
    // What has ended is among those that the pattern fits.
    bundle.call(&["kill", "--regex", ".", "0"])?.ok()?;
    let done = bundle.call(&["delete", "-r", "."])?;
    let done = done.refused(&format!("cannot delete container {} that is not stopped: running", ids[2]))?;
    same("lines", done.messages(), 1)?;
    same("left", list(&bundle)?, vec![ids[2].clone()])?;
    bundle.call(&["delete", "-f", "-r", "^nkt.*(db|x)$"])?.ok()?;
    same("left", list(&bundle)?, Vec::new())?;
    bundle.clean()
}

fn several() -> Outcome {
    let (bundle, [a, b, c]) = three()?;
    let done = bundle.call(&["kill", &a, &b])?;
    done.refused("is no signal")?;
    for id in [&a, &b] {
        same("after that", status(&bundle, id)?.as_str(), "running")?;
    }
    let one_line = |done: Done, words: &str| -> Outcome {
        let done = done.refused(words)?;
        same("lines", done.messages(), 1)
    };
    let done = bundle.call(&["kill", &a, "nosuch", &b, "KILL"])?;
    one_line(done, "container does not exist: nosuch")?;
    stops(&bundle, &a)?;
    stops(&bundle, &b)?;
    let done = bundle.call(&["delete", "nosuch", &a, "neither", &b, &c])?;
    one_line(done, "it failed for 2 more: neither, ")?;
    same("left", list(&bundle)?, vec![c.clone()])?;
    // Each container's trace has what was done for it.
    let trace = bundle.call(&["trace", &a])?.ok()?.out;
    ensure!(trace.contains("pidfd_send_signal"), "{trace}");
    bundle.call(&["delete", "--force", "nosuch", &c])?.ok()?;
    bundle.clean()
}

fn nothing_fits() -> Outcome {
    let (bundle, ids) = three()?;
    for words in [&["kill", "-r", "nosuch"][..], &["delete", "-fr", "nosuch"]] {
        bundle.call(words)?.ok()?;
    }
    same("left", list(&bundle)?.len(), 3)?;
    for words in [&["kill", "-r", "(", "9"][..], &["delete", "-fr", "*"]] {
        bundle.call(words)?.refused("is no POSIX extended regular expression")?;
    }
    same("left", list(&bundle)?.len(), 3)?;
    // A directory without a document is no container to be signalled, and --force takes it away.
    fs::create_dir(bundle.state_root().join(format!("{}unfinished", bundle.id)))?;
    bundle.call(&["kill", "-r", "unfinished"])?.ok()?;
    bundle.call(&["delete", "-r", "unfinished"])?.ok()?;
    bundle.call(&["delete", "-r", "-f", "."])?.ok()?;
    for id in ids {
        ensure!(!bundle.state_root().join(&id).exists(), "{id} is left");
    }
    let left = bundle.state_root().join(format!("{}unfinished", bundle.id));
    ensure!(!left.exists(), "{left:?} is left");
    bundle.clean()
}

fn spec() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let here = here.trim_end_matches('/');
    bundle.call(&["spec", "-b", here, "-f", "my.json"])?.ok()?;
    let text = fs::read_to_string(bundle.path("my.json"))?;
    ensure!(!bundle.path("config.json").exists(), "config.json, too");
    let absolute = bundle.path("said/other.json").to_string_lossy().into_owned();
    bundle.call(&["spec", "--file", &absolute, "-b", here])?.ok()?;
    same("both", fs::read_to_string(&absolute)?, text)?;
    bundle.call(&["spec", "-b", here, "-f", "my.json"])?.refused("my.json exists: remove it first")?;
    let id = &bundle.id;
    let here = bundle.path("my.json").to_string_lossy().into_owned();
    let folder = bundle.path("").to_string_lossy().into_owned();
    bundle.call(&["run", "--bundle", &folder, "--config", &here, id])?.ok()?;
    bundle.clean()
}

/// crun's callers pass it. `create` ends before its container's program begins, so there is nothing to leave out.
fn no_subreaper() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.bundled(&["create", "--no-subreaper"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// dockerd looks for a line with `version` and one that begins with `commit:`; go-runc for `NAME version `, `commit: ` and
/// `spec: `, on lines of their own; podman, nerdctl and CRI-O show the text, or its first line.
fn version() -> Outcome {
    let bundle = Bundle::plain()?;
    let text = bundle.call(&["--version"])?.ok()?.out;
    for words in [&["-v"][..], &["version"], &["--root", "/x", "--version"]] {
        same("the same", bundle.call(words)?.ok()?.out, text.clone())?;
    }
    let lines: Vec<&str> = text.lines().collect();
    let version = lines[0].strip_prefix("nk-runtime version ").unwrap_or("");
    let numbers: Vec<&str> = version.split('.').collect();
    let digits = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    ensure!(numbers.len() == 3 && numbers.iter().all(digits), "{text}");
    let said = lines.iter().filter(|line| line.contains("version"));
    same("lines with a version", said.count(), 1)?;
    for key in ["commit: ", "spec: "] {
        let values = lines.iter().filter_map(|line| line.strip_prefix(key));
        let values: Vec<&str> = values.collect();
        ensure!(values.len() == 1 && !values[0].contains(' '), "{key}: {text}");
    }
    let features: Value = serde_json::from_str(&bundle.call(&["features"])?.ok()?.out)?;
    let spec = lines.iter().find_map(|line| line.strip_prefix("spec: "));
    same("spec", features["ociVersionMax"].as_str(), spec)?;
    bundle.clean()
}

fn features() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let features: Value = serde_json::from_str(&bundle.call(&["features"])?.ok()?.out)?;
    let linux = &features["linux"];
    same("rdt", &linux["intelRdt"], &json!({"enabled": true, "schemata": true}))?;
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(String::from).collect()
    };
    let modes = texts(&linux["memoryPolicy"]["modes"]);
    let flags = texts(&linux["memoryPolicy"]["flags"]);
    ensure!(modes.len() > 5 && flags.len() == 3, "{linux}");
    // What is listed is known: `plan` refuses a mode or a flag that is not.
    let plan = |bundle: &Bundle| bundle.bundled(&["plan"]);
    for mode in &modes {
        let nodes = match mode.as_str() {
            "MPOL_DEFAULT" | "MPOL_LOCAL" => "",
            _ => "0",
        };
        bundle.set("/linux/memoryPolicy", json!({"mode": mode, "nodes": nodes}))?;
        plan(&bundle)?.ok()?;
    }
    for flag in &flags {
        let policy = json!({"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]});
        bundle.set("/linux/memoryPolicy", policy)?;
        plan(&bundle)?.ok()?;
    }
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_FROB"}))?;
    plan(&bundle)?.refused("/linux/memoryPolicy/mode")?;
    let unsafe_ones = texts(&features["potentiallyUnsafeConfigAnnotations"]);
    for wanted in ["org.systemd.property.", "run.oci."] {
        ensure!(unsafe_ones.contains(&wanted.into()), "{unsafe_ones:?}");
    }
    bundle.clean()
}

/// The shares are those of a group that only a container with `intelRdt` has. No kernel of the tests can make one.
fn shares() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    for words in [
        &["--l3-cache-schema", "L3:0=f"][..],
        &["--mem-bw-schema", "MB:0=50"],
        &["--pids-limit", "9", "--mem-bw-schema", "MB:0=50"],
    ] {
        let done = bundle.call(&[&["update"], words, &[&bundle.id]].concat())?;
        done.refused("created without /linux/intelRdt")?;
    }
    let done = bundle.call(&["update", "--l3-cache-schema", "", &bundle.id])?;
    done.refused("nothing to change is named")?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}
