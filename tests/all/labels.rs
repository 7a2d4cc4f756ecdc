//! Labels of security modules, on kernels that run with one: AppArmor's profile and SELinux's contexts arrive at the
//! program, at its keyring and at its mounts, and what the module does not know is refused by its place. Elsewhere
//! `settings::labels_without_a_module` has the refusal.

use crate::bundle::{Bundle, tool};
use crate::cgroup::{end, start};
use crate::exec::exec;
use crate::namespaces::in_user_namespace;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use serde_json::{Value, json};
use std::fs;
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
            ("selinux_label", context),
            ("selinux_on_exec", context_of_exec),
            ("selinux_label_of_mounts", context_of_mounts),
            ("selinux_label_that_no_policy_knows", no_context),
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
    mounted("securityfs", "/sys/kernel/security")?;
    let rules = "file, capability, network, mount, umount, pivot_root, signal, ptrace, unix, deny /etc/secret rwx,";
    let text = format!("profile {name} flags=(attach_disconnected) {{ {rules} }}\n");
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
    bundle.bundled(&["run"])?.refused("/process/apparmorProfile")?.refused("load the profile first")?;
    bundle.clean()
}

const PROGRAM: &str = "u:r:container_t";
const FILES: &str = "u:object_r:container_file_t";

/// A policy that knows both, in a kernel that has had none.
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
    for pointer in ["/process/selinuxLabel", "/linux/mountLabel"] {
        let mut bundle = Bundle::plain()?;
        bundle.set(pointer, json!("u:r:nobody_t"))?;
        let done = bundle.bundled(&["run"])?.refused("EINVAL")?;
        ensure!(pointer != "/process/selinuxLabel" || done.err.contains(pointer), "{done:?}");
        bundle.clean()?;
    }
    Ok(())
}
