//! Handlers of signals. Two signals would end the process although only a call, or a write to memory, failed: SIGXFSZ, sent
//! with EFBIG when a file would grow beyond a limit (setrlimit(2), RLIMIT_FSIZE), and SIGBUS, sent when a page of a mapped
//! file cannot be had (mmap(2)). Others end a container that waits for `start`. All handlers end at execve, which sets them
//! to the default (execve(2)).

use crate::call::{Result, Why};
use crate::calls::{Disposition, exit_group, rt_sigaction, sigaction};
use crate::gate::announce;
use crate::room;
use linux_raw_sys::general::{__NR_rt_sigreturn, SA_NODEFER, SA_RESTART, SA_SIGINFO};

/// A file that must not grow is an error of the call that writes to it, and no more.
pub fn survive_file_limit(why: Why) -> Result<()> {
    handle(libc::SIGXFSZ, why)
}

/// A part of the recorder's file that cannot be had is replaced by memory (see `room`).
pub fn survive_lost_pages(why: Why) -> Result<()> {
    handle(libc::SIGBUS, why)
}

/// These signals end the process, until its execve. Without a handler the kernel keeps them from the first process of a pid
/// namespace (pid_namespaces(7)).
pub fn end_by(signals: &[i32], why: Why) -> Result<()> {
    signals.iter().try_for_each(|signal| handle_by(end as *const () as usize, *signal, why))
}

/// The handler of such a signal.
unsafe extern "C" fn end(signal: i32, _info: *const libc::siginfo_t, _context: *const u8) {
    let why = Why("a signal ends a container that has not begun");
    exit_group(128 + signal, why)
}

fn handle(signal: i32, why: Why) -> Result<()> {
    handle_by(handler as *const () as usize, signal, why)
}

fn handle_by(handler: usize, signal: i32, why: Why) -> Result<()> {
    // SA_NODEFER: the handler of SIGBUS writes a record, and the page of that record may be missing, too.
    // SAFETY: with SA_SIGINFO the kernel calls the handler with the three arguments that it takes.
    unsafe { sigaction(signal, handler, SA_SIGINFO | SA_NODEFER | SA_RESTART, why) }
}

/// What the kernel calls, on the stack of the code that was interrupted.
unsafe extern "C" fn handler(signal: i32, info: *const libc::siginfo_t, _context: *const u8) {
    // SAFETY: the kernel passes a siginfo, which for a SIGBUS of its own has the address.
    let (by_kernel, address) = unsafe { ((*info).si_code > 0, (*info).si_addr() as usize) };
    // A process that sends the signal means no fault: it is passed over.
    if signal == libc::SIGBUS && by_kernel && !room::lost(address) {
        // The fault comes again as soon as this returns, and then it ends the process.
        let why = Why("a fault that is none of the recorder's ends the process");
        let _ = rt_sigaction(libc::SIGBUS, Disposition::Default, why);
    }
    announce(__NR_rt_sigreturn, Why("the interrupted code goes on where it was"));
}
