//! What commands share: the options and facts that each of them gets, and the look-up of a container. May touch: everything from `say` down.

use super::ours;
use crate::cause;
use crate::cli::{CgroupManager, Globals, Level};
use crate::entry::seal;
use crate::host::{self, Host, cgroup, dbus, systemd};
use crate::outcome::{Advice, Check, Doing, Error, Lane, Told, at};
use crate::plan::cgroup::scope::Manager;
use crate::plan::{Step, Wish};
use crate::say::error::{Said, better};
use crate::say::log::Log;
use crate::say::{hints, tell};
use crate::spec::{self, Spec};
use crate::state::recorder::{self, Recording};
use crate::state::{self, Now, Saved, Status};
use core::sync::atomic::Ordering::Acquire;
use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// What every command gets.
pub struct Context {
    pub globals: Globals,
    pub host: Host,
    pub log: Log,
    /// The state root's path.
    pub root: String,
    /// The id of this process.
    pub pid: i32,
    /// How many descriptors above standard error the program gets.
    pub preserve_fds: u32,
    /// How many of them a service manager has passed (sd_listen_fds(3)).
    pub listening: u32,
    /// Which standard descriptors can always be read and written, and so may be the null device.
    pub endless: [bool; 3],
    /// What this process was called with; none if it is sealed already.
    pub own: Option<seal::Own>,
    /// The command line, without the program's name.
    pub words: Vec<String>,
    /// What becomes of the records.
    pub recording: Recording,
}

impl Context {
    /// From now on the work is told in brief words, unless the caller has asked for more words, or for none.
    pub fn educate(&mut self) {
        if !self.globals.quiet && !self.globals.educational && !self.log.wants(Level::Debug) {
            self.globals.educational = true;
            self.log.educate();
        }
    }

    /// The command that shows the trace of this one, if it is kept. `id`: the container that this one is about.
    pub fn more(&self, id: Option<&str>) -> String {
        match id.filter(|_| self.recording.is_kept()) {
            Some(id) => self.trace_of(id),
            None => String::new(),
        }
    }

    /// The command that shows a container's trace.
    pub fn trace_of(&self, id: &str) -> String {
        // An engine without root calls this program in a user namespace, where another state root is the default.
        let default = self.globals.root.is_none() && !self.host.nested;
        let root = if default { String::new() } else { format!(" --root {}", self.root) };
        format!("nk-runtime{root} trace {id}")
    }

    pub fn cgroup(&self) -> bool {
        self.globals.cgroup_manager != CgroupManager::Disabled
    }

    /// What stands before a cgroupsPath that does not begin at the hierarchy's root.
    pub fn cgroup_base(&self, spec: &Spec) -> String {
        let named = spec.linux.cgroups_path.as_deref();
        match self.cgroup() && !named.is_some_and(|path| path.starts_with('/')) {
            true => self.host.cgroup_base(),
            false => String::new(),
        }
    }

    /// The systemd that makes cgroups, with `--systemd-cgroup`: the machine's, or that of a user.
    pub fn manager(&self) -> Result<Option<Manager>, Error> {
        if self.globals.cgroup_manager != CgroupManager::Systemd {
            return Ok(None);
        }
        step(Step::Cgroup);
        // Engines without root run this program as root of a user namespace.
        let user = self.host.uid != 0 || self.host.nested;
        let sockets = systemd::sockets(user, host::environment);
        let base =
            systemd::base(&sockets).map_err(|trouble| unanswered("ask systemd for its cgroup".into(), trouble))?;
        Ok(Some(Manager { sockets, base, user }))
    }

    /// What all plans for this caller have in common. `Host::look` has to come before.
    pub fn wish<'a>(&self, id: &'a str, bundle: &'a str) -> Wish<'a> {
        Wish {
            id,
            bundle,
            preserve_fds: self.preserve_fds,
            cgroup: self.cgroup(),
            uid: self.host.uid,
            gid: self.host.gid,
            nested: self.host.nested,
            no_groups: self.host.no_groups,
            rootless: self.globals.rootless,
            ..Wish::default()
        }
    }

    /// Executes this program again from a file that no container can write to, unless it is sealed already.
    pub fn seal(&self) -> Result<(), Error> {
        self.own.as_ref().map_or(Ok(()), |own| {
            tell::words("sealed", &[]);
            seal::seal(own.argv, self.host.uid)
        })
    }

    /// The same for a command that has read nothing yet and left no descriptor open: as a rule it goes on as it is.
    pub fn seal_here(&self) -> Result<(), Error> {
        self.own.as_ref().map_or(Ok(()), |own| {
            tell::words("sealed", &[]);
            seal::seal_here(own, self.host.uid)
        })
    }

    /// Logs at most 16 words about a configuration of each kind: odd ones as warnings, usual ones as information. `file`: its
    /// name.
    pub fn say_all(&self, file: &str, words: Vec<(bool, String)>) {
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

    /// Warns of groups that the kernel forbids setting here. runc and crun leave them out, too.
    pub fn say_groups(&self, spec: &Spec, who: &Said) {
        if self.host.no_groups && !spec.process.user.additional_gids.is_empty() {
            let place = who.property("/process/user/additionalGids");
            let word = format!(
                "{place}: left out, since setting groups is forbidden in the caller's user namespace (/proc/self/setgroups is `deny`)"
            );
            self.log.say(Level::Warn, &word);
        }
    }

    /// Warns of capabilities that were left out, since this process does not have them itself.
    pub fn say_left_out(&self, who: &Said) {
        let set = syscalls::room::slate().left_out.load(Acquire);
        if set == 0 {
            return;
        }
        let all = spec::CAPABILITIES.iter().enumerate();
        let names: Vec<&str> = all.filter(|(i, _)| set & 1 << i != 0).map(|(_, name)| *name).collect();
        let word = format!(
            "{}: left out, since this process does not have them itself: {}",
            who.property("/process/capabilities"),
            names.join(", ")
        );
        self.log.say(Level::Warn, &word);
    }

    /// Appends this command's calls to the trace of the container in this directory. The command can clone processes, which
    /// record too.
    pub fn join_trace(&mut self, dir: Fd) -> Result<At, Error> {
        recorder::share()?;
        Ok(self.recording.join(dir))
    }

    /// For a command that may run hooks of a container: it records with what it clones, and this program's file is no other's.
    pub fn may_run_hooks(saved: &Saved) -> Result<(), Error> {
        match saved.hooks {
            Some(_) => recorder::share().and_then(|()| seal::called_by_name()).map(drop),
            None => Ok(()),
        }
    }

    /// Opens the state root, and in it the directory of a container that is there.
    pub fn container(&self, id: &str) -> Result<(Fd, Fd), Error> {
        let root = self.open_root()?;
        let dir = state::look_up(root.as_ref(), id)?;
        root.zip(dir).ok_or_else(|| state::missing(id))
    }

    /// Opens the state root if it is there.
    pub fn open_root(&self) -> Result<Option<Fd>, Error> {
        state::open_root(&self.root)
    }
}

/// A container as it is now, with its cgroup.
pub struct Found {
    /// The state root, and the container's directory in it, which the recording keeps open.
    pub root: Fd,
    pub dir: At,
    pub saved: Saved,
    /// A rootless container may have no cgroup.
    pub now: Now,
}

/// Finds a container, for a command that needs its cgroup.
pub fn find(context: &mut Context, id: &str) -> Result<Found, Error> {
    let (root, dir) = context.container(id)?;
    let dir = context.recording.join(dir);
    let saved = state::load(dir, id)?;
    let mut now = state::look(dir, &saved)?;
    if now.cgroup.is_none() && !saved.cgroup_path.is_empty() {
        now.cgroup = cgroup::open_pair(&saved.cgroup_path).doing(format_args!("look for the cgroup of {id}"))?;
    }
    Ok(Found { root, dir, saved, now })
}

impl Found {
    /// Its cgroup. A stopped container has no processes in it.
    pub fn group(&self) -> Result<At, Error> {
        let id = &self.saved.id;
        match (&self.now.cgroup, self.now.status) {
            (_, Status::Stopped) => Err(Error::State(format!("container not running: {id} is stopped"))),
            (Some((_, group)), _) => Ok(group.at()),
            (None, _) => Err(Error::State(format!("container {id} has no cgroup of its own"))),
        }
    }

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

    /// Refuses what would reach processes of others, in a cgroup that is older than the container.
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

/// The error of a request to systemd that failed.
pub fn systemd_failed(step: String, trouble: dbus::Trouble) -> Error {
    match trouble {
        dbus::Trouble::Call(failed) => at(step, failed),
        dbus::Trouble::Said(text) => Error::State(format!("{step}: {text}; try: {}", hints::check(Check::Systemd))),
    }
}

/// The same where it is the first request, and so tells whether there is a systemd.
fn unanswered(step: String, trouble: dbus::Trouble) -> Error {
    let dbus::Trouble::Said(text) = trouble else {
        return systemd_failed(step, trouble);
    };
    let told = Told::of(format!("{step}: {text}"), "", Advice::Text(""));
    better(Error::Call(Box::new(told)), Some(cause::cgroup::systemd(&text)))
}

/// The step that records from now on belong to.
pub fn step(step: Step) {
    syscalls::record::at(Lane::Host as u8, 0, step as u16);
}

/// The file of this program.
pub fn open_ourselves() -> Result<Fd, Error> {
    let why = Why("a rootfs or an initramfs shall hold this program");
    let open = |path| syscalls::openat(At::CWD, path, OpenFlags::NONE, why);
    match open(c"/proc/self/exe") {
        Err(failed) if failed.errno == Errno::ENOENT => open(syscalls::executed_as()),
        opened => opened,
    }
    .doing("open this program")
}

/// Makes the state root, or says what stops it.
pub fn make_root(path: &str) -> Result<Fd, Error> {
    state::make_root(path).map_err(|error| not_made(error, path))
}

/// The error about a directory below the state root, or about this root itself.
pub fn not_made(error: Error, path: &str) -> Error {
    let Error::Call(told) = &error else {
        return error;
    };
    let look = told.failed.and_then(|failed| {
        let of_place = || cause::limits::file("state root", path, failed.errno).map(|look| look.of("--root"));
        cause::looking(|| cause::by_filter(failed).or_else(of_place))
    });
    better(error, look)
}
