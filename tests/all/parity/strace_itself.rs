//! The comparator of `strace` on listings made by hand: what it must see, and what it must not mind.

use crate::strace::*;
use crate::{Outcome, area, ensure};
use libtest_mimic::Trial;

pub fn cases() -> Vec<Trial> {
    area(
        "strace",
        &[
            ("joins_the_halves_of_a_call", joins),
            ("takes_out_start_up_and_the_program", trims),
            ("a_foreign_start_up_fails", foreign_start_up),
            ("finds_a_changed_result", finds_result),
            ("finds_a_missing_and_a_foreign_call", finds_calls),
            ("a_call_that_never_returned", never_returned),
            ("a_call_begun_anew_counts_once", begun_anew),
            ("nothing_but_the_display_at_the_end", display_only),
        ],
    )
}

const START: &str = "7  execve(\"nk\", [\"nk\"], 0x7ffd /* 3 vars */) = 0\n";

const BODY: &str = "7  clone3({flags=CLONE_NEWPID}, 88 <unfinished ...>\n8  getppid() = 0\n\
    7  <... clone3 resumed>) = 8\n7  read(3,  <unfinished ...>\n8  write(4, \" = \", 3) = 3\n\
    7  <... read resumed>\" = \", 3)         = 3\n8  execve(\"/bin/true\", [\"true\"], 0x1 /* 0 vars */) = 0\n\
    8  brk(NULL) = 0x5\n8  +++ exited with 0 +++\n7  --- SIGCHLD {si_signo=SIGCHLD} ---\n";

const END: &str = "7  openat(AT_FDCWD, \"F2\", O_WRONLY) = 5\n7  write(5, \"7 clone3\", 8) = 8\n7  close(5) = 0\n\
    7  exit_group(0) = ?\n7  +++ exited with 0 +++\n";

const OURS: &str = "7 clone3({flags=CLONE_NEWPID}, 88) = 8\n8 getppid() = 0\n7 read(3, \" = \", 3) = 3\n\
    8 write(4, \" = \", 3) = 3\n8 execve(\"/bin/true\", [\"true\"], 0x1 /* 0 vars */) = 0\n";

fn verdict(strace: &str, ours: &str) -> Outcome {
    compare(&lanes(&parse(strace)?, "F2")?, &parse(ours)?, Reach::Complete)
}

fn agree(strace: &str, ours: &str) -> Outcome {
    verdict(strace, ours)
}

fn differ(strace: &str, ours: &str, words: &str) -> Outcome {
    let failed = verdict(strace, ours).err().ok_or("the comparator saw no difference")?;
    let message = failed.message().unwrap_or("");
    ensure!(message.contains(words), "`{words}` expected in: {message}");
    Ok(())
}

fn joins() -> Outcome {
    let calls = parse(BODY)?;
    ensure!(calls[0].show() == "clone3({flags=CLONE_NEWPID}, 88) = 8", "{}", calls[0].show());
    ensure!(calls[2].show() == "read(3, \" = \", 3) = 3", "{}", calls[2].show());
    Ok(())
}

fn trims() -> Outcome {
    agree(&format!("{START}{BODY}{END}"), OURS)?;
    // Ours may have been made while the file was open already.
    agree(&format!("{START}{BODY}{END}"), &format!("{OURS}7 openat(AT_FDCWD, \"F2\", O_WRONLY) = 5\n"))
}

fn foreign_start_up() -> Outcome {
    differ(&format!("{START}7  brk(NULL) = 0x1\n{BODY}{END}"), OURS, "- brk(NULL)")?;
    differ(&format!("{}{BODY}{END}", START.replace("execve", "brk")), OURS, "begins with brk")
}

fn finds_result() -> Outcome {
    differ(&format!("{START}{BODY}{END}"), &OURS.replace("3) = 3", "3) = 2"), "- read(3, \" = \", 3) = 3")
}

fn finds_calls() -> Outcome {
    let strace = format!("{START}{BODY}{END}");
    differ(&strace, &OURS.replace("8 getppid() = 0\n", ""), "- getppid() = 0")?;
    differ(&strace, &format!("{OURS}8 close(4) = 0\n"), "+ close(4) = 0")?;
    differ(&strace, &format!("{OURS}9 close(4) = 0\n"), "of no process that strace saw: 9 close(4) = 0")
}

fn never_returned() -> Outcome {
    let strace = format!("{START}7  read(3,  <unfinished ...>\n7  +++ killed by SIGKILL +++\n");
    agree(&strace, "7 read(3, 0x7ffc, 1) = ?\n")?;
    differ(&strace, "7 read(4, 0x7ffc, 1) = ?\n", "- read(3,")?;
    let resumed = format!("{START}7  read(3,  <unfinished ...>\n7  <... read resumed> <unfinished ...>) = ?\n");
    agree(&resumed, "7 read(3) = ?\n")
}

fn begun_anew() -> Outcome {
    let twice = "7  wait4(8, NULL, 0, NULL) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n\
                 7  wait4(8, NULL, 0, NULL) = 8\n";
    agree(&format!("{START}{twice}"), "7 wait4(8, NULL, 0, NULL) = 8\n")?;
    // The first shows an address where the second shows what the kernel has filled in.
    let filled = "7  read(15, 0x7f38fba532d8, 4096) = ? ERESTARTSYS (To be restarted if SA_RESTART is set)\n\
                  7  read(15, \"\", 4096) = 0\n";
    agree(&format!("{START}{filled}"), "7 read(15, \"\", 4096) = 0\n")?;
    let another = filled.replace("read(15, \"", "read(1, \"");
    let ours = "7 read(1, \"\", 4096) = 0\n";
    differ(&format!("{START}{another}"), ours, "read(15, 0x7f38")?;
    let once = "7  ppoll(0x1, 1) = ? ERESTARTNOHAND (To be restarted if no handler)\n7  close(1) = 0\n";
    agree(&format!("{START}{once}"), "7 ppoll(0x1, 1) = -1 EINTR (Interrupted system call)\n7 close(1) = 0\n")
}

fn display_only() -> Outcome {
    let sneaky = END.replace("7  close(5) = 0", "7  unlink(\"x\") = 0");
    differ(&format!("{START}{BODY}{sneaky}"), OURS, "not: unlink(\"x\") = 0")?;
    let other = END.replace("write(5", "write(4");
    differ(&format!("{START}{BODY}{other}"), OURS, "not: write(4")
}
