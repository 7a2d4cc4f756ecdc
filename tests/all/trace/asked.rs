//! What of a trace can be asked for: filters, the table of calls, older traces of an id, and the trace while it grows.

use super::{records, told};
use crate::bundle::{Bundle, patiently};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub fn cases() -> Vec<Trial> {
    area(
        "trace",
        &[
            ("filters_leave_what_was_asked_for", filters),
            ("filters_of_nothing_are_refused", refused),
            ("the_table_counts_every_call", table),
            ("names_and_times_as_strace_has_them", strace),
            ("each_of_several_runs_of_an_id", several),
            ("an_older_run_is_not_followed", older_is_not_followed),
            ("no_name_of_a_container_forges_a_line", forged),
            ("follow_waits_for_the_container", waits),
            ("follow_says_once_that_a_call_hangs", hangs),
        ],
    )
}

fn filters() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let all = told(&bundle)?;
    let mounts = ["mount", "umount2", "pivot_root", "open_tree", "move_mount", "mount_setattr", "fsopen", "fsmount"];
    type Fits<'a> = &'a dyn Fn(&Value) -> bool;
    let rows: [(&[&str], Fits); 9] = [
        (&["-e", "mount,close"], &|r| r["call"] == "mount" || r["call"] == "close"),
        (&["-e", "trace=mount", "-e", "close"], &|r| r["call"] == "mount" || r["call"] == "close"),
        (&["-e", "!close"], &|r| r["call"] != "close"),
        (&["-e", "%mount"], &|r| mounts.iter().any(|call| r["call"] == *call)),
        (&["--failed"], &|r| r["errno"].is_string()),
        (&["--lane", "init"], &|r| r["lane"] == "init"),
        (&["--step", "mounts,pivot"], &|r| r["step"] == "mounts" || r["step"] == "pivot"),
        (&["--step", "10"], &|r| r["step"] == "wait"),
        (&["--line", "20-25"], &|r| (20..=25).contains(&r["line"].as_u64().unwrap_or(0))),
    ];
    for (words, fits) in rows {
        let by_hand: Vec<&Value> = all.iter().filter(|record| fits(record)).collect();
        ensure!(!by_hand.is_empty(), "{words:?} leaves nothing");
        let words = [&["trace", bundle.id.as_str()], words].concat();
        let shown = records(&bundle.call(&[&words[..], &["--format", "json"]].concat())?.ok()?.out)?;
        ensure!(shown.iter().eq(by_hand.iter().copied()), "{words:?}: {} and {}", shown.len(), by_hand.len());
        let strace = bundle.call(&[&words[..], &["--format", "strace"]].concat())?.ok()?.out;
        same(&format!("{words:?} as strace"), strace.lines().filter(|l| !l.starts_with('+')).count(), by_hand.len())?;
        let text = bundle.call(&words)?.ok()?.out;
        ensure!(text.contains(&format!(": {} calls, ", by_hand.len())), "{words:?}: {text}");
    }
    bundle.clean()
}

fn refused() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    for (words, problem) in [
        (["-e", "mont"], "there is no system call `mont`"),
        (["-e", "%mont"], "there is no class `%mont`"),
        (["--lane", "guest"], "there is no lane `guest`"),
        (["--step", "99"], "there is no step `99`"),
    ] {
        bundle.call(&[&["trace", bundle.id.as_str()], &words[..]].concat())?.refused(problem)?;
    }
    let help = bundle.call(&["trace", "-e", "help"])?.ok()?.out;
    ensure!(help.contains("%mount") && help.lines().all(|row| row.len() <= 80), "{help}");
    bundle.clean()
}

fn table() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let all = told(&bundle)?;
    let refused = all.iter().filter(|record| record["errno"].is_string()).count();
    let text = bundle.call(&["trace", "-c", &bundle.id])?.ok()?.out;
    for table in text.split("\n\n") {
        let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|row| row.split_whitespace().collect()).collect();
        let number = |row: &[&str], at: usize| row.get(at).and_then(|word| word.parse::<usize>().ok()).unwrap_or(0);
        // Without errors the name of the call stands there.
        let errors = |row: &[&str]| number(row, 4);
        let (total, rows): (Vec<_>, Vec<_>) = rows.iter().partition(|row| row.last() == Some(&"total"));
        let total = total.first().ok_or("no total")?;
        same("calls in all", number(total, 3), all.len())?;
        same("errors in all", errors(total), refused)?;
        same("calls of the rows", rows.iter().map(|row| number(row, 3)).sum(), all.len())?;
        same("errors of the rows", rows.iter().map(|row| errors(row)).sum(), refused)?;
    }
    bundle.clean()
}

fn strace() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    let ask = |words: &[&str]| -> Result<String, Failed> {
        let words = [&["trace", bundle.id.as_str(), "--format", "strace"], words].concat();
        Ok(bundle.call(&words)?.ok()?.out)
    };
    let named = ask(&["-y", "-e", "mkdirat,mknodat"])?;
    let rootfs = bundle.rootfs("");
    let dev = format!("<{}/dev>, \"null\"", rootfs.to_string_lossy().trim_end_matches('/'));
    ensure!(named.contains(&dev), "no {dev} in {named}");
    let plain = ask(&[])?;
    let timed = ask(&["-tt", "-T"])?;
    same("lines", timed.lines().count(), plain.lines().count())?;
    let whole = |line: &&str| line.ends_with('>') && line.split(' ').any(|word| word.len() == 15 && word.contains('.'));
    let odd = timed.lines().find(|line| !line.contains("= ?") && !whole(line));
    ensure!(odd.is_none(), "no times: {odd:?}");
    bundle.clean()
}

fn several() -> Outcome {
    let mut bundle = Bundle::shell("exit 3")?;
    for status in [3, 4, 5] {
        bundle.set("/process/args/2", Value::from(format!("exit {status}")))?;
        let done = bundle.bundled(&["run"])?;
        same("the status", done.status, status)?;
    }
    let list = bundle.call(&["trace"])?.ok()?.out;
    let rows: Vec<&str> = list.lines().filter(|row| row.starts_with(bundle.id.as_str())).collect();
    let ends: Vec<&str> = rows.iter().map(|row| row.rsplit("  ").next().unwrap_or("")).collect();
    same(&list, ends, vec!["exit status 5", "exit status 4", "exit status 3"])?;
    for (run, status) in [(1, 5), (2, 4), (3, 3)] {
        let named = format!("{}~{run}", bundle.id);
        let text = bundle.call(&["trace", "--format", "strace", &named])?.ok()?.out;
        ensure!(text.contains(&format!("si_status={status}")), "{named}: {text}");
        let number = format!("{run}");
        let by_number = bundle.call(&["trace", "--format", "strace", "--run", &number, &bundle.id])?.ok()?.out;
        same("by number", by_number, text)?;
    }
    bundle.call(&["trace", &format!("{}~4", bundle.id)])?.refused("is kept")?;
    bundle.call(&["trace", &format!("{}~x", bundle.id)])?.refused("N is a number")?;
    let rows: Value = serde_json::from_str(&bundle.call(&["trace", "--format", "json"])?.ok()?.out)?;
    let own = rows.as_array().into_iter().flatten().filter(|row| row["id"] == bundle.id.as_str());
    ensure!(own.clone().count() == 3 && own.clone().all(|row| row["calls"].as_u64() > Some(50)), "{rows}");
    bundle.clean()
}

fn waits() -> Outcome {
    let bundle = Bundle::plain()?;
    let following = bundle.start(bundle.command(&["trace", "--follow", &bundle.id])?)?;
    patiently("that it waits", || Ok(following.said().1.contains("yet")))?;
    bundle.bundled(&["create"])?.ok()?;
    patiently("what create does", || Ok(following.said().0.contains("pivot_root(")))?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    let done = bundle.wait(following)?;
    ensure!(done.status == 0 && done.out.contains("execve("), "{}", done.out);
    bundle.clean()
}

fn hangs() -> Outcome {
    let bundle = Bundle::shell("sleep 1000")?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.call(&["exec", &bundle.id, "/bin/true"])?.ok()?;
    let following = bundle.start(bundle.command(&["trace", "--follow", &bundle.id])?)?;
    std::thread::sleep(std::time::Duration::from_millis(2500));
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    let out = bundle.wait(following)?.ok()?.out;
    let hanging = out.lines().filter(|line| line.contains("is still in the kernel"));
    ensure!(hanging.clone().count() <= 2, "{:?}", hanging.take(5).collect::<Vec<_>>());
    bundle.clean()
}

fn older_is_not_followed() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.bundled(&["run"])?.ok()?;
    let older = format!("{}~2", bundle.id);
    bundle.call(&["trace", "--follow", &older])?.refused("--follow waits for new calls")?;
    let long = "x".repeat(5000);
    let done = bundle.call(&["trace", "-e", &long, &older])?.refused("there is no system call `xxx")?;
    ensure!(done.err.len() < 400, "{done:?}");
    bundle.clean()
}

/// A name with the end of a line in it, and with a terminal's commands: in each view it stays a part of its line.
fn forged() -> Outcome {
    let mut bundle = Bundle::shell("true")?;
    let name = "/mnt/x\n  1 forged\u{1b}[31m\u{202e}";
    let mount = json!({"destination": name, "type": "tmpfs", "source": "s\u{1b}[32m"});
    let mut mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
    mounts.push(mount);
    bundle.set("/mounts", json!(mounts))?;
    bundle.set("/hostname", json!("h\u{1b}[33m"))?;
    bundle.bundled(&["create"])?.ok()?;
    let id = bundle.id.clone();
    let listed = bundle.call(&["explain", &format!("{id}:sethostname")])?.ok()?;
    let mut shown = vec![listed.out];
    for words in [
        &["trace", &id][..],
        &["trace", "--all", "--config", &id],
        &["trace", "--format", "strace", "-y", &id],
        &["inspect", &id],
    ] {
        shown.push(bundle.call(words)?.ok()?.out);
    }
    shown.push(bundle.bundled(&["plan"])?.ok()?.out);
    for text in shown {
        let hides = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
        let line = text.lines().find(|line| line.contains(hides) || line.starts_with("  1 forged"));
        ensure!(line.is_none(), "{line:?}");
    }
    bundle.call(&["delete", "--force", &id])?.ok()?;
    bundle.clean()
}
