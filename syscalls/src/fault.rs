//! Handlers of signals. Three signals would end the process although only a call, or a write to memory, failed: SIGXFSZ, sent
//! with EFBIG when a file would grow beyond a limit (setrlimit(2), RLIMIT_FSIZE); SIGPIPE, sent with EPIPE when no process reads
//! any more (pipe(7)); and SIGBUS, sent when a page of a mapped file cannot be had (mmap(2)). Other handlers end a container
//! that waits for `start`. execve(2) sets every signal that has a handler to its default.

use crate::call::{Result, Why};
use crate::calls::{Disposition, exit_group, rt_sigaction, sigaction};
use crate::gate::announce;
use crate::room;
use linux_raw_sys::general::{__NR_rt_sigreturn, SA_NODEFER, SA_RESTART, SA_SIGINFO};

/// A write beyond the limit on the size of files fails with EFBIG, and does not end the process.
#[track_caller]
pub fn survive_file_limit(why: Why) -> Result<()> {
    handle(libc::SIGXFSZ, go_on as *const () as usize, why)
}

/// A write to a pipe or socket whose reader has gone fails with EPIPE, and does not end the process. To ignore the signal would
/// be another way, but a program that is executed would inherit that.
pub fn survive_closed_readers(why: Why) -> Result<()> {
    handle(libc::SIGPIPE, go_on as *const () as usize, why)
}

/// Memory takes the place of a part of the recorder's file that cannot be had (see `room`).
#[track_caller]
pub fn survive_lost_pages(why: Why) -> Result<()> {
    handle(libc::SIGBUS, go_on as *const () as usize, why)
}

/// Lets these signals end the process, until its execve. Without a handler the kernel keeps them from the first process of a pid
/// namespace (pid_namespaces(7)).
#[track_caller]
pub fn end_by(signals: &[i32], why: Why) -> Result<()> {
    signals.iter().try_for_each(|signal| handle(*signal, end as *const () as usize, why))
}

/// The handler of such a signal.
unsafe extern "C" fn end(signal: i32, _info: *const libc::siginfo_t, _context: *const u8) {
    let why = Why("a signal ends a container that has not begun");
    exit_group(128 + signal, why)
}

#[track_caller]
fn handle(signal: i32, handler: usize, why: Why) -> Result<()> {
    // SA_NODEFER: the handler of SIGBUS writes a record, and the page of that record may be missing, too.
    // SAFETY: with SA_SIGINFO the kernel calls the handler with the three arguments that it takes.
    unsafe { sigaction(signal, handler, SA_SIGINFO | SA_NODEFER | SA_RESTART, why) }
}

/// The handler of a failure that the process survives.
unsafe extern "C" fn go_on(signal: i32, info: *const libc::siginfo_t, _context: *const u8) {
    // SAFETY: the kernel passes a siginfo; it holds the address if the kernel itself sends a SIGBUS.
    let (by_kernel, address) = unsafe { ((*info).si_code > 0, (*info).si_addr() as usize) };
    // A signal that a process has sent is no fault, and is ignored.
    if signal == libc::SIGBUS && by_kernel && !room::lost(address) {
        // The fault comes again as soon as this returns, and then it ends the process.
        let why = Why("a fault that is none of the recorder's ends the process");
        let _ = rt_sigaction(libc::SIGBUS, Disposition::Default, why);
    }
    announce(__NR_rt_sigreturn, Why("the interrupted code goes on where it was"));
}
