//! `list`: every container of the state root, in runc's shapes. May touch: everything below.

use super::{Context, step};
use crate::cli::{self, ListFormat};
use crate::error::{Error, at};
use crate::plan::Step;
use crate::state::{self, Status};
use crate::{input, out};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::Serialize;
use syscalls::Why;

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
pub fn list(context: &Context, options: &cli::List) -> Result<i32, Error> {
    step(Step::Look);
    let rows = rows(context)?;
    let text = match (options.quiet, options.format) {
        (true, _) => rows.iter().map(|row| format!("{}\n", row.id)).collect(),
        (false, ListFormat::Json) => {
            format!("{}\n", serde_json::to_string(&rows).unwrap_or_default())
        }
        (false, ListFormat::Table) => table(&rows),
    };
    out::stdout(&text).map(|()| 0)
}

fn rows(context: &Context) -> Result<Vec<Row>, Error> {
    let mut rows = Vec::new();
    let flags = libc::O_DIRECTORY as u32;
    let root = match syscalls::openat(
        syscalls::At::CWD,
        &state::c(&context.root)?,
        flags,
        "state root",
        Why("each container is a directory in it"),
    ) {
        Err(failed) if failed.errno == syscalls::Errno::ENOENT => return Ok(rows),
        opened => {
            opened.map_err(|failed| at(format!("open the state root {}", context.root), failed))?
        }
    };
    let mut names = input::names(root.at(), Why("each container is a directory in it"))
        .map_err(|failed| at("list the state root".into(), failed))?;
    names.sort_unstable();
    for name in names.iter().filter_map(|name| name.to_str().ok()) {
        // A container that is deleted meanwhile, or a file that is none, is not listed.
        let Ok(dir) = state::find(Some(&root), name) else {
            continue;
        };
        let Ok(saved) = state::load(dir.at(), name) else {
            continue;
        };
        let now = state::look(dir.at(), saved.as_ref())?;
        let pid = if now.status == Status::Stopped {
            0
        } else {
            saved.as_ref().map_or(0, |s| s.pid)
        };
        let text = |get: fn(&state::Saved) -> &String| {
            saved.as_ref().map_or(String::new(), |s| get(s).clone())
        };
        rows.push(Row {
            oci_version: text(|s| &s.oci_version),
            id: name.into(),
            pid,
            status: now.status.word(),
            bundle: text(|s| &s.bundle_path),
            rootfs: text(|s| &s.rootfs),
            created: text(|s| &s.created),
            owner: text(|s| &s.owner),
            mode: saved.as_ref().and_then(|s| s.own_mode()).map(String::from),
        });
    }
    Ok(rows)
}

fn table(rows: &[Row]) -> String {
    let head = ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"];
    let mut lines: Vec<[String; 6]> = alloc::vec![head.map(String::from)];
    for row in rows {
        lines.push([
            row.id.clone(),
            format!("{}", row.pid),
            row.status.into(),
            row.bundle.clone(),
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
        let cells: Vec<String> = line
            .iter()
            .zip(width)
            .map(|(cell, w)| format!("{cell:<w$}"))
            .collect();
        out.push_str(cells.join("   ").trim_end());
        out.push('\n');
    }
    out
}
