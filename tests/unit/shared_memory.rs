//! Where init shares the memory of the runtime, and where it gets a copy; and where both talk by words of that memory.

use super::*;
use crate::plan::op::Op;
use crate::plan::{Wish, create};

/// The flags of the clone, for the example configuration with a change.
fn cloned((from, to): (&str, &str), wish: Wish) -> CloneFlags {
    assert!(crate::spec::DEFAULT.contains(from), "{from}");
    flags(crate::spec::DEFAULT.replacen(from, to, 1), to, wish)
}

fn flags(text: String, to: &str, wish: Wish) -> CloneFlags {
    let spec = crate::spec::parse(text.as_bytes()).unwrap_or_else(|p| panic!("{p:?}"));
    let plan = create(&spec, &Wish { id: "x", bundle: "/b", ..wish }).unwrap_or_else(|p| panic!("{to}: {p:?}"));
    let clone = plan.lines().find_map(|line| match &line.op {
        Op::Namespaces(Namespaces::Clone { flags, .. }) => Some(*flags),
        _ => None,
    });
    clone.unwrap_or(CloneFlags::NONE)
}

#[test]
fn memory_is_shared_only_where_nothing_can_come_of_it() {
    let shares = |change: (&str, &str), wish: Wish| cloned(change, wish).has(CloneFlags::CLONE_VM);
    let made = || Wish { cgroup: true, attached: true, ..Wish::default() };
    let same = ("{", "{");
    assert!(shares(same, made()));
    assert!(shares(same, Wish { wait_for_start: true, attached: false, console: Some("/c"), ..made() }));
    assert!(shares(same, Wish { cgroup: false, ..made() }), "without a cgroup");
    assert!(!shares(same, Wish { stepped: true, ..made() }));
    assert!(!shares(same, Wish { watch: Some(crate::cli::Watched::All), ..made() }));
    assert!(!shares(same, Wish { cgroup_base: "/user.slice/", ..made() }));
    let [linux, process] = ["\"linux\": {", "\"process\": {"];
    let hook = |name: &str| format!(r#""hooks": {{"{name}": [{{"path": "/h"}}]}}, "linux": {{"#);
    let resources = |text: &str| format!("\"resources\": {{{text},");
    let limits = "\"resources\": {";
    for (from, to, shared) in [
        (linux, hook("prestart"), true),
        (linux, hook("createRuntime"), true),
        (linux, hook("poststop"), true),
        (linux, hook("createContainer"), false),
        (linux, hook("startContainer"), false),
        (process, "\"process\": {\"oomScoreAdj\": 5,".into(), false),
        (r#""bounding": ["#, r#""bounding": ["CAP_SYS_PTRACE","#.into(), false),
        (r#""permitted": ["#, r#""permitted": ["CAP_SYS_PTRACE","#.into(), false),
        (r#""uid": 0"#, r#""uid": 1000"#.into(), false),
        (linux, r#""linux": {"cgroupsPath": "/a/b","#.into(), false),
        (limits, resources(r#""memory": {"limit": 100000000}"#), false),
        (limits, resources(r#""unified": {"memory.max": "100000000"}"#), false),
        (limits, resources(r#""pids": {"limit": 10}"#), true),
        (r#""type": "pid""#, r#""type": "pid", "path": "/p""#.into(), false),
        (r#""type": "network""#, r#""type": "network", "path": "/p""#.into(), true),
        (r#""type": "pid""#, r#""type": "pid"}, {"type": "time""#.into(), false),
        (r#""type": "pid""#, r#""type": "pid"}, {"type": "user", "path": "/p""#.into(), false),
    ] {
        assert_eq!(shares((from, &to), made()), shared, "{to}");
    }
}

#[test]
fn words_are_enough_where_only_steps_are_told() {
    let made = || Wish { cgroup: true, attached: true, ..Wish::default() };
    let words = |flags: CloneFlags| flags.has(CloneFlags::CLONE_VM | CloneFlags::CLONE_CHILD_CLEARTID);
    let linux = "\"linux\": {";
    let hook = |name: &str| format!(r#""hooks": {{"{name}": [{{"path": "/h"}}]}}, "linux": {{"#);
    let filter = |more: &str| format!(r#""linux": {{"seccomp": {{"defaultAction": "SCMP_ACT_ALLOW"{more}}},"#);
    assert!(words(cloned(("{", "{"), made())));
    assert!(words(cloned(("{", "{"), Wish { wait_for_start: true, attached: false, console: Some("/c"), ..made() })));
    for (to, enough) in [
        (hook("poststop"), true),
        (hook("poststart"), true),
        (hook("prestart"), false),
        (hook("createRuntime"), false),
        (r#""linux": {"netDevices": {"a": {}},"#.into(), false),
        (filter(""), true),
        (filter(r#", "listenerPath": "/l", "syscalls": [{"names": ["kill"], "action": "SCMP_ACT_NOTIFY"}]"#), false),
        (r#""linux": {"cgroupsPath": "/a/b","#.into(), false),
    ] {
        assert_eq!(words(cloned((linux, &to), made())), enough, "{to}");
    }
    // Without no_new_privs the filter is loaded before the last word.
    let early = crate::spec::DEFAULT.replacen("\"noNewPrivileges\": true", "\"noNewPrivileges\": false", 1);
    assert!(words(flags(early.clone(), "early", made())));
    assert!(!words(flags(early.replacen(linux, &filter(""), 1), "early filter", made())));
}
