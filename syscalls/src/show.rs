//! A record as strace 6.1 prints it: `strace -f -o FILE --signal=none`, so strings up to 32 characters, structures
//! abbreviated. A structure that the kernel would have filled in is an address when the call failed.
//!
//! Records may come out of a damaged file: whatever the bytes are, something is printed.

use crate::errno::Errno;
use crate::flags::{self, Words, hex, octal, signal_name};
use crate::record::{OUT, RETURNED, Record};
use crate::table::{Arg, Call, Ret};
use core::fmt::{Result, Write};
use linux_raw_sys::prctl as pr;

#[path = "show_structs.rs"]
mod structs;

/// Longest string that is printed (strace's `-s`), and most elements of a list.
pub(crate) const LIMIT: usize = 32;
/// Longest path that is printed: PATH_MAX without its NUL.
const PATH: usize = 4095;
/// The column in which results begin (strace's `-a`).
const COLUMN: usize = 40;
/// sethostname's limit: a longer name is not even read.
const NAME: u64 = 64;

/// The call: `close(3)`.
pub fn call(r: &Record, out: &mut dyn Write) -> Result {
    write!(out, "{}(", r.row().name)?;
    for i in 0..printed(r) {
        if i > 0 {
            out.write_str(", ")?;
        }
        arg(r, i, out)?;
    }
    out.write_char(')')
}

/// What stands behind ` = `: `3`, or `-1 ENOENT (No such file or directory)`.
pub fn result(r: &Record, out: &mut dyn Write) -> Result {
    if r.state != RETURNED {
        return out.write_char('?');
    }
    if let -4095..=-1 = r.ret {
        let errno = Errno(r.ret.unsigned_abs() as u16);
        return match errno.name() {
            "E???" => write!(out, "-1 (errno {})", errno.0),
            name => write!(out, "-1 {name} ({})", errno.text()),
        };
    }
    match r.row().ret {
        Ret::Dec => write!(out, "{}", r.ret)?,
        Ret::Hex => hex(r.ret as u64, out)?,
        Ret::Octal => octal(r.ret as u64, out)?,
        Ret::Persona => {
            match r.ret {
                0 => out.write_str("0")?,
                ret => hex(ret as u64, out)?,
            }
            out.write_str(" (")?;
            flags::PERSONALITY.word(r.ret as u64, out)?;
            return out.write_char(')');
        }
    }
    match call_of(r) {
        Some(Call::Ppoll) => structs::ppoll_result(r, out),
        Some(Call::RtSigtimedwait) => write!(out, " ({})", signal_name(r.ret as i32)),
        Some(Call::Prctl) if operation(r) == pr::PR_GET_DUMPABLE => {
            out.write_str(" (")?;
            flags::DUMPABLE.word(r.ret as u64, out)?;
            out.write_char(')')
        }
        _ => Ok(()),
    }
}

/// A whole line of strace's output, for the process that the reader knows as `pid`.
pub fn strace_line(r: &Record, pid: i32, out: &mut dyn Write) -> Result {
    let mut line = Counted { out, column: 0 };
    write!(line, "{pid:<5} ")?;
    call(r, &mut line)?;
    line.write_char(' ')?;
    while line.column < COLUMN {
        line.write_char(' ')?;
    }
    out.write_str("= ")?;
    result(r, out)?;
    out.write_char('\n')
}

/// Counts what is written.
struct Counted<'a> {
    out: &'a mut dyn Write,
    column: usize,
}

impl Write for Counted<'_> {
    fn write_str(&mut self, text: &str) -> Result {
        self.column += text.len();
        self.out.write_str(text)
    }
}

pub(crate) fn call_of(r: &Record) -> Option<Call> {
    Call::from_number(r.call)
}

/// prctl's first argument.
fn operation(r: &Record) -> u32 {
    r.args[0] as u32
}

/// How many arguments are printed: some prctl operations have but one.
fn printed(r: &Record) -> usize {
    const ALONE: [u32; 8] = [
        pr::PR_GET_DUMPABLE,
        pr::PR_GET_KEEPCAPS,
        pr::PR_GET_SECCOMP,
        pr::PR_GET_TIMING,
        pr::PR_GET_SECUREBITS,
        pr::PR_GET_TIMERSLACK,
        pr::PR_TASK_PERF_EVENTS_DISABLE,
        pr::PR_TASK_PERF_EVENTS_ENABLE,
    ];
    match call_of(r) {
        Some(Call::Prctl) if ALONE.contains(&operation(r)) => 1,
        _ => r.row().args.len(),
    }
}

/// One argument. Nothing for an argument that the call does not have.
pub fn arg(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    let (Some(kind), Some(&value)) = (r.row().args.get(i), r.args.get(i)) else {
        return Ok(());
    };
    match *kind {
        Arg::Int => write!(out, "{}", value as i64),
        Arg::Uint => uint(r, value, out),
        Arg::Octal => octal(value & 0xffff, out),
        Arg::Hex if call_of(r) == Some(Call::IoprioSet) => ioprio(value, out),
        Arg::Hex if is_number(r, i) => hex(value, out),
        Arg::Hex => address(value, out),
        Arg::Fd => write!(out, "{}", value as i32),
        Arg::Dir if value as i32 == libc::AT_FDCWD => out.write_str("AT_FDCWD"),
        Arg::Dir => write!(out, "{}", value as i32),
        Arg::Path => text(r, i, i as u8, PATH, out),
        Arg::Str => text(r, i, i as u8, LIMIT, out),
        Arg::Bytes(len) if is_too_long(r, len) => address(value, out),
        Arg::Bytes(_) => text(r, i, i as u8, LIMIT, out),
        Arg::BytesOut => text(r, i, i as u8 | OUT, LIMIT, out),
        Arg::PathOut => path_out(r, i, out),
        Arg::Entries => entries(r, i, out),
        Arg::Flags(words) => words.flags(value, out),
        Arg::Word(words) => word(r, i, words, value, out),
        Arg::In(shape) | Arg::Out(shape) | Arg::InOut(shape) => structs::shape(r, i, shape, out),
        Arg::Argv => argv(r, i, out),
        Arg::Envp => envp(r, i, out),
        Arg::Device => device(value & u64::from(u32::MAX), out),
        Arg::Signal => write!(out, "{}", signal_name(value as i32)),
    }
}

/// An address; 0 is `NULL`.
pub(crate) fn address(value: u64, out: &mut dyn Write) -> Result {
    if value == 0 { out.write_str("NULL") } else { write!(out, "{value:#x}") }
}

/// An I/O priority: its class, and how urgent within it.
fn ioprio(value: u64, out: &mut dyn Write) -> Result {
    out.write_str("IOPRIO_PRIO_VALUE(")?;
    flags::IOPRIO_CLASS.word(value >> 13, out)?;
    write!(out, ", {})", value & 0x1fff)
}

/// Of the arguments that are written in hexadecimal, these are no addresses.
fn is_number(r: &Record, i: usize) -> bool {
    matches!(
        (call_of(r), i),
        (Some(Call::Mmap), 5)
            | (Some(Call::PidfdSendSignal), 3)
            | (Some(Call::IoctlTty | Call::IoctlPidfd | Call::PidfdGetfd | Call::SchedSetattr), 2)
    )
}

fn is_too_long(r: &Record, len: usize) -> bool {
    let named = matches!(call_of(r), Some(Call::Sethostname | Call::Setdomainname));
    named && r.args.get(len).is_some_and(|len| *len > NAME)
}

/// A count; the highest user or group id, which means "leave it as it is", is -1.
fn uint(r: &Record, value: u64, out: &mut dyn Write) -> Result {
    match call_of(r) {
        Some(Call::Setresuid | Call::Setresgid | Call::Fchownat | Call::Fchown | Call::Setgroups) => {
            id(value as u32, out)
        }
        _ => write!(out, "{value}"),
    }
}

pub(crate) fn id(value: u32, out: &mut dyn Write) -> Result {
    if value == u32::MAX { out.write_str("-1") } else { write!(out, "{value}") }
}

/// One of a list, where another argument may decide which list it is.
fn word(r: &Record, i: usize, words: &Words, value: u64, out: &mut dyn Write) -> Result {
    match (call_of(r), i) {
        (Some(Call::Prctl), 1) => prctl_value(r, value, out),
        (Some(Call::PrctlAmbient), 2) if r.args[1] == u64::from(pr::PR_CAP_AMBIENT_CLEAR_ALL) => hex(value, out),
        (Some(Call::Socket), 2) => match r.args[0] as i32 {
            libc::AF_INET | libc::AF_INET6 => words.word(value, out),
            libc::AF_NETLINK => flags::NETLINK.word(value, out),
            _ => write!(out, "{value}"),
        },
        _ => words.word(value, out),
    }
}

fn prctl_value(r: &Record, value: u64, out: &mut dyn Write) -> Result {
    match operation(r) {
        pr::PR_SET_PDEATHSIG => write!(out, "{}", signal_name(value as i32)),
        pr::PR_SET_DUMPABLE => flags::DUMPABLE.word(value, out),
        pr::PR_SET_SECUREBITS => flags::SECUREBITS.flags(value, out),
        pr::PR_SET_KEEPCAPS | pr::PR_SET_CHILD_SUBREAPER | pr::PR_SET_TIMERSLACK | pr::PR_SET_TIMING => {
            write!(out, "{value}")
        }
        _ => hex(value, out),
    }
}

/// Device numbers, as makedev(3) packs them; the kernel uses the low 32 bits only.
pub(crate) fn device(value: u64, out: &mut dyn Write) -> Result {
    out.write_str("makedev(")?;
    hex(value >> 8 & 0xfff | value >> 32 & 0xffff_f000, out)?;
    out.write_str(", ")?;
    hex(value & 0xff | value >> 12 & 0xf_ff00, out)?;
    out.write_char(')')
}

/// The text kept under `tag` for argument `i`; without one the address.
fn text(r: &Record, i: usize, tag: u8, limit: usize, out: &mut dyn Write) -> Result {
    match r.blob(tag) {
        Some(blob) => quoted(blob.bytes, limit, blob.cut, out),
        None => address(r.args.get(i).copied().unwrap_or(0), out),
    }
}

/// The two calls that write a path: readlinkat's is printed like a string, getcwd's whole, and has a NUL at its end.
fn path_out(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    match (call_of(r), r.blob(i as u8 | OUT)) {
        (Some(Call::Getcwd), Some(blob)) => {
            let path = blob.bytes.strip_suffix(b"\0").unwrap_or(blob.bytes);
            quoted(path, PATH, blob.cut, out)
        }
        _ => text(r, i, i as u8 | OUT, LIMIT, out),
    }
}

/// A string in quotes, with `...` behind it when there is more.
pub(crate) fn quoted(bytes: &[u8], limit: usize, cut: bool, out: &mut dyn Write) -> Result {
    let kept = bytes.get(..limit).unwrap_or(bytes);
    out.write_char('"')?;
    for (i, byte) in kept.iter().enumerate() {
        match byte {
            b'"' => out.write_str("\\\"")?,
            b'\\' => out.write_str("\\\\")?,
            b'\n' => out.write_str("\\n")?,
            b'\t' => out.write_str("\\t")?,
            b'\r' => out.write_str("\\r")?,
            0x0b => out.write_str("\\v")?,
            0x0c => out.write_str("\\f")?,
            b' '..=b'~' => out.write_char(*byte as char)?,
            // Shortest form, unless a digit behind it would be taken for a part of it.
            _ if kept.get(i + 1).is_some_and(|next| matches!(next, b'0'..=b'7')) => write!(out, "\\{byte:03o}")?,
            _ => write!(out, "\\{byte:o}")?,
        }
    }
    out.write_str(if cut || kept.len() < bytes.len() { "\"..." } else { "\"" })
}

/// An argument vector: strings, each with a NUL behind it and kept to one byte more than is printed.
fn argv(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    let Some(blob) = r.blob(i as u8) else {
        return address(r.args.get(i).copied().unwrap_or(0), out);
    };
    let strings = blob.bytes.strip_suffix(b"\0").unwrap_or(blob.bytes);
    out.write_char('[')?;
    if !blob.bytes.is_empty() {
        for (n, string) in strings.split(|byte| *byte == 0).enumerate() {
            if n > 0 {
                out.write_str(", ")?;
            }
            if n == LIMIT {
                out.write_str("...")?;
                break;
            }
            quoted(string, LIMIT, false, out)?;
        }
    }
    out.write_char(']')
}

/// Directory entries: their address and how many they are. It is always a plural.
fn entries(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    address(r.args.get(i).copied().unwrap_or(0), out)?;
    match count(r, i as u8 | OUT) {
        Some(count) => write!(out, " /* {count} entries */"),
        None => Ok(()),
    }
}

/// An environment: its address and how many strings it has.
fn envp(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    address(r.args.get(i).copied().unwrap_or(0), out)?;
    match count(r, i as u8) {
        Some(count) => write!(out, " /* {count} var{} */", if count == 1 { "" } else { "s" }),
        None => Ok(()),
    }
}

/// The number that was kept instead of what was counted.
fn count(r: &Record, tag: u8) -> Option<u32> {
    Some(u32::from_ne_bytes(r.blob(tag)?.bytes.try_into().ok()?))
}
