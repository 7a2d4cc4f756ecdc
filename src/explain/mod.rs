//! What everything is that a trace, a plan or an error can show: the texts in `texts`, how they are read, and how an
//! entry is found by its name. `page.rs` makes pages of them. May touch: text.
//!
//! ```text
//!   # Flags of mounts          a chapter; the lines after its title hold for each of its entries
//!   kind: flag                 one of KINDS
//!   of: mount                  the call or property that an entry belongs to: it lends man, oci and try
//!
//!   == MS_REC                  an entry: its names, with commas between them
//!   see: AT_RECURSIVE          other entries
//!                              further keys: man, oci, number for a step of OCI's lifecycle, hint, and args: the
//!                              names of a call's arguments
//!   The mounts below count, too.
//!   without: `/` would be ..   then, in this order: here (what it is for), without, try
//! ```
//! Paragraphs end at an empty line. Lines that begin with four spaces are a picture and stay as they are.
//!
//! A hint is what a message says after `try:`. Its name is the call, if it is one call's; the errno; and, if it matters, a
//! word for what the call was asked, or for the op that made it (`say/hints.rs` has these words). The first that fits counts.
//! Hints without a call are found by their names.

mod page;

use crate::packed::packed;
pub use page::{Page, markdown};

/// The texts, in reading order.
fn files() -> [&'static str; 15] {
    [
        packed!("explain/texts/concepts.txt"),
        packed!("explain/texts/namespaces.txt"),
        packed!("explain/texts/lifecycle.txt"),
        packed!("explain/texts/calls.txt"),
        packed!("explain/texts/flags-files.txt"),
        packed!("explain/texts/flags-mounts.txt"),
        packed!("explain/texts/flags-processes.txt"),
        packed!("explain/texts/flags-signals-sockets.txt"),
        packed!("explain/texts/flags-terminals.txt"),
        packed!("explain/texts/capabilities.txt"),
        packed!("explain/texts/inspect.txt"),
        packed!("explain/texts/options.txt"),
        packed!("explain/texts/properties.txt"),
        packed!("explain/texts/errnos.txt"),
        all_hints(),
    ]
}

fn all_hints() -> &'static str {
    packed!("explain/texts/hints.txt")
}

/// What an entry can be of: as the texts have it, as people read it, and for several.
pub const KINDS: [(&str, &str, &str); 12] = [
    ("concept", "concept", "concepts"),
    ("namespace", "kind of namespace", "namespaces"),
    ("step", "step", "steps"),
    ("state", "state", "states"),
    ("call", "system call", "calls"),
    ("flag", "flag", "flags"),
    ("word", "word", "words"),
    ("capability", "capability", "capabilities"),
    ("option", "mount option", "options"),
    ("property", "property of config.json", "properties"),
    ("errno", "error number", "errnos"),
    ("hint", "hint", "hints"),
];

/// The labels of an entry's parts, in their order.
const LABELS: [&str; 3] = ["here: ", "without: ", "try: "];

/// So many entries with a word in their first sentence are enough.
const RELATED: usize = 12;

/// How many entries lie above each other at the most.
const DEPTH: usize = 4;

#[derive(Clone, Copy)]
pub struct Chapter {
    pub title: &'static str,
    head: &'static str,
}

#[derive(Clone, Copy)]
pub struct Entry {
    /// Its names, and the lines of keys.
    head: &'static str,
    body: &'static str,
    chapter: Chapter,
}

/// All entries, in reading order.
pub struct Book(Vec<Entry>);

/// The value of a key in lines of keys.
fn value(lines: &'static str, key: &str) -> Option<&'static str> {
    lines.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
}

impl Chapter {
    /// What its entries are, but for those that say so themselves.
    pub fn kind(self) -> &'static str {
        value(self.head, "kind").unwrap_or("")
    }
}

impl Entry {
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        let lines = self.head.lines().enumerate();
        let lines = lines.filter_map(|(i, line)| if i == 0 { Some(line) } else { line.strip_prefix("== ") });
        lines.flat_map(|line| line.split(',').map(str::trim))
    }

    pub fn name(self) -> &'static str {
        self.names().next().unwrap_or("")
    }

    /// What the entry or its chapter says under a key.
    pub fn key(self, key: &str) -> Option<&'static str> {
        value(self.head, key).or_else(|| value(self.chapter.head, key))
    }

    pub fn kind(self) -> &'static str {
        self.key("kind").unwrap_or("")
    }

    /// What it is: the text before the first label.
    pub fn text(self) -> &'static str {
        self.up_to_label(0)
    }

    /// One of the parts: `here`, `without`, `try`.
    pub fn part(self, name: &str) -> Option<&'static str> {
        let label = LABELS.iter().find(|label| label.starts_with(name))?;
        Some(self.up_to_label(self.place(label)? + label.len()))
    }

    /// Whether its part `without` belongs to a step. The key `steps` names those it belongs to; without that key, it is true of all.
    pub fn is_without_at(self, step: &str) -> bool {
        self.key("steps").is_none_or(|steps| steps.split(' ').any(|one| one == step))
    }

    fn up_to_label(self, begin: usize) -> &'static str {
        let places = LABELS.iter().filter_map(|label| self.place(label));
        let end = places.filter(|place| *place >= begin).min();
        self.body[begin..end.unwrap_or(self.body.len())].trim_end()
    }

    fn place(self, label: &str) -> Option<usize> {
        let begins_line = |place: &usize| *place == 0 || self.body.as_bytes()[place - 1] == b'\n';
        self.body.match_indices(label).map(|(place, _)| place).find(begins_line)
    }

    /// The first sentence of its text, which may lie on several lines; of a hint, the hint itself.
    pub fn sentence(self) -> &'static str {
        if let Some(hint) = self.key("hint") {
            return hint;
        }
        let text = self.text();
        let paragraph = text.split("\n\n").next().unwrap_or("");
        let ends = paragraph.match_indices('.').map(|(place, _)| place + 1);
        let ends = ends.filter(|end| paragraph[*end..].starts_with([' ', '\n']));
        ends.map(|end| &paragraph[..end]).next().unwrap_or(paragraph)
    }

    /// Its lines, for a test of their form.
    #[cfg(test)]
    pub fn lines(self) -> impl Iterator<Item = &'static str> {
        self.head.lines().chain(self.body.lines())
    }

    #[cfg(test)]
    pub fn keys(self) -> impl Iterator<Item = &'static str> {
        let lines = self.head.lines().skip(1).filter(|line| !line.starts_with("== "));
        lines.map(|line| line.split(':').next().unwrap_or(line))
    }

    fn is(self, name: &str) -> bool {
        self.names().any(|own| own == name)
    }

    /// A hint whose name begins with these words, or has one of them.
    pub fn is_hint_for(self, words: &str) -> bool {
        let begins = |name: &str| name.strip_prefix(words).is_some_and(|rest| rest.starts_with(' '));
        self.kind() == "hint" && self.names().any(|name| begins(name) || name.split(' ').any(|word| word == words))
    }
}

/// What a capability opens in a container.
pub fn opens(capability: &str) -> Option<String> {
    let head = format!("\n== {capability}\n");
    let entry = files().into_iter().find_map(|text| text.split_once(&head))?.1;
    let entry = entry.split("\n== ").next()?;
    let (_, here) = entry.split_once("\nhere: ")?;
    let end = LABELS.iter().filter_map(|label| here.find(&format!("\n{label}"))).min().unwrap_or(here.len());
    Some(here[..end].trim().replace('\n', " "))
}

/// The names of all hints with the hints, in the order in which one is looked for.
pub fn hints() -> impl Iterator<Item = (&'static str, &'static str)> {
    let entries = all_hints().split("\n== ").skip(1).filter_map(|entry| entry.split_once('\n'));
    let hints = entries.filter_map(|(names, rest)| Some((names, value(rest, "hint")?)));
    hints.flat_map(|(names, hint)| names.split(", ").map(move |name| (name, hint)))
}

/// The hint of this name; empty: there is none.
pub fn hint(name: &str) -> &'static str {
    hints().find(|(own, _)| *own == name).map_or("", |(_, hint)| hint)
}

/// Whether a JSON pointer is one of those that a pattern means: `*` stands for any key or number.
pub fn fits(pattern: &str, pointer: &str) -> bool {
    let (mut pattern, mut pointer) = (pattern.split('/'), pointer.split('/'));
    loop {
        match (pattern.next(), pointer.next()) {
            (None, None) => return true,
            (Some(wanted), Some(part)) if wanted == "*" || wanted == part => {}
            _ => return false,
        }
    }
}

/// The kind that a word names, for one or for several.
pub fn kind(word: &str) -> Option<&'static str> {
    let named = |(kind, _, plural): &&(&'static str, &str, &str)| word == *kind || word == *plural;
    KINDS.iter().find(named).map(|(kind, ..)| *kind)
}

/// Whether these letters stand in a text, whatever their case.
fn within(text: &str, letters: &str) -> bool {
    let letters = letters.as_bytes();
    text.as_bytes().windows(letters.len().max(1)).any(|part| part.eq_ignore_ascii_case(letters))
}

/// The words of a call in capital letters, outside of its texts.
pub fn capitals(call: &str) -> impl Iterator<Item = &str> {
    let outside = call.split('"').step_by(2);
    let words = outside.flat_map(|part| part.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    words.filter(|word| word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase() || c == '_'))
}

impl Book {
    pub fn read() -> Book {
        let mut all = Vec::new();
        let chapters = files().into_iter().flat_map(|text| text.trim_start_matches("# ").split("\n\n# "));
        for text in chapters {
            let mut parts = text.split("\n\n== ");
            let (title, head) = parts.next().and_then(|top| top.split_once('\n')).unwrap_or_default();
            for entry in parts {
                let (names, body) = entry.split_once("\n\n").unwrap_or((entry, ""));
                all.push(Entry { head: names, body: body.trim_end(), chapter: Chapter { title, head } });
            }
        }
        Book(all)
    }

    pub fn entries(&self) -> impl Iterator<Item = Entry> + '_ {
        self.0.iter().copied()
    }

    pub fn chapters(&self) -> Vec<Chapter> {
        let mut all: Vec<Chapter> = self.entries().map(|entry| entry.chapter).collect();
        all.dedup_by_key(|chapter| chapter.title);
        all
    }

    pub fn of_chapter(&self, chapter: Chapter) -> impl Iterator<Item = Entry> + '_ {
        self.entries().filter(move |entry| entry.chapter.title == chapter.title)
    }

    pub fn of_kind(&self, kind: &str) -> impl Iterator<Item = Entry> {
        self.entries().filter(move |entry| entry.kind() == kind)
    }

    /// The steps that a number of OCI's lifecycle stands for.
    pub fn steps(&self, number: &str) -> Vec<Entry> {
        let has = |entry: &Entry| entry.key("number").is_some_and(|all| all.split(' ').any(|one| one == number));
        self.of_kind("step").filter(has).collect()
    }

    fn all(&self, yes: &dyn Fn(Entry) -> bool) -> Vec<Entry> {
        self.entries().filter(|entry| yes(*entry)).collect()
    }

    /// The entries of this name, in all kinds: as it is written, else without case, else hints that begin with these words,
    /// else of a place in config.json as the pattern or the object that it is in.
    pub fn find(&self, name: &str) -> Vec<Entry> {
        let mut found = self.all(&|entry| entry.is(name));
        if found.is_empty() {
            found = self.all(&|entry| entry.names().any(|own| own.eq_ignore_ascii_case(name)));
        }
        if found.is_empty() && name.contains(' ') {
            found = self.all(&|entry| entry.is_hint_for(name));
        }
        let mut place = if name.starts_with('/') { name.trim_end_matches('/') } else { "" };
        while found.is_empty() && !place.is_empty() {
            found = self.all(&|entry| entry.names().any(|own| fits(own, place)));
            found.truncate(1);
            place = place.rfind('/').map_or("", |slash| &place[..slash]);
        }
        found
    }

    /// The first entry that has this very name.
    pub fn find_exactly(&self, name: &str) -> Option<Entry> {
        self.entries().find(|entry| entry.is(name))
    }

    /// The entry that one belongs to.
    pub fn above(&self, entry: Entry) -> Option<Entry> {
        let hint = || entry.name().split(' ').next().filter(|_| entry.kind() == "hint");
        let found = self.find(entry.key("of").or_else(hint)?);
        found.iter().find(|one| one.kind() != entry.kind()).or(found.first()).copied()
    }

    /// What an entry or one above it says.
    fn upward<T>(&self, entry: Entry, says: impl Fn(Entry) -> Option<T>) -> Option<T> {
        let entries = core::iter::successors(Some(entry), |entry| self.above(*entry));
        entries.take(DEPTH).find_map(says)
    }

    /// What the key says of an entry, or of those above it.
    pub fn inherited(&self, entry: Entry, key: &str) -> Option<&'static str> {
        self.upward(entry, |entry| entry.key(key))
    }

    /// The entries with this word in a name, and that name; if there are none, those with it in their first sentence. One
    /// and several are the same.
    pub fn related(&self, word: &str) -> Vec<(&'static str, Entry)> {
        let plain = |word: &str| word.trim_end_matches('s').to_ascii_lowercase();
        let wanted = plain(word);
        let has = |text: &str| text.split(|c: char| !c.is_ascii_alphanumeric()).any(|one| plain(one) == wanted);
        let named = |entry: Entry| Some((entry.names().find(|name| has(name))?, entry));
        let found: Vec<_> = self.entries().filter(|entry| entry.kind() != "hint").filter_map(named).collect();
        if !found.is_empty() {
            return found;
        }
        let told = self.entries().filter(|entry| has(entry.sentence()));
        told.map(|entry| (entry.name(), entry)).take(RELATED).collect()
    }

    /// The entries that have these letters, with the name to show: first the name itself, then names, then texts.
    pub fn search(&self, letters: &str) -> Vec<(&'static str, Entry)> {
        let mut ranks = [Vec::new(), Vec::new(), Vec::new()];
        for entry in self.entries() {
            match entry.names().find(|name| within(name, letters)) {
                Some(name) if name.eq_ignore_ascii_case(letters) => ranks[0].push((name, entry)),
                Some(name) => ranks[1].push((name, entry)),
                None if within(entry.body, letters) || within(entry.sentence(), letters) => {
                    ranks[2].push((entry.name(), entry));
                }
                None => {}
            }
        }
        ranks.concat()
    }
}
