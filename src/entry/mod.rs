//! Where the process begins: without libc's start-up on x86-64, and out of reach of any container.

#[cfg(all(not(test), target_arch = "x86_64"))]
#[allow(unsafe_code)]
pub mod no_libc;
pub mod seal;
