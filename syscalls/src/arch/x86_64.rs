//! The one instruction, for x86_64. Nothing else lives here.

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

/// Ends the process by an instruction that no machine has.
pub fn trap() -> ! {
    // SAFETY: it touches nothing.
    unsafe { core::arch::asm!("ud2", options(noreturn, nomem, nostack)) }
}
