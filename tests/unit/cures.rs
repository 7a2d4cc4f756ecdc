//! Cures of refused properties: each is for words that a problem has.

use super::*;
use std::fs;
use std::path::Path;

/// Words that no problem has would be of no use.
#[test]
fn each_refusal_with_a_cure_is_made() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut code = String::new();
    let mut folders = vec![src.join("spec"), src.join("plan")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => code.push_str(&fs::read_to_string(path).unwrap_or_default()),
            }
        }
    }
    for words in refusals().lines().filter(|line| !line.starts_with(['#', ' ']) && !line.is_empty()) {
        let kind = ["uts", "user", "network", "ipc", "time"].iter().find(|kind| words.contains(&format!("`{kind}`")));
        let general = kind.map_or(words.into(), |kind| words.replace(kind, "{word}"));
        assert!(code.contains(words) || code.contains(&general), "no problem has the words: {words}");
        assert!(!refused(words).is_empty(), "{words} has no cure");
    }
    assert_eq!(refused("is no such thing"), "");
}
