//! Handlers of signals. Two signals would end the process where a call, or a write to memory, only failed: SIGXFSZ, sent
//! with EFBIG when a file would grow beyond a limit (setrlimit(2), RLIMIT_FSIZE), and SIGBUS, sent when a page of a mapped
//! file cannot be had (mmap(2)). Others end a container that waits for `start`. All handlers end at execve, which sets them
//! to the default (execve(2)).

use crate::call::{Result, Why, announce, gate};
use crate::signal::{Disposition, rt_sigaction};
use crate::table::Call;
use crate::{arch, room};
use linux_raw_sys::general::kernel_sigaction;

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

/// What the kernel calls then.
unsafe extern "C" fn end(signal: i32, _info: *const libc::siginfo_t, _context: *const u8) {
    let why = Why("a signal ends a container that has not begun");
    crate::process::exit_group(128 + signal, why)
}

fn handle(signal: i32, why: Why) -> Result<()> {
    handle_by(handler as *const () as usize, signal, why)
}

fn handle_by(handler: usize, signal: i32, why: Why) -> Result<()> {
    // SAFETY: kernel_sigaction is numbers and optional function pointers, for which all zeros is a value.
    let mut action: kernel_sigaction = unsafe { core::mem::zeroed() };
    // SA_NODEFER: the handler of SIGBUS writes a record, whose page may be missing, too.
    let mut flags = libc::SA_SIGINFO | libc::SA_NODEFER | libc::SA_RESTART;
    // SAFETY: with SA_SIGINFO the kernel calls the handler with these three arguments.
    action.sa_handler_kernel =
        unsafe { core::mem::transmute::<usize, linux_raw_sys::general::__kernel_sighandler_t>(handler) };
    if let Some(restorer) = arch::RESTORER {
        flags |= arch::SA_RESTORER;
        action.sa_restorer = Some(restorer);
    }
    action.sa_flags = flags as u32 as _;
    let args = [signal as usize, &raw const action as usize, 0, 8, 0, 0];
    gate(Call::RtSigaction, args, why).map(drop)
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
    announce(Call::RtSigreturn, [0; 6], Why("the interrupted code goes on where it was"));
}
