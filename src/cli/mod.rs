//! The command line: words in, typed commands out.
//!
//! ```text
//!   args, environment -> normalise -> argh -> (Globals, Command)
//!                            \          \---> Stop::Help (stdout, exit 0)
//!                             \-------------> Stop::Usage (one line, stderr, exit 1)
//! ```
//!
//! The callers are engines with habits of their own: podman writes `--log-format=json`, the shim
//! `--log-format json`, go-runc `-no-subreaper`, people `run -db DIR` and options behind the ID.
//! `normalise` spells all of them one way, argh turns that into values, and this file joins the two.
//! What a word means and how it is explained stands in `words`, once.
//!
//! May touch: strings. No file, no environment but the one handed in, no system call. Whether an ID
//! is well formed is for `state` to say: it makes a path of it.

mod exec;
mod normalise;
mod regex;
mod run;
mod several;
#[cfg(test)]
#[path = "../../tests/unit/command_line.rs"]
mod tests;
mod values;
mod words;

use alloc::{format, string::String};
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

const VERBS: &[Verb] = &[
    Verb {
        name: "create",
        info: Create::get_args_info,
        make: |name, words| Create::from_args(name, words).map(Command::Create),
    },
    Verb {
        name: "start",
        info: Start::get_args_info,
        make: |name, words| Start::from_args(name, words).map(Command::Start),
    },
    Verb {
        name: "run",
        info: RunWords::get_args_info,
        make: |name, words| RunWords::from_args(name, words)?.checked().map(Command::Run),
    },
    Verb {
        name: "exec",
        info: Exec::get_args_info,
        make: |name, words| Exec::from_args(name, words)?.checked().map(Command::Exec),
    },
    Verb {
        name: "pause",
        info: Pause::get_args_info,
        make: |name, words| Pause::from_args(name, words).map(Command::Pause),
    },
    Verb {
        name: "resume",
        info: Resume::get_args_info,
        make: |name, words| Resume::from_args(name, words).map(Command::Resume),
    },
    Verb {
        name: "update",
        info: Update::get_args_info,
        make: |name, words| Update::from_args(name, words).map(Command::Update),
    },
    Verb {
        name: "mounts",
        info: Mounts::get_args_info,
        make: |name, words| Mounts::from_args(name, words).map(Command::Mounts),
    },
    Verb { name: "ps", info: Ps::get_args_info, make: |name, words| Ps::from_args(name, words).map(Command::Ps) },
    Verb {
        name: "events",
        info: Events::get_args_info,
        make: |name, words| Events::from_args(name, words).map(Command::Events),
    },
    Verb {
        name: "kill",
        info: KillWords::get_args_info,
        make: |name, words| KillWords::from_args(name, words)?.checked().map(Command::Kill),
    },
    Verb {
        name: "delete",
        info: DeleteWords::get_args_info,
        make: |name, words| DeleteWords::from_args(name, words)?.checked().map(Command::Delete),
    },
    Verb {
        name: "state",
        info: State::get_args_info,
        make: |name, words| State::from_args(name, words).map(Command::State),
    },
    Verb {
        name: "list",
        info: List::get_args_info,
        make: |name, words| List::from_args(name, words).map(Command::List),
    },
    Verb {
        name: "trace",
        info: TraceCmd::get_args_info,
        make: |name, words| TraceCmd::from_args(name, words).map(Command::Trace),
    },
    Verb {
        name: "plan",
        info: PlanCmd::get_args_info,
        make: |name, words| PlanCmd::from_args(name, words).map(Command::Plan),
    },
    Verb {
        name: "features",
        info: Features::get_args_info,
        make: |name, words| Features::from_args(name, words).map(Command::Features),
    },
    Verb {
        name: "demo",
        info: Demo::get_args_info,
        make: |name, words| Demo::from_args(name, words).map(Command::Demo),
    },
    Verb {
        name: "spec",
        info: SpecCmd::get_args_info,
        make: |name, words| SpecCmd::from_args(name, words).map(Command::Spec),
    },
    Verb {
        name: INSIDE,
        info: InsideWords::get_args_info,
        make: |name, words| InsideWords::from_args(name, words).map(|_| Command::Inside),
    },
];

/// Commands whose words behind the ID are another program's.
const FOREIGN: &[&str] = &["exec", "ps"];

/// The hidden command: never suggested, never listed.
const INSIDE: &str = "inside";

/// Commands that a caller of runc or crun may expect. Refused by name, `--help` included: podman
/// takes a `checkpoint --help` that ends well for the promise that checkpoints work.
const COMMANDS_NOT_YET: &[&str] = &["audit", "check", "checkpoint", "explain", "restore"];

/// Options of the same kind: the command ("" for all), the option, what to do instead. To ignore
/// one would be to report a success that did not happen.
const OPTIONS_NOT_YET: &[(&str, &str, &str)] = &[
    ("update", "--cpu-rt-period", "; it is of cgroup version 1"),
    ("update", "--cpu-rt-runtime", "; it is of cgroup version 1"),
    ("update", "--kernel-memory", "; it is of cgroup version 1"),
    ("update", "--kernel-memory-tcp", "; it is of cgroup version 1"),
];

/// The environment's way to say the same; an empty value is as good as none. The later row wins.
const VARIABLES: &[(&str, &str)] = &[
    ("NS_RUN_DIR", "--root"),
    ("NK_RUN_DIR", "--root"),
    ("NK_LOG_LEVEL", "--log-level"),
    ("NK_TRACE", "--trace"),
    ("NK_TRACE_FILE", "--trace-file"),
    ("NK_TRACE_LIMIT", "--trace-limit"),
];

/// Reads the words behind the program's name, with `env` to look up variables.
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

/// The environment as options written in front of all others, so that those win. Each is tried
/// alone, or the error could not say that the wrong word came from a variable.
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

    /// Too few or too many words: asked here, since argh's answer has several lines.
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
