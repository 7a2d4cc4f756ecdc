//! One file a command, and what they share. May touch: everything below.

mod create;
mod delete;
mod demo;
mod features;
mod hooks;
mod inside;
mod kill;
mod list;
mod plan;
mod spec;
mod start;
mod state;
mod trace;

use crate::cli::{self, CgroupManager, Command, Globals};
use crate::error::Error;
use crate::host::Host;
use crate::out::{self, Log};
use crate::plan::{Lane, Step};
use alloc::format;
use alloc::string::String;
use syscalls::Fd;

/// What every command is told.
pub struct Context {
    pub globals: Globals,
    pub host: Host,
    pub log: Log,
    /// The state root's path.
    pub root: String,
    /// Our own process id.
    pub pid: i32,
    /// How many descriptors above standard error are the program's, and not ours.
    pub preserve_fds: u32,
    /// What this process was called with; none if it is sealed already.
    pub argv: Option<*const *const core::ffi::c_char>,
}

impl Context {
    pub fn cgroup(&self) -> bool {
        self.globals.cgroup_manager != CgroupManager::Disabled
    }

    /// Opens the state root if it is there.
    pub fn open_root(&self) -> Result<Option<Fd>, Error> {
        crate::state::open_root(&self.root, false)
    }
}

/// What records from now on belong to.
pub fn step(step: Step) {
    syscalls::record::at(Lane::Host as u8, 0, step as u16);
}

/// The exit status of a command that went well is that of the program where there is one.
pub fn run(context: &mut Context, command: &Command) -> Result<i32, Error> {
    match command {
        Command::Create(options) => create::create(context, options),
        Command::Run(options) => create::run(context, options),
        Command::Start(options) => start::start(context, options),
        Command::State(options) => state::state(context, &options.id),
        Command::Kill(options) => kill::kill(context, options),
        Command::Delete(options) => delete::delete(context, options),
        Command::List(options) => list::list(context, options),
        Command::Spec(options) => spec::spec(context, options),
        Command::Plan(options) => plan::plan(context, options),
        Command::Trace(options) => trace::trace(context, options),
        Command::Features(options) => features::features(options),
        Command::Demo(_) => demo::demo(context),
        Command::Inside => inside::inside(),
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
