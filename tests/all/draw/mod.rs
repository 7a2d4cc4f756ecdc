//! The pictures of a trace beside its records: stacks for flame graphs, Chromium's trace events, the slide, and the bars of `-c`.

pub mod timing;

use crate::bundle::{Bundle, tool};
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "draw",
        &[
            ("stacks_add_up_to_the_records", stacks),
            ("trace_events_are_as_chromium_reads_them", events),
            ("trace_events_of_everything", || read_by_chromium(&ran(everything::bundle()?)?).map(drop)),
            ("the_slide_is_drawn", slide),
            ("the_slide_of_everything", || drawn(&ran(everything::joined()?)?).map(drop)),
            ("a_hostile_name_stays_in_its_text", hostile),
            ("a_start_that_failed_has_pictures", failed),
            ("bars_are_of_the_locale", bars),
        ],
    )
}

/// The bundle, after its container has been there and gone.
fn ran(bundle: Bundle) -> Result<Bundle, Failed> {
    same("status", bundle.bundled(&["run"])?.status, 0)?;
    Ok(bundle)
}

/// What `trace` makes of the container.
fn shown(bundle: &Bundle, words: &[&str]) -> Result<String, Failed> {
    Ok(bundle.call(&[&["trace"], words, &[&bundle.id]].concat())?.ok()?.out)
}

/// The records of the container.
pub fn records(bundle: &Bundle) -> Result<Vec<Value>, Failed> {
    let text = shown(bundle, &["--format", "json"])?;
    let all: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    Ok(all?.into_iter().filter(|r| r["call"].is_string()).collect())
}

pub fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or(0)
}

pub fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn stacks() -> Outcome {
    let bundle = ran(everything::bundle()?)?;
    let mut wanted: BTreeMap<String, u64> = BTreeMap::new();
    let mut before: BTreeMap<u64, u64> = BTreeMap::new();
    for r in records(&bundle)? {
        let (start, took) = (number(&r["start_ns"]), number(&r["duration_ns"]));
        let stack = format!("{};{}", word(&r["lane"]), word(&r["step"]));
        if let Some(before) = before.insert(number(&r["pid"]), start + took) {
            *wanted.entry(format!("{stack};between calls")).or_default() += start - before;
        }
        *wanted.entry(format!("{stack};{}", word(&r["call"]))).or_default() += took;
    }
    let wanted: BTreeMap<String, u64> =
        wanted.into_iter().map(|(stack, ns)| (stack, (ns + 500) / 1000)).filter(|(_, us)| *us > 0).collect();
    let mut is = BTreeMap::new();
    for line in shown(&bundle, &["--format", "folded"])?.lines() {
        let (stack, count) = line.rsplit_once(' ').ok_or("a line without a count")?;
        ensure!(is.insert(String::from(stack), count.parse()?).is_none(), "{stack} is there twice");
    }
    same("stacks", is, wanted)?;
    bundle.clean()
}

/// A time of an event in nanoseconds.
fn ns(value: &Value) -> Result<u64, Failed> {
    let us = value.as_f64().filter(|us| *us >= 0.0).ok_or_else(|| format!("{value} is no time"))?;
    Ok((us * 1000.0).round() as u64)
}

/// A slice: its thread, begin, end and name.
type Slice = (u64, u64, u64, String);

/// Checks the events as their format asks for it: what each phase needs, slices that lie in each other or apart, arrows that
/// begin and end in a slice. The calls are those on record.
fn read_by_chromium(bundle: &Bundle) -> Result<Vec<Value>, Failed> {
    let text = shown(bundle, &["--format", "perfetto"])?;
    let whole: Value = serde_json::from_str(&text)?;
    let events = whole["traceEvents"].as_array().ok_or("no traceEvents")?;
    let mut slices: Vec<Slice> = Vec::new();
    let mut named = BTreeSet::new();
    for event in events {
        ensure!(event["pid"].is_u64() && event["tid"].is_u64(), "{event}");
        let (tid, name) = (number(&event["tid"]), word(&event["name"]).to_string());
        ensure!(!name.is_empty(), "{event} has no name");
        match word(&event["ph"]) {
            "M" => drop(named.insert((name, tid))),
            "X" => slices.push((tid, ns(&event["ts"])?, ns(&event["ts"])? + ns(&event["dur"])?, name)),
            "i" => same("the scope", word(&event["s"]), "t")?,
            "s" | "f" => ensure!(event["id"].is_u64() && word(&event["cat"]) == "lanes", "{event}"),
            other => return Err(format!("phase {other}").into()),
        }
    }
    for (tid, ..) in &slices {
        ensure!(named.contains(&("thread_name".into(), *tid)), "{tid} has no name");
    }
    nested(&slices)?;
    arrows(events, &slices)?;
    let all = records(bundle)?;
    let began = all.iter().map(|r| number(&r["start_ns"])).min().unwrap_or(0);
    let calls: Vec<&Value> =
        events.iter().filter(|event| event["cat"] != "lanes" && event["cat"].is_string()).collect();
    same("calls", calls.len(), all.len())?;
    for (event, r) in calls.iter().zip(&all) {
        let is = (word(&event["name"]), number(&event["tid"]), ns(&event["ts"])?, word(&event["args"]["why"]));
        same("a call", is, (word(&r["call"]), number(&r["pid"]), number(&r["start_ns"]) - began, word(&r["why"])))?;
    }
    Ok(events.clone())
}

/// In the order of their begin each slice lies in the one before or after it.
fn nested(slices: &[Slice]) -> Outcome {
    let mut sorted: Vec<&Slice> = slices.iter().collect();
    sorted.sort_by_key(|(tid, from, ..)| (*tid, *from));
    let mut open: Vec<&Slice> = Vec::new();
    for slice in sorted {
        open.retain(|outer| outer.0 == slice.0 && outer.2 > slice.1);
        for outer in &open {
            ensure!(slice.2 <= outer.2, "{slice:?} begins in {outer:?} and ends after it");
        }
        open.push(slice);
    }
    Ok(())
}

fn arrows(events: &[Value], slices: &[Slice]) -> Outcome {
    let ends = |phase: &str| -> Result<BTreeMap<u64, (u64, u64)>, Failed> {
        let of_phase = events.iter().filter(|event| event["ph"] == phase);
        of_phase.map(|event| Ok((number(&event["id"]), (number(&event["tid"]), ns(&event["ts"])?)))).collect()
    };
    let (begins, ends) = (ends("s")?, ends("f")?);
    ensure!(!begins.is_empty(), "there is no arrow");
    same("arrows", begins.keys().collect::<Vec<_>>(), ends.keys().collect())?;
    for (id, begin) in &begins {
        let end = &ends[id];
        ensure!(begin.1 <= end.1 && begin.0 != end.0, "an arrow from {begin:?} to {end:?}");
        for (tid, ts) in [begin, end] {
            let within = |slice: &&Slice| slice.0 == *tid && (slice.1..=slice.2).contains(ts);
            ensure!(slices.iter().any(|slice| within(&slice)), "an arrow at {ts} of {tid} is at no slice");
        }
    }
    Ok(())
}

fn events() -> Outcome {
    let bundle = ran(Bundle::reporter(&["--quiet"])?)?;
    let events = read_by_chromium(&bundle)?;
    let named = |name: &str| events.iter().any(|event| word(&event["name"]) == name);
    for name in ["mounts", "pivot", "execve", "begins", "wakes"] {
        ensure!(named(name), "no event {name}");
    }
    let mount = events.iter().find(|event| event["args"]["pointer"] == "/mounts/0").ok_or("no call of /mounts/0")?;
    ensure!(word(&mount["args"]["source"]).contains(".rs:"), "{mount}");
    bundle.clean()
}

/// The slide, which is XML that a library draws, asks for nothing and runs nothing.
fn drawn(bundle: &Bundle) -> Result<String, Failed> {
    let svg = shown(bundle, &["--format", "svg"])?;
    let path = bundle.path("slide.svg");
    fs::write(&path, &svg)?;
    let mut lint = std::process::Command::new(tool("xmllint")?);
    lint.args(["--noout", "--nonet"]).arg(&path);
    bundle.finish(lint)?.ok()?;
    let mut draw = std::process::Command::new(tool("rsvg-convert")?);
    draw.args(["--width", "1280", "--output"]).arg(bundle.path("slide.png")).arg(&path);
    bundle.finish(draw)?.ok()?;
    ensure!(fs::metadata(bundle.path("slide.png"))?.len() > 10_000, "the picture is empty");
    let links = ["<script", "href", "url(", "@import", "<image", "onload"];
    ensure!(!links.iter().any(|link| svg.contains(link)), "it asks for something");
    ensure!(svg.contains("prefers-color-scheme:dark"), "it has no dark colours");
    Ok(svg)
}

fn slide() -> Outcome {
    let bundle = ran(Bundle::reporter(&["--quiet"])?)?;
    let svg = drawn(&bundle)?;
    let timing: Value = serde_json::from_str(&shown(&bundle, &["--timing", "--format", "json"])?)?;
    let lanes = timing["lanes"].as_array().ok_or("no lanes")?;
    for lane in lanes {
        ensure!(svg.contains(&format!(">{}</text>", word(&lane["lane"]))), "no lane {lane}");
    }
    // Every colour that it asks for is there.
    for class in svg.split("class=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
        let known = |class: &str| svg.contains(&format!(".{class}{{")) || svg.contains(&format!(".{class},"));
        ensure!(class.split_whitespace().all(known), "no colour for {class}");
    }
    bundle.clean()
}

fn hostile() -> Outcome {
    let mut bundle = Bundle::reporter(&["--quiet"])?;
    let name = "/srv/<b>\"&amp;\\n\u{202e}\u{1b}[31m\u{ffff};";
    bundle
        .set("/mounts/-", json!({"destination": name, "type": "tmpfs", "source": "</text>", "options": ["size=1m"]}))?;
    bundle.set("/hostname", json!("<script>\"];"))?;
    let bundle = ran(bundle)?;
    ensure!(!drawn(&bundle)?.contains(['\u{1b}', '\u{202e}', '\u{ffff}']), "a character hides");
    read_by_chromium(&bundle)?;
    bundle.clean()
}

fn failed() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/no/such/program"]))?;
    bundle.bundled(&["run"])?.refused("/no/such/program")?;
    let svg = drawn(&bundle)?;
    for part in ["its program has not begun", "failed at ", "ENOENT; "] {
        ensure!(svg.contains(part), "the slide does not say {part}: {svg}");
    }
    read_by_chromium(&bundle)?;
    ensure!(shown(&bundle, &["--format", "folded"])?.contains(";pivot_root "), "no stack of pivot_root");
    bundle.clean()
}

fn bars() -> Outcome {
    let bundle = ran(Bundle::plain()?)?;
    let table = |set: &[(&str, &str)]| -> Result<String, Failed> {
        let mut command = bundle.command(&["trace", "-c", &bundle.id])?;
        for name in ["LC_ALL", "LC_CTYPE", "LANG", "NO_COLOR"] {
            command.env_remove(name);
        }
        command.env("COLUMNS", "80").envs(set.iter().copied());
        Ok(bundle.finish(command)?.ok()?.out)
    };
    let blocks = table(&[("LANG", "C.UTF-8")])?;
    ensure!(blocks.contains('█') && !blocks.contains('#'), "{blocks}");
    for plain in [&[][..], &[("LC_ALL", "C"), ("LANG", "C.UTF-8")], &[("LANG", "C.UTF-8"), ("NO_COLOR", "1")]] {
        let text = table(plain)?;
        ensure!(text.contains("###") && text.is_ascii(), "{text}");
        ensure!(text.lines().all(|row| row.len() <= 80), "a row is too wide:\n{text}");
        // The rows are in the order of their times, and so are the bars.
        let long: Vec<usize> =
            text.lines().skip(2).take_while(|row| !row.starts_with('-')).map(|row| row.matches('#').count()).collect();
        ensure!(long[0] > 8 && long.is_sorted_by(|a, b| a >= b), "{text}");
    }
    bundle.clean()
}
