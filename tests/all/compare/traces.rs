//! `trace --diff`: two runs of one container are the same; what was changed is named, with its process, its line and its pointer.

use crate::bundle::Bundle;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Trial> {
    area(
        "compare_traces",
        &[
            ("two_runs_are_the_same", twice),
            ("a_terminal_is_no_difference", terminal),
            ("a_wait_that_is_much_longer_is_told", wait),
            ("each_change_is_named_with_its_pointer", named),
            ("a_failure_against_a_success", failed),
            ("what_a_program_is_refused", refused),
            ("only_what_is_asked_for", filtered),
            ("what_cannot_be_compared_has_status_2", trouble),
            ("many_calls_end", many),
        ],
    )
}

/// Runs the container. Its trace is the newest of its ID.
fn run(bundle: &Bundle, more: &[&str]) -> Outcome {
    bundle.bundled(&[&["run"], more].concat()).map(drop)
}

/// The last run but one against the last.
fn differences(bundle: &Bundle, more: &[&str]) -> Result<Vec<Value>, Failed> {
    let before = format!("{}~2", bundle.id);
    let words = ["trace", "--diff", &before, &bundle.id, "--format", "json"];
    let done = bundle.call(&[&words[..], more].concat())?;
    let document: Value = serde_json::from_str(&done.out).map_err(|error| format!("{error}: {done:?}"))?;
    let list = document["differences"].as_array().cloned().ok_or("no list")?;
    same("same", document["same"].as_bool(), Some(list.is_empty()))?;
    same("status", done.status, i32::from(!list.is_empty()))?;
    Ok(list)
}

/// A run on a busy machine can wait so long that it makes calls for that. Of several, two are not so.
const RUNS: usize = 6;

/// Runs of one container that are the same.
fn repeated(bundle: &Bundle) -> Outcome {
    // The first one finds a machine on which there was none.
    run(bundle, &[])?;
    let mut last = Vec::new();
    for _ in 0..RUNS {
        run(bundle, &[])?;
        last = differences(bundle, &[])?;
        if last.is_empty() {
            break;
        }
    }
    same("two runs", last, Vec::new())
}

/// Also under another name, where every path with the name differs.
fn twice() -> Outcome {
    let bundle = Bundle::plain()?;
    repeated(&bundle)?;
    let (here, other) = (bundle.path("").to_string_lossy().into_owned(), format!("{}-other", bundle.id));
    let is_same = || -> Result<bool, Failed> {
        bundle.call(&["run", "--bundle", here.trim_end_matches('/'), &other])?.ok()?;
        let done = bundle.call(&["trace", "--diff", &bundle.id, &other])?;
        let rows = done.out.lines().filter(|line| line.starts_with("- ") || line.starts_with("+ ")).count();
        ensure!((done.status == 0) == (rows == 0), "{done:?}");
        Ok(rows == 0)
    };
    for _ in 0..RUNS {
        if is_same()? {
            return bundle.clean();
        }
    }
    Err("under another name it is never the same".into())
}

/// The devpts of each run is a new device.
fn terminal() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/terminal", json!(true))?;
    repeated(&bundle)?;
    bundle.clean()
}

fn wait() -> Outcome {
    let mut bundle = Bundle::shell("sleep $TIME")?;
    for seconds in ["0", "1.5"] {
        bundle.set("/process/env", json!(["PATH=/bin", format!("TIME={seconds}")]))?;
        run(&bundle, &[])?;
    }
    let before = format!("{}~2", bundle.id);
    let text = bundle.call(&["trace", "--diff", &before, &bundle.id])?.out;
    let times = text.split("\ntimes\n").nth(1).unwrap_or_default();
    ensure!(times.contains("rt_sigtimedwait("), "{text}");
    bundle.clean()
}

fn named() -> Outcome {
    let tmpfs = json!({"destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]});
    for (pointer, value, kind, call, words) in [
        ("/mounts/-", tmpfs, "added", "fchdir(", "/scratch"),
        ("/hostname", json!("other"), "changed", "sethostname(", "other"),
        ("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 3, "hard": 5}]), "added", "prlimit64(", "3"),
        ("/process/oomScoreAdj", json!(100), "added", "write(", "100"),
    ] {
        let mut bundle = Bundle::plain()?;
        run(&bundle, &[])?;
        bundle.set(pointer, value)?;
        run(&bundle, &[])?;
        let found = differences(&bundle, &[])?;
        let is_it = |one: &&Value| {
            let text = one["call"][1].as_str().unwrap_or_default();
            let asked = one["pointer"][1].as_str().unwrap_or_default();
            one["kind"] == kind
                && text.starts_with(call)
                && text.contains(words)
                && asked.starts_with(pointer.trim_end_matches("/-"))
        };
        ensure!(found.iter().any(|one| is_it(&one)), "{pointer}: {found:#?}");
        let before = format!("{}~2", bundle.id);
        let text = bundle.call(&["trace", "--diff", &before, &bundle.id])?.out;
        ensure!(text.contains(pointer.trim_end_matches("/-")) && text.contains(words), "{pointer}: {text}");
        ensure!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        bundle.clean()?;
    }
    Ok(())
}

/// What the failure has not come to is missing; what it was refused is named.
fn failed() -> Outcome {
    let mut bundle = Bundle::plain()?;
    run(&bundle, &[])?;
    bundle.set("/process/args/0", json!("/bin/misspelled"))?;
    run(&bundle, &[])?;
    let found = differences(&bundle, &[])?;
    let of = |kind: &str, side: usize, call: &str| {
        found
            .iter()
            .any(|one| one["kind"] == kind && one["call"][side].as_str().is_some_and(|text| text.starts_with(call)))
    };
    ensure!(of("removed", 0, "execve("), "{found:#?}");
    ensure!(found.iter().any(|one| one["result"][1] == "ENOENT"), "{found:#?}");
    bundle.clean()
}

/// The program's own calls, where they are watched.
fn refused() -> Outcome {
    let mut bundle = Bundle::shell("hostname web; true")?;
    bundle.capable(&json!([]))?;
    run(&bundle, &["--watch=all"])?;
    bundle.capable(&json!(["CAP_SYS_ADMIN"]))?;
    run(&bundle, &["--watch=all"])?;
    let found = differences(&bundle, &["--lane", "program"])?;
    let is_it = |one: &Value| {
        one["call"][0].as_str().is_some_and(|call| call.starts_with("sethostname(\"web\""))
            && one["result"] == json!(["EPERM", "0"])
    };
    ensure!(found.iter().any(is_it), "{found:#?}");
    bundle.clean()
}

fn filtered() -> Outcome {
    let mut bundle = Bundle::plain()?;
    run(&bundle, &[])?;
    bundle.set("/hostname", json!("other"))?;
    bundle.set("/linux/resources", json!({"pids": {"limit": 77}}))?;
    run(&bundle, &[])?;
    let lanes = |found: Vec<Value>| {
        let section =
            |one: &Value| one["section"].as_str().unwrap_or_default().split(':').next().unwrap_or("").to_owned();
        found.iter().map(section).collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    same("all", lanes(differences(&bundle, &[])?), vec!["host".to_owned(), "init".to_owned()])?;
    same("init", lanes(differences(&bundle, &["--lane", "init"])?), vec!["init".to_owned()])?;
    bundle.clean()
}

fn trouble() -> Outcome {
    let bundle = Bundle::plain()?;
    run(&bundle, &[])?;
    let id = bundle.id.as_str();
    for (words, message) in [
        (&[id, "absent"][..], "absent"),
        (&[id, &format!("{id}~9")], "no trace"),
        (&[id], "--diff takes two IDs"),
        (&[id, id, "--run", "2"], "with --diff write ID~N"),
        (&[id, id, "-c"], "-c does not go with --diff"),
        (&[id, id, "--format", "strace"], "--diff has two formats"),
    ] {
        let done = bundle.call(&[&["trace", "--diff"], words].concat())?;
        ensure!(done.status == 2 && done.err.contains(message) && done.out.is_empty(), "{words:?}: {done:?}");
    }
    bundle.clean()
}

/// A program that makes thousands of calls, one time more than the other.
fn many() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for count in [4000, 5000] {
        let script = format!("dd if=/dev/zero of=/dev/null bs=1 count={count}");
        bundle.set("/process/args", json!(["sh", "-c", script]))?;
        run(&bundle, &["--watch=all"])?;
    }
    let begun = Instant::now();
    differences(&bundle, &[])?;
    ensure!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    bundle.clean()
}
