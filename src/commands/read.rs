//! `trace --read` and `trace --against`: what strace wrote of other runtimes, told by milestones. May touch: everything below.

use super::beside::texts;
use super::context::Context;
use crate::beside::{self, Against, Way};
use crate::cli::{Picture, Shown, TraceCmd};
use crate::draw::dot;
use crate::listing::Listing;
use crate::outcome::{Error, visible};
use crate::say::out;
use crate::state::traces;
use crate::trace::{self, Entry, Piece};
use syscalls::{At, Errno, Why};

/// What a caller names: a file that strace wrote, or a container that has a trace.
enum Source {
    Listing(Vec<(i32, String)>),
    Trace(Vec<Vec<u8>>),
}

/// `trace --read FILE`.
pub fn read(options: &TraceCmd, file: &str) -> Result<i32, Error> {
    let source = Source::Listing(texts(file, Why("its calls are told by milestones"))?);
    let screen = trace::screen(Some(At::STDOUT), options.color);
    along(file, &source, |way| {
        let text = match options.format {
            Shown::Picture(Picture::Dot) => dot::of_deeds(way.name, &way.deeds),
            Shown::JSON => beside::read_json(way) + "\n",
            _ => beside::read(way, screen, options.all),
        };
        out::stdout(&text).map(|()| 0)
    })
}

/// `trace --beside ONE --against OTHER`. The exit status is 1 if one of them reaches a milestone that the other does not.
pub fn against(context: &Context, options: &TraceCmd, names: [&str; 2]) -> Result<i32, Error> {
    let screen = trace::screen(Some(At::STDOUT), options.color);
    let [one, other] = [source(context, names[0])?, source(context, names[1])?];
    along(names[0], &one, |one| {
        along(names[1], &other, |other| {
            let both = Against::new(one, other);
            let text = match options.format {
                Shown::JSON => beside::against_json(&both) + "\n",
                _ => beside::against(&both, screen, options.all),
            };
            out::stdout(&text).map(|()| i32::from(both.differs()))
        })
    })
}

/// A file, if there is one of that name; else a trace.
fn source(context: &Context, name: &str) -> Result<Source, Error> {
    let missing = match texts(name, Why("it may be a file that strace wrote")) {
        Ok(texts) => return Ok(Source::Listing(texts)),
        Err(Error::Call(told)) if told.failed.is_some_and(|failed| failed.errno == Errno::ENOENT) => {
            Error::Usage(format!(
                "trace: {} is neither a file that strace wrote nor a trace; `nk-runtime trace` lists the traces",
                visible(name)
            ))
        }
        Err(error) => error,
    };
    let root = context.open_root()?;
    let found = traces::named(name).and_then(|(id, run)| traces::of(root.as_ref(), id, run));
    found.map(|found| Source::Trace(found.pieces)).map_err(|_| missing)
}

/// Passes on the way to a container that a source tells of.
fn along(name: &str, source: &Source, mut then: impl FnMut(&Way) -> Result<i32, Error>) -> Result<i32, Error> {
    match source {
        Source::Listing(texts) => {
            let texts: Vec<(i32, &str)> = texts.iter().map(|(pid, text)| (*pid, text.as_str())).collect();
            let listing = Listing::of(&texts);
            if listing.calls.is_empty() {
                return Err(Error::Usage(format!(
                    "trace: {name} has no line of strace: `strace -f -ttt -o {name} COMMAND` writes such lines"
                )));
            }
            then(&Way::listed(name, &listing))
        }
        Source::Trace(pieces) => {
            let pieces: Vec<Piece> = pieces.iter().map(|bytes| Piece::new(bytes)).collect();
            let entries: Vec<Entry> = trace::entries(&pieces, false);
            then(&Way::recorded(name, &entries))
        }
    }
}
