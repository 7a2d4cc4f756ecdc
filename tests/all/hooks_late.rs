//! Hooks that are run when the container is there already, and what the trace says of all.

use crate::bundle::Bundle;
use crate::hooks::{KINDS, group_ends};
use crate::{Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
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
        let done = bundle
            .call(&["start", &bundle.id])?
            .refused("ran past its timeout")?;
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
    let trace = bundle
        .call(&["trace", &bundle.id, "--format", "strace"])?
        .ok()?
        .out;
    let mut at = 0;
    for kind in KINDS {
        let call = format!("execve(\"/bin/true\", [\"true\", \"a-{kind}-hook\"]");
        let found = trace
            .lines()
            .skip(at)
            .position(|line| line.contains(&call) && line.ends_with(" = 0"));
        let Some(found) = found else {
            return Err(format!("no {call} in turn in\n{trace}").into());
        };
        at += found;
    }
    let waits = trace.matches("waitid(P_PIDFD").count();
    ensure!(waits >= KINDS.len(), "{waits} waits");
    bundle.clean()
}
