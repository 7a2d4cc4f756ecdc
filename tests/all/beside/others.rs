//! Other runtimes, understood: runc, crun and bubblewrap run the same program under `strace -f`. The milestones that the listing tells
//! are in their order, and the world that its calls make is the one that the program shows from inside.

use crate::bundle::{Bundle, tool};
use crate::strace::traced;
use crate::world::agree;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "others",
        &[
            ("runc_is_understood", || understood("runc", RUNC)),
            ("crun_is_understood", || understood("crun", CRUN)),
            ("bubblewrap_is_understood", || understood("bwrap", BWRAP)),
            ("our_listing_is_our_trace", our_listing),
            ("runc_beside_ours", || beside_ours("runc")),
            ("crun_beside_ours", || beside_ours("crun")),
            ("a_milestone_that_is_missing_is_named", missing),
            ("the_text_fits_into_80_columns", text),
            ("another_program_reaches_none", another_program),
            ("what_is_no_listing_is_refused", refused),
        ],
    )
}

/// The milestones that each reaches, in its order. Those are left out that its other process reaches at the same time.
const RUNC: &str = "config cgroup joined-cgroup namespaces propagation rootfs proc dev devpts mounts sysfs cgroupfs devices root \
    old-root readonly-root hostname readonly masks no-new-privs capabilities ids program";
const CRUN: &str = "config cgroup joined-cgroup namespaces propagation rootfs proc dev devpts mounts sysfs cgroupfs devices \
    masks readonly readonly-root root old-root hostname capabilities ids no-new-privs program";
const BWRAP: &str = "no-new-privs namespaces capabilities mappings propagation rootfs proc readonly dev devices devpts mounts \
    hostname root old-root program";

/// Runs the bundle's program in a runtime under strace, and gives the path of the listing, and what the program has said.
fn listed(bundle: &Bundle, name: &str) -> Result<(String, Value), Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let mut inner = match name {
        "nk-runtime" => bundle.command(&["run", "--bundle", &here, &bundle.id])?,
        "bwrap" => bubblewrap(bundle)?,
        name => bundle.command_of(&tool(name)?, &["run", "--bundle", &here, &bundle.id])?,
    };
    inner.current_dir("/");
    let listing = bundle.path(&format!("{name}.strace"));
    let mut options = vec!["-ttt", "-T", "-s", "256"];
    if name == "crun" {
        // crun raises its limit on locked memory, and fails where CAP_SYS_RESOURCE is missing. Since Linux 5.11 no BPF program
        // counts as locked memory, so it needs no higher limit: strace tells it that it has one.
        options.extend(["-e", "inject=prlimit64:retval=0"]);
    }
    let done = bundle.finish(traced(&inner, &listing, options)?)?.ok()?;
    let report = serde_json::from_str(&done.out).map_err(|error| format!("no report: {error}: {done:?}"))?;
    Ok((listing.to_string_lossy().into_owned(), report))
}

fn bubblewrap(bundle: &Bundle) -> Result<Command, Failed> {
    let mut command = Command::new(tool("bwrap")?);
    command.args(["--unshare-all", "--as-pid-1", "--bind"]).arg(bundle.rootfs("")).args(["/", "--proc", "/proc"]);
    command.args(["--dev", "/dev", "--tmpfs", "/tmp", "--hostname", "b", "--chdir", "/", "--cap-drop", "ALL"]);
    command.arg("/reporter").env("NK_TEST", &bundle.id);
    Ok(command)
}

/// What `trace` says of files, for programs.
fn told(bundle: &Bundle, words: &[&str], status: i32) -> Result<Value, Failed> {
    let done = bundle.call(&[&["trace", "--format", "json"], words].concat())?;
    same("exit status", done.status, status)?;
    serde_json::from_str(&done.out).map_err(|error| format!("no JSON: {error}: {done:?}").into())
}

fn texts<'a>(all: &'a Value, key: &str) -> Vec<&'a str> {
    all.as_array().into_iter().flatten().filter_map(|one| one[key].as_str()).collect()
}

fn understood(name: &str, order: &str) -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let (listing, mut report) = listed(&bundle, name)?;
    if name == "bwrap" {
        // It hands on what its caller has left open, and no call tells of that.
        let known = ["0", "1", "2"];
        report["fds"].as_object_mut().ok_or("no descriptors")?.retain(|number, _| known.contains(&number.as_str()));
    }
    let way = told(&bundle, &["--read", &listing], 0)?;
    let found = texts(&way["milestones"], "name");
    ensure!(found.len() >= 14, "{name}: {found:?}");
    let mut rest = found.iter();
    for wanted in order.split_whitespace() {
        ensure!(rest.any(|found| *found == wanted), "{name}: {wanted} is not in its place: {found:?}");
    }
    let begun: Vec<i64> =
        way["milestones"].as_array().into_iter().flatten().filter_map(|one| one["at_ns"].as_i64()).collect();
    same("milestones with times", begun.len(), found.len())?;
    ensure!(begun.is_sorted(), "{begun:?}");
    same("lines that could not be read", &way["unread"], &json!([]))?;
    let dot = bundle.call(&["trace", "--read", &listing, "--format", "dot"])?.ok()?.out;
    agree(&dot, &report).map_err(|failed| format!("{name}: {}\n{dot}", failed.message().unwrap_or("")))?;
    gone(bundle)
}

/// Other runtimes keep an empty directory of their states.
fn gone(bundle: Bundle) -> Outcome {
    let _ = fs::remove_dir(bundle.state_root());
    bundle.clean()
}

/// Our trace and what strace wrote of the same run reach the same milestones at the same calls, and make the same world.
fn our_listing() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let (listing, report) = listed(&bundle, "nk-runtime")?;
    let both = told(&bundle, &["--beside", &listing, "--against", &bundle.id], 0)?;
    for key in ["moved", "gained"] {
        same(key, &both[key], &json!([]))?;
    }
    let sides = [0, 1].map(|side| &both["sides"][side]["milestones"]);
    let calls = |side: &Value| -> Vec<String> {
        let all = side.as_array().into_iter().flatten();
        all.map(|one| format!("{} {} {:?}", one["name"], one["by"], texts(&one["calls"], "call"))).collect()
    };
    same("milestones and their calls", calls(sides[0]), calls(sides[1]))?;
    ensure!(calls(sides[0]).len() >= 20, "{:?}", calls(sides[0]));
    let dot = bundle.call(&["trace", "--read", &listing, "--format", "dot"])?.ok()?.out;
    agree(&dot, &report)?;
    bundle.clean()
}

/// The same bundle in another runtime and in ours: the programs get the same namespaces, ids and rights.
fn beside_ours(name: &str) -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let (listing, _) = listed(&bundle, name)?;
    bundle.bundled(&["run"])?.ok()?;
    let done = bundle.call(&["trace", "--beside", &listing, "--against", &bundle.id, "--format", "json"])?;
    let both: Value = serde_json::from_str(&done.out)?;
    let only =
        both["only"].as_array().into_iter().flatten().flat_map(|side| side.as_array().cloned().unwrap_or_default());
    same("exit status", done.status, i32::from(only.count() > 0))?;
    let ours = texts(&both["sides"][1]["milestones"], "name");
    let theirs = texts(&both["sides"][0]["milestones"], "name");
    ensure!(theirs.iter().filter(|one| ours.contains(one)).count() >= 14, "{theirs:?} {ours:?}");
    for one in both["gained"].as_array().into_iter().flatten() {
        let name = one[0].as_str().unwrap_or("");
        ensure!(name.starts_with('/') || name.starts_with("RLIMIT"), "the programs begin with another {one}");
    }
    bundle.clean()
}

fn missing() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let (listing, _) = listed(&bundle, "runc")?;
    let text = fs::read_to_string(&listing)?;
    let other = bundle.path("other.strace");
    let lacks = |line: &&str| !line.contains("sethostname(");
    fs::write(&other, text.lines().filter(lacks).collect::<Vec<_>>().join("\n"))?;
    let other = other.to_string_lossy().into_owned();
    let both = told(&bundle, &["--beside", &listing, "--against", &other], 1)?;
    same("only the first", &both["only"], &json!([["The host has a name"], []]))?;
    let text = bundle.call(&["trace", "--beside", &listing, "--against", &other])?;
    ensure!(text.status == 1 && text.out.contains("Only runc: The host has a name."), "{text:?}");
    let both = told(&bundle, &["--beside", &other, "--against", &other], 0)?;
    same("only one", &both["only"], &json!([[], []]))?;
    gone(bundle)
}

fn text() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    let (listing, _) = listed(&bundle, "runc")?;
    for words in [vec!["--read", &listing], vec!["--beside", &listing, "--against", &listing]] {
        for all in [&[][..], &["--all"]] {
            for columns in ["80", "160"] {
                let mut command = bundle.command(&[&["trace"], &words[..], all].concat())?;
                command.env("COLUMNS", columns);
                let out = bundle.finish(command)?.ok()?.out;
                let most: usize = columns.parse()?;
                let wide = out.lines().find(|line| line.chars().count() > most);
                ensure!(wide.is_none(), "{columns}: {wide:?}");
                ensure!(out.contains("The old root is gone") && out.contains("Summary"), "{out}");
            }
        }
    }
    let out = bundle.call(&["trace", "--read", &listing])?.ok()?.out;
    for words in [
        "pivot_root: It makes one mount the root",
        "MS_BIND: A directory",
        "prctl(PR_CAPBSET_DROP): ",
        "The program begins with",
    ] {
        ensure!(out.contains(words), "no {words} in {out}");
    }
    gone(bundle)
}

fn another_program() -> Outcome {
    let bundle = Bundle::plain()?;
    let listing = bundle.path("true.strace");
    bundle.finish(traced(&Command::new(tool("true")?), &listing, ["-ttt"])?)?.ok()?;
    let out = bundle.call(&["trace", "--read", &listing.to_string_lossy()])?.ok()?.out;
    ensure!(out.contains("No milestone: these calls make no container."), "{out}");
    bundle.clean()
}

fn refused() -> Outcome {
    let bundle = Bundle::plain()?;
    fs::write(bundle.path("text"), "not a listing\n")?;
    let text = bundle.path("text").to_string_lossy().into_owned();
    let none = bundle.path("none").to_string_lossy().into_owned();
    for (words, cause) in [
        (vec!["--read", &text], "has no line of strace"),
        (vec!["--read", &none], "no such file"),
        (vec!["--beside", &text, "--against", &text], "has no line of strace"),
        (vec!["--beside", &none, "--against", &none], "is neither a file that strace wrote nor a trace"),
    ] {
        let done = bundle.call(&[&["trace"], &words[..]].concat())?;
        ensure!(done.status != 0 && done.err.to_lowercase().replace("\n", " ").contains(cause), "{words:?}: {done:?}");
    }
    bundle.clean()
}
