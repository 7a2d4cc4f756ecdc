//! A record as strace 6.1 prints it: `strace -f -o FILE --signal=none`, so strings up to 32 characters, structures
//! abbreviated. A structure that the kernel would have filled in is an address when the call failed.
//!
//! Records may come out of a damaged file: whatever the bytes are, something is printed.

mod bpf;
mod sched;
pub(crate) mod structs;
pub(crate) mod talk;

use crate::arg::{Kind, NAMED};
use crate::call::Call;
use crate::errno::Errno;
use crate::flags::{self, hex, octal, signal_name, with};
use crate::record::{OUT, RESULT, RETURNED, Record};
use core::fmt::{Display, Result, Write};
use linux_raw_sys::general as nr;

/// Longest string that is printed (strace's `-s`), and most elements of a list.
const LIMIT: usize = 32;
/// Longest path that is printed: PATH_MAX without its NUL.
const PATH: usize = 4095;
/// The column in which results begin (strace's `-a`).
const COLUMN: usize = 40;

/// The call: `close(3)`.
pub fn call(r: &Record, out: &mut dyn Write) -> Result {
    write!(out, "{}(", r.name())?;
    for i in 0..r.argc {
        if i > 0 {
            out.write_str(", ")?;
        }
        arg(r, i, out)?;
    }
    out.write_char(')')
}

/// A call, and what it returned: `close(3) = 0`.
pub fn whole(r: &Record, out: &mut dyn Write) -> Result {
    call(r, out)?;
    out.write_str(" = ")?;
    result(r, out)
}

/// What stands after ` = `: `3`, or `-1 ENOENT (No such file or directory)`.
pub fn result(r: &Record, out: &mut dyn Write) -> Result {
    if r.state != RETURNED {
        return out.write_char('?');
    }
    if let Some(text) = r.blob(RESULT) {
        return kept(text.bytes, out);
    }
    if let Some(errno) = Errno::of(r.ret) {
        if let Some(why) = restarted(errno) {
            return write!(out, "? {why}");
        }
        return match errno.name() {
            "E???" => write!(out, "-1 (errno {})", errno.0),
            name => write!(out, "-1 {name} ({})", errno.text()),
        };
    }
    let value = r.ret as u64;
    match u32::from(r.call.0) {
        nr::__NR_mmap | nr::__NR_mremap => write!(out, "{}", hex(value)),
        nr::__NR_fcntl if r.args[1] == libc::F_GET_SEALS as u64 => write!(out, "{}", hex(value)),
        nr::__NR_umask => write!(out, "{}", octal(value)),
        nr::__NR_personality => write!(out, "{} ({})", hex(value), flags::Persona::WORDS.word(value)),
        nr::__NR_rt_sigtimedwait => write!(out, "{value} ({})", signal_name(r.ret as i32)),
        nr::__NR_ppoll => talk::ppoll_result(r, out),
        _ => write!(out, "{}", r.ret),
    }
}

/// What only a tracer sees: the kernel was interrupted, and will make the call again or let it fail.
fn restarted(errno: Errno) -> Option<&'static str> {
    match errno.0 {
        512 => Some("ERESTARTSYS (To be restarted if SA_RESTART is set)"),
        513 => Some("ERESTARTNOINTR (To be restarted)"),
        514 => Some("ERESTARTNOHAND (To be restarted if no handler)"),
        516 => Some("ERESTART_RESTARTBLOCK (Interrupted by signal)"),
        _ => None,
    }
}

/// A text that was made when the call was seen.
fn kept(text: &[u8], out: &mut dyn Write) -> Result {
    let printable = |byte: &u8| matches!(byte, b' '..=b'~');
    text.iter().try_for_each(|byte| out.write_char(if printable(byte) { *byte as char } else { '?' }))
}

/// A whole line of strace's output, for the process that the reader knows as `pid`.
pub fn strace_line(r: &Record, pid: i32, out: &mut dyn Write) -> Result {
    let mut line = Counted { out, column: 0 };
    write!(line, "{pid:<5} ")?;
    if r.call == Call::EVENT {
        arg(r, 0, &mut line)?;
        return out.write_char('\n');
    }
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

/// What sort of argument a view has before it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sort {
    Descriptor,
    Path,
    Flags,
    Other,
}

/// The sort of an argument.
pub fn sort(r: &Record, i: usize) -> Sort {
    let kind = r.kinds.get(i).copied().unwrap_or(0);
    match Kind::of(kind) {
        _ if kind >= NAMED => Sort::Flags,
        Some(Kind::ShownFlags) => Sort::Flags,
        Some(Kind::Fd) => Sort::Descriptor,
        Some(Kind::Path) => Sort::Path,
        _ => Sort::Other,
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
        return write!(out, "{}", words.show(value));
    }
    let Some(kind) = Kind::of(r.kinds[i]) else {
        return write!(out, "{}", hex(value));
    };
    match kind {
        Kind::Int => write!(out, "{}", value as i64),
        Kind::Uint => write!(out, "{value}"),
        Kind::Id => write!(out, "{}", id(value as u32)),
        Kind::Octal => write!(out, "{}", octal(value & 0xffff)),
        Kind::Hex => write!(out, "{}", hex(value)),
        Kind::Address => write!(out, "{}", address(value)),
        Kind::Fd if value as i32 == libc::AT_FDCWD => out.write_str("AT_FDCWD"),
        Kind::Fd => write!(out, "{}", value as i32),
        Kind::Path => text(r, i, PATH, out),
        Kind::Text => text(r, i, LIMIT, out),
        Kind::Shown | Kind::ShownFlags => match r.blob(i as u8 | OUT).or(r.blob(i as u8)) {
            Some(text) => kept(text.bytes, out),
            None => write!(out, "{}", address(value)),
        },
        Kind::Entries => counted(r, i, "entries", "entries", out),
        Kind::Argv => argv(r, i, out),
        Kind::Envp => counted(r, i, "var", "vars", out),
        Kind::Device => write!(out, "{}", device(value & u64::from(u32::MAX))),
        Kind::Signal => write!(out, "{}", signal_name(value as i32)),
        Kind::IoPriority => {
            write!(out, "IOPRIO_PRIO_VALUE({}, {})", flags::IOPRIO_CLASS.word(value >> 13), value & 0x1fff)
        }
        structure => structs::structure(r, i, structure, out),
    }
}

/// An address; 0 is `NULL`.
pub(crate) fn address(value: u64) -> impl Display {
    with(move |out| if value == 0 { out.write_str("NULL") } else { write!(out, "{value:#x}") })
}

/// A user or group: the highest number, which means "leave it as it is", is -1.
pub(crate) fn id(value: u32) -> impl Display {
    if value == u32::MAX { -1 } else { i64::from(value) }
}

/// Device numbers, as makedev(3) packs them; the kernel uses the low 32 bits only.
fn device(value: u64) -> impl Display {
    let major = value >> 8 & 0xfff | value >> 32 & 0xffff_f000;
    let minor = value & 0xff | value >> 12 & 0xf_ff00;
    with(move |out| write!(out, "makedev({}, {})", hex(major), hex(minor)))
}

/// The text that the kernel read or wrote; where nothing was kept, its address. getcwd's path has a NUL at its end.
fn text(r: &Record, i: usize, limit: usize, out: &mut dyn Write) -> Result {
    let Some(blob) = r.blob(i as u8).or(r.blob(i as u8 | OUT)) else {
        return write!(out, "{}", address(r.args[i]));
    };
    let ended = if limit == PATH { blob.bytes.strip_suffix(b"\0") } else { None };
    write!(out, "{}", quoted(ended.unwrap_or(blob.bytes), limit, blob.cut))
}

/// A string in quotes, with `...` after it when there is more.
pub(crate) fn quoted(bytes: &[u8], limit: usize, cut: bool) -> impl Display {
    let kept = bytes.get(..limit).unwrap_or(bytes);
    with(move |out| {
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
    })
}

/// An argument vector: strings, each with a NUL at its end and kept to one byte more than is printed.
fn argv(r: &Record, i: usize, out: &mut dyn Write) -> Result {
    let Some(blob) = r.blob(i as u8) else {
        return write!(out, "{}", address(r.args[i]));
    };
    let strings = blob.bytes.split_inclusive(|byte| *byte == 0);
    let string = |string: &[u8], out: &mut dyn Write| {
        write!(out, "{}", quoted(string.strip_suffix(b"\0").unwrap_or(string), LIMIT, false))
    };
    list(strings, ", ", false, string, out)
}

/// At most [`LIMIT`] elements in brackets. `cut`: there are more than these.
pub(crate) fn list<T>(
    elements: impl Iterator<Item = T>,
    between: &str,
    cut: bool,
    mut show: impl FnMut(T, &mut dyn Write) -> Result,
    out: &mut dyn Write,
) -> Result {
    out.write_char('[')?;
    let mut more = cut;
    for (n, element) in elements.enumerate() {
        if n == LIMIT {
            more = true;
            break;
        }
        out.write_str(if n > 0 { between } else { "" })?;
        show(element, out)?;
    }
    out.write_str(if more { ", ...]" } else { "]" })
}

/// Directory entries or an environment: the address, and how many there are.
fn counted(r: &Record, i: usize, one: &str, many: &str, out: &mut dyn Write) -> Result {
    write!(out, "{}", address(r.args[i]))?;
    let kept = r.blob(i as u8).or(r.blob(i as u8 | OUT));
    match kept.and_then(|blob| blob.bytes.try_into().ok()).map(u32::from_ne_bytes) {
        Some(count) => write!(out, " /* {count} {} */", if count == 1 { one } else { many }),
        None => Ok(()),
    }
}
