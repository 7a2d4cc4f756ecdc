//! Machines in place of containers: `run --mode vm`, and the program as `/init`.

pub mod initramfs;
pub mod vm;
