//! Namespaces that the container shares: the host's, or others'. May touch: types.

use super::rules::Found;
use crate::spec::{self, NamespaceKind, Spec};

/// Kinds without which the container has the host's. Users have rules of their own, and clocks harm nothing.
const KINDS: [(NamespaceKind, &str); 6] = [
    (NamespaceKind::Mount, "mount namespace"),
    (NamespaceKind::Pid, "pid namespace"),
    (NamespaceKind::Network, "network namespace"),
    (NamespaceKind::Ipc, "ipc namespace"),
    (NamespaceKind::Uts, "uts namespace"),
    (NamespaceKind::Cgroup, "cgroup namespace"),
];

/// Whether the container gets a user namespace: there, root's rights end at what belongs to the namespace.
pub fn has_users(spec: &Spec) -> bool {
    spec::namespace(&spec.linux, &NamespaceKind::User).is_some()
}

pub fn look(spec: &Spec, found: &mut Found) {
    for (kind, name) in KINDS {
        if spec::namespace(&spec.linux, &kind).is_none() {
            found.add(name, "/linux/namespaces", format!("no `{}` there: it has the host's", kind.word()));
        }
    }
    for (i, one) in spec.linux.namespaces.iter().enumerate() {
        if let Some(path) = one.joined() {
            found.add("joined namespace", format!("/linux/namespaces/{i}/path"), format!("{} {path}", one.kind.word()));
        }
    }
    for key in spec.linux.sysctl.keys() {
        let joined = spec::sysctl_kind(key).and_then(|kind| spec::namespace(&spec.linux, &kind)?.joined());
        if joined.is_some() {
            found.add("sysctl of a joined namespace", format!("/linux/sysctl/{}", spec::escaped(key)), "");
        }
    }
}
