//! The structures that calls take and fill in, printed member by member from the bytes that were copied.

use super::{address, bpf, device, id, list, quoted, sched, talk};
use crate::arg::Kind;
use crate::flags::{self, NSIG, hex, octal, signal_name, signal_short, with};
use crate::record::{OUT, Record};
use core::fmt::{Display, Result, Write};
use core::mem::offset_of;
use linux_raw_sys::general as g;

/// The bytes of a structure. A member that lies beyond them reads as 0.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<'a>(pub &'a [u8]);

impl<'a> Bytes<'a> {
    pub fn u64(self, at: usize) -> u64 {
        self.array(at).map_or(0, u64::from_ne_bytes)
    }

    pub fn u32(self, at: usize) -> u32 {
        self.array(at).map_or(0, u32::from_ne_bytes)
    }

    pub fn i32(self, at: usize) -> i32 {
        self.u32(at) as i32
    }

    pub fn u16(self, at: usize) -> u16 {
        self.array(at).map_or(0, u16::from_ne_bytes)
    }

    fn array<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.get(at..at + N)?.try_into().ok()
    }

    /// A string in an array. It ends at its NUL; without one strace does not show the last byte.
    pub fn name(self, at: usize, len: usize) -> impl Display + use<'a> {
        let room = self.0.get(at..at + len).unwrap_or_default();
        match room.iter().position(|byte| *byte == 0) {
            Some(end) => quoted(room.get(..end).unwrap_or_default(), len, false),
            None => quoted(room, len.saturating_sub(1), true),
        }
    }
}

/// Argument `i`, which points to a structure; where nothing was kept, its address.
pub(super) fn structure(r: &Record, i: usize, kind: Kind, out: &mut dyn Write) -> Result {
    let given = r.blob(i as u8);
    let filled = r.blob(i as u8 | OUT).map(|blob| Bytes(blob.bytes));
    let cut = given.is_some_and(|blob| blob.cut);
    let Some(b) = given.map(|blob| Bytes(blob.bytes)).or(filled) else {
        let none = kind == Kind::Received;
        return if none { out.write_str("{msg_namelen=0}") } else { write!(out, "{}", address(r.args[i])) };
    };
    match kind {
        Kind::CloneArgs => clone_args(b, filled, out),
        Kind::PollFds => talk::poll_fds(b, cut, out),
        Kind::Gids => gids(b, cut, out),
        Kind::IfReq => ifreq(r, b, filled, out),
        Kind::Received => talk::received(r, b, out),
        kind => plain(kind, b, r.args[i], out),
    }
}

/// A structure that its bytes alone tell. `at`: its address.
pub(crate) fn plain(kind: Kind, b: Bytes, at: u64, out: &mut dyn Write) -> Result {
    match kind {
        Kind::OpenHow => open_how(b, out),
        Kind::MountAttr => mount_attr(b, out),
        Kind::Stat => stat(b, out),
        Kind::StatFs => statfs(b, out),
        Kind::SigInfo => siginfo(b, out),
        Kind::SigSet => write!(out, "{}", sigset(b.u64(0))),
        Kind::SigAction => sigaction(b, out),
        Kind::TimeSpec => write!(out, "{}", timespec(b)),
        Kind::RLimit => write!(out, "{{rlim_cur={}, rlim_max={}}}", limit(b.u64(0)), limit(b.u64(8))),
        Kind::FdPair => write!(out, "[{}, {}]", b.i32(0), b.i32(4)),
        Kind::CapHeader => sched::cap_header(b, out),
        Kind::CapData => cap_data(b, out),
        Kind::BpfLoad => bpf::load(b, out),
        Kind::BpfAttach => bpf::attach(b, out),
        Kind::BpfQuery => bpf::query(b, out),
        Kind::BpfById => bpf::by_id(b, out),
        Kind::Filter => sched::filter(b, out),
        Kind::SockAddr => talk::sock_addr(b, out),
        Kind::Message => talk::message(b, out),
        Kind::Number => write!(out, "[{}]", b.i32(0)),
        Kind::Termios => talk::termios(b, out),
        Kind::WinSize => talk::win_size(b, out),
        Kind::SchedAttr => sched::sched_attr(b, out),
        Kind::Nodes => sched::nodes(b, out),
        Kind::Cpus => sched::cpus(b, out),
        Kind::Utsname => sched::utsname(b, out),
        _ => write!(out, "{}", address(at)),
    }
}

fn open_how(b: Bytes, out: &mut dyn Write) -> Result {
    let (flags, mode) = (b.u64(0), b.u64(8));
    write!(out, "{{flags={}", flags::OpenFlags::WORDS.flags(flags))?;
    if flags & u64::from(g::O_CREAT | g::__O_TMPFILE) != 0 {
        write!(out, ", mode={}", octal(mode))?;
    }
    write!(out, ", resolve={}}}", flags::Resolve::WORDS.flags(b.u64(16)))
}

fn mount_attr(b: Bytes, out: &mut dyn Write) -> Result {
    let [set, clear] = [b.u64(0), b.u64(8)].map(|attr| flags::MOUNT_ATTR.flags(attr));
    let propagation = flags::PROPAGATION.word(b.u64(16));
    write!(out, "{{attr_set={set}, attr_clr={clear}, propagation={propagation}, userns_fd={}}}", b.u64(24))
}

/// `clone_args`, and after it what the kernel wrote through it: the handle on the child.
pub(crate) fn clone_args(b: Bytes, pidfd: Option<Bytes>, out: &mut dyn Write) -> Result {
    macro_rules! member {
        ($name:ident) => {
            b.u64(offset_of!(g::clone_args, $name))
        };
    }
    let flags = member!(flags);
    let has = |flag: u32| flags & u64::from(flag) != 0;
    write!(out, "{{flags={}", flags::CLONE_ARGS.flags(flags))?;
    let tids = g::CLONE_CHILD_SETTID | g::CLONE_CHILD_CLEARTID;
    let mut pointer = |wanted: bool, name: &str, at: u64| match wanted {
        true => write!(out, ", {name}={}", address(at)),
        false => Ok(()),
    };
    pointer(has(g::CLONE_PIDFD), "pidfd", member!(pidfd))?;
    pointer(has(tids), "child_tid", member!(child_tid))?;
    pointer(has(g::CLONE_PARENT_SETTID), "parent_tid", member!(parent_tid))?;
    write!(out, ", exit_signal={}", signal_name(member!(exit_signal) as i32))?;
    write!(out, ", stack={}, stack_size={}", address(member!(stack)), hex(member!(stack_size)))?;
    if has(g::CLONE_SETTLS) {
        write!(out, ", tls={}", address(member!(tls)))?;
    }
    if member!(set_tid) != 0 || member!(set_tid_size) != 0 {
        write!(out, ", set_tid={}, set_tid_size={}", address(member!(set_tid)), member!(set_tid_size))?;
    }
    if member!(cgroup) != 0 || flags & g::CLONE_INTO_CGROUP != 0 {
        write!(out, ", cgroup={}", member!(cgroup))?;
    }
    out.write_char('}')?;
    match pidfd {
        Some(pidfd) if has(g::CLONE_PIDFD) => write!(out, " => {{pidfd=[{}]}}", pidfd.i32(0)),
        _ => Ok(()),
    }
}

fn stat(b: Bytes, out: &mut dyn Write) -> Result {
    let mode = b.u32(offset_of!(g::stat, st_mode));
    write!(out, "{{st_mode={}", flags::mode(mode))?;
    match mode & g::S_IFMT {
        g::S_IFCHR | g::S_IFBLK => write!(out, ", st_rdev={}", device(b.u64(offset_of!(g::stat, st_rdev))))?,
        _ => write!(out, ", st_size={}", b.u64(offset_of!(g::stat, st_size)) as i64)?,
    }
    out.write_str(", ...}")
}

fn statfs(b: Bytes, out: &mut dyn Write) -> Result {
    macro_rules! member {
        ($name:ident) => {
            b.u64(offset_of!(g::statfs64, $name))
        };
    }
    let kind = member!(f_type);
    match flags::FS_MAGIC.name(kind) {
        Some(name) => write!(out, "{{f_type={name}")?,
        None => write!(out, "{{f_type={}", hex(kind))?,
    }
    let (size, blocks, free) = (member!(f_bsize), member!(f_blocks), member!(f_bfree));
    write!(out, ", f_bsize={size}, f_blocks={blocks}, f_bfree={free}, f_bavail={}", member!(f_bavail))?;
    write!(out, ", f_files={}, f_ffree={}", member!(f_files), member!(f_ffree))?;
    let at = offset_of!(g::statfs64, f_fsid);
    let [first, second] = [at, at + 4].map(|at| hex(b.u32(at).into()));
    write!(out, ", f_fsid={{val=[{first}, {second}]}}, f_namelen={}", member!(f_namelen))?;
    write!(out, ", f_frsize={}, f_flags={}}}", member!(f_frsize), flags::ST.flags(member!(f_flags)))
}

/// The members of `siginfo_t` depend on the sender of the signal (sigaction(2)).
fn siginfo(b: Bytes, out: &mut dyn Write) -> Result {
    let (signal, errno, code) = (b.i32(0), b.i32(4), b.i32(8));
    if signal == 0 {
        return out.write_str("{}");
    }
    let child = signal == libc::SIGCHLD && code > 0;
    let codes = if child && code < libc::SI_KERNEL { &flags::CLD_CODE } else { &flags::SI_CODE };
    write!(out, "{{si_signo={}, si_code={}", signal_name(signal), codes.word(code as u64))?;
    if errno != 0 {
        write!(out, ", si_errno={errno}")?;
    }
    let (pid, uid, value) = (b.i32(16), b.u32(20), b.u64(24));
    if child || pid != 0 || uid != 0 || matches!(code, libc::SI_USER | libc::SI_TKILL) {
        write!(out, ", si_pid={pid}, si_uid={}", id(uid))?;
    }
    if child {
        match (code, b.i32(24)) {
            (libc::CLD_EXITED, status) => write!(out, ", si_status={status}")?,
            (_, status) => write!(out, ", si_status={}", signal_name(status))?,
        }
        for (name, ticks) in [("si_utime", b.u64(32)), ("si_stime", b.u64(40))] {
            write!(out, ", {name}={ticks}")?;
            // Clock ticks are hundredths of a second (sysconf(3), _SC_CLK_TCK).
            if ticks > 0 {
                write!(out, " /* {}.{:02} s */", ticks / 100, ticks % 100)?;
            }
        }
    } else if value != 0 && !matches!(code, libc::SI_USER | libc::SI_TKILL) {
        write!(out, ", si_int={}, si_ptr={value:#x}", value as i32)?;
    }
    out.write_char('}')
}

/// A set of signals. When two thirds or more are in it, those that are not are named.
pub(crate) fn sigset(set: u64) -> impl Display {
    let inverted = set.count_ones() >= NSIG * 2 / 3;
    with(move |out| {
        let mut rest = if inverted { !set } else { set };
        out.write_str(if inverted { "~[" } else { "[" })?;
        while rest != 0 {
            write!(out, "{}", signal_short(rest.trailing_zeros() as i32 + 1))?;
            rest &= rest - 1;
            out.write_str(if rest != 0 { " " } else { "" })?;
        }
        out.write_char(']')
    })
}

fn sigaction(b: Bytes, out: &mut dyn Write) -> Result {
    match b.u64(offset_of!(g::kernel_sigaction, sa_handler_kernel)) {
        0 => out.write_str("{sa_handler=SIG_DFL")?,
        1 => out.write_str("{sa_handler=SIG_IGN")?,
        handler => write!(out, "{{sa_handler={}", hex(handler))?,
    }
    let flags = b.u64(offset_of!(g::kernel_sigaction, sa_flags));
    let mask = b.u64(offset_of!(g::kernel_sigaction, sa_mask));
    write!(out, ", sa_mask={}, sa_flags={}", sigset(mask), flags::SA.flags(flags))?;
    if let Some((flag, place)) = crate::arch::RESTORER
        && flags & u64::from(flag) != 0
    {
        write!(out, ", sa_restorer={}", address(b.u64(place)))?;
    }
    out.write_char('}')
}

pub(super) fn timespec(b: Bytes) -> impl Display {
    let (seconds, nanoseconds) = (b.u64(0) as i64, b.u64(8) as i64);
    with(move |out| write!(out, "{{tv_sec={seconds}, tv_nsec={nanoseconds}}}"))
}

/// A resource limit.
fn limit(value: u64) -> impl Display {
    with(move |out| match value {
        u64::MAX => out.write_str("RLIM64_INFINITY"),
        limit if limit > 1024 && limit % 1024 == 0 => write!(out, "{}*1024", limit / 1024),
        limit => write!(out, "{limit}"),
    })
}

/// Three sets, each in two halves: the low ones first (capset(2)).
fn cap_data(b: Bytes, out: &mut dyn Write) -> Result {
    let [effective, permitted, inheritable] = [0, 4, 8].map(|at| capabilities(b.u32(at), b.u32(at + 12)));
    write!(out, "{{effective={effective}, permitted={permitted}, inheritable={inheritable}}}")
}

/// strace prints each half on its own, so what has no name in the high one is shown as a number of 32 bits.
fn capabilities(low: u32, high: u32) -> impl Display {
    with(move |out| {
        if (low, high) == (0, 0) {
            return out.write_char('0');
        }
        let mut bar = "";
        for (half, first) in [(low, 0), (high, 32)] {
            let mut rest = half;
            for bit in 0..32 {
                let name = flags::Capability::WORDS.name(first + bit).filter(|_| half >> bit & 1 != 0);
                if let Some(name) = name {
                    write!(out, "{bar}1<<{name}")?;
                    (rest, bar) = (rest & !(1 << bit), "|");
                }
            }
            if rest != 0 {
                let comment = if rest == half { " /* CAP_??? */" } else { "" };
                write!(out, "{bar}{rest:#x}{comment}")?;
                bar = "|";
            }
        }
        Ok(())
    })
}

fn gids(b: Bytes, cut: bool, out: &mut dyn Write) -> Result {
    let gids = b.0.chunks_exact(4).map(|gid| id(Bytes(gid).u32(0)));
    list(gids, ", ", cut, |gid, out| write!(out, "{gid}"), out)
}

/// The request decides which member counts.
fn ifreq(r: &Record, b: Bytes, filled: Option<Bytes>, out: &mut dyn Write) -> Result {
    write!(out, "{{ifr_name={}", b.name(0, 16))?;
    let request = r.args[1] as u32;
    let set = request == linux_raw_sys::ioctl::SIOCSIFFLAGS;
    match if set { Some(b) } else { filled } {
        None => {}
        Some(b) if request == linux_raw_sys::ioctl::SIOCGIFINDEX => write!(out, ", ifr_ifindex={}", b.i32(16))?,
        Some(b) => write!(out, ", ifr_flags={}", flags::IFF.flags(b.u16(16).into()))?,
    }
    out.write_char('}')
}
