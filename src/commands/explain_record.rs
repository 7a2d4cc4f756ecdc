//! `explain ID:NUMBER`: one record of a trace. The call and its arguments, its line of the plan and what asked for that, the line
//! of our source, and what each word of the call means. May touch: everything below.

use super::anew;
use super::context::Context;
use crate::explain::{Entry, Page, capitals};
use crate::outcome::{Error, PART, bounded, short, visible};
use crate::plan::show::lane_name;
use crate::plan::{self, Step};
use crate::state::{self, Whole, traces};
use crate::trace::{self, Piece, line_of};
use syscalls::Errno;
use syscalls::record::{self, Record};

/// How many more records of the same call are named.
const OTHERS: usize = 20;

/// So many lines are quoted of what the configuration says at a pointer.
const QUOTED: usize = 12;

/// One record of a container's trace, by its number or as the first of a call.
pub fn record(context: &Context, id: &str, number: &str, page: &mut Page) -> Result<(), Error> {
    let root = context.open_root()?;
    let (of, run) = traces::named(id)?;
    let found = traces::of(root.as_ref(), of, run)?;
    let pieces = trace::numbered(&found.pieces);
    let all = || pieces.iter().flat_map(|(piece, records)| records.iter().map(move |r| (piece, r)));
    let mut wanted = all().filter(|(_, r)| number.parse() == Ok(r.seq) || r.call.name() == number);
    let Some((piece, r)) = wanted.next() else {
        let (shown, last) = (short(number), all().map(|(_, r)| r.seq).max().unwrap_or(0));
        return Err(Error::State(format!(
            "the trace of {id} has no record `{shown}`: a number up to {last} (`seq` in `trace --format json`) or the name of a call is needed"
        )));
    };
    let others: Vec<String> = wanted.take(OTHERS).map(|(_, r)| r.seq.to_string()).collect();
    let mut call = String::new();
    let _ = syscalls::show::whole(r, &mut call);
    head(id, r, &call, page);
    arguments(piece, r, page);
    page.paragraph(&format!("Why: {}", r.why()), 2);
    let of_creation = pieces.first().is_some_and(|(first, _)| core::ptr::eq(first, piece));
    // A container that is gone has left its records alone, and another one can have its ID by now.
    let whole = if found.ended.is_none() { whole(context, of)? } else { None };
    line(context, of, whole, (piece, r), of_creation.then_some(&pieces[0].1), page);
    let source = r.source();
    if !source.file.is_empty() {
        page.paragraph(&format!("Source: {}{source}", source.folder()), 2);
    }
    page.gap();
    words(r, &call, page);
    if !others.is_empty() {
        page.gap();
        page.paragraph(&format!("Other records of {number}: {}", others.join(", ")), 2);
    }
    Ok(())
}

/// Which record it is, and the call as strace prints it.
fn head(id: &str, r: &Record, call: &str, page: &mut Page) {
    let line = match r.line {
        0 => String::new(),
        line => format!(", line {line} of the plan"),
    };
    page.paragraph(&format!("Record {} of {id}: {} lane{line}", r.seq, lane_name(r.lane)), 2);
    page.paragraph(Step::of(r.step).text().1, 2);
    page.quote(call);
}

/// The entry of a call.
fn entry_of(call: &str, page: &Page) -> Option<Entry> {
    page.book.find(call).into_iter().find(|entry| entry.kind() == "call")
}

/// Each argument under the name that the man page has for it; and how the call ended.
fn arguments(piece: &Piece, r: &Record, page: &mut Page) {
    let names = entry_of(r.call.name(), page).and_then(|entry| entry.key("args")).unwrap_or("");
    for (i, name) in (0..r.argc).zip(names.split(", ").chain(core::iter::repeat("argument"))) {
        let mut text = String::new();
        let _ = syscalls::show::arg(r, i, &mut text);
        page.argument(name, &text);
    }
    page.gap();
    match r.state == record::RETURNED {
        true => page.paragraph(&format!("It took {}.{} µs.", r.duration_ns / 1000, r.duration_ns % 1000 / 100), 2),
        false => page.paragraph("It had not returned when the record was last written.", 2),
    }
    match Errno::of(r.ret) {
        _ if piece.ended_by() == Some(r.at) => page.paragraph("This failure ended the command.", 2),
        Some(_) => page.paragraph("The kernel refused it, and that did not end the command.", 2),
        None => {}
    }
}

/// The record's line of the plan: what is done in its stage, what asked for it, and what else decided about it. `creation`: the
/// records of the container's creation, if it is one of them.
fn line(
    context: &Context,
    id: &str,
    whole: Option<Whole>,
    (piece, r): (&Piece, &Record),
    creation: Option<&Vec<Record>>,
    page: &mut Page,
) {
    let Some((_, stage)) = plan::stage(r.lane, r.stage) else { return };
    let plan = |whole: &Whole| {
        anew::plan(context, id, &whole.saved.bundle_path, whole.configuration().ok()?, whole.saved.state == "created")
    };
    let made = creation.and_then(|records| Some((plan(whole.as_ref()?)?, records)));
    let words = made.and_then(|(plan, records)| Some(line_of(&plan, piece, r, records)?.words())).unwrap_or_default();
    page.paragraph(&format!("Line {}: {}", r.line, if words.is_empty() { stage } else { &words }), 2);
    if !words.is_empty() {
        page.paragraph(stage, 2);
    }
    let mark = piece.decided(r).text();
    match mark.strip_prefix("host: ") {
        Some(reason) => page.paragraph(&format!("Decided by the state of the host: {reason}"), 2),
        None if mark.is_empty() => {}
        None => page.paragraph(&format!("Decided by the option {mark}"), 2),
    }
    let pointer = piece.pointer(r);
    if pointer.is_empty() {
        return;
    }
    let shown = visible(pointer);
    // `exec` has a process of its own, from its command line or from a file.
    if r.step == Step::Exec as u16 && pointer.starts_with("/process") {
        page.paragraph(&format!("Asked for by {shown} of the process that `exec` was given"), 2);
    } else {
        page.paragraph(&format!("Asked for by {shown} of config.json"), 2);
        whole.and_then(|whole| quoted(&whole, pointer)).iter().flatten().for_each(|line| page.as_it_is(line));
    }
    page.gap();
    let entries = page.book.find(pointer);
    entries.into_iter().take(1).for_each(|entry| page.brief(&shown, entry));
}

/// What the container's configuration says at a pointer, in lines of JSON.
fn quoted(whole: &Whole, pointer: &str) -> Option<Vec<String>> {
    let document: serde_json::Value = serde_json::from_slice(whole.configuration().ok()?).ok()?;
    let text = serde_json::to_string_pretty(document.pointer(pointer)?).ok()?;
    let mut lines: Vec<String> =
        text.lines().take(QUOTED).map(|line| bounded(&visible(line), PART).into_owned()).collect();
    if text.lines().nth(QUOTED).is_some() {
        lines.push("...".into());
    }
    Some(lines)
}

/// `None`: its state cannot be told.
fn whole(context: &Context, id: &str) -> Result<Option<Whole>, Error> {
    let loaded = context.container(id).and_then(|(_, dir)| state::load_whole(dir.at(), id));
    match loaded {
        Err(Error::State(_)) => Ok(None),
        loaded => loaded.map(Some),
    }
}

/// The call, its flags and its error: what each means; and what would be missing without the call.
fn words(r: &Record, call: &str, page: &mut Page) {
    let name = r.call.name();
    let own = entry_of(name, page);
    if let Some(entry) = own {
        page.brief(name, entry);
    }
    let mut seen: Vec<&str> = Vec::new();
    for word in capitals(call) {
        let entry =
            page.book.find(word).into_iter().find(|entry| ["flag", "word", "capability"].contains(&entry.kind()));
        if let Some(entry) = entry.filter(|_| !seen.contains(&word)) {
            page.brief(word, entry);
            seen.push(word);
        }
    }
    if let Some(errno) = Errno::of(r.ret) {
        let name = errno.name();
        page.book.find(name).into_iter().for_each(|entry| page.brief(name, entry));
    }
    let Some(entry) = own else { return };
    if entry.is_without_at(Step::of(r.step).text().0) {
        page.part(entry, "without");
    }
    page.references(entry);
}
