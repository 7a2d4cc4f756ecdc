//! `plan --diff`: what differs is what the two listings differ in, no more and no less; sets have no order; and the configurations
//! of real engines read well.

pub mod traces;

use crate::bundle::{Bundle, Done};
use crate::{Failed, Outcome, area, ensure, everything, real, same};
use libtest_mimic::Trial;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

pub fn cases() -> Vec<Trial> {
    area(
        "compare",
        &[
            ("the_same_is_silent", silent),
            ("a_set_has_no_order", sets),
            ("each_change_is_named_with_its_pointers", named),
            ("mounts_in_another_order_are_told", order),
            ("plans_differ_where_their_listings_do", listings),
            ("podman_and_docker", engines),
            ("a_kept_configuration_against_its_bundle", kept),
            ("what_cannot_be_compared_has_status_2", trouble),
            ("colours_where_they_are_asked_for", colours),
            ("large_ones_end", large),
        ],
    )
}

/// Two configurations, in files of a bundle.
fn compare(bundle: &Bundle, sides: [&Value; 2], more: &[&str]) -> Result<Done, Failed> {
    let paths = ["a.json", "b.json"].map(|name| bundle.path(name));
    for (path, config) in paths.iter().zip(sides) {
        fs::write(path, config.to_string())?;
    }
    let [a, b] = paths.map(|path| path.to_string_lossy().into_owned());
    bundle.call(&[&["plan", "--diff", &a, &b], more].concat())
}

/// Their differences, and whether the status fits.
fn differences(bundle: &Bundle, sides: [&Value; 2]) -> Result<Vec<Value>, Failed> {
    let done = compare(bundle, sides, &["--format", "json"])?;
    let document: Value = serde_json::from_str(&done.out).map_err(|error| format!("{error}: {done:?}"))?;
    let list = document["differences"].as_array().cloned().ok_or("no list")?;
    same("same", document["same"].as_bool(), Some(list.is_empty()))?;
    same("status", done.status, i32::from(!list.is_empty()))?;
    Ok(list)
}

fn changed(config: &Value, pointer: &str, value: Value) -> Result<Value, Failed> {
    let mut changed = config.clone();
    let (above, key) = pointer.rsplit_once('/').ok_or("no pointer")?;
    let above = changed.pointer_mut(above).ok_or_else(|| format!("no place {pointer}"))?;
    match above {
        Value::Array(list) if key == "-" => list.push(value),
        Value::Array(list) => list[key.parse::<usize>().map_err(|_| "no number")?] = value,
        _ => above[key] = value,
    }
    Ok(changed)
}

fn silent() -> Outcome {
    let one = Bundle::plain()?;
    let config = real::config("default")?;
    let places = ["one", "other"].map(|name| one.path(name).to_string_lossy().into_owned());
    for (place, text) in places.iter().zip([config.to_string(), serde_json::to_string_pretty(&config)?]) {
        fs::create_dir(place)?;
        fs::write(format!("{place}/config.json"), text)?;
    }
    let done = one.call(&["plan", "--diff", &places[0], &places[1]])?.ok()?;
    same("text", (done.out.as_str(), done.err.as_str()), ("", ""))?;
    // What says no more than its absence.
    let mut config = real::config("docker-1")?;
    config["process"]["terminal"] = json!(false);
    let mut without = config.clone();
    without["process"].as_object_mut().ok_or("no process")?.remove("terminal");
    same("absent", differences(&one, [&config, &without])?, Vec::new())?;
    one.clean()
}

/// Reversed lists, and rules of a seccomp profile cut into a rule for each call.
fn sets() -> Outcome {
    let bundle = Bundle::plain()?;
    let config = real::config("docker-1")?;
    let mut other = config.clone();
    for pointer in [
        "/process/capabilities/bounding",
        "/process/capabilities/effective",
        "/process/env",
        "/linux/maskedPaths",
        "/linux/readonlyPaths",
        "/linux/namespaces",
        "/linux/seccomp/architectures",
    ] {
        let list = other.pointer_mut(pointer).and_then(Value::as_array_mut).ok_or_else(|| format!("no {pointer}"))?;
        ensure!(list.len() > 1, "{pointer} is too short to have an order");
        list.reverse();
    }
    let rules = other["linux"]["seccomp"]["syscalls"].as_array().cloned().ok_or("no rules")?;
    let cut = rules.iter().flat_map(|rule| {
        let names = rule["names"].as_array().cloned().unwrap_or_default();
        names.into_iter().map(|name| {
            let mut one = rule.clone();
            one["names"] = json!([name]);
            one
        })
    });
    other["linux"]["seccomp"]["syscalls"] = cut.collect();
    let found = differences(&bundle, [&config, &other])?;
    ensure!(found.iter().all(|one| one["kind"] == "changed" && one["config"] == json!([])), "{found:?}");
    other["linux"]["seccomp"] = config["linux"]["seccomp"].clone();
    same("differences", differences(&bundle, [&config, &other])?, Vec::new())?;
    bundle.clean()
}

/// A change, and what the page has to say of it.
fn named() -> Outcome {
    let bundle = Bundle::plain()?;
    let config = real::config("docker-1")?;
    let tmpfs = json!({"destination": "/scratch", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m"]});
    let more = |list: &str, member: Value| (format!("{list}/-"), member);
    let set = |pointer: &str, value: Value| (pointer.to_string(), value);
    for ((pointer, value), section, words) in [
        (
            set("/process/noNewPrivileges", json!(true)),
            "what the program may do",
            &["set no_new_privs [/process/noNewPrivileges]"][..],
        ),
        (
            more("/process/capabilities/bounding", json!("CAP_SYS_PTRACE")),
            "what the program may do",
            &["drop from the bounding set all but CAP_CHOWN ... [/process/capabilities/bounding]", "+ CAP_SYS_PTRACE"],
        ),
        (more("/process/capabilities/effective", json!("CAP_KILL")), "", &[]),
        (
            set("/linux/seccomp/syscalls/0/action", json!("SCMP_ACT_LOG")),
            "what the program may do",
            &["SCMP_ACT_ALLOW -> SCMP_ACT_LOG: ", "[/linux/seccomp]"],
        ),
        (set("/linux/seccomp/defaultErrnoRet", json!(5)), "what the program may do", &["+ defaultErrnoRet: 5"]),
        (more("/linux/namespaces", json!({"type": "time"})), "namespaces", &["time namespace"]),
        (
            more("/linux/maskedPaths", json!("/proc/interrupts")),
            "masked and read-only paths",
            &["+ ", "mask /proc/interrupts [/linux/maskedPaths/"],
        ),
        (more("/mounts", tmpfs), "mounts", &["+ ", "mount tmpfs on /scratch (size=1m) [/mounts/"]),
        (set("/mounts/1/options/0", json!("ro")), "mounts", &["~ ", "mount tmpfs on /dev", "[/mounts/1]"]),
        (
            set("/linux/resources/pids", json!({"limit": 7})),
            "limits",
            &["set pids.max of the cgroup to 7 [/linux/resources/pids/limit]"],
        ),
        (set("/hostname", json!("other")), "names, network, settings", &["{+other+} [/hostname]"]),
        (set("/process/args/0", json!("other")), "the program", &["execve ", "{+other+} [/process/args]"]),
        (more("/process/env", json!("COLOR=red")), "the program", &["+           /process/env: COLOR: red"]),
        (
            set("/annotations", json!({"a": "b"})),
            "what no line of the plan depends on",
            &["+           /annotations/a: b"],
        ),
    ] {
        let done = compare(&bundle, [&config, &changed(&config, &pointer, value)?], &[])?;
        same(&format!("{pointer}: status"), done.status, i32::from(!section.is_empty()))?;
        let text = done.out.split_whitespace().collect::<Vec<_>>().join(" ");
        let is_there = |words: &str| done.out.contains(words) || text.contains(words);
        ensure!(words.iter().all(|words| is_there(words)), "{pointer}: {}", done.out);
        ensure!(done.out.lines().any(|line| line == section) || section.is_empty(), "{pointer}: {}", done.out);
        ensure!(done.out.lines().all(|line| line.chars().count() <= 100), "{}", done.out);
    }
    bundle.clean()
}

/// A mount that comes first now; both plans have the same lines.
fn order() -> Outcome {
    let bundle = Bundle::plain()?;
    let mut config = real::config("default")?;
    for name in ["/tmp", "/tmp/below"] {
        let mount = json!({"destination": name, "type": "tmpfs", "source": "tmpfs", "options": ["nodev"]});
        config = changed(&config, "/mounts/-", mount)?;
    }
    let mut other = config.clone();
    let mounts = other["mounts"].as_array_mut().ok_or("no mounts")?;
    let last = mounts.pop().ok_or("no mount")?;
    mounts.insert(mounts.len() - 1, last);
    let done = compare(&bundle, [&config, &other], &[])?;
    let moved: Vec<&str> = done.out.lines().filter(|line| line.starts_with('>')).collect();
    ensure!(moved.len() == 1 && moved[0].contains("mount tmpfs on /tmp"), "{}", done.out);
    ensure!(done.out.contains("(1 in another order)") && done.status == 1, "{done:?}");
    bundle.clean()
}

/// The words of a plan's lines by their numbers, as `plan` prints them. Lines that only go to a directory are parts of others.
fn lines(bundle: &Bundle, config: &Value) -> Result<BTreeMap<u64, String>, Failed> {
    let path = bundle.path("one.json");
    fs::write(&path, config.to_string())?;
    // The bundle's own place is no difference.
    fs::create_dir_all(bundle.path("BUNDLE"))?;
    let here = bundle.path("BUNDLE").to_string_lossy().into_owned();
    let done = bundle.call(&["plan", "--bundle", &here, "--config", &path.to_string_lossy()])?.ok()?;
    let text = done.out.replace(&here, "/BUNDLE");
    let line = |row: &str| {
        let (number, words) = row.trim_start().split_once("  ")?;
        let words = words.split("  [").next().unwrap_or(words);
        Some((number.parse().ok()?, words.to_owned()))
    };
    Ok(text.lines().filter_map(line).filter(|(_, words)| !words.starts_with("go to ")).collect())
}

/// What the one listing has and the other has not, line by line, is what the comparison names.
fn listings() -> Outcome {
    let bundle = everything::bundle()?;
    let mut rootless = real::config("default")?;
    rootless = changed(&rootless, "/linux/namespaces/-", json!({"type": "user"}))?;
    for kind in ["uidMappings", "gidMappings"] {
        rootless["linux"][kind] = json!([{"containerID": 0, "hostID": 100000, "size": 65536}]);
    }
    let default = real::config("default")?;
    for (name, one, other) in [
        ("everything", &default, &bundle.config),
        ("rootless", &default, &rootless),
        ("engines", &real::config("podman-1")?, &real::config("docker-1")?),
        ("privileged", &real::config("systemd-podman-2")?, &real::config("containerd-1")?),
    ] {
        let found = differences(&bundle, [one, other])?;
        let [mut left, mut right] = [lines(&bundle, one)?, lines(&bundle, other)?];
        for difference in &found {
            let both = &difference["line"];
            for (side, lines) in [&mut left, &mut right].into_iter().enumerate() {
                if let Some(number) = both[side].as_u64() {
                    let words = lines.remove(&number);
                    same(name, words.as_deref(), difference["words"][side].as_str())?;
                }
            }
            let kinds = match difference["kind"].as_str() {
                Some("removed") => (true, false),
                Some("added") => (false, true),
                _ => (true, true),
            };
            let is_loose = both == &json!([null, null]);
            same(name, (both[0].is_u64(), both[1].is_u64()), if is_loose { (false, false) } else { kinds })?;
        }
        let sorted = |lines: BTreeMap<u64, String>| {
            let mut all: Vec<String> = lines.into_values().collect();
            all.sort();
            all
        };
        same(&format!("{name}: what is left"), sorted(left), sorted(right))?;
    }
    bundle.clean()
}

/// What matters for isolation comes first, and no line is too long for the terminal.
fn engines() -> Outcome {
    let bundle = Bundle::plain()?;
    let done = compare(&bundle, [&real::config("podman-1")?, &real::config("docker-1")?], &[])?;
    let headings = [
        "what the program may do",
        "masked and read-only paths",
        "devices",
        "mounts",
        "limits",
        "what no line of the plan depends on",
    ];
    let places: Vec<Option<usize>> =
        headings.iter().map(|heading| done.out.lines().position(|line| line == *heading)).collect();
    ensure!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    for words in [
        "syscalls: clone3: SCMP_ACT_ALLOW -> SCMP_ACT_ERRNO with errno 38",
        "write \"exec [-containers-default-0.50.1-]{+docker-default+}\"",
        "set pids.max of the cgroup to 100 [/linux/resources/pids/limit]",
        "attach the opened tree on /run/.containerenv",
    ] {
        ensure!(done.out.contains(words), "{words}: {}", done.out);
    }
    ensure!(done.out.lines().all(|line| line.chars().count() <= 100), "{}", done.out);
    bundle.clean()
}

/// The configuration that a failure has left, beside the bundle that was corrected meanwhile.
fn kept() -> Outcome {
    let mut bundle = Bundle::plain()?;
    bundle.set("/process/args", json!(["/bin/misspelled"]))?;
    let here = bundle.path("").to_string_lossy().into_owned();
    for _ in 0..2 {
        ensure!(bundle.bundled(&["run"])?.status != 0, "it has run");
        bundle.set("/process/args", json!(["/bin/wrong"]))?;
    }
    let id = bundle.id.clone();
    let done = bundle.call(&["plan", "--diff", &format!("{id}~2"), &id])?;
    ensure!(done.status == 1 && done.out.contains("[-/bin/misspelled-]{+/bin/wrong+}"), "{done:?}");
    bundle.set("/process/args", json!(["/bin/true"]))?;
    bundle.write_config()?;
    let done = bundle.call(&["plan", "--diff", &id, &here])?;
    ensure!(done.status == 1 && done.out.contains("[-/bin/wrong-]{+/bin/true+}"), "{done:?}");
    ensure!(bundle.call(&["plan", "--diff", &id, &id])?.status == 0, "it differs from itself");
    bundle.clean()
}

fn trouble() -> Outcome {
    let bundle = Bundle::plain()?;
    bundle.write_config()?;
    let here = bundle.path("").to_string_lossy().into_owned();
    fs::write(bundle.path("broken.json"), "{\"ociVersion\": 1}")?;
    let broken = bundle.path("broken.json").to_string_lossy().into_owned();
    let deep = format!("{{\"ociVersion\": \"1.0.0\", \"x\": {}{}}}", "[".repeat(5000), "]".repeat(5000));
    fs::write(bundle.path("deep.json"), deep)?;
    let deep = bundle.path("deep.json").to_string_lossy().into_owned();
    for (words, message) in [
        (&[here.as_str(), "absent"][..], "absent: no such file or directory, and "),
        (&[&here, "/absent/dir"], "/absent/dir: no such file or directory"),
        (&[&here, &broken], "broken.json"),
        (&[&here, &deep], "deep.json"),
        (&[&here], "--diff takes two"),
        (&[&here, &here, "--bundle", "x"], "--bundle: --diff takes two names"),
        (&[&here, &here, "--odd"], "no option `--odd`"),
        (&[&here, &here, "--lint"], "--lint and --diff are two different things"),
    ] {
        let done = bundle.call(&[&["plan", "--diff"], words].concat())?;
        ensure!(done.status == 2 && done.err.contains(message) && done.out.is_empty(), "{words:?}: {done:?}");
    }
    bundle.clean()
}

fn colours() -> Outcome {
    let bundle = Bundle::plain()?;
    let config = real::config("default")?;
    let other = changed(&config, "/hostname", json!("other"))?;
    for (word, coloured) in [("always", true), ("never", false), ("auto", false)] {
        let done = compare(&bundle, [&config, &other], &["--color", word])?;
        same(word, done.out.contains('\u{1b}'), coloured)?;
    }
    bundle.clean()
}

/// A MiB of variables that all differ, as many mounts as a plan takes, in the other order, and as many on one place.
fn large() -> Outcome {
    let bundle = Bundle::plain()?;
    let config = real::config("default")?;
    let variables = |more: usize| (0..60_000).map(|i| format!("V{i}={}", i + more)).collect::<Vec<_>>();
    let tmpfs = |place: String| json!({"destination": place, "type": "tmpfs", "source": "tmpfs"});
    let mounts =
        |last: usize, step: usize| -> Value { (0..1000).map(|i| tmpfs(format!("/m/{}", last - i * step))).collect() };
    let alike = |option: &str| -> Value {
        (0..1000).map(|_| json!({"destination": "/m", "type": "tmpfs", "source": "t", "options": [option]})).collect()
    };
    for (pointer, one, other) in [
        ("/process/env", json!(variables(0)), json!(variables(1))),
        ("/mounts", mounts(1000, 1), mounts(1000, 0)),
        ("/mounts", alike("ro"), alike("nodev")),
    ] {
        let begun = Instant::now();
        let done = compare(&bundle, [&changed(&config, pointer, one)?, &changed(&config, pointer, other)?], &[])?;
        same(&format!("{pointer}: {}", done.err), done.status, 1)?;
        ensure!(begun.elapsed() < Duration::from_secs(60), "{pointer}: {:?}", begun.elapsed());
    }
    bundle.clean()
}
