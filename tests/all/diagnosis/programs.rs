//! Why a program cannot be executed: each cause that a look knows, with a file that has this fault.

use super::rights::{NESTED, no_terminal_group, run_in};
use super::says;
use crate::bundle::{Bundle, runtime, tool};
use crate::cgroup::{end, start};
use crate::exec::{box_of_sleep, exec};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs::{self, OpenOptions, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::PathBuf;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "causes_of_programs",
        &[
            ("no_elf_program_of_this_machine", machines),
            ("a_file_of_another_kind", kinds),
            ("the_interpreter_of_a_script", interpreters),
            ("the_loader_of_a_program", loaders),
            ("a_component_of_the_path", components),
            ("owner_and_mode", modes),
            ("a_noexec_mount", noexec),
            ("a_rootfs_that_is_noexec", noexec_rootfs),
            ("not_in_path", not_in_path),
            ("arguments_that_are_too_long", too_long),
            ("a_file_that_is_written", busy),
            ("a_user_with_too_many_processes", processes),
            ("in_a_user_namespace_with_its_own_ids", inside_ids),
            ("by_start_and_by_exec", by_other_commands),
            ("the_working_directory", cwd),
            ("what_the_host_runs_by_an_interpreter", emulated),
            ("programs_of_hooks", of_hooks),
            ("what_check_sees_in_a_file", checked),
        ],
    )
}

/// A container that executes `/x`, with these bytes and this mode.
fn of_file(bytes: impl AsRef<[u8]>, mode: u32) -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/x"]))?;
    put(&bundle, "x", bytes, mode)?;
    Ok(bundle)
}

fn put(bundle: &Bundle, path: &str, bytes: impl AsRef<[u8]>, mode: u32) -> Outcome {
    let path = bundle.rootfs(path);
    if let Some(above) = path.parent() {
        fs::create_dir_all(above)?;
    }
    fs::write(&path, bytes)?;
    Ok(fs::set_permissions(path, Permissions::from_mode(mode))?)
}

/// Runs `/x` with these bytes: the cause, and the cure.
fn file(bytes: impl AsRef<[u8]>, cause: &str, cure: &str) -> Outcome {
    let bundle = of_file(bytes, 0o755)?;
    says(&bundle, cause, cure)?;
    bundle.clean()
}

/// An ELF file of 64 bits that is a header only.
fn elf(kind: u8, machine: u8) -> Vec<u8> {
    let mut bytes = [&b"\x7fELF\x02\x01\x01"[..], &[0; 57]].concat();
    (bytes[16], bytes[18]) = (kind, machine);
    bytes
}

/// This machine: its number in an ELF file, what a 32-bit program with that number is, and the loaders of glibc and musl.
const OWN: (u8, &str, &str, &str) = if cfg!(target_arch = "aarch64") {
    (183, "ILP32", "/lib/ld-linux-aarch64.so.1", "/lib/ld-musl-aarch64.so.1")
} else if cfg!(target_arch = "riscv64") {
    (243, "riscv32", "/lib/ld-linux-riscv64-lp64d.so.1", "/lib/ld-musl-riscv64.so.1")
} else {
    (62, "x32", "/lib64/ld-linux-x86-64.so.2", "/lib/ld-musl-x86_64.so.1")
};

fn machines() -> Outcome {
    let own = OWN.0;
    let (other, name) = if own == 183 { (62, "x86_64") } else { (183, "aarch64") };
    file(elf(2, other), &format!("/x is a program for {name}, and this machine is "), "an image for linux/")?;
    file(elf(2, 250), "/x is a program for a machine of number 250, and", "an image for linux/")?;
    file(elf(1, own), "/x is an object file, and no program: exec format error", "link it to a program")?;
    file(elf(4, own), "/x is a core dump, and no program", "name another file")?;
    file(&elf(2, own)[..40], "/x is an ELF program that is cut off after 40 bytes", "copy the program again")?;
    // A program of 32 bits with the number of the machine of 64 bits.
    let mut small = elf(2, own);
    small[4] = 1;
    file(
        small,
        &format!("/x is a 32-bit program ({}), and this kernel runs none: exec format error", OWN.1),
        "an image for",
    )?;
    let whole = fs::read(tool("busybox")?)?;
    file(&whole[..70], "/x is an ELF program that is cut off after 70 bytes", "copy the program again")
}

fn kinds() -> Outcome {
    file("", "/x is an empty file: exec format error", "copy the program again")?;
    file(
        "echo hello\n",
        "/x is a text, and its first line does not begin with #!: exec format error",
        "[\"sh\", \"/x\"]",
    )?;
    file(b"MZ\x90\0\x03\0\0\0", "/x is a Windows program", "a program for Linux")?;
    file(b"\xcf\xfa\xed\xfe\x07\0\0\x01", "/x is a macOS program", "a program for Linux")?;
    file(b"PK\x03\x04\0\0", "/x is a zip or jar archive", "interpreter")?;
    file(b"\x01\x02\0\0", "/x is neither an ELF program nor a script", "`file` tells")
}

fn interpreters() -> Outcome {
    file(
        "#!/bin/sh\r\necho\r\n",
        "the first line of /x ends in a carriage return, so its interpreter is not found: no such file or directory",
        "`sed -i 's/\\r$//' /x`",
    )?;
    let cause = "/x wants the interpreter /usr/bin/python3, which is not in the rootfs: no such file or directory";
    file("#!/usr/bin/python3 -u\n", cause, "install /usr/bin/python3 in the image")?;
    let cause = "/x wants the interpreter /usr/bin/sh, which is not in the rootfs";
    file("#!/usr/bin/sh\n", cause, "write /bin/sh, which is there, into the script's first line")?;
    let cause = "the first line of /x ends in a carriage return, so its interpreter is not found";
    file("#!\r\n", cause, "the interpreter's name")?;
    file("#!\n", "/x names no interpreter after #! in its first line: exec format error", "#!/bin/sh")?;
    let long = format!("#!/{}\n", "x".repeat(300));
    file(long, "the interpreter in the first line of /x goes beyond the 256 bytes that the kernel reads", "a link")?;
    file("#!/tmp\n", "/tmp (the interpreter of /x) is a directory", "name a file")?;
    let bundle = of_file("#!/y\n", 0o755)?;
    put(&bundle, "y", "#!/bin/sh\n", 0o644)?;
    says(&bundle, "/y (the interpreter of /x) has no x bit: permission denied: its mode is 0644", "`chmod +x /y`")?;
    let bundle = of_file("#!/x1\n", 0o755)?;
    for i in 1..7 {
        put(&bundle, &format!("x{i}"), format!("#!/x{}\n", i + 1), 0o755)?;
    }
    says(&bundle, "/x5 (the interpreter of /x4) is a script like those before it", "an interpreter that is a program")?;
    bundle.clean()
}

fn loaders() -> Outcome {
    let dynamic = fs::read(tool("true")?)?;
    let bundle = of_file(&dynamic, 0o755)?;
    let (own, _, loader, musl) = OWN;
    let cause = format!("/x needs the loader {loader}, which is not in the rootfs: no such file or directory");
    says(&bundle, &cause, "link the program statically")?;
    put(&bundle, &musl[1..], "x", 0o755)?;
    let cause = format!("/x needs the loader {loader} of glibc; the rootfs has that of musl");
    says(&bundle, &cause, &format!("build the program for musl or statically; the rootfs has {musl}"))?;
    for bytes in ["short".to_owned(), "no loader ".repeat(20)] {
        put(&bundle, &loader[1..], bytes, 0o755)?;
        says(&bundle, &format!("the loader {loader} of /x is no ELF program of this machine"), "the same machine")?;
    }
    put(&bundle, &loader[1..], elf(3, own), 0o644)?;
    says(&bundle, &format!("{loader} (the loader of /x) has no x bit"), &format!("`chmod +x {loader}`"))?;
    bundle.clean()
}

fn components() -> Outcome {
    let mut bundle = of_file("", 0o755)?;
    symlink("/opt/y", bundle.rootfs("dangling"))?;
    symlink("loop", bundle.rootfs("loop"))?;
    for i in 0..41 {
        symlink(format!("/l{}", i + 1), bundle.rootfs(&format!("l{i}")))?;
    }
    for (path, cause, cure) in [
        ("/opt/none/x", "/opt/none/x: no such file or directory: /opt is not in the rootfs", "put the program there"),
        ("/gone", "/gone is not in the rootfs: no such file or directory", "put it into the rootfs"),
        ("./gone", "./gone is not in the rootfs: no such file or directory", "put it into the rootfs"),
        (
            "/dangling",
            "/dangling: no such file or directory: the link /dangling leads to /opt/y",
            "put the program where /dangling leads",
        ),
        ("/loop", "/loop: the link /loop leads in a circle: it says loop", "point /loop to a file"),
        ("/bin/busybox/x", "/bin/busybox/x: not a directory: /bin/busybox is a file", "correct the path"),
        ("/bin/busybox/", "/bin/busybox/: not a directory: /bin/busybox is a file", "correct the path"),
        (
            "/bin/sh -c true",
            "/bin/sh -c true is a command line in one word: no such file or directory",
            "[\"sh\", \"-c\", \"/bin/sh -c true\"]",
        ),
        ("/l0", "/l0: more than 40 links follow one another, and the kernel stops at /l40", "name the file"),
        ("/bin", "/bin is a directory, and only a file can be executed: permission denied", "name a file"),
    ] {
        bundle.set("/process/args/0", json!(path))?;
        says(&bundle, cause, cure)?;
    }
    bundle.set("/process/args/0", json!(format!("/{}", "x".repeat(300))))?;
    let done = bundle.bundled(&["run"])?;
    ensure!(done.err.contains("a name of 300 bytes is too long: the kernel takes 255"), "{done:?}");
    bundle.clean()
}

/// The program runs as this user, without any capability.
fn as_user(bundle: &mut Bundle, uid: u32, gid: u32, groups: &[u32]) -> Outcome {
    bundle.set("/process/user", json!({"uid": uid, "gid": gid, "additionalGids": groups}))?;
    bundle.set("/process/capabilities", json!({}))
}

fn modes() -> Outcome {
    let mut bundle = of_file("#!/bin/sh\n", 0o644)?;
    says(&bundle, "/x has no x bit: permission denied: its mode is 0644", "`chmod +x /x` in the rootfs")?;
    put(&bundle, "x", "#!/bin/sh\n", 0o700)?;
    as_user(&mut bundle, 1000, 1000, &[])?;
    let cause = "user 1000 may not execute /x: permission denied: its mode is 0700, its owner 0:0";
    says(&bundle, cause, "`chmod a+rx /x` in the rootfs")?;
    // The group's bits count for a member, and those of all others do not.
    put(&bundle, "x", "#!/bin/sh\n", 0o705)?;
    chown(bundle.rootfs("x"), Some(0), Some(77))?;
    as_user(&mut bundle, 1000, 1000, &[77])?;
    says(
        &bundle,
        "user 1000 may not execute /x: permission denied: its mode is 0705, its owner 0:77",
        "/process/user",
    )?;
    as_user(&mut bundle, 1000, 1000, &[])?;
    bundle.bundled(&["run"])?.ok()?;
    put(&bundle, "opt/app/run", "#!/bin/sh\n", 0o755)?;
    fs::set_permissions(bundle.rootfs("opt/app"), Permissions::from_mode(0o700))?;
    bundle.set("/process/args/0", json!("/opt/app/run"))?;
    let cause = "user 1000 may not enter /opt/app: permission denied: its mode is 0700, its owner 0:0";
    says(&bundle, cause, "`chmod a+x /opt/app` in the rootfs")?;
    // A member of the directory's group has no use for the bits of all others: the cure gives it x too.
    as_user(&mut bundle, 1000, 0, &[])?;
    says(&bundle, cause, "`chmod a+x /opt/app` in the rootfs")?;
    fs::set_permissions(bundle.rootfs("opt/app"), Permissions::from_mode(0o711))?;
    bundle.bundled(&["run"])?.ok()?;
    fs::set_permissions(bundle.rootfs(""), Permissions::from_mode(0o700))?;
    let cause = "user 1000 may not enter the rootfs: permission denied: its mode is 0700, its owner 0:0";
    says(&bundle, cause, &format!("`chmod a+x {}`", bundle.rootfs("").to_string_lossy().trim_end_matches('/')))?;
    fs::set_permissions(bundle.rootfs(""), Permissions::from_mode(0o755))?;
    bundle.clean()
}

fn noexec() -> Outcome {
    let mut bundle = Bundle::plain()?;
    put(&bundle, "../data/x", "#!/bin/sh\n", 0o755)?;
    bundle.set("/process/args", json!(["/data/x"]))?;
    let source = bundle.path("data").to_string_lossy().into_owned();
    let mount =
        |options: &[&str]| json!({"destination": "/data", "type": "bind", "source": source, "options": options});
    bundle.set("/mounts/-", mount(&["bind", "noexec"]))?;
    let number = bundle.config["mounts"].as_array().map_or(0, Vec::len) - 1;
    let place = format!("/mounts/{number}");
    let cause = format!("/data/x lies on the mount at /data, which is noexec: permission denied (config.json {place}");
    says(&bundle, &cause, &format!("take `noexec` out of the options of {place}"))?;
    bundle.set(&place, mount(&["bind"]))?;
    bundle.bundled(&["run"])?.ok()?;
    // The host's mount hands its flag on to a bind.
    let mut tmpfs =
        in_own_mounts(&bundle, &format!("mount --bind {source} {source}; mount -o remount,bind,noexec {source}"))?;
    let done = bundle.finish(std::mem::replace(&mut tmpfs, Command::new("true")))?;
    let cause = "/data/x lies on the mount at /data, which has noexec from the host: permission denied";
    ensure!(done.err.contains(cause) && done.err.contains("add `exec` to the options"), "{done:?}");
    bundle.clean()
}

/// `run` in a mount namespace of its own, after a script.
fn in_own_mounts(bundle: &Bundle, script: &str) -> Result<Command, Failed> {
    bundle.write_config()?;
    let mut command = Command::new(tool("unshare")?);
    let [here, root] = [bundle.path(""), bundle.state_root()].map(|path| path.to_string_lossy().into_owned());
    let run = format!("{script}; exec {} --root {root} run --bundle {here} {}", runtime().display(), bundle.id);
    command.args(["--mount", "sh", "-c", &run]);
    Ok(command)
}

fn noexec_rootfs() -> Outcome {
    let bundle = Bundle::plain()?;
    let rootfs: PathBuf = bundle.rootfs("").canonicalize()?;
    let rootfs = rootfs.to_string_lossy();
    let script = format!("mount --bind {rootfs} {rootfs}; mount -o remount,bind,noexec {rootfs}");
    let done = bundle.finish(in_own_mounts(&bundle, &script)?)?;
    let words = "the rootfs lies on the host's mount at";
    ensure!(done.err.contains(words) && done.err.contains(&format!("`mount -o remount,exec {rootfs}`")), "{done:?}");
    bundle.clean()
}

fn not_in_path() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let path = "executable file not found in $PATH";
    bundle.set("/process/args", json!(["nosuch"]))?;
    bundle.set("/process/env", json!(["PATH=/bin:/usr/bin"]))?;
    says(
        &bundle,
        &format!("exec: \"nosuch\": {path}: the rootfs has it in none of /bin:/usr/bin"),
        "install it in the image",
    )?;
    put(&bundle, "opt/bin/tool", "#!/bin/sh\n", 0o755)?;
    bundle.set("/process/args", json!(["tool"]))?;
    says(
        &bundle,
        &format!("exec: \"tool\": {path}: it is /opt/bin/tool, and PATH is /bin:/usr/bin"),
        "add /opt/bin to PATH",
    )?;
    put(&bundle, "bin/tool", "#!/bin/sh\n", 0o644)?;
    says(&bundle, "/bin/tool has no x bit: permission denied", "`chmod +x /bin/tool`")?;
    bundle.set("/process/args", json!(["echo hi there"]))?;
    says(
        &bundle,
        &format!("exec: \"echo hi there\": {path}: it is a command line in one word"),
        "[\"sh\", \"-c\", \"echo hi there\"]",
    )?;
    bundle.set("/process/args", json!(["sh"]))?;
    bundle.set("/process/env", json!(["A=b"]))?;
    says(&bundle, &format!("exec: \"sh\": {path}: the environment of the process has no PATH"), "add \"PATH=")?;
    bundle.set("/process/env", json!(["PATH="]))?;
    says(&bundle, &format!("exec: \"sh\": {path}: the environment of the process has an empty PATH"), "add \"PATH=")?;
    bundle.clean()
}

fn too_long() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args/2", json!("x".repeat(140_000)))?;
    let limit = "bytes, and the kernel takes 131072 for one string: argument list too long (config.json";
    says(&bundle, &format!("the argument has 140001 {limit} /process/args/2)"), "put the value into a file")?;
    bundle.set("/process/args/2", json!("true"))?;
    bundle.set("/process/env/-", json!(format!("BIG={}", "x".repeat(140_000))))?;
    let last = bundle.config["process"]["env"].as_array().map_or(0, Vec::len) - 1;
    says(&bundle, &format!("the variable BIG has 140005 {limit} /process/env/{last})"), "put the value into a file")?;
    bundle.set(&format!("/process/env/{last}"), json!("BIG=no"))?;
    for _ in 0..10 {
        bundle.set("/process/args/-", json!("x".repeat(100_000)))?;
    }
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_STACK", "soft": 1 << 20, "hard": 8 << 20}]))?;
    let done = bundle.bundled(&["run"])?;
    let words = "and RLIMIT_STACK allows 262144: argument list too long (config.json /process/rlimits/0)";
    ensure!(done.err.contains(words) && done.err.contains("a quarter of RLIMIT_STACK (1048576) counts"), "{done:?}");
    bundle.clean()
}

fn busy() -> Outcome {
    let bundle = of_file(fs::read(tool("busybox")?)?, 0o755)?;
    let writer = OpenOptions::new().write(true).open(bundle.rootfs("x"))?;
    // Of the tests beside this one each process has it open until its execve.
    says(&bundle, "/x is open for writing in process ", "replace a program by `mv`")?;
    drop(writer);
    bundle.clean()
}

fn processes() -> Outcome {
    const MANY: u32 = 41_777;
    let mut bundle = Bundle::plain()?;
    as_user(&mut bundle, MANY, MANY, &[])?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_NPROC", "soft": 1, "hard": 1}]))?;
    let mut command = Command::new(tool("setpriv")?);
    let id = MANY.to_string();
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups", "sleep", "1000"]);
    let mut others = [command.spawn()?, command.spawn()?];
    let cause = format!("user {MANY} has 3 processes, and RLIMIT_NPROC is 1: resource temporarily unavailable");
    let said = says(&bundle, &cause, "a higher RLIMIT_NPROC in /process/rlimits");
    for other in &mut others {
        other.kill()?;
        other.wait()?;
    }
    said?;
    bundle.clean()
}

/// Ids in the message are those inside. A right counts only over a file that has an owner with an id there.
fn inside_ids() -> Outcome {
    let mut bundle = of_file("#!/bin/sh\n", 0o700)?;
    bundle.set("/linux/namespaces/-", json!({"type": "user"}))?;
    let map = json!([{"containerID": 0, "hostID": 100_000, "size": 1000}]);
    bundle.set("/linux/uidMappings", map.clone())?;
    bundle.set("/linux/gidMappings", map)?;
    fs::set_permissions(bundle.path(""), Permissions::from_mode(0o755))?;
    chown(bundle.rootfs("x"), Some(100_007), Some(100_008))?;
    bundle.set("/process/user", json!({"uid": 5, "gid": 5}))?;
    bundle.set("/process/capabilities", json!({}))?;
    says(&bundle, "user 5 may not execute /x: permission denied: its mode is 0700, its owner 7:8", "/process/user")?;
    chown(bundle.rootfs("x"), Some(0), Some(0))?;
    let every = json!(["CAP_DAC_OVERRIDE"]);
    bundle.set("/process/capabilities", json!({"bounding": every, "permitted": every, "effective": every}))?;
    bundle.set("/process/user", json!({"uid": 0, "gid": 0}))?;
    let cause = "user 0 may not execute /x: permission denied: its mode is 0700, its owner (not mapped):(not mapped)";
    says(&bundle, cause, "/process/user")?;
    bundle.clean()
}

/// The process that `start` wakes, and one that `exec` makes, are looked at as well.
fn by_other_commands() -> Outcome {
    let bundle = of_file(elf(2, 250), 0o755)?;
    bundle.bundled(&["create"])?.ok()?;
    let done = bundle.call(&["start", &bundle.id])?;
    let cause = "nk-runtime: /x is a program for a machine of number 250";
    ensure!(done.status == 1 && done.err.starts_with(cause) && done.err.contains("an image for"), "{done:?}");
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()?;
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    put(&bundle, "x", elf(2, 250), 0o755)?;
    let done = exec(&bundle, &[], &["/x"])?;
    ensure!(done.err.starts_with(cause), "{done:?}");
    let done = exec(&bundle, &[], &["/opt/none"])?;
    ensure!(
        done.err.starts_with("nk-runtime: /opt/none: no such file or directory: /opt is not in the rootfs"),
        "{done:?}"
    );
    end(bundle)
}

fn cwd() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/cwd", json!("/bin/busybox"))?;
    says(
        &bundle,
        "the working directory /bin/busybox is a file: not a directory (config.json /process/cwd)",
        "/process/cwd",
    )?;
    bundle.clean()
}

/// The kinds of a user namespace of its own, since Linux 6.7: those of the machine stay as they are.
fn emulated() -> Outcome {
    let mut bundle = of_file("NKKIND of a program\n", 0o755)?;
    bundle.remove("/linux/resources")?;
    no_terminal_group(&mut bundle)?;
    crate::bundle::copy_program(tool("busybox")?, bundle.path("cat"))?;
    let cat = bundle.path("cat").to_string_lossy().into_owned();
    let kinds = |interpreter: &str, flags: &str| {
        format!(
            "mount -t binfmt_misc none /proc/sys/fs/binfmt_misc || exit 9; \
             echo ':kind:M::NKKIND::{interpreter}:{flags}' > /proc/sys/fs/binfmt_misc/register;"
        )
    };
    let command = |verb: &[&str], script: &str| run_in(&bundle, verb, &NESTED, script);
    let done = command(&["run"], &kinds(&cat, "F"))?;
    if done.status == 9 {
        return bundle.clean(); // an older kernel
    }
    same("the program", done.ok()?.out, "NKKIND of a program\n".into())?;
    let done = command(&["check"], &kinds(&cat, "F"))?;
    ensure!(done.status == 0 && !done.out.contains("fails"), "{done:?}");
    let cause = "the host runs /x by /emu/cat, which is not in the rootfs: no such file or directory";
    let done = command(&["run"], &kinds("/emu/cat", ""))?;
    ensure!(done.err.starts_with(&format!("nk-runtime: {cause} (config.json /process/args")), "{done:?}");
    ensure!(done.err.contains("try: install /emu/cat in the image, or register it with the flag F"), "{done:?}");
    let done = command(&["check", "--format", "json"], &kinds("/emu/cat", ""))?;
    ensure!(done.status == 1 && done.out.contains(cause), "{done:?}");
    put(&bundle, "emu/cat", fs::read(tool("busybox")?)?, 0o755)?;
    let done = command(&["run"], &kinds("/emu/cat", ""))?.ok()?;
    same("the program", done.out, "NKKIND of a program\n".into())?;
    bundle.clean()
}

/// A hook is a program as well, on the host or in the container.
fn of_hooks() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let hook = bundle.path("hook");
    let path = hook.to_string_lossy().into_owned();
    for list in ["createRuntime", "startContainer", "poststart"] {
        let (file, name) = match list {
            "startContainer" => (bundle.rootfs("hook"), "/hook".to_owned()),
            _ => (hook.clone(), path.clone()),
        };
        bundle.set("/hooks", json!({list: [{"path": name}]}))?;
        for (text, cause, cure) in [
            ("#!/no/such\n", "wants the interpreter /no/such, which is not ", "install /no/such "),
            ("#!/bin/sh\r\n", "ends in a carriage return, so its interpreter is not found", "sed -i"),
            ("exit 0\n", "is a text, and its first line does not begin with #!: exec format error", "#!/bin/sh"),
            ("", "is an empty file: exec format error", "copy the program again"),
        ] {
            fs::write(&file, text)?;
            fs::set_permissions(&file, Permissions::from_mode(0o755))?;
            let done = bundle.bundled(&["run"])?;
            let first = done.err.lines().next().unwrap_or_default();
            let place = format!("(config.json /hooks/{list}/0)");
            ensure!(done.status == 1 && first.contains(cause) && first.ends_with(&place), "{list} {text:?}: {done:?}");
            ensure!(done.err.contains(&format!("try: {cure}")) || done.err.contains(cure), "{done:?}");
            ensure!(list == "startContainer" || !done.err.contains("rootfs"), "{done:?}");
            let check = bundle.bundled(&["check", "--format", "json"])?;
            ensure!(check.status == 1 && check.out.contains(cause), "{list} {text:?}: {check:?}");
        }
    }
    fs::write(&hook, "#!/bin/sh\n")?;
    bundle.set("/hooks", json!({"createRuntime": [{"path": path, "args": ["hook", "x".repeat(140_000)]}]}))?;
    let cause = "the argument has 140001 bytes, and the kernel takes 131072 for one string: argument list too long";
    says(&bundle, &format!("{cause} (config.json /hooks/createRuntime/0)"), "put the value into a file")?;
    bundle.clean()
}

/// A program that begins, and crashes at once, is seen beforehand.
fn checked() -> Outcome {
    let whole = fs::read(tool("busybox")?)?;
    let bundle = of_file(&whole[..whole.len() / 2], 0o755)?;
    let done = bundle.bundled(&["check", "--format", "json"])?;
    let words = format!("/x is cut off after {} bytes, so it would crash at its start", whole.len() / 2);
    ensure!(done.status == 1 && done.out.contains(&words), "{done:?}");
    // Afterwards it is told as well.
    let done = bundle.bundled(&["run"])?;
    ensure!(done.status > 128 && done.err.starts_with(&format!("nk-runtime: {words} (config.json")), "{done:?}");
    bundle.clean()
}
