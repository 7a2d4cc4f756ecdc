//! `plan --diff` and `trace --diff`: two plans, two traces. May touch: everything below.

use super::bundle::{self, Bundle};
use super::context::Context;
use super::planned;
use crate::cli::{self, InspectFormat, Shown};
use crate::compare;
use crate::host::input::c;
use crate::outcome::{Error, at};
use crate::say::out;
use crate::spec::Value;
use crate::state::{attempts, traces};
use crate::trace::{self, Entry, Filter, Piece};
use syscalls::{At, AtFlags, Errno, Why};

/// The status where both are the same, and where they differ (diff(1)).
const SAME: i32 = 0;
const DIFFER: i32 = 1;

/// Where both plans say that their bundles lie: the place of a bundle is no difference.
const BUNDLE: &str = "/BUNDLE";

/// `plan --diff`.
pub fn plans(context: &Context, options: &cli::PlanCmd) -> Result<i32, Error> {
    let [first, second] = options.names.as_slice() else {
        return Err(Error::Usage("plan: --diff takes two bundles, files or IDs".into()));
    };
    let bundles = [side(context, first)?, side(context, second)?];
    let plan = |bundle: &Bundle| planned::plan(context, options, bundle, BUNDLE);
    let plans = [plan(&bundles[0])?, plan(&bundles[1])?];
    let configs = [document(&bundles[0])?, document(&bundles[1])?];
    let compared = compare::compared([&plans[0], &plans[1]], [&configs[0], &configs[1]]);
    let text = match options.format {
        Some(InspectFormat::Json) => compare::document(&compared),
        _ => {
            let screen = trace::screen(Some(At::STDOUT), options.color.unwrap_or_default());
            compare::page(&compared, [first, second], screen)
        }
    };
    out::stdout(&text)?;
    Ok(if compared.is_same() { SAME } else { DIFFER })
}

/// `trace --diff`. Without `--all` the calls are left out that keep the container's state and its trace.
pub fn traces(context: &Context, options: &cli::TraceCmd, filter: &Filter) -> Result<i32, Error> {
    let [first, second] = options.ids.as_slice() else {
        return Err(Error::Usage("trace: --diff takes two IDs".into()));
    };
    let root = context.open_root()?;
    let named = [traces::named(first)?, traces::named(second)?];
    let find = |side: usize| traces::of(root.as_ref(), named[side].0, named[side].1);
    let found = [find(0)?, find(1)?];
    let pieces = [0, 1].map(|side: usize| found[side].pieces.iter().map(|bytes| Piece::new(bytes)).collect::<Vec<_>>());
    let shows = |entry: &Entry| filter.shows(entry) && (options.all || !keeps_records(entry));
    let entries = [0, 1].map(|side: usize| {
        let all = trace::entries(&pieces[side], true).into_iter();
        all.filter(|entry| shows(entry)).collect::<Vec<_>>()
    });
    let compared = compare::calls([&entries[0], &entries[1]], [named[0].0, named[1].0]);
    let text = match options.format == Shown::JSON {
        true => compare::document_of_calls(&compared),
        false => {
            let screen = trace::screen(Some(At::STDOUT), options.color);
            compare::page_of_calls(&compared, [first, second], options.all, screen)
        }
    };
    out::stdout(&text)?;
    Ok(if compared.is_same() { SAME } else { DIFFER })
}

/// Whether a call is about what is remembered of containers, and about this program: that depends on what else is there.
fn keeps_records(entry: &Entry) -> bool {
    let file = entry.r.source().file;
    // How long a command waited for its program is told.
    let waits = entry.r.name() == "rt_sigtimedwait";
    let own = ["state/", "say/", "syscalls/", "host/", "main.rs", "commands/", "entry/"];
    entry.is_aside()
        || entry.r.line == 0 && !waits && !entry.is_programs() && own.iter().any(|room| file.starts_with(room))
}

/// A bundle's directory, a file, or else the configuration that was kept with a trace.
fn side(context: &Context, name: &str) -> Result<Bundle, Error> {
    let why = Why("the name can be that of a bundle, of a file, or of a container");
    match syscalls::newfstatat(At::CWD, &c(name)?, AtFlags::NONE, why) {
        Ok(found) if found.st_mode & libc::S_IFMT == libc::S_IFDIR => bundle::read(Some(name), None),
        Err(failed) if failed.errno == Errno::ENOENT && !name.contains('/') => kept(context, name),
        Err(failed) if failed.errno != Errno::ENOENT => Err(at(format_args!("look at {name}"), failed)),
        _ => bundle::read(None, Some(name)),
    }
}

fn kept(context: &Context, name: &str) -> Result<Bundle, Error> {
    let (id, run) = traces::named(name)?;
    let found = attempts::find(context.open_root()?.as_ref(), id, run);
    let attempt = found.map_err(|error| match error {
        Error::State(text) => Error::State(format!("{name}: no such file or directory, and {text}")),
        other => other,
    })?;
    bundle::of_text(attempt.bundle, attempt.config.into_owned(), format!("the config.json in the trace of {name}"))
}

fn document(bundle: &Bundle) -> Result<Value, Error> {
    serde_json::from_slice(bundle.text).map_err(|error| Error::State(format!("{}: {error}", bundle.file)))
}
