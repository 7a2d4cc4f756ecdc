//! `start`: releases a created container, and says whether its program could be executed. May touch: everything below.

use super::create::{hand_on, signal, waiting};
use super::notify::{Between, wait_for};
use super::{Context, delete, hooks, step};
use crate::cli::{self, Level};
use crate::error::{Error, at};
use crate::perform::{Trouble, listener, patience, sync};
use crate::plan::{self, Lane, Op, Step};
use crate::state::{self, Status};
use alloc::format;
use alloc::string::String;
use syscalls::record::{self, Record};
use syscalls::table::Call;
use syscalls::{Errno, Fd, PollFd, SigSet, Why};

/// `start`, and with `--attach` also the wait for the program's end.
pub fn start(context: &mut Context, options: &cli::Start) -> Result<i32, Error> {
    step(Step::Start);
    let id = &options.id;
    let root = context.open_root()?;
    let dir = state::find(root.as_ref(), id)?;
    crate::recorder::join(dir.at());
    let mut whole = state::load_whole(dir.at(), id)?;
    let now = state::now(dir.at(), &whole.saved)?;
    if now.status != Status::Created {
        let word = now.status.word();
        return Err(Error::State(format!(
            "cannot start a container that is {word}: {id}: only a created one can be started"
        )));
    }
    let saved = &whole.saved;
    let failed = |failed| at(format!("start {id}"), failed);

    let caller = Between::caller(dir.at())?;
    // Of several who start at once, the one that takes the name away has the right to.
    let flags = (libc::O_WRONLY | libc::O_NONBLOCK | libc::O_NOFOLLOW) as u32;
    let fifo = syscalls::openat(
        dir.at(),
        sync::START,
        flags,
        "start fifo",
        Why("init waits at its other end"),
    )
    .map_err(failed)?;
    let report = syscalls::openat(
        dir.at(),
        sync::REPORT,
        (libc::O_NONBLOCK | libc::O_NOFOLLOW) as u32,
        "report fifo",
        Why("its end tells that execve succeeded"),
    )
    .map_err(failed)?;
    match syscalls::unlinkat(
        dir.at(),
        sync::START,
        0,
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
        syscalls::rt_sigprocmask(SigSet::ALL, Why("from now on signals are for the program"))
            .map_err(failed)?;
    }
    syscalls::write(fifo.at(), &[0], Why("this byte lets init go on to execve")).map_err(failed)?;
    drop(fifo);
    if let (Some(listener), Some(init)) = (&saved.listener, &now.init) {
        pass_listener(saved, listener, init, report.at())?;
    }
    step(Step::Program);
    let end = sync::exec_end(
        report.at(),
        now.init.as_ref().map_or(patience::NONE, Fd::at),
        Why("init's end of it is close-on-exec: it ends when execve succeeds"),
    );
    drop(report);
    match end {
        Ok(None) => {}
        Ok(Some(stop)) => {
            let error = failed_inside(dir.at(), &whole, stop);
            if let (true, Some(root)) = (is_hook(stop.trouble), &root) {
                drop(dir);
                delete::destroy(context, root, saved, now.init.as_ref())?;
            }
            return Err(error);
        }
        Err(Trouble::Check(check)) => {
            return Err(Error::State(format!("start {id}: {}", check.text())));
        }
        Err(Trouble::Call(f)) => return Err(failed(f)),
        Err(Trouble::Hook(_)) => {
            return Err(Error::State(format!("start {id}: a hook failed")));
        }
    }
    whole.saved.state = "running".into();
    state::save(dir.at(), &whole)?;
    let saved = whole.saved;
    context
        .log
        .say(Level::Info, &format!("container {id}: running"));
    if let (Some(list), Some(root)) = (&saved.hooks, &root)
        && let Err(error) = hooks::poststart(&saved, list, saved.pid)
    {
        drop(dir);
        delete::destroy(context, root, &saved, now.init.as_ref())?;
        return Err(error);
    }
    waiting(|| match (options.attach, now.init, notify) {
        (true, Some(init), notify) => watch(&init, notify),
        (false, Some(init), Some(notify)) => notify.until_ready(&init).map(|()| 0),
        _ => Ok(0),
    })
}

/// The filter is loaded only now, so its listener is there only now.
fn pass_listener(
    saved: &state::Saved,
    (path, metadata): &(String, String),
    init: &Fd,
    report: syscalls::At,
) -> Result<(), Error> {
    let failed = |trouble| match trouble {
        Trouble::Call(failed) => at(format!("pass the seccomp listener to {path}"), failed),
        _ => Error::State(format!(
            "pass the seccomp listener to {path}: init has stopped"
        )),
    };
    let why = Why("whoever listens there answers for the calls that the profile asks about");
    let Some(number) = listener::offered(report, why).map_err(failed)? else {
        return Ok(()); // init says in the report why it has stopped
    };
    let document = plan::seccomp::document(
        &saved.oci_version,
        metadata,
        crate::spec::state_document(
            &saved.oci_version,
            &saved.id,
            &saved.bundle_path,
            "created",
            &saved.annotations,
        ),
        None,
    );
    let to = state::c(path)?;
    let passed = listener::pass(init.at(), number, &to, &document, saved.pid, why);
    if passed.is_err() {
        let why = Why("its calls would wait for somebody who never hears of them");
        let _ = syscalls::pidfd_send_signal(init.at(), libc::SIGKILL, why);
    }
    passed.map_err(failed)
}

/// Whether it was a hook that failed, or a call on its behalf.
fn is_hook(trouble: Trouble) -> bool {
    match trouble {
        Trouble::Hook(_) => true,
        Trouble::Call(failed) => Record::read(record::bytes(), failed.at)
            .is_some_and(|r| failed.at != record::NOWHERE && r.step == Step::Hooks as u16),
        Trouble::Check(_) => false,
    }
}

/// How many hooks init has run since it was told to go on, and the path of the last, by the record.
fn last_hook() -> (usize, String) {
    let (mut count, mut path) = (0, String::new());
    let bytes = record::bytes();
    for r in record::offsets(bytes).filter_map(|at| Record::read(bytes, at)) {
        if r.lane == Lane::Init as u8 && r.step == Step::Start as u16 {
            count = 0;
        }
        if r.lane == Lane::InnerHook as u8 && r.call == Call::Execve as u16 {
            count += 1;
            let name = r.blob(0).map_or(&[][..], |blob| blob.bytes);
            path = String::from_utf8_lossy(name).trim_end_matches('\0').into();
        }
    }
    (count, path)
}

/// What init reported. The plan is not at hand any more, but only hooks and execve come after `start`.
fn failed_inside(dir: syscalls::At, whole: &state::Whole, stop: crate::perform::Stopped) -> Error {
    if is_hook(stop.trouble) {
        let (count, path) = last_hook();
        let from = match count {
            0 => "/hooks/startContainer".into(),
            count => format!("/hooks/startContainer/{}", count - 1),
        };
        return crate::error::hook(&from, &path, stop.trouble, &hooks::said(dir));
    }
    let op = Op::Execve {
        argv: whole.program().into_iter().collect(),
        envp: alloc::vec::Vec::new(),
    };
    let line = plan::Line {
        op,
        step: Step::Program,
        from: "/process/args".into(),
        why: Why("the container's program"),
    };
    let plan = plan::Plan {
        host: alloc::vec::Vec::new(),
        bridge: alloc::vec::Vec::new(),
        init: alloc::vec![line],
        slots: 0,
    };
    crate::error::stopped(
        &plan,
        &crate::error::Said::default(),
        crate::perform::Stopped { line: 1, ..stop },
        "",
    )
}

/// Waits for the end of a process that is no child of ours, and hands signals on to it. Its parent has to wait for
/// it first: only then does the kernel tell others the status.
fn watch(init: &Fd, notify: Option<Between>) -> Result<i32, Error> {
    let failed = |failed| at("wait for the program".into(), failed);
    let signals = syscalls::signalfd4(
        SigSet::ALL,
        Why("signals and the program's end are waited for together"),
    )
    .map_err(failed)?;
    loop {
        let mut fds = [init, &signals, init].map(wait_for);
        if let Some(notify) = &notify {
            fds[2] = wait_for(&notify.program);
        }
        syscalls::ppoll(
            &mut fds,
            None,
            Why("the program's end, or a signal to hand on"),
        )
        .map_err(failed)?;
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
        let mut fds = [PollFd {
            fd: init.at().raw(),
            events: 0,
            revents: 0,
        }];
        let why = Why("its parent has to wait for it first");
        syscalls::ppoll(&mut fds, Some(100), why)
            .map_err(|failed| at("wait for the program".into(), failed))?;
    }
    Err(Error::State("the program has ended, but this kernel does not tell its status to others than its parent (Linux 6.15 does)".into()))
}
