//! Init begins in the runtime's memory, or with a copy of it (clone3's CLONE_VM): which of both, that the program gets what
//! was planned either way, and that the end of init is never the runtime's.

use crate::bundle::{Bundle, patiently};
use crate::lifecycle::bring_to;
use crate::strace::traced_in_time;
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;

pub fn cases() -> Vec<Trial> {
    area(
        "memory",
        &[
            ("the_trace_says_whether_init_shares_it", told),
            ("what_was_planned_is_there_after_create_has_ended", kept),
            ("a_signal_that_kills_init_is_not_the_runtimes", || killed(false)),
            ("a_signal_that_kills_a_copy_is_not_the_runtimes", || killed(true)),
            ("a_filter_that_kills_init_is_not_the_runtimes", || filtered(false)),
            ("a_filter_that_kills_a_copy_is_not_the_runtimes", || filtered(true)),
            ("init_ends_with_a_runtime_that_is_killed", || orphaned(false)),
            ("a_copy_ends_with_a_runtime_that_is_killed", || orphaned(true)),
            ("many_at_once_in_one_shell", many),
        ],
    )
}

/// A cgroup of another place than the usual one: limits above it may end what is in it, so init gets a copy.
fn copied(bundle: &mut Bundle) -> Outcome {
    bundle.set("/linux/cgroupsPath", json!(format!("/nano-sandbox/{}", bundle.id)))
}

/// The flags of the clone that made init, as the trace has them.
fn cloned(bundle: &Bundle) -> Result<String, crate::Failed> {
    let text = bundle.call(&["trace", &bundle.id, "--format", "strace"])?.ok()?.out;
    let line = text.lines().find(|line| line.contains("clone3(")).unwrap_or_default();
    Ok(line.to_owned())
}

fn told() -> Outcome {
    for copy in [false, true] {
        let mut bundle = Bundle::shell("sleep 1000")?;
        if copy {
            copied(&mut bundle)?;
        }
        bring_to(&bundle, "running")?;
        let call = cloned(&bundle)?;
        same(&call, call.contains("CLONE_VM"), !copy)?;
        same(&call, call.contains("stack_size=0x40000"), !copy)?;
        let plan = bundle.call(&["plan", "--bundle", &bundle.path("").to_string_lossy()])?.ok()?.out;
        let why = if copy { "its memory is a copy, since a kill for want of memory" } else { "it shares our memory" };
        ensure!(plan.contains(why), "{why}: {plan}");
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    Ok(())
}

/// `create` goes on after the clone, ends, and with it its stack: init reads its plan until `start`.
fn kept() -> Outcome {
    for copy in [false, true] {
        let mut bundle = Bundle::shell("echo \"$0 $@\" > /tmp/args; env > /tmp/env; sleep 1000")?;
        if copy {
            copied(&mut bundle)?;
        }
        let many: Vec<Value> = (0..3000).map(|n| json!(format!("VARIABLE_{n}=value of {n}"))).collect();
        let args: Vec<String> = (0..500).map(|n| format!("argument-{n}")).collect();
        let mut env = bundle.config["process"]["env"].as_array().cloned().unwrap_or_default();
        env.extend(many.clone());
        bundle.set("/root/readonly", json!(false))?;
        bundle.set("/process/env", json!(env))?;
        for arg in &args {
            bundle.set("/process/args/-", json!(arg))?;
        }
        bring_to(&bundle, "created")?;
        bundle.call(&["start", &bundle.id])?.ok()?;
        let env = || fs::read_to_string(bundle.rootfs("tmp/env")).unwrap_or_default();
        patiently("the program's environment", || Ok(env().lines().count() >= many.len()))?;
        let env = env();
        // The shell has an order of its own.
        let there: BTreeSet<&str> = env.lines().filter(|line| line.starts_with("VARIABLE_")).collect();
        let wanted: BTreeSet<&str> = many.iter().filter_map(Value::as_str).collect();
        let other: Vec<_> = there.symmetric_difference(&wanted).take(5).collect();
        ensure!(other.is_empty(), "other variables: {other:?}");
        let said = fs::read_to_string(bundle.rootfs("tmp/args"))?;
        same("the arguments", said.trim_end(), args.join(" ").as_str())?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    Ok(())
}

/// A hook outside kills init while it waits.
fn killed(copy: bool) -> Outcome {
    let mut bundle = Bundle::plain()?;
    if copy {
        copied(&mut bundle)?;
    }
    let script = "kill -9 $(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/')";
    bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/sh", "args": ["sh", "-c", script]}]}))?;
    for words in ["run", "create"] {
        let done = bundle.bundled_alone(&[words])?;
        same("lines", done.messages(), 1)?;
        ensure!(done.says("was killed before it could say why"), "{}", done.err);
        bundle.nothing_left()?;
    }
    Ok(())
}

/// A filter answers execve with a kill of the process, for which the kernel would write a core dump.
fn filtered(copy: bool) -> Outcome {
    let mut bundle = Bundle::plain()?;
    if copy {
        copied(&mut bundle)?;
    }
    let kills = json!({"names": ["execve", "execveat"], "action": "SCMP_ACT_KILL_PROCESS"});
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [kills]}))?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 1 << 30, "hard": 1 << 30}]))?;
    let done = bundle.bundled_alone(&["run"])?;
    ensure!(done.status == 159 && done.says("the seccomp profile killed the program"), "{done:?}");
    bundle.nothing_left()
}

/// The runtime is killed before it lets init go on. strace ends with the last process that it traces.
fn orphaned(copy: bool) -> Outcome {
    let mut bundle = Bundle::shell("sleep 1000")?;
    if copy {
        copied(&mut bundle)?;
    }
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    for words in ["run", "create"] {
        let listing = bundle.path("strace");
        let inner = bundle.command(&[words, "--bundle", &here, &bundle.id])?;
        let kill = Some("--inject=renameat2:signal=SIGKILL:when=1");
        bundle.finish(traced_in_time(&inner, &listing, kill)?)?;
        let text = fs::read_to_string(&listing)?;
        ensure!(text.contains("+++ exited with 1 +++"), "{text}");
        ensure!(!text.contains("execve(\"/bin/sh\""), "{text}");
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        bundle.nothing_left()?;
    }
    Ok(())
}

fn many() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let mut running = Vec::new();
    for n in 0..16 {
        let id = format!("{}-{n}", bundle.id);
        let mut command = bundle.command(&["run", &id])?;
        command.arg("--bundle").arg(bundle.path(""));
        running.push((id, bundle.start(command)?));
    }
    for (id, run) in running {
        same(&id, bundle.wait(run)?.status, 0)?;
    }
    bundle.nothing_left()
}
