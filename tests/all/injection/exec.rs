//! Each call of `exec` made to fail in turn: the error names that call, the container goes on as it was, and no process of
//! the failed one stays in it.

use crate::bundle::{Bundle, Done, patiently};
use crate::cgroup::{cgroup, end, start};
use crate::exec::box_of_sleep;
use crate::injection::all::injected;
use crate::injection::none_wrong;
use crate::strace::{Call, lanes, parse, traced_in_time};
use crate::{Failed, Outcome, ensure};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::fs;

/// Calls whose failure changes nothing that the caller asked for: the name, what is in its arguments, and why.
const TOLERATED: &[(&str, &str, &str)] = &[
    ("getpid", "", "it cannot fail"),
    ("umask", "", "it cannot fail"),
    ("sched_setaffinity", "", "a filter around the runtime: the caller's affinity stays"),
    ("openat", "/proc/self/fd/", "the program is executed again"),
    ("mremap", "", "the program is executed again"),
    ("mprotect", "", "the program is executed again"),
    ("prctl", "PR_SET_MM", "the program is executed again"),
    ("open_tree", "", "a copy in memory protects the program as well"),
    ("mount_setattr", "", "a copy in memory protects the program as well"),
    ("syslog", "", "the link of /proc tells the same"),
    ("readlinkat", "/proc/self/ns/user", "where it cannot be seen, root is root of the machine"),
    ("openat", "/proc/self/status", "where it cannot be seen, any signal may be ignored"),
    ("openat", "\"trace.later\"", "a command whose trace cannot be kept does its work"),
    ("openat", "\".\"", "a command whose trace cannot be kept does its work"),
    ("write", "artkn", "a command whose trace cannot be kept does its work"),
    ("fstat", "", "without the container's file the records stay in memory"),
    ("mmap", "", "without the container's file the records stay in memory"),
    ("openat", "/proc\"", "without a /proc that is procfs the runtime makes its own"),
    ("openat", "/sys/fs/cgroup\"", "another place of the hierarchy is tried"),
    ("openat", "cgroup.freeze", "what cannot be asked is not paused"),
    ("read", ", 16384)", "what cannot be asked is not paused"),
    ("fstatfs", "", "the cgroup is looked for twice"),
    ("openat", "nano-sandbox/", "the cgroup is looked for twice"),
    ("openat2", "etc/passwd", "HOME is / for a user that cannot be looked up"),
    ("keyctl", "", "a kernel or an engine's filter without keyrings: runc and crun go on too"),
    ("faccessat2", "", "a candidate in PATH that may not be looked at: the next one is tried"),
    ("newfstatat", "/bin/", "a candidate in PATH that may not be looked at: the next one is tried"),
    ("ioctl", "WINSZ", "a terminal whose size cannot be asked, or set, is one all the same"),
    ("ioctl", "TCGETS", "what is no terminal outside cannot be made raw"),
    ("ioctl", "TCSETS", "a terminal that cannot be made raw is relayed as it is"),
    ("read", "(0, ", "from the background nobody reads a terminal"),
    ("fchown", "", "where the user is not mapped the terminal stays root's"),
    ("rt_sigprocmask", "SIG_SETMASK, []", "the wait is over: the process ends"),
];

pub fn cases() -> Vec<Trial> {
    vec![
        Trial::test("injection::each_call_of_exec", || each(&[])),
        Trial::test("injection::each_call_of_exec_at_a_terminal", || each(&["-t"])),
    ]
}

fn run(bundle: &Bundle, words: &[&str], option: Option<String>) -> Result<(Done, String), Failed> {
    let words = [&["exec"], words, &[&bundle.id, "true"]].concat();
    let inner = bundle.command(&words)?;
    let listing = bundle.path("strace");
    let _ = fs::remove_file(&listing);
    let command = traced_in_time(&inner, &listing, option)?;
    let done = bundle.finish(command)?;
    Ok((done, fs::read_to_string(&listing).unwrap_or_default()))
}

/// The n-th call of each name, of any lane.
fn places(bundle: &Bundle, words: &[&str]) -> Result<Vec<(String, usize)>, Failed> {
    let (done, text) = run(bundle, words, None)?;
    ensure!(done.status == 0, "without injection: {done:?}");
    let calls = parse(&text)?;
    let mut places = BTreeSet::new();
    for (pid, lane) in &lanes(&calls, "no trace file")? {
        let all: Vec<&Call> = calls.iter().filter(|call| call.pid == *pid).collect();
        let mine = lane.places.iter().zip(&lane.calls);
        for (at, call) in mine.filter(|(_, call)| !matches!(&call.name[..], "close" | "exit_group")) {
            let before = all.iter().take(at + 1);
            places.insert((call.name.clone(), before.filter(|c| c.name == call.name).count()));
        }
    }
    ensure!(places.len() > 60, "only {} calls", places.len());
    Ok(places.into_iter().collect())
}

fn each(words: &[&str]) -> Outcome {
    let bundle = box_of_sleep()?;
    start(&bundle)?;
    let procs = cgroup(&bundle)?.join("cgroup.procs");
    let mut wrong = Vec::new();
    for (call, when) in places(&bundle, words)? {
        let option = format!("--inject={call}:error=EPERM:when={when}");
        let (done, text) = run(&bundle, words, Some(option))?;
        let what = format!("{call}, {when}");
        if let Some((line, own)) = injected(&text) {
            let tolerated = |(name, part, _): &(&str, &str, &str)| *name == call && line.contains(part);
            let message = line.contains(" write(2, ");
            match done.status {
                0 if TOLERATED.iter().any(tolerated) || !own => {}
                0 => wrong.push(format!("{what}: failed, and exec succeeded: {line}")),
                _ if !own || message || done.err.contains(&call) => {}
                _ if done.err.is_empty() && text.contains(" write(2, ") => {}
                status => wrong.push(format!("{what}: status {status}, not named: {}: {line}", done.err.trim())),
            }
        }
        let alone = || Ok(fs::read_to_string(&procs)?.lines().count() == 1);
        if patiently("the end of what could not be executed", alone).is_err() {
            wrong.push(format!("{what}: left behind: {}", fs::read_to_string(&procs)?));
        }
    }
    none_wrong(&wrong)?;
    end(bundle)
}
