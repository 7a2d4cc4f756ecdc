//! What the screens of `run --step` say, beside what the kernel says; and how they fit on a small terminal.

use super::{PROMPT, seat_of, stop, within};
use crate::screen::Seat;
use crate::{Failed, Outcome, area, ensure, everything, same};
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

pub fn cases() -> Vec<Trial> {
    area(
        "step",
        &[
            ("the_world_of_the_calls_is_that_of_proc", world),
            ("what_the_last_line_has_made_is_shown", made),
            ("all_fits_on_a_small_terminal", small),
        ],
    )
}

/// The process of a stop.
fn process(shown: &str) -> Result<i32, Failed> {
    let line = shown.lines().find_map(|line| line.strip_prefix("process ")).unwrap_or_default();
    let pid = line.trim().split(',').next().and_then(|pid| pid.parse().ok());
    pid.ok_or_else(|| format!("no process: {shown}").into())
}

/// What stands under a heading, up to the next one.
fn part<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let headings = ["New since", "Since this", "What process", "Its "];
    let after = page.lines().skip_while(|line| !line.starts_with(heading)).skip(1);
    after
        .take_while(|line| !headings.iter().any(|begin| line.starts_with(begin)) && !line.starts_with(PROMPT))
        .collect()
}

/// Both lanes, at each section: `w` tells the descriptors, the capabilities and the mounts that /proc has.
fn world() -> Outcome {
    let bundle = everything::bundle()?;
    let mut seat = seat_of(&bundle, &["--step=sections"], 300, 120)?;
    let mut stops = 0;
    let mut host = BTreeMap::new();
    loop {
        let shown = stop(&mut seat)?;
        let pid = process(&shown)?;
        if stops == 0 {
            host = spaces(pid)?;
        }
        seat.screen.keys("w")?;
        let page = seat.screen.until(PROMPT)?;
        let here = format!("at {shown}\n{page}");
        agrees(pid, &page, &host).map_err(|differs| format!("{differs:?} {here}"))?;
        stops += 1;
        seat.screen.keys("\r")?;
        if shown.contains("section program") {
            break;
        }
    }
    seat.leave(0)?;
    ensure!(stops > 40, "only {stops} stops");
    bundle.clean()
}

const KINDS: [&str; 8] = ["mnt", "pid", "net", "uts", "ipc", "user", "cgroup", "time"];

/// The namespaces of a process, by their kinds.
fn spaces(pid: i32) -> Result<BTreeMap<&'static str, PathBuf>, Failed> {
    let space = |kind| Ok((kind, fs::read_link(format!("/proc/{pid}/ns/{kind}"))?));
    KINDS.into_iter().map(space).collect()
}

/// `host`: the namespaces of the runtime.
fn agrees(pid: i32, page: &str, host: &BTreeMap<&str, PathBuf>) -> Outcome {
    let number = |line: &&str| line.split(' ').next().and_then(|number| number.parse::<i32>().ok());
    let told: BTreeSet<i32> = part(page, "Its descriptors").iter().filter_map(number).collect();
    let mut there = BTreeSet::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        // The runtime waits meanwhile, and after a moment it takes signals, too.
        let waits = fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy() == "anon_inode:[signalfd]");
        let number = entry.file_name().to_string_lossy().parse::<i32>()?;
        if !waits || told.contains(&number) {
            there.insert(number);
        }
    }
    same("descriptors", told, there)?;
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let facts = part(page, "What process");
    let fact = |name: &str| facts.iter().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp_filters:")).unwrap_or("0");
    same("filters", fact("seccomp filters"), seccomp.trim())?;
    let no_new = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:")).unwrap_or_default();
    same("no_new_privs", fact("no_new_privs"), no_new.trim())?;
    let real = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim();
    same("user", fact("user  "), real("Uid:").split('\t').next().unwrap_or_default())?;
    let cwd = fs::read_link(format!("/proc/{pid}/cwd"))?.display().to_string();
    ensure!(
        fact("cwd  ") == cwd || cwd.len() > 60 && cwd.starts_with(fact("cwd  ")),
        "cwd {} and {cwd}",
        fact("cwd  ")
    );
    for (set, line) in [("permitted", "CapPrm:"), ("bounding", "CapBnd:")] {
        let bits = u64::from_str_radix(real(line), 16)?;
        let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap")?.trim().parse()?;
        let all = fact(set) == "all";
        ensure!(all == (bits.count_ones() == last + 1), "{set}: {} and {bits:x}", fact(set));
    }
    let spaces = spaces(pid)?;
    let is_own = |kind: &str| spaces.get(kind) != host.get(kind);
    for kind in KINDS {
        let told = fact(&format!("{kind} namespace"));
        same(kind, told.starts_with("its own"), is_own(kind))?;
    }
    // Once the host's mounts are gone, all mounts are those that the calls have made.
    let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo"))?;
    let paths: BTreeSet<&str> = mounts.lines().filter_map(|line| line.split(' ').nth(4)).collect();
    if is_own("mnt") && paths.contains("/dev/pts") && !mounts.contains("/rootfs/proc") && !paths.contains("/run") {
        let tree = part(page, "Its mounts");
        let told: BTreeSet<&str> = tree.iter().filter_map(|line| line.trim().split(' ').next()).collect();
        let missing: Vec<_> = paths.difference(&told).collect();
        ensure!(missing.is_empty(), "mounts that are not told: {missing:?}");
    }
    Ok(())
}

/// The calls of a line stand at the next stop of its lane, in short, and under `w` each after its call.
fn made() -> Outcome {
    let bundle = everything::bundle()?;
    let rows = [
        ("/root", "descriptor ", "open_tree"),
        ("/mounts/0", "cwd: ", "mount on "),
        ("sethostname", "hostname: ", "sethostname"),
        ("capset", "effective capabilities: ", "capset"),
    ];
    for (at, short, long) in rows {
        let mut seat = seat_of(&bundle, &["--break", at], 300, 100)?;
        stop(&mut seat)?;
        seat.screen.keys("n")?;
        let shown = stop(&mut seat)?;
        let new = shown.lines().skip_while(|line| !line.starts_with("new "));
        let new: Vec<&str> = new.take_while(|line| !line.starts_with("look")).collect();
        ensure!(new.iter().any(|line| line.contains(short)), "{at}: {short}: {shown}");
        seat.screen.keys("v")?;
        let page = seat.screen.until(PROMPT)?;
        ensure!(page.contains(short) && !page.contains("w shows them"), "{at}: v: {page}");
        seat.screen.keys("w")?;
        let page = seat.screen.until(PROMPT)?;
        ensure!(part(&page, "New since").iter().any(|line| line.contains(long)), "{at}: {long}: {page}");
        seat.screen.keys("q")?;
        seat.leave(1)?;
        bundle.nothing_left()?;
    }
    bundle.clean()
}

/// The text that follows a key, a screen at a time; each fits.
fn fits(seat: &mut Seat, rows: usize, columns: usize) -> Outcome {
    loop {
        let shown = seat.screen.until_any(&[PROMPT, "q: no more --"])?;
        // The line end that was typed with the key is above the screen.
        within(shown.trim_start_matches(['\r', '\n']), rows, columns)?;
        if shown.ends_with(PROMPT) {
            return Ok(());
        }
        seat.screen.keys(" ")?;
    }
}

fn small() -> Outcome {
    let (rows, columns) = (10, 40);
    let bundle = everything::bundle()?;
    let mut seat = seat_of(&bundle, &["--step=sections"], 10, 40)?;
    loop {
        let shown = stop(&mut seat)?;
        within(&shown, rows, columns)?;
        ensure!(shown.contains("q end  ? help"), "the keys: {shown}");
        for key in ["v", "w", "i", "e", "l", "?"] {
            seat.screen.keys(key)?;
            fits(&mut seat, rows, columns).map_err(|wide| format!("{key}: {wide:?} at {shown}"))?;
        }
        seat.screen.keys("\r")?;
        if shown.contains("execve sh") {
            break;
        }
    }
    seat.leave(0)?;
    bundle.clean()
}
