//! The instruction set of a plan: each [`Op`] is a verb of at most about six system calls with fixed control flow.
//! Everything that an op needs is in it, made before the clone: the lanes only walk their lines. May touch: types.

use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use syscalls::abi::BpfInsn;
use syscalls::{CapabilitySets, Why};

/// A numbered place for a descriptor that is known only when the plan is carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub u16);

impl Slot {
    /// The state directory of the container.
    pub const STATE: Slot = Slot(0);
    /// The tree that becomes `/`.
    pub const ROOTFS: Slot = Slot(1);
    pub const CGROUP: Slot = Slot(2);
    /// The host's and the init's end of what they talk through.
    pub const CHANNEL: Slot = Slot(3);
    pub const INIT_END: Slot = Slot(4);
    /// The fifo on which a created container waits, and the one whose end says that execve succeeded.
    pub const START: Slot = Slot(5);
    pub const REPORT: Slot = Slot(6);
    /// Handle on the container's first process.
    pub const INIT: Slot = Slot(7);
    /// `/proc`, `/dev` and `/sys` of the container, once mounted.
    pub const PROC: Slot = Slot(8);
    pub const DEV: Slot = Slot(9);
    pub const SYS: Slot = Slot(10);
    /// The container's `/dev/null`, checked.
    pub const NULL: Slot = Slot(11);
    /// The device program.
    pub const PROGRAM: Slot = Slot(12);
    /// Where the kernel is told about network interfaces: each lane has one, in its own namespace.
    pub const ROUTE: Slot = Slot(13);
    pub const FIRST_FREE: u16 = 14;
}

/// Where something is mounted or looked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Place {
    /// Below the rootfs, which is hostile: resolved with openat2 so that no link leads out, and used by descriptor.
    Rootfs { path: CString, links: bool },
    /// Below a file system that this plan has just made and that nobody else can reach: a plain relative name will do,
    /// and the lane stands there already.
    Under { base: Slot, path: CString },
}

/// What has to exist at a mount's target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Directory,
    /// Known only when the source has been opened: a bind mount of a file needs a file.
    AsSource,
}

/// Changes of a mount's properties, in mount_setattr(2)'s words.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Attributes {
    pub set: u64,
    pub clear: u64,
    pub propagation: u64,
    pub recursive: bool,
}

/// One instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    // The host lane.
    OpenRootfs {
        path: CString,
    },
    OpenSource {
        path: CString,
        recursive: bool,
        attributes: Attributes,
        tree: Slot,
    },
    MakeCgroup {
        parents: Vec<CString>,
        path: CString,
    },
    DeviceProgram {
        program: Vec<BpfInsn>,
    },
    CloneCgroupTree {
        attributes: Attributes,
        tree: Slot,
    },
    Channel,
    StartFifos,
    HoldSignals,
    LookAtSignals,
    /// `uid`'s home directory goes into the environment: config.json names none.
    LookUpHome {
        uid: u32,
    },
    Clone {
        flags: u64,
        cgroup: bool,
    },
    /// The state document: text, the pid, text, the clone's time before and after, text.
    SaveState {
        parts: [Vec<u8>; 3],
    },
    AwaitReady,
    PidFile {
        path: CString,
        temporary: CString,
    },
    TellGo,
    AwaitExec,
    /// Of a network device: what it loses on its way into the container, and the requests to give it that again.
    ReadNetDevice {
        device: String,
        name: String,
    },
    /// `number`: which of those that were read.
    MoveNetDevice {
        device: String,
        number: u16,
    },
    AwaitAsk,
    TellMoved,

    // Either lane.
    RouteSocket,

    // The init lane.
    FreeName {
        name: String,
    },
    AskNetDevices,
    SetUpNetDevice {
        device: String,
        name: String,
        number: u16,
    },
    CloseHostEnd,
    Limit {
        resource: u32,
        soft: u64,
        hard: u64,
    },
    ClearUmask,
    ReleaseSignals,
    Session,
    Keyring {
        name: CString,
    },
    Unshare {
        flags: u32,
    },
    Propagation {
        flags: u32,
    },
    AttachRootfs,
    Enter {
        base: Slot,
    },
    Mount {
        at: Place,
        source: CString,
        kind: CString,
        flags: u32,
        data: Option<CString>,
        open: Option<Slot>,
    },
    Attach {
        at: Place,
        tree: Slot,
        kind: Kind,
        open: Option<Slot>,
    },
    Remount {
        at: Place,
        flags: u32,
        data: Option<CString>,
    },
    Alter {
        at: Place,
        attributes: Attributes,
    },
    OpenDirectory {
        path: CString,
        slot: Slot,
    },
    Directory {
        base: Slot,
        name: CString,
        mode: u32,
    },
    Device {
        base: Slot,
        name: CString,
        mode: u32,
        major: u32,
        minor: u32,
        uid: u32,
        gid: u32,
    },
    Link {
        base: Slot,
        name: CString,
        target: CString,
        replace: bool,
    },
    OpenNull {
        check: bool,
    },
    MakeCwd {
        path: CString,
    },
    PivotRoot,
    MoveRoot,
    /// `directory`: what the path is expected to be.
    Mask {
        at: Place,
        directory: bool,
    },
    ReadonlyPath {
        at: Place,
    },
    ReadonlyRoot,
    Hostname {
        name: Vec<u8>,
    },
    Domainname {
        name: Vec<u8>,
    },
    LoopbackUp,
    Cwd {
        path: CString,
    },
    DropBounding {
        drop: u64,
    },
    Groups {
        gids: Vec<u32>,
    },
    Ids {
        uid: u32,
        gid: u32,
    },
    Capabilities {
        sets: CapabilitySets,
        ambient: u64,
    },
    NoNewPrivileges,
    Umask {
        mask: Option<u32>,
    },
    /// `look`: also whether it is a file, which otherwise execve tells at once.
    FindProgram {
        named: CString,
        candidates: Vec<CString>,
        look: bool,
    },
    AwaitGo,
    TellReady,
    AwaitStart,
    Execve {
        argv: Vec<CString>,
        envp: Vec<CString>,
    },
}

/// The steps of a container's life that head the listing and the trace, in the order of the OCI runtime
/// specification's "Lifecycle".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u16)]
pub enum Step {
    Command,
    State,
    Sources,
    Cgroup,
    Namespaces,
    Process,
    Root,
    Mounts,
    Devices,
    Pivot,
    Paths,
    Identity,
    Privileges,
    Start,
    Program,
    Wait,
    Stop,
    Delete,
    Look,
}

impl Step {
    pub const ALL: [Step; 19] = [
        Step::Command,
        Step::State,
        Step::Sources,
        Step::Cgroup,
        Step::Namespaces,
        Step::Process,
        Step::Root,
        Step::Mounts,
        Step::Devices,
        Step::Pivot,
        Step::Paths,
        Step::Identity,
        Step::Privileges,
        Step::Start,
        Step::Program,
        Step::Wait,
        Step::Stop,
        Step::Delete,
        Step::Look,
    ];

    /// Its name in JSON, and its heading: the number is that of the lifecycle in runtime.md.
    pub fn text(self) -> (&'static str, &'static str) {
        match self {
            Step::Command => ("command", "before the lifecycle: the command, the bundle"),
            Step::State => (
                "state",
                "lifecycle 1, create: the container's state and its recorder",
            ),
            Step::Sources => (
                "sources",
                "lifecycle 2, create: what of the host is needed inside",
            ),
            Step::Cgroup => ("cgroup", "lifecycle 2, create: the cgroup"),
            Step::Namespaces => ("namespaces", "lifecycle 2, create: the namespaces"),
            Step::Process => (
                "process",
                "lifecycle 2, create: the process's limits and session",
            ),
            Step::Root => ("root", "lifecycle 2, create: the root file system"),
            Step::Mounts => ("mounts", "lifecycle 2, create: the mounts"),
            Step::Devices => ("devices", "lifecycle 2, create: the devices"),
            Step::Pivot => ("pivot", "lifecycle 2, create: the switch of root"),
            Step::Paths => ("paths", "lifecycle 2, create: masked and read-only paths"),
            Step::Identity => ("identity", "lifecycle 2, create: names and network"),
            Step::Privileges => (
                "privileges",
                "lifecycle 2, create: user, capabilities, program",
            ),
            Step::Start => ("start", "lifecycle 6, start"),
            Step::Program => ("program", "lifecycle 8, the program runs"),
            Step::Wait => ("wait", "lifecycle 10, the program ends"),
            Step::Stop => ("stop", "a signal is sent"),
            Step::Delete => ("delete", "lifecycle 11 and 12, delete"),
            Step::Look => ("look", "looking, without changing anything"),
        }
    }

    /// The step of a record, or of any number.
    pub fn of(number: u16) -> Step {
        Step::ALL
            .get(number as usize)
            .copied()
            .unwrap_or(Step::Command)
    }
}

/// One line of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub op: Op,
    pub step: Step,
    /// A JSON pointer into config.json: what asked for this line. Empty: nobody had to ask.
    pub from: String,
    pub why: Why,
}

/// Who walks which lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Lane {
    Host = 0,
    Init = 1,
}

/// What will be done, in order. Lines are numbered from 1, the host's first.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub host: Vec<Line>,
    pub init: Vec<Line>,
    /// How many descriptors have a numbered place.
    pub slots: u16,
}

impl Plan {
    /// The line with this number.
    pub fn line(&self, number: u16) -> Option<&Line> {
        let index = (number as usize).checked_sub(1)?;
        self.host
            .get(index)
            .or_else(|| self.init.get(index.checked_sub(self.host.len())?))
    }
}
