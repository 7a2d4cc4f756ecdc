//! `root`, and the paths of `linux` that are masked or read-only (config.md, "Root"; config-linux.md, "Masked Paths",
//! "Rootfs Mount Propagation"). May touch: serde.

use super::rules::{absolute, path};
use super::schema::{At, Checked, schema};

schema! {
    Root {
        "path" path: String => root_path;
        "readonly" readonly: bool;
    }
}

fn root_path(text: &str, at: &At) -> Checked {
    at.refuse(text.is_empty(), || "is missing: it names the root file system's directory")?;
    path(text, at)
}

pub fn propagation(word: &str, at: &At) -> Checked {
    let kind = word.strip_prefix('r').unwrap_or(word);
    let known = word.is_empty() || matches!(kind, "shared" | "slave" | "private" | "unbindable");
    at.refuse(!known, || format!("`{word}` must be shared, slave, private or unbindable"))
}

/// Any path but the root, in any of its spellings.
pub fn masked(text: &str, at: &At) -> Checked {
    absolute(text, at)?;
    let root = text.split('/').all(|part| matches!(part, "" | "." | ".."));
    at.refuse(root, || "is the root itself: nothing would be left of the container")
}
