//! `trace --beside`: what strace wrote of a command and our trace of it are the same, call for call; what is not the same is named.

mod others;

use crate::bundle::{Bundle, Done};
use crate::parity::{bundle_words, busybox, hello};
use crate::strace::traced;
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;

pub fn cases() -> Vec<Trial> {
    let mut all = others::cases();
    all.extend(area(
        "beside",
        &[
            ("all_of_hello", || all_of(hello()?)),
            ("all_of_busybox", || all_of(busybox()?)),
            ("all_of_everything", || all_of(everything::bundle()?)),
            ("all_of_joined_namespaces", || all_of(everything::joined()?)),
            ("all_of_a_start_that_fails", of_a_failure),
            ("with_each_option_of_strace", each_option),
            ("a_line_that_is_taken_out_or_changed_is_named", changed),
            ("a_process_that_strace_does_not_follow", without_children),
            ("other_commands_are_not_compared", other_commands),
            ("another_run_of_the_bundle", another_run),
            ("rows_fit_at_80_and_160_columns", columns),
            ("a_page_for_a_browser", page),
            ("trouble_has_a_status_of_its_own", trouble),
            ("the_script_does_both", script),
        ],
    ));
    all
}

/// Runs the bundle under strace, which writes `listing`.
fn run(bundle: &Bundle, options: &[&str], listing: &str) -> Result<Done, Failed> {
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = bundle_words(bundle, &here, "run")?;
    bundle.finish(traced(&bundle.command(&words)?, &bundle.path(listing), options)?)
}

fn beside(bundle: &Bundle, listing: &str, more: &[&str]) -> Result<Done, Failed> {
    let file = bundle.path(listing).to_string_lossy().into_owned();
    bundle.call(&[&["trace", &bundle.id, "--beside", &file], more].concat())
}

/// Nothing differs, and the summary says so.
fn agrees(done: &Done) -> Outcome {
    ensure!(done.status == 0, "a difference: {done:?}");
    let matched = done.out.lines().find(|line| line.starts_with("Matched: ")).ok_or("no line of what matches")?;
    let numbers: Vec<&str> = matched.split(' ').collect();
    ensure!(matched.ends_with(", 100 %") && numbers[1] == numbers[3], "{matched}");
    ensure!(numbers[1].parse::<u32>()? > 40, "{matched}");
    ensure!(!done.out.contains("of two runs"), "{}", done.out);
    same("the last line", done.out.lines().last(), Some("Differences: none"))
}

fn all_of(bundle: Bundle) -> Outcome {
    run(&bundle, &[], "listing")?;
    agrees(&beside(&bundle, "listing", &[])?)?;
    agrees(&beside(&bundle, "listing", &["-c"])?)?;
    bundle.clean()
}

fn of_a_failure() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["nosuch"]))?;
    same("the status", run(&bundle, &[], "listing")?.status, 1)?;
    let done = beside(&bundle, "listing", &[])?;
    ensure!(done.status == 0 && done.out.ends_with("Differences: none\n"), "{done:?}");
    bundle.clean()
}

fn each_option() -> Outcome {
    for options in [
        "-ff",
        "-ff -ttt",
        "-t",
        "-tt",
        "-ttt -T",
        "-r",
        "-y",
        "-yy",
        "-s 0",
        "-s 999",
        "-v",
        "-x",
        "-xx",
        "-X verbose",
        "-X raw",
        "-i",
        "-n",
        "-a 60",
        "-tt -r -T -n -i -yy -v -s 4000",
    ] {
        let bundle = Bundle::plain()?;
        run(&bundle, &options.split(' ').collect::<Vec<_>>(), "listing")?;
        fs::create_dir(bundle.path("listing.7"))?;
        agrees(&beside(&bundle, "listing", &["-c"])?).map_err(|failed| format!("strace {options}: {failed:?}"))?;
        bundle.clean()?;
    }
    // What strace writes to standard error: it speaks in the midst of lines, and the first process has no number.
    let bundle = Bundle::plain()?;
    let listing = bundle.path("listing").to_string_lossy().into_owned();
    let here = bundle.path("").to_string_lossy().into_owned();
    let command = bundle.command(&bundle_words(&bundle, &here, "run")?)?;
    let mut shell = std::process::Command::new("/bin/sh");
    let script = "list=$1; shift; strace -f \"$@\" 2>\"$list\" >/dev/null </dev/null";
    shell.args(["-c", script, "sh", &listing]).arg(command.get_program()).args(command.get_args()).current_dir("/");
    same("strace", bundle.finish(shell)?.status, 0)?;
    agrees(&beside(&bundle, "listing", &["-c"])?)?;
    bundle.clean()
}

/// Each change of a listing, and what names it.
fn changed() -> Outcome {
    let bundle = Bundle::plain()?;
    run(&bundle, &[], "listing")?;
    let text = fs::read_to_string(bundle.path("listing"))?;
    let lines: Vec<&str> = text.lines().collect();
    let line = |words: &str| lines.iter().position(|line| line.contains(words)).ok_or(format!("no {words}"));
    let with = |at: usize, other: &[&str]| [&lines[..at], other, &lines[at + 1..]].concat().join("\n");
    let named = |text: &str, words: &[String]| -> Outcome {
        fs::write(bundle.path("changed"), text)?;
        for more in [&["-c"][..], &[]] {
            let done = beside(&bundle, "changed", more)?;
            ensure!(done.status == 1, "no difference: {words:?}");
            let (_, list) =
                done.out.split_once("Differences: 1\n").ok_or(format!("not one: {words:?} {}", done.out))?;
            ensure!(words.iter().all(|words| list.contains(words)), "{words:?} expected in {list}");
        }
        Ok(())
    };
    let hostname = line(" sethostname(")?;
    let (number, before) = (hostname + 1, hostname);
    let taken = lines[hostname];
    let call = taken.split_once(' ').map_or("", |(_, call)| call.trim());
    named(
        &with(hostname, &[]),
        &[format!("After line {before}, init"), "missing in strace's file".into(), format!("+ {call}")],
    )?;
    let again = taken.replace("sethostname", "setdomainname");
    named(&with(hostname, &[taken, &again]), &[format!("Line {}, init", number + 1), "missing in our trace".into()])?;
    let other = taken.replacen("(\"", "(\"x", 1);
    named(
        &with(hostname, &[&other]),
        &[format!("Line {number}, init"), "other arguments".into(), format!("+ {call}")],
    )?;
    let other = taken.replace(" = 0", " = -1 EPERM (Operation not permitted)");
    named(
        &with(hostname, &[&other]),
        &[format!("Line {number}, init"), "another result".into(), "- sethostname".into()],
    )?;
    // The calls on both sides of the clone, and the last of each process.
    for words in ["clone3(", " execve(\"/bin", "exit_group("] {
        let at = if words == "exit_group(" {
            lines.iter().rposition(|line| line.contains(words)).unwrap_or(0)
        } else {
            line(words)?
        };
        if lines[at].contains("unfinished") {
            continue;
        }
        named(&with(at, &[]), &[format!("After line {at}, "), "missing in strace's file".into()])?;
    }
    fs::write(bundle.path("changed"), with(hostname, &["\u{1b}[2JHello"]))?;
    let done = beside(&bundle, "changed", &["-c"])?;
    let says = format!("Line {number} cannot be read: it is no call: \\u{{1b}}[2JHello");
    ensure!(done.status == 1 && done.out.contains(&says), "{done:?}");
    bundle.clean()
}

fn without_children() -> Outcome {
    let bundle = Bundle::plain()?;
    run(&bundle, &[], "listing")?;
    let text = fs::read_to_string(bundle.path("listing"))?;
    let first = text.split(' ').next().unwrap_or("").to_string();
    let own: Vec<&str> = text.lines().filter(|line| line.starts_with(&format!("{first} "))).collect();
    fs::write(bundle.path("own"), own.join("\n"))?;
    let done = beside(&bundle, "own", &["-c"])?;
    ensure!(done.status == 1 && done.out.contains("init (") && !done.out.contains("host ("), "{done:?}");
    ensure!(done.out.contains("(those like it that follow are on the page without -c)"), "{done:?}");
    let done = beside(&bundle, "own", &[])?;
    ensure!(done.out.contains("(those like it that follow are in the rows above)"), "{}", done.out);
    bundle.finish(traced(&std::process::Command::new("true"), &bundle.path("true"), [""; 0])?)?.ok()?;
    let done = beside(&bundle, "true", &["-c"])?;
    ensure!(done.out.starts_with("This file has no process that executes nk-runtime"), "{}", done.out);
    bundle.clean()
}

/// strace of one command of several.
fn other_commands() -> Outcome {
    let bundle = Bundle::shell("true")?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.finish(traced(&bundle.command(&["start", &bundle.id])?, &bundle.path("listing"), ["-v"; 0])?)?.ok()?;
    bundle.until("stopped")?;
    let done = beside(&bundle, "listing", &["-c"])?;
    ensure!(
        done.status == 0 && done.out.contains("\nCommands of this trace that strace has not seen: 1\n"),
        "{done:?}"
    );
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

/// A second run of a bundle is another one: ids of processes, addresses and times differ, and the page says so.
fn another_run() -> Outcome {
    let bundle = Bundle::plain()?;
    run(&bundle, &[], "first")?;
    run(&bundle, &[], "second")?;
    agrees(&beside(&bundle, "second", &["-c"])?)?;
    let done = beside(&bundle, "first", &["-c"])?;
    ensure!(done.status == 1 && done.out.contains("of two runs"), "{done:?}");
    let matched: Vec<u32> = done.out.split([' ', '\n']).filter_map(|word| word.parse().ok()).skip(4).take(2).collect();
    ensure!(matched[0] * 10 > matched[1] * 8, "{matched:?}: {done:?}");
    bundle.clean()
}

fn columns() -> Outcome {
    let bundle = Bundle::plain()?;
    run(&bundle, &[], "listing")?;
    let file = bundle.path("listing").to_string_lossy().into_owned();
    for (columns, parted) in [(80, false), (160, true)] {
        let mut command = bundle.command(&["trace", &bundle.id, "--beside", &file])?;
        command.env("COLUMNS", columns.to_string());
        let done = bundle.finish(command)?.ok()?;
        ensure!(done.out.contains(". explained"), "the legend is cut: {}", done.out);
        let wide = done.out.lines().find(|line| line.chars().count() > columns);
        ensure!(wide.is_none(), "{columns} columns: {wide:?}");
        let row = done.out.lines().find(|line| line.contains(" init = sethostname(")).ok_or("no row of sethostname")?;
        same(row, row.trim_end().ends_with(" = 0"), !parted)?;
        ensure!(done.out.contains("more: calls of the container's program"), "{}", done.out);
    }
    let all = beside(&bundle, "listing", &["--all"])?;
    ensure!(!all.out.contains("more: calls of the container's program"), "{}", all.out);
    bundle.clean()
}

fn page() -> Outcome {
    let bundle = Bundle::shell("echo '<b>&amp;'")?;
    run(&bundle, &[], "listing")?;
    let done = beside(&bundle, "listing", &["--format", "html"])?.ok()?;
    for words in ["src=", "href=", "url(", "<script", "<b>"] {
        ensure!(!done.out.contains(words), "{words} in {}", done.out);
    }
    ensure!(done.out.contains("Differences: none</pre>") && done.out.contains("&lt;b&gt;&amp;amp;"), "{}", done.out);
    let rows = done.out.matches("<tr class=").count();
    ensure!(rows > 100 && rows == done.out.matches("<td>").count() / 5, "{rows} rows");
    bundle.clean()
}

/// As diff(1): 1 says that there are differences, 2 that nothing was compared.
fn trouble() -> Outcome {
    let bundle = Bundle::plain()?;
    run(&bundle, &[], "listing")?;
    fs::write(bundle.path("empty"), "")?;
    for (words, says) in [
        ("trace ID --beside HERE/nosuch", "No such file or directory"),
        ("trace ID --beside HERE/empty", "has no line of strace: strace -f -o"),
        ("trace nosuch --beside HERE/listing", "nosuch"),
        ("trace ID --beside HERE/listing -f", "-f"),
        ("trace --beside HERE/listing", "an ID is needed"),
    ] {
        let here = bundle.path("").to_string_lossy().into_owned();
        let words = words.replace("HERE", here.trim_end_matches('/')).replace("ID", &bundle.id);
        let done = bundle.call(&words.split(' ').collect::<Vec<_>>())?;
        ensure!(done.status == 2 && done.err.contains(says), "{words}: {done:?}");
    }
    bundle.clean()
}

fn script() -> Outcome {
    let bundle = hello()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let command = bundle.command(&[])?;
    let mut script = std::process::Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/beside"));
    script.arg(here.trim_end_matches('/')).env("NK_RUNTIME", command.get_program()).current_dir("/");
    script.env("NK_ROOT", bundle.state_root());
    let done = bundle.finish(script)?;
    agrees(&done)?;
    ensure!(done.out.contains(" sethostname("), "{done:?}");
    bundle.clean()
}
