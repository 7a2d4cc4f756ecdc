//! A kernel that is older than the floor: what makes containers is refused in one sentence, and what only tells works.

use crate::bundle::Bundle;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::Value;
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "floor",
        &[
            ("what_runs_programs_is_refused_in_one_sentence", refused),
            ("check_says_the_same", check),
            ("what_tells_works", tells),
        ],
    )
}

/// What is said of this kernel: its release, the first call that it lacks, the floor.
fn sentence() -> Result<String, std::io::Error> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let missing = "it has no close_range with CLOSE_RANGE_CLOEXEC, and 5.12 is the oldest that has all calls";
    Ok(format!("Linux {} is too old: {missing}", release.trim()))
}

fn refused() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("");
    let here = here.to_string_lossy();
    for words in [
        &["run", "--bundle", &here, &bundle.id] as &[&str],
        &["create", "--bundle", &here, &bundle.id],
        &["run", "--mode", "vm", "--bundle", &here, &bundle.id],
        &["exec", &bundle.id, "true"],
        &["start", &bundle.id],
        &["demo"],
    ] {
        let done = bundle.call(words)?;
        same("first line", done.err.lines().next(), Some(format!("nk-runtime: {}", sentence()?).as_str()))?;
        ensure!(done.status != 0 && done.out.is_empty(), "{words:?}: {done:?}");
        ensure!(done.err.contains("boot Linux 5.12 or newer"), "{words:?}: {done:?}");
    }
    bundle.clean()
}

fn check() -> Outcome {
    let bundle = Bundle::plain()?;
    let done = bundle.bundled(&["check", "--format", "json"])?;
    same("status", done.status, 1)?;
    let said: Value = serde_json::from_str(&done.out)?;
    let rows = said["checks"].as_array().ok_or("no rows")?;
    let row = |place: &str| rows.iter().find(|row| row["place"] == place);
    same("verdict", row("host kernel").and_then(|row| row["verdict"].as_str()), Some("fails"))?;
    same("sentence", row("host kernel").and_then(|row| row["what"].as_str()), Some(sentence()?.as_str()))?;
    // No filter is blamed for what the kernel lacks.
    ensure!(!done.out.contains("a filter around this process"), "{done:?}");
    bundle.clean()
}

fn tells() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["plan"])?.ok()?;
    for words in [&["--version"] as &[&str], &["features"], &["explain", "pivot_root"], &["list"], &["--help"]] {
        bundle.call(words)?.ok()?;
    }
    bundle.clean()
}
