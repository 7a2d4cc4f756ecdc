//! What a plan is made from beside config.json: the command's options, and what is known of the caller. May touch:
//! types.

use super::cgroup::scope::{Manager, Scope};
use super::text::problem;
use crate::cli::Watched;
use crate::spec::{IdMapping, NamespaceKind, Problem, Spec, namespace};
use syscalls::CloneFlags;

/// What the command line adds to the configuration.
#[derive(Default)]
pub struct Wish<'a> {
    pub id: &'a str,
    /// The bundle's absolute path.
    pub bundle: &'a str,
    /// The state document: its text before the process id, between that and the start time, and from there to the
    /// configuration.
    pub state: [Vec<u8>; 3],
    /// The configuration as it was read.
    pub text: &'static [u8],
    pub pid_file: Option<&'a str>,
    /// `--console-socket`: where the other side of the program's terminal is sent.
    pub console: Option<&'a str>,
    /// `--pidfd-socket`: where a handle on the new process is sent.
    pub pidfd: Option<&'a str>,
    pub notify: Option<&'a Notify>,
    pub no_pivot: bool,
    pub no_new_keyring: bool,
    /// How many descriptors above standard error are the program's.
    pub preserve_fds: u32,
    /// `create`: the program waits for `start`. Otherwise it runs as soon as all is ready.
    pub wait_for_start: bool,
    /// `exec`: the container that is joined.
    pub joins: Option<Joined>,
    /// In the foreground: the caller holds signals back, to take them one by one.
    pub attached: bool,
    /// False: `--cgroup-manager disabled`.
    pub cgroup: bool,
    /// The caller's effective ids.
    pub uid: u32,
    pub gid: u32,
    /// The caller is in a user namespace itself: its root is not the machine's.
    pub nested: bool,
    /// The kernel forbids setting groups there.
    pub no_groups: bool,
    /// Where a cgroup goes that is not named from the hierarchy's root: empty, or a path that ends in `/`.
    pub cgroup_base: &'a str,
    /// `--systemd-cgroup`: the service manager that makes the cgroup.
    pub manager: Option<&'a Manager>,
    /// `--rootless`: whether a cgroup that may not be made is done without, if it was said.
    pub rootless: Option<bool>,
    /// `--step`: a person goes through the plan.
    pub stepped: bool,
    /// `--watch`, or the annotation: which calls of the program are recorded.
    pub watch: Option<Watched>,
}

/// `NOTIFY_SOCKET`: the caller's socket, and the absolute path of the directory for the socket that the program gets.
pub struct Notify {
    pub address: String,
    pub directory: String,
}

/// The container that `exec` joins.
pub struct Joined {
    /// Its first process.
    pub first: i32,
    /// The kinds of its namespaces.
    pub namespaces: CloneFlags,
    /// The scope that systemd has to move the process into; by itself it may not go there.
    pub scope: Option<Scope>,
}

/// What the users of the container, and of the caller, mean for the plan.
#[derive(Clone, Copy, Default)]
pub struct UserRights {
    /// A user namespace is made, or one that is there is joined.
    pub new: bool,
    pub joined: bool,
    /// The caller has no privileges at all: what needs some is done inside the new user namespace.
    pub inside: bool,
    /// No privileges over the machine: no devices, no device program, and perhaps no cgroup.
    pub limited: bool,
    /// The kernel forbids setting groups, so none can be dropped (user_namespaces(7)).
    pub no_groups: bool,
    /// Only newuidmap(1) and newgidmap(1) may write the mapping.
    pub helpers: bool,
}

impl UserRights {
    pub fn of(spec: &Spec, wish: &Wish) -> Result<UserRights, Problem> {
        let user = namespace(&spec.linux, &NamespaceKind::User);
        let joined = user.is_some_and(|n| n.joined().is_some());
        let new = user.is_some() && !joined;
        let inside = wish.uid != 0;
        if inside && user.is_none() {
            let text = "has no `user` namespace, and the caller is not root: `nk-runtime spec --rootless` writes one";
            return Err(problem("/linux/namespaces", text));
        }
        let own = |mappings: &[IdMapping], id: u32| matches!(mappings, [m] if m.host_id == id && m.size == 1);
        let alone = own(&spec.linux.uid_mappings, wish.uid) && own(&spec.linux.gid_mappings, wish.gid);
        let no_groups = inside && new && alone;
        if no_groups && !spec.process.user.additional_gids.is_empty() {
            let text = "needs a mapping that newgidmap writes: with one group mapped the kernel forbids setting others";
            return Err(problem("/process/user/additionalGids", text));
        }
        Ok(UserRights {
            new,
            joined,
            inside,
            limited: inside || wish.nested,
            no_groups: no_groups || wish.no_groups,
            helpers: inside && new && !alone,
        })
    }

    /// The caller has rights over the machine, and init leaves them for those of a user namespace.
    pub fn leaves_rights(&self) -> bool {
        (self.new || self.joined) && !self.limited
    }

    /// A user namespace other than the machine's, where no device can be made.
    pub fn foreign(&self) -> bool {
        self.new || self.joined || self.limited
    }
}
