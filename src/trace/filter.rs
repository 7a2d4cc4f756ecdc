//! Which records are shown: by call, by class of calls, by outcome, lane, step and line. The classes are data, in classes.txt.
//! May touch: the recorder, what was asked for.

use super::life::Entry;
use crate::cli::{Shown, TraceCmd};
use crate::outcome::{Error, Lane, short};
use crate::perform::step;
use crate::plan::Step;
use crate::plan::show::lane_name;
use syscalls::Call;

const CLASSES: &str = include_str!("classes.txt");

/// The lanes that can be asked for.
const LANES: [&str; 15] = [
    "host",
    "init",
    "bridge",
    "hook",
    "holder",
    "watcher",
    "program",
    "stepper",
    "vm-host",
    "vm-init",
    "vm-bridge",
    "vm-hook",
    "vm-holder",
    "vm-watcher",
    "vm-program",
];

/// What was asked for.
#[derive(Default)]
pub struct Filter {
    /// Sets of calls. True: these calls; false: all others.
    calls: Vec<(bool, Vec<String>)>,
    failed: bool,
    lanes: Vec<String>,
    steps: Vec<Step>,
    line: Option<(u16, u16)>,
    /// Also the calls that `--step` adds to those of the container.
    added: bool,
}

impl Filter {
    pub fn new(asked: &TraceCmd) -> Result<Filter, Error> {
        let usage = |problem| Error::Usage(format!("trace: {problem}"));
        let mut filter = Filter { failed: asked.failed, line: asked.line, ..Filter::default() };
        for word in &asked.only {
            filter.calls.push(calls(word).map_err(usage)?);
        }
        for word in asked.lane.iter().flat_map(|word| word.split(',')) {
            if !LANES.contains(&word) {
                return Err(usage(format!("there is no lane `{}`: {}", short(word), LANES.join(", "))));
            }
            filter.lanes.push(word.into());
        }
        for word in asked.step.iter().flat_map(|word| word.split(',')) {
            filter.steps.extend(steps(word).map_err(usage)?);
        }
        filter.added = asked.all || asked.format == Shown::JSON || filter.lanes.iter().any(|lane| lane == "stepper");
        Ok(filter)
    }

    /// Whether it leaves anything out.
    pub fn is_any(&self) -> bool {
        !self.calls.is_empty() || self.failed || !self.lanes.is_empty() || !self.steps.is_empty() || self.line.is_some()
    }

    pub fn shows(&self, entry: &Entry) -> bool {
        let r = &entry.r;
        if !self.added && is_added(entry) {
            return false;
        }
        let name = r.name();
        let (plain, others): (Vec<_>, Vec<_>) = self.calls.iter().partition(|(meant, _)| *meant);
        let has = |(_, calls): &&(bool, Vec<String>)| calls.iter().any(|call| call == name);
        (plain.is_empty() || plain.iter().any(has))
            && !others.iter().any(has)
            && (!self.failed || entry.refused().is_some())
            && (self.lanes.is_empty() || self.lanes.iter().any(|lane| lane == lane_name(r.lane)))
            && (self.steps.is_empty() || self.steps.contains(&Step::of(r.step)))
            && self.line.is_none_or(|(first, last)| (first..=last).contains(&r.line))
    }
}

/// Whether `--step` has added a call: the stepper makes it, or a lane asks the stepper.
pub fn is_added(entry: &Entry) -> bool {
    entry.r.lane == Lane::Stepper as u8 || entry.r.why() == step::ASK.0
}

/// The calls that a word of `-e` names. True: it means these; false: all others.
fn calls(word: &str) -> Result<(bool, Vec<String>), String> {
    let word = word.strip_prefix("trace=").unwrap_or(word);
    let (meant, list) = match word.strip_prefix('!') {
        Some(rest) => (false, rest),
        None => (true, word),
    };
    let mut all = Vec::new();
    for name in list.split(',') {
        match (name.strip_prefix('%'), Call::find(name)) {
            (Some(_), _) => all.extend(class(name)?.split(' ').map(String::from)),
            (None, Some(_)) => all.push(name.into()),
            (None, None) if name == "all" => return Ok((!meant, Vec::new())),
            (None, None) => {
                return Err(format!("there is no system call `{}`; a class begins with %: {}", short(name), names()));
            }
        }
    }
    Ok((meant, all))
}

/// The calls of a class, by its name; strace has several for some.
fn class(name: &str) -> Result<&'static str, String> {
    let name = match name {
        "%cred" => "%creds",
        "%net" => "%network",
        other => other,
    };
    let found = rows().find(|(known, _, _)| *known == name);
    found.map(|(_, _, calls)| calls).ok_or_else(|| format!("there is no class `{name}`: {}", names()))
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    CLASSES.lines().filter(|line| line.starts_with('%')).filter_map(|line| {
        let (name, rest) = line.split_once(": ")?;
        let (about, calls) = rest.split_once(": ")?;
        Some((name, about, calls))
    })
}

fn names() -> String {
    rows().map(|(name, _, _)| name).collect::<Vec<_>>().join(", ")
}

/// The classes with their calls, for `-e help`.
pub fn help() -> String {
    let mut text = String::new();
    for (name, about, calls) in rows() {
        text.push_str(&format!("{name:<11} {about}\n"));
        for row in super::page::fit(calls, 80 - 12, usize::MAX) {
            text.push_str(&format!("{:12}{row}\n", ""));
        }
    }
    text
}

/// The steps of that name, or of that number in OCI's lifecycle.
fn steps(word: &str) -> Result<Vec<Step>, String> {
    let number: Option<u32> = word.parse().ok();
    let fits = |step: &Step| {
        let (name, heading) = step.text();
        name == word || number.is_some_and(|number| lifecycle(heading).contains(&number))
    };
    let found: Vec<Step> = Step::ALL.iter().copied().filter(fits).collect();
    match found.is_empty() {
        false => Ok(found),
        true => {
            let names: Vec<&str> = Step::ALL.iter().map(|step| step.text().0).collect();
            Err(format!("there is no step `{word}`: {}, or a number of OCI's lifecycle", names.join(", ")))
        }
    }
}

/// The numbers of a heading such as `lifecycle 3 to 5, 7, 9 and 13, hooks`.
fn lifecycle(heading: &str) -> Vec<u32> {
    let Some(rest) = heading.strip_prefix("lifecycle ") else {
        return Vec::new();
    };
    let mut numbers: Vec<u32> = Vec::new();
    let mut range = false;
    for word in rest.split([' ', ',']) {
        match (word.parse(), numbers.last().copied()) {
            (Ok(number), Some(last)) if range => numbers.extend(last + 1..=number),
            (Ok(number), _) => numbers.push(number),
            _ => {}
        }
        range = word == "to";
    }
    numbers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_call_has_a_class_and_every_class_has_calls_of_this_runtime() {
        let explained = include_str!("../explain/texts/calls.txt");
        let known: Vec<&str> = explained.lines().filter_map(|line| line.strip_prefix("== ")).collect();
        let classed: Vec<&str> = rows().flat_map(|(_, _, calls)| calls.split(' ')).collect();
        for call in &known {
            assert!(classed.contains(call), "{call} is in no class");
        }
        for call in classed {
            assert!(known.contains(&call), "{call} is in a class, and has no entry in calls.txt");
        }
    }

    #[test]
    fn words_of_e() {
        assert_eq!(calls("mount,close"), Ok((true, vec!["mount".into(), "close".into()])));
        assert_eq!(calls("trace=!close"), Ok((false, vec!["close".into()])));
        assert_eq!(calls("%memory").map(|(_, calls)| calls.len()), Ok(5));
        assert_eq!(calls("all"), Ok((false, vec![])));
        for wrong in ["", "mont", "%mont", "mount,"] {
            assert!(calls(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn steps_by_name_and_number() {
        assert_eq!(lifecycle("lifecycle 3 to 5, 7, 9 and 13, hooks"), [3, 4, 5, 7, 9, 13]);
        assert_eq!(steps("mounts"), Ok(vec![Step::Mounts]));
        assert_eq!(steps("4"), Ok(vec![Step::Hooks]));
        assert!(steps("2").is_ok_and(|all| all.len() > 8) && steps("99").is_err() && steps("nosuch").is_err());
    }
}
