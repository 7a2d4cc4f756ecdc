//! `run --mode vm`: what goes wrong before a machine speaks, with programs in QEMU's place; and what a caller does to the commands
//! that speak with a machine.

use super::vm_channel::{command_with, fake_machine, frame, ready, shell};
use crate::bundle::{Bundle, Done, patiently};
use crate::machine;
use crate::screen::Seat;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    let mut all = machine::cases_with(
        "vm_faults",
        &["virtio_mmio", "virtio_console"],
        &[
            ("output_that_cannot_be_written", full),
            ("closed_descriptors", closed),
            ("clients_that_are_stopped", stopped),
            ("clients_that_say_nothing", silent),
            ("one_client_more_than_there_can_be", crowded),
            ("a_disk_that_fills_up_meanwhile", filled),
            ("exec_ends_as_on_the_host", statuses),
            ("what_reaches_no_machine_is_refused", unreached),
            ("a_root_that_is_damaged", damaged),
        ],
    );
    if cfg!(target_arch = "x86_64") {
        all.extend(area(
            "vm_faults",
            &[
                ("a_signal_before_the_machine_speaks", signals),
                ("the_caller_is_killed_before_the_machine_speaks", killed),
                ("a_signal_while_the_initramfs_is_made", early),
                ("state_says_creating_until_the_container_is_there", unfinished),
                ("a_wrong_patience_is_refused", patience),
                ("a_full_disk_under_the_state", no_room),
                ("the_terminal_gets_its_settings_back", settings),
                ("kvm_that_hangs_is_found_out", hangs),
                ("qemu_without_a_device_says_so", lacking),
                ("what_no_machine_has_is_refused_before_qemu", before),
            ],
        ));
    }
    all
}

/// A QEMU that takes what it gets, and says nothing.
const SILENT: &str = "echo > began; exec sleep 1000";

/// Such a machine that has begun.
fn begun(bundle: &Bundle) -> Result<crate::bundle::Running, Failed> {
    let mut command = fake_machine(bundle, SILENT, "60", &[])?;
    command.current_dir(bundle.path(""));
    let running = bundle.start(command)?;
    patiently("QEMU's begin", || Ok(bundle.path("began").exists()))?;
    Ok(running)
}

fn pid(running: &crate::bundle::Running) -> Result<Pid, Failed> {
    Ok(Pid::from_raw(i32::try_from(running.child.id())?))
}

/// The machine's process, while the state has one.
fn qemu(bundle: &Bundle) -> Result<i64, Failed> {
    let mut found = None;
    patiently("the machine's process", || {
        found = bundle.state().ok().and_then(|state| state["pid"].as_i64()).filter(|pid| *pid > 0);
        Ok(found.is_some())
    })?;
    Ok(found.ok_or("no pid")?)
}

fn gone(pid: i64) -> Outcome {
    patiently("the end of the machine's process", || {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        Ok(status.is_empty() || status.contains("State:\tZ"))
    })
}

fn signals() -> Outcome {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        let bundle = Bundle::plain()?;
        let running = begun(&bundle)?;
        let machine = qemu(&bundle)?;
        kill(pid(&running)?, signal)?;
        let said = format!("{} came before the machine had begun, and ended it", signal.as_str());
        let done = bundle.wait(running)?.refused(&said)?;
        same("messages", done.messages(), 1)?;
        gone(machine)?;
        bundle.clean()?;
    }
    Ok(())
}

fn killed() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut running = begun(&bundle)?;
    let machine = qemu(&bundle)?;
    running.child.kill()?;
    running.child.wait()?;
    gone(machine)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// What is made before QEMU begins is undone as well.
fn early() -> Outcome {
    let bundle = Bundle::plain()?;
    fs::File::create(bundle.rootfs("large"))?.set_len(400 << 20)?;
    let command = fake_machine(&bundle, SILENT, "60", &["--root-from", "initramfs", "--memory", "4000"])?;
    let running = bundle.start(command)?;
    patiently("the container's state", || Ok(bundle.state_root().join(&bundle.id).exists()))?;
    // The directory is there after signals are held back.
    kill(pid(&running)?, Signal::SIGINT)?;
    bundle.wait(running)?.refused("SIGINT came before the machine had begun, and ended it")?;
    bundle.clean()
}

/// A machine that boots, one in which there is no container yet, and one in which the container's state is being written.
fn unfinished() -> Outcome {
    let bundle = Bundle::plain()?;
    let hello = frame(0, 101, 20, &[&1u32.to_le_bytes()[..], &[0; 16]].concat());
    // The answer to `state`, in a session of this number: the error, and the end.
    let failed = |session, said: &str| -> Result<String, Failed> {
        let error = frame(session, 103, u32::try_from(said.len())?, said.as_bytes());
        let ends = frame(session, 102, 0, b"") + &frame(session, 103, 0, b"") + &frame(session, 104, 4, &[1, 0, 0, 0]);
        Ok(error + &ends)
    };
    let absent = failed(2, "nk-runtime: container does not exist: x\n")?;
    // No records are kept of a container that is gone.
    let none = frame(3, 102, 0, b"") + &frame(3, 104, 4, &[2, 0, 0, 0]);
    let unfinished = failed(4, "nk-runtime: container does not exist: x: its state is unfinished\n")?;
    let until = |file: &str| format!("until [ -e {file} ]; do sleep 0.1; done");
    let script = format!(
        "{}; printf '{hello}{hello}' >&102; {}; sleep 0.7; printf '{absent}' >&102; sleep 0.7; printf '{none}' >&102
        {}; sleep 0.7; printf '{unfinished}' >&102; exec sleep 1000",
        until("speak"),
        until("first"),
        until("second")
    );
    let running = bundle.start(fake_machine(&bundle, &script, "60", &[])?)?;
    let mut machine = 0;
    patiently("the container's state", || {
        machine = bundle.state().ok().and_then(|state| state["pid"].as_i64()).unwrap_or(0);
        Ok(machine > 0)
    })?;
    same("while it boots", bundle.status()?.as_str(), "creating")?;
    fs::write(bundle.path("speak"), "")?;
    let channel = bundle.state_root().join(&bundle.id).join("channel");
    patiently("the channel", || Ok(channel.exists()))?;
    fs::write(bundle.path("first"), "")?;
    same("before there is a container", bundle.status()?.as_str(), "creating")?;
    fs::write(bundle.path("second"), "")?;
    same("while its state is unfinished", bundle.status()?.as_str(), "creating")?;
    kill(Pid::from_raw(i32::try_from(machine)?), Signal::SIGKILL)?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

fn patience() -> Outcome {
    for word in ["x", "-1", "1.5", "1 ", "18446744073709551616"] {
        let bundle = Bundle::plain()?;
        let done = bundle.finish(fake_machine(&bundle, SILENT, word, &[])?)?;
        done.refused("NK_VM_PATIENCE: write a number of seconds")?;
        bundle.clean()?;
    }
    Ok(())
}

/// What is kept of a container needs room; its program does not.
fn no_room() -> Outcome {
    // The size of a file system with room for the state and not for a trace, and one without room for anything.
    for pages in [0u32, 1, 2, 3, 4, 6, 8, 12] {
        let bundle = Bundle::plain()?;
        let root = bundle.state_root();
        fs::create_dir_all(&root)?;
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={}k", 4 * (pages + 1)), "none"])
            .arg(&root)
            .status()?;
        ensure!(mounted.success(), "mount");
        fs::write(root.join("filler"), vec![1; 4096])?;
        let done = bundle.finish(fake_machine(&bundle, "exit 3", "60", &[])?);
        let left = fs::read_dir(&root)?.count();
        let unmounted = Command::new("umount").arg(&root).status()?;
        ensure!(unmounted.success(), "umount");
        let done = done?;
        ensure!(done.status == 1 && done.messages() == 1, "{pages}: {done:?}");
        ensure!(left <= 2, "{pages} pages: {left} entries are left of {done:?}");
        bundle.clean()?;
    }
    Ok(())
}

/// The program, its output and other commands need no room on it; the trace that is not kept is told once.
fn filled() -> Outcome {
    let bundle = shell("echo ready; read line; echo got $line; exit 5", &["true"])?;
    let root = bundle.state_root();
    fs::create_dir_all(&root)?;
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=512k", "none"]).arg(&root).status()?;
    ensure!(mounted.success(), "mount");
    let ran = || -> Result<(Done, usize), Failed> {
        let mut command = command_with(&bundle, &[])?;
        command.stdin(Stdio::piped());
        let mut running = bundle.start(command)?;
        patiently("the program's word", || Ok(running.said().0.contains("ready")))?;
        let mut filler = fs::File::create(root.join("filler"))?;
        while filler.write_all(&[1; 4096]).is_ok() {}
        for _ in 0..2 {
            let done = bundle.call(&["exec", &bundle.id, "true"])?;
            ensure!(done.status == 0, "{done:?}");
            same("state", bundle.status()?.as_str(), "running")?;
        }
        running.child.stdin.take().ok_or("no input")?.write_all(b"it\n")?;
        let done = bundle.wait(running)?;
        Ok((done, fs::read_dir(&root)?.count()))
    };
    let ran = ran();
    let unmounted = Command::new("umount").arg("-l").arg(&root).status()?;
    ensure!(unmounted.success(), "umount");
    let (done, left) = ran?;
    ensure!(done.status == 5 && done.out == "ready\ngot it\n", "{done:?}");
    ensure!(left <= 2, "{left} entries are left");
    bundle.clean()
}

/// By a serial line QEMU itself makes the terminal raw, and may be killed.
fn settings() -> Outcome {
    let bundle = Bundle::plain()?;
    let own = fake_machine(&bundle, "stty raw -echo; kill -KILL $$", "60", &["--serial"])?;
    let mut command = Command::new("sh");
    command.args(["-c", "stty -g >before; \"$@\"; status=$?; stty -g >after; exit $status", "sh"]);
    command.arg(own.get_program()).args(own.get_args()).current_dir(bundle.path(""));
    Seat::take(&bundle, &command)?.leave(137)?;
    let of = |name: &str| fs::read_to_string(bundle.path(name));
    ensure!(of("before")?.len() > 20, "no terminal");
    same("the terminal", of("after")?, of("before")?)?;
    bundle.clean()
}

fn hangs() -> Outcome {
    let bundle = Bundle::plain()?;
    let script = "case \"$*\" in *'-accel kvm'*) exec sleep 1000 ;; esac\necho emulated >&2; exit 3";
    let named = fake_machine(&bundle, script, "1", &["--accel", "kvm"])?;
    let said = "KVM does not work on this machine: the machine has said nothing for 1 s";
    let done = bundle.finish(named)?.refused(said)?;
    ensure!(done.err.contains("--accel tcg"), "{done:?}");
    bundle.nothing_left()?;
    if fs::File::options().read(true).write(true).open("/dev/kvm").is_ok() {
        let mut usual = fake_machine(&bundle, script, "1", &[])?;
        usual.env_remove("NK_VM_ACCEL");
        let done = bundle.finish(usual)?.refused("QEMU ended with status 3")?;
        ensure!(done.err.contains("so the machine is emulated (the machine has said nothing for 1 s)"), "{done:?}");
    }
    bundle.clean()
}

fn lacking() -> Outcome {
    let bundle = Bundle::plain()?;
    let script = "echo \"qemu: -device virtio-serial-device: is not a valid device model name\" >&2; exit 1";
    let done = bundle.finish(fake_machine(&bundle, script, "60", &[])?)?.refused("QEMU ended with status 1")?;
    ensure!(done.err.contains("is not a valid device model name") && !done.err.contains("console"), "{done:?}");
    bundle.clean()
}

/// Each part of config.json that a machine cannot have: its pointer, and no QEMU.
fn before() -> Outcome {
    let mount = |kind: &str, source: &str| json!({"destination": "/x", "type": kind, "source": source, "options": []});
    let rate = json!([{"major": 8, "minor": 0, "rate": 1}]);
    let affinity = |first: &str, last: &str| json!({"initial": first, "final": last});
    let cases = [
        ("/process/apparmorProfile", json!("docker-default"), "/process/apparmorProfile"),
        ("/process/selinuxLabel", json!("a:b:c:s0"), "/process/selinuxLabel"),
        ("/linux/mountLabel", json!("a:b:c:s0"), "/linux/mountLabel"),
        ("/process/execCPUAffinity", affinity("3", "0"), "/process/execCPUAffinity/initial"),
        ("/process/execCPUAffinity", affinity("0", "2-3"), "/process/execCPUAffinity/final"),
        ("/mounts/0", mount("overlay", "overlay"), "/mounts/0/type"),
        ("/mounts/0", mount("ext4", "/dev/vda1"), "/mounts/0/type"),
        ("/mounts/0", mount("nfs", "server:/x"), "/mounts/0/type"),
        ("/mounts/0", mount("bind", "/dev/kmsg2"), "/mounts/0"),
        ("/linux/resources/blockIO", json!({"throttleReadBpsDevice": rate}), "/throttleReadBpsDevice/0"),
        ("/linux/resources/blockIO", json!({"throttleWriteIOPSDevice": rate}), "/throttleWriteIOPSDevice/0"),
        ("/linux/resources/rdma", json!({"mlx5": {"hcaHandles": 3}}), "/linux/resources/rdma/mlx5"),
        ("/linux/resources/unified", json!({"io.max": "8:0 rbps=1"}), "/linux/resources/unified/io.max"),
        ("/linux/memoryPolicy", json!({"mode": "MPOL_BIND", "nodes": "1"}), "/linux/memoryPolicy/nodes"),
        ("/root/path", json!("missing"), "/root/path"),
        ("/root/path", json!("rootfs/bin/busybox"), "/root/path"),
        ("/vm", json!({"kernel": {"path": "/k", "initrd": "/etc"}}), "/vm/kernel/initrd"),
        ("/vm", json!({"kernel": {"path": "/k"}, "image": {"path": "/etc/passwd"}}), "/vm/image/path"),
        ("/vm", json!({"kernel": {"path": "/k"}, "image": {"path": "/nowhere"}}), "/vm/image/path"),
    ];
    for (pointer, value, named) in cases {
        let mut bundle = Bundle::shell("true")?;
        bundle.set(pointer, value)?;
        let done = bundle.finish(fake_machine(&bundle, SILENT, "20", &[])?)?;
        let end = named.get(named.len().saturating_sub(20)..).unwrap_or(named);
        ensure!(done.status == 1 && done.err.contains(end), "{pointer}: {done:?}");
        ensure!(!bundle.path("began").exists(), "{pointer}: QEMU began: {done:?}");
        bundle.clean()?;
    }
    let bundle = Bundle::plain()?;
    let mut command = Command::new(crate::bundle::runtime());
    command.arg("--systemd-cgroup").args(fake_machine(&bundle, SILENT, "20", &[])?.get_args());
    bundle.finish(command)?.refused("--systemd-cgroup do not go with --mode vm")?;
    bundle.clean()
}

fn ends(bundle: Bundle, running: crate::bundle::Running) -> Outcome {
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

/// Output that is lost here is told: the program cannot see it.
fn full() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep"])?;
    let running = ready(&bundle)?;
    for (redirection, status, said) in [
        (">/dev/full", 255, "cannot write the program's output: no space left on device"),
        ("2>/dev/full", 255, ""),
        ("| true", 0, ""),
    ] {
        let line = format!("\"$@\" {redirection}");
        let mut command = Command::new("sh");
        command.args(["-c", &line, "sh"]).arg(crate::bundle::runtime()).arg("--root").arg(bundle.state_root());
        command.args(["exec", &bundle.id, "sh", "-c", "echo out; echo err >&2; sleep 1"]);
        let done = bundle.finish(command)?;
        ensure!(done.status == status && done.err.contains(said), "{redirection}: {done:?}");
    }
    ends(bundle, running)
}

/// What the caller has closed is the null device, and none of this program's files.
fn closed() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep", "wc"])?;
    let running = ready(&bundle)?;
    for (redirection, out) in [("<&-", "0\n"), (">&-", ""), ("2>&-", "0\n"), ("<&- >&- 2>&-", "")] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("\"$@\" {redirection}"), "sh"]).arg(crate::bundle::runtime());
        command.arg("--root").arg(bundle.state_root()).stdin(Stdio::null());
        command.args(["exec", &bundle.id, "sh", "-c", "wc -c; echo err >&2; exit 7"]);
        let done = bundle.finish(command)?;
        same(redirection, (done.status, done.out.as_str()), (7, out))?;
    }
    ends(bundle, running)
}

/// With pipes and with a terminal: others go on, `run` takes no more memory, and the container's end waits for none of them.
fn stopped() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep", "yes", "true"])?;
    let running = ready(&bundle)?;
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut command = bundle.command(&["exec", &bundle.id, "yes"])?;
        clients.push(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?);
    }
    let mut seat = Seat::take(&bundle, &bundle.command(&["exec", "-t", &bundle.id, "yes"])?)?;
    seat.screen.until("y\r\ny\r\n")?;
    for client in &clients {
        kill(Pid::from_raw(i32::try_from(client.id())?), Signal::SIGSTOP)?;
    }
    std::thread::sleep(Duration::from_millis(300));
    for _ in 0..3 {
        bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
    }
    seat.screen.keys("\x03")?;
    seat.leave(130)?;
    let status = fs::read_to_string(format!("/proc/{}/status", running.child.id()))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().split(' ').next()?.parse::<u64>().ok());
    ensure!(peak.is_some_and(|kib| kib < 16 << 10), "{status}");
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    for mut client in clients {
        client.kill()?;
        client.wait()?;
    }
    bundle.clean()
}

/// As many as there can be have asked for a file that none of them takes.
fn crowded() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep", "true"])?;
    let running = ready(&bundle)?;
    let hello = [0u32, 1, 12, 1, 5, 0].map(u32::to_le_bytes).concat();
    let path = format!("/run/nano-sandbox/{}/trace\0", bundle.id);
    let fetch = [&[5, 10, path.len() as u32].map(u32::to_le_bytes).concat(), path.as_bytes()].concat();
    let mut clients = Vec::new();
    for _ in 0..64 {
        let mut client = UnixStream::connect(bundle.state_root().join(&bundle.id).join("channel"))?;
        client.set_read_timeout(Some(Duration::from_secs(20)))?;
        client.write_all(&hello)?;
        client.read_exact(&mut [0; 32])?;
        client.write_all(&fetch)?;
        // The first of the file: the rest is more than it may send without credit.
        let mut header = [0; 12];
        client.read_exact(&mut header)?;
        same("frame", &header[4..8], &[102, 0, 0, 0])?;
        clients.push(client);
    }
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        let said = format!("the machine of {}: 64 commands are at work in it, the most at once", bundle.id);
        let done = bundle.call(&["exec", &bundle.id, "true"])?;
        ensure!(done.status == 255 && done.err.contains(&said), "{done:?}");
        same("status", bundle.state()?["status"].as_str(), Some("running"))?;
    }
    ensure!(begun.elapsed() < Duration::from_secs(5), "they waited for {:?}", begun.elapsed());
    // None of the others has gone for them, and the first that goes makes room.
    clients[0].read_exact(&mut [0; 1000])?;
    drop(clients.pop());
    bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
    drop(clients);
    ends(bundle, running)
}

/// As many as there can be at once, twice: some say nothing, some begin to, and some ask for nothing after HELLO.
fn silent() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep", "true", "cat"])?;
    let running = ready(&bundle)?;
    let mut asks = bundle.command(&["exec", &bundle.id, "cat"])?;
    let mut asks = asks.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let hello: Vec<u8> = [0u32, 1, 12, 1, 5, 0].iter().flat_map(|word| word.to_le_bytes()).collect();
    let mut clients = Vec::new();
    for i in 0..128 {
        let mut client = UnixStream::connect(bundle.state_root().join(&bundle.id).join("channel"))?;
        client.set_read_timeout(Some(Duration::from_secs(20)))?;
        match i % 3 {
            0 => {}
            1 => client.write_all(&hello[..7])?,
            _ => {
                client.write_all(&hello)?;
                client.read_exact(&mut [0; 32])?;
            }
        }
        clients.push(client);
    }
    let begun = std::time::Instant::now();
    for _ in 0..3 {
        bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
        same("status", bundle.state()?["status"].as_str(), Some("running"))?;
    }
    ensure!(begun.elapsed() < Duration::from_secs(15), "they waited for {:?}", begun.elapsed());
    // The eldest have gone, and the one that has asked for something has not.
    same("closed", clients[0].read(&mut [0; 1])?, 0)?;
    let mut input = asks.stdin.take().ok_or("no input")?;
    input.write_all(b"still here\n")?;
    drop(input);
    let done = asks.wait_with_output()?;
    ensure!(done.status.success() && done.stdout == b"still here\n", "{done:?}");
    drop(clients);
    ends(bundle, running)
}

fn statuses() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep", "true"])?;
    let running = ready(&bundle)?;
    let of = |words: &[&str]| -> Result<Done, Failed> { bundle.call(&[&["exec", &bundle.id], words].concat()) };
    for status in [0, 1, 2, 42, 126, 127, 128, 200, 254, 255] {
        let done = of(&["sh", "-c", &format!("exit {status}")])?;
        ensure!(done.status == status && done.err.is_empty(), "{status}: {done:?}");
    }
    for signal in [1, 2, 9, 15, 34, 50, 64] {
        same("signal", of(&["sh", "-c", &format!("kill -{signal} $$")])?.status, 128 + signal)?;
    }
    for (program, said) in [("/no/such", "no such file"), ("nosuch", "not found in $PATH"), ("/tmp", "is a directory")]
    {
        let done = of(&[program])?;
        ensure!(done.status == 255 && done.says(said), "{program}: {done:?}");
    }
    // The end of a stream before the program's own, and a process that goes on.
    same("closed", of(&["sh", "-c", "exec >&- 2>&- <&-; sleep 0.3; exit 4"])?.status, 4)?;
    same("behind", of(&["sh", "-c", "sleep 3 & exit 5"])?.status, 5)?;
    for signal in ["RTMIN", "RTMIN+3", "64", "0"] {
        // The program ignores no signal, but is the first of its namespace (pid_namespaces(7)).
        bundle.call(&["kill", &bundle.id, signal])?.ok()?;
    }
    bundle.call(&["kill", &bundle.id, "65"])?.refused("no signal")?;
    // Options whose value may be left out mean the same inside.
    of(&["true"])?.ok()?;
    let done = bundle.call(&["exec", "--watch=all", &bundle.id, "sh", "-c", "exit 3"])?;
    same("watched", done.status, 3)?;
    ends(bundle, running)
}

/// Commands that would have to reach into the machine by other ways.
fn unreached() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep"])?;
    let running = ready(&bundle)?;
    let mounts = bundle.path("mounts.json");
    fs::write(
        &mounts,
        json!([{"destination": "/m", "type": "bind", "source": "/tmp", "options": ["bind"]}]).to_string(),
    )?;
    let said = "is in a machine of its own";
    bundle.call(&["watch", &bundle.id])?.refused(said)?;
    bundle.call(&["mounts", "add", &bundle.id, &mounts.to_string_lossy()])?.refused(said)?;
    let other: Value = serde_json::from_str(&bundle.call(&["state", &bundle.id])?.ok()?.out)?;
    same("status", other["status"].as_str(), Some("running"))?;
    ends(bundle, running)
}

/// The message has what the machine's init says of it, not what the kernel says at the end.
fn damaged() -> Outcome {
    let bundle = shell("true", &[])?;
    let disk = bundle.path("disk");
    let made = Command::new(crate::bundle::tool("mkfs.ext4")?)
        .args(["-q", "-d"])
        .arg(bundle.rootfs(""))
        .arg(&disk)
        .arg("32m")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()?;
    ensure!(made.success(), "mkfs.ext4");
    fs::File::options().write(true).open(&disk)?.set_len(9 << 20)?;
    let command = super::vm_channel::command_with(&bundle, &["--image", &disk.to_string_lossy()])?;
    let done = bundle.finish(command)?.refused("its console says: ")?;
    ensure!(done.err.contains("/dev/vda") && !done.err.contains("reboot"), "{done:?}");
    bundle.clean()
}
