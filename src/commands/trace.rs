//! `trace`: the records of a container that is there or gone. May touch: everything below.

use super::channel::client;
use super::context::{Context, step};
use super::{beside, diff, read, trace_page, watch};
use crate::cli::{Format, Picture, Shown};
use crate::outcome::Error;
use crate::plan::Step;
use crate::say::out;
use crate::state::attempts;
use crate::state::traces::{self, Listed};
use crate::trace::{self, Filter, Ink, Live, Piece, Start, View, timing};
use crate::watch::refusals;
use crate::{cli, draw, state};
use alloc::collections::BTreeSet;
use serde::Serialize;
use syscalls::record::{self, Record};
use syscalls::{At, Fd, Why};

/// How often `--follow` looks for new records, in milliseconds.
const EVERY: u64 = 50;
/// A call that takes longer than this is shown while it is still in the kernel.
const HANGS: u64 = 1_000_000_000;

/// `trace`.
#[inline(never)]
pub fn trace(context: &Context, options: &cli::TraceCmd) -> Result<i32, Error> {
    step(Step::Look);
    if options.only.iter().any(|word| word == "help") {
        return out::stdout(&trace::help()).map(|()| 0);
    }
    let filter = Filter::new(options)?;
    let json = options.format == Shown::JSON;
    if let Some(file) = &options.read {
        return read::read(options, file);
    }
    if let (Some(one), Some(other)) = (&options.beside, &options.against) {
        return read::against(context, options, [one, other]);
    }
    let [name, ..] = options.ids.as_slice() else {
        return list(context, json);
    };
    if options.diff {
        return diff::traces(context, options, &filter);
    }
    let screen = trace::screen(Some(At::STDOUT), options.color);
    let format = match options.format {
        Shown::View(format) => format,
        Shown::Picture(_) => Format::default(),
    };
    let mut view = View { format, look: options, filter: &filter, screen, epoch: trace::epoch() };
    let usage = |problem: &str| Err(Error::Usage(format!("trace: {problem}")));
    let (id, run) = traces::named(name)?;
    match (id == name, options.run, options.follow) {
        (false, Some(_), _) => return usage("ID~N and --run are the same; leave out one"),
        (false, _, true) => {
            return usage("ID~N is a trace that is kept, and --follow waits for new calls; leave out one");
        }
        (true, _, true) => return follow(context, id, view),
        _ => {}
    }
    if options.format == Shown::Picture(Picture::Html) && options.beside.is_none() {
        return out::stdout(&trace_page::page(context, options, &filter)?).map(|()| 0);
    }
    let root = context.open_root()?;
    if options.print_config {
        let attempt = attempts::find(root.as_ref(), id, options.run.unwrap_or(run))?;
        return out::stdout(&(String::from_utf8_lossy(&attempt.config).into_owned() + "\n")).map(|()| 0);
    }
    let mut found = traces::of(root.as_ref(), id, options.run.unwrap_or(run))?;
    if found.ended.is_none() {
        found.pieces.extend(client::machines(root.as_ref(), id));
    }
    if options.refused {
        return out::stdout(&watch::text(&refusals(&found.pieces), json)).map(|()| 0);
    }
    let pieces: Vec<Piece> = found.pieces.iter().map(|bytes| Piece::new(bytes)).collect();
    if let Some(file) = &options.beside {
        return beside::beside(name, &pieces, file, options, view.screen);
    }
    if options.timing {
        return out::stdout(&timing(name, &pieces, json)).map(|()| 0);
    }
    if let Shown::Picture(picture) = options.format {
        return out::stdout(&draw::draw(picture, name, &pieces)).map(|()| 0);
    }
    view.epoch = trace_page::epoch(&found, &pieces);
    out::stdout(&view.render(&pieces, name)).map(|()| 0)
}

/// Where the time of a start went.
fn timing(name: &str, pieces: &[Piece], json: bool) -> String {
    let start = Start::of(pieces);
    match json {
        true => timing::json(name, &start),
        false => timing::text(name, &start, Ink::of_environment()),
    }
}

/// What the list says of a trace.
#[derive(Serialize)]
struct Row {
    id: String,
    run: usize,
    began: String,
    took_ns: u64,
    calls: usize,
    refused: usize,
    /// Whether the container is there: its state; or how it ended.
    ended: String,
}

/// Without an id: the traces that can be asked for.
fn list(context: &Context, json: bool) -> Result<i32, Error> {
    let mut rows = Vec::new();
    if let Some(root) = context.open_root()? {
        for listed in traces::list(&root)? {
            rows.push(row(&root, listed));
        }
    }
    let text = match json {
        true => format!("{}\n", serde_json::to_string(&rows).unwrap_or_default()),
        false => table(&rows),
    };
    out::stdout(&text).map(|()| 0)
}

fn row(root: &Fd, listed: Listed) -> Row {
    let pieces: Vec<Piece> = listed.trace.pieces.iter().map(|bytes| Piece::new(bytes)).collect();
    let brief = trace::brief(&pieces);
    let epoch = listed.trace.ended.map_or_else(trace::epoch, |ended| ended.saturating_sub(brief.ended));
    let ended = match (listed.trace.ended, brief.failed, brief.program) {
        (None, ..) => format!("it is {}", status(root, &listed.id)),
        (_, Some((call, errno)), _) => format!("failed: {call} {errno}"),
        (_, _, Some(program)) => program,
        (_, _, None) => "deleted".into(),
    };
    Row {
        id: listed.id,
        run: listed.run,
        began: trace::day(epoch.wrapping_add(brief.began)),
        took_ns: brief.took,
        calls: brief.calls,
        refused: brief.refused,
        ended,
    }
}

/// The state of a container that is there, in a word.
fn status(root: &Fd, id: &str) -> &'static str {
    let dir = state::open_listed(root.at(), id).ok().flatten();
    let now = dir.and_then(|dir| state::load_now(dir.at(), id).ok());
    now.map_or("not whole", |(_, status)| status.word())
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "No trace is kept: `nk-runtime run` makes one.\n".into();
    }
    let name = |row: &Row| if row.run == 1 { row.id.clone() } else { format!("{}~{}", row.id, row.run) };
    let width = rows.iter().map(|row| name(row).len()).max().unwrap_or(0).max(2);
    let mut text = format!("{:width$}  {:19}  {:>8}  {:>5}  {:>7}  ENDED\n", "ID", "BEGAN", "TOOK", "CALLS", "REFUSED");
    for row in rows {
        let (began, took) = (&row.began, trace::duration(row.took_ns));
        text.push_str(&format!(
            "{:width$}  {began:19}  {took:>8}  {:>5}  {:>7}  {}\n",
            name(row),
            row.calls,
            row.refused,
            row.ended
        ));
    }
    text
}

/// What tells a record from all others: the time of its command's first call, and its place.
type Seen = (u64, u32);

/// Shows records as they are completed, until the container is gone.
fn follow(context: &Context, id: &str, view: View) -> Result<i32, Error> {
    let text_view = view.format == Format::Text;
    let mut seen: BTreeSet<Seen> = BTreeSet::new();
    let mut hanging: BTreeSet<Seen> = BTreeSet::new();
    let mut view = Live::new(view);
    let mut text = String::new();
    let root = await_container(context, id)?;
    loop {
        // Looked at first: what the container does before its end is in the records that are read after it.
        let gone = !state::look_up(Some(&root), id).is_ok_and(|dir| dir.is_some());
        let pieces = match traces::read(Some(&root), id) {
            Err(_) if gone => return Ok(0),
            // It can be gone since it was looked for, and its trace on its way to the kept ones.
            Err(Error::State(_)) => Vec::new(),
            read => read?,
        };
        let now = syscalls::clock_ns(libc::CLOCK_MONOTONIC);
        for bytes in &pieces {
            let piece = Piece::new(bytes);
            let records = piece.records();
            let start = records.first().map_or(0, |first| first.start_ns);
            for r in records.into_iter().filter(|r| r.state != record::RESERVED) {
                // This call does not return.
                let last = gone || r.call.name() == "exit_group";
                let (one, long) = ((start, r.at), now.saturating_sub(r.start_ns) > HANGS);
                if (r.state == record::RETURNED || last) && seen.insert(one) {
                    view.show(&piece, r, &mut text);
                } else if text_view && long && !seen.contains(&one) && hanging.insert(one) {
                    hangs(&r, now, &mut text);
                }
            }
        }
        if !text.is_empty() {
            out::stdout(&text)?;
            text.clear();
        }
        if gone {
            return Ok(0);
        }
        pause("a new record makes no call that could wake this process");
    }
}

/// The state root, when it holds a trace of that id.
fn await_container(context: &Context, id: &str) -> Result<Fd, Error> {
    let mut told = false;
    loop {
        let root = context.open_root()?;
        let there = state::look_up(root.as_ref(), id)?.is_some();
        if let Some(root) = root
            && (there || traces::newest(Some(&root), id).is_ok())
        {
            return Ok(root);
        }
        if !told {
            out::stderr(&format!("nk-runtime: there is no container {id} yet: its calls are shown when it is made\n"));
            told = true;
        }
        pause("the container is not there yet, and making it makes no call that could wake this process");
    }
}

fn pause(why: &'static str) {
    let _ = syscalls::ppoll(&mut [], Some(EVERY), Why(why));
}

fn hangs(r: &Record, now: u64, text: &mut String) {
    let mut call = String::new();
    let _ = syscalls::show::call(r, &mut call);
    let seconds = (now - r.start_ns) / 1_000_000_000;
    text.push_str(&format!("... {call} is still in the kernel, for {seconds} s: {}\n", r.why()));
}
