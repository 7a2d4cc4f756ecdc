//! `trace`: what was done for a container, whether it is there or gone. May touch: everything below.

use super::{Context, step};
use crate::cli;
use crate::error::{Error, at};
use crate::plan::Step;
use crate::trace::{View, render};
use crate::{input, out, state, traces};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use syscalls::record::{self, Record};
use syscalls::{Fd, Why};

/// How often `--follow` looks for new records, in milliseconds.
const EVERY: u64 = 50;
/// A call that takes longer than this is shown while it is still in the kernel.
const HANGS: u64 = 1_000_000_000;

/// `trace`.
pub fn trace(context: &Context, options: &cli::TraceCmd) -> Result<i32, Error> {
    step(Step::Look);
    let root = context.open_root()?;
    let Some(id) = &options.id else {
        return list(root.as_ref());
    };
    if options.follow {
        return follow(root.as_ref(), id, options);
    }
    let bytes = traces::read(root.as_ref(), id)?;
    out::stdout(&render(&bytes, options.format, &|_| true)).map(|()| 0)
}

/// Without an id: those that can be asked for.
fn list(root: Option<&Fd>) -> Result<i32, Error> {
    let mut text = String::new();
    let Some(root) = root else { return Ok(0) };
    let why = Why("whose traces there are");
    let failed = |failed| at("list the traces".into(), failed);
    let flags = (libc::O_DIRECTORY | libc::O_NOFOLLOW) as u32;
    let here = syscalls::openat(root.at(), c".", flags, "state root", why).map_err(failed)?;
    for name in input::names(here.at(), why).map_err(failed)? {
        if let Some(name) = name.to_str().ok().filter(|name| *name != ".traces") {
            text.push_str(&format!("{name}\n"));
        }
    }
    if let Ok(kept) = syscalls::openat(root.at(), c".traces", flags, "kept traces", why) {
        let mut names = input::names(kept.at(), why).map_err(failed)?;
        names.sort_unstable();
        for name in names
            .iter()
            .rev()
            .filter_map(|name| name.to_str().ok()?.get(17..))
        {
            text.push_str(&format!("{name} (gone)\n"));
        }
    }
    out::stdout(&text).map(|()| 0)
}

/// Shows records as they are completed, until the container is gone.
fn follow(root: Option<&Fd>, id: &str, options: &cli::TraceCmd) -> Result<i32, Error> {
    let mut seen: Vec<u32> = Vec::new();
    let mut hanging: Option<u32> = None;
    let mut view: Option<View> = None;
    let mut text = String::new();
    loop {
        let bytes = traces::read(root, id)?;
        let gone = state::find(root, id).is_err();
        let view = view.get_or_insert_with(|| View::new(options.format, &bytes));
        let now = syscalls::clock_ns(libc::CLOCK_MONOTONIC);
        for at in record::offsets(&bytes) {
            let Some(r) = Record::read(&bytes, at) else {
                continue;
            };
            if seen.contains(&at) || r.state == record::RESERVED {
                continue;
            }
            if r.state == record::RETURNED || gone {
                view.show(&r, &mut text);
                seen.push(at);
            } else if now.saturating_sub(r.start_ns) > HANGS
                && hanging != Some(at)
                && options.format == cli::Format::Text
            {
                let mut call = String::new();
                let _ = syscalls::show::call(&r, &mut call);
                text.push_str(&format!(
                    "... {call} is still in the kernel, for {} s  # {}\n",
                    (now - r.start_ns) / 1_000_000_000,
                    r.why()
                ));
                hanging = Some(at);
            }
        }
        if !text.is_empty() {
            out::stdout(&text)?;
            text.clear();
        }
        if gone {
            return Ok(0);
        }
        let _ = syscalls::ppoll(
            &mut [],
            Some(EVERY),
            Why("new records need no call of their own, so nothing wakes us"),
        );
    }
}
