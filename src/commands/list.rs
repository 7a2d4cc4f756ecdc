//! `list`: every container of the state root, in runc's shapes. May touch: everything below.

use super::channel::client;
use super::context::{Context, step};
use crate::cli::{self, Level, ListFormat};
use crate::host::input::c;
use crate::outcome::{Doing, Error, visible};
use crate::plan::Step;
use crate::say::error::line;
use crate::say::out;
use crate::state::{self, Document, Status};
use serde::Serialize;
use syscalls::{At, Errno, Fd, OpenFlags, Why};

#[derive(Serialize)]
struct Row {
    #[serde(rename = "ociVersion")]
    oci_version: String,
    id: String,
    pid: i32,
    status: &'static str,
    bundle: String,
    rootfs: String,
    created: String,
    owner: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
}

/// `list`. A state root that is not there holds no containers.
#[inline(never)]
pub fn list(context: &Context, options: &cli::List) -> Result<i32, Error> {
    step(Step::Look);
    let root = match syscalls::openat(At::CWD, &c(&context.root)?, OpenFlags::O_DIRECTORY, WHY) {
        Err(failed) if failed.errno == Errno::ENOENT => None,
        opened => Some(opened.doing(format_args!("open the state root {}", context.root))?),
    };
    let ids = match &root {
        Some(root) => state::ids(root.at(), WHY).doing("list the state root")?,
        None => Vec::new(),
    };
    // Without a root there are no ids, and nothing is opened below this.
    let root = root.as_ref().map_or(At::CWD, Fd::at);
    if options.quiet {
        return names(root, ids);
    }
    let (rows, unread) = rows(context, root, ids)?;
    let text = match options.format {
        ListFormat::Json => format!("{}\n", serde_json::to_string(&rows).unwrap_or_default()),
        ListFormat::Table => table(&rows),
    };
    out::stdout(&text)?;
    unread.map_or(Ok(0), Err)
}

const WHY: Why = Why("each container is a directory in it");

/// The ids alone need no look at what the containers do.
fn names(root: At, ids: Vec<String>) -> Result<i32, Error> {
    let mut text = String::new();
    for id in ids {
        if state::is_there(root, &id)? {
            text.push_str(&id);
            text.push('\n');
        }
    }
    out::stdout(&text)?;
    Ok(0)
}

/// The containers; and the error of one that could not be looked at.
fn rows(context: &Context, root: At, ids: Vec<String>) -> Result<(Vec<Row>, Option<Error>), Error> {
    let (mut rows, mut unread, mut looks) = (Vec::new(), None, state::Looks::default());
    for id in ids {
        let saved = match state::document_listed(root, &id) {
            Ok(Document::Whole(saved)) => *saved,
            Ok(Document::Missing) => continue,
            Err(error) => {
                unread = Some(error);
                continue;
            }
            Ok(Document::Damaged(error)) => {
                let word = format!("container {id} is left out: {}", line(&error));
                context.log.say(Level::Warn, &word);
                continue;
            }
        };
        let outside = looks.status(root, &id, &saved)?;
        // Only a machine's answer comes through a socket in its directory.
        let dir = if saved.channel { state::open_listed(root, &id)? } else { None };
        let status = match dir {
            Some(dir) => client::seen(&saved, dir.at(), outside),
            None => outside,
        };
        rows.push(Row {
            id,
            pid: match status {
                Status::Stopped => 0,
                _ => saved.pid,
            },
            status: status.word(),
            mode: saved.own_mode().map(String::from),
            oci_version: saved.oci_version,
            bundle: saved.bundle_path,
            rootfs: saved.rootfs,
            created: saved.created,
            owner: saved.owner,
        });
    }
    Ok((rows, unread))
}

fn table(rows: &[Row]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let mut lines: Vec<[String; 6]> = vec![head.map(String::from)];
    for row in rows {
        lines.push([
            row.id.clone(),
            row.pid.to_string(),
            row.status.into(),
            visible(&row.bundle).into_owned(),
            row.created.clone(),
            row.owner.clone(),
        ]);
    }
    let mut width = [0; 6];
    for line in &lines {
        for (w, cell) in width.iter_mut().zip(line) {
            *w = (*w).max(cell.chars().count());
        }
    }
    let mut out = String::new();
    for line in &lines {
        let mut blanks = 0;
        for (cell, w) in line.iter().zip(width) {
            // What follows a cell is written before the next one that is not empty: no line ends with blanks.
            if !cell.is_empty() {
                out.push_str(&" ".repeat(blanks));
                out.push_str(cell);
                blanks = 0;
            }
            blanks += w + 3 - cell.chars().count();
        }
        out.push('\n');
    }
    out
}
