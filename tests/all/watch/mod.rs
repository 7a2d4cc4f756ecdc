//! The watch over a program: which calls are seen, that nothing of the program changes by it, and that it ends.

mod faults;
mod life;

use crate::bundle::{Bundle, tool};
use crate::parity::watched::PROGRAMS;
use crate::users::{as_user, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::Value;
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "watch",
        &[
            ("a_refused_call_is_shown_with_its_line", refused),
            ("a_call_that_succeeds_or_misses_a_file_is_not_refused", own_matters),
            ("all_shows_every_call", all_calls),
            ("the_program_of_exec_is_seen", exec),
            ("the_program_of_exec_is_seen_without_root", exec_without_root),
            ("start_watches_a_created_container", start),
            ("an_annotation_asks_for_it", annotation),
            ("another_value_of_the_annotation_is_refused", annotation_value),
            ("the_plan_shows_it_and_no_other_plan_has_it", plan),
            ("the_own_calls_are_counted", counted),
        ],
    );
    all.extend(life::cases());
    all.extend(faults::cases());
    all
}

/// What refuses a write to /sys in a usual configuration.
const REFUSED: &str = "echo x > /sys/nothing; true";

/// The refusals that a trace tells.
fn refusals(bundle: &Bundle) -> Result<Vec<Value>, Failed> {
    let text = bundle.call(&["trace", "--refused", "--format", "json", &bundle.id])?.ok()?.out;
    Ok(serde_json::from_str(&text)?)
}

/// The calls of the program in the trace, as strace shows them.
fn calls(bundle: &Bundle) -> Result<String, Failed> {
    Ok(bundle.call(&["trace", "--lane", "program", "--format", "strace", &bundle.id])?.ok()?.out)
}

/// Compiles a program into the root file system.
fn compiled(bundle: &Bundle, source: &str, options: &[&str]) -> Outcome {
    let file = bundle.path("program.c");
    fs::write(&file, source)?;
    let mut gcc = Command::new(tool("gcc")?);
    let done = gcc
        .args(["-w", "-static", "-I", PROGRAMS])
        .args(options)
        .arg("-o")
        .arg(bundle.rootfs("bin/program"))
        .arg(&file)
        .output()?;
    ensure!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// One refusal, of the mount at /sys.
fn of_sys(bundle: &Bundle) -> Outcome {
    let all = refusals(bundle)?;
    same("refusals", all.len(), 1)?;
    let pointer = all[0]["pointer"].as_str().unwrap_or("").to_string();
    ensure!(pointer.starts_with("/mounts/"), "{all:?}");
    ensure!(all[0]["call"].as_str().is_some_and(|call| call.contains("EROFS")), "{all:?}");
    Ok(())
}

fn refused() -> Outcome {
    let bundle = Bundle::shell(REFUSED)?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("status", done.status, 0)?;
    ensure!(done.err.contains("/mounts/") && done.err.contains("try:"), "{}", done.err);
    of_sys(&bundle)?;
    let text = bundle.call(&["trace", "--lane", "program", "--config", &bundle.id])?.ok()?.out;
    ensure!(text.contains("EROFS") && text.contains("config.json /mounts/"), "{text}");
    bundle.clean()
}

fn own_matters() -> Outcome {
    let mut bundle = Bundle::shell("cat /nowhere; mkdir /tmp/a; mkdir /tmp/a; echo hi")?;
    bundle.set("/root/readonly", serde_json::json!(false))?;
    let done = bundle.bundled(&["run", "--watch"])?;
    ensure!(!done.err.contains("refused"), "{}", done.err);
    same("refusals", refusals(&bundle)?.len(), 0)?;
    same("calls", calls(&bundle)?.as_str(), "")?;
    bundle.clean()
}

fn all_calls() -> Outcome {
    let mut bundle = Bundle::shell("mkdir /tmp/one; cat /nowhere; true")?;
    bundle.set("/root/readonly", serde_json::json!(false))?;
    same("status", bundle.bundled(&["run", "--watch=all"])?.status, 0)?;
    let calls = calls(&bundle)?;
    for call in ["\"/tmp/one\", 0777) ", "\"/nowhere\", O_RDONLY", "exit_group(0) "] {
        ensure!(calls.contains(call), "no {call} in {calls}");
    }
    same("refusals", refusals(&bundle)?.len(), 0)?;
    bundle.clean()
}

fn exec() -> Outcome {
    let bundle = Bundle::shell("while :; do sleep 0.1; done")?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let done = bundle.call(&["exec", "--watch", &bundle.id, "/bin/sh", "-c", REFUSED])?;
    same("status", done.status, 0)?;
    ensure!(done.err.contains("/mounts/"), "{}", done.err);
    of_sys(&bundle)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn exec_without_root() -> Outcome {
    let bundle = of_user(Bundle::shell("while :; do sleep 0.1; done")?)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    as_user(&bundle, &["run", "--detach", "--bundle", &here, &bundle.id])?.ok()?;
    let done = as_user(&bundle, &["exec", "--watch", &bundle.id, "/bin/sh", "-c", REFUSED])?;
    same("status", done.status, 0)?;
    ensure!(done.err.contains("The container refused one call") && done.err.contains("/mounts/"), "{}", done.err);
    as_user(&bundle, &["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn start() -> Outcome {
    let bundle = Bundle::shell(REFUSED)?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", "--watch", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    of_sys(&bundle)?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    // The trace outlives the container.
    of_sys(&bundle)?;
    bundle.clean()
}

fn annotation() -> Outcome {
    let mut bundle = Bundle::shell(REFUSED)?;
    bundle.set("/annotations", serde_json::json!({"nano-sandbox.watch": "refused"}))?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    of_sys(&bundle)?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn annotation_value() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/annotations", serde_json::json!({"nano-sandbox.watch": "some"}))?;
    bundle.bundled(&["run"])?.refused("/annotations/nano-sandbox.watch")?;
    bundle.clean()
}

fn plan() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let listing = |bundle: &Bundle| -> Result<String, Failed> { Ok(bundle.bundled(&["plan"])?.ok()?.out) };
    ensure!(!listing(&bundle)?.contains("watcher"), "a watcher that was not asked for");
    bundle.set("/annotations", serde_json::json!({"nano-sandbox.watch": "all"}))?;
    let text = listing(&bundle)?;
    ensure!(text.contains("clone the watcher") && text.contains("let the watcher trace"), "{text}");
    bundle.clean()
}

fn counted() -> Outcome {
    let bundle = Bundle::shell("true")?;
    bundle.bundled(&["run", "--watch=all"])?.ok()?;
    let text = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    let line = text.lines().find(|line| line.contains("The watcher made "));
    let number = line.and_then(|line| line.split(' ').find_map(|word| word.parse::<u32>().ok()));
    ensure!(number.is_some_and(|number| number > 50), "{text}");
    let own = bundle.call(&["trace", "--lane", "watcher", "--format", "strace", &bundle.id])?.ok()?.out;
    same("traces that the watcher begins", own.matches("ptrace(").count(), 1)?;
    bundle.clean()
}
