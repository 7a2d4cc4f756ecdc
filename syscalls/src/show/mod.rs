//! A record as strace 6.1 prints it: `strace -f -o FILE --signal=none`, so strings up to 32 characters, structures
//! abbreviated. A structure that the kernel would have filled in is an address when the call failed.
//!
//! Records may come out of a damaged file: whatever the bytes are, something is printed.

mod bpf;
mod sched;
mod structs;
mod talk;

use crate::arg::{Kind, NAMED};
use crate::errno::Errno;
use crate::flags::{self, hex, octal, signal_name};
use crate::record::{OUT, RETURNED, Record};
use core::fmt::{Result, Write};
use linux_raw_sys::general as nr;

/// Longest string that is printed (strace's `-s`), and most elements of a list.
pub(crate) const LIMIT: usize = 32;
/// Longest path that is printed: PATH_MAX without its NUL.
const PATH: usize = 4095;
/// The column in which results begin (strace's `-a`).
const COLUMN: usize = 40;

/// The call: `close(3)`.
pub fn call(r: &Record, out: &mut dyn Write) -> Result {
    write!(out, "{}(", r.call.name())?;
    for i in 0..r.argc {
        if i > 0 {
            out.write_str(", ")?;
        }
        arg(r, i, out)?;
    }
    out.write_char(')')
}

/// What stands after ` = `: `3`, or `-1 ENOENT (No such file or directory)`.
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
    let value = r.ret as u64;
    match u32::from(r.call.0) {
        nr::__NR_mmap => hex(value, out),
        nr::__NR_fcntl if r.args[1] == libc::F_GET_SEALS as u64 => hex(value, out),
        nr::__NR_umask => octal(value, out),
        nr::__NR_personality => {
            hex(value, out)?;
            out.write_str(" (")?;
            flags::Persona::WORDS.word(value, out)?;
            out.write_char(')')
        }
        nr::__NR_rt_sigtimedwait => write!(out, "{value} ({})", signal_name(r.ret as i32)),
        number => {
            write!(out, "{}", r.ret)?;
            if number == nr::__NR_ppoll { talk::ppoll_result(r, out) } else { Ok(()) }
        }
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

/// One argument. Nothing for an argument that the call does not have.
pub fn arg(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    if i >= r.argc {
        return Ok(());
    }
    let value = r.args[i];
    let named = r.kinds[i].checked_sub(NAMED).and_then(|place| flags::LISTS.get(usize::from(place)));
    if let Some(words) = named {
        return words.show(value, out);
    }
    let Some(kind) = Kind::of(r.kinds[i]) else {
        return hex(value, out);
    };
    match kind {
        Kind::Int => write!(out, "{}", value as i64),
        Kind::Uint => write!(out, "{value}"),
        Kind::Id => id(value as u32, out),
        Kind::Octal => octal(value & 0xffff, out),
        Kind::Hex => hex(value, out),
        Kind::Address => address(value, out),
        Kind::Fd if value as i32 == libc::AT_FDCWD => out.write_str("AT_FDCWD"),
        Kind::Fd => write!(out, "{}", value as i32),
        Kind::Path => text(r, i, PATH, out),
        Kind::Text => text(r, i, LIMIT, out),
        Kind::Entries => entries(r, i, out),
        Kind::Argv => argv(r, i, out),
        Kind::Envp => envp(r, i, out),
        Kind::Device => device(value & u64::from(u32::MAX), out),
        Kind::Signal => write!(out, "{}", signal_name(value as i32)),
        Kind::IoPriority => io_priority(value, out),
        structure => structs::structure(r, i, structure, out),
    }
}

/// An address; 0 is `NULL`.
pub(crate) fn address(value: u64, out: &mut dyn Write) -> Result {
    if value == 0 { out.write_str("NULL") } else { write!(out, "{value:#x}") }
}

/// An I/O priority: its class, and how urgent within it.
fn io_priority(value: u64, out: &mut dyn Write) -> Result {
    out.write_str("IOPRIO_PRIO_VALUE(")?;
    flags::IOPRIO_CLASS.word(value >> 13, out)?;
    write!(out, ", {})", value & 0x1fff)
}

/// A user or group: the highest number, which means "leave it as it is", is -1.
pub(crate) fn id(value: u32, out: &mut dyn Write) -> Result {
    if value == u32::MAX { out.write_str("-1") } else { write!(out, "{value}") }
}

/// Device numbers, as makedev(3) packs them; the kernel uses the low 32 bits only.
pub(crate) fn device(value: u64, out: &mut dyn Write) -> Result {
    out.write_str("makedev(")?;
    hex(value >> 8 & 0xfff | value >> 32 & 0xffff_f000, out)?;
    out.write_str(", ")?;
    hex(value & 0xff | value >> 12 & 0xf_ff00, out)?;
    out.write_char(')')
}

/// The text that the kernel read or wrote; where nothing was kept, its address. getcwd's path has a NUL at its end.
fn text(r: &Record, i: usize, limit: usize, out: &mut dyn Write) -> Result {
    match r.blob(i as u8).or(r.blob(i as u8 | OUT)) {
        Some(blob) if limit == PATH => {
            quoted(blob.bytes.strip_suffix(b"\0").unwrap_or(blob.bytes), limit, blob.cut, out)
        }
        Some(blob) => quoted(blob.bytes, limit, blob.cut, out),
        None => address(r.args[i], out),
    }
}

/// A string in quotes, with `...` after it when there is more.
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
            // Shortest form, unless a digit after it would be taken for a part of it.
            _ if kept.get(i + 1).is_some_and(|next| matches!(next, b'0'..=b'7')) => write!(out, "\\{byte:03o}")?,
            _ => write!(out, "\\{byte:o}")?,
        }
    }
    out.write_str(if cut || kept.len() < bytes.len() { "\"..." } else { "\"" })
}

/// An argument vector: strings, each with a NUL at its end and kept to one byte more than is printed.
fn argv(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    let Some(blob) = r.blob(i as u8) else {
        return address(r.args[i], out);
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
    address(r.args[i], out)?;
    match count(r, i as u8 | OUT) {
        Some(count) => write!(out, " /* {count} entries */"),
        None => Ok(()),
    }
}

/// An environment: its address and how many strings it has.
fn envp(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    address(r.args[i], out)?;
    match count(r, i as u8) {
        Some(count) => write!(out, " /* {count} var{} */", if count == 1 { "" } else { "s" }),
        None => Ok(()),
    }
}

/// The number that was kept instead of what was counted.
fn count(r: &Record, tag: u8) -> Option<u32> {
    Some(u32::from_ne_bytes(r.blob(tag)?.bytes.try_into().ok()?))
}
