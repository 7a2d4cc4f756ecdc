//! How a program ended, told: to the caller, in the log, in the trace, and for `state` and `events`. May touch: everything below.

use super::context::Context;
use crate::cause::Place;
use crate::cli::Level;
use crate::ended::{self, End, Over};
use crate::outcome::visible;
use crate::say::error::Said;
use crate::say::shape::Message;
use crate::say::{out, tell};
use crate::state::{self, Ending, Saved};
use syscalls::flags::signal_name;
use syscalls::{At, Ended, record};

/// Looks why a program ended, and tells it: in the trace and the log always; on standard error if the kernel or a limit has ended
/// it, where no log takes it.
pub fn tell(context: &Context, over: &Over) -> Ending {
    let end = ended::of(over);
    let ending = ending(&end, over.saved);
    if ending.cause.is_empty() {
        return ending;
    }
    let id = &over.saved.id;
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

/// Looks why a program ended, and tells it nowhere.
pub fn look(over: &Over) -> Ending {
    ending(&ended::of(over), over.saved)
}

/// The end in the form that is kept and shown.
fn ending(end: &End, saved: &Saved) -> Ending {
    let signal = match end.ended {
        Some(Ended::Killed { signal, .. }) => Some(signal_name(signal).to_string()),
        _ => None,
    };
    let place = match end.found.as_ref().and_then(|found| found.place.as_ref()) {
        Some(Place::Property(pointer)) => Said::by(saved.config_file()).property(pointer),
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
    let over = Over {
        saved,
        spec: spec.as_deref(),
        pid: saved.pid,
        first: true,
        ended,
        handed: None,
        dir: Some(dir),
        hierarchy: None,
    };
    let ending = look(&over);
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
