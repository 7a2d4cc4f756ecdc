//! SCMP_ACT_NOTIFY: calls of the container are answered by an agent of the test's, which got the listener by its socket.

use crate::bundle::Bundle;
use crate::seccomp::PERSONALITY;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::thread::JoinHandle;

pub fn cases() -> Vec<Trial> {
    area(
        "seccomp",
        &[
            ("notify_in_run", || notify(&["run"])),
            ("notify_in_create_and_start", || notify(&["create"])),
            ("notify_without_no_new_privs", notify_early),
            ("create_passes_the_listener_on", || passed_by_create(true)),
            ("create_passes_the_listener_on_without_no_new_privs", || passed_by_create(false)),
            ("notify_without_a_listener", no_listener),
            ("notify_with_synchronised_threads", synchronised),
            ("notify_where_the_path_is_long", long),
        ],
    )
}

/// Takes one listener and answers every call on it with an errno, until nobody is left to ask. Returns the document.
fn agent(path: &Path) -> Result<JoinHandle<Result<Value, String>>, Failed> {
    let listener = UnixListener::bind(path)?;
    Ok(std::thread::spawn(move || serve(&listener)))
}

fn serve(listener: &UnixListener) -> Result<Value, String> {
    let (stream, _) = listener.accept().map_err(|e| e.to_string())?;
    let mut text = vec![0; 65536];
    let mut room = nix::cmsg_space!([i32; 1]);
    let mut parts = [IoSliceMut::new(&mut text)];
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut parts, Some(&mut room), MsgFlags::MSG_CMSG_CLOEXEC)
        .map_err(|e| e.to_string())?;
    let mut fd = None;
    for one in message.cmsgs().map_err(|e| e.to_string())? {
        if let ControlMessageOwned::ScmRights(all) = one {
            fd = all.first().copied();
        }
    }
    let len = message.bytes;
    let fd = fd.ok_or("no descriptor came")?;
    // SAFETY: the kernel has just made this descriptor for us.
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    answer_all(&fd);
    serde_json::from_slice(&text[..len]).map_err(|e| e.to_string())
}

/// seccomp_unotify(2): 80 bytes of question that begin with an id, 24 of answer.
fn answer_all(fd: &OwnedFd) {
    const RECV: u64 = 0xc050_2100;
    const SEND: u64 = 0xc018_2101;
    loop {
        // Kernels before 6.11 would wait for a question for ever when nobody is left to ask it.
        let mut ask = [PollFd::new(fd.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut ask, PollTimeout::NONE);
        if ask[0].revents() != Some(PollFlags::POLLIN) {
            return;
        }
        let mut question = [0u64; 10];
        // SAFETY: the structure is as large as the request says.
        if unsafe { nix::libc::ioctl(fd.as_raw_fd(), RECV as _, question.as_mut_ptr()) } != 0 {
            match std::io::Error::last_os_error().raw_os_error() {
                Some(nix::libc::EINTR) => continue,
                _ => return,
            }
        }
        // The error is EXDEV, which no other part of the way would give.
        let mut answer = [question[0], 0, u64::from((-nix::libc::EXDEV) as u32)];
        // SAFETY: as above.
        unsafe { nix::libc::ioctl(fd.as_raw_fd(), SEND as _, answer.as_mut_ptr()) };
    }
}

/// The agent at this socket is asked about personality(2).
fn ask(bundle: &mut Bundle, socket: &Path) -> Outcome {
    let profile = json!({
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": socket.to_string_lossy(),
        "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_NOTIFY"}],
    });
    bundle.set("/linux/seccomp", profile)
}

/// nix has no ENOENT for a listener whose filter is gone: the agent ends when the container has.
pub fn asked(bundle: &mut Bundle) -> Result<JoinHandle<Result<Value, String>>, Failed> {
    let socket = bundle.path("agent");
    ask(bundle, &socket)?;
    bundle.set("/linux/seccomp/listenerMetadata", json!("meta \"data\""))?;
    bundle.set("/annotations", json!({"a": "b"}))?;
    agent(&socket)
}

fn document(bundle: &Bundle, agent: JoinHandle<Result<Value, String>>) -> Outcome {
    let said = agent.join().map_err(|_| "the agent broke")??;
    same("fds", &said["fds"], &json!(["seccompFd"]))?;
    same("metadata", said["metadata"].as_str(), Some("meta \"data\""))?;
    same("id", said["state"]["id"].as_str(), Some(bundle.id.as_str()))?;
    same("annotations", &said["state"]["annotations"], &json!({"a": "b"}))?;
    ensure!(said["pid"].as_i64() > Some(1) && said["pid"] == said["state"]["pid"], "{said}");
    Ok(())
}

/// The call got the agent's answer, and the agent was told what the specification says.
fn answered(bundle: Bundle, report: &Value, call: &str, agent: JoinHandle<Result<Value, String>>) -> Outcome {
    let got = &report["tried"]["call"][call]["error"];
    same("personality", got, &json!("EXDEV"))?;
    document(&bundle, agent)?;
    bundle.clean()
}

fn notify(words: &[&str]) -> Outcome {
    let call = format!("{PERSONALITY}:4294967295");
    let out = "/tmp/report";
    let mut bundle = Bundle::reporter(&["--call", &call, "--out", out])?;
    bundle.set("/root/readonly", json!(false))?;
    let agent = asked(&mut bundle)?;
    bundle.bundled(words)?.ok()?;
    if words[0] == "create" {
        bundle.call(&["start", &bundle.id])?.ok()?;
        bundle.until("stopped")?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
    }
    let report: Value = serde_json::from_slice(&fs::read(bundle.rootfs("tmp/report"))?)?;
    answered(bundle, &report, &call, agent)
}

/// An agent has its listener when `create` has ended, as with runc: it may be what says `start`.
fn passed_by_create(no_new_privs: bool) -> Outcome {
    let call = format!("{PERSONALITY}:4294967295");
    let mut bundle = Bundle::reporter(&["--call", &call, "--out", "/tmp/report"])?;
    bundle.set("/root/readonly", json!(false))?;
    bundle.set("/process/noNewPrivileges", json!(no_new_privs))?;
    let socket = bundle.path("agent");
    ask(&mut bundle, &socket)?;
    let listener = UnixListener::bind(&socket)?;
    listener.set_nonblocking(true)?;
    bundle.bundled(&["create"])?.ok()?;
    // It is in the queue already.
    let agent = std::thread::spawn(move || serve(&listener));
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.until("stopped")?;
    let said = agent.join().map_err(|_| "the agent broke")??;
    same("status", said["state"]["status"].as_str(), Some("creating"))?;
    let report: Value = serde_json::from_slice(&fs::read(bundle.rootfs("tmp/report"))?)?;
    let got = &report["tried"]["call"][&call]["error"];
    same("personality", got, &json!("EXDEV"))?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn notify_early() -> Outcome {
    let call = format!("{PERSONALITY}:4294967295");
    let mut bundle = Bundle::reporter(&["--call", &call])?;
    bundle.set("/process/noNewPrivileges", json!(false))?;
    let agent = asked(&mut bundle)?;
    let report = bundle.report()?;
    answered(bundle, &report, &call, agent)
}

fn no_listener() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let path = bundle.path("nobody").to_string_lossy().into_owned();
    bundle.set(
        "/linux/seccomp",
        json!({"defaultAction": "SCMP_ACT_ALLOW", "listenerPath": path, "syscalls": [{"names": ["personality"], "action": "SCMP_ACT_NOTIFY"}]}),
    )?;
    bundle.bundled(&["run"])?.refused("connect(")?;
    bundle.nothing_left()?;
    bundle.bundled(&["create"])?.refused("connect(")?;
    bundle.nothing_left()?;
    bundle.clean()
}

/// With a listener the kernel takes TSYNC only if threads that are out of step are an errno.
fn synchronised() -> Outcome {
    let call = format!("{PERSONALITY}:4294967295");
    let mut bundle = Bundle::reporter(&["--call", &call])?;
    let agent = asked(&mut bundle)?;
    bundle.set("/linux/seccomp/flags", json!(["SECCOMP_FILTER_FLAG_TSYNC", "SECCOMP_FILTER_FLAG_LOG"]))?;
    let report = bundle.report()?;
    answered(bundle, &report, &call, agent)
}

/// A socket's address has 107 bytes: of what is longer only the last part has to fit.
fn long() -> Outcome {
    let call = format!("{PERSONALITY}:4294967295");
    for len in [107, 108, 300] {
        let mut bundle = Bundle::reporter(&["--call", &call])?;
        let mut folder = bundle.path("").to_string_lossy().into_owned();
        while folder.len() + 60 < len {
            folder.push_str(&format!("{}/", "d".repeat(40)));
        }
        fs::create_dir_all(&folder)?;
        let name = "s".repeat(len - folder.len());
        let path = format!("{folder}{name}");
        same("the path's length", path.len(), len)?;
        let open = fs::File::open(&folder)?;
        let short = format!("/proc/self/fd/{}/{name}", open.as_raw_fd());
        asked(&mut bundle)?;
        let agent = agent(Path::new(&short))?;
        bundle.set("/linux/seccomp/listenerPath", json!(path))?;
        let report = bundle.report()?;
        answered(bundle, &report, &call, agent)?;
    }
    let mut bundle = Bundle::plain()?;
    asked(&mut bundle)?;
    let path = bundle.path(&format!("{}/{}", "d".repeat(100), "s".repeat(90)));
    fs::create_dir_all(path.parent().ok_or("no folder")?)?;
    bundle.set("/linux/seccomp/listenerPath", json!(path.to_string_lossy()))?;
    bundle.bundled(&["run"])?.refused("/linux/seccomp/listenerPath")?.refused("107")?;
    bundle.clean()
}
