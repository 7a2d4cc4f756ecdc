//! What the sources may mention: std nowhere, `unsafe` only in the crate `syscalls`, system calls not in a plan. Read out of
//! the sources. An exception is named here, or there is none.

use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn cases() -> Vec<Trial> {
    area(
        "picture",
        &[
            ("spec_is_serde_only", spec),
            ("plan_makes_no_system_call", plan),
            ("perform_never_reads_the_spec", perform),
            ("no_second_door", no_second_door),
            ("unsafe_only_in_syscalls", unsafe_only),
            ("no_unwrap", no_unwrap),
            ("files_say_what_lives_there", files),
            ("syscalls_stands_alone", syscalls),
            ("the_product_depends_on_little", dependencies),
        ],
    )
}

/// A source file: its path below the repository, and its lines of code without comments, tests left out.
struct Source {
    path: String,
    text: String,
    code: Vec<(usize, String)>,
}

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The Rust files below some folders. None at all is a mistake of this test.
fn sources(folders: &[&str]) -> Result<Vec<Source>, Failed> {
    let mut paths = Vec::new();
    for folder in folders {
        let at = repository().join(folder);
        if at.with_extension("rs").exists() {
            paths.push(at.with_extension("rs"));
        }
        collect(&at, &mut paths);
    }
    ensure_some(&paths, folders)?;
    let mut all = Vec::new();
    for path in paths {
        let text = fs::read_to_string(&path)?;
        let path = path.strip_prefix(repository())?.to_string_lossy().into_owned();
        all.push(Source { code: code(&text), path, text });
    }
    Ok(all)
}

fn ensure_some(paths: &[PathBuf], folders: &[&str]) -> Outcome {
    ensure!(!paths.is_empty(), "no source below {folders:?}");
    Ok(())
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true if path.ends_with("target") => {}
            true => collect(&path, paths),
            // Compiled for unit tests alone.
            false if path.ends_with("tests.rs") => {}
            false if path.extension().is_some_and(|end| end == "rs") => paths.push(path),
            false => {}
        }
    }
}

/// Numbered lines without comments and without what stands in strings, up to the file's own tests.
fn code(text: &str) -> Vec<(usize, String)> {
    let bare = bare(text);
    let own = bare.lines().enumerate();
    let own = own.take_while(|(_, line)| line.trim() != "#[cfg(test)]" || next_is_file(&bare, line));
    let numbered = own.map(|(number, line)| (number + 1, line.to_owned()));
    numbered.filter(|(_, line)| !line.trim().is_empty()).collect()
}

/// The text with comments and the insides of strings and of characters left out; lines stay lines.
fn bare(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let raw = rest.strip_prefix('r').map(|tail| tail.trim_start_matches('#'));
        let hashes = raw.map_or(0, |tail| rest.len() - tail.len() - 1);
        let word = out.ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let taken = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").map_or(rest.len(), |at| at + 2),
            'r' if !word && raw.is_some_and(|tail| tail.starts_with('"')) => {
                let end = format!("\"{}", "#".repeat(hashes));
                let from = hashes + 2;
                rest[from..].find(&end).map_or(rest.len(), |at| from + at + end.len())
            }
            '"' => quoted(rest, '"'),
            // A lifetime has no closing quote behind one character.
            '\'' if rest.chars().nth(2) == Some('\'') || rest.starts_with("'\\") => quoted(rest, '\''),
            other => {
                out.push(other);
                rest = &rest[other.len_utf8()..];
                continue;
            }
        };
        out.extend(rest[..taken].chars().filter(|c| *c == '\n'));
        rest = &rest[taken..];
    }
    out
}

/// How long the literal is that the text begins with.
fn quoted(text: &str, mark: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == mark => return at + c.len_utf8(),
            _ => {}
        }
    }
    text.len()
}

/// `#[cfg(test)] mod tests;` only names another file: the code goes on behind it.
fn next_is_file(text: &str, mark: &str) -> bool {
    let after = text.split_once(mark).map_or("", |(_, after)| after);
    let next = after.trim_start().lines().next().unwrap_or("");
    next.starts_with("mod ") && next.ends_with(';')
}

/// Fails with every line of code that one of the words is in.
fn never(sources: &[Source], words: &[&str], because: &str) -> Outcome {
    let mut found = Vec::new();
    for source in sources {
        for (number, line) in &source.code {
            if words.iter().any(|word| mentions(line, word)) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    ensure!(found.is_empty(), "{because}:\n  {}", found.join("\n  "));
    Ok(())
}

/// The word, not as a part of a longer one.
fn mentions(line: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let begins = !word.starts_with(part) || !before.is_some_and(part);
        let ends = !word.ends_with(part) || !after.is_some_and(part);
        begins && ends
    })
}

const PRINT: &[&str] = &["println!", "eprintln!", "print!", "eprint!", "dbg!"];

fn spec() -> Outcome {
    let own = sources(&["src/spec"])?;
    never(
        &own,
        &["syscalls", "crate::sys", "crate::perform", "crate::commands", "crate::state", "crate::plan", "crate::host"],
        "spec knows serde and itself alone",
    )
}

/// `plan` may name types of `syscalls`, which begin with a capital, and structures for the kernel, but no function.
fn plan() -> Outcome {
    let own = sources(&["src/plan"])?;
    let mut found = Vec::new();
    for source in &own {
        for (number, line) in &source.code {
            for (_, after) in line.match_indices("syscalls::").map(|(at, word)| (at, &line[at + word.len()..])) {
                let names = after.trim_start_matches('{').split([',', '}', ';', '(', '<', ' ']).map(str::trim);
                let braces = after.starts_with('{');
                for name in names.take(if braces { usize::MAX } else { 1 }).filter(|name| !name.is_empty()) {
                    let first = name.split("::").next().unwrap_or(name);
                    let allowed = first.starts_with(char::is_uppercase) || ["abi", "flags", "names"].contains(&first);
                    if !allowed {
                        found.push(format!("{}:{number}: {}", source.path, line.trim()));
                    }
                }
            }
        }
    }
    ensure!(found.is_empty(), "plan makes no system call:\n  {}", found.join("\n  "));
    never(
        &own,
        &["crate::perform", "crate::commands", "crate::state", "serde", "serde_json"],
        "plan knows spec, host and types alone",
    )
}

fn perform() -> Outcome {
    never(
        &sources(&["src/perform"])?,
        &["spec", "serde", "serde_json", "commands", "cli"],
        "perform never reads the spec",
    )
}

fn no_second_door() -> Outcome {
    let mut own = sources(&["src"])?;
    // What a fault of the program says goes through std.
    for (_, line) in own.iter_mut().filter(|source| source.path == "src/main.rs").flat_map(|source| &mut source.code) {
        *line = line.replace("std::panic::set_hook", "");
    }
    never(&own, &["std"], "std makes system calls that the gate does not see")?;
    never(&own, PRINT, "printing goes through the gate")?;
    let mut calls = vec!["libc::syscall"];
    // Of libc only numbers and types are used: these are some of its functions.
    calls.extend([
        "libc::open",
        "libc::read",
        "libc::write",
        "libc::fork",
        "libc::malloc",
        "libc::printf",
        "libc::exit",
    ]);
    never(&own, &calls, "libc's functions make system calls that the gate does not see")
}

fn unsafe_only() -> Outcome {
    let mut own = sources(&["src"])?;
    // What is called from outside the language has to be an extern function without a mangled name.
    own.retain(|source| !["src/main.rs", "src/entry/no_libc.rs"].contains(&source.path.as_str()));
    never(&own, &["unsafe", "asm!"], "only the crate syscalls is unsafe")
}

fn no_unwrap() -> Outcome {
    let mut own = sources(&["src", "syscalls/src"])?;
    own.retain(|source| !source.path.ends_with("tests.rs"));
    never(&own, &[".unwrap()"], "an unwrap is a panic without a reason")
}

fn files() -> Outcome {
    let mut found = Vec::new();
    for source in sources(&["src", "syscalls/src", "tests"])? {
        if !source.text.starts_with("//! ") {
            found.push(format!("{} does not open with what lives there", source.path));
        }
    }
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

fn syscalls() -> Outcome {
    let own = sources(&["syscalls/src"])?;
    let lib = own.iter().find(|source| source.path.ends_with("src/lib.rs")).ok_or("no syscalls/src/lib.rs")?;
    ensure!(lib.text.contains("#![no_std]"), "syscalls is no_std");
    never(&own, &[" alloc::", "extern crate alloc", "std::"], "syscalls allocates nothing")?;
    never(&own, &["container", "bundle", "rootfs", "oci", "OCI", "runc", "config.json"], "syscalls knows no OCI word")
}

/// serde, serde_json and argh with what they are made of, and the two crates that hold the kernel's numbers.
const DEPENDENCIES: &[&str] = &[
    "nk-runtime",
    "syscalls",
    "libc",
    "linux-raw-sys",
    "argh",
    "argh_derive",
    "argh_shared",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "itoa",
    "memchr",
    "zmij",
    "ryu",
    "proc-macro2",
    "quote",
    "syn",
    "unicode-ident",
];

/// What only the build uses of these: nothing of it is in the program.
const BUILDERS: &[&str] = &["argh_derive", "serde_derive", "proc-macro2", "quote", "syn", "unicode-ident"];

/// What is in the program, its copyright says.
fn dependencies() -> Outcome {
    let cargo = std::env::var("CARGO").unwrap_or("cargo".into());
    let tree = Command::new(cargo)
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none", "--package", "nk-runtime"])
        .current_dir(repository())
        .output()?;
    let text = String::from_utf8_lossy(&tree.stdout).into_owned();
    ensure!(tree.status.success(), "cargo tree: {}", String::from_utf8_lossy(&tree.stderr));
    let names: Vec<&str> =
        text.lines().filter_map(|line| line.split(' ').next()).filter(|name| !name.is_empty()).collect();
    ensure!(names.contains(&"serde_json"), "cargo tree makes no sense: {text}");
    let strangers: Vec<&&str> = names.iter().filter(|name| !DEPENDENCIES.contains(name)).collect();
    ensure!(strangers.is_empty(), "the product depends on {strangers:?}");
    let copyright = fs::read_to_string(repository().join("scripts/release.d/copyright"))?;
    let told = copyright.lines().filter_map(|line| line.strip_prefix("Files: ")).flat_map(str::split_whitespace);
    let told: Vec<&str> = told.chain(BUILDERS.iter().copied()).chain(["nk-runtime", "syscalls"]).collect();
    let untold: Vec<&&str> = names.iter().filter(|name| !told.contains(name)).collect();
    ensure!(untold.is_empty(), "scripts/release.d/copyright has no word on {untold:?}");
    Ok(())
}
