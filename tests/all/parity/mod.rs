//! Nothing is done that the trace does not tell, and nothing is told that was not done: each command runs under
//! `strace -f` and shows its own trace in strace's spelling, and both agree call for call (see `strace`).

pub mod strace_itself;
pub mod terminals;
pub mod watched;

use crate::bundle::{Bundle, Running, first_ended, runtime};
use crate::namespaces::in_user_namespace;
use crate::strace::{Call, Reach, compare, difference, lanes, parse, traced};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all: Vec<Trial> = Vec::new();
    for (name, make) in BUNDLES {
        let make = *make;
        all.push(Trial::test(format!("parity::run_{name}"), move || run(make()?)));
        all.push(Trial::test(format!("parity::life_{name}"), move || life(make()?)));
        all.push(Trial::test(format!("parity::killed_{name}"), move || killed(make()?)));
    }
    all.extend(area(
        "parity",
        &[
            ("failing_create", failing_create),
            ("commands_without_a_container", no_container),
            ("commands_on_its_cgroup", on_its_cgroup),
            ("exec", || exec(Bundle::shell("sleep 1000")?)),
            ("exec_in_a_user_namespace", || exec(in_user_namespace(Bundle::shell("sleep 1000")?)?)),
            ("failing_exec", failing_exec),
            ("display_changes_nothing_else_in_run", || display_changes_nothing(&["run"])),
            ("display_changes_nothing_else_in_create", || display_changes_nothing(&["create"])),
        ],
    ));
    all
}

type Make = fn() -> Result<Bundle, Failed>;

/// Every bundle of the repository, and more that take other ways.
const BUNDLES: &[(&str, Make)] = &[
    ("hello", hello),
    ("busybox", busybox),
    ("reporter", || Bundle::reporter(&["--exit", "3"])),
    ("binds", binds),
    ("user", user),
    ("host_namespaces", host_namespaces),
    ("bare", bare),
    ("everything", crate::everything::bundle),
    ("joined", crate::everything::joined),
    ("copied", crate::everything::copied),
];

/// The configuration of a bundle in the repository, on a rootfs of this case's own.
fn of_repository(name: &str, bundle: &mut Bundle) -> Outcome {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("bundles").join(name).join("config.json");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    bundle.config = serde_json::from_str(&text)?;
    bundle.set("/process/env/-", json!(format!("NK_TEST={}", bundle.id)))
}

pub fn hello() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    of_repository("hello", &mut bundle)?;
    crate::bundle::copy_program(runtime(), bundle.rootfs("nk-runtime"))?;
    Ok(bundle)
}

pub fn busybox() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    of_repository("busybox", &mut bundle)?;
    Ok(bundle)
}

/// Targets that are there, that are made, and that lie behind links; files, folders, options of all kinds.
fn binds() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/root/readonly", json!(false))?;
    fs::create_dir_all(bundle.path("data/below"))?;
    fs::write(bundle.path("data/file"), "file\n")?;
    symlink("/tmp", bundle.rootfs("link"))?;
    let source = |name: &str| bundle.path(name).to_string_lossy().into_owned();
    let mounts = [
        json!({"destination": "/made/of/it", "type": "bind", "source": source("data"), "options": ["rbind", "ro"]}),
        json!({"destination": "/etc/made", "type": "bind", "source": source("data/file"), "options": ["bind", "nosuid"]}),
        json!({"destination": "/link/in", "type": "none", "source": source("data"), "options": ["bind", "rslave", "noexec"]}),
        json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=64k", "noatime", "mode=1777"]}),
    ];
    for mount in mounts {
        bundle.set("/mounts/-", mount)?;
    }
    Ok(bundle)
}

fn user() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/user", json!({"uid": 1000, "gid": 100, "umask": 0o27, "additionalGids": [5, 6, 7]}))?;
    bundle.set("/process/cwd", json!("/made/cwd"))?;
    bundle.set("/domainname", json!("domain"))?;
    bundle.set("/process/args", json!(["true"]))?;
    bundle.set("/process/rlimits/-", json!({"type": "RLIMIT_CORE", "soft": 0, "hard": 0}))?;
    Ok(bundle)
}

fn host_namespaces() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/linux/namespaces", json!([{ "type": "mount" }]))?;
    bundle.remove("/hostname")?;
    // Of the host's network and ipc namespaces these can be no more than bind mounts.
    if let Some(Value::Array(mounts)) = bundle.config.pointer_mut("/mounts") {
        mounts.retain(|mount| !["mqueue", "sysfs", "cgroup"].contains(&mount["type"].as_str().unwrap_or("")));
    }
    Ok(bundle)
}

/// As little as the specification demands.
fn bare() -> Result<Bundle, Failed> {
    let mut bundle = Bundle::plain()?;
    let token = format!("NK_TEST={}", bundle.id);
    bundle.config = json!({
        "ociVersion": "1.0.0",
        "root": {"path": "rootfs"},
        "process": {"cwd": "/", "args": ["/bin/true"], "env": [token], "user": {"uid": 0, "gid": 0}},
        "linux": {"namespaces": [{"type": "mount"}, {"type": "pid"}]},
    });
    Ok(bundle)
}

/// One command under strace, showing its own trace too.
pub struct Watched {
    running: Running,
    strace: PathBuf,
    ours: PathBuf,
}

pub fn watch(bundle: &Bundle, name: &str, words: &[&str]) -> Result<Watched, Failed> {
    let (strace, ours) = (bundle.path(&format!("{name}.strace")), bundle.path(&format!("{name}.ours")));
    let ours_text = ours.to_string_lossy().into_owned();
    let words = [&["--trace=strace", "--trace-file", &ours_text], words].concat();
    let running = bundle.start(under_strace(bundle, &strace, &words)?)?;
    Ok(Watched { running, strace, ours })
}

pub fn under_strace(bundle: &Bundle, listing: &Path, words: &[&str]) -> Result<Command, Failed> {
    traced(&bundle.command(words)?, listing, [""; 0])
}

impl Watched {
    /// Waits for the command, whose container may go on under strace's eyes.
    pub fn returned(&mut self) -> Outcome {
        first_ended(&self.strace, &mut self.running)
    }

    /// Waits for everybody that strace watches.
    pub fn end(self, bundle: &Bundle, status: i32) -> Result<(String, String), Failed> {
        let done = bundle.wait(self.running)?;
        ensure!(done.status == status, "status {status} wanted: {done:?}");
        let ours = fs::read_to_string(&self.ours).map_err(|error| format!("--trace-file was not written: {error}"))?;
        Ok((fs::read_to_string(&self.strace)?, ours))
    }
}

pub fn check(pair: &(String, String), trace_file: &str, reach: Reach) -> Outcome {
    compare(&lanes(&parse(&pair.0)?, trace_file)?, &parse(&pair.1)?, reach)
}

pub fn bundle_words<'a>(bundle: &'a Bundle, here: &'a str, command: &'a str) -> Result<[&'a str; 4], Failed> {
    bundle.write_config()?;
    Ok([command, "--bundle", here.trim_end_matches('/'), &bundle.id])
}

pub fn run(bundle: Bundle) -> Outcome {
    // What the program returns is its own matter; `run` hands it on.
    let first = bundle.bundled(&["run"])?;
    ensure!(first.err.is_empty(), "without strace: {first:?}");
    watched(bundle, first.status, Reach::Complete)
}

/// `run` under strace, whose listing must be ours: for a bundle that can run but once.
pub fn watched(bundle: Bundle, status: i32, reach: Reach) -> Outcome {
    let here = bundle.path("").to_string_lossy().into_owned();
    let watched = watch(&bundle, "run", &bundle_words(&bundle, &here, "run")?)?;
    check(&watched.end(&bundle, status)?, "run.ours", reach)?;
    bundle.clean()
}

/// Creates the container and leaves strace watching its first process.
fn create(bundle: &Bundle) -> Result<Watched, Failed> {
    let here = bundle.path("").to_string_lossy().into_owned();
    let mut watched = watch(bundle, "create", &bundle_words(bundle, &here, "create")?)?;
    watched.returned()?;
    same("after create", bundle.status()?, "created".into())?;
    Ok(watched)
}

/// One of the commands that end by themselves.
pub fn command(bundle: &Bundle, name: &str, words: &[&str]) -> Outcome {
    let watched = watch(bundle, name, words)?;
    let pair = watched.end(bundle, 0)?;
    let file = format!("{name}.ours");
    check(&pair, &file, Reach::Complete).map_err(|failed| format!("{name}: {}", failed.message().unwrap_or("")).into())
}

/// create, state, start, state, delete; and at last all that the container's own lane did, asked for afterwards.
fn life(bundle: Bundle) -> Outcome {
    let created = create(&bundle)?;
    command(&bundle, "state", &["state", &bundle.id])?;
    command(&bundle, "start", &["start", &bundle.id])?;
    bundle.until("stopped")?;
    command(&bundle, "state-stopped", &["state", &bundle.id])?;
    let recorded = bundle.call(&["trace", &bundle.id, "--format", "strace"])?.ok()?.out;
    command(&bundle, "delete", &["delete", &bundle.id])?;

    let (strace, ours) = created.end(&bundle, 0)?;
    let lanes = lanes(&parse(&strace)?, "create.ours")?;
    compare(&lanes, &parse(&ours)?, Reach::StillRunning)?;
    let init = lanes.get(1..).ok_or("strace saw no second process")?;
    ensure!(!init.is_empty(), "strace saw no second process");
    let recorded: Vec<Call> = parse(&recorded)?;
    let of_init: Vec<Call> = recorded.into_iter().filter(|call| init.iter().any(|(pid, _)| *pid == call.pid)).collect();
    compare(init, &of_init, Reach::Complete)?;
    bundle.clean()
}

/// create, kill, delete --force.
fn killed(bundle: Bundle) -> Outcome {
    let created = create(&bundle)?;
    command(&bundle, "kill", &["kill", &bundle.id, "KILL"])?;
    bundle.until("stopped")?;
    command(&bundle, "delete", &["delete", "--force", &bundle.id])?;
    check(&created.end(&bundle, 0)?, "create.ours", Reach::StillRunning)?;
    bundle.clean()
}

/// ps, events, pause, resume, update of a container that runs.
fn on_its_cgroup() -> Outcome {
    let mut bundle = Bundle::reporter(&["--sleep", "--quiet"])?;
    bundle.set("/process/args/-", json!("--quiet"))?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    let id = bundle.id.clone();
    let setting = json!({"unified": {"cgroup.max.depth": "5"}});
    fs::write(bundle.path("update.json"), setting.to_string())?;
    let file = bundle.path("update.json").to_string_lossy().into_owned();
    let commands: [(&str, &[&str]); 7] = [
        ("ps", &["ps", &id]),
        ("pids", &["ps", "--format", "json", &id]),
        ("events", &["events", "--stats", &id]),
        ("pause", &["pause", &id]),
        ("state", &["state", &id]),
        ("resume", &["resume", &id]),
        ("update", &["update", "--resources", &file, &id]),
    ];
    for (name, words) in commands {
        command(&bundle, name, words)?;
    }
    bundle.call(&["delete", "--force", &id])?.ok()?;
    bundle.clean()
}

/// The program is strace's alone from its execve on.
fn exec(mut bundle: Bundle) -> Outcome {
    let affinity = json!({"initial": "0", "final": "0"});
    bundle.set("/process/execCPUAffinity", affinity)?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    command(&bundle, "exec", &["exec", &bundle.id, "true"])?;
    command(&bundle, "detached", &["exec", "-d", &bundle.id, "true"])?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn failing_exec() -> Outcome {
    let bundle = Bundle::shell("sleep 1000")?;
    bundle.bundled(&["run", "-d"])?.ok()?;
    let watched = watch(&bundle, "exec", &["exec", &bundle.id, "nosuch"])?;
    check(&watched.end(&bundle, 255)?, "exec.ours", Reach::Killed)?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// What is undone after a failure is told like all else.
fn failing_create() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["nosuch"]))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let watched = watch(&bundle, "create", &bundle_words(&bundle, &here, "create")?)?;
    check(&watched.end(&bundle, 1)?, "create.ours", Reach::Killed)?;
    bundle.clean()
}

fn no_container() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    command(&bundle, "list", &["list"])?;
    command(&bundle, "features", &["features"])?;
    command(&bundle, "plan", &["plan", "--bundle", &here])?;
    command(&bundle, "delete", &["delete", "--force", "nobody"])?;
    let watched = watch(&bundle, "nobody", &["state", "nobody"])?;
    check(&watched.end(&bundle, 1)?, "nobody.ours", Reach::Complete)?;
    bundle.clean()
}

/// With the trace shown and without, the calls are the same but for those that show it. Numbers that no two runs
/// share (addresses, pids, inodes, times) are made equal; the bundle and the id are the same.
fn display_changes_nothing(words: &[&str]) -> Outcome {
    let mut bundle = Bundle::plain()?;
    // Not below a cgroup that other cases make and remove meanwhile.
    let path = format!("/{}", bundle.id);
    bundle.set("/linux/cgroupsPath", serde_json::json!(path))?;
    // The first container makes the state root and what is in it for all.
    bundle.bundled(&["run"])?.ok()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = [words, &bundle_words(&bundle, &here, "")?[1..]].concat();
    let ours = bundle.path("shown.ours").to_string_lossy().into_owned();
    let shown_words = [&["--trace=strace", "--trace-file", &ours], &words[..]].concat();
    let mut lines = Vec::new();
    // On a busy machine a wait can take long, and a long wait has more calls.
    for _ in 0..3 {
        let shown = leveled(&bundle, "shown", &shown_words)?;
        let plain = leveled(&bundle, "plain", &words)?;
        same("processes", shown.len(), plain.len())?;
        lines = shown.iter().zip(&plain).flat_map(|(shown, plain)| difference(0, plain, shown)).collect();
        if lines.is_empty() {
            break;
        }
    }
    ensure!(lines.is_empty(), "without (-) and with (+) the trace on display:\n{}", lines.join("\n"));
    bundle.clean()
}

fn leveled(bundle: &Bundle, name: &str, words: &[&str]) -> Result<Vec<Vec<Call>>, Failed> {
    let listing = bundle.path(&format!("{name}.strace"));
    // The round before has left one, in which the first process has ended.
    let _ = fs::remove_file(&listing);
    let mut watched = Watched {
        running: bundle.start(under_strace(bundle, &listing, words)?)?,
        strace: listing.clone(),
        ours: bundle.path("none"),
    };
    watched.returned()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.wait(watched.running)?;
    let lanes = lanes(&parse(&fs::read_to_string(listing)?)?, "shown.ours")?;
    let level = |call: &Call| Call {
        pid: 0,
        name: call.name.clone(),
        // The runtime executes itself with the words that it was given, which are not the same in both.
        args: match call.name.as_str() {
            "execveat" => String::new(),
            _ => without_numbers(&call.args),
        },
        // Whether what a wait is for comes in its first moment.
        result: match call.name.as_str() {
            "ppoll" => String::new(),
            _ => without_numbers(&call.result),
        },
    };
    let end = |call: &&Call| call.name == "exit_group";
    // The parent of all containers' cgroups comes and goes with those of the cases beside this one.
    let own = |call: &&Call| !call.args.contains("\"nano-sandbox");
    // A mount or a rename anywhere on the machine makes the kernel refuse a path with ".." (openat2(2), EAGAIN): the
    // runtime resolves it again.
    let lasting = |call: &&Call| !(call.name == "openat2" && call.result.contains("EAGAIN"));
    let kept = |call: &&Call| own(call) && lasting(call);
    let all = lanes.iter().map(|(_, lane)| {
        let calls = lane.calls.iter().chain(lane.tail.iter().filter(end)).filter(kept).collect();
        without_waits(calls).into_iter().map(level).collect()
    });
    Ok(all.collect())
}

/// How long a wait takes is the machine's matter. After its first moment it listens for signals until it is over; and a
/// cgroup that its last process is leaving is removed once more, after a look into it.
fn without_waits(calls: Vec<&Call>) -> Vec<&Call> {
    let mut kept = Vec::new();
    let mut rest = &calls[..];
    while let Some((call, behind)) = rest.split_first() {
        let listens = behind.first().filter(|next| call.name == "rt_sigprocmask" && next.name == "signalfd4");
        let busy = call.name == "unlinkat" && call.result.contains("EBUSY");
        let end = match listens {
            Some(ear) => behind.iter().position(|end| end.name == "close" && end.args == ear.result).map(|at| at + 1),
            None if busy => behind.iter().position(|again| again.name == call.name && again.args == call.args),
            None => None,
        };
        if end.is_none() {
            kept.push(*call);
        }
        rest = &behind[end.unwrap_or(0)..];
    }
    kept
}

/// Every word with a digit in it that is longer than two characters becomes `#`: an address, a pid, a time, a name
/// made of them. So do times and sizes, however short, and the number of entries in a folder that the runs before have
/// filled.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    let mut text = text.to_owned();
    for key in ["si_utime=", "si_stime=", "st_size="] {
        if let Some((before, after)) = text.split_once(key) {
            let end = after.find([',', '}']).unwrap_or(after.len());
            text = format!("{before}{key}#{}", &after[end..]);
        }
    }
    for word in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric()) {
        let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
        let varies = bare.len() > 2 && bare.contains(|c: char| c.is_ascii_digit());
        out += if varies { "#" } else { bare };
        out += &word[bare.len()..];
    }
    match out.split_once("/* ") {
        Some((before, after)) if after.contains(" entries */") => format!("{before}/* entries */"),
        _ => out,
    }
}
