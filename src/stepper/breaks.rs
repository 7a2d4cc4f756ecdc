//! Where a person wants the plan to stop: a line, a call, a section, a place of config.json; and which calls a line makes
//! (calls.txt). May touch: plan types.

use crate::outcome::{Error, Lane, short};
use crate::packed::packed;
use crate::plan::{self, Line, Plan};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Break {
    Line(u16),
    /// A JSON pointer, and all below it.
    Place(String),
    /// A call, or a section of the plan.
    Name(String),
}

impl Break {
    /// What the words mean in this plan. `last`: the last line at which it can stop.
    pub fn read(words: &str, plan: &Plan) -> Result<Break, Error> {
        let words = words.trim();
        let read = match words.parse() {
            Ok(number) => Break::Line(number),
            Err(_) if words.starts_with('/') => Break::Place(words.trim_end_matches('/').into()),
            Err(_) => Break::Name(words.to_ascii_lowercase()),
        };
        let all = || [Lane::Host, Lane::Bridge, Lane::Init].into_iter().flat_map(|lane| numbered(plan, lane));
        if all().any(|(lane, number, line)| read.fits(lane, number, line)) {
            return Ok(read);
        }
        let shown = short(words);
        Err(Error::Usage(match read {
            Break::Line(_) => {
                let last = plan.lines().count();
                format!("no line {shown}: this plan has the lines 1 to {last}; `nk-runtime plan` lists them")
            }
            Break::Place(_) => {
                format!("no line comes from {shown} of config.json; `nk-runtime plan` shows where each comes from")
            }
            Break::Name(_) => {
                format!(
                    "no line makes a call `{shown}`, and no section is called that; write a line's number, a call as pivot_root, or a place as /mounts/3"
                )
            }
        }))
    }

    pub fn fits(&self, lane: Lane, number: u16, line: &Line) -> bool {
        match self {
            Break::Line(wanted) => *wanted == number,
            Break::Place(place) => {
                line.from.strip_prefix(place.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
            }
            Break::Name(name) => {
                calls(line).any(|call| call == name)
                    || plan::stage(lane as u8, line.stage + 1).is_some_and(|(stage, _)| stage == *name)
            }
        }
    }
}

/// The lines of a lane with their numbers.
pub fn numbered(plan: &Plan, lane: Lane) -> impl Iterator<Item = (Lane, u16, &Line)> {
    let (lines, first) = plan.lane(lane);
    (first..).zip(lines).map(move |(number, line)| (lane, number, line))
}

/// The calls that carry out a line, as calls.txt tells: first those that it is about.
pub fn calls(line: &Line) -> impl Iterator<Item = &'static str> + use<> {
    let words = line.words();
    let rows = packed!("stepper/calls.txt").lines().filter(|row| !row.starts_with('#'));
    let mut rows = rows.filter_map(|row| row.split_once(": "));
    let found = rows.find(|(op, _)| means(op, &words)).map_or("", |(_, calls)| calls);
    found.split_whitespace()
}

/// Whether an op in words is one of a row: `*` stands for any words.
fn means(op: &str, words: &str) -> bool {
    let mut parts = op.split('*');
    let Some(mut rest) = parts.next().and_then(|first| words.strip_prefix(first)) else {
        return false;
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::means;

    #[test]
    fn ops_are_known_by_their_words() {
        assert!(means("mount * on ", "mount proc on /proc"));
        assert!(means("clear the umask", "clear the umask"));
        assert!(!means("mount * on ", "unmount proc on /proc"));
        assert!(!means("mask *", "unmask /a"));
    }
}
