//! Two starts of a container at the same milestones: which calls each makes, in which order, how long each takes, and what the
//! programs have at the end. May touch: the page of a text.

use super::phase::rows;
use super::read::{counted, list, name as head, paragraph, quoted, read_json, row};
use super::way::{Station, Way};
use crate::outcome::{Lane, visible};
use crate::sorted::Table;
use crate::trace::{Paint, Screen, duration};
use crate::world::wrapped;

/// From so many columns on, the sides stand beside each other.
const BESIDE: usize = 140;
/// So many calls of one kind are named in the summary.
const NAMED: usize = 6;

/// Both ways, and what is found by comparing them.
pub struct Against<'a> {
    sides: [&'a Way<'a>; 2],
    /// What the sides are called.
    titles: [String; 2],
    /// The milestones of both, in the order of the first way; those of the second alone after the one that comes before them.
    names: Vec<&'static str>,
}

impl<'a> Against<'a> {
    pub fn new(one: &'a Way<'a>, other: &'a Way<'a>) -> Against<'a> {
        let name = |station: &Station| station.told.name;
        let mut names: Vec<&'static str> = one.stations.iter().map(name).collect();
        let mut at = 0;
        for own in other.stations.iter().map(name) {
            match names.iter().position(|known| *known == own) {
                Some(known) => at = known + 1,
                None => {
                    names.insert(at, own);
                    at += 1;
                }
            }
        }
        let titles = match [one, other].map(|way| short(way.name)) {
            [one, other] if one == other => ["first".into(), "second".into()],
            titles => titles,
        };
        Against { sides: [one, other], titles, names }
    }

    /// The milestones that one side alone reaches.
    fn alone(&self, side: usize) -> Vec<&'static str> {
        let lacks = |station: &&Station| self.sides[1 - side].station(station.told.name).is_none();
        self.sides[side].stations.iter().filter(lacks).map(|station| station.told.title).collect()
    }

    /// Whether a milestone is reached by one side alone.
    pub fn differs(&self) -> bool {
        (0..2).any(|side| !self.alone(side).is_empty())
    }

    /// The milestones that the second way reaches at another point of the way: the fewest that have to be moved.
    fn moved(&self) -> Vec<&'static str> {
        let both = |name: &&&'static str| self.sides.iter().all(|way| way.station(name).is_some());
        let place = |side: usize, name: &str| self.sides[side].station(name).map_or(0, |(place, _)| place);
        let mut common: Vec<&'static str> = self.names.iter().filter(both).copied().collect();
        crate::sorted::by(&mut common, |a, b| place(0, a) < place(0, b));
        // The longest list of milestones that stand in both in this order: by the last of them, how long, and the one before.
        let mut longest: Vec<(usize, Option<usize>)> = Vec::new();
        for (at, name) in common.iter().enumerate() {
            let before = (0..at).filter(|i| place(1, common[*i]) < place(1, name)).max_by_key(|i| longest[*i].0);
            longest.push((before.map_or(0, |i| longest[i].0) + 1, before));
        }
        let mut kept = Vec::new();
        let mut next = (0..common.len()).max_by_key(|i| longest[*i].0);
        while let Some(at) = next {
            kept.push(common[at]);
            next = longest[at].1;
        }
        common.retain(|name| !kept.contains(name));
        common
    }

    /// The milestones that were moved, each with those that follow it on both sides.
    fn groups(&self) -> Vec<Vec<&'static str>> {
        let mut groups: Vec<Vec<&'static str>> = Vec::new();
        for name in self.moved() {
            let before = [0, 1].map(|side| self.before(side, name));
            let known = groups.iter_mut().find(|group| before == [group.last().copied(); 2]);
            match known {
                Some(group) => group.push(name),
                None => groups.push(vec![name]),
            }
        }
        groups
    }

    /// The last milestone of both that one side reaches before this one.
    fn before(&self, side: usize, name: &str) -> Option<&'static str> {
        let (place, _) = self.sides[side].station(name)?;
        let earlier = self.sides[side].stations[..place - 1].iter().rev().map(|station| station.told.name);
        earlier.into_iter().find(|name| self.sides[1 - side].station(name).is_some())
    }

    /// What the programs have that is not the same: a name, and what each side has.
    fn gained(&self) -> Vec<(String, [String; 2])> {
        let [one, other] = self.sides.map(Way::gained);
        let mut all = Vec::new();
        if one[0].is_empty() || other[0].is_empty() {
            return all;
        }
        for (one, other) in one.into_iter().zip(other) {
            let mut table: Table<String, [String; 2]> = Table::default();
            for (side, pairs) in [one, other].into_iter().enumerate() {
                for [name, now] in pairs {
                    // Two mounts can lie at one place.
                    let mut key = name.trim_start().to_string();
                    while table.get(&key).is_some_and(|both| !both[side].is_empty()) {
                        key.push('+');
                    }
                    let mut both = table.get(&key).cloned().unwrap_or_default();
                    both[side] = now;
                    table.insert(key, both);
                }
            }
            all.extend(table.iter().filter(|(_, both)| !alike(both)).cloned());
        }
        all
    }
}

/// Whether both sides have the same, as far as they tell: strace without `-s` and a record cut the options of a mount.
fn alike(both: &[String; 2]) -> bool {
    let begins = |one: &str, other: &str| one.strip_suffix("...").is_some_and(|begin| other.starts_with(begin));
    both[0] == both[1] || begins(&both[0], &both[1]) || begins(&both[1], &both[0])
}

/// How often each call was made, in the order of the names.
fn counts<'a>(way: &'a Way, places: impl Iterator<Item = usize>) -> Table<&'a str, usize> {
    let mut all: Table<&str, usize> = Table::default();
    for place in places {
        let name = way.deeds[place].name;
        let count = all.get(name).copied().unwrap_or(0);
        all.insert(name, count + 1);
    }
    all
}

/// The text for people. `all`: each call of a milestone, with what it has changed.
pub fn against(both: &Against, screen: Screen, all: bool) -> String {
    let mut out = String::new();
    both.sides.iter().for_each(|way| head(way, screen, &mut out));
    let text = "At each milestone: its place on the way, the time up to the next one, the calls made meanwhile, who reaches it (host: the \
        runtime; init: the container's first process), and the calls that reach it. (+2): so many more than on the other side.";
    paragraph(text, 0, screen, Paint::Aside, &mut out);
    for name in &both.names {
        let stations = both.sides.map(|way| way.station(name));
        let Some((_, first)) = stations.iter().flatten().next() else { continue };
        out.push('\n');
        screen.heading(first.told.title, Lane::Host as u8, &mut out);
        let why = first.told.why.split_inclusive(". ").next().unwrap_or("");
        paragraph(why.trim_end(), 2, screen, Paint::Aside, &mut out);
        let wide = screen.width >= BESIDE;
        let narrow = Screen { width: if wide { screen.width / 2 - 2 } else { screen.width }, ..screen };
        let blocks = [0, 1].map(|side| block(both, side, name, narrow, all));
        match wide {
            true => columns(&blocks, narrow.width, &mut out),
            false => blocks.iter().flatten().for_each(|line| out.push_str(&format!("{line}\n"))),
        }
    }
    summary(both, screen, &mut out);
    out
}

/// One side of a milestone, in lines.
fn block(both: &Against, side: usize, name: &str, screen: Screen, all: bool) -> Vec<String> {
    let way = both.sides[side];
    let title = &both.titles[side];
    let Some((place, station)) = way.station(name) else { return vec![format!("  {title}: not reached")] };
    let took = match station.took {
        Some(_) if station.phase.is_empty() => "-".into(),
        took => took.map_or("-".into(), duration),
    };
    let figures = format!("{place:>2}.{took:>9}{:>5} {:<4}", station.phase.len(), way.by(station));
    let other = both.sides[1 - side].station(name);
    let other = other.map(|(_, other)| counts(both.sides[1 - side], other.calls.iter().copied())).unwrap_or_default();
    let own = counts(way, station.calls.iter().copied());
    let more = |name: &str, count: usize| match count.saturating_sub(other.get(name).copied().unwrap_or(0)) {
        more if more > 0 => format!("{name} {count} (+{more})"),
        _ => format!("{name} {count}"),
    };
    let calls: Vec<String> = own.iter().map(|(name, count)| more(name, *count).replace(' ', "\u{a0}")).collect();
    let mut lines = Vec::new();
    let head = format!("  {title:<12} {figures}  ");
    for (i, line) in wrapped(&calls.join(", "), screen.width.saturating_sub(head.len()).max(20)).iter().enumerate() {
        let blank = " ".repeat(head.chars().count());
        lines.push(format!("{}{}", if i == 0 { &head } else { &blank }, line.replace('\u{a0}', " ")));
    }
    if all {
        let mut text = String::new();
        rows(way, station, false).iter().for_each(|calls| row(way, calls, screen, &mut text));
        lines.extend(text.lines().map(String::from));
    }
    lines
}

/// The last part of a path, short enough for a column.
fn short(name: &str) -> String {
    let last = name.rsplit('/').find(|part| !part.is_empty()).unwrap_or(name);
    let stem = last.strip_suffix(".strace").unwrap_or(last);
    visible(stem).chars().take(12).collect()
}

/// Both sides in columns of this width.
fn columns(blocks: &[Vec<String>; 2], width: usize, out: &mut String) {
    for i in 0..blocks[0].len().max(blocks[1].len()) {
        let [left, right] = blocks.each_ref().map(|block| block.get(i).map_or("", String::as_str));
        let blank = " ".repeat(width.saturating_sub(seen(left)) + 2);
        out.push_str(format!("{left}{blank}{right}").trim_end());
        out.push('\n');
    }
}

/// The columns that a text takes: colours take none.
fn seen(text: &str) -> usize {
    let mut colour = false;
    let shown = |c: &char| {
        let hidden = colour || *c == '\u{1b}';
        colour = hidden && *c != 'm';
        !hidden
    };
    text.chars().filter(shown).count()
}

/// What a reader can quote.
fn summary(both: &Against, screen: Screen, out: &mut String) {
    let names = &both.titles;
    out.push('\n');
    screen.heading(&format!("Summary: {} and {}", names[0], names[1]), Lane::Host as u8, out);
    let mut say = |text: String| {
        let indent = text.len() - text.trim_start().len();
        paragraph(text.trim_start(), 2 + indent, screen, Paint::Plain, out);
    };
    let common = both.names.len() - both.alone(0).len() - both.alone(1).len();
    say(match common {
        0 => "No milestone is reached by both.".into(),
        _ => format!("Both reach {}.", counted(common, "milestone")),
    });
    for (side, name) in names.iter().enumerate() {
        let alone = both.alone(side);
        if !alone.is_empty() {
            say(format!("Only {name}: {}.", alone.join("; ")));
        }
    }
    match both.groups() {
        _ if common < 2 => {}
        groups if groups.is_empty() => say("What both reach, they reach in the same order.".into()),
        groups => {
            say("In another order, here with the milestone of both that comes before:".into());
            groups.iter().for_each(|group| say(format!("  {}", moved(both, group))));
        }
    }
    for (side, name) in names.iter().enumerate() {
        effort(both, side, name, &mut say);
    }
    let gained = both.gained();
    if both.sides.iter().all(|way| way.first.is_some()) {
        say(match gained.is_empty() {
            true => "Both programs begin with the same namespaces, rights and mounts.".into(),
            false => "The programs begin with the same namespaces, rights and mounts, but for:".into(),
        });
    }
    for (what, values) in gained {
        let one = |(name, now): (&String, &String)| format!("{name} {}", if now.is_empty() { "has none" } else { now });
        let values: Vec<String> = names.iter().zip(&values).map(one).collect();
        paragraph(&format!("{}: {}", what.trim_end_matches('+'), values.join("; ")), 4, screen, Paint::Plain, out);
    }
}

/// After which milestone each side reaches those of a group.
fn moved(both: &Against, group: &[&'static str]) -> String {
    let title = |name: &&str| both.sides[0].station(name).map_or("", |(_, station)| station.told.title);
    let titles: Vec<&str> = group.iter().map(title).collect();
    let after = |side: usize| match group.first().and_then(|name| both.before(side, name)) {
        Some(last) => format!("{} after `{}`", both.titles[side], title(&last)),
        None => format!("{} first of all", both.titles[side]),
    };
    format!("{}: {}, {}", titles.join(", then "), after(0), after(1))
}

/// What one side takes: time and calls, where most of it goes, and which calls it makes more.
fn effort(both: &Against, side: usize, name: &str, say: &mut impl FnMut(String)) {
    let way = both.sides[side];
    let end = way.station("program").and_then(|(_, station)| station.calls.first().copied()).unwrap_or(way.deeds.len());
    let [own, other] = [way, both.sides[1 - side]].map(|way| {
        let end = way.station("program").and_then(|(_, station)| station.calls.first().copied());
        counts(way, 0..end.unwrap_or(way.deeds.len()))
    });
    let time = way
        .made
        .get(end)
        .map_or(way.took(), |made| made.at)
        .map_or(String::new(), |at| format!(" in {}", duration(at)));
    let mut text = match way.failed() {
        Some(failed) => format!(
            "{name} makes {}{time}, and ends with status {} before any program runs",
            counted(end, "call"),
            failed.status
        ),
        None if way.first.is_none() => format!("{name} makes {}{time}, and runs no program", counted(end, "call")),
        None => format!("{name} makes {}{time} up to its program", counted(end, "call")),
    };
    let slowest = way.stations.iter().max_by_key(|station| station.took);
    if let Some((station, took)) = slowest.and_then(|station| Some((station, station.took?))) {
        text.push_str(&format!("; the longest part is after `{}` ({})", station.told.title, duration(took)));
    }
    let more = |(call, count): &(&str, usize)| {
        let more = count.saturating_sub(other.get(call).copied().unwrap_or(0));
        (more > 0).then(|| (more, call.to_string()))
    };
    let mut all: Vec<(usize, String)> = own.iter().filter_map(more).collect();
    crate::sorted::by(&mut all, |a, b| (b.0, &a.1) < (a.0, &b.1));
    if !all.is_empty() {
        let words: Vec<String> = all.iter().take(NAMED).map(|(more, call)| format!("{call} +{more}")).collect();
        text.push_str(&format!("; more than the other: {}", words.join(", ")));
    }
    say(format!("{text}."));
}

/// The same for programs, as one object.
pub fn against_json(both: &Against) -> String {
    let strings = |all: Vec<&str>| list(all.into_iter().map(quoted));
    let gained = |(name, [a, b]): (String, [String; 2])| format!("[{},{},{}]", quoted(&name), quoted(&a), quoted(&b));
    format!(
        "{{\"sides\":{},\"only\":{},\"moved\":{},\"gained\":{}}}",
        list(both.sides.iter().map(|way| read_json(way))),
        list((0..2).map(|side| strings(both.alone(side)))),
        strings(both.moved()),
        list(both.gained().into_iter().map(gained))
    )
}
