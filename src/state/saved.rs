//! The fields of a container's document. May touch: types.

use crate::host::systemd::Sockets;
use crate::host::{Host, time};
use crate::outcome::Error;
use crate::plan::clean;
use crate::plan::devices::program;
use crate::spec::{self, Hooks, NamespaceKind, Spec};
use alloc::collections::BTreeMap;
use serde::{Deserialize, Serialize};

/// The document on disk, without the configuration.
#[derive(Serialize, Deserialize, Clone, Default)]
pub struct Saved {
    pub pid: i32,
    /// CLOCK_BOOTTIME just before and just after the clone, in nanoseconds: the process's start lies between.
    pub start_time: [u64; 2],
    /// How many cgroups were made for it: its own, and then parents, counted upward. The others were there before.
    #[serde(default)]
    pub cgroup_made: Option<usize>,
    pub id: String,
    pub bundle_path: String,
    pub rootfs: String,
    pub state: String,
    pub mode: String,
    #[serde(rename = "ociVersion")]
    pub oci_version: String,
    /// From the root of the cgroup hierarchy. Empty: the container has no cgroup.
    pub cgroup_path: String,
    pub created: String,
    pub owner: String,
    /// The annotations, if they are not in the configuration, or hooks of later commands get them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Else: where their object begins and ends in the text of the configuration. Both 0: there is none.
    #[serde(default)]
    pub annotated: [u64; 2],
    /// Where the configuration begins in the file that was read.
    #[serde(skip)]
    pub configured: usize,
    /// Hooks, if later commands have some to run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hooks: Option<Hooks>,
    /// A checksum of the device rules. 0: an older version of this program made the container.
    #[serde(default)]
    pub device_rules: u64,
    /// The systemd scope with its cgroup, and the sockets of that systemd.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<(String, Sockets)>,
    /// The file of the configuration, if it is not the bundle's config.json.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<String>,
    /// It has a pid namespace of its own: the end of its first process ends all others.
    #[serde(default)]
    pub own_pids: bool,
    /// It has a mount namespace of its own.
    #[serde(default = "yes")]
    pub own_mounts: bool,
    /// The group of resctrl that was made for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resctrl: Option<String>,
    /// It is in a machine of its own, and other commands reach it through the command that runs that.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub channel: bool,
    /// How its program ended, if a command of this runtime has seen that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ending>,
}

/// The end of a program, as `state`, `events` and `trace` show it.
#[derive(Serialize, Deserialize, Clone, Default, PartialEq, Eq, Debug)]
#[serde(rename_all = "camelCase", default)]
pub struct Ending {
    /// The exit status, or 128 and the number of the signal. None: this runtime has not seen it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub core_dumped: bool,
    /// Empty: the program ended by itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cause: String,
    /// The property of config.json, or the file of the host, that the cause lies in.
    #[serde(rename = "where", skip_serializing_if = "String::is_empty")]
    pub place: String,
    /// What says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub known: Vec<String>,
    #[serde(rename = "try", skip_serializing_if = "String::is_empty")]
    pub cure: String,
}

/// For documents of older versions, when every container had one.
fn yes() -> bool {
    true
}

impl Saved {
    /// The mode, if it is not the usual one.
    pub fn own_mode(&self) -> Option<&str> {
        Some(self.mode.as_str()).filter(|mode| *mode != "container")
    }

    /// How many cgroups were made for it. For documents of older versions: the usual cgroup, and no other.
    pub fn made(&self) -> usize {
        let usual = usize::from(self.cgroup_path == usual_cgroup(&self.id));
        self.cgroup_made.unwrap_or(usual)
    }

    /// The file that `create` read the configuration from, for messages. It may have changed since.
    pub fn config_file(&self) -> String {
        let usual = || format!("{}/config.json", self.bundle_path);
        self.config.clone().unwrap_or_else(usual)
    }
}

/// The cgroup of a container if its configuration names none.
pub fn usual_cgroup(id: &str) -> String {
    format!("nano-sandbox/{id}")
}

/// What the command knows of a new container.
pub struct New<'a> {
    pub id: &'a str,
    pub bundle: &'a str,
    /// Another file in place of its config.json.
    pub config: Option<String>,
    /// Its program waits for `start`.
    pub waits: bool,
    /// From the root of the cgroup hierarchy. Empty: the container has no cgroup.
    pub cgroup: String,
    pub scope: Option<(String, Sockets)>,
    /// The text of the configuration, if the document ends with it.
    pub text: &'a [u8],
}

/// A new container's document, without its first process.
pub fn new(spec: &Spec, host: &Host, new: New) -> Saved {
    let path = &spec.root.path;
    let rootfs = if path.starts_with('/') { path.clone() } else { format!("{}/{path}", new.bundle) };
    let later = !spec.hooks.poststart.is_empty() || !spec.hooks.poststop.is_empty();
    let rdt = spec.linux.intel_rdt.as_ref();
    let is_own = |kind| spec::namespace(&spec.linux, &kind).is_some_and(|n| n.joined().is_none());
    let annotated = place(new.text, spec.annotations.text()).filter(|_| !later).unwrap_or_default();
    Saved {
        cgroup_made: Some(0),
        own_pids: is_own(NamespaceKind::Pid),
        own_mounts: is_own(NamespaceKind::Mount),
        id: new.id.into(),
        bundle_path: new.bundle.into(),
        rootfs: clean(&rootfs),
        state: if new.waits { "created" } else { "running" }.into(),
        mode: "container".into(),
        oci_version: spec.oci_version.clone(),
        cgroup_path: new.cgroup,
        config: new.config,
        scope: new.scope,
        created: time::rfc3339(syscalls::clock_ns(libc::CLOCK_REALTIME)),
        owner: if host.uid == 0 { String::new() } else { host.uid.to_string() },
        annotations: if annotated == [0; 2] { spec.annotations.copied() } else { BTreeMap::new() },
        annotated,
        hooks: later.then(|| spec.hooks.clone()),
        device_rules: program::fingerprint(&spec.linux.resources.devices),
        resctrl: rdt.filter(|rdt| rdt.clos_id.is_none()).map(|_| new.id.into()),
        ..Saved::default()
    }
}

/// Where a part of a text begins and ends in it.
fn place(text: &[u8], part: &str) -> Option<[u64; 2]> {
    let begin = (part.as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let end = begin + part.len();
    (end <= text.len() && !part.is_empty()).then_some([begin as u64, end as u64])
}

/// What is assumed of a container without a readable document: the usual cgroup, made for it.
pub fn unknown(id: &str) -> Saved {
    Saved { cgroup_made: Some(1), own_mounts: true, id: id.into(), cgroup_path: usual_cgroup(id), ..Saved::default() }
}

/// A document with its last key, the configuration.
pub struct Whole {
    pub saved: Saved,
    /// The text of config.json as `create` read it; empty in documents of older versions.
    pub configuration: Vec<u8>,
}

/// The text before the configuration. It stands nowhere else: no other key has this name, and a string would have its quotes
/// escaped.
pub const CONFIGURATION: &[u8] = b",\"configuration\":{";

impl Whole {
    /// The text on disk, in three pieces. The configuration stands in it as it was read.
    pub fn pieces(&self) -> (Vec<u8>, &[u8], &[u8]) {
        let mut text = serde_json::to_vec(&self.saved).unwrap_or_default();
        if self.configuration.is_empty() {
            return (text, b"", b"");
        }
        begin_configuration(&mut text);
        (text, &self.configuration, b"}")
    }

    /// The configuration that the container was made with, understood.
    pub fn spec(&self) -> Result<Box<Spec<'_>>, Error> {
        let refused = |problem| Error::Spec { file: self.saved.config_file(), problem };
        spec::parse(self.configuration()?).map_err(refused)
    }

    /// The same text, which is not needed here any more.
    pub fn take_configuration(&mut self) -> Result<Vec<u8>, Error> {
        self.configuration()?;
        Ok(core::mem::take(&mut self.configuration))
    }

    /// The text of the configuration that the container was made with.
    pub fn configuration(&self) -> Result<&[u8], Error> {
        match self.configuration.is_empty() {
            false => Ok(&self.configuration),
            true if self.saved.mode == "vm" => Err(Error::State(format!(
                "container {} is in a machine of its own, which this command does not reach",
                self.saved.id
            ))),
            true => Err(Error::State(format!(
                "state.json of {0} does not hold its configuration: an older nk-runtime created {0}; create it anew",
                self.saved.id
            ))),
        }
    }
}

/// Takes away the document's last brace, and begins the last key.
fn begin_configuration(text: &mut Vec<u8>) {
    text.pop();
    text.extend_from_slice(&CONFIGURATION[..CONFIGURATION.len() - 1]);
}

/// The document for a line of the plan, in three parts: before the pid, between pid and start time, and from there up to the
/// configuration.
pub fn planned(saved: &Saved) -> [Vec<u8>; 3] {
    let text = serde_json::to_string(saved).unwrap_or_default();
    let made = "[0,0],\"cgroup_made\":0";
    let mut rest = text.split_once(made).map_or(Vec::new(), |(_, rest)| rest.into());
    begin_configuration(&mut rest);
    [b"{\"pid\":".to_vec(), b",\"start_time\":".to_vec(), rest]
}
