//! `explain`: what something is that a trace, a plan or an error shows; `explain_record` has the records. May touch:
//! everything below.

use super::context::{Context, step};
use super::explain_record;
use crate::cli;
use crate::explain::{self as texts, Book, Chapter, Entry, Page};
use crate::outcome::{Error, short};
use crate::plan::Step;
use crate::say::out;

/// The columns of a page, at the least and at the most.
const NARROW: usize = 40;
const WIDE: usize = 100;

/// How many names are told that are like an unknown one.
const NEIGHBOURS: usize = 3;

/// `explain`.
#[inline(never)]
pub fn explain(context: &Context, options: &cli::Explain) -> Result<i32, Error> {
    step(Step::Look);
    let book = Book::read();
    if options.book {
        return out::stdout(&texts::markdown(&book)).map(|()| 0);
    }
    let mut page = Page::new(&book, out::columns(NARROW, WIDE));
    match (&options.search, options.names.as_slice()) {
        (Some(word), _) => search(word, &mut page)?,
        (None, []) => page.contents(),
        (None, names) => explain_all(context, names, &mut page)?,
    }
    out::stdout(&page.text).map(|()| 0)
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
        return explain_record::record(context, id, number, page).map(|()| true);
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

fn unknown(book: &Book, name: &str, verb: &str) -> Error {
    let (shown, lower) = (short(name), name.to_ascii_lowercase());
    let mut near: Vec<&str> = Vec::new();
    for _ in 0..NEIGHBOURS {
        let others = book.entries().flat_map(Entry::names).filter(|own| !near.contains(own));
        let next = others.min_by_key(|own| cli::distance(&lower, &own.to_ascii_lowercase()));
        near.extend(next);
    }
    Error::Usage(format!(
        "explain: no entry {verb} `{shown}`; take one of the nearest names: {}; `explain --search WORD` looks in all texts",
        near.join(", ")
    ))
}
