//! `explain`: what something is that a trace, a plan or an error shows; or one record of a trace. May touch: everything
//! below.

use super::context::{Context, step};
use crate::cli;
use crate::explain::{self as texts, Book, Chapter, Entry, Page};
use crate::outcome::Error;
use crate::plan::show::lane_name;
use crate::plan::{self, Plan, Step, Wish};
use crate::say::out;
use crate::state::{self, Whole, traces};
use crate::{spec, trace};
use syscalls::record::Record;
use syscalls::{At, Errno, Why};

/// The columns of a page: those of the terminal, within these limits; where there is none, the usual ones.
const NARROW: usize = 40;
const USUAL: usize = 80;
const WIDE: usize = 100;

/// How many names are told that are like an unknown one.
const NEIGHBOURS: usize = 3;

/// How many more records of the same call are named.
const OTHERS: usize = 20;

/// `explain`.
pub fn explain(context: &Context, options: &cli::Explain) -> Result<i32, Error> {
    step(Step::Look);
    let book = Book::read();
    if options.book {
        return out::stdout(&texts::markdown(&book)).map(|()| 0);
    }
    let mut page = Page::new(&book, width());
    match (&options.search, options.names.as_slice()) {
        (Some(word), _) => search(word, &mut page)?,
        (None, []) => page.contents(),
        (None, names) => explain_all(context, names, &mut page)?,
    }
    out::stdout(&page.text).map(|()| 0)
}

fn width() -> usize {
    let size = syscalls::tiocgwinsz(At::STDOUT, Why("lines shall be as long as the terminal is wide"));
    size.map_or(USUAL, |size| usize::from(size.columns).clamp(NARROW, WIDE))
}

fn search(word: &str, page: &mut Page) -> Result<(), Error> {
    let found = page.book.search(word);
    if found.is_empty() {
        return Err(unknown(page.book, word, "has"));
    }
    found.into_iter().for_each(|(name, entry)| page.brief(name, entry));
    Ok(())
}

/// The words are one name (`bind mount`), a kind and a name (`option bind`), or a name each.
fn explain_all(context: &Context, words: &[String], page: &mut Page) -> Result<(), Error> {
    if one(context, &words.join(" "), page)? {
        return Ok(());
    }
    if let [kind, rest @ ..] = words
        && let Some(kind) = texts::kind(kind)
        && of_kind(kind, &rest.join(" "), page)
    {
        return Ok(());
    }
    for word in words {
        if !one(context, word, page)? {
            return Err(unknown(page.book, word, "is called"));
        }
    }
    Ok(())
}

/// False: nothing has this name.
fn one(context: &Context, name: &str, page: &mut Page) -> Result<bool, Error> {
    if let Some((id, number)) = name.split_once(':') {
        return record(context, id, number, page).map(|()| true);
    }
    let found = page.book.find(name);
    if !found.is_empty() {
        found.into_iter().for_each(|entry| page.entry(entry));
        return Ok(true);
    }
    let kind = texts::kind(name);
    let is_asked = |chapter: &Chapter| chapter.title.eq_ignore_ascii_case(name) || kind == Some(chapter.kind());
    let mut chapters = page.book.chapters();
    chapters.retain(is_asked);
    if !chapters.is_empty() {
        chapters.into_iter().for_each(|chapter| page.chapter(chapter, true));
        return Ok(true);
    }
    let related = page.book.related(name);
    match related.as_slice() {
        [] => return Ok(false),
        [(_, entry)] => page.entry(*entry),
        several => several.iter().for_each(|(name, entry)| page.brief(name, *entry)),
    }
    Ok(true)
}

/// What has this name in one kind. A step also has the number that OCI's lifecycle gives it, which several steps share.
fn of_kind(kind: &str, name: &str, page: &mut Page) -> bool {
    let steps = if kind == "step" { page.book.steps(name) } else { Vec::new() };
    let mut found = page.book.find(name);
    found.retain(|entry| entry.kind() == kind);
    match (steps.as_slice(), found.as_slice()) {
        ([], []) => return false,
        ([one], _) | ([], [one]) => page.entry(*one),
        ([], several) => several.iter().for_each(|entry| page.entry(*entry)),
        (several, _) => {
            page.paragraph(&format!("Step {name} of OCI's lifecycle (runtime.md, \"Lifecycle\") has these parts:"), 0);
            page.gap();
            several.iter().for_each(|entry| page.brief(entry.name(), *entry));
        }
    }
    true
}

/// A word of the command line, for one line of an error.
fn shown(word: &str) -> String {
    word.chars().take(40).flat_map(char::escape_default).collect()
}

fn unknown(book: &Book, name: &str, verb: &str) -> Error {
    let (shown, lower) = (shown(name), name.to_ascii_lowercase());
    let mut near: Vec<&str> = Vec::new();
    for _ in 0..NEIGHBOURS {
        let others = book.entries().flat_map(Entry::names).filter(|own| !near.contains(own));
        let next = others.min_by_key(|own| cli::distance(&lower, &own.to_ascii_lowercase()));
        near.extend(next);
    }
    Error::Usage(format!(
        "explain: no entry {verb} `{shown}`; the nearest names: {}; `explain --search WORD` looks in all texts",
        near.join(", ")
    ))
}

/// One record of a container's trace, by its number or as the first of a call: the call as it stands there, and what its
/// words mean.
fn record(context: &Context, id: &str, number: &str, page: &mut Page) -> Result<(), Error> {
    let root = context.open_root()?;
    let pieces = traces::read(root.as_ref(), id)?;
    let pieces = trace::numbered(&pieces);
    let all = || pieces.iter().flatten();
    let mut wanted = all().filter(|r| number.parse() == Ok(r.seq) || r.call.name() == number);
    let Some(r) = wanted.next() else {
        let (shown, last) = (shown(number), all().map(|r| r.seq).max().unwrap_or(0));
        return Err(Error::State(format!(
            "the trace of {id} has no record `{shown}`: a number up to {last} (`seq` in `trace --format json`) or the name of a call is needed"
        )));
    };
    let others: Vec<String> = wanted.take(OTHERS).map(|r| r.seq.to_string()).collect();
    let line = match r.line {
        0 => String::new(),
        line => format!(", line {line} of the plan"),
    };
    page.paragraph(&format!("Record {} of {id}: {} lane{line}", r.seq, lane_name(r.lane)), 2);
    page.paragraph(Step::of(r.step).text().1, 2);
    let call = call(r);
    page.quote(&call);
    page.paragraph(&format!("Why: {}", r.why()), 2);
    let of_creation = pieces.first().is_some_and(|first| first.iter().any(|one| one.seq == r.seq));
    if of_creation && let Some(plan) = plan_of(context, id)? {
        plan_line(&plan, r, &pieces[0], page);
    }
    page.gap();
    words(r, &call, page);
    if !others.is_empty() {
        page.gap();
        page.paragraph(&format!("Other records of {number}: {}", others.join(", ")), 2);
    }
    Ok(())
}

/// The call as strace prints it.
fn call(r: &Record) -> String {
    let mut text = String::new();
    let _ = syscalls::show::call(r, &mut text);
    text.push_str(" = ");
    let _ = syscalls::show::result(r, &mut text);
    text
}

/// The plan of a container that is there, made anew from the configuration that `create` read. What only that command's
/// line asked for is not in it. `None`: the container is gone, or its state tells of no configuration.
fn plan_of(context: &Context, id: &str) -> Result<Option<Plan>, Error> {
    let whole = match whole(context, id) {
        Err(Error::State(_)) => return Ok(None),
        other => other?,
    };
    let Some(spec) = whole.configuration().ok().and_then(|text| spec::parse(text).ok()) else {
        return Ok(None);
    };
    let waits = whole.saved.state == "created";
    let base = context.cgroup_base(&spec);
    let wish = Wish {
        wait_for_start: waits,
        attached: !waits,
        cgroup_base: &base,
        ..context.wish(id, &whole.saved.bundle_path)
    };
    Ok(plan::create(&spec, &wish).ok())
}

fn whole(context: &Context, id: &str) -> Result<Whole, Error> {
    let (_, dir) = context.container(id)?;
    state::load_whole(dir.at(), id)
}

/// The record's line of the plan. Options of the command line can have moved the lines: then the line that was made anew has
/// another why than the records that bear its number.
fn plan_line(plan: &Plan, r: &Record, records: &[Record], page: &mut Page) {
    let Some(line) = plan.lines().nth(usize::from(r.line).wrapping_sub(1)) else { return };
    let of_line = |one: &&Record| one.line == r.line && one.lane == r.lane;
    if line.step as u16 != r.step || !records.iter().filter(of_line).any(|one| one.why() == line.why.0) {
        return;
    }
    let from = if line.from.is_empty() { String::new() } else { format!(", from config.json {}", line.from) };
    page.paragraph(&format!("Line {}: {}{from}", r.line, line.op), 2);
    if let Some(entry) = page.book.find(&line.from).first() {
        page.gap();
        page.brief(&line.from, *entry);
    }
}

/// The call, its flags and its error: what each means; and what would be missing without the call.
fn words(r: &Record, call: &str, page: &mut Page) {
    let name = r.call.name();
    let own = page.book.find(name).into_iter().find(|entry| entry.kind() == "call");
    if let Some(entry) = own {
        page.brief(name, entry);
    }
    let mut seen: Vec<&str> = Vec::new();
    for word in identifiers(call) {
        let entry =
            page.book.find(word).into_iter().find(|entry| ["flag", "word", "capability"].contains(&entry.kind()));
        if let Some(entry) = entry.filter(|_| !seen.contains(&word)) {
            page.brief(word, entry);
            seen.push(word);
        }
    }
    if let error @ -4095..=-1 = r.ret {
        let name = Errno(error.unsigned_abs() as u16).name();
        page.book.find(name).into_iter().for_each(|entry| page.brief(name, entry));
    }
    let Some(entry) = own else { return };
    page.part(entry, "without");
    page.references(entry);
}

/// The words of a call in capital letters, outside of its texts.
fn identifiers(call: &str) -> impl Iterator<Item = &str> {
    let outside = call.split('"').step_by(2);
    let words = outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase() || c == '_'))
}
