//! What is said of a command that goes well: at the default level, once, and where `--log` says.

use crate::bundle::{Bundle, Done, runtime};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    area(
        "warnings",
        &[
            ("are_seen_on_standard_error_once", once),
            ("go_to_the_log_alone_in_logrus_shapes", shapes),
            ("of_a_success_leave_what_engines_parse", engines),
            ("exec_repeats_none_of_the_containers", exec),
            ("there_is_none_of_our_own_configurations", none),
            ("reach_the_journal", journal),
            ("reach_syslog", syslog),
            ("log_file_with_a_prefix_is_a_file", file),
            ("log_daemon_that_is_not_there_is_named", no_daemon),
            ("log_daemon_gets_what_is_told", told),
            ("log_daemon_that_does_not_read_costs_one_wait", deaf),
        ],
    )
}

/// A capability that no kernel knows in each set, and a last hook that fails.
fn odd() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    let names = json!(["CAP_KILL", "CAP_FROB"]);
    bundle.capable(&names)?;
    bundle.set("/hooks", json!({"poststop": [{"path": "/bin/false"}]}))?;
    Ok(bundle)
}

const CAPABILITY: &str = "config.json /process/capabilities/bounding/1: `CAP_FROB` is left out: it is no capability";
const HOOK: &str = "hook /bin/false: exit status 1 (config.json /hooks/poststop/0)";

fn once() -> Outcome {
    let bundle = odd()?;
    let done = bundle.bundled(&["run"])?;
    same("status", done.status, 0)?;
    same("lines", done.messages(), 2)?;
    for (line, words) in done.err.lines().zip([CAPABILITY, HOOK]) {
        ensure!(line.contains("level=warning") && line.contains(words), "{done:?}");
    }
    for quiet in [&["--quiet"][..], &["--log-level", "error"]] {
        bundle.bundled(&[quiet, &["run"]].concat())?.ok()?;
    }
    bundle.clean()
}

fn shapes() -> Outcome {
    let bundle = odd()?;
    let log = bundle.path("log").to_string_lossy().into_owned();
    bundle.bundled(&["--log", &log, "run"])?.ok()?;
    let text = fs::read_to_string(&log)?;
    same("lines", text.lines().count(), 2)?;
    for (line, words) in text.lines().zip([CAPABILITY, HOOK]) {
        let behind = line.strip_prefix("time=\"").and_then(|l| l.split_once('"'));
        let (time, rest) = behind.ok_or_else(|| Failed::from(format!("no time: {line}")))?;
        ensure!(time.len() >= 20 && time.ends_with('Z'), "{line}");
        let message = rest.strip_prefix(" level=warning msg=\"");
        ensure!(message.is_some_and(|m| m.starts_with(words) && m.ends_with('"')), "{line}");
    }
    fs::remove_file(&log)?;
    bundle.bundled(&["--log", &log, "--log-format", "json", "run"])?.ok()?;
    let text = fs::read_to_string(&log)?;
    same("lines", text.lines().count(), 2)?;
    for (line, words) in text.lines().zip([CAPABILITY, HOOK]) {
        let line: Value = serde_json::from_str(line)?;
        same("level", line["level"].as_str(), Some("warning"))?;
        ensure!(line["msg"].as_str().is_some_and(|m| m.starts_with(words)), "{line}");
        ensure!(line["time"].is_string(), "{line}");
    }
    bundle.clean()
}

/// go-runc reads standard error together with what a command prints, and of the log only lines of the level `error`; podman
/// reads the log when a command has failed, and where that is not one document, what standard error had.
fn engines() -> Outcome {
    let mut bundle = odd()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    let log = bundle.path("log").to_string_lossy().into_owned();
    let logged = ["--log", &log, "--log-format", "json"];
    bundle.bundled(&[&logged[..], &["create"]].concat())?.ok()?;
    for words in [&["start"][..], &["state"], &["ps", "--format", "json"]] {
        let done = bundle.call(&[&logged[..], words, &[&bundle.id]].concat())?;
        done.ok()?;
    }
    bundle.call(&[&logged[..], &["delete", "--force", &bundle.id]].concat())?.ok()?;
    bundle.set("/process/args", json!(["nosuch"]))?;
    let done = bundle.bundled(&[&logged[..], &["create"]].concat())?;
    same("status", done.status, 1)?;
    let words = "executable file not found in $PATH";
    same("lines on standard error", done.messages(), 1)?;
    ensure!(done.err.contains(words), "{done:?}");
    let text = fs::read_to_string(&log)?;
    let lines = text.lines().map(serde_json::from_str);
    let lines: Vec<Value> = lines.collect::<Result<_, _>>()?;
    let last = lines.iter().rfind(|line| line["level"] == "error");
    ensure!(last.is_some_and(|line| line["msg"].as_str().is_some_and(|m| m.contains(words))), "{text}");
    bundle.clean()
}

fn exec() -> Outcome {
    let mut bundle = odd()?;
    bundle.remove("/hooks")?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    let done = bundle.bundled(&["run", "--detach"])?;
    ensure!(done.status == 0 && done.err.contains(CAPABILITY), "{done:?}");
    bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
    let mut process = bundle.config["process"].clone();
    process["args"] = json!(["true"]);
    process["capabilities"] = json!({"bounding": ["CAP_FROB"]});
    let path = bundle.path("process.json").to_string_lossy().into_owned();
    fs::write(&path, process.to_string())?;
    let done = bundle.call(&["exec", "--process", &path, &bundle.id])?;
    ensure!(done.status == 0 && done.err.contains(&format!("{path} /process/capabilities")), "{done:?}");
    same("lines", done.messages(), 1)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// README's own commands, too.
fn none() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    for (words, id) in [(&["spec"][..], "a"), (&["spec", "--rootless"], "b")] {
        let config = bundle.path("config.json");
        let _ = fs::remove_file(&config);
        bundle.call(&[words, &["--bundle", &here]].concat())?.ok()?;
        bundle.config = serde_json::from_slice(&fs::read(&config)?)?;
        let id = format!("{}{id}", bundle.id);
        bundle.call(&["plan", "--bundle", &here])?.ok()?;
        bundle.call(&["run", "--bundle", &here, &id])?.ok()?;
        bundle.call(&["trace", &id])?.ok()?;
        let told = bundle.call(&["--log-level", "info", "run", "--bundle", &here, &id])?;
        ensure!(told.status == 0 && !told.err.contains("left out"), "{told:?}");
        fs::remove_file(&config)?;
        bundle.set("/process/args", json!(["sleep", "1000"]))?;
        bundle.set("/process/terminal", json!(false))?;
        bundle.write_config()?;
        bundle.call(&["run", "--detach", "--bundle", &here, &id])?.ok()?;
        bundle.call(&["exec", "--exec", "ps; id", &id])?.ok()?;
        bundle.call(&["delete", "--force", &id])?.ok()?;
    }
    let done = bundle.call(&["--trace-file", &bundle.path("t").to_string_lossy(), "demo"])?;
    ensure!(done.status == 0 && !done.err.contains("warning"), "{done:?}");
    bundle.clean()
}

/// A `run` that warns, on a machine whose daemon listens at `socket` of this bundle. `setup` puts that in its place.
fn logged(bundle: &Bundle, setup: &str, words: &[&str]) -> Result<Done, Failed> {
    bundle.write_config()?;
    let mut command = Command::new("unshare");
    let here = bundle.path("").to_string_lossy().into_owned();
    let script = format!("set -e; cd \"$1\"; shift; {setup}; exec \"$0\" \"$@\"");
    command
        .args(["-m", "sh", "-c", &script])
        .arg(runtime())
        .arg(&here)
        .arg("--root")
        .arg(bundle.state_root())
        .args(words)
        .args(["run", "--bundle", here.trim_end_matches('/'), &bundle.id])
        .stdin(Stdio::null());
    bundle.finish(command)
}

const RUN: &str = "mount -t tmpfs t /run; mkdir -p /run/systemd";
const DEV: &str = "mount -t tmpfs t /dev; mknod /dev/null c 1 3";

fn received(socket: &UnixDatagram) -> Result<String, Failed> {
    let mut bytes = [0; 4096];
    socket.set_read_timeout(Some(Duration::from_secs(60)))?;
    let len = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

fn journal() -> Outcome {
    let bundle = odd()?;
    fs::create_dir(bundle.path("journal"))?;
    let socket = UnixDatagram::bind(bundle.path("journal/socket"))?;
    let setup = format!("{RUN}; ln -s \"$PWD/journal\" /run/systemd/journal");
    logged(&bundle, &setup, &["--log", "journald:me"])?.ok()?;
    let first = received(&socket)?;
    let head = format!("PRIORITY=4\nSYSLOG_IDENTIFIER=me\nID={}\nMESSAGE={CAPABILITY}\n", bundle.id);
    same("the entry", first, head)?;
    ensure!(received(&socket)?.contains(HOOK), "the second entry");
    let file = bundle.path("journald:me");
    ensure!(!file.exists(), "a file of that name was made");
    bundle.clean()
}

fn syslog() -> Outcome {
    let bundle = odd()?;
    let socket = UnixDatagram::bind(bundle.path("socket"))?;
    let setup = format!("{DEV}; ln -s \"$PWD/socket\" /dev/log");
    logged(&bundle, &setup, &["--log", "syslog:"])?.ok()?;
    let line = format!("<12>{}: {CAPABILITY}", bundle.id);
    same("the line", received(&socket)?, line)?;
    let _ = received(&socket)?;
    let words = ["--log", "syslog:me", "--log-format", "json"];
    logged(&bundle, &setup, &words)?.ok()?;
    let line = received(&socket)?;
    let document = line.strip_prefix("<12>me: ").unwrap_or("");
    let document: Value = serde_json::from_str(document)?;
    same("level", document["level"].as_str(), Some("warning"))?;
    bundle.clean()
}

fn told() -> Outcome {
    let bundle = odd()?;
    let socket = UnixDatagram::bind(bundle.path("socket"))?;
    let reader = socket.try_clone()?;
    let reader = std::thread::spawn(move || {
        let mut lines = Vec::new();
        while let Ok(line) = received(&reader) {
            lines.push(line);
            if lines.last().is_some_and(|line| line.contains("are removed")) {
                break;
            }
        }
        lines
    });
    let setup = format!("{DEV}; ln -s \"$PWD/socket\" /dev/log");
    logged(&bundle, &setup, &["-E", "--log", "syslog:me"])?.ok()?;
    let lines = reader.join().unwrap_or_default();
    for begin in ["<14>me: [HOST] Run: ", "<14>me: [CHILD] The mounts are made", "<12>me: [HOST] config.json"] {
        ensure!(lines.iter().any(|line| line.starts_with(begin)), "{begin}: {lines:#?}");
    }
    bundle.clean()
}

/// Two hundred lines, and a queue for fewer.
fn deaf() -> Outcome {
    let bundle = odd()?;
    let _socket = UnixDatagram::bind(bundle.path("socket"))?;
    let setup = format!("{DEV}; ln -s \"$PWD/socket\" /dev/log");
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        logged(&bundle, &setup, &["--debug", "--log", "syslog:me"])?.ok()?;
    }
    ensure!(begun.elapsed() < Duration::from_secs(60), "it took {:?}", begun.elapsed());
    bundle.clean()
}

fn file() -> Outcome {
    let bundle = odd()?;
    for name in ["journald:x", "a:b"] {
        let path = bundle.path(name);
        let word = format!("file:{}", path.display());
        bundle.bundled(&["--log", &word, "run"])?.ok()?;
        ensure!(fs::read_to_string(path)?.contains(HOOK), "{name}");
    }
    let path = bundle.path("c:d").to_string_lossy().into_owned();
    bundle.bundled(&["--log", &path, "run"])?.ok()?;
    ensure!(fs::read_to_string(path)?.contains(HOOK), "c:d");
    bundle.clean()
}

fn no_daemon() -> Outcome {
    let bundle = odd()?;
    for (setup, word, place) in [
        (RUN, "journald:x", "systemd's journal at /run/systemd/journal/socket"),
        (DEV, "syslog:x", "syslog at /dev/log"),
    ] {
        let done = logged(&bundle, setup, &["--log", word])?.refused(place)?;
        ensure!(done.err.contains("--log file:PATH"), "{done:?}");
        same("lines", done.messages(), 1)?;
    }
    bundle.clean()
}
