//! How a program ended, told: to the caller, in the log, in the trace, and for `state` and `events`. May touch: everything below.

use super::context::Context;
use crate::cause::Place;
use crate::cli::Level;
use crate::ended::{self, End, Over};
use crate::outcome::visible;
use crate::say::shape::Message;
use crate::say::{out, tell};
use crate::spec::Spec;
use crate::state::{self, Ending, Saved, traces};
use syscalls::flags::signal_name;
use syscalls::{At, Ended, Taken, record};

/// A program that this command has waited for, or found ended.
pub struct Program<'a> {
    pub saved: &'a Saved,
    /// The configuration: for `exec`, with the process that it has run.
    pub spec: Option<&'a Spec<'a>>,
    pub pid: i32,
    /// It was the container's first process.
    pub first: bool,
    pub ended: Option<Ended>,
    /// The last signal that this command has handed on to it.
    pub handed: Option<Taken>,
    /// The container's directory.
    pub dir: Option<At>,
    /// The open cgroup hierarchy, if this command has it.
    pub hierarchy: Option<At>,
}

impl Program<'_> {
    /// Looks why it ended.
    pub fn look(&self) -> End {
        let later = || self.dir.map_or_else(Vec::new, |dir| traces::later(dir, &self.saved.id));
        ended::of(&Over {
            saved: self.saved,
            spec: self.spec,
            pid: self.pid,
            first: self.first && self.saved.own_pids,
            ended: self.ended,
            handed: self.handed,
            later: &later,
            hierarchy: self.hierarchy,
        })
    }

    /// Looks why it ended, and tells it: in the trace and the log always; on standard error if the kernel or a limit has ended it,
    /// where no log takes it.
    pub fn tell(&self, context: &Context) -> Ending {
        let end = self.look();
        let ending = ending(&end);
        if ending.cause.is_empty() {
            return ending;
        }
        let id = &self.saved.id;
        record::remark(&sentence(&ending));
        tell::words("ended by", &[&ending.cause]);
        if context.globals.log.is_some() || tell::is_on() {
            let level = if end.by_kernel { Level::Warn } else { Level::Info };
            context.log.say(level, &format!("container {id}: {}", message(&ending, id).one()));
        } else if end.by_kernel && !context.globals.quiet {
            out::stderr(&message(&ending, id).text());
        }
        ending
    }
}

/// The end in the form that is kept and shown.
pub fn ending(end: &End) -> Ending {
    let signal = match end.ended {
        Some(Ended::Killed { signal, .. }) => Some(signal_name(signal).to_string()),
        _ => None,
    };
    let place = match end.found.as_ref().and_then(|found| found.place.as_ref()) {
        Some(Place::Property(pointer)) => format!("config.json {pointer}"),
        Some(Place::Other(words)) => words.clone(),
        None => String::new(),
    };
    let known = end.known.iter().map(|known| visible(known).into_owned()).collect();
    let (cause, cure) = end.found.as_ref().map_or_else(Default::default, |f| (f.cause.clone(), f.cure.clone()));
    let core_dumped = matches!(end.ended, Some(Ended::Killed { dumped: true, .. }));
    Ending { status: end.ended.map(Ended::status), signal, core_dumped, cause, place, known, cure }
}

/// The container's end, as `state` shows it: what a command has seen, or what is left to be seen.
pub fn of_stopped(dir: At, saved: &Saved) -> Option<Ending> {
    if let Some(ended) = &saved.ended {
        return Some(ended.clone());
    }
    let whole = state::load_whole(dir, &saved.id).ok()?;
    let spec = whole.spec().ok();
    let ended = crate::host::procfs::zombie(saved.pid, saved.start_time);
    let program = Program {
        saved,
        spec: spec.as_ref(),
        pid: saved.pid,
        first: true,
        ended,
        handed: None,
        dir: Some(dir),
        hierarchy: None,
    };
    let ending = ending(&program.look());
    (ending != Ending::default()).then_some(ending)
}

/// Keeps the end in the container's document, for `state`.
pub fn keep(context: &Context, dir: At, id: &str, ending: Ending) {
    let kept = state::load_whole(dir, id).and_then(|mut whole| {
        whole.saved.ended = Some(ending);
        state::save(dir, &whole)
    });
    if let Err(error) = kept {
        context.log.say(Level::Warn, &crate::say::error::line(&error));
    }
}

/// The cause and its place.
fn sentence(ending: &Ending) -> String {
    match ending.place.as_str() {
        "" => ending.cause.clone(),
        place => format!("{} ({})", ending.cause, visible(place)),
    }
}

fn message(ending: &Ending, id: &str) -> Message {
    let known = ending.known.iter().map(|known| ("known", known.clone()));
    let last = [("try", ending.cure.clone()), ("more", format!("nk-runtime trace {id}"))];
    let lines = known.chain(last).collect();
    Message { cause: ending.cause.clone(), place: ending.place.clone(), lines }
}
