//! `features`: what this runtime can do, out of the tables that its code uses (features.md, features-linux.md).
//! May touch: everything below.

use crate::outcome::Error;
use crate::plan::cgroup::scope;
use crate::plan::mounts::options::option_words;
use crate::say::out;
use crate::spec::annotations;
use crate::{cli, spec};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Features {
    oci_version_min: &'static str,
    oci_version_max: &'static str,
    hooks: [&'static str; 6],
    mount_options: Vec<&'static str>,
    linux: Linux,
    annotations: Annotations,
    /// Those of config.json that change what is done (features.md). A tool that takes configurations from strangers has to
    /// look at them. A name that ends in a dot stands for all that begin so.
    potentially_unsafe_config_annotations: [&'static str; 2],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Linux {
    namespaces: Vec<&'static str>,
    capabilities: &'static [&'static str],
    cgroup: Cgroup,
    seccomp: Seccomp,
    apparmor: Enabled,
    selinux: Enabled,
    intel_rdt: IntelRdt,
    memory_policy: MemoryPolicy,
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
#[serde(rename_all = "camelCase")]
struct Seccomp {
    enabled: bool,
    actions: [&'static str; 9],
    operators: [&'static str; 7],
    archs: [&'static str; 6],
    known_flags: [&'static str; 4],
    supported_flags: [&'static str; 4],
}

#[derive(Serialize)]
struct Enabled {
    enabled: bool,
}

#[derive(Serialize)]
struct IntelRdt {
    enabled: bool,
    schemata: bool,
}

#[derive(Serialize)]
struct MemoryPolicy {
    modes: [&'static str; 7],
    flags: [&'static str; 3],
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

/// One line a property: its pointer, and whether it works.
fn table() -> Result<i32, Error> {
    let mut text = String::new();
    for (pointer, refused) in spec::properties() {
        let line = match refused {
            "" => format!("works    {pointer}\n"),
            why => format!("refused  {pointer}: {why}\n"),
        };
        text.push_str(&line);
    }
    out::stdout(&text).map(|()| 0)
}

/// `features`.
#[inline(never)]
pub fn features(options: &cli::Features) -> Result<i32, Error> {
    if options.table {
        return table();
    }
    const YES: Enabled = Enabled { enabled: true };
    let features = Features {
        oci_version_min: "1.0.0",
        oci_version_max: "1.3.0",
        hooks: ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"],
        mount_options: option_words().collect(),
        linux: Linux {
            namespaces: spec::supported_namespaces().collect(),
            capabilities: &spec::CAPABILITIES,
            cgroup: Cgroup { v1: false, v2: true, systemd: true, systemd_user: true, rdma: true },
            seccomp: Seccomp {
                enabled: true,
                actions: spec::ACTIONS.map(|(name, _)| name),
                operators: spec::OPERATORS,
                archs: spec::ARCHES,
                known_flags: spec::FILTER_FLAGS.map(|(name, _)| name),
                supported_flags: spec::FILTER_FLAGS.map(|(name, _)| name),
            },
            apparmor: YES,
            selinux: YES,
            intel_rdt: IntelRdt { enabled: true, schemata: true },
            memory_policy: MemoryPolicy { modes: spec::MEMORY_MODES, flags: spec::MEMORY_FLAGS.map(|(name, _)| name) },
            mount_extensions: MountExtensions { idmap: YES },
            net_devices: YES,
        },
        annotations: Annotations { version: env!("CARGO_PKG_VERSION"), checkpoint: "false" },
        potentially_unsafe_config_annotations: [scope::PROPERTY, annotations::CRUN],
    };
    let mut text = serde_json::to_string_pretty(&features).unwrap_or_default();
    text.push('\n');
    out::stdout(&text).map(|()| 0)
}
