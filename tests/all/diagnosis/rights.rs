//! Ids, rights and namespaces that the host does not give: which line, which limit, which capability.

use super::says;
use crate::bundle::{Bundle, Done, patiently, runtime, tool};
use crate::users::{USER, of_user};
use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "causes_of_rights",
        &[
            ("ids_that_are_not_lent", not_lent),
            ("ids_outside_of_an_outer_namespace", outside),
            ("a_limit_of_namespaces_that_is_0", forbidden),
            ("a_limit_of_namespaces_that_is_reached", reached),
            ("a_namespace_to_join", joined),
            ("an_id_without_a_mapping", not_mapped),
            ("a_capability_that_is_missing", capability),
            ("the_containers_own_profile", profile),
        ],
    )
}

fn said(done: &Done, cause: &str, cure: &str) -> Outcome {
    let first = done.err.lines().next().unwrap_or_default();
    ensure!(
        done.status == 1 && first.starts_with(&format!("nk-runtime: {cause}")) && done.err.contains(cure),
        "\n  wanted: {cause}\n     try: {cure}\n     was: {}",
        done.err
    );
    Ok(())
}

/// `run` after a script, by a command that makes namespaces around both.
fn run_in(bundle: &Bundle, around: &[&str], script: &str) -> Result<Done, Failed> {
    bundle.write_config()?;
    let [here, root] = [bundle.path(""), bundle.state_root()].map(|path| path.to_string_lossy().into_owned());
    let program = runtime();
    let line = format!("{script} {} --root {root} run --bundle {here} {}", program.display(), bundle.id);
    let mut command = Command::new(tool(around[0])?);
    command.args(&around[1..]).args(["sh", "-c", &line]).current_dir("/");
    bundle.finish(command)
}

fn not_lent() -> Outcome {
    let mut bundle = of_user(Bundle::plain()?)?;
    let map = |first: u32| json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": first, "size": 1000}]);
    fs::write(bundle.path("subid"), format!("u:200000:1000\n{USER}:300000:500\n"))?;
    fs::write(bundle.path("passwd"), format!("root:x:0:0::/:/bin/sh\nu:x:{USER}:{USER}::/:/bin/sh\n"))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let script = format!(
        "cd {here}; for f in subuid subgid; do [ -e /etc/$f ] || touch /etc/$f; mount --bind subid /etc/$f; done; \
         mount --bind passwd /etc/passwd; exec setpriv --reuid {USER} --regid {USER} --clear-groups --"
    );
    let line = "which lends none";
    for (uids, gids, cause, cure) in [
        (
            900_000,
            200_000,
            "ids 900000 to 900999 are not lent to u in /etc/subuid",
            "add the line `u:900000:1000` to /etc/subuid",
        ),
        (
            200_000,
            300_000,
            "ids 300000 to 300999 are not lent to u in /etc/subgid",
            "add the line `u:300000:1000` to /etc/subgid",
        ),
    ] {
        bundle.set("/linux/uidMappings", map(uids))?;
        bundle.set("/linux/gidMappings", map(gids))?;
        let done = run_in(&bundle, &["unshare", "--mount"], &script)?;
        said(&done, cause, cure)?;
        let place = if uids == 900_000 { "/linux/uidMappings/1" } else { "/linux/gidMappings/1" };
        ensure!(done.err.contains(place) && !done.err.contains(line), "{done:?}");
    }
    bundle.clean()
}

/// The group of terminals has no id in the namespaces of these cases.
fn no_terminal_group(bundle: &mut Bundle) -> Outcome {
    let mounts = bundle.config["mounts"].as_array().ok_or("no mounts")?;
    let at = mounts.iter().position(|mount| mount["type"] == "devpts").ok_or("no devpts")?;
    bundle.set(&format!("/mounts/{at}/options"), json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666"]))
}

/// A container with a user namespace. Its root is root of the namespace around it.
fn nested(kind: &str) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.remove("/linux/resources")?;
    no_terminal_group(&mut bundle)?;
    if kind == "user" {
        bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
        let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
        bundle.set("/linux/uidMappings", map.clone())?;
        bundle.set("/linux/gidMappings", map)?;
    }
    Ok(bundle)
}

const NESTED: [&str; 5] = ["unshare", "--user", "--map-root-user", "--mount", "--uts"];

fn outside() -> Outcome {
    let mut bundle = nested("user")?;
    bundle.set(
        "/linux/uidMappings",
        json!([{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 5, "size": 10}]),
    )?;
    let done = run_in(&bundle, &NESTED, "")?;
    said(
        &done,
        "ids 5 to 14 are not part of the runtime's own user namespace (config.json /linux/uidMappings/1",
        "/proc/self/uid_map",
    )?;
    bundle.clean()
}

/// Each user namespace has limits of its own, so the machine's stay as they are.
fn forbidden() -> Outcome {
    for (kind, name) in [("user", "user"), ("network", "net"), ("ipc", "ipc"), ("mount", "mnt")] {
        let bundle = nested(kind)?;
        let done = run_in(&bundle, &NESTED, &format!("echo 0 > /proc/sys/user/max_{name}_namespaces;"))?;
        let cause =
            format!("no {kind} namespace may be made: user.max_{name}_namespaces is 0 (config.json /linux/namespaces/");
        said(&done, &cause, &format!("`sysctl -w user.max_{name}_namespaces=15000`"))?;
        bundle.clean()?;
    }
    Ok(())
}

fn reached() -> Outcome {
    let bundle = nested("uts")?;
    let done = run_in(&bundle, &NESTED, "echo 1 > /proc/sys/user/max_uts_namespaces;")?;
    let first = done.err.lines().next().unwrap_or_default();
    let words = "uts namespaces are there, and user.max_uts_namespaces allows 1 (config.json /linux/namespaces/";
    ensure!(first.contains(words) && done.err.contains("or end containers"), "{done:?}");
    bundle.clean()
}

fn place_of(bundle: &Bundle, kind: &str) -> Result<String, Failed> {
    let all = bundle.config["linux"]["namespaces"].as_array().ok_or("no namespaces")?;
    let at = all.iter().position(|one| one["type"] == kind).ok_or("no such namespace")?;
    Ok(format!("/linux/namespaces/{at}"))
}

fn joined() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let place = place_of(&bundle, "network")?;
    let mut child = Command::new("true").spawn()?;
    child.wait()?;
    let gone = child.id();
    let file = bundle.path("file").to_string_lossy().into_owned();
    fs::write(&file, "")?;
    for (path, cause, cure) in [
        (
            "/proc/self/ns/ipc".into(),
            "/proc/self/ns/ipc is a namespace of another kind: ipc, and not net".to_owned(),
            "`net` of /proc/PID/ns",
        ),
        (
            format!("/proc/{gone}/ns/net"),
            format!("no network namespace to join: process {gone} has ended"),
            "a process that lives",
        ),
        (
            "/run/no/such".into(),
            "no network namespace to join: /run/no/such: /run/no does not exist".into(),
            "correct the path",
        ),
        (
            "/proc/self/ns/nothing".into(),
            "no network namespace to join: /proc/self/ns/nothing does not exist".into(),
            "ip netns add",
        ),
        (
            file.clone(),
            format!("{} is no namespace: a network namespace is needed there", shortened(&file)),
            "/proc/PID/ns",
        ),
    ] {
        bundle.set(&place, json!({"type": "network", "path": path}))?;
        says(&bundle, &cause, cure)?;
    }
    bundle.clean()
}

/// A value in a cause has at most 72 characters.
fn shortened(text: &str) -> String {
    if text.len() <= 72 { text.into() } else { text[..34].into() }
}

fn not_mapped() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let mut holder = Command::new(tool("unshare")?).args(["--user", "sleep", "1000"]).spawn()?;
    let proc = format!("/proc/{}", holder.id());
    let own = fs::read_link("/proc/self/ns/user")?;
    patiently("a user namespace", || Ok(fs::read_link(format!("{proc}/ns/user"))? != own))?;
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{proc}/{map}"), "0 0 1\n")?;
    }
    no_terminal_group(&mut bundle)?;
    bundle.set("/linux/namespaces/-", json!({"type": "user", "path": format!("{proc}/ns/user")}))?;
    let result = [("uid", "user 5"), ("gid", "group 5")].iter().try_for_each(|(key, who)| {
        let mut user = json!({"uid": 0, "gid": 0});
        user[key] = json!(5);
        bundle.set("/process/user", user)?;
        let words = "has no id in the container's user namespace";
        let cause = format!("{who} {words} {proc}/ns/user (config.json /process/user/{key})");
        says(&bundle, &cause, "a mapping with this id")
    });
    holder.kill()?;
    holder.wait()?;
    result?;
    bundle.clean()
}

fn capability() -> Outcome {
    let bundle = Bundle::plain()?;
    let done = run_in(&bundle, &["setpriv", "--bounding-set", "-setpcap", "--inh-caps", "-setpcap"], "exec")?;
    let cause = "prctl needs CAP_SETPCAP, which is missing in the bounding set of the container's first process";
    said(&done, cause, "let its caller leave CAP_SETPCAP in that set")?;
    let done = run_in(&bundle, &["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"], "exec")?;
    let first = done.err.lines().next().unwrap_or_default();
    let words = "needs CAP_SYS_ADMIN, which is missing in the bounding set of the runtime";
    ensure!(first.contains(words), "{done:?}");
    bundle.clean()
}

fn profile() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let with = |rule| json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]});
    bundle.set("/linux/seccomp", with(json!({"names": ["execve"], "action": "SCMP_ACT_ERRNO", "errnoRet": 13})))?;
    let cause = "the seccomp profile answers execve with EACCES (config.json /linux/seccomp/syscalls/0";
    says(&bundle, cause, "let a rule of /linux/seccomp allow execve")?;
    // With nothing allowed init cannot report it: the host, which waits, tells it.
    let none =
        json!({"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]});
    bundle.set("/linux/seccomp", none)?;
    says(&bundle, "the seccomp profile answers execve with ", "let a rule of /linux/seccomp allow execve")?;
    bundle.clean()
}
