//! Where the lanes keep descriptors: each has a number that the plan knows, long before the kernel gives it its own.
//! May touch: nothing.

/// A numbered place for a descriptor that is known only when the plan is carried out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Slot(pub u16);

impl Slot {
    /// The state directory of the container.
    pub const STATE: Slot = Slot(0);
    /// The tree that becomes `/`.
    pub const ROOTFS: Slot = Slot(1);
    pub const CGROUP: Slot = Slot(2);
    /// The host's end of the channel, and init's.
    pub const CHANNEL: Slot = Slot(3);
    pub const INIT_END: Slot = Slot(4);
    /// The fifo on which a created container waits for `start`, and the fifo that ends when execve has succeeded.
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
    /// The host's procfs.
    pub const HOST_PROC: Slot = Slot(13);
    /// What hooks print.
    pub const HOOK_OUTPUT: Slot = Slot(14);
    /// Handle on the bridge, while there is one.
    pub const BRIDGE: Slot = Slot(15);
    /// A procfs for writes, which is mounted nowhere.
    pub const PRIVATE_PROC: Slot = Slot(16);
    /// A netlink socket for network interfaces: each lane has one, in its own namespace.
    pub const ROUTE: Slot = Slot(17);
    /// `exec`: a handle on the first process of the container.
    pub const CONTAINER: Slot = Slot(18);
    /// The socket through which init sends its terminal's other side.
    pub const CONSOLE: Slot = Slot(19);
    /// The terminal's other side: in init until it is sent, in the host if that relays. Before, the host has here the
    /// socket from which it will come.
    pub const MASTER: Slot = Slot(20);
    /// The terminal, as the program has it.
    pub const TERMINAL: Slot = Slot(21);
    /// To the program that gets a handle on the new process.
    pub const PIDFD: Slot = Slot(22);
    /// The program's NOTIFY_SOCKET, and the caller's, to which its messages are passed on.
    pub const NOTIFY: Slot = Slot(23);
    pub const NOTIFIED: Slot = Slot(24);
    /// The host's null device, for masks where the container's /dev may have none.
    pub const SPARE_NULL: Slot = Slot(25);
    /// Handle on the watcher, the file of the calls that it sees, and the channel to it.
    pub const WATCHER: Slot = Slot(26);
    pub const WATCHED: Slot = Slot(27);
    pub const TO_WATCHER: Slot = Slot(28);
    pub const FIRST_FREE: u16 = 29;
}
