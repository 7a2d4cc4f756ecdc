//! The namespaces of a process, and with whom it shares each. May touch: system calls, procfs.

use super::proc::Proc;
use crate::plan::namespaces::pointer;
use crate::spec::{self, NamespaceKind, Spec};
use alloc::ffi::CString;
use serde::Serialize;
use syscalls::{Result, Why};

/// A namespace as /proc names it, and as config.json does.
const KINDS: [(&str, NamespaceKind); 8] = [
    ("cgroup", NamespaceKind::Cgroup),
    ("ipc", NamespaceKind::Ipc),
    ("mnt", NamespaceKind::Mount),
    ("net", NamespaceKind::Network),
    ("pid", NamespaceKind::Pid),
    ("time", NamespaceKind::Time),
    ("user", NamespaceKind::User),
    ("uts", NamespaceKind::Uts),
];

/// Whose a namespace is.
#[derive(Serialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "lowercase")]
pub enum Sharing {
    /// The container's alone.
    Own,
    /// The one that the caller is in, too.
    Host,
    /// That of other containers of this state root.
    Containers,
    /// The configuration names its file, and no container of this state root is in it.
    Joined,
}

#[derive(Serialize, Clone, Debug)]
pub struct Namespace {
    /// The word of config.json.
    pub kind: &'static str,
    /// As /proc has it: `pid:[4026531836]`.
    pub name: String,
    pub sharing: Option<Sharing>,
    /// The other containers that are in it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub with: Vec<String>,
    /// Where config.json asks for it.
    pub pointer: Option<String>,
}

/// The namespaces that a process is in.
pub fn of(proc: &Proc) -> Result<Vec<Namespace>> {
    let mut all = Vec::new();
    for (name, kind) in KINDS {
        let path = CString::new(format!("ns/{name}")).unwrap_or_default();
        let why = Why("two processes share a namespace if these links have the same name");
        // Kernels before 5.6 have no time namespaces.
        if let Some(name) = proc.link(&path, why)? {
            all.push(Namespace { kind: kind.word(), name, sharing: None, with: Vec::new(), pointer: None });
        }
    }
    Ok(all)
}

/// Whether two processes are in the same namespace of this kind. Not if /proc does not tell of one of them.
pub fn same(one: &[Namespace], other: &[Namespace], kind: &str) -> bool {
    let name = |all: &[Namespace]| all.iter().find(|n| n.kind == kind).map(|n| n.name.clone());
    name(one).is_some_and(|name_of_one| Some(name_of_one) == name(other))
}

/// Says of each namespace with which process it is shared. `others`: the other containers, with theirs.
pub fn judge(all: &mut [Namespace], host: &[Namespace], others: &[(String, Vec<Namespace>)], spec: Option<&Spec>) {
    for one in all {
        let is_it = |other: &Namespace| other.kind == one.kind && other.name == one.name;
        let with = others.iter().filter(|(_, theirs)| theirs.iter().any(is_it));
        let host = host.iter().any(is_it);
        let kind = KINDS.iter().find(|(_, kind)| kind.word() == one.kind).map(|(_, kind)| kind);
        let asked = kind.zip(spec).and_then(|(kind, spec)| {
            let joined = spec::namespace(&spec.linux, kind)?.joined().is_some();
            Some((pointer(spec, kind), joined))
        });
        // Most containers share a host's namespace with others: that says nothing more.
        let with: Vec<String> = with.filter(|_| !host).map(|(id, _)| id.clone()).collect();
        one.sharing = Some(match (host, with.is_empty(), &asked) {
            (true, ..) => Sharing::Host,
            (_, false, _) => Sharing::Containers,
            (_, _, Some((_, true))) => Sharing::Joined,
            _ => Sharing::Own,
        });
        (one.with, one.pointer) = (with, asked.map(|(pointer, _)| pointer));
    }
}
