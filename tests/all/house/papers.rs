//! The repository's papers name tests and files: README.md, src/README.md, and the table of decisions (tests/DECISIONS.md).
//! Each of these exists, and the picture of the rooms is the one that the sources are held to.

use super::architecture::ROWS;
use crate::{Failed, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::fs;
use std::path::Path;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let mut all = area("decisions", &[("each_names_its_test", decisions)]);
    all.extend(area(
        "papers",
        &[
            ("named_tests_and_files_exist", named),
            ("the_picture_has_every_room", picture),
            ("nothing_outside_is_mentioned", outside),
        ],
    ));
    all
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all cases of this program.
fn listed() -> Result<Vec<String>, Failed> {
    let listed = Command::new(std::env::current_exe()?).arg("--list").output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let tests = listed.lines().filter_map(|line| line.rsplit_once(": ")).map(|(name, _)| name.to_owned());
    let tests: Vec<String> = tests.collect();
    ensure!(tests.len() > 500, "{} tests are listed", tests.len());
    Ok(tests)
}

/// The names of the tests in tests/unit.
fn unit_tests() -> Result<Vec<String>, Failed> {
    let mut all = Vec::new();
    for entry in fs::read_dir(repository().join("tests/unit"))? {
        let code = fs::read_to_string(entry?.path())?;
        let functions = code.split("fn ").skip(1).filter_map(|rest| rest.split_once("()"));
        all.extend(functions.map(|(name, _)| format!("unit::{name}")));
    }
    Ok(all)
}

/// What stands between single backquotes.
fn quoted(text: &str) -> Vec<&str> {
    let lines = text.lines().filter(|line| !line.starts_with("```"));
    lines.flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// Each row of the table of decisions names the test that holds it.
fn decisions() -> Outcome {
    let table = fs::read_to_string(repository().join("tests/DECISIONS.md"))?;
    let tests = listed()?;
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        if cells[0].trim() == "what" {
            continue;
        }
        rows += 1;
        ensure!(cells.len() == 5, "{} cells, not 5: {line}", cells.len());
        let names = quoted(cells[4]);
        ensure!(!names.is_empty(), "no test is named: {line}");
        for name in names {
            ensure!(tests.iter().any(|test| test == name), "there is no test `{name}`: {line}");
        }
    }
    ensure!(rows > 0, "tests/DECISIONS.md has no row");
    Ok(())
}

const PAPERS: [&str; 2] = ["README.md", "src/README.md"];
const FOLDERS: [&str; 5] = ["src/", "syscalls/", "tests/", "scripts/", "bundles/"];

/// A name in capitals, as in `src/spec/SUBJECT.rs`, stands for any.
fn named() -> Outcome {
    let mut tests = listed()?;
    tests.extend(unit_tests()?);
    let (mut wrong, mut found) = (Vec::new(), 0);
    for paper in PAPERS {
        let text = fs::read_to_string(repository().join(paper))?;
        for word in quoted(&text).into_iter().filter_map(|quoted| quoted.split(' ').next()) {
            let is_test = word.contains("::") && !word.ends_with("::") && !word.contains(|c: char| c.is_uppercase());
            let is_file = FOLDERS.iter().any(|folder| word.starts_with(folder));
            let exists = match word {
                _ if word.contains(['*', '<']) || word.contains(|c: char| c.is_uppercase()) => continue,
                _ if is_test => tests.iter().any(|test| test == word),
                _ if is_file => repository().join(word).exists(),
                _ => continue,
            };
            found += 1;
            if !exists {
                wrong.push(format!("{paper}: there is no {word}"));
            }
        }
    }
    ensure!(found > 40, "only {found} names are found in {PAPERS:?}");
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(())
}

fn picture() -> Outcome {
    let text = fs::read_to_string(repository().join("src/README.md"))?;
    let drawn = text.split("```text").find(|part| part.contains("  ↓\n")).unwrap_or_default();
    let rows = drawn.lines().take_while(|line| !line.starts_with("```")).filter(|line| !line.trim().is_empty());
    let rows = rows.filter(|line| line.trim() != "↓").map(|line| line.trim_start());
    // The names are separated from what the room does by at least three blanks.
    let rooms = rows.map(|line| line.split("   ").next().unwrap_or_default().split_whitespace().collect::<Vec<_>>());
    same(
        "the rows of the picture in src/README.md",
        rooms.collect::<Vec<_>>(),
        ROWS.iter().map(|row| row.to_vec()).collect(),
    )
}

/// A clone of this repository has all that its tests and texts speak of.
fn outside() -> Outcome {
    let neighbour = ["..", "shared"].join("/");
    let tracked = Command::new("git").args(["grep", "-l", "-F", &neighbour]).current_dir(repository()).output();
    let Ok(found) = tracked else { return Ok(()) };
    same("files that speak of a folder beside the repository", String::from_utf8_lossy(&found.stdout).as_ref(), "")
}
