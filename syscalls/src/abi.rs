//! Structures that linux-raw-sys lacks, with their sizes asserted, and the walk over getdents64's entries.

use core::ffi::CStr;

/// One instruction of eBPF: `struct bpf_insn` of linux/bpf.h.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BpfInsn {
    pub code: u8,
    /// Destination register in the low four bits, source register in the high ones.
    pub registers: u8,
    pub off: i16,
    pub imm: i32,
}
const _: () = assert!(size_of::<BpfInsn>() == 8);

/// `struct sched_attr` of linux/sched/types.h, with the clamps of Linux 5.3.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SchedAttr {
    pub size: u32,
    pub policy: u32,
    pub flags: u64,
    pub nice: i32,
    pub priority: u32,
    /// Of SCHED_DEADLINE, in nanoseconds.
    pub runtime: u64,
    pub deadline: u64,
    pub period: u64,
    /// Bounds, from 0 to 1024, of the load by which the kernel chooses the processor's speed.
    pub util_min: u32,
    pub util_max: u32,
}
const _: () = assert!(size_of::<SchedAttr>() == 56);

/// One instruction of classic BPF: `struct sock_filter` of linux/filter.h.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SockFilter {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}
const _: () = assert!(size_of::<SockFilter>() == 8);

/// `struct sock_fprog` of linux/filter.h.
#[repr(C)]
pub(crate) struct SockProgram {
    pub len: u16,
    pub filter: *const SockFilter,
}
const _: () = assert!(size_of::<SockProgram>() == 16);

/// `struct sockaddr_un` of unix(7): two bytes of a family, then a path.
pub(crate) type SockAddr = [u8; 110];

/// A message with one descriptor (cmsg(3)): all that sendmsg(2) reads, in one piece, so that a record can keep it.
#[repr(C)]
pub(crate) struct Message {
    pub name: usize,
    pub name_len: u64,
    pub parts: usize,
    pub part_count: usize,
    pub control: usize,
    pub control_len: usize,
    pub flags: u64,
    pub part: [usize; 2],
    pub control_header: usize,
    pub control_level: i32,
    pub control_type: i32,
    pub descriptor: i32,
    pub padding: i32,
    /// The beginning of what is sent, for the record alone.
    pub beginning: [u8; 40],
}
const _: () = assert!(size_of::<Message>() == 136);

impl Message {
    /// Without bytes or addresses: the addresses point into the structure itself, and are set where it finally lies.
    pub(crate) fn new(descriptor: i32) -> Message {
        Message {
            name: 0,
            name_len: 0,
            parts: 0,
            part_count: 1,
            control: 0,
            control_len: 24,
            flags: 0,
            part: [0; 2],
            control_header: 20,
            control_level: libc::SOL_SOCKET,
            control_type: libc::SCM_RIGHTS,
            descriptor,
            padding: 0,
            beginning: [0; 40],
        }
    }
}

/// The kernel's `struct termios` of asm-generic/termbits.h: a terminal's settings.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Termios {
    pub input: u32,
    pub output: u32,
    pub control: u32,
    pub local: u32,
    pub line: u8,
    pub characters: [u8; 19],
}
const _: () = assert!(size_of::<Termios>() == 36);

/// `struct winsize` of ioctl_tty(2): a window's size in characters, and in dots.
#[repr(C)]
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct WinSize {
    pub rows: u16,
    pub columns: u16,
    pub x: u16,
    pub y: u16,
}
const _: () = assert!(size_of::<WinSize>() == 8);

/// `struct ifreq` with the member that the flags calls use (netdevice(7)).
#[repr(C)]
#[derive(Clone, Copy)]
pub struct IfReq {
    pub name: [u8; 16],
    pub flags: i16,
    pub rest: [u8; 22],
}
const _: () = assert!(size_of::<IfReq>() == 40);

impl IfReq {
    /// A request about the interface of this name. The kernel reads at most 15 bytes of it.
    pub fn new(name: &[u8]) -> IfReq {
        let mut request = IfReq { name: [0; 16], flags: 0, rest: [0; 22] };
        let room = request.name.iter_mut().take(15);
        room.zip(name).for_each(|(to, from)| *to = *from);
        request
    }

    /// The member that SIOCGIFINDEX fills in; it begins where the flags do.
    pub fn index(&self) -> u32 {
        let [a, b] = self.flags.to_ne_bytes();
        u32::from_ne_bytes([a, b, self.rest[0], self.rest[1]])
    }
}

/// What getdents64 wrote: types (DT_* of getdents64(2)) and names, `.` and `..` left out. Each entry: inode (8 bytes),
/// offset (8), length of the entry (2), type (1), name.
pub fn entries(written: &[u8]) -> impl Iterator<Item = (u8, &CStr)> {
    let mut rest = written;
    core::iter::from_fn(move || {
        loop {
            let len = u16::from_ne_bytes(rest.get(16..18)?.try_into().ok()?) as usize;
            let kind = *rest.get(18)?;
            let name = CStr::from_bytes_until_nul(rest.get(19..len)?).ok()?;
            rest = rest.get(len..)?;
            if !matches!(name.to_bytes(), b"." | b"..") {
                return Some((kind, name));
            }
        }
    })
}
