//! `--watch=all` is strace of the program: the same program runs in a container under `strace -f`, and in another that the
//! runtime watches. Both listings agree call for call, after what no two runs share was taken out: addresses, process ids,
//! times.

use crate::bundle::{Bundle, tool};
use crate::strace::{Call, difference, parse, traced};
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::fs;
use std::path::Path;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "watch_parity",
        &[
            ("files", || calls("files")),
            ("sockets", || calls("sockets")),
            ("waits", || calls("waits")),
            ("signals", || calls("signals")),
            ("processes", || calls("processes")),
            ("rights", || calls("rights")),
            ("a_shell_with_children", shell),
            ("a_program_of_32_bits", small),
            ("signals_stops_and_ends", events),
        ],
    )
}

/// The program that makes the calls of an area: tests/programs/calls.c.
fn calls(area: &str) -> Outcome {
    let mut bundle = Bundle::plain()?;
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/programs/calls.c");
    compile(&source, &bundle, &["-static", "-pthread"])?;
    bundle.set("/process/args", json!(["/calls", area]))?;
    bundle.set("/root/readonly", json!(false))?;
    agree(bundle, "")
}

/// When the signal of a child's end comes differs from run to run, and so the end of its handler does.
fn shell() -> Outcome {
    let bundle = Bundle::shell("cd /bin; cat /etc/passwd; test -s busybox && ls -l /etc; nosuch; wc /etc/group")?;
    agree(bundle, "rt_sigreturn")
}

/// What strace shows beside calls: signals, stops, and how each thread has ended.
fn events() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let source = bundle.path("events.c");
    fs::write(&source, EVENTS)?;
    compile(&source, &bundle, &["-static", "-pthread"])?;
    bundle.set("/process/args", json!(["/calls"]))?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]))?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let tail = ["--bundle", here.trim_end_matches('/'), &bundle.id];
    let listing = bundle.path("strace.txt");
    let first =
        bundle.finish(traced(&bundle.command(&[&["run"], &tail[..]].concat())?, &listing, ["--signal=all"])?)?;
    let second = bundle.call(&[&["run", "--keep", "--watch=all"], &tail[..]].concat())?;
    same("the exit status", second.status, first.status)?;
    let ours = bundle.call(&["trace", &bundle.id, "--lane", "program", "--format", "strace"])?.ok()?.out;
    let json = bundle.call(&["trace", &bundle.id, "--format", "json"])?.ok()?.out;
    let text = bundle.call(&["trace", &bundle.id, "--lane", "program"])?.ok()?.out;
    let table = bundle.call(&["trace", &bundle.id, "-c"])?.ok()?.out;
    bundle.call(&["delete", &bundle.id])?.ok()?;

    // The processes of the program are the newest ones that strace saw.
    let (mine, theirs) = (lines_beside(&ours)?, lines_beside(&fs::read_to_string(&listing)?)?);
    let theirs = &theirs[theirs.len().saturating_sub(mine.len())..];
    ensure!(mine == theirs, "strace (-) and --watch=all (+) differ:\n- {theirs:#?}\n+ {mine:#?}");
    ensure!(ours.contains("restart_syscall(<... resuming interrupted clock_nanosleep ...>)"), "{ours}");
    ensure!(json.contains("{\"event\":\"+++ killed by SIGKILL +++\",\"lane\":\"program\",\"pid\":"), "{json}");
    ensure!(text.contains("+++ killed by SIGKILL +++") && !table.contains('?'), "{text}{table}");
    bundle.clean()
}

/// The lines that are no calls, and those of calls that go on after a stop, for each process in the order in which they were
/// made.
fn lines_beside(listing: &str) -> Result<Vec<Vec<String>>, Failed> {
    let mut processes = std::collections::BTreeMap::<i32, Vec<String>>::new();
    for line in listing.lines() {
        let (pid, rest) = line.split_once(' ').ok_or("no line of a trace")?;
        let of = processes.entry(pid.parse()?).or_default();
        if ["+++ ", "--- ", "restart_syscall("].iter().any(|sign| rest.trim_start().starts_with(sign)) {
            of.push(level_text(rest.trim_start().split(" ...>").next().unwrap_or("")));
        }
    }
    Ok(processes.into_values().collect())
}

const EVENTS: &str = r#"
#define _GNU_SOURCE
#include "filter.h"
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
static void handler(int signal) {}
static void *ends(void *arg) { syscall(SYS_exit, 9); return arg; }
int main(void);
/* SIGUSR1 waits until it is asked for. */
static void hold(void) { sigset_t set; sigemptyset(&set), sigaddset(&set, SIGUSR1), sigprocmask(SIG_BLOCK, &set, 0); }
static void told(void) { sigset_t none; sigemptyset(&none), sigsuspend(&none); }
static void child(int kind) {
    struct itimerval once = {{0, 0}, {0, 1000}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2, .sigev_value = {.sival_int = 7}};
    struct itimerspec at = {{0, 0}, {0, 1000000}};
    union sigval value = {.sival_int = 5};
    timer_t timer;
    pthread_t thread;
    signal(SIGALRM, handler), signal(SIGUSR1, handler), signal(SIGUSR2, handler);
    switch (kind) {
    case 0: *(volatile int *)8 = 1;
    case 1: __asm__ volatile("ud2");
    case 2: __asm__ volatile("hlt");
    case 3: __asm__ volatile("xor %ecx, %ecx; div %ecx");
    case 4: setitimer(ITIMER_REAL, &once, 0); pause(); _exit(4);
    case 5: kill(getpid(), SIGUSR1); raise(SIGUSR2); sigqueue(getpid(), SIGUSR1, value); _exit(5);
    case 6: timer_create(CLOCK_MONOTONIC, &event, &timer); timer_settime(timer, 0, &at, 0); pause(); _exit(6);
    case 7: hold(), raise(SIGSTOP), told(), _exit(7);
    case 8: kill(getpid(), SIGKILL);
    case 9: pthread_create(&thread, 0, ends, 0); pthread_join(thread, 0); _exit(8);
    case 10: filter(SYS_getppid, SECCOMP_RET_TRAP), getppid();
    case 11: *(volatile char *)main = 1;
    case 12: hold(), usleep(300000), told(), _exit(9);
    }
}
int main(void) {
    for (int kind = 0; kind < 13; kind++) {
        int status, pid = fork();
        if (pid == 0) child(kind);
        if (kind == 12) usleep(100000), kill(pid, SIGSTOP);
        waitpid(pid, &status, WUNTRACED);
        if (!WIFSTOPPED(status)) continue;
        /* A SIGCHLD that comes while one waits is lost: the child ends only when the one of its going on was taken. */
        kill(pid, SIGCONT), waitpid(pid, &status, WCONTINUED), kill(pid, SIGUSR1), waitpid(pid, &status, 0);
    }
    return 3;
}
"#;

/// Sources in C, and what they include.
pub const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs");

/// Compiles a program into the rootfs, as /calls.
pub fn compile(source: &Path, bundle: &Bundle, options: &[&str]) -> Outcome {
    let mut gcc = Command::new(tool("gcc")?);
    gcc.args(["-w", "-O1", "-I", PROGRAMS, "-o"]).arg(bundle.rootfs("calls")).args(options).arg(source);
    let done = gcc.output()?;
    ensure!(done.status.success(), "gcc: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// Calls by `int 0x80` are those of a 32-bit program, whatever the program is: their numbers are others.
fn small() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let source = bundle.path("small.c");
    fs::write(&source, SMALL)?;
    compile(&source, &bundle, &["-static", "-nostdlib", "-no-pie", "-mno-red-zone"])?;
    bundle.set("/process/args", json!(["/calls"]))?;
    agree(bundle, "")
}

const SMALL: &str = r#"
static char path[] = "/etc/passwd";
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}
void _start(void) {
    call(5, (long)path, 0, 0);
    call(4, 1, (long)path, 5);
    call(195, (long)path, 1, 0);
    call(199, 0, 0, 0);
    call(1, 3, 0, 0);
}
"#;

/// Runs the bundle twice, and compares what the program did. `without`: a call that does not count.
fn agree(bundle: Bundle, without: &str) -> Outcome {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let tail = ["--bundle", here.trim_end_matches('/'), &bundle.id];
    let listing = bundle.path("strace.txt");
    let first = bundle.finish(traced(&bundle.command(&[&["run"], &tail[..]].concat())?, &listing, [""; 0])?)?;
    // What the first run made is there no more for the second.
    for name in ["named", "fifo", "list"] {
        let _ = fs::remove_file(bundle.rootfs("tmp").join(name));
    }
    let second = bundle.call(&[&["run", "--keep", "--watch=all"], &tail[..]].concat())?;
    same("the exit status", second.status, first.status)?;
    let ours = bundle.call(&["trace", &bundle.id, "--lane", "program", "--format", "strace"])?.ok()?.out;
    bundle.call(&["delete", &bundle.id])?.ok()?;

    // strace says in a line of its own when a program makes calls of another architecture.
    let listed = fs::read_to_string(&listing)?;
    let listed: Vec<&str> = listed.lines().filter(|line| !line.contains(" [ Process PID=")).collect();
    let counting = |calls: Vec<Call>| calls.into_iter().filter(|call| call.name != without).collect::<Vec<_>>();
    let theirs = of_program(&counting(parse(&listed.join("\n"))?))?;
    let mine = by_process(&counting(parse(&ours)?));
    ensure!(theirs.iter().flatten().count() > 3, "strace saw nothing of the program");
    let of = |all: &[Vec<Call>], i: usize| all.get(i).cloned().unwrap_or_default();
    let both = 0..theirs.len().max(mine.len());
    let lines: Vec<String> = both.flat_map(|i| difference(i as i32, &of(&theirs, i), &of(&mine, i))).collect();
    ensure!(lines.is_empty(), "strace (-) and --watch=all (+) differ:\n{}", lines.join("\n"));
    bundle.clean()
}

/// What the program did: what follows its execve, in its process and in those that came later.
fn of_program(calls: &[Call]) -> Result<Vec<Vec<Call>>, Failed> {
    // The first execve of all is the runtime's own.
    let start = calls.iter().skip(1).position(|call| call.name == "execve" && call.result == "0");
    let start = start.ok_or("no execve of the program")? + 1;
    let (before, after) = (&calls[..=start], &calls[start + 1..]);
    let program = calls[start].pid;
    let is_its = |call: &&Call| call.pid == program || before.iter().all(|other| other.pid != call.pid);
    Ok(by_process(&after.iter().filter(is_its).cloned().collect::<Vec<_>>()))
}

/// The calls of each process, in the order in which the processes were made.
fn by_process(calls: &[Call]) -> Vec<Vec<Call>> {
    let mut processes = std::collections::BTreeMap::<i32, Vec<Call>>::new();
    for call in calls {
        processes.entry(call.pid).or_default().push(level(call));
    }
    processes.into_values().collect()
}

/// A call without what no two runs share.
fn level(call: &Call) -> Call {
    let random = call.name == "getrandom";
    let args = if random { String::new() } else { level_text(&call.args) };
    Call { pid: 0, name: named(&call.name), args, result: level_text(&call.result) }
}

/// strace shows the number of a call whose name it does not know: riscv_hwprobe, in Debian trixie.
fn named(name: &str) -> String {
    let number = name.strip_prefix("syscall_0x").and_then(|hex| u16::from_str_radix(hex, 16).ok());
    number.map_or(name, |number| syscalls::Call(number).name()).into()
}

/// Members that have other numbers in each run.
const VARYING: &[&str] =
    &["tv_sec=", "tv_nsec=", "tv_usec=", "si_utime=", "si_stime=", "val=[", "f_bfree=", "f_bavail=", "f_ffree="];

/// Addresses, and the numbers after those names, become `#`.
fn level_text(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let digits = |text: &str, radix: u32| text.find(|c: char| !c.is_digit(radix)).unwrap_or(text.len());
        let name = VARYING.iter().find(|name| rest.starts_with(**name));
        let address = rest.strip_prefix("0x").map(|hex| digits(hex, 16)).filter(|len| *len > 4);
        if let Some(len) = address {
            out += "#";
            rest = &rest[2 + len..];
        } else if let Some(name) = name {
            let number = &rest[name.len()..];
            let hex = number.strip_prefix("0x");
            let len = hex.map_or_else(|| digits(number, 10), |hex| 2 + digits(hex, 16));
            out += name;
            out += "#";
            rest = &number[len..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}
