//! Callers spell an option in several ways; here each becomes the one way that argh reads.
//!
//! ```text
//!   -db DIR  --root=/x  -no-pivot  ID  -q    ->  globals: --root /x --quiet
//!                                                own:     --detach --bundle DIR --no-pivot
//!                                                operands: ID
//! ```
//!
//! A word is looked up among the command's own options first, then among the global ones: the `-q` of `list -q` is list's,
//! and `run --root /x ID` works too. The tables are argh's, so no option is written down twice.
//!
//! May touch: strings, and the tables of `verbs` and `words`.

use super::values::quoted;
use super::verbs::{COMMANDS_NOT_YET, FOREIGN, HIDDEN, OF_VERSION_1, PROGRAM, Stop, VERBS, Verb};
use super::words::GlobalWords;
use argh::{ArgsInfo, FlagInfo, FlagInfoKind};

#[derive(Default)]
pub struct Words<'a> {
    pub globals: Options<'a>,
    pub verb: Option<&'static Verb>,
    pub own: Options<'a>,
    pub operands: Vec<&'a str>,
    /// All words that follow are for another program, even those that begin with a dash.
    pub foreign_next: bool,
    pub help: bool,
}

/// Options by their long names. Only those that take several values may be here more than once.
#[derive(Default)]
pub struct Options<'a>(Vec<(&'a str, Option<&'a str>)>);

impl<'a> Options<'a> {
    /// The last word wins, as in runc: wrapper scripts put theirs in front of the caller's.
    pub fn set(&mut self, long: &'a str, value: Option<&'a str>) {
        self.0.retain(|(earlier, _)| *earlier != long);
        self.0.push((long, value));
    }

    pub fn value(&self, long: &str) -> Option<&'a str> {
        self.0.iter().rev().find(|(own, _)| *own == long)?.1
    }

    /// Another value, if the option is given.
    pub fn replace(&mut self, long: &str, value: &'a str) {
        self.0.iter_mut().filter(|(own, _)| *own == long).for_each(|(_, old)| *old = Some(value));
    }

    /// One more value of an option for several.
    fn add(&mut self, long: &'a str, value: Option<&'a str>) {
        self.0.push((long, value));
    }

    /// For this program elsewhere, where they are sorted once more: an option may have no value there unless `=` joins them.
    pub fn joined_words(&self, operands: &[&'a str]) -> Vec<String> {
        let joined = |(long, value): &(&str, Option<&str>)| match value {
            Some(value) => format!("{long}={value}"),
            None => (*long).into(),
        };
        let own = self.0.iter().map(joined);
        own.chain(["--".into()]).chain(operands.iter().map(|word| (*word).into())).collect()
    }

    /// For argh. Operands come after `--`, where none can be taken for an option.
    pub fn argh_words(&self, operands: &[&'a str]) -> Vec<&'a str> {
        let mut words = Vec::new();
        for (long, value) in &self.0 {
            words.push(*long);
            words.extend(*value);
        }
        words.push("--");
        words.extend(operands);
        words
    }
}

/// Sorts `args` into options of all commands, options of the one command, and operands.
pub fn normalise<'a>(args: &[&'a str], globals: Options<'a>) -> Result<Words<'a>, Stop> {
    let mut words = Words { globals, ..Words::default() };
    sort(&mut words, args)?;
    Ok(words)
}

/// The same for a line that is still being written: what is wrong with it is not looked at.
pub fn so_far<'a>(args: &[&'a str]) -> Words<'a> {
    let mut words = Words::default();
    let _ = sort(&mut words, args);
    words
}

/// The command that the words name, even if something else about them is wrong.
pub fn verb_of(args: &[&str]) -> Option<&'static str> {
    let words = so_far(args);
    let named = |arg: &&str| VERBS.iter().find(|verb| verb.name == *arg);
    let verb = words.verb.or_else(|| args.iter().find_map(named));
    verb.map(|verb| verb.name)
}

fn sort<'a>(words: &mut Words<'a>, args: &[&'a str]) -> Result<(), Stop> {
    let mut rest = args.iter().copied();
    let mut options_ended = false;
    while let Some(arg) = rest.next() {
        if arg == "--" && words.foreign_next && words.operands.len() == 1 && !options_ended {
            options_ended = true;
        } else if options_ended || words.foreign_next || arg == "-" || !arg.starts_with('-') {
            words.operand(arg)?;
        } else if arg == "--" {
            options_ended = true;
        } else {
            words.option(arg, &mut rest)?;
        }
        if words.help && words.verb.is_some() {
            break;
        }
    }
    Ok(())
}

impl<'a> Words<'a> {
    fn operand(&mut self, arg: &'a str) -> Result<(), Stop> {
        if let Some(verb) = self.verb {
            self.foreign_next = FOREIGN.contains(&verb.name);
            self.operands.push(arg);
            return Ok(());
        }
        match arg {
            "help" => self.help = true,
            "version" => self.globals.set("--version", None),
            _ => self.verb = Some(verb(arg)?),
        }
        Ok(())
    }

    /// Takes a word that begins with a dash, and the next word if the option needs a value.
    fn option(&mut self, arg: &'a str, rest: &mut dyn Iterator<Item = &'a str>) -> Result<(), Stop> {
        let (name, value) = match arg.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (arg, None),
        };
        if name.starts_with("--") {
            let found = self.find(name)?.ok_or_else(|| self.unknown(name))?;
            return self.take(found, value, rest);
        }
        // Go's flag package takes one dash for two, and go-runc relies on that.
        if name.len() > 2
            && let Some(found) = self.find(&format!("-{name}"))?
        {
            return self.take(found, value, rest);
        }
        let mut letters = arg[1..].chars();
        while let Some(letter) = letters.next() {
            let found = self.find_letter(letter);
            let found = found.ok_or_else(|| self.unknown(&format!("-{letter}")))?;
            let after = letters.as_str();
            let attached = after.strip_prefix('=').unwrap_or(after);
            if after != attached || (found.takes_value && !after.is_empty()) {
                return self.take(found, Some(attached), rest);
            }
            self.take(found, None, rest)?;
        }
        Ok(())
    }

    fn take(
        &mut self,
        found: Found,
        value: Option<&'a str>,
        rest: &mut dyn Iterator<Item = &'a str>,
    ) -> Result<(), Stop> {
        let long = found.long;
        let value = match value {
            Some(value) if !found.takes_value => {
                let value = quoted(value);
                return Err(self.usage(&format!("{long} takes no value; leave out {value}")));
            }
            None if self.alone(long).is_some() => self.alone(long),
            None if found.takes_value => match rest.next() {
                None => return Err(self.usage(&format!("{long} needs a value"))),
                next => next,
            },
            given => given,
        };
        if long == HELP.long {
            self.help = true;
        } else if found.global {
            self.globals.set(long, value);
        } else if found.repeats {
            self.own.add(long, value);
        } else {
            self.own.set(long, value);
        }
        Ok(())
    }

    /// What an option means without its value.
    fn alone(&self, long: &str) -> Option<&'static str> {
        match long {
            "--trace" => Some("text"),
            "--watch" => Some("refused"),
            // `trace --step` asks for a step of the lifecycle.
            "--step" if self.verb.is_some_and(|verb| verb.name == "run") => Some("lines"),
            _ => None,
        }
    }

    /// The option of that name, if there is one. Those of `OF_VERSION_1` are refused here.
    fn find(&self, long: &str) -> Result<Option<Found>, Stop> {
        if self.verb.is_some_and(|verb| verb.name == "update") && OF_VERSION_1.contains(&long) {
            return Err(self.usage(&format!("{long} is not supported; it is of cgroup version 1")));
        }
        Ok(self.first(|flag, _| flag == long))
    }

    fn find_letter(&self, letter: char) -> Option<Found> {
        let letter = match letter {
            '?' => 'h',
            'V' => 'v',
            other => other,
        };
        self.first(|_, short| short == Some(letter))
    }

    /// The first option of this name or letter, the command's own before the global ones.
    fn first(&self, fits: impl Fn(&str, Option<char>) -> bool) -> Option<Found> {
        let fitting = |flag: &&FlagInfo<'static>| flag.long != HELP.long && fits(flag.long, flag.short);
        let own = self.verb.map_or(&[][..], |verb| (verb.info)().flags).iter().find(fitting);
        let found = own.map(|flag| Found::new(flag, false));
        let global = || GlobalWords::get_args_info().flags.iter().find(fitting).map(|flag| Found::new(flag, true));
        found.or_else(global).or_else(|| fits(HELP.long, HELP.short).then_some(HELP))
    }

    /// The option that ends `arg` without the value that it needs.
    pub fn pending(&self, arg: &str) -> Option<Found> {
        let needs = |found: &Found| found.takes_value && self.alone(found.long).is_none();
        if !arg.starts_with('-') || arg.contains('=') || self.foreign_next {
            return None;
        }
        let long = if arg.starts_with("--") { String::from(arg) } else { format!("-{arg}") };
        if let Some(found) = self.first(|flag, _| flag == long) {
            return Some(found).filter(needs);
        }
        let mut letters = arg.trim_start_matches('-').chars();
        let found = letters.find_map(|letter| self.find_letter(letter).filter(needs))?;
        letters.as_str().is_empty().then_some(found)
    }

    /// Every option that may be written here, the command's own first.
    pub fn options(&self) -> Vec<Found> {
        let own = self.verb.map_or(&[][..], |verb| (verb.info)().flags);
        let own = own.iter().map(|flag| Found::new(flag, false));
        let globals = GlobalWords::get_args_info().flags.iter();
        let globals = globals.map(|flag| Found::new(flag, true));
        own.chain(globals).filter(|found| found.long != HELP.long).chain([HELP]).collect()
    }

    fn unknown(&self, option: &str) -> Stop {
        let options = self.options();
        let near = nearest(option, &mut options.iter().map(|found| found.long));
        let has = |verb: &&Verb| (verb.info)().flags.iter().any(|flag| flag.long == option);
        let others: Vec<&str> = VERBS.iter().filter(has).map(|verb| verb.name).collect();
        let advice = match (near, self.verb, &others[..]) {
            (Some(near), ..) => format!("; did you mean `{near}`?"),
            (None, Some(_), [first, ..]) => {
                format!(": it is one of {}; `{PROGRAM} {first} --help` lists it", others.join(", "))
            }
            (None, Some(verb), []) => format!("; `{PROGRAM} {} --help` lists them", verb.name),
            (None, None, _) => format!("; `{PROGRAM} --help` lists them"),
        };
        self.usage(&format!("no option {}{advice}", quoted(option)))
    }

    fn usage(&self, problem: &str) -> Stop {
        match self.verb {
            Some(verb) => verb.usage(problem),
            None => Stop::Usage(String::from(problem)),
        }
    }
}

/// An option that can be looked up.
pub struct Found {
    pub long: &'static str,
    pub short: Option<char>,
    takes_value: bool,
    repeats: bool,
    pub global: bool,
    /// What its value is called; empty: it takes none.
    pub value: &'static str,
    pub about: &'static str,
}

/// Switches that mean more when they are there twice.
const COUNTED: &[&str] = &["--time"];

/// argh adds this option by itself, and lists it among those of a command without its letter.
const HELP: Found = Found {
    long: "--help",
    short: Some('h'),
    takes_value: false,
    repeats: false,
    global: true,
    value: "",
    about: "the options of a command",
};

impl Found {
    fn new(flag: &FlagInfo<'static>, global: bool) -> Found {
        let value = match flag.kind {
            FlagInfoKind::Switch => "",
            FlagInfoKind::Option { arg_name } => arg_name,
        };
        Found {
            long: flag.long,
            short: flag.short,
            takes_value: !value.is_empty(),
            repeats: matches!(flag.optionality, argh::Optionality::Repeating) || COUNTED.contains(&flag.long),
            global,
            value,
            about: flag.description,
        }
    }
}

fn verb(name: &str) -> Result<&'static Verb, Stop> {
    if let Some(verb) = VERBS.iter().find(|verb| verb.name == name) {
        return Ok(verb);
    }
    if COMMANDS_NOT_YET.contains(&name) {
        return Err(Stop::Usage(format!("the command `{name}` is not supported yet")));
    }
    let mut names = VERBS.iter().map(|verb| verb.name).filter(|name| !HIDDEN.contains(name));
    let advice = match nearest(name, &mut names) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("`{PROGRAM} --help` lists them"),
    };
    Err(Stop::Usage(format!("no command {}; {advice}", quoted(name))))
}

/// The name that is nearest to `word`, at most two mistyped letters away.
pub fn nearest<'n>(word: &str, names: &mut dyn Iterator<Item = &'n str>) -> Option<&'n str> {
    let letters = word.chars().filter(|c| *c != '-').count();
    let near = names.map(|name| (distance(word, name), name));
    near.filter(|(steps, _)| *steps <= 2 && *steps < letters).min_by_key(|(steps, _)| *steps).map(|(_, name)| name)
}

/// How many letters must be added, dropped or replaced to make one word of the other (Levenshtein).
pub fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let replaced = row[j] + usize::from(a != *b);
            next.push(replaced.min(row[j + 1] + 1).min(next[j] + 1));
        }
        row = next;
    }
    row[to.len()]
}
