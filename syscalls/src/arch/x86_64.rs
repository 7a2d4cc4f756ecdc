//! The one instruction, for x86_64, and what else needs instructions of its own.

use core::ffi::CStr;
use linux_raw_sys::general::{SA_RESTORER, kernel_sigaction};

/// This machine in the tables of calls, to a tracer and to a filter, and in the header of a program.
pub const COLUMN: usize = 0;
pub const AUDIT_ARCH: u32 = linux_raw_sys::ptrace::AUDIT_ARCH_X86_64;
pub const MACHINE: u16 = 62;

/// The vDSO's name for the clock.
pub const VDSO_CLOCK: &CStr = c"__vdso_clock_gettime";

/// Thread-local variables lie right below the thread pointer (ELF Handling for Thread-Local Storage, variant II).
pub const LOCALS_AFTER: Option<usize> = None;

/// In the frame of a signal, before its mask: the beginning of a ucontext, and the registers (asm/ucontext.h).
pub const FRAME_MASK: u64 = 40 + 256;

/// How many registers ptrace(2) tells, which of them is the instruction pointer, and how long the instruction of a call is.
pub const REGISTERS: (usize, usize, u64) = (27, 16, 2);

/// Enters the kernel: number in `rax`, arguments in `rdi rsi rdx r10 r8 r9`, result in `rax`;
/// the kernel destroys `rcx` and `r11` (syscall(2), "Architecture calling conventions").
///
/// # Safety
/// The kernel does what the numbers say: every pointer among them must be good for that call.
#[inline(always)]
pub unsafe fn syscall(number: usize, a: [usize; 6]) -> isize {
    let result: isize;
    // SAFETY: the registers are those of the kernel's convention; the caller vouches for the arguments.
    unsafe {
        core::arch::asm!(
            "syscall",
            inlateout("rax") number as isize => result,
            in("rdi") a[0],
            in("rsi") a[1],
            in("rdx") a[2],
            in("r10") a[3],
            in("r8") a[4],
            in("r9") a[5],
            lateout("rcx") _,
            lateout("r11") _,
            options(nostack),
        );
    }
    result
}

/// The flag and the place of the address to which a handler returns, in what sigaction(2) takes.
pub const RESTORER: Option<(u32, usize)> = Some((SA_RESTORER, core::mem::offset_of!(kernel_sigaction, sa_restorer)));

/// On this architecture the program brings the code to which a handler returns (sigreturn(2)).
pub fn returns_to(action: &mut kernel_sigaction) {
    action.sa_restorer = Some(restore);
    action.sa_flags |= u64::from(SA_RESTORER);
}

/// What a handler returns to: rt_sigreturn(2), which takes all that it needs from the stack.
#[unsafe(naked)]
unsafe extern "C" fn restore() {
    core::arch::naked_asm!("mov eax, {number}", "syscall", number = const libc::SYS_rt_sigreturn)
}

/// Ends the process by an instruction that no machine has.
pub fn trap() -> ! {
    // SAFETY: it touches nothing.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
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
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, {argument}",
            "call {function}",
            "ud2",
            "2:",
            function = in(reg) function,
            argument = in(reg) argument,
            inlateout("rax") number as isize => result,
            in("rdi") a[0],
            in("rsi") a[1],
            out("rcx") _,
            out("r11") _,
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
    unsafe { core::arch::asm!("mov {}, rsp", out(reg) at, options(pure, nomem, nostack, preserves_flags)) }
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
            "mov rsp, {top}",
            "xor ebp, ebp",
            "call {main}",
            "ud2",
            top = in(reg) top,
            main = in(reg) main,
            in("edi") argc,
            in("rsi") argv,
            options(noreturn),
        )
    }
}

/// Code finds thread-local variables through the register `fs`. AT_HWCAP2 says whether the program may set it itself
/// (asm/hwcap2.h). Processors before 2012 lack that instruction, and a system call sets it. The call belongs to the start,
/// as execve does, and has no record.
pub fn set_thread_pointer(pointer: usize) {
    const HWCAP2_FSGSBASE: u64 = 2;
    const ARCH_SET_FS: usize = linux_raw_sys::general::ARCH_SET_FS as usize;
    // SAFETY: the pointer is good for the length of the process, and nothing was looked up through the register before.
    unsafe {
        match crate::entry::auxv(libc::AT_HWCAP2) & HWCAP2_FSGSBASE {
            0 => _ = syscall(libc::SYS_arch_prctl as usize, [ARCH_SET_FS, pointer, 0, 0, 0, 0]),
            _ => {
                core::arch::asm!("wrfsbase {}", in(reg) pointer, options(nostack, preserves_flags))
            }
        }
    }
}

/// Copies upwards.
///
/// # Safety
/// Both places have `len` bytes, and the second does not begin inside the first.
#[inline(always)]
pub unsafe fn copy(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: as the caller vouches.
    unsafe {
        core::arch::asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _, options(nostack, preserves_flags))
    }
}

/// Copies downwards, from the last byte to the first.
///
/// # Safety
/// Both places have `len` bytes, one at least.
#[inline(always)]
pub unsafe fn copy_back(to: *mut u8, from: *const u8, len: usize) {
    // SAFETY: as the caller vouches; the direction is put back.
    unsafe {
        core::arch::asm!("std", "rep movsb", "cld", inout("rcx") len => _, inout("rdi") to.add(len - 1) => _, inout("rsi") from.add(len - 1) => _, options(nostack))
    }
}

/// memset(3).
///
/// # Safety
/// The place has `len` bytes.
#[inline(always)]
pub unsafe fn set(to: *mut u8, byte: u8, len: usize) {
    // SAFETY: as the caller vouches.
    unsafe {
        core::arch::asm!("rep stosb", inout("rcx") len => _, inout("rdi") to => _, in("al") byte, options(nostack, preserves_flags))
    }
}
