//! THE ORDER: everything that `create`, `run` and `exec` do, from the first descriptor to execve, as three lists of
//! stages, one a lane. A subject puts its lines into stages, and the stages alone decide which line comes before which.
//! Lines of one stage stay in the order in which their subject wrote them.
//!
//! A heading stands over the stages that it is printed above. The lines of `exec` have one heading, their own.
//!
//! ```text
//!   host    Rootfs ... Signals ── Clone ── BridgeMapped ... Hooks ... State ... Go ... PlacePidFile
//!   bridge                          └─► HostEnd ... Clone
//!   init                                             └─► HostEnd ... Mounts ... Pivot ... User ... Go ... Program
//! ```

use super::step::Step;
use crate::outcome::{Lane, OF_MACHINE};

/// An enum of stages in their order, each below its heading. What stands over a stage is shown to users.
macro_rules! stages {
    ($(#[$about:meta])* $lane:ident { $($heading:ident { $($(#[doc = $text:literal])+ $stage:ident,)+ })+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum $lane { $($($(#[doc = $text])+ $stage,)+)+ }

        impl $lane {
            /// The names of its stages, and their texts, a line for each stage.
            const WORDS: &str = concat!($($(stringify!($stage), $($text,)+ "\n",)+)+);

            pub fn heading(self) -> Step {
                match self { $($(Self::$stage)|+ => Step::$heading,)+ }
            }
        }
    };
}

// The kernel checks the program for devices while init is at work. The host's hooks and the container's program begin after that.
const _: () = assert!((Host::Clone as u8) < Host::DeviceProgram as u8);
const _: () = assert!((Host::DeviceProgram as u8) < Host::Hooks as u8 && (Host::Hooks as u8) < Host::Go as u8);

/// A stage in words: its name in kebab-case, and what is done in it. `number`: as records have it, counted from 1.
pub fn stage(lane: u8, number: u8) -> Option<(String, &'static str)> {
    // The processes of hooks and the holders of mappings belong to lines of the lane that cloned them.
    let words = match lane & !OF_MACHINE {
        lane if lane == Lane::Bridge as u8 => Bridge::WORDS,
        lane if [Lane::Init, Lane::InnerHook].map(|lane| lane as u8).contains(&lane) => Init::WORDS,
        _ => Host::WORDS,
    };
    let (name, text) = words.lines().nth(usize::from(number).checked_sub(1)?)?.split_once(' ')?;
    let mut kebab = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() && !kebab.is_empty() {
            kebab.push('-');
        }
        kebab.push(c.to_ascii_lowercase());
    }
    Some((kebab, text))
}

stages! {
    /// The host lane: the runtime that was called.
    Host {
        Sources {
            /// The runtime opens the directory that becomes `/` in the container, and looks up the home directory in it.
            Rootfs,
            /// The runtime opens the namespaces that the container shares with other processes.
            Joined,
            /// The runtime asks the kernel for the security module that a label of the configuration needs.
            Modules,
            /// `exec`: the runtime opens the container's root, to find the home directory or to enter it.
            Container,
            /// The runtime opens what the container gets to see of the host: the sources of its mounts.
            Mounts,
        }
        Cgroup {
            /// The runtime makes the cgroup and sets its limits. The first process is born into it, so it is never outside.
            Cgroup,
            /// The runtime opens the new cgroup, since a mount shows it inside.
            CgroupTree,
            /// The runtime makes the group of processes that gets a share of cache and memory bandwidth.
            Rdt,
        }
        Sources {
            /// The runtime opens devices of the host. The container gets binds of them, because no device can be made there.
            Devices,
            /// The runtime makes a file for what hooks print. A message about a failed hook quotes it.
            HookOutput,
        }
        Identity {
            /// The runtime reads the addresses of network interfaces while they are still the host's.
            Network,
        }
        Process {
            /// `exec`: the runtime moves to the processors on which the new process begins.
            Affinity,
            /// The runtime makes the socket that the terminal comes through, or connects to the caller's. A missing one is found out now.
            Console,
            /// The runtime connects to the listener that gets a handle on the new process.
            Pidfd,
        }
        Namespaces {
            /// The runtime makes the channel by which the two sides of the clone tell each other how far they are.
            Channel,
            /// The runtime opens the host's /proc, to read and write files of processes there.
            Procfs,
            /// `--watch`: the runtime clones the watcher, before it enters a namespace of the container.
            Watcher,
        }
        Sources {
            /// The runtime makes a file for what newuidmap prints.
            HelperOutput,
        }
        Namespaces {
            /// The runtime makes itself visible to its own user. The kernel lets only a visible process have its ids mapped.
            Dumpable,
            /// The runtime sets the out-of-memory score of itself. The new process inherits it, and could not set it.
            OomScore,
            /// The runtime raises hard limits that the new process, with fewer rights, could not raise.
            Limits,
            /// `create`: the runtime makes the fifos on which the container will wait for `start`.
            Fifos,
            /// The runtime holds its caller's signals back, and looks at which of them are ignored.
            Signals,
            /// The runtime clones: from here on there is a second process, CHILD here and `init` in plans and traces.
            Clone,
            /// The runtime says which users of the host the users in the new user namespace are.
            BridgeMapped,
            /// The runtime waits until the process in between has made the container's first process.
            AwaitInit,
            /// `--watch`: the watcher traces the new process, so that it sees the program's calls from the first on.
            Watch,
        }
        Cgroup {
            /// systemd moves the new process into the container's scope, which is its cgroup.
            Placed,
        }
        Namespaces {
            /// The runtime says which users of the host the container's users are.
            Mapped,
        }
        Cgroup {
            /// The process that held the scope open ends: the new process is in it now.
            ReleaseScope,
            /// The new process joins the group that has a share of cache and memory bandwidth.
            JoinRdt,
            /// The kernel gets a program that decides which devices the container may use. It checks the program while the new
            /// process is at work, and that waits for the runtime before its own program begins.
            DeviceProgram,
        }
        Hooks {
            /// The runtime runs the hooks `prestart` and `createRuntime`: the mounts are made, and `/` is still the host's.
            Hooks,
        }
        Identity {
            /// The runtime gives network interfaces to the container, after what is most likely to fail.
            MoveNetwork,
        }
        Start {
            /// The agent that answers for system calls of the container gets its listener.
            Listener,
        }
        State {
            /// `create`: the runtime waits until the new process has done all that comes before `start`.
            Ready,
            /// The container goes on record: other commands find it by its state file.
            State,
            /// The runtime writes the number of the new process into the pid file, under another name at first.
            PidFile,
        }
        Cgroup {
            /// The cgroup gets its limit of processes. Before the clone it could have forbidden the first process.
            PidsLimit,
        }
        Start {
            /// The runtime takes the other side of the container's terminal, to relay keys and output.
            Terminal,
            /// The caller gets a handle on the new process before the program begins.
            SendPidfd,
            /// The runtime makes settings that take a right over the machine, which the new process does not have any more.
            Rights,
            /// The runtime tells the new process to go on, and where both share memory, which signals the caller ignores.
            Go,
            /// The runtime passes the listener of the seccomp filter on, where that is loaded last.
            LateListener,
            /// The runtime learns whether the program has begun, or why it could not.
            Exec,
        }
        State {
            /// The pid file gets its name, when nothing can fail any more.
            PlacePidFile,
        }
    }
}

stages! {
    /// The bridge lane: a process between host and init, where the kernel lets no process move itself.
    Bridge {
        Namespaces {
            /// The process in between closes the runtime's end of the channel.
            HostEnd,
            /// The process in between waits for its ids, and becomes root of the new user namespace.
            Mapped,
            /// The process in between joins the namespaces that are there. Its children are born in them.
            Join,
            /// The process in between makes a time namespace, and sets its clocks while no process lives in it.
            Time,
            /// The process in between hides from its own user again.
            Hide,
            /// The process in between clones the container's first process, as a child of the runtime.
            Clone,
            /// The process in between tells the runtime which process is the first, and ends.
            Tell,
        }
    }
}

stages! {
    /// The init lane: what becomes the container.
    Init {
        Namespaces {
            /// The new process closes the runtime's end of the channel.
            HostEnd,
            /// The new process waits until systemd has moved it into its scope.
            Placed,
            /// The new process waits until its user ids are mapped.
            Mapped,
            /// The new process joins the namespaces that are there.
            Join,
            /// `exec`: the new process enters the container's root, where no mount namespace brings it along.
            JoinRoot,
            /// The new process becomes root of its user namespace.
            Root,
        }
        Process {
            /// `exec`: the new process moves to the processors that the configuration names.
            Affinity,
            /// The new process leaves its caller's session, and takes an umask and signals of its own.
            Session,
            /// The keyring to come gets its label.
            KeyLabel,
            /// The new process gets a keyring of its own, and loses sight of its caller's keys.
            Keyring,
            /// The new process may use all processors that the cgroup allows.
            Processors,
        }
        Namespaces {
            /// The new process gets a cgroup namespace, now that systemd has put it into its scope.
            CgroupNamespace,
        }
        Root {
            /// The mounts in the new mount namespace are cut off from the host's.
            Propagation,
        }
        Sources {
            /// The new process opens the directory that becomes `/`, where only it may.
            RootfsSource,
            /// The new process opens the sources of mounts, where only it may.
            MountSources,
            /// The new process opens the host's devices, where only it may.
            DeviceSources,
        }
        Root {
            /// The directory that becomes `/` is mounted, to be switched to later.
            Attach,
        }
        Mounts {
            /// The mounts are made, in the order in which the configuration lists them.
            Mounts,
        }
        Devices {
            /// The devices and links in /dev are made.
            Devices,
            /// The new process opens its terminal, and gives /dev/console and the standard streams to it.
            Terminal,
        }
        Root {
            /// The working directory is made if it is missing.
            MakeCwd,
        }
        Hooks {
            /// The hooks of the host have their turn; then the new process runs `createContainer`.
            Hooks,
        }
        Pivot {
            /// The prepared directory becomes `/`, and the old root goes away.
            Pivot,
            /// The new root gets its propagation: whether later mounts in it are passed on.
            RootPropagation,
        }
        Identity {
            /// The new process writes the settings of its namespaces (sysctl).
            Settings,
            /// The new process sets its out-of-memory score.
            OomScore,
        }
        Paths {
            /// /dev becomes read-only, where the configuration asks for that.
            ReadonlyDev,
            /// Paths that tell about the host are masked or made read-only, and last the root itself.
            Paths,
            /// The root becomes unbindable, after the masks: no mask could be bound from here on.
            Unbindable,
        }
        Identity {
            /// The container gets a name. The host keeps its own.
            Names,
            /// The network interfaces are set up: `lo`, and those that the host gives away.
            Network,
        }
        Privileges {
            /// The new process gets its resource limits, while it still has the right to raise one.
            Limits,
            /// The new process gets its scheduling, its memory policy and its personality.
            Scheduling,
            /// The new process asks for the labels that hold from `execve` on.
            Labels,
            /// The standard streams are given to the user of the program, where there is no terminal.
            Streams,
            /// All other descriptors are closed: through one the program could reach the host.
            Descriptors,
            /// The new process enters its working directory.
            Cwd,
            /// The bounding set loses the capabilities that the program may never have. That takes CAP_SETPCAP.
            Bounding,
            /// The new process gives up its caller's groups, and takes the program's. That takes CAP_SETGID.
            Groups,
            /// The seccomp filter is loaded here, where that takes a right that the program does not have.
            Filter,
            /// The new process becomes the user of the program. The kernel takes the rights of root with root's id.
            User,
            /// The new process gets the capabilities of the program, no_new_privs, and its umask.
            Capabilities,
            /// The new process looks for the program.
            Find,
            /// `create`: the seccomp filter is loaded before the wait for `start`, since an agent waits for its listener.
            WaitingFilter,
        }
        Start {
            /// The new process waits until the container is on record; with `create` it then waits for `start`.
            Go,
        }
        Hooks {
            /// The new process runs the hooks `startContainer`, inside the container.
            StartHooks,
        }
        Privileges {
            /// The seccomp filter is loaded last, so that it is asked about `execve` alone.
            LastFilter,
        }
        Program {
            /// The new process becomes the container's program.
            Program,
        }
    }
}

impl Host {
    /// Where init opens the sources that the host lane may not open.
    pub fn by_init(self) -> Init {
        match self {
            Host::Rootfs => Init::RootfsSource,
            Host::Devices => Init::DeviceSources,
            _ => Init::MountSources,
        }
    }
}
