//! `trace`: the records of a container that is there or gone. May touch: everything below.

use super::context::{Context, step};
use crate::host::input;
use crate::outcome::{Error, at};
use crate::plan::Step;
use crate::say::out;
use crate::state::traces;
use crate::trace::{self, Filter, Live, Piece, View};
use crate::{cli, state};
use alloc::collections::BTreeSet;
use syscalls::record::{self, Record};
use syscalls::{At, Fd, OpenFlags, Why};

/// How often `--follow` looks for new records, in milliseconds.
const EVERY: u64 = 50;
/// A call that takes longer than this is shown while it is still in the kernel.
const HANGS: u64 = 1_000_000_000;

/// `trace`.
pub fn trace(context: &Context, options: &cli::TraceCmd) -> Result<i32, Error> {
    step(Step::Look);
    if options.only.iter().any(|word| word == "help") {
        return out::stdout(&trace::help()).map(|()| 0);
    }
    let filter = Filter::new(options)?;
    let root = context.open_root()?;
    let Some(id) = &options.id else {
        return list(root.as_ref());
    };
    if options.follow {
        return follow(root.as_ref(), id, options, &filter);
    }
    let bytes = traces::read(root.as_ref(), id)?;
    let pieces: Vec<Piece> = bytes.iter().map(|bytes| Piece::new(bytes)).collect();
    let screen = trace::screen(Some(At::STDOUT), options.color);
    let view = View { look: options, filter: &filter, screen, epoch: trace::epoch() };
    out::stdout(&view.render(&pieces, id)).map(|()| 0)
}

/// Without an id: lists the ids that can be asked for.
fn list(root: Option<&Fd>) -> Result<i32, Error> {
    let mut text = String::new();
    let Some(root) = root else { return Ok(0) };
    let why = Why("each container, there or gone, has a trace under its id");
    let failed = |failed| at("list the traces", failed);
    let flags = OpenFlags::O_DIRECTORY | OpenFlags::O_NOFOLLOW;
    let here = syscalls::openat(root.at(), c".", flags, why).map_err(failed)?;
    for name in input::names(here.at(), why).map_err(failed)? {
        if let Some(name) = name.to_str().ok().filter(|name| *name != ".traces") {
            text.push_str(&format!("{name}\n"));
        }
    }
    if let Ok(kept) = syscalls::openat(root.at(), c".traces", flags, why) {
        let mut names = input::names(kept.at(), why).map_err(failed)?;
        names.sort_unstable();
        let ids = names.iter().rev().filter_map(|name| name.to_str().ok()?.get(17..));
        for id in ids.filter(|id| !id.contains('~')) {
            text.push_str(&format!("{id} (gone)\n"));
        }
    }
    out::stdout(&text).map(|()| 0)
}

/// Shows records as they are completed, until the container is gone.
fn follow(root: Option<&Fd>, id: &str, options: &cli::TraceCmd, filter: &Filter) -> Result<i32, Error> {
    let mut seen: BTreeSet<Seen> = BTreeSet::new();
    let mut hanging: Option<Seen> = None;
    let screen = trace::screen(Some(At::STDOUT), options.color);
    let mut view = Live::new(View { look: options, filter, screen, epoch: trace::epoch() });
    let mut text = String::new();
    loop {
        let pieces = traces::read(root, id)?;
        let gone = !state::look_up(root, id).is_ok_and(|dir| dir.is_some());
        let now = syscalls::clock_ns(libc::CLOCK_MONOTONIC);
        for bytes in &pieces {
            let piece = Piece::new(bytes);
            let records = piece.records();
            let start = records.first().map_or(0, |(_, first)| first.start_ns);
            for (at, r) in records {
                if seen.contains(&(start, at)) || r.state == record::RESERVED {
                    continue;
                }
                if r.state == record::RETURNED || gone {
                    view.show(&piece, r, &mut text);
                    seen.insert((start, at));
                } else if now.saturating_sub(r.start_ns) > HANGS
                    && hanging != Some((start, at))
                    && options.format == cli::Format::Text
                {
                    hangs(&r, now, &mut text);
                    hanging = Some((start, at));
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
        let why = Why("a new record makes no call that could wake this process");
        let _ = syscalls::ppoll(&mut [], Some(EVERY), why);
    }
}

/// What tells a record from all others: the time of its command's first call, and its place.
type Seen = (u64, u32);

fn hangs(r: &Record, now: u64, text: &mut String) {
    let mut call = String::new();
    let _ = syscalls::show::call(r, &mut call);
    let seconds = (now - r.start_ns) / 1_000_000_000;
    text.push_str(&format!("... {call} is still in the kernel, for {seconds} s  # {}\n", r.why()));
}
