//! Every call may fail: each distinct call that `create` makes is made to fail once, by strace's injection, in whichever
//! lane it is made first. Then either the command fails, names the call, and leaves nothing; or the call is one of
//! those whose failure is tolerated, each with its reason, and the container is there.

pub mod all;
pub mod each;
pub mod exec;

use crate::bundle::Bundle;
use crate::strace::{lanes, parse, traced};
use crate::{Failed, Outcome, ensure, same};
use libtest_mimic::Trial;
use std::fs;

/// Calls whose failure changes nothing that the caller asked for.
const TOLERATED: &[(&str, &str)] = &[
    ("close", "the kernel frees the descriptor whatever it returns"),
    ("exit_group", "it cannot fail"),
    ("ftruncate", "without a recorder file the records stay in memory"),
    ("mmap", "without a recorder file the records stay in memory"),
    ("munmap", "a mapping that stays costs nothing in a program that ends"),
    ("keyctl", "a kernel or a seccomp'd engine without keyrings: runc and crun go on too"),
    ("prctl", "being dumpable is a second line of defence"),
    ("sched_setaffinity", "a filter around the runtime: the caller's affinity stays"),
    ("faccessat2", "a candidate in PATH that may not be looked at: the next one is tried"),
    ("getpid", "it cannot fail"),
    ("open_tree", "the first copies this program's mount: a copy in memory does as well"),
    ("mount_setattr", "the first is of this program's mount: a copy in memory does as well"),
    ("syslog", "the link of /proc tells the same"),
    ("readlinkat", "where it cannot be seen, root is root of the machine"),
    ("umask", "it cannot fail"),
];

/// What is called only while another process takes long (src/host/patience.rs): the next time it may be quick.
const OF_A_LONG_WAIT: &[&str] = &["signalfd4"];

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("injection::each_call_of_create_fails_once", each),
        Trial::test("injection::each_call_of_create_may_be_interrupted", each_interrupted),
        Trial::test("injection::host_lane_killed_at_any_call_can_be_deleted", killed),
    ]
}

/// strace counts the calls of a name for each process apart, from execve on.
struct Place {
    lane: &'static str,
    call: String,
    when: usize,
}

fn create(bundle: &Bundle, options: &[String]) -> Result<(crate::bundle::Done, String), Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&["create", "--bundle", &here, &bundle.id])?;
    let listing = bundle.path("strace");
    // Not awaited by strace: a container that was created goes on, and strace with it, until it is deleted.
    let command = traced(&inner, &listing, options)?;
    let mut running = bundle.start(command)?;
    crate::bundle::first_ended(&listing, &mut running)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    let done = bundle.wait(running)?;
    let text = fs::read_to_string(&listing)?;
    Ok((done, text))
}

/// The first of each name in each lane, after the execve that made it. `execve` is `start`'s matter.
fn places() -> Result<Vec<Place>, Failed> {
    let bundle = Bundle::plain()?;
    let (done, text) = create(&bundle, &[])?;
    same("create under strace", done.status, 0)?;
    let calls = parse(&text)?;
    let mut places: Vec<Place> = Vec::new();
    for (number, (pid, lane)) in lanes(&calls, "no trace file")?.iter().enumerate() {
        let all: Vec<&str> = calls.iter().filter(|call| call.pid == *pid).map(|call| call.name.as_str()).collect();
        for (at, name) in lane.places.iter().map(|at| (*at, &all[*at])) {
            let left = matches!(*name, "execve" | "exit_group") || OF_A_LONG_WAIT.contains(name);
            if left || places.iter().any(|place| place.call == *name) {
                continue;
            }
            let when = all[..=at].iter().filter(|other| *other == name).count();
            places.push(Place { lane: if number == 0 { "host" } else { "init" }, call: (*name).into(), when });
        }
    }
    bundle.clean()?;
    ensure!(places.len() > 20, "only {} distinct calls in create", places.len());
    Ok(places)
}

fn each() -> Outcome {
    let mut wrong = Vec::new();
    for place in places()? {
        let bundle = Bundle::plain()?;
        let option = format!("--inject={}:error=EPERM:when={}", place.call, place.when);
        let (done, text) = create(&bundle, &[option])?;
        let what = format!("{} of the {} lane, its {}th", place.call, place.lane, place.when);
        if !text.contains("(INJECTED)") {
            wrong.push(format!("{what}: was not made again"));
            continue;
        }
        let tolerated = TOLERATED.iter().any(|(name, _)| *name == place.call);
        match done.status {
            0 if tolerated => {}
            0 => wrong.push(format!("{what}: failed, and create succeeded")),
            1 if done.err.contains(&place.call) || silenced(&text) => {}
            1 => wrong.push(format!("{what}: the message does not name it: {}", done.err.trim())),
            status => wrong.push(format!("{what}: exit status {status}: {}", done.err.trim())),
        }
        if let Err(failed) = bundle.clean() {
            wrong.push(format!("{what}: {}", failed.message().unwrap_or("")));
        }
    }
    none_wrong(&wrong)
}

/// EINTR is no failure: the call is made again.
fn each_interrupted() -> Outcome {
    let mut wrong = Vec::new();
    // A close that strace keeps from the kernel leaves open what no kernel would.
    for place in places()?.iter().filter(|place| place.call != "close") {
        let bundle = Bundle::plain()?;
        let option = format!("--inject={}:error=EINTR:when={}", place.call, place.when);
        let (done, text) = create(&bundle, &[option])?;
        let what = format!("{} of the {} lane", place.call, place.lane);
        if !text.contains("(INJECTED)") {
            wrong.push(format!("{what}: was not made again"));
        }
        if done.status != 0 {
            wrong.push(format!("{what}: {}", done.err.trim()));
        }
        bundle.clean()?;
    }
    none_wrong(&wrong)
}

/// Nothing is wrong, or all of it is said.
pub fn none_wrong(wrong: &[String]) -> Outcome {
    ensure!(wrong.is_empty(), "{} calls:\n{}", wrong.len(), wrong.join("\n"));
    Ok(())
}

/// The injection met the host lane too, whose first write was the message.
fn silenced(listing: &str) -> bool {
    let message = |line: &str| line.contains(" write(2, ") && line.ends_with("(INJECTED)");
    listing.lines().any(message)
}

fn named(what: &str, failed: Failed) -> Failed {
    format!("{what}: {}", failed.message().unwrap_or("")).into()
}

/// SIGKILL at the first of each call: whatever there is then, `delete --force` takes it away.
fn killed() -> Outcome {
    let mut wrong = Vec::new();
    for place in places()?.iter().filter(|place| place.lane == "host") {
        let bundle = Bundle::plain()?;
        let option = format!("--inject={}:signal=KILL:when={}", place.call, place.when);
        create(&bundle, &[option]).map_err(|failed| named(&place.call, failed))?;
        crate::bundle::patiently(
            "the container's process to end",
            || Ok(crate::host::processes(&bundle.id).is_empty()),
        )
        .and_then(|()| bundle.clean())
        .unwrap_or_else(|failed| wrong.push(format!("killed at {}: {}", place.call, failed.message().unwrap_or(""))));
    }
    ensure!(wrong.is_empty(), "after delete --force:\n{}", wrong.join("\n"));
    Ok(())
}
