//! `linux.seccomp` from inside a container: every action, conditions, foreign calls; and what is refused.
//! Verdicts are compared with libseccomp's by a unit test of the compiler.

pub mod notify;

use crate::bundle::{Bundle, Done};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::libc;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "seccomp",
        &[
            ("errno", errno),
            ("actions_that_end_the_program", endings),
            ("log_and_trace", log_and_trace),
            ("default_errno", default_errno),
            ("newer_calls_are_not_there", newer),
            ("conditions", conditions),
            ("without_no_new_privs", with_privileges),
            ("other_ways_into_the_kernel", other_ways),
            ("filter_is_the_last_call", last_call),
            ("profiles_that_know_no_call_of_ours", unknown_to_profile),
            ("older_profiles_of_engines", older),
            ("right_to_load_does_not_stay", right_to_load),
            ("hooks_of_start_are_not_filtered", start_hooks),
            ("flags", flags),
            ("profile_that_refuses_execve", no_execve),
            ("refusals", refusals),
            ("profiles_of_engines", engines),
            ("table_of_names_is_the_generators", generated),
        ],
    )
}

const GETPID: i64 = libc::SYS_getpid;
const GETPPID: i64 = libc::SYS_getppid;
const SETGID: i64 = libc::SYS_setgid;
pub const PERSONALITY: i64 = libc::SYS_personality;
/// This machine's name in a profile.
pub const OWN: &str = if cfg!(target_arch = "aarch64") {
    "SCMP_ARCH_AARCH64"
} else if cfg!(target_arch = "riscv64") {
    "SCMP_ARCH_RISCV64"
} else {
    "SCMP_ARCH_X86_64"
};

fn ours(bundle: &mut Bundle, default: &str, rules: Value) -> Outcome {
    bundle.set("/linux/seccomp", json!({"defaultAction": default, "syscalls": rules}))
}

/// What calls answer under a profile that allows all but these rules.
fn answers(calls: &[&str], rules: Value) -> Result<(Bundle, Value), Failed> {
    let words: Vec<&str> = calls.iter().flat_map(|call| ["--call", call]).collect();
    let mut bundle = Bundle::reporter(&words)?;
    ours(&mut bundle, "SCMP_ACT_ALLOW", rules)?;
    let report = bundle.report()?;
    Ok((bundle, report["tried"]["call"].clone()))
}

fn errno() -> Outcome {
    let rules = json!([
        {"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95},
        {"names": ["setgid", "nosuchcall"], "action": "SCMP_ACT_ERRNO"},
    ]);
    let [parent, group, own] = [GETPPID.to_string(), format!("{SETGID}:0"), GETPID.to_string()];
    let (bundle, said) = answers(&[&parent, &group, &own], rules)?;
    same("getppid", &said[&parent]["error"], &json!("EOPNOTSUPP"))?;
    same("setgid", &said[&group]["error"], &json!("EPERM"))?;
    same("getpid", &said[&own], &json!(1))?;
    bundle.clean()
}

/// 31 is SIGSYS.
fn endings() -> Outcome {
    for action in ["KILL", "KILL_THREAD", "KILL_PROCESS", "TRAP"] {
        let mut bundle = Bundle::reporter(&["--call", &GETPPID.to_string()])?;
        let rules = json!([{"names": ["getppid"], "action": format!("SCMP_ACT_{action}")}]);
        ours(&mut bundle, "SCMP_ACT_ALLOW", rules)?;
        // getppid is called by the report, too.
        let done = bundle.bundled(&["run"])?;
        same(action, done.status, 128 + 31)?;
        bundle.clean()?;
    }
    Ok(())
}

fn log_and_trace() -> Outcome {
    let rules = json!([
        {"names": ["setgid"], "action": "SCMP_ACT_LOG"},
        {"names": ["personality"], "action": "SCMP_ACT_TRACE", "errnoRet": 7},
    ]);
    let call = format!("{SETGID}:0");
    let persona = format!("{PERSONALITY}:4294967295");
    let (bundle, said) = answers(&[&call, &persona], rules)?;
    same("setgid is made", &said[&call], &json!(0))?;
    same("without a tracer", &said[&persona]["error"], &json!("ENOSYS"))?;
    bundle.clean()
}

/// What a static program and our last calls need.
fn allowed() -> Value {
    let names = [
        "read",
        "write",
        "close",
        "fstat",
        "lseek",
        "mmap",
        "mprotect",
        "munmap",
        "brk",
        "rt_sigaction",
        "rt_sigprocmask",
        "ioctl",
        "pread64",
        "execve",
        "exit",
        "exit_group",
        "arch_prctl",
        "set_tid_address",
        "set_robust_list",
        "rseq",
        "prlimit64",
        "readlink",
        "getrandom",
        "openat",
        "newfstatat",
        "getdents64",
        "statx",
        "getpid",
        "getsid",
        "getgroups",
        "uname",
        "socket",
        "sendto",
        "recvmsg",
        "bind",
        "getsockname",
        "clock_gettime",
        "poll",
        "ppoll",
        "sigaltstack",
        "getppid",
        "ioprio_get",
        "getcwd",
        "fcntl",
        "recvfrom",
        "mremap",
        "gettid",
        "tgkill",
        "readlinkat",
        "futex",
        "sched_getaffinity",
        "setsockopt",
        "statfs",
    ];
    json!([{"names": names.to_vec(), "action": "SCMP_ACT_ALLOW"}])
}

fn default_errno() -> Outcome {
    let call = format!("{SETGID}:0");
    let mut bundle = Bundle::reporter(&["--call", &call])?;
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 99, "syscalls": allowed()}),
    )?;
    let report = bundle.report()?;
    same("setgid", &report["tried"]["call"][&call]["error"], &json!("EADDRNOTAVAIL"))?;
    same("Seccomp", report["status"]["Seccomp"].as_str(), Some("2"))?;
    bundle.clean()
}

/// The profile knows calls up to rseq (334 on x86-64): what is newer answers ENOSYS, and libraries take the older one.
fn newer() -> Outcome {
    let group = format!("{SETGID}:0");
    let mut bundle = Bundle::reporter(&["--call", "435:0:0", "--call", "9999", "--call", &group])?;
    ours(&mut bundle, "SCMP_ACT_ERRNO", allowed())?;
    let report = bundle.report()?;
    let said = &report["tried"]["call"];
    same("clone3", &said["435:0:0"]["error"], &json!("ENOSYS"))?;
    same("9999", &said["9999"]["error"], &json!("ENOSYS"))?;
    same("setgid", &said[&group]["error"], &json!("EPERM"))?;
    bundle.clean()
}

fn conditions() -> Outcome {
    let rules = json!([{
        "names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95,
        "args": [{"index": 0, "value": 4294967297u64, "op": "SCMP_CMP_NE"}, {"index": 1, "value": 5, "op": "SCMP_CMP_GE"}],
    }]);
    let calls = ["4294967295:4", "4294967295:5", "4294967297:9"].map(|args| format!("{PERSONALITY}:{args}"));
    let (bundle, said) = answers(&calls.each_ref().map(String::as_str), rules)?;
    same("the second does not hold", &said[&calls[0]], &json!(0))?;
    same("both hold", &said[&calls[1]]["error"], &json!("EOPNOTSUPP"))?;
    same("the first does not hold", &said[&calls[2]], &json!(0))?;
    bundle.clean()
}

/// Without no_new_privs the filter is loaded with CAP_SYS_ADMIN, also for a user who is not to have it.
fn with_privileges() -> Outcome {
    let parent = GETPPID.to_string();
    let mut bundle = Bundle::reporter(&["--call", &parent])?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    let rules = json!([{"names": ["getppid"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]);
    ours(&mut bundle, "SCMP_ACT_ALLOW", rules)?;
    let report = bundle.report()?;
    same("getppid", &report["tried"]["call"][&parent]["error"], &json!("EOPNOTSUPP"))?;
    same("NoNewPrivs", report["status"]["NoNewPrivs"].as_str(), Some("0"))?;
    same("uid", &report["uid"], &json!([1000, 1000, 1000, 1000]))?;
    bundle.clean()
}

/// A 32-bit call, and one of x32, have numbers of their own: without these architectures in the profile their use is
/// the end, with them the rule holds there, too. 136 is personality's 32-bit number.
fn other_ways() -> Outcome {
    let x32 = format!("{}", 0x4000_0000 + PERSONALITY);
    let ways = [("call32", "--call32", "136"), ("call", "--call", &x32)];
    let rules = json!([{"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 95}]);
    for (kind, option, number) in ways {
        for native in [Value::Null, json!(["SCMP_ARCH_X86_64"])] {
            let mut bundle = Bundle::reporter(&[option, number])?;
            ours(&mut bundle, "SCMP_ACT_ALLOW", rules.clone())?;
            bundle.set("/linux/seccomp/architectures", native)?;
            let done = bundle.bundled(&["run"])?;
            same(number, done.status, 128 + 31)?;
            bundle.clean()?;
        }
        let mut bundle = Bundle::reporter(&[option, number])?;
        ours(&mut bundle, "SCMP_ACT_ALLOW", rules.clone())?;
        bundle.set("/linux/seccomp/architectures", json!(["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"]))?;
        let report = bundle.report()?;
        let error = &report["tried"][kind][number]["error"];
        same(number, error, &json!("EOPNOTSUPP"))?;
        bundle.clean()?;
    }
    Ok(())
}

/// The three ways to the right to load a filter: no_new_privs, CAP_SYS_ADMIN of the program's own, and neither.
fn orders(bundle: &mut Bundle, mut each: impl FnMut(&mut Bundle, &str) -> Outcome) -> Outcome {
    let own = bundle.config["process"]["capabilities"].clone();
    let admin = json!(["CAP_SYS_ADMIN", "CAP_KILL"]);
    let admin = json!({"bounding": admin, "effective": admin, "permitted": admin});
    for (order, no_new_privs, capabilities) in
        [("no_new_privs", true, &own), ("CAP_SYS_ADMIN", false, &admin), ("neither", false, &own)]
    {
        bundle.set("/process/noNewPrivileges", json!(no_new_privs))?;
        bundle.set("/process/capabilities", capabilities.clone())?;
        each(bundle, order)?;
    }
    Ok(())
}

/// Nothing of ours but execve passes through the filter.
fn last_call() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let rules = json!([{"names": ["execve"], "action": "SCMP_ACT_ALLOW"}]);
    ours(&mut bundle, "SCMP_ACT_ERRNO", rules)?;
    orders(&mut bundle, |bundle, order| {
        bundle.bundled(&["create"])?.ok()?;
        bundle.call(&["start", &bundle.id])?.ok()?;
        bundle.until("stopped")?;
        let trace = bundle.call(&["trace", &bundle.id, "--format", "strace"])?;
        let trace = trace.ok()?.out;
        let init: Vec<&str> = trace.lines().collect();
        let loads = |line: &&str| line.contains(" seccomp(");
        let at = init.iter().position(loads);
        let at = at.ok_or("no seccomp in the trace")?;
        let pid = init[at].split(' ').next().unwrap_or("");
        let rest = init[at + 1..].iter().filter(|line| line.starts_with(pid));
        let rest: Vec<&&str> = rest.collect();
        ensure!(rest.len() == 1 && rest[0].contains("execve("), "{order}: after the filter: {rest:?}");
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        Ok(())
    })?;
    bundle.clean()
}

/// Each call that a runtime may make before execve, refused in each way: the program does not need them.
fn unknown_to_profile() -> Outcome {
    const OURS: [&str; 14] = [
        "faccessat2",
        "newfstatat",
        "umask",
        "capset",
        "capget",
        "prctl",
        "setresuid",
        "setresgid",
        "setgroups",
        "read",
        "write",
        "close_range",
        "fchdir",
        "getcwd",
    ];
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["true"]))?;
    orders(&mut bundle, |bundle, order| {
        for (action, errno) in [
            ("SCMP_ACT_ERRNO", Some(nix::libc::EPERM)),
            ("SCMP_ACT_ERRNO", Some(nix::libc::ENOSYS)),
            ("SCMP_ACT_KILL_PROCESS", None),
        ] {
            // busybox itself calls prctl, and lives when it is refused.
            let survives = |name: &&str| errno.is_some() || *name != "prctl";
            let all: Vec<&str> = OURS.into_iter().filter(survives).collect();
            let one = all.iter().map(|name| vec![*name]);
            for names in one.chain([all.clone()]) {
                let mut rule = json!({"names": names, "action": action});
                if let Some(errno) = errno {
                    rule["errnoRet"] = json!(errno);
                }
                ours(bundle, "SCMP_ACT_ALLOW", json!([rule]))?;
                let done = bundle.bundled(&["run"])?;
                ensure!(done.status == 0 && done.err.is_empty(), "{order}, {action}, {names:?}: {done:?}");
            }
        }
        Ok(())
    })?;
    bundle.clean()
}

/// What the default profiles of Docker 19.03 and podman 2 did not know yet, left out of today's; in `run`, `create` and `exec`.
fn older() -> Outcome {
    const NEWER: [&str; 16] = [
        "faccessat2",
        "clone3",
        "openat2",
        "close_range",
        "pidfd_getfd",
        "pidfd_open",
        "pidfd_send_signal",
        "open_tree",
        "move_mount",
        "mount_setattr",
        "epoll_pwait2",
        "rseq",
        "futex_waitv",
        "io_uring_setup",
        "landlock_restrict_self",
        "clock_gettime64",
    ];
    for name in ["docker-1", "podman-1"] {
        let config = crate::real::config(name)?;
        let mut profile = config["linux"]["seccomp"].clone();
        let rules = profile["syscalls"].as_array_mut();
        let rules = rules.ok_or("the profile has no list")?;
        for rule in rules.iter_mut() {
            let names = rule["names"].as_array_mut().ok_or("no names")?;
            names.retain(|name| !NEWER.iter().any(|newer| name == newer));
        }
        rules.retain(|rule| rule["names"] != json!([]));
        let mut bundle = Bundle::shell("sleep 1000")?;
        bundle.set("/linux/seccomp", profile)?;
        orders(&mut bundle, |bundle, _| {
            bundle.set("/process/args", json!(["true"]))?;
            bundle.bundled(&["run"])?.ok()?;
            bundle.set("/process/args", json!(["sleep", "1000"]))?;
            bundle.bundled(&["create"])?.ok()?;
            bundle.call(&["start", &bundle.id])?.ok()?;
            bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
            bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
            Ok(())
        })?;
        bundle.clean()?;
    }
    Ok(())
}

/// CAP_SYS_ADMIN, kept until the filter is loaded, is gone with execve: the sets are those of a container without a filter.
fn right_to_load() -> Outcome {
    for uid in [0, 1000] {
        for ambient in [json!([]), json!(["CAP_KILL"])] {
            let mut bundle = Bundle::reporter(&[])?;
            bundle.set("/process/noNewPrivileges", json!(false))?;
            bundle.set("/process/user", json!({"uid": uid, "gid": uid}))?;
            bundle.set("/process/capabilities/inheritable", ambient.clone())?;
            bundle.set("/process/capabilities/ambient", ambient)?;
            let without = bundle.report()?;
            let rules = json!([{"names": ["setgid"], "action": "SCMP_ACT_ERRNO"}]);
            ours(&mut bundle, "SCMP_ACT_ALLOW", rules)?;
            let with = bundle.report()?;
            same("Seccomp", with["status"]["Seccomp"].as_str(), Some("2"))?;
            for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
                let is = &with["status"][set];
                ensure!(is.is_string(), "no {set} in the report");
                same(set, is, &without["status"][set])?;
            }
            bundle.clean()?;
        }
    }
    Ok(())
}

/// A startContainer hook is the caller's, and not the program.
fn start_hooks() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["true"]))?;
    bundle.set("/root/readonly", json!(false))?;
    let hook = json!({"path": "/bin/sh", "args": ["sh", "-c", "mkdir /tmp/made"], "env": ["PATH=/bin"]});
    bundle.set("/hooks", json!({"startContainer": [hook]}))?;
    let rules = json!([{"names": ["mkdir", "mkdirat", "clone3", "clone"], "action": "SCMP_ACT_KILL_PROCESS"}]);
    ours(&mut bundle, "SCMP_ACT_ALLOW", rules)?;
    orders(&mut bundle, |bundle, order| {
        bundle.bundled(&["run"])?.ok()?;
        fs::remove_dir(bundle.rootfs("tmp/made")).map_err(|error| format!("{order}: {error}"))?;
        Ok(())
    })?;
    bundle.clean()
}

fn flags() -> Outcome {
    for (flags, wanted) in [
        (Value::Null, "SECCOMP_FILTER_FLAG_SPEC_ALLOW"),
        (json!([]), "seccomp(SECCOMP_SET_MODE_FILTER, 0, "),
        (
            json!(["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]),
            "SECCOMP_FILTER_FLAG_TSYNC|SECCOMP_FILTER_FLAG_LOG",
        ),
    ] {
        let mut bundle = Bundle::plain()?;
        let rules = json!([{"names": ["getppid"], "action": "SCMP_ACT_ERRNO"}]);
        bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": flags, "syscalls": rules}))?;
        bundle.bundled(&["run"])?.ok()?;
        let trace = bundle.call(&["trace", &bundle.id, "--format", "strace"])?.ok()?.out;
        ensure!(trace.contains(wanted), "`{wanted}` should be in the trace");
        bundle.clean()?;
    }
    Ok(())
}

fn no_execve() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let rules = json!([{"names": ["write", "exit_group"], "action": "SCMP_ACT_ALLOW"}]);
    ours(&mut bundle, "SCMP_ACT_ERRNO", rules)?;
    let done = bundle.bundled(&["run"])?.refused("execve(")?;
    ensure!(done.err.contains("seccomp profile"), "{done:?}");
    // Nor may init say what happened, nor end itself.
    let rules = json!([{"names": ["read"], "action": "SCMP_ACT_ALLOW"}]);
    ours(&mut bundle, "SCMP_ACT_ERRNO", rules)?;
    bundle.bundled(&["run"])?.refused("execve(")?;
    bundle.nothing_left()?;
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.refused("execve(")?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn refusals() -> Outcome {
    let rule = |more: Value| {
        let mut rule = json!({"names": ["read"], "action": "SCMP_ACT_ERRNO"});
        if let (Some(rule), Some(more)) = (rule.as_object_mut(), more.as_object()) {
            rule.extend(more.clone());
        }
        json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule]})
    };
    let table = [
        (json!({"defaultAction": "ALLOW"}), "defaultAction"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "defaultErrnoRet": 1}), "defaultErrnoRet"),
        (json!({"defaultAction": "SCMP_ACT_NOTIFY"}), "defaultAction"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}), "architectures/0"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["X"]}), "flags/0"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV"]}), "flags/0"),
        (json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerMetadata": "x"}), "listenerMetadata"),
        (rule(json!({"action": "SCMP_ACT_NOTIFY"})), "listenerPath"),
        (rule(json!({"action": "SCMP_ACT_WILD"})), "syscalls/0/action"),
        (rule(json!({"action": "SCMP_ACT_KILL", "errnoRet": 1})), "syscalls/0/errnoRet"),
        (rule(json!({"errnoRet": 5000})), "syscalls/0/errnoRet"),
        (rule(json!({"names": []})), "syscalls/0/names"),
        (rule(json!({"names": ["execve"], "action": "SCMP_ACT_NOTIFY"})), "syscalls/0/names/0"),
        (rule(json!({"args": [{"index": 6, "op": "SCMP_CMP_EQ", "value": 1}]})), "syscalls/0/args/0/index"),
        (rule(json!({"args": [{"index": 1, "op": "EQ", "value": 1}]})), "syscalls/0/args/0/op"),
        (rule(json!({"args": [{"index": 1, "op": "SCMP_CMP_EQ", "value": -1}]})), "syscalls/0/args/0/value"),
    ];
    let mut bundle = Bundle::plain()?;
    for (value, place) in table {
        bundle.set("/linux/seccomp", value)?;
        bundle.bundled(&["run"])?.refused(&format!("/linux/seccomp/{place}: "))?;
    }
    bundle.clean()
}

/// The default profiles of engines load, and say what a new call is answered.
fn engines() -> Outcome {
    for name in ["docker-1", "podman-1", "containerd-1"] {
        let config = crate::real::config(name)?;
        let Some(profile) = config["linux"].get("seccomp") else {
            continue;
        };
        for privileges in [true, false] {
            let mut bundle = Bundle::reporter(&["--call", "9999", "--call", &GETPID.to_string()])?;
            bundle.set("/linux/seccomp", profile.clone())?;
            bundle.set("/process/noNewPrivileges", json!(!privileges))?;
            let report = bundle.report()?;
            let said = &report["tried"]["call"];
            same("a call of the future", &said["9999"]["error"], &json!("ENOSYS"))?;
            same("getpid", &said[GETPID.to_string()], &json!(1))?;
            bundle.clean()?;
        }
    }
    Ok(())
}

fn generated() -> Outcome {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let done: Done = Bundle::plain()?.finish(Command::new(root.join("scripts/syscall-names")))?.ok()?;
    let there = fs::read_to_string(root.join("syscalls/src/names/table.rs"))?;
    ensure!(done.out == there, "scripts/syscall-names makes another table than syscalls/src/names/table.rs");
    Ok(())
}
