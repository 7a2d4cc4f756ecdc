//! The table of decisions (`tests/DECISIONS.md`): each row names the test that holds it, and that test exists.

use crate::{Outcome, area, ensure};
use libtest_mimic::Trial;
use std::fs;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area("decisions", &[("each_names_its_test", each)])
}

fn each() -> Outcome {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/DECISIONS.md");
    let table = fs::read_to_string(path)?;
    let listed = Command::new(std::env::current_exe()?).arg("--list").output()?;
    let listed = String::from_utf8(listed.stdout)?;
    let tests: Vec<&str> = listed.lines().filter_map(|line| line.split_once(": ")).map(|(name, _)| name).collect();
    ensure!(tests.len() > 500, "{} tests are listed", tests.len());
    let mut rows = 0;
    for line in table.lines().filter(|line| line.starts_with("| ")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").collect();
        if cells[0].trim() == "what" {
            continue;
        }
        rows += 1;
        ensure!(cells.len() == 5, "{} cells, not 5: {line}", cells.len());
        let names: Vec<&str> = cells[4].split('`').skip(1).step_by(2).collect();
        ensure!(!names.is_empty(), "no test is named: {line}");
        for name in names {
            ensure!(tests.contains(&name), "there is no test `{name}`: {line}");
        }
    }
    ensure!(rows > 0, "no row is found in {path}");
    Ok(())
}
