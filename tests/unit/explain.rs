//! The texts of `explain`: their form, and that there is one for everything that a trace, a plan or an error can show, and
//! none of nothing.

use crate::explain::{Book, Entry, KINDS, fits};
use crate::plan::{self, Step};
use crate::{spec, state};
use std::collections::BTreeSet;

type Names = BTreeSet<String>;

const LABELS: [&str; 3] = ["here: ", "without: ", "try: "];

fn names_of(kind: &str) -> Names {
    Book::read().of_kind(kind).flat_map(Entry::names).map(String::from).collect()
}

/// Every name that can be shown has an entry of this kind, and every entry a name that can be shown.
fn same(kind: &str, shown: Names) {
    let told = names_of(kind);
    let missing: Vec<_> = shown.difference(&told).collect();
    let surplus: Vec<_> = told.difference(&shown).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "{kind}: without an entry: {missing:?}; of nothing: {surplus:?}");
}

fn set<'a>(names: impl IntoIterator<Item = &'a str>) -> Names {
    names.into_iter().map(String::from).collect()
}

/// Fails with all faults at once, an entry's name before each.
fn none(faults: Vec<(&str, String)>) {
    let lines: Vec<String> = faults.iter().map(|(name, fault)| format!("{name}: {fault}")).collect();
    assert!(lines.is_empty(), "\n{}", lines.join("\n"));
}

#[test]
fn each_entry_has_its_form() {
    let book = Book::read();
    assert!(book.entries().count() > 500);
    let mut faults = Vec::new();
    for entry in book.entries() {
        let mut fault = |yes: bool, text: String| {
            if yes {
                faults.push((entry.name(), text))
            }
        };
        fault(KINDS.iter().all(|(kind, ..)| *kind != entry.kind()), format!("no kind: {}", entry.kind()));
        for line in entry.lines() {
            let long = line.len() > 100 && !line.starts_with("hint: ");
            fault(!line.is_ascii() || long || line.trim_end() != line, format!("line: {line}"));
        }
        for key in entry.keys() {
            fault(
                !["kind", "of", "man", "oci", "see", "number", "hint", "args", "steps"].contains(&key),
                format!("key: {key}"),
            );
        }
        let begin = |label: &&str| entry.lines().position(|line| line.starts_with(*label));
        let places: Vec<usize> = LABELS.iter().filter_map(begin).collect();
        fault(!places.is_sorted(), "labels out of order".into());
        for label in LABELS {
            let count = entry.lines().filter(|line| line.starts_with(label)).count();
            fault(count > 1, format!("{count} times {label}"));
        }
        let parts = [Some(entry.text()), entry.part("here"), entry.part("without"), entry.part("try")];
        for part in parts.into_iter().flatten() {
            fault(part.is_empty(), "a part without text".into());
            fault(part.matches('`').count() % 2 != 0, format!("a backtick is missing: {part}"));
            for code in part.split('`').skip(1).step_by(2) {
                fault(code.len() > 78, format!("too long for a line: `{code}`"));
            }
            let wide = |line: &&str| line.starts_with("    ") && line.len() > 80;
            fault(part.lines().any(|line| wide(&line)), "a picture with more than 80 columns".into());
        }
    }
    none(faults);
}

#[test]
fn each_name_stands_in_a_kind_once_and_leads_somewhere() {
    let book = Book::read();
    let mut seen = BTreeSet::new();
    let mut faults = Vec::new();
    for entry in book.entries() {
        let mut fault = |yes: bool, text: String| {
            if yes {
                faults.push((entry.name(), text))
            }
        };
        for name in entry.names() {
            fault(name.is_empty() || !seen.insert((entry.kind(), name)), format!("twice: {name}"));
        }
        for other in entry.key("see").iter().flat_map(|names| names.split(", ")) {
            fault(book.find(other).is_empty(), format!("see: no entry {other}"));
            fault(entry.names().any(|own| own == other), "see: itself".into());
        }
        let of = entry.key("of");
        fault(of.is_some() && book.above(entry).is_none(), format!("of: no entry {of:?}"));
        fault(entry.key("hint").is_some() != (entry.kind() == "hint"), "no hint, or not among the hints".into());
        let sources = [book.inherited(entry, "man"), book.inherited(entry, "oci")];
        fault(sources.iter().all(Option::is_none), "no man page and no section of OCI".into());
    }
    none(faults);
}

#[test]
fn calls_flags_and_errors_have_an_entry() {
    let source = gate();
    let after = |prefix: &str, text: &str| -> Names {
        let parts = text.split(prefix).skip(1);
        let name = |part: &str| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().map(String::from);
        // A name that is put together has no letters after it.
        parts.filter_map(name).filter(|name| !name.is_empty()).collect()
    };
    same("call", after("__NR_", &source));
    let errors = (1..4096).map(|number| syscalls::Errno(number).name());
    same("errno", set(errors.filter(|name| *name != "E???")));
    let signals = (1..=64).map(|number| syscalls::flags::signal_name(number).to_string());
    let shown = set(syscalls::flags::every_name()).into_iter().chain(signals);
    same("flag", shown.filter(|name| !spec::CAPABILITIES.contains(&name.as_str())).collect());
    for word in names_of("word") {
        assert!(source.contains(&word), "{word} is no word that a trace shows");
    }
}

/// The source of the crate with the gate.
fn gate() -> String {
    let mut text = String::new();
    let mut folders = vec![std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("syscalls/src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder").flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => text.push_str(&std::fs::read_to_string(path).expect("a file")),
            }
        }
    }
    text
}

#[test]
fn what_config_json_can_hold_has_an_entry() {
    same("capability", set(spec::CAPABILITIES));
    same("option", set(plan::mounts::options::option_words()));
    same("namespace", spec::supported_namespaces().map(|kind| format!("{kind} namespace")).collect());
    let told = names_of("property");
    let shown: Vec<String> = spec::properties().into_iter().map(|(pointer, _)| pointer).collect();
    let missing: Vec<_> = shown.iter().filter(|pointer| !told.iter().any(|name| fits(name, pointer))).collect();
    let surplus: Vec<_> = told.iter().filter(|name| !shown.iter().any(|pointer| fits(name, pointer))).collect();
    assert!(missing.is_empty() && surplus.is_empty(), "without an entry: {missing:?}; of nothing: {surplus:?}");
}

#[test]
fn steps_and_states_have_an_entry() {
    same("step", set(Step::ALL.iter().map(|step| step.text().0)));
    use state::Status::*;
    same("state", set([Creating, Created, Running, Paused, Stopped].map(|status| status.word())));
    let book = Book::read();
    for step in Step::ALL {
        let (name, heading) = step.text();
        let entry = book.of_kind("step").find(|entry| entry.name() == name).expect("an entry");
        let numbers = heading.split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        for number in numbers {
            assert!(book.steps(number).iter().any(|one| one.name() == name), "{name} is in step {number}");
        }
        assert_eq!(entry.key("number").is_some(), heading.starts_with("lifecycle"), "{name}");
    }
}

#[test]
fn an_entry_is_found_by_its_name() {
    let book = Book::read();
    let first = |name: &str| book.find(name).first().map(|entry| entry.name());
    for (asked, found) in [
        ("pivot_root", "pivot_root"),
        ("PIVOT_ROOT", "pivot_root"),
        ("clone_newpid", "CLONE_NEWPID"),
        ("/mounts/3/options/0", "/mounts/*/options"),
        ("/linux/seccomp/", "/linux/seccomp"),
        ("/hooks/poststop/0/env", "/hooks/*/*/env"),
        ("/annotations/x~1y", "/annotations"),
        ("bounding set", "capability sets"),
        ("mount EPERM", "mount EPERM filesystem"),
        ("open_tree ENOENT", "open_tree ENOENT"),
    ] {
        assert_eq!(first(asked), Some(found), "{asked}");
    }
    for nothing in ["", "/", "/nothing", "frob"] {
        assert_eq!(first(nothing), None, "{nothing}");
    }
    assert!(!book.search("cgroup.freeze").is_empty() && book.search("frobnicate").is_empty());
}

#[test]
fn a_first_sentence_is_one() {
    let book = Book::read();
    let sentence = |name: &str| book.find(name).first().map(|entry| entry.sentence().to_string());
    assert_eq!(sentence("chroot").as_deref(), Some("It changes where the caller's absolute paths begin."));
    let odd = |text: &str| !text.ends_with(['.', ':', '?', ')']) || text.len() > 400;
    let faults = book.entries().filter(|entry| entry.kind() != "hint" && odd(entry.sentence()));
    none(faults.map(|entry| (entry.name(), entry.sentence().to_string())).collect());
}
