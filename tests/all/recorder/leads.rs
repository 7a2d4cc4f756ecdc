//! From a record to its cause and to the code: the line of the plan, the property, the option or the state of the host that
//! decided, and the line of our source that made the call.

use super::{BUNDLES, records};
use crate::bundle::Bundle;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

pub fn cases() -> Vec<Trial> {
    area(
        "leads",
        &[
            ("to_the_plan", to_the_plan),
            ("to_the_code", to_the_code),
            ("of_each_wrapper", of_each_wrapper),
            ("of_a_long_pointer", of_a_long_pointer),
            ("of_later_commands", of_later_commands),
            ("of_an_older_run", of_an_older_run),
            ("to_an_option", to_an_option),
            ("to_what_ended_the_command", to_what_ended_it),
        ],
    )
}

/// The words in brackets after each line of a listing: the pointer, and what else decided.
fn bracketed(listing: &str) -> BTreeMap<u64, Vec<String>> {
    let mut lines = BTreeMap::new();
    for line in listing.lines() {
        let Some((number, words)) = line.trim_start().split_once("  ") else { continue };
        let Ok(number) = number.parse() else { continue };
        let words = words.split("  [").skip(1).map(|word| word.trim_end_matches(']').to_owned());
        lines.insert(number, words.collect());
    }
    lines
}

/// Each record of a line names its stage; its pointer and its mark are those of the listing.
fn fits(records: &[Value], listing: &str) -> Outcome {
    let lines = bracketed(listing);
    let mut pointers = 0;
    for record in records {
        let Some(line @ 1..) = record["line"].as_u64() else {
            same(&format!("{record}"), [&record["op"], &record["decided"]], [&Value::Null; 2])?;
            let late = record["pointer"].as_str().is_none_or(|pointer| pointer.starts_with("/hooks/post"));
            ensure!(late, "{record}");
            continue;
        };
        ensure!(
            record["op"].as_str().is_some_and(|op| op.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')),
            "{record}"
        );
        let said = ["pointer", "decided"].iter().filter_map(|key| record[key].as_str().map(String::from));
        let listed = lines.get(&line).ok_or_else(|| format!("no line {line}: {listing}"))?;
        same(&format!("{record}"), &said.collect::<Vec<_>>(), listed)?;
        pointers += usize::from(record["pointer"].is_string());
    }
    ensure!(pointers > 20, "{pointers} records with a pointer");
    Ok(())
}

fn to_the_plan() -> Outcome {
    for make in BUNDLES {
        let bundle = make()?;
        bundle.bundled(&["run"])?.ok()?;
        let listing = bundle.bundled(&["plan"])?.ok()?.out;
        fits(&records(&bundle)?, &listing)?;
        bundle.clean()?;
    }
    Ok(())
}

/// The source of a record is a file of the repository. What it names makes a call there: a gate, a wrapper, or a function that
/// is given the why.
fn leads_to_code(record: &Value) -> Outcome {
    let source = record["source"].as_str().ok_or_else(|| format!("no source: {record}"))?;
    let (file, line) = source.split_once(':').ok_or_else(|| format!("no line: {record}"))?;
    let below = if file.starts_with("syscalls/") { file.to_owned() } else { format!("src/{file}") };
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(below);
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}: {record}", path.display()))?;
    ensure!(!file.starts_with("syscalls/src/calls/"), "{source} is a wrapper, not its caller: {record}");
    let line: usize = line.parse()?;
    let there: Vec<&str> = text.lines().skip(line.saturating_sub(1)).take(4).collect();
    let calls = |line: &&str| ["syscalls::", "room::", "why", "Why("].iter().any(|word| line.contains(word));
    ensure!(there.iter().any(calls), "{source} makes no call: {there:?}: {record}");
    Ok(())
}

fn to_the_code() -> Outcome {
    for make in BUNDLES {
        let bundle = make()?;
        bundle.bundled(&["run"])?.ok()?;
        records(&bundle)?.iter().try_for_each(leads_to_code)?;
        bundle.clean()?;
    }
    Ok(())
}

/// A wrapper that makes a call names its caller, not itself. A record has 10 bits for a line of a file.
fn of_each_wrapper() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = vec![root.join("src"), root.join("syscalls/src")];
    let mut wrappers = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = fs::read_to_string(&path) else { continue };
            let is_code = path.extension().is_some_and(|end| end == "rs");
            ensure!(!is_code || text.lines().count() < 1024, "{} is too long", path.display());
            if !path.to_string_lossy().contains("syscalls/src/calls/") {
                continue;
            }
            let lines: Vec<&str> = text.lines().collect();
            for pair in lines.windows(2).filter(|pair| pair[1].starts_with("pub fn ") && pair[1].contains("why: Why")) {
                let ends = pair[1].contains("-> !");
                ensure!(pair[0] == "#[track_caller]" || ends, "{}: {}", path.display(), pair[1]);
                wrappers += 1;
            }
        }
    }
    ensure!(wrappers > 80, "{wrappers} wrappers");
    Ok(())
}

fn of_a_long_pointer() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let name = format!("net.ipv4.{}", "x".repeat(400));
    bundle.set("/linux/sysctl", json!({ name: "1" }))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status == 1, "{done:?}");
    let all = records(&bundle)?;
    let pointers = all.iter().filter_map(|record| record["pointer"].as_str());
    let long: Vec<&str> = pointers.filter(|pointer| pointer.starts_with("/linux/sysctl/net.ipv4.x")).collect();
    ensure!(!long.is_empty() && long.iter().all(|one| one.len() == 256 && one.ends_with("x...")), "{long:?}");
    bundle.clean()
}

fn of_later_commands() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.set("/hooks", json!({"poststart": [{"path": "/bin/true"}]}))?;
    bundle.bundled(&["create"])?.ok()?;
    let id = bundle.id.clone();
    bundle.call(&["start", &id])?.ok()?;
    bundle.call(&["exec", &id, "true"])?.ok()?;
    bundle.call(&["delete", "--force", &id])?.ok()?;
    let all = records(&bundle)?;
    all.iter().try_for_each(leads_to_code)?;
    let of_exec = |record: &&Value| record["step"] == "exec" && record["line"] != 0;
    let exec: Vec<&Value> = all.iter().filter(of_exec).collect();
    ensure!(exec.len() > 20 && exec.iter().all(|record| record["op"].is_string()), "{exec:?}");
    let program = exec.iter().filter(|record| record["call"] == "execve");
    same("exec", program.map(|record| record["pointer"].as_str()).collect(), vec![Some("/process/args")])?;
    ensure!(all.iter().any(|record| record["step"] == "delete"), "nothing of delete");
    // A hook after the start belongs to no line. Its calls, and those of the process that runs it, have its pointer.
    let hook: Vec<&Value> = all.iter().filter(|record| record["pointer"] == "/hooks/poststart/0").collect();
    for (lane, call) in [("host", "memfd_create"), ("host", "clone3"), ("hook", "execve"), ("host", "waitid")] {
        ensure!(hook.iter().any(|r| r["lane"] == lane && r["call"] == call), "no {call} of {lane}: {hook:?}");
    }
    ensure!(hook.len() < 25, "{hook:?}");
    bundle.clean()
}

fn to_an_option() -> Outcome {
    let bundle = Bundle::plain()?;
    let file = bundle.path("pid").to_string_lossy().into_owned();
    bundle.bundled(&["run", "--pid-file", &file, "--no-pivot"])?.ok()?;
    let all = records(&bundle)?;
    let decided = |op: &str| all.iter().find(|record| record["op"] == op).map(|record| record["decided"].clone());
    same("pid file", decided("pid-file"), Some(json!("--pid-file")))?;
    same("pivot", decided("pivot"), Some(json!("--no-pivot")))?;
    same("cgroup", decided("cgroup"), Some(Value::Null))?;
    // A failure names the option, too.
    let done = bundle.bundled(&["run", "--pid-file", "/no/such/directory/pid"])?;
    done.refused("the pid file's directory /no/such/directory does not exist: /no is not there (--pid-file)")?;
    bundle.clean()
}

/// The record that ended a command, if one did.
fn ended(all: &[Value]) -> Vec<(String, String)> {
    let ended = all.iter().filter(|record| record["ended"] == true);
    let text = |record: &Value, key: &str| record[key].as_str().unwrap_or("").to_owned();
    ended.map(|record| (text(record, "call"), text(record, "errno"))).collect()
}

fn to_what_ended_it() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    same("a run", ended(&records(&bundle)?), vec![])?;
    bundle.clean()?;
    // Init's call, which it tells the host in a message; and a call of the host's.
    for (pointer, value, wanted) in [
        ("/mounts/-", json!({"destination": "/x", "type": "nosuchfs", "source": "none"}), ("mount", "ENODEV")),
        ("/root/path", json!("/no/such/rootfs"), ("open_tree", "ENOENT")),
    ] {
        let mut bundle = Bundle::plain()?;
        bundle.set(pointer, value)?;
        let done = bundle.bundled(&["create"])?;
        ensure!(done.status == 1, "{done:?}");
        same(pointer, ended(&records(&bundle)?), vec![(wanted.0.into(), wanted.1.into())])?;
        bundle.clean()?;
    }
    // A later command.
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    let done = bundle.call(&["exec", &bundle.id, "/no/such/program"])?;
    ensure!(done.status == 255, "{done:?}");
    same("exec", ended(&records(&bundle)?), vec![("faccessat2".into(), "ENOENT".into())])?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Its records are asked for as `trace` asks for them; the container that has its ID by now is another one.
fn of_an_older_run() -> Outcome {
    let mut bundle = Bundle::shell("true")?;
    bundle.set("/hostname", json!("older"))?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.set("/hostname", json!("newer"))?;
    bundle.bundled(&["create"])?.ok()?;
    let explain = |run: &str| bundle.call(&["explain", &format!("{}{run}:sethostname", bundle.id)]);
    let (older, newer) = (explain("~2")?.ok()?.out, explain("")?.ok()?.out);
    ensure!(older.contains("sethostname(\"older\"") && !older.contains("newer"), "{older}");
    ensure!(newer.contains("sethostname(\"newer\"") && !newer.contains("older"), "{newer}");
    explain("~9")?.refused("is kept")?;
    explain("~0")?.refused("N is a number")?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}
