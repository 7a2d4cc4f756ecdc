//! Many containers with limits at once, and a runtime that is killed at any moment: nothing is left. And cgroups that
//! were given to an ordinary user. They need the controllers of a cgroup v2 host: scripts/lab boots one.

use crate::bundle::{Bundle, patiently};
use crate::cgroup::limits::needs_controllers;
use crate::cgroup::{cgroup_of, end, script};
use crate::users::{USER, as_user, as_user_command, of_user};
use crate::{Case, Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use nix::unistd::chown;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const CASES: &[Case] = &[
    ("two_hundred_twenty_at_a_time", two_hundred),
    ("killed_at_any_moment", killed),
    ("killed_with_a_cgroup_elsewhere", killed_elsewhere),
    ("a_delegated_cgroup_is_used", delegated),
    ("without_delegation_a_limit_is_refused", not_delegated),
];

pub fn cases() -> Vec<Trial> {
    needs_controllers("crowds", CASES)
}

fn limited() -> Result<Bundle, Failed> {
    let mut bundle = script("sleep 1000")?;
    bundle.set("/linux/resources/memory", json!({"limit": 64 << 20}))?;
    bundle.set("/linux/resources/pids", json!({"limit": 20}))?;
    bundle.write_config()?;
    Ok(bundle)
}

/// What there is of containers whose ids begin with this bundle's.
fn left(bundle: &Bundle) -> Vec<String> {
    let mut found = Vec::new();
    for folder in ["/sys/fs/cgroup/nano-sandbox", &bundle.state_root().to_string_lossy()] {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
        found.extend(names.filter(|name| name.starts_with(&bundle.id)));
    }
    found
}

fn two_hundred() -> Outcome {
    let bundle = limited()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let next = AtomicU32::new(0);
    let wrong: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let one = |id: &str| -> Outcome {
        bundle.call(&["create", "--bundle", &here, id])?.ok()?;
        bundle.call(&["start", id])?.ok()?;
        bundle.call(&["pause", id])?.ok()?;
        bundle.call(&["update", "--memory", "48m", "--pids-limit", "10", id])?.ok()?;
        bundle.call(&["resume", id])?.ok()?;
        bundle.call(&["delete", "--force", id])?.ok()?;
        Ok(())
    };
    scope(|threads| {
        for _ in 0..20 {
            threads.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= 200 {
                        return;
                    }
                    if let Err(failed) = one(&format!("{}-{number}", bundle.id)) {
                        let text = failed.message().unwrap_or("").to_owned();
                        wrong.lock().map(|mut all| all.push(text)).unwrap_or(());
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap_or_default();
    ensure!(wrong.is_empty(), "{} of 200: {}", wrong.len(), wrong.join("\n"));
    same("left", left(&bundle), Vec::<String>::new())?;
    bundle.clean()
}

fn killed() -> Outcome {
    let bundle = limited()?;
    killed_each_time(&bundle, &[], left)?;
    bundle.clean()
}

/// Where a cgroup lies that the configuration has named, no id tells.
fn killed_elsewhere() -> Outcome {
    let mut bundle = limited()?;
    let path = format!("/elsewhere-{}", bundle.id);
    bundle.set("/linux/cgroupsPath", json!(path))?;
    bundle.write_config()?;
    killed_each_time(&bundle, &[], |bundle| {
        let path = format!("/sys/fs/cgroup/elsewhere-{}", bundle.id);
        let more = Some(path).filter(|path| fs::metadata(path).is_ok());
        left(bundle).into_iter().chain(more).collect()
    })?;
    bundle.clean()
}

/// The moments are spread over a little more than each command takes. `create` is called with these words before it;
/// `left`: what there is afterwards.
pub fn killed_each_time(bundle: &Bundle, first: &[&str], left: fn(&Bundle) -> Vec<String>) -> Outcome {
    let here = bundle.path("").to_string_lossy().into_owned();
    let id = bundle.id.as_str();
    let create = [first, &["create", "--bundle", &here, id]].concat();
    let commands: [&[&str]; 4] =
        [&create, &["start", id], &["update", "--memory", "48m", "--pids-limit", "10", id], &["delete", "--force", id]];
    let mut took = [Duration::ZERO; 4];
    for (i, words) in commands.iter().enumerate() {
        let begin = Instant::now();
        bundle.call(words)?.ok()?;
        took[i] = begin.elapsed();
    }
    let mut wrong = Vec::new();
    for moment in 0..60u32 {
        let at = moment as usize % 4;
        for words in &commands[..at] {
            bundle.call(words)?.ok()?;
        }
        let mut running = bundle.start(bundle.command(commands[at])?)?;
        sleep(took[at] * (moment / 4) / 12);
        running.child.kill()?;
        running.child.wait()?;
        let done = bundle.call(&["delete", "--force", id])?;
        let left = left(bundle);
        if done.status != 0 || !left.is_empty() {
            wrong.push(format!("command {} killed at {moment}: {left:?} {done:?}", at));
        }
        // What is left would have the next one fail, and hide this.
        if !wrong.is_empty() {
            break;
        }
        if let Err(failed) = bundle.nothing_left() {
            wrong.push(format!("command {} killed at {moment}: {}", commands[at][0], failed.message().unwrap_or("")));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

/// A cgroup that is this user's, and in it one that he is in.
fn give(path: &str, procs: bool) -> Outcome {
    fs::create_dir(path)?;
    chown(path, Some(USER.into()), Some(USER.into()))?;
    let files = ["cgroup.procs", "cgroup.subtree_control", "cgroup.threads"];
    for file in files.iter().filter(|_| procs) {
        chown(format!("{path}/{file}").as_str(), Some(USER.into()), Some(USER.into()))?;
    }
    Ok(())
}

fn delegated() -> Outcome {
    let mut bundle = of_user(Bundle::shell("sleep 1000")?)?;
    bundle.set("/linux/resources", json!({"pids": {"limit": 20}, "memory": {"limit": 64 << 20}}))?;
    let above = format!("/sys/fs/cgroup/{}", bundle.id);
    give(&above, true)?;
    give(&format!("{above}/own"), true)?;
    for controller in ["memory", "pids"] {
        fs::write("/sys/fs/cgroup/cgroup.subtree_control", format!("+{controller}"))?;
    }
    let here = bundle.path("").to_string_lossy().into_owned();
    let id = bundle.id.clone();
    let words = ["run", "-d", "--bundle", &here, &id];
    let inner = as_user_command(&bundle, &words)?;
    let mut command = Command::new("/bin/sh");
    let script = "echo 0 > \"$0\"/own/cgroup.procs && exec \"$@\"";
    command.args(["-c", script, &above]).arg(inner.get_program());
    command.args(inner.get_args()).current_dir("/");
    bundle.finish(command)?.ok()?;
    // The state is this user's: root does not use it.
    let state: Value = serde_json::from_str(&as_user(&bundle, &["state", &id])?.ok()?.out)?;
    let group = cgroup_of(state["pid"].as_i64().unwrap_or(0))?;
    same("its cgroup", group.to_string_lossy().as_ref(), format!("{above}/nano-sandbox/{id}").as_str())?;
    same("pids.max", fs::read_to_string(group.join("pids.max"))?.trim(), "20")?;
    as_user(&bundle, &["delete", "--force", &id])?.ok()?;
    ensure!(!group.exists(), "{} is still there", group.display());
    let _ = fs::remove_dir(format!("{above}/nano-sandbox"));
    patiently("the user's cgroup to be empty", || Ok(fs::remove_dir(format!("{above}/own")).is_ok()))?;
    fs::remove_dir(&above)?;
    bundle.clean()
}

fn not_delegated() -> Outcome {
    let mut bundle = of_user(Bundle::plain()?)?;
    bundle.set("/linux/resources", json!({"pids": {"limit": 20}}))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let id = bundle.id.clone();
    let done = as_user(&bundle, &["run", "--bundle", &here, &id])?;
    done.refused("nothing is delegated to user ")?;
    end(bundle)
}
