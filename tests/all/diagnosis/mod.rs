//! What a failure says: the cause in the first line, and what to try.

pub mod cgroups;
pub mod mounts;
pub mod others;
pub mod programs;
pub mod repeated;
pub mod rights;
pub mod situations;

use crate::bundle::Bundle;
use crate::{Failed, Outcome, ensure};
use serde_json::Value;

/// What no look can see before it is tried: parts of causes.
const BY_RUN_ALONE: [&str; 14] = [
    " has dots in its name",
    "no groups may be set in this user namespace: its setgroups file says deny",
    " is open for writing in process ",
    " and RLIMIT_NPROC is ",
    " has no id in the container's user namespace /proc/",
    "processes of others run in the cgroup ",
    "ended with exit status ",
    "was killed by SIG",
    "took longer than its timeout of ",
    " processes, and has them (pids.max)",
    " hands controllers down (",
    " is too low to build the container: ",
    "the container's cgroup has no file ",
    " cannot be set: the cgroup has cpu.idle",
];

/// `run` fails, and says this: a cause at the beginning of its first line, and a cure. `check` says the same beforehand.
pub fn says(bundle: &Bundle, cause: &str, cure: &str) -> Outcome {
    let rows = failing(bundle)?;
    says_alone(bundle, cause, cure)?;
    // The message has it after these letters.
    let cure = cure.trim_start_matches("try: ");
    let fits = |[what, try_it]: &[String; 2]| what.starts_with(cause) && try_it.contains(cure);
    let alone = BY_RUN_ALONE.iter().any(|known| cause.contains(known));
    ensure!(rows.iter().any(fits) != alone, "run says\n  {cause}\n  {cure}\nand check\n  {rows:?}");
    Ok(())
}

/// The same of `run` alone.
pub fn says_alone(bundle: &Bundle, cause: &str, cure: &str) -> Outcome {
    says_to(bundle, &["run"], cause, cure)
}

/// The rows of `check` that would fail: first lines of a failure, and what to try.
fn failing(bundle: &Bundle) -> Result<Vec<[String; 2]>, Failed> {
    let done = bundle.bundled(&["check", "--format", "json"])?;
    let document: Value = serde_json::from_str(&done.out).map_err(|error| format!("{error}: {done:?}"))?;
    let rows = document["checks"].as_array().ok_or("no list of checks")?;
    let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
    let line = |row: &Value| format!("{} (config.json {})", text(row, "what"), text(row, "place"));
    Ok(rows.iter().filter(|row| row["verdict"] == "fails").map(|row| [line(row), text(row, "try")]).collect())
}

/// The same of another command.
fn says_to(bundle: &Bundle, words: &[&str], cause: &str, cure: &str) -> Outcome {
    let done = bundle.bundled(words)?;
    ensure!(done.status == 1, "{done:?}");
    let first = done.err.lines().next().unwrap_or_default();
    let begins = first.strip_prefix("nk-runtime: ").is_some_and(|first| first.starts_with(cause));
    ensure!(begins && done.err.contains(cure), "\n  wanted: {cause}\n     try: {cure}\n     was: {}", done.err);
    Ok(())
}
