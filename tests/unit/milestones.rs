//! Two starts at the same milestones, from listings as strace writes them.

use crate::beside::{Against, Way, against, against_json, read, read_json};
use crate::listing::Listing;
use crate::trace::Screen;
use serde_json::{Value, json};

const FIRST: &str = r#"7 1764444001.000000 openat(AT_FDCWD, "/b/config.json", O_RDONLY) = 3
7 1764444001.001000 clone(child_stack=NULL, flags=CLONE_NEWNS|CLONE_NEWUTS|SIGCHLD) = 8
8 1764444001.003000 sethostname("name", 4) = 0
8 1764444001.004000 prlimit64(0, RLIMIT_NOFILE, {rlim_cur=9, rlim_max=9}, NULL) = 0
8 1764444001.005000 chroot("/b/rootfs") = 0
8 1764444001.006000 prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN) = 0
8 1764444001.008000 execve("/bin/sh", ["sh"], 0x0 /* 0 vars */) = 0
"#;

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn compared(one: &str, other: &str) -> Value {
    let listings = [Listing::of(&[(0, one)]), Listing::of(&[(0, other)])];
    let ways = [Way::listed("one", &listings[0]), Way::listed("other", &listings[1])];
    let both = Against::new(&ways[0], &ways[1]);
    let all = parsed(&against_json(&both));
    assert_eq!(both.differs(), all["only"] != json!([[], []]));
    all
}

#[test]
fn a_start_is_like_itself() {
    let all = compared(FIRST, FIRST);
    assert_eq!([&all["only"], &all["moved"], &all["gained"]], [&json!([[], []]), &json!([]), &json!([])]);
    let names = |key: &str| list(&all["sides"][0]["milestones"]).iter().map(|one| one[key].clone()).collect::<Vec<_>>();
    assert_eq!(names("name"), ["config", "namespaces", "hostname", "rlimits", "root", "capabilities", "program"]);
    assert_eq!(names("by"), ["host", "host", "init", "init", "init", "init", "init"]);
    assert_eq!(names("took_ns")[..2], [json!(1_000_000), json!(2_000_000)]);
    assert_eq!(names("phase_calls")[..6], [1, 1, 1, 1, 1, 1].map(|calls| json!(calls)));
}

#[test]
fn what_differs_is_named() {
    // The limit is set by the runtime, before the name; and another capability is dropped.
    let lines: Vec<&str> = FIRST.lines().collect();
    let limit = lines[3].replace("8 1764444001.004", "7 1764444001.002").replace("(0,", "(8,");
    let last = lines[5].replace("SYS_ADMIN", "CHOWN");
    let other = [lines[0], lines[1], &limit, lines[2], lines[4], &last, lines[6]].join("\n");
    let all = compared(FIRST, &other);
    assert_eq!(all["only"], json!([[], []]));
    assert_eq!(all["moved"].as_array().map(Vec::len), Some(1));
    let gained: Vec<&Value> = list(&all["gained"]).iter().map(|one| &one[0]).collect();
    assert_eq!(gained, ["bounding", "effective", "permitted"]);
    // Without the root there is no container that a program could begin in.
    let all = compared(FIRST, &other.replace("chroot", "chdir"));
    assert!(list(&all["only"][0]).contains(&json!("The program runs")), "{}", all["only"]);
}

#[test]
fn a_listing_without_times_has_milestones() {
    let bare: Vec<String> = FIRST.lines().map(|line| line.replace(&line[1..19], "")).collect();
    let text = bare.join("\n");
    let listing = Listing::of(&[(0, text.as_str())]);
    let way = parsed(&read_json(&Way::listed("bare", &listing)));
    assert_eq!(way["milestones"].as_array().map(Vec::len), Some(7));
    assert_eq!([&way["took_ns"], &way["milestones"][0]["at_ns"]], [&Value::Null, &Value::Null]);
}

const SCREEN: Screen = Screen { width: 120, color: false };

/// The text of a comparison.
fn told(one: &str, other: &str) -> String {
    let listings = [Listing::of(&[(0, one)]), Listing::of(&[(0, other)])];
    let ways = [Way::listed("one", &listings[0]), Way::listed("other", &listings[1])];
    against(&Against::new(&ways[0], &ways[1]), SCREEN, false)
}

#[test]
fn a_runtime_that_fails_has_a_cause() {
    let failing = "7 1764444001.000000 openat(AT_FDCWD, \"/run/crun/a/config.json\", O_WRONLY|O_CREAT, 0700) = 3\n\
        7 1764444001.001000 write(2, \"unknown version specified\", 25) = 25\n\
        7 1764444001.001500 write(2, \"\\n\", 1) = 1\n\
        7 1764444001.002000 exit_group(1) = ?\n";
    let listing = Listing::of(&[(0, failing)]);
    let way = Way::listed("crun", &listing);
    let text = read(&way, SCREEN, false);
    let words = "ended with status 1 (exit_group, number 4) before any program ran. It last wrote to descriptor 2: unknown version";
    assert!(text.replace("\n", " ").contains(words), "{text}");
    let all = parsed(&read_json(&way));
    assert_eq!(all["failed"], json!({"status": 1, "line": 4, "said": "unknown version specified"}));
    // A copy that is written is not what is read.
    assert_eq!(all["milestones"], json!([]));
    let text = told(failing, FIRST).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("makes 4 calls in 2.0 ms, and ends with status 1 before any program runs"), "{text}");
    assert!(text.contains("No milestone is reached by both.") && !text.contains("same order"), "{text}");
    assert_eq!(parsed(&read_json(&Way::listed("one", &Listing::of(&[(0, FIRST)]))))["failed"], Value::Null);
}

#[test]
fn a_heading_counts_the_calls_of_its_rows() {
    let lines: Vec<&str> = FIRST.lines().collect();
    let text = [lines[0], lines[1], lines[2], lines[3], lines[2], lines[3], lines[4], lines[5], lines[6]].join("\n");
    let text = read(&Way::listed("one", &Listing::of(&[(0, text.as_str())])), SCREEN, true);
    assert!(text.contains("3. The host has a name (init): 1 of 1 call in 1.0 ms, 1 later"), "{text}");
    assert!(text.contains("4. Resource limits are set (init): 1 of 3 calls in "), "{text}");
}

#[test]
fn milestones_that_moved_together_stand_in_one_line() {
    let lines: Vec<&str> = FIRST.lines().collect();
    // The name and the limit, one after the other, are set at the end.
    let other = [lines[0], lines[1], lines[4], lines[5], lines[2], lines[3], lines[6]].join("\n");
    let text = told(FIRST, &other);
    let (_, text) = text.split_once("In another order").unwrap_or_default();
    let row = "The host has a name, then Resource limits are set: one after `Namespaces are made`, other after `Capabilities are given up`";
    let row2 = "The root is another one, then Capabilities are given up: one after `Resource limits are set`, other after `Namespaces are made`";
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains(row) || text.contains(row2), "{text}");
    assert!(
        !text.contains("one after `The host has a name`") && !text.contains("one after `The root is another one`"),
        "{text}"
    );
}

#[test]
fn the_groups_of_cgroup_v1_count() {
    let rows = |limit: &str| {
        format!(
            "7 mkdirat(AT_FDCWD, \"/sys/fs/cgroup/devices/b\", 0755) = 0\n\
            7 mkdirat(AT_FDCWD, \"/sys/fs/cgroup/unified/b\", 0755) = 0\n\
            7 clone(child_stack=NULL, flags=CLONE_NEWNS|SIGCHLD) = 8\n\
            7 openat(AT_FDCWD, \"/sys/fs/cgroup/devices/b/cgroup.procs\", O_WRONLY) = 3\n\
            7 write(3, \"8\", 1) = 1\n\
            7 openat(AT_FDCWD, \"/sys/fs/cgroup/unified/b/cgroup.procs\", O_WRONLY) = 4\n\
            7 write(4, \"8\", 1) = 1\n\
            7 openat(AT_FDCWD, \"/sys/fs/cgroup/{limit}\", O_WRONLY) = 5\n\
            7 write(5, \"c 1:3 rwm\", 9) = 9\n\
            8 chroot(\"/b/rootfs\") = 0\n\
            8 execve(\"/bin/sh\", [\"sh\"], 0x0 /* 0 vars */) = 0\n"
        )
    };
    for (limit, name) in [
        ("devices/b/devices.allow", Some("device-limits")),
        ("unified/b/memory.max", Some("limits")),
        ("devices/b/freezer.state", None),
        ("devices/other/devices.allow", None),
    ] {
        let text = rows(limit);
        let all = parsed(&read_json(&Way::listed("one", &Listing::of(&[(0, text.as_str())]))));
        let names: Vec<&Value> = list(&all["milestones"]).iter().map(|one| &one["name"]).collect();
        let found: Vec<&&Value> =
            names.iter().filter(|name| name.as_str().is_some_and(|name| name.contains("limits"))).collect();
        assert_eq!(found.first().and_then(|name| name.as_str()), name, "{limit}: {names:?}");
        assert_eq!(names[0], "cgroup", "{limit}: {names:?}");
        assert_eq!(list(&all["milestones"][0]["calls"]).len(), 2, "{limit}");
    }
}
