//! The texts of `inspect`: there is one for everything that it can say, and none of nothing.

use crate::explain::Book;
use crate::look::{note, open, words};
use crate::spec;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The sources of the room and of the command.
fn sources() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut text = String::new();
    for folder in ["look", "commands"] {
        for entry in fs::read_dir(root.join(folder)).expect("a folder").flatten() {
            let path = entry.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_owned();
            if name.ends_with(".rs") && (folder == "look" || name.starts_with("inspect")) {
                text.push_str(&fs::read_to_string(path).expect("a file"));
            }
        }
    }
    text
}

#[test]
fn each_finding_is_explained() {
    let (book, source) = (Book::read(), sources());
    let mut seen = BTreeSet::new();
    let pointers: Vec<String> = spec::properties().into_iter().map(|(pointer, _)| pointer).collect();
    for (name, at, explain) in open::names() {
        assert!(seen.insert(name), "{name} stands twice");
        let known = spec::CAPABILITIES.contains(&name) || source.contains(&format!("\"{name}\""));
        assert!(known, "{name}: no code finds it");
        assert!(!book.find(explain).is_empty(), "{name}: explain has no entry {explain}");
        assert!(pointers.iter().any(|pointer| pointer == at || pointer.starts_with(&format!("{at}/"))), "{name}: {at}");
    }
    assert!(seen.len() > 30);
}

#[test]
fn each_finding_has_a_text() {
    let named = open::names();
    let code = sources();
    let code = code.split_once("fn namespaces(facts: &Facts, found").map_or("", |(_, code)| code);
    let pushed = code.split("found.push((\"").skip(1).filter_map(|part| part.split('"').next());
    let added = code.split("add(\"").skip(1).filter_map(|part| part.split('"').next());
    let mounts = code.split("add_mount(found, \"").skip(1).filter_map(|part| part.split('"').next());
    let kinds = spec::supported_namespaces().map(|kind| format!("{kind} namespace"));
    let all: Vec<String> = pushed.chain(added).chain(mounts).map(String::from).chain(kinds).collect();
    assert!(all.len() > 15, "{all:?}");
    let found = all.iter().filter(|name| !name.contains(' ') || named.iter().any(|(known, ..)| known == name));
    assert_eq!(found.count(), all.len(), "{all:?}");
}

#[test]
fn each_note_is_used_and_each_use_has_a_note() {
    let source = sources();
    let used: BTreeSet<&str> = source.split("note(\"").skip(1).filter_map(|part| part.split('"').next()).collect();
    let states = ["creating", "created", "running", "paused"];
    for key in used.iter().chain(&states) {
        assert!(!note(key).is_empty(), "no note {key}");
    }
    let notes = include_str!("../../src/look/texts/notes.txt");
    for key in notes.lines().filter_map(|line| line.split(": ").next()) {
        assert!(used.contains(key) || states.contains(&key), "the note {key} is not used");
    }
}

#[test]
fn what_is_shown_has_an_entry_in_explain() {
    let book = Book::read();
    let files = include_str!("../../src/look/texts/cgroup.txt").lines().filter_map(|line| line.split(": ").next());
    for name in files.chain(spec::ACTIONS.iter().map(|(name, _)| *name)) {
        assert!(book.find(name).iter().any(|entry| entry.names().any(|own| own == name)), "no entry {name}");
    }
}

#[test]
fn files_of_a_cgroup_have_words() {
    for file in ["memory.max", "pids.max", "cpu.max", "io.max", "cpu.stat", "pids.current"] {
        assert_ne!(words(file), file);
    }
    assert_eq!(words("misc.max"), "misc.max");
}
