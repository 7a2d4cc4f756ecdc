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

/// Between the clone and the first line of init's lane stands nothing but the freeze.
fn first() -> Outcome {
    let source = std::fs::read_to_string("src/perform/host.rs")?;
    let child = source.split("Cloned::Child => {").nth(1);
    let words: Vec<&str> = child.unwrap_or("").split_whitespace().take(2).collect();
    same("what the child does", words, vec!["syscalls::freeze();", "process::walk(lanes)"])
}
