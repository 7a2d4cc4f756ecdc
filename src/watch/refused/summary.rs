//! All refusals of a run, for a reader: the most frequent first. May touch: types.

use super::texts::words;
use super::types::{By, Refusal};
use crate::outcome::bounded;
use crate::say::out::wrapped;
use crate::sorted;

/// So many causes of a group are shown beside the first.
const OTHERS: usize = 5;
/// So many groups are shown.
const MOST: usize = 20;

impl By {
    /// The word of texts.txt.
    fn word(self) -> &'static str {
        match self {
            By::Seccomp => "by seccomp",
            By::Capability => "by capability",
            By::Mount => "by mount",
            By::Mask => "by mask",
            By::Device => "by device",
            By::NoNewPrivileges => "by no new privileges",
            By::User => "by user",
            By::Mapping => "by mapping",
            By::Groups => "by groups",
            By::Rlimit => "by rlimit",
            By::Cgroup => "by cgroup",
            By::Namespace => "by namespace",
            By::Setting => "by setting",
            By::Network => "by network",
            By::Terminal => "by terminal",
            By::Module => "by module",
            By::Watcher => "by watcher",
        }
    }
}

/// The refusals that the same change would lift.
struct Group<'r> {
    first: &'r Refusal,
    /// What refused the other calls.
    others: Vec<&'r str>,
    calls: u64,
}

fn groups(all: &[Refusal]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group> = Vec::new();
    for one in all {
        let (cause, calls) = (&one.cause, u64::from(one.count));
        let same = |group: &&mut Group| {
            let first = &group.first.cause;
            (first.by, &first.pointer, &first.cure) == (cause.by, &cause.pointer, &cause.cure)
        };
        match groups.iter_mut().find(same) {
            Some(group) => {
                group.others.push(&cause.what);
                group.calls += calls;
            }
            None => groups.push(Group { first: one, others: Vec::new(), calls }),
        }
    }
    sorted::by(&mut groups, |a, b| (a.calls, b.first.tid) > (b.calls, a.first.tid));
    groups
}

/// The text for a terminal.
pub fn summary(all: &[Refusal]) -> String {
    let groups = groups(all);
    let calls: u64 = groups.iter().map(|group| group.calls).sum();
    let key = match (calls, groups.len()) {
        (_, 0) => "summary none",
        (1, _) => "summary one call",
        (_, 1) => "summary one reason",
        _ => "summary",
    };
    let mut text = words(key, &[&format!("{calls}"), &format!("{}", groups.len())]) + "\n";
    groups.iter().take(MOST).for_each(|group| text += &entry(group));
    if groups.len() > MOST {
        text += &format!("\n{}\n", words("summary more", &[&format!("{}", groups.len() - MOST)]));
    }
    text
}

fn entry(group: &Group) -> String {
    let (one, cause) = (group.first, &group.first.cause);
    let times = words("summary times", &[&format!("{}", group.calls)]);
    let place = if cause.pointer.is_empty() { words("summary no line", &[]) } else { cause.pointer.clone() };
    let mut text = format!("\n{times}  {}: {place}\n", words(cause.by.word(), &[]));
    let first = format!("{} ({} {})", bounded(&one.call, LONGEST), one.program, one.tid);
    let mut others: Vec<String> = group.others.iter().take(OTHERS).map(|what| (*what).into()).collect();
    match group.others.len().saturating_sub(OTHERS) {
        0 => {}
        1 => others.push(words("summary other", &[])),
        more => others.push(words("summary others", &[&format!("{more}")])),
    }
    let also = others.iter().map(|other| ("also", other));
    let parts = [("what", &cause.what)].into_iter().chain(also);
    let parts = parts.chain([("first", &first), ("try", &cause.cure), ("opens", &cause.opens)]);
    for (label, part) in parts.filter(|(_, part)| !part.is_empty()) {
        text += &folded(&format!("  {:<9}", format!("{label}:")), part);
    }
    text
}

/// Bytes of a call that are shown.
const LONGEST: usize = 400;
/// The columns of the text.
const COLUMNS: usize = 80;

/// A part with its label, in lines of [`COLUMNS`].
fn folded(label: &str, part: &str) -> String {
    let lines = wrapped(part, COLUMNS - label.len());
    let begin = " ".repeat(label.len());
    let mut text = String::new();
    for (i, line) in lines.iter().enumerate() {
        text += if i == 0 { label } else { &begin };
        text += line;
        text.push('\n');
    }
    text
}
