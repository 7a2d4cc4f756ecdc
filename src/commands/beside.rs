//! `trace --beside`: a trace and what strace wrote of the same command, side by side. May touch: everything below.

use crate::beside;
use crate::cli::{Picture, Shown, TraceCmd};
use crate::host::input::{self, c};
use crate::listing::Listing;
use crate::outcome::Error;
use crate::say::out;
use crate::trace::{self, Entry, Piece, Screen};
use syscalls::{At, Errno, OpenFlags, Why};

/// `trace ID --beside FILE`. The exit status is that of diff(1).
pub fn beside(name: &str, pieces: &[Piece], file: &str, options: &TraceCmd, screen: Screen) -> Result<i32, Error> {
    let texts = texts(file, Why("it is compared with the trace"))?;
    let texts: Vec<(i32, &str)> = texts.iter().map(|(pid, text)| (*pid, text.as_str())).collect();
    let listing = Listing::of(&texts);
    if listing.calls.is_empty() {
        return Err(Error::Usage(format!(
            "trace: {file} has no line of strace: strace -f -o {file} writes such lines"
        )));
    }
    let entries: Vec<Entry> = trace::entries(pieces, false);
    let both = beside::compare(&listing, &entries, name.split('~').next().unwrap_or(name));
    let title = format!("{name} beside {file}");
    let mut text = String::new();
    match options.format {
        Shown::Picture(Picture::Html) => text = beside::table(&both, &title),
        _ if options.summary => beside::summary(&both, screen, "on the page without -c", &mut text),
        _ => beside::page(&both, &title, screen, options.all, &mut text),
    }
    out::stdout(&text).map(|()| i32::from(both.differs()))
}

/// What strace wrote: into one file, or with `-ff` into FILE.PID for each process.
pub fn texts(file: &str, why: Why) -> Result<Vec<(i32, String)>, Error> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let missing = match input::read_named(file, why) {
        Ok(bytes) => return Ok(vec![(0, text(bytes))]),
        Err(error) => error.cured("`strace -f -ttt -o FILE COMMAND` writes such a file"),
    };
    let (folder, stem) = file.rsplit_once('/').map_or((".", file), |(folder, stem)| (folder, stem));
    let folder = if folder.is_empty() { "/" } else { folder };
    let Ok(opened) = syscalls::openat(At::CWD, &c(folder)?, OpenFlags::O_DIRECTORY, why) else { return Err(missing) };
    let mut all = Vec::new();
    for name in input::names(opened.at(), why).unwrap_or_default() {
        let number = name.to_str().ok().and_then(|name| name.strip_prefix(stem)?.strip_prefix('.')?.parse().ok());
        let Some(pid) = number else { continue };
        match input::read_named(&format!("{file}.{pid}"), why) {
            Ok(bytes) => all.push((pid, text(bytes))),
            // A directory of such a name is none of strace's.
            Err(Error::Call(told)) if told.failed.is_some_and(|failed| failed.errno == Errno::EISDIR) => {}
            Err(error) => return Err(error),
        }
    }
    crate::sorted::sort(&mut all);
    if all.is_empty() { Err(missing) } else { Ok(all) }
}
