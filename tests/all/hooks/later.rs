//! Hooks that are run when the container is there already, and what the trace says of all.

use crate::bundle::{Bundle, runtime};
use crate::hooks::{KINDS, group_ends};
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
            ("timeout_of_the_late_ones", late_timeout),
            ("start_container_is_inside", start_inside),
            ("each_run_is_in_the_trace", traced),
            ("they_have_what_surrounds_them", surrounded),
            ("start_container_has_what_the_program_has", surrounded_inside),
            ("the_bundle_is_gone", no_bundle),
            ("state_asked_by_a_hook", asked),
        ],
    )
}

/// The other three, which are run when the container is there.
fn late_timeout() -> Outcome {
    let slow = |bundle: &Bundle, sleep: &str| {
        let line = format!("{sleep} 1000 & {sleep} 1000");
        json!([{"path": "/bin/sh", "args": ["sh", "-c", line], "timeout": 1, "env": ["PATH=/usr/bin:/bin", format!("NK_TEST={}", bundle.id)]}])
    };
    for kind in ["startContainer", "poststart"] {
        let mut bundle = Bundle::shell("echo ran > /tmp/ran; sleep 1000")?;
        bundle.set("/root/readonly", json!(false))?;
        let hooks = json!({kind: slow(&bundle, "sleep")});
        bundle.set("/hooks", hooks)?;
        bundle.bundled(&["create"])?.ok()?;
        let done = bundle.call(&["start", &bundle.id])?.refused("ran past its timeout")?;
        ensure!(done.err.contains(&format!("/hooks/{kind}/0")), "{done:?}");
        let ran = bundle.rootfs("tmp/ran").exists();
        ensure!(!ran || kind == "poststart", "{kind}: the program ran");
        group_ends(&bundle)?;
        bundle.clean()?;
    }
    let mut bundle = Bundle::plain()?;
    let hooks = json!({"poststop": slow(&bundle, "sleep")});
    bundle.set("/hooks", hooks)?;
    let log = bundle.path("log").to_string_lossy().into_owned();
    let begin = Instant::now();
    let done = bundle.bundled(&["--log", &log, "--log-level", "warn", "run"])?;
    same("status", done.status, 0)?;
    ensure!(begin.elapsed().as_secs() < 60, "{done:?}");
    let text = fs::read_to_string(&log)?;
    ensure!(text.contains("ran past its timeout"), "{text}");
    group_ends(&bundle)?;
    bundle.clean()
}

/// Where it is run: the container's namespaces, its root and its paths, and as its user, as in runc.
fn start_inside() -> Outcome {
    let mut bundle = Bundle::shell(
        "id -u; hostname; cat /proc/self/status | while read k v; do [ $k = NoNewPrivs: ] && echo $v; done; ls -l /proc/self/ns/ | while read a b c d e f g h name l target; do case $name in uts|net|pid|mnt) echo $target;; esac; done",
    )?;
    bundle.set("/process/user", json!({"uid": 7, "gid": 7}))?;
    fs::set_permissions(bundle.rootfs("tmp"), fs::Permissions::from_mode(0o777))?;
    bundle.set("/root/readonly", json!(false))?;
    let line = "ls -l /proc/self/ns/ | while read a b c d e f g h name l target; do case $name in uts|net|pid|mnt) echo $target;; esac; done > /tmp/inside; id -u >> /tmp/inside; hostname >> /tmp/inside";
    bundle.set(
        "/hooks",
        json!({"startContainer": [{"path": "/bin/sh", "args": ["sh", "-c", line], "env": ["PATH=/bin"]}]}),
    )?;
    let done = bundle.bundled(&["run"])?.ok()?;
    let mut program = done.out.lines();
    same("the program's user", program.next(), Some("7"))?;
    same("its host name", program.next(), Some("runc"))?;
    same("NoNewPrivs", program.next(), Some("1"))?;
    let text = fs::read_to_string(bundle.rootfs("tmp/inside"))?;
    let mut hook: Vec<&str> = text.lines().collect();
    same("the host name", hook.pop(), Some("runc"))?;
    same("the user", hook.pop(), Some("7"))?;
    same("namespaces", hook, program.collect())?;
    bundle.clean()
}

/// Each run of a hook is in the trace: its process, up to the program that it becomes, and how that ended.
fn traced() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let mut hooks = json!({});
    for kind in KINDS {
        hooks[kind] = json!([{"path": "/bin/true", "args": ["true", format!("a-{kind}-hook")]}]);
    }
    bundle.set("/hooks", hooks)?;
    bundle.bundled(&["run"])?.ok()?;
    let trace = bundle.call(&["trace", &bundle.id, "--format", "strace"])?.ok()?.out;
    let mut at = 0;
    for kind in KINDS {
        let call = format!("execve(\"/bin/true\", [\"true\", \"a-{kind}-hook\"]");
        let found = trace.lines().skip(at).position(|line| line.contains(&call) && line.ends_with(" = 0"));
        let Some(found) = found else {
            return Err(format!("no {call} in turn in\n{trace}").into());
        };
        at += found;
    }
    let waits = trace.matches("waitid(P_PIDFD").count();
    ensure!(waits >= KINDS.len(), "{waits} waits");
    bundle.clean()
}

/// As with runc and crun: the environment of the caller, and the bundle as the current directory, whoever calls from where.
fn surrounded() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let line = "{ echo $KIND-$NK_HERE; pwd; } >> heard";
    let kinds = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
    let mut hooks = json!({});
    for kind in kinds {
        let line = line.replace("$KIND", kind);
        hooks[kind] = json!([{"path": "/bin/sh", "args": ["sh", "-c", line]}]);
    }
    bundle.set("/hooks", hooks)?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().trim_end_matches('/').to_string();
    for words in [&["create", "--bundle", &here][..], &["start"], &["delete"]] {
        if words[0] == "delete" {
            bundle.until("stopped")?;
        }
        let mut command = bundle.command(&[words, &[&bundle.id]].concat())?;
        command.env("NK_HERE", "x y").current_dir("/usr");
        bundle.finish(command)?.ok()?;
    }
    // A relative bundle, and a program that executes itself anew.
    bundle.set("/hooks/startContainer", json!([{"path": "/bin/true"}]))?;
    bundle.write_config()?;
    let mut command = bundle.command(&["run", "--bundle", ".", &bundle.id])?;
    command.env("NK_HERE", "x y").current_dir(&here);
    bundle.finish(command)?.ok()?;
    let wanted: String = kinds.iter().map(|kind| format!("{kind}-x y\n{here}\n")).collect();
    let said = fs::read_to_string(bundle.path("heard"))?;
    same("said", said, wanted.repeat(2))?;
    bundle.clean()
}

/// Inside, a hook that has no `env` has the program's, HOME too, and begins where the program does.
fn surrounded_inside() -> Outcome {
    let mut bundle = Bundle::shell("true")?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/process/cwd", json!("/tmp"))?;
    bundle.set("/process/env", json!(["A=1", "PATH=/bin", "A=2"]))?;
    // `dd` tells of no other process's environment than its own, and writes where it begins.
    let args = json!(["dd", "if=/proc/self/environ", "of=out"]);
    bundle.set("/hooks", json!({"startContainer": [{"path": "/bin/dd", "args": args}]}))?;
    for word in ["run", "create"] {
        bundle.bundled(&[word])?.ok()?;
        if word == "create" {
            bundle.call(&["start", &bundle.id])?.ok()?;
            bundle.until("stopped")?;
            bundle.call(&["delete", &bundle.id])?.ok()?;
        }
        let env = fs::read_to_string(bundle.rootfs("tmp/out"))?;
        same("environment", env.as_str(), "PATH=/bin\0A=2\0HOME=/root\0")?;
        fs::remove_file(bundle.rootfs("tmp/out"))?;
    }
    bundle.clean()
}

/// Engines may take the bundle away before the container.
fn no_bundle() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let out = bundle.path("poststop").to_string_lossy().into_owned();
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", format!("pwd > {out}")]});
    bundle.set("/hooks", json!({"poststop": [hook]}))?;
    let other = bundle.path("other");
    fs::create_dir(&other)?;
    fs::write(
        other.join("config.json"),
        bundle.config.to_string().replace("\"rootfs\"", &format!("\"{}\"", bundle.rootfs("").display())),
    )?;
    let other = other.to_string_lossy().into_owned();
    bundle.call(&["create", "--bundle", &other, &bundle.id])?.ok()?;
    fs::remove_dir_all(&other)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    same("where it ran", fs::read_to_string(&out)?.as_str(), "/\n")?;
    bundle.clean()
}

/// `state ID` by a hook of the runtime's namespaces. Before and after the hooks it is as ever.
fn asked() -> Outcome {
    for words in [&["create"][..], &["run"]] {
        let mut bundle = Bundle::plain()?;
        let ask = format!(
            "cat > told; '{}' --root '{}' state {} > asked",
            runtime().display(),
            bundle.state_root().display(),
            bundle.id
        );
        for kind in ["prestart", "createRuntime"] {
            bundle.set("/hooks", json!({kind: [{"path": "/bin/sh", "args": ["sh", "-c", ask]}]}))?;
            bundle.bundled(words)?.ok()?;
            let read = |name: &str| -> Result<Value, Failed> {
                Ok(serde_json::from_str(&fs::read_to_string(bundle.path(name))?)?)
            };
            let (told, asked) = (read("told")?, read("asked")?);
            let here = bundle.path("").to_string_lossy().into_owned();
            same("bundle", asked["bundle"].as_str(), Some(here.trim_end_matches('/')))?;
            same("status", asked["status"].as_str(), Some("creating"))?;
            for key in ["ociVersion", "id", "pid", "status", "bundle"] {
                same(key, &asked[key], &told[key])?;
            }
            if words == ["create"] {
                same("after it", bundle.status()?.as_str(), "created")?;
                bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
            }
        }
        // A hook that fails leaves no container that could be asked for.
        bundle.set("/hooks", json!({"createRuntime": [{"path": "/bin/false"}]}))?;
        bundle.bundled(words)?.refused("/hooks/createRuntime/0")?;
        bundle.call(&["state", &bundle.id])?.refused("container does not exist")?;
        bundle.clean()?;
    }
    Ok(())
}
