//! What holds on the far side of clone3: nothing is allocated there.

use crate::bundle::example;
use crate::{Case, Outcome, area, ensure, same};
use libtest_mimic::Trial;
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    let cases: &[Case] = &[("a_frozen_arena_gives_nothing", frozen), ("init_freezes_it_first", first)];
    area("lanes", cases)
}

/// The status with which a process ends that asks a frozen arena for memory: what an init would do that allocates, so
/// that every container which runs is a proof that its init did not.
const FROZEN_STATUS: i32 = 121;

fn frozen() -> Outcome {
    let done = Command::new(example("frozen")?).output()?;
    ensure!(
        done.stderr.is_empty(),
        "it got further than it should, or less far: {}",
        String::from_utf8_lossy(&done.stderr)
    );
    same("exit status", done.status.code(), Some(FROZEN_STATUS))
}

/// Between the clone and the first line of a lane stands nothing but the freeze.
fn first() -> Outcome {
    let source = std::fs::read_to_string("src/perform/namespaces.rs")?;
    let child = |at: &str| -> Vec<String> {
        let after = source.split(at).nth(1).unwrap_or("");
        after.split_whitespace().take(3).map(String::from).collect()
    };
    for lane in ["Init", "Bridge"] {
        ensure!(
            source.contains(&format!("Cloned::Child => Ok(child(lanes, Lane::{lane})),")),
            "the child walks {lane}"
        );
    }
    let begins = ["syscalls::freeze();", "lanes.lane", "="].map(String::from).to_vec();
    same("what the child does", child("-> Then {"), begins)?;
    let walk = std::fs::read_to_string("src/perform/walk.rs")?;
    let walk = walk.split("fn walk(&'static mut self) -> ! {").nth(1).unwrap_or("");
    let begins: Vec<&str> = walk.split_whitespace().take(2).collect();
    same("what a child that shares memory does", begins, vec!["syscalls::freeze();", "child(self)"])
}
