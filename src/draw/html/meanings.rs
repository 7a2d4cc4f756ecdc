//! What the calls, flags, errors and properties mean that a page shows; nothing else of the book. May touch: the book, the steps of a plan.

use crate::explain::{Book, Entry, capitals};
use crate::plan::Step;
use alloc::collections::BTreeMap;
use serde::Serialize;

/// An entry of the book.
#[derive(Serialize)]
pub struct Meaning {
    text: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    here: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    without: String,
    /// The steps that `without` belongs to; none: it belongs to all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<&'static str>,
    /// Of a call: the names of its arguments.
    #[serde(skip_serializing_if = "str::is_empty")]
    args: &'static str,
}

/// The entries by the words that they explain. `None`: the book does not know the word.
pub struct Meanings {
    book: Book,
    of: BTreeMap<String, Option<Meaning>>,
}

impl Meanings {
    pub fn new() -> Meanings {
        Meanings { book: Book::read(), of: BTreeMap::new() }
    }

    /// The call and the words of its arguments and of its result.
    pub fn of_call(&mut self, name: &str, shown: &str) {
        self.add(name, &["call"]);
        for word in capitals(shown) {
            self.add(word, &["flag", "word", "capability", "errno"]);
        }
    }

    /// A place in config.json.
    pub fn of_pointer(&mut self, pointer: &str) {
        self.add(pointer, &["property"]);
    }

    fn add(&mut self, word: &str, kinds: &[&str]) {
        if self.of.contains_key(word) {
            return;
        }
        let found = self.book.find(word).into_iter().find(|entry| kinds.contains(&entry.kind()));
        self.of.insert(word.into(), found.map(meaning));
    }

    /// What was found, by word.
    pub fn found(&self) -> BTreeMap<&str, &Meaning> {
        self.of.iter().filter_map(|(word, meaning)| Some((word.as_str(), meaning.as_ref()?))).collect()
    }
}

fn meaning(entry: Entry) -> Meaning {
    let of = |(name, _): &(&str, &str)| entry.key("steps").is_some() && entry.is_without_at(name);
    let part = |name| entry.part(name).map_or(String::new(), flowing);
    Meaning {
        text: flowing(entry.text()),
        here: part("here"),
        without: part("without"),
        steps: Step::ALL.iter().map(|step| step.text()).filter(of).map(|(_, heading)| heading).collect(),
        args: entry.key("args").unwrap_or(""),
    }
}

/// A text without the ends of its lines, and without its pictures.
fn flowing(text: &str) -> String {
    let paragraphs = text.split("\n\n").filter(|paragraph| !paragraph.starts_with("    "));
    paragraphs.map(|paragraph| paragraph.replace('\n', " ")).collect::<Vec<_>>().join(" ")
}
