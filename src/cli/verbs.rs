//! The commands: a row for each, with its words and the typed value that is made of them. May touch: the words.

use super::exec::Exec;
use super::run::{Run, RunWords};
use super::several::{Delete, DeleteWords, Kill, KillWords, Which};
use super::trace::TraceCmd;
use super::values::{Page, Shell, quoted};
use super::words::{
    Check, Complete, Completion, Create, Demo, Events, Explain, Features, Inside, Inspect, Learn, List, Man, Mounts,
    Pause, PlanCmd, Ps, Resume, SCREEN, SpecCmd, Start, State, Update, Watch,
};
use argh::{ArgsInfo, CommandInfoWithArgs, EarlyExit, FromArgs};

pub const PROGRAM: &str = "nk-runtime";

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
    Inspect(Inspect),
    Events(Events),
    Kill(Kill),
    Delete(Delete),
    List(List),
    Spec(SpecCmd),
    Plan(PlanCmd),
    Check(Check),
    Trace(TraceCmd),
    Watch(Watch),
    Features(Features),
    Demo(Demo),
    Explain(Explain),
    Learn(Learn),
    Man(Page),
    Completion(Shell),
    /// The words of a command line, for a shell that completes them.
    Complete(Vec<String>),
    /// What `demo` and the lessons run as pid 1 of their containers; no help text names it.
    Inside(Inside),
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
            Command::Inspect(one) => &one.id,
            Command::Events(one) => &one.id,
            Command::Watch(one) => &one.id,
            Command::Plan(one) => one.id(),
            Command::Check(one) => &one.id,
            Command::Kill(Kill { which, .. }) | Command::Delete(Delete { which, .. }) => match which {
                Which::Ids(ids) => ids.first().filter(|_| ids.len() == 1)?,
                Which::Matching(_) => return None,
            },
            Command::Trace(one) => one.ids.first()?,
            Command::List(_)
            | Command::Spec(_)
            | Command::Features(_)
            | Command::Demo(_)
            | Command::Explain(_)
            | Command::Learn(_)
            | Command::Man(_)
            | Command::Completion(_)
            | Command::Complete(_)
            | Command::Inside(_)
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
pub struct Verb {
    pub name: &'static str,
    pub info: fn() -> CommandInfoWithArgs,
    pub make: fn(&[&str], &[&str]) -> Result<Command, EarlyExit>,
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

pub const VERBS: &[Verb] = &[
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
    verb!("inspect", Inspect => Command::Inspect),
    verb!("list", List => Command::List),
    verb!("trace", TraceCmd.checked => Command::Trace),
    verb!("watch", Watch => Command::Watch),
    verb!("plan", PlanCmd.checked => Command::Plan),
    verb!("check", Check => Command::Check),
    verb!("features", Features => Command::Features),
    verb!("demo", Demo => Command::Demo),
    verb!("explain", Explain => Command::Explain),
    verb!("learn", Learn.checked => Command::Learn),
    verb!("spec", SpecCmd => Command::Spec),
    verb!("man", Man => |words| Command::Man(words.page)),
    verb!("completion", Completion => |words| Command::Completion(words.shell)),
    verb!(COMPLETE, Complete => |words| Command::Complete(words.words)),
    verb!(INSIDE, Inside => Command::Inside),
];

/// The words after the ID of these commands belong to another program.
pub const FOREIGN: &[&str] = &["exec", "ps"];

/// The command that demo's container runs.
pub const INSIDE: &str = "inside";

/// The command that shells run.
pub const COMPLETE: &str = "complete";

/// No list of commands has these, and no error suggests one. People type the last two: the screen tells of them below.
pub const HIDDEN: [&str; 4] = [INSIDE, COMPLETE, "man", "completion"];

/// Commands that a caller of runc or crun may expect. They are refused by name, also with `--help`: if `checkpoint --help`
/// ended well, podman would believe that checkpoints work.
pub const COMMANDS_NOT_YET: &[&str] = &["audit", "checkpoint", "restore"];

/// Options that runc's `update` has and cgroup version 2 has no limit for. A command that ignored one would report a success
/// that did not happen.
pub const OF_VERSION_1: &[&str] = &["--cpu-rt-period", "--cpu-rt-runtime", "--kernel-memory", "--kernel-memory-tcp"];

/// Whether only programs call it: demo's container, or a shell.
pub fn internal(verb: &Verb) -> bool {
    [INSIDE, COMPLETE].contains(&verb.name)
}

/// A command's usage and options, as argh writes them.
pub fn help(verb: &Verb) -> String {
    match (verb.make)(&[PROGRAM, verb.name], &["--help"]) {
        Err(exit) => format!("{}\nThe options of all commands: {PROGRAM} --help\n", exit.output),
        Ok(_) => SCREEN.into(),
    }
}

impl Verb {
    pub fn usage(&self, problem: &str) -> Stop {
        Stop::Usage(format!("{}: {problem}", self.name))
    }

    /// Too few or too many words are found here, because argh's answer has several lines.
    pub fn count(&self, operands: &[&str]) -> Result<(), Stop> {
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
        let extra = quoted(extra);
        Err(self.usage(&format!("too many arguments: {extra}; write `{form}`")))
    }
}
