//! `trace --format html`: what a page shows of its traces, beside their records: the configuration of each container, and its plan,
//! made anew. May touch: everything below.

use super::anew;
use super::channel::client;
use super::context::Context;
use crate::cli::TraceCmd;
use crate::draw::{self, Page};
use crate::host::input::{self, c};
use crate::outcome::{Doing, Error};
use crate::plan::{Plan, Step};
use crate::state::attempts;
use crate::state::traces::{self, Trace};
use crate::trace::{self, Filter, Piece};
use serde_json::Value;
use syscalls::{At, Errno, Fd, OpenFlags, Why};

/// What is known of one trace.
struct Known {
    name: String,
    trace: Trace,
    config: Option<Value>,
    plan: Option<Plan>,
}

/// The page of the traces that were asked for. It begins with the filter on.
pub fn page(context: &Context, options: &TraceCmd, filter: &Filter) -> Result<String, Error> {
    let root = context.open_root()?;
    let mut all = Vec::new();
    for (i, name) in options.ids.iter().enumerate() {
        let (id, place) = traces::named(name)?;
        let place = options.run.filter(|_| i == 0).unwrap_or(place);
        all.push(known(context, root.as_ref(), id, place)?);
    }
    let pieces: Vec<Vec<Piece>> = all.iter().map(|known| read(&known.trace)).collect();
    let pages: Vec<Page> = all.iter().zip(&pieces).map(|(known, pieces)| known.page(pieces)).collect();
    Ok(draw::html(&pages, &asked(options), filter))
}

/// The options that leave calls out, as they are typed.
fn asked(options: &TraceCmd) -> String {
    let with = |name: &'static str, words: &[String]| -> Vec<String> {
        words.iter().map(|word| format!("{name} {word}")).collect()
    };
    let mut all = [with("-e", &options.only), with("--lane", &options.lane), with("--step", &options.step)].concat();
    all.extend(options.failed.then(|| "--failed".into()));
    all.extend(options.line.map(|(first, last)| match first == last {
        true => format!("--line {first}"),
        false => format!("--line {first}-{last}"),
    }));
    all.join(" ")
}

impl Known {
    fn page<'a>(&'a self, pieces: &'a [Piece<'a>]) -> Page<'a> {
        let (config, plan) = (self.config.as_ref(), self.plan.as_ref());
        Page { name: &self.name, epoch: epoch(&self.trace, pieces), pieces, config, plan }
    }
}

fn known(context: &Context, root: Option<&Fd>, id: &str, place: usize) -> Result<Known, Error> {
    let mut trace = traces::of(root, id, place)?;
    if trace.ended.is_none() {
        trace.pieces.extend(client::machines(root, id));
    }
    let name = if place == 1 { id.into() } else { format!("{id}~{place}") };
    let pieces = read(&trace);
    let Some((bundle, text)) = configuration(root, id, place, &trace, &pieces)? else {
        return Ok(Known { name, trace, config: None, plan: None });
    };
    let waits = pieces.iter().skip(1).flat_map(Piece::records).any(|r| Step::of(r.step) == Step::Start);
    let plan = anew::plan(context, id, &bundle, &text, waits);
    let config = serde_json::from_slice(&text).ok();
    Ok(Known { name, trace, config, plan })
}

fn read(trace: &Trace) -> Vec<Piece<'_>> {
    trace.pieces.iter().map(|bytes| Piece::new(bytes)).collect()
}

/// What is added to the clock of records to get the time of day. The machine may have been started again since: its clock says nothing
/// of a trace that has ended. The name of that has the time at which it was kept.
pub fn epoch(trace: &Trace, pieces: &[Piece]) -> u64 {
    let Some(ended) = trace.ended else { return trace::epoch() };
    let brief = trace::brief(pieces);
    ended.saturating_sub(brief.kept.unwrap_or(brief.ended))
}

/// The bundle and the configuration of a container: that kept with its trace, or else that of the bundle.
fn configuration(
    root: Option<&Fd>,
    id: &str,
    place: usize,
    trace: &Trace,
    pieces: &[Piece],
) -> Result<Option<(String, Vec<u8>)>, Error> {
    match attempts::find(root, id, place) {
        Ok(attempt) => return Ok(Some((attempt.bundle, attempt.config.into_owned()))),
        // None is kept.
        Err(Error::State(_)) => {}
        Err(error) => return Err(error),
    }
    let Some((path, opened)) = pieces.first().and_then(Piece::config_file) else { return Ok(None) };
    let Some(bundle) = path.strip_suffix("/config.json") else { return Ok(None) };
    let text = unchanged(path, epoch(trace, pieces).wrapping_add(opened))?;
    Ok(text.map(|text| (bundle.into(), text)))
}

/// What a file holds, if it is there and was not written since that time.
fn unchanged(path: &str, since: u64) -> Result<Option<Vec<u8>>, Error> {
    let why = Why("the page shows what in the configuration asked for a call");
    // O_NONBLOCK: opening a fifo would wait for its other end.
    let flags = OpenFlags::O_NOFOLLOW | OpenFlags::O_NONBLOCK;
    let gone = [Errno::ENOENT, Errno::ENOTDIR, Errno::ELOOP, Errno::EACCES, Errno::ENXIO];
    let file = match syscalls::openat(At::CWD, &c(path)?, flags, why) {
        Err(failed) if gone.contains(&failed.errno) => return Ok(None),
        opened => opened.doing(format_args!("open {path}"))?,
    };
    let look = Why("a configuration that was changed since is not that of the container");
    let stat = syscalls::fstat(file.at(), look).doing(format_args!("look at {path}"))?;
    let written = (stat.st_mtime as u64).saturating_mul(1_000_000_000).saturating_add(stat.st_mtime_nsec as u64);
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG || written > since {
        return Ok(None);
    }
    input::read_all(file.at(), why).doing(format_args!("read {path}")).map(Some)
}
