//! The instruction set of a plan: each [`Op`] is a verb of at most about six system calls with fixed control flow.
//! Everything that an op needs is in it, made before the clone: the lanes only walk their lines. May touch: types.

pub use super::slot::Slot;

use super::Step;
use super::callers::Caller;
use super::cgroup::limits::Setting;
use super::cgroup::scope::{Property, Scope, Sockets};
use super::terminal::Terminal;
use alloc::boxed::Box;
use alloc::ffi::CString;
use alloc::string::String;
use alloc::vec::Vec;
use syscalls::abi::{BpfInsn, SchedAttr, SockFilter};
use syscalls::{CapabilitySets, Why};

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
    /// The same, and the target's last part is not followed if it is a link.
    AsSourceHere,
    /// A source that is a link is not mounted but made again.
    Copy,
}

/// Changes of a mount's properties, in mount_setattr(2)'s words.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Attributes {
    pub set: u64,
    pub clear: u64,
    pub propagation: u64,
    pub recursive: bool,
}

/// A program that is run at a point of the container's life (config.md, "POSIX-platform Hooks").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hook {
    pub path: CString,
    pub argv: Vec<CString>,
    /// None: the environment of this command's caller.
    pub envp: Option<Vec<CString>>,
    /// Beside these the container's HOME, if that was looked up.
    pub home: bool,
    /// Where it begins, if it is not where its parent is.
    pub cwd: Option<CString>,
    /// Seconds that it may take.
    pub timeout: Option<u64>,
    /// The state document that it reads, before and behind the process id.
    pub state: [Vec<u8>; 2],
}

/// Where a process begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Born {
    /// In the cgroup of the process that clones it.
    Outside,
    InCgroup,
    /// In the container's cgroup if that could be made.
    InCgroupIfAny,
}

/// One instruction. What few plans have and takes much room is boxed: each line is as long as the longest instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Op {
    // The host lane.
    OpenRootfs {
        path: CString,
    },
    /// Without privileges the rootfs can only be looked at from outside.
    LookAtRootfs {
        path: CString,
    },
    OpenNamespace {
        path: CString,
        kind: &'static str,
        /// Something of it is changed: then it may not be the runtime's own.
        changed: bool,
        slot: Slot,
    },
    /// A user namespace that nobody lives in: it stands for a mapping of ids.
    MappingNamespace {
        uids: Vec<u8>,
        gids: Vec<u8>,
        slot: Slot,
    },
    OpenHostProc,
    OpenSource {
        path: CString,
        /// The path lies in the rootfs, as the mounts so far have made that.
        in_rootfs: bool,
        recursive: bool,
        /// A link is opened itself.
        link: bool,
        /// The namespace whose mapping of ids the tree gets, and whether all mounts below get it.
        idmap: Option<(Slot, bool)>,
        attributes: Attributes,
        tree: Slot,
    },
    MakeCgroup {
        parents: Vec<CString>,
        path: CString,
        /// Without privileges, where nothing is delegated, the container does without.
        optional: bool,
    },
    /// The same, made by systemd: a scope, held by a process that waits until init is in it.
    StartScope {
        scope: Box<Scope>,
        path: CString,
    },
    /// Init was born outside: its user may not place it there himself.
    JoinScope(Box<Scope>),
    ReleaseScope,
    /// What systemd shall know of a limit that came late.
    SetScope {
        unit: String,
        sockets: Sockets,
        properties: Vec<Property>,
    },
    /// The cgroups above hand controllers down: those that somebody may ask about later, as far as there are any, and
    /// those that limits need.
    EnableControllers {
        above: Vec<CString>,
        needed: Vec<String>,
    },
    /// What could not be had together is asked for alone.
    NeedController {
        above: Vec<CString>,
        name: String,
    },
    /// A file of the cgroup gets a value.
    SetCgroup {
        setting: Box<Setting>,
    },
    /// The cgroup is given to who is root inside (cgroup-v2.rst, "Delegation").
    GiveCgroup {
        uid: u32,
        gid: u32,
    },
    DeviceProgram {
        program: Vec<BpfInsn>,
    },
    CloneCgroupTree {
        attributes: Attributes,
        tree: Slot,
    },
    /// Refuses a label whose security module this kernel does not have.
    SecurityModule {
        selinux: bool,
    },
    /// A group of resctrl: its directory, whether the container owns it, and lines for its schemata.
    Resctrl {
        group: CString,
        schemata: Vec<u8>,
        monitor: Option<CString>,
    },
    ResctrlJoin {
        group: CString,
        monitor: Option<CString>,
    },
    Channel,
    HookOutput,
    /// What `state` tells while the hooks run.
    NoteCreating {
        parts: Box<[Vec<u8>; 3]>,
    },
    StartFifos,
    HoldSignals,
    LookAtSignals,
    /// `uid`'s home directory goes into the environment: config.json names none.
    LookUpHome {
        uid: u32,
    },
    Clone {
        flags: u64,
        born: Born,
    },
    /// `exec`: the container's root, in its procfs directory, for a look.
    LookInside {
        path: CString,
        /// It becomes the root of the new process: so it has to be that of a process that still lives.
        enter: bool,
    },
    /// A child in the same namespaces, or only in a new user namespace, which will make init.
    CloneBridge {
        flags: u64,
    },
    /// Writes the mappings of the new user namespace, or has them written by newuidmap(1) and newgidmap(1).
    MapIds {
        uids: Vec<u8>,
        gids: Vec<u8>,
        deny_setgroups: bool,
        helpers: Option<Box<[Hook; 2]>>,
    },
    TellMapped,
    TellPlaced,
    /// The bridge says which process init is, and ends.
    AwaitInit,
    AwaitMounted,
    TellHooked,
    /// The state document: text, the pid, text, the clone's time before and after, text, the configuration.
    SaveState {
        parts: Box<[Vec<u8>; 3]>,
        configuration: &'static [u8],
    },
    AwaitReady,
    PidFile {
        path: CString,
    },
    PlacePidFile {
        path: CString,
    },
    TellGo,
    /// The descriptor goes to whoever listens at the path, with a document about the container.
    PassListener {
        path: CString,
        document: Vec<Vec<u8>>,
    },
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

    // Any lane.
    Terminal(Terminal),
    Caller(Caller),
    RouteSocket,
    /// A bit a processor.
    Affinity {
        cpus: Vec<u64>,
    },
    /// All processors that the cgroup allows.
    AnyProcessor,
    /// The host's own hard limit, as far as init cannot raise it any more: init is born with it.
    RaiseLimit {
        resource: u32,
        hard: u64,
    },
    /// `exec`: several namespaces of the container at once, by a handle on its first process.
    JoinContainer {
        flags: u32,
    },

    // The bridge and the init lane.
    TellInit,
    JoinNamespace {
        slot: Slot,
        kind: &'static str,
        flags: u32,
    },
    Dumpable {
        dumpable: bool,
    },
    AwaitMapped,
    AwaitPlaced,
    /// The first user of the new user namespace.
    RootInside {
        uid: u32,
        gid: u32,
    },

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
    /// What asks a process to end ends this one, until its execve.
    EndBySignals,
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
    /// The lane stands in a directory of the rootfs, and links of the rootfs are not followed.
    StandBeside {
        path: CString,
    },
    /// `name`: where in the path it begins.
    BindBeside {
        source: CString,
        path: CString,
        name: usize,
        recursive: bool,
    },
    LeaveBeside,
    /// `path`: where hooks look for it, if there are any; else over `/`.
    AttachRootfs {
        path: Option<CString>,
    },
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
        /// What lies below is copied into it.
        copy_up: bool,
        /// Its root gets the mode of the directory that it covers.
        keep_mode: bool,
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
    /// `own`: only on the mount of the rootfs itself.
    OpenDirectory {
        path: CString,
        slot: Slot,
        own: bool,
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
    /// A file that the device of the host is bound on, where a user namespace may make none.
    BoundDevice {
        base: Slot,
        name: CString,
        tree: Slot,
    },
    TellMounted,
    AwaitHooked,
    /// A hook; in the init lane in the container's namespaces.
    Hook {
        hook: Box<Hook>,
    },
    /// A procfs that nobody else can reach, for writes.
    PrivateProc,
    /// Into a file of a procfs that this plan made, or of the host's that was checked.
    WriteProc {
        base: Slot,
        path: CString,
        text: Vec<u8>,
    },
    RootPropagation {
        flags: u32,
    },
    Scheduler {
        attr: SchedAttr,
    },
    IoPriority {
        value: u32,
    },
    MemoryPolicy {
        mode: u32,
        nodes: Vec<u64>,
    },
    Personality {
        persona: u32,
    },
    /// `aside`: the rootfs's own directory. If `/` is a ramfs, what lies on `/` has to go there for a moment.
    PivotRoot {
        aside: Option<CString>,
    },
    /// Where the mounts are the host's.
    Chroot,
    /// `attached`: the rootfs is not on `/` yet, but in its own directory.
    MoveRoot {
        attached: bool,
    },
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
    /// Closes every descriptor from `first` on, but those through which init and the host talk.
    CloseDescriptors {
        first: u32,
    },
    Cwd {
        path: CString,
    },
    DropBounding {
        drop: u64,
    },
    Groups {
        gids: Vec<u32>,
        /// In a user namespace of somebody else's, the kernel may let nobody set groups.
        if_allowed: bool,
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
    /// `listener`: the host takes the descriptor on which calls are asked about.
    Seccomp {
        filter: Vec<SockFilter>,
        flags: u32,
        listener: bool,
    },
    Umask {
        mask: u32,
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

/// One line of a plan.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Line {
    pub op: Op,
    pub step: Step,
    /// A JSON pointer into config.json: what asked for this line. Empty: nobody had to ask.
    pub from: String,
    pub why: Why,
}

/// What will be done, in order. Lines are numbered from 1: the host's, the bridge's, init's.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    pub host: Vec<Line>,
    /// Empty: there is none.
    pub bridge: Vec<Line>,
    pub init: Vec<Line>,
    /// How many descriptors have a numbered place.
    pub slots: u16,
}

impl Plan {
    /// The line with this number.
    pub fn line(&self, number: u16) -> Option<&Line> {
        let index = (number as usize).checked_sub(1)?;
        self.lines().nth(index)
    }

    /// All lines, in the order of their numbers.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        self.host.iter().chain(&self.bridge).chain(&self.init)
    }
}
