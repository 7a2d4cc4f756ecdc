//! What -E says: each text that the program asks for is in the table, and each text of the table is asked for.

use crate::cli;
use crate::outcome::Lane;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

const TABLE: &str = include_str!("../../src/say/tell.txt");

fn keys() -> BTreeSet<&'static str> {
    let key = |line: &&str| !line.is_empty() && !line.starts_with([' ', '#']);
    TABLE.lines().filter(key).collect()
}

/// The keys that stand in the code: `tell::words("KEY"` and `filled("KEY"`.
fn asked(folder: &Path, all: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a folder of the source") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            asked(&path, all);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let text = fs::read_to_string(&path).expect("a file of the source");
            for call in ["tell::words(\"", "filled(\""] {
                let rest = text.split(call).skip(1);
                all.extend(rest.filter_map(|rest| rest.split('"').next()).map(String::from));
            }
        }
    }
}

#[test]
fn each_text_is_there_and_is_asked_for() {
    let mut all = BTreeSet::new();
    asked(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut all);
    let commands = cli::words::SCREEN.split("\nOptions").next().unwrap_or_default().lines();
    let verbs = commands.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    all.extend(verbs.map(|verb| format!("command {verb}")));
    let keys = keys();
    let own = |key: &&&str| !["brief ", "command ", "own "].iter().any(|start| key.starts_with(start));
    for key in keys.iter().filter(own) {
        assert!(all.contains(*key), "no code asks for `{key}`");
    }
    for key in all.iter().filter(|key| *key != "demo") {
        assert!(keys.contains(key.as_str()), "tell.txt has no `{key}`");
    }
}

#[test]
fn brief_words_are_of_stages_that_there_are() {
    let stages = |lane: Lane| (1..=u8::MAX).map_while(move |n| crate::plan::stage(lane as u8, n)).map(|(name, _)| name);
    let mut known = BTreeSet::new();
    for (lane, name) in [(Lane::Host, "host"), (Lane::Bridge, "bridge"), (Lane::Init, "init")] {
        known.extend(stages(lane).map(|stage| format!("{name} {stage}")));
    }
    known.extend(keys().iter().map(|key| key.to_string()));
    known.insert("demo".into());
    for key in keys() {
        if let Some(brief) = key.strip_prefix("brief ") {
            let stage: Vec<&str> = brief.split(' ').take(2).collect();
            assert!(known.contains(&stage.join(" ")), "there is no stage `{brief}`");
        }
    }
}
