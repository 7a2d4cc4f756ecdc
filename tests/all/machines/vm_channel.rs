//! The channel to a machine of its own: what goes through it is what the program reads and writes on a host, and other commands
//! reach the container through it.

use crate::bundle::{Bundle, Done, Running, patiently};
use crate::machine::{self, kernel};
use crate::screen::Seat;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Trial> {
    let mut all = machine::cases_with(
        "vm_channel",
        &["virtio_mmio", "virtio_console"],
        &[
            ("all_streams_are_whole", streams),
            ("input_of_100_mb_is_whole", input),
            ("a_reader_that_goes_ends_the_program", reader_goes),
            ("other_commands_reach_the_container", others),
            ("a_client_that_stops_blocks_itself_alone", slow_client),
            ("a_terminal_with_its_size", terminal),
            ("the_end_by_a_signal", signalled),
            ("qemu_is_killed", killed),
            ("qemu_is_stopped", stopped),
            ("the_caller_is_killed", orphaned),
            ("the_trace_is_the_containers", traced),
        ],
    );
    all.extend(area("vm_channel", &[("machines_that_break_the_rules", hostile), ("a_machine_that_is_silent", silent)]));
    all
}

/// `run --mode vm`, with its environment as words, since a seat takes words alone.
fn command(bundle: &Bundle) -> Result<Command, Failed> {
    command_with(bundle, &[])
}

/// The same with these options.
pub fn command_with(bundle: &Bundle, words: &[&str]) -> Result<Command, Failed> {
    bundle.write_config()?;
    let here = bundle.path("");
    let here = here.to_string_lossy();
    let tail = ["--bundle", here.trim_end_matches('/'), &bundle.id];
    let own = bundle.command(&[&["run", "--mode", "vm"], words, &tail].concat())?;
    let mut command = Command::new("env");
    command
        .arg(format!("NK_KERNEL={}", kernel().display()))
        .arg("NK_VM_ACCEL=tcg")
        .arg(own.get_program())
        .args(own.get_args())
        .current_dir("/")
        .stdin(Stdio::null());
    Ok(command)
}

pub fn shell(script: &str, applets: &[&str]) -> Result<Bundle, Failed> {
    let bundle = Bundle::shell(script)?;
    for applet in applets {
        let link = bundle.rootfs("bin").join(applet);
        if link.symlink_metadata().is_err() {
            symlink("busybox", link)?;
        }
    }
    Ok(bundle)
}

/// A machine whose program has said that it is ready.
pub fn ready(bundle: &Bundle) -> Result<Running, Failed> {
    let running = bundle.start(command(bundle)?)?;
    patiently("the program's word", || Ok(running.said().0.contains("ready")))?;
    Ok(running)
}

/// 100 MB out, 3 MB in, an end of the input, standard error apart, the status.
fn streams() -> Outcome {
    let bundle =
        shell("wc -c >&2; yes 0123456789abcdef | head -c 104857600; echo apart >&2; exit 3", &["wc", "yes", "head"])?;
    let input = bundle.path("input");
    fs::write(&input, vec![7u8; 3_000_000])?;
    let mut command = command(&bundle)?;
    command.stdin(File::open(&input)?);
    let (out, err) = (bundle.path("out"), bundle.path("err"));
    command.stdout(File::create(&out)?).stderr(File::create(&err)?);
    let mut child = command.spawn()?;
    let end = Instant::now() + Duration::from_secs(500);
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if Instant::now() > end {
            child.kill()?;
            return Err(format!("no end: {}", fs::read_to_string(&err)?).into());
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let err = fs::read_to_string(err)?;
    same("status", status.code(), Some(3))?;
    same("standard error", err.as_str(), "3000000\napart\n")?;
    let mut bytes = Vec::new();
    File::open(out)?.read_to_end(&mut bytes)?;
    same("length", bytes.len(), 104_857_600)?;
    let line = b"0123456789abcdef\n";
    let good = bytes.iter().zip(line.iter().cycle()).all(|(one, other)| one == other);
    ensure!(good, "the bytes are not those that the program wrote");
    bundle.clean()
}

/// No part of it is like another.
fn input() -> Outcome {
    let bundle = shell("md5sum; echo end; exit 6", &["md5sum"])?;
    let input = bundle.path("input");
    let mut word = 1u64;
    let mut bytes = Vec::with_capacity(104_857_600);
    while bytes.len() < 104_857_600 {
        word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    fs::write(&input, bytes)?;
    let sum = Command::new("md5sum").stdin(File::open(&input)?).output()?;
    let mut command = command(&bundle)?;
    command.stdin(File::open(&input)?);
    let done = bundle.finish(command)?;
    same("status", done.status, 6).map_err(|_| format!("{done:?}"))?;
    same("the sum", done.out.as_str(), format!("{}end\n", String::from_utf8_lossy(&sum.stdout)).as_str())?;
    fs::remove_file(input)?;
    bundle.clean()
}

/// As on a host: SIGPIPE for a program that writes to a reader that has gone.
fn reader_goes() -> Outcome {
    let bundle = shell("yes; echo \"yes: $?\" >&2; exit 5", &["yes"])?;
    let mut command = command(&bundle)?;
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn()?;
    let mut out = child.stdout.take().ok_or("no output")?;
    let mut some = [0u8; 4];
    out.read_exact(&mut some)?;
    drop(out);
    let done = child.wait_with_output()?;
    let err = String::from_utf8_lossy(&done.stderr).into_owned();
    same("status", done.status.code(), Some(5))?;
    ensure!(err.contains("yes: 141"), "{err}");
    bundle.clean()
}

fn others() -> Outcome {
    let script = "trap 'echo trapped; touch /tmp/trapped' USR1; echo ready; while :; do sleep 0.2; done";
    let mut bundle = shell(script, &["sleep", "touch", "cat", "sh", "env", "pwd", "false", "id"])?;
    bundle.set("/root/readonly", json!(false))?;
    let running = ready(&bundle)?;
    let id = bundle.id.clone();
    let call = |words: &[&str]| bundle.call(words);
    // exec: its streams, status, environment and directory.
    let done = call(&["exec", "-e", "A=b c", "--cwd", "/tmp", &id, "sh", "-c", "echo $A; pwd; echo x >&2; exit 9"])?;
    ensure!(done.status == 9 && done.out == "b c\n/tmp\n" && done.err == "x\n", "{done:?}");
    let input = bundle.path("input");
    fs::write(&input, "typed\n")?;
    let mut piped = bundle.command(&["exec", &id, "cat"])?;
    piped.stdin(File::open(&input)?);
    same("exec's input", bundle.finish(piped)?.out.as_str(), "typed\n")?;
    let mut process: Value = bundle.config["process"].clone();
    process["args"] = json!(["sh", "-c", "id -u; exit 6"]);
    process["user"] = json!({"uid": 12, "gid": 13});
    let file = bundle.path("process.json");
    fs::write(&file, process.to_string())?;
    let done = call(&["exec", "--process", &file.to_string_lossy(), &id])?;
    ensure!(done.status == 6 && done.out == "12\n", "{done:?}");
    for (word, said) in [("--detach", "--detach: container"), ("--pid-file=/tmp/x", "--pid-file: container")] {
        let done = call(&["exec", word, &id, "true"])?;
        ensure!(done.status == 255 && done.says(said), "{done:?}");
    }
    let done = call(&["exec", &id, "/no/such"])?;
    ensure!(done.status == 255 && done.says("/no/such"), "{done:?}");
    // ps, events.
    let pids: Vec<i32> = serde_json::from_str(&call(&["ps", "--format", "json", &id])?.ok()?.out)?;
    ensure!(pids.len() >= 2, "{pids:?}");
    let table = call(&["ps", &id])?.ok()?.out;
    ensure!(table.starts_with("UID ") && table.contains("sleep 0.2"), "{table}");
    let stats: Value = serde_json::from_str(&call(&["events", "--stats", &id])?.ok()?.out)?;
    ensure!(stats["data"]["pids"]["current"].as_u64() >= Some(2), "{stats}");
    // pause, state, list, resume.
    call(&["pause", &id])?.ok()?;
    same("paused", bundle.status()?.as_str(), "paused")?;
    let listed: Value = serde_json::from_str(&call(&["list", "-f", "json"])?.ok()?.out)?;
    same("listed", listed[0]["status"].as_str(), Some("paused"))?;
    let done = call(&["exec", &id, "true"])?;
    ensure!(done.status == 255 && done.says("paused"), "{done:?}");
    call(&["resume", &id])?.ok()?;
    same("resumed", bundle.status()?.as_str(), "running")?;
    same("mode", bundle.state()?["mode"].as_str(), Some("vm"))?;
    // update, by an option and by a file.
    call(&["update", "--pids-limit", "77", &id])?.ok()?;
    let resources = bundle.path("resources.json");
    fs::write(&resources, json!({"memory": {"limit": 60 << 20}}).to_string())?;
    call(&["update", "--resources", &resources.to_string_lossy(), &id])?.ok()?;
    let stats: Value = serde_json::from_str(&call(&["events", "--stats", &id])?.ok()?.out)?;
    same("pids", stats["data"]["pids"]["limit"].as_u64(), Some(77))?;
    same("memory", stats["data"]["memory"]["usage"]["limit"].as_u64(), Some(60 << 20))?;
    call(&["update", "--cpuset-cpus", "99", &id])?.refused("cpuset")?;
    // The trace so far.
    let lanes = call(&["trace", "--lane", "vm-init", "--format", "json", &id])?.ok()?.out;
    ensure!(lanes.contains("pivot_root"), "{lanes}");
    // This user alone may connect.
    let socket = bundle.state_root().join(&id).join("channel");
    same("mode of the socket", fs::metadata(&socket)?.permissions().mode() & 0o777, 0o600)?;
    // kill.
    call(&["kill", &id, "USR1"])?.ok()?;
    patiently("the trap", || Ok(running.said().0.contains("trapped")))?;
    call(&["delete", &id])?.refused("not stopped")?;
    call(&["kill", "--all", &id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

/// `exec` with a reader that reads nothing: others go on.
fn slow_client() -> Outcome {
    let bundle = shell("echo ready; read x; echo $x; sleep 1000", &["sleep", "yes", "true"])?;
    let running = ready(&bundle)?;
    let mut command = bundle.command(&["exec", &bundle.id, "yes"])?;
    command.stdout(Stdio::piped());
    let mut stuck = command.spawn()?;
    let mut out = stuck.stdout.take().ok_or("no output")?;
    let mut some = [0u8; 2];
    out.read_exact(&mut some)?;
    for _ in 0..3 {
        bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
    }
    // The client goes, and so does its program.
    stuck.kill()?;
    stuck.wait()?;
    patiently("the end of the client's program", || Ok(!bundle.call(&["ps", &bundle.id])?.ok()?.out.contains(" yes")))?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

fn terminal() -> Outcome {
    let mut bundle = shell("echo", &["stty", "sleep", "tty", "sh"])?;
    bundle.set("/process/terminal", json!(true))?;
    bundle.set("/process/args", json!(["sh"]))?;
    bundle.set("/process/env/-", json!("PS1=ready> "))?;
    let mut seat = Seat::take(&bundle, &command(&bundle)?)?;
    seat.screen.until("ready> ")?;
    seat.screen.keys("stty size; tty\r")?;
    seat.screen.until("33 111\r\n/dev/pts/0\r\n")?;
    seat.screen.resize(20, 70)?;
    std::thread::sleep(Duration::from_millis(700));
    seat.screen.keys("stty size\r")?;
    seat.screen.until("20 70\r\n")?;
    // One more terminal, by exec.
    let words = ["exec", "-t", "-e", "PS1=other> ", &bundle.id, "sh"];
    let mut other = Seat::of_size(&bundle, &bundle.command(&words)?, 11, 44)?;
    other.screen.until("other> ")?;
    other.screen.keys("stty size\r")?;
    other.screen.until("11 44\r\n")?;
    other.screen.keys("sleep 1000\r")?;
    other.screen.until("sleep 1000\r\n")?;
    std::thread::sleep(Duration::from_millis(700));
    other.screen.keys("\x03")?;
    other.screen.until("other> ")?;
    other.screen.keys("exit $?\r")?;
    other.leave(130)?;
    seat.screen.keys("exit 4\r")?;
    seat.leave(4)?;
    bundle.clean()
}

/// A signal for `run` is for the program.
fn signalled() -> Outcome {
    let bundle = shell("trap 'echo usr1' USR1; echo ready; while :; do sleep 0.2; done", &["sleep"])?;
    let running = ready(&bundle)?;
    let run = nix::unistd::Pid::from_raw(i32::try_from(running.child.id())?);
    nix::sys::signal::kill(run, nix::sys::signal::Signal::SIGUSR1)?;
    patiently("the trap", || Ok(running.said().0.contains("usr1")))?;
    bundle.call(&["kill", &bundle.id, "TERM"])?.ok()?;
    // The first process of a pid namespace is not ended by a signal that it does not handle (pid_namespaces(7)).
    nix::sys::signal::kill(run, nix::sys::signal::Signal::SIGUSR1)?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

fn qemu(bundle: &Bundle) -> Result<nix::unistd::Pid, Failed> {
    let pid = bundle.state()?["pid"].as_i64().ok_or("no pid")?;
    Ok(nix::unistd::Pid::from_raw(i32::try_from(pid)?))
}

fn killed() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep"])?;
    let running = ready(&bundle)?;
    nix::sys::signal::kill(qemu(&bundle)?, nix::sys::signal::Signal::SIGKILL)?;
    let done = bundle.wait(running)?;
    same("status", done.status, 137)?;
    ensure!(done.err.contains("the machine ended before its program: QEMU was killed by SIGKILL"), "{done:?}");
    same("lines", done.err.lines().count(), 1)?;
    bundle.clean()
}

fn stopped() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep"])?;
    let running = ready(&bundle)?;
    nix::sys::signal::kill(qemu(&bundle)?, nix::sys::signal::Signal::SIGSTOP)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    let done = bundle.wait(running)?;
    same("status", done.status, 137)?;
    bundle.clean()
}

/// Nothing of a machine outlives the command that runs it.
fn orphaned() -> Outcome {
    let bundle = shell("echo ready; sleep 1000", &["sleep"])?;
    let mut running = ready(&bundle)?;
    let qemu = qemu(&bundle)?;
    // `env` has become the command itself.
    running.child.kill()?;
    running.child.wait()?;
    patiently("QEMU's end", || {
        let status = fs::read_to_string(format!("/proc/{qemu}/status")).unwrap_or_default();
        Ok(status.is_empty() || status.contains("State:\tZ"))
    })?;
    same("state", bundle.status()?.as_str(), "stopped")?;
    let done = bundle.call(&["exec", &bundle.id, "true"])?;
    ensure!(done.status == 255 && done.says("not running"), "{done:?}");
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

/// The records of both sides are one trace, by one clock.
fn traced() -> Outcome {
    let bundle = shell("exit 3", &[])?;
    same("status", bundle.finish(command(&bundle)?)?.status, 3)?;
    let text = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
    let all: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let of = |lane: &str, call: &str| {
        all.iter().filter(|one| one["lane"] == lane && one["call"] == call).collect::<Vec<_>>()
    };
    let time = |one: &Value| one["start_ns"].as_u64().unwrap_or(0);
    // The kernel refuses the first: the machine's root is an initramfs.
    let pivot = of("vm-init", "pivot_root");
    same("pivot_root", pivot.len(), 2)?;
    ensure!(of("init", "pivot_root").is_empty(), "the host pivots");
    let qemu = of("init", "execve");
    let save = of("host", "unlinkat");
    ensure!(!qemu.is_empty() && !save.is_empty(), "no lanes of the host:\n{text}");
    let last = save.iter().map(|one| time(one)).max().unwrap_or(0);
    ensure!(time(qemu[0]) < time(pivot[0]) && time(pivot[0]) < last, "the clocks are not one");
    // A process takes its number, and then looks at the clock: those of another can come in between.
    let mut before = BTreeMap::new();
    for one in all.iter().filter(|one| one["call"].is_string()) {
        let last = before.insert(one["lane"].to_string(), time(one));
        ensure!(last.is_none_or(|last| last <= time(one)), "not in the order of time: {one}");
    }
    for words in
        [&["--format", "text"][..], &["--format", "strace"], &["--timing"], &["--format", "html"], &["--summary"]]
    {
        let view = bundle.call(&[&["trace"], words, &[bundle.id.as_str()]].concat())?.ok()?.out;
        ensure!(view.contains("pivot_root") || words == ["--timing"] && view.contains("vm-init"), "{words:?}: {view}");
    }
    let text = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    ensure!(text.contains("In the machine: "), "{text}");
    let list = bundle.call(&["trace"])?.ok()?.out;
    ensure!(list.contains("exit status 3"), "{list}");
    bundle.clean()
}

fn fake(bundle: &Bundle, script: &str, patience: &str) -> Result<Done, Failed> {
    bundle.finish(fake_machine(bundle, script, patience, &[])?)
}

/// A QEMU of this script. Descriptor 102 is the channel, 103 the console: dash knows no number of more than one digit.
pub fn fake_machine(bundle: &Bundle, script: &str, patience: &str, words: &[&str]) -> Result<Command, Failed> {
    let path = bundle.path("qemu");
    fs::write(&path, format!("#!/bin/bash\n{script}\n"))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let modules = fake_modules(bundle)?;
    let text = |below: &str| bundle.path(below).to_string_lossy().trim_end_matches('/').to_string();
    bundle.write_config()?;
    let (qemu, kernel, here) = (text("qemu"), text("kernel"), text(""));
    let named = ["--qemu", &qemu, "--kernel", &kernel, "--modules", &modules, "--bundle", &here, &bundle.id];
    let mut command = bundle.command(&[&["run", "--mode", "vm"], words, &named[..]].concat())?;
    command.env("NK_VM_ACCEL", "tcg").env("NK_VM_PATIENCE", patience).current_dir(&here);
    Ok(command)
}

/// An ELF file that looks like a kernel, and modules that need nothing.
fn fake_modules(bundle: &Bundle) -> Result<String, Failed> {
    let mut kernel = vec![0u8; 4096];
    kernel[..6].copy_from_slice(b"\x7fELF\x02\x01");
    kernel[18] = 62;
    kernel[32] = 64;
    kernel[56] = 1;
    kernel[64] = 1;
    kernel[64 + 24..64 + 32].copy_from_slice(&0x100_0000u64.to_le_bytes());
    kernel[64 + 40..64 + 48].copy_from_slice(&0x1000u64.to_le_bytes());
    fs::write(bundle.path("kernel"), kernel)?;
    let dir = bundle.path("modules");
    fs::create_dir_all(&dir)?;
    let names = ["virtio_mmio", "virtio_console"];
    let builtin: String = names.iter().map(|name| format!("kernel/{name}.ko\n")).collect();
    fs::write(dir.join("modules.builtin"), builtin)?;
    fs::write(dir.join("modules.dep"), "")?;
    Ok(dir.to_string_lossy().into_owned())
}

/// A frame, for printf of a shell that has no other escapes than octal ones.
pub fn frame(session: u32, kind: u32, length: u32, payload: &[u8]) -> String {
    let header = [session, kind, length].map(u32::to_le_bytes).concat();
    header.iter().chain(payload).map(|byte| format!("\\{byte:03o}")).collect()
}

fn hostile() -> Outcome {
    if cfg!(not(target_arch = "x86_64")) {
        return Ok(());
    }
    let hello = |version: u32, host: u64| {
        let clock = 5u64.to_le_bytes();
        frame(0, 101, 20, &[&version.to_le_bytes()[..], &clock, &host.to_le_bytes()].concat())
    };
    let (good, other, future) = (hello(1, 1), hello(2, 1), hello(1, u64::MAX));
    let two = format!("{good}{good}");
    let cases = [
        (frame(0, 77, 0, b""), "a frame of the unknown kind 77"),
        (frame(0, 101, 70_000, b""), "a frame of 70000 bytes"),
        (frame(0, 101, 3, b"abc"), "a payload that does not fit its kind"),
        (other, "a payload that does not fit its kind"),
        (future, "a payload that does not fit its kind"),
        (frame(7, 102, 1, b"x"), "a frame of session 7"),
        (frame(1, 102, 1, b"x"), "a frame of session 1"),
        (format!("{two}{}", frame(9, 104, 4, &[0; 4])), "a frame of session 9"),
        (
            // The session begins after the second answer.
            format!("{two}' >&102; sleep 0.5; printf '{}", frame(1, 105, 4, &[1, 0, 0, 0])),
            "more bytes than there was credit for",
        ),
    ];
    for (bytes, said) in cases {
        let bundle = Bundle::plain()?;
        // The answer to a second HELLO comes with the first: a machine may say what it likes.
        let script =
            format!("printf 'boot: \\033[31mred\\n' >&103; sleep 0.3; printf '{bytes}' >&102; exec sleep 1000");
        let done = fake(&bundle, &script, "60")?.refused(said)?;
        ensure!(done.err.contains("its console ends with: boot: \\u{1b}[31mred"), "{done:?}");
        // The second line says where the trace is.
        same("lines", done.err.lines().count(), 2)?;
        bundle.clean()?;
    }
    Ok(())
}

fn silent() -> Outcome {
    if cfg!(not(target_arch = "x86_64")) {
        return Ok(());
    }
    let bundle = Bundle::plain()?;
    fake(&bundle, "echo stuck >&103; exec sleep 1000", "1")?
        .refused("the machine has said nothing for 1 s, so it was ended")?;
    bundle.nothing_left()?;
    fake(&bundle, "exit 3", "60")?.refused("the machine ended before its program: QEMU ended with status 3")?;
    bundle.nothing_left()?;
    fake(&bundle, "exec 102>&-; exec sleep 1000", "60")?.refused("it has closed the channel")?;
    bundle.clean()
}
