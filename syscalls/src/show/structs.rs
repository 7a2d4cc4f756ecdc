//! The structures that cross the border, printed member by member from the bytes that were copied.

use super::{LIMIT, address, bpf, device, id, quoted, sched, talk};
use crate::arg::Kind;
use crate::flags::{self, NSIG, hex, octal, signal_name, signal_short};
use crate::record::{OUT, Record};
use core::fmt::{Result, Write};
use core::mem::offset_of;
use linux_raw_sys::general as g;

/// The bytes of a structure. A member that lies beyond them reads as 0.
#[derive(Clone, Copy)]
pub(super) struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
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

    /// A string in an array: it ends at its NUL; without one strace does not show the last byte. No other limit.
    pub fn name(self, at: usize, len: usize, out: &mut dyn Write) -> Result {
        let room = self.0.get(at..at + len).unwrap_or_default();
        match room.iter().position(|byte| *byte == 0) {
            Some(end) => quoted(room.get(..end).unwrap_or_default(), len, false, out),
            None => quoted(room, len.saturating_sub(1), true, out),
        }
    }
}

/// Argument `i`, which points to a structure; where nothing was kept, its address.
pub(super) fn structure(r: &Record, i: usize, kind: Kind, out: &mut dyn Write) -> Result {
    let given = r.blob(i as u8);
    let filled = r.blob(i as u8 | OUT).map(|blob| Bytes(blob.bytes));
    let cut = given.is_some_and(|blob| blob.cut);
    let Some(b) = given.map(|blob| Bytes(blob.bytes)).or(filled) else {
        return if kind == Kind::Received { out.write_str("{msg_namelen=0}") } else { address(r.args[i], out) };
    };
    match kind {
        Kind::OpenHow => open_how(b, out),
        Kind::MountAttr => mount_attr(b, out),
        Kind::CloneArgs => clone_args(b, filled, out),
        Kind::Stat => stat(b, out),
        Kind::StatFs => statfs(b, out),
        Kind::SigInfo => siginfo(b, out),
        Kind::SigSet => sigset(b.u64(0), out),
        Kind::SigAction => sigaction(b, out),
        Kind::TimeSpec => timespec(b, out),
        Kind::RLimit => rlimit(b, out),
        Kind::PollFds => talk::poll_fds(b, cut, out),
        Kind::FdPair => write!(out, "[{}, {}]", b.i32(0), b.i32(4)),
        Kind::CapHeader => cap_header(b, out),
        Kind::CapData => cap_data(b, out),
        Kind::Gids => gids(b, cut, out),
        Kind::IfReq => ifreq(r, b, filled, out),
        Kind::BpfLoad => bpf::load(b, out),
        Kind::BpfAttach => bpf::attach(b, out),
        Kind::BpfQuery => bpf::query(b, out),
        Kind::BpfById => bpf::by_id(b, out),
        Kind::Filter => sched::filter(b, out),
        Kind::SockAddr => talk::sock_addr(b, out),
        Kind::Message => talk::message(b, out),
        Kind::Received => talk::received(r, b, out),
        Kind::Number => write!(out, "[{}]", b.i32(0)),
        Kind::Termios => talk::termios(b, out),
        Kind::WinSize => talk::win_size(b, out),
        Kind::SchedAttr => sched::sched_attr(b, out),
        Kind::Nodes => sched::nodes(b, out),
        Kind::Cpus => sched::cpus(b, out),
        Kind::Utsname => sched::utsname(b, out),
        _ => address(r.args[i], out),
    }
}

fn open_how(b: Bytes, out: &mut dyn Write) -> Result {
    let (flags, mode, resolve) = (b.u64(0), b.u64(8), b.u64(16));
    out.write_str("{flags=")?;
    flags::OpenFlags::WORDS.flags(flags, out)?;
    if flags & u64::from(g::O_CREAT | g::__O_TMPFILE) != 0 {
        out.write_str(", mode=")?;
        octal(mode, out)?;
    }
    out.write_str(", resolve=")?;
    flags::Resolve::WORDS.flags(resolve, out)?;
    out.write_char('}')
}

fn mount_attr(b: Bytes, out: &mut dyn Write) -> Result {
    out.write_str("{attr_set=")?;
    flags::MOUNT_ATTR.flags(b.u64(0), out)?;
    out.write_str(", attr_clr=")?;
    flags::MOUNT_ATTR.flags(b.u64(8), out)?;
    out.write_str(", propagation=")?;
    flags::PROPAGATION.word(b.u64(16), out)?;
    write!(out, ", userns_fd={}}}", b.u64(24))
}

/// `clone_args`, and after it what the kernel wrote through it: the handle on the child.
fn clone_args(b: Bytes, pidfd: Option<Bytes>, out: &mut dyn Write) -> Result {
    let at = |at: usize| b.u64(at);
    let flags = at(offset_of!(g::clone_args, flags));
    let has = |flag: u32| flags & u64::from(flag) != 0;
    out.write_str("{flags=")?;
    flags::CLONE_ARGS.flags(flags, out)?;
    let member = |name: &str, offset: usize, out: &mut dyn Write| {
        write!(out, ", {name}=")?;
        address(at(offset), out)
    };
    if has(g::CLONE_PIDFD) {
        member("pidfd", offset_of!(g::clone_args, pidfd), out)?;
    }
    if has(g::CLONE_CHILD_SETTID | g::CLONE_CHILD_CLEARTID) {
        member("child_tid", offset_of!(g::clone_args, child_tid), out)?;
    }
    if has(g::CLONE_PARENT_SETTID) {
        member("parent_tid", offset_of!(g::clone_args, parent_tid), out)?;
    }
    write!(out, ", exit_signal={}", signal_name(at(offset_of!(g::clone_args, exit_signal)) as i32))?;
    member("stack", offset_of!(g::clone_args, stack), out)?;
    out.write_str(", stack_size=")?;
    hex(at(offset_of!(g::clone_args, stack_size)), out)?;
    if has(g::CLONE_SETTLS) {
        member("tls", offset_of!(g::clone_args, tls), out)?;
    }
    let (set_tid, size) = (at(offset_of!(g::clone_args, set_tid)), at(offset_of!(g::clone_args, set_tid_size)));
    if set_tid != 0 || size != 0 {
        member("set_tid", offset_of!(g::clone_args, set_tid), out)?;
        write!(out, ", set_tid_size={size}")?;
    }
    let cgroup = at(offset_of!(g::clone_args, cgroup));
    if cgroup != 0 || flags & g::CLONE_INTO_CGROUP != 0 {
        write!(out, ", cgroup={cgroup}")?;
    }
    out.write_char('}')?;
    match pidfd {
        Some(pidfd) if has(g::CLONE_PIDFD) => write!(out, " => {{pidfd=[{}]}}", pidfd.i32(0)),
        _ => Ok(()),
    }
}

fn stat(b: Bytes, out: &mut dyn Write) -> Result {
    let mode = b.u32(offset_of!(g::stat, st_mode));
    out.write_str("{st_mode=")?;
    flags::mode(mode, out)?;
    if matches!(mode & g::S_IFMT, g::S_IFCHR | g::S_IFBLK) {
        out.write_str(", st_rdev=")?;
        device(b.u64(offset_of!(g::stat, st_rdev)), out)?;
    } else {
        write!(out, ", st_size={}", b.u64(offset_of!(g::stat, st_size)) as i64)?;
    }
    out.write_str(", ...}")
}

fn statfs(b: Bytes, out: &mut dyn Write) -> Result {
    let kind = b.u64(offset_of!(g::statfs64, f_type));
    out.write_str("{f_type=")?;
    match flags::FS_MAGIC.name(kind) {
        Some(name) => out.write_str(name)?,
        None => hex(kind, out)?,
    }
    let counts = [
        ("f_bsize", offset_of!(g::statfs64, f_bsize)),
        ("f_blocks", offset_of!(g::statfs64, f_blocks)),
        ("f_bfree", offset_of!(g::statfs64, f_bfree)),
        ("f_bavail", offset_of!(g::statfs64, f_bavail)),
        ("f_files", offset_of!(g::statfs64, f_files)),
        ("f_ffree", offset_of!(g::statfs64, f_ffree)),
    ];
    for (name, at) in counts {
        write!(out, ", {name}={}", b.u64(at))?;
    }
    let fsid = offset_of!(g::statfs64, f_fsid);
    out.write_str(", f_fsid={val=[")?;
    hex(b.u32(fsid).into(), out)?;
    out.write_str(", ")?;
    hex(b.u32(fsid + 4).into(), out)?;
    write!(out, "]}}, f_namelen={}", b.u64(offset_of!(g::statfs64, f_namelen)))?;
    write!(out, ", f_frsize={}, f_flags=", b.u64(offset_of!(g::statfs64, f_frsize)))?;
    flags::ST.flags(b.u64(offset_of!(g::statfs64, f_flags)), out)?;
    out.write_char('}')
}

/// The members of `siginfo_t` depend on who sent the signal (sigaction(2)).
fn siginfo(b: Bytes, out: &mut dyn Write) -> Result {
    let (signal, errno, code) = (b.i32(0), b.i32(4), b.i32(8));
    if signal == 0 {
        return out.write_str("{}");
    }
    let child = signal == libc::SIGCHLD && code > 0;
    write!(out, "{{si_signo={}, si_code=", signal_name(signal))?;
    let codes = if child && code < libc::SI_KERNEL { &flags::CLD_CODE } else { &flags::SI_CODE };
    codes.word(code as u64, out)?;
    if errno != 0 {
        write!(out, ", si_errno={errno}")?;
    }
    let (pid, uid, value) = (b.i32(16), b.u32(20), b.u64(24));
    if child || pid != 0 || uid != 0 || matches!(code, libc::SI_USER | libc::SI_TKILL) {
        write!(out, ", si_pid={pid}, si_uid=")?;
        id(uid, out)?;
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
fn sigset(set: u64, out: &mut dyn Write) -> Result {
    let inverted = set.count_ones() >= NSIG * 2 / 3;
    let mut rest = if inverted { !set } else { set };
    out.write_str(if inverted { "~[" } else { "[" })?;
    while rest != 0 {
        write!(out, "{}", signal_short(rest.trailing_zeros() as i32 + 1))?;
        rest &= rest - 1;
        if rest != 0 {
            out.write_char(' ')?;
        }
    }
    out.write_char(']')
}

fn sigaction(b: Bytes, out: &mut dyn Write) -> Result {
    let flags = b.u64(offset_of!(g::kernel_sigaction, sa_flags));
    out.write_str("{sa_handler=")?;
    match b.u64(offset_of!(g::kernel_sigaction, sa_handler_kernel)) {
        0 => out.write_str("SIG_DFL")?,
        1 => out.write_str("SIG_IGN")?,
        handler => hex(handler, out)?,
    }
    out.write_str(", sa_mask=")?;
    sigset(b.u64(offset_of!(g::kernel_sigaction, sa_mask)), out)?;
    out.write_str(", sa_flags=")?;
    flags::SA.flags(flags, out)?;
    if flags & u64::from(g::SA_RESTORER) != 0 {
        out.write_str(", sa_restorer=")?;
        address(b.u64(offset_of!(g::kernel_sigaction, sa_restorer)), out)?;
    }
    out.write_char('}')
}

pub(super) fn timespec(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{tv_sec={}, tv_nsec={}}}", b.u64(0) as i64, b.u64(8) as i64)
}

fn rlimit(b: Bytes, out: &mut dyn Write) -> Result {
    for (name, at) in [("{rlim_cur", 0), (", rlim_max", 8)] {
        match b.u64(at) {
            u64::MAX => write!(out, "{name}=RLIM64_INFINITY")?,
            limit if limit > 1024 && limit % 1024 == 0 => write!(out, "{name}={}*1024", limit / 1024)?,
            limit => write!(out, "{name}={limit}")?,
        }
    }
    out.write_char('}')
}

/// Before all but the first of a list.
pub(super) fn comma(first: &mut bool, out: &mut dyn Write) -> Result {
    if core::mem::take(first) { Ok(()) } else { out.write_str(", ") }
}

fn cap_header(b: Bytes, out: &mut dyn Write) -> Result {
    out.write_str("{version=")?;
    flags::CAP_VERSION.word(b.u32(0).into(), out)?;
    write!(out, ", pid={}}}", b.i32(4))
}

/// Three sets, each in two halves: the low ones first (capset(2)).
fn cap_data(b: Bytes, out: &mut dyn Write) -> Result {
    for (name, at) in [("{effective=", 0), (", permitted=", 4), (", inheritable=", 8)] {
        out.write_str(name)?;
        capabilities(u64::from(b.u32(at)) | u64::from(b.u32(at + 12)) << 32, out)?;
    }
    out.write_char('}')
}

/// strace prints each half on its own, so what has no name in the high one is shown as a number of 32 bits.
fn capabilities(set: u64, out: &mut dyn Write) -> Result {
    if set == 0 {
        return out.write_char('0');
    }
    let mut first = true;
    for half in [set & u64::from(u32::MAX), set >> 32 << 32] {
        let (mut rest, mut named) = (half, false);
        for bit in 0..64 {
            let Some(name) = flags::Capability::WORDS.name(bit).filter(|_| half >> bit & 1 != 0) else {
                continue;
            };
            write!(out, "{}1<<{name}", if first { "" } else { "|" })?;
            rest &= !(1 << bit);
            (first, named) = (false, true);
        }
        if rest != 0 {
            let comment = if named { "" } else { " /* CAP_??? */" };
            write!(out, "{}{:#x}{comment}", if first { "" } else { "|" }, rest >> 32)?;
        }
    }
    Ok(())
}

/// At most [`LIMIT`] groups, of which one more is kept.
fn gids(b: Bytes, cut: bool, out: &mut dyn Write) -> Result {
    out.write_char('[')?;
    let mut first = true;
    let shown = b.0.chunks_exact(4).map(Bytes).take(LIMIT);
    for gid in shown {
        comma(&mut first, out)?;
        id(gid.u32(0), out)?;
    }
    out.write_str(if cut || b.0.len() > 4 * LIMIT { ", ...]" } else { "]" })
}

fn ifreq(r: &Record, b: Bytes, filled: Option<Bytes>, out: &mut dyn Write) -> Result {
    out.write_str("{ifr_name=")?;
    b.name(0, 16, out)?;
    if r.args[1] as u32 == linux_raw_sys::ioctl::SIOCGIFINDEX {
        if let Some(b) = filled {
            write!(out, ", ifr_ifindex={}", b.i32(16))?;
        }
        return out.write_char('}');
    }
    let flags = if r.args[1] as u32 == linux_raw_sys::ioctl::SIOCSIFFLAGS { Some(b) } else { filled };
    if let Some(b) = flags {
        out.write_str(", ifr_flags=")?;
        flags::IFF.flags(b.u16(16).into(), out)?;
    }
    out.write_char('}')
}
