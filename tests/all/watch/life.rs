//! The life of what is watched: threads, children, signals, stops; and the ends of the watch.

use super::{calls, compiled, refusals};
use crate::bundle::{Bundle, patiently};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::process::Command;
use std::{fs, thread, time::Duration};

pub fn cases() -> Vec<Trial> {
    area(
        "watch",
        &[
            ("twenty_children_are_seen", children),
            ("threads_vfork_and_an_exec_of_a_thread_are_seen", threads),
            ("a_process_that_wants_to_trace_gets_a_clear_word", tracing),
            ("a_process_that_wants_no_tracer_is_seen", untraced),
            ("signals_reach_the_program", signals),
            ("a_stopped_program_stays_stopped_and_goes_on", stopped),
            ("a_paused_container_goes_on", paused),
            ("the_status_of_a_killed_program_is_told", killed),
            ("watch_shows_what_runs_already_and_lets_go", attached),
            ("a_zombie_does_not_hold_the_watch_up", zombie),
            ("a_second_watcher_is_refused_by_name", second),
            ("the_container_outlives_its_watcher", outlives),
            ("a_program_that_serves_its_own_pages_goes_on", serves),
        ],
    )
}

/// The lines of the program's calls that have these words.
fn count(text: &str, words: &str) -> usize {
    text.lines().filter(|line| line.contains(words)).count()
}

fn children() -> Outcome {
    let bundle = Bundle::shell(
        "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do (echo x > /sys/n) & done; wait; true",
    )?;
    same("status", bundle.bundled(&["run", "--watch"])?.status, 0)?;
    let all = refusals(&bundle)?;
    same("refusals", all.iter().filter_map(|one| one["count"].as_u64()).sum(), 20)?;
    same("processes", count(&calls(&bundle)?, "EROFS"), 20)?;
    bundle.clean()
}

/// Eight threads, and each is refused something; then a child by vfork, and an execve by a thread.
const THREADS: &str = r#"
#include <pthread.h>
#include <stdio.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/wait.h>
static void *refused(void *path) { open(path, O_WRONLY | O_CREAT, 0600); return NULL; }
static void *execs(void *arg) { execl("/bin/sh", "sh", "-c", "echo x > /sys/after; exit 7", NULL); return arg; }
int main(void) {
    pthread_t all[8];
    for (int i = 0; i < 8; i++) pthread_create(&all[i], NULL, refused, "/sys/thread");
    for (int i = 0; i < 8; i++) pthread_join(all[i], NULL);
    if (vfork() == 0) { open("/sys/vfork", O_WRONLY | O_CREAT, 0600); _exit(0); }
    wait(NULL);
    pthread_create(&all[0], NULL, execs, NULL);
    pthread_join(all[0], NULL);
    return 1;
}
"#;

fn threads() -> Outcome {
    let bundle = Bundle::shell("exec /bin/program")?;
    compiled(&bundle, THREADS, &["-pthread"])?;
    let done = bundle.bundled(&["run", "--watch"])?;
    same("status", done.status, 7)?;
    let calls = calls(&bundle)?;
    for (path, times) in [("/sys/thread", 8), ("/sys/vfork", 1), ("/sys/after", 1)] {
        same(path, count(&calls, path), times)?;
    }
    bundle.clean()
}

const TRACING: &str = r#"
#include <sys/ptrace.h>
int main(void) { return ptrace(PTRACE_TRACEME, 0, 0, 0) == -1 ? 3 : 0; }
"#;

/// A child of the same user, which a process without capabilities may trace.
const ATTACHING: &str = r#"
#include <signal.h>
#include <sys/ptrace.h>
#include <unistd.h>
int main(void) {
    int child = fork();
    if (child == 0) for (;;) pause();
    int refused = ptrace(PTRACE_ATTACH, child, 0, 0) == -1;
    kill(child, SIGKILL);
    return refused ? 3 : 0;
}
"#;

fn tracing() -> Outcome {
    for program in [TRACING, ATTACHING] {
        let bundle = Bundle::shell("/bin/program")?;
        compiled(&bundle, program, &[])?;
        same("status without the watcher", bundle.bundled(&["run"])?.status, 0)?;
        let done = bundle.bundled(&["run", "--watch"])?;
        same("status", done.status, 3)?;
        let all = refusals(&bundle)?;
        ensure!(all.len() == 1 && all[0]["by"] == "watcher", "{all:?}");
        bundle.clean()?;
    }
    Ok(())
}

const UNTRACED: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
static char stack[65536];
static int begins(void *arg) { sleep(1); open("/sys/untraced", O_WRONLY | O_CREAT, 0600); return 5; }
int main(void) {
    int status, child = clone(begins, stack + sizeof stack, CLONE_UNTRACED | SIGCHLD, 0);
    waitpid(child, &status, 0);
    return WEXITSTATUS(status);
}
"#;

fn untraced() -> Outcome {
    let bundle = Bundle::shell("exec /bin/program")?;
    compiled(&bundle, UNTRACED, &[])?;
    for watch in ["--watch", "--watch=all"] {
        same("status", bundle.bundled(&["run", "--keep", watch])?.status, 5)?;
        same("calls", count(&calls(&bundle)?, "\"/sys/untraced\""), 1)?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
    }
    bundle.clean()
}

fn signals() -> Outcome {
    let bundle = Bundle::shell("trap 'echo got; exit 9' TERM; while :; do sleep 0.05; done")?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let running = bundle.start(bundle.command(&["run", "--watch=all", "--bundle", &here, &bundle.id])?)?;
    patiently("it runs", || Ok(bundle.call(&["state", &bundle.id])?.out.contains("running")))?;
    thread::sleep(Duration::from_millis(300));
    bundle.call(&["kill", &bundle.id, "TERM"])?.ok()?;
    let done = bundle.wait(running)?;
    same("status", done.status, 9)?;
    same("output", done.out.as_str(), "got\n")?;
    bundle.clean()
}

/// The state of a process, as /proc has it: a letter.
fn letter(pid: u64) -> Result<char, Failed> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    Ok(stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next()).unwrap_or('?'))
}

fn pid(bundle: &Bundle) -> Result<u64, Failed> {
    Ok(bundle.state()?["pid"].as_u64().unwrap_or(0))
}

/// Removes a container with a watcher that is no child of this program: that one ends a moment later.
fn removed(bundle: Bundle) -> Outcome {
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    patiently("the end of the watcher", || Ok(bundle.nothing_left().is_ok()))?;
    bundle.clean()
}

fn stopped() -> Outcome {
    let bundle = Bundle::shell("while :; do sleep 0.05; done")?;
    bundle.bundled(&["run", "--detach", "--watch=all"])?.ok()?;
    let pid = pid(&bundle)?;
    let signal = |name: &str| bundle.call(&["kill", &bundle.id, name])?.ok();
    signal("STOP")?;
    patiently("it stops", || Ok(letter(pid)? == 't'))?;
    thread::sleep(Duration::from_millis(200));
    same("its state", letter(pid)?, 't')?;
    signal("CONT")?;
    patiently("it goes on", || Ok(letter(pid)? != 't'))?;
    removed(bundle)
}

fn paused() -> Outcome {
    let bundle = Bundle::shell("while :; do :; done")?;
    bundle.bundled(&["run", "--detach", "--watch=all"])?.ok()?;
    bundle.call(&["pause", &bundle.id])?.ok()?;
    same("status", bundle.status()?.as_str(), "paused")?;
    bundle.call(&["resume", &bundle.id])?.ok()?;
    same("status", bundle.status()?.as_str(), "running")?;
    removed(bundle)
}

fn killed() -> Outcome {
    let bundle = Bundle::shell("kill -SEGV $$; kill -KILL $$; (kill -KILL $$) & wait; exit 4")?;
    let bare = bundle.bundled(&["run"])?.status;
    let watched = bundle.bundled(&["run", "--watch=all"])?.status;
    same("status", watched, bare)?;
    bundle.clean()
}

fn attached() -> Outcome {
    let bundle = Bundle::shell(
        "(while :; do echo x > /sys/child; sleep 0.05; done) 2>/dev/null & while :; do sleep 0.05; done",
    )?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let running = bundle.start(bundle.command(&["watch", &bundle.id])?)?;
    let pid = pid(&bundle)?;
    let tracer = || -> Result<bool, Failed> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        Ok(!status.contains("TracerPid:\t0"))
    };
    patiently("it is traced", tracer)?;
    thread::sleep(Duration::from_millis(500));
    let end = Command::new("kill").args(["-INT", &running.child.id().to_string()]).status()?;
    ensure!(end.success(), "no signal");
    let done = bundle.wait(running)?;
    same("status", done.status, 0)?;
    ensure!(done.out.contains("EROFS") && done.out.contains("/mounts/") && done.out.contains("try:"), "{}", done.out);
    ensure!(!tracer()?, "the program is traced still");
    same("status", bundle.status()?.as_str(), "running")?;
    ensure!(matches!(letter(pid)?, 'S' | 'R'), "{}", letter(pid)?);
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// It does not wait for its child, which has ended.
const LEAVES: &str = r#"
#include <unistd.h>
int main(void) {
    if (fork() == 0) _exit(0);
    for (;;) usleep(50000);
}
"#;

fn zombie() -> Outcome {
    let bundle = Bundle::shell("exec /bin/program")?;
    compiled(&bundle, LEAVES, &[])?;
    bundle.bundled(&["run", "--detach"])?.ok()?;
    let pid = pid(&bundle)?;
    let children = || -> Result<String, Failed> { Ok(fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?) };
    patiently("it has a child", || {
        Ok::<_, Failed>(children()?.trim().parse().is_ok_and(|pid| letter(pid).is_ok_and(|state| state == 'Z')))
    })?;
    let running = bundle.start(bundle.command(&["watch", &bundle.id])?)?;
    thread::sleep(Duration::from_millis(500));
    let end = Command::new("kill").args(["-INT", &running.child.id().to_string()]).status()?;
    ensure!(end.success(), "no signal");
    same("status", bundle.wait(running)?.status, 0)?;
    let text = bundle.call(&["trace", &bundle.id])?.ok()?.out;
    let line = text.lines().find(|line| line.contains("The watcher made ")).unwrap_or("");
    let calls = line.split(' ').find_map(|word| word.parse::<u32>().ok());
    // A hundred rounds over all processes are more than a thousand calls.
    ensure!(calls.is_some_and(|calls| calls < 500), "{line}");
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn second() -> Outcome {
    let bundle = Bundle::shell("while :; do sleep 0.05; done")?;
    bundle.bundled(&["run", "--detach", "--watch"])?.ok()?;
    bundle.call(&["watch", &bundle.id])?.refused("a process has one tracer")?;
    removed(bundle)
}

fn outlives() -> Outcome {
    let bundle = Bundle::shell("while :; do :; done")?;
    bundle.bundled(&["run", "--detach", "--watch=all"])?.ok()?;
    let pid = pid(&bundle)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap_or("").trim();
    ensure!(tracer != "0", "it is not traced");
    let end = Command::new("kill").args(["-KILL", tracer]).status()?;
    ensure!(end.success(), "no signal");
    patiently("it is not traced", || Ok(fs::read_to_string(format!("/proc/{pid}/status"))?.contains("TracerPid:\t0")))?;
    thread::sleep(Duration::from_millis(200));
    ensure!(matches!(letter(pid)?, 'R' | 'S'), "{}", letter(pid)?);
    same("status", bundle.status()?.as_str(), "running")?;
    removed(bundle)
}

/// The path of an open lies on a page that another thread serves, by calls at which it stops for the watcher.
const SERVES: &str = r#"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
static int faults;
static char *page, content[4096] = "/opened";
static void *serve(void *arg) {
    struct uffd_msg fault;
    read(faults, &fault, sizeof fault);
    struct uffdio_copy copy = {.dst = (long)page, .src = (long)content, .len = 4096};
    ioctl(faults, UFFDIO_COPY, &copy);
    return arg;
}
int main(void) {
    struct uffdio_api api = {.api = UFFD_API};
    pthread_t thread;
    faults = syscall(SYS_userfaultfd, 0);
    ioctl(faults, UFFDIO_API, &api);
    page = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct uffdio_register range = {.range = {(long)page, 4096}, .mode = UFFDIO_REGISTER_MODE_MISSING};
    ioctl(faults, UFFDIO_REGISTER, &range);
    pthread_create(&thread, 0, serve, 0);
    return open(page, O_WRONLY | O_CREAT, 0600) < 0;
}
"#;

fn serves() -> Outcome {
    let mut bundle = Bundle::shell("exec /bin/program")?;
    compiled(&bundle, SERVES, &["-pthread"])?;
    bundle.set("/root/readonly", json!(false))?;
    let rights = json!(["CAP_SYS_PTRACE"]);
    bundle.set("/process/capabilities", json!({"bounding": rights, "permitted": rights, "effective": rights}))?;
    bundle.bundled(&["run", "--detach", "--watch=all"])?.ok()?;
    let ended = patiently("it ends", || Ok(bundle.status()? == "stopped"));
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    ended?;
    fs::remove_file(bundle.rootfs("opened"))?;
    let done = bundle.bundled(&["run", "--watch=all"])?;
    same("status", done.status, 0)?;
    ensure!(done.err.contains("a signal has ended the watcher"), "{}", done.err);
    ensure!(bundle.rootfs("opened").exists(), "the program has opened nothing");
    bundle.clean()
}
