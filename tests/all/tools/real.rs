//! Configurations that engines wrote, as they wrote them.

use crate::Failed;
use serde_json::Value;

/// Their names and texts, and what `spec` writes.
pub const REAL: &[(&str, &str)] = &[
    ("default", include_str!("../default.json")),
    ("containerd-1", include_str!("../real/containerd-1.config.json")),
    ("docker-1", include_str!("../real/docker-1.config.json")),
    ("docker-3", include_str!("../real/docker-3.config.json")),
    ("podman-1", include_str!("../real/podman-1.config.json")),
    ("podman-5", include_str!("../real/podman-5.config.json")),
    ("systemd-podman-2", include_str!("../real/systemd-podman-2.config.json")),
];

pub fn config(name: &str) -> Result<Value, Failed> {
    let found = REAL.iter().find(|(real, _)| *real == name);
    let (_, text) = found.ok_or_else(|| format!("no configuration {name}"))?;
    Ok(serde_json::from_str(text)?)
}
