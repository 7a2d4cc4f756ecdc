//! `run --step` at a terminal: what a stop shows, what each key does, and how it ends.

pub mod calls;
pub mod every;
pub mod screens;

use crate::bundle::{Bundle, patiently};
use crate::cgroup::script;
use crate::screen::Seat;
use crate::strace::traced;
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::fs;
use std::process::Stdio;
use std::time::Duration;

pub const PROMPT: &str = "step> ";
/// What ends a run at the prompt.
pub const ENDED: &str = "ended at the prompt of --step";

pub fn cases() -> Vec<Trial> {
    area(
        "step",
        &[
            ("a_stop_fits_on_a_screen", fits),
            ("keys_explain_inspect_list_and_help", keys),
            ("a_break_is_added", added),
            ("breaks_of_all_kinds", breaks),
            ("a_break_that_fits_nothing_is_refused", unknown),
            ("without_a_terminal_it_is_refused", no_terminal),
            ("the_end_of_the_terminal_ends_it", hung_up),
            ("signals_end_it", signals),
            ("the_shell_gets_its_terminal_back", suspended),
            ("the_window_changes_its_size", resized),
            ("the_commands_for_another_window_work", window),
            ("a_killed_stepper_leaves_nothing", killed),
            ("a_killed_run_ends_its_stepper", killed_run),
            ("two_runs_at_once", two_at_once),
            ("a_line_that_fails_is_told", fails),
            ("a_call_for_it_that_fails_leaves_nothing", failing),
            ("its_calls_are_apart_in_the_trace", apart),
            ("the_terminal_of_the_container_is_its_own", own_terminal),
            ("detached", detached),
            ("beside_a_watcher", watched),
            ("limits_do_not_run_while_it_waits", patient),
        ],
    )
}

/// `run` with these words at a terminal of 24 rows and 80 columns.
pub fn seat(bundle: &Bundle, words: &[&str]) -> Result<Seat, Failed> {
    seat_of(bundle, words, 24, 80)
}

/// The same at a terminal of so many rows and columns.
pub fn seat_of(bundle: &Bundle, words: &[&str], rows: u16, columns: u16) -> Result<Seat, Failed> {
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let words = [&["run"], words, &["--bundle", &here, &bundle.id]].concat();
    Seat::of_size(bundle, &bundle.command(&words)?, rows, columns)
}

/// The next stop, as it is shown.
pub fn stop(seat: &mut Seat) -> Result<String, Failed> {
    let shown = seat.screen.until(PROMPT)?;
    let from = shown.rfind("== line ").unwrap_or(0);
    Ok(shown[from..].into())
}

/// The number in the heading of a stop.
pub fn number(stop: &str) -> Result<u16, Failed> {
    let number = stop.strip_prefix("== line ").and_then(|rest| rest.split(' ').next());
    number.and_then(|number| number.parse().ok()).ok_or_else(|| format!("no stop: {stop:?}").into())
}

/// Whether a screen has at most so many rows and columns.
pub fn within(shown: &str, rows: usize, columns: usize) -> Outcome {
    // What stood in a line before it was written again is gone.
    let lines: Vec<&str> = shown.lines().map(|line| line.rsplit('\r').next().unwrap_or(line)).collect();
    ensure!(lines.len() <= rows, "{} rows: {shown}", lines.len());
    let long = lines.iter().find(|line| line.chars().count() > columns);
    ensure!(long.is_none(), "{} columns: {long:?}", long.map_or(0, |line| line.chars().count()));
    Ok(())
}

/// From the first line to the last, each stop fits; both lanes stop, and the program runs at the end.
fn fits() -> Outcome {
    let bundle = everything::bundle()?;
    let mut seat = seat(&bundle, &["--step"])?;
    let mut seen = Vec::new();
    let last = loop {
        let shown = stop(&mut seat)?;
        within(&shown, 24, 80)?;
        seen.push(number(&shown)?);
        seat.screen.keys("\r")?;
        if shown.contains("section program") {
            break shown;
        }
    };
    ensure!(last.contains("This is the last stop"), "{last}");
    seat.leave(0)?;
    let listing = bundle.bundled(&["plan"])?.ok()?.out;
    let mut all: Vec<u16> = listing.lines().filter_map(|line| line.trim().split("  ").next()?.parse().ok()).collect();
    seen.sort_unstable();
    all.sort_unstable();
    same("lines with a stop", seen, all)?;
    bundle.clean()
}

fn keys() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut seat = seat(&bundle, &["--break", "pivot_root"])?;
    let shown = stop(&mut seat)?;
    ensure!(shown.contains("switch the root, unmount the host's"), "{shown}");
    ensure!(shown.contains("/root {\"path\": \"rootfs\""), "the piece of config.json: {shown}");
    ensure!(shown.contains("host lane"), "where the other lane is: {shown}");
    let rows = [
        ("?", "add a break"),
        ("l", "switch the root, unmount the host's"),
        ("e", "pivot_root (system call)"),
        ("i", "namespaces"),
        ("x", "no such key"),
        // An arrow key does nothing.
        ("\x1b[A\x0c", "switch the root, unmount the host's"),
    ];
    for (key, words) in rows {
        seat.screen.keys(key)?;
        let all = pages(&mut seat)?;
        ensure!(all.contains(words), "{key}: {words}: {all}");
    }
    seat.screen.keys("c")?;
    seat.leave(0)?;
    bundle.clean()
}

/// A text up to the next prompt. A long one comes a screen at a time, and any key shows the next.
fn pages(seat: &mut Seat) -> Result<String, Failed> {
    let mut all = String::new();
    loop {
        let shown = seat.screen.until_any(&[PROMPT, "q: no more --"])?;
        within(&shown, 24, 80)?;
        all.push_str(&shown);
        if shown.ends_with(PROMPT) {
            return Ok(all);
        }
        seat.screen.keys(" ")?;
    }
}

fn added() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut seat = seat(&bundle, &["--step"])?;
    stop(&mut seat)?;
    // What was typed wrong is taken back; a break that fits nothing is told.
    seat.screen.keys("bnothing at all\r")?;
    let said = seat.screen.until(PROMPT)?;
    ensure!(said.contains("no line makes a call"), "{said}");
    seat.screen.keys("bexecvf\x7fe\r")?;
    seat.screen.until("stops at execve")?;
    seat.screen.until(PROMPT)?;
    seat.screen.keys("c")?;
    let shown = stop(&mut seat)?;
    ensure!(shown.contains("line        execve sh") && shown.contains("section program"), "{shown}");
    seat.screen.keys("q")?;
    let said = seat.leave(1)?;
    // No line and no purpose of one is why it ended.
    ensure!(said.contains(ENDED) && !said.contains("call:") && !said.contains("why:"), "{said}");
    bundle.clean()
}

/// A line, a call, a section, a place of config.json and what lies below it; several at once.
fn breaks() -> Outcome {
    let mut bundle = Bundle::plain()?;
    // With this setting the plan has the same lines without --step: init gets a copy of the memory.
    bundle.set("/process/oomScoreAdj", json!(0))?;
    let listing = bundle.bundled(&["plan"])?.ok()?.out;
    let line_of = |words: &str| {
        let line = listing.lines().find(|line| line.contains(words)).unwrap_or_default();
        number(&format!("== line {}", line.trim()))
    };
    let proc = line_of("mount proc on /proc")?;
    let rows = [
        (vec!["41"], vec![41]),
        (vec!["/mounts/0"], vec![proc]),
        (vec!["sethostname"], vec![line_of("set the host name")?]),
        (vec!["pivot"], vec![line_of("switch the root")?]),
        (vec!["clone3", "/mounts/0"], vec![line_of("clone init")?, proc]),
    ];
    for (words, wanted) in rows {
        let options: Vec<&str> = words.iter().flat_map(|word| ["--break", word]).collect();
        let mut seat = seat(&bundle, &options)?;
        for number_wanted in &wanted {
            same(&format!("{words:?}"), number(&stop(&mut seat)?)?, *number_wanted)?;
            seat.screen.keys("c")?;
        }
        seat.leave(0)?;
        bundle.nothing_left()?;
    }
    // All mounts: `/mounts` is above each of them.
    let mut seat = seat(&bundle, &["--break", "/mounts"])?;
    let mut stops = 0;
    while !seat.screen.shown.contains("[status") {
        let shown = stop(&mut seat)?;
        ensure!(shown.contains("asked by    /mounts/"), "{shown}");
        stops += 1;
        seat.screen.keys("c")?;
        if stops == listing.matches("[/mounts/").count() {
            break;
        }
    }
    seat.leave(0)?;
    bundle.clean()
}

fn unknown() -> Outcome {
    let bundle = Bundle::plain()?;
    for (word, said) in
        [("9999", "no line 9999"), ("/mounts/77", "no line comes from"), ("frob", "no line makes a call")]
    {
        let seat = seat(&bundle, &["--break", word])?;
        let shown = seat.leave(1)?;
        ensure!(shown.contains(said), "{word}: {shown}");
    }
    let done = bundle.bundled(&["run", "--mode", "vm", "--step"])?.refused("--step does not go with --mode vm")?;
    ensure!(done.out.is_empty(), "{done:?}");
    bundle.bundled(&["run", "--step=words"])?.refused("lines or sections")?;
    bundle.clean()
}

fn no_terminal() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&["run", "--step", "--bundle", &here, &bundle.id])?;
    let mut command = std::process::Command::new(crate::bundle::tool("setsid")?);
    command.arg("--wait").arg(inner.get_program()).args(inner.get_args()).stdin(Stdio::null());
    bundle.finish(command)?.refused("need a terminal")?;
    bundle.clean()
}

/// The terminal's other side is closed.
fn hung_up() -> Outcome {
    let bundle = everything::bundle()?;
    let mut seat = seat(&bundle, &["--break", "pivot_root"])?;
    stop(&mut seat)?;
    let Seat { screen, mut child, .. } = seat;
    drop(screen);
    let ended = child.wait()?;
    ensure!(!ended.success(), "{ended}");
    patiently("the container is undone", || Ok(bundle.nothing_left().is_ok()))?;
    bundle.clean()
}

/// SIGINT, SIGTERM and SIGHUP for the runtime, while either lane is stopped.
fn signals() -> Outcome {
    let bundle = Bundle::plain()?;
    for place in ["1", "pivot_root", "execve"] {
        for signal in ["INT", "TERM", "HUP"] {
            let mut seat = seat(&bundle, &["--break", place])?;
            stop(&mut seat)?;
            let runtime = runtime_of(&seat)?;
            let kill = std::process::Command::new("kill").args(["-s", signal, &runtime.to_string()]).status()?;
            ensure!(kill.success(), "kill {signal}");
            let said = seat.leave(1)?;
            ensure!(said.contains("ended the wait"), "{place} {signal}: {said}");
            bundle.nothing_left()?;
        }
        // Typed, they are keys.
        for key in ["\x03", "\x04"] {
            let mut seat = seat(&bundle, &["--break", place])?;
            stop(&mut seat)?;
            seat.screen.keys(key)?;
            let said = seat.leave(1)?;
            ensure!(said.contains(ENDED), "{said}");
            bundle.nothing_left()?;
        }
    }
    bundle.clean()
}

/// The runtime's process: setsid(1) has started it.
fn runtime_of(seat: &Seat) -> Result<i32, Failed> {
    let pid = seat.child.id();
    // setsid may have become the runtime itself.
    if fs::read_to_string(format!("/proc/{pid}/comm"))?.trim() != "setsid" {
        return Ok(pid as i32);
    }
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    Ok(children.split_whitespace().next().ok_or("setsid has no child")?.parse()?)
}

/// Ctrl-Z in a shell with jobs; `fg` shows the stop again.
fn suspended() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let inner = bundle.command(&["run", "--break", "pivot_root", "--bundle", &here, &bundle.id])?;
    let words: Vec<String> = std::iter::once(inner.get_program())
        .chain(inner.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    let mut shell = std::process::Command::new("/bin/bash");
    shell.args(["--norc", "--noprofile", "-i"]);
    let mut seat = Seat::of_size(&bundle, &shell, 24, 80)?;
    seat.screen.keys("PS1='shell: '\r")?;
    seat.screen.until("shell: ")?;
    seat.screen.keys(&format!("{}\r", words.join(" ")))?;
    stop(&mut seat)?;
    for _ in 0..2 {
        seat.screen.keys("\x1a")?;
        seat.screen.until("Stopped")?;
        seat.screen.until("shell: ")?;
        seat.screen.keys("echo $((20 + 3))\r")?;
        seat.screen.until("23\r\n")?;
        seat.screen.keys("fg\r")?;
        let shown = stop(&mut seat)?;
        ensure!(shown.contains("switch the root"), "{shown}");
    }
    // In the background it leaves the terminal alone.
    seat.screen.keys("\x1a")?;
    seat.screen.until("shell: ")?;
    seat.screen.keys("bg\r")?;
    seat.screen.until("shell: ")?;
    seat.screen.keys("echo $((20 + 4))\r")?;
    seat.screen.until("24\r\n")?;
    seat.screen.keys("fg\r")?;
    stop(&mut seat)?;
    seat.screen.keys("c")?;
    seat.screen.until("shell: ")?;
    seat.screen.keys("echo status $?\r")?;
    seat.screen.until("status 0\r\n")?;
    seat.screen.keys("exit 0\r")?;
    seat.leave(0)?;
    bundle.clean()
}

fn resized() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut seat = seat(&bundle, &["--break", "pivot_root"])?;
    within(&stop(&mut seat)?, 24, 80)?;
    for (rows, columns) in [(12, 40), (50, 132), (24, 80)] {
        seat.screen.resize(rows, columns)?;
        let shown = stop(&mut seat)?;
        within(&shown, rows.into(), usize::from(columns).min(120))?;
        ensure!(shown.contains("== line "), "{shown}");
    }
    seat.screen.keys("c")?;
    seat.leave(0)?;
    bundle.clean()
}

/// Each command of each stop, of both lanes, is carried out while that stop is shown.
fn window() -> Outcome {
    let bundle = everything::bundle()?;
    let mut seat = seat(&bundle, &["--step=sections"])?;
    let mut tried = 0;
    loop {
        let shown = stop(&mut seat)?;
        let after = shown.lines().skip_while(|line| !line.starts_with("look"));
        let commands = after.take_while(|line| !line.starts_with("Enter") && !line.starts_with("This is the last"));
        let commands: Vec<&str> =
            commands.map(|line| line.trim_start_matches("look").trim()).filter(|line| !line.is_empty()).collect();
        for command in &commands {
            let done = std::process::Command::new("sh").args(["-c", command]).output()?;
            // grep finds nothing as long as nothing is mounted there, and a directory may come later.
            let said = String::from_utf8_lossy(&done.stderr).into_owned();
            let early = command.starts_with("grep ' ")
                || said.contains("No such file") && !command.contains("cgroup")
                || command.contains("nsenter") && said.contains("No such");
            ensure!(done.status.success() || early, "{command}: {done:?} at {shown}");
            tried += 1;
        }
        seat.screen.keys("\r")?;
        if shown.contains("section program") {
            break;
        }
    }
    seat.leave(0)?;
    ensure!(tried > 40, "only {tried} commands");
    bundle.clean()
}

/// A run that has stopped there, the runtime's process, and its children: the stepper is the first.
fn stopped_at(bundle: &Bundle, place: &str) -> Result<(Seat, i32, Vec<i32>), Failed> {
    let mut seat = seat(bundle, &["--break", place])?;
    stop(&mut seat)?;
    let runtime = runtime_of(&seat)?;
    let children = fs::read_to_string(format!("/proc/{runtime}/task/{runtime}/children"))?;
    Ok((seat, runtime, children.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()))
}

fn kill(pid: i32) -> Outcome {
    Ok(nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL)?)
}

/// The run ends as a failure, also where init asks without a call; the terminal is as it was.
fn killed() -> Outcome {
    let bundle = everything::bundle()?;
    for place in ["1", "clone3", "pivot_root", "execve"] {
        let (seat, _, children) = stopped_at(&bundle, place)?;
        kill(*children.first().ok_or("no stepper")?)?;
        let said = seat.leave(1)?;
        ensure!(said.contains("prompt of --step was killed"), "{said}");
        bundle.nothing_left()?;
    }
    bundle.clean()
}

/// The stepper gives the terminal back and ends, and so does init. What is left goes with `delete`.
fn killed_run() -> Outcome {
    let bundle = everything::bundle()?;
    for place in ["1", "clone3", "pivot_root", "execve"] {
        let (mut seat, runtime, children) = stopped_at(&bundle, place)?;
        kill(runtime)?;
        let there = |pid: &i32| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            !stat.is_empty() && !stat.contains(") Z ")
        };
        patiently("its processes end", || Ok(!children.iter().any(there)))?;
        let ended = seat.child.wait()?;
        ensure!(!ended.success(), "{ended}");
        ensure!(seat.is_as_before()?, "{place}: the terminal is not as it was");
        drop(seat);
        bundle.call(&["delete", "--force", &bundle.id])?;
        patiently("nothing is left", || Ok(bundle.nothing_left().is_ok()))
            .map_err(|late| format!("{place}: {late:?}"))?;
    }
    bundle.clean()
}

/// Each at a terminal of its own: neither disturbs the other.
fn two_at_once() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    let other = format!("{}-other", bundle.id);
    let take = |id: &str| {
        let command = bundle.command(&["run", "--step=sections", "--bundle", &here, id])?;
        Seat::of_size(&bundle, &command, 24, 80)
    };
    let mut seats = [take(&bundle.id)?, take(&other)?];
    let mut stops = [0; 2];
    let mut last = [false; 2];
    while !last.iter().all(|last| *last) {
        for place in (0..2).filter(|place| !last[*place]).collect::<Vec<_>>() {
            let shown = stop(&mut seats[place])?;
            stops[place] += 1;
            last[place] = shown.contains("section program");
            seats[place].screen.keys("\r")?;
        }
    }
    same("stops", stops[0], stops[1])?;
    for seat in seats {
        seat.leave(0)?;
    }
    bundle.clean()
}

/// A line that fails tells its cause as at any other time.
fn fails() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/mounts/-", json!({"destination": "/broken", "type": "frobfs", "source": "none"}))?;
    let mut seat = seat(
        &bundle,
        &["--break", &format!("/mounts/{}", bundle.config["mounts"].as_array().map_or(0, Vec::len) - 1)],
    )?;
    stop(&mut seat)?;
    seat.screen.keys("c")?;
    let said = seat.leave(1)?;
    ensure!(said.contains("frobfs") && said.contains("ENODEV"), "{said}");
    bundle.nothing_left()?;
    bundle.clean()
}

/// The calls that make the stepper, and its own, made to fail.
fn failing() -> Outcome {
    let bundle = Bundle::plain()?;
    for (call, words) in [
        ("socketpair:error=EMFILE:when=1", "socketpair"),
        ("socketpair:error=EMFILE:when=3", "socketpair"),
        ("pidfd_open:error=EMFILE:when=1", "pidfd_open"),
        ("clone3:error=EAGAIN:when=1", "clone3"),
        ("signalfd4:error=EMFILE:when=1", PROMPT),
        ("ioctl:error=EIO", ENDED),
    ] {
        bundle.write_config()?;
        let here = bundle.path("").to_string_lossy().into_owned();
        let inner = bundle.command(&["run", "--step", "--bundle", &here, &bundle.id])?;
        let command = traced(&inner, &bundle.path("strace"), [format!("--inject={call}")])?;
        let mut seat = Seat::of_size(&bundle, &command, 24, 80)?;
        if words == PROMPT {
            stop(&mut seat)?;
            seat.screen.keys("q")?;
        }
        let said = seat.leave(1)?;
        // A wait that lasts for a moment opens one, too: on a slow machine that is the first.
        let waited = words == PROMPT && said.contains("signalfd4(");
        ensure!(waited || said.contains(if words == PROMPT { ENDED } else { words }), "{call}: {said}");
        bundle.nothing_left().map_err(|left| format!("{call}: {left:?}"))?;
    }
    bundle.clean()
}

/// The trace of a container that was made step by step shows the same calls as any other; those of `--step` on demand.
fn apart() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut seat = seat(&bundle, &["--keep", "--break", "pivot_root"])?;
    stop(&mut seat)?;
    seat.screen.keys("c")?;
    seat.leave(0)?;
    let trace = |words: &[&str]| Ok::<_, Failed>(bundle.call(&[&["trace", &bundle.id], words].concat())?.ok()?.out);
    let text = trace(&[])?;
    ensure!(text.contains("--step made ") && !text.contains("decides whether this line"), "{text}");
    ensure!(trace(&["--all"])?.contains("decides whether this line"), "--all");
    let own = trace(&["--lane", "stepper", "--format", "strace"])?;
    ensure!(own.contains("\"mountinfo\"") && own.contains("ppoll("), "{own}");
    bundle.call(&["delete", &bundle.id])?.ok()?;
    bundle.clean()
}

/// The program gets a terminal of its own, and what is typed after the last stop.
fn own_terminal() -> Outcome {
    let mut bundle = script("read word; echo got $word; exit 7")?;
    bundle.set("/process/terminal", json!(true))?;
    let mut seat = seat(&bundle, &["--step=sections"])?;
    loop {
        let shown = stop(&mut seat)?;
        seat.screen.keys("\r")?;
        if shown.contains("section program") {
            break;
        }
    }
    seat.screen.keys("hello\r")?;
    seat.screen.until("got hello")?;
    seat.leave(7)?;
    // Without a terminal of its own the program has the caller's.
    bundle.set("/process/terminal", json!(false))?;
    let mut seat = self::seat(&bundle, &["--break", "execve"])?;
    stop(&mut seat)?;
    seat.screen.keys("c")?;
    seat.screen.keys("again\n")?;
    seat.screen.until("got again")?;
    seat.leave(7)?;
    bundle.clean()
}

fn detached() -> Outcome {
    let bundle = Bundle::shell("sleep 1000")?;
    let pid_file = bundle.path("pid").to_string_lossy().into_owned();
    let mut seat = seat(&bundle, &["-d", "--pid-file", &pid_file, "--break", "execve"])?;
    let shown = stop(&mut seat)?;
    ensure!(shown.contains("section program"), "{shown}");
    seat.screen.keys("\r")?;
    seat.leave(0)?;
    same("status", bundle.status()?, String::from("running"))?;
    let pid: i64 = fs::read_to_string(&pid_file)?.trim().parse()?;
    same("pid", bundle.state()?["pid"].as_i64(), Some(pid))?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// The watcher traces init while the stepper stops it, after the filter is loaded.
fn watched() -> Outcome {
    let bundle = everything::copied()?;
    let mut seat = seat(&bundle, &["--watch", "--break", "execve", "--break", "capset"])?;
    stop(&mut seat)?;
    std::thread::sleep(Duration::from_millis(300));
    seat.screen.keys("c")?;
    let shown = stop(&mut seat)?;
    ensure!(shown.contains("section program"), "{shown}");
    seat.screen.keys("c")?;
    seat.leave(0)?;
    bundle.clean()
}

/// The host is stopped for longer than init waits for it at any other time, with a filter that asks an agent.
fn patient() -> Outcome {
    let mut bundle = Bundle::plain()?;
    let agent = crate::seccomp::notify::asked(&mut bundle)?;
    let mut seat = seat(&bundle, &["--break", "pidfd_getfd"])?;
    let shown = stop(&mut seat)?;
    ensure!(shown.contains("pass the seccomp listener"), "{shown}");
    seat.screen.keys("n")?;
    stop(&mut seat)?;
    std::thread::sleep(Duration::from_secs(12));
    seat.screen.keys("c")?;
    seat.leave(0)?;
    let _: Value = agent.join().map_err(|_| "the agent broke")??;
    bundle.clean()
}
