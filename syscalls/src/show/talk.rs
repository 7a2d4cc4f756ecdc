//! The structures of sockets, terminals and polling: addresses, messages, settings, descriptors.

use super::structs::{Bytes, timespec};
use super::{list, quoted};
use crate::abi::{Message, Termios};
use crate::flags::{self, Words, with};
use crate::record::{OUT, Record};
use core::fmt::{Display, Result, Write};
use core::mem::offset_of;

pub(super) fn sock_addr(b: Bytes, out: &mut dyn Write) -> Result {
    if i32::from(b.u16(0)) == libc::AF_VSOCK {
        return write!(out, "{{sa_family=AF_VSOCK, svm_cid={}, svm_port={}}}", b.i32(8), b.u32(4));
    }
    let path = b.0.get(2..).unwrap_or_default();
    // A name without a file begins with a NUL.
    let (sign, path) = match path {
        [0, name @ ..] if !name.is_empty() => ("@", name),
        path => ("", path),
    };
    let len = path.iter().position(|byte| *byte == 0).unwrap_or(path.len());
    let path = quoted(path.get(..len).unwrap_or_default(), 108, false);
    write!(out, "{{sa_family={}, sun_path={sign}{path}}}", flags::Family::WORDS.word(b.u16(0).into()))
}

/// A message as the wrapper makes it: one part, one descriptor.
pub(super) fn message(b: Bytes, out: &mut dyn Write) -> Result {
    let len = b.u64(offset_of!(Message, part) + 8) as usize;
    write!(out, "{}{}, msg_flags=0}}", part(b, len, len), descriptor(b))
}

/// A received message, perhaps without a descriptor.
pub(super) fn received(r: &Record, b: Bytes, out: &mut dyn Write) -> Result {
    let room = b.u64(offset_of!(Message, part) + 8) as usize;
    write!(out, "{}", part(b, r.ret as usize, room))?;
    match b.u64(offset_of!(Message, control_len)) {
        0 => out.write_str(", msg_controllen=0")?,
        _ => write!(out, "{}", descriptor(b))?,
    }
    write!(out, ", msg_flags={}}}", flags::MsgFlags::WORDS.flags(b.u32(offset_of!(Message, flags)).into()))
}

fn part(b: Bytes<'_>, len: usize, room: usize) -> impl Display {
    let text = b.0.get(offset_of!(Message, beginning)..).unwrap_or_default();
    let text = quoted(text.get(..len.min(32)).unwrap_or_default(), 32, len > 32);
    with(move |out| {
        write!(out, "{{msg_name=NULL, msg_namelen=0, msg_iov=[{{iov_base={text}, iov_len={room}}}], msg_iovlen=1")
    })
}

fn descriptor(b: Bytes<'_>) -> impl Display {
    let (len, room) = (b.u64(offset_of!(Message, control_header)), b.u64(offset_of!(Message, control_len)));
    let number = b.i32(offset_of!(Message, descriptor));
    with(move |out| {
        write!(out, ", msg_control=[{{cmsg_len={len}, cmsg_level=SOL_SOCKET, cmsg_type=SCM_RIGHTS")?;
        write!(out, ", cmsg_data=[{number}]}}], msg_controllen={room}")
    })
}

/// The four sets of flags. Some bits of a set are a number, which strace prints first. It leaves out what follows the sets.
pub(super) fn termios(b: Bytes, out: &mut dyn Write) -> Result {
    let set = |at: usize| u64::from(b.u32(at));
    let (input, output) = (set(offset_of!(Termios, input)), set(offset_of!(Termios, output)));
    let (control, local) = (set(offset_of!(Termios, control)), set(offset_of!(Termios, local)));
    let input = numbers(input, &[], &flags::TERMIOS_INPUT);
    let output = numbers(output, DELAYS, &flags::TERMIOS_OUTPUT);
    let control = numbers(control, SIZES, &flags::TERMIOS_CONTROL);
    let local = numbers(local, &[], &flags::TERMIOS_LOCAL);
    write!(out, "{{c_iflag={input}, c_oflag={output}, c_cflag={control}, c_lflag={local}, ...}}")
}

/// Bits that are a number, and its names.
type Numbers = &'static [(u32, &'static Words)];

const DELAYS: Numbers = &[
    (libc::NLDLY, &flags::TERMIOS_NL),
    (libc::CRDLY, &flags::TERMIOS_CR),
    (libc::TABDLY, &flags::TERMIOS_TAB),
    (libc::BSDLY, &flags::TERMIOS_BS),
    (libc::VTDLY, &flags::TERMIOS_VT),
    (libc::FFDLY, &flags::TERMIOS_FF),
];
const SIZES: Numbers = &[(libc::CBAUD, &flags::TERMIOS_SPEED), (libc::CSIZE, &flags::TERMIOS_BITS)];

/// strace prints nothing for an empty set here.
fn numbers(value: u64, numbers: Numbers, rest: &'static Words) -> impl Display {
    with(move |out| {
        let (mut left, mut bar) = (value, "");
        for (mask, words) in numbers {
            write!(out, "{bar}{}", words.word(value & u64::from(*mask)))?;
            (left, bar) = (left & !u64::from(*mask), "|");
        }
        if left == 0 { Ok(()) } else { write!(out, "{bar}{}", rest.flags(left)) }
    })
}

pub(super) fn win_size(b: Bytes, out: &mut dyn Write) -> Result {
    write!(out, "{{ws_row={}, ws_col={}, ws_xpixel={}, ws_ypixel={}}}", b.u16(0), b.u16(2), b.u16(4), b.u16(6))
}

pub(super) fn poll_fds(b: Bytes, cut: bool, out: &mut dyn Write) -> Result {
    list(b.0.chunks_exact(8), ", ", cut, poll_fd, out)
}

pub(crate) fn poll_fd(bytes: &[u8], out: &mut dyn Write) -> Result {
    let fd = Bytes(bytes);
    match fd.i32(0) {
        number @ 0.. => write!(out, "{{fd={number}, events={}}}", flags::POLL.flags(fd.u16(4).into())),
        number => write!(out, "{{fd={number}}}"),
    }
}

/// What ppoll found: nothing in time, or the descriptors with something to tell and the time that was left.
pub(super) fn ppoll_result(r: &Record, out: &mut dyn Write) -> Result {
    write!(out, "{}", r.ret)?;
    if r.ret == 0 {
        return out.write_str(" (Timeout)");
    }
    let Some(fds) = r.blob(OUT) else {
        return Ok(());
    };
    out.write_str(" (")?;
    let told = fds.bytes.chunks_exact(8).map(Bytes).filter(|fd| fd.u16(6) != 0);
    let show = |fd: Bytes, out: &mut dyn Write| {
        write!(out, "{{fd={}, revents={}}}", fd.i32(0), flags::POLL.flags(fd.u16(6).into()))
    };
    list(told, ", ", false, show, out)?;
    if let Some(left) = r.blob(2 | OUT) {
        write!(out, ", left {}", timespec(Bytes(left.bytes)))?;
    }
    out.write_char(')')
}
