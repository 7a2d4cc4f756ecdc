//! `start`: releases a created container, and says whether its program could be executed. May touch: everything below.

use super::create::{hand_on, signal};
use super::notify::{Between, wait_for};
use super::{Context, delete, hooks, step};
use crate::cli::{self, Level};
use crate::host::patience;
use crate::host::procfs::{self, Life};
use crate::outcome::Lane;
use crate::outcome::{Check, Trouble};
use crate::outcome::{Doing, Error, at};
use crate::perform::sync::{self, Report, Word};
use crate::plan::op::Process;
use crate::plan::{self, Step};
use crate::say::error::line;
use crate::state::recorder::LastExecve;
use crate::state::{self, Status};
use syscalls::{AtFlags, Errno, Fd, OpenFlags, PollFd, SigSet, Why};

/// `start`, and with `--attach` also the wait for the program's end.
pub fn start(context: &mut Context, options: &cli::Start) -> Result<i32, Error> {
    step(Step::Start);
    let id = &options.id;
    let root = context.open_root()?;
    let dir = state::find(root.as_ref(), id)?;
    context.join_trace(dir.at())?;
    let mut whole = state::load_whole(dir.at(), id)?;
    let now = state::now(dir.at(), &whole.saved)?;
    if now.status != Status::Created {
        let word = now.status.word();
        return Err(Error::State(format!(
            "cannot start a container that is {word}: {id}: only a created one can be started"
        )));
    }
    let saved = &whole.saved;
    refuse_frozen(dir.at(), saved)?;
    let failed = |failed| at(format!("start {id}"), failed);

    let caller = Between::caller(dir.at())?;
    // Of several who start at once, the one that takes the name away has the right to.
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_NONBLOCK | OpenFlags::O_NOFOLLOW;
    let fifo = syscalls::openat(dir.at(), sync::START, flags, Why("init waits at its other end")).map_err(failed)?;
    let report = syscalls::openat(
        dir.at(),
        sync::REPORT,
        OpenFlags::O_NONBLOCK | OpenFlags::O_NOFOLLOW,
        Why("its end tells that execve succeeded"),
    )
    .map_err(failed)?;
    match syscalls::unlinkat(
        dir.at(),
        sync::START,
        AtFlags::NONE,
        Why("whoever removes the name is the one that starts it"),
    ) {
        Err(f) if f.errno == Errno::ENOENT => {
            return Err(Error::State(format!(
                "cannot start a container that is running: {id}: somebody else has just started it"
            )));
        }
        other => other.map_err(failed)?,
    }
    let service = match options.attach {
        true => context.pid,
        false => saved.pid,
    };
    let begin = |caller| Between::begin(dir.at(), caller, service);
    let notify = caller.map(begin).transpose()?;
    if options.attach {
        syscalls::rt_sigprocmask(SigSet::HELD, Why("from now on signals are for the program")).map_err(failed)?;
    }
    syscalls::write(fifo.at(), &[0], Why("this byte lets init go on to execve")).map_err(failed)?;
    drop(fifo);
    step(Step::Program);
    let why = Why("init's end of it is close-on-exec: it ends when execve succeeds");
    let alive = now.init.as_ref().map_or(patience::NONE, Fd::at);
    let last = sync::last_word(report.at(), alive, why);
    let word = last.map_err(|trouble| failed_to_start(id, trouble))?;
    drop(report);
    if let Some(report) = word.report() {
        let error = failed_inside(dir.at(), &whole, report, &word);
        if let (true, Some(root)) = (word.hook().is_some(), &root) {
            drop(dir);
            delete::destroy(context, root, saved, now.init.as_ref())?;
        }
        return Err(error);
    }
    if let Some(error) = never_ran(dir.at(), &whole, now.init.as_ref())? {
        return Err(error);
    }
    crate::state::recorder::execve_succeeded(dir.at());
    whole.saved.state = "running".into();
    // The program runs, and its status comes from the kernel: what cannot be written down changes nothing.
    if let Err(error) = state::save(dir.at(), &whole) {
        context.log.say(Level::Warn, &line(&error));
    }
    let saved = whole.saved;
    context.log.say(Level::Info, &format!("container {id}: running"));
    if let (Some(list), Some(root)) = (&saved.hooks, &root)
        && let Err(error) = hooks::poststart(&saved, list, saved.pid)
    {
        drop(dir);
        delete::destroy(context, root, &saved, now.init.as_ref())?;
        return Err(error);
    }
    match (options.attach, now.init, notify) {
        (true, Some(init), notify) => watch(&init, notify),
        (false, Some(init), Some(notify)) => notify.until_ready(&init).map(|()| 0),
        _ => Ok(0),
    }
}

/// In a frozen cgroup nothing would hear the word to go on.
fn refuse_frozen(dir: syscalls::At, saved: &state::Saved) -> Result<(), Error> {
    let id = &saved.id;
    if saved.cgroup_path.is_empty() {
        return Ok(());
    }
    // Where the hierarchy cannot be had, this program froze nothing.
    let Ok(Some((_, group))) = crate::host::cgroup::open_pair(&saved.cgroup_path) else {
        return Ok(());
    };
    if !crate::host::cgroup::is_frozen(group.at()) {
        return Ok(());
    }
    Err(Error::State(match state::look(dir, saved)?.status {
        Status::Paused => {
            format!("cannot start a container that is paused: {id}: `resume` it first")
        }
        _ => format!(
            "cannot start container {id}: a cgroup above its own, /{}, is frozen: thaw that one first",
            saved.cgroup_path
        ),
    }))
}

fn failed_to_start(id: &str, trouble: Trouble) -> Error {
    match trouble {
        Trouble::Call(failed) => at(format!("start {id}"), failed),
        Trouble::Check(check) => Error::State(format!("start {id}: {}", check.text())),
        Trouble::Hook(_) => Error::State(format!("start {id}: a hook failed")),
    }
}

/// Init's report channel ended without a word: as a rule it has become its program. A process that lives and has not, and one
/// that ended of which the trace says so, never ran it; without a trace the program counts as run.
fn never_ran(dir: syscalls::At, whole: &state::Whole, init: Option<&Fd>) -> Result<Option<Error>, Error> {
    let saved = &whole.saved;
    let vanished = || failed_to_start(&saved.id, Trouble::Check(Check::InitVanished));
    if init.is_some() && procfs::life(saved.pid, saved.start_time)? == Life::Executed {
        return Ok(None);
    }
    Ok(match crate::state::recorder::last_execve(dir) {
        LastExecve::Failed(failed) => Some(failed_line(whole, Trouble::Call(failed))),
        LastExecve::None => Some(vanished()),
        LastExecve::OnItsWay | LastExecve::Unknown => None,
    })
}

/// What init reported. The plan is not at hand any more, but only hooks and execve come after `start`.
fn failed_inside(dir: syscalls::At, whole: &state::Whole, report: Report, word: &Word) -> Error {
    if let Some((pointer, path)) = word.hook() {
        return crate::say::error::hook(pointer, path, report.trouble, &hooks::said(dir));
    }
    failed_line(whole, report.trouble)
}

/// The program that could not be executed, as `create` was told to.
fn failed_line(whole: &state::Whole, trouble: Trouble) -> Error {
    let op = Process::Execve { argv: whole.program().into_iter().collect(), envp: Vec::new() }.into();
    let line =
        plan::Line { op, step: Step::Program, from: "/process/args".into(), why: Why("the container's program") };
    let plan = plan::Plan { host: Vec::new(), bridge: Vec::new(), init: vec![line], slots: 0 };
    let stop = crate::outcome::Stopped { lane: Lane::Init, line: 1, trouble };
    crate::say::error::stopped(&plan, &crate::say::error::Said::default(), stop, "")
}

/// Waits for the end of a process that is no child of ours, and hands signals on to it. Its parent has to wait for
/// it first: only then does the kernel tell others the status.
fn watch(init: &Fd, notify: Option<Between>) -> Result<i32, Error> {
    let failed = |failed| at("wait for the program", failed);
    let signals = syscalls::signalfd4(SigSet::ALL, Why("signals and the program's end are waited for together"))
        .map_err(failed)?;
    loop {
        let mut fds = [init, &signals, init].map(wait_for);
        if let Some(notify) = &notify {
            fds[2] = wait_for(&notify.program);
        }
        syscalls::ppoll(&mut fds, None, Why("the program's end, or a signal to hand on")).map_err(failed)?;
        if let Some(notify) = &notify {
            notify.carry();
        }
        if fds[1].revents != 0 {
            match signal(&signals)? {
                libc::SIGCHLD => {}
                signal => hand_on(init, signal),
            }
        } else if fds[0].revents != 0 {
            return status(init);
        }
    }
}

/// The status of a process that has ended, once its parent has waited for it.
fn status(init: &Fd) -> Result<i32, Error> {
    for _ in 0..50 {
        match syscalls::pidfd_exit(init.at(), Why("the status that the program ended with")) {
            Ok(Some(ended)) => return Ok(ended.status()),
            Ok(None) => {}
            Err(f) if f.errno == Errno::ESRCH => {}
            Err(_) => break,
        }
        let mut fds = [PollFd { fd: init.at().raw(), events: 0, revents: 0 }];
        let why = Why("its parent has to wait for it first");
        syscalls::ppoll(&mut fds, Some(100), why).doing("wait for the program")?;
    }
    Err(Error::State(
        "the program has ended, but this kernel does not tell its status to others than its parent (Linux 6.15 does)"
            .into(),
    ))
}
