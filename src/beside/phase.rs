//! The calls of a milestone in rows, with what they have changed in words, and what `explain` says of them. May touch: texts.

use super::way::{Station, Way};
use crate::explain::{Book, Entry};
use crate::outcome::visible;
use crate::trace::words::{NOISE, has};
use crate::world::{Change, Deed, Kind};

/// So many different things that a row has changed are named.
const NAMED: usize = 4;

/// A call that `explain` does not have, and the one that does the same.
const KIN: &str = "clone clone3 fork clone3 vfork clone3 mkdir mkdirat mknod mknodat open openat symlink symlinkat \
    unlink unlinkat rmdir unlinkat setuid setresuid setreuid setresuid setgid setresgid setregid setresgid chmod fchmodat \
    chown fchownat readlink readlinkat umount umount2";

/// Calls of a milestone that differ in what they are about alone: the places of these calls.
pub struct Row<'a>(pub &'a [usize]);

/// The rows of a milestone. `all`: a row for each call.
pub fn rows<'a>(way: &Way, station: &'a Station, all: bool) -> Vec<Row<'a>> {
    let alike = |a: &usize, b: &usize| !all && alike(&way.deeds[*a], &way.deeds[*b]);
    station.calls.chunk_by(alike).map(Row).collect()
}

/// Whether calls have the same name and flags, apart from what they name: a capability, a limit.
fn alike(a: &Deed, b: &Deed) -> bool {
    let flag = |arg: &&str| arg.starts_with(|c: char| c.is_ascii_uppercase()) && !names_one(arg);
    let flags = |deed: &Deed| deed.args.iter().map(|arg| &**arg).filter(flag).map(String::from).collect::<Vec<_>>();
    (a.pid, a.name) == (b.pid, b.name) && flags(a) == flags(b)
}

/// Whether a word of a call is worth a line: how a file is opened and what version a structure has is not.
fn is_telling(word: &str) -> bool {
    let plain = ["O_", "S_", "_"].iter().any(|begin| word.starts_with(begin));
    word.contains('_') && !plain && !names_one(word) && !has(NOISE, word)
}

fn names_one(arg: &str) -> bool {
    ["CAP_", "RLIMIT_", "AT_FDCWD"].iter().any(|begin| arg.starts_with(begin))
}

impl Row<'_> {
    /// The call, or the first of several.
    pub fn call(&self, way: &Way) -> String {
        let first = self.0.first().map_or("", |place| way.made[*place].text.as_str());
        let more = self.0.len().saturating_sub(1);
        let text = match more {
            0 => first.into(),
            more => format!("{}: {} calls", common(first), more + 1),
        };
        visible(&text).into_owned()
    }

    /// What the calls have changed.
    pub fn changed(&self, way: &Way) -> String {
        let changes: Vec<&Change> = self.0.iter().flat_map(|place| &way.made[*place].changes).collect();
        let text = if self.0.len() > 1 { places(&changes, &way.rootfs) } else { None };
        visible(&text.unwrap_or_else(|| words(&changes, &way.rootfs))).into_owned()
    }

    /// The names in the first of the calls, and what `explain` says of them.
    pub fn explained(&self, way: &Way, book: &Book) -> Vec<(String, Entry)> {
        let Some(deed) = self.0.first().and_then(|place| way.deeds.get(*place)) else { return Vec::new() };
        let mut names: Vec<&str> = vec![deed.name];
        for arg in deed.args.iter().filter(|arg| !arg.starts_with(['"', '['])) {
            let words = arg.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.extend(words.filter(|word| is_telling(word)));
        }
        names.into_iter().filter_map(|name| explained(name, book)).collect()
    }
}

/// What calls that are alike have in common: `prctl(PR_CAPBSET_DROP)`.
fn common(first: &str) -> String {
    let flag = |rest: &&str| rest.starts_with(|c: char| c.is_ascii_uppercase());
    let (name, rest) = first.split_once('(').unwrap_or((first, ""));
    match rest.split([',', ')']).next().filter(flag) {
        Some(flag) => format!("{name}({flag})"),
        None => name.into(),
    }
}

fn explained(name: &str, book: &Book) -> Option<(String, Entry)> {
    let of = |name: &str| {
        let found = book.find_exactly(name);
        found.filter(|entry| ["call", "flag", "word"].contains(&entry.kind()))
    };
    let mut kin = KIN.split(' ');
    let mut other = || kin.by_ref().skip_while(|own| *own != name).nth(1);
    match of(name) {
        Some(entry) => Some((name.into(), entry)),
        None => other().and_then(|other| Some((format!("{name}, as {other}"), of(other)?))),
    }
}

/// Of changes that are all about paths: the paths. The titles of their milestones say what is there.
fn places(changes: &[&Change], rootfs: &str) -> Option<String> {
    let mut all: Vec<&str> = Vec::new();
    for change in changes {
        let path = match change.kind {
            Kind::Mount if change.now.is_some() => &change.path,
            Kind::File => &change.key,
            _ => return None,
        };
        let path = inside(path, rootfs);
        if !all.contains(&path) {
            all.push(path);
        }
    }
    (!all.is_empty()).then(|| all.join(", "))
}

/// Changes in words: what was changed in the same way stands together. `rootfs`: left out where paths begin with it.
fn words(changes: &[&Change], rootfs: &str) -> String {
    let mut said: Vec<(&str, Vec<String>)> = Vec::new();
    for change in changes {
        let now = change.now.as_deref().unwrap_or("gone");
        let (head, one) = match change.kind {
            Kind::Mount if change.now.is_none() => ("", String::from("a mount is gone")),
            Kind::Mount => (now, inside(&change.path, rootfs).into()),
            Kind::Namespace if now.starts_with("made by") => ("new namespaces", change.key.clone()),
            Kind::Namespace => (now, format!("{} namespace", change.key)),
            Kind::File => (now, inside(&change.key, rootfs).into()),
            Kind::Member => ("its cgroup", now.into()),
            Kind::Right => (change.key.as_str(), now.into()),
            _ => ("", change.words()),
        };
        // Of a right the last value counts.
        let last = [Kind::Right, Kind::Member].contains(&change.kind);
        match said.iter_mut().find(|(known, _)| *known == head) {
            Some((_, ones)) if last => *ones = vec![one],
            Some((_, ones)) if ones.contains(&one) => {}
            Some((_, ones)) => ones.push(one),
            None => said.push((head, vec![one])),
        }
    }
    let more = said.len().saturating_sub(NAMED);
    let one = |(head, ones): &(&str, Vec<String>)| match *head {
        "" => ones.join(", "),
        head => format!("{head}: {}", ones.join(", ")),
    };
    let mut text = said.iter().take(NAMED).map(one).collect::<Vec<_>>().join("; ");
    if more > 0 {
        text.push_str(&format!("; {more} more"));
    }
    text
}

/// A path as the container will have it.
pub fn inside<'a>(path: &'a str, rootfs: &str) -> &'a str {
    match path.strip_prefix(rootfs) {
        Some("") => "/",
        Some(rest) if !rootfs.is_empty() && rest.starts_with('/') => rest,
        _ => path,
    }
}
