//! What goes wrong in a container's life, and the words for it: engines read them (`does not exist`, `not running`,
//! `executable file not found in $PATH`), so they are asserted to the letter.

use crate::bundle::{Bundle, Done, Running, tool};
use crate::lifecycle::bring_to;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;

pub fn cases() -> Vec<Trial> {
    area(
        "lifecycle",
        &[
            ("bad_ids_are_refused", bad_ids),
            ("odd_but_good_ids_are_taken", good_ids),
            ("taken_id_is_refused", taken_id),
            ("of_8_parallel_creates_one_wins", parallel_creates),
            ("unknown_id_does_not_exist", unknown_id),
            ("delete_of_a_running_container_is_refused", delete_running),
            ("kill_of_a_stopped_container_is_refused", kill_stopped),
            ("start_of_a_started_container_is_refused", start_twice),
            ("program_not_in_path", || {
                missing_program("nosuch", r#"exec: "nosuch": executable file not found in $PATH"#)
            }),
            ("program_path_missing", || {
                missing_program("/no/such", r#"exec: "/no/such": stat /no/such: no such file or directory"#)
            }),
            ("program_not_executable", || {
                missing_program("/etc/notexec", r#"exec: "/etc/notexec": permission denied"#)
            }),
            ("program_is_a_directory", || missing_program("/etc", r#"exec: "/etc": "#)),
            ("program_without_its_interpreter", missing_interpreter),
            ("program_of_no_format", no_format),
            ("script_without_its_interpreter", script_without_interpreter),
            ("start_says_what_run_says", start_as_run),
            ("log_file_has_one_json_line", log_json),
            ("log_file_is_empty_on_success", log_empty),
            ("pid_file_in_a_missing_folder", pid_file_nowhere),
            ("unknown_command_and_option", unknown_words),
        ],
    )
}

fn bad_ids() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let long = "a".repeat(1025);
    let here = bundle.path("");
    let here = here.to_string_lossy();
    for id in [".", "..", "a/b", "../x", "a b", "a\nb", "ä", "a\u{7f}", long.as_str()] {
        for command in ["create", "run"] {
            let done = bundle.call(&[command, "--bundle", &here, id])?;
            one_line(&format!("{command} {id:?}"), done.refused("invalid container ID format")?)?;
        }
        for command in ["state", "start", "kill", "delete"] {
            let done = bundle.call(&[command, id])?;
            one_line(&format!("{command} {id:?}"), done.refused("invalid container ID format")?)?;
        }
        // An id that cannot be is not an unknown one: nothing of that name may be removed.
        let done = bundle.call(&["delete", "--force", id])?;
        ensure!(done.status == 1, "delete --force {id:?}: {done:?}");
        bundle.nothing_left()?;
    }
    for command in ["create", "state", "delete"] {
        one_line(command, bundle.call(&[command, ""])?.refused("")?)?;
    }
    bundle.clean()
}

fn one_line(what: &str, done: Done) -> Outcome {
    ensure!(done.messages() == 1 && done.out.is_empty(), "{what}: one line on stderr wanted: {done:?}");
    Ok(())
}

fn good_ids() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    bundle.write_config()?;
    let here = bundle.path("");
    for id in ["a", "A_b+c.d-e", "...", "-x", "_", "0"] {
        // Behind `--` an id may begin with a dash.
        bundle.call(&["run", "--bundle", &here.to_string_lossy(), "--", id])?.ok()?;
        bundle.nothing_left()?;
    }
    bundle.clean()
}

fn taken_id() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "created")?;
    let before = bundle.state()?;
    for command in ["create", "run"] {
        let done = bundle.bundled(&[command])?.refused("container with given ID already exists")?;
        same("lines on stderr", done.messages(), 1)?;
    }
    same("the first container's state", bundle.state()?, before)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn parallel_creates() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bundle.write_config()?;
    let here = bundle.path("");
    let words = ["create", "--bundle", &here.to_string_lossy(), &bundle.id];
    let mut all: Vec<Running> = Vec::new();
    for _ in 0..8 {
        all.push(bundle.start(bundle.command(&words)?)?);
    }
    let mut won = 0;
    for one in all {
        let done = bundle.wait(one)?;
        match done.status {
            0 => won += 1,
            _ => drop(done.refused("container with given ID already exists")?),
        }
    }
    same("how many won", won, 1)?;
    same("the winner's status", bundle.status()?, "created".into())?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn unknown_id() -> Outcome {
    let bundle = Bundle::plain()?;
    for command in ["state", "start", "kill", "delete"] {
        let done = bundle.call(&[command, "nobody"])?.refused("container does not exist")?;
        same("lines on stderr", done.messages(), 1)?;
    }
    bundle.clean()
}

fn delete_running() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "running")?;
    let words = format!("cannot delete container {} that is not stopped: running", bundle.id);
    bundle.call(&["delete", &bundle.id])?.refused(&words)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn kill_stopped() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "stopped")?;
    bundle.call(&["kill", &bundle.id, "TERM"])?.refused("container not running")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn start_twice() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bring_to(&bundle, "running")?;
    let done = bundle.call(&["start", &bundle.id])?.refused("running")?;
    same("lines on stderr", done.messages(), 1)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Found by `create`: nothing is left, and nothing has to be deleted.
fn missing_program(program: &str, words: &str) -> Outcome {
    let mut bundle = Bundle::plain()?;
    fs::write(bundle.rootfs("etc/notexec"), "#!/bin/sh\n")?;
    bundle.set("/process/args", json!([program]))?;
    for command in ["create", "run"] {
        bundle.bundled(&[command])?.refused(words)?;
        bundle.nothing_left()?;
    }
    bundle.clean()
}

/// What the kernel alone can find out is found by `start`, which says so.
fn failing_exec(bundle: Bundle, errno: &str) -> Outcome {
    bundle.bundled(&["create"])?.ok()?;
    let done = bundle.call(&["start", &bundle.id])?.refused(errno)?;
    ensure!(done.err.contains("execve"), "the call is named: {done:?}");
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.nothing_left()?;
    bundle.bundled(&["run"])?.refused(errno)?;
    bundle.clean()
}

/// A program of the host that wants a dynamic linker, in a rootfs that has none.
fn missing_interpreter() -> Outcome {
    let mut bundle = Bundle::plain()?;
    crate::bundle::copy_program(tool("unshare")?, bundle.rootfs("bin/dynamic"))?;
    bundle.set("/process/args", json!(["/bin/dynamic"]))?;
    failing_exec(bundle, "ENOENT")
}

fn no_format() -> Outcome {
    let mut bundle = Bundle::plain()?;
    script(&bundle, "\u{7f}ELF but not really")?;
    bundle.set("/process/args", json!(["/bin/program"]))?;
    failing_exec(bundle, "ENOEXEC")
}

fn script_without_interpreter() -> Outcome {
    let mut bundle = Bundle::plain()?;
    script(&bundle, "#!/bin/sh\r\ntrue\r\n")?;
    bundle.set("/process/args", json!(["program"]))?;
    failing_exec(bundle, "ENOENT")
}

/// A failure after `start` has the same words as in `run`, to the letter.
fn start_as_run() -> Outcome {
    let hook = |line: &str| json!({"startContainer": [{"path": "/bin/true"}, {"path": "/bin/sh", "args": ["sh", "-c", line]}]});
    let missing = json!({"startContainer": [{"path": "/nowhere/hook"}]});
    for (file, hooks, words) in [
        ("#!/bin/sh\n", hook("echo it broke; exit 3"), "(config.json /hooks/startContainer/1)"),
        ("#!/bin/sh\n", missing, "(config.json /hooks/startContainer/0)"),
        ("no format", json!({}), "exec: \"/bin/program\": exec format error"),
        ("#!/nowhere/sh\n", json!({}), "exec: \"/bin/program\": no such file or directory"),
    ] {
        let mut bundle = Bundle::plain()?;
        script(&bundle, file)?;
        bundle.set("/process/args", json!(["/bin/program"]))?;
        bundle.set("/hooks", hooks)?;
        bundle.bundled(&["create"])?.ok()?;
        let start = bundle.call(&["start", &bundle.id])?.refused(words)?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        let run = bundle.bundled(&["run"])?.refused(words)?;
        // The numbers of lines in the two plans differ, and the place of the environment in memory.
        let words = |done: &Done| -> Vec<String> {
            let lines = done.err.lines().filter(|line| !line.starts_with("  call: ") && !line.starts_with("  more: "));
            lines.map(String::from).collect()
        };
        same("what start says", words(&start), words(&run))?;
        bundle.clean()?;
    }
    // What `create` can find out it says by another call than `run`: the reason is the same.
    let mut bundle = Bundle::plain()?;
    fs::write(bundle.rootfs("bin/program"), "#!/bin/sh\n")?;
    bundle.set("/process/args", json!(["/bin/program"]))?;
    let [create, run] = ["create", "run"].map(|command| bundle.bundled(&[command]));
    let reason = |done: Done| done.err.split(" (config.json").next().map(String::from);
    same("what create says", reason(create?.refused("permission denied")?), reason(run?))?;
    bundle.clean()
}

fn script(bundle: &Bundle, content: &str) -> Outcome {
    let path = bundle.rootfs("bin/program");
    fs::write(&path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    Ok(())
}

fn log_json() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["nosuch"]))?;
    let log = bundle.path("log");
    for spelling in [&["--log-format", "json"][..], &["--log-format=json"][..]] {
        let _ = fs::remove_file(&log);
        let done = bundle.bundled(&[&["--log", &log.to_string_lossy()], spelling, &["create"]].concat())?;
        same("the status", done.status, 1)?;
        let text = fs::read_to_string(&log)?;
        same("lines in the log", text.lines().count(), 1)?;
        let line: Value = serde_json::from_str(&text)?;
        same("level", line["level"].as_str(), Some("error"))?;
        let message = line["msg"].as_str().unwrap_or("");
        ensure!(message.contains("executable file not found in $PATH"), "msg: {message}");
        // An engine's user knows neither the state root nor the id.
        let trace = format!("more: nk-runtime --root {} trace {}", bundle.state_root().display(), bundle.id);
        ensure!(message.contains(&trace), "no {trace}: {message}");
        let time = line["time"].as_str().unwrap_or("");
        ensure!(time.len() >= 20 && time.as_bytes()[10] == b'T', "time is as in RFC 3339: {time}");
    }
    // The shim's calls for one container share a file: the first error stays in it.
    bundle.bundled(&["--log", &log.to_string_lossy(), "--log-format", "json", "create"])?;
    same("lines after one more failure", fs::read_to_string(&log)?.lines().count(), 2)?;
    bundle.clean()
}

fn log_empty() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet"])?;
    let log = bundle.path("log");
    bundle.bundled(&["--log", &log.to_string_lossy(), "--log-format", "json", "run"])?.ok()?;
    same(
        "the log",
        fs::read_to_string(&log)?, // there all the same: the shim reads it whenever something is wrong
        String::new(),
    )?;
    bundle.clean()
}

fn pid_file_nowhere() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    let file = bundle.path("nowhere/pid");
    let done = bundle.bundled(&["create", "--pid-file", &file.to_string_lossy()])?.refused("nowhere")?;
    ensure!(done.err.contains("ENOENT") || done.err.contains("no such file"), "the cause is named: {done:?}");
    bundle.clean()
}

fn unknown_words() -> Outcome {
    let bundle = Bundle::plain()?;
    for words in [&["frobnicate"][..], &["--frob", "list"][..], &["create"][..], &["state", "a", "b"][..]] {
        let done = bundle.call(words)?;
        ensure!(done.status == 1 && done.out.is_empty(), "{words:?}: {done:?}");
        same("lines on stderr", done.messages(), 1)?;
    }
    bundle.clean()
}
