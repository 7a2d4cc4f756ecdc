//! `--watch`: programs that the container refuses something, each for another reason, and the line of config.json that the
//! summary names.

pub mod variants;

use crate::bundle::{Bundle, tool};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::Command;

/// A program that is refused something: its name, what it runs, what is changed before, and what the summary names.
struct Row {
    name: &'static str,
    program: Program,
    change: fn(&mut Bundle) -> Outcome,
    by: &'static str,
    pointer: &'static str,
}

enum Program {
    Shell(&'static str),
    Reporter(&'static [&'static str]),
    /// tests/programs/refused.c.
    Calls(&'static [&'static str]),
}
use Program::{Calls, Reporter, Shell};

pub fn cases() -> Vec<Trial> {
    let rows = [rights(), mounts(), files(), limits(), surroundings()].into_iter().flatten();
    let mut cases: Vec<Trial> =
        rows.map(|row| Trial::test(format!("refused::{}", row.name), move || refused(&row).map(drop))).collect();
    cases.extend(variants::cases());
    cases.push(Trial::test("refused::nothing_that_is_the_programs_own_matter", own_matter));
    cases.push(Trial::test("refused::a_quota_of_keys", keys));
    cases.push(Trial::test("refused::what_one_change_lifts_is_said_once", said_once));
    cases
}

fn row(
    name: &'static str,
    program: Program,
    change: fn(&mut Bundle) -> Outcome,
    (by, pointer): (&'static str, &'static str),
) -> Row {
    Row { name, program, change, by, pointer }
}

/// The causes that the summary names: by what, and the place.
fn causes(summary: &str) -> Vec<(String, String)> {
    let line = |line: &str| {
        let (times, rest) = line.split_once(" x  ")?;
        let (by, place) = rest.split_once(": ")?;
        times.parse::<u32>().ok().map(|_| (by.to_owned(), place.to_owned()))
    };
    summary.lines().filter_map(line).collect()
}

fn bundle(program: &Program) -> Result<Bundle, Failed> {
    let mut bundle = match program {
        Shell(script) => Bundle::shell(script)?,
        Reporter(words) => Bundle::reporter(&[&["--quiet"], *words].concat())?,
        Calls(words) => variants::calls(words)?,
    };
    bundle.set("/process/env", json!(["PATH=/bin"]))?;
    bundle.set("/root/readonly", json!(false))?;
    Ok(bundle)
}

/// Runs it, and looks at the causes. What is on standard error.
fn refused(row: &Row) -> Result<String, Failed> {
    let mut bundle = bundle(&row.program)?;
    (row.change)(&mut bundle)?;
    let done = bundle.bundled(&["run", "--watch"])?;
    let pointer =
        row.pointer.replace("LAST", &(bundle.config["mounts"].as_array().map_or(0, Vec::len) - 1).to_string());
    let wanted = vec![(row.by.to_owned(), pointer)];
    same(&format!("the causes in {}", done.err), causes(&done.err), wanted)?;
    for label in ["  what:    ", "  first:   ", "  try:     ", "  opens:   "] {
        ensure!(done.err.contains(label), "no line {label:?} in {}", done.err);
    }
    ensure!(done.err.lines().all(|line| line.chars().count() <= 200), "a line is too long: {}", done.err);
    bundle.clean()?;
    Ok(done.err)
}

fn nothing(_: &mut Bundle) -> Outcome {
    Ok(())
}

/// Only these capabilities, as engines write them.
fn capable(bundle: &mut Bundle, names: &[&str]) -> Outcome {
    let sets = json!({"bounding": names, "permitted": names, "effective": names});
    bundle.set("/process/capabilities", sets)
}

fn without_rights(bundle: &mut Bundle) -> Outcome {
    capable(bundle, &[])
}

fn ordinary(bundle: &mut Bundle) -> Outcome {
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))
}

fn profile(bundle: &mut Bundle, rules: Value) -> Outcome {
    let profile = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": [crate::seccomp::OWN], "syscalls": rules});
    bundle.set("/linux/seccomp", profile)
}

fn mount(bundle: &mut Bundle, options: &[&str]) -> Outcome {
    fs::create_dir_all(bundle.rootfs("mnt"))?;
    let mount = json!({"destination": "/mnt", "type": "tmpfs", "source": "tmpfs", "options": options});
    bundle.set("/mounts/-", mount)
}

/// A user namespace with ids 0 to 999, on the host as well.
fn user_namespace(bundle: &mut Bundle) -> Outcome {
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    for list in ["uidMappings", "gidMappings"] {
        bundle.set(&format!("/linux/{list}"), json!([{"containerID": 0, "hostID": 0, "size": 1000}]))?;
    }
    Ok(())
}

fn limit(bundle: &mut Bundle, kind: &str, value: u64) -> Outcome {
    bundle.set("/process/rlimits", json!([{"type": kind, "soft": value, "hard": value}]))
}

/// A file of the rootfs with owner and mode.
fn file(bundle: &Bundle, name: &str, owner: u32, mode: u32) -> Outcome {
    let path = bundle.rootfs(name);
    if !path.exists() {
        fs::write(&path, "x\n")?;
    }
    chown(&path, Some(owner), Some(owner))?;
    fs::set_permissions(&path, Permissions::from_mode(mode))?;
    Ok(())
}

/// A call with its arguments: its number on x86-64, and that on newer machines (include/uapi/asm-generic/unistd.h).
macro_rules! call {
    ($x86:literal, $others:literal, $arguments:literal) => {
        match cfg!(target_arch = "x86_64") {
            true => concat!($x86, $arguments),
            false => concat!($others, $arguments),
        }
    };
}
const PERSONALITY: &str = call!("135", "92", ":8");
const RAW_SOCKET: &str = call!("41", "198", ":2:3:1");
const PING_SOCKET: &str = call!("41", "198", ":2:2:1");
const MMAP: &str = call!("9", "222", ":0:999999999999:3:34:-1:0");
const MLOCK2: &str = call!("325", "284", ":4096:99999999:1");
const PTRACE: &str = call!("101", "117", ":0");
const UNSHARE_USER: &str = call!("272", "97", ":268435456");

const CAPABILITY: &str = "a missing capability";
const MOUNT: &str = "a mount";
const LIMIT: &str = "a limit of the process";

fn rights() -> Vec<Row> {
    vec![
        row(
            "seccomp_by_a_rule",
            Shell("busybox mkdir /tmp/a"),
            |b| profile(b, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}])),
            ("seccomp", "/linux/seccomp/syscalls/0"),
        ),
        row(
            "seccomp_by_arguments",
            Reporter(&["--call", PERSONALITY]),
            |b| {
                let args = json!([{"index": 0, "value": 8, "op": "SCMP_CMP_EQ"}]);
                let rule = json!({"names": ["personality"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38, "args": args});
                profile(b, json!([{"names": ["mount"], "action": "SCMP_ACT_ERRNO"}, rule]))
            },
            ("seccomp", "/linux/seccomp/syscalls/1"),
        ),
        row(
            "seccomp_that_kills",
            Shell("busybox mkdir /tmp/a; true"),
            |b| profile(b, json!([{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_KILL_PROCESS"}])),
            ("seccomp", "/linux/seccomp/syscalls/0"),
        ),
        row(
            "seccomp_that_traps",
            Reporter(&["--call", PERSONALITY]),
            |b| profile(b, json!([{"names": ["personality"], "action": "SCMP_ACT_TRAP"}])),
            ("seccomp", "/linux/seccomp/syscalls/0"),
        ),
        row(
            "capability_of_root",
            Shell("busybox chroot / true"),
            without_rights,
            (CAPABILITY, "/process/capabilities/bounding"),
        ),
        row(
            "capability_with_no_new_privs",
            Shell("busybox chroot / true"),
            |b| {
                b.set("/process/noNewPrivileges", json!(true))?;
                b.set("/process/capabilities", json!({"bounding": ["CAP_SYS_CHROOT"]}))
            },
            (CAPABILITY, "/process/capabilities/permitted"),
        ),
        row(
            "capability_of_a_user",
            Shell("busybox chroot / true"),
            |b| {
                ordinary(b)?;
                capable(b, &["CAP_SYS_CHROOT"])
            },
            (CAPABILITY, "/process/capabilities/ambient"),
        ),
        row(
            "capability_over_the_machine",
            Shell("busybox date -s 2030-01-01"),
            |b| {
                user_namespace(b)?;
                capable(b, &["CAP_SYS_TIME"])?;
                let last = b.config["linux"]["namespaces"].as_array().map_or(0, Vec::len);
                ensure!(last > 1, "no namespaces");
                b.config["linux"]["namespaces"].as_array_mut().into_iter().for_each(|list| list.rotate_right(1));
                Ok(())
            },
            ("a namespace", "/linux/namespaces/0"),
        ),
        row(
            "capability_over_a_namespace_of_the_host",
            Shell("busybox hostname x"),
            |b| {
                user_namespace(b)?;
                capable(b, &["CAP_SYS_ADMIN"])?;
                b.config["hostname"] = Value::Null;
                let is_uts = |one: &Value| one["type"] == "uts";
                b.config["linux"]["namespaces"]
                    .as_array_mut()
                    .into_iter()
                    .for_each(|list| list.retain(|one| !is_uts(one)));
                Ok(())
            },
            ("a namespace", "/linux/namespaces"),
        ),
        row(
            "raw_socket",
            Reporter(&["--call", RAW_SOCKET]),
            without_rights,
            (CAPABILITY, "/process/capabilities/bounding"),
        ),
        row(
            "low_port",
            Shell("busybox timeout 1 busybox nc -l -p 80"),
            |b| {
                ordinary(b)?;
                without_rights(b)
            },
            (CAPABILITY, "/process/capabilities/bounding"),
        ),
        row(
            "no_new_privs",
            Shell("/root-of-set-user-id true"),
            |b| {
                ordinary(b)?;
                crate::bundle::copy_program(b.rootfs("bin/busybox"), b.rootfs("root-of-set-user-id"))?;
                file(b, "root-of-set-user-id", 0, 0o4755)?;
                b.set("/process/noNewPrivileges", json!(true))
            },
            ("no_new_privs", "/process/noNewPrivileges"),
        ),
        row(
            "unmapped_id",
            Shell("busybox chown 2000 /tmp"),
            |b| {
                user_namespace(b)?;
                capable(b, &["CAP_CHOWN"])
            },
            ("an id that is not mapped", "/linux/uidMappings"),
        ),
    ]
}

fn mounts() -> Vec<Row> {
    vec![
        row("readonly_root", Shell("echo > /x"), |b| b.set("/root/readonly", json!(true)), (MOUNT, "/root/readonly")),
        row("readonly_mount", Shell("echo > /mnt/x"), |b| mount(b, &["ro"]), (MOUNT, "/mounts/LAST")),
        row(
            "readonly_path",
            Shell("echo > /etc/x"),
            |b| b.set("/linux/readonlyPaths", json!(["/proc/sys", "/etc"])),
            (MOUNT, "/linux/readonlyPaths/1"),
        ),
        row(
            "masked_path",
            Shell("cat /etc/passwd"),
            |b| b.set("/linux/maskedPaths", json!(["/proc/acpi", "/etc"])),
            ("a masked path", "/linux/maskedPaths/1"),
        ),
        row(
            "noexec",
            Shell("busybox cp /bin/busybox /mnt/; /mnt/busybox true"),
            |b| mount(b, &["noexec"]),
            (MOUNT, "/mounts/LAST"),
        ),
        row(
            "nodev",
            Shell("busybox mknod /mnt/null c 1 3; echo > /mnt/null"),
            |b| {
                capable(b, &["CAP_MKNOD"])?;
                mount(b, &["nodev"])
            },
            (MOUNT, "/mounts/LAST"),
        ),
        row(
            "nosuid",
            Shell("/mnt/set-user-id true"),
            |b| {
                ordinary(b)?;
                b.set("/process/noNewPrivileges", json!(false))?;
                fs::create_dir(b.rootfs("mnt"))?;
                crate::bundle::copy_program(b.rootfs("bin/busybox"), b.rootfs("set-user-id"))?;
                fs::create_dir(b.path("bound"))?;
                fs::rename(b.rootfs("set-user-id"), b.path("bound/set-user-id"))?;
                fs::set_permissions(b.path("bound/set-user-id"), Permissions::from_mode(0o4755))?;
                let source = b.path("bound").to_string_lossy().into_owned();
                let mount = json!({"destination": "/mnt", "source": source, "options": ["bind", "nosuid"]});
                b.set("/mounts/-", mount)
            },
            (MOUNT, "/mounts/LAST"),
        ),
        row("mount_point_in_the_way", Shell("busybox rmdir /mnt"), |b| mount(b, &[]), (MOUNT, "/mounts/LAST")),
        row("link_across_mounts", Shell("echo > /x; busybox ln /x /mnt/x"), |b| mount(b, &[]), (MOUNT, "/mounts/LAST")),
        row(
            "full_tmpfs",
            Shell("busybox dd if=/dev/zero of=/mnt/x bs=4k count=9"),
            |b| mount(b, &["size=8k"]),
            (MOUNT, "/mounts/LAST"),
        ),
    ]
}

fn files() -> Vec<Row> {
    vec![
        row(
            "device_rule",
            Shell("cat /dev/message"),
            |b| {
                let device = json!({"path": "/dev/message", "type": "c", "major": 1, "minor": 11, "fileMode": 438});
                b.set("/linux/devices", json!([device]))?;
                let denied = json!({"allow": false, "type": "c", "major": 1, "minor": 11, "access": "r"});
                b.set("/linux/resources", json!({"devices": [{"allow": true, "access": "rwm"}, denied]}))
            },
            ("a device rule", "/linux/resources/devices/1"),
        ),
        row(
            "device_without_a_rule",
            Shell("cat /dev/message"),
            |b| {
                let device = json!({"path": "/dev/message", "type": "c", "major": 1, "minor": 11, "fileMode": 438});
                b.set("/linux/devices", json!([device]))?;
                let other = json!({"allow": true, "type": "c", "major": 10, "minor": 229, "access": "rwm"});
                b.set("/linux/resources", json!({"devices": [other]}))
            },
            ("a device rule", "/linux/resources/devices"),
        ),
        row(
            "file_of_another_user",
            Shell("cat /secret"),
            |b| {
                ordinary(b)?;
                file(b, "secret", 0, 0o600)
            },
            ("the user", "/process/user/uid"),
        ),
        row(
            "mode_of_another_users_file",
            Shell("busybox chmod 777 /secret"),
            |b| {
                ordinary(b)?;
                file(b, "secret", 0, 0o644)
            },
            ("the user", "/process/user/uid"),
        ),
        row(
            "directory_of_another_user",
            Shell("cat /tmp/closed/secret"),
            |b| {
                ordinary(b)?;
                fs::create_dir(b.rootfs("tmp/closed"))?;
                file(b, "tmp/closed/secret", 1000, 0o600)?;
                file(b, "tmp/closed", 0, 0o700)
            },
            ("the user", "/process/user/uid"),
        ),
        row(
            "file_of_another_user_for_root",
            Shell("cat /theirs"),
            |b| {
                without_rights(b)?;
                file(b, "theirs", 1000, 0o600)
            },
            (CAPABILITY, "/process/capabilities/bounding"),
        ),
        row(
            "file_of_no_user_of_the_container",
            Shell("cat /theirs"),
            |b| {
                user_namespace(b)?;
                capable(b, &["CAP_DAC_OVERRIDE"])?;
                file(b, "theirs", 4000, 0o600)
            },
            ("an id that is not mapped", "/linux/uidMappings"),
        ),
    ]
}

fn limits() -> Vec<Row> {
    vec![
        row(
            "open_files",
            Shell("exec 5</bin/busybox 6</bin/busybox; cat /etc/passwd"),
            |b| limit(b, "RLIMIT_NOFILE", 6),
            (LIMIT, "/process/rlimits/0"),
        ),
        row(
            "size_of_a_file",
            Shell("trap '' XFSZ; busybox dd if=/dev/zero of=/x bs=1k count=9"),
            |b| limit(b, "RLIMIT_FSIZE", 4096),
            (LIMIT, "/process/rlimits/0"),
        ),
        row(
            "limit_that_is_raised",
            Shell("ulimit -n 4000"),
            |b| {
                without_rights(b)?;
                limit(b, "RLIMIT_NOFILE", 60)
            },
            (LIMIT, "/process/rlimits/0"),
        ),
        row(
            "address_space",
            Reporter(&["--call", MMAP]),
            |b| limit(b, "RLIMIT_AS", 500_000_000),
            (LIMIT, "/process/rlimits/0"),
        ),
        row(
            "locked_memory",
            Reporter(&["--call", MLOCK2]),
            |b| {
                without_rights(b)?;
                limit(b, "RLIMIT_MEMLOCK", 8192)
            },
            (LIMIT, "/process/rlimits/0"),
        ),
        row(
            "processes_of_a_user",
            Shell("busybox true; busybox true"),
            |b| {
                b.set("/process/user", json!({"uid": 54321, "gid": 1000}))?;
                without_rights(b)?;
                limit(b, "RLIMIT_NPROC", 1)
            },
            (LIMIT, "/process/rlimits/0"),
        ),
        row(
            "processes_of_the_cgroup",
            Shell("busybox true; true"),
            |b| b.set("/linux/resources", json!({"pids": {"limit": 1}})),
            ("a limit of the cgroup", "/linux/resources/pids/limit"),
        ),
    ]
}

fn surroundings() -> Vec<Row> {
    vec![
        row(
            "no_route",
            Shell("busybox nc -w 1 192.0.2.1 80"),
            |b| {
                let namespaces = json!([{"type": "network"}, {"type": "pid"}, {"type": "mount"}, {"type": "uts"}]);
                b.set("/linux/namespaces", namespaces)
            },
            ("the network", "/linux/namespaces/0"),
        ),
        row(
            "process_of_the_host",
            Shell("kill -0 $HIDDEN"),
            |b| {
                let hidden = hidden()?;
                b.set("/process/env/-", json!(format!("HIDDEN={hidden}")))?;
                let namespaces = json!([{"type": "pid"}, {"type": "mount"}, {"type": "uts"}]);
                b.set("/linux/namespaces", namespaces)
            },
            ("a namespace", "/linux/namespaces/0"),
        ),
        row(
            "message_that_changes_the_network",
            Shell("busybox ip addr add 192.0.2.1/24 dev lo"),
            without_rights,
            (CAPABILITY, "/process/capabilities/bounding"),
        ),
        row("no_terminal", Shell("cat < /dev/tty"), nothing, ("no terminal", "/process/terminal")),
        row(
            "tracer_beside_the_watcher",
            Reporter(&["--call", PTRACE]),
            nothing,
            ("the watcher", "no line of config.json"),
        ),
    ]
}

/// A process of a number that none in the container has: in a machine that has just begun, numbers are small.
fn hidden() -> Result<u32, Failed> {
    let own = std::process::id();
    for _ in 0..if own > 200 { 0 } else { 300 } {
        let mut other = Command::new(tool("sleep")?).arg("60").spawn()?;
        if other.id() > 200 {
            return Ok(other.id());
        }
        other.kill()?;
        other.wait()?;
    }
    Ok(own)
}

/// What fails without the container has no cause in its configuration.
fn own_matter() -> Outcome {
    let script = "cat /nothing; ls /bin/busybox/x; kill -0 999; test -x /etc/passwd; cd /nothing; read x < /tmp; true";
    let bundle = bundle(&Shell(script))?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("the status", done.status, 0)?;
    same(&format!("causes in {}", done.err), causes(&done.err), vec![])?;
    bundle.clean()
}

/// One key with more bytes than an ordinary user may have in all.
fn keys() -> Outcome {
    const KEY: &str = "#include <sys/syscall.h>\n#include <unistd.h>\nstatic char all[32000];\nint main(void) { \
                       return syscall(SYS_add_key, \"user\", \"nk\", all, sizeof all, -2) < 0 ? 7 : 0; }\n";
    let most: u32 = fs::read_to_string("/proc/sys/kernel/keys/maxbytes")?.trim().parse()?;
    ensure!(most < 32_000, "a user of this machine may have more keys");
    let mut bundle = bundle(&Shell(""))?;
    fs::write(bundle.path("key.c"), KEY)?;
    let mut gcc = Command::new(tool("gcc")?);
    gcc.args(["-static", "-o"]).arg(bundle.rootfs("key")).arg(bundle.path("key.c"));
    ensure!(gcc.status()?.success(), "gcc");
    bundle.set("/process/args", json!(["/key"]))?;
    bundle.set("/process/user", json!({"uid": 54322, "gid": 54322}))?;
    without_rights(&mut bundle)?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("the status", done.status, 7)?;
    same(&done.err, causes(&done.err), vec![("the user".into(), "/process/user/uid".into())])?;
    ensure!(done.err.contains("the kernel allows user 54322 no more keys"), "{}", done.err);
    bundle.clean()
}

/// Many files under one read-only mount are one reason.
fn said_once() -> Outcome {
    let mut bundle = bundle(&Shell("for i in 1 2 3 4 5; do echo > /etc/$i; echo > /$i; busybox chroot / true; done"))?;
    without_rights(&mut bundle)?;
    bundle.set("/root/readonly", json!(true))?;
    let done = bundle.bundled(&["run", "--watch"])?;
    let of = |by: &str, place: &str| (by.to_owned(), place.to_owned());
    let mut found = causes(&done.err);
    found.sort();
    same(&done.err, found, vec![of(CAPABILITY, "/process/capabilities/bounding"), of(MOUNT, "/root/readonly")])?;
    ensure!(done.err.contains("The container refused 15 calls, for 2 reasons:\n"), "{}", done.err);
    ensure!(done.err.contains("\n10 x  a mount: /root/readonly\n"), "{}", done.err);
    bundle.clean()
}
