//! The table of the calls that a line makes (src/stepper/calls.txt), beside traces: it leaves out no call, and the first call of a
//! row is always made.

use crate::bundle::Bundle;
use crate::cgroup::script;
use crate::{Failed, Outcome, area, ensure, everything};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub fn cases() -> Vec<Trial> {
    area("step", &[("calls_are_those_of_the_traces", calls)])
}

type Maker = (&'static str, fn() -> Result<Bundle, Failed>);

const BUNDLES: &[Maker] = &[
    ("everything", everything::bundle),
    ("joined", everything::joined),
    ("copied", everything::copied),
    ("terminal", terminal),
];

fn terminal() -> Result<Bundle, Failed> {
    let mut bundle = script("true")?;
    bundle.set("/process/terminal", json!(true))?;
    // With this setting init gets a copy of the memory, as it does when a person steps through the plan.
    bundle.set("/process/oomScoreAdj", json!(0))?;
    Ok(bundle)
}

/// Whether an op in words is one of a row: `*` stands for any words.
fn means(op: &str, words: &str) -> bool {
    let mut parts = op.split('*');
    let Some(mut rest) = parts.next().and_then(|first| words.strip_prefix(first)) else { return false };
    parts.all(|part| {
        let found = rest.find(part);
        rest = found.map_or(rest, |at| &rest[at + part.len()..]);
        found.is_some()
    })
}

fn calls() -> Outcome {
    let table = std::fs::read_to_string("src/stepper/calls.txt")?;
    let rows: Vec<(&str, Vec<&str>)> = table
        .lines()
        .filter(|row| !row.starts_with('#'))
        .filter_map(|row| row.split_once(": "))
        .map(|(op, calls)| (op, calls.split_whitespace().collect()))
        .collect();
    let mut wrong = Vec::new();
    for (name, make) in BUNDLES {
        for (words, made) in traced(make()?)? {
            let Some((_, told)) = rows.iter().find(|(op, _)| means(op, &words)) else {
                wrong.push(format!("{name}: no row: {words}: {}", made.join(" ")));
                continue;
            };
            let missing: Vec<&String> = made.iter().filter(|call| !told.contains(&call.as_str())).collect();
            if !missing.is_empty() {
                wrong.push(format!("{name}: {words}: missing {missing:?}"));
            }
            if told.first().is_some_and(|first| !made.iter().any(|call| call == first)) {
                wrong.push(format!("{name}: {words}: {} is not made: {}", told[0], made.join(" ")));
            }
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// The lines of a container's plan in words, with the calls that each made, every one once.
fn traced(bundle: Bundle) -> Result<Vec<(String, Vec<String>)>, Failed> {
    bundle.bundled(&["run", "--keep"])?;
    let listing = bundle.bundled(&["plan"])?.ok()?.out;
    let trace = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
    let mut calls: BTreeMap<u64, Vec<String>> = BTreeMap::new();
    for record in trace.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let lane = record["lane"].as_str().unwrap_or_default();
        let (Some(line), Some(call)) = (record["line"].as_u64(), record["call"].as_str()) else { continue };
        let of_line = calls.entry(line).or_default();
        if ["host", "bridge", "init"].contains(&lane) && !of_line.iter().any(|one| one == call) {
            of_line.push(call.into());
        }
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()?;
    let numbered = |line: &str| {
        let (number, rest) = line.trim().split_once("  ")?;
        let words = rest.split("  [").next()?;
        Some((String::from(words), calls.get(&number.parse().ok()?)?.clone()))
    };
    Ok(listing.lines().filter_map(numbered).collect())
}
