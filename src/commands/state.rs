//! `state`: the OCI state document (runtime.md, "State"), with the keys and the order of runc. May touch: everything below.

use super::channel::client;
use super::context::{Context, step};
use super::end;
use crate::outcome::Error;
use crate::plan::Step;
use crate::say::out;
use crate::spec::{Annotations, quoted};
use crate::state::{self, Ending, Saved, Status};
use serde::Serialize;

/// What follows the annotations.
#[derive(Serialize)]
struct End<'a> {
    owner: &'a str,
    /// `vm` for a container in a machine of its own. runc has no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    /// How the program of a stopped container ended. runc has no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Ending>,
}

/// `state`.
#[inline(never)]
pub fn state(context: &Context, id: &str) -> Result<i32, Error> {
    step(Step::Look);
    let (_, dir) = context.container(id)?;
    let (saved, status) = state::load_now(dir.at(), id)?;
    let status = client::seen(&saved, dir.at(), status);
    let ended = (status == Status::Stopped).then(|| end::of_stopped(dir.at(), &saved)).flatten();
    let annotations = state::annotations(dir.at(), &saved)?;
    print(&saved, status, ended, &Annotations::of(&annotations)).map(|()| 0)
}

/// So many bytes are written at once: the annotations can be long, and are nowhere twice.
const PIECE: usize = 64 << 10;

/// Prints the document as runc does, without a newline at its end. The pid of a process that is gone is 0.
fn print(saved: &Saved, status: Status, ended: Option<Ending>, annotations: &Annotations) -> Result<(), Error> {
    let pid = match status {
        Status::Stopped => 0,
        _ => saved.pid,
    };
    let end = End { owner: &saved.owner, mode: saved.own_mode(), ended };
    let (version, id, bundle) = (quoted(&saved.oci_version), quoted(&saved.id), quoted(&saved.bundle_path));
    let (status, rootfs, created) = (quoted(status.word()), quoted(&saved.rootfs), quoted(&saved.created));
    let mut text = format!(
        "{{\n  \"ociVersion\": {version},\n  \"id\": {id},\n  \"pid\": {pid},\n  \"status\": {status},\n  \"bundle\": {bundle},\n  \"rootfs\": {rootfs},\n  \"created\": {created}"
    );
    let mut before = ",\n  \"annotations\": {";
    annotations.each_written(|key, value| {
        for part in [before, "\n    ", key, ": ", value] {
            if text.len() + part.len() > PIECE {
                out::stdout(&text)?;
                text.clear();
            }
            match part.len() > PIECE {
                true => out::stdout(part)?,
                false => text.push_str(part),
            }
        }
        before = ",";
        Ok(())
    })?;
    text.push_str(if before == "," { "\n  }," } else { "," });
    text.push_str(serde_json::to_string_pretty(&end).unwrap_or_default().trim_start_matches('{'));
    out::stdout(&text)
}
