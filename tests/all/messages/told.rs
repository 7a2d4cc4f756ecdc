//! What `-E` tells, live and in order, with every command; the log of calls; and the demo, which explains itself.

use crate::bundle::{Bundle, Done, patiently, runtime};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    area(
        "told",
        &[
            ("every_command_tells_what_it_does", every),
            ("each_line_has_its_shape", shapes),
            ("host_parent_and_child_in_order", roles),
            ("a_line_is_there_while_its_hook_runs", live),
            ("init_makes_no_call_more", calls),
            ("start_tells_what_init_does", start),
            ("debug_tells_each_call", debug),
            ("json_carries_the_role", roles_in_json),
            ("lines_that_cannot_be_written_cost_nothing", unwritten),
            ("repeats_are_told_once", repeats),
            ("the_demo_fits_on_two_screens", demo),
            ("the_demo_of_an_ordinary_user", demo_of_user),
        ],
    )
}

/// A line of `-E`: its level, its role and its text.
struct Line<'a> {
    time: &'a str,
    level: &'a str,
    role: &'a str,
    text: &'a str,
}

/// `[2026-11-23T14:05:09.123456Z] [INFO] [HOST] text`.
fn parse(line: &str) -> Result<Line<'_>, Failed> {
    let wrong = || Failed::from(format!("not the shape of a told line: {line}"));
    let rest = line.strip_prefix('[').ok_or_else(wrong)?;
    let (time, rest) = rest.split_once("] [").ok_or_else(wrong)?;
    let (level, rest) = rest.split_once("] [").ok_or_else(wrong)?;
    let (role, text) = rest.split_once("] ").ok_or_else(wrong)?;
    let digits = |c: char| if c.is_ascii_digit() { '0' } else { c };
    ensure!(time.chars().map(digits).eq("0000-00-00T00:00:00.000000Z".chars()), "{line}");
    ensure!(["INFO", "DEBUG", "WARN", "ERROR"].contains(&level), "{line}");
    ensure!(["HOST", "PARENT", "CHILD"].contains(&role), "{line}");
    ensure!(!text.is_empty() && line.len() <= 400, "{} bytes: {line}", line.len());
    Ok(Line { time, level, role, text })
}

fn told(text: &str) -> Result<Vec<Line<'_>>, Failed> {
    text.lines().map(parse).collect()
}

/// The bundle's words, told into a file: the command's own output is the program's.
fn logged(bundle: &Bundle, words: &[&str]) -> Result<(Done, String), Failed> {
    let log = bundle.path("log");
    let _ = fs::remove_file(&log);
    let file = log.to_string_lossy().into_owned();
    let done = bundle.bundled(&[&["-E", "--log", &file], words].concat())?;
    Ok((done, fs::read_to_string(log)?))
}

fn every() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.write_config()?;
    fs::create_dir(bundle.path("new"))?;
    let path = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    let (here, new, log) = (path(""), path("new"), path("log"));
    let id = bundle.id.as_str();
    for (words, begins) in [
        (&["create", "--bundle", &here, id][..], "Create: "),
        (&["start", id], "Start: "),
        (&["state", id], "State: "),
        (&["inspect", id], "Inspect: "),
        (&["list"], "List: "),
        (&["ps", id], "Ps: "),
        (&["exec", id, "true"], "Exec: "),
        (&["events", "--stats", id], "Events: "),
        (&["pause", id], "Pause: "),
        (&["resume", id], "Resume: "),
        (&["trace", id], "Trace: "),
        (&["kill", id, "KILL"], "Kill: "),
        (&["delete", "--force", id], "Delete: "),
        (&["plan", "--bundle", &here], "Plan: "),
        (&["features"], "Features: "),
        (&["explain", "pivot_root"], "Explain: "),
        (&["spec", "--bundle", &new], "Spec: "),
        (&["run", "--detach", "--bundle", &here, id], "Run: "),
    ] {
        let _ = fs::remove_file(&log);
        let done = bundle.call(&[&["-E", "--log", &log], words].concat())?;
        same(words[0], done.status, 0)?;
        let text = fs::read_to_string(&log)?;
        let lines = told(&text)?;
        ensure!(lines.first().is_some_and(|line| line.text.starts_with(begins)), "{words:?}: {text}");
        ensure!(lines.iter().all(|line| line.level == "INFO"), "{words:?}: {text}");
    }
    bundle.call(&["delete", "--force", id])?.ok()?;
    bundle.clean()
}

/// Also where names are long or odd, and with everything that a configuration can ask for.
fn shapes() -> Outcome {
    let bundle = crate::everything::bundle()?;
    let (done, text) = logged(&bundle, &["run"])?;
    same("status", done.status, 0)?;
    ensure!(told(&text)?.len() > 40, "{text}");
    let (_, text) = logged(&bundle, &["--debug", "run"])?;
    told(&text)?;
    let mut bundle = Bundle::plain()?;
    let long = format!("/tmp/{}\nx", "y".repeat(240)).repeat(8);
    bundle.set("/mounts/-", json!({"destination": long, "type": "tmpfs", "source": "tmpfs"}))?;
    let (done, text) = logged(&bundle, &["--debug", "run"])?;
    same("status", done.status, 0)?;
    told(&text)?;
    bundle.clean()
}

fn roles() -> Outcome {
    let bundle = Bundle::plain()?;
    let (done, text) = logged(&bundle, &["run"])?;
    same("status", done.status, 0)?;
    let lines = told(&text)?;
    let place = |words: &str| {
        let found = lines.iter().position(|line| line.text.contains(words));
        found.ok_or_else(|| Failed::from(format!("no line says `{words}`:\n{text}")))
    };
    // The life in its order, each by the one who does it.
    let mut before = 0;
    for (role, words) in [
        ("HOST", "Run: "),
        ("HOST", "The bundle is"),
        ("HOST", "lone init in new namespaces: mount cgroup uts ipc pid network"),
        ("CHILD", "otherwise new mounts appear on the host"),
        ("CHILD", "(config.json /mounts)"),
        ("CHILD", "witch the root"),
        ("CHILD", &format!("et the host name to {}", bundle.config["hostname"].as_str().unwrap_or(""))),
        ("CHILD", "(config.json /process/capabilities/bounding)"),
        ("CHILD", "xecve sh"),
        ("PARENT", "The program runs as process"),
        ("PARENT", "ended with status 0"),
        ("PARENT", "are removed"),
    ] {
        let at = place(words)?;
        same(words, lines[at].role, role)?;
        ensure!(at >= before, "`{words}` comes too early:\n{text}");
        before = at;
    }
    let parent = lines.iter().position(|line| line.role == "PARENT").unwrap_or(0);
    ensure!(lines[parent..].iter().all(|line| line.role != "HOST"), "HOST after PARENT:\n{text}");
    // What one process does has the times of its calls.
    let times: Vec<&str> = lines.iter().filter(|line| line.role == "CHILD").map(|line| line.time).collect();
    ensure!(times.is_sorted(), "{text}");
    bundle.clean()
}

/// The hook ends only when the case has seen its line.
fn live() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let (log, go) = (bundle.path("log"), bundle.path("go"));
    let script = format!("while ! test -e {}; do sleep 0.05; done", go.display());
    let hook = json!([{"path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/bin:/usr/bin"]}]);
    bundle.set("/hooks", json!({"createRuntime": hook}))?;
    bundle.write_config()?;
    let (here, file) = (bundle.path("").to_string_lossy().into_owned(), log.to_string_lossy().into_owned());
    let mut running = bundle.start(bundle.command(&["-E", "--log", &file, "run", "--bundle", &here, &bundle.id])?)?;
    for words in ["[PARENT] The runtime runs the hooks", "[CHILD] The mounts are made"] {
        patiently(words, || Ok(fs::read_to_string(&log).unwrap_or_default().contains(words)))?;
    }
    // Init waits for the host, which waits for the hook.
    let words = "is still in the kernel, for 1 s: the hooks may still change";
    patiently(words, || Ok(fs::read_to_string(&log).unwrap_or_default().contains(words)))?;
    ensure!(running.child.try_wait()?.is_none(), "it did not wait for its hook");
    let text = fs::read_to_string(&log)?;
    ensure!(!text.contains("The program runs"), "{text}");
    fs::write(go, "")?;
    bundle.wait(running)?.ok()?;
    told(&fs::read_to_string(&log)?)?;
    bundle.clean()
}

/// The calls of a lane with what they were asked, without numbers that differ from run to run.
fn of_lane(bundle: &Bundle, options: &[&str], lane: &str) -> Result<Vec<String>, Failed> {
    let trace = bundle.path("trace");
    let _ = fs::remove_file(&trace);
    let file = trace.to_string_lossy().into_owned();
    let done = bundle.bundled(&[options, &["--trace=json", "--trace-file", &file, "run"]].concat())?;
    same("status", done.status, 0)?;
    let mut calls = Vec::new();
    for line in fs::read_to_string(&trace)?.lines() {
        let record: Value = serde_json::from_str(line)?;
        if record["lane"] == lane {
            calls.push(record["call"].as_str().unwrap_or("").to_owned());
        }
    }
    ensure!(!calls.is_empty(), "no calls of {lane}");
    Ok(calls)
}

/// Init waits for hooks of its own, and tells nothing meanwhile.
fn calls() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let hook = json!([{"path": "/bin/sleep", "args": ["sleep", "0.1"], "timeout": 20}]);
    bundle.set("/hooks", json!({"createContainer": hook, "startContainer": hook}))?;
    same("init", of_lane(&bundle, &["-E"], "init")?, of_lane(&bundle, &[], "init")?)?;
    // The host writes, waits in pieces, and sees to it that a reader that goes does not end it.
    let without = |all: Vec<String>| -> Vec<String> {
        let told = ["write", "ppoll", "rt_sigaction"];
        all.into_iter().filter(|call| !told.contains(&call.as_str())).collect()
    };
    // Where a wait lasts longer than a moment, as on a busy machine, the host takes signals besides: another run is compared.
    let short = |words: &[&str]| -> Result<Vec<String>, Failed> {
        for _ in 0..20 {
            let calls = of_lane(&bundle, words, "host")?;
            if !calls.iter().any(|call| call == "signalfd4") {
                return Ok(calls);
            }
        }
        Err("each of twenty runs had a wait that lasted longer than a moment".into())
    };
    let (told, plain) = (short(&["-E"])?, short(&[])?);
    same("host", without(told), without(plain))?;
    bundle.clean()
}

fn start() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let hook = json!([{"path": "/bin/sleep", "args": ["sleep", "0.3"]}]);
    bundle.set("/hooks", json!({"startContainer": hook}))?;
    bundle.bundled(&["create"])?.ok()?;
    let log = bundle.path("log").to_string_lossy().into_owned();
    bundle.call(&["-E", "--log", &log, "start", &bundle.id])?.ok()?;
    let text = fs::read_to_string(&log)?;
    told(&text)?;
    let place = |words: &str| text.find(words).ok_or_else(|| Failed::from(format!("no line says `{words}`:\n{text}")));
    let places = [
        place("[HOST] A byte goes into start.fifo")?,
        place("[CHILD] The new process runs the hooks `startContainer`")?,
        place("[CHILD] The new process becomes the container's program")?,
        place("running")?,
    ];
    ensure!(places.is_sorted(), "{text}");
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// As many calls as the trace has, with results and whys, also without `-E`.
fn debug() -> Outcome {
    let bundle = Bundle::plain()?;
    let (log, trace) = (bundle.path("log"), bundle.path("trace"));
    let (file, to) = (log.to_string_lossy().into_owned(), trace.to_string_lossy().into_owned());
    let words = ["--debug", "--log", &file, "--trace=json", "--trace-file", &to, "run"];
    bundle.bundled(&words)?.ok()?;
    let text = fs::read_to_string(&log)?;
    let lines = told(&text)?;
    let told: Vec<&Line> = lines.iter().filter(|line| line.level == "DEBUG").collect();
    let has = |role: &str, words: &str| told.iter().any(|line| line.role == role && line.text.contains(words));
    ensure!(has("HOST", "clone3(") && has("CHILD", "pivot_root(\".\", \".\") = 0: "), "{text}");
    ensure!(has("CHILD", "execve(") && has("PARENT", "waitid("), "{text}");
    let mut records = 0;
    for line in fs::read_to_string(&trace)?.lines() {
        let record: Value = serde_json::from_str(line)?;
        let why = record["why"].as_str().unwrap_or("");
        records += usize::from(!why.contains("the caller asked to be told") && !why.contains("cut in pieces"));
    }
    // The trace is shown after the last line is told.
    ensure!((records.saturating_sub(6)..=records).contains(&told.len()), "{} of {records} calls", told.len());
    bundle.clean()
}

fn roles_in_json() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let lines = |text: &str| -> Result<Vec<Value>, Failed> {
        text.lines().map(|line| serde_json::from_str(line).map_err(Failed::from)).collect()
    };
    let (done, text) = logged(&bundle, &["--log-format", "json", "run"])?;
    same("status", done.status, 0)?;
    let all = lines(&text)?;
    for role in ["HOST", "PARENT", "CHILD"] {
        ensure!(all.iter().any(|line| line["role"] == role && line["level"] == "info"), "{role}: {text}");
    }
    ensure!(all.iter().all(|line| line["msg"].is_string() && line["time"].is_string()), "{text}");
    // A warning without -E.
    bundle.set("/hooks", json!({"poststop": [{"path": "/bin/false"}]}))?;
    let file = bundle.path("log").to_string_lossy().into_owned();
    fs::remove_file(&file)?;
    bundle.bundled(&["--log", &file, "--log-format", "json", "run"])?.ok()?;
    let all = lines(&fs::read_to_string(&file)?)?;
    same("lines", all.len(), 1)?;
    same("role", all[0]["role"].as_str(), Some("PARENT"))?;
    bundle.clean()
}

/// A full disk, and a reader that has gone. The program does not learn of either.
fn unwritten() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let done = bundle.bundled(&["-E", "--debug", "--log", "/dev/full", "run"])?.ok()?;
    same("output", done.out.as_str(), "")?;
    let script = "while read key value; do case $key in SigIgn:) echo $value;; esac; done < /proc/self/status";
    bundle.set("/process/args", json!(["sh", "-c", script]))?;
    bundle.write_config()?;
    let plain = bundle.bundled(&["run"])?.ok()?.out;
    let here = bundle.path("").to_string_lossy().into_owned();
    let script = "{ \"$@\" 2>&1 >&3 3>&- | true; exit ${PIPESTATUS[0]}; } 3>&1";
    let mut command = Command::new("bash");
    command.args(["-c", script, "sh"]).arg(runtime()).arg("--root").arg(bundle.state_root());
    command.args(["-E", "run", "--bundle", &here, &bundle.id]).stdin(Stdio::null());
    let done = bundle.finish(command)?;
    same("status", done.status, 0)?;
    same("signals that the program ignores", done.out, plain)?;
    bundle.clean()
}

fn repeats() -> Outcome {
    let bundle = Bundle::plain()?;
    let (_, text) = logged(&bundle, &["run"])?;
    let lines = told(&text)?;
    for words in ["ount proc on /proc, tmpfs on /dev, ", "ake the device /dev/null, /dev/zero, /dev/full, "] {
        same(words, lines.iter().filter(|line| line.text.contains(words)).count(), 1)?;
    }
    let mut texts: Vec<&str> = lines.iter().map(|line| line.text).collect();
    texts.sort_unstable();
    let all = texts.len();
    texts.dedup();
    same("different lines", texts.len(), all)?;
    bundle.clean()
}

/// Rows of 80 columns, and what the story is made of.
fn story(done: &Done) -> Outcome {
    let text = format!("{}{}", done.err, done.out);
    ensure!(text.lines().count() <= 48, "{} rows:\n{text}", text.lines().count());
    ensure!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    for role in ["HOST    ", "PARENT  ", "CHILD   "] {
        ensure!(done.err.lines().any(|line| line.starts_with(role)), "{role}: {text}");
    }
    ensure!(done.out.contains("Inside the container:") && done.out.contains("What to type next:"), "{text}");
    Ok(())
}

fn demo() -> Outcome {
    let bundle = Bundle::plain()?;
    let done = bundle.call(&["demo"])?;
    same("status", done.status, 0)?;
    story(&done)?;
    for words in done.out.lines().filter_map(|line| line.trim().strip_prefix("nk-runtime ")) {
        let words: Vec<&str> = words.split("  ").next().unwrap_or("").split(' ').collect();
        let next = bundle.call(&words)?;
        ensure!(next.status == 0 && !next.out.is_empty(), "{words:?}: {next:?}");
    }
    let quiet = bundle.call(&["-q", "demo"])?.ok()?;
    ensure!(quiet.out.contains("Inside the container:"), "{quiet:?}");
    let traced = bundle.call(&["demo", "--trace"])?;
    ensure!(traced.err.contains("pivot_root"), "{traced:?}");
    let traced = bundle.call(&["-q", "demo", "--trace=json"])?;
    ensure!(traced.err.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{traced:?}");
    let told = bundle.call(&["-E", "demo"])?;
    ensure!(told.err.contains("[CHILD] The prepared directory becomes"), "{told:?}");
    bundle.clean()
}

fn demo_of_user() -> Outcome {
    let bundle = crate::users::of_user(Bundle::plain()?)?;
    let done = crate::users::as_user(&bundle, &["demo"])?;
    same("status", done.status, 0)?;
    story(&done)?;
    bundle.clean()
}
