//! What is absent, null or empty in config.json never means more rights than what is there: neither of the first process nor
//! of one that `exec` adds.

use crate::bundle::{Bundle, Done};
use crate::cgroup::{end, script, start};
use crate::exec::exec;
use crate::process::report_of_caller;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "absent",
        &[
            ("capabilities", capabilities),
            ("capabilities_of_a_user", capabilities_of_user),
            ("each_set_of_capabilities", each_set),
            ("capabilities_in_exec", capabilities_in_exec),
            ("capabilities_in_a_file_for_exec", capabilities_in_file),
            ("what_a_file_for_exec_leaves_out", left_out),
            ("groups", groups),
            ("seccomp", seccomp),
            ("objects_around", around),
        ],
    )
}

const SETS: [&str; 5] = ["bounding", "effective", "permitted", "inheritable", "ambient"];
const KEYS: [&str; 5] = ["CapBnd", "CapEff", "CapPrm", "CapInh", "CapAmb"];
const NONE: [u64; 5] = [0; 5];
const KILL: u64 = 1 << 5;

/// The five sets, out of /proc/self/status.
fn sets(status: &str) -> Result<[u64; 5], Failed> {
    let mut all = NONE;
    for (set, key) in all.iter_mut().zip(KEYS) {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let hex = line.and_then(|line| line.strip_prefix(":\t"));
        *set = u64::from_str_radix(hex.unwrap_or("?"), 16)?;
    }
    Ok(all)
}

/// A script that prints what the kernel says of itself.
const STATUS: &str = "cat /proc/self/status";

/// Every way to say nothing at a key of the object at `above`.
fn ways(bundle: &Bundle, above: &str, key: &str) -> Vec<(String, Value)> {
    let mut ways = Vec::new();
    for value in [None, Some(json!(null)), Some(json!({}))] {
        let mut config = bundle.config.clone();
        if let Some(Value::Object(map)) = config.pointer_mut(above) {
            map.remove(key);
            if let Some(value) = &value {
                map.insert(key.into(), value.clone());
            }
        }
        ways.push((format!("{above}/{key}: {value:?}"), config));
    }
    ways
}

fn capabilities() -> Outcome {
    let mut bundle = Bundle::shell(STATUS)?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    for (way, config) in ways(&bundle, "/process", "capabilities") {
        bundle.config = config;
        let done = bundle.bundled(&["run"])?.ok()?;
        same(&way, sets(&done.out)?, NONE)?;
    }
    bundle.clean()
}

/// Of an ordinary user with the filter first, since it has no CAP_SYS_ADMIN.
fn capabilities_of_user() -> Outcome {
    let mut bundle = Bundle::shell(STATUS)?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW"});
    bundle.set("/linux/seccomp", profile)?;
    bundle.remove("/process/capabilities")?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("sets", sets(&done.out)?, NONE)?;
    ensure!(done.out.contains("Seccomp:\t2"), "no filter: {}", done.out);
    bundle.clean()
}

fn each_set() -> Outcome {
    let mut bundle = Bundle::shell(STATUS)?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    for (i, absent) in SETS.iter().enumerate() {
        for null in [true, false] {
            let mut all: serde_json::Map<String, Value> =
                SETS.iter().map(|set| ((*set).into(), json!(["CAP_KILL"]))).collect();
            all.remove(*absent);
            // What is ambient becomes effective with execve (capabilities(7)).
            if *absent == "effective" {
                all.remove("ambient");
            }
            // Nothing is effective or ambient that is not permitted, and nothing ambient that is not inheritable.
            match *absent {
                "permitted" => {
                    all.remove("effective");
                    all.remove("ambient");
                }
                "inheritable" => drop(all.remove("ambient")),
                _ => {}
            }
            if null {
                all.insert((*absent).into(), Value::Null);
            }
            bundle.set("/process/capabilities", json!(all))?;
            // What another set would have to hold too is left out with a warning.
            let done = bundle.bundled(&["--quiet", "run"])?.ok()?;
            let seen = sets(&done.out)?;
            same(absent, seen[i], 0)?;
            ensure!(seen.iter().all(|set| set & !KILL == 0), "{absent}: {seen:x?}");
        }
    }
    bundle.clean()
}

fn sleeper() -> Result<Bundle, Failed> {
    script("sleep 1000")
}

fn status(bundle: &Bundle, options: &[&str]) -> Result<String, Failed> {
    Ok(exec(bundle, options, &["cat", "/proc/self/status"])?.ok()?.out)
}

fn capabilities_in_exec() -> Outcome {
    let mut bundle = sleeper()?;
    bundle.remove("/process/capabilities")?;
    start(&bundle)?;
    same("sets", sets(&status(&bundle, &[])?)?, NONE)?;
    let one = sets(&status(&bundle, &["--cap", "CAP_KILL"])?)?;
    same("with --cap", one, [KILL, KILL, KILL, 0, 0])?;
    end(bundle)
}

/// What `exec --process` says with this file.
fn of_file(bundle: &Bundle, process: &Value) -> Result<Done, Failed> {
    let path = bundle.path("process.json");
    fs::write(&path, process.to_string())?;
    exec(bundle, &["--process", &path.to_string_lossy()], &[])
}

/// The container's own, as runc and crun have it; an object without sets is none.
fn capabilities_in_file() -> Outcome {
    let mut bundle = sleeper()?;
    let own = json!({"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]});
    bundle.set("/process/capabilities", own)?;
    start(&bundle)?;
    let process = json!({"args": ["cat", "/proc/self/status"], "cwd": "/", "env": ["PATH=/bin"]});
    let mut with = process.clone();
    let done = of_file(&bundle, &with)?.ok()?;
    same("absent", sets(&done.out)?, [KILL, KILL, KILL, 0, 0])?;
    with["capabilities"] = Value::Null;
    let done = of_file(&bundle, &with)?.ok()?;
    same("null", sets(&done.out)?, [KILL, KILL, KILL, 0, 0])?;
    for sets_given in [json!({}), json!({"bounding": [], "effective": null})] {
        with["capabilities"] = sets_given;
        let done = of_file(&bundle, &with)?.ok()?;
        same("none", sets(&done.out)?, NONE)?;
    }
    end(bundle)?;
    let mut bundle = sleeper()?;
    bundle.remove("/process/capabilities")?;
    start(&bundle)?;
    let done = of_file(&bundle, &process)?.ok()?;
    same("of a container without", sets(&done.out)?, NONE)?;
    end(bundle)
}

/// User, no_new_privs, limits and the badness for the OOM killer stay the container's unless the file says otherwise.
fn left_out() -> Outcome {
    let mut bundle = sleeper()?;
    let user = json!({"uid": 1000, "gid": 100, "additionalGids": [5], "umask": 0o77});
    bundle.set("/process/user", user)?;
    bundle.set("/process/oomScoreAdj", json!(500))?;
    let limits = json!([{"type": "RLIMIT_NOFILE", "soft": 99, "hard": 99}]);
    bundle.set("/process/rlimits", limits)?;
    start(&bundle)?;
    let line = "cat /proc/self/status /proc/self/oom_score_adj; ulimit -n";
    let process = json!({"args": ["sh", "-c", line], "cwd": "/", "env": ["PATH=/bin"]});
    let empty = json!({"user": {}, "rlimits": [], "capabilities": {}, "apparmorProfile": "", "selinuxLabel": ""});
    let null = json!({"user": null, "rlimits": null, "oomScoreAdj": null, "noNewPrivileges": null});
    for more in [json!({}), empty, null] {
        let mut process = process.clone();
        for (key, value) in more.as_object().into_iter().flatten() {
            process[key] = value.clone();
        }
        let out = of_file(&bundle, &process)?.ok()?.out;
        for words in
            ["Uid:\t1000\t1000", "Gid:\t100\t100", "Groups:\t5 \n", "Umask:\t0077", "NoNewPrivs:\t1", "\n500\n99\n"]
        {
            ensure!(out.contains(words), "{process}: no {words:?} in {out}");
        }
    }
    let mut process = process;
    process["user"] = json!({"uid": 0, "gid": 0});
    process["noNewPrivileges"] = json!(false);
    let out = of_file(&bundle, &process)?.ok()?.out;
    ensure!(out.contains("Uid:\t0\t0") && out.contains("NoNewPrivs:\t0") && out.contains("\n500\n99\n"), "{out}");
    end(bundle)
}

/// The caller's groups are never the program's.
fn groups() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    for user in [
        None,
        Some(json!(null)),
        Some(json!({})),
        Some(json!({"uid": 7, "gid": 7})),
        Some(json!({"uid": 7, "gid": 7, "additionalGids": null})),
        Some(json!({"uid": 7, "gid": 7, "additionalGids": []})),
    ] {
        let process = bundle.config["process"].as_object_mut();
        let process = process.ok_or("no process")?;
        process.remove("user");
        if let Some(user) = &user {
            process.insert("user".into(), user.clone());
        }
        let setpriv = crate::bundle::tool("setpriv")?;
        let before = format!("set -- {} --groups 5,6 -- \"$@\"", setpriv.display());
        let report = report_of_caller(&bundle, &before)?;
        let groups = report["groups"].as_array().cloned().unwrap_or_default();
        ensure!(groups.iter().all(|gid| *gid == 0), "{user:?}: {groups:?}");
    }
    bundle.clean()
}

/// Absent and null are no filter; whatever is there is one, or refused.
fn seccomp() -> Outcome {
    let mut bundle = Bundle::shell(STATUS)?;
    let rule = |rule: Value| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    for (profile, at) in [
        (json!({}), "/linux/seccomp/defaultAction"),
        (json!({"syscalls": []}), "/linux/seccomp/defaultAction"),
        (json!({"defaultAction": ""}), "/linux/seccomp/defaultAction"),
        (rule(json!({})), "/linux/seccomp/syscalls/0/action"),
        (rule(json!({"action": "SCMP_ACT_KILL"})), "/linux/seccomp/syscalls/0/names"),
        (rule(json!({"names": [], "action": "SCMP_ACT_KILL"})), "/linux/seccomp/syscalls/0/names"),
        (
            rule(json!({"names": ["kill"], "action": "SCMP_ACT_KILL", "args": [{}]})),
            "/linux/seccomp/syscalls/0/args/0/",
        ),
    ] {
        bundle.set("/linux/seccomp", profile)?;
        bundle.bundled(&["run"])?.refused(at)?;
    }
    for (profile, mode) in [
        (json!(null), "Seccomp:\t0"),
        (
            json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": null, "architectures": null, "flags": null}),
            "Seccomp:\t2",
        ),
    ] {
        bundle.set("/linux/seccomp", profile)?;
        let out = bundle.bundled(&["run"])?.ok()?.out;
        ensure!(out.contains(mode), "no {mode:?} in {out}");
    }
    bundle.clean()
}

/// Without the object around it nothing runs. Without namespaces the container would be in the host's: what the
/// configuration asks of its own is refused then.
fn around() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let good = bundle.config.clone();
    for (_, config) in ways(&bundle, "", "process") {
        bundle.config = config;
        bundle.bundled(&["run"])?.refused("/process")?;
    }
    for (around, key) in [("", "linux"), ("/linux", "namespaces")] {
        bundle.config = good.clone();
        for (_, config) in ways(&bundle, around, key) {
            bundle.config = config;
            for asked in ["/hostname", "/mounts/"] {
                let refused = bundle.bundled(&["run"])?.refused("/")?.err;
                let alone = refused.contains(asked) && refused.contains("linux.namespaces");
                ensure!(alone || refused.contains("/linux/namespaces"), "{refused}");
                if let Some(all) = bundle.config.as_object_mut() {
                    all.remove("hostname");
                }
            }
        }
    }
    bundle.clean()
}
