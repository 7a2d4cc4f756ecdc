//! The words of `kill` and `delete`, which take several containers, or patterns of their ids. As in `words`, a `///` on a
//! field is text for people at a terminal. May touch: the value types.

use super::regex::Pattern;
use super::values::{refuse, signal};
use argh::{ArgsInfo, EarlyExit, FromArgs};

/// Which containers are meant.
#[derive(Debug, PartialEq)]
pub enum Which {
    Ids(Vec<String>),
    /// Each container with an id that fits one of these.
    Matching(Vec<Pattern>),
}

#[derive(Debug, PartialEq)]
pub struct Kill {
    pub which: Which,
    pub signal: i32,
    pub all: bool,
}

/// Send a signal to the first process of a container, or of several.
#[derive(FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct KillWords {
    /// the container
    #[argh(positional)]
    id: String,
    /// more containers, and last of all the signal, number or name: 15, TERM, SIGTERM, RTMIN+3 (default: TERM)
    #[argh(positional, arg_name = "signal")]
    more: Vec<String>,
    /// send it to every process in the container
    #[argh(switch, short = 'a')]
    all: bool,
    /// ID is a POSIX extended regular expression: it means each container with an id that fits
    #[argh(switch, short = 'r')]
    regex: bool,
}

impl KillWords {
    /// Of several words the last is the signal: a misspelt signal must not be taken for a container.
    pub fn checked(mut self) -> Result<Kill, EarlyExit> {
        let signal = match self.more.pop() {
            Some(word) => signal(&word)?,
            None => libc::SIGTERM,
        };
        self.more.insert(0, self.id);
        Ok(Kill { which: which(self.more, self.regex)?, signal, all: self.all })
    }
}

#[derive(Debug, PartialEq)]
pub struct Delete {
    pub which: Which,
    pub force: bool,
}

/// Take down what create built, and forget the container, or several.
#[derive(FromArgs, ArgsInfo)]
#[argh(help_triggers("-h", "--help"))]
pub struct DeleteWords {
    /// the container
    #[argh(positional)]
    id: String,
    /// more containers
    #[argh(positional, arg_name = "id")]
    more: Vec<String>,
    /// kill it first if it runs; an unknown ID is no error
    #[argh(switch, short = 'f')]
    force: bool,
    /// ID is a POSIX extended regular expression: it means each container with an id that fits
    #[argh(switch, short = 'r')]
    regex: bool,
}

impl DeleteWords {
    pub fn checked(mut self) -> Result<Delete, EarlyExit> {
        self.more.insert(0, self.id);
        Ok(Delete { which: which(self.more, self.regex)?, force: self.force })
    }
}

fn which(words: Vec<String>, regex: bool) -> Result<Which, EarlyExit> {
    if !regex {
        return Ok(Which::Ids(words));
    }
    let patterns: Result<Vec<Pattern>, String> = words.iter().map(|word| Pattern::parse(word)).collect();
    patterns.map_or_else(|problem| refuse(&problem), |patterns| Ok(Which::Matching(patterns)))
}
