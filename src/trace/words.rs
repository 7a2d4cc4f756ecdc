//! Lists of names by which the text view decides what of a call it shows. Each list is one text: an address for each name would
//! have to be put right at every start of the program. May touch: nothing.

/// Whether a list has a word.
pub fn has(list: &str, word: &str) -> bool {
    list.split(' ').any(|one| one == word)
}

/// The calls whose paths are shown as they were given: their meaning is that they lead nowhere else.
pub const STANDING: &str = "pivot_root umount2 chroot symlinkat readlinkat getcwd execve execveat";

/// The calls whose last argument is a size that another argument tells already.
pub const SIZED: &str = "openat2 clone3 mount_setattr bpf rt_sigaction rt_sigprocmask ppoll read write readlinkat \
    sethostname setdomainname getcwd bind connect getdents64 set_mempolicy rt_sigtimedwait";

/// The calls whose first argument is a descriptor: in a listing it is a number.
pub const BY_DESCRIPTOR: &str = "write pwrite64 openat openat2 mkdirat mknodat symlinkat unlinkat fchdir setns move_mount \
    mount_setattr open_tree execveat fchownat fchmodat fchmod fchown fsconfig fsmount ioctl fcntl sendmsg";

/// The calls of which only the path that they work at is shown whole: that of argument 1.
pub const SECOND: &str = "mount";

/// The calls that wait for what another process or the clock does.
pub const BLOCKING: &str = "ppoll waitid rt_sigtimedwait";

/// The calls whose zeros at the end mean something: an id, a number of groups, a mode.
pub const COUNTED: &str = "setresuid setresgid setgroups umask prctl dup3 kill exit_group mknodat ioctl fcntl \
    setpgid pidfd_send_signal close personality ioprio_set sched_setattr close_range";

/// The calls whose results say more than that they succeeded.
pub const TELLING: &str = "openat openat2 open_tree fsopen fsmount clone3 socket pidfd_open pidfd_getfd memfd_create getpid \
    getppid setsid signalfd4 keyctl rt_sigtimedwait";

/// Flags that most calls of this runtime have, or that mean nothing beside others.
pub const NOISE: &str = "O_CLOEXEC O_RDONLY O_NOFOLLOW SOCK_CLOEXEC OPEN_TREE_CLOEXEC FSOPEN_CLOEXEC FSMOUNT_CLOEXEC \
    SFD_CLOEXEC MFD_CLOEXEC RESOLVE_NO_MAGICLINKS MOVE_MOUNT_F_EMPTY_PATH MOVE_MOUNT_T_EMPTY_PATH AT_EMPTY_PATH";

/// Members of structures that only the kernel needs.
pub const MEMBERS: &str = "exit_signal stack_size insn_cnt license kern_version log_level log_size sa_mask sa_flags \
    userns_fd msg_namelen msg_controllen msg_iovlen cmsg_len cmsg_level msg_flags f_bsize f_blocks f_bfree f_bavail \
    f_files f_ffree f_fsid f_namelen f_frsize f_flags expected_attach_type version pid";

/// A row is named after one of its calls: after one of these, if it has one.
pub const FIRST: &str = "clone3 execve pivot_root mount move_mount bpf setns unshare execveat setresuid waitid";
/// After one of these only if its other calls are helpers.
pub const LAST: &str = "mkdirat faccessat2 mknodat socket futex";
/// The calls that never share a row with those before them.
pub const APART: &str = "umount2 execve";
/// The calls that a narrow page gives a second row.
pub const IMPORTANT: &str = "clone3 capset";
/// The helpers: a row is named after one of these only if it has no other call.
pub const HELPERS: &str = "openat openat2 close fchdir fstat fstatfs newfstatat read write pread64 readlinkat \
    fchmod fchmodat fchown fchownat getdents64 ftruncate mmap rt_sigaction";
