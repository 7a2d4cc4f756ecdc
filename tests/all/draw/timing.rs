//! Where the time of a start went, beside the records: sums, the critical path, waits, and what does not count.

use super::{number, records, word};
use crate::bundle::{Bundle, patiently};
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    area(
        "timing",
        &[
            ("sums_are_the_time_of_the_start", || sums(Bundle::reporter(&["--quiet"])?)),
            ("sums_are_that_of_everything", || sums(everything::bundle()?)),
            ("sums_are_that_of_three_lanes", || sums(everything::joined()?)),
            ("sums_are_that_of_a_user_namespace", || sums(in_user_namespace(Bundle::reporter(&["--quiet"])?)?)),
            ("a_hook_that_sleeps_is_waited_for", hook),
            ("time_between_create_and_start_does_not_count", pause),
            ("the_text_says_the_sums", text),
            ("no_row_is_too_wide_with_a_long_name", wide),
            ("a_start_that_failed_ends_with_its_command", failed),
            ("repeat_tells_median_and_spread", repeat),
            ("repeat_ends_with_a_start_that_fails", repeat_fails),
            ("repeat_that_is_interrupted_leaves_nothing", repeat_interrupted),
            ("repeat_leaves_the_containers_of_others_alone", repeat_others),
        ],
    )
}

fn timing(bundle: &Bundle) -> Result<Value, Failed> {
    let text = bundle.call(&["trace", "--timing", "--format", "json", &bundle.id])?.ok()?.out;
    Ok(serde_json::from_str(&text)?)
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// All sums are the time of the start, and the path has no hole.
fn add_up(timing: &Value) -> Outcome {
    let wall = number(&timing["wall_ns"]);
    // The clock of a time namespace is a thousand seconds ahead in one of the bundles.
    ensure!((1..900_000_000_000).contains(&wall), "{timing}");
    let kinds = ["kernel_ns", "ours_ns", "waiting_ns"].map(|kind| number(&timing[kind]));
    same("kernel, ours and waiting", kinds.iter().sum(), wall)?;
    for key in ["steps", "calls", "path"] {
        same(key, list(&timing[key]).iter().map(|row| number(&row["ns"])).sum(), wall)?;
    }
    let mut at = 0;
    for stretch in list(&timing["path"]) {
        same("where a stretch begins", number(&stretch["at_ns"]), at)?;
        at += number(&stretch["ns"]);
    }
    Ok(())
}

fn sums(bundle: Bundle) -> Outcome {
    same("status", bundle.bundled(&["run"])?.status, 0)?;
    let (timing, all) = (timing(&bundle)?, records(&bundle)?);
    add_up(&timing)?;
    let executed = |r: &&Value| r["lane"] == "init" && r["call"] == "execve" && r["ret"] == 0;
    let program = all.iter().find(executed).ok_or("no execve")?;
    let began = all.iter().map(|r| number(&r["start_ns"])).min().unwrap_or(0);
    let ended = number(&program["start_ns"]) + number(&program["duration_ns"]);
    same("the time of the start", number(&timing["wall_ns"]), ended - began)?;
    same("whether it is whole", timing["whole"].as_bool(), Some(true))?;
    let path = list(&timing["path"]);
    same("its last call", path.last().map(|last| number(&last["seq"])), Some(number(&program["seq"])))?;
    ensure!(path.iter().any(|stretch| stretch["call"] == "clone3"), "the path leads through no clone: {timing}");
    // A call of the path took at least the time that it has there.
    for stretch in path.iter().filter(|stretch| stretch["kind"] == "kernel") {
        let r = all.iter().find(|r| r["seq"] == stretch["seq"]).ok_or("a call that is not on record")?;
        ensure!(number(&stretch["ns"]) <= number(&r["duration_ns"]), "{stretch} of {r}");
    }
    bundle.clean()
}

fn hook() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/sleep", "args": ["sleep", "0.9"]}]}))?;
    bundle.bundled(&["run"])?.ok()?;
    let timing = timing(&bundle)?;
    add_up(&timing)?;
    let least = 890_000_000;
    ensure!(number(&timing["waiting_ns"]) > least, "{timing}");
    let hooks = list(&timing["steps"]).into_iter().find(|step| step["name"] == "hooks").ok_or("no step hooks")?;
    ensure!(number(&hooks["waiting_ns"]) > least, "{hooks}");
    let lane = list(&timing["lanes"]).into_iter().find(|lane| lane["lane"] == "hook").ok_or("no lane of the hook")?;
    ensure!(number(&lane["waiting_ns"]) > least && number(&lane["kernel_ns"]) < least, "{lane}");
    let text = bundle.call(&["trace", "--timing", &bundle.id])?.ok()?.out;
    let first = text.lines().skip_while(|line| !line.starts_with("The longest")).nth(1).unwrap_or("");
    ensure!(first.contains("host"), "the longest is not the wait for the hook:\n{text}");
    bundle.clean()
}

fn pause() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["create"])?.ok()?;
    // Longer than all else takes on an emulated processor.
    std::thread::sleep(Duration::from_secs(2));
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    let timing = timing(&bundle)?;
    add_up(&timing)?;
    ensure!(number(&timing["paused_ns"]) > 1_990_000_000, "{timing}");
    ensure!(number(&timing["wall_ns"]) < number(&timing["paused_ns"]), "{timing}");
    // From init the path leads to `start`, which lets it go on. Before that either lane can be the later one.
    let lanes: Vec<Value> = list(&timing["path"]).iter().map(|stretch| stretch["lane"].clone()).collect();
    let last = lanes.iter().rposition(|lane| lane == "host").ok_or("no host")?;
    ensure!(lanes[last + 1..].iter().any(|lane| lane == "init"), "{lanes:?}");
    let text = bundle.call(&["trace", "--timing", &bundle.id])?.ok()?.out;
    ensure!(text.contains("between the two commands do not count"), "{text}");
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn text() -> Outcome {
    let bundle = everything::bundle()?;
    same("status", bundle.bundled(&["run"])?.status, 0)?;
    let timing = timing(&bundle)?;
    let text = bundle.call(&["trace", "--timing", &bundle.id])?.ok()?.out;
    ensure!(text.lines().all(|row| row.chars().count() <= 80), "a row is too wide:\n{text}");
    for step in list(&timing["steps"]) {
        ensure!(text.contains(word(&step["name"])), "no step {step} in\n{text}");
    }
    for lane in list(&timing["lanes"]) {
        let name = format!("{} {}", word(&lane["lane"]), lane["pid"]);
        ensure!(text.contains(&name), "no lane {name} in\n{text}");
    }
    bundle.clean()
}

fn wide() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.id = format!("{}-{}", bundle.id, "long".repeat(40));
    let fits = |row: &str| row.chars().count() <= 80 || row.starts_with("nk-runtime --root");
    let repeated = bundle.bundled_alone(&["run", "--repeat", "2"])?.ok()?.out;
    let named = format!("{}-2", bundle.id);
    let timing = bundle.call(&["trace", "--timing", &named])?.ok()?.out;
    let mut table = bundle.command(&["trace", "-c", &named])?;
    table.env("COLUMNS", "80");
    let table = bundle.finish(table)?.ok()?.out;
    for text in [repeated, timing, table] {
        ensure!(text.lines().all(fits), "a row is too wide:\n{text}");
    }
    bundle.clean()
}

fn failed() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/no/such/program"]))?;
    bundle.bundled(&["run"])?.refused("/no/such/program")?;
    let timing = timing(&bundle)?;
    add_up(&timing)?;
    same("whether it is whole", timing["whole"].as_bool(), Some(false))?;
    bundle.clean()
}

/// The row of a table: its times in microseconds.
fn times(text: &str, name: &str) -> Result<Vec<u64>, Failed> {
    let row = text.lines().find_map(|line| line.strip_prefix(name)).ok_or_else(|| format!("no {name} in\n{text}"))?;
    let words: Vec<&str> = row.split_whitespace().collect();
    let unit = |unit: &str| match unit {
        "µs" => 1.0,
        "ms" => 1000.0,
        _ => 1_000_000.0,
    };
    let time = |pair: &[&str]| Ok((pair[0].parse::<f64>()? * unit(pair[1])).round() as u64);
    words.chunks_exact(2).map(time).collect()
}

fn repeat() -> Outcome {
    let mut bundle = Bundle::shell("echo hello; cat; exit 3")?;
    let done = bundle.bundled_alone(&["run", "--repeat", "5"])?;
    same("status", done.status, 3)?;
    same("how often the output is shown", done.out.matches("hello\n").count(), 1)?;
    ensure!(
        done.out.starts_with("hello\n") && !done.out.starts_with("hello\n0"),
        "it has read something: {}",
        done.out
    );
    let fits = |row: &str| row.chars().count() <= 80 || row.starts_with("nk-runtime --root");
    ensure!(done.err.is_empty() && done.out.lines().all(fits), "{done:?}");
    let id = bundle.id.clone();
    ensure!(done.out.contains(&format!("5 starts: {id}-1 to {id}-5")), "{}", done.out);
    for name in ["start", "  in the kernel", "  between calls", "  waiting", "  mounts", "  execve"] {
        let all = times(&done.out, name)?;
        let [median, p10, p90, fastest, slowest] = all[..] else { return Err(format!("{all:?}").into()) };
        ensure!(fastest <= p10 && p10 <= median && median <= p90 && p90 <= slowest, "{name}: {all:?}");
    }
    // Those that the table names and the last have a trace, and others make no room for them. The fastest of the table is the one that is named.
    let named = done.out.split("the fastest was ").nth(1).and_then(|rest| rest.split(',').next()).unwrap_or("");
    let text = bundle.call(&["trace", "--timing", "--format", "json", named])?.ok()?.out;
    let wall = number(&serde_json::from_str::<Value>(&text)?["wall_ns"]) / 1000;
    let fastest = times(&done.out, "start")?[3];
    ensure!(fastest.abs_diff(wall) <= 100, "{fastest} and {wall}");
    bundle.call(&["trace", &format!("{id}-5")])?.ok()?;
    let kept = fs::read_dir(bundle.state_root().join(".traces"))?.count();
    ensure!((2..=3).contains(&kept), "{kept} traces of 5 runs are kept");
    bundle.set("/process/args", json!(["true"]))?;
    same("status", bundle.bundled_alone(&["run", "--repeat", "2"])?.status, 0)?;
    bundle.clean()
}

fn repeat_fails() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/no/such/program"]))?;
    let done = bundle.bundled_alone(&["run", "--repeat", "5"])?;
    same("status", done.status, 1)?;
    ensure!(done.err.contains("/no/such/program") && done.err.matches("error").count() <= 1, "{done:?}");
    ensure!(done.out.is_empty(), "{done:?}");
    bundle.clean()
}

fn repeat_interrupted() -> Outcome {
    // The second run waits.
    let mut bundle = Bundle::shell("[ -e /tmp/once ] && sleep 1000; echo > /tmp/once")?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.write_config()?;
    let here = bundle.path("");
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let words = ["run", "--repeat", "9", "--bundle", &here.to_string_lossy(), &bundle.id];
        let running = bundle.start(bundle.command(&words)?)?;
        let second = format!("{}-{}", bundle.id, if signal == Signal::SIGINT { 2 } else { 1 });
        patiently("the run waits", || {
            let done = bundle.call(&["state", &second])?;
            Ok(done.out.contains("\"running\""))
        })?;
        kill(Pid::from_raw(running.child.id() as i32), signal)?;
        let done = bundle.wait(running)?;
        same("status", done.status, 130)?;
        match signal {
            Signal::SIGINT => ensure!(done.out.contains("1 of 9 starts"), "{done:?}"),
            _ => ensure!(done.out.is_empty(), "{done:?}"),
        }
        bundle.nothing_left()?;
    }
    bundle.clean()
}

fn repeat_others() -> Outcome {
    let bundle = Bundle::plain()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    bundle.write_config()?;
    let second = format!("{}-2", bundle.id);
    bundle.call(&["create", "--bundle", &here, &second])?.ok()?;
    let done = bundle.bundled_alone(&["run", "--repeat", "3"])?;
    ensure!(done.says("exists already") && done.status == 1 && done.out.contains("1 of 3 starts"), "{done:?}");
    ensure!(bundle.call(&["state", &second])?.ok()?.out.contains("created"), "it is gone");
    bundle.call(&["delete", "--force", &second])?.ok()?;
    bundle.clean()
}
