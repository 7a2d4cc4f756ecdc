//! What calls change in the world, as rows that the page replays. A holder has sections, and a section has values under keys. Holders
//! are processes, namespaces, all mounts together, and all cgroups together. May touch: the world.

use super::strings::Strings;
use crate::world::{Change, Deed, Kind, World};

/// What happens: a key has a value, or none any more; a holder begins as a copy of another, or has ended; there is only something
/// to tell.
const SET: u8 = 0;
const GONE: u8 = 1;
const COPY: u8 = 2;
const ENDED: u8 = 3;
const TOLD: u8 = 4;

/// The call, what happens, the holder, the section, the key, the value, the mount above, the words for it.
pub type Row = (usize, u8, u32, u32, u32, u32, u32, u32);

/// Rights that the page has under the capabilities.
const SETS: &str = "bounding inheritable permitted effective ambient";
/// Rights that are ids.
const IDS: &str = "user group groups uid gid ids";

/// The changes of all calls.
pub fn changes(deeds: &[Deed], strings: &mut Strings) -> Vec<Row> {
    let mut world = World::default();
    let mut rows = Vec::new();
    for (i, deed) in deeds.iter().enumerate() {
        let changes = world.take(deed);
        // What the first process began with was there before the trace.
        let old = changes.iter().any(|change| change.kind == Kind::Born && change.key == "0");
        for change in changes {
            let words = if old { String::new() } else { change.words() };
            rows.extend(row(i, &change, &words, strings));
            rows.extend(space_of_process(i, &change, strings));
        }
    }
    rows
}

fn row(call: usize, change: &Change, words: &str, strings: &mut Strings) -> Option<Row> {
    let process = format!("{}", change.pid);
    let space = format!("namespace {}", change.space);
    let now = change.now.as_deref().unwrap_or("");
    let kept = if change.now.is_some() { SET } else { GONE };
    let key = change.key.as_str();
    let (op, holder, section, key) = match change.kind {
        Kind::Born if key == "0" => return None,
        Kind::Born => (COPY, process, "", key),
        Kind::Ended => (ENDED, process, "", ""),
        Kind::Program => (kept, process, "process", "program"),
        Kind::Place => (kept, process, "process", key),
        Kind::Namespace => (kept, process, "namespaces", key),
        Kind::Descriptor => (kept, process, "descriptors", key),
        Kind::Member => (kept, process, "cgroup", "member of"),
        Kind::Right if has(SETS, key) => (kept, process, "capabilities", key),
        Kind::Right if has(IDS, key) => (kept, process, "ids", key),
        Kind::Right => (kept, process, "rights", key),
        Kind::Mount => (kept, "mounts".into(), "mounts", key),
        Kind::Setting => (kept, space, "settings", key),
        Kind::Cgroup => (kept, "cgroups".into(), "cgroup", key),
        Kind::File => (TOLD, process, "files", key),
    };
    let value = if change.kind == Kind::Mount { format!("{}\n{}\n{now}", change.space, change.at) } else { now.into() };
    Some((
        call,
        op,
        strings.number(&holder),
        strings.number(section),
        strings.number(key),
        strings.of_lines(&value),
        strings.number(&format!("{}", change.parent)),
        strings.number(words),
    ))
}

/// Says by its number in which namespace a process is: what belongs to that stands under the number.
fn space_of_process(call: usize, change: &Change, strings: &mut Strings) -> Option<Row> {
    if change.kind != Kind::Namespace {
        return None;
    }
    let (holder, value) = (format!("{}", change.pid), format!("{}", change.space));
    let [holder, section, key, value, none] =
        [holder.as_str(), "spaces", change.key.as_str(), value.as_str(), ""].map(|text| strings.number(text));
    Some((call, SET, holder, section, key, value, none, none))
}

fn has(words: &str, word: &str) -> bool {
    words.split(' ').any(|one| one == word)
}
