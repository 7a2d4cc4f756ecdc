//! The tables of the causes of refusals: what they name is there, and what is there is used.

use super::super::summary::summary;
use super::super::types::Refusal;
use super::*;
use crate::explain;
use crate::spec::capability_number;
use syscalls::Call;

/// The sources of the room.
const SOURCES: [&str; 11] = [
    include_str!("../../src/watch/refused/capability.rs"),
    include_str!("../../src/watch/refused/files.rs"),
    include_str!("../../src/watch/refused/ids.rs"),
    include_str!("../../src/watch/refused/limits.rs"),
    include_str!("../../src/watch/refused/mounting.rs"),
    include_str!("../../src/watch/refused/programs.rs"),
    include_str!("../../src/watch/refused/seccomp.rs"),
    include_str!("../../src/watch/refused/sets.rs"),
    include_str!("../../src/watch/refused/summary.rs"),
    include_str!("../../src/watch/refused/surroundings.rs"),
    include_str!("../../src/watch/refused/process.rs"),
];

fn rows(table: &'static str) -> impl Iterator<Item = &'static str> {
    table.lines().filter(|line| !line.is_empty() && !line.starts_with(['#', ' ']))
}

/// A name of the tables: a call of this machine, or one that only others have.
fn is_call(name: &str) -> bool {
    let others = ["umount", "stime", "nice", "fstatat64", "stat64", "lstat64", "mmap2"];
    Call::find(name).is_some() || others.contains(&name)
}

#[test]
fn the_table_of_capabilities_names_what_is_there() {
    let table = include_str!("../../src/watch/refused/capabilities.txt");
    let scopes = ["machine", "own", "mount", "uts", "network", "ipc", "pid", "cgroup", "file", "process"];
    for row in rows(table) {
        let words: Vec<&str> = row.split(' ').collect();
        let [name, errnos, conditions, capability, scope, ..] = words[..] else { panic!("{row}") };
        let capability = capability.trim_start_matches('+');
        assert!(
            words.len() <= 6 && words.get(5).is_none_or(|word| texts().contains(&format!("instead {word}"))),
            "{row}"
        );
        assert!(is_call(name), "{row}");
        assert!(capability_number(capability).is_some() && scopes.contains(&scope), "{row}");
        assert!(explain::opens(capability).is_some_and(|text| text.ends_with('.')), "{capability}");
        let known = |errno: &str| errno == "ok" || (1..200).any(|known| syscalls::Errno(known).name() == errno);
        assert!(errnos.trim_end_matches('!').split(',').all(known), "{row}");
        for condition in conditions.split(',').filter(|condition| *condition != "-") {
            let rest = condition.trim_start_matches(['*', '$', '%', '@']);
            assert!(rest.starts_with(|digit: char| ('0'..='5').contains(&digit)), "{row}");
            assert!(
                condition.starts_with('@')
                    || ["=", "!", "&", ">=", "<=", "^", "~"].iter().any(|sign| rest[1..].starts_with(sign)),
                "{row}"
            );
        }
    }
}

#[test]
fn the_table_of_paths_names_what_is_there() {
    let table = include_str!("../../src/watch/refused/paths.txt");
    let hows = ["open1", "open2", "how2", "look", "exist", "read", "write", "execute", "enter", "create", "remove"];
    for row in rows(table) {
        let mut words = row.split(' ');
        assert!(words.next().is_some_and(is_call), "{row}");
        for word in words {
            let Some((_, how)) = word.split_once(':') else { panic!("{row}") };
            assert!(hows.contains(&how) || how == "change" || how == "shut", "{row}");
        }
    }
}

#[test]
fn each_text_is_used_and_each_use_has_one() {
    let code: String = SOURCES.concat();
    for key in rows(texts()) {
        let made = ["capability bounding", "capability permitted", "capability ambient"].contains(&key);
        assert!(made || code.contains(&format!("\"{key}\"")), "no code says: {key}");
        assert!(!words(key, &[]).is_empty(), "{key}");
    }
    for part in code.split("cause(By::").skip(1).chain(code.split("words(").skip(1)) {
        let Some(key) = part.split('"').nth(1).filter(|_| part.find('"') < part.find(';')) else { continue };
        if key.starts_with(|letter: char| letter.is_ascii_lowercase()) && !key.contains('{') && key.contains(' ') {
            assert!(rows(texts()).any(|known| known == key), "no text is called: {key}");
        }
    }
}

#[test]
fn values_of_the_container_stay_values() {
    let made = cause(By::User, "user", "/process/user/uid", &["/{1}\n\x1b[2J", "0:0", "0600", "7", "read"]);
    assert_eq!(made.what, "/{1}\\n\\u{1b}[2J belongs to 0:0 with mode 0600: user 7 may not read");
    let long = "x".repeat(10_000);
    assert!(cause(By::User, "user", "", &[&long]).what.len() < 400);
}

#[test]
fn what_one_change_lifts_is_one_group() {
    let one = |path: &str, count| Refusal {
        cause: cause(By::User, "user", "/process/user/uid", &[path, "0:0", "0600", "7", "read"]),
        count,
        call: "open(..) = -1 EACCES".into(),
        tid: 5,
        program: "cat".into(),
    };
    let other = Refusal { cause: cause(By::Mount, "noexec", "/mounts/2", &["/a", "tmpfs", "/mounts/2"]), ..one("", 9) };
    let text = summary(&[one("/a", 2), other, one("/b", 3)]);
    assert!(text.starts_with("The container refused 14 calls, for 2 reasons:\n\n9 x  a mount: /mounts/2\n"), "{text}");
    assert!(text.contains("\n5 x  the user: /process/user/uid\n"), "{text}");
    assert!(text.contains("\n  also:    /b belongs to 0:0 with mode 0600: user 7 may not read\n"), "{text}");
    let files: Vec<Refusal> = (0..30).map(|i| one(&format!("/{i}"), 1)).collect();
    assert!(summary(&files).contains("\n  also:    24 more of the same kind\n"));
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(summary(&[]), "The container refused no call.\n");
    let many: Vec<Refusal> = (0..500)
        .map(|i| Refusal { cause: Cause { pointer: format!("/mounts/{i}"), ..one("/a", 1).cause }, ..one("/a", 1) })
        .collect();
    assert!(summary(&many).lines().count() < 200);
    assert!(summary(&many).contains("And 480 more reasons."));
}
