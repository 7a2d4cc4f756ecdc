//! What needs a right of the caller's, for a program that no longer has it; what the program inherits of the caller, and
//! what not: limits, scheduling, processors, standard streams, groups. And the annotations that crun knows.

use crate::bundle::{Bundle, Done, runtime};
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    area(
        "rights",
        &[
            ("limits_are_raised_for_a_user_namespace", limits),
            ("score_is_lowered_for_a_user_namespace", score),
            ("scheduling_of_a_user_namespace", scheduling),
            ("callers_affinity_is_not_inherited", affinity),
            ("null_streams_are_the_containers", null_streams),
            ("null_streams_without_a_null_device", no_null),
            ("other_streams_stay", other_streams),
            ("groups_that_are_kept", kept_groups),
            ("annotations_that_would_be_ignored", annotations),
            ("unknown_calls_that_are_errors", unknown_calls),
            ("sysctls_of_a_user_namespace", user_sysctls),
        ],
    )
}

/// Calls the runtime after a line of the shell.
fn after(bundle: &Bundle, line: &str, words: &[&str]) -> Result<Done, Failed> {
    bundle.write_config()?;
    let script = format!("{line}; exec \"$@\"");
    let mut command = Command::new("sh");
    command.args(["-c", &script, "sh"]).arg(runtime());
    command.arg("--root").arg(bundle.state_root()).args(words);
    command.current_dir("/").stdin(Stdio::null());
    bundle.finish(command)
}

fn run_after(bundle: &Bundle, line: &str, verb: &[&str]) -> Result<Done, Failed> {
    let here = bundle.path("");
    let here = here.to_string_lossy();
    after(bundle, line, &[verb, &["--bundle", &here, &bundle.id]].concat())
}

/// `run`, `create` and `exec` of a container in a user namespace: what its program says each time.
fn three_ways(line: &str, script: &str, set: impl Fn(&mut Bundle) -> Outcome, wanted: &str) -> Outcome {
    let mut bundle = in_user_namespace(Bundle::shell(script)?)?;
    set(&mut bundle)?;
    let said = run_after(&bundle, line, &["run"])?.ok()?.out;
    same("run", said.trim(), wanted)?;
    let waits = format!("{script} > /dev/shm/said; sleep 1000");
    bundle.set("/process/args", json!(["sh", "-c", waits]))?;
    run_after(&bundle, line, &["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    let look = ["exec", &bundle.id, "sh", "-c", "until [ -s /dev/shm/said ]; do sleep 0.01; done; cat /dev/shm/said"];
    let said = after(&bundle, "true", &look)?.ok()?.out;
    same("create", said.trim(), wanted)?;
    let said = after(&bundle, line, &["exec", &bundle.id, "sh", "-c", script])?;
    same("exec", said.ok()?.out.trim(), wanted)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Inside a user namespace nobody may raise a limit.
fn limits() -> Outcome {
    let limits = json!([
        {"type": "RLIMIT_NOFILE", "soft": 3000, "hard": 4000},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]);
    three_ways(
        "ulimit -n 1000",
        "echo $(ulimit -Sn; ulimit -Hn; ulimit -Hc)",
        |bundle| bundle.set("/process/rlimits", limits.clone()),
        "3000 4000 0",
    )
}

/// Nor may the score be less than it was.
fn score() -> Outcome {
    three_ways(
        "echo 500 > /proc/self/oom_score_adj",
        "cat /proc/self/oom_score_adj",
        |bundle| bundle.set("/process/oomScoreAdj", json!(-300)),
        "-300",
    )
}

/// Nor may a process be more urgent there: fields 19 and 41 of proc_pid_stat(5) are nice and the policy.
fn scheduling() -> Outcome {
    let script = "set -- $(cat /proc/self/stat); echo ${19} ${41}";
    for (value, wanted) in [
        (json!({"policy": "SCHED_OTHER", "nice": -7}), "-7 0"),
        (json!({"policy": "SCHED_FIFO", "priority": 7}), "0 1"),
    ] {
        three_ways(
            "true",
            script,
            |bundle| {
                let io = json!({"class": "IOPRIO_CLASS_RT", "priority": 3});
                bundle.set("/process/ioPriority", io)?;
                bundle.set("/process/scheduler", value.clone())
            },
            wanted,
        )?;
    }
    Ok(())
}

fn processors(status: &str) -> String {
    let line = status.lines().find(|line| line.starts_with("Cpus_allowed_list"));
    line.unwrap_or("none").into()
}

fn affinity() -> Outcome {
    let all = processors(&fs::read_to_string("/proc/self/status")?);
    let first = all.trim_start_matches(|c: char| !c.is_ascii_digit());
    let first = first.split([',', '-']).next().unwrap_or("0");
    let line = format!("taskset -p -c {first} $$ > /dev/null");
    let mut bundle = Bundle::shell("cat /proc/self/status")?;
    let said = run_after(&bundle, &line, &["run"])?.ok()?.out;
    same("run", processors(&said), all.clone())?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    run_after(&bundle, &line, &["run", "--detach"])?.ok()?;
    let pid = bundle.state()?["pid"].to_string();
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    same("run --detach", processors(&status), all.clone())?;
    let cat = ["exec", &bundle.id, "cat", "/proc/self/status"];
    let said = after(&bundle, &line, &cat)?.ok()?.out;
    same("exec", processors(&said), all)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// The runtime with /dev/null, open for reading only, as all three standard streams: its status.
fn with_null(bundle: &Bundle, words: &[&str]) -> Result<i32, Failed> {
    let mut command = bundle.command(words)?;
    for number in 0..3 {
        let null = || Ok::<_, Failed>(Stdio::from(File::open("/dev/null")?));
        match number {
            0 => command.stdin(null()?),
            1 => command.stdout(null()?),
            _ => command.stderr(null()?),
        };
    }
    Ok(command.status()?.code().unwrap_or(-1))
}

/// As containerd's shim opens it. The device of the streams is the container's: another inode than the host's.
fn null_streams() -> Outcome {
    let script = "echo x && echo y >&2 && for fd in 0 1 2; do \
         [ $(stat -L -c %d /proc/$$/fd/$fd) = $(stat -c %d /dev/null) ] || exit 9; done && cat";
    for uid in [0, 1000] {
        for masks in [true, false] {
            let mut bundle = Bundle::shell(script)?;
            std::os::unix::fs::symlink("busybox", bundle.rootfs("bin/stat"))?;
            bundle.set("/process/user", json!({"uid": uid, "gid": uid}))?;
            if !masks {
                bundle.set("/linux/maskedPaths", json!([]))?;
            }
            bundle.write_config()?;
            let here = bundle.path("");
            let here = here.to_string_lossy();
            let run = ["run", "--bundle", &here, &bundle.id];
            same("run", with_null(&bundle, &run)?, 0)?;
            bundle.set("/process/args", json!(["sh", "-c", format!("{script} || exit; sleep 1000")]))?;
            bundle.write_config()?;
            let create = ["create", "--bundle", &here, &bundle.id];
            same("create", with_null(&bundle, &create)?, 0)?;
            same("start", with_null(&bundle, &["start", &bundle.id])?, 0)?;
            let exec = ["exec", &bundle.id, "sh", "-c", script];
            same("exec", with_null(&bundle, &exec)?, 0)?;
            same("the program of create", bundle.status()?, "running".into())?;
            bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
            bundle.clean()?;
        }
    }
    Ok(())
}

/// Where /dev/null is missing or another file, the caller's stays, and the file is not opened.
fn no_null() -> Outcome {
    for make in ["rm /dev/null", "rm /dev/null; mkfifo /dev/null", "rm /dev/null; ln -s /nowhere /dev/null"] {
        let mut bundle = Bundle::shell(&format!("{make}; sleep 1000"))?;
        for applet in ["rm", "mkfifo", "ln"] {
            std::os::unix::fs::symlink("busybox", bundle.rootfs("bin").join(applet))?;
        }
        bundle.set("/process/user", json!({"uid": 0, "gid": 0}))?;
        bundle.bundled(&["run", "--detach"])?.ok()?;
        let gone = "until [ ! -c /dev/null ]; do sleep 0.01; done";
        let exec = ["exec", &bundle.id, "sh", "-c", gone];
        bundle.call(&exec)?.ok()?;
        same(make, with_null(&bundle, &["exec", &bundle.id, "true"])?, 0)?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    Ok(())
}

/// Files, pipes and other devices stay what they are.
fn other_streams() -> Outcome {
    let mut bundle = Bundle::shell("cat; echo said; echo wrong >&2; sleep 0")?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let id = bundle.id.clone();
    let words = ["run", "--bundle", &here, &id];
    let mut command = bundle.command(&words)?;
    fs::write(bundle.path("in"), "from a file\n")?;
    command.stdin(File::open(bundle.path("in"))?);
    let done = bundle.finish(command)?;
    same("out", done.out.as_str(), "from a file\nsaid\n")?;
    same("err", done.err.as_str(), "wrong\n")?;
    let mut command = bundle.command(&words)?;
    command.stdin(File::open("/dev/zero")?);
    let head = json!(["sh", "-c", "dd bs=5 count=1 2>/dev/null"]);
    bundle.set("/process/args", head)?;
    bundle.write_config()?;
    let done = bundle.finish(command)?.ok()?;
    same("out", done.out.len(), 5)?;
    bundle.clean()
}

/// podman's `--group-add keep-groups`.
fn kept_groups() -> Outcome {
    let groups = |bundle: &Bundle, words: &[&str]| -> Result<String, Failed> {
        bundle.write_config()?;
        let mut command = Command::new("setpriv");
        command.args(["--groups", "4321,4322"]).arg(runtime());
        command.arg("--root").arg(bundle.state_root()).args(words);
        command.current_dir("/").stdin(Stdio::null());
        Ok(bundle.finish(command)?.ok()?.out.trim().into())
    };
    let script = "id -G";
    for (value, wanted) in [("1", "0 4321 4322"), ("0", "0")] {
        let mut bundle = Bundle::shell(script)?;
        bundle.set("/annotations", json!({"run.oci.keep_original_groups": value}))?;
        let here = bundle.path("");
        let run = ["run", "--bundle", &here.to_string_lossy(), &bundle.id];
        same(value, groups(&bundle, &run)?, wanted.into())?;
        bundle.set("/process/args", json!(["sleep", "1000"]))?;
        bundle.bundled(&["run", "--detach"])?.ok()?;
        let exec = ["exec", &bundle.id, "id", "-G"];
        same("exec", groups(&bundle, &exec)?, wanted.into())?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    let mut bundle = Bundle::shell("true")?;
    bundle.set("/annotations", json!({"run.oci.keep_original_groups": "1"}))?;
    bundle.set("/process/user/additionalGids", json!([7]))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status == 0 && done.err.contains("additionalGids"), "{done:?}");
    bundle.clean()
}

fn annotations() -> Outcome {
    let refused = [
        "run.oci.seccomp.receiver",
        "run.oci.seccomp.plugins",
        "run.oci.seccomp_bpf_data",
        "run.oci.systemd.force_cgroup_v1",
        "run.oci.systemd.subgroup",
        "run.oci.delegate-cgroup",
        "run.oci.timens_offset",
        "run.oci.pidfd_receiver",
        "run.oci.handler",
        "run.oci.mount_context_type",
    ];
    let mut bundle = Bundle::plain()?;
    for name in refused {
        bundle.set("/annotations", json!({name: "word"}))?;
        let words = format!("/annotations/{name}: ");
        bundle.bundled(&["run"])?.refused(&words)?;
        bundle.nothing_left()?;
    }
    // CRI-O asks for what is done anyway; others are words of somebody's own.
    let heeded: Value =
        json!({"run.oci.systemd.subgroup": "", "run.oci.mount_context_type": "rootcontext", "run.oci.of.mine": "x"});
    bundle.set("/annotations", heeded)?;
    bundle.bundled(&["run"])?.ok()?;
    for name in ["run.oci.hooks.stdout", "run.oci.hooks.stderr"] {
        bundle.set("/annotations", json!({name: "/tmp/out"}))?;
        let done = bundle.bundled(&["run"])?;
        ensure!(done.status == 0 && done.err.contains(name), "{done:?}");
    }
    bundle.clean()
}

fn unknown_calls() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let rules = json!([{"names": ["read", "nosuchcall"], "action": "SCMP_ACT_ERRNO"}]);
    let rules = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules});
    bundle.set("/linux/seccomp", rules)?;
    let name = "run.oci.seccomp_fail_unknown_syscall";
    bundle.set("/annotations", json!({name: "1"}))?;
    bundle.bundled(&["run"])?.refused("/linux/seccomp/syscalls/0/names/1: ")?;
    bundle.clean()
}

/// They are the user namespace's own (namespaces(7)); without one they would be the host's.
fn user_sysctls() -> Outcome {
    let key = "user.max_mnt_namespaces";
    let mut bundle = Bundle::shell("cat /proc/sys/user/max_mnt_namespaces")?;
    bundle.set("/linux/sysctl", json!({key: "1234"}))?;
    let place = format!("/linux/sysctl/{key}: needs a `user` namespace");
    bundle.bundled(&["run"])?.refused(&place)?;
    let host = fs::read_to_string("/proc/sys/user/max_mnt_namespaces")?;
    let bundle = in_user_namespace(bundle)?;
    let said = bundle.bundled(&["run"])?.ok()?.out;
    same("inside", said.trim(), "1234")?;
    let now = fs::read_to_string("/proc/sys/user/max_mnt_namespaces")?;
    same("outside", now, host)?;
    bundle.clean()
}
