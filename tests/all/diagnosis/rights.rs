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
            ("a_switch_against_namespaces_of_users", switched_off),
            ("a_namespace_to_join", joined),
            ("an_id_without_a_mapping", not_mapped),
            ("a_capability_that_is_missing", capability),
            ("the_containers_own_profile", profile),
            ("a_filter_around_the_runtime", outer_filter),
            ("securebits_of_the_caller", securebits),
            ("helpers_that_map_no_ids", helpers),
            ("the_hosts_root_is_not_lent", root_not_lent),
            ("a_caller_in_a_chroot", chroot),
            ("groups_that_are_denied", groups),
            ("rights_that_count_on_the_machine_alone", of_the_machine),
            ("a_proc_of_another_pid_namespace", foreign_proc),
            ("a_place_that_is_closed", closed),
            ("values_of_another_file", other_file),
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
pub fn run_in(bundle: &Bundle, verb: &[&str], around: &[&str], script: &str) -> Result<Done, Failed> {
    bundle.write_config()?;
    let [here, root] = [bundle.path(""), bundle.state_root()].map(|path| path.to_string_lossy().into_owned());
    let program = runtime();
    let (program, verb) = (program.display(), verb.join(" "));
    let line = format!("{script} {program} --root {root} {verb} --bundle {here} {}", bundle.id);
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
        let done = run_in(&bundle, &["run"], &["unshare", "--mount"], &script)?;
        said(&done, cause, cure)?;
        let place = if uids == 900_000 { "/linux/uidMappings/1" } else { "/linux/gidMappings/1" };
        ensure!(done.err.contains(place) && !done.err.contains(line), "{done:?}");
    }
    bundle.clean()
}

/// The group of terminals has no id in the namespaces of these cases.
pub fn no_terminal_group(bundle: &mut Bundle) -> Outcome {
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

pub const NESTED: [&str; 5] = ["unshare", "--user", "--map-root-user", "--mount", "--uts"];

fn outside() -> Outcome {
    let mut bundle = nested("user")?;
    bundle.set(
        "/linux/uidMappings",
        json!([{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 5, "size": 10}]),
    )?;
    let done = run_in(&bundle, &["run"], &NESTED, "")?;
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
        let done = run_in(&bundle, &["run"], &NESTED, &format!("echo 0 > /proc/sys/user/max_{name}_namespaces;"))?;
        let cause =
            format!("no {kind} namespace may be made: user.max_{name}_namespaces is 0 (config.json /linux/namespaces/");
        said(&done, &cause, &format!("`sysctl -w user.max_{name}_namespaces=15000`"))?;
        bundle.clean()?;
    }
    Ok(())
}

fn reached() -> Outcome {
    let bundle = nested("uts")?;
    let done = run_in(&bundle, &["run"], &NESTED, "echo 1 > /proc/sys/user/max_uts_namespaces;")?;
    let first = done.err.lines().next().unwrap_or_default();
    let words = "uts namespaces are there, and user.max_uts_namespaces allows 1 (config.json /linux/namespaces/";
    ensure!(first.contains(words) && done.err.contains("or end containers"), "{done:?}");
    bundle.clean()
}

/// In a chroot the kernel refuses user namespaces to an ordinary user. Other kernels have a switch against them: here a file
/// in a mount over /proc/sys/kernel.
fn switched_off() -> Outcome {
    let bundle = of_user(Bundle::plain()?)?;
    bundle.write_config()?;
    let [here, root] = [bundle.path(""), bundle.state_root()].map(|path| path.to_string_lossy().into_owned());
    fs::create_dir(bundle.path("chroot"))?;
    for (setting, cause, cure) in [
        ("", "a process in a chroot may make no user namespace", "pivot_root"),
        (
            "unprivileged_userns_clone=0",
            "this user may make no user namespace: kernel.unprivileged_userns_clone is 0",
            "`sysctl -w kernel.unprivileged_userns_clone=1` as root",
        ),
        (
            "apparmor_restrict_unprivileged_userns=1",
            "AppArmor gives this user no rights in a user namespace: kernel.apparmor_restrict_unprivileged_userns is 1",
            "an AppArmor profile for nk-runtime with `userns,`",
        ),
    ] {
        let (name, value) = setting.split_once('=').unwrap_or_default();
        let script = format!(
            "cd {here}chroot && mount -t tmpfs t . && cd . && cd {here}chroot && mkdir root && cd root && \
             for d in proc sys dev tmp; do mkdir $d && mount --rbind /$d $d || exit; done; \
             [ -z '{name}' ] || {{ mount -t tmpfs k proc/sys/kernel && echo {value} > proc/sys/kernel/{name}; }} && \
             exec chroot --userspec={USER}:{USER} --groups= . {here}nk-runtime --root {root} \"$@\""
        );
        for words in [&["run"][..], &["check", "--format", "json"]] {
            if setting.is_empty() && words[0] == "check" {
                continue;
            }
            let mut command = Command::new(tool("unshare")?);
            command.args(["--mount", "sh", "-c", &script, "sh"]).args(words).args(["--bundle", &here, &bundle.id]);
            let done = bundle.finish(command)?;
            match words[0] {
                "run" => said(&done, cause, cure)?,
                _ => ensure!(done.status == 1 && done.out.contains(cause), "{done:?}"),
            }
        }
    }
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
    let done = run_in(&bundle, &["run"], &["setpriv", "--bounding-set", "-setpcap", "--inh-caps", "-setpcap"], "exec")?;
    let cause = "prctl needs CAP_SETPCAP, which is missing in the bounding set of the container's first process";
    said(&done, cause, "let its caller leave CAP_SETPCAP in that set")?;
    let done =
        run_in(&bundle, &["run"], &["setpriv", "--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"], "exec")?;
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

/// A command under a filter that answers this call with this errno.
fn under_filter(command: Command, call: i64, errno: u32) -> Command {
    use std::os::unix::process::CommandExt;
    let of = |code: u32, yes: u8, no: u8, k: u32| libc::sock_filter { code: code as u16, jt: yes, jf: no, k };
    let program = [
        of(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, 0),
        of(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, call as u32),
        of(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ERRNO | errno),
        of(libc::BPF_RET | libc::BPF_K, 0, 0, libc::SECCOMP_RET_ALLOW),
    ];
    let mut command = command;
    let load = move || {
        let mut program = program;
        let all = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
        // SAFETY: the kernel copies the program.
        match unsafe { libc::syscall(libc::SYS_seccomp, 1, 0, &all) } {
            0 => Ok(()),
            _ => Err(std::io::Error::last_os_error()),
        }
    };
    // SAFETY: it makes one call, and allocates nothing.
    unsafe { command.pre_exec(load) };
    command
}

fn outer_filter() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    for (call, errno, cause) in [
        (libc::SYS_clone3, libc::EPERM, "new namespaces (config.json /linux/namespaces)"),
        (libc::SYS_clone3, libc::ENOSYS, "clone3"),
        (libc::SYS_mount, libc::EPERM, "mount"),
        (libc::SYS_open_tree, libc::ENOSYS, "open_tree"),
        (libc::SYS_sethostname, libc::EPERM, "sethostname (config.json /hostname)"),
        (libc::SYS_mknodat, libc::EPERM, "mknodat"),
        (libc::SYS_setgroups, libc::EPERM, "setgroups"),
        // Outside of the plan.
        (libc::SYS_openat2, libc::ENOSYS, "openat2"),
        (libc::SYS_close_range, libc::EPERM, "close_range"),
        (libc::SYS_mkdirat, libc::EPERM, "mkdirat"),
    ] {
        let command = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
        let done = bundle.finish(under_filter(command, call, errno as u32))?;
        said(
            &done,
            &format!("a seccomp filter around the runtime refuses {cause}"),
            "`--security-opt seccomp=unconfined`",
        )?;
    }
    // The kernel's own refusal is not blamed on a filter that is there as well.
    let command = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    let mut outer = Command::new(tool("setpriv")?);
    outer.args(["--bounding-set", "-sys_admin"]).arg(command.get_program()).args(command.get_args());
    let done = bundle.finish(under_filter(outer, libc::SYS_swapon, libc::EPERM as u32))?;
    ensure!(done.err.contains("needs CAP_SYS_ADMIN, which is missing in the bounding set of the runtime"), "{done:?}");
    bundle.clean()
}

fn securebits() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let call = |bundle: &Bundle, bits: u32| -> Result<Done, Failed> {
        use std::os::unix::process::CommandExt;
        bundle.write_config()?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let mut command = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
        // SAFETY: it makes one call, and allocates nothing.
        unsafe {
            command.pre_exec(move || match libc::prctl(libc::PR_SET_SECUREBITS, bits, 0, 0, 0) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            });
        }
        bundle.finish(command)
    };
    const NOROOT: u32 = 1;
    const KEEP_LOCKED: u32 = 1 << 5;
    const NO_AMBIENT: u32 = 1 << 6;
    let cause = "open_tree needs CAP_SYS_ADMIN, which root lacks by the caller's securebits (SECBIT_NOROOT)";
    said(&call(&bundle, NOROOT)?, cause, "call the runtime without them")?;
    let all = json!(["CAP_CHOWN"]);
    bundle.set(
        "/process/capabilities",
        json!({"bounding": all, "permitted": all, "effective": all, "inheritable": all, "ambient": all}),
    )?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    let cause = "the caller's securebits let no capability outlive a change of user (SECBIT_KEEP_CAPS_LOCKED)";
    said(&call(&bundle, KEEP_LOCKED)?, cause, "or run as user 0")?;
    let cause = "the caller's securebits forbid ambient capabilities (SECBIT_NO_CAP_AMBIENT_RAISE)";
    said(&call(&bundle, NO_AMBIENT)?, cause, "or no /process/capabilities/ambient")?;
    call(&bundle, 0)?.ok()?;
    bundle.clean()
}

/// A bundle of an ordinary user, with ids of its own and such that are lent; and the script that lends them.
fn lent() -> Result<(Bundle, String), Failed> {
    let mut bundle = of_user(Bundle::plain()?)?;
    let map =
        json!([{"containerID": 0, "hostID": USER, "size": 1}, {"containerID": 1, "hostID": 200_000, "size": 1000}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    fs::write(bundle.path("subid"), format!("{USER}:200000:1000\n"))?;
    fs::write(bundle.path("passwd"), format!("root:x:0:0::/:/bin/sh\nu:x:{USER}:{USER}::/:/bin/sh\n"))?;
    crate::bundle::copy_program(tool("newuidmap")?, bundle.path("helper"))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let script = format!(
        "cd {here}; for f in subuid subgid; do [ -e /etc/$f ] || touch /etc/$f; mount --bind subid /etc/$f; done; \
         mount --bind passwd /etc/passwd;"
    );
    Ok((bundle, script))
}

fn helpers() -> Outcome {
    let (bundle, lend) = lent()?;
    let user = format!("exec setpriv --reuid {USER} --regid {USER} --clear-groups");
    let own = |mode: &str| format!("cp helper other; chmod {mode} other; mount --bind other /usr/bin/newuidmap;");
    for (before, after, cause, cure) in [
        (
            own("755"),
            "",
            "/usr/bin/newuidmap has no rights: neither root's setuid bit nor file capabilities",
            "chmod u+s /usr/bin/newuidmap",
        ),
        (
            "mount --bind /usr/bin /usr/bin; mount -o remount,bind,nosuid /usr/bin;".into(),
            "",
            "/usr/bin/newuidmap gets no rights: it lies on the mount at /usr/bin, which is nosuid",
            "`mount -o remount,suid /usr/bin`",
        ),
        (
            String::new(),
            "--no-new-privs",
            "/usr/bin/newuidmap gets no rights: no_new_privs is set for the runtime's caller",
            "NoNewPrivileges=no",
        ),
    ] {
        let script = format!("{lend} {before} {user} {after} --");
        said(&run_in(&bundle, &["run"], &["unshare", "--mount"], &script)?, cause, cure)?;
        let check = run_in(&bundle, &["check", "--format", "json"], &["unshare", "--mount"], &script)?;
        ensure!(check.status == 1 && check.out.contains(cause), "{check:?}");
    }
    // What remains is told by the helper's file, or by the helper.
    for (before, cause, cure) in [
        (own("4750"), format!("user {USER} may not execute /usr/bin/newuidmap: permission denied"), "chmod a+rx"),
        (
            format!("echo > other; {} : > other;", own("4755")),
            "/usr/bin/newuidmap is an empty file: exec format error".into(),
            "copy the program again",
        ),
        (
            "echo > passwd;".into(),
            format!("user {USER} has no line in /etc/passwd, and the mapping helpers look the user up there"),
            "useradd",
        ),
    ] {
        let script = format!("{lend} {before} {user} --");
        said(&run_in(&bundle, &["run"], &["unshare", "--mount"], &script)?, &cause, cure)?;
    }
    bundle.clean()
}

fn root_not_lent() -> Outcome {
    let mut bundle = of_user(Bundle::plain()?)?;
    bundle.set("/linux/uidMappings", json!([{"containerID": 0, "hostID": 0, "size": 1}]))?;
    let script = format!("exec setpriv --reuid {USER} --regid {USER} --clear-groups --");
    let cause = format!("the host's root, user 0, is not lent to {USER}");
    let done = run_in(&bundle, &["run"], &["unshare", "--mount"], &script)?;
    said(&done, &cause, &format!("map your own id, {USER}"))?;
    ensure!(!done.err.contains(&format!("{USER}:0:1")), "{done:?}");
    let check = run_in(&bundle, &["check", "--format", "json"], &["unshare", "--mount"], &script)?;
    ensure!(check.status == 1 && check.out.contains(&cause), "{check:?}");
    bundle.clean()
}

fn chroot() -> Outcome {
    let bundle = nested("user")?;
    let root = bundle.path("all").to_string_lossy().into_owned();
    fs::create_dir_all(&root)?;
    let script = format!("mount --rbind / {root}; exec chroot {root}");
    let done = run_in(&bundle, &["run"], &["unshare", "--mount"], &script)?;
    said(&done, "a process in a chroot may make no user namespace", "pivot_root")?;
    // An id that is none is told apart.
    let done = run_in(&bundle, &["run"], &["unshare", "--user", "--mount"], "")?;
    said(&done, "the runtime's own user has no id in its user namespace, so it may make no other", "--map-root-user")?;
    bundle.clean()
}

/// The namespace belongs to another process, so the plan does not know that it denies them.
fn groups() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let mut holder = Command::new(tool("unshare")?).args(["--user", "--map-root-user", "sleep", "1000"]).spawn()?;
    let proc = format!("/proc/{}", holder.id());
    let result = patiently("a mapping", || {
        Ok(!fs::read_to_string(format!("{proc}/gid_map"))?.trim().is_empty()
            && fs::read_to_string(format!("{proc}/setgroups"))?.trim() == "deny")
    })
    .and_then(|()| {
        no_terminal_group(&mut bundle)?;
        bundle.set("/linux/namespaces/-", json!({"type": "user", "path": format!("{proc}/ns/user")}))?;
        bundle.set("/process/user", json!({"uid": 0, "gid": 0, "additionalGids": [0]}))?;
        let cause = "no groups may be set in this user namespace: its setgroups file says deny";
        says(&bundle, &format!("{cause} (config.json /process/user/additionalGids)"), "leave additionalGids out")
    });
    holder.kill()?;
    holder.wait()?;
    result?;
    bundle.clean()
}

fn of_the_machine() -> Outcome {
    let mut bundle = nested("")?;
    let run = |bundle: &Bundle, verb: &[&str], script: &str| run_in(bundle, verb, &NESTED, script);
    bundle.set("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 5}))?;
    let cause = "sched_setattr needs CAP_SYS_NICE of the machine, and rights in a user namespace do not count for that";
    said(&run(&bundle, &["run"], "")?, cause, "as root without a user namespace")?;
    bundle.remove("/process/scheduler")?;
    bundle.set("/process/oomScoreAdj", json!(-500))?;
    said(&run(&bundle, &["run"], "")?, "oomScoreAdj of -500 is below the caller's own ", "at least ")?;
    bundle.remove("/process/oomScoreAdj")?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 8192}]))?;
    let cause = "RLIMIT_CORE of 8192 is above the hard limit of the caller, 1024";
    said(&run(&bundle, &["run"], "ulimit -H -c 2;")?, cause, "at most 1024")?;
    let check = run(&bundle, &["check", "--format", "json"], "ulimit -H -c 2;")?;
    ensure!(check.status == 1 && check.out.contains(cause), "{check:?}");
    bundle.remove("/process/rlimits")?;
    bundle.set("/process/user", json!({"uid": 5, "gid": 0}))?;
    let cause = "user 5 has no id in the container's user namespace";
    said(&run(&bundle, &["run"], "")?, &format!("{cause} (config.json /process/user/uid)"), "a mapping with this id")?;
    let check = run(&bundle, &["check", "--format", "json"], "")?;
    ensure!(check.status == 1 && check.out.contains(cause), "{check:?}");
    bundle.clean()
}

fn foreign_proc() -> Outcome {
    let bundle = nested("user")?;
    let around = [&NESTED[..], &["--pid", "--fork"]].concat();
    let cause = "/proc is that of another pid namespace: this process, ";
    said(&run_in(&bundle, &["run"], &around, "")?, cause, "unshare --pid --fork --mount-proc")?;
    let check = run_in(&bundle, &["check", "--format", "json"], &around, "")?;
    ensure!(check.status == 1 && check.out.contains(cause), "{check:?}");
    bundle.clean()
}

/// Files outside of any plan, and the rootfs.
fn closed() -> Outcome {
    let bundle = of_user(Bundle::plain()?)?;
    let user = format!("exec setpriv --reuid {USER} --regid {USER} --clear-groups --");
    let close = |path: &str| format!("chown 0:0 {path}; chmod 0700 {path}; {user}");
    let rootfs = bundle.rootfs("").to_string_lossy().trim_end_matches('/').to_owned();
    let script = close(&rootfs);
    let done = run_in(&bundle, &["run"], &["unshare", "--mount"], &script)?;
    let words = [
        format!("user {USER} may not enter the rootfs "),
        "its mode is 0700, its owner 0:0 (config.json /root/path".into(),
    ];
    ensure!(words.iter().all(|word| done.err.lines().next().is_some_and(|first| first.contains(word))), "{done:?}");
    let check = run_in(&bundle, &["check", "--format", "json"], &["unshare", "--mount"], &script)?;
    ensure!(check.status == 1 && check.out.contains(&words[0]), "{check:?}");
    let config = bundle.path("config.json").to_string_lossy().into_owned();
    let done = run_in(&bundle, &["run"], &["unshare", "--mount"], &close(&config))?;
    let first = done.err.lines().next().unwrap_or_default();
    let begins = format!("nk-runtime: user {USER} may not read ");
    ensure!(first.starts_with(&begins) && first.ends_with("its mode is 0700, its owner 0:0"), "{done:?}");
    let done = run_in(&bundle, &["--root", "/etc/passwd", "run"], &["unshare", "--mount"], "")?;
    said(&done, "/etc/passwd is a file, not a directory", "name a directory")?;
    let dangling = bundle.path("gone").to_string_lossy().into_owned();
    std::os::unix::fs::symlink("/no/such/place", &dangling)?;
    let done = run_in(&bundle, &["--root", &dangling, "run"], &["unshare", "--mount"], "")?;
    said(&done, &format!("the state root {dangling} is a link that leads nowhere"), "--root DIR")?;
    for (text, cause) in
        [("", "is empty ("), ("\u{feff}{}", "has a byte order mark at its beginning, which JSON does not allow (")]
    {
        fs::write(&config, text)?;
        let done = bundle.call(&["run", "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?;
        ensure!(done.err.lines().next().is_some_and(|first| first.contains(cause)), "{done:?}");
    }
    let full = "mount -t tmpfs -o size=4k none /mnt;";
    let done = run_in(&bundle, &["--root", "/mnt", "run"], &["unshare", "--mount"], full)?;
    let first = done.err.lines().next().unwrap_or_default();
    ensure!(first.ends_with(" lies on a file system that is full (--root)"), "{done:?}");
    bundle.clean()
}

/// A value is named by the file that it came from.
fn other_file() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.write_config()?;
    let [file, here] = ["other.json", ""].map(|name| bundle.path(name).to_string_lossy().into_owned());
    let call = |bundle: &Bundle, words: &[&str], cause: &str, pointer: &str| {
        let done = bundle.call(&[words, &["--config", &file, "--bundle", &here, &bundle.id]].concat())?;
        let place = format!("{file} {pointer})");
        let shown = place.len() > 80 || done.err.lines().next().is_some_and(|first| first.ends_with(&place));
        ensure!(done.err.starts_with(&format!("nk-runtime: {cause}")) && shown, "{done:?}");
        ensure!(done.err.contains("other.json") || place.len() > 80, "{done:?}");
        ensure!(!done.err.contains("config.json"), "{done:?}");
        Ok::<(), Failed>(())
    };
    let mut other = bundle.config.clone();
    let write = |other: &serde_json::Value| fs::write(&file, other.to_string());
    other["process"]["args"] = json!(["/nosuch"]);
    write(&other)?;
    call(&bundle, &["run"], "/nosuch is not in the rootfs", "/process/args/0")?;
    call(&bundle, &["create"], "/nosuch is not in the rootfs", "/process/args/0")?;
    other["process"]["args"] = json!(["true"]);
    other["hooks"] = json!({"poststart": [{"path": "/bin/false"}]});
    write(&other)?;
    call(&bundle, &["run"], "hook /bin/false: exit status 1", "/hooks/poststart/0")?;
    // The rest of a life knows the file as well.
    other["hooks"] = json!({});
    other["process"]["args"] = json!(["/x"]);
    write(&other)?;
    fs::write(bundle.rootfs("x"), "")?;
    fs::set_permissions(bundle.rootfs("x"), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    bundle.call(&["create", "--config", &file, "--bundle", &here, &bundle.id])?.ok()?;
    let done = bundle.call(&["start", &bundle.id])?;
    ensure!(done.err.starts_with("nk-runtime: /x is an empty file") && !done.err.contains("config.json"), "{done:?}");
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    // A cure names it, too.
    let here = bundle.path("nothing/log").to_string_lossy().into_owned();
    let done = bundle.bundled(&["--log", &here, "run"])?;
    ensure!(done.err.lines().next().is_some_and(|first| first.ends_with("/nothing is not there (--log)")), "{done:?}");
    other["process"]["args"] = json!(["/bin"]);
    write(&other)?;
    let done = bundle.call(&["run", "--config", &file, "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?;
    ensure!(done.err.contains(&format!("try: name a file in {file} /process/args/0")), "{done:?}");
    bundle.set("/process/args/0", json!("true"))?;
    bundle.clean()
}
