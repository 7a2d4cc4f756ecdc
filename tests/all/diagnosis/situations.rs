//! The twenty situations that people report: the first line names the cause, and the message the cure. A row each.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::users::{USER, as_user_command, of_user};
use crate::{Failed, Outcome, ensure};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

/// What makes the container and runs it; words of the first line; words of the cure.
struct Situation {
    name: &'static str,
    run: fn() -> Result<(Bundle, Done), Failed>,
    cause: &'static [&'static str],
    cure: &'static str,
}

const ALL: &[Situation] = &[
    Situation {
        name: "a_program_of_another_machine",
        run: || of_file(&[&b"\x7fELF\x02\x01\x01"[..], &[0; 9], &[2, 0, 22, 0], &[0; 44]].concat(), 0o755),
        cause: &["/x is a program for s390x, and this machine is ", "/process/args"],
        cure: "an image for linux/",
    },
    Situation {
        name: "a_carriage_return_after_the_interpreter",
        run: || of_file(b"#!/bin/sh\r\necho\r\n", 0o755),
        cause: &["the first line of /x ends in a carriage return"],
        cure: "sed -i 's/\\r$//' /x",
    },
    Situation {
        name: "an_interpreter_that_is_missing",
        run: || of_file(b"#!/usr/bin/python3\n", 0o755),
        cause: &["/x wants the interpreter /usr/bin/python3, which is not in the rootfs"],
        cure: "install /usr/bin/python3 in the image",
    },
    Situation {
        name: "a_loader_that_is_missing",
        run: || of_file(&fs::read(tool("true")?)?, 0o755),
        cause: &["/x needs the loader /lib", ", which is not in the rootfs"],
        cure: "link the program statically",
    },
    Situation {
        name: "a_directory_on_the_way_that_is_closed",
        run: closed_directory,
        cause: &["user 1000 may not enter /opt", "0700"],
        cure: "chmod a+x /opt",
    },
    Situation {
        name: "user_namespaces_at_their_limit",
        run: no_user_namespaces,
        cause: &["no user namespace may be made: user.max_user_namespaces is 0"],
        cure: "sysctl -w user.max_user_namespaces=",
    },
    Situation {
        name: "a_container_in_one_that_masks_proc",
        run: masked_proc,
        cause: &["an outer container masks /proc/meminfo", "/mounts/0"],
        cure: "unmask=ALL",
    },
    Situation {
        name: "a_cgroup_that_is_not_delegated",
        run: not_delegated,
        cause: &["the cgroup / belongs to user 0: nothing is delegated to user"],
        cure: "Delegate=yes",
    },
    Situation {
        name: "a_mount_point_missing_in_a_readonly_rootfs",
        run: readonly_rootfs,
        cause: &["the mount point /there does not exist in the rootfs, which is read-only", "/mounts/"],
        cure: "make /there in the image beforehand",
    },
    Situation {
        name: "a_source_of_a_bind_that_is_missing",
        run: || {
            let mut bundle = Bundle::plain()?;
            bundle.set("/mounts/-", bind("/no/such/source", "/tmp", &[]))?;
            run(bundle)
        },
        cause: &["the mount source /no/such/source does not exist", "/mounts/"],
        cure: "make it on the host",
    },
    Situation {
        name: "proc_of_the_image_is_a_link",
        run: || {
            let bundle = Bundle::plain()?;
            fs::remove_dir(bundle.rootfs("proc"))?;
            symlink("tmp", bundle.rootfs("proc"))?;
            run(bundle)
        },
        cause: &["/proc in the rootfs is a link to tmp", "/mounts/0"],
        cure: "a plain directory",
    },
    Situation {
        name: "a_program_that_seccomp_killed",
        run: || {
            let mut bundle = Bundle::shell("umask 0; true")?;
            let rule = json!({"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS"});
            bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]}))?;
            run(bundle)
        },
        cause: &["killed the program at the call umask", "/linux/seccomp/syscalls/0"],
        cure: "try: ",
    },
    Situation {
        name: "a_mount_without_exec",
        run: || {
            let mut bundle = Bundle::plain()?;
            fs::create_dir(bundle.path("data"))?;
            put(&bundle, "../data/x", b"#!/bin/sh\n", 0o755)?;
            let source = bundle.path("data").to_string_lossy().into_owned();
            bundle.set("/mounts/-", bind(&source, "/data", &["noexec"]))?;
            bundle.set("/process/args", json!(["/data/x"]))?;
            run(bundle)
        },
        cause: &["/data/x lies on the mount at /data, which is noexec", "/mounts/"],
        cure: "take `noexec` out of the options of /mounts/",
    },
    Situation {
        name: "a_program_that_this_user_may_not_execute",
        run: || {
            let mut bundle = file(b"#!/bin/sh\n", 0o700)?;
            bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
            bundle.set("/process/capabilities", json!({}))?;
            run(bundle)
        },
        cause: &["user 1000 may not execute /x", "0700", "its owner 0:0"],
        cure: "chmod a+rx /x",
    },
    Situation {
        name: "a_capability_that_the_program_lacks",
        run: || {
            let mut bundle = Bundle::shell("chown 1:1 /dev/shm")?;
            bundle.capable(&json!(["CAP_KILL"]))?;
            let done = bundle.bundled(&["run", "--watch"])?;
            Ok((bundle, done))
        },
        // The C library's chown makes fchownat where there is no chown(2).
        cause: match cfg!(target_arch = "x86_64") {
            true => &["`chown` needs CAP_CHOWN, which the bounding set lacks"],
            false => &["`fchownat` needs CAP_CHOWN, which the bounding set lacks"],
        },
        cure: "add `CAP_CHOWN` to these sets of /process/capabilities",
    },
    Situation {
        name: "a_limit_above_the_callers",
        run: limit_too_high,
        cause: &["RLIMIT_CORE of 8192 is above the hard limit of the caller, 1024", "/process/rlimits/0"],
        cure: "at most 1024",
    },
    Situation {
        name: "a_cgroup_path_with_two_dots",
        run: || with("/linux/cgroupsPath", json!("../../x")),
        cause: &["cgroupsPath must name a cgroup below the root", "`..`", "config.json /linux/cgroupsPath"],
        cure: "name a path of its own",
    },
    Situation {
        name: "mappings_that_overlap",
        run: || {
            let mut bundle = Bundle::plain()?;
            let map = json!([
                {"containerID": 0, "hostID": 100_000, "size": 1000},
                {"containerID": 500, "hostID": 300_000, "size": 1000}
            ]);
            bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
            bundle.set("/linux/uidMappings", map.clone())?;
            bundle.set("/linux/gidMappings", map)?;
            run(bundle)
        },
        cause: &["uidMappings/1 overlaps /linux/uidMappings/0", "config.json /linux/uidMappings/1"],
        cure: "give each mapping ids of its own",
    },
    Situation {
        name: "ids_that_are_not_lent_to_this_user",
        run: not_in_subuid,
        cause: &["ids 900000 to 900999 are not lent to u in /etc/subuid", "/linux/uidMappings/1"],
        cure: "add the line `u:900000:1000` to /etc/subuid",
    },
    Situation {
        name: "a_hostname_without_a_uts_namespace",
        run: || {
            let mut bundle = Bundle::plain()?;
            let all = bundle.config["linux"]["namespaces"].as_array().cloned().unwrap_or_default();
            let rest: Vec<Value> = all.into_iter().filter(|one| one["type"] != "uts").collect();
            bundle.set("/linux/namespaces", json!(rest))?;
            bundle.set("/hostname", json!("web"))?;
            run(bundle)
        },
        cause: &["hostname needs a new `uts` namespace in linux.namespaces", "config.json /hostname"],
        cure: "add {\"type\": \"uts\"} to linux.namespaces",
    },
];

pub fn cases() -> Vec<Trial> {
    ALL.iter().map(|one| Trial::test(format!("situations::{}", one.name), || check(one))).collect()
}

thread_local! {
    /// The command that gets the bundle: `run`, or `check` with its words.
    static COMMAND: Cell<&'static [&'static str]> = const { Cell::new(&["run"]) };
}

/// What nothing but a run can show.
const BY_RUN_ALONE: [&str; 2] = ["a_program_that_seccomp_killed", "a_capability_that_the_program_lacks"];

/// `check` sees beforehand what can be seen: a row fails for the same cause, with the same cure.
pub fn beforehand() -> Outcome {
    COMMAND.set(&["check", "--format", "json"]);
    let seen = all_seen();
    // The next case of this thread is another one's.
    COMMAND.set(&["run"]);
    seen
}

fn all_seen() -> Outcome {
    let mut wrong = Vec::new();
    for one in ALL.iter().filter(|one| !BY_RUN_ALONE.contains(&one.name)) {
        let (bundle, done) = (one.run)()?;
        let document: Value =
            serde_json::from_str(&done.out).map_err(|error| format!("{}: {error}: {done:?}", one.name))?;
        let rows = document["checks"].as_array().cloned().unwrap_or_default();
        let text = |row: &Value, key: &str| row[key].as_str().unwrap_or_default().to_owned();
        let fits = |row: &&Value| {
            let first = format!("{} (config.json {})", text(row, "what"), text(row, "place"));
            one.cause.iter().all(|words| first.contains(words)) && text(row, "try").contains(one.cure)
        };
        let fails: Vec<&Value> = rows.iter().filter(|row| row["verdict"] == "fails").collect();
        if done.status != 1 || !fails.iter().any(fits) {
            wrong.push(format!("{}: {:?}, {}: {fails:?}", one.name, one.cause, one.cure));
        }
        bundle.clean()?;
    }
    ensure!(wrong.is_empty(), "not seen beforehand:\n{}", wrong.join("\n"));
    Ok(())
}

fn check(one: &Situation) -> Outcome {
    let (bundle, done) = (one.run)()?;
    // The summary of --watch begins a cause with `what:`.
    let begins = |line: &&str| line.starts_with("nk-runtime: ") || line.starts_with("  what: ");
    let first = done.err.lines().find(begins).unwrap_or_default();
    let cured =
        done.err.lines().any(|line| line.starts_with("  try: ") && line.contains(one.cure.trim_start_matches("try: ")));
    let named = one.cause.iter().all(|words| first.contains(words));
    ensure!(
        named && cured && first.chars().count() <= 200,
        "\n  wanted: {:?}\n     try: {}\n     was: {}",
        one.cause,
        one.cure,
        done.err
    );
    ensure!(done.status != 0, "{done:?}");
    bundle.clean()
}

fn run(bundle: Bundle) -> Result<(Bundle, Done), Failed> {
    let done = bundle.bundled(COMMAND.get())?;
    Ok((bundle, done))
}

fn with(pointer: &str, value: Value) -> Result<(Bundle, Done), Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set(pointer, value)?;
    run(bundle)
}

fn put(bundle: &Bundle, path: &str, bytes: &[u8], mode: u32) -> Outcome {
    fs::write(bundle.rootfs(path), bytes)?;
    Ok(fs::set_permissions(bundle.rootfs(path), fs::Permissions::from_mode(mode))?)
}

/// A container that runs this file.
fn file(bytes: &[u8], mode: u32) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    put(&bundle, "x", bytes, mode)?;
    bundle.set("/process/args", json!(["/x"]))?;
    Ok(bundle)
}

fn of_file(bytes: &[u8], mode: u32) -> Result<(Bundle, Done), Failed> {
    run(file(bytes, mode)?)
}

fn bind(source: &str, place: &str, options: &[&str]) -> Value {
    let options: Vec<&str> = ["bind"].iter().chain(options).copied().collect();
    json!({"destination": place, "type": "bind", "source": source, "options": options})
}

/// `run` by a shell line, which stands in a command that makes the surroundings.
fn run_in(bundle: Bundle, around: &[&str], script: &str) -> Result<(Bundle, Done), Failed> {
    bundle.write_config()?;
    let [here, root] = [bundle.path(""), bundle.state_root()].map(|path| path.to_string_lossy().into_owned());
    let words = COMMAND.get().join(" ");
    let line = format!("{script} {} --root {root} {words} --bundle {here} {}", runtime().display(), bundle.id);
    let mut command = Command::new(tool(around[0])?);
    command.args(&around[1..]).args(["sh", "-c", &line]).current_dir("/");
    let done = bundle.finish(command)?;
    Ok((bundle, done))
}

/// `run` by an ordinary user, after a shell line of root.
fn run_as_user(bundle: Bundle, script: &str) -> Result<(Bundle, Done), Failed> {
    let here = bundle.path("");
    let here = here.to_string_lossy();
    let inner = as_user_command(&bundle, &[COMMAND.get(), &["--bundle", &here, &bundle.id]].concat())?;
    let mut outer = Command::new(tool("unshare")?);
    outer.args(["--mount", "sh", "-c", &format!("{script} exec \"$@\""), "sh"]);
    outer.arg(inner.get_program()).args(inner.get_args()).current_dir("/");
    let done = bundle.finish(outer)?;
    Ok((bundle, done))
}

fn closed_directory() -> Result<(Bundle, Done), Failed> {
    let mut bundle = Bundle::plain()?;
    fs::create_dir_all(bundle.rootfs("opt"))?;
    put(&bundle, "opt/x", b"#!/bin/sh\n", 0o755)?;
    fs::set_permissions(bundle.rootfs("opt"), fs::Permissions::from_mode(0o700))?;
    bundle.set("/process/args", json!(["/opt/x"]))?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    bundle.set("/process/capabilities", json!({}))?;
    run(bundle)
}

/// In a user namespace of its own, so that the machine's limit stays as it is.
fn no_user_namespaces() -> Result<(Bundle, Done), Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.remove("/linux/resources")?;
    let mounts = bundle.config["mounts"].as_array().ok_or("no mounts")?;
    let at = mounts.iter().position(|mount| mount["type"] == "devpts").ok_or("no devpts")?;
    // The group of terminals has no id there.
    bundle.set(&format!("/mounts/{at}/options"), json!(["nosuid", "noexec", "newinstance", "ptmxmode=0666"]))?;
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    let map = json!([{"containerID": 0, "hostID": 0, "size": 1}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    let around = ["unshare", "--user", "--map-root-user", "--mount", "--uts"];
    run_in(bundle, &around, "echo 0 > /proc/sys/user/max_user_namespaces;")
}

fn masked_proc() -> Result<(Bundle, Done), Failed> {
    run_as_user(of_user(Bundle::plain()?)?, "mount --bind /dev/null /proc/meminfo &&")
}

fn not_delegated() -> Result<(Bundle, Done), Failed> {
    let mut bundle = of_user(Bundle::plain()?)?;
    bundle.set("/linux/cgroupsPath", json!(format!("/of-{}", bundle.id)))?;
    bundle.set("/linux/resources", json!({"pids": {"limit": 9}}))?;
    run_as_user(bundle, "")
}

fn readonly_rootfs() -> Result<(Bundle, Done), Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/mounts/-", json!({"destination": "/there", "type": "tmpfs", "source": "tmpfs"}))?;
    let rootfs = bundle.rootfs("").to_string_lossy().into_owned();
    let script = format!("mount --bind {rootfs} {rootfs} && mount -o remount,bind,ro {rootfs} && exec");
    run_in(bundle, &["unshare", "--mount"], &script)
}

fn limit_too_high() -> Result<(Bundle, Done), Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "hard": 8192, "soft": 64}]))?;
    run_in(bundle, &["setpriv", "--bounding-set", "-sys_resource"], "ulimit -H -c 2 && exec")
}

fn not_in_subuid() -> Result<(Bundle, Done), Failed> {
    tool("newuidmap")?;
    let mut bundle = of_user(Bundle::plain()?)?;
    let map = json!([
        {"containerID": 0, "hostID": USER, "size": 1},
        {"containerID": 1, "hostID": 900_000, "size": 1000}
    ]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    fs::write(bundle.path("subid"), format!("u:200000:1000\n{USER}:300000:500\n"))?;
    fs::write(bundle.path("passwd"), format!("root:x:0:0::/:/bin/sh\nu:x:{USER}:{USER}::/:/bin/sh\n"))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let script = format!(
        "cd {here}; for f in subuid subgid; do [ -e /etc/$f ] || touch /etc/$f; mount --bind subid /etc/$f; done; \
         mount --bind passwd /etc/passwd;"
    );
    run_as_user(bundle, &script)
}
