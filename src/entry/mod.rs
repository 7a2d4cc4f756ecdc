//! Where the process begins: without libc's start-up; and with its own file out of reach of any container.

#[cfg(not(test))]
#[allow(unsafe_code)]
pub mod no_libc;
pub mod seal;
