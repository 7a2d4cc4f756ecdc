//! `features`: what this runtime can do, out of the tables that its code uses (features.md, features-linux.md).
//! May touch: everything below.

use crate::error::Error;
use crate::plan::options::option_words;
use crate::{out, spec};
use alloc::vec::Vec;
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: [&'static str; 0],
    mount_options: Vec<&'static str>,
    linux: Linux,
    annotations: Annotations,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: Vec<&'static str>,
    capabilities: &'static [&'static str],
    cgroup: Cgroup,
    seccomp: Enabled,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: Enabled,
    mount_extensions: MountExtensions,
    net_devices: Enabled,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Cgroup {
    v1: bool,
    v2: bool,
    systemd: bool,
    systemd_user: bool,
    rdma: bool,
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct MountExtensions {
    idmap: Enabled,
}

#[derive(Serialize)]
struct Annotations {
    #[serde(rename = "org.nano-sandbox.version")]
    version: &'static str,
    /// Engines look here before they ask for a checkpoint.
    #[serde(rename = "org.opencontainers.runc.checkpoint.enabled")]
    checkpoint: &'static str,
}

/// `features`.
pub fn features() -> Result<i32, Error> {
    const NO: Enabled = Enabled { enabled: false };
    let features = Features {
        oci_version_min: "1.0.0",
        oci_version_max: "1.3.0",
        hooks: [],
        mount_options: option_words().collect(),
        linux: Linux {
            namespaces: spec::supported_namespaces().collect(),
            capabilities: &spec::CAPABILITIES,
            cgroup: Cgroup {
                v1: false,
                v2: true,
                systemd: false,
                systemd_user: false,
                rdma: false,
            },
            seccomp: NO,
            apparmor: NO,
            selinux: NO,
            intel_rdt: NO,
            mount_extensions: MountExtensions { idmap: NO },
            net_devices: Enabled { enabled: true },
        },
        annotations: Annotations {
            version: env!("CARGO_PKG_VERSION"),
            checkpoint: "false",
        },
    };
    let mut text = serde_json::to_string_pretty(&features).unwrap_or_default();
    text.push('\n');
    out::stdout(&text).map(|()| 0)
}
