//! Every command, and each of its calls made to fail by strace with the errors that this call can give: no signal death,
//! an error that names the call, nothing left and nothing else changed; a status of 0 only where the work was done. EINTR
//! of a call that may give it is no failure. The suite tries one error a call, another one for each call;
//! `NK_INJECT=all` tries every one.

use crate::bundle::{Bundle, Done, first_ended, patiently};
use crate::cgroup::script;
use crate::injection::all::injected;
use crate::injection::none_wrong;
use crate::strace::{Call, lanes, parse, traced_in_time};
use crate::{Failed, Outcome, ensure};
use libtest_mimic::Trial;
use serde_json::json;
use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

/// A command: its words, what the container is before it, and after it when it did its work.
struct Job {
    words: &'static str,
    before: &'static str,
    after: &'static str,
}

const fn job(words: &'static str, before: &'static str, after: &'static str) -> Job {
    Job { words, before, after }
}

// `--watch` and `watch` are not among them: a process has one tracer, and here that is strace.
const JOBS: &[Job] = &[
    job("create --bundle BUNDLE ID", "none", "created"),
    job("run --detach --bundle BUNDLE ID", "none", "running"),
    job("start ID", "created", "running"),
    job("run --detach -E --log LOG --bundle BUNDLE ID", "none", "running"),
    job("start -E --log LOG ID", "created", "running"),
    job("delete --force -E --log LOG ID", "running", "none"),
    job("state ID", "running", "running"),
    job("exec ID true", "running", "running"),
    job("exec --detach ID true", "running", "running"),
    job("kill ID WINCH", "running", "running"),
    job("kill ID KILL", "running", "stopped"),
    job("kill --all ID KILL", "running", "stopped"),
    job("pause ID", "running", "paused"),
    job("resume ID", "paused", "running"),
    job("update --resources RULES ID", "running", "running"),
    job("ps ID", "running", "running"),
    job("list", "running", "running"),
    job("inspect ID", "running", "running"),
    job("inspect --diff --format json ID", "running", "running"),
    job("inspect ID", "stopped", "stopped"),
    job("events --stats ID", "running", "running"),
    job("trace ID", "running", "running"),
    job("trace --diff ID ID", "running", "running"),
    job("trace --print-config ID", "running", "running"),
    job("trace --format html ID", "running", "running"),
    job("trace ID --beside LISTING", "running", "running"),
    job("trace --format svg ID", "running", "running"),
    job("trace --timing ID", "running", "running"),
    job("delete ID", "stopped", "none"),
    job("delete --force ID", "running", "none"),
    job("delete --force ID", "paused", "none"),
    job("delete --force ID", "created", "none"),
    job("explain ID:pivot_root", "running", "running"),
    job("learn", "running", "running"),
    job("learn uts --solution --dir NEW", "running", "running"),
    job("learn uts --dir NEW", "running", "running"),
    job("features", "running", "running"),
    job("plan --bundle BUNDLE", "running", "running"),
    job("plan --diff BUNDLE BUNDLE", "running", "running"),
    job("check --bundle BUNDLE", "running", "running"),
    job("plan --lint --level high --bundle BUNDLE", "running", "running"),
    job("spec --bundle NEW", "running", "running"),
    job("man config", "running", "running"),
    job("completion bash", "running", "running"),
    job("complete -- trace I", "running", "running"),
];

/// The errors of a call that are tried (its manual page; of files, what file systems give besides).
fn errors(call: &str) -> &'static [&'static str] {
    match call {
        "openat" => &["EINTR", "EIO", "ENOMEM", "ENOSPC", "EACCES"],
        "openat2" => &["EINTR", "EAGAIN", "EIO", "ENOMEM", "EACCES"],
        "read" | "pread64" => &["EINTR", "EIO", "ENOMEM"],
        "write" | "pwrite64" => &["EINTR", "EIO", "ENOMEM", "ENOSPC", "EPERM"],
        "clone3" => &["EAGAIN", "ENOMEM", "ENOSPC", "EPERM"],
        "mmap" => &["ENOMEM", "EAGAIN", "EACCES"],
        "mkdirat" | "renameat" | "renameat2" | "linkat" | "symlinkat" | "mknodat" => {
            &["EIO", "ENOMEM", "ENOSPC", "EACCES"]
        }
        "unlinkat" | "fstat" | "newfstatat" | "statx" | "readlinkat" | "faccessat2" => &["EIO", "ENOMEM", "EACCES"],
        "fstatfs" | "statfs" => &["EINTR", "EIO", "ENOMEM"],
        "getdents64" | "fchdir" | "chdir" => &["EIO", "ENOMEM", "EACCES"],
        "ftruncate" | "fallocate" => &["EINTR", "EIO", "ENOSPC", "EPERM"],
        "fsopen" | "fsconfig" | "fsmount" | "move_mount" | "open_tree" | "mount" | "umount2" | "mount_setattr"
        | "pivot_root" => &["EIO", "ENOMEM", "ENOSPC", "EPERM"],
        "setns" | "unshare" => &["ENOMEM", "ENOSPC", "EPERM"],
        "sendmsg" | "sendto" => &["EINTR", "ENOMEM", "EPERM"],
        "recvmsg" | "recvfrom" => &["EINTR", "ENOMEM"],
        "connect" => &["EINTR", "EAGAIN", "EACCES"],
        "ppoll" => &["EINTR", "ENOMEM"],
        "waitid" => &["EINTR"],
        "ioctl" => &["EINTR", "EIO", "ENOMEM", "EPERM"],
        "dup3" => &["EINTR", "EBUSY"],
        "bpf" => &["EAGAIN", "ENOMEM", "EPERM"],
        "setresuid" | "setresgid" => &["EAGAIN", "EPERM"],
        "seccomp" | "keyctl" | "socket" | "socketpair" => &["ENOMEM", "EACCES"],
        "memfd_create" | "pidfd_open" | "setgroups" => &["ENOMEM", "EPERM"],
        // What it returns is not looked at, or no kernel refuses it; execve of the container's program is told by `start`.
        "close" | "exit_group" | "getpid" | "umask" | "munmap" | "execve" => &[],
        _ => &["EPERM"],
    }
}

/// Failures that are told by what they mean, not by the call.
const TOLD: &[(&str, &str, &str)] =
    &[("openat2", "EACCES", "a name by which this program cannot be found is no name of its own")];

pub fn cases() -> Vec<Trial> {
    JOBS.iter()
        .map(|job| {
            let name = format!("{}_{}", job.words.replace("--bundle ", "").replace(' ', "_"), job.before);
            Trial::test(format!("injection::each_call_of_{}", name.to_lowercase()), || each(job))
        })
        .collect()
}

/// What a run under strace left: how it ended, what strace saw, and what `state` says after it.
struct Seen {
    done: Done,
    text: String,
    after: String,
}

fn words(bundle: &Bundle, job: &Job) -> Vec<String> {
    let path = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    let fill = |word: &str| match word {
        "ID" => bundle.id.clone(),
        "BUNDLE" => path(""),
        "RULES" => path("rules"),
        "NEW" => path("new"),
        "LOG" => path("log"),
        // Any listing of strace will do.
        "LISTING" => concat!(env!("CARGO_MANIFEST_DIR"), "/tests/listings/crun.txt").into(),
        word if word.starts_with("ID:") => word.replacen("ID", &bundle.id, 1),
        word => word.to_owned(),
    };
    job.words.split(' ').map(fill).collect()
}

/// The command under strace, in a container that is what it must be.
fn run(bundle: &Bundle, job: &Job, option: Option<&str>) -> Result<Seen, Failed> {
    prepare(bundle, job.before)?;
    let _ = fs::remove_dir_all(bundle.path("new"));
    fs::create_dir(bundle.path("new"))?;
    let words = words(bundle, job);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let inner = bundle.command(&words)?;
    let listing = bundle.path("strace");
    let _ = fs::remove_file(&listing);
    let command = traced_in_time(&inner, &listing, option)?;
    let mut running = bundle.start(command)?;
    // strace stays with what was started: a created container.
    first_ended(&listing, &mut running)?;
    let after = settled(bundle, job)?;
    if ["create", "run"].contains(&words[0]) {
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    let done = bundle.wait(running)?;
    let text = fs::read_to_string(&listing).unwrap_or_default();
    Ok(Seen { done, text, after })
}

/// The same after a moment: a signal takes effect when the process gets to run.
fn settled(bundle: &Bundle, job: &Job) -> Result<String, Failed> {
    for _ in 0..50 {
        let is = status(bundle)?;
        if is == job.after || !job.words.starts_with("kill") {
            return Ok(is);
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    status(bundle)
}

/// What `state` says: `none` if there is no such container.
fn status(bundle: &Bundle) -> Result<String, Failed> {
    match bundle.state_root().join(&bundle.id).exists() {
        true => bundle.status().or_else(|_| Ok("damaged".into())),
        false => Ok("none".into()),
    }
}

/// Makes the container what it has to be, from what it is.
fn prepare(bundle: &Bundle, wanted: &str) -> Outcome {
    let id = bundle.id.as_str();
    bundle.write_config()?;
    let is = status(bundle)?;
    match (is.as_str(), wanted) {
        (is, wanted) if is == wanted => return Ok(()),
        ("paused", "running") => return bundle.call(&["resume", id])?.ok().map(drop),
        ("running", "paused") => return bundle.call(&["pause", id])?.ok().map(drop),
        ("none", _) => {}
        _ => _ = bundle.call(&["delete", "--force", id])?.ok()?,
    }
    bundle.nothing_left()?;
    if wanted == "none" {
        return Ok(());
    }
    bundle.bundled(&["create"])?.ok()?;
    if wanted == "created" {
        return Ok(());
    }
    bundle.call(&["start", id])?.ok()?;
    match wanted {
        "paused" => _ = bundle.call(&["pause", id])?.ok()?,
        "stopped" => {
            bundle.call(&["kill", id, "KILL"])?.ok()?;
            bundle.until("stopped")?;
        }
        _ => {}
    }
    Ok(())
}

/// The n-th call of each name, of any lane of the runtime's, in the order of their names.
fn places(text: &str) -> Result<Vec<(String, usize)>, Failed> {
    let calls = parse(text)?;
    let mut places = BTreeSet::new();
    for (pid, lane) in &lanes(&calls, "no trace file")? {
        let all: Vec<&Call> = calls.iter().filter(|call| call.pid == *pid).collect();
        for (at, call) in lane.places.iter().zip(&lane.calls) {
            let before = all.iter().take(at + 1);
            places.insert((call.name.clone(), before.filter(|c| c.name == call.name).count()));
        }
    }
    Ok(places.into_iter().collect())
}

fn each(job: &Job) -> Outcome {
    let every = std::env::var("NK_INJECT").is_ok_and(|all| all == "all");
    let mut bundle = script("sleep 1000")?;
    bundle.set("/process/noNewPrivileges", json!(true))?;
    let rules = json!({"devices": [{"allow": false, "access": "rwm"}]});
    fs::write(bundle.path("rules"), rules.to_string())?;
    let plain = run(&bundle, job, None)?;
    ensure!(
        plain.done.status == good(job) && plain.after == job.after,
        "without injection: {:?}, {}",
        plain.done,
        plain.after
    );
    let mut wrong = Vec::new();
    for (number, (call, when)) in places(&plain.text)?.iter().enumerate() {
        let errors = errors(call);
        let one = number.checked_rem(errors.len()).unwrap_or(0);
        for (_, error) in errors.iter().enumerate().filter(|(i, _)| every || *i == one) {
            let option = format!("--inject={call}:error={error}:when={when}");
            let found = run(&bundle, job, Some(&option))
                .and_then(|seen| verdict(job, call, error, &plain, &seen))
                .and_then(|()| left(&bundle));
            if let Err(failed) = found {
                wrong.push(format!("{call}, {when}, {error}: {}", failed.message().unwrap_or("")));
            }
        }
    }
    if bundle.state_root().join(&bundle.id).exists() {
        bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    }
    none_wrong(&wrong)?;
    bundle.clean()
}

/// What has to hold for whatever comes: one container at most, with its one process.
fn left(bundle: &Bundle) -> Outcome {
    let lesson = "learn-uts";
    if bundle.state_root().join(lesson).exists() {
        bundle.call(&["delete", "--force", lesson])?.ok()?;
    }
    let half = |place: &str| fs::read_dir(bundle.path(place)).into_iter().flatten().flatten();
    let half = half("new").chain(half("new/rootfs")).find(|entry| entry.file_name().to_string_lossy().starts_with('.'));
    ensure!(half.is_none(), "a part of a file is left: {half:?}");
    if status(bundle)? == "none" {
        return bundle.nothing_left();
    }
    if status(bundle)? == "damaged" {
        let id = &bundle.id;
        bundle.call(&["delete", "--force", id])?.ok()?;
        return bundle.nothing_left();
    }
    let Some(pid) = bundle.state()?["pid"].as_i64().filter(|pid| *pid > 0) else {
        return Ok(());
    };
    let group = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let group = group.lines().find_map(|line| line.strip_prefix("0::"));
    let procs = format!("/sys/fs/cgroup{}/cgroup.procs", group.unwrap_or(""));
    patiently("the end of what was started besides", || Ok(fs::read_to_string(&procs)?.lines().count() == 1))
}

fn verdict(job: &Job, call: &str, error: &str, plain: &Seen, seen: &Seen) -> Outcome {
    let Some((line, own)) = injected(&seen.text) else {
        return Ok(()); // a wait that took another way this time
    };
    let done = &seen.done;
    ensure!(done.status >= 0, "ended by a signal: {done:?}: {line}");
    ensure!(done.status != 137, "it hung: {line}");
    if !own {
        return Ok(());
    }
    if is_lesson(job) {
        let all = format!("{}{}", done.out, done.err);
        let told = TOLD.iter().any(|(name, kind, _)| *name == call && *kind == error);
        ensure!(done.status == 0 || told || call == "write" || all.contains(call), "it is not named: {done:?}: {line}");
        return Ok(());
    }
    if job.words.starts_with("check ") {
        // What a look cannot see it leaves out, or calls unsure: that is no failure of the command.
        let told = done.out.contains("would fail") || done.err.contains(call) || call == "write";
        ensure!(told && matches!(done.status, 0 | 1), "neither a table nor a name: {done:?}: {line}");
        return Ok(());
    }
    if done.status == good(job) && (done.status == 0 || done.err.is_empty()) {
        ensure!(seen.after == job.after, "done, and the container is {}: {line}", seen.after);
        ensure!(error == "EINTR" || shown(job, plain, seen), "done: {line}: {done:?}");
        return Ok(());
    }
    ensure!(error != "EINTR", "a failure: {done:?}: {line}");
    // What was halfway deleted can be deleted again.
    ensure!(
        [job.before, job.after].contains(&seen.after.as_str()) || job.after == "none",
        "the container is {}: {line}: {done:?}",
        seen.after
    );
    let told = |(name, kind, _): &(&str, &str, &str)| *name == call && *kind == error;
    let silenced = |line: &str| line.contains(" write(2, ") && line.ends_with("(INJECTED)");
    let message = seen.text.lines().any(silenced) || TOLD.iter().any(told);
    ensure!(message || done.err.contains(call), "it is not named: {done:?}: {line}");
    ensure!(message || done.messages() == 1, "not one line: {done:?}: {line}");
    Ok(())
}

/// The status of a command that does what it shall: what another runtime did is not what this one did.
fn good(job: &Job) -> i32 {
    i32::from(job.words.contains("--beside"))
}

/// A lesson makes a container of its own. That this one fails is a part of the lesson, and no failure of the command.
fn is_lesson(job: &Job) -> bool {
    job.words.starts_with("learn uts ") && !job.words.contains("--solution")
}

/// What only shows something shows all of it; the others are judged by what the container is.
fn shown(job: &Job, plain: &Seen, seen: &Seen) -> bool {
    let shows = [
        "state", "inspect", "ps", "list", "events", "trace", "explain", "learn", "features", "plan", "spec", "man",
        "comp",
    ];
    let told =
        |seen: &Seen| if job.words.starts_with("events") { unmeasured(&seen.done.out) } else { seen.done.out.clone() };
    !shows.iter().any(|name| job.words.starts_with(name)) || told(seen) == told(plain)
}

/// A text without its numbers: what is measured is different each time (where the kernel has PSI, the averages fall).
fn unmeasured(text: &str) -> String {
    let mut told = String::new();
    for c in text.chars() {
        let digit = c.is_ascii_digit() || c == '.';
        if !digit || !told.ends_with('0') {
            told.push(if digit { '0' } else { c });
        }
    }
    told
}
