//! What the teller says: the words for a stage of a plan, for a call, and those of tell.txt. May touch: plan types, the recorder.

use crate::outcome::{Lane, bounded};
use crate::plan::op::{Mounts, Op};
use crate::plan::{self, Line, Plan};
use crate::say::tell_line::Shape;
use crate::sorted;
use syscalls::record::Record;

/// The words for what is no stage of a plan, and the brief words for stages.
const TABLE: &str = include_str!("tell.txt");

/// How many paths brief words have, before `and 3 more`.
const NAMED: usize = 2;

/// Bytes for what the lines of a stage do, at the least.
const LEAST: usize = 60;

/// The text of the table for `key`: the indented lines below it.
fn entry(key: &str) -> Option<String> {
    let mut lines = TABLE.lines().skip_while(|line| *line != key);
    lines.next()?;
    let text: Vec<&str> = lines.map_while(|line| line.strip_prefix("  ")).collect();
    Some(text.join(" ")).filter(|text| !text.is_empty())
}

/// The same with values: `{0}` is the first. Empty: the table does not have the key.
pub fn filled(key: &str, values: &[&str]) -> String {
    let mut text = entry(key).unwrap_or_default();
    for (i, value) in values.iter().enumerate() {
        text = text.replace(&format!("{{{i}}}"), value);
    }
    text
}

/// A call that has returned: what was asked, what came of it, and why.
pub fn call(record: &Record, most: usize) -> String {
    let mut text = String::new();
    let _ = syscalls::show::whole(record, &mut text);
    let why = record.why();
    let text = bounded(&text, most.saturating_sub(why.len() + 2)).into_owned();
    bounded(&format!("{text}: {why}"), most).into_owned()
}

/// A call that takes long.
pub fn hangs(record: &Record, now: u64, most: usize) -> String {
    let mut text = String::new();
    let _ = syscalls::show::call(record, &mut text);
    let seconds = now.saturating_sub(record.start_ns) / 1_000_000_000;
    let text = bounded(&text, most / 2);
    bounded(&filled("hangs", &[&text, &seconds.to_string(), record.why()]), most).into_owned()
}

/// What the stage is about to do that begins with this call. In brief: nothing, if the table has no words for it. Without the
/// plan, which is another command's, the record tells of its own line.
pub fn stage(plan: Option<&Plan>, record: &Record, shape: Shape, most: usize) -> Option<String> {
    let (lane, name) = match record.lane {
        0 => (Lane::Host, "host"),
        1 => (Lane::Init, "init"),
        _ => (Lane::Bridge, "bridge"),
    };
    let (stage, text) = plan::stage(record.lane, record.stage)?;
    let lines: Vec<&Line> = plan
        .map_or(Vec::new(), |plan| plan.lane(lane).0.iter().filter(|line| line.stage + 1 == record.stage).collect());
    if shape == Shape::Brief {
        return brief(&format!("brief {name} {stage}"), &lines);
    }
    let from = match lines.is_empty() {
        true => record.asked().map_or("", |(pointer, _)| pointer).into(),
        false => common(lines.iter().map(|line| line.from.as_str()).filter(|from| !from.is_empty())),
    };
    let place = if from.is_empty() { String::new() } else { format!(" (config.json {from})") };
    let first = lines.first().map_or(record.why(), |line| line.why.0);
    let why = if lines.iter().all(|line| line.why.0 == first) { first } else { "" };
    let room = most.saturating_sub(text.len() + place.len() + why.len() + 20).max(LEAST);
    let done = done(&lines, room);
    // What one line does without a word of the configuration, the stage's own text has said.
    let said = lines.len() < 2 && from.is_empty() && !done.contains('/');
    let told = match (said, why) {
        (true, "") => text.trim().into(),
        (true, why) => format!("{} Why: {why}.", text.trim()),
        (false, "") => format!("{} {}{place}.", text.trim(), capital(&done)),
        (false, why) if done.is_empty() => format!("{} Why{place}: {why}.", text.trim()),
        (false, why) => format!("{} {}{place}: {why}.", text.trim(), capital(&done)),
    };
    Some(bounded(&told, most).into_owned())
}

/// The brief words for a stage, and those for what its lines do.
fn brief(key: &str, lines: &[&Line]) -> Option<String> {
    let texts: Vec<String> = lines.iter().map(|line| line.op.to_string()).collect();
    let told = |line: &str| {
        let start = line.strip_prefix(key)?.trim_start();
        let names: Vec<String> =
            texts.iter().filter(|text| text.starts_with(start)).flat_map(|text| names(text)).collect();
        let shown = if names.iter().any(|name| name.starts_with('/')) { NAMED } else { names.len() };
        let rest = names.len().saturating_sub(shown);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        let named = names.get(..shown).unwrap_or(&names).join(", ") + &more;
        (start.is_empty() || !names.is_empty()).then(|| filled(line, &[&named]))
    };
    let keys = TABLE.lines().filter(|line| line.split(' ').take(3).eq(key.split(' ')));
    let told: Vec<String> = keys.filter_map(told).collect();
    Some(told.join(" ")).filter(|text| !text.is_empty())
}

/// What a line of a plan is about: the namespaces of a clone, the target of a mount, or else its second word.
fn names(text: &str) -> Vec<String> {
    if let Some((_, kinds)) = text.split_once("namespaces: ") {
        let kinds = kinds.split(',').next().unwrap_or_default();
        return kinds.split(' ').filter_map(|kind| entry(&format!("own {kind}"))).collect();
    }
    let name = match text.split_once(" on ") {
        Some((_, target)) => target.split(' ').next(),
        None => text.split(' ').nth(1),
    };
    name.map(String::from).into_iter().collect()
}

/// The text with a capital letter. The name of a call has none.
fn capital(text: &str) -> String {
    if text.starts_with("execve ") {
        return text.into();
    }
    let mut chars = text.chars();
    chars.next().map_or(String::new(), |first| format!("{}{}", first.to_uppercase(), chars.as_str()))
}

/// What pointers into config.json have in common.
fn common<'a>(mut pointers: impl Iterator<Item = &'a str>) -> String {
    let mut common = pointers.next().unwrap_or_default();
    for pointer in pointers {
        while !(pointer == common || pointer.strip_prefix(common).is_some_and(|rest| rest.starts_with('/'))) {
            common = common.rsplit_once('/').map_or("", |(above, _)| above);
        }
    }
    common.into()
}

/// What lines do, each verb once: `mount proc on /proc, tmpfs on /dev; link /dev/fd to /proc/self/fd`.
fn done(lines: &[&Line], room: usize) -> String {
    let lines = lines.iter().filter(|line| !matches!(line.op, Op::Mounts(Mounts::Enter { .. })));
    let texts: Vec<String> = lines.map(|line| line.words()).collect();
    let mut texts: Vec<&str> = texts.iter().map(|text| text.split(" (").next().unwrap_or_default()).collect();
    let verb = |text: &str| text.split(' ').next().map(String::from);
    let first_of = |text: &str, all: &[&str]| all.iter().position(|other| verb(other) == verb(text));
    let all = texts.clone();
    let own = |text: &str| all.iter().position(|other| *other == text);
    let place = |text: &str| (first_of(text, &all), own(text));
    sorted::by(&mut texts, |a, b| place(a) < place(b));
    let mut out = String::new();
    for (i, text) in texts.iter().enumerate() {
        let before = i.checked_sub(1).and_then(|i| texts.get(i)).filter(|before| verb(before) == verb(text));
        let more = match before {
            Some(before) if before.contains(';') => format!("; {text}"),
            Some(before) => format!(", {}", text.get(shared(before, text)..).unwrap_or(text)),
            None if i == 0 => text.to_string(),
            None => format!("; {text}"),
        };
        if i > 0 && out.len() + more.len() > room {
            out.push_str(&format!(" and {} more", texts.len() - i));
            break;
        }
        out.push_str(&more);
    }
    out
}

/// How many bytes of two texts are the same words, but for a last article.
fn shared(a: &str, b: &str) -> usize {
    let words = a.split(' ').zip(b.split(' ')).take_while(|(a, b)| a == b);
    let len = words.map(|(word, _)| word.len() + 1).sum();
    match b.get(..len) {
        Some(same) if same.ends_with(" the ") => len - "the ".len(),
        _ => len,
    }
}
