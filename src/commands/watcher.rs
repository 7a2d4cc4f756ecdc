//! The watcher that stays with a container: what `--watch` asks for, and what is told at its end. May touch: everything from
//! `say` down.

use super::bundle::absolute;
use crate::cli::{self, Watched};
use crate::host::input;
use crate::outcome::{Doing, Done, Error, at};
use crate::perform::{Act, Lanes, watch};
use crate::plan::Slot;
use crate::say::out;
use crate::spec::Spec;
use crate::watch::profile::Files;
use crate::watch::refused::{self, Confinement};
use crate::watch::{Engine, refusals};
use core::sync::atomic::Ordering::{Acquire, Release};
use syscalls::{At, Failed, Fd, PollFd, WaitFlags, Why, room};

/// What the option asks for, or else the annotation.
pub fn watched(option: Option<Watched>, spec: &Spec) -> Option<Watched> {
    let annotated = spec.watches_all().map(|all| if all { Watched::All } else { Watched::Refused });
    option.or(annotated)
}

/// The same for `create` and `run`, which can ask for profiles, too.
pub fn wanted(options: &cli::Create, spec: &Spec) -> Option<Watched> {
    let profiles = options.write_seccomp.is_some() || options.write_capabilities.is_some();
    watched(options.watch, spec).or(profiles.then_some(Watched::Refused))
}

/// The profiles that are asked for, if their files can be written.
#[inline(never)]
pub fn profiles(options: &cli::Create) -> Result<Files, Error> {
    let path = |path: &Option<String>| path.as_deref().map(absolute).transpose();
    let files = Files { seccomp: path(&options.write_seccomp)?, capabilities: path(&options.write_capabilities)? };
    files.check()?;
    Ok(files)
}

/// What a watcher does that writes profiles, too.
#[inline(never)]
pub fn profiler<'a>(what: Watched, spec: &'a Spec<'a>, cgroup: &str, profiles: Files) -> Box<Act<'a>> {
    let cgroup = String::from(cgroup);
    Box::new(move |_, _| {
        let mut engine = Engine::new(what, Confinement::new(spec, &cgroup));
        if let Err(failed) = engine.profile(&profiles, spec) {
            room::slate().helper_failure.store(failed.packed(), Release);
        }
    })
}

/// What a watcher does: it watches the program of a container, by the container's configuration.
pub fn engine<'a>(what: Watched, spec: &'a Spec<'a>, cgroup: &str) -> Box<Act<'a>> {
    let cgroup = String::from(cgroup);
    Box::new(move |_, _| Engine::new(what, Confinement::new(spec, &cgroup)).run())
}

/// How long the watcher may take to end after the container has, in milliseconds.
const PATIENCE: u64 = 5_000;

/// A signal has ended it: SIGALRM, if a look had to wait for the program.
const KILLED: &str =
    "nk-runtime: a signal has ended the watcher: it has not seen all calls, and has written no profile\n";

/// A watcher that works.
pub struct Watcher {
    process: Fd,
    file: Fd,
}

impl Watcher {
    pub fn of(lanes: &mut Lanes) -> Option<Watcher> {
        let (process, file) = lanes.take(Slot::WATCHER).zip(lanes.take(Slot::WATCHED))?;
        Some(Watcher { process, file })
    }

    /// Lets a watcher trace the first process of a created container.
    pub fn begin(init: i32, dir: At, act: &Act) -> Done<Watcher> {
        let why = Why("the program's calls are seen from its first on");
        let watch::Watcher { process, file, channel } = watch::clone(dir, act, true, why)?;
        watch::begin(&channel, init, why)?;
        Ok(Watcher { process, file })
    }

    /// The container has ended: waits for the watcher's end, and tells what was refused.
    pub fn tell(self) -> Result<(), Error> {
        let mut fds = [PollFd { fd: self.process.at().raw(), events: libc::POLLIN, revents: 0 }];
        let why = Why("the watcher writes its last records when the container has ended");
        if syscalls::ppoll(&mut fds, Some(PATIENCE), why).is_ok_and(|ready| ready > 0) {
            let why = Why("it would stay a zombie, unless the wait for the program has taken it already");
            let _ = syscalls::waitid_pidfd(self.process.at(), WaitFlags::WNOHANG, why);
            if room::slate().watched.load(Acquire) == 0 {
                out::stderr(KILLED);
            }
        }
        match room::slate().helper_failure.load(Acquire) {
            0 => {}
            failure => return Err(at("write the profile of what the program used", Failed::unpacked(failure))),
        }
        let bytes = input::read_recorder(self.file.at()).doing("read the calls of the program")?;
        let all = refusals(&[bytes]);
        if !all.is_empty() {
            out::stderr(&refused::summary(&all));
        }
        Ok(())
    }
}
