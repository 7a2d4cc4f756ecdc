//! Attacks on `exec`, which brings a process of the host's into a container that is already hostile; and on the cgroup
//! tree of a container without a cgroup namespace. What covers which threat is listed in `hostile`.

use crate::bundle::{Bundle, Done, runtime, tool};
use crate::cgroup::{end, start};
use crate::exec::{box_of_sleep, exec};
use crate::lifecycle::without_namespace;
use crate::users::{as_user, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "hostile",
        &[
            ("exec_through_a_descriptor", through_descriptor),
            ("exec_has_a_keyring_of_its_own", keyring),
            ("exec_cannot_be_looked_into", looked_into),
            ("cgroups_without_a_namespace_are_read_only", cgroups),
        ],
    )
}

/// `exec` by a caller that leaves descriptor 7 open on the host's root.
fn with_descriptor_7(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    with_descriptor(bundle, 7, words)
}

fn with_descriptor(bundle: &Bundle, number: u32, words: &[&str]) -> Result<Done, Failed> {
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(format!("exec \"$0\" \"$@\" {number}</")).arg(runtime());
    command.arg("--root").arg(bundle.state_root());
    command.arg("exec").args(words).current_dir("/");
    bundle.finish(command)
}

/// CVE-2024-21626, for a process that joins.
fn through_descriptor() -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    for number in 3..24 {
        let here = format!("/proc/self/fd/{number}");
        let _ = fs::remove_file(bundle.rootfs("link"));
        symlink(&here, bundle.rootfs("link"))?;
        for cwd in [here.clone(), format!("{here}/../.."), "/link".into()] {
            let done = with_descriptor_7(&bundle, &["--cwd", &cwd, &bundle.id, "true"])?;
            ensure!(done.status == 255, "--cwd {cwd}: {done:?}");
        }
        let program = format!("{here}{}", tool("busybox")?.display());
        let done = with_descriptor_7(&bundle, &[&bundle.id, &program, "true"])?;
        ensure!(done.status == 255, "{program}: {done:?}");
    }
    end(bundle)
}

/// Keys of the caller's session can be read by whoever is in it (keyrings(7)).
fn keyring() -> Outcome {
    let mut bundle = box_of_sleep()?;
    bundle.set("/linux/maskedPaths", json!([]))?;
    start(&bundle)?;
    let done = exec(&bundle, &[], &["cat", "/proc/keys"])?.ok()?;
    let own = format!("_ses.{}", bundle.id);
    ensure!(done.out.contains(&own), "/proc/keys inside: {done:?}");
    end(bundle)
}

/// CVE-2016-9962: while `exec` joins, root of the container sees its process. It may not look into it without
/// CAP_SYS_PTRACE; what it would see there beyond the standard streams is the host's.
fn looked_into() -> Outcome {
    let script = "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] && continue; \
        for f in $p/fd/[3-9]* $p/root $p/cwd; do t=$(readlink $f) || continue; \
        case $f:$t in */root:/|*/cwd:/|*:pipe:*) ;; *) echo $f $t >> /tmp/seen;; esac; done; done; done 2>/dev/null";
    let mut spy = Bundle::shell(script)?;
    spy.set("/root/readonly", json!(false))?;
    symlink("busybox", spy.rootfs("bin/readlink"))?;
    start(&spy)?;
    for _ in 0..60 {
        exec(&spy, &[], &["true"])?.ok()?;
    }
    let seen = fs::read_to_string(spy.rootfs("tmp/seen")).unwrap_or_default();
    ensure!(seen.is_empty(), "seen inside: {seen}");
    let words = ["--preserve-fds", "1", &spy.id, "sleep", "1"];
    with_descriptor(&spy, 3, &words)?.ok()?;
    ensure!(spy.rootfs("tmp/seen").exists(), "the test is blind");
    end(spy)
}

/// CVE-2023-25809: without a cgroup namespace an ordinary user's container is lent the host's tree, whose files may be
/// his outside. Whatever is asked for, it is read-only, and so is all below it.
fn cgroups() -> Outcome {
    let script = "grep ' /sys/fs/cgroup' /proc/self/mountinfo; mkdir /sys/fs/cgroup/x /sys/fs/cgroup/*/x; echo 1 > /sys/fs/cgroup/cgroup.procs";
    for kind in ["cgroup", "cgroup2"] {
        let mut bundle = of_user(Bundle::shell(script)?)?;
        symlink("busybox", bundle.rootfs("bin/grep"))?;
        without_namespace(&mut bundle, "cgroup");
        let mounts = bundle.config["mounts"].as_array().cloned();
        let mut mounts = mounts.unwrap_or_default();
        mounts.retain(|m| m["type"] != "cgroup");
        mounts.push(json!({"destination": "/sys/fs/cgroup", "type": kind, "source": "cgroup", "options": ["rw", "nosuid", "nodev", "noexec"]}));
        bundle.set("/mounts", json!(mounts))?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let done = as_user(&bundle, &["run", "--bundle", &here, &bundle.id])?;
        ensure!(!done.out.is_empty(), "{done:?}");
        for line in done.out.lines() {
            let options = line.split(' ').nth(5).unwrap_or("");
            ensure!(options.split(',').any(|word| word == "ro"), "{line}");
        }
        ensure!(done.err.contains("Read-only file system"), "{done:?}");
        same("status", done.status, 1)?;
        bundle.clean()?;
    }
    Ok(())
}
