//! Parameters that a word alone does not tell: which there are depends on the others.

use super::arguments::{Args, Look, choice, string, typed};
use super::sheet::Sheet;
use super::{messages, structs, words};
use crate::arg::Kind;
use crate::flags::{self, hex, signal_name};
use crate::record::OUT;
use crate::show;
use core::fmt::Write;
use linux_raw_sys::general as g;
use linux_raw_sys::ptrace::AUDIT_ARCH_X86_64;

/// The parameter of this word. Its argument was taken already.
pub(super) fn show(look: &Look, word: &str, value: u64, args: &mut Args, out: &mut Sheet) {
    match word {
        "argv" => {
            let place = args.push(value, Kind::Argv as u8);
            if look.has_entered() && value != 0 {
                out.blob(place, |out| structs::argv(look, value, out));
            }
        }
        "envp" => {
            let place = args.push(value, Kind::Envp as u8);
            if look.has_entered() && value != 0 {
                out.blob(place, |out| structs::envp(look, value, out));
            }
        }
        "creat" => {
            args.push(value & 0xffff_ffff, typed("OpenFlags"));
            if value as u32 & (g::O_CREAT | g::__O_TMPFILE) != 0 {
                args.push(look.argument(args.next + 1), Kind::Octal as u8);
            }
        }
        "mqopen" => {
            args.push(value & 0xffff_ffff, typed("OpenFlags"));
            if value as u32 & g::O_CREAT != 0 {
                args.push(look.argument(args.next + 1), Kind::Octal as u8);
                args.push(look.argument(args.next + 2), Kind::Address as u8);
            }
        }
        "mknod" => {
            args.push(value & 0xffff, typed("FileMode"));
            if matches!(value as u32 & g::S_IFMT, g::S_IFCHR | g::S_IFBLK) {
                args.push(look.argument(args.next + 1), Kind::Device as u8);
            }
        }
        "rh" => {
            let place = args.shown(value);
            args.room += 144;
            if look.has_succeeded() {
                out.blob(place | OUT, |out| structs::random(look, value, out));
            }
        }
        "name" => {
            let place = args.push(value, Kind::Text as u8);
            if look.has_entered() {
                out.blob(place, |out| {
                    let start = out.at;
                    string(look.call.tid, value, 16, out)?;
                    // The kernel takes 15 bytes.
                    out.cut = out.at - start > 15;
                    out.at = out.at.min(start + 15);
                    Some(())
                });
            }
        }
        "resumes" => resumes(look, value, args, out),
        "rights:ipc" => rights(look, value, "ipc", args, out),
        "rights:shmget" => rights(look, value, "shmget", args, out),
        "mremap" => mremap(look, args, out),
        "clone" => clone(look, args, out),
        "socket" => socket(look, args, out),
        "getsockopt" => messages::option(look, args, true, out),
        "setsockopt" => messages::option(look, args, false, out),
        "sigreturn" => sigreturn(look, args, out),
        "persona" => persona(look, value, args, out),
        "futexop" => futex_op(look, args, out),
        "pselect" => pselect(look, value, args, out),
        _ => _ = args.push(value, Kind::Hex as u8),
    }
}

/// Adds an argument as the text that `write` makes of it.
fn text(look: &Look, value: u64, args: &mut Args, out: &mut Sheet, write: impl FnOnce(&mut Sheet) -> Option<()>) {
    let place = args.shown(value);
    if look.has_entered() {
        out.blob(place, write);
    }
}

/// The call that restart_syscall goes on with, by its number.
fn resumes(look: &Look, value: u64, args: &mut Args, out: &mut Sheet) {
    let name = super::name(look.call.arch, value).unwrap_or("system call");
    text(look, value, args, out, |out| write!(out, "<... resuming interrupted {name} ...>").ok());
}

/// Flags, and the permissions of what is made.
fn rights(look: &Look, value: u64, list: &str, args: &mut Args, out: &mut Sheet) {
    let (bits, mode) = (value & 0xffff_fe00, value & 0o777);
    text(look, value, args, out, |out| {
        if bits != 0 {
            words::list(list)?.show(bits, out).ok()?;
            out.write_char('|').ok()?;
        }
        write!(out, "{}", flags::octal(mode)).ok()
    });
}

/// The new address counts with one flag alone.
fn mremap(look: &Look, args: &mut Args, out: &mut Sheet) {
    args.push(look.argument(1), Kind::Address as u8);
    args.push(look.argument(2), Kind::Uint as u8);
    args.push(look.argument(3), Kind::Uint as u8);
    choice(look, look.argument(4), "mremap", args, out);
    if look.argument(4) & libc::MREMAP_FIXED as u64 != 0 {
        args.push(look.argument(5), Kind::Address as u8);
    }
}

/// strace names the members, and shows those that the flags ask for. The last two have another order than everywhere else on
/// x86-64 (clone(2), "C library/kernel differences").
fn clone(look: &Look, args: &mut Args, out: &mut Sheet) {
    let (flags, stack, parent) = (look.argument(1), look.argument(2), look.argument(3));
    let (child, tls) = match look.call.arch {
        AUDIT_ARCH_X86_64 => (look.argument(4), look.argument(5)),
        _ => (look.argument(5), look.argument(4)),
    };
    let has = |flag: u32| flags & u64::from(flag) != 0;
    text(look, stack, args, out, |out| write!(out, "child_stack={}", show::address(stack)).ok());
    text(look, flags, args, out, |out| {
        let (bits, signal) = (flags & 0xffff_ff00, (flags & 0xff) as i32);
        out.write_str("flags=").ok()?;
        if bits != 0 {
            words::list("clone")?.show(bits, out).ok()?;
        }
        match (bits, signal) {
            (0, 0) => out.write_char('0').ok(),
            (_, 0) => Some(()),
            (0, _) => write!(out, "{}", signal_name(signal)).ok(),
            _ => write!(out, "|{}", signal_name(signal)).ok(),
        }
    });
    if has(g::CLONE_PARENT_SETTID | g::CLONE_PIDFD) {
        let place = args.shown(parent);
        args.room += 48;
        if look.has_entered() {
            out.blob(place, |out| write!(out, "parent_tid={}", show::address(parent)).ok());
        }
        if look.has_succeeded() {
            out.blob(place | OUT, |out| write!(out, "parent_tid=[{}]", look.u32(parent)? as i32).ok());
        }
    }
    if has(g::CLONE_SETTLS) {
        text(look, tls, args, out, |out| write!(out, "tls={}", hex(tls)).ok());
    }
    if has(g::CLONE_CHILD_SETTID | g::CLONE_CHILD_CLEARTID) {
        text(look, child, args, out, |out| write!(out, "child_tidptr={}", show::address(child)).ok());
    }
}

/// Type and protocol: what a protocol's number means depends on the family.
fn socket(look: &Look, args: &mut Args, out: &mut Sheet) {
    choice(look, look.argument(2), "sock", args, out);
    let protocol = look.argument(3);
    match look.argument(1) as i32 {
        libc::AF_INET | libc::AF_INET6 => choice(look, protocol, "ipproto", args, out),
        libc::AF_NETLINK => choice(look, protocol, "netlink", args, out),
        libc::AF_PACKET => text(look, protocol, args, out, |out| {
            out.write_str("htons(").ok()?;
            words::list("ether")?.show(u16::from_be(protocol as u16).into(), out).ok()?;
            out.write_char(')').ok()
        }),
        _ => _ = args.push(u64::from(protocol as u32), Kind::Uint as u8),
    }
    args.next = 3;
}

/// The mask that will be in force again lies in the frame on the stack: `struct rt_sigframe` of the kernel.
fn sigreturn(look: &Look, args: &mut Args, out: &mut Sheet) {
    let stack = look.call.stack;
    if stack != 0 && look.is_own() {
        text(look, stack, args, out, |out| {
            let mask = look.u64(stack.checked_add(crate::arch::FRAME_MASK)?)?;
            write!(out, "{{mask={}}}", show::structs::sigset(mask)).ok()
        });
    }
}

/// The highest number only asks.
fn persona(look: &Look, value: u64, args: &mut Args, out: &mut Sheet) {
    text(look, value, args, out, |out| match value as u32 {
        u32::MAX => out.write_str("0xffffffff").ok(),
        value => words::list("persona")?.show(value.into(), out).ok(),
    });
}

/// What FUTEX_WAKE_OP does to the second futex, and how it compares (futex(2)).
fn futex_op(look: &Look, args: &mut Args, out: &mut Sheet) {
    let value = look.argument(6) as u32;
    text(look, value.into(), args, out, |out| {
        let kind = value >> 28;
        out.write_str(if kind & 8 != 0 { "FUTEX_OP_OPARG_SHIFT<<28|" } else { "" }).ok()?;
        words::list("futexop")?.show((kind & 7).into(), out).ok()?;
        write!(out, "<<28|{}<<12|", hex((value >> 12 & 0xfff).into())).ok()?;
        words::list("futexcmp")?.show((value >> 24 & 15).into(), out).ok()?;
        write!(out, "<<24|{}", hex((value & 0xfff).into())).ok()
    });
}

/// A set of signals and its size, in a structure of its own.
fn pselect(look: &Look, value: u64, args: &mut Args, out: &mut Sheet) {
    let place = args.shown(value);
    if look.has_entered() && value != 0 && look.is_own() {
        out.blob(place, |out| {
            let (set, size) = (look.u64(value)?, look.u64(value.checked_add(8)?)?);
            out.write_str("{sigmask=").ok()?;
            let whole = structs::Whole { name: "sigset", at: set, size };
            if set == 0 || structs::show(look, &whole, out).is_none() {
                write!(out, "{}", show::address(set)).ok()?;
            }
            write!(out, ", sigsetsize={size}}}").ok()
        });
    }
}
