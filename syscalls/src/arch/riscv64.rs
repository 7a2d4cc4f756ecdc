//! The one instruction, for riscv64, and what else needs instructions of its own.

use core::ffi::CStr;

/// This machine in the tables of calls, to a tracer and to a filter, and in the header of a program.
pub const COLUMN: usize = 5;
pub const AUDIT_ARCH: u32 = linux_raw_sys::ptrace::AUDIT_ARCH_RISCV64;
pub const MACHINE: u16 = 243;

/// The vDSO's name for the clock.
pub const VDSO_CLOCK: &CStr = c"__vdso_clock_gettime";

/// Thread-local variables begin where the thread pointer points to (RISC-V ELF psABI, "Thread Local Storage").
pub const LOCALS_AFTER: Option<usize> = Some(0);

/// In the frame of a signal, before its mask: a siginfo, and the beginning of a ucontext (asm/ucontext.h).
pub const FRAME_MASK: u64 = 128 + 40;

/// How many registers ptrace(2) tells, which of them is the instruction pointer, and how long the instruction of a call is.
pub const REGISTERS: (usize, usize, u64) = (32, 0, 4);

/// Enters the kernel: number in `a7`, arguments in `a0` to `a5`, result in `a0`
/// (syscall(2), "Architecture calling conventions").
///
/// # Safety
/// The kernel does what the numbers say: every pointer among them must be good for that call.
#[inline(always)]
pub unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the registers are those of the kernel's convention; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!(
            "ecall",
            in("a7") number,
            inlateout("a0") a[0] as isize => result,
            in("a1") a[1],
            in("a2") a[2],
            in("a3") a[3],
            in("a4") a[4],
            in("a5") a[5],
            options(nostack),
        );
    }
    result
}

/// sigaction(2) takes no address to which a handler returns.
pub const RESTORER: Option<(u32, usize)> = None;

/// The kernel's own vDSO has the code by which a handler returns.
pub fn returns_to(_: &mut linux_raw_sys::general::kernel_sigaction) {}

/// Ends the process by an instruction that no machine has.
pub fn trap() -> ! {
    // SAFETY: it touches nothing.
    unsafe { core::arch::asm!("unimp", options(noreturn, nomem, nostack)) }
}

/// Enters the kernel for a clone3(2) that gives the child a stack: the child begins there, in `function`.
///
/// # Safety
/// As of [`syscall`]; nothing else uses the stack that `a[0]` names, and `function` is made for the argument.
#[inline(always)]
pub unsafe fn clone_onto(number: usize, a: [usize; 6], function: usize, argument: usize) -> isize {
    let result: isize;
    // SAFETY: the child has the registers that the caller had, but for the result and the stack.
    unsafe {
        core::arch::asm!(
            "ecall",
            "bnez a0, 2f",
            "mv s0, zero",
            "mv a0, {argument}",
            "jalr {function}",
            "unimp",
            "2:",
            function = in(reg) function,
            argument = in(reg) argument,
            in("a7") number,
            inlateout("a0") a[0] => result,
            in("a1") a[1],
            options(nostack),
        );
    }
    result
}

/// The place on the stack.
#[inline(always)]
pub fn stack_pointer() -> usize {
    let at: usize;
    // SAFETY: it touches nothing.
    unsafe { core::arch::asm!("mv {}, sp", out(reg) at, options(pure, nomem, nostack, preserves_flags)) }
    at
}

/// Calls a function on another stack. It never returns to the old one.
///
/// # Safety
/// Below `top`, which is aligned to 16 bytes, lies memory that nothing else uses.
pub unsafe fn call_on(
    top: usize,
    argc: i32,
    argv: usize,
    main: extern "C" fn(i32, *const *const core::ffi::c_char) -> i32,
) -> ! {
    // SAFETY: as the caller vouches; a function that returned would meet an instruction that no machine has.
    unsafe {
        core::arch::asm!(
            "mv sp, {top}",
            "mv s0, zero",
            "jalr {main}",
            "unimp",
            top = in(reg) top,
            main = in(reg) main,
            in("a0") argc,
            in("a1") argv,
            options(noreturn),
        )
    }
}

/// Code finds thread-local variables through the register `tp`.
pub fn set_thread_pointer(pointer: usize) {
    // SAFETY: the pointer is good for the length of the process, and nothing was looked up through the register before.
    unsafe { core::arch::asm!("mv tp, {}", in(reg) pointer, options(nostack, preserves_flags)) }
}
