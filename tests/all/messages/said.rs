//! What messages say is so: who said a value, which program failed, what was left out; and no message is longer than can be read.

use crate::bundle::{Bundle, Done, tool};
use crate::cgroup::{end, script, start};
use crate::exec::{exec, failed};
use crate::users::{as_user, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "said",
        &[
            ("exec_names_the_option", options),
            ("exec_names_the_file_of_the_process", file),
            ("exec_does_not_speak_of_create_and_start", not_create),
            ("every_failure_of_exec_is_255", statuses),
            ("start_names_the_program", program),
            ("a_plan_without_root", rootless_plan),
            ("long_values_are_bounded", bounded),
            ("a_long_damaged_state_is_bounded", damaged),
            ("a_message_is_one_line", one_line),
            ("left_out_by_default", left_out),
            ("a_capability_that_is_not_held", not_held),
            ("many_left_out", many),
        ],
    )
}

/// One line that blames this, and not config.json.
fn blames(done: Done, words: &str) -> Outcome {
    ensure!(!done.err.contains("config.json"), "{done:?}");
    failed(done, words)
}

fn options() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    for (options, program, words) in [
        (&["--cwd", "x"][..], &["true"][..], "`x` must be an absolute path (--cwd)"),
        (&["--cwd", ""], &["true"], "`` must be an absolute path (--cwd)"),
        (&["--cwd", "/etc/passwd"], &["true"], "(--cwd)"),
        (&["--env", "=x"], &["true"], "`=x` has no name (--env)"),
        (&["--env", ""], &["true"], "`` has no name (--env)"),
        (&[], &[""], "the command line is empty: it names the program (the command line)"),
        (&[], &["nosuch"], "(the command line)"),
        (&[], &["/nosuch"], "(the command line)"),
        (&["--apparmor", "nosuch"], &["true"], "--apparmor"),
    ] {
        blames(exec(&bundle, options, program)?, words)?;
    }
    end(bundle)
}

fn file() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let path = bundle.path("process.json").to_string_lossy().into_owned();
    for (process, place, words) in [
        (json!({"args": ["true"], "cwd": "x"}), " /cwd", "must be an absolute path"),
        (json!({"args": [], "cwd": "/"}), " /args", "is missing or empty"),
        (json!({"cwd": "/"}), " /args", "is missing or empty"),
        (json!({"args": ["true"], "cwd": "/", "user": [1]}), " /user", "is a list, must be an object"),
        (json!({"args": ["nosuch"], "cwd": "/"}), " /env", "not found"),
        (json!([]), "", "is a list, must be an object"),
        (json!(7), "", "is a number, must be an object"),
    ] {
        fs::write(&path, process.to_string())?;
        let done = exec(&bundle, &["--process", &path], &[])?;
        ensure!(done.err.contains(words), "{process}: {done:?}");
        blames(done, &format!("{path}{place}"))?;
    }
    end(bundle)
}

/// The reason is for people at a terminal.
fn not_create() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let inner = bundle.command(&["exec", "-t", &bundle.id, "/nope"])?;
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| word.to_string_lossy().into_owned())
        .collect();
    let mut command = Command::new(tool("script")?);
    command.args(["-qec", &words.join(" "), "/dev/null"]).current_dir("/");
    let done = bundle.finish(command)?;
    ensure!(done.status == 255 && done.out.contains("  why: "), "{done:?}");
    ensure!(!done.out.contains("create"), "{done:?}");
    end(bundle)
}

fn statuses() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let id = bundle.id.clone();
    for words in [
        &["exec"][..],
        &["exec", "--frob", &id, "true"],
        &["exec", "-u", "name", &id, "true"],
        &["--frob", "exec", &id, "true"],
        &["exec", "--root"],
        &["exec", "--preserve-fds", "x", &id, "true"],
        &["exec", "--preserve-fds", "900", &id, "true"],
        &["exec", "nosuch", "true"],
        &["exec", "../x", "true"],
        &["exec", "--process", "/nosuch", &id],
        &["--log", "/nosuch/log", "exec", &id, "true"],
    ] {
        let done = bundle.call(words)?;
        same(&words.join(" "), done.status, 255)?;
        same("lines", done.messages(), 1)?;
    }
    // Of the others nothing has changed.
    same("status", bundle.call(&["state", "--frob", &id])?.status, 1)?;
    end(bundle)
}

/// `start` has no plan any more: it knows the program by the configuration that is kept.
fn program() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let path = bundle.rootfs("bin/bad");
    fs::write(&path, "neither a program nor a script\n")?;
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    bundle.set("/process/args", json!(["/bin/bad", "x"]))?;
    for gone in [false, true] {
        bundle.bundled(&["create"])?.ok()?;
        fs::remove_file(bundle.path("config.json"))?;
        if gone {
            fs::remove_file(&path)?;
        }
        let words = if gone { "no such file" } else { "exec format error" };
        let done = bundle.call(&["start", &bundle.id])?;
        done.refused(&format!("exec: \"/bin/bad\": {words}"))?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    bundle.clean()
}

fn rootless_plan() -> Outcome {
    let bundle = of_user(Bundle::plain()?)?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let out = as_user(&bundle, &["plan", "--bundle", &here])?.ok()?.out;
    ensure!(out.contains(", if this user may") && out.contains(", born inside the cgroup if there is one"), "{out}");
    let bundle = Bundle::plain()?;
    let out = bundle.bundled_plan()?.ok()?.out;
    ensure!(out.contains(", born inside the cgroup  ["), "{out}");
    bundle.clean()
}

/// A failure: its lines are not longer than this, and its cause is still there.
fn short(done: &Done, words: &[&str]) -> Outcome {
    let first = done.err.lines().next().unwrap_or_default().chars().count();
    let len = done.err.len();
    ensure!(done.status != 0 && first <= 200 && len < 4000, "{first} characters, {len} bytes: {done:?}");
    for word in words {
        ensure!(done.err.contains(word), "no {word:?}: {done:?}");
    }
    same("lines", done.messages(), 1)
}

fn bounded() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let good = bundle.config.clone();
    let long = "ä".repeat(50_000);
    let options: Vec<String> = (0..10_000).map(|i| format!("frob{i}")).collect();
    let mount = json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": options});
    for (at, value, words) in [
        ("/mounts", json!([mount]), &["/mounts/0)", "4095 bytes", "\n  try: "][..]),
        ("/process/cwd", json!(long), &["/process/cwd)", "must be an absolute path", "..."]),
        ("/process/args", json!([format!("/{long}")]), &["exec: \"/ä", "ENAMETOOLONG", "..."]),
        ("/process/args", json!([long]), &["exec: \"ä", "..."]),
        ("/ociVersion", json!(long), &["/ociVersion)", "is no version", "..."]),
        ("/linux/sysctl", json!({&long: "1"}), &["config.json /linux/", "ääää)", "..."]),
        ("/linux/resources/cpu", json!({"cpus": long}), &["/linux/resources/cpu/cpus)", "..."]),
        ("/linux/resources/cpu", json!([options]), &["/linux/resources/cpu", "is a list, must be an object"]),
    ] {
        bundle.config = good.clone();
        bundle.set(at, value)?;
        let log = bundle.path("log.json").to_string_lossy().into_owned();
        let done = bundle.bundled(&["--log", &log, "--log-format", "json", "run"])?;
        short(&done, words)?;
        let text = fs::read_to_string(&log)?;
        fs::remove_file(&log)?;
        let line: Value = serde_json::from_str(text.lines().last().unwrap_or(""))?;
        let said = line["msg"].as_str().unwrap_or("");
        ensure!(text.len() < 5000 && said.contains(at) && !said.is_empty(), "{text}");
    }
    let done = bundle.call(&["state", &long])?;
    short(&done, &["invalid container ID format"])?;
    let done = bundle.call(&["run", &format!("--{long}"), "x"])?;
    short(&done, &["..."])?;
    bundle.clean()
}

fn damaged() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    let path = bundle.state_root().join(&bundle.id).join("state.json");
    let good = fs::read_to_string(&path)?;
    let long = "x".repeat(200_000);
    for text in [
        format!("{{\"pid\":\"{long}\"}}"),
        format!("{{\"pid\":1,\"{long}"),
        good.replacen("\"mode\":\"container\"", &format!("\"mode\":\"{long}\""), 1),
    ] {
        fs::write(&path, text)?;
        let done = bundle.call(&["start", &bundle.id])?;
        short(&done, &[])?;
        let done = exec(&bundle, &[], &["true"])?;
        short(&done, &[])?;
    }
    fs::write(&path, good)?;
    end(bundle)
}

fn one_line() -> Outcome {
    let mut bundle = Bundle::plain()?;
    for (at, value) in [
        ("/process/args", json!(["/a\nb\u{1b}[2J"])),
        ("/process/args", json!(["a\nb"])),
        ("/process/cwd", json!("a\nb")),
        ("/linux/sysctl", json!({"a\nb": "1"})),
        ("/annotations", json!({"a\nb": 1})),
    ] {
        let good = bundle.config.clone();
        bundle.set(at, value)?;
        let done = bundle.bundled(&["run"])?.refused("\\n")?;
        same("lines", done.messages(), 1)?;
        ensure!(!done.err.contains('\u{1b}'), "{done:?}");
        bundle.config = good;
    }
    bundle.clean()
}

fn left_out() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.set("/process/capabilities/permitted/-", json!("CAP_FROB"))?;
    let done = bundle.bundled(&["run"])?;
    let words = "/process/capabilities/permitted/3: `CAP_FROB` is left out: it is no capability";
    ensure!(done.status == 0 && done.err.contains(words), "{done:?}");
    same("lines", done.messages(), 1)?;
    bundle.bundled(&["--quiet", "run"])?.ok()?;
    bundle.bundled(&["--log-level", "error", "run"])?.ok()?;
    bundle.clean()
}

/// Of a caller without CAP_NET_RAW.
fn not_held() -> Outcome {
    let mut bundle = script("sleep 1000")?;
    let all = json!(["CAP_KILL", "CAP_NET_RAW"]);
    let sets = json!({"bounding": all, "effective": all, "permitted": all});
    bundle.set("/process/capabilities", sets)?;
    let lacking = |bundle: &Bundle, words: &[&str]| -> Result<Done, Failed> {
        bundle.write_config()?;
        let inner = bundle.command(words)?;
        let mut command = Command::new(tool("setpriv")?);
        command
            .args(["--bounding-set", "-net_raw", "--"])
            .arg(inner.get_program())
            .args(inner.get_args())
            .current_dir("/");
        bundle.finish(command)
    };
    let here = bundle.path("").to_string_lossy().into_owned();
    let id = bundle.id.clone();
    let said = |done: &Done| -> Outcome {
        let words = "left out, since this process does not have them itself: CAP_NET_RAW\"\n";
        ensure!(done.status == 0 && done.err.ends_with(words), "{done:?}");
        same("lines", done.messages(), 1)
    };
    for create in [&["create"][..], &["run", "--detach"]] {
        let words = [create, &["--bundle", &here, &id]].concat();
        said(&lacking(&bundle, &words)?)?;
        let run = ["exec", &id, "sh", "-c", "grep CapEff /proc/self/status"];
        let done = lacking(&bundle, &run)?;
        said(&done)?;
        same("inside", done.out.as_str(), "CapEff:\t0000000000000020\n")?;
        bundle.call(&["delete", "--force", &id])?.ok()?;
    }
    bundle.clean()
}

fn many() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let names: Vec<String> = (0..2000).map(|i| format!("CAP_FROB{i}")).collect();
    bundle.set("/process/capabilities/bounding", json!(names))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status == 0 && done.err.contains("more of the kind"), "{done:?}");
    same("lines", done.messages(), 17)?;
    bundle.clean()
}
