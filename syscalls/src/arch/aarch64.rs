//! The one instruction, for aarch64. Written beside x86_64; it has not been run yet.

use core::ffi::CStr;

/// The vDSO's name for the clock.
pub const VDSO_CLOCK: &CStr = c"__kernel_clock_gettime";

/// Enters the kernel: number in `x8`, arguments in `x0` to `x5`, result in `x0`
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
            "svc 0",
            in("x8") number,
            inlateout("x0") a[0] as isize => result,
            in("x1") a[1],
            in("x2") a[2],
            in("x3") a[3],
            in("x4") a[4],
            in("x5") a[5],
            options(nostack),
        );
    }
    result
}

/// The kernel's own vDSO has the code by which a handler returns.
pub const RESTORER: Option<unsafe extern "C" fn()> = None;
pub const SA_RESTORER: u32 = 0;

/// Ends the process by an instruction that no machine has.
pub fn trap() -> ! {
    // SAFETY: it touches nothing.
    unsafe { core::arch::asm!("udf #0", options(noreturn, nomem, nostack)) }
}
