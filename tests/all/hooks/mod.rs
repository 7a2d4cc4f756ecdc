//! All six kinds of hooks: where, when and with what they are run, and what their failure does.

pub mod later;

use crate::bundle::{Bundle, Done, patiently};
use crate::host::processes;
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

pub fn cases() -> Vec<Trial> {
    area(
        "hooks",
        &[
            ("all_six_in_order", order),
            ("all_six_through_a_life", life),
            ("state_on_standard_input", state),
            ("namespaces", namespaces),
            ("argument_and_environment", words),
            ("a_mount_made_by_create_container_is_there", mounts),
            ("failure_undoes_everything", failures),
            ("failure_of_start_container", start_fails),
            ("failure_of_poststart", poststart_fails),
            ("failure_of_poststop_is_a_warning", poststop_fails),
            ("missing_program", missing),
            ("timeout_ends_it_and_what_it_started", timeout),
            ("a_hook_that_does_not_read", deaf),
            ("in_a_user_namespace", user),
            ("signals_are_as_for_any_program", signals),
            ("device_rules_hold_for_all_in_the_cgroup", devices),
        ],
    )
}

/// A hook that is a line of shell, with the case's folder as `$1`.
fn hook(bundle: &Bundle, line: &str) -> Value {
    json!({"path": "/bin/sh", "args": ["sh", "-c", line, "hook", bundle.path("").to_string_lossy()]})
}

pub const KINDS: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

/// Every kind says its name into one file. Two of them are run inside, where the file is bound.
fn noted() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell("echo program >> /noted")?;
    fs::write(bundle.path("noted"), "")?;
    fs::write(bundle.rootfs("noted"), "")?;
    let source = bundle.path("noted").to_string_lossy().into_owned();
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/mounts/-", json!({"destination": "/noted", "type": "bind", "source": source, "options": ["bind"]}))?;
    let mut hooks = json!({});
    for kind in KINDS {
        let file = if kind == "startContainer" { "/noted" } else { "$1/noted" };
        let first = hook(&bundle, &format!("echo {kind} >> {file}"));
        let second = hook(&bundle, &format!("echo {kind} again >> {file}"));
        hooks[kind] = json!([first, second]);
    }
    bundle.set("/hooks", hooks)?;
    Ok(bundle)
}

fn lines(bundle: &Bundle) -> Result<Vec<String>, Failed> {
    let text = fs::read_to_string(bundle.path("noted"))?;
    Ok(text.lines().map(String::from).collect())
}

fn wanted(kinds: &[&str]) -> Vec<String> {
    let two = |kind: &&str| match *kind {
        "program" => vec!["program".to_string()],
        kind => vec![kind.to_string(), format!("{kind} again")],
    };
    kinds.iter().flat_map(two).collect()
}

fn order() -> Outcome {
    let bundle = noted()?;
    bundle.bundled(&["run"])?.ok()?;
    let mut seen = lines(&bundle)?;
    let mut all = wanted(&KINDS);
    all.push("program".into());
    // poststart runs beside the program.
    for list in [&mut seen, &mut all] {
        list.retain(|line| line != "program");
    }
    same("hooks in order", seen, all)?;
    bundle.clean()
}

fn life() -> Outcome {
    let bundle = noted()?;
    bundle.bundled(&["create"])?.ok()?;
    same("after create", lines(&bundle)?, wanted(&KINDS[..3]))?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    let mut seen = lines(&bundle)?;
    seen.retain(|line| line != "program");
    same("after start", seen, wanted(&KINDS[..5]))?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    let mut seen = lines(&bundle)?;
    seen.retain(|line| line != "program");
    same("after delete", seen, wanted(&KINDS))?;
    bundle.clean()
}

fn state() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/annotations", json!({"a": "b \"c\""}))?;
    let mut hooks = json!({});
    for kind in KINDS {
        hooks[kind] = json!([hook(&bundle, &format!("cat > $1/{kind}.json"))]);
    }
    let inside = json!({"path": "/bin/sh", "args": ["sh", "-c", "cat > /tmp/state"]});
    hooks["startContainer"] = json!([inside]);
    bundle.set("/hooks", hooks)?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.bundled(&["run"])?.ok()?;
    fs::rename(bundle.rootfs("tmp/state"), bundle.path("startContainer.json"))?;
    for (kind, status) in [
        ("prestart", "creating"),
        ("createRuntime", "creating"),
        ("createContainer", "creating"),
        ("startContainer", "created"),
        ("poststart", "running"),
        ("poststop", "stopped"),
    ] {
        let text = fs::read_to_string(bundle.path(&format!("{kind}.json")))?;
        let state: Value = serde_json::from_str(&text).map_err(|e| format!("{kind}: {e}: {text}"))?;
        same("status", state["status"].as_str(), Some(status))?;
        same("id", state["id"].as_str(), Some(bundle.id.as_str()))?;
        same("annotations", &state["annotations"], &json!({"a": "b \"c\""}))?;
        let here = bundle.path("").to_string_lossy().into_owned();
        same("bundle", state["bundle"].as_str(), Some(here.trim_end_matches('/')))?;
        let pid = state["pid"].as_i64().unwrap_or(-1);
        let fits = match kind {
            "createContainer" | "startContainer" => pid == 1,
            "poststop" => pid == 0,
            _ => pid > 1,
        };
        ensure!(fits, "{kind}: pid {pid}");
    }
    bundle.clean()
}

/// The first two are run in the runtime's namespaces, where `pid` leads to the container's; the third in the latter.
fn namespaces() -> Outcome {
    let mut bundle = Bundle::reporter(&["--quiet"])?;
    let links = "for n in uts net mnt; do readlink /proc/self/ns/$n; done";
    bundle.set(
        "/hooks",
        json!({
            "createRuntime": [hook(&bundle, &format!("{links} > $1/outside; p=$(sed 's/.*\"pid\":\\([0-9]*\\).*/\\1/'); for n in uts net mnt; do readlink /proc/$p/ns/$n; done > $1/pid"))],
            "createContainer": [hook(&bundle, &format!("{links} > $1/inside; hostname >> $1/inside"))],
        }),
    )?;
    let report = bundle.bundled(&["run"])?.ok()?;
    ensure!(report.out.is_empty(), "{report:?}");
    let read =
        |name: &str| fs::read_to_string(bundle.path(name)).map(|t| t.lines().map(String::from).collect::<Vec<_>>());
    let (outside, pid, inside) = (read("outside")?, read("pid")?, read("inside")?);
    let own: Vec<String> = ["uts", "net"]
        .iter()
        .map(|n| fs::read_link(format!("/proc/self/ns/{n}")).unwrap_or_default().to_string_lossy().into_owned())
        .collect();
    same("createRuntime, uts and net", &outside[..2], &own[..])?;
    same("createContainer", &inside[..3], &pid[..])?;
    ensure!(outside[2] != pid[2], "the container's mount namespace is its own");
    bundle.clean()
}

/// Without `args` a hook is told its path. With an empty `env` it has none, and nothing of the caller's leaks in.
fn words() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let script = bundle.path("script");
    let out = bundle.path("out").to_string_lossy().into_owned();
    fs::write(&script, format!("#!/bin/sh\nexport -p > {out}\necho \"$0 $#\" >> {out}\nls -l /proc/$$/fd >> {out}\n"))?;
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755))?;
    let path = script.to_string_lossy().into_owned();
    bundle.set("/hooks", json!({"createRuntime": [{"path": path, "env": []}]}))?;
    bundle.bundled(&["run"])?.ok()?;
    let text = fs::read_to_string(&out)?;
    ensure!(text.contains(&format!("{path} 0")), "{text}");
    ensure!(!text.contains("PATH=") && !text.contains("HOME="), "{text}");
    bundle.set("/hooks", json!({"createRuntime": [{"path": path, "args": ["name", "a", "b"], "env": ["ONE=1"]}]}))?;
    bundle.bundled(&["run"])?.ok()?;
    let text = fs::read_to_string(&out)?;
    ensure!(text.contains(&format!("{path} 2")) && text.contains("ONE="), "{text}");
    bundle.clean()
}

/// As device toolkits do: the hook finds the container's mounts below the rootfs's path, and adds one.
fn mounts() -> Outcome {
    let mut bundle = Bundle::shell("cat /tmp/lent; ls /dev/null")?;
    fs::write(bundle.path("lent"), "lent\n")?;
    fs::write(bundle.rootfs("tmp/lent"), "")?;
    let line = "[ -c $1/rootfs/dev/null ] && mount --bind $1/lent $1/rootfs/tmp/lent";
    bundle.set("/hooks", json!({"createContainer": [hook(&bundle, line)]}))?;
    // `mount` is found by PATH.
    bundle.set("/hooks/createContainer/0/env", json!(["PATH=/usr/bin:/bin"]))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    same("stdout", done.out.as_str(), "lent\n/dev/null\n")?;
    same("the file of the image", fs::read_to_string(bundle.rootfs("tmp/lent"))?, String::new())?;
    bundle.clean()
}

fn fails(bundle: &Bundle, command: &str, kind: &str) -> Result<Done, Failed> {
    let done = bundle.bundled(&[command])?.refused("exit status 3")?;
    ensure!(done.err.contains(&format!("/hooks/{kind}/0")), "{done:?}");
    ensure!(done.err.contains("it broke"), "{done:?}");
    Ok(done)
}

fn failures() -> Outcome {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::plain()?;
        let broken = hook(&bundle, "echo it broke >&2; exit 3");
        let last = hook(&bundle, "echo > $1/poststop");
        bundle.set("/hooks", json!({kind: [broken], "poststop": [last]}))?;
        fails(&bundle, "create", kind)?;
        ensure!(bundle.path("poststop").exists(), "poststop was not run");
        fails(&bundle, "run", kind)?;
        bundle.clean()?;
    }
    let mut bundle = Bundle::plain()?;
    let killed = hook(&bundle, "kill -9 $$");
    bundle.set("/hooks", json!({"createRuntime": [killed]}))?;
    bundle.bundled(&["create"])?.refused("ended by SIGKILL")?;
    bundle.clean()
}

fn start_fails() -> Outcome {
    let mut bundle = Bundle::shell("echo the program ran > /tmp/ran")?;
    bundle.set("/root/readonly", json!(false))?;
    let broken = json!({"path": "/bin/sh", "args": ["sh", "-c", "echo it broke; exit 3"]});
    let good = json!({"path": "/bin/true"});
    bundle.set("/hooks", json!({"createContainer": [good], "startContainer": [good, broken]}))?;
    bundle.bundled(&["create"])?.ok()?;
    let done = bundle.call(&["start", &bundle.id])?.refused("exit status 3")?;
    ensure!(
        done.says("the hook /bin/sh ended with exit status 3: it broke (config.json /hooks/startContainer/1)"),
        "{done:?}"
    );
    ensure!(!bundle.rootfs("tmp/ran").exists(), "the program ran");
    bundle.nothing_left()?;
    bundle.bundled(&["run"])?.refused("it broke")?;
    ensure!(!bundle.rootfs("tmp/ran").exists(), "the program ran");
    bundle.clean()
}

/// Since 1.3 of the specification its failure ends the container.
fn poststart_fails() -> Outcome {
    let mut bundle = Bundle::shell("sleep 100")?;
    let broken = hook(&bundle, "echo it broke >&2; exit 3");
    let last = hook(&bundle, "echo > $1/poststop");
    bundle.set("/hooks", json!({"poststart": [broken], "poststop": [last]}))?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.refused("it broke")?;
    ensure!(bundle.path("poststop").exists(), "poststop was not run");
    bundle.nothing_left()?;
    fails(&bundle, "run", "poststart")?;
    bundle.clean()
}

fn poststop_fails() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let broken = hook(&bundle, "echo it broke >&2; exit 3");
    let last = hook(&bundle, "echo > $1/last");
    bundle.set("/hooks", json!({"poststop": [broken, last]}))?;
    let log = bundle.path("log").to_string_lossy().into_owned();
    let done = bundle.bundled(&["--log", &log, "--log-level", "warn", "run"])?;
    same("status", done.status, 0)?;
    ensure!(bundle.path("last").exists(), "the second one was not run");
    let text = fs::read_to_string(&log)?;
    ensure!(text.contains("/hooks/poststop/0") && text.contains("it broke"), "{text}");
    bundle.clean()
}

fn missing() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let hooks = json!({"startContainer": [{"path": "/bin/true"}, {"path": "/nowhere/hook"}]});
    bundle.set("/hooks", hooks)?;
    bundle.bundled(&["create"])?.ok()?;
    let done = bundle.call(&["start", &bundle.id])?;
    done.refused("the hook /nowhere/hook does not exist: /nowhere is not there (config.json /hooks/startContainer/1)")?;
    bundle.clean()?;
    for kind in ["createRuntime", "createContainer"] {
        let mut bundle = Bundle::plain()?;
        bundle.set("/hooks", json!({kind: [{"path": "/nowhere/hook"}]}))?;
        let done = bundle.bundled(&["create"])?.refused("ENOENT")?;
        ensure!(
            done.err.contains(&format!("/hooks/{kind}/0")) && done.err.contains("execve(\"/nowhere/hook\""),
            "{done:?}"
        );
        bundle.clean()?;
    }
    Ok(())
}

fn timeout() -> Outcome {
    for kind in ["prestart", "createRuntime", "createContainer"] {
        let mut bundle = Bundle::plain()?;
        let line = format!("sleep 1000 & echo $! > $1/child; NK_TEST={} sleep 1000", bundle.id);
        let mut slow = hook(&bundle, &line);
        slow["timeout"] = json!(1);
        slow["env"] = json!(["PATH=/usr/bin:/bin", format!("NK_TEST={}", bundle.id)]);
        bundle.set("/hooks", json!({kind: [slow]}))?;
        let begin = Instant::now();
        let done = bundle.bundled(&["create"])?.refused("ran past its timeout")?;
        ensure!(begin.elapsed().as_secs() < 60, "{done:?}");
        group_ends(&bundle)?;
        bundle.clean()?;
    }
    Ok(())
}

/// All that the hook started was killed; each of them is gone when it has been scheduled once more.
pub fn group_ends(bundle: &Bundle) -> Outcome {
    patiently("the hook's group", || Ok(processes(&bundle.id).is_empty()))
}

/// The state is longer than a pipe holds, and nobody reads it.
fn deaf() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/annotations", json!({"long": "x".repeat(200_000)}))?;
    let line = hook(&bundle, "exit 0");
    bundle.set("/hooks", json!({"createRuntime": [line.clone()], "createContainer": [line]}))?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.clean()
}

fn user() -> Outcome {
    let mut bundle = in_user_namespace(Bundle::reporter(&["--quiet"])?)?;
    let note = hook(&bundle, "cat /proc/self/uid_map > $1/$0; id -u >> $1/$0");
    let mut outside = note.clone();
    outside["args"][3] = json!("outside");
    let mut inside = note;
    inside["args"][3] = json!("inside");
    for one in [&mut outside, &mut inside] {
        one["env"] = json!(["PATH=/usr/bin:/bin"]);
    }
    fs::set_permissions(bundle.path(""), fs::Permissions::from_mode(0o777))?;
    bundle.set("/hooks", json!({"createRuntime": [outside], "createContainer": [inside]}))?;
    bundle.bundled(&["run"])?.ok()?;
    let read = |name: &str| {
        fs::read_to_string(bundle.path(name)).map(|t| t.split_whitespace().map(String::from).collect::<Vec<_>>())
    };
    same("createRuntime", read("outside")?, vec!["0".into(), "0".into(), "4294967295".into(), "0".into()])?;
    same("createContainer", read("inside")?, vec!["0".into(), "100000".into(), "65536".into(), "0".into()])?;
    bundle.clean()
}

fn signals() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let line =
        "while read k v; do case $k in SigBlk:|SigIgn:) echo $k $v;; esac; done < /proc/self/status > $1/signals";
    bundle.set("/hooks", json!({"createRuntime": [hook(&bundle, line)]}))?;
    bundle.bundled(&["run"])?.ok()?;
    let text = fs::read_to_string(bundle.path("signals"))?;
    ensure!(text.contains("SigBlk: 0000000000000000"), "{text}");
    bundle.clean()
}

/// The kernel asks the rules of the cgroup that a process is in, and has them before the first hook begins.
fn devices() -> Outcome {
    // No driver has this number (the kernel's devices.txt), so that an open fails in one way or the other.
    let tried = "(: < $node) 2>&1 | grep -o -e 'not permitted' -e 'No such device'";
    let mut bundle = Bundle::shell(&format!("node=/dev/try; {tried}"))?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/linux/devices", json!([{"path": "/dev/try", "type": "c", "major": 300, "minor": 0}]))?;
    bundle.set("/linux/resources/devices", json!([{"allow": false, "access": "rwm"}]))?;
    let of_init = "p=$(sed 's/.*\"pid\": *\\([0-9]*\\).*/\\1/'); node=/proc/$p/root$1/rootfs/dev/try";
    let join = "echo $$ > /sys/fs/cgroup$(sed -n 's/^0:://p' /proc/$p/cgroup)/cgroup.procs";
    let inside = json!({"path": "/bin/sh", "args": ["sh", "-c", format!("node=/dev/try; {tried} > /tmp/start")]});
    let hooks = json!({
        "createRuntime": [
            hook(&bundle, &format!("{of_init}; {tried} > $1/outside")),
            hook(&bundle, &format!("{of_init}; {join} && {tried} > $1/joined")),
        ],
        "createContainer": [hook(&bundle, &format!("node=$1/rootfs/dev/try; {tried} > $1/inside"))],
        "startContainer": [inside],
    });
    bundle.set("/hooks", hooks)?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let said = |path| fs::read_to_string(path).map(|text| text.trim_end().to_owned());
    same("a createRuntime hook", said(bundle.path("outside"))?.as_str(), "No such device")?;
    same("the same in the container's cgroup", said(bundle.path("joined"))?.as_str(), "not permitted")?;
    same("a createContainer hook", said(bundle.path("inside"))?.as_str(), "not permitted")?;
    same("a startContainer hook", said(bundle.rootfs("tmp/start"))?.as_str(), "not permitted")?;
    same("the program", done.out.trim_end(), "not permitted")?;
    bundle.clean()
}
