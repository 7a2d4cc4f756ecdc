//! Structures that linux-raw-sys lacks, with their sizes asserted, and the walk over getdents64's entries.

use core::ffi::CStr;

pub(crate) const BPF_PROG_LOAD: usize = 5;
pub(crate) const BPF_PROG_ATTACH: usize = 8;
pub(crate) const BPF_PROG_GET_FD_BY_ID: usize = 13;
pub(crate) const BPF_PROG_QUERY: usize = 16;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;
const BPF_F_REPLACE: u32 = 4;
/// What the verifier has against a program, and what it counted; not each instruction (linux/bpf_verifier.h).
const BPF_LOG_STATS: u32 = 4;

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

/// The members of `union bpf_attr` for BPF_PROG_LOAD, as far as this project sets them; the rest is zero.
#[repr(C)]
pub struct BpfProgLoad {
    pub prog_type: u32,
    pub insn_cnt: u32,
    pub insns: u64,
    pub license: u64,
    pub log_level: u32,
    pub log_size: u32,
    pub log_buf: u64,
    pub kern_version: u32,
    pub prog_flags: u32,
    pub prog_name: [u8; 16],
    pub rest: [u64; 8],
}
const _: () = assert!(size_of::<BpfProgLoad>() == 128);

impl BpfProgLoad {
    pub(crate) fn cgroup_device(program: &[BpfInsn], log: &mut [u8]) -> BpfProgLoad {
        let license: &CStr = c"GPL";
        let wanted = !log.is_empty();
        BpfProgLoad {
            prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
            insn_cnt: program.len() as u32,
            insns: program.as_ptr() as u64,
            license: license.as_ptr() as u64,
            // The kernel refuses a place for words where none are wanted.
            log_level: if wanted { BPF_LOG_STATS } else { 0 },
            log_size: log.len() as u32,
            log_buf: if wanted { log.as_mut_ptr() as u64 } else { 0 },
            kern_version: 0,
            prog_flags: 0,
            prog_name: [0; 16],
            rest: [0; 8],
        }
    }
}

/// The members of `union bpf_attr` for BPF_PROG_ATTACH.
#[repr(C)]
pub struct BpfProgAttach {
    pub target_fd: u32,
    pub attach_bpf_fd: u32,
    pub attach_type: u32,
    pub attach_flags: u32,
    pub replace_bpf_fd: u32,
    pub padding: u32,
}
const _: () = assert!(size_of::<BpfProgAttach>() == 24);

impl BpfProgAttach {
    pub(crate) fn cgroup_device(target: u32, program: u32, old: Option<u32>) -> BpfProgAttach {
        let replace = old.map_or(0, |_| BPF_F_REPLACE);
        BpfProgAttach {
            target_fd: target,
            attach_bpf_fd: program,
            attach_type: BPF_CGROUP_DEVICE,
            attach_flags: BPF_F_ALLOW_MULTI | replace,
            replace_bpf_fd: old.unwrap_or(0),
            padding: 0,
        }
    }
}

/// The members of `union bpf_attr` for BPF_PROG_QUERY, as far as Linux 5.12 has them.
#[repr(C)]
pub struct BpfProgQuery {
    pub target_fd: u32,
    pub attach_type: u32,
    pub query_flags: u32,
    pub attach_flags: u32,
    pub prog_ids: u64,
    /// Room for how many, and then how many there are.
    pub prog_cnt: u32,
    pub padding: u32,
    /// Linux 6.17 writes how often the programs were changed behind the rest, however much it was said there is.
    pub room: [u64; 4],
}

/// What the kernel is told there is.
pub(crate) const BPF_QUERY_SIZE: usize = 32;
const _: () = assert!(size_of::<BpfProgQuery>() == 64);

impl BpfProgQuery {
    pub(crate) fn cgroup_device(target_fd: u32, ids: &mut [u32]) -> BpfProgQuery {
        BpfProgQuery {
            target_fd,
            attach_type: BPF_CGROUP_DEVICE,
            query_flags: 0,
            attach_flags: 0,
            prog_ids: ids.as_mut_ptr() as u64,
            prog_cnt: ids.len() as u32,
            padding: 0,
            room: [0; 4],
        }
    }
}

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
    /// Bounds of the load that the processor's speed is chosen by, from 0 to 1024.
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

/// `struct sockaddr_un` of unix(7).
#[repr(C)]
pub(crate) struct SockAddr {
    pub family: u16,
    pub path: [u8; 108],
}
const _: () = assert!(size_of::<SockAddr>() == 110);

/// A message with one descriptor (cmsg(3)): all that sendmsg(2) is told, in one piece, so that a record can keep it.
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
    /// Without bytes or addresses yet, which are those of this very structure where it comes to lie.
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
    /// About the interface of this name, of which the kernel looks at no more than 15 bytes.
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
