//! Every line: `q` there leaves nothing, and `c` there makes the same container as without `--step`.

use super::{ENDED, number, seat, stop};
use crate::bundle::Bundle;
use crate::screen::Seat;
use crate::users::{as_user_command, of_user};
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub fn cases() -> Vec<Trial> {
    area(
        "step",
        &[
            ("q_at_every_line_of_everything", || quit_everywhere(&everything::bundle()?)),
            ("q_at_every_line_of_joined", || quit_everywhere(&everything::joined()?)),
            ("q_at_every_line_of_copied", || quit_everywhere(&everything::copied()?)),
            ("q_at_every_line_with_a_terminal", || quit_everywhere(&with_terminal()?)),
            ("q_at_every_section_of_everything", quit_sections),
            ("q_at_every_section_without_root", quit_without_root),
            ("c_at_every_line_makes_the_same_container", same_container),
        ],
    )
}

fn with_terminal() -> Result<Bundle, Failed> {
    let mut bundle = everything::bundle()?;
    bundle.set("/process/terminal", json!(true))?;
    Ok(bundle)
}

/// How many lines the plan of a bundle has. `words`: options of the command.
fn lines(bundle: &Bundle, words: &[&str]) -> Result<usize, Failed> {
    let listing = bundle.bundled(&[&["plan"], words].concat())?.ok()?.out;
    let numbers = listing.lines().filter_map(|line| line.trim().split("  ").next()?.parse::<usize>().ok());
    numbers.max().ok_or_else(|| "an empty plan".into())
}

fn quit_everywhere(bundle: &Bundle) -> Outcome {
    quit_each(bundle, &[], 1)
}

/// Ends a run at the first line, and at each so many lines after it.
pub fn quit_each(bundle: &Bundle, words: &[&str], apart: usize) -> Outcome {
    let all = lines(bundle, words)?;
    ensure!(all > 60, "only {all} lines");
    for line in (1..=all).step_by(apart) {
        let line = line.to_string();
        let mut seat = seat(bundle, &[words, &["--break", &line]].concat())?;
        let shown = stop(&mut seat)?;
        same("line", number(&shown)?.to_string(), line.clone())?;
        seat.screen.keys("q")?;
        let said = seat.leave(1)?;
        ensure!(said.contains(&format!("nk-runtime: {ENDED}")), "line {line}: {said}");
        bundle.nothing_left().map_err(|left| format!("line {line}: {left:?}"))?;
    }
    Ok(())
}

fn quit_sections() -> Outcome {
    let bundle = everything::bundle()?;
    let sections = quit_each_section(&bundle, || seat(&bundle, &["--step=sections"]))?;
    ensure!(sections > 50, "only {sections} sections");
    bundle.clean()
}

fn quit_without_root() -> Outcome {
    let bundle = of_user(Bundle::plain()?)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = ["run", "--step=sections", "--bundle", &here, &bundle.id];
    let sections = quit_each_section(&bundle, || Seat::of_size(&bundle, &as_user_command(&bundle, &words)?, 24, 80))?;
    ensure!(sections > 20, "only {sections} sections");
    bundle.clean()
}

/// At the first section, the second, and so on, until there is no section left. How many there are.
fn quit_each_section(bundle: &Bundle, take: impl Fn() -> Result<Seat, Failed>) -> Result<usize, Failed> {
    let mut sections = 0;
    loop {
        let mut seat = take()?;
        let mut shown = stop(&mut seat)?;
        for _ in 0..sections {
            seat.screen.keys("\r")?;
            shown = stop(&mut seat)?;
        }
        seat.screen.keys("q")?;
        let said = seat.leave(1)?;
        ensure!(said.contains(&format!("nk-runtime: {ENDED}")), "section {sections}: {said}");
        bundle.nothing_left().map_err(|left| format!("section {sections}: {left:?}"))?;
        sections += 1;
        if shown.contains("section program") {
            return Ok(sections);
        }
    }
}

/// Beside two runs without a stop: what those have alike, a run with a stop has, too.
fn same_container() -> Outcome {
    let mut bundle = Bundle::reporter(&["--out", "/tmp/report"])?;
    bundle.set("/root/readonly", json!(false))?;
    let file = bundle.rootfs("tmp/report");
    let read = || -> Result<Value, Failed> {
        let mut report: Value = serde_json::from_slice(&std::fs::read(&file)?)?;
        std::fs::remove_file(&file)?;
        // The kernel numbers mounts and groups of mounts.
        for mount in report["mounts"].as_array_mut().into_iter().flatten() {
            let propagation = numberless(&mount["propagation"]);
            mount["propagation"] = json!(propagation);
            mount
                .as_object_mut()
                .into_iter()
                .for_each(|mount| mount.retain(|key, _| !["id", "parent"].contains(&key.as_str())));
        }
        Ok(report)
    };
    seat(&bundle, &[])?.leave(0)?;
    let first = read()?;
    seat(&bundle, &[])?.leave(0)?;
    let plain = alike(&first, &read()?);
    ensure!(plain.as_object().is_some_and(|all| all.len() > 10), "too little is alike: {plain}");
    for line in 1..=lines(&bundle, &[])? {
        let line = line.to_string();
        let mut seat = seat(&bundle, &["--break", &line])?;
        stop(&mut seat)?;
        seat.screen.keys("c")?;
        seat.leave(0)?;
        let mut differs = Vec::new();
        differences("", &plain, &read()?, &mut differs);
        ensure!(differs.is_empty(), "line {line}: {differs:?}");
    }
    bundle.clean()
}

/// What the kernel counts of a process: memory, time, and how often it waited.
fn counts(key: &str) -> bool {
    ["Vm", "Rss", "voluntary", "nonvoluntary"].iter().any(|begin| key.starts_with(begin))
        || ["numa", "stat", "monotonic", "uptime", "SigQ"].contains(&key)
}

/// Where a report does not have what another one has.
fn differences(at: &str, wanted: &Value, is: &Value, all: &mut Vec<String>) {
    match wanted {
        Value::Object(wanted) => {
            for (key, value) in wanted {
                differences(&format!("{at}/{key}"), value, &is[key], all);
            }
        }
        _ if wanted == is => {}
        // Each namespace and each terminal has a number of its own.
        _ if ["/namespaces/", "/fds/"].iter().any(|begin| at.starts_with(begin))
            && numberless(wanted) == numberless(is) => {}
        _ => all.push(format!("{at}: {is}, not {wanted}")),
    }
}

fn numberless(value: &Value) -> String {
    value.to_string().chars().filter(|c| !c.is_ascii_digit()).collect()
}

/// What two reports have alike. Objects are compared key by key.
fn alike(one: &Value, other: &Value) -> Value {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let both = one
                .iter()
                .filter(|(key, _)| !counts(key))
                .filter_map(|(key, value)| Some((key, value, other.get(key)?)));
            both.map(|(key, one, other)| (key.clone(), alike(one, other)))
                .filter(|(_, value)| !value.is_null())
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        _ if one == other => one.clone(),
        _ => Value::Null,
    }
}
