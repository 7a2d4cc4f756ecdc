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
use crate::outcome::Lane;

/// An enum of stages in their order, each below its heading. What stands over a stage is shown to users.
macro_rules! stages {
    ($(#[$about:meta])* $lane:ident { $($heading:ident { $($(#[doc = $text:literal])+ $stage:ident,)+ })+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
        #[repr(u8)]
        pub enum $lane { $($($(#[doc = $text])+ $stage,)+)+ }

        impl $lane {
            /// The names of its stages, and their texts: one text for all, since an array of them would be addresses, which
            /// every start of the program has to correct.
            const WORDS: &str = concat!($($(stringify!($stage), $($text,)+ "\n",)+)+);

            pub fn heading(self) -> Step {
                match self { $($(Self::$stage)|+ => Step::$heading,)+ }
            }
        }
    };
}

/// A stage in words: its name in kebab-case, and what is done in it. `number`: as records have it, counted from 1.
pub fn stage(lane: u8, number: u8) -> Option<(String, &'static str)> {
    // The processes of hooks and the holders of mappings belong to lines of the lane that cloned them.
    let words = match lane {
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
            /// The rootfs is opened, and the home directory is looked up in it.
            Rootfs,
            /// The namespaces that the container joins are opened.
            Joined,
            /// The kernel is asked for the security modules that labels need.
            Modules,
            /// `exec`: the container's root is opened, for its home directory or to enter it.
            Container,
            /// The sources of mounts are opened, and the mappings that some of them show.
            Mounts,
        }
        Cgroup {
            /// The cgroup is made and gets its limits: init is born into it.
            Cgroup,
            /// The kernel gets the program that decides about devices.
            DeviceProgram,
            /// A mount shows the cgroup inside: its source exists only when the cgroup does.
            CgroupTree,
            /// The group of resctrl is made.
            Rdt,
        }
        Sources {
            /// Devices of the host's are opened, to be bound where no device can be made.
            Devices,
            /// The file that takes what hooks print: init inherits it.
            HookOutput,
        }
        Identity {
            /// The network interfaces are read while they are still the host's.
            Network,
        }
        Process {
            /// `exec`: the processors to start on.
            Affinity,
            /// The socket for the terminal's other side: a caller that does not listen is found out before the clone.
            Console,
            /// The same for the caller that wants a handle on the new process.
            Pidfd,
        }
        Namespaces {
            /// Host and init will talk through this channel.
            Channel,
            /// The host's procfs is opened: files of processes are read and written through it.
            Procfs,
        }
        Sources {
            /// The file that takes what newuidmap prints.
            HelperOutput,
        }
        Namespaces {
            /// This process may be looked into by its own user: only so can the user map ids.
            Dumpable,
            /// The out-of-memory score, where init could not set it: init inherits it.
            OomScore,
            /// Hard limits that init could not raise.
            Limits,
            /// `create`: the fifos on which the container will wait for `start`.
            Fifos,
            /// The caller's signals are held back and looked at.
            Signals,
            /// The clone of init, or of the bridge.
            Clone,
            /// The bridge's ids are mapped.
            BridgeMapped,
            /// The bridge has made init.
            AwaitInit,
        }
        Cgroup {
            /// systemd moves init into its scope.
            Placed,
        }
        Namespaces {
            /// Init's ids are mapped.
            Mapped,
        }
        Cgroup {
            /// The process that held the scope until init was in it ends.
            ReleaseScope,
            /// Init joins its group of resctrl.
            JoinRdt,
        }
        Hooks {
            /// prestart and createRuntime: the mounts are made, and the root is still the host's.
            Hooks,
        }
        Identity {
            /// The network interfaces are moved, when init has done what is most likely to fail.
            MoveNetwork,
        }
        Start {
            /// The agent that answers for system calls gets init's listener.
            Listener,
        }
        State {
            /// `create`: init has done all that comes before `start`.
            Ready,
            /// The container goes on record.
            State,
            /// The pid file is written, under a name of its own.
            PidFile,
        }
        Cgroup {
            /// The limit of processes: before the clone, it could forbid init.
            PidsLimit,
        }
        Start {
            /// In the foreground: the terminal's other side is taken.
            Terminal,
            /// The caller gets its handle on the new process.
            SendPidfd,
            /// Settings that take a right over the machine, where init no longer has that right.
            Rights,
            /// Init may go on.
            Go,
            /// `run` and `exec`: the listener of a filter that is loaded last.
            LateListener,
            /// execve succeeded, or failed.
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
            /// The host's end of the channel is closed.
            HostEnd,
            /// The ids are mapped, and this process is root of the new user namespace.
            Mapped,
            /// The namespaces that are there are joined.
            Join,
            /// A new time namespace is made, and its clocks are set.
            Time,
            /// The process hides from its own user again.
            Hide,
            /// The clone of init, as a child of the host's.
            Clone,
            /// The host learns which process is init.
            Tell,
        }
    }
}

stages! {
    /// The init lane: what becomes the container.
    Init {
        Namespaces {
            /// The host's end of the channel is closed.
            HostEnd,
            /// systemd has moved this process into its scope.
            Placed,
            /// The ids are mapped.
            Mapped,
            /// The namespaces that are there are joined.
            Join,
            /// `exec`: the container's root is entered, where no mount namespace brings it.
            JoinRoot,
            /// This process is root of its user namespace.
            Root,
        }
        Process {
            /// `exec`: the processors to run on.
            Affinity,
            /// Umask, signals and session are its own.
            Session,
            /// The label of the keyring to come.
            KeyLabel,
            /// The session keyring.
            Keyring,
            /// All processors that the cgroup allows.
            Processors,
        }
        Namespaces {
            /// The cgroup namespace: its root is the cgroup that this process is in.
            CgroupNamespace,
        }
        Root {
            /// The mounts are cut off from the host's.
            Propagation,
        }
        Sources {
            /// Where only init may: the rootfs is opened.
            RootfsSource,
            /// The same for the sources of mounts.
            MountSources,
            /// The same for the host's devices.
            DeviceSources,
        }
        Root {
            /// The rootfs is attached.
            Attach,
        }
        Mounts {
            /// The mounts, in the order of the list.
            Mounts,
        }
        Devices {
            /// Devices and links in /dev.
            Devices,
            /// The terminal, and /dev/console.
            Terminal,
        }
        Root {
            /// The working directory is made, if it is missing.
            MakeCwd,
        }
        Hooks {
            /// The host's hooks have their turn, then createContainer.
            Hooks,
        }
        Pivot {
            /// The switch of root.
            Pivot,
            /// How mounts of the root are passed on from here on.
            RootPropagation,
        }
        Identity {
            /// Settings of the new namespaces: sysctl.
            Settings,
            /// The out-of-memory score.
            OomScore,
        }
        Paths {
            /// /dev becomes read-only, if the configuration asks for that.
            ReadonlyDev,
            /// Read-only and masked paths, and last the read-only root.
            Paths,
            /// An unbindable root: no mask could be bound after this.
            Unbindable,
        }
        Identity {
            /// Host name and domain name.
            Names,
            /// The network interfaces: `lo`, and those that the host gives away.
            Network,
        }
        Privileges {
            /// Resource limits: raising one still takes a right.
            Limits,
            /// Scheduling, memory and personality.
            Scheduling,
            /// The labels that hold from execve on.
            Labels,
            /// Standard streams without a terminal.
            Streams,
            /// All other descriptors are closed.
            Descriptors,
            /// The working directory is entered.
            Cwd,
            /// The bounding set loses what the program may not have: that takes CAP_SETPCAP.
            Bounding,
            /// The groups: that takes CAP_SETGID.
            Groups,
            /// The filter, where loading it takes a right that the program does not have.
            Filter,
            /// The user: the kernel takes the rights of root with it.
            User,
            /// The capabilities, no_new_privs and the umask of the program.
            Capabilities,
            /// The program is found.
            Find,
            /// `create` with an agent that answers for system calls: the agent waits for the listener before `start`.
            WaitingFilter,
        }
        Start {
            /// The container goes on record; `create` waits for `start` here.
            Go,
        }
        Hooks {
            /// startContainer.
            StartHooks,
        }
        Privileges {
            /// The filter, where it can come last: it is asked about execve alone.
            LastFilter,
        }
        Program {
            /// execve.
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
