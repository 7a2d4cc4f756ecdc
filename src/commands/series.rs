//! `run --repeat`: a bundle again and again, and how long its starts took. Each run is a process of its own, as if the caller had
//! typed it, and its container is gone before the next begins. May touch: everything below.

use super::context::{Context, step};
use super::learn::ours;
use crate::cli;
use crate::outcome::{Doing, Error};
use crate::plan::Step;
use crate::say::out;
use crate::state::{self, traces};
use crate::trace::{Piece, Series, Start, fit};
use syscalls::{Fd, PollFd, SigSet, Why};

/// The status of a command that SIGINT ends. Other signals that end the runs have the same one.
const INTERRUPTED: i32 = 128 + libc::SIGINT;

/// How a run went.
enum Went {
    Well(i32),
    /// Its program has not begun: the exit status of the run.
    Badly(i32),
    /// The caller wants no more of them.
    Interrupted,
}

/// `run --repeat`.
#[inline(never)]
pub fn series(context: &Context, run: &cli::Run, times: usize) -> Result<i32, Error> {
    step(Step::Look);
    let create = &run.create;
    if context.globals.trace_limit == 0 {
        return Err(Error::Usage("run: --repeat reads the trace of each run, and --trace-limit 0 keeps none".into()));
    }
    let why = Why("a signal shall end the runs between two calls of this program, and leave no container");
    syscalls::rt_sigprocmask(SigSet::HELD, why).doing("hold signals back")?;
    let signals = syscalls::signalfd4(ENDS, why).doing("hold signals back")?;
    let mut series = Series::default();
    let status = all(context, create, times, &signals, &mut series);
    if let Some(text) = told(context, create, times, &series) {
        out::stdout(&text)?;
    }
    status
}

/// The runs, up to the last or to one that fails. Returns the first exit status that is not 0.
fn all(context: &Context, create: &cli::Create, times: usize, signals: &Fd, series: &mut Series) -> Result<i32, Error> {
    let mut status = 0;
    let mut kept: Vec<usize> = Vec::new();
    for number in 1..=times {
        match once(context, create, number, series)? {
            Went::Well(ended) if status == 0 => status = ended,
            Went::Well(_) => {}
            Went::Badly(ended) => return Ok(ended),
            Went::Interrupted => return Ok(INTERRUPTED),
        }
        kept.push(number);
        thin_out(context, create, series, &mut kept)?;
        if told_to_end(signals)? {
            return Ok(INTERRUPTED);
        }
    }
    Ok(status)
}

/// Removes the traces of this series but for the last run's, and those of the fastest and of the slowest, which the table names.
fn thin_out(context: &Context, create: &cli::Create, series: &Series, kept: &mut Vec<usize>) -> Result<(), Error> {
    let (Some((fastest, slowest)), Some(root)) = (series.ends(), context.open_root()?) else {
        return Ok(());
    };
    let needed = [fastest + 1, slowest + 1, series.runs()];
    for number in kept.iter().filter(|number| !needed.contains(number)) {
        traces::forget(&root, &run_id(create, *number));
    }
    kept.retain(|number| needed.contains(number));
    Ok(())
}

fn run_id(create: &cli::Create, number: usize) -> String {
    format!("{}-{number}", create.id)
}

/// The signals that ask this program to end.
const ENDS: SigSet = SigSet::EMPTY.with(libc::SIGTERM).with(libc::SIGINT).with(libc::SIGHUP);

fn told_to_end(signals: &Fd) -> Result<bool, Error> {
    let mut fds = [PollFd { fd: signals.at().raw(), events: libc::POLLIN, revents: 0 }];
    let why = Why("a signal may ask this program to end");
    Ok(syscalls::ppoll(&mut fds, Some(0), why).doing("look for signals")? > 0)
}

/// One run, and its trace.
fn once(context: &Context, create: &cli::Create, number: usize, series: &mut Series) -> Result<Went, Error> {
    let id = run_id(create, number);
    state::check_id(&id)?;
    // This program deletes what an interrupted run leaves: that must not be another's container.
    if state::look_up(context.open_root()?.as_ref(), &id)?.is_some() {
        return Err(Error::State(format!("container {id} exists already: --repeat needs the name")));
    }
    let words = words(context, create, &id);
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let Some((status, said)) = ours::call_for(context, &words, None)? else {
        for _ in 0..3 {
            if ours::call_for(context, &["delete", "--force", &id], None)?.is_some() {
                break;
            }
        }
        return Ok(Went::Interrupted);
    };
    let found = traces::newest(context.open_root()?.as_ref(), &id);
    let pieces = found.map(|found| found.pieces).unwrap_or_default();
    let pieces: Vec<Piece> = pieces.iter().map(|bytes| Piece::new(bytes)).collect();
    let start = Start::of(&pieces);
    if !start.is_whole {
        out::stderr(&said);
        return Ok(Went::Badly(status.max(1)));
    }
    if number == 1 {
        out::stdout(&said)?;
    }
    series.add(&start);
    Ok(Went::Well(status))
}

/// What the caller would have typed.
fn words(context: &Context, create: &cli::Create, id: &str) -> Vec<String> {
    let globals = &context.globals;
    let mut words = vec![format!("--trace-limit={}", globals.trace_limit)];
    if let Some(rootless) = globals.rootless {
        words.push(format!("--rootless={rootless}"));
    }
    if globals.quiet {
        words.push("--quiet".into());
    }
    words.push("run".into());
    for (name, value) in [("--bundle", &create.bundle), ("--config", &create.config)] {
        words.extend(value.iter().map(|value| format!("{name}={value}")));
    }
    let switches = [
        ("--no-pivot", create.no_pivot),
        ("--no-new-keyring", create.no_new_keyring),
        ("--no-subreaper", create.no_subreaper),
    ];
    words.extend(switches.iter().filter(|(_, given)| *given).map(|(name, _)| String::from(*name)));
    words.push(id.into());
    words
}

/// The tables, and which runs to look at. None: there was no start.
fn told(context: &Context, create: &cli::Create, times: usize, series: &Series) -> Option<String> {
    let (fastest, slowest) = series.ends()?;
    let runs = match series.runs() {
        runs if runs == times => format!("{runs} starts"),
        runs => format!("{runs} of {times} starts"),
    };
    let (fastest, slowest) = (run_id(create, fastest + 1), run_id(create, slowest + 1));
    let more = context.trace_of(&slowest);
    let last = series.runs();
    let head = format!("{runs}: {} to {}", run_id(create, 1), run_id(create, last));
    let ends = format!("the fastest was {fastest}, the slowest {slowest}:");
    let wide = |text: &str| fit(text, 80, usize::MAX).join("\n");
    Some(format!(
        "\n{}\nA start is the time from the first call to execve of the program.\n\n{}\n{}\n{more} --timing\n",
        wide(&head),
        series.text(),
        wide(&ends)
    ))
}
