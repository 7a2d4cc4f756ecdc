//! One file a command, and what they share. May touch: everything below.

mod create;
mod delete;
mod demo;
mod events;
mod exec;
mod features;
mod hooks;
pub mod init;
mod inside;
mod kill;
mod list;
mod mounts;
mod notify;
mod ours;
mod pause;
mod plan;
mod process;
mod ps;
mod several;
mod spec;
mod start;
mod state;
mod terminal;
mod trace;
mod update;
mod vm;

use crate::cli::{self, CgroupManager, Command, Globals, Level};
use crate::host::Host;
use crate::host::{cgroup, dbus, systemd};
use crate::outcome::Lane;
use crate::outcome::{Doing, Error, at};
use crate::plan::Step;
use crate::plan::cgroup::scope::Manager;
use crate::say::log::Log;
use crate::say::out;
use crate::spec::Spec;
use crate::state::{self as containers, Now, Saved, Status};
use core::sync::atomic::Ordering::Acquire;
use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// The status of an `exec` that did not come to run its program, as runc's clients know it.
pub const EXEC_FAILED: i32 = 255;

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
    /// How many of them a service manager has passed (sd_listen_fds(3)).
    pub listening: u32,
    /// Which standard descriptors can be the null device.
    pub endless: [bool; 3],
    /// What this process was called with; none if it is sealed already.
    pub argv: Option<*const *const core::ffi::c_char>,
    /// What becomes of the records.
    pub recording: crate::state::recorder::Recording,
}

impl Context {
    pub fn cgroup(&self) -> bool {
        self.globals.cgroup_manager != CgroupManager::Disabled
    }

    /// Where a cgroup goes that config.json does not name from the hierarchy's root.
    pub fn cgroup_base(&self, spec: &Spec) -> String {
        let named = spec.linux.cgroups_path.as_deref();
        match self.cgroup() && !named.is_some_and(|path| path.starts_with('/')) {
            true => self.host.cgroup_base(),
            false => String::new(),
        }
    }

    /// The service manager that makes cgroups, if one does: the machine's, or that of a user.
    pub fn manager(&self) -> Result<Option<Manager>, Error> {
        if self.globals.cgroup_manager != CgroupManager::Systemd {
            return Ok(None);
        }
        step(Step::Cgroup);
        // Engines without root run us as root of a user namespace.
        let user = self.host.uid != 0 || self.host.nested;
        let sockets = systemd::sockets(user, crate::host::environment);
        let base =
            systemd::base(&sockets).map_err(|trouble| systemd_failed("ask systemd for its cgroup".into(), trouble))?;
        Ok(Some(Manager { sockets, base, user }))
    }

    /// Words about what is odd in a configuration, to a number that can be read. `file`: its name.
    fn say_all(&self, file: &str, words: Vec<(bool, String)>) {
        const MOST: usize = 16;
        let (usual, odd): (Vec<_>, Vec<_>) = words.into_iter().partition(|(usual, _)| *usual);
        for (level, words) in [(Level::Warn, odd), (Level::Info, usual)] {
            for (_, word) in words.iter().take(MOST) {
                self.log.say(level, &format!("{file} {word}"));
            }
            if let Some(more @ 1..) = words.len().checked_sub(MOST) {
                self.log.say(level, &format!("and {more} more of the kind"));
            }
        }
    }

    /// Groups that the kernel forbids setting here: runc and crun pass them over, too.
    fn say_groups(&self, spec: &crate::spec::Spec) {
        if self.host.no_groups && !spec.process.user.additional_gids.is_empty() {
            let word = "config.json /process/user/additionalGids: left out, since setting groups is forbidden in the caller's user namespace (/proc/self/setgroups is `deny`)";
            self.log.say(Level::Warn, word);
        }
    }

    /// Capabilities that this process does not have itself.
    fn say_left_out(&self) {
        let set = syscalls::room::slate().left_out.load(Acquire);
        if set == 0 {
            return;
        }
        let all = crate::spec::CAPABILITIES.iter().enumerate();
        let names: Vec<&str> = all.filter(|(i, _)| set & 1 << i != 0).map(|(_, name)| *name).collect();
        let word = format!(
            "config.json /process/capabilities: left out, since this process does not have them itself: {}",
            names.join(", ")
        );
        self.log.say(Level::Warn, &word);
    }

    /// This command's calls belong to the trace of the container in this directory. It can make processes of its own.
    pub fn join_trace(&mut self, dir: At) -> Result<(), Error> {
        crate::state::recorder::share()?;
        self.recording.join(dir);
        Ok(())
    }

    /// Opens the state root if it is there.
    pub fn open_root(&self) -> Result<Option<Fd>, Error> {
        containers::open_root(&self.root)
    }
}

/// A container that is there, as it is now, and its cgroup.
pub struct Found {
    /// The state root, and in it where its state lies.
    pub root: Fd,
    pub dir: Fd,
    pub saved: Saved,
    /// With its cgroup, which a rootless one may not have.
    pub now: Now,
}

/// Finds a container of which something is wanted that only its cgroup has.
pub fn find(context: &mut Context, id: &str) -> Result<Found, Error> {
    let root = context.open_root()?;
    let dir = containers::find(root.as_ref(), id)?;
    let missing = || Error::State(format!("container does not exist: {id}"));
    let root = root.ok_or_else(missing)?;
    context.recording.join(dir.at());
    let saved = containers::load(dir.at(), id)?;
    let mut now = containers::look(dir.at(), &saved)?;
    if now.cgroup.is_none() && !saved.cgroup_path.is_empty() {
        now.cgroup = cgroup::open_pair(&saved.cgroup_path).doing(format_args!("look for the cgroup of {id}"))?;
    }
    Ok(Found { root, dir, saved, now })
}

impl Found {
    /// Its cgroup, if its processes are there to be in it.
    pub fn group(&self) -> Result<At, Error> {
        let id = &self.saved.id;
        match (&self.now.cgroup, self.now.status) {
            (_, Status::Stopped) => Err(Error::State(format!("container not running: {id} is stopped"))),
            (Some((_, group)), _) => Ok(group.at()),
            (None, _) => Err(Error::State(format!("container {id} has no cgroup of its own"))),
        }
    }
}

impl Found {
    /// Refuses what would stop other containers, which are in this one's cgroup or below it.
    pub fn refuse_others_below(&self, verb: &str) -> Result<(), Error> {
        let (id, path) = (&self.saved.id, &self.saved.cgroup_path);
        if let Some((other, _)) = ours::others(&self.root, &self.saved)?.first() {
            return Err(Error::State(format!(
                "cannot {verb} container {id}: container {other} is in its cgroup /{path}, or below it"
            )));
        }
        Ok(())
    }

    /// Refuses what would reach processes of others, in a cgroup that was there before the container.
    pub fn alone(&self, group: At, verb: &str) -> Result<(), Error> {
        let (id, path) = (&self.saved.id, &self.saved.cgroup_path);
        if self.saved.made() > 0 {
            return Ok(());
        }
        let failed = |failed| at(format!("look which processes are in the cgroup of {id}"), failed);
        let why = Why("the cgroup was there before the container: others may be in it");
        let all = cgroup::processes(group, why).map_err(failed)?.len();
        let own = ours::own(group, &self.saved, self.now.init.as_ref()).map_err(failed)?;
        match all.saturating_sub(own.len()) {
            0 => Ok(()),
            more => Err(Error::State(format!(
                "cannot {verb} container {id}: its cgroup /{path} was there before it, and {more} processes of others are in it"
            ))),
        }
    }
}

/// One line about systemd, that it was asked in vain.
pub fn systemd_failed(step: String, trouble: dbus::Trouble) -> Error {
    match trouble {
        dbus::Trouble::Call(failed) => at(step, failed),
        dbus::Trouble::Said(text) => {
            Error::State(format!("{step}: {text}; try: {}", crate::say::hints::check(crate::outcome::Check::Systemd)))
        }
    }
}

/// What records from now on belong to.
pub fn step(step: Step) {
    syscalls::record::at(Lane::Host as u8, 0, step as u16);
}

/// This very program, as it was executed.
pub fn open_ourselves() -> Result<Fd, Error> {
    let why = Why("a rootfs or an initramfs shall hold this program");
    match syscalls::openat(At::CWD, c"/proc/self/exe", OpenFlags::NONE, why) {
        Err(failed) if failed.errno == Errno::ENOENT => {}
        opened => return opened.doing("open this program"),
    }
    let path = syscalls::executed_as();
    syscalls::openat(At::CWD, path, OpenFlags::NONE, why).doing("open this program")
}

/// The exit status of a command that went well is that of the program where there is one.
pub fn run(context: &mut Context, command: &Command) -> Result<i32, Error> {
    match command {
        Command::Create(options) => create::create(context, options),
        Command::Run(options) => match &options.vm {
            Some(wanted) => vm::run(context, options, wanted),
            None => create::run(context, options),
        },
        Command::Exec(options) => exec::exec(context, options),
        Command::Start(options) => start::start(context, options),
        Command::State(options) => state::state(context, &options.id),
        Command::Pause(options) => pause::pause(context, &options.id),
        Command::Resume(options) => pause::resume(context, &options.id),
        Command::Update(options) => update::update(context, options),
        Command::Mounts(options) => mounts::mounts(context, options),
        Command::Ps(options) => ps::ps(context, options),
        Command::Events(options) => events::events(context, options),
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
