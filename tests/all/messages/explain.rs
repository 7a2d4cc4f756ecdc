//! `explain`: an entry of each kind, what is said of an unknown name, the table of contents, the book, and the records of a
//! trace.

use crate::bundle::Bundle;
use crate::screen::Seat;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};

pub fn cases() -> Vec<Trial> {
    area(
        "explain",
        &[
            ("each_kind_of_name_is_explained", kinds),
            ("a_flag_has_what_its_call_has", inherited),
            ("a_step_has_the_number_of_the_lifecycle", steps),
            ("a_kind_chooses_among_namesakes", namesakes),
            ("a_word_without_an_entry_has_relatives", relatives),
            ("an_unknown_name_has_three_neighbours", unknown),
            ("the_contents_lead_to_each_name", contents),
            ("search_looks_in_names_and_texts", search),
            ("the_book_reads_in_order", book),
            ("lines_are_as_long_as_the_terminal_is_wide", width),
            ("a_record_is_explained", record),
            ("a_refused_call_is_explained", refused),
            ("records_of_a_container_that_is_gone", gone),
            ("every_record_of_a_trace_is_explained", every_record),
        ],
    )
}

/// What `explain` says of these words, in lines of at most 80 columns.
fn explain(bundle: &Bundle, words: &[&str]) -> Result<String, Failed> {
    let done = bundle.call(&[&["explain"], words].concat())?.ok()?;
    let wide = done.out.lines().find(|line| line.chars().count() > 80);
    ensure!(wide.is_none() && done.err.is_empty(), "{words:?}: {wide:?} {}", done.err);
    Ok(done.out)
}

fn holds(text: &str, parts: &[&str]) -> Outcome {
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing: Vec<_> = parts.iter().filter(|part| !plain.contains(*part)).collect();
    ensure!(missing.is_empty(), "missing: {missing:?}\n{text}");
    Ok(())
}

fn kinds() -> Outcome {
    let bundle = Bundle::plain()?;
    for (name, parts) in [
        (
            "pivot_root",
            &["pivot_root (system call)", "Here: ", "Without it: ", "Try: `", "Man page: pivot_root(2)"][..],
        ),
        ("CLONE_NEWPID", &["CLONE_NEWPID (flag, of pid namespace)", "PID 1", "Try: ", "Man page: pid_namespaces(7)"]),
        ("MS_SLAVE", &["MS_SLAVE (flag, of mount)", "See also: "]),
        ("/linux/seccomp", &["/linux/seccomp (property of config.json)", "OCI: config-linux.md, \"Seccomp\""]),
        ("/process/rlimits/2/type", &["/process/rlimits/*/type (property of config.json)"]),
        ("EINVAL", &["EINVAL (error number)", "\"Invalid argument\""]),
        ("CAP_SYS_ADMIN", &["CAP_SYS_ADMIN (capability)"]),
        ("nosuid", &["nosuid (mount option)", "Man page: mount(8)"]),
        ("pid namespace", &["pid namespace (kind of namespace)"]),
        ("created", &["created (state)"]),
        ("mounts", &["mounts (step 2 of OCI's lifecycle)", "See also: /mounts"]),
        ("propagation", &["propagation, shared subtrees (concept)", "<------------>"]),
        ("einval", &["EINVAL (error number)"]),
    ] {
        holds(&explain(&bundle, &[name])?, parts)?;
        let words: Vec<&str> = name.split(' ').collect();
        holds(&explain(&bundle, &words)?, parts)?;
    }
    let both = explain(&bundle, &["unshare", "setns"])?;
    holds(&both, &["unshare (system call)", "setns (system call)"])?;
    bundle.clean()
}

fn inherited() -> Outcome {
    let bundle = Bundle::plain()?;
    let part = |text: &str, label: &str| text.split("\n").find(|line| line.starts_with(label)).map(String::from);
    let (call, flag) = (explain(&bundle, &["openat2"])?, explain(&bundle, &["RESOLVE_BENEATH"])?);
    for label in ["Man page: ", "OCI: ", "Try: "] {
        let own = part(&call, label);
        ensure!(own.is_some(), "openat2 has no {label}");
        same(label, part(&flag, label), own)?;
    }
    bundle.clean()
}

fn steps() -> Outcome {
    let bundle = Bundle::plain()?;
    let second = explain(&bundle, &["step", "2"])?;
    holds(&second, &["Step 2 of OCI's lifecycle", "cgroup (step): ", "mounts (step): ", "privileges (step): "])?;
    holds(&explain(&bundle, &["step", "8"])?, &["program (step 8 of OCI's lifecycle)"])?;
    holds(&explain(&bundle, &["step", "4"])?, &["hooks (step 3, 4, 5, 7, 9, 13 of OCI's lifecycle)"])?;
    holds(&explain(&bundle, &["step", "pivot"])?, &["pivot (step 2 of OCI's lifecycle)"])?;
    bundle.call(&["explain", "step", "77"])?.refused("no entry is called")?;
    bundle.clean()
}

/// `bind` and `sync` are each a system call and a mount option.
fn namesakes() -> Outcome {
    let bundle = Bundle::plain()?;
    for name in ["bind", "sync"] {
        let (call, option) = (format!("{name} (system call)"), format!("{name} (mount option)"));
        holds(&explain(&bundle, &[name])?, &[&call, &option])?;
        let text = explain(&bundle, &["call", name])?;
        ensure!(text.starts_with(&call) && !text.contains(&option), "{text}");
        let text = explain(&bundle, &["option", name])?;
        ensure!(text.starts_with(&option) && !text.contains(&call), "{text}");
    }
    bundle.clean()
}

fn relatives() -> Outcome {
    let bundle = Bundle::plain()?;
    // In a name, as one and as several.
    holds(&explain(&bundle, &["hook"])?, &["hooks (step): ", "lifecycle hooks (concept): "])?;
    // In a first sentence.
    holds(&explain(&bundle, &["rootfs"])?, &["root (step): "])?;
    // Only one: that itself.
    holds(&explain(&bundle, &["reaping"])?, &["pid 1, reaping (concept)", "Here: "])?;
    bundle.clean()
}

fn unknown() -> Outcome {
    let bundle = Bundle::plain()?;
    for (name, near) in [("pivot_rot", "pivot_root"), ("CLONE_NEWPIDS", "CLONE_NEWPID"), ("EINVALID", "EINVAL")] {
        let done = bundle.call(&["explain", name])?.refused(&format!("no entry is called `{name}`"))?;
        same("lines", (done.out.lines().count(), done.messages()), (0, 1))?;
        let names = done.err.split("the nearest names: ").nth(1).and_then(|rest| rest.split(';').next());
        let names: Vec<&str> = names.unwrap_or("").split(", ").collect();
        ensure!(names.len() == 3 && names[0] == near, "{names:?}");
    }
    for odd in ["a\nb", "\u{1b}[31m", "é", ":", "x:1", "/", "../x:1"] {
        let done = bundle.call(&["explain", odd])?;
        same("lines", (done.status, done.messages()), (1, 1))?;
        ensure!(done.err.lines().all(|line| !line.contains(char::is_control)), "{:?}", done.err);
    }
    bundle.clean()
}

fn contents() -> Outcome {
    let bundle = Bundle::plain()?;
    let text = explain(&bundle, &[])?;
    holds(&text, &["Concepts", "propagation", "System calls", "pivot_root", "CAP_SYS_ADMIN", "EINVAL"])?;
    ensure!(text.lines().count() <= 125, "{} lines", text.lines().count());
    // What has too many names for it says how to list them.
    let commands = text.split('`').filter_map(|part| part.strip_prefix("nk-runtime explain "));
    let commands: Vec<&str> = commands.filter(|words| *words != "NAME").collect();
    ensure!(commands.contains(&"flags of mounts"), "{commands:?}");
    for command in commands {
        let words: Vec<&str> = command.split(' ').collect();
        let names = explain(&bundle, &words)?;
        ensure!(names.lines().count() > 3, "{command}: {names}");
    }
    holds(&explain(&bundle, &["flags"])?, &["Flags of mounts", "MS_SLAVE", "SIGTERM"])?;
    bundle.clean()
}

fn search() -> Outcome {
    let bundle = Bundle::plain()?;
    let text = explain(&bundle, &["--search", "PIVOT_root"])?;
    ensure!(text.starts_with("pivot_root (system call): "), "{text}");
    holds(&text, &["chroot or pivot_root (concept): ", "umount2 (system call): "])?;
    bundle.call(&["explain", "--search", "frobnicate"])?.refused("no entry has `frobnicate`")?;
    bundle.clean()
}

fn book() -> Outcome {
    let bundle = Bundle::plain()?;
    let text = bundle.call(&["explain", "--book"])?.ok()?.out;
    let words = text.split_whitespace().filter(|word| word.chars().any(char::is_alphanumeric)).count();
    ensure!((10_000..=25_000).contains(&words), "{words} words");
    let chapters: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("# ")).collect();
    same("first", chapters[..2].to_vec(), vec!["Concepts", "Namespaces"])?;
    let place = |heading: &str| text.find(&format!("\n## {heading}\n"));
    let order = ["container", "pid namespace", "mounts", "clone3", "MS_SLAVE", "CAP_CHOWN", "ro", "EPERM"];
    let places: Vec<_> = order.iter().map(|heading| place(heading)).collect();
    ensure!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    bundle.clean()
}

fn width() -> Outcome {
    let bundle = Bundle::plain()?;
    // This terminal has 111 columns.
    let seat = Seat::take(&bundle, &bundle.command(&["explain", "propagation"])?)?;
    let text = seat.leave(0)?;
    let widest = text.lines().map(|line| line.trim_end().len()).max();
    ensure!(widest.is_some_and(|columns| (90..=100).contains(&columns)), "{widest:?}");
    bundle.clean()
}

/// A container that waits, and its trace.
fn waiting() -> Result<(Bundle, Vec<Value>), Failed> {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["sleep", "1000"]))?;
    bundle.bundled(&["create"])?.ok()?;
    let records = trace(&bundle)?;
    Ok((bundle, records))
}

fn trace(bundle: &Bundle) -> Result<Vec<Value>, Failed> {
    let text = bundle.call(&["trace", "--format", "json", &bundle.id])?.ok()?.out;
    text.lines().map(|line| serde_json::from_str(line).map_err(Failed::from)).collect()
}

fn of(bundle: &Bundle, record: &Value) -> Result<String, Failed> {
    explain(bundle, &[&format!("{}:{}", bundle.id, record["seq"])])
}

fn record() -> Outcome {
    let (bundle, records) = waiting()?;
    let find = |yes: &dyn Fn(&Value) -> bool| records.iter().find(|r| yes(r)).ok_or(Failed::from("no such record"));
    let pivot = find(&|r| r["call"] == "pivot_root")?;
    let (why, line) = (pivot["why"].as_str().unwrap_or(""), pivot["line"].as_u64().unwrap_or(0));
    let text = of(&bundle, pivot)?;
    holds(
        &text,
        &[
            &format!("Record {} of {}: init lane, line {line} of the plan", pivot["seq"], bundle.id),
            "lifecycle 2, create: the switch of root",
            "pivot_root(\".\", \".\") = 0",
            &format!("Why: {why}"),
            "new_root \".\"",
            "put_old \".\"",
            &format!("Line {line}: "),
            "The prepared directory becomes `/`",
            "Asked for by /root of config.json { \"path\": ",
            "/root (property of config.json): ",
            "Source: src/perform/rootfs/mod.rs:",
            "pivot_root (system call): ",
            "Without it: ",
            "Man page: pivot_root(2)",
            "OCI: ",
        ],
    )?;
    // The line has the words and the place that the plan has.
    let plan = bundle.bundled(&["plan"])?.ok()?.out;
    let plain = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let words =
        plain.split(&format!("Line {line}: ")).nth(1).and_then(|rest| rest.split(" The prepared directory").next());
    ensure!(words.is_some_and(|words| plan.contains(&format!("{words}  [/root]"))), "{words:?} {plan}");
    let slave = find(&|r| r["call"] == "mount" && r["args"].to_string().contains("MS_REC|MS_SLAVE"))?;
    holds(&of(&bundle, slave)?, &["MS_REC (flag): ", "MS_SLAVE (flag): ", "mount (system call): "])?;
    // Words in texts are no flags.
    let drop = find(&|r| r["args"].to_string().contains("CAP_SYS_ADMIN"))?;
    holds(&of(&bundle, drop)?, &["PR_CAPBSET_DROP (flag): ", "CAP_SYS_ADMIN (capability): "])?;
    // The name of a call means its first record.
    let text = explain(&bundle, &[&format!("{}:mount", bundle.id)])?;
    let first = find(&|r| r["call"] == "mount")?;
    holds(&text, &[&format!("Record {} of ", first["seq"]), "Other records of mount: "])?;
    let last = records.len() + 100;
    let done = bundle.call(&["explain", &format!("{}:{last}", bundle.id)])?;
    done.refused(&format!("the trace of {} has no record `{last}`", bundle.id))?;
    bundle.call(&["explain", "nosuch:1"])?.refused("container does not exist: nosuch")?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

fn refused() -> Outcome {
    let (bundle, records) = waiting()?;
    let refused = records.iter().find(|r| r["errno"] == "ENOENT").ok_or("no call was refused")?;
    holds(&of(&bundle, refused)?, &["= -1 ENOENT (No such file or directory)", "ENOENT (error number): "])?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}

/// Its configuration is gone, too: nothing is said of the plan.
fn gone() -> Outcome {
    let (bundle, _) = waiting()?;
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    let records = trace(&bundle)?;
    let pivot = records.iter().find(|r| r["call"] == "pivot_root").ok_or("no pivot_root")?;
    let text = of(&bundle, pivot)?;
    holds(&text, &["pivot_root (system call): ", "Why: "])?;
    ensure!(!text.contains("config.json /root"), "{text}");
    bundle.clean()
}

/// Also those of later commands, whose lines are of another plan or of none.
fn every_record() -> Outcome {
    let (bundle, _) = waiting()?;
    bundle.call(&["start", &bundle.id])?.ok()?;
    bundle.call(&["exec", &bundle.id, "true"])?.ok()?;
    let records = trace(&bundle)?;
    ensure!(records.len() > 150, "{} records", records.len());
    for record in &records {
        let text = of(&bundle, record)?;
        let call = record["call"].as_str().unwrap_or("?");
        holds(&text, &[&format!("{call} (system call): "), &format!("Record {} of ", record["seq"])])?;
    }
    bundle.call(&["delete", "--force", &bundle.id])?.ok()?;
    bundle.clean()
}
