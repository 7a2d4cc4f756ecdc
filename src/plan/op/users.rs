//! Ops for users and groups, and for the mapping of their ids in a user namespace. May touch: types.

use super::lanes::{BRIDGE, HOST, INIT, say};
use super::{Hook, LaneSet, Slot};
use core::fmt::{self, Write};

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Users {
    // A user namespace without processes: it stands for a mapping of ids.
    MappingNamespace { uids: Vec<u8>, gids: Vec<u8>, slot: Slot },
    // Writes the mappings of the new user namespace, or has them written by newuidmap(1) and newgidmap(1).
    MapIds { uids: Vec<u8>, gids: Vec<u8>, deny_setgroups: bool, helpers: Option<Box<[Hook; 2]>> },
    // The owner of /proc/PID depends on the dumpable flag (proc(5)).
    Dumpable { dumpable: bool },
    // The first user of the new user namespace.
    RootInside { uid: u32, gid: u32 },
    // `if_allowed`: in a user namespace of another user's, the kernel may forbid setting groups.
    Groups { gids: Vec<u32>, if_allowed: bool },
    Ids { uid: u32, gid: u32 },
}

impl Users {
    pub(super) fn about(&self, to: Option<&mut dyn Write>) -> (LaneSet, fmt::Result) {
        let any = HOST | BRIDGE | INIT;
        match self {
            Self::MappingNamespace { .. } => (HOST, say!(to, "make a user namespace with this mapping")),
            Self::MapIds { helpers: None, .. } => (HOST, say!(to, "write the mappings of users and groups")),
            Self::MapIds { .. } => (HOST, say!(to, "have newuidmap and newgidmap write the mappings")),
            Self::Dumpable { dumpable: true } => (any, say!(to, "let this user own the process's files in /proc")),
            Self::Dumpable { dumpable: false } => (any, say!(to, "let no other process look into this one")),
            Self::RootInside { uid, gid } => (BRIDGE | INIT, say!(to, "become user {uid}, group {gid} inside")),
            Self::Groups { gids, .. } => (INIT, say!(to, "set the supplementary groups to {gids:?}")),
            Self::Ids { uid, gid } => (INIT, say!(to, "become user {uid}, group {gid}")),
        }
    }
}
