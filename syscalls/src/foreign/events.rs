//! What happens to another process beside its calls, as strace shows it: `--- SIGCHLD {...} ---`, `+++ exited with 0 +++`.

use super::arguments::Args;
use super::sheet::Sheet;
use super::{Foreign, close, name, words};
use crate::arg::Kind;
use crate::call::Call;
use crate::flags::{signal_name, with};
use crate::record::{self, Entry};
use crate::show::structs::{Bytes, plain};
use crate::vdso::clock_ns;
use core::fmt::{Display, Result, Write};

/// Makes a record of a line. It takes no number of a call: the next call has that.
pub fn event(tid: i32, line: impl Display) {
    record::add(false, |bytes| {
        let call = Foreign { pid: tid, tid, arch: 0, number: 0, args: [0; 6], stack: 0 };
        let mut sheet = Sheet::new(bytes, size_of::<Entry>() + size_of_val(&call.args));
        let mut args = Args::default();
        let place = args.shown(0);
        sheet.blob(place, |out| write!(out, "{line}").ok());
        let end = sheet.at;
        close(&call, Call::EVENT, clock_ns(libc::CLOCK_MONOTONIC), &args, (bytes, end))
    });
}

/// The line of a signal that a thread gets.
pub fn signal(info: &[u8; 128]) -> impl Display {
    with(move |out| {
        write!(out, "--- {} ", signal_name(Bytes(info).i32(0)))?;
        siginfo(Bytes(info), out)?;
        out.write_str(" ---")
    })
}

fn siginfo(b: Bytes, out: &mut dyn Write) -> Result {
    let (signal, code, address) = (b.i32(0), b.i32(8), b.u64(16));
    let faults = match signal {
        libc::SIGILL => "ill",
        libc::SIGFPE => "fpe",
        libc::SIGSEGV => "segv",
        libc::SIGBUS => "bus",
        libc::SIGSYS => "sys",
        _ => "",
    };
    if code == libc::SI_TIMER {
        let (timer, overrun, value) = (b.i32(16), b.i32(20), b.u64(24));
        let signal = signal_name(signal);
        return write!(
            out,
            "{{si_signo={signal}, si_code=SI_TIMER, si_timerid={timer}, si_overrun={overrun}, si_int={}, si_ptr={}}}",
            value as i32,
            crate::show::address(value)
        );
    }
    let Some(codes) = words::list(faults).filter(|_| code > 0) else {
        return plain(Kind::SigInfo, b, 0, out);
    };
    write!(out, "{{si_signo={}, si_code=", signal_name(signal))?;
    codes.show(code as u64, out)?;
    if signal != libc::SIGSYS {
        return write!(out, ", si_addr={}}}", crate::show::address(address));
    }
    let (number, arch) = (b.u32(24), b.u32(28));
    write!(out, ", si_call_addr={address:#x}, si_syscall=")?;
    match name(arch, number.into()) {
        Some(name) => write!(out, "__NR_{name}, si_arch=")?,
        None => write!(out, "{number:#x}, si_arch=")?,
    }
    if let Some(archs) = words::list("arch") {
        archs.show(arch.into(), out)?;
    }
    out.write_char('}')
}
