//! A container whose configuration asks for everything at once: a user namespace, mapped and copied mounts, a filter of 400
//! names, hooks of all kinds, settings, shifted clocks, and many more. Others that take the ways it cannot take.

use crate::Failed;
use crate::bundle::Bundle;
use crate::namespaces::in_user_namespace;
use serde_json::json;
use std::fs;

/// 400 names of system calls, and more that this kernel may not have.
pub fn names() -> Result<Vec<String>, Failed> {
    let config = crate::real::config("docker-1")?;
    let rules = config["linux"]["seccomp"]["syscalls"].as_array().cloned().unwrap_or_default();
    let all = rules.iter().flat_map(|rule| rule["names"].as_array().cloned().unwrap_or_default());
    let mut names: Vec<String> = all.filter_map(|name| name.as_str().map(String::from)).collect();
    names.sort();
    names.dedup();
    Ok(names)
}

pub fn bundle() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell("id -u > /dev/null; true")?;
    fs::create_dir_all(bundle.path("data/inner"))?;
    fs::create_dir_all(bundle.rootfs("copied/deep"))?;
    fs::write(bundle.rootfs("copied/deep/file"), "file\n")?;
    let source = bundle.path("data").to_string_lossy().into_owned();
    for mount in [
        json!({"destination": "/tmp/mapped", "type": "bind", "source": source, "options": ["rbind", "ro", "idmap"]}),
        json!({"destination": "/tmp/own", "type": "bind", "source": source, "options": ["bind", "rnosuid", "rprivate"],
            "uidMappings": [{"containerID": 0, "hostID": 5, "size": 10}],
            "gidMappings": [{"containerID": 0, "hostID": 5, "size": 10}]}),
        json!({"destination": "/copied", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup", "size=1m"]}),
    ] {
        bundle.set("/mounts/-", mount)?;
    }
    let hook = json!([{"path": "/bin/true", "args": ["true"], "timeout": 60}]);
    let inside = json!([{"path": "/bin/true"}]);
    bundle.set(
        "/hooks",
        json!({"prestart": hook, "createRuntime": hook, "createContainer": hook, "startContainer": inside, "poststart": hook, "poststop": hook}),
    )?;
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_forward": "1", "kernel.shmmni": "777"}))?;
    bundle.set("/linux/namespaces/-", json!({"type": "time"}))?;
    bundle.set("/linux/timeOffsets", json!({"monotonic": {"secs": 1000}, "boottime": {"secs": 2000}}))?;
    bundle.set("/linux/rootfsPropagation", json!("rslave"))?;
    bundle.set("/linux/personality", json!({"domain": "LINUX"}))?;
    bundle.set("/linux/memoryPolicy", json!({"mode": "MPOL_PREFERRED", "nodes": "0"}))?;
    bundle.set("/linux/devices", json!([{"type": "c", "path": "/dev/kmsg", "major": 1, "minor": 11}]))?;
    bundle.set("/process/oomScoreAdj", json!(100))?;
    bundle.set("/process/scheduler", json!({"policy": "SCHED_BATCH", "nice": 19}))?;
    bundle.set("/process/ioPriority", json!({"class": "IOPRIO_CLASS_BE", "priority": 6}))?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 100, "umask": 0o27, "additionalGids": [5, 6]}))?;
    bundle.set("/domainname", json!("domain"))?;
    bundle.set(
        "/linux/seccomp",
        json!({
            "defaultAction": "SCMP_ACT_ERRNO",
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"],
            "syscalls": [
                {"names": names()?, "action": "SCMP_ACT_ALLOW"},
                {"names": ["kexec_load", "reboot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
                {"names": ["acct"], "action": "SCMP_ACT_KILL", "args": [{"index": 0, "value": 7, "op": "SCMP_CMP_GE"}]},
            ],
        }),
    )?;
    in_user_namespace(bundle)
}

/// What is there is joined, by a bridge and by init itself; parameters of the scheduler are kept.
pub fn joined() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/scheduler", json!({"policy": "SCHED_OTHER", "flags": ["SCHED_FLAG_KEEP_PARAMS"]}))?;
    bundle.set("/linux/namespaces/0", json!({"type": "pid", "path": "/proc/self/ns/pid"}))?;
    bundle.set("/linux/namespaces/2", json!({"type": "ipc", "path": "/proc/self/ns/ipc"}))?;
    Ok(bundle)
}

/// Every kind of file in a tmpfs that begins as a copy, a procfs under other mounts, real-time scheduling, a filter
/// without no_new_privs.
pub fn copied() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    fs::create_dir_all(bundle.rootfs("copied/deep/er"))?;
    fs::create_dir_all(bundle.path("data"))?;
    fs::write(bundle.rootfs("copied/file"), vec![b'x'; 10_000])?;
    std::os::unix::fs::symlink("file", bundle.rootfs("copied/link"))?;
    nix::unistd::mkfifo(&bundle.rootfs("copied/fifo"), nix::sys::stat::Mode::from_bits_truncate(0o640))?;
    let source = bundle.path("data").to_string_lossy().into_owned();
    for mount in [
        json!({"destination": "/copied", "type": "tmpfs", "options": ["tmpcopyup", "nodev", "rro"]}),
        json!({"destination": "/proc/fs", "type": "bind", "source": source, "options": ["bind", "rro"]}),
    ] {
        bundle.set("/mounts/-", mount)?;
    }
    bundle.set("/process/oomScoreAdj", json!(100))?;
    bundle.set("/process/scheduler", json!({"policy": "SCHED_FIFO", "priority": 3}))?;
    bundle.set("/linux/personality", json!({"domain": "LINUX32"}))?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_LOG"], "syscalls": [{"names": ["acct"], "action": "SCMP_ACT_KILL"}]}),
    )?;
    Ok(bundle)
}
