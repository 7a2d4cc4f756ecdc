//! `completion`: a script for a shell. `complete`: what the script asks for, a line each: a word, a tab, what it means. The
//! line `:files` or `:folders` stands for those names, which the shell knows better. May touch: everything below.

use crate::cli::{self, Answer, Shell, Wanted};
use crate::commands::context::{Context, step};
use crate::explain::{Book, Entry};
use crate::learn;
use crate::outcome::{Doing, Error};
use crate::plan::Step;
use crate::say::out;
use crate::sorted;
use crate::state::{self, traces};
use syscalls::{OpenFlags, Why};

/// `completion`.
#[inline(never)]
pub fn script(shell: Shell) -> Result<i32, Error> {
    let text = match shell {
        Shell::Bash => include_str!("completion.bash"),
        Shell::Zsh => include_str!("completion.zsh"),
        Shell::Fish => include_str!("completion.fish"),
    };
    out::stdout(text).map(|()| 0)
}

/// `complete`.
#[inline(never)]
pub fn complete(context: &Context, words: &[String]) -> Result<i32, Error> {
    step(Step::Look);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Answer { before, begun, wanted } = cli::complete(&words);
    let mut text = String::new();
    let mut line = |word: &str, about: &str| {
        if word.starts_with(begun) {
            // The first sentence is enough.
            let about = about.split(". ").next().unwrap_or("");
            let tab = if about.is_empty() { "" } else { "\t" };
            text.push_str(&format!("{before}{word}{tab}{about}\n"));
        }
    };
    match wanted {
        Wanted::Words(words) => words.into_iter().for_each(|(word, about)| line(word, about)),
        Wanted::Container => ids(context, false)?.iter().for_each(|id| line(id, "")),
        Wanted::Trace => ids(context, true)?.iter().for_each(|id| line(id, "")),
        Wanted::Explained(words) => names(&words).into_iter().for_each(|name| line(name, "")),
        Wanted::Signal => {
            let names = (1..32).map(|number| syscalls::flags::signal_name(number).to_string());
            names.for_each(|name| line(name.trim_start_matches("SIG"), ""));
        }
        Wanted::Lesson => learn::LESSONS.iter().for_each(|lesson| line(lesson.name, lesson.title())),
        Wanted::File => text.push_str(":files\n"),
        Wanted::Folder => text.push_str(":folders\n"),
        Wanted::Free => {}
    }
    out::stdout(&text).map(|()| 0)
}

/// The ids of containers, or of all that have a trace.
fn ids(context: &Context, gone: bool) -> Result<Vec<String>, Error> {
    let why = Why("the shell offers the ids that are there");
    let Some(root) = context.open_root()? else { return Ok(Vec::new()) };
    let flags = OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW;
    let here = syscalls::openat(root.at(), c".", flags, why).doing("open the state root")?;
    let mut ids = state::ids(here.at(), why).doing("list the state root")?;
    if gone {
        ids.extend(traces::kept(here.at(), why).doing("list the kept traces")?);
    }
    sorted::sort(&mut ids);
    ids.dedup();
    Ok(ids)
}

/// The next word of each name that `explain` knows.
fn names(before: &[&str]) -> Vec<&'static str> {
    let begin: String = before.iter().map(|word| format!("{word} ")).collect();
    let book = Book::read();
    let names = book.entries().flat_map(Entry::names).filter_map(|name| name.strip_prefix(begin.as_str()));
    let mut next: Vec<&str> = names.filter_map(|name| name.split(' ').next()).collect();
    sorted::sort(&mut next);
    next.dedup();
    next
}
