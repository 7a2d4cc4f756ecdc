//! `run --mode vm`: what the machine gets of the host, and how. Roots that are not copied, bind mounts, a network, sizes, the `vm`
//! section of config.json, and a QEMU or a KVM that does not work.

use crate::bundle::{Bundle, Done, patiently, tool};
use crate::machine::{self, QEMU, kernel, kernels};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub fn cases() -> Vec<Trial> {
    machine::cases(
        "vm_host",
        &[
            ("root_shared_by_9p", || shared("9p")),
            ("root_shared_by_virtiofs", || shared("virtiofs")),
            ("a_shared_root_that_is_written", written),
            ("root_on_an_image", image),
            ("file_capabilities_by_kind_of_root", capable),
            ("two_gigabytes_start_without_being_read", large),
            ("binds_are_shared_or_copied", binds),
            ("network_of_qemus_own", network),
            ("memory_and_processors", sizes),
            ("the_section_of_config_json", section),
            ("qemus_words_are_shown_if_it_fails", words),
            ("kvm_that_does_not_work_is_found_out", kvm),
        ],
    )
}

fn text(path: PathBuf) -> String {
    path.to_string_lossy().into_owned()
}

const VM: &[&str] = &["run", "--mode", "vm"];

fn command(bundle: &Bundle, words: &[&str]) -> Result<Command, Failed> {
    bundle.write_config()?;
    let here = bundle.path("");
    let here = here.to_string_lossy();
    let tail = ["--bundle", here.trim_end_matches('/'), &bundle.id];
    let mut command = bundle.command(&[VM, words, &tail].concat())?;
    command.env("NK_KERNEL", kernel()).env("NK_VM_ACCEL", "tcg").stdin(Stdio::null());
    Ok(command)
}

fn run(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    bundle.finish(command(bundle, words)?)
}

/// What the program said, over a channel or over a serial line.
fn lines(done: &Done) -> Vec<&str> {
    done.out.lines().map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty()).collect()
}

fn applets(bundle: &Bundle, names: &[&str]) -> Outcome {
    for name in names {
        let place = bundle.rootfs("bin").join(name);
        if fs::symlink_metadata(&place).is_err() {
            symlink("busybox", place)?;
        }
    }
    Ok(())
}

/// Owners, modes and links are those of the bundle; what is written stays in the machine.
fn shared(kind: &str) -> Outcome {
    let mut bundle =
        Bundle::shell("stat -c '%n %a %u %g %s' /kept /soft; cat /soft; echo new > /kept; cat /kept; exit 5")?;
    applets(&bundle, &["stat", "cat"])?;
    let kept = bundle.rootfs("kept");
    fs::write(&kept, "old\n")?;
    chown(&kept, Some(7), Some(8))?;
    fs::set_permissions(&kept, fs::Permissions::from_mode(0o646))?;
    bundle.set("/root/readonly", json!(false))?;
    symlink("kept", bundle.rootfs("soft"))?;
    let done = run(&bundle, &["--root-from", kind])?;
    same("status", done.status, 5).map_err(|_| format!("{done:?}"))?;
    same("output", lines(&done), vec!["/kept 646 7 8 4", "/soft 777 0 0 4", "old", "new"])?;
    same("the host's file", fs::read_to_string(&kept)?.as_str(), "old\n")?;
    let left = Command::new("pgrep").args(["-f", &format!("virtiofsd.*{}", bundle.id)]).output();
    ensure!(left.is_ok_and(|left| left.stdout.is_empty()), "virtiofsd is left");
    bundle.clean()
}

fn written() -> Outcome {
    let mut bundle = Bundle::shell("echo new > /made")?;
    bundle.set("/root/readonly", json!(false))?;
    run(&bundle, &["--root-from", "9p", "--writable"])?.ok()?;
    let made = bundle.rootfs("made");
    same("the host's file", fs::read_to_string(&made)?.as_str(), "new\n")?;
    bundle.clean()
}

/// An ext4 image: found out by its magic, first below memory, then written to.
fn image() -> Outcome {
    let mut bundle = Bundle::shell("cat /made; echo made > /made")?;
    bundle.set("/root/readonly", json!(false))?;
    applets(&bundle, &["cat"])?;
    let disk = bundle.path("disk");
    let disk = disk.to_string_lossy();
    let made =
        Command::new(tool("mkfs.ext4")?).args(["-q", "-d"]).arg(bundle.rootfs("")).args([&*disk, "32m"]).status()?;
    ensure!(made.success(), "mkfs.ext4");
    // The directory of the root is not needed.
    for (words, wanted) in [(&[][..], ""), (&["--writable"], ""), (&["--root-from", "ext4"], "made")] {
        let done = run(&bundle, &[&["--image", &*disk][..], words].concat())?;
        same("status", done.status, 0).map_err(|_| format!("{words:?}: {done:?}"))?;
        let said: Vec<&str> = lines(&done).into_iter().filter(|line| !line.contains("No such file")).collect();
        same(&format!("{words:?}"), said.concat().as_str(), wanted)?;
    }
    run(&bundle, &["--root-from", "erofs", "--image", &disk])?.refused("has not the file system erofs")?;
    bundle.clean()
}

/// README.md's table says which root has them: CAP_NET_BIND_SERVICE, which a file gives to a user without it.
fn capable() -> Outcome {
    let mut bundle = Bundle::shell("/own/busybox grep CapEff /proc/self/status; stat -c '%a %u %g' /kept /; exit 4")?;
    applets(&bundle, &["stat"])?;
    let made = Command::new("sh")
        .args(["-ec", "mkdir own; cp bin/busybox own; setcap cap_net_bind_service=ep own/busybox; : >kept; chown 7:8 kept; chmod 4751 kept; chmod 751 ."])
        .current_dir(bundle.rootfs(""))
        .output()?;
    ensure!(made.status.success(), "{made:?}");
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    bundle.set("/process/capabilities", json!({"bounding": ["CAP_NET_BIND_SERVICE"]}))?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/initramfs");
    for (kind, has) in
        [("initramfs", false), ("9p", false), ("virtiofs", true), ("erofs", true), ("squashfs", true), ("ext4", true)]
    {
        let mut words = vec!["--root-from".to_string(), kind.into()];
        if ["erofs", "squashfs", "ext4"].contains(&kind) {
            let disk = text(bundle.path(kind));
            let mut make = Command::new(&script);
            make.args(["--image", kind, &text(bundle.rootfs("")), &disk]);
            bundle.finish(make)?.ok()?;
            words.extend(["--image".into(), disk]);
        }
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let done = run(&bundle, &words)?;
        same("status", done.status, 4).map_err(|_| format!("{kind}: {done:?}"))?;
        let set = if has { "CapEff:\t0000000000000400" } else { "CapEff:\t0000000000000000" };
        same(kind, lines(&done), vec![set, "4751 7 8", "751 0 0"])?;
    }
    bundle.clean()
}

/// A root that would not fit into the machine's memory: it is shared by itself.
fn large() -> Outcome {
    let bundle = Bundle::shell("stat -c %s /large; grep MemTotal /proc/meminfo")?;
    applets(&bundle, &["stat", "grep"])?;
    fs::File::create(bundle.rootfs("large"))?.set_len(2 << 30)?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 0).map_err(|_| format!("{done:?}"))?;
    let said = lines(&done);
    same("its size", said.first().copied(), Some("2147483648"))?;
    let memory = said.get(1).and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    ensure!(memory.is_some_and(|kib| kib < 300 << 10), "{said:?}");
    bundle.clean()
}

fn binds() -> Outcome {
    let mut bundle =
        Bundle::shell("cat /file /dir/inside; echo back > /dir/outside; echo no > /kept/x; ls /sys2 | grep -c kernel")?;
    applets(&bundle, &["cat", "ls", "grep"])?;
    fs::write(bundle.path("file"), "a file\n")?;
    for name in ["shared", "only"] {
        fs::create_dir(bundle.path(name))?;
    }
    fs::write(bundle.path("shared").join("inside"), "a shared one\n")?;
    let bind = |source: &Path, destination: &str, more: &str| json!({"destination": destination, "type": "bind", "source": source.to_string_lossy(), "options": ["rbind", more]});
    for mount in [
        bind(&bundle.path("file"), "/file", "ro"),
        // Sources that are not absolute are the bundle's.
        bind(Path::new("shared"), "/dir", "rw"),
        bind(&bundle.path("only"), "/kept", "ro"),
        bind(Path::new("/sys"), "/sys2", "ro"),
    ] {
        bundle.set("/mounts/-", mount)?;
    }
    let done = run(&bundle, &[])?;
    let said: Vec<&str> = lines(&done).into_iter().filter(|line| !line.contains("Read-only")).collect();
    same("output", said, vec!["a file", "a shared one", "1"]).map_err(|_| format!("{done:?}"))?;
    same("written", fs::read_to_string(bundle.path("shared").join("outside"))?.as_str(), "back\n")?;
    ensure!(fs::read_dir(bundle.path("only"))?.next().is_none(), "what is read-only was written");
    bundle.clean()
}

fn network() -> Outcome {
    let script = "ls /sys/class/net | sort; cat /etc/resolv.conf /proc/sys/net/ipv4/ip_default_ttl; echo ready; echo hello | nc -l -p 80";
    let mut bundle = Bundle::shell(script)?;
    applets(&bundle, &["ls", "sort", "cat", "nc"])?;
    fs::create_dir_all(bundle.rootfs("etc"))?;
    bundle.set("/linux/sysctl", json!({"net.ipv4.ip_default_ttl": "77"}))?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let running = bundle.start(command(&bundle, &["--net", "user", "--publish", &format!("{port}:80")])?)?;
    patiently("the program's word", || Ok(running.said().0.contains("ready")))?;
    let mut got = String::new();
    patiently("an answer", || {
        let mut stream = TcpStream::connect(("127.0.0.1", port))?;
        got.clear();
        let _ = stream.read_to_string(&mut got);
        Ok(got.contains("hello"))
    })?;
    let done = bundle.wait(running)?;
    same("status", done.status, 0).map_err(|_| format!("{done:?}"))?;
    same("inside", lines(&done), vec!["eth0", "lo", "nameserver 10.0.2.3", "77", "ready"])?;
    bundle.clean()
}

/// By options, by `vm.hwConfig`, and by the container's limits.
fn sizes() -> Outcome {
    let mut bundle = Bundle::shell("nproc; grep MemTotal /proc/meminfo")?;
    applets(&bundle, &["nproc", "grep"])?;
    bundle.set("/linux/resources/cpu", json!({"quota": 150000, "period": 100000, "cpus": "0-7"}))?;
    let seen = |done: Done| -> Result<(String, u64), Failed> {
        same("status", done.status, 0).map_err(|_| format!("{done:?}"))?;
        let said = lines(&done);
        let kib = said.get(1).and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        Ok((said[0].into(), kib.unwrap_or(0) >> 10))
    };
    let (cpus, by_limit) = seen(run(&bundle, &[])?)?;
    same("by quota", cpus.as_str(), "2")?;
    ensure!(by_limit < 250, "{by_limit} MiB");
    let hardware = json!({"memory": 400u64 << 20, "vcpus": 3});
    bundle.set("/vm", json!({"kernel": {"path": text(kernel())}, "hwConfig": hardware}))?;
    let (cpus, memory) = seen(run(&bundle, &[])?)?;
    ensure!(cpus == "3" && (300..400).contains(&memory), "hwConfig: {cpus}, {memory} MiB");
    let (cpus, memory) = seen(run(&bundle, &["--cpus", "1", "--memory", "500"])?)?;
    ensure!(cpus == "1" && (400..500).contains(&memory), "options: {cpus}, {memory} MiB");
    bundle.clean()
}

fn section() -> Outcome {
    let mut bundle = Bundle::shell("cat /proc/cmdline")?;
    applets(&bundle, &["cat"])?;
    let further = json!({
        "kernel": {"path": text(kernels("vmlinux")), "parameters": ["frob=1", "hello world"], "initrd": text(bundle.path("further"))},
        "hypervisor": {"path": text(tool(QEMU)?), "parameters": ["-name", "a name"]},
    });
    // An archive with nothing in it: the end of one.
    let mut archive = Vec::from(*b"070701");
    archive.extend(["0"; 11 * 8].concat().bytes());
    archive.extend(b"0000000b00000000TRAILER!!!\0\0\0\0");
    fs::write(bundle.path("further"), archive)?;
    bundle.set("/vm", further)?;
    let mut command = command(&bundle, &[])?;
    command.env("NK_KERNEL", "/nowhere").env("PATH", "/usr/bin:/bin");
    let done = bundle.finish(command)?;
    same("status", done.status, 0).map_err(|_| format!("{done:?}"))?;
    ensure!(done.out.contains("frob=1 hello world"), "{done:?}");
    bundle.call(&["run", "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?.refused("run --mode vm")?;
    for (words, pointer) in [("nk.end=halt", "/vm/kernel/parameters/0"), ("a\nb", "/vm/kernel/parameters/0")] {
        bundle.set("/vm/kernel/parameters", json!([words]))?;
        run(&bundle, &[])?.refused(pointer)?;
    }
    bundle.set("/vm/kernel/parameters", json!([]))?;
    for key in ["dtdevs", "iomems", "irqs"] {
        bundle.set("/vm/hwConfig", json!({key: [Value::Null]}))?;
        run(&bundle, &[])?.refused(&format!("/vm/hwConfig/{key}"))?;
    }
    bundle.clean()
}

fn words() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let hypervisor = json!({"path": text(tool(QEMU)?), "parameters": ["-frobnicate"]});
    bundle.set("/vm", json!({"kernel": {"path": text(kernel())}, "hypervisor": hypervisor}))?;
    let done = run(&bundle, &[])?;
    ensure!(done.status != 0 && done.err.contains("-frobnicate: invalid option"), "{done:?}");
    bundle.clean()
}

/// A QEMU that ends with KVM as nested machines let it end, and works without.
fn kvm() -> Outcome {
    let bundle = Bundle::shell("echo works")?;
    let fake = bundle.path("qemu");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'-accel kvm'*) echo 'error: failed to set MSR 0x10a to 0x69' >&2; echo 'kvm.c:3183: Assertion' >&2; kill -ABRT $$ ;; esac\nexec {} \"$@\"\n",
        tool(QEMU)?.to_string_lossy()
    );
    fs::write(&fake, script)?;
    fs::set_permissions(&fake, fs::Permissions::from_mode(0o755))?;
    let fake = fake.to_string_lossy();
    let said = "KVM does not work on this machine: error: failed to set MSR 0x10a to 0x69";
    let done = run(&bundle, &["--qemu", &fake, "--accel", "kvm"])?.refused(said)?;
    ensure!(done.err.contains("--accel tcg"), "{done:?}");
    let mut by_default = command(&bundle, &["--qemu", &fake])?;
    by_default.env_remove("NK_VM_ACCEL");
    let done = bundle.finish(by_default)?;
    same("status", done.status, 0).map_err(|_| format!("{done:?}"))?;
    same("output", lines(&done), vec!["works"])?;
    if fs::File::options().read(true).write(true).open("/dev/kvm").is_ok() {
        ensure!(done.err.lines().count() == 1 && done.err.contains("so the machine is emulated"), "{done:?}");
    }
    bundle.clean()
}
