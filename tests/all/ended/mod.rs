//! Why a program ended: the cause on standard error where the kernel or a limit ended it, and in the log, the trace, `state` and
//! `events`; nothing where the program ended by itself.

mod memory;

use crate::bundle::{Bundle, Done, Running, patiently};
use crate::cgroup::{script, start};
use crate::refused::variants::calls;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;

pub fn cases() -> Vec<Trial> {
    let all = area(
        "ended",
        &[
            ("a_plain_status_says_nothing", plain),
            ("the_call_that_a_filter_forbids", forbidden),
            ("the_call_of_a_child_that_a_filter_forbids", forbidden_to_a_child),
            ("the_call_that_no_rule_allows", forbidden_by_default),
            ("a_fault_names_its_address", fault),
            ("a_fault_at_the_end_of_the_stack", full_stack),
            ("a_fault_that_the_log_does_not_have", bus_error),
            ("a_signal_that_a_program_brings_upon_itself", by_itself),
            ("rules_that_arguments_tell_apart", several_rules),
            ("a_signal_from_outside", outside),
            ("a_signal_that_was_handed_on_has_its_sender", handed_on),
            ("kill_is_known_from_the_trace", by_kill),
            ("a_limit_on_file_size", file_size),
            ("a_limit_on_processor_time", processor_time),
            ("exec_says_it", exec),
            ("log_has_it_in_one_line", log),
            ("state_of_a_kept_one", kept),
            ("state_of_a_zombie", zombie),
            ("start_attached_keeps_it", attached),
            ("events_end_with_it", events),
        ],
    );
    all.into_iter().chain(memory::cases()).collect()
}

/// Runs it. The status, and what is on standard error as one text.
fn run(bundle: &Bundle, words: &[&str]) -> Result<Done, Failed> {
    bundle.bundled(&[&["run"], words].concat())
}

/// The message: its first line has this, and some line has each of the others.
pub fn says(done: &Done, first: &str, others: &[&str]) -> Outcome {
    let message: Vec<&str> = done.err.lines().skip_while(|line| !line.starts_with("nk-runtime: ")).collect();
    let line = message.first().copied().unwrap_or_default();
    ensure!(line.contains(first) && line.len() <= 200, "the first line should hold `{first}`: {done:?}");
    for other in others {
        ensure!(message.iter().any(|line| line.contains(other)), "a line should hold `{other}`: {done:?}");
    }
    Ok(())
}

/// The trace's text about it.
fn trace(bundle: &Bundle) -> Result<String, Failed> {
    Ok(bundle.call(&["trace", &bundle.id])?.ok()?.out)
}

fn profile(bundle: &mut Bundle, default: &str, rules: Value) -> Outcome {
    bundle.set("/linux/seccomp", json!({"defaultAction": default, "syscalls": rules}))
}

fn plain() -> Outcome {
    for (text, status) in [("exit 3", 3), ("true", 0)] {
        let bundle = Bundle::shell(text)?;
        let done = run(&bundle, &[])?;
        same("status and words", (done.status, done.err.as_str()), (status, ""))?;
        ensure!(!trace(&bundle)?.contains("ended by"), "the trace");
        bundle.clean()?;
    }
    // A shell has said so itself. The trace has it, too.
    let bundle = Bundle::shell("nosuch")?;
    let done = run(&bundle, &[])?;
    ensure!(done.status == 127 && done.err.lines().count() == 1, "{done:?}");
    let text = trace(&bundle)?;
    ensure!(text.contains("exit status 127: a shell did not find the command"), "{text}");
    bundle.clean()
}

fn forbidden() -> Outcome {
    for action in ["SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP"] {
        let mut bundle = Bundle::shell("umask 0; true")?;
        profile(
            &mut bundle,
            "SCMP_ACT_ALLOW",
            json!([
                {"names": ["getppid"], "action": "SCMP_ACT_ERRNO"},
                {"names": ["umask"], "action": action},
            ]),
        )?;
        let done = run(&bundle, &[])?;
        same("status", done.status, 128 + 31)?;
        match action {
            "SCMP_ACT_TRAP" => says(&done, "umask", &["known: ", "try: "])?,
            _ => {
                says(
                    &done,
                    "killed the program at the call umask (config.json /linux/seccomp/syscalls/1)",
                    &[&format!("syscall={}", nix::libc::SYS_umask), "try: "],
                )?;
                let text = trace(&bundle)?;
                ensure!(text.contains("killed the program at the call umask"), "{text}");
            }
        }
        bundle.clean()?;
    }
    Ok(())
}

fn forbidden_to_a_child() -> Outcome {
    let mut bundle = Bundle::shell("sh -c 'umask 0; true'; exit $?")?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", json!([{"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS"}]))?;
    let done = run(&bundle, &["--keep"])?;
    same("status", done.status, 128 + 31)?;
    // Another test may have a process killed at the same time. Then the log does not tell which was of this container.
    let cause = bundle.state()?["ended"]["cause"].as_str().unwrap_or("").to_owned();
    let named = cause.contains("killed `sh` at the call umask");
    ensure!(named || cause.contains("SIGSYS ended the command that it ran"), "{cause}");
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn forbidden_by_default() -> Outcome {
    let mut bundle = Bundle::shell("true")?;
    profile(
        &mut bundle,
        "SCMP_ACT_KILL_PROCESS",
        json!([{"names": ["execve", "brk", "mmap"], "action": "SCMP_ACT_ALLOW"}]),
    )?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 31)?;
    says(&done, "no rule allows (config.json /linux/seccomp/defaultAction)", &["try: add `"])?;
    bundle.clean()
}

/// What the kernel's log says of a fault.
const LOGGED: &str = if cfg!(target_arch = "riscv64") { "unhandled signal 11" } else { "segfault at" };

fn fault() -> Outcome {
    let mut bundle = Bundle::reporter(&[])?;
    // An ELF header without a program: the kernel jumps to an address that is not there.
    let program = header_alone();
    fs::write(bundle.rootfs("fault"), program)?;
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(bundle.rootfs("fault"), fs::Permissions::from_mode(0o755))?;
    bundle.set("/process/args", json!(["/fault"]))?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 11)?;
    says(&done, "SIGSEGV: it executed the address 0x", &[LOGGED, "try: "])?;
    bundle.clean()
}

/// A static program of 64 bits. Its header is its only segment, mapped without execution, and its entry is the segment's begin.
fn header_alone() -> Vec<u8> {
    let mut all = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    all.extend(2u16.to_le_bytes());
    // The machine is that of any program here.
    all.extend(fs::read("/proc/self/exe").unwrap_or_default().get(18..20).unwrap_or(&[62, 0]));
    all.extend(1u32.to_le_bytes());
    all.extend([0x40_0000u64.to_le_bytes(), 64u64.to_le_bytes(), 0u64.to_le_bytes()].concat());
    all.extend(0u32.to_le_bytes());
    all.extend([64u16, 56, 1, 0, 0, 0].map(u16::to_le_bytes).concat());
    all.extend([1u32.to_le_bytes(), 4u32.to_le_bytes()].concat());
    all.extend([0u64, 0x40_0000, 0x40_0000, 120, 120, 0x1000].map(u64::to_le_bytes).concat());
    all
}

/// A run on its way, and the process id of its program.
fn running(bundle: &Bundle) -> Result<(Running, Pid), Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let running = bundle.start(bundle.command(&["run", "--bundle", &here, &bundle.id])?)?;
    patiently("the program", || Ok(bundle.rootfs("tmp/ready").exists()))?;
    let pid = bundle.state()?["pid"].as_i64().unwrap_or(0) as i32;
    ensure!(pid > 1, "pid {pid}");
    Ok((running, Pid::from_raw(pid)))
}

fn without_pids(bundle: &mut Bundle) -> Outcome {
    let list = bundle.config.pointer_mut("/linux/namespaces").and_then(|list| list.as_array_mut());
    list.ok_or("no namespaces")?.retain(|n| n["type"] != "pid");
    Ok(())
}

fn full_stack() -> Outcome {
    let mut bundle = calls(&["stack"])?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_STACK", "soft": 262_144, "hard": 262_144}]))?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 11)?;
    says(&done, "the program's stack is full (SIGSEGV): it wrote to", &["/process/rlimits/0", LOGGED, "recursion"])?;
    bundle.clean()
}

fn bus_error() -> Outcome {
    let bundle = calls(&["bus", "/tmp/file"])?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 7)?;
    says(&done, "used a page of a mapped file that is not there (SIGBUS)", &["try: raise `size`"])?;
    bundle.clean()
}

fn by_itself() -> Outcome {
    let ends = [
        ("pipe", 13, "no reader any more"),
        ("abort", 6, "it called abort()"),
        ("alarm", 14, "a timer that it had set"),
    ];
    for (name, signal, words) in ends {
        let mut bundle = calls(&[name])?;
        without_pids(&mut bundle)?;
        let done = run(&bundle, &[])?;
        same("status and words", (done.status, done.err.as_str()), (128 + signal, ""))?;
        let text = trace(&bundle)?;
        ensure!(text.contains(words), "{text}");
        bundle.clean()?;
    }
    // The kernel spares the first process of a pid namespace this signal; what abort() does then is a fault. Other kernels than
    // that of x86 do not write it into their log.
    if cfg!(not(target_arch = "x86_64")) {
        return Ok(());
    }
    let bundle = calls(&["abort"])?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 11)?;
    says(&done, "as abort() does in the first process", &["general protection fault"])?;
    bundle.clean()
}

/// The log has the call and not its arguments.
fn several_rules() -> Outcome {
    let mut bundle = Bundle::shell("umask 0; true")?;
    let rule = |value: u64| {
        let args = json!([{"index": 0, "value": value, "op": "SCMP_CMP_EQ"}]);
        json!({"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS", "args": args})
    };
    profile(&mut bundle, "SCMP_ACT_ALLOW", json!([rule(9), rule(0)]))?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 31)?;
    says(&done, "at the call umask, by one of several rules", &["/linux/seccomp/syscalls)", "--watch"])?;
    bundle.clean()
}

fn outside() -> Outcome {
    let bundle = script("echo > /tmp/ready; sleep 1000")?;
    let (running, pid) = self::running(&bundle)?;
    kill(pid, Signal::SIGKILL)?;
    let done = bundle.wait(running)?;
    same("status", done.status, 128 + 9)?;
    says(&done, "a process outside of the container sent SIGKILL to the program", &["known: ", "try: "])?;
    bundle.clean()
}

fn handed_on() -> Outcome {
    let mut bundle = script("echo > /tmp/ready; sleep 1000")?;
    let list = bundle.config.pointer_mut("/linux/namespaces").and_then(|list| list.as_array_mut());
    list.ok_or("no namespaces")?.retain(|n| n["type"] != "pid");
    let (running, _) = self::running(&bundle)?;
    kill(Pid::from_raw(running.child.id() as i32), Signal::SIGTERM)?;
    let done = bundle.wait(running)?;
    // The caller has sent it, and is told nothing.
    same("status and words", (done.status, done.err.as_str()), (128 + 15, ""))?;
    let text = trace(&bundle)?;
    let words = format!("process {} of user 0 sent SIGTERM to this command", std::process::id());
    ensure!(text.contains(&words), "{text}");
    bundle.clean()
}

/// A created and started container, as an engine has it: this runtime is not told of its end.
fn by_kill() -> Outcome {
    let bundle = script("sleep 1000")?;
    start(&bundle)?;
    bundle.call(&["kill", &bundle.id, "KILL"])?.ok()?;
    bundle.until("stopped")?;
    let ended = &bundle.state()?["ended"];
    same("cause", ended["cause"].as_str(), Some("`nk-runtime kill` or `delete` sent SIGKILL to the program"))?;
    let known = ended["known"].as_array().cloned().unwrap_or_default();
    let told = known.iter().filter_map(Value::as_str).any(|known| known.starts_with("the trace: "));
    ensure!(told, "{ended}");
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn limited(text: &str, kind: &str, soft: u64, hard: u64) -> Result<Bundle, Failed> {
    let mut bundle = script(text)?;
    bundle.set("/process/rlimits", json!([{"type": kind, "soft": soft, "hard": hard}]))?;
    let list = bundle.config.pointer_mut("/linux/namespaces").and_then(|list| list.as_array_mut());
    // The kernel spares the first process of a pid namespace these signals.
    list.ok_or("no namespaces")?.retain(|n| n["type"] != "pid");
    Ok(bundle)
}

fn file_size() -> Outcome {
    let bundle = limited("exec dd if=/dev/zero of=/tmp/f bs=4096 count=8 2>/dev/null", "RLIMIT_FSIZE", 8192, 8192)?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 25)?;
    says(
        &done,
        "wrote beyond 8 KiB, the size that RLIMIT_FSIZE allows to a file (config.json /process/rlimits/0)",
        &["try: "],
    )?;
    bundle.clean()
}

fn processor_time() -> Outcome {
    let bundle = limited("while :; do :; done", "RLIMIT_CPU", 1, 5)?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 24)?;
    let words = "its soft limit RLIMIT_CPU allows: 1 s (config.json /process/rlimits/0)";
    says(&done, words, &["usage_usec", "try: "])?;
    bundle.clean()?;
    // The soft limit's signal does not reach the first process of a pid namespace, and the hard limit's does.
    let mut bundle = Bundle::shell("while :; do :; done")?;
    bundle.set("/process/rlimits", json!([{"type": "RLIMIT_CPU", "soft": 1, "hard": 1}]))?;
    let done = run(&bundle, &[])?;
    same("status", done.status, 128 + 9)?;
    says(&done, "its hard limit RLIMIT_CPU allows: 1 s (config.json /process/rlimits/0)", &["usage_usec"])?;
    bundle.clean()
}

fn exec() -> Outcome {
    let mut bundle = script("sleep 1000")?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", json!([{"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS"}]))?;
    start(&bundle)?;
    let done = bundle.call(&["exec", &bundle.id, "sh", "-c", "umask 0; true"])?;
    same("status", done.status, 128 + 31)?;
    says(&done, "killed the program at the call umask (config.json /linux/seccomp/syscalls/0)", &["try: "])?;
    let text = trace(&bundle)?;
    ensure!(text.contains("killed the program at the call umask"), "{text}");
    let done = bundle.call(&["exec", &bundle.id, "sh", "-c", "exit 3"])?;
    same("status and words", (done.status, done.err.as_str()), (3, ""))?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Where a log takes it, standard error is the program's alone.
fn log() -> Outcome {
    let mut bundle = Bundle::shell("umask 0; true")?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", json!([{"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS"}]))?;
    bundle.write_config()?;
    let file = bundle.path("log").to_string_lossy().into_owned();
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = ["--log", &file, "--log-format", "json", "run", "--bundle", &here, &bundle.id];
    let done = bundle.call(&words)?;
    same("status and words", (done.status, done.err.as_str()), (128 + 31, ""))?;
    let text = fs::read_to_string(&file)?;
    let line: Value = serde_json::from_str(text.lines().last().unwrap_or(""))?;
    let message = line["msg"].as_str().unwrap_or("");
    ensure!(
        line["level"] == "warning" && message.contains("at the call umask") && message.contains("; try: "),
        "{text}"
    );
    bundle.clean()
}

fn kept() -> Outcome {
    for (text, status) in [("exit 3", 3), ("true", 0)] {
        let bundle = Bundle::shell(text)?;
        same("status", run(&bundle, &["--keep"])?.status, status)?;
        let state = bundle.state()?;
        same("state", (state["status"].as_str(), &state["ended"]), (Some("stopped"), &json!({"status": status})))?;
        bundle.call(&["delete", &bundle.id])?.ok()?;
        bundle.clean()?;
    }
    let mut bundle = Bundle::shell("umask 0; true")?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", json!([{"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS"}]))?;
    run(&bundle, &["--keep"])?;
    let ended = bundle.state()?["ended"].clone();
    same("signal", (ended["status"].as_i64(), ended["signal"].as_str()), (Some(159), Some("SIGSYS")))?;
    same("where", ended["where"].as_str(), Some("config.json /linux/seccomp/syscalls/0"))?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Its parent has not taken its status. The parent is this test, since the runtime has ended.
fn zombie() -> Outcome {
    use std::os::unix::process::CommandExt;
    let bundle = script("while [ ! -e /tmp/go ]; do sleep 0.01; done; exit 7")?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    // This shell adopts the container's first process, and does not wait for it.
    let line = "\"$@\"; read -r _ < \"$FIFO\"";
    let fifo = bundle.path("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU)?;
    let mut command = std::process::Command::new("/bin/sh");
    let own = bundle.command(&["run", "--detach", "--bundle", &here, &bundle.id])?;
    command.args(["-c", line, "sh"]).arg(own.get_program()).args(own.get_args()).env("FIFO", &fifo);
    // SAFETY: prctl(2) is async-signal-safe, and nothing else is called.
    unsafe {
        command.pre_exec(|| nix::sys::prctl::set_child_subreaper(true).map_err(std::io::Error::from));
    }
    let running = bundle.start(command)?;
    patiently("the container", || Ok(bundle.call(&["state", &bundle.id])?.out.contains("running")))?;
    // The shell must be at its `read`: while it waits for a command it takes the status of any child.
    patiently("the runtime's end", || Ok(children(running.child.id())? == 1))?;
    fs::write(bundle.rootfs("tmp/go"), "")?;
    bundle.until("stopped")?;
    let state = bundle.state()?;
    fs::write(&fifo, "\n")?;
    bundle.wait(running)?.ok()?;
    same("ended", &state["ended"], &json!({"status": 7}))?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn children(pid: u32) -> Result<usize, Failed> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(text.split_whitespace().count())
}

fn attached() -> Outcome {
    let bundle = script("exit 9")?;
    bundle.bundled(&["create"])?.ok()?;
    same("status", bundle.call(&["start", "--attach", &bundle.id])?.status, 9)?;
    same("ended", &bundle.state()?["ended"], &json!({"status": 9}))?;
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

fn events() -> Outcome {
    let mut bundle = script("echo > /tmp/ready; while [ ! -e /tmp/go ]; do sleep 0.01; done; umask 0; true")?;
    profile(&mut bundle, "SCMP_ACT_ALLOW", json!([{"names": ["umask"], "action": "SCMP_ACT_KILL_PROCESS"}]))?;
    crate::cgroup::ready(&bundle)?;
    let running = bundle.start(bundle.command(&["events", &bundle.id])?)?;
    patiently("the first line", || Ok(running.said().0.contains("stats")))?;
    fs::write(bundle.rootfs("tmp/go"), "")?;
    let done = bundle.wait(running)?.ok()?;
    let last: Value = serde_json::from_str(done.out.lines().last().unwrap_or(""))?;
    same("type", last["type"].as_str(), Some("ended"))?;
    // Whether the status is known depends on who adopts the process here.
    if last["data"]["status"] == 159 {
        same("cause", last["data"]["where"].as_str(), Some("config.json /linux/seccomp/syscalls/0"))?;
    }
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}
