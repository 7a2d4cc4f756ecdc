//! `start`: releases a created container, and says whether its program could be executed. May touch: everything from `say`
//! down.

use super::context::{Context, step};
use super::end;
use super::notify::Between;
use super::wait::{Foreground, Waited};
use super::watcher::{self, Watcher};
use super::{delete, hooks};
use crate::cause::{self, Root, Scene};
use crate::cli::{self, Level};
use crate::ended::Over;
use crate::host::procfs::{self, Life};
use crate::host::{cgroup, patience};
use crate::outcome::{Check, Error, Lane, Stopped, Trouble, at};
use crate::perform::sync;
use crate::plan::cgroup::scope::Manager;
use crate::plan::{self, Op, Plan, Step, Wish};
use crate::say::error::{Said, found, stopped};
use crate::say::{out, tell};
use crate::spec::{self, Spec};
use crate::state::attempts::{self, Attempt};
use crate::state::recorder::{self, LastExecve};
use crate::state::{self, Now, Saved, Status, Whole};
use syscalls::{At, AtFlags, Errno, Fd, OpenFlags, SigSet, Why};

/// `start`, and with `--attach` also the wait for the program's end.
#[inline(never)]
pub fn start(context: &mut Context, options: &cli::Start) -> Result<i32, Error> {
    step(Step::Start);
    let id = &options.id;
    let (root, dir) = context.container(id)?;
    let dir = context.recording.join(dir);
    let whole = state::load_whole(dir, id)?;
    let now = startable(dir, &whole.saved)?;
    Context::may_run_hooks(&whole.saved)?;
    let watcher = begin_watch(options, dir, &whole)?;
    let Released { fifo, report, notify } = release(context, options, dir, whole.saved.pid)?;
    step(Step::Program);
    let refused = refused(context, dir, &whole, &now, report)?;
    tell::watch(None);
    if refused.is_some() {
        let_end(&fifo, now.init.as_ref());
        let (bundle, config) =
            (whole.saved.bundle_path.clone(), whole.configuration().map(|text| text.to_vec().into()));
        attempts::note(dir, &Attempt { bundle, words: Vec::new(), config: config.unwrap_or_default() });
    }
    if let Some(Refused { error, by_hook }) = refused {
        if by_hook {
            delete::destroy(context, &root, &whole.saved, now.init.as_ref())?;
        }
        return Err(error);
    }
    // The document stays as it is: that the program runs, the kernel tells.
    recorder::execve_succeeded(dir);
    let saved = whole.saved;
    context.log.say(Level::Info, &format!("container {id}: running"));
    if let Some(list) = &saved.hooks
        && let Err(error) = hooks::poststart(&saved, list, saved.pid)
    {
        delete::destroy(context, &root, &saved, now.init.as_ref())?;
        return Err(error);
    }
    match (options.attach, now.init, notify) {
        (true, Some(process), notify) => {
            let wait =
                Foreground { process: &process, pid: saved.pid, child: false, notify, master: None, handed: None };
            let Waited { ended, handed } = wait.wait()?;
            let spec = spec::parse(&whole.configuration).ok();
            let over = Over {
                saved: &saved,
                spec: spec.as_deref(),
                pid: saved.pid,
                first: true,
                ended: Some(ended),
                handed,
                dir: Some(dir),
                hierarchy: None,
            };
            end::keep(context, dir, id, end::tell(context, &over));
            watcher.map_or(Ok(()), Watcher::tell)?;
            Ok(ended.status())
        }
        (false, Some(init), Some(notify)) => notify.until_ready(&init).map(|()| 0),
        (_, init, _) => {
            // The end of this process closes them.
            for open in [Some(root), Some(fifo), init, now.procfs].into_iter().flatten() {
                open.leak();
            }
            Ok(0)
        }
    }
}

/// With `--watch`: a process that sees the program's calls.
fn begin_watch(options: &cli::Start, dir: At, whole: &Whole) -> Result<Option<Watcher>, Error> {
    let Some(what) = options.watch else {
        return Ok(None);
    };
    recorder::share()?;
    let (spec, saved) = (whole.spec()?, &whole.saved);
    let act = watcher::engine(what, &spec, &saved.cgroup_path);
    Watcher::begin(saved.pid, dir, &*act).map(Some).map_err(|trouble| failed(&saved.id, trouble))
}

/// The container as it is, if it can be started.
fn startable(dir: At, saved: &Saved) -> Result<Now, Error> {
    let (id, now) = (&saved.id, state::now(dir, saved)?);
    if now.status != Status::Created {
        let word = now.status.word();
        return Err(Error::State(format!(
            "cannot start a container that is {word}: {id}: only a created one can be started"
        )));
    }
    // In a frozen cgroup init would not go on. Without a hierarchy this program has frozen nothing.
    if saved.cgroup_path.is_empty() {
        return Ok(now);
    }
    let root = cgroup::open_root().ok().flatten();
    let frozen = root.filter(|root| cgroup::is_frozen_at(root.at(), &saved.cgroup_path));
    let pair = frozen.and_then(|_| cgroup::open_pair(&saved.cgroup_path).ok().flatten());
    let Some((_, group)) = pair else {
        return Ok(now);
    };
    match (state::look(dir, saved)?.status, cause::cgroup::stopped(group.at())) {
        (Status::Paused, _) | (_, None) => {
            Err(Error::State(format!("cannot start a container that is paused: {id}; `resume` it first")))
        }
        (_, Some(above)) => Err(found(above, None)),
    }
}

/// An init that has stopped waits until the look at it is over.
fn let_end(fifo: &Fd, init: Option<&Fd>) {
    const MOMENT: u64 = 1000;
    out::ignore_sigpipe();
    let why = Why("the look is over: an init that waits for that ends");
    let _ = syscalls::write(fifo.at(), &[0], why);
    let why = Why("the container shall be stopped when this command has ended");
    let init = init.map_or(patience::NONE, Fd::at);
    let _ = patience::readable([init, patience::NONE], Some(MOMENT), why, patience::nothing);
}

/// What comes of an init that goes on: the fifo that lets it, its report, and the program's messages for a service manager.
struct Released {
    fifo: Fd,
    report: Fd,
    notify: Option<Between>,
}

/// Lets init go on.
fn release(context: &Context, options: &cli::Start, dir: At, pid: i32) -> Result<Released, Error> {
    let id = &options.id;
    let failed = |failed| at(format_args!("start {id}"), failed);
    let caller = Between::caller(dir)?;
    let flags = OpenFlags::O_WRONLY | OpenFlags::O_NONBLOCK | OpenFlags::O_NOFOLLOW;
    let why = Why("init waits at its other end");
    let fifo = syscalls::openat(dir, sync::START, flags, why).map_err(failed)?;
    let flags = OpenFlags::O_NONBLOCK | OpenFlags::O_NOFOLLOW;
    let why = Why("it ends when init's execve succeeds");
    let report = syscalls::openat(dir, sync::REPORT, flags, why).map_err(failed)?;
    let why = Why("of several `start` at once, only the one that removes the name goes on");
    match syscalls::unlinkat(dir, sync::START, AtFlags::NONE, why) {
        Err(f) if f.errno == Errno::ENOENT => {
            return Err(Error::State(format!(
                "cannot start a container that is running: {id}: another command has just started it"
            )));
        }
        other => other.map_err(failed)?,
    }
    let service = if options.attach { context.pid } else { pid };
    let notify = caller.map(|caller| Between::begin(dir, caller, service)).transpose()?;
    if options.attach {
        syscalls::rt_sigprocmask(SigSet::HELD, Why("from now on signals are for the program")).map_err(failed)?;
    }
    if tell::is_on() {
        tell::watch(recorder::creation(dir));
    }
    tell::words("go", &[id]);
    syscalls::write(fifo.at(), &[0], Why("this byte lets init go on to execve")).map_err(failed)?;
    Ok(Released { fifo, report, notify })
}

/// Why the program does not run.
struct Refused {
    error: Error,
    /// A hook has failed: that ends the container.
    by_hook: bool,
}

/// Waits until the program runs, or cannot. As a rule init's report ends empty: init has executed the program. Where init
/// is dead or still this program, the trace says whether its execve failed. Without a trace the program counts as run.
fn refused(context: &mut Context, dir: At, whole: &Whole, now: &Now, report: Fd) -> Result<Option<Refused>, Error> {
    let saved = &whole.saved;
    let why = Why("init's end of it is close-on-exec: it ends when execve succeeds");
    let alive = now.init.as_ref().map_or(patience::NONE, Fd::at);
    let word = sync::last_word(report.at(), alive, why).map_err(|trouble| failed(&saved.id, trouble))?;
    drop(report);
    if let Some(report) = word.report() {
        let stop = Stopped { lane: Lane::Init, line: report.line, trouble: report.trouble };
        return Ok(Some(told(context, dir, whole, stop, word.rest())));
    }
    if !word.bytes().is_empty() {
        let id = &saved.id;
        let text =
            format!("start {id}: its program does not run; another version of this program created it and knows why");
        return Ok(Some(Refused { error: Error::State(text), by_hook: false }));
    }
    if let Some(procfs) = &now.procfs
        && procfs::life_in(procfs.at(), saved.pid, saved.start_time)? == Life::Executed
    {
        return Ok(None);
    }
    Ok(match recorder::last_execve(dir) {
        LastExecve::Failed(failed) => {
            let stop = Stopped { lane: Lane::Init, line: 0, trouble: Trouble::Call(failed) };
            Some(told(context, dir, whole, stop, 0))
        }
        LastExecve::None => {
            let error = failed(&saved.id, Trouble::Check(Check::InitVanished));
            Some(Refused { error, by_hook: false })
        }
        LastExecve::OnItsWay | LastExecve::Unknown => None,
    })
}

/// The error of a line that failed in init after `start`, in the words that `run` has for it. `rest`: how many lines of the
/// plan come after it.
fn told(context: &mut Context, dir: At, whole: &Whole, stop: Stopped, rest: usize) -> Refused {
    let spec = whole.spec().ok();
    let plan = spec.as_ref().and_then(|spec| plan_again(context, whole, spec).ok());
    let line = plan.as_ref().and_then(|plan| plan.init.iter().rev().nth(rest));
    let by_hook = line.is_some_and(|line| matches!(line.op, Op::Hooks(_)));
    let said = if by_hook { hooks::said(dir) } else { String::new() };
    let (pid, Stopped { lane, trouble, .. }) = (whole.saved.pid, stop);
    let spec = spec.as_deref();
    let scene = Scene { line, lane, trouble, spec, pid, root: Root::Of(pid), lanes: None, said: &said };
    Refused { error: stopped(&Said::by(whole.saved.config_file()), stop, &scene), by_hook }
}

/// A plan for the container's configuration. Its lines after `start` are those of the plan that `create` has made; the lines
/// before can depend on options of that command.
fn plan_again(context: &mut Context, whole: &Whole, spec: &Spec) -> Result<Plan, Error> {
    let saved = &whole.saved;
    context.host.look();
    let manager = saved.scope.as_ref().map(|(_, sockets)| Manager {
        sockets: sockets.clone(),
        base: String::new(),
        user: context.host.uid != 0 || context.host.nested,
    });
    let wish = Wish {
        wait_for_start: true,
        cgroup: !saved.cgroup_path.is_empty(),
        manager: manager.as_ref(),
        ..context.wish(&saved.id, &saved.bundle_path)
    };
    plan::create(spec, &wish).map_err(|problem| Error::Spec { file: saved.config_file(), problem })
}

fn failed(id: &str, trouble: Trouble) -> Error {
    match trouble {
        Trouble::Call(failed) => at(format_args!("start {id}"), failed),
        Trouble::Check(check) => Error::State(format!("start {id}: {}", check.text())),
        Trouble::Hook(_) => Error::State(format!("start {id}: a hook failed")),
    }
}
