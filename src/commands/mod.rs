//! The commands, one file each. `context` has what all of them share; `bundle`, `wait`, `several`, `ours` and `hooks` have
//! what some of them do alike; `channel` is the way to a machine of its own. May touch: everything below.

mod anew;
mod beside;
mod bundle;
mod channel;
mod check;
mod context;
mod create;
mod delete;
mod demo;
mod diff;
mod end;
mod events;
mod exec;
mod explain;
mod explain_record;
mod features;
mod hooks;
pub mod init;
mod inside;
mod inspect;
mod inspect_layout;
mod inspect_text;
mod kill;
mod learn;
mod lint;
mod list;
mod mounts;
mod notify;
mod ours;
mod papers;
mod pause;
mod plan;
mod planned;
mod process;
mod ps;
mod read;
mod repeat;
mod run;
mod series;
mod several;
mod spec;
mod start;
mod state;
mod stepping;
mod steps;
mod terminal;
mod trace;
mod trace_page;
mod update;
mod virtiofsd;
mod vm;
mod wait;
mod watch;
mod watcher;

pub use context::Context;

use crate::cli::{self, Command};
use crate::outcome::Error;
use crate::say::out;

/// The status of an `exec` that could not run its program. Clients of runc know this number.
pub const EXEC_FAILED: i32 = 255;

/// The status of a comparison that could not be made (diff(1)).
pub const NOT_COMPARED: i32 = 2;

/// Runs a command. The exit status is that of the program, where the command waits for one. No command is inlined here: each
/// would touch as many pages of the stack as the one that needs most.
pub fn run(context: &mut Context, command: &Command) -> Result<i32, Error> {
    match command {
        Command::Create(options) => create::create(context, options),
        Command::Run(options) => match (&options.vm, options.repeat) {
            (Some(wanted), _) => vm::run(context, options, wanted),
            (None, Some(times)) => series::series(context, options, times),
            (None, None) => run::run(context, options),
        },
        Command::Exec(options) => exec::exec(context, options),
        Command::Start(options) => start::start(context, options),
        Command::State(options) => state::state(context, &options.id),
        Command::Pause(options) => pause::pause(context, &options.id),
        Command::Resume(options) => pause::resume(context, &options.id),
        Command::Update(options) => update::update(context, options),
        Command::Mounts(options) => mounts::mounts(context, options),
        Command::Ps(options) => ps::ps(context, options),
        Command::Inspect(options) => inspect::inspect(context, options),
        Command::Events(options) => events::events(context, options),
        Command::Kill(options) => kill::kill(context, options),
        Command::Delete(options) => delete::delete(context, options),
        Command::List(options) => list::list(context, options),
        Command::Spec(options) => spec::spec(context, options),
        Command::Check(options) => check::check(context, options),
        Command::Plan(options) => plan::plan(context, options),
        Command::Trace(options) => trace::trace(context, options),
        Command::Watch(options) => watch::watch(context, options),
        Command::Features(options) => features::features(options),
        Command::Demo(options) => demo::demo(context, options),
        Command::Explain(options) => explain::explain(context, options),
        Command::Learn(options) => learn::learn(context, options),
        Command::Man(page) => papers::man::man(*page),
        Command::Completion(shell) => papers::complete::script(*shell),
        Command::Complete(words) => papers::complete::complete(context, words),
        Command::Inside(options) if options.steps.is_empty() => inside::inside(),
        Command::Inside(options) => steps::steps(&options.steps),
        Command::Version => version(),
    }
}

fn version() -> Result<i32, Error> {
    let commit = option_env!("NK_COMMIT").unwrap_or("unknown");
    let text = format!(
        "{} version {}\ncommit: {commit}\nspec: 1.3.0\nkernel floor: 5.12\n",
        cli::PROGRAM,
        env!("CARGO_PKG_VERSION")
    );
    out::stdout(&text).map(|()| 0)
}
