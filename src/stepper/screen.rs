//! What a stop shows, in lines of the terminal's width; the words are in screens.txt. May touch: types.

use super::breaks::{Break, numbered};
use super::lanes::{Stand, awaits};
use crate::look::{Differs, Facts};
use crate::outcome::{Lane, visible};
use crate::packed::packed;
use crate::perform::step::LANES;
use crate::plan::show::lane_name;
use crate::plan::{Line, Plan, stage};
use crate::say::out;
use crate::world::rows;

/// Where the values begin.
const LABEL: usize = 12;
/// The widest name of a key.
const KEY: usize = 5;
/// So many lines around one are listed.
const AROUND: usize = 9;
/// The capabilities that a kernel knows are counted, not listed.
const FEW: usize = 3;

/// A text of screens.txt.
pub fn text(name: &str) -> &'static str {
    let head = format!("\n== {name}\n");
    let rest = packed!("stepper/screens.txt").split_once(&head).map_or("", |(_, rest)| rest);
    rest.split("\n\n").next().unwrap_or("").trim_end()
}

/// A page of lines, none longer than the width.
pub struct Page {
    pub lines: Vec<String>,
    pub width: usize,
}

impl Page {
    pub fn new(width: usize) -> Page {
        Page { lines: Vec::new(), width }
    }

    /// A label and what belongs to it, in at most so many lines.
    pub fn labelled(&mut self, label: &str, text: &str, most: usize) {
        let text = visible(text);
        let wrapped = out::wrapped(&text, self.width - LABEL);
        let more = wrapped.len() > most;
        for (i, line) in wrapped.iter().take(most).enumerate() {
            let label = if i == 0 { label } else { "" };
            let whole = match more && i + 1 == most {
                true => cut(&format!("{label:LABEL$}{}", wrapped[i..].join(" ")), self.width),
                false => format!("{label:LABEL$}{line}"),
            };
            self.lines.push(whole.trim_end().into());
        }
    }

    /// A text in as many lines as it needs.
    pub fn paragraph(&mut self, text: &str) {
        self.lines.extend(out::wrapped(text, self.width));
    }

    /// Lines of a key and what it does, after two blanks; other lines are paragraphs.
    pub fn rows(&mut self, text: &str) {
        for line in text.lines() {
            match line.split_once("  ") {
                Some((key, text)) => {
                    let pair = [format!("{key:KEY$}"), text.trim_start().into()];
                    self.lines.extend(rows(&[pair], self.width));
                }
                None => self.paragraph(line),
            }
        }
    }

    /// A line as it is, on as many lines of the terminal as it needs.
    pub fn broken(&mut self, line: &str) {
        let all: Vec<char> = visible(line).chars().collect();
        self.lines.extend(all.chunks(self.width).map(|part| part.iter().collect::<String>()));
    }

    /// One line, cut where the terminal ends.
    pub fn plain(&mut self, text: &str) {
        self.lines.push(cut(&visible(text), self.width));
    }

    pub fn text(&self) -> String {
        self.lines.iter().map(|line| format!("{line}\n")).collect()
    }
}

/// A line of at most so many characters: a longer one ends in `...`.
fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.into();
    }
    line.chars().take(width - 4).collect::<String>().trim_end().to_owned() + " ..."
}

/// The heading of a stop: the lane, the line, the section.
pub fn heading(page: &mut Page, plan: &Plan, lane: Lane, number: u16, line: &Line) {
    let all = plan.lines().count();
    let section = stage(lane as u8, line.stage + 1).map_or(String::new(), |(name, _)| format!(", section {name}"));
    let place = format!("== line {number} of {all}, {} lane", lane_name(lane as u8));
    let room = |text: &str| page.width.checked_sub(text.chars().count());
    let text = format!("{place}{section} ");
    // Where the terminal is narrow, the section is left out.
    let text = if room(&text).is_some() { text } else { place + " " };
    let room = room(&text).unwrap_or(0);
    page.plain(&(text + &"=".repeat(room)));
}

/// What a line does, why, and what asked for it. `piece`: of config.json.
pub fn line(page: &mut Page, line: &Line, piece: &str, sections: Option<&str>) {
    if let Some(section) = sections {
        page.labelled("section", section, 2);
    }
    page.labelled("line", &line.words(), 2);
    page.labelled("why", line.why.0, 2);
    if !line.from.is_empty() {
        page.labelled("asked by", &format!("{} {piece}", line.from), 2);
    }
    if !line.mark.text().is_empty() {
        page.labelled("decided by", line.mark.text(), 1);
    }
}

/// Where the other lanes are.
pub fn others(page: &mut Page, plan: &Plan, stands: &[Stand; 3], turn: usize) {
    for (place, stand) in stands.iter().enumerate() {
        let (lines, first) = plan.lane(LANES[place]);
        if place == turn || lines.is_empty() {
            continue;
        }
        let at = |number: u16| plan.line(number).map_or(String::new(), |line| format!("{number}: {}", line.words()));
        let last = first as usize + lines.len() - 1;
        let words = match stand {
            Stand::NotBegun => text("absent").into(),
            Stand::Asks(number) => format!("{} {}", text("held"), at(*number)),
            Stand::In(number) if usize::from(*number) == last && !plan.line(*number).is_some_and(awaits) => {
                text("ended").into()
            }
            Stand::In(number) => format!("{} {}", text("in"), at(*number)),
        };
        page.labelled(&format!("{} lane", lane_name(LANES[place] as u8)), &words, 1);
    }
}

/// The process now. `runtime`: what the runtime itself has.
pub fn now(page: &mut Page, pid: i32, facts: &Facts, runtime: &Facts) {
    let own = |one: &&crate::look::Namespace| !runtime.namespaces.iter().any(|other| other.name == one.name);
    let own: Vec<&str> = facts.namespaces.iter().filter(own).map(|one| one.kind).collect();
    let namespaces = match (facts.namespaces.is_empty(), own.is_empty()) {
        (true, _) => text("hidden").into(),
        (_, true) => "all of them the runtime's".into(),
        _ => format!("its own: {}", own.join(" ")),
    };
    let ids = |ids: &[u32]| ids.iter().map(u32::to_string).collect::<Vec<_>>().join(" ");
    let one = |ids: &[u32]| ids.get(1).map_or(String::from("?"), u32::to_string);
    let users = &facts.users;
    let groups = if users.groups.is_empty() { "none".into() } else { ids(&users.groups) };
    let count = |set: &[&str]| set.len();
    let sets = &facts.capabilities;
    page.labelled(
        "process",
        &format!("{pid}, user {}, group {}, groups {groups}", one(&users.uids), one(&users.gids)),
        1,
    );
    page.labelled("namespaces", &namespaces, 1);
    page.labelled("mounts", &format!("{} in its namespace", facts.mounts.len()), 1);
    let rights = format!(
        "capabilities {}, bounding {}, no_new_privs {}, seccomp {}",
        count(&sets.effective),
        count(&sets.bounding),
        if facts.no_new_privileges { "on" } else { "off" },
        facts.seccomp.mode
    );
    page.labelled("rights", &rights, 1);
    if let (Some(root), Some(directory)) = (&facts.process.root, &facts.process.directory) {
        page.labelled("root, cwd", &format!("{root}, {directory}"), 1);
    }
    page.labelled("cgroup", &facts.cgroup.path, 1);
}

/// What has changed since this lane stopped last, in at most so many rows.
pub fn changes(page: &mut Page, changes: &[String], most: usize) {
    let lines = match (most, changes.len()) {
        (usize::MAX, _) => most,
        (_, 1) => 2,
        _ => 1,
    };
    for (i, change) in changes.iter().enumerate() {
        if i + 1 == most && changes.len() > most {
            page.labelled("", &text("more new").replace("{n}", &(changes.len() - i).to_string()), 1);
            return;
        }
        page.labelled(if i == 0 { "new" } else { "" }, change, lines);
    }
}

/// A fact that has changed. Of long lists only what was added or taken away is told.
pub fn change_in_words(change: &Differs) -> String {
    let Differs { subject, name, before, after } = change;
    if *subject == "capabilities" {
        let [before, after] = [before, after].map(|set| set.split_whitespace().collect::<Vec<_>>());
        let gone: Vec<&str> = before.iter().filter(|one| !after.contains(one)).copied().collect();
        let come: Vec<&str> = after.iter().filter(|one| !before.contains(one)).copied().collect();
        let told = |word: &str, set: &[&str]| match set.len() {
            0 => String::new(),
            1..=FEW => format!(", {word} {}", set.join(" ")),
            many => format!(", {word} {many}"),
        };
        return format!("{name} capabilities: {}{}{}", after.len(), told("gone", &gone), told("come", &come));
    }
    match (before.is_empty(), after.is_empty()) {
        (true, _) => format!("{subject}: {name} {after}"),
        (_, true) if before == "there" => format!("{subject}: {name} is gone"),
        (_, true) => format!("{subject}: {name} is gone ({before})"),
        _ => format!("{subject}: {name} {before} -> {after}"),
    }
}

/// Commands for another window. `values`: what stands for the words in braces. What the container does not have is left out, and
/// so is a command that no line has room for: half of it would be of no use. `ordinary`: the caller is not root; the kernel
/// refuses it what lies in /proc of a process that hides from its own user (prctl(2), PR_SET_DUMPABLE).
pub fn window(page: &mut Page, step: &str, values: &[(&str, String)], ordinary: bool) {
    let mut label = "look";
    for command in text(&format!("window {step}")).lines() {
        let empty = values.iter().any(|(name, value)| value.is_empty() && command.contains(name));
        let missing = empty || ordinary && text("refused").split(' ').any(|part| command.contains(part));
        let filled = values.iter().fold(String::from(command), |text, (name, value)| text.replace(name, value));
        let long = filled.chars().count();
        if missing || long > page.width {
            continue;
        }
        if long + LABEL <= page.width {
            page.labelled(label, &filled, 1);
        } else {
            page.lines.extend(Some(label.into()).filter(|label: &String| !label.is_empty()));
            page.lines.push(filled);
        }
        label = "";
    }
}

/// The lines around one, in its lane.
pub fn around(page: &mut Page, plan: &Plan, lane: Lane, number: u16, breaks: &[Break]) {
    let all: Vec<_> = numbered(plan, lane).collect();
    let at = all.iter().position(|(_, own, _)| *own == number).unwrap_or(0);
    let from = at.saturating_sub(AROUND / 2).min(all.len().saturating_sub(AROUND));
    for (_, own, line) in all.iter().skip(from).take(AROUND) {
        let here = if *own == number { ">" } else { " " };
        let stops = if breaks.iter().any(|one| one.fits(lane, *own, line)) { "*" } else { " " };
        page.plain(&format!("{here}{stops}{own:>4}  {}", line.words()));
    }
}
