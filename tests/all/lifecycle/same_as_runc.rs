//! The bar: one bundle, two runtimes, the same facts. What is levelled before comparing is listed with its reason.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::Value;
use std::path::Path;

pub fn cases() -> Vec<Trial> {
    area(
        "same_as_runc",
        &[("what_a_shell_sees", shell), ("what_the_reporter_sees", reporter), ("state_keys", state_keys)],
    )
}

fn run_with(bundle: &Bundle, program: &Path) -> Result<Done, Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let done = bundle.finish(bundle.command_of(program, &["run", "--bundle", &here, &bundle.id])?)?;
    ensure!(done.status == 0, "{}: {done:?}", program.display());
    Ok(done)
}

/// The reports of runc and of the runtime under test, on the same bundle, one after the other.
pub fn both(bundle: &Bundle) -> Result<(Value, Value), Failed> {
    let runc = run_with(bundle, &tool("runc")?)?;
    let ours = run_with(bundle, &runtime())?;
    Ok((serde_json::from_str(&runc.out)?, serde_json::from_str(&ours.out)?))
}

/// Lines of /proc/self/status that tell of this run and not of the container: memory, time, the
/// processors, room for descriptors. And SigIgn: runc hands on what its caller ignores (a posix_spawn of glibc: signal 32); ours starts clean,
/// which `callers` proves.
const OF_THE_RUN: &[&str] = &[
    "Vm",
    "Rss",
    "Hugetlb",
    "voluntary_ctxt",
    "nonvoluntary_ctxt",
    "Cpus_allowed",
    "Mems_allowed",
    "SigQ",
    "FDSize",
    "SigIgn",
    "x86_Thread",
];

fn shell() -> Outcome {
    let bundle = Bundle::shell("id; hostname; cat /proc/self/status; ls /dev; mount")?;
    let facts = |program: &Path| {
        let text = run_with(&bundle, program)?.out;
        let keep = |line: &&str| !OF_THE_RUN.iter().any(|word| line.starts_with(word));
        Ok::<_, Failed>(text.lines().filter(keep).map(level).collect::<Vec<String>>())
    };
    let (runc, ours) = (facts(&tool("runc")?)?, facts(&runtime())?);
    for (ours, runc) in ours.iter().zip(&runc) {
        same("a line of the script's output, under nk-runtime and under runc", ours, runc)?;
    }
    same("how many lines", ours.len(), runc.len())?;
    bundle.clean()
}

/// A tmpfs that masks a folder: runc makes one each, of its own size; that it is empty and read-only is what counts.
/// Process ids: runc's threads have taken some of the new namespace's before the program began.
fn level(line: &str) -> String {
    if ["Tgid:", "Pid:", "NStgid:", "NSpid:"].iter().any(|key| line.starts_with(key)) {
        return line.trim_end_matches(|c: char| c.is_ascii_digit()).into();
    }
    match line.split_once(" type tmpfs (ro") {
        Some((place, _)) if place.starts_with("tmpfs on /proc/") || place.starts_with("tmpfs on /sys/") => {
            format!("{place} type tmpfs (ro")
        }
        _ => line.into(),
    }
}

fn reporter() -> Outcome {
    let bundle = Bundle::reporter(&[
        "--probe",
        "/proc/kcore",
        "--probe",
        "/sys/firmware",
        "--probe",
        "/proc/sys/kernel/hostname",
        "--probe",
        "/dev/shm",
        "--probe",
        "/sys/fs/cgroup/cgroup.procs",
        "--probe",
        "/dev/pts",
        "--probe",
        "/",
        "--open",
        "/dev/null",
        "--open",
        "/dev/tty",
    ])?;
    let (mut runc, mut ours) = both(&bundle)?;
    for report in [&mut runc, &mut ours] {
        let Some(map) = report.as_object_mut() else {
            return Err("the report is no object".into());
        };
        // Compared by `mounts`, place by place. Every run has namespaces of its own. Descriptors 1 and 2 are files
        // that this test makes for each run.
        for key in ["mounts", "namespaces", "fds", "kernel"] {
            map.remove(key);
        }
        if let Some(Value::Object(status)) = map.get_mut("status") {
            status.retain(|key, _| !OF_THE_RUN.iter().any(|word| key.starts_with(word)));
        }
    }
    let keys: Vec<String> = runc.as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect();
    for key in keys {
        match (&runc[&key], &ours[&key]) {
            (Value::Object(runc), Value::Object(ours)) => {
                for name in runc.keys().chain(ours.keys()) {
                    same(&format!("{key} {name}, under nk-runtime and under runc"), ours.get(name), runc.get(name))?;
                }
            }
            (runc, ours) => same(&format!("{key}, under nk-runtime and under runc"), ours, runc)?,
        }
    }
    bundle.clean()
}

/// Whoever reads runc's `state` finds the same keys with the same types.
fn state_keys() -> Outcome {
    let mut bundle = Bundle::reporter(&["--sleep"])?;
    bundle.set("/annotations", serde_json::json!({"a": "b"}))?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let mut seen = Vec::new();
    for program in [tool("runc")?, runtime()] {
        let call = |words: &[&str]| bundle.finish(bundle.command_of(&program, words)?)?.ok();
        call(&["create", "--bundle", &here, &bundle.id])?;
        let state = call(&["state", &bundle.id]);
        call(&["delete", "--force", &bundle.id])?;
        let state: Value = serde_json::from_str(&state?.out)?;
        // CRI-O reads it into a structure that has these of its own, with other types than anybody would guess; and
        // `created` is a time to it.
        for key in ["started", "finished", "exitCode", "oomKilled", "initPid", "initStartTime", "checkpointedAt"] {
            ensure!(state.get(key).is_none(), "state has a key {key}: {state}");
        }
        let time = state["created"].as_str().unwrap_or("");
        let shape: String = time.chars().take(19).map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
        ensure!(shape == "9999-99-99T99:99:99" && time.ends_with('Z'), "created: {time}");
        let kind = |value: &Value| match value {
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Object(_) => "object",
            _ => "other",
        };
        let keys = state.as_object().into_iter().flatten();
        let mut keys: Vec<String> = keys.map(|(key, value)| format!("{key}: {}", kind(value))).collect();
        keys.sort();
        seen.push(keys);
    }
    for key in &seen[0] {
        ensure!(seen[1].contains(key), "runc's {key} is not in {:?}", seen[1]);
    }
    bundle.clean()
}
