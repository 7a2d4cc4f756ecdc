//! What the calls of this run have made so far: the room `world`, fed with the run's own records. May touch: the recorder, the
//! views of traces, the world.

use super::screen::{Page, text};
use crate::look::Facts;
use crate::trace::{self, Piece};
use crate::world::{Change, Deed, Kind, SETS, World, of_names, rows, shown, shown_ids};
use syscalls::record::{self, RETURNED, Record};

/// The calls whose changes are known: all before `next`, but for those that had not returned.
#[derive(Default)]
pub struct Known {
    next: u32,
    open: Vec<u32>,
}

impl Known {
    fn has(&self, r: &Record) -> bool {
        r.seq < self.next && !self.open.contains(&r.seq)
    }

    fn add(&mut self, r: &Record) {
        self.next = r.seq.saturating_add(1);
        if r.state != RETURNED {
            self.open.push(r.seq);
        }
    }
}

/// A change, the call that made it, and whether it was known before.
struct Step {
    call: String,
    change: Change,
    known: bool,
}

impl Step {
    /// Whether both are about the same thing.
    fn is_about(&self, other: &Change) -> bool {
        let Change { kind, pid, key, .. } = &self.change;
        (*kind, *pid, key) == (other.kind, other.pid, &other.key)
    }
}

/// The world at a stop, and what is new in it: each change in words, after the call that made it.
pub struct Made {
    world: World,
    pub known: Known,
    pub new: Vec<[String; 2]>,
}

impl Made {
    /// `pid`: only what this process has done and has become is new.
    pub fn by_now(pid: i32, before: &Known) -> Made {
        let (mut world, mut known, mut all) = (World::default(), Known::default(), Vec::new());
        let pieces = [Piece::new(record::bytes())];
        let entries = trace::entries(&pieces, false);
        for entry in entries.iter().filter(|entry| !trace::is_added(entry)) {
            known.add(&entry.r);
            let changes = world.take(&Deed::of(entry.pid, &entry.r));
            // Of another process that it makes it is enough that the process is there.
            let is_own = |change: &Change| change.pid == pid || entry.pid == pid && change.kind == Kind::Born;
            let own = changes.into_iter().filter(is_own);
            let call = entry.r.name();
            all.extend(own.map(|change| Step { call: call.into(), change, known: before.has(&entry.r) }));
        }
        let new = new(&all).map(|(step, earlier)| [step.call.clone(), words(step, earlier, pid)]).collect();
        Made { world, known, new }
    }

    /// All of it, for one process. `by_proc`: what /proc says of it.
    pub fn page(&self, page: &mut Page, pid: i32, by_proc: &Facts) {
        let (mut facts, mut files) = (Vec::new(), Vec::new());
        for [name, told] in self.world.facts(pid) {
            let Some(now) = now(by_proc, &name, told) else { continue };
            match name.strip_prefix("descriptor ") {
                Some(number) => files.push([number.into(), now]),
                None => facts.push([name, now]),
            }
        }
        let parts = [
            (if self.new.is_empty() { "nothing new" } else { "all new" }, self.new.clone()),
            ("has", facts),
            ("tree", self.world.tree(pid)),
            ("files", files),
        ];
        for (i, (heading, pairs)) in parts.into_iter().enumerate() {
            if i > 0 {
                page.plain("");
            }
            page.paragraph(&text(heading).replace("{pid}", &pid.to_string()));
            rows(&pairs, page.width).iter().for_each(|row| page.broken(row));
        }
    }
}

/// A fact as /proc has it, where the calls tell only what they change. None: /proc hides it. `told`: by the calls.
fn now(by_proc: &Facts, name: &str, told: String) -> Option<String> {
    let users = &by_proc.users;
    let ids = |ids: &[u32]| ids.first_chunk().map(shown_ids);
    let (_, set) = by_proc.capabilities.sets().into_iter().find(|(set, _)| *set == name).unwrap_or_default();
    match name {
        "user" => ids(&users.uids),
        "group" => ids(&users.gids),
        "groups" if users.groups.is_empty() => ids(&users.gids).map(|_| "none".into()),
        "groups" => Some(users.groups.iter().map(u32::to_string).collect::<Vec<_>>().join(" ")),
        "root" => by_proc.process.root.clone(),
        "cwd" => by_proc.process.directory.clone(),
        _ if SETS.split(' ').any(|set| set == name) => ids(&users.uids).map(|_| shown(of_names(set))),
        _ => Some(told),
    }
}

/// The newest step of each thing, unless the thing is by now as it was known before: what has come and gone is not new.
/// With each comes the step before it that is about the same thing.
fn new(all: &[Step]) -> impl Iterator<Item = (&Step, Option<&Step>)> {
    let told = |(at, step): (usize, &'_ Step)| {
        let change = &step.change;
        let mut earlier = all[..at].iter().rev().filter(|other| other.is_about(change)).peekable();
        let last = earlier.peek().copied();
        let as_before = earlier.find(|other| other.known).map_or(change.now.is_none(), |other| other.change == *change);
        let is_new = !step.known && !as_before && !all[at + 1..].iter().any(|later| later.is_about(change));
        is_new.then_some((&all[at], last))
    };
    all.iter().enumerate().filter_map(told)
}

/// `earlier`: what the thing was before. `pid`: the process that a page is about.
fn words(Step { change, .. }: &Step, earlier: Option<&Step>, pid: i32) -> String {
    let words = match earlier.filter(|_| change.now.is_none()) {
        Some(earlier) => format!("gone: {}", earlier.change.words()),
        None => change.words(),
    };
    match change.pid == pid {
        true => words,
        false => format!("process {}: {words}", change.pid),
    }
}

#[cfg(test)]
mod tests {
    use super::{Step, new, words};
    use crate::world::{Change, Kind};

    fn step(key: &str, now: Option<&str>, known: bool) -> Step {
        Step { call: "call".into(), change: Change::new(Kind::Descriptor, 7, key, now.map(String::from)), known }
    }

    /// The steps that are new, by the keys of their things.
    fn keys(all: &[Step]) -> Vec<&str> {
        new(all).map(|(step, _)| step.change.key.as_str()).collect()
    }

    #[test]
    fn what_has_come_and_gone_is_not_new() {
        let comes = step("3", Some("/a"), false);
        assert_eq!(keys(&[step("3", Some("/a"), false), step("3", None, false)]), [""; 0]);
        assert_eq!(keys(&[step("3", None, true), comes]), ["3"]);
        assert_eq!(keys(&[step("3", Some("/a"), true), step("3", None, false)]), ["3"]);
        let back = [step("3", Some("/a"), true), step("3", None, false), step("3", Some("/a"), false)];
        assert_eq!(keys(&back), [""; 0]);
    }

    #[test]
    fn what_is_gone_has_its_old_words() {
        let all = [step("3", Some("/a"), true), step("3", None, false)];
        let told: Vec<String> = new(&all).map(|(step, earlier)| words(step, earlier, 7)).collect();
        assert_eq!(told, ["gone: descriptor 3: /a"]);
    }

    #[test]
    fn each_thing_is_told_once() {
        let all = [step("3", Some("/a"), false), step("4", Some("/b"), false), step("3", Some("/c"), false)];
        assert_eq!(keys(&all), ["4", "3"]);
    }
}
