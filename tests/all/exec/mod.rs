//! `exec`: one more process in a container that is there. It is where the first one is, it may no more than that, and what
//! was done for it stands in the container's trace.

pub mod words;

use crate::bundle::{Bundle, Done, patiently, tool};
use crate::cgroup::{cgroup, end, ready, script, start};
use crate::namespaces::in_user_namespace;
use crate::users::{as_user, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "execs",
        &[
            ("the_status_is_the_programs", statuses),
            ("it_is_where_the_first_process_is", same_place),
            ("in_a_user_namespace", || everywhere(in_user_namespace(sleeper()?)?)),
            ("in_a_time_namespace", time),
            ("in_namespaces_of_the_host", host_namespaces),
            ("without_root", rootless),
            ("of_what_does_not_run", not_running),
            ("of_a_paused_container", paused),
            ("of_a_created_container", created),
            ("detached_it_is_the_callers_child_in_the_end", detached),
            ("a_signal_is_handed_on", signal),
            ("a_cgroup_below", below),
            ("a_cgroup_that_may_hold_no_processes", internal),
            ("another_configuration", other_config),
            ("seccomp_holds_it", seccomp),
            ("descriptors", descriptors),
            ("the_trace_tells_of_it", traced),
            ("many_at_once", many),
        ],
    )
}

fn sleeper() -> Result<Bundle, Failed> {
    Bundle::reporter(&["--sleep", "--quiet"])
}

/// A busybox that sleeps.
pub fn box_of_sleep() -> Result<Bundle, Failed> {
    script("sleep 1000")
}

pub fn exec(bundle: &Bundle, options: &[&str], program: &[&str]) -> Result<Done, Failed> {
    bundle.call(&[&["exec"], options, &[&bundle.id], program].concat())
}

/// What the reporter says of itself when it is executed in the container.
fn report(bundle: &Bundle, options: &[&str]) -> Result<Value, Failed> {
    let done = exec(bundle, options, &["/reporter"])?.ok()?;
    Ok(serde_json::from_str(&done.out)?)
}

/// One line, and the status of an `exec` that ran nothing.
pub fn failed(done: Done, words: &str) -> Outcome {
    ensure!(done.status == 255, "status 255 wanted: {done:?}");
    ensure!(done.says(words), "`{words}` wanted: {done:?}");
    same("lines", done.messages(), 1)
}

fn statuses() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    for (line, status) in [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137)] {
        let done = exec(&bundle, &[], &["sh", "-c", line])?;
        ensure!(done.status == status && done.err.is_empty(), "{done:?}");
    }
    let done = exec(&bundle, &[], &["sh", "-c", "echo out; echo err >&2"])?;
    same("stdout", done.out.as_str(), "out\n")?;
    same("stderr", done.err.as_str(), "err\n")?;
    end(bundle)
}

/// The namespaces, root and cgroup of the new process are those of the first one.
fn everywhere(bundle: Bundle) -> Outcome {
    start(&bundle)?;
    let pid = bundle.state()?["pid"].as_i64().unwrap_or(0);
    let report = report(&bundle, &[])?;
    for entry in fs::read_dir(format!("/proc/{pid}/ns"))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains("for_children") {
            continue;
        }
        let wanted = fs::read_link(format!("/proc/{pid}/ns/{name}"))?;
        same(&name, report["namespaces"][&name].as_str(), wanted.to_str())?;
    }
    end(bundle)
}

fn same_place() -> Outcome {
    everywhere(sleeper()?)?;
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let (first, group) = (bundle.state()?["pid"].clone(), cgroup(&bundle)?);
    let inside = "cat /proc/self/cgroup /proc/1/cgroup | grep ^0:; grep ^NSpid /proc/self/status";
    let done = exec(&bundle, &[], &["sh", "-c", inside])?.ok()?;
    same("cgroups", &done.out[..10], "0::/\n0::/\n")?;
    let pid = bundle.path("pid").to_string_lossy().into_owned();
    let options = ["--detach", "--pid-file", &pid];
    exec(&bundle, &options, &["sleep", "1000"])?.ok()?;
    let pids = fs::read_to_string(group.join("cgroup.procs"))?;
    same("processes in the cgroup", pids, format!("{first}\n{}\n", fs::read_to_string(pid)?))?;
    end(bundle)
}

fn time() -> Outcome {
    let mut bundle = sleeper()?;
    bundle.set("/linux/namespaces/-", json!({"type": "time"}))?;
    let offsets = json!({"boottime": {"secs": 1_000_000}});
    bundle.set("/linux/timeOffsets", offsets)?;
    everywhere(bundle)
}

/// Without namespaces of its own a process is the host's in all but its root.
fn host_namespaces() -> Outcome {
    let mut bundle = box_of_sleep()?;
    bundle.set("/linux/namespaces", json!([{"type": "mount"}]))?;
    bundle.remove("/hostname")?;
    let mounts = bundle.config["mounts"].as_array().cloned();
    let of_ours = ["mqueue", "sysfs", "cgroup"];
    let keep = |m: &Value| !of_ours.contains(&m["type"].as_str().unwrap_or(""));
    let mounts: Vec<Value> = mounts.unwrap_or_default().into_iter().filter(keep).collect();
    bundle.set("/mounts", json!(mounts))?;
    start(&bundle)?;
    let done = exec(&bundle, &[], &["sh", "-c", "hostname; ls /"])?.ok()?;
    let host = nix::sys::utsname::uname()?;
    ensure!(done.out.starts_with(&*host.nodename().to_string_lossy()) && done.out.contains("proc"), "{done:?}");
    end(bundle)
}

fn rootless() -> Outcome {
    let bundle = of_user(box_of_sleep()?)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let run = ["run", "--detach", "--bundle", &here, &bundle.id];
    as_user(&bundle, &run)?;
    let line = "id -u; cat /proc/self/uid_map; readlink /proc/self/ns/user; readlink /proc/1/ns/user; kill -0 1";
    let words = ["exec", &bundle.id, "sh", "-c", line];
    let done = as_user(&bundle, &words)?.ok()?;
    let lines: Vec<&str> = done.out.lines().collect();
    same("user", lines.first().copied(), Some("0"))?;
    same("user namespace", lines.get(2), lines.get(3))?;
    let done = as_user(&bundle, &["exec", &bundle.id, "nosuch"])?;
    failed(done, "executable file not found in $PATH")?;
    as_user(&bundle, &["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn not_running() -> Outcome {
    let bundle = Bundle::plain()?;
    failed(exec(&bundle, &[], &["true"])?, "container does not exist")?;
    start(&bundle)?;
    bundle.until("stopped")?;
    failed(exec(&bundle, &[], &["true"])?, "container not running")?;
    end(bundle)
}

fn paused() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    failed(exec(&bundle, &[], &["true"])?, "cannot exec in a paused container")?;
    let mut command = bundle.command(&["exec", "--ignore-paused", &bundle.id])?;
    command.args(["sh", "-c", "echo ran"]);
    let mut waiting = bundle.start(command)?;
    let group = cgroup(&bundle)?;
    patiently("one more process in the cgroup", || {
        Ok(fs::read_to_string(group.join("cgroup.procs"))?.lines().count() == 2)
    })?;
    ensure!(waiting.child.try_wait()?.is_none(), "it ran while paused");
    bundle.call(&["resume", &bundle.id])?.ok()?;
    same("said", bundle.wait(waiting)?.ok()?.out.as_str(), "ran\n")?;
    end(bundle)
}

fn created() -> Outcome {
    let bundle = box_of_sleep()?;
    bundle.bundled(&["create"])?.ok()?;
    let done = exec(&bundle, &[], &["sh", "-c", "exit 3"])?;
    same("status", done.status, 3)?;
    same("status", bundle.status()?, "created".into())?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    same("status", bundle.status()?, "running".into())?;
    end(bundle)
}

fn detached() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let pid = bundle.path("pid").to_string_lossy().into_owned();
    let options = ["--detach", "--pid-file", &pid];
    exec(&bundle, &options, &["sleep", "1000"])?.ok()?;
    let text = fs::read_to_string(&pid)?;
    ensure!(text.bytes().all(|b| b.is_ascii_digit()), "{text:?}");
    let status = fs::read_to_string(format!("/proc/{text}/status"))?;
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:\t"));
    let parent = parent.unwrap_or("");
    let name = fs::read_to_string(format!("/proc/{parent}/comm"))?;
    ensure!(!name.starts_with("nk-runtime"), "its parent is {name}");
    let first = bundle.state()?["pid"].to_string();
    ensure!(parent != first, "the container's init is its parent");
    end(bundle)
}

fn signal() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let line = "trap 'echo got it; exit 9' USR1; touch /tmp/trapped; while :; do sleep 0.01; done";
    let mut command = bundle.command(&["exec", &bundle.id])?;
    command.args(["sh", "-c", line]);
    crate::bundle::copy_program(tool("busybox")?, bundle.rootfs("bin/touch"))?;
    let running = bundle.start(command)?;
    patiently("the trap", || Ok(bundle.rootfs("tmp/trapped").exists()))?;
    let pid = nix::unistd::Pid::from_raw(running.child.id() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1)?;
    let done = bundle.wait(running)?;
    ensure!(done.status == 9 && done.out == "got it\n", "{done:?}");
    end(bundle)
}

fn below() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let group = cgroup(&bundle)?;
    fs::create_dir_all(group.join("sub/deep"))?;
    let line = ["sh", "-c", "grep ^0: /proc/self/cgroup"];
    for (path, wanted) in [("sub/deep", "0::/sub/deep\n"), ("/sub/", "0::/sub\n"), ("/", "0::/\n")] {
        let done = exec(&bundle, &["--cgroup", path], &line)?.ok()?;
        same(path, done.out.as_str(), wanted)?;
    }
    for path in ["nosuch", "..", "sub/../.."] {
        let done = exec(&bundle, &["--cgroup", path], &line)?;
        failed(done, &format!("open the cgroup {path} below that of"))?;
    }
    end(bundle)
}

/// As a service manager does it: all processes are below, and controllers are handed down, so that none may be beside them.
fn internal() -> Outcome {
    let mut bundle = script(
        "mkdir /sys/fs/cgroup/init; echo 1 > /sys/fs/cgroup/init/cgroup.procs; \
                         echo +pids > /sys/fs/cgroup/cgroup.subtree_control; echo > /tmp/ready; sleep 1000",
    )?;
    let at = bundle.config["mounts"]
        .as_array()
        .and_then(|all| all.iter().position(|m| m["destination"] == "/sys/fs/cgroup"));
    let at = at.ok_or("no cgroup mount in the default configuration")?;
    bundle.set(&format!("/mounts/{at}/options"), json!(["rw"]))?;
    ready(&bundle)?;
    let done = exec(&bundle, &[], &["sh", "-c", "grep ^0: /proc/self/cgroup"])?.ok()?;
    let group = cgroup(&bundle)?;
    let handed = fs::read_to_string(group.join("../cgroup.subtree_control"))?;
    // Where no controller is to be had the cgroup above takes it, too.
    let wanted = if handed.trim().is_empty() { "0::/\n" } else { "0::/init\n" };
    same("cgroup", done.out.as_str(), wanted)?;
    end(bundle)
}

fn other_config() -> Outcome {
    let bundle = box_of_sleep()?;
    bundle.write_config()?;
    fs::rename(bundle.path("config.json"), bundle.path("other.json"))?;
    let mut command = bundle.command(&["run", "--detach", "--config", "other.json", "--bundle"])?;
    command.arg(bundle.path("")).arg(&bundle.id).current_dir(bundle.path(""));
    bundle.finish(command)?.ok()?;
    exec(&bundle, &[], &["true"])?.ok()?;
    fs::remove_file(bundle.path("other.json"))?;
    exec(&bundle, &[], &["true"])?.ok()?;
    end(bundle)
}

fn seccomp() -> Outcome {
    for uid in [0, 1000] {
        let mut bundle = box_of_sleep()?;
        bundle.set("/process/user/uid", json!(uid))?;
        bundle.set("/process/noNewPrivileges", json!(uid == 0))?;
        let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
            {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 99}]});
        bundle.set("/linux/seccomp", profile)?;
        start(&bundle)?;
        let line = "mkdir /tmp/x; grep '^Seccomp:' /proc/self/status";
        let done = exec(&bundle, &[], &["sh", "-c", line])?;
        ensure!(done.out == "Seccomp:\t2\n", "{done:?}");
        ensure!(done.err.contains("assign requested address"), "{done:?}");
        end(bundle)?;
    }
    Ok(())
}

/// What the caller left open does not get in, but for what it asked for.
fn descriptors() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let (root, id) = (bundle.state_root(), &bundle.id);
    let line = "for n in 3 4 5 6 7 8 9; do test -e /proc/self/fd/$n && echo $n; done; true";
    for (preserve, wanted) in [("0", ""), ("2", "3\n4\n")] {
        let mut command = Command::new("sh");
        command.args(["-c", "exec 3</dev/null 4</dev/null 5</dev/null 7</; exec \"$@\"", "sh"]);
        command.arg(crate::bundle::runtime()).arg("--root").arg(&root);
        command.args(["exec", "--preserve-fds", preserve, id, "sh", "-c", line]);
        let done = bundle.finish(command)?.ok()?;
        // The shell itself has none of these open while it tests.
        same(preserve, done.out.as_str(), wanted)?;
    }
    end(bundle)
}

/// All under the headings of exec, with the plan's line and the process that made the call.
fn traced() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let pid = bundle.path("pid").to_string_lossy().into_owned();
    exec(&bundle, &["-d", "--pid-file", &pid], &["sleep", "1000"])?.ok()?;
    failed(exec(&bundle, &[], &["nosuch"])?, "not found")?;
    let text = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    for heading in ["HOST makes one more process for the container (exec)", "INIT becomes one more process"] {
        ensure!(text.matches(heading).count() >= 2, "{heading}: {text}");
    }
    let pid: i64 = fs::read_to_string(pid)?.parse()?;
    let json = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
    let calls: Result<Vec<Value>, _> = json.lines().map(serde_json::from_str).collect();
    let calls = calls?;
    let of_it: Vec<&Value> = calls.iter().filter(|call| call["pid"] == pid).collect();
    let names = |name: &str| of_it.iter().filter(|call| call["call"] == name).count();
    same("execve", names("execve"), 1)?;
    same("setns", names("setns"), 1)?;
    ensure!(of_it.iter().all(|call| call["step"] == "exec" && call["lane"] == "init"), "{of_it:?}");
    same("execve's result", &of_it[of_it.len() - 1]["ret"], &json!(0))?;
    let failing = calls.iter().any(|call| call["call"] == "faccessat2" && call["args"][1] == "\"/bin/nosuch\"");
    ensure!(failing, "the failing call is not in the trace");
    // The container's own first process is still told apart.
    let first = bundle.state()?["pid"].clone();
    ensure!(calls.iter().any(|call| call["pid"] == first && call["call"] == "pivot_root"), "no init");
    end(bundle)
}

/// At the same time, each with a trace of its own, and none of them lost.
fn many() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let mut running = Vec::new();
    for i in 0..20 {
        let mut command = bundle.command(&["exec", &bundle.id])?;
        command.args(["sh", "-c", &format!("echo number {i}")]);
        running.push(bundle.start(command)?);
    }
    for (i, running) in running.into_iter().enumerate() {
        let done = bundle.wait(running)?.ok()?;
        same("said", done.out, format!("number {i}\n"))?;
    }
    let json = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
    let calls: Result<Vec<Value>, _> = json.lines().map(serde_json::from_str).collect();
    let calls = calls?;
    let executed = |call: &&Value| call["step"] == "exec" && call["call"] == "execve" && call["ret"] == 0;
    same("programs executed", calls.iter().filter(executed).count(), 20)?;
    let mut pids: Vec<&Value> = calls.iter().filter(executed).map(|call| &call["pid"]).collect();
    pids.sort_by_key(|pid| pid.as_i64());
    pids.dedup();
    same("processes", pids.len(), 20)?;
    same("status", bundle.status()?, "running".into())?;
    end(bundle)
}
