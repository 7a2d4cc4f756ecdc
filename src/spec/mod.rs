//! What is wanted: config.json in Rust. These types mirror the OCI runtime specification (config.md,
//! config-linux.md) as far as it is built; what is not built yet is kept as [`Unbuilt`], to be refused by name.
//! May touch: serde.

pub mod annotations;
mod check;
mod check_linux;
mod check_process;
mod document;
mod linux;
mod net_devices;
mod read;
pub mod seccomp;
mod text;
mod unbuilt;
mod words;

pub use check::{LONGEST_LIST, check_device_rules, check_mount};
pub use check_linux::{check_mappings, list, namespace, sysctl_kind, sysctl_path};
pub use document::{PROPERTIES, quoted, state_document};
pub use linux::*;
pub use net_devices::NetDevices;
pub use read::{escaped, read};
pub use seccomp::{ACTIONS, ARCHES, Condition, FILTER_FLAGS, OPERATORS, OTHER_ARCHES, Seccomp};
pub use text::Text;
pub use words::*;

pub use crate::outcome::Problem;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use serde::{Deserialize, Serialize};
pub use serde_json::Value;
use unbuilt::Unbuilt;

/// A configuration that was checked. Lists that can be long refer to its text.
#[derive(Debug)]
pub struct Spec<'a> {
    pub oci_version: String,
    pub process: Process,
    pub root: Root,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub mounts: Vec<Mount<'a>>,
    pub annotations: BTreeMap<String, String>,
    pub linux: Linux<'a>,
    pub hooks: Hooks,
}

/// The document as it is written. Keys that the specification does not know are ignored, as it demands.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Document<'a> {
    oci_version: Option<String>,
    process: Option<Process>,
    root: Option<Root>,
    hostname: Option<String>,
    domainname: Option<String>,
    #[serde(borrow)]
    mounts: Option<Vec<Mount<'a>>>,
    annotations: Option<BTreeMap<String, String>>,
    linux: Option<Linux<'a>>,
    #[serde(deserialize_with = "null_is_absent")]
    hooks: Hooks,
    vm: Unbuilt,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct Process {
    pub terminal: Option<bool>,
    /// Without a terminal nothing of it counts (config.md, "process"): [`ConsoleSize::of`] gives it its meaning.
    pub console_size: Value,
    #[serde(deserialize_with = "null_is_absent")]
    pub user: User,
    #[serde(deserialize_with = "null_is_absent")]
    pub args: Vec<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub env: Vec<String>,
    pub cwd: String,
    /// Absent, null or empty: none, in each set.
    #[serde(deserialize_with = "null_is_absent")]
    pub capabilities: Capabilities,
    #[serde(deserialize_with = "null_is_absent")]
    pub rlimits: Vec<Rlimit>,
    pub no_new_privileges: bool,
    #[serde(deserialize_with = "null_is_absent")]
    pub apparmor_profile: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub selinux_label: String,
    pub oom_score_adj: Option<i64>,
    pub scheduler: Option<Scheduler>,
    pub io_priority: Option<IoPriority>,
    #[serde(rename = "execCPUAffinity")]
    pub exec_cpu_affinity: Option<ExecCpuAffinity>,
}

/// Of the terminal's window, in characters.
#[derive(Deserialize, Default, Clone, Copy, Debug)]
#[serde(default)]
pub struct ConsoleSize {
    pub height: u16,
    pub width: u16,
}

impl ConsoleSize {
    /// The size that `process` gives its terminal; none where it has none.
    pub fn of(process: &Process) -> Result<ConsoleSize, Problem> {
        let size = &process.console_size;
        if process.terminal != Some(true) || size.is_null() {
            return Ok(ConsoleSize::default());
        }
        read(&size.to_string())
            .map_err(|problem| Problem { pointer: format!("/process/consoleSize{}", problem.pointer), ..problem })
    }
}

/// On which processors `exec` begins, and on which its program runs: lists as of cpuset(7).
#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct ExecCpuAffinity {
    pub initial: String,
    #[serde(rename = "final")]
    pub last: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub umask: Option<u32>,
    #[serde(deserialize_with = "null_is_absent")]
    pub additional_gids: Vec<u32>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Capabilities {
    #[serde(deserialize_with = "null_is_absent")]
    pub bounding: Vec<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub effective: Vec<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub permitted: Vec<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub inheritable: Vec<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub ambient: Vec<String>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Rlimit {
    #[serde(rename = "type")]
    pub kind: String,
    pub hard: u64,
    pub soft: u64,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Root {
    pub path: String,
    pub readonly: bool,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct Mount<'a> {
    #[serde(borrow)]
    pub destination: Text<'a>,
    #[serde(rename = "type")]
    pub kind: Text<'a>,
    pub source: Option<Text<'a>>,
    #[serde(deserialize_with = "short")]
    pub options: Vec<Text<'a>>,
    #[serde(deserialize_with = "null_is_absent")]
    pub uid_mappings: Vec<IdMapping>,
    #[serde(deserialize_with = "null_is_absent")]
    pub gid_mappings: Vec<IdMapping>,
}

/// The six lists of programs that are run at points of a container's life (config.md, "POSIX-platform Hooks").
#[derive(Deserialize, Serialize, Default, Debug, Clone)]
#[serde(default, rename_all = "camelCase")]
pub struct Hooks {
    #[serde(deserialize_with = "null_is_absent", skip_serializing)]
    pub prestart: Vec<Hook>,
    #[serde(deserialize_with = "null_is_absent", skip_serializing)]
    pub create_runtime: Vec<Hook>,
    #[serde(deserialize_with = "null_is_absent", skip_serializing)]
    pub create_container: Vec<Hook>,
    #[serde(deserialize_with = "null_is_absent", skip_serializing)]
    pub start_container: Vec<Hook>,
    /// The last two are kept in the state: they are run by later commands.
    #[serde(deserialize_with = "null_is_absent")]
    pub poststart: Vec<Hook>,
    #[serde(deserialize_with = "null_is_absent")]
    pub poststop: Vec<Hook>,
}

#[derive(Deserialize, Serialize, Default, Debug, Clone)]
#[serde(default)]
pub struct Hook {
    pub path: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub args: Vec<String>,
    /// None: what surrounds the hook.
    pub env: Option<Vec<String>>,
    /// Seconds.
    pub timeout: Option<i64>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct Linux<'a> {
    #[serde(deserialize_with = "null_is_absent")]
    pub namespaces: Vec<Namespace>,
    #[serde(deserialize_with = "null_is_absent")]
    pub resources: Resources,
    #[serde(deserialize_with = "null_is_absent")]
    pub masked_paths: Vec<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub readonly_paths: Vec<String>,
    pub cgroups_path: Option<String>,
    #[serde(deserialize_with = "null_is_absent")]
    pub devices: Vec<Device>,
    #[serde(deserialize_with = "null_is_absent")]
    pub uid_mappings: Vec<IdMapping>,
    #[serde(deserialize_with = "null_is_absent")]
    pub gid_mappings: Vec<IdMapping>,
    #[serde(deserialize_with = "null_is_absent")]
    pub net_devices: NetDevices,
    #[serde(deserialize_with = "null_is_absent")]
    pub time_offsets: BTreeMap<String, TimeOffset>,
    #[serde(deserialize_with = "null_is_absent")]
    pub sysctl: BTreeMap<String, String>,
    #[serde(borrow)]
    pub seccomp: Option<Seccomp<'a>>,
    #[serde(deserialize_with = "null_is_absent")]
    pub rootfs_propagation: String,
    #[serde(deserialize_with = "null_is_absent")]
    pub mount_label: String,
    pub intel_rdt: Option<IntelRdt>,
    pub memory_policy: Option<MemoryPolicy>,
    pub personality: Option<Personality>,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default)]
pub struct Namespace {
    #[serde(rename = "type")]
    pub kind: NamespaceKind,
    /// Absent: a new one.
    pub path: Option<String>,
}

impl Namespace {
    /// The path of the namespace to join; none for a new one.
    pub fn joined(&self) -> Option<&str> {
        self.path.as_deref().filter(|path| !path.is_empty())
    }
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct Resources {
    #[serde(deserialize_with = "null_is_absent")]
    pub devices: Vec<DeviceRule>,
    // What becomes a line in a file of the cgroup is kept as it stands: `plan/resources` gives it its meaning.
    pub memory: Value,
    pub cpu: Value,
    pub pids: Value,
    #[serde(rename = "blockIO")]
    pub block_io: Value,
    pub hugepage_limits: Value,
    pub network: Value,
    pub rdma: Value,
    pub unified: Value,
}

#[derive(Deserialize, Default, Debug, Clone)]
#[serde(default)]
pub struct DeviceRule {
    pub allow: bool,
    /// `a`, `b` or `c`; empty is `a`.
    #[serde(rename = "type")]
    pub kind: String,
    pub major: Option<i64>,
    pub minor: Option<i64>,
    /// Letters of `rwm`; empty, where it denies, is all of them.
    pub access: String,
}

#[derive(Deserialize, Default, Debug)]
#[serde(default, rename_all = "camelCase")]
pub struct Device {
    #[serde(rename = "type")]
    pub kind: String,
    pub path: String,
    pub major: Option<i64>,
    pub minor: Option<i64>,
    pub file_mode: Option<u32>,
    pub uid: Option<u32>,
    pub gid: Option<u32>,
}

/// Go writes an empty list as null now and then.
fn null_is_absent<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// The same for a list that has one entry as a rule, and would keep room for four.
fn short<'de, D, T>(deserializer: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    let mut list: Vec<T> = null_is_absent(deserializer)?;
    list.shrink_to_fit();
    Ok(list)
}

/// Reads and checks a configuration. What is wrong is named by its place.
pub fn parse(text: &[u8]) -> Result<Spec<'_>, Problem> {
    // Looked at once as a whole: each string would be by itself.
    let text = core::str::from_utf8(text).map_err(|error| read::no_text(text, &error))?;
    check::check(read(text)?)
}

impl Spec<'_> {
    /// What is odd but no error: names of capabilities that no kernel knows, those that another set would have to hold too
    /// (config.md, "Linux Process"), and relative destinations, which are deprecated (config.md, "Mounts"). True: it is usual
    /// all the same. Each begins with its place.
    pub fn warnings(&self) -> Vec<(bool, String)> {
        let mut words = Vec::new();
        let relative = |m: &&Mount| !m.destination.starts_with('/');
        if let Some(at) = self.mounts.iter().position(|m| relative(&m)) {
            let word = format!(
                "/mounts/{at}/destination: `{}` is not absolute, and is taken from /",
                self.mounts[at].destination
            );
            words.push((false, word));
        }
        words.extend(self.process.capabilities.warnings());
        words.extend(self.annotation_warnings().map(|word| (false, word)));
        words
    }
}

impl Capabilities {
    /// What is left out, and why. A name that no kernel knows is said once, in whatever sets it stands. True: it is usual.
    pub fn warnings(&self) -> Vec<(bool, String)> {
        let named = [
            ("bounding", &self.bounding),
            ("effective", &self.effective),
            ("permitted", &self.permitted),
            ("inheritable", &self.inheritable),
            ("ambient", &self.ambient),
        ];
        let (mut words, mut unknown) = (Vec::new(), Vec::new());
        for (set, names) in named {
            for (i, name) in names.iter().enumerate() {
                let Some((usual, missing)) = self.missing(set, name) else {
                    continue;
                };
                if capability_number(name).is_none() {
                    if unknown.contains(&name) {
                        continue;
                    }
                    unknown.push(name);
                }
                let at = format!("/process/capabilities/{set}/{i}");
                let word = format!("{at}: `{name}` is left out: it is {missing}");
                words.push((usual, word));
            }
        }
        words
    }

    /// What keeps a capability that is in a set from being given, if anything does.
    fn missing(&self, set: &str, name: &String) -> Option<(bool, &'static str)> {
        let permitted = || self.permitted.contains(name);
        let bounding = || self.bounding.contains(name);
        let inheritable = || self.inheritable.contains(name) && bounding();
        let missing = match set {
            _ if capability_number(name).is_none() => "no capability",
            "effective" if !permitted() => "not permitted",
            "inheritable" if !bounding() => "not in the bounding set",
            // As engines write it, and `runc spec` too: they have given up the inheritable set (CVE-2022-24769).
            "ambient" if self.inheritable.is_empty() => {
                return Some((true, "not inheritable"));
            }
            "ambient" if !(permitted() && inheritable()) => "not both permitted and inheritable",
            _ => return None,
        };
        Some((false, missing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> (String, String) {
        match parse(text.as_bytes()) {
            Ok(_) => (String::new(), String::from("accepted")),
            Err(problem) => (problem.pointer, problem.problem),
        }
    }

    #[test]
    fn the_default_is_good() {
        assert!(parse(DEFAULT.as_bytes()).is_ok());
    }

    #[test]
    fn no_bytes_make_it_panic() {
        let text = DEFAULT.as_bytes();
        for len in 0..text.len() {
            assert!(parse(&text[..len]).is_err() || text[len..].iter().all(u8::is_ascii_whitespace));
        }
        for i in 0..text.len() {
            for byte in [0, b'"', b'{', b']', b'9', b'-', 0xff] {
                let mut changed = text.to_vec();
                changed[i] = byte;
                let _ = parse(&changed);
            }
        }
    }

    #[test]
    fn places_are_named() {
        let cases = [
            ("\"cwd\": \"/\"", "\"cwd\": 7", "/process/cwd"),
            ("\"sh\"", "null, 7", "/process/args/0"),
            ("\"hard\": 1024", "\"hard\": -1", "/process/rlimits/0/hard"),
            ("\"uid\": 0", "\"uid\": 4294967296", "/process/user/uid"),
            ("\"cwd\": \"/\"", "\"cwd\": \"/\", \"oomScoreAdj\": 5000", "/process/oomScoreAdj"),
            ("\"cwd\": \"/\"", "\"cwd\": \"/\", \"oomScoreAdj\": 0", ""),
            ("\"hostname\": \"runc\"", "\"frob\": [{}], \"hostname\": null", ""),
        ];
        for (from, to, pointer) in cases {
            let text = DEFAULT.replacen(from, to, 1);
            assert_ne!(text, DEFAULT, "{from}");
            assert_eq!(problem(&text).0, pointer, "{to}: {:?}", problem(&text));
        }
    }
}
