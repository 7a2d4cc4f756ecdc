//! Where the process begins: on x86-64 without libc's start-up; and with its own file out of reach of any container.

#[cfg(all(not(test), target_arch = "x86_64"))]
#[allow(unsafe_code)]
pub mod no_libc;
pub mod seal;
