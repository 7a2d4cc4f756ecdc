//! Signals that the kernel sends for what a program does: faults and calls that a filter traps. And programs of 32 bits.

use super::{calls, compiled, refusals};
use crate::bundle::Bundle;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::json;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Trial> {
    area(
        "watch",
        &[
            ("a_fault_ends_the_first_process_as_without_the_watcher", faults),
            ("a_filter_of_the_program_itself_is_not_blamed", own_filter),
            ("each_call_that_a_filter_traps_is_counted", trapped),
            ("a_program_of_32_bits_is_seen", small),
            ("calls_by_interrupt_have_their_own_arguments", interrupt),
            ("threads_that_never_rest_leave_the_others_their_turn", turns),
        ],
    )
}

/// A fault of each kind. abort() ends in one where its signal does not end the process.
const FAULTS: &str = r#"
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#if defined(__x86_64__)
#define UNKNOWN "ud2"
#define BREAK "int3"
#define OTHER ".byte 0xf1"
#define LAST "xor %ecx, %ecx; div %ecx"
#elif defined(__aarch64__)
#define UNKNOWN "udf #0"
#define BREAK "brk #0"
#define OTHER "hlt #0"
#define LAST "mrs x0, sctlr_el1"
#else
#define UNKNOWN "unimp"
#define BREAK "ebreak"
#define OTHER ".word 0xffffffff"
#define LAST "csrr a0, sstatus"
#endif
static void handled(int signal) { _exit(30); }
int main(int count, char **words) {
    switch (atoi(words[1])) {
    case 0: *(volatile int *)8 = 1;
    case 1: __asm__ volatile(UNKNOWN);
    case 2: __asm__ volatile(BREAK); return 20;
    case 3: __asm__ volatile(OTHER); return 21;
    case 4: __asm__ volatile(LAST); return 23;
    case 5: *(char *)mmap(0, 4096, PROT_WRITE, MAP_PRIVATE, open(words[0], O_RDONLY), 1 << 30) = 1;
    case 6: signal(SIGSEGV, SIG_IGN); *(volatile int *)8 = 1;
    case 7: signal(SIGSEGV, handled); *(volatile int *)8 = 1;
    case 8: abort();
    case 9: raise(SIGSEGV); return 22;
    }
}
"#;

fn faults() -> Outcome {
    let mut bundle = Bundle::plain()?;
    compiled(&bundle, FAULTS, &[])?;
    for kind in 0..10 {
        bundle.set("/process/args", json!(["/bin/program", format!("{kind}")]))?;
        let bare = bundle.bundled(&["run"])?.status;
        for watch in ["--watch", "--watch=all"] {
            same(&format!("fault {kind}, {watch}"), bundle.bundled(&["run", watch])?.status, bare)?;
        }
    }
    bundle.clean()
}

/// A filter of the program's own answers mkdirat with an errno, with a signal, or with the end.
const FILTER: &str = r#"
#include "filter.h"
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
int main(int count, char **words) {
    filter(SYS_mkdirat, strtoul(words[1], 0, 0));
    return mkdirat(AT_FDCWD, "/sys/own", 0700) ? 9 : 8;
}
"#;

fn own_filter() -> Outcome {
    let mut bundle = Bundle::plain()?;
    compiled(&bundle, FILTER, &[])?;
    for answer in ["0x00050001", "0x00030000", "0x00000000", "0x80000000"] {
        bundle.set("/process/args", json!(["/bin/program", answer]))?;
        let bare = bundle.bundled(&["run"])?.status;
        for watch in ["--watch", "--watch=all"] {
            same(&format!("answer {answer}, {watch}"), bundle.bundled(&["run", "--keep", watch])?.status, bare)?;
            same("refusals", refusals(&bundle)?.len(), 0)?;
            bundle.call(&["delete", &bundle.id])?.ok()?;
        }
    }
    bundle.clean()
}

const TRAPPED: &str = r#"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
static void handler(int signal) {}
int main(void) {
    signal(SIGSYS, handler);
    for (int i = 0; i < 3; i++) mkdirat(AT_FDCWD, "/sys/a", 0700);
    return 5;
}
"#;

fn trapped() -> Outcome {
    let mut bundle = Bundle::shell("exec /bin/program")?;
    compiled(&bundle, TRAPPED, &[])?;
    let rule = json!([{"names": ["mkdirat"], "action": "SCMP_ACT_TRAP"}]);
    bundle.set("/linux/seccomp", json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rule}))?;
    for watch in ["--watch", "--watch=all"] {
        same("status", bundle.bundled(&["run", "--keep", watch])?.status, 5)?;
        let all = refusals(&bundle)?;
        ensure!(all.len() == 1 && all[0]["count"] == 3 && all[0]["pointer"] == "/linux/seccomp/syscalls/0", "{all:?}");
        same("records", calls(&bundle)?.matches("mkdirat(").count(), 3)?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
    }
    bundle.clean()
}

/// It makes its calls by int 0x80, and is refused two directories.
const SMALL: &str = r#"
static long call(long number, const char *path, long mode) {
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(path), "c"(mode) : "memory");
    return result;
}
static char path[] = "/sys/small";
void _start(void) {
    call(39, path, 0700);
    call(39, path, 0700);
    call(1, (const char *)3, 0);
}
"#;

fn refused_twice(options: &[&str]) -> Outcome {
    let mut bundle = Bundle::plain()?;
    compiled(&bundle, SMALL, &[options, &["-nostdlib", "-no-pie", "-fno-stack-protector"]].concat())?;
    bundle.set("/process/args", json!(["/bin/program"]))?;
    for watch in ["--watch", "--watch=all"] {
        same("status", bundle.bundled(&["run", "--keep", watch])?.status, 3)?;
        let all = refusals(&bundle)?;
        let call = all.first().and_then(|one| one["call"].as_str()).unwrap_or("");
        ensure!(all.len() == 1 && all[0]["count"] == 2 && call.starts_with("mkdir(\"/sys/small\", 0700)"), "{all:?}");
        bundle.call(&["delete", &bundle.id])?.ok()?;
    }
    bundle.clean()
}

fn small() -> Outcome {
    refused_twice(&["-m32"])
}

/// A 64-bit program that makes calls of a 32-bit one.
fn interrupt() -> Outcome {
    refused_twice(&["-mno-red-zone"])
}

/// 40 threads make calls without a rest while the first one makes more of them; then each wants to become another program.
const TURNS: &str = r#"
#include <pthread.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>
static char **words;
static volatile int begun;
static void *spins(void *arg) {
    while (!begun) syscall(SYS_getppid);
    execl(words[0], words[0], words[1] + 1, (char *)0);
    return arg;
}
int main(int count, char **all) {
    words = all;
    if (!*words[1]) return 6;
    pthread_t thread;
    for (int i = 0; i < 40; i++) pthread_create(&thread, 0, spins, 0);
    begun = 1;
    pthread_join(thread, 0);
    pause();
}
"#;

fn turns() -> Outcome {
    let mut bundle = Bundle::plain()?;
    compiled(&bundle, TURNS, &["-pthread"])?;
    bundle.set("/process/args", json!(["/bin/program", "xxx"]))?;
    let timed = |words: &[&str]| -> Result<Duration, Failed> {
        let start = Instant::now();
        same("status", bundle.bundled(words)?.status, 6)?;
        Ok(start.elapsed())
    };
    let bare = timed(&["run"])?;
    for watch in ["--watch", "--watch=all"] {
        let watched = timed(&["run", watch])?;
        // Where the newest threads alone have their turn, it takes more than 50 times as long.
        ensure!(watched < 25 * (bare + Duration::from_millis(100)), "{watch}: {watched:?}, not {bare:?}");
    }
    bundle.clean()
}
