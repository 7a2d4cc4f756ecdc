//! `man`: a page of the manual in troff, for `man -l -`. The texts lie beside this file. A line in them that begins with `@`
//! stands for what the tables of the program know. May touch: everything below.

use crate::cli::{Page, VARIABLES, VERBS, Verb, internal, words};
use crate::commands::context::step;
use crate::explain::Book;
use crate::outcome::Error;
use crate::plan::Step;
use crate::say::out;
use crate::spec;
use argh::{FlagInfo, FlagInfoKind, Optionality, PositionalInfo};

/// mandoc's lint complains of longer lines.
const WIDTH: usize = 79;

/// `man`.
#[inline(never)]
pub fn man(page: Page) -> Result<i32, Error> {
    step(Step::Look);
    let text = match page {
        Page::Program => include_str!("nk-runtime.1"),
        Page::Config => include_str!("nk-runtime-config.5"),
        Page::Trace => include_str!("nk-runtime-trace.5"),
    };
    let mut page = String::new();
    for line in text.lines() {
        match line {
            "@commands" => VERBS.iter().filter(|verb| !internal(verb)).for_each(|verb| command(verb, &mut page)),
            "@options" => options(&mut page),
            "@environment" => environment(&mut page),
            "@examples" => examples(&mut page),
            "@view" => VERBS.iter().filter(|verb| verb.name == "trace").for_each(|verb| flags(verb, &mut page)),
            "@properties" => properties(&mut page),
            "@mount-options" => mount_options(&mut page),
            line => {
                page.push_str(&line.replace("@version", env!("CARGO_PKG_VERSION")));
                page.push('\n');
            }
        }
    }
    out::stdout(&page).map(|()| 0)
}

/// A text as troff takes it.
fn plain(text: &str) -> String {
    let text = text.replace('\\', "\\e").replace('-', "\\-").replace('\n', " ");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// A text in lines that suit troff.
fn lines(text: &str) -> String {
    let (mut all, mut column) = (String::new(), 0);
    for word in text.split_whitespace().map(plain) {
        match column {
            0 => {}
            _ if column + word.len() < WIDTH => all.push(' '),
            _ => {
                all.push('\n');
                column = 0;
            }
        }
        column += word.len() + 1;
        all.push_str(&word);
    }
    all + "\n"
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", plain(text))
}

fn italic(text: &str) -> String {
    format!("\\fI{}\\fR", plain(text))
}

/// A term and what it means.
fn term(term: &str, about: &str, page: &mut String) {
    page.push_str(&format!(".TP\n{term}\n{}", lines(about)));
}

fn command(verb: &Verb, page: &mut String) {
    let info = (verb.info)();
    let operand = |one: &PositionalInfo| match one.optionality {
        Optionality::Required => format!(" {}", italic(one.name)),
        Optionality::Optional => format!(" [{}]", italic(one.name)),
        _ => format!(" [{} ...]", italic(one.name)),
    };
    let operands: String = info.positionals.iter().map(operand).collect();
    let options = if own(verb).next().is_none() { "" } else { " [options]" };
    page.push_str(&format!(".SS {}{options}{operands}\n{}", bold(verb.name), lines(info.description)));
    info.positionals.iter().for_each(|one| term(&italic(one.name), one.description, page));
    flags(verb, page);
}

fn flags(verb: &Verb, page: &mut String) {
    own(verb).for_each(|flag| term(&option(flag), flag.description, page));
}

/// The options of one command alone.
fn own(verb: &Verb) -> impl Iterator<Item = &'static FlagInfo<'static>> {
    (verb.info)().flags.iter().filter(|flag| flag.long != "--help")
}

/// An option with its letter and the name of its value.
fn option(flag: &FlagInfo) -> String {
    let short = flag.short.map_or(String::new(), |short| format!("{}, ", bold(&format!("-{short}"))));
    match flag.kind {
        FlagInfoKind::Switch => format!("{short}{}", bold(flag.long)),
        FlagInfoKind::Option { arg_name } => format!("{short}{} {}", bold(flag.long), italic(arg_name)),
    }
}

/// The options of all commands, as the screen of the help has them.
fn options(page: &mut String) {
    for (names, about) in words::rows(words::OPTIONS) {
        let word = |word: &str| if word.starts_with('-') { bold(word) } else { italic(word) };
        let names: Vec<String> = names.split(' ').map(word).collect();
        term(&names.join(" "), about, page);
    }
}

fn environment(page: &mut String) {
    for (name, option) in VARIABLES {
        page.push_str(&format!(".TP\n{}\nthe option {}\n", bold(name), bold(option)));
    }
}

fn examples(page: &mut String) {
    page.push_str(".EX\n");
    words::rows(words::EXAMPLES).for_each(|(line, _)| page.push_str(&format!("{}\n", plain(line))));
    page.push_str(".EE\n");
}

/// Each property with what it is, or why it is refused. Neighbours with one entry stand together.
fn properties(page: &mut String) {
    let book = Book::read();
    let mut last = "";
    for (pointer, refused) in spec::properties() {
        let told = book.find(&pointer).first().map_or("", |entry| entry.sentence());
        let tag = if !told.is_empty() && told == last { ".TQ" } else { ".TP" };
        if tag == ".TQ" {
            // The text goes below the last of them.
            page.truncate(page.len() - lines(told).len());
        }
        page.push_str(&format!("{tag}\n{}\n", bold(&pointer)));
        match refused {
            "" => page.push_str(&lines(told)),
            why => page.push_str(&lines(&format!("Refused: {why}."))),
        }
        last = if refused.is_empty() { told } else { "" };
    }
}

fn mount_options(page: &mut String) {
    for entry in Book::read().of_kind("option") {
        let names: Vec<String> = entry.names().map(bold).collect();
        term(&names.join(", "), entry.sentence(), page);
    }
}
