//! `state`: the OCI state document (runtime.md, "State"), with the keys and the order of runc. May touch: everything below.

use super::channel::client;
use super::context::{Context, step};
use super::end;
use crate::outcome::Error;
use crate::plan::Step;
use crate::say::out;
use crate::state::{self, Ending, Saved, Status};
use alloc::collections::BTreeMap;
use serde::Serialize;

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "ociVersion")]
    oci_version: &'a str,
    id: &'a str,
    pid: i32,
    status: &'a str,
    bundle: &'a str,
    rootfs: &'a str,
    created: &'a str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    annotations: &'a BTreeMap<String, String>,
    owner: &'a str,
    /// `vm` for a container in a machine of its own. runc has no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<&'a str>,
    /// How the program of a stopped container ended. runc has no such key.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<Ending>,
}

/// `state`.
pub fn state(context: &Context, id: &str) -> Result<i32, Error> {
    step(Step::Look);
    let (_, dir) = context.container(id)?;
    let (saved, status) = state::load_now(dir.at(), id)?;
    let status = client::seen(&saved, dir.at(), status);
    let ended = (status == Status::Stopped).then(|| end::of_stopped(dir.at(), &saved)).flatten();
    out::stdout(&document(&saved, status, ended)).map(|()| 0)
}

/// The document as runc prints it, without a newline at its end. The pid of a process that is gone is 0.
fn document(saved: &Saved, status: Status, ended: Option<Ending>) -> String {
    let document = Document {
        oci_version: &saved.oci_version,
        id: &saved.id,
        pid: match status {
            Status::Stopped => 0,
            _ => saved.pid,
        },
        status: status.word(),
        bundle: &saved.bundle_path,
        rootfs: &saved.rootfs,
        created: &saved.created,
        annotations: &saved.annotations,
        owner: &saved.owner,
        mode: saved.own_mode(),
        ended,
    };
    serde_json::to_string_pretty(&document).unwrap_or_default()
}
