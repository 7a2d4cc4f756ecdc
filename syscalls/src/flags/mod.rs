//! Flags and choices: a type for each kind of argument, its constants under the kernel's names, and those names as strace
//! 6.1 spells them and in the order in which it prints them. Bits without a name are printed in hexadecimal, so that none
//! ever vanishes.
//!
//! Here: arguments. `structs.rs`: what stands inside structures. `signals.rs`: signals.

mod signals;

pub(crate) use signals::{NSIG, signal_short};
pub use signals::{signal_name, signal_number};
pub(crate) use structs::*;

use core::fmt::{Display, Formatter, Result, Write};
use linux_raw_sys::general::fsconfig_command as fsconfig;
use linux_raw_sys::{general, ioctl, mempolicy, net, prctl, ptrace};

/// Names and their values. All names are one text, with a space between: an address for each would have to be put right
/// at every start of the program (see `start`), and few runs print any.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Names {
    words: &'static str,
    values: &'static [u64],
}

impl Names {
    fn iter(self) -> impl Iterator<Item = (u64, &'static str)> {
        self.values.iter().copied().zip(self.words.split(' '))
    }

    fn find(self, value: u64) -> Option<&'static str> {
        let place = self.values.iter().position(|v| *v == value)?;
        self.words.split(' ').nth(place)
    }
}

/// A list of names.
pub(crate) struct Words {
    names: Names,
    /// What stands in a comment after a number that has no name: `O_???`.
    unknown: &'static str,
    style: Style,
}

/// How the values of a list are put together.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Bits, any number of which are set.
    Bits,
    /// One of the list.
    One,
    /// One of the list, as its number with the name in a comment.
    Told,
    /// The bits of this mask are one of a list, which always stands first: `O_RDONLY|O_CLOEXEC`.
    First(u64, &'static Names),
    /// As `First`, but a choice without a name stays among the unknown bits (strace's socket types).
    Type(u64, &'static Names),
    /// Type and permission bits of a file.
    Mode,
    /// An ioctl request: taken apart when it has no name.
    Request,
}

/// A value that has names: its list, and its bits.
pub(crate) trait Named {
    /// The list's place in [`LISTS`].
    const PLACE: u8;
    fn bits(&self) -> u64;
}

macro_rules! value {
    ($from:ident $word:ident) => {
        $from::$word as u64
    };
    ($from:ident $word:ident $value:literal) => {
        $value
    };
}

// `= number` is for what linux-raw-sys and libc lack.
macro_rules! names {
    ($from:ident $($word:ident $(= $value:literal)?)*) => {
        Names {
            words: concat!($(stringify!($word), " "),*),
            values: &[$(value!($from $word $($value)?)),*],
        }
    };
}

/// Lists of what stands inside structures.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident $unknown:literal $style:expr, $from:ident { $($words:tt)* })*) => {
        pub(super) static LISTS: &[&Words] = &[$(&$name),*];
        $($(#[$doc])*
        pub(crate) static $name: Words = Words { names: names!($from $($words)*), unknown: $unknown, style: $style };)*
    };
}
// After the macros that it uses.
mod structs;

/// Lists of arguments, each with its type.
macro_rules! lists {
    ($($(#[$doc:meta])* $name:ident $unknown:literal $style:expr, $from:ident {
        $($word:ident $(= $value:literal)?)*
    })*) => {
        #[repr(u8)]
        enum Place { $($name),* }
        /// The lists by name, in the order of [`LISTS`].
        const PLACES: &str = concat!($(stringify!($name), " "),*);
        pub(crate) static LISTS: &[&Words] = &[$(&$name::WORDS),*];
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
            pub struct $name(u64);

            impl $name {
                $(pub const $word: $name = $name(value!($from $word $($value)?));)*
                pub const NONE: $name = $name(0);
                pub(crate) const WORDS: Words =
                    Words { names: names!($from $($word $(= $value)?)*), unknown: $unknown, style: $style };

                pub const fn from_bits(bits: u64) -> $name {
                    $name(bits)
                }

                pub const fn bits(self) -> u64 {
                    self.0
                }

                pub const fn has(self, other: $name) -> bool {
                    self.0 & other.0 == other.0
                }

                pub const fn without(self, other: $name) -> $name {
                    $name(self.0 & !other.0)
                }

                pub const fn or(self, other: $name) -> $name {
                    $name(self.0 | other.0)
                }
            }

            impl core::ops::BitOr for $name {
                type Output = $name;
                fn bitor(self, other: $name) -> $name {
                    self.or(other)
                }
            }

            impl Named for $name {
                const PLACE: u8 = Place::$name as u8;
                fn bits(&self) -> u64 {
                    self.0
                }
            }
        )*
    };
}

use Style::*;

lists! {
    AccessMode "?_OK" Bits, general { F_OK R_OK W_OK X_OK }
    Ambient "PR_CAP_AMBIENT_???" One, prctl { PR_CAP_AMBIENT_RAISE PR_CAP_AMBIENT_CLEAR_ALL }
    AtFlags "AT_???" Bits, general {
        AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE
    }
    Bpf "BPF_???" One, general {
        BPF_PROG_LOAD = 5 BPF_PROG_ATTACH = 8 BPF_PROG_GET_FD_BY_ID = 13 BPF_PROG_QUERY = 16
    }
    Capability "CAP_???" One, general {
        CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
        CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK
        CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN
        CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE
        CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM
        CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE
    }
    /// unshare's flags, and clone3's, which stand in a structure in another order.
    CloneFlags "CLONE_???" Bits, general {
        CLONE_NEWTIME CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_THREAD CLONE_NEWNS CLONE_SYSVSEM
        CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET
        CLONE_PIDFD CLONE_PARENT CLONE_CHILD_CLEARTID CLONE_INTO_CGROUP
    }
    CloseRange "CLOSE_RANGE_???" Bits, libc { CLOSE_RANGE_UNSHARE CLOSE_RANGE_CLOEXEC }
    /// dup3's and pipe2's.
    DescriptorFlags "O_???" Bits, general { O_CLOEXEC }
    Dumpable "SUID_DUMP_???" One, general { SUID_DUMP_DISABLE = 0 SUID_DUMP_USER = 1 SUID_DUMP_ROOT = 2 }
    /// AT_EACCESS has the number of AT_REMOVEDIR: the call tells them apart.
    AccessFlags "AT_???" Bits, general { AT_SYMLINK_NOFOLLOW AT_EACCESS AT_EMPTY_PATH }
    Family "AF_???" One, net { AF_UNIX AF_INET AF_NETLINK AF_VSOCK }
    Fcntl "F_???" One, libc { F_ADD_SEALS F_GET_SEALS }
    FsConfig "FSCONFIG_???" One, fsconfig { FSCONFIG_SET_FLAG FSCONFIG_SET_STRING FSCONFIG_CMD_CREATE }
    FsMount "FSMOUNT_???" Bits, general { FSMOUNT_CLOEXEC }
    FsOpen "FSOPEN_???" Bits, general { FSOPEN_CLOEXEC }
    InternetProtocol "IPPROTO_???" One, libc { IPPROTO_IP }
    Ioctl "ioctl" Request, ioctl {
        TCGETS TIOCSCTTY TIOCGWINSZ TIOCSWINSZ TIOCSPTLCK TIOCGPTPEER SIOCGIFFLAGS SIOCSIFFLAGS SIOCGIFINDEX
    }
    IoPriorityWho "IOPRIO_WHO_???" One, libc { IOPRIO_WHO_PROCESS = 1 }
    Keyctl "KEYCTL_???" One, libc { KEYCTL_JOIN_SESSION_KEYRING }
    Map "MAP_???" First(15, &names!(general MAP_SHARED MAP_PRIVATE)), general {
        MAP_FIXED MAP_ANONYMOUS MAP_SHARED MAP_PRIVATE
    }
    MemFd "MFD_???" Bits, libc { MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB }
    MemoryPolicy "MPOL_???" First(0x1fff, &names!(mempolicy
        MPOL_DEFAULT MPOL_PREFERRED MPOL_BIND MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED_MANY
    )), mempolicy { MPOL_F_STATIC_NODES MPOL_F_RELATIVE_NODES MPOL_F_NUMA_BALANCING }
    FileMode "S_???" Mode, general { S_IFSOCK S_IFLNK S_IFREG S_IFBLK S_IFDIR S_IFCHR S_IFIFO }
    /// fsmount's. mount_setattr's stand in a structure, where strace knows more of them.
    MountAttr "MOUNT_ATTR_???" Bits, general {
        MOUNT_ATTR_RDONLY MOUNT_ATTR_NOSUID MOUNT_ATTR_NODEV MOUNT_ATTR_NOEXEC MOUNT_ATTR_NOATIME
        MOUNT_ATTR_STRICTATIME MOUNT_ATTR_NODIRATIME
    }
    ModuleInit "MODULE_INIT_???" Bits, general { MODULE_INIT_COMPRESSED_FILE = 4 }
    MountFlags "MS_???" Bits, general {
        MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOSYMFOLLOW
        MS_NOATIME MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE
        MS_SHARED MS_RELATIME MS_KERNMOUNT MS_I_VERSION MS_STRICTATIME MS_LAZYTIME MS_SUBMOUNT MS_NOREMOTELOCK
        MS_NOSEC MS_BORN MS_ACTIVE MS_NOUSER
    }
    MountSetattr "AT_???" Bits, general { AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE }
    MoveMount "MOVE_MOUNT_???" Bits, general {
        MOVE_MOUNT_F_SYMLINKS MOVE_MOUNT_F_AUTOMOUNTS MOVE_MOUNT_F_EMPTY_PATH MOVE_MOUNT_T_SYMLINKS
        MOVE_MOUNT_T_AUTOMOUNTS MOVE_MOUNT_T_EMPTY_PATH MOVE_MOUNT_SET_GROUP
    }
    MsgFlags "MSG_???" Bits, libc { MSG_DONTWAIT MSG_NOSIGNAL MSG_CMSG_CLOEXEC }
    NetlinkProtocol "NETLINK_???" One, libc { NETLINK_ROUTE }
    OpenFlags "O_???" First(3, &names!(general O_RDONLY O_WRONLY O_RDWR O_ACCMODE)), general {
        O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC __O_SYNC O_DSYNC O_DIRECT O_LARGEFILE O_NOFOLLOW
        O_NOATIME O_CLOEXEC O_PATH O_TMPFILE __O_TMPFILE O_DIRECTORY FASYNC O_RDONLY O_WRONLY O_RDWR
    }
    OpenTree "OPEN_TREE_???" Bits, general {
        OPEN_TREE_CLONE OPEN_TREE_CLOEXEC AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT
        AT_EMPTY_PATH AT_RECURSIVE
    }
    Persona "PER_???" One, libc { PER_LINUX = 0 PER_LINUX32 = 8 }
    Prctl "PR_???" One, prctl {
        PR_SET_PDEATHSIG PR_SET_DUMPABLE PR_SET_KEEPCAPS PR_CAPBSET_DROP PR_SET_CHILD_SUBREAPER PR_SET_NO_NEW_PRIVS
        PR_SET_MM PR_CAP_AMBIENT
    }
    Prot "PROT_???" Bits, general { PROT_NONE PROT_READ PROT_WRITE PROT_EXEC }
    Ptrace "PTRACE_???" One, ptrace { PTRACE_SEIZE }
    PtraceOptions "PTRACE_O_???" Bits, ptrace {
        PTRACE_O_TRACESYSGOOD PTRACE_O_TRACEFORK PTRACE_O_TRACEVFORK PTRACE_O_TRACECLONE PTRACE_O_TRACEEXEC
        PTRACE_O_TRACEEXIT
    }
    Reboot "LINUX_REBOOT_CMD_???" One, general {
        LINUX_REBOOT_CMD_CAD_OFF LINUX_REBOOT_CMD_RESTART LINUX_REBOOT_CMD_HALT LINUX_REBOOT_CMD_CAD_ON
        LINUX_REBOOT_CMD_POWER_OFF
    }
    RebootMagic "LINUX_REBOOT_MAGIC_???" One, general { LINUX_REBOOT_MAGIC1 LINUX_REBOOT_MAGIC2 }
    Resolve "RESOLVE_???" Bits, general {
        RESOLVE_NO_XDEV RESOLVE_NO_MAGICLINKS RESOLVE_NO_SYMLINKS RESOLVE_BENEATH RESOLVE_IN_ROOT RESOLVE_CACHED
    }
    Rlimit "RLIMIT_???" One, general {
        RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE
        RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO
        RLIMIT_RTTIME
    }
    Seals "F_SEAL_???" Bits, libc { F_SEAL_SEAL F_SEAL_SHRINK F_SEAL_GROW F_SEAL_WRITE F_SEAL_FUTURE_WRITE }
    Seccomp "SECCOMP_SET_MODE_???" One, ptrace { SECCOMP_SET_MODE_FILTER }
    SeccompFlags "SECCOMP_FILTER_FLAG_???" Bits, ptrace {
        SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG SECCOMP_FILTER_FLAG_SPEC_ALLOW
        SECCOMP_FILTER_FLAG_NEW_LISTENER SECCOMP_FILTER_FLAG_TSYNC_ESRCH
    }
    /// The kind of namespace that setns is to enter.
    SetNs "CLONE_NEW???" Bits, general {
        CLONE_NEWTIME CLONE_NEWNS CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET
    }
    SignalFd "SFD_???" Bits, libc { SFD_CLOEXEC SFD_NONBLOCK }
    SigHow "SIG_???" One, general { SIG_BLOCK SIG_UNBLOCK SIG_SETMASK }
    SocketType "SOCK_???" Type(15, &names!(libc SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_SEQPACKET)), libc {
        SOCK_CLOEXEC SOCK_NONBLOCK SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_SEQPACKET
    }
    Syslog "SYSLOG_ACTION_???" Told, general { SYSLOG_ACTION_OPEN = 1 SYSLOG_ACTION_READ_ALL = 3 }
    UmountFlags "MNT_???" Bits, general { MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW }
    WaitFlags "W???" Bits, general { WNOHANG WEXITED WSTOPPED WCONTINUED WNOWAIT __WCLONE __WALL __WNOTHREAD }
    WaitId "P_???" One, general { P_ALL P_PID P_PGID P_PIDFD }
    // A new list stands last: records have the places of the others.
    MoveMemory "MREMAP_???" Bits, general { MREMAP_MAYMOVE MREMAP_FIXED }
    ProcessMemory "PR_SET_MM_???" One, prctl { PR_SET_MM_MAP }
    Futex "FUTEX_???" One, general { FUTEX_WAIT FUTEX_WAKE }
}

/// The place in [`LISTS`] of the list of this name.
pub(crate) fn place(name: &str) -> Option<u8> {
    PLACES.split_ascii_whitespace().position(|list| list == name).map(|place| place as u8)
}

/// Every name of every list but the signals: a test looks whether each is explained.
pub fn every_name() -> impl Iterator<Item = &'static str> {
    let names = |list: &'static Words| match list.style {
        First(_, choices) | Type(_, choices) => [list.names, *choices],
        Mode => [list.names, MODE_BITS],
        _ => [list.names, names!(general)],
    };
    let lists = LISTS.iter().chain(structs::LISTS).copied();
    lists.flat_map(names).flat_map(|names| names.words.split_ascii_whitespace())
}

impl Words {
    /// The name of exactly this value.
    pub fn name(&self, value: u64) -> Option<&'static str> {
        self.names.find(value)
    }

    /// An argument, as its list is.
    pub fn show(&self, value: u64) -> impl Display {
        with(move |out| match self.style {
            One => self.one(value, out),
            Told => match self.name(value) {
                Some(name) => write!(out, "{value} /* {name} */"),
                None => self.number(value, out),
            },
            Mode => write!(out, "{}", mode(value as u32)),
            // sound/soundcard.h has the same number.
            Request if value == ioctl::TCSETS.into() => out.write_str("SNDCTL_TMR_START or TCSETS"),
            Request => match self.name(value) {
                Some(name) => out.write_str(name),
                None => request(value, out),
            },
            _ => self.set(value, out),
        })
    }

    /// One of the list.
    pub fn word(&self, value: u64) -> impl Display {
        with(move |out| self.one(value, out))
    }

    /// Flags of the list.
    pub fn flags(&self, value: u64) -> impl Display {
        with(move |out| self.set(value, out))
    }

    fn one(&self, value: u64, out: &mut Formatter) -> Result {
        match self.name(value) {
            Some(name) => out.write_str(name),
            None => self.number(value, out),
        }
    }

    fn set(&self, value: u64, out: &mut Formatter) -> Result {
        let (First(mask, choices) | Type(mask, choices)) = self.style else {
            return self.bits(value, true, true, out);
        };
        let choice = value & mask;
        match (choices.find(choice), self.style) {
            (Some(name), _) => out.write_str(name)?,
            (None, First(..)) => self.number(choice, out)?,
            _ => return self.bits(value, true, true, out),
        }
        match value & !mask {
            0 => Ok(()),
            rest => self.bits(rest, false, matches!(self.style, Type(..)), out),
        }
    }

    /// Single flags. `first`: nothing stands before them; `comment`: the comment after unknown bits is wanted.
    fn bits(&self, value: u64, mut first: bool, mut comment: bool, out: &mut Formatter) -> Result {
        if value == 0 {
            return out.write_str(self.name(0).unwrap_or("0"));
        }
        let mut bar = || if core::mem::take(&mut first) { "" } else { "|" };
        let mut rest = value;
        for (bits, name) in self.names.iter() {
            if bits != 0 && rest & bits == bits {
                write!(out, "{}{name}", bar())?;
                rest &= !bits;
                comment = false;
            }
        }
        if rest == 0 {
            return Ok(());
        }
        out.write_str(bar())?;
        if comment { self.number(rest, out) } else { write!(out, "{}", hex(rest)) }
    }

    /// A value without a name.
    fn number(&self, value: u64, out: &mut Formatter) -> Result {
        write!(out, "{} /* {} */", hex(value), self.unknown)
    }
}

/// A text that a function writes.
struct With<F>(F);

impl<F: Fn(&mut Formatter) -> Result> Display for With<F> {
    fn fmt(&self, out: &mut Formatter) -> Result {
        self.0(out)
    }
}

pub(crate) fn with(write: impl Fn(&mut Formatter) -> Result) -> impl Display {
    With(write)
}

/// The bits between a file's type and its permissions.
const MODE_BITS: Names = names!(general S_ISUID S_ISGID S_ISVTX);

/// Type and permissions of a file. A type without a name makes all of it a number.
pub(crate) fn mode(mode: u32) -> impl Display {
    with(move |out| {
        let mode = u64::from(mode & 0xffff);
        let kind = mode & u64::from(general::S_IFMT);
        match FileMode::WORDS.name(kind) {
            Some(name) => write!(out, "{name}|")?,
            None if kind == 0 => {}
            None => return write!(out, "{}", octal(mode)),
        }
        for (bit, name) in MODE_BITS.iter() {
            if mode & bit != 0 {
                write!(out, "{name}|")?;
            }
        }
        write!(out, "{}", octal(mode & 0o777))
    })
}

/// A number in hexadecimal; 0 is `0`.
pub(crate) fn hex(value: u64) -> impl Display {
    with(move |out| if value == 0 { out.write_char('0') } else { write!(out, "{value:#x}") })
}

/// Permission bits: a zero and at least two digits more.
pub(crate) fn octal(value: u64) -> impl Display {
    with(move |out| write!(out, "0{value:02o}"))
}

/// An ioctl request without a name, by its parts (ioctl(2): direction, size, type, number).
pub(crate) fn request(value: u64, out: &mut dyn Write) -> Result {
    let direction = ["_IOC_NONE", "_IOC_WRITE", "_IOC_READ", "_IOC_READ|_IOC_WRITE"][(value >> 30 & 3) as usize];
    let [kind, number, size] = [value >> 8 & 0xff, value & 0xff, value >> 16 & 0x3fff].map(hex);
    write!(out, "_IOC({direction}, {kind}, {number}, {size})")
}
