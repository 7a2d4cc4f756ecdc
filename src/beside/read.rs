//! What strace wrote of any runtime, told by milestones: the text, and the same for programs. May touch: the page of a text.

use super::phase::{Row as Calls, rows};
use super::way::{Failed, Station, Way};
use crate::explain::Book;
use crate::outcome::{Lane, visible};
use crate::trace::{Paint, Row, Screen, duration};
use crate::world::{milestones, rows as columns, wrapped};

/// The text for people. `all`: a row for each call of a milestone.
pub fn read(way: &Way, screen: Screen, all: bool) -> String {
    let mut out = String::new();
    head(way, screen, &mut out);
    let book = Book::read();
    let mut told: Vec<&str> = Vec::new();
    for (place, station) in way.stations.iter().enumerate() {
        out.push('\n');
        let title = format!("{}. {} ({}): {}", place + 1, station.told.title, way.by(station), phase(station));
        screen.heading(&title, Lane::Host as u8, &mut out);
        paragraph(station.told.why, 2, screen, Paint::Plain, &mut out);
        for calls in rows(way, station, all) {
            row(way, &calls, screen, &mut out);
            for (name, entry) in calls.explained(way, &book) {
                if !told.contains(&entry.name()) {
                    told.push(entry.name());
                    let text = format!("{name}: {}", entry.sentence().replace('\n', " "));
                    paragraph(&text, 8, screen, Paint::Aside, &mut out);
                }
            }
        }
    }
    if !way.stations.is_empty() {
        summary(way, screen, &mut out);
    }
    out
}

/// Writes a text. Each of its lines begins at the column `indent`. Any name can be in it, with any character.
pub fn paragraph(text: &str, indent: usize, screen: Screen, paint: Paint, out: &mut String) {
    for line in wrapped(&visible(text), screen.width.saturating_sub(indent).max(40)) {
        screen.line(&format!("{:indent$}{line}", ""), paint, out);
    }
}

/// `crun.strace: 23 milestones, 912 calls of 3 processes, 66.2 ms`.
fn brief(way: &Way) -> String {
    let took = way.took().map_or(String::new(), |took| format!(", {}", duration(took)));
    format!(
        "{}: {}, {} of {}{took}",
        visible(way.name),
        counted(way.stations.len(), "milestone"),
        counted(way.deeds.len(), "call"),
        match way.processes() {
            1 => "1 process".into(),
            more => format!("{more} processes"),
        }
    )
}

pub fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// What the record is, and what of it could not be read.
pub fn name(way: &Way, screen: Screen, out: &mut String) {
    screen.line(&brief(way), Paint::Plain, out);
    if let Some((number, why)) = way.unread.first() {
        let count = counted(way.unread.len(), "line");
        screen.line(&format!("{count} could not be read; the first is line {number}: {why}"), Paint::Odd, out);
    }
    if let Some(failed) = way.failed() {
        let said = match failed.said.as_str() {
            "" => "It wrote nothing to descriptor 2.".into(),
            said => format!("It last wrote to descriptor 2: {}", visible(said)),
        };
        let (status, number) = (failed.status, failed.number);
        let ended = format!(
            "The runtime ended with status {status} (exit_group, number {number}) before any program ran. {said}"
        );
        paragraph(&ended, 0, screen, Paint::Fatal, out);
    }
}

fn head(way: &Way, screen: Screen, out: &mut String) {
    name(way, screen, out);
    if way.stations.is_empty() {
        screen.line("No milestone: these calls make no container.", Paint::Plain, out);
        return;
    }
    let times = match way.took() {
        Some(_) => "Under strace each call takes longer.",
        None => "Without times: `strace -f -ttt` writes them.",
    };
    let text = format!(
        "A milestone is reached by the host (the runtime) or by init (the container's first process). `2 of 9 calls`: 2 reach it, and \
        9 are made up to the next one. {times}"
    );
    paragraph(&text, 0, screen, Paint::Aside, out);
}

/// How many of a phase's calls belong to the milestone, how long it took, and how many belong to it and were made later.
fn phase(station: &Station) -> String {
    let inside = station.calls.iter().filter(|call| station.phase.contains(call)).count();
    let mut text = match (station.phase.is_empty(), station.took) {
        (true, _) => "with the next one".into(),
        (false, Some(took)) => {
            format!("{inside} of {} in {}", counted(station.phase.len(), "call"), duration(took))
        }
        (false, None) => format!("{inside} of {}", counted(station.phase.len(), "call")),
    };
    let later = station.calls.len() - inside;
    if later > 0 {
        text.push_str(&format!(", {later} later"));
    }
    text
}

pub fn row(way: &Way, calls: &Calls, screen: Screen, out: &mut String) {
    let number = calls.0.first().map_or(0, |place| way.made[*place].number);
    let first = calls.0.first().map(|place| way.deeds[*place].pid);
    let by = if first == way.first { Lane::Init } else { Lane::Host };
    let paint = [Paint::of_lane(by as u8), Paint::Plain];
    let (left, right) = (calls.call(way), calls.changed(way));
    screen.row(&Row { margin: format!("{number:>6} "), left: &left, right: &right, important: true, paint }, out);
}

/// All milestones in a table, and what the program begins with.
fn summary(way: &Way, screen: Screen, out: &mut String) {
    out.push('\n');
    screen.heading(&format!("Summary of {}", visible(way.name)), Lane::Host as u8, out);
    screen.line(
        &format!("{:>2}  {:<40}{:>10}{:>10}{:>7}  BY", "#", "MILESTONE", "AT", "TOOK", "CALLS"),
        Paint::Aside,
        out,
    );
    let time = |time: Option<u64>| time.map_or("-".into(), duration);
    if let Some(first) = way.stations.first().filter(|first| first.phase.start > 0) {
        let before = format!(
            "{:>2}  {:<40}{:>10}{:>10}{:>7}",
            "",
            "before them",
            time(first.at.map(|_| 0)),
            time(first.at),
            first.phase.start
        );
        screen.line(&before, Paint::Plain, out);
    }
    for (place, station) in way.stations.iter().enumerate() {
        let (at, took) = (time(station.at), time(station.took));
        let (calls, by) = (station.phase.len(), way.by(station));
        screen.line(
            &format!("{:>2}  {:<40}{at:>10}{took:>10}{calls:>7}  {by}", place + 1, station.told.title),
            Paint::Plain,
            out,
        );
    }
    let missing = missing(way);
    if !missing.is_empty() {
        paragraph(&format!("Not reached: {}.", missing.join("; ")), 0, screen, Paint::Plain, out);
    }
    let [facts, mounts] = way.gained();
    for (title, pairs) in [("The program begins with", facts), ("and these mounts", mounts)] {
        if !pairs.is_empty() {
            screen.line(&format!("{title}:"), Paint::Plain, out);
            columns(&pairs, screen.width.saturating_sub(2))
                .iter()
                .for_each(|line| screen.line(&format!("  {line}"), Paint::Plain, out));
        }
    }
}

/// The titles of the milestones that were not reached.
fn missing(way: &Way) -> Vec<&'static str> {
    milestones::all().filter(|told| way.station(told.name).is_none()).map(|told| told.title).collect()
}

pub fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

pub fn list(words: impl Iterator<Item = String>) -> String {
    format!("[{}]", words.collect::<Vec<_>>().join(","))
}

fn or_null(number: Option<u64>) -> String {
    number.map_or("null".into(), |number| number.to_string())
}

fn object(pairs: Vec<[String; 2]>) -> String {
    let one = |[name, now]: &[String; 2]| format!("[{},{}]", quoted(name.trim_start()), quoted(now));
    list(pairs.iter().map(one))
}

/// The same for programs, as one object.
pub fn read_json(way: &Way) -> String {
    let book = Book::read();
    let [facts, mounts] = way.gained();
    let unread = |(number, why): &(usize, &str)| format!("{{\"line\":{number},\"why\":{}}}", quoted(why));
    format!(
        "{{\"name\":{},\"calls\":{},\"processes\":{},\"took_ns\":{},\"failed\":{},\"unread\":{},\"milestones\":{},\"facts\":{},\"mounts\":{}}}",
        quoted(way.name),
        way.deeds.len(),
        way.processes(),
        or_null(way.took()),
        way.failed().map_or("null".into(), |failed| failed_json(&failed)),
        list(way.unread.iter().map(unread)),
        list(way.stations.iter().map(|station| station_json(way, station, &book))),
        object(facts),
        object(mounts)
    )
}

fn failed_json(failed: &Failed) -> String {
    format!("{{\"status\":{},\"line\":{},\"said\":{}}}", failed.status, failed.number, quoted(&failed.said))
}

fn station_json(way: &Way, station: &Station, book: &Book) -> String {
    let calls = rows(way, station, true);
    let call = |calls: &Calls| {
        let place = calls.0.first().copied().unwrap_or(0);
        let (deed, made) = (&way.deeds[place], &way.made[place]);
        let changes = made.changes.iter().map(|change| quoted(&change.words()));
        let explained = calls.explained(way, book).into_iter();
        let explained = explained.map(|(name, entry)| format!("[{},{}]", quoted(&name), quoted(entry.sentence())));
        format!(
            "{{\"line\":{},\"pid\":{},\"call\":{},\"args\":{},\"result\":{},\"at_ns\":{},\"changes\":{},\"explained\":{}}}",
            made.number,
            deed.pid,
            quoted(deed.name),
            list(deed.args.iter().map(|arg| quoted(arg))),
            deed.result,
            or_null(made.at),
            list(changes),
            list(explained)
        )
    };
    format!(
        "{{\"name\":{},\"title\":{},\"why\":{},\"by\":{},\"at_ns\":{},\"took_ns\":{},\"phase_calls\":{},\"calls\":{}}}",
        quoted(station.told.name),
        quoted(station.told.title),
        quoted(station.told.why),
        quoted(way.by(station)),
        or_null(station.at),
        or_null(station.took),
        station.phase.len(),
        list(calls.iter().map(call))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_moves_the_cursor() {
        let mut out = String::new();
        let screen = Screen { width: 80, color: false };
        paragraph("mount on /\u{1b}]0;title\u{7}\u{202e}", 4, screen, Paint::Plain, &mut out);
        assert_eq!(out, "    mount on /\\u{1b}]0;title\\u{7}\\u{202e}\n");
    }
}
