//! Labels of security modules, on kernels that run with one: AppArmor's profile and SELinux's contexts arrive at the
//! program, at its keyring and at its mounts, and what the module does not know is refused by its place. Elsewhere
//! `settings::labels_without_a_module` has the refusal.

use crate::bundle::{Bundle, Done, tool};
use crate::cgroup::{end, start};
use crate::diagnosis::says_alone as says;
use crate::exec::exec;
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    area(
        "labels",
        &[
            ("apparmor_profile", profile),
            ("apparmor_in_a_user_namespace", profile_and_user),
            ("apparmor_on_exec", profile_of_exec),
            ("apparmor_profile_that_is_not_loaded", not_loaded),
            ("apparmor_around_the_runtime", around),
            ("apparmor_watched", watched_profile),
            ("selinux_label", context),
            ("selinux_on_exec", context_of_exec),
            ("selinux_label_of_mounts", context_of_mounts),
            ("selinux_label_that_no_policy_knows", no_context),
            ("selinux_around_the_runtime", around_by_label),
            ("selinux_watched", watched_context),
        ],
    )
}

/// A file system of the kernel's that nobody has mounted yet.
fn mounted(kind: &str, at: &str) -> Outcome {
    let there = fs::read_to_string("/proc/thread-self/mounts")?;
    if !there.contains(&format!(" {at} {kind} ")) {
        let none = None::<&str>;
        match mount(Some(kind), Path::new(at), Some(kind), MsFlags::empty(), none) {
            // Another case was faster, and its mount came over.
            Ok(()) | Err(Errno::EBUSY) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// What may be done under it: all but to read one file.
fn load(name: &str) -> Outcome {
    load_with(name, "attach_disconnected", &format!("{RULES}, mount, deny /etc/secret rwx,"))
}

const RULES: &str = "file, capability, network, umount, pivot_root, signal, ptrace, unix";

fn load_with(name: &str, flags: &str, rules: &str) -> Outcome {
    mounted("securityfs", "/sys/kernel/security")?;
    let text = format!("profile {name} flags=({flags}) {{ {rules} }}\n");
    let bundle = Bundle::plain()?;
    fs::write(bundle.path("profile"), text)?;
    let mut command = Command::new(tool("apparmor_parser")?);
    command.args(["--replace", "--skip-cache", "--quiet"]);
    let done = bundle.finish({
        command.arg(bundle.path("profile")).stdin(Stdio::null());
        command
    })?;
    ensure!(done.status == 0, "apparmor_parser: {done:?}");
    bundle.clean()
}

const LOOK: &str = "cat /proc/self/attr/current; cat /etc/secret; echo kept > /tmp/kept; cat /tmp/kept";

fn confined(script: &str, name: &str) -> Result<Bundle, Failed> {
    load(name)?;
    let mut bundle = Bundle::shell(script)?;
    fs::write(bundle.rootfs("etc/secret"), "secret\n")?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/process/apparmorProfile", json!(name))?;
    Ok(bundle)
}

fn profile() -> Outcome {
    // Once more with a mount below /proc, where the runtime writes through a procfs of its own.
    for covered in [false, true] {
        let mut bundle = confined(LOOK, "nk-test")?;
        if covered {
            bundle.set("/mounts/-", json!({"destination": "/proc/fs", "type": "tmpfs", "source": "tmpfs"}))?;
        }
        let done = bundle.bundled(&["run"])?;
        same("stdout", done.out.as_str(), "nk-test (enforce)\nkept\n")?;
        ensure!(done.err.contains("Permission denied"), "{done:?}");
        bundle.clean()?;
    }
    Ok(())
}

fn profile_and_user() -> Outcome {
    let bundle = in_user_namespace(confined(LOOK, "nk-test-user")?)?;
    let done = bundle.bundled(&["run"])?;
    same("stdout", done.out.as_str(), "nk-test-user (enforce)\nkept\n")?;
    ensure!(done.err.contains("Permission denied"), "{done:?}");
    bundle.clean()
}

fn profile_of_exec() -> Outcome {
    load("nk-test-other")?;
    let bundle = confined("sleep 1000", "nk-test-exec")?;
    start(&bundle)?;
    for (options, name) in [(&[][..], "nk-test-exec"), (&["--apparmor", "nk-test-other"][..], "nk-test-other")] {
        let done = exec(&bundle, options, &["cat", "/proc/self/attr/current"])?.ok()?;
        same("the profile", done.out, format!("{name} (enforce)\n"))?;
    }
    end(bundle)
}

fn not_loaded() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/apparmorProfile", json!("nk-no-such-profile"))?;
    let cause = "the AppArmor profile nk-no-such-profile is not loaded: no such file or directory";
    says(&bundle, &format!("{cause} (config.json /process/apparmorProfile)"), "load the profile first")?;
    beforehand(&bundle, cause)?;
    bundle.set("/process/apparmorProfile", json!(" "))?;
    says(&bundle, "` ` is no name of an AppArmor profile (config.json /process/apparmorProfile)", "aa-status")?;
    bundle.clean()
}

/// `check` sees it.
fn beforehand(bundle: &Bundle, cause: &str) -> Outcome {
    let done = bundle.bundled(&["check", "--format", "json"])?;
    let document: Value = serde_json::from_str(&done.out)?;
    let row = |row: &&Value| row["verdict"] == "fails" && row["what"].as_str() == Some(cause);
    ensure!(done.status == 1 && document["checks"].as_array().into_iter().flatten().any(|one| row(&one)), "{done:?}");
    Ok(())
}

/// `run` by a runtime that has this label itself: a container in a container.
fn run_under(bundle: &Bundle, attribute: &str, label: &str) -> Result<Done, Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    let mut command = Command::new(tool("sh")?);
    let script = format!("echo -n '{label}' > /proc/self/attr/{attribute} && exec \"$@\"");
    command.args(["-c", &script, "sh"]).arg(inner.get_program()).args(inner.get_args()).current_dir("/");
    bundle.finish(command)
}

fn first(done: &Done, cause: &str, cure: &str) -> Outcome {
    let first = done.err.lines().next().unwrap_or_default();
    let named = first.starts_with(&format!("nk-runtime: {cause}")) && done.err.contains(cure);
    ensure!(named && done.status != 0, "\n  wanted: {cause}\n     try: {cure}\n     was: {done:?}");
    Ok(())
}

/// What profiles of engines refuse containers in their containers.
fn around() -> Outcome {
    load_with("nk-test-outer", "attach_disconnected", &format!("{RULES},"))?;
    load_with("unprivileged_userns", "attach_disconnected", &format!("{RULES}, deny mount,"))?;
    load_with("nk-test-keeps", "attach_disconnected", &format!("{RULES}, mount,"))?;
    load("nk-test-inner")?;
    let mut bundle = Bundle::plain()?;
    let done = run_under(&bundle, "apparmor/exec", "exec nk-test-outer")?;
    first(&done, "the AppArmor profile nk-test-outer, under which the runtime runs, refuses ", "apparmor=unconfined")?;
    // The profile of ordinary users' namespaces, where `kernel.apparmor_restrict_unprivileged_userns` is 1.
    let done = run_under(&bundle, "apparmor/exec", "exec unprivileged_userns")?;
    first(&done, "AppArmor gives this user no rights in a user namespace", "an AppArmor profile for nk-runtime")?;
    bundle.set("/process/apparmorProfile", json!("nk-test-inner"))?;
    let done = run_under(&bundle, "apparmor/exec", "exec nk-test-keeps")?;
    first(&done, "AppArmor does not let the runtime change to the profile nk-test-inner", "change_profile -> nk-test")?;
    bundle.clean()
}

/// The causes that a summary of `--watch` names.
fn causes(done: &Done) -> Vec<&str> {
    done.err.lines().filter_map(|line| line.split_once(" x  ").map(|(_, cause)| cause)).collect()
}

fn watched_profile() -> Outcome {
    // It refuses nothing.
    load_with("nk-test-complains", "complain, attach_disconnected", "deny /etc/nothing r,")?;
    let mut bundle = confined("cat /etc/secret; true", "nk-test-watched")?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("causes", causes(&done), vec!["a security module: /process/apparmorProfile"])?;
    ensure!(done.err.contains("the AppArmor profile `nk-test-watched`"), "{done:?}");
    bundle.set("/process/apparmorProfile", json!("nk-test-complains"))?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    bundle.capable(&json!([]))?;
    fs::set_permissions(bundle.rootfs("etc/secret"), fs::Permissions::from_mode(0o600))?;
    let done = bundle.bundled(&["run", "--watch"])?;
    ensure!(causes(&done).iter().all(|cause| !cause.contains("module")) && causes(&done).len() == 1, "{done:?}");
    bundle.clean()
}

const PROGRAM: &str = "u:r:container_t";
const FILES: &str = "u:object_r:container_file_t";

/// A policy that knows them, in a kernel that has had none.
fn policy() -> Outcome {
    mounted("selinuxfs", "/sys/fs/selinux")?;
    if fs::read_to_string("/proc/thread-self/attr/current")?.starts_with("u:r:kernel_t") {
        return Ok(());
    }
    let bundle = Bundle::plain()?;
    let text = bundle.path("labels.cil");
    fs::write(&text, include_str!("labels.cil"))?;
    let version = fs::read_to_string("/sys/fs/selinux/policyvers")?;
    let mut command = Command::new(tool("secilc")?);
    command.args(["--policyvers", version.trim(), "--filecontexts", "/dev/null", "--output"]);
    command.arg(bundle.path("policy")).arg(text).stdin(Stdio::null());
    let done = bundle.finish(command)?;
    ensure!(done.status == 0, "secilc: {done:?}");
    // From now on mounts are shown with another option, so that nothing is as it was when this bundle was made.
    fs::write("/sys/fs/selinux/load", fs::read(bundle.path("policy"))?)?;
    // All types but one are permissive.
    fs::write("/sys/fs/selinux/enforce", "1")?;
    Ok(())
}

fn labelled(words: &[&str]) -> Result<Bundle, Failed> {
    policy()?;
    let mut bundle = Bundle::reporter(words)?;
    bundle.set("/process/selinuxLabel", json!(PROGRAM))?;
    Ok(bundle)
}

const CURRENT: &str = "/proc/self/attr/current";

fn check(report: &Value) -> Outcome {
    let tried = &report["tried"];
    let label = tried["probe"][CURRENT]["read"].as_str().unwrap_or("");
    same("the program", label.trim_end_matches('\0'), PROGRAM)?;
    same("its keyring", tried["key_label"].as_str(), Some(PROGRAM))
}

fn context() -> Outcome {
    let plain = labelled(&["--probe", CURRENT, "--key-label"])?;
    check(&plain.report()?)?;
    plain.clean()?;
    let user = in_user_namespace(labelled(&["--probe", CURRENT, "--key-label"])?)?;
    check(&user.report()?)?;
    user.clean()
}

fn context_of_exec() -> Outcome {
    let bundle = labelled(&["--sleep", "--quiet"])?;
    start(&bundle)?;
    let words = ["/reporter", "--probe", CURRENT, "--key-label"];
    let done = exec(&bundle, &[], &words)?.ok()?;
    check(&serde_json::from_str(&done.out)?)?;
    end(bundle)
}

fn context_of_mounts() -> Outcome {
    policy()?;
    let mut bundle = Bundle::shell("cat /proc/self/mountinfo")?;
    bundle.set("/linux/mountLabel", json!(FILES))?;
    bundle
        .set("/mounts/-", json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]}))?;
    let done = bundle.bundled(&["run"])?.ok()?;
    for point in ["/dev", "/dev/pts", "/dev/shm", "/tmp"] {
        let line = done.out.lines().find(|line| line.contains(&format!(" {point} ")));
        let line = line.unwrap_or("");
        ensure!(line.contains(&format!("context={FILES}")), "{point}: {line}");
    }
    bundle.clean()
}

fn no_context() -> Outcome {
    policy()?;
    let cause = "the SELinux policy does not know the context u:r:nobody_t";
    for pointer in ["/process/selinuxLabel", "/linux/mountLabel"] {
        let mut bundle = Bundle::plain()?;
        bundle.set(pointer, json!("u:r:nobody_t"))?;
        says(&bundle, &format!("{cause} (config.json {pointer})"), "seinfo -t")?;
        beforehand(&bundle, cause)?;
        bundle.clean()?;
    }
    Ok(())
}

/// The one type for which the policy is enforced.
const STRICT: &str = "u:r:strict_t";

fn around_by_label() -> Outcome {
    policy()?;
    let mut bundle = Bundle::plain()?;
    let done = run_under(&bundle, "exec", STRICT)?;
    first(&done, "the SELinux policy refuses ", "label=disable")?;
    ensure!(done.err.contains(&format!("under {STRICT}, the label of the runtime")), "{done:?}");
    bundle.set("/process/selinuxLabel", json!("u:r:closed_t"))?;
    first(&bundle.bundled(&["run"])?, "/bin/sh: permission denied: owner, mode and mount allow it", "journalctl")?;
    bundle.clean()
}

fn watched_context() -> Outcome {
    policy()?;
    let mut bundle = Bundle::shell("cat /proc/version; cat /proc/uptime")?;
    bundle.set("/process/selinuxLabel", json!(STRICT))?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("causes", causes(&done), vec!["a security module: /process/selinuxLabel"])?;
    ensure!(done.err.contains(&format!("the SELinux label `{STRICT}`")), "{done:?}");
    bundle.clean()
}
