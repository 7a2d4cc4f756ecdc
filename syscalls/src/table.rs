//! One row per system call as this project uses it: number, name, what each argument is,
//! where its manual page is, and one plain sentence. The gate reads the argument kinds to
//! know what to copy into a record, the views read them to know how to print it. Calls whose
//! arguments change meaning with an operation (prctl, ioctl, bpf, fsconfig) have a row each.

use crate::flags::{self, Words};
use linux_raw_sys::general as nr;

/// What one argument is. `usize` parameters are the index of the argument that holds a length or count.
#[derive(Clone, Copy)]
pub enum Arg {
    Int,
    Uint,
    Octal,
    /// An address, or a number that is printed like one.
    Hex,
    Fd,
    /// A directory descriptor, or `AT_FDCWD`.
    Dir,
    /// A path: copied whole.
    Path,
    /// A string that is no path: printed up to 32 characters, as strace does.
    Str,
    /// Bytes that the kernel reads; the length is in that argument.
    Bytes(usize),
    /// Bytes that the kernel wrote; the result is the length.
    BytesOut,
    /// A path that the kernel wrote (getcwd, readlinkat); the result is the length.
    PathOut,
    /// Directory entries that the kernel wrote: only their number is kept.
    Entries,
    Flags(&'static Words),
    /// One of a list.
    Word(&'static Words),
    /// A structure that the kernel reads.
    In(Shape),
    /// A structure that the kernel fills in.
    Out(Shape),
    /// A structure of which it reads a part and fills in another.
    InOut(Shape),
    Argv,
    Envp,
    Device,
    Signal,
}

/// The structures that cross the border; `usize` is the argument that counts its elements.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    OpenHow,
    MountAttr,
    CloneArgs,
    Stat,
    StatFs,
    SigInfo,
    SigSet,
    SigAction,
    TimeSpec,
    RLimit,
    PollFds(usize),
    FdPair,
    CapHeader,
    CapData,
    Gids(usize),
    IfReq,
    BpfLoad,
    BpfAttach,
    BpfQuery,
    BpfById,
    Utsname,
    SchedAttr,
    /// A classic BPF program: only its length is kept.
    Filter,
    /// An address of a socket; that argument is its length.
    SockAddr(usize),
    Message,
    /// The same, as it was received.
    Received,
    Int,
    Termios,
    WinSize,
    /// A set of memory nodes; that argument counts its bits.
    Nodes(usize),
    /// A set of processors; that argument is its length.
    Cpus(usize),
}

/// How the result is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    Dec,
    Hex,
    Octal,
    /// A personality, with its name behind.
    Persona,
}

/// One call.
pub struct Row {
    pub number: u32,
    pub name: &'static str,
    pub args: &'static [Arg],
    pub ret: Ret,
    /// The section of its manual page.
    pub man: &'static str,
    /// What the call does, in one sentence.
    pub gist: &'static str,
}

macro_rules! table {
    ($($id:ident = $number:ident $name:literal ( $($arg:expr),* ) $ret:ident $man:literal $gist:literal;)*) => {
        /// A row's place in [`TABLE`]; records carry it.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u16)]
        pub enum Call { $($id),* }
        impl Call {
            /// The call of a row's number.
            pub fn from_number(number: u16) -> Option<Call> {
                [$(Call::$id),*].get(number as usize).copied()
            }
        }
        use Arg::*;
        pub static TABLE: &[Row] = &[$(Row {
            number: nr::$number, name: $name, args: &[$($arg),*], ret: Ret::$ret, man: $man, gist: $gist,
        }),*];
    };
}

table! {
    // Files and directories.
    Openat = __NR_openat "openat" (Dir, Path, Flags(&flags::OPEN)) Dec "2" "opens a file, relative to a directory descriptor";
    OpenatCreate = __NR_openat "openat" (Dir, Path, Flags(&flags::OPEN), Octal) Dec "2" "opens a file and makes it if it is not there";
    Openat2 = __NR_openat2 "openat2" (Dir, Path, In(Shape::OpenHow), Uint) Dec "2" "opens a file with rules for how its path may be walked";
    Close = __NR_close "close" (Fd) Dec "2" "gives a descriptor back";
    CloseRange = __NR_close_range "close_range" (Uint, Uint, Flags(&flags::CLOSE_RANGE)) Dec "2" "closes a range of descriptors, or marks them close-on-exec";
    Read = __NR_read "read" (Fd, BytesOut, Uint) Dec "2" "reads bytes from a descriptor";
    Write = __NR_write "write" (Fd, Bytes(2), Uint) Dec "2" "writes bytes to a descriptor";
    Pread64 = __NR_pread64 "pread64" (Fd, BytesOut, Uint, Int) Dec "2" "reads bytes at an offset";
    Fstat = __NR_fstat "fstat" (Fd, Out(Shape::Stat)) Dec "2" "tells what an open file is";
    Newfstatat = __NR_newfstatat "newfstatat" (Dir, Path, Out(Shape::Stat), Flags(&flags::AT)) Dec "2" "tells what the file at a path is";
    Faccessat2 = __NR_faccessat2 "faccessat2" (Dir, Path, Flags(&flags::ACCESS), Flags(&flags::FACCESSAT)) Dec "2" "asks whether the caller may use a file";
    Mkdirat = __NR_mkdirat "mkdirat" (Dir, Path, Octal) Dec "2" "makes a directory";
    Mknodat = __NR_mknodat "mknodat" (Dir, Path, Word(&flags::MODE)) Dec "2" "makes a fifo or an empty file";
    MknodatDevice = __NR_mknodat "mknodat" (Dir, Path, Word(&flags::MODE), Device) Dec "2" "makes a device node";
    Symlinkat = __NR_symlinkat "symlinkat" (Path, Dir, Path) Dec "2" "makes a symbolic link";
    Unlinkat = __NR_unlinkat "unlinkat" (Dir, Path, Flags(&flags::UNLINK)) Dec "2" "removes a name, or an empty directory";
    Renameat = __NR_renameat "renameat" (Dir, Path, Dir, Path) Dec "2" "gives a file another name, in one step";
    Readlinkat = __NR_readlinkat "readlinkat" (Dir, Path, PathOut, Uint) Dec "2" "reads what a symbolic link says";
    Getdents64 = __NR_getdents64 "getdents64" (Fd, Entries, Uint) Dec "2" "lists a directory";
    Ftruncate = __NR_ftruncate "ftruncate" (Fd, Int) Dec "2" "sets a file's length";
    Fchdir = __NR_fchdir "fchdir" (Fd) Dec "2" "makes an open directory the current one";
    Chdir = __NR_chdir "chdir" (Path) Dec "2" "changes the current directory";
    Getcwd = __NR_getcwd "getcwd" (PathOut, Uint) Dec "2" "tells the path of the current directory";
    Fstatfs = __NR_fstatfs "fstatfs" (Fd, Out(Shape::StatFs)) Dec "2" "tells on which file system an open file lies";
    Umask = __NR_umask "umask" (Octal) Octal "2" "sets the permission bits that new files do not get";
    Fchmod = __NR_fchmod "fchmod" (Fd, Octal) Dec "2" "changes an open file's permission bits";
    Fchmodat = __NR_fchmodat "fchmodat" (Dir, Path, Octal) Dec "2" "changes a file's permission bits";
    Fchownat = __NR_fchownat "fchownat" (Dir, Path, Uint, Uint, Flags(&flags::AT)) Dec "2" "changes a file's owner";
    Sendfile = __NR_sendfile "sendfile" (Fd, Fd, Hex, Uint) Dec "2" "copies from one descriptor to another inside the kernel";
    Pwrite64 = __NR_pwrite64 "pwrite64" (Fd, Bytes(2), Uint, Int) Dec "2" "writes bytes at an offset";
    Fchown = __NR_fchown "fchown" (Fd, Uint, Uint) Dec "2" "changes an open file's owner";
    Dup3 = __NR_dup3 "dup3" (Fd, Fd, Flags(&flags::DUP3)) Dec "2" "gives a descriptor another number as well";
    FcntlSeals = __NR_fcntl "fcntl" (Fd, Word(&flags::FCNTL), Flags(&flags::SEAL)) Dec "2" "forbids changes of a file in memory";
    FcntlGetSeals = __NR_fcntl "fcntl" (Fd, Word(&flags::FCNTL)) Hex "2" "asks what may not be done to a file in memory";
    MemfdCreate = __NR_memfd_create "memfd_create" (Str, Flags(&flags::MFD)) Dec "2" "makes a file in memory that has no name";
    Mprotect = __NR_mprotect "mprotect" (Hex, Uint, Flags(&flags::PROT)) Dec "2" "changes what may be done with a piece of memory";
    Mmap = __NR_mmap "mmap" (Hex, Uint, Flags(&flags::PROT), Flags(&flags::MAP), Fd, Hex) Hex "2" "maps a file or fresh memory into the address space";

    // Mounts.
    Mount = __NR_mount "mount" (Path, Path, Str, Flags(&flags::MS), Str) Dec "2" "attaches a file system to a directory";
    MountNone = __NR_mount "mount" (Path, Path, Hex, Flags(&flags::MS), Hex) Dec "2" "binds or moves a mount, or changes how it passes mounts on";
    Umount2 = __NR_umount2 "umount2" (Path, Flags(&flags::UMOUNT)) Dec "2" "takes a mount away";
    PivotRoot = __NR_pivot_root "pivot_root" (Path, Path) Dec "2" "swaps the root mount of the mount namespace";
    Chroot = __NR_chroot "chroot" (Path) Dec "2" "changes where the calling process's paths begin";
    OpenTree = __NR_open_tree "open_tree" (Dir, Path, Flags(&flags::OPEN_TREE)) Dec "2" "opens a mount, or a detached copy of one";
    MoveMount = __NR_move_mount "move_mount" (Dir, Path, Dir, Path, Flags(&flags::MOVE_MOUNT)) Dec "2" "attaches a detached mount, or moves one";
    MountSetattr = __NR_mount_setattr "mount_setattr" (Dir, Path, Flags(&flags::MOUNT_SETATTR), In(Shape::MountAttr), Uint) Dec "2" "changes the properties of a mount";
    Fsopen = __NR_fsopen "fsopen" (Str, Flags(&flags::FSOPEN)) Dec "2" "begins a new file system";
    FsconfigCreate = __NR_fsconfig "fsconfig" (Fd, Word(&flags::FSCONFIG), Hex, Hex, Int) Dec "2" "makes the file system that was begun";
    FsconfigString = __NR_fsconfig "fsconfig" (Fd, Word(&flags::FSCONFIG), Str, Str, Int) Dec "2" "sets an option of the file system that was begun";
    FsconfigFlag = __NR_fsconfig "fsconfig" (Fd, Word(&flags::FSCONFIG), Str, Hex, Int) Dec "2" "sets a flag of the file system that was begun";
    Fsmount = __NR_fsmount "fsmount" (Fd, Flags(&flags::FSMOUNT), Flags(&flags::FSMOUNT_ATTR)) Dec "2" "makes a detached mount of a new file system";

    // Processes and what they are.
    Clone3 = __NR_clone3 "clone3" (InOut(Shape::CloneArgs), Uint) Dec "2" "makes a process, in new namespaces where the flags say so";
    Execve = __NR_execve "execve" (Path, Argv, Envp) Dec "2" "becomes another program";
    Execveat = __NR_execveat "execveat" (Dir, Path, Argv, Envp, Flags(&flags::AT)) Dec "2" "becomes the program that an open file holds";
    ExitGroup = __NR_exit_group "exit_group" (Int) Dec "2" "ends the process";
    Waitid = __NR_waitid "waitid" (Word(&flags::WAIT_ID), Int, Out(Shape::SigInfo), Flags(&flags::WAIT), Hex) Dec "2" "waits for a child to change its state";
    Getpid = __NR_getpid "getpid" () Dec "2" "tells the caller's process id";
    Getppid = __NR_getppid "getppid" () Dec "2" "tells the parent's process id";
    Setsid = __NR_setsid "setsid" () Dec "2" "begins a session without a controlling terminal";
    Unshare = __NR_unshare "unshare" (Flags(&flags::CLONE)) Dec "2" "moves the caller into new namespaces";
    Setns = __NR_setns "setns" (Fd, Flags(&flags::SETNS)) Dec "2" "moves the caller into a namespace that is there";
    Setpgid = __NR_setpgid "setpgid" (Int, Int) Dec "2" "makes the caller the head of a process group";
    PidfdOpen = __NR_pidfd_open "pidfd_open" (Int, Flags(&flags::PIDFD)) Dec "2" "opens a handle on a process that cannot come to mean another";
    PidfdGetfd = __NR_pidfd_getfd "pidfd_getfd" (Fd, Int, Hex) Dec "2" "copies a descriptor out of another process";
    PidfdSendSignal = __NR_pidfd_send_signal "pidfd_send_signal" (Fd, Signal, Hex, Hex) Dec "2" "sends a signal through a process handle";
    Kill = __NR_kill "kill" (Int, Signal) Dec "2" "sends a signal to a process id";
    Prctl = __NR_prctl "prctl" (Word(&flags::PRCTL), Word(&flags::PRCTL_VALUE)) Dec "2" "changes a property of the calling process";
    PrctlCap = __NR_prctl "prctl" (Word(&flags::PRCTL), Word(&flags::CAPABILITY)) Dec "2" "reads or drops a capability of the bounding set";
    PrctlZeros = __NR_prctl "prctl" (Word(&flags::PRCTL), Int, Int, Int, Int) Dec "2" "changes a property of the calling process";
    PrctlAmbient = __NR_prctl "prctl" (Word(&flags::PRCTL), Word(&flags::AMBIENT), Word(&flags::CAPABILITY), Int, Int) Dec "2" "changes the ambient capability set";
    Capset = __NR_capset "capset" (In(Shape::CapHeader), In(Shape::CapData)) Dec "2" "sets the caller's capabilities";
    Capget = __NR_capget "capget" (In(Shape::CapHeader), Out(Shape::CapData)) Dec "2" "reads the caller's capabilities";
    Setgroups = __NR_setgroups "setgroups" (Uint, In(Shape::Gids(0))) Dec "2" "sets the supplementary groups";
    Setresuid = __NR_setresuid "setresuid" (Uint, Uint, Uint) Dec "2" "sets the real, effective and saved user id";
    Setresgid = __NR_setresgid "setresgid" (Uint, Uint, Uint) Dec "2" "sets the real, effective and saved group id";
    Prlimit64 = __NR_prlimit64 "prlimit64" (Int, Word(&flags::RLIMIT), In(Shape::RLimit), Hex) Dec "2" "sets a resource limit of a process";
    Prlimit64Ask = __NR_prlimit64 "prlimit64" (Int, Word(&flags::RLIMIT), Hex, Out(Shape::RLimit)) Dec "2" "tells a resource limit of a process";
    KeyctlSession = __NR_keyctl "keyctl" (Word(&flags::KEYCTL), Str) Dec "2" "joins a session keyring";
    Sethostname = __NR_sethostname "sethostname" (Bytes(1), Uint) Dec "2" "sets the host name of the UTS namespace";
    Setdomainname = __NR_setdomainname "setdomainname" (Bytes(1), Uint) Dec "2" "sets the NIS domain name of the UTS namespace";
    Sync = __NR_sync "sync" () Dec "2" "writes all that is only in memory to the disks";
    Reboot = __NR_reboot "reboot" (Word(&flags::REBOOT_MAGIC1), Word(&flags::REBOOT_MAGIC2), Word(&flags::REBOOT)) Dec "2" "ends the machine, or says what Ctrl-Alt-Del does";
    Uname = __NR_uname "uname" (Out(Shape::Utsname)) Dec "2" "tells kernel, machine, host and domain name";
    Personality = __NR_personality "personality" (Word(&flags::PERSONALITY)) Persona "2" "sets which system the process believes to run on";
    SchedSetattr = __NR_sched_setattr "sched_setattr" (Int, In(Shape::SchedAttr), Hex) Dec "2" "sets how a process is scheduled";
    IoprioSet = __NR_ioprio_set "ioprio_set" (Word(&flags::IOPRIO_WHO), Int, Hex) Dec "2" "sets how urgent a process's disk accesses are";
    SchedSetaffinity = __NR_sched_setaffinity "sched_setaffinity" (Int, Uint, In(Shape::Cpus(1))) Dec "2" "sets on which processors a process may run";
    SetMempolicy = __NR_set_mempolicy "set_mempolicy" (Flags(&flags::MPOL), In(Shape::Nodes(2)), Uint) Dec "2" "sets on which memory nodes a process's memory lies";
    Seccomp = __NR_seccomp "seccomp" (Word(&flags::SECCOMP), Flags(&flags::SECCOMP_FLAGS), In(Shape::Filter)) Dec "2" "filters the system calls that the process may make";
    BpfLoad = __NR_bpf "bpf" (Word(&flags::BPF), In(Shape::BpfLoad), Uint) Dec "2" "checks a BPF program and loads it";
    BpfAttach = __NR_bpf "bpf" (Word(&flags::BPF), In(Shape::BpfAttach), Uint) Dec "2" "attaches a BPF program to a cgroup";
    BpfQuery = __NR_bpf "bpf" (Word(&flags::BPF), Out(Shape::BpfQuery), Uint) Dec "2" "tells which BPF programs are attached to a cgroup";
    BpfById = __NR_bpf "bpf" (Word(&flags::BPF), In(Shape::BpfById), Uint) Dec "2" "gets a handle on a BPF program";

    // Talking, waiting, signals.
    Socket = __NR_socket "socket" (Word(&flags::FAMILY), Flags(&flags::SOCKET), Word(&flags::PROTOCOL)) Dec "2" "makes a socket";
    Connect = __NR_connect "connect" (Fd, In(Shape::SockAddr(2)), Uint) Dec "2" "connects a socket to who listens at an address";
    Bind = __NR_bind "bind" (Fd, In(Shape::SockAddr(2)), Uint) Dec "2" "gives a socket its address";
    Sendto = __NR_sendto "sendto" (Fd, Bytes(2), Uint, Flags(&flags::MSG), Hex, Int) Dec "2" "sends bytes through a socket";
    Sendmsg = __NR_sendmsg "sendmsg" (Fd, In(Shape::Message), Flags(&flags::MSG)) Dec "2" "sends a message, and descriptors with it";
    Recvmsg = __NR_recvmsg "recvmsg" (Fd, Out(Shape::Received), Flags(&flags::MSG)) Dec "2" "receives a message, and descriptors with it";
    Pipe2 = __NR_pipe2 "pipe2" (Out(Shape::FdPair), Flags(&flags::PIPE)) Dec "2" "makes a pipe";
    Socketpair = __NR_socketpair "socketpair" (Word(&flags::FAMILY), Flags(&flags::SOCKET), Int, Out(Shape::FdPair)) Dec "2" "makes two sockets that talk to each other";
    IoctlIfreq = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), InOut(Shape::IfReq)) Dec "2" "asks about a network interface, or sets its flags";
    IoctlTty = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), Hex) Dec "2" "asks a terminal for its other side, or makes it the session's own";
    IoctlInt = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), In(Shape::Int)) Dec "2" "locks a pseudoterminal, or unlocks it";
    IoctlGetTermios = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), Out(Shape::Termios)) Dec "2" "asks a terminal for its settings";
    IoctlSetTermios = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), In(Shape::Termios)) Dec "2" "changes a terminal's settings";
    IoctlGetWinSize = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), Out(Shape::WinSize)) Dec "2" "asks how large a terminal's window is";
    IoctlSetWinSize = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), In(Shape::WinSize)) Dec "2" "says how large a terminal's window is";
    IoctlPidfd = __NR_ioctl "ioctl" (Fd, Word(&flags::IOCTL), Hex) Dec "2" "asks a process handle what became of the process";
    Signalfd4 = __NR_signalfd4 "signalfd4" (Fd, In(Shape::SigSet), Uint, Flags(&flags::SFD)) Dec "2" "makes a descriptor from which held-back signals are read";
    Ppoll = __NR_ppoll "ppoll" (InOut(Shape::PollFds(1)), Uint, InOut(Shape::TimeSpec), Hex, Uint) Dec "2" "waits until a descriptor is ready";
    RtSigprocmask = __NR_rt_sigprocmask "rt_sigprocmask" (Word(&flags::SIG_HOW), In(Shape::SigSet), Out(Shape::SigSet), Uint) Dec "2" "sets which signals are held back";
    RtSigaction = __NR_rt_sigaction "rt_sigaction" (Signal, In(Shape::SigAction), Hex, Uint) Dec "2" "sets what a signal does";
    RtSigreturn = __NR_rt_sigreturn "rt_sigreturn" () Dec "2" "ends a signal's handler";
    RtSigtimedwait = __NR_rt_sigtimedwait "rt_sigtimedwait" (In(Shape::SigSet), Out(Shape::SigInfo), In(Shape::TimeSpec), Uint) Dec "2" "takes the next of some signals that are held back";
}

impl Call {
    /// The row of this call.
    pub fn row(self) -> &'static Row {
        &TABLE[self as usize]
    }
}
