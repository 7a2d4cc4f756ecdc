//! Two starts at the same milestones, from listings as strace writes them.

use crate::beside::{Against, Way, against_json, read_json};
use crate::listing::Listing;
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
