//! How the source is built, read out of the `use` lines and paths of `src`: arrows between rooms go downward, no files of a
//! room use each other in a circle, and a function fits on a page. An exception is named here, with its reason.

use crate::{Failed, Outcome, area, ensure};
use libtest_mimic::Trial;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

pub fn cases() -> Vec<Trial> {
    area(
        "architecture",
        &[
            ("arrows_go_downward", arrows),
            ("no_circle_in_a_room", circles),
            ("folders_hold_what_they_name", folders),
            ("functions_fit_on_a_page", functions),
        ],
    )
}

/// The rooms, the highest row first. A room may use those of lower rows.
pub const ROWS: &[&[&str]] = &[
    &["main"],
    &["commands"],
    &["beside"],
    &["compare", "draw"],
    &["watch", "stepper"],
    &["vm", "trace"],
    &["guest"],
    &["check", "lint"],
    &["say", "look"],
    &["ended"],
    &["cause"],
    &["state", "world"],
    &["perform"],
    &["plan"],
    &["cli"],
    &["spec"],
    &["host", "entry"],
    &["outcome", "explain", "learn", "listing"],
    &["sorted", "frames", "netlink"],
    &["packed"],
    &["syscalls"],
];

/// Arrows that go upward: from, to, why.
const UPWARD: &[(&str, &str, &str)] = &[];

/// Rooms whose files use each other in circles.
const CIRCLES: &[(&str, &str)] = &[];

/// The lines that a function has at most, and those that may have more.
const PAGE: usize = 70;
const LONG: &[(&str, &str, &str)] = &[];

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A module: its path from the crate's root, and its code without comments, texts and tests.
type Modules = BTreeMap<Vec<String>, String>;

fn modules() -> Result<Modules, Failed> {
    let root = repository().join("src");
    let mut all = Modules::new();
    for path in files(&root)? {
        let below = path.strip_prefix(&root)?.with_extension("");
        let mut name: Vec<String> = below.iter().map(|part| part.to_string_lossy().into_owned()).collect();
        name.pop_if(|last| last == "mod" || last == "main");
        all.insert(name, without_tests(&without_texts(&fs::read_to_string(&path)?)));
    }
    ensure!(all.len() > 50, "src has {} files", all.len());
    Ok(all)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        match path.extension() {
            Some(end) if end == "rs" => all.push(path),
            _ if path.is_dir() => all.extend(files(&path)?),
            _ => {}
        }
    }
    Ok(all)
}

/// The code with a blank in place of each character of a comment, a text or a character; line breaks stay.
fn without_texts(code: &str) -> String {
    let all: Vec<char> = code.chars().collect();
    let mut out = String::new();
    let mut at = 0;
    while at < all.len() {
        let end = match (all[at], all.get(at + 1)) {
            ('/', Some('/')) => at + all[at..].iter().take_while(|c| **c != '\n').count(),
            ('"', _) => end_of_text(&all, at),
            // A character, not a lifetime.
            ('\'', Some('\\')) => at + 3 + all[at + 3..].iter().take_while(|c| **c != '\'').count(),
            ('\'', Some(_)) if all.get(at + 2) == Some(&'\'') => at + 2,
            _ => {
                out.push(all[at]);
                at += 1;
                continue;
            }
        };
        let end = end.min(all.len() - 1);
        out.extend(all[at..=end].iter().map(|c| if *c == '\n' { '\n' } else { ' ' }));
        at = end + 1;
    }
    out
}

fn end_of_text(all: &[char], start: usize) -> usize {
    let mut at = start + 1;
    while at < all.len() && all[at] != '"' {
        at += if all[at] == '\\' { 2 } else { 1 };
    }
    at
}

/// The place after the brace that closes the first one from here on.
fn after_braces(code: &str) -> usize {
    let (mut depth, mut brackets) = (0, 0);
    for (at, c) in code.char_indices() {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            ';' if depth == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

fn without_tests(code: &str) -> String {
    let mut out = String::new();
    let mut rest = code;
    while let Some((before, after)) = rest.split_once("#[cfg(test)]") {
        out.push_str(before);
        rest = &after[after_braces(after)..];
    }
    out + rest
}

/// The words of a piece of code: names, `::`, and single signs.
fn words(code: &str) -> Vec<&str> {
    let mut all = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let name = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
        let len = match name {
            0 if rest.starts_with("::") => 2,
            0 => first.len_utf8(),
            name => name,
        };
        all.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    all
}

/// One path of a `use` line or of the code, and whether `pub use` hands it on.
struct Named {
    parts: Vec<String>,
    handed_on: bool,
}

/// All paths in a file.
fn paths(code: &str) -> Vec<Named> {
    let words = words(code);
    let mut all = Vec::new();
    let mut at = 0;
    while at < words.len() {
        if words[at] == "use" {
            let end = at + words[at..].iter().position(|word| *word == ";").unwrap_or(0);
            let handed_on = at > 0 && (words[at - 1] == "pub" || words[at - 1] == ")");
            let found = tree(&words[at + 1..end]);
            all.extend(found.into_iter().map(|parts| Named { parts, handed_on }));
            at = end + 1;
        } else if words.get(at + 1) == Some(&"::") && (at == 0 || !matches!(words[at - 1], "::" | ".")) {
            let mut parts = Vec::from([words[at].to_string()]);
            while words.get(at + 1) == Some(&"::") && words.get(at + 2).is_some_and(|w| is_name(w)) {
                at += 2;
                parts.push(words[at].into());
            }
            all.push(Named { parts, handed_on: false });
            at += 1;
        } else {
            at += 1;
        }
    }
    all
}

fn is_name(word: &str) -> bool {
    word.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The paths of a `use` line.
fn tree(words: &[&str]) -> Vec<Vec<String>> {
    let mut before = Vec::new();
    for (at, word) in words.iter().enumerate() {
        match *word {
            "::" => {}
            "as" => break,
            "{" => {
                let inner = &words[at + 1..words.len() - 1];
                let branches = branches(inner);
                let below = branches.iter().flat_map(|branch| tree(branch));
                return below.map(|path| [before.clone(), path].concat()).collect();
            }
            word => before.push(word.to_string()),
        }
    }
    Vec::from([before])
}

/// What the commas outside of braces separate.
fn branches<'a>(words: &'a [&'a str]) -> Vec<&'a [&'a str]> {
    let mut depth = 0;
    let parts = words.split(|word| {
        depth += i32::from(*word == "{") - i32::from(*word == "}");
        *word == "," && depth == 0
    });
    parts.filter(|part| !part.is_empty()).collect()
}

/// Which modules a module uses. A name that a module hands on counts as a use of where it comes from.
fn uses(modules: &Modules) -> BTreeMap<Vec<String>, BTreeSet<Vec<String>>> {
    let mut handed: BTreeMap<Vec<String>, Vec<String>> = BTreeMap::new();
    for (module, code) in modules {
        for path in paths(code).into_iter().filter(|path| path.handed_on) {
            if let (Some(from), Some(name)) = (absolute(&path.parts, module, modules), path.parts.last()) {
                handed.insert([module.clone(), Vec::from([name.clone()])].concat(), from);
            }
        }
    }
    let mut all = BTreeMap::new();
    for (module, code) in modules {
        let mut used = BTreeSet::new();
        for path in paths(code).into_iter().filter(|path| !path.handed_on) {
            let Some(mut to) = absolute(&path.parts, module, modules) else { continue };
            for _ in 0..4 {
                let known = (1..=to.len()).rev().find_map(|len| Some((len, handed.get(&to[..len])?)));
                let Some((len, from)) = known else { break };
                to = [from.clone(), to[len..].to_vec()].concat();
            }
            let to = (0..=to.len()).rev().map(|len| to[..len].to_vec()).find(|to| modules.contains_key(to));
            used.extend(to.filter(|to| to != module));
        }
        all.insert(module.clone(), used);
    }
    all
}

/// A path from the crate's root. `None`: it leads elsewhere.
fn absolute(parts: &[String], module: &[String], modules: &Modules) -> Option<Vec<String>> {
    let mut base = module.to_vec();
    let mut rest = parts;
    match parts.first()?.as_str() {
        "crate" => {
            base.clear();
            rest = &rest[1..];
        }
        "self" => rest = &rest[1..],
        "super" => {
            while rest.first().is_some_and(|part| part == "super") {
                base.pop();
                rest = &rest[1..];
            }
        }
        child => {
            base.push(child.into());
            modules.get(&base)?;
            base.pop();
        }
    }
    Some([base, rest.to_vec()].concat())
}

fn room(module: &[String]) -> &str {
    module.first().map_or("main", String::as_str)
}

fn row(room: &str) -> Option<usize> {
    ROWS.iter().position(|row| row.contains(&room))
}

fn arrows() -> Outcome {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for (module, used) in uses(&modules()?) {
        let from = room(&module);
        let Some(own) = row(from) else {
            return Err(format!("the room {from} stands in no row").into());
        };
        for to in used.iter().filter(|to| room(to) != from) {
            let named = UPWARD.iter().find(|(a, b, _)| (*a, *b) == (from, room(to)));
            if let Some((a, b, _)) = named {
                seen.insert((*a, *b));
            } else if row(room(to)).is_none_or(|row| row <= own) {
                wrong.push(format!("{} uses {}", module.join("::"), to.join("::")));
            }
        }
    }
    ensure!(wrong.is_empty(), "arrows that do not go downward:\n  {}", wrong.join("\n  "));
    for (from, to, _) in UPWARD {
        ensure!(seen.contains(&(*from, *to)), "{from} does not use {to}: strike it off the list");
    }
    Ok(())
}

fn circles() -> Outcome {
    let uses = uses(&modules()?);
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for module in uses.keys().filter(|module| !module.is_empty()) {
        let mut reached = BTreeSet::new();
        let mut next = Vec::from([module]);
        while let Some(at) = next.pop() {
            let inside = uses.get(at).into_iter().flatten().filter(|to| room(to) == room(module));
            next.extend(inside.filter(|to| reached.insert((*to).clone())));
        }
        if reached.contains(module) {
            match CIRCLES.iter().find(|(name, _)| *name == room(module)) {
                Some((name, _)) => drop(seen.insert(*name)),
                None => wrong.push(module.join("::")),
            }
        }
    }
    ensure!(wrong.is_empty(), "files that use each other in a circle:\n  {}", wrong.join("\n  "));
    for (name, _) in CIRCLES {
        ensure!(seen.contains(name), "{name} has no circle: strike it off the list");
    }
    Ok(())
}

/// A module lies where its name says.
fn folders() -> Outcome {
    for (module, code) in modules()? {
        let placed = words(&code).windows(3).any(|three| three == ["[", "path", "="]);
        ensure!(!placed, "src/{}: #[path] places a module elsewhere", module.join("/"));
    }
    Ok(())
}

fn functions() -> Outcome {
    let mut long = Vec::new();
    let mut seen = BTreeSet::new();
    for path in ["src", "syscalls/src"].map(|folder| files(&repository().join(folder))) {
        for path in path? {
            let name = path.strip_prefix(repository())?.to_string_lossy().into_owned();
            let code = without_texts(&fs::read_to_string(&path)?);
            for (function, lines) in lengths(&code).into_iter().filter(|(_, lines)| *lines > PAGE) {
                match LONG.iter().find(|(file, listed, _)| (*file, *listed) == (&name, &function)) {
                    Some((file, listed, _)) => drop(seen.insert((*file, *listed))),
                    None => long.push(format!("{name}: {function} has {lines} lines")),
                }
            }
        }
    }
    ensure!(long.is_empty(), "functions of more than {PAGE} lines:\n  {}", long.join("\n  "));
    for (file, function, _) in LONG {
        ensure!(seen.contains(&(*file, *function)), "{file}: {function} is short: strike it off the list");
    }
    Ok(())
}

/// The functions of a file, each with its number of lines.
fn lengths(code: &str) -> Vec<(String, usize)> {
    let mut all = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let starts = at == 0 || code[..at].ends_with(|c: char| c.is_whitespace() || c == '(');
        let name: String = code[at + 3..].chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if starts && !name.is_empty() {
            let body = &code[at..at + after_braces(&code[at..])];
            all.push((name, body.lines().count()));
        }
    }
    all
}
