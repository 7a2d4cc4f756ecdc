//! A bundle for one case: a fresh folder with a rootfs, a config.json as `runc spec` writes it on a cgroup v2 host
//! (but without a terminal) with this case's edits, a private state root, and the ways to call the runtime on it.

use crate::host::Host;
use crate::{Failed, Outcome, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A hang is a failure, not a stuck run. No case measures by it: it only has to be longer than any machine is slow.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// The busybox programs that the tests call.
const APPLETS: &str = "sh id hostname cat ls mount sleep true false kill echo mkdir test wc ps env dd chmod";

/// The program under test.
pub fn runtime() -> PathBuf {
    std::env::var_os("RUNTIME").map_or(env!("CARGO_BIN_EXE_nk-runtime").into(), PathBuf::from)
}

/// Where scripts look for the program, below the repository's folder.
pub fn built() -> String {
    format!("target/{}-unknown-linux-gnu/release", std::env::consts::ARCH)
}

/// A program of the tests' own: it lies where cargo puts examples.
pub fn example(name: &str) -> Result<PathBuf, Failed> {
    let path = Path::new(env!("CARGO_BIN_EXE_nk-runtime")).with_file_name("examples").join(name);
    ensure!(path.exists(), "needs the program {}: `cargo build --examples`, same profile", path.display());
    Ok(path)
}

/// A program of the machine that a case needs.
pub fn tool(name: &str) -> Result<PathBuf, Failed> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
    let found = folders.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.exists());
    found.ok_or_else(|| format!("needs the program {name}: scripts/test installs it").into())
}

/// Copies a program that is to be executed. Another process writes the copy: what another case starts meanwhile would hold our
/// descriptor of it until its own execve, and the kernel executes no file that is open for writing (execve(2), ETXTBSY).
pub fn copy_program(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Outcome {
    let (from, to) = (from.as_ref(), to.as_ref());
    let copied = Command::new(tool("busybox")?).arg("cp").arg(from).arg(to).status()?;
    ensure!(copied.success(), "busybox cp {} {}", from.display(), to.display());
    Ok(())
}

/// How a command ended.
#[derive(Debug)]
pub struct Done {
    /// The exit status, or minus the signal that ended it.
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Done {
    /// It succeeded and said nothing that clients would take for an error.
    pub fn ok(self) -> Result<Done, Failed> {
        ensure!(self.status == 0 && self.err.is_empty(), "status 0 and nothing on stderr wanted: {self:?}");
        Ok(self)
    }

    /// It failed as a failure of the runtime does, with a message that holds these words.
    pub fn refused(self, words: &str) -> Result<Done, Failed> {
        ensure!(self.status == 1, "status 1 wanted: {self:?}");
        ensure!(self.says(words), "stderr should hold `{words}`: {self:?}");
        Ok(self)
    }

    /// Whether the message holds these words. `/a/pointer: PROBLEM` stands for a first line with this problem, and with this
    /// place at its end.
    pub fn says(&self, words: &str) -> bool {
        let first = self.err.lines().next().unwrap_or_default();
        let placed = |(pointer, problem): (&str, &str)| {
            // The place in a message is shortened in its middle.
            let end = pointer.get(pointer.len().saturating_sub(20)..).unwrap_or(pointer).trim_start();
            pointer.trim_start().starts_with('/') && first.ends_with(&format!("{end})")) && first.contains(problem)
        };
        self.err.contains(words) || words.split_once(": ").or(words.strip_suffix(':').zip(Some(""))).is_some_and(placed)
    }

    /// How many messages are on standard error: each has one line, and more below it with blanks in front.
    pub fn messages(&self) -> usize {
        self.err.trim().lines().filter(|line| !line.starts_with("  ")).count()
    }
}

pub struct Bundle {
    folder: TempDir,
    /// Names the container, and all that belongs to it.
    pub id: String,
    pub config: Value,
    host: Host,
}

impl Bundle {
    /// A container that runs the reporter with these words.
    pub fn reporter(words: &[&str]) -> Result<Bundle, Failed> {
        let mut bundle = Bundle::empty()?;
        copy_program(example("reporter")?, bundle.rootfs("reporter"))?;
        let args: Vec<&str> = std::iter::once("/reporter").chain(words.iter().copied()).collect();
        bundle.set("/process/args", json!(args))?;
        Ok(bundle)
    }

    /// A container that runs this script in busybox's shell.
    pub fn shell(script: &str) -> Result<Bundle, Failed> {
        let mut bundle = Bundle::empty()?;
        bundle.add_busybox()?;
        bundle.set("/process/args", json!(["sh", "-c", script]))?;
        Ok(bundle)
    }

    /// A container that runs busybox's `true`, or whatever `/process/args` is set to.
    pub fn plain() -> Result<Bundle, Failed> {
        Bundle::shell("true")
    }

    fn empty() -> Result<Bundle, Failed> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let id = format!(
            "nkt{}x{}x", // none is the beginning of another
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let folder = tempfile::Builder::new().prefix(&format!("{id}-")).tempdir()?;
        for name in
            ["rootfs", "rootfs/bin", "rootfs/etc", "rootfs/tmp", "rootfs/proc", "rootfs/sys", "rootfs/dev", "said"]
        {
            fs::create_dir(folder.path().join(name))?;
        }
        let host = Host::look(&id, &folder.path().join("state"))?;
        let config = default_config(&id)?;
        Ok(Bundle { folder, id, config, host })
    }

    /// Adds busybox to a rootfs that does not have it.
    pub fn add_busybox(&self) -> Outcome {
        let busybox = tool("busybox")?;
        copy_program(busybox, self.rootfs("bin/busybox"))?;
        for applet in APPLETS.split(' ') {
            symlink("busybox", self.rootfs("bin").join(applet))?;
        }
        fs::write(self.rootfs("etc/passwd"), "root:x:0:0:root:/root:/bin/sh\n")?;
        fs::write(self.rootfs("etc/group"), "root:x:0:\n")?;
        Ok(())
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.folder.path().join(below)
    }

    pub fn rootfs(&self, below: &str) -> PathBuf {
        self.folder.path().join("rootfs").join(below)
    }

    pub fn state_root(&self) -> PathBuf {
        self.path("state")
    }

    /// Sets what a JSON pointer names; the last key of it, or `-` for one more element, may be new.
    pub fn set(&mut self, pointer: &str, value: Value) -> Outcome {
        let (above, key) = pointer.rsplit_once('/').ok_or_else(|| format!("{pointer} is no JSON pointer"))?;
        match self.config.pointer_mut(above) {
            Some(Value::Object(map)) => {
                map.insert(key.into(), value);
            }
            Some(Value::Array(list)) if key == "-" => list.push(value),
            Some(Value::Array(list)) => {
                let index: usize = key.parse()?;
                *list.get_mut(index).ok_or_else(|| format!("{pointer}: no such element"))? = value;
            }
            _ => return Err(format!("{pointer}: nothing to set it in").into()),
        }
        Ok(())
    }

    /// Removes what a JSON pointer names.
    pub fn remove(&mut self, pointer: &str) -> Outcome {
        let (above, key) = pointer.rsplit_once('/').ok_or_else(|| format!("{pointer} is no JSON pointer"))?;
        let map = self.config.pointer_mut(above).and_then(Value::as_object_mut);
        map.and_then(|map| map.remove(key)).ok_or_else(|| format!("{pointer}: nothing to remove"))?;
        Ok(())
    }

    pub fn write_config(&self) -> Outcome {
        fs::write(self.path("config.json"), self.config.to_string())?;
        Ok(())
    }

    /// A command of the runtime, its state root given. config.json is written first.
    pub fn command(&self, words: &[&str]) -> Result<Command, Failed> {
        self.command_of(&runtime(), words)
    }

    /// The same of another runtime.
    pub fn command_of(&self, program: &Path, words: &[&str]) -> Result<Command, Failed> {
        let mut command = Command::new(program);
        command.arg("--root").arg(self.state_root()).args(words).current_dir("/").stdin(Stdio::null());
        Ok(command)
    }

    /// Calls the runtime and waits for it.
    pub fn call(&self, words: &[&str]) -> Result<Done, Failed> {
        self.finish(self.command(words)?)
    }

    /// `WORDS --bundle HERE ID`, after writing config.json. What `check` calls a failure beforehand must be one.
    pub fn bundled(&self, words: &[&str]) -> Result<Done, Failed> {
        let checked = match words {
            ["run"] => Some(self.bundled_alone(&["check"])?),
            _ => None,
        };
        let done = self.bundled_alone(words)?;
        if let Some(checked) = checked.filter(|checked| done.status == 0 && checked.status != 0) {
            return Err(format!("{words:?} works, and `check` says beforehand that it fails: {checked:?}").into());
        }
        Ok(done)
    }

    /// The same without `check`: what it finds in a rootfs that another process changes meanwhile says nothing of the run.
    pub fn bundled_alone(&self, words: &[&str]) -> Result<Done, Failed> {
        self.write_config()?;
        let here = self.path("");
        let here = here.to_string_lossy();
        self.call(&[words, &["--bundle", here.trim_end_matches('/'), &self.id]].concat())
    }

    /// Runs a command with files for its output: a container may keep them open longer than the command lives.
    pub fn finish(&self, command: Command) -> Result<Done, Failed> {
        let running = self.start(command)?;
        self.wait(running)
    }

    pub fn start(&self, mut command: Command) -> Result<Running, Failed> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let (out, err) = (self.path(&format!("said/{number}.out")), self.path(&format!("said/{number}.err")));
        command.stdout(File::create(&out)?).stderr(File::create(&err)?);
        let child = command.spawn().map_err(|error| format!("needs {:?}: {error}", command.get_program()))?;
        Ok(Running { child, out, err })
    }

    pub fn wait(&self, mut running: Running) -> Result<Done, Failed> {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = running.child.try_wait()? {
                break status;
            }
            if Instant::now() > end {
                running.child.kill()?;
                running.child.wait()?;
                let (out, err) = running.said();
                return Err(format!("the command hung; it had said\n{out}\n{err}").into());
            }
            std::thread::sleep(Duration::from_millis(1));
        };
        let status = status.code().unwrap_or_else(|| -status.signal().unwrap_or(0));
        let (out, err) = running.said();
        Ok(Done { status, out, err })
    }

    /// Runs the bundle, whose program is the reporter, and reads its report.
    pub fn report(&self) -> Result<Value, Failed> {
        let done = self.bundled(&["run"])?.ok()?;
        serde_json::from_str(&done.out).map_err(|error| format!("no report: {error}: {done:?}").into())
    }

    /// The container's status, by `state`.
    pub fn status(&self) -> Result<String, Failed> {
        Ok(self.state()?["status"].as_str().unwrap_or("none").to_owned())
    }

    pub fn state(&self) -> Result<Value, Failed> {
        let done = self.call(&["state", &self.id])?.ok()?;
        serde_json::from_str(&done.out).map_err(|error| format!("state is no JSON: {error}: {done:?}").into())
    }

    /// These capabilities in each of the five sets.
    pub fn capable(&mut self, names: &Value) -> Outcome {
        let sets = ["bounding", "effective", "permitted", "inheritable", "ambient"];
        sets.iter().try_for_each(|set| self.set(&format!("/process/capabilities/{set}"), names.clone()))
    }

    /// Waits until the container has this status.
    pub fn until(&self, status: &str) -> Outcome {
        patiently(&format!("the status {status}"), || Ok(self.status()? == status))
    }

    /// The end of a case: nothing of it may be left.
    pub fn clean(self) -> Outcome {
        self.host.unchanged()
    }

    /// The same, for the middle of a case.
    pub fn nothing_left(&self) -> Outcome {
        self.host.unchanged()
    }
}

impl Drop for Bundle {
    /// What a failed case left must not disturb the others, nor stay on the machine.
    fn drop(&mut self) {
        if self.state_root().join(&self.id).exists()
            && let Ok(command) = self.command(&["delete", "--force", &self.id])
        {
            let _ = self.finish(command);
        }
    }
}

/// A command on its way.
pub struct Running {
    pub child: Child,
    out: PathBuf,
    err: PathBuf,
}

impl Running {
    /// What it has said so far.
    pub fn said(&self) -> (String, String) {
        let read = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned();
        (read(&self.out), read(&self.err))
    }
}

/// Waits until the program that strace called first has ended; those that it left behind may go on, and strace with
/// them. Told by the kernel: strace may be late to write it down.
pub fn first_ended(listing: &Path, strace: &mut Running) -> Outcome {
    patiently("the end of what strace called", || {
        let text = fs::read_to_string(listing).unwrap_or_default();
        let first = text.split(' ').next().unwrap_or("").to_owned();
        let ended = || {
            let stat = fs::read_to_string(format!("/proc/{first}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ") || stat.contains(") X ")
        };
        Ok(strace.child.try_wait()?.is_some() || !first.is_empty() && ended())
    })
}

/// Asks until the answer is yes.
pub fn patiently(what: &str, mut yes: impl FnMut() -> Result<bool, Failed>) -> Outcome {
    let end = Instant::now() + PATIENCE;
    while !yes()? {
        ensure!(Instant::now() < end, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}

/// What `runc spec` writes on a cgroup v2 host, but for the terminal and one variable that names the case.
fn default_config(id: &str) -> Result<Value, Failed> {
    let mut config: Value = serde_json::from_str(include_str!("../default.json"))?;
    if let Some(Value::Array(env)) = config.pointer_mut("/process/env") {
        env.push(json!(format!("NK_TEST={id}")));
    }
    // The usual cgroup, named: then init gets a copy of the runtime's memory (`memory::the_trace_says_whether_init_shares_it`).
    if std::env::var_os("NK_COPIED").is_some() {
        config["linux"]["cgroupsPath"] = json!(format!("/nano-sandbox/{id}"));
    }
    Ok(config)
}
