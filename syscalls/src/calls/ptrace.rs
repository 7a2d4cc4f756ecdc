//! ptrace(2): another process stops at its system calls and at its signals, and tells what it does there.

use super::process_vm_readv;
use crate::arch::REGISTERS;
use crate::arg::{address, int, named, null, uint};
use crate::call::{Result, Why};
use crate::errno::Errno;
use crate::flags::{Ptrace, PtraceOptions, WaitFlags};
use crate::gate::gate;
use core::mem::size_of;
use linux_raw_sys::general as nr;
use linux_raw_sys::ptrace as request;

/// How a stopped thread goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Onward {
    /// To the entry or the exit of its next system call.
    ToCall = request::PTRACE_SYSCALL,
    /// To its next event or signal.
    ToEvent = request::PTRACE_CONT,
    /// It stays stopped, as a stop by job control asks for, until SIGCONT.
    Stopped = request::PTRACE_LISTEN,
    /// Without the tracer.
    Alone = request::PTRACE_DETACH,
}

/// PTRACE_SEIZE: the thread is traced from now on. It does not stop for that.
#[track_caller]
pub fn ptrace_seize(tid: i32, options: PtraceOptions, why: Why) -> Result<()> {
    let args = [named(Ptrace::PTRACE_SEIZE), int(tid), null(), named(options)];
    gate(nr::__NR_ptrace, &args, why).map(drop)
}

#[track_caller]
fn ptrace(what: u32, tid: i32, third: usize, data: usize, why: Why) -> Result<usize> {
    let what = named(Ptrace::from_bits(what.into()));
    gate(nr::__NR_ptrace, &[what, int(tid), uint(third), uint(data)], why)
}

/// ptrace(2) with a request that fills memory.
#[track_caller]
fn ask<T>(what: u32, tid: i32, third: usize, to: &mut T, why: Why) -> Result<usize> {
    // SAFETY: each request below fills at most `size_of::<T>()` bytes, and any bytes are a value of each `T`.
    let to = unsafe { address(to as *mut T as usize) };
    gate(nr::__NR_ptrace, &[named(Ptrace::from_bits(what.into())), int(tid), uint(third), to], why)
}

/// A stopped thread goes on. `signal`: what it gets; 0: nothing.
#[track_caller]
pub fn ptrace_onward(tid: i32, how: Onward, signal: i32, why: Why) -> Result<()> {
    ptrace(how as u32, tid, 0, signal as usize, why).map(drop)
}

/// PTRACE_INTERRUPT: a running thread stops.
#[track_caller]
pub fn ptrace_interrupt(tid: i32, why: Why) -> Result<()> {
    ptrace(request::PTRACE_INTERRUPT, tid, 0, 0, why).map(drop)
}

/// PTRACE_SETOPTIONS, for a stopped thread.
#[track_caller]
pub fn ptrace_options(tid: i32, options: PtraceOptions, why: Why) -> Result<()> {
    ptrace(request::PTRACE_SETOPTIONS, tid, 0, options.bits() as usize, why).map(drop)
}

/// PTRACE_GETEVENTMSG: what the event says, as the number of a new process.
#[track_caller]
pub fn ptrace_message(tid: i32, why: Why) -> Result<u64> {
    let mut message = 0u64;
    ask(request::PTRACE_GETEVENTMSG, tid, 0, &mut message, why)?;
    Ok(message)
}

/// PTRACE_GETSIGINFO: the signal at which a thread has stopped.
#[track_caller]
pub fn ptrace_siginfo(tid: i32, why: Why) -> Result<[u8; 128]> {
    let mut info = [0u8; 128];
    ask(request::PTRACE_GETSIGINFO, tid, 0, &mut info, why)?;
    Ok(info)
}

/// PTRACE_GET_SYSCALL_INFO: where a stopped thread is in a system call.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AtCall {
    pub op: u8,
    padding: [u8; 3],
    /// AUDIT_ARCH_*: which table of calls it uses.
    pub arch: u32,
    pub instruction: u64,
    pub stack: u64,
    /// At the entry the number and the six arguments; at the exit the result, and whether it is an error.
    pub words: [u64; 7],
    more: u64,
}

impl AtCall {
    pub const ENTRY: u8 = 1;
    pub const EXIT: u8 = 2;
}

#[track_caller]
pub fn ptrace_call(tid: i32, why: Why) -> Result<AtCall> {
    let mut at = AtCall::default();
    ask(request::PTRACE_GET_SYSCALL_INFO, tid, size_of::<AtCall>(), &mut at, why)?;
    Ok(at)
}

/// What the registers of a stopped thread say of its system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallRegisters {
    pub number: u64,
    pub result: i64,
    pub stack: u64,
    /// The arguments of a call of this machine, and of a 32-bit program.
    args: [[u64; 6]; 2],
}

impl CallRegisters {
    pub fn args(&self, small: bool) -> [u64; 6] {
        self.args[usize::from(small)]
    }
}

/// Whether the registers still hold the arguments when a call has returned. The result overwrites the first one on other
/// machines.
pub const ARGUMENTS_STAY: bool = cfg!(target_arch = "x86_64");

/// All registers, read or written: `struct user_regs_struct` of sys/user.h. Its form is that of this machine for a 32-bit
/// program, too.
#[cfg(target_arch = "x86_64")]
#[track_caller]
fn registers(tid: i32, write: bool, all: &mut [u64; REGISTERS.0], why: Why) -> Result<()> {
    let what = if write { request::PTRACE_SETREGS } else { request::PTRACE_GETREGS };
    ask(what, tid, 0, all, why).map(drop)
}

/// All registers, read or written, by NT_PRSTATUS: `struct user_regs_struct` of sys/user.h.
#[cfg(not(target_arch = "x86_64"))]
#[track_caller]
fn registers(tid: i32, write: bool, all: &mut [u64; REGISTERS.0], why: Why) -> Result<()> {
    let what = if write { request::PTRACE_SETREGSET } else { request::PTRACE_GETREGSET };
    let mut piece = [&raw mut *all as usize, size_of_val(all)];
    ask(what, tid, 1, &mut piece, why)?;
    // SAFETY: the kernel has written through the address in `piece`.
    *all = unsafe { (&raw const *all).read_volatile() };
    Ok(())
}

/// `small`: the code that makes the call is that of a 32-bit program.
#[cfg(target_arch = "x86_64")]
#[track_caller]
pub fn ptrace_registers(tid: i32, why: Why) -> Result<(CallRegisters, bool)> {
    /// The code segment of 32-bit programs (__USER32_CS).
    const SMALL: u64 = 0x23;
    let mut all = [0; REGISTERS.0];
    registers(tid, false, &mut all, why)?;
    let [_, _, _, _, bp, bx, _, r10, r9, r8, ax, cx, dx, si, di, orig, _, cs, _, sp, ..] = all;
    let args = [[di, si, dx, r10, r8, r9], [bx, cx, dx, si, di, bp].map(|word| u64::from(word as u32))];
    let small = cs == SMALL;
    let (number, result) = if small { (u64::from(orig as u32), i64::from(ax as i32)) } else { (orig, ax as i64) };
    Ok((CallRegisters { number, result, stack: sp, args }, small))
}

/// On other machines the registers do not tell.
#[cfg(not(target_arch = "x86_64"))]
#[track_caller]
pub fn ptrace_registers(_: i32, _: Why) -> Result<(CallRegisters, bool)> {
    Ok((CallRegisters { number: u64::MAX, result: 0, stack: 0, args: [[0; 6]; 2] }, false))
}

/// The thread will do its last instruction again: a system call, or a breakpoint, if one is there.
#[track_caller]
pub fn ptrace_again(tid: i32, call: bool, why: Why) -> Result<()> {
    /// int3 and int1, which the processor is past when they have trapped.
    const TRAPS: [u8; 2] = [0xcc, 0xf1];
    let mut all = [0; REGISTERS.0];
    registers(tid, false, &mut all, why)?;
    let at = &mut all[REGISTERS.1];
    let mut before = [0];
    *at = at.wrapping_sub(match call {
        true => REGISTERS.2,
        false if !ARGUMENTS_STAY => 0,
        false => u64::from(
            process_vm_readv(tid, at.wrapping_sub(1), &mut before, why) == Ok(1) && TRAPS.contains(&before[0]),
        ),
    });
    registers(tid, true, &mut all, why)
}

/// wait4(2) for any thread that is traced, or any child: its number, and its status in the form of wait(2). `None`: there is
/// none any more; with WNOHANG, or none that has stopped.
#[track_caller]
pub fn wait_traced(flags: WaitFlags, why: Why) -> Result<Option<(i32, i32)>> {
    let mut status = 0i32;
    // SAFETY: the kernel writes an int there.
    let to = unsafe { address(&raw mut status as usize) };
    match gate(nr::__NR_wait4, &[int(-1), to, named(flags | WaitFlags::__WALL), null()], why) {
        Ok(0) => Ok(None),
        // SAFETY: as above.
        Ok(tid) => Ok(Some((tid as i32, unsafe { (&raw const status).read_volatile() }))),
        Err(failed) if failed.errno == Errno::ECHILD => Ok(None),
        Err(failed) => Err(failed),
    }
}
