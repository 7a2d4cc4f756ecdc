//! A start of a container as a way past milestones: from what strace wrote of any runtime, or from a trace of ours. May touch: the
//! world, the recorder.

use crate::listing::Listing;
use crate::sorted;
use crate::trace::{Entry, in_few_words};
use crate::world::milestones::{self, Told};
use crate::world::{Change, Deed, Kind, World};

/// What one record tells of a start.
pub struct Way<'a> {
    /// The file, or the container, as the caller has named it.
    pub name: &'a str,
    pub deeds: Vec<Deed<'a>>,
    pub made: Vec<Made>,
    pub stations: Vec<Station>,
    /// The world when the container's program begins; without a program, at the end.
    pub world: World,
    /// The container's first process. None: no program began in another root.
    pub first: Option<i32>,
    /// Lines of the listing that could not be read, and why.
    pub unread: Vec<(usize, &'static str)>,
    /// Where the container's root file system lies on the host; empty: no milestone tells.
    pub rootfs: String,
}

/// How a runtime has ended that has run no program.
pub struct Failed {
    pub status: i64,
    /// The line of its exit_group.
    pub number: usize,
    /// What was written to descriptor 2 last; empty: nothing.
    pub said: String,
}

/// One call.
#[derive(Clone, Default)]
pub struct Made {
    /// The line of the listing, or the number of the record.
    pub number: usize,
    /// When it was begun, in nanoseconds since the first call. None: the listing has no times.
    pub at: Option<u64>,
    /// Of a call that belongs to a milestone: the call in few words, and what it has changed.
    pub text: String,
    pub changes: Vec<Change>,
}

/// A milestone that was reached.
pub struct Station {
    pub told: Told,
    /// The calls that belong to it.
    pub calls: Vec<usize>,
    /// Its phase goes from its first call to that of the next milestone, or to the end: all calls that were made meanwhile.
    pub phase: core::ops::Range<usize>,
    /// When it was reached, and how long its phase took. None: the listing has no times, or the program runs.
    pub at: Option<u64>,
    pub took: Option<u64>,
}

impl<'a> Way<'a> {
    /// Of a listing.
    pub fn listed(name: &'a str, listing: &'a Listing<'a>) -> Way<'a> {
        let calls = &listing.calls;
        let began = calls.iter().find_map(|call| call.at);
        // `-t` has whole seconds: that is no time of a phase.
        let timed = calls.iter().any(|call| call.at.is_some_and(|at| at % 1_000_000_000 != 0));
        let since = |at: u64| at.saturating_sub(began.unwrap_or(at));
        let made = calls.iter().map(|call| Made {
            number: listing.lines.get(call.line).map_or(0, |line| line.number),
            at: call.at.filter(|_| timed).map(since),
            ..Made::default()
        });
        let mut way = Way::of(name, calls.iter().map(Deed::listed).collect(), made.collect());
        way.unread = listing.unread().map(|(line, why)| (line.number, why)).collect();
        way
    }

    /// Of a trace.
    pub fn recorded(name: &'a str, entries: &'a [Entry<'a>]) -> Way<'a> {
        let began = entries.first().map_or(0, |entry| entry.r.start_ns);
        let calls = || entries.iter().filter(|entry| !entry.is_event());
        let made = calls().map(|entry| Made {
            number: entry.r.seq as usize,
            at: Some(entry.r.start_ns.saturating_sub(began)),
            ..Made::default()
        });
        Way::of(name, calls().map(|entry| Deed::of(entry.pid, &entry.r)).collect(), made.collect())
    }

    fn of(name: &'a str, deeds: Vec<Deed<'a>>, made: Vec<Made>) -> Way<'a> {
        let found = milestones::milestones(&deeds);
        let mut way = Way {
            name,
            deeds,
            made,
            stations: Vec::new(),
            world: World::default(),
            first: None,
            unread: Vec::new(),
            rootfs: String::new(),
        };
        for (place, milestone) in found.iter().enumerate() {
            let Some(told) = milestones::told(milestone.name) else { continue };
            let begin = |milestone: Option<&milestones::Milestone>| milestone?.deeds.first().copied();
            let (from, next) = (begin(Some(milestone)).unwrap_or(0), begin(found.get(place + 1)));
            let at = way.made.get(from).and_then(|made| made.at);
            let end = next.and_then(|next| way.made.get(next)?.at);
            let last = if milestone.name == "program" { from + 1 } else { way.deeds.len() };
            let end = end.or_else(|| way.took().filter(|_| next.is_none() && milestone.name != "program"));
            let took = at.zip(end).map(|(at, end)| end.saturating_sub(at));
            let phase = from..next.unwrap_or(last);
            way.stations.push(Station { told, calls: milestone.deeds.clone(), phase, at, took });
        }
        way.follow();
        way
    }

    /// So many processes made the calls.
    pub fn processes(&self) -> usize {
        let mut all: Vec<i32> = self.deeds.iter().map(|deed| deed.pid).collect();
        sorted::sort(&mut all);
        all.dedup();
        all.len()
    }

    /// The time between the first call and the last.
    pub fn took(&self) -> Option<u64> {
        self.made.last().and_then(|last| last.at)
    }

    /// How the runtime failed: no program ran, and the process that ended last did so with a status.
    pub fn failed(&self) -> Option<Failed> {
        if self.station("program").is_some() {
            return None;
        }
        let place = self.deeds.iter().rposition(|deed| deed.name == "exit_group")?;
        let status = self.deeds[place].number(0).filter(|status| *status != 0)?;
        let says = |deed: &&Deed| deed.name == "write" && deed.fd(0) == 2;
        let texts = self.deeds[..place].iter().rev().filter(says).filter_map(|deed| deed.begin(1));
        let said = texts.map(|text| text.trim().to_string()).find(|text| !text.is_empty());
        Some(Failed { status, number: self.made[place].number, said: said.unwrap_or_default() })
    }

    /// Who reached a milestone: `init` is the container's first process, `host` any other.
    pub fn by(&self, station: &Station) -> &'static str {
        let by_init = |place: &&usize| Some(self.deeds[**place].pid) == self.first;
        match station.calls.iter().filter(by_init).count() {
            0 => "host",
            count if count == station.calls.len() => "init",
            _ => "both",
        }
    }

    /// The milestone of this name, and its place on the way, from 1 on.
    pub fn station(&self, name: &str) -> Option<(usize, &Station)> {
        let place = self.stations.iter().position(|station| station.told.name == name)?;
        Some((place + 1, &self.stations[place]))
    }

    /// What the program has when it begins, mounts after all else: names, and what they are. Not what a caller gives to one run
    /// alone: descriptors, and the name of the cgroup.
    pub fn gained(&self) -> [Vec<[String; 2]>; 2] {
        let Some(first) = self.first else { return Default::default() };
        let mut facts = self.world.facts(first);
        facts.retain(|[name, _]| !name.starts_with("descriptor ") && name != "cgroup" && name != "root");
        for [_, now] in facts.iter_mut().filter(|[name, _]| name == "cgroup namespace") {
            now.truncate(now.find(", root ").unwrap_or(now.len()));
        }
        [facts, self.world.tree(first)]
    }

    /// Makes the world of the calls up to the program, and keeps what the calls of milestones have changed.
    fn follow(&mut self) {
        let mut of_station = vec![false; self.deeds.len()];
        self.stations.iter().flat_map(|station| &station.calls).for_each(|call| of_station[*call] = true);
        let program = self.stations.iter().find(|station| station.told.name == "program");
        let program = program.and_then(|station| station.calls.first().copied());
        self.first = program.map(|place| self.deeds[place].pid);
        let root = self.stations.iter().find(|station| station.told.name == "rootfs");
        let root: Vec<usize> = root.map_or(Vec::new(), |station| station.calls.clone());
        for (place, deed) in self.deeds.iter().enumerate().take(program.map_or(self.deeds.len(), |place| place + 1)) {
            let file = |fd: i32| self.world.file(deed.pid, fd).map(|file| file.name.to_string());
            if of_station[place] {
                self.made[place].text = in_few_words(deed, &file);
            }
            let mut changes = self.world.take(deed);
            if of_station[place] {
                changes.retain(|change| tells(change, deed));
                if root.contains(&place) {
                    let mount = changes.iter().rev().find(|change| change.kind == Kind::Mount && change.path != "/");
                    self.rootfs = mount.map_or(core::mem::take(&mut self.rootfs), |mount| mount.path.clone());
                }
                self.made[place].changes = changes;
            }
        }
    }
}

/// Whether a change is what a milestone is about. Descriptors only help, and a new mount namespace has the mounts of the old one.
fn tells(change: &Change, deed: &Deed) -> bool {
    let copied = change.kind == Kind::Mount && !deed.name.contains("mount") && deed.name != "pivot_root";
    !matches!(change.kind, Kind::Born | Kind::Descriptor | Kind::Ended) && change.key != "cwd" && !copied
}
