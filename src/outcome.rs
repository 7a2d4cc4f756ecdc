//! How an op ends, and which lane it was in: what planning, performing and telling about both have in common.
//! May touch: nothing.

use syscalls::Failed;

/// Who walks which lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Lane {
    Host = 0,
    Init = 1,
    /// Between the two, where the kernel lets no process move itself: it joins what init is to be born into.
    Bridge = 2,
    /// Helpers: a hook of the runtime's namespaces, one of the container's, the holder of a mapping.
    Hook = 3,
    InnerHook = 4,
    Holder = 5,
}

/// What [`Trouble::Hook`] holds beside an exit status: this and a signal, or that its time was over.
pub const SIGNALLED: i32 = 256;
pub const TIMED_OUT: i32 = -1;

/// Findings that are no errno. The text is for the line that says what failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Check {
    CwdOutside,
    NotTheNullDevice,
    OtherDevice,
    TooLong,
    DataTooLong,
    ProgramNotFound,
    NoCgroup2,
    InitVanished,
    OutOfMemory,
    LinkInTheWay,
    TooDeep,
    NoSelinux,
    NoApparmor,
    NoResctrl,
    NobodyTook,
    NameTaken,
    NoDevpts,
    OwnNamespace,
    /// What it said is in the lanes.
    Systemd,
    CgroupFrozen,
    CgroupPopulated,
    Interrupted,
}

impl Check {
    pub const ALL: [(Check, &'static str); 22] = [
        (Check::CwdOutside, "the current directory lies outside the root of the container"),
        (Check::NotTheNullDevice, "/dev/null of the rootfs is not the null device (character device 1:3)"),
        (Check::OtherDevice, "another file stands there already: not the device that was asked for"),
        (Check::TooLong, "the path has more than 4095 bytes once its links are followed"),
        (Check::DataTooLong, "the mount's data has more than the 4095 bytes that the kernel takes"),
        (Check::ProgramNotFound, "executable file not found in $PATH"),
        (
            Check::NoCgroup2,
            "no cgroup2 hierarchy is mounted at /sys/fs/cgroup or /sys/fs/cgroup/unified, and none can be mounted",
        ),
        (Check::InitVanished, "the container's first process was killed before it could say why"),
        (Check::OutOfMemory, "the kernel killed the container's first process: it had no more memory"),
        (Check::LinkInTheWay, "a symbolic link stands where a real directory is needed"),
        (Check::TooDeep, "directories lie more than 64 deep in each other"),
        (Check::NoSelinux, "this kernel runs without SELinux"),
        (Check::NoApparmor, "this kernel runs without AppArmor"),
        (Check::NoResctrl, "no resctrl file system is mounted at /sys/fs/resctrl"),
        (Check::NobodyTook, "the runtime did not take the seccomp listener"),
        (Check::NameTaken, "the container's network namespace has an interface of that name already"),
        (Check::NoDevpts, "what is mounted at /dev/pts of the container is no devpts"),
        (
            Check::OwnNamespace,
            "it is the runtime's own namespace: `hostname`, `domainname`, `sysctl` or mounts would change the host",
        ),
        (Check::Systemd, "systemd did not do it"),
        (
            Check::CgroupFrozen,
            "container's cgroup unexpectedly frozen: by itself or by a cgroup above it, so that nothing would run there",
        ),
        (Check::CgroupPopulated, "container's cgroup is not empty: processes of others are in it or below it"),
        (Check::Interrupted, "a signal (TERM, INT or HUP) ended the wait for another process"),
    ];

    pub fn text(self) -> &'static str {
        Check::ALL.iter().find(|(check, _)| *check == self).map_or("", |(_, text)| text)
    }
}

/// Why an op could not be carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Trouble {
    Call(Failed),
    Check(Check),
    /// How a hook ended: an exit status, [`SIGNALLED`] and a signal, or [`TIMED_OUT`].
    Hook(i32),
}

impl From<Failed> for Trouble {
    fn from(failed: Failed) -> Trouble {
        Trouble::Call(failed)
    }
}

/// A plan that could not be carried out to its end: at which line, and why.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stopped {
    pub lane: Lane,
    pub line: u16,
    pub trouble: Trouble,
}

pub type Done<T = ()> = Result<T, Trouble>;
