//! Man pages and completion: they are made of the tables of the command line, and the tools that read them find no fault.

use crate::bundle::{Bundle, patiently, runtime, tool};
use crate::screen::Seat;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all = area(
        "manual",
        &[
            ("man_and_mandoc_find_no_fault", clean),
            ("has_each_option_of_each_command", options),
            ("config_has_each_property", properties),
            ("trace_has_each_field", fields),
        ],
    );
    all.extend(area(
        "completion",
        &[
            ("has_each_option_of_each_command", completed),
            ("knows_what_can_stand_at_the_cursor", cursor),
            ("of_ids_heeds_the_root_of_the_line", ids),
            ("in_bash", bash),
            ("in_zsh", zsh),
            ("in_fish", fish),
        ],
    ));
    all
}

fn page(bundle: &Bundle, name: &str) -> Result<String, Failed> {
    Ok(bundle.call(&["man", name])?.ok()?.out)
}

fn clean() -> Outcome {
    let bundle = Bundle::plain()?;
    for name in ["program", "config", "trace"] {
        let path = bundle.path(name);
        fs::write(&path, page(&bundle, name)?)?;
        for (program, words) in [
            ("man", &["--warnings", "-l"][..]),
            ("groff", &["-man", "-ww", "-Tutf8", "-z"]),
            ("mandoc", &["-T", "lint"]),
        ] {
            let mut command = Command::new(tool(program)?);
            command.args(words).arg(&path).env("LC_ALL", "C.UTF-8").env("MANPAGER", "cat");
            let done = bundle.finish(command)?;
            let faults = if program == "mandoc" { &done.out } else { &done.err };
            ensure!(done.status == 0 && faults.is_empty(), "{name}: {done:?}");
        }
    }
    bundle.clean()
}

/// The commands that the screen lists, and those that it names below.
fn commands(bundle: &Bundle) -> Result<Vec<String>, Failed> {
    let screen = bundle.call(&["--help"])?.ok()?.out;
    let rows = screen.lines().take_while(|line| !line.starts_with("Options")).filter(|line| line.starts_with("  "));
    let mut names: Vec<String> = rows.filter_map(|line| line.split_whitespace().next()).map(String::from).collect();
    ensure!(names.len() > 15, "{names:?}");
    names.extend(["man", "completion"].map(String::from));
    Ok(names)
}

/// The long options in a text.
fn long(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    words.filter(|word| word.len() > 2 && word.starts_with("--")).map(String::from).collect()
}

/// The options that a command's help lists.
fn own(bundle: &Bundle, name: &str) -> Result<BTreeSet<String>, Failed> {
    let help = bundle.call(&[name, "--help"])?.ok()?.out;
    let rows = help.lines().filter_map(|line| line.strip_prefix("  ")).filter(|line| line.starts_with('-'));
    let names = rows.flat_map(|line| line.split("  ").next().map(long).unwrap_or_default());
    Ok(names.collect())
}

fn options() -> Outcome {
    let bundle = Bundle::plain()?;
    let text = page(&bundle, "program")?.replace("\\-", "-").replace("\\fR", "").replace("\\fB", " ");
    for name in commands(&bundle)? {
        let section = text.split(".SS ").find(|part| part.split_whitespace().next() == Some(name.as_str()));
        let section = section.ok_or_else(|| Failed::from(format!("no section of {name}")))?;
        let section = section.split(".SH ").next().unwrap_or("");
        let mut wanted = own(&bundle, &name)?;
        wanted.remove("--help");
        let listed = section.lines().filter(|line| line.starts_with(" -")).flat_map(long);
        same(&name, listed.collect::<BTreeSet<String>>(), wanted)?;
    }
    let screen = bundle.call(&["--help"])?.ok()?.out;
    let screen = screen.split("Environment").next().unwrap_or("");
    let rest = text.split(".SH OPTIONS").nth(1).unwrap_or("");
    let missing: Vec<String> = long(screen).into_iter().filter(|name| !rest.contains(name.as_str())).collect();
    ensure!(missing.is_empty(), "{missing:?}");
    for name in ["NK_RUN_DIR", "NK_TRACE_LIMIT"] {
        ensure!(rest.contains(name), "{name} is missing");
    }
    bundle.clean()
}

fn properties() -> Outcome {
    let bundle = Bundle::plain()?;
    let text = page(&bundle, "config")?.replace("\\-", "-");
    let table = bundle.call(&["features", "--table"])?.ok()?.out;
    for line in table.lines() {
        let pointer = line.split_whitespace().nth(1).unwrap_or("").trim_end_matches(':');
        ensure!(text.contains(&format!("\\fB{pointer}\\fR\n")), "{pointer} is missing");
    }
    ensure!(text.matches("\nRefused: ").count() == table.matches("refused ").count(), "{text}");
    bundle.clean()
}

fn fields() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let trace = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
    let first: Value = serde_json::from_str(trace.lines().next().unwrap_or(""))?;
    let shown: BTreeSet<&str> = first.as_object().ok_or("no object")?.keys().map(String::as_str).collect();
    let text = page(&bundle, "trace")?;
    let part = text.split(".SS json").nth(1).and_then(|rest| rest.split(".SH ").next()).unwrap_or("");
    let told = part.split(".TP\n.B ").skip(1).filter_map(|rest| rest.lines().next());
    same("fields", told.collect::<BTreeSet<&str>>(), shown)?;
    bundle.clean()
}

/// The words that are offered at the end of a line.
fn offered(bundle: &Bundle, line: &[&str]) -> Result<Vec<String>, Failed> {
    let done = bundle.call(&[&["complete", "--"], line].concat())?.ok()?;
    Ok(done.out.lines().filter_map(|line| line.split('\t').next()).map(String::from).collect())
}

fn completed() -> Outcome {
    let bundle = Bundle::plain()?;
    let screen = bundle.call(&["--help"])?.ok()?.out;
    let all = long(screen.split("Environment").next().unwrap_or(""));
    for name in commands(&bundle)? {
        let found: BTreeSet<String> = offered(&bundle, &[&name, "--"])?.into_iter().collect();
        for option in own(&bundle, &name)?.iter().chain(&all) {
            ensure!(found.contains(option), "{name}: {option} is missing in {found:?}");
        }
    }
    bundle.clean()
}

fn cursor() -> Outcome {
    let bundle = Bundle::plain()?;
    for (line, wanted) in [
        (&["sta"][..], &["start", "state"][..]),
        (&["--root", "/x", "sta"], &["start", "state"]),
        (&["--trace=j"], &["--trace=json"]),
        (&["run", "--mode", ""], &["container", "vm"]),
        (&["run", "-db", ""], &[":folders"]),
        (&["run", "--config="], &[":files"]),
        (&["run", "--bundle", "/x", "--deta"], &["--detach"]),
        (&["trace", "x", "--format", "st"], &["strace"]),
        (&["kill", "x", "HU"], &["HUP"]),
        (&["mounts", ""], &["add", "remove"]),
        (&["mounts", "add", "x", ""], &[":files"]),
        (&["explain", "pivot_r"], &["pivot_root"]),
        (&["explain", "pid", ""], &["1", "namespace"]),
        (&["explain", "mount", "EI"], &["EINVAL"]),
        (&["exec", "x", "--roo"], &[]),
        (&["create", ""], &[]),
        (&["completion", "f"], &["fish"]),
        (&["learn", "mou"], &["mounts"]),
        (&["inspect", "--format", "j"], &["json"]),
    ] {
        let offered = offered(&bundle, line)?;
        same(&format!("{line:?}"), offered, wanted.iter().map(|word| String::from(*word)).collect::<Vec<_>>())?;
    }
    let commands = offered(&bundle, &[])?;
    ensure!(commands.contains(&"run".into()) && !commands.contains(&"inside".into()), "{commands:?}");
    bundle.clean()
}

fn ids() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let gone = bundle.id.clone();
    bundle.id += "b";
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.bundled(&["create"])?.ok()?;
    let here = bundle.id.clone();
    let root = bundle.state_root().to_string_lossy().into_owned();
    let other = ["--root", root.as_str()];
    // No option of the call itself names the root: a shell does not know it.
    let asked = |line: &[&str]| -> Result<String, Failed> {
        let mut command = Command::new(runtime());
        command.args(["complete", "--"]).args(other).args(line);
        Ok(bundle.finish(command)?.ok()?.out)
    };
    same("start", asked(&["start", ""])?, format!("{here}\n"))?;
    same("trace", asked(&["trace", "nkt"])?, format!("{gone}\n{here}\n"))?;
    same("a new id", asked(&["run", ""])?.as_str(), "")?;
    bundle.call(&["delete", "--force", &here])?.ok()?;
    bundle.clean()
}

/// A shell in which `nk-runtime` is the program under test, and the script of the completion lies in a file.
fn shell(bundle: &Bundle, name: &str) -> Result<String, Failed> {
    let bin = bundle.path("bin");
    fs::create_dir(&bin)?;
    symlink(runtime(), bin.join("nk-runtime"))?;
    let script = bundle.call(&["completion", name])?.ok()?.out;
    let path = bundle.path("script");
    fs::write(&path, script)?;
    Ok(format!("PATH={}:$PATH; . {}", bin.display(), path.display()))
}

/// Types lines with tabs, and sees what becomes of them.
fn typed(bundle: &Bundle, program: &str, words: &[&str], first: &str) -> Outcome {
    let mut command = Command::new(tool(program)?);
    command.args(words);
    let mut seat = Seat::take(bundle, &command)?;
    seat.screen.keys(&format!("PS1='> '; {first}; echo ready | tr a-z A-Z\n"))?;
    seat.screen.until("READY")?;
    for (keys, shown) in [
        ("nk-runtime explain pivot_r\t\n", "(system call)"),
        ("echo nk-runtime; nk-runtime run --mode=v\t\n", "run: an ID is needed"),
        ("nk-runtime sta\t\t", "state"),
    ] {
        seat.screen.keys(keys)?;
        seat.screen.until(shown)?;
    }
    seat.screen.keys("\u{15}exit 0\n")?;
    drop(seat);
    Ok(())
}

fn bash() -> Outcome {
    let bundle = Bundle::plain()?;
    let first = shell(&bundle, "bash")?;
    typed(&bundle, "bash", &["--norc", "-i"], &first)?;
    bundle.clean()
}

fn zsh() -> Outcome {
    let bundle = Bundle::plain()?;
    let first = shell(&bundle, "zsh")?;
    typed(&bundle, "zsh", &["-f", "-i"], &format!("autoload -Uz compinit; compinit -D -u; {first}"))?;
    // Where the installation puts it, the shell finds it by its name.
    let found = first.split("; . ").next().unwrap_or("");
    fs::rename(bundle.path("script"), bundle.path("_nk-runtime"))?;
    let path = bundle.path("").to_string_lossy().into_owned();
    typed(
        &bundle,
        "zsh",
        &["-f", "-i"],
        &format!("{found}; fpath=({path} $fpath); autoload -Uz compinit; compinit -D -u"),
    )?;
    patiently("the end of what the shell has asked", || Ok(bundle.nothing_left().is_ok()))?;
    bundle.clean()
}

/// fish tells without a terminal what it would offer.
fn fish() -> Outcome {
    let bundle = Bundle::plain()?;
    shell(&bundle, "fish")?;
    let ask = |line: &str| -> Result<String, Failed> {
        let mut command = Command::new(tool("fish")?);
        let (bin, script) = (bundle.path("bin"), bundle.path("script"));
        let words = format!("set PATH {} $PATH; source {}; complete -C '{line}'", bin.display(), script.display());
        command.args(["--no-config", "-c", &words]).env("HOME", bundle.path("")).current_dir(bundle.path(""));
        Ok(bundle.finish(command)?.out)
    };
    let lines =
        |text: String| -> Vec<String> { text.lines().map(|l| l.split('\t').next().unwrap_or("").into()).collect() };
    same("commands", lines(ask("nk-runtime sta")?), vec![String::from("start"), "state".into()])?;
    same("a value", lines(ask("nk-runtime run --mode ")?), vec![String::from("container"), "vm".into()])?;
    ensure!(ask("nk-runtime run --bundle b")?.contains("bin/"), "no folder");
    bundle.clean()
}
