//! `run --mode vm`: containers in machines of their own, by QEMU without KVM.

use crate::bundle::{Bundle, Done, Running, patiently, tool};
use crate::machine::{self, QEMU, kernel, kernels};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, chown, symlink};
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    let mut all = machine::cases(
        "vm",
        &[
            ("programs_output_and_status", runs),
            ("rootfs_arrives_as_it_is", rootfs),
            ("input_reaches_the_program", input),
            ("state_kill_and_delete", lifecycle),
            ("delete_force_while_it_runs", forced),
            ("keep_leaves_it_stopped", kept),
            ("trace_comes_from_inside_too", traced),
            ("nothing_said_is_a_failure", no_word),
            ("failures_are_named_and_leave_nothing", injected),
        ],
    );
    all.extend(area(
        "vm",
        &[
            ("without_qemu_it_says_so", no_qemu),
            ("without_a_kernel_it_says_so", no_kernel),
            ("what_needs_the_host_is_refused", refused),
            ("options_that_do_not_go_together", options),
        ],
    ));
    all
}

/// By the serial line, as where a kernel has no virtio.
const VM: &[&str] = &["run", "--mode", "vm", "--serial"];

fn command(bundle: &Bundle, words: &[&str]) -> Result<Command, Failed> {
    bundle.write_config()?;
    let here = bundle.path("");
    let here = here.to_string_lossy();
    let tail = ["--bundle", here.trim_end_matches('/'), &bundle.id];
    let mut command = bundle.command(&[words, &tail].concat())?;
    command.env("NK_KERNEL", kernel()).env("NK_VM_ACCEL", "tcg");
    Ok(command)
}

fn run(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    bundle.finish(command(bundle, words)?)
}

/// What the program said: a serial line ends its lines in CR LF.
fn lines(done: &Done) -> Vec<&str> {
    done.out.split("\r\n").filter(|l| !l.is_empty()).collect()
}

fn runs() -> Outcome {
    let bundle = Bundle::shell("echo $$; hostname; ls /sys/fs/cgroup | grep -c cgroup.procs; exit 7")?;
    symlink("busybox", bundle.rootfs("bin/grep"))?;
    let done = run(&bundle, VM)?;
    same("status", done.status, 7)?;
    same("output", lines(&done), vec!["1", "runc", "1"])?;
    same("stderr", done.err.as_str(), "")?;
    // The same by a kernel that unpacks itself.
    let packed = kernels("vmlinuz");
    let words = ["--kernel", &packed.to_string_lossy()];
    same("status", run(&bundle, &[VM, &words].concat())?.status, 7)?;
    bundle.clean()
}

/// Owners, modes, links of both kinds, devices, fifos, sizes around the padding, and names that are not UTF-8.
fn rootfs() -> Outcome {
    let script = "cd /kept; for f in *; do stat -c '%n %F %a %u %g %h %s %t %T' $f; done; cat five hard
        readlink soft; cmp big /dev/zero; wc -c < big; stat -c %i hard five | uniq | wc -l; stat -c %Y five
        ls -ld /tmp | cut -c1-10; ls -d /un* | wc -l";
    let bundle = Bundle::shell(script)?;
    for applet in ["stat", "readlink", "cmp", "uniq", "cut"] {
        symlink("busybox", bundle.rootfs("bin").join(applet))?;
    }
    let kept = bundle.rootfs("kept");
    fs::create_dir(&kept)?;
    fs::write(kept.join("five"), "five\n")?;
    fs::set_permissions(kept.join("five"), fs::Permissions::from_mode(0o4751))?;
    let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    fs::File::options().write(true).open(kept.join("five"))?.set_modified(old)?;
    fs::hard_link(kept.join("five"), kept.join("hard"))?;
    fs::write(kept.join("big"), vec![0; 300_001])?;
    chown(kept.join("big"), Some(1000), Some(2000))?;
    symlink("../else/where", kept.join("soft"))?;
    fs::create_dir(kept.join("dir"))?;
    fs::set_permissions(kept.join("dir"), fs::Permissions::from_mode(0o1700))?;
    let made = Command::new("sh")
        .args(["-c", "mknod null c 1 3; mkfifo pipe; : > \"$(printf 'un\\377')\"; mv un* .."])
        .current_dir(&kept)
        .status()?;
    ensure!(made.success(), "mknod");
    ensure!(fs::metadata(kept.join("null"))?.file_type().is_char_device(), "no device");
    fs::set_permissions(bundle.rootfs("tmp"), fs::Permissions::from_mode(0o1777))?;
    let links = fs::metadata(kept.join("five"))?.nlink();
    same("links", links, 2)?;
    let done = run(&bundle, VM)?;
    let wanted = vec![
        "big regular file 644 1000 2000 1 300001 0 0",
        "dir directory 1700 0 0 2 0 0 0",
        "five regular file 4751 0 0 2 5 0 0",
        "hard regular file 4751 0 0 2 5 0 0",
        "null character special file 644 0 0 1 0 1 3",
        "pipe fifo 644 0 0 1 0 0 0",
        "soft symbolic link 777 0 0 1 13 0 0",
        "five",
        "five",
        "../else/where",
        "300001",
        "1",
        "1000000000",
        "drwxrwxrwt",
        "1",
    ];
    let said = lines(&done);
    let said: Vec<&str> = said.into_iter().filter(|l| !l.starts_with("cmp: EOF")).collect();
    // A directory's size is the file system's business.
    let said: Vec<String> = said.iter().map(|line| size_left_out(line)).collect();
    let wanted: Vec<String> = wanted.iter().map(|line| size_left_out(line)).collect();
    same("the tree", said, wanted)?;
    bundle.clean()
}

fn size_left_out(line: &str) -> String {
    match line.strip_prefix("dir directory 1700 0 0 2 ") {
        Some(_) => "dir directory 1700 0 0 2".into(),
        None => line.into(),
    }
}

/// What comes before the machine's kernel listens is lost, as on any serial line.
fn input() -> Outcome {
    let bundle = Bundle::shell("echo ready; read word; echo got $word")?;
    let mut command = command(&bundle, VM)?;
    command.stdin(Stdio::piped());
    let mut running = bundle.start(command)?;
    patiently("the program's word", || Ok(running.said().0.contains("ready")))?;
    let mut stdin = running.child.stdin.take().ok_or("no stdin")?;
    std::io::Write::write_all(&mut stdin, b"this\n")?;
    let done = bundle.wait(running)?;
    same("status", done.status, 0)?;
    ensure!(lines(&done).contains(&"got this"), "{done:?}");
    bundle.clean()
}

/// A machine whose program waits: on its way, and known to be.
fn waiting(bundle: &Bundle) -> Result<Running, Failed> {
    let running = bundle.start(command(bundle, VM)?)?;
    patiently("the program's word", || Ok(running.said().0.contains("ready")))?;
    Ok(running)
}

fn lifecycle() -> Outcome {
    let bundle = Bundle::shell("echo ready; sleep 1000")?;
    let running = waiting(&bundle)?;
    let state = bundle.state()?;
    same("status", state["status"].as_str(), Some("running"))?;
    same("mode", state["mode"].as_str(), Some("vm"))?;
    let program = fs::read_link(format!("/proc/{}/exe", state["pid"]))?;
    ensure!(program.ends_with(QEMU), "its process is {program:?}");
    let listed: Value = serde_json::from_str(&bundle.call(&["list", "-f", "json"])?.ok()?.out)?;
    same("listed mode", listed[0]["mode"].as_str(), Some("vm"))?;
    let refused = "TERM and KILL end the machine";
    bundle.call(&["kill", &bundle.id, "USR1"])?.refused(refused)?;
    bundle.call(&["delete", &bundle.id])?.refused("that is not stopped")?;
    bundle.call(&["pause", &bundle.id])?.refused(&bundle.id)?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

fn forced() -> Outcome {
    let bundle = Bundle::shell("echo ready; sleep 1000")?;
    let running = waiting(&bundle)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

fn kept() -> Outcome {
    let bundle = Bundle::shell("exit 4")?;
    let done = run(&bundle, &[VM, &["--keep"]].concat())?;
    same("status", done.status, 4)?;
    same("kept", bundle.status()?.as_str(), "stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn traced() -> Outcome {
    let bundle = Bundle::shell("exit 0")?;
    let done = run(&bundle, &[&["--trace=json"], VM].concat())?;
    let has = |text: &str, call: &str| {
        let calls = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        calls.into_iter().any(|one| one["call"] == call)
    };
    ensure!(has(&done.out, "pivot_root"), "nothing from inside:\n{}", done.out);
    ensure!(has(&done.err, "memfd_create"), "nothing from outside:\n{}", done.err);
    ensure!(!has(&done.err, "pivot_root"), "the host pivots:\n{}", done.err);
    bundle.clean()
}

/// A machine that is told to end says no status: no success either.
fn no_word() -> Outcome {
    let bundle = Bundle::shell("echo ready; sleep 1000")?;
    let running = waiting(&bundle)?;
    bundle.call(&["kill", &bundle.id, "TERM"])?.ok()?;
    let done = bundle.wait(running)?;
    same("status", done.status, 1)?;
    ensure!(done.err.contains("the machine ended before its program"), "{done:?}");
    bundle.clean()
}

fn injected() -> Outcome {
    let bundle = Bundle::plain()?;
    for (call, errno, said) in [
        ("memfd_create", "ENOMEM", "cannot make the machine's initramfs: cannot allocate memory"),
        ("sendfile", "ENOSPC", "cannot put /init into the machine's initramfs: no space left on device"),
        ("clone3", "EAGAIN", "clone3("),
        ("dup3", "EBADF", "dup3("),
        ("renameat2", "EIO", "cannot save the state: "),
        ("rt_sigtimedwait", "EINVAL", "cannot wait for the program: "),
    ] {
        let own = command(&bundle, VM)?;
        let mut strace = Command::new(tool("strace")?);
        strace
            .args(["-f", "-o", "/dev/null"])
            .arg(format!("--inject={call}:error={errno}:when=1"))
            .arg(own.get_program())
            .args(own.get_args())
            .envs(own.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::null());
        bundle.finish(strace)?.refused(said)?;
        bundle.nothing_left()?;
    }
    bundle.clean()
}

fn no_qemu() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut without = command(&bundle, VM)?;
    without.env("PATH", "/nowhere");
    let said = "there is no qemu-system-x86_64 in $PATH: install it (Debian: qemu-system-x86), or name it with --qemu";
    bundle.finish(without)?.refused(said)?;
    run(&bundle, &[VM, &["--qemu", "/etc/passwd"]].concat())?.refused("--qemu /etc/passwd: no program")?;
    bundle.clean()
}

fn no_kernel() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut without = command(&bundle, &[VM, &["--qemu", "/bin/true"]].concat())?;
    without.env_remove("NK_KERNEL");
    // The machine of the tests may have a kernel installed.
    let boot = fs::read_dir("/boot").into_iter().flatten();
    let usual = boot.flatten().any(|e| e.file_name().to_string_lossy().starts_with("vmlinuz"));
    if !usual && fs::metadata("/vmlinuz").is_err() {
        let said = "install one (Debian: linux-image-amd64), or name it with --kernel";
        bundle.finish(without)?.refused(said)?;
    }
    let words = ["--qemu", "/bin/true", "--kernel", "/nowhere/vmlinuz"];
    run(&bundle, &[VM, &words].concat())?.refused("the kernel /nowhere/vmlinuz is no file")?;
    run(&bundle, &[VM, &["--qemu", "/bin/true", "--kernel", "/etc/passwd"]].concat())?
        .refused("/etc/passwd is no Linux kernel that QEMU could start")?;
    bundle.clean()
}

fn refused() -> Outcome {
    let bind = |source: &str, more: &str| json!({"destination": "/x", "type": "bind", "source": source, "options": ["rbind", more]});
    let section = |key: &str, value: Value| json!({"kernel": {"path": kernel().to_string_lossy()}, key: value});
    let cases = [
        ("/mounts/0", bind("/etc/passwd", "rw"), "/mounts/0"),
        ("/mounts/0", bind("/nowhere", "ro"), "/mounts/0"),
        ("/vm", json!({"kernel": {}}), "/vm/kernel/path"),
        ("/vm", section("hwConfig", json!({"deviceTree": "/d"})), "/vm/hwConfig/deviceTree"),
        ("/vm", section("hwConfig", json!({"memory": 20_000_000})), "/vm/hwConfig/memory"),
        ("/linux/namespaces/-", json!({"type": "user", "path": "/proc/1/ns/user"}), "/path"),
        ("/linux/netDevices", json!({"eth7": {}}), "/linux/netDevices/eth7"),
        ("/linux/intelRdt", json!({"closID": "x"}), "/linux/intelRdt"),
        ("/hooks", json!({"poststop": [{"path": "/bin/true"}]}), "/hooks/poststop/0"),
        ("/root/path", json!("/dev/shm"), "/root/path"),
    ];
    for (pointer, value, named) in cases {
        let mut bundle = Bundle::plain()?;
        bundle.set(pointer, value)?;
        let done = run(&bundle, VM)?;
        ensure!(done.status == 1 && done.out.is_empty(), "{pointer}: {done:?}");
        ensure!(done.err.contains(named), "{pointer}: {done:?}");
        bundle.clean()?;
    }
    Ok(())
}

fn options() -> Outcome {
    let bundle = Bundle::plain()?;
    for (words, said) in [
        (&["run", "--mode", "vm", "--detach"][..], "--detach does not go with --mode vm"),
        (&["run", "--mode", "vm", "--no-pivot"], "--no-pivot does not go with --mode vm"),
        (&["run", "--kernel", "/k"], "--kernel is for --mode vm alone"),
        (&["run", "--mode", "jail"], "`jail` is no mode"),
        (&["run", "--mode", "vm", "--accel", "xen"], "`xen` is no accelerator"),
        (&["run", "--memory", "99"], "--memory is for --mode vm alone"),
        (&["run", "--mode", "vm", "--publish", "80:80"], "--publish needs --net user"),
        (&["run", "--mode", "vm", "--net", "user", "--publish", "80"], "write HOST:GUEST"),
        (
            &["run", "--mode", "vm", "--root-from", "9p", "--image", "/i"],
            "--image is for --root-from erofs, squashfs or ext4",
        ),
        (&["run", "--mode", "vm", "--root-from", "erofs", "--writable"], "can only be read"),
        (
            &["run", "--mode", "vm", "--root-from", "erofs"],
            "takes an image that was made before: `scripts/initramfs --image",
        ),
        (&["run", "--mode", "vm", "--memory", "17"], "kernel and initramfs need"),
        (&["run", "--mode", "vm", "--modules", "/etc"], "/etc has no modules.dep"),
        (&["create", "--mode", "vm"], "no option `--mode`"),
    ] {
        run(&bundle, words)?.refused(said)?;
    }
    bundle.clean()
}
