//! The one schema of config.json (the OCI runtime specification: config.md, config-linux.md), a file a subject. Each
//! property is a row, which says how it is read, what it may hold, and whether it works; `schema.rs` shows how to write
//! one. A rule between several properties is a function beside their rows. May touch: serde.

pub mod annotations;
mod callers;
mod cgroup;
mod devices;
mod example;
mod hooks;
mod linux;
mod mounts;
mod namespaces;
mod network;
mod process;
mod raw;
mod rdt;
mod read;
mod rootfs;
mod rules;
mod schema;
pub mod seccomp;
mod types;
mod users;
mod vm;

pub use annotations::Annotations;
pub use callers::{SOCKET_TOO_LONG, quoted, socket_fits, state_document};
pub use cgroup::*;
pub use devices::{Device, DeviceRule};
pub use example::{DEFAULT, rootless_default};
pub use hooks::{Hook, Hooks};
pub use linux::{Linux, namespace};
pub use mounts::{Mount, check_mount};
pub use namespaces::{NamespaceKind, supported_namespaces, sysctl_kind, sysctl_path};
pub use process::*;
pub use raw::property;
pub use read::read;
pub use rootfs::Root;
pub use rules::{LONGEST_LIST, list};
pub use schema::{At, Problem, escaped};
pub use seccomp::{ACTIONS, ARCHES, Condition, FILTER_FLAGS, OPERATORS, OTHER_ARCHES, Seccomp};
pub use serde_json::Value;
pub use types::Text;
pub use users::{IdMapping, check_mappings};
pub use vm::{FORMATS, Vm};

use schema::{Checked, Property, schema};

/// A checked configuration. Strings in long lists are not copied: they refer to the text of the document.
#[derive(Debug)]
pub struct Spec<'a> {
    pub oci_version: String,
    pub process: Process<'a>,
    pub root: Root,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub mounts: Vec<Mount<'a>>,
    pub annotations: Annotations<'a>,
    pub linux: Linux<'a>,
    pub hooks: Hooks,
    pub vm: Option<Vm>,
}

schema! {
    /// The document as it is written. Unknown keys are ignored, as the specification demands.
    Document<'a> {
        "ociVersion" oci_version: Option<String> => version;
        "hooks" hooks: Hooks;
        "annotations" annotations: Annotations<'a>;
        "hostname" hostname: Option<String>;
        "domainname" domainname: Option<String>;
        "mounts" mounts: Vec<Mount<'a>>, most LONGEST_LIST;
        "root" root: Option<Root>;
        "process" process: Option<Process<'a>>;
        "linux" linux: Linux<'a>;
        "vm" vm: Option<Vm>;
    }
}

/// Every property, in the specification's order: its pointer, and why it is refused; empty: it works.
pub fn properties() -> Vec<(String, &'static str)> {
    let mut all = Vec::new();
    schema::table(Document::ROWS, "", &mut all);
    all
}

/// Reads and checks a configuration.
pub fn parse(text: &[u8]) -> Result<Box<Spec<'_>>, Problem> {
    // One check of the whole text is cheaper than one of each string.
    let text = core::str::from_utf8(text).map_err(|error| read::no_text(text, &error))?;
    if text.trim_ascii().is_empty() {
        return At::ROOT.no("is empty");
    }
    if text.starts_with('\u{feff}') {
        return At::ROOT.no("has a byte order mark at its beginning, which JSON does not allow");
    }
    let mut document: Box<Document> = read::read_in_place(text)?;
    document.annotations.find(text);
    let at = At::root_of(text);
    if document.oci_version.is_none() {
        return at.key("ociVersion").no("is missing: the specification requires it");
    }
    document.check(&at)?;
    whole(document, &at)
}

/// Reads and checks the limits that `update` is given.
pub fn parse_resources(text: &str) -> Result<Resources, Problem> {
    let resources: Resources = read(text)?;
    resources.check(&At::root_of(text)).map(|()| resources)
}

/// Turns a checked document into a configuration, if nothing is missing. At this point the runtime has changed nothing.
#[inline(never)] // made on the stack and moved: the reading before it does not need that stack
fn whole<'a>(document: Box<Document<'a>>, at: &At) -> Result<Box<Spec<'a>>, Problem> {
    let oci_version = document.oci_version.unwrap_or_default();
    let Some(root) = document.root else {
        return at.key("root").no("is missing: a container needs a root file system");
    };
    let Some(process) = document.process else {
        return at.key("process").no("is missing: nothing says what to run");
    };
    linux::users_fit(&document.linux, &process.user, at)?;
    namespaces::name_fits(document.hostname.as_deref(), &document.linux.namespaces, &at.key("hostname"))?;
    namespaces::name_fits(document.domainname.as_deref(), &document.linux.namespaces, &at.key("domainname"))?;
    let named = |name: Option<String>| name.filter(|name| !name.is_empty());
    let (hostname, domainname) = (named(document.hostname), named(document.domainname));
    let spec = Box::new(Spec {
        oci_version,
        process,
        root,
        hostname,
        domainname,
        mounts: document.mounts,
        annotations: document.annotations,
        linux: document.linux,
        hooks: document.hooks,
        vm: document.vm,
    });
    spec.check_shared_mounts()?;
    spec.check_annotations()?;
    Ok(spec)
}

/// Any 1.x, in which later versions only add.
fn version(version: &str, at: &At) -> Checked {
    if !is_version(version) {
        return at.no(format!("`{version}` is no version of SemVer 2.0.0: 1.2.0, for example, is one"));
    }
    match version.split('.').next() {
        Some("1") => Ok(()),
        _ => at.no(format!("`{version}` is not supported: 1.0.0 to 1.3.0 are, and what follows in 1.x")),
    }
}

/// Whether this is a version of semantic versioning 2.0.0 (semver.org): three numbers; after `-` the words of a version
/// before the release; after `+` the build.
fn is_version(version: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    let number = |part: &str| digits(part) && (part == "0" || !part.starts_with('0'));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let (version, build) = version.split_once('+').map_or((version, None), |(version, build)| (version, Some(build)));
    let (core, before) = version.split_once('-').map_or((version, None), |(core, before)| (core, Some(before)));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && before.is_none_or(|b| b.split('.').all(|p| word(p) && (!digits(p) || number(p))))
        && build.is_none_or(|b| b.split('.').all(word))
}

impl Spec<'_> {
    /// Without a mount namespace the container has the host's mounts, and its root by chroot (config-linux.md,
    /// "Namespaces"). Every mount would be the host's too, so it is refused. runc refuses masked and read-only paths there,
    /// and mounts the rest on the host.
    fn check_shared_mounts(&self) -> Checked {
        let linux = &self.linux;
        if namespace(linux, &NamespaceKind::Mount).is_some() {
            return Ok(());
        }
        let paths = [
            ("/mounts/0", !self.mounts.is_empty()),
            ("/root/readonly", self.root.readonly),
            ("/linux/maskedPaths/0", !linux.masked_paths.is_empty()),
            ("/linux/readonlyPaths/0", !linux.readonly_paths.is_empty()),
            ("/linux/rootfsPropagation", !linux.rootfs_propagation.is_empty()),
            ("/linux/mountLabel", !linux.mount_label.is_empty()),
            ("/process/terminal", self.process.terminal == Some(true)),
        ];
        if let Some((pointer, _)) = paths.iter().find(|(_, asked)| *asked) {
            let problem = "needs a `mount` namespace in linux.namespaces: without one the mount would be the host's";
            return Err(Problem { pointer: (*pointer).into(), problem: problem.into() });
        }
        let user = linux.namespaces.iter().position(|n| n.kind == NamespaceKind::User);
        let problem = "needs a `mount` namespace beside it: in a user namespace devices are binds of the host's";
        user.map_or(Ok(()), |i| At::ROOT.key("linux").key("namespaces").index(i).no(problem))
    }

    /// What is odd but no error: relative destinations, which are deprecated (config.md, "Mounts"), capabilities that are
    /// left out, annotations that are ignored. True: engines write it often. Each text begins with its place.
    pub fn warnings(&self) -> Vec<(bool, String)> {
        let mut words = Vec::new();
        if let Some(at) = self.mounts.iter().position(|mount| !mount.destination.starts_with('/')) {
            let destination = &self.mounts[at].destination;
            let word = format!("/mounts/{at}/destination: `{destination}` is not absolute, and is taken from /");
            words.push((false, word));
        }
        words.extend(self.process.capabilities.warnings());
        words.extend(self.annotation_warnings().map(|word| (false, word)));
        words
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
