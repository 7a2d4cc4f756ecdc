//! Want of memory and of processes: the message names the limit and its cgroup. The kernel counts it in a cgroup of version 2 that has the controllers
//! (`scripts/lab`), and writes it into its log.

use super::says;
use crate::bundle::{Bundle, Done};
use crate::cgroup::limits::{limited, needs_controllers};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use serde_json::json;
use std::fs;
use std::path::Path;

pub fn cases() -> Vec<Trial> {
    let second = [
        ("memory_of_the_container", own as fn() -> Outcome),
        ("memory_of_a_child", child),
        ("memory_of_a_cgroup_above", above),
        ("processes_of_the_container", processes),
    ];
    let all = fs::read_to_string("/proc/cgroups").unwrap_or_default();
    let missing = !all.lines().any(|line| line.starts_with("memory\t") && !line.starts_with("memory\t0\t"));
    let first = Trial::test("ended::memory_of_version_1", first_version).with_ignored_flag(missing);
    needs_controllers("ended", &second).into_iter().chain([first]).collect()
}

const MIB: u64 = 1 << 20;
/// Takes memory until the kernel ends it.
const EATER: &str = "x=0123456789abcdef; while :; do x=$x$x; done";

fn own() -> Outcome {
    let bundle = limited(EATER, json!({"memory": {"limit": 16 * MIB, "swap": 16 * MIB}}))?;
    let done = bundle.bundled(&["run", "--keep"])?;
    same("status", done.status, 128 + 9)?;
    let words = "the container has reached its limit of 16 MiB (config.json /linux/resources/memory/limit)";
    says(&done, words, &["oom_kill 1", "try: raise the limit"])?;
    let ended = bundle.state()?["ended"].clone();
    same("where", ended["where"].as_str(), Some("config.json /linux/resources/memory/limit"))?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn child() -> Outcome {
    let text = format!("sh -c '{EATER}'; exit $?");
    let bundle = limited(&text, json!({"memory": {"limit": 16 * MIB, "swap": 16 * MIB}}))?;
    let done = bundle.bundled(&["run"])?;
    same("status", done.status, 128 + 9)?;
    says(&done, "the kernel killed a process of the container for want of memory", &["oom_kill 1"])?;
    bundle.clean()
}

fn above() -> Outcome {
    let parent = Path::new("/sys/fs/cgroup").join(format!("nkt-above-{}", std::process::id()));
    fs::create_dir(&parent)?;
    fs::write(parent.join("memory.max"), format!("{}", 16 * MIB))?;
    fs::write(parent.join("memory.swap.max"), "0").ok();
    let result = in_group(&parent);
    fs::remove_dir(&parent)?;
    result
}

fn in_group(parent: &Path) -> Outcome {
    let mut bundle = limited(EATER, json!({}))?;
    let path = format!("/{}/inner", parent.file_name().unwrap_or_default().to_string_lossy());
    bundle.set("/linux/cgroupsPath", json!(path))?;
    let done = bundle.bundled(&["run"])?;
    same("status", done.status, 128 + 9)?;
    let name = parent.file_name().unwrap_or_default().to_string_lossy();
    says(&done, &format!("the cgroup /{name} above has reached its limit of 16 MiB"), &["oom_kill 1", "oom_memcg="])?;
    bundle.clean()
}

fn processes() -> Outcome {
    let bundle = limited("sleep 1 & sleep 1 & sleep 1 & sleep 1 & wait", json!({"pids": {"limit": 3}}))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status != 0, "{done:?}");
    says(&done, "the container may have 3 (refused ", &["pids.events", "try: raise the limit"])?;
    bundle.clean()
}

/// A limit of the caller's own cgroup of version 1, which the container inherits. Only the kernel's log tells of it.
fn first_version() -> Outcome {
    let bundle = Bundle::shell(EATER)?;
    let hierarchy = bundle.path("v1");
    fs::create_dir(&hierarchy)?;
    mount(Some("v1"), &hierarchy, Some("cgroup"), MsFlags::empty(), Some("memory"))?;
    let group = hierarchy.join(format!("nkt-ended-{}", std::process::id()));
    let result = fs::create_dir(&group).map_err(Failed::from).and_then(|()| {
        fs::write(group.join("memory.limit_in_bytes"), format!("{}", 24 * MIB))?;
        in_first_version(&bundle, &group)
    });
    fs::remove_dir(&group)?;
    umount2(&hierarchy, MntFlags::MNT_DETACH)?;
    result?;
    bundle.clean()
}

fn in_first_version(bundle: &Bundle, group: &Path) -> Outcome {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let done = inside(bundle, group, &["run", "--bundle", &here, &bundle.id])?;
    same("status", done.status, 128 + 9)?;
    let name = group.file_name().unwrap_or_default().to_string_lossy();
    says(&done, "above has reached its limit", &["oom_memcg=", &name, "try: "])
}

/// A command of the runtime in that cgroup.
fn inside(bundle: &Bundle, group: &Path, words: &[&str]) -> Result<Done, Failed> {
    let own = bundle.command(words)?;
    let mut command = std::process::Command::new("/bin/sh");
    let line = format!("echo $$ > {}/cgroup.procs; exec \"$@\"", group.display());
    command.args(["-c", &line, "sh"]).arg(own.get_program()).args(own.get_args());
    bundle.finish(command)
}
