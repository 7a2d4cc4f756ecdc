//! The views of a trace as a person sees them: how much room they take, what they fold, what they mark, and what of them can be
//! asked for.

pub mod asked;

use crate::bundle::{Bundle, Done};
use crate::screen::Seat;
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "trace",
        &[
            ("the_demo_takes_60_rows", demo),
            ("no_row_is_wider_than_the_page", widths),
            ("all_shows_every_call", every_call),
            ("folds_count_their_calls", folds),
            ("refusals_of_a_life_are_expected", life),
            ("refusals_of_the_demo_are_expected", demo_refusals),
            ("the_call_that_ended_a_command_stands_out", ended),
            ("colours_only_where_they_are_wanted", colours),
        ],
    );
    all.extend(asked::cases());
    all
}

/// The text of a command's trace, for a page of that width.
fn page(bundle: &Bundle, words: &[&str], columns: &str) -> Result<String, Failed> {
    let mut command = bundle.command(words)?;
    command.env("COLUMNS", columns);
    Ok(bundle.finish(command)?.ok()?.out)
}

/// What the demo's trace shows.
fn demo_trace(bundle: &Bundle, format: &str, columns: &str) -> Result<String, Failed> {
    let mut command = bundle.command(&["demo", &format!("--trace={format}")])?;
    command.env("COLUMNS", columns);
    let Done { status, err, .. } = bundle.finish(command)?;
    same("the demo's status", status, 0)?;
    let start = err.find(if format == "json" { "{\"seq\":" } else { "this command" });
    Ok(err[start.ok_or_else(|| format!("no trace in {err}"))?..].into())
}

fn records(text: &str) -> Result<Vec<Value>, Failed> {
    let all: Result<Vec<Value>, _> = text.lines().map(serde_json::from_str).collect();
    Ok(all?)
}

/// The records of a container.
fn told(bundle: &Bundle) -> Result<Vec<Value>, Failed> {
    records(&bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out)
}

fn demo() -> Outcome {
    let bundle = Bundle::plain()?;
    let text = demo_trace(&bundle, "text", "80")?;
    ensure!(text.lines().count() <= 60, "{} rows:\n{text}", text.lines().count());
    ensure!(text.lines().all(|row| row.chars().count() <= 80), "a row is too wide:\n{text}");
    for part in [
        "clone3(",
        "/proc",
        "\"/dev\"",
        "/dev/pts",
        "/dev/shm",
        "mqueue",
        "/sys",
        "cgroup",
        "pivot_root(",
        "mask ",
        "drop 3",
        "setresuid(",
        "capset(",
        "PR_SET_NO_NEW_PRIVS",
        "execve(",
        "waitid(",
        "unlinkat(",
        "refused as expected",
    ] {
        ensure!(text.contains(part), "the demo's trace does not show {part}:\n{text}");
    }
    bundle.clean()
}

fn widths() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    for columns in [80, 100, 160] {
        for words in [&[][..], &["--all"], &["--all", "--config", "--source"], &["-tt", "-r", "-T"]] {
            let words = [&["trace", bundle.id.as_str()], words].concat();
            let text = page(&bundle, &words, &format!("{columns}"))?;
            let wide = text.lines().find(|row| row.chars().count() > columns);
            ensure!(wide.is_none(), "{words:?} on {columns} columns: {wide:?}");
        }
    }
    bundle.clean()
}

/// The rows on a page where each row takes one line, without head and headings.
fn rows(text: &str) -> Vec<&str> {
    let numbered = |row: &&str| row.get(..4).is_some_and(|margin| margin.trim().parse::<u16>().is_ok());
    text.lines().filter(|row| row.starts_with("    ") || numbered(row)).collect()
}

const ENDLESS: &str = "9000";

fn every_call() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let text = page(&bundle, &["trace", "--all", &bundle.id], ENDLESS)?;
    let all = told(&bundle)?;
    same("rows and calls", rows(&text).len(), all.len())?;
    let head = text.lines().next().unwrap_or("");
    ensure!(head.contains(&format!(": {} calls, ", all.len())), "{head}");
    let demo = rows(&demo_trace(&bundle, "text", ENDLESS)?).iter().map(|row| count(row)).sum::<usize>();
    ensure!(demo > 200, "the rows of the demo stand for {demo} calls");
    bundle.clean()
}

/// How many calls a row stands for.
fn count(row: &str) -> usize {
    let left: String = row.chars().skip(4).take((9000 - 5) * 44 / 100).collect();
    let left = left.trim();
    let (left, more) = match left.rsplit_once(" +") {
        Some((left, more)) if more.parse::<usize>().is_ok() => (left, more.parse().unwrap_or(0)),
        _ => (left, 0),
    };
    if let Some((_, calls)) = left.strip_suffix(" calls").and_then(|left| left.rsplit_once(": ")) {
        return calls.parse().unwrap_or(0);
    }
    let repeated = left.split(' ').nth(1).and_then(|word| word.parse::<usize>().ok());
    more + repeated.filter(|_| !left.split(' ').next().unwrap_or("").contains('(')).unwrap_or(1)
}

fn folds() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let text = page(&bundle, &["trace", &bundle.id], ENDLESS)?;
    let counted: usize = rows(&text).iter().map(|row| count(row)).sum();
    same(&format!("the calls of all rows of\n{text}"), counted, told(&bundle)?.len())?;
    bundle.clean()
}

/// Fails for a refusal that has no reason in the table.
fn all_expected(records: &[Value]) -> Outcome {
    let odd = records.iter().filter(|record| record["expected"] == json!(false));
    let odd: Vec<String> = odd.map(|record| format!("{record}")).collect();
    ensure!(odd.is_empty(), "refusals that nothing explains:\n{}", odd.join("\n"));
    ensure!(records.iter().any(|record| record["expected"].is_string()), "no refusal at all");
    Ok(())
}

fn life() -> Outcome {
    for (ends_itself, make) in [(true, everything::bundle as fn() -> _), (false, || Bundle::shell("sleep 1000"))] {
        let bundle = make()?;
        bundle.bundled(&["create"])?.ok()?;
        bundle.call(&["start", &bundle.id])?.ok()?;
        if !ends_itself {
            bundle.call(&["exec", &bundle.id, "/bin/true"])?.ok()?;
            bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
        }
        bundle.until("stopped")?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
        all_expected(&told(&bundle)?)?;
        bundle.clean()?;
    }
    let bundle = everything::bundle()?;
    bundle.bundled(&["run"])?.ok()?;
    all_expected(&told(&bundle)?)?;
    bundle.clean()
}

fn demo_refusals() -> Outcome {
    let bundle = Bundle::plain()?;
    all_expected(&records(&demo_trace(&bundle, "json", "80")?)?)?;
    bundle.clean()
}

fn ended() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/cwd", json!("/etc/passwd/no"))?;
    bundle.bundled(&["create"])?.refused("")?;
    let text = page(&bundle, &["trace", &bundle.id], "100")?;
    ensure!(text.contains("this ended the command"), "{text}");
    let ended = told(&bundle)?.into_iter().filter(|record| record["ended"] == json!(true)).count();
    same("records that ended the command", ended, 1)?;
    let list = bundle.call(&["trace"])?.ok()?.out;
    ensure!(list.contains("failed: "), "{list}");
    bundle.clean()
}

/// The text without its colours.
fn plain(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or("").to_string();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

fn colours() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let never = page(&bundle, &["trace", &bundle.id], "100")?;
    ensure!(!never.contains('\x1b'), "a file has colours: {never}");
    let always = page(&bundle, &["trace", "--color", "always", &bundle.id], "100")?;
    ensure!(always.contains("\x1b[36m") && always.contains("\x1b[32m"), "{always}");
    same("the words", plain(&always), never.clone())?;
    let at_terminal = |words: &[&str]| -> Result<String, Failed> {
        let words = [&["trace", bundle.id.as_str()], words].concat();
        Seat::take(&bundle, &bundle.command(&words)?)?.leave(0)
    };
    let shown = at_terminal(&[])?;
    ensure!(shown.contains("\x1b[36m"), "no colour at a terminal: {shown}");
    ensure!(plain(&shown).lines().all(|row| row.trim_end().chars().count() <= 111), "{shown}");
    ensure!(!at_terminal(&["--color", "never"])?.contains("\x1b[36m"), "colours in spite of --color never");
    bundle.clean()
}
