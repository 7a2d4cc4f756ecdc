//! Without root: an ordinary user's containers, and those of an engine that has made a user namespace around itself.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::namespaces::{give, root_of, words};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "rootless",
        &[
            ("with_one_id", rootless),
            ("through_a_life", rootless_life),
            ("without_a_user_namespace", rootless_refused),
            ("with_newuidmap", rootless_mapped),
            ("demo", rootless_demo),
            ("spec_rootless_runs", spec_rootless),
            ("in_a_user_namespace_of_an_engine", nested),
            ("nested_with_what_runc_writes", nested_as_runc_writes),
            ("nested_without_a_cgroup", nested_without_a_cgroup),
            ("nested_where_groups_are_denied", nested_groups),
        ],
    )
}

/// An ordinary user, who is in no file of the machine's.
pub const USER: u32 = 41_234;

/// A bundle that belongs to [`USER`], with its own id mapped to root inside.
pub fn of_user(mut bundle: Bundle) -> Result<Bundle, Failed> {
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    let map = json!([{"containerID": 0, "hostID": USER, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    let devpts = bundle.config["mounts"].as_array().and_then(|all| all.iter().position(|m| m["type"] == "devpts"));
    if let Some(at) = devpts {
        let options = json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]);
        bundle.set(&format!("/mounts/{at}/options"), options)?;
    }
    crate::bundle::copy_program(runtime(), bundle.path("nk-runtime"))?;
    fs::create_dir_all(bundle.state_root())?;
    give(&bundle.path(""), USER)?;
    fs::set_permissions(bundle.path(""), fs::Permissions::from_mode(0o755))?;
    Ok(bundle)
}

/// A command of the runtime, called by [`USER`] without any privilege.
pub fn as_user(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    let mut command = as_user_command(bundle, words)?;
    command.current_dir("/");
    bundle.finish(command)
}

pub fn as_user_command(bundle: &Bundle, words: &[&str]) -> Result<Command, Failed> {
    bundle.write_config()?;
    chown(bundle.path("config.json"), Some(USER), Some(USER))?;
    let mut command = Command::new(tool("setpriv")?);
    let id = USER.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    command.arg(bundle.path("nk-runtime")).arg("--root").arg(bundle.state_root());
    command.args(words);
    Ok(command)
}

fn run_as_user(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    let here = bundle.path("").to_string_lossy().into_owned();
    as_user(bundle, &[words, &["--bundle", &here, &bundle.id]].concat())
}

fn rootless() -> Outcome {
    let mut bundle = of_user(Bundle::reporter(&["--probe", "/", "--open", "/dev/null"])?)?;
    bundle.set("/process/oomScoreAdj", json!(321))?;
    bundle.set("/linux/namespaces/-", json!({"type": "time"}))?;
    bundle.set("/linux/timeOffsets", json!({"boottime": {"secs": 1000000}}))?;
    let done = run_as_user(&bundle, &["run"])?.ok()?;
    let report: Value = serde_json::from_str(&done.out)?;
    root_of(&report, ["0", "41234", "1"], "deny")?;
    same("pid", &report["pid"], &json!(1))?;
    same("oom_score_adj", report["oom_score_adj"].as_str(), Some("321"))?;
    same("/dev/null", &report["tried"]["open"]["/dev/null"], &json!("ok"))?;
    bundle.clean()
}

fn rootless_life() -> Outcome {
    let bundle = of_user(Bundle::reporter(&["--sleep", "--quiet"])?)?;
    let created = run_as_user(&bundle, &["--log-level", "info", "create"])?;
    ensure!(created.status == 0 && created.err.contains("nothing is delegated to this user"), "{created:?}");
    let pause = as_user(&bundle, &["pause", &bundle.id])?;
    pause.refused("has no cgroup of its own")?;
    as_user(&bundle, &["start", &bundle.id])?.ok()?;
    let state = as_user(&bundle, &["state", &bundle.id])?.ok()?;
    ensure!(state.out.contains("\"running\""), "{state:?}");
    as_user(&bundle, &["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn rootless_refused() -> Outcome {
    let mut bundle = of_user(Bundle::plain()?)?;
    let list = bundle.config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
    let rest: Vec<&Value> = list.iter().filter(|n| n["type"] != "user").collect();
    let rest = json!(rest);
    bundle.set("/linux/namespaces", rest)?;
    bundle.remove("/linux/uidMappings")?;
    bundle.remove("/linux/gidMappings")?;
    run_as_user(&bundle, &["run"])?.refused("/linux/namespaces: has no `user` namespace")?;
    bundle.clean()
}

/// Subordinate ids are written by newuidmap(1), which looks into /etc/subuid: for this case one of its own.
fn rootless_mapped() -> Outcome {
    tool("newuidmap")?;
    let mut bundle = of_user(Bundle::reporter(&[])?)?;
    let map =
        json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": 200000, "size": 1000}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    bundle.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [5]}))?;
    bundle.write_config()?;
    fs::write(bundle.path("subid"), format!("{USER}:200000:1000\n"))?;
    fs::write(bundle.path("passwd"), format!("root:x:0:0::/:/bin/sh\nu:x:{USER}:{USER}::/:/bin/sh\n"))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let script = format!(
        "cd {here}; for f in subuid subgid; do [ -e /etc/$f ] || touch /etc/$f; mount --bind subid /etc/$f; done; \
         mount --bind passwd /etc/passwd; exec setpriv --reuid {USER} --regid {USER} --clear-groups -- \
         ./nk-runtime --root state run --bundle . {}",
        bundle.id
    );
    let mut command = Command::new(tool("unshare")?);
    command.args(["--mount", "sh", "-c", &script]);
    let done = bundle.finish(command)?.ok()?;
    let report: Value = serde_json::from_str(&done.out)?;
    same("uid_map", words(&report["kernel"]["uid_map"]), vec!["0", "41234", "1", "1", "200000", "1000"])?;
    same("groups", &report["groups"], &json!([5]))?;
    // Of other ids than these the helper gives none: it is no hook, and the place is the mapping's.
    fs::write(bundle.path("subid"), format!("{USER}:900000:1000\n"))?;
    let mut command = Command::new(tool("unshare")?);
    command.args(["--mount", "sh", "-c", &script]);
    let done = bundle.finish(command)?.refused("newuidmap or newgidmap: exit status 1: ")?;
    ensure!(
        done.err.contains("ids 200000 to 200999 are not lent to u in /etc/subuid (config.json /linux/uidMappings/1)")
            && !done.err.contains("hook"),
        "{done:?}"
    );
    bundle.clean()
}

fn rootless_demo() -> Outcome {
    let bundle = of_user(Bundle::plain()?)?;
    let done = as_user(&bundle, &["demo"])?;
    ensure!(done.status == 0 && done.out.contains("Inside the container:"), "{done:?}");
    bundle.clean()
}

/// As rootless podman has it: the runtime is root of a user namespace that somebody else has made.
fn nested() -> Outcome {
    let bundle = of_user(Bundle::reporter(&["--open", "/dev/null"])?)?;
    let mut plain = Bundle::reporter(&["--open", "/dev/null"])?;
    plain.remove("/linux/resources")?;
    crate::bundle::copy_program(runtime(), plain.path("nk-runtime"))?;
    fs::create_dir_all(plain.state_root())?;
    give(&plain.path(""), USER)?;
    fs::set_permissions(plain.path(""), fs::Permissions::from_mode(0o755))?;
    for one in [&bundle, &plain] {
        let devpts = one.config["mounts"].as_array().and_then(|all| all.iter().position(|m| m["type"] == "devpts"));
        let mut config = one.config.clone();
        if let (Some(at), Some(list)) = (devpts, config["mounts"].as_array_mut()) {
            list[at]["options"] = json!(["newinstance", "ptmxmode=0666", "mode=0620"]);
        }
        for key in ["uidMappings", "gidMappings"] {
            if let Some(maps) = config["linux"].get_mut(key) {
                *maps = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
            }
        }
        fs::write(one.path("config.json"), config.to_string())?;
        let id = USER.to_string();
        let mut command = Command::new(tool("setpriv")?);
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        command.args(["unshare", "--user", "--map-root-user", "--mount"]);
        command.arg(one.path("nk-runtime")).arg("--root").arg(one.state_root());
        command.arg("run").arg("--bundle").arg(one.path("")).arg(&one.id).current_dir("/");
        let done = one.finish(command)?.ok()?;
        let report: Value = serde_json::from_str(&done.out)?;
        same("/dev/null", &report["tried"]["open"]["/dev/null"], &json!("ok"))?;
        same("pid", &report["pid"], &json!(1))?;
    }
    plain.clean()
}

/// What `spec --rootless` writes runs as it is.
fn spec_rootless() -> Outcome {
    let bundle = of_user(Bundle::shell("id -u; cat /proc/self/uid_map")?)?;
    fs::remove_file(bundle.path("config.json")).or_else(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Ok(()),
        _ => Err(error),
    })?;
    let id = USER.to_string();
    let here = bundle.path("").to_string_lossy().into_owned();
    let call = |words: &[&str]| {
        let mut command = Command::new(tool("setpriv")?);
        command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        command.arg(bundle.path("nk-runtime")).arg("--root").arg(bundle.state_root());
        command.args(words).current_dir(bundle.path(""));
        bundle.finish(command)
    };
    call(&["spec", "--rootless", "--bundle", &here])?.ok()?;
    let mut config: Value = serde_json::from_slice(&fs::read(bundle.path("config.json"))?)?;
    config["process"]["args"] = bundle.config["process"]["args"].clone();
    config["process"]["env"] = bundle.config["process"]["env"].clone();
    fs::write(bundle.path("config.json"), config.to_string())?;
    let done = call(&["run", &bundle.id])?.ok()?;
    let seen: Vec<&str> = done.out.split_whitespace().collect();
    same("id and uid_map", seen, vec!["0", "0", "41234", "1"])?;
    bundle.clean()
}

/// `run` by [`USER`] as root of a user namespace of its own, with mounts of its own.
fn run_nested(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    bundle.write_config()?;
    let id = USER.to_string();
    let mut command = Command::new(tool("setpriv")?);
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
    command.args(["unshare", "--user", "--map-root-user", "--mount"]);
    command.arg(bundle.path("nk-runtime")).arg("--root").arg(bundle.state_root());
    command.args(words).args(["run", "--bundle"]).arg(bundle.path("")).arg(&bundle.id);
    command.current_dir("/");
    bundle.finish(command)
}

/// The mounts and namespaces that `runc spec --rootless` writes: a cgroup mount, and no cgroup namespace.
fn as_runc_writes(script: &str) -> Result<Bundle, Failed> {
    let mut bundle = of_user(Bundle::shell(script)?)?;
    let mount = |destination: &str, kind: &str, source: &str, options: &[&str]| json!({"destination": destination, "type": kind, "source": source, "options": options});
    let hidden = ["nosuid", "noexec", "nodev"];
    bundle.set(
        "/mounts",
        json!([
            mount("/proc", "proc", "proc", &[]),
            mount("/dev", "tmpfs", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("/dev/pts", "devpts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]),
            mount("/dev/shm", "tmpfs", "shm", &[&hidden[..], &["mode=1777", "size=65536k"]].concat()),
            mount("/dev/mqueue", "mqueue", "mqueue", &hidden),
            mount("/sys", "none", "/sys", &["rbind", "nosuid", "noexec", "nodev", "ro"]),
            mount("/sys/fs/cgroup", "cgroup", "cgroup", &[&hidden[..], &["relatime", "ro"]].concat()),
        ]),
    )?;
    let kinds = ["pid", "ipc", "uts", "mount", "user"];
    let namespaces: Vec<Value> = kinds.iter().map(|kind| json!({"type": kind})).collect();
    bundle.set("/linux/namespaces", json!(namespaces))?;
    let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    bundle.remove("/linux/resources")?;
    bundle.remove("/linux/cgroupsPath").ok();
    Ok(bundle)
}

/// Every mount at and below /sys/fs/cgroup, the last one of a place counting, is read-only.
fn cgroups_are_read_only(done: &Done) -> Outcome {
    let mut last: std::collections::BTreeMap<&str, &str> = Default::default();
    for line in done.out.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        if let [_, _, _, _, place, options, ..] = fields[..]
            && place.starts_with("/sys/fs/cgroup")
        {
            last.insert(place, options);
        }
    }
    ensure!(!last.is_empty(), "no mount there: {done:?}");
    for (place, options) in last {
        let all: Vec<&str> = options.split(',').collect();
        ensure!(all.contains(&"ro") && all.contains(&"nosuid"), "{place}: {options}");
    }
    Ok(())
}

fn nested_as_runc_writes() -> Outcome {
    let bundle = as_runc_writes("cat /proc/self/mountinfo; ls /sys/fs/cgroup >/dev/null && id -u")?;
    let done = run_nested(&bundle, &[])?.ok()?;
    ensure!(done.out.ends_with("\n0\n"), "{done:?}");
    cgroups_are_read_only(&done)?;
    bundle.clean()
}

fn nested_without_a_cgroup() -> Outcome {
    let bundle = as_runc_writes("cat /proc/self/mountinfo")?;
    let done = run_nested(&bundle, &["--cgroup-manager", "disabled"])?.ok()?;
    cgroups_are_read_only(&done)?;
    bundle.clean()
}

/// In such a user namespace setting groups is forbidden: the container runs without them, and that is said.
fn nested_groups() -> Outcome {
    let mut bundle = as_runc_writes("cat /proc/self/setgroups")?;
    bundle.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [0]}))?;
    let done = run_nested(&bundle, &[])?;
    same("status", done.status, 0)?;
    same("setgroups", done.out.as_str(), "deny\n")?;
    ensure!(done.err.contains("/process/user/additionalGids: left out"), "{done:?}");
    bundle.clean()
}
