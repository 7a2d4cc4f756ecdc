//! `plan --lint`: what a configuration leaves open, as text or JSON. May touch: everything below.

use crate::cli::{self, InspectFormat, Weight};
use crate::lint::{self, Finding};
use crate::outcome::{Error, visible};
use crate::perform::labels;
use crate::say::out::{self, wrapped};
use crate::spec::Spec;
use serde::Serialize;
use syscalls::Why;

/// The exit status if something was found.
const FOUND: i32 = 1;

pub fn lint(spec: &Spec, options: &cli::PlanCmd) -> Result<i32, Error> {
    let why = Why("without a label the program is as free as its user, if the kernel has a security module");
    let module = labels::apparmor(why) == Ok(true) || labels::selinux(why) == Ok(true);
    let level = options.level.unwrap_or(Weight::Low);
    let found = lint::findings(spec, module, level);
    let text = match options.format {
        Some(InspectFormat::Json) => document(&found),
        _ if found.is_empty() => nothing(level).into(),
        _ => listing(&found, out::columns(60, 120)),
    };
    out::stdout(&text)?;
    Ok(if found.is_empty() { 0 } else { FOUND })
}

fn document(found: &[Finding]) -> String {
    #[derive(Serialize)]
    struct Document<'a> {
        findings: &'a [Finding],
    }
    let mut text = serde_json::to_string_pretty(&Document { findings: found }).unwrap_or_default();
    text.push('\n');
    text
}

/// The first of a list, and how many more there are.
fn some(all: &[String]) -> String {
    const MOST: usize = 6;
    match all.len() {
        len if len <= MOST => all.join(", "),
        len => format!("{} and {} more", all[..MOST].join(", "), len - MOST),
    }
}

fn nothing(level: Weight) -> &'static str {
    match level {
        Weight::Low => "nothing in this configuration is wider than usual\n",
        Weight::Medium => "no finding is of the level medium or high\n",
        Weight::High => "no finding is of the level high\n",
    }
}

fn listing(found: &[Finding], width: usize) -> String {
    let mut text = String::new();
    for one in found {
        text.push_str(&format!("{:<8}{}\n", one.level, one.name));
        let (at, what) = (some(&one.pointers), some(&one.what));
        for (label, words) in [("at:", at.as_str()), ("what:", &what), ("opens:", &one.opens), ("narrow:", one.narrow)]
        {
            let lines = wrapped(&visible(words), width.saturating_sub(16));
            for (i, line) in lines.iter().enumerate().filter(|(_, line)| !line.is_empty()) {
                let label = if i == 0 { label } else { "" };
                text.push_str(&format!("        {label:<8}{line}\n"));
            }
        }
    }
    let count = |level: &str| found.iter().filter(|one| one.level == level).count();
    let counts = Weight::WORDS.iter().rev().map(|level| format!("{} {level}", count(level)));
    text + &format!("{} found: {}\n", found.len(), counts.collect::<Vec<_>>().join(", "))
}
