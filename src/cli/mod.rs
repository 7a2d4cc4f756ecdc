//! The command line: words in, typed commands out.
//!
//! ```text
//!   args, environment -> normalise -> argh -> (Globals, Command)
//!                            \          \---> Stop::Help (stdout, exit 0)
//!                             \-------------> Stop::Usage (one line, stderr, exit 1)
//! ```
//!
//! Engines have habits of their own: podman writes `--log-format=json`, the shim `--log-format json`, go-runc
//! `-no-subreaper`, people `run -db DIR` and options after the ID. `normalise` spells all of them one way, argh makes values
//! of that, and this file joins the two. `words` says what each word means, and explains it.
//!
//! May touch: strings. No file, no environment but the one handed in, no system call. `state` checks whether an ID is well
//! formed, because it makes a path of it.

mod exec;
mod normalise;
mod regex;
mod run;
mod several;
mod values;
mod words;

use argh::{ArgsInfo, CommandInfoWithArgs, EarlyExit, FromArgs};

pub use values::{Accel, CgroupManager, Format, Level, ListFormat, LogFormat, LogTo, MountsAction, accel};
pub use words::{
    Create, Demo, Events, Features, List, Mounts, Pause, PlanCmd, Ps, Resume, SpecCmd, Start, State, TraceCmd, Update,
};

pub use exec::Exec;
pub use run::{Run, Vm};
pub use several::{Delete, Kill, Which};

use normalise::Options;
pub use normalise::verb_of;
use run::RunWords;
use several::{DeleteWords, KillWords};
use words::{GlobalWords, InsideWords};

pub const PROGRAM: &str = "nk-runtime";

/// What holds for every command.
#[derive(Debug, PartialEq)]
pub struct Globals {
    pub root: Option<String>,
    pub log: Option<LogTo>,
    pub log_format: LogFormat,
    pub log_level: Level,
    pub quiet: bool,
    pub cgroup_manager: CgroupManager,
    pub rootless: Option<bool>,
    pub trace: Option<Format>,
    pub trace_file: Option<String>,
    /// Bytes that all traces of the state root together may take; 0: none is kept.
    pub trace_limit: u64,
}

#[derive(Debug, PartialEq)]
pub enum Command {
    Create(Create),
    Run(Run),
    Start(Start),
    Exec(Exec),
    State(State),
    Pause(Pause),
    Resume(Resume),
    Update(Update),
    Mounts(Mounts),
    Ps(Ps),
    Events(Events),
    Kill(Kill),
    Delete(Delete),
    List(List),
    Spec(SpecCmd),
    Plan(PlanCmd),
    Trace(TraceCmd),
    Features(Features),
    Demo(Demo),
    /// What `demo` runs as pid 1 of its container; no help text names it.
    Inside,
    Version,
}

impl Command {
    /// The container that the command is about, if it is about one.
    pub fn id(&self) -> Option<&str> {
        Some(match self {
            Command::Create(one) => &one.id,
            Command::Run(one) => &one.create.id,
            Command::Start(one) => &one.id,
            Command::Exec(one) => &one.id,
            Command::State(one) => &one.id,
            Command::Pause(one) => &one.id,
            Command::Resume(one) => &one.id,
            Command::Update(one) => &one.id,
            Command::Mounts(one) => &one.id,
            Command::Ps(one) => &one.id,
            Command::Events(one) => &one.id,
            Command::Plan(one) => &one.id,
            Command::Kill(Kill { which, .. }) | Command::Delete(Delete { which, .. }) => match which {
                Which::Ids(ids) => ids.first().filter(|_| ids.len() == 1)?,
                Which::Matching(_) => return None,
            },
            Command::Trace(one) => one.id.as_ref()?,
            Command::List(_)
            | Command::Spec(_)
            | Command::Features(_)
            | Command::Demo(_)
            | Command::Inside
            | Command::Version => return None,
        })
    }
}

/// The two ways in which a command line ends before any work begins.
#[derive(Debug, PartialEq)]
pub enum Stop {
    /// For stdout, with exit status 0.
    Help(String),
    /// One line for stderr, with exit status 1.
    Usage(String),
}

/// A command: its name, its options as argh knows them, and the way from words to values.
struct Verb {
    name: &'static str,
    info: fn() -> CommandInfoWithArgs,
    make: fn(&[&str], &[&str]) -> Result<Command, EarlyExit>,
}

/// A row of `VERBS`: the name, the type of the words, what further checks make of these, and the command.
macro_rules! verb {
    ($name:expr, $words:ident $(.$check:ident)? => $command:expr) => {
        Verb {
            name: $name,
            info: $words::get_args_info,
            make: |name, words| $words::from_args(name, words)$(.and_then($words::$check))?.map($command),
        }
    };
}

const VERBS: &[Verb] = &[
    verb!("create", Create => Command::Create),
    verb!("start", Start => Command::Start),
    verb!("run", RunWords.checked => Command::Run),
    verb!("exec", Exec.checked => Command::Exec),
    verb!("pause", Pause => Command::Pause),
    verb!("resume", Resume => Command::Resume),
    verb!("update", Update => Command::Update),
    verb!("mounts", Mounts => Command::Mounts),
    verb!("ps", Ps => Command::Ps),
    verb!("events", Events => Command::Events),
    verb!("kill", KillWords.checked => Command::Kill),
    verb!("delete", DeleteWords.checked => Command::Delete),
    verb!("state", State => Command::State),
    verb!("list", List => Command::List),
    verb!("trace", TraceCmd => Command::Trace),
    verb!("plan", PlanCmd => Command::Plan),
    verb!("features", Features => Command::Features),
    verb!("demo", Demo => Command::Demo),
    verb!("spec", SpecCmd => Command::Spec),
    verb!(INSIDE, InsideWords => |_| Command::Inside),
];

/// The words after the ID of these commands belong to another program.
const FOREIGN: &[&str] = &["exec", "ps"];

/// The hidden command: no help lists it, no error suggests it.
const INSIDE: &str = "inside";

/// Commands that a caller of runc or crun may expect. They are refused by name, also with `--help`: if `checkpoint --help`
/// ended well, podman would believe that checkpoints work.
const COMMANDS_NOT_YET: &[&str] = &["audit", "check", "checkpoint", "explain", "restore"];

/// Options of the same kind: the command ("" for all), the option, what to do instead. A command that ignored one would
/// report a success that did not happen.
const OPTIONS_NOT_YET: &[(&str, &str, &str)] = &[
    ("update", "--cpu-rt-period", "; it is of cgroup version 1"),
    ("update", "--cpu-rt-runtime", "; it is of cgroup version 1"),
    ("update", "--kernel-memory", "; it is of cgroup version 1"),
    ("update", "--kernel-memory-tcp", "; it is of cgroup version 1"),
];

/// Environment variables that stand for an option. An empty value counts as none. A later row wins.
const VARIABLES: &[(&str, &str)] = &[
    ("NS_RUN_DIR", "--root"),
    ("NK_RUN_DIR", "--root"),
    ("NK_LOG_LEVEL", "--log-level"),
    ("NK_TRACE", "--trace"),
    ("NK_TRACE_FILE", "--trace-file"),
    ("NK_TRACE_LIMIT", "--trace-limit"),
];

/// Reads the words after the program's name. `env` looks up variables.
pub fn parse<'e>(args: &[&str], env: &dyn Fn(&str) -> Option<&'e str>) -> Result<(Globals, Command), Stop> {
    if args.is_empty() {
        return Err(Stop::Help(words::SCREEN.into()));
    }
    let words = normalise::normalise(args, variables(env)?)?;
    if words.help {
        return Err(Stop::Help(words.verb.map_or_else(|| words::SCREEN.into(), help)));
    }

    let globals = GlobalWords::from_args(&[PROGRAM], &words.globals.argh_words(&[]))
        .map_err(|exit| Stop::Usage(values::sentence(&exit.output)))?;
    if globals.version {
        return Ok((globals.settled(), Command::Version));
    }
    let Some(verb) = words.verb else {
        return Err(Stop::Usage(format!("a command is needed; `{PROGRAM} --help` lists them")));
    };
    verb.count(&words.operands)?;
    let command = (verb.make)(&[PROGRAM, verb.name], &words.own.argh_words(&words.operands))
        .map_err(|exit| verb.usage(&values::sentence(&exit.output)))?;
    Ok((globals.settled(), command))
}

/// The environment as options before all others, so that the others win. Each is tried alone: only then can the error say
/// that the wrong word came from a variable.
fn variables<'e>(env: &dyn Fn(&str) -> Option<&'e str>) -> Result<Options<'e>, Stop> {
    let mut options = Options::default();
    for &(variable, long) in VARIABLES {
        let value = match (variable, env(variable)) {
            (_, None | Some("")) | ("NK_TRACE", Some("0")) => continue,
            ("NK_TRACE", Some("1")) => "text",
            (_, Some(value)) => value,
        };
        GlobalWords::from_args(&[PROGRAM], &[long, value])
            .map_err(|exit| Stop::Usage(format!("{variable}: {}", values::sentence(&exit.output))))?;
        options.set(long, Some(value));
    }
    Ok(options)
}

/// A command's usage and options, as argh writes them.
fn help(verb: &Verb) -> String {
    match (verb.make)(&[PROGRAM, verb.name], &["--help"]) {
        Err(exit) => {
            format!("{}\nThe options of all commands: {PROGRAM} --help\n", exit.output)
        }
        Ok(_) => words::SCREEN.into(),
    }
}

impl Verb {
    fn usage(&self, problem: &str) -> Stop {
        Stop::Usage(format!("{}: {problem}", self.name))
    }

    /// Too few or too many words are found here, because argh's answer has several lines.
    fn count(&self, operands: &[&str]) -> Result<(), Stop> {
        let wanted = (self.info)().positionals;
        let required = |optionality| matches!(optionality, &argh::Optionality::Required);
        if operands.is_empty() && wanted.iter().any(|one| required(&one.optionality)) {
            return Err(self.usage("an ID is needed"));
        }
        if wanted.iter().any(|one| matches!(one.optionality, argh::Optionality::Repeating)) {
            return Ok(());
        }
        let Some(extra) = operands.get(wanted.len()) else {
            return Ok(());
        };
        let mut form = String::from(self.name);
        for one in wanted {
            let name = one.name.to_uppercase();
            form += &if required(&one.optionality) { format!(" {name}") } else { format!(" [{name}]") };
        }
        let extra = values::quoted(extra);
        Err(self.usage(&format!("too many arguments: {extra}; write `{form}`")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_screen_has_every_command_and_every_option_of_all_commands() {
        for verb in VERBS {
            assert_eq!(words::SCREEN.contains(&format!("\n  {} ", verb.name)), verb.name != INSIDE, "{}", verb.name);
        }
        for flag in GlobalWords::get_args_info().flags {
            assert!(words::SCREEN.contains(flag.long), "{}", flag.long);
        }
    }
}
