//! What a failure says: the cause in the first line, and what to try.

pub mod cgroups;
pub mod mounts;
pub mod others;
pub mod programs;
pub mod repeated;
pub mod rights;
pub mod situations;

use crate::bundle::Bundle;
use crate::{Outcome, ensure};

/// `run` fails, and says this: a cause at the beginning of its first line, and a cure.
pub fn says(bundle: &Bundle, cause: &str, cure: &str) -> Outcome {
    says_to(bundle, &["run"], cause, cure)
}

/// The same of another command.
fn says_to(bundle: &Bundle, words: &[&str], cause: &str, cure: &str) -> Outcome {
    let done = bundle.bundled(words)?;
    ensure!(done.status == 1, "{done:?}");
    let first = done.err.lines().next().unwrap_or_default();
    let begins = first.strip_prefix("nk-runtime: ").is_some_and(|first| first.starts_with(cause));
    ensure!(begins && done.err.contains(cure), "\n  wanted: {cause}\n     try: {cure}\n     was: {}", done.err);
    Ok(())
}
