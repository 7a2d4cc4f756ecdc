//! Both sides as text: strace's line, below it ours and why; beside each other where the terminal is wide. At the end, what agrees
//! and what does not. May touch: the views of traces.

use super::agree::{KNOWN, NAMES};
use super::read::paragraph;
use super::{Beside, Found, Row};
use crate::listing::{Call, Line};
use crate::outcome::visible;
use crate::plan::show::lane_name;
use crate::trace::{Paint, Screen, duration, fit, whole};
use crate::world::wrapped;

/// From so many columns on, the sides stand beside each other.
const BESIDE: usize = 140;
/// The width of the line's number, the lane and the sign.
const MARGIN: usize = 13;
/// Blanks between the sides.
const GAP: usize = 2;
/// So many differences of one kind that follow each other are listed.
const LISTED: usize = 20;

/// The page. `title`: the trace and the file.
pub fn page(beside: &Beside, title: &str, screen: Screen, all: bool, out: &mut String) {
    screen.line(&visible(title), Paint::Plain, out);
    let processes: Vec<String> =
        beside.processes.iter().map(|(pid, lane)| format!("{} is process {pid}", lane_name(*lane))).collect();
    strange(beside, screen, out);
    // A sign and its first word stay together.
    let signs: Vec<String> = SIGNS.split("; ").map(|sign| sign.replacen(' ', "\u{a0}", 1)).collect();
    for line in wrapped(&format!("{}. {}", processes.join(", "), signs.join("; ")), screen.width.max(40)) {
        screen.line(&line.replace('\u{a0}', " "), Paint::Aside, out);
    }
    let mut rest = beside.rows.as_slice();
    while let Some(first) = rest.first() {
        let goes_on =
            |row: &&Row| matches!(row.found, Found::Alone(_)) && (row.found, row.lane) == (first.found, first.lane);
        let count = if all { 1 } else { rest.iter().take_while(goes_on).count().max(1) };
        row(beside, first, count - 1, screen, out);
        rest = &rest[count..];
    }
    out.push('\n');
    summary(beside, screen, "in the rows above", out);
}

fn strange(beside: &Beside, screen: Screen, out: &mut String) {
    if let Some(stranger) = &beside.stranger {
        paragraph(&visible(stranger), 0, screen, Paint::Odd, out);
    }
}

pub const SIGNS: &str = "= the same; ~ the same, shown in another way; ! different; - only strace has it; + only our trace has it; . explained";

pub fn sign(found: Found) -> char {
    match found {
        Found::Same(0 | NAMES) => '=',
        Found::Same(_) => '~',
        Found::Arguments | Found::Result => '!',
        Found::NotOurs => '-',
        Found::NotTheirs => '+',
        Found::Alone(_) => '.',
    }
}

/// `more`: how many rows like this one it stands for.
fn row(beside: &Beside, row: &Row, more: usize, screen: Screen, out: &mut String) {
    let number = row.theirs.map_or(String::new(), |call| format!("{}", beside.listing.lines[call.line].number));
    let margin = format!("{number:>5} {:<4.4} {} ", lane_name(row.lane), sign(row.found));
    let wide = screen.width >= BESIDE;
    let room = screen.width.max(60) - MARGIN;
    let width = if wide { (room - GAP) / 2 } else { room };
    let (strong, plain, rows) = match row.found.differs() {
        true => (Paint::Fatal, Paint::Fatal, 12),
        false => (Paint::of_lane(row.lane), Paint::Plain, 3),
    };
    let column = |text: Option<String>, indent: &str, paint: Paint| -> Vec<(String, Paint)> {
        let rows = text.iter().flat_map(|text| fit(text, width - indent.len(), rows));
        rows.map(|text| (format!("{indent}{text}"), paint)).collect()
    };
    let left = column(row.theirs.map(theirs), "", strong);
    let ours = column(ours(row), "", plain);
    let why = column(why(row, more), if wide { "" } else { "  " }, Paint::Aside);
    let right = [ours, why].concat();
    let all = if wide { across(&left, &right, width) } else { [left, right].concat() };
    for (at, (text, paint)) in all.iter().enumerate() {
        let margin = if at == 0 { margin.as_str() } else { "" };
        screen.lines(format!("{margin:<MARGIN$}{text}").trim_end(), 1, *paint, out);
    }
}

/// Two columns beside each other.
fn across(left: &[(String, Paint)], right: &[(String, Paint)], width: usize) -> Vec<(String, Paint)> {
    let at = |column: &[(String, Paint)], i: usize| column.get(i).cloned().unwrap_or((String::new(), Paint::Plain));
    let line = |i: usize| {
        let (left, right) = (at(left, i), at(right, i));
        let paint = if left.0.is_empty() { right.1 } else { left.1 };
        (format!("{:<width$}{:GAP$}{}", left.0, "", right.0), paint)
    };
    (0..left.len().max(right.len())).map(line).collect()
}

/// `close(3) = 0`, as strace wrote it.
pub fn theirs(call: &Call) -> String {
    let took = call.took().map_or(String::new(), |took| format!(" <{}>", duration(took)));
    visible(&format!("{} = {}{took}", call.shown(), call.result())).into_owned()
}

/// Our call, if it says more than strace's line: its descriptors have names.
pub fn ours(row: &Row) -> Option<String> {
    let ours = row.ours.as_ref()?;
    if row.found.differs() {
        return Some(ours.shown());
    }
    // strace -T: then ours tells how long it took, too.
    let took = row.theirs.and_then(|call| call.took());
    let took = took.map_or(String::new(), |_| format!(" <{}>", duration(ours.entry.r.duration_ns)));
    let named = format!("{} = {}{took}", whole(ours.entry), ours.result);
    (row.theirs.map(theirs).as_ref() != Some(&named)).then_some(named)
}

pub fn why(row: &Row, more: usize) -> Option<String> {
    match (row.found, &row.ours) {
        (Found::Alone(known), _) if more > 0 => Some(format!("and {more} more: {}", texts(known).join("; "))),
        (Found::Alone(known), _) => Some(texts(known).join("; ")),
        (Found::NotOurs, _) => Some("missing in our trace".into()),
        (_, Some(ours)) => Some(ours.entry.r.why().into()),
        _ => None,
    }
}

/// The texts of known differences.
fn texts(known: u16) -> Vec<&'static str> {
    let lines = KNOWN.lines().enumerate().filter(|(bit, _)| known >> bit & 1 == 1);
    lines.filter_map(|(_, line)| line.split_once(": ")).map(|(_, text)| text).collect()
}

/// What agrees, what is explained, and each difference. `rest`: where those stand that are not listed.
pub fn summary(beside: &Beside, screen: Screen, rest: &str, out: &mut String) {
    strange(beside, screen, out);
    let mut say = |text: String, paint: Paint| screen.lines(&text, 3, paint, out);
    let counted = |is: &dyn Fn(Found) -> bool| beside.rows.iter().filter(|row| is(row.found)).count();
    let calls = beside.listing.calls.len();
    let others = beside.listing.lines.iter().filter(|line| line.what.is_aside()).count();
    let (lines, processes) = (beside.listing.lines.len(), beside.listing.pids().len());
    let plural = if processes == 1 { "" } else { "es" };
    say(
        format!(
            "strace: {lines} lines, {calls} calls of {processes} process{plural}, {others} lines that are no calls"
        ),
        Paint::Plain,
    );
    if !beside.same_run {
        say("No process has the same number on both sides: they are of two runs".into(), Paint::Odd);
    }
    let same = counted(&|found| matches!(found, Found::Same(_)));
    let alone = counted(&|found| matches!(found, Found::Alone(_)));
    let own = calls - alone;
    // 100 % are all calls, and nothing less.
    let percent = (same * 100).checked_div(own).unwrap_or(100);
    say(format!("Matched: {same} of {own} calls of the runtime, {percent} %"), Paint::Plain);
    kinds(beside, &|found| if let Found::Same(known) = found { known } else { 0 }, &mut say);
    if alone > 0 {
        say(format!("Not the runtime's, or explained: {alone}"), Paint::Plain);
        kinds(beside, &|found| if let Found::Alone(known) = found { known } else { 0 }, &mut say);
    }
    if beside.unseen > 0 {
        say(format!("Commands of this trace that strace has not seen: {}", beside.unseen), Paint::Plain);
    }
    for (line, why) in beside.listing.unread() {
        say(format!("Line {} cannot be read: {why}: {}", line.number, visible(line.text)), Paint::Fatal);
    }
    differences(beside, rest, &mut say);
}

/// How many rows each known difference has.
fn kinds(beside: &Beside, of: &dyn Fn(Found) -> u16, say: &mut dyn FnMut(String, Paint)) {
    for bit in 0..16 {
        let count = beside.rows.iter().filter(|row| of(row.found) >> bit & 1 == 1).count();
        if count > 0 {
            say(format!("{count:>6}  {}", texts(1 << bit).concat()), Paint::Aside);
        }
    }
}

fn differences(beside: &Beside, rest: &str, say: &mut dyn FnMut(String, Paint)) {
    let count = beside.rows.iter().filter(|row| row.found.differs()).count();
    match count {
        0 => return say("Differences: none".into(), Paint::Plain),
        _ => say(format!("Differences: {count}"), Paint::Fatal),
    }
    let mut line: Option<&Line> = None;
    let (mut alike, mut kind) = (0, Found::Same(0));
    for row in &beside.rows {
        line = row.theirs.map(|call| &beside.listing.lines[call.line]).or(line);
        if !row.found.differs() {
            alike = 0;
            continue;
        }
        alike = if kind == row.found { alike + 1 } else { 1 };
        kind = row.found;
        if alike > LISTED {
            continue;
        }
        let number = line.map_or(0, |line| line.number);
        let place = if row.theirs.is_some() { format!("Line {number}") } else { format!("After line {number}") };
        let what = match row.found {
            Found::Arguments => "other arguments",
            Found::Result => "another result",
            Found::NotOurs => "missing in our trace",
            _ => "missing in strace's file",
        };
        let pid = row.theirs.map(|call| call.pid).or(row.ours.as_ref().map(|ours| ours.entry.pid)).unwrap_or(0);
        say(format!("{place}, {} ({pid}): {what}", lane_name(row.lane)), Paint::Fatal);
        for (sign, text) in [('-', row.theirs.map(theirs)), ('+', row.ours.as_ref().map(|ours| ours.shown()))] {
            if let Some(text) = text {
                say(format!("  {sign} {text}"), Paint::Plain);
            }
        }
        if alike == LISTED {
            say(format!("  (those like it that follow are {rest})"), Paint::Aside);
        }
    }
}
