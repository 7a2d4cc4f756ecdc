//! A command that is ended at a random point of its way, by SIGKILL, SIGTERM or SIGINT: whatever there is then,
//! `delete --force` takes it away, and what belongs to others stays. `NK_ROUNDS=2000` makes more rounds than the suite
//! does; `NK_SEED=N` makes the choices of an earlier run again, though not its times.

use crate::bundle::{Bundle, Running, patiently};
use crate::cgroup::script;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant, SystemTime};

pub fn cases() -> Vec<Trial> {
    area("random_ends", &[("of_any_command", rounds)])
}

const ROUNDS: u64 = 150;

/// A number from the environment.
pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Numbers by chance, the same for the same seed (xorshift64*).
pub struct Chance(u64);

impl Chance {
    /// The seed that was asked for, or one of the clock's.
    pub fn new() -> (Chance, u64) {
        let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |t| t.as_nanos() as u64);
        let seed = number("NK_SEED").unwrap_or_else(clock).max(1);
        (Chance(seed), seed)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) as usize % limit.max(1)
    }

    pub fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What a container must be before the command, and the command's words; `ID`, `BUNDLE` and `RULES` are filled in.
const COMMANDS: &[(&str, &str)] = &[
    ("none", "create --bundle BUNDLE ID"),
    ("none", "run --bundle BUNDLE ID"),
    ("none", "run --detach --bundle BUNDLE ID"),
    ("created", "start ID"),
    ("running", "exec ID sleep 1000"),
    ("running", "exec --detach ID sleep 1000"),
    ("running", "update --resources RULES ID"),
    ("running", "pause ID"),
    ("paused", "resume ID"),
    ("running", "kill ID KILL"),
    ("stopped", "delete ID"),
    ("running", "delete --force ID"),
    ("paused", "delete --force ID"),
    ("created", "delete --force ID"),
];

/// What belongs to others: a container beside this one, and a process in a cgroup next to the container's.
struct Bystanders {
    container: Bundle,
    pid: i64,
    sleep: Child,
    /// The cgroup that all of them are below.
    above: PathBuf,
}

impl Bystanders {
    fn new() -> Result<Bystanders, Failed> {
        let mut container = script("sleep 1000")?;
        let above = PathBuf::from(format!("/sys/fs/cgroup/{}-above", container.id));
        fs::create_dir(&above)?;
        fs::create_dir(above.join("process"))?;
        container.set("/linux/cgroupsPath", json!(format!("/{0}-above/{0}", container.id)))?;
        crate::cgroup::start(&container)?;
        let sleep = Command::new("sleep").arg("1000").spawn()?;
        fs::write(above.join("process/cgroup.procs"), sleep.id().to_string())?;
        let pid = container.state()?["pid"].as_i64().unwrap_or(0);
        Ok(Bystanders { container, pid, sleep, above })
    }

    fn unharmed(&mut self) -> Outcome {
        ensure!(self.sleep.try_wait()?.is_none(), "the process in the cgroup beside was ended");
        let state = self.container.state()?;
        same("the other container", state["status"].as_str(), Some("running"))?;
        same("its process", state["pid"].as_i64(), Some(self.pid))?;
        let group = fs::read_to_string(self.above.join("process/cgroup.procs"))?;
        same("the cgroup beside", group.trim(), &self.sleep.id().to_string())
    }

    fn end(mut self) -> Outcome {
        self.sleep.kill()?;
        self.sleep.wait()?;
        let id = &self.container.id;
        self.container.call(&["delete", "--force", id])?.ok()?;
        fs::remove_dir(self.above.join("process"))?;
        // Mounts are compared by the last bundle that was made: this thread's are those since then.
        fs::remove_dir(&self.above)?;
        Ok(())
    }
}

fn rounds() -> Outcome {
    let (mut chance, seed) = Chance::new();
    let mut others = Bystanders::new()?;
    let mut bundle = script("sleep 1000")?;
    let rules = json!({"devices": [{"allow": false, "access": "rwm"}]});
    fs::write(bundle.path("rules"), rules.to_string())?;
    let own = "/linux/cgroupsPath";
    let path = format!("/{}-above/{}", others.container.id, bundle.id);
    for round in 0..number("NK_ROUNDS").unwrap_or(ROUNDS) {
        match chance.below(2) {
            0 => bundle.set(own, json!(path))?,
            _ => _ = bundle.remove(own),
        }
        let (before, words) = chance.of(COMMANDS);
        let signal = *chance.of(&[Signal::SIGKILL, Signal::SIGTERM, Signal::SIGINT]);
        // Most commands are done after a few milliseconds; short times are the more likely ones.
        let most = *chance.of(&[300, 1000, 3000, 10_000, 30_000]);
        let after = Duration::from_micros(chance.below(most) as u64);
        one(&bundle, before, words, signal, after)
            .and_then(|()| others.unharmed())
            .map_err(|failed| {
                format!(
                    "NK_SEED={seed}, round {round}: `{words}` of a container that is {before}, {signal} after {after:?}: {}",
                    failed.message().unwrap_or("")
                )
            })?;
    }
    bundle.clean()?;
    others.end()
}

fn one(bundle: &Bundle, before: &str, words: &str, signal: Signal, after: Duration) -> Outcome {
    prepare(bundle, before)?;
    let (here, rules) = (bundle.path(""), bundle.path("rules"));
    let (here, rules) = (here.to_string_lossy(), rules.to_string_lossy());
    let fill = |word: &str| match word {
        "ID" => bundle.id.clone(),
        "BUNDLE" => here.to_string(),
        "RULES" => rules.to_string(),
        word => word.to_owned(),
    };
    let words: Vec<String> = words.split(' ').map(fill).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let mut running = bundle.start(bundle.command(&words)?)?;
    let end = Instant::now() + after;
    while Instant::now() < end {
        std::hint::spin_loop();
    }
    if running.child.try_wait()?.is_none() {
        let _ = kill(Pid::from_raw(running.child.id() as i32), signal);
    }
    // What waits for a program hands the signal on, and a first process ignores it.
    let waits = signal != Signal::SIGKILL && matches!(words[0], "run" | "exec");
    patiently("the end of what waits for its program", || {
        if waits {
            // Also while the container is being made.
            bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
        }
        Ok(!waits || running.child.try_wait()?.is_some())
    })?;
    ends(bundle, running)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    patiently("the end of all that was started", || Ok(crate::host::processes(&bundle.id).is_empty()))?;
    bundle.nothing_left()
}

/// It ends by the signal, or with a status of its own: no other signal ends it.
fn ends(bundle: &Bundle, running: Running) -> Outcome {
    let done = bundle.wait(running)?;
    ensure!(done.status >= 0 || [-9, -15, -2].contains(&done.status), "{done:?}");
    ensure!(!done.err.contains("a fault of its own"), "{done:?}");
    Ok(())
}

fn prepare(bundle: &Bundle, wanted: &str) -> Outcome {
    if wanted == "none" {
        return bundle.write_config();
    }
    bundle.bundled(&["create"])?.ok()?;
    if wanted == "created" {
        return Ok(());
    }
    bundle.call(&["start", &bundle.id])?.ok()?;
    match wanted {
        "paused" => _ = bundle.call(&["pause", &bundle.id])?.ok()?,
        "stopped" => {
            bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
            bundle.until("stopped")?;
        }
        _ => {}
    }
    Ok(())
}
