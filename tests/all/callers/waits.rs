//! Waits for another process that does not do its part: a signal ends them, with one line and nothing left; where it can be
//! known that they would have no end, they end by themselves.

use crate::bundle::{Bundle, Done, Running, patiently, tool};
use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Trial> {
    area(
        "waits",
        &[
            ("for_a_hook_of_the_host", || interrupted("createRuntime")),
            ("for_a_hook_of_the_container", || interrupted("createContainer")),
            ("for_a_hook_of_start", start),
            ("for_a_process_in_a_paused_container", paused),
            ("for_a_frozen_init_end", frozen),
            ("for_a_silent_systemd", systemd),
            ("for_a_socket_that_nobody_accepts_at", socket),
        ],
    )
}

fn hook(words: &[&str]) -> Result<Value, Failed> {
    let path = tool(words[0])?;
    Ok(json!([{ "path": path.to_string_lossy(), "args": words }]))
}

/// Signals the command once it waits for longer than a moment, and takes its end.
fn signalled(bundle: &Bundle, running: Running, signal: Signal) -> Result<Done, Failed> {
    std::thread::sleep(Duration::from_millis(1500));
    kill(Pid::from_raw(running.child.id() as i32), signal)?;
    let begun = Instant::now();
    let done = bundle.wait(running)?;
    ensure!(begun.elapsed() < Duration::from_secs(5), "it took {:?}: {done:?}", begun.elapsed());
    ensure!(done.messages() == 1 && done.err.contains("a signal (TERM, INT or HUP)"), "{signal}: {done:?}");
    Ok(done)
}

fn begin(bundle: &Bundle, words: &[&str]) -> Result<Running, Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = [words, &["--bundle", &here, &bundle.id]].concat();
    bundle.start(bundle.command(&words)?)
}

fn interrupted(name: &str) -> Outcome {
    for (words, signal) in
        [("run", Signal::SIGTERM), ("create", Signal::SIGINT), ("run", Signal::SIGHUP), ("create", Signal::SIGTERM)]
    {
        let mut bundle = Bundle::plain()?;
        bundle.set("/hooks", json!({}))?;
        bundle.set(&format!("/hooks/{name}"), hook(&["sleep", "1000"])?)?;
        // The hook is known by its environment.
        bundle.set(&format!("/hooks/{name}/0/env"), json!([format!("NK_TEST={}", bundle.id)]))?;
        let running = begin(&bundle, &[words])?;
        let done = signalled(&bundle, running, signal)?;
        ensure!(done.status == 1, "{words}: {done:?}");
        bundle.clean()?;
    }
    Ok(())
}

fn start() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/hooks", json!({}))?;
    let hook = json!([{ "path": "/bin/sleep", "args": ["sleep", "1000"] }]);
    bundle.set("/hooks/startContainer", hook)?;
    bundle.bundled(&["create"])?.ok()?;
    let running = bundle.start(bundle.command(&["start", &bundle.id])?)?;
    signalled(&bundle, running, Signal::SIGTERM)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn paused() -> Outcome {
    let bundle = Bundle::shell("sleep 1000")?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    let words = ["exec", "--ignore-paused", &bundle.id, "true"];
    let running = bundle.start(bundle.command(&words)?)?;
    let done = signalled(&bundle, running, Signal::SIGTERM)?;
    ensure!(done.status == 255, "{done:?}");
    // It goes on when the container does.
    let mut running = bundle.start(bundle.command(&words)?)?;
    std::thread::sleep(Duration::from_millis(700));
    ensure!(running.child.try_wait()?.is_none(), "it did not wait");
    bundle.call(&["resume", &bundle.id])?.ok()?;
    bundle.wait(running)?.ok()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Frozen after it was made: nobody says so beforehand.
fn frozen() -> Outcome {
    for words in ["run", "create"] {
        let mut bundle = Bundle::plain()?;
        let file = format!("/sys/fs/cgroup/nano-sandbox/{}/cgroup.freeze", bundle.id);
        let script = format!("echo 1 > {file}");
        bundle.set("/hooks", json!({}))?;
        bundle.set("/hooks/createRuntime", hook(&["sh", "-c", &script])?)?;
        bundle.bundled(&[words])?.refused("container's cgroup unexpectedly frozen")?;
        bundle.clean()?;
    }
    Ok(())
}

fn systemd() -> Outcome {
    for words in ["run", "create"] {
        let bundle = Bundle::plain()?;
        let path = bundle.path("bus");
        let listener = UnixListener::bind(&path)?;
        bundle.write_config()?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let words = ["--systemd-cgroup", words, "--bundle", &here, &bundle.id];
        let mut command = bundle.command(&words)?;
        command.env("DBUS_SYSTEM_BUS_ADDRESS", format!("unix:path={}", path.display()));
        let running = bundle.start(command)?;
        let done = signalled(&bundle, running, Signal::SIGTERM)?;
        ensure!(done.status == 1, "{done:?}");
        drop(listener);
        bundle.clean()?;
    }
    Ok(())
}

/// More wait there than the listener has room for.
fn socket() -> Outcome {
    let bundle = Bundle::plain()?;
    let path = bundle.path("pidfd");
    let listener = UnixListener::bind(&path)?;
    // listen(2) again sets the room for those who wait.
    nix::sys::socket::listen(&listener, nix::sys::socket::Backlog::new(0)?)?;
    let mut waiting = Vec::new();
    patiently("a full queue", || {
        use nix::sys::socket::*;
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let one = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        let full = connect(std::os::fd::AsRawFd::as_raw_fd(&one), &UnixAddr::new(&path)?);
        waiting.push(one);
        Ok(full == Err(nix::errno::Errno::EAGAIN))
    })?;
    let path = path.to_string_lossy().into_owned();
    let done = bundle.bundled(&["run", "--pidfd-socket", &path])?;
    done.refused("connect(")?.refused("EAGAIN")?;
    bundle.clean()
}
