//! What a caller brings along, on purpose or not: environment, descriptors, signals. Only what was asked for reaches the
//! program.

pub mod little_room;
pub mod notify;
pub mod waits;

use crate::bundle::{Bundle, runtime};
use crate::users::of_user;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "callers",
        &[
            ("default_state_root", default_root),
            ("caller_without_environment", no_environment),
            ("closed_descriptors_0_to_2", closed_descriptors),
            ("one_closed_descriptor", one_closed_descriptor),
            ("callers_descriptor_7_stays_outside", leaked_descriptor),
            ("preserve_fds_hands_on", preserve_fds),
            ("state_of_an_engine_without_root", engine_root),
            ("delete_force_of_nobody_is_silent", delete_nobody),
            ("create_start_and_exec_say_nothing", silence),
            ("nobody_reads_the_errors", closed_stderr),
            ("short_letters", letters),
            ("blocked_and_ignored_signals_stay_outside", clean_signals),
        ],
    )
}

/// Without --root: /run/nano-sandbox for root. The view's /run is the tests' own.
fn default_root() -> Outcome {
    let bundle = Bundle::reporter(&["--sleep"])?;
    bundle.write_config()?;
    let call = |words: &[&str]| {
        let mut command = Command::new(runtime());
        command.args(words).current_dir(bundle.path(""));
        // Podman's way to say that there is none.
        command.env_clear().env("XDG_RUNTIME_DIR", "");
        bundle.finish(command)
    };
    call(&["create", &bundle.id])?.ok()?;
    let state = format!("/run/nano-sandbox/{}/state.json", bundle.id);
    let document = fs::read_to_string(&state);
    call(&["delete", "--force", &bundle.id])?.ok()?;
    let document: Value = serde_json::from_str(&document.map_err(|error| format!("{state}: {error}"))?)?;
    let wanted = ["id", "bundle_path", "state", "mode", "pid"];
    ensure!(wanted.iter().all(|key| !document[key].is_null()), "{state} lacks one of {wanted:?}: {document}");
    ensure!(!std::path::Path::new(&state).exists(), "{state} is still there");
    bundle.clean()
}

fn no_environment() -> Outcome {
    let bundle = Bundle::reporter(&[])?;
    bundle.write_config()?;
    let mut command = bundle.command(&["run", "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?;
    command.env_clear();
    let report: Value = serde_json::from_str(&bundle.finish(command)?.ok()?.out)?;
    ensure!(report["env"].to_string().contains("PATH="), "the program's environment: {}", report["env"]);
    bundle.clean()
}

/// Calls `run` through a shell that arranges descriptors; the report goes to a file in the rootfs.
fn report_with(redirections: &str, words: &[&str]) -> Result<(Bundle, Value), Failed> {
    let mut bundle = Bundle::reporter(&["--out", "/report"])?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.write_config()?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("exec \"$@\" {redirections}")).arg("sh").arg(runtime());
    command.arg("--root").arg(bundle.state_root()).arg("run").args(words);
    command.arg("--bundle").arg(bundle.path("")).arg(&bundle.id).current_dir("/");
    let done = bundle.finish(command)?;
    same("run's status", done.status, 0)?;
    let report = serde_json::from_str(&fs::read_to_string(bundle.rootfs("report"))?)?;
    Ok((bundle, report))
}

fn keys(map: &Value) -> Vec<&str> {
    let mut keys: Vec<&str> = map.as_object().into_iter().flatten().map(|(key, _)| key.as_str()).collect();
    keys.sort();
    keys
}

fn closed_descriptors() -> Outcome {
    let (bundle, report) = report_with("0<&- 1>&- 2>&-", &[])?;
    same("descriptors inside", keys(&report["fds"]), vec!["0", "1", "2"])?;
    for (number, target) in report["fds"].as_object().into_iter().flatten() {
        same(&format!("descriptor {number}"), target.as_str(), Some("/dev/null"))?;
    }
    bundle.clean()
}

/// One alone, and two: what is made first must not take its place.
fn one_closed_descriptor() -> Outcome {
    for (redirections, closed) in [("0<&-", &["0"][..]), ("1>&-", &["1"]), ("2>&-", &["2"]), ("0<&- 2>&-", &["0", "2"])]
    {
        let (bundle, report) = report_with(redirections, &[])?;
        same(redirections, keys(&report["fds"]), vec!["0", "1", "2"])?;
        for number in closed {
            same(redirections, report["fds"][number].as_str(), Some("/dev/null"))?;
        }
        bundle.clean()?;
    }
    Ok(())
}

fn leaked_descriptor() -> Outcome {
    let (bundle, report) = report_with("7</etc 9</etc/hostname 0</dev/null", &[])?;
    same("descriptors inside", keys(&report["fds"]), vec!["0", "1", "2"])?;
    bundle.clean()
}

fn preserve_fds() -> Outcome {
    let (bundle, report) = report_with("3</dev/zero 4</dev/full 5</etc/hostname", &["--preserve-fds", "2"])?;
    same("descriptors inside", keys(&report["fds"]), vec!["0", "1", "2", "3", "4"])?;
    let (three, four) = (&report["fds"]["3"], &report["fds"]["4"]);
    ensure!(three.to_string().contains("zero") && four.to_string().contains("full"), "3 is {three}, 4 is {four}");
    bundle.clean()
}

fn clean_signals() -> Outcome {
    let mut bundle = Bundle::reporter(&["--out", "/report"])?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.write_config()?;
    // The shell ignores them; what is started inherits that.
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg("trap '' USR2 PIPE HUP; exec \"$@\"").arg("sh").arg(runtime());
    command.arg("--root").arg(bundle.state_root()).arg("run");
    command.arg("--bundle").arg(bundle.path("")).arg(&bundle.id).current_dir("/");
    bundle.finish(command)?.ok()?;
    let report: Value = serde_json::from_str(&fs::read_to_string(bundle.rootfs("report"))?)?;
    let ignored = |key: &str| u64::from_str_radix(report["status"][key].as_str().unwrap_or("?"), 16);
    // The reporter's own libc ignores SIGPIPE (bit 12) and nothing else.
    same("ignored inside", ignored("SigIgn")? & !(1 << 12), 0)?;
    same("blocked inside", ignored("SigBlk")?, 0)?;
    bundle.clean()
}

/// Root of a user namespace, as rootless podman calls: create with HOME, the others with XDG_RUNTIME_DIR alone.
fn engine_root() -> Outcome {
    let bundle = of_user(Bundle::reporter(&["--sleep"])?)?;
    let mut config = bundle.config.clone();
    for key in ["uidMappings", "gidMappings"] {
        config["linux"][key] = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    }
    fs::write(bundle.path("config.json"), config.to_string())?;
    let lines = r#"cd "$1"; id=$2; export XDG_RUNTIME_DIR="$1/run"
        HOME="$1" ./nk-runtime create "$id" && unset HOME && ls run/nano-sandbox && ./nk-runtime list -q &&
        ./nk-runtime trace --format strace "$id" | grep -c ns/user &&
        ./nk-runtime delete --force "$id" && ./nk-runtime list -q"#;
    let user = crate::users::USER.to_string();
    let mut command = Command::new(crate::bundle::tool("setpriv")?);
    command.args(["--reuid", &user, "--regid", &user, "--clear-groups", "--"]);
    command.args(["unshare", "--user", "--map-root-user", "--mount", "/bin/sh"]);
    command.args(["-c", lines, "sh"]).arg(bundle.path("")).arg(&bundle.id);
    let done = bundle.finish(command)?.ok()?;
    let id = &bundle.id;
    // Whose root it is, is asked once.
    same("what is said", done.out, format!("{id}\n{id}\n1\n"))?;
    bundle.clean()
}

fn delete_nobody() -> Outcome {
    let bundle = Bundle::plain()?;
    for word in ["--force", "-f"] {
        let done = bundle.call(&["delete", word, "nobody"])?.ok()?;
        ensure!(done.out.is_empty() && done.err.is_empty(), "{done:?}");
    }
    bundle.clean()
}

/// Standard output is the program's.
fn silence() -> Outcome {
    let bundle = crate::exec::box_of_sleep()?;
    let all = [
        bundle.bundled(&["create"])?,
        bundle.call(&["start", &bundle.id])?,
        bundle.call(&["exec", &bundle.id, "true"])?,
        bundle.call(&["exec", "--detach", &bundle.id, "true"])?,
        bundle.call(&["kill", &bundle.id, "KILL"])?,
    ];
    for done in all {
        let done = done.ok()?;
        ensure!(done.out.is_empty() && done.err.is_empty(), "{done:?}");
    }
    crate::cgroup::end(bundle)
}

/// Podman closes its end of the pipe before the runtime has ended: no signal may end that, and nothing is left behind.
fn closed_stderr() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["nosuch"]))?;
    bundle.write_config()?;
    let line = r#"{ "$@" 2>&1 >/dev/null; echo $? >"$STATUS"; } | exec true"#;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", line, "sh"]).arg(runtime());
    command.arg("--root").arg(bundle.state_root());
    command.args(["create", "--bundle"]).arg(bundle.path(""));
    command.arg(&bundle.id).env("STATUS", bundle.path("status"));
    bundle.finish(command)?.ok()?;
    let status = fs::read_to_string(bundle.path("status"))?;
    same("status", status.trim(), "1")?;
    bundle.clean()
}

/// Within a command the letters of runc and crun hold.
fn letters() -> Outcome {
    let bundle = crate::exec::box_of_sleep()?;
    crate::cgroup::start(&bundle)?;
    let id = bundle.id.as_str();
    let process = bundle.path("process.json");
    let mut text = bundle.config["process"].clone();
    text["args"] = json!(["sh", "-c", "exit 9"]);
    fs::write(&process, text.to_string())?;
    let process = process.to_string_lossy();
    same("exec -p", bundle.call(&["exec", "-p", &process, id])?.status, 9)?;
    let words = ["exec", "-e", "A=b", "-u", "7:8", "-g", "9", id, "sh", "-c", "echo $A $(id -u) $(id -G)"];
    same("exec -e -u -g", bundle.call(&words)?.ok()?.out.as_str(), "b 7 8 9\n")?;
    same("list -q", bundle.call(&["list", "-q"])?.ok()?.out, format!("{id}\n"))?;
    let pids = bundle.call(&["ps", "-f", "json", id])?.ok()?.out;
    let pid = bundle.state()?["pid"].clone();
    same("ps -f json", serde_json::from_str::<Value>(&pids)?, json!([pid]))?;
    bundle.call(&["-V"])?.ok()?;
    bundle.call(&["kill", "-a", id, "9"])?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", "-f", id])?.ok()?;
    bundle.clean()
}
