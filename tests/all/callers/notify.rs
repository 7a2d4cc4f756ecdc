//! Sockets and variables of whoever calls: `--pidfd-socket`, long paths of sockets, NOTIFY_SOCKET, LISTEN_FDS.

use crate::bundle::{Bundle, Running};
use crate::cgroup::{end, script, start};
use crate::exec::{box_of_sleep, exec, failed};
use crate::namespaces::in_user_namespace;
use crate::screen::{Handed, came, console};
use crate::users::{as_user_command, of_user};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use serde_json::{Value, json};
use std::fs;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

pub fn cases() -> Vec<Trial> {
    area(
        "notify",
        &[
            ("pidfd_of_create_run_and_exec", pidfds),
            ("pidfd_socket_nobody_listens", nobody),
            ("long_paths_of_sockets", long),
            ("started_it_says_that_it_is_ready", || started(talker(TALK)?)),
            ("in_a_user_namespace", || started(in_user_namespace(talker(TALK)?)?)),
            ("run_detached", detached),
            ("run_in_the_foreground", || foreground(false)),
            ("run_in_the_foreground_at_a_terminal", || foreground(true)),
            ("start_attach", attached),
            ("without_root", rootless),
            ("it_ends_and_never_was_ready", never),
            ("nobody_is_to_hear", nobody_hears),
            ("nobody_hears_of_the_start", nobody_hears_of_start),
            ("who_hears_has_much_to_read", busy),
            ("an_engine_has_seen_to_it", seen_to),
            ("a_socket_without_a_file", nameless),
            ("descriptors_of_a_service_manager", listening),
        ],
    )
}

/// The process that a handle stands for.
fn process(handed: Handed) -> Result<(i64, String), Failed> {
    let (fd, said) = handed.join().map_err(|_| "the listener stopped")??;
    let info = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))?;
    let pid = info.lines().find_map(|line| line.strip_prefix("Pid:"));
    Ok((pid.ok_or("no pidfd")?.trim().parse()?, said))
}

fn pidfds() -> Outcome {
    let bundle = box_of_sleep()?;
    for words in [&["create"][..], &["run", "--detach"]] {
        let path = bundle.path("pidfd");
        let handed = console(&path)?;
        let path = path.to_string_lossy().into_owned();
        bundle.bundled(&[words, &["--pidfd-socket", &path]].concat())?.ok()?;
        let (pid, said) = process(handed)?;
        same("what was said", said.as_str(), "standard")?;
        same("process", Some(pid), bundle.state()?["pid"].as_i64())?;
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        fs::remove_file(&path)?;
    }
    start(&bundle)?;
    let (path, file) = (bundle.path("pidfd"), bundle.path("pid"));
    let handed = console(&path)?;
    let (path, file) = (path.to_string_lossy(), file.to_string_lossy());
    let words = ["-d", "--pidfd-socket", &path, "--pid-file", &file];
    exec(&bundle, &words, &["sleep", "1000"])?.ok()?;
    let (pid, said) = process(handed)?;
    same("what was said", said.as_str(), "setns")?;
    same("process", pid.to_string(), fs::read_to_string(file.as_ref())?)?;
    end(bundle)
}

fn nobody() -> Outcome {
    let bundle = box_of_sleep()?;
    let path = bundle.path("nobody").to_string_lossy().into_owned();
    let words = ["create", "--pidfd-socket", &path];
    let done = bundle.bundled(&words)?.refused("connect(")?;
    ensure!(done.err.contains("try: "), "{done:?}");
    bundle.nothing_left()?;
    start(&bundle)?;
    failed(exec(&bundle, &["--pidfd-socket", &path], &["true"])?, "pidfd socket")?;
    end(bundle)
}

/// A directory so deep that no address has room for it: whoever listens there comes by a relative path.
fn deep(bundle: &Bundle) -> Result<PathBuf, Failed> {
    let dir = bundle.path(&["d".repeat(60), "e".repeat(60)].join("/"));
    fs::create_dir_all(&dir)?;
    Ok(dir)
}

/// Binds a socket below a deep directory.
fn below<T>(dir: &Path, bind: impl FnOnce(&Path) -> Result<T, Failed>) -> Result<T, Failed> {
    let open = fs::File::open(dir)?;
    bind(&PathBuf::from(format!("/proc/self/fd/{}/socket", open.as_raw_fd())))
}

fn long() -> Outcome {
    let mut bundle = script("echo here; sleep 1000")?;
    let dir = deep(&bundle)?;
    let path = dir.join("socket").to_string_lossy().into_owned();
    let handed = below(&dir, console)?;
    bundle.bundled(&["create", "--pidfd-socket", &path])?.ok()?;
    let (pid, _) = process(handed)?;
    same("process", Some(pid), bundle.state()?["pid"].as_i64())?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;

    fs::remove_file(&path)?;
    bundle.set("/process/terminal", json!(true))?;
    let listener = below(&dir, console)?;
    bundle.bundled(&["run", "--detach", "--console-socket", &path])?.ok()?;
    came(listener)?.until("here\r\n")?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;

    let name = dir.join("s".repeat(90)).to_string_lossy().into_owned();
    for option in ["--console-socket", "--pidfd-socket"] {
        bundle.bundled(&["create", option, &name])?.refused("107")?;
    }
    bundle.clean()
}

/// What is handed on of this: the words that mean the same outside.
const TALK: &[&str] = &["STATUS=coming\nMAINPID=7", "X_OWN=word", "READY=1\nSTATUS=here"];

fn talker(talk: &[&str]) -> Result<Bundle, Failed> {
    let mut words = vec!["--quiet"];
    talk.iter().for_each(|text| words.extend(["--notify", text]));
    words.push("--sleep");
    Bundle::reporter(&words)
}

/// A service manager of the case's own: what it heard, with `|` for the ends of lines.
struct Manager {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Manager {
    fn new(bundle: &Bundle) -> Result<Manager, Failed> {
        let path = bundle.path("manager");
        let _ = fs::remove_file(&path);
        let socket = UnixDatagram::bind(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Manager { path, socket })
    }

    /// One message. A descriptor that comes with it is closed, which is the answer to BARRIER.
    fn hears(&self) -> Result<String, Failed> {
        let mut text = [0; 512];
        let mut room = nix::cmsg_space!([i32; 1]);
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = MsgFlags::MSG_CMSG_CLOEXEC;
        let fd = self.socket.as_raw_fd();
        let message = recvmsg::<()>(fd, &mut parts, Some(&mut room), flags)?;
        let bytes = message.bytes;
        for one in message.cmsgs()? {
            if let ControlMessageOwned::ScmRights(all) = one {
                for fd in all {
                    // SAFETY: the kernel has just made this descriptor for us.
                    drop(unsafe { OwnedFd::from_raw_fd(fd) });
                }
            }
        }
        Ok(String::from_utf8_lossy(&text[..bytes]).replace('\n', "|"))
    }

    /// All of TALK, about the service with this process.
    fn hears_talk(&self, pid: &Value) -> Outcome {
        same("first", self.hears()?.as_str(), "STATUS=coming|")?;
        let second = format!("READY=1|MAINPID={pid}|STATUS=here|");
        same("second", self.hears()?, second)
    }

    /// A command that is to tell it.
    fn told(&self, mut command: Command) -> Command {
        command.env("NOTIFY_SOCKET", &self.path);
        command
    }
}

/// `create`, or `run`, with it in the environment.
fn begun(bundle: &Bundle, manager: &Manager, words: &[&str]) -> Result<Running, Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = [words, &["--bundle", &here, &bundle.id]].concat();
    bundle.start(manager.told(bundle.command(&words)?))
}

fn create(bundle: &Bundle, manager: &Manager) -> Outcome {
    let done = bundle.wait(begun(bundle, manager, &["create"])?)?.ok()?;
    ensure!(done.out.is_empty() && done.err.is_empty(), "{done:?}");
    Ok(())
}

fn started(bundle: Bundle) -> Outcome {
    let manager = Manager::new(&bundle)?;
    create(&bundle, &manager)?;
    let pid = bundle.state()?["pid"].clone();
    let starting = bundle.start(manager.told(bundle.command(&["start", &bundle.id])?))?;
    manager.hears_talk(&pid)?;
    same("last", manager.hears()?.as_str(), "BARRIER=1")?;
    bundle.wait(starting)?.ok()?;
    same("status", bundle.status()?, "running".into())?;
    end(bundle)
}

fn detached() -> Outcome {
    let bundle = talker(TALK)?;
    let manager = Manager::new(&bundle)?;
    let running = begun(&bundle, &manager, &["run", "--detach"])?;
    let heard = [manager.hears()?, manager.hears()?, manager.hears()?];
    bundle.wait(running)?.ok()?;
    let pid = bundle.state()?["pid"].clone();
    let ready = format!("READY=1|MAINPID={pid}|STATUS=here|");
    same("heard", heard, ["STATUS=coming|".into(), ready, "BARRIER=1".into()])?;
    end(bundle)
}

/// The runtime stays, and is the service's main process; and what is said later is heard, too.
fn foreground(terminal: bool) -> Outcome {
    let mut bundle = talker(&[TALK, &["STOPPING=1"]].concat())?;
    bundle.set("/process/terminal", json!(terminal))?;
    let manager = Manager::new(&bundle)?;
    let running = begun(&bundle, &manager, &["run"])?;
    manager.hears_talk(&json!(running.child.id()))?;
    same("later", manager.hears()?.as_str(), "STOPPING=1|")?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

fn attached() -> Outcome {
    let bundle = talker(TALK)?;
    let manager = Manager::new(&bundle)?;
    create(&bundle, &manager)?;
    let words = ["start", "--attach", &bundle.id];
    let starting = bundle.start(manager.told(bundle.command(&words)?))?;
    manager.hears_talk(&json!(starting.child.id()))?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.wait(starting)?;
    end(bundle)
}

fn rootless() -> Outcome {
    let bundle = of_user(talker(TALK)?)?;
    let manager = Manager::new(&bundle)?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = ["run", "--bundle", &here, &bundle.id];
    let mut command = as_user_command(&bundle, &words)?;
    command.env("NOTIFY_SOCKET", &manager.path);
    let running = bundle.start(command)?;
    same("first", manager.hears()?.as_str(), "STATUS=coming|")?;
    ensure!(manager.hears()?.starts_with("READY=1|MAINPID="), "no READY");
    let kill = as_user_command(&bundle, &["kill", &bundle.id, "KILL"])?;
    bundle.finish(kill)?.ok()?;
    same("status", bundle.wait(running)?.status, 137)?;
    bundle.clean()
}

fn never() -> Outcome {
    let bundle = Bundle::reporter(&["--quiet", "--notify", "STATUS=over"])?;
    let manager = Manager::new(&bundle)?;
    create(&bundle, &manager)?;
    let starting = bundle.start(manager.told(bundle.command(&["start", &bundle.id])?))?;
    same("first", manager.hears()?.as_str(), "STATUS=over|")?;
    same("last", manager.hears()?.as_str(), "BARRIER=1")?;
    bundle.wait(starting)?.ok()?;
    bundle.until("stopped")?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn nobody_hears() -> Outcome {
    let bundle = talker(TALK)?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = ["run", "--bundle", &here, &bundle.id];
    let nowhere = here.clone() + "/nobody";
    for (address, said) in [(nowhere.as_str(), "connect("), ("vsock:2:1", "unset it")] {
        let mut command = bundle.command(&words)?;
        command.env("NOTIFY_SOCKET", address);
        let done = bundle.finish(command)?.refused(said)?;
        ensure!(done.err.contains("NOTIFY_SOCKET"), "{done:?}");
        bundle.nothing_left()?;
    }
    // Who starts it without one does not wait.
    let manager = Manager::new(&bundle)?;
    create(&bundle, &manager)?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    end(bundle)
}

/// Then it can be started still, once somebody does.
fn nobody_hears_of_start() -> Outcome {
    let bundle = talker(TALK)?;
    let manager = Manager::new(&bundle)?;
    create(&bundle, &manager)?;
    fs::remove_file(&manager.path)?;
    let start = || -> Result<_, Failed> {
        let command = bundle.command(&["start", &bundle.id])?;
        bundle.start(manager.told(command))
    };
    bundle.wait(start()?)?.refused("NOTIFY_SOCKET")?;
    same("status", bundle.status()?, "created".into())?;
    let manager = Manager::new(&bundle)?;
    let starting = start()?;
    manager.hears_talk(&bundle.state()?["pid"])?;
    same("last", manager.hears()?.as_str(), "BARRIER=1")?;
    bundle.wait(starting)?.ok()?;
    end(bundle)
}

/// There is no room for what is said: READY waits until there is, and so does BARRIER after it.
fn busy() -> Outcome {
    let bundle = talker(TALK)?;
    let manager = Manager::new(&bundle)?;
    create(&bundle, &manager)?;
    let other = UnixDatagram::unbound()?;
    other.set_nonblocking(true)?;
    while other.send_to(b"OTHER=1", &manager.path).is_ok() {}
    let starting = bundle.start(manager.told(bundle.command(&["start", &bundle.id])?))?;
    std::thread::sleep(Duration::from_millis(500));
    manager.hears()?;
    // Room for one: READY takes it.
    std::thread::sleep(Duration::from_millis(500));
    while !manager.hears()?.starts_with("READY=1|") {}
    while manager.hears()? != "BARRIER=1" {}
    bundle.wait(starting)?.ok()?;
    end(bundle)
}

/// Podman mounts conmon's socket, and names it in config.json.
fn seen_to() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/process/env/-", json!("NOTIFY_SOCKET=/run/notify/conmon"))?;
    let manager = Manager::new(&bundle)?;
    let running = begun(&bundle, &manager, &["run"])?;
    let report: Value = serde_json::from_str(&bundle.wait(running)?.ok()?.out)?;
    ensure!(report["env"].to_string().contains("NOTIFY_SOCKET=/run/notify/conmon"), "{}", report["env"]);
    ensure!(!bundle.rootfs("run/notify").exists(), "/run/notify is made");
    bundle.clean()
}

fn nameless() -> Outcome {
    use std::os::linux::net::SocketAddrExt;
    let bundle = talker(TALK)?;
    let name = format!("nk-test-{}", bundle.id);
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name)?;
    let manager = Manager { path: format!("@{name}").into(), socket: UnixDatagram::bind_addr(&address)? };
    let running = begun(&bundle, &manager, &["run"])?;
    manager.hears_talk(&json!(running.child.id()))?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.wait(running)?;
    bundle.clean()
}

/// The descriptors, and how many they are, and for which process (sd_listen_fds(3)); of old words the last one counts.
fn listening() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    bundle.set("/process/env/-", json!("LISTEN_PID=4711"))?;
    bundle.write_config()?;
    let mut command = Command::new("/bin/sh");
    let line = "exec \"$@\" 3</dev/zero 4</dev/full 5</etc/hostname";
    command.args(["-c", line, "sh"]);
    command.arg(crate::bundle::runtime());
    command.arg("--root").arg(bundle.state_root());
    command.args(["run", "--bundle"]).arg(bundle.path(""));
    command.arg(&bundle.id).current_dir("/");
    command.env("LISTEN_FDS", "2").env("LISTEN_PID", "1");
    command.env("LISTEN_FDNAMES", "a:b");
    let report: Value = serde_json::from_str(&bundle.finish(command)?.ok()?.out)?;
    let env = report["env"].to_string();
    for word in ["LISTEN_FDS=2", "LISTEN_PID=1\"", "LISTEN_FDNAMES=a:b"] {
        ensure!(env.contains(word), "no {word} in {env}");
    }
    ensure!(!env.contains("4711"), "{env}");
    let fds = &report["fds"];
    ensure!(fds["3"].to_string().contains("zero") && fds["4"].to_string().contains("full"), "{fds}");
    ensure!(fds["5"].is_null(), "{fds}");
    bundle.clean()
}
