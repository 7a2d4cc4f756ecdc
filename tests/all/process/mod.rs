//! The program and its privileges: each property of `process` that `runc spec` writes, proved by what the reporter sees
//! from inside. What is around the program is in `surroundings`, what is mounted in `mounts`.

pub mod programs;
pub mod protections;
pub mod rights;
pub mod sealed;
pub mod settings;

use crate::bundle::{Bundle, Done, runtime};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "config",
        &[
            ("args_reach_the_program", args),
            ("program_is_found_in_the_containers_path", path_search),
            ("relative_program_is_below_cwd", relative_program),
            ("env_byte_for_byte", env),
            ("cwd", || cwd("/tmp", true)),
            ("cwd_that_is_missing_is_made", || cwd("/made/for/it", true)),
            ("cwd_that_is_missing_is_made_in_a_writable_root", || cwd("/made/for/it", false)),
            ("user_ids_and_groups", user),
            ("callers_groups_stay_outside", no_groups),
            ("umask_given", umask_given),
            ("umask_absent_is_0022", umask_absent),
            ("capabilities_of_root", capabilities_of_root),
            ("capabilities_of_a_user", capabilities_of_user),
            ("capability_that_nobody_knows_is_passed_over", capability_unknown),
            ("rlimits", rlimits),
            ("no_new_privileges", || status_line("/process/noNewPrivileges", json!(true), "NoNewPrivs", "1")),
            ("new_privileges", || status_line("/process/noNewPrivileges", json!(false), "NoNewPrivs", "0")),
            ("first_process_leads_a_session", session),
            ("session_keyring_is_new", keyring),
            ("stdio_is_the_callers", stdio),
            ("descriptors_0_to_2_only", descriptors),
            ("every_oci_version_1", versions),
            ("unknown_properties_are_ignored", unknown_properties),
            ("config_file_elsewhere", config_elsewhere),
        ],
    )
}

/// The report of a container with these edits.
pub fn report(words: &[&str], edits: &[(&str, Value)]) -> Result<(Bundle, Value), Failed> {
    let mut bundle = Bundle::reporter(words)?;
    for (pointer, value) in edits {
        bundle.set(pointer, value.clone())?;
    }
    let report = bundle.report()?;
    Ok((bundle, report))
}

/// The report of a container that is started through a shell, which sets up what a caller may have.
pub fn report_of_caller(bundle: &Bundle, before: &str) -> Result<Value, Failed> {
    bundle.write_config()?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("{before}; exec \"$@\"")).arg("sh").arg(runtime());
    command.arg("--root").arg(bundle.state_root()).arg("run");
    command.arg("--bundle").arg(bundle.path("")).arg(&bundle.id).current_dir("/");
    let done = bundle.finish(command)?.ok()?;
    Ok(serde_json::from_str(&done.out)?)
}

fn args() -> Outcome {
    let words = ["/reporter", "--probe", "/ä b\t\"c\"\\", "--exit", "0"];
    let (bundle, report) = report(&words[1..], &[])?;
    same("args", &report["args"], &json!(words))?;
    bundle.clean()
}

fn path_search() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    fs::create_dir_all(bundle.rootfs("here/reporter"))?; // a folder of that name is passed over
    bundle.set("/process/args", json!(["reporter"]))?;
    bundle.set("/process/env/0", json!("PATH=/nowhere:/here:/"))?;
    let report = bundle.report()?;
    same("args", &report["args"], &json!(["reporter"]))?;
    bundle.clean()
}

fn relative_program() -> Outcome {
    let (bundle, report) = report(&[], &[("/process/args", json!(["../reporter"])), ("/process/cwd", json!("/tmp"))])?;
    same("args", &report["args"], &json!(["../reporter"]))?;
    bundle.clean()
}

/// HOME alone is added, as every peer does.
fn env() -> Outcome {
    let entries = ["PATH=/bin", "EMPTY=", "ODD=a=b c\"\\ä"];
    let mut wanted: Vec<Value> = entries.iter().map(|entry| json!(entry)).collect();
    let mut bundle = Bundle::reporter(&[])?;
    wanted.push(json!(format!("NK_TEST={}", bundle.id)));
    bundle.set("/process/env", json!(wanted))?;
    let report = bundle.report()?;
    let mut seen = report["env"].as_array().cloned().unwrap_or_default();
    seen.retain(|entry| !entry.as_str().unwrap_or("").starts_with("HOME="));
    same("env without HOME", seen, wanted)?;
    bundle.clean()
}

fn cwd(path: &str, readonly: bool) -> Outcome {
    let (bundle, report) = report(&[], &[("/process/cwd", json!(path)), ("/root/readonly", json!(readonly))])?;
    same("cwd", report["cwd"].as_str(), Some(path))?;
    bundle.clean()
}

fn user() -> Outcome {
    let user = json!({"uid": 1000, "gid": 100, "additionalGids": [5, 6, 70000]});
    let (bundle, report) = report(&[], &[("/process/user", user)])?;
    same("uid", &report["uid"], &json!([1000, 1000, 1000, 1000]))?;
    same("gid", &report["gid"], &json!([100, 100, 100, 100]))?;
    same("groups", &report["groups"], &json!([5, 6, 70000]))?;
    bundle.clean()
}

fn no_groups() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    let mut command = Command::new(crate::bundle::tool("setpriv")?);
    command.args(["--groups", "5,6", "--"]).arg(inner.get_program()).args(inner.get_args()).current_dir("/");
    let report: Value = serde_json::from_str(&bundle.finish(command)?.ok()?.out)?;
    let none = report["groups"].as_array().is_some_and(|all| all.iter().all(|gid| *gid == 0));
    ensure!(none, "groups inside: {}", report["groups"]);
    bundle.set("/process/user", json!({"uid": 7, "gid": 8}))?;
    same("groups of another user", &bundle.report()?["groups"], &json!([]))?;
    bundle.clean()
}

fn umask_given() -> Outcome {
    let (bundle, report) = report(&[], &[("/process/user", json!({"uid": 0, "gid": 0, "umask": 0o27}))])?;
    same("umask", report["umask"].as_str(), Some("0027"))?;
    bundle.clean()
}

/// Whoever calls, and in `create`, `run` and `exec`.
fn umask_absent() -> Outcome {
    for mask in ["umask 0", "umask 077"] {
        let bundle = Bundle::reporter(&[])?;
        let report = report_of_caller(&bundle, mask)?;
        same(mask, report["umask"].as_str(), Some("0022"))?;
        bundle.clean()?;
        let bundle = Bundle::shell("sleep 1000")?;
        bundle.bundled(&["run", "--detach"])?.ok()?;
        let script = format!("{mask}; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).arg(runtime());
        command.arg("--root").arg(bundle.state_root());
        command.args(["exec", &bundle.id, "sh", "-c", "umask"]);
        let done = bundle.finish(command)?.ok()?;
        same(mask, done.out.trim(), "0022")?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

const KILL: u64 = 1 << 5;
const NET_BIND_SERVICE: u64 = 1 << 10;
const NET_RAW: u64 = 1 << 13;
const AUDIT_WRITE: u64 = 1 << 29;

fn capability_sets(report: &Value) -> Result<[u64; 5], Failed> {
    let mut sets = [0; 5];
    for (set, key) in sets.iter_mut().zip(["CapBnd", "CapPrm", "CapEff", "CapInh", "CapAmb"]) {
        *set = u64::from_str_radix(report["status"][key].as_str().unwrap_or("?"), 16)?;
    }
    Ok(sets)
}

/// What `runc spec` writes names no inheritable set, without which the ambient one stays empty.
fn capabilities_of_root() -> Outcome {
    let (bundle, report) = report(&[], &[])?;
    let all = KILL | NET_BIND_SERVICE | AUDIT_WRITE;
    same("bounding, permitted, effective, inheritable, ambient", capability_sets(&report)?, [all, all, all, 0, 0])?;
    bundle.clean()
}

/// Not root: then execve leaves each set as it was told, and what is ambient is what the program has.
fn capabilities_of_user() -> Outcome {
    let sets = json!({
        "bounding": ["CAP_KILL", "CAP_NET_RAW", "CAP_AUDIT_WRITE"],
        "permitted": ["CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_KILL"],
        "inheritable": ["CAP_KILL", "CAP_NET_RAW"],
        "ambient": ["CAP_KILL"],
    });
    let user = json!({"uid": 1000, "gid": 1000});
    let (bundle, report) = report(&[], &[("/process/capabilities", sets), ("/process/user", user)])?;
    let wanted = [KILL | NET_RAW | AUDIT_WRITE, KILL, KILL, KILL | NET_RAW, KILL];
    same("bounding, permitted, effective, inheritable, ambient", capability_sets(&report)?, wanted)?;
    bundle.clean()
}

/// The specification asks for a warning and no error.
fn capability_unknown() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/process/capabilities/effective/-", json!("CAP_FROBNICATE"))?;
    let Done { status, out, err } = bundle.bundled(&["run"])?;
    ensure!(status == 0, "status {status}: {err}");
    let report: Value = serde_json::from_str(&out)?;
    let all = KILL | NET_BIND_SERVICE | AUDIT_WRITE;
    same("effective", capability_sets(&report)?[2], all)?;
    bundle.clean()
}

fn rlimits() -> Outcome {
    let limits = json!([
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
        {"type": "RLIMIT_NPROC", "soft": 1000, "hard": 2000},
        {"type": "RLIMIT_STACK", "soft": 4194304, "hard": 8388608},
    ]);
    let (bundle, report) = report(&[], &[("/process/rlimits", limits.clone())])?;
    for limit in limits.as_array().into_iter().flatten() {
        let name = limit["type"].as_str().unwrap_or("");
        same(name, &report["rlimits"][name], &json!([limit["soft"], limit["hard"]]))?;
    }
    bundle.clean()
}

fn status_line(pointer: &str, value: Value, key: &str, wanted: &str) -> Outcome {
    let (bundle, report) = report(&[], &[(pointer, value)])?;
    same(key, report["status"][key].as_str(), Some(wanted))?;
    bundle.clean()
}

fn session() -> Outcome {
    let (bundle, report) = report(&[], &[])?;
    let ids = ["pid", "sid", "ppid"].map(|key| report[key].as_i64().unwrap_or(-1));
    same("pid, sid, ppid", ids, [1, 1, 0])?;
    bundle.clean()
}

fn keyring() -> Outcome {
    let (bundle, report) = report(&[], &[("/linux/maskedPaths", json!([]))])?;
    let keys = report["keys"].as_str().unwrap_or("");
    ensure!(keys.contains(&format!("_ses.{}", bundle.id)), "/proc/keys inside: {keys}");
    bundle.clean()
}

fn stdio() -> Outcome {
    let bundle = Bundle::shell("cat; echo said >&2")?;
    bundle.write_config()?;
    fs::write(bundle.path("words"), "from outside\n")?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let mut command = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    command.stdin(fs::File::open(bundle.path("words"))?);
    let Done { status, out, err } = bundle.finish(command)?;
    same("status, stdout, stderr", (status, out.as_str(), err.as_str()), (0, "from outside\n", "said\n"))?;
    bundle.clean()
}

fn descriptors() -> Outcome {
    let (bundle, report) = report(&[], &[])?;
    let fds = report["fds"].as_object().into_iter().flatten();
    let numbers: Vec<&str> = fds.map(|(number, _)| number.as_str()).collect();
    same("descriptors", numbers, vec!["0", "1", "2"])?;
    bundle.clean()
}

fn versions() -> Outcome {
    let mut bundle = Bundle::reporter(&["--quiet"])?;
    for version in ["1.0.0", "1.0.0-rc5-dev", "1.0.2-dev", "1.1.0", "1.2.1", "1.3.0", "1.9.9"] {
        bundle.set("/ociVersion", json!(version))?;
        bundle.bundled(&["run"])?.ok().map_err(|failed| format!("{version}: {}", failed.message().unwrap_or("")))?;
    }
    bundle.clean()
}

fn unknown_properties() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    for pointer in
        ["", "/process", "/process/user", "/root", "/mounts/0", "/linux", "/linux/resources", "/linux/namespaces/0"]
    {
        bundle.set(&format!("{pointer}/frob"), json!({"frob": [1, null, "x"]}))?;
    }
    // A name in capitals is another name.
    bundle.set("/process/CWD", json!("/tmp"))?;
    same("cwd", bundle.report()?["cwd"].as_str(), Some("/"))?;
    bundle.clean()
}

fn config_elsewhere() -> Outcome {
    let mut bundle = Bundle::reporter(&["--quiet", "--exit", "5"])?;
    fs::write(bundle.path("other.json"), bundle.config.to_string())?;
    bundle.set("/process/args", json!(["/reporter", "--quiet", "--exit", "6"]))?;
    let other = bundle.path("other.json").to_string_lossy().into_owned();
    same("the status", bundle.bundled(&["run", "--config", &other])?.status, 5)?;
    bundle.clean()
}
