//! From a run to a profile: under what `--write-seccomp` and `--write-capabilities` have written the same program does the same,
//! and a call that it has not made is refused.

use crate::bundle::{Bundle, Done, tool};
use crate::cgroup::script;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "profile",
        &[
            ("a_shell_script", shell),
            ("a_program_with_threads", threads),
            ("another_runtime_takes_it", in_runc),
            ("what_takes_no_capability", unneeded),
            ("a_server_that_binds_port_80", server),
            ("what_a_filter_refused_stays_refused", refused),
            ("a_link_in_its_place_is_replaced", link),
            ("a_container_goes_without_its_profile", vanished),
            ("a_device_or_directory_in_its_place_is_refused", device),
            ("a_place_that_cannot_be_is_refused_before", nowhere),
            ("of_a_created_one", created),
        ],
    )
}

/// Runs it with both options. What it did, and the two profiles.
fn recorded(bundle: &Bundle) -> Result<(Done, Value, Value), Failed> {
    let path = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    let (seccomp, capabilities) = (path("seccomp.json"), path("capabilities.json"));
    let words = ["run", "--watch", "--write-seccomp", &seccomp, "--write-capabilities", &capabilities];
    let done = bundle.bundled(&words)?;
    let read = |path: &str| -> Result<Value, Failed> {
        let text = fs::read_to_string(path).map_err(|error| format!("{path}: {error}; {done:?}"))?;
        Ok(serde_json::from_str(&text)?)
    };
    let (seccomp, capabilities) = (read(&seccomp)?, read(&capabilities)?);
    Ok((done, seccomp, capabilities))
}

/// The names that a profile allows.
fn names(profile: &Value) -> Vec<&str> {
    let list = profile["syscalls"][0]["names"].as_array();
    list.into_iter().flatten().filter_map(Value::as_str).collect()
}

/// Takes the profiles over.
fn confine(bundle: &mut Bundle, seccomp: Value, capabilities: Value) -> Outcome {
    bundle.set("/linux/seccomp", seccomp)?;
    bundle.set("/process/capabilities", capabilities)
}

fn shell() -> Outcome {
    let mut bundle = script("umask 22; cat /etc/passwd; ls / > /tmp/list; wc -l < /tmp/list; echo $(id -u); exit 4")?;
    let (before, seccomp, capabilities) = recorded(&bundle)?;
    same("status", before.status, 4)?;
    let all = names(&seccomp);
    ensure!(all.is_sorted() && all.contains(&"umask") && all.contains(&"execve"), "{seccomp}");
    ensure!(!all.contains(&"mkdir") && !all.contains(&"mount"), "{seccomp}");
    same("default", seccomp["defaultAction"].as_str(), Some("SCMP_ACT_ERRNO"))?;
    same("capabilities", &capabilities["bounding"], &json!([]))?;
    confine(&mut bundle, seccomp, capabilities)?;
    let after = bundle.bundled(&["run"])?;
    same("status and words", (after.status, after.out), (4, before.out))?;
    // A call that it has not made.
    bundle.set("/process/args", json!(["sh", "-c", "umask 22; mkdir /tmp/new"]))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status != 0 && done.err.contains("Operation not permitted"), "{done:?}");
    bundle.clean()
}

const THREADS: &str = "
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>
static void *one(void *arg) { usleep(1000); return arg; }
int main(void) {
    pthread_t all[8];
    for (long i = 0; i < 8; i++) if (pthread_create(&all[i], 0, one, (void *)i)) return 1;
    for (int i = 0; i < 8; i++) pthread_join(all[i], 0);
    puts(\"eight\");
    return 0;
}
";

fn threads() -> Outcome {
    let mut bundle = script("true")?;
    let (source, program) = (bundle.path("threads.c"), bundle.rootfs("threads"));
    fs::write(&source, THREADS)?;
    let built = Command::new(tool("gcc")?).args(["-static", "-pthread", "-o"]).arg(&program).arg(&source).status()?;
    ensure!(built.success(), "gcc: {built}");
    bundle.set("/process/args", json!(["/threads"]))?;
    let (before, seccomp, capabilities) = recorded(&bundle)?;
    same("status and words", (before.status, before.out.as_str()), (0, "eight\n"))?;
    let all = names(&seccomp);
    for name in ["clone", "clone3", "futex", "rseq", "set_robust_list", "exit_group"] {
        ensure!(all.contains(&name), "{name}: {seccomp}");
    }
    confine(&mut bundle, seccomp, capabilities)?;
    let after = bundle.bundled(&["run"])?.ok()?;
    same("words", after.out.as_str(), "eight\n")?;
    bundle.clean()
}

/// The profile of a program that does next to nothing is enough for runc itself, with privileges that execve can raise, and
/// without.
fn in_runc() -> Outcome {
    for without in [true, false] {
        let mut bundle = script("umask 22; umask")?;
        bundle.set("/process/noNewPrivileges", json!(without))?;
        let (_, seccomp, _) = recorded(&bundle)?;
        // The calls by which a process gives up its rights.
        same("setuid", names(&seccomp).contains(&"setuid"), !without)?;
        bundle.set("/linux/seccomp", seccomp)?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let run = |bundle: &Bundle| -> Result<Done, Failed> {
            bundle.write_config()?;
            bundle.finish(bundle.command_of(&tool("runc")?, &["run", "--bundle", &here, &bundle.id])?)
        };
        let done = run(&bundle)?.ok()?;
        same("words", done.out.as_str(), "0022\n")?;
        bundle.set("/process/args", json!(["sh", "-c", "umask 22; mkdir /tmp/new"]))?;
        let done = run(&bundle)?;
        ensure!(done.status != 0 && done.err.contains("Operation not permitted"), "{done:?}");
        bundle.clean()?;
    }
    Ok(())
}

const SOCKETS: &str = "
#include <arpa/inet.h>
#include <linux/netlink.h>
#include <sys/syscall.h>
#include <unistd.h>
static int listens(int port) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(port)};
    return bind(socket(AF_INET, SOCK_STREAM, 0), (void *)&at, sizeof at);
}
int main(int argc, char **argv) {
    struct sockaddr_nl at = {.nl_family = AF_NETLINK};
    int head[2] = {0x20080522, 0}, sets[6];
    syscall(SYS_capget, head, sets);
    int failed = bind(socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE), (void *)&at, sizeof at) | listens(0) | listens(8080);
    if (argc > 1) failed |= listens(80);
    return failed | (int)syscall(SYS_capset, head, sets);
}
";

/// A raw netlink socket, a high port, and fewer capabilities for itself take none.
fn unneeded() -> Outcome {
    let mut bundle = script("true")?;
    let (source, program) = (bundle.path("sockets.c"), bundle.rootfs("sockets"));
    fs::write(&source, SOCKETS)?;
    let built = Command::new(tool("gcc")?).args(["-static", "-o"]).arg(&program).arg(&source).status()?;
    ensure!(built.success(), "gcc: {built}");
    bundle.capable(&json!(["CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SETPCAP"]))?;
    for (args, wanted) in
        [(json!(["/sockets"]), json!([])), (json!(["/sockets", "low"]), json!(["CAP_NET_BIND_SERVICE"]))]
    {
        bundle.set("/process/args", args)?;
        let (done, _, capabilities) = recorded(&bundle)?;
        same("status", done.status, 0)?;
        same("used", &capabilities["bounding"], &wanted)?;
        bundle.set("/linux/sysctl", json!({"net.ipv4.ip_unprivileged_port_start": "80"}))?;
        let (done, _, capabilities) = recorded(&bundle)?;
        same("status", done.status, 0)?;
        same("used", &capabilities["bounding"], &json!([]))?;
        bundle.remove("/linux/sysctl")?;
    }
    bundle.clean()
}

fn server() -> Outcome {
    let text = "echo hello > /tmp/it; busybox httpd -p 80 -h /tmp; busybox wget -q -O - http://127.0.0.1/it";
    let mut bundle = script(text)?;
    let (before, seccomp, capabilities) = recorded(&bundle)?;
    same("status and words", (before.status, before.out.as_str()), (0, "hello\n"))?;
    let bounding = capabilities["bounding"].as_array().cloned().unwrap_or_default();
    ensure!(bounding.contains(&json!("CAP_NET_BIND_SERVICE")), "{capabilities}");
    ensure!(!bounding.contains(&json!("CAP_AUDIT_WRITE")), "{capabilities}");
    confine(&mut bundle, seccomp, capabilities)?;
    let after = bundle.bundled(&["run"])?;
    same("status and words", (after.status, after.out.as_str()), (0, "hello\n"))?;
    bundle.clean()
}

fn refused() -> Outcome {
    let mut bundle = script("mkdir /tmp/new; umask 22; true")?;
    let rules = json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}]);
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}))?;
    let (_, seccomp, _) = recorded(&bundle)?;
    let all = names(&seccomp);
    ensure!(all.contains(&"umask") && !all.contains(&"mkdir") && !all.contains(&"mkdirat"), "{seccomp}");
    bundle.clean()
}

fn link() -> Outcome {
    let bundle = script("true")?;
    let (aim, link) = (bundle.path("aim"), bundle.path("link"));
    fs::write(&aim, "mine")?;
    std::os::unix::fs::symlink(&aim, &link)?;
    bundle.bundled(&["run", "--write-seccomp", &link.to_string_lossy()])?.ok()?;
    same("what the link leads to", fs::read_to_string(&aim)?.as_str(), "mine")?;
    ensure!(fs::symlink_metadata(&link)?.is_file(), "the profile is no file");
    bundle.clean()
}

/// The program removes the directory of the profile.
fn vanished() -> Outcome {
    let bundle = script("rmdir /tmp/gone")?;
    fs::create_dir_all(bundle.rootfs("tmp/gone"))?;
    let profile = bundle.rootfs("tmp/gone/seccomp.json");
    bundle.bundled(&["run", "--write-seccomp", &profile.to_string_lossy()])?.refused("cannot write the profile")?;
    bundle.call(&["state", &bundle.id])?.refused("does not exist")?;
    bundle.clean()
}

fn device() -> Outcome {
    let bundle = script("echo > /tmp/ran")?;
    let (directory, fifo) = (bundle.path("directory"), bundle.path("fifo"));
    fs::create_dir(&directory)?;
    ensure!(std::process::Command::new("mkfifo").arg(&fifo).status()?.success(), "no fifo");
    for (path, word) in [(&directory, "a directory"), (&fifo, "a fifo")] {
        for option in ["--write-seccomp", "--write-capabilities"] {
            bundle.bundled(&["run", option, &path.to_string_lossy()])?.refused(word)?;
        }
    }
    ensure!(!bundle.rootfs("tmp/ran").exists(), "the program ran");
    bundle.clean()
}

fn nowhere() -> Outcome {
    let bundle = script("echo > /tmp/ran")?;
    for option in ["--write-seccomp", "--write-capabilities"] {
        bundle.bundled(&["run", option, "/nosuch/file"])?.refused("/nosuch")?;
    }
    ensure!(!bundle.rootfs("tmp/ran").exists(), "the program ran");
    bundle.clean()
}

/// No command stays with it, so the watcher writes the file.
fn created() -> Outcome {
    let bundle = script("umask 22; true")?;
    let file = bundle.path("seccomp.json");
    bundle.bundled(&["create", "--write-seccomp", &file.to_string_lossy()])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    crate::bundle::patiently("the profile", || Ok(file.exists()))?;
    let profile: Value = serde_json::from_str(&fs::read_to_string(&file)?)?;
    ensure!(names(&profile).contains(&"umask"), "{profile}");
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}
