//! A command that failed leaves its configuration, and can be repeated.

use crate::bundle::Bundle;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

pub fn cases() -> Vec<Trial> {
    area(
        "repeated",
        &[
            ("a_run_that_failed", run),
            ("options_of_then_and_words_of_now", options),
            ("a_start_that_failed", start),
            ("a_bundle_that_is_gone", gone),
            ("what_did_not_fail_has_nothing", nothing),
            ("what_another_user_wrote_is_not_run", foreign),
            ("a_long_configuration_that_others_cannot_read", long),
        ],
    )
}

/// The configuration in a trace is the one that the command had.
fn kept(bundle: &Bundle, name: &str, args: &Value) -> Outcome {
    let printed = bundle.call(&["trace", name, "--print-config"])?.ok()?;
    let config: Value = serde_json::from_str(&printed.out)?;
    same("args", &config["process"]["args"], args)
}

fn run() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/gone"]))?;
    bundle.bundled(&["run"])?.refused("/gone")?;
    // The bundle says something else by now, and the trace what it said then.
    bundle.set("/process/args", json!(["true"]))?;
    bundle.write_config()?;
    let id = bundle.id.clone();
    kept(&bundle, &id, &json!(["/gone"]))?;
    let again = format!("{id}again");
    let done = bundle.call(&["run", "--from-trace", &id, &again])?.refused("/gone")?;
    ensure!(
        done.err.contains("config.json has changed since then: what runs is the recorded configuration"),
        "{done:?}"
    );
    // A repeated failure is kept as well.
    kept(&bundle, &again, &json!(["/gone"]))?;
    crate::bundle::copy_program(bundle.rootfs("bin/busybox"), bundle.rootfs("gone"))?;
    let done = bundle.call(&["run", "--from-trace", &again, &again])?;
    ensure!(done.err.contains("applet not found"), "{done:?}");
    bundle.clean()
}

fn options() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/gone"]))?;
    bundle.bundled(&["run", "--no-pivot"])?.refused("/gone")?;
    let id = bundle.id.clone();
    let lines = |id: &str| bundle.call(&["trace", id, "-e", "pivot_root"]);
    bundle.call(&["run", "--from-trace", &id, &id])?.refused("/gone")?;
    ensure!(!lines(&id)?.out.contains("pivot_root("), "it was to run with --no-pivot");
    let other = bundle.path("other.json");
    let mut config = bundle.config.clone();
    config["process"]["args"] = json!(["/elsewhere"]);
    fs::write(&other, config.to_string())?;
    let words = ["run", "--from-trace", &id, "--config", &other.to_string_lossy(), &id];
    bundle.call(&words)?.refused("/elsewhere")?;
    bundle.clean()
}

fn start() -> Outcome {
    let mut bundle = Bundle::plain()?;
    fs::write(bundle.rootfs("bad"), "no program\n")?;
    fs::set_permissions(bundle.rootfs("bad"), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    bundle.set("/process/args", json!(["/bad"]))?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.refused("exec format error")?;
    kept(&bundle, &bundle.id.clone(), &json!(["/bad"]))?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    kept(&bundle, &bundle.id.clone(), &json!(["/bad"]))?;
    bundle.call(&["run", "--from-trace", &bundle.id, &bundle.id])?.refused("exec format error")?;
    bundle.clean()
}

fn gone() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let (here, there) = (bundle.path("here"), bundle.path("there"));
    fs::create_dir(&here)?;
    bundle.set("/process/args", json!(["/gone"]))?;
    bundle.set("/root/path", json!("../rootfs"))?;
    fs::write(here.join("config.json"), bundle.config.to_string())?;
    let [old, new] = [&here, &there].map(|path| path.to_string_lossy().into_owned());
    bundle.call(&["run", "--bundle", &old, &bundle.id])?.refused("/gone")?;
    fs::rename(&here, &there)?;
    let words = ["run", "--from-trace", &bundle.id, &bundle.id];
    bundle.call(&words)?.refused(&format!("the bundle {old} is not there any more"))?;
    bundle.call(&[&words[..], &["--bundle", &new]].concat())?.refused("/gone")?;
    bundle.clean()
}

fn nothing() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let words = ["trace", &bundle.id, "--print-config"];
    bundle.call(&words)?.refused("has no config.json: only a command that failed")?;
    bundle.call(&["run", "--from-trace", "no-such", &bundle.id])?.refused("no trace of container no-such is kept")?;
    bundle.call(&["trace", &bundle.id, "--print-config", "-c"])?.refused("leave it out with --print-config")?;
    bundle.clean()
}

/// A configuration can be long, and have secrets.
fn long() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/gone"]))?;
    bundle.set("/annotations", json!({"long": "x".repeat(4_000_000)}))?;
    bundle.bundled(&["run"])?.refused("/gone")?;
    kept(&bundle, &bundle.id.clone(), &json!(["/gone"]))?;
    let done = bundle.call(&["run", "--from-trace", &bundle.id, &bundle.id])?.refused("/gone")?;
    ensure!(!done.err.contains("has changed since"), "{done:?}");
    for entry in fs::read_dir(bundle.state_root().join(".traces"))? {
        same("mode", fs::metadata(entry?.path())?.permissions().mode() & 0o7777, 0o600)?;
    }
    bundle.clean()
}

fn foreign() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/gone"]))?;
    bundle.bundled(&["run"])?.refused("/gone")?;
    let end = format!("-{}~config", bundle.id);
    let kept = fs::read_dir(bundle.state_root().join(".traces"))?.flatten().map(|entry| entry.path());
    let file =
        kept.into_iter().find(|path| path.to_string_lossy().ends_with(&end)).ok_or("no configuration is kept")?;
    std::os::unix::fs::chown(&file, Some(65534), None)?;
    bundle.call(&["run", "--from-trace", &bundle.id, &bundle.id])?.refused("belongs to user 65534")?;
    bundle.clean()
}
