//! The container that asks for everything, and each call of its `run` made to fail in turn: the error names that call, and
//! nothing is left. strace counts calls of a name for each process apart, so the n-th of a name fails in every process
//! that comes so far: where the host lane does, init does not get there.

use crate::bundle::Done;
use crate::injection::none_wrong;
use crate::strace::{Call, lanes, parse, traced_in_time};
use crate::{Failed, Outcome, ensure, everything};
use libtest_mimic::Trial;
use std::collections::BTreeSet;
use std::fs;

// Of what comes when the program has run: before, nothing of the kind is tolerated.
const POSTSTOP: &str = "a poststop hook that cannot be run is a warning";
const COUNTED: &str = "kept traces are counted another time";
// Of what comes when another process takes long (src/host/patience.rs).
const FROZEN: &str = "a longer wait looks whether the cgroup is frozen, and goes on if it cannot see that";

/// Calls whose failure changes nothing that the caller asked for: the name, what is in its arguments, and why.
const TOLERATED: &[(&str, &str, &str)] = &[
    ("close", "", "the kernel frees the descriptor whatever it returns"),
    ("getpid", "", "it cannot fail"),
    ("open_tree", "/proc/self/exe", "a copy in memory protects the program as well"),
    ("mount_setattr", "MOUNT_ATTR_RDONLY, attr_clr=0, propagation=0", "a copy in memory protects the program as well"),
    ("write", "+cpu +io +memory +pids", "it is for later questions: nothing was limited"),
    ("umask", "", "it cannot fail"),
    ("exit_group", "", "it cannot fail"),
    ("syslog", "", "the link of /proc tells the same"),
    ("readlinkat", "/proc/self/ns/user", "where it cannot be seen, root is root of the machine"),
    ("openat", "/proc/self/status", "where it cannot be seen, any signal may be ignored"),
    ("openat", "/proc\"", "without a /proc that is procfs the runtime makes its own"),
    ("openat", "/sys/fs/cgroup\"", "another place of the hierarchy is tried"),
    ("openat", "etc/passwd", "HOME is / for a user that cannot be looked up"),
    ("openat2", "etc/passwd", "HOME is / for a user that cannot be looked up"),
    ("sched_setaffinity", "", "a filter around the runtime: the caller's affinity stays"),
    ("keyctl", "", "a kernel or a seccomp'd engine without keyrings: runc and crun go on too"),
    ("faccessat2", "", "a candidate in PATH that may not be looked at: the next one is tried"),
    ("openat", "\".\", O_RDONLY|O_CLOEXEC|O_DIRECTORY", "a look at the names to remove: without it each is tried"),
    ("newfstatat", "", "a candidate in PATH that may not be looked at: the next one is tried"),
    ("prctl", "PR_SET_CHILD_SUBREAPER", "what is left behind goes to the machine's init then"),
    ("ioctl", "WINSZ", "a terminal whose size cannot be asked, or set, is one all the same"),
    ("ioctl", "TCGETS", "what is no terminal outside cannot be made raw"),
    ("ioctl", "TCSETS", "a terminal that cannot be made raw is relayed as it is"),
    ("read", "(0, ", "from the background nobody reads a terminal"),
    ("openat", "\"cgroup.events\"", FROZEN),
    ("read", "\"cgroup.events\"", FROZEN),
    ("fchown", "", "where the user is not mapped the terminal stays root's"),
    ("rt_sigprocmask", "SIG_SETMASK, []", "the wait is over: the process ends"),
    ("openat", ".traces", "a container whose trace cannot be kept is deleted all the same"),
    ("openat", "hooks.out", "a failed hook is told without what it said"),
    ("mkdirat", ".traces", "a container whose trace cannot be kept is deleted all the same"),
    ("renameat2", "trace", "a container whose trace cannot be kept is deleted all the same"),
    ("openat", "\"trace\"", "a container whose trace cannot be kept runs"),
    ("ftruncate", "4194304", "a container whose trace cannot be kept runs"),
    ("newfstatat", "AT_SYMLINK_NOFOLLOW", COUNTED),
    ("fstat", "", COUNTED),
    ("memfd_create", "", POSTSTOP),
    ("pwrite64", "", POSTSTOP),
    ("waitid", "", POSTSTOP),
    ("ppoll", "", POSTSTOP),
    ("clone3", "", POSTSTOP),
    ("setpgid", "", POSTSTOP),
    ("dup3", "", POSTSTOP),
    ("unlinkat", "nano-sandbox\"", "a parent that others use stays"),
];

/// Processes that go on while the container is undone, so that what they are told cannot be told from what failed.
const PARTS: usize = 4;

pub fn cases() -> Vec<Trial> {
    let part =
        |n: usize| Trial::test(format!("injection::each_call_of_everything_{}_of_{PARTS}", n + 1), move || each(n));
    (0..PARTS).map(part).collect()
}

fn run(option: Option<String>) -> Result<(crate::bundle::Bundle, Done, String), Failed> {
    let mut bundle = everything::bundle()?;
    bundle.set("/process/terminal", true.into())?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&["run", "--bundle", &here, &bundle.id])?;
    let listing = bundle.path("strace");
    let command = traced_in_time(&inner, &listing, option)?;
    let done = bundle.finish(command)?;
    // None: the call was the one that starts what strace looks at.
    let text = fs::read_to_string(&listing).unwrap_or_default();
    Ok((bundle, done, text))
}

/// The n-th call of each name, of any lane of the runtime's.
fn places() -> Result<Vec<(String, usize)>, Failed> {
    let (bundle, done, text) = run(None)?;
    ensure!(done.status == 0, "without injection: {done:?}");
    bundle.clean()?;
    let calls = parse(&text)?;
    let mut places = BTreeSet::new();
    for (pid, lane) in &lanes(&calls, "no trace file")? {
        let all: Vec<&Call> = calls.iter().filter(|call| call.pid == *pid).collect();
        // A close that strace keeps from the kernel leaves open what no kernel would, and no kernel refuses an end. Without
        // mmap no hook's program can begin, which has its own first one.
        let mine = lane.places.iter().zip(&lane.calls);
        let left = |name: &str| matches!(name, "close" | "exit_group" | "mmap");
        for (at, call) in mine.filter(|(_, call)| !left(&call.name)) {
            let before = all.iter().take(at + 1);
            let when = before.filter(|other| other.name == call.name).count();
            places.insert((call.name.clone(), when));
        }
    }
    ensure!(places.len() > 200, "only {} calls", places.len());
    Ok(places.into_iter().collect())
}

/// The first line that was injected, and whether its process was the runtime's then.
pub fn injected(text: &str) -> Option<(String, bool)> {
    let at = text.lines().position(|line| line.contains("(INJECTED)"))?;
    let line = text.lines().nth(at)?;
    let pid = line.split(' ').next()?;
    let mut programs = text
        .lines()
        .take(at)
        .filter(|line| line.split(' ').next() == Some(pid) && line.contains("execve") && line.ends_with("= 0"));
    let first = text.lines().next()?.split(' ').next()?;
    let own = programs.nth(if pid == first { 2 } else { 0 }).is_none();
    // Where another process came between, its arguments stand further up.
    let begun = line.contains(" resumed>").then(|| {
        let begun = |l: &&str| l.split(' ').next() == Some(pid) && l.ends_with("<unfinished ...>");
        text.lines().take(at).filter(begun).last()
    });
    let begun = begun.flatten().unwrap_or("");
    let shown = format!("{}{line}", begun.trim_end_matches("<unfinished ...>"));
    let opened = opened(text.lines().take(at), pid, &shown).map_or(String::new(), |call| format!(", opened by {call}"));
    Some((shown + &opened, own))
}

/// The call that opened what is read: the number of a descriptor says little.
fn opened<'a>(before: impl Iterator<Item = &'a str>, pid: &str, line: &str) -> Option<&'a str> {
    let fd = line.split_once(" read(")?.1.split(',').next()?;
    let result = format!(" = {fd}");
    before.filter(|l| l.split(' ').next() == Some(pid) && l.contains("open") && l.ends_with(&result)).last()
}

/// Whether the container's program ran: what failed then failed behind it.
fn ran(text: &str) -> bool {
    text.lines().any(|line| line.contains(" execve(\"/bin/sh\", [\"sh\", \"-c\""))
}

fn each(part: usize) -> Outcome {
    let mut wrong = Vec::new();
    for (call, when) in places()?.into_iter().skip(part).step_by(PARTS) {
        let option = format!("--inject={call}:error=EPERM:when={when}");
        let (bundle, done, text) = run(Some(option))?;
        let what = format!("{call}, {when}");
        match injected(&text) {
            // A wait that took another way this time.
            None => {}
            Some((line, own)) => {
                let before = text.split("(INJECTED)").next().unwrap_or("");
                let tolerated = TOLERATED.iter().any(|(name, part, why)| {
                    let late = [POSTSTOP, COUNTED].contains(why);
                    *name == call && line.contains(part) && (!late || ran(before))
                });
                let message = line.contains(" write(2, ");
                match done.status {
                    0 if tolerated || !own => {}
                    0 => wrong.push(format!("{what}: failed, and run succeeded: {line}")),
                    _ if !own || message || done.err.contains(&call) => {}
                    _ if done.err.is_empty() && text.contains(" write(2, ") => {}
                    status => wrong.push(format!("{what}: status {status}, not named: {}: {line}", done.err.trim())),
                }
            }
        }
        // What could not be removed when the program had ended can be asked to be removed again.
        if bundle.state_root().join(&bundle.id).exists() && ran(&text) {
            bundle.call(&["delete", "--force", &bundle.id])?;
        }
        if let Err(failed) = bundle.clean() {
            wrong.push(format!("{what}: {}", failed.message().unwrap_or("")));
        }
    }
    none_wrong(&wrong)
}
