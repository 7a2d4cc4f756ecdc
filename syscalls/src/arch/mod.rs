//! One file an architecture: inline assembly, nothing else.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "aarch64")]
pub use aarch64::{RESTORER, SA_RESTORER, VDSO_CLOCK, syscall, trap};

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
pub use x86_64::{RESTORER, SA_RESTORER, VDSO_CLOCK, call_on, copy, copy_back, set, set_thread_pointer, syscall, trap};

#[cfg(not(any(target_arch = "aarch64", target_arch = "x86_64")))]
compile_error!("nk-runtime knows how to enter the kernel on x86_64 and aarch64 only");
