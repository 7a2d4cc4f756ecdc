//! The same reasons by other calls, other errnos and other places of config.json; and what looks like a refusal and is none.

use super::*;
use crate::parity::watched::compile;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A case of the table: what its summary has to say, too.
struct Variant {
    row: Row,
    says: &'static str,
}

pub fn cases() -> Vec<Trial> {
    let all = [files(), mounts(), rights(), limits()].into_iter().flatten();
    let mut cases: Vec<Trial> =
        all.map(|one| Trial::test(format!("refused::{}", one.row.name), move || said(&one))).collect();
    cases.push(Trial::test("refused::a_program_that_left_root_is_not_refused", left));
    cases.push(Trial::test("refused::a_directory_has_no_second_name", second_name));
    cases
}

/// The bundle runs tests/programs/refused.c.
pub fn calls(words: &[&str]) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::shell("true")?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/refused.c");
    compile(&source, &bundle, &["-static"])?;
    bundle.set("/process/args", json!([&["/calls"], words].concat()))?;
    bundle.set("/process/env", json!(["PATH=/bin"]))?;
    bundle.set("/root/readonly", json!(false))?;
    Ok(bundle)
}

fn said(one: &Variant) -> Outcome {
    let err = refused(&one.row)?;
    ensure!(err.split_whitespace().collect::<Vec<_>>().join(" ").contains(one.says), "no `{}` in {err}", one.says);
    Ok(())
}

fn variant(
    name: &'static str,
    program: Program,
    change: fn(&mut Bundle) -> Outcome,
    cause: (&'static str, &'static str),
    says: &'static str,
) -> Variant {
    Variant { row: row(name, program, change, cause), says }
}

fn readonly_root(b: &mut Bundle) -> Outcome {
    b.set("/root/readonly", json!(true))
}

fn files() -> Vec<Variant> {
    let root = (MOUNT, "/root/readonly");
    vec![
        variant("readonly_times_of_a_descriptor", Calls(&["futimens", "/etc/passwd"]), readonly_root, root, "try:"),
        variant("readonly_flags_of_a_file", Calls(&["flags", "/etc/passwd"]), readonly_root, root, "try:"),
        variant("readonly_socket", Calls(&["unix-bind", "/etc/s"]), readonly_root, root, "sun_path=\"/etc/s\""),
        variant(
            "socket_of_another_user",
            Calls(&["unix-bind", "/etc/s"]),
            ordinary,
            ("the user", "/process/user/uid"),
            "/etc belongs to 0:0",
        ),
        variant(
            "masked_socket",
            Calls(&["unix-connect", "/link/s"]),
            |b| {
                std::os::unix::fs::symlink("/etc", b.rootfs("link"))?;
                b.set("/linux/maskedPaths", json!(["/etc"]))
            },
            ("a masked path", "/linux/maskedPaths/0"),
            "/etc is masked",
        ),
        variant(
            "setting_of_the_kernel",
            Shell("echo 1 > /proc/sys/net/ipv4/ip_forward"),
            |b| b.set("/linux/readonlyPaths", json!(["/proc/sys"])),
            (MOUNT, "/linux/readonlyPaths/0"),
            "try: list the setting in /linux/sysctl",
        ),
        variant(
            "setting_of_the_kernel_for_a_user",
            Shell("echo 1 > /proc/sys/net/ipv4/ip_forward"),
            |b| {
                b.set("/linux/readonlyPaths", json!([]))?;
                ordinary(b)
            },
            ("the user", "/process/user/uid"),
            "try: list the setting in /linux/sysctl",
        ),
        variant(
            "device_that_the_container_lacks",
            Shell("cat < /dev/kmsg"),
            nothing,
            ("a device rule", "/linux/devices"),
            r#"add {"path": "/dev/kmsg", "type": "c", "major": 1, "minor": 11} to /linux/devices"#,
        ),
        variant(
            "mode_of_an_unmapped_owners_file",
            Calls(&["chmod", "/theirs"]),
            |b| {
                user_namespace(b)?;
                capable(b, &["CAP_FOWNER"])?;
                file(b, "theirs", 4000, 0o600)
            },
            ("an id that is not mapped", "/linux/uidMappings"),
            "user 0 may not change",
        ),
        variant(
            "file_with_an_acl",
            Shell("cat /secret"),
            |b| {
                ordinary(b)?;
                file(b, "secret", 0, 0o644)?;
                acl(b, "secret", 1000)
            },
            ("the user", "/process/user/uid"),
            "/secret has an ACL",
        ),
        variant(
            "second_name_of_another_users_file",
            Calls(&["link", "/secret", "/tmp/x"]),
            |b| {
                ordinary(b)?;
                file(b, "secret", 0, 0o600)
            },
            ("the user", "/process/user/uid"),
            // Newer architectures have no link(2).
            if cfg!(target_arch = "x86_64") { "by `link`" } else { "by `linkat`" },
        ),
    ]
}

/// An ACL that lets all users read, and this one nothing: tag, rights and id of each entry (linux/posix_acl_xattr.h).
fn acl(b: &Bundle, name: &str, user: u32) -> Outcome {
    const NONE: u32 = u32::MAX;
    let entries = [(1u16, 6u16, NONE), (2, 0, user), (4, 4, NONE), (16, 4, NONE), (32, 4, NONE)];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, rights, id) in entries {
        bytes.extend(tag.to_le_bytes());
        bytes.extend(rights.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    let path = std::ffi::CString::new(b.rootfs(name).as_os_str().as_bytes())?;
    // SAFETY: the pointers are those of values that live until the call has returned.
    let done = unsafe {
        let name = c"system.posix_acl_access".as_ptr();
        nix::libc::setxattr(path.as_ptr(), name, bytes.as_ptr().cast(), bytes.len(), 0)
    };
    ensure!(done == 0, "setxattr: {}", std::io::Error::last_os_error());
    Ok(())
}

fn mounts() -> Vec<Variant> {
    let last = (MOUNT, "/mounts/LAST");
    vec![
        variant(
            "readonly_below_writable",
            Shell("echo > /mnt/in/x"),
            |b| {
                mount(b, &[])?;
                let below = json!({"destination": "/mnt/in", "type": "tmpfs", "source": "t", "options": ["ro"]});
                b.set("/mounts/-", below)
            },
            last,
            "/mnt/in is mounted read-only",
        ),
        variant(
            "readonly_with_all_below",
            Shell("echo > /mnt/x"),
            |b| bound(b, &["rbind", "rro"]),
            last,
            "take `rro` out",
        ),
        variant(
            "noexec_of_the_source",
            Shell("busybox cp /bin/busybox /mnt/; /mnt/busybox true"),
            |b| {
                mount(b, &["noexec"])?;
                let source = b.rootfs("mnt").to_string_lossy().into_owned();
                b.set("/mounts/-", json!({"destination": "/mnt", "source": source, "options": ["bind"]}))
            },
            last,
            "add `exec` to /mounts/",
        ),
        variant(
            "noexec_interpreter",
            Shell("busybox cp /bin/busybox /mnt/; echo '#!/mnt/busybox sh' > /s; busybox chmod 755 /s; /s"),
            |b| mount(b, &["noexec"]),
            last,
            "/mnt is mounted `noexec`",
        ),
        variant(
            "noexec_that_is_asked_for",
            Calls(&["access", "/mnt/x"]),
            noexec_file,
            last,
            "/mnt is mounted `noexec`",
        ),
        variant(
            "full_of_names",
            Shell("echo > /mnt/1; echo > /mnt/2; echo > /mnt/3"),
            |b| mount(b, &["nr_inodes=3", "size=1m"]),
            last,
            "raise `nr_inodes`",
        ),
        variant(
            "cgroup_over_one_of_the_host",
            Shell("busybox mkdir /sys/fs/cgroup/x"),
            |b| {
                b.set("/mounts/-", json!({"destination": "/sys", "source": "/sys", "options": ["rbind", "rslave"]}))?;
                let group =
                    json!({"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "c", "options": ["ro"]});
                b.set("/mounts/-", group)
            },
            last,
            "a file system of the kernel, is mounted read-only",
        ),
        variant(
            "proc_that_is_covered",
            Calls(&["proc"]),
            |b| b.set("/linux/maskedPaths", json!(["/proc/kcore"])),
            ("a masked path", "/linux/maskedPaths"),
            "empty /linux/maskedPaths and /linux/readonlyPaths",
        ),
        variant(
            "file_system_of_the_machine",
            Calls(&["mount", "debugfs"]),
            |b| {
                b.set(
                    "/linux/namespaces",
                    json!(["mount", "uts", "pid", "ipc", "network"].map(|kind| json!({"type": kind}))),
                )?;
                user_namespace(b)?;
                capable(b, &["CAP_SYS_ADMIN"])
            },
            ("a namespace", "/linux/namespaces/5"),
            "for a file system `debugfs` over the whole machine",
        ),
    ]
}

/// A directory beside the bundle, bound on /mnt.
fn bound(b: &mut Bundle, options: &[&str]) -> Outcome {
    fs::create_dir(b.rootfs("mnt"))?;
    fs::create_dir(b.path("bound"))?;
    let source = b.path("bound").to_string_lossy().into_owned();
    b.set("/mounts/-", json!({"destination": "/mnt", "source": source, "options": options}))
}

fn noexec_file(b: &mut Bundle) -> Outcome {
    bound(b, &["bind", "noexec"])?;
    fs::write(b.path("bound/x"), "")?;
    fs::set_permissions(b.path("bound/x"), Permissions::from_mode(0o755))?;
    Ok(())
}

fn rights() -> Vec<Variant> {
    let bounding = (CAPABILITY, "/process/capabilities/bounding");
    vec![
        variant(
            "hostname",
            Calls(&["hostname"]),
            without_rights,
            bounding,
            "try: set /hostname and /domainname; or add",
        ),
        variant(
            "hostname_of_the_host",
            Calls(&["hostname"]),
            |b| {
                without_rights(b)?;
                b.config["hostname"] = Value::Null;
                b.set("/linux/namespaces", json!([{"type": "mount"}, {"type": "pid"}]))
            },
            bounding,
            "try: add `uts` to /linux/namespaces, and set /hostname",
        ),
        variant(
            "capability_of_a_set_user_id_program",
            Calls(&["hostname"]),
            |b| {
                ordinary(b)?;
                capable(b, &["CAP_KILL"])?;
                b.set("/process/noNewPrivileges", json!(false))?;
                file(b, "calls", 0, 0o4755)
            },
            bounding,
            "sets of /process/capabilities: bounding opens:",
        ),
        variant(
            "bpf_of_the_network",
            Calls(&["bpf", "6"]),
            |b| capable(b, &["CAP_BPF"]),
            bounding,
            "needs CAP_NET_ADMIN",
        ),
        variant("bpf_that_traces", Calls(&["bpf", "2"]), |b| capable(b, &["CAP_BPF"]), bounding, "needs CAP_PERFMON"),
        variant(
            "ping_without_the_range",
            Reporter(&["--call", PING_SOCKET]),
            |b| {
                ordinary(b)?;
                b.set("/linux/namespaces", json!([{"type": "mount"}, {"type": "uts"}, {"type": "network"}]))
            },
            ("a sysctl", "/linux/sysctl"),
            "set `net.ipv4.ping_group_range` to `1000 1000`",
        ),
        variant(
            "mapping_of_root",
            Shell("busybox unshare -Ur true"),
            |b| capable(b, &["CAP_KILL"]),
            bounding,
            "`write` needs CAP_SETFCAP",
        ),
        variant(
            "user_namespace_in_a_chroot",
            Reporter(&["--call", UNSHARE_USER]),
            |b| {
                b.set("/linux/namespaces", json!([{"type": "pid"}]))?;
                b.set("/mounts", json!([]))?;
                b.set("/linux/maskedPaths", json!([]))?;
                b.set("/linux/readonlyPaths", json!([]))?;
                b.config["hostname"] = Value::Null;
                Ok(())
            },
            ("a namespace", "/linux/namespaces"),
            "try: add `mount`",
        ),
    ]
}

fn limits() -> Vec<Variant> {
    vec![
        variant(
            "notifiers_of_a_user",
            Calls(&["inotify"]),
            |b| limit(b, "RLIMIT_NOFILE", 4096),
            ("a sysctl", "no line of config.json"),
            "fs.inotify.max_user_instances",
        ),
        variant(
            "message_queues",
            Calls(&["mq"]),
            |b| {
                without_rights(b)?;
                limit(b, "RLIMIT_MSGQUEUE", 1000)
            },
            (LIMIT, "/process/rlimits/0"),
            "RLIMIT_MSGQUEUE: 1000",
        ),
        variant(
            "locked_shared_memory",
            Calls(&["shm-lock"]),
            |b| {
                ordinary(b)?;
                without_rights(b)?;
                limit(b, "RLIMIT_MEMLOCK", 8192)
            },
            (LIMIT, "/process/rlimits/0"),
            "RLIMIT_MEMLOCK: 8192",
        ),
        variant(
            "arguments_by_the_stack",
            Shell("/bin/busybox true $(busybox seq 40000)"),
            |b| limit(b, "RLIMIT_STACK", 262_144),
            (LIMIT, "/process/rlimits/0"),
            "RLIMIT_STACK: 262144",
        ),
        variant(
            "address_of_the_host",
            Calls(&["bind6", "2001:db8::1"]),
            |b| b.set("/linux/namespaces", json!([{"type": "network"}, {"type": "mount"}, {"type": "uts"}])),
            ("the network", "/linux/namespaces/0"),
            "no interface has the address 2001:db8::1",
        ),
        variant(
            "interface_of_the_host",
            Shell("/calls interface $HOST"),
            |b| {
                let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/refused.c");
                compile(&source, b, &["-static"])?;
                let names = fs::read_dir("/sys/class/net")?.filter_map(|one| one.ok()?.file_name().into_string().ok());
                let name = { names }.find(|name| name != "lo").ok_or("the host has no interface")?;
                b.set("/process/env/-", json!(format!("HOST={name}")))?;
                b.set("/linux/namespaces", json!([{"type": "network"}, {"type": "mount"}, {"type": "uts"}]))
            },
            ("the network", "/linux/namespaces/0"),
            "is an interface of the host",
        ),
    ]
}

/// The program lacks what it gave up itself: no line of the configuration would bring it back.
fn left() -> Outcome {
    let mut bundle = calls(&["dropped"])?;
    capable(&mut bundle, &["CAP_SETUID"])?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("causes", causes(&done.err), vec![])?;
    bundle.clean()
}

fn second_name() -> Outcome {
    let mut bundle = calls(&["link", "/etc", "/x"])?;
    without_rights(&mut bundle)?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("causes", causes(&done.err), vec![])?;
    bundle.clean()
}
