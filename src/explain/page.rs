//! Pages for a terminal, and the book in Markdown. May touch: text.

use super::{Book, Chapter, Entry, KINDS};

/// The parts of an entry, and what stands before them on a page.
const PARTS: [(&str, &str); 3] = [("here", "Here:"), ("without", "Without it:"), ("try", "Try:")];

/// So many names stand in a heading of the book.
const FEW: usize = 6;

/// Of a kind with more entries the table of contents says how to list them.
const MOST: usize = 120;

/// A page being written. Its lines have at most `width` columns.
pub struct Page<'a> {
    pub book: &'a Book,
    pub text: String,
    width: usize,
    /// Where the next word goes, and where the next lines of the paragraph begin.
    column: usize,
    indent: usize,
}

impl<'a> Page<'a> {
    pub fn new(book: &'a Book, width: usize) -> Page<'a> {
        Page { book, text: String::new(), width, column: 0, indent: 0 }
    }

    /// Begins a paragraph: how many spaces its first line begins with, and its other lines.
    fn begin(&mut self, first: usize, indent: usize) {
        self.text.extend(core::iter::repeat_n(' ', first));
        (self.column, self.indent) = (first, indent);
    }

    /// One more word, or several that stay together if a line has room for them.
    fn put(&mut self, token: &str) {
        let words = || token.split_whitespace();
        let len = words().map(|word| word.chars().count() + 1).sum::<usize>().saturating_sub(1);
        if self.indent + len > self.width && words().count() > 1 {
            return words().for_each(|word| self.put(word));
        }
        self.separate(len);
        for (i, word) in words().enumerate() {
            self.text.push_str(if i > 0 { " " } else { "" });
            self.text.push_str(word);
        }
        self.column += len;
    }

    /// A space before a word of this length, or a new line where it does not fit. Nothing where a line begins.
    fn separate(&mut self, len: usize) {
        if self.text.is_empty() || self.text.ends_with([' ', '\n']) {
            return;
        }
        if self.column + 1 + len > self.width {
            self.line();
        } else {
            self.text.push(' ');
            self.column += 1;
        }
    }

    fn line(&mut self) {
        self.text.push('\n');
        self.begin(self.indent, self.indent);
    }

    /// A text in lines of the page's width. What stands in backticks stays on one line where it fits.
    pub fn paragraph(&mut self, text: &str, indent: usize) {
        self.begin(0, indent);
        tokens(text).for_each(|token| self.put(token));
        self.text.push('\n');
    }

    /// Paragraphs, with a label before the first. A picture stays as it is.
    fn paragraphs(&mut self, label: &str, text: &str) {
        for (i, paragraph) in text.split("\n\n").enumerate() {
            let gap = if i > 0 { "\n" } else { "" };
            self.text.push_str(gap);
            match paragraph.starts_with("    ") {
                true => self.text.push_str(&format!("{paragraph}\n")),
                false => self.paragraph(&format!("{}{paragraph}", if i == 0 { label } else { "" }), 0),
            }
        }
    }

    /// Names with commas between them.
    fn names(&mut self, names: Vec<&'static str>, first: usize) {
        self.begin(first, 2);
        let mut left = names.len();
        for name in names {
            left -= 1;
            self.put(&format!("{name}{}", if left > 0 { "," } else { "" }));
        }
    }

    /// An empty line, unless the page begins here.
    pub fn gap(&mut self) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
    }

    /// All that is said of an entry.
    pub fn entry(&mut self, entry: Entry) {
        self.gap();
        self.names(entry.names().collect(), 0);
        self.put(&format!("({})", standing(entry)));
        self.text.push_str("\n\n");
        if let Some(hint) = entry.key("hint") {
            self.paragraph(&format!("Try: {hint}."), 0);
            self.text.push('\n');
        }
        self.paragraphs("", entry.text());
        PARTS.iter().for_each(|(part, _)| self.part(entry, part));
        self.references(entry);
    }

    /// One part of an entry, if it has it. What to try may be told of what the entry belongs to.
    pub fn part(&mut self, entry: Entry, part: &str) {
        let text = match part {
            "try" if entry.kind() == "hint" => None,
            "try" => self.book.upward(entry, |entry| entry.part("try")),
            part => entry.part(part),
        };
        let label = PARTS.iter().find(|(known, _)| *known == part);
        if let (Some(text), Some((_, label))) = (text, label) {
            self.gap();
            self.paragraphs(&format!("{label} "), text);
        }
    }

    /// Where to read more.
    pub fn references(&mut self, entry: Entry) {
        let inherited = |key| self.book.inherited(entry, key);
        let lines = [("Man page", inherited("man")), ("OCI", inherited("oci")), ("See also", entry.key("see"))];
        if lines.iter().any(|(_, text)| text.is_some()) {
            self.text.push('\n');
        }
        for (label, text) in lines {
            if let Some(text) = text {
                self.paragraph(&format!("{label}: {text}"), 2);
            }
        }
        let hints = self.book.entries().filter(|hint| hint.kind() != entry.kind() && hint.is_hint_for(entry.name()));
        let hints: Vec<&str> = hints.map(Entry::name).collect();
        if !hints.is_empty() {
            self.paragraph(&format!("Hints: {}", hints.join(", ")), 2);
        }
    }

    /// A name and the first sentence of its entry.
    pub fn brief(&mut self, name: &str, entry: Entry) {
        self.paragraph(&format!("{name} ({}): {}", kind_in_words(entry.kind()), entry.sentence()), 4);
    }

    /// A call, apart from the text around it. A long set of flags goes on in the next line, and so does a long word.
    pub fn quote(&mut self, call: &str) {
        self.gap();
        self.begin(4, 8);
        self.pieces(call);
        self.text.push_str("\n\n");
    }

    fn pieces(&mut self, call: &str) {
        for word in call.split(' ') {
            for (i, part) in word.split_inclusive('|').enumerate() {
                if i == 0 {
                    self.separate(part.len());
                } else if self.column + part.len() > self.width {
                    self.line();
                }
                for letter in part.chars() {
                    if self.column == self.width {
                        self.line();
                    }
                    self.text.push(letter);
                    self.column += 1;
                }
            }
        }
    }

    /// A name and a value in one line, which ends in `...` where the value is longer.
    pub fn argument(&mut self, name: &str, value: &str) {
        let start = format!("    {name:<14} ");
        let room = self.width.saturating_sub(start.len());
        let shown: String = match value.chars().count() > room {
            true => value.chars().take(room.saturating_sub(4)).chain(" ...".chars()).collect(),
            false => value.into(),
        };
        self.text.push_str(&format!("{start}{shown}\n"));
    }

    /// A line of a document.
    pub fn as_it_is(&mut self, line: &str) {
        self.text.push_str(&format!("    {line}\n"));
    }

    /// A chapter's title, and all of its names, or the first of each entry.
    pub fn chapter(&mut self, chapter: Chapter, all: bool) {
        self.gap();
        self.text.push_str(&format!("{}\n", chapter.title));
        let entries = self.book.of_chapter(chapter);
        match all {
            true => self.names(entries.flat_map(Entry::names).collect(), 2),
            false => self.names(entries.map(Entry::name).collect(), 2),
        }
        self.text.push('\n');
    }

    /// What there is, by chapter.
    pub fn contents(&mut self) {
        self.paragraph("`nk-runtime explain NAME` explains one of these; `--search WORD` looks in all texts.", 0);
        for chapter in self.book.chapters() {
            if self.book.of_kind(chapter.kind()).count() <= MOST {
                self.chapter(chapter, false);
                continue;
            }
            let (title, count) = (chapter.title, self.book.of_chapter(chapter).flat_map(Entry::names).count());
            let command = format!("nk-runtime explain {}", title.to_ascii_lowercase());
            self.text.push_str(&format!("\n{title}\n  {count} names: `{command}`\n"));
        }
    }
}

/// Words of a text; what stands in backticks is one.
fn tokens(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    core::iter::from_fn(move || {
        rest = rest.trim_start();
        let mut code = false;
        let end = rest.find(|c: char| {
            code ^= c == '`';
            !code && c.is_ascii_whitespace()
        });
        let (token, more) = rest.split_at(end.unwrap_or(rest.len()));
        rest = more;
        (!token.is_empty()).then_some(token)
    })
}

fn kind_in_words(kind: &str) -> &'static str {
    KINDS.iter().find(|(known, ..)| *known == kind).map_or("", |(_, words, _)| words)
}

/// What an entry is, and of what.
fn standing(entry: Entry) -> String {
    let kind = kind_in_words(entry.kind());
    match (entry.kind(), entry.key("of"), entry.key("number")) {
        ("flag" | "word", Some(of), _) => format!("{kind}, of {of}"),
        ("step", _, Some(number)) => format!("step {} of OCI's lifecycle", number.replace(' ', ", ")),
        _ => kind.into(),
    }
}

/// All of it but the hints, in Markdown: a reader meets those when something fails. Sources are named where they are others
/// than those of the entry before.
pub fn markdown(book: &Book) -> String {
    let mut text = String::new();
    for chapter in book.chapters().into_iter().filter(|chapter| chapter.kind() != "hint") {
        text.push_str(&format!("# {}\n\n", chapter.title));
        let mut before = [None; 2];
        for entry in book.of_chapter(chapter) {
            section(entry, &mut text);
            // A man page of the same name is found without being told.
            let man = entry.key("man").filter(|man| !man.starts_with(&format!("{}(", entry.name())));
            let sources = [man, entry.key("oci")];
            if sources != before {
                sources.iter().flatten().for_each(|source| text.push_str(&format!("*{source}*\n\n")));
            }
            before = sources;
        }
    }
    text
}

fn section(entry: Entry, text: &mut String) {
    let names: Vec<String> = entry.names().map(|name| name.replace('*', "\\*")).collect();
    let heading = match names.len() {
        few if few <= FEW => names.join(", "),
        many => format!("{} and {} more", names[..FEW / 2].join(", "), many - FEW / 2),
    };
    text.push_str(&format!("## {heading}\n\n{}\n\n", entry.text()));
    for (part, label) in PARTS {
        if let Some(part) = entry.part(part) {
            text.push_str(&format!("**{label}** {part}\n\n"));
        }
    }
}
