//! Cgroups that are not the container's alone: they were there before, others are in them, another container is in them or
//! below, one above is frozen. Nobody else's process ends or stops, and nothing is removed that was not made.

use crate::bundle::{Bundle, Done, patiently, tool};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub fn cases() -> Vec<Trial> {
    area(
        "shared",
        &[
            ("a_cgroup_with_processes_is_refused", populated),
            ("a_cgroup_of_before_stays_with_what_is_in_it", before),
            ("without_a_pid_namespace_too", before_without_pids),
            ("a_container_below_lives_on", below),
            ("a_container_below_lives_on_without_a_pid_namespace", || below_of(false)),
            ("two_containers_in_one", two),
            ("parents_that_were_made_are_removed", parents),
            ("a_create_that_was_killed_leaves_what_was_there", killed),
            ("a_lost_container_s_cgroup", lost),
            ("a_frozen_cgroup_is_refused", frozen),
            ("exec_into_a_frozen_cgroup_is_refused", frozen_exec),
        ],
    )
}

/// A cgroup of the host's, and a process in it.
pub struct Theirs {
    pub path: PathBuf,
    sleep: Option<Child>,
}

fn group(name: &str) -> PathBuf {
    PathBuf::from("/sys/fs/cgroup").join(name)
}

impl Theirs {
    pub fn make(name: &str) -> Result<Theirs, Failed> {
        let path = group(name);
        fs::create_dir_all(&path)?;
        Ok(Theirs { path, sleep: None })
    }

    pub fn enter(&mut self) -> Outcome {
        let mut sleep = Command::new(tool("sleep")?);
        let child = sleep.arg("600").stdin(Stdio::null()).spawn()?;
        let pid = child.id();
        self.sleep = Some(child);
        fs::write(self.path.join("cgroup.procs"), pid.to_string())?;
        Ok(())
    }

    /// The cgroup is there, and the process lives.
    fn unharmed(&mut self, what: &str) -> Outcome {
        ensure!(self.path.exists(), "{what}: the cgroup is gone");
        if let Some(sleep) = &mut self.sleep {
            ensure!(sleep.try_wait()?.is_none(), "{what}: the process is gone");
        }
        Ok(())
    }

    fn end(&mut self) {
        if let Some(mut sleep) = self.sleep.take() {
            let _ = sleep.kill();
            let _ = sleep.wait();
        }
    }
}

impl Drop for Theirs {
    fn drop(&mut self) {
        self.end();
        let _ = fs::write(self.path.join("cgroup.freeze"), "0");
        for _ in 0..100 {
            match fs::remove_dir(&self.path) {
                Err(error) if error.raw_os_error() == Some(nix::libc::EBUSY) => {
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                _ => break,
            }
        }
    }
}

fn bundle(path: &str) -> Result<Bundle, Failed> {
    // A child: without a pid namespace it outlives its parent.
    let mut bundle = Bundle::shell("sleep 1000 & echo > /tmp/ready; wait")?;
    bundle.set("/root/readonly", json!(false))?;
    let path = path.replace("ID", &bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))?;
    Ok(bundle)
}

fn without_pids(bundle: &mut Bundle) -> Outcome {
    let list = bundle.config.pointer_mut("/linux/namespaces");
    let list = list.and_then(|list| list.as_array_mut());
    list.ok_or("no namespaces")?.retain(|n| n["type"] != "pid");
    // The host's /proc would be mounted over what is masked there.
    Ok(())
}

fn start(bundle: &Bundle) -> Outcome {
    let _ = fs::remove_file(bundle.rootfs("tmp/ready"));
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    patiently("the program", || Ok(bundle.rootfs("tmp/ready").exists()))
}

fn force(bundle: &Bundle) -> Result<Done, Failed> {
    bundle.call(&["delete", "--force", &bundle.id])
}

fn populated() -> Outcome {
    let bundle = bundle("/of-ID")?;
    let mut theirs = Theirs::make(&format!("of-{}", bundle.id))?;
    theirs.enter()?;
    for words in ["create", "run"] {
        bundle.bundled(&[words])?.refused("container's cgroup is not empty")?;
        theirs.unharmed(words)?;
    }
    drop(theirs);
    // The same of what lies below.
    let mut inner = Theirs::make(&format!("of-{}/inner", bundle.id))?;
    inner.enter()?;
    bundle.bundled(&["create"])?.refused("container's cgroup is not empty")?;
    inner.unharmed("below")?;
    drop(inner);
    fs::remove_dir(group(&format!("of-{}", bundle.id)))?;
    bundle.clean()
}

fn before() -> Outcome {
    before_of(bundle("/of-ID")?)
}

fn before_without_pids() -> Outcome {
    let mut bundle = bundle("/of-ID")?;
    without_pids(&mut bundle)?;
    before_of(bundle)
}

fn before_of(bundle: Bundle) -> Outcome {
    let id = bundle.id.clone();
    let mut theirs = Theirs::make(&format!("of-{id}"))?;
    start(&bundle)?;
    // Alone there it can be stopped.
    bundle.call(&["pause", &id])?.ok()?;
    bundle.call(&["resume", &id])?.ok()?;
    theirs.enter()?;
    bundle.call(&["pause", &id])?.refused("was there before it")?;
    bundle.call(&["update", "--pids-limit", "9", &id])?.refused("was there before it")?;
    theirs.unharmed("pause and update")?;
    let listed = bundle.call(&["ps", "-f", "json", &id])?.ok()?.out;
    let listed: Vec<u32> = serde_json::from_str(&listed)?;
    let sleep = theirs.sleep.as_ref().map_or(0, Child::id);
    ensure!(listed.len() == 2 && !listed.contains(&sleep), "{sleep} in {listed:?}");
    bundle.call(&["kill", "--all", &id, "KILL"])?.ok()?;
    patiently("the end", || Ok(bundle.status()? == "stopped"))?;
    theirs.unharmed("kill --all")?;
    done(bundle.call(&["delete", &id])?)?;
    theirs.unharmed("delete")?;
    bundle_is_gone(&bundle)?;

    theirs.end();
    start(&bundle)?;
    theirs.enter()?;
    done(force(&bundle)?)?;
    theirs.unharmed("delete --force")?;
    bundle_is_gone(&bundle)?;

    theirs.end();
    bundle.bundled(&["create"])?.ok()?;
    theirs.enter()?;
    done(bundle.call(&["delete", &id])?)?;
    theirs.unharmed("delete of a created one")?;
    drop(theirs);
    bundle.clean()
}

/// Without a pid namespace a warning may say that processes are left of which it is not known who made them.
fn done(done: Done) -> Outcome {
    ensure!(done.status == 0 && (done.err.is_empty() || done.err.contains("level=warning")), "{done:?}");
    Ok(())
}

/// Its processes have ended, and its state is gone.
fn bundle_is_gone(bundle: &Bundle) -> Outcome {
    ensure!(!bundle.state_root().join(&bundle.id).exists(), "the state is left");
    patiently("the end of its processes", || Ok(crate::host::processes(&bundle.id).is_empty()))
}

fn below() -> Outcome {
    below_of(true)
}

fn below_of(own_pids: bool) -> Outcome {
    let mut outer = bundle("/of-ID")?;
    if !own_pids {
        without_pids(&mut outer)?;
    }
    let mut inner = bundle("/of-ID")?;
    let path = format!("/of-{}/inner", outer.id);
    inner.set("/linux/cgroupsPath", json!(path))?;
    start(&outer)?;
    // Of the same state root, as an engine's containers are.
    let here = inner.path("");
    inner.write_config()?;
    let here = here.to_string_lossy();
    outer.call(&["run", "--detach", "--bundle", &here, &inner.id])?.ok()?;
    let pause = outer.call(&["pause", &outer.id])?;
    pause.refused(&format!("container {} is in its cgroup", inner.id))?;
    force(&outer)?.refused("processes are left")?;
    let lives = outer.call(&["state", &inner.id])?.ok()?;
    ensure!(lives.out.contains("\"running\""), "{lives:?}");
    same("outer", outer.status()?.as_str(), "stopped")?;
    outer.call(&["delete", "--force", &inner.id])?.ok()?;
    force(&outer)?.ok()?;
    inner.clean()?;
    gone(&outer)
}

/// Nothing of it is left, as far as it is not its mount namespace's: a thread of the tests has one at a time.
fn gone(bundle: &Bundle) -> Outcome {
    bundle_is_gone(bundle)?;
    let path = group(&format!("of-{}", bundle.id));
    ensure!(!path.exists(), "{} is left", path.display());
    Ok(())
}

fn two() -> Outcome {
    let mut first = bundle("/of-ID")?;
    without_pids(&mut first)?;
    first.set("/process/args", json!(["true"]))?;
    let mut second = bundle("/x")?;
    let path = first.config["linux"]["cgroupsPath"].clone();
    second.set("/linux/cgroupsPath", path)?;
    first.bundled(&["create"])?.ok()?;
    first.call(&["start", &first.id])?.ok()?;
    first.until("stopped")?;
    let here = second.path("");
    second.write_config()?;
    let here = here.to_string_lossy();
    first.call(&["run", "--detach", "--bundle", &here, &second.id])?.ok()?;
    force(&first)?.refused("processes are left")?;
    let lives = first.call(&["state", &second.id])?.ok()?;
    ensure!(lives.out.contains("\"running\""), "{lives:?}");
    first.call(&["delete", "--force", &second.id])?.ok()?;
    force(&first)?.ok()?;
    second.clean()?;
    gone(&first)
}

fn parents() -> Outcome {
    let mut bundle = bundle("/of-ID/a/b")?;
    let top = group(&format!("of-{}", bundle.id));
    bundle.set("/process/args", json!(["true"]))?;
    bundle.bundled(&["run"])?.ok()?;
    ensure!(!top.exists(), "run left {}", top.display());
    bundle.bundled(&["create"])?.ok()?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    ensure!(!top.exists(), "delete left {}", top.display());
    bundle.set("/process/args", json!(["nosuch"]))?;
    bundle.bundled(&["run"])?.refused("not found")?;
    ensure!(!top.exists(), "a failed run left {}", top.display());
    // What was there before stays, empty as it is.
    bundle.set("/process/args", json!(["true"]))?;
    for there in ["", "/a", "/a/b"] {
        let path = group(&format!("of-{}{there}", bundle.id));
        fs::create_dir_all(&path)?;
        bundle.bundled(&["run"])?.ok()?;
        bundle.bundled(&["create"])?.ok()?;
        force(&bundle)?.ok()?;
        ensure!(path.exists(), "{} is gone", path.display());
        let inner = fs::read_dir(&path)?.flatten().any(|entry| entry.path().is_dir());
        ensure!(!inner, "something is left below {}", path.display());
    }
    for path in ["/a/b", "/a", ""] {
        fs::remove_dir(group(&format!("of-{}{path}", bundle.id)))?;
    }
    bundle.clean()
}

/// SIGKILL just before and just after the clone, with the cgroup there or not.
fn killed() -> Outcome {
    for call in ["clone3", "renameat2", "mkdirat"] {
        for there in [false, true] {
            let bundle = bundle("/of-ID/a")?;
            let path = format!("of-{}", bundle.id);
            let theirs = match there {
                true => Some(Theirs::make(&format!("{path}/a"))?),
                false => None,
            };
            bundle.write_config()?;
            let inner = bundle.command(&["create", "--bundle", &bundle.path("").to_string_lossy(), &bundle.id])?;
            let mut command = Command::new(tool("strace")?);
            command.args(["-f", "-o", "/dev/null", "--signal=none"]);
            command.arg(format!("--inject={call}:signal=KILL:when=1"));
            command.arg(inner.get_program()).args(inner.get_args());
            bundle.finish(command)?;
            force(&bundle)?.ok()?;
            patiently("the end of its processes", || Ok(crate::host::processes(&bundle.id).is_empty()))?;
            if let Some(mut theirs) = theirs {
                theirs.unharmed(call)?;
                drop(theirs);
                fs::remove_dir(group(&path))?;
            }
            bundle.clean()?;
        }
    }
    Ok(())
}

/// A cgroup of the name that this program gives, whose container's state is lost.
fn lost() -> Outcome {
    let bundle = Bundle::plain()?;
    let name = format!("nano-sandbox/{}", bundle.id);
    fs::create_dir_all(group(&name).join("inner"))?;
    bundle.bundled(&["run"])?.ok()?;
    ensure!(!group(&name).exists(), "the cgroup is left");
    let mut theirs = Theirs::make(&name)?;
    theirs.enter()?;
    bundle.bundled(&["run"])?.refused("container's cgroup is not empty")?;
    theirs.unharmed("run")?;
    freeze(&theirs.path)?;
    bundle.bundled(&["run"])?.refused("container's cgroup unexpectedly frozen")?;
    theirs.unharmed("run")?;
    drop(theirs);
    bundle.clean()
}

/// Freezes a cgroup, and waits until the kernel has stopped all in it.
pub fn freeze(group: &Path) -> Outcome {
    fs::write(group.join("cgroup.freeze"), "1")?;
    patiently("a frozen cgroup", || Ok(fs::read_to_string(group.join("cgroup.events"))?.contains("frozen 1")))
}

fn frozen() -> Outcome {
    let bundle = bundle("/of-ID/a/b")?;
    let top = format!("of-{}", bundle.id);
    for path in ["", "/a", "/a/b"] {
        let theirs = Theirs::make(&format!("{top}{path}"))?;
        freeze(&theirs.path)?;
        for words in ["create", "run"] {
            bundle.bundled(&[words])?.refused("container's cgroup unexpectedly frozen")?;
        }
        fs::write(theirs.path.join("cgroup.freeze"), "0")?;
        let inner = fs::read_dir(&theirs.path)?.flatten().any(|entry| entry.path().is_dir());
        ensure!(!inner, "something is left below {}", theirs.path.display());
    }
    for path in ["/a", ""] {
        let _ = fs::remove_dir(group(&format!("{top}{path}")));
    }
    bundle.clean()
}

fn frozen_exec() -> Outcome {
    let bundle = bundle("/of-ID/a")?;
    let top = group(&format!("of-{}", bundle.id));
    start(&bundle)?;
    freeze(&top)?;
    let exec = bundle.call(&["exec", &bundle.id, "true"])?;
    ensure!(exec.status == 255 && exec.err.contains("is frozen"), "{exec:?}");
    fs::write(top.join("cgroup.freeze"), "0")?;
    bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
    freeze(&top)?;
    force(&bundle)?.ok()?;
    bundle.clean()
}
