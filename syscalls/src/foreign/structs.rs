//! Structures of another process, as strace shows them. Each function returns None where memory cannot be read; then the
//! address is shown.

use super::arguments::{Look, string};
use super::sheet::Sheet;
use super::{memory, messages, times, words};
use crate::flags::{self, with};
use crate::show::{list, quoted, structs as shown, structs::Bytes, talk};
use crate::{arg::Kind, show};
use core::fmt::Write;
use linux_raw_sys::general as g;

/// A structure of this name lies at an address. `size`: the argument that says how large it is, or how many there are.
pub(super) struct Whole<'a> {
    pub name: &'a str,
    pub at: u64,
    pub size: u64,
}

/// Most elements of a list that are shown.
const MOST: u64 = 32;

/// It has the same layout for programs of 32 and of 64 bits.
pub(super) fn is_the_same(name: &str) -> bool {
    matches!(
        name,
        "int"
            | "uint"
            | "fds"
            | "sockaddr"
            | "len"
            | "sig"
            | "gids"
            | "sigset"
            | "polls"
            | "epoll"
            | "epolls"
            | "utsname"
            | "caphead"
            | "caps"
            | "statx"
            | "name"
            | "value"
            | "status"
            | "termios"
            | "winsize"
            | "offset"
            | "openhow"
    )
}

/// Room for what the kernel will fill in: an upper bound for what is usual.
pub(super) fn room(look: &Look, whole: &Whole) -> usize {
    match whole.name {
        "int" | "uint" | "xint" | "long" | "ulong" | "xlong" | "along" | "sig" | "len" | "fds" | "offset" => 48,
        "timespec" | "timeval" | "left" | "timezone" | "rlimit" | "winsize" | "status" | "name" => 96,
        "stat" | "rusage" | "value" | "tms" | "sigset" => 128,
        "siginfo" | "sockaddr" | "sigaction" | "utsname" | "flock" | "itimerval" | "itimerspec" => 224,
        "polls" | "fdset" => 64 + 40 * whole.size.min(MOST) as usize,
        "epolls" => 16 + 72 * look.argument(3).min(MOST) as usize,
        "mmsgs" => 16 + 320 * look.argument(3).min(MOST) as usize,
        "iovs" => 16 + 96 * look.argument(3).min(MOST) as usize,
        "gids" => 16 + 12 * look.argument(1).min(MOST) as usize,
        "clone3" => 512,
        "received" => 1024,
        "caps" => 2048,
        _ => 320,
    }
}

/// The text of a structure.
pub(super) fn show(look: &Look, whole: &Whole, out: &mut Sheet) -> Option<()> {
    if times::show(look, whole.name, whole.at, out)? || numbers(look, whole, out)? {
        return Some(());
    }
    let at = whole.at;
    match whole.name {
        "stat" => plain(Kind::Stat, &look.bytes::<{ size_of::<g::stat>() }>(at)?, out),
        "statfs" => plain(Kind::StatFs, &look.bytes::<{ size_of::<g::statfs64>() }>(at)?, out),
        "statx" => statx(look, at, out),
        "sigaction" => plain(Kind::SigAction, &look.bytes::<{ size_of::<g::kernel_sigaction>() }>(at)?, out),
        "stack" => stack(look, at, out),
        "siginfo" => plain(Kind::SigInfo, &look.bytes::<128>(at)?, out),
        "rlimit" => plain(Kind::RLimit, &look.bytes::<16>(at)?, out),
        "sysinfo" => sysinfo(look, at, out),
        "utsname" => plain(Kind::Utsname, &look.bytes::<390>(at)?, out),
        "caphead" => plain(Kind::CapHeader, &look.bytes::<8>(at)?, out),
        "caps" => plain(Kind::CapData, &look.bytes::<24>(at)?, out),
        "termios" => plain(Kind::Termios, &look.bytes::<36>(at)?, out),
        "winsize" => plain(Kind::WinSize, &look.bytes::<8>(at)?, out),
        "openhow" => plain(Kind::OpenHow, &look.bytes::<24>(at)?, out),
        "mountattr" => plain(Kind::MountAttr, &look.bytes::<32>(at)?, out),
        "schedattr" => plain(Kind::SchedAttr, &look.bytes::<56>(at)?, out),
        "fprog" => plain(Kind::Filter, &look.bytes::<16>(at)?, out),
        "clone3" => shown::clone_args(Bytes(&clone_args(look, at)?), None, out).ok(),
        "flock" => flock(look, at, out),
        "owner" => owner(look, at, out),
        "ifindex" | "ifflags" => interface(look, whole, out),
        "iovs" => messages::parts(look, (at, look.argument(3)), look.moved(), out),
        "there" => {
            let count = if whole.size == 0 { look.argument(3) } else { whole.size };
            each::<16>(look, (at, count), out, |part, out| {
                let (base, len) = (Bytes(part).u64(0), Bytes(part).u64(8));
                write!(out, "{{iov_base={}, iov_len={len}}}", show::address(base))
            })
        }
        "message" => messages::message(look, at, None, look.moved(), out),
        "mmsgs" => messages::messages(look, at, out),
        "text" => {
            let kind = look.u64(at)?;
            write!(out, "{{mtype={}, mtext=", kind as i64).ok()?;
            quote(look, at.checked_add(8)?, whole.size, out)?;
            out.write_char('}').ok()
        }
        "sems" => each::<6>(look, (at, whole.size), out, semaphore),
        "sigevent" => sigevent(look, at, out),
        "received" => write!(out, "{{msg_namelen={}}}", look.u32(at.checked_add(8)?)? as i32).ok(),
        "sockaddr" => messages::address(look, whole, out),
        _ => lists(look, whole, out),
    }
}

/// A structure that the kernel has changed, after how it was.
pub(super) fn changed(look: &Look, whole: &Whole, before: &[u8], out: &mut Sheet) -> Option<()> {
    match whole.name {
        "clone3" => {
            out.put(before)?;
            let given = clone_args(look, whole.at)?;
            let (flags, pidfd, tid) = (Bytes(&given).u64(0), Bytes(&given).u64(8), Bytes(&given).u64(24));
            let has = |flag: u32| flags & u64::from(flag) != 0;
            let pidfd = if has(g::CLONE_PIDFD) { look.u32(pidfd) } else { None };
            let tid = if has(g::CLONE_PARENT_SETTID) { look.u32(tid) } else { None };
            let (open, between) = if pidfd.or(tid).is_some() { (" => {", "}") } else { ("", "") };
            out.write_str(open).ok()?;
            if let Some(pidfd) = pidfd {
                write!(out, "pidfd=[{}]", pidfd as i32).ok()?;
            }
            if let Some(tid) = tid {
                write!(out, "{}parent_tid=[{}]", if pidfd.is_some() { ", " } else { "" }, tid as i32).ok()?;
            }
            out.write_str(between).ok()
        }
        "received" => {
            let before = core::str::from_utf8(before).ok()?.strip_prefix("{msg_namelen=")?;
            messages::message(look, whole.at, before.strip_suffix('}')?.parse().ok(), look.moved(), out)
        }
        "len" | "offset" => {
            let now = match whole.name {
                "len" => i64::from(look.u32(whole.at)? as i32),
                _ => look.u64(whole.at)? as i64,
            };
            let old = core::str::from_utf8(before).ok()?;
            match old.strip_prefix('[').and_then(|old| old.strip_suffix(']')) {
                Some(was) if whole.name == "len" && was.parse() != Ok(now) => write!(out, "[{was} => {now}]").ok(),
                Some(_) if whole.name == "len" => out.put(before),
                _ => write!(out, "{old} => [{now}]").ok(),
            }
        }
        _ => show(look, whole, out),
    }
}

/// Single numbers. Some(false): it is none.
fn numbers(look: &Look, whole: &Whole, out: &mut Sheet) -> Option<bool> {
    let at = whole.at;
    match whole.name {
        "int" | "len" => write!(out, "[{}]", look.u32(at)? as i32),
        "uint" => write!(out, "[{}]", look.u32(at)?),
        "xint" => write!(out, "[{:#x}]", look.u32(at)?),
        "long" | "offset" => write!(out, "[{}]", look.u64(at)? as i64),
        "ulong" => write!(out, "[{}]", look.u64(at)?),
        "xlong" => write!(out, "[{}]", flags::hex(look.u64(at)?)),
        "along" => write!(out, "[{}]", show::address(look.u64(at)?)),
        "sig" => write!(out, "[{}]", flags::signal_name(look.u32(at)? as i32)),
        "fds" => write!(out, "[{}, {}]", look.u32(at)? as i32, look.u32(at.checked_add(4)?)? as i32),
        "status" => write!(out, "[{}]", status(Some(look.u32(at)?).filter(|_| look.result != Some(0))?)),
        "char" => write!(out, "{}", quoted(&look.bytes::<1>(at)?, 1, false)),
        "name" => write!(out, "{}", name(look, at)?),
        "seccompact" => {
            out.write_char('[').ok()?;
            words::list("seccompact")?.show(u64::from(look.u32(at)?), out).ok()?;
            out.write_char(']')
        }
        "value" => return value(look, whole, out).map(|()| true),
        _ => return Some(false),
    }
    .ok()
    .map(|()| true)
}

fn name(look: &Look, at: u64) -> Option<impl core::fmt::Display> {
    let mut bytes = [0; 17];
    let len = memory::string(look.call.tid, at, &mut bytes)?.len();
    Some(with(move |out| write!(out, "{}", quoted(&bytes[..len.min(15)], 32, len > 15))))
}

/// As many bytes as the result says.
fn value(look: &Look, whole: &Whole, out: &mut Sheet) -> Option<()> {
    let len = look.result? as u64;
    let size = look.argument(if look.argument(4) != 0 && len <= look.argument(4) { 4 } else { 3 });
    if size == 0 || len == 0 {
        return None;
    }
    let mut kept = [0; MOST as usize];
    let most = kept.len().min(len as usize);
    let got = memory::read(look.call.tid, whole.at, &mut kept[..most]);
    write!(out, "{}", quoted(kept.get(..got)?, kept.len(), len > MOST)).ok()
}

/// A structure that our own calls have too.
fn plain(kind: Kind, bytes: &[u8], out: &mut Sheet) -> Option<()> {
    shown::plain(kind, Bytes(bytes), 0, out).ok()
}

/// `clone_args` as the caller gives them: members beyond its size are 0.
fn clone_args(look: &Look, at: u64) -> Option<[u8; 88]> {
    let mut bytes = [0; 88];
    let len = look.argument(2).min(88) as usize;
    (memory::read(look.call.tid, at, &mut bytes[..len]) == len).then_some(bytes)
}

/// A child's status, by the macros of wait(2) that take it apart.
fn status(status: u32) -> impl core::fmt::Display {
    let signal = flags::signal_name((status & 0x7f) as i32);
    let stop = flags::signal_name((status >> 8 & 0xff) as i32);
    let rest = status >> 16;
    with(move |out| match (status & 0x7f, status & 0xff) {
        (0, _) => write!(out, "{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}", status >> 8 & 0xff),
        (_, 0xff) if status == 0xffff => out.write_str("{WIFCONTINUED(s)}"),
        (_, 0x7f) => {
            write!(out, "{{WIFSTOPPED(s) && WSTOPSIG(s) == {stop}}}")?;
            if rest == 0 { Ok(()) } else { write!(out, " | {rest:#x}<<16") }
        }
        _ => {
            let core = if status & 0x80 != 0 { " && WCOREDUMP(s)" } else { "" };
            write!(out, "{{WIFSIGNALED(s) && WTERMSIG(s) == {signal}{core}}}")
        }
    })
}

fn stack(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<24>(at)?;
    let b = Bytes(&bytes);
    write!(out, "{{ss_sp={}, ss_flags=", show::address(b.u64(0))).ok()?;
    words::list("stackflags")?.show(b.u32(8).into(), out).ok()?;
    write!(out, ", ss_size={}}}", b.u64(16)).ok()
}

fn sysinfo(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<112>(at)?;
    let b = Bytes(&bytes);
    write!(out, "{{uptime={}, loads=[{}, {}, {}]", b.u64(0), b.u64(8), b.u64(16), b.u64(24)).ok()?;
    for (i, name) in "totalram freeram sharedram bufferram totalswap freeswap".split(' ').enumerate() {
        write!(out, ", {name}={}", b.u64(32 + 8 * i)).ok()?;
    }
    write!(out, ", procs={}, totalhigh={}, freehigh={}", b.u16(80), b.u64(88), b.u64(96)).ok()?;
    write!(out, ", mem_unit={}}}", b.u32(104)).ok()
}

fn flock(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<32>(at)?;
    let b = Bytes(&bytes);
    out.write_str("{l_type=").ok()?;
    words::list("lease")?.show(b.u16(0).into(), out).ok()?;
    out.write_str(", l_whence=").ok()?;
    words::list("whence")?.show(b.u16(2).into(), out).ok()?;
    write!(out, ", l_start={}, l_len={}", b.u64(8) as i64, b.u64(16) as i64).ok()?;
    // strace shows the owner where the call asks for it.
    if matches!(look.argument(2) as i32, libc::F_GETLK | libc::F_OFD_GETLK) {
        write!(out, ", l_pid={}", b.i32(24)).ok()?;
    }
    out.write_char('}').ok()
}

fn semaphore(bytes: &[u8], out: &mut dyn Write) -> core::fmt::Result {
    let b = Bytes(bytes);
    write!(out, "{{sem_num={}, sem_op={}, sem_flg=", b.u16(0), b.u16(2) as i16)?;
    match words::list("semflag") {
        Some(list) => list.show(b.u16(4).into(), out)?,
        None => write!(out, "{}", flags::hex(b.u16(4).into()))?,
    }
    out.write_char('}')
}

/// How a timer tells that it has run out: `struct sigevent`.
fn sigevent(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<24>(at)?;
    let b = Bytes(&bytes);
    out.write_char('{').ok()?;
    if b.u64(0) != 0 {
        write!(out, "sigev_value={{sival_int={}, sival_ptr={}}}, ", b.i32(0), show::address(b.u64(0))).ok()?;
    }
    write!(out, "sigev_signo={}, sigev_notify=", flags::signal_name(b.i32(8))).ok()?;
    words::list("sigev")?.show(b.u32(12).into(), out).ok()?;
    if b.i32(12) == libc::SIGEV_THREAD_ID {
        write!(out, ", sigev_notify_thread_id={}", b.i32(16)).ok()?;
    }
    out.write_char('}').ok()
}

/// Who is told of signals for a descriptor: `struct f_owner_ex`.
fn owner(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let (kind, pid) = (look.u32(at)?, look.u32(at.checked_add(4)?)?);
    out.write_str("{type=").ok()?;
    words::list("owner")?.show(kind.into(), out).ok()?;
    write!(out, ", pid={}}}", pid as i32).ok()
}

fn interface(look: &Look, whole: &Whole, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<40>(whole.at)?;
    let b = Bytes(&bytes);
    write!(out, "{{ifr_name={}", b.name(0, 16)).ok()?;
    match whole.name {
        "ifindex" => write!(out, ", ifr_ifindex={}}}", b.i32(16)).ok(),
        _ => write!(out, ", ifr_flags={}}}", flags::IFF.flags(b.u16(16).into())).ok(),
    }
}

fn statx(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let bytes = look.bytes::<48>(at)?;
    let b = Bytes(&bytes);
    out.write_str("{stx_mask=").ok()?;
    words::list("statx")?.show(b.u32(0).into(), out).ok()?;
    out.write_str(", stx_attributes=").ok()?;
    words::list("statxattr")?.show(b.u64(8), out).ok()?;
    write!(out, ", stx_mode={}, stx_size={}, ...}}", flags::mode(b.u16(28).into()), b.u64(40)).ok()
}

/// Lists of small structures, and sets.
fn lists(look: &Look, whole: &Whole, out: &mut Sheet) -> Option<()> {
    let (at, size) = (whole.at, whole.size);
    match whole.name {
        "sigset" => {
            let mut set = [0; 8];
            let len = size.min(8) as usize;
            if size > 8 || memory::read(look.call.tid, at, &mut set[..len]) != len {
                return None;
            }
            write!(out, "{}", shown::sigset(u64::from_ne_bytes(set))).ok()
        }
        "gids" => {
            let count = if look.has_entered() { size } else { look.result? as u64 };
            each::<4>(look, (at, count), out, |gid, out| write!(out, "{}", show::id(Bytes(gid).u32(0))))
        }
        "polls" => each::<8>(look, (at, look.argument(2)), out, talk::poll_fd),
        "epolls" => each::<EPOLL>(look, (at, look.result? as u64), out, epoll),
        "epoll" => epoll(&look.bytes::<EPOLL>(at)?, out).ok(),
        "cpus" => {
            let len = if look.has_entered() { size } else { look.result? as u64 };
            let mut set = [0; 128];
            let len = len.min(128) as usize;
            if memory::read(look.call.tid, at, &mut set[..len]) != len {
                return None;
            }
            plain(Kind::Cpus, &set[..len], out)
        }
        "fdset" => fd_set(look, at, out),
        _ => None,
    }
}

/// On x86 the event's data lies next to its flags (epoll_ctl(2)), elsewhere at a multiple of eight.
const EPOLL: usize = size_of::<libc::epoll_event>();

fn epoll(bytes: &[u8], out: &mut dyn Write) -> core::fmt::Result {
    let b = Bytes(bytes);
    out.write_str("{events=")?;
    if let Some(list) = words::list("epoll") {
        list.show(b.u32(0).into(), out)?;
    }
    const DATA: usize = core::mem::offset_of!(libc::epoll_event, u64);
    write!(out, ", data={{u32={}, u64={}}}}}", b.u32(DATA), b.u64(DATA))
}

/// The elements of a list, each of N bytes: the first of `count` at `at`.
fn each<const N: usize>(
    look: &Look,
    (at, count): (u64, u64),
    out: &mut Sheet,
    mut show: impl FnMut(&[u8], &mut dyn Write) -> core::fmt::Result,
) -> Option<()> {
    let shown = (0..count.min(MOST + 1)).map(|i| look.bytes::<N>(at.checked_add(i * N as u64)?));
    // An element that cannot be read ends the list.
    let shown = shown.map_while(|element| element);
    if count > 0 && look.bytes::<N>(at).is_none() {
        return None;
    }
    list(shown, ", ", false, |element, out| show(&element, out), out).ok()
}

/// The descriptors in a set of select(2).
pub(super) fn fd_set(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let count = look.argument(1).min(1024) as usize;
    let mut set = [0; 128];
    let len = count.div_ceil(64) * 8;
    if memory::read(look.call.tid, at, &mut set[..len]) != len {
        return None;
    }
    out.write_char('[').ok()?;
    let mut between = "";
    for fd in (0..count).filter(|fd| set[fd / 8] >> (fd % 8) & 1 != 0) {
        write!(out, "{between}{fd}").ok()?;
        between = " ";
    }
    out.write_char(']').ok()
}

/// An argument vector: strings, each with a NUL at its end.
pub(super) fn argv(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    for i in 0..=MOST {
        let Some(string_at) = pointer(look, at, i).filter(|at| *at != 0) else {
            return if i == 0 { pointer(look, at, 0).map(drop) } else { Some(()) };
        };
        string(look.call.tid, string_at, MOST as usize + 1, out)?;
        out.put(&[0])?;
    }
    Some(())
}

/// How many strings an environment has. A list without an end is not counted.
pub(super) fn envp(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    const MANY: u32 = 1 << 16;
    let size = if look.is_own() { 8 } else { 4 };
    let mut count = 0u32;
    let mut chunk = [0; 512];
    while count < MANY {
        let got = memory::read(look.call.tid, at.checked_add(u64::from(count) * size as u64)?, &mut chunk);
        let pointers = chunk.get(..got)?.chunks_exact(size);
        let (before, all) = (pointers.clone().take_while(|p| p.iter().any(|byte| *byte != 0)).count(), pointers.len());
        count += before as u32;
        if before < all || all == 0 {
            return if all == 0 { None } else { out.put(&count.to_ne_bytes()) };
        }
    }
    None
}

fn pointer(look: &Look, at: u64, i: u64) -> Option<u64> {
    match look.is_own() {
        true => look.u64(at.checked_add(8 * i)?),
        false => look.u32(at.checked_add(4 * i)?).map(u64::from),
    }
}

/// Bytes in quotes, as many as `len`.
pub(super) fn quote(look: &Look, at: u64, len: u64, out: &mut Sheet) -> Option<()> {
    let mut kept = [0; MOST as usize];
    let most = len.min(MOST) as usize;
    if memory::read(look.call.tid, at, &mut kept[..most]) != most {
        return None;
    }
    write!(out, "{}", quoted(&kept[..most], MOST as usize, len > MOST)).ok()
}

/// The same for random bytes: each in hexadecimal.
pub(super) fn random(look: &Look, at: u64, out: &mut Sheet) -> Option<()> {
    let len = look.result? as u64;
    let mut kept = [0; MOST as usize];
    let most = len.min(MOST) as usize;
    if memory::read(look.call.tid, at, &mut kept[..most]) != most {
        return None;
    }
    out.write_char('"').ok()?;
    kept[..most].iter().try_for_each(|byte| write!(out, "\\x{byte:02x}")).ok()?;
    out.write_str(if len > MOST { "\"..." } else { "\"" }).ok()
}
