//! The structures of talking and waiting: addresses and messages of sockets, settings of terminals, descriptors to poll.

use super::quoted;
use super::structs::{Bytes, comma, timespec};
use crate::abi::{Message, Termios};
use crate::flags;
use crate::record::{OUT, Record};
use core::fmt::{Result, Write};
use core::mem::offset_of;

pub(super) fn sock_addr(b: Bytes, out: &mut dyn Write) -> Result {
    out.write_str("{sa_family=")?;
    flags::Family::WORDS.word(b.u16(0).into(), out)?;
    out.write_str(", sun_path=")?;
    let mut path = b.0.get(2..).unwrap_or_default();
    if path.len() > 1 && path[0] == 0 {
        out.write_char('@')?;
        path = &path[1..];
    }
    let len = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
    quoted(path.get(..len).unwrap_or_default(), 108, false, out)?;
    out.write_char('}')
}

/// As the wrapper makes it: one part, one descriptor.
pub(super) fn message(b: Bytes, out: &mut dyn Write) -> Result {
    let len = b.u64(offset_of!(Message, part) + 8) as usize;
    part(b, len, len, out)?;
    descriptor(b, out)?;
    out.write_str(", msg_flags=0}")
}

/// What the kernel made of it: perhaps without a descriptor.
pub(super) fn received(r: &Record, b: Bytes, out: &mut dyn Write) -> Result {
    let room = b.u64(offset_of!(Message, part) + 8) as usize;
    part(b, r.ret as usize, room, out)?;
    match b.u64(offset_of!(Message, control_len)) {
        0 => out.write_str(", msg_controllen=0")?,
        _ => descriptor(b, out)?,
    }
    out.write_str(", msg_flags=")?;
    flags::MsgFlags::WORDS.flags(b.u32(offset_of!(Message, flags)).into(), out)?;
    out.write_char('}')
}

fn part(b: Bytes, len: usize, room: usize, out: &mut dyn Write) -> Result {
    let beginning = offset_of!(Message, beginning);
    let text = b.0.get(beginning..).unwrap_or_default();
    out.write_str("{msg_name=NULL, msg_namelen=0, msg_iov=[{iov_base=")?;
    quoted(text.get(..len.min(32)).unwrap_or_default(), 32, len > 32, out)?;
    write!(out, ", iov_len={room}}}], msg_iovlen=1")
}

fn descriptor(b: Bytes, out: &mut dyn Write) -> Result {
    write!(
        out,
        ", msg_control=[{{cmsg_len={}, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS, cmsg_data=[{}]}}], msg_controllen={}",
        b.u64(offset_of!(Message, control_header)),
        b.i32(offset_of!(Message, descriptor)),
        b.u64(offset_of!(Message, control_len))
    )
}

/// Its four sets of flags; of some bits those are numbers, which stand first. What follows them strace leaves out.
pub(super) fn termios(b: Bytes, out: &mut dyn Write) -> Result {
    let [input, output, control, local] = [
        offset_of!(Termios, input),
        offset_of!(Termios, output),
        offset_of!(Termios, control),
        offset_of!(Termios, local),
    ]
    .map(|at| u64::from(b.u32(at)));
    out.write_str("{c_iflag=")?;
    named(input, &flags::TERMIOS_INPUT, out)?;
    out.write_str(", c_oflag=")?;
    numbers(output, DELAYS, &flags::TERMIOS_OUTPUT, out)?;
    out.write_str(", c_cflag=")?;
    numbers(control, SIZES, &flags::TERMIOS_CONTROL, out)?;
    out.write_str(", c_lflag=")?;
    named(local, &flags::TERMIOS_LOCAL, out)?;
    out.write_str(", ...}")
}

/// Of no flag strace prints nothing here.
fn named(value: u64, words: &flags::Words, out: &mut dyn Write) -> Result {
    match value {
        0 => Ok(()),
        value => words.flags(value, out),
    }
}

/// Bits that are a number, and its names.
type Numbers = &'static [(u64, &'static flags::Words)];

const DELAYS: Numbers = &[
    (0o400, &flags::TERMIOS_NL),
    (0o3000, &flags::TERMIOS_CR),
    (0o14000, &flags::TERMIOS_TAB),
    (0o20000, &flags::TERMIOS_BS),
    (0o40000, &flags::TERMIOS_VT),
    (0o100000, &flags::TERMIOS_FF),
];
const SIZES: Numbers = &[(0o10017, &flags::TERMIOS_SPEED), (0o60, &flags::TERMIOS_BITS)];

fn numbers(value: u64, numbers: Numbers, rest: &flags::Words, out: &mut dyn Write) -> Result {
    let mut left = value;
    for (i, (mask, words)) in numbers.iter().enumerate() {
        if i > 0 {
            out.write_char('|')?;
        }
        words.word(value & mask, out)?;
        left &= !mask;
    }
    match left {
        0 => Ok(()),
        left => {
            out.write_char('|')?;
            rest.flags(left, out)
        }
    }
}

pub(super) fn win_size(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{ws_row={}, ws_col={}, ws_xpixel={}, ws_ypixel={}}}", b.u16(0), b.u16(2), b.u16(4), b.u16(6))
}

pub(super) fn poll_fds(b: Bytes, cut: bool, out: &mut dyn Write) -> Result {
    out.write_char('[')?;
    let mut first = true;
    for fd in b.0.chunks_exact(8).map(Bytes) {
        comma(&mut first, out)?;
        write!(out, "{{fd={}", fd.i32(0))?;
        if fd.i32(0) >= 0 {
            out.write_str(", events=")?;
            flags::POLL.flags(fd.u16(4).into(), out)?;
        }
        out.write_char('}')?;
    }
    out.write_str(if cut { ", ...]" } else { "]" })
}

/// What ppoll found: nothing in time, or the descriptors with something to tell and the time that was left.
pub(super) fn ppoll_result(r: &Record, out: &mut dyn Write) -> Result {
    if r.ret == 0 {
        return out.write_str(" (Timeout)");
    }
    let Some(fds) = r.blob(OUT) else {
        return Ok(());
    };
    out.write_str(" ([")?;
    let mut first = true;
    for fd in fds.bytes.chunks_exact(8).map(Bytes).filter(|fd| fd.u16(6) != 0) {
        comma(&mut first, out)?;
        write!(out, "{{fd={}, revents=", fd.i32(0))?;
        flags::POLL.flags(fd.u16(6).into(), out)?;
        out.write_char('}')?;
    }
    out.write_char(']')?;
    if let Some(left) = r.blob(2 | OUT) {
        out.write_str(", left ")?;
        timespec(Bytes(left.bytes), out)?;
    }
    out.write_char(')')
}
