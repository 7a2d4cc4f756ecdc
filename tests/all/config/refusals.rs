//! Bad input is refused before anything is made: one line that names the place and the cause, exit status 1, no
//! process cloned, nothing left behind.

use crate::bundle::{Bundle, tool};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;

/// A name, what is done to a good bundle, and words that the line must hold: the place, then the cause.
struct Refusal {
    name: &'static str,
    spoil: fn(&mut Bundle) -> Outcome,
    words: &'static [&'static str],
}

pub fn cases() -> Vec<Trial> {
    let table = FILES.iter().chain(PROPERTIES).chain(UNSUPPORTED);
    table.map(|one| Trial::test(format!("refusals::{}", one.name), || check(one))).collect()
}

fn check(one: &Refusal) -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.write_config()?;
    (one.spoil)(&mut bundle)?;
    for command in ["create", "run"] {
        refused(&bundle, command, one)?;
        bundle.nothing_left()?;
    }
    unclones(&bundle)?;
    bundle.clean()
}

fn words_of<'a>(bundle: &'a Bundle, here: &'a str, command: &'a str) -> [&'a str; 4] {
    [command, "--bundle", here.trim_end_matches('/'), &bundle.id]
}

fn refused(bundle: &Bundle, command: &str, Refusal { words, .. }: &Refusal) -> Outcome {
    let here = bundle.path("").to_string_lossy().into_owned();
    let done = bundle.call(&words_of(bundle, &here, command))?.refused("")?;
    same("stdout", done.out.as_str(), "")?;
    ensure!(done.messages() == 1, "one message on stderr wanted: {}", done.err);
    for word in *words {
        ensure!(done.says(word), "{command}: `{word}` should be in: {}", done.err);
    }
    Ok(())
}

/// Under strace: what is refused was refused before there was a process, a mount or a cgroup.
fn unclones(bundle: &Bundle) -> Outcome {
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&words_of(bundle, &here, "create"))?;
    let listing = bundle.path("strace");
    let mut command = Command::new(tool("strace")?);
    command.args(["-f", "--signal=none", "--quiet=all", "-o"]).arg(&listing);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir("/");
    same("the status under strace", bundle.finish(command)?.status, 1)?;
    let text = fs::read_to_string(&listing)?;
    ensure!(text.contains("execve("), "strace wrote no listing: {text}");
    for call in [" clone3(", " clone(", " fork(", " vfork(", " mount(", " move_mount(", " bpf("] {
        let line = text.lines().find(|line| line.contains(call));
        ensure!(line.is_none(), "made before the refusal: {}", line.unwrap_or(""));
    }
    Ok(())
}

fn set(bundle: &mut Bundle, pointer: &str, value: Value) -> Outcome {
    bundle.set(pointer, value)?;
    bundle.write_config()
}

fn remove(bundle: &mut Bundle, pointer: &str) -> Outcome {
    bundle.remove(pointer)?;
    bundle.write_config()
}

fn config(bundle: &Bundle, text: &str) -> Outcome {
    fs::write(bundle.path("config.json"), text).map_err(Failed::from)
}

/// The bundle's files.
const FILES: &[Refusal] = &[
    Refusal {
        name: "no_bundle",
        spoil: |bundle| {
            fs::remove_file(bundle.path("config.json"))?;
            fs::remove_dir_all(bundle.path("rootfs"))?;
            Ok(())
        },
        words: &["config.json"],
    },
    Refusal {
        name: "no_config",
        spoil: |bundle| Ok(fs::remove_file(bundle.path("config.json"))?),
        words: &["config.json"],
    },
    Refusal {
        name: "config_is_a_folder",
        spoil: |bundle| {
            fs::remove_file(bundle.path("config.json"))?;
            Ok(fs::create_dir(bundle.path("config.json"))?)
        },
        words: &["config.json"],
    },
    Refusal { name: "empty_config", spoil: |bundle| config(bundle, ""), words: &["config.json"] },
    Refusal {
        name: "broken_json",
        spoil: |bundle| config(bundle, "{\"ociVersion\":\n  \"1.0.0\",,}"),
        words: &["config.json", "line 2"],
    },
    Refusal {
        name: "cut_off_json",
        spoil: |bundle| config(bundle, "{\"ociVersion\": \"1.0.0\", \"process\": {"),
        words: &["config.json"],
    },
    Refusal { name: "config_is_null", spoil: |bundle| config(bundle, "null"), words: &["config.json"] },
    Refusal { name: "config_is_a_list", spoil: |bundle| config(bundle, "[]"), words: &["config.json"] },
    Refusal {
        name: "text_behind_the_config",
        spoil: |bundle| config(bundle, &format!("{} {{}}", bundle.config)),
        words: &["config.json"],
    },
    Refusal { name: "no_rootfs", spoil: |bundle| Ok(fs::remove_dir_all(bundle.path("rootfs"))?), words: &["rootfs"] },
    Refusal {
        name: "rootfs_is_a_file",
        spoil: |bundle| {
            fs::remove_dir_all(bundle.path("rootfs"))?;
            Ok(fs::write(bundle.path("rootfs"), "")?)
        },
        words: &["rootfs"],
    },
];

/// Properties that are missing, of the wrong type, or out of what the specification allows: the JSON pointer is named.
const PROPERTIES: &[Refusal] = &[
    Refusal { name: "no_oci_version", spoil: |b| remove(b, "/ociVersion"), words: &["ociVersion"] },
    Refusal {
        name: "oci_version_2",
        spoil: |b| set(b, "/ociVersion", json!("2.0.0")),
        words: &["/ociVersion", "2.0.0"],
    },
    Refusal { name: "oci_version_abc", spoil: |b| set(b, "/ociVersion", json!("abc")), words: &["/ociVersion", "abc"] },
    Refusal { name: "no_root", spoil: |b| remove(b, "/root"), words: &["root"] },
    Refusal { name: "no_process", spoil: |b| remove(b, "/process"), words: &["process"] },
    Refusal { name: "root_path_is_a_number", spoil: |b| set(b, "/root/path", json!(7)), words: &["/root/path"] },
    Refusal {
        name: "root_readonly_is_a_string",
        spoil: |b| set(b, "/root/readonly", json!("yes")),
        words: &["/root/readonly"],
    },
    Refusal { name: "no_args", spoil: |b| remove(b, "/process/args"), words: &["args"] },
    Refusal { name: "empty_args", spoil: |b| set(b, "/process/args", json!([])), words: &["/process/args"] },
    Refusal { name: "empty_program", spoil: |b| set(b, "/process/args", json!([""])), words: &["/process/args"] },
    Refusal { name: "args_is_a_string", spoil: |b| set(b, "/process/args", json!("sh")), words: &["/process/args"] },
    Refusal {
        name: "an_arg_is_a_number",
        spoil: |b| set(b, "/process/args", json!(["sh", 1])),
        words: &["/process/args/1"],
    },
    Refusal {
        name: "an_arg_holds_nul",
        spoil: |b| set(b, "/process/args", json!(["sh", "a\u{0}b"])),
        words: &["/process/args/1"],
    },
    Refusal {
        name: "env_nul",
        spoil: |b| set(b, "/process/env", json!(["A=\\", "B=a\u{0}b"])),
        words: &["/process/env/1", "NUL"],
    },
    Refusal { name: "relative_cwd", spoil: |b| set(b, "/process/cwd", json!("tmp")), words: &["/process/cwd"] },
    Refusal { name: "no_cwd", spoil: |b| remove(b, "/process/cwd"), words: &["cwd"] },
    Refusal {
        name: "uid_below_zero",
        spoil: |b| set(b, "/process/user/uid", json!(-1)),
        words: &["/process/user/uid"],
    },
    Refusal {
        name: "uid_of_64_bits",
        spoil: |b| set(b, "/process/user/uid", json!(4294967296u64)),
        words: &["/process/user/uid"],
    },
    Refusal {
        name: "uid_that_means_no_change",
        spoil: |b| set(b, "/process/user/uid", json!(u32::MAX)),
        words: &["/process/user/uid", "4294967295"],
    },
    Refusal {
        name: "group_that_means_no_change",
        spoil: |b| set(b, "/process/user/additionalGids", json!([7, u32::MAX])),
        words: &["/process/user/additionalGids/1", "4294967295"],
    },
    Refusal {
        name: "uid_is_a_string",
        spoil: |b| set(b, "/process/user/uid", json!("0")),
        words: &["/process/user/uid"],
    },
    Refusal {
        name: "terminal_is_a_string",
        spoil: |b| set(b, "/process/terminal", json!("yes")),
        words: &["/process/terminal"],
    },
    Refusal {
        name: "env_is_an_object",
        spoil: |b| set(b, "/process/env", json!({"A": "b"})),
        words: &["/process/env"],
    },
    Refusal {
        name: "unknown_rlimit",
        spoil: |b| set(b, "/process/rlimits/-", json!({"type": "RLIMIT_FROB", "soft": 1, "hard": 1})),
        words: &["/process/rlimits/1", "RLIMIT_FROB"],
    },
    Refusal {
        name: "rlimit_twice",
        spoil: |b| set(b, "/process/rlimits/-", json!({"type": "RLIMIT_NOFILE", "soft": 1, "hard": 1})),
        words: &["/process/rlimits/1", "RLIMIT_NOFILE"],
    },
    Refusal {
        name: "rlimit_soft_above_hard",
        spoil: |b| set(b, "/process/rlimits/0/soft", json!(1025)),
        words: &["/process/rlimits/0"],
    },
    Refusal {
        name: "unknown_namespace",
        spoil: |b| set(b, "/linux/namespaces/-", json!({"type": "frob"})),
        words: &["/linux/namespaces/6", "frob"],
    },
    Refusal {
        name: "namespace_twice",
        spoil: |b| set(b, "/linux/namespaces/-", json!({"type": "pid"})),
        words: &["/linux/namespaces/6", "pid"],
    },
    Refusal {
        name: "hostname_without_uts_namespace",
        spoil: |b| {
            crate::lifecycle::without_namespace(b, "uts");
            b.write_config()
        },
        words: &["/hostname"],
    },
    Refusal { name: "hostname_too_long", spoil: |b| set(b, "/hostname", json!("h".repeat(65))), words: &["/hostname"] },
    Refusal {
        name: "mount_without_destination",
        spoil: |b| set(b, "/mounts/-", json!({"type": "tmpfs", "source": "tmpfs"})),
        words: &["/mounts/7"],
    },
    Refusal {
        name: "mount_options_is_a_string",
        spoil: |b| set(b, "/mounts/0/options", json!("ro")),
        words: &["/mounts/0/options"],
    },
    Refusal {
        name: "data_on_a_remount_of_what_is_lent",
        spoil: |b| {
            set(b, "/mounts/-", json!({"destination": "/sys", "type": "none", "options": ["remount", "frob=1"]}))
        },
        words: &["/mounts/7/options", "frob=1"],
    },
    Refusal {
        name: "bind_source_missing",
        spoil: |b| {
            set(
                b,
                "/mounts/-",
                json!({"destination": "/tmp", "type": "bind", "source": "/no/such", "options": ["bind"]}),
            )
        },
        words: &["/mounts/7", "/no/such"],
    },
    Refusal {
        name: "masked_path_relative",
        spoil: |b| set(b, "/linux/maskedPaths/-", json!("etc")),
        words: &["/linux/maskedPaths/10"],
    },
    Refusal {
        name: "readonly_path_relative",
        spoil: |b| set(b, "/linux/readonlyPaths/-", json!("etc")),
        words: &["/linux/readonlyPaths/5"],
    },
    Refusal {
        name: "device_rule_of_unknown_type",
        spoil: |b| set(b, "/linux/resources/devices/-", json!({"allow": true, "type": "x", "access": "r"})),
        words: &["/linux/resources/devices/1"],
    },
    Refusal {
        name: "device_rule_of_unknown_access",
        spoil: |b| set(b, "/linux/resources/devices/-", json!({"allow": true, "type": "c", "access": "rx"})),
        words: &["/linux/resources/devices/1"],
    },
    Refusal {
        name: "device_rule_that_allows_without_access",
        spoil: |b| set(b, "/linux/resources/devices/-", json!({"allow": true, "type": "c"})),
        words: &["/linux/resources/devices/1/access"],
    },
    Refusal {
        name: "device_rule_that_allows_an_empty_access",
        spoil: |b| set(b, "/linux/resources/devices/-", json!({"allow": true, "access": ""})),
        words: &["/linux/resources/devices/1/access"],
    },
    Refusal {
        name: "annotation_is_a_number",
        spoil: |b| set(b, "/annotations", json!({"a": 1})),
        words: &["/annotations/a"],
    },
];

/// OCI properties that are not built yet: never ignored.
const UNSUPPORTED: &[Refusal] = &[
    Refusal {
        name: "hooks",
        spoil: |b| set(b, "/hooks", json!({"prestart": [{"path": "bin/true"}]})),
        words: &["/hooks/prestart/0/path", "absolute"],
    },
    Refusal {
        name: "user_namespace",
        spoil: |b| set(b, "/linux/namespaces/-", json!({"type": "user"})),
        words: &["/linux/uidMappings", "missing"],
    },
    Refusal {
        name: "namespace_path",
        spoil: |b| set(b, "/linux/namespaces/1/path", json!("proc/1/ns/net")),
        words: &["/linux/namespaces/1/path", "absolute"],
    },
    Refusal {
        name: "sysctl",
        spoil: |b| set(b, "/linux/sysctl", json!({"vm.swappiness": "1"})),
        words: &["/linux/sysctl/vm.swappiness", "no namespace"],
    },
    Refusal {
        name: "apparmor",
        spoil: |b| set(b, "/process/apparmorProfile", json!("profile")),
        words: &["/process/apparmorProfile"],
    },
    Refusal {
        name: "selinux",
        spoil: |b| set(b, "/process/selinuxLabel", json!("label")),
        words: &["/process/selinuxLabel"],
    },
    Refusal {
        name: "swap_without_memory",
        spoil: |b| set(b, "/linux/resources/memory", json!({"swap": 100000000})),
        words: &["/linux/resources/memory/swap", "memory/limit"],
    },
    Refusal { name: "vm", spoil: |b| set(b, "/vm", json!({"kernel": {"path": "/k"}})), words: &["/vm"] },
];
