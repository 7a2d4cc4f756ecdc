//! README.md: what its first ten minutes and its part about failures say to type works as it stands, and the examples of the
//! help do, too.

use crate::bundle::{Bundle, built, runtime, tool};
use crate::machine::{self, kernels};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::error::Error;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let there = tool("curl").is_ok() && kernels("lib/modules").exists();
    let machines = machine::cases(
        "readme",
        &[("from_nothing_to_a_server_works_as_typed", server), ("a_machine_of_its_own_works_as_typed", own_machine)],
    );
    let mut all: Vec<Trial> =
        machines.into_iter().map(|case| if there { case } else { case.with_ignored_flag(true) }).collect();
    all.extend(area(
        "readme",
        &[
            ("the_first_ten_minutes_work_as_typed", minutes),
            ("what_is_said_of_failures_works_as_typed", failures),
            ("examples_of_the_help_work_as_typed", examples),
        ],
    ));
    all
}

/// The packages would come from a mirror: here busybox serves, under nginx's name.
fn server() -> Outcome {
    let bundle = Bundle::plain()?;
    clone(&bundle)?;
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(top.join("scripts/bundle"), bundle.path("scripts/bundle"))?;
    symlink(kernels(""), bundle.path("target/lab"))?;
    let mut lines = blocks(&part("From nothing to a VM that runs nginx")?);
    ensure!(lines.len() == 6 && lines[0].starts_with("mmdebstrap "), "{lines:?}");
    lines[0] = "scripts/rootfs web && mkdir web/www && echo Welcome >web/www/index.html &&
        printf '#!/bin/sh\\ntrap \"exit 0\" TERM\\nhttpd -f -p 80 -h /www &\\nwait\\n' >web/bin/nginx && chmod 755 web/bin/nginx"
        .into();
    lines.retain(|line| !line.starts_with("scripts/kernel"));
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut lines: Vec<String> = lines.iter().map(|line| line.replace("8080", &port.to_string())).collect();
    lines.push("wait".into());
    typed(&bundle, &lines)?;
    bundle.clean()
}

/// It begins with the bundle of the first ten minutes.
fn own_machine() -> Outcome {
    let bundle = Bundle::plain()?;
    clone(&bundle)?;
    symlink(kernels(""), bundle.path("target/lab"))?;
    let mut lines = bundle_lines()?;
    lines.extend(blocks(&part("In a machine of its own")?));
    ensure!(lines.iter().any(|line| line.starts_with("nk-runtime run --mode vm ")), "{lines:?}");
    lines.retain(|line| !line.starts_with("scripts/kernel"));
    typed(&bundle, &lines)?;
    bundle.clean()
}

/// The lines of the first ten minutes that make a bundle.
fn bundle_lines() -> Result<Vec<String>, Failed> {
    let minutes = blocks(&part("The first ten minutes")?);
    let makes =
        |line: &&String| ["scripts/rootfs", "nk-runtime spec", "sed -i"].iter().any(|word| line.starts_with(word));
    let lines: Vec<String> = minutes.iter().filter(makes).cloned().collect();
    same("lines that make the bundle", lines.len(), 3)?;
    Ok(lines)
}

/// A clone in which the program is built.
fn clone(bundle: &Bundle) -> Outcome {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let built = &built();
    for folder in ["scripts", "bundles/hello", built] {
        fs::create_dir_all(bundle.path(folder))?;
    }
    for name in ["scripts/rootfs", "bundles/hello/config.json"] {
        fs::copy(top.join(name), bundle.path(name))?;
    }
    Ok(symlink(runtime(), bundle.path(built).join("nk-runtime"))?)
}

/// Runs lines in a shell, in the clone. Each has to succeed, but those whose comment says that it fails.
fn typed(bundle: &Bundle, lines: &[String]) -> Outcome {
    let mut script = format!("PATH=$PWD/{}:$PATH\n", built());
    for line in lines {
        let wanted = if line.trim_end().ends_with(" fails") { 1 } else { 0 };
        script.push_str(&format!(
            "{line}\n[ $? = {wanted} ] || {{ echo \"NOT SO: {}\"; exit 9; }}\n",
            line.replace('"', "")
        ));
    }
    let mut shell = Command::new("/bin/bash");
    shell.arg("-c").arg(&script).current_dir(bundle.path("")).env("NK_RUN_DIR", bundle.state_root());
    shell.env("XDG_STATE_HOME", bundle.path("learned"));
    let done = bundle.finish(shell)?;
    ensure!(done.status == 0, "{done:?}");
    Ok(())
}

/// The lines of the blocks in a part of a text.
fn blocks(part: &str) -> Vec<String> {
    let blocks = part.split("\n```\n").skip(1).step_by(2);
    blocks.flat_map(str::lines).map(String::from).collect()
}

/// A part of README.md.
fn part(title: &str) -> Result<String, Box<dyn Error>> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md"))?;
    let part = text.split(&format!("## {title}\n")).nth(1).and_then(|rest| rest.split("\n## ").next());
    Ok(part.ok_or(format!("no part {title}"))?.into())
}

fn minutes() -> Outcome {
    let part = part("The first ten minutes")?;
    let mut lines = blocks(&part);
    ensure!(lines.len() > 12, "{lines:?}");
    lines.retain(|line| !line.starts_with("cargo "));
    // The questions' commands stand in a table.
    let rows = part.lines().filter(|line| line.starts_with("| ") && line.contains('`'));
    let questions: Vec<String> = rows.filter_map(|row| row.split('`').nth(1)).map(String::from).collect();
    same("questions", questions.len(), 10)?;
    lines.extend(questions);
    let bundle = Bundle::plain()?;
    clone(&bundle)?;
    typed(&bundle, &lines)?;
    // What has been learned is meant to stay.
    fs::remove_file(bundle.state_root().join(".learn"))?;
    bundle.clean()
}

/// They begin with the bundle of the first ten minutes.
fn failures() -> Outcome {
    let bundle = Bundle::plain()?;
    clone(&bundle)?;
    let mut lines = bundle_lines()?;
    lines.extend(blocks(&part("When it fails")?));
    ensure!(lines.len() > 15, "{lines:?}");
    typed(&bundle, &lines)?;
    bundle.clean()
}

fn examples() -> Outcome {
    let bundle = Bundle::plain()?;
    clone(&bundle)?;
    let help = bundle.call(&["--help"])?.ok()?.out;
    let rows = help.split("\nExamples\n").nth(1).unwrap_or("").lines().map(|line| String::from(line.trim()));
    let lines: Vec<String> = rows.collect();
    ensure!(lines.len() > 3, "{help}");
    typed(&bundle, &lines)?;
    let man = bundle.call(&["man"])?.ok()?.out.replace("\\-", "-");
    let missing: Vec<&String> = lines.iter().filter(|line| !man.contains(line.as_str())).collect::<Vec<_>>();
    same("examples that the man page has not", missing, Vec::<&String>::new())?;
    bundle.clean()
}
