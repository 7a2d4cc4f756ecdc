//! The flight recorder from outside: always on, readable afterwards, of the living and of the last dead; its JSON as
//! other programs read it; its line numbers those of the plan.

pub mod leads;
pub mod no_room;

use crate::bundle::{Bundle, patiently};
use crate::lifecycle::bring_to;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

pub fn cases() -> Vec<Trial> {
    area(
        "recorder",
        &[
            ("trace_of_a_running_container", running),
            ("trace_of_a_deleted_container", deleted),
            ("trace_of_a_failed_create", failed),
            ("trace_of_nobody", nobody),
            ("last_64_are_kept", last_64),
            ("follow_ends_with_the_container", follow),
            ("json_lines", json_lines),
            ("line_numbers_are_those_of_the_plan", plan_lines),
            ("text_has_steps_and_reasons", text),
            ("trace_goes_to_stderr_without_a_file", to_stderr),
            ("environment_asks_for_it_too", environment),
            ("trace_file_of_a_failing_command", failing_file),
        ],
    )
}

/// Bundles that make calls of all kinds.
const BUNDLES: [fn() -> Result<Bundle, Failed>; 3] =
    [crate::everything::bundle, crate::everything::joined, crate::everything::copied];

const LAST: [&str; 2] = ["pivot_root", "execve"];

fn told(bundle: &Bundle, id: &str) -> Outcome {
    let out = bundle.call(&["trace", id])?.ok()?.out;
    for word in ["clone3", LAST[0], LAST[1]] {
        ensure!(out.contains(word), "the trace of {id} lacks {word}: {out}");
    }
    Ok(())
}

fn running() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    for state in ["created", "running"] {
        if state == "created" {
            bring_to(&bundle, state)?;
            let out = bundle.call(&["trace", &bundle.id])?.ok()?.out;
            ensure!(out.contains(LAST[0]), "the trace of a created container: {out}");
            continue;
        }
        bundle.call(&["start", &bundle.id])?.ok()?;
        told(&bundle, &bundle.id)?;
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn deleted() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    bundle.bundled(&["run"])?.ok()?;
    told(&bundle, &bundle.id)?;
    bring_to(&bundle, "created")?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    told(&bundle, &bundle.id)?;
    bundle.clean()
}

fn failed() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["nosuch"]))?;
    bundle.bundled(&["create"])?.refused("")?;
    let out = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    ensure!(out.contains("clone3") && out.contains("ENOENT"), "the trace of a failed create: {out}");
    // What a look was refused is no refusal of the line at which the host waited.
    ensure!(out.contains("HOST looks for the cause (after a failure)"), "{out}");
    ensure!(out.contains("look for the cause: ") && !out.contains("the command went on"), "{out}");
    bundle.clean()
}

fn nobody() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.call(&["trace", "nobody"])?.refused("nobody")?;
    bundle.call(&["trace", "../nobody"])?.refused("invalid container ID format")?;
    bundle.clean()
}

fn last_64() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    // The oldest go by sixteen: 64 are there at the least, 80 at the most.
    for number in 0..82 {
        bundle.call(&["run", "--bundle", &here, &format!("{}-{number}", bundle.id)])?.ok()?;
    }
    same("how many are kept", fs::read_dir(bundle.state_root().join(".traces"))?.count(), 65)?;
    told(&bundle, &format!("{}-81", bundle.id))?;
    told(&bundle, &format!("{}-17", bundle.id))?;
    bundle.call(&["trace", &format!("{}-16", bundle.id)])?.refused("the newest 64 are kept")?;
    let list = bundle.call(&["trace"])?.ok()?.out;
    ensure!(
        list.contains(&format!("{}-81", bundle.id)),
        "trace without an ID lists those that can be asked for: {list}"
    );
    bundle.clean()
}

fn follow() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    bring_to(&bundle, "created")?;
    let following = bundle.start(bundle.command(&["trace", "--follow", &bundle.id])?)?;
    patiently("what was done so far", || Ok(following.said().0.contains(LAST[0])))?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    patiently("what is done now", || Ok(following.said().0.contains(LAST[1])))?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.wait(following)?.ok()?;
    bundle.clean()
}

/// The records of a run, one object a line.
fn records(bundle: &Bundle) -> Result<Vec<Value>, Failed> {
    let out = bundle.call(&["trace", &bundle.id, "--format", "json"])?.ok()?.out;
    let mut all = Vec::new();
    for line in out.lines() {
        all.push(serde_json::from_str(line).map_err(|error| format!("{error} in {line}"))?);
    }
    ensure!(all.len() > 30, "{} records: {out}", all.len());
    Ok(all)
}

const KEYS: [&str; 18] = [
    "seq",
    "lane",
    "pid",
    "line",
    "op",
    "pointer",
    "decided",
    "step",
    "call",
    "args",
    "ret",
    "errno",
    "start_ns",
    "duration_ns",
    "expected",
    "ended",
    "why",
    "source",
];

fn json_lines() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let mut seen = BTreeSet::new();
    for record in records(&bundle)? {
        let keys: BTreeSet<&str> = record.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
        same(&format!("the keys of {record}"), keys, BTreeSet::from(KEYS))?;
        let text = |key: &str| record[key].as_str().unwrap_or("").to_owned();
        ensure!(seen.insert(record["seq"].as_u64().ok_or("seq is no number")?), "seq twice: {record}");
        ensure!(["host", "init"].contains(&text("lane").as_str()), "lane: {record}");
        ensure!(record["pid"].as_u64().is_some_and(|pid| pid > 1), "pid: {record}");
        ensure!(record["args"].is_array() && !text("call").is_empty() && !text("step").is_empty(), "{record}");
        ensure!(!text("why").trim().is_empty(), "no why: {record}");
        ensure!(record["start_ns"].as_u64().is_some_and(|ns| ns > 0), "start_ns: {record}");
        ensure!(record["line"].is_u64(), "line: {record}");
        match (&record["errno"], record["ret"].as_i64()) {
            (Value::Null, _) => {}
            (Value::String(name), Some(-1)) if name.starts_with('E') => {}
            _ => return Err(format!("ret and errno: {record}").into()),
        }
    }
    bundle.clean()
}

/// Every line that a record names is in the plan's listing, and the lane is the one under which it is listed.
fn plan_lines() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let listing = bundle.call(&["plan", "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?.ok()?.out;
    let mut lane = "";
    let (mut lines, mut missing) = (BTreeSet::new(), BTreeSet::new());
    for line in listing.lines() {
        if let Some((name, _)) = line.split_once(" lane: ") {
            lane = name;
        }
        // `   12  describe`: two blanks part the number from the words.
        if let Some((number, words)) = line.trim_start().split_once("  ")
            && let Ok(number) = number.parse::<u64>()
        {
            lines.insert((lane, number));
            // One look tells that these are not there.
            let path = words.split_whitespace().find(|word| word.starts_with("/proc/")).unwrap_or("/");
            if !Path::new(path).exists() {
                missing.insert((lane, number));
            }
        }
    }
    ensure!(lines.len() > 30, "{} lines in the listing:\n{listing}", lines.len());
    let records = records(&bundle)?;
    let named = records.iter().filter(|record| record["line"] != 0);
    let mut used = BTreeSet::new();
    for record in named {
        let place = (record["lane"].as_str().unwrap_or(""), record["line"].as_u64().unwrap_or(0));
        ensure!(lines.contains(&place), "no such line in the plan: {record}");
        used.insert(place);
    }
    let unused: Vec<_> = lines.difference(&used).filter(|line| !missing.contains(line)).collect();
    ensure!(unused.is_empty(), "lines of the plan without a call: {unused:?}");
    bundle.clean()
}

fn text() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let out = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    for heading in ["lifecycle 2, create", "lifecycle 7 and 8", "lifecycle 10", "lifecycle 11"] {
        let is = |line: &str| line.starts_with(['H', 'I']) && line.contains(&format!("({heading}"));
        ensure!(out.lines().any(is), "no heading `{heading}` in:\n{out}");
    }
    bundle.clean()
}

fn to_stderr() -> Outcome {
    let bundle = Bundle::shell("echo from the program")?;
    let done = bundle.bundled(&["--trace", "run"])?;
    same("status and stdout", (done.status, done.out.as_str()), (0, "from the program\n"))?;
    ensure!(done.err.contains("pivot_root("), "{}", done.err);
    bundle.clean()
}

fn environment() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let file = bundle.path("trace.json");
    let mut command = bundle.command(&["run", "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?;
    command.env("NK_TRACE", "json").env("NK_TRACE_FILE", &file);
    bundle.finish(command)?.ok()?;
    let text = fs::read_to_string(&file)?;
    let first: Value = serde_json::from_str(text.lines().next().unwrap_or(""))?;
    ensure!(first["call"].is_string(), "{first}");
    bundle.clean()
}

fn failing_file() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["nosuch"]))?;
    let file = bundle.path("trace.txt");
    bundle.bundled(&["--trace", "--trace-file", &file.to_string_lossy(), "create"])?.refused("")?;
    ensure!(fs::read_to_string(&file)?.contains("ENOENT"), "the failing call is in the trace file");
    bundle.clean()
}
