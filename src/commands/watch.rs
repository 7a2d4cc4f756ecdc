//! `watch`: what the programs of a running container are refused, while they run. May touch: everything from `say` down.

use super::context::{Context, Found, find, step};
use super::ours;
use crate::cli::{self, Format, TraceCmd, Watched};
use crate::host::{cgroup, input, procfs};
use crate::outcome::{Doing, Error, Trouble, at};
use crate::perform::watch::{self, Watcher};
use crate::plan::Step;
use crate::say::out;
use crate::state::{self, Saved, Status};
use crate::trace::{self, Filter, Live, Piece, View};
use crate::watch::refused::{self, Confinement, Refusal};
use crate::watch::{Engine, refusals};
use syscalls::record::{self, Record};
use syscalls::{At, Call, Fd, PollFd, SigSet, WaitFlags, Why};

/// How often new records are looked for, in milliseconds.
const EVERY: u64 = 50;
/// The signals that end the watch.
const ENDS: SigSet = SigSet::EMPTY.with(libc::SIGTERM).with(libc::SIGINT).with(libc::SIGHUP);

/// `watch`.
#[inline(never)]
pub fn watch(context: &mut Context, options: &cli::Watch) -> Result<i32, Error> {
    step(Step::Look);
    let id = &options.id;
    let found = find(context, id)?;
    if !matches!(found.now.status, Status::Running | Status::Paused) {
        let word = found.now.status.word();
        return Err(Error::State(format!(
            "cannot watch a container that is {word}: {id}: only a running one can be watched; `start --watch` watches from the first call on"
        )));
    }
    untraced(id, found.saved.pid)?;
    state::recorder::share()?;
    let why = Why("a signal ends the watch, and leaves the container as it is");
    // They stay held: one that has ended the watch must not end this command before it has told what it saw.
    syscalls::rt_sigprocmask(SigSet::HELD, why).doing(format_args!("watch {id}"))?;
    let Watcher { process, file, channel } = begin(&found, options)?;
    context.recording.write(&context.root);
    show(&process, &file, channel, options.format).doing(format_args!("watch {id}"))??;
    let all = refusals(&[input::read_recorder(file.at()).doing("read the calls of the program")?]);
    let gap = if options.format == Format::Json { "" } else { "\n" };
    out::stdout(&format!("{gap}{}", text(&all, options.format == Format::Json))).map(|()| 0)
}

/// Lets a process trace all that the container has.
fn begin(found: &Found, options: &cli::Watch) -> Result<Watcher, Error> {
    let (id, saved) = (&options.id, &found.saved);
    let whole = state::load_whole(found.dir, id)?;
    let spec = whole.spec()?;
    let what = if options.all { Watched::All } else { Watched::Refused };
    let act = |_: i32, command: Option<i32>| {
        let mut engine = Engine::new(what, Confinement::new(&spec, &saved.cgroup_path));
        engine.attach(command, &|| processes(saved));
        engine.run();
    };
    let why = Why("a process beside the container sees its calls");
    let begun = watch::clone(found.dir, &act, false, why)
        .and_then(|watcher| watch::begin(&watcher.channel, saved.pid, why).map(|()| watcher));
    begun.map_err(|trouble| match trouble {
        Trouble::Call(failed) => at(format_args!("watch {id}"), failed),
        Trouble::Check(check) => Error::State(format!("watch {id}: {}", check.text())),
        Trouble::Hook(_) => Error::State(format!("watch {id}: a hook failed")),
    })
}

/// What was refused, in all.
pub fn text(all: &[Refusal], json: bool) -> String {
    match json {
        true => format!("{}\n", serde_json::to_string(all).unwrap_or_default()),
        false if all.is_empty() => String::from("The container refused no call that was watched.\n"),
        false => refused::summary(all),
    }
}

/// Refuses a container if its first process has a tracer already: the kernel allows one.
fn untraced(id: &str, pid: i32) -> Result<(), Error> {
    let status = procfs::text(pid, "status", Why("a process has one tracer")).doing(format_args!("watch {id}"))?;
    match procfs::field(&status, "TracerPid") {
        "" | "0" => Ok(()),
        tracer => Err(Error::State(format!(
            "process {tracer} traces container {id} already, and a process has one tracer: `trace --follow {id} --lane program` shows what another watcher sees"
        ))),
    }
}

/// The processes of a container: those in its cgroup, and what its first process has begun.
fn processes(saved: &Saved) -> Vec<i32> {
    let why = Why("each process of the container is watched");
    let mut all = vec![saved.pid];
    if let Ok(Some((_, group))) = cgroup::open_pair(&saved.cgroup_path)
        && !saved.cgroup_path.is_empty()
    {
        let own = match saved.made() {
            0 => ours::mark(saved).and_then(|mark| ours::alike(group.at(), saved, mark)),
            _ => cgroup::processes(group.at(), why),
        };
        all.extend(own.unwrap_or_default().into_iter().filter(|pid| *pid != saved.pid));
    }
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let children = procfs::children(pid);
        all.extend(children.into_iter().filter(|child| !all.contains(child)).collect::<Vec<_>>());
        at += 1;
    }
    all
}

/// Shows the calls as they are made, until the watcher ends. A signal lets it end: then the channel to it is closed.
fn show(process: &Fd, file: &Fd, channel: Fd, format: Format) -> syscalls::Result<Result<(), Error>> {
    let why = Why("a signal ends the watch, and leaves the container as it is");
    let signals = syscalls::signalfd4(ENDS, why)?;
    let look = TraceCmd::default();
    let filter = Filter::default();
    let screen = trace::screen(Some(At::STDOUT), cli::Color::Auto);
    let mut view = Live::new(View { format, look: &look, filter: &filter, screen, epoch: trace::epoch() });
    let (mut tail, mut channel) = (Tail::default(), Some(channel));
    loop {
        let row = |fd: At| PollFd { fd: fd.raw(), events: libc::POLLIN, revents: 0 };
        let mut fds = [row(process.at()), row(if channel.is_some() { signals.at() } else { At::from_raw(-1) })];
        syscalls::ppoll(&mut fds, Some(EVERY), Why("the watcher's end, a signal, or new calls"))?;
        let bytes = input::read_recorder(file.at())?;
        let mut text = String::new();
        let gone = fds[0].revents != 0;
        tail.show(&bytes, gone, &mut view, &mut text);
        if !text.is_empty()
            && let Err(error) = out::stdout(&text)
        {
            return Ok(Err(error));
        }
        if gone {
            let _ = syscalls::waitid_pidfd(process.at(), WaitFlags::WNOHANG, Why("it would stay a zombie"));
            return Ok(Ok(()));
        }
        if fds[1].revents != 0 {
            channel = None;
        }
    }
}

/// What of the file was shown.
#[derive(Default)]
struct Tail {
    /// The end of the records that were looked at.
    end: u32,
    /// The places of calls that had not returned.
    open: Vec<u32>,
}

impl Tail {
    /// Writes the records of calls that have returned since the last time; with `all` the others, too.
    fn show(&mut self, bytes: &[u8], all: bool, view: &mut Live, text: &mut String) {
        let piece = Piece::new(bytes);
        let before = self.end;
        let mut places = core::mem::take(&mut self.open);
        places.extend(record::offsets(bytes).filter(|at| *at >= before));
        for at in places {
            let Some(r) = Record::read(bytes, at) else { continue };
            self.end = self.end.max(at + record::entry_size(bytes, at as usize).unwrap_or(0) as u32);
            // This call does not return.
            let last = all || ["exit", "exit_group"].contains(&r.name());
            if r.state == record::RETURNED || last {
                if r.call != Call::CAUSE {
                    view.show(&piece, r, text);
                }
            } else {
                self.open.push(at);
            }
        }
    }
}
