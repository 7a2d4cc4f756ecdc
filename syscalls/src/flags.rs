//! The names of flags and choices, as strace 6.1 spells them and in the order in which it prints them. Bits without a
//! name are printed in hexadecimal, so that none ever vanishes.
//!
//! Here: the lists that the table of calls names. `flags_structs.rs`: those of what stands inside structures.

use core::fmt::{Result, Write};
use linux_raw_sys::{general, ioctl, net, prctl};

/// Names and their values. All names are one text, with a space between: an address for each would have to be put right
/// at every start of the program (see `start`), and few starts print any.
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
pub struct Words {
    names: Names,
    /// What stands in a comment behind a number that has no name: `O_???`.
    unknown: &'static str,
    style: Style,
}

/// What is special about a list.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Nothing, but the kernel looks at 32 bits only.
    Plain,
    /// The kernel looks at 64 bits.
    Wide,
    /// The bits of this mask are one of a list, which always stands first: `O_RDONLY|O_CLOEXEC`.
    First(u64, &'static Names),
    /// As `First`, but a choice without a name stays among the unknown bits (strace's socket types).
    Type(u64, &'static Names),
    /// Type and permission bits of a file.
    Mode,
    /// An ioctl request: taken apart when it has no name.
    Request,
}

macro_rules! value {
    ($from:ident $word:ident) => {
        $from::$word as u64
    };
    ($from:ident $word:ident $value:literal) => {
        $value
    };
}

// `= number` is for what linux-raw-sys and libc lack, or for what strace has under another number.
macro_rules! names {
    ($from:ident $($word:ident $(= $value:literal)?)*) => {
        Names {
            words: concat!($(stringify!($word), " "),*),
            values: &[$(value!($from $word $($value)?)),*],
        }
    };
}

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident $unknown:literal $style:expr, $from:ident { $($words:tt)* })*) => {
        $($(#[$doc])*
        pub static $name: Words = Words { names: names!($from $($words)*), unknown: $unknown, style: $style };)*
    };
}

// Behind the macros, which it uses.
#[path = "flags_structs.rs"]
mod structs;
pub use structs::*;

use Style::*;

words! {
    ACCESS "?_OK" Plain, general { F_OK R_OK W_OK X_OK }
    AMBIENT "PR_CAP_AMBIENT_???" Plain, prctl {
        PR_CAP_AMBIENT_IS_SET PR_CAP_AMBIENT_RAISE PR_CAP_AMBIENT_LOWER PR_CAP_AMBIENT_CLEAR_ALL
    }
    AT "AT_???" Plain, general {
        AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE
    }
    /// AT_EACCESS has the number of AT_REMOVEDIR: the call tells them apart.
    FACCESSAT "AT_???" Plain, general { AT_SYMLINK_NOFOLLOW AT_EACCESS AT_EMPTY_PATH }
    UNLINK "AT_???" Plain, general {
        AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE
    }
    /// mount_setattr knows fewer of them.
    MOUNT_SETATTR "AT_???" Plain, general { AT_SYMLINK_NOFOLLOW AT_NO_AUTOMOUNT AT_EMPTY_PATH AT_RECURSIVE }
    CLOSE_RANGE "CLOSE_RANGE_???" Plain, libc { CLOSE_RANGE_UNSHARE CLOSE_RANGE_CLOEXEC }

    OPEN "O_???" First(3, &names!(general O_RDONLY O_WRONLY O_RDWR O_ACCMODE)), general {
        O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC __O_SYNC O_DSYNC O_DIRECT O_LARGEFILE O_NOFOLLOW
        O_NOATIME O_CLOEXEC O_PATH O_TMPFILE __O_TMPFILE O_DIRECTORY FASYNC
    }
    /// pipe2's flags: open's, without the access mode.
    PIPE "O_???" Plain, general {
        O_CREAT O_EXCL O_NOCTTY O_TRUNC O_APPEND O_NONBLOCK O_SYNC __O_SYNC O_DSYNC O_DIRECT O_LARGEFILE O_NOFOLLOW
        O_NOATIME O_CLOEXEC O_PATH O_TMPFILE __O_TMPFILE O_DIRECTORY FASYNC
    }
    MODE "S_???" Mode, general { S_IFSOCK S_IFLNK S_IFREG S_IFBLK S_IFDIR S_IFCHR S_IFIFO }
    PROT "PROT_???" Wide, general { PROT_NONE PROT_READ PROT_WRITE PROT_EXEC PROT_SEM PROT_GROWSDOWN PROT_GROWSUP }
    MAP "MAP_???" First(15, &names!(general MAP_FILE MAP_SHARED MAP_PRIVATE MAP_SHARED_VALIDATE)), general {
        MAP_FIXED MAP_ANONYMOUS MAP_32BIT = 0x40 MAP_NORESERVE MAP_POPULATE MAP_NONBLOCK MAP_GROWSDOWN MAP_DENYWRITE
        MAP_EXECUTABLE MAP_LOCKED MAP_STACK MAP_HUGETLB MAP_SYNC MAP_FIXED_NOREPLACE
    }

    MS "MS_???" Wide, general {
        MS_RDONLY MS_NOSUID MS_NODEV MS_NOEXEC MS_SYNCHRONOUS MS_REMOUNT MS_MANDLOCK MS_DIRSYNC MS_NOSYMFOLLOW
        MS_NOATIME MS_NODIRATIME MS_BIND MS_MOVE MS_REC MS_SILENT MS_POSIXACL MS_UNBINDABLE MS_PRIVATE MS_SLAVE
        MS_SHARED MS_RELATIME MS_KERNMOUNT MS_I_VERSION MS_STRICTATIME MS_LAZYTIME MS_SUBMOUNT MS_NOREMOTELOCK
        MS_NOSEC MS_BORN MS_ACTIVE MS_NOUSER
    }
    UMOUNT "MNT_???" Plain, general { MNT_FORCE MNT_DETACH MNT_EXPIRE UMOUNT_NOFOLLOW }
    OPEN_TREE "OPEN_TREE_???" Plain, general {
        OPEN_TREE_CLONE OPEN_TREE_CLOEXEC AT_SYMLINK_NOFOLLOW AT_REMOVEDIR AT_SYMLINK_FOLLOW AT_NO_AUTOMOUNT
        AT_EMPTY_PATH AT_RECURSIVE
    }
    MOVE_MOUNT "MOVE_MOUNT_???" Plain, general {
        MOVE_MOUNT_F_SYMLINKS MOVE_MOUNT_F_AUTOMOUNTS MOVE_MOUNT_F_EMPTY_PATH MOVE_MOUNT_T_SYMLINKS
        MOVE_MOUNT_T_AUTOMOUNTS MOVE_MOUNT_T_EMPTY_PATH MOVE_MOUNT_SET_GROUP
    }
    MOUNT_ATTR "MOUNT_ATTR_???" Wide, general {
        MOUNT_ATTR_RDONLY MOUNT_ATTR_NOSUID MOUNT_ATTR_NODEV MOUNT_ATTR_NOEXEC MOUNT_ATTR_NOATIME
        MOUNT_ATTR_STRICTATIME MOUNT_ATTR_NODIRATIME MOUNT_ATTR_IDMAP MOUNT_ATTR_NOSYMFOLLOW
    }
    /// strace 6.1 has a shorter list for fsmount.
    FSMOUNT_ATTR "MOUNT_ATTR_???" Plain, general {
        MOUNT_ATTR_RDONLY MOUNT_ATTR_NOSUID MOUNT_ATTR_NODEV MOUNT_ATTR_NOEXEC MOUNT_ATTR_NOATIME
        MOUNT_ATTR_STRICTATIME MOUNT_ATTR_NODIRATIME
    }
    FSOPEN "FSOPEN_???" Plain, general { FSOPEN_CLOEXEC }
    FSMOUNT "FSMOUNT_???" Plain, general { FSMOUNT_CLOEXEC }
    // An enum of linux/mount.h, as is.
    FSCONFIG "FSCONFIG_???" Plain, general {
        FSCONFIG_SET_FLAG = 0 FSCONFIG_SET_STRING = 1 FSCONFIG_SET_BINARY = 2 FSCONFIG_SET_PATH = 3
        FSCONFIG_SET_PATH_EMPTY = 4 FSCONFIG_SET_FD = 5 FSCONFIG_CMD_CREATE = 6 FSCONFIG_CMD_RECONFIGURE = 7
    }

    /// unshare's flags; clone3's are [`CLONE_ARGS`], in another order.
    CLONE "CLONE_???" Wide, general {
        CLONE_NEWTIME CLONE_VM CLONE_FS CLONE_FILES CLONE_SIGHAND CLONE_THREAD CLONE_NEWNS CLONE_SYSVSEM
        CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET
    }
    /// setns's: those of unshare that name a namespace.
    SETNS "CLONE_NEW???" Plain, general {
        CLONE_NEWTIME CLONE_NEWNS CLONE_NEWCGROUP CLONE_NEWUTS CLONE_NEWIPC CLONE_NEWUSER CLONE_NEWPID CLONE_NEWNET
    }
    DUP3 "O_???" Plain, general { O_CLOEXEC }
    FCNTL "F_???" Plain, libc { F_ADD_SEALS F_GET_SEALS }
    SEAL "F_SEAL_???" Plain, libc { F_SEAL_SEAL F_SEAL_SHRINK F_SEAL_GROW F_SEAL_WRITE F_SEAL_FUTURE_WRITE }
    MFD "MFD_???" Plain, libc { MFD_CLOEXEC MFD_ALLOW_SEALING MFD_HUGETLB }
    PERSONALITY "PER_???" Plain, libc { PER_LINUX = 0 PER_LINUX32 = 8 }
    IOPRIO_WHO "IOPRIO_WHO_???" Plain, libc { IOPRIO_WHO_PROCESS = 1 IOPRIO_WHO_PGRP = 2 IOPRIO_WHO_USER = 3 }
    IOPRIO_CLASS "IOPRIO_CLASS_???" Plain, libc {
        IOPRIO_CLASS_NONE = 0 IOPRIO_CLASS_RT = 1 IOPRIO_CLASS_BE = 2 IOPRIO_CLASS_IDLE = 3
    }
    MPOL "MPOL_???" First(0x1fff, &names!(libc
        MPOL_DEFAULT MPOL_PREFERRED MPOL_BIND MPOL_INTERLEAVE MPOL_LOCAL MPOL_PREFERRED_MANY = 5
    )), libc { MPOL_F_STATIC_NODES = 0x8000 MPOL_F_RELATIVE_NODES = 0x4000 MPOL_F_NUMA_BALANCING = 0x2000 }
    SCHED "SCHED_???" Plain, libc {
        SCHED_OTHER = 0 SCHED_FIFO = 1 SCHED_RR = 2 SCHED_BATCH = 3 SCHED_ISO = 4 SCHED_IDLE = 5 SCHED_DEADLINE = 6
    }
    SCHED_FLAGS "SCHED_FLAG_???" Wide, libc {
        SCHED_FLAG_RESET_ON_FORK = 1 SCHED_FLAG_RECLAIM = 2 SCHED_FLAG_DL_OVERRUN = 4 SCHED_FLAG_KEEP_POLICY = 8
        SCHED_FLAG_KEEP_PARAMS = 0x10 SCHED_FLAG_UTIL_CLAMP_MIN = 0x20 SCHED_FLAG_UTIL_CLAMP_MAX = 0x40
    }
    SECCOMP "SECCOMP_SET_MODE_???" Plain, libc {
        SECCOMP_SET_MODE_STRICT = 0 SECCOMP_SET_MODE_FILTER = 1 SECCOMP_GET_ACTION_AVAIL = 2 SECCOMP_GET_NOTIF_SIZES = 3
    }
    SECCOMP_FLAGS "SECCOMP_FILTER_FLAG_???" Plain, libc {
        SECCOMP_FILTER_FLAG_TSYNC = 1 SECCOMP_FILTER_FLAG_LOG = 2 SECCOMP_FILTER_FLAG_SPEC_ALLOW = 4
        SECCOMP_FILTER_FLAG_NEW_LISTENER = 8 SECCOMP_FILTER_FLAG_TSYNC_ESRCH = 0x10
    }
    MSG "MSG_???" Plain, libc { MSG_DONTWAIT = 0x40 MSG_NOSIGNAL = 0x4000 MSG_CMSG_CLOEXEC }
    PIDFD "PIDFD_???" Plain, libc { PIDFD_NONBLOCK = 0o4000 }
    WAIT "W???" Plain, general {
        WNOHANG WEXITED WSTOPPED WCONTINUED WNOWAIT __WCLONE __WALL __WNOTHREAD
    }
    WAIT_ID "P_???" Plain, general { P_ALL P_PID P_PGID P_PIDFD }
    RLIMIT "RLIMIT_???" Plain, general {
        RLIMIT_CPU RLIMIT_FSIZE RLIMIT_DATA RLIMIT_STACK RLIMIT_CORE RLIMIT_RSS RLIMIT_NPROC RLIMIT_NOFILE
        RLIMIT_MEMLOCK RLIMIT_AS RLIMIT_LOCKS RLIMIT_SIGPENDING RLIMIT_MSGQUEUE RLIMIT_NICE RLIMIT_RTPRIO
        RLIMIT_RTTIME
    }
    CAPABILITY "CAP_???" Wide, general {
        CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL CAP_SETGID CAP_SETUID
        CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK
        CAP_IPC_OWNER CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT CAP_SYS_ADMIN
        CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE
        CAP_AUDIT_WRITE CAP_AUDIT_CONTROL CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM
        CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE
    }

    PRCTL "PR_???" Plain, prctl {
        PR_SET_PDEATHSIG PR_GET_PDEATHSIG PR_GET_DUMPABLE PR_SET_DUMPABLE PR_GET_UNALIGN PR_SET_UNALIGN
        PR_GET_KEEPCAPS PR_SET_KEEPCAPS PR_GET_FPEMU PR_SET_FPEMU PR_GET_FPEXC PR_SET_FPEXC PR_GET_TIMING
        PR_SET_TIMING PR_SET_NAME PR_GET_NAME PR_GET_ENDIAN PR_SET_ENDIAN PR_GET_SECCOMP PR_SET_SECCOMP
        PR_CAPBSET_READ PR_CAPBSET_DROP PR_GET_TSC PR_SET_TSC PR_GET_SECUREBITS PR_SET_SECUREBITS PR_SET_TIMERSLACK
        PR_GET_TIMERSLACK PR_TASK_PERF_EVENTS_DISABLE PR_TASK_PERF_EVENTS_ENABLE PR_MCE_KILL PR_MCE_KILL_GET PR_SET_MM
        PR_SET_CHILD_SUBREAPER PR_GET_CHILD_SUBREAPER PR_SET_NO_NEW_PRIVS PR_GET_NO_NEW_PRIVS PR_GET_TID_ADDRESS
        PR_SET_THP_DISABLE PR_GET_THP_DISABLE PR_MPX_ENABLE_MANAGEMENT PR_MPX_DISABLE_MANAGEMENT PR_SET_FP_MODE
        PR_GET_FP_MODE PR_CAP_AMBIENT PR_SVE_SET_VL PR_SVE_GET_VL PR_GET_SPECULATION_CTRL PR_SET_SPECULATION_CTRL
        PR_PAC_RESET_KEYS PR_SET_TAGGED_ADDR_CTRL PR_GET_TAGGED_ADDR_CTRL PR_SET_IO_FLUSHER PR_GET_IO_FLUSHER
        PR_SET_SYSCALL_USER_DISPATCH PR_PAC_SET_ENABLED_KEYS PR_PAC_GET_ENABLED_KEYS PR_SCHED_CORE PR_SME_SET_VL
        PR_SME_GET_VL PR_SET_VMA PR_SET_PTRACER
    }
    /// Says only that the operation decides ([`crate::show`]).
    PRCTL_VALUE "PR_???" Wide, prctl {}
    // linux/keyctl.h.
    KEYCTL "KEYCTL_???" Plain, libc {
        KEYCTL_GET_KEYRING_ID KEYCTL_JOIN_SESSION_KEYRING KEYCTL_UPDATE KEYCTL_REVOKE KEYCTL_CHOWN KEYCTL_SETPERM
        KEYCTL_DESCRIBE KEYCTL_CLEAR KEYCTL_LINK KEYCTL_UNLINK KEYCTL_SEARCH KEYCTL_READ KEYCTL_INSTANTIATE
        KEYCTL_NEGATE KEYCTL_SET_REQKEY_KEYRING KEYCTL_SET_TIMEOUT KEYCTL_ASSUME_AUTHORITY KEYCTL_GET_SECURITY
        KEYCTL_SESSION_TO_PARENT KEYCTL_REJECT KEYCTL_INSTANTIATE_IOV KEYCTL_INVALIDATE KEYCTL_GET_PERSISTENT
        KEYCTL_DH_COMPUTE = 23 KEYCTL_PKEY_QUERY = 24 KEYCTL_PKEY_ENCRYPT = 25 KEYCTL_PKEY_DECRYPT = 26
        KEYCTL_PKEY_SIGN = 27 KEYCTL_PKEY_VERIFY = 28 KEYCTL_RESTRICT_KEYRING = 29 KEYCTL_MOVE = 30
        KEYCTL_CAPABILITIES = 31 KEYCTL_WATCH_KEY = 32
    }

    // linux/reboot.h.
    REBOOT_MAGIC1 "LINUX_REBOOT_MAGIC_???" Plain, libc { LINUX_REBOOT_MAGIC1 = 0xfee1_dead }
    REBOOT_MAGIC2 "LINUX_REBOOT_MAGIC_???" Plain, libc { LINUX_REBOOT_MAGIC2 = 672_274_793 }
    REBOOT "LINUX_REBOOT_CMD_???" Plain, libc {
        LINUX_REBOOT_CMD_CAD_OFF = 0 LINUX_REBOOT_CMD_RESTART = 0x0123_4567 LINUX_REBOOT_CMD_HALT = 0xcdef_0123
        LINUX_REBOOT_CMD_CAD_ON = 0x89ab_cdef LINUX_REBOOT_CMD_POWER_OFF = 0x4321_fedc
    }

    SIG_HOW "SIG_???" Plain, general { SIG_BLOCK SIG_UNBLOCK SIG_SETMASK }
    SFD "SFD_???" Plain, libc { SFD_CLOEXEC SFD_NONBLOCK }
    FAMILY "AF_???" Plain, net {
        AF_UNSPEC AF_UNIX AF_INET AF_AX25 AF_IPX AF_APPLETALK AF_NETROM AF_BRIDGE AF_ATMPVC AF_X25 AF_INET6 AF_ROSE
        AF_DECnet AF_NETBEUI AF_SECURITY AF_KEY AF_NETLINK AF_PACKET AF_ASH AF_ECONET AF_ATMSVC AF_RDS AF_SNA AF_IRDA
        AF_PPPOX AF_WANPIPE AF_LLC AF_IB = 27 AF_MPLS = 28 AF_CAN AF_TIPC AF_BLUETOOTH AF_IUCV AF_RXRPC AF_ISDN
        AF_PHONET
        AF_IEEE802154 AF_CAIF AF_ALG AF_NFC AF_VSOCK AF_KCM AF_QIPCRTR AF_SMC AF_XDP AF_MCTP
    }
    SOCKET "SOCK_???" Type(15, &names!(libc
        SOCK_STREAM SOCK_DGRAM SOCK_RAW SOCK_RDM SOCK_SEQPACKET SOCK_DCCP SOCK_PACKET = 10
    )), libc { SOCK_CLOEXEC SOCK_NONBLOCK }
    /// For the internet families.
    PROTOCOL "IPPROTO_???" Plain, libc {
        IPPROTO_IP IPPROTO_ICMP IPPROTO_IGMP IPPROTO_IPIP IPPROTO_TCP IPPROTO_EGP IPPROTO_PUP IPPROTO_UDP IPPROTO_IDP
        IPPROTO_TP IPPROTO_DCCP IPPROTO_IPV6 IPPROTO_RSVP IPPROTO_GRE IPPROTO_ESP IPPROTO_AH IPPROTO_MTP
        IPPROTO_BEETPH IPPROTO_ENCAP IPPROTO_PIM IPPROTO_COMP IPPROTO_L2TP = 115 IPPROTO_SCTP IPPROTO_UDPLITE
        IPPROTO_MPLS IPPROTO_ETHERNET = 143 IPPROTO_RAW IPPROTO_MPTCP
    }
    IOCTL "ioctl" Request, ioctl {
        TCGETS TIOCEXCL TIOCNXCL TIOCSCTTY TIOCGPGRP TIOCSPGRP TIOCOUTQ TIOCSTI TIOCGWINSZ TIOCSWINSZ TIOCNOTTY
        TIOCGSID TIOCGPTN TIOCSPTLCK TIOCGPTPEER SIOCGIFNAME SIOCGIFCONF SIOCGIFFLAGS SIOCSIFFLAGS SIOCGIFADDR
        SIOCSIFADDR SIOCGIFDSTADDR SIOCSIFDSTADDR SIOCGIFBRDADDR SIOCSIFBRDADDR SIOCGIFNETMASK SIOCSIFNETMASK
        SIOCGIFMETRIC SIOCSIFMETRIC SIOCGIFMTU SIOCSIFMTU SIOCSIFNAME SIOCGIFHWADDR SIOCSIFHWADDR SIOCGIFINDEX
    }
}

impl Words {
    /// The name of exactly this value.
    pub fn name(&self, value: u64) -> Option<&'static str> {
        self.names.find(value)
    }

    /// What the kernel looks at.
    fn clip(&self, value: u64) -> u64 {
        match self.style {
            Wide => value,
            _ => value & u64::from(u32::MAX),
        }
    }

    /// One of the list.
    pub fn word(&self, value: u64, out: &mut dyn Write) -> Result {
        let value = self.clip(value);
        match (self.style, self.name(value)) {
            (Mode, _) => self.mode(value, out),
            (_, Some(name)) => out.write_str(name),
            // sound/soundcard.h has the same number.
            (Request, None) if value == ioctl::TCSETS.into() => out.write_str("SNDCTL_TMR_START or TCSETS"),
            (Request, None) => request(value, out),
            (_, None) => {
                hex(value, out)?;
                write!(out, " /* {} */", self.unknown)
            }
        }
    }

    /// Flags of the list: an argument.
    pub fn flags(&self, value: u64, out: &mut dyn Write) -> Result {
        self.wide_flags(self.clip(value), out)
    }

    /// Flags of the list, of which all 64 bits count: a member of a structure.
    pub fn wide_flags(&self, value: u64, out: &mut dyn Write) -> Result {
        let (mut rest, mut any, mut first) = (value, false, true);
        if let First(mask, choices) | Type(mask, choices) = self.style {
            let choice = value & mask;
            match (choices.find(choice), self.style) {
                (Some(name), _) => out.write_str(name)?,
                (None, First(..)) => {
                    hex(choice, out)?;
                    write!(out, " /* {} */", self.unknown)?;
                }
                _ => return self.bits(value, &mut true, &mut false, out),
            }
            rest &= !mask;
            if rest == 0 {
                return Ok(());
            }
            first = false;
            any = matches!(self.style, First(..));
        }
        if core::ptr::eq(self, &MAP) {
            return map_flags(rest, out);
        }
        self.bits(rest, &mut first, &mut any, out)
    }

    /// Single flags. `first`: nothing stands before them; `any`: the comment behind unknown bits is not wanted.
    fn bits(&self, value: u64, first: &mut bool, any: &mut bool, out: &mut dyn Write) -> Result {
        if value == 0 {
            return out.write_str(self.name(0).unwrap_or("0"));
        }
        let mut rest = value;
        for (bits, name) in self.names.iter() {
            if bits != 0 && rest & bits == bits {
                bar(first, out)?;
                out.write_str(name)?;
                rest &= !bits;
                *any = true;
            }
        }
        if rest != 0 {
            bar(first, out)?;
            hex(rest, out)?;
            if !*any {
                write!(out, " /* {} */", self.unknown)?;
            }
        }
        Ok(())
    }

    /// Type and permissions of a file. A type without a name makes all of it a number.
    fn mode(&self, mode: u64, out: &mut dyn Write) -> Result {
        let mode = mode & 0xffff;
        let kind = mode & u64::from(general::S_IFMT);
        match self.name(kind) {
            Some(name) => write!(out, "{name}|")?,
            None if kind == 0 => {}
            None => return octal(mode, out),
        }
        for (bit, name) in names!(general S_ISUID S_ISGID S_ISVTX).iter() {
            if mode & bit != 0 {
                write!(out, "{name}|")?;
            }
        }
        octal(mode & 0o777, out)
    }
}

fn bar(first: &mut bool, out: &mut dyn Write) -> Result {
    if core::mem::take(first) { Ok(()) } else { out.write_char('|') }
}

/// A number in hexadecimal; 0 is `0`.
pub fn hex(value: u64, out: &mut dyn Write) -> Result {
    if value == 0 { out.write_char('0') } else { write!(out, "{value:#x}") }
}

/// Permission bits: a zero and at least two digits more.
pub fn octal(value: u64, out: &mut dyn Write) -> Result {
    write!(out, "0{value:02o}")
}

/// mmap's flags behind the first: the upper six bits are the logarithm of a page size.
fn map_flags(flags: u64, out: &mut dyn Write) -> Result {
    out.write_char('|')?;
    let (shift, mask) = (general::MAP_HUGE_SHIFT, u64::from(general::MAP_HUGE_MASK));
    let (size, rest) = (flags >> shift & mask, flags & !(mask << shift));
    if rest != 0 {
        MAP.bits(rest, &mut true, &mut true, out)?;
    }
    match size {
        0 => Ok(()),
        size if rest != 0 => write!(out, "|{size}<<MAP_HUGE_SHIFT"),
        size => write!(out, "{size}<<MAP_HUGE_SHIFT"),
    }
}

/// An ioctl request without a name, by its parts (ioctl(2): direction, size, type, number).
fn request(value: u64, out: &mut dyn Write) -> Result {
    let direction = match value >> 30 & 3 {
        0 => "_IOC_NONE",
        1 => "_IOC_WRITE",
        2 => "_IOC_READ",
        _ => "_IOC_READ|_IOC_WRITE",
    };
    write!(out, "_IOC({direction}, ")?;
    hex(value >> 8 & 0xff, out)?;
    out.write_str(", ")?;
    hex(value & 0xff, out)?;
    out.write_str(", ")?;
    hex(value >> 16 & 0x3fff, out)?;
    out.write_char(')')
}
