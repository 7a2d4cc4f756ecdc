//! `process.terminal`: out of the container's own devpts, relayed in the foreground or sent through a console socket; and
//! the caller's own terminal, which is as before whatever happens.

pub mod exec;

use crate::bundle::Bundle;
use crate::cgroup::{end, script};
use crate::exec::failed;
use crate::namespaces::in_user_namespace;
use crate::screen::{Seat, came, console};
use crate::terminal::exec::sleeper;
use crate::users::{as_user_command, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::Stdio;
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    area(
        "terminals",
        &[
            ("a_shell_in_the_foreground", || foreground(shell("exec sh")?)),
            ("a_shell_in_a_user_namespace", || foreground(in_user_namespace(shell("exec sh")?)?)),
            ("a_shell_without_root", rootless),
            ("the_window_changes_its_size", resized),
            ("all_that_is_shown_arrives", || long(false)),
            ("all_that_is_shown_arrives_without_waiting", || long(true)),
            ("all_that_is_typed_arrives", pasted),
            ("without_a_terminal_outside", no_terminal),
            ("the_end_of_the_input_is_not_lost", end_of_input),
            ("opened_again_after_a_while", reopened),
            ("the_program_is_killed", killed),
            ("a_signal_is_handed_on", signalled),
            ("created_with_a_console_socket", created),
            ("detached_with_a_console_socket", detached),
            ("its_user_owns_it", owned),
            ("pipes_are_the_users", pipes),
            ("what_does_not_go_together", refused),
            ("nobody_listens", nobody),
            ("no_devpts", no_devpts),
            ("hostile_places", hostile),
            ("the_trace_tells_of_it", traced),
        ],
    )
}

/// A busybox at a terminal.
fn shell(text: &str) -> Result<Bundle, Failed> {
    let mut bundle = script(text)?;
    bundle.set("/process/terminal", json!(true))?;
    bundle.set("/process/env/-", json!("PS1=ready> "))?;
    Ok(bundle)
}

/// Its `run`, at a terminal of the case's.
fn seat(bundle: &Bundle, words: &[&str]) -> Result<Seat, Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = [&["run"], words, &["--bundle", &here, &bundle.id]].concat();
    Seat::take(bundle, &bundle.command(&words)?)
}

/// What a shell at a terminal is expected to have.
fn at_home(mut seat: Seat) -> Result<Seat, Failed> {
    seat.screen.until("ready> ")?;
    seat.screen.keys("stty size; tty\r")?;
    seat.screen.until("33 111\r\n/dev/pts/0\r\n")?;
    // Of the program's own session, and the very same behind all names.
    seat.screen.keys("for n in /dev/console /dev/pts/0 /proc/self/fd/2; do stat -Lc %t:%T $n; done\r")?;
    seat.screen.until("88:0\r\n88:0\r\n88:0\r\n")?;
    seat.screen.keys("echo to the console > /dev/console; echo to the tty > /dev/tty\r")?;
    seat.screen.until("to the console\r\nto the tty\r\n")?;
    seat.screen.keys("sleep 1000\r")?;
    seat.screen.until("sleep 1000\r\n")?;
    // Typed early it would end the shell's own line.
    std::thread::sleep(Duration::from_millis(300));
    seat.screen.keys("\x03")?;
    seat.screen.until("ready> ")?;
    seat.screen.keys("echo status $?\r")?;
    seat.screen.until("status 130\r\n")?;
    Ok(seat)
}

fn foreground(bundle: Bundle) -> Outcome {
    let mut seat = at_home(seat(&bundle, &[])?)?;
    seat.screen.keys("exit 7\r")?;
    seat.leave(7)?;
    bundle.clean()
}

fn rootless() -> Outcome {
    let bundle = of_user(shell("exec sh")?)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = ["run", "--bundle", &here, &bundle.id];
    let mut seat = at_home(Seat::take(&bundle, &as_user_command(&bundle, &words)?)?)?;
    seat.screen.keys("exit 7\r")?;
    seat.leave(7)?;
    bundle.clean()
}

fn resized() -> Outcome {
    let mut bundle = shell("trap 'stty size' WINCH; stty size; while :; do sleep 0.1; done")?;
    // The caller's window goes before what config.json says.
    bundle.set("/process/consoleSize", json!({"height": 5, "width": 6}))?;
    let mut seat = seat(&bundle, &[])?;
    seat.screen.until("33 111\r\n")?;
    seat.screen.resize(44, 99)?;
    seat.screen.until("44 99\r\n")?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    seat.leave(137)?;
    bundle.clean()
}

fn long(nobody_waits: bool) -> Outcome {
    let bundle = shell("sleep 0.3; seq 1 60000; echo the end")?;
    let seat = seat(&bundle, &[])?;
    if nobody_waits {
        seat.holds_nobody_up()?;
    }
    let shown = seat.leave(0)?;
    let mut wanted: Vec<String> = (1..=60000).map(|n| n.to_string()).collect();
    wanted.push("the end".into());
    ensure!(shown.lines().eq(wanted.iter()), "{} lines", shown.lines().count());
    bundle.clean()
}

/// More than the terminal has room for, to who reads slowly; and what is echoed has to be taken away meanwhile.
fn pasted() -> Outcome {
    let bundle = shell("sleep 0.5; exec wc -l")?;
    let mut seat = seat(&bundle, &[])?;
    let mut typed = String::new();
    for n in 0..3000 {
        typed.push_str(&format!("{n}\r"));
        if typed.len() > 1000 {
            seat.screen.keys(&std::mem::take(&mut typed))?;
            seat.screen.until(&format!("{n}\r\n"))?;
        }
    }
    seat.screen.keys(&typed)?;
    seat.screen.keys("\x04")?;
    let shown = seat.leave(0)?;
    ensure!(shown.ends_with("3000\r\n"), "{shown:?}");
    bundle.clean()
}

/// Pipes and files will do: the program has a terminal all the same, and the end of the input is the end of its input.
fn no_terminal() -> Outcome {
    let bundle = shell("tty; cat; echo over")?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    for (input, shown) in [("", ""), ("a line\n", "a line\n"), ("half a", "half a")] {
        let mut command = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
        command.stdin(Stdio::piped());
        let mut running = bundle.start(command)?;
        let mut stdin = running.child.stdin.take().ok_or("no pipe")?;
        stdin.write_all(input.as_bytes())?;
        drop(stdin);
        let done = bundle.wait(running)?.ok()?;
        let text = done.out.replace("^D\u{8}\u{8}", "");
        // Once typed and echoed, which may be before the program begins, and once shown.
        let text = text.replace("/dev/pts/0\n", "");
        same("shown", text, format!("{shown}{shown}over\n"))?;
    }
    bundle.clean()
}

/// What was typed before is thrown away with the settings, as shells do that edit their lines.
fn end_of_input() -> Outcome {
    let bundle = shell("sleep 0.3; exec sh")?;
    bundle.bundled(&["run"])?.ok()?;
    bundle.clean()
}

fn reopened() -> Outcome {
    let bundle =
        shell("echo first; exec </dev/null >/dev/null 2>/dev/null; sleep 0.5; echo again >/dev/console; exit 3")?;
    let shown = seat(&bundle, &[])?.leave(3)?;
    same("shown", shown.as_str(), "first\r\nagain\r\n")?;
    bundle.clean()
}

fn killed() -> Outcome {
    let bundle = shell("stty raw -echo; echo here; sleep 1000")?;
    let mut seat = seat(&bundle, &[])?;
    seat.screen.until("here")?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    seat.leave(137)?;
    bundle.clean()
}

/// The runtime itself is told to end.
fn signalled() -> Outcome {
    let bundle = shell("trap 'echo told; exit 5' TERM; echo here; while :; do sleep 0.1; done")?;
    let mut seat = seat(&bundle, &[])?;
    seat.screen.until("here\r\n")?;
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", seat.child.id()))?;
    let runtime: i32 = match children.trim() {
        "" => seat.child.id() as i32, // setsid did not have to fork
        pid => pid.parse()?,
    };
    let runtime = nix::unistd::Pid::from_raw(runtime);
    nix::sys::signal::kill(runtime, nix::sys::signal::SIGTERM)?;
    let shown = seat.leave(5)?;
    same("shown", shown.as_str(), "told\r\n")?;
    bundle.clean()
}

fn created() -> Outcome {
    let mut bundle = shell(
        "stty size; for n in 0 1 2 3 4 5 6 7 8; do readlink /proc/self/fd/$n; done; echo all; read line; echo got $line; exit 4",
    )?;
    bundle.set("/process/consoleSize", json!({"height": 21, "width": 42}))?;
    let (path, pid) = (bundle.path("console"), bundle.path("pid"));
    let listener = console(&path)?;
    let (path, pid) = (path.to_string_lossy(), pid.to_string_lossy());
    let words = ["create", "--console-socket", &path, "--pid-file", &pid];
    let done = bundle.bundled(&words)?.ok()?;
    ensure!(done.out.is_empty() && done.err.is_empty(), "{done:?}");
    let mut screen = came(listener)?;
    same("the size", screen.size()?, (21, 42))?;
    // Nothing of the caller's is held by who waits.
    let first = bundle.state()?["pid"].as_i64().unwrap_or(0);
    for fd in 0..3 {
        let held = fs::read_link(format!("/proc/{first}/fd/{fd}"))?;
        ensure!(held.ends_with("pts/0"), "{fd}: {}", held.display());
    }
    screen.resize(25, 80)?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    screen.until("25 80\r\n")?;
    let files = screen.until("all\r\n")?;
    same("descriptors", files, "/dev/pts/0\r\n".repeat(3) + "all\r\n")?;
    screen.keys("word\r")?;
    screen.until("got word\r\n")?;
    screen.end()?;
    bundle.until("stopped")?;
    end(bundle)
}

fn detached() -> Outcome {
    let bundle = shell("echo here; sleep 1000")?;
    let path = bundle.path("console");
    let listener = console(&path)?;
    bundle.bundled(&["run", "--detach", "--console-socket", &path.to_string_lossy()])?.ok()?;
    let mut screen = came(listener)?;
    screen.until("here\r\n")?;
    same("status", bundle.status()?, "running".into())?;
    end(bundle)
}

fn owned() -> Outcome {
    let mut bundle = shell("stat -c %u:%g:%a /dev/pts/0; echo x > /dev/pts/0 && echo y > /dev/stderr")?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    let shown = seat(&bundle, &[])?.leave(0)?;
    same("shown", shown.as_str(), "1000:5:620\r\nx\r\ny\r\n")?;
    bundle.clean()
}

/// A pipe is the program's; a file, which others have too, stays whose it is.
fn pipes() -> Outcome {
    let mut bundle = script("echo one > /dev/stdout; echo two > /dev/stderr")?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 1000}))?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let mut command = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    let done = command.stdout(Stdio::piped()).stderr(Stdio::piped()).output()?;
    same("stdout", String::from_utf8_lossy(&done.stdout).as_ref(), "one\n")?;
    same("stderr", String::from_utf8_lossy(&done.stderr).as_ref(), "two\n")?;
    let file = bundle.path("log");
    let mut command = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    let done = command.stdout(fs::File::create(&file)?).stderr(Stdio::piped()).output()?;
    ensure!(String::from_utf8_lossy(&done.stderr).contains("/dev/stdout"), "{done:?}");
    same("the file's owner", fs::metadata(&file)?.uid(), 0)?;
    bundle.clean()
}

fn refused() -> Outcome {
    let mut bundle = shell("true")?;
    let path = bundle.path("console").to_string_lossy().into_owned();
    let socket = ["--console-socket", path.as_str()];
    bundle.bundled(&["create"])?.refused("/process/terminal")?;
    bundle.bundled(&["run", "-d"])?.refused("--console-socket")?;
    bundle.bundled(&[&["run"][..], &socket].concat())?.refused("/process/terminal")?;
    bundle.set("/process/terminal", json!(false))?;
    bundle.bundled(&[&["create"][..], &socket].concat())?.refused("/process/terminal")?;
    let long = format!("/{}", "x".repeat(107));
    bundle.bundled(&["create", "--console-socket", &long])?.refused("107 bytes")?;
    bundle.set("/process/terminal", json!(true))?;
    bundle.set("/process/consoleSize", json!({"height": 70000, "width": 8}))?;
    bundle.bundled(&["create"])?.refused("/process/consoleSize/height")?;
    bundle.remove("/process/consoleSize")?;
    bundle.clean()?;

    let bundle = sleeper()?;
    let path = bundle.path("console").to_string_lossy().into_owned();
    let socket = ["--console-socket", path.as_str()];
    failed(bundle.call(&["exec", "-d", "-t", &bundle.id, "sh"])?, "--console-socket")?;
    let words = [&["exec", "-d"][..], &socket, &[&bundle.id, "sh"]].concat();
    failed(bundle.call(&words)?, "/process/terminal")?;
    end(bundle)
}

fn nobody() -> Outcome {
    let bundle = shell("true")?;
    let path = bundle.path("console");
    let words = ["create", "--console-socket", &path.to_string_lossy()];
    let done = bundle.bundled(&words)?.refused("connect(")?;
    ensure!(done.err.contains("ENOENT") && done.err.contains("try: "), "{done:?}");
    bundle.nothing_left()?;
    drop(UnixListener::bind(&path)?);
    let done = bundle.bundled(&words)?.refused("connect(")?;
    ensure!(done.err.contains("ECONNREFUSED"), "{done:?}");
    bundle.clean()
}

fn no_devpts() -> Outcome {
    let mut bundle = shell("true")?;
    let mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
    let at = mounts.iter().position(|m| m["type"] == "devpts").ok_or("no devpts")?;
    let other = json!({"destination": "/dev/pts", "type": "tmpfs", "source": "tmpfs"});
    bundle.set(&format!("/mounts/{at}"), other)?;
    bundle.bundled(&["run"])?.refused("is no devpts")?;
    // The runtime waits for a terminal by then. It does not wait until init's patience is over.
    let trace = bundle.call(&["trace", &bundle.id, "-e", "ppoll", "--lane", "init", "--format", "json"])?;
    let out = trace.ok()?.out;
    let mut waits = out.lines().filter(|line| line.contains("looks for the cause"));
    ensure!(waits.all(|wait| !wait.contains("\"ret\":0")), "{out}");
    bundle.nothing_left()?;
    let mut mounts = mounts;
    mounts.remove(at);
    bundle.set("/mounts", Value::Array(mounts))?;
    let done = bundle.bundled(&["run"])?.refused("/process/terminal")?;
    ensure!(done.err.contains("devpts"), "{done:?}");
    bundle.clean()
}

/// An image whose /dev is its own, and full of links to the outside.
fn hostile() -> Outcome {
    let mut bundle = shell("tty; echo inside > /dev/console")?;
    let mounts = bundle.config["mounts"].as_array().cloned().unwrap_or_default();
    let kept: Vec<Value> = mounts.into_iter().filter(|m| m["destination"] != "/dev").collect();
    bundle.set("/mounts", Value::Array(kept))?;
    let victim = bundle.path("victim");
    fs::write(&victim, "untouched")?;
    fs::create_dir_all(bundle.rootfs("dev"))?;
    symlink(&victim, bundle.rootfs("dev/console"))?;
    // The place of the console is a link: it is mounted over as it is, and never followed.
    let shown = seat(&bundle, &[])?.leave(0)?;
    same("shown", shown.as_str(), "/dev/pts/0\r\ninside\r\n")?;
    same("the host's file", fs::read_to_string(&victim)?, "untouched".into())?;
    bundle.nothing_left()?;
    fs::remove_file(bundle.rootfs("dev/console"))?;
    fs::write(bundle.rootfs("dev/console"), "the image's")?;
    let shown = seat(&bundle, &[])?.leave(0)?;
    same("shown", shown.as_str(), "/dev/pts/0\r\ninside\r\n")?;
    same("the image's file", fs::read_to_string(bundle.rootfs("dev/console"))?, "the image's".into())?;
    bundle.clean()
}

/// The relay's own calls have no end, and leave room for what comes behind them.
fn traced() -> Outcome {
    let bundle = shell("seq 1 400000")?;
    let seat = seat(&bundle, &[])?;
    let id = bundle.id.clone();
    seat.leave(0)?;
    let trace = bundle.call(&["trace", &id, "--format", "strace"])?.ok()?.out;
    for call in ["TIOCGPTPEER", "TIOCSCTTY", "recvmsg(", "signalfd4("] {
        ensure!(trace.contains(call), "no {call} in the trace");
    }
    let last = trace.lines().last().unwrap_or("");
    ensure!(trace.contains("unlinkat(") || trace.contains("renameat"), "nothing behind the relay: {last}");
    bundle.clean()
}
